"""What a report is held against beside the classes' own frequencies."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from xent import _check
from xent.evaluation._arrays import array_of
from xent.evaluation._report import Report


def with_baselines(report: Report, prior: Any, label_smoothing: float, unit: float) -> Report:
    """Return a report with the baselines that were asked for.

    Parameters
    ----------
    report : Report
        The rest of it.
    prior : mapping of label to float, array_like of shape (C,), or None
        How often each class occurs where the model was trained, or how probable it is there.
    label_smoothing : float
        What the model was trained with; 0 for none.
    unit : float
        Natural logarithm of the base.
    """
    if not 0 <= label_smoothing < 1:
        raise _check.invalid("label_smoothing", "be from 0 to below 1", label_smoothing)
    if label_smoothing:
        kept = 1 - label_smoothing + label_smoothing / report.classes
        report = replace(report, smoothing_floor=-math.log(kept) / unit)
    if prior is None:
        return report
    shares = _shares(prior, report.labels)
    cost = math.fsum(
        c.rows * (-math.log(shares[c.label]) if shares[c.label] > 0 else math.inf)
        for c in report.per_class
        if c.rows
    )
    return replace(report, training_prior=cost / report.weight / unit)


def _shares(prior: Any, labels: list[Any]) -> dict[Any, float]:
    """Return the share of each class."""
    if isinstance(prior, Mapping):
        strange = [name for name in prior if name not in labels]
        if strange:
            must = f"name the classes {_check.join_names(labels, limit=6)}"
            raise _check.invalid("prior", must, repr(strange[0]))
        values = np.array([prior.get(label, 0.0) for label in labels], np.float64)
    else:
        values = array_of("prior", prior)
    if values.shape != (len(labels),) or values.dtype.kind not in "fiub":
        got = f"the shape {values.shape} of {values.dtype}"
        raise _check.invalid("prior", f"have a number for each class, {len(labels)}", got)
    values = values.astype(np.float64)
    if not (np.isfinite(values).all() and (values >= 0).all() and values.sum() > 0):
        raise _check.invalid("prior", "be finite, 0 or more, not all 0", str(values.tolist()))
    total = math.fsum(values)
    return {label: float(v) / total for label, v in zip(labels, values, strict=True)}
