"""Rows that were measured, added up in one go: cells, pairs, ranks, and sums over all.

What many rows share an entry of a table for is packed, two numbers to an int64, in tables that are
small enough for the nearest cache; these are unpacked once for all rows, of which there are fewer
than `MOST_PACKED` therefore. Cells that follow each other would wait for each other, so there are
two tables in turn.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from xent._compile.decorator import inner, outer, step
from xent._kernels.predictions.sums import (
    CHUNK,
    LIMIT,
    add_one,
    cut,
    cut_more,
    sign_free,
    sum_lanes,
)
from xent._math.double_double import two_product
from xent._math.llvm import prefer_512
from xent._math.transpose import TABLE_LINE, add_line, store_lines
from xent._math.vector import (
    FLOAT64_LANES,
    bits64,
    count_true,
    load,
    reduce_or,
    select,
    zeros,
)

U = np.uint64
LANES = FLOAT64_LANES
MOST_PACKED = 1 << 15  # rows
COST_LEFT, BRIER_LEFT, SQUARES_LEFT = 1, 2, 4  # of what something did not fit the limbs
_CELL, _PAIR, _RIGHT, _CELL_LINES = (k * CHUNK for k in range(4))  # where each begins to work in
_PAIR_LINES = _CELL_LINES + TABLE_LINE * CHUNK
WORK_SIZE = _PAIR_LINES + TABLE_LINE * CHUNK
_COUNT = np.int64(48)  # where counts begin in an int64: sums below 2^(10 + 20 + 15) lie under them
_ONE_ROW = np.int64(1 << 48)
_ROOT_LIMIT = math.sqrt(LIMIT)
_BELOW, _FIELD = np.int64((1 << 48) - 1), np.int64((1 << 16) - 1)


class SummedRows(NamedTuple):
    """Tables that rows are added to.

    ``pairs`` (S,), how many rows there are of a pair of true class and guess, and ``pair_costs``
    (S, 3), limbs of their cost; ``cells`` (K, 2) of the confidence, how many rows and how many
    right ones, with limbs of confidence, ``said``, and of cost, ``spent`` (K, 3), of which two are
    kept; ``totals`` (2 or more, 5), limbs of Brier scores and of squared costs; ``ranks`` (R,).
    """

    pairs: Any
    pair_costs: Any
    cells: Any
    said: Any
    spent: Any
    totals: Any
    ranks: Any


@step()
def _name_places(confidence, truth, guess, at, many, cells, classes, work):
    """Write where the lines of each row's cell and pair begin, and a count where it is right."""
    last = cells - 1
    for i in range(U(many)):
        k = min(np.int64(confidence[U(at) + i] * cells), last)
        work[U(_CELL) + i] = (k + (np.int64(i) & 1) * cells) * TABLE_LINE
    for i in range(U(many)):
        right = np.int64(truth[U(at) + i] == guess[U(at) + i])
        work[U(_RIGHT) + i] = right << _COUNT
    for i in range(U(many)):
        work[U(_PAIR) + i] = (truth[U(at) + i] * classes + guess[U(at) + i]) * TABLE_LINE


@inner()
def _cut_chunk(out, cost, at, many, work):
    """Cut confidence and cost of so many rows from ``at`` on into the lines to add.

    Return the bits of what is left of the cost.
    """
    left = none = bits64(zeros())
    for i in range(0, many, LANES):
        a, b, _, _ = cut(load(out.confidence, U(at + i)))
        value = load(cost, U(at + i))
        inside = abs(value) < LIMIT
        x, y, z, rest = cut(select(inside, value, zeros()))
        left = left | bits64(select(inside, rest, value))
        right = load(work, U(_RIGHT + i))
        store_lines(work, U(_CELL_LINES + TABLE_LINE * i), a + _ONE_ROW, b, x + right, y)
        store_lines(work, U(_PAIR_LINES + TABLE_LINE * i), x + _ONE_ROW, y, z, none)
    return sign_free(reduce_or(left))


@step()
def _scatter_pairs(places, at, many, work, counts, costs):
    """Add cut rows to their pairs, each by its place."""
    for i in range(U(many)):
        s, line = U(places[U(at) + i]), U(_PAIR_LINES) + U(TABLE_LINE) * i
        counts[s] += 1
        costs[s, 0] += work[line] - _ONE_ROW
        costs[s, 1] += work[line + U(1)]
        costs[s, 2] += work[line + U(2)]


@inner()
def _add_lanes(a, b, c, d, e, limbs):
    limbs[0] += sum_lanes(a)
    limbs[1] += sum_lanes(b)
    limbs[2] += sum_lanes(c)
    limbs[3] += sum_lanes(d)
    limbs[4] += sum_lanes(e)


@step()
def _add_singly(brier, cost, start, stop, totals):
    """Add Brier scores and squares of costs of any size; return of which something is left."""
    found = 0
    for i in range(start, stop):
        high, low = two_product(cost[i], cost[i])
        found |= BRIER_LEFT if add_one(brier[i], totals[0]) != 0.0 else 0
        found |= SQUARES_LEFT if add_one(high, totals[1]) != 0.0 else 0
        found |= SQUARES_LEFT if add_one(low, totals[1]) != 0.0 else 0
    return found


@step()
def _add_totals(brier, cost, at, many, totals):
    """Add Brier scores, and squares of costs exactly; return of which something is left."""
    prefer_512()
    a = b = c = d = e = f = g = h = m = n = brier_left = squares_left = bits64(zeros())
    found, whole = 0, many // LANES * LANES
    for i in range(0, whole, LANES):
        value, one = load(brier, U(at + i)), load(cost, U(at + i))
        if count_true(value < LIMIT) + count_true(one < _ROOT_LIMIT) < 2 * LANES:
            found |= _add_singly(brier, cost, at + i, at + i + LANES, totals)
            continue
        high, low = two_product(one, one)
        u, v, w, rest = cut(value)
        a, b, c = a + u, b + v, c + w
        u, v, w, high_rest = cut(high)
        f, g, h = f + u, g + v, h + w
        u, v, w, low_rest = cut(low)
        f, g, h = f + u, g + v, h + w
        if reduce_or(bits64(rest) | bits64(high_rest) | bits64(low_rest)):
            u, v, rest = cut_more(rest)
            d, e = d + u, e + v
            u, v, high_rest = cut_more(high_rest)
            m, n = m + u, n + v
            u, v, low_rest = cut_more(low_rest)
            m, n = m + u, n + v
            brier_left = brier_left | bits64(rest)
            squares_left = squares_left | bits64(high_rest) | bits64(low_rest)
    _add_lanes(a, b, c, d, e, totals[0])
    _add_lanes(f, g, h, m, n, totals[1])
    found |= BRIER_LEFT if sign_free(reduce_or(brier_left)) else 0
    found |= SQUARES_LEFT if sign_free(reduce_or(squares_left)) else 0
    return found | _add_singly(brier, cost, at + whole, at + many, totals)


@step()
def _unpack(packed, packed_cells, sums):
    """Add what is packed to the tables, each number to its own."""
    for s in range(U(packed.shape[0] // TABLE_LINE)):
        j = s * U(TABLE_LINE)
        sums.pairs[s] += (packed[j] >> _COUNT) & _FIELD
        sums.pair_costs[s, 0] += packed[j] & _BELOW
        sums.pair_costs[s, 1] += packed[j + U(1)]
        sums.pair_costs[s, 2] += packed[j + U(2)]
    cells = U(sums.cells.shape[0])
    for line in range(U(2) * cells):
        k, j = line % cells, line * U(TABLE_LINE)
        sums.cells[k, 0] += (packed_cells[j] >> _COUNT) & _FIELD
        sums.said[k, 0] += packed_cells[j] & _BELOW
        sums.said[k, 1] += packed_cells[j + U(1)]
        sums.cells[k, 1] += (packed_cells[j + U(2)] >> _COUNT) & _FIELD
        sums.spent[k, 0] += packed_cells[j + U(2)] & _BELOW
        sums.spent[k, 1] += packed_cells[j + U(3)]


@outer()
def add_rows(places, truth, out, cost, brier, rows, sums, work, packed, packed_cells):
    """Add rows of `RowArrays`, at most `MOST_PACKED`, to the tables of `SummedRows`.

    ``cost`` and ``brier`` are finite, and times the weight where rows have one. ``places`` says
    where the pair of each row is; it is empty where ``packed`` has a line for each pair of C
    classes. That and ``packed_cells``, two lines of `TABLE_LINE` int64 a cell, are 0. Return
    of which of `COST_LEFT`, `BRIER_LEFT` and `SQUARES_LEFT` something does not fit the limbs: that
    was not added.
    """
    prefer_512()
    classes = np.int64(math.sqrt(packed.shape[0] // TABLE_LINE))
    most = np.int64(sums.ranks.shape[0] - 1)
    found = 0
    for at in range(0, rows, CHUNK):
        many = min(CHUNK, rows - at)
        _name_places(out.confidence, truth, out.guess, at, many, sums.cells.shape[0], classes, work)
        found |= COST_LEFT if _cut_chunk(out, cost, at, many, work) else 0
        for i in range(U(many)):
            add_line(packed_cells, work[U(_CELL) + i], work, U(_CELL_LINES) + U(TABLE_LINE) * i)
        if classes:
            for i in range(U(many)):
                add_line(packed, work[U(_PAIR) + i], work, U(_PAIR_LINES) + U(TABLE_LINE) * i)
        else:
            _scatter_pairs(places, at, many, work, sums.pairs, sums.pair_costs)
        found |= _add_totals(brier, cost, at, many, sums.totals)
        for i in range(U(many)):
            sums.ranks[U(min(out.rank[U(at) + i], most))] += 1
    _unpack(packed, packed_cells, sums)
    return found
