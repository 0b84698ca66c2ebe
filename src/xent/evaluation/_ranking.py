"""How well scores order the rows of a class before the others. No proper score, and said so.

Hanley and McNeil (1982) for the area under the receiver operating characteristic.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.evaluation._arrays import block_of
from xent.evaluation._predictions import Predictions

Numbers = NDArray[np.float64]


MOST_RANKED = 64  # classes up to which each is ranked against the rest
NO_RANKING = {"roc_auc": math.nan, "average_precision": math.nan}


def ranking_of(
    scores: Sequence[NDArray[Any]], truth: NDArray[np.int64], weight: Numbers
) -> dict[str, float]:
    """Return the area under the curve and the average precision.

    Parameters
    ----------
    scores : sequence of ndarray
        What orders the rows for each class; one for the second of two.
    truth : ndarray of int64
        The true classes.
    weight : ndarray of float64
        How much each row counts.

    Returns
    -------
    dict
        ``roc_auc`` and ``average_precision``; of more than two classes the means over each class
        against the rest; NaN where no class has rows both in it and out of it.
    """
    found = []
    for c, score in enumerate(scores):
        own = truth == (1 if len(scores) == 1 else c)
        if own.any() and not own.all():
            found.append(_of_class(score, own, weight))
    if not found:
        return NO_RANKING
    auc, precision = np.mean(found, axis=0)
    return {"roc_auc": float(auc), "average_precision": float(precision)}


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


def _of_class(score: NDArray[Any], own: NDArray[np.bool_], weight: Numbers) -> tuple[float, float]:
    """Area and average precision, from how many rows lie at and below each score of the class."""
    if (weight == weight[0]).all():
        every, mine = np.sort(score), np.sort(score[own])
        last = np.flatnonzero(np.append(mine[1:] != mine[:-1], True))
        value, upto = mine[last], last + 1.0
        below = np.searchsorted(every, value).astype(np.float64)
        beneath = np.searchsorted(every, value, side="right").astype(np.float64)
        total = float(every.size)
    else:
        order = np.argsort(score)  # in whatever order among equals, which are one threshold
        ordered = score[order]
        ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        sums = np.cumsum(np.where(own[order], weight[order], 0.0))[ends]
        beneath = np.cumsum(weight[order])[ends]
        below = np.append(0.0, beneath[:-1])
        upto, total = sums, float(beneath[-1])
    gained = np.diff(upto, prepend=0.0)
    others_below = below - (upto - gained)
    others_equal = (beneath - below) - gained
    whole = float(upto[-1])
    auc = float((gained * (others_below + 0.5 * others_equal)).sum()) / (whole * (total - whole))
    precision = (whole - (upto - gained)) / (total - below)
    return auc, float((gained * precision).sum()) / whole
