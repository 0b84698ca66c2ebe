"""Regression trees of counts: half the Poisson deviance is what a split lowers."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from scipy.special import xlogy
from sklearn.metrics import mean_poisson_deviance
from sklearn.tree import DecisionTreeRegressor

from xent.trees import TreeRegressor


def claims(seed=0, rows=600, columns=4):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 40, (rows, columns)).astype(float)
    y = rng.poisson(np.exp(0.05 * X[:, 0] - 1 + 0.5 * (X[:, 1] > 20)))
    return rng, X, y


def ours(**options):
    return TreeRegressor(**{"criterion": "poisson", "pruning": None, **options})


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_tree_of_scikit_learn(seed):
    rng, X, y = claims(seed)
    y = y + rng.uniform(0, 0.1, len(y))  # no two splits gain alike
    mine = ours(max_depth=5, min_samples_leaf=5).fit(X, y)
    theirs = DecisionTreeRegressor(
        criterion="poisson", max_depth=5, min_samples_leaf=5, random_state=0
    ).fit(X, y)
    np.testing.assert_allclose(mine.predict(X), theirs.predict(X), rtol=1e-12)
    assert mine.tree_.size == theirs.tree_.node_count


def test_every_way_to_search_finds_the_same_tree():
    _, X, y = claims(8, 3000)
    whole = ours(max_depth=6, min_samples_leaf=5).fit(X, y).predict(X)
    others = [
        ours(max_depth=6, min_samples_leaf=5, splitter="histogram").fit(X, y).predict(X),
        ours(max_depth=6, min_samples_leaf=5).fit(csr_array(X), y).predict(csr_array(X)),
        ours(max_depth=6, min_samples_leaf=5, n_jobs=2).fit(X, y).predict(X),
        ours(max_depth=6, min_samples_leaf=5).fit(X, y, np.full(len(y), 1.0)).predict(X),
    ]
    for other in others:
        np.testing.assert_allclose(other, whole, rtol=1e-12)


def test_rates_with_exposures_as_weights():
    rng, X, y = claims(3)
    exposure = rng.uniform(0.1, 3, len(y))
    least = 20.0
    mine = ours(max_depth=4, min_samples_leaf=least).fit(X, y / exposure, exposure)
    theirs = DecisionTreeRegressor(
        criterion="poisson",
        max_depth=4,
        min_weight_fraction_leaf=least / exposure.sum(),
        random_state=0,
    ).fit(X, y / exposure, exposure)
    np.testing.assert_allclose(mine.predict(X), theirs.predict(X), rtol=1e-10)
    # A leaf's rate is its counts over its exposures, and the rates add up to all counts.
    assert (mine.predict(X) * exposure).sum() == pytest.approx(y.sum(), rel=1e-12)


def half_deviance(y, w):
    mean = np.average(y, weights=w)
    return float(np.sum(w * (xlogy(y, y) - xlogy(y, mean))))


def test_groups_of_levels_against_all_of_them():
    """The best of all 2^k - 1 ways to divide six levels in two, none of a branch without counts."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        level = rng.integers(0, 6, 80)
        y = rng.poisson(np.array([0.1, 0.5, 1, 2, 4, 0.2])[level]).astype(float)
        y[level == 5] = 0  # a level of no counts must not stand alone
        w = rng.uniform(0.5, 2, 80)
        table = pd.DataFrame({"level": np.array(list("abcdef"))[level]})
        one = ours(max_depth=1, min_samples_leaf=0.01).fit(table, y, w)
        best = np.inf
        for size in range(1, 6):
            for group in combinations(range(6), size):
                left = np.isin(level, group)
                if left.all() or not left.any() or not y[left].any() or not y[~left].any():
                    continue
                best = min(
                    best, half_deviance(y[left], w[left]) + half_deviance(y[~left], w[~left])
                )
        said = one.predict(table)
        assert (said > 0).all()
        got = sum(half_deviance(y[said == v], w[said == v]) for v in np.unique(said))
        assert got == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("missing", ["direction", "branch", "fractional", "surrogate"])
def test_missing_values_and_names(missing):
    rng, X, y = claims(4)
    table = pd.DataFrame(X, columns=list("abcd")).assign(
        e=np.array(list("xyz"))[rng.integers(0, 3, len(y))]
    )
    table[rng.random(table.shape) < 0.1] = None
    tree = ours(missing=missing, max_depth=4, min_samples_leaf=10).fit(table, y)
    said = tree.predict(table)
    assert (said > 0).all()
    assert mean_poisson_deviance(y, said) < 0.9 * mean_poisson_deviance(
        y, np.full(len(y), y.mean())
    )


@pytest.mark.parametrize("pruning", ["cost_complexity", "reduced_error"])
def test_pruned_trees_are_better_on_new_rows(pruning):
    _, X, y = claims(5, 1500)
    _, new, truth = claims(6, 1500)
    deviance = [
        mean_poisson_deviance(truth, ours(pruning=p, min_samples_leaf=5).fit(X, y).predict(new))
        for p in (None, pruning)
    ]
    assert deviance[1] < deviance[0]


def test_a_monotone_constraint_is_kept():
    _, X, y = claims(7)
    tree = ours(monotonic_cst=[1, 0, 0, 0], min_samples_leaf=10).fit(X, y)
    line = np.repeat(X[:50], 40, axis=0)
    line[:, 0] = np.tile(np.arange(40), 50)
    assert (np.diff(tree.predict(line).reshape(50, 40), axis=1) >= 0).all()


def test_no_branch_has_the_mean_0():
    X = np.arange(40.0)[:, None]
    y = np.r_[np.zeros(20), np.full(20, 0.1)]  # tenths: what subtracting leaves is no exact 0
    tree = ours(min_samples_leaf=1).fit(X, y)
    assert tree.predict(X).min() > 0
    nothing = ours().fit(X, np.zeros(40))
    assert nothing.tree_.size == 1
    assert nothing.predict(X).max() == 0


def test_refusals():
    with pytest.raises(ValueError, match='`y` must be 0 or more for criterion="poisson", got -1'):
        ours().fit([[1.0], [2.0]], [1, -1])
    with pytest.raises(ValueError, match="'squared_error' or 'poisson'"):
        TreeRegressor(criterion="gini").fit([[1.0], [2.0]], [1, 2])
