"""Numbers that repeat or lie on a grid: rounded, whole, with a point mass, of odd scales."""

import math
import time
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import digamma
from sklearn import datasets
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from xent.measures import (
    entropy,
    estimate_cross_entropy,
    estimate_entropy,
    estimate_kl_divergence,
    estimate_mutual_information,
    mutual_information,
    rank_features,
)

N = 5000
NORMAL = 0.5 * math.log(2 * math.pi * math.e)  # entropy of a standard normal


def ksg(x, y, **options):
    return estimate_mutual_information(x, y, method="ksg", **options)


def ksg2(x, y, **options):
    return estimate_mutual_information(x, y, method="ksg2", **options)


def ross(x, y, **options):
    return estimate_mutual_information(x, y, method="ross", **options)


METHODS = [ksg, ksg2, ross]


def normals(rng, rho, n=N):
    x, z = rng.standard_normal((2, n))
    return x, rho * x + math.sqrt(1 - rho * rho) * z


def gaussian(rho):
    return -0.5 * math.log(1 - rho * rho)


def shared_poisson():
    """I of a + b and a + c, with a of mean 2 and b, c of mean 1, by the sums."""
    k = np.arange(40)
    own = stats.poisson.pmf(k[:, None] - k, 1)  # [sum, a]
    return mutual_information(np.einsum("ia,ja,a->ij", own, own, stats.poisson.pmf(k, 2)))


def rounded(rho, decimals):
    return lambda rng: tuple(np.round(v, decimals) for v in normals(rng, rho))


def real_and_whole(rng):  # y uniform on [x, x + 2], x one of five: Gao et al. (2017)
    x = rng.integers(0, 5, N)
    return x.astype(float), x + 2 * rng.random(N)


def waiting(rng):
    return np.round(rng.exponential(5, N)), np.round(rng.exponential(50, N))


def ages_and_prices(rng):
    return np.round(rng.gamma(9, 5, N)), np.round(np.exp(1.5 * rng.standard_normal(N) + 3), 2)


def counts_of_a_shared_cause(rng):
    a, b, c = rng.poisson(2, N), rng.poisson(1, N), rng.poisson(1, N)
    return a + b, a + c


def half_zero(rng):  # both zero at once, else a normal pair
    x, y = normals(rng, 0.8)
    nothing = rng.random(N) < 0.5
    return np.where(nothing, 0.0, x), np.where(nothing, 0.0, y)


def half_zero_apart(rng):
    x, y = normals(rng, 0.0)
    return np.where(rng.random(N) < 0.5, 0.0, x), np.where(rng.random(N) < 0.5, 0.0, y)


def clipped(rng):
    return tuple(np.clip(v, -1, 1) for v in normals(rng, 0.0))


def yes_and_normal(rng):
    x = rng.random(N) < 0.3
    return x, rng.standard_normal(N) + 4 * x


def narrow(rng):
    return tuple(v.astype(np.float32) for v in normals(rng, 0.9))


def mixed_scales(rng):
    x, y = normals(rng, 0.9)
    return np.round(x, 2) * 1e-300, np.round(y, 2) * 1e300


def subnormal(rng):
    x, y = normals(rng, 0.9)
    return np.round(100 * x) * 5e-324, y


def far_away(rng):
    x, y = normals(rng, 0.9)
    return x + 1e10, y - 1e10


GRID = np.linspace(-9, 13, 220001)
YES = 0.3 * stats.norm.pdf(GRID, 4), 0.7 * stats.norm.pdf(GRID)
MIXED = sum(  # of a boolean and the normal around 0 or 4 that it picks
    np.trapezoid(p * np.log(p / (w * (YES[0] + YES[1]))), GRID)
    for p, w in ((YES[0], 0.3), (YES[1], 0.7))
)
PAIRS = {
    "normals, 2 decimals": (rounded(0, 2), 0.0),
    "normals of 0.9, 2 decimals": (rounded(0.9, 2), gaussian(0.9)),
    "normals of 0.9, 3 decimals": (rounded(0.9, 3), gaussian(0.9)),
    "real and whole": (real_and_whole, math.log(5) - 0.8 * math.log(2)),
    "waiting times": (waiting, 0.0),
    "ages and prices": (ages_and_prices, 0.0),
    "counts": (counts_of_a_shared_cause, shared_poisson()),
    "half zero": (half_zero, math.log(2) + 0.5 * gaussian(0.8)),
    "half zero, apart": (half_zero_apart, 0.0),
    "clipped": (clipped, 0.0),
    "a boolean": (yes_and_normal, MIXED),
    "float32": (narrow, gaussian(0.9)),
    "scales": (mixed_scales, gaussian(0.9)),
    "subnormal": (subnormal, gaussian(0.9)),
    "an offset": (far_away, gaussian(0.9)),
}


@pytest.mark.parametrize("method", [ksg, ksg2])
@pytest.mark.parametrize("name", PAIRS)
def test_information_of_numbers_with_ties(name, method):
    draw, truth = PAIRS[name]
    found = [method(*draw(np.random.default_rng(seed))) for seed in range(2)]
    assert abs(np.mean([one.value for one in found]) - truth) < 0.03
    assert found[0].noise


WITH_SYMBOLS = {
    "a rare class": (lambda rng: (rng.random(N) < 0.05, rng.integers(0, 10, N)), 0.0),
    "boxes": (real_and_whole, math.log(5) - 0.8 * math.log(2)),
    "a boolean": (yes_and_normal, MIXED),
    "half zero": (lambda rng: (rng.integers(0, 3, N), half_zero(rng)[0]), 0.0),
    "prices": (lambda rng: (rng.integers(0, 3, N), ages_and_prices(rng)[1]), 0.0),
    "seconds": (lambda rng: (rng.integers(0, 3, N), waiting(rng)[0]), 0.0),
}


@pytest.mark.parametrize("name", WITH_SYMBOLS)
def test_information_of_symbols_and_numbers_with_ties(name):
    draw, truth = WITH_SYMBOLS[name]
    assert abs(ross(*draw(np.random.default_rng(0))).value - truth) < 0.03


def test_the_noise_of_ross_is_smaller_than_every_gap():
    """Each class has values of a scale of its own, half of them repeated."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 3, 999)
    y = np.where(rng.random(999) < 0.5, rng.integers(1, 9, 999), 1 + 8 * rng.random(999))
    found = ross(x, y * np.array([1e-300, 1e-200, 1e300])[x])
    assert abs(found.value - math.log(3)) < 0.01


@pytest.mark.parametrize("table", ["iris", "wine", "breast_cancer"])
def test_small_tables_of_scikit_learn_with_classes(table):
    data = getattr(datasets, f"load_{table}")()
    theirs = mutual_info_classif(data.data, data.target, random_state=0)
    ours = [ross(data.target, column).value for column in data.data.T]
    assert_allclose(ours, theirs, rtol=0, atol=0.1)
    frame = pd.DataFrame(data.data).rename(columns=str).assign(target=data.target)
    ranked = {f.name: f for f in rank_features(frame, "target", numeric="ksg")}
    for i, value in enumerate(theirs):
        assert abs(ranked[str(i)].score - value) < 0.1
        assert ranked[str(i)].noise
    if table == "iris":
        assert abs(ranked["3"].score - 0.9825) < 0.02  # petal width
        assert 0.2 < ranked["1"].score < 0.3  # sepal width


def test_a_small_table_of_scikit_learn_with_numbers():
    data = datasets.load_diabetes()
    theirs = mutual_info_regression(data.data, data.target, random_state=0)
    for method in (ksg, ksg2):
        ours = [method(column, data.target).value for column in data.data.T]
        assert_allclose(ours, theirs, rtol=0, atol=0.1)


# ------------------------------------------------------------------ the noise


def few(rng, method, n=400):
    x, y = normals(rng, 0.6, n)
    return np.round(x, 0 if method is ross else 1), np.round(y, 1)


@pytest.mark.parametrize("method", METHODS)
def test_no_order_of_rows_or_names_changes_an_estimate(method):
    x, y = few(np.random.default_rng(2), method)
    found = method(x, y).value
    order = np.random.default_rng(3).permutation(x.size)
    assert_allclose(method(x[order], y[order]).value, found, rtol=1e-12)
    if method is ross:
        names = np.array(["low", "a", "zero", "more", "b", "c", "d", "e"], dtype=object)
        renamed = names[x.astype(int) + 3]
        assert_allclose(ross(renamed[order], y[order]).value, found, rtol=1e-12)
    else:
        assert_allclose(method(y, x).value, found, rtol=1e-12)
        assert_allclose(method(7 * x - 3, y).value, found, rtol=1e-12)
    assert_allclose(method(x, 4 * y).value, found, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_rng_changes_the_noise_and_nothing_else(method):
    x, y = few(np.random.default_rng(4), method)
    assert method(x, y) == method(x, y)
    assert method(x, y).noise
    others = [method(x, y, rng=seed).value for seed in range(5)]
    assert len(set(others)) == 5
    assert np.std(others) < method(x, y).standard_error
    z = np.random.default_rng(5).standard_normal(400)
    x = x if method is ross else x + 0.01 * z
    found = method(x, y + z)
    assert not found.noise
    assert method(x, y + z, rng=7) == found


def test_rank_features_takes_rng_for_the_noise():
    x, y = few(np.random.default_rng(4), ross)
    frame = pd.DataFrame({"a": y, "y": x.astype(int)})
    scores = [rank_features(frame, "y", numeric="ksg", rng=s)[0].score for s in (None, 0, 1, 1)]
    assert scores[1] != scores[2] == scores[3]
    assert_allclose(scores[0], ross(x, y).value, rtol=1e-12)


def test_ranks_are_a_grid_though_none_repeats():
    x, y = normals(np.random.default_rng(6), 0.9, 300)
    found = ksg(stats.rankdata(x), stats.rankdata(y))
    assert found.noise
    assert abs(found.value - ksg(x, y).value) < 0.08


def test_rows_alike_are_symbols():
    """More than k rows alike: ψ(t) + ψ(n) - ψ(t_x) - ψ(t_y), whatever the noise."""
    t, along_x, along_y = [40, 9, 30, 6, 15], [49, 49, 36, 36, 15], [70, 30, 70, 30, 30]
    x, y = np.repeat([0, 0, 1, 1, 5], t), np.repeat([2, 7, 2, 7, 7], t)
    terms = digamma(t) + digamma(100) - digamma(along_x) - digamma(along_y)
    for method in METHODS:
        for seed in (0, 1):
            found = method(x, y, rng=seed).value
            assert_allclose(found, np.average(terms, weights=t), rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_of_a_constant_nothing_is_told(method):
    rng = np.random.default_rng(7)
    x = rng.integers(0, 3, 50).astype(float)
    assert method(x, np.full(50, 3.3)).value == 0
    assert method(np.zeros(50), rng.standard_normal(50)).value == 0
    with pytest.raises(ValueError, match=r"must have more than 3 rows, got 3"):
        method([1, 2, 1], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"`y` must be finite, got inf at \[1\]"):
        method([1, 2, 1, 2], [1.0, np.inf, 3.0, 2.0])


@pytest.mark.parametrize("method", METHODS)
def test_an_offset_moves_nothing(method):
    x, y = np.random.default_rng(8).integers(0, 60, (2, 800)) / 4
    x = x // 5
    assert method(x, y + 1e10).value == method(x, y).value
    if method is not ross:
        assert method(x + 1e10, y).value == method(x, y).value
    # Whole numbers past 2^53: nanoseconds since 1970, of a few seconds.
    ticks = (y * 4).astype(np.int64)
    assert method(x, 1_700_000_000_000_000_000 + ticks).value == method(x, ticks).value


def test_many_equal_numbers_cost_no_more():
    """A constant column of 160,000 rows took 54 s; the least of two, for a busy machine."""
    rng = np.random.default_rng(9)
    codes, z = rng.integers(0, 3, 40_000), rng.standard_normal(40_000)

    def seconds(call):
        taken = []
        for _ in range(2):
            start = time.process_time()
            call()
            taken.append(time.process_time() - start)
        return min(taken)

    for method, x in ((ross, codes), (ksg, z)):
        usual = seconds(lambda method=method, x=x: method(x, z + 0.1 * codes))
        for y in (np.zeros(z.size), (z > 0) * 1.0, np.round(z)):
            assert seconds(lambda method=method, x=x, y=y: method(x, y)) < 5 * usual


# ------------------------------------------------------------------ warnings


def test_impossible_information_never_comes_in_silence(monkeypatch):
    from xent.measures.samples import _of_numbers

    x, y = normals(np.random.default_rng(10), 0.5, 300)
    real, told = _of_numbers.ksg, _of_numbers.ross
    monkeypatch.setattr(_of_numbers, "ksg", lambda *a: real(*a) - 1.0)
    with pytest.warns(UserWarning, match=r"standard errors below 0, which no information is"):
        ksg(x, y)
    monkeypatch.setattr(_of_numbers, "ksg", lambda *a: real(*a) + 3.0)
    x = np.round(x)
    with pytest.warns(UserWarning, match=r"is above .*, the entropy of `x`, which no information"):
        ksg(x, y)
    monkeypatch.setattr(_of_numbers, "ross", lambda *a: told(*a) - 1.0)
    frame = pd.DataFrame({"a": y, "y": x.astype(int)})
    with pytest.warns(UserWarning, match=r"The estimated information of column 'a', -0\..*below 0"):
        (found,) = rank_features(frame, "y", numeric="ksg")
    assert found.score == 0
    monkeypatch.setattr(_of_numbers, "ross", lambda *a: told(*a) + 9.0)
    (found,) = rank_features(frame, "y", numeric="ksg")
    assert_allclose(found.score, estimate_entropy(x).value)  # no column tells more than all


def test_symbols_are_doubted_too():
    x = np.arange(40) % 7
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert estimate_mutual_information(x, x, method="miller_madow").value > 1
    with pytest.warns(UserWarning, match=r"-0.344 is 4.6 standard errors below 0"):
        estimate_mutual_information([1, 1, 0, 0, 0], [2, 1, 2, 1, 1], method="jackknife")


# ------------------------------------------------------------------ entropies and divergences

ROUNDED = ("kozachenko_leonenko", "vasicek", "ebrahimi", "van_es")


@pytest.mark.parametrize("decimals", [1, 2, 3])
@pytest.mark.parametrize("method", ROUNDED)
def test_entropy_of_rounded_numbers(method, decimals):
    x = np.round(np.random.default_rng(11).standard_normal(20_000), decimals)
    found = estimate_entropy(x, method=method)
    assert abs(found.value - NORMAL) < (0.04 if method == "van_es" else 0.02)
    assert found.noise
    assert_allclose(estimate_entropy(x[::-1], method=method).value, found.value, rtol=1e-12)
    assert estimate_entropy(x, method=method, rng=1).value != found.value
    moved = estimate_entropy(1000 * x + 1e10, method=method).value
    assert_allclose(moved - math.log(1000), found.value, atol=1e-6)


def test_entropy_of_whole_numbers_is_that_of_symbols_in_units():
    x = np.random.default_rng(12).poisson(3, 20_000)
    truth = entropy(stats.poisson(3))
    for unit in (1, 0.25, 1e-300, 1e300):
        found = estimate_entropy(x * unit, method="kozachenko_leonenko")
        assert abs(found.value - math.log(unit) - truth) < 0.03


def test_no_scale_is_lost_beside_another():
    rng = np.random.default_rng(21)
    x = rng.standard_normal(3000)
    options = {"method": "nearest_neighbors", "neighbors": 100}
    found = estimate_kl_divergence(1e-300 * x, x, **options).value
    small = -np.log(stats.norm.pdf(0)) - NORMAL - math.log(1e-300)
    assert abs(found - small) < 0.3  # as if the model were its density at 0
    wide = np.tile([1e-300, 1e300], 1500) * rng.random(3000)
    found = estimate_entropy(wide, method="kozachenko_leonenko").value
    assert abs(found - math.log(2)) < 0.1  # half of each: the logs of both widths cancel


def test_a_point_mass_among_real_numbers_has_no_entropy():
    rng = np.random.default_rng(13)
    x = np.where(rng.random(500) < 0.5, 0.0, rng.standard_normal(500))
    for method in ROUNDED[:2]:
        with pytest.raises(ValueError, match="Equal values have no density"):
            estimate_entropy(x, method=method)
    with pytest.raises(ValueError, match="Equal values have no density"):
        estimate_cross_entropy(x, x, method="nearest_neighbors")


@pytest.mark.parametrize("decimals", [1, 2, 3, None])
def test_divergence_of_rounded_numbers(decimals):
    rng = np.random.default_rng(14)
    x, y = rng.standard_normal(4 * N), 1.5 * rng.standard_normal(4 * N) + 0.5
    if decimals is not None:
        x, y = np.round(x, decimals), np.round(y, decimals)
    truth = math.log(1.5) + 1.25 / 4.5 - 0.5
    found = estimate_kl_divergence(x, y, method="nearest_neighbors")
    assert abs(found.value - truth) < 0.03
    assert found.noise == (decimals is not None)
    cost = estimate_cross_entropy(x, y, method="nearest_neighbors")
    assert abs(cost.value - truth - NORMAL) < 0.03
    if decimals is not None:
        assert estimate_kl_divergence(x, y, method="nearest_neighbors", rng=1) != found
        turned = estimate_kl_divergence(x[::-1], y[::-1], method="nearest_neighbors").value
        assert_allclose(turned, found.value, rtol=1e-10)


def test_divergence_of_point_masses():
    rng = np.random.default_rng(15)
    x = np.where(rng.random(N) < 0.5, 0.0, rng.standard_normal(N))
    y = np.where(rng.random(N) < 0.3, 0.0, 1.5 * rng.standard_normal(N))
    truth = 0.5 * math.log(0.5 / 0.3) + 0.5 * math.log(0.5 / 0.7)
    truth += 0.5 * (math.log(1.5) + 1 / 4.5 - 0.5)
    found = estimate_kl_divergence(x, y, method="nearest_neighbors")
    assert abs(found.value - truth) < 2.5 * found.standard_error < 0.05
    lacking = estimate_kl_divergence(x, y[y != 0], method="nearest_neighbors")
    assert (lacking.value, lacking.standard_error) == (math.inf, 0.0)


# ------------------------------------------------------------------ several dimensions

MIX = np.array([[1, 0.5, 0.2], [0, 0.8, 0.1], [0, 0, 0.6]])
COV = MIX.T @ MIX
POINTS = np.random.default_rng(0).standard_normal((4 * N, 3)) @ MIX


def log_det(*coordinates):
    return 0.5 * np.linalg.slogdet(COV[np.ix_(coordinates, coordinates)])[1]


@pytest.mark.parametrize("decimals", [None, 2])
def test_normals_in_three_dimensions(decimals):
    p = POINTS if decimals is None else np.round(POINTS, decimals)
    found = estimate_entropy(p, method="kozachenko_leonenko")
    assert abs(found.value - 3 * NORMAL - log_det(0, 1, 2)) < 0.03
    found = ksg(p[:, :2], p[:, 2])
    assert abs(found.value - log_det(0, 1) - log_det(2) + log_det(0, 1, 2)) < 0.03
    assert_allclose(ksg(p[:, 2], p[:, :2]).value, found.value, rtol=1e-12)
    found = ksg(p[:, 0], p[:, 1], given=p[:, 2])
    truth = log_det(0, 2) + log_det(1, 2) - log_det(2) - log_det(0, 1, 2)
    assert abs(found.value - truth) < 0.03
    found = estimate_entropy(p[:, 0], given=p[:, 1:], method="kozachenko_leonenko")
    assert abs(found.value - NORMAL - log_det(0, 1, 2) + log_det(1, 2)) < 0.03
    assert found.noise == (decimals is not None)
    order = np.random.default_rng(17).permutation(len(p))
    turned = estimate_entropy(p[order, 0], given=p[order, 1:], method="kozachenko_leonenko")
    assert_allclose(turned.value, found.value, rtol=1e-10)


def test_what_is_given_explains_away():
    rng = np.random.default_rng(18)
    z = rng.standard_normal(N)
    x, y = z + rng.standard_normal((2, N))
    assert abs(ksg(x, y).value - gaussian(0.5)) < 0.03
    assert abs(ksg(x, y, given=z).value) < 0.03
    x, y, z = (np.round(v, 1) for v in (x, y, z))
    assert abs(ksg(x, y, given=[z]).value) < 0.03
    coins = rng.integers(0, 2, (2, N))
    found = ksg(coins[0], coins[1], given=coins[0] ^ coins[1])
    assert_allclose(found.value, math.log(2), atol=0.002)


def slow_terms(x, y, z, k):
    total = 0.0
    for i in range(len(x)):
        dx, dy, dz = (np.abs(v - v[i]).max(1) for v in (x, y, z))
        far = np.sort(np.maximum(np.maximum(dx, dy), dz))[k]
        xz, yz = np.maximum(dx, dz), np.maximum(dy, dz)
        total += digamma((dz < far).sum()) - digamma((xz < far).sum()) - digamma((yz < far).sum())
    return digamma(k) + total / len(x)


def slow_conditional(x, z, k):
    total = 0.0
    for i in range(len(x)):
        dx, dz = (np.abs(v - v[i]).max(1) for v in (x, z))
        far = np.sort(np.maximum(dx, dz))[k]
        total += digamma((dz < far).sum()) + x.shape[1] * math.log(2 * far)
    return total / len(x) - digamma(k)


def test_given_by_a_slow_loop():
    """Frenzel and Pompe (2007), on coordinates of deviation 1."""
    p = POINTS[:120] / POINTS[:120].std(0)
    q = np.random.default_rng(19).standard_normal((120, 2))
    q = q / q.std(0)
    for k in (1, 4):
        found = ksg(p[:, :2], q, given=p[:, 2], neighbors=k)
        assert_allclose(found.value, slow_terms(p[:, :2], q, p[:, 2:], k), rtol=1e-10)
        found = estimate_entropy(p[:, :2], given=q, method="kozachenko_leonenko", neighbors=k)
        assert_allclose(found.value, slow_conditional(p[:, :2], q, k), rtol=1e-10)


def test_a_unit_of_one_coordinate_changes_the_entropy_by_its_log():
    found = estimate_entropy(POINTS * [1e-3, 1, 1e7], method="kozachenko_leonenko").value
    plain = estimate_entropy(POINTS, method="kozachenko_leonenko").value
    assert_allclose(found, plain + math.log(1e4), rtol=1e-10)
    flat = np.column_stack([POINTS[:, 0], np.ones(4 * N)])
    with pytest.raises(ValueError, match="must have two different values in every column, got one"):
        estimate_entropy(flat, method="kozachenko_leonenko")


def test_numbers_of_other_kinds():
    x, y = few(np.random.default_rng(20), ksg, 60)
    expected = ksg(x, y).value
    for made in (
        [Decimal(repr(v)) for v in x.tolist()],
        [Fraction(round(v * 10), 10) for v in x.tolist()],
        pd.Series(x, dtype="Float64"),
    ):
        assert ksg(made, y).value == expected
    gaps = [None if i == 4 else Decimal(repr(v)) for i, v in enumerate(x.tolist())]
    assert ksg(gaps, y, missing="drop").n == 59
    with pytest.raises(ValueError, match="`x` must be finite, got inf"):
        ksg([10**400, *x[1:].tolist()], y)
    with pytest.raises(ValueError, match=r"`x` must be one column, got an array of shape"):
        ksg2(np.ones((60, 2)), y)
    with pytest.raises(ValueError, match=r"`permutations` must be 0 with given= and real numbers"):
        ksg(x, y, given=y, permutations=9, rng=0)
