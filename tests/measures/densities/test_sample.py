"""A sample, or counts, against a distribution; densities by kernels."""

import itertools
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats
from torch import distributions as td

from xent.measures import Counts, cross_entropy, entropy, js_divergence, kl_divergence

X = np.random.default_rng(0).normal(1, 2, 5000)
K = np.random.default_rng(0).poisson(3, 5000)


def test_cross_entropy_of_a_sample():
    costs = -stats.norm(0, 1).logpdf(X)
    for x in (X, X.tolist(), pd.Series(X), pd.Series(X)[::-1], torch.tensor(X)):
        found = cross_entropy(x, stats.norm(0, 1))
        assert_allclose(found, costs.mean(), rtol=1e-13)
        assert_allclose(found.error, costs.std(ddof=1) / math.sqrt(5000), rtol=1e-12)
        assert found.method == "sample mean"
    found = cross_entropy(X, td.Normal(torch.tensor(0.0), torch.tensor(1.0)), base=2)
    assert_allclose(found, costs.mean() / math.log(2), rtol=1e-13)
    exact = cross_entropy(stats.norm(1, 2), stats.norm(0, 1))
    found = cross_entropy(X, stats.norm(0, 1))
    assert abs(found - exact) < 3 * found.error
    points = np.random.default_rng(1).standard_normal((100, 2))
    several = stats.multivariate_normal([0, 0], [[1, 0.5], [0.5, 2]])
    assert_allclose(cross_entropy(points, several), -several.logpdf(points).mean(), rtol=1e-13)
    assert cross_entropy([0.5, -1.0], stats.expon()) == math.inf
    assert cross_entropy([0.5], stats.expon()).error == math.inf


def test_counts_of_whole_numbers():
    truth = stats.poisson(3.5)
    costs = -truth.logpmf(K)
    shares = pd.Series(K).value_counts(normalize=True)
    gap = (np.log(shares) - truth.logpmf(shares.index)).dot(shares)
    tables = [K, Counter(K.tolist()), Counts.from_samples(K), Counts(np.bincount(K))]
    for table in (*tables, Counts(pd.Series(K).value_counts()), shares.to_dict()):
        found = cross_entropy(table, truth)
        assert_allclose(found, costs.mean(), rtol=1e-12)
        assert_allclose(kl_divergence(table, truth), gap, rtol=1e-10)
        if not isinstance(table, dict) or isinstance(table, Counter):
            assert_allclose(found.error, costs.std(ddof=1) / math.sqrt(5000), rtol=1e-10)
    assert cross_entropy(shares.to_dict(), truth).error == 0
    k = np.arange(200)
    p, q = np.bincount(K, minlength=200) / 5000, truth.pmf(k)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.nansum(a * np.log(2 * a / (p + q))) for a in (p, q)]
    assert_allclose(js_divergence(Counter(K.tolist()), truth), sum(terms) / 2, rtol=1e-10)
    assert_allclose(js_divergence(truth, K), sum(terms) / 2, rtol=1e-10)
    coin = {0: 0.3, 1: 0.7}
    model = td.Bernoulli(logits=torch.tensor(800.0, dtype=torch.float64))
    assert_allclose(cross_entropy(coin, model), 0.3 * 800)
    assert kl_divergence({0: 0.5, 5: 0.5}, stats.binom(3, 0.5)) == math.inf


def test_how_it_was_found_is_said():
    """Shares are exact, what was counted has an error, and what is infinite has none."""
    model, shares = stats.binom(2, 0.4), {0: 0.25, 1: 0.5, 2: 0.25}
    counts = Counter({0: 2, 1: 4, 2: 2})
    for measure in (cross_entropy, kl_divergence):
        exact, counted = measure(shares, model), measure(counts, model)
        assert (exact.method, exact.error) == ("sum", 0.0)
        assert counted.method == "sample mean"
        assert_allclose(counted, exact, rtol=1e-14)
        rows = np.repeat([0, 1, 2], [2, 4, 2])
        terms = -model.logpmf(rows)
        if measure is kl_divergence:
            terms += np.log(np.array([0.25, 0.5, 0.25])[rows])
        assert_allclose(counted.error, terms.std(ddof=1) / math.sqrt(8), rtol=1e-12)
        for given in ({1: 0.5, 3: 0.5}, Counter({1: 2, 3: 2})):
            never = measure(given, model)
            assert (float(never), never.error, never.method) == (math.inf, 0.0, "sum")


def test_a_distribution_is_no_distance_from_its_own_shares():
    """Whatever the rounding: never below 0."""
    for n, share in itertools.product((1, 2, 6, 8, 10), (0.11, 0.5, 0.77)):
        model = stats.binom(n, share)
        found = kl_divergence({k: model.pmf(k) for k in range(n + 1)}, model)
        assert 0 <= float(found) < 1e-12


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: cross_entropy([0.5, 0.5], stats.bernoulli(0.3)), "be a sample of outcomes of `q`"),
        (lambda: kl_divergence(X, stats.norm(0, 1)), "a sample has no density. Use cross_entropy"),
        (lambda: cross_entropy(Counts([1, 2]), stats.norm(0, 1)), "say which numbers it counts"),
        (lambda: cross_entropy(Counter("ab"), stats.norm(0, 1)), "must count numbers.*got 'a'"),
        (lambda: cross_entropy(X.reshape(2, -1), stats.norm(0, 1)), "one outcome of shape"),
        (lambda: cross_entropy([1.0, math.nan], stats.norm(0, 1)), r"be finite, got nan at \[1\]"),
        (lambda: cross_entropy(X, stats.norm(0, 1), rng=0), "`rng` must be left out for arrays"),
        (lambda: js_divergence(X, stats.norm(0, 1)), "be discrete and the only distribution"),
        (lambda: cross_entropy([], stats.norm(0, 1)), "must be a sample, one outcome"),
        (lambda: cross_entropy(stats.norm(0, 1), X), "`q` must be a distribution of scipy.stats"),
        (lambda: cross_entropy(pd.Series([0.0, 1.0], [2, 3]), stats.norm()), "For shares pass"),
        (
            lambda: cross_entropy(
                pd.Series(list("aab")).value_counts(normalize=True), stats.norm()
            ),
            "For shares pass",
        ),
    ],
)
def test_what_is_no_sample(call, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        call()


def by_trapezoids(function, low, high):
    """The integral by half a million even steps of scipy's own densities."""
    x = np.linspace(low, high, 500_001)
    return float(np.trapezoid(function(x), x))


def test_kernel_densities():
    rng = np.random.default_rng(0)
    p, q = (stats.gaussian_kde(rng.normal(m, s, 60)) for m, s in ((0, 1), (0.3, 1.5)))

    def cost(of, model):
        return lambda x: -of(x) * model.logpdf(x)

    found = entropy(p)
    assert_allclose(found, by_trapezoids(cost(p, p), -12, 12), atol=1e-9)
    assert found.method == "quadrature"
    assert found.error < 1e-8
    exact = by_trapezoids(lambda x: p(x) * (p.logpdf(x) - q.logpdf(x)), -12, 12)
    assert_allclose(kl_divergence(p, q), exact, atol=1e-9)
    assert_allclose(cross_entropy(p, q), by_trapezoids(cost(p, q), -12, 12), atol=1e-9)
    middle = by_trapezoids(lambda x: -(p(x) + q(x)) / 2 * np.log((p(x) + q(x)) / 2), -9, 9)
    assert_allclose(js_divergence(p, q), middle - (entropy(p) + entropy(q)) / 2, atol=1e-9)


def test_kernel_densities_of_any_shape():
    rng = np.random.default_rng(0)
    two = stats.gaussian_kde(np.r_[rng.normal(0, 1, 20), rng.normal(50, 1, 20)], bw_method=0.05)
    one = stats.gaussian_kde(rng.normal(25, 6, 30), bw_method=0.5)
    exact = by_trapezoids(lambda x: one(x) * (one.logpdf(x) - two.logpdf(x)), -30, 80)
    found = kl_divergence(one, two)  # in the middle of it two has far centres alone
    assert abs(found - exact) <= found.error + 1e-8
    weighted = stats.gaussian_kde([1.0, 2.0, 5.0], weights=[0.2, 0.3, 0.5])
    exact = by_trapezoids(lambda x: -weighted(x) * weighted.logpdf(x), -20, 30)
    assert_allclose(entropy(weighted), exact, atol=1e-9)
    far = stats.gaussian_kde(1e8 + 1e-3 * rng.standard_normal(100))
    near = stats.gaussian_kde(far.dataset - 1e8)
    assert_allclose(entropy(far), entropy(near), rtol=1e-7)
    spread = stats.gaussian_kde(rng.standard_cauchy(300), bw_method=1e-4)  # a comb of peaks
    found = entropy(spread)
    assert abs(found - entropy(stats.gaussian_kde(spread.dataset, bw_method=1.0001e-4))) < 1e-3
