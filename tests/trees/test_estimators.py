"""Estimators as scikit-learn users know them, on tables of every kind."""

import datetime
import math
import pickle
from unittest import SkipTest

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import compute_sample_weight
from sklearn.utils.estimator_checks import estimator_checks_generator

import xent.trees as trees
from xent.trees import (
    C45Classifier,
    CARTClassifier,
    ID3Classifier,
    TreeClassifier,
    TreeRegressor,
    from_json,
    to_json,
)
from xent.trees._table.weights import times_class

KINDS = [getattr(trees, name) for name in trees.__all__ if name[0].isupper()]


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_scikit_learns_own_checks(kind):
    count = 0
    for estimator, check in estimator_checks_generator(kind()):
        try:
            check(estimator)
        except SkipTest:  # of array libraries that are not switched on; the checks after it count
            continue
        count += 1
    assert count > 50


def frames():
    rng = np.random.default_rng(0)
    n = 300
    day = [datetime.date(2020, 1, 1) + datetime.timedelta(days=int(d)) for d in range(n)]
    name = rng.choice(["a", "b", "c"], n).tolist()
    name[::17] = [None] * len(name[::17])
    number = rng.normal(size=n).tolist()
    number[::13] = [None] * len(number[::13])
    columns = {"number": number, "name": name, "flag": (rng.random(n) < 0.5).tolist(), "day": day}
    late = np.array([d > datetime.date(2020, 6, 1) for d in day])
    y = np.where(late ^ np.array([v == "a" for v in name]), "yes", "no")
    table = pl.DataFrame(columns)
    pandas = pd.DataFrame(columns)
    pandas["day"] = pd.to_datetime(pandas["day"])
    pandas["name"] = pandas["name"].astype("category")
    return {"polars": table, "arrow": table.to_arrow(), "pandas": pandas}, y


def test_frames_of_every_kind_give_the_same_tree():
    tables, y = frames()
    found = {kind: TreeClassifier().fit(X, y) for kind, X in tables.items()}
    texts = {tree.to_text() for tree in found.values()}
    assert len(texts) == 1
    assert "day <= 2020-06-01T12" in texts.pop()
    for kind, tree in found.items():
        assert tree.score(tables[kind], y) > 0.98
        np.testing.assert_array_equal(
            tree.predict_proba(tables["polars"]), found["arrow"].predict_proba(tables["arrow"])
        )


def test_columns_are_found_by_name():
    tables, y = frames()
    X = tables["polars"]
    tree = TreeClassifier().fit(X, y)
    again = X.select(["day", "flag", "name", "number"]).with_columns(extra=pl.lit(1))
    np.testing.assert_array_equal(tree.predict(again), tree.predict(X))
    with pytest.raises(ValueError, match=r"`X` must have the column 'day', got none among"):
        tree.predict(X.drop("day"))
    with pytest.raises(ValueError, match="`X` must hold a name in column 'flag', as in fit"):
        tree.predict(X.with_columns(flag=pl.lit(1.5)))


def test_sparse_is_dense():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, (200, 30)) * rng.normal(size=(200, 30))
    y = (X[:, 3] > 0).astype(int)
    a, b = TreeClassifier().fit(X, y), TreeClassifier().fit(sparse.csr_array(X), y)
    assert a.to_text() == b.to_text()
    np.testing.assert_array_equal(a.predict(X), b.predict(sparse.coo_array(X)))


@pytest.mark.grid
@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_for_any_number_of_threads(kind):
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.normal(size=(2000, 7)), rng.integers(0, 9, (2000, 5))])
    y = rng.integers(0, 2, 2000) + (X[:, 0] > 0)
    weight = rng.random(2000)
    for w in (None, weight):
        one = kind(n_jobs=1).fit(X, y, sample_weight=w)
        for jobs in (2, 5):
            more = kind(n_jobs=jobs).fit(X, y, sample_weight=w)
            for name, array in one.tree_.arrays().items():
                assert array.tobytes() == more.tree_.arrays()[name].tobytes(), name
            assert one.predict(X).tobytes() == more.predict(X).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_repetitions_and_zeros_are_dropped(kind):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(300, 4)).round(1)
    y = (X[:, 0] + rng.normal(size=300) > 0).astype(int)
    weight = rng.integers(0, 4, 300)
    again = np.repeat(np.arange(300), weight)
    a, b = kind().fit(X, y, sample_weight=weight), kind().fit(X[again], y[again])
    say = "predict_proba" if hasattr(a, "classes_") else "predict"
    np.testing.assert_allclose(getattr(a, say)(X), getattr(b, say)(X), rtol=1e-9, atol=1e-12)


def test_class_weight_is_a_weight():
    X, y = load_wine(return_X_y=True)
    a = TreeClassifier(class_weight={0: 1.0, 1: 3.0, 2: 0.5}).fit(X, y)
    b = TreeClassifier().fit(X, y, sample_weight=np.array([1.0, 3.0, 0.5])[y])
    assert a.to_text() == b.to_text()
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    assert TreeClassifier(class_weight="balanced").fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize("given", ["balanced", {"b": 0.3}, {"b": 2, "a": 1, "c": 0}, {}])
def test_class_weights_are_those_of_scikit_learn(given):
    y = np.array(["b", "c", "a", "c", "b", "c", "c"])
    classes, codes = np.unique(y, return_inverse=True)
    found = times_class(np.ones(7), given, classes, codes)
    np.testing.assert_allclose(found, compute_sample_weight(given, y), rtol=1e-15)
    # A part of the table in which no row is a "c"; its name is no slip where all others have one.
    few = y != "c"
    if given != {"b": 0.3}:
        found = times_class(np.ones(3), given, classes[:2], codes[few])
        np.testing.assert_allclose(found, compute_sample_weight(given, y[few]), rtol=1e-15)


def test_in_pipelines_and_searches():
    X, y = load_iris(return_X_y=True)
    pipe = make_pipeline(StandardScaler(), TreeClassifier())
    assert cross_val_score(pipe, X, y).mean() > 0.9
    grid = GridSearchCV(
        TreeClassifier(pruning="pessimistic"), {"cf": [0.1, 0.25], "leaf_estimate": [None, 2.0]}
    )
    assert grid.fit(X, y).best_score_ > 0.9
    preset = clone(C45Classifier(cf=0.1))
    assert preset.cf == 0.1
    assert preset.criterion == "gain_ratio"


def test_pickles_by_content():
    X, y = load_iris(return_X_y=True)
    tree = TreeClassifier().fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(tree)).predict(X), tree.predict(X))


def test_leaf_estimates():
    X, y = np.array([[0.0]] * 4 + [[1.0]] * 4), np.array([0, 0, 0, 0, 1, 1, 1, 0])
    prior = np.array([5 / 8, 3 / 8])
    for estimate, expected in (
        (None, [1 / 4, 3 / 4]),
        ("laplace", [2 / 6, 4 / 6]),
        (2.0, (np.array([1, 3]) + 2 * prior) / 6),
        (0.5, (np.array([1, 3]) + 0.5 * prior) / 4.5),
    ):
        tree = TreeClassifier(leaf_estimate=estimate, pruning=None).fit(X, y)
        np.testing.assert_allclose(tree.predict_proba([[1.0]])[0], expected, rtol=1e-15)


def test_smoothed_leaves_beat_bare_ones_on_unseen_cases():
    from sklearn.datasets import load_breast_cancer
    from sklearn.tree import DecisionTreeClassifier

    X, y = load_breast_cancer(return_X_y=True)
    ours = -cross_val_score(TreeClassifier(), X, y, scoring="neg_log_loss").mean()
    theirs = DecisionTreeClassifier(random_state=0)
    theirs = -cross_val_score(theirs, X, y, scoring="neg_log_loss").mean()
    assert ours < theirs - 1.0


def test_importances_in_bits_are_what_the_leaves_know():
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    for criterion in ("entropy", "gain_ratio"):
        tree = TreeClassifier(criterion=criterion).fit(X, y)
        leaf = tree.apply(X)
        table = np.array([np.bincount(y[leaf == k], minlength=2) for k in np.unique(leaf)])

        def bits(counts):
            share = counts[counts > 0] / counts.sum()
            return -(share * np.log2(share)).sum()

        left = sum(row.sum() * bits(row) for row in table) / len(y)
        assert tree.importances_in_bits_.sum() == pytest.approx(
            bits(np.bincount(y)) - left, abs=1e-12
        )


# ------------------------------------------------------------------ odd and bad input


def test_odd_tables():
    rng = np.random.default_rng(0)
    constant = TreeClassifier().fit(np.ones((10, 2)), [0, 1] * 5)
    assert constant.n_nodes_ == 1
    assert constant.predict_proba([[1.0, 1.0]]).tolist() == [[0.5, 0.5]]
    one = TreeClassifier().fit(rng.normal(size=(10, 2)), ["only"] * 10)
    assert one.predict_proba([[0.0, 0.0]]).tolist() == [[1.0]]
    empty = TreeClassifier().fit(np.full((10, 1), np.nan), [0, 1] * 5)
    assert empty.n_nodes_ == 1
    names = pl.DataFrame({"c": pl.Series([None] * 6, dtype=pl.String)})
    assert TreeClassifier().fit(names, [0, 1] * 3).predict(names).tolist() == [0] * 6
    many = pd.DataFrame({"c": rng.integers(0, 22, 400).astype(str)})
    y = rng.integers(0, 60, 400)
    for nominal in ("subset", "multiway", "one_vs_rest"):
        proba = TreeClassifier(nominal=nominal, pruning=None).fit(many, y).predict_proba(many)
        np.testing.assert_allclose(proba.sum(1), 1.0, rtol=1e-12)


def test_more_than_256_classes():
    X = np.arange(600.0)[:, None]
    y = np.arange(600) // 2
    assert TreeClassifier(pruning=None).fit(X, y).score(X, y) == 1.0


def test_a_hundred_thousand_columns():
    X = np.zeros((40, 100_000))
    X[:, 77_777] = np.arange(40)
    tree = TreeClassifier().fit(X, np.arange(40) >= 20)
    assert tree.tree_.feature[0] == 77_777


def test_a_staircase_is_deep_and_does_not_overflow():
    x = np.arange(3000.0)
    y = (np.arange(3000) % 2).astype(int)
    tree = TreeClassifier(pruning=None, min_samples_leaf=1, criterion="gini").fit(x[:, None], y)
    assert tree.score(x[:, None], y) == 1.0
    assert tree.get_depth() > 100
    assert len(tree.to_rules().splitlines()) == 3000


BAD = [
    (
        {"criterion": "entorpy"},
        "`criterion` must be 'entropy', 'gain_ratio' or 'gini', got 'entorpy'",
    ),
    ({"nominal": 3}, "`nominal` must be 'subset', 'multiway' or 'one_vs_rest', got 3"),
    ({"missing": "drop"}, "`missing` must be"),
    ({"pruning": "some"}, "`pruning` must be"),
    ({"cf": 0.7}, "`cf` must be at most 0.5, got 0.7"),
    ({"leaf_estimate": -1}, "`leaf_estimate` must be positive and finite, got -1"),
    ({"leaf_estimate": "lapalce"}, "Did you mean 'laplace'?"),
    ({"max_depth": 0}, "`max_depth` must be an integer of at least 1, got 0"),
    ({"max_leaf_nodes": 1}, "`max_leaf_nodes` must be an integer of at least 2, got 1"),
    ({"min_samples_leaf": 0}, "`min_samples_leaf` must be positive and finite, got 0"),
    ({"min_gain": -1.0}, "`min_gain` must be 0 or positive, got -1.0"),
    ({"min_gain": "a"}, "`min_gain` must be 0 or positive, got 'a'"),
    ({"raising": "no"}, "`raising` must be True or False, got 'no'"),
    ({"n_jobs": "all"}, "`n_jobs` must be an integer or None, got 'all'"),
    ({"class_weight": {0: -1, 1: 2}}, "`class_weight[0]` must be finite, 0 or more, got -1."),
    ({"class_weight": {0: math.nan}}, "`class_weight[0]` must be finite, 0 or more, got nan."),
    ({"class_weight": {1: "a"}}, "`class_weight[1]` must be a number, got 'a'."),
    (
        {"class_weight": {"0": 2.0}},
        "`class_weight` must name classes of y, got '0'. y holds 0 and 1.",
    ),
    ({"class_weight": {0: 2.0, 2: 1.0, 3: 1.0}}, "must name classes of y, got 2 and 3. y holds 0"),
    (
        {"class_weight": "even"},
        "`class_weight` must be 'balanced', a dict of weights by class, or None, got 'even'.",
    ),
    ({"class_weight": [1.0, 2.0]}, "a dict of weights by class, or None, got [1.0, 2.0]."),
    ({"class_weight": {0: 0, 1: 0}}, "with a sum above 0 and below 1e+150"),
    ({"monotonic_cst": [2]}, "`monotonic_cst` must hold -1, 0 or 1 for each of the 1 columns"),
    ({"missing": "surrogate", "nominal": "multiway"}, "A surrogate imitates a split in two"),
]


@pytest.mark.parametrize(("options", "sentence"), BAD, ids=[str(o) for o, _ in BAD])
def test_wording(options, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        TreeClassifier(**options).fit([[0.0], [1.0]], [0, 1])
    assert sentence in str(caught.value)


def test_bad_tables():
    twice = pd.DataFrame([[1.0, 2.0]] * 4, columns=["a", "a"])
    with pytest.raises(ValueError, match="`X` must name each column once, got 'a' twice"):
        TreeClassifier().fit(twice, [0, 1, 0, 1])
    lists = pl.DataFrame({"a": [[1], [2]]})
    with pytest.raises(
        TypeError, match="`X` must hold in each column numbers, or names, booleans, dates or times"
    ):
        TreeClassifier().fit(lists, [0, 1])
    infinite = pl.DataFrame({"a": [1.0, np.inf]})
    with pytest.raises(
        ValueError, match=r"`X` must be finite or missing, got infinity in 'a'\[1\]"
    ):
        TreeClassifier().fit(infinite, [0, 1])
    with pytest.raises(
        ValueError, match="`sample_weight` must give some row a weight above 0, got zero for all"
    ):
        TreeClassifier().fit([[0.0], [1.0]], [0, 1], sample_weight=[0, 0])
    with pytest.raises(ValueError, match="`y` must have 2 values, one a row of X, got 3"):
        TreeClassifier().fit(pl.DataFrame({"a": [1.0, 2.0]}), [0, 1, 0])
    with pytest.raises(
        ValueError, match="`monotonic_cst` must go with numbers or 2 classes, got 3 classes"
    ):
        TreeClassifier(monotonic_cst=[1]).fit([[0.0], [1.0], [2.0]], [0, 1, 2])


@pytest.mark.parametrize("make", [pa.table, pl.DataFrame], ids=["arrow", "polars"])
def test_columns_without_a_type_are_missing(make):
    X = {"name": ["a", "b"] * 4, "number": [1.0, 2.0] * 4, "void": [None] * 8}
    tree = TreeClassifier().fit(make(X), [0, 1] * 4)
    assert tree.n_nodes_ == 3
    gone = make({"name": [None, None], "number": [None, None], "void": [None, None]})
    np.testing.assert_array_equal(tree.predict_proba(gone)[0], tree.predict_proba(gone)[1])
    with pytest.raises(ValueError, match="`X` must have rows and columns, got 0 rows"):
        TreeClassifier().fit(make({"void": []}), [])


def test_numbers_whose_squares_are_none():
    X = [[0.0], [1.0], [2.0], [3.0]]
    with pytest.raises(ValueError, match="sum above 0 and below 1e\\+150, got a least of 1e\\+307"):
        TreeClassifier().fit(X, [0, 0, 1, 1], sample_weight=[1e307] * 4)
    with pytest.raises(ValueError, match=r"`y` must be within 2.5e\+149 of 0, got 1e\+200"):
        TreeRegressor().fit(X, [0, 0, 1e200, 1])
    assert TreeRegressor(pruning=None, max_depth=2**70).fit(X, [0, 0, 1e149, 1e149]).n_nodes_ == 3


def test_numbers_far_from_zero_keep_their_digits():
    y = 1e9 + np.array([0.0, 0.0, 1.0, 1.0])
    tree = TreeRegressor(pruning=None).fit([[0.0], [1.0], [2.0], [3.0]], y)
    assert (tree.predict([[0.0], [3.0]]) - 1e9).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    "column",
    [
        pd.cut(np.arange(40.0), 4),
        pd.Categorical(pd.to_datetime(["2020-01-01", "2020-01-02"] * 20)),
        pd.Categorical([1, "a"] * 20, categories=[1, "a", "never"]),
    ],
    ids=["intervals", "days", "mixed"],
)
def test_categories_of_any_kind_are_names(column):
    X = pd.DataFrame({"c": column})
    y = np.asarray(X["c"].cat.codes) % 2
    X.loc[3, "c"] = None
    tree = TreeClassifier().fit(X, y)
    levels = tree.columns_[0].levels
    assert levels == tuple(str(v) for v in X["c"].cat.categories)
    assert (np.delete(tree.predict(X), 3) == np.delete(y, 3)).all()
    again = from_json(to_json(tree))
    assert (again.predict(X) == tree.predict(X)).all()
    assert str(levels[0]) in again.to_text()


@pytest.mark.parametrize("seed", range(5))
def test_a_leaf_of_equal_numbers_says_that_number(seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, 117) / 4
    for weight in (None, rng.integers(1, 9, len(y)) / 8):
        tree = TreeRegressor(pruning=None, min_samples_leaf=0.1)
        said = tree.fit(y[:, None], y, sample_weight=weight).predict(y[:, None])
        assert (said == y).all()
    assert TreeRegressor().fit(y[:, None], np.full(len(y), 0.1)).predict([[0.0]]) == [0.1]


@pytest.mark.parametrize("estimator", [TreeClassifier(), TreeRegressor()])
def test_a_fit_that_does_not_end_leaves_the_old_tree(estimator, monkeypatch):
    from xent.trees import _fit

    X = np.arange(12.0).reshape(6, 2)
    tree = clone(estimator).fit(X, [0, 0, 0, 1, 1, 1])
    before, said = dict(vars(tree)), tree.predict(X)
    with pytest.raises(ValueError, match="`y` must have 6 values"):
        tree.fit(pd.DataFrame({"a": range(6)}), [1, 2])

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_fit, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        tree.fit(pd.DataFrame({"a": range(3)}), [5, 6, 7])
    assert vars(tree) == before
    assert (tree.predict(X) == said).all()


@pytest.mark.parametrize("kind", [TreeClassifier, C45Classifier, CARTClassifier, ID3Classifier])
@pytest.mark.parametrize("splitter", ["auto", "histogram"])
def test_balanced_classes_count_no_row_of_weight_zero(kind, splitter):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(300, 3)).round(1)
    y = (X[:, 0] + rng.normal(size=300) > 1).astype(int)
    weight = rng.integers(0, 3, 300).astype(float)
    weight[(y == 1) & (rng.random(300) < 0.7)] = 0
    kept = weight > 0
    options = {"class_weight": "balanced", "splitter": splitter}
    some = kind(**options).fit(X, y, weight)
    same = kind(**options).fit(X[kept], y[kept], weight[kept])
    assert some.to_text() == same.to_text()
    assert (some.predict_proba(X) == same.predict_proba(X)).all()
    assert some.gain_table(X, y, sample_weight=weight) == same.gain_table(
        X[kept], y[kept], sample_weight=weight[kept]
    )
    rules = some.to_ruleset(X, y, weight)
    assert str(rules) == str(same.to_ruleset(X[kept], y[kept], weight[kept]))
    if splitter == "histogram":
        batch = pa.table({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": y, "w": weight})
        read = kind(**options).fit(lambda: iter((batch,)), "y", "w")
        assert (read.predict_proba(batch) == same.predict_proba(X)).all()
        assert (read.tree_.stats == same.tree_.stats).all()


def test_gain_table_weighs_the_classes():
    """The root's best gain is what importances say that its split has gained."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(200, 1))
    y = X[:, 0] + rng.normal(size=200) > 0.5
    tree = TreeClassifier(class_weight={True: 5}, max_depth=1, pruning=None).fit(X, y)
    (row,) = tree.gain_table(X, y)
    assert row["gain"] == pytest.approx(tree.importances_in_bits_[0], abs=1e-12)
