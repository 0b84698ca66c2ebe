"""One class is true: cross-entropy of class logits, and of log-probabilities.

Values follow torch.nn.functional. Where torch gives NaN although the truth is finite (a logit of
-inf under a target of 0) these give the truth, because 0 log 0 = 0.
"""

import torch
from torch import Tensor

from xent import _check
from xent.losses._reduce import at_least_float32, check_call, reduced


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """How many nats the true classes take in the code that the logits' softmax describes.

    loss_n = - Σ_c w_c t_nc log softmax(input_n)_c

    Parameters
    ----------
    input : Tensor, shape (C,), (N, C) or (N, C, d1, ...)
        Logits, the C classes along dimension 1 (0 where there is but one).
    target : Tensor, shape (), (N,) or (N, d1, ...) of integers, or the shape of ``input``
        Class indices, or the probability of every class.
    weight : Tensor, shape (C,), optional
        Weight of each class.
    size_average, reduce : None
        Deprecated positions of torch.
    ignore_index : int
        A class index whose rows count for nothing.
    reduction : {"mean", "sum", "none"}
        The mean is over rows (over their weights, where classes are weighted).
    label_smoothing : float
        Share of the target that is spread evenly over the classes, 0 to 1.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        If a class index is out of range, shapes do not fit, or an option is none of those above.

    Examples
    --------
    >>> cross_entropy(torch.zeros(1, 4), torch.tensor([2])).item()  # log 4
    1.3862943649291992

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.108.
    """
    check_call(input, reduction, size_average, reduce)
    if not 0 <= label_smoothing <= 1:
        raise _check.invalid("label_smoothing", "be between 0 and 1", label_smoothing)
    axis = _class_axis(input)
    log_probs = torch.log_softmax(at_least_float32(input), axis)
    if target.is_floating_point():
        return _soft(log_probs, target, weight, reduction, label_smoothing, axis)
    hard, scale = _hard(log_probs, target, weight, ignore_index, axis)
    if label_smoothing == 0:
        return reduced(hard, reduction, scale.sum())
    everywhere = -log_probs if weight is None else -log_probs * _along(weight, log_probs, axis)
    even = everywhere.mean(axis).where(target != ignore_index, 0.0)
    values = (1 - label_smoothing) * hard + label_smoothing * even
    return reduced(values, reduction, scale.sum())


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """How many nats the true classes take, given every class's log-probability.

    loss_n = - w_t input_nt for the true class t of row n

    Parameters
    ----------
    input : Tensor, shape (C,), (N, C) or (N, C, d1, ...)
        Log-probabilities, the C classes along dimension 1 (0 where there is but one).
    target : Tensor, shape (), (N,) or (N, d1, ...) of integers
        Class indices.
    weight : Tensor, shape (C,), optional
        Weight of each class.
    size_average, reduce : None
        Deprecated positions of torch.
    ignore_index : int
        A class index whose rows count for nothing.
    reduction : {"mean", "sum", "none"}
        The mean is over rows (over their weights, where classes are weighted).

    Returns
    -------
    Tensor
        In nats; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        If a class index is out of range, shapes do not fit, or an option is none of those above.

    Examples
    --------
    >>> nll_loss(torch.tensor([[-0.5, -1.5]]), torch.tensor([1])).item()
    1.5

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.108.
    """
    check_call(input, reduction, size_average, reduce)
    axis = _class_axis(input)
    values, scale = _hard(at_least_float32(input), target, weight, ignore_index, axis)
    return reduced(values, reduction, scale.sum())


def _class_axis(input: Tensor) -> int:
    if input.dim() == 0:
        raise _check.invalid("input", "have a class dimension", "a single number")
    axis = 0 if input.dim() == 1 else 1
    if input.shape[axis] == 0:
        raise _check.invalid("input", "have at least one class", tuple(input.shape))
    return axis


def _hard(
    log_probs: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, axis: int
) -> tuple[Tensor, Tensor]:
    """Return each row's loss for a class index, and what it counts for in the mean."""
    expected = log_probs.shape[:axis] + log_probs.shape[axis + 1 :]
    if target.is_floating_point() or target.dtype == torch.bool:
        raise _check.wrong_kind("target", "hold integer class indices", target.dtype)
    if target.shape != expected:
        must = f"have the shape {tuple(expected)}: that of `input` without its class dimension"
        raise _check.invalid("target", must, tuple(target.shape))
    counted = target != ignore_index
    classes = log_probs.shape[axis]
    bad = counted & ((target < 0) | (target >= classes))
    if bool(bad.any()):
        first = bad.nonzero()[0].tolist()
        must = f"be below {classes}, the number of classes"
        if int(target[tuple(first)]) < 0:
            must = "be non-negative"
        got = f"{int(target[tuple(first)])} at {_check.at(first)}"
        raise _check.invalid("target", must, got, "To skip a class id use ignore_index.")
    safe = target.long().where(counted, 0)
    values = -log_probs.gather(axis, safe.unsqueeze(axis)).squeeze(axis)
    scale = torch.ones_like(values) if weight is None else _checked(weight, log_probs, axis)[safe]
    scale = scale.where(counted, 0.0)
    return (values * scale).where(scale > 0, 0.0), scale


def _soft(
    log_probs: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    smoothing: float,
    axis: int,
) -> Tensor:
    if target.shape != log_probs.shape:
        must = f"have the shape of `input`, {tuple(log_probs.shape)}"
        raise _check.invalid("target", must, tuple(target.shape))
    target = target.to(log_probs.dtype)
    if smoothing:
        target = target * (1 - smoothing) + smoothing / log_probs.shape[axis]
    if weight is not None:
        target = target * _along(weight, log_probs, axis)
    # Multiplying -inf by a zero target would be NaN, in the value and in the gradient.
    values = -(target * log_probs.where(target != 0, 0.0)).sum(axis)
    return reduced(values, reduction)


def _checked(weight: Tensor, log_probs: Tensor, axis: int) -> Tensor:
    if weight.shape != log_probs.shape[axis : axis + 1]:
        must = f"have one entry a class, {log_probs.shape[axis]}"
        raise _check.invalid("weight", must, tuple(weight.shape))
    if bool((weight < 0).any()):
        raise _check.invalid("weight", "be non-negative", weight.min().item())
    return weight.to(log_probs.dtype)


def _along(weight: Tensor, log_probs: Tensor, axis: int) -> Tensor:
    shape = [1] * log_probs.dim()
    shape[axis] = -1
    return _checked(weight, log_probs, axis).reshape(shape)
