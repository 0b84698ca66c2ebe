"""Calibration slope and intercept, as medicine asks for them.

Cox (1958), Two further applications of a model for binary regression, Biometrika 45; Van Calster et
al. (2019), Calibration: the Achilles heel of predictive analytics, BMC Medicine 17. A slope below 1
says that predictions are too extreme, an intercept above 0 that yes is more frequent than said.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from xent.evaluation._calibration.calibrators.isotonic import MOST_LOG_ODDS
from xent.evaluation._calibration.calibrators.logistic import Line, fitted_line
from xent.evaluation._calibration.estimators.interval import CONFIDENCE
from xent.evaluation._calibration.yes_no import Numbers, YesNo


def slope_and_intercept(rows: YesNo) -> dict[str, Any]:
    """Return the slope and the intercept, each with its 95 % interval.

    Parameters
    ----------
    rows : YesNo
        The rows. Those of probability 0 or 1 are left out.

    Returns
    -------
    dict
        ``slope`` of the logistic regression of yes on the log odds, and ``intercept`` of the one
        whose slope is 1 (calibration in the large), each with ``value``, ``low`` and ``high`` of
        Wald's interval; how many rows were ``left_out``. None where the regression has no finite
        answer: rows that are parted without a mistake, or but one class.
    """
    some = np.abs(rows.log_odds) < MOST_LOG_ODDS
    x, w = rows.log_odds[some], rows.weight[some]
    y = rows.yes[some]
    found: dict[str, Any] = {"slope": None, "intercept": None, "left_out": int((~some).sum())}
    if not len(x) or y.all() or not y.any():
        return found
    large = fitted_line(x, y, w, slope=False)
    found["intercept"] = _with_interval(large, x, y, w, 1, whole=rows.whole)
    if x.min() < x.max():
        line = fitted_line(x, y, w)
        if not line.separated:
            found["slope"] = _with_interval(line, x, y, w, 0, whole=rows.whole)
    return found


def _with_interval(
    line: Line, x: Numbers, y: NDArray[np.bool_], weight: Numbers, place: int, *, whole: bool
) -> dict[str, float]:
    covariance = line.covariance
    if not whole:
        # Weights are no numbers of rows: the sandwich of Huber (1967) and White (1980).
        pull = weight * (expit(line.slope * x + line.intercept) - y)
        each = np.stack([pull * x, pull], axis=1)
        covariance = covariance @ np.einsum("ni,nj->ij", each, each) @ covariance
    value = (line.slope, line.intercept)[place]
    reach = float(ndtri(0.5 + CONFIDENCE / 2) * np.sqrt(covariance[place, place]))
    return {"value": value, "low": value - reach, "high": value + reach}
