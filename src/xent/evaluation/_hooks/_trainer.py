"""`compute_metrics` of Hugging Face's Trainer: bits of what it predicted, padding left out."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xent import _check
from xent.evaluation._arrays import array_of
from xent.evaluation._evaluate import evaluate
from xent.evaluation._kinds._dense import evaluate_dense
from xent.evaluation._report import Report


@dataclass(frozen=True)
class TrainerMetrics:
    """Takes a Trainer's predictions, returns numbers by name.

    Parameters
    ----------
    labels : list or None
        Names of the classes, for the report.
    ignore_index : int
        A label that says to leave its place out.
    shift : bool
        Whether the logits of a token are of the next one's label.
    logits : int or None
        Which of several outputs of the model are logits.
    base : float
        Base of the logarithm.
    """

    labels: list[Any] | None
    ignore_index: int
    shift: bool
    logits: int | None
    base: float

    def __call__(self, predictions: Any) -> dict[str, float]:
        """Return numbers by name, as a Trainer logs them."""
        report = self.report(predictions)
        found = {
            f"cross_entropy_{report.unit.replace(' ', '_')}": report.cross_entropy,
            "cross_entropy_low": report.low,
            "cross_entropy_high": report.high,
            "perplexity": report.perplexity,
            "explained": report.explained,
            "accuracy": report.accuracy,
            "brier": report.brier,
            "calibration_error": report.calibration_error,
            "impossible": float(report.impossible),
            "rows": float(report.rows),
        }
        return {name: float(value) for name, value in found.items()}

    def report(self, predictions: Any) -> Report:
        """Return the whole report of a Trainer's predictions.

        Parameters
        ----------
        predictions : EvalPrediction or pair
            Logits, and labels.
        """
        logits, target = _pair(predictions)
        logits = _one("predictions", logits, self.logits)
        logits = array_of("predictions", logits)
        target = array_of("label_ids", _one("label_ids", target, None))
        if logits.ndim not in (2, 3):
            must = "be logits of the shape (rows, classes) or (rows, tokens, classes)"
            advice = "Of one logit a row, or of other tasks, bits of classes mean nothing."
            raise _check.invalid("predictions", must, str(logits.shape), advice)
        if self.shift:
            if logits.ndim != 3 or target.ndim != 2:
                must = "be left out where predictions are not of the shape (rows, tokens, classes)"
                raise _check.invalid("shift", must, "True")
            logits, target = logits[:, :-1], target[:, 1:]
        if logits.ndim == 3:
            report = evaluate_dense(
                target, logits=logits, class_axis=-1, ignore_index=self.ignore_index,
                allow_probabilities=True, base=self.base,
            )  # fmt: skip
        else:
            report = evaluate(
                target, logits=logits, ignore_index=self.ignore_index, allow_probabilities=True,
                base=self.base,
            )  # fmt: skip
        return report if self.labels is None else _named(report, self.labels)


def compute_metrics(
    *,
    labels: Any = None,
    ignore_index: int = -100,
    shift: bool = False,
    logits: int | None = None,
    base: float = 2,
) -> TrainerMetrics:
    """Return what a Hugging Face Trainer takes as ``compute_metrics``.

    cross-entropy = - Σ log2 softmax(logits)[label] / labels that are not ignored

    Parameters
    ----------
    labels : sequence, optional
        Names of the classes, such as ``model.config.id2label.values()``, for the report.
    ignore_index : int
        A label that says to leave its place out, as a Trainer pads with -100.
    shift : bool
        Whether a token's logits are of the next token's label, as those of causal language models:
        their labels are not shifted when they reach ``compute_metrics``.
    logits : int, optional
        Which of several outputs of the model are logits, where there are several.
    base : float
        Base of the logarithm: 2 gives bits, math.e nats.

    Returns
    -------
    TrainerMetrics
        Called with an EvalPrediction, or with the pair (predictions, label_ids), it returns a
        dictionary of numbers; its method ``report`` returns the whole `Report`.

    Raises
    ------
    ValueError, TypeError
        When called, if predictions are no logits of classes.

    Notes
    -----
    Predictions (N, T, C) count every token once, and the interval is that of whole sequences.

    Examples
    --------
    >>> metrics = compute_metrics()(([[0.0, 0.0], [0.0, 0.0]], [1, -100]))
    >>> metrics["cross_entropy_bits"], metrics["rows"]
    (1.0, 1.0)
    """
    _check.log_of_base(base, "a report")
    names = None if labels is None else list(labels)
    return TrainerMetrics(names, ignore_index, shift, logits, float(base))


def _pair(predictions: Any) -> tuple[Any, Any]:
    """Return predictions and labels, of an EvalPrediction or of a pair."""
    if hasattr(predictions, "predictions") and hasattr(predictions, "label_ids"):
        return predictions.predictions, predictions.label_ids
    if isinstance(predictions, tuple | list) and len(predictions) == 2:
        return predictions[0], predictions[1]
    must = "be an EvalPrediction, or the pair (predictions, label_ids)"
    raise _check.wrong_kind("predictions", must, _check.a(predictions))


def _one(argument: str, value: Any, which: int | None) -> Any:
    """Return one array of what may be a tuple of several."""
    if not isinstance(value, tuple):
        return value
    if which is not None and -len(value) <= which < len(value):
        return value[which]
    must = "be one array" if argument == "label_ids" else "be one array, or say which are logits"
    advice: _check.Words = ""
    if argument == "predictions":
        advice = "Pass " + _check.setting("logits", 0) + " for the first."
    shapes = _check.join_names([np.shape(part) for part in value], last="and", limit=4)
    raise _check.invalid(argument, must, f"{len(value)} of the shapes {shapes}", advice)


def _named(report: Report, labels: list[Any]) -> Report:
    """Return the report with names for the numbers of its classes."""
    from dataclasses import replace

    if len(labels) != report.classes:
        must = f"name the {report.classes} classes"
        raise _check.invalid("labels", must, len(labels))
    names = dict(enumerate(labels))
    return replace(
        report,
        labels=labels,
        per_class=[replace(c, label=names[c.label]) for c in report.per_class],
        pairs=[
            replace(p, target=names[p.target], prediction=names[p.prediction]) for p in report.pairs
        ],
        hardest=[
            replace(h, target=names[h.target], prediction=names[h.prediction])
            for h in report.hardest
        ],
    )
