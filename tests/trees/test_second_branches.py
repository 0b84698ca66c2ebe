"""Second branches, ties and options in pairs of the trees: each by a slow word of its own."""

import math
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from scipy.special import xlogy
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.class_weight import compute_class_weight

from trees.test_rules import limit
from xent.trees import (
    C45Classifier,
    CARTClassifier,
    CARTRegressor,
    ID3Classifier,
    TreeClassifier,
    TreeRegressor,
)
from xent.trees._fit import FOLDS, shares
from xent.trees._grow import dense
from xent.trees._prune import losses, message, number_values, reduced_error
from xent.trees._show import text
from xent.trees._show.picture import CLASS_COLOURS, _colour
from xent.trees._show.rules import Condition, Rule
from xent.trees._show.simplify import Training, _in_order, _polish, condition_bits
from xent.trees._table.columns import Cases, FittedColumn
from xent.trees._table.weights import times_class


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


@pytest.mark.parametrize("criterion", ["squared_error", "poisson"])
@pytest.mark.parametrize("weighted", [False, True])
def test_reduced_error_of_numbers_by_hand(criterion, weighted):
    """Row by row: squares, or half the deviance of a count from the mean of its node."""
    kept = gone = 0
    for seed in range(10):
        luck = np.random.default_rng(seed)
        X, Z = (luck.integers(0, 6, (150, 3)).astype(float) for _ in range(2))
        y, z = (luck.poisson(1 + 2.0 * (T[:, 0] > 2)).astype(float) for T in (X, Z))
        weight = luck.choice([0.5, 1.0, 3.0], 150) if weighted else np.empty(0)
        fitted = TreeRegressor(criterion=criterion, pruning=None, min_samples_leaf=4).fit(X, y)
        # The middle that squares are taken about was taken out of the tree's numbers.
        shift = fitted.value_[0, 0] - fitted.tree_.stats[0, 1] / fitted.tree_.stats[0, 0]
        pruned = reduced_error(fitted.tree_, fitted._cases(Z), z - shift, weight, criterion)
        paths = np.asarray(fitted.decision_path(Z).todense()) > 0
        w, errors = weight if weighted else np.ones(150), []
        for k, mean in enumerate(fitted.value_[:, 0]):
            here = paths[:, k]
            each = (z - mean) ** 2
            if criterion == "poisson":
                each = xlogy(z, z / mean) - z + mean
            errors.append(float((w * each)[here].sum()))
        _, nodes, _ = best(0, fitted.tree_.parent(), errors)
        assert pruned.size == nodes
        kept, gone = kept + (nodes > 1), gone + (nodes < fitted.tree_.size)
    assert kept > 5
    assert gone > 5


@pytest.mark.parametrize(("seed", "noise"), [(1, "rare"), (0, "even"), (2, "even"), (3, "even")])
def test_one_standard_error_of_squares(seed, noise):
    """Against scikit-learn's pruned trees: the smallest within one error of the least risk."""
    luck = np.random.default_rng(seed)
    X = luck.normal(size=(160, 3))
    apart = luck.gamma(0.3, 1.0, 160) if noise == "rare" else luck.uniform(-0.5, 0.5, 160)
    y = np.where(X[:, 0] > 0, 1.0, 0.0) + 0.3 * (X[:, 1] > 0.5) + apart

    def pruned(rows, alpha):
        tree = DecisionTreeRegressor(min_samples_leaf=5, random_state=0, ccp_alpha=alpha)
        return tree.fit(X[rows], y[rows])

    ours = TreeRegressor(min_samples_leaf=5).fit(X, y)
    whole = TreeRegressor(min_samples_leaf=5, pruning=None).fit(X, y)
    steps = pruned(slice(None), 0).cost_complexity_pruning_path(X, y).ccp_alphas
    steps = np.unique(steps.round(12))
    between = [*np.sqrt(steps[:-1] * steps[1:]), 1e9]
    risks, errors = [], []
    folds = shares(whole._cases(X), None, np.ones(160), FOLDS) > 0.5
    for alpha in between:
        loss = np.empty(160)
        for held in folds:
            loss[held] = (pruned(~held, alpha + 1e-12).predict(X[held]) - y[held]) ** 2
        risks.append(loss.mean())
        errors.append(loss.std() / math.sqrt(160))
    least = int(np.argmin(risks))
    chosen = max(i for i, risk in enumerate(risks) if risk <= risks[least] + errors[least])
    want = pruned(slice(None), steps[chosen] + 1e-12)
    assert ours.get_n_leaves() == want.get_n_leaves()
    np.testing.assert_allclose(ours.predict(X), want.predict(X))


def test_bits_of_a_condition_by_hand():
    """A column's name, and one of its levels, or a side and one of the cuts between its numbers."""
    numbers = np.array([[1.0], [2.0], [2.0], [5.0], [np.nan], [7.0]])
    cases = Cases(
        np.array([0, 1, 0, 0]), np.array([0, 0, 0, 0]), numbers, np.zeros((1, 6), np.int32),
        np.array([6]),
    )  # fmt: skip
    columns = [FittedColumn("x", "number"), FittedColumn("c", "name", tuple("abcdef"))]
    columns += [FittedColumn(name, "number") for name in "yz"]
    training = Training(cases, columns, np.zeros(6, np.int64), np.ones(6), 2, 0.25)
    for condition, bits in (
        (Condition(0, high=2.0), 2 + 1 + math.log2(3)),  # 1, 2, 5 and 7: three cuts
        (Condition(0, low=2.0), 2 + 1 + math.log2(3)),
        (Condition(1, levels=("c",)), 2 + math.log2(6)),
        (Condition(1, levels=("c", "d")), 2 + 6),
    ):
        assert condition_bits(condition, training) == pytest.approx(bits, rel=1e-14)


@pytest.mark.parametrize("cf", [0.05, 0.5])
def test_rules_are_judged_at_the_confidence_that_was_asked_for(cf):
    luck = np.random.default_rng(4)
    X = luck.normal(size=(300, 3))
    y = ((X[:, 0] > 0) ^ (luck.random(300) < 0.15)).astype(int)
    rules = C45Classifier(pruning=None).fit(X, y).to_ruleset(X, y, cf=cf)
    assert len(rules) > 0
    for rule in rules.rules:
        assert rule.error_estimate == pytest.approx(limit(rule.cover, rule.errors, cf), rel=1e-12)


@pytest.mark.parametrize("kind", ["number", "name"])
@pytest.mark.parametrize("few", [1, 2, 3])
def test_a_surrogate_sends_two_cases_each_way(kind, few):
    """Breiman et al. 1984, section 5.3: of 12 and 8 cases it sends so few the other way."""
    first = np.r_[np.arange(12), np.arange(20, 28)].astype(float)
    other = np.zeros(20)
    other[-few:] = 1.0
    second = np.where(other > 0, "q", "p") if kind == "name" else other
    table = pd.DataFrame({"first": first, "second": second})
    tree = CARTClassifier(pruning=None, max_depth=1).fit(table, [0] * 12 + [1] * 8)
    t = tree.tree_
    assert (t.feature[0], t.threshold[0]) == (0, 15.5)
    found = t.surrogate_feature[t.surrogate_start[0] : t.surrogate_start[1]].tolist()
    assert found == ([1] if few >= 2 else [])


def test_half_a_wrong_case_is_said():
    X, y = [[0.0], [0.0], [1.0], [1.0]], ["a", "b", "b", "b"]
    tree = TreeClassifier(pruning=None, min_samples_leaf=1).fit(X, y, [5.0, 0.5, 1.0, 2.0])
    assert tree.to_text() == "x0 <= 0.5 or missing: a (5.5/0.5)\nx0 > 0.5: b (3)"


def test_colours_and_bars_of_classes_by_hand():
    """21 colours: seven, then mixed with 45 % white, then with 70 %; the rarest class has a bar."""
    for c in range(42):
        own = CLASS_COLOURS[c % 7]
        white = [0.0, 0.45, 0.7][c // 7 % 3]
        mixed = [round((1 - white) * int(own[i : i + 2], 16) + white * 255) for i in (1, 3, 5)]
        found = [int(_colour(c)[i : i + 2], 16) for i in (1, 3, 5)]
        assert len(_colour(c)) == 7
        assert np.abs(np.subtract(found, mixed)).max() <= 1
    tree = TreeClassifier(pruning=None).fit(np.ones((3, 1)), list("abc"), [1000.0, 1.0, 500.0])
    root = ElementTree.fromstring(tree.to_svg())
    bars = [rect for rect in root.findall(".//{*}rect") if rect.find("{*}title") is not None]
    assert [bar.find("{*}title").text for bar in bars] == ["a: 1000", "b: 1", "c: 500"]
    wide = np.array([float(bar.get("width")) for bar in bars])
    np.testing.assert_allclose(wide / wide.sum(), np.array([1000, 1, 500]) / 1501, atol=1e-4)
    begins = np.array([float(bar.get("x")) for bar in bars])
    np.testing.assert_allclose(np.diff(begins), wide[:-1], atol=0.02)


def test_a_rule_has_no_condition_that_says_nothing():
    """One bound where a path has one, two where it has two."""
    X = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
    tree = TreeClassifier(pruning=None).fit(X, list("aabbaa"))
    rules = tree.to_ruleset(X, list("aabbaa"), simplified=False)
    found = sorted(
        [(c.low, c.high) for c in rule.conditions] for rule in rules.rules
    )  # of one column: x <= 1.5, x > 3.5, and what lies between
    assert found == [
        [(-math.inf, 1.5)], [(1.5, math.inf), (-math.inf, 3.5)], [(3.5, math.inf)]
    ]  # fmt: skip
    for rule in tree.to_ruleset(X, list("aabbaa")).rules:
        assert "is known" not in " ".join(c.words(rules.columns) for c in rule.conditions)


@pytest.mark.parametrize("size", [70, 500])
def test_rows_of_a_class_that_weighs_nothing_are_no_rows_of_a_stream(size):
    """They make no bin, no case and no frequency."""
    luck = np.random.default_rng(5)
    table = pd.DataFrame({"u": luck.normal(size=3000), "v": luck.integers(0, 9, 3000)})
    table["y"] = np.where(table.u + luck.normal(size=3000) > 0.4, "a", "b")
    table.loc[luck.random(3000) < 0.5, "y"] = "c"
    columns = ["u", "v"]
    options = {"splitter": "histogram", "pruning": None, "max_depth": 6}
    parts = TreeClassifier(**options, class_weight={"c": 0.0, "b": 2.0})
    parts.fit(lambda: (table[i : i + size] for i in range(0, 3000, size)), "y")
    kept = table[table.y != "c"]
    weight = np.where(kept.y == "b", 2.0, 1.0)
    alone = TreeClassifier(**options).fit(kept[columns], kept.y.to_numpy(), weight)
    np.testing.assert_array_equal(parts.tree_.threshold, alone.tree_.threshold)
    np.testing.assert_array_equal(parts.tree_.weight(), alone.tree_.weight())
    said, want = (tree.predict_proba(table[columns]) for tree in (parts, alone))
    np.testing.assert_allclose(said[:, :2], want)
    assert not said[:, 2].any()


def test_nodes_searched_in_parts_are_those_searched_at_once(monkeypatch):
    """Among them tests of names, whose groups of levels take room of their own."""
    luck = np.random.default_rng(6)
    names = {c: np.array(list("abcdefghijklm"))[luck.integers(0, 13, 4000)] for c in "pqr"}
    table = pd.DataFrame({**names, "u": luck.normal(size=4000).round(1)})
    y = luck.integers(0, 2, 4000)
    options = {"pruning": None, "criterion": "gini", "min_samples_leaf": 3}
    whole = TreeClassifier(**options).fit(table, y)
    named = (whole.tree_.set_start >= 0) & ~whole.tree_.leaf
    assert np.bincount(whole.tree_.depth()[named]).max() > 40
    monkeypatch.setattr(dense, "TRIED_AT_ONCE", 1)
    parts = TreeClassifier(**options).fit(table, y)
    for name, array in whole.tree_.arrays().items():
        np.testing.assert_array_equal(array, parts.tree_.arrays()[name], err_msg=name)


def test_rules_with_surrogates_say_the_tests_of_their_own_path():
    """Each of those that have surrogates, one by one, and none of another branch."""
    luck = np.random.default_rng(7)
    a, c = luck.normal(size=(2, 400))
    table = pd.DataFrame({"a": a, "b": a + luck.normal(0, 0.3, 400), "c": c})
    table["d"] = c + luck.normal(0, 0.3, 400)
    y = (a > 0).astype(int) * 2 + (c > 0.2 * np.sign(a)) + (luck.random(400) < 0.05)
    table = table.mask(luck.random(table.shape) < 0.05)
    tree = CARTClassifier(pruning=None, max_depth=3).fit(table, y)
    path, want = [], []
    for line in tree.to_text().splitlines():
        depth = line.count("|   ")
        words, _, leaf = line.replace("|   ", "").partition(": ")
        path[depth:] = [words]
        if leaf:
            want.append([words for words in path if ", if missing " in words])
    assert sum(map(len, want)) > 12
    rules = tree.to_rules().splitlines()
    for rule, tests in zip(rules, want, strict=True):
        conditions = rule.removeprefix("if ").partition(" then ")[0].split(" and ")
        found = [c.strip("()") for c in conditions if ", if missing " in c]
        assert sorted(found) == sorted(words.strip("()") for words in tests)


def test_the_longest_text_is_what_its_page_says():
    assert text.MAX_TEXT == 2**28
    assert "2**28 letters" in TreeClassifier.to_text.__doc__


def test_the_next_class_of_rules_is_wrong_on_least_that_is_left():
    """Class 0 is wrong on two cases, which the rule of class 2 takes; class 1 on half a case."""
    x, y = np.arange(10.0), np.array([2, 2, 0, 0, 0, 0, 1, 1, 1, 0])
    none = np.empty(0, np.int64)
    cases = Cases(np.zeros(1, np.int64), np.zeros(1, np.int64), x[:, None], none[None, :0], none)
    weight = np.r_[np.ones(9), 0.5]
    training = Training(cases, [FittedColumn("x", "number")], y, weight, 3, 0.25)
    bounds = {0: (-math.inf, 5.5), 1: (5.5, math.inf), 2: (-math.inf, 1.5)}
    groups = {
        label: [Rule((Condition(0, low, high),), label, 0.0, 0.0, 0.0)]
        for label, (low, high) in bounds.items()
    }
    assert [rule.label for rule in _in_order(groups, training)] == [2, 0, 1]


def training_of(x, y, classes, weight=None):
    none = np.empty(0, np.int64)
    x = np.array(x, float)
    cases = Cases(np.zeros(1, np.int64), np.zeros(1, np.int64), x[:, None], none[None, :0], none)
    weight = np.ones(len(x)) if weight is None else np.array(weight)
    return Training(cases, [FittedColumn("x", "number")], np.array(y), weight, classes, 0.25)


@pytest.mark.parametrize(
    ("y", "weight", "default"),
    [
        ([1, 1, 0, 1], None, 1),  # of what is left one each: the most frequent of all
        ([2, 2, 1, 0], None, 0),  # of all, too, one each: the first
        ([1, 1, 0, 1], [0.4, 0.4, 2, 1], 0),  # by weight, what is left comes before all
        ([1, 1, 0, 1], [2, 2, 1, 1], 1),
        ([0, 0, 2, 2], None, 2),
    ],
)
def test_the_default_is_the_most_frequent_of_what_is_left(y, weight, default):
    training = training_of([0, 0, 1, 1], y, 3, weight)
    rule = Rule((Condition(0, high=0.5),), y[0], 0.0, 0.0, 0.0)
    assert _polish([rule], training) == ([rule], default)


def test_classes_that_weigh_nothing_are_none_that_are_balanced():
    """As scikit-learn balances the rows that are left without them."""
    y, weight = np.array([0, 0, 0, 1, 2, 2, 2, 2]), np.array([1.0, 2, 1, 3, 0, 0, 0, 0])
    found = times_class(weight, "balanced", np.array(["a", "b", "c"]), y)
    each = compute_class_weight("balanced", classes=np.array([0, 1]), y=y[:4])
    assert found.tolist() == [*(weight[:4] * each[y[:4]]), 0, 0, 0, 0]
    some = times_class(weight[:4], "balanced", np.array(["a", "b", "c"]), y[:4])
    assert some.tolist() == found[:4].tolist()  # and so are those of which there is no row


@pytest.mark.parametrize(("left", "right"), [(12, 12), (12, 14), (14, 12)])
def test_a_level_that_no_case_has_goes_where_most_go(left, right):
    """By a surrogate of names; of equally many, down the first branch."""
    X = pd.DataFrame({
        "x": [0.0] * left + [1.0] * right + [np.nan],
        "z": [*"a" * (left - 1), "b", *"b" * (right - 1), "a", "c"],
    })  # fmt: skip
    tree = CARTClassifier(pruning=None, max_depth=1).fit(
        X, ["no"] * left + ["yes"] * right + ["yes"]
    )
    first, last = tree.to_text().splitlines()[0], "a, c" if left >= right else "a"
    said = f"in {{{last}}}" if "," in last else f"= {last}"
    assert first.startswith(f"x <= 0.5, if missing z {said}"), first
    assert tree.predict(X.iloc[[-1]]).tolist() == ["no" if left >= right else "yes"]


def test_labels_of_edges_are_cut_after_six_lines():
    for many in (5, 6, 7):
        names = [f"{letter * 34}" for letter in "abcdefg"[:many]]
        X = pd.DataFrame({"z": [*names, *["z"] * 9] * 4})
        dot = (
            TreeClassifier(pruning=None, nominal="subset")
            .fit(X, ([0] * many + [1] * 9) * 4)
            .to_dot()
        )
        (line,) = [line for line in dot.splitlines() if "->" in line and names[0] in line]
        shown = line.partition('label="')[2].partition('"')[0].split("\\n")
        assert len(shown) == (many if many < 7 else 7)
        assert ("labeltooltip" in line) == (shown[-1].startswith("…")) == (many == 7)


def test_that_an_answer_takes_missing_values_stays_to_be_seen_where_it_is_cut():
    for many, gaps in ((3, True), (7, True), (7, False)):
        names = [f"{letter * 34}" for letter in "abcdefg"[:many]]
        X = pd.DataFrame({"z": [*names, *["z"] * 9, None] * 4})
        y = ([0] * many + [1] * 9 + [0 if gaps else 1]) * 4
        tree = TreeClassifier(pruning=None, nominal="subset", max_depth=1).fit(X, y)
        (line,) = [one for one in tree.to_dot().splitlines() if "->" in one and names[0] in one]
        shown = line.partition('label="')[2].partition('"')[0].replace("\\n", " ")
        cut = "… or missing" if gaps else "…"
        assert shown.endswith(cut) if many == 7 else shown.endswith("} or missing")
        told = [t for t in tree.to_svg().split("<text ") if names[0] in t and "title" in t]
        (label,) = [t.partition(">")[2].partition("<")[0] for t in told]
        assert label.endswith("… or missing" if gaps else "…")


@pytest.mark.parametrize("simplified", [True, False])
def test_rows_that_weigh_nothing_are_none_of_those_that_rules_are_judged_by(simplified):
    """Their gaps are none either: only cases that miss a value let one pass."""
    luck = np.random.default_rng(4)
    x = luck.integers(0, 4, 60).astype(float)
    X, y = pd.DataFrame({"x": x, "z": luck.normal(size=60)}), np.where(x > 1, "a", "b")
    y[luck.random(60) < 0.2] = "a"
    tree = TreeClassifier(pruning=None).fit(X, y)
    more = pd.DataFrame(
        {"x": np.r_[np.linspace(10, 99, 300), np.nan], "z": np.r_[[7.0] * 300, np.nan]}
    )
    both, classes = pd.concat([X, more]), np.r_[y, ["a", "b"] * 150, ["b"]]
    weight = np.r_[np.ones(60), np.zeros(301)]
    want = tree.to_ruleset(X, y, simplified=simplified)
    found = tree.to_ruleset(both, classes, weight, simplified=simplified)
    assert found.to_text() == want.to_text()
    assert found.rules == want.rules


def test_the_first_class_that_the_fit_did_not_see_is_named():
    tree = TreeClassifier(pruning=None).fit([[0.0], [1.0]] * 4, ["a", "c"] * 4)
    for y, said in ((["a", "b", "c", "d"], "'b' at [1]"), (["z", "c", "a", "0"], "'z' at [0]")):
        with pytest.raises(ValueError, match="`y` must hold the classes of fit") as caught:
            tree.to_ruleset([[0.0]] * 4, y)
        assert str(caught.value).endswith(f"got {said}.")


@pytest.mark.parametrize(
    ("kind", "least"),
    [(CARTClassifier, 7), (CARTRegressor, 7), (C45Classifier, 2), (TreeClassifier, 2),
     (TreeRegressor, 2), (ID3Classifier, 1)],
)  # fmt: skip
def test_how_few_cases_a_branch_may_have_where_nothing_is_said(kind, least):
    """rpart's seven, C4.5's two, and one of ID3, whose branches are what there is."""
    for few in (least - 1, least):
        if not few:
            continue
        X = [["p"]] * few + [["q"]] * 30 if kind is ID3Classifier else [[0.0]] * few + [[9.0]] * 30
        options = {} if kind is ID3Classifier else {"pruning": None}
        tree = kind(**options).fit(X, [0] * few + [1] * 30)
        assert tree.get_n_leaves() == (1 if few < least else 2), few


def test_gains_of_weighed_classes_are_those_of_weighed_rows():
    luck = np.random.default_rng(3)
    X = pd.DataFrame({"x": luck.normal(size=60), "z": luck.choice([*"pqr"], 60)})
    y = np.where(X.x + luck.normal(size=60) > 0.3, "a", "b")
    by_class = TreeClassifier(pruning=None, class_weight={"a": 3.0}).fit(X, y)
    plain = TreeClassifier(pruning=None).fit(X, y, np.where(y == "a", 3.0, 1.0))
    found = by_class.gain_table(X, y)
    assert found == plain.gain_table(X, y, sample_weight=np.where(y == "a", 3.0, 1.0))
    assert found != plain.gain_table(X, y)
    # A threshold costs the bits that choose among the cuts of rows that weigh something.
    some = luck.random(60) < 0.7
    for tree in (by_class, C45Classifier(pruning=None).fit(X, y)):
        more = tree.gain_table(X, y, sample_weight=some.astype(float))
        assert more == tree.gain_table(X[some], y[some])


@pytest.mark.parametrize("sign", [1, -1])
def test_probabilities_under_a_constraint_sum_to_1(sign):
    luck = np.random.default_rng(0)
    X = luck.integers(0, 12, (300, 2)).astype(float)
    y = luck.random(300) < 0.5 + 0.4 * np.sin(X[:, 0])  # up and down: limits are met
    tree = TreeClassifier(pruning=None, monotonic_cst=[sign, 0], min_samples_leaf=5).fit(X, y)
    grid = np.c_[np.arange(12.0), np.full(12, 3.0)]
    p = tree.predict_proba(grid)
    assert p.sum(axis=1) == pytest.approx(np.ones(12), rel=1e-15)
    # Cases of the prior, mixed in, take a leaf of few cases past its limit: then both are cut.
    assert tree.predict_proba(X).sum(axis=1) == pytest.approx(np.ones(300), rel=1e-15)
    assert (sign * np.diff(p[:, 1]) >= 0).all()
    free = TreeClassifier(pruning=None, min_samples_leaf=5).fit(X, y).predict_proba(grid)
    assert (np.diff(free[:, 1]) < 0).any()
    assert (np.diff(free[:, 1]) > 0).any()
    names = pd.DataFrame({"z": [*"pq"] * 10})
    with pytest.raises(
        ValueError, match="constrain columns of numbers alone, got a column of names"
    ):
        TreeClassifier(monotonic_cst=[sign]).fit(names, [0, 1] * 10)


def test_the_path_is_of_the_criterion_unless_errors_are_asked_for():
    """Of 3 a and 1 b | 1 a and 3 b: entropy falls by 1 - H(1/4), wrong ones from 4 to 2 of 8."""
    X, y = np.repeat([0.0, 1.0], 4)[:, None], [*"aaab", *"abbb"]
    tree = TreeClassifier(pruning=None, min_samples_leaf=1).fit(X, y)
    gain = 1 + 0.25 * math.log2(0.25) + 0.75 * math.log2(0.75)
    assert tree.cost_complexity_path().tolist() == pytest.approx([0.0, gain])
    assert tree.cost_complexity_path(risk="criterion").tolist() == pytest.approx([0.0, gain])
    assert tree.cost_complexity_path(risk="error").tolist() == [0.0, 0.25]


@pytest.mark.parametrize("weight", [1e-6, 1e-3, 0.01])
def test_a_message_is_no_shorter_than_its_nodes_however_little_its_cases_weigh(weight):
    X, y = np.arange(8.0)[:, None], [0] * 5 + [1] * 3
    w = np.full(8, weight)
    bits = TreeClassifier(pruning=None, min_samples_leaf=weight, min_samples_split=weight)
    bits = bits.fit(X, y, sample_weight=w).description_length()
    assert bits.tree == pytest.approx(3)  # three nodes; of less than a case nothing is to be told
    assert bits.cases >= 0


@pytest.mark.parametrize("leaves", [2, 3, 4, 5, 6, 7])
def test_a_node_with_too_many_branches_leaves_its_room_to_another(leaves):
    """Best first by hand: what does not fit is passed over, and what gains less may still fit."""
    number, luck = np.arange(240.0), np.random.default_rng(3)
    names = np.array(list("pqrst"))[luck.integers(5, size=240)]
    low = np.select([names == name for name in "pqrst"], [0, 1, 2, 0, 1])
    y = np.where(
        number < 120, low, np.where(number < 180, 3, np.where(luck.random(240) < 0.2, 3, 4))
    )
    X = pd.DataFrame({"n": number, "c": names})
    tree = TreeClassifier(nominal="multiway", pruning=None, max_depth=2).fit(X, y)
    whole, gain = tree.tree_, {}
    for node in np.flatnonzero(~whole.leaf):
        first = whole.first[node]
        parts = [whole.stats[node], *whole.stats[first : first + whole.width[node]]]
        cost = [-xlogy(s, s / max(s.sum(), 1)).sum() for s in parts]
        gain[int(node)] = cost[0] - sum(cost[1:])
    assert sorted(whole.width[list(gain)].tolist()) == [2, 2, 5]
    count, open_ = 1, [0]
    while open_:
        node = max(open_, key=gain.get)
        open_.remove(node)
        if count + whole.width[node] - 1 <= leaves:
            count += int(whole.width[node]) - 1
            first = whole.first[node]
            open_ += [c for c in range(first, first + whole.width[node]) if c in gain]
    found = tree.set_params(max_leaf_nodes=leaves).fit(X, y).get_n_leaves()
    assert found == count == {2: 2, 3: 3, 4: 3, 5: 3, 6: 6, 7: 7}[leaves]


@pytest.mark.parametrize("kind", [C45Classifier, ID3Classifier, CARTClassifier])
def test_the_table_of_gains_chooses_what_the_tree_chose_at_every_node(kind):
    """Also where a column has a level for every third case of a node, but not of the whole table."""
    asked = 0
    for seed in range(12):
        luck = np.random.default_rng(seed)
        X = pd.DataFrame({
            "many": luck.choice([f"l{k}" for k in range(12)], 90),
            "few": luck.choice(list("abc"), 90), "n": luck.integers(9, size=90).astype(float),
            "m": luck.normal(size=90),
        })  # fmt: skip
        y = (X["n"] > 4).to_numpy() * 2 + X["many"].isin(["l1", "l4", "l7"]).to_numpy()
        y = np.where(luck.random(90) < 0.2, luck.integers(4, size=90), y)
        tree = kind(**({} if kind is ID3Classifier else {"pruning": None})).fit(X, y)
        for node in np.flatnonzero(~tree.tree_.leaf):
            rows = tree.gain_table(X, y, node=int(node))
            (chosen,) = [j for j, row in enumerate(rows) if row["chosen"]]
            assert chosen == tree.tree_.feature[node]
            asked += 1
    assert asked > 40


@pytest.mark.parametrize("missing", ["direction", "fractional", "branch", "surrogate"])
@pytest.mark.parametrize("kind", [TreeClassifier, "squared_error", "poisson"])
def test_errors_in_cross_validation_are_those_of_what_the_tree_predicts(kind, missing):
    """Also in a branch that no case of the fit took: there it says what its parent says."""
    luck = np.random.default_rng(5)
    nominal = "subset" if missing == "surrogate" else "multiway"
    options = {"nominal": nominal, "missing": missing, "pruning": None, "min_samples_leaf": 1}
    empty = 0
    for _ in range(6):
        X = pd.DataFrame({name: luck.choice(list("abcdef"), 60) for name in ("u", "v")})
        X["n"] = np.where(luck.random(60) < 0.2, np.nan, luck.normal(size=60))
        y = (X["u"] > "c").to_numpy() + (X["v"] > "b").to_numpy() + luck.integers(2, size=60)
        if kind is TreeClassifier:
            tree = kind(leaf_estimate=None, **options).fit(X[:40], y[:40])
            truth = tree.predict(X) != y
        else:
            tree = TreeRegressor(criterion=kind, **options).fit(X[:40], y[:40])
            middle = np.median(tree.value_[:, 0] - number_values(tree.tree_, kind)[:, 0])
            said = tree.predict(X)
            truth = (said - y) ** 2 if kind == "squared_error" else xlogy(y, y / said) - y + said
            y = y - middle
        empty += int((tree.tree_.weight() == 0).sum())
        found = losses(tree.tree_, tree._cases(X), y, tree.criterion)
        assert found == pytest.approx(truth.astype(float), rel=1e-9, abs=1e-12)
    assert empty > 5 or nominal == "subset"


@pytest.mark.parametrize("estimate", [None, "laplace", 2.0])
def test_a_node_without_cases_says_what_its_parent_says(estimate):
    """However much is mixed into a leaf: of a level that none of a branch's cases has."""
    X = pd.DataFrame({"c": list("aabbcc") * 20, "n": np.repeat([0.0, 1.0], 60)})
    X.loc[:59, "c"] = ["a", "b"] * 30  # below the threshold there is no c
    y = np.where(X["n"] > 0.5, 2, X["c"] == "a")
    tree = TreeClassifier(nominal="multiway", pruning=None, leaf_estimate=estimate).fit(X, y)
    found, parent = tree.tree_, tree.tree_.parent()
    empty = np.flatnonzero(found.weight() == 0)
    assert len(empty)
    np.testing.assert_array_equal(tree.value_[empty], tree.value_[parent[empty]])
    rows = pd.DataFrame({"c": ["c"], "n": [0.0]})
    n, k = (found.weight()[parent[empty[0]]], found.stats[parent[empty[0]]])
    prior = found.stats[0] / found.stats[0].sum()
    more = {None: 0 * prior, "laplace": 1 + 0 * prior, 2.0: 2 * prior}[estimate]
    assert tree.predict_proba(rows)[0] == pytest.approx((k + more) / (n + more.sum()))
