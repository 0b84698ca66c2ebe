"""Second branches, ties and options in pairs of the trees: each by a slow word of its own."""

import numpy as np
import pandas as pd
import pytest

from xent.trees import C45Classifier, TreeClassifier
from xent.trees._prune import message, reduced_error


@pytest.mark.parametrize("weight", [{"a": 4.0, "b": 1.0, "c": 0.25}, "balanced"])
def test_class_weights_in_rules_are_weights_of_rows(weight):
    luck = np.random.default_rng(0)
    X = pd.DataFrame({"u": luck.normal(size=400), "v": luck.normal(size=400)})
    y = np.where(X.u + luck.normal(size=400) > 0.7, "a", np.where(X.v > 0.3, "b", "c"))
    sizes = {label: (y == label).sum() for label in "abc"}
    each = weight if isinstance(weight, dict) else {k: 400 / 3 / n for k, n in sizes.items()}
    rows = np.array([each[label] for label in y])
    by_class = C45Classifier(class_weight=weight).fit(X, y)
    by_row = C45Classifier().fit(X, y, sample_weight=rows)
    found, want = by_class.to_ruleset(X, y), by_row.to_ruleset(X, y, sample_weight=rows)
    assert found.to_text() == want.to_text()
    plain = by_row.to_ruleset(X, y)
    assert found.to_text() != plain.to_text()
    for one, other in zip(found.rules, want.rules, strict=True):
        assert one.cover == pytest.approx(other.cover)
        assert one.errors == pytest.approx(other.errors)
    np.testing.assert_allclose(found.predict_proba(X), want.predict_proba(X))


def best(node, parent, errors):
    """Return the least errors below a node, the nodes that stay, and how many ties were met."""
    below = [best(k, parent, errors) for k in range(1, len(parent)) if parent[k] == node]
    least = sum(b[0] for b in below)
    if not below or errors[node] <= least:
        return errors[node], 1, int(bool(below) and errors[node] == least)
    return least, 1 + sum(b[1] for b in below), sum(b[2] for b in below)


@pytest.mark.parametrize("weighted", [False, True])
def test_reduced_error_by_hand(weighted):
    """A subtree that makes no fewer errors than a leaf goes, ties too; errors are weighed."""
    ties = kept = 0
    for seed in range(12):
        luck = np.random.default_rng(seed)
        X, Z = (
            luck.integers(0, 6, (150, 3)).astype(float),
            luck.integers(0, 6, (40, 3)).astype(float),
        )
        y, z = ((T[:, 0] > 2) ^ (luck.random(len(T)) < 0.3) for T in (X, Z))
        weight = luck.choice([0.5, 1.0, 3.0], 40) if weighted else np.empty(0)
        fitted = TreeClassifier(pruning=None).fit(X, y.astype(int))
        tree = fitted.tree_
        pruned = reduced_error(tree, fitted._cases(Z), z.astype(np.int64), weight, "entropy")
        paths = np.asarray(fitted.decision_path(Z).todense()) > 0
        says = tree.stats.argmax(1)
        w = weight if weighted else np.ones(40)
        errors = np.array([(w * paths[:, k] * (z != says[k])).sum() for k in range(tree.size)])
        parent = tree.parent()

        _, nodes, tied = best(0, parent, errors)
        assert pruned.size == nodes
        ties += tied
        kept += pruned.size > 1
    assert ties > 5
    assert kept > 5


def test_description_length_of_thresholds_as_a_number():
    X, y = np.arange(8.0)[:, None], [0] * 5 + [1] * 3
    bits = TreeClassifier(pruning=None).fit(X, y).description_length()
    # 3 nodes, a test of one column, its threshold among 8 cases, the prior of 2 classes.
    assert bits.tree == pytest.approx(3 + np.log2(1) + np.log2(8) / 2 + np.log2(8) / 2)
    cases = 0.0
    for count, prior in ((5, 5 / 8), (3, 3 / 8)):
        cases -= sum(np.log2((k + prior) / (k + 1)) for k in range(count))
    assert bits.cases == pytest.approx(cases)


def test_sides_of_levels_that_no_case_has_are_not_said():
    """Of 40 declared names that 8 cases can have at most 8 sides are told, less the first."""
    names = pd.Categorical(list("aabbccdd"), categories=[*"abcd", *(f"z{i}" for i in range(36))])
    table = pd.DataFrame({"x": names, "n": np.zeros(8)})
    tree = TreeClassifier(pruning=None, nominal="subset").fit(table, list("ppqqppqq"))
    test, _ = message(tree.tree_, np.array([40, 0]))
    assert tree.tree_.set_start[0] >= 0
    assert test[0] == pytest.approx(np.log2(2) + 8 - 1)
