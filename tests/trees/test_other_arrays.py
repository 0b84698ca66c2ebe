"""Arrays that are not numbers, and targets of every library: what each is, or a sentence."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from xent.trees import TreeClassifier, TreeRegressor

Y = [0, 1] * 10
X = [[0.0], [1.0]] * 10
DAYS = np.array([["2020-01-01"], ["2020-01-03"]] * 10, dtype="M8[D]")


def words(X, y=Y, kind=TreeClassifier, **options):
    return kind(**options).fit(X, y).to_text().split("\n")


@pytest.mark.parametrize("dtype", ["U1", "T", object])
def test_arrays_of_text(dtype):
    table = np.array([["a", "b"], ["c", "b"]] * 10).astype(dtype)
    tree = TreeClassifier().fit(table, Y)
    assert tree.to_text().split("\n") == ["x0 = a or missing: 0 (10)", "x0 = c: 1 (10)"]
    assert tree.predict(table).tolist() == Y
    assert tree.predict(table.tolist()).tolist() == Y
    with pytest.raises(
        ValueError, match=r"`X` must have two dimensions, got 1\. Reshape your data"
    ):
        TreeClassifier().fit(table[:, 0], Y)
    for one in (pd.Series(table[:, 0]), pl.Series(table[:, 0].tolist())):
        with pytest.raises(ValueError, match="`X` must have two dimensions, got 1"):
            TreeClassifier().fit(one, Y)


def test_rows_of_text_and_numbers():
    rows = [["a", 1.5], ["b", 1.5]] * 10
    assert words(rows) == ["x0 = a or missing: 0 (10)", "x0 = b: 1 (10)"]
    with pytest.raises(
        ValueError, match="`X` must have rows of one length, got lengths '1' and '2'"
    ):
        words([["a"], ["b", 1]] * 10)


def test_arrays_of_dates_and_masks():
    expected = ["x0 <= 2020-01-02 or missing: 0 (10)", "x0 > 2020-01-02: 1 (10)"]
    assert words(DAYS) == expected
    assert (
        words(np.array([[dt.date(2020, 1, 1)], [dt.date(2020, 1, 3)]] * 10, dtype=object))
        == expected
    )
    gone = DAYS.copy()
    gone[1::2] = "NaT"  # -9.2e18 for who reads it as a whole number
    assert words(gone) == ["x0 is known: 0 (10)", "x0 is missing: 1 (10)"]
    assert words(np.array([[1], [3]] * 10, dtype="m8[h]"))[0] == "x0 <= 02:00:00 or missing: 0 (10)"
    mask = [[False], [True]] * 10
    assert words(np.ma.masked_array(X, mask)) == ["x0 is known: 0 (10)", "x0 is missing: 1 (10)"]
    with pytest.raises(
        ValueError, match=r"`y` must have no missing values, got 10 rows without, the"
    ):
        words(X, np.ma.masked_array(Y, np.array(mask).ravel()))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["a", 2], "int and str"),
        ([True, 2], "bool and int"),
        ([dt.time(1, tzinfo=dt.UTC), None], "times with a time zone"),
        ([pd.Period("2020-01"), pd.Period("2020-02")], r"period\[M\]"),
    ],
)
def test_a_refusal_does_not_contradict_itself(values, said):
    table = pd.DataFrame({"a": values * 10})
    with pytest.raises(
        TypeError,
        match=r"^`X` must hold in each column numbers, or names, booleans, dates or times, got "
        rf"{said} in column 'a'\. Where its values are names, make them text: astype\(str\)\.$",
    ):
        words(table)


GAPS = [
    [1, None] * 10,
    ["a", None] * 10,
    np.array([True, None] * 10, dtype=object),
    pd.Series([1, None] * 10, dtype="Int64"),
    pd.Series(["a", None] * 10, dtype="category"),
    pd.Series(["a", None] * 10, dtype="string"),
    pd.array([1, None] * 10, dtype="Int64"),
    pd.Categorical(["a", None] * 10),
    pl.Series([1, None] * 10),
    pl.Series(["a", None] * 10),
    pa.chunked_array([["a", None] * 10]),
]


@pytest.mark.parametrize("y", GAPS, ids=range(len(GAPS)))
@pytest.mark.parametrize("kind", [TreeClassifier, TreeRegressor])
def test_a_target_that_is_missing(kind, y):
    with pytest.raises(
        ValueError,
        match=r"`y` must have no missing values, got 10 rows without, the first at \[1\]",
    ):
        kind().fit(X, y)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (pd.Series(Y, dtype="Int64"), [0, 1]),
        (pd.Series([True, False] * 10, dtype="boolean"), [False, True]),
        (pd.Series(["u", "v"] * 10, dtype="category"), ["u", "v"]),
        (pl.Series(["u", "v"] * 10, dtype=pl.Categorical), ["u", "v"]),
        (pa.array(Y), [0, 1]),
        ([Decimal(0), Decimal(1)] * 10, [0, 1]),
        (np.array([True, False] * 10, dtype=object), [False, True]),
    ],
)
def test_targets_of_every_library(y, classes):
    tree = TreeClassifier().fit(X, y)
    assert tree.classes_.tolist() == classes
    assert [type(c) for c in tree.classes_.tolist()] == [type(c) for c in classes]
    assert tree.score(X, [classes[i] for i in ([0, 1] if classes[0] == tree.predict(X)[0] else [1, 0])] * 10) == 1  # fmt: skip


def test_targets_that_are_none():
    with pytest.raises(
        TypeError, match=r"`y` must hold values of one kind, got int and str\. Make"
    ):
        words(X, np.array(["a", 1] * 10, dtype=object))
    for kind, must in ((TreeClassifier, "classes"), (TreeRegressor, "numbers")):
        for y in (pd.date_range("2020", periods=20), pd.to_timedelta(np.arange(20), unit="s")):
            with pytest.raises(TypeError, match=f"`y` must hold {must}, got (date|time)"):
                kind().fit(X, y)


@pytest.mark.parametrize("pruning", ["cost_complexity", "reduced_error", None])
@pytest.mark.parametrize("size", [1e-149, 1e-78, 1.0, 1e78, 1e146])
def test_targets_near_the_ends_of_what_is_taken(pruning, size):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = np.sign(x[:, 0]) + rng.normal(size=200) / 10
    one = TreeRegressor(pruning=pruning).fit(x, y)
    other = TreeRegressor(pruning=pruning).fit(x, y * size)
    np.testing.assert_allclose(other.predict(x) / size, one.predict(x), rtol=1e-12)


def test_targets_beyond_are_refused():
    for size in (1e149, 1e200):
        with pytest.raises(ValueError, match=r"`y` must be within 5e\+148 of 0, got .*Divide it"):
            words(X, [size, -size] * 10, TreeRegressor)
    with pytest.raises(
        ValueError, match="`y` must differ by 1e-150 or more, if at all, got 2e-160"
    ):
        words(X, [1e-160, -1e-160] * 10, TreeRegressor)
    assert words(X, [1e-160] * 20, TreeRegressor) == ["1e-160 (20)"]
