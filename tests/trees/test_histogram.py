"""`splitter="histogram"`: exact where bins are values, close elsewhere, in little memory."""

from unittest import SkipTest

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from xent.trees import C45Classifier, CARTClassifier, TreeClassifier, TreeRegressor


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.grid
@pytest.mark.parametrize("kind", [TreeClassifier, TreeRegressor, C45Classifier])
def test_scikit_learns_own_checks(kind):
    count = 0
    for estimator, check in estimator_checks_generator(kind(splitter="histogram")):
        try:
            check(estimator)
        except SkipTest:  # of array libraries that are not switched on; the checks after it count
            continue
        count += 1
    assert count > 50


def few_values(n, missing):
    rng = np.random.default_rng(n)
    X = rng.integers(0, [3, 50, 200, 255], (n, 4)) * [1.0, -0.1, 1e6, 1e-9]
    if missing:
        X[rng.random(X.shape) < 0.1] = np.nan
    y = (np.nan_to_num(X[:, 1]) > -2) ^ (rng.random(n) < 0.2)
    y = y + (np.nan_to_num(X[:, 3]) > 1e-7).astype(int)
    names = np.array([f"v{i}" for i in range(200)])
    table = pl.DataFrame({f"x{j}": X[:, j] for j in range(4)}).with_columns(
        pl.all().fill_nan(None), name=pl.Series(names[rng.integers(0, 200, n) * (y + 1) % 200])
    )
    return X, table, y, rng.random(n)


OPTIONS = [
    {},
    {"criterion": "gini", "nominal": "one_vs_rest"},
    {
        "criterion": "gain_ratio",
        "missing": "fractional",
        "nominal": "multiway",
        "pruning": "pessimistic",
        "cf": 0.5,
    },
    {"missing": "surrogate", "class_weight": "balanced"},
    {"missing": "branch", "pruning": "reduced_error", "min_gain": 0.01},
    {"pruning": "cost_complexity", "max_leaf_nodes": 20},
    {"pruning": None, "max_depth": 4, "min_samples_leaf": 9},
]


def assert_same(a, b):
    for name, array in a.tree_.arrays().items():
        np.testing.assert_array_equal(array, b.tree_.arrays()[name], err_msg=name)


@pytest.mark.grid
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("missing", [False, True])
def test_exact_where_there_are_few_values(options, missing):
    X, table, y, weight = few_values(700, missing)
    for data in (X, table):
        for w in (None, weight):
            a = TreeClassifier(**options).fit(data, y, sample_weight=w)
            b = TreeClassifier(**options, splitter="histogram").fit(data, y, sample_weight=w)
            assert_same(a, b)
            assert a.n_nodes_ > 1
            assert a.gain_table(data, y, sample_weight=w) == b.gain_table(data, y, sample_weight=w)


@pytest.mark.parametrize("classes", [2, 3])
def test_exact_where_histograms_are_subtracted(classes):
    X, _, y, _ = few_values(30_000, False)
    for criterion in ("entropy", "gini"):
        options = {"criterion": criterion, "pruning": None}
        a = TreeClassifier(**options).fit(X, y % classes)
        b = TreeClassifier(**options, splitter="histogram").fit(X, y % classes)
        assert_same(a, b)
        assert a.n_nodes_ > 100
    X[::7, 2] = np.nan
    a, b = TreeClassifier().fit(X, y), TreeClassifier(splitter="histogram").fit(X, y)
    assert_same(a, b)


def test_exact_for_numbers_and_under_constraints():
    X, table, y, weight = few_values(2000, True)
    for options in ({}, {"monotonic_cst": [1, -1, 0, 0]}):
        a = TreeRegressor(**options).fit(X, y + weight)
        assert_same(a, TreeRegressor(**options, splitter="histogram").fit(X, y + weight))
    a = TreeRegressor(missing="surrogate").fit(table, y + weight)
    assert_same(a, TreeRegressor(missing="surrogate", splitter="histogram").fit(table, y + weight))
    a = TreeClassifier(monotonic_cst=[0, 1, 0, -1]).fit(X, y > 0)
    b = TreeClassifier(monotonic_cst=[0, 1, 0, -1], splitter="histogram").fit(X, y > 0)
    assert_same(a, b)


def test_close_where_there_are_many_values():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=40_000), rng.lognormal(0, 4, 40_000)])
    X[rng.random(40_000) < 0.4, 1] = 0.0  # most of a column in one value
    y = (X[:, 0] > 0.3) ^ (X[:, 1] > 20) ^ (rng.random(40_000) < 0.1)
    train, test = slice(30_000), slice(30_000, None)
    a = TreeClassifier().fit(X[train], y[train])
    b = TreeClassifier(splitter="histogram").fit(X[train], y[train])
    assert b.score(X[test], y[test]) > a.score(X[test], y[test]) - 0.005
    # Every threshold lies between two neighbouring values of the column, none is a bin's number.
    tree = b.tree_
    for f in (0, 1):
        values = np.unique(X[train, f])
        for t in tree.threshold[tree.feature == f]:
            i = np.searchsorted(values, t, "right")
            assert values[i - 1] <= t < values[i]
            assert t == values[i - 1] / 2 + values[i] / 2


@pytest.mark.parametrize("kind", [TreeClassifier, C45Classifier, CARTClassifier])
def test_leaves_hold_the_cases_that_walk_there(kind):
    """Also where raising and surrogates send cases by thresholds that were made elsewhere."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(6000, 5))
    X[rng.random(X.shape) < 0.1] = np.nan
    y = (np.nan_to_num(X).sum(1) + rng.normal(size=6000) > 0).astype(int)
    options = {} if kind is not C45Classifier else {"leaf_estimate": None}
    tree = kind(splitter="histogram", **options)
    if kind is C45Classifier:
        X = np.nan_to_num(X)
    tree.fit(X, y)
    leaf = tree.apply(X)
    seen = np.zeros_like(tree.tree_.stats)
    np.add.at(seen, (leaf, y), 1)
    np.testing.assert_array_equal(seen[tree.tree_.leaf], tree.tree_.stats[tree.tree_.leaf])


@pytest.mark.parametrize("jobs", [2, 5])
def test_same_bits_for_any_number_of_threads(jobs):
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.normal(size=(20_000, 7)), rng.integers(0, 9, (20_000, 5))])
    y = rng.integers(0, 2, 20_000) + (X[:, 0] > 0)
    for options in ({}, {"criterion": "gini", "pruning": None}, {"criterion": "gain_ratio"}):
        one = TreeClassifier(splitter="histogram", **options).fit(X, y)
        assert_same(one, TreeClassifier(splitter="histogram", n_jobs=jobs, **options).fit(X, y))


@pytest.mark.long
def test_names_with_more_than_255_and_65535_levels():
    rng = np.random.default_rng(2)
    code = rng.integers(0, 70_000, 3000)
    X = pd.DataFrame(
        {
            "a": pd.Categorical.from_codes(code % 300, [f"a{i}" for i in range(300)]),
            "b": pd.Categorical.from_codes(code, [f"b{i}" for i in range(70_000)]),
        }
    )
    y = code % 300 < 150
    for columns in (["a"], ["a", "b"]):
        a = TreeClassifier().fit(X[columns], y)
        assert_same(a, TreeClassifier(splitter="histogram").fit(X[columns], y))
        assert a.score(X[columns], y) > 0.9


def test_rows_of_weight_zero_make_no_bins():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(3000, 2))
    y = (X[:, 0] > 0).astype(int)
    keep = rng.random(3000) < 0.5
    a = TreeClassifier(splitter="histogram").fit(X, y, sample_weight=keep.astype(float))
    assert_same(a, TreeClassifier(splitter="histogram").fit(X[keep], y[keep]))


def test_ten_thousand_columns():
    X = np.zeros((40, 10_000))
    X[:, 7_777] = np.arange(40)
    tree = TreeClassifier(splitter="histogram").fit(X, np.arange(40) >= 20)
    assert tree.tree_.feature[0] == 7_777


def test_wording():
    with pytest.raises(ValueError, match="`splitter` must be 'auto' or 'histogram', got 'best'"):
        TreeClassifier(splitter="best").fit([[0.0], [1.0]], [0, 1])
    table = pl.DataFrame({"a": [1.0, None]})
    with pytest.raises(ValueError, match="`X` must have no missing values"):
        TreeClassifier(splitter="histogram", missing="refuse").fit(table, [0, 1])
