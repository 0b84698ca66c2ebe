"""Ordered outcomes: a prediction that is nearly right is better than one that is far off."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent import _check
from xent._lang import say
from xent._terminal import fitted, one_line
from xent.evaluation._arrays import weights_of
from xent.evaluation._evaluate import evaluate
from xent.evaluation._kinds._distributions import distributions, in_order_of
from xent.evaluation._kinds._means import KindReport, mean_of, reach
from xent.evaluation._numbers import percent, plain
from xent.evaluation._report import Report
from xent.evaluation._truth import truth_of

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class ThresholdRow:
    """How well it was told whether the outcome is at most this one.

    Parameters
    ----------
    label : object
        The outcome.
    said, seen : float
        Mean probability of it or a lower one, and how often that happened.
    brier : float
        Mean of (F - O)², this threshold's part of the ranked probability score.

    Examples
    --------
    >>> from xent.evaluation import evaluate_ordered
    >>> found = evaluate_ordered([2], [[0.1, 0.2, 0.3, 0.4]])
    >>> [(row.label, round(row.said, 12), row.seen) for row in found.thresholds]
    [(0, 0.1, 0.0), (1, 0.3, 0.0), (2, 0.6, 1.0)]
    """

    label: Any
    said: float
    seen: float
    brier: float


@dataclass(frozen=True, repr=False)
class OrderedReport(KindReport):
    """What `evaluate_ordered` found; `print` it.

    Parameters
    ----------
    report : Report
        What `evaluate` says, to which order means nothing.
    base : float
        Base of every logarithm there: 2 for bits.
    rps, low, high : float
        Ranked probability score, Σ_k (F_k - O_k)² over the C-1 thresholds, mean over rows, and its
        interval; from 0 to C-1.
    rps_normalized : float
        The same over C-1, from 0 to 1.
    epstein : float
        1 - ``rps_normalized``: the score of Epstein (1969), which is 1 for perfection.
    climatology : float
        The score of the frequencies of the outcomes themselves.
    skill : float
        1 - rps / climatology; NaN where but one outcome occurs.
    thresholds : list of ThresholdRow
        One entry a threshold.

    Examples
    --------
    >>> from xent.evaluation import evaluate_ordered
    >>> found = evaluate_ordered([2], [[0.1, 0.2, 0.3, 0.4]])
    >>> round(found.rps, 12), found.report.classes
    (0.26, 4)
    """

    report: Report
    base: float
    rps: float
    low: float
    high: float
    rps_normalized: float
    epstein: float
    climatology: float
    skill: float
    thresholds: list[ThresholdRow]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists, numbers and strings, ready for JSON.

        Returns
        -------
        dict
            Keys as the attributes; ``report`` as `Report.to_dict` has it.
        """
        return {**self.beside(), "report": self.report.to_dict(), "unit": self.unit}

    def beside(self) -> dict[str, Any]:
        """Return what stands beside the report, ready for JSON.

        Returns
        -------
        dict
            Keys as the attributes, without ``report``.
        """
        found = {name: value for name, value in vars(self).items() if name != "report"}
        found["thresholds"] = [asdict(threshold) for threshold in self.thresholds]
        return plain(found)  # type: ignore[no-any-return]

    def lines(self) -> str:
        """Write what stands beside the report.

        Returns
        -------
        str
            Some lines of text.
        """
        interval = reach(self.low, self.high)
        lines = [
            say(
                "ranked probability score {score:.4f} a row   (95 % interval {interval})",
                score=self.rps,
                interval=interval,
            ),
            say(
                "  over the {number} thresholds {each:.4f}; Epstein's score {epstein:.4f}",
                number=len(self.thresholds),
                each=self.rps_normalized,
                epstein=self.epstein,
            ),
            say(
                "  climatology {score:.4f}   skill {skill}",
                score=self.climatology,
                skill=percent(self.skill),
            ),
            "",
            say("at most            said    seen   (F - O)²"),
        ]
        lines += [
            f"  {fitted(one_line(t.label), 14)} {t.said:6.3f}  {t.seen:6.3f}   {t.brier:.4f}"
            for t in self.thresholds[:10]
        ]
        if len(self.thresholds) > 10:
            lines.append("  " + say("and {more} more", more=len(self.thresholds) - 10))
        return "\n".join(lines)

    def __str__(self) -> str:
        return f"{self.report}\n\n{self.lines()}"


def evaluate_ordered(
    target: ArrayLike,
    probs: ArrayLike | None = None,
    *,
    logits: ArrayLike | None = None,
    log_probs: ArrayLike | None = None,
    labels: Iterable[Any] | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: Any = None,
    normalize: bool = False,
    allow_probabilities: bool = False,
    base: float = 2,
) -> OrderedReport:
    """How good predictions of outcomes with an order are: what `evaluate` says, and how far off.

    ranked probability score = mean of Σ_k (P(y <= k) - [y <= k])²

    Parameters
    ----------
    target : array_like, shape (N,)
        The true outcomes, as `evaluate` takes them.
    probs, logits, log_probs : array_like, shape (N, C)
        One of them, as `evaluate` takes it.
    labels : sequence of C names, optional
        The outcomes from the lowest to the highest; numbers must rise. Without them, the order is
        that of the columns.
    sample_weight, ignore_index, normalize, allow_probabilities, base : optional
        As in `evaluate`.

    Returns
    -------
    OrderedReport
        Print it.

    Raises
    ------
    ValueError, TypeError
        As `evaluate` raises them, or if labels that are numbers do not rise.

    Notes
    -----
    The score is proper, and squares: a probability of 0 on the truth costs no more than C-1. The
    cross-entropy, beside it, does not see that a neighbour is nearly right.

    Examples
    --------
    >>> found = evaluate_ordered([2], [[0.1, 0.2, 0.3, 0.4]])
    >>> round(found.rps, 12), round(found.epstein, 4)
    (0.26, 0.9133)

    References
    ----------
    Epstein, E. S. (1969). A scoring system for probability forecasts of ranked categories. Journal
    of Applied Meteorology 8. Murphy, A. H. (1971). A note on the ranked probability score. The
    same, 10.
    """
    names = None if labels is None else list(labels)
    report = evaluate(
        target, probs, logits=logits, log_probs=log_probs, labels=names,
        sample_weight=sample_weight, ignore_index=ignore_index, normalize=normalize,
        allow_probabilities=allow_probabilities, base=base,
    )  # fmt: skip
    found, _ = ordered_evaluated(
        report, target, probs, logits, log_probs, sample_weight=sample_weight,
        ignore_index=ignore_index, normalize=normalize, allow_probabilities=allow_probabilities,
    )  # fmt: skip
    return found


def ordered_evaluated(
    report: Report,
    target: Any,
    probs: Any,
    logits: Any,
    log_probs: Any,
    *,
    sample_weight: Any,
    ignore_index: Any,
    normalize: bool,
    allow_probabilities: bool,
) -> tuple[OrderedReport, dict[str, Any]]:
    """Return what `evaluate` said with the ranked probability score, and that of each row."""
    given, value = distributions(
        probs, logits, log_probs, normalize=normalize, allow_probabilities=allow_probabilities
    )
    rows, classes = given.scores.shape
    names = report.labels
    _check_rising(names)
    scores = in_order_of(names, given.argument, value, given.scores)
    known = None if names == list(range(classes)) else names
    truth = truth_of(target, known, rows, classes, ignore_index)
    weight = np.ones(rows) if sample_weight is None else weights_of(sample_weight, rows)
    keep = np.flatnonzero((truth >= 0) & (weight > 0))
    score = np.empty(rows)
    off, said = np.zeros((2, classes - 1))
    for part, _, p in replace(given, scores=scores).distributions():
        below = np.cumsum(p, axis=1)[:, :-1]
        happened = np.arange(classes - 1) >= truth[part, None]
        squares = np.square(below - happened)
        score[part] = squares.sum(axis=1)
        w = np.where(truth[part] >= 0, weight[part], 0.0)
        off += w @ squares
        said += w @ below
    w = weight[keep]
    size = math.fsum(w)
    counts = np.bincount(truth[keep], w, classes)
    seen = np.cumsum(counts)[:-1] / size
    mean, low, high = mean_of(w * score[keep], w)
    climatology = math.fsum(seen * (1 - seen))
    found = OrderedReport(
        report=report,
        base=report.base,
        rps=mean,
        low=low,
        high=high,
        rps_normalized=mean / (classes - 1) if classes > 1 else math.nan,
        epstein=1 - mean / (classes - 1) if classes > 1 else math.nan,
        climatology=climatology,
        skill=1 - mean / climatology if climatology > 0 else math.nan,
        thresholds=[
            ThresholdRow(names[k], float(said[k]) / size, float(seen[k]), float(off[k]) / size)
            for k in range(classes - 1)
        ],
    )
    return found, {"row": keep, "rps": score[keep], "weight": w}


def _check_rising(names: list[Any]) -> None:
    """Refuse outcomes that are numbers and not in their order: text of numbers too."""
    try:
        numbers = [float(name) for name in names]
    except (TypeError, ValueError):
        return  # names, whose order is the one that was given
    for a, b in pairwise(numbers):
        if not a < b:
            must = "be the outcomes from the lowest to the highest"
            raise _check.invalid("labels", must, f"{b:g} after {a:g}")
