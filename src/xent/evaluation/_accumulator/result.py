"""The numbers of a report, from what a tally holds."""

import hashlib
import math
import platform
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.evaluation._accumulator.moments import CostMoments
from xent.evaluation._accumulator.scores.column import ScoreCounts
from xent.evaluation._accumulator.slices import Slices
from xent.evaluation._accumulator.sums import SMALLEST, Numbers, Sums, ratio
from xent.evaluation._accumulator.tally import (
    BINS,
    CONFIDENCE_CELLS,
    FLOOR_COSTS,
    FLOORS,
    RANKS,
    TOTALS,
    RowTally,
)
from xent.evaluation._calibration.estimators.interval import CONFIDENCE
from xent.evaluation._numbers import (
    Bin,
    ClassRow,
    CoveredRows,
    HardRow,
    PairList,
    SliceRow,
)
from xent.evaluation._ranking import NO_RANKING, operating_points, ranking_of
from xent.evaluation._report import Report

ONE = 1 << SMALLEST
COVERAGE_STEPS = 10


def report_of(
    tally: RowTally,
    labels: list[Any],
    base: float,
    unit: float,
    slices: Mapping[Any, Slices],
    scores: ScoreCounts | None,
) -> Report:
    """Make a report.

    Parameters
    ----------
    tally : RowTally
        What was counted.
    labels : list
        The classes.
    base, unit : float
        Of the logarithm, and its natural logarithm.
    slices : mapping of name to Slices
        What was counted of parts of the rows.
    scores : ScoreCounts or None
        How many rows there are of each score, where that was counted.
    """
    moments = moments_of(tally)
    total = ratio(moments.weight, ONE)
    mean, low, high = moments.interval(unit)
    classes = _Classes(tally)
    prior = _entropy(classes.weights[0]) / unit
    bins, gap = _calibration(tally, total)
    brier = tally.totals.whole(TOTALS.index("brier"))
    thresholds, best_f1 = operating_points(scores)
    return Report(
        rows=tally.rows,
        weight=total,
        classes=tally.classes,
        labels=labels,
        base=base,
        cross_entropy=mean,
        low=low,
        high=high,
        confidence=CONFIDENCE,
        uniform=math.log(tally.classes) / unit,
        prior=prior,
        explained=1 - mean / prior if prior > 0 else math.nan,
        accuracy=ratio(right_of(tally), moments.weight),
        brier=ratio(brier, moments.weight),
        calibration_error=gap,
        calibration=bins,
        impossible=moments.endless,
        floored=_floored(tally, moments, unit),
        ranking=NO_RANKING if scores is None else ranking_of(scores),
        score_counts="none" if scores is None else scores.form,
        thresholds=thresholds,
        best_f1=best_f1,
        macro=classes.macro / unit,
        top_k=_top_k(tally, moments),
        coverage=_coverage(tally, moments, unit),
        per_class=_per_class(tally, classes, labels, unit),
        pairs=_pairs(tally, labels, unit),
        slices=[piece for name, some in slices.items() for piece in _slices(name, some, unit)],
        hardest=[
            HardRow(
                row=row.number,
                target=labels[row.truth],
                prediction=labels[row.guess],
                probability=row.given,
                cost=row.cost / unit,
                id=row.id,
            )
            for row in tally.worst.rows
        ],
        signature=_signature(tally, labels, base, moments),
    )


def moments_of(tally: RowTally) -> CostMoments:
    """Return the sums that the cross-entropy and its interval are made of."""
    sums, endless = tally.pairs if tally.per_class is None else tally.per_class, tally.endless.sum()
    cost, endless = sums.cost.total(), int(endless)
    found = {name: tally.totals.whole(slot) for slot, name in enumerate(TOTALS)}
    if not tally.weighted:
        return CostMoments.plain(tally.rows, endless, cost, found["squares"])
    return CostMoments(
        tally.rows, endless, cost, found["squares"],
        found["weight"], found["weight_squares"], found["weight_cost"],
    )  # fmt: skip


def right_of(tally: RowTally) -> int:
    """Return the weight of the rows whose true class won, a whole number of 2**-`SMALLEST`."""
    if tally.weighted:
        return tally.cell_weights.total(range(CONFIDENCE_CELLS, 2 * CONFIDENCE_CELLS))
    return int(tally.cells[:, 1].sum()) << SMALLEST


def _entropy(weights: Numbers) -> float:
    """H of a distribution of weights, in nats."""
    total = float(weights.sum())
    some = weights[weights > 0].tolist()
    return math.fsum(w * math.log(total / w) for w in some) / total


class _Classes:
    """Weight and cost of each class: of rows that are it, that are called it, and both."""

    def __init__(self, tally: RowTally) -> None:
        size = tally.classes
        if tally.per_class is not None:
            one = tally.per_class
            self.rows = one.rows
            self.cost = one.cost.values()
            weights = [sums.values() for sums in one.weights]
        else:
            pairs, shape = tally.pairs, (size, size)
            self.rows = _margins(pairs.rows.reshape(shape))
            limbs = pairs.cost
            limbs.carry()
            self.cost = _by_truth(limbs, size)
            weights = list(_margins(pairs.weight.values().reshape(shape))) if tally.weighted else []
        self.weights = weights or [count.astype(np.float64) for count in self.rows]
        self.endless = np.zeros(size, np.int64)
        for key, times in tally.endless_classes.items():
            self.endless[key] = times

    @property
    def macro(self) -> float:
        """Mean over the classes that occur of their mean cost, in nats."""
        if self.endless.any():
            return math.inf
        some = np.flatnonzero(self.weights[0] > 0)
        return math.fsum(self.cost[some] / self.weights[0][some]) / some.size


def _top_k(tally: RowTally, moments: CostMoments) -> dict[str, float]:
    """Return how often the true class is among the first k."""
    found, inside = {}, 0
    for k in range(1, min(RANKS, tally.classes)):
        inside += (
            tally.rank_weights.whole(k - 1)
            if tally.weighted
            else int(tally.ranks[k - 1]) << SMALLEST
        )
        found[str(k)] = ratio(inside, moments.weight)
    return found


def _coverage(tally: RowTally, moments: CostMoments, unit: float) -> list[CoveredRows]:
    """Return what the most confident rows cost, for each tenth of all rows that is reached."""
    found, step = [], 1
    weight = cost = right = endless = 0
    for k in range(CONFIDENCE_CELLS - 1, -1, -1):
        rows, won = tally.cells[k].tolist()
        if not rows:
            continue
        if tally.weighted:
            weight += tally.cell_weights.whole(k)
            right += tally.cell_weights.whole(CONFIDENCE_CELLS + k)
        else:
            weight += rows << SMALLEST
            right += won << SMALLEST
        cost += tally.spent.whole(k)
        endless += int(tally.endless[k])
        if weight * COVERAGE_STEPS < step * moments.weight:
            continue
        mean = math.inf if endless else ratio(cost, weight) / unit
        share = ratio(weight, moments.weight)
        found.append(CoveredRows(k / CONFIDENCE_CELLS, share, mean, ratio(right, weight)))
        step = weight * COVERAGE_STEPS // moments.weight + 1
    return found


def _margins(table: NDArray[Any]) -> NDArray[Any]:
    """Return the sums of the lines and of the columns, and the diagonal."""
    return np.stack([table.sum(axis=1), table.sum(axis=0), table.diagonal()])


def _by_truth(sums: Sums, classes: int) -> Numbers:
    """Return the sums of all pairs of a true class, as exact as one of them."""
    out = Sums(classes)
    for guess in range(classes):
        out.limbs += sums.limbs[guess::classes][:classes]
    for slot, amount in sums.beyond.items():
        out.add_whole(slot // classes, amount)
    return out.values()


def _plain(weight: float, *, whole: bool) -> float:
    return round(weight) if whole else float(weight)


def _calibration(tally: RowTally, total: float) -> tuple[list[Bin], float]:
    """Reliability of the winning class in bins of equal width, and the mean gap between them."""
    each = CONFIDENCE_CELLS // BINS
    bins, gap = [], 0.0
    for k in range(BINS):
        own = range(k * each, (k + 1) * each)
        if not tally.cells[own.start : own.stop, 0].any():
            continue
        if tally.weighted:
            weight, right, said = (
                tally.cell_weights.total(
                    range(j * CONFIDENCE_CELLS + own.start, j * CONFIDENCE_CELLS + own.stop)
                )
                for j in range(3)
            )
        else:
            rows, won = tally.cells[own.start : own.stop].sum(axis=0).tolist()
            weight, right, said = rows << SMALLEST, won << SMALLEST, tally.said.total(own)
        bins.append(
            Bin(
                k / BINS,
                (k + 1) / BINS,
                _plain(ratio(weight, ONE), whole=not tally.weighted),
                ratio(said, weight),
                ratio(right, weight),
            )
        )
        gap += abs(ratio(said - right, ONE))
    return bins, gap / total


def _floored(tally: RowTally, moments: CostMoments, unit: float) -> dict[str, float]:
    """Return the mean cost with each floor: what lies above it costs what it allows."""
    found = {}
    for k, (name, most) in enumerate(zip(FLOORS, FLOOR_COSTS.tolist(), strict=True)):
        above, spent = (Fraction(tally.floors.whole(j)) for j in (k, len(FLOORS) + k))
        cost = moments.cost - spent + above * Fraction(most)
        found[name] = float(cost / moments.weight) / unit
    return found


def _per_class(
    tally: RowTally, classes: _Classes, labels: list[Any], unit: float
) -> list[ClassRow]:
    """Return a row for each class that occurs or is predicted."""
    counts, said, right = classes.weights
    endless = int(classes.endless.sum())
    total = math.fsum(classes.cost)
    some = np.flatnonzero((counts > 0) | (said > 0))
    counts, said, right, many = counts[some], said[some], right[some], classes.endless[some]
    cost = np.where(many > 0, math.inf, classes.cost[some])
    # Among infinite costs, only how many there are can be compared.
    share = many / endless if endless else cost / (total or 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = (
            cost / np.where(counts > 0, counts, math.nan) / unit, share,
            right / np.where(counts > 0, counts, math.nan),
            right / np.where(said > 0, said, math.nan),
        )  # fmt: skip
    rows = counts.tolist() if tally.weighted else counts.astype(np.int64).tolist()
    # One NaN for all, which equals itself in lists.
    columns = [rows, *([v if v == v else math.nan for v in part.tolist()] for part in parts)]
    return [ClassRow(labels[k], *row) for k, *row in zip(some.tolist(), *columns, strict=True)]


def _pairs(tally: RowTally, labels: list[Any], unit: float) -> PairList:
    """Return the pairs of a true and a predicted class that occur, the most frequent first."""
    pairs = tally.pairs
    rows = pairs.weight.values() if tally.weighted else pairs.rows
    some = np.flatnonzero(pairs.rows[: pairs.used])
    keys, cost = pairs.keys[some], pairs.cost.values(pairs.used)[some] / unit
    if tally.endless_pairs:
        cost[np.isin(keys, list(tally.endless_pairs))] = math.inf
    return PairList(keys, rows[some], cost, labels)


def _slices(name: Any, slices: Slices, unit: float) -> list[SliceRow]:
    """Return a row for each value, the one that costs most in all first."""
    out = []
    for value, slot in slices.slots.items():
        moments = slices.moments(slot)
        right = int(slices.counts[1, slot]) << SMALLEST
        if slices.weighted:
            right = slices.sums["right_weight"].whole(slot)
        mean, low, high = moments.interval(unit)
        weight = _plain(ratio(moments.weight, ONE), whole=not slices.weighted)
        accuracy = ratio(right, moments.weight)
        out.append(SliceRow(name, value, weight, mean, low, high, accuracy))
    return sorted(out, key=lambda piece: (-piece.rows * piece.cross_entropy, repr(piece.value)))


def _signature(tally: RowTally, labels: list[Any], base: float, moments: CostMoments) -> str:
    """Write the line by which another person can tell that they evaluated the same thing alike."""
    parts = [
        f"xent {_own_version()}",
        f"base {base:g}",
        f"{tally.rows} rows",
        f"{tally.classes} classes",
        f"{BINS} equal-width bins",
        f"data sha256:{_digest(tally, labels, moments)[:16]}",
        f"numpy {np.__version__}",
        f"python {platform.python_version()}",
    ]
    return " | ".join(parts)


@cache
def _own_version() -> str:
    from importlib.metadata import version

    return version("xent")


def _digest(tally: RowTally, labels: list[Any], moments: CostMoments) -> str:
    """Hash every sum: exact as they are, other rows leave other sums."""
    digest = hashlib.sha256(repr(labels).encode())
    digest.update(repr(("weighted" if tally.weighted else "plain", tally.rows)).encode())
    order = np.argsort(tally.pairs.keys[: tally.pairs.used])
    for array in (tally.pairs.keys, tally.pairs.rows):
        for at in range(0, len(order), 1 << 14):  # of many pairs no second copy is made
            digest.update(array[order[at : at + (1 << 14)]].astype("<i8", copy=False).data)
    for array in (tally.cells, tally.ranks, tally.endless):
        digest.update(np.ascontiguousarray(array, "<i8").data)
    exact = (moments, *(tally.totals.whole(k) for k in range(len(TOTALS))), tally.said.total())
    digest.update(repr(exact).encode())
    return digest.hexdigest()
