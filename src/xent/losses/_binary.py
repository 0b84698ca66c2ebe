"""Binary cross-entropy of logits and of probabilities: each class is true or not on its own."""

from typing import Any

import torch
from torch import Tensor

from xent.losses._arguments import (
    Options,
    can_validate,
    check_broadcast,
    check_input,
    check_options,
    check_row_weight,
    check_same_shape,
    check_values,
    class_axis,
    needs_gradient,
)
from xent.losses._device._chunks import runs_on_device
from xent.losses._device._elements import (
    binary_logits_loss,
    values_of_elements,
    weight_of_answers,
)
from xent.losses._overrides import overridable
from xent.losses._reduction import empty_mean, reduce_loss, reduce_weighted
from xent.losses._rows._answers import (
    answer_stats,
    float_target,
    kept_answers,
    silent_answers,
    stats_of_logits,
    weighted_target,
)
from xent.losses._rows._binary import binary_loss, check_ignored, validate_binary_target, widened
from xent.losses._rows._formula import at_least_float32, binary_values, cap_and_scale
from xent.losses._torch_private import in_forward_mode


@overridable
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
    *,
    ignore_index: float | None = None,
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """How many nats each yes-or-no answer takes, given the logit of yes.

    loss = - w [ u t log σ(x) + (1 - t) log σ(-x) ], with u = pos_weight

    Parameters
    ----------
    input : Tensor, any shape
        Logits x of yes.
    target : Tensor, the shape of ``input``
        The probability t of yes, 0 to 1; of any dtype.
    weight : Tensor, broadcasts with ``input``, optional
        Weight of each answer.
    size_average, reduce : None
        Deprecated positions of torch.
    reduction : {"mean", "sum", "none"}
        The mean is over all elements that count.
    pos_weight : Tensor, broadcasts with ``input``, optional
        Weight of yes.
    ignore_index : float, optional
        A target whose elements are ignored.
    label_smoothing : float
        Share of the target that is spread over yes and no, 0 to 1.
    token_weight : Tensor, broadcasts with ``input``, optional
        Weight of each answer, by whose sum the mean divides (``weight`` leaves the mean's divisor).
    temperature, softcap : float
        x = softcap tanh(input / softcap) / temperature.
    empty : {"zero", "nan", "raise"}
        What the mean of no element is.
    stats : bool
        Return (loss, Stats) of each answer as of two classes with the logits 0 (no) and x (yes).

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError
        If shapes do not fit, a target is not between 0 and 1, a weight is negative or not finite,
        or an option is out of range; if nothing counts and ``empty="raise"``. What tensors hold is
        looked at on CPU alone.
    TypeError
        If an argument is no tensor, no number or of a dtype that cannot be.

    Examples
    --------
    >>> binary_cross_entropy_with_logits(torch.zeros(2), torch.tensor([0.0, 1.0])).item()  # log 2
    0.6931471824645996

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.90.
    """
    check_input(input, size_average, reduce)
    check_same_shape(input, target)
    ignore_index = check_ignored(ignore_index)
    o = check_options(
        reduction,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        empty=empty,
    )
    # The compiled loops validate weights where they read them, if these are the caller's own.
    fused = _can_fuse(input, target, weight, pos_weight, token_weight)
    validate = not fused or ignore_index is not None or token_weight is not None
    check_broadcast("weight", weight, input, validate=validate)
    check_broadcast("pos_weight", pos_weight, input, validate=validate)
    check_broadcast("token_weight", token_weight, input, validate=validate)
    if not stats and runs_on_device(input, target, weight, pos_weight, token_weight):
        return binary_logits_loss(input, target, weight, pos_weight, token_weight, ignore_index, o)
    target = float_target(target)
    unsmoothed = target
    total: Any = input.numel()
    silent = None
    if stats:
        silent = silent_answers(target, weight, token_weight)
    if not (ignore_index is None and token_weight is None and not label_smoothing):
        real = torch.promote_types(torch.float32, input.dtype)
        target, weight, total = weighted_target(target, weight, token_weight, ignore_index, o, real)
    if o.softcap or o.temperature != 1.0:
        if weight is not None:  # the slope of a NaN is NaN, though its weight be 0
            input = input.where((weight != 0) | ~input.isnan(), 0.0)
        input = cap_and_scale(input, o)
    x = at_least_float32(input)
    found = stats_of_logits(x, unsmoothed, ignore_index, silent) if stats else None
    if not fused:
        validate_binary_target(target)
        loss = reduce_loss(binary_values(x, target, weight, pos_weight), reduction, total, empty)
        return loss if found is None else (loss, found)
    if input.dtype == torch.float16:
        input = input.float()
    count = float(total)
    fill = empty_mean(empty) if reduction == "mean" and count == 0 else 0.0
    g = 1.0 / count if reduction == "mean" and count else 1.0
    loss = binary_loss(input, target, weight, pos_weight, reduction, g)
    loss = loss + fill if fill else loss
    return loss if found is None else (loss, found)


def _can_fuse(input: Tensor, *others: Any) -> bool:
    """Say whether the compiled loops may take a call: the logits alone are differentiated."""
    tensors = [t for t in others if isinstance(t, Tensor)]
    return can_validate(input, *tensors) and not in_forward_mode() and not needs_gradient(*tensors)


@overridable
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    *,
    pos_weight: Tensor | None = None,
    ignore_index: float | None = None,
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """How many nats each yes-or-no answer takes, given the probability of yes.

    loss = - w [ u t log p + (1 - t) log(1 - p) ], with u = pos_weight

    Parameters
    ----------
    input : Tensor, any shape
        Probabilities p of yes, 0 to 1.
    target : Tensor, the shape of ``input``
        The probability t of yes, 0 to 1.
    weight : Tensor, broadcasts with ``input``, optional
        Weight of each answer.
    size_average, reduce : None
        Deprecated positions of torch.
    reduction : {"mean", "sum", "none"}
        The mean is over all elements that count.
    pos_weight, ignore_index, label_smoothing, token_weight, empty, stats
        As in `binary_cross_entropy_with_logits`; the log-normaliser of a probability is 0.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        As in `binary_cross_entropy_with_logits`; also if ``input`` is not between 0 and 1.

    Notes
    -----
    An answer held impossible that comes true costs inf: torch cuts it at 100, and its gradient
    with it. Logits keep what a probability near 1 has lost: prefer the loss that takes them.

    Examples
    --------
    >>> binary_cross_entropy(torch.tensor([0.5]), torch.tensor([1.0])).item()  # log 2
    0.6931471824645996

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.90.
    """
    check_input(input, size_average, reduce)
    check_same_shape(input, target)
    ignore_index = check_ignored(ignore_index)
    o = check_options(reduction, label_smoothing=label_smoothing, empty=empty)
    check_broadcast("weight", weight, input)
    check_broadcast("pos_weight", pos_weight, input)
    check_broadcast("token_weight", token_weight, input)
    if can_validate(input):
        silent = silent_answers(input, weight, token_weight)
        good = (input >= 0) & (input <= 1)
        if silent is not None:
            good = good | silent
        if ignore_index is not None:
            good = good | (target == ignore_index)
        must = "be between 0 and 1 (for logits use binary_cross_entropy_with_logits)"
        check_values("input", input, good, must)
    tensors = target, weight, pos_weight, token_weight

    def formula(p: Tensor, target: Tensor, weight: Any, positive: Any, token: Any) -> Tensor:
        return _values_of_probabilities(p, target, weight, positive, token, ignore_index, o, False)[
            0
        ]

    if not stats and runs_on_device(input, *tensors):
        values = values_of_elements(input, formula, *tensors, keep=reduction == "none")
        total = None
        if reduction == "mean":
            total = weight_of_answers(target, token_weight, ignore_index)
    else:
        values, total = _values_of_probabilities(input, *tensors, ignore_index, o)
    loss = reduce_loss(values, reduction, total, empty)
    if not stats:
        return loss
    p = at_least_float32(input)
    unsmoothed = _plain_target(target).to(p.dtype)
    silent = silent_answers(unsmoothed, weight, token_weight)
    kept, t = kept_answers(p, unsmoothed, ignore_index, silent)
    log_prob = -_cost(p.where(kept, 0.5), t, t).where(kept, 0.0)
    return loss, answer_stats(torch.zeros_like(p), 1 - p < p, log_prob, _cost(p, p, p), t, kept)


def _plain_target(target: Tensor) -> Tensor:
    return widened(target) if target.dtype in (torch.float16, torch.bfloat16) else target


def _cost(p: Tensor, t: Tensor, yes: Tensor) -> Tensor:
    cost_of_yes = -torch.log(p.where(yes > 0, 1.0))
    return yes * cost_of_yes - (1 - t) * torch.log1p(-p.where(t < 1, 0.0))


def _values_of_probabilities(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    token_weight: Tensor | None,
    ignore_index: float | None,
    o: Options,
    count: bool = True,
) -> tuple[Tensor, Any]:
    """Return the cost of each answer, and by what their mean divides."""
    p = at_least_float32(input)
    t = _plain_target(target).to(p.dtype)
    t, weight, total = weighted_target(t, weight, token_weight, ignore_index, o, p.dtype, count)
    validate_binary_target(t)
    yes = t if pos_weight is None else t * pos_weight.to(p.dtype)
    if weight is None:
        return _cost(p, t, yes), total
    # cost and slope of a certainty may be infinite, though its weight be 0
    safe = p.where((weight != 0) | ((p > 0) & (p < 1)), 0.5)
    return _cost(safe, t, yes) * weight.to(p.dtype), total


@overridable
def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    *,
    pos_weight: Tensor | None = None,
    ignore_index: float | None = None,
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    axis: int = -1,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """How many nats the answers of a row take on average, given each class's logit of yes.

    loss_n = mean over c of - w_c [ u_c t_c log σ(x_c) + (1 - t_c) log σ(-x_c) ], u = pos_weight

    Parameters
    ----------
    input : Tensor, shape (..., C)
        Logits x of yes.
    target : Tensor, the shape of ``input``
        The probability t of yes, 0 to 1.
    weight : Tensor, broadcasts with ``input``, optional
        Weight of each class.
    size_average, reduce : None
        Deprecated positions of torch.
    reduction : {"mean", "sum", "none"}
        Over rows.
    pos_weight, label_smoothing, temperature, softcap, stats
        As in `binary_cross_entropy_with_logits`.
    ignore_index : float, optional
        A target whose elements are ignored: a row's mean is over the others.
    token_weight : Tensor, the shape of the rows, optional
        Weight of each row, by whose sum the mean divides.
    axis : int
        Where the classes are: last, as in torch.
    empty : {"zero", "nan", "raise"}
        What the mean of no row is.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        As in `binary_cross_entropy_with_logits`; also if ``axis`` is no dimension.

    Examples
    --------
    >>> multilabel_soft_margin_loss(torch.zeros(1, 3), torch.ones(1, 3)).item()  # log 2
    0.6931471824645996

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.90.
    """
    check_input(input, size_average, reduce)
    ignore_index = check_ignored(ignore_index)
    o = check_options(reduction, empty=empty)
    axis = class_axis(input, axis)
    check_row_weight(token_weight, input, axis)
    each = weight
    if token_weight is not None:  # of a row of weight 0 there may stand anything
        counts = (token_weight != 0).unsqueeze(axis)
        each = counts.to(input.dtype) if weight is None else weight * counts
    found = binary_cross_entropy_with_logits(
        input, target, each, reduction="none", pos_weight=pos_weight, ignore_index=ignore_index,
        label_smoothing=label_smoothing, temperature=temperature, softcap=softcap, stats=stats,
    )  # fmt: skip
    values = found[0] if stats else found
    row_weight = token_weight
    if ignore_index is None:
        values = values.mean(axis)
    else:
        counted = (target != ignore_index).sum(axis)
        values = values.sum(axis) / counted.clamp_min(1)
        counts = (counted > 0).to(values.dtype)
        row_weight = counts if row_weight is None else counts * row_weight
    loss = reduce_weighted(values, row_weight, o)
    return (loss, found[1]) if stats else loss
