"""The chunk loop: a linear head and its loss, a few hundred rows at a time.

Logits of a chunk are made in one buffer, scored, and overwritten by their own gradient, which two
matrix products carry on to the input and to the weight. So a step takes three products, as one with
all logits does, and [N, V] never exists. The loop is written here once; what differs between heads
is the object that scores the rows (`ChunkRows`): compiled on CPU, torch operations elsewhere.
"""

from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from xent.losses._buffer import empty_buffer
from xent.losses._reduction import exact_dtype, loss_dtype
from xent.losses._rows._autograd import pack, scale_once, unpack, without_inference
from xent.losses._rows._chunks import (
    Job,
    Upstream,
    chunk_size,
    differentiate,
    in_chunk,
    upstream_of_rows,
)
from xent.losses._rows._formula import at_least_float32
from xent.losses._torch_private import is_batched

Wanted = tuple[bool, bool, bool]  # which gradients: of the input, the weight and the bias


class _Kept:
    """Logits of a forward's last chunk, with which its backward begins.

    Of all graphs that wait for their backward only the newest has them: together they take no more
    memory than one.
    """

    def __init__(self, logits: Tensor) -> None:
        older = _newest.get("kept")
        if older is not None:
            older.logits = None
        self.logits: Tensor | None = logits
        _newest["kept"] = self


_newest: WeakValueDictionary[str, _Kept] = WeakValueDictionary()


def _loop(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    job: Job,
    upstream: Upstream | None,
    wants: Wanted,
    g: Any,
    keeps: bool = False,
    kept: Tensor | None = None,
) -> tuple[list[Tensor], list[Tensor | None], Tensor]:
    """Score all rows; with ``upstream`` (of each row, empty for ones) also the wanted gradients.

    Also return the chunks' buffer: where the forward ``keeps`` it, the backward is spared the last
    chunk's product, if it is still there (``kept``).
    """
    count, classes = x.shape[0], w.shape[0]
    widest = getattr(job.rows, "widest", classes)  # where processes share the classes
    step = chunk_size(count, widest, x.element_size(), job.rows.buffers, keeps)
    buffer = empty_buffer((min(step, count), classes), x, x.dtype) if kept is None else kept
    exact = loss_dtype(x)
    grad_x = torch.empty_like(x) if wants[0] else None
    # The weight's gradient is a sum over chunks: in bfloat16 each addition would cost a digit.
    grad_w = _gradient_like(w, exact, buffer) if wants[1] else None
    grad_b = w.new_zeros(classes, dtype=exact) if wants[2] else None
    first = True
    values: list[Tensor] = []
    starts = range(0, max(count, 1), step)
    # Backward ends where forward began, whether the logits are still there or not: the same sums.
    for start in reversed(starts) if keeps and upstream is not None else starts:
        rows = slice(start, min(start + step, count))
        z = buffer[: rows.stop - start]
        if kept is not None:
            kept = None
        elif b is None:
            torch.mm(x[rows], w.t(), out=z)
        else:
            torch.addmm(b, x[rows], w.t(), out=z)
        of_rows = in_chunk(upstream, rows)
        scored = job.rows.fused(z, rows, g, of_rows)
        if scored is None:
            scored = _score_in_torch(job, z, rows, g, of_rows)
        # Written to tensors made once: small pieces that outlive a chunk would split the heap's
        # holes, and each chunk's buffers would take new pages.
        values = values or [v.new_empty(count) for v in scored]
        for whole, part in zip(values, scored, strict=True):
            whole[rows] = part
        del scored
        if grad_x is not None:
            torch.mm(z, w, out=grad_x[rows])
        if grad_w is not None and grad_w.dtype == z.dtype:
            torch.addmm(grad_w, z.t(), x[rows], beta=0.0 if first else 1.0, out=grad_w)
        elif grad_w is not None:
            part = z.t() @ x[rows]
            grad_w.copy_(part) if first else grad_w.add_(part)
        first = False
        if grad_b is not None:
            grad_b += z.sum(0, dtype=exact)
    grads = [None if grad is None else grad.to(w.dtype) for grad in (grad_w, grad_b)]
    return values, [grad_x, *grads], buffer


def _gradient_like(w: Tensor, dtype: torch.dtype, buffer: Tensor) -> Tensor:
    """Make the weight's gradient; it lies as the weight does, else it were copied.

    One piece of memory is used again from step to step as it is: the larger of it and the buffer.
    """
    if w.is_contiguous() and w.numel() * dtype.itemsize >= buffer.nbytes:
        return empty_buffer(w.shape, w, dtype)
    return torch.empty_like(w, dtype=dtype)


def _score_in_torch(
    job: Job, z: Tensor, rows: slice, g: Any, upstream: Upstream | None
) -> tuple[Tensor, ...]:
    if upstream is None:
        return job.rows.plain(z, rows)
    with torch.enable_grad():
        leaf = z.detach().requires_grad_()
        found = job.rows.plain(leaf, rows)
        total = leaf.new_zeros((), dtype=at_least_float32(leaf).dtype)
        for i, value in enumerate(found):
            up = upstream[i] if i < len(upstream) else None
            if up is not None:
                total = total + (value * up.to(value.dtype)).sum() * (g if i == 0 else 1.0)
            elif i == 0 and not upstream:
                total = total + value.sum() * g
        (grad,) = torch.autograd.grad(total, leaf, allow_unused=True)
    z.copy_(grad) if grad is not None else z.zero_()
    return tuple(v.detach() for v in found)


def reduced(values: Tensor, job: Job) -> Tensor:
    """Return the loss that the rows' values add up to."""
    return values if job.reduction == "none" else values.to(exact_dtype(values)).sum() * job.g


def score_all(
    x: Tensor, w: Tensor, b: Tensor | None, job: Job, wants: Wanted
) -> tuple[Tensor, list[Tensor | None]]:
    """Return the loss, and the gradients that are wanted with it."""
    values, grads, _ = _loop(x, w, b, job, () if any(wants) else None, wants, job.g)
    return reduced(values[0], job).to(loss_dtype(x)), grads


def score_columns(x: Tensor, w: Tensor, b: Tensor | None, job: Job) -> tuple[Tensor, ...]:
    """Return the loss, and the statistics of the rows."""
    values, _, _ = _loop(x, w, b, job, None, (False,) * 3, job.g)
    return reduced(values[0], job).to(loss_dtype(x)), *values[1:]


def gradients_of(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    job: Job,
    upstream: Any,
    wants: Wanted,
    keeps: bool = False,
    logits: Tensor | None = None,
) -> list[Tensor | None]:
    """Return the wanted gradients for upstream gradients of the loss and its statistics."""
    g, of_rows = upstream_of_rows(job, upstream, x.shape[0])
    return _loop(x, w, b, job, of_rows, wants, g, keeps, logits)[1]


class Head(torch.autograd.Function):
    """Autograd of the chunk loop: where one number is wanted, gradients come with the forward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None, job: Job, wants: Wanted) -> Any:
        ctx.job, ctx.wants = job, wants
        # All that backward reads, so that torch notices what was overwritten in between.
        ctx.save_for_backward(x, w, b, *without_inference(*job.saved))
        stats = getattr(job.rows, "stats", False)
        eager = any(wants) and job.reduction != "none" and not stats
        # A loss scaler has to reach the gradient before float16 rounds it.
        eager = eager and x.dtype != torch.float16
        ctx.keeps = any(wants) and not eager and getattr(job.rows, "keeps", False)
        upstream, now = ((), wants) if eager else (None, (False,) * 3)
        values, grads, buffer = _loop(x, w, b, job, upstream, now, job.g, ctx.keeps)
        ctx.saved_gradients = [pack(grad) for grad in grads] if eager else None
        ctx.kept = _Kept(buffer) if ctx.keeps else None
        loss, dtype = reduced(values[0], job), loss_dtype(x)
        if len(values) == 1:
            return loss.to(dtype)
        ctx.set_materialize_grads(False)
        argmax = values[4].long()
        ctx.mark_non_differentiable(argmax)
        return loss.to(dtype), *(v.to(dtype) for v in values[1:4]), argmax

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        saved, ctx.saved_gradients = ctx.saved_gradients, None
        if all(up is None for up in upstream):
            return None, None, None, None, None
        if torch.is_grad_enabled() or is_batched(upstream):
            return *_differentiate_twice(ctx, upstream), None, None
        if saved is not None:
            grads = [
                None if grad is None else scale_once(unpack(grad), upstream[0]) for grad in saved
            ]
            return *grads, None, None
        x, w, b = ctx.saved_tensors[:3]
        kept, ctx.kept = ctx.kept, None
        logits = None if kept is None else kept.logits
        grads = gradients_of(x, w, b, ctx.job, upstream, ctx.wants, ctx.keeps, logits)
        return *grads, None, None


def _differentiate_twice(ctx: Any, upstream: Any) -> list[Tensor | None]:
    """Differentiate through the formula on all logits: what a second derivative needs."""
    x, w, b = ctx.saved_tensors[:3]
    inputs = [t for t, want in zip((x, w, b), ctx.wants, strict=True) if want]
    with torch.enable_grad():
        logits = torch.nn.functional.linear(x, w, b)
    grads = iter(differentiate(ctx.job, logits, inputs, upstream))
    return [next(grads) if want else None for want in ctx.wants]
