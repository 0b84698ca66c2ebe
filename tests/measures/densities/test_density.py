"""Distribution objects: mpmath's integrals and sums, published formulas, pairs built to fail."""

import copy
import itertools
import json
import math
import pickle
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats
from torch import distributions as td

from xent.measures import Measurement, cross_entropy, entropy, js_divergence, kl_divergence

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "densities.json").read_text())
INF = mp.inf


def close(found, truth, rtol=2e-12):
    """Within what it says of itself, and that is little."""
    assert found == pytest.approx(float(truth), rel=rtol, abs=rtol), found
    assert abs(found - float(truth)) <= found.error + 1e-13 * (1 + abs(float(truth))), found


# ------------------------------------------------------------------ densities, written out


def normal(m, s):
    return lambda x: mp.exp(-(((x - m) / s) ** 2) / 2) / (s * mp.sqrt(2 * mp.pi))


def lognormal(m, s):
    return lambda x: normal(m, s)(mp.log(x)) / x


def gamma(k, s):
    return lambda x: (x / s) ** (k - 1) * mp.exp(-x / s) / (s * mp.gamma(k))


def inverse_gamma(k, s):
    return lambda x: (x / s) ** (-k - 1) * mp.exp(-s / x) / (s * mp.gamma(k))


def beta(a, b):
    return lambda x: x ** (a - 1) * (1 - x) ** (b - 1) / mp.beta(a, b)


def weibull(k, s):
    return lambda x: k / s * (x / s) ** (k - 1) * mp.exp(-((x / s) ** k))


def pareto(k, s):
    return lambda x: k / s * (x / s) ** (-k - 1) if x >= s else mp.mpf(0)


def student(df, m, s):
    c = mp.gamma((df + 1) / 2) / (mp.gamma(df / 2) * s * mp.sqrt(df * mp.pi))
    return lambda x: c * (1 + ((x - m) / s) ** 2 / df) ** (-(df + 1) / 2)


def laplace(m, s):
    return lambda x: mp.exp(-abs(x - m) / s) / (2 * s)


def logistic(m, s):
    return lambda x: mp.sech((x - m) / (2 * s)) ** 2 / (4 * s)


def gumbel(m, s):
    return lambda x: mp.exp(-(x - m) / s - mp.exp(-(x - m) / s)) / s


def half_normal(s):
    return lambda x: 2 * normal(0, s)(x)


def von_mises(m, k):
    return lambda x: mp.exp(k * mp.cos(x - m)) / (2 * mp.pi * mp.besseli(0, k))


t = mp.mpf
LINE, RIGHT, UNIT, CIRCLE = (
    [-INF, -3, 0, 1, 4, INF],
    [0, 0.3, 1, 3, INF],
    [0, 0.5, 1],
    [-mp.pi, 0, 1, mp.pi],
)
# Two members of each family: scipy's, torch's, the density; and where to integrate.
FAMILIES = {
    "normal": ([(stats.norm(0.5, 2), td.Normal(0.5, 2.0), normal(t(0.5), t(2))),
                (stats.norm(-1, 0.75), td.Normal(-1.0, 0.75), normal(t(-1), t(0.75)))], [-INF, -3, 0, 2, INF]),
    "lognormal": ([(stats.lognorm(0.5, scale=math.exp(0.25)), td.LogNormal(0.25, 0.5), lognormal(t(0.25), t(0.5))),
                   (stats.lognorm(1.5, scale=math.exp(-1)), td.LogNormal(-1.0, 1.5), lognormal(t(-1), t(1.5)))], RIGHT),
    "exponential": ([(stats.expon(scale=0.5), td.Exponential(2.0), gamma(1, t(0.5))),
                     (stats.expon(scale=4), td.Exponential(0.25), gamma(1, t(4)))], RIGHT),
    "gamma": ([(stats.gamma(2.5, scale=0.5), td.Gamma(2.5, 2.0), gamma(t(2.5), t(0.5))),
               (stats.gamma(4, scale=1), td.Chi2(8.0), None),
               (stats.gamma(1.25, scale=2), td.Gamma(1.25, 0.5), gamma(t(1.25), t(2)))], RIGHT),
    "inverse gamma": ([(stats.invgamma(3, scale=2), td.InverseGamma(3.0, 2.0), inverse_gamma(3, t(2))),
                       (stats.invgamma(1.5, scale=1), td.InverseGamma(1.5, 1.0), inverse_gamma(t(1.5), t(1)))], RIGHT),
    "beta": ([(stats.beta(2, 3.5), td.Beta(2.0, 3.5), beta(t(2), t(3.5))),
              (stats.beta(1.5, 1.25), td.Beta(1.5, 1.25), beta(t(1.5), t(1.25)))], UNIT),
    "weibull": ([(stats.weibull_min(1.5, scale=2), td.Weibull(2.0, 1.5), weibull(t(1.5), t(2))),
                 (stats.rayleigh(scale=1), None, weibull(t(2), mp.sqrt(2)))], RIGHT),
    "laplace": ([(stats.laplace(0, 1), td.Laplace(0.0, 1.0), laplace(0, t(1))),
                 (stats.laplace(1, 2.5), td.Laplace(1.0, 2.5), laplace(1, t(2.5)))], LINE),
    "cauchy": ([(stats.cauchy(0, 1), td.Cauchy(0.0, 1.0), student(t(1), 0, t(1))),
                (stats.cauchy(1, 0.5), td.Cauchy(1.0, 0.5), student(t(1), 1, t(0.5)))], LINE),
    "gumbel": ([(stats.gumbel_r(0, 1), td.Gumbel(0.0, 1.0), gumbel(0, t(1))),
                (stats.gumbel_r(1, 1.5), td.Gumbel(1.0, 1.5), gumbel(1, t(1.5)))], [-7, -2, 0, 2, 8, 90]),
    "logistic": ([(stats.logistic(0, 1), None, logistic(0, t(1))), (stats.logistic(1, 2), None, logistic(1, t(2)))], LINE),
    "student": ([(stats.t(3, 0, 1), td.StudentT(3.0), student(t(3), 0, t(1))),
                 (stats.t(5, 1, 2), td.StudentT(5.0, 1.0, 2.0), student(t(5), 1, t(2)))], LINE),
    "half normal": ([(stats.halfnorm(scale=1.5), td.HalfNormal(1.5), half_normal(t(1.5))),
                     (stats.halfnorm(scale=0.5), td.HalfNormal(0.5), half_normal(t(0.5)))], RIGHT),
    "von mises": ([(stats.vonmises(2, loc=1), td.VonMises(1.0, 2.0), von_mises(1, t(2))),
                   (stats.vonmises(0.5, loc=-0.5), td.VonMises(-0.5, 0.5), von_mises(t(-0.5), t(0.5)))], CIRCLE),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_families_against_mpmath(family):
    members, line = FAMILIES[family]
    members = [m for m in members if m[2] is not None]
    with mp.workdps(20):
        (p, torch_p, f), (q, torch_q, g) = members
        own = mp.quad(lambda x: -f(x) * mp.log(f(x)), line)
        apart = mp.quad(lambda x: f(x) * mp.log(f(x) / g(x)), line)
    for one in (p, torch_p):
        if one is not None:
            close(entropy(one), own)
            assert entropy(one).method == "closed form"
    formula = family not in ("logistic", "student")  # these have no closed divergence
    for left, right in itertools.product((p, torch_p), (q, torch_q)):
        if left is not None and right is not None:
            found = kl_divergence(left, right)
            close(found, apart)
            assert found.method == ("closed form" if formula else "quadrature")
            close(cross_entropy(left, right), own + apart)


def middle(f, g):
    def js(x):
        a, b = f(x), g(x)
        return sum(c / 2 * mp.log(2 * c / (a + b)) for c in (a, b) if c)

    return js


@pytest.mark.parametrize("family", ["normal", "gamma", "beta", "cauchy", "laplace", "von mises"])
def test_js_against_mpmath(family):
    members, line = FAMILIES[family]
    (p, _, f), *_, (q, _, g) = members
    with mp.workdps(20):
        truth = mp.quad(middle(f, g), line)
    found = js_divergence(p, q)
    close(found, truth)
    close(js_divergence(q, p), truth)
    assert (found.method, js_divergence(p, p)) == ("quadrature", pytest.approx(0, abs=1e-30))


MIXED = {
    "normal from Cauchy": (stats.norm(), stats.cauchy(), normal(0, 1), student(t(1), 0, 1), LINE),
    "t from normal": (stats.t(3), stats.norm(), student(t(3), 0, 1), normal(0, 1), None),
    "uniform from normal": (stats.uniform(), stats.norm(), lambda x: mp.mpf(1), normal(0, 1), UNIT),
    "gamma from lognormal": (stats.gamma(2), td.LogNormal(0.5, 1.0), gamma(t(2), 1), lognormal(t(0.5), 1), RIGHT),
    "Laplace from normal": (td.Laplace(0.0, 1.0), stats.norm(1, 2), laplace(0, 1), normal(1, 2), LINE),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
def test_two_families(name):
    p, q, f, g, line = MIXED[name]
    with mp.workdps(20):
        if line is None:  # E log t - E log normal, whose second moment is df / (df - 2) = 3
            cost = mp.log(2 * mp.pi) / 2 + mp.mpf(3) / 2
            truth = cost - mp.quad(lambda x: -f(x) * mp.log(f(x)), LINE)
        else:
            truth = mp.quad(lambda x: f(x) * mp.log(f(x) / g(x)), line)
    found = kl_divergence(p, q)
    close(found, truth)
    assert found.method == "quadrature"
    close(cross_entropy(p, q), float(found) + float(entropy(p)))


def test_numbers_of_books():
    for line in GOLDEN["entropy"]:
        found = entropy(getattr(stats, line["family"])(*line["parameters"]), base=line["base"])
        assert_allclose(found, line["value"], atol=line["digits"], err_msg=line["where"])
    for line in GOLDEN["divergence"]:
        p, q = (getattr(stats, line["family"])(*args) for args in line["parameters"])
        assert_allclose(kl_divergence(p, q), line["value"], atol=line["digits"])


# ------------------------------------------------------------------ hostile pairs


INFINITE = {
    "Cauchy from normal": (stats.cauchy(), stats.norm()),
    "t with 2 degrees from normal": (stats.t(2), stats.norm()),
    "Pareto of 2 from normal": (stats.pareto(2), stats.norm()),  # scipy's log density underflows
    "disjoint": (stats.uniform(0, 1), stats.uniform(2, 1)),
    "normal from uniform": (stats.norm(), stats.uniform(-50, 100)),
    "shifted exponential": (stats.expon(0), stats.expon(1)),
    "normal from gamma": (td.Normal(5.0, 0.1), td.Gamma(2.0, 1.0)),
    "uniform from a mixture with a hole": (
        td.Uniform(0.0, 1.0),
        td.MixtureSameFamily(
            td.Categorical(probs=torch.tensor([0.5, 0.5])),
            td.Uniform(torch.tensor([0.0, 0.6]), torch.tensor([0.4, 1.0])),
        ),
    ),
    "uniform from inverse gamma": (stats.uniform(), stats.invgamma(2)),  # 1/x at 0
    "exponential from Gumbel of minima": (stats.expon(scale=2), stats.gumbel_l()),
    "Poisson from binomial": (stats.poisson(3), stats.binom(10, 0.3)),
    "zipf from geometric": (stats.zipf(1.5), stats.geom(0.5)),
    "coin": (td.Bernoulli(0.5), td.Bernoulli(1.0)),
    "binomial from certainty": (td.Binomial(5, torch.tensor(0.3)), td.Binomial(5, torch.tensor(0.0))),
    "categories": (
        td.Categorical(probs=torch.tensor([0.5, 0.5])),
        td.Categorical(probs=torch.tensor([1.0, 0.0])),
    ),
}  # fmt: skip


@pytest.mark.grid
@pytest.mark.parametrize("name", INFINITE)
def test_infinite_and_never_nan(name):
    p, q = INFINITE[name]
    assert kl_divergence(p, q) == math.inf
    assert cross_entropy(p, q) == math.inf
    assert 0 < js_divergence(p, q) <= math.log(2)


def test_a_heavy_tail_that_is_just_finite():
    # E log t - E log normal; the second moment df / (df - 2) = 201 is mostly beyond 1e100
    df = 2.01
    with mp.workdps(20):
        nu = t(df)
        own = (nu + 1) / 2 * (mp.digamma((nu + 1) / 2) - mp.digamma(nu / 2))
        own += mp.log(mp.sqrt(nu) * mp.beta(nu / 2, 0.5))
        truth = mp.log(2 * mp.pi) / 2 + nu / (nu - 2) / 2 - own
    found = kl_divergence(stats.t(df), stats.norm())
    assert_allclose(found, float(truth), rtol=1e-9)
    assert abs(found - float(truth)) <= found.error < 1e-6


def test_peaks_that_are_narrow_and_far():
    narrow = [stats.norm(0, 1e-12), stats.norm(1e6, 1e-12)]
    assert js_divergence(*narrow, base=2) == pytest.approx(1, abs=1e-14)
    # moving and scaling both changes nothing
    plain = js_divergence(stats.norm(0, 1), stats.norm(0, 2))
    far = js_divergence(stats.norm(1e6, 1e-12), stats.norm(1e6, 2e-12))
    assert_allclose(far, plain, rtol=1e-12)
    assert_allclose(kl_divergence(*narrow), 0.5e36, rtol=1e-15)
    modes = td.Normal(torch.tensor([0.0, 1e8]), torch.tensor([1.0, 1e-6]))
    mix = td.MixtureSameFamily(td.Categorical(probs=torch.tensor([0.25, 0.75])), modes)
    one = 0.5 * math.log(2 * math.pi * math.e)
    scale = math.log(float(torch.tensor(1e-6)))
    own = 0.25 * one + 0.75 * (one + scale) - 0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    assert_allclose(entropy(mix), own, rtol=1e-13)
    assert_allclose(kl_divergence(td.Normal(0.0, 1.0), mix), math.log(4), rtol=1e-13)


def test_a_mixture_against_mpmath():
    f = lambda x: 0.25 * normal(0, 1)(x) + 0.75 * normal(3, t(0.5))(x)  # noqa: E731
    with mp.workdps(20):
        own = mp.quad(lambda x: -f(x) * mp.log(f(x)), [-INF, -2, 0, 1.5, 3, 4, INF])
        apart = mp.quad(lambda x: f(x) * mp.log(f(x) / normal(1, 2)(x)), [-20, 0, 1.5, 3, 4, 20])
    by_torch = td.MixtureSameFamily(
        td.Categorical(probs=torch.tensor([0.25, 0.75])),
        td.Normal(torch.tensor([0.0, 3.0]), torch.tensor([1.0, 0.5])),
    )
    mixes = [by_torch]
    if hasattr(stats, "Mixture"):
        parts = [stats.Normal(mu=0, sigma=1), stats.Normal(mu=3, sigma=0.5)]
        mixes.append(stats.Mixture(parts, weights=[0.25, 0.75]))
    for mix in mixes:
        close(entropy(mix), own)
        close(kl_divergence(mix, stats.norm(1, 2)), apart)
        assert kl_divergence(mix, stats.norm(1, 2), base=2).method == "quadrature"


def test_singular_edges():
    # X = U^(1/a) has density a x^(a-1): entropy 1 - 1/a - log a, down to 1e-300 and further
    for a in (0.05, 0.3):
        power = stats.powerlaw(a)
        assert_allclose(entropy(power), 1 - 1 / a - math.log(a), rtol=1e-9)
        found = kl_divergence(power, stats.uniform())
        assert_allclose(found, math.log(a) + 1 / a - 1, rtol=1e-9)
        assert abs(found - (math.log(a) + 1 / a - 1)) <= found.error
    both = js_divergence(stats.beta(0.2, 0.3), stats.beta(0.3, 0.2))
    assert_allclose(both, js_divergence(stats.beta(0.3, 0.2), stats.beta(0.2, 0.3)), rtol=1e-12)
    moved = js_divergence(stats.beta(0.2, 0.3, loc=5), stats.beta(0.3, 0.2, loc=5))
    assert_allclose(moved, both, rtol=1e-12)


NEAR = {
    "normal": (
        lambda d: (stats.norm(0, 1), stats.norm((1 + d) - 1, 1 + d)),
        lambda d: mp.log1p(d) + (1 + d * d) / (2 * (1 + d) ** 2) - mp.mpf(1) / 2,
    ),
    "exponential": (
        lambda d: (stats.expon(0, 1), stats.expon(0, 1 + d)),
        lambda d: mp.log1p(d) + 1 / (1 + d) - 1,
    ),
    "gamma": (
        lambda d: (stats.gamma(3), stats.gamma(3 + d)),
        lambda d: mp.loggamma(3 + d) - mp.loggamma(3) - d * mp.digamma(3),
    ),
    "Poisson": (
        lambda d: (stats.poisson(3), stats.poisson(3 + d)),
        lambda d: 3 * mp.log(3 / (3 + d)) + d,
    ),
}


@pytest.mark.parametrize("name", NEAR)
def test_nearly_equal_parameters_lose_nothing(name):
    make, truth = NEAR[name]
    for d in (1e-3, 1e-7, -1e-10):
        p, q = make(d)
        shift = t(q.args[-1]) - t(p.args[-1])  # the difference as it is in floats
        with mp.workdps(60):
            assert_allclose(kl_divergence(p, q), float(truth(shift)), rtol=1e-12)


def test_nearly_equal_densities_lose_little():
    # δ²/8 - δ⁴/128 + ..., by expanding two normals δ apart
    for d in (1e-4, 1e-7):
        found = js_divergence(stats.norm(0, 1), stats.norm(d, 1))
        assert_allclose(found, d * d / 8, rtol=max(d * d, 3e-8))


def test_extreme_parameters():
    with mp.workdps(40):
        for k in (1e-3, 150, 1e6, 1e12):
            own = k + mp.loggamma(k) + (1 - t(k)) * mp.digamma(k)
            assert_allclose(entropy(stats.gamma(k)), float(own), rtol=1e-12)
            if k > 1:
                s = 2 * t(k)
                flat = (
                    mp.log(mp.beta(k, k)) - 2 * (t(k) - 1) * mp.digamma(k) + (s - 2) * mp.digamma(s)
                )
                assert_allclose(entropy(stats.beta(k, k)), float(flat), rtol=1e-10)
        for df in (0.3, 1e3, 1e5, 1e12):
            nu = t(df)
            own = (nu + 1) / 2 * (mp.digamma((nu + 1) / 2) - mp.digamma(nu / 2))
            own += (
                mp.log(nu) / 2 + mp.loggamma(nu / 2) + mp.loggamma(0.5) - mp.loggamma(nu / 2 + 0.5)
            )
            assert_allclose(entropy(stats.t(df)), float(own), rtol=1e-12)
        for k in (1e-4, 30, 1e5, 1e9):
            a = mp.besseli(1, t(k)) / mp.besseli(0, t(k))
            own = mp.log(2 * mp.pi * mp.besseli(0, t(k))) - t(k) * a
            assert_allclose(entropy(stats.vonmises(k)), float(own), rtol=1e-11)


# ------------------------------------------------------------------ whole numbers


def poisson(k, rate):
    return mp.exp(-rate) * t(rate) ** k / mp.factorial(k)


def test_sums_against_mpmath():
    with mp.workdps(25):
        own = -mp.fsum(poisson(k, 3) * mp.log(poisson(k, 3)) for k in range(80))
        close(entropy(stats.poisson(3)), own)
        close(entropy(td.Poisson(3.0)), own)
        terms = [mp.binomial(10, k) * t(0.25) ** k * t(0.75) ** (10 - k) for k in range(11)]
        own = -mp.fsum(p * mp.log(p) for p in terms)
        close(entropy(stats.binom(10, 0.25)), own)
        assert entropy(td.Binomial(10, torch.tensor(0.25))).method == "sum"
        apart = mp.fsum(p * mp.log(p / poisson(k, 3)) for k, p in enumerate(terms))
        close(kl_divergence(stats.binom(10, 0.25), stats.poisson(3)), apart)
        apart = mp.fsum(poisson(k, 3) * mp.log(poisson(k, 3) / poisson(k, 5)) for k in range(80))
        close(kl_divergence(stats.poisson(3), td.Poisson(5.0)), apart)
        p, q = t(0.25), t(0.5)
        apart = mp.log(p / q) + (1 - p) / p * mp.log((1 - p) / (1 - q))
        close(kl_divergence(stats.geom(0.25), stats.geom(0.5)), apart)
        close(kl_divergence(td.Geometric(0.25), td.Geometric(0.5)), apart)
        close(kl_divergence(stats.nbinom(3, 0.25), stats.nbinom(3, 0.5)), 3 * apart)
        # Σ k^-2 (2 log k + log ζ(2)) / ζ(2): the tail falls like a power
        own = -2 * mp.zeta(2, derivative=1) / mp.zeta(2) + mp.log(mp.zeta(2))
    found = entropy(stats.zipf(2))
    assert abs(found - float(own)) <= found.error < 1e-5
    # half the log of 2 π e λ, less 1 / (12 λ) + 1 / (24 λ²)
    for rate in (1e4, 1e8):
        own = 0.5 * math.log(2 * math.pi * math.e * rate) - 1 / (12 * rate) - 1 / (24 * rate**2)
        assert_allclose(entropy(stats.poisson(rate)), own, rtol=1e-12)


def test_sums_at_the_end_of_floats():
    # k log(3/2) under the first: scipy's logpmf is that of a pmf, and underflows
    assert_allclose(
        kl_divergence(stats.skellam(3, 2), stats.skellam(2, 3)), math.log(1.5), rtol=1e-9
    )
    assert cross_entropy(stats.poisson(0), stats.poisson(3)) == pytest.approx(3)
    assert js_divergence(stats.poisson(0), stats.poisson(3)) > 0
    coarse = entropy(stats.binom(10**9, 0.5))  # scipy's logpmf is off by 1e-6 there
    truth = 0.5 * math.log(2 * math.pi * math.e * 10**9 / 4)
    assert abs(coarse - truth) < coarse.error < 1e-3
    wide = js_divergence(stats.norm(0, 1e100), stats.norm(0, 1e-100), base=2)
    assert wide == pytest.approx(1, abs=1e-14)


def test_few_outcomes():
    assert entropy(stats.bernoulli(0.25), base=2) == pytest.approx(0.8112781244591328)
    assert entropy(td.Bernoulli(0.5), base=2) == 1
    cat = td.Categorical(logits=torch.tensor([0.0, 0.0, -math.inf]))
    assert entropy(cat, base=2) == pytest.approx(1)
    assert kl_divergence(td.Bernoulli(0.5), td.Bernoulli(0.25)) == pytest.approx(
        0.5 * math.log(4 / 3)
    )
    table = stats.rv_discrete(values=([0, 1], [0.5, 0.5]))()
    assert kl_divergence(table, td.Bernoulli(0.25)) == pytest.approx(0.5 * math.log(4 / 3))
    assert js_divergence(stats.bernoulli(0), stats.bernoulli(1), base=2) == 1
    assert entropy(stats.randint(3, 11), base=2) == pytest.approx(3)
    weights = js_divergence(
        *(stats.uniform(i, 1) for i in range(3)), weights=[0.5, 0.25, 0.25], base=2
    )
    assert weights == pytest.approx(1.5)


# ------------------------------------------------------------------ several numbers


def test_independent_normals_are_a_normal_of_several_numbers():
    mean, scale = torch.tensor([[0.5, -1.0], [2.0, 0.25]], dtype=torch.float64)
    cov = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    apart = td.Independent(td.Normal(mean, scale), 1)
    whole = td.MultivariateNormal(mean, torch.diag(scale**2))  # PyTorch's formula is of these
    model = td.MultivariateNormal(torch.zeros(2, dtype=torch.float64), cov)
    for other in (model, stats.multivariate_normal([0, 0], cov.numpy())):
        for found, truth in (
            (kl_divergence(apart, other), td.kl_divergence(whole, model)),
            (kl_divergence(other, apart), td.kl_divergence(model, whole)),
            (cross_entropy(apart, other), td.kl_divergence(whole, model) + whole.entropy()),
        ):
            close(found, truth)
            assert (found.method, found.error) == ("closed form", 0)
    one = td.Independent(td.Normal(torch.ones(1), torch.ones(1)), 1)
    for other in (td.MultivariateNormal(torch.zeros(1), 4 * torch.eye(1)), stats.norm(0, 2)):
        close(kl_divergence(one, other), math.log(2) + (1 + 1) / 8 - 0.5)
    assert js_divergence(one, one).method == "quadrature"


def test_several_dimensions():
    cov = np.array([[2.0, 0.6], [0.6, 1.0]])
    p, q = stats.multivariate_normal([0, 1], cov), stats.multivariate_normal([1, 0], np.eye(2))
    # 1/2 [tr + m'm - 2 - log det], by hand
    truth = 0.5 * (3 + 2 - 2 - math.log(2 - 0.36))
    assert_allclose(kl_divergence(p, q), truth, rtol=1e-14)
    assert_allclose(entropy(p), 0.5 * math.log((2 * math.pi * math.e) ** 2 * 1.64), rtol=1e-14)
    low = td.LowRankMultivariateNormal(torch.zeros(2), torch.tensor([[1.0], [1.0]]), torch.ones(2))
    full = td.MultivariateNormal(torch.zeros(2), torch.tensor([[2.0, 1.0], [1.0, 2.0]]))
    assert kl_divergence(low, full) == 0
    near = td.MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double() * (1 + 1e-9))
    exact = stats.multivariate_normal([0, 0], np.eye(2))
    d = float(near.covariance_matrix[0, 0]) - 1
    assert_allclose(kl_divergence(near, exact), d * d / 2 - d**3 / 3, rtol=1e-6)
    independent = td.Independent(td.Normal(torch.zeros(3), 1.0), 1)
    assert_allclose(entropy(independent), 1.5 * math.log(2 * math.pi * math.e), rtol=1e-14)
    with mp.workdps(30):
        a, b = [1, 2, 3], [2, 1, 1]
        gap = mp.loggamma(6) - sum(mp.loggamma(x) for x in a) - mp.loggamma(4)
        gap += sum(mp.loggamma(y) for y in b)
        gap += sum((x - y) * (mp.digamma(x) - mp.digamma(6)) for x, y in zip(a, b, strict=True))
    close(kl_divergence(stats.dirichlet(a), td.Dirichlet(torch.tensor([2.0, 1.0, 1.0]))), gap)
    assert_allclose(entropy(stats.dirichlet([2, 3.5])), entropy(stats.beta(2, 3.5)), rtol=1e-13)


def test_draws():
    p, q = stats.multivariate_normal([0, 0]), stats.multivariate_normal([2, 0])
    # along the first axis alone: the truth is that of two normals on the line
    truth = js_divergence(stats.norm(0, 1), stats.norm(2, 1))
    found = js_divergence(p, q, rng=0)
    assert found.method == "monte carlo"
    assert 0 < found.error < 0.005
    assert abs(found - truth) < 4 * found.error
    few = js_divergence(p, q, rng=0, draws=1000)
    assert 5 * found.error < few.error < 20 * found.error
    same = td.Categorical(probs=torch.tensor([0.5, 0.5]))
    parts = td.MultivariateNormal(torch.zeros(2, 2), torch.eye(2))
    mix = td.MixtureSameFamily(same, parts)  # both components alike
    before = torch.random.get_rng_state()
    found = entropy(mix, rng=1)
    assert abs(found - math.log(2 * math.pi * math.e)) < 4 * found.error
    assert found == entropy(mix, rng=1) != entropy(mix, rng=2)
    assert kl_divergence(
        mix, parts.expand((2,)).__class__(torch.zeros(2), torch.eye(2)), rng=3
    ) == pytest.approx(0, abs=1e-12)
    assert torch.equal(before, torch.random.get_rng_state())
    t2 = stats.multivariate_t([0, 0], np.eye(2), df=4)
    found = cross_entropy(t2, p, rng=0)  # log 2π + E|x|²/2 = log 2π + df / (df - 2)
    assert abs(found - (math.log(2 * math.pi) + 2)) < 5 * found.error
    drawn = -t2.logpdf(t2.rvs(200_000, random_state=1))
    assert abs(entropy(t2) - drawn.mean()) < 5 * drawn.std() / math.sqrt(drawn.size)


def test_other_kinds():
    a, b = 2.0, 3.0  # Kumaraswamy's published entropy: 1 - 1/b + (1 - 1/a) H_b - log(ab)
    own = 1 - 1 / b + (1 - 1 / a) * (1 + 1 / 2 + 1 / 3) - math.log(a * b)
    exact = td.Kumaraswamy(torch.tensor(a).double(), torch.tensor(b).double())
    assert_allclose(entropy(exact), own, rtol=1e-12)
    # tanh keeps divergences
    change = [td.transforms.TanhTransform()]
    p, q = (td.TransformedDistribution(td.Normal(m, 0.5), change) for m in (0.0, 0.5))
    assert_allclose(kl_divergence(p, q), 0.5, rtol=1e-9)
    points = np.random.default_rng(0).normal(size=20)
    kde = stats.gaussian_kde(points)
    width = math.sqrt(kde.covariance[0, 0])
    mix = td.MixtureSameFamily(
        td.Categorical(probs=torch.ones(20).double()),
        td.Normal(torch.tensor(points), torch.tensor(width, dtype=torch.float64)),
    )
    assert_allclose(entropy(kde), entropy(mix), rtol=1e-12)
    if hasattr(stats, "make_distribution"):
        new = stats.make_distribution(stats.gamma)(a=2.0)
        assert_allclose(entropy(new), entropy(stats.gamma(2)), rtol=1e-12)


SCIPY = [
    ("arcsine",), ("rdist", 1.6), ("semicircular",), ("triang", 0.2), ("powerlaw", 0.5), ("betaprime", 5.0, 6.0),
    ("foldnorm", 1.95), ("pearson3", 0.1), ("skewnorm", 4.0), ("exponnorm", 1.5), ("maxwell",), ("nakagami", 5.0),
    ("lomax", 1.9), ("burr12", 10.0, 4.0), ("genpareto", 0.1), ("levy",), ("f", 29.0, 18.0), ("mielke", 10.4, 4.6),
    ("crystalball", 2.0, 3.0), ("johnsonsu", 2.5, 2.2), ("invgauss", 0.15), ("truncnorm", -1.0, 2.0),
    ("truncpareto", 2.0, 5.0), ("gennorm", 1.3), ("dweibull", 2.1), ("dgamma", 1.1), ("wrapcauchy", 0.03),
]  # fmt: skip


@pytest.mark.parametrize("line", SCIPY, ids=[line[0] for line in SCIPY])
def test_what_scipy_says_of_entropy(line):
    name, *shapes = line
    one = getattr(stats, name)(*shapes)
    found = entropy(one)
    assert_allclose(found, float(one.entropy()), rtol=2e-7, atol=1e-8)
    assert found.error < 1e-5
    moved = getattr(stats, name)(*shapes, loc=7, scale=1e-3)
    if name != "wrapcauchy":
        assert_allclose(entropy(moved), float(entropy(one)) - math.log(1000), rtol=1e-6)
    assert 0 < js_divergence(one, stats.norm(1, 3)) < math.log(2)


# ------------------------------------------------------------------ PyTorch's own registry


def number(x):
    return torch.tensor(x, dtype=torch.float64)


def of_numbers(kind, *parameters):
    return kind(*(number(p) for p in parameters))


CONTINUOUS = [
    of_numbers(*line)
    for line in (
        (td.Normal, 0.3, 1.2), (td.Normal, -1.0, 0.5), (td.LogNormal, 0.1, 0.4), (td.LogNormal, 0.3, 0.9),
        (td.Exponential, 2.0), (td.Exponential, 0.7), (td.Gamma, 2.0, 3.0), (td.Gamma, 0.5, 1.0),
        (td.Chi2, 3.0), (td.Beta, 2.0, 3.0), (td.Beta, 0.5, 0.7), (td.Uniform, 0.0, 1.0),
        (td.Uniform, -1.0, 3.0), (td.Uniform, 1.0, 2.0), (td.Laplace, 0.0, 1.0), (td.Laplace, 0.5, 2.0),
        (td.Weibull, 1.5, 2.0), (td.Weibull, 1.0, 0.8), (td.Pareto, 1.0, 3.0), (td.Pareto, 0.5, 2.0),
        (td.Pareto, 2.0, 1.0), (td.StudentT, 3.0, 0.0, 1.0), (td.Cauchy, 0.0, 1.0), (td.Cauchy, 1.0, 2.0),
        (td.Gumbel, 0.0, 1.0), (td.Gumbel, 1.0, 2.0), (td.HalfNormal, 1.0), (td.HalfNormal, 2.0),
        (td.HalfCauchy, 1.0), (td.InverseGamma, 2.0, 1.0), (td.VonMises, 0.0, 1.0), (td.VonMises, 1.0, 2.0),
        (td.FisherSnedecor, 3.0, 5.0), (td.Kumaraswamy, 2.0, 3.0), (td.ContinuousBernoulli, 0.3),
        (td.ContinuousBernoulli, 0.8),
    )
]  # fmt: skip
DISCRETE = [
    of_numbers(td.Bernoulli, 0.3), of_numbers(td.Bernoulli, 0.0), of_numbers(td.Bernoulli, 1.0),
    of_numbers(td.Poisson, 2.0), of_numbers(td.Poisson, 5.0), of_numbers(td.Geometric, 0.3),
    of_numbers(td.Geometric, 0.8), td.Binomial(5, number(0.3)), td.Binomial(5, number(0.6)),
    td.Binomial(7, number(0.6)), td.Binomial(5, number(0.0)), td.NegativeBinomial(3, number(0.4)),
]  # fmt: skip


def agrees(p, q):
    """Whether PyTorch has a formula for the pair; where it does, that ours is the same number."""
    try:
        theirs = float(td.kl_divergence(p, q))
    except NotImplementedError:
        return False
    ours = kl_divergence(p, q)
    unit = [one.low == 0 and one.high == 1 for one in (p, q) if isinstance(one, td.Uniform)]
    if {type(p), type(q)} == {td.Uniform, td.ContinuousBernoulli} and unit == [True]:
        assert 0 < ours < 0.1, "both are on [0, 1]"
        assert theirs == math.inf
    elif isinstance(p, td.Binomial) and isinstance(q, td.Binomial) and q.probs == 0 and p.probs > 0:
        assert ours == math.inf
        assert theirs < 200 or p.total_count > q.total_count  # it clamps the log of 0
    else:
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9), (p, q)
    return True


def test_what_pytorch_says_of_neighbours():
    assert (
        sum(agrees(p, q) for many in (CONTINUOUS, DISCRETE) for p, q in itertools.pairwise(many))
        > 15
    )
    one, half = of_numbers(td.Uniform, 0.0, 1.0), of_numbers(td.ContinuousBernoulli, 0.3)
    assert agrees(one, half)
    with mp.workdps(20):
        c = 2 * mp.atanh(t(1) - 2 * t(0.3)) / (1 - 2 * t(0.3))
        truth = -mp.quad(lambda x: mp.log(c * t(0.3) ** x * t(0.7) ** (1 - x)), UNIT)
    close(kl_divergence(one, half), truth)


@pytest.mark.long
def test_what_pytorch_says_of_all_pairs():
    pairs = itertools.chain(*(itertools.product(many, many) for many in (CONTINUOUS, DISCRETE)))
    assert sum(agrees(p, q) for p, q in pairs) > 440


# ------------------------------------------------------------------ the result, and refusals


def test_the_result_is_a_float_that_says_how():
    found = entropy(stats.norm(0, 1))
    assert isinstance(found, float)
    assert (found.value, found.error, found.method) == (float(found), 0.0, "closed form")
    assert repr(found) == "Measurement(1.4189385332046727, error=0, method='closed form')"
    assert entropy(stats.norm(0, 1), base=2) == pytest.approx(found / math.log(2))
    some = kl_divergence(stats.norm(), stats.cauchy())
    assert some.error > 0
    assert some.error / math.log(2) == kl_divergence(stats.norm(), stats.cauchy(), base=2).error
    for other in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert (other, other.method) == (found, "closed form")
    with pytest.raises(AttributeError):
        found.error = 1.0
    assert isinstance(found, Measurement)


REFUSED = [
    (lambda: entropy(stats.norm([0, 1], 1)), "`p` must be one distribution, got a batch of 2. Take them one by one."),
    (lambda: entropy(td.Normal(torch.zeros(3), 1.0)), "`p` must be one distribution, got a batch of shape (3,). Take them one by one, or as one joint"),
    (lambda: entropy(stats.norm(0, -1)), "`p` must have parameters that norm allows, got 0, -1."),
    (lambda: kl_divergence(stats.norm(), [0.5, 0.5]), "`q` must be a distribution of scipy.stats or torch.distributions, as the other is, got a list."),
    (lambda: kl_divergence([0.5, 0.5], stats.norm()), "The divergence of a sample from a density: a sample has no density. Use cross_entropy"),
    (lambda: kl_divergence(stats.norm(), stats.poisson(2)), "`q` must be continuous, as `p` is, got a discrete distribution."),
    (lambda: js_divergence(stats.norm(), stats.multivariate_normal([0, 0])), "`q` must have outcomes of shape (), as `p` has, got (2,)."),
    (lambda: js_divergence(stats.multivariate_normal([0, 0]), stats.multivariate_normal([1, 0])), "Without chance this cannot be measured: there is no formula, and no integral that holds all of the density. Pass rng=0, say."),
    (lambda: entropy(stats.multivariate_normal([0, 0], [[1, 1], [1, 1]], allow_singular=True)), "`p` must have a covariance of full rank"),
    (lambda: entropy(stats.norm(), axis=0), "`axis` must be left out where there are no axes"),
    (lambda: entropy(stats.norm(), keepdims=True), "`keepdims` must be left out where there are no axes"),
    (lambda: entropy(stats.norm(), where=[True]), "`where` must be left out where there are no axes"),
    (lambda: entropy([0.5, 0.5], rng=0), "`rng` must be left out for arrays, got one."),
    (lambda: kl_divergence([1.0], [1.0], draws=5), "`draws` must be left out for arrays, got one."),
    (lambda: entropy(stats.norm(), base=1), "`base` must be positive and not 1"),
    (lambda: js_divergence(stats.norm(), stats.norm(1), weights=[1.0]), "`weights` must be 2 numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "sentence"), REFUSED, ids=[s for _, s in REFUSED])
def test_refused(call, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("k", "j"),
    [(0.5, 1e5), (1999, 2100), (2100, 1999), (1e5, 2e5), (1e5, 100010.0), (1e10, 2e10)],
)
def test_sharp_angles_are_as_exact_as_flat_ones(k, j):
    with mp.workdps(50):
        a, b = mp.mpf(k), mp.mpf(j)
        pull = mp.besseli(1, a) / mp.besseli(0, a)
        truth = mp.log(mp.besseli(0, b) / mp.besseli(0, a)) + pull * (a - b * mp.cos(0.25))
        found = kl_divergence(stats.vonmises(k, loc=0.5), stats.vonmises(j, loc=0.75))
        assert abs(found - truth) <= 1e-14 * truth
    assert math.isfinite(entropy(stats.vonmises(1e300)))


def test_a_model_that_knows_nothing_but_zero_is_infinitely_far():
    assert kl_divergence(stats.poisson(3), stats.poisson(0)) == math.inf
    assert cross_entropy(stats.poisson(3), stats.poisson(0)) == math.inf
    assert kl_divergence(stats.poisson(0), stats.poisson(3)) == 3


@pytest.mark.parametrize("name", ["uniform", "beta", "vonmises", "norm"])
def test_a_name_of_scipys_does_not_make_a_distribution_scipys(name):
    class Ramp(stats.rv_continuous):
        def _pdf(self, x):
            return 2 * x

    found = entropy(Ramp(a=0, b=1, name=name)())
    assert found.method == "quadrature"
    assert abs(found - (0.5 - math.log(2))) < 1e-12


def test_a_table_of_shares_may_be_called_poisson():
    coin = stats.rv_discrete(values=([0, 1], [0.5, 0.5]), name="poisson")()
    assert js_divergence(coin, stats.bernoulli(0.5)) == 0


def test_parameters_beyond_floats():
    assert kl_divergence(stats.norm(0, 1), stats.norm(1e200, 1)) == INF
    with pytest.raises(ValueError, match=r"`p` must be a LogNormal whose scale .* got 800, 1"):
        entropy(td.LogNormal(800.0, 1.0))


def test_a_law_whose_quartiles_scipy_does_not_know_needs_chance():
    far = stats.poisson(1e15)
    with pytest.raises(ValueError, match="Without chance this cannot be measured"):
        entropy(far)
    found = entropy(far, rng=0, draws=2000)  # of a normal of that variance
    assert abs(found - 0.5 * math.log(2 * math.pi * math.e * 1e15)) < 4 * found.error
