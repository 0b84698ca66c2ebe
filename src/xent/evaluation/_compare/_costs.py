"""What each row costs under each model: from predictions, or as it was measured before."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.evaluation._arrays import array_of, weights_of
from xent.evaluation._calibration.bins import binning_of
from xent.evaluation._calibration.diagram import steps
from xent.evaluation._calibration.estimators.corp import recalibrated
from xent.evaluation._calibration.estimators.expected import binned
from xent.evaluation._calibration.views import of_winner
from xent.evaluation._calibration.yes_no import in_order
from xent.evaluation._evaluate import evaluated
from xent.evaluation._rows import RowFigures
from xent.evaluation._truth import values_of

Numbers = NDArray[np.float64]
PREDICTION_KINDS = ("probs", "logits", "log_probs", "costs")


@dataclass(frozen=True)
class Costs:
    """Rows that count, and what each costs under each model.

    Parameters
    ----------
    row : ndarray of int64, shape (N,)
        Their numbers in what was given.
    weight : ndarray of float64, shape (N,)
        How much each counts.
    cost : list of ndarray of float64, shape (N,)
        A model's costs, in the unit of the comparison; infinite where the true class was given
        probability 0.
    given : int
        How many rows were given.
    reliability : list of dict
        Of each model as in `ModelCost`.
    """

    row: NDArray[np.int64]
    weight: Numbers
    cost: list[Numbers]
    given: int
    reliability: list[dict[str, Any]]


def costs_of(
    models: Sequence[tuple[str, str, Any]],
    target: Any,
    unit: float,
    sample_weight: Any,
    **reading: Any,
) -> Costs:
    """Measure every model on the same rows.

    Parameters
    ----------
    models : sequence of (str, str, object)
        What the caller calls the argument, the kind of its numbers, and they.
    target : array_like or None
        The true classes; None where every model comes as costs.
    unit : float
        Natural logarithm of the base.
    sample_weight : array_like or None
        How much each row counts.
    **reading : object
        As `evaluate` takes it: labels, positive, ignore_index, normalize, allow_probabilities.
    """
    found: list[Numbers] = []
    reliability: list[dict[str, Any]] = []
    row: NDArray[np.int64] | None = None
    weight: Numbers | None = None
    rows = 0 if target is None else len(values_of(target))
    sizes = []
    for argument, kind, value in models:
        if kind == "costs":
            found.append(_given_costs(argument, value))
            reliability.append({})
            sizes.append(len(found[-1]))
            continue
        if target is None:
            must = "be given where a model comes as " + _check.argument(kind)
            raise _check.wrong_kind("target", must, "None")
        report, each = _measured(argument, kind, value, target, sample_weight, reading)
        reliability.append(_reliability(report.classes, each, whole=sample_weight is None))
        cost = np.full(rows, np.nan)
        cost[each.row] = each.cost / unit
        found.append(cost)
        sizes.append(len(cost))
        row, weight = each.row, each.weight
    _check_sizes(models, sizes)
    if row is None or weight is None:
        for name, given in reading.items():
            if given is not None and given is not False:
                none = "be left out where all models come as costs"
                raise _check.invalid(name, none, repr(given))
        weight = np.ones(sizes[0])
        if sample_weight is not None:
            weight = weights_of(sample_weight, sizes[0])
        row = np.flatnonzero(weight > 0)
        weight = weight[row]
    return Costs(row, weight, [cost[row] for cost in found], sizes[0], reliability)


def _measured(
    argument: str, kind: str, value: Any, target: Any, sample_weight: Any, reading: dict[str, Any]
) -> Any:
    """Measure one model; what is refused names the model and not the argument of `evaluate`."""
    scores = {name: value if kind == name else None for name in PREDICTION_KINDS[:3]}
    try:
        return evaluated(
            target, *scores.values(), sample_weight=sample_weight, by=None, ids=None, base=math.e,
            orders=False, **reading,
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        others = {
            other: f'kind="{other}"'
            for other in PREDICTION_KINDS[:3]
            if _check.typed(other) is None
        }
        _check.respell(error, others | {kind: argument})
        raise


@np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")
def _reliability(classes: int, rows: RowFigures, *, whole: bool) -> dict[str, Any]:
    """Return the reliability diagram of yes of two classes, of more of the winning class."""
    if classes < 2:
        return {}
    name, view = "top_label", of_winner(rows, whole=whole)
    if classes == 2:
        name, p = "yes", np.where(rows.guess == 1, rows.confidence, 1 - rows.confidence)
        logs = np.log(p), np.log1p(-p)
        view = in_order(p, *logs, rows.cost, rows.truth == 1, rows.weight, whole=whole)
    corp = {"blocks": steps(view, recalibrated(view))}
    return {name: {**binned(view, binning_of(None)), "corp": corp}}


def _given_costs(argument: str, value: Any) -> Numbers:
    """Return costs that were measured before: numbers, infinite ones too."""
    raw = array_of(argument, value)
    if raw.ndim != 1 or raw.dtype.kind not in "fiu" or not raw.size:
        got = f"the shape {raw.shape} of {raw.dtype}"
        raise _check.invalid(argument, "have one cost a row, a number", got)
    cost = raw.astype(np.float64)
    bad = np.isnan(cost) | np.isneginf(cost)
    if bad.any():
        at = int(bad.argmax())
        raise _check.invalid(argument, "be numbers, or inf", f"{cost[at]} at row {at}")
    return cost


def _check_sizes(models: Sequence[tuple[str, str, Any]], sizes: list[int]) -> None:
    for (argument, _, _), size in zip(models, sizes, strict=True):
        if size != sizes[0]:
            must = f"have the rows of the first model, {sizes[0]}"
            raise _check.invalid(argument, must, size)
