"""Pruning by bits: the shortest of all prunings, found by trying them all in exact fractions."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.model_selection import StratifiedKFold

from xent.trees import C45Classifier, CARTClassifier, TreeClassifier


def bits_of_classes(counts, prior):
    """Code each case by what the prior, as one case, and the cases before it say."""
    probability, before = Fraction(1), 0
    for n, p in zip(counts, prior, strict=True):
        for seen in range(int(n)):
            probability *= (seen + p) / Fraction(before + 1)
            before += 1
    return -(math.log2(probability.numerator) - math.log2(probability.denominator))


def prunings(tree, node, columns, prior):
    """Yield (bits, leaves) of every way to prune below a node."""
    counts = tree.stats[node]
    yield 1 + bits_of_classes(counts, prior), (node,)
    if tree.feature[node] < 0:
        return
    n, column = counts.sum(), columns[tree.feature[node]]
    test = math.log2(len(columns))
    if column.kind != "name":
        test += math.log2(n) / 2
    elif tree.set_start[node] >= 0:
        test += min(len(column.levels), n) - 1
    first = tree.first[node]
    below = [
        list(prunings(tree, c, columns, prior)) for c in range(first, first + tree.width[node])
    ]
    for parts in product(*below):
        yield 1 + test + sum(b for b, _ in parts), sum((leaves for _, leaves in parts), ())


def table(seed):
    rng = np.random.default_rng(seed)
    n = 40 + 10 * seed
    X = pd.DataFrame(
        {
            "number": rng.integers(0, 9, n) / 4,
            "name": rng.choice(list("abcd"), n),
            "flag": rng.random(n) < 0.4,
        }
    )
    signal = (X["number"] > 1) ^ (X["name"] == "b")
    y = np.where(rng.random(n) < 0.15, rng.integers(0, 3, n), signal.to_numpy().astype(int))
    return X, y


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("nominal", ["subset", "multiway"])
def test_no_pruning_is_shorter(seed, nominal):
    X, y = table(seed)
    given = {"nominal": nominal, "max_depth": 3, "min_samples_leaf": 3}
    full = TreeClassifier(pruning=None, **given).fit(X, y)
    prior = [Fraction(int(c), len(y)) for c in full.tree_.stats[0]]
    best, leaves = min(prunings(full.tree_, 0, full.columns_, prior))
    pruned = TreeClassifier(**given).fit(X, y)
    assert pruned.get_n_leaves() == len(leaves)
    constant = (len(prior) - 1) / 2 * math.log2(len(y))
    assert pruned.description_length().total == pytest.approx(best + constant, rel=1e-12)
    assert pruned.description_length().total <= full.description_length().total
    np.testing.assert_array_equal(
        np.sort(pruned.tree_.stats[pruned.tree_.leaf], axis=0),
        np.sort(full.tree_.stats[list(leaves)], axis=0),
    )


def test_noise_grows_no_tree():
    leaves = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        X = pd.DataFrame(rng.normal(size=(300, 8))).add_prefix("x")
        X["name"] = rng.choice([f"level {k}" for k in range(60)], 300)
        leaves.append(TreeClassifier().fit(X, rng.random(300) < 0.3).get_n_leaves())
    assert np.mean(np.array(leaves) == 1) >= 0.95


def test_whole_weights_are_repeated_rows():
    X, y = table(3)
    weight = np.random.default_rng(3).integers(0, 4, len(y))
    again = np.repeat(np.arange(len(y)), weight)
    a = TreeClassifier().fit(X, y, sample_weight=weight)
    b = TreeClassifier().fit(X.iloc[again], y[again])
    assert a.to_text() == b.to_text()
    assert a.description_length() == pytest.approx(b.description_length(), rel=1e-12)


@pytest.mark.parametrize("tree", [C45Classifier(pruning="bits"), CARTClassifier(pruning="bits")])
@pytest.mark.parametrize("missing", ["fractional", "direction", "branch"])
def test_every_preset_and_gaps(tree, missing):
    X, y = table(6)
    X = X.mask(np.random.default_rng(0).random(X.shape) < 0.1)
    tree.set_params(missing=missing).fit(X, y)
    assert 1 <= tree.get_n_leaves() < 12
    full = tree.set_params(pruning=None).fit(X, y).description_length().total
    assert tree.set_params(pruning="bits").fit(X, y).description_length().total <= full


@pytest.mark.parametrize("option", [{"cf": 0.1}, {"raising": False}])
def test_options_of_another_pruning_are_refused(option):
    name = next(iter(option))
    with pytest.raises(ValueError, match=f"`{name}` must be left as it is unless"):
        TreeClassifier(**option).fit([[0.0], [1.0]], [0, 1])


def held_out(tree, X, y, folds=5):
    """Bits of every case under a tree that was fitted without it."""
    out = np.empty(len(y))
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=0).split(X, y):
        tree.fit(X.iloc[train], y[train])
        code = np.searchsorted(tree.classes_, y[test])
        out[test] = -np.log2(tree.predict_proba(X.iloc[test])[np.arange(len(test)), code])
    return out


def tables(weka):
    for load in (load_iris, load_wine, load_breast_cancer, load_digits):
        X, y = load(return_X_y=True, as_frame=True)
        yield X, y.to_numpy().astype(str)
    for name in ("breast-cancer", "diabetes", "labor", "vote"):
        columns = weka[name]["columns"]
        frame = pd.DataFrame(
            {
                c["name"]: pd.Categorical(c["values"], c["levels"]) if c["levels"] else c["values"]
                for c in columns
            }
        )
        yield frame.iloc[:, :-1], frame.iloc[:, -1].astype(str).to_numpy()


def test_never_above_the_class_prior_and_near_the_best(weka):
    """The best of three usual settings is known only with hindsight, table by table."""
    above = []
    for X, y in tables(weka):
        bits = held_out(TreeClassifier(), X, y)
        counts = np.unique(y, return_counts=True)[1]
        prior = -(counts / len(y) * np.log2(counts / len(y))).sum()
        assert bits.mean() <= prior + bits.std() / np.sqrt(len(y))
        settings = (
            {"min_samples_leaf": 20},
            {"max_leaf_nodes": 16},
            {"pruning": "cost_complexity"},
        )
        old = [{"pruning": "pessimistic", **given} for given in settings]
        best = min(held_out(TreeClassifier(**given), X, y).mean() for given in old)
        above.append(bits.mean() - best)
    assert np.mean(above) <= 0.02
