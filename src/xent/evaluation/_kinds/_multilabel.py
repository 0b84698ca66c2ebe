"""Several labels at once: each is there or not, with a probability of its own."""

import hashlib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent import _check
from xent.evaluation._arrays import array_of, weights_of
from xent.evaluation._kinds._distributions import BLOCK_ENTRIES, in_order_of, names_for, one_of
from xent.evaluation._kinds._label_report import LabelHardRow, LabelRow, MultilabelReport
from xent.evaluation._kinds._means import mean_of, signature, worst
from xent.evaluation._probabilities import MANY_ROWS, check_costs

Numbers = NDArray[np.float64]


def evaluate_multilabel(
    target: ArrayLike,
    probs: ArrayLike | None = None,
    *,
    logits: ArrayLike | None = None,
    labels: Iterable[Any] | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: float | None = None,
    allow_probabilities: bool = False,
    base: float = 2,
) -> MultilabelReport:
    """How many bits labels took, of which each is there or not by a probability of its own.

    cost of a label = - log2 p if it is there, - log2 (1 - p) if it is not

    Parameters
    ----------
    target : array_like, shape (N, L)
        1 where a label is there, 0 where it is not; booleans too.
    probs, logits : array_like, shape (N, L)
        One of them: the probability of each label, or its logit (before the sigmoid). A frame's
        columns are taken by name.
    labels : sequence of L names, optional
        What the columns stand for.
    sample_weight : array_like, shape (N,), optional
        How much each row counts.
    ignore_index : float, optional
        An entry of ``target`` that says that the label is not known, such as -1 or NaN.
    allow_probabilities : bool
        Take ``logits`` that all lie between 0 and 1 for logits all the same.
    base : float
        Base of the logarithm: 2 gives bits, math.e nats.

    Returns
    -------
    MultilabelReport
        Print it.

    Raises
    ------
    ValueError, TypeError
        If numbers are no probabilities, targets are not 0 or 1, or shapes do not fit.

    Notes
    -----
    Labels of a row are not independent, so that the interval is that of rows. What happened at
    probability 0 costs infinitely much.

    Examples
    --------
    >>> report = evaluate_multilabel([[1, 0], [1, 1]], [[0.5, 0.5], [0.5, 0.25]])
    >>> report.cross_entropy, report.total
    (1.25, 2.5)

    References
    ----------
    Good, I. J. (1952). Rational decisions. Journal of the Royal Statistical Society B 14.
    """
    report, _ = multilabel_evaluated(
        target, probs, logits, labels=labels, sample_weight=sample_weight,
        ignore_index=ignore_index, allow_probabilities=allow_probabilities, base=base,
    )  # fmt: skip
    return report


def multilabel_evaluated(
    target: Any,
    probs: Any,
    logits: Any,
    *,
    labels: Any,
    sample_weight: Any,
    ignore_index: Any,
    allow_probabilities: bool,
    base: float,
) -> tuple[MultilabelReport, dict[str, Any]]:
    """Return the report, and columns of what each row cost."""
    unit = _check.log_of_base(base, "a report")
    kind, value = one_of({"probs": probs, "logits": logits})
    scores = array_of(kind, value)
    if scores.dtype.kind not in "fiub" or scores.ndim != 2 or 0 in scores.shape:
        got = f"the shape {scores.shape} of {scores.dtype}"
        raise _check.invalid(kind, "have the shape (rows, labels), numbers", got)
    truth = array_of("target", target)
    if truth.shape != scores.shape:
        rows, size = scores.shape
        must = f"have the shape of the predictions, ({rows}, {size})"
        advice = "One class a row goes to `evaluate`." if truth.ndim == 1 else ""
        raise _check.invalid("target", must, str(truth.shape), advice)
    names = names_for(labels, value, scores.shape[1])
    scores = in_order_of(names, kind, value, scores)
    truth = _truth(in_order_of(names, "target", target, truth), ignore_index)
    weight = (
        np.ones(len(scores)) if sample_weight is None else weights_of(sample_weight, len(scores))
    )
    if kind == "logits" and not allow_probabilities:
        _check_no_probs(scores)
    return _summed(kind, scores, truth, weight, names, float(base), unit)


def _truth(given: NDArray[Any], ignore: Any) -> NDArray[np.int8]:
    """Return 1, 0, or -1 where the label is not known."""
    if given.dtype.kind not in "fiub":
        must = "hold 1 where a label is there and 0 where not"
        raise _check.wrong_kind("target", must, f"an array of dtype {given.dtype}")
    skipped = np.zeros(given.shape, dtype=bool)
    if ignore is not None:
        skipped = np.isnan(given) if ignore != ignore else given == ignore
    bad = ~((given == 0) | (given == 1) | skipped)
    if bad.any():
        first = tuple(np.argwhere(bad)[0])
        advice: _check.Words = ""
        if ignore is None:
            advice = (
                "What says that a label is not known is " + _check.setting("ignore_index") + "."
            )
        raise _check.invalid("target", "be 0 or 1", f"{given[first]} at {_check.at(first)}", advice)
    if skipped.all():
        raise _check.invalid("target", "have a label that is known", "none")
    return np.where(skipped, -1, given).astype(np.int8)


def _check_no_probs(scores: NDArray[Any]) -> None:
    inside = len(scores) >= MANY_ROWS and bool(((scores >= 0) & (scores <= 1)).all())
    if inside and bool((scores != scores.flat[0]).any()):
        advice = "Pass them as " + _check.setting("probs") + "; if they are logits all the same, "
        sure = "pass " + _check.setting("allow_probabilities", True) + "."
        raise _check.invalid("logits", "not be probabilities", "numbers from 0 to 1", advice + sure)


def _costs(kind: str, block: Numbers, there: NDArray[np.bool_], start: int) -> tuple[Any, Any]:
    """Return what each label of a block costs, in nats, and its probability."""
    if kind == "probs":
        bad = ~((block >= 0) & (block <= 1))
        if bad.any():
            first = tuple(np.argwhere(bad)[0])
            at = _check.at((first[0] + start, first[1]))
            advice = "Logits go under " + _check.setting("logits") + "."
            raise _check.invalid(
                "probs", "be between 0 and 1", f"{block[first]:.6g} at {at}", advice
            )
        with np.errstate(divide="ignore"):
            return np.abs(np.where(there, np.log(block), np.log1p(-block))), block
    bad = np.isnan(block)
    if bad.any():
        first = tuple(np.argwhere(bad)[0])
        at = _check.at((first[0] + start, first[1]))
        raise _check.invalid("logits", "be numbers", f"{block[first]} at {at}")
    from scipy.special import expit

    return np.logaddexp(0.0, np.where(there, -block, block)), expit(block)


def _summed(
    kind: str,
    scores: NDArray[Any],
    truth: NDArray[np.int8],
    weight: Numbers,
    names: list[Any],
    base: float,
    unit: float,
) -> tuple[MultilabelReport, dict[str, Any]]:
    rows, size = scores.shape
    total, known, brier = np.zeros((3, rows))
    cells, positives, spent, said = np.zeros((4, size))
    dearest, impossible = np.zeros(rows, np.int64), 0
    digest = hashlib.sha256(repr((kind, names)).encode())
    digest.update(truth.tobytes())
    digest.update(weight.astype("<f8").tobytes())
    step = max(1, BLOCK_ENTRIES // size)
    for start in range(0, rows, step):
        part = slice(start, min(start + step, rows))
        block = scores[part].astype(np.float64)
        digest.update(block.astype("<f8").tobytes())
        there, seen = truth[part] == 1, truth[part] >= 0
        cost, p = _costs(kind, block, there, start)
        cost = np.where(seen, cost, 0.0)
        check_costs(cost, start, kind, weight[part, None])
        cost /= unit
        total[part], known[part] = cost.sum(axis=1), seen.sum(axis=1)
        brier[part] = np.where(seen, np.square(p - there), 0.0).sum(axis=1)
        dearest[part] = np.where(seen, cost, -1.0).argmax(axis=1)
        w = weight[part, None]
        counted = seen & (w > 0)
        impossible += int((np.isinf(cost) & counted).sum())
        cells += (w * seen).sum(axis=0)
        positives += (w * (there & seen)).sum(axis=0)
        for each, some in ((spent, cost), (said, p)):
            each += np.multiply(w, some, out=np.zeros_like(some), where=counted).sum(axis=0)
    keep = np.flatnonzero((weight > 0) & (known > 0))
    if not keep.size:
        raise _check.invalid("target", "have a label that is known and of weight above 0", "none")
    w = weight[keep]
    mean = mean_of(w * total[keep], w * known[keep])
    row = mean_of(w * total[keep], w)
    per_label = _per_label(names, cells, positives, spent, said, unit)
    priors = math.fsum(label.prior * label.rows for label in per_label if label.rows)
    prior = priors / math.fsum(cells)
    report = MultilabelReport(
        rows=len(keep),
        classes=size,
        weight=math.fsum(w),
        cells=math.fsum(cells),
        labels=names,
        base=base,
        cross_entropy=mean[0],
        low=mean[1],
        high=mean[2],
        total=row[0],
        total_low=row[1],
        total_high=row[2],
        uniform=math.log(2) / unit,
        prior=prior,
        explained=1 - mean[0] / prior if prior > 0 else math.nan,
        brier=math.fsum(w * brier[keep]) / math.fsum(w * known[keep]),
        impossible=impossible,
        per_label=per_label,
        hardest=[_hard(i, total, dearest, kind, scores, truth, names) for i in _dear(total, keep)],
        signature=signature(
            "labels", base, [f"{len(keep)} rows", f"{size} labels"], digest.hexdigest()
        ),
    )
    columns = {"row": keep, report.unit: total[keep], "labels": known[keep], "weight": w}
    return report, columns


def _dear(total: Numbers, keep: NDArray[np.int64]) -> list[int]:
    return [int(keep[i]) for i in worst(total[keep])]


def _hard(
    i: int,
    total: Numbers,
    dearest: NDArray[np.int64],
    kind: str,
    scores: NDArray[Any],
    truth: NDArray[np.int8],
    names: list[Any],
) -> LabelHardRow:
    from scipy.special import expit

    j = int(dearest[i])
    score = float(scores[i, j])
    p = score if kind == "probs" else float(expit(score))
    return LabelHardRow(i, float(total[i]), names[j], bool(truth[i, j] == 1), p)


def _per_label(
    names: list[Any], cells: Numbers, positives: Numbers, spent: Numbers, said: Numbers, unit: float
) -> list[LabelRow]:
    """Return a row for each label, in the order of the columns."""
    from scipy.special import entr

    whole = float(spent.sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        often = positives / cells
        prior = (entr(often) + entr(1 - often)) / unit
        mean, p = spent / cells, said / cells
    return [
        LabelRow(
            label=name,
            rows=float(cells[c]),
            positives=float(positives[c]),
            cross_entropy=float(mean[c]),
            prior=float(prior[c]),
            share=float(spent[c]) / whole if 0 < whole < math.inf else math.nan,
            said=float(p[c]),
        )
        for c, name in enumerate(names)
    ]
