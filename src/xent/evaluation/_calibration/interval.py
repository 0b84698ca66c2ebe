"""Student's interval of a weighted mean of independent rows."""

import math

import numpy as np

from xent.evaluation._calibration.yes_no import Numbers

CONFIDENCE = 0.95


def mean_and_interval(values: Numbers, weight: Numbers) -> tuple[float, float, float]:
    """Return a mean and its interval: infinite where a value is, NaN for that of one row."""
    from scipy.special import stdtrit

    total = float(weight.sum())
    mean = math.fsum((weight * values).tolist()) / total
    if values.size < 2:
        return mean, math.nan, math.nan
    if not math.isfinite(mean):
        return mean, mean, mean
    squares = math.fsum(np.square(weight * (values - mean)).tolist())
    error = math.sqrt(squares * values.size / (values.size - 1)) / total
    reach = float(stdtrit(values.size - 1, 0.5 + CONFIDENCE / 2)) * error
    return mean, mean - reach, mean + reach
