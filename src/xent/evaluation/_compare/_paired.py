"""How far apart two models are, and how sure that is, from what each group of rows cost them.

Rows that stand alone are groups of one. Everything is a function of two sums a group, in the order
of the groups' keys: the same rows in another order give the same bits.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xent.evaluation._calibration.estimators.interval import student_reach
from xent.evaluation._compare._hashes import Keys, poisson_weights, signs

Numbers = NDArray[np.float64]

ENUMERATED = 20  # groups up to which every combination of signs is counted
TIED = 1e-12  # of the sum of sizes: what rounding does to sums that are equal


@dataclass(frozen=True)
class Pieces:
    """Sums over the groups of rows, in the order of their keys.

    Parameters
    ----------
    total, weight : ndarray of float64, shape (G,)
        Σ w d and Σ w over the rows of each group.
    keys : ndarray of uint64, shape (G,)
        What chance depends on.
    """

    total: Numbers
    weight: Numbers
    keys: Keys

    @property
    def mean(self) -> float:
        """The weighted mean over all rows."""
        return math.fsum(self.total) / math.fsum(self.weight)


def pieces_of(values: Numbers, weight: Numbers, keys: Keys) -> Pieces:
    """Sum up the rows of each group, whatever order they come in.

    Parameters
    ----------
    values, weight : ndarray of float64, shape (N,)
        Each row.
    keys : ndarray of uint64, shape (N,)
        Equal for the rows of a group.
    """
    products = values * weight
    order = np.lexsort((weight, products, keys))
    keys = keys[order]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    return Pieces(
        np.add.reduceat(products[order], starts),
        np.add.reduceat(weight[order], starts),
        keys[starts],
    )


@dataclass(frozen=True)
class Tested:
    """A mean, its interval, and how likely one so far from 0 is by chance.

    Parameters
    ----------
    mean, low, high, error : float
        The mean, its interval, and its standard error.
    p_value : float
        Of two sides.
    """

    mean: float
    low: float
    high: float
    error: float
    p_value: float


UNTESTED = Tested(math.nan, math.nan, math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Method:
    """How intervals and p-values are found.

    Parameters
    ----------
    interval : str
        "student" or "bootstrap".
    test : str
        "t", "sign_flip" or "bootstrap".
    confidence : float
        How often an interval holds the true mean.
    resamples : int
        Of the bootstrap, and signs.
    """

    interval: str
    test: str
    confidence: float
    resamples: int

    def tested(self, found: list[Pieces]) -> list[Tested]:
        """Return means with intervals and p-values; NaN for those of one group.

        Parameters
        ----------
        found : list of Pieces
            Sums over the same groups: chance is drawn once for all of them.
        """
        out = [student(pieces, self.confidence) for pieces in found]
        if not found or len(found[0].keys) < 2:
            return out
        if "bootstrap" in (self.interval, self.test):
            drawn = bootstrap(found, self.confidence, self.resamples)
            if self.interval == "bootstrap":
                out = [replace(t, low=d[0], high=d[1]) for t, d in zip(out, drawn, strict=True)]
            if self.test == "bootstrap":
                out = [replace(t, p_value=d[2]) for t, d in zip(out, drawn, strict=True)]
        if self.test == "sign_flip":
            p_values = sign_flip(found, self.resamples)
            out = [replace(t, p_value=p) for t, p in zip(out, p_values, strict=True)]
        return out


def student(pieces: Pieces, confidence: float) -> Tested:
    """Return Student's interval and test; with groups, of the cluster-robust standard error.

    The variance of the mean is G/(G-1) Σ_g (Σ_{n in g} w_n (d_n - mean))² / (Σ w)², with G-1
    degrees of freedom (Liang and Zeger 1986). Where every row is a group, this is the paired t.
    """
    from scipy.special import stdtr

    groups = int((pieces.weight > 0).sum())
    if not groups:
        return UNTESTED
    mean = pieces.mean
    if groups < 2:
        return replace(UNTESTED, mean=mean)
    off = pieces.total - mean * pieces.weight
    with np.errstate(over="ignore"):  # infinite, as is the interval then
        squares = math.fsum(np.square(off)) * groups / (groups - 1)
    error = math.sqrt(squares) / math.fsum(pieces.weight)
    reach = student_reach(groups, error, confidence)
    if mean == 0:
        p_value = 1.0
    elif error == 0:
        p_value = 0.0
    else:
        p_value = float(2 * stdtr(groups - 1, -abs(mean) / error))
    return Tested(mean, mean - reach, mean + reach, error, p_value)


def bootstrap(
    found: list[Pieces], confidence: float, resamples: int
) -> list[tuple[float, float, float]]:
    """Return percentile intervals over resampled groups, and the p-values that invert them.

    Each group is drawn a Poisson number of times (Efron and Tibshirani 1993; Chamandy et al. 2012).
    """
    totals = np.stack([pieces.total for pieces in found], axis=1)
    sizes = np.stack([pieces.weight for pieces in found], axis=1)
    blocks = []
    for weights in poisson_weights(found[0].keys, resamples):
        with np.errstate(invalid="ignore"):  # a resample without any group is 0 / 0
            blocks.append((weights @ totals) / (weights @ sizes))
    return [_percentiles(means, confidence) for means in np.concatenate(blocks).T]


def _percentiles(means: Numbers, confidence: float) -> tuple[float, float, float]:
    means = means[~np.isnan(means)]
    if not means.size:
        return math.nan, math.nan, math.nan
    low, high = np.quantile(means, [0.5 - confidence / 2, 0.5 + confidence / 2])
    beyond = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return float(low), float(high), min(1.0, 2 * (beyond + 1) / (means.size + 1))


def sign_flip(found: list[Pieces], resamples: int) -> list[float]:
    """Return how many ways to flip the groups' signs part the models as far as they are.

    Fisher's test of 1935: every way where there are few groups, else ``resamples`` of them and
    the one that was seen.
    """
    totals = np.stack([pieces.total for pieces in found], axis=1)
    # What rounding does to sums that are equal must not part them.
    seen = [abs(math.fsum(t)) - TIED * math.fsum(np.abs(t)) for t in totals.T]
    if len(totals) <= ENUMERATED:
        sums = totals[:1]  # flipping every sign changes no size
        for line in totals[1:]:
            sums = np.concatenate([sums + line, sums - line])
        return [float(share) for share in (np.abs(sums) >= seen).mean(axis=0)]
    beyond = np.zeros(len(found), np.int64)
    for flipped in signs(found[0].keys, resamples):
        beyond += (np.abs(flipped @ totals) >= seen).sum(axis=0)
    return [float(p) for p in (beyond + 1) / (resamples + 1)]


def holm(p_values: list[float]) -> list[float]:
    """Return p-values corrected for how many there are (Holm 1979); NaN stays and counts.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: (math.isnan(p_values[i]), p_values[i]))
    found, largest = [math.nan] * len(p_values), 0.0
    for rank, i in enumerate(order):
        if math.isnan(p_values[i]):
            break
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        found[i] = largest
    return found
