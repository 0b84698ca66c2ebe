"""Von Mises's distribution on the circle, and that of von Mises and Fisher on spheres.

Their log normaliser is A(κ) = log I_ν(κ) - ν log κ, of order ν = d/2 - 1 in d dimensions. Its slope
is r = I_(ν+1) / I_ν, the mean length; from one κ to another it lies above its tangent by an
integral of its curvature, whose terms are positive. Mardia and Jupp (2000), Directional Statistics.
"""

import math

import numpy as np

from xent.measures.densities._density import log_sum
from xent.measures.rows._protocols import Numbers

TERMS = 20  # of Hankel's series, and points of Gauss's rule


def bessel(nu: float, kappa: float) -> tuple[float, float, float]:
    """log(exp(-κ) I_ν(κ)), the mean length r, and 1 - r, each with its digits."""
    from scipy.special import gammaln, ive

    if kappa > _far(nu):
        value, slope, _ = _hankel(nu, np.array([kappa]))
        flat = math.log(value[0]) - 0.5 * (math.log(2 * math.pi) + math.log(kappa))
        less = float((nu + 0.5) / kappa - slope[0] / value[0])
        return flat, 1 - less, less
    whole = float(ive(nu, kappa))
    r = float(_mean_length(nu, np.array([kappa]))[0])
    if whole > 1e-300:
        return math.log(whole), r, 1 - r
    k = np.arange(50.0 + 2 * kappa)
    terms = (2 * k + nu) * math.log(kappa / 2) - gammaln(k + 1) - gammaln(nu + 1 + k)
    return float(log_sum(terms)) - kappa, r, 1 - r


def sphere_entropy(size: int, kappa: float) -> float:
    """Entropy on the sphere in so many dimensions."""
    nu = size / 2 - 1
    flat, _, less = bessel(nu, kappa)
    return math.fsum(
        [(nu + 1) * math.log(2 * math.pi), flat, kappa * less, -nu * math.log(kappa) if nu else 0.0]
    )


def sphere_kl(size: int, k: float, j: float, turn: float) -> float:
    """D of concentration k from j, whose directions have a cosine of 1 - ``turn``."""
    nu = size / 2 - 1
    return _normaliser_gap(nu, j, k) + j * bessel(nu, k)[1] * turn


def _normaliser_gap(nu: float, j: float, k: float) -> float:
    """How far A at j lies above its tangent at k: ∫ (j - t) A''(t) dt from k to j."""
    low, high = min(j, k), max(j, k)
    edges = [low]
    while edges[-1] < high:
        edges.append(min(high, max(1.0, 2 * edges[-1])))
    left, width = np.array(edges[:-1]), np.diff(edges)
    x, weights = np.polynomial.legendre.leggauss(TERMS)
    x, weights = 0.5 * (1 + x), 0.5 * weights
    step = width[:, None] * x
    t = left[:, None] + step
    far = np.abs((j - left)[:, None] - step)
    terms = _curvature(nu, t.ravel()).reshape(t.shape) * far
    return math.fsum((terms @ weights) * width) if width.size else 0.0


def _far(nu: float) -> float:
    """Concentration from which Hankel's series has all digits."""
    return max(30.0, 4 * nu * nu)


def _curvature(nu: float, t: Numbers) -> Numbers:
    far = t > _far(nu)
    found = np.empty(t.size)
    if far.any():
        value, slope, curvature = _hankel(nu, t[far])
        with np.errstate(under="ignore"):
            found[far] = (nu + 0.5) / t[far] / t[far] + curvature / value - (slope / value) ** 2
    near = t[~far]
    if near.size:
        r = _mean_length(nu, near)
        further = _mean_length(nu + 1, near)
        found[~far] = r * (1 / near + further - r)
    return found


def _mean_length(nu: float, t: Numbers) -> Numbers:
    """I_(ν+1) / I_ν by its continued fraction."""
    r = np.zeros_like(t)
    for n in range(40 + int(8 * math.sqrt(float(t.max()))), -1, -1):
        r = t / (2 * (nu + n + 1) + t * r)
    return r


def _hankel(nu: float, t: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """exp(-t) I_ν(t) √(2πt), with two derivatives."""
    value, slope, curvature = np.ones_like(t), np.zeros_like(t), np.zeros_like(t)
    term = np.ones_like(t)
    for k in range(1, TERMS):
        term = term * (-(4 * nu * nu - (2 * k - 1) ** 2) / (8 * k)) / t
        value, slope = value + term, slope - k * term / t
        curvature = curvature + k * (k + 1) * term / t / t
    return value, slope, curvature
