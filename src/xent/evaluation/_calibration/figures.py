"""All that is said of calibration in a report, from predictions and what was measured of them."""

from dataclasses import replace
from typing import Any

from xent.evaluation._calibration.corp import decomposed, recalibrated
from xent.evaluation._calibration.recovered import of_many, of_yes_no
from xent.evaluation._calibration.views import against_rest, of_two, of_winner
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
    if classes == 2:
        yes = of_two(rows, given, whole=whole)
        corp = dict(decomposed(yes, recalibrated(yes), unit))
        recovered = of_yes_no(yes, unit)
    else:
        corp = _summed(given, rows, unit, whole=whole)
        recovered = of_many(given, rows, unit)
    winner = of_winner(rows, whole=whole)
    corp["top_label"] = decomposed(winner, recalibrated(winner), unit)
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
    return replace(report, decomposition=decomposition, recovered=recovered)


def _summed(given: Predictions, rows: RowFigures, unit: float, *, whole: bool) -> dict[str, Any]:
    """Return the decomposition of each class against the rest, and their sums."""
    each = []
    for c, view in against_rest(rows, given, whole=whole):
        each.append({"label": given.labels[c], **decomposed(view, recalibrated(view), unit)})
    if not each:
        return {}
    sums: dict[str, Any] = {
        score: {part: sum(entry[score][part] for entry in each) for part in each[0][score]}
        for score in ("brier", "log")
    }
    return {**sums, "classes": each}
