"""Rows of yes and no by cells of the log odds, whose numbers order as the scores do.

The cell of a probability below a half is its leading bits: an exponent, and so many bits of the
fraction. Of others it is those of 1 - p, from the other end on. Each doubling of the smaller of the
two has as many cells, and no logarithm is taken. The log odds themselves are cut into cells of one
width, from `EVEN_CELLS` on in proportion.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._kernels.predictions.figures import SPARE
from xent._kernels.predictions.scores import (
    CELLS_AHEAD,
    EVEN_CELLS,
    FINEST,
    FRACTION_BITS,
    MIRROR,
    PROBABILITY,
    cells_of,
    count_cells,
    find_beyond,
    gather_cells,
    log_odds,
    pool_adjacent,
)
from xent.evaluation._accumulator.scores.held import HeldScores, KeyCounts
from xent.evaluation._accumulator.scores.tables import CellLayout, CellTables
from xent.evaluation._accumulator.sums import Numbers, Slots, padded, with_spare

TABLE_DOUBLINGS = 46  # of 1/2, each way: from 2^-46 to 1 - 2^-46: 32 nats each way
NOWHERE = 1 << 62, -1  # from the first to the last of no cells


class ScoreCells:
    """Counts of rows by cell.

    Parameters
    ----------
    kind : int
        What the scores are: `PROBABILITY`, `LOG_ODDS` or `LOG_PROBABILITY`.
    fine, finest : int
        A doubling of the probability, or a nat of log odds, has 2^fine cells of those that `held`
        tells of. Rows are counted in finer ones, at best 2^finest.
    tables, place : CellTables, int
        Where rows are counted, and in which column.
    weighted : bool
        Whether rows have weights: such are few, or may take long, and have no table.
    """

    def __init__(
        self, kind: int, fine: int, finest: int, tables: CellTables, place: int, *, weighted: bool
    ) -> None:
        self.kind, self.fine, self.weighted = kind, fine, weighted
        self._finest, self.tables, self._place = finest, tables, place
        self.rows = 0
        room = CELLS_AHEAD + SPARE
        self.room = np.zeros((2, room)), np.zeros(room, np.int64)
        self._parts = 2 * (TABLE_DOUBLINGS if kind == PROBABILITY else int(EVEN_CELLS))
        lowest = (MIRROR >> FINEST) // 2 - TABLE_DOUBLINGS
        self._first_part = lowest if kind == PROBABILITY else -int(EVEN_CELLS)
        self._begin()
        if not weighted:
            tables.members.append(self)

    def _begin(self) -> None:
        self._beyond = KeyCounts(weighted=self.weighted)  # what has no place in the table
        self._carried = KeyCounts(weighted=False)  # what no entry could hold, as multiples of that

    @property
    def table_fine(self) -> int:
        """A doubling, or a nat, has 2^this cells of those in which rows are counted."""
        return self.fine if self.weighted else self._finest - self.tables.layout.coarser

    @property
    def _first(self) -> int:
        return self._first_part << self.table_fine

    @property
    def how(self) -> tuple[int, int, int]:
        """What the scores are, how fine cells are, and which is the first, as kernels ask."""
        return self.kind, self.table_fine, self._first

    @property
    def parts(self) -> NDArray[Any]:
        """The entries of the cells of each part of the table, a doubling or a nat."""
        self.tables.of_size(self._parts, 1 << self.table_fine)
        each: NDArray[Any] = self.tables.parts[:, self._place]
        return each

    @property
    def touched(self) -> list[int]:
        """Which parts hold a row."""
        carried = (self._carried.held().keys - self._first) >> self.table_fine
        some, (low, high) = set(carried.tolist()), self.tables.reach
        return [k for k in range(low, high + 1) if k in some or self.parts[k].any()]

    def cells(self, scores: Numbers) -> Slots:
        """Return the cell of each score; beyond the table they are as wide as those of `held`."""
        if self.kind == PROBABILITY:
            below = np.minimum(np.abs(scores), 1.0)
            down = FRACTION_BITS - FINEST
            low, high = (some.view(np.int64) >> down for some in (below, 1.0 - below))
            found = np.where(below < 0.5, low, MIRROR - high) >> (FINEST - self.table_fine)
        else:
            rows = len(scores)
            odds, found = padded(rows), np.empty(rows, np.int64)
            log_odds(with_spare(scores), self.kind, rows, odds)
            cells_of(odds, 2.0**-self.table_fine, rows, found)
        place = found - self._first
        wide = self.table_fine - self.fine
        inside = (place >= 0) & (place < self._parts << self.table_fine)
        return np.where(inside, found, found >> wide << wide)

    def middles(self, cells: Slots) -> Numbers:
        """Return the log odds of the middle of each cell of `held`; infinite of p = 0 and 1."""
        if self.kind == PROBABILITY:
            width = 1 << (FINEST - self.fine)
            keys = cells << (FINEST - self.fine)
            low = keys < MIRROR // 2
            # Of p, or of 1 - p: from which key on, and up to which.
            begin = np.where(low, keys, np.maximum(MIRROR - keys - width + 1, 0))
            end = np.where(low, keys + width, np.maximum(MIRROR - keys + 1, 1))
            ends = (some << (FRACTION_BITS - FINEST) for some in (begin, end))
            near, far = (some.view(np.float64) for some in ends)
            middle = np.minimum(near / 2 + far / 2, 0.5)
            certain = np.where(low, near == 0, MIRROR - keys <= 0)
            with np.errstate(divide="ignore"):
                odds = np.log(np.where(certain, 0.0, middle)) - np.log1p(-middle)
            return np.where(low, odds, -odds)
        middle = (cells + 0.5) * 2.0**-self.fine
        far = np.abs(middle) > EVEN_CELLS
        with np.errstate(over="ignore"):
            size = EVEN_CELLS * np.exp(np.where(far, np.abs(middle) / EVEN_CELLS - 1, 0.0))
        return np.where(far, np.copysign(size, middle), middle)

    def expect(self, scores: NDArray[Any]) -> None:
        """Prepare for probabilities that come: where they lie far apart, cells shall be wide."""
        if self.kind == PROBABILITY and not self.weighted:
            low, high = float(scores.min()), float(scores.max())
            if low < 2.0**-TABLE_DOUBLINGS:
                low = float(scores.min(where=scores >= 2.0**-TABLE_DOUBLINGS, initial=0.5))
            self.reached(self.cells(np.array([low, max(low, high)])) - self._first)

    def reached(self, places: Slots) -> None:
        """Remember the first and the last place of the table that rows were counted in."""
        low, high = (places[[0, -1]] >> self.table_fine).tolist()
        self.tables.reach_out(max(low, 0), min(high, self._parts - 1))

    def add(self, scores: NDArray[Any], own: Slots, weight: Numbers | None) -> None:
        """Add rows, which are yes in the places ``own``."""
        if weight is not None:
            cells = self.cells(scores.astype(np.float64))
            self._beyond.add(cells, _marked(own, len(scores)), weight)
            return
        self.make_room(len(scores))
        tables, reach = self.with_table(), np.array(NOWHERE)
        carried = np.empty(len(scores) + len(own), np.int32)
        beyond, times = count_cells(
            scores, *self.how, tables.layout.row_bits, own, *self.room, tables.table,
            tables.columns, self._place, reach, carried,
        )  # fmt: skip
        self.carry(carried[:times])
        if beyond:
            self.add_beyond(scores, own)
        self.reached(reach)

    def with_table(self) -> CellTables:
        """Return the tables, of which this one is wanted now."""
        self.tables.of_size(self._parts, 1 << self.table_fine)
        return self.tables

    def carry(self, places: NDArray[Any]) -> None:
        """Keep what entries could not hold: of rows, or of yes where it is the complement."""
        if len(places):
            own, places = places < 0, places.astype(np.int64)
            part, cell = np.divmod(np.where(own, ~places, places), 1 << self.table_fine)
            cells = (part // self.tables.columns << self.table_fine) + cell + self._first
            self._carried.add(cells, own, None)

    def add_beyond(self, scores: NDArray[Any], own: Slots) -> None:
        """Add those rows of `add` that have no place in the table."""
        beyond = np.empty(len(scores), np.int64)
        many = find_beyond(scores, *self.how, *self.room, self._parts << self.table_fine, beyond)
        some = beyond[:many]
        cells = self.cells(scores[some].astype(np.float64))
        self._beyond.add(cells, _marked(own, len(scores))[some], None)

    def make_room(self, rows: int) -> None:
        """Expect so many rows more: go on in wider cells where they are many."""
        self.rows += rows
        self.tables.reach_out(*NOWHERE)

    def move(self, before: CellTables) -> None:
        """Go on in the tables that there are now, with what was counted in those before."""
        moved = copy.copy(self)
        moved.tables = before
        self._begin()
        self._put_pieces(moved)

    def put(self, held: HeldScores, scores: Numbers) -> None:
        """Add counts by score, in ascending order of the scores."""
        self.make_room(int(held.rows.sum()))
        if len(scores):
            self._put(held.by(self.cells(scores)))

    def _put(self, held: HeldScores) -> None:
        places = held.keys - self._first
        inside = (places >= 0) & (places < self._parts << self.table_fine)
        if self.weighted or not inside.any():
            self._beyond.put(held)
            return
        bits, yes_bits = self.tables.layout.row_bits, self.tables.layout.yes_bits
        some = np.divmod(places[inside], 1 << self.table_fine)
        entries = self.parts[some].astype(np.int64)
        rows = held.rows[inside] + (entries & (1 << bits) - 1)
        yes = held.yes[inside] + (entries >> bits)
        self.parts[some] = (rows & (1 << bits) - 1) + ((yes & (1 << yes_bits) - 1) << bits)
        low, high = some[0][[0, -1]].tolist()
        rows, yes = rows >> bits, yes >> yes_bits
        over = np.flatnonzero(rows + yes)
        if len(over):
            self._carried.put(HeldScores(held.keys[inside][over], (rows + yes)[over], yes[over]))
        if not inside.all():
            rest = ~inside
            self._beyond.put(HeldScores(held.keys[rest], held.rows[rest], held.yes[rest]))
        self.tables.reach_out(low, high)

    def said(self) -> tuple[dict[str, int], dict[str, NDArray[Any]]]:
        """Return what is held of rows without weights, as numbers and arrays."""
        some = np.array(self.touched, np.int64)
        beyond, carried = (
            np.stack([held.keys, held.rows, held.yes])
            for held in (self._beyond.held(), self._carried.held())
        )
        arrays = {"": beyond, ".carried": carried, ".parts": some, ".table": self.parts[some]}
        layout = self.tables.layout
        return {"coarser": layout.coarser, "bits": layout.bits, "rows": self.rows}, arrays

    def take(self, said: dict[str, int], arrays: dict[str, NDArray[Any]]) -> None:
        """Go on with what another has `said`, where nothing was counted."""
        layout = CellLayout(said["coarser"], said["bits"])
        if layout != self.tables.layout:
            self.tables.begin(layout)
        self.rows, parts = said["rows"], arrays[".parts"]
        self.parts[parts] = arrays[".table"]
        if len(parts):
            self.tables.reach_out(int(parts[0]), int(parts[-1]))
        self._beyond.put(HeldScores(*arrays[""]))
        self._carried.put(HeldScores(*arrays[".carried"]))

    def take_weighted(self, held: HeldScores) -> None:
        """Go on with counts of weighted rows, where nothing was counted."""
        self._beyond.put(held)

    def merge(self, other: "ScoreCells") -> None:
        """Add the rows of another, of scores of the same kind."""
        if self.weighted:
            self._beyond.put(other._beyond.held())
            return
        self.rows += other.rows
        self.tables.reach_out(*other.tables.reach)  # before cells are asked for: they may be wider
        self._put_pieces(other)

    def _put_pieces(self, other: "ScoreCells") -> None:
        finer = other.table_fine - self.table_fine
        for held in other.pieces(max(finer, 0)):
            self._put(HeldScores(held.keys << max(-finer, 0), held.rows, held.yes))

    def pieces(self, coarser: int) -> Iterator[HeldScores]:
        """Yield counts of rows part by part, by cells 2^coarser as wide as the table's."""
        beyond, carried = (
            _by_wider(some.held(), coarser) for some in (self._beyond, self._carried)
        )
        first = self._first >> coarser
        part = 1 << (self.table_fine - coarser)
        size = self._parts << (self.table_fine - coarser)
        out = [np.empty(part, np.int64) for _ in range(3)]
        below, above = np.searchsorted(beyond.keys, [first, first + size])
        yield _some(beyond, 0, int(below))
        for k in self.touched:
            many = gather_cells(self.parts[k], self.tables.layout.row_bits, 1 << coarser, *out)
            begin = first + k * part
            cells, rows, yes = (array[:many].copy() for array in out)
            held = HeldScores(cells + begin, rows, yes)
            a, b = np.searchsorted(carried.keys, [begin, begin + part])
            if a < b:
                many_times, own = carried.rows[a:b], carried.yes[a:b]
                rows = (many_times - own) << self.tables.layout.row_bits
                more = HeldScores(carried.keys[a:b], rows, own << self.tables.layout.yes_bits)
                held = held.joined(more)
            yield held
        yield _some(beyond, int(above), len(beyond.keys))

    def held(self) -> HeldScores:
        """Return the counts of all rows, by cells as ``fine`` says."""
        if self.weighted:
            return self._beyond.held()
        found = list(self.pieces(self.table_fine - self.fine))
        return HeldScores(
            np.concatenate([some.keys for some in found]),
            np.concatenate([some.rows for some in found]),
            np.concatenate([some.yes for some in found]),
        )

    def pooled(self) -> tuple[Numbers, Numbers]:
        """Return the rows of each block of the isotonic regression of yes, and those that are yes.

        It is that of the cells of the table, of which many lie in one of `held`.
        """
        used, out = 0, [np.empty(0), np.empty(0)]
        for held in self.pieces(0):
            if used + len(held.keys) > len(out[0]):
                room = np.empty(len(held.keys))
                out = [np.concatenate([some[:used], room]) for some in out]
            numbers = held.rows.astype(np.float64), held.yes.astype(np.float64)
            used = pool_adjacent(*numbers, used, *out)
        return out[0][:used], out[1][:used]


def _some(held: HeldScores, start: int, stop: int) -> HeldScores:
    return HeldScores(held.keys[start:stop], held.rows[start:stop], held.yes[start:stop])


def _by_wider(held: HeldScores, coarser: int) -> HeldScores:
    return held.by(held.keys >> coarser) if len(held.keys) else held


def _marked(places: Slots, size: int) -> NDArray[np.bool_]:
    """Return which of so many places are among some."""
    out = np.zeros(size, np.bool_)
    out[places] = True
    return out
