"""Rows of few classes: eight rows side by side, class after class.

A tile of rows is turned round and made float64 on the way into the nearest cache; from there each
vector holds one class of eight rows, so that what belongs to a row stays in registers.

What is said of a row without its true class t, others = Σ_(j≠t) p_j, is summed without it, and not
what is left of 1: of a nearly certain class no digit is lost.
"""

import math

import numpy as np

from xent._compile.decorator import inner, outer
from xent._kernels.predictions.figures import TILE, cost_of, first_above
from xent._math.double_double import two_sum
from xent._math.exp import EXP_SCALE, scaled_exp
from xent._math.llvm import CACHE_LINE, prefer_512, prefetch
from xent._math.log import log1p
from xent._math.vector import FLOAT64_LANES, bits64, load, multiply_add, select, splat, store, zeros

U = np.uint64
LANES = FLOAT64_LANES
_AHEAD = 2 * TILE  # rows that are asked for before they are wanted
_ONE, _NOUGHT = np.int64(1), np.int64(0)


@inner()
def _turn(x, truth, first, tile, own, true):
    """Write classes of rows as lines of ``tile``, and of each row its true class and what it has.

    Class after class: so LLVM gathers eight rows at once. What is beyond the last row stays.
    """
    rows = min(TILE, x.shape[0] - first)
    line = CACHE_LINE // x.itemsize
    ahead = (first + _AHEAD) * x.shape[1]
    for j in range(ahead, min(ahead + TILE * x.shape[1], x.size), line):
        prefetch(x, j)
    for c in range(U(x.shape[1])):
        for i in range(U(rows)):
            tile[c * U(TILE) + i] = x[U(first) + i, c]
    for i in range(U(rows)):
        t = truth[U(first) + i]
        true[i] = t
        own[i] = np.float64(x[U(first) + i, U(t)]) if t >= 0 else 0.0


@outer()
def narrow_probs(x, truth, slack, room, out):
    """Measure rows of probabilities x (n, C), C up to `NARROW`.

    Return the first row that is no distribution, or -1: an entry is negative or no number, or the
    sum is further from 1 than ``slack``.
    """
    prefer_512()
    tile, own, true = room.tile, room.own, room.true
    for first in range(0, x.shape[0], TILE):
        _turn(x, truth, first, tile, own, true)
        for at in range(0, min(TILE, x.shape[0] - first), LANES):
            t, mine = load(true, U(at)), load(own, U(at))
            others = squares = zeros()
            best = zeros() - 1.0
            low = zeros()
            guess = rank = bits64(zeros())
            for c in range(x.shape[1]):
                v = load(tile, U(c * TILE + at))
                rest = select(t == np.int64(c), zeros(), v)
                others = others + rest
                squares = multiply_add(rest, rest, squares)
                low = select(v < low, v, low)
                up = best < v
                best = select(up, v, best)
                here = splat(np.int64(c), t)
                guess = select(up, here, guess)
                one = splat(_ONE, t)
                none = splat(_NOUGHT, t)
                rank = rank + select(here < t, select(mine <= v, one, none), none)
                rank = rank + select(t < here, select(mine < v, one, none), none)
            total = others + mine
            inverse = 1.0 / total
            left = others * inverse
            store(out.guess, U(first + at), guess)
            store(out.rank, U(first + at), rank)
            store(out.confidence, U(first + at), best * inverse)
            store(out.given, U(first + at), mine * inverse)
            store(out.brier, U(first + at), squares * inverse * inverse + left * left)
            store(out.cost, U(first + at), cost_of(others, mine))
            off = select(low < 0.0, zeros() + math.inf, abs(total - 1.0))
            store(out.off, U(first + at), off)
    return first_above(out.off, slack, x.shape[0])


@outer()
def narrow_logits(x, truth, slack, normalised, room, out):
    """Measure rows of logits; where ``normalised``, of log-probabilities.

    Return the first bad row, or -1: an entry is NaN or inf, or none is above -inf, or where
    ``normalised`` the probabilities do not sum to 1 within ``slack``.
    """
    prefer_512()
    tile, own, true = room.tile, room.own, room.true
    for first in range(0, x.shape[0], TILE):
        _turn(x, truth, first, tile, own, true)
        for at in range(0, min(TILE, x.shape[0] - first), LANES):
            t, mine = load(true, U(at)), load(own, U(at))
            one, none = splat(_ONE, t), splat(_NOUGHT, t)
            best = zeros() - math.inf
            guess = rank = bits64(zeros())
            for c in range(x.shape[1]):
                v = load(tile, U(c * TILE + at))
                up = best < v
                best = select(up, v, best)
                here = splat(np.int64(c), t)
                guess = select(up, here, guess)
                rank = rank + select(here < t, select(mine <= v, one, none), none)
                rank = rank + select(t < here, select(mine < v, one, none), none)
            others = squares = zeros()
            for c in range(x.shape[1]):
                e = _power(load(tile, U(c * TILE + at)), best)
                rest = select(guess == np.int64(c), zeros(), e)
                others = others + rest
                squares = multiply_add(rest, rest, squares)
            e = _power(mine, best)
            won = t == guess
            total = others + EXP_SCALE
            inverse = 1.0 / total
            left = select(won, others, total - e) * inverse
            squares = select(won, squares, squares + (EXP_SCALE * EXP_SCALE - e * e))
            store(out.guess, U(first + at), guess)
            store(out.rank, U(first + at), rank)
            store(out.confidence, U(first + at), inverse * EXP_SCALE)
            store(out.given, U(first + at), e * inverse)
            store(out.brier, U(first + at), squares * inverse * inverse + left * left)
            further = select(mine < best, best - mine, zeros())
            store(out.cost, U(first + at), further + log1p(others / EXP_SCALE))
            off = (total - total) + (best - best)  # NaN of a NaN, inf, nothing but -inf
            if normalised:
                # exp(600) sums to no 1 either.
                power = scaled_exp(select(best < 600.0, best, zeros() + 600.0), zeros())
                off = off + abs(power / EXP_SCALE * (total / EXP_SCALE) - 1.0)
            store(out.off, U(first + at), off)
    return first_above(out.off, slack, x.shape[0])


@inner()
def _power(value, best):
    """`EXP_SCALE` exp(value - best), with what rounding the difference loses; NaN of a NaN."""
    d, rest = two_sum(value, -best)
    return scaled_exp(d, select(rest * 0.0 == 0.0, rest, zeros()))
