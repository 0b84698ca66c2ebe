"""Isotonic regression that never says 0 or 1 for good: a calibrator by SciPy's PAV.

Zadrozny and Elkan (2002), Transforming classifier scores into accurate multiclass probability
estimates, KDD. The plain regression gives 0 to a block without a yes, and one yes there later costs
infinitely much. So *virtual rows* that say what the model itself says take part, as many as the
cube root of the rows, about one for each block. The result is monotone, and no worse on the real
rows than the model (Gibbs).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from xent.evaluation._calibration.yes_no import Numbers

# Beyond these log odds a probability is 0 or 1 to every digit; they are pooled.
MOST_LOG_ODDS = 745.0


@dataclass(frozen=True)
class Stairs:
    """A monotone map of log odds to probabilities: level within a block, straight between two.

    Parameters
    ----------
    log_odds : ndarray of float64, shape (B,)
        Where the map bends, ascending.
    yes, no : ndarray of float64, shape (B,)
        Both probabilities there, each with its own digits near 0.
    """

    log_odds: Numbers
    yes: Numbers
    no: Numbers

    def at(self, log_odds: Numbers) -> tuple[Numbers, Numbers]:
        """Return the logarithms of the probabilities of yes and no."""
        x = np.clip(log_odds, -MOST_LOG_ODDS, MOST_LOG_ODDS)
        with np.errstate(divide="ignore"):
            return (
                np.log(np.interp(x, self.log_odds, self.yes)),
                np.log(np.interp(x, self.log_odds, self.no)),
            )


def fitted_stairs(
    log_odds: Numbers, yes: NDArray[np.bool_], weight: Numbers, virtual: float | None = None
) -> Stairs:
    """Fit a monotone map.

    Parameters
    ----------
    log_odds, yes, weight : ndarray, shape (N,)
        The rows.
    virtual : float, optional
        How many virtual rows take part, the cube root of N if not given; with 0 it is the plain
        isotonic regression.
    """
    from scipy.optimize import isotonic_regression

    clipped = np.clip(log_odds, -MOST_LOG_ODDS, MOST_LOG_ODDS)
    order = np.argsort(clipped, kind="stable")
    x, w = clipped[order], weight[order]
    starts = np.flatnonzero(np.append(True, x[1:] != x[:-1]))
    x = x[starts]
    share = (len(log_odds) ** (1 / 3) if virtual is None else virtual) / len(log_odds)
    each = np.add.reduceat(w, starts)
    ups = np.add.reduceat(w * yes[order], starts) + share * each * expit(x)
    downs = np.add.reduceat(w * ~yes[order], starts) + share * each * expit(-x)
    first = isotonic_regression(ups / (ups + downs), weights=ups + downs).blocks[:-1]
    ups, downs = np.add.reduceat(ups, first), np.add.reduceat(downs, first)
    # A block is level from its first score to its last.
    last = np.append(first[1:], len(x)) - 1
    ends, block = np.unique(np.concatenate([first, last]), return_inverse=True)
    value = np.empty(len(ends), np.int64)
    value[block] = np.concatenate([np.arange(len(first))] * 2)
    whole = ups + downs
    return Stairs(x[ends], (ups / whole)[value], (downs / whole)[value])
