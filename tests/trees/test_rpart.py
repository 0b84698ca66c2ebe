"""CART is CART, on tables that R brings: the nodes and predictions that rpart printed.

Left out are the tables where rpart follows a rounding error between two equal splits, and those
where its surrogates of names differ: it takes one that sends a single case to one side, which it
refuses of numbers, and refuses some that agree with the split on every case.
"""

import json

import numpy as np
import pandas as pd
import pytest

from trees.rpart import CONTROLS, PROGRAM, RECORDED, TABLES, ask
from xent.trees import CARTClassifier, CARTRegressor
from xent.trees._prune import alphas


@pytest.fixture(scope="module")
def recorded():
    return json.loads(RECORDED.read_text())["tables"]


@pytest.mark.skipif(PROGRAM is None, reason="R is not installed; what it said is recorded")
def test_r_says_what_is_recorded(recorded):
    found = ask()
    if found is None:
        pytest.skip("R has no rpart; what it said is recorded")
    for name, table in found["tables"].items():
        assert table["columns"] == recorded[name]["columns"], name
        for least, tree in table["trees"].items():
            kept = recorded[name]["trees"][least]
            assert tree["nodes"] == kept["nodes"]
            a, b = (np.array(t["said"])[t["which"]] for t in (tree, kept))
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def frame_of_rpart(columns):
    made = {}
    for column in columns:
        values = pd.Series([value or None for value in column["values"]])
        if column["levels"]:
            made[column["name"]] = pd.Categorical(values, categories=column["levels"])
        else:
            made[column["name"]] = values.astype(float)
    return pd.DataFrame(made)


@pytest.mark.parametrize("least", CONTROLS, ids=str)
@pytest.mark.parametrize("name", TABLES)
def test_the_tree_of_rpart(recorded, name, least):
    columns = recorded[name]["columns"]
    printed = recorded[name]["trees"][str(least[1])]
    theirs = np.array(printed["said"])[printed["which"]]
    frame = frame_of_rpart(columns)
    X, y, levels = frame.iloc[:, :-1], frame.iloc[:, -1], columns[-1]["levels"]
    options = {"pruning": None, "min_samples_split": least[0], "min_samples_leaf": least[1]}
    if levels:
        tree = CARTClassifier(**options).fit(X, y.astype(str))
        # rpart keeps no split that saves no error.
        tree.tree_ = tree.tree_.compact(alphas(tree.tree_, tree.criterion) <= 1e-12)
        tree.value_ = tree.tree_.stats / tree.tree_.stats.sum(1, keepdims=True)
        said = np.zeros(theirs.shape)
        said[:, [levels.index(c) for c in tree.classes_]] = tree.predict_proba(X)
    else:
        tree = CARTRegressor(**options).fit(X, y)
        said = tree.predict(X)[:, None]
    assert tree.n_nodes_ == printed["nodes"]
    np.testing.assert_allclose(said, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("tree", [CARTClassifier, CARTRegressor])
@pytest.mark.parametrize(("rows", "leaves"), [(13, 1), (14, 2)])
def test_seven_cases_a_leaf_as_rpart_has_it(tree, rows, leaves):
    """Its default: minbucket = round(minsplit / 3), and minsplit = 20."""
    X, y = np.arange(float(rows))[:, None], (np.arange(rows) >= rows // 2).astype(float)
    found = tree(pruning=None).fit(X, y if tree is CARTRegressor else y.astype(str))
    assert found.get_n_leaves() == leaves
