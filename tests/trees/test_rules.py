"""Simplified rules: they say what their conditions say, and are what chapter 5 makes of a tree."""

import itertools
import json
import math
from fractions import Fraction
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.stats import beta, norm
from sklearn.datasets import load_breast_cancer, load_iris

from trees.conftest import GOLDEN
from xent.trees import C45Classifier, ID3Classifier, TreeClassifier
from xent.trees._kernels.prune import extra_errors
from xent.trees._show.rules import Condition
from xent.trees._show.simplify import Training, choose_subset, exception_bits
from xent.trees._table.columns import Cases, FittedColumn


@pytest.fixture
def mixed():
    rng = np.random.default_rng(0)
    n = 400
    X = pd.DataFrame(
        {
            "number": rng.normal(size=n).round(1),
            "name": rng.choice(["a", "b, c", "d"], n),
            "noise": rng.normal(size=n),
            "day": pd.date_range("2020-01-01", periods=n).to_numpy(),
        }
    )
    y = np.where((X["number"] > 0) & (X["name"] != "d") ^ (rng.random(n) < 0.1), "yes", "no")
    return X, y


def holes(X):
    X = X.copy()
    X.loc[::7, "number"] = np.nan
    X.loc[::5, "name"] = None
    return X


def slowly(rules, X):
    """Number of the first rule that each row passes, read off the conditions one by one."""
    out = []
    for _, row in X.iterrows():
        found = -1
        for i, rule in enumerate(rules.rules):
            good = True
            for c in rule.conditions:
                value = row.iloc[c.column]
                if pd.isna(value):
                    good &= c.missing
                elif c.levels is not None:
                    good &= value in c.levels
                else:
                    if isinstance(value, pd.Timestamp):
                        value = value.value // 1000
                    good &= c.low < value <= c.high
            if good:
                found = i
                break
        out.append(found)
    return np.array(out)


@pytest.mark.grid
@pytest.mark.parametrize("missing", ["direction", "branch", "fractional"])
@pytest.mark.parametrize("nominal", ["subset", "multiway"])
@pytest.mark.parametrize("simplified", [True, False])
@pytest.mark.parametrize("full", [True, False])
def test_rules_say_what_their_conditions_say(mixed, missing, nominal, simplified, full):
    X, y = mixed
    X = X if full else holes(X)
    tree = TreeClassifier(missing=missing, nominal=nominal, pruning=None).fit(X, y)
    rules = tree.to_ruleset(X, y, simplified=simplified)
    by = slowly(rules, X)
    np.testing.assert_array_equal(rules.decides(X), by)
    labels = np.array([r.label for r in rules.rules] + [rules.default])
    np.testing.assert_array_equal(rules.predict(X), rules.classes[labels[by]])
    proba = rules.predict_proba(X)
    np.testing.assert_allclose(proba.sum(1), 1.0, rtol=1e-12)
    code = np.searchsorted(rules.classes, y)
    for i, rule in enumerate(rules.rules):
        np.testing.assert_allclose(rule.counts, np.bincount(code[by == i], minlength=2))
    assert len(rules.to_text().split("\n")) == len(rules) + 1
    if not simplified and (full or missing != "fractional"):
        np.testing.assert_array_equal(rules.predict(X), tree.predict(X))
        np.testing.assert_allclose(proba, tree.predict_proba(X), rtol=1e-12)
        assert (by >= 0).all()


def limit(n, e, cf=0.25):
    """Upper limit of the share of errors, from the book's text: exact for none, else normal."""
    if n == 0:
        return 1.0
    if e < 1:
        none = 1 - cf ** (1 / n)
        return none + e * (limit(n, 1, cf) - none)
    if e + 0.5 >= n:
        return 1.0
    z, f = norm.ppf(1 - cf), (e + 0.5) / n
    root = math.sqrt(f / n - f * f / n + z * z / (4 * n * n))
    return (f + z * z / (2 * n) + z * root) / (1 + z * z / n)


@pytest.mark.parametrize("cf", [0.05, 0.1, 0.25, 0.5])
def test_upper_limits_are_those_of_clopper_and_pearson(cf):
    """Exact where no error was seen; the program's normal distribution is near the beta's else."""
    none = Cases(*(np.empty((0, 0)),) * 5)
    training = Training(none, [], np.empty(0), np.empty(0), 2, cf)
    far = {0.05: 0.112, 0.1: 0.052, 0.25: 0.041, 0.5: 0.106}[cf]
    for n in (1, 4, 6, 9, 16, 30, 100, 1000):
        exact = beta.ppf(1 - cf, 1, n)
        assert training.error(np.array([n, 0]), 0) == pytest.approx(exact, rel=1e-12)
        for e in range(1, n):
            exact = beta.ppf(1 - cf, e + 1, n - e)
            assert training.error(np.array([n - e, e]), 0) == pytest.approx(exact, rel=far)


def test_no_condition_is_left_that_could_go(mixed):
    X, y = mixed
    rules = C45Classifier(pruning=None).fit(X, y).to_ruleset(X, y)
    code = np.searchsorted(rules.classes, y)
    assert any(r.conditions for r in rules.rules)
    for rule in rules.rules:
        passes = [
            np.isin(X.iloc[:, c.column], c.levels)
            if c.levels is not None
            else (X.iloc[:, c.column].to_numpy("f8") > c.low)
            & (X.iloc[:, c.column].to_numpy("f8") <= c.high)
            for c in rule.conditions
        ]
        whole = np.logical_and.reduce(passes)
        n, e = whole.sum(), (whole & (code != rule.label)).sum()
        assert (rule.cover, rule.errors) == (n, e)
        assert rule.error_estimate == pytest.approx(limit(n, e), rel=1e-12)
        for j in range(len(passes)):
            rest = [p for i, p in enumerate(passes) if i != j]
            rest = np.logical_and.reduce(rest) if rest else np.ones(len(y), bool)
            n, e = rest.sum(), (rest & (code != rule.label)).sum()
            assert limit(n, e) > rule.error_estimate


def exceptions(covered, n, wrong, missed):
    """Quinlan 1995: of the larger side half of all errors are expected, of the other its own."""
    left, half = n - covered, Fraction(wrong + missed, 2)
    sides = [(covered, wrong, wrong), (left, missed, half)]
    if covered > left:
        sides = [(covered, wrong, half), (left, missed, missed)]
    bits = math.log2(n)
    for size, marked, expected in sides:
        bits -= marked * math.log2(expected / size) if marked else 0
        bits -= (size - marked) * math.log2(1 - expected / size) if size > marked else 0
    return bits


@pytest.fixture
def golf():
    printed = json.loads((GOLDEN / "c45rules_golf.json").read_text())
    return printed, pd.DataFrame(printed["rows"], columns=printed["columns"])


def test_numbers_that_c45rules_prints(golf):
    printed, table = golf
    for wrong, n, percent in printed["errors_of_cases_percent"]:
        # The program takes the normal quantile from a table of eight, between two of its lines.
        z = 0.84 + (0.25 - 0.84) * (0.25 - 0.20) / (0.40 - 0.20)
        upper = (wrong + extra_errors(n, wrong, 0.25, z)) / n
        assert 100 * upper == pytest.approx(percent, abs=0.06)
    for m in printed["message"]:
        left = len(table) - m["covered"]
        bits = exception_bits(m["covered"], left, m["wrong"], m["missed"]) + m["rules"] / 2
        assert bits == pytest.approx(m["bits"], abs=0.1)


def test_rules_that_c45rules_prints(golf):
    printed, table = golf
    # C4.5 puts the class first that its file of names puts first.
    y = table["play"].replace({"Play": "1", "Don't Play": "2"})
    X = table.drop(columns="play")
    rules = C45Classifier(pruning=None).fit(X, y).to_ruleset(X, y)
    found = [
        [" and ".join(c.words(rules.columns) for c in rule.conditions),
         ["Play", "Don't Play"][rule.label], 100 * (1 - rule.error_estimate)]
        for rule in rules.rules
    ]  # fmt: skip
    for ours, theirs in zip(found, printed["rules"], strict=True):
        assert ours[:2] == theirs[:2]
        assert ours[2] == pytest.approx(theirs[2], abs=0.06)
    assert printed["default"] == ["Play", "Don't Play"][rules.default]


def message(masks, bits, mine, some):
    """Bits of some of the rules of one class, and of the exceptions to them."""
    hit = np.zeros(len(mine), bool)
    for i in some:
        hit |= masks[i]
    wrong, lost = (hit & ~mine).sum(), (mine & ~hit).sum()
    own = sum(bits[i] for i in some) - math.log2(math.factorial(len(some)))
    return exceptions(int(hit.sum()), len(mine), int(wrong), int(lost)) + max(own, 0) / 2


@pytest.mark.parametrize("seed", range(6))
def test_the_subset_with_the_shortest_message(seed):
    """Against all subsets of eight rules."""
    rng = np.random.default_rng(seed)
    n = 60
    mine = rng.random(n) < 0.4
    masks = [(rng.random(n) < 0.3) & (mine | (rng.random(n) < 0.3)) for _ in range(8)]
    bits = (rng.random(8) * 12).tolist()

    length = partial(message, masks, bits, mine)
    subsets = [c for r in range(9) for c in itertools.combinations(range(8), r)]
    best = min(map(length, subsets))
    found = choose_subset(masks, bits, mine, np.ones(n))
    assert length(found) == pytest.approx(best, abs=1e-9)


def test_many_rules_are_chosen_one_by_one_from_all_and_from_none():
    """Of more than ten rules: against the same walk, written down step by step."""
    better = set()
    for seed in range(40):
        luck = np.random.default_rng(seed)
        n, count = 60, 12
        mine = luck.random(n) < 0.4
        masks = [(luck.random(n) < 0.3) & (mine | (luck.random(n) < 0.5)) for _ in range(count)]
        bits = (luck.random(count) * 25).tolist()
        length = partial(message, masks, bits, mine)
        ends = []
        for some in (set(range(count)), set()):
            while True:
                best = min(({i} ^ some for i in range(count)), key=length)
                if length(best) >= length(some) - 1e-9:
                    break
                some = best
            ends.append(length(some))
        found = choose_subset(masks, bits, mine, np.ones(n))
        assert length(found) == pytest.approx(min(ends), abs=1e-9)
        better.add(np.sign(round(ends[0] - ends[1], 6)))
    assert better >= {-1, 1}  # either start is the better one at times


def test_the_weather(weka):
    frame = pd.DataFrame({c["name"]: c["values"] for c in weka["weather.nominal"]["columns"]})
    X, y = frame.iloc[:, :-1], frame.iloc[:, -1]
    tree = ID3Classifier().fit(X, y)
    rules = tree.to_ruleset(X, y)
    assert (rules.predict(X) == y).all()
    conditions = sum(len(r.conditions) for r in rules.rules)
    assert conditions < sum(r.count(" = ") for r in tree.to_rules().splitlines()) == 9


def test_fewer_rules_than_leaves_and_hardly_worse():
    for load in (load_iris, load_breast_cancer):
        X, y = load(return_X_y=True)
        train = np.arange(len(y)) % 3 > 0
        tree = C45Classifier(pruning=None).fit(X[train], y[train])
        rules = tree.to_ruleset(X[train], y[train])
        assert 1 < len(rules) <= tree.get_n_leaves()
        right = (rules.predict(X[~train]) == y[~train]).mean()
        assert right > tree.score(X[~train], y[~train]) - 0.03


def test_weights_are_repetitions(mixed):
    X, y = mixed
    weight = np.arange(len(y)) % 3
    again = np.repeat(np.arange(len(y)), weight)
    a = C45Classifier(pruning=None).fit(X, y, sample_weight=weight).to_ruleset(X, y, weight)
    b = C45Classifier(pruning=None).fit(X.iloc[again], y[again]).to_ruleset(X.iloc[again], y[again])
    assert a.to_text() == b.to_text()


def test_a_sparse_table_is_a_table():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, (200, 6)) * rng.normal(size=(200, 6)).round(1)
    y = (X[:, 1] > 0.2).astype(int) + (X[:, 4] > 0)
    a = TreeClassifier().fit(X, y).to_ruleset(X, y)
    again = sparse.csr_array(X)
    b = TreeClassifier().fit(again, y).to_ruleset(again, y)
    assert a.to_text() == b.to_text()
    np.testing.assert_array_equal(a.predict(X), b.predict(again))


def test_a_leaf_has_no_rule():
    X, y = np.ones((6, 1)), [0, 1, 1, 1, 1, 1]
    rules = TreeClassifier().fit(X, y).to_ruleset(X, y)
    assert rules.to_text() == "else 1 (6/1; 0.833)"
    assert rules.predict([[3.0]]).tolist() == [1]


def test_names_that_could_be_misread():
    column = FittedColumn("a = b", "name", ("x, y", "z"))
    X = pd.DataFrame({column.name: ["x, y"] * 6 + ["z"] * 6})
    text = TreeClassifier().fit(X, [0] * 6 + [1] * 6).to_ruleset(X, [0] * 6 + [1] * 6).to_text()
    assert text.startswith('if "a = b" = "x, y" then 0 (6;')


def test_bad_input():
    X, y = load_iris(return_X_y=True)
    tree = C45Classifier().fit(X, y)
    with pytest.raises(ValueError, match="`cf` must be between 0 and 1"):
        tree.to_ruleset(X, y, cf=1.5)
    with pytest.raises(ValueError, match="`y` must hold the classes of fit, got 7"):
        tree.to_ruleset(X, y + 7)


@pytest.mark.parametrize(
    ("told", "words", "or_missing"),
    [
        ({"high": 2.5}, "size <= 2.5", "(size <= 2.5 or missing)"),
        ({"low": 2.5}, "size > 2.5", "(size > 2.5 or missing)"),
        ({}, "size is known", "(size is known or missing)"),
        ({"low": math.inf}, "never", "size is missing"),
        ({"levels": ("a",)}, "size = a", "(size = a or missing)"),
        ({"levels": ("a", "b", "c")}, "size in {a, b, … 1 more}", "(size in {a, b, … 1 more} or missing)"),
        ({"levels": ()}, "never", "size is missing"),
    ],
)  # fmt: skip
def test_a_condition_says_whether_missing_values_pass(told, words, or_missing):
    columns = [FittedColumn("size", "name" if "levels" in told else "number")]
    assert Condition(0, **told).words(columns, 2) == words
    assert Condition(0, **told, missing=True).words(columns, 2) == or_missing
