"""Rows of yes and no by cells of the log odds, whose numbers order as the scores do.

A probability's cell is the leading bits of its odds p / (1 - p): an exponent, and so many bits of
the fraction. Each doubling of the odds has as many cells, and no logarithm is taken. The log odds
themselves are cut into cells of one width, from `EVEN_CELLS` on in proportion.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._kernels.predictions.figures import SPARE
from xent._kernels.predictions.scores import (
    EVEN_CELLS,
    FRACTION_BITS,
    PROBABILITY,
    cells_of,
    count_cells,
    find_beyond,
    log_odds,
)
from xent._kernels.predictions.sums import CHUNK
from xent.evaluation._accumulator.scores.held import HeldScores, KeyCounts
from xent.evaluation._accumulator.sums import Numbers, Slots, padded, with_spare

TABLE_DOUBLINGS = (
    46  # of 1, each way: odds from 2^-46 to 2^46 have a place in the table: 32 nats each way
)
MOST_IN_TABLE = 1 << 31  # rows that a packed table holds
_ROWS = np.int64((1 << 32) - 1)  # of an entry: rows below, yes above


class CellTables:
    """Tables of one size, a line for each of so many columns, made when the first is wanted."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.every: NDArray[np.int64] = np.zeros((columns, 0), np.int64)

    def of_size(self, size: int) -> "CellTables":
        """Return these tables, of so many cells each."""
        if not self.every.size:
            self.every = np.zeros((self.columns, size), np.int64)
        return self


class ScoreCells:
    """Counts of rows by cell.

    Parameters
    ----------
    kind : int
        What the scores are: `PROBABILITY`, `LOG_ODDS` or `LOG_PROBABILITY`.
    fine : int
        A doubling of the odds has 2^fine cells, or a nat has.
    tables, place : CellTables, int
        Where rows are counted, and in which line.
    weighted : bool
        Whether rows have weights: such are few, or may take long, and have no table.
    """

    def __init__(
        self, kind: int, fine: int, tables: CellTables, place: int, *, weighted: bool
    ) -> None:
        self.kind, self.fine, self.weighted = kind, fine, weighted
        half = int(EVEN_CELLS) << fine
        self._first, size = -half, 2 * half  # of the table
        if kind == PROBABILITY:
            self._first, size = 1023 - TABLE_DOUBLINGS << fine, 2 * TABLE_DOUBLINGS << fine
        self._tables, self._place = tables if weighted else tables.of_size(size), place
        self._packed = 0  # rows in it
        self.room = np.zeros((2, CHUNK + SPARE)), np.zeros(CHUNK + SPARE, np.int64)
        self.how = kind, fine, self._first  # as kernels ask
        self._unpacked: NDArray[np.int64] | None = None
        self._beyond = KeyCounts(weighted=weighted)  # what has no place in the table

    @property
    def table(self) -> NDArray[np.int64]:
        """The rows of each cell in the lower half of an entry, those that are yes in the upper."""
        return self._tables.every[self._place]

    def cells(self, scores: Numbers) -> Slots:
        """Return the cell of each score."""
        if self.kind == PROBABILITY:
            below = np.minimum(np.abs(scores), 1.0)
            with np.errstate(divide="ignore"):
                odds = below / (1.0 - below)
            return odds.view(np.int64) >> (FRACTION_BITS - self.fine)
        rows = len(scores)
        odds, out = padded(rows), np.empty(rows, np.int64)
        log_odds(with_spare(scores), self.kind, rows, odds)
        cells_of(odds, 2.0**-self.fine, rows, out)
        return out

    def middles(self, cells: Slots) -> Numbers:
        """Return the log odds of the middle of each cell; infinite of the first and the last."""
        if self.kind == PROBABILITY:
            shift = FRACTION_BITS - self.fine
            low, high = ((cells + k << shift).view(np.float64) for k in (0, 1))
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                inside = np.log(np.where(low > 0, low / 2 + high / 2, 0.0))
            return np.where(low < math.inf, inside, math.inf)
        middle = (cells + 0.5) * 2.0**-self.fine
        far = np.abs(middle) > EVEN_CELLS
        with np.errstate(over="ignore"):
            size = EVEN_CELLS * np.exp(np.where(far, np.abs(middle) / EVEN_CELLS - 1, 0.0))
        return np.where(far, np.copysign(size, middle), middle)

    def add(self, scores: NDArray[Any], own: Slots, weight: Numbers | None) -> None:
        """Add rows, which are yes in the places ``own``."""
        if weight is None:
            self.make_room(len(scores))
            if count_cells(scores, *self.how, own, *self.room, self.table):
                self.add_beyond(scores, own)
            return
        self._beyond.add(self.cells(scores.astype(np.float64)), _marked(own, len(scores)), weight)

    def add_beyond(self, scores: NDArray[Any], own: Slots) -> None:
        """Add those rows of `add` that have no place in the table."""
        beyond = np.empty(len(scores), np.int64)
        many = find_beyond(scores, *self.how, *self.room, len(self.table), beyond)
        some = beyond[:many]
        cells = self.cells(scores[some].astype(np.float64))
        self._beyond.add(cells, _marked(own, len(scores))[some], None)

    def make_room(self, rows: int) -> None:
        """Expect so many rows more: unpack the table where they might not fit."""
        if self._packed + rows >= MOST_IN_TABLE:
            if self._unpacked is None:
                self._unpacked = np.zeros((2, len(self.table)), np.int64)
            self._unpacked += self.table & _ROWS, self.table >> 32
            self.table[:] = self._packed = 0
        self._packed += rows

    def put(self, held: HeldScores) -> None:
        """Add counts of cells."""
        places = held.keys - self._first
        inside = (places >= 0) & (places < len(self.table))
        rows, yes = held.rows[inside], held.yes[inside]
        many = int(rows.sum())
        self.make_room(many)
        if many < MOST_IN_TABLE:
            self.table[places[inside]] += rows + (yes << 32)
        elif self._unpacked is not None:  # which there is now, and nothing is packed
            self._packed = 0
            self._unpacked[:, places[inside]] += rows, yes
        if not inside.all():
            rest = ~inside
            left = HeldScores(held.keys[rest], held.rows[rest], held.yes[rest])
            self._beyond.put(held if self.weighted else left)

    def held(self) -> HeldScores:
        """Return the counts of all rows."""
        beyond = self._beyond.held()
        if self.weighted:
            return beyond
        packed = self.table
        some = np.flatnonzero(packed if self._unpacked is None else packed | self._unpacked[0])
        rows, yes = packed[some] & _ROWS, packed[some] >> 32
        if self._unpacked is not None:
            rows, yes = rows + self._unpacked[0, some], yes + self._unpacked[1, some]
        own = HeldScores(some + self._first, rows, yes)
        return own.joined(beyond) if beyond.keys.size else own


def _marked(places: Slots, size: int) -> NDArray[np.bool_]:
    """Return which of so many places are among some."""
    out = np.zeros(size, np.bool_)
    out[places] = True
    return out
