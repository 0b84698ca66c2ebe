"""Cross-entropy of class logits, row by row: one row kernel, two implementations.

`SoftmaxRows` knows a target, weights and options, and turns rows of logits into losses.  `plain`
writes the formula in torch operations; `fused` runs the compiled rows on CPU and writes the
gradient in the same pass. Both keep the largest logit out of the sum.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent._kernels.images import tiles as image_tiles
from xent._kernels.rows.targets import validate_classes
from xent.losses._arguments import Options, can_validate, needs_gradient
from xent.losses._reduction import apply_weight, exact_dtype
from xent.losses._rows._calls import (
    ELEMENTS,
    NO_STAT_GRADS,
    NO_STATS,
    NOTHING,
    FloatArray,
    Run,
    as_numpy,
    run_of_rows,
    run_of_tiles,
    to_float64,
)
from xent.losses._rows._formula import (
    at_least_float32,
    cap_and_scale,
    gaps_of,
    smooth,
    zero_masked_rows,
)
from xent.losses._rows._targets import (
    BadRowError,
    check_distributions,
    silence_rows,
    sum_tolerance,
)
from xent.losses._threads import KernelCall, in_blocks


class SoftmaxRows:
    """The rows of one call: targets, weights and options, and how to score logits against them."""

    def __init__(
        self, target: Tensor, weight: Tensor | None, row_weight: Tensor | None, options: Options
    ) -> None:
        # target (N,) of int64 or (N, C) of probabilities; weight (C,); row_weight (N,)
        self.target, self.weight, self.row_weight = target, weight, row_weight
        self.options = options
        self.hard = not target.is_floating_point()

    # ------------------------------------------------------------------ the sum of the weights

    def total(self, classes: int) -> Any:
        """Check targets; return the sum of the rows' weights, a tensor where that is needed."""
        total: Any = None
        if can_validate(self.target):
            total = self.validated_total(classes)
            if not self.hard:
                check_distributions(self.target, self.row_weight)
        if total is None or needs_gradient(self.weight, self.row_weight):
            return self.total_in_torch()
        return total

    def validated_total(self, classes: int) -> float:
        """Check class indices on CPU; return the sum of the rows' weights."""
        return self.total_of(in_blocks(self.target_check(classes)), classes)

    def target_check(self, classes: int) -> KernelCall:
        """Return the loop that checks class indices and adds up the rows' weights (CPU)."""
        if not self.hard:
            return KernelCall(lambda start, stop: (-1, 0.0), 0, 1)
        target, ignore_index = self.target.numpy(), self.options.ignore_index
        weight, row_weight = to_float64(self.weight), to_float64(self.row_weight)

        # Whole numbers add up to the same in any order, weights do not.
        weighted = bool(weight.size or row_weight.size)
        count, arguments = len(target), (target, weight, row_weight, ignore_index, classes)
        return KernelCall(validate_classes, count, count + 1 if weighted else ELEMENTS, arguments)

    def total_of(self, checked: list[Any], classes: int) -> float:
        """Return the sum of the rows' weights of what a `target_check` returned.

        A row that weighs 0 counts for nothing, whatever its target: it is ignored from here on.
        """
        if not self.hard:
            count = self.target.shape[0]
            return float(count if self.row_weight is None else to_float64(self.row_weight).sum())
        if self.row_weight is not None and any(bad >= 0 for bad, _ in checked):
            self.silence(classes)
            checked = in_blocks(self.target_check(classes))
        for bad, _ in checked:
            if bad >= 0:
                raise BadRowError(bad, int(self.target[bad]))
        return float(sum(total for _, total in checked))

    def silence(self, classes: int) -> None:
        """Take out of the target what is none and weighs 0; statistics would read it."""
        if self.row_weight is not None:
            self.target = silence_rows(self.target, self.row_weight, classes, self.options)

    def total_in_torch(self) -> Tensor:
        """Return the sum of the rows' weights in torch operations."""
        row_weight, exact = self.row_weight, exact_dtype(self.target)
        if not self.hard:
            count = math.prod(self.target.shape[:-1])
            if row_weight is None:
                return self.target.new_full((), float(count), dtype=exact)
            return row_weight.sum(dtype=exact)
        kept = self.target != self.options.ignore_index
        each = kept
        if self.weight is not None:
            classes = self.weight.shape[0]  # a row of weight 0 may have a target that is none
            known = kept & (self.target >= 0) & (self.target < classes)
            each = self.weight[self.target.where(known if row_weight is not None else kept, 0)]
        each = each.where(kept, 0).to(exact)
        return (each if row_weight is None else each * row_weight).sum()

    def counted(self) -> Tensor | None:
        """Say which rows weigh something; None for all."""
        if self.hard:
            return self._kept(self.target, self.row_weight)
        return None if self.row_weight is None else self.row_weight != 0

    def _kept(self, target: Tensor, row_weight: Tensor | None) -> Tensor:
        """Say which rows of class indices count."""
        kept = target != self.options.ignore_index
        return kept if row_weight is None else kept & (row_weight != 0)

    # ------------------------------------------------------------------ the losses of the rows

    def plain(self, logits: Tensor, rows: slice = slice(None), stats: bool = False) -> Any:
        """Losses of rows of logits in torch operations; with ``stats`` also those, undivided."""
        o, target = self.options, self.target[rows]
        row_weight = None if self.row_weight is None else self.row_weight[rows]
        kept = self._kept(target, row_weight) if self.hard else None
        logits = at_least_float32(logits)
        masked = zero_masked_rows(logits, row_weight if kept is None else kept)
        z = cap_and_scale(masked, o)
        classes = int(z.shape[-1])  # torch.jit.trace makes tensors of sizes
        gaps, log, top, argmax = gaps_of(z)
        soft: Any
        if kept is not None:
            safe = target.where(kept, 0)
            gap = gaps.gather(-1, safe.unsqueeze(-1)).squeeze(-1)
            target_weight: Any = 1.0 - o.label_smoothing
            if self.weight is not None:
                target_weight = self.weight.to(z.dtype)[safe] * target_weight
            total_weight: Any = target_weight
            value: Tensor = target_weight * (gap + log)
            if self.weight is not None:
                value = value.where(target_weight != 0, 0.0)
            if o.label_smoothing:
                even = o.label_smoothing / classes
                soft = even if self.weight is None else self.weight.to(z.dtype) * even
                extra, extra_weight = _soft_cost(gaps, log, soft)
                value, total_weight = value + extra, total_weight + extra_weight
        else:
            soft = self._soft_target(zero_masked_rows(target, row_weight), z.dtype)
            value, total_weight = _soft_cost(gaps, log, soft)
        if o.z_loss:
            lse = top + log
            value = value + o.z_loss * total_weight * lse * lse
        if row_weight is not None:
            value = apply_weight(value, row_weight)
        if kept is not None:
            value = value.where(kept, 0.0)
        if not stats:
            return value
        # Of every row, whatever it weighs; what is no target was silenced before.
        if masked is not logits:
            gaps, log, top, argmax = gaps_of(cap_and_scale(logits, o))
        p = torch.exp(-gaps - log.unsqueeze(-1))
        entropy = log + (p * gaps.where(p != 0, 0.0)).sum(-1)
        if self.hard:
            counts = target != o.ignore_index
            gap = gaps.gather(-1, target.where(counts, 0).unsqueeze(-1)).squeeze(-1)
            log_prob = (-(gap + log)).where(counts, 0.0)
        else:
            log_prob = -_soft_cost(gaps, log, self._soft_target(target, z.dtype))[0]
        return value, top + log, log_prob, entropy, argmax

    def _soft_target(self, target: Tensor, dtype: torch.dtype) -> Tensor:
        """Return probabilities as they count: smoothed, and times the weights of the classes."""
        soft = smooth(target.to(dtype), self.options.label_smoothing)
        return soft if self.weight is None else soft * self.weight.to(dtype)

    def fused(
        self,
        logits: Tensor,
        grad: Tensor | None = None,
        rows: slice | None = None,
        **constants: Any,
    ) -> FloatArray:
        """Losses of rows on CPU, as `run` says; refuse a target that is no distribution."""
        run = self.run(logits, grad, rows, **constants)
        return self.values_of(run, in_blocks(run.blocks), rows)

    def run(
        self,
        logits: Tensor,
        grad: Tensor | None = None,
        rows: slice | None = None,
        *,
        g: float = 1.0,
        scale: FloatArray = NOTHING,
        stat_grads: FloatArray = NO_STAT_GRADS,
        stats: FloatArray = NO_STATS,
    ) -> Run:
        """Return the run of compiled rows; ``grad`` (it may be the logits) takes g times that.

        ``scale`` multiplies each row beside the rows' own weight; ``stat_grads`` are the upstream
        gradients of the statistics. The logits are (n, C), contiguous, of any dtype but float16.
        """
        x = as_numpy(logits)
        target, row_weight = self.target, to_float64(self.row_weight)
        if rows is not None:
            target, row_weight = target[rows], row_weight[rows]
        tolerance = 0.0 if self.hard else sum_tolerance(target.dtype, x.shape[1])
        # Numba knows no float16.
        target = target.float() if target.dtype == torch.float16 else target
        return run_of_rows(
            x, as_numpy(target if self.hard else target.contiguous()), to_float64(self.weight),
            _product(scale, row_weight), stat_grads, stats,
            x[:0] if grad is None else as_numpy(grad), self.options, g, tolerance,
        )  # fmt: skip

    def values_of(self, run: Run, found: list[Any], rows: slice | None = None) -> FloatArray:
        """Return the losses of a run that is done; refuse a target that is no distribution."""
        bad = min((b for b in found if b is not None and b >= 0), default=-1)
        if bad >= 0:
            raise BadRowError(bad + (rows.start if rows is not None else 0), math.nan)
        return run.values

    # ------------------------------------------------------------------ images

    def is_class_major(self, input: Tensor, axis: int) -> bool:
        """Say whether classes are few and far apart, and no option asks for whole rows."""
        o = self.options
        return (
            self.hard
            and axis == 1
            and input.dim() > 2
            and input.shape[1] <= image_tiles.MAX_TILE_CLASSES
            and input.is_contiguous()
            and input.numel() > 0
            and input.shape[2:].numel() >= image_tiles.TILE_PIXELS
            and not (o.softcap or o.label_smoothing)
        )

    def run_class_major(
        self,
        input: Tensor,
        grad: Tensor | None,
        *,
        g: float = 1.0,
        scale: FloatArray = NOTHING,
        keep: bool = False,
    ) -> Run:
        """Do what `run` does on [B, C, ...] in its own layout; ``grad`` has the input's shape.

        The losses come as sums of a few hundred each, unless they are to be kept.
        """
        x = as_numpy(input).reshape(*input.shape[:2], -1)
        return run_of_tiles(
            x, as_numpy(self.target), to_float64(self.weight),
            _product(scale, to_float64(self.row_weight)),
            x[:0] if grad is None else as_numpy(grad).reshape(x.shape), self.options, g,
            keep or x.dtype == np.float64,
        )  # fmt: skip


def _product(scale: FloatArray, row_weight: FloatArray) -> FloatArray:
    if not row_weight.size:
        return scale
    return scale * row_weight if scale.size else row_weight


def _soft_cost(gaps: Tensor, log: Tensor, soft: Any) -> tuple[Tensor, Any]:
    """Sum of a target of probabilities times the cost gap + log, and its sum."""
    if isinstance(soft, float):
        total = soft * gaps.shape[-1]
        return gaps.sum(-1) * soft + total * log, total
    total = soft.sum(-1)
    # 0 times an infinite gap would be NaN, in the value and in the gradient.
    return (soft * gaps.where(soft != 0, 0.0)).sum(-1) + total * log, total
