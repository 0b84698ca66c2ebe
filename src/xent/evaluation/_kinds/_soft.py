"""Soft targets: the truth of a row is itself a distribution, of votes or of another model."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent import _check
from xent._lang import say, say_count
from xent._terminal import fitted, one_line
from xent.evaluation._arrays import weights_of
from xent.evaluation._kinds._distributions import (
    Distributions,
    distributions,
    in_order_of,
    matrix_of,
    names_for,
)
from xent.evaluation._kinds._means import KindReport, mean_of, reach, signature, worst
from xent.evaluation._numbers import percent, said_unit
from xent.evaluation._probabilities import check_costs

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class SoftClassRow:
    """Where one class of soft targets stands.

    Parameters
    ----------
    label : object
        The class.
    target, said : float
        Its mean probability in the truth and in the predictions.
    share : float
        Its part of the cross-entropy.

    Examples
    --------
    >>> from xent.evaluation import evaluate_soft
    >>> report = evaluate_soft([[0.5, 0.5], [1, 0]], [[0.5, 0.5], [0.5, 0.5]])
    >>> report.per_class[0].target, report.per_class[0].said
    (0.75, 0.5)
    """

    label: Any
    target: float
    said: float
    share: float


@dataclass(frozen=True)
class SoftHardRow:
    """One of the rows that are farthest from their truth.

    Parameters
    ----------
    row : int
        Its number, from 0.
    divergence, cross_entropy : float
        What it wastes, and what it costs in all.

    Examples
    --------
    >>> from xent.evaluation import evaluate_soft
    >>> report = evaluate_soft([[0.5, 0.5], [1, 0]], [[0.5, 0.5], [0.5, 0.5]])
    >>> report.hardest[0].row
    1
    """

    row: int
    divergence: float
    cross_entropy: float


@dataclass(frozen=True, repr=False)
class SoftReport(KindReport):
    """What `evaluate_soft` found; `print` it.

    Parameters
    ----------
    rows, classes : int
        Size of the predictions; rows of weight 0 are not counted.
    weight : float
        Sum of the weights, ``rows`` where there are none.
    labels : list
        The classes in the order of the columns.
    base : float
        Base of every logarithm here: 2 for bits.
    cross_entropy, low, high : float
        Mean of - Σ_c t_c log p_c, and its interval.
    floor : float
        Mean entropy of the truth: what the truth itself would cost.
    divergence, divergence_low, divergence_high : float
        Mean of D(t‖p), the rest: what the model wastes.
    uniform, prior : float
        What it costs to know nothing, and to know the mean of the truth.
    explained : float
        (prior - cross_entropy) / (prior - floor): the part that was there to be explained.
    brier : float
        Mean of Σ_c (p_c - t_c)².
    impossible : int
        Rows that have a class that is possible at probability 0: each costs infinitely much.
    per_class : list of SoftClassRow
        One entry a class.
    hardest : list of SoftHardRow
        The rows that waste most.
    signature : str
        Versions, settings and a hash of the data.

    Examples
    --------
    >>> from xent.evaluation import evaluate_soft
    >>> report = evaluate_soft([[0.5, 0.5], [1, 0]], [[0.5, 0.5], [0.5, 0.5]])
    >>> report.cross_entropy, report.floor, report.divergence
    (1.0, 0.5, 0.5)
    """

    rows: int
    classes: int
    weight: float
    labels: list[Any]
    base: float
    cross_entropy: float
    low: float
    high: float
    floor: float
    divergence: float
    divergence_low: float
    divergence_high: float
    uniform: float
    prior: float
    explained: float
    brier: float
    impossible: int
    per_class: list[SoftClassRow]
    hardest: list[SoftHardRow]
    signature: str

    def __str__(self) -> str:
        unit = said_unit(self.base)
        sizes = say_count(self.rows, "row"), say_count(self.classes, "class")
        lines = [
            say("{rows} of soft targets, {classes}", rows=sizes[0], classes=sizes[1]),
            "",
            say(
                "cross-entropy   {mean:8.4f} {unit} a row   (95 % interval {interval})",
                mean=self.cross_entropy,
                unit=unit,
                interval=reach(self.low, self.high),
            ),
            say(
                "  floor         {cost:8.4f} {unit}   the entropy of the truth itself",
                cost=self.floor,
                unit=unit,
            ),
            say(
                "  divergence    {cost:8.4f} {unit}   what the model wastes ({interval})",
                cost=self.divergence,
                unit=unit,
                interval=reach(self.divergence_low, self.divergence_high),
            ),
            say(
                "  uniform       {cost:8.4f} {unit}   knowing nothing: log of {classes}",
                cost=self.uniform,
                unit=unit,
                classes=self.classes,
            ),
            say(
                "  class prior   {cost:8.4f} {unit}   knowing only the mean of the truth",
                cost=self.prior,
                unit=unit,
            ),
            say(
                "  explained     {share:>8} of what lies between prior and floor",
                share=percent(self.explained),
            ),
            say("Brier {brier:.4f}", brier=self.brier),
        ]
        if self.impossible:
            said = "{rows} had a class that is possible at probability 0: infinite cost"
            lines.append(say(said, rows=say_count(self.impossible, "row")))
        lines += ["", say("class               truth    said   share of the cost")]
        order = sorted(self.per_class, key=lambda c: -c.share)
        lines += [
            f"  {fitted(one_line(c.label), 16)} {c.target:6.3f}  {c.said:6.3f}   {percent(c.share)}"
            for c in order[:10]
        ]
        if len(order) > 10:
            lines.append("  " + say("and {more} more", more=len(order) - 10))
        return "\n".join([*lines, "", self.signature])


def evaluate_soft(
    target: ArrayLike,
    probs: ArrayLike | None = None,
    *,
    logits: ArrayLike | None = None,
    log_probs: ArrayLike | None = None,
    labels: Iterable[Any] | None = None,
    sample_weight: ArrayLike | None = None,
    normalize: bool = False,
    allow_probabilities: bool = False,
    base: float = 2,
) -> SoftReport:
    """How many bits predictions cost where the truth of a row is a distribution, not a class.

    cross-entropy = mean of - Σ_c t_c log2 p_c = entropy of the truth + D(t‖p)

    Parameters
    ----------
    target : array_like, shape (N, C)
        The truth: shares of votes, another model's probabilities, smoothed labels. Rows must sum
        to 1 within max(1e-6, 2·eps·√C) of their dtype, and are then divided by their sum.
    probs, logits, log_probs : array_like, shape (N, C)
        One of them, as `evaluate` takes it. A frame's columns are taken by name.
    labels : sequence of C names, optional
        What the columns stand for.
    sample_weight : array_like, shape (N,), optional
        How much each row counts.
    normalize : bool
        Divide rows, of the truth too, by their sums as far as the rounding of their printed digits
        explains.
    allow_probabilities : bool
        Take ``logits`` that look like probabilities for logits all the same.
    base : float
        Base of the logarithm: 2 gives bits, math.e nats.

    Returns
    -------
    SoftReport
        Print it.

    Raises
    ------
    ValueError, TypeError
        If rows are no distributions, or shapes do not fit.

    Notes
    -----
    A class of probability 0 in both costs nothing; one that is possible in the truth alone costs
    infinitely much. No model can go below the floor.

    Examples
    --------
    >>> report = evaluate_soft([[0.5, 0.5], [1, 0]], [[0.5, 0.5], [0.5, 0.5]])
    >>> report.cross_entropy, report.floor, report.divergence
    (1.0, 0.5, 0.5)

    References
    ----------
    Kullback, S. and Leibler, R. A. (1951). On information and sufficiency. Annals of Mathematical
    Statistics 22.
    """
    report, _ = soft_evaluated(
        target, probs, logits, log_probs, labels=labels, sample_weight=sample_weight,
        normalize=normalize, allow_probabilities=allow_probabilities, base=base,
    )  # fmt: skip
    return report


def soft_evaluated(
    target: Any,
    probs: Any,
    logits: Any,
    log_probs: Any,
    *,
    labels: Any,
    sample_weight: Any,
    normalize: bool,
    allow_probabilities: bool,
    base: float,
) -> tuple[SoftReport, dict[str, Any]]:
    """Return the report, and columns of what each row cost."""
    unit = _check.log_of_base(base, "a report")
    given, value = distributions(
        probs, logits, log_probs, normalize=normalize, allow_probabilities=allow_probabilities
    )
    truth = matrix_of("target", target, "probs", normalize=normalize)
    rows, classes = given.scores.shape
    if truth.scores.shape != (rows, classes):
        must = f"have the shape of the predictions, ({rows}, {classes})"
        raise _check.invalid("target", must, f"{truth.scores.shape}")
    names = names_for(labels, value, classes)
    given, truth = (
        _ordered(each, names, whence) for each, whence in ((given, value), (truth, target))
    )
    weight = np.ones(rows) if sample_weight is None else weights_of(sample_weight, rows)
    return _summed(given, truth, weight, names, float(base), unit)


def _ordered(given: Distributions, names: list[Any], value: Any) -> Distributions:
    return replace(given, scores=in_order_of(names, given.argument, value, given.scores))


def _summed(
    given: Distributions,
    truth: Distributions,
    weight: Numbers,
    names: list[Any],
    base: float,
    unit: float,
) -> tuple[SoftReport, dict[str, Any]]:
    from scipy.special import entr

    rows, classes = given.scores.shape
    cost, floor, waste, brier = np.empty((4, rows))
    spent, said, true = np.zeros((3, classes))
    digest = hashlib.sha256(repr(names).encode())
    for (part, log_probs, p), (_, log_truth, t) in zip(
        given.distributions(), truth.distributions(), strict=True
    ):
        with np.errstate(invalid="ignore"):
            # 0 log 0 is 0; both logarithms are exact near 1, where their difference is small.
            each = np.where(t > 0, -t * log_probs, 0.0)
            gap = np.where(t > 0, t * (log_truth - log_probs) - t + p, p)
        check_costs(each, part.start, given.kind, weight[part, None])
        cost[part] = each.sum(axis=1)
        floor[part] = entr(t).sum(axis=1)
        waste[part] = np.maximum(gap.sum(axis=1), 0.0)
        brier[part] = np.square(p - t).sum(axis=1)
        w = weight[part, None]
        for total, some in ((spent, each), (said, p), (true, t)):
            total += np.multiply(w, some, out=np.zeros_like(some), where=w > 0).sum(axis=0)
        digest.update(log_probs.astype("<f8").tobytes())
        digest.update(t.astype("<f8").tobytes())
    digest.update(weight.astype("<f8").tobytes())
    keep = np.flatnonzero(weight > 0)
    w, cost, waste = weight[keep], cost[keep] / unit, waste[keep] / unit
    size = math.fsum(w)
    lowest = math.fsum(w * floor[keep]) / size / unit
    mean, low, high = mean_of(w * cost, w)
    divergence, divergence_low, divergence_high = mean_of(w * waste, w)
    prior = float(entr(true / size).sum()) / unit
    whole = float(spent.sum())
    report = SoftReport(
        rows=len(keep),
        classes=classes,
        weight=size,
        labels=names,
        base=base,
        cross_entropy=mean,
        low=low,
        high=high,
        floor=lowest,
        divergence=divergence,
        divergence_low=divergence_low,
        divergence_high=divergence_high,
        uniform=math.log(classes) / unit,
        prior=prior,
        explained=(prior - mean) / (prior - lowest) if prior - lowest > 1e-12 else math.nan,
        brier=math.fsum(w * brier[keep]) / size,
        impossible=int(np.isinf(cost).sum()),
        per_class=[
            SoftClassRow(name, float(true[c] / size), float(said[c] / size), _part(spent[c], whole))
            for c, name in enumerate(names)
        ],
        hardest=[SoftHardRow(int(keep[i]), float(waste[i]), float(cost[i])) for i in worst(waste)],
        signature=signature(
            "soft targets", base, [f"{len(keep)} rows", f"{classes} classes"], digest.hexdigest()
        ),
    )
    columns = {"row": keep, report.unit: cost, "floor": floor[keep] / unit, "weight": w}
    return report, columns


def _part(spent: float, whole: float) -> float:
    return math.nan if math.isinf(whole) or whole == 0 else float(spent) / whole
