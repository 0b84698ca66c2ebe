"""Ranking and drift of tables: Quinlan's table, slow versions, other libraries, hostile tables."""

import datetime
import math
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import mutual_info_score

from xent.measures import (
    Counts,
    drift,
    gain_ratio,
    gini,
    information_gain,
    mutual_information,
    rank_features,
    symmetric_uncertainty,
)
from xent.measures.tables._bins import bin_of, mdl_cuts, quantile_cuts

OUTLOOK = "sun sun cloud rain rain rain cloud sun sun rain sun cloud cloud rain"
TEMPERATURE = "hot hot hot mild cool cool cool mild cool mild mild mild hot mild"
HUMIDITY = "high high high high normal normal normal high normal normal normal high normal high"
WINDY = [False, True, False, False, False, True, True, False, False, False, True, True, False, True]
PLAY = ["no", "no", "yes", "yes", "yes", "no", "yes", "no", "yes", "yes", "yes", "yes", "yes", "no"]
WEATHER = {
    "outlook": OUTLOOK.split(),
    "temperature": TEMPERATURE.split(),
    "humidity": HUMIDITY.split(),
    "windy": WINDY,
    "play": PLAY,
}
FRAMES = [pd.DataFrame, pl.DataFrame, pa.table]


def shares(name):
    return Counts.from_samples(WEATHER[name], given=PLAY)


# ------------------------------------------------------------------ ranking


@pytest.mark.parametrize("frame", FRAMES)
def test_quinlans_table(frame):
    found = rank_features(frame(WEATHER), "play", base=2)
    assert [f.name for f in found] == ["outlook", "humidity", "windy", "temperature"]
    assert [round(f.score, 3) for f in found] == [0.247, 0.152, 0.048, 0.029]
    assert [f.levels for f in found] == [3, 2, 2, 3]


@pytest.mark.parametrize("score", ["information_gain", "gain_ratio", "symmetric_uncertainty"])
def test_scores_are_the_functions_of_their_names(score):
    function = {
        "information_gain": information_gain,
        "gain_ratio": gain_ratio,
        "symmetric_uncertainty": symmetric_uncertainty,
    }[score]
    for found in rank_features(pd.DataFrame(WEATHER), "play", score=score):
        assert_allclose(found.score, function(shares(found.name)), rtol=1e-12)


def test_gini_is_the_fall_of_impurity():
    for found in rank_features(pd.DataFrame(WEATHER), "play", score="gini"):
        table = shares(found.name).values
        parts = table.sum(1) / table.sum()
        fall = gini(Counts(table.sum(0))) - float((parts * gini(Counts(table))).sum())
        assert_allclose(found.score, fall, rtol=1e-12)


def test_information_gain_is_mutual_information():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 3000)
    x = np.where(rng.random(3000) < 0.4, y, rng.integers(0, 40, 3000))
    (found,) = rank_features(pl.DataFrame({"x": x.astype(str), "y": y}), "y")
    assert_allclose(found.score, mutual_info_score(x, y), rtol=1e-12)
    assert_allclose(found.score, mutual_information(Counts.from_samples(x, given=y)), rtol=1e-12)


def test_many_symbols_are_counted_without_a_table():
    ids = np.arange(3000)
    table = pl.DataFrame({"x": ids.astype(str), "y": [f"class {i // 2}" for i in ids]})
    for score, value in (("information_gain", math.log(1500)), ("gini", 1 - 1 / 1500)):
        (found,) = rank_features(table, "y", score=score)
        assert_allclose(found.score, value, rtol=1e-12)


def test_a_unique_id_tells_nothing():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 200)
    table = pd.DataFrame({"id": [f"row {i}" for i in range(200)], "number": range(200), "y": y})
    table["copy"] = np.where(rng.random(200) < 0.9, y, 1 - y).astype(str)
    assert rank_features(table, "y")[0].name == "id"
    ranked = rank_features(table, "y", permutations=99, rng=0)
    found = {f.name: f for f in ranked}
    assert ranked[0].name == "copy"
    assert found["copy"].p_value == 0.01
    assert found["id"].p_value == 1.0
    assert abs(found["id"].adjusted) < 1e-12
    assert found["number"].p_value > 0.05


def test_every_shuffled_column_is_cut_anew():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 60)
    x = 1.5 * y + rng.normal(size=60)
    (found,) = rank_features(pd.DataFrame({"x": x, "y": y}), "y", permutations=99, rng=0)
    order = np.argsort(x)
    shuffles = np.random.default_rng(0).permuted(np.tile(y[order], (99, 1)), axis=1)
    null = [
        rank_features(pd.DataFrame({"x": x[order], "y": shuffled}), "y")[0].score
        for shuffled in shuffles
    ]
    assert any(null)
    assert found.score > 0.1
    assert_allclose(found.adjusted, found.score - np.mean(null))
    assert found.p_value == (1 + sum(score >= found.score for score in null)) / 100


@pytest.mark.grid
@pytest.mark.parametrize("kind", ["numbers", "gaps", "names", "ties", "weights"])
def test_shuffles_of_a_file_and_of_a_frame_are_alike(kind, tmp_path):
    rng = np.random.default_rng(4)
    y = rng.integers(0, 3, 90)
    x = np.round(y + rng.normal(size=90), 0 if kind in ("names", "ties") else 3)
    table = pd.DataFrame({"x": x, "w": 1 + rng.integers(0, 2, 90), "y": y})
    if kind == "gaps":
        table.loc[y == 1, "x"] = np.nan
    if kind == "names":
        table["x"] = [f"level {v}" for v in x]
    weights = "w" if kind == "weights" else None
    table.to_parquet(tmp_path / "t.parquet")
    ranked = [
        rank_features(t, "y", columns=["x"], weights=weights, permutations=400, rng=0)[0]
        for t in (table, tmp_path / "t.parquet")
    ]
    assert ranked[0].p_value == ranked[1].p_value == 1 / 401
    # One by one, each cut from the beginning.
    null = []
    for _ in range(400):
        moved = table.assign(x=table["x"].to_numpy()[rng.permutation(90)])
        if weights is not None:
            moved["w"] = table["w"]
        null.append(rank_features(moved, "y", columns=["x"], weights=weights)[0].score)
    error = 5 * np.std(null) / 20 + 1e-12
    for found in ranked:
        assert abs(found.score - found.adjusted - np.mean(null)) < error


def test_a_target_of_numbers_is_cut_at_quantiles(tmp_path):
    rng = np.random.default_rng(5)
    x = rng.normal(size=2000)
    table = pd.DataFrame({"x": x, "noise": rng.normal(size=2000), "price": 1000 + 300 * x})
    price = table["price"].round(2)
    table = table.assign(price=price)
    table.to_csv(tmp_path / "t.csv", index=False)
    found = [rank_features(t, "price", target_bins=4, base=2) for t in (table, tmp_path / "t.csv")]
    assert found[0] == found[1]
    assert [f.name for f in found[0]] == ["x", "noise"]
    # The column says all that four equally frequent bins ask; the cut falls between rows.
    assert abs(found[0][0].score - 2) < 0.05
    quarters = pd.qcut(price, 4, labels=list("abcd"))
    assert_allclose(
        found[0][0].score, rank_features(table.assign(price=quarters), "price", base=2)[0].score
    )
    with pytest.raises(ValueError, match="`target` must hold numbers where it is cut"):
        rank_features(table.assign(price="a"), "price", target_bins=4)
    with pytest.warns(UserWarning, match="2,000 whole numbers .* pass target_bins=10"):
        rank_features(table.assign(price=rng.permutation(2000) // 1), "price")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["1", "2", "?", "4.5"],
            "numbers in 3 of 4 rows of 'x', .* because of '\\?'. If '\\?' means",
        ),
        (["63%", "5 %", "0.5%"], "percentages in 3 of 3 rows .* Take the sign % away"),
        (["$5", "$6.50", "7 €"], "amounts of money in 3 of 3"),
        (["1,234", "2,000,000.5", "12,345"], "numbers with commas between thousands"),
        (["1,5", "2,25", "3,0"], "numbers in 3 of 3 .* If its decimals are commas"),
        (["31/12/2025", "01/02/2026", "?"], "dates in 2 of 3 rows"),
        (["31.12.25", "01.02.26 10:00", "x"], "dates in 2 of 3 rows"),
    ],
)
def test_text_that_was_hardly_meant_to_be_names(words, sentence, tmp_path):
    table = pd.DataFrame({"x": words * 2, "y": ["a", "b"] * len(words)})
    sentence = sentence.replace("in 3 of 4", "in 6 of 8").replace("of 3", "of 6")
    sentence = sentence.replace("in 3", "in 6").replace("in 2", "in 4")
    with pytest.warns(UserWarning, match=f"`table` has {sentence}"):
        rank_features(table, "y")
    with pytest.warns(UserWarning, match=sentence):
        drift(table, table)


def test_batches_from_a_function_are_a_file():
    rng = np.random.default_rng(6)
    table = pd.DataFrame({"x": rng.normal(size=300), "y": rng.integers(0, 2, 300)})

    def batches():
        yield table[:100]
        yield table[100:]

    assert rank_features(batches, "y") == rank_features(table, "y")
    assert drift(batches, table)[0].js == 0


def test_weights_are_rows():
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 120)
    table = pd.DataFrame({"x": y + rng.normal(size=120), "s": rng.integers(0, 4, 120).astype(str)})
    table["y"] = y
    weights = rng.integers(0, 4, 120)
    repeated = table.loc[np.repeat(np.arange(120), weights)]
    for score in ("information_gain", "gain_ratio", "symmetric_uncertainty", "gini"):
        one = rank_features(table, "y", score=score, weights=weights)
        other = rank_features(repeated, "y", score=score)
        assert [f.cuts for f in one] == [f.cuts for f in other]
        assert_allclose([f.score for f in one], [f.score for f in other], rtol=1e-10)


def test_missing_values():
    x = ["a", None, "b", None, "a", "b", "a", None]
    y = [0, 1, 0, 1, 0, 0, 0, 1]
    table = pl.DataFrame({"x": x, "y": y})
    (found,) = rank_features(table, "y")
    assert_allclose(found.score, mutual_info_score([str(v) for v in x], y))
    assert (found.levels, found.rows, found.missing) == (3, 8, 3)
    (found,) = rank_features(table, "y", missing="drop")
    assert (found.score, found.levels, found.rows, found.missing) == (0.0, 2, 5, 3)
    numbers = pl.DataFrame({"x": [math.nan, 1.0, None, 1.0] * 5, "y": [1, 0, 1, 0] * 5})
    (found,) = rank_features(numbers, "y", base=2)
    assert (found.score, found.levels, found.missing) == (1.0, 2, 10)
    target = pl.DataFrame({"x": ["a", "b", "b"], "y": [1, 0, None]})
    (found,) = rank_features(target, "y", missing="drop", base=2)
    assert (found.score, found.rows) == (1.0, 2)


@pytest.mark.parametrize("frame", FRAMES)
def test_dates_and_numbers_of_every_kind_are_cut(frame):
    n = 40
    day = (np.datetime64("2020-01-01") + np.arange(n)).astype("datetime64[us]")
    columns = {
        "day": day,
        "whole": np.arange(n, dtype=np.uint8),
        "half": np.arange(n) / 2,
        "time": [datetime.time(i // 6, 10 * (i % 6), 0, 1) for i in range(n)],
        "gaps": [None if i % 10 == 9 else float(i) for i in range(n)],
        "y": ["early"] * 20 + ["late"] * 20,
    }
    found = {f.name: f for f in rank_features(frame(columns), "y", base=2)}
    assert (found["time"].kind, found["time"].cuts) == ("times", (1.17e10 + 1,))
    assert [found[k].kind for k in ("day", "whole", "half", "gaps")] == ["dates"] + ["numbers"] * 3
    assert found["whole"].cuts == (19.5,)
    assert found["half"].cuts == (9.75,)
    assert found["day"].score == found["whole"].score == 1.0
    assert found["gaps"].missing == 4


def test_huge_and_tiny_weights_change_no_score():
    table = pd.DataFrame({"x": ["a", "a", "b", "b"] * 5, "y": [0, 1, 1, 1] * 5})
    for score in ("information_gain", "gain_ratio", "symmetric_uncertainty", "gini"):
        (plain,) = rank_features(table, "y", score=score)
        for size in (1e298, 1e-300):
            (found,) = rank_features(table, "y", score=score, weights=np.full(20, size))
            assert_allclose(found.score, plain.score, rtol=1e-12)


def test_names_of_columns_need_not_be_text():
    (found,) = rank_features(pd.DataFrame({0: ["a", "b"], 1: [0, 1]}), 1, base=2)
    assert (found.name, found.score) == (0, 1.0)


# ------------------------------------------------------------------ cuts


def entropy_of(labels):
    counts = np.unique(labels, return_counts=True)[1]
    p = counts / counts.sum()
    return float(-(p * np.log2(p)).sum())


def slow_cuts(pairs):
    """Fayyad and Irani's formulas, cut by cut."""
    values = sorted({v for v, _ in pairs})
    labels = [c for _, c in pairs]
    n, best = len(pairs), None
    for low, high in pairwise(values):
        cut = (low + high) / 2
        left = [c for v, c in pairs if v <= cut]
        right = [c for v, c in pairs if v > cut]
        cost = (len(left) * entropy_of(left) + len(right) * entropy_of(right)) / n
        if best is None or cost < best[0] - 1e-12:
            best = (cost, cut, left, right)
    if best is None:
        return []
    cost, cut, left, right = best
    k, k1, k2 = (len(set(part)) for part in (labels, left, right))
    delta = math.log2(3**k - 2) - (
        k * entropy_of(labels) - k1 * entropy_of(left) - k2 * entropy_of(right)
    )
    if not entropy_of(labels) - cost > (math.log2(n - 1) + delta) / n:
        return []
    return [
        *slow_cuts([p for p in pairs if p[0] <= cut]),
        cut,
        *slow_cuts([p for p in pairs if p[0] > cut]),
    ]


def test_cuts_are_fayyad_and_iranis():
    rng = np.random.default_rng(4)
    some = 0
    for trial in range(150):
        n, classes = int(rng.integers(2, 80)), int(rng.integers(1, 5))
        x = np.round(rng.normal(size=n), trial % 3)
        y = np.clip(np.round(x * rng.random() * 3 + rng.normal(size=n) * 0.4), 0, classes)
        y = np.unique(y, return_inverse=True)[1]
        expected = slow_cuts(list(zip(x.tolist(), y.tolist(), strict=True)))
        assert_allclose(mdl_cuts(x, y, np.ones(n)), expected)
        some += len(expected)
    assert some > 100


def test_cuts_lie_between_values_however_close_or_far():
    y = np.repeat([0, 1], 20)
    for low, high in [
        (1.0, np.nextafter(1.0, 2)),
        (-math.inf, math.inf),
        (1.0, math.inf),
        (-1.7e308, 1.7e308),
        (0.0, 5e-324),
    ]:
        cuts = mdl_cuts(np.where(y == 0, low, high), y, np.ones(40))
        assert len(cuts) == 1
        assert_allclose(bin_of(np.array([low, high]), cuts), [0, 1])


def test_quantile_cuts_have_equal_shares():
    x = np.random.default_rng(5).permutation(1000.0 + np.arange(1000))
    cuts = quantile_cuts(np.sort(x), np.ones(1000), 10)
    assert np.bincount(bin_of(x, cuts)).tolist() == [0] + [100] * 10
    assert bin_of(np.array([999.0, 2000.0]), cuts).tolist() == [0, 11]
    few = np.repeat(np.arange(7.0), [3, 1, 4, 1, 5, 9, 2])
    inner = np.quantile(few, [0.25, 0.5, 0.75], method="inverted_cdf")
    cuts = quantile_cuts(np.arange(7.0), np.array([3.0, 1, 4, 1, 5, 9, 2]), 4)
    assert cuts[1:-1] == inner.tolist()


# ------------------------------------------------------------------ drift


@pytest.mark.parametrize("frame", FRAMES)
def test_a_table_has_not_moved_from_itself(frame):
    table = frame({**WEATHER, "x": np.linspace(0, 1, 14), "gap": [None, 1.0] * 7})
    twice = frame({k: [*v, *v] for k, v in {**WEATHER, "x": np.linspace(0, 1, 14)}.items()})
    for found in drift(table, table, bootstrap=20, rng=0):
        assert found.js == found.kl == found.psi == found.low == 0
        assert found.new == found.gone == 0
    for found in drift(twice, table, columns=["x", "outlook"]):
        assert_allclose([found.js, found.kl, found.psi], 0, atol=1e-15)


def test_drift_by_hand():
    old = pd.DataFrame({"x": ["a"] * 6 + ["b"] * 3 + ["c"]})
    new = pd.DataFrame({"x": ["a"] * 2 + ["b"] * 2 + ["d"]})
    (found,) = drift(old, new, base=2)
    p, q = np.array([0.6, 0.3, 0.1, 0]), np.array([0.4, 0.4, 0, 0.2])
    assert_allclose(found.js, jensenshannon(p, q, base=2) ** 2)
    p, q = (p + 0.1) / 1.4, (q + 0.1) / 1.4  # half a row of five
    assert_allclose(found.kl, (q * np.log2(q / p)).sum())
    assert_allclose(found.psi, ((q - p) * np.log(q / p)).sum())
    assert (found.new, found.gone, found.levels) == (0.2, 0.1, 4)
    assert (found.new_levels, found.gone_levels) == (("d",), ("c",))


def test_tables_with_nothing_in_common_stay_finite():
    (found,) = drift(pl.DataFrame({"x": ["a"] * 3}), pl.DataFrame({"x": ["b"] * 4}), base=2)
    assert found.js == found.new == found.gone == 1.0
    assert math.isfinite(found.kl)
    assert math.isfinite(found.psi)
    assert found.psi > 1


def test_no_number_is_ever_nan():
    rng = np.random.default_rng(7)
    values = [None, math.nan, -math.inf, math.inf, 0.0, 5e-324, -1.7e308, 1.7e308, 1.0]
    for _ in range(200):
        old, new = (
            pl.DataFrame({"x": rng.choice(np.array(values, dtype=float), rng.integers(1, 6))})
            for _ in range(2)
        )
        (found,) = drift(old, new, bootstrap=3, rng=rng, bins=int(rng.integers(2, 12)))
        numbers = [found.js, found.kl, found.psi, found.new, found.gone, found.low, found.high]
        assert np.isfinite(numbers).all()
        assert min(numbers) >= 0
        assert found.js <= math.log(2) + 1e-15


def test_numbers_that_leave_the_range_of_a_constant_are_seen():
    old = pd.DataFrame({"x": [5.0] * 50})
    for value in (4.0, 6.0, -math.inf, math.inf):
        (found,) = drift(old, pd.DataFrame({"x": [value] * 50}), base=2)
        assert found.js == found.new == 1.0


def test_a_column_that_is_lost_to_nan_has_moved():
    old = pd.DataFrame({"x": np.arange(20.0), "s": list("ab") * 10})
    new = pl.DataFrame({"x": [math.nan] * 20, "s": [None] * 20})
    for found in drift(old, new, base=2):
        assert found.js == found.new == 1.0
    (found,) = drift(old[["s"]], new[["s"]])
    assert found.new_levels == (None,)
    none = pl.DataFrame({"x": [None] * 20})  # of no type at all
    assert drift(none, old[["x"]], base=2)[0].js == 1.0
    assert drift(old[["x"]], none, base=2)[0].js == 1.0


def test_the_interval_holds_no_drift_and_holds_drift():
    rng = np.random.default_rng(6)
    still = held = 0
    p, q = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.3, 0.3, 0.2, 0.2])
    truth = jensenshannon(p, q) ** 2
    for seed in range(60):
        old = pd.DataFrame({"x": rng.choice(list("abcd"), 500, p=p)})
        same = pd.DataFrame({"x": rng.choice(list("abcd"), 500, p=p)})
        new = pd.DataFrame({"x": rng.choice(list("abcd"), 500, p=q)})
        (a,) = drift(old, same, bootstrap=100, rng=seed)
        (b,) = drift(old, new, bootstrap=100, rng=seed)
        still += a.low < 1e-12
        held += b.low <= truth <= b.high
        assert a.low <= a.js <= a.high
        assert b.low > 0
    assert still >= 54
    assert held >= 52


# ------------------------------------------------------------------ refusals

X = pd.DataFrame({"x": ["a", "b"], "y": [0, 1]})
REFUSALS = [
    (
        lambda: rank_features([[1, 2]], "y"),
        "`table` must be a data frame in memory that narwhals reads (pandas, polars, Arrow, ...), got a list.",
    ),
    (
        lambda: rank_features(pl.LazyFrame({"x": [1]}), "x"),
        "`table` must be a data frame in memory that narwhals reads (pandas, polars, Arrow, ...), got a LazyFrame.",
    ),
    (
        lambda: rank_features(X, "z"),
        "`target` must name a column of the table, got 'z'. It has 'x' and 'y'.",
    ),
    (
        lambda: rank_features(X[["y"]], "y"),
        "`table` must have a column beside the target, got none.",
    ),
    (lambda: rank_features(X[:0], "y"), "`table` must have at least one row, got none."),
    (
        lambda: rank_features(X, "y", score="entropy"),
        "`score` must be 'information_gain', 'gain_ratio', 'symmetric_uncertainty' or 'gini', got 'entropy'.",
    ),
    (
        lambda: rank_features(X, "y", permutations=9),
        "`rng` must be a Generator or an integer of at least 0 for permutations, got None.",
    ),
    (
        lambda: rank_features(X, "y", weights=[1, math.nan]),
        "`weights` must be finite and non-negative, got nan at [1].",
    ),
    (lambda: rank_features(X, "y", weights=[0, 0]), "`weights` must have one above 0, got none."),
    (
        lambda: rank_features(X, "y", weights=[1]),
        "`weights` must be one number for each of the 2 rows, got shape (1,).",
    ),
    (
        lambda: rank_features(pl.DataFrame({"x": ["a", None], "y": [0, 1]}), "y", missing="refuse"),
        "`table['x']` must have a value in every row, got a missing one in 1 row. "
        'Pass missing="drop" or missing="symbol".',
    ),
    (
        lambda: rank_features(pl.DataFrame({"x": ["a", "b"], "y": [0, None]}), "y"),
        '`target` must have a class in every row, got a missing one in row 1. Pass missing="drop".',
    ),
    (
        lambda: rank_features(pd.DataFrame({"x": ["a", "b"], "y": [0.5, 1]}), "y"),
        "`target` must hold classes, got real numbers. "
        "To cut it at quantiles pass target_bins=10.",
    ),
    (
        lambda: rank_features(pl.DataFrame({"x": ["a", None], "y": [None, 1]}), "y", missing="drop"),
        "`x` cannot be ranked: no row has both it and the target. Pass missing=\"symbol\".",
    ),
    (
        lambda: drift(X, X[["x"]]),
        "`current` must have the columns to compare, got no 'y'. Pass columns= to compare some of them.",
    ),
    (
        lambda: drift(X[["x"]], X),
        "`current` must have the columns of `reference`, got 'y' more. Pass columns= to compare some of them.",
    ),
    (
        lambda: drift(X, X.assign(y=["0", "1"])),
        "The drift of 'y': numbers in one table and symbols in the other. Give the column one type in both.",
    ),
    (
        lambda: drift(X, X, bootstrap=5),
        "`rng` must be a Generator or an integer of at least 0 for bootstrap, got None.",
    ),
    (lambda: drift(X, X[:0]), "`current` must have at least one row, got none."),
    (
        lambda: drift(X, pl.DataFrame({"x": [None, None], "y": [1, 2]}), missing="drop"),
        "`current['x']` must have at least one value, got none.",
    ),
    (lambda: drift(X, X, bins=1), "`bins` must be an integer of at least 2, got 1."),
    (
        lambda: drift(X.set_axis(["x", "x"], axis=1), X),
        "`reference` must name each column once, got 'x' twice.",
    ),
    (
        lambda: rank_features(X.assign(x=[["a"], ["b"]]), "y"),
        "`table['x']` must hold hashable symbols, got a list at [0].",
    ),
    (
        lambda: rank_features(X, "y", weights=[1e308, 1e308]),
        "`weights` must have a sum of at most 1e+300, got inf.",
    ),
    (
        lambda: drift(X, X.assign(y=np.array(["2020-01-01", "2020-01-02"], dtype="M8[us]"))),
        "The drift of 'y': numbers in one table and dates in the other. Give the column one type in both.",
    ),
    (lambda: drift(X, X, columns="x"), "`columns` must be a list of names, got 'x'."),
    (lambda: rank_features(X, "y", columns="x"), "`columns` must be a list of names, got 'x'."),
    (
        lambda: rank_features(X, "y", columns=["y"]),
        "`columns` must name columns beside the target, got 'y'. There is 'x'.",
    ),
    (lambda: drift(X, X, columns=[]), "`columns` must name a column, got none."),
]  # fmt: skip


@pytest.mark.parametrize(("call", "sentence"), REFUSALS, ids=[s[:50] for _, s in REFUSALS])
def test_refusals(call, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value) == sentence


def test_some_columns_are_ranked_as_they_are_among_all():
    table = pd.DataFrame({"a": [1, 2, 3, 4], "b": list("uvuv"), "y": [0, 1, 0, 1]})
    both = {f.name: f for f in rank_features(table, "y")}
    assert rank_features(table, "y", columns=["b"]) == [both["b"]]


@pytest.mark.parametrize("unit", ["duration", "timestamp"])
def test_nanoseconds_are_told_apart(unit):
    start = 0 if unit == "duration" else 10**18
    x = pa.array([start + 1, start + 900, None] * 10, getattr(pa, unit)("ns"))
    table = pa.table({"x": x, "y": ["a", "b", "b"] * 10})
    (found,) = rank_features(table, "y", missing="drop", base=2)
    assert found.score == 1
    assert start / 1000 < found.cuts[0] < start / 1000 + 1


CODED = {
    "categories": lambda x: pd.DataFrame({"x": pd.Categorical(x, ["zz", "ü", "c", "b", "a"])}),
    "polars": lambda x: pl.DataFrame({"x": pl.Series(x, dtype=pl.Categorical)}),
    "Arrow": lambda x: pa.table({"x": pa.array(x).dictionary_encode()}),
    "chunks": lambda x: pa.table(
        {"x": pa.chunked_array([pa.array(part).dictionary_encode() for part in (x[:7], x[7:])])}
    ),
    "large": lambda x: pa.table({"x": pa.array(x, pa.large_string())}),
    "views": lambda x: pa.table({"x": pa.array(x, pa.string_view())}),
}


@pytest.mark.parametrize("kind", CODED)
def test_text_is_the_same_however_it_is_coded(kind):
    old, new = ["b", "a", None, "ü", "b", "b"] * 5, ["b", "c", None] * 7
    plain, coded = (lambda x: pd.DataFrame({"x": x})), CODED[kind]
    (one,), (other,) = drift(plain(old), plain(new)), drift(coded(old), coded(new))
    assert (one.levels, one.new_levels, one.gone_levels) == (5, ("c",), ("a", "ü"))
    assert (other.levels, other.new_levels) == (5, ("c",))
    assert sorted(other.gone_levels) == ["a", "ü"]  # as often as one another
    assert_allclose([other.js, other.psi], [one.js, one.psi], rtol=1e-14)


def test_drift_by_hellinger_and_total_variation():
    old, new = pd.DataFrame({"x": list("aab")}), pd.DataFrame({"x": list("abbc")})
    (found,) = drift(old, new)
    p, q = np.array([2 / 3, 1 / 3, 0]), np.array([1 / 4, 1 / 2, 1 / 4])
    assert_allclose(found.hellinger, np.sqrt(1 - np.sqrt(p * q).sum()), rtol=1e-14)
    assert_allclose(found.total_variation, np.abs(p - q).sum() / 2, rtol=1e-14)
    (same,) = drift(old, old)
    assert (same.hellinger, same.total_variation) == (0, 0)
    (apart,) = drift(old, pd.DataFrame({"x": ["z"]}))
    assert_allclose([apart.hellinger, apart.total_variation], 1, rtol=1e-14)


@pytest.mark.parametrize("library", ["pandas", "polars", "file"])
def test_dates_with_and_without_a_time_zone_are_not_compared(library, tmp_path):
    """A date without a zone is no moment: taken for UTC, nothing would drift by five hours."""
    naive = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=50, freq="h")})
    aware = naive.assign(t=naive.t.dt.tz_localize("Etc/GMT+5"))
    tables = [naive, aware]
    if library == "polars":
        tables = [pl.from_pandas(table) for table in tables]
    elif library == "file":
        for name, table in zip(("a", "b"), tables, strict=True):
            table.to_parquet(tmp_path / f"{name}.parquet")
        tables = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    said = "dates with a time zone in one table and dates without one in the other"
    for before, after in (tables, tables[::-1]):
        with pytest.raises(ValueError, match=said):
            drift(before, after)
    (same,) = drift(tables[1], tables[1])
    assert same.js == 0
