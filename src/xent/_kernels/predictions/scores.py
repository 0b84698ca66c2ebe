"""Scores as whole numbers that order as they do: each its own, or cells of the log odds.

A probability below a half has as its cell the leading bits of itself, another those of 1 - p, which
is exact, from the other end on: cells are as narrow near 1 as near 0, and nothing is divided.
"""

import math

import numpy as np

from xent._compile.decorator import inner, outer
from xent._kernels.predictions.places import GOLDEN
from xent._math.element import order_key
from xent._math.exp import EXP_SCALE, exp_series, scaled_exp
from xent._math.llvm import prefer_512, prefetch
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
FINEST = 20  # of these bits tell the finest cells apart
MIRROR = 2 * 1022 << FINEST  # what the numbers of such cells of p and of 1 - p add up to
CELLS_AHEAD = 256  # whose entries are asked for before the first of them is counted
EVEN_CELLS = 32.0  # log odds up to which cells are of one width
FARTHEST = 2.0**15  # where those beyond all others are counted
PROBABILITY, LOG_ODDS, LOG_PROBABILITY = 0, 1, 2  # what scores are
NO_KEY = np.int64(0x7FFFFFFFFFFFFFFF)  # of no number
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
        down = np.int64(FINEST - fine)
        for i in range(0, many, FLOAT64_LANES):
            p = load(x, U(i))
            # Of 0, of 1 and of what rounds beyond it come numbers that have no place in a table.
            low = bits64(p) >> np.int64(FRACTION_BITS - FINEST)
            high = np.int64(MIRROR) - (bits64(1.0 - p) >> np.int64(FRACTION_BITS - FINEST))
            store(cells, U(i), (select(p < 0.5, low, high) >> down) - np.int64(first))
    else:
        inverse = np.float64(1 << fine)
        _write_odds(x, kind, many, odds)
        for i in range(U(many)):
            t = odds[i]
            inside = -EVEN_CELLS <= t < EVEN_CELLS
            cells[i] = np.int64(math.floor(t * inverse)) - first if inside else np.int64(-1)


@inner()
def _find_places(kind, fine, first, many, room, cells, table, columns, c, reach):
    """Write where the cells of scores in ``room`` stand in a table, and ask for its cache lines."""
    _write_cells(room[0], kind, fine, first, many, room[1], cells)
    # Without a sign what is below 0 is large: of what has no place neither is the least.
    last = U(table.shape[0]) // columns - U(1)
    low, left = U(reach[0]), last - U(reach[1])
    for i in range(U(many)):
        low = min(low, U(cells[i]))
        left = min(left, last - U(cells[i]))
    reach[0], reach[1] = np.int64(low), np.int64(last - left)
    for i in range(U(many)):
        cell = U(cells[i])
        # What is below 0, or too large, remains so.
        cells[i] = np.int64(cell + (((cell >> U(fine)) * (columns - U(1)) + c) << U(fine)))
        prefetch(table, cells[i])


@inner()
def _count(scores, kind, fine, first, row_bits, room, cells, table, columns, c, reach, carried):
    """Count rows in a table; return how many have no place there, and how many were carried."""
    size, beyond, n = U(table.shape[0]), np.int64(0), U(0)
    most = (U(1) << U(row_bits)) - U(1)
    for at in range(0, scores.shape[0], CELLS_AHEAD):
        many = min(CELLS_AHEAD, scores.shape[0] - at)
        for i in range(U(many)):
            room[0, i] = scores[U(at) + i]
        _find_places(kind, fine, first, many, room, cells, table, columns, c, reach)
        for i in range(U(many)):
            place = U(cells[i])
            if place < size:
                entry = U(table[place])
                if entry & most == most:
                    entry -= most + U(1)
                    carried[n] = np.int32(place)
                    n += U(1)
                table[place] = entry + U(1)
            else:
                beyond += 1
    return beyond, n


@inner()
def _add_yes(table, place, row_bits, carried, n):
    """Count a row of yes in an entry, if it has one; return how many were carried so far."""
    if place >= U(table.shape[0]):
        return n
    shift = U(row_bits)
    entry = U(table[place])
    if entry >> shift == (U(1) << (U(8 * table.itemsize) - shift)) - U(1):
        table[place] = entry & ((U(1) << shift) - U(1))
        carried[n] = np.int32(~np.int64(place))
        return n + U(1)
    table[place] = entry + (U(1) << shift)
    return n


@outer()
def count_cells(
    scores, kind, fine, first, row_bits, own, room, cells, table, columns, c, reach, carried
):
    """Count all scores in a table of cells, and as yes those whose places ``own`` are.

    A doubling of a probability below a half, or a nat of log odds, has 2^fine cells, which stand
    side by side; beside them stand those of the other ``columns``, of which this is column ``c``.
    The table begins with the cell ``first``; ``reach`` goes on from the first to the last after it
    that a row was met in. An entry has the rows of a cell in its ``row_bits`` lower bits and those
    that are yes in the others. Where a part of an entry is full it starts anew: its place in the
    table is written to ``carried``, or the complement of that where it is the part of yes. ``room``
    (2, `CELLS_AHEAD` and `SPARE`) and ``cells`` are to work in. Return how many scores have no
    place in the table, `find_beyond` says which, and how many places were carried.
    """
    prefer_512()
    every, c = U(columns), U(c)
    beyond, n = _count(
        scores, kind, fine, first, row_bits, room, cells, table, every, c, reach, carried
    )
    # By themselves: to ask each score whether it is yes takes longer than to count it.
    for at in range(0, own.shape[0], CELLS_AHEAD):
        many = min(CELLS_AHEAD, own.shape[0] - at)
        for i in range(U(many)):
            room[0, i] = scores[U(own[U(at) + i])]
        _find_places(kind, fine, first, many, room, cells, table, every, c, reach)
        for i in range(U(many)):
            n = _add_yes(table, U(cells[i]), row_bits, carried, n)
    return beyond, np.int64(n)


@outer()
def count_columns(
    columns, kind, fine, first, row_bits, truth, room, cells, table, reach, carried, times
):
    """Count the scores of rows that lie class by class, each class in a column of its own.

    Row by row the true class is yes. ``carried`` has a line for each class, and ``times`` takes how
    many places are written there. See `count_cells`; return how many scores have no place.
    """
    prefer_512()
    beyond, every = np.int64(0), U(columns.shape[0])
    for c in range(every):
        found, n = _count(
            columns[c], kind, fine, first, row_bits, room, cells, table, every, c, reach, carried[c]
        )
        beyond += found
        times[c] = np.int64(n)
    for at in range(0, truth.shape[0], CELLS_AHEAD):
        many = min(CELLS_AHEAD, truth.shape[0] - at)
        for i in range(U(many)):
            room[0, i] = columns[U(truth[U(at) + i]), U(at) + i]
        _find_places(kind, fine, first, many, room, cells, table, every, U(0), reach)
        for i in range(U(many)):
            y = U(truth[U(at) + i])
            place = U(cells[i]) + (y << U(fine))
            times[y] = np.int64(_add_yes(table, place, row_bits, carried[y], U(times[y])))
    return beyond


@outer()
def find_beyond(scores, kind, fine, first, room, cells, size, out):
    """Write the places of scores that have none in a table of ``size`` cells: see `count_cells`.

    Return how many there are.
    """
    prefer_512()
    found = U(0)
    for at in range(0, scores.shape[0], CELLS_AHEAD):
        many = min(CELLS_AHEAD, scores.shape[0] - at)
        for i in range(U(many)):
            room[0, i] = scores[U(at) + i]
        _write_cells(room[0], kind, fine, first, many, room[1], cells)
        for i in range(U(many)):
            if U(cells[i]) >= U(size):
                out[found] = np.int64(U(at) + i)
                found += U(1)
    return np.int64(found)


@outer()
def gather_cells(table, row_bits, together, out_cells, out_rows, out_yes):
    """Write what a table holds of so many neighbours ``together``, where it holds any.

    Write the number of the neighbours, their rows and how many are yes; return how many groups.
    """
    shift, found = U(row_bits), U(0)
    most = (U(1) << shift) - U(1)
    for group in range(U(table.shape[0]) // U(together)):
        rows = yes = U(0)
        for i in range(group * U(together), (group + U(1)) * U(together)):
            rows += U(table[i]) & most
            yes += U(table[i]) >> shift
        out_cells[found] = np.int64(group)
        out_rows[found], out_yes[found] = np.int64(rows), np.int64(yes)
        # Rows may all have been carried, as yes may: then the entry says 0 of them.
        found += U(rows + yes > U(0))
    return np.int64(found)


@outer()
def pool_adjacent(rows, yes, used, out_rows, out_yes):
    """Go on with the pool-adjacent-violators algorithm: more counts of ascending scores.

    ``out_rows`` and ``out_yes`` hold the first ``used`` blocks, of ascending shares of yes, and
    have room for more. Return how many there are.
    """
    n = U(used)
    for i in range(U(rows.shape[0])):
        many, own = rows[i], yes[i]
        while n > U(0) and out_yes[n - U(1)] * many >= own * out_rows[n - U(1)]:
            n -= U(1)
            many += out_rows[n]
            own += out_yes[n]
        out_rows[n], out_yes[n] = many, own
        n += U(1)
    return np.int64(n)


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
