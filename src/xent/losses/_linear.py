"""Losses of a linear head's logits that never build the logits; see `_head` for the loop."""

import math
from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses._class import check_target, cross_entropy
from xent.losses._group import call_off, members, refuse_the_traced
from xent.losses._head import ClassRows, Head, Job
from xent.losses._options import (
    Options,
    can_look,
    check_devices,
    check_input,
    check_strided,
    check_weight,
    learns,
    nothing_to_average,
    options,
    reduced,
    told_apart,
    traced,
    with_stats,
)
from xent.losses._sharded import check_given, sharded_head
from xent.losses._softmax import (
    BadRowError,
    SoftmaxRows,
    Stats,
    accuracy_of,
    check_distributions,
)


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: None = None,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    empty: str = "zero",
    stats: bool = False,
    group: Any = None,
) -> Any:
    """How many nats the true classes take under a linear head, without its logits in memory.

    loss = cross_entropy(input linear_weightᵀ + linear_bias, target)

    Parameters
    ----------
    input : Tensor, shape (..., D)
        Hidden states.
    linear_weight : Tensor, shape (V, D)
        The head, one row a class; or (V, d1, ..., D): a head for each of several positions.
    target : Tensor, shape (...) of integers, or (..., V) of probabilities
        Class indices, or the probability of every class; (..., d1, ...) and (..., V, d1, ...).
    linear_bias : Tensor, shape (V,) or (V, d1, ...), optional
        Added to the logits.
    weight, label_smoothing, temperature, softcap, z_loss, empty, stats
        As in `cross_entropy`.
    reduction : {"mean", "sum", "none"}
        The mean is over rows (over their weights, where classes or rows are weighted).
    ignore_index : int, optional
        A class index whose rows count for nothing; -100 if not given.
    options : None
        torch's chunking options: here chunks are always on and choose themselves.
    token_weight : Tensor, shape (...), optional
        Weight of each row.
    group : ProcessGroup, optional
        Of torch.distributed, whose processes each hold a part of the head (and of its bias, and of
        probabilities); all else is as in `vocab_parallel_cross_entropy`. The gradient of ``input``
        is that of the whole.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        As in `cross_entropy`; also if ``linear_weight`` or ``linear_bias`` do not fit the input, or
        ``options`` is given.
    ConnectionError
        If a process of the ``group`` was lost.

    Notes
    -----
    Values inherit the rounding of the matrix product. A second derivative, torch.func and
    torch.compile build the logits.

    Examples
    --------
    >>> linear_cross_entropy(torch.zeros(2, 3), torch.zeros(4, 3), torch.tensor([0, 3])).item()
    1.3862943649291992

    References
    ----------
    Wijmans, E. et al. (2025). Cut Your Losses in Large-Vocabulary Language Models.
    """
    if options is not None:
        advice = "Chunks are always on and choose themselves."
        raise _check.invalid("options", "be None", repr(options), advice)
    ignored = -100 if ignore_index is None else ignore_index
    if told_apart(stats, weight, target):
        return with_stats(
            linear_cross_entropy, input, linear_weight, target, weight=weight,
            linear_bias=linear_bias, reduction=reduction, ignore_index=ignored,
            label_smoothing=label_smoothing, token_weight=token_weight, temperature=temperature,
            softcap=softcap, z_loss=z_loss, empty=empty, group=group,
        )  # fmt: skip
    if group is not None:
        members(group)
        try:
            o = _options(reduction, ignored, label_smoothing, temperature, softcap, z_loss, empty)
            refuse_the_traced()
            x, w, b, shape = hidden(input, linear_weight, linear_bias)
            target = _flat(w.shape[0], target, token_weight, shape, o)
            check_given(target=target, weight=weight, token_weight=token_weight)
        except (ValueError, TypeError):
            call_off(group, input)
            raise
        return sharded_head(x, w, b, target, weight, token_weight, o, group, stats, shape)
    o = _options(reduction, ignored, label_smoothing, temperature, softcap, z_loss, empty)
    deep = isinstance(linear_weight, Tensor) and linear_weight.dim() > 2
    # What the compiler and the transforms of torch.func trace, or has no values, builds the logits.
    if traced() or getattr(input, "is_meta", False):
        if deep:
            logits = torch.tensordot(input, linear_weight, dims=([-1], [-1]))
            logits = logits if linear_bias is None else logits + linear_bias
        else:
            hidden(input, linear_weight, linear_bias)  # refuses what does not fit
            logits = torch.nn.functional.linear(input, linear_weight, linear_bias)
        return cross_entropy(
            logits, target, weight, ignore_index=ignored, reduction=reduction,
            label_smoothing=label_smoothing, token_weight=token_weight, temperature=temperature,
            softcap=softcap, z_loss=z_loss, empty=empty, stats=stats, axis=input.dim() - 1,
        )  # fmt: skip
    if deep:
        parts = linear_weight, linear_bias
        return _many_heads(input, *parts, target, weight, token_weight, o, stats)
    x, w, b, shape = hidden(input, linear_weight, linear_bias)
    rows = _class_rows(w, target, weight, token_weight, shape, o)
    try:
        return _class_head(x, w, b, rows, shape, stats)
    except BadRowError as bad:
        raise bad.sentence(rows.target, shape, w.shape[0]) from None


def _many_heads(
    input: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    o: Options,
    stats: bool,
) -> Any:
    """Run the loop for each of several heads, (V, d1, ..., D), of the same hidden states."""
    classes, *places, width = linear_weight.shape
    count = math.prod(places)
    each = linear_weight.reshape(classes, count, width).unbind(1)
    if not count:
        raise _check.invalid("linear_weight", "hold a head", tuple(linear_weight.shape))
    shape = hidden(input, each[0], None)[3]
    if linear_bias is not None and linear_bias.shape != linear_weight.shape[:-1]:
        must = f"have the shape {tuple(linear_weight.shape[:-1])}"
        raise _check.invalid("linear_bias", must, tuple(linear_bias.shape))
    biases = [None] * count if linear_bias is None else linear_bias.reshape(classes, -1).unbind(1)
    whole = torch.Size((*shape, *places))
    logits = torch.Size((*shape, classes, *places))
    target = check_target(logits, target, len(shape), o.ignore_index)
    check_weight("weight", weight, linear_weight.shape[:1], "class")
    check_weight("token_weight", token_weight, whole, "row")
    soft = target.is_floating_point()
    flat = target.movedim(len(shape), -1).reshape(-1, count, classes) if soft else None
    marks = target.reshape(-1, count) if flat is None else flat
    scales = None if token_weight is None else token_weight.reshape(-1, count)
    every = SoftmaxRows(
        marks.reshape(-1) if flat is None else flat.reshape(-1, classes), weight,
        None if scales is None else scales.reshape(-1), o,
    )  # fmt: skip
    try:
        total = _total(every, classes)
        found = [
            apply(*hidden(input, w, b)[:3], _job(SoftmaxRows(
                marks[:, n].contiguous(), weight, None if scales is None else scales[:, n], o
            ), stats, total))
            for n, (w, b) in enumerate(zip(each, biases, strict=True))
        ]  # fmt: skip
    except BadRowError as bad:
        raise bad.sentence(every.target, whole, classes) from None
    losses = torch.stack([f[0] for f in found] if stats else found, -1)
    loss = losses.reshape(whole) if o.reduction == "none" else losses.sum()
    if not stats:
        return loss
    columns: Any = [torch.stack(column, -1) for column in zip(*(f[1:] for f in found), strict=True)]
    accuracy = accuracy_of(columns[3].reshape(-1), every).to(columns[0].dtype)
    return loss, Stats._make((*(c.reshape(whole) for c in columns), accuracy))


def linear_log_prob(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    ignore_index: int = -100,
    temperature: float = 1.0,
    softcap: float | None = None,
    stats: bool = False,
) -> Any:
    """How probable a linear head holds each true class: its log-probability, without the logits.

    value = log softmax(input linear_weightᵀ + linear_bias)_target

    Parameters
    ----------
    input : Tensor, shape (..., D)
        Hidden states.
    linear_weight : Tensor, shape (V, D)
        The head, one row a class.
    target : Tensor, shape (...) of integers
        Class indices.
    linear_bias : Tensor, shape (V,), optional
        Added to the logits.
    ignore_index : int
        A class index whose rows give 0.
    temperature, softcap, stats
        As in `cross_entropy`.

    Returns
    -------
    Tensor, shape (...)
        In nats, at most 0; differentiable, for policy gradients and preferences.

    Raises
    ------
    ValueError, TypeError
        As in `linear_cross_entropy`; also if ``target`` holds probabilities.

    Examples
    --------
    >>> linear_log_prob(torch.zeros(1, 3), torch.zeros(4, 3), torch.tensor([2])).item()  # -log 4
    -1.3862943649291992

    References
    ----------
    Williams, R. J. (1992). Simple Statistical Gradient-Following Algorithms, equation 4.
    """
    o = _options("none", ignore_index, 0.0, temperature, softcap, 0.0, "zero")
    if stats:
        if isinstance(target, Tensor) and target.is_floating_point():
            raise _check.wrong_kind("target", "hold integer class indices", target.dtype)
        told = linear_cross_entropy(
            input, linear_weight, target, linear_bias=linear_bias, reduction="none",
            ignore_index=ignore_index, temperature=temperature, softcap=softcap, stats=True,
        )[1]  # fmt: skip
        return told.log_prob, told
    return 0 - _unreduced(input, linear_weight, target, linear_bias, o)


def linear_entropy(
    input: Tensor,
    linear_weight: Tensor,
    *,
    linear_bias: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
) -> Tensor:
    """How undecided a linear head is: the entropy of its softmax, without the logits.

    value = - Σ_c p_c log p_c,  p = softmax(input linear_weightᵀ + linear_bias)

    Parameters
    ----------
    input : Tensor, shape (..., D)
        Hidden states.
    linear_weight : Tensor, shape (V, D)
        The head, one row a class.
    linear_bias : Tensor, shape (V,), optional
        Added to the logits.
    temperature, softcap : float
        As in `cross_entropy`.

    Returns
    -------
    Tensor, shape (...)
        In nats, 0 to log V; differentiable.

    Raises
    ------
    ValueError, TypeError
        If the head does not fit the input, or an option is out of range or no number.

    Examples
    --------
    >>> linear_entropy(torch.zeros(1, 3), torch.zeros(4, 3)).item()  # log 4
    1.3862943649291992

    References
    ----------
    Shannon, C. E. (1948). A Mathematical Theory of Communication, section 6.
    """
    o = _options("none", -100, 0.0, temperature, softcap, 0.0, "zero")
    check_input(input)
    target = torch.zeros(input.shape[:-1], dtype=torch.int64, device=input.device)
    return _unreduced(input, linear_weight, target, linear_bias, o, entropy=True)


def _unreduced(
    input: Tensor,
    head: Tensor,
    target: Tensor,
    bias: Tensor | None,
    o: Options,
    entropy: bool = False,
) -> Tensor:
    """Return the loss of each row, or the entropy of each."""
    x, w, b, shape = hidden(input, head, bias)
    if isinstance(target, Tensor) and target.is_floating_point():
        raise _check.wrong_kind("target", "hold integer class indices", target.dtype)
    rows = _class_rows(w, target, None, None, shape, o)
    try:
        if can_look(rows.target):
            rows.counted(w.shape[0])
        value = apply(x, w, b, Job(ClassRows(rows, entropy, entropy), o, 1.0, given=(rows.target,)))
    except BadRowError as bad:
        raise bad.sentence(rows.target, shape, w.shape[0]) from None
    answer: Tensor = value.reshape(shape)
    return answer


def _options(
    reduction: str,
    ignore_index: int,
    smoothing: float,
    temperature: float,
    softcap: float | None,
    z_loss: float,
    empty: str,
) -> Options:
    return options(
        reduction,
        ignore_index=ignore_index,
        label_smoothing=smoothing,
        temperature=temperature,
        softcap=softcap,
        z_loss=z_loss,
        empty=empty,
    )


def hidden(
    input: Tensor, weight: Tensor, bias: Tensor | None, name: str = "linear"
) -> tuple[Tensor, Tensor, Tensor | None, torch.Size]:
    """Check hidden states and head; return them as matrices, in autocast's type where it is on."""
    check_input(input)
    if not isinstance(weight, Tensor) or not weight.is_floating_point():
        got = weight.dtype if isinstance(weight, Tensor) else _check.a(weight)
        raise _check.wrong_kind(f"{name}_weight", "be a floating-point tensor", got)
    check_strided(f"{name}_weight", weight)
    if weight.dim() != 2 or input.dim() < 1 or weight.shape[1] != input.shape[-1]:
        must = f"have the shape (V, {input.shape[-1] if input.dim() else 'D'})"
        raise _check.invalid(f"{name}_weight", must, tuple(weight.shape))
    if weight.shape[0] == 0:
        raise _check.invalid(f"{name}_weight", "have at least one class", tuple(weight.shape))
    if bias is not None and not isinstance(bias, Tensor):
        raise _check.wrong_kind(f"{name}_bias", "be a tensor", _check.a(bias))
    if bias is not None and bias.shape != weight.shape[:1]:
        raise _check.invalid(
            f"{name}_bias", f"have the shape {tuple(weight.shape[:1])}", tuple(bias.shape)
        )
    check_devices(input, **{f"{name}_weight": weight, f"{name}_bias": bias})
    device = input.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        # torch's products leave float64 alone.
        input, weight = (t if t.dtype == torch.float64 else t.to(dtype) for t in (input, weight))
        bias = bias if bias is None or bias.dtype == torch.float64 else bias.to(dtype)
    for part, given in (("weight", weight), ("bias", bias)):
        if given is not None and given.dtype != input.dtype:
            must = f"have the dtype of `input`, {input.dtype}"
            raise _check.invalid(f"{name}_{part}", must, given.dtype)
    shape = input.shape[:-1]
    return input.reshape(math.prod(shape), input.shape[-1]), weight, bias, shape


def _class_rows(
    w: Tensor,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    shape: torch.Size,
    o: Options,
) -> SoftmaxRows:
    flat = _flat(w.shape[0], target, token_weight, shape, o)
    check_weight("weight", weight, w.shape[:1], "class")
    check_devices(w, target=flat, weight=weight, token_weight=token_weight)
    scale = None if token_weight is None else token_weight.reshape(-1)
    return SoftmaxRows(flat, weight, scale, o)


def _flat(
    classes: int, target: Tensor, token_weight: Tensor | None, shape: torch.Size, o: Options
) -> Tensor:
    """Check targets and their weights; return them row by row."""
    target = check_target(torch.Size((*shape, classes)), target, len(shape), o.ignore_index)
    check_weight("token_weight", token_weight, shape, "row")
    return target.reshape(-1, classes) if target.is_floating_point() else target.reshape(-1)


def _class_head(
    x: Tensor, w: Tensor, b: Tensor | None, rows: SoftmaxRows, shape: torch.Size, stats: bool
) -> Any:
    o = rows.options
    found = apply(x, w, b, _job(rows, stats, _total(rows, w.shape[0])))
    loss = found[0] if stats else found
    loss = loss.reshape(shape) if o.reduction == "none" else loss
    if not stats:
        return loss
    lse, log_prob, entropy, argmax = found[1:]
    accuracy = accuracy_of(argmax, rows).to(lse.dtype)
    shaped: Any = (t.reshape(shape) for t in (lse, log_prob, entropy, argmax))
    return loss, Stats._make((*shaped, accuracy))


def _job(rows: SoftmaxRows, stats: bool, total: Any) -> Job:
    given = rows.target, rows.weight, rows.scale
    return job_of(ClassRows(rows, stats), rows.options, total, *given)


def _total(rows: SoftmaxRows, classes: int) -> Any:
    """Check targets; return what the rows weigh together."""
    total: Any = None
    if can_look(rows.target):
        total = rows.counted(classes)
        if not rows.hard:
            check_distributions(rows.target)
    return rows.total() if total is None or learns(rows.weight, rows.scale) else total


def job_of(rows: Any, o: Options, total: Any, *given: Tensor | None) -> Job:
    """Return the job of rows that weigh so much together; ``given`` are targets and weights."""
    learnt = learns(*given)
    if isinstance(total, Tensor) and not (learnt or total.is_meta or traced()):
        total = float(total) if o.reduction == "mean" else 1.0
    return Job(rows, o, total, learnt, given)


def apply(x: Tensor, w: Tensor, b: Tensor | None, job: Job) -> Any:
    """Run the loop where the rows are known numbers, the formula on all logits elsewhere.

    The loop knows gradients of the head and of what it is given, none of targets and weights.
    """
    o = job.options
    if traced() or x.is_meta or job.learnt:
        found = job.rows.plain(torch.nn.functional.linear(x, w, b), slice(None))
        loss = reduced(found[0], o.reduction, job.total, o.empty)
        return (loss, *found[1:]) if len(found) > 1 else loss
    fill = 0.0 if o.reduction != "mean" or job.total else nothing_to_average(o.empty)
    enabled = torch.is_grad_enabled()
    wants = tuple(t is not None and t.requires_grad and enabled for t in (x, w, b))
    compiled: Any = Head.apply
    found = compiled(x, w, b, job, wants)
    if not fill:
        return found
    return (found[0] + fill, *found[1:]) if isinstance(found, tuple) else found + fill
