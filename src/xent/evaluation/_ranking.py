"""How well scores order the rows of a class before the others. No proper score, and said so.

Hanley and McNeil (1982) for the area under the receiver operating characteristic. What a threshold
costs is the elementary score of Ehm, Gneiting, Jordan and Krueger (2016), Of quantiles and
expectiles, JRSS B 78: its mean over all thresholds is half of (p - y)^2.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._kernels.predictions.scores import LOG_ODDS
from xent.evaluation._accumulator.scores.column import MOST_RANKED, ScoreColumn, ScoreCounts
from xent.evaluation._accumulator.sums import exact_sum
from xent.evaluation._arrays import block_of
from xent.evaluation._predictions import Predictions


def scores_of(given: Predictions, rows: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Return what ranks rows, by their numbers, for each class, of two for the second alone."""
    classes, scores = len(given.labels), given.scores
    if not 2 <= classes <= MOST_RANKED:
        return []
    every = len(rows) == len(scores)
    if given.kind == "probs":
        # As they came: dividing rows by their sums would part equals.
        columns = [scores] if scores.ndim == 1 else [scores[:, c] for c in range(classes)]
        chosen = columns[-1:] if classes == 2 else columns
        return [block_of(some if every else some[rows]) for some in chosen]
    logs = np.concatenate([log_probs for _, log_probs in given.log_probs()])
    logs = logs if every else logs[rows]
    # The log odds keep apart what probabilities near 1 do not.
    return [logs[:, 1] - logs[:, 0]] if classes == 2 else list(logs.T)


NO_RANKING = {"roc_auc": math.nan, "average_precision": math.nan}


def ranking_of(scores: ScoreCounts) -> dict[str, float]:
    """Return ``roc_auc`` and ``average_precision``, of many classes their means."""
    found = [each for column in scores.columns if (each := _ranking(column)) is not None]
    if not found:
        return NO_RANKING
    auc, precision = (math.fsum(values) / len(found) for values in zip(*found, strict=True))
    return {"roc_auc": auc, "average_precision": precision}


def _ranking(column: ScoreColumn) -> tuple[float, float] | None:
    """Return the area under the curve and the average precision; None where all are alike."""
    held = column.held()
    every, own = held.weights()
    below = np.cumsum(every) - every
    upto = np.cumsum(own)
    if not len(every):
        return None
    total, whole = float(below[-1] + every[-1]), float(upto[-1])
    others = every - own
    if not (own.any() and others.any()):
        return None
    others_below = below - (upto - own)
    auc = exact_sum(own * (others_below + 0.5 * others)) / (whole * (total - whole))
    some = own > 0
    above, beyond = whole - upto[some], total - below[some] - every[some]
    yes, rows = own[some], every[some]
    if not column.exact:  # of a cell, as many before each row as after it
        times, yes_times = held.rows[some], held.yes[some]
        yes, rows = (yes + yes / yes_times) / 2, (rows + rows / times) / 2
    precision = (above + yes) / (beyond + rows)
    return auc, exact_sum(own[some] * precision) / whole


THRESHOLDS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
ROUNDED = 2.0**-23  # what a float32 of a threshold may lack of it


@dataclass(frozen=True)
class OperatingPoint:
    """What follows where yes is said from a probability on. No proper score.

    Parameters
    ----------
    threshold : float
        Yes is said where P(yes) is at least this, up to the rounding of float32.
    predicted : float
        Share of rows where yes is said.
    precision, recall : float
        How many of these are yes, NaN where there are none; how many of yes are among them.
    f1 : float
        Harmonic mean of precision and recall.
    cost : float
        Mean cost of a row where a false yes costs ``threshold`` and a false no 1 - ``threshold``:
        the prices at which this threshold is the right one.

    Examples
    --------
    >>> OperatingPoint(0.5, 0.4, 0.75, 0.6, 2 / 3, 0.1).precision  # 3 of 4 that are called yes
    0.75
    """

    threshold: float
    predicted: float
    precision: float
    recall: float
    f1: float
    cost: float


def operating_points(
    scores: ScoreCounts | None,
) -> tuple[list[OperatingPoint], OperatingPoint | None]:
    """Return the points of two classes at `THRESHOLDS`, and the one of the highest F1.

    Of more classes there are none, nor where all rows are alike.
    """
    if scores is None or len(scores.columns) != 1:
        return [], None
    column = scores.columns[0]
    held = column.held()
    every, yes = held.weights()
    if not (yes.any() and (every > yes).any()):
        return [], None
    # From each score on: the rows where yes is said, and those that are yes.
    said, right = (np.append(np.cumsum(some[::-1])[::-1], 0.0) for some in (every, yes))
    total, whole = float(said[0]), float(right[0])
    odds = column.log_odds(held)

    def point(first: int, threshold: float) -> OperatingPoint:
        above, true = float(said[first]), float(right[first])
        false_yes, false_no = max(above - true, 0.0), max(whole - true, 0.0)
        return OperatingPoint(
            threshold=threshold,
            predicted=above / total,
            precision=true / above if above else math.nan,
            recall=true / whole,
            f1=2 * true / (above + whole),
            cost=(threshold * false_yes + (1 - threshold) * false_no) / total,
        )

    least = [math.log(t / (1 - t)) - ROUNDED / (1 - t) for t in THRESHOLDS]
    firsts = np.searchsorted(odds, least).tolist()
    best = int((2 * right[:-1] / (said[:-1] + whole)).argmax())
    with np.errstate(over="ignore"):
        at = float(1 / (1 + np.exp(-odds[best])))
    exactly = column.scores(held)
    if exactly is not None and column.kind != LOG_ODDS:
        at = min(float(exactly[best]), 1.0)
    points = [point(first, t) for first, t in zip(firsts, THRESHOLDS, strict=True)]
    return points, point(best, at)
