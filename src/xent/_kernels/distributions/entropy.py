"""Entropy and cross-entropy of rows of probabilities, checked in the pass that reads them.

Two speeds, one formula. The fast row sums p log p, eight outcomes at a time, in double-double.
Where less than half a nat is left (one outcome has most of the mass) the careful row takes that
outcome out and writes its part as log1p(rest / max): the sum then has terms of one sign only.
"""

import math

import numpy as np

from xent._compile.decorator import inner, kernel
from xent._math.double_double import dd_add_double, dd_reduce
from xent._math.llvm import prefer_512, prefetch
from xent._math.log import fast_log, fast_log8, log
from xent._math.vector import FLOAT64_LANES, bits64, fma, load, reduce_or, select, zeros

LOOSE = {"reassoc", "contract", "nsz"}
PREFETCH_DISTANCE = 1024  # outcomes
LANES = FLOAT64_LANES
# Outcomes that are added plainly before a double-double takes them: more would be faster and, where
# all terms are alike, round alike.
STEP = 4 * LANES
MIN_NORMAL, MIN_NORMAL_BITS = 2.0**-1022, np.int64(0x0010000000000000)
LOG_SCALE, SCALE_EXPONENT = 2.0**128, 128  # takes a subnormal into the normal range, exactly


@kernel(inside=True, fastmath=LOOSE)
def _entropy_block(p):
    prefer_512()
    nats = 0.0
    total = 0.0
    sign = 0
    for j in range(p.shape[0]):
        x = p[j]
        sign |= bits64(x)
        nats += x * fast_log(x)
        total += x
    return nats, total, sign


@kernel(inside=True)
def argmax(p):
    """Index of the first largest entry."""
    best = 0
    for j in range(p.shape[0]):
        if p[j] > p[best]:
            best = j
    return best


@kernel(inside=True)
def smallest(p):
    """Smallest entry. NumPy's own would load scipy.linalg with the machine code."""
    found = math.inf
    for j in range(p.shape[0]):
        found = p[j] if p[j] < found else found
    return found


@kernel(forceinline=True)
def rest_of(p, top):
    """Sum of all but one, times `LOG_SCALE`."""
    total, error = 0.0, 0.0
    for j in range(p.shape[0]):
        if j != top:
            total, error = dd_add_double(total, error, p[j] * LOG_SCALE)
    return total + error


@kernel(forceinline=True)
def _top_term(rest, top):
    """Top * log1p(rest / top), with rest and the result times `LOG_SCALE`."""
    y = rest / LOG_SCALE / top
    return rest if y < 2.0**-60 else top * math.log1p(y) * LOG_SCALE


@kernel(inside=True)
def _careful(p, q):
    """Cross-entropy where one q has most of the mass; p is q for the entropy."""
    top = argmax(q)
    rest = rest_of(q, top)
    shift = math.log1p((q[top] - 1.0) + rest / LOG_SCALE)
    nats, error = 0.0, 0.0
    weight = 0.0
    total = 0.0
    for j in range(p.shape[0]):
        if j == top or p[j] == 0.0:
            continue
        if q[j] == 0.0:
            return math.inf
        total += p[j] * LOG_SCALE
        nats, error = dd_add_double(
            nats, error, -(p[j] * LOG_SCALE) * log(q[j] * LOG_SCALE, SCALE_EXPONENT)
        )
    weight = p[top]
    nats, error = dd_add_double(nats, error, total * shift)
    nats, error = dd_add_double(nats, error, weight * (_top_term(rest, q[top]) / q[top]))
    return (nats + error) / LOG_SCALE / (weight + total / LOG_SCALE)


@inner()
def _entropy_step(p, j, signs, nats, total):
    """Add eight outcomes to plain sums."""
    prefetch(p, j + PREFETCH_DISTANCE)
    x = load(p, j)
    nats = fma(x, fast_log8(select(x > MIN_NORMAL, x, MIN_NORMAL)), nats)
    return signs | bits64(x), nats, total + x


@kernel(inside=True)
def _entropy_sums(p, start, stop):
    """Σ p log p and Σ p of a row as double-doubles, and the bits of its entries, or'ed."""
    prefer_512()
    nats = nats_low = total = total_low = zeros()
    signs = bits64(total)
    whole = stop - (stop - start) % LANES
    for first in range(start, whole, STEP):
        some_nats = some = zeros()
        if first + STEP <= whole:  # a number of turns that LLVM knows
            for j in range(0, STEP, LANES):
                signs, some_nats, some = _entropy_step(p, first + j, signs, some_nats, some)
        else:
            for j in range(first, whole, LANES):
                signs, some_nats, some = _entropy_step(p, j, signs, some_nats, some)
        nats, nats_low = dd_add_double(nats, nats_low, some_nats)
        total, total_low = dd_add_double(total, total_low, some)
    a, b, sign = _entropy_block(p[whole:stop])
    nats_sum, sum_ = dd_reduce(nats, nats_low), dd_reduce(total, total_low)
    return (
        dd_add_double(nats_sum[0], nats_sum[1], a),
        dd_add_double(sum_[0], sum_[1], b),
        sign | reduce_or(signs),
    )


@kernel(inside=True, fastmath={"contract"})
def entropy_row(p, start, stop, slack):
    """Entropy of a row in nats; -1 where it is no distribution."""
    prefer_512()
    nats, (total, low), sign = _entropy_sums(p, start, stop)
    off = (total - 1.0) + low
    if not abs(off) <= slack:
        return -1.0
    row = p[start:stop]
    if sign < 0 and smallest(row) < 0.0:
        return -1.0
    found = math.log1p(off) - (nats[0] + nats[1]) / (total + low)
    return found if found >= 0.5 else _careful(row, row)


@kernel()
def entropy_rows(rows, slack, out):
    """Write the entropy of each row in nats; return the first bad row, or -1."""
    prefer_512()
    count, size = rows.shape
    flat = rows.reshape(count * size)
    for i in range(count):
        out[i] = entropy_row(flat, i * size, (i + 1) * size, slack)
        if out[i] == -1.0:
            return i
    return -1


@kernel(inside=True, fastmath=LOOSE)
def _cross_block(p, q):
    prefer_512()
    nats = 0.0
    total_p = 0.0
    total_q = 0.0
    sign = 0
    for j in range(p.shape[0]):
        x = p[j]
        y = q[j]
        # A q below the normal range sets the sign bit too: zero or subnormal, somebody must look.
        sign |= bits64(x) | bits64(y) | (bits64(y) - MIN_NORMAL_BITS)
        nats += x * fast_log(y)
        total_p += x
        total_q += y
    return nats, total_p, total_q, sign


@inner()
def _cross_step(p, q, j, signs, nats, total_p, total_q):
    """Add eight pairs of outcomes to plain sums."""
    prefetch(p, j + PREFETCH_DISTANCE)
    prefetch(q, j + PREFETCH_DISTANCE)
    x, y = load(p, j), load(q, j)
    signs = signs | bits64(x) | bits64(y) | (bits64(y) - MIN_NORMAL_BITS)
    nats = fma(x, fast_log8(select(y > MIN_NORMAL, y, MIN_NORMAL)), nats)
    return signs, nats, total_p + x, total_q + y


@kernel(inside=True)
def _cross_sums(p, q, start, stop):
    """Σ p log q, Σ p and Σ q of a row as double-doubles, and the bits of its entries, or'ed."""
    prefer_512()
    nats = nats_low = total_p = low_p = total_q = low_q = zeros()
    signs = bits64(nats)
    whole = stop - (stop - start) % LANES
    for first in range(start, whole, STEP):
        some_nats = some_p = some_q = zeros()
        if first + STEP <= whole:  # a number of turns that LLVM knows
            for j in range(0, STEP, LANES):
                signs, some_nats, some_p, some_q = _cross_step(
                    p, q, first + j, signs, some_nats, some_p, some_q
                )
        else:
            for j in range(first, whole, LANES):
                signs, some_nats, some_p, some_q = _cross_step(
                    p, q, j, signs, some_nats, some_p, some_q
                )
        nats, nats_low = dd_add_double(nats, nats_low, some_nats)
        total_p, low_p = dd_add_double(total_p, low_p, some_p)
        total_q, low_q = dd_add_double(total_q, low_q, some_q)
    a, b, c, sign = _cross_block(p[whole:stop], q[whole:stop])
    nats_sum, p_sum, q_sum = (
        dd_reduce(nats, nats_low),
        dd_reduce(total_p, low_p),
        dd_reduce(total_q, low_q),
    )
    return (
        dd_add_double(nats_sum[0], nats_sum[1], a),
        dd_add_double(p_sum[0], p_sum[1], b),
        dd_add_double(q_sum[0], q_sum[1], c),
        sign | reduce_or(signs),
    )


@kernel(fastmath={"contract"})
def cross_entropy_rows(left, right, slack, out):
    """Write the cross-entropy of each pair of rows; return the first bad row, or -1."""
    prefer_512()
    count, size = left.shape
    ps = left.reshape(count * size)
    qs = right.reshape(count * size)
    for i in range(count):
        nats, (total_p, low_p), (total_q, low_q), sign = _cross_sums(
            ps, qs, i * size, (i + 1) * size
        )
        off_p = (total_p - 1.0) + low_p
        off_q = (total_q - 1.0) + low_q
        if not (abs(off_p) <= slack and abs(off_q) <= slack):
            return i
        look = False
        if sign < 0:
            if smallest(left[i]) < 0.0 or smallest(right[i]) < 0.0:
                return i
            look = needs_care(left[i], right[i])
        found = math.log1p(off_q) - (nats[0] + nats[1]) / (total_p + low_p)
        out[i] = _careful(left[i], right[i]) if look or found < 0.5 else found
    return -1


@kernel(inside=True)
def needs_care(p, q):
    """Tell whether an outcome that p allows has a q of zero or one below the normal range."""
    for j in range(p.shape[0]):  # noqa: SIM110 - Numba knows no any()
        if p[j] > 0.0 and q[j] < 2.0**-1022:
            return True
    return False


__all__ = [
    "LANES",
    "LOG_SCALE",
    "LOOSE",
    "MIN_NORMAL",
    "MIN_NORMAL_BITS",
    "PREFETCH_DISTANCE",
    "SCALE_EXPONENT",
    "STEP",
    "argmax",
    "cross_entropy_rows",
    "entropy_row",
    "entropy_rows",
    "needs_care",
    "rest_of",
    "smallest",
]
