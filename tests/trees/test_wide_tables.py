"""Tables of plain numbers are read whole; they are what they are column by column."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from xent._table.frames import Frame, numbers_at_once
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
    names, matrix = numbers_at_once(table)
    slow = np.column_stack([column.floats() for column in Frame(table).columns()])
    np.testing.assert_array_equal(matrix, slow)
    assert names == list(COLUMNS)
    tree = TreeClassifier(splitter=splitter).fit(table, Y)
    turned = make({"other": np.ones(60), **dict(reversed(COLUMNS.items()))})
    said = tree.predict_proba(turned)
    assert said.tobytes() == tree.predict_proba(table).tobytes()
    assert tree.n_features_in_ == 5
    assert hasattr(tree, "feature_names_in_") == (make is not MAKERS["arrow"])
    for place in ("_estimator", "_table.columns"):
        module = f"xent.trees.{place}.numbers_at_once"
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
    assert numbers_at_once(make({"a": [True, False]})) is None
    assert numbers_at_once(make({"a": ["x"], "b": [1]})) is None
    assert numbers_at_once(make({"a": ["x"], "b": [1]}), ["b"]) is not None


def test_names_that_are_no_text():
    X = pd.DataFrame(np.column_stack([Y, COLUMNS["f"]]))
    tree = TreeClassifier().fit(X, Y)
    assert not hasattr(tree, "feature_names_in_")
    assert tree.predict(X[[1, 0]]).tolist() == Y.tolist()
    assert numbers_at_once(pd.DataFrame([[1, 2]], columns=[1, "1"])) is None
    with pytest.raises(ValueError, match="`X` must name each column once, got 'a' twice"):
        TreeClassifier().fit(pd.DataFrame([[1, 2]] * 4, columns=["a", "a"]), [0, 1] * 2)


def test_an_array_of_numbers_is_no_table_of_dates():
    days = pd.date_range("2020", periods=10).to_numpy()
    tree = TreeClassifier().fit({"at": days}, [0, 1] * 5)
    with pytest.raises(
        TypeError, match="`X` must be a table with the columns of fit, got an array"
    ):
        tree.predict(np.zeros((2, 1)))
