"""Each class is true or not on its own: binary cross-entropy of logits and of probabilities."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent import _check
from xent.losses._answers import (
    binary_values,
    check_answers,
    check_weights,
    ignored,
    score_answers,
)
from xent.losses._options import (
    Options,
    at_least_float32,
    can_look,
    check_devices,
    check_input,
    check_numbers,
    check_same_shape,
    check_values,
    check_weight,
    class_axis,
    nothing_to_average,
    options,
    reduced,
    shaped,
    weighed,
)
from xent.losses._softmax import Stats


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
        A target whose elements count for nothing.
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
    ignore_index = ignored(ignore_index)
    o = options(
        reduction,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        empty=empty,
    )
    # The compiled loops look at weights where they read them, if these are the caller's own.
    own = ignore_index is None and token_weight is None
    fast = _is_fast(input, target, weight, pos_weight, token_weight)
    for name, given in (
        ("weight", weight),
        ("pos_weight", pos_weight),
        ("token_weight", token_weight),
    ):
        check_broadcast(name, given, input, look=not (own and fast))
    if target.dtype == torch.float16 or not target.is_floating_point():
        target = target.float()
    answers = target
    total: Any = input.numel()
    if not (ignore_index is None and token_weight is None and not label_smoothing):
        real = torch.promote_types(torch.float32, input.dtype)
        target, weight, total = _counted(target, weight, token_weight, ignore_index, o, real)
    if o.softcap or o.temperature != 1.0:
        if weight is not None:  # a NaN that weighs nothing would have a slope
            input = input.where((weight != 0) | ~input.isnan(), 0.0)
        input = shaped(input, o)
    told = stats_of_answers(at_least_float32(input), answers, ignore_index) if stats else None
    if not fast:
        check_answers(target)
        values = binary_values(at_least_float32(input), target, weight, pos_weight)
        mean = reduced(values, reduction, total, empty)
        return mean if told is None else (mean, told)
    if input.dtype == torch.float16:
        input = input.float()
    count = float(total)
    fill = nothing_to_average(empty) if reduction == "mean" and count == 0 else 0.0
    g = 1.0 / count if reduction == "mean" and count else 1.0
    loss: Tensor = score_answers(input, target, weight, pos_weight, reduction, g)
    loss = loss + fill if fill else loss
    return loss if told is None else (loss, told)


def _is_fast(input: Tensor, *others: Any) -> bool:
    """Say whether the compiled loops may take a call: the logits alone are differentiated."""
    tensors = [t for t in others if isinstance(t, Tensor)]
    return (
        can_look(input, *tensors)
        and torch.autograd.forward_ad._current_level < 0
        and not (torch.is_grad_enabled() and any(t.requires_grad for t in tensors))
    )


def _counted(
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    ignore_index: float | None,
    o: Options,
    real: torch.dtype,
) -> tuple[Tensor, Tensor | None, Any]:
    """Return the smoothed target, what each answer weighs, and all of those that count.

    They are of the type ``real``, or a wider one of their own: smoothing would not survive less.
    """
    counted = token_weight
    if ignore_index is not None:
        kept = target != ignore_index
        target = target.where(kept, 0.0)
        counted = kept if counted is None else kept * counted
    if o.label_smoothing:
        check_answers(target)
        target = target.to(torch.promote_types(target.dtype, real))
        target = target * (1 - o.label_smoothing) + o.label_smoothing / 2
    if counted is None:
        return target, weight, target.numel()
    counted = counted.to(torch.promote_types(counted.dtype, real))
    total = counted.expand(target.shape).sum(dtype=torch.float64)
    return target, counted if weight is None else weight * counted, total


def stats_of_answers(x: Tensor, target: Tensor, ignore_index: float | None = None) -> Stats:
    """Statistics of answers as of two classes, whose logits are 0 for no and x for yes."""
    kept = torch.ones_like(x, dtype=torch.bool)
    if ignore_index is not None:
        kept = target != ignore_index
        target = target.where(kept, 0.0)
    none = torch.zeros_like(x)
    falsely, missed = binary_values(x, none, None, None), binary_values(x, none + 1, None, None)
    log_prob = -binary_values(x, target, None, None).where(kept, 0.0)
    entropy = binary_values(x, torch.sigmoid(x), None, None)
    return _told(falsely, falsely, missed, log_prob, entropy, target, kept)


def _told(
    lse: Tensor,
    falsely: Tensor,
    missed: Tensor,
    log_prob: Tensor,
    entropy: Tensor,
    target: Tensor,
    kept: Tensor,
) -> Stats:
    yes = missed < falsely
    right = ((yes == (target > 0.5)) & kept).sum().double() / kept.sum()
    return Stats(lse, log_prob, entropy, yes.long(), right.to(lse.dtype))


def check_broadcast(name: str, factor: Tensor | None, input: Tensor, *, look: bool = True) -> None:
    """Refuse a weight that does not fit the elements or, on a ``look``, is no weight."""
    if factor is None:
        return
    check_numbers(name, factor, input)
    try:
        fits = np.broadcast_shapes(factor.shape, input.shape) == tuple(input.shape)
    except ValueError:
        fits = False
    if not fits:
        must = f"have a shape that broadcasts to that of `input`, {tuple(input.shape)}"
        raise _check.invalid(name, must, tuple(factor.shape))
    if look:
        check_weights(**{name: factor})


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
    ignore_index = ignored(ignore_index)
    o = options(reduction, label_smoothing=label_smoothing, empty=empty)
    for name, given in (
        ("weight", weight),
        ("pos_weight", pos_weight),
        ("token_weight", token_weight),
    ):
        check_broadcast(name, given, input)
    advice = "be between 0 and 1 (for logits use binary_cross_entropy_with_logits)"
    check_values("input", input, (input >= 0) & (input <= 1), advice)
    p = at_least_float32(input)
    answers = target.to(p.dtype)
    t, weight, total = _counted(answers, weight, token_weight, ignore_index, o, p.dtype)
    check_answers(t)

    def cost(p: Tensor, t: Tensor, yes: Tensor) -> Tensor:
        missed = -torch.log(p.where(yes != 0, 1.0))
        return yes * missed - (1 - t) * torch.log1p(-p.where(t != 1, 0.0))

    yes = t if pos_weight is None else t * pos_weight.to(p.dtype)
    if weight is None:
        values = cost(p, t, yes)
    else:  # a certainty that weighs nothing has neither a cost nor a slope
        some = p.where((weight != 0) | ((p > 0) & (p < 1)), 0.5)
        values = cost(some, t, yes) * weight.to(p.dtype)
    loss = reduced(values, reduction, total, empty)
    if not stats:
        return loss
    kept = torch.ones_like(p, dtype=torch.bool) if ignore_index is None else target != ignore_index
    t = answers.where(kept, 0.0)
    log_prob = -cost(p.where(kept, 0.5), t, t).where(kept, 0.0)
    told = _told(torch.zeros_like(p), p, 1 - p, log_prob, cost(p, p, p), t, kept)
    return loss, told


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
        A target whose answers count for nothing: a row's mean is over the others.
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
    ignore_index = ignored(ignore_index)
    o = options(reduction, empty=empty)
    axis = class_axis(input, axis)
    rows = input.shape[:axis] + input.shape[axis + 1 :]
    check_weight("token_weight", token_weight, rows, "row")
    check_devices(input, token_weight=token_weight)
    found = binary_cross_entropy_with_logits(
        input, target, weight, reduction="none", pos_weight=pos_weight, ignore_index=ignore_index,
        label_smoothing=label_smoothing, temperature=temperature, softcap=softcap, stats=stats,
    )  # fmt: skip
    values = found[0] if stats else found
    scale = token_weight
    if ignore_index is None:
        values = values.mean(axis)
    else:
        counted = (target != ignore_index).sum(axis)
        values = values.sum(axis) / counted.clamp_min(1)
        some = (counted > 0).to(values.dtype)
        scale = some if scale is None else some * scale
    loss = weighed(values, scale, o)
    return (loss, found[1]) if stats else loss
