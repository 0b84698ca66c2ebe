"""Calibration errors in bins: as they are, less their bias, and as chance alone would make them.

The plain error (ECE; Guo et al. 2017) of a perfect model is above 0, as the share of yes in a bin
is never just what was said; `ece_if_calibrated` says how far above. Of the squared error the bias
is known exactly: Broecker (2012), Estimating reliability and resolution of probability forecasts
through decomposition of the empirical score, Climate Dynamics 39; Ferro and Fricker (2012), A
bias-corrected decomposition of the Brier score, QJRMS 138; and again Kumar, Liang and Ma (2019),
Verified uncertainty calibration, NeurIPS, whose library takes the bias of the plain error by a
normal distribution about what was seen, as here. The band is that of Broecker and Smith (2007),
Increasing the reliability of reliability diagrams, Weather and Forecasting 22.
"""

from typing import Any

import numpy as np

from xent.evaluation._calibration.bins import Binning
from xent.evaluation._calibration.estimators.interval import CONFIDENCE
from xent.evaluation._calibration.yes_no import Numbers, YesNo, dot


def binned(rows: YesNo, bins: Binning) -> dict[str, Any]:
    """Return the calibration errors of yes in bins, and the bins.

    Parameters
    ----------
    rows : YesNo
        The rows.
    bins : Binning
        How the rows are parted.

    Returns
    -------
    dict
        ``ece``, ``ece_debiased`` and ``ece_if_calibrated``; ``squared`` and ``squared_debiased``,
        which may be negative; ``bins``, each with what was ``said`` and ``seen``, and the band from
        ``band_low`` to ``band_high`` in which 95 % of shares lie if what was said is true.
    """
    p = rows.probability
    place, begin, end = bins.parted(rows)

    def inside(values: Numbers) -> Numbers:
        return np.bincount(place, values, len(begin)).astype(np.float64, copy=False)

    weight, w = inside(rows.weight), rows.weight
    said = np.minimum(inside(w * p) / weight, 1.0)
    seen = inside(w * rows.yes) / weight
    count = effective(weight, inside(rows.squares))  # rows of one weight that would tell as much
    if rows.whole:
        count = np.rint(count)
    chance = np.sqrt(inside(rows.squares * p * -np.expm1(rows.log_yes))) / weight
    share, gap = weight / weight.sum(), np.abs(seen - said)
    spread = seen * (1 - seen)
    noise = np.where(count > 1, spread / np.maximum(count - 1, 1e-300), chance**2)
    low, high = _band(count, said)
    return {
        "ece": dot(share, gap),
        "ece_debiased": dot(share, 2 * gap - _folded(gap, np.sqrt(spread / count))),
        "ece_if_calibrated": dot(share, _mean_gap(count, said, chance)),
        "squared": dot(share, gap**2),
        "squared_debiased": dot(share, gap**2 - noise),
        "bins": [
            {
                "low": float(begin[i]),
                "high": float(end[i]),
                "rows": round(weight[i]) if rows.whole else float(weight[i]),
                "said": float(said[i]),
                "seen": float(seen[i]),
                "band_low": float(low[i]),
                "band_high": float(high[i]),
            }
            for i in range(len(begin))
        ],
    }


def effective(weight: Numbers, squares: Numbers) -> Numbers:
    """Return how many rows of one weight would tell as much; 1 where squares are too small."""
    return np.where(squares > 0, weight * (weight / np.where(squares > 0, squares, 1.0)), 1.0)


def _folded(mean: Numbers, error: Numbers) -> Numbers:
    """Return the mean of the size of a normal variable."""
    from scipy.special import ndtr

    scale = np.where(error > 0, error, 1.0)
    ratio = mean / scale
    found = scale * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + mean * (1 - 2 * ndtr(-ratio))
    return np.where(error > 0, found, mean)


def _mean_gap(count: Numbers, said: Numbers, chance: Numbers) -> Numbers:
    """Return the mean gap between what is said and seen where what is said is true.

    De Moivre's mean deviation of a binomial variable, stretched to the standard deviation that the
    rows of the bin have, which may be given different probabilities.
    """
    from scipy.special import gammaln, xlog1py, xlogy

    n, p = count, np.clip(said, 0.0, 1.0)
    m = np.floor(n * p) + 1
    inner = (p > 0) & (p < 1) & (m <= n)
    m = np.where(inner, m, 1.0)
    log = np.log(2 * m) + gammaln(n + 1) - gammaln(m + 1) - gammaln(n - m + 1)
    mean = np.where(inner, np.exp(log + xlogy(m, p) + xlog1py(n - m + 1, -p)) / n, 0.0)
    own = np.sqrt(p * (1 - p) / n)
    return np.where(own > 0, mean * chance / np.where(own > 0, own, 1.0), 0.0)


def _band(count: Numbers, said: Numbers) -> tuple[Numbers, Numbers]:
    """Return between which shares of yes 95 % lie where what is said is true."""
    from scipy.special import bdtr, bdtrik

    n, tail = np.maximum(np.rint(count), 1.0), (1 - CONFIDENCE) / 2
    ends = []
    for level in (tail, 1 - tail):
        with np.errstate(invalid="ignore"):
            at = np.ceil(np.nan_to_num(bdtrik(level, n, said)))
        # The least number of yes that is reached so often; the inverse may be off by one.
        lower = np.maximum(at - 1, 0)
        at = np.where(bdtr(lower, n.astype(np.int64), said) >= level, lower, at)
        ends.append(np.clip(np.where(said <= 0, 0.0, np.where(said >= 1, n, at)), 0, n) / n)
    return ends[0], ends[1]
