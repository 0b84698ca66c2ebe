"""Estimators of both rooms refuse what is no data in sentences that name a way out."""

import datetime
import re

import numpy as np
import pandas as pd
import pytest

from xent.training import SoftmaxClassifier
from xent.trees import TreeClassifier, TreeRegressor

X = np.arange(20.0)[:, None]
Y = ["no", "yes"] * 10
ESTIMATORS = [TreeClassifier, lambda: SoftmaxClassifier(epochs=1, random_state=0)]


def holed(value):
    some = X.copy()
    some[3, 0] = value
    return some


REFUSED = [
    (X[:, 0], Y, {}, r"`X` must have two dimensions, got the shape \(20,\)\. Reshape"),
    (np.zeros((20, 2, 2)), Y, {}, r"`X` must have two dimensions, got the shape \(20, 2, 2\)"),
    ([[1.0], [2.0, 3.0]], ["a", "b"], {}, "`X` must have rows of one length"),
    (np.empty((0, 3)), [], {}, "`X` must have at least one row, got none"),
    (np.empty((2, 0)), ["a", "b"], {}, "`X` must have at least one column"),
    (X + 1j, Y, {}, "`X` must hold numbers in each column, got complex ones"),
    (holed(np.inf), Y, {}, r"`X` must be finite.*, got infinity at \[3, 0\]"),
    (X, None, {}, "`y` must be an array, got None"),
    (X, Y[:5], {}, "`y` must have 20 values, one a row of X, got 5"),
    (X, ["no", None] * 10, {}, r"`y` must have no missing values, got 10 rows without.*\[1\]"),
    (X, [0.0, np.nan] * 10, {}, r"`y` must have no missing values, got 10 rows without.*\[1\]"),
    (X, [0.0, np.inf] * 10, {}, r"`y` must be finite, got infinity at \[1\]"),
    (X, pd.Series(["no", pd.NA] * 10, dtype="string"), {}, "`y` must have no missing values"),
    (X, np.array([1, "a"] * 10, object), {}, "`y` must hold values of one kind, got int and str"),
    (X, X[:, 0] / 7, {}, "`y` must hold classes, got 0.142857"),
    (X, Y, {"sample_weight": [1.0]}, r"`sample_weight` must hold one weight a row, 20, got the"),
    (X, Y, {"sample_weight": [-1.0] * 20}, r"`sample_weight` must hold weights of at least 0"),
    (X, Y, {"sample_weight": [np.nan] * 20}, r"`sample_weight` must hold weights of at least 0"),
    (X, Y, {"sample_weight": [0.0] * 20}, r"`sample_weight` must give some row a weight above 0"),
    (X, Y, {"sample_weight": ["a"] * 20}, r"`sample_weight` must hold numbers"),
]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("rows", "y", "options", "said"), REFUSED)
def test_our_sentence(estimator, rows, y, options, said):
    with pytest.raises((ValueError, TypeError), match=said) as found:
        estimator().fit(rows, y, **options)
    assert re.fullmatch("`.*", str(found.value))  # one line


def test_a_tree_takes_one_value_a_row():
    with pytest.raises(ValueError, match=r"`y` must have one value a row, got the shape \(20, 2\)"):
        TreeClassifier().fit(X, np.zeros((20, 2)))
    with pytest.raises(ValueError, match=r"`y` must have no missing values, got 1 row.*\[3\]"):
        TreeRegressor().fit(X, holed(np.nan)[:, 0])


@pytest.mark.parametrize(
    "rows",
    [
        np.array(["1", "2"] * 10)[:, None],
        pd.DataFrame({"a": ["1", "2"] * 10}),
        pd.DataFrame({"a": pd.Categorical(["m", "f"] * 10)}),
        pd.DataFrame({"a": pd.date_range("2020-01-01", periods=20)}),
        pd.DataFrame({"a": pd.date_range("2020-01-01", periods=20, tz="UTC")}),
        np.array([datetime.timedelta(days=k) for k in range(20)], "m8[D]")[:, None],
        holed(np.nan),
        pd.DataFrame({"a": pd.array([1, None] * 10, "Int64")}),
    ],
)
def test_training_takes_numbers_alone_and_names_the_encoder(rows):
    """scikit-learn makes 1.6e18 of a date, and a number of the text 1."""
    with pytest.raises((ValueError, TypeError), match=r"^`X` must .*TableEncoder"):
        SoftmaxClassifier(epochs=1).fit(rows, Y)


def test_held_out_rows_are_called_validation():
    with pytest.raises(ValueError, match=r"`validation` must have no missing values, got NaN at"):
        SoftmaxClassifier(epochs=1).fit(X, Y, validation=(holed(np.nan), Y))
    with pytest.raises(ValueError, match="`validation` must have 20 values"):
        SoftmaxClassifier(epochs=1).fit(X, Y, validation=(X, Y[:5]))


def test_durations_without_a_unit_are_refused():
    """Nothing says what one is: seconds, days, or a count."""
    bare = np.arange(20).astype("m8")[:, None]
    with pytest.raises(TypeError, match="timedelta64 without a unit in column 'x0'"):
        TreeClassifier().fit(bare, Y)
    nothing = np.array(["NaT"] * 20, "m8")[:, None]
    assert TreeClassifier().fit(nothing, Y).get_n_leaves() == 1
