"""Every option of every tree reaches its fit; every figure that a tree tells, once more by hand."""

import inspect
import math
import re
import sqlite3
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from xent.trees import (
    C45Classifier,
    CARTClassifier,
    CARTRegressor,
    ID3Classifier,
    TreeClassifier,
    TreeRegressor,
)

# What the presets stand for, as their pages say: what is left out is as in the general tree.
STANDS_FOR = {
    ID3Classifier: {
        "criterion": "entropy", "nominal": "multiway", "missing": "refuse", "pruning": None,
        "leaf_estimate": None, "min_samples_leaf": 1,
    },
    C45Classifier: {
        "criterion": "gain_ratio", "nominal": "multiway", "missing": "fractional",
        "pruning": "pessimistic", "cf": 0.25, "raising": True, "leaf_estimate": None,
    },
    CARTClassifier: {
        "criterion": "gini", "missing": "surrogate", "pruning": "cost_complexity",
        "leaf_estimate": None, "min_samples_leaf": 7,
    },
    CARTRegressor: {
        "missing": "surrogate", "pruning": "cost_complexity", "min_samples_leaf": 7,
    },
}  # fmt: skip
GENERAL = {
    ID3Classifier: TreeClassifier, C45Classifier: TreeClassifier, CARTClassifier: TreeClassifier,
    CARTRegressor: TreeRegressor,
}  # fmt: skip
OTHERS = {
    "missing": "branch", "pruning": "reduced_error", "cf": 0.1, "raising": False,
    "leaf_estimate": "laplace", "max_depth": 2, "min_samples_leaf": 3, "min_samples_split": 9,
    "splitter": "histogram", "class_weight": {0: 2.0, 1: 1.0}, "n_jobs": 2,
}  # fmt: skip
PRESETS = [
    (kind, name) for kind in STANDS_FOR for name in (None, *inspect.signature(kind).parameters)
]
WRONG = {
    "criterion": "x", "nominal": "x", "missing": "x", "pruning": "x", "cf": 0.6, "raising": 1,
    "leaf_estimate": -1.0, "max_depth": 0, "max_leaf_nodes": 1, "min_samples_leaf": 0,
    "min_samples_split": 0, "min_gain": -1, "splitter": "x", "class_weight": "x",
    "monotonic_cst": [2], "n_jobs": 0,
}  # fmt: skip
EVERY = [
    (kind, name)
    for kind in (TreeClassifier, TreeRegressor, *STANDS_FOR)
    for name in inspect.signature(kind).parameters
]


@pytest.mark.parametrize(("kind", "name"), PRESETS)
def test_a_preset_is_the_general_tree_with_its_options(kind, name):
    general = {n: p.default for n, p in inspect.signature(GENERAL[kind]).parameters.items()}
    given = {} if name is None else {name: OTHERS[name]}
    tree = kind(**given)
    assert {n: getattr(tree, n) for n in general} == {**general, **STANDS_FOR[kind], **given}


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_wrong_option_is_refused_by_its_name(kind, name):
    X, y = np.arange(40.0)[:, None], np.arange(40) // 20
    with pytest.raises((ValueError, TypeError), match=f"`{name}` must "):
        kind(**{name: WRONG[name]}).fit(X, y)


def table(rows=300):
    rng = np.random.default_rng(3)
    X = pd.DataFrame(
        {
            "a": rng.choice(list("xyz"), rows),
            "b": rng.choice(["up", "down"], rows),
            "c": np.round(rng.normal(size=rows), 2),
        }
    )
    score = (X["a"] == "x") + (X["b"] == "up") * (X["c"] > 0) + rng.random(rows) * 0.4
    return X, np.digitize(score, [0.5, 1.2]), rng.integers(0, 4, rows)


def impurity(criterion, y, w):
    """Of the rows of a node together, in bits for entropies."""
    if criterion in ("squared_error", "poisson"):
        mean = np.average(y, weights=w)
        if criterion == "squared_error":
            return float(w @ (y - mean) ** 2)
        return float(
            sum(k * (v * math.log(v / mean) if v else 0.0) for k, v in zip(w, y, strict=True))
        )
    shares = np.bincount(y, w) / w.sum()
    shares = shares[shares > 0]
    if criterion == "gini":
        return float(w.sum() * (1 - (shares**2).sum()))
    return float(-w.sum() * (shares * np.log2(shares)).sum())


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("criterion", ["entropy", "gain_ratio", "gini", "squared_error", "poisson"])
def test_importances_node_by_node(criterion, weighed):
    X, y, w = table()
    kind = TreeRegressor if criterion in ("squared_error", "poisson") else TreeClassifier
    y, w = (y * 1.5 if kind is TreeRegressor else y), w if weighed else np.ones(len(y), int)
    tree = kind(criterion=criterion, pruning=None, max_depth=3, min_samples_leaf=9)
    tree.fit(X, y, sample_weight=w if weighed else None)
    passed = tree.decision_path(X).toarray().astype(bool) & (w > 0)[:, None]
    t = tree.tree_
    wanted = {name: np.zeros(3) for name in (criterion, "entropy")}
    for node in np.flatnonzero(t.feature >= 0):
        children = range(t.first[node], t.first[node] + t.width[node])
        for name in [criterion] if kind is TreeRegressor else wanted:
            own = impurity(name, y[passed[:, node]], w[passed[:, node]])
            below = sum(impurity(name, y[passed[:, c]], w[passed[:, c]]) for c in children)
            wanted[name][t.feature[node]] += (own - below) / w.sum()
    share = wanted[criterion] / wanted[criterion].sum()
    assert tree.feature_importances_ == pytest.approx(share, abs=1e-9)
    if kind is TreeClassifier:
        assert tree.importances_in_bits_ == pytest.approx(wanted["entropy"], abs=1e-9)
        if criterion == "gini":  # the two are told apart
            assert share != pytest.approx(wanted["entropy"] / wanted["entropy"].sum(), abs=1e-3)


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("node", [0, 1])
def test_the_table_of_gains_by_hand(node, weighed):
    X, y, w = table()
    X, w = X[["a", "b"]], w if weighed else np.ones(len(y), int)
    tree = ID3Classifier(max_depth=2).fit(X, y, sample_weight=w if weighed else None)
    inside = tree.decision_path(X).toarray()[:, node].astype(bool) & (w > 0)
    rows = tree.gain_table(X, y, node=node, sample_weight=w if weighed else None)
    own = impurity("entropy", y[inside], w[inside])
    gains = []
    for row, name in zip(rows, "ab", strict=True):
        levels = [inside & (X[name] == level).to_numpy() for level in sorted(set(X[name]))]
        levels = [some for some in levels if some.any()]
        gain = own - sum(impurity("entropy", y[some], w[some]) for some in levels)
        split = impurity("entropy", np.argmax(levels, axis=0)[inside], w[inside])
        assert row["column"] == name
        if len(levels) == 1:  # the column of the node above
            assert (row["gain"], row["gain_ratio"]) == (None, None)
            continue
        assert row["gain"] == pytest.approx(gain / w[inside].sum(), abs=1e-9)
        assert row["split_information"] == pytest.approx(split / w[inside].sum(), abs=1e-9)
        assert row["gain_ratio"] == pytest.approx(gain / split, abs=1e-9)
        gains.append((gain, name))
    assert [row["column"] for row in rows if row["chosen"]] == [max(gains)[1]]


@pytest.mark.parametrize("classes", [2, 3])
def test_the_bits_of_a_tree_and_its_cases_by_hand(classes):
    """1 bit a node, the column and the test, the weights of the classes, and Dirichlet codes."""
    X, y, _ = table()
    y = np.minimum(y, classes - 1)
    tree = TreeClassifier(nominal="multiway", pruning=None, max_depth=2).fit(X, y)
    t, n = tree.tree_, len(y)
    prior = np.bincount(y) / n
    bits, cases = t.size + (classes - 1) / 2 * math.log2(n), 0.0
    for node in range(t.size):
        counts = t.stats[node]
        if t.feature[node] >= 0:
            bits += math.log2(3)
            if tree.columns_[t.feature[node]].kind == "number":
                bits += math.log2(counts.sum()) / 2
            continue
        each = [math.lgamma(c + p) - math.lgamma(p) for c, p in zip(counts, prior, strict=True)]
        cases += max(math.lgamma(counts.sum() + 1) - sum(each), 0.0) / math.log(2)
    found = tree.description_length()
    assert (found.tree, found.cases) == pytest.approx((bits, cases), rel=1e-9)
    assert found.total == found.tree + found.cases


@pytest.mark.parametrize("missing", ["direction", "branch"])
def test_sql_of_numbers_is_exact(missing):
    X, y, _ = table()
    X = X.assign(a=X["a"].where(np.arange(len(X)) % 9 > 0, None))
    X = X.assign(c=X["c"].where(np.arange(len(X)) % 7 > 0))
    tree = TreeRegressor(pruning=None, missing=missing).fit(X, np.sqrt(2) * y + X.index / 977)
    frame = X.astype(object).where(X.notna(), None)
    with sqlite3.connect(":memory:") as base:
        base.execute("create table t (a, b, c)")
        base.executemany("insert into t values (?, ?, ?)", frame.to_numpy().tolist())
        said = [row[0] for row in base.execute(f"select {tree.to_sql()} from t order by rowid")]
    assert said == tree.predict(X).tolist()


@pytest.mark.parametrize("simplified", [True, False])
@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("estimate", [None, "laplace", 2.0])
def test_what_each_line_of_rules_says_by_hand(estimate, weighed, simplified):
    X, y, w = table()
    w = w if weighed else np.ones(len(y), int)
    tree = TreeClassifier(leaf_estimate=estimate, min_samples_leaf=20).fit(X, y, sample_weight=w)
    rules = tree.to_ruleset(X, y, sample_weight=w, simplified=simplified)
    decided = rules.decides(X)
    whole = np.bincount(y, w) / w.sum()
    for i, line in enumerate(rules.to_text().split("\n")):
        said, numbers, share = re.search(
            r"(?:then|else) (\d) \(([^;]*); ([\d.]+)\)$", line
        ).groups()
        mine = (decided == i) if i < len(rules) else decided == -1
        counts = np.bincount(y[mine], w[mine], 3)
        if estimate is None:
            wanted = counts / counts.sum() if counts.sum() else whole
        elif estimate == "laplace":
            wanted = (counts + 1) / (counts.sum() + 3)
        else:
            wanted = (counts + 2 * whole) / (counts.sum() + 2)
        assert float(share) == pytest.approx(wanted[int(said)], abs=5.1e-4)
        if i < len(rules):
            rule = rules.rules[i]
            cover = np.ones(len(y), bool)
            for c in rule.conditions:
                x = X.iloc[:, c.column]
                inside = x.isin(c.levels) if c.levels is not None else (x > c.low) & (x <= c.high)
                cover &= inside.to_numpy()
            n, right = w[cover].sum(), w[cover & (y == rule.label)].sum()
        else:
            n, right = counts.sum(), counts[int(said)]
        assert numbers == (f"{n:g}/{n - right:g}" if n > right else f"{n:g}")


def test_rules_of_many_conditions_are_chosen_as_well_by_steps():
    """More than ten rules of a class are chosen by steps, from all of them and from none."""
    rng = np.random.default_rng(5)
    X = rng.integers(0, 2, (600, 12)).astype(float)
    y = (X[:, ::2].sum(1) > X[:, 1::2].sum(1)).astype(int)
    tree = TreeClassifier(pruning=None, min_samples_leaf=5).fit(X, y)
    rules = tree.to_ruleset(X, y)
    assert len(rules) > 20
    assert (rules.predict(X) == y).mean() > 0.9


def test_the_share_in_a_line_is_that_of_what_the_line_says():
    """Also where the rows that are left to a rule are mostly of another class."""
    X, y, _ = table()
    rules = TreeClassifier(min_samples_leaf=20).fit(X, y).to_ruleset(X, y)
    first = replace(rules.rules[0], label=1, probabilities=(0.5, 0.125, 0.375))
    said = replace(rules, rules=[first], default=2, default_probabilities=(0.5, 0.25, 0.25))
    one, last = said.to_text().split("\n")
    assert "then 1 (" in one
    assert one.endswith("; 0.125)")
    assert last.startswith("else 2 (")
    assert last.endswith("; 0.250)")


@pytest.mark.parametrize("most", [1, 2, 3, None])
def test_how_many_levels_a_line_lists(most):
    X = pd.DataFrame({"x": np.repeat(list("abcdef"), 30)})
    y = np.isin(X["x"], ["a", "b", "c"]).astype(int)
    tree = TreeClassifier().fit(X, y)
    for text in (tree.to_text(max_levels=most), tree.to_rules(max_levels=most)):
        for levels in ("abc", "def"):
            shown = ", ".join(levels if most is None else levels[:most])
            more = f", … {3 - most} more" if most and most < 3 else ""
            assert f"x in {{{shown}{more}}}" in text


def test_a_count_below_none_says_what_its_parent_says():
    """A leaf of counts that are all 0 would make any other count impossible."""
    X, y = pd.DataFrame({"x": np.repeat(list("abc"), 10)}), np.repeat([0.0, 3.0, 4.0], 10)
    tree = TreeRegressor(criterion="poisson", pruning=None, nominal="multiway").fit(X, y)
    assert tree.predict(X[::10]) == pytest.approx([y.mean(), 3.0, 4.0])


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("criterion", ["squared_error", "poisson"])
def test_what_a_split_of_numbers_gains_by_hand(criterion, weighed):
    """Also what the first subtree of the path costs: the stump is one of two."""
    X, y, w = table()
    X, y, w = X[["c"]], y * 1.5 + 0.25, w if weighed else np.ones(len(y), int)
    tree = TreeRegressor(criterion=criterion, pruning=None, max_depth=1).fit(X, y, sample_weight=w)
    (row,) = tree.gain_table(X, y, sample_weight=w)
    left = (X["c"] <= tree.tree_.threshold[0]).to_numpy()
    parts = [
        impurity(criterion, y[some], w[some]) for some in (w > 0, left & (w > 0), ~left & (w > 0))
    ]
    gain = (parts[0] - parts[1] - parts[2]) / w.sum()
    assert row["gain"] == pytest.approx(gain, rel=1e-9)
    assert tree.cost_complexity_path() == pytest.approx([0.0, gain], rel=1e-9)
    assert tree.cost_complexity_path(risk="error") == pytest.approx([0.0, gain], rel=1e-9)


def test_no_name_of_a_picture_stands_past_its_edge():
    """The names of classes below a narrow tree break into lines, of which the picture is as high."""
    names = np.array([f"class number {i}" for i in range(9)])
    tree = TreeClassifier(max_depth=1, pruning=None)
    root = ElementTree.fromstring(
        tree.fit(np.arange(270.0)[:, None], names[np.arange(270) // 30]).to_svg()
    )
    width, height = float(root.get("width")), float(root.get("height"))
    legend = [t for t in root.findall("{*}text") if t.text and t.text.startswith("class number")]
    legend = [t for t in legend if t.get("fill") is None][-9:]
    assert len({t.get("y") for t in legend}) > 1
    ends = [float(t.get("x")) + 6 * len(t.text) for t in legend]
    assert max(ends) <= width
    assert max(ends) > width - 24 - 6 * len(names[0])  # and no sooner
    assert max(float(t.get("y")) for t in legend) < height
