"""Small nodes are grown by another kernel: the tree is the one that level by level gives."""

import numpy as np
import pytest

from xent.trees import TreeClassifier
from xent.trees._grow import ordered, small_nodes

OPTIONS = [
    {},
    {"criterion": "gini"},
    {"criterion": "gain_ratio"},
    {"missing": "fractional", "max_depth": 4},
    {"min_samples_leaf": 7, "min_gain": 0.01},
    {"min_samples_split": 50},
]


def tables():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2500, 5))
    yield X, (X[:, 0] + X[:, 1] * X[:, 2] > rng.normal(size=2500) / 2).astype(int)
    X = np.column_stack([rng.integers(0, 400, 2500), X[:, 0].round(1), X[:, 1] > 1, np.ones(2500)])
    yield X.astype(float), rng.integers(0, 3, 2500) + (X[:, 0] > 200)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("table", range(2))
def test_the_same_tree_to_the_last_bit(options, table, monkeypatch):
    X, y = list(tables())[table]
    plain = {"pruning": None, "min_samples_leaf": 1}
    found = []
    monkeypatch.setattr(small_nodes, "FILL", 200)
    # None is small, all is small, and the nodes in between; on one thread and on three.
    for small, jobs in ((0, 1), (4096, 1), (600, 1), (600, 3)):
        monkeypatch.setattr(small_nodes, "SMALL", small)
        tree = TreeClassifier(**{**plain, **options}, n_jobs=jobs).fit(X, y)
        found.append({k: a.tobytes() for k, a in tree.tree_.arrays().items()})
    assert tree.n_nodes_ >= 3
    for other in found[1:]:
        assert other == found[0]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("classes", [2, 7])
@pytest.mark.parametrize("small", [0, 600])
def test_columns_of_two_values_side_by_side(options, classes, small, monkeypatch):
    """Counted eight at a time, the tree is the one that counting each column gives."""
    rng = np.random.default_rng(classes)
    X = (rng.random((2000, 19)) < rng.uniform(0, 0.6, 19)).astype(float)
    X[:, 3] = 5.0  # constant
    X[:, 5] = rng.normal(size=2000)
    X[:, 7] = rng.integers(0, 4, 2000)
    X[:, 9] = 1 - X[:, 8]  # a tie with the column before it
    X[rng.random(2000) < 0.1, 11] = -7.0  # three values
    score = X[:, 0] + 2 * X[:, 8] + X[:, 5] + rng.normal(size=2000)
    y = np.clip(np.round(score), 0, classes - 1).astype(int)
    monkeypatch.setattr(small_nodes, "SMALL", small)
    plain = {"pruning": None, "min_samples_leaf": 1}
    side_by_side = TreeClassifier(**{**plain, **options}, n_jobs=2).fit(X, y).tree_.arrays()
    monkeypatch.setattr(ordered.Ordered, "pack", lambda columns: None)
    tree = TreeClassifier(**{**plain, **options}).fit(X, y)
    assert tree.n_nodes_ >= 3
    assert not (tree.tree_.feature == 9).any()
    for name, array in tree.tree_.arrays().items():
        assert array.tobytes() == side_by_side[name].tobytes()


def test_classes_as_numpy_finds_them():
    from xent.trees._table.target import _distinct

    for kind in ("int8", "uint8", "int64", "uint64", "bool"):
        top = True if kind == "bool" else np.iinfo(kind).max
        low = False if kind == "bool" else np.iinfo(kind).min
        for values in ([top, low, top], [top] * 3, [low, low + (kind != "bool"), low]):
            array = np.array(values, kind)
            classes, codes = _distinct(array)
            expected = np.unique(array, return_inverse=True)
            assert classes.dtype == array.dtype
            assert (classes == expected[0]).all()
            assert (codes == expected[1]).all()


@pytest.mark.parametrize("small", [0, 4096])
def test_more_rows_alike_than_a_byte_counts(small, monkeypatch):
    rng = np.random.default_rng(1)
    X = (rng.random((1200, 19)) < 0.5).astype(float)
    y = (np.arange(1200) >= 600).astype(int)
    X[:, 2] = y == 0  # 600 ones of one class, one after the other
    X[:, 1] = np.where(rng.random(1200) < 0.05, 1 - y, y)
    monkeypatch.setattr(small_nodes, "SMALL", small)
    tree = TreeClassifier(pruning=None).fit(X, y)
    assert tree.tree_.feature[0] == 2
    assert tree.n_nodes_ == 3
    assert (tree.predict(X) == y).all()
