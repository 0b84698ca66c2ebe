"""A whole page of a row in one loop of vectors: exponentials, sums, the gradient of the row before.

What each loop of `_row_sums` and `_row_gradient` does in turn, in the same order and to the same
bits. The memory is asked for a line at a time, between the arithmetic, so that neither waits.
"""

import numpy as np
from numba import types
from numba.extending import overload

from xent._compile.decorator import inner
from xent._compile.numba_private import INSIDE
from xent._kernels.rows.sizes import ACCUMULATORS, COLUMN_BLOCK
from xent._math.element import order_key
from xent._math.exp import scaled_power, times_split
from xent._math.llvm import prefetch_l2
from xent._math.vector import (
    FLOAT32_LANES,
    bits32,
    fma,
    load,
    promote_lower,
    promote_upper,
    reduce_max,
    reduce_or,
    select,
    splat,
    store,
    store_nontemporal,
)

U = np.uint64
_LOWEST = np.int32(-(2**31))
_STEP, _HALF, _LANES = U(FLOAT32_LANES), U(FLOAT32_LANES // 2), U(ACCUMULATORS)


@inner()
def ask(array, at):
    """Ask for four vectors, one after the other."""
    for i in range(at, at + U(4) * _STEP, U(64 // array.itemsize)):
        prefetch_l2(array, i)


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
        rank = order_key(load(x, i))
        best = select(rank > best, rank, best)
    return best


@inner()
def _power(x, at, e, i, shift, floor, high, low):
    """Write the exponentials of a vector of logits; return both."""
    v = load(x, at)
    power = scaled_power(v, shift, floor, high, low)
    store(e, i, power)
    return v, power


@inner()
def _sum_of_four(lanes, at, a, b, c, d):
    """Add to the lanes, as `gather` does."""
    store(
        lanes,
        at,
        load(lanes, at)
        + ((promote_lower(a) + promote_lower(b)) + (promote_lower(c) + promote_lower(d))),
    )
    at += _HALF
    store(
        lanes,
        at,
        load(lanes, at)
        + ((promote_upper(a) + promote_upper(b)) + (promote_upper(c) + promote_upper(d))),
    )


@inner()
def _sum_of_gaps(lanes, at, top, t0, t1, t2, t3, v0, v1, v2, v3):
    """Add shares times gaps to the lanes, as `add_shares` does."""
    found = fma(promote_lower(t0), top - promote_lower(v0), load(lanes, at))
    found = fma(promote_lower(t1), top - promote_lower(v1), found)
    found = fma(promote_lower(t2), top - promote_lower(v2), found)
    store(lanes, at, fma(promote_lower(t3), top - promote_lower(v3), found))
    at += _HALF
    found = fma(promote_upper(t0), top - promote_upper(v0), load(lanes, at))
    found = fma(promote_upper(t1), top - promote_upper(v1), found)
    found = fma(promote_upper(t2), top - promote_upper(v2), found)
    store(lanes, at, fma(promote_upper(t3), top - promote_upper(v3), found))


def suits(x, own):
    """Say whether `add_page` is for such logits and shares: small, and without gaps in memory."""


@overload(suits, jit_options=INSIDE)
def _suits(x, own):
    if x.dtype == types.float64 or x.layout != "C":
        return lambda x, own: False
    if own.dtype == types.float64 or own.layout != "C":
        return lambda x, own: own.shape[0] == 0
    return lambda x, own: True


def add_four(own, i, next_row, top, v0, v1, v2, v3, spare, j, signs):
    """Add four vectors of shares and their gaps; return the signs with theirs. None without."""


@overload(add_four, jit_options=INSIDE)
def _add_four(own, i, next_row, top, v0, v1, v2, v3, spare, j, signs):
    if own.dtype == types.float64 or own.layout != "C":
        return lambda own, i, next_row, top, v0, v1, v2, v3, spare, j, signs: signs

    def add(own, i, next_row, top, v0, v1, v2, v3, spare, j, signs):
        ask(own, next_row)
        t0, t1 = load(own, i), load(own, i + _LANES)
        t2, t3 = load(own, i + U(2) * _LANES), load(own, i + U(3) * _LANES)
        _sum_of_four(spare, _LANES + j, t0, t1, t2, t3)
        _sum_of_gaps(spare, j, top, t0, t1, t2, t3, v0, v1, v2, v3)
        return signs | (bits32(t0) | bits32(t1)) | (bits32(t2) | bits32(t3))

    return add


def slope(before, i, share, d, each, c1, c0, grad, at):
    """Write the gradient of a vector of logits past the caches, as `write_some` does."""


@overload(slope, jit_options=INSIDE)
def _slope(before, i, share, d, each, c1, c0, grad, at):
    if share.dtype == types.float64 or share.layout != "C":
        return lambda before, i, share, d, each, c1, c0, grad, at: store_nontemporal(
            grad, at, times_split(load(before, i), c1, c0, each)
        )
    return lambda before, i, share, d, each, c1, c0, grad, at: store_nontemporal(
        grad, at, times_split(load(before, i), c1, c0, load(share, i) * d)
    )


def add_page(x, r, coming, own, e, a, top, constants, lanes, spare, behind):
    """Do all that is to do of classes a to a + COLUMN_BLOCK of row r, none of which is the largest.

    Exponentials go to e and are summed in the lanes, shares of its ``own`` in those that are
    ``spare``. ``behind`` is the row before: what is to do, its exponentials and shares, the
    gradient, and whether it is written here, past the caches. Return something negative where the
    sign of a share is, and the key of the largest of these classes in the row that is ``coming``.
    """


@overload(add_page, jit_options=INSIDE)
def _add_page(x, r, coming, own, e, a, top, constants, lanes, spare, behind):
    if x.dtype == types.float64 or x.layout != "C":
        return lambda x, r, coming, own, e, a, top, constants, lanes, spare, behind: (
            np.int32(0),
            np.int32(0),
        )

    def page(x, r, coming, own, e, a, top, constants, lanes, spare, behind):
        todo, before, share, grad, writes = behind
        n = U(x.shape[1])
        base, row, first = U(r) * n + U(a), U(coming) * n + U(a), U(max(todo.row, 0)) * n + U(a)
        shift, floor, high, low = constants
        c1, d, each = np.float32(todo.c), -np.float32(todo.d), -np.float32(todo.each)
        c0 = np.float32(todo.c - np.float64(c1))
        one, two, three = _LANES, U(2) * _LANES, U(3) * _LANES
        signs = bits32(splat(np.float32(0.0), load(e, U(0))))
        best, ahead = splat(_LOWEST, signs), U(COLUMN_BLOCK) if coming > r else n
        for j in range(U(0), _LANES, _STEP):
            at, i, to = base + j, U(a) + j, first + j
            best = peak_of_four(x, row + U(4) * j, ahead, best)
            v0, e0 = _power(x, at, e, i, shift, floor, high, low)
            v1, e1 = _power(x, at + one, e, i + one, shift, floor, high, low)
            v2, e2 = _power(x, at + two, e, i + two, shift, floor, high, low)
            v3, e3 = _power(x, at + three, e, i + three, shift, floor, high, low)
            _sum_of_four(lanes, j, e0, e1, e2, e3)
            next_row = n + U(a) + U(4) * j
            signs = add_four(own, i, next_row, top, v0, v1, v2, v3, spare, j, signs)
            if writes:
                slope(before, i, share, d, each, c1, c0, grad, to)
                slope(before, i + one, share, d, each, c1, c0, grad, to + one)
                slope(before, i + two, share, d, each, c1, c0, grad, to + two)
                slope(before, i + three, share, d, each, c1, c0, grad, to + three)
        return reduce_or(signs), reduce_max(best)

    return page
