"""Scores as whole numbers that order as they do: each its own, or cells of the log odds."""

import math

import numpy as np

from xent._compile.decorator import inner, outer
from xent._kernels.predictions.places import GOLDEN
from xent._kernels.predictions.sums import CHUNK
from xent._math.element import order_key
from xent._math.exp import EXP_SCALE, exp_series, scaled_exp
from xent._math.llvm import prefer_512
from xent._math.log import fast_log8
from xent._math.vector import (
    FLOAT64_LANES,
    bits64,
    load,
    multiply_add,
    select,
    store,
    zeros,
)

U = np.uint64
FRACTION_BITS = 52  # of a float64
EVEN_CELLS = 32.0  # log odds up to which cells are of one width
FARTHEST = 2.0**15  # where those beyond all others are counted
PROBABILITY, LOG_ODDS, LOG_PROBABILITY = 0, 1, 2  # what scores are
NO_KEY = np.int64(0x7FFFFFFFFFFFFFFF)  # of no number
_ONE_YES = np.int64(1 << 32)
_TINY = 2.0**-1000  # below which a probability is taken for its logarithm, by hand


@inner()
def _odds_of_probability(p):
    """log(p / (1 - p)) where p lies between `_TINY` and 1; else 0."""
    inside = select(p < 1.0, select(p > _TINY, p, 0.5 + zeros()), 0.5 + zeros())
    return fast_log8(inside / (1.0 - inside))


@inner()
def _odds_of_log(score):
    """log(p / (1 - p)) from log p = score below 0: -log(exp(-score) - 1); else 0."""
    x = -select(score < 0.0, select(score > -700.0, score, zeros() - 700.0), zeros() - 1.0)
    near = multiply_add(exp_series(select(x < 0.34, x, zeros())) * x, x, x)
    far = EXP_SCALE / scaled_exp(-x, zeros()) - 1.0
    # exp(-score) - 1 is normal: no log-probability below 0 is nearer to it than 2^-1022.
    return select(score < -40.0, score, -fast_log8(select(x < 0.34, near, far)))


@inner()
def _write_odds(scores, kind, rows, out):
    """Write the log odds of float64 scores, which have `SPARE` more; infinite of what is 0 or 1."""
    for i in range(0, rows, FLOAT64_LANES):
        x = load(scores, U(i))
        if kind == PROBABILITY:
            x = _odds_of_probability(x)
        elif kind == LOG_PROBABILITY:
            x = _odds_of_log(x)
        store(out, U(i), x)
    if kind == PROBABILITY:
        for i in range(U(rows)):
            if not scores[i] < 1.0:
                out[i] = math.inf
            elif not scores[i] > _TINY:
                out[i] = math.log(scores[i]) if scores[i] > 0.0 else -math.inf
    elif kind == LOG_PROBABILITY:
        for i in range(U(rows)):
            if not scores[i] < -1e-300:
                out[i] = math.inf


@outer()
def log_odds(scores, kind, rows, out):
    """Write the log odds of float64 scores, which have `SPARE` more; infinite of what is 0 or 1."""
    prefer_512()
    _write_odds(scores, kind, rows, out)


@inner()
def _write_cells(x, kind, fine, first, many, odds, cells):
    """Write the cells of so many scores, less ``first``; below 0 where one lies beyond a table."""
    if kind == PROBABILITY:
        shift = np.int64(FRACTION_BITS - fine)
        for i in range(0, many, FLOAT64_LANES):
            p = load(x, U(i))
            # Of 1 and what rounds beyond the bits say inf, or less than 0: no place.
            store(cells, U(i), (bits64(p / (1.0 - p)) >> shift) - np.int64(first))
    else:
        inverse = np.float64(1 << fine)
        _write_odds(x, kind, many, odds)
        for i in range(U(many)):
            t = odds[i]
            inside = -EVEN_CELLS <= t < EVEN_CELLS
            cells[i] = np.int64(math.floor(t * inverse)) - first if inside else np.int64(-1)


@inner()
def _count(scores, kind, fine, first, room, cells, table):
    """Count scores in the lower halves of a table; return how many have no place there."""
    size, beyond = U(table.shape[0]), np.int64(0)
    for at in range(0, scores.shape[0], CHUNK):
        many = min(CHUNK, scores.shape[0] - at)
        for i in range(U(many)):
            room[0, i] = scores[U(at) + i]
        _write_cells(room[0], kind, fine, first, many, room[1], cells)
        for i in range(U(many)):
            if U(cells[i]) < size:
                table[U(cells[i])] += 1
            else:
                beyond += 1
    return beyond


@outer()
def count_cells(scores, kind, fine, first, own, room, cells, table):
    """Count all scores in a table of cells, and as yes those whose places ``own`` are.

    An entry of ``table`` has the rows of a cell in its lower half and those that are yes in the
    upper one; the first is of the cell ``first``. A doubling of the odds, or a nat of log odds, has
    2^fine cells. ``room`` (2, `CHUNK` and `SPARE`) and ``cells`` are to work in. Return how many
    scores have no place in the table: `find_beyond` says which.
    """
    prefer_512()
    beyond = _count(scores, kind, fine, first, room, cells, table)
    # By themselves: to ask each score whether it is yes takes longer than to count it.
    for at in range(0, own.shape[0], CHUNK):
        many = min(CHUNK, own.shape[0] - at)
        for i in range(U(many)):
            room[0, i] = scores[U(own[U(at) + i])]
        _write_cells(room[0], kind, fine, first, many, room[1], cells)
        for i in range(U(many)):
            if U(cells[i]) < U(table.shape[0]):
                table[U(cells[i])] += _ONE_YES
    return beyond


@outer()
def count_columns(columns, kind, fine, first, truth, room, cells, tables):
    """Count the scores of rows that lie class by class, each class in a table of its own.

    Row by row the true class is yes. See `count_cells`.
    """
    prefer_512()
    beyond = np.int64(0)
    for c in range(U(columns.shape[0])):
        beyond += _count(columns[c], kind, fine, first, room, cells, tables[c])
    for at in range(0, truth.shape[0], CHUNK):
        many = min(CHUNK, truth.shape[0] - at)
        for i in range(U(many)):
            room[0, i] = columns[U(truth[U(at) + i]), U(at) + i]
        _write_cells(room[0], kind, fine, first, many, room[1], cells)
        for i in range(U(many)):
            if U(cells[i]) < U(tables.shape[1]):
                tables[U(truth[U(at) + i]), U(cells[i])] += _ONE_YES
    return beyond


@outer()
def find_beyond(scores, kind, fine, first, room, cells, size, out):
    """Write the places of scores that have none in a table of ``size`` cells: see `count_cells`.

    Return how many there are.
    """
    prefer_512()
    found = U(0)
    for at in range(0, scores.shape[0], CHUNK):
        many = min(CHUNK, scores.shape[0] - at)
        for i in range(U(many)):
            room[0, i] = scores[U(at) + i]
        _write_cells(room[0], kind, fine, first, many, room[1], cells)
        for i in range(U(many)):
            if U(cells[i]) >= U(size):
                out[found] = np.int64(U(at) + i)
                found += U(1)
    return np.int64(found)


@outer()
def part_keys(scores, yes, out):
    """Write the key of each score that is no from the start of ``out`` on.

    Those that are yes go from its end on backwards. Different scores have different keys; 0 and -0
    have one. Return how many stand at the start.
    """
    low, high = U(0), U(out.shape[0])
    for i in range(U(scores.shape[0])):
        key = order_key(np.float64(scores[i]))
        own = U(yes[i])
        out[low] = out[high - U(1)] = key  # no branch: one of them is written over
        low += U(1) - own
        high -= own
    return np.int64(low)


@outer()
def mark_scores(scores, marks):
    """Mark the place that each score is sent to in ``marks``, 2^b bytes; return how many are new.

    No more are told apart than are different: what is sent to one place counts once.
    """
    shift, found = U(64), np.int64(0)
    while U(1) << (U(64) - shift) < U(marks.shape[0]):
        shift -= U(1)
    for i in range(U(scores.shape[0])):
        at = U(order_key(np.float64(scores[i]))) * GOLDEN >> shift
        found += 1 - np.int64(marks[at])
        marks[at] = 1
    return found


@outer()
def merge_counts(keys, rows, yes, no_keys, yes_keys, out_keys, out_rows, out_yes):
    """Merge counts by ascending distinct keys with keys of single rows, which ascend too.

    Those are of rows that are no, and that are yes; each ends in `NO_KEY`, which ``keys`` do not
    hold. Write each key once, how many rows it has and how many of them are yes; return how many
    keys there are.
    """
    i = j = k = U(0)
    a, n = U(keys.shape[0]), U(0)
    total = a + U(no_keys.shape[0]) + U(yes_keys.shape[0]) - U(2)
    last = max(a, U(1)) - U(1)
    before, many, own = np.int64(-0x8000000000000000), np.int64(0), np.int64(0)
    # Nothing branches, for nothing could be foretold: each step takes what is alike of all three.
    while i + j + k < total:
        here = min(i, last)
        mine = keys[here] if i < a else NO_KEY
        other, right = no_keys[j], yes_keys[k]
        key = min(mine, min(other, right))
        taken = np.int64(mine == key)
        going_on = np.int64(key == before)
        many = (many & -going_on) + (rows[here] & -taken)
        own = (own & -going_on) + (yes[here] & -taken)
        many += np.int64(other == key) + np.int64(right == key)
        own += np.int64(right == key)
        n += U(1 - going_on)
        at = n - U(1)
        out_keys[at], out_rows[at], out_yes[at] = key, many, own
        i += U(taken)
        j += U(other == key)
        k += U(right == key)
        before = key
    return np.int64(n)


@outer()
def cells_of(odds, width, rows, out):
    """Write the cell of each of the log odds: of ``width``, beyond `EVEN_CELLS` in proportion.

    There width counts log odds of a size t as `EVEN_CELLS` (1 + log(t / `EVEN_CELLS`)).
    """
    for i in range(U(rows)):
        t = odds[i]
        size = abs(t)
        if size > EVEN_CELLS:
            far = EVEN_CELLS * (1.0 + math.log(size / EVEN_CELLS)) if size < math.inf else FARTHEST
            t = far if t > 0.0 else -far
        out[i] = np.int64(math.floor(t / width))
