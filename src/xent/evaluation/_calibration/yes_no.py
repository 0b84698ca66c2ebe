"""Rows of yes or no in ascending order of their scores: what every estimator here reads.

Two classes are one such view, many are one a class against the rest, and the winning class against
all others is one more.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class YesNo:
    """Rows in ascending order of a score, with what the model gave yes and no.

    Parameters
    ----------
    log_yes, log_no : ndarray of float64, shape (N,)
        Logarithms of both probabilities, in nats: each keeps its digits where it is near 0. They
        know nothing of the truth, not even in a last digit.
    cost : ndarray of float64, shape (N,)
        Minus the logarithm of what the truth was given, in nats, as it was measured.
    yes : ndarray of bool
        What was true.
    weight : ndarray of float64
        How much each row counts, above 0. An entry may stand for many rows that are alike.
    squares : ndarray of float64
        The squares of the rows' weights, summed over those that an entry stands for.
    starts : ndarray of int64, shape (M,)
        The first row of each distinct score.
    whole : bool
        Whether each row counts once.
    """

    log_yes: Numbers
    log_no: Numbers
    cost: Numbers
    yes: NDArray[np.bool_]
    weight: Numbers
    squares: Numbers
    starts: NDArray[np.int64]
    whole: bool

    @cached_property
    def probability(self) -> Numbers:
        """What yes was given."""
        return np.exp(self.log_yes)

    @cached_property
    def log_odds(self) -> Numbers:
        """Logarithm of the odds of yes; infinite where a probability is 0."""
        return self.log_yes - self.log_no

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self.weight.sum())

    def summed(self, values: Numbers) -> Numbers:
        """Return the weighted sums of a number a row, over each distinct score."""
        return np.add.reduceat(self.weight * values, self.starts)


def log_rest(log_probability: Numbers) -> Numbers:
    """Return log(1 - p) from log p, with the digits of either near 0."""
    with np.errstate(divide="ignore"):
        small = np.log(-np.expm1(log_probability))
        return np.where(log_probability < -0.7, np.log1p(-np.exp(log_probability)), small)


def dot(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the sum of products, in the same order on any number of threads."""
    return float((a * b).sum())


def in_order(
    score: NDArray[Any],
    log_yes: Numbers,
    log_no: Numbers,
    cost: Numbers,
    yes: NDArray[np.bool_],
    weight: Numbers,
    *,
    whole: bool,
) -> YesNo:
    """Put rows in the order of their scores, equals in an order of their content alone.

    Parameters
    ----------
    score : ndarray, shape (N,)
        What tells rows apart, and orders them: equal scores are one.
    log_yes, log_no, cost, yes, weight, whole
        As in `YesNo`, in any order.
    """
    order = np.argsort(score)
    ordered = score[order]
    new = np.append(True, ordered[1:] != ordered[:-1])
    if not new.all():
        # The sums over equals are the same to the last bit in whatever order the rows came.
        places = np.flatnonzero(~(new & np.append(new[1:], True)))
        some = np.sort(order[places])
        keys = weight[some], log_yes[some], cost[some], yes[some], score[some]
        order[places] = some[np.lexsort(keys)]
    weight = weight[order]
    return YesNo(
        log_yes[order], log_no[order], cost[order], yes[order], weight, np.square(weight),
        np.flatnonzero(new), whole,
    )  # fmt: skip
