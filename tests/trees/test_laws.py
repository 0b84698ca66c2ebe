"""Laws that every tree keeps, whatever the table."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xent.trees import (
    C45Classifier,
    CARTClassifier,
    TreeClassifier,
    TreeRegressor,
    from_json,
    load,
    save,
    to_json,
)

SHORT = 8
NAMES = [f"v{i}" for i in range(12)]


@st.composite
def tables(draw, *, missing=True, names=True):
    """A small table with ties, names, duplicated rows and holes, and its classes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, classes = draw(st.integers(2, 60)), draw(st.integers(1, 4))
    columns = {}
    for j in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["number", "ties", "name" if names else "ties", "constant"]))
        gone = rng.random(n) < (draw(st.sampled_from([0.0, 0.2])) if missing else 0.0)
        if kind == "name":
            levels = draw(st.integers(1, 12))
            code = np.where(gone, -1, rng.integers(0, levels, n))
            columns[f"c{j}"] = pd.Categorical.from_codes(code, NAMES[:levels])
        else:
            x = {"number": rng.normal(size=n), "constant": np.full(n, 2.5)}.get(
                kind, rng.integers(0, 4, n).astype(float)
            )
            columns[f"c{j}"] = np.where(gone, np.nan, x)
    X = pd.DataFrame(columns)
    again = rng.integers(0, n, n) if draw(st.booleans()) else np.arange(n)
    return X.iloc[again].reset_index(drop=True), rng.integers(0, classes, n)[again]


def bits(tree):
    return {name: array.tobytes() for name, array in tree.tree_.arrays().items()}


def law(**table):
    """Run a law on a few tables every day, and on many in the long tests."""

    def both(check):
        @pytest.mark.parametrize(
            "times",
            [pytest.param(1, id="few"), pytest.param(20, id="many", marks=pytest.mark.long)],
        )
        def test(times, repeats):
            settings(max_examples=repeats(times) * SHORT)(given(tables(**table))(check))()

        test.__doc__ = check.__doc__
        return test

    return both


@law()
def test_probabilities_sum_to_one(table):
    X, y = table
    for tree in (
        TreeClassifier(leaf_estimate="laplace"),
        TreeClassifier(missing="branch", nominal="multiway", leaf_estimate=None),
        C45Classifier(),
        CARTClassifier(min_samples_leaf=1),
    ):
        proba = tree.fit(X, y).predict_proba(X)
        assert (proba >= 0).all()
        np.testing.assert_allclose(proba.sum(1), 1.0, rtol=1e-12)


@law()
def test_a_deeper_tree_knows_no_less_of_its_own_cases(table):
    X, y = table
    before = math.inf
    for depth in (1, 2, 3, 5, 9):
        tree = TreeClassifier(
            max_depth=depth, pruning=None, leaf_estimate=None, min_samples_leaf=1
        ).fit(X, y)
        length = -tree.predict_log_proba(X)[
            np.arange(len(y)), np.searchsorted(tree.classes_, y)
        ].sum() / math.log(2)
        assert length <= before + 1e-9
        before = length
        share = tree.importances_in_bits_.sum()
        prior = np.bincount(y) / len(y)
        known = -(prior[prior > 0] * np.log2(prior[prior > 0])).sum()
        assert share == pytest.approx(known - length / len(y), abs=1e-12)


@law()
def test_the_order_of_the_rows_does_not_matter(table):
    X, y = table
    order = np.random.default_rng(len(y)).permutation(len(y))
    for kind in (TreeClassifier, CARTClassifier):
        a, b = kind().fit(X, y), kind().fit(X.iloc[order], y[order])
        assert a.to_text() == b.to_text()
        assert bits(a) == bits(b)


@law()
def test_a_rising_function_of_a_number_changes_no_leaf(table):
    X, y = table
    other = X.copy()
    for name in X:
        if X[name].dtype == float:
            other[name] = 3 * X[name] ** 3 + X[name]
    # CARTClassifier deals its folds by content, so it is compared unpruned.
    for kind in (TreeClassifier, lambda: CARTClassifier(pruning=None, min_samples_leaf=2)):
        a, b = kind().fit(X, y), kind().fit(other, y)
        np.testing.assert_array_equal(a.apply(X), b.apply(other))
        np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(other))


@law()
def test_names_are_but_names(table):
    X, y = table
    other = X.rename(columns=lambda name: f"a {name},\n")
    for name in other:
        if other[name].dtype != float:
            other[name] = other[name].cat.rename_categories(lambda v: f'"{v}" = \u2211')
    for kind in (TreeClassifier, C45Classifier):
        assert bits(kind().fit(X, y)) == bits(kind().fit(other, y))


@law()
def test_a_weight_stands_for_equal_rows_and_zero_for_none(table):
    X, y = table
    weight = np.random.default_rng(len(y)).integers(0, 4, len(y))
    weight[0] = 1
    again = np.repeat(np.arange(len(y)), weight)
    kept = weight > 0
    for kind in (TreeClassifier, C45Classifier, CARTClassifier):
        a = kind().fit(X, y, sample_weight=weight)
        b = kind().fit(X.iloc[again], y[again])
        np.testing.assert_allclose(
            a.predict_proba(X)[:, np.isin(a.classes_, b.classes_)],
            b.predict_proba(X),
            rtol=1e-9,
            atol=1e-12,
        )
        c = kind().fit(X[kept], y[kept], sample_weight=weight[kept])
        assert a.to_text() == c.to_text()


@law()
def test_what_is_read_back_is_what_was_written(table):
    X, y = table
    for tree in (C45Classifier(), CARTClassifier(min_samples_leaf=1), TreeRegressor(pruning=None)):
        tree.fit(X, y)
        again = from_json(to_json(tree))
        assert bits(again) == bits(tree)
        assert to_json(again) == to_json(tree)
        assert again.predict(X).tobytes() == tree.predict(X).tobytes()


@law()
def test_one_rule_a_leaf_is_the_tree(table):
    X, y = table
    tree = TreeClassifier(pruning=None, min_samples_leaf=1).fit(X, y)
    rules = tree.to_ruleset(X, y, simplified=False)
    np.testing.assert_array_equal(rules.predict(X), tree.predict(X))
    np.testing.assert_allclose(rules.predict_proba(X), tree.predict_proba(X), rtol=1e-12)


def test_files_too(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=50), "b": rng.choice(list("xyz"), 50)})
    tree = TreeClassifier().fit(X, rng.integers(0, 2, 50))
    save(tree, tmp_path / "a.tree")
    assert bits(load(tmp_path / "a.tree")) == bits(tree)


# ------------------------------------------------------------------ files from strangers

VALUES = [
    -1,
    0,
    1,
    2,
    3,
    7,
    -2,
    10**6,
    2**31 - 1,
    -(2**31),
    2**63,
    1e308,
    -1e308,
    0.5,
    "nan",
    "inf",
]
VALUES += ["-inf", "x", None, [], True]


def damaged(content, rng):
    """Change one to three things in a tree written as JSON."""
    content = json.loads(json.dumps(content))
    arrays = content["arrays"]
    for _ in range(int(rng.integers(1, 4))):
        array = arrays[str(rng.choice(list(arrays)))]
        what = rng.random()
        value = VALUES[int(rng.integers(len(VALUES)))]
        if what < 0.7 and array["values"]:
            array["values"][int(rng.integers(len(array["values"])))] = value
        elif what < 0.8:
            array["values"].append(value)
            array["shape"] = [len(array["values"])]
        elif what < 0.85:
            array["shape"] = value
        else:
            state = content["state"]
            name = str(rng.choice(list(state)))
            if name == "columns" and state[name] and isinstance(state[name], list):
                column = state["columns"][int(rng.integers(len(state["columns"])))]
                column[int(rng.integers(3))] = ["date", "name", "number", [], ["x"], 3, None][
                    int(rng.integers(7))
                ]
            else:
                state[name] = value
    return json.dumps(content)


def trouble(work):
    """The sentence that is raised, or nothing."""
    try:
        work()
    except (ValueError, TypeError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize("times", [100, pytest.param(1500, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", [TreeClassifier, C45Classifier, CARTClassifier, TreeRegressor])
def test_a_stranger_s_tree_is_refused_or_works(kind, times, repeats):
    times = repeats(times)
    rng = np.random.default_rng(1)
    X = pd.DataFrame(
        {
            "number": rng.normal(size=80),
            "name": rng.choice(list("abcde"), 80),
            "day": pd.date_range("2020-01-01", periods=80),
        }
    )
    X.loc[::9, "number"] = np.nan
    X.loc[::7, "name"] = None
    y = ((X["number"] > 0) ^ (X["name"] == "a")).astype(int)
    content = json.loads(to_json(kind(pruning=None, min_samples_leaf=2).fit(X, y)))
    refused = 0
    for _ in range(times):
        text = damaged(content, rng)
        sentence = trouble(lambda text=text: from_json(text))
        if sentence:
            assert len(sentence) < 2000
            refused += 1
            continue
        tree = from_json(text)
        for use in (tree.predict, tree.apply):
            assert trouble(lambda use=use: use(X))[:1] in ("", "`")
        for words in (tree.to_text, tree.to_rules, tree.to_dot, tree.to_svg, tree.get_depth):
            words()
        assert trouble(tree.to_sql)[:24] in ("", "The tree cannot be writt")
    assert refused > times // 5
