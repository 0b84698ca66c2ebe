"""Cross-entropy of logits whose classes several processes share, and its autograd.

What the processes exchange, and how a row is made whole of it, is in `_sharded_rows`.
"""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from xent.losses._arguments import (
    check_deprecated,
    check_input,
    check_options,
    check_weight,
    class_axis,
    row_shape,
)
from xent.losses._overrides import SHARING, overridable, parts_here
from xent.losses._parallel._group import check_group, refuse_in_all, refuse_transforms
from xent.losses._parallel._sharded_rows import check_no_gradient, share_rows
from xent.losses._reduction import loss_dtype
from xent.losses._rows._autograd import pack, scale_once, unpack
from xent.losses._rows._chunks import (
    Job,
    Upstream,
    chunk_size,
    differentiate,
    in_chunk,
    upstream_of_rows,
)
from xent.losses._rows._stats import in_two_passes, stats_need_second_pass
from xent.losses._rows._targets import check_target, one_ignored


@overridable
def vocab_parallel_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    group: Any = None,
    ignore_index: int | Collection[int] = -100,
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
        Logits of the C classes of this process, maybe none; process r has those after r - 1's.
    target : Tensor, shape (), (N,) or (N, d1, ...) of integers, or the shape of ``input``
        Class indices of the whole vocabulary, the same in every process. Or the probabilities of
        this process's classes.
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
    if stats_need_second_pass(stats, weight, target):
        return in_two_passes(
            vocab_parallel_cross_entropy, input, target, weight=weight, group=group, empty=empty,
            ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing,
            token_weight=token_weight, temperature=temperature, softcap=softcap, z_loss=z_loss,
            axis=axis,
        )  # fmt: skip
    check_group(group)
    with refuse_in_all(group, input):
        check_input(input)
        target, ignored = one_ignored(target, ignore_index)
        o = check_options(
            reduction, ignore_index=ignored, label_smoothing=label_smoothing,
            temperature=temperature, softcap=softcap, z_loss=z_loss, empty=empty,
        )  # fmt: skip
        axis = class_axis(input, axis, least=0)
        target = check_target(input.shape, target, axis, ignored)
        shape = row_shape(input, axis)
        logits = _as_rows(input, axis, shape)
        flat = _as_rows(target, axis, shape) if target.is_floating_point() else target.reshape(-1)
        check_weight("token_weight", token_weight, shape, "row")
        refuse_transforms()
        check_no_gradient(target=target, weight=weight, token_weight=token_weight)
    rows = share_rows(logits, flat, weight, token_weight, o, group, stats, shape, logits.shape[1])
    total, fill = rows.total(shape)
    sharded: Any = _ShardedLogits.apply
    wants = input.requires_grad and torch.is_grad_enabled()
    return rows.finish(sharded(logits, Job(rows, o, total), wants), shape, fill)


def _as_rows(tensor: Tensor, axis: int, shape: torch.Size) -> Tensor:
    """Classes last, all else flattened; there may be none."""
    return tensor.movedim(axis, -1).reshape(shape.numel(), tensor.shape[axis])


def _score(
    logits: Tensor, job: Job, upstream: Upstream | None, g: float
) -> tuple[list[Tensor], Tensor | None]:
    """Score all rows, a chunk at a time; with ``upstream`` return the gradient too."""
    count = logits.shape[0]
    rows: Any = job.rows
    step = chunk_size(count, rows.widest, logits.element_size(), rows.buffers)
    grad = None
    if upstream is not None:
        grad = torch.empty_like(logits, memory_format=torch.contiguous_format)
    found = []
    for start in range(0, max(count, 1), step):
        chunk = slice(start, min(start + step, count))
        z = logits[chunk].detach()
        if grad is not None:
            z = grad[chunk].copy_(z)
        found.append(rows.fused(z, chunk, g, in_chunk(upstream, chunk)))
    return [torch.cat(parts) for parts in zip(*found, strict=True)], grad


class _ShardedLogits(torch.autograd.Function):
    """Autograd of sharded logits; the gradient of one number comes with the forward."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, job: Job, wants: bool) -> Any:
        ctx.job = job
        ctx.save_for_backward(logits)
        stats = getattr(job.rows, "stats", False)
        wants = wants and job.reduction != "none" and not stats and logits.dtype != torch.float16
        values, grad = _score(logits, job, () if wants else None, job.g)
        ctx.saved_gradient = pack(grad)
        dtype = loss_dtype(logits)
        loss = values[0] if job.reduction == "none" else values[0].sum() * job.g
        if len(values) == 1:
            return loss.to(dtype)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(values[4])
        return loss.to(dtype), *(v.to(dtype) for v in values[1:4]), values[4]

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        (logits,) = ctx.saved_tensors
        job, saved, ctx.saved_gradient = ctx.job, ctx.saved_gradient, None
        if all(up is None for up in upstream):
            return None, None, None
        if torch.is_grad_enabled():
            return *differentiate(job, logits, logits, upstream), None, None
        if saved is not None:
            return scale_once(unpack(saved), upstream[0]), None, None
        g, of_rows = upstream_of_rows(job, upstream, logits.shape[0])
        return _score(logits, job, of_rows, g)[1], None, None


def _of_sharded_tensor(**arguments: Any) -> Any:
    """`cross_entropy` of a DTensor whose classes are sharded, as `loss_parallel` takes them."""
    input, target = arguments["input"], arguments["target"]
    axis = class_axis(input, arguments.pop("axis", None))
    sharded = {"input": axis}
    if isinstance(target, Tensor) and target.is_floating_point():
        sharded["target"] = axis
    check_deprecated(arguments.pop("size_average", None), arguments.pop("reduce", None))
    arguments.pop("inplace_backward", None)
    found, group = parts_here(sharded, arguments, "input")
    return vocab_parallel_cross_entropy(**found, axis=axis, group=group)


SHARING["cross_entropy"] = _of_sharded_tensor
