"""What is kept of rows once they were measured: exact sums and counts, never the rows.

A number of the report joins here: it gets a `Sums` or a count in `RowTally`, what adds a block's
rows to it in `add`, and its part in `merge`; `result` makes the number of it. What comes out must
not depend on how rows were dealt to blocks and tallies.
"""

import math

import numpy as np

from xent._kernels.predictions.sums import LIMBS, LIMIT, MORE_LIMBS, count, left_of
from xent._kernels.predictions.tally import (
    BRIER_LEFT,
    COST_LEFT,
    SQUARES_LEFT,
    WORK_SIZE,
    SummedRows,
    add_rows,
)
from xent._math.transpose import TABLE_LINE
from xent.evaluation._accumulator.pairs import ConfusionSums
from xent.evaluation._accumulator.rows import CountedRows
from xent.evaluation._accumulator.sums import (
    Numbers,
    Slots,
    Sums,
    padded,
    products,
    times,
)
from xent.evaluation._accumulator.worst import Worst

BINS = 15  # of the report's reliability
CONFIDENCE_CELLS = 16 * BINS  # of confidence, each bin's 16
RANKS = 11  # ranks of the true class that are told apart: 0 to 9, and above
# What other programs take for a probability of 0: scikit-learn's log_loss of float64 and of
# float32, and what it and Kaggle took before.
FLOORS = {"2.2e-16": 2.0**-52, "1e-15": 1e-15, "1.2e-07": 2.0**-23}
FLOOR_COSTS = np.array([-math.log(floor) for floor in FLOORS.values()])
# Sums over all rows, the first two as `add_rows` has them: of w Brier; of (wc)², w, w² and w·wc for
# the interval; c the cost, w the weight.
TOTALS = ("brier", "squares", "weight", "weight_squares", "weight_cost")


class RowTally:
    """Exact sums and counts over rows.

    Parameters
    ----------
    classes : int
        How many there are.
    weighted : bool
        Whether rows have weights.
    """

    def __init__(self, classes: int, *, weighted: bool) -> None:
        self.classes, self.weighted = classes, weighted
        self.rows = 0
        self.pairs = ConfusionSums(classes, weighted=weighted)
        self.per_class = None if self.pairs.dense else PerClass(classes, weighted=weighted)
        self.cells = np.zeros((CONFIDENCE_CELLS, 2), np.int64)  # rows, and right ones
        self.said, self.spent = (
            Sums(CONFIDENCE_CELLS),
            Sums(CONFIDENCE_CELLS),
        )  # confidence, and cost
        # Of weighted rows instead of these: weight, of right rows, and of confidence.
        self.cell_weights = Sums(3 * CONFIDENCE_CELLS if weighted else 0)
        self.ranks = np.zeros(RANKS, np.int64)
        self.rank_weights = Sums(RANKS if weighted else 0)
        self.totals = Sums(len(TOTALS), MORE_LIMBS)
        self.floors = Sums(2 * len(FLOORS))  # weight above each, and cost there
        self.endless = np.zeros(CONFIDENCE_CELLS, np.int64)  # rows of infinite cost by cell,
        self.endless_pairs: dict[int, int] = {}  # by pair,
        self.endless_classes: dict[int, int] = {}  # and by true class
        self.worst = Worst()

    def add(self, rows: CountedRows) -> None:
        """Add rows that count."""
        n, figures = rows.count, rows.figures
        top = float(figures.cost[:n].max(initial=-math.inf))
        self.worst.add(rows, top)
        cost, brier = figures.cost, figures.brier
        if rows.weight is not None:
            cost, brier = times(cost, rows.weight, n), times(brier, rows.weight, n)
        if rows.weight is not None or top == math.inf:
            cost = self._without_endless(rows, cost)
        places = np.empty(0, np.int64)  # where a pair stands by its number
        if not self.pairs.dense:
            places = self.pairs.places(rows.truth[:n] * self.classes + figures.guess[:n])
        found = self._add_figures(rows, cost, brier, places)
        if found:
            self._add_left(found, rows, cost, brier, places)
        if self.per_class is not None:
            self.per_class.add(rows, cost)
            self._forget_pairs()
        if rows.weight is not None:
            self._add_weights(rows, rows.weight, cost, places)
        if top > FLOOR_COSTS.min():
            self._add_floors(rows, cost)
        self.rows += n

    def _without_endless(self, rows: CountedRows, spent: Numbers) -> Numbers:
        """Count the rows of infinite cost, and return the costs with 0 in their place."""
        figures = rows.figures
        here = np.flatnonzero(spent[: rows.count] == math.inf)
        if not here.size:
            return spent
        truth, guess = rows.truth[here], figures.guess[here]
        np.add.at(self.endless, _cells(figures.confidence[here]), 1)
        for found, keys in (
            (self.endless_pairs, truth * self.classes + guess), (self.endless_classes, truth),
        ):  # fmt: skip
            for key, many in zip(*np.unique(keys, return_counts=True), strict=True):
                found[int(key)] = found.get(int(key), 0) + int(many)
        cost = spent.copy()
        cost[here] = 0.0
        return cost

    def _add_figures(self, rows: CountedRows, cost: Numbers, brier: Numbers, places: Slots) -> int:
        """Add finite costs and Brier scores, times the weight; return what did not fit."""
        n, pairs = rows.count, self.pairs
        for sums in (pairs.cost, self.said, self.spent, self.totals):
            sums.make_room(2 * n)
        found: int = add_rows(
            places, rows.truth, rows.figures, cost, brier, n,
            SummedRows(
                pairs.rows, pairs.cost.limbs, self.cells, self.said.limbs, self.spent.limbs,
                self.totals.limbs, self.ranks,
            ),
            np.empty(WORK_SIZE, np.int64),
            np.zeros(TABLE_LINE * self.classes**2 if pairs.dense else 0, np.int64),
            np.zeros(2 * TABLE_LINE * CONFIDENCE_CELLS, np.int64),
        )  # fmt: skip
        return found

    def _add_left(
        self, found: int, rows: CountedRows, cost: Numbers, brier: Numbers, places: Slots
    ) -> None:
        """Add to the last bit what did not fit the limbs."""
        n, left = rows.count, padded(rows.count)
        if found & COST_LEFT:
            left_of(cost, n, LIMBS, left)
            self.pairs.cost.add_left(self._pair_places(rows, places), left[:n])
            # Of cells two limbs are kept, and what is too large for any.
            large = np.flatnonzero(np.abs(left[:n]) >= LIMIT)
            self.spent.add_left(_cells(rows.figures.confidence[large]), left[large])
        some = [(0, brier)] if found & BRIER_LEFT else []
        if found & SQUARES_LEFT:
            some += [(1, part) for part in products(cost, cost, n)]
        for slot, values in some:
            left_of(values, n, MORE_LIMBS, left)
            self.totals.add_left(np.full(n, slot), left[:n])

    def _pair_places(self, rows: CountedRows, places: Slots) -> Slots:
        n = rows.count
        return places if places.size else rows.truth[:n] * self.classes + rows.figures.guess[:n]

    def _add_weights(
        self, rows: CountedRows, weight: Numbers, cost: Numbers, places: Slots
    ) -> None:
        """Add what only rows with weights have; ``cost`` is finite, and times the weight."""
        n, figures, left = rows.count, rows.figures, padded(rows.count)
        self.totals.add(TOTALS.index("weight"), weight, n, left)
        for name, other in (("weight_squares", weight), ("weight_cost", cost)):
            for part in products(weight, other, n):
                self.totals.add(TOTALS.index(name), part, n, left)
        self.rank_weights.scatter(np.minimum(figures.rank[:n], RANKS - 1), weight, n, left)
        self.pairs.weight.scatter(self._pair_places(rows, places), weight, n, left)
        cells = _cells(figures.confidence[:n])
        right = padded(n)
        right[:n] = weight[:n] * (rows.truth[:n] == figures.guess[:n])
        for k, values in enumerate((weight, right, times(figures.confidence, weight, n))):
            self.cell_weights.scatter(cells + k * CONFIDENCE_CELLS, values, n, left)

    def _add_floors(self, rows: CountedRows, cost: Numbers) -> None:
        """Add the rows that cost more than a floor would have let them; few of most models."""
        n = rows.count
        weight = np.ones(n) if rows.weight is None else rows.weight
        for k, most in enumerate(FLOOR_COSTS):
            above = np.flatnonzero(rows.figures.cost[:n] > most)
            if not above.size:
                continue
            for slot, values in ((k, weight), (len(FLOORS) + k, cost)):
                self.floors.add_left(np.full(above.size, slot), values[above])

    def _forget_pairs(self) -> None:
        self.pairs.forget()
        if self.pairs.lost:
            self.endless_pairs = {}

    def merge(self, other: "RowTally") -> None:
        """Add what another tally has seen, of the same classes."""
        self.rows += other.rows
        self.pairs.merge(other.pairs)
        if self.per_class is not None and other.per_class is not None:
            self.per_class.merge(other.per_class)
        for name in ("cells", "ranks", "endless"):
            getattr(self, name).__iadd__(getattr(other, name))
        for name in ("said", "spent", "cell_weights", "rank_weights", "totals", "floors"):
            getattr(self, name).merge(getattr(other, name))
        for mine, theirs in (
            (self.endless_pairs, other.endless_pairs),
            (self.endless_classes, other.endless_classes),
        ):
            for key, many in theirs.items():
                mine[key] = mine.get(key, 0) + many
        self.worst.merge(other.worst)
        self._forget_pairs()


class PerClass:
    """What is known of each class where pairs may be too many to be kept."""

    def __init__(self, classes: int, *, weighted: bool) -> None:
        self.rows = np.zeros((3, classes), np.int64)  # of this class, said to be, and both
        self.cost = Sums(classes)
        self.weights = [Sums(classes) for _ in range(3 if weighted else 0)]

    def add(self, rows: CountedRows, cost: Numbers) -> None:
        """Add rows, whose ``cost`` is finite, and times the weight."""
        left = padded(rows.count)
        n, truth, guess = rows.count, rows.truth, rows.figures.guess
        right = truth[:n][truth[:n] == guess[:n]]
        for slots, found in zip((truth[:n], guess[:n], right), self.rows, strict=True):
            count(slots, len(slots), found)
        self.cost.scatter(truth, cost, n, left)
        if rows.weight is not None:
            for slots, sums in zip((truth, guess), self.weights, strict=False):
                sums.scatter(slots, rows.weight, n, left)
            won = padded(n)
            won[:n] = rows.weight[:n] * (truth[:n] == guess[:n])
            self.weights[2].scatter(truth, won, n, left)

    def merge(self, other: "PerClass") -> None:
        """Add what another has seen."""
        self.rows += other.rows
        for mine, theirs in zip(
            (self.cost, *self.weights), (other.cost, *other.weights), strict=True
        ):
            mine.merge(theirs)


def _cells(confidence: Numbers) -> Slots:
    return np.minimum((confidence * CONFIDENCE_CELLS).astype(np.int64), CONFIDENCE_CELLS - 1)
