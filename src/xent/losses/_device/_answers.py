"""Binary cross-entropy of logits and its slope, written for few operations.

With e = exp(-|x|), and no = 1 - t, yes = u t,

    value = |x| (no where x > 0, else yes) + (no + yes) log1p(e)
    slope = (no - yes e) / (1 + e) where x > 0, else (no e - yes) / (1 + e)

and what weighs nothing is 0, whatever it was.
"""

from typing import Any

import torch
from torch import Tensor

from xent.losses._arguments import Options
from xent.losses._rows._answers import float_target

_INF = float("inf")


class WrittenAnswers:
    """The options of one call."""

    def __init__(self, ignore_index: float | None, o: Options, real: torch.dtype) -> None:
        self.ignore_index, self.options, self.real = ignore_index, o, real

    def values(
        self, x: Tensor, target: Tensor, weight: Tensor | None, positive: Tensor | None, token: Any
    ) -> Tensor:
        """Return the loss of each answer."""
        x, _ = self._logits(x)
        no, yes = self._shares(target, positive)
        size = x.abs()
        side = torch.where(x > 0, no, yes)
        # A certainty that comes true: 0 times an infinity. A NaN comes back with the logarithm.
        value = side.mul_(size).nan_to_num_(0.0, _INF, -_INF)
        log = size.neg_().exp_().log1p_()
        value = value.addcmul_(log, no.add_(yes))
        return self._weighted(value, target, weight, token)

    def slope(
        self, x: Tensor, target: Tensor, weight: Tensor | None, positive: Tensor | None, token: Any
    ) -> Tensor:
        """Return the slope of each answer."""
        x, bent = self._logits(x)
        no, yes = self._shares(target, positive)
        yes = yes.neg_()
        e, right = x.abs().neg_().exp_(), x > 0
        value = torch.where(right, no, yes).addcmul_(torch.where(right, yes, no), e)
        value = value.div_(e.add_(1.0))
        if bent is not None:
            torch.ops.aten.tanh_backward.grad_input(value, bent, grad_input=value)
        t = self.options.temperature
        value = value if t == 1.0 else value.div_(t)
        return self._weighted(value, target, weight, token)

    def _logits(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what the sigmoid sees, and the cap's tanh."""
        o, x = self.options, x.to(self.real)
        if o.softcap:
            bent = (x / o.softcap).tanh_()
            return bent * (o.softcap / o.temperature), bent
        return (x if o.temperature == 1.0 else x / o.temperature), None

    def _shares(self, target: Tensor, positive: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return what no and yes weigh; what rounding has left beside 0 and 1 means nothing."""
        t, smoothing = float_target(target).to(self.real), self.options.label_smoothing
        if smoothing:
            t = (t * (1 - smoothing)).add_(smoothing / 2)
        no, yes = (1 - t).clamp_min_(0.0), t.clamp_min(0.0)
        return no, yes if positive is None else yes.mul_(positive)

    def _weighted(self, value: Tensor, target: Tensor, weight: Any, token: Any) -> Tensor:
        silent = None if self.ignore_index is None else float_target(target) == self.ignore_index
        for factor in (weight, token):
            if factor is not None:
                value = value.mul_(factor)
                nothing = factor == 0
                silent = nothing if silent is None else silent | nothing
        return value if silent is None else value.masked_fill_(silent, 0.0)
