"""Rows of many classes: eight or sixteen classes side by side, one row after the other.

A row is read from memory once; what needs its largest entry goes over it again while it lies in the
nearest cache. The true class, of logits the largest, is left out of the sums, as in `narrow`.
"""

import math

import numpy as np

from xent._compile.decorator import inner, outer, step
from xent._kernels.predictions.figures import cost_of, first_above
from xent._math.element import add_squared, float64_halves, from_float64, lanes_of, next_above
from xent._math.exp import EXP_SCALE, scaled_exp_below
from xent._math.llvm import prefer_512, prefetch
from xent._math.log import log1p
from xent._math.transpose import load_some
from xent._math.vector import (
    FLOAT64_LANES,
    count_true,
    load,
    load_float64,
    lower_half,
    multiply_add,
    select,
    splat,
    upper_half,
    zeros,
)

U = np.uint64
LANES = FLOAT64_LANES
_AHEAD = 2048  # classes that are asked for before they are wanted


@inner()
def _tree(vector):
    """Sum the elements of a vector, half on half."""
    four = lower_half(vector) + upper_half(vector)
    two = lower_half(four) + upper_half(four)
    return lower_half(two) + upper_half(two)


@inner()
def _larger(a, b):
    return select(a < b, b, a)


@inner()
def _smaller(a, b):
    return select(b < a, b, a)


@inner()
def _largest_of(vector):
    four = _larger(lower_half(vector), upper_half(vector))
    two = _larger(lower_half(four), upper_half(four))
    return max(lower_half(two), upper_half(two))


@step()
def _sums(x, start, stop, limit):
    """Σ p, Σ p², the largest and the smallest of flat x from start to stop, and 0.

    And how many are at least ``limit``, of the type of x.
    """
    prefer_512()
    lanes = lanes_of(x)
    least = splat(limit, load(x, U(start)))
    best = low = splat(0.0, least)
    a = b = s = t = (zeros(), zeros())
    found = np.int64(0)
    whole = start + (stop - start) // (2 * lanes) * (2 * lanes)
    for j in range(start, whole, 2 * lanes):
        prefetch(x, j + _AHEAD)
        prefetch(x, j + _AHEAD + lanes)
        v, w = load(x, U(j)), load(x, U(j + lanes))
        best, low = _larger(best, _larger(v, w)), _smaller(low, _smaller(v, w))
        found += count_true(least <= v) + count_true(least <= w)
        a, s = add_squared(v, a, s)
        b, t = add_squared(w, b, t)
    sums, squares = (a[0] + a[1]) + (b[0] + b[1]), (s[0] + s[1]) + (t[0] + t[1])
    v, w = float64_halves(best)
    last_best = _larger(v, w)
    v, w = float64_halves(low)
    last_low = _smaller(v, w)
    for j in range(whole, stop, LANES):
        v = load_some(x, U(j), stop - j)
        sums, squares = sums + v, multiply_add(v, v, squares)
        last_best, last_low = _larger(last_best, v), _smaller(last_low, v)
        found += count_true(np.float64(limit) <= v)
        found -= max(j + LANES - stop, 0) if limit <= 0.0 else 0  # that are not there
    return _tree(sums), _tree(squares), _largest_of(last_best), -_largest_of(-last_low), found


@step()
def _above(x, start, stop, value):
    """How many of flat x from start to stop are above a value."""
    prefer_512()
    lanes = lanes_of(x)
    found = np.int64(0)
    whole = start + (stop - start) // lanes * lanes
    for j in range(start, whole, lanes):
        found += count_true(value < load(x, U(j)))
    for j in range(whole, stop):
        found += np.int64(x[j] > value)
    return found


@step()
def _at_least(x, start, stop, value):
    """How many of flat x from start to stop are at least a value."""
    prefer_512()
    lanes = lanes_of(x)
    found = np.int64(0)
    whole = start + (stop - start) // lanes * lanes
    for j in range(start, whole, lanes):
        found += count_true(value <= load(x, U(j)))
    for j in range(whole, stop):
        found += np.int64(x[j] >= value)
    return found


@step()
def _place_of(x, start, stop, value):
    """Return where flat x from start to stop first has a value that it has."""
    prefer_512()
    lanes = lanes_of(x)
    size = 4 * lanes
    whole = start + (stop - start) // size * size
    at = whole
    for j in range(start, whole, size):
        a, b = _larger(load(x, U(j)), load(x, U(j + lanes))), load(x, U(j + 2 * lanes))
        if count_true(_larger(a, _larger(b, load(x, U(j + 3 * lanes)))) == value):
            at = j
            while not count_true(load(x, U(at)) == value):
                at += lanes
            break
    for j in range(at, stop):
        if x[j] == value:
            return np.int64(j)
    return np.int64(start)


@inner()
def _rank(x, start, stop, true, mine):
    """How many go before the true class: have more, or as much and stand before it."""
    if true < start:
        return np.int64(0)
    return _at_least(x, start, true, mine) + _above(x, true + 1, stop, mine)


@outer()
def wide_probs(x, classes, truth, slack, out):
    """Measure rows of probabilities, flat x of n rows of C classes; see `narrow_probs`."""
    for r in range(truth.shape[0]):
        start = r * classes
        stop = start + classes
        true = start + truth[r] if truth[r] >= 0 else np.int64(-1)
        own = x[max(true, start)]
        mine = np.float64(own) if true >= 0 else 0.0
        end = true if true >= 0 else stop
        # Of those that have as much, the ones that stand before it go before it.
        others, squares, most, least, rank = _sums(x, start, end, own)
        if true >= 0:
            above = next_above(abs(own))  # no -0
            more, more_squares, right, low, after = _sums(x, true + 1, stop, above)
            others, squares, rank = others + more, squares + more_squares, rank + after
            most, least = max(most, right, mine), min(least, low, mine)
        total = others + mine
        left = others / total
        place = true
        if rank or true < 0:
            place = _place_of(x, start, stop, from_float64(most, own))
        out.guess[r] = place - start
        out.rank[r] = rank
        out.confidence[r] = most / total
        out.given[r] = mine / total
        out.brier[r] = squares / (total * total) + left * left
        out.cost[r] = cost_of(others, mine)
        out.off[r] = math.inf if least < 0.0 else abs(total - 1.0)
    return first_above(out.off, slack, truth.shape[0])


@step()
def _largest(x, start, stop):
    """Return the largest of flat x from start to stop that is a number, or -inf."""
    prefer_512()
    best = best1 = zeros() - math.inf
    whole = start + (stop - start) // (2 * LANES) * (2 * LANES)
    for j in range(start, whole, 2 * LANES):
        best = _larger(best, load_float64(x, U(j)))
        best1 = _larger(best1, load_float64(x, U(j + LANES)))
    most = _largest_of(_larger(best, best1))
    for j in range(whole, stop):
        v = np.float64(x[j])
        most = v if v > most else most
    return most


@step()
def _powers(x, start, stop, best):
    """Σ e and Σ e² of the powers of flat x from start to stop."""
    prefer_512()
    top = zeros() + best
    a0 = a1 = s0 = s1 = zeros()
    whole = start + (stop - start) // (2 * LANES) * (2 * LANES)
    for j in range(start, whole, 2 * LANES):
        prefetch(x, j + _AHEAD)
        e0 = scaled_exp_below(load_float64(x, U(j)), top, 1.0)
        e1 = scaled_exp_below(load_float64(x, U(j + LANES)), top, 1.0)
        a0, a1 = a0 + e0, a1 + e1
        s0, s1 = multiply_add(e0, e0, s0), multiply_add(e1, e1, s1)
    total, squares = _tree(a0 + a1), _tree(s0 + s1)
    for j in range(whole, stop):
        e = scaled_exp_below(np.float64(x[j]), best, 1.0)
        total += e
        squares += e * e
    return total, squares


@outer()
def wide_logits(x, classes, truth, slack, normalised, out):
    """Measure rows of logits, flat x of n rows of C classes; see `narrow_logits`."""
    for r in range(truth.shape[0]):
        start = r * classes
        stop = start + classes
        true = start + truth[r] if truth[r] >= 0 else np.int64(-1)
        own = x[max(true, start)]
        mine = np.float64(own)
        best = _largest(x, start, stop)
        place = _place_of(x, start, stop, from_float64(best, own))
        others, squares = _powers(x, start, place, best)
        more, more_squares = _powers(x, place + 1, stop, best)
        others, squares = others + more, squares + more_squares
        total = others + EXP_SCALE
        e = scaled_exp_below(mine, best, 1.0)
        left = total - e
        if place == true:
            left = others
        else:
            squares += EXP_SCALE * EXP_SCALE - e * e
        left = left / total
        out.guess[r] = place - start
        out.rank[r] = _rank(x, start, stop, true, own)
        out.confidence[r] = EXP_SCALE / total
        out.given[r] = e / total
        out.brier[r] = squares / total / total + left * left
        out.cost[r] = (best - mine) + log1p(others / EXP_SCALE)
        # NaN of what is none: a NaN, inf, nothing but -inf.
        off = (total - total) + (best - best)
        if normalised:
            off += abs(math.exp(min(best, 600.0)) * (total / EXP_SCALE) - 1.0)
        out.off[r] = off
    return first_above(out.off, slack, truth.shape[0])
