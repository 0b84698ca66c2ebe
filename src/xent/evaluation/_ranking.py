"""How well scores order the rows of a class before the others. No proper score, and said so.

Hanley and McNeil (1982) for the area under the receiver operating characteristic.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def ranking_of(
    scores: list[NDArray[Any]], truth: NDArray[np.int64], weight: Numbers
) -> dict[str, float]:
    """Return the area under the curve and the average precision.

    Parameters
    ----------
    scores : list of ndarray
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
        return {"roc_auc": math.nan, "average_precision": math.nan}
    auc, precision = np.mean(found, axis=0)
    return {"roc_auc": float(auc), "average_precision": float(precision)}


def _of_class(score: NDArray[Any], own: NDArray[np.bool_], weight: Numbers) -> tuple[float, float]:
    order = np.argsort(-score.astype(np.float64), kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))  # equals are one threshold
    mine = np.cumsum(np.where(own[order], weight[order], 0.0))[ends]
    others = np.cumsum(np.where(own[order], 0.0, weight[order]))[ends]
    gained, lost = np.diff(mine, prepend=0.0), np.diff(others, prepend=0.0)
    auc = float((lost * (mine - 0.5 * gained)).sum()) / (mine[-1] * others[-1])
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(mine > 0, mine / (mine + others), 0.0)
    return auc, float((gained * precision).sum() / mine[-1])
