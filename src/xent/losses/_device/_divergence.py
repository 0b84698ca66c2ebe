"""The divergence of two rows of logits and its slope, written for few operations."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from xent.losses._arguments import Options
from xent.losses._reduction import loss_dtype


def divergence(
    log_p: Tensor,
    log_q: Tensor,
    beta: float,
    z_slope: Any,
    room: Callable[[str, torch.dtype], Tensor] | None = None,
    of: str = "both",
) -> Tensor:
    """Return β D(q ‖ m) + (1 - β) D(p ‖ m) of rows of logarithms, which are overwritten.

    Those of p become the slope, with ``z_slope`` times p added; ``of`` = "values" or "slope" leaves
    the other out. ``room`` names memory that is there already.
    """

    def into(name: str, dtype: torch.dtype = log_p.dtype) -> Tensor:
        return torch.empty_like(log_p, dtype=dtype) if room is None else room(name, dtype)

    if beta == 0:
        q = torch.exp(log_q, out=into("q"))
        values = q
        if of != "slope":
            impossible = torch.eq(q, 0, out=into("impossible", torch.bool))
            values = log_q.sub_(log_p).masked_fill_(impossible, 0.0).mul_(q).sum(-1, keepdim=True)
        if of != "values":
            log_p.exp_()
            log_p = log_p if _is_zero(z_slope) else log_p.mul_(1 + z_slope)
            log_p.sub_(q)
        return values
    p = torch.exp(log_p, out=into("p"))
    if beta == 1:
        impossible = torch.eq(p, 0, out=into("impossible", torch.bool))
        gap = log_p.sub_(log_q).masked_fill_(impossible, 0.0)
        values = torch.mul(gap, p, out=log_q).sum(-1, keepdim=True)
        if of != "values":
            gap.sub_(values if _is_zero(z_slope) else values - z_slope).mul_(p)
        return values
    theirs = torch.exp(log_q, out=into("q")) if of != "slope" else None
    log_1_beta, log_beta = math.log1p(-beta), math.log(beta)
    floor = torch.finfo(log_p.dtype).min  # times 0 it is 0, as 0 log 0 is
    log_q.clamp_min_(floor).add_(log_beta)
    log_p.clamp_min_(floor).add_(log_1_beta)
    mixed = torch.logaddexp(log_q, log_p, out=into("mixed"))
    of_q = log_q
    if theirs is not None:
        of_q = log_q.sub_(mixed).sub_(log_beta).mul_(theirs).sum(-1, keepdim=True)
    of_p = torch.mul(log_p.sub_(mixed).sub_(log_1_beta), p, out=mixed).sum(-1, keepdim=True)
    if of != "values":
        log_p.sub_(of_p).mul_(1 - beta)
        log_p = log_p if _is_zero(z_slope) else log_p.add_(z_slope)
        log_p.mul_(p)
    if theirs is None:
        return of_p
    return beta * of_q + (1 - beta) * of_p


def _is_zero(number: Any) -> bool:
    return isinstance(number, float) and number == 0.0


class WrittenDivergence:
    """The divergence of two rows of logits, with the options of one call."""

    def __init__(self, beta: float, o: Options) -> None:
        self.beta, self.options = beta, o

    def values(self, x: Tensor, y: Tensor, token: Tensor | None) -> Tensor:
        """Return the divergence of each row; what a row that weighs nothing has is not used."""
        log_p, log_q, _, lse = self._logarithms(x, y)
        values = divergence(log_p, log_q, self.beta, 0.0, of="values").squeeze(-1)
        if lse is not None:
            values = values + lse.squeeze(-1).square_().mul_(self.options.z_loss)
        return values if token is None else values.masked_fill(token == 0, 0.0)

    def slope(self, x: Tensor, y: Tensor, token: Tensor | None, up: Tensor) -> Tensor:
        """Return the gradient of the student's logits."""
        log_p, log_q, bent, lse = self._logarithms(x, y)
        z_slope: Any = 0.0 if lse is None else lse.mul_(2 * self.options.z_loss)
        divergence(log_p, log_q, self.beta, z_slope, of="slope")
        t = self.options.temperature
        log_p.mul_(up if t == 1.0 else up / t)
        if bent is not None:
            torch.ops.aten.tanh_backward.grad_input(log_p, bent, grad_input=log_p)
        return log_p if token is None else log_p.masked_fill_((token == 0).unsqueeze(-1), 0.0)

    def _logarithms(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Any]:
        """Return log-probabilities of both, the student's tanh of a cap, and its normaliser."""
        (z, bent), (theirs, _) = self._logits(x), self._logits(y)
        real, o = loss_dtype(x), self.options
        log_p, log_q = (
            torch.log_softmax(z, -1, dtype=real),
            torch.log_softmax(theirs, -1, dtype=real),
        )
        if o.label_smoothing:
            smoothing = o.label_smoothing
            log_q.exp_().mul_(1 - smoothing).add_(smoothing / log_q.shape[-1]).log_()
        lse = torch.logsumexp(z.to(real), -1, keepdim=True) if o.z_loss else None
        return log_p, log_q, bent, lse

    def _logits(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what the softmax sees, and the cap's tanh."""
        o = self.options
        if not o.softcap:
            return (x if o.temperature == 1.0 else x.to(loss_dtype(x)) / o.temperature), None
        bent = (x.to(loss_dtype(x)) / o.softcap).tanh_()
        return bent * (o.softcap / o.temperature), bent
