"""The chunk loop: a linear head and its loss, a few hundred rows at a time.

Logits of a chunk are made in one buffer, scored, and overwritten by their own gradient, which two
matrix products carry on to the input and to the weight. So a step takes three products, as one with
all logits does, and [N, V] never exists. The loop is written here once; what differs between heads
is the object that scores the rows (`HeadRows`): compiled on CPU, torch operations elsewhere.
"""

from typing import Any, NamedTuple, Protocol
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from xent.losses._options import Options, at_least_float32, batched, watched
from xent.losses._softmax import SoftmaxRows, empty

# Each chunk takes the head and its gradient through memory four times, 16 bytes an element, beside
# 6 operations an element and row. A core does 10 to 50 operations while a byte comes: from some 27
# to 133 rows on, the products do not wait. The head is also brought into the order of the product's
# inner loop anew for each chunk, which takes about a seventh of a product of 256 rows.
_CHUNK_BYTES = 3 << 23
_KEPT_BYTES = 1 << 25  # where a backward is spared the last chunk: the longer, the more
_CHUNK_ROWS = 256
_STRIP = 16  # rows that a matrix product takes at once


class HeadRows(Protocol):
    """Scores rows of logits, of which it knows all but the logits."""

    buffers: int  # by how much a chunk is smaller, for the buffers of its size that scoring takes

    def plain(self, logits: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """Return what the head returns for each row, in differentiable torch operations."""

    def fused(
        self, logits: Tensor, rows: slice, g: float, ups: tuple[Tensor | None, ...] | None
    ) -> tuple[Tensor, ...] | None:
        """Do the same in compiled rows; with ``ups`` overwrite the logits by their gradient.

        None says that these logits have to go through `plain`.
        """


class Job(NamedTuple):
    """One call of a head."""

    rows: HeadRows
    options: Options
    total: Any  # what the rows weigh together; a tensor where that learns or is traced
    learnt: bool = False  # a gradient is asked for of a target or of a weight
    given: tuple[Tensor | None, ...] = ()  # what backward reads beside the head

    @property
    def reduction(self) -> str:
        """What becomes of the rows' values."""
        return self.options.reduction

    @property
    def g(self) -> float:
        """What the rows' values are multiplied by."""
        return 1.0 / self.total if self.reduction == "mean" and self.total else 1.0


class ClassRows:
    """Cross-entropy rows in a head; with ``stats`` their statistics too."""

    buffers = 1
    keeps = True  # the logits, where no gradient is asked for

    def __init__(self, rows: SoftmaxRows, stats: bool, entropy: bool = False) -> None:
        # entropy: of the statistics return that alone
        self.rows, self.stats, self.entropy = rows, stats, entropy

    def plain(self, logits: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """See `HeadRows`."""
        if not self.stats:
            return (self.rows.plain(logits, rows),)
        found = self.rows.plain(logits, rows, stats=True)
        return (found[3],) if self.entropy else tuple(found)

    def fused(
        self, logits: Tensor, rows: slice, g: float, ups: tuple[Tensor | None, ...] | None
    ) -> tuple[Tensor, ...] | None:
        """See `HeadRows`."""
        if logits.dtype == torch.float16 or logits.device.type != "cpu":
            return None
        n = logits.shape[0]
        table = np.empty((n if self.stats else 0, 4))
        if ups is None:
            values = self.rows.fused(logits, None, rows, stats=table)
        else:
            first = 3 if self.entropy else 0
            places: list[Tensor | None] = [None] * 4
            for i, up in enumerate(ups[:4]):
                places[first + i] = up
            pull = np.zeros((n if any(p is not None for p in places[1:]) else 0, 3))
            for c, up in enumerate(places[1:]):
                if up is not None:
                    pull[:, c] = up.double().numpy()
            if len(pull) and self.rows.hard:
                skipped = self.rows.target[rows] == self.rows.options.ignore_index
                pull[skipped.numpy(), 1] = 0.0
            own = places[0]
            scale = np.zeros(n) if own is None else own.double().numpy()
            plain_loss = own is None and not len(pull)
            values = self.rows.fused(
                logits, logits, rows, g=g, scale=np.empty(0) if plain_loss else scale, pull=pull
            )
        found: tuple[Tensor, ...] = (torch.from_numpy(values),)
        if self.stats and ups is None:
            columns = torch.from_numpy(table)
            found = (*found, *(columns[:, c] for c in range(4)))
            return (found[3],) if self.entropy else found
        return found


def chunk_rows(count: int, classes: int, itemsize: int, buffers: int, kept: bool = False) -> int:
    """Rows of a chunk: all alike, for a backward is spared the last, and that may be small else."""
    size = _KEPT_BYTES if kept else _CHUNK_BYTES
    most = max(1, max(_CHUNK_ROWS, size // max(1, classes * itemsize)) // buffers)
    each = -(-count // max(1, -(-count // most)))
    return max(1, min(-(-each // _STRIP) * _STRIP, most, count))


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
    ups: tuple[Tensor | None, ...] | None,
    wants: tuple[bool, bool, bool],
    g: float,
    keeps: bool = False,
    kept: Tensor | None = None,
) -> tuple[list[Tensor], list[Tensor | None], Tensor]:
    """Score all rows; with ``ups`` (of each row, empty for ones) also the wanted gradients.

    Also return the chunks' buffer: where the forward ``keeps`` it, the backward is spared the last
    chunk's product, if it is still there (``kept``).
    """
    count, classes = x.shape[0], w.shape[0]
    widest = getattr(job.rows, "widest", classes)  # where processes share the classes
    step = chunk_rows(count, widest, x.element_size(), job.rows.buffers, keeps)
    buffer = empty((min(step, count), classes), x, x.dtype) if kept is None else kept
    exact = torch.float64 if x.dtype == torch.float64 else torch.float32
    gx = torch.empty_like(x) if wants[0] else None
    # The weight's gradient is a sum over chunks: in bfloat16 each addition would cost a digit.
    gw = _room_for(w, exact, buffer) if wants[1] else None
    first = True
    gb = w.new_zeros(classes, dtype=exact) if wants[2] else None
    values: list[Tensor] = []
    starts = range(0, max(count, 1), step)
    # Backward ends where forward began, whether the logits are still there or not: the same sums.
    for start in reversed(starts) if keeps and ups is not None else starts:
        rows = slice(start, min(start + step, count))
        z = buffer[: rows.stop - start]
        if kept is not None:
            kept = None
        elif b is None:
            torch.mm(x[rows], w.t(), out=z)
        else:
            torch.addmm(b, x[rows], w.t(), out=z)
        here = None if ups is None else tuple(None if u is None else u[rows] for u in ups)
        scored = job.rows.fused(z, rows, g, here)
        if scored is None:
            scored = _score_plainly(job, z, rows, g, here)
        # Kept in room made once: small pieces that outlive a chunk would split the heap's holes,
        # and each chunk's buffers would take new pages.
        values = values or [v.new_empty(count) for v in scored]
        for whole, part in zip(values, scored, strict=True):
            whole[rows] = part
        del scored
        if gx is not None:
            torch.mm(z, w, out=gx[rows])
        if gw is not None and gw.dtype == z.dtype:
            torch.addmm(gw, z.t(), x[rows], beta=0.0 if first else 1.0, out=gw)
        elif gw is not None:
            part = z.t() @ x[rows]
            gw.copy_(part) if first else gw.add_(part)
        first = False
        if gb is not None:
            gb += z.sum(0, dtype=exact)
    grads = [g.to(w.dtype) if g is not None and g.dtype != w.dtype else g for g in (gw, gb)]
    return values, [gx, *grads], buffer


def _room_for(w: Tensor, dtype: torch.dtype, buffer: Tensor) -> Tensor:
    """Make room for the weight's gradient; it lies as the weight does, else it were copied.

    One piece of memory is used again from step to step as it is: the larger of it and the buffer.
    """
    if w.is_contiguous() and w.numel() * dtype.itemsize >= buffer.nbytes:
        return empty(w.shape, w, dtype)
    return torch.empty_like(w, dtype=dtype)


def _score_plainly(
    job: Job, z: Tensor, rows: slice, g: float, ups: tuple[Tensor | None, ...] | None
) -> tuple[Tensor, ...]:
    if ups is None:
        return job.rows.plain(z, rows)
    with torch.enable_grad():
        leaf = z.detach().requires_grad_()
        found = job.rows.plain(leaf, rows)
        total = leaf.new_zeros((), dtype=at_least_float32(leaf).dtype)
        for i, value in enumerate(found):
            up = ups[i] if i < len(ups) else None
            if up is not None:
                total = total + (value * up.to(value.dtype)).sum() * (g if i == 0 else 1.0)
            elif i == 0 and not ups:
                total = total + value.sum() * g
        (grad,) = torch.autograd.grad(total, leaf, allow_unused=True)
    z.copy_(grad) if grad is not None else z.zero_()
    return tuple(v.detach() for v in found)


class Head(torch.autograd.Function):
    """Autograd of the chunk loop: where one number is wanted, gradients come with the forward."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w: Tensor, b: Tensor | None, job: Job, wants: tuple[bool, bool, bool]
    ) -> Any:
        ctx.job, ctx.wants = job, wants
        # All that backward reads, so that torch notices what was overwritten in between.
        ctx.save_for_backward(x, w, b, *watched(*job.given))
        stats = getattr(job.rows, "stats", False)
        eager = any(wants) and job.reduction != "none" and not stats
        # A loss scaler has to reach the gradient before float16 rounds it.
        eager = eager and x.dtype != torch.float16
        ctx.eager = eager
        ctx.keeps = any(wants) and not eager and getattr(job.rows, "keeps", False)
        ups, now = ((), wants) if eager else (None, (False,) * 3)
        values, ctx.gifts, buffer = _loop(x, w, b, job, ups, now, job.g, ctx.keeps)
        ctx.kept = _Kept(buffer) if ctx.keeps else None
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        first = values[0]
        loss = first.double().sum() * job.g if job.reduction != "none" else first
        if len(values) == 1:
            return loss.to(dtype)
        ctx.set_materialize_grads(False)
        argmax = values[4].long()
        ctx.mark_non_differentiable(argmax)
        return loss.to(dtype), *(v.to(dtype) for v in values[1:4]), argmax

    @staticmethod
    def backward(ctx: Any, *pulled: Any) -> Any:
        gifts, ctx.gifts = ctx.gifts, None
        up = pulled[0]
        if all(p is None for p in pulled):
            return None, None, None, None, None
        if torch.is_grad_enabled() or batched(pulled):
            return _again(ctx, pulled)
        if gifts is not None and ctx.eager:
            factor = float(up)
            if factor != 1.0:
                for gift in gifts:
                    if gift is not None:
                        gift.mul_(factor)
            return *gifts, None, None
        x, w, b = ctx.saved_tensors[:3]
        g, ups = pushes(ctx.job, pulled, x.shape[0])
        kept, ctx.kept = ctx.kept, None
        logits = None if kept is None else kept.logits
        grads = _loop(x, w, b, ctx.job, ups, ctx.wants, g, ctx.keeps, logits)[1]
        return *grads, None, None


def pushes(job: Job, pulled: Any, count: int) -> tuple[float, tuple[Tensor | None, ...]]:
    """Return a factor, and the gradients that reach the rows: ones under that where it is one."""
    up = pulled[0]
    if up is None or job.reduction == "none":
        return 1.0, (up, *pulled[1:4])
    return job.g * float(up), (up.new_ones(()).expand(count), *pulled[1:4])


def _again(ctx: Any, pulled: Any) -> Any:
    """Differentiate through the formula on all logits: what a second derivative needs."""
    x, w, b = ctx.saved_tensors[:3]
    inputs = [t for t, want in zip((x, w, b), ctx.wants, strict=True) if want]
    with torch.enable_grad():
        logits = torch.nn.functional.linear(x, w, b)
    grads = iter(differentiate(ctx.job, logits, inputs, pulled))
    return *(next(grads) if want else None for want in ctx.wants), None, None


def differentiate(job: Job, logits: Tensor, inputs: Any, pulled: Any) -> tuple[Tensor, ...]:
    """Return the inputs' gradients of the formula, that can be differentiated in their turn."""
    with torch.enable_grad():
        found = job.rows.plain(logits, slice(None))
        first = found[0] if job.reduction == "none" else found[0].sum() * job.g
        reached = zip((first, *found[1:4]), pulled, strict=False)
        pairs = [(out, up.to(out.dtype)) for out, up in reached if up is not None]
        outs, ups = zip(*pairs, strict=True)
        grads: tuple[Tensor, ...] = torch.autograd.grad(outs, inputs, ups, create_graph=True)
    return grads
