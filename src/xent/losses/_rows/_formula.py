"""The formulas of the losses in torch operations, with derivatives of every order; classes last.

For accelerators, torch.func, forward mode and second derivatives, and where something else than the
logits is differentiated. A zero in a product is masked on both sides: 0 * inf would be NaN, in the
value or in backward.
"""

import math
from typing import Any

import torch
from torch import Tensor

from xent.losses._arguments import Options
from xent.losses._reduction import scalar_like


def at_least_float32(input: Tensor) -> Tensor:
    """Half-precision logits are computed in float32: their losses would not survive rounding."""
    return input.float() if input.dtype in (torch.float16, torch.bfloat16) else input


def cap_and_scale(input: Tensor, o: Options) -> Tensor:
    """Return the logits that the softmax sees: capped, then divided by the temperature."""
    z = at_least_float32(input)
    cap: Any = o.softcap
    temperature: Any = o.temperature
    if z.dim() == 0:
        cap, temperature = scalar_like(cap, z), scalar_like(temperature, z)
    if o.softcap:
        z = cap * torch.tanh(z / cap)
    return z if o.temperature == 1.0 else z / temperature


def zero_masked_rows(z: Tensor, weight: Tensor | None) -> Tensor:
    """Return the rows, those of weight 0 as zeros: their NaN would come back as 0 * NaN."""
    return z if weight is None else z.where((weight != 0).unsqueeze(-1), 0.0)


def smooth(target: Tensor, smoothing: float) -> Tensor:
    """Spread a share of probabilities evenly over the classes."""
    return target if not smoothing else target * (1 - smoothing) + smoothing / target.shape[-1]


def expected_cost(
    cost: Tensor, target: Tensor, weight: Tensor | None, o: Options, gamma: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what each row costs, the weight of its target, and its weight in the mean.

    ``cost`` has one entry a class, as has a target of probabilities; ``gamma`` is the focal loss's.
    """
    class_weight = None if weight is None else weight.to(cost.dtype)
    if target.is_floating_point():
        soft = smooth(target.to(cost.dtype), o.label_smoothing)
        row_weight = torch.ones_like(soft[..., 0])
    else:
        kept = target != o.ignore_index
        safe = target.where(kept, 0)
        row_weight = kept.to(cost.dtype)
        row_weight = row_weight if class_weight is None else row_weight * class_weight[safe]
        if not o.label_smoothing:
            values = cost.gather(-1, safe.unsqueeze(-1)).squeeze(-1)
            return row_weight * values.where(row_weight != 0, 0.0), row_weight, row_weight
        soft = torch.nn.functional.one_hot(safe, cost.shape[-1]).to(cost.dtype)
        soft = smooth(soft, o.label_smoothing) * kept.unsqueeze(-1)
    soft = soft if class_weight is None else soft * class_weight
    values = soft * focal(cost.where(soft != 0, 0.0), gamma)
    return values.sum(-1), soft.sum(-1), row_weight


def weight_of_rows(like: Tensor, target: Tensor, weight: Tensor | None, o: Options) -> Tensor:
    """Return the weight of each row in the mean, as `expected_cost` does."""
    if target.is_floating_point():
        return torch.ones_like(like, requires_grad=False)
    kept = target != o.ignore_index
    row_weight = kept.to(like.dtype)
    return (
        row_weight if weight is None else row_weight * weight.to(like.dtype)[target.where(kept, 0)]
    )


def focal(cost: Tensor, gamma: float) -> Tensor:
    """(1 - p)^γ times a cost -log p; 1 - p from log p, so that a sure row loses no digit.

    A cost of 0 stays out of the power, of which the slope there is infinite where γ < 1.
    """
    if not gamma:
        return cost
    safe = cost.where(cost != 0, 1.0)
    return (safe * (-torch.expm1(-safe)) ** gamma).where(cost != 0, 0.0)


def class_costs(z: Tensor) -> Tensor:
    """-log softmax of logits; a sure class keeps its digits."""
    gaps, log, _, _ = gaps_of(z)
    return gaps + log.unsqueeze(-1)


def gaps_of(z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gaps max z - z, log Σ exp(-gap), the largest logit and its class.

    The largest class stays out of the sum, so a sure row keeps its digits.
    """
    argmax = z.argmax(-1, keepdim=True)
    top = z.gather(-1, argmax)
    gaps = (top - z).scatter(-1, argmax, 0.0)
    log = torch.log1p(torch.exp(-gaps).scatter(-1, argmax, 0.0).sum(-1))
    top = top.squeeze(-1)
    return gaps, log.where(top > -math.inf, math.nan), top, argmax.squeeze(-1)


def entropy_of(log_p: Tensor) -> Tensor:
    """Entropy of rows of log-probabilities."""
    p = log_p.exp()
    return -(p * log_p.where(p != 0, 0.0)).sum(-1)


def binary_values(
    x: Tensor, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None
) -> Tensor:
    """Binary cross-entropy of every logit."""
    t = target.to(x.dtype)
    if weight is not None:
        t = t.where((weight != 0) | ((t >= 0) & (t <= 1)), 0.0)
        x = x.where((weight != 0) | x.isfinite(), 0.0)
    # softplus of x and of -x share log1p(exp(-|x|)); written without abs: its slope at 0 is 0.
    positive = x > 0
    log = torch.log1p(torch.exp(torch.where(positive, -x, x)))
    cost_of_no = torch.where(positive, x, 0.0) + log
    cost_of_yes = torch.where(positive, 0.0, -x) + log
    no, yes = 1 - t, t if pos_weight is None else t * pos_weight.to(x.dtype)
    # Rounding may leave a target of 1.0000001: the sign of what it leaves for no means nothing.
    values = no * cost_of_no.where(no > 0, 0.0) + yes * cost_of_yes.where(yes > 0, 0.0)
    # NaN must survive both choices.
    values = torch.where(x == x, values, x)
    return values if weight is None else values * weight.to(x.dtype)
