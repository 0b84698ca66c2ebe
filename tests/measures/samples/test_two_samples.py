"""Two samples: slow loops, exact posteriors by integration, and truth recovered."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from xent.measures import (
    Counts,
    cross_entropy,
    estimate_cross_entropy,
    estimate_entropy,
    estimate_kl_divergence,
    estimate_mutual_information,
    kl_divergence,
)

SYMBOLS = ("plugin", "zhang_grabchak", "dirichlet")


def options(method, size):
    return {"method": method, "size": size if method == "dirichlet" else None}


def rows_of(counts):
    return np.repeat(np.arange(len(counts)), counts)


def test_plugin_is_the_measure_of_the_shares():
    n, m = [3, 0, 5, 2], [1, 4, 2, 2]
    x, y = rows_of(n), rows_of(m)
    assert_allclose(estimate_kl_divergence(x, y).value, kl_divergence(Counts(n), Counts(m)))
    assert_allclose(estimate_cross_entropy(x, y).value, cross_entropy(Counts(n), Counts(m)))
    assert estimate_kl_divergence(x, x).value == 0
    lacking = estimate_kl_divergence("aab", "aaa")
    assert (lacking.value, lacking.standard_error) == (math.inf, 0)
    assert estimate_cross_entropy("aab", "aaa").value == math.inf


def test_zhang_and_grabchak_by_their_sums_of_products():
    n, m = [4, 1, 3, 2], [2, 0, 6, 1]
    rows, others = sum(n), sum(m)

    def chain(first, steps):
        total, product = Fraction(0), Fraction(1)
        for v in range(1, steps + 1):
            product *= first(v)
            total += product / v
        return total

    divergence = cost = Fraction(0)
    for a, b in zip(n, m, strict=True):
        model = chain(lambda j, b=b: 1 - Fraction(b, others - j + 1), others - b)
        truth = chain(lambda j, a=a: 1 - Fraction(a - 1, rows - j), rows - a)
        cost += Fraction(a, rows) * model
        divergence += Fraction(a, rows) * (model - truth)
    x, y = rows_of(n), rows_of(m)
    found = estimate_kl_divergence(x, y, method="zhang_grabchak").value
    assert_allclose(found, float(divergence), rtol=1e-12)
    found = estimate_cross_entropy(x, y, method="zhang_grabchak").value
    assert_allclose(found, float(cost), rtol=1e-12)


def test_posterior_against_draws_of_it():
    n, m, size, prior = np.array([4, 1, 3]), np.array([2, 0, 6]), 5, 0.7
    rng = np.random.default_rng(0)
    a, b = np.full(size, prior), np.full(size, prior)
    a[:3] += n
    b[:3] += m
    p, q = rng.dirichlet(a, 400_000), rng.dirichlet(b, 400_000)
    x, y = rows_of(n), rows_of(m)
    for f, drawn in (
        (estimate_kl_divergence, (p * np.log(p / q)).sum(1)),
        (estimate_cross_entropy, -(p * np.log(q)).sum(1)),
    ):
        found = f(x, y, method="dirichlet", size=size, prior=prior)
        assert_allclose(found.value, drawn.mean(), atol=5 * drawn.std() / math.sqrt(drawn.size))
        assert_allclose(found.standard_error, drawn.std(), rtol=0.02)


@pytest.mark.parametrize("method", SYMBOLS)
@pytest.mark.parametrize("f", [estimate_kl_divergence, estimate_cross_entropy])
def test_truth_and_spread_of_symbols(method, f):
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(6))
    q = 0.5 * p + 0.5 / 6
    truth = (kl_divergence if f is estimate_kl_divergence else cross_entropy)(p, q)
    found = []
    for _ in range(200):
        x, y = rng.choice(6, 400, p=p), rng.choice(6, 700, p=q)
        found.append(f(x, y, **options(method, 6)))
    values, errors = (np.array([getattr(e, a) for e in found]) for a in ("value", "standard_error"))
    assert abs(values.mean() - truth) < 0.5 * values.std()
    assert_allclose(errors.mean(), values.std(), rtol=0.15)
    if method == "zhang_grabchak":
        assert abs(values.mean() - truth) < 4 * values.std() / math.sqrt(200)


def test_corrections_stay_finite_and_near_where_symbols_are_missing():
    rng = np.random.default_rng(2)
    p = 1 / np.arange(1, 201)
    p /= p.sum()
    q = p[::-1].copy()
    off = []
    for _ in range(20):
        x, y = rng.choice(200, 150, p=p), rng.choice(200, 4000, p=q)
        assert estimate_cross_entropy(x, y).value > 0
        off.append(estimate_kl_divergence(x, y, method="zhang_grabchak").value)
    assert_allclose(np.mean(off), kl_divergence(p, q), rtol=0.15)


def test_chance():
    rng = np.random.default_rng(3)
    same = rng.integers(0, 30, 200), rng.integers(0, 30, 300)
    found = estimate_kl_divergence(*same, permutations=60, rng=0)
    assert found.p_value > 0.05
    assert abs(found.adjusted) < 0.1
    moved = same[0], (same[1] ** 2) % 30
    assert estimate_kl_divergence(*moved, permutations=60, rng=0).p_value == 1 / 61
    x, y = rng.standard_normal(150), rng.standard_normal(200)
    for method in ("nearest_neighbors", "normal"):
        assert estimate_kl_divergence(x, y, method=method, permutations=40, rng=0).p_value > 0.05
        found = estimate_kl_divergence(x, y + 1, method=method, permutations=40, rng=0)
        assert found.p_value == 1 / 41


KINDS = {
    "numpy": np.array,
    "pandas": pd.Series,
    "polars": pl.Series,
    "arrow": pa.array,
}


@pytest.mark.parametrize("kind", KINDS)
def test_columns(kind):
    make = KINDS[kind]
    x, y = make(["a", "b", "a", "c"]), make(["a", "b", "c", "c", "d"])
    expected = kl_divergence(Counts([2, 1, 1, 0]), Counts([1, 1, 2, 1]))
    assert_allclose(estimate_kl_divergence(x, y).value, expected)
    gaps = make([1.0, 2.0, None, 4.5, 3.0]) if kind != "numpy" else np.array([1, 2, np.nan, 4.5, 3])
    found = estimate_kl_divergence(gaps, make([1.5, 2.5, 0.0]), method="normal", missing="drop")
    assert found.n == 4


# ------------------------------------------------------------------ real numbers


def slow_ratio(x, y, k):
    total = 0.0
    for i, point in enumerate(x):
        own = sorted(np.linalg.norm(point - other) for j, other in enumerate(x) if j != i)[k - 1]
        far = sorted(np.linalg.norm(point - other) for other in y)[k - 1]
        total += math.log(far / own)
    n, d = x.shape
    return d / n * total + math.log(len(y) / (n - 1))


@pytest.mark.parametrize("d", [1, 3])
def test_neighbours_by_a_slow_loop(d):
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((30, d)), rng.standard_normal((40, d)) + 0.5
    for k in (1, 4):
        found = estimate_kl_divergence(x, y, method="nearest_neighbors", neighbors=k)
        assert_allclose(found.value, slow_ratio(x, y, k), rtol=1e-12)
    if d == 1:
        flat = estimate_kl_divergence(x[:, 0], y[:, 0], method="nearest_neighbors", neighbors=4)
        assert flat.value == found.value


@pytest.mark.parametrize("method", ["nearest_neighbors", "normal"])
@pytest.mark.parametrize("f", [estimate_kl_divergence, estimate_cross_entropy])
def test_truth_and_spread_of_normals(method, f):
    rng = np.random.default_rng(5)
    truth = math.log(1.3) + 1.25 / (2 * 1.69) - 0.5
    truth += 0.5 * math.log(2 * math.pi * math.e) if f is estimate_cross_entropy else 0
    for n, m in ((1000, 300), (300, 1000)):
        values, errors = [], []
        for _ in range(150):
            x, y = rng.standard_normal(n), 1.3 * rng.standard_normal(m) + 0.5
            found = f(x, y, method=method)
            values.append(found.value)
            errors.append(found.standard_error)
        assert abs(np.mean(values) - truth) < 0.5 * np.std(values)
        assert_allclose(np.mean(errors), np.std(values), rtol=0.25)


def test_two_normals_in_two_dimensions():
    rng = np.random.default_rng(6)
    mix = np.array([[1.0, 0.5], [0.0, 0.8]])
    x, y = rng.standard_normal((20_000, 2)) @ mix, rng.standard_normal((20_000, 2))
    cov = mix.T @ mix
    truth = 0.5 * (np.trace(cov) - 2 - math.log(np.linalg.det(cov)))
    for method in ("normal", "nearest_neighbors"):
        found = estimate_kl_divergence(x, y, method=method)
        assert abs(found.value - truth) < 4 * found.standard_error
    assert estimate_kl_divergence(x, y, method="normal", base=2).value == pytest.approx(
        estimate_kl_divergence(x, y, method="normal").value / math.log(2)
    )


REFUSED = [
    (lambda: estimate_kl_divergence(3, 4), "`x` must be one column, got an int."),
    (lambda: estimate_kl_divergence(3.0, 4.0, method="normal"), "`x` must have one axis or two, got shape ()."),
    (lambda: estimate_kl_divergence([], [], method="normal"), "`x` must have at least 2 rows, got 0."),
    (lambda: estimate_kl_divergence(np.ones((4, 0)), np.ones((4, 0)), method="normal"), "`x` must have at least one column, got none."),
    (lambda: estimate_kl_divergence([0.5], ["a"]), "`x` must be symbols, got real numbers."),
    (lambda: estimate_kl_divergence(["a"], [0.5]), "`y` must be symbols, got real numbers."),
    (lambda: estimate_kl_divergence(["a"], []), "`y` must have at least one row, got none."),
    (lambda: estimate_kl_divergence("ab", ["a", None]), "`y` must have a symbol in every row"),
    (lambda: estimate_kl_divergence("ab", "ab", method="plug-in"), "`method` must be 'plugin', "),
    (lambda: estimate_kl_divergence("ab", "ab", size=3), "`size` must be given for \"dirichlet\""),
    (lambda: estimate_cross_entropy("ab", "abc", method="dirichlet", size=2), "`size` must be an integer of at least 3, got 2."),
    (lambda: estimate_cross_entropy("ab", "abc", method="dirichlet", size=3, prior="perk"), "`prior` must be 'jeffreys', 'uniform', 'perks' or 'minimax', got 'perk'. Did you mean 'perks'?"),
    (lambda: estimate_cross_entropy("ab", "abc", method="dirichlet", size=3, prior=0), "`prior` must be positive and finite, got 0."),
    (lambda: estimate_kl_divergence("ab", "ab", permutations=9), "`rng` must be a Generator or an integer of at least 0 for permutations"),
    (lambda: estimate_cross_entropy([2.0, 5.1, 6.0, 7.3, 8.0], [2.0, 2.0, 2.0], method="nearest_neighbors"), "`y` must have fewer than 3 rows at a place of `x`, got 3 or more."),
    (lambda: estimate_kl_divergence([1.0, 2.0], [1.0], method="normal"), "`y` must have at least 2 rows, got 1."),
    (lambda: estimate_kl_divergence([1.0, 2.0], [1.0, 1.0], method="normal"), "`y` must vary in every direction, got a covariance without an inverse."),
    (lambda: estimate_kl_divergence([1.0, math.nan], [1.0, 2.0], method="normal"), "`x` must be finite, got nan at [1]."),
    (lambda: estimate_kl_divergence(np.ones((9, 2)), np.ones(9), method="normal"), "`y` must have the 2 columns of `x`, got 1."),
    (lambda: estimate_kl_divergence([1.0, 2.0], [1.0, 2.0], method="normal", missing="keep"), "`missing` must be 'refuse', 'drop' or 'symbol', got 'keep'."),
    (lambda: estimate_kl_divergence([1.0, 2.0], [1.0, 2.0], method="normal", missing="symbol"), '`missing` must be "refuse" or "drop" for real numbers'),
]  # fmt: skip


@pytest.mark.parametrize(("call", "sentence"), REFUSED, ids=[s for _, s in REFUSED])
def test_refused(call, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("power", [-1000, 1000])
@pytest.mark.parametrize("method", ["normal", "nearest_neighbors"])
def test_the_unit_may_be_as_large_or_small_as_floats_go(method, power):
    x, y = np.random.default_rng(5).standard_normal((2, 60, 2))
    for estimate, off in ((estimate_kl_divergence, 0), (estimate_cross_entropy, 2 * power)):
        here = estimate(x, y, method=method, base=2)
        there = estimate(np.ldexp(x, power), np.ldexp(y, power), method=method, base=2)
        assert abs(there.value - off - here.value) < 1e-9
        assert abs(there.standard_error - here.standard_error) < 1e-9


@pytest.mark.parametrize("power", [-1000, 1000])
@pytest.mark.parametrize(
    "method", ["kozachenko_leonenko", "kde", "kde_resubstitution", "vasicek", "normal"]
)
def test_so_may_that_of_an_entropy(method, power):
    x = np.random.default_rng(6).standard_normal(60)
    here, there = (
        estimate_entropy(values, method=method, base=2) for values in (x, np.ldexp(x, power))
    )
    assert abs(there.value - power - here.value) < 1e-9


@pytest.mark.parametrize("method", ["ksg", "ksg2", "normal"])
def test_and_of_an_information(method):
    x, y = np.random.default_rng(7).standard_normal((2, 60))
    here = estimate_mutual_information(x, x + y, method=method)
    there = estimate_mutual_information(np.ldexp(x, 1000), np.ldexp(x + y, -1000), method=method)
    assert abs(there.value - here.value) < 1e-9
