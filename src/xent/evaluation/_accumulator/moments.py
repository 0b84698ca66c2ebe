"""The mean of a cost and its interval, from exact sums: nothing is lost by subtracting them."""

import math
from dataclasses import dataclass
from fractions import Fraction

from xent.evaluation._accumulator.sums import SMALLEST, ratio
from xent.evaluation._calibration.estimators.interval import student_reach

TOO_LARGE = 10**140 << SMALLEST  # of a sum of costs, to have squares


@dataclass(frozen=True)
class CostMoments:
    """Sums over rows, with w the weights, c the costs in nats: whole numbers of 2**-`SMALLEST`.

    Parameters
    ----------
    rows : int
        How many.
    endless : int
        How many of them cost infinitely much; these are in no sum of c.
    cost, squares : int
        Σ wc and Σ (wc)².
    weight, weight_squares, weight_cost : int
        Σ w, Σ w² and Σ w·wc.
    """

    rows: int
    endless: int
    cost: int
    squares: int
    weight: int
    weight_squares: int
    weight_cost: int

    @classmethod
    def plain(cls, rows: int, endless: int, cost: int, squares: int) -> "CostMoments":
        """Return the moments of rows that all weigh 1."""
        weight = rows << SMALLEST
        return cls(rows, endless, cost, squares, weight, weight, cost)

    @property
    def mean(self) -> float:
        """Σ wc / Σ w, rounded once; infinite where a cost is."""
        return math.inf if self.endless else ratio(self.cost, self.weight)

    def interval(self, unit: float) -> tuple[float, float, float]:
        """Return the mean over ``unit`` and its interval; NaN for that of one row."""
        mean = self.mean / unit
        if self.rows < 2:
            return mean, math.nan, math.nan
        if math.isinf(mean):
            return mean, mean, mean
        if self.cost > TOO_LARGE:
            return mean, 0.0, math.inf  # squares are infinite in float64
        # Σ (w (c - mean))²
        w, c = self.weight, self.cost
        above = self.squares * w * w - 2 * c * self.weight_cost * w + c * c * self.weight_squares
        squares = Fraction(max(above, 0), w * w * w * w) * (1 << SMALLEST)
        error = math.sqrt(squares * Fraction(self.rows, self.rows - 1)) / unit
        reach = student_reach(self.rows, error)
        return mean, max(0.0, mean - reach), mean + reach
