"""Rows that share a value: a few exact sums for each."""

from typing import Any

import numpy as np

from xent._kernels.predictions.sums import count
from xent.evaluation._accumulator.moments import CostMoments
from xent.evaluation._accumulator.rows import CountedRows
from xent.evaluation._accumulator.sums import Slots, Sums, padded, products, times

SUMS = ("cost", "squares", "weight", "right_weight", "weight_squares", "weight_cost")


class Slices:
    """Sums for each value of a column.

    Parameters
    ----------
    weighted : bool
        Whether rows have weights.
    """

    def __init__(self, *, weighted: bool) -> None:
        self.weighted = weighted
        self.slots: dict[Any, int] = {}
        self.counts = np.zeros((3, 16), np.int64)  # rows, right ones, and those of infinite cost
        names = SUMS if weighted else SUMS[:2]
        self.sums = {name: Sums(16) for name in names}

    def places(self, values: list[Any]) -> Slots:
        """Return where each value's sums are; what is missing is one value, None."""
        slots = self.slots
        out = np.empty(len(values), np.int64)
        for i, value in enumerate(values):
            missing = value is None or value != value
            out[i] = slots.setdefault(None if missing else value, len(slots))
        if len(slots) > self.counts.shape[1]:
            size = 2 * len(slots)
            grown = np.zeros((3, size), np.int64)
            grown[:, : self.counts.shape[1]] = self.counts
            self.counts = grown
            for sums in self.sums.values():
                sums.make_room(0, size)
        return out

    def add_rows(self, values: list[Any], rows: CountedRows) -> None:
        """Add rows of these values."""
        n, weight, cost = rows.count, rows.weight, rows.figures.cost
        right = rows.truth[:n] == rows.figures.guess[:n]
        places, left = self.places(values), padded(n)
        spent = cost.copy() if weight is None else times(cost, weight, n)
        endless = np.isinf(spent[:n])
        spent[:n][endless] = 0.0
        for kind, some in enumerate((places, places[right], places[endless])):
            count(some, len(some), self.counts[kind])
        if weight is not None:
            won = padded(n)
            won[:n] = np.where(right, weight[:n], 0.0)
            self.sums["weight"].scatter(places, weight, n, left)
            self.sums["right_weight"].scatter(places, won, n, left)
        self.sums["cost"].scatter(places, spent, n, left)
        squares = [("squares", spent, spent)]
        if weight is not None:
            squares += [("weight_squares", weight, weight), ("weight_cost", weight, spent)]
        for name, x, y in squares:
            for part in products(x, y, n):
                self.sums[name].scatter(places, part, n, left)

    def merge(self, other: "Slices") -> None:
        """Add the slices of another."""
        places = self.places(list(other.slots))
        self.counts[:, places] += other.counts[:, : len(places)]
        for name, sums in self.sums.items():
            sums.merge(other.sums[name], places)

    def moments(self, slot: int) -> CostMoments:
        """Return the sums that the mean cost of a slice and its interval are made of."""
        rows, _, endless = self.counts[:, slot].tolist()
        found = {name: sums.whole(slot) for name, sums in self.sums.items()}
        if not self.weighted:
            return CostMoments.plain(rows, endless, found["cost"], found["squares"])
        return CostMoments(
            rows, endless, found["cost"], found["squares"],
            found["weight"], found["weight_squares"], found["weight_cost"],
        )  # fmt: skip
