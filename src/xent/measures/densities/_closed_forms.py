"""Entropy and divergence of families of distributions whose formulas are known.

A divergence is written as a sum of terms that are never negative wherever the family allows it, so
that nearly equal parameters lose nothing. Formulas: Cover and Thomas (2006), table 17.1; Gil,
Alajaji and Linder (2013) for the divergences; Chyzak and Nielsen (2019) for Cauchy's.
"""

import math
from collections.abc import Callable

import numpy as np

from xent.measures.densities._density import log_sum
from xent.measures.densities._special._gamma_function import (
    NORMAL,
    STIRLING_FROM,
    excess,
    excess_of_ratio,
    gamma_entropy,
    log_gamma_gap,
    log_ratio,
    rest_gap,
    stirling_rest,
    student_entropy,
    times_excess,
    times_excess_of_products,
)
from xent.measures.densities._special._von_mises import sphere_entropy, sphere_kl
from xent.measures.rows._protocols import Numbers
from xent.measures.rows._sums import entropy_of_counts, kl_of_counts
from xent.measures.rows._typed_arrays import Counts, Logits

Coin = Counts | Logits
EULER = 0.5772156649015329


def exp_excess(g: float) -> float:
    """exp(g) - 1 - g, never negative, exact near 0."""
    if abs(g) < 0.1:
        return sum(g**k / math.factorial(k) for k in range(14, 1, -1))
    return math.inf if g > 709 else math.expm1(g) - g


def _dirichlet(alpha: Numbers) -> float:
    from scipy.special import digamma

    total = float(alpha.sum())
    whole = gamma_entropy(total) + float((alpha.size - 1) * digamma(total))
    return sum(gamma_entropy(float(a)) for a in alpha) - whole


def _multinormal(mean: Numbers, cov: Numbers) -> float:
    return float(mean.size * NORMAL + np.log(np.diag(np.linalg.cholesky(cov))).sum())


def _multistudent(mean: Numbers, shape: Numbers, df: float) -> float:
    spread = float(np.log(np.diag(np.linalg.cholesky(shape))).sum())
    return student_entropy(df, mean.size) + spread


def _wishart(df: float, scale: Numbers) -> float:
    size = len(scale)
    pairs = size * (size + 1)
    terms = [(size + 1) * float(np.log(np.diag(np.linalg.cholesky(scale))).sum())]
    terms += [pairs / 2 * math.log(2), size * (size - 1) / 4 * math.log(math.pi)]
    for i in range(size):
        k = (df - i) / 2
        terms.append(gamma_entropy(k) + ((size - 1 - i) / 2) * _digamma(k) + i / 2)
    return math.fsum(terms)


def _multinomial(n: float, shares: Coin) -> float:
    """N H(p) - log n! + Σ E log(x_k!), where x_k is binomial."""
    from scipy.special import gammaln
    from scipy.stats import binom

    values = np.asarray(shares.values, dtype=np.float64)
    p = values / values.sum() if isinstance(shares, Counts) else np.exp(values - log_sum(values))
    # n H - log n! + Σ log (n p)!, of which Stirling's leading terms cancel, or would cost digits.
    if n * p.min() > STIRLING_FROM:
        terms = [-0.5 * math.log(2 * math.pi * n), -stirling_rest(n)[0]]
        for one in n * p:
            terms += [0.5 * math.log(2 * math.pi * one), stirling_rest(one)[0]]
    else:
        terms = [n * entropy_of_counts(shares), -float(gammaln(n + 1))]
        terms += [float(gammaln(n * one + 1)) for one in p]
    for one in p:
        spread = 40 * math.sqrt(n * one * (1 - one)) + 40
        k = np.arange(max(0.0, math.floor(n * one - spread)), min(n, n * one + spread) + 1)
        # About the middle, or what the probabilities miss of 1 would count log (n p)! times.
        about = gammaln(k + 1) - gammaln(n * one + 1)
        terms.append(float((binom.pmf(k, n, one) * about).sum()))
    return max(0.0, math.fsum(terms))


# Parameters: where there is a place and a scale they come first. A coin is its two shares.
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
    "extreme value": lambda _a, s, c: 1 + EULER * (1 - c) + math.log(s),
    "tail": lambda _a, s, c: 1 + c + math.log(s),
    "student": lambda _m, s, df: student_entropy(df) + math.log(s),
    "gamma": lambda _a, s, k: gamma_entropy(k) + math.log(s),
    "inverse gamma": lambda _a, s, k: gamma_entropy(k) - 2 * _digamma(k) + math.log(s),
    "weibull": lambda _a, s, k: 1 + EULER * (1 - 1 / k) + math.log(s) - math.log(k),
    "pareto": lambda _a, s, k: 1 + 1 / k + math.log(s) - math.log(k),
    "beta": lambda _a, s, a, b: _dirichlet(np.array([a, b])) + math.log(s),
    "von mises": lambda _m, k: sphere_entropy(2, k),
    "von mises-fisher": lambda mean, k: sphere_entropy(mean.size, k),
    "wishart": _wishart,
    "multinomial": _multinomial,
    "dirichlet": _dirichlet,
    "multinormal": _multinormal,
    "multistudent": _multistudent,
    "geometric": lambda _a, p, coin: entropy_of_counts(coin) / p,
}


def _digamma(x: float) -> float:
    from scipy.special import digamma

    return float(digamma(x))


def _normal_kl(m: float, s: float, n: float, t: float) -> float:
    d = (s - t) / t
    spread = 0.5 * excess(d * (2 + d)) if d > -0.9 else excess_of_ratio(s, t) + 0.5 * d * d
    step = (m - n) / t
    return spread + 0.5 * (step * step)


def _gamma_kl(s: float, k: float, t: float, j: float) -> float:
    """Sum that of the means, and that of the shapes at equal means."""
    shapes = 0.5 * excess_of_ratio(j, k) + rest_gap(j, k)
    return max(0.0, times_excess_of_products((j, t), (k, s)) + shapes)


def _gumbel_kl(d: float, r: float, m: float) -> float:
    """D by the ratio r = 1 + d of scales, and the distance of places in units of the model's."""
    if abs(d) >= 0.1:
        return log_gamma_gap(r, 1.0) + exp_excess(math.lgamma(1 + r) - m)
    from scipy.special import zeta, zetac

    orders = range(18, 1, -1)
    gap = math.fsum((-d) ** n * float(zeta(n)) / n for n in orders)
    above = math.fsum((-d) ** n * float(zetac(n)) / n for n in orders)
    return gap + exp_excess((1 - EULER) * d + above - m)


def _laplace_kl(m: float, s: float, n: float, t: float) -> float:
    far = abs(m - n) / s
    step = abs(m - n) / t - s / t if far > 40 else s / t * exp_excess(-far)
    return excess_of_ratio(s, t) + step


def _uniform_kl(a: float, s: float, b: float, t: float) -> float:
    inside = a >= b and a + s <= b + t
    return max(0.0, log_ratio(t, s)) if inside else math.inf


def _exponential_kl(a: float, s: float, b: float, t: float) -> float:
    return excess_of_ratio(s, t) + (a - b) / t if a >= b else math.inf


def _pareto_kl(s: float, k: float, t: float, j: float) -> float:
    """As of exponentials: the logarithm of a Pareto is one."""
    return excess_of_ratio(j, k) + j * log_ratio(s, t) if s >= t else math.inf


def _cauchy_kl(m: float, s: float, n: float, t: float) -> float:
    far = math.hypot(0.5 * s - 0.5 * t, 0.5 * m - 0.5 * n)
    ratio = far / s * (far / t)
    if ratio < math.inf:
        return math.log1p(ratio)
    return 2 * math.log(far) - math.log(s) - math.log(t)


def _dirichlet_kl(alpha: Numbers, beta: Numbers) -> float:
    """Stirling's leading terms are a divergence of the means, times the model's concentration."""
    whole, other = math.fsum(alpha), math.fsum(beta)
    pairs = [(float(b), float(a)) for a, b in zip(alpha, beta, strict=True)]
    more = math.fsum([*beta, *-alpha])
    d = more / whole
    apart = excess(d) if d > -0.9 else excess_of_ratio(other, whole)
    terms = [other * kl_of_counts(beta, alpha), -0.5 * apart, -rest_gap(other, whole, more)]
    terms += [0.5 * excess_of_ratio(b, a) for b, a in pairs] + [rest_gap(b, a) for b, a in pairs]
    return max(0.0, math.fsum(terms))


def _multinormal_kl(m: Numbers, cov: Numbers, n: Numbers, other: Numbers) -> float:
    spread = math.fsum(_excess(*ratio) for ratio in _ratios(cov, other))
    step = np.linalg.solve(np.linalg.cholesky(other), m - n)
    return 0.5 * (spread + float(step @ step))


def _ratios(cov: Numbers, other: Numbers) -> list[tuple[float, float]]:
    """Eigenvalues of Σ2⁻¹ Σ1, and how far they are from 1, from the difference of the roots."""
    a, b = np.linalg.cholesky(cov), np.linalg.cholesky(other)
    apart = np.linalg.solve(b, a - b)
    off = np.linalg.eigvalsh(apart + apart.T + apart @ apart.T)
    if off.min() < -0.9:
        root = np.linalg.svd(np.linalg.solve(b, a), compute_uv=False)
        return [(float(r * r), float(r * r) - 1) for r in root]
    return [(1 + float(d), float(d)) for d in off]


def _von_mises_kl(m: float, k: float, n: float, j: float) -> float:
    return sphere_kl(2, k, j, 2 * math.sin((m - n) / 2) ** 2)


def _fisher_kl(mean: Numbers, k: float, other: Numbers, j: float) -> float:
    step = mean - other
    return sphere_kl(mean.size, k, j, 0.5 * float(step @ step))


def _wishart_kl(n: float, scale: Numbers, m: float, other: Numbers) -> float:
    """As of gammas, one for each ratio of the scales along common directions."""
    terms = []
    for i, (ratio, off) in enumerate(_ratios(scale, other)):
        a, b = (n - i) / 2, (m - i) / 2
        d = ((a - b) + a * off) / b
        terms.append(b * excess(d) if -0.9 < d < 10 else times_excess(b, a * ratio))
        terms.append(i / 2 * _excess(ratio, off))
        terms += [0.5 * excess_of_ratio(b, a), rest_gap(b, a)]
    return max(0.0, math.fsum(terms))


def _excess(ratio: float, off: float) -> float:
    return excess(off) if off > -0.9 else excess_of_ratio(ratio, 1.0)


def coin_kl(p: Coin, q: Coin) -> float:
    """D of two coins, by their two shares or two logits; exact where they are nearly equal."""
    if isinstance(p, Logits) or isinstance(q, Logits):
        p, q = _by_logits(p), _by_logits(q)
        z, y = (float(one.values[0] - one.values[1]) for one in (p, q))
        step = (y - z) * math.copysign(1, -z)  # the side that is less likely
        if not abs(step) < 0.5:
            return kl_of_counts(p, q)
        share = math.exp(-abs(z)) / (1 + math.exp(-abs(z)))
        return share * exp_excess(step) - excess(share * math.expm1(step))
    one, other = float(p.values[0]), float(q.values[0])
    d = (one - other) / (1 - one) if one < 1 else math.inf
    if one in (0.0, 1.0) or not -0.5 < d < 0.5:
        return kl_of_counts(p, q)
    return times_excess(one, other) + (1 - one) * excess(d)


def _by_logits(coin: Coin) -> Logits:
    if isinstance(coin, Logits):
        return coin
    p = coin.values[0]
    log = math.log(p) if p > 0 else -math.inf
    return Logits([log, math.log1p(-p) if p < 1 else -math.inf])


def _same_place(rule: Callable[..., float]) -> Callable[..., float | None]:
    """Apply a rule without places to two distributions at one place; return None for others."""

    def found(a: float, *rest: float) -> float | None:
        half = len(rest) // 2
        return rule(*rest[:half], *rest[half + 1 :]) if a == rest[half] else None

    return found


def _weibull_kl(s: float, k: float, t: float, j: float) -> float:
    return _gumbel_kl((j - k) / k, j / k, log_ratio(t, s) * j)


def _beta_kl(s: float, a: float, b: float, t: float, c: float, d: float) -> float | None:
    return _dirichlet_kl(np.array([a, b]), np.array([c, d])) if s == t else None


def _binomial_kl(n: float, p: float, coin: Coin, m: float, _q: float, other: Coin) -> float | None:
    if n > m and p > 0:
        return math.inf
    return n * coin_kl(coin, other) if n == m else None


# None where the formula does not hold for these parameters.
DIVERGENCE: dict[str, Callable[..., float | None]] = {
    "normal": _normal_kl,
    "lognormal": _same_place(_normal_kl),
    "halfnormal": _same_place(lambda s, t: _normal_kl(0.0, s, 0.0, t)),
    "uniform": _uniform_kl,
    "exponential": _exponential_kl,
    "laplace": _laplace_kl,
    "cauchy": _cauchy_kl,
    "gumbel": lambda m, s, n, t: _gumbel_kl((s - t) / t, s / t, (m - n) / t),
    "gamma": _same_place(_gamma_kl),
    "inverse gamma": _same_place(lambda s, k, t, j: _gamma_kl(t, k, s, j)),
    "weibull": _same_place(_weibull_kl),
    "pareto": _same_place(_pareto_kl),
    "beta": _same_place(_beta_kl),  # type: ignore[arg-type]
    "von mises": _von_mises_kl,
    "dirichlet": _dirichlet_kl,
    "multinormal": _multinormal_kl,
    "von mises-fisher": _fisher_kl,
    "wishart": _wishart_kl,
    "multinomial": lambda n, p, m, q: n * kl_of_counts(p, q) if n == m else math.inf,
    "geometric": _same_place(lambda p, coin, _q, other: coin_kl(coin, other) / p),
    "poisson": _same_place(lambda k, j: times_excess(k, j) if k > 0 else j),
    "binomial": _same_place(_binomial_kl),  # type: ignore[arg-type]
    "negative binomial": _same_place(
        lambda n, p, coin, m, _q, other: n / p * coin_kl(coin, other) if n == m else None  # type: ignore[arg-type, return-value]
    ),
}
