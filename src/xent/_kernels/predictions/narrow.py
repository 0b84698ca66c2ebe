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
from xent._math.element import lanes_of, next_above
from xent._math.exp import EXP_SCALE, scaled_exp, scaled_exp_below
from xent._math.llvm import prefer_512, prefetch
from xent._math.log import log1p
from xent._math.transpose import transpose
from xent._math.vector import (
    FLOAT64_LANES,
    bits64,
    load,
    load_float64,
    multiply_add,
    select,
    splat,
    store,
    zeros,
)

U = np.uint64
LANES = FLOAT64_LANES
_AHEAD = 4 * TILE  # rows that are asked for before they are wanted
_GATHERED = 4  # classes up to which squares would be mostly of other rows
_ONE, _NOUGHT = np.int64(1), np.int64(0)


@inner()
def _turn(x, flat, truth, first, room):
    """Write classes of rows as lines of a tile, and of each row its true class and what it has.

    Whole squares of rows and classes are turned round in registers: they read some numbers beyond
    the row, and so not where ``flat``, which is x, ends. What is beyond the last row stays.
    """
    tile, classes = room.tile, np.int64(x.shape[1])
    rows = min(TILE, x.shape[0] - first)
    side = lanes_of(x)  # of a square, and elements of a cache line
    ahead = (first + _AHEAD) * classes
    for j in range(ahead, min(ahead + TILE * classes, x.size), side):
        prefetch(flat, j)
    if classes > _GATHERED and (first + TILE) * classes + side <= flat.size:
        for c in range(0, classes, side):
            for i in range(0, TILE, side):
                at = (first + i) * classes + c
                transpose(flat, at, classes, tile, c * TILE + i, np.int64(TILE))
    else:  # class after class: so LLVM gathers eight rows at once
        for c in range(U(classes)):
            for i in range(U(rows)):
                tile[c * U(TILE) + i] = x[U(first) + i, c]
    for c in range(U(room.columns.shape[0])):
        for i in range(U(rows)):
            room.columns[c, U(first) + i] = tile[c * U(TILE) + i]
    _take_own(truth, first, rows, room)


@inner()
def _lay(columns, at, truth, first, room):
    """Write columns of classes, whose row ``at`` is the first of the tile, as lines of it."""
    rows = min(TILE, truth.shape[0] - first)
    for c in range(U(columns.shape[0])):
        for i in range(U(rows)):
            room.tile[c * U(TILE) + i] = columns[c, U(at) + i]
    _take_own(truth, first, rows, room)


@inner()
def _take_own(truth, first, rows, room):
    """Write of each row of a tile its true class and what it has."""
    for i in range(U(rows)):
        room.own[i] = room.tile[U(max(truth[U(first) + i], 0) * TILE) + i]
    for i in range(U(rows)):
        t = truth[U(first) + i]
        room.true[i] = t
        room.true_as[i] = t
        room.own[i] = room.own[i] if t >= 0 else 0.0
        room.own_as[i] = room.own[i]


@inner()
def _places(classes, at, lanes, room):
    """Find of each row its guess and the rank of the true class, its largest and smallest entry.

    In the type of the scores: a vector holds twice as many float32.
    """
    t, mine = load(room.true_as, U(at)), load(room.own_as, U(at))
    nought, one, none = splat(0.0, mine), splat(_ONE, t), splat(_NOUGHT, t)
    above = next_above(mine + nought)  # which makes -0 0
    best, low, guess, rank = nought - splat(1.0, mine), nought, none, none
    for c in range(classes):
        v = load(room.tile, U(c * TILE + at))
        here = splat(np.int64(c), t)
        low = select(v < low, v, low)
        up = best < v
        best = select(up, v, best)
        guess = select(up, here, guess)
        # Of those that have as much, the ones that stand before it go before it.
        rank = rank + select(select(here < t, mine, above) <= v, one, none)
    store(room.best, U(at), best)
    store(room.low, U(at), low)
    store(room.guess, U(at), guess)
    store(room.rank, U(at), rank)


@inner()
def _probs_of_tile(x, classes, first, rows, room, out):
    """Measure the rows of probabilities in a tile, of which this is the first; x has their type."""
    tile, lanes = room.tile, lanes_of(x)
    for at in range(0, rows, lanes):
        _places(classes, at, lanes, room)
    for i in range(U(rows)):
        out.guess[U(first) + i] = room.guess[i]
        out.rank[U(first) + i] = room.rank[i]
    for at in range(0, rows, LANES):
        t, mine = load(room.true, U(at)), load(room.own, U(at))
        others = squares = zeros()
        for c in range(classes):
            v = load_float64(tile, U(c * TILE + at))
            rest = select(t == np.int64(c), zeros(), v)
            others = others + rest
            squares = multiply_add(rest, rest, squares)
        total = others + mine
        inverse = 1.0 / total
        left = others * inverse
        best, low = load_float64(room.best, U(at)), load_float64(room.low, U(at))
        store(out.confidence, U(first + at), best * inverse)
        store(out.given, U(first + at), mine * inverse)
        store(out.brier, U(first + at), squares * inverse * inverse + left * left)
        store(out.cost, U(first + at), cost_of(others, mine))
        off = select(low < 0.0, zeros() + math.inf, abs(total - 1.0))
        store(out.off, U(first + at), off)


@outer()
def narrow_probs(x, flat, truth, slack, room, out):
    """Measure rows of probabilities x (n, C), C up to `NARROW`; ``flat`` is the same.

    Return the first row that is no distribution, or -1: an entry is negative or no number, or the
    sum is further from 1 than ``slack``.
    """
    prefer_512()
    for first in range(0, x.shape[0], TILE):
        _turn(x, flat, truth, first, room)
        _probs_of_tile(x, x.shape[1], first, min(TILE, x.shape[0] - first), room, out)
    return first_above(out.off, slack, x.shape[0])


@outer()
def narrow_probs_by_column(columns, start, truth, slack, room, out):
    """Measure rows of probabilities that lie class by class: ``columns`` (C, N), from ``start`` on.

    As many as there are true classes; see `narrow_probs`.
    """
    prefer_512()
    n = truth.shape[0]
    for first in range(0, n, TILE):
        _lay(columns, start + first, truth, first, room)
        _probs_of_tile(columns, columns.shape[0], first, min(TILE, n - first), room, out)
    return first_above(out.off, slack, n)


@inner()
def _logits_of_tile(classes, first, rows, normalised, room, out):
    """Measure the rows of logits in a tile, of which this is the first."""
    tile, own, true = room.tile, room.own, room.true
    for at in range(0, rows, LANES):
        t, mine = load(true, U(at)), load(own, U(at))
        one, none = splat(_ONE, t), splat(_NOUGHT, t)
        best = zeros() - math.inf
        guess = rank = bits64(zeros())
        for c in range(classes):
            v = load_float64(tile, U(c * TILE + at))
            up = best < v
            best = select(up, v, best)
            here = splat(np.int64(c), t)
            guess = select(up, here, guess)
            rank = rank + select(here < t, select(mine <= v, one, none), none)
            rank = rank + select(t < here, select(mine < v, one, none), none)
        others = squares = zeros()
        for c in range(classes):
            e = scaled_exp_below(load_float64(tile, U(c * TILE + at)), best, 1.0)
            rest = select(guess == np.int64(c), zeros(), e)
            others = others + rest
            squares = multiply_add(rest, rest, squares)
        e = scaled_exp_below(mine, best, 1.0)
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
        store(out.cost, U(first + at), (best - mine) + log1p(others / EXP_SCALE))
        off = (total - total) + (best - best)  # NaN of a NaN, inf, nothing but -inf
        if normalised:
            # exp(600) sums to no 1 either.
            power = scaled_exp(select(best < 600.0, best, zeros() + 600.0), zeros())
            off = off + abs(power / EXP_SCALE * (total / EXP_SCALE) - 1.0)
        store(out.off, U(first + at), off)


@outer()
def narrow_logits(x, flat, truth, slack, normalised, room, out):
    """Measure rows of logits; where ``normalised``, of log-probabilities. See `narrow_probs`.

    Return the first bad row, or -1: an entry is NaN or inf, or none is above -inf, or where
    ``normalised`` the probabilities do not sum to 1 within ``slack``.
    """
    prefer_512()
    for first in range(0, x.shape[0], TILE):
        _turn(x, flat, truth, first, room)
        rows = min(TILE, x.shape[0] - first)
        _logits_of_tile(x.shape[1], first, rows, normalised, room, out)
    return first_above(out.off, slack, x.shape[0])


@outer()
def narrow_logits_by_column(columns, start, truth, slack, normalised, room, out):
    """Measure rows of logits that lie class by class; see `narrow_probs_by_column`."""
    prefer_512()
    n = truth.shape[0]
    for first in range(0, n, TILE):
        _lay(columns, start + first, truth, first, room)
        _logits_of_tile(columns.shape[0], first, min(TILE, n - first), normalised, room, out)
    return first_above(out.off, slack, n)
