"""A whole page of a row in one loop of vectors: exponentials, sums, the gradient of the row before.

What each loop of `_row_sums` and `_row_gradient` does in turn, in the same order and to the same
bits. The memory is asked for a line at a time, between the arithmetic, so that neither waits.
"""

import numpy as np
from numba import types
from numba.extending import overload

from xent._kernels._float import LANES, PAGE, inner, lifted_power, ranks
from xent._kernels._memory import prefetch
from xent._kernels._numba import INSIDE
from xent._kernels._vector import (
    WIDTH,
    bits32,
    choose,
    fma,
    fma32,
    load,
    lower,
    put,
    put_past,
    reduce_max,
    reduce_or,
    spread,
    upper,
)

U = np.uint64
_LOWEST = np.int32(-(2**31))
_STEP, _HALF, _LANES = U(WIDTH), U(WIDTH // 2), U(LANES)


@inner()
def ask(array, at):
    """Ask for four vectors, one after the other."""
    for i in range(at, at + U(4) * _STEP, U(64 // array.itemsize)):
        prefetch(array, i)


def peak_of_four(x, at, ahead, best):
    """Ask for four vectors ``ahead`` of those at ``at``; of float32 find the largest of these."""


@overload(peak_of_four, jit_options=INSIDE)
def _peak_of_four(x, at, ahead, best):
    if x.dtype == types.float32:
        return lambda x, at, ahead, best: _largest(x, at, ahead, best)

    def only_ask(x, at, ahead, best):
        ask(x, at + ahead)
        return best

    return only_ask


@inner()
def _largest(x, at, ahead, best):
    ask(x, at + ahead)
    for i in range(at, at + U(4) * _STEP, _STEP):
        rank = ranks(load(x, i))
        best = choose(rank > best, rank, best)
    return best


@inner()
def _power(x, at, e, i, shift, floor, high, low):
    """Write the exponentials of a vector of logits; return both."""
    v = load(x, at)
    power = lifted_power(v, shift, floor, high, low)
    put(e, i, power)
    return v, power


@inner()
def _sum_of_four(lanes, at, a, b, c, d):
    """Add to the lanes, as `gather` does."""
    put(lanes, at, load(lanes, at) + ((lower(a) + lower(b)) + (lower(c) + lower(d))))
    at += _HALF
    put(lanes, at, load(lanes, at) + ((upper(a) + upper(b)) + (upper(c) + upper(d))))


@inner()
def _sum_of_gaps(lanes, at, top, t0, t1, t2, t3, v0, v1, v2, v3):
    """Add shares times gaps to the lanes, as `add_shares` does."""
    found = fma(lower(t0), top - lower(v0), load(lanes, at))
    found = fma(lower(t1), top - lower(v1), found)
    found = fma(lower(t2), top - lower(v2), found)
    put(lanes, at, fma(lower(t3), top - lower(v3), found))
    at += _HALF
    found = fma(upper(t0), top - upper(v0), load(lanes, at))
    found = fma(upper(t1), top - upper(v1), found)
    found = fma(upper(t2), top - upper(v2), found)
    put(lanes, at, fma(upper(t3), top - upper(v3), found))


@inner()
def _slope(before, i, less, c1, c0, grad, at):
    """Write the gradient of a vector of logits past the caches, as `write_some` does."""
    e = load(before, i)
    put_past(grad, at, fma32(e, c1, fma32(e, c0, less)))


def suits(x, own):
    """Say whether `add_page` is for such logits and shares: small, and without gaps in memory."""


@overload(suits, jit_options=INSIDE)
def _suits(x, own):
    if x.dtype == types.float64 or x.layout != "C":
        return lambda x, own: False
    if own.dtype == types.float64 or own.layout != "C":
        return lambda x, own: own.shape[0] == 0
    return lambda x, own: True


def add_page(x, r, coming, own, e, a, top, constants, lanes, spare, behind):
    """Do all that is to do of classes a to a + PAGE of row r, none of which is the largest.

    Exponentials go to e and are summed in the lanes, shares of its ``own`` in those that are
    ``spare``. ``behind`` is the row before: what is to do, its exponentials and shares, the
    gradient, and whether it is written here, past the caches. Return something negative where the
    sign of a share is.
    """


@overload(add_page, jit_options=INSIDE)
def _add_page(x, r, coming, own, e, a, top, constants, lanes, spare, behind):
    if x.dtype == types.float64 or x.layout != "C":

        def nothing(x, r, coming, own, e, a, top, constants, lanes, spare, behind):
            return np.int32(0), np.int32(0)

        return nothing
    if own.dtype == types.float64 or own.layout != "C":

        def without(x, r, coming, own, e, a, top, constants, lanes, spare, behind):
            return _add_logits(x, r, coming, e, a, constants, lanes, behind)

        return without

    def shares(x, r, coming, own, e, a, top, constants, lanes, spare, behind):
        return _add_both(x, r, coming, own, e, a, top, constants, lanes, spare, behind)

    return shares


@inner()
def _add_logits(x, r, coming, e, a, constants, lanes, behind):
    """Do it for a row without shares."""
    todo, before, _, grad, writes = behind
    n = U(x.shape[1])
    base, row, first = U(r) * n + U(a), U(coming) * n + U(a), U(max(todo.row, 0)) * n + U(a)
    shift, floor, high, low = constants
    c1 = np.float32(todo.c)
    c0, less = np.float32(todo.c - np.float64(c1)), -np.float32(todo.each)
    one, two, three = _LANES, U(2) * _LANES, U(3) * _LANES
    best, ahead = spread(_LOWEST, bits32(load(e, U(0)))), U(PAGE) if coming > r else U(x.shape[1])
    for j in range(U(0), _LANES, _STEP):
        at, i = base + j, U(a) + j
        best = peak_of_four(x, row + U(4) * j, ahead, best)
        _, e0 = _power(x, at, e, i, shift, floor, high, low)
        _, e1 = _power(x, at + one, e, i + one, shift, floor, high, low)
        _, e2 = _power(x, at + two, e, i + two, shift, floor, high, low)
        _, e3 = _power(x, at + three, e, i + three, shift, floor, high, low)
        _sum_of_four(lanes, j, e0, e1, e2, e3)
        if writes:
            to = first + j
            _slope(before, i, less, c1, c0, grad, to)
            _slope(before, i + one, less, c1, c0, grad, to + one)
            _slope(before, i + two, less, c1, c0, grad, to + two)
            _slope(before, i + three, less, c1, c0, grad, to + three)
    return np.int32(0), reduce_max(best)


@inner()
def _add_both(x, r, coming, own, e, a, top, constants, lanes, spare, behind):
    """Do it for a row of shares."""
    todo, before, share, grad, writes = behind
    n = U(x.shape[1])
    base, row, first = U(r) * n + U(a), U(coming) * n + U(a), U(max(todo.row, 0)) * n + U(a)
    shift, floor, high, low = constants
    c1 = np.float32(todo.c)
    c0, d1 = np.float32(todo.c - np.float64(c1)), -np.float32(todo.d)
    one, two, three = _LANES, U(2) * _LANES, U(3) * _LANES
    signs = bits32(spread(np.float32(0.0), load(e, U(0))))
    best, ahead = spread(_LOWEST, bits32(load(e, U(0)))), U(PAGE) if coming > r else U(x.shape[1])
    for j in range(U(0), _LANES, _STEP):
        at, i = base + j, U(a) + j
        best = peak_of_four(x, row + U(4) * j, ahead, best)
        v0, e0 = _power(x, at, e, i, shift, floor, high, low)
        v1, e1 = _power(x, at + one, e, i + one, shift, floor, high, low)
        v2, e2 = _power(x, at + two, e, i + two, shift, floor, high, low)
        v3, e3 = _power(x, at + three, e, i + three, shift, floor, high, low)
        _sum_of_four(lanes, j, e0, e1, e2, e3)
        ask(own, n + U(a) + U(4) * j)
        t0, t1 = load(own, i), load(own, i + one)
        t2, t3 = load(own, i + two), load(own, i + three)
        signs = signs | (bits32(t0) | bits32(t1)) | (bits32(t2) | bits32(t3))
        _sum_of_four(spare, _LANES + j, t0, t1, t2, t3)
        _sum_of_gaps(spare, j, top, t0, t1, t2, t3, v0, v1, v2, v3)
        if writes:
            to = first + j
            _slope(before, i, load(share, i) * d1, c1, c0, grad, to)
            _slope(before, i + one, load(share, i + one) * d1, c1, c0, grad, to + one)
            _slope(before, i + two, load(share, i + two) * d1, c1, c0, grad, to + two)
            _slope(before, i + three, load(share, i + three) * d1, c1, c0, grad, to + three)
    return reduce_or(signs), reduce_max(best)
