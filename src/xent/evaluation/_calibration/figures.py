"""All that is said of calibration in a report, from predictions and what was measured of them."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.evaluation._accumulator.scores.column import ScoreCounts
from xent.evaluation._calibration.bins import Binning, binning_of
from xent.evaluation._calibration.counted import finest_blocks, view_of
from xent.evaluation._calibration.diagram import curve
from xent.evaluation._calibration.estimators.corp import LevelBlocks, decomposed, recalibrated
from xent.evaluation._calibration.estimators.cox import slope_and_intercept
from xent.evaluation._calibration.estimators.expected import binned
from xent.evaluation._calibration.estimators.smooth import smooth_error
from xent.evaluation._calibration.recovered import of_many, of_yes_no
from xent.evaluation._calibration.views import against_rest, of_two, of_winner
from xent.evaluation._calibration.yes_no import YesNo
from xent.evaluation._numbers import Bin
from xent.evaluation._predictions import Predictions
from xent.evaluation._report import Report
from xent.evaluation._rows import RowFigures

USUAL = binning_of(None)
MOST_SLICES_BINNED = 20  # of each column
MOST_CUBED = 10  # classes that each slice has bins of


@np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")
def with_calibration(
    report: Report,
    given: Predictions,
    rows: RowFigures,
    unit: float,
    bins: Binning,
    columns: Mapping[Any, list[Any]],
) -> Report:
    """Return a report with all that is said of calibration.

    Parameters
    ----------
    report : Report
        The rest of it.
    given : Predictions
        What the model said.
    rows : RowFigures
        What was measured of it.
    unit : float
        Natural logarithm of the base that costs are counted in.
    bins : Binning
        Of the reliability diagrams and the calibration errors.
    columns : mapping of list
        Values that part the rows.
    """
    # Costs of 1e308 nats and weights of 1e-300 leave infinities, or nothing, and no warning.
    whole, classes = given.weight is None, len(given.labels)
    if classes < 2:
        return report
    corp: dict[str, Any] = {}
    reliability: dict[str, Any] = {}
    if classes == 2:
        yes = of_two(rows, given, whole=whole)
        blocks = recalibrated(yes)
        corp = dict(decomposed(yes, blocks, unit))
        reliability["yes"] = believed(yes, blocks, bins)
        recovered = of_yes_no(yes, unit)
    else:
        views = against_rest(rows, given, whole=whole)
        each = ((c, view, recalibrated(view)) for c, view in views)
        corp, reliability = summed(given.labels, each, unit, bins)
        recovered = of_many(given, rows, unit)
    winner = of_winner(rows, whole=whole)
    blocks = recalibrated(winner)
    corp["top_label"] = decomposed(winner, blocks, unit)
    reliability["top_label"] = _errors(winner, bins)
    if classes > 2:
        reliability["top_label"]["corp"] = curve(winner, blocks)
    if columns:
        reliability["slices"] = sliced(report, given, rows, bins, columns, whole=whole)
    decomposition: dict[str, Any] = {"corp": corp}
    if "temperature" in recovered:
        mended = recovered["temperature"]
        decomposition["refinement"] = {
            "mean": mended["mean"] + mended["left"],
            "calibration_error": mended["mean"],
            "low": mended["low"],
            "high": mended["high"],
            "refinement": mended["left"],
        }
    report = replace(
        report, decomposition=decomposition, recovered=recovered, reliability=reliability
    )
    return report if bins == USUAL else _binned_so(report, bins)


def sliced(
    report: Report,
    given: Predictions,
    rows: RowFigures,
    bins: Binning,
    columns: Mapping[Any, list[Any]],
    *,
    whole: bool,
) -> list[dict[str, Any]]:
    """Return the calibration in bins of the slices that cost most: no rows, a cube of counts.

    Each is of P(yes) for two classes, else of the winning class and of up to `MOST_CUBED` others.
    """
    found = []
    for name, values in columns.items():
        mine = np.array([repr(values[i]) for i in rows.row.tolist()])
        some = [piece for piece in report.slices if piece.name == name][:MOST_SLICES_BINNED]
        for piece in some:
            part = rows_where(rows, mine == repr(piece.value))
            views: dict[str, YesNo] = {}
            if report.classes == 2:
                views["yes"] = of_two(part, given, whole=whole)
            else:
                views["top_label"] = of_winner(part, whole=whole)
            each: dict[str, Any] = {name: binned(view, bins) for name, view in views.items()}
            if 2 < report.classes <= MOST_CUBED:
                each["classes"] = [
                    {"label": given.labels[c], **binned(view, bins)}
                    for c, view in against_rest(part, given, whole=whole)
                ]
            found.append({"by": name, "value": piece.value, **each})
    return found


def rows_where(rows: RowFigures, some: NDArray[np.bool_]) -> RowFigures:
    """Return the figures of some rows."""
    arrays = {
        field.name: getattr(rows, field.name)[some]
        for field in fields(RowFigures)
        if field.name != "scores"
    }
    return RowFigures(**arrays, scores=[score[some] for score in rows.scores])


def _binned_so(report: Report, bins: Binning) -> Report:
    """Return a report whose calibration of the winning class is in the bins that were chosen."""
    found = report.reliability["top_label"]
    names = ("low", "high", "rows", "said", "seen")
    return replace(
        report,
        binning=bins.name,
        calibration_error=found["ece"],
        calibration=[Bin(*(each[name] for name in names)) for each in found["bins"]],
        signature=report.signature.replace(USUAL.name, bins.name),
    )


@np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")
def with_counts(
    report: Report, scores: ScoreCounts | None, unit: float, bins: Binning = USUAL
) -> Report:
    """Return a report with what counts of rows by their scores say of calibration.

    That is all that does not ask which rows they were: no calibrator is fitted. Of the winning
    class something is said where its probabilities were counted.

    Parameters
    ----------
    report : Report
        The rest of it.
    scores : ScoreCounts or None
        How many rows there are of each score.
    unit : float
        Natural logarithm of the base that costs are counted in.
    bins : Binning
        Of the reliability diagrams and the calibration errors.
    """
    if scores is None or not scores.every:
        return report
    views = [view_of(column) for column in scores.columns]
    whole = not scores.every[0].weighted
    corp: dict[str, Any] = {}
    reliability: dict[str, Any] = {}
    if report.classes > 2:
        both = enumerate(zip(scores.columns, views, strict=True))
        each = ((c, view, finest_blocks(column, view)) for c, (column, view) in both)
        corp, reliability = summed(report.labels, each, unit, bins)
    else:
        blocks = recalibrated(views[0])
        means = {"brier": report.brier / 2, "log": report.cross_entropy}
        finest_of_yes = finest_blocks(scores.columns[0], views[0], blocks)
        corp = dict(decomposed(views[0], finest_of_yes, unit, means))
        reliability = {"yes": believed(views[0], blocks, bins)} if whole else {}
    if scores.winner is not None:
        winner = view_of(scores.winner)
        blocks = recalibrated(winner)
        finest_of_winner = finest_blocks(scores.winner, winner, blocks)
        corp["top_label"] = decomposed(winner, finest_of_winner, unit)
        reliability["top_label"] = _errors(winner, bins)
        if report.classes > 2:
            reliability["top_label"]["corp"] = curve(winner, blocks)
    report = replace(report, decomposition={"corp": corp}, reliability=reliability if whole else {})
    return report if bins == USUAL else _binned_so(report, bins)


def believed(view: YesNo, blocks: LevelBlocks, bins: Binning) -> dict[str, Any]:
    """Return all that is said of the probabilities of yes."""
    return {**_errors(view, bins), **slope_and_intercept(view), "corp": curve(view, blocks)}


def _errors(view: YesNo, bins: Binning) -> dict[str, Any]:
    found = binned(view, bins)
    each = found.pop("bins")
    return {**found, "smooth_ece": smooth_error(view), "bins": each}


def summed(
    labels: list[Any], views: Iterable[tuple[int, YesNo, LevelBlocks]], unit: float, bins: Binning
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the decomposition of each class against the rest, and its calibration errors."""
    each, errors = [], []
    for c, view, blocks in views:
        each.append({"label": labels[c], **decomposed(view, blocks, unit)})
        errors.append({"label": labels[c], **binned(view, bins)})
    if not each:
        return {}, {}
    sums: dict[str, Any] = {
        score: {part: sum(entry[score][part] for entry in each) for part in each[0][score]}
        for score in ("brier", "log")
    }
    means: dict[str, Any] = {
        name: sum(entry[name] for entry in errors) / len(errors)
        for name in ("ece", "ece_debiased", "ece_if_calibrated")
    }
    return {**sums, "classes": each}, {"classwise": {**means, "classes": errors}}
