"""How arrays are handed to the compiled rows: constants of the call, outputs, scratch of a thread.

An argument that is absent is an array of length 0.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xent._kernels.images import class_major
from xent._kernels.images import tiles as image_tiles
from xent._kernels.rows.records import Constants, RowBuffers, RowOutputs, buffers_for
from xent._kernels.rows.softmax import class_rows, soft_rows, softcap_rows
from xent.losses._arguments import Options
from xent.losses._threads import KernelCall

FloatArray = NDArray[np.float64]

NOTHING: FloatArray = np.empty(0)
NO_STAT_GRADS: FloatArray = np.empty((0, 3))
NO_STATS: FloatArray = np.empty((0, 4))
_NO_SLOPE: FloatArray = np.empty((0, 0))
_CACHE = 1 << 25  # bytes: a larger gradient would push all else out of the caches
ELEMENTS = 1 << 15  # what one thread is worth waking for


def as_numpy(tensor: Tensor) -> Any:
    """View a CPU tensor as an array; bfloat16 as its bits."""
    if tensor.requires_grad:
        tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy()
    return tensor.numpy()


def to_float64(weight: Tensor | None) -> FloatArray:
    """Return weights as float64, or nothing."""
    if weight is None:
        return NOTHING
    return weight.detach().double().contiguous().numpy()


def use_nontemporal(grad: Any, x: Any) -> bool:
    """Say whether to write a gradient past the caches: where it is larger, and not the logits."""
    return bool(grad.nbytes >= _CACHE and grad.ctypes.data != x.ctypes.data)


class Run(NamedTuple):
    """What is to be run in blocks, and the losses that it writes."""

    blocks: KernelCall
    values: FloatArray


def run_of_rows(
    x: Any,
    target: Any,
    weight: FloatArray,
    scale: FloatArray,
    stat_grads: FloatArray,
    stats: FloatArray,
    grad: Any,
    options: Options,
    g: float,
    tolerance: float,
) -> Run:
    """Return the run of rows of logits x (n, C), contiguous; its blocks return a bad row or -1.

    ``scale`` multiplies each row, ``g`` the gradient, which may be written over the logits;
    ``stat_grads`` are the upstream gradients of the statistics; ``tolerance`` is how far from 1 a
    target of probabilities may sum.
    """
    o, classes, hard = options, x.shape[1], target.ndim == 1
    nontemporal = not o.softcap and use_nontemporal(grad, x)
    constants = Constants(
        o.ignore_index, o.label_smoothing, 1.0 / o.temperature, o.z_loss, g, tolerance, nontemporal
    )
    out = RowOutputs(np.empty(len(x)), stats, grad, _NO_SLOPE)
    weighted = bool(weight.size)

    def scratch() -> tuple[RowBuffers]:
        probabilities = target
        if hard:
            probabilities = np.empty(classes if o.label_smoothing and weighted else 0)
        elif o.label_smoothing or weighted:
            probabilities = np.empty((2, classes))
        return (buffers_for(classes, grad, probabilities, nontemporal),)

    kernel: Any = class_rows if hard else soft_rows
    arguments: tuple[Any, ...] = (x, target, weight, scale, stat_grads, constants, out)
    if o.softcap:
        kernel, arguments = capped_rows, (kernel, o.softcap, *arguments)
    rows = KernelCall(kernel, len(x), max(1, ELEMENTS // classes), arguments, scratch)
    return Run(rows, out.values)


def capped_rows(
    kernel: Any,
    softcap: float,
    x: Any,
    target: Any,
    weight: FloatArray,
    scale: FloatArray,
    stat_grads: FloatArray,
    constants: Constants,
    out: RowOutputs,
    buffers: RowBuffers,
    start: int,
    stop: int,
) -> int:
    """Run some rows, a few at a time, of which the capped logits are kept in float64."""
    step = max(1, ELEMENTS // x.shape[1])
    first_bad = -1
    for first in range(start, stop, step):
        few = slice(first, min(first + step, stop))
        z, slope = np.empty((2, few.stop - first, x.shape[1]))
        softcap_rows(x[few], softcap, z, slope)
        bad = kernel(
            z, target[few], weight, scale[few], stat_grads[few], constants,
            RowOutputs(out.values[few], out.stats[few], out.grad[few], slope),
            _with_rows(buffers, target, few), 0, len(z),
        )  # fmt: skip
        if first_bad < 0 and bad is not None and bad >= 0:
            first_bad = first + bad
    return first_bad


def _with_rows(buffers: RowBuffers, target: Any, rows: slice) -> RowBuffers:
    """Return the buffers with some rows of the target, where the target itself is read."""
    if buffers.target_probabilities is not target:
        return buffers
    return buffers._replace(target_probabilities=target[rows])


def run_of_tiles(
    x: Any,
    target: Any,
    weight: FloatArray,
    scale: FloatArray,
    grad: Any,
    options: Options,
    g: float,
    keep: bool,
) -> Run:
    """Return the run of images, [B, C, P]; losses are those of tiles unless they are to be kept."""
    o, (images, classes, pixels), tile = options, x.shape, image_tiles.TILE_PIXELS
    tiles = images * -(-pixels // tile)
    kept, totals = np.empty(images * pixels if keep else 0), np.empty(tiles)
    nontemporal = use_nontemporal(grad, x)
    constants = Constants(o.ignore_index, 0.0, 1.0 / o.temperature, o.z_loss, g, 0.0, nontemporal)

    def scratch() -> tuple[image_tiles.TileBuffers]:
        return (image_tiles.buffers_for(x),)

    arguments = (x, target, weight, scale, constants, kept, totals, grad)
    min_tiles = max(1, ELEMENTS // (classes * tile))
    rows = KernelCall(class_major.score_tiles, tiles, min_tiles, arguments, scratch)
    return Run(rows, kept if keep else totals)
