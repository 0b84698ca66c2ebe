"""Logistic regression of yes on log odds, to full accuracy: Platt's scaling, Cox's slope.

Newton's method on a convex loss, halved where it overshoots (Platt 2000; Lin, Lin and Weng 2007,
A note on Platt's probabilistic outputs, Machine Learning 68). Where log odds part yes from no
without a mistake the best slope is infinite. Then *virtual rows* are added, one row's weight in
all, that say what the model itself says: the answer is finite, and no worse on the real rows than
the model, as what they cost is least where nothing is changed (Gibbs).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from xent._kernels.predictions.line import LINE_BLOCK, LINE_SUMS, line_sums
from xent._math.vector import FLOAT64_LANES
from xent.evaluation._calibration.yes_no import Numbers

NEWTON_STEPS = 100
FARTHEST_ODDS = 1e100  # in logarithms; the square of what is farther is no number


@dataclass(frozen=True)
class Line:
    """Log odds are mended to ``slope`` times themselves plus ``intercept``.

    Parameters
    ----------
    slope, intercept : float
        The line.
    separated : bool
        Whether virtual rows were needed.
    covariance : ndarray, shape (2, 2)
        Inverse of the information, 0 where a coefficient was given.
    """

    slope: float
    intercept: float
    separated: bool
    covariance: Numbers


def fitted_line(
    log_odds: Numbers,
    yes: NDArray[np.bool_],
    weight: Numbers,
    *,
    slope: bool = True,
    intercept: bool = True,
    start: tuple[float, float] = (1.0, 0.0),
) -> Line:
    """Fit a line that makes the truth most probable.

    Parameters
    ----------
    log_odds, yes, weight : ndarray, shape (N,)
        The rows. Those with infinite log odds are left out: no line changes them.
    slope, intercept : bool
        Which of both are free; they are 1 and 0 otherwise.
    start : tuple of float
        Slope and intercept to begin with.
    """
    some = np.isfinite(log_odds)
    if not some.all():
        log_odds, yes, weight = log_odds[some], yes[some], weight[some]
    x = np.clip(log_odds, -FARTHEST_ODDS, FARTHEST_ODDS)
    y, w = yes.astype(np.float64), weight
    free = np.array([slope, intercept])
    if not len(x):
        return Line(1.0, 0.0, True, np.zeros((2, 2)))
    separated = _separated(x, yes, slope=slope, intercept=intercept)
    if separated:
        share = w / w.sum()
        y, w = (y * w + expit(x) * share) / (w + share), w + share
    theta, information = _newton(x, y, w, free, start)
    covariance = np.zeros((2, 2))
    covariance[np.ix_(free, free)] = np.linalg.pinv(information)
    return Line(float(theta[0]), float(theta[1]), separated, covariance)


def line_loss(log_odds: Numbers, yes: Numbers | NDArray[np.bool_]) -> Numbers:
    """Return the cost of each row in nats, from its log odds and the share of yes."""
    found: Numbers = np.logaddexp(0.0, log_odds) - yes * log_odds
    return found


def _separated(x: Numbers, yes: NDArray[np.bool_], *, slope: bool, intercept: bool) -> bool:
    """Tell whether the loss has no least value: one more step always makes it smaller."""
    if not intercept:
        return not ((x < 0) & yes | (x > 0) & ~yes).any() and bool((x != 0).any())
    if yes.all() or not yes.any():
        return True
    if not slope:
        return False
    # The farthest of no, and of yes, on either side.
    down, up = np.where(yes, -np.inf, x).max(), np.where(yes, x, np.inf).min()
    if down <= up:
        return bool(x.min() < x.max())
    low, high = np.where(yes, -np.inf, -x).max(), np.where(yes, x, -np.inf).max()
    return bool(high <= -low and x.min() < x.max())


def _newton(
    x: Numbers, y: Numbers, w: Numbers, free: NDArray[np.bool_], start: tuple[float, float]
) -> tuple[Numbers, Numbers]:
    """Return the best coefficients, and the information about those that are free."""
    theta = np.array(start)
    total, reach = float(w.sum()), float(np.abs(x).max())
    rest = np.zeros(-len(x) % FLOAT64_LANES)  # rows of no weight
    rows = tuple(np.append(some, rest) if len(rest) else some for some in (x, y, w))
    out = np.empty((-(-len(rows[0]) // LINE_BLOCK), LINE_SUMS * FLOAT64_LANES))

    def sums_at(theta: Numbers) -> list[float]:
        line_sums(*rows, *theta.tolist(), out)
        each = out.reshape(-1, LINE_SUMS, FLOAT64_LANES)
        return [math.fsum(each[:, k].ravel().tolist()) for k in range(LINE_SUMS)]

    information, sums = np.zeros((2, 2)), sums_at(theta)
    for _ in range(NEWTON_STEPS):
        slope, level, curved, cross, flat, loss = sums
        gradient = np.array([slope, level])[free]
        information = np.array([[curved, cross], [cross, flat]])[np.ix_(free, free)]
        step = np.zeros(2)
        step[free] = -np.linalg.lstsq(information, gradient, rcond=None)[0]
        gain = float(-(step[free] @ gradient))
        if not gain > 1e-30 * total:
            break
        # No row moves by more than 1/2: its curvature changes by less than a factor of 2, and
        # the loss cannot rise.
        near = abs(step[0]) * reach + abs(step[1]) <= 0.5
        sums = sums_at(theta + step)
        while not near and sums[5] > loss and np.abs(step).max() > 1e-300:
            step = step / 2
            sums = sums_at(theta + step)
        theta = theta + step
        if np.abs(step).max() <= 2e-16 * np.abs(theta).max():
            break
    return theta, information
