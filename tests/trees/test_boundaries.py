"""Where the trees' rules begin and end: kinds of numbers, counts of leaves, ties, plurals."""

import numpy as np
import pandas as pd
import pytest

from xent.trees import TreeClassifier, TreeRegressor
from xent.trees._files import _exact, load, save
from xent.trees._prune import message
from xent.trees._show.named import quantity
from xent.trees._table.bins import code_type
from xent.trees._table.columns import FittedColumn, is_clean


def test_a_clean_matrix_has_nothing_left_to_check():
    clean = np.array([[1.0, 2.0], [3.0, 4.0]])
    swapped = clean.astype(clean.dtype.newbyteorder())
    assert is_clean(clean)
    assert is_clean(clean[:, ::-1])
    for other in (swapped, clean.astype(np.float32), clean[0], clean[:0], clean.tolist(),
                  clean.view(np.matrix), clean * np.nan, clean * np.inf):  # fmt: skip
        assert not is_clean(other)
    y = [0, 1]
    trees = [TreeClassifier(min_samples_leaf=1, pruning=None).fit(X, y) for X in (clean, swapped)]
    assert trees[0].to_text() == trees[1].to_text()
    assert trees[0].predict(swapped).tolist() == y


@pytest.mark.parametrize(
    ("given", "kind", "fits"),
    [
        ([1.0, -2.0], "int32", True),
        ([0.5], "int32", False),
        ([np.nan], "int32", False),
        ([np.inf], "int64", False),
        ([-1], "uint8", False),
        ([255], "uint8", True),
        ([256], "uint8", False),
        ([2.0**31 - 1], "int32", True),
        ([2.0**31], "int32", False),
        ([-(2.0**31)], "int32", True),
        ([-(2.0**31) - 1], "int32", False),
        (["1"], "int32", False),
        ([1, 2], "float64", True),
        ([], "int32", True),
    ],
)
def test_numbers_of_a_file_fit_their_kind(given, kind, fits):
    if not fits:
        with pytest.raises(ValueError, match="`path` must hold a tree, got"):
            _exact(given, kind)
        return
    found = _exact(given, kind)
    assert found.dtype == kind
    assert found.tolist() == given


@pytest.mark.parametrize("rows", [40, 600])
def test_a_surrogate_that_points_the_other_way_is_kept(tmp_path, rows):
    """Its column falls where the first one rises: what misses the first goes by it, reversed."""
    x, half = np.arange(float(rows)), rows / 2 - 0.5
    X = np.column_stack([x, -x])
    X[::8, 0] = np.nan
    tree = TreeClassifier(missing="surrogate", pruning=None, max_depth=1).fit(X, x > half)
    assert tree.tree_.surrogate_flip.tolist() == [1]
    save(tree, tmp_path / "a.tree")
    for one in (tree, load(tmp_path / "a.tree")):
        assert one.predict(X).tolist() == (x > half).tolist()
        assert one.predict([[np.nan, -rows], [np.nan, -3.0]]).tolist() == [True, False]
        first = one.to_text().splitlines()[0]
        assert first.startswith(f"x1 <= {-half}, if missing x0 > {half} or missing: True")
    tree.tree_.surrogate_flip[0] = 2
    save(tree, tmp_path / "b.tree")
    with pytest.raises(ValueError, match="must hold a tree"):
        load(tmp_path / "b.tree")


def test_rules_guess_better_than_their_class_alone():
    """Laplace's share of errors of a class, (others + 1) / (all + 2): no rule may have more."""
    rules = 0
    for seed in range(20):
        luck = np.random.default_rng(seed)
        X, y = luck.integers(0, 4, (60, 3)), luck.integers(0, 3, 60)
        found = TreeClassifier(pruning=None, min_samples_leaf=1).fit(X, y).to_ruleset(X, y)
        for rule in found.rules:
            assert rule.error_estimate < ((y != rule.label).sum() + 1) / (len(y) + 2)
            assert rule.conditions
        rules += len(found.rules)
    assert rules > 20


def test_the_smallest_codes_that_hold_all_levels_and_a_missing_one():
    for levels, kind in ((0, "u1"), (255, "u1"), (256, "u2"), (65535, "u2"), (65536, "i4")):
        assert np.dtype(code_type(np.array([3, levels]))) == kind
        assert np.iinfo(code_type(np.array([levels]))).max >= levels


def test_one_day_is_a_day_and_thresholds_of_durations_are_floored():
    day = 86_400 * 10**6
    for days, shown in ((0, "00:00:01"), (1, "1 day 00:00:01"), (2, "2 days 00:00:01")):
        column = FittedColumn("took", "duration", (), None)
        assert quantity(column, days * day + 1e6) == shown
        assert quantity(column, -days * day - 1e6) == (f"-({shown})" if days else f"-{shown}")


def test_alphas_begin_at_0_and_a_path_of_a_leaf_is_0():
    X, y = np.arange(8.0)[:, None], [0, 0, 0, 0, 1, 1, 1, 1]
    assert TreeClassifier(pruning=None).fit(X, [0] * 8).cost_complexity_path().tolist() == [0.0]
    path = TreeClassifier(pruning=None, criterion="gini").fit(X, y).cost_complexity_path()
    assert path.tolist() == [0.0, 0.5]  # Gini impurity of halves, and of nothing


def test_half_is_a_confidence_and_more_is_none():
    X, y = np.arange(8.0)[:, None], [0, 0, 0, 0, 1, 1, 1, 1]
    assert TreeClassifier(pruning="pessimistic", cf=0.5).fit(X, y).get_n_leaves() == 2
    with pytest.raises(ValueError, match=r"`cf` must be at most 0\.5, got 0\.51"):
        TreeClassifier(pruning="pessimistic", cf=0.51).fit(X, y)


@pytest.mark.parametrize("leaves", [2, 3, 4, 5, 6])
def test_as_many_leaves_as_are_allowed(leaves):
    """A tree of eight values that all differ has as many leaves as it may have, not one fewer."""
    X = np.arange(8.0)[:, None]
    tree = TreeRegressor(pruning=None, min_samples_leaf=1, max_leaf_nodes=leaves)
    assert tree.fit(X, X[:, 0] ** 2).get_n_leaves() == leaves
    names = np.array(list("abcdefgh"))
    wide = TreeClassifier(nominal="multiway", pruning=None, min_samples_leaf=1)
    wide = wide.set_params(max_leaf_nodes=leaves).fit(pd.DataFrame({"c": names[:3]}), [0, 1, 2])
    assert wide.get_n_leaves() == (3 if leaves > 2 else 1)


def test_a_condition_that_leaves_nobody_out_goes():
    """Without it the error of a rule is the same to the last bit: it does not rise."""
    X = np.array([[a, b] for a in range(4) for b in range(4)] * 5, float)
    y = (X[:, 0] > 1) & (X[:, 1] > 1)
    tree = TreeClassifier(pruning=None, leaf_estimate=None).fit(X, y)
    assert any(len(rule.conditions) == 2 for rule in tree.to_ruleset(X, y).rules)
    high = X[:, 1] > 1  # of these each has a high second number
    rules = tree.to_ruleset(X[high], y[high]).rules
    assert rules
    assert all([c.column for c in rule.conditions] == [0] for rule in rules)


def test_of_the_levels_of_a_group_no_more_than_its_cases_count():
    """A node of 30 cases names a side for 30 of 40 levels at most; the root's 120 do not matter."""
    number, level = np.arange(120.0), np.arange(120) % 40
    y = np.where(number < 30, level % 2, 2)
    X = pd.DataFrame({"n": number, "c": [f"l{k}" for k in level]})
    tree = TreeClassifier(pruning=None, criterion="gini").fit(X, y).tree_
    test, _ = message(tree, np.array([0, 40]))
    inner = np.flatnonzero(~tree.leaf)
    named = [node for node in inner if tree.feature[node] == 1]
    assert named
    assert max(tree.weight()[named]) < 40
    for node in inner:
        n = tree.weight()[node]
        bits = min(40, n) - 1 if node in named else np.log2(n) / 2
        assert test[node] == pytest.approx(1 + bits)  # one of two columns: a bit
