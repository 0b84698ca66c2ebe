"""From predictions to the numbers of a report; how they are shown is `_report`'s business."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike

from xent import _check
from xent.evaluation._accumulator.accumulator import Accumulator, summed_up
from xent.evaluation._accumulator.baselines import with_baselines
from xent.evaluation._batches.once import first_of_each
from xent.evaluation._calibration.bins import binning_of
from xent.evaluation._calibration.figures import with_calibration
from xent.evaluation._calibration.others import calibrators_of, recovered_by
from xent.evaluation._predictions import predictions
from xent.evaluation._ranking import scores_of
from xent.evaluation._report import Report
from xent.evaluation._rows import RowFigures, joined
from xent.evaluation._truth import column_of, slices_of


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
    once: bool = False,
    prior: Any = None,
    label_smoothing: float = 0.0,
    bins: int | Sequence[float] | str | None = None,
    calibrators: Iterable[str] | Mapping[str, Any] = (),
    base: float = 2,
) -> Report:
    """How many bits each true class took under the model, and where they went.

    cross-entropy = - Σ_n w_n log2 p_n(true class of row n) / Σ_n w_n

    Parameters
    ----------
    target : array_like, shape (N,)
        The true classes: numbers of columns, 0.0 and 1.0 too, or members of ``labels``.
    probs, logits, log_probs : array_like, shape (N, C), or (N,) for the second of two classes
        One of them. Rows of probabilities must sum to 1 within max(1e-6, 2·eps·√C), and are then
        divided by their sum. A data frame's columns are taken by their names.
    labels : sequence of C names, optional
        What the columns stand for, in their order, for example ``model.classes_``.
    positive : object, optional
        The class that a single column is of.
    sample_weight : array_like, shape (N,), optional
        How much each row counts; one of weight 0 is as if not there.
    by, ids : mapping of name to array_like, array_like of shape (N,), optional
        Values that part the rows into slices; what the rows are called.
    ignore_index : object, optional
        A target that says to leave the row out, such as -100.
    normalize : bool
        Divide rows by their sums as far as the rounding of their printed digits explains.
    allow_probabilities : bool
        Take ``logits`` whose rows look like probabilities for logits all the same.
    once : bool
        Count rows of one id once: a DistributedSampler repeats some to fill up the last batch.
    prior : mapping of label to float, or array_like of shape (C,), optional
        How often each class occurs where the model was trained: a baseline.
    label_smoothing : float
        What the model was trained with: gives the least that such a model can cost.
    bins : int, sequence of float, "quantile" or "corp", optional
        How many of equal width (15), edges, of equal weight, or of the isotonic regression.
    calibrators : sequence of str, or mapping of name to object, optional
        More for ``recovered``: names of probmetrics, or objects with ``predict_proba``.
    base : float
        Base of the logarithm: 2 gives bits, math.e nats.

    Returns
    -------
    Report
        Print it, or write it with `Report.to_html`. Nothing is clipped; the interval is Student's;
        Brier's score is Σ_c (p_c - t_c)², from 0 to 2.

    Raises
    ------
    ValueError, TypeError
        If rows are no distributions, a target is none of the classes, or shapes do not fit.

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
        normalize=normalize, allow_probabilities=allow_probabilities, once=once, bins=bins,
        calibrators=calibrators, base=base,
    )  # fmt: skip
    return with_baselines(report, prior, label_smoothing, _check.log_of_base(base, "a report"))


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
    once: bool = False,
    orders: bool = True,
    bins: int | Sequence[float] | str | None = None,
    calibrators: Iterable[str] | Mapping[str, Any] = (),
) -> tuple[Report, RowFigures]:
    """Return the report, and what was measured of each row.

    Without ``orders`` nothing is said that needs the rows in the order of their scores, or twice:
    ranking, decompositions, calibrators.
    """
    unit, binning = _check.log_of_base(base, "a report"), binning_of(bins)
    others = calibrators_of(calibrators) if calibrators else {}
    given = predictions(
        target, probs, logits, log_probs, labels=labels, positive=positive,
        sample_weight=sample_weight, ignore=ignore_index, normalize=normalize,
        allow_probabilities=allow_probabilities,
    )  # fmt: skip
    count = len(given.truth)
    columns = slices_of(by, count)
    named = None if ids is None else column_of("ids", ids, count)
    if once:
        given = replace(given, truth=first_of_each(given, named))
    whole = Accumulator(ranking=orders, allow_probabilities=True, base=base)
    found: list[RowFigures] = []
    whole.add(given, columns, named, keep=found)
    report, each = summed_up(whole), joined(found)
    if orders:
        each = replace(each, scores=scores_of(given, each.row))
        report = with_calibration(report, given, each, unit, binning, columns)
        if others:
            more = recovered_by(others, given, each, unit)
            report = replace(report, recovered=report.recovered | more)
    return report, each
