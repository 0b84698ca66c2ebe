"""Student's interval: how far around a mean, and that of a weighted mean of independent rows."""

import math

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

CONFIDENCE = 0.95


def student_reach(rows: int, error: float, confidence: float = CONFIDENCE) -> float:
    """Return how far Student's interval goes from a mean with a standard error, either way."""
    from scipy.special import stdtrit

    return float(stdtrit(rows - 1, 0.5 + confidence / 2)) * error


def mean_and_interval(values: Numbers, weight: Numbers) -> tuple[float, float, float]:
    """Return a mean and its interval: infinite where a value is, NaN for that of one row."""
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
    reach = student_reach(values.size, error)
    return mean, mean - reach, mean + reach
