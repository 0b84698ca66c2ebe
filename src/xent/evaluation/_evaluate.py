"""From predictions to the numbers of a report; how they are shown is `_report`'s business."""

import math
import platform
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent import _check
from xent.evaluation._calibration.figures import with_calibration
from xent.evaluation._numbers import Bin, ClassRow, ConfusedRows, HardRow, SliceRow
from xent.evaluation._predictions import predictions
from xent.evaluation._ranking import ranking_of
from xent.evaluation._report import Report
from xent.evaluation._rows import RowFigures, measured
from xent.evaluation._truth import values_of

CALIBRATION_BINS = 15
HARDEST = 20
CONFIDENCE = 0.95
# What other programs take for a probability of 0: scikit-learn's log_loss of float64 and of
# float32, and what it and Kaggle took before.
FLOORS = {"2.2e-16": 2.0**-52, "1e-15": 1e-15, "1.2e-07": 2.0**-23}

Numbers = NDArray[np.float64]


def evaluate(
    target: ArrayLike,
    probs: ArrayLike | None = None,
    *,
    logits: ArrayLike | None = None,
    log_probs: ArrayLike | None = None,
    labels: Iterable[Any] | None = None,
    positive: Any = None,
    sample_weight: ArrayLike | None = None,
    by: Mapping[Any, Any] | None = None,
    ids: ArrayLike | None = None,
    ignore_index: Any = None,
    normalize: bool = False,
    allow_probabilities: bool = False,
    base: float = 2,
) -> Report:
    """How many bits each true class took under the model, and where they went.

    cross-entropy = - Σ_n w_n log2 p_n(true class of row n) / Σ_n w_n

    Parameters
    ----------
    target : array_like, shape (N,)
        The true classes: numbers of columns, 0.0 and 1.0 too, or members of ``labels``.
    probs, logits, log_probs : array_like, shape (N, C), or (N,) for the second of two classes
        One of them. Rows of probabilities must sum to 1 within max(1e-6, 2·eps·√C) of their dtype,
        and are then divided by their sum. A data frame's columns are taken by their names.
    labels : sequence of C names, optional
        What the columns stand for, in their order, for example ``model.classes_``.
    positive : object, optional
        The class that a single column is of.
    sample_weight : array_like, shape (N,), optional
        How much each row counts; one of weight 0 is as if not there.
    by : mapping of name to array_like, optional
        Values that part the rows into slices.
    ids : array_like, shape (N,), optional
        What the rows are called, for the most expensive ones.
    ignore_index : object, optional
        A target that says to leave the row out, such as -100.
    normalize : bool
        Divide rows by their sums as far as the rounding of their printed digits explains.
    allow_probabilities : bool
        Take ``logits`` whose rows are of numbers from 0 that sum to 1 for logits all the same.
    base : float
        Base of the logarithm: 2 gives bits, math.e nats.

    Returns
    -------
    Report
        Print it, or write it with `Report.to_html`.

    Raises
    ------
    ValueError, TypeError
        If rows are no distributions, a target is none of the classes, or shapes do not fit.

    Notes
    -----
    A true class of probability 0 costs infinitely much; nothing is clipped. The interval is
    Student's, of the mean of independent rows. Brier's score is Σ_c (p_c - t_c)², from 0 to 2.

    Examples
    --------
    >>> evaluate([0, 1], [[0.5, 0.5], [0.75, 0.25]]).cross_entropy
    1.5

    References
    ----------
    Good, I. J. (1952). Rational decisions. Journal of the Royal Statistical Society B 14.
    """
    report, _ = evaluated(
        target, probs, logits, log_probs, labels=labels, positive=positive,
        sample_weight=sample_weight, by=by, ids=ids, ignore_index=ignore_index,
        normalize=normalize, allow_probabilities=allow_probabilities, base=base,
    )  # fmt: skip
    return report


def evaluated(
    target: Any,
    probs: Any,
    logits: Any,
    log_probs: Any,
    *,
    labels: Any,
    positive: Any,
    sample_weight: Any,
    by: Mapping[Any, Any] | None,
    ids: Any,
    ignore_index: Any,
    normalize: bool,
    allow_probabilities: bool,
    base: float,
) -> tuple[Report, RowFigures]:
    """Return the report and what was measured of each row."""
    unit = _check.log_of_base(base)
    given = predictions(
        target, probs, logits, log_probs, labels=labels, positive=positive,
        sample_weight=sample_weight, ignore=ignore_index, normalize=normalize,
        allow_probabilities=allow_probabilities,
    )  # fmt: skip
    count = len(given.truth)
    slices = {name: _column(f"by[{name!r}]", values, count) for name, values in (by or {}).items()}
    named = None if ids is None else _column("ids", ids, count)
    whole, rows = given.weight is None, measured(given)
    report = report_of(rows, given.labels, float(base), unit, slices, named, whole=whole)
    return with_calibration(report, given, rows, unit), rows


def _column(argument: str, values: Any, rows: int) -> list[Any]:
    found = values_of(values)
    if len(found) != rows:
        raise _check.invalid(argument, f"have one value a row, {rows}", len(found))
    return found


def report_of(
    rows: RowFigures,
    labels: list[Any],
    base: float,
    unit: float,
    slices: dict[Any, list[Any]],
    ids: list[Any] | None,
    *,
    whole: bool,
) -> Report:
    """Sum up rows that were measured.

    Parameters
    ----------
    rows : RowFigures
        Each row.
    labels : list
        The classes.
    base, unit : float
        Of the logarithm, and its natural logarithm.
    slices, ids : dict of list, list or None
        Values by which rows are parted, and their names, for all rows that were given.
    whole : bool
        Whether each row counts once, so that sums of weights are numbers of rows.
    """
    cost = rows.cost / unit
    classes, total = len(labels), float(rows.weight.sum())
    counts = np.bincount(rows.truth, rows.weight, classes)
    mean, low, high = _mean(cost, rows.weight)
    prior = math.fsum(c * math.log(total / c) for c in counts[counts > 0].tolist()) / total / unit
    bins, gap = _calibration(rows, whole=whole)
    right = rows.guess == rows.truth
    worst = float(cost.max())
    most = {name: -math.log(floor) / unit for name, floor in FLOORS.items()}
    floors = {
        name: mean if worst <= m else float((rows.weight * np.minimum(cost, m)).sum()) / total
        for name, m in most.items()
    }
    hardest = np.argsort(-cost, kind="stable")[:HARDEST].tolist()
    return Report(
        rows=len(cost),
        weight=total,
        classes=classes,
        labels=labels,
        base=base,
        cross_entropy=mean,
        low=low,
        high=high,
        confidence=CONFIDENCE,
        uniform=math.log(classes) / unit,
        prior=prior,
        explained=1 - mean / prior if prior > 0 else math.nan,
        accuracy=float(rows.weight[right].sum()) / total,
        brier=math.fsum(rows.weight * rows.brier) / total,
        calibration_error=gap,
        calibration=bins,
        impossible=int(np.isinf(cost).sum()),
        floored=floors,
        ranking=ranking_of(rows.scores, rows.truth, rows.weight),
        per_class=_per_class(rows, cost, labels, whole=whole),
        pairs=_pairs(rows, cost, labels, whole=whole),
        slices=[
            piece
            for name, values in slices.items()
            for piece in _slices(name, values, rows, cost, whole=whole)
        ],
        hardest=[
            HardRow(
                row=int(rows.row[i]),
                target=labels[rows.truth[i]],
                prediction=labels[rows.guess[i]],
                probability=float(rows.given[i]),
                cost=float(cost[i]),
                id=None if ids is None else ids[rows.row[i]],
            )
            for i in hardest
        ],
        signature=_signature(rows, classes, base),
    )


def _mean(values: Numbers, weight: Numbers) -> tuple[float, float, float]:
    """Return a mean and its interval, infinite where a value is; NaN for that of one row."""
    from scipy.special import stdtrit

    total = float(weight.sum())
    mean = math.fsum(weight * values) / total  # exact: the same for every order of the rows
    if values.size < 2:
        return mean, math.nan, math.nan
    if math.isinf(mean):
        return mean, mean, mean
    squares = float(np.square(weight * (values - mean)).sum())
    error = math.sqrt(squares * values.size / (values.size - 1)) / total
    reach = float(stdtrit(values.size - 1, 0.5 + CONFIDENCE / 2)) * error
    return mean, max(0.0, mean - reach) if (values >= 0).all() else mean - reach, mean + reach


def _plain(rows: float, *, whole: bool) -> float:
    return round(rows) if whole else float(rows)


def _calibration(rows: RowFigures, *, whole: bool) -> tuple[list[Bin], float]:
    """Reliability of the winning class in bins of equal width, and the mean gap between them."""
    place = np.minimum((rows.confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    right = rows.weight * (rows.guess == rows.truth)
    inside, says, holds = (
        np.bincount(place, weights=each, minlength=CALIBRATION_BINS)
        for each in (rows.weight, rows.weight * rows.confidence, right)
    )
    bins = [
        Bin(
            k / CALIBRATION_BINS,
            (k + 1) / CALIBRATION_BINS,
            _plain(n, whole=whole),
            float(says[k] / n),
            float(holds[k] / n),
        )
        for k, n in enumerate(inside)
        if n
    ]
    gap = sum(b.rows * abs(b.confidence - b.accuracy) for b in bins) / float(rows.weight.sum())
    return bins, gap


def _per_class(
    rows: RowFigures, cost: Numbers, labels: list[Any], *, whole: bool
) -> list[ClassRow]:
    """Return a row for each class that occurs or is predicted."""
    size = len(labels)
    counts, said = (np.bincount(codes, rows.weight, size) for codes in (rows.truth, rows.guess))
    right = rows.guess == rows.truth
    found = np.bincount(rows.truth[right], rows.weight[right], size)
    spent = rows.weight * cost
    total = float(spent.sum())
    endless = np.isinf(cost)
    order = np.argsort(rows.truth, kind="stable")
    ends = np.searchsorted(rows.truth[order], np.arange(size + 1))
    out = []
    for k in np.flatnonzero((counts > 0) | (said > 0)).tolist():
        own = order[ends[k] : ends[k + 1]]
        sum_of = math.fsum(spent[own])
        # Among infinite costs, only how many there are can be compared.
        part = endless[own].sum() / endless.sum() if math.isinf(total) else sum_of / (total or 1.0)
        out.append(
            ClassRow(
                label=labels[k],
                rows=_plain(counts[k], whole=whole),
                cross_entropy=sum_of / float(counts[k]) if len(own) else math.nan,
                share=float(part),
                recall=float(found[k] / counts[k]) if len(own) else math.nan,
                precision=float(found[k] / said[k]) if said[k] else math.nan,
            )
        )
    return out


def _pairs(
    rows: RowFigures, cost: Numbers, labels: list[Any], *, whole: bool
) -> list[ConfusedRows]:
    """Return the pairs of a true and a predicted class that occur, the most frequent first."""
    size = len(labels)
    place = rows.truth * size + rows.guess
    if size * size > 4 * place.size:
        found, place = np.unique(place, return_inverse=True)
    else:
        found = np.arange(size * size)
    counts = np.bincount(place, rows.weight, found.size)
    spent = np.bincount(place, rows.weight * cost, found.size)
    some = np.flatnonzero(counts)
    return [
        ConfusedRows(
            labels[found[i] // size],
            labels[found[i] % size],
            _plain(counts[i], whole=whole),
            float(spent[i]),
        )
        for i in some[np.argsort(-counts[some], kind="stable")].tolist()
    ]


def _slices(
    name: Any, values: list[Any], rows: RowFigures, cost: Numbers, *, whole: bool
) -> list[SliceRow]:
    """Return a row for each value, the one that costs most in all first."""
    inside: dict[Any, list[int]] = {}
    for i, row in enumerate(rows.row.tolist()):
        value = values[row]
        missing = value is None or value != value
        inside.setdefault(None if missing else value, []).append(i)
    out = []
    for value, places in inside.items():
        own = np.array(places)
        weight = rows.weight[own]
        right = rows.guess[own] == rows.truth[own]
        found = SliceRow(
            name,
            value,
            _plain(weight.sum(), whole=whole),
            *_mean(cost[own], weight),
            float(weight[right].sum() / weight.sum()),
        )
        out.append(found)
    return sorted(out, key=lambda piece: -piece.rows * piece.cross_entropy)


def _signature(rows: RowFigures, classes: int, base: float) -> str:
    """Write the line by which another person can tell that they evaluated the same thing alike."""
    from importlib.metadata import version

    parts = [
        f"xent {version('xent')}",
        f"base {base:g}",
        f"{len(rows.row)} rows",
        f"{classes} classes",
        f"{CALIBRATION_BINS} equal-width bins",
        f"data sha256:{rows.digest[:16]}",
        f"numpy {np.__version__}",
        f"python {platform.python_version()}",
    ]
    return " | ".join(parts)
