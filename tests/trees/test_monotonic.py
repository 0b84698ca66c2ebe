"""What may only rise never falls: with gaps, surrogates, shares and weights, on every row."""

from itertools import product

import numpy as np
import pytest

from xent.trees import TreeClassifier, TreeRegressor

GRID = np.linspace(-3, 3, 13)


def table(seed, gaps=0.2):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(250, 3)).round(1)
    y = X[:, 0] + np.sin(3 * X[:, 1]) + X[:, 2] * X[:, 1] + rng.normal(size=250)
    X[rng.random(X.shape) < gaps] = np.nan
    return X, y


@pytest.mark.grid
@pytest.mark.parametrize("missing", ["direction", "fractional", "branch", "surrogate"])
@pytest.mark.parametrize("splitter", ["auto", "histogram"])
def test_a_column_only_raises_or_lowers(missing, splitter):
    for seed, pruning, signs, weighted in product(
        range(3), (None, "reduced_error"), ([1, 0, 0], [-1, 0, 1]), (False, True)
    ):
        X, y = table(seed)
        rng = np.random.default_rng(seed)
        weight = rng.integers(0, 4, len(y)).astype(float) if weighted else None
        options = {"missing": missing, "splitter": splitter, "pruning": pruning}
        rows = rng.normal(size=(60, 3))
        rows[20:][rng.random((40, 3)) < 0.4] = np.nan  # the first 20 know every value
        for kind, target in ((TreeClassifier, y > 0), (TreeRegressor, y)):
            tree = kind(**options, monotonic_cst=signs).fit(X, target, weight)
            for j in np.flatnonzero(signs):
                said = []
                for value in GRID:
                    rows[:, j] = value
                    said.append(
                        tree.predict(rows)
                        if kind is TreeRegressor
                        else tree.predict_proba(rows)[:, 1]
                    )
                assert (np.diff(said, axis=0) * signs[j] >= -1e-12).all()


def test_a_constrained_column_is_no_surrogate():
    X, y = table(0)
    X[:, 2] = X[:, 0] + X[:, 1] / 10
    tree = TreeClassifier(missing="surrogate", monotonic_cst=[1, 0, 0], pruning=None).fit(X, y > 0)
    assert len(tree.tree_.surrogate_feature)
    assert (tree.tree_.surrogate_feature != 0).all()
