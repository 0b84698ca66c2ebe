"""The best split, against searches that try everything."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

from xent.trees import C45Classifier, TreeClassifier, TreeRegressor


def entropy_bits(y, classes):
    n = np.bincount(y, minlength=classes)
    share = n[n > 0] / n.sum()
    return -(share * np.log2(share)).sum() * len(y)


def gini(y, classes):
    n = np.bincount(y, minlength=classes)
    return len(y) - (n * n).sum() / len(y)


IMPURITY = {"entropy": entropy_bits, "gini": gini}


def root_gain(y, sides, criterion="entropy"):
    impurity, k = IMPURITY[criterion], y.max() + 1
    return impurity(y, k) - sum(impurity(y[sides == s], k) for s in np.unique(sides))


def branch(tree, X):
    """Child of the root that each row takes."""
    tree.tree_ = tree.tree_.compact(np.arange(tree.tree_.size) > 0)
    return tree.apply(X)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("criterion", ["entropy", "gini"])
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("values", [12, 400])
def test_numeric_cut(seed, criterion, classes, values):
    rng = np.random.default_rng(seed)
    n = 500 if values > 256 else 90
    X = rng.integers(0, values, (n, 3)).astype(float)
    y = rng.integers(0, classes, n)
    y[X[:, 1] > values / 3] = 0
    tree = TreeClassifier(criterion=criterion, pruning=None, max_depth=1, min_samples_leaf=5).fit(
        X, y
    )
    best = -1.0
    for f in range(3):
        for t in np.unique(X[:, f])[:-1]:
            left = X[:, f] <= t
            if min(left.sum(), (~left).sum()) >= 5:
                best = max(best, root_gain(y, left.astype(int), criterion))
    found = root_gain(y, branch(tree, X), criterion)
    assert found == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("values", [9, 600])
def test_direction_of_missing_numbers(seed, values):
    rng = np.random.default_rng(seed)
    n = 900 if values > 256 else 80
    x = rng.integers(0, values, n).astype(float)
    x[rng.random(n) < 0.25] = np.nan
    y = ((np.isnan(x) | (x > values / 2)) ^ (rng.random(n) < 0.2)).astype(int)
    tree = TreeClassifier(pruning=None, max_depth=1, min_samples_leaf=1).fit(x[:, None], y)
    gone, known = np.isnan(x), np.unique(x[~np.isnan(x)])
    cuts = [np.where(gone, side, x > t) for t in known for side in (False, True)]
    best = max(root_gain(y, c.astype(int)) for c in cuts if 0 < c.sum() < n)
    assert root_gain(y, branch(tree, x[:, None])) == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_groups_of_levels(seed, classes):
    """Exact for two classes; for more never far from the best of all 2^8 groupings."""
    rng = np.random.default_rng(seed)
    code = rng.integers(0, 9, 300)
    share = rng.dirichlet(np.ones(classes), 9)
    y = np.array([rng.choice(classes, p=share[c]) for c in code])
    X = pd.DataFrame({"c": pd.Categorical.from_codes(code, list("abcdefghi"))})
    tree = TreeClassifier(pruning=None, max_depth=1, min_samples_leaf=1).fit(X, y)
    groups = (g for r in range(1, 5) for g in combinations(range(9), r))
    best = max(root_gain(y, np.isin(code, g).astype(int)) for g in groups)
    found = root_gain(y, branch(tree, X))
    assert found <= best * (1 + 1e-12)
    assert found >= best * (1 - 1e-12 if classes == 2 else 0.97)


def test_groups_of_levels_of_a_number():
    rng = np.random.default_rng(3)
    code = rng.integers(0, 8, 200)
    y = rng.normal(size=8)[code] + rng.normal(size=200)
    X = pd.DataFrame({"c": pd.Categorical.from_codes(code, list("abcdefgh"))})
    tree = TreeRegressor(pruning=None, max_depth=1, min_samples_leaf=1).fit(X, y)

    def error(side):
        return sum(((y[side == s] - y[side == s].mean()) ** 2).sum() for s in (0, 1))

    groups = (g for r in range(1, 5) for g in combinations(range(8), r))
    best = min(error(np.isin(code, g).astype(int)) for g in groups)
    side = branch(tree, X)
    assert error((side == side.max()).astype(int)) == pytest.approx(best, rel=1e-12)


def test_a_name_with_many_levels_does_not_win_by_chance():
    rng = np.random.default_rng(9)
    y = rng.integers(0, 2, 2000)
    X = pd.DataFrame(
        {
            "noise": pd.Categorical.from_codes(
                rng.integers(0, 500, 2000), [f"v{i}" for i in range(500)]
            ),
            "signal": y + rng.normal(size=2000) * 1.5,
        }
    )
    tree = TreeClassifier(max_depth=1, pruning=None).fit(X, y)
    assert tree.tree_.feature[0] == 1
    bare = {row["column"]: row["gain"] for row in tree.gain_table(X, y)}
    paid = (X["noise"].nunique() - 1) / 2000
    assert bare["noise"] < bare["signal"] < bare["noise"] + paid


def test_one_against_the_rest():
    rng = np.random.default_rng(4)
    code = rng.integers(0, 7, 300)
    y = rng.integers(0, 3, 300)
    y[code == 4] = 2
    X = pd.DataFrame({"c": pd.Categorical.from_codes(code, list("abcdefg"))})
    tree = TreeClassifier(nominal="one_vs_rest", pruning=None, max_depth=1).fit(X, y)
    assert tree.to_text().splitlines()[0].startswith("c in {a, b, c, d, f, g}") or (
        tree.to_text().splitlines()[0].startswith("c = e")
    )
    best = max(root_gain(y, (code == c).astype(int)) for c in range(7))
    assert root_gain(y, branch(tree, X)) == pytest.approx(best, rel=1e-12)


def test_a_declared_level_that_no_row_has_keeps_its_branch():
    X = pd.DataFrame({"c": pd.Categorical(["a", "b"] * 5, categories=["a", "b", "z"])})
    tree = C45Classifier(pruning=None).fit(X, ["yes", "no"] * 5)
    assert tree.n_nodes_ == 4
    new = pd.DataFrame({"c": pd.Categorical(["z", "a"], categories=["a", "b", "z"])})
    assert tree.predict_proba(new).tolist() == [[0.5, 0.5], [0.0, 1.0]]


def test_unseen_and_missing_names_are_spread_by_their_shares():
    X = pd.DataFrame({"c": ["a"] * 6 + ["b"] * 3})
    tree = C45Classifier(pruning=None).fit(X, [0] * 6 + [1] * 3)
    new = pd.DataFrame({"c": ["never seen", None]})
    np.testing.assert_allclose(tree.predict_proba(new), [[2 / 3, 1 / 3]] * 2, rtol=1e-15)


def test_thresholds_are_float64():
    """Seconds of Unix time: neighbours are equal in float32."""
    x = 1.7e9 + np.arange(2000.0)
    y = (np.arange(2000) // 10) % 2
    tree = TreeClassifier(pruning=None, min_samples_leaf=1).fit(x[:, None], y)
    assert tree.score(x[:, None], y) == 1.0
    huge = np.array([[1e308], [1.7e308]])
    assert TreeClassifier(pruning=None, min_samples_leaf=1).fit(huge, [0, 1]).predict(
        huge
    ).tolist() == [0, 1]
    near = np.array([[1.0], [np.nextafter(1.0, 2.0)]])
    assert TreeClassifier(pruning=None, min_samples_leaf=1).fit(near, [0, 1]).predict(
        near
    ).tolist() == [0, 1]


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("criterion", ["entropy", "gini"])
def test_tree_of_scikit_learn(classes, criterion):
    rng = np.random.default_rng(5)
    X = np.float32(rng.normal(size=(4000, 6))).astype(float)
    y = np.digitize(X[:, 0] + X[:, 1] * X[:, 2], np.linspace(-1, 1, classes - 1))
    theirs = DecisionTreeClassifier(
        criterion=criterion, max_depth=5, random_state=0, min_samples_leaf=20
    ).fit(X, y)
    ours = TreeClassifier(
        criterion=criterion, max_depth=5, pruning=None, leaf_estimate=None, min_samples_leaf=20
    ).fit(X, y)
    assert ours.n_nodes_ == theirs.tree_.node_count
    new = np.float32(rng.normal(size=(2000, 6))).astype(float)
    np.testing.assert_allclose(ours.predict_proba(new), theirs.predict_proba(new), atol=1e-12)


def test_the_first_of_equal_columns_wins():
    rng = np.random.default_rng(6)
    x = rng.integers(0, 2, 400).astype(float)
    fine = x + rng.random(400) / 4  # the same two groups, in a column with many values
    y = x.astype(int)
    y[:40] = 1 - y[:40]
    for columns in ([x, fine], [fine, x], [-fine, x], [1 - x, fine]):
        tree = TreeClassifier(max_depth=1, pruning=None, min_samples_leaf=50)
        assert tree.fit(np.column_stack(columns), y).tree_.feature[0] == 0


@pytest.mark.parametrize("missing", ["direction", "fractional", "branch", "surrogate"])
def test_every_way_with_missing_values_learns(missing):
    rng = np.random.default_rng(7)
    n = 1500
    a = rng.normal(size=n)
    frame = pd.DataFrame({"a": a, "b": a + rng.normal(size=n) / 3, "c": rng.choice(list("xyz"), n)})
    y = np.where((a > 0) ^ (frame["c"] == "x"), "yes", "no")
    frame.loc[rng.random(n) < 0.2, "a"] = np.nan
    frame.loc[rng.random(n) < 0.1, "c"] = None
    tree = TreeClassifier(missing=missing).fit(frame[:1000], y[:1000])
    proba = tree.predict_proba(frame[1000:])
    np.testing.assert_allclose(proba.sum(1), 1.0, rtol=1e-12)
    floor = {"direction": 0.85, "fractional": 0.78, "branch": 0.83, "surrogate": 0.87}[missing]
    assert tree.score(frame[1000:], y[1000:]) > floor


def test_a_branch_of_its_own():
    x = np.array([1.0] * 5 + [2.0] * 5 + [np.nan] * 5)
    y = np.repeat([0, 1, 2], 5)
    tree = TreeClassifier(missing="branch").fit(x[:, None], y)
    assert tree.n_nodes_ == 4
    assert tree.predict([[0.0], [9.0], [np.nan]]).tolist() == [0, 1, 2]


@pytest.mark.parametrize("sign", [1, -1])
def test_monotone(sign):
    rng = np.random.default_rng(8)
    X = rng.normal(size=(800, 3))
    z = sign * X[:, 0] + np.sin(3 * X[:, 0]) + X[:, 1]
    grid = np.repeat(rng.normal(size=(40, 1, 3)), 50, axis=1)
    grid[:, :, 0] = np.linspace(-3, 3, 50)
    for tree, y in (
        (TreeRegressor(monotonic_cst=[sign, 0, 0], pruning=None), z),
        (TreeClassifier(monotonic_cst=[sign, 0, 0], pruning=None), (z > 0).astype(int)),
    ):
        tree.fit(X, y)
        flat = grid.reshape(-1, 3)
        said = tree.predict(flat) if y is z else tree.predict_proba(flat)[:, 1]
        assert (sign * np.diff(said.reshape(40, 50), axis=1) >= 0).all()
        assert tree.get_n_leaves() > 5
        free = type(tree)(pruning=None).fit(X, y)
        said = free.predict(flat) if y is z else free.predict_proba(flat)[:, 1]
        assert (sign * np.diff(said.reshape(40, 50), axis=1) < 0).any()
