"""Isotonic regression of every class against the rest, as one calibrator of whole rows.

Zadrozny and Elkan (2002): each class is mended by itself, and the row divided by its sum. The sum
may do harm, so the outcome is mixed with what the model said, in the share that is best for the
rows it was fitted on: it can then not be worse than the model.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent.evaluation._calibration.calibrators.isotonic import Stairs, fitted_stairs
from xent.evaluation._calibration.yes_no import Numbers, dot, log_rest


@dataclass(frozen=True)
class ManyStairs:
    """A monotone map for each class, of two for the second alone.

    Parameters
    ----------
    stairs : list of Stairs
        The maps.
    kept : float
        The share of what the model said that is mixed in.
    """

    stairs: list[Stairs]
    kept: float

    def at(self, log_probs: Numbers) -> Numbers:
        """Return mended log-probabilities."""
        if len(self.stairs) == 1:
            log_yes, log_no = self.stairs[0].at(log_probs[:, 1] - log_probs[:, 0])
            return np.stack([log_no, log_yes], axis=1)
        probs = np.exp(log_probs)
        mixed = (1 - self.kept) * self._divided(log_probs, probs) + self.kept * probs
        with np.errstate(divide="ignore"):
            return np.log(mixed)

    def _divided(self, log_probs: Numbers, probs: Numbers) -> Numbers:
        each = [
            np.exp(steps.at(log_odds(column))[0])
            for steps, column in zip(self.stairs, log_probs.T, strict=True)
        ]
        found = np.stack(each, axis=1)
        total = found.sum(axis=1, keepdims=True)
        # Where no class is left anything, the model is believed.
        return np.where(total > 0, found / np.where(total > 0, total, 1.0), probs)


def log_odds(log_probability: Numbers) -> Numbers:
    """Return the logarithm of the odds of a class, from that of its probability."""
    found: Numbers = log_probability - log_rest(np.minimum(log_probability, 0.0))
    return found


def fitted_many_stairs(
    log_probs: Numbers, truth: NDArray[np.int64], weight: Numbers, virtual: float | None
) -> ManyStairs:
    """Fit a map for each class, and the share of the model that is kept.

    Parameters
    ----------
    log_probs : ndarray, shape (N, C)
        What the model said.
    truth, weight : ndarray, shape (N,)
        The true classes, and how much each row counts.
    virtual : float, optional
        Virtual rows, as in `fitted_stairs`.
    """
    if log_probs.shape[1] == 2:
        odds = log_probs[:, 1] - log_probs[:, 0]
        return ManyStairs([fitted_stairs(odds, truth == 1, weight, virtual)], 0.0)
    stairs = [
        fitted_stairs(log_odds(column), truth == c, weight, virtual)
        for c, column in enumerate(log_probs.T)
    ]
    here = np.arange(len(truth))
    probs = np.exp(log_probs)
    mended = ManyStairs(stairs, 0.0)._divided(log_probs, probs)[here, truth]
    return ManyStairs(stairs, _kept(mended, probs[here, truth], weight))


def _kept(mended: Numbers, said: Numbers, weight: Numbers) -> float:
    """Return the share of the model in the best mixture: where the slope of the loss is 0."""
    both = (mended > 0) | (said > 0)
    mended, said, weight = mended[both], said[both], weight[both]

    def slope(share: float) -> float:
        with np.errstate(divide="ignore"):
            return dot(weight, (mended - said) / ((1 - share) * mended + share * said))

    low, high = 0.0, 1.0
    if not slope(low) < 0:
        return low
    if not slope(high) > 0:
        return high
    while high - low > 1e-15:
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return high
