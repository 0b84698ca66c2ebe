"""CART is CART: rpart's kyphosis tree and scikit-learn's cost-complexity path."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from xent.trees import CARTClassifier, TreeClassifier, TreeRegressor


@pytest.fixture
def kyphosis(rpart):
    table = pd.DataFrame(rpart["data"])
    return table[["Age", "Number", "Start"]], table["Kyphosis"]


def test_kyphosis(kyphosis, rpart):
    X, y = kyphosis
    tree = CARTClassifier(pruning=None, min_samples_split=20).fit(X, y)
    # rpart prints where a missing value goes apart, and so does the next test.
    known = re.sub("(, if missing [^:|]*?)?( or missing)?(?=:|$)", "", tree.to_text(), flags=re.M)
    assert known == "\n".join(
        [
            "Start <= 8.5: present (19/8)",
            "Start > 8.5",
            "|   Start <= 14.5",
            "|   |   Age <= 55: absent (12)",
            "|   |   Age > 55",
            "|   |   |   Age <= 111: present (7/3)",
            "|   |   |   Age > 111: absent (14/2)",
            "|   Start > 14.5: absent (29)",
        ]
    )
    alphas = tree.cost_complexity_path(risk="error") / rpart["root_error"]
    assert alphas == pytest.approx([0.0, *rpart["cp"][1::-1]], abs=5e-7)
    for row in tree.gain_table(X, y):
        gain = rpart["root_splits"][row["column"]][1]
        assert row["gain"] * len(X) == pytest.approx(gain, abs=5e-9)
        assert row["chosen"] == (row["column"] == "Start")
    gains = {"Start": [], "Age": []}
    for node in np.flatnonzero(tree.tree_.feature >= 0):
        row = next(row for row in tree.gain_table(X, y, node=int(node)) if row["chosen"])
        gains[row["column"]].append(row["gain"] * reaching(tree, X, node).sum())
    for column, found in gains.items():
        assert found == pytest.approx(rpart["improve"][column], abs=5e-9)


def test_kyphosis_surrogates(kyphosis, rpart):
    X, y = kyphosis
    tree = CARTClassifier(pruning=None, min_samples_split=20).fit(X, y)
    t = tree.tree_
    found = []
    for node in range(t.size):
        for s in range(t.surrogate_start[node], t.surrogate_start[node + 1]):
            own = X.iloc[:, t.feature[node]] > t.threshold[node]
            other = X.iloc[:, t.surrogate_feature[s]] > t.surrogate_threshold[s]
            here = reaching(tree, X, node)
            agree = ((own == (other ^ bool(t.surrogate_flip[s])))[here]).mean()
            test = f"{X.columns[t.feature[node]]} < {t.threshold[node]:g}"
            found.append([test, X.columns[t.surrogate_feature[s]], t.surrogate_threshold[s], agree])
    assert [f[:3] for f in found] == [s[:3] for s in rpart["surrogates"]]
    assert [f[3] for f in found] == pytest.approx([s[3] for s in rpart["surrogates"]], abs=5e-9)


def reaching(tree, X, node):
    parent, at = tree.tree_.parent(), tree.apply(X)
    reached = at == node
    while (at > 0).any():
        at = np.where(at > 0, parent[at], at)
        reached |= at == node
    return reached


def test_kyphosis_with_missing_values(kyphosis, rpart):
    X, y = kyphosis
    X = X.astype(float)
    X.loc[[2, 9, 19, 39], "Start"] = np.nan
    X.loc[[4, 49], "Age"] = np.nan
    tree = CARTClassifier(pruning=None, min_samples_split=10, min_samples_leaf=4).fit(X, y)
    from xent.trees._prune import alphas

    alpha = alphas(tree.tree_, "gini")
    tree.tree_ = tree.tree_.compact(alpha <= 1e-12)  # rpart keeps no split that saves no error
    tree.value_ = tree.tree_.stats / tree.tree_.stats.sum(1, keepdims=True)
    assert tree.n_nodes_ == rpart["missing"]["nodes"]
    np.testing.assert_allclose(tree.predict_proba(X)[:, 1], rpart["missing"]["present"], atol=5e-7)


@pytest.mark.parametrize("criterion", ["entropy", "gini"])
@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_path_of_scikit_learn(load, criterion):
    X, y = load(return_X_y=True)
    options = {"min_samples_leaf": 5, "max_depth": 6}
    theirs = DecisionTreeClassifier(criterion=criterion, random_state=0, **options).fit(X, y)
    ours = TreeClassifier(criterion=criterion, pruning=None, **options).fit(X, y)
    assert ours.n_nodes_ == theirs.tree_.node_count
    path = theirs.cost_complexity_pruning_path(X, y).ccp_alphas
    np.testing.assert_allclose(ours.cost_complexity_path(), np.unique(path.round(12)), atol=1e-9)


def test_path_of_numbers():
    X, y = load_diabetes(return_X_y=True)
    theirs = DecisionTreeRegressor(random_state=0, min_samples_leaf=10, max_depth=5).fit(X, y)
    ours = TreeRegressor(pruning=None, min_samples_leaf=10, max_depth=5).fit(X, y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    path = theirs.cost_complexity_pruning_path(X, y).ccp_alphas
    np.testing.assert_allclose(ours.cost_complexity_path(), path, rtol=1e-6)


def test_cross_validation_prunes_noise_and_keeps_what_matters():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    noise = rng.integers(0, 2, 600)
    assert CARTClassifier().fit(X, noise).get_n_leaves() < 6
    assert CARTClassifier(pruning=None).fit(X, noise).get_n_leaves() > 20
    y = (X[:, 0] > 0) & (X[:, 1] > 0)
    assert CARTClassifier().fit(X, y).score(X, y) > 0.97


def test_of_many_prunings_the_first_and_the_last_are_tried():
    """More than fifty: nothing is cut where all is true, all where nothing is."""
    luck = np.random.default_rng(3)
    X = np.repeat(np.arange(400.0), 12)[:, None]
    options = {"min_samples_leaf": 1, "min_samples_split": 2}
    each = np.repeat(luck.permutation(400).astype(float), 12)  # a level its own, twelve times
    full = TreeRegressor(pruning=None, **options).fit(X, each)
    assert len(full.cost_complexity_path()) > 60
    whole = TreeRegressor(pruning="cost_complexity", **options).fit(X, each)
    assert whole.get_n_leaves() == full.get_n_leaves() == 400
    X, noise = luck.normal(size=(600, 3)), luck.normal(size=600)
    full = TreeRegressor(pruning=None, **options).fit(X, noise)
    assert len(full.cost_complexity_path()) > 60
    assert TreeRegressor(pruning="cost_complexity", **options).fit(X, noise).get_n_leaves() == 1


def test_one_row_is_in_one_fold_and_all_others_have_none():
    assert CARTClassifier().fit([[1.0]], ["a"]).predict([[2.0]]).tolist() == ["a"]
    heavy = CARTClassifier().fit([[1.0], [2.0]], ["a", "b"], sample_weight=[0, 3])
    assert heavy.predict([[1.0]]).tolist() == ["b"]


def test_reduced_error_prunes_noise():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 4))
    noise = rng.integers(0, 2, 900)
    full = TreeClassifier(pruning=None).fit(X, noise).get_n_leaves()
    assert TreeClassifier(pruning="reduced_error").fit(X, noise).get_n_leaves() < full / 2
    y = X[:, 0] > 0
    assert TreeClassifier(pruning="reduced_error").fit(X, y).score(X, y) > 0.99
    number = TreeRegressor(pruning="reduced_error").fit(X, y * 3.0)
    assert number.score(X, y * 3.0) > 0.98


@pytest.mark.parametrize("leaves", [2, 3, 7, 12])
def test_best_first(leaves):
    X, y = load_breast_cancer(return_X_y=True)
    theirs = DecisionTreeClassifier(
        criterion="entropy", random_state=0, max_leaf_nodes=leaves, min_samples_leaf=5
    ).fit(X, y)
    ours = TreeClassifier(pruning=None, max_leaf_nodes=leaves, min_samples_leaf=5).fit(X, y)
    assert ours.get_n_leaves() == theirs.get_n_leaves() == leaves
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
