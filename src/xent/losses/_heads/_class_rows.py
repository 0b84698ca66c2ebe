"""Rows of class logits in a head."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent.losses._device import _class_rows
from xent.losses._device._class_indices import score_in_place, takes
from xent.losses._heads._head import job_of
from xent.losses._rows._calls import NO_STAT_GRADS, NO_STATS, NOTHING, FloatArray, to_float64
from xent.losses._rows._chunks import Job, Upstream, fused_in_float32
from xent.losses._rows._softmax import SoftmaxRows
from xent.losses._triton._class import score_head_rows


def class_job(rows: SoftmaxRows, stats: bool, total: Any) -> Job:
    """Return the job of cross-entropy rows, with their statistics or without."""
    saved = rows.target, rows.weight, rows.row_weight
    return job_of(ClassRows(rows, stats), rows.options, total, *saved)


class ClassRows:
    """Cross-entropy rows in a head; with ``stats`` their statistics too."""

    buffers = 1
    keeps = True  # the logits, where no gradient is asked for

    def __init__(self, rows: SoftmaxRows, stats: bool, entropy: bool = False) -> None:
        # entropy: of the statistics return that alone
        self.rows, self.stats, self.entropy = rows, stats, entropy

    def counted(self) -> Tensor | None:
        """See `ChunkRows`."""
        return None if self.stats else self.rows.counted()

    def plain(self, logits: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """See `ChunkRows`."""
        if not self.stats:
            return (self.rows.plain(logits, rows),)
        found = self.rows.plain(logits, rows, stats=True)
        return (found[3],) if self.entropy else tuple(found)

    def fused(
        self, logits: Tensor, rows: slice, g: float, upstream: Upstream | None
    ) -> tuple[Tensor, ...] | None:
        """See `ChunkRows`."""
        if not logits.is_cpu:
            return self._on_device(logits, rows, g, upstream)
        if logits.dtype == torch.float16:
            return fused_in_float32(self, logits, rows, g, upstream)
        if upstream is not None:
            scale, stat_grads = self._upstream(logits, rows, upstream)
            values = self.rows.fused(logits, logits, rows, g=g, scale=scale, stat_grads=stat_grads)
            return (torch.from_numpy(values),)
        stats = np.empty((len(logits), 4)) if self.stats else NO_STATS
        loss = torch.from_numpy(self.rows.fused(logits, None, rows, stats=stats))
        if not self.stats:
            return (loss,)
        columns = torch.from_numpy(stats)
        return (columns[:, 2],) if self.entropy else (loss, *(columns[:, c] for c in range(4)))

    def _on_device(
        self, logits: Tensor, rows: slice, g: Any, upstream: Upstream | None
    ) -> tuple[Tensor, ...] | None:
        """Score rows in Triton, or in torch operations."""
        factor = None if upstream is None else g
        each = self._in_order(upstream or ())
        found = score_head_rows(logits, self.rows, rows, factor, each, self.stats)
        if found is not None:
            return (found[3],) if self.entropy else found
        if self.stats or not (self.rows.hard and takes(self.rows.options, self.rows.weight)):
            of_loss = g if upstream == () else each[0] if each[0] is None else each[0] * g
            slopes = None if upstream is None else (of_loss, *each[1:])
            found = _class_rows.score_in_place(logits, self.rows, rows, self.stats, slopes)
            return (found[3],) if self.entropy else found
        of_row: Any = None
        if upstream is not None:
            of_row = g if not upstream or upstream[0] is None else upstream[0] * g
        row_weight = self.rows.row_weight
        row_weight = None if row_weight is None else row_weight[rows]
        target, o = self.rows.target[rows], self.rows.options
        return (score_in_place(logits, target, self.rows.weight, row_weight, o, of_row),)

    def _in_order(self, upstream: Upstream) -> Upstream:
        """Return the upstream gradients of loss, log-normaliser, log-probability and entropy."""
        absent = (None,) * 4
        return (*absent[: 3 if self.entropy else 0], *upstream, *absent)[:4]

    def _upstream(
        self, logits: Tensor, rows: slice, upstream: Upstream
    ) -> tuple[FloatArray, FloatArray]:
        """Return the upstream gradients of the losses (none for ones) and of the statistics."""
        of_loss, *of_stats = self._in_order(upstream)
        count, stat_grads = len(logits), NO_STAT_GRADS
        if any(grad is not None for grad in of_stats):
            stat_grads = np.zeros((count, 3))
            for c, grad in enumerate(of_stats):
                if grad is not None:
                    stat_grads[:, c] = grad.double().numpy()
            if self.rows.hard:
                ignored = self.rows.target[rows] == self.rows.options.ignore_index
                stat_grads[ignored.numpy(), 1] = 0.0
        if of_loss is not None:
            return to_float64(of_loss), stat_grads
        return np.zeros(count) if len(stat_grads) else NOTHING, stat_grads
