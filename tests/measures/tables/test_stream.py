"""Ranking and drift of files: as in memory where it fits, within what is documented past that."""

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import mutual_info_score

from xent import _table
from xent._table.files import dialect
from xent.measures import drift, rank_features
from xent.measures.tables import _streaming
from xent.measures.tables._columns import Field


def table(rows, seed, moved=0.0):
    rng = np.random.default_rng(seed)
    y = rng.choice(["ham", "spam", "eggs"], rows, p=[0.6, 0.3, 0.1])
    x = np.round(rng.normal(size=rows) + (y == "spam") + moved, 2)
    word = rng.choice([f"w{i}" for i in range(40)], rows)
    columns = {
        "x": pa.array([None if i % 17 == 3 else v for i, v in enumerate(x.tolist())]),
        "whole": pa.array(rng.poisson(3 + moved, rows)),
        "word": pa.array([None if i % 11 == 5 else v for i, v in enumerate(word.tolist())]),
        "flag": pa.array(rng.random(rows) < 0.5),
        "day": pa.array(np.datetime64("2020-01-01") + rng.integers(0, 300, rows)),
        "w": pa.array(rng.integers(0, 4, rows).astype(float)),
        "y": pa.array(y),
    }
    return pa.table(columns)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stream")
    for name, found in (("old", table(3000, 0)), ("new", table(2000, 1, moved=0.3))):
        pa.parquet.write_table(found, folder / f"{name}.parquet", row_group_size=301)
        plain = found.drop_columns(["day"])
        _table.write(folder / f"{name}.csv", {c: plain[c] for c in plain.column_names})
        _table.write(folder / f"{name}.jsonl", {c: plain[c] for c in plain.column_names})
    return folder


@pytest.fixture
def small_batches(monkeypatch):
    scan, read = _table.scan, dialect.READ_BYTES
    monkeypatch.setattr(_table, "scan", lambda p, c=None, n=0, **k: scan(p, c, 97, **k))
    monkeypatch.setattr(dialect, "READ_BYTES", read >> 9)


@pytest.mark.grid
@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"score": "gini"},
        {"score": "gain_ratio", "missing": "drop"},
        {"score": "symmetric_uncertainty", "weights": "w"},
        {"numeric": "ksg"},
    ],
    ids=str,
)
def test_a_file_is_ranked_as_in_memory(folder, small_batches, ending, options):
    whole = table(3000, 0)
    if ending != "parquet":
        whole = whole.drop_columns(["day"])
    found = rank_features(folder / f"old.{ending}", "y", **options)
    assert found == rank_features(whole, "y", **options)
    assert any(f.cuts for f in found) == (options.get("numeric") != "ksg")


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("options", [{}, {"missing": "drop", "bootstrap": 20, "rng": 0}], ids=str)
def test_the_drift_of_files_is_that_in_memory(folder, small_batches, ending, options):
    old, new = table(3000, 0), table(2000, 1, moved=0.3)
    if ending != "parquet":
        old, new = old.drop_columns(["day"]), new.drop_columns(["day"])
    found = drift(folder / f"old.{ending}", str(folder / f"new.{ending}"), **options)
    assert found == drift(old, new, **options)
    mixed = drift(folder / f"old.{ending}", new, **options)
    assert mixed == found


def test_weights_of_drift_are_rows(folder):
    old, new = table(600, 2).to_pandas(), table(500, 3, moved=0.5).to_pandas()
    found = drift(old, new, weights="w", base=2)
    twice = [f.loc[np.repeat(f.index, f["w"].astype(int))].drop(columns="w") for f in (old, new)]
    expected = drift(*twice, base=2)
    assert [d.name for d in found] == [d.name for d in expected]
    for a, b in zip(found, expected, strict=True):
        assert_allclose([a.js, a.kl, a.psi, a.new], [b.js, b.kl, b.psi, b.new], atol=1e-12)
    pair = (old["w"].to_numpy(), new["w"].to_numpy())
    assert drift(old.drop(columns="w"), new.drop(columns="w"), weights=pair, base=2) == found
    path = folder / "old.parquet"
    assert drift(path, path, weights="w")[0].js == 0


def test_permutations_of_counts_are_those_of_rows(folder):
    path = folder / "old.parquet"
    columns = ["whole", "word", "x", "y"]
    small = pa.parquet.read_table(path).select(columns).slice(0, 400)
    pa.parquet.write_table(small, folder / "small.parquet")
    rows = {f.name: f for f in rank_features(small, "y", permutations=200, rng=0)}
    counts = rank_features(folder / "small.parquet", "y", permutations=200, rng=0)
    for f in counts:
        # The same law of chance, drawn in another way: its mean to a few standard errors.
        assert f.score == rows[f.name].score
        assert abs(f.adjusted - rows[f.name].adjusted) < 0.006
        assert abs(f.p_value - rows[f.name].p_value) < 0.12
    weighted = rank_features(path, "y", weights="w", permutations=3, rng=0)
    memory = rank_features(pa.parquet.read_table(path), "y", weights="w", permutations=3, rng=0)
    assert weighted == memory


def test_neighbours_find_what_cuts_find():
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 4000)
    x = rng.normal(size=4000) + 2.0 * y
    gap = np.where(rng.random(4000) < 0.2 * y, np.nan, rng.normal(size=4000))
    frame = pd.DataFrame({"x": x, "gap": gap, "none": rng.normal(size=4000), "y": y})
    found = {f.name: f for f in rank_features(frame, "y", numeric="ksg", permutations=9, rng=0)}
    grid = np.linspace(-8, 10, 20001)
    a, b = (np.exp(-0.5 * (grid - m) ** 2) / math.sqrt(2 * math.pi) for m in (0, 2))
    middle = (a + b) / 2
    some = (a > 0) & (b > 0)
    terms = a[some] * np.log(a[some] / middle[some]) + b[some] * np.log(b[some] / middle[some])
    truth = float(terms.sum() * (grid[1] - grid[0]) / 2)
    assert abs(found["x"].score - truth) < 0.03
    assert abs(found["gap"].score - mutual_info_score(np.isnan(gap), y)) < 0.02
    assert found["none"].score < 0.02
    assert found["x"].cuts == ()
    assert found["x"].p_value == 0.1


# ------------------------------------------------------------------ more than is counted exactly


def field(values, kind="numbers"):
    values = np.asarray(values, dtype=float)
    return Field(values, np.isnan(values), (), kind)


@pytest.mark.parametrize("cells", [_streaming.CELLS, 300])
def test_bins_hold_exactly_the_rows_between_their_ends(cells, monkeypatch):
    """Also where pairs of a bin and a class are too many: then no more are joined than must be."""
    monkeypatch.setattr(_streaming, "CELLS", cells)
    rng = np.random.default_rng(5)
    values = np.round(rng.standard_cauchy(20_000), 3)
    values[rng.random(20_000) < 0.3] = 0.0
    classes = rng.integers(0, 3, 20_000)
    spread = _streaming.Spread(256)
    for start in range(0, 20_000, 500):
        part = slice(start, start + 500)
        spread.add(field(values[part]), classes[part], np.ones(500))
        if start % 2000 == 0:
            spread.settle()
    spread.settle()
    assert (40 if cells > 300 else 20) < spread.low.size <= 256
    assert spread.place.size <= cells
    assert (spread.low <= spread.high).all()
    assert (spread.high[:-1] < spread.low[1:]).all()
    for place in range(spread.low.size):
        inside = (values >= spread.low[place]) & (values <= spread.high[place])
        mine = spread.place == place
        seen = np.bincount(spread.classes[mine], spread.weights[mine], 3)
        assert seen.tolist() == np.bincount(classes[inside], minlength=3).tolist()
    at_zero = np.searchsorted(spread.high, 0.0)  # as many rows as that are told from others
    assert spread.low[at_zero] == spread.high[at_zero] == 0.0


def test_numbers_past_the_limit_are_cut_between_bins(tmp_path, monkeypatch):
    rng = np.random.default_rng(6)
    y = rng.integers(0, 2, 20_000)
    old = pd.DataFrame({"x": rng.normal(size=20_000) + y, "y": y})
    new = pd.DataFrame({"x": rng.normal(size=20_000) + 0.3, "y": y})
    exact = rank_features(old, "y")[0], drift(old, new, columns=["x"])[0]
    for name, frame in (("old", old), ("new", new)):
        pa.parquet.write_table(pa.table(frame), tmp_path / f"{name}.parquet", row_group_size=999)
    monkeypatch.setattr(_streaming, "MAX_LEVELS", 1000)
    ranked = rank_features(tmp_path / "old.parquet", "y")[0]
    moved = drift(tmp_path / "old.parquet", tmp_path / "new.parquet", columns=["x"])[0]
    assert abs(ranked.score / exact[0].score - 1) < 0.01
    assert ranked.cuts != exact[0].cuts
    assert ranked.rows == 20_000
    assert abs(moved.js / exact[1].js - 1) < 0.02


def test_symbols_past_the_limit_are_sampled(tmp_path, monkeypatch):
    rng = np.random.default_rng(7)
    rows = 30_000
    y = rng.integers(0, 2, rows)
    rare = np.array([f"r{i}" for i in rng.integers(0, 9000, rows)])
    often = np.array([f"o{i}" for i in rng.integers(0, 20, rows) + y])
    some = rng.random(rows) < 0.6
    frame = pd.DataFrame(
        {"id": [f"row {i}" for i in range(rows)], "mixed": np.where(some, often, rare), "y": y}
    )
    other = frame.assign(id=[f"new {i}" for i in range(rows)], mixed=np.roll(frame["mixed"], 1))
    other.loc[:9000, "mixed"] = "o3"
    exact = {f.name: f for f in rank_features(frame, "y", base=2)}
    drifted = {d.name: d for d in drift(frame, other, base=2, columns=["id", "mixed"])}
    for name, found in (("old", frame), ("new", other)):
        pa.parquet.write_table(pa.table(found), tmp_path / f"{name}.parquet", row_group_size=999)
    monkeypatch.setattr(_streaming, "MAX_LEVELS", 2000)
    found = {f.name: f for f in rank_features(tmp_path / "old.parquet", "y", base=2)}
    assert_allclose(found["id"].score, exact["id"].score, rtol=1e-3)
    assert_allclose(found["mixed"].score, exact["mixed"].score, rtol=0.08)  # its spread is 2 %
    assert_allclose(found["id"].levels, rows, rtol=0.1)
    assert found["id"].rows == rows
    chance = rank_features(tmp_path / "old.parquet", "y", base=2, permutations=5, rng=0)
    chance = {f.name: f for f in chance}
    assert abs(chance["id"].adjusted) < 0.01  # ids tell every class, in whatever order
    rows_of = {f.name: f for f in rank_features(frame, "y", base=2, permutations=5, rng=0)}
    assert_allclose(chance["mixed"].adjusted, rows_of["mixed"].adjusted, atol=0.02)
    moved = drift(
        tmp_path / "old.parquet",
        tmp_path / "new.parquet",
        base=2,
        columns=["id", "mixed"],
        bootstrap=20,
        rng=0,
    )
    moved = {d.name: d for d in moved}
    assert_allclose(moved["id"].js, 1.0, atol=1e-12)
    assert_allclose([moved["id"].new, moved["id"].gone], 1.0, atol=1e-12)
    assert_allclose(moved["mixed"].js, drifted["mixed"].js, rtol=0.1)
    assert moved["mixed"].low <= moved["mixed"].js <= moved["mixed"].high


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_file(tmp_path):
    """A table of 520 MB takes no more than one of 65 MB did, but for a tenth of the rest."""
    rng = np.random.default_rng(8)
    size, groups = 1 << 15, 40
    words = pa.array([f"{i:03}" * 133 for i in range(100)])
    fields = [("x", pa.float64()), ("s", pa.string()), ("y", pa.string())]
    schema = pa.schema(fields)
    for name, many in (("small", 5), ("big", groups)):
        with pa.parquet.ParquetWriter(tmp_path / f"{name}.parquet", schema) as file:
            for _ in range(many):
                x = np.round(rng.normal(size=size), 3)
                s = words.take(pa.array(rng.integers(0, 100, size)))
                y = pa.array(np.where(x > 0.1, "up", "down"))
                file.write_table(pa.table([x, s, y], schema=schema))
    code = f"""
from xent.measures import drift, rank_features
def peak():
    with open("/proc/self/status") as file:  # a child's ru_maxrss begins with its parent's
        return 1024 * int(next(x for x in file if x.startswith("VmHWM")).split()[1])
for name in ("small", "big"):
    path = {str(tmp_path)!r} + f"/{{name}}.parquet"
    before = peak()
    found = rank_features(path, "y") + drift(path, path)
print((peak() - before) / 2**20)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    more = size * (groups - 5) * (8 + 399 + 4 + 8) / 2**20
    assert more > 450
    assert float(done.stdout) < 0.1 * more, done.stdout


# ------------------------------------------------------------------ refusals


def refusals(folder):
    old, new = folder / "old.parquet", folder / "new.csv"
    empty = folder / "empty.csv"
    empty.write_text("x,y\n")
    return [
        (lambda: rank_features(empty, "y"), "`table` must have at least one row, got none."),
        (lambda: drift(empty, empty), "`reference` must have at least one row, got none."),
        (
            lambda: rank_features(old, "y", weights=[1.0]),
            "`weights` must be the name of a column of the file, got [1.0].",
        ),
        (
            lambda: rank_features(old, "y", weights="word"),
            "`weights` must name a column of numbers, got 'word'.",
        ),
        (
            lambda: rank_features(old, "y", weights="y"),
            "`weights` must name a column other than the target, got 'y'.",
        ),
        (
            lambda: rank_features(old, "y", missing="refuse"),
            "`table['x']` must have a value in every row, got a missing one in 177 rows. "
            'Pass missing="drop" or missing="symbol".',
        ),
        (
            lambda: rank_features(old, "y", numeric="ksg", score="gini"),
            "`score` must be 'information_gain' for numeric=\"ksg\", got 'gini'.",
        ),
        (
            lambda: rank_features(old, "y", numeric="ksg", weights="w"),
            'Neighbours: they have no weights. Pass numeric="mdl".',
        ),
        (
            lambda: drift(old, old, weights=([1.0], [1.0])),
            "`weights` must be the name of a column of the files, got arrays.",
        ),
        (
            lambda: drift(old, new, columns=["x"], weights="v"),
            "`weights` must name a column of `reference`, got 'v'.",
        ),
        (
            lambda: drift(old, old, columns=["x"], missing="refuse"),
            "`reference['x']` must have a value in every row, got a missing one in 177 rows. "
            'Pass missing="drop" or missing="symbol".',
        ),
    ]


@pytest.mark.parametrize("case", range(11))
def test_refusals(folder, case):
    call, sentence = refusals(folder)[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value) == sentence
