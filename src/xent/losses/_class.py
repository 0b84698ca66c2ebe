"""One class is true: cross-entropy of class logits, and of log-probabilities.

Values follow torch.nn.functional wherever torch is right; docs/losses.md lists the rest.
"""

import math
from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses._fused import batch_loss, softmax_loss
from xent.losses._options import (
    Options,
    at_least_float32,
    check_devices,
    check_input,
    check_target_kind,
    check_values,
    check_weight,
    class_axis,
    options,
    reduced,
    shaped,
    smoothed,
    told_apart,
)
from xent.losses._softmax import BadRowError, Stats, check_distributions

_NOTHING = (None,) * 6
_PLAIN = (0.0, 1.0, 0.0, "zero", False)


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

    Raises
    ------
    ValueError
        If shapes or devices do not fit, an index is of no class, probabilities do not sum to 1, a
        weight is negative or not finite, or an option is out of range; if no row counts and
        ``empty="raise"``. What tensors hold is looked at on CPU alone.
    TypeError
        If an argument is no tensor, no number or of a dtype that cannot be.

    Examples
    --------
    >>> cross_entropy(torch.zeros(1, 4), torch.tensor([2])).item()  # log 4
    1.3862943649291992

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.108.
    """
    tensors = (weight, size_average, reduce, token_weight, softcap, axis)
    if (
        tensors == _NOTHING
        and type(label_smoothing) is type(temperature) is type(z_loss) is float
        and (label_smoothing, temperature, z_loss, empty, stats) == _PLAIN
        and reduction in ("mean", "sum")
        and type(ignore_index) is int
        and abs(ignore_index) < 2**63
    ):
        loss = batch_loss(input, target, Options(reduction, ignore_index))
        if loss is not None:
            return loss
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
    check_devices(input, target=target, weight=weight, token_weight=token_weight)
    if told_apart(stats, weight, target):
        loss = softmax_loss(input, target, weight, token_weight, axis, o, False)
        return loss, softmax_loss(input, target, None, token_weight, axis, o, True)[1]
    return softmax_loss(input, target, weight, token_weight, axis, o, stats)


def check_target(input: torch.Size, target: Tensor, axis: int, ignore_index: int) -> Tensor:
    """Refuse a target that is neither class indices nor probabilities; return int64 indices."""
    check_target_kind(target)
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
        elif target.shape == (*input[:axis], 1, *input[axis + 1 :]):
            advice = f"Give target.squeeze({axis})."
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
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    axis: int | None = None,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """How many nats the true classes take, given every class's log-probability.

    loss_n = - Σ_c w_c t_nc input_nc

    Parameters
    ----------
    input : Tensor, shape (C,), (N, C) or (N, C, d1, ...)
        Log-probabilities, the C classes along dimension 1 (0 where there is but one).
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
    axis : int, optional
        Where the classes are, if elsewhere.
    empty, stats
        As in `cross_entropy`.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        As in `cross_entropy`.

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
    o = options(reduction, ignore_index=ignore_index, label_smoothing=label_smoothing, empty=empty)
    axis = class_axis(input, axis)
    target = _checked(input, target, weight, token_weight, axis, o)
    log_p = at_least_float32(input).movedim(axis, -1)
    values, _, scale = expected(-log_p, target, weight, o)
    scale = scale if token_weight is None else scale * token_weight
    if token_weight is not None:
        values = (values * token_weight.to(values.dtype)).where(token_weight != 0, 0.0)
    loss = reduced(values, o.reduction, scale.sum(), o.empty)
    return (loss, stats_of(log_p, target, o)) if stats else loss


def _checked(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    axis: int,
    o: Options,
) -> Tensor:
    """Check target and weights of class losses; return probabilities with the classes last."""
    target = check_target(input.shape, target, axis, o.ignore_index)
    check_weight("weight", weight, input.shape[axis : axis + 1], "class")
    rows = input.shape[:axis] + input.shape[axis + 1 :]
    check_weight("token_weight", token_weight, rows, "row")
    check_devices(input, target=target, weight=weight, token_weight=token_weight)
    if target.is_floating_point():
        target = target.movedim(axis, -1)
        try:
            check_distributions(target)
        except BadRowError as bad:
            flat = target.reshape(-1, target.shape[-1])
            raise bad.sentence(flat, rows, target.shape[-1]) from None
    else:
        check_class_indices(target, target != o.ignore_index, input.shape[axis])
    return target


def expected(
    cost: Tensor, target: Tensor, weight: Tensor | None, o: Options
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what each row costs, what its target weighs, and what it counts in the mean.

    ``cost`` has the classes last, and so has a target of probabilities. What weighs 0 counts for
    nothing, though its cost be infinite: 0 * inf would be NaN, here and in backward.
    """
    classwise = None if weight is None else weight.to(cost.dtype)
    if target.is_floating_point():
        share = smoothed(target.to(cost.dtype), o.label_smoothing)
        counted = torch.ones_like(share[..., 0])
    else:
        kept = target != o.ignore_index
        safe = target.where(kept, 0)
        counted = kept.to(cost.dtype)
        counted = counted if classwise is None else counted * classwise[safe]
        if not o.label_smoothing:
            values = cost.gather(-1, safe.unsqueeze(-1)).squeeze(-1)
            return counted * values.where(counted != 0, 0.0), counted, counted
        share = torch.nn.functional.one_hot(safe, cost.shape[-1]).to(cost.dtype)
        share = smoothed(share, o.label_smoothing) * kept.unsqueeze(-1)
    share = share if classwise is None else share * classwise
    return (share * cost.where(share != 0, 0.0)).sum(-1), share.sum(-1), counted


def stats_of(log_p: Tensor, target: Tensor, o: Options, lse: Tensor | None = None) -> Stats:
    """Statistics of rows of log-probabilities, classes last; ``lse`` is that of their logits."""
    lse = log_p.logsumexp(-1) if lse is None else lse
    p = log_p.exp()
    entropy = -(p * log_p.where(p != 0, 0.0)).sum(-1)
    argmax = log_p.argmax(-1)
    plain = o._replace(label_smoothing=o.label_smoothing if target.is_floating_point() else 0.0)
    log_prob = -expected(-log_p, target, None, plain)[0]
    if target.is_floating_point():
        right = (argmax == target.argmax(-1)).double().mean()
    else:
        kept = target != o.ignore_index
        right = ((argmax == target) & kept).sum().double() / kept.sum()
    return Stats(lse, log_prob, entropy, argmax, right.to(log_p.dtype))


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
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    axis: int | None = None,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """Cross-entropy in which a class counts the less, the surer the model already is of it.

    loss_n = - Σ_c α_c w_c t_nc (1 - p_nc)^γ log p_nc,  p = softmax(input)

    Parameters
    ----------
    input : Tensor, shape (C,), (N, C) or (N, C, d1, ...)
        Logits, the C classes along dimension 1 (0 where there is but one).
    target : Tensor, shape (), (N,) or (N, d1, ...) of integers, or the shape of ``input``
        Class indices, or the probability of every class.
    gamma : float
        How fast an easy row fades; 0 is the cross-entropy.
    alpha, weight : Tensor, shape (C,), optional
        Weights of each class: α leaves the mean one over rows, as in the paper; w divides it.
    ignore_index, label_smoothing, token_weight, temperature, softcap, z_loss, axis, empty, stats
        As in `cross_entropy`.
    reduction : {"mean", "sum", "none"}
        The mean is over the rows that count, or over their weights.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        As in `cross_entropy`; also if ``gamma`` is negative or not finite.

    Examples
    --------
    >>> focal_loss(torch.zeros(1, 2), torch.tensor([0]), gamma=1.0).item()  # log(2) / 2
    0.3465735912322998

    References
    ----------
    Lin, T.-Y. et al. (2017). Focal Loss for Dense Object Detection, equation 5.
    """
    check_input(input)
    o = options(
        reduction,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        z_loss=z_loss,
        empty=empty,
    )
    if not 0 <= gamma < math.inf:
        raise _check.invalid("gamma", "be non-negative and finite", gamma)
    axis = class_axis(input, axis)
    given = target
    target = _checked(input, target, weight, token_weight, axis, o)
    check_weight("alpha", alpha, input.shape[axis : axis + 1], "class")
    z = shaped(input, o).movedim(axis, -1)
    if target.is_floating_point() or label_smoothing:
        cost = costs(z)
    else:  # the compiled rows know the one class that counts
        cost = cross_entropy(
            input, given, ignore_index=ignore_index, reduction="none", temperature=temperature,
            softcap=softcap, axis=axis,
        ).unsqueeze(-1)  # fmt: skip
    # 1 - p from log p: no digit of a sure row is lost.
    faded = cost * (-torch.expm1(-cost)) ** gamma if gamma else cost
    both = weight if alpha is None else alpha if weight is None else alpha * weight
    if faded.shape[-1] == z.shape[-1]:
        values, mass, _ = expected(faded, target, both, o)
    else:
        kept = target != ignore_index
        mass = kept.to(faded.dtype)
        mass = mass if both is None else mass * both.to(faded.dtype)[target.where(kept, 0)]
        values = mass * faded.squeeze(-1).where(mass != 0, 0.0)
    if z_loss:
        values = values + z_loss * mass * z.logsumexp(-1) ** 2
    counted = expected(z.detach(), target, weight, o._replace(label_smoothing=0.0))[2]
    if token_weight is not None:
        values = (values * token_weight.to(values.dtype)).where(token_weight != 0, 0.0)
        counted = counted * token_weight
    loss = reduced(values, o.reduction, counted.sum(), o.empty)
    return (loss, stats_of(-costs(z), target, o, z.logsumexp(-1))) if stats else loss


def costs(z: Tensor) -> Tensor:
    """-log softmax of logits, classes last; a sure class keeps its digits."""
    k = z.argmax(-1, keepdim=True)
    top = z.gather(-1, k)
    gaps = (top - z).scatter(-1, k, 0.0)
    others = torch.exp(-gaps).scatter(-1, k, 0.0).sum(-1, keepdim=True)
    return gaps + torch.log1p(others).where(top > -math.inf, math.nan)
