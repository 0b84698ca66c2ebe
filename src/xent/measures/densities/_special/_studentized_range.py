"""The density of the studentized range, which scipy integrates anew for every number.

A range of k normals, over a scale s that is chi of ν degrees of freedom over √ν:
f(q) = ∫ s f_s(s) g(q s) ds, g(r) = k (k - 1) / (2π) exp(-r²/4) ∫ exp(-u²) (Φ(u + r/2) -
Φ(u - r/2))^(k-2) du. Both are sums over even grids, of u and of log s. Hartley (1942).
"""

import math
from collections.abc import Callable

import numpy as np

from xent.measures.densities._density import log_sum
from xent.measures.rows._protocols import Numbers

LOG_STEP = 0.02  # of log r between the numbers that g is interpolated from
NUMBERS_AT_ONCE = 2048


def studentized_range(k: float, df: float) -> Callable[[Numbers], Numbers]:
    """Return the log density of some numbers of the standard studentized range."""
    from scipy.interpolate import make_interp_spline
    from scipy.special import gammaln

    places = np.arange(math.log(1e-4), math.log(80.0), LOG_STEP)
    curve = make_interp_spline(places, _log_range(np.exp(places), k), k=7)
    flat = df / 2 * math.log(df) - float(gammaln(df / 2)) - (df / 2 - 1) * math.log(2)
    # Of log s: the chi is narrow where there are many degrees of freedom.
    step = min(0.1, 0.25 / math.sqrt(2 * df))
    wide = math.log(2.0 + math.sqrt(2 * (df + k)))
    below = 45 / (df + k - 1) + 40 * step
    above = max(0.5 * math.log1p(100 / df) + 40 * step, math.log(80.0) - wide)
    steps = step * np.arange(-math.ceil(below / step), math.ceil(above / step))

    def log_density(q: Numbers) -> Numbers:
        found = np.full(q.shape, -math.inf)
        fine = np.flatnonzero((q > 1e-150) & (q < 1e150))
        for i in range(0, fine.size, NUMBERS_AT_ONCE):
            some = fine[i : i + NUMBERS_AT_ONCE]
            log_q = np.log(q[some])[:, None]
            # The terms are largest where neither s nor q s is beyond its width.
            t = np.minimum(0.0, wide - log_q) + steps
            s = np.exp(t)
            log_r = t + log_q
            g = np.where(
                log_r < places[-1], curve(np.clip(log_r, places[0], places[-1])), -math.inf
            )
            low = log_r < places[0]  # where g is a power
            g = np.where(low, g + (k - 2) * (log_r - places[0]), g)
            terms = flat + (df + 1) * t - df * s * s / 2 + g
            found[some] = log_sum(terms) + math.log(step)
        return found

    return log_density


def _log_range(r: Numbers, k: float) -> Numbers:
    """Log g(r)."""
    from scipy.special import ndtr

    u = np.arange(0.0, 8.0, 0.05)
    weight = np.where(u == 0, 0.05, 0.1)
    h = 0.5 * r[:, None]
    between = ndtr(h - u) - ndtr(-h - u)
    normal = np.exp(-0.5 * u * u) / math.sqrt(2 * math.pi)
    between = np.where(h < 1e-3, normal * (2 * h + (u * u - 1) * h**3 / 3), between)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = -u * u + np.where(k == 2, 0.0, (k - 2) * np.log(between)) + np.log(weight)
    flat = math.log(k) + math.log(k - 1) - math.log(2 * math.pi)
    return log_sum(terms) + flat - 0.25 * r * r
