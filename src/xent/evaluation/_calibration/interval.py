"""Student's interval of a weighted mean of independent rows."""

import math

import numpy as np

from xent.evaluation._calibration.yes_no import Numbers

CONFIDENCE = 0.95


def mean_and_interval(values: Numbers, weight: Numbers) -> tuple[float, float, float]:
    """Return a mean and its interval: infinite where a value is, NaN for that of one row."""
    from scipy.special import stdtrit

    total = float(weight.sum())
    endless = values[np.isinf(values)]
    if endless.size:
        # Of infinities of both signs there is no mean.
        mean = float(endless[0]) if (endless == endless[0]).all() else math.nan
        return mean, mean, mean
    mean = math.fsum((weight * values).tolist()) / total
    if values.size < 2:
        return mean, math.nan, math.nan
    squares = math.fsum(np.square(weight * (values - mean)).tolist())
    error = math.sqrt(squares * values.size / (values.size - 1)) / total
    reach = float(stdtrit(values.size - 1, 0.5 + CONFIDENCE / 2)) * error
    return mean, mean - reach, mean + reach
