"""Estimators: the values others computed, exact small cases by hand, and truth recovered."""

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import mutual_info_score

from xent.measures import Counts, entropy, estimate_entropy, estimate_mutual_information
from xent.measures._discrete import METHODS

GOLDEN = Path(__file__).parents[1] / "golden" / "ndd_readme.json"


def rows_of(counts):
    return np.repeat(np.arange(len(counts)), counts)


def test_values_of_another_library():
    book = json.loads(GOLDEN.read_text())
    x = rows_of(book["counts"])
    for method, value in book["values"].items():
        assert_allclose(estimate_entropy(x, method=method).value, value, atol=6e-5)
    found = estimate_entropy(x, method="nsb", size=100)
    assert_allclose(found.value, book["nsb_100"], atol=2e-5)


def test_jackknife_by_leaving_rows_out():
    counts = [5, 3, 1, 1]
    n = sum(counts)
    left = 0.0
    for k, count in enumerate(counts):
        less = [c - (i == k) for i, c in enumerate(counts)]
        left += count * entropy(Counts(less))
    expected = n * entropy(Counts(counts)) - (n - 1) / n * left
    assert_allclose(estimate_entropy(rows_of(counts), method="jackknife").value, expected)


def test_grassberger_by_its_recursion():
    # G(1) = -γ - log 2, G(2) = 2 - γ - log 2, G(2n + 1) = G(2n), G(2n + 2) = G(2n) + 2 / (2n + 1)
    def g(n):
        base = -np.euler_gamma - math.log(2)
        if n == 1:
            return base
        return base + float(sum(Fraction(2, 2 * k + 1) for k in range(n // 2)))

    counts = [1, 2, 3, 6, 7]
    n = sum(counts)
    expected = math.log(n) - sum(c * g(c) for c in counts) / n
    assert_allclose(estimate_entropy(rows_of(counts), method="grassberger").value, expected)


def test_shrinkage_reaches_both_ends():
    assert_allclose(estimate_entropy([0, 1, 2, 3], method="shrinkage").value, math.log(4))
    assert_allclose(estimate_entropy([0] * 50, method="shrinkage").value, 0.0)


@pytest.mark.parametrize("method", METHODS)
def test_large_samples_find_the_truth(method):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(20))
    x = rng.choice(20, 40_000, p=p)
    found = estimate_entropy(x, method=method, base=2)
    assert abs(found.value - entropy(p, base=2)) < 4 * found.standard_error
    assert 0.001 < found.standard_error < 0.02
    assert found.low < found.value < found.high
    assert (found.n, found.method) == (40_000, method)
    assert_allclose(found.high - found.value, 1.959964 * found.standard_error, rtol=1e-6)


def test_corrections_are_nearer_than_the_plug_in():
    rng = np.random.default_rng(1)
    p = 1 / np.arange(1, 301)
    p /= p.sum()
    truth, errors = entropy(p), {method: [] for method in METHODS}
    for _ in range(30):
        x = rng.choice(300, 200, p=p)
        for method in METHODS:
            errors[method].append(estimate_entropy(x, method=method).value - truth)
    bias = {method: abs(np.mean(e)) for method, e in errors.items()}
    for method in METHODS:
        assert method == "plugin" or bias[method] < bias["plugin"]
    assert bias["chao_wang_jost"] < 0.25 * bias["plugin"]


def test_nsb_within_two_deviations_far_undersampled_too():
    rng = np.random.default_rng(2)
    off = []
    for concentration in (0.01, 0.1, 1.0, 10.0):
        for n in (20, 100, 1000):
            for _ in range(5):
                p = rng.dirichlet(np.full(200, concentration))
                found = estimate_entropy(rng.choice(200, n, p=p), method="nsb", size=200)
                off.append((found.value - entropy(p)) / found.standard_error)
    assert np.mean(np.abs(off) < 2) > 0.9
    assert 0.7 < np.std(off) < 1.3


def test_standard_error_is_the_spread_of_repeated_samples():
    rng = np.random.default_rng(3)
    joint = rng.dirichlet(np.ones(12)).reshape(3, 4)
    values, errors, left, left_errors = [], [], [], []
    for _ in range(400):
        drawn = rng.choice(12, 500, p=joint.ravel())
        x, y = np.divmod(drawn, 4)
        found = estimate_mutual_information(x, y)
        values.append(found.value)
        errors.append(found.standard_error)
        found = estimate_entropy(x, given=y)
        left.append(found.value)
        left_errors.append(found.standard_error)
    assert_allclose(np.mean(errors), np.std(values), rtol=0.15)
    assert_allclose(np.mean(left_errors), np.std(left), rtol=0.15)


def test_information_is_that_of_scikit_learn():
    rng = np.random.default_rng(4)
    x = rng.integers(0, 30, 5000)
    y = (x + rng.integers(0, 9, 5000)) % 11
    assert_allclose(estimate_mutual_information(x, y).value, mutual_info_score(x, y), rtol=1e-12)
    parts = estimate_entropy(x).value - estimate_entropy(x, given=y).value
    assert_allclose(parts, mutual_info_score(x, y), rtol=1e-10)


def test_information_given_a_third():
    rng = np.random.default_rng(5)
    z = rng.integers(0, 2, 4000)
    x, y = (z + rng.integers(0, 2, 4000)) % 3, (z + rng.integers(0, 2, 4000)) % 3
    expected = sum((z == k).mean() * mutual_info_score(x[z == k], y[z == k]) for k in (0, 1))
    found = estimate_mutual_information(x, y, given=z, permutations=60, rng=0)
    assert_allclose(found.value, expected, rtol=1e-9)
    assert found.p_value > 0.02
    assert estimate_mutual_information(x, y, permutations=60, rng=0).p_value == 1 / 61


def test_a_unique_id_tells_nothing():
    coin = np.random.default_rng(6).integers(0, 2, 1000)
    found = estimate_mutual_information(np.arange(1000), coin, permutations=50, rng=1)
    assert found.value == pytest.approx(math.log(2), abs=0.01)
    assert abs(found.adjusted) < 1e-9
    assert found.p_value == 1.0


def test_a_p_value_is_flat_under_independence():
    rng = np.random.default_rng(7)
    seen = [
        estimate_mutual_information(
            rng.integers(0, 4, 60), rng.integers(0, 3, 60), permutations=39, rng=i
        ).p_value
        for i in range(150)
    ]
    assert 0.4 < np.mean(seen) < 0.6
    assert np.mean(np.array(seen) <= 0.1) < 0.2


COLUMNS = {
    "list": lambda v: v,
    "numpy": np.array,
    "object": lambda v: np.array(v, dtype=object),
    "pandas": pd.Series,
    "pandas category": lambda v: pd.Series(v, dtype="category"),
    "polars": pl.Series,
    "arrow": pa.array,
    "arrow chunks": lambda v: pa.chunked_array([v[:2], v[2:]]),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_kinds_of_columns(kind):
    for symbols in (["a", "b", "a", "c"], [3, -1, 3, 10**12], [True, False, True, True]):
        found = estimate_entropy(COLUMNS[kind](symbols)).value
        assert_allclose(found, estimate_entropy([symbols.index(s) for s in symbols]).value)


@pytest.mark.parametrize("kind", ["list", "object", "pandas", "polars", "arrow"])
def test_missing_entries_are_a_choice(kind):
    x = COLUMNS[kind](["a", None, "b", "a"])
    with pytest.raises(ValueError, match=r"`x` must have a symbol in every row, got a missing one"):
        estimate_entropy(x)
    assert estimate_entropy(x, missing="drop").n == 3
    assert estimate_entropy(x, missing="symbol", base=2).value == 1.5
    y = [0, 1, 0, 1]
    assert estimate_mutual_information(x, y, missing="drop").n == 3


def test_numbers_with_gaps():
    x = np.array([1.0, np.nan, 2.0, 1.0])
    assert estimate_entropy(x, missing="symbol", base=2).value == 1.5
    for gaps in (pd.Series([1, None, 2, 1], dtype="Int64"), pl.Series([1, None, 2, 1])):
        assert estimate_entropy(gaps, missing="drop").n == 3


REFUSED = [
    (lambda: estimate_entropy([0.5, 1.5]), "`x` must be symbols, got real numbers."),
    (lambda: estimate_entropy([]), "`x` must have at least one row, got none."),
    (lambda: estimate_entropy([[1, 2]] * 2), "`x` must hold hashable symbols, got a list at [0]."),
    (lambda: estimate_entropy(np.ones((2, 2))), "`x` must be one column, got an array of shape"),
    (lambda: estimate_entropy([1, 2], given=[1]), "`given` must have the 2 rows of `x`, got 1."),
    (lambda: estimate_mutual_information([1], [1, 2]), "`y` must have the 1 rows of `x`, got 2."),
    (lambda: estimate_entropy([1], method="nsb"), '`size` must be given for "nsb"'),
    (lambda: estimate_entropy([1], size=3), '`size` must be given for "nsb"'),
    (
        lambda: estimate_entropy([1, 2, 3], method="nsb", size=2),
        "`size` must be an integer of at least 3, got 2.",
    ),
    (lambda: estimate_entropy([1], method="plug-in"), "`method` must be 'plugin', "),
    (lambda: estimate_entropy([1], missing="skip"), "`missing` must be 'refuse', 'drop' or"),
    (
        lambda: estimate_mutual_information([1], [1], permutations=9),
        "`rng` must be a Generator or an integer for permutations, got None.",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED, ids=[s for _, s in REFUSED])
def test_refused(call, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(sentence)


# ------------------------------------------------------------------ real numbers


def correlated(n, r, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    return x, r * x + math.sqrt(1 - r * r) * rng.standard_normal(n)


@pytest.mark.parametrize("method", ["kozachenko_leonenko", "normal"])
def test_entropy_of_a_normal(method):
    x = 3 * np.random.default_rng(0).standard_normal(20_000)
    truth = 0.5 * math.log(2 * math.pi * math.e * 9)
    found = estimate_entropy(x, method=method)
    assert abs(found.value - truth) < 4 * found.standard_error
    assert estimate_entropy(x, method=method, base=2).value == found.value / math.log(2)


def test_entropy_of_a_uniform_by_distances():
    x = np.random.default_rng(1).random(20_000) * 0.01
    found = estimate_entropy(x, method="kozachenko_leonenko", neighbors=4)
    assert abs(found.value - math.log(0.01)) < 4 * found.standard_error


@pytest.mark.parametrize("method", ["ksg", "normal"])
@pytest.mark.parametrize("r", [0.0, 0.5, 0.9])
def test_information_of_two_normals(method, r):
    x, y = correlated(5000, r)
    found = estimate_mutual_information(x, y, method=method)
    assert abs(found.value + 0.5 * math.log(1 - r * r)) < 4 * found.standard_error + 0.01


def test_ksg_is_that_of_scikit_learn():
    from sklearn.feature_selection import mutual_info_regression

    x, y = correlated(2000, 0.6, 2)
    theirs = mutual_info_regression(x[:, None], y, n_neighbors=3, random_state=0)[0]
    ours = estimate_mutual_information(x, y, method="ksg").value
    assert_allclose(ours, theirs, atol=1e-6)


def test_ross_is_that_of_scikit_learn_and_of_a_known_mixture():
    from sklearn.feature_selection import mutual_info_classif

    rng = np.random.default_rng(3)
    x = rng.integers(0, 3, 3000)
    y = rng.random(3000) + x  # three boxes side by side: x is known from y
    found = estimate_mutual_information(x, y, method="ross")
    assert abs(found.value - entropy(Counts(np.bincount(x)))) < 0.02
    y = rng.standard_normal(3000) + x
    theirs = mutual_info_classif(y[:, None], x, n_neighbors=3, random_state=0)[0]
    found = estimate_mutual_information(x, y, method="ross", neighbors=3)
    assert_allclose(found.value, theirs, atol=0.01)


def test_chance_for_real_numbers():
    x, y = correlated(300, 0.5, 4)
    for method in ("ksg", "normal"):
        told = estimate_mutual_information(x, y, method=method, permutations=40, rng=0)
        assert told.p_value == 1 / 41
        nothing = estimate_mutual_information(
            x, np.random.default_rng(1).permutation(y), method=method, permutations=40, rng=0
        )
        assert nothing.p_value > 0.05
        assert abs(nothing.adjusted) < 0.1


REAL_REFUSED = [
    (
        lambda: estimate_entropy([1.0, 1.0, 1.0, 1.0, 2.0], method="kozachenko_leonenko"),
        "`x` must have at most 3 rows of one value, got 4 equal values.",
    ),
    (
        lambda: estimate_entropy([1.0, math.nan] * 4, method="kozachenko_leonenko"),
        "`x` must be finite, got nan at [1].",
    ),
    (lambda: estimate_entropy([1.0], method="normal"), "`x` must have more than 2 rows, got 1."),
    (lambda: estimate_entropy([2.0] * 9, method="normal"), "`x` must have two different values"),
    (
        lambda: estimate_entropy(["a"] * 9, method="normal"),
        "`x` must be a column of real numbers for this method",
    ),
    (
        lambda: estimate_mutual_information(np.arange(9.0), np.arange(8.0), method="ksg"),
        "`y` must have the 9 rows of `x`, got 8.",
    ),
    (
        lambda: estimate_mutual_information(range(9), np.arange(9.0), method="ross"),
        "`x` must have a symbol that occurs twice, got none.",
    ),
    (
        lambda: estimate_entropy(np.arange(9.0), given=np.arange(9), method="normal"),
        "`method` must be a method for symbols with given= or missing=, got 'normal'.",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), REAL_REFUSED, ids=[s for _, s in REAL_REFUSED])
def test_real_numbers_refused(call, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(sentence)
