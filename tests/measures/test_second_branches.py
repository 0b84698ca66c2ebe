"""Second branches, ties and options in pairs of the measures: each by a slow word of its own."""

import math
import re
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import sparse, stats
from scipy.spatial.distance import jensenshannon
from scipy.special import digamma
from scipy.stats import multivariate_normal
from sklearn.metrics import normalized_mutual_info_score

from xent import measures as m
from xent._kernels.distributions.counts import LOOKED_AT, count_pairs
from xent.measures.samples import _of_numbers
from xent.measures.samples._result import doubt
from xent.measures.samples._ties import has_ties


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_renyi_divergence_of_order_0_where_p_is_0(library):
    """- log Q(p > 0): what q holds where p is 0 does not count."""
    p = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.25] * 4])
    q = np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1], [0.0, 0.5, 0.25, 0.25]])
    want = [-math.log(0.3), -math.log(0.1), 0.0]
    if library == "torch":
        p, q = torch.from_numpy(p), torch.from_numpy(q)
    elif library == "jax":
        jnp = pytest.importorskip("jax.numpy")
        p, q = jnp.asarray(p), jnp.asarray(q)
    found = np.asarray(m.renyi_divergence(p, q, 0))
    assert_allclose(found, want, rtol=1e-6, atol=1e-7)
    assert_allclose(np.asarray(m.renyi_divergence(p, q, 0, base=2)), np.array(want) / math.log(2),
                    rtol=1e-6, atol=1e-7)  # fmt: skip


@pytest.mark.parametrize("counts", [[1, 1, 1, 3, 4], [1, 5, 5], [1, 1, 1, 1], [3, 4, 5]])
def test_chao_wang_jost_without_doubletons(counts):
    """Chao, Wang and Jost (2013): with f2 = 0, A = 2 / ((n - 1)(f1 - 1) + 2)."""
    n, once = sum(counts), counts.count(1)
    want = sum(c / n * (digamma(n) - digamma(c)) for c in counts)
    a = 2 / ((n - 1) * (once - 1) + 2)
    if once and a < 1:
        tail = -math.log(a) - sum((1 - a) ** r / r for r in range(1, n))
        want += once / n * (1 - a) ** (1 - n) * tail
    found = m.estimate_entropy(np.repeat(np.arange(len(counts)), counts), method="chao_wang_jost")
    assert_allclose(found.value, want, rtol=1e-9)


def test_the_interval_of_drift_by_hand():
    """Its quantiles are shifted down by twice the bias of the redrawn values."""
    luck = np.random.default_rng(3)
    old, new = luck.choice(list("abc"), 70, p=[0.5, 0.3, 0.2]), luck.choice(list("abc"), 90)
    (found,) = m.drift({"x": old}, {"x": new}, bootstrap=40, rng=5, confidence=0.8)
    a, b = (np.array([(x == s).sum() for s in "abc"]) for x in (old, new))
    seen = jensenshannon(a, b) ** 2
    assert_allclose(found.js, seen, rtol=1e-9)
    best = math.inf
    for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]):  # of the draws
        draw, redrawn = np.random.default_rng(5), []
        for _ in range(40):
            p, q = (draw.multinomial(c.sum(), c[order] / c.sum()) for c in (a, b))
            redrawn.append(jensenshannon(p, q) ** 2)
        low, high = np.quantile(redrawn, [0.1, 0.9])
        bias = 2 * (np.mean(redrawn) - seen)
        want = min(seen, max(0.0, low - bias)), max(seen, high - bias)
        best = min(best, max(abs(found.low - want[0]), abs(found.high - want[1])))
    assert best < 1e-9


@pytest.mark.parametrize("weights", [None, [0.85, 0.15]])
def test_the_error_of_js_by_draws_is_how_far_it_varies(weights):
    p, q = multivariate_normal([0, 0]), multivariate_normal([1.5, 0])
    found = [m.js_divergence(p, q, weights=weights, rng=i, draws=4000) for i in range(60)]
    spread = np.std([float(one) for one in found])
    assert 0.7 < np.mean([one.error for one in found]) / spread < 1.35


@pytest.mark.parametrize("given", [False, True])
def test_missing_values_are_dropped_with_their_partners(given):
    luck = np.random.default_rng(0)
    x, y, z = (luck.choice(list("abc"), 300).astype(object) for _ in "xyz")
    x[:20], y[10:40], z[30:55] = None, None, None
    whole = np.array([None not in row for row in zip(x, y, *([z] if given else []), strict=True)])
    beside = {"given": z} if given else {}
    found = m.estimate_mutual_information(x, y, missing="drop", **beside)
    beside = {"given": z[whole]} if given else {}
    want = m.estimate_mutual_information(x[whole], y[whole], **beside)
    assert found.n == want.n == whole.sum()
    assert_allclose(found.value, want.value, rtol=1e-12)


def test_weights_of_dropped_rows_do_not_count():
    luck = np.random.default_rng(1)
    x, y = (luck.choice(list("abc"), 200).astype(object) for _ in "xy")
    w = luck.integers(0, 5, 200).astype(float)
    x[:60] = None
    table = pd.DataFrame({"x": x, "y": y, "w": w})
    (found,) = m.rank_features(table, "y", weights="w", missing="drop")
    (want,) = m.rank_features(table[60:], "y", weights="w")
    known = m.Counts(np.array([[w[(x == a) & (y == b)].sum() for b in "abc"] for a in "abc"]))
    assert_allclose(found.score, want.score, rtol=1e-12)
    assert_allclose(found.score, m.mutual_information(known), rtol=1e-9)


@pytest.mark.parametrize("which", ["x", "y"])
@pytest.mark.parametrize("beyond", [-1, 1, 40])
def test_a_row_that_was_not_looked_at_lies_beyond(which, beyond):
    """The table's size is that of some rows: one step beyond it is already outside."""
    rows = 5 * LOOKED_AT
    luck = np.random.default_rng(0)
    pair = {name: luck.integers(0, 7, rows) for name in "xy"}
    step = rows // LOOKED_AT
    for name in pair:  # rows that are looked at have the whole extent but for one row
        looked = pair[name][::step]
        looked[:7] = range(7)
    at = step * (LOOKED_AT // 2) + 1
    pair[which][at] = 6 + beyond if beyond > 0 else beyond
    low_x, low_y, found = count_pairs(pair["x"], pair["y"], 1 << 20)
    want = np.zeros_like(found)
    np.add.at(want, (pair["x"] - low_x, pair["y"] - low_y), 1)
    np.testing.assert_array_equal(found, want)
    assert found.sum() == rows


@pytest.mark.parametrize("method", ["miller_madow", "jackknife", "grassberger", "shrinkage"])
def test_chance_compares_plugin_values_whatever_the_method(method):
    """Shuffles are told by the plug-in value, and so is what they are held against."""
    rng = np.random.default_rng(3)
    x = rng.integers(0, 6, 60)
    y = (x + rng.integers(0, 4, 60)) % 6
    how = {"permutations": 50, "rng": 7}
    plain = m.estimate_mutual_information(x, y, **how)
    found = m.estimate_mutual_information(x, y, method=method, **how)
    assert (found.p_value, found.adjusted) == (plain.p_value, plain.adjusted)
    assert found.value != plain.value


def test_a_corrected_value_may_be_below_0():
    """Two columns of no relation at all: the correction takes (1 + 1 - 3) / 2N, and stays."""
    x, y = np.divmod(np.arange(80) % 4, 2)
    with pytest.warns(UserWarning, match="below 0"):
        found = m.estimate_mutual_information(x, y, method="miller_madow")
    assert found.value == pytest.approx(-1 / 160, rel=1e-9)
    assert m.estimate_mutual_information(x, y).value == pytest.approx(0, abs=1e-15)
    assert m.estimate_mutual_information(x, y, method="shrinkage").value >= 0


def test_the_error_of_conditional_information_is_that_of_its_rows():
    rng = np.random.default_rng(5)
    x, y, z = (rng.integers(0, k, 90) for k in (3, 2, 4))
    x = (x + z + y) % 3
    rows = list(zip(x.tolist(), y.tolist(), z.tolist(), strict=True))

    def share(*keep):
        own = [tuple(row[k] for k in keep) for row in rows]
        return np.array([own.count(one) / len(rows) for one in own])

    terms = np.log(share(0, 1, 2) * share(2) / (share(0, 2) * share(1, 2)))
    found = m.estimate_mutual_information(x, y, given=z)
    assert found.value == pytest.approx(terms.mean(), rel=1e-12)
    assert found.standard_error == pytest.approx(terms.std() / np.sqrt(90), rel=1e-12)


def test_a_base_below_1_ranks_as_any_other():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 60)
    table = {f"c{i}": np.where(rng.random(60) < i / 5, y, 0) for i in (3, 1, 5, 2)} | {"y": y}
    found = [m.rank_features(table, "y", base=base) for base in (2, 0.5)]
    assert [one.name for one in found[0]] == [one.name for one in found[1]]
    assert found[0][0].name == "c5"
    assert [one.score for one in found[1]] == [-one.score for one in found[0]]


def test_the_row_without_a_class_is_counted_from_the_start_of_the_file():
    pieces = [{"x": [1, 2, 3], "y": ["a", "b", "a"]}, {"x": [4, 5], "y": ["a", None]}]

    def batches():
        return (pd.DataFrame(piece) for piece in pieces)

    for table in (batches, pd.concat(batches(), ignore_index=True)):
        with pytest.raises(ValueError, match="got a missing one in row 4"):
            m.rank_features(table, "y")
    pieces[0] = {"x": [1, 2, 3], "y": ["a", None, "a"], "w": [1.0, 0.0, 2.0]}
    pieces[1] = {"x": [4, 5, 6], "y": ["a", None, None], "w": [1.0, 0.0, 1.0]}
    for table in (batches, pd.concat(batches(), ignore_index=True)):
        with pytest.raises(ValueError, match="got a missing one in row 5"):
            m.rank_features(table, "y", weights="w")


def test_levels_that_came_stand_in_the_order_of_their_rows():
    old, new = ["a"] * 6 + ["c"] * 1 + ["d"] * 3, ["a"] * 4 + ["x"] * 1 + ["y"] * 3 + ["z"] * 2
    (found,) = m.drift({"v": old}, {"v": new})
    assert found.new_levels == ("y", "z", "x")
    assert found.gone_levels == ("d", "c")
    assert (found.new, found.gone) == (pytest.approx(0.6), pytest.approx(0.4))


@pytest.mark.parametrize("rows", [(400_000, 40_000), (40_000, 400_000)])
def test_the_error_of_a_normal_divergence_is_that_of_the_delta_method(rows):
    """D(P‖Q) of normals by the means and variances, of which normal samples say so much."""
    rng = np.random.default_rng(7)
    n, k, (mean, s, t) = *rows, (0.5, 1.5, 0.8)
    x, y = rng.normal(mean, s, n), rng.normal(0, t, k)
    by_mean, by_s = mean / t**2, 0.5 / t**2 - 0.5 / s**2
    by_t = 0.5 / t**2 - 0.5 * (s**2 + mean**2) / t**4
    spread = by_mean**2 * (s**2 / n + t**2 / k)
    spread += by_s**2 * 2 * s**4 / n + by_t**2 * 2 * t**4 / k
    found = m.estimate_kl_divergence(x, y, method="normal")
    assert found.value == pytest.approx(
        math.log(t / s) + 0.5 * (s**2 + mean**2) / t**2 - 0.5, rel=0.1
    )
    assert found.standard_error == pytest.approx(math.sqrt(spread), rel=0.05)
    # The cross-entropy lacks the entropy of x, whose variance has a part of its own.
    spread += (0.25 / t**4 - by_s**2) * 2 * s**4 / n
    found = m.estimate_cross_entropy(x, y, method="normal")
    assert found.standard_error == pytest.approx(math.sqrt(spread), rel=0.05)


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_zeros_of_one_row_among_others(library):
    """Infinite where a possible outcome is excluded, even one of several; order 0 counts."""
    p = np.array([[0.5, 0.5, 0.0], [0.5, 0.25, 0.25]])
    q = np.array([[0.75, 0.0, 0.25], [0.25, 0.5, 0.25]])
    if library == "torch":
        p, q = torch.from_numpy(p), torch.from_numpy(q)
    elif library == "jax":
        jnp = pytest.importorskip("jax.numpy")
        p, q = jnp.asarray(p), jnp.asarray(q)
    assert_allclose(np.asarray(m.f_divergence(p, q, "chi_square")), [math.inf, 0.375], rtol=1e-6)
    assert_allclose(np.asarray(m.tsallis_entropy(p, 0)), [1.0, 2.0], rtol=1e-6)


def test_a_value_far_from_a_grid_leaves_it_one():
    """Whole tenths are on a grid without any two alike; one at a million says nothing of it."""
    tenths = np.arange(40) / 10
    assert has_ties(tenths)
    assert has_ties(np.append(tenths, 1e6))
    assert not has_ties(np.random.default_rng(0).normal(size=40))
    # Of gaps that are mostly a hundred thousand times the least, none tells.
    assert not has_ties(np.append(1e7 * np.arange(40), 1.0))


@pytest.mark.parametrize("base", [0.5, 0.1])
def test_an_error_has_no_sign_in_a_base_below_1(base):
    """The value turns its sign with the logarithm; how far it varies does not."""
    x, y = "aababcab", "abbabbcc"
    for estimate in (
        lambda base: m.estimate_entropy(x, base=base),
        lambda base: m.estimate_mutual_information(x, y, base=base),
        lambda base: m.estimate_kl_divergence(x, y, base=base),
    ):
        found, want = estimate(base), estimate(1 / base)
        assert found.value == pytest.approx(-want.value, rel=1e-12)
        assert found.standard_error == pytest.approx(want.standard_error, rel=1e-12)
        assert found.low < found.value < found.high


@pytest.mark.parametrize("divergence", [True, False])
def test_the_error_of_a_symbol_that_the_model_lacks_is_that_of_one_seen_once(divergence):
    n, k = np.array([4, 3, 2, 1]), np.array([5, 0, 3, 0])
    x, y = (np.repeat(np.arange(4), counts) for counts in (n, k))
    cost = digamma(8 + 1) - digamma(k + 1)
    terms = cost - digamma(10) + digamma(n) if divergence else cost
    value = (n / 10) @ terms
    first = (n / 10) @ (terms - value) ** 2 / 10
    second = ((n / 10) ** 2 / (np.array([5, 1, 3, 1]) / 8)).sum() - 1
    estimate = m.estimate_kl_divergence if divergence else m.estimate_cross_entropy
    found = estimate(x, y, method="zhang_grabchak")
    assert found.value == pytest.approx(value, rel=1e-12)
    assert found.standard_error == pytest.approx(math.sqrt(first + second / 8), rel=1e-12)


def test_neighbours_beside_a_place_of_many_rows_by_a_slow_loop():
    """Rows at one place are told by its shares, all others by distances, with n - 1 of x's rows."""
    luck = np.random.default_rng(2)
    x = np.append(np.zeros(9), luck.normal(2, 1, 12))
    y = np.append(np.zeros(4), luck.normal(2, 1.5, 17))
    total = 9 * math.log((9 / 21) / (4 / 21))
    for i in range(9, 21):
        near = sorted(abs(x[i] - x[j]) for j in range(21) if j != i)[2]
        far = sorted(abs(x[i] - y))[2]
        total += math.log(far / near) + math.log(21 / 20)
    found = m.estimate_kl_divergence(x, y, method="nearest_neighbors")
    assert not found.noise
    assert found.value == pytest.approx(total / 21, rel=1e-12)


def test_a_shuffle_keeps_every_pair_of_what_is_given_apart():
    """Where two columns fix y, and neither alone does, nothing is left to shuffle."""
    luck = np.random.default_rng(0)
    a, b, x = luck.integers(0, 2, 200), luck.integers(0, 5, 200), luck.integers(0, 3, 200)
    y = (2 * a + b) % 2 ^ (b > 1)
    found = m.estimate_mutual_information(x, y, given=[a, b], permutations=9, rng=0)
    assert (found.value, found.adjusted, found.p_value) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("base", [math.e, 2, 10])
def test_the_bound_of_a_warning_is_in_the_unit_of_its_value(base, monkeypatch):
    luck = np.random.default_rng(1)
    x, y = np.round(luck.normal(size=300)), luck.normal(size=300)
    real = _of_numbers.ksg
    monkeypatch.setattr(_of_numbers, "ksg", lambda *a: real(*a) + 3.0)
    counts = np.unique(x, return_counts=True)[1]
    bound = (digamma(300) - counts @ digamma(counts) / 300) / math.log(base)
    with pytest.warns(UserWarning, match=rf"is above {re.escape(f'{bound:.4g}')}, the entropy of"):
        m.estimate_mutual_information(x, y, method="ksg", base=base)


def test_sums_over_a_few_outcomes_are_exact():
    """Of given numbers the measures are sums, whose errors are those of rounding alone."""
    p = stats.rv_discrete(values=([1, 2, 5], [0.5, 0.25, 0.25]))
    found = m.entropy(p, base=2)
    assert (float(found), found.error) == (1.5, 0.0)


@pytest.mark.parametrize("neighbors", [0, -1, 2.5])
def test_no_neighbour_before_the_first(neighbors):
    x, y = np.random.default_rng(0).normal(size=(2, 20))
    for call in (
        lambda: m.estimate_entropy(x, method="kozachenko_leonenko", neighbors=neighbors),
        lambda: m.estimate_mutual_information(x, y, method="ksg", neighbors=neighbors),
        lambda: m.estimate_kl_divergence(x, y, method="nearest_neighbors", neighbors=neighbors),
    ):
        with pytest.raises((ValueError, TypeError), match="`neighbors` must be an integer"):
            call()


def test_of_many_levels_that_came_the_ten_of_most_rows_are_named():
    times = [3, 1, 7, 9, 2, 12, 4, 8, 6, 11, 5, 10]
    new = [f"n{k}" for k, n in enumerate(times) for _ in range(n)]
    (found,) = m.drift({"v": new}, {"v": ["o"] * 5})
    most = sorted(range(12), key=lambda k: -times[k])[:10]
    assert found.gone_levels == tuple(f"n{k}" for k in most)
    assert found.gone == 1.0


def test_chance_of_numbers_that_nothing_cuts_is_that_of_their_gaps():
    """What is missing tells something by chance: its mean over shuffles is hypergeometric."""
    rng = np.random.default_rng(6)
    x, y = np.full(40, 2.5), rng.integers(0, 3, 40)
    x[rng.permutation(40)[:12]] = np.nan
    table = pd.DataFrame({"x": x, "y": y})
    (found,) = m.rank_features(table, "y", missing="symbol", permutations=100, rng=1)
    chance = told = 0.0
    for gap in (True, False):
        for k in range(3):
            a, b = int((np.isnan(x) == gap).sum()), int((y == k).sum())
            n = np.arange(1, min(a, b) + 1)
            p = stats.hypergeom(40, a, b).pmf(n)
            chance += float((p * n / 40 * np.log(40 * n / (a * b))).sum())
            seen = int(((np.isnan(x) == gap) & (y == k)).sum())
            told += seen / 40 * math.log(40 * seen / (a * b)) if seen else 0.0
    assert_allclose(found.score, told, rtol=1e-12)
    # The shuffled values vary by about their own mean: 100 of them by a tenth of it.
    assert found.adjusted == pytest.approx(told - chance, abs=0.4 * chance)


def test_numbers_with_gaps_tell_what_gaps_and_numbers_tell():
    """I(gap; class) + P(no gap) I(number; class | no gap), the latter by Ross's sums (2014)."""
    rng = np.random.default_rng(8)
    y = rng.integers(0, 2, 40)
    x = 2.0 * y + rng.normal(size=40)
    x[rng.permutation(40)[:15]] = np.nan
    (found,) = m.rank_features(pd.DataFrame({"x": x, "y": y}), "y", numeric="ksg")
    known = ~np.isnan(x)
    gaps = stats.entropy(np.bincount(known) / 40) + stats.entropy(np.bincount(y) / 40)
    gaps -= stats.entropy(np.bincount(2 * known + y) / 40)
    a, b, terms = x[known], y[known], []
    for i in range(len(a)):
        away = np.abs(np.delete(a, i) - a[i])
        mine = np.sort(away[np.delete(b, i) == b[i]])
        within = (away <= mine[2]).sum()
        terms.append(digamma(len(a)) + digamma(3) - digamma(len(mine) + 1) - digamma(within))
    assert 0 < np.mean(terms) < stats.entropy(np.bincount(b) / len(b))
    assert_allclose(found.score, gaps + known.mean() * np.mean(terms), rtol=1e-12)


def test_each_table_of_a_drift_has_its_own_weights():
    """The first for the reference, the second for what came after; by shares of weight."""
    old, new = list("aabbbc"), list("abbd")
    mine, theirs = np.array([1.0, 2, 3, 1, 1, 2]), np.array([4.0, 1, 2, 3])
    (found,) = m.drift({"x": old}, {"x": new}, weights=(mine, theirs))
    p, q = (
        np.array([w[np.array(x) == s].sum() for s in "abcd"]) / w.sum()
        for x, w in ((old, mine), (new, theirs))
    )
    assert_allclose(found.js, jensenshannon(p, q) ** 2, rtol=1e-12)
    assert_allclose(found.hellinger, math.sqrt(1 - np.sqrt(p * q).sum()), rtol=1e-12)
    assert_allclose(found.total_variation, np.abs(p - q).sum() / 2, rtol=1e-12)
    assert_allclose((found.new, found.gone), (q[3], p[2]), rtol=1e-12)
    more = 0.5 / min(mine.sum(), theirs.sum())
    p, q = ((s + more) / (1 + more * 4) for s in (p, q))
    assert_allclose(found.kl, (q * np.log(q / p)).sum(), rtol=1e-12)


@pytest.mark.parametrize("measure", [m.kl_divergence, m.cross_entropy])
def test_a_product_is_as_exact_as_its_parts_together(measure):
    """The method is the least exact of theirs, the error the sum of all."""
    d = torch.distributions

    def of(kind, *parameters):
        each = [kind(*one) for one in zip(*parameters, strict=True)]
        whole = kind(*parameters)
        return each, d.Independent(whole, 1)

    def row(*numbers):
        return torch.tensor(numbers, dtype=torch.float64)

    for kind, mine, theirs in (
        (d.StudentT, (row(3, 5),), (row(4, 9),)),
        (d.Binomial, (row(3, 4), row(0.3, 0.4)), (row(3, 5), row(0.5, 0.2))),
        (d.Binomial, (row(4, 3), row(0.4, 0.3)), (row(5, 3), row(0.2, 0.5))),
    ):
        (p, whole), (q, other) = of(kind, *mine), of(kind, *theirs)
        parts = [measure(a, b) for a, b in zip(p, q, strict=True)]
        found = measure(whole, other)
        methods = ("closed form", "sum", "quadrature")
        assert found.method == max((one.method for one in parts), key=methods.index)
        assert_allclose(found.error, sum(one.error for one in parts), rtol=1e-6)
        assert_allclose(found, sum(parts), rtol=1e-12)
    methods = {m.kl_divergence(a, b).method for a, b in zip(p, q, strict=True)}
    assert methods == {"closed form", "sum"}


@pytest.mark.parametrize("side", ["model", "truth", "both"])
def test_a_place_of_many_rows_of_either_sample_is_a_symbol(side):
    """There the log of its shares, elsewhere that of the distances: by a slow loop."""
    luck = np.random.default_rng(4)
    x, y = luck.normal(size=12), luck.normal(size=17)
    place = x[4]
    if side != "truth":
        y = np.concatenate([y, [place] * 3])
    if side != "model":
        x = np.concatenate([x, [place] * 3])
        y = np.concatenate([y, [place]])
    terms = []
    for i, row in enumerate(x):
        own = np.sort(np.abs(np.delete(x, i) - row))[2]
        far = np.sort(np.abs(y - row))[2]
        if own == 0 or far == 0:
            terms.append(math.log((x == row).mean() / (y == row).mean()))
        else:
            terms.append(math.log(far / own) + math.log(len(y) / (len(x) - 1)))
    found = m.estimate_kl_divergence(x, y, method="nearest_neighbors")
    assert_allclose(found.value, np.mean(terms), rtol=1e-10)
    assert not found.noise


@pytest.mark.parametrize(
    ("value", "error", "bounds", "said"),
    [
        (-0.29, 0.1, {}, None),
        (-0.31, 0.1, {}, "3.1 standard errors below 0"),
        (-1e-10, 0.0, {}, None),
        (-1e-3, 0.0, {}, "more than its error below 0"),
        (0.5, 0.1, {"x": 0.5, "y": 0.7}, None),
        (0.6, 0.1, {"x": 0.7, "y": 0.5}, "above 0.5, the entropy of `y`"),
        (0.8, 0.1, {"x": 0.7, "y": 0.75}, "above 0.7, the entropy of `x`"),
    ],
)
def test_how_far_an_information_may_be_off(value, error, bounds, said):
    """Three errors below 0; nothing at all above the smaller entropy."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        doubt("It is", value, error, bounds, 1.0)
    told = [str(w.message) for w in caught]
    assert told == [] if said is None else len(told) == 1 and said in told[0]


@pytest.mark.parametrize("method", ["kde", "kde_resubstitution"])
def test_a_kernel_where_most_values_are_one(method):
    """Silverman's width takes the deviation where the quartiles are one value: by a double loop."""
    x = np.array([2.0] * 9 + [1.7, 2.6, 3.1, 2.45])
    assert np.diff(np.quantile(x, [0.25, 0.75])) == 0
    width = 0.9 * x.std(ddof=1) * len(x) ** -0.2
    terms = []
    for i, row in enumerate(x):
        near = stats.norm.pdf(row, np.delete(x, i) if method == "kde" else x, width)
        terms.append(-math.log(near.mean()))
    found = m.estimate_entropy(x, method=method)
    assert_allclose(found.value, np.mean(terms), rtol=1e-10)
    assert_allclose(found.standard_error, np.std(terms) / math.sqrt(len(x)), rtol=1e-9)


def test_numbers_beyond_floats_have_their_sign():
    for many, said in ((10**400, "inf"), (-(10**400), "-inf")):
        with pytest.raises(ValueError, match=rf"`x` must be finite, got {said} at \[1\]"):
            m.estimate_entropy([0.5, many, 2.0, 3.0, 1.0], method="vasicek")


@pytest.mark.parametrize("method", ["plugin", "miller_madow", "jackknife", "chao_shen"])
def test_a_symbol_that_a_counter_counts_0_times_is_none(method):
    counted = Counter(a=3, b=0, c=1)
    want = m.estimate_entropy(list("aaac"), method=method)
    assert m.estimate_entropy(counted, method=method) == want
    assert m.estimate_entropy(m.Counts([3, 0, 1]), method=method) == want
    two = m.estimate_kl_divergence(counted, Counter(a=1, b=2, c=1))
    assert two == m.estimate_kl_divergence(list("aaac"), list("abbc"))


def test_columns_drift_in_one_order_in_every_base():
    old = {"most": list("aaaa"), "little": list("aabb"), "none": list("abab")}
    new = {"most": list("bbbb"), "little": list("abbb"), "none": list("baab")}
    for base in (2, math.e, 0.5):
        found = m.drift(old, new, base=base)
        assert [f.name for f in found] == ["most", "little", "none"]
        assert math.copysign(1, found[0].js) == (1 if base > 1 else -1)
        assert_allclose(found[0].js, math.log(2) / math.log(base))


def test_which_column_has_too_few_rows():
    x, z = [0, 1, 0, 1, 0], [0.1, 2, 3.3, 4, 0.7]
    for call, name in (
        (lambda: m.estimate_mutual_information(x, x[:4]), "y"),
        (lambda: m.estimate_mutual_information(x, x, given=x[:4]), "given"),
        (lambda: m.estimate_entropy(x, given=[x, x[:4]]), r"given\[1\]"),
        (lambda: m.estimate_mutual_information(x, z[:4], method="ross"), "y"),
        (lambda: m.estimate_mutual_information(z, z[:4], method="ksg"), "y"),
        (lambda: m.estimate_mutual_information(z, z, given=z[:4], method="ksg"), "given"),
    ):
        with pytest.raises(ValueError, match=rf"`{name}` must have the 5 rows of `x`, got 4"):
            call()


@pytest.mark.parametrize("row", range(4))
def test_a_bad_entry_of_a_sparse_row_is_named_by_its_place(row):
    """Also the first of its row, behind rows of nothing."""
    table = np.zeros((4, 3))
    table[:, 1] = 1.0
    table[1] = 0.0 if row != 1 else table[1]
    table[row, 0] = -2.0
    with pytest.raises(ValueError, match=rf"`p` must be non-negative, got -2 at \[{row}, 0\]"):
        m.entropy(m.Counts(sparse.csr_array(table)))


@pytest.mark.parametrize("counts", [[1], [1, 1, 1], [1, 1, 2], [3, 1], [4, 2]])
def test_coverage_of_a_sample_without_repeats(counts):
    """As R's entropy.ChaoShen: where all are singletons one of them counts as seen twice."""
    n, once = sum(counts), counts.count(1)
    shares = [(1 - (n - 1 if once == n else once) / n) * c / n for c in counts]
    want = -sum(p * math.log(p) / (1 - (1 - p) ** n) for p in shares if 0 < p < 1)
    found = m.estimate_entropy(np.repeat(np.arange(len(counts)), counts), method="chao_shen")
    assert_allclose(found.value, want, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("counts", [[1], [2], [1, 1], [1, 2]])
def test_jackknife_of_very_few_rows(counts):
    """n H less (n - 1) times the mean of what is left without each row."""

    def plugin(c):
        shares = np.array([k for k in c if k]) / max(1, sum(c))
        return -(shares * np.log(shares)).sum()

    n = sum(counts)
    left = [plugin([k - (i == j) for j, k in enumerate(counts)]) for i in range(len(counts))]
    want = n * plugin(counts) - (n - 1) / n * sum(k * h for k, h in zip(counts, left, strict=True))
    found = m.estimate_entropy(np.repeat(np.arange(len(counts)), counts), method="jackknife")
    assert_allclose(found.value, want if n > 1 else 0.0, rtol=1e-12, atol=1e-15)


def shrunken(counts):
    """James and Stein's entropy as Hausser and Strimmer (2009) write it, over what was seen."""
    n, k = sum(counts), len(counts)
    p = [c / n for c in counts]
    far = sum((1 / k - share) ** 2 for share in p)
    towards = 1.0 if not far else (1 - sum(s * s for s in p)) / ((n - 1) * far)
    towards = min(1.0, max(0.0, towards))
    q = [towards / k + (1 - towards) * share for share in p]
    return -sum(s * math.log(s) for s in q)


def test_shrunken_information_is_never_below_0():
    """The table of both shrinks more than each alone, so that their sum may be less."""
    luck, below = np.random.default_rng(11), 0
    for _ in range(30):
        x, y = luck.integers(0, 3, 12), luck.integers(0, 2, 12)
        parts = [
            list(Counter(z).values()) for z in (x.tolist(), y.tolist(), zip(x, y, strict=True))
        ]
        want = shrunken(parts[0]) + shrunken(parts[1]) - shrunken(parts[2])
        below += want < -1e-6
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = m.estimate_mutual_information(x, y, method="shrinkage")
        assert_allclose(found.value, max(0.0, want), atol=1e-12)
    assert below > 2


def test_columns_that_tell_the_same_stand_as_in_the_table():
    """However they were asked for."""
    table = {"a": [0, 1, 0, 1], "y": ["p", "q", "p", "q"], "b": [1, 0, 1, 0], "c": [5, 7, 5, 7]}
    for columns in (None, ["c", "b", "a"], ["b", "c", "a"], ["a", "b", "c"]):
        assert [f.name for f in m.rank_features(table, "y", columns=columns)] == ["a", "b", "c"]


@pytest.mark.parametrize("axis", [(2, 0), (0, 2), (1, 0), (-1, 0, 1), (1,), 0])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_bad_entry_is_named_where_it_stands(axis, library):
    """In the order of the array's own axes, whatever the order of the outcomes'."""
    for place in ((1, 2, 3), (0, 1, 2), (1, 0, 3)):
        p = np.full((2, 3, 4), 0.25)
        p[place] = -1.0
        given = torch.from_numpy(p) if library == "torch" else p
        with pytest.raises(ValueError, match=rf"non-negative, got -1 at \[{place[0]}, {place[1]}, {place[2]}\]"):  # fmt: skip
            m.entropy(given, axis=axis)


@pytest.mark.parametrize("average", ["arithmetic", "geometric", "min", "max", "joint"])
@pytest.mark.parametrize("library", ["numpy", "torch", "sparse"])
def test_what_shared_information_is_a_share_of(average, library):
    """Of columns that differ in their entropy: scikit-learn's four means, and the entropy of both."""
    x, y = [0, 0, 1, 1, 2, 2, 3, 0], [0, 0, 0, 1, 1, 1, 1, 0]
    table = np.histogram2d(x, y, [4, 2])[0]
    if average == "joint":
        p = table[table > 0] / 8
        want = m.mutual_information(table / 8) / -(p * np.log(p)).sum()
    else:
        want = normalized_mutual_info_score(x, y, average_method=average)
    for given in (table, table.T):
        held = {"numpy": given, "torch": torch.from_numpy(given.copy()),
                "sparse": sparse.csr_array(given)}[library]  # fmt: skip
        found = m.normalized_mutual_information(m.Counts(held), average=average)
        assert_allclose(float(found), want, rtol=1e-9)
