"""The first largest logit of a row, by integers that order as the logits do.

Rows are addressed as x[r, i] with unsigned indices: a signed index costs its check for negative
values, and that the SIMD.
"""

import numpy as np

from xent._compile.decorator import inner
from xent._kernels.rows.sizes import ZERO
from xent._math.element import order_key

U = np.uint64
_PIECE = 512


@inner()
def largest_key(x, r, start, stop):
    """Return the key of the largest of ``x[r, start:stop]``."""
    largest = order_key(x[r, start])
    for i in range(U(start), U(stop)):
        largest = max(largest, order_key(x[U(r), i]))
    return largest


@inner()
def index_of_key(x, r, start, stop, wanted):
    """Return the index of the first of ``x[r, start:stop]`` that has this key."""
    size = np.int32(stop - start)
    found = size
    for i in range(np.uint32(size)):
        here = np.int32(i) if order_key(x[U(r), U(start) + U(i)]) == wanted else size
        found = min(found, here)
    return start + np.int64(found)


@inner()
def row_argmax(x, r):
    """Return the index of the first largest element (of a NaN, where there is one)."""
    n = x.shape[1]
    best, start = order_key(x[r, 0]), ZERO
    for a in range(ZERO, n, _PIECE):
        largest = largest_key(x, r, a, min(a + _PIECE, n))
        if largest > best:
            best, start = largest, a
    return index_of_key(x, r, start, min(start + _PIECE, n), best)
