"""What the loops over rows are handed, in records: constants of a call, room to work in, outputs.

Numba passes a NamedTuple by its fields, so a record costs nothing in a kernel that is inlined. An
argument that is absent comes as an array of length 0.
"""

from typing import Any, NamedTuple

import numpy as np

from xent._math.float import LANES as ACCUMULATORS
from xent._math.float import PAD
from xent._math.float import PAGE as COLUMN_BLOCK

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


class Outputs(NamedTuple):
    """What a call writes of n rows and C classes: the last two, and ``stats``, may be empty.

    ``values`` (n,) are the losses; ``stats`` (n, 4) log-sum-exp, log-probability of the target,
    entropy and argmax; ``grad`` (n, C), which may be the logits themselves, takes the gradient,
    times ``softcap_slope`` (n, C), which is read.
    """

    values: Any
    stats: Any
    grad: Any
    softcap_slope: Any


class Buffers(NamedTuple):
    """Room to work in, of one thread."""

    exponentials: Any
    sums: Any
    target_probabilities: Any
    gradient_block: Any


def buffers_for(classes: int, grad: Any, target_probabilities: Any, nontemporal: bool) -> Buffers:
    """Allocate what `softmax.class_rows` and `softmax.soft_rows` work in.

    A gradient that goes past the caches is written beside the exponentials of the next row: then
    there is room for those of two. ``target_probabilities`` is the target itself, or room for what
    smoothing and weights make of it.
    """
    real = np.float64 if grad.dtype == np.float64 else np.float32
    rows = 2 if nontemporal else 1
    return Buffers(
        np.empty(rows * (classes + PAD) + _LINE, real),
        np.empty(COLUMN_BLOCK + 4 * ACCUMULATORS + _LINE),
        target_probabilities,
        np.empty(min(classes + PAD, COLUMN_BLOCK) + _LINE, grad.dtype),
    )
