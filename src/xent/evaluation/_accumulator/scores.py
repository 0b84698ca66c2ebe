"""How many rows of yes and no there are of each score: what is said of their order.

Each distinct score is counted by itself, up to a number of them; where more come, all are counted
by cells of the log odds. Which of the two held depends on the rows alone, and not on how they came.
Hanley and McNeil (1982) for the area under the receiver operating characteristic.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._kernels.predictions.figures import SPARE
from xent._kernels.predictions.scores import (
    EVEN_CELLS,
    LOG_ODDS,
    LOG_PROBABILITY,
    PROBABILITY,
    cells_of,
    count_cells,
    keys_of,
    log_odds,
)
from xent._kernels.predictions.sums import CHUNK, count
from xent.evaluation._accumulator.places import LEAST_SIZE, KeyPlaces, grown
from xent.evaluation._accumulator.sums import Numbers, Slots, Sums, padded, with_spare

MOST_SCORES = 1 << 17  # distinct ones that are counted by themselves, of all columns together
FINEST = 2.0**-12  # log odds that a cell is wide where there is one column
NO_RANKING = {"roc_auc": math.nan, "average_precision": math.nan}
MOST_RANKED = 64  # classes up to which each is ranked against the rest


class ScoreColumn:
    """Rows of yes and no by the score of one class.

    Parameters
    ----------
    kind : int
        What the scores are: `PROBABILITY`, `LOG_ODDS` or `LOG_PROBABILITY`.
    columns : int
        How many share `MOST_SCORES`.
    weighted : bool
        Whether rows have weights.
    """

    def __init__(self, kind: int, columns: int, *, weighted: bool) -> None:
        self.kind, self.weighted = kind, weighted
        self.most = MOST_SCORES // columns
        self.width = FINEST * 2.0 ** math.ceil(math.log2(columns))
        self.exact = True
        self._empty()

    def _empty(self) -> None:
        self.index = KeyPlaces()
        size = LEAST_SIZE + (0 if self.exact else self.cells)
        self.rows, self.yes = np.zeros((2, size), np.int64)
        self.weight, self.yes_weight = (Sums(size if self.weighted else 0) for _ in range(2))

    @property
    def cells(self) -> int:
        """How many cells have a place by their number: those of one width."""
        return int(2 * EVEN_CELLS / self.width)

    @property
    def used(self) -> int:
        """How many places there are."""
        return self.index.used + (0 if self.exact else self.cells)

    def _cells(self, scores: Numbers) -> Slots:
        rows = len(scores)
        odds, out = padded(rows), np.empty(rows, np.int64)
        log_odds(with_spare(scores), self.kind, rows, odds)
        cells_of(odds, self.width, rows, out)
        return out

    def held(self) -> tuple[Slots, Slots]:
        """Return the keys that came, in ascending order, and their places."""
        keys = self.index.keys[: self.index.used]
        if not self.exact:
            keys = np.concatenate([np.arange(self.cells) - self.cells // 2, keys])
        some = np.flatnonzero(self.rows[: self.used])
        order = np.argsort(keys[some])
        return keys[some][order], some[order]

    def add(self, scores: NDArray[Any], truth: Slots, label: int, weight: Numbers | None) -> None:
        """Add rows, which are yes where their truth is ``label``; the weights have `SPARE` more."""
        if scores.dtype != np.float32 or scores.flags.c_contiguous:
            scores = np.ascontiguousarray(scores, np.float64)  # so that kernels meet two kinds
        if not self.exact and weight is None:
            far, room = np.empty(len(scores), np.int64), np.zeros((2, CHUNK + SPARE))
            beyond = count_cells(
                scores, self.kind, self.width, truth, label, room, self.rows, self.yes, far
            )
            if not beyond:
                return
            scores, truth = scores[far[:beyond]], truth[far[:beyond]]
        scores, yes = scores.astype(np.float64), truth == label
        keys = np.empty(len(scores), np.int64)
        if self.exact:
            keys_of(scores, keys)
        else:
            keys = self._cells(scores)
        places = self.places(keys)
        own = places[yes]
        count(places, len(places), self.rows)
        count(own, len(own), self.yes)
        if weight is not None:
            left, mine = padded(len(places)), padded(len(own))
            mine[: len(own)] = weight[: len(places)][yes]
            self.weight.scatter(places, weight, len(places), left)
            self.yes_weight.scatter(own, mine, len(own), left)
        self._coarsen()

    def places(self, keys: Slots) -> Slots:
        """Return where each key is counted: cells near 0 by their numbers, others as they come."""
        if self.exact:
            found = self.index.find(keys)
        else:
            half = self.cells // 2
            found = keys + half
            far = np.flatnonzero((found < 0) | (found >= self.cells))
            if far.size:
                found[far] = self.cells + self.index.find(keys[far])
        if self.used > len(self.rows):
            self.rows, self.yes = (grown(a, self.used) for a in (self.rows, self.yes))
            for sums in (self.weight, self.yes_weight) if self.weighted else ():
                sums.make_room(0, len(self.rows))
        return found

    def _coarsen(self) -> None:
        """Count by cells from now on, and what was counted so far, where scores are too many."""
        if not self.exact or self.index.used <= self.most:
            return
        keys, places = self.held()
        old = self.rows[places], self.yes[places], self.weight, self.yes_weight, places
        self.exact = False
        self._empty()
        self._put(self._cells(scores_from(keys)), *old)

    def _put(
        self,
        keys: Slots,
        rows: Slots,
        yes: Slots,
        weight: Sums,
        yes_weight: Sums,
        places: Slots,
    ) -> None:
        """Add counts of keys, whose weights stand in some places of other sums."""
        found = self.places(keys)
        np.add.at(self.rows, found, rows)
        np.add.at(self.yes, found, yes)
        if self.weighted:
            self.weight.merge(weight.chosen(places), found)
            self.yes_weight.merge(yes_weight.chosen(places), found)

    def take(
        self, keys: Slots, rows: Slots, yes: Slots, weights: list[Sums], *, exact: bool
    ) -> None:
        """Begin with counts that were kept."""
        self.exact = exact
        self._empty()
        weight, yes_weight = weights
        self._put(keys, rows, yes, weight, yes_weight, np.arange(len(keys)))

    def merge(self, other: "ScoreColumn") -> None:
        """Add the rows of another."""
        if self.exact and not other.exact:
            self.most, most = -1, self.most
            self._coarsen()
            self.most = most
        keys, places = other.held()
        if other.exact and not self.exact:
            keys = self._cells(scores_from(keys))
        rows, yes = other.rows[places], other.yes[places]
        self._put(keys, rows, yes, other.weight, other.yes_weight, places)
        self._coarsen()

    def _weights(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the weight of all rows, and of those that are yes, in each place."""
        if self.weighted:
            return self.weight.values(), self.yes_weight.values()
        return self.rows, self.yes

    def ranking(self) -> tuple[float, float] | None:
        """Return the area under the curve and the average precision; None where all are alike."""
        _, places = self.held()
        every, own = (values[places].astype(np.float64) for values in self._weights())
        below = np.cumsum(every) - every
        upto = np.cumsum(own)
        if not len(every):
            return None
        total, whole = float(below[-1] + every[-1]), float(upto[-1])
        others = every - own
        if not (own.any() and others.any()):
            return None
        others_below = below - (upto - own)
        auc = math.fsum(own * (others_below + 0.5 * others)) / (whole * (total - whole))
        some = own > 0
        above, beyond = whole - upto[some], total - below[some] - every[some]
        yes, rows = own[some], every[some]
        if not self.exact:  # of a cell, as many before each row as after it
            times, yes_times = (a[places][some] for a in (self.rows, self.yes))
            yes, rows = (yes + yes / yes_times) / 2, (rows + rows / times) / 2
        precision = (above + yes) / (beyond + rows)
        return auc, math.fsum(own[some] * precision) / whole


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
    """

    def __init__(self, classes: int, kind: str, *, weighted: bool) -> None:
        self.kind = kind
        ranked = 1 if classes == 2 else classes if 2 < classes <= MOST_RANKED else 0
        what = LOG_ODDS if classes == 2 else LOG_PROBABILITY
        what = PROBABILITY if kind == "probs" else what
        self.columns = [ScoreColumn(what, ranked, weighted=weighted) for _ in range(ranked)]

    def add(self, scores: list[NDArray[Any]], truth: Slots, weight: Numbers | None) -> None:
        """Add rows by their scores for each class."""
        for c, (column, some) in enumerate(zip(self.columns, scores, strict=True)):
            column.add(some, truth, 1 if len(self.columns) == 1 else c, weight)

    def merge(self, other: "ScoreCounts") -> None:
        """Add the rows of another."""
        for mine, theirs in zip(self.columns, other.columns, strict=True):
            mine.merge(theirs)

    def ranking(self) -> dict[str, float]:
        """Return ``roc_auc`` and ``average_precision``, of many classes their means."""
        found = [each for column in self.columns if (each := column.ranking()) is not None]
        if not found:
            return NO_RANKING
        auc, precision = (math.fsum(values) / len(found) for values in zip(*found, strict=True))
        return {"roc_auc": auc, "average_precision": precision}

    @property
    def form(self) -> str:
        """How scores were counted: "exact", "cells", or "none" where no class is ranked."""
        if not self.columns:
            return "none"
        return "exact" if all(column.exact for column in self.columns) else "cells"


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


def scores_from(keys: Slots) -> Numbers:
    """Return the scores of keys."""
    return (keys ^ ((keys >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))).view(np.float64)
