"""What the loops over rows are handed, in records: constants of a call, room to work in, outputs.

Numba passes a NamedTuple by its fields, so a record costs nothing in a kernel that is inlined. An
argument that is absent comes as an array of length 0.
"""

from typing import Any, NamedTuple

import numpy as np

from xent._compile.decorator import inner
from xent._kernels.rows.sizes import ACCUMULATORS, COLUMN_BLOCK, PAD
from xent._math.llvm import CACHE_LINE, address

_LINE = 64  # elements more, so that room may begin on a cache line


class Constants(NamedTuple):
    """What is the same for all rows of a call; made anew for another type, so floats are floats.

    ``upstream`` multiplies every gradient (1 / N under a mean); ``tolerance`` is how far from 1
    the probabilities of a target may sum; ``nontemporal`` says that gradients go past the caches.
    """

    ignore_index: int = -100
    label_smoothing: float = 0.0
    inverse_temperature: float = 1.0
    z_loss: float = 0.0
    upstream: float = 1.0
    tolerance: float = 0.0
    nontemporal: bool = False


class RowOutputs(NamedTuple):
    """What a call writes of n rows and C classes: the last two, and ``stats``, may be empty.

    ``values`` (n,) are the losses; ``stats`` (n, 4) log-sum-exp, log-probability of the target,
    entropy and argmax; ``grad`` (n, C), which may be the logits themselves, takes the gradient,
    times ``softcap_slope`` (n, C), which is read.
    """

    values: Any
    stats: Any
    grad: Any
    softcap_slope: Any


class RowBuffers(NamedTuple):
    """Room to work in, of one thread."""

    exponentials: Any
    sums: Any
    target_probabilities: Any
    gradient_block: Any


def buffers_for(
    classes: int, grad: Any, target_probabilities: Any, nontemporal: bool
) -> RowBuffers:
    """Allocate what `softmax.class_rows` and `softmax.soft_rows` work in.

    A gradient that goes past the caches is written beside the exponentials of the next row: then
    there is room for those of two. ``target_probabilities`` is the target itself, or room for what
    smoothing and weights make of it.
    """
    real = np.float64 if grad.dtype == np.float64 else np.float32
    rows = 2 if nontemporal else 1
    return RowBuffers(
        np.empty(rows * (classes + PAD) + _LINE, real),
        np.empty(COLUMN_BLOCK + 4 * ACCUMULATORS + _LINE),
        target_probabilities,
        np.empty(min(classes + PAD, COLUMN_BLOCK) + _LINE, grad.dtype),
    )


class RowScratch(NamedTuple):
    """The buffers of sums and of the gradient, each from a cache line on.

    ``compensation`` is empty where float64 is far more than the logits need; three times the
    accumulators: of the exponentials, and of margins and sums of a soft target.
    """

    terms: Any
    accumulators: Any
    compensation: Any
    gradient_block: Any


class Row(NamedTuple):
    """Row ``r`` of logits x, whose largest is ``max``, of class ``argmax``.

    Its ``exponentials`` are written, ``probabilities`` (a_c in the formulas; empty where the target
    is a class alone) are read.
    """

    x: Any
    r: int
    argmax: Any
    max: float
    exponentials: Any
    probabilities: Any


class Target(NamedTuple):
    """The target of a row: class ``label`` (or -1) of ``weight``; ``uniform`` of every class."""

    label: Any
    weight: float
    uniform: float


class Softmax(NamedTuple):
    """The exponentials' sums: p_m = scale / total, 1 - p_m = others / total, log_sum = -log p_m."""

    scale: float
    others: float
    total: float
    log_sum: float


@inner()
def scratch_of(x, buffers, out, constants):
    """Return the scratch, room for exponentials of this row and of the row before, and ``beside``.

    That says whether a gradient is written beside the exponentials of the next row: else these two
    are the same room.
    """
    width = x.shape[1] + -x.shape[1] % PAD
    sums, e, block = buffers.sums, buffers.exponentials, buffers.gradient_block
    sums = sums[cache_line_start(sums, COLUMN_BLOCK + 4 * ACCUMULATORS) :]
    e = e[cache_line_start(e, width) :]
    block = block[cache_line_start(block, min(width, COLUMN_BLOCK)) :]
    beside = constants.nontemporal and out.softcap_slope.shape[0] == 0 and e.shape[0] >= 2 * width
    first = COLUMN_BLOCK + 3 * ACCUMULATORS
    compensation = sums[first : first + (ACCUMULATORS if x.itemsize == 8 else 0)]
    scratch = RowScratch(sums[:COLUMN_BLOCK], sums[COLUMN_BLOCK:first], compensation, block)
    start = width if beside else 0
    return scratch, e[:width], e[start : start + width], beside


@inner()
def cache_line_start(array, count):
    """Return where the array's first cache line begins, or 0 where less than ``count`` are left.

    A vector of 64 bytes that lies across two lines is read and written twice.
    """
    first = (-address(array) % CACHE_LINE) // array.itemsize
    return first if array.shape[0] - first >= count else 0
