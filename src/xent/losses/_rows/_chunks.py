"""Rows that are scored chunk by chunk: what a chunk has to know, and how large it is.

The loops over chunks, of a head and of logits that several processes share, are where they are
used; what is scored in them is the same.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from xent.losses._arguments import Options

Upstream = tuple[Tensor | None, ...]

# Each chunk takes the head and its gradient through memory four times, 16 bytes an element, beside
# 6 operations an element and row. A core does 10 to 50 operations while a byte comes: from some 27
# to 133 rows on, the products do not wait. The head is also brought into the order of the product's
# inner loop anew for each chunk, which takes about a seventh of a product of 256 rows.
_CHUNK_BYTES = 3 << 23
_KEPT_BYTES = 1 << 25  # where a backward is spared the last chunk: the longer, the more
_CHUNK_ROWS = 256
_STRIP = 16  # rows that a matrix product takes at once


class ChunkRows(Protocol):
    """Scores rows of logits, of which it knows all but the logits."""

    buffers: int  # by how much a chunk is smaller, for the buffers of its size that scoring takes

    def counted(self) -> Tensor | None:
        """Say which rows count, of those that are needed for nothing else; None for all."""

    def plain(self, logits: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """Return what the head returns for each row, in differentiable torch operations."""

    def fused(
        self, logits: Tensor, rows: slice, g: float, upstream: Upstream | None
    ) -> tuple[Tensor, ...] | None:
        """Do the same in compiled rows; with ``upstream`` overwrite the logits by their gradient.

        None says that these logits have to go through `plain`.
        """


class Job(NamedTuple):
    """One call of a loss in chunks."""

    rows: ChunkRows
    options: Options
    total: Any  # the sum of the rows' weights; a tensor where it needs a gradient or is traced
    learnt: bool = False  # a gradient is asked for of a target or of a weight
    saved: Upstream = ()  # what backward reads beside the head

    @property
    def reduction(self) -> str:
        """What becomes of the rows' values."""
        return self.options.reduction

    @property
    def g(self) -> Any:
        """What the rows' values are multiplied by; nobody waits for a device to know it."""
        if self.reduction == "mean" and isinstance(self.total, Tensor):
            return self.total.where(self.total != 0, 1.0).reciprocal()
        return 1.0 / self.total if self.reduction == "mean" and self.total else 1.0


def chunk_size(count: int, classes: int, itemsize: int, buffers: int, kept: bool = False) -> int:
    """Rows of a chunk: all alike, for a backward is spared the last, and that may be small else."""
    size = _KEPT_BYTES if kept else _CHUNK_BYTES
    most = max(1, max(_CHUNK_ROWS, size // max(1, classes * itemsize)) // buffers)
    each = -(-count // max(1, -(-count // most)))
    return max(1, min(-(-each // _STRIP) * _STRIP, most, count))


def upstream_of_rows(job: Job, grads: Sequence[Any], count: int) -> tuple[Any, Upstream]:
    """Return a factor, and the upstream gradients of the rows: ones where the loss is a number."""
    up = grads[0]
    if up is None or job.reduction == "none":
        return 1.0, (up, *grads[1:4])
    factor = float(up) if up.is_cpu else up
    return job.g * factor, (up.new_ones(()).expand(count), *grads[1:4])


def in_chunk(upstream: Upstream | None, rows: slice) -> Upstream | None:
    """Return the upstream gradients of some rows."""
    return None if upstream is None else tuple(None if u is None else u[rows] for u in upstream)


def fused_in_float32(
    scored: ChunkRows, logits: Tensor, rows: slice, g: float, upstream: Upstream | None
) -> tuple[Tensor, ...] | None:
    """Do `ChunkRows.fused` of logits of half precision that the kernels do not take themselves."""
    wide = logits.float()
    found = scored.fused(wide, rows, g, upstream)
    if upstream is not None:
        logits.copy_(wide)
    return found


def differentiate(job: Job, logits: Tensor, inputs: Any, grads: Any) -> tuple[Tensor, ...]:
    """Return the inputs' gradients of the formula, that can be differentiated in their turn."""
    with torch.enable_grad():
        found = job.rows.plain(logits, slice(None))
        loss = found[0] if job.reduction == "none" else found[0].sum() * job.g
        pairs = zip((loss, *found[1:4]), grads, strict=False)
        reached = [(out, up.to(out.dtype)) for out, up in pairs if up is not None]
        outs, ups = zip(*reached, strict=True)
        result: tuple[Tensor, ...] = torch.autograd.grad(outs, inputs, ups, create_graph=True)
    return result
