"""All that is said of calibration in a report, from predictions and what was measured of them."""

from dataclasses import replace
from typing import Any

from xent.evaluation._calibration.corp import decomposed, recalibrated
from xent.evaluation._calibration.cox import slope_and_intercept
from xent.evaluation._calibration.diagram import curve
from xent.evaluation._calibration.expected import binned
from xent.evaluation._calibration.recovered import of_many, of_yes_no
from xent.evaluation._calibration.smooth import smooth_error
from xent.evaluation._calibration.views import against_rest, of_two, of_winner
from xent.evaluation._calibration.yes_no import YesNo
from xent.evaluation._predictions import Predictions
from xent.evaluation._report import Report
from xent.evaluation._rows import RowFigures


def with_calibration(report: Report, given: Predictions, rows: RowFigures, unit: float) -> Report:
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
    """
    whole, classes = given.weight is None, len(given.labels)
    if classes < 2:
        return report
    corp: dict[str, Any] = {}
    reliability: dict[str, Any] = {}
    if classes == 2:
        yes = of_two(rows, given, whole=whole)
        blocks = recalibrated(yes)
        corp = dict(decomposed(yes, blocks, unit))
        reliability["yes"] = {
            **_errors(yes),
            **slope_and_intercept(yes),
            "corp": curve(yes, blocks),
        }
        recovered = of_yes_no(yes, unit)
    else:
        corp, reliability = _against_rest(given, rows, unit, whole=whole)
        recovered = of_many(given, rows, unit)
    winner = of_winner(rows, whole=whole)
    blocks = recalibrated(winner)
    corp["top_label"] = decomposed(winner, blocks, unit)
    reliability["top_label"] = _errors(winner)
    if classes > 2:
        reliability["top_label"]["corp"] = curve(winner, blocks)
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
    return replace(
        report, decomposition=decomposition, recovered=recovered, reliability=reliability
    )


def _errors(view: YesNo) -> dict[str, Any]:
    found = binned(view)
    bins = found.pop("bins")
    return {**found, "smooth_ece": smooth_error(view), "bins": bins}


def _against_rest(
    given: Predictions, rows: RowFigures, unit: float, *, whole: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the decomposition of each class against the rest, and its calibration errors."""
    each, errors = [], []
    for c, view in against_rest(rows, given, whole=whole):
        each.append({"label": given.labels[c], **decomposed(view, recalibrated(view), unit)})
        errors.append({"label": given.labels[c], **binned(view)})
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
