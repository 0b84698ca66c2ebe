"""Tables of plain numbers are read whole; they are what they are column by column."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from xent._table.frames import Frame, read_at_once
from xent._table.frames.at_once import FLAG_FORM, NUMBER_FORM, OTHER_FORM
from xent.trees import TreeClassifier, TreeRegressor

RNG = np.random.default_rng(0)
COLUMNS = {
    "f": RNG.normal(size=60).round(1),
    "i": RNG.integers(-5, 5, 60),
    "u": RNG.integers(0, 9, 60).astype(np.uint8),
    "s": RNG.normal(size=60).astype(np.float32),
    "gap": np.where(RNG.random(60) < 0.3, np.nan, RNG.normal(size=60)),
}
Y = (COLUMNS["f"] + COLUMNS["i"] > 0).astype(int)
MAKERS = {
    "pandas": pd.DataFrame,
    "polars": lambda t: pl.DataFrame(t, nan_to_null=True),
    "arrow": lambda t: pa.table({k: pa.array(v, from_pandas=True) for k, v in t.items()}),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("splitter", ["auto", "histogram"])
def test_whole_and_column_by_column(make, splitter, monkeypatch):
    table = make(COLUMNS)
    names, form, matrix, _ = read_at_once(table)
    assert (form == NUMBER_FORM).all()
    slow = np.column_stack([column.floats() for column in Frame(table).columns()])
    np.testing.assert_array_equal(matrix, slow)
    assert names == list(COLUMNS)
    tree = TreeClassifier(splitter=splitter).fit(table, Y)
    turned = make({"other": np.ones(60), **dict(reversed(COLUMNS.items()))})
    said = tree.predict_proba(turned)
    assert said.tobytes() == tree.predict_proba(table).tobytes()
    assert tree.n_features_in_ == 5
    assert hasattr(tree, "feature_names_in_") == (make is not MAKERS["arrow"])
    for place in ("_reading", "_table.columns"):
        module = f"xent.trees.{place}.read_at_once"
        monkeypatch.setattr(module, lambda *_: None, raising=False)
    again = TreeClassifier(splitter=splitter).fit(table, Y)
    assert again.to_text() == tree.to_text()
    assert again.predict_proba(turned).tobytes() == said.tobytes()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_what_is_not_plain_is_read_as_before(make):
    far = make({"a": np.array([2**53, 2**53 + 1] * 5), "b": np.arange(10)})
    with pytest.raises(
        ValueError, match="must hold numbers that differ as float64, got 90071992547"
    ):
        TreeClassifier().fit(far, [0, 1] * 5)
    tree = TreeRegressor(pruning=None).fit(make({"a": [1.0, 2.0] * 5}), [0, 1] * 5)
    with pytest.raises(
        ValueError, match=r"`X` must be finite or missing, got infinity in 'a'\[1\]"
    ):
        tree.predict(make({"a": [1.0, np.inf]}))
    with pytest.raises(ValueError, match="`X` must have the column 'a', got none among 'b'"):
        tree.predict(make({"b": [1.0]}))
    assert tree.predict(make({"a": [1, 2]})).tolist() == [0, 1]
    assert read_at_once(make({"a": ["x", "y"]})) is None
    mixed = make({"a": ["x"], "b": [1], "c": [True], "d": [np.inf]})
    assert read_at_once(mixed).form.tolist() == [OTHER_FORM, NUMBER_FORM, FLAG_FORM, OTHER_FORM]
    assert read_at_once(mixed, ["c", "b"]).form.tolist() == [FLAG_FORM, NUMBER_FORM]


def mixed_columns(rng, rows):
    """Columns of every kind, numbers and flags between the others."""
    names = np.array(["no", "a", "b"], object)[rng.integers(0, 3, rows)]
    return {
        "name": names,
        **{f"x{j}": rng.normal(size=rows).round(1) for j in range(3)},
        "when": np.datetime64("2020-01-01T00", "us") + rng.integers(0, 9, rows),
        "flag": rng.random(rows) < 0.5,
        "whole": rng.integers(0, 9, rows),
        "other flag": names == "a",
    }


MIXED_MAKERS = {**MAKERS, "dict": dict, "nullable": lambda t: pd.DataFrame(t).convert_dtypes()}


@pytest.mark.parametrize("make", MIXED_MAKERS.values(), ids=MIXED_MAKERS)
@pytest.mark.parametrize("splitter", ["auto", "histogram"])
def test_columns_of_every_kind_side_by_side(make, splitter, monkeypatch):
    rng = np.random.default_rng(3)
    held = mixed_columns(rng, 80)
    y = (held["x1"] > 0) + 2 * held["other flag"] * (held["when"] > held["when"][0])
    table, some = make(held), make(mixed_columns(rng, 1))
    tree = TreeClassifier(splitter=splitter).fit(table, y)
    said = tree.predict_proba(table), tree.predict_proba(some)
    monkeypatch.setattr("xent.trees._reading.read_at_once", lambda *_: None)
    slow = TreeClassifier(splitter=splitter).fit(table, y)
    assert slow.columns_ == tree.columns_
    assert slow.to_text() == tree.to_text()
    for fitted in (tree, slow):
        assert fitted.predict_proba(table).tobytes() == said[0].tobytes()
        assert fitted.predict_proba(some).tobytes() == said[1].tobytes()


@pytest.mark.parametrize("make", MIXED_MAKERS.values(), ids=MIXED_MAKERS)
def test_one_column_of_names_among_many_numbers(make, monkeypatch):
    """What a wide table takes is not paid column by column: one is read by itself, not 501."""
    rng = np.random.default_rng(4)
    held = {**{f"x{j}": rng.normal(size=20) for j in range(500)}, "name": np.array(["a", "b"] * 10)}
    read = []
    plain = Frame.column
    monkeypatch.setattr(Frame, "column", lambda self, name: read.append(name) or plain(self, name))
    tree = TreeClassifier(max_depth=1).fit(make(held), [0, 1] * 10)
    assert set(read) == {"name"}
    read.clear()
    assert tree.predict(make({name: values[:1] for name, values in held.items()})).tolist() == [0]
    assert read == ["name"]


def test_flags_are_no_zeros_and_ones():
    """Categories 0 and 1 equal False and True in Python; a table's booleans are none of them."""
    X = pd.DataFrame({"a": pd.Categorical([0, 1] * 10)})
    tree = TreeClassifier(missing="branch").fit(X, [0, 1] * 10)
    flags = pd.DataFrame({"a": [False, True]})
    assert tree.predict_proba(flags)[0].tolist() == tree.predict_proba(flags)[1].tolist()
    gaps = TreeClassifier().fit({"a": np.array([False, True] * 10)}, [0, 1] * 10)
    assert gaps.predict(pl.DataFrame({"a": [True, None, False]}))[[0, 2]].tolist() == [1, 0]


def test_names_that_are_no_text():
    X = pd.DataFrame(np.column_stack([Y, COLUMNS["f"]]))
    tree = TreeClassifier().fit(X, Y)
    assert not hasattr(tree, "feature_names_in_")
    assert tree.predict(X[[1, 0]]).tolist() == Y.tolist()
    assert read_at_once(pd.DataFrame([[1, 2]], columns=[1, "1"])) is None
    with pytest.raises(ValueError, match="`X` must name each column once, got 'a' twice"):
        TreeClassifier().fit(pd.DataFrame([[1, 2]] * 4, columns=["a", "a"]), [0, 1] * 2)


def test_an_array_of_numbers_is_no_table_of_dates():
    days = pd.date_range("2020", periods=10).to_numpy()
    tree = TreeClassifier().fit({"at": days}, [0, 1] * 5)
    with pytest.raises(
        TypeError, match="`X` must be a table with the columns of fit, got an array"
    ):
        tree.predict(np.zeros((2, 1)))
