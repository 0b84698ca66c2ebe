"""Tables read in batches: the tree of the whole table, in a byte or two a cell."""

import datetime
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from typer.testing import CliRunner

from xent.trees import TreeClassifier, TreeRegressor
from xent.trees._table.stream import Reading


def same(a, b):
    for name, array in a.tree_.arrays().items():
        np.testing.assert_array_equal(array, b.tree_.arrays()[name], err_msg=name)
    assert a.columns_ == b.columns_
    np.testing.assert_array_equal(a.value_, b.value_)


def table(n=20_000):
    rng = np.random.default_rng(0)
    number = rng.normal(size=n)
    number[::31] = np.nan
    few = rng.integers(0, 9, n)
    flag = rng.random(n) < 0.5
    start = datetime.date(2020, 1, 1)
    y = (np.nan_to_num(number) > 0.2) ^ (few > 4) ^ (rng.random(n) < 0.1)
    return pl.DataFrame(
        {
            "number": number,
            "few": few,
            "late": ["z" if i > 15_000 else "ab"[i % 2] if i % 7 else None for i in range(n)],
            "flag": flag,
            "day": [start + datetime.timedelta(days=int(d)) for d in rng.integers(0, 900, n)],
            "money": rng.lognormal(0, 3, n).round(3),
            "y": np.where(y, "yes", "no"),
            "weight": rng.integers(0, 3, n),
            "amount": number * 0 + few + y * 10.0 + rng.normal(size=n),
        }
    ).with_columns(pl.col("number", "amount").fill_nan(None))


FEATURES = ["number", "few", "late", "flag", "day", "money"]


def pieces(whole, size, columns):
    return lambda: (whole[columns][i : i + size] for i in range(0, len(whole), size))


@pytest.mark.parametrize("size", [777, 20_000])
def test_the_tree_of_the_whole_table(size):
    whole = table()
    y, weight = whole["y"].to_numpy(), whole["weight"].to_numpy()
    for options in ({}, {"class_weight": "balanced"}, {"class_weight": {"yes": 0.5}}):
        tree = TreeClassifier(splitter="histogram", **options)
        a = tree.fit(whole[FEATURES], y, sample_weight=weight)
        b = TreeClassifier(splitter="histogram", **options)
        b.fit(pieces(whole, size, [*FEATURES, "y", "weight"]), "y", sample_weight="weight")
        same(a, b)
        assert a.score(whole[FEATURES], y) > 0.85
        np.testing.assert_array_equal(a.classes_, b.classes_)
        assert (
            b.predict(pieces(whole, size, FEATURES)).tolist() == a.predict(whole[FEATURES]).tolist()
        )
    whole = whole.with_columns(pl.col("amount").fill_null(3.0))
    a = TreeRegressor(splitter="histogram", max_depth=6).fit(
        whole[FEATURES], whole["amount"].to_numpy()
    )
    b = TreeRegressor(splitter="histogram", max_depth=6)
    same(a, b.fit(pieces(whole, size, [*FEATURES, "amount"]), "amount"))


def test_files(tmp_path):
    whole = table()[["number", "few", "late", "flag", "money", "y"]]
    whole.write_parquet(tmp_path / "t.parquet", row_group_size=3000)
    whole.write_csv(tmp_path / "t.csv")
    a = TreeClassifier(splitter="histogram").fit(whole.drop("y"), whole["y"].to_numpy())
    for name in ("t.parquet", "t.csv"):
        b = TreeClassifier(splitter="histogram").fit(tmp_path / name, "y")
        assert a.to_text() == b.to_text()
        np.testing.assert_array_equal(a.predict_proba(whole), b.predict_proba(str(tmp_path / name)))
        np.testing.assert_array_equal(a.apply(whole), b.apply(tmp_path / name))


def test_declared_levels_keep_their_order():
    levels = ["low", "middle", "high", "never"]
    frame = pd.DataFrame({"c": pd.Categorical(["high", "low", "low", "middle"] * 9, levels)})
    frame["y"] = (frame["c"] == "low").astype(int)
    tree = TreeClassifier(splitter="histogram", nominal="multiway", pruning=None)
    tree.fit(lambda: iter([frame[:20], frame[20:]]), "y")
    assert tree.columns_[0].levels == tuple(levels)
    assert tree.get_n_leaves() == 4


def test_command_line(tmp_path, monkeypatch):
    from xent.cli import app

    monkeypatch.chdir(tmp_path)
    whole = table()[["number", "few", "late", "y", "weight"]]
    whole.write_parquet("t.parquet")
    run = CliRunner().invoke
    words = "tree fit t.parquet -t y --drop weight -o {} --splitter {}"
    done = run(app, words.format("a.tree", "histogram").split())
    assert done.exit_code == 0, done.output
    held = TreeClassifier(splitter="histogram").fit(whole[:, :3], whole["y"].to_numpy())
    assert f"{held.get_n_leaves()} leaves, depth {held.get_depth()}," in done.output
    for out in ("said.parquet", "said.csv"):
        assert run(app, ["tree", "predict", "a.tree", "t.parquet", "-o", out]).exit_code == 0
        said = pl.read_parquet(out) if out.endswith("t") else pl.read_csv(out)
        assert said["prediction"].to_list() == held.predict(whole).tolist()
        np.testing.assert_allclose(said["p_yes"], held.predict_proba(whole)[:, 1], rtol=1e-15)


def test_wording(tmp_path):
    whole = table(100)
    tree = TreeClassifier(splitter="histogram")
    source = pieces(whole, 50, [*FEATURES, "y", "weight", "amount"])
    for options, X, y, weight, sentence in (
        ({"splitter": "auto"}, source, "y", None, '`splitter` must be "histogram" where X is'),
        ({"splitter": "histo"}, source, "y", None, "`splitter` must be 'auto' or 'histogram'"),
        ({}, source(), "y", None, "pass a function that returns the batches"),
        ({}, source, whole["y"], None, "`y` must be the name of a column where X is read"),
        ({}, source, "yy", None, "`y` must name one of the columns 'number', 'few'"),
        ({}, source, "late", None, "`y` must have no missing values, got 8 in 'late'"),
        ({}, source, "y", "number", "`sample_weight` must hold finite numbers, 0 or more"),
        ({}, tmp_path / "no.parquet", "y", None, "There is no file"),
        ({}, lambda: [], "y", None, "`X` must have rows and columns, got 0 rows and 0 columns"),
        ({"missing": "refuse"}, source, "y", None, "`X` must have no missing values"),
        ({"class_weight": "even"}, source, "y", None, "`class_weight` must be 'balanced'"),
        ({"class_weight": {"jes": 2}}, source, "y", None, "name classes of y, got 'jes'. y holds"),
        (
            {},
            lambda: [whole[["few", "y"]], whole[["flag", "y"]]],
            "y",
            None,
            "`X` must have the same columns in every batch, got ('flag', 'name') after ('few'",
        ),
    ):
        with pytest.raises((ValueError, TypeError, FileNotFoundError)) as caught:
            tree.set_params(**{"missing": "direction", "class_weight": None, **options}).fit(
                X, y, sample_weight=weight
            )
        tree.set_params(splitter="histogram")
        assert sentence in str(caught.value)


def test_a_table_that_changes_is_refused():
    whole = table(400)[["number", "few", "y"]]
    for second in (whole[:300], pl.concat([whole, whole])):
        turns = iter([whole, second])
        with pytest.raises(ValueError, match="X cannot be read: it changed between the first"):
            TreeClassifier(splitter="histogram").fit(lambda: [next(turns)], "y")  # noqa: B023


def test_a_byte_a_number_is_kept():
    whole = table()
    read = Reading(pieces(whole, 1000, [*FEATURES, "y"]), "y", None, None, numbers=False)
    assert read.cases.numbers.dtype == read.cases.codes.dtype == read.y.dtype == np.uint8
    assert read.cases.numbers.shape == (20_000, 4)
    assert read.weight.strides == (0,)


PEAK = """
import sys
import numpy as np
import polars as pl
from xent.trees import TreeClassifier

def batches(rows):
    for seed in range(rows // 20_000):
        X = np.random.default_rng(seed).normal(size=(20_000, 30))
        y = X[:, 0] + X[:, 1] * X[:, 2] > 0
        yield pl.DataFrame({**{f"x{j}": X[:, j] for j in range(30)}, "y": y})

def peak(rows):
    TreeClassifier(splitter="histogram", max_depth=8).fit(lambda: batches(rows), "y")
    with open("/proc/self/status") as file:
        return int(next(x for x in file if x.startswith("VmHWM")).split()[1]) * 1024

low = peak(400_000)
print((peak(2_000_000) - low) / (30 * 1_600_000))
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_two_bytes_a_cell():
    """Of a fresh process, less what does not depend on the number of rows."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert 0.9 < float(done.stdout) < 2.0
