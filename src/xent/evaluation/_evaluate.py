"""From predictions to the numbers of a report; how they are shown is `_report`'s business."""

import hashlib
import math
import platform
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent import _check
from xent.evaluation._numbers import Bin, ClassRow, HardRow
from xent.evaluation._predictions import Predictions, predictions
from xent.evaluation._report import Report

CALIBRATION_BINS = 15
HARDEST = 20


def evaluate(
    target: ArrayLike,
    probs: ArrayLike | None = None,
    *,
    logits: ArrayLike | None = None,
    labels: Iterable[Any] | None = None,
    base: float = 2,
) -> Report:
    """How many bits each true class took under the model, and where they went.

    cross-entropy = - (1/N) Σ_n log2 p_n(true class of row n)

    Parameters
    ----------
    target : array_like, shape (N,)
        The true classes: numbers of columns, or members of ``labels``.
    probs : array_like, shape (N, C), or (N,) for the second of two classes
        Predicted probabilities. Each row must sum to 1 within max(1e-6, 2·eps·√C) of its dtype, as
        in `xent.measures`, and is then divided by its sum, so that rounding is no error of the
        report; nothing is clipped.
    logits : array_like, shape (N, C), or (N,) for the second of two classes
        Logits or log-probabilities, instead of ``probs``; one number a row is the logit of yes or
        no, before a sigmoid.
    labels : sequence of C names, optional
        What the columns stand for, in their order, for example ``model.classes_``.
    base : float
        Base of the logarithm: 2 gives bits, math.e nats.

    Returns
    -------
    Report
        Print it, or write it with `Report.to_html`.

    Raises
    ------
    ValueError, TypeError
        If a row of ``probs`` does not sum to 1, an entry is NaN or negative, a target is none of
        the classes, or shapes do not fit.

    Notes
    -----
    A true class that was given probability 0 costs infinitely much, and the report says how many
    rows did that. Brier's score is Σ_c (p_c - t_c)² averaged over rows, from 0 to 2.

    Examples
    --------
    >>> evaluate([0, 1], [[0.5, 0.5], [0.75, 0.25]]).cross_entropy
    1.5

    References
    ----------
    Good, I. J. (1952). Rational decisions. Journal of the Royal Statistical Society B 14.
    """
    unit = _check.log_of_base(base)
    given = predictions(target, probs, logits, labels)
    rows, classes = given.probs.shape
    truth, everyone = given.truth, np.arange(rows)
    cost = np.abs(given.log_probs[everyone, truth]) / unit
    guess = given.probs.argmax(axis=1)
    counts = np.bincount(truth, minlength=classes)
    confusion = np.bincount(truth * classes + guess, minlength=classes**2)
    confusion = confusion.reshape(classes, classes)
    cross_entropy = math.fsum(cost) / rows
    prior = math.fsum(c * math.log(rows / c) for c in counts if c) / rows / unit
    bins, gap = _calibration(given.probs[everyone, guess], guess == truth)
    hardest = np.argsort(-cost, kind="stable")[:HARDEST]
    return Report(
        rows=rows,
        classes=classes,
        labels=given.labels,
        base=float(base),
        cross_entropy=cross_entropy,
        uniform=math.log(classes) / unit,
        prior=prior,
        explained=1 - cross_entropy / prior if prior > 0 else math.nan,
        accuracy=float((guess == truth).mean()),
        brier=_brier(given),
        calibration_error=gap,
        calibration=bins,
        impossible=int(np.isinf(cost).sum()),
        per_class=_per_class(given, cost, confusion),
        confusion=confusion,
        hardest=[
            HardRow(
                row=int(i),
                target=given.labels[truth[i]],
                prediction=given.labels[guess[i]],
                probability=float(given.probs[i, truth[i]]),
                cost=float(cost[i]),
            )
            for i in hardest
        ],
        signature=_signature(given, base),
    )


def _brier(given: Predictions) -> float:
    true = given.probs[np.arange(len(given.truth)), given.truth]
    # Σ(p - t)² = Σ_others p² + (1 - p_true)²: no one-hot matrix, and no cancelling near zero.
    others = np.square(given.probs).sum(axis=1) - np.square(true)
    return math.fsum(np.maximum(others, 0.0) + np.square(1 - true)) / len(true)


def _calibration(
    confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[list[Bin], float]:
    """Reliability of the winning class in bins of equal width, and the mean gap between them."""
    place = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    rows = np.bincount(place, minlength=CALIBRATION_BINS)
    says = np.bincount(place, weights=confidence, minlength=CALIBRATION_BINS)
    holds = np.bincount(place, weights=right, minlength=CALIBRATION_BINS)
    bins = [
        Bin(
            k / CALIBRATION_BINS,
            (k + 1) / CALIBRATION_BINS,
            int(n),
            float(says[k] / n),
            float(holds[k] / n),
        )
        for k, n in enumerate(rows)
        if n
    ]
    gap = sum(b.rows * abs(b.confidence - b.accuracy) for b in bins) / len(right)
    return bins, gap


def _per_class(
    given: Predictions, cost: NDArray[np.float64], confusion: NDArray[np.int64]
) -> list[ClassRow]:
    total = math.fsum(cost) or 1.0
    found = []
    for k, label in enumerate(given.labels):
        own = cost[given.truth == k]
        spent = math.fsum(own)
        said, rows = int(confusion[:, k].sum()), len(own)
        # Among infinite costs, only how many there are can be compared.
        part = np.isinf(own).sum() / np.isinf(cost).sum() if math.isinf(total) else spent / total
        found.append(
            ClassRow(
                label=label,
                rows=rows,
                cross_entropy=spent / rows if rows else math.nan,
                share=float(part),
                recall=int(confusion[k, k]) / rows if rows else math.nan,
                precision=int(confusion[k, k]) / said if said else math.nan,
            )
        )
    return found


def _signature(given: Predictions, base: float) -> str:
    """Write the line by which another person can tell that they evaluated the same thing alike."""
    from importlib.metadata import version

    digest = hashlib.sha256()
    digest.update(repr(given.labels).encode())
    digest.update(given.truth.astype("<i8").tobytes())
    digest.update(given.log_probs.astype("<f8").tobytes())
    rows, classes = given.probs.shape
    parts = [
        f"xent {version('xent')}",
        f"base {base:g}",
        f"{rows} rows",
        f"{classes} classes",
        f"{CALIBRATION_BINS} equal-width bins",
        f"data sha256:{digest.hexdigest()[:16]}",
        f"numpy {np.__version__}",
        f"python {platform.python_version()}",
    ]
    return " | ".join(parts)
