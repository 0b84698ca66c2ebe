"""Elements of logits and targets as numbers: float32, float64 and bfloat16.

bfloat16 travels as uint16, for NumPy has no such type. The type of the element chooses, when the
kernel is compiled.
"""

import numpy as np
from numba import types
from numba.extending import overload

from xent._compile.decorator import inner
from xent._compile.numba_private import INSIDE
from xent._math.vector import (
    FLOAT32_LANES,
    FLOAT64_LANES,
    Vector,
    bits32,
    bits64,
    from_bits32,
    from_bits64,
    multiply_add,
    promote_lower,
    promote_upper,
)

_ZERO32 = np.float32(0.0)
_MAGNITUDE32, _MAGNITUDE64 = np.int32(0x7FFFFFFF), np.int64(0x7FFFFFFFFFFFFFFF)


@inner()
def _bfloat16_to_float32(value):
    return from_bits32(np.int32(np.uint32(value) << np.uint32(16)))


@inner()
def _float64_to_bfloat16(value):
    single = np.float32(value)
    bits = np.uint32(bits32(single))
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    kept = rounded if single == single else bits | np.uint32(0x400000)
    return np.uint16(kept >> np.uint32(16))


def to_float64(value):
    """Return an element as float64: exactly."""


@overload(to_float64, jit_options=INSIDE)
def _to_float64(value):
    if value == types.uint16:
        return lambda value: np.float64(_bfloat16_to_float32(value))
    return lambda value: np.float64(value)


def to_float32(value):
    """Return an element, or a vector of float32, as float32; float64 is rounded to nearest."""


@overload(to_float32, jit_options=INSIDE)
def _to_float32(value):
    # Not through `to_float64`: LLVM would compare it as float64.
    if value == types.uint16:
        return lambda value: _bfloat16_to_float32(value)
    if value == types.float32 or isinstance(value, Vector):
        return lambda value: value
    return lambda value: np.float32(value)


def from_float64(value, like):
    """Round a number to the type of the element ``like``, to nearest, ties to even; NaN stays NaN.

    bfloat16 is rounded twice, by way of float32.
    """


@overload(from_float64, jit_options=INSIDE)
def _from_float64(value, like):
    if like == types.uint16:
        return lambda value, like: _float64_to_bfloat16(value)
    if like == types.float32:
        return lambda value, like: np.float32(value)
    return lambda value, like: value


def order_key(value):
    """Return an integer that orders as the element does (NaN on top): its maximum vectorises.

    Both zeros are one. Also of a vector of float32.
    """


@overload(order_key, jit_options=INSIDE)
def _order_key(value):
    if value == types.float64:

        def key64(value):
            bits = bits64(value + 0.0)
            return bits ^ ((bits >> np.int64(63)) & _MAGNITUDE64)

        return key64
    if value == types.uint16:

        def key16(value):
            bits = np.int16(value)
            bits = np.int16(bits ^ np.int16((bits >> np.int16(15)) & np.int16(0x7FFF)))
            return bits if bits != np.int16(-1) else np.int16(0)

        return key16

    def key32(value):
        bits = bits32(value + _ZERO32)
        return bits ^ ((bits >> np.int32(31)) & _MAGNITUDE32)

    return key32


def sign_bits(value):
    """Return 32 bits, negative where the element's sign is: of many, or'ed, where any sign is."""


@overload(sign_bits, jit_options=INSIDE)
def _sign_bits(value):
    if value == types.float64:
        return lambda value: np.int32(bits64(value) >> np.int64(32))
    if value == types.uint16:
        return lambda value: np.int32(np.int16(value))
    return lambda value: bits32(value)


def next_above(value):
    """Return the next number above a positive one or 0, not -0; above each of a vector."""


@overload(next_above, jit_options=INSIDE)
def _next_above(value):
    if getattr(value, "dtype", value) == types.float32:
        return lambda value: from_bits32(bits32(value) + np.int32(1))
    return lambda value: from_bits64(bits64(value) + np.int64(1))


def lanes_of(array):
    """Return how many elements of an array a vector has: a constant, as ``itemsize`` is none."""


@overload(lanes_of, jit_options=INSIDE)
def _lanes_of(array):
    count = FLOAT32_LANES if array.dtype == types.float32 else FLOAT64_LANES
    return lambda array: count


def add_squared(value, sums, squares):
    """Add a vector, as float64, and its squares, to pairs of vectors; of float64 to the first."""


@overload(add_squared, jit_options=INSIDE)
def _add_squared(value, sums, squares):
    if value.dtype == types.float64:

        def add64(value, sums, squares):
            return (sums[0] + value, sums[1]), (multiply_add(value, value, squares[0]), squares[1])

        return add64

    def add32(value, sums, squares):
        # Two loads of float64 would be one of float32 in pieces: LLVM makes a puzzle of that.
        a, b = promote_lower(value), promote_upper(value)
        added = multiply_add(a, a, squares[0]), multiply_add(b, b, squares[1])
        return (sums[0] + a, sums[1] + b), added

    return add32


def float64_halves(value):
    """Return two vectors of 8 float64, which hold all that a vector does."""


@overload(float64_halves, jit_options=INSIDE)
def _float64_halves(value):
    if value.dtype == types.float64:
        return lambda value: (value, value)
    return lambda value: (promote_lower(value), promote_upper(value))
