"""Cross-entropy of a linear head's logits, which are never built; see `_loop`."""

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses._arguments import (
    Options,
    can_validate,
    check_devices,
    check_input,
    check_options,
    check_weight,
)
from xent.losses._class import cross_entropy
from xent.losses._heads._class_rows import ClassRows, class_job
from xent.losses._heads._head import check_head, run_head, run_loop, zero_silent_rows
from xent.losses._heads._operator import (
    compiled_head_loss,
    compiled_head_stats,
    is_compiled,
)
from xent.losses._overrides import SHARING, overridable, parts_here
from xent.losses._parallel._group import (
    check_group,
    copy_to_group,
    refuse_in_all,
    refuse_transforms,
)
from xent.losses._parallel._sharded_rows import check_no_gradient, share_rows
from xent.losses._rows._chunks import Job
from xent.losses._rows._softmax import SoftmaxRows
from xent.losses._rows._stats import (
    accuracy_of,
    in_two_passes,
    stats_need_second_pass,
    with_row_shape,
)
from xent.losses._rows._targets import BadRowError, check_target, one_ignored
from xent.losses._torch_private import is_traced


@overridable
def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | Collection[int] | None = None,
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
    ignore_index : int or several, optional
        A class index whose rows are ignored, or some such; -100 if not given.
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
    Values inherit the rounding of the matrix product. A second derivative and torch.func build the
    logits.

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
    target, ignored = one_ignored(target, ignore_index)
    shared: dict[str, Any] = {
        "reduction": reduction, "ignore_index": -100 if ignored is None else ignored,
        "label_smoothing": label_smoothing, "temperature": temperature, "softcap": softcap,
        "z_loss": z_loss, "empty": empty,
    }  # fmt: skip
    head = linear_weight, linear_bias
    if stats_need_second_pass(stats, weight, target):
        return in_two_passes(
            linear_cross_entropy, input, linear_weight, target, weight=weight, group=group,
            linear_bias=linear_bias, token_weight=token_weight, **shared,
        )  # fmt: skip
    if group is not None:
        check_group(group)
        with refuse_in_all(group, input):
            o = check_options(**shared)
            refuse_transforms()
            x, w, b, shape = check_head(input, *head, least=0)
            target = _flat_target(w.shape[0], target, token_weight, shape, o)
            check_no_gradient(target=target, weight=weight, token_weight=token_weight)
        shards = share_rows(x, target, weight, token_weight, o, group, stats, shape, w.shape[0])
        total, fill = shards.total(shape)
        x = copy_to_group(zero_silent_rows(x, w, shards), group)
        found = run_loop(x, w, b, Job(shards, o, total))
        return shards.finish(found, shape, fill)
    o = check_options(**shared)
    many = isinstance(linear_weight, Tensor) and linear_weight.dim() > 2
    # What the compiler and the transforms of torch.func trace, or has no values, builds the logits.
    if is_traced() or getattr(input, "is_meta", False):
        if not many and is_compiled(target, weight, token_weight):
            x, w, b, shape = check_head(input, *head)
            rows = _class_rows(w, target, weight, token_weight, shape, o, stats)
            if stats:
                return _with_stats(compiled_head_stats(x, w, b, rows), rows, shape)
            loss = compiled_head_loss(x, w, b, rows)
            return loss.reshape(shape) if o.reduction == "none" else loss
        if many:
            logits = torch.tensordot(input, linear_weight, dims=([-1], [-1]))
            logits = logits if linear_bias is None else logits + linear_bias
        else:
            x, w, b, shape = check_head(input, *head)
            if not stats:
                rows = _class_rows(w, target, weight, token_weight, shape, o, stats)
                x = zero_silent_rows(x, w, rows)
            logits = torch.nn.functional.linear(x, w, b).reshape(*shape, w.shape[0])
        return cross_entropy(
            logits, target, weight, token_weight=token_weight, stats=stats,
            axis=input.dim() - 1, **shared,
        )  # fmt: skip
    if many:
        return _many_heads(input, *head, target, weight, token_weight, o, stats)
    x, w, b, shape = check_head(input, *head)
    rows = _class_rows(w, target, weight, token_weight, shape, o, stats)
    try:
        found = run_head(x, w, b, class_job(rows, stats, rows.total(w.shape[0])))
    except BadRowError as bad:
        raise bad.sentence(rows.target, shape, w.shape[0]) from None
    if stats:
        return _with_stats(found, rows, shape)
    return found.reshape(shape) if o.reduction == "none" else found


def _with_stats(found: Any, rows: SoftmaxRows, shape: torch.Size) -> tuple[Tensor, Any]:
    """Return the loss of rows, and their statistics, in the shape of the rows."""
    (loss, *columns), o = found, rows.options
    accuracy = accuracy_of(columns[3], rows.target, o.ignore_index)
    loss = loss.reshape(shape) if o.reduction == "none" else loss
    return loss, with_row_shape(columns, shape, accuracy)


def _of_sharded_head(**arguments: Any) -> Any:
    """`linear_cross_entropy` of a head, a DTensor, whose classes are sharded."""
    sharded = {"linear_weight": 0, "linear_bias": 0}
    target = arguments["target"]
    if isinstance(target, Tensor) and target.is_floating_point():
        sharded["target"] = target.dim() - 1
    if arguments.pop("group", None) is not None:
        raise _check.invalid("group", "be None where the head is a DTensor", "one")
    found, group = parts_here(sharded, arguments, "linear_weight")
    return linear_cross_entropy(**found, group=group)


SHARING["linear_cross_entropy"] = _of_sharded_head


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
    weights = linear_weight.reshape(classes, count, width).unbind(1)
    if not count:
        raise _check.invalid("linear_weight", "hold a head", tuple(linear_weight.shape))
    shape = check_head(input, weights[0], None)[3]
    if linear_bias is not None and linear_bias.shape != linear_weight.shape[:-1]:
        must = f"have the shape {tuple(linear_weight.shape[:-1])}"
        raise _check.invalid("linear_bias", must, tuple(linear_bias.shape))
    biases = [None] * count if linear_bias is None else linear_bias.reshape(classes, -1).unbind(1)
    all_rows = torch.Size((*shape, *places))
    logits = torch.Size((*shape, classes, *places))
    target = check_target(logits, target, len(shape), o.ignore_index)
    check_weight("weight", weight, linear_weight.shape[:1], "class")
    check_weight("token_weight", token_weight, all_rows, "row")
    if target.is_floating_point():
        target = target.movedim(len(shape), -1).reshape(-1, count, classes)
    else:
        target = target.reshape(-1, count)
    row_weight = None if token_weight is None else token_weight.reshape(-1, count)
    flat_weight = None if row_weight is None else row_weight.reshape(-1)
    every = SoftmaxRows(target.flatten(0, 1), weight, flat_weight, o)
    if stats:
        every.silence(classes)
    found = []
    try:
        total = every.total(classes)
        target = every.target.reshape(target.shape)
        for n, (w, b) in enumerate(zip(weights, biases, strict=True)):
            each = None if row_weight is None else row_weight[:, n]
            rows = SoftmaxRows(target[:, n].contiguous(), weight, each, o)
            head = check_head(input, w, b)[:3]
            found.append(run_head(*head, class_job(rows, stats, total)))
    except BadRowError as bad:
        raise bad.sentence(every.target, all_rows, classes) from None
    losses = torch.stack([f[0] for f in found] if stats else found, -1)
    loss = losses.reshape(all_rows) if o.reduction == "none" else losses.sum()
    if not stats:
        return loss
    columns = [torch.stack(column, -1) for column in zip(*(f[1:] for f in found), strict=True)]
    accuracy = accuracy_of(columns[3].reshape(-1), every.target, o.ignore_index)
    return loss, with_row_shape(columns, all_rows, accuracy)


@overridable
def linear_log_prob(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    ignore_index: int | Collection[int] = -100,
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
    ignore_index : int, or several
        A class index whose rows give 0, or some such.
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
    target, ignored = one_ignored(target, ignore_index)
    o = check_options("none", ignore_index=ignored, temperature=temperature, softcap=softcap)
    if stats:
        if isinstance(target, Tensor) and target.is_floating_point():
            raise _check.wrong_kind("target", "hold integer class indices", target.dtype)
        _, found = linear_cross_entropy(
            input, linear_weight, target, linear_bias=linear_bias, reduction="none",
            ignore_index=ignored, temperature=temperature, softcap=softcap, stats=True,
        )  # fmt: skip
        return found.log_prob, found
    return 0 - _unreduced(input, linear_weight, target, linear_bias, o)


@overridable
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
    o = check_options("none", temperature=temperature, softcap=softcap)
    check_input(input)
    target = torch.zeros(input.shape[:-1], dtype=torch.int64, device=input.device)
    return _unreduced(input, linear_weight, target, linear_bias, o, entropy=True)


def _unreduced(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    linear_bias: Tensor | None,
    o: Options,
    entropy: bool = False,
) -> Tensor:
    """Return the loss of each row, or the entropy of each."""
    x, w, b, shape = check_head(input, linear_weight, linear_bias)
    if isinstance(target, Tensor) and target.is_floating_point():
        raise _check.wrong_kind("target", "hold integer class indices", target.dtype)
    rows = _class_rows(w, target, None, None, shape, o, entropy)
    if is_compiled(target):
        return compiled_head_loss(x, w, b, rows, entropy).reshape(shape)
    try:
        if can_validate(rows.target):
            rows.validated_total(w.shape[0])
        job = Job(ClassRows(rows, entropy, entropy), o, 1.0, saved=(rows.target,))
        result: Tensor = run_head(x, w, b, job).reshape(shape)
    except BadRowError as bad:
        raise bad.sentence(rows.target, shape, w.shape[0]) from None
    return result


def _class_rows(
    w: Tensor,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    shape: torch.Size,
    o: Options,
    stats: bool,
) -> SoftmaxRows:
    target = _flat_target(w.shape[0], target, token_weight, shape, o)
    check_weight("weight", weight, w.shape[:1], "class")
    check_devices(w, target=target, weight=weight, token_weight=token_weight)
    row_weight = None if token_weight is None else token_weight.reshape(-1)
    rows = SoftmaxRows(target, weight, row_weight, o)
    if stats:
        rows.silence(w.shape[0])
    return rows


def _flat_target(
    classes: int, target: Tensor, token_weight: Tensor | None, shape: torch.Size, o: Options
) -> Tensor:
    """Check targets and their weights; return them row by row."""
    target = check_target(torch.Size((*shape, classes)), target, len(shape), o.ignore_index)
    check_weight("token_weight", token_weight, shape, "row")
    if target.is_floating_point():
        return target.reshape(math.prod(shape), classes)
    return target.reshape(-1)
