"""A whole column block in one loop of vectors: exponentials, sums, the gradient of the row before.

What each loop of `exponentials`, `sums` and `gradient` does in turn, in the same order and to the
same bits. The memory is prefetched a line at a time, between the arithmetic, so that neither waits.
"""

import numpy as np
from numba import types
from numba.extending import overload

from xent._compile.decorator import inner
from xent._compile.numba_private import INSIDE
from xent._kernels.rows.sizes import ACCUMULATORS, COLUMN_BLOCK
from xent._math.element import order_key
from xent._math.exp import scaled_power, times_split
from xent._math.llvm import CACHE_LINE, prefetch_l2
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
_STEP, _HALF = U(FLOAT32_LANES), U(FLOAT32_LANES // 2)
_ONE, _TWO, _THREE = U(ACCUMULATORS), U(2 * ACCUMULATORS), U(3 * ACCUMULATORS)


def can_vectorise(x, probabilities):
    """Say whether `column_block` is for such logits and targets: small, without gaps in memory."""


@overload(can_vectorise, jit_options=INSIDE)
def _can_vectorise(x, probabilities):
    if x.dtype == types.float64 or x.layout != "C":
        return lambda x, probabilities: False
    if probabilities.dtype == types.float64 or probabilities.layout != "C":
        return lambda x, probabilities: probabilities.shape[0] == 0
    return lambda x, probabilities: True


def column_block(
    x, probabilities, row, start, next_row, power, accumulators, pending, grad, writes
):
    """Do all that is to do of classes start to start + 1024 of a row, none of which is the largest.

    Exponentials go to the row's and are summed in the accumulators, the margins and sums of a soft
    target in those that follow. What is ``pending`` of the row before is written past the caches,
    where it ``writes``. Return something negative where the sign of a target probability is, and
    the key of the largest of these classes in the ``next_row``.
    """


@overload(column_block, jit_options=INSIDE)
def _column_block(
    x, probabilities, row, start, next_row, power, accumulators, pending, grad, writes
):
    if x.dtype == types.float64 or x.layout != "C":

        def nothing(
            x, probabilities, row, start, next_row, power, accumulators, pending, grad, writes
        ):
            return np.int32(0), _LOWEST

        return nothing

    def block(x, probabilities, row, start, next_row, power, accumulators, pending, grad, writes):
        e, n, first = row.exponentials, U(x.shape[1]), U(start)
        here, there = U(row.r) * n + first, U(next_row) * n + first
        behind = U(max(pending.row, 0)) * n + first
        factors = _factors(pending)
        signs = bits32(splat(np.float32(0.0), load(e, U(0))))
        best, ahead = splat(_LOWEST, signs), U(COLUMN_BLOCK) if next_row > row.r else n
        for j in range(U(0), _ONE, _STEP):
            at, i, to = here + j, first + j, behind + j
            best = max_of_four(x, there + U(4) * j, ahead, best)
            v0, e0 = _power(x, at, e, i, power)
            v1, e1 = _power(x, at + _ONE, e, i + _ONE, power)
            v2, e2 = _power(x, at + _TWO, e, i + _TWO, power)
            v3, e3 = _power(x, at + _THREE, e, i + _THREE, power)
            _accumulate(accumulators, j, e0, e1, e2, e3)
            ahead_of_target = n + first + U(4) * j
            signs = add_targets(
                probabilities, i, ahead_of_target, row.max, v0, v1, v2, v3, accumulators, j, signs
            )
            if writes:
                write_vector(probabilities, pending, i, factors, grad, to)
                write_vector(probabilities, pending, i + _ONE, factors, grad, to + _ONE)
                write_vector(probabilities, pending, i + _TWO, factors, grad, to + _TWO)
                write_vector(probabilities, pending, i + _THREE, factors, grad, to + _THREE)
        return reduce_or(signs), reduce_max(best)

    return block


@inner()
def _prefetch_four(array, at):
    """Prefetch four vectors, one after the other."""
    for i in range(at, at + U(4) * _STEP, U(CACHE_LINE // array.itemsize)):
        prefetch_l2(array, i)


def max_of_four(x, at, ahead, best):
    """Prefetch four vectors ``ahead`` of those at ``at``; of float32 find the largest of these."""


@overload(max_of_four, jit_options=INSIDE)
def _max_of_four(x, at, ahead, best):
    if x.dtype == types.float32:
        return lambda x, at, ahead, best: _largest(x, at, ahead, best)

    def only_prefetch(x, at, ahead, best):
        _prefetch_four(x, at + ahead)
        return best

    return only_prefetch


@inner()
def _largest(x, at, ahead, best):
    _prefetch_four(x, at + ahead)
    for i in range(at, at + U(4) * _STEP, _STEP):
        rank = order_key(load(x, i))
        best = select(rank > best, rank, best)
    return best


@inner()
def _power(x, at, exponentials, i, power):
    """Write the exponentials of a vector of logits; return both."""
    shift, floor, high, low = power
    v = load(x, at)
    e = scaled_power(v, shift, floor, high, low)
    store(exponentials, i, e)
    return v, e


@inner()
def _accumulate(accumulators, at, a, b, c, d):
    """Add four vectors to the accumulators, as `sums.accumulate` does."""
    left, right = promote_lower(a) + promote_lower(b), promote_lower(c) + promote_lower(d)
    store(accumulators, at, load(accumulators, at) + (left + right))
    at += _HALF
    left, right = promote_upper(a) + promote_upper(b), promote_upper(c) + promote_upper(d)
    store(accumulators, at, load(accumulators, at) + (left + right))


def add_targets(probabilities, i, ahead, row_max, v0, v1, v2, v3, accumulators, j, signs):
    """Add four vectors of a soft target and its margins; return the signs with theirs."""


@overload(add_targets, jit_options=INSIDE)
def _add_targets(probabilities, i, ahead, row_max, v0, v1, v2, v3, accumulators, j, signs):
    if probabilities.dtype == types.float64 or probabilities.layout != "C":
        return lambda probabilities, i, ahead, row_max, v0, v1, v2, v3, accumulators, j, signs: (
            signs
        )

    def add(probabilities, i, ahead, row_max, v0, v1, v2, v3, accumulators, j, signs):
        _prefetch_four(probabilities, ahead)
        t0, t1 = load(probabilities, i), load(probabilities, i + _ONE)
        t2, t3 = load(probabilities, i + _TWO), load(probabilities, i + _THREE)
        _accumulate(accumulators, _TWO + j, t0, t1, t2, t3)
        _accumulate_margins(accumulators, _ONE + j, row_max, t0, t1, t2, t3, v0, v1, v2, v3)
        return signs | (bits32(t0) | bits32(t1)) | (bits32(t2) | bits32(t3))

    return add


@inner()
def _accumulate_margins(accumulators, at, row_max, t0, t1, t2, t3, v0, v1, v2, v3):
    """Add targets times margins, as `sums.accumulate_margins` does."""
    found = fma(promote_lower(t0), row_max - promote_lower(v0), load(accumulators, at))
    found = fma(promote_lower(t1), row_max - promote_lower(v1), found)
    found = fma(promote_lower(t2), row_max - promote_lower(v2), found)
    store(accumulators, at, fma(promote_lower(t3), row_max - promote_lower(v3), found))
    at += _HALF
    found = fma(promote_upper(t0), row_max - promote_upper(v0), load(accumulators, at))
    found = fma(promote_upper(t1), row_max - promote_upper(v1), found)
    found = fma(promote_upper(t2), row_max - promote_upper(v2), found)
    store(accumulators, at, fma(promote_upper(t3), row_max - promote_upper(v3), found))


@inner()
def _factors(pending):
    """Return the factors of the pending gradient in float32, that of the exponentials in two."""
    c1 = np.float32(pending.exponential)
    c0 = np.float32(pending.exponential - np.float64(c1))
    return c1, c0, -np.float32(pending.soft_target), -np.float32(pending.uniform)


def write_vector(probabilities, pending, i, factors, grad, at):
    """Write the gradient of a vector of logits past the caches, as `gradient` does."""


@overload(write_vector, jit_options=INSIDE)
def _write_vector(probabilities, pending, i, factors, grad, at):
    if probabilities.dtype == types.float64 or probabilities.layout != "C":

        def write(probabilities, pending, i, factors, grad, at):
            c1, c0, _, uniform = factors
            store_nontemporal(grad, at, times_split(load(pending.exponentials, i), c1, c0, uniform))

        return write

    def write_soft(probabilities, pending, i, factors, grad, at):
        c1, c0, soft, _ = factors
        less = load(pending.probabilities, i) * soft
        store_nontemporal(grad, at, times_split(load(pending.exponentials, i), c1, c0, less))

    return write_soft
