"""One class is true: cross-entropy of class logits, and of log-probabilities.

Values follow torch.nn.functional wherever torch is right; docs/losses.md lists the rest.
"""

import math
from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses._fused import softmax_loss
from xent.losses._options import (
    at_least_float32,
    check_input,
    check_values,
    check_weight,
    class_axis,
    options,
    reduced,
)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    axis: int | None = None,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """How many nats the true classes take in the code that the logits' softmax describes.

    loss_n = - Σ_c w_c t_nc log softmax(z_n)_c,  z = input, capped and divided by temperature

    Parameters
    ----------
    input : Tensor, shape (C,), (N, C) or (N, C, d1, ...)
        Logits, the C classes along dimension 1 (0 where there is but one).
    target : Tensor, shape (), (N,) or (N, d1, ...) of integers, or the shape of ``input``
        Class indices, or the probability of every class.
    weight : Tensor, shape (C,), optional
        Weight w of each class.
    size_average, reduce : None
        Deprecated positions of torch.
    ignore_index : int
        A class index whose rows count for nothing.
    reduction : {"mean", "sum", "none"}
        The mean is over rows (over their weights, where classes or rows are weighted).
    label_smoothing : float
        Share of the target that is spread evenly over the classes, 0 to 1.
    token_weight : Tensor, the shape of the rows, optional
        Weight of each row.
    temperature, softcap : float
        z = softcap tanh(input / softcap) / temperature.
    z_loss : float
        Adds z_loss (log Σ exp z)², times the row's weight.
    axis : int, optional
        Where the classes are, if elsewhere.
    empty : {"zero", "nan", "raise"}
        What the mean of no row is.
    stats : bool
        Return (loss, Stats): log-normaliser, log-probability, entropy, argmax, accuracy.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Examples
    --------
    >>> cross_entropy(torch.zeros(1, 4), torch.tensor([2])).item()  # log 4
    1.3862943649291992

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.108.
    """
    check_input(input, size_average, reduce)
    o = options(
        reduction,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        z_loss=z_loss,
        empty=empty,
    )
    axis = class_axis(input, axis)
    target = check_target(input.shape, target, axis, ignore_index)
    check_weight("weight", weight, input.shape[axis : axis + 1], "class")
    rows = input.shape[:axis] + input.shape[axis + 1 :]
    check_weight("token_weight", token_weight, rows, "row")
    return softmax_loss(input, target, weight, token_weight, axis, o, stats)


def check_target(input: torch.Size, target: Tensor, axis: int, ignore_index: int) -> Tensor:
    """Refuse a target that is neither class indices nor probabilities; return int64 indices."""
    if not isinstance(target, Tensor):
        raise _check.wrong_kind("target", "be a tensor", f"a {type(target).__name__}")
    if target.is_floating_point():
        if target.shape != input:
            must = f"have the shape of `input`, {tuple(input)}, to be probabilities"
            advice = "Class indices are integers."
            raise _check.invalid("target", must, tuple(target.shape), advice)
        if ignore_index >= 0:
            advice = "To skip rows of probabilities give them a token_weight of 0."
            raise _check.invalid("ignore_index", "be negative", ignore_index, advice)
        return target
    if target.dtype == torch.bool or target.is_complex():
        raise _check.wrong_kind("target", "hold class indices or probabilities", target.dtype)
    expected = input[:axis] + input[axis + 1 :]
    if target.shape != expected:
        must = f"have the shape {tuple(expected)}: that of `input` without its class dimension"
        advice = ""
        if target.shape == input:
            advice = "One-hot targets are probabilities: pass them as floats."
        raise _check.invalid("target", must, tuple(target.shape), advice)
    return target.long()


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: str = "mean",
    *,
    token_weight: Tensor | None = None,
    axis: int | None = None,
    empty: str = "zero",
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
        The mean is over rows (over their weights, where classes or rows are weighted).
    token_weight : Tensor, the shape of ``target``, optional
        Weight of each row.
    axis : int, optional
        Where the classes are, if elsewhere.
    empty : {"zero", "nan", "raise"}
        What the mean of no row is.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Notes
    -----
    A row of weight 0 counts for nothing, even where its log-probability is -inf.

    Examples
    --------
    >>> nll_loss(torch.tensor([[-0.5, -1.5]]), torch.tensor([1])).item()
    1.5

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.108.
    """
    check_input(input, size_average, reduce)
    o = options(reduction, ignore_index=ignore_index, empty=empty)
    axis = class_axis(input, axis)
    if isinstance(target, Tensor) and target.is_floating_point():
        raise _check.wrong_kind("target", "hold integer class indices", target.dtype)
    target = check_target(input.shape, target, axis, ignore_index)
    check_weight("weight", weight, input.shape[axis : axis + 1], "class")
    check_weight("token_weight", token_weight, target.shape, "row")
    classes = input.shape[axis]
    kept = target != ignore_index
    check_class_indices(target, kept, classes)
    safe = target.where(kept, 0)
    values = -at_least_float32(input).gather(axis, safe.unsqueeze(axis)).squeeze(axis)
    scale = kept.to(values.dtype)
    for factor in (None if weight is None else weight[safe], token_weight):
        if factor is not None:
            scale = scale * factor.to(values.dtype)
    # Where the weight is 0 the value may be infinite: 0 * inf would be NaN, here and in backward.
    counted = scale != 0
    values = scale * values.where(counted, 0.0)
    return reduced(values, o.reduction, scale.sum(), o.empty)


def check_class_indices(target: Tensor, kept: Tensor, classes: int) -> None:
    """Refuse indices of no class, where values may be looked at."""
    good = ~kept | ((target >= 0) & (target < classes))
    advice = f"be a class, 0 to {classes - 1}, or `ignore_index`"
    check_values("target", target, good, advice)


def focal_loss(
    input: Tensor,
    target: Tensor,
    *,
    gamma: float = 2.0,
    alpha: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    axis: int | None = None,
    empty: str = "zero",
) -> Tensor:
    """Cross-entropy in which a row counts the less, the surer the model already is of it.

    loss_n = - α_t (1 - p_nt)^γ log p_nt for the true class t of row n, p = softmax(input)

    Parameters
    ----------
    input : Tensor, shape (C,), (N, C) or (N, C, d1, ...)
        Logits, the C classes along dimension 1 (0 where there is but one).
    target : Tensor, shape (), (N,) or (N, d1, ...) of integers
        Class indices.
    gamma : float
        How fast an easy row fades; 0 is the cross-entropy.
    alpha : Tensor, shape (C,), optional
        Weight of each class; the mean is over rows, weighted or not, as in the paper.
    ignore_index : int
        A class index whose rows count for nothing.
    reduction : {"mean", "sum", "none"}
        The mean is over the rows that count.
    axis : int, optional
        Where the classes are, if elsewhere.
    empty : {"zero", "nan", "raise"}
        What the mean of no row is.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Examples
    --------
    >>> focal_loss(torch.zeros(1, 2), torch.tensor([0]), gamma=1.0).item()  # log(2) / 2
    0.3465735912322998

    References
    ----------
    Lin, T.-Y. et al. (2017). Focal Loss for Dense Object Detection, equation 5.
    """
    check_input(input)
    o = options(reduction, ignore_index=ignore_index, empty=empty)
    if not (gamma >= 0 and math.isfinite(gamma)):
        raise _check.invalid("gamma", "be non-negative and finite", gamma)
    axis = class_axis(input, axis)
    if isinstance(target, Tensor) and target.is_floating_point():
        raise _check.wrong_kind("target", "hold integer class indices", target.dtype)
    target = check_target(input.shape, target, axis, ignore_index)
    check_weight("alpha", alpha, input.shape[axis : axis + 1], "class")
    nll = cross_entropy(input, target, ignore_index=ignore_index, reduction="none", axis=axis)
    kept = target != ignore_index
    # 1 - p from log p: no digit of a sure row is lost.
    values = nll * (-torch.expm1(-nll)) ** gamma if gamma else nll
    if alpha is not None:
        values = values * alpha.to(values.dtype)[target.where(kept, 0)]
    return reduced(values.where(kept, 0.0), o.reduction, kept.sum().to(values.dtype), o.empty)
