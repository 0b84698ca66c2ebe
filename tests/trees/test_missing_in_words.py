"""Whoever reads a printed tree must end in the leaf that `predict` takes, also where values miss.

The reader here knows nothing of trees but their text: it follows the words, row by row.
"""

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from xent.trees import C45Classifier, TreeClassifier, TreeRegressor, from_json, to_json
from xent.trees._show.named import EVERY_BRANCH

TEST = re.compile(
    r"(?:(?P<low>\S+) < )?(?P<name>\w+) (?:<= (?P<high>\S+?)|> (?P<above>\S+?)|= (?P<one>\w+?)"
    r"|in \{(?P<some>[^}]*)\}|is (?P<is>known|missing|anything)|(?P<never>never))"
    r"(?P<gap> or missing)?"
)
MISSES = ("direction", "branch", "surrogate")


def holds(words, row):
    """Say whether a condition holds; None where it cannot be told, as a value is missing."""
    found = TEST.fullmatch(words)
    assert found is not None, words
    value = row[found["name"]]
    if found["is"] == "anything":
        return True
    if found["is"] or found["never"]:
        return (found["is"] == "missing") == (value is None) and not found["never"]
    if value is None:
        return True if found["gap"] else None
    if found["one"] or found["some"] is not None:
        return str(value) in (found["one"] or found["some"]).split(", ")
    return (
        (found["low"] is None or value > float(found["low"]))
        and (found["high"] is None or value <= float(found["high"]))
        and (found["above"] is None or value > float(found["above"]))
    )


def takes(words, row):
    """Follow a test and the surrogates behind it: the first that knows its value decides."""
    *chain, last = words.strip("()").split(", if missing ")
    for test in chain:
        if (said := holds(test, row)) is not None:
            return said
    return bool(holds(last, row))


def leaf_by_text(lines, row):
    """Return the number of the leaf, from above, that the printed tree leads to."""
    depth, leaf, found = 0, 0, []
    for line in lines:
        head, bars = re.subn(r"\|   ", "", line)
        words, _, end = head.partition(": ")
        if bars <= depth:
            depth = bars
            if takes(words, row):
                depth = bars + 1
                if end:
                    found.append(leaf)
        leaf += bool(end)
    assert len(found) == 1, (row, found)
    return found[0]


def leaf_by_rules(lines, row):
    conditions = [re.fullmatch(r"if (.*) then .*", line)[1].split(" and ") for line in lines]
    found = [i for i, tests in enumerate(conditions) if all(takes(t, row) for t in tests)]
    assert len(found) == 1, (row, found)
    return found[0]


def table(seed, n=250):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "m": rng.choice(list("abcdefgh"), n),
            "x": rng.normal(size=n).round(1),
            "flag": rng.random(n) < 0.5,
            "z": rng.normal(size=n).round(1),
        }
    ).astype(object)
    hit = (X["m"].isin(["a", "b", "c"]) & (X["x"] > 0)) | ((X["z"] > 0.5) & X["flag"].astype(bool))
    X["w"] = X["z"] + rng.normal(size=n).round(1) / 4
    X["v"] = np.where(rng.random(n) < 0.8, X["m"], "a")
    for name in X.columns:
        X.loc[rng.random(n) < 0.15, name] = None
    # What is missing tells something, of numbers and of names.
    y = np.where(hit | (X["flag"].isna() & (rng.random(n) < 0.7)), "p", "q")
    return X, y


def unseen(X, seed):
    """Other rows: with more gaps, and with names that fit never saw."""
    rng = np.random.default_rng(seed)
    new = pd.concat([X, table(seed + 99)[0]], ignore_index=True)
    for name in new.columns:
        new.loc[rng.random(len(new)) < 0.2, name] = None
    new.loc[::13, "m"] = "neverseen"
    return new


def rows_of(X, tree):
    """Return the rows as they are read: a name that fit never saw is missing."""
    levels = {c.name: set(map(str, c.levels)) for c in tree.columns_ if c.kind == "name"}
    return [
        {k: None if v is None or v != v or str(v) not in levels.get(k, {str(v)}) else v
         for k, v in row.items()}
        for row in X.to_dict("records")
    ]  # fmt: skip


def in_order(tree):
    """Return the leaves in the order in which they are printed."""
    return [node for node, *_ in tree._named().walk() if tree.tree_.feature[node] < 0]


@pytest.mark.grid
@pytest.mark.parametrize("splitter", ["auto", "histogram"])
@pytest.mark.parametrize("nominal", ["subset", "multiway", "one_vs_rest"])
@pytest.mark.parametrize("missing", MISSES)
def test_text_and_rules_lead_where_predict_does(missing, nominal, splitter):
    if missing == "surrogate" and nominal == "multiway":
        return
    for seed in range(3):
        X, y = table(seed)
        tree = TreeClassifier(
            missing=missing, nominal=nominal, splitter=splitter, max_depth=5, pruning=None
        ).fit(X, y)
        tree = from_json(to_json(tree))
        new = unseen(X, seed)
        rows, leaves = rows_of(new, tree), in_order(tree)
        truth = tree.apply(new).tolist()
        lines = tree.to_text(max_levels=None).split("\n")
        assert [leaves[leaf_by_text(lines, row)] for row in rows] == truth
        lines = tree.to_rules(max_levels=None).split("\n")
        assert [leaves[leaf_by_rules(lines, row)] for row in rows] == truth


@pytest.mark.parametrize("missing", MISSES)
def test_a_raised_and_pruned_tree_too(missing):
    for kind, seed in ((TreeClassifier, 5), (TreeRegressor, 6), (C45Classifier, 7)):
        nominal = {} if kind is C45Classifier else {"nominal": "subset"}
        if kind is C45Classifier and missing == "surrogate":
            continue
        X, y = table(seed, 500)
        y = y if kind is not TreeRegressor else (y == "p") * 1.0
        tree = kind(missing=missing, **nominal).fit(X, y)
        new = unseen(X, seed)
        rows, leaves = rows_of(new, tree), in_order(tree)
        lines = tree.to_text(max_levels=None).split("\n")
        assert [leaves[leaf_by_text(lines, row)] for row in rows] == tree.apply(new).tolist()


@pytest.mark.parametrize("missing", MISSES)
def test_pictures_say_what_the_text_says(missing):
    X, y = table(3)
    tree = TreeClassifier(missing=missing, max_depth=4, pruning=None).fit(X, y)
    lines = tree.to_text(max_levels=None).split("\n")
    text = [re.sub(r"^(\|   )*", "", line).partition(": ")[0] for line in lines]
    root = ElementTree.fromstring(tree.to_svg())
    labels = [t for t in root.findall("{*}text") if t.get("stroke") == "#fff"]
    assert [t.find("{*}title").text for t in labels] == text
    for label, words in zip(labels, text, strict=True):
        assert label.text.endswith(" or missing") == words.endswith(" or missing")
    edges = re.findall(r'n(\d+) -> n\d+ \[label="(.*?)"', tree.to_dot())
    asked = [tree._named().asks(int(node)) for node, _ in edges]
    words = [words.replace("\\n", " ") for _, words in edges]
    assert [f"{a} {w}" for a, w in zip(asked, words, strict=True)] == text


def test_a_share_for_every_branch_is_said_once():
    X, y = table(1)
    tree = TreeClassifier(missing="fractional", max_depth=4, pruning=None).fit(X, y)
    assert (tree.tree_.missing_to[~tree.tree_.leaf] == -1).all()
    for words in (tree.to_text(), tree.to_rules()):
        *lines, last = words.split("\n")
        assert last == EVERY_BRANCH
        assert "missing" not in "".join(lines)
    assert EVERY_BRANCH in tree.to_dot()
    assert EVERY_BRANCH in "".join(ElementTree.fromstring(tree.to_svg()).itertext())
    known = pd.DataFrame({k: v.dropna().sample(200, replace=True, random_state=0).to_numpy()
                          for k, v in X.items()})  # fmt: skip
    rows, leaves = rows_of(known, tree), in_order(tree)
    lines = tree.to_text(max_levels=None).split("\n")[:-1]
    assert [leaves[leaf_by_text(lines, row)] for row in rows] == tree.apply(known).tolist()


def test_a_table_without_gaps_may_say_nothing_of_them():
    tree = TreeClassifier(missing="refuse", pruning=None).fit([[0.0], [1.0]] * 5, [0, 1] * 5)
    assert tree.to_text() == "x0 <= 0.5: 0 (5)\nx0 > 0.5: 1 (5)"
    assert tree.to_rules() == "if x0 <= 0.5 then 0 (5)\nif x0 > 0.5 then 1 (5)"


def test_no_level_that_cannot_come_is_listed():
    m = ["a"] * 20 + ["b"] * 20 + ["c"] * 20 + [None] * 20
    y = ["p"] * 20 + ["q"] * 20 + ["r"] * 20 + ["s"] * 20
    tree = TreeClassifier(missing="direction", pruning=None).fit(pd.DataFrame({"m": m}), y)
    words = tree.to_rules()
    for level in "abc":
        assert len(re.findall(rf"m = {level} ", words)) == 1
    assert len(re.findall("m is missing", words)) == 1
    assert "{}" not in words + tree.to_text()
    # A boolean of which one value is gone above: what is left is the missing one.
    for line in tree.to_text().split("\n"):
        assert line.count("missing") <= 1


def test_many_levels_do_not_fill_a_screen():
    levels = [f"level{i}" for i in range(194)]
    X = pd.DataFrame({"m": np.repeat(levels, 6)})
    y = np.repeat([i % 2 for i in range(194)], 6)
    tree = TreeClassifier(pruning=None).fit(X, y)
    for words in (tree.to_text(), tree.to_rules(), tree.to_ruleset(X, y).to_text()):
        assert max(map(len, words.split("\n"))) < 160
        assert "… 87 more}" in words
    whole = tree.to_text(max_levels=None)
    assert all(level in whole for level in levels)
    assert "… 95 more}" in tree.to_text(max_levels=2)
    assert all(level in tree.to_ruleset(X, y).to_text(max_levels=None) for level in levels[:1])
    for bad in (0, -1):
        with pytest.raises(ValueError, match="`max_levels` must be an integer of at least 1, got"):
            tree.to_text(max_levels=bad)
