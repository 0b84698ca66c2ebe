"""Estimators: the values others computed, exact small cases by hand, and truth recovered."""

import json
import math
from fractions import Fraction
from pathlib import Path

import mpmath as mp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import mutual_info_score

from xent.measures import Counts, entropy, estimate_entropy, estimate_mutual_information
from xent.measures.samples._from_counts import METHODS

FOLDER = Path(__file__).parents[2] / "golden"
GOLDEN = FOLDER / "ndd_readme.json"
PRINTED = json.loads((FOLDER / "estimators.json").read_text())


def rows_of(counts):
    return np.repeat(np.arange(len(counts)), counts)


def test_values_of_another_library():
    book = json.loads(GOLDEN.read_text())
    x = rows_of(book["counts"])
    for method, value in book["values"].items():
        assert_allclose(estimate_entropy(x, method=method).value, value, atol=6e-5)
    found = estimate_entropy(x, method="nsb", size=100)
    assert_allclose(found.value, book["nsb_100"], atol=2e-5)


@pytest.mark.parametrize("line", PRINTED["entropy"], ids=lambda line: line["where"])
def test_printed_entropies(line):
    if "text" in line:
        text, k = line["text"], line["word"]
        x = [text[i : i + k] for i in range(len(text) - k + 1)]
    else:
        x = line["numbers"] if "numbers" in line else rows_of(line["counts"])
    base = line.get("base", math.e)
    options = {"neighbors": line["neighbors"]} if "neighbors" in line else {}
    found = estimate_entropy(x, method=line["method"], base=base, **options).value
    if "digamma_of_n" in line:
        found += (float(mp.digamma(len(x))) - math.log(len(x))) / math.log(base)
    assert_allclose(found, line["value"], rtol=0, atol=line["digits"])


@pytest.mark.parametrize("line", PRINTED["mutual_information"], ids=lambda line: line["where"])
def test_printed_information(line):
    x, y = np.array(line["x"]), np.array(line["y"])
    options = {"neighbors": line["neighbors"], "base": line["base"]}
    found = estimate_mutual_information(x, y, method=line["method"], **options).value
    assert_allclose(found, line["value"], rtol=0, atol=line["digits"])


def test_where_other_libraries_have_another_formula():
    x = [-2.49, 1.64, -3.05, 7.95, -5.96, 1.77, -5.24, 7.03, -0.11, -1.86]
    found = estimate_mutual_information(x, x, method="ksg", neighbors=4).value
    truth = float(mp.digamma(10) - mp.digamma(4))
    assert_allclose(found, truth, rtol=1e-14)
    assert_allclose(found - 2 / 4, 0.49563492063492054, rtol=1e-12)  # infomeasure's tests
    # DiscreteEntropy.jl's tests: G(n) = ψ(n) + (-1)^n / (n + 1), Grassberger (1988).
    counts, n = [1, 2, 3, 2, 1], 9
    first = math.log(n) - sum(c * float(mp.digamma(c) + (-1) ** c / (c + 1)) for c in counts) / n
    assert_allclose(first, 1.876292, atol=5e-7)
    found = estimate_entropy(rows_of(counts), method="grassberger").value
    assert_allclose(found, 1.912, atol=5e-4)


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
        "`rng` must be a Generator or an integer of at least 0 for permutations, got None.",
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


@pytest.mark.parametrize("method", ["ksg", "ksg2", "normal"])
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
        lambda: estimate_entropy([1.0] * 4 + [2.0, 2.7, 4.1], method="kozachenko_leonenko"),
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
        "`method` must be a method for symbols, or 'kozachenko_leonenko', with given=, got 'norm",
    ),
]


REAL_REFUSED += [
    (
        lambda: estimate_entropy([1.0] * 5 + [2.0, 3.3, 4.1], method="vasicek"),
        "`x` must have at most 3 rows of one value, got more. Equal values have no density",
    ),
    (lambda: estimate_entropy([1.0, 1.0, 1.0], method="kde"), "`x` must have two different values"),
    (
        lambda: estimate_entropy([0.0, 0.1, 0.2, 0.3, 1e9], method="kde"),
        "`x` must have no point far from all others, got 1e+09 at [4]",
    ),
    (
        lambda: estimate_entropy([1, 2], given=[1, 2], method="dirichlet", size=3),
        "`method` must be another one with given=, got 'dirichlet'.",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), REAL_REFUSED, ids=[s for _, s in REAL_REFUSED])
def test_real_numbers_refused(call, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(sentence)


# ------------------------------------------------------------------ a Dirichlet prior


def test_posterior_of_two_symbols_by_integration():
    # p ~ Beta(a, b): the mean and the deviation of its binary entropy
    mp.mp.dps = 20
    for counts, prior in (([3, 1], 0.5), ([0, 4], 1.0), ([1, 1], 0.05)):
        a, b = counts[0] + mp.mpf(prior), counts[1] + mp.mpf(prior)
        norm = mp.beta(a, b)

        def moment(power, a=a, b=b, norm=norm):
            def of(p):
                h = -p * mp.log(p) - (1 - p) * mp.log1p(-p)
                both = p ** (a - 1) * (1 - p) ** (b - 1) + p ** (b - 1) * (1 - p) ** (a - 1)
                return h**power * both / norm

            return mp.quad(of, [0, 1e-12, 1e-6, 0.01, 0.5])

        mean = moment(1)
        found = estimate_entropy(rows_of(counts), method="dirichlet", size=2, prior=prior)
        assert_allclose(found.value, float(mean), rtol=1e-6)
        assert_allclose(found.standard_error, float(mp.sqrt(moment(2) - mean**2)), rtol=1e-5)


def test_posterior_mean_of_the_formula():
    # ψ(N + Ka + 1) - Σ (n + a) / (N + Ka) ψ(n + a + 1), Wolpert and Wolf, with rational ψ
    counts, size = [4, 2, 1], 5
    harmonic = [sum(Fraction(1, k) for k in range(1, n + 1)) for n in range(20)]
    total = sum(counts) + size
    mean = harmonic[total] - sum(
        Fraction(n + 1, total) * harmonic[n + 1] for n in [*counts, *([0] * (size - 3))]
    )
    found = estimate_entropy(rows_of(counts), method="dirichlet", size=size, prior="uniform")
    assert_allclose(found.value, float(mean), rtol=1e-13)


def test_priors_by_name():
    x = rows_of([5, 3, 1])
    for name, prior in (("jeffreys", 0.5), ("uniform", 1), ("perks", 1 / 10), ("minimax", 0.3)):
        named = estimate_entropy(x, method="dirichlet", size=10, prior=name)
        assert named.value == estimate_entropy(x, method="dirichlet", size=10, prior=prior).value
    default = estimate_entropy(x, method="dirichlet", size=10)
    assert default.value == estimate_entropy(x, method="dirichlet", size=10, prior="perks").value


def test_the_posterior_holds_what_its_prior_draws():
    rng = np.random.default_rng(8)
    off = []
    for prior in (0.05, 0.5, 2.0):
        for _ in range(40):
            p = rng.dirichlet(np.full(50, prior))
            x = rng.choice(50, 30, p=p)
            found = estimate_entropy(x, method="dirichlet", size=50, prior=prior)
            off.append((found.value - entropy(p)) / found.standard_error)
    assert 0.8 < np.std(off) < 1.2
    assert np.mean(np.abs(off) < 2) > 0.9


# ------------------------------------------------------------------ spacings and kernels


@pytest.mark.parametrize("method", ["vasicek", "ebrahimi", "van_es"])
def test_spacings_are_those_of_scipy(method):
    from scipy.stats import differential_entropy

    x = np.random.default_rng(9).gamma(2.0, size=157)
    theirs = differential_entropy(x, method=method.replace("_", " "))
    assert_allclose(estimate_entropy(x, method=method).value, theirs, rtol=1e-12)


def test_kernels_by_a_slow_loop():
    x = np.random.default_rng(10).laplace(size=60)
    first, third = np.quantile(x, [0.25, 0.75])
    width = 0.9 * min(x.std(ddof=1), (third - first) / 1.349) * 60**-0.2

    def density(point, points, count):
        return sum(math.exp(-(((point - p) / width) ** 2) / 2) for p in points) / (
            count * width * math.sqrt(2 * math.pi)
        )

    every = -np.mean([math.log(density(p, x, 60)) for p in x])
    others = [math.log(density(p, np.delete(x, i), 59)) for i, p in enumerate(x)]
    assert_allclose(estimate_entropy(x, method="kde_resubstitution").value, every, rtol=1e-12)
    assert_allclose(estimate_entropy(x, method="kde").value, -np.mean(others), rtol=1e-12)


@pytest.mark.parametrize("method", ["vasicek", "ebrahimi", "kde", "kde_resubstitution"])
def test_entropy_of_real_numbers_and_its_spread(method):
    rng = np.random.default_rng(11)
    truth = 0.5 * math.log(2 * math.pi * math.e * 4)
    found = [estimate_entropy(2 * rng.standard_normal(500), method=method) for _ in range(100)]
    values, errors = (np.array([getattr(e, a) for e in found]) for a in ("value", "standard_error"))
    assert abs(values.mean() - truth) < values.std()
    assert_allclose(errors.mean(), values.std(), rtol=0.25)
    assert found[0].n == 500


def test_van_es_is_too_low_on_small_samples():
    rng = np.random.default_rng(15)
    truth = 0.5 * math.log(2 * math.pi * math.e)
    off = [estimate_entropy(rng.standard_normal(300), method="van_es").value for _ in range(100)]
    assert -0.15 < np.mean(off) - truth < -0.07


# ------------------------------------------------------------------ the second of Kraskov


def test_ksg2_by_a_slow_loop():
    from scipy.special import digamma

    x, y = correlated(80, 0.7, 12)
    u, v = x / x.std(), y / y.std()
    for k in (1, 3, 7):
        total = 0.0
        for i in range(80):
            du, dv = np.abs(u - u[i]), np.abs(v - v[i])
            near = np.argsort(np.maximum(du, dv), kind="stable")[: k + 1]
            nx, ny = ((d <= d[near].max()).sum() - 1 for d in (du, dv))
            total += digamma(nx) + digamma(ny)
        expected = digamma(k) - 1 / k - total / 80 + digamma(80)
        found = estimate_mutual_information(x, y, method="ksg2", neighbors=k)
        assert_allclose(found.value, expected, rtol=1e-12)


@pytest.mark.parametrize("method", ["ksg", "ksg2"])
def test_rows_that_are_alike_count_as_symbols(method):
    x = np.repeat([0.0, 1.0, 2.0], 300)
    found = estimate_mutual_information(x, x, method=method, permutations=20, rng=0)
    assert_allclose(found.value, math.log(3), atol=0.002)
    assert found.p_value == 1 / 21
    # half of the rows at one place, half a normal pair: I = H(place) + I / 2, and no more
    a, b = correlated(2000, 0.8, 13)
    a[:1000] = b[:1000] = 5.0
    found = estimate_mutual_information(a, b, method=method)
    truth = math.log(2) - 0.25 * math.log(1 - 0.64)
    assert abs(found.value - truth) < 4 * found.standard_error + 0.02


def test_missing_numbers_are_a_choice():
    x, y = correlated(60, 0.5, 14)
    gone = x.copy()
    gone[[3, 9]] = np.nan
    whole = np.delete(x, [3, 9])
    entries = [None if math.isnan(v) else v for v in gone]
    columns = [
        gone,
        entries,
        pd.Series(entries, dtype="Float64"),
        pl.Series(entries),
        pa.array(entries),
    ]
    for made in columns:
        with pytest.raises(ValueError, match=r"`x` must be finite, got nan at \[3\]. For missing"):
            estimate_entropy(made, method="normal")
        found = estimate_entropy(made, method="kde", missing="drop")
        assert (found.n, found.value) == (58, estimate_entropy(whole, method="kde").value)
        found = estimate_mutual_information(made, y, method="ksg", missing="drop")
        less = estimate_mutual_information(whole, np.delete(y, [3, 9]), method="ksg")
        assert (found.n, found.value) == (58, less.value)
    codes = ["a" if v > 0 else None if math.isnan(v) else "b" for v in gone]
    found = estimate_mutual_information(codes, y, method="ross", missing="drop")
    plain = [c for c in codes if c]
    assert (
        found.value == estimate_mutual_information(plain, np.delete(y, [3, 9]), method="ross").value
    )
    with pytest.raises(ValueError, match="`x` must have a symbol in every row"):
        estimate_mutual_information(codes, y, method="ross")
    with pytest.raises(ValueError, match='`missing` must be "refuse" or "drop" for real numbers'):
        estimate_entropy(gone, method="kde", missing="symbol")
