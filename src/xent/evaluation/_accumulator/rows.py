"""Rows as a tally takes them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xent._kernels.predictions.figures import RowArrays
from xent.evaluation._accumulator.sums import Numbers, Slots, with_spare
from xent.evaluation._predictions import Predictions


@dataclass
class CountedRows:
    """Rows that count, as a tally takes them: arrays as in `RowArrays`, `SPARE` longer than rows.

    Parameters
    ----------
    count : int
        How many.
    number : int or ndarray of int64
        The number of each in what was given; that of the first where they follow each other.
    truth : ndarray of int64
        The true class.
    figures : RowArrays
        What was measured.
    weight : ndarray of float64 or None
        How much each counts, above 0.
    ids : list or None
        What they are called, by their numbers less the first of them.
    """

    count: int
    number: int | Slots
    truth: Slots
    figures: RowArrays
    weight: Numbers | None
    ids: list[Any] | None = None

    def numbers(self, some: Slots) -> Slots:
        """Return the numbers of some of the rows."""
        return some + self.number if isinstance(self.number, int) else self.number[some]


def counted(
    given: Predictions, rows: slice, figures: RowArrays, ids: list[Any] | None, first_row: int = 0
) -> CountedRows:
    """Return the rows of a block that count: not ignored, of weight above 0."""
    truth = given.truth[rows]
    n = len(truth)
    weight = None if given.weight is None else given.weight[rows]
    first = int(first_row) + rows.start
    if truth.min() >= 0 and (weight is None or weight.min() > 0):
        names = None if ids is None else ids[rows]
        spare = None if weight is None else with_spare(weight)
        return CountedRows(n, first, truth, figures, spare, names)
    keep = np.flatnonzero(truth >= 0 if weight is None else (truth >= 0) & (weight > 0))
    return CountedRows(
        len(keep), keep + first, truth[keep],
        RowArrays(*(with_spare(values[keep]) for values in figures)),
        None if weight is None else with_spare(weight[keep]),
        None if ids is None else [ids[rows.start + i] for i in keep.tolist()],
    )  # fmt: skip
