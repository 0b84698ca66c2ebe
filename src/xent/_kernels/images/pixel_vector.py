"""A vector of pixels, in the precision of its logits: exponentials, products, sums of classes."""

import numpy as np
from numba import types
from numba.extending import overload

from xent._compile.decorator import inner
from xent._compile.numba_private import INSIDE
from xent._kernels.images.tiles import TILE_PIXELS
from xent._math.exp import (
    scaled_exp_below,
    scaled_power,
    times_split,
)
from xent._math.vector import (
    load_float64,
)

U = np.uint64


def scaled_exp_of(value, shift, floor, high, low, inverse):
    """Return scale exp((value - row_max) / T); of float64, ``shift`` is row_max."""


@overload(scaled_exp_of, jit_options=INSIDE)
def _scaled_exp_of(value, shift, floor, high, low, inverse):
    if value.dtype == types.float64:
        return lambda value, shift, floor, high, low, inverse: scaled_exp_below(
            value, shift, inverse
        )
    return lambda value, shift, floor, high, low, inverse: scaled_power(
        value, shift, floor, high, low
    )


def times_factor(e, c1, c0):
    """Return e (c1 + c0)."""


@overload(times_factor, jit_options=INSIDE)
def _times_factor(e, c1, c0):
    if e.dtype == types.float64:
        return lambda e, c1, c0: e * c1
    return lambda e, c1, c0: times_split(e, c1, c0, np.float32(-0.0))


@inner()
def _class(z, k, j):
    """Return a vector of pixels of class k, as float64."""
    return load_float64(z, k * U(TILE_PIXELS) + j)


@inner()
def _sum_of_two(z, k, far, j):
    """Return the sum of class k and the class that comes ``far`` after it."""
    return _class(z, k, j) + _class(z, k + far, j)


@inner()
def _sum_of_four(z, k, far, near, j):
    """Return the sum of two pairs."""
    return _sum_of_two(z, k, far, j) + _sum_of_two(z, k + near, far, j)


@inner()
def branch_sum(z, padded, q, j):
    """Sum over the classes q, q + 4, q + 8 and so on: a branch of the tree of `rows.sums`."""
    if padded == 8:
        return _sum_of_two(z, q, U(4), j)
    if padded == 20:
        return (_sum_of_two(z, q, U(16), j) + _class(z, q + U(8), j)) + _sum_of_two(
            z, q + U(4), U(8), j
        )
    if padded == 32:
        return _sum_of_four(z, q, U(16), U(8), j) + _sum_of_four(z, q + U(4), U(16), U(8), j)
    even = _sum_of_four(z, q, U(32), U(16), j) + _sum_of_four(z, q + U(8), U(32), U(16), j)
    odd = _sum_of_four(z, q + U(4), U(32), U(16), j) + _sum_of_four(z, q + U(12), U(32), U(16), j)
    return even + odd
