"""How arrays are handed to the compiled rows: constants of the call, and scratch of each thread.

An argument that is absent is an array of length 0.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xent._kernels.images import class_major
from xent._kernels.rows import softmax as kernels
from xent._math.float import LANES, PAD, PAGE
from xent.losses._arguments import Options
from xent.losses._buffer import cache_aligned
from xent.losses._parallel._threads import KernelCall

Floats = NDArray[np.float64]

NOTHING: Floats = np.empty(0)
NO_STAT_GRADS: Floats = np.empty((0, 3))
NO_STATS: Floats = np.empty((0, 4))
_NO_SLOPE: Floats = np.empty((0, 0))
_CACHE = 1 << 25  # bytes: a larger gradient would push all else out of the caches
ELEMENTS = 1 << 15  # what one thread is worth waking for


def as_numpy(tensor: Tensor) -> Any:
    """View a CPU tensor as an array; bfloat16 as its bits."""
    if tensor.requires_grad:
        tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy()
    return tensor.numpy()


def to_float64(weight: Tensor | None) -> Floats:
    """Return weights as float64, or nothing."""
    if weight is None:
        return NOTHING
    return weight.detach().double().contiguous().numpy()


def use_nontemporal(grad: Any, x: Any) -> bool:
    """Say whether to write a gradient past the caches: where it is larger, and not the logits."""
    return bool(grad.nbytes >= _CACHE and grad.ctypes.data != x.ctypes.data)


class RowsCall(NamedTuple):
    """Arrays and constants of one run of the compiled rows; the logits are (n, C), contiguous."""

    x: Any
    target: Any
    weight: Floats
    scale: Floats  # what multiplies each row
    stat_grads: Floats  # upstream gradients of the statistics
    g: float  # what multiplies the gradient
    values: Floats
    stats: Floats
    grad: Any  # may be the logits
    options: Options
    tolerance: float  # how far from 1 a target of probabilities may sum

    @property
    def blocks(self) -> KernelCall:
        """What `in_blocks` takes: blocks return the first bad row, or -1."""
        kernel = self.capped_rows if self.options.softcap else self.rows
        return KernelCall(kernel, len(self.x), max(1, ELEMENTS // self.x.shape[1]))

    def rows(self, start: int, stop: int, slope: Floats = _NO_SLOPE) -> int:
        """Run some rows."""
        x, target, weight, scale, stat_grads, g, values, stats, grad, o, tolerance = self
        classes = x.shape[1]
        hard = target.ndim == 1
        # The gradient has the logits' own type, also where these come capped, in float64.
        real = np.float64 if grad.dtype == np.float64 else np.float32
        # A gradient that goes past the caches is written beside the exponentials of the next row.
        nontemporal = use_nontemporal(grad, x)
        rows, line = 2 if nontemporal else 1, PAD  # and some more, to begin on a cache line
        if hard:
            soft = np.empty(classes if o.label_smoothing and weight.size else 0)
        elif o.label_smoothing or weight.size:
            soft = np.empty((2, classes))
        else:
            soft = target
        call = (
            1.0 / o.temperature, o.z_loss, g,
            np.empty(rows * (classes + PAD) + line, real), np.empty(PAGE + 4 * LANES + line),
            soft, np.empty(min(classes + PAD, PAGE) + line, grad.dtype),
            values, stats, grad, slope, nontemporal, start, stop,
        )  # fmt: skip
        first = x, target, weight, scale, stat_grads
        if hard:
            kernels.class_rows(*first, o.ignore_index, o.label_smoothing, *call)
            return -1
        return int(kernels.soft_rows(*first, o.label_smoothing, tolerance, *call))

    def capped_rows(self, start: int, stop: int) -> int:
        """Run some rows, a few at a time, of which the capped logits are kept in float64."""
        step = max(1, ELEMENTS // self.x.shape[1])
        first = -1
        for a in range(start, stop, step):
            few = slice(a, min(a + step, stop))
            z, slope = np.empty((2, few.stop - a, self.x.shape[1]))
            kernels.bend_rows(self.x[few], self.options.softcap, z, slope)
            part = self._replace(
                x=z, target=self.target[few], scale=self.scale[few],
                stat_grads=self.stat_grads[few], values=self.values[few], stats=self.stats[few],
                grad=self.grad[few],
            )  # fmt: skip
            bad = part.rows(0, few.stop - a, slope)
            if bad >= 0 and first < 0:
                first = a + bad
        return first


class ClassMajorCall(NamedTuple):
    """Arrays and constants of one run over images, [B, C, P]."""

    x: Any
    target: Any
    weight: Floats
    scale: Floats
    g: float
    kept: Floats  # the loss of each pixel, or nothing
    totals: Floats  # the sum of each tile
    grad: Any
    options: Options

    @property
    def values(self) -> Floats:
        """The losses of the pixels where they are kept, else of the tiles."""
        return self.kept if self.kept.size else self.totals

    @property
    def blocks(self) -> KernelCall:
        """What `in_blocks` takes."""
        pixels = self.x.shape[1] * class_major.TILE
        return KernelCall(self.tiles, len(self.totals), max(1, ELEMENTS // pixels))

    def tiles(self, start: int, stop: int) -> None:
        """Run some tiles."""
        x, target, weight, scale, g, kept, totals, grad, o = self
        classes, tile = x.shape[1], class_major.TILE
        exact = x.dtype == np.float64
        real, whole = (np.float64, np.int64) if exact else (np.float32, np.int32)
        class_major.class_planes(
            x, target, weight, scale, o.ignore_index, 1.0 / o.temperature, o.z_loss, g,
            cache_aligned((2, class_major.rows_of(classes), tile), real),
            cache_aligned((7 * tile,), float), cache_aligned((9 * tile,), real),
            cache_aligned((4 * tile,), whole), cache_aligned((classes, tile), x.dtype),
            kept, totals, grad, use_nontemporal(grad, x), start, stop,
        )  # fmt: skip
