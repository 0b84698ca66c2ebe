"""The path of a row, and a tree cut at a node."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from xent.trees import C45Classifier, TreeClassifier, TreeRegressor, from_json, to_json

X, Y = load_iris(return_X_y=True)


def test_paths_are_those_of_scikit_learn():
    ours = TreeClassifier(criterion="gini", pruning=None, min_samples_leaf=1, max_depth=2).fit(X, Y)
    theirs = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, Y)
    path, other = ours.decision_path(X), theirs.decision_path(X)
    assert path.shape == (150, ours.n_nodes_)
    # Nodes are numbered otherwise: the weights of what passes each are the same.
    assert sorted(path.sum(0).A1) == sorted(other.sum(0).A1)
    assert (path.sum(1).A1 == other.sum(1).A1).all()
    assert (path[np.arange(150), ours.apply(X)].A1 == 1).all()


def test_a_row_that_is_spread_passes_every_branch():
    gaps = X.copy()
    gaps[::7] = np.nan
    tree = C45Classifier().fit(X, Y)
    path = tree.decision_path(gaps)
    assert set(path.data) == {1}
    assert (tree.n_nodes_ == path[::7].sum(1).A1).all()
    parent = tree.tree_.parent()
    dense = path.toarray()
    for node in range(1, tree.n_nodes_):
        assert (dense[:, node] <= dense[:, parent[node]]).all()


@pytest.mark.parametrize("kind", [TreeClassifier, TreeRegressor, C45Classifier])
def test_a_cut_node_is_a_leaf_with_its_own_value(kind):
    tree = kind(pruning=None).fit(X, Y)
    passed, before = tree.decision_path(X).toarray().astype(bool), tree.predict(X)
    for node in np.flatnonzero(~tree.tree_.leaf):
        cut = tree.cut(node)
        inside = passed[:, node]
        said = tree.value_[node, 0] if kind is TreeRegressor else tree.value_[node].argmax()
        assert (cut.predict(X)[inside] == said).all()
        assert (cut.predict(X)[~inside] == before[~inside]).all()
        assert cut.get_n_leaves() <= tree.get_n_leaves()
        assert from_json(to_json(cut)).to_text() == cut.to_text()
    assert (tree.predict(X) == before).all()
    assert tree.cut(0).n_nodes_ == 1
    with pytest.raises(ValueError, match="`node` must be a node that is divided: 0"):
        tree.cut(int(np.flatnonzero(tree.tree_.leaf)[0]))
    with pytest.raises(ValueError, match="`node` must be an integer of at least 0, got -1"):
        tree.cut(-1)
