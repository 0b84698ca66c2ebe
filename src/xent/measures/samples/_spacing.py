"""Entropy of real numbers by the distances between them in order, and by a smoothed density.

Each function returns what every point contributes; the estimate is their mean. Vasicek (1976);
van Es (1992); Ebrahimi, Pflughoeft and Soofi (1994); Hall and Morton (1993) for kernels.
"""

import math
from collections.abc import Callable

import numpy as np

from xent import _check
from xent.measures.rows._protocols import Numbers

PAIRS_AT_ONCE = 1 << 20  # pairs of points looked at together


def window(rows: int) -> int:
    """How many places apart the ends of a spacing are: about √n."""
    return min(math.floor(math.sqrt(rows) + 0.5), (rows - 1) // 2)


def vasicek(x: Numbers) -> Numbers:
    """Log of n / 2m times the distance over m places to both sides, cut at the ends."""
    m = window(x.size)
    return np.asarray(np.log(x.size / (2 * m) * _spacings(x, m)))


def ebrahimi(x: Numbers) -> Numbers:
    """Vasicek's, corrected at the ends, where a spacing covers fewer than 2m places."""
    m = window(x.size)
    i = np.arange(1, x.size + 1)
    c = np.ones(x.size)
    c = np.where(i <= m, 1 + (i - 1) / m, np.where(i > x.size - m, 1 + (x.size - i) / m, 2.0))
    return np.asarray(np.log(x.size / (c * m) * _spacings(x, m)))


def van_es(x: Numbers) -> Numbers:
    """Spacings to one side, without their bias: only n - m points contribute."""
    m, n = window(x.size), x.size
    ordered = np.sort(x)
    step = _without_ties(ordered[m:] - ordered[:-m], m)
    bias = float((1 / np.arange(m, n + 1)).sum()) + math.log(m) - math.log(n + 1)
    return np.asarray(np.log((n + 1) / m * step) + bias)


def leave_one_out(x: Numbers) -> Numbers:
    """Leave-one-out: each point by the density smoothed over all others."""
    others, width = _smoothed(x)
    with np.errstate(divide="ignore"):
        terms = -np.log(others / (x.size - 1)) + math.log(width * math.sqrt(2 * math.pi))
    if not np.isfinite(terms).all():
        place = int(np.argmax(~np.isfinite(terms)))
        got = f"{x[place]:.6g} at [{place}], where a kernel over the others is 0"
        advice = (
            "Use " + _check.setting("method", "kde_resubstitution") + ' or "kozachenko_leonenko".'
        )
        raise _check.invalid("x", "have no point far from all others", got, advice)
    return np.asarray(terms)


def resubstitution(x: Numbers) -> Numbers:
    """Each point by the density smoothed over all, itself too."""
    others, width = _smoothed(x)
    return np.asarray(-np.log((1 + others) / x.size) + math.log(width * math.sqrt(2 * math.pi)))


SPACING: dict[str, Callable[[Numbers], Numbers]] = {
    "vasicek": vasicek,
    "ebrahimi": ebrahimi,
    "van_es": van_es,
    "kde": leave_one_out,
    "kde_resubstitution": resubstitution,
}


def _spacings(x: Numbers, m: int) -> Numbers:
    ordered = np.sort(x)
    place = np.arange(x.size)
    high, low = np.minimum(place + m, x.size - 1), np.maximum(place - m, 0)
    return _without_ties(ordered[high] - ordered[low], m)


def _without_ties(step: Numbers, m: int) -> Numbers:
    if not (step > 0).all():
        advice = "Equal values have no density: count them as symbols."
        raise _check.invalid("x", f"have at most {m} rows of one value", "more", advice)
    return step


def _smoothed(x: Numbers) -> tuple[Numbers, float]:
    """Sum a normal kernel over the other points, in units of its top; and tell its width."""
    quartiles = np.quantile(x, [0.25, 0.75])
    spread = min(float(x.std(ddof=1)), float(quartiles[1] - quartiles[0]) / 1.349)
    spread = spread if spread > 0 else float(x.std(ddof=1))
    if spread == 0:
        raise _check.invalid("x", "have two different values", "one")
    width = 0.9 * spread * x.size**-0.2  # Silverman (1986), 3.31
    order = np.argsort(x)
    z = x[order] / width
    total = np.empty(x.size)
    rows = max(1, PAIRS_AT_ONCE // x.size)
    for start in range(0, x.size, rows):
        mine = z[start : start + rows]
        # Beyond 39 widths a kernel is below the least float.
        first, last = np.searchsorted(z, [mine[0] - 39, mine[-1] + 39])
        gap = mine[:, None] - z[first:last]
        near = np.exp(-0.5 * gap * gap)
        near[np.arange(mine.size), np.arange(mine.size) + start - first] = 0.0  # the point itself
        total[start : start + rows] = near.sum(1)
    found = np.empty(x.size)
    found[order] = total
    return found, width
