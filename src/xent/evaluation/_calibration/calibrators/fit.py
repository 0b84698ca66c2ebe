"""`calibrate`: predictions and the truth in, a calibrator out that is never worse on these rows."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from xent import _check
from xent.evaluation._calibration.calibrators.calibrator import Calibrator
from xent.evaluation._calibration.calibrators.logistic import fitted_line
from xent.evaluation._calibration.calibrators.many_stairs import ManyStairs, fitted_many_stairs
from xent.evaluation._calibration.calibrators.softmax import (
    MASKED,
    RowBlock,
    Scale,
    fitted_biases,
    fitted_slope,
)
from xent.evaluation._calibration.yes_no import Numbers
from xent.evaluation._predictions import Predictions, predictions

CALIBRATORS = ("temperature", "platt", "isotonic")
MOST_BIASES = 1024  # classes: Newton's step needs a table of their square


@np.errstate(over="ignore", under="ignore")
def calibrate(
    target: ArrayLike,
    probs: ArrayLike | None = None,
    *,
    logits: ArrayLike | None = None,
    log_probs: ArrayLike | None = None,
    method: str = "temperature",
    labels: Iterable[Any] | None = None,
    positive: Any = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: Any = None,
    normalize: bool = False,
    allow_probabilities: bool = False,
    virtual_rows: float | None = None,
) -> Calibrator:
    """Fit what makes a model's probabilities believable, on rows that it was not trained on.

    temperature: softmax(z / T);  platt: softmax(z / T + b);  isotonic: any rising curve

    Parameters
    ----------
    target : array_like, shape (N,)
        The true classes, as for `evaluate`.
    probs, logits, log_probs : array_like, shape (N, C), or (N,) for the second of two classes
        One of them, as for `evaluate`.
    method : str
        "temperature" for one number, "platt" for it and a bias a class, "isotonic" for the
        isotonic regression of each class against the rest.
    labels, positive, sample_weight, ignore_index, normalize, allow_probabilities
        As for `evaluate`.
    virtual_rows : float, optional
        For "isotonic": how many virtual rows that agree with the model are added, so that no
        probability becomes 0. By default the cube root of N. 0 is plain isotonic regression.

    Returns
    -------
    Calibrator
        Its ``after`` is never above its ``before``.

    Raises
    ------
    ValueError, TypeError
        As `evaluate`, and if ``method`` is none of these.

    Warns
    -----
    UserWarning
        If the best temperature or bias is infinite, so that one virtual row took part; if rows
        whose true class was given probability 0, which only "isotonic" can mend, were left out.

    Notes
    -----
    Temperature and Platt are fitted by Newton's method to full accuracy. Platt's scaling of more
    than two classes has one temperature and a bias a class (bias-corrected temperature scaling).
    Whether mending pays on new rows is what ``recovered`` of a `Report` says.

    Examples
    --------
    >>> mended = calibrate([0, 1, 1, 0], [0.2, 0.9, 0.4, 0.3], method="isotonic")
    >>> mended.after <= mended.before
    True

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017). On calibration of modern neural networks. ICML.
    """
    _check.option("method", method, CALIBRATORS)
    if virtual_rows is not None:
        if method != "isotonic":
            raise _check.invalid("virtual_rows", "be left out for " + repr(method), virtual_rows)
        virtual_rows = _check.number("virtual_rows", virtual_rows)
        if not 0 <= virtual_rows < math.inf:
            raise _check.invalid("virtual_rows", "be 0 or more, and finite", virtual_rows)
    given = predictions(
        target, probs, logits, log_probs, labels=labels, positive=positive,
        sample_weight=sample_weight, ignore=ignore_index, normalize=normalize,
        allow_probabilities=allow_probabilities,
    )  # fmt: skip
    if len(given.labels) < 2:
        raise _check.invalid("probs", "have two classes or more", "one")
    found = _fitted(given, method, virtual_rows)
    rows, before, after, impossible = _costs(given, found)
    if not after <= before:
        # Rounding made it worse by a last digit: what is there was best already.
        found, after = Scale(1.0, None, False), before
    if isinstance(found, Scale):
        _doubts(found, impossible)
    return Calibrator(method, given.labels, found, rows, before, after, impossible)


def _fitted(given: Predictions, method: str, virtual: float | None) -> Scale | ManyStairs:
    classes = len(given.labels)
    if method == "temperature":
        return fitted_slope(lambda: _blocks(given))
    if method == "platt" and classes > MOST_BIASES:
        got = f"{classes:,} classes"
        must = f"have no more than {MOST_BIASES:,} classes for method='platt'"
        raise _check.invalid("probs", must, got, 'Take method="temperature".')
    if method == "platt" and classes > 2:
        return fitted_biases(lambda: _blocks(given), classes)
    every = list(_blocks(given))
    log_probs, truth, weight = (np.concatenate(parts) for parts in zip(*every, strict=True))
    if method == "isotonic":
        return fitted_many_stairs(log_probs, truth, weight, virtual)
    line = fitted_line(log_probs[:, 1] - log_probs[:, 0], truth == 1, weight)
    bias: Numbers = np.array([-0.5, 0.5]) * line.intercept
    return Scale(line.slope, bias, line.separated)


def _blocks(given: Predictions) -> Iterator[RowBlock]:
    """Yield the rows that count."""
    weight = np.ones(len(given.truth)) if given.weight is None else given.weight
    for rows, log_probs, _ in given.distributions():
        some = (given.truth[rows] >= 0) & (weight[rows] > 0)
        yield log_probs[some], given.truth[rows][some], weight[rows][some]


def _costs(given: Predictions, found: Scale | ManyStairs) -> tuple[int, float, float, int]:
    """Return rows, mean cost before and after where it can be finite, and how many cannot."""
    before, after, total = [], [], []
    impossible = rows = 0
    for log_probs, truth, weight in _blocks(given):
        here = np.arange(len(truth))
        said, mended = log_probs[here, truth], found.at(log_probs)[here, truth]
        some = said > MASKED
        rows += len(truth)
        impossible += int((~some).sum())
        before += (-said * weight)[some].tolist()
        after += (-mended * weight)[some].tolist()
        total += weight[some].tolist()
    whole = math.fsum(total) or 1.0
    # Minus zero is not wanted.
    return rows, abs(math.fsum(before)) / whole, abs(math.fsum(after)) / whole, impossible


def _doubts(found: Scale, impossible: int) -> None:
    if impossible:
        _check.warn(
            f"{_check.count(impossible, 'row')} had a true class of probability 0, which no "
            "temperature mends: fitted on the others."
        )
    if found.separated:
        there = "On the others the" if impossible else "The"
        _check.warn(
            f"{there} model makes no mistake that it could be made less sure of, or a class does "
            "not occur: the best calibrator is infinite. One virtual row that says what the model "
            "says keeps it finite."
        )
