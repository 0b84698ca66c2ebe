"""Densities that are 0 between places where they are not: histograms, and a user's own."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from xent.measures import cross_entropy, entropy, js_divergence, kl_divergence

EDGES = [0.0, 1.0, 2.0, 3.0]
FULL = stats.rv_histogram(([1, 2, 3], EDGES))
EMPTY = stats.rv_histogram(([3, 0, 3], EDGES))  # nothing between 1 and 2


class Gap(stats.rv_continuous):
    def _pdf(self, x):
        return np.where((x < 1) | (x > 2), 0.5, 0.0)


class Fading(stats.rv_continuous):
    """1 / x^2 exp(-1 / x) to 1: near 0 it is smaller than any float, and not 0."""

    def _pdf(self, x):
        return np.exp(1 - 1 / x) / (x * x)


class Heavy(stats.rv_continuous):
    """Exponential, and a little more than 1 in all, as rounded constants make a density."""

    def _pdf(self, x):
        return np.exp(-x) * (1 + 3e-8)


def test_mass_that_is_missed_or_too_much_is_in_the_error():
    """The entropy of the exponential is 1 nat; that of a measure 3e-8 heavier differs by less."""
    found = entropy(Heavy(a=0.0)())
    assert found.method == "quadrature"
    assert 3e-8 <= found.error <= 1e-5
    assert abs(found - 1) <= found.error
    assert entropy(stats.expon(scale=2)).error <= 1e-12


@pytest.mark.parametrize("options", [{}, {"rng": 0}])
def test_histograms_are_measured_exactly(options):
    for gap in (kl_divergence, cross_entropy):
        found = gap(FULL, EMPTY, **options)
        assert (found, found.error) == (math.inf, 0)
    p, q = np.array([1, 2, 3]) / 6, np.array([3, 0, 3]) / 6
    found = kl_divergence(EMPTY, FULL, **options)
    assert_allclose(found, 0.5 * math.log(3), rtol=1e-14)
    assert (found.method, found.error) == ("closed form", 0)
    middle = (p + q) / 2
    by_hand = 0.5 * (
        (p * np.log(p / middle)).sum() + sum(0.5 * math.log(0.5 / m) for m in middle[::2])
    )
    assert_allclose(js_divergence(FULL, EMPTY, **options), by_hand, rtol=1e-14)
    assert_allclose(entropy(FULL), -(p * np.log(p)).sum(), rtol=1e-14)


def test_histograms_over_other_edges():
    wide = stats.rv_histogram(([4, 2], [0, 2, 4]))
    narrow = stats.rv_histogram(([1, 2], [0, 1, 3]), density=False)
    # Densities 1/3, 1/6 on [0, 2], [2, 4]; 1/3, 1/3 on [0, 1], [1, 3].
    assert_allclose(kl_divergence(narrow, wide), math.log(2) / 3, rtol=1e-14)
    assert kl_divergence(wide, narrow) == math.inf
    assert_allclose(entropy(wide), 2 / 3 * math.log(3) + 1 / 3 * math.log(6), rtol=1e-14)
    moved = [h(loc=10, scale=3) for h in (narrow, wide)]
    assert_allclose(kl_divergence(*moved), math.log(2) / 3, rtol=1e-13)
    uniform = stats.uniform(0, 3)
    assert_allclose(kl_divergence(FULL, uniform), math.log(3) - entropy(FULL), rtol=1e-13)
    assert kl_divergence(uniform, EMPTY) == math.inf


def test_a_gap_in_any_model_is_infinite():
    whole = stats.norm(1.5, 0.5)
    for q in (EMPTY, Gap(a=0, b=3, name="gap")()):
        assert kl_divergence(stats.uniform(0, 3), q) == math.inf
        assert kl_divergence(stats.truncnorm(-1, 1, 1.5, 1), q) == math.inf
        assert cross_entropy(stats.uniform(0.5, 2), q) == math.inf
        assert kl_divergence(whole, q) == math.inf
    found = kl_divergence(stats.uniform(0, 1), EMPTY)  # which is beside the gap
    assert_allclose(found, math.log(2), rtol=1e-12)
    found = kl_divergence(Gap(a=0, b=3, name="gap")(), stats.uniform(0, 3))
    assert abs(found - math.log(1.5)) <= found.error + 1e-12 < 1e-6


def test_what_fades_below_the_floats_is_no_gap():
    fading = Fading(a=0, b=1, name="fading")()
    with pytest.raises(ValueError, match="Without chance this cannot be measured"):
        kl_divergence(stats.uniform(0, 1), fading)  # infinite as well, but no float says so


def test_the_error_of_draws_is_never_0():
    one = stats.multivariate_normal([0, 0], np.eye(2))
    other = stats.multivariate_t([0, 0], np.eye(2), 1e9)
    found = kl_divergence(one, other, rng=0, draws=1000)
    assert found.method == "monte carlo"
    assert found.error >= 3e-3
