"""Sparse matrices: the tree of the dense table, in memory of about their own size."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from xent.trees import C45Classifier, CARTClassifier, TreeClassifier, TreeRegressor


def some_rows(n=900, d=12, missing=False):
    rng = np.random.default_rng(d)
    X = np.where(rng.random((n, d)) < rng.uniform(0.02, 0.6, d), rng.normal(size=(n, d)), 0.0)
    X[:, 3] = X[:, 3].round(1) + 0.0  # no -0.0, which is 0 where nothing is stored
    X[:, 5] = 1.0 + rng.integers(0, 4, n)  # nothing is zero
    X[:, 6] = 0.0  # everything is
    if missing:
        X[rng.random((n, d)) < 0.03] = np.nan
    y = (np.nan_to_num(X[:, 3]) > 0) ^ (np.nan_to_num(X[:, 5]) > 2) ^ (rng.random(n) < 0.1)
    return X, y + (np.nan_to_num(X[:, 1]) > 0).astype(int), rng


OPTIONS = [
    {},
    {"criterion": "gini", "pruning": None, "max_leaf_nodes": 30},
    {"criterion": "gain_ratio", "missing": "fractional"},
    {"missing": "branch"},
    {"missing": "surrogate"},
    {"n_jobs": 3, "pruning": None, "min_samples_leaf": 5},
]


@pytest.mark.grid
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("splitter", ["auto", "histogram"])
def test_the_tree_of_the_dense_table(options, missing, splitter):
    X, y, rng = some_rows(missing=missing)
    stored = X.copy()
    for weight in (None, rng.integers(0, 3, len(y))):
        a = TreeClassifier(splitter=splitter, **options).fit(X, y, sample_weight=weight)
        for form in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array):
            b = TreeClassifier(splitter=splitter, **options)
            b.fit(form(stored), y, sample_weight=weight)
            assert a.to_text() == b.to_text()
            assert a.n_nodes_ > 5
            np.testing.assert_allclose(a.tree_.threshold, b.tree_.threshold, rtol=0, atol=0)
            np.testing.assert_allclose(
                a.predict_proba(X), b.predict_proba(form(stored)), rtol=1e-12
            )
            np.testing.assert_array_equal(b.apply(X), b.apply(form(stored)))
    gains = [row["gain"] for row in a.gain_table(X, y)]
    others = [row["gain"] for row in a.gain_table(sparse.csr_array(X), y)]
    assert [g is None for g in gains] == [g is None for g in others]
    np.testing.assert_allclose(
        [g for g in gains if g is not None], [g for g in others if g is not None], rtol=1e-9
    )


def test_numbers_and_constraints():
    X, y, rng = some_rows()
    target = y + X[:, 2] + rng.normal(size=len(y)) * 0.1
    options = {"pruning": None, "max_depth": 5, "monotonic_cst": [0, 0, 1] + [0] * 9}
    a = TreeRegressor(**options).fit(X, target)
    b = TreeRegressor(**options).fit(sparse.csr_array(X), target)
    np.testing.assert_allclose(a.predict(X), b.predict(sparse.csc_array(X)), rtol=1e-9)
    options["monotonic_cst"] = [0, -1, 0, 1] + [0] * 8
    a = TreeClassifier(**options).fit(X, y > 1)
    b = TreeClassifier(**options).fit(sparse.csr_array(X), y > 1)
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


@pytest.mark.parametrize("pruning", ["reduced_error", "cost_complexity"])
def test_cases_are_dealt_by_content(pruning):
    X, y, rng = some_rows()
    order = rng.permutation(len(y))
    a = TreeClassifier(pruning=pruning).fit(sparse.csr_array(X), y)
    b = TreeClassifier(pruning=pruning).fit(sparse.csr_array(X[order]), y[order])
    assert a.to_text() == b.to_text()
    assert a.score(X, y) > 0.7


def test_stored_zeros_are_zeros():
    X, y, _ = some_rows()
    full = sparse.csr_array(np.ones_like(X))
    full.data[:] = X.ravel()
    before = full.data.copy()
    a, b = TreeClassifier().fit(X, y), TreeClassifier().fit(full, y)
    assert a.to_text() == b.to_text()
    np.testing.assert_array_equal(full.data, before)
    np.testing.assert_array_equal(a.predict(X), b.predict(full))


def test_a_hundred_thousand_rows_and_columns():
    """80 GB if it were dense; a few times the matrix as it is."""
    rng = np.random.default_rng(0)
    n = d = 100_000
    rows, columns = np.repeat(np.arange(n), 5), rng.integers(0, d, 5 * n)
    X = sparse.coo_array((rng.random(5 * n) + 0.5, (rows, columns)), shape=(n, d)).tocsr()
    mark = rng.random(n) < 0.3
    extra = sparse.coo_array(
        (np.ones(mark.sum()), (np.flatnonzero(mark), np.full(mark.sum(), 77_777))), shape=(n, d)
    )
    X = (X + extra).tocsr()
    y = mark ^ (rng.random(n) < 0.05)
    held = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    TreeClassifier().fit(X[:50], y[:50])  # compiled before it is measured
    tracemalloc.start()
    tree = TreeClassifier(max_depth=3).fit(X, y)
    right = tree.score(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert tree.tree_.feature[0] == 77_777
    assert right > 0.94
    assert peak < 12 * held


@pytest.mark.parametrize("kind", [C45Classifier, CARTClassifier])
def test_presets(kind):
    X, y, _ = some_rows()
    a = kind(pruning="pessimistic").fit(X, y)
    b = kind(pruning="pessimistic").fit(sparse.csr_array(X), y)
    assert a.to_text() == b.to_text()
