"""What a column of numbers tells about classes by its neighbours, uncut. Ross (2014)."""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xent.measures.rows._sums import entropy_of_counts
from xent.measures.samples._of_numbers import told_by_numbers
from xent.measures.samples._real_numbers import real_column
from xent.measures.samples._result import doubt, mean_of
from xent.measures.tables._scores import ColumnRows, score_of

NEIGHBORS = 3  # which one measures the density


@dataclass(frozen=True)
class NeighborEstimate:
    """Information in nats, whether by noise, and Ross's estimate with its error."""

    value: float
    noise: bool = False
    estimate: tuple[float, float] = (0.0, 0.0)

    def doubt(self, name: str, scale: float) -> None:
        """Warn of an estimate far below 0, in the unit of `scale`."""
        value, error = self.estimate
        what = f"The estimated information of column {name!r}, {value / scale:.4g}, is"
        doubt(what, value, error, {}, scale)


def information_by_neighbors(rows: ColumnRows, rng: np.random.Generator | None) -> NeighborEstimate:
    """Measure numbers by their neighbours; that they are missing tells for itself."""
    field, target = rows.field, rows.target
    known = ~field.missing
    told = score_of(known.astype(np.int64), target, np.ones(target.size), "information_gain")
    seen = np.bincount(target[known])
    if np.count_nonzero(seen) < 2 or seen.max() < 2:
        return NeighborEstimate(told)
    numbers = real_column("table", field.values[known], 1)
    found = told_by_numbers(target[known], numbers, NEIGHBORS, rng)
    estimate = mean_of(found.terms, 1.0, 1.0, "ross")
    # No information is below 0, or above the entropy of the classes.
    within = min(max(0.0, estimate.value), entropy_of_counts(seen[seen > 0].astype(np.float64)))
    value = told + float(known.mean()) * within
    return NeighborEstimate(value, found.noise, (estimate.value, estimate.standard_error))
