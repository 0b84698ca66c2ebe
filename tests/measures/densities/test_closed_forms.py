"""Closed forms against mpmath over extreme and nearly equal parameters: no digit is lost unsaid."""

import math

import mpmath
import numpy as np
import pytest
import torch
from mpmath import mp
from numpy.testing import assert_allclose
from scipy import stats
from torch import distributions as td

from xent.measures import cross_entropy, entropy, js_distance, js_divergence, kl_divergence

log, psi, lgamma = mpmath.log, mpmath.digamma, mpmath.loggamma


@pytest.fixture(autouse=True)
def _digits():
    with mp.workdps(80):
        yield


def excess(r):
    return r - 1 - log(r)


def gamma_kl(s, k, t, j):
    return (k - j) * psi(k) - lgamma(k) + lgamma(j) + j * log(t / s) + k * (s / t - 1)


def dirichlet_kl(a, b):
    total = sum(a)
    value = lgamma(total) - sum(map(lgamma, a)) - lgamma(sum(b)) + sum(map(lgamma, b))
    return value + sum((x - y) * (psi(x) - psi(total)) for x, y in zip(a, b, strict=True))


def coin_kl(p, q):
    return p * log(p / q) + (1 - p) * log((1 - p) / (1 - q))


def gumbel_kl(m, s, n, t):
    step = (m - n) / t
    inside = mpmath.exp(-step + lgamma(1 + s / t))
    return log(t / s) + mpmath.euler * (s / t - 1) - 1 + step + inside


def weibull_kl(s, k, t, j):
    inside = mpmath.exp(j * log(s / t) + lgamma(1 + j / k))
    return log(k / j) + j * log(t / s) + (k - j) * (-mpmath.euler / k) + inside - 1


def von_mises_kl(m, k, n, j):
    flat = [mpmath.log(mpmath.besseli(0, x)) for x in (k, j)]
    mean = mpmath.besseli(1, k) / mpmath.besseli(0, k)
    return flat[1] - flat[0] + mean * (k - j * mpmath.cos(m - n))


def laplace_kl(m, s, n, t):
    far = abs(m - n)
    return log(t / s) - 1 + far / t + s / t * mpmath.exp(-far / s)


# Family: scipy's object of some parameters, their kinds, D of two of them.
# Kinds: + positive, r real, p a probability, = the same in both.
FAMILIES = {
    "norm": (
        lambda m, s: stats.norm(m, s),
        "r+",
        lambda m, s, n, t: excess((s / t) ** 2) / 2 + ((m - n) / t) ** 2 / 2,
    ),
    "halfnorm": (lambda s: stats.halfnorm(0, s), "+", lambda s, t: excess((s / t) ** 2) / 2),
    "lognorm": (lambda s: stats.lognorm(s), "+", lambda s, t: excess((s / t) ** 2) / 2),
    "expon": (lambda s: stats.expon(0, s), "+", lambda s, t: excess(s / t)),
    "laplace": (lambda m, s: stats.laplace(m, s), "r+", laplace_kl),
    "cauchy": (
        lambda m, s: stats.cauchy(m, s),
        "r+",
        lambda m, s, n, t: log(((s + t) ** 2 + (m - n) ** 2) / (4 * s * t)),
    ),
    "gumbel": (lambda m, s: stats.gumbel_r(m, s), "g+", gumbel_kl),
    "gamma": (lambda s, k: stats.gamma(k, scale=s), "++", gamma_kl),
    "invgamma": (
        lambda s, k: stats.invgamma(k, scale=s),
        "++",
        lambda s, k, t, j: gamma_kl(t, k, s, j),
    ),
    "weibull": (lambda s, k: stats.weibull_min(k, scale=s), "++", weibull_kl),
    "pareto": (
        lambda k: stats.pareto(k),
        "+",
        lambda k, j: excess(j / k),
    ),
    "beta": (lambda a, b: stats.beta(a, b), "++", lambda a, b, c, d: dirichlet_kl([a, b], [c, d])),
    "dirichlet": (
        lambda *a: stats.dirichlet(list(a)),
        "+++",
        lambda *both: dirichlet_kl(both[:3], both[3:]),
    ),
    "vonmises": (lambda m, k: stats.vonmises(k, m), "ak", von_mises_kl),
    "geom": (lambda p: stats.geom(p), "p", lambda p, q: coin_kl(p, q) / p),
    "poisson": (lambda k: stats.poisson(k), "+", lambda k, j: k * excess(j / k)),
    "binom": (lambda p: stats.binom(7, p), "p", lambda p, q: 7 * coin_kl(p, q)),
    "nbinom": (lambda p: stats.nbinom(3, p), "p", lambda p, q: 3 / p * coin_kl(p, q)),
    "bernoulli": (lambda p: stats.bernoulli(p), "p", coin_kl),
    "binom, by logit": (
        lambda z: td.Binomial(7, logits=torch.tensor(z, dtype=torch.float64)),
        "z",
        lambda z, y: 7 * coin_kl(1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(-y))),
    ),
    "geom, by logit": (
        lambda z: td.Geometric(logits=torch.tensor(z, dtype=torch.float64)),
        "z",
        lambda z, y: (
            coin_kl(1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(-y))) * (1 + mpmath.exp(-z))
        ),
    ),
    "bernoulli, by logit": (
        lambda z: td.Bernoulli(logits=torch.tensor(z, dtype=torch.float64)),
        "z",
        lambda z, y: coin_kl(1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(-y))),
    ),
}


def drawn(kinds, rng, near):
    """Parameters of two of a family: far apart over 24 decades, or equal to so many digits."""

    def one(kind):
        size = 10.0 ** rng.uniform(-12, 12)
        return {
            "+": size,
            "r": size * rng.choice([-1, 1]),
            "g": rng.uniform(-3, 3),
            "p": min(1 / (1 + size), 1 - 1e-9),
            "a": rng.uniform(-3, 3),
            "k": 10.0 ** rng.uniform(-8, 8),
            "z": rng.uniform(-300, 300),
        }[kind]

    first = [one(kind) for kind in kinds]
    if near:
        second = [v * (1 + near * rng.uniform(-1, 1)) for v in first]
        second = [min(v, 1 - 1e-9) if k == "p" else v for v, k in zip(second, kinds, strict=True)]
    else:
        second = [one(kind) for kind in kinds]
    return first, second


@pytest.mark.parametrize("family", FAMILIES)
def test_divergences_keep_their_digits(family):
    made, kinds, truth = FAMILIES[family]
    rng = np.random.default_rng(len(family))
    for near in (0, 0, 0, 0, 0, 0, 1.0, 1e-1, 1e-2, 1e-4, 1e-6, 1e-8):
        one, other = drawn(kinds, rng, near)
        found = kl_divergence(made(*one), made(*other))
        with mp.workdps(400 if "z" in kinds else 90):
            exact = truth(*map(mpmath.mpf, [*one, *other]))
        if exact > 1.7e308:
            assert found == math.inf
            continue
        assert found > 0 or exact < 5e-324, (one, other)
        assert abs(found - exact) <= 1e-11 * exact + found.error, (one, other, found, float(exact))


def student_entropy(df, size=1):
    half, more = df / 2, (df + size) / 2
    value = mpmath.mpf(size) / 2 * log(df * mp.pi) + lgamma(half) - lgamma(more)
    return value + more * (psi(more) - psi(half))


def sphere_entropy(size, k):
    nu = mpmath.mpf(size) / 2 - 1
    bessel = mpmath.besseli(nu, k)
    value = (nu + 1) * log(2 * mp.pi) + log(bessel) - nu * log(k)
    return value - k * mpmath.besseli(nu + 1, k) / bessel


def gamma_entropy(k):
    return k + lgamma(k) + (1 - k) * psi(k)


def dirichlet_entropy(*a):
    value = sum(map(lgamma, a)) - lgamma(sum(a)) + (sum(a) - len(a)) * psi(sum(a))
    return value - sum((x - 1) * psi(x) for x in a)


ENTROPIES = {
    "t": (lambda df: stats.t(df), "+", student_entropy),
    "multivariate_t": (
        lambda df: stats.multivariate_t(np.zeros(4), np.eye(4), df),
        "+",
        lambda df: student_entropy(df, 4),
    ),
    "gamma": (lambda k: stats.gamma(k), "+", gamma_entropy),
    "invgamma": (lambda k: stats.invgamma(k), "+", lambda k: gamma_entropy(k) - 2 * psi(k)),
    "beta": (lambda a, b: stats.beta(a, b), "++", dirichlet_entropy),
    "dirichlet": (lambda *a: stats.dirichlet(list(a)), "+++", dirichlet_entropy),
    "weibull": (
        lambda k: stats.weibull_min(k),
        "+",
        lambda k: 1 + mpmath.euler * (1 - 1 / k) - log(k),
    ),
    "vonmises": (lambda k: stats.vonmises(k), "k", lambda k: sphere_entropy(2, k)),
    "sphere": (
        lambda k: stats.vonmises_fisher([0.6, 0.8, 0.0, 0.0, 0.0], k),
        "k",
        lambda k: sphere_entropy(5, k),
    ),
    "geom": (
        lambda p: stats.geom(p),
        "p",
        lambda p: -(log(p) + (1 - p) / p * log(1 - p)),
    ),
}


@pytest.mark.parametrize("family", ENTROPIES)
def test_entropies_keep_their_digits(family):
    made, kinds, truth = ENTROPIES[family]
    rng = np.random.default_rng(len(family))
    for _ in range(12):
        parameters, _ = drawn(kinds, rng, 0)
        found, exact = entropy(made(*parameters)), truth(*map(mpmath.mpf, parameters))
        # An entropy is a sum of terms of both signs, as large as these logarithms.
        size = abs(exact) + sum(abs(math.log(v)) for v in parameters) + 5
        assert abs(found - exact) <= 1e-14 * size, (parameters, found, float(exact))


def double(value):
    return torch.tensor(value, dtype=torch.float64)


def test_the_digits_that_were_lost():
    wide = stats.multivariate_t([0, 0], np.eye(2), 1e16)
    assert_allclose(entropy(wide), math.log(2 * math.pi) + 1, rtol=1e-15)
    assert_allclose(entropy(stats.multivariate_t([0, 0], np.eye(2), math.inf)), entropy(wide))
    cost = 19.306852819440056  # mpmath: -log 2 + (20 + log(1 + exp(-40))...)
    for family in (
        lambda z: td.Bernoulli(logits=double(z)),
        lambda z: td.Categorical(logits=double([z, 0.0])),
    ):
        assert_allclose(kl_divergence(family(0.0), family(40.0)), cost, rtol=1e-15)
    both = [td.Binomial(5, logits=double(z)) for z in (0.0, 40.0)]
    assert_allclose(kl_divergence(*both), 5 * cost, rtol=1e-15)
    found = cross_entropy(*both)
    assert_allclose(found, 5 * cost + entropy(both[0]), atol=found.error)
    both = [td.Geometric(logits=double(z)) for z in (0.0, 40.0)]
    assert_allclose(kl_divergence(*both), 2 * cost, rtol=1e-15)
    both = [td.NegativeBinomial(3.0, logits=double(z)) for z in (0.0, 40.0)]
    assert_allclose(kl_divergence(*both), 6 * cost, rtol=1e-15)
    far = [td.Categorical(logits=double([0.0, z])) for z in (0.0, -800.0)]
    assert_allclose(kl_divergence(*far), 399.3068528194401, rtol=1e-15)
    assert_allclose(js_divergence(*far), 0.2157615543388357, rtol=1e-14)
    for c in (1e8, 1e12, 1e16):
        found = kl_divergence(stats.dirichlet([c] * 3), stats.dirichlet([2 * c] * 3))
        with mp.workdps(60):
            exact = dirichlet_kl([mpmath.mpf(c)] * 3, [mpmath.mpf(2 * c)] * 3)
        assert_allclose(found, float(exact), rtol=1e-14)


@pytest.mark.parametrize("least", [5e-324, 1e-310, 1e-300, 1e-280])
def test_the_distance_below_the_least_float(least):
    with mp.workdps(700):
        p, q = [mpmath.mpf(0), mpmath.mpf(1)], [mpmath.mpf(least), 1 - mpmath.mpf(least)]
        pairs = [(a, b, (a + b) / 2) for a, b in zip(p, q, strict=True)]
        terms = [x * log(x / m) for a, b, m in pairs for x in (a, b) if x]
        exact = float(mpmath.sqrt(sum(terms) / 2))
    assert_allclose(js_distance([0, 1], [least, 1]), exact, rtol=1e-13)
    assert_allclose(js_distance(double([0, 1.0]), double([least, 1.0])), exact, rtol=1e-13)
    assert_allclose(js_distance([[0, 1], [0.5, 0.5]], [least, 1])[0], exact, rtol=1e-13)
    assert_allclose(js_distance([0, 1], [least, 1], base=2), exact / math.sqrt(math.log(2)))


def test_wishart():
    one, other = stats.wishart(5, [[2, 0.3], [0.3, 1]]), stats.wishart(7.5, [[1, 0.1], [0.1, 3]])
    assert_allclose(entropy(one), one.entropy(), rtol=1e-14)

    def log_gamma_2(a):
        return log(mp.pi) / 2 + lgamma(a) + lgamma(a - 0.5)

    n, m = mpmath.mpf(5) / 2, mpmath.mpf(7.5) / 2
    ratio = np.linalg.solve(other.scale, one.scale)
    exact = n * (np.trace(ratio) - 2) - m * math.log(np.linalg.det(ratio))
    exact += log_gamma_2(m) - log_gamma_2(n) + (n - m) * (psi(n) + psi(n - 0.5))
    assert_allclose(kl_divergence(one, other), float(exact), rtol=1e-13)
    theirs = td.Wishart(double(5.0), double([[2, 0.3], [0.3, 1]]))
    assert_allclose(kl_divergence(theirs, other), float(exact), rtol=1e-13)
    assert kl_divergence(one, one) == 0
    gammas = stats.wishart(9, [[2.0]]), stats.wishart(4, [[1.0]])  # of one number, it is a gamma
    exact = gamma_kl(mpmath.mpf(4), mpmath.mpf(4.5), mpmath.mpf(2), mpmath.mpf(2))
    assert_allclose(kl_divergence(*gammas), float(exact), rtol=1e-13)
    found = js_divergence(one, other, rng=0, draws=2000)
    assert found.method == "monte carlo"
    assert 0.1 < found < math.log(2)


def test_multinomial():
    one, other = stats.multinomial(7, [0.2, 0.3, 0.5]), stats.multinomial(7, [0.3, 0.3, 0.4])
    x = np.array([(a, b, 7 - a - b) for a in range(8) for b in range(8 - a)])
    p, q = one.pmf(x), other.pmf(x)
    assert_allclose(entropy(one), -(p * np.log(p)).sum(), rtol=1e-13)
    assert_allclose(kl_divergence(one, other), (p * np.log(p / q)).sum(), rtol=1e-13)
    assert_allclose(cross_entropy(one, other), -(p * np.log(q)).sum(), rtol=1e-13)
    assert kl_divergence(one, stats.multinomial(8, [0.3, 0.3, 0.4])) == math.inf
    theirs = td.Multinomial(7, logits=torch.log(double([0.2, 0.3, 0.5])))
    assert_allclose(kl_divergence(theirs, other), (p * np.log(p / q)).sum(), rtol=1e-13)
    large = stats.multinomial(10**7, [0.5, 0.5])  # as of a binomial, nearly normal
    assert_allclose(entropy(large), 0.5 * math.log(2 * math.pi * math.e * 10**7 / 4), rtol=1e-9)
    with pytest.raises(ValueError, match="`p` must be one distribution, got a batch"):
        entropy(stats.multinomial([7, 8], [0.5, 0.5]))


def test_von_mises_fisher():
    one = stats.vonmises_fisher([1, 0, 0], 2.0)
    other = stats.vonmises_fisher([0, 0.6, 0.8], 3.0)
    with mp.workdps(30):  # log(κ / sinh κ) and coth κ - 1/κ, in three dimensions
        mean = mpmath.coth(2) - 0.5
        exact = log(2 / mpmath.sinh(2)) - log(3 / mpmath.sinh(3)) + 2 * mean
    assert_allclose(kl_divergence(one, other), float(exact), rtol=1e-14)
    assert_allclose(entropy(one), one.entropy(), rtol=1e-13)
    circle = [stats.vonmises_fisher([math.cos(a), math.sin(a)], k) for a, k in ((0, 2), (1, 5))]
    flat = [stats.vonmises(k, a) for a, k in ((0, 2), (1, 5))]
    assert_allclose(kl_divergence(*circle), kl_divergence(*flat), rtol=1e-14)
    for k, j in ((1e-8, 3e-8), (29.0, 31.0), (150.0, 150.0 * (1 + 1e-7)), (1e8, 3e8)):
        both = [stats.vonmises_fisher([0.0] * 9 + [1.0], x) for x in (k, j)]
        with mp.workdps(60):
            a, b = mpmath.mpf(k), mpmath.mpf(j)
            normaliser = [log(mpmath.besseli(4, x)) - 4 * log(x) for x in (a, b)]
            slope = mpmath.besseli(5, a) / mpmath.besseli(4, a)
            exact = normaliser[1] - normaliser[0] - (b - a) * slope
        assert_allclose(kl_divergence(*both), float(exact), rtol=1e-12)
    with pytest.raises(ValueError, match="`q` must be a density on the sphere in 3 dimensions"):
        kl_divergence(one, stats.multivariate_normal([0, 0, 0], np.eye(3)), rng=0)


@pytest.mark.parametrize("size", [2, 4, 6])
def test_nearly_singular_covariances_tell_their_error(size):
    i = np.arange(size)
    cov = 1.0 / (1 + i[:, None] + i)  # Hilbert's, of condition 2e1, 2e4, 1e7
    other = cov + 1e-3 * np.diag(np.diag(cov))
    with mp.workdps(60):
        a, b = (mpmath.matrix(v.tolist()) for v in (cov, other))
        exact = (size * log(2 * mp.pi * mp.e) + log(mpmath.det(a))) / 2
        trace = sum((mpmath.inverse(b) * a)[k, k] for k in range(size))
        gap = (trace - size - log(mpmath.det(a)) + log(mpmath.det(b))) / 2
    one, model = (stats.multivariate_normal(np.zeros(size), v) for v in (cov, other))
    for found, truth in ((entropy(one), exact), (kl_divergence(one, model), gap)):
        assert abs(found - truth) <= found.error + 1e-11 * abs(truth)
        assert (found.error == 0) == (size == 2)
