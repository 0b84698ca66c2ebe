"""Rows as a tally takes them."""

from dataclasses import dataclass
from typing import Any

from xent._kernels.predictions.figures import RowArrays
from xent.evaluation._accumulator.sums import Numbers, Slots


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
