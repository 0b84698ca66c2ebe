"""Distribution objects whose tails, edges and steps are hard, and those that are none yet."""

import math

import mpmath as mp
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats
from torch import distributions as td

from xent.measures import cross_entropy, entropy, js_divergence, kl_divergence
from xent.measures.densities._quadrature import tail_of
from xent.measures.densities._read import density_of


def holds(found, truth, rtol):
    """Near the truth, and no further from it than it says of itself."""
    assert_allclose(found, float(truth), rtol=rtol)
    assert abs(found - float(truth)) <= found.error + 1e-14 * abs(float(truth)), found


@pytest.mark.parametrize("df", [0.02, 0.05, 1.01])
def test_tails_that_go_on_beyond_the_floats(df):
    nu = mp.mpf(df)
    truth = (nu + 1) / 2 * (mp.digamma((nu + 1) / 2) - mp.digamma(nu / 2))
    truth += mp.log(mp.sqrt(nu) * mp.beta(nu / 2, 0.5))
    many = td.StudentT(torch.full((2,), df, dtype=torch.float64))
    mixed = td.MixtureSameFamily(td.Categorical(probs=torch.ones(2)), many)  # no formula is known
    found = entropy(mixed)
    assert found.method == "quadrature"
    holds(found, truth, 1e-12)


@pytest.mark.parametrize("k", [0.005, 0.01, 0.3])
def test_a_logarithm_goes_on_below_the_floats(k):
    # A share of 10^(-300 k) lies below 1e-300, and the ratio's logarithm grows there.
    k, j = mp.mpf(k), mp.mpf(0.05)
    own = k + mp.loggamma(k) + (1 - k) * mp.digamma(k)
    truth = -mp.log(j) - (j - 1) * mp.digamma(k) + mp.gamma(k + j) / mp.gamma(k)
    p, q = stats.gamma(float(k)), stats.weibull_min(0.05)
    holds(cross_entropy(p, q), truth, 1e-10)
    holds(kl_divergence(p, q), truth - own, 1e-9)


def test_both_edges_of_the_arcsine():
    p, flat = stats.arcsine(), stats.uniform()
    holds(entropy(p), mp.log(mp.pi / 4), 1e-14)
    holds(kl_divergence(flat, p), mp.log(mp.pi) - 1, 1e-13)

    def both(u):  # of x = sin² u, from 0 to 1/2; the other half is alike
        slope = 2 * mp.sin(u) * mp.cos(u)
        f = 2 / (mp.pi * slope)
        return (f * mp.log(2 * f / (1 + f)) + mp.log(2 / (1 + f))) / 2 * slope

    truth = 2 * mp.quad(both, [0, 1e-20, 1e-9, 1e-4, 0.01, 0.2, mp.pi / 4])
    holds(js_divergence(p, flat), truth, 1e-13)
    holds(js_divergence(stats.arcsine(5, 2), stats.uniform(5, 2)), truth, 1e-13)


def test_truncated_far_out():
    with mp.workdps(50):
        a, b = mp.mpf(30), mp.mpf(31)
        mass = (mp.erfc(a / mp.sqrt(2)) - mp.erfc(b / mp.sqrt(2))) / 2
        truth = mp.log(mp.sqrt(2 * mp.pi * mp.e) * mass)
        truth += (a * mp.npdf(a) - b * mp.npdf(b)) / (2 * mass)
    assert_allclose(entropy(stats.truncnorm(30, 31)), float(truth), rtol=1e-12)
    assert_allclose(kl_divergence(stats.truncnorm(30, 31), stats.uniform(30, 1)), -float(truth))
    assert kl_divergence(stats.uniform(30, 1.5), stats.truncnorm(30, 31)) == math.inf


def test_a_histogram_jumps():
    heights = stats.rv_histogram(np.histogram(np.random.default_rng(0).normal(size=999), bins=40))
    edges, f = heights._hbins, heights._hpdf[1:-1]
    told = math.fsum(f[f > 0] * np.diff(edges)[f > 0] * np.log(f[f > 0]))
    square = math.fsum(f * np.diff(edges**3) / 3)
    holds(entropy(heights()), -told, 1e-13)
    truth = told + square / 2 + math.log(2 * math.pi) / 2
    holds(kl_divergence(heights(), stats.norm()), truth, 1e-11)
    wide = kl_divergence(heights(3, 2), stats.norm(3, 2))
    assert_allclose(wide, truth, rtol=1e-11)


def test_zeros_that_are_inflated():
    mixed = td.MixtureSameFamily(
        td.Categorical(probs=torch.tensor([0.25, 0.75])), td.Poisson(torch.tensor([0.0, 5.0]))
    )

    def p(k):
        return 0.75 * mp.exp(-5) * mp.mpf(5) ** k / mp.factorial(k) + (0.25 if k == 0 else 0)

    def q(k):
        return mp.exp(-3) * mp.mpf(3) ** k / mp.factorial(k)

    holds(entropy(mixed), -mp.fsum(p(k) * mp.log(p(k)) for k in range(90)), 1e-14)
    truth = mp.fsum(p(k) * mp.log(p(k) / q(k)) for k in range(90))
    holds(kl_divergence(mixed, stats.poisson(3)), truth, 1e-14)


def test_sums_of_heavy_tails_end_and_are_within_their_error():
    s = mp.mpf(1.1)
    mean = -mp.zeta(s, derivative=1) / mp.zeta(s)
    found = entropy(stats.zipf(1.1))  # scipy takes minutes to find the quartiles of zipf(1.05)
    assert abs(found - float(mp.log(mp.zeta(s)) + s * mean)) <= found.error < 0.1
    with pytest.raises(ValueError, match="Without chance this cannot be measured"):
        entropy(stats.zipf(1.001))


def without(name, text):
    return f"`p` must have its parameters, got {name} without them. {text}"


class Own(stats.rv_continuous):
    def _pdf(self, x, c):
        return c * x ** (c - 1)


NO_DISTRIBUTIONS = [
    (Own(a=0, b=1), without("an Own", "Write p(c=...).")),
    (Own, "`p` must be a distribution, got the class Own. Write Own(...), with its parameters."),
    (stats.norm, without("scipy.stats.norm", "Write scipy.stats.norm(loc=0, scale=1).")),
    (stats.gamma, without("scipy.stats.gamma", "Write scipy.stats.gamma(a=...).")),
    (stats.binom, without("scipy.stats.binom", "Write scipy.stats.binom(n=..., p=...).")),
    (stats.dirichlet, without("scipy.stats.dirichlet", "Write scipy.stats.dirichlet(alpha=...).")),
    (
        td.Normal,
        "`p` must be a distribution, got the class Normal. Write Normal(...), with its parameters.",
    ),
    (
        stats.matrix_normal(np.eye(2)),
        "`p` must be a distribution of one number, or one of several that has a formula here, got "
        "a matrix_normal_frozen.",
    ),
]


def test_what_has_all_of_its_parameters_is_one():
    assert entropy(stats.rv_histogram(([1, 2], [0, 1, 2]))) == entropy([1 / 3, 2 / 3])
    assert entropy(stats.rv_discrete(values=([0, 5], [0.5, 0.5])), base=2) == 1


@pytest.mark.parametrize(("value", "sentence"), NO_DISTRIBUTIONS, ids=range(len(NO_DISTRIBUTIONS)))
def test_what_is_no_distribution_yet(value, sentence):
    with pytest.raises(TypeError) as caught:
        entropy(value)
    assert str(caught.value) == sentence
    with pytest.raises(TypeError) as caught:
        kl_divergence(stats.norm(), value)
    assert str(caught.value).startswith("`q` must ")


class OwnPareto(type(stats.genpareto)):
    """As a user's own, of which no formula is known."""


class OwnExtremes(type(stats.genextreme)):
    """As a user's own, of which no formula is known."""


PARETO, EXTREMES = OwnPareto(a=0.0, name="pareto"), OwnExtremes(name="extremes")
EULER = mp.euler
KNOWN = {  # entropies that this room has no formula for: heavy, singular, pointed, far
    "generalized Pareto of .9": (PARETO(0.9), 1 + mp.mpf(0.9)),
    "generalized Pareto of 5": (PARETO(5), 6),
    "extreme values of -5": (EXTREMES(-5), 6 * EULER + 1),
    "Lévy": (stats.levy(), (1 + 3 * EULER + mp.log(16 * mp.pi)) / 2),
    "half Cauchy": (stats.halfcauchy(), mp.log(2 * mp.pi)),
    "exp(-|x|^.1)": (stats.gennorm(0.1), 10 + mp.log(2 * mp.gamma(11))),
    "log-logistic of .1": (stats.fisk(0.1), 2 - mp.log(mp.mpf(0.1))),
    "Lomax of .2": (stats.lomax(0.2), 1 + 1 / mp.mpf(0.2) - mp.log(mp.mpf(0.2))),
    "x^-.98": (stats.powerlaw(0.02), 1 - 1 / mp.mpf(0.02) - mp.log(mp.mpf(0.02))),
    "inverse Weibull of .25": (stats.invweibull(0.25), 1 + 5 * EULER + mp.log(4)),
    "log gamma of .1": (
        stats.loggamma(0.1),
        mp.loggamma(mp.mpf(0.1)) - mp.mpf(0.1) * mp.digamma(mp.mpf(0.1)) + mp.mpf(0.1),
    ),
    "exp of a normal of 8": (
        td.TransformedDistribution(
            td.Normal(torch.zeros((), dtype=torch.float64), 8.0), [td.ExpTransform()]
        ),
        mp.log(8) + mp.log(2 * mp.pi * mp.e) / 2,
    ),
    "triangle": (stats.triang(0.25), mp.mpf(1) / 2 - mp.log(2)),
    "semicircle": (stats.semicircular(), mp.log(mp.pi) - mp.mpf(1) / 2),
}


@pytest.mark.parametrize("name", KNOWN)
def test_entropies_of_hard_densities(name):
    p, truth = KNOWN[name]
    found = entropy(p)
    assert found.method == "quadrature"
    holds(found, truth, 1e-13)


def test_a_narrow_box_in_a_mixture():
    low, high = torch.tensor([[0.0, 5.0], [1.0, 5 + 1e-9]], dtype=torch.float64)
    shares = torch.tensor([0.999999, 0.000001], dtype=torch.float64)
    p = td.MixtureSameFamily(td.Categorical(probs=shares), td.Uniform(low, high))
    a, b = (mp.mpf(v) for v in shares.tolist())
    width = mp.mpf(float(high[1])) - 5
    own = a * mp.log(a) + b * mp.log(b / width)
    holds(entropy(p), -own, 1e-12)
    holds(kl_divergence(p, stats.uniform(0, 6)), own + mp.log(6), 1e-13)
    assert kl_divergence(stats.uniform(0, 6), p) == math.inf
    holds(js_divergence(stats.cauchy(0, 1e-8), stats.uniform(1e9, 1)), mp.log(2), 1e-13)


@pytest.mark.parametrize("ratio", [0.5, 0.977, 0.9999])
@pytest.mark.parametrize("bent", [0.0, 0.1, 5.0])
def test_what_follows_a_row_of_terms(ratio, bent):
    k = np.arange(100, 151)
    told = ratio**k * (1 + bent * k)
    r = mp.mpf(ratio)
    truth = r**151 / (1 - r) * (1 + bent * 151 + bent * r / (1 - r))
    tail, doubt = tail_of(told, 1e-300)
    assert_allclose(tail, float(truth), rtol=1e-8)
    assert abs(tail - float(truth)) <= doubt < 1e-6 * tail


def test_what_follows_other_rows_of_terms():
    assert tail_of(np.array([1.0, 2.0, 3.0]), 1.0) == (math.inf, 0.0)
    assert tail_of(np.ones(9), 1.0) == (math.inf, 0.0)
    assert tail_of(np.array([1.0, 0.5, 0.0]), 1.0) == (0.0, 0.0)
    assert math.isnan(tail_of(np.array([1.0, -0.5, 0.25]), 1.0)[0])
    for before in (0.0, -1.0):  # it has only begun to fall
        tail, doubt = tail_of(np.array([1.0, before, 0.5, 0.25, 0.125]), 1.0)
        assert abs(tail - 0.125) <= doubt
        tail, doubt = tail_of(np.array([before, 0.5, 0.25]), 1.0)
        assert abs(tail - 0.25) <= doubt


@pytest.mark.parametrize(("k", "df"), [(3, 10), (2, 1), (10, 30), (5, 1.5), (3, 2000)])
def test_studentized_range(k, df):
    """Its density against scipy's, which takes 5 ms a number, and the mass."""
    density = density_of("p", stats.studentized_range(k, df, 1, 2))
    x = np.array([1.1, 1.6, 3.0, 5.0, 9.0])
    theirs = stats.studentized_range(k, df, 1, 2).pdf(x)
    assert_allclose(np.exp(density.log_density(x, 0.0)), theirs, rtol=1e-8, atol=1e-11)
    log_x = np.linspace(-20, 40, 6001)
    logs = density.log_density(np.exp(log_x), 1.0)
    assert_allclose(np.trapezoid(np.exp(logs + log_x), log_x), 1.0, rtol=1e-9)


def test_entropy_of_a_studentized_range():
    # Of two with one degree of freedom: |t| √2, where t is a Cauchy's: log(2π√2).
    found = entropy(stats.studentized_range(2, 1))
    assert abs(found - math.log(2 * math.pi * math.sqrt(2))) <= found.error + 1e-10


@pytest.mark.parametrize("base", [2, 0.5])
def test_how_far_off_a_density_may_be_is_in_the_unit_and_has_no_sign(base):
    mixed = td.MixtureSameFamily(
        td.Categorical(probs=torch.ones(2)), td.Normal(torch.tensor([0.0, 3.0]), torch.ones(2))
    )
    p, q = mixed, td.Normal(0.0, 2.0)
    for options in ({}, {"rng": 0, "draws": 500}):
        for measure in (entropy, lambda p, **o: kl_divergence(p, q, **o)):
            nats = measure(p, **options)
            found = measure(p, base=base, **options)
            assert nats.error > 0
            assert found.error == pytest.approx(nats.error / abs(math.log(base)), rel=1e-9, abs=0)
            assert found.value == pytest.approx(nats.value / math.log(base))


def test_a_part_of_weight_0_is_none():
    parts = td.Normal(torch.tensor([1.0, 50.0]), torch.tensor([2.0, 1.0]))
    mixed = td.MixtureSameFamily(td.Categorical(probs=torch.tensor([1.0, 0.0])), parts)
    assert entropy(mixed) == pytest.approx(stats.norm(1, 2).entropy(), rel=1e-7)


@pytest.mark.parametrize("shape", [-10.0, -0.3, 0.0, 1.0, 10.0])
def test_extremes_and_tails_of_any_shape_have_a_formula(shape):
    """Of large shapes no integral holds all of the density near its pole or far out.

    The truth is the integral of the logarithm of the slope of the quantiles.
    """
    slopes = {
        stats.genextreme: lambda u: (mp.mpf(shape) - 1) * mp.log(-mp.log(u)) - mp.log(u),
        stats.genpareto: lambda u: -(mp.mpf(shape) + 1) * mp.log(1 - u),
    }
    for kind, slope in slopes.items():
        found = entropy(kind(shape, loc=3, scale=2))
        truth = mp.log(2) + mp.quad(slope, [0, 0.01, 0.5, 0.99, 1])
        assert (found.method, found.error) == ("closed form", 0)
        assert float(found) == pytest.approx(float(truth), rel=1e-14, abs=1e-14)
