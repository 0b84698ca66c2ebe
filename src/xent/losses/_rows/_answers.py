"""Answers of yes-or-no losses: their targets, what they weigh, and their statistics."""

from typing import Any

import torch
from torch import Tensor

from xent.losses._arguments import Options
from xent.losses._reduction import exact_dtype
from xent.losses._rows._binary import silence_answers, validate_binary_target, widened
from xent.losses._rows._formula import binary_values
from xent.losses._rows._stats import Stats


def float_target(target: Tensor) -> Tensor:
    """Return targets of any dtype in one that the loops read."""
    if target.dtype == torch.float16:
        return widened(target)
    return target if target.is_floating_point() else target.float()


def weighted_target(
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    ignore_index: float | None,
    o: Options,
    real: torch.dtype,
    count: bool = True,
) -> tuple[Tensor, Tensor | None, Any]:
    """Return the smoothed target, the weight of each element, and the divisor of the mean.

    They are of the type ``real``, or a wider one of their own: smoothing would not survive less. Of
    what weighs 0 the target may have been anything. Without ``count`` the divisor is nothing.
    """
    divisor = token_weight
    if ignore_index is not None:
        kept = target != ignore_index
        target = target.where(kept, 0.0)
        divisor = kept if divisor is None else kept * divisor
    if divisor is not None:
        divisor = divisor.to(torch.promote_types(divisor.dtype, real))
        weight = divisor if weight is None else weight * divisor
    if weight is not None:
        target = silence_answers(target, weight)
    if o.label_smoothing:
        validate_binary_target(target)
        target = target.to(torch.promote_types(target.dtype, real))
        target = target * (1 - o.label_smoothing) + o.label_smoothing / 2
    if divisor is None or not count:
        return target, weight, target.numel()
    total = divisor.expand(target.shape).sum(dtype=exact_dtype(divisor))
    return target, weight, total


def silent_answers(target: Tensor, *weights: Tensor | None) -> Tensor | None:
    """Say which answers are none, and may be so because they weigh 0."""
    given = [weight for weight in weights if weight is not None]
    if not given:
        return None
    counts = given[0] != 0
    for weight in given[1:]:
        counts = counts & (weight != 0)
    return ~(counts | ((target >= 0) & (target <= 1)))


def stats_of_logits(
    x: Tensor, target: Tensor, ignore_index: float | None, silent: Tensor | None
) -> Stats:
    """Statistics of binary targets as of two classes, with the logits 0 for no and x for yes."""
    kept, target = kept_answers(x, target, ignore_index, silent)
    no = torch.zeros_like(x)
    cost_of_no = binary_values(x, no, None, None)
    cost_of_yes = binary_values(x, no + 1, None, None)
    log_prob = -binary_values(x, target, None, None).where(kept, 0.0)
    entropy = binary_values(x, torch.sigmoid(x), None, None)
    return answer_stats(cost_of_no, cost_of_yes < cost_of_no, log_prob, entropy, target, kept)


def kept_answers(
    x: Tensor, target: Tensor, ignore_index: float | None, silent: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return which targets are not ignored, and the target with zeros for the others."""
    kept = torch.ones_like(x, dtype=torch.bool)
    if ignore_index is not None:
        kept = target != ignore_index
    if silent is not None:
        kept = kept & ~silent
    elif ignore_index is None:
        return kept, target
    return kept, target.where(kept, 0.0)


def answer_stats(
    lse: Tensor, yes: Tensor, log_prob: Tensor, entropy: Tensor, target: Tensor, kept: Tensor
) -> Stats:
    right = ((yes == (target > 0.5)) & kept).sum().to(exact_dtype(kept)) / kept.sum()
    return Stats(lse, log_prob, entropy, yes.long(), right.to(lse.dtype))
