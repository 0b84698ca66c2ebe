"""Focal loss of yes-or-no answers: an answer counts the less, the surer the model already is."""

from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses._arguments import (
    Options,
    check_broadcast,
    check_gamma,
    check_input,
    check_number,
    check_options,
    check_same_shape,
)
from xent.losses._device._chunks import runs_on_device
from xent.losses._device._elements import values_of_elements, weight_of_answers
from xent.losses._overrides import overridable
from xent.losses._reduction import apply_weight, reduce_loss
from xent.losses._rows._answers import (
    float_target,
    silent_answers,
    stats_of_logits,
    weighted_target,
)
from xent.losses._rows._binary import check_ignored, validate_binary_target
from xent.losses._rows._formula import binary_values, cap_and_scale


@overridable
def sigmoid_focal_loss(
    input: Tensor,
    target: Tensor,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    reduction: str = "none",
    *,
    weight: Tensor | None = None,
    ignore_index: float | None = None,
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """Yes-or-no cross-entropy in which an answer counts the less, the surer the model is of it.

    loss = w [α t + (1 - α) (1 - t)] (1 - p_t)^γ ce,  p_t = t σ(x) + (1 - t) σ(-x)

    Parameters
    ----------
    input : Tensor, any shape
        Logits x of yes; ce is their `binary_cross_entropy_with_logits`.
    target : Tensor, the shape of ``input``
        The probability t of yes, 0 to 1; of any dtype.
    alpha : float, optional
        Share of yes, 0 to 1; None weighs both alike, with 1. (torchvision's -1 is None here.)
    gamma : float
        How fast an easy answer fades; 0 is the cross-entropy.
    reduction : {"none", "mean", "sum"}
        As torchvision's: each answer's by default.
    weight, ignore_index, label_smoothing, token_weight, temperature, softcap, empty, stats
        As in `binary_cross_entropy_with_logits`.

    Returns
    -------
    Tensor
        In nats, float32 or better; of the shape of ``input`` unless reduced.

    Raises
    ------
    ValueError, TypeError
        As in `binary_cross_entropy_with_logits`; also if ``alpha`` is not between 0 and 1, or
        ``gamma`` negative or not finite.

    Examples
    --------
    >>> import torch
    >>> sigmoid_focal_loss(torch.zeros(1), torch.ones(1), alpha=None).item()  # log(2) / 4
    0.1732867956161499

    References
    ----------
    Lin, T.-Y. et al. (2017). Focal Loss for Dense Object Detection, equation 5.
    """
    check_input(input)
    check_same_shape(input, target)
    ignore_index = check_ignored(ignore_index)
    o = check_options(
        reduction, label_smoothing=label_smoothing, temperature=temperature, softcap=softcap,
        empty=empty,
    )  # fmt: skip
    gamma = check_gamma(gamma)
    if alpha is not None:
        alpha = check_number("alpha", alpha)
        if not 0 <= alpha <= 1:
            advice = "To weigh yes and no alike give alpha=None."
            raise _check.invalid("alpha", "be between 0 and 1", alpha, advice)
    check_broadcast("weight", weight, input)
    check_broadcast("token_weight", token_weight, input)
    real = torch.promote_types(torch.float32, input.dtype)

    def formula(
        x: Tensor, target: Tensor, weight: Tensor | None, token: Tensor | None, count: bool = False
    ) -> Any:
        given = float_target(target)
        t, weight, total = weighted_target(given, weight, token, ignore_index, o, real, count)
        values = _focal_values(x, t, weight, alpha, gamma, o)
        return (values, total) if count else values

    if not stats and runs_on_device(input, target, weight, token_weight):
        tensors, keep = (target, weight, token_weight), reduction == "none"
        values = values_of_elements(input, formula, *tensors, keep=keep)
        total = None
        if reduction == "mean":
            total = weight_of_answers(target, token_weight, ignore_index)
    else:
        values, total = formula(input, target, weight, token_weight, count=True)
    loss = reduce_loss(values, o.reduction, total, o.empty)
    if not stats:
        return loss
    unsmoothed = float_target(target)
    silent = silent_answers(unsmoothed, weight, token_weight)
    return loss, stats_of_logits(cap_and_scale(input, o), unsmoothed, ignore_index, silent)


def _focal_values(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    alpha: float | None,
    gamma: float,
    o: Options,
) -> Tensor:
    """Return the focal loss of each answer."""
    validate_binary_target(target)
    logits = input if weight is None else input.where((weight != 0) | input.isfinite(), 0.0)
    x = cap_and_scale(logits, o)
    t = target.to(x.dtype)
    values = binary_values(x, t, None, None)
    if gamma:  # a cost of 0 stays out of the power, of which the slope is infinite where γ < 1
        missed = t * torch.sigmoid(-x) + (1 - t) * torch.sigmoid(x)
        values = (values * missed.where(values != 0, 1.0) ** gamma).where(values != 0, 0.0)
    if alpha is not None:
        values = values * (alpha * t + (1 - alpha) * (1 - t))
    return values if weight is None else apply_weight(values, weight)
