"""Bits recovered: what the cross-entropy loses when a calibrator mends rows it has not seen.

Refinement and calibration error of Berta, Holzmueller, Jordan and Bach (2025), Rethinking early
stopping: refine, then calibrate. Each row is mended by a calibrator that was fitted on other folds,
so the difference is no illusion of the fit; it may be negative, and is shown so. At most
`MOST_CELLS` numbers are fitted on, chosen by the rows' content; every row is mended and counted.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.evaluation._calibration.calibrators.isotonic import fitted_stairs
from xent.evaluation._calibration.calibrators.logistic import (
    FARTHEST_ODDS,
    Line,
    fitted_line,
    line_loss,
)
from xent.evaluation._calibration.calibrators.softmax import (
    RowBlocks,
    fitted_slope,
    log_softmax,
    scaled,
)
from xent.evaluation._calibration.estimators.interval import mean_and_interval
from xent.evaluation._calibration.folds import CROSS_FOLDS, dealt, hashed, joined
from xent.evaluation._calibration.yes_no import Numbers, YesNo
from xent.evaluation._predictions import Predictions
from xent.evaluation._rows import RowFigures

MOST_CELLS = 1 << 17  # numbers to fit on: rows times classes
LEAST_ROWS = 2 * CROSS_FOLDS


def of_yes_no(rows: YesNo, unit: float) -> dict[str, dict[str, float]]:
    """Return what temperature, Platt's scaling and isotonic regression recover, of two classes.

    Parameters
    ----------
    rows : YesNo
        The rows.
    unit : float
        Natural logarithm of the base that costs are counted in.

    Returns
    -------
    dict
        For each calibrator the ``mean`` recovered a row, its interval from ``low`` to ``high``,
        what is ``left``, and the coefficients fitted on all rows that were chosen.
    """
    if len(rows.weight) < LEAST_ROWS:
        return {}
    x = rows.log_odds
    content = np.stack([rows.log_yes, rows.log_no, rows.yes, rows.weight], axis=1)
    fold, chosen = dealt(hashed(content), MOST_CELLS // 2)
    found = {}
    for method in ("temperature", "platt", "isotonic"):
        cost = np.empty(len(x))
        whole: Line | None = None
        # The first is fitted on all that were chosen, for the rows that were not.
        for k in (CROSS_FOLDS, *range(CROSS_FOLDS)):
            learn = chosen & (fold != k)
            mend = ~chosen if k == CROSS_FOLDS else chosen & (fold == k)
            if not learn.any() or not (mend.any() or k == CROSS_FOLDS):
                continue
            given = x[learn], rows.yes[learn], rows.weight[learn]
            if method == "isotonic":
                log_yes, log_no = fitted_stairs(*given).at(x[mend])
                cost[mend] = np.abs(np.where(rows.yes[mend], log_yes, log_no))
                continue
            start = (1.0, 0.0) if whole is None else (whole.slope, whole.intercept)
            line = fitted_line(*given, intercept=method == "platt", start=start)
            whole = whole or line
            cost[mend] = _line_cost(rows, mend, _slope(line, method), line.intercept)
        names = {}
        if whole is not None and method == "platt":
            names = {"slope": whole.slope, "intercept": whole.intercept}
        elif whole is not None:
            slope = _slope(whole, method)
            names = {"temperature": 1 / slope if slope else math.inf}
        found[method] = gained(rows.cost, cost, rows.weight, unit) | names
    return found


def _slope(line: Line, method: str) -> float:
    """Return the slope; a temperature is not below 0."""
    return max(line.slope, 0.0) if method == "temperature" else line.slope


def _line_cost(rows: YesNo, mend: NDArray[np.bool_], slope: float, intercept: float) -> Numbers:
    """Return what rows cost on a line; those that are certain stay so."""
    x = rows.log_odds[mend]
    some = np.isfinite(x)
    x = np.clip(np.where(some, x, 0.0), -FARTHEST_ODDS, FARTHEST_ODDS)
    mended = slope * x + intercept
    return np.where(some, line_loss(mended, rows.yes[mend]), rows.cost[mend])


def of_many(given: Predictions, rows: RowFigures, unit: float) -> dict[str, dict[str, float]]:
    """Return what temperature recovers, of any number of classes."""
    if len(rows.row) < LEAST_ROWS:
        return {}
    classes = len(given.labels)
    content = content_of(given, rows)
    fold, chosen = dealt(content, max(LEAST_ROWS, MOST_CELLS // classes))
    place = np.full(len(given.truth), -1)
    place[rows.row] = np.arange(len(rows.row))
    # The sums of a fit round as their rows come.
    order = np.argsort(content[chosen], kind="stable")
    kept = _gathered(given, place, chosen)[order]
    learned = fold[chosen][order], rows.truth[chosen][order], rows.weight[chosen][order]
    slopes = np.ones(CROSS_FOLDS + 1)
    slopes[CROSS_FOLDS] = fitted_slope(_without(CROSS_FOLDS, kept, *learned), kept=True).slope
    for k in range(CROSS_FOLDS):
        if (learned[0] != k).any():
            some = _without(k, kept, *learned)
            slopes[k] = fitted_slope(some, slopes[CROSS_FOLDS], kept=True).slope
    own = slopes[np.where(chosen, fold, CROSS_FOLDS)]
    cost = np.empty(len(rows.row))
    for places, block in _log_probs(given, place):
        mended = log_softmax(scaled(block, own[places, None]))
        cost[places] = np.abs(mended[np.arange(len(places)), rows.truth[places]])
    found = gained(rows.cost, cost, rows.weight, unit)
    return {"temperature": found | {"temperature": float(1 / slopes[CROSS_FOLDS])}}


def content_of(given: Predictions, rows: RowFigures) -> Any:
    """Return a hash of each row that counts: its scores, truth and weight."""
    scores = given.scores
    step = max(1, (1 << 18) // scores[0].size)
    pieces = [
        hashed(scores[rows.row[at : at + step]].reshape(-1, scores[0].size))
        for at in range(0, len(rows.row), step)
    ]
    beside = hashed(np.stack([rows.truth, rows.weight], axis=1))
    return joined(np.concatenate(pieces), beside)


def _log_probs(
    given: Predictions, place: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], Numbers]]:
    """Yield the log-probabilities of the rows that count, and their places among these."""
    for rows, log_probs in given.log_probs():
        places = place[rows]
        some = places >= 0
        yield (places, log_probs) if some.all() else (places[some], log_probs[some])


def _gathered(given: Predictions, place: NDArray[np.int64], chosen: NDArray[np.bool_]) -> Numbers:
    """Return the log-probabilities of the rows to fit on."""
    return np.concatenate([block[chosen[places]] for places, block in _log_probs(given, place)])


def _without(
    k: int,
    log_probs: Numbers,
    fold: NDArray[np.int64],
    truth: NDArray[np.int64],
    weight: Numbers,
) -> RowBlocks:
    """Return the rows of all folds but one as blocks to fit on."""
    some = fold != k
    block = log_probs[some], truth[some], weight[some]
    return lambda: iter([block])


def gained(before: Numbers, after: Numbers, weight: Numbers, unit: float) -> dict[str, float]:
    """Return the mean that was recovered, its interval, and what is left."""
    both = np.isinf(before) & np.isinf(after)
    # A row that costs infinitely much before and after has recovered nothing.
    with np.errstate(invalid="ignore"):
        gain = np.where(both, 0.0, before - after)
    mean, low, high = mean_and_interval(gain / unit, weight)
    left = math.fsum((weight * after).tolist()) / float(weight.sum()) / unit
    return {"mean": mean, "low": low, "high": high, "left": left}
