"""The exponentials of a row of logits, and their sum: the pass over the memory.

Computing hides the memory's wait: the next row of x and this row of the gradient are prefetched,
and what is pending of the gradient of the row before is written on the way.
"""

from typing import Any

import numpy as np

from xent._compile.decorator import inner
from xent._kernels.rows.argmax import index_of_key, largest_key
from xent._kernels.rows.column_block import can_vectorise, column_block
from xent._kernels.rows.gradient import write_gradient
from xent._kernels.rows.sizes import ACCUMULATORS, COLUMN_BLOCK, NONE, PAD, ZERO
from xent._kernels.rows.sums import (
    accumulate,
    accumulate_compensated,
    accumulate_margins,
    tree_sum,
)
from xent._math.element import to_float64
from xent._math.exp import EXP_SCALE, power_constants, scaled_exp_below, scaled_power
from xent._math.llvm import CACHE_LINE, address, prefetch_l2

U = np.uint64
_NO_KEY: Any = np.int64(-(2**31))  # below that of every float32


@inner()
def exponentials_of_row(row, constants, scratch, out, pending):
    """Write scale exp((z_c - z_m) / T) of a row; return their sum over c other than m, and scale.

    Return then something negative where a target probability has a sign: where the row has such,
    their margins are summed in the accumulators that follow. And last the argmax of the next row,
    or -1 where that was not looked for.
    """
    x, probabilities, inverse = row.x, row.probabilities, constants.inverse_temperature
    n, accumulators = x.shape[1], scratch.accumulators
    in_range, scale, shift, floor, high, low = power_constants(row.max, inverse)
    power = shift, floor, high, low
    if x.itemsize == 8:
        scale = EXP_SCALE
    few = n <= ACCUMULATORS and x.itemsize < 8
    used = min(n, ACCUMULATORS)
    _clear(scratch, 0 if few else used, used, used if probabilities.shape[0] else 0)
    vectors = in_range and can_vectorise(x, probabilities)
    # While a row is fetched into the cache, it is no work to find its largest logit.
    searches = vectors and n > COLUMN_BLOCK and x.itemsize == 4 and row.r + 1 < x.shape[0]
    next_row = row.r + 1 if searches else row.r
    lined = _in_lines(out.grad, n, pending) and constants.nontemporal
    best, best_block, signs = _NO_KEY, ZERO, np.int32(0)
    for a in range(ZERO, n, COLUMN_BLOCK):
        b = min(a + COLUMN_BLOCK, n)
        if vectors and b - a == COLUMN_BLOCK and not a <= row.argmax < b:
            writes = lined and not (a <= pending.argmax < b or a <= pending.target < b)
            _prefetch(out.grad, row.r * n + a, 0 if constants.nontemporal else b - a)
            found, key = column_block(
                x, probabilities, row, a, next_row, power, accumulators, pending, out.grad, writes
            )
            largest = np.int64(key)
            if not writes:
                write_gradient(pending, out, scratch, constants, a, b)
        else:
            largest = np.int64(largest_key(x, next_row, a, b)) if searches else _NO_KEY
            for c in range(a, b, ACCUMULATORS):
                d = min(c + ACCUMULATORS, b)
                if n > ACCUMULATORS:
                    ahead = COLUMN_BLOCK if searches else 0
                    _prefetch(x, (row.r + 1) * n + c + ahead, d - c)
                    _prefetch(probabilities, n + c, d - c if probabilities.shape[0] else 0)
                    _prefetch(out.grad, row.r * n + c, 0 if constants.nontemporal else d - c)
                _exponentials(row, c, d, in_range, power, inverse, scratch)
                write_gradient(pending, out, scratch, constants, c, d)
            found = _sum_block(row, a, b, scale, few, accumulators)
        signs = np.int32(signs | found)
        if largest > best:
            best, best_block = largest, a
    # What is left of whole vectors is filled up with zeros.
    used = n + -n % PAD if few else used
    for i in range(min(used, scratch.compensation.shape[0])):
        accumulators[i] += scratch.compensation[i]
    # Only -inf, or a NaN: there is no distribution, even of one class.
    others = tree_sum(accumulators, used) if row.max > -np.inf else np.nan
    next_argmax = NONE
    if searches:
        stop = min(best_block + COLUMN_BLOCK, n)
        next_argmax = index_of_key(x, next_row, best_block, stop, np.int32(best))
    return others, scale, signs, next_argmax


@inner()
def _clear(scratch, used, compensated, soft):
    """Set to zero so many accumulators, their compensation, and those of a soft target."""
    for i in range(U(used)):
        scratch.accumulators[i] = 0.0
    for i in range(U(min(compensated, scratch.compensation.shape[0]))):
        scratch.compensation[i] = 0.0
    margins, mass = U(ACCUMULATORS), U(2 * ACCUMULATORS)
    for i in range(U(soft)):
        scratch.accumulators[margins + i] = scratch.accumulators[mass + i] = 0.0


@inner()
def _in_lines(grad, n, pending):
    """Say whether vectors of the pending gradient are whole cache lines of float32."""
    whole = grad.itemsize == 4 and address(grad) % CACHE_LINE == 0 and n % (CACHE_LINE // 4) == 0
    return whole and pending.row >= 0 and pending.in_float32


@inner()
def _prefetch(array, start, count):
    """Prefetch so many elements."""
    for j in range(start, start + count, CACHE_LINE // array.itemsize):
        prefetch_l2(array, j)


@inner()
def _exponentials(row, start, stop, in_range, power, inverse_temperature, scratch):
    """Write the exponentials of at most 256 classes; of float64 add them up.

    What sums float32 is another loop: beside a float64 in the same loop, LLVM takes half as many
    float32 at once.
    """
    x, u, exponentials = row.x, U(row.r), row.exponentials
    first, last = U(start), U(stop)
    if x.itemsize == 8:
        for i in range(first, last):
            e = scaled_exp_below(x[u, i], row.max, inverse_temperature)
            scratch.terms[i - first] = e
            exponentials[i] = e
        if start <= row.argmax < start + ACCUMULATORS:
            scratch.terms[row.argmax - start] = 0.0
        accumulate_compensated(
            scratch.terms, last - first, scratch.accumulators, scratch.compensation
        )
    elif in_range:
        _powers(x, u, exponentials, start, stop, power)
    else:
        for i in range(first, last):
            exponentials[i] = scaled_exp_below(x[u, i], row.max, inverse_temperature)
        for i in range(last, U(stop + (start - stop) % PAD)):
            exponentials[i] = 0.0


@inner()
def _powers(x, u, exponentials, start, stop, power):
    """Write `scaled_power` of classes start to stop, a whole vector at a time."""
    shift, floor, high, low = power
    whole = stop - (stop - start) % PAD
    for i in range(U(start), U(whole)):
        exponentials[i] = scaled_power(np.float32(to_float64(x[u, i])), shift, floor, high, low)
    if whole < stop:
        for i in range(U(whole), U(stop)):
            exponentials[i] = to_float64(x[u, i])
        for i in range(U(stop), U(whole + PAD)):
            exponentials[i] = -np.inf
        rest = exponentials[whole : whole + PAD]
        for i in range(U(PAD)):
            rest[i] = scaled_power(np.float32(rest[i]), shift, floor, high, low)


@inner()
def _sum_block(row, start, stop, scale, few, accumulators):
    """Add up the exponentials of a column block, and the margins of a soft target.

    Return something negative where the sign of a target probability is.
    """
    x, exponentials, argmax = row.x, row.exponentials, row.argmax
    here = start <= argmax < stop
    if x.itemsize < 8:
        if here:
            exponentials[argmax] = 0.0
        if few:
            for i in range(U(stop + -stop % PAD)):
                accumulators[i] = to_float64(exponentials[i])
        else:
            accumulate(exponentials, start, stop, accumulators)
    if here:
        exponentials[argmax] = scale
    if row.probabilities.shape[0] == 0:
        return np.int32(0)
    margins = accumulators[ACCUMULATORS:]
    return accumulate_margins(x, row.r, row.probabilities, start, stop, row.max, margins)
