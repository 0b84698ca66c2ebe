"""Sums over the classes of a row, in an order that depends on the number of classes alone.

Term c goes to accumulator c % 256. Of a whole column block (1024 terms) each accumulator takes four
at once; else one after the other. At the end the accumulators are added as a tree, halves first:

    terms          v[j]  v[j+256]   v[j+512]  v[j+768]      j = 0 .. 255
                     +------+           +--------+
                         +---------+--------+
    accumulators               A[j] += sum                 block after block
    tree                A[j] += A[j+128]                   j = 0 .. 127
                        A[j] += A[j+64]                    j = 0 .. 63; then +32, +16, +8, +4
                        (A[0] + A[2]) + (A[1] + A[3])

So the same logits give the same bits in any layout and under any number of threads.
"""

import numpy as np

from xent._compile.decorator import inner, outer, step
from xent._kernels.rows.sizes import ACCUMULATORS, COLUMN_BLOCK, ZERO
from xent._math.double_double import dd_add_double
from xent._math.element import sign_bits, to_float64
from xent._math.llvm import prefetch_l2
from xent._math.vector import fma

U = np.uint64
_ONE, _TWO, _THREE = U(ACCUMULATORS), U(2 * ACCUMULATORS), U(3 * ACCUMULATORS)


@step()
def tree_sum(accumulators, n):
    """Return the sum of ``accumulators[:n]``, which are used up.

    Loops of fixed lengths leave no remainder that SIMD could not take.
    """
    if n > 16:
        for i in range(U(n), U(64 if n <= 64 else 128 if n <= 128 else ACCUMULATORS)):
            accumulators[i] = 0.0
        if n > 128:
            for i in range(U(128)):
                accumulators[i] += accumulators[i + U(128)]
        if n > 64:
            for i in range(U(64)):
                accumulators[i] += accumulators[i + U(64)]
        for i in range(U(32)):
            accumulators[i] += accumulators[i + U(32)]
        for i in range(U(16)):
            accumulators[i] += accumulators[i + U(16)]
    else:
        for i in range(U(n), U(16)):
            accumulators[i] = 0.0
    for i in range(U(8)):
        accumulators[i] += accumulators[i + U(8)]
    for i in range(U(4)):
        accumulators[i] += accumulators[i + U(4)]
    return (accumulators[0] + accumulators[2]) + (accumulators[1] + accumulators[3])


@inner()
def accumulate(values, start, stop, accumulators):
    """Add ``values[start:stop]``, at most a column block, to the accumulators."""
    if stop - start == COLUMN_BLOCK:
        for j in range(_ONE):
            i = U(start) + j
            left = to_float64(values[i]) + to_float64(values[i + _ONE])
            right = to_float64(values[i + _TWO]) + to_float64(values[i + _THREE])
            accumulators[j] += left + right
    else:
        for c in range(start, stop, ACCUMULATORS):
            begin = U(c)
            for k in range(begin, U(min(c + ACCUMULATORS, stop))):
                accumulators[k - begin] += to_float64(values[k])


@inner()
def accumulate_compensated(terms, n, accumulators, compensation):
    """Add ``terms[:n]`` to the accumulators, what float64 rounds away to the compensation."""
    for i in range(n):
        accumulators[i], compensation[i] = dd_add_double(accumulators[i], compensation[i], terms[i])


@inner()
def _margin(x, u, i, row_max):
    """Return z_m - z_c: 0 for the largest itself, even where it is infinite."""
    v = to_float64(x[u, i])
    return row_max - v if v != row_max else 0.0


@step()
def sum_of_margins(row, inverse_temperature, accumulators):
    """Return the sum over c of (z_m - z_c) / T."""
    x, u, row_max = row.x, U(row.r), row.max
    n = x.shape[1]
    used = min(n, ACCUMULATORS)
    for j in range(U(used)):
        accumulators[j] = 0.0
    # The sums of `accumulate`, made on the way.
    for a in range(0, n - COLUMN_BLOCK + 1, COLUMN_BLOCK):
        begin = U(a)
        for j in range(_ONE):
            i = begin + j
            left = _margin(x, u, i, row_max) + _margin(x, u, i + _ONE, row_max)
            right = _margin(x, u, i + _TWO, row_max) + _margin(x, u, i + _THREE, row_max)
            accumulators[j] += left + right
    for c in range(n - n % COLUMN_BLOCK, n, ACCUMULATORS):
        begin = U(c)
        for j in range(U(min(ACCUMULATORS, n - c))):
            accumulators[j] += _margin(x, u, begin + j, row_max)
    return tree_sum(accumulators, used) * inverse_temperature


@inner()
def accumulate_margins(x, r, probabilities, start, stop, row_max, accumulators):
    """Add a_c (z_m - z_c) of a column block at most to accumulators, a_c to those that follow.

    Return something negative where the sign of a probability is.
    """
    u, first = U(r), U(start)
    signs = np.int32(0)
    for c in range(first, U(stop)):
        signs = np.int32(signs | sign_bits(probabilities[c]))
    if stop - start == COLUMN_BLOCK:
        for j in range(_ONE):
            i = first + j
            t0, t1 = to_float64(probabilities[i]), to_float64(probabilities[i + _ONE])
            t2, t3 = to_float64(probabilities[i + _TWO]), to_float64(probabilities[i + _THREE])
            g0, g1 = row_max - to_float64(x[u, i]), row_max - to_float64(x[u, i + _ONE])
            g2, g3 = row_max - to_float64(x[u, i + _TWO]), row_max - to_float64(x[u, i + _THREE])
            accumulators[_ONE + j] += (t0 + t1) + (t2 + t3)
            accumulators[j] = fma(t3, g3, fma(t2, g2, fma(t1, g1, fma(t0, g0, accumulators[j]))))
    else:
        for c in range(start, stop, ACCUMULATORS):
            begin = U(c)
            for j in range(U(min(ACCUMULATORS, stop - c))):
                t = to_float64(probabilities[begin + j])
                accumulators[_ONE + j] += t
                accumulators[j] = fma(t, row_max - to_float64(x[u, begin + j]), accumulators[j])
    return signs


@inner()
def soft_margin_of(row, inverse_temperature, accumulators):
    """Return sum_c a_c (z_m - z_c) / T and sum_c a_c, of what `accumulate_margins` gathered."""
    x, row_max, probabilities = row.x, row.max, row.probabilities
    n = x.shape[1]
    used = min(n, ACCUMULATORS)
    margin = tree_sum(accumulators, used)
    target_mass = tree_sum(accumulators[ACCUMULATORS:], used)
    if not margin < np.inf:
        # An infinite margin counts for nothing under a probability of 0, nor does the largest's.
        u = U(row.r)
        for i in range(U(used)):
            accumulators[i] = 0.0
        for c in range(0, n, ACCUMULATORS):
            begin = U(c)
            for j in range(U(min(ACCUMULATORS, n - c))):
                v, t = to_float64(x[u, begin + j]), to_float64(probabilities[begin + j])
                accumulators[j] += t * (row_max - v) if t != 0.0 and v != row_max else 0.0
        margin = tree_sum(accumulators, used)
    return margin * inverse_temperature, target_mass


@step()
def entropy_of_row(row, softmax, inverse_temperature, terms, accumulators):
    """Return H = log_sum + sum over c of p_c (z_m - z_c) / T: positive terms only."""
    x, u, row_max, exponentials = row.x, U(row.r), row.max, row.exponentials
    n = x.shape[1]
    used = min(n, ACCUMULATORS)
    for i in range(used):
        accumulators[i] = 0.0
    for a in range(0, n, COLUMN_BLOCK):
        start = U(a)
        for i in range(start, U(min(a + COLUMN_BLOCK, n))):
            v, e = to_float64(x[u, i]), to_float64(exponentials[i])
            margin = (row_max - v) * inverse_temperature
            terms[i - start] = e * margin if e != 0.0 and v != row_max else 0.0
        accumulate(terms, ZERO, min(a + COLUMN_BLOCK, n) - a, accumulators)
    return softmax.log_sum + tree_sum(accumulators, used) / softmax.total


@inner()
def sum_of_probabilities(probabilities, accumulators):
    """Return the sum of a target row, and something negative where the sign of one is.

    The row after it in memory is prefetched.
    """
    n = probabilities.shape[0]
    signs = np.int32(0)
    for i in range(min(n, ACCUMULATORS)):
        accumulators[i] = 0.0
    for a in range(0, n, COLUMN_BLOCK):
        b = min(a + COLUMN_BLOCK, n)
        for j in range(a, b if n > ACCUMULATORS else a, 64 // probabilities.itemsize):
            prefetch_l2(probabilities, n + j)
        for i in range(U(a), U(b)):
            signs = np.int32(signs | sign_bits(probabilities[i]))
        accumulate(probabilities, a, b, accumulators)
    return tree_sum(accumulators, min(n, ACCUMULATORS)), signs


@outer()
def compensated_sum(values):
    """Return the sum of all values, always in the same order, what is rounded away kept apart."""
    total, compensation = 0.0, 0.0
    for i in range(values.shape[0]):
        total, compensation = dd_add_double(total, compensation, values[i])
    return total + compensation if compensation == compensation else total
