"""The focal loss of class logits and its slope, written for few operations.

With a target a, m the largest class, S as in `_class_rows`, and 1 - p = -expm1(-c) of a cost c,

    value = Σ_c a_c (1 - p_c)^γ c_c,  h_c = a_c (1 - p_c)^(γ-1) (1 - p_c + γ c_c p_c)
    slope = p_c Σ h - h_c,  at m: Σ_{c≠m} h_c - S p_m Σ h where S < 1
"""

from typing import Any

import torch
from torch import Tensor

from xent.losses._arguments import Options
from xent.losses._reduction import loss_dtype


class WrittenFocal:
    """The options of one call."""

    def __init__(self, class_weight: Tensor | None, gamma: float, o: Options) -> None:
        self.class_weight, self.gamma, self.options = class_weight, gamma, o

    def values(self, x: Tensor, target: Tensor, token: Tensor | None) -> Tensor:
        """Return the loss of each row, 0 where it counts for nothing."""
        z, _ = self._logits(x)
        cost, _, _, top, log = self._costs(z)
        a = self._target(target, cost)
        value = self._missed(cost).pow_(self.gamma).mul_(cost.masked_fill_(a == 0, 0.0))
        value = value.mul_(a).sum(-1)
        if self.options.z_loss:
            lse = (top + log).squeeze(-1)
            value = value.add_(lse.square_().mul_(self.options.z_loss).mul_(a.sum(-1)))
        silent = self._silent(target, token)
        return value if silent is None else value.masked_fill_(silent, 0.0)

    def slope(self, x: Tensor, target: Tensor, token: Tensor | None, up: Tensor) -> Tensor:
        """Return the gradient of rows of logits."""
        o, (z, bent) = self.options, self._logits(x)
        cost, e, argmax, top, log = self._costs(z)
        others = torch.expm1(log)
        share = (1 + others).reciprocal_()
        h = self._target(target, cost)
        mass = h.sum(-1, keepdim=True) if o.z_loss else h
        if self.gamma:
            missed = self._missed(cost)
            nothing = (h == 0).logical_or_(cost == 0)  # where the power may be infinite
            p = (e * share).scatter_(-1, argmax, share)
            p = cost.mul_(p).mul_(self.gamma).add_(missed)
            h = h.mul_(missed.pow_(self.gamma - 1).mul_(p)).masked_fill_(nothing, 0.0)
            del p, missed, nothing
        at_top = h.gather(-1, argmax)
        rest = h.scatter(-1, argmax, 0.0).sum(-1, keepdim=True)
        direct = (at_top + rest) * share
        apart = torch.where(others < 1, rest - direct * others, direct - at_top)
        if o.z_loss:
            extra = (top + log).mul_(2 * o.z_loss).mul_(share).mul_(mass)
            direct, apart = direct + extra, apart + extra
        grad = e.mul_(direct).sub_(h).scatter_(-1, argmax, apart)
        grad = grad.mul_(up if o.temperature == 1.0 else up / o.temperature)
        if bent is not None:
            torch.ops.aten.tanh_backward.grad_input(grad, bent, grad_input=grad)
        silent = self._silent(target, token)
        return grad if silent is None else grad.masked_fill_(silent.unsqueeze(-1), 0.0)

    def _logits(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what the softmax sees, and the cap's tanh."""
        o, x = self.options, x.to(loss_dtype(x))
        if o.softcap:
            bent = (x / o.softcap).tanh_()
            return bent * (o.softcap / o.temperature), bent
        return (x if o.temperature == 1.0 else x / o.temperature), None

    def _costs(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return -log p, exp(z - z_m) without m, the class m, z_m and log(1 + S)."""
        top, argmax = z.max(-1, keepdim=True)
        gaps = z - top
        e = gaps.exp().scatter_(-1, argmax, 0.0)
        log = e.sum(-1, keepdim=True).log1p_()
        return torch.sub(log, gaps, out=gaps), e, argmax, top, log

    def _missed(self, cost: Tensor) -> Tensor:
        return cost.neg().expm1_().neg_()

    def _target(self, target: Tensor, like: Tensor) -> Tensor:
        """Return what each class weighs in the sum."""
        smoothing, classes = self.options.label_smoothing, like.shape[-1]
        if target.is_floating_point():
            a = target.to(like.dtype, copy=True)
            a = a.mul_(1 - smoothing).add_(smoothing / classes) if smoothing else a
        else:
            index = target.masked_fill(target == self.options.ignore_index, 0).unsqueeze(-1)
            a = torch.full_like(like, smoothing / classes)
            a.scatter_(-1, index, 1 - smoothing + smoothing / classes)
        return a if self.class_weight is None else a.mul_(self.class_weight)

    def _silent(self, target: Tensor, token: Tensor | None) -> Any:
        """Say which rows count for nothing; None where all do."""
        silent = None if token is None else token == 0
        if target.is_floating_point():
            return silent
        ignored = target == self.options.ignore_index
        return ignored if silent is None else ignored.logical_or_(silent)
