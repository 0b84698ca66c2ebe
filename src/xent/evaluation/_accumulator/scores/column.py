"""How many rows of yes and no there are of each score: what is said of their order.

Each distinct score is counted by itself, up to a number of them; where more come, all are counted
by cells of the log odds. Which of the two held depends on the rows alone, and not on how they came.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._kernels.predictions.scores import (
    LOG_ODDS,
    LOG_PROBABILITY,
    PROBABILITY,
    count_columns,
)
from xent.evaluation._accumulator.rows import CountedRows
from xent.evaluation._accumulator.scores.cells import NOWHERE, ScoreCells
from xent.evaluation._accumulator.scores.held import HeldScores, KeyCounts
from xent.evaluation._accumulator.scores.tables import CellTables
from xent.evaluation._accumulator.sums import Numbers, Slots

MOST_SCORES = 1 << 20  # distinct ones that are counted by themselves, of all columns together
CELLS_ALONE = 1 << 16  # of each doubling of p or 1 - p beyond, where there is one column,
CELLS_TOGETHER = 1 << 15  # and of all columns together where there are more
FINEST_ALONE, FINEST_TOGETHER = 1 << 19, 1 << 17  # of the cells that the isotonic regression sees
MOST_RANKED = 64  # classes up to which each is ranked against the rest


class ScoreColumn:
    """Rows of yes and no by the score of one class.

    Parameters
    ----------
    kind : int
        What the scores are: `PROBABILITY`, `LOG_ODDS` or `LOG_PROBABILITY`.
    tables, place : CellTables, int
        Where its cells are counted, beside those of the columns that share `MOST_SCORES` and
        `CELLS_TOGETHER`.
    weighted : bool
        Whether rows have weights.
    """

    def __init__(self, kind: int, tables: CellTables, place: int, *, weighted: bool) -> None:
        self.kind, self.weighted, columns = kind, weighted, tables.columns
        self._tables, self._place = tables, place
        cells = CELLS_ALONE if columns == 1 else CELLS_TOGETHER // columns
        finest = FINEST_ALONE if columns == 1 else FINEST_TOGETHER // columns
        self._most = MOST_SCORES // columns
        self._fine = int(math.log2(cells)), int(math.log2(finest))
        self._distinct = KeyCounts(weighted=weighted, most=self._most)
        self.cells: ScoreCells | None = None

    @property
    def exact(self) -> bool:
        """Whether each distinct score is counted by itself."""
        if self.cells is None and len(self._distinct.held().keys) > self._most:
            self.coarsen()
        return self.cells is None

    def held(self) -> HeldScores:
        """Return the counts by key: of the score, or the number of its cell."""
        if self.exact or self.cells is None:
            return self._distinct.held()
        return self.cells.held()

    def scores(self, held: HeldScores) -> Numbers | None:
        """Return the scores of counts, or None where they are of cells."""
        return scores_from(held.keys) if self.cells is None else None

    def log_odds(self, held: HeldScores) -> Numbers:
        """Return the log odds of yes of each score, or of the middle of each cell."""
        if self.cells is not None:
            return self.cells.middles(held.keys)
        scores = scores_from(held.keys)
        if self.kind == LOG_ODDS:
            return scores
        p = np.minimum(scores, 1.0)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(p) - np.log1p(-p))

    def add(self, scores: NDArray[Any], truth: Slots, label: int, weight: Numbers | None) -> None:
        """Add rows, which are yes where their truth is ``label``; the weights may be longer."""
        if scores.dtype != np.float32:
            scores = np.ascontiguousarray(scores, np.float64)  # so that kernels meet few kinds
        if weight is not None:
            self._add_weighted(scores, truth, label, weight[: len(scores)].copy())
            return
        at = 0
        while self.cells is None and at < len(scores):
            some = slice(at, min(at + self._distinct.room, len(scores)))
            self._distinct.add_scores(scores[some], truth[some] == label)
            if self._distinct.room <= 0 and (self._distinct.too_many() or not self.exact):
                self.coarsen()
            at = some.stop
        if self.cells is not None and at < len(scores):
            self.cells.add(scores[at:], np.flatnonzero(truth[at:] == label), None)

    def _add_weighted(
        self, scores: NDArray[Any], truth: Slots, label: int, weight: Numbers
    ) -> None:
        if self.cells is not None:
            self.cells.add(scores, np.flatnonzero(truth == label), weight)
            return
        keys = keys_from(scores.astype(np.float64))
        self._distinct.add(keys, truth == label, weight)
        if self._distinct.known > self._most:
            self.coarsen()

    def coarsen(self) -> ScoreCells:
        """Count by cells from now on, and what was counted so far; return the cells."""
        if self.cells is not None:
            return self.cells
        kind, tables = self.kind, self._tables
        self.cells = cells = ScoreCells(
            kind, *self._fine, tables, self._place, weighted=self.weighted
        )
        if self.weighted:
            self._distinct.held()
        for scores, _ in self._distinct.waiting:
            cells.expect(scores)
        for scores, yes in self._distinct.waiting:
            cells.add(scores, np.flatnonzero(yes), None)
        held = self._distinct.sorted
        cells.put(held, scores_from(held.keys))
        self._distinct = KeyCounts(weighted=self.weighted)
        return cells

    def take(self, held: HeldScores) -> None:
        """Begin with counts that were kept, each distinct score by itself."""
        self._distinct.put(held)

    def merge(self, other: "ScoreColumn") -> None:
        """Add the rows of another."""
        if self.cells is None and not other.exact:
            self.coarsen()
        if self.cells is None:
            self._distinct.put(other.held())
        elif other.exact or other.cells is None:
            held = other.held()
            self.cells.put(held, scores_from(held.keys))
        else:
            self.cells.merge(other.cells)


class ScoreCounts:
    """Rows by the scores of each class against the rest, of two classes of the second alone.

    Parameters
    ----------
    classes : int
        How many there are.
    kind : str
        "probs", "logits" or "log_probs".
    weighted : bool
        Whether rows have weights.
    winner : bool
        Whether the probability of the class that was given most is counted too; it is yes where
        that class was true.
    """

    def __init__(self, classes: int, kind: str, *, weighted: bool, winner: bool = False) -> None:
        self.kind = kind
        self.winner = (
            ScoreColumn(PROBABILITY, CellTables(1), 0, weighted=weighted) if winner else None
        )
        ranked = 1 if classes == 2 else classes if 2 < classes <= MOST_RANKED else 0
        what = LOG_ODDS if classes == 2 else LOG_PROBABILITY
        what = PROBABILITY if kind == "probs" else what
        self._tables = CellTables(ranked)
        self.columns = [
            ScoreColumn(what, self._tables, c, weighted=weighted) for c in range(ranked)
        ]

    def add(self, scores: list[NDArray[Any]], truth: Slots, weight: Numbers | None) -> None:
        """Add rows by their scores for each class."""
        for c, (column, some) in enumerate(zip(self.columns, scores, strict=True)):
            column.add(some, truth, 1 if len(self.columns) == 1 else c, weight)

    def add_columns(self, columns: NDArray[Any], truth: Slots) -> None:
        """Add rows that each count once, whose scores lie class by class: of all classes (C, n)."""
        some = [each for column in self.columns if (each := column.cells) is not None]
        if len(some) < max(len(self.columns), 2) or columns.strides[1] != columns.itemsize:
            self.add(list(columns[-len(self.columns) :]), truth, None)
            return
        for each in some:
            each.make_room(len(truth))
        one, tables, reach = some[0], some[0].with_table(), np.array(NOWHERE)
        carried, times = np.empty((len(some), 2 * len(truth)), np.int32), np.zeros(len(some), int)
        beyond = count_columns(
            columns, *one.how, tables.layout.row_bits, truth, *one.room, tables.table, reach,
            carried, times,
        )  # fmt: skip
        for each, cells, many in zip(some, carried, times.tolist(), strict=True):
            each.carry(cells[:many])
        if beyond:
            for c, (each, scores) in enumerate(zip(some, columns, strict=True)):
                each.add_beyond(scores, np.flatnonzero(truth == c))
        one.reached(reach)

    def add_winner(self, rows: CountedRows) -> None:
        """Add rows by the probability of the class that was given most."""
        if self.winner is not None:
            n, figures = rows.count, rows.figures
            right = (rows.truth[:n] == figures.guess[:n]).astype(np.int64)
            self.winner.add(figures.confidence[:n].copy(), right, 1, rows.weight)

    def merge(self, other: "ScoreCounts") -> None:
        """Add the rows of another."""
        if self.winner is not None and other.winner is not None:
            self.winner.merge(other.winner)
        for mine, theirs in zip(self.columns, other.columns, strict=True):
            mine.merge(theirs)

    @property
    def form(self) -> str:
        """How scores were counted: "exact", "cells", or "none" where none were."""
        if not self.every:
            return "none"
        return "exact" if all(column.exact for column in self.every) else "cells"

    @property
    def every(self) -> list[ScoreColumn]:
        """The columns of the classes, and that of the winning class."""
        return [*self.columns, *([] if self.winner is None else [self.winner])]


def scores_of(
    kind: str, block: NDArray[Any], confidence: Numbers, guess: Slots
) -> list[NDArray[Any]]:
    """Return what ranks a block's rows for each class, of two for the second alone.

    Parameters
    ----------
    kind : str
        "probs", "logits" or "log_probs".
    block : ndarray, shape (n, C)
        The scores of all classes.
    confidence, guess : ndarray, shape (n,)
        What the class that was given most has, and which it is.
    """
    classes = block.shape[1]
    if not 2 <= classes <= MOST_RANKED:
        return []
    if kind == "probs":
        # As they came: dividing rows by their sums would part equals.
        return [block[:, c] for c in ([1] if classes == 2 else range(classes))]
    wide = block.astype(np.float64)
    if classes == 2:
        with np.errstate(over="ignore"):
            return [wide[:, 1] - wide[:, 0]]  # which keep apart what probabilities near 1 do not
    with np.errstate(over="ignore"):
        wide -= wide[np.arange(len(wide)), guess][:, None]
        wide += np.log(confidence)[:, None]
    return list(wide.T.copy())


def keys_from(scores: Numbers) -> Slots:
    """Return the key of each score, by which different ones differ; 0 and -0 are one."""
    bits = (scores + 0.0).view(np.int64)
    return bits ^ ((bits >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))


def scores_from(keys: Slots) -> Numbers:
    """Return the scores of keys."""
    return (keys ^ ((keys >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))).view(np.float64)
