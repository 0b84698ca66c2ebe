"""Calibrators of others, cross-fitted as ours are: probmetrics' by name, any object by its methods.

An object is one of scikit-learn's kind: ``fit(probabilities, classes)``, ``predict_proba``. Those
of probmetrics (Berta, Holzmueller, Jordan and Bach 2025) are such, from scaling a vector or a
matrix to splines and Venn-Abers.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from xent import _check, _optional
from xent.evaluation._calibration.folds import CROSS_FOLDS, dealt
from xent.evaluation._calibration.recovered import LEAST_ROWS, MOST_CELLS, content_of, gained
from xent.evaluation._calibration.yes_no import Numbers
from xent.evaluation._predictions import Predictions
from xent.evaluation._rows import RowFigures

OFF_BY_ROUNDING = 1e-3  # how far a row that a calibrator returns may be from 1


def calibrators_of(given: Iterable[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Return calibrators by their names; those that are named alone are of probmetrics."""
    if isinstance(given, Mapping):
        for name, one in given.items():
            if not (hasattr(one, "fit") and hasattr(one, "predict_proba")):
                must = "hold objects that have `fit` and `predict_proba`"
                raise _check.wrong_kind("calibrators", must, f"{_check.a(one)} for {name!r}")
        return dict(given)
    if isinstance(given, str):
        raise _check.wrong_kind("calibrators", "be several names, or objects by name", repr(given))
    names = list(given)
    typed = _check.typed("calibrators") or "calibrators="
    _optional.need("probmetrics", extra="calibration", by=f"{typed} by name")
    with warnings.catch_warnings():
        # What it stands on was written for an older PyTorch.
        warnings.simplefilter("ignore", DeprecationWarning)
        factory: Any = import_module("probmetrics.calibrators")
    found = {}
    for name in names:
        try:
            found[name] = factory.get_calibrator(name)
        except ValueError as error:
            must = "be names that probmetrics knows"
            raise _check.invalid("calibrators", must, f"{name!r} ({error})") from None
    return found


def recovered_by(
    calibrators: Mapping[str, Any], given: Predictions, rows: RowFigures, unit: float
) -> dict[str, dict[str, float]]:
    """Return what calibrators recover a row, each fitted on other folds than it mends.

    Parameters
    ----------
    calibrators : mapping of name to object
        What `calibrators_of` returned.
    given, rows : Predictions, RowFigures
        What the model said, and what was measured of it.
    unit : float
        Natural logarithm of the base that costs are counted in.

    Returns
    -------
    dict
        For each the ``mean`` recovered, from ``low`` to ``high``, and what is ``left``.
    """
    if given.weight is not None:
        must = "be left out where `sample_weight` is given: these calibrators take no weights"
        raise _check.invalid("calibrators", must, "both")
    if len(rows.row) < LEAST_ROWS:
        return {}
    fold, chosen = dealt(content_of(given, rows), max(LEAST_ROWS, MOST_CELLS // len(given.labels)))
    probs = np.concatenate([p for _, _, p in given.distributions(check=False)])[rows.row]
    found = {}
    for name, one in calibrators.items():
        cost = np.empty(len(rows.row))
        for k in (CROSS_FOLDS, *range(CROSS_FOLDS)):
            learn = chosen & (fold != k)
            mend = ~chosen if k == CROSS_FOLDS else chosen & (fold == k)
            if not (learn.any() and mend.any()):
                continue
            fitted = copy.deepcopy(one)
            fitted.fit(probs[learn], rows.truth[learn])
            mended = _checked(name, fitted.predict_proba(probs[mend]), probs[mend].shape)
            with np.errstate(divide="ignore"):
                cost[mend] = np.abs(np.log(mended[np.arange(len(mended)), rows.truth[mend]]))
        found[name] = gained(rows.cost, cost, rows.weight, unit)
    return found


def _checked(name: str, value: Any, shape: tuple[int, ...]) -> Numbers:
    """Return what a calibrator gave as rows that sum to 1; they may come in single precision."""
    found = np.asarray(value, dtype=np.float64)
    what = f"The calibrator {name!r} cannot be used"
    if found.shape != shape:
        because = f"it returned the shape {found.shape} for {shape}"
        advice = "Does every class occur among the rows that it is fitted on?"
        raise _check.cannot(what, because, advice)
    total = found.sum(axis=1)
    if not ((found >= 0).all() and (np.abs(total - 1) <= OFF_BY_ROUNDING).all()):
        raise _check.cannot(what, "it returned rows that are no probabilities")
    return np.asarray(found / total[:, None])
