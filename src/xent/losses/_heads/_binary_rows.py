"""Rows of binary targets in a head."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent._kernels.rows import binary as kernels
from xent._kernels.rows.sums import compensated_sum
from xent.losses._arguments import Options
from xent.losses._device._answers import WrittenAnswers
from xent.losses._reduction import apply_weight, loss_dtype
from xent.losses._rows._calls import as_numpy
from xent.losses._rows._chunks import Upstream, fused_in_float32
from xent.losses._rows._formula import (
    at_least_float32,
    binary_values,
    cap_and_scale,
    zero_masked_rows,
)
from xent.losses._rows._weights import BinaryWeights
from xent.losses._threads import KernelCall, in_blocks
from xent.losses._torch_private import is_traced
from xent.losses._triton._binary import score_head_answers

_MIN_ROWS = 16  # what one thread is worth waking for


class BinaryRows:
    """Rows of binary targets in a head."""

    buffers = 1

    def __init__(
        self,
        target: Tensor,
        weight: Tensor | None,
        pos_weight: Tensor | None,
        classes: int,
        ignore_index: float | None,
        row_weight: Tensor | None,
        options: Options,
        count: int,
    ) -> None:
        self.target, self.weight, self.pos_weight = target, weight, pos_weight
        self.classes, self.ignore_index, self.row_weight = classes, ignore_index, row_weight
        self.options = options
        self.soft = target.is_floating_point()
        self.ends: list[int] | None = None
        if not self.soft and target.is_cpu and not is_traced():
            # where the pairs of each row end: only rows are ever made dense, one at a time
            ends = target.new_zeros(count)
            if len(target):
                ends = torch.bincount(target[:, 0], minlength=count).cumsum(0)
            self.ends = [0, *ends.tolist()]

    def counted(self) -> Tensor | None:
        """See `ChunkRows`."""
        return None if self.row_weight is None else self.row_weight != 0

    def plain(self, logits: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """See `ChunkRows`."""
        target, weight = self._target_of(rows, logits)
        if self.row_weight is not None:
            counts = self.row_weight[rows]
            logits, target = zero_masked_rows(logits, counts), zero_masked_rows(target, counts)
        if weight is not None and self.options.softcap:
            logits = logits.where((weight != 0) | ~logits.isnan(), 0.0)
        z = cap_and_scale(logits, self.options)
        values = binary_values(z, target, weight, self.pos_weight).sum(-1)
        if self.row_weight is None:
            return (values,)
        return (apply_weight(values, self.row_weight[rows].to(values.dtype)),)

    def _target_of(self, rows: slice, like: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the smoothed targets of some rows, and the weight of each."""
        weight = self.weight
        if self.soft:
            target = self.target[rows]
            if self.ignore_index is not None:
                kept = target != self.ignore_index
                target = target.where(kept, 0.0)
                weight = kept if weight is None else weight * kept
        else:
            target = self._dense(rows, like)
        smoothing = self.options.label_smoothing
        if smoothing:
            target = at_least_float32(target) * (1 - smoothing) + smoothing / 2
        return target, weight

    def _dense(self, rows: slice, like: Tensor) -> Tensor:
        """Return the targets of some rows that are given as pairs."""
        start, count = rows.start or 0, like.shape[0]
        target = torch.zeros(like.shape, device=like.device)
        if self.ends is not None:
            pairs = self.target[self.ends[start] : self.ends[start + count]]
            target[pairs[:, 0] - start, pairs[:, 1]] = 1.0
            return target
        # Nobody waits to know which pairs are of these rows.
        place, classes = self.target[:, 0] - start, self.target[:, 1]
        here = (place >= 0) & (place < count)
        ones = here.to(target.dtype)
        target = target.index_put((place.where(here, 0), classes), ones, accumulate=True)
        return target.clamp(max=1.0)

    def fused(
        self, logits: Tensor, rows: slice, g: float, upstream: Upstream | None
    ) -> tuple[Tensor, ...] | None:
        """See `ChunkRows`."""
        if not logits.is_cpu:
            return self._on_device(logits, rows, g, upstream)
        o, slope = self.options, None
        bends = o.softcap or o.temperature != 1.0
        if logits.dtype == torch.float16 or (bends and logits.dtype == torch.bfloat16):
            return fused_in_float32(self, logits, rows, g, upstream)
        if bends:
            if o.softcap:
                capped = logits.div_(o.softcap).tanh_()
                if upstream is not None:
                    slope = (1 - capped * capped) / o.temperature
                capped.mul_(o.softcap)
            logits.div_(o.temperature)
        each = logits.new_full((logits.shape[0],), g, dtype=torch.float64)
        if upstream and upstream[0] is not None:
            each = each * upstream[0]
        row_weight = None if self.row_weight is None else self.row_weight[rows].double()
        each = each if row_weight is None else each * row_weight
        values = torch.from_numpy(
            self._score(as_numpy(logits), rows.start, each.numpy(), upstream is not None)
        )
        if slope is not None:
            logits.mul_(slope)
        elif o.temperature != 1.0 and upstream is not None:
            logits.div_(o.temperature)
        if row_weight is None:
            return (values,)
        if upstream is not None:
            logits[row_weight == 0] = 0.0
        return (apply_weight(values, row_weight),)

    def _on_device(
        self, logits: Tensor, rows: slice, g: Any, upstream: Upstream | None
    ) -> tuple[Tensor, ...] | None:
        """Score rows in Triton, or in a few operations of torch's."""
        target = self.target[rows] if self.soft else self._dense(rows, logits)
        row_weight = None if self.row_weight is None else self.row_weight[rows]
        of_rows = upstream[0] if upstream else None
        factor = None if upstream is None else g
        weights = self.weight, self.pos_weight, row_weight
        found = score_head_answers(
            logits, target, weights, self.ignore_index, self.options, factor, of_rows
        )
        if found is not None:
            return (found,)
        run = WrittenAnswers(self.ignore_index, self.options, loss_dtype(logits))
        token = None if row_weight is None else row_weight.unsqueeze(1)
        values = run.values(logits, target, self.weight, self.pos_weight, token).sum(1)
        if upstream is not None:
            grad = run.slope(logits, target, self.weight, self.pos_weight, token).mul_(g)
            logits.copy_(grad if of_rows is None else grad.mul_(of_rows.unsqueeze(1)))
        return (values,)

    def _score(self, x: Any, first: int, g: Any, wants: bool) -> Any:
        """Return the losses of rows of logits; where wanted overwrite these by their gradient."""
        values = np.empty(len(x))
        spans = -(-self.classes // kernels.BINARY_BLOCK)
        real = np.float64 if x.dtype == np.float64 else np.float32
        shared = None
        if self.ignore_index is None:
            like = as_numpy(self.target[:1]) if self.soft else np.empty((1, 0), np.float32)
            shared = self._weights(x[:1], like, self.weight)
        plain = self.weight is None and self.pos_weight is None and self.ignore_index is None

        def score(start: int, stop: int) -> None:
            unweighted = kernels.buffers_for(x.dtype)
            weighted = shared.scratch(x.dtype) if shared else None
            dense, totals = np.empty(self.classes, real), np.empty(spans)
            for r in range(start, stop):
                target, weight = self._row(first + r, dense)
                grad = x[r] if wants else x[r, :0]
                rest = (totals, grad, False, 0, spans)
                if plain and kernels.can_sum_in_float32(x, target, g[r]):
                    kernels.sum_of_losses(x[r], target, g[r], unweighted, *rest)
                else:
                    weights = shared or self._weights(x, target, weight)
                    scratch = weighted or weights.scratch(x.dtype)
                    weights.score(x[r], target, g[r], scratch, dense[:0], *rest)
                values[r] = compensated_sum(totals)

        in_blocks(KernelCall(score, len(x), _MIN_ROWS))
        return values

    def _weights(self, x: Any, target: Any, weight: Tensor | None) -> BinaryWeights:
        return BinaryWeights(x, target, torch.Size([self.classes]), weight, self.pos_weight)

    def _row(self, r: int, dense: Any) -> tuple[Any, Tensor | None]:
        """Return the smoothed target of one row, in ``dense`` if it changes, and its weights."""
        weight, smoothing = self.weight, self.options.label_smoothing
        if self.soft:
            target = self.target[r]
            if self.ignore_index is None and not smoothing:
                return as_numpy(target), weight
            target = target.double()
            if self.ignore_index is not None:
                kept = target != self.ignore_index
                weight = kept if weight is None else kept * weight
                target = target * kept
            dense[:] = target.numpy()
        elif self.ends is not None:
            dense[:] = 0.0
            dense[self.target[self.ends[r] : self.ends[r + 1], 1].numpy()] = 1.0
        if smoothing:
            dense *= 1 - smoothing
            dense += smoothing / 2
        return dense, weight
