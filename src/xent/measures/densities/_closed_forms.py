"""Entropy and divergence of families of distributions whose formulas are known.

A divergence is written as a sum of terms that are never negative wherever the family allows it, so
that nearly equal parameters lose nothing. Formulas: Cover and Thomas (2006), table 17.1; Gil,
Alajaji and Linder (2013) for the divergences; Chyzak and Nielsen (2019) for Cauchy's.
"""

import math
from collections.abc import Callable

import numpy as np

from xent.measures.rows._protocols import Numbers
from xent.measures.rows._sums import entropy_of_counts, kl_of_counts

EULER = 0.5772156649015329
NORMAL = 0.5 * math.log(2 * math.pi * math.e)


def excess(d: float) -> float:
    """Excess of r over 1 + log r, for r = 1 + d: never negative, 0 at 1, exact near it."""
    if not abs(d) < 0.2:
        return math.inf if d <= -1 or d == math.inf else d - math.log1p(d)
    s = d / (2 + d)
    z = s * s
    series = sum(z**k / (2 * k + 3) for k in range(10))
    return s * d - 2 * s * z * series


def _ratio(a: float, b: float) -> float:
    """Excess of a / b."""
    if a == b:
        return 0.0
    if a == 0:
        return math.inf
    d = (a - b) / b
    if d > -0.9:
        return excess(d)
    return d - math.log(a) + math.log(b)  # a / b may be too small to be seen in d


def exp_excess(g: float) -> float:
    """exp(g) - 1 - g, never negative, exact near 0."""
    if abs(g) < 0.1:
        return sum(g**k / math.factorial(k) for k in range(14, 1, -1))
    return math.inf if g > 709 else math.expm1(g) - g


def log_gamma_gap(y: float, x: float) -> float:
    """How far log Γ at y lies above its tangent at x: never negative, exact near x."""
    from scipy.special import digamma, gammaln, zeta

    d = y - x
    u = d / x
    if x > 1e8 and abs(u) < 0.5:  # Stirling's leading terms; the next are below rounding
        return y * excess(-u / (1 + u)) + 0.5 * excess(u)
    if abs(u) < 0.1:
        terms = [(-u) ** n * x**n * float(zeta(n, x)) / n for n in range(18, 1, -1)]
        return sum(terms)
    return max(0.0, float(gammaln(y) - gammaln(x) - d * digamma(x)))


def gamma_entropy(k: float) -> float:
    """Entropy of a gamma of scale 1, k + log Γ(k) + (1 - k) ψ(k); a series where k is large."""
    from scipy.special import digamma, gammaln

    if k > 120:
        z = 1 / k
        rest = z * (-1 / 3 + z * (-1 / 12 + z * (-1 / 90 + z * (1 / 120 + z / 210))))
        return NORMAL + 0.5 * math.log(k) + rest
    return float(k + gammaln(k) + (1 - k) * digamma(k))


def _student(df: float) -> float:
    from scipy.special import betaln, digamma

    if df > 2e3:
        z = 1 / df
        return NORMAL + z * (1 + z * (0.25 - z / 6))
    half = df / 2
    spread = (df + 1) / 2 * float(digamma(half + 0.5) - digamma(half))
    return spread + 0.5 * math.log(df) + float(betaln(half, 0.5))


def _dirichlet(alpha: Numbers) -> float:
    from scipy.special import digamma

    total = float(alpha.sum())
    whole = gamma_entropy(total) + float((alpha.size - 1) * digamma(total))
    return sum(gamma_entropy(float(a)) for a in alpha) - whole


def _multinormal(mean: Numbers, cov: Numbers) -> float:
    return float(mean.size * NORMAL + np.log(np.diag(np.linalg.cholesky(cov))).sum())


def _multistudent(mean: Numbers, shape: Numbers, df: float) -> float:
    from scipy.special import digamma, gammaln

    d = mean.size
    half, more = df / 2, (df + d) / 2
    value = float(np.log(np.diag(np.linalg.cholesky(shape))).sum())
    value += d / 2 * math.log(df * math.pi) + float(gammaln(half) - gammaln(more))
    return float(value + more * float(digamma(more) - digamma(half)))


LARGE_KAPPA = 2e3  # concentration from which I0 and I1 are their series in 1/κ


def _bessel(kappa: float) -> tuple[float, float]:
    """log(exp(-κ) I0) and 1 - I1/I0, which is no difference where that would lose digits."""
    from scipy.special import ive

    if kappa > LARGE_KAPPA:
        z = 1 / kappa
        less = z * (0.5 + z * (0.125 + z * (0.125 + z * 25 / 128)))
        return _log_bessel_rest(z) - 0.5 * (math.log(2 * math.pi) + math.log(kappa)), less
    flat = float(ive(0, kappa))
    return math.log(flat), (flat - float(ive(1, kappa))) / flat


def _log_bessel_rest(z: float) -> float:
    """How far log(exp(-κ) I0) is from that of a normal, for z = 1/κ."""
    return z * (0.125 + z * (0.0625 + z * 25 / 384))


def _von_mises(_mean: float, kappa: float) -> float:
    flat, less = _bessel(kappa)
    return math.log(2 * math.pi) + flat + kappa * less


# Parameters: where there is a place and a scale they come first.
ENTROPIES: dict[str, Callable[..., float]] = {
    "normal": lambda _m, s: NORMAL + math.log(s),
    "lognormal": lambda _a, m, s: NORMAL + math.log(s) + m,
    "halfnormal": lambda _a, s: 0.5 * math.log(math.pi / 2) + math.log(s) + 0.5,
    "uniform": lambda _a, s: math.log(s),
    "exponential": lambda _a, s: 1 + math.log(s),
    "laplace": lambda _m, s: 1 + math.log(2) + math.log(s),
    "logistic": lambda _m, s: 2 + math.log(s),
    "cauchy": lambda _m, s: math.log(4 * math.pi) + math.log(s),
    "gumbel": lambda _m, s: 1 + EULER + math.log(s),
    "student": lambda _m, s, df: _student(df) + math.log(s),
    "gamma": lambda _a, s, k: gamma_entropy(k) + math.log(s),
    "inverse gamma": lambda _a, s, k: gamma_entropy(k) - 2 * _digamma(k) + math.log(s),
    "weibull": lambda _a, s, k: 1 + EULER * (1 - 1 / k) + math.log(s) - math.log(k),
    "pareto": lambda _a, s, k: 1 + 1 / k + math.log(s) - math.log(k),
    "beta": lambda _a, s, a, b: _dirichlet(np.array([a, b])) + math.log(s),
    "von mises": _von_mises,
    "dirichlet": _dirichlet,
    "multinormal": _multinormal,
    "multistudent": _multistudent,
    "geometric": lambda _a, p: entropy_of_counts([p, 1 - p]) / p,
}


def _digamma(x: float) -> float:
    from scipy.special import digamma

    return float(digamma(x))


def _normal_kl(m: float, s: float, n: float, t: float) -> float:
    d = (s - t) / t
    spread = 0.5 * excess(d * (2 + d)) if d > -0.9 else _ratio(s, t) + 0.5 * d * d
    step = (m - n) / t
    return spread + 0.5 * (step * step)


def _gamma_kl(s: float, k: float, t: float, j: float) -> float:
    gap = log_gamma_gap(j, k) + k * _ratio(s, t) + (k - j) * (math.log(s) - math.log(t))
    return max(0.0, gap)


def _gumbel_kl(r: float, m: float) -> float:
    """D by the ratio of scales, and the distance of places in units of the model's scale."""
    return log_gamma_gap(r, 1.0) + exp_excess(math.lgamma(1 + r) - m)


def _laplace_kl(m: float, s: float, n: float, t: float) -> float:
    return _ratio(s, t) + s / t * exp_excess(-abs(m - n) / s)


def _uniform_kl(a: float, s: float, b: float, t: float) -> float:
    inside = a >= b and a + s <= b + t
    return max(0.0, math.log(t) - math.log(s)) if inside else math.inf


def _exponential_kl(a: float, s: float, b: float, t: float) -> float:
    return _ratio(s, t) + (a - b) / t if a >= b else math.inf


def _pareto_kl(s: float, k: float, t: float, j: float) -> float:
    """As of exponentials: the logarithm of a Pareto is one."""
    return _ratio(j, k) + j * (math.log(s) - math.log(t)) if s >= t else math.inf


def _cauchy_kl(m: float, s: float, n: float, t: float) -> float:
    far = math.hypot(s - t, m - n) / 2
    return math.log1p(far / s * (far / t))


def _dirichlet_kl(alpha: Numbers, beta: Numbers) -> float:
    each = sum(log_gamma_gap(float(b), float(a)) for a, b in zip(alpha, beta, strict=True))
    return max(0.0, each - log_gamma_gap(float(beta.sum()), float(alpha.sum())))


def _multinormal_kl(m: Numbers, cov: Numbers, n: Numbers, other: Numbers) -> float:
    a, b = np.linalg.cholesky(cov), np.linalg.cholesky(other)
    # Σ2⁻¹ Σ1 - 1 in the basis of the model, from the difference of the two roots.
    apart = np.linalg.solve(b, a - b)
    off = np.linalg.eigvalsh(apart + apart.T + apart @ apart.T)
    if off.min() < -0.9:
        root = np.linalg.svd(np.linalg.solve(b, a), compute_uv=False)
        spread = sum(_ratio(float(r) ** 2, 1.0) for r in root)
    else:
        spread = sum(excess(float(d)) for d in off)
    step = np.linalg.solve(b, m - n)
    return 0.5 * (spread + float(step @ step))


def _von_mises_kl(m: float, k: float, n: float, j: float) -> float:
    flat, less = _bessel(k)
    turn = 2 * math.sin((m - n) / 2) ** 2  # 1 - cos
    if min(k, j) > LARGE_KAPPA:  # nearly normal: the leading terms cancel by themselves
        rest = _log_bessel_rest(1 / j) - _log_bessel_rest(1 / k) + (j - k) * (less - 0.5 / k)
        spread = 0.5 * _ratio(j, k) + rest
    else:
        spread = _bessel(j)[0] - flat + (j - k) * less
    return max(0.0, spread) + j * (1 - less) * turn


def binary_kl(p: float, q: float) -> float:
    """D of two coins."""
    return kl_of_counts([p, 1 - p], [q, 1 - q])


def _same_place(rule: Callable[..., float]) -> Callable[..., float | None]:
    """Apply a rule without places to two distributions at one place; return None for others."""

    def found(a: float, *rest: float) -> float | None:
        half = len(rest) // 2
        return rule(*rest[:half], *rest[half + 1 :]) if a == rest[half] else None

    return found


def _weibull_kl(s: float, k: float, t: float, j: float) -> float:
    return _gumbel_kl(j / k, (math.log(t) - math.log(s)) * j)


def _beta_kl(s: float, a: float, b: float, t: float, c: float, d: float) -> float | None:
    return _dirichlet_kl(np.array([a, b]), np.array([c, d])) if s == t else None


def _binomial_kl(n: float, p: float, m: float, q: float) -> float | None:
    if n > m and p > 0:
        return math.inf
    return n * binary_kl(p, q) if n == m else None


# None where the formula does not hold for these parameters.
DIVERGENCE: dict[str, Callable[..., float | None]] = {
    "normal": _normal_kl,
    "lognormal": _same_place(_normal_kl),
    "halfnormal": _same_place(lambda s, t: _normal_kl(0.0, s, 0.0, t)),
    "uniform": _uniform_kl,
    "exponential": _exponential_kl,
    "laplace": _laplace_kl,
    "cauchy": _cauchy_kl,
    "gumbel": lambda m, s, n, t: _gumbel_kl(s / t, (m - n) / t),
    "gamma": _same_place(_gamma_kl),
    "inverse gamma": _same_place(lambda s, k, t, j: _gamma_kl(t, k, s, j)),
    "weibull": _same_place(_weibull_kl),
    "pareto": _same_place(_pareto_kl),
    "beta": _same_place(_beta_kl),  # type: ignore[arg-type]
    "von mises": _von_mises_kl,
    "dirichlet": _dirichlet_kl,
    "multinormal": _multinormal_kl,
    "geometric": _same_place(lambda p, q: binary_kl(p, q) / p),
    "poisson": _same_place(lambda k, j: k * _ratio(j, k) if k > 0 else j),
    "binomial": _same_place(_binomial_kl),  # type: ignore[arg-type]
    "negative binomial": _same_place(
        lambda n, p, m, q: n / p * binary_kl(p, q) if n == m else None  # type: ignore[arg-type, return-value]
    ),
}
