"""Cross-entropy of a vocabulary that several processes share: each has the logits of its classes.

The doors, for logits and for heads, and the autograd of logits. What the processes exchange, and
how a row is made whole of it, is in `_sharded_rows`.
"""

from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses import _group
from xent.losses._class import check_target
from xent.losses._fused import as_rows
from xent.losses._group import call_off, members, spread
from xent.losses._head import Head, Job, chunk_rows, differentiate, pushes
from xent.losses._options import (
    Options,
    check_input,
    check_weight,
    class_axis,
    learns,
    options,
    told_apart,
    with_stats,
)
from xent.losses._sharded_rows import shard


def vocab_parallel_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    group: Any = None,
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
    """`cross_entropy` of logits whose classes are shared out over the processes of a group.

    loss = cross_entropy(all processes' inputs, side by side along the classes; target)

    Parameters
    ----------
    input : Tensor, shape (C,), (N, C) or (N, C, d1, ...)
        Logits of the C classes of this process; process r has those after r - 1's.
    target : Tensor, shape (), (N,) or (N, d1, ...) of integers, or the shape of ``input``
        Class indices of the whole vocabulary, the same in every process; or the probability of
        every class of this process.
    weight : Tensor, shape (V,), optional
        Weight of each class of the whole vocabulary.
    group : ProcessGroup, optional
        Of torch.distributed; all processes if not given. Every one of them has to call.
    ignore_index, reduction, label_smoothing, token_weight, temperature, softcap, z_loss, axis
        As in `cross_entropy`, and the same in every process.
    empty, stats
        As in `cross_entropy`.

    Returns
    -------
    Tensor
        In nats, float32 or better, the same in every process; with the gradient of its own logits.

    Raises
    ------
    ConnectionError
        If a process of the group was lost, or is silent for longer than the group's timeout.
    ValueError, TypeError
        If the arguments are wrong, here or in another process.

    Notes
    -----
    The processes exchange one largest logit, one index and two to five sums a row, never logits.

    Examples
    --------
    >>> from torch import distributed  # a group of one
    >>> distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    >>> vocab_parallel_cross_entropy(torch.zeros(1, 4), torch.tensor([2])).item()  # log 4
    1.3862943649291992
    >>> distributed.destroy_process_group()

    References
    ----------
    Shoeybi, M. et al. (2019). Megatron-LM, section 3.
    """
    if told_apart(stats, weight, target):
        return with_stats(
            vocab_parallel_cross_entropy, input, target, weight=weight, group=group, empty=empty,
            ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing,
            token_weight=token_weight, temperature=temperature, softcap=softcap, z_loss=z_loss,
            axis=axis,
        )  # fmt: skip
    members(group)
    try:
        check_input(input)
        o = options(
            reduction, ignore_index=ignore_index, label_smoothing=label_smoothing,
            temperature=temperature, softcap=softcap, z_loss=z_loss, empty=empty,
        )  # fmt: skip
        axis = class_axis(input, axis)
        target = check_target(input.shape, target, axis, ignore_index)
        shape = input.shape[:axis] + input.shape[axis + 1 :]
        logits = as_rows(input, axis)
        flat = as_rows(target, axis) if target.is_floating_point() else target.reshape(-1)
        check_weight("token_weight", token_weight, shape, "row")
        _group.refuse_the_traced()
        check_given(target=target, weight=weight, token_weight=token_weight)
    except (ValueError, TypeError):
        call_off(group, input)
        raise
    rows = shard(logits, flat, weight, token_weight, o, group, stats, shape, logits.shape[1])
    total, fill = rows.weigh(shape)
    compiled: Any = _Sharded.apply
    wants = input.requires_grad and torch.is_grad_enabled()
    found = compiled(logits, Job(rows, o, total), wants)
    return rows.answer(found, shape, fill)


def check_given(**given: object) -> None:
    """Refuse targets and weights that are no tensors, or that learn: nobody shares that out."""
    for name, tensor in given.items():
        if not (tensor is None or isinstance(tensor, Tensor)):
            raise _check.wrong_kind(name, "be a tensor", _check.a(tensor))
        if learns(tensor):
            must = "not require a gradient where a vocabulary is shared"
            raise _check.invalid(name, must, "one that does", "Give it detached, `.detach()`.")


def sharded_head(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    o: Options,
    group: Any,
    stats: bool,
    shape: torch.Size,
) -> Any:
    """Run the chunk loop on this process's part of a head; the arguments are checked."""
    rows = shard(x, target, weight, token_weight, o, group, stats, shape, w.shape[0])
    total, fill = rows.weigh(shape)
    enabled = torch.is_grad_enabled()
    x = spread(x, group)
    wants = tuple(t is not None and t.requires_grad and enabled for t in (x, w, b))
    compiled: Any = Head.apply
    return rows.answer(compiled(x, w, b, Job(rows, o, total), wants), shape, fill)


def _score(
    logits: Tensor, job: Job, ups: tuple[Tensor | None, ...] | None, g: float
) -> tuple[list[Tensor], Tensor | None]:
    """Score all rows, a few at a time; with ``ups`` return the gradient too."""
    count = logits.shape[0]
    rows: Any = job.rows
    step = chunk_rows(count, rows.widest, logits.element_size(), rows.buffers)
    grad = None if ups is None else torch.empty_like(logits, memory_format=torch.contiguous_format)
    found = []
    for start in range(0, max(count, 1), step):
        few = slice(start, min(start + step, count))
        z = logits[few].detach()
        if grad is not None:
            z = grad[few].copy_(z)
        here = None if ups is None else tuple(None if u is None else u[few] for u in ups)
        found.append(rows.fused(z, few, g, here))
    return [torch.cat(parts) for parts in zip(*found, strict=True)], grad


class _Sharded(torch.autograd.Function):
    """Autograd of sharded logits; the gradient of one number comes with the forward."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, job: Job, wants: bool) -> Any:
        ctx.job = job
        ctx.save_for_backward(logits)
        stats = getattr(job.rows, "stats", False)
        wants = wants and job.reduction != "none" and not stats and logits.dtype != torch.float16
        values, ctx.gift = _score(logits, job, () if wants else None, job.g)
        dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        loss = values[0] if job.reduction == "none" else values[0].sum() * job.g
        if len(values) == 1:
            return loss.to(dtype)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(values[4])
        return loss.to(dtype), *(v.to(dtype) for v in values[1:4]), values[4]

    @staticmethod
    def backward(ctx: Any, *pulled: Any) -> Any:
        (logits,) = ctx.saved_tensors
        job, gift, ctx.gift = ctx.job, ctx.gift, None
        if all(p is None for p in pulled):
            return None, None, None
        if torch.is_grad_enabled():
            return *differentiate(job, logits, logits, pulled), None, None
        if gift is not None:
            factor = float(pulled[0])
            return gift.mul_(factor) if factor != 1.0 else gift, None, None
        g, ups = pushes(job, pulled, logits.shape[0])
        return _score(logits, job, ups, g)[1], None, None
