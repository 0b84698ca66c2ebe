"""What each row cost and what was said of it, measured block by block."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.evaluation._predictions import Predictions

MOST_RANKED = 64  # classes up to which each is ranked against the rest


@dataclass(frozen=True)
class RowFigures:
    """Numbers of each row that counts: not ignored, of weight above 0.

    Parameters
    ----------
    row : ndarray of int64, shape (N,)
        Its number in what was given.
    truth, guess : ndarray of int64
        The true class, and the one that was given most.
    cost : ndarray of float64
        -log of the probability of the true class, in nats.
    given : ndarray of float64
        The probability of the true class.
    confidence : ndarray of float64
        The probability of ``guess``.
    brier : ndarray of float64
        Σ_c (p_c - t_c)².
    weight : ndarray of float64
        How much it counts.
    scores : list of ndarray
        What ranks the rows for each class; of two classes for the second, none where there are
        too many.
    digest : str
        Of labels, truth and log-probabilities.
    """

    row: NDArray[np.int64]
    truth: NDArray[np.int64]
    guess: NDArray[np.int64]
    cost: NDArray[np.float64]
    given: NDArray[np.float64]
    confidence: NDArray[np.float64]
    brier: NDArray[np.float64]
    weight: NDArray[np.float64]
    scores: list[NDArray[Any]]
    digest: str


def measured(predictions: Predictions) -> RowFigures:
    """Measure every row."""
    classes, truth = len(predictions.labels), predictions.truth
    count = len(truth)
    guess = np.empty(count, np.int64)
    cost, given, confidence, brier = np.empty((4, count))
    ranked = (
        [] if classes > MOST_RANKED or predictions.kind == "probs" else [np.empty((classes, count))]
    )
    digest = hashlib.sha256()
    digest.update(repr(predictions.labels).encode())
    digest.update(np.ascontiguousarray(truth).astype("<i8").tobytes())
    if predictions.weight is not None:
        digest.update(predictions.weight.astype("<f8").tobytes())
    for rows, log_probs, probs in predictions.blocks():
        digest.update(np.ascontiguousarray(log_probs, dtype="<f8").data)
        here = np.arange(len(probs))
        true = np.maximum(truth[rows], 0)
        guess[rows] = probs.argmax(axis=1)
        cost[rows] = np.abs(log_probs[here, true])
        given[rows] = probs[here, true]
        confidence[rows] = probs[here, guess[rows]]
        for table in ranked:
            table[:, rows] = log_probs.T
        # Σ(p - t)² = Σ_others p² + (1 - p_true)²: no one-hot matrix, and no cancelling near zero.
        probs[here, true] = 0.0
        brier[rows] = np.einsum("ij,ij->i", probs, probs) + np.square(1 - given[rows])
    weight = np.ones(count) if predictions.weight is None else predictions.weight
    keep = np.flatnonzero((truth >= 0) & (weight > 0))
    scores = _scores(predictions, ranked, keep)
    each = (truth, guess, cost, given, confidence, brier, weight)
    if keep.size < count:
        each = tuple(values[keep] for values in each)  # type: ignore[assignment]
    return RowFigures(keep, *each, scores, digest.hexdigest())


def _scores(
    predictions: Predictions, ranked: list[NDArray[np.float64]], keep: NDArray[np.int64]
) -> list[NDArray[Any]]:
    """Return what ranks the rows for each class, of two classes for the second alone."""
    classes = len(predictions.labels)
    if not 2 <= classes <= MOST_RANKED:
        return []
    if ranked:
        table = ranked[0]
        # The log odds keep apart what probabilities near 1 do not.
        return [(table[1] - table[0])[keep]] if classes == 2 else [line[keep] for line in table]
    scores = predictions.scores
    if scores.ndim == 1:
        return [scores[keep]]
    # As they came: dividing rows by their sums would part equals.
    return [scores[keep, c] for c in ([1] if classes == 2 else range(classes))]
