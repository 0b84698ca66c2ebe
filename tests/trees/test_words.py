"""Trees in words, and on disk: what is written says what the tree says."""

import datetime
import json
import re
import sqlite3
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import polars as pl
import pytest

import xent.trees as trees
from xent.trees import C45Classifier, TreeClassifier, TreeRegressor, from_json, load, save, to_json
from xent.trees._show import text
from xent.trees._show.named import plain

ODD = ['a "quoted", b', "line\nbreak", "naïve ∑", "it's", "{x}", "\\n", "", " "]


@pytest.fixture
def odd():
    rng = np.random.default_rng(0)
    name = rng.choice(ODD, 400)
    number = rng.normal(size=400)
    X = pd.DataFrame({'odd "na,me"\n': name, "x <= 1": number, "flag": rng.random(400) < 0.5})
    y = np.where(np.isin(name, ODD[:3]) ^ (number > 0.3), "it's\n<&>", "no")
    return X, y


@pytest.mark.parametrize("nominal", ["subset", "multiway", "one_vs_rest"])
@pytest.mark.parametrize("missing", ["direction", "branch"])
def test_sql_says_what_predict_says(odd, nominal, missing):
    X, y = odd
    X = X.copy()
    X.iloc[::11, 0] = None
    X.iloc[::7, 1] = np.nan
    tree = TreeClassifier(nominal=nominal, missing=missing).fit(X, y)
    new = X.copy()
    new.iloc[5, 0] = "never seen"
    with sqlite3.connect(":memory:") as base:
        frame = new.astype({"flag": int}).astype(object)
        frame = frame.where(frame.notna(), None)
        columns = ", ".join('"' + c.replace('"', '""') + '"' for c in X.columns)
        base.execute(f"create table t ({columns})")
        base.executemany("insert into t values (?, ?, ?)", frame.to_numpy().tolist())
        said = [row[0] for row in base.execute(f"select {tree.to_sql()} from t order by rowid")]
    assert said == tree.predict(new).tolist()


def test_sql_refuses_what_it_cannot_say():
    X = np.array([[0.0], [1.0]] * 5)
    with pytest.raises(ValueError, match="goes down several branches"):
        C45Classifier().fit(X, [0, 1] * 5).to_sql()


def test_text_has_a_line_a_test(odd):
    X, y = odd
    tree = TreeClassifier().fit(X, y)
    lines = tree.to_text().split("\n")
    assert len(lines) == tree.n_nodes_ - 1
    assert sum(bool(re.search(r"\(\d+(/\d+)?\)$", line)) for line in lines) == tree.get_n_leaves()
    assert len(tree.to_rules().split("\n")) == tree.get_n_leaves()


def test_dot_and_picture_are_well_formed(odd):
    X, y = odd
    tree = TreeClassifier().fit(X, y)
    dot = tree.to_dot()
    assert dot.count("->") == tree.n_nodes_ - 1
    assert all(len(re.findall(r'(?<!\\)(?:\\\\)*"', line)) in (0, 2, 4) for line in dot.split("\n"))
    root = ElementTree.fromstring(tree.to_svg())
    assert len(root.findall("{*}path")) == tree.n_nodes_ - 1
    bars = [b for b in root.findall("{*}rect") if b.find("{*}title") is not None]
    assert len(bars) >= tree.n_nodes_
    words = "".join(root.itertext())
    assert "cases, and after the slash those of another class:" in words
    assert all(plain(name) in words for name in tree.classes_)


def test_pictures_of_long_names():
    """What does not fit is cut in the picture, and whole where one points at it."""
    levels = [f"Level {i} 猫" + " and more" * 9 for i in range(22)]
    X = pd.DataFrame({"A column whose name is a sentence, or two": np.repeat(levels, 20)})
    y = [f"class {i}" for i in np.repeat(np.arange(22) % 11, 20)]
    tree = TreeClassifier(pruning=None, max_depth=2).fit(X, y)
    root = ElementTree.fromstring(tree.to_svg())
    shown = [text.text for text in root.findall(".//{*}text") if text.find("{*}title") is not None]
    whole = [text.find("{*}title").text for text in root.findall(".//{*}text") if len(text)]
    assert max(map(len, shown)) <= 26 < max(map(len, whole))
    assert sum(words.startswith('"A column whose name') for words in shown) == 3
    assert all(any(level in words for words in whole) for level in levels)
    colours = {rect.get("fill") for rect in root.findall(".//{*}rect")} - {"#fff"}
    assert len(colours) == 11
    dot = tree.to_dot()
    lines = [line for label in re.findall(r'label="(.*?)"', dot) for line in label.split("\\n")]
    assert max(map(len, lines)) < 60
    assert all(level in dot.replace("\\n", " ") for level in levels)


def test_names_that_xml_cannot_hold():
    X = pd.DataFrame({"x\x0b": ["a\x00b", "c\x1f"] * 10})
    tree = TreeClassifier().fit(X, ["p\x07", "q\n"] * 10)
    words = "".join(ElementTree.fromstring(tree.to_svg()).itertext())
    assert r"p\u0007" in words
    assert r"a\u0000b" in words


KINDS = [getattr(trees, name) for name in trees.__all__ if name[0].isupper()]


@pytest.mark.parametrize("kind", KINDS)
def test_files_keep_every_bit(kind, odd, tmp_path):
    X, y = odd
    y = y if "Classifier" in kind.__name__ else X["x <= 1"] * 2
    tree = kind().fit(X, y)
    save(tree, tmp_path / "a.tree")
    for again in (load(tmp_path / "a.tree"), from_json(to_json(tree))):
        assert type(again) is kind
        assert again.get_params() == tree.get_params()
        assert again.predict(X).tolist() == tree.predict(X).tolist()
        assert again.to_text() == tree.to_text()
        for name, array in tree.tree_.arrays().items():
            assert again.tree_.arrays()[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("weight", [{"a": 2.0, "b": 0.5}, "balanced"])
def test_files_keep_options_that_were_chosen(weight, tmp_path):
    options = {
        "criterion": "gini", "nominal": "multiway", "missing": "branch", "pruning": "pessimistic",
        "cf": 0.4, "raising": False, "leaf_estimate": "laplace", "max_depth": 7,
        "max_leaf_nodes": None, "min_samples_leaf": 1.5, "min_samples_split": 3.0,
        "min_gain": 0.001, "splitter": "auto", "class_weight": weight, "monotonic_cst": None,
        "n_jobs": 1,
    }  # fmt: skip
    X = pd.DataFrame({"x": np.arange(40.0) % 9, "z": [*"pqrs"] * 10})
    tree = TreeClassifier(**options).fit(X, [*"aabab"] * 8)
    risen = TreeRegressor(monotonic_cst=[1, 0], max_leaf_nodes=3).fit(X.assign(z=1.0), X.x)
    for one in (tree, risen):
        save(one, tmp_path / "a.tree")
        for again in (load(tmp_path / "a.tree"), from_json(to_json(one))):
            assert again.get_params() == one.get_params()
            assert (
                again.predict(X.assign(z=1.0) if one is risen else X).tolist()
                == one.predict(X.assign(z=1.0) if one is risen else X).tolist()
            )
    assert {name: tree.get_params()[name] for name in options} == options
    other = TreeClassifier()
    same = {n for n, v in options.items() if v == other.get_params()[n]}
    assert same == {"max_leaf_nodes", "splitter", "monotonic_cst"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("first", 0),
        ("first", 10**6),
        ("feature", 99),
        ("feature", -2),
        ("width", 3),
        ("width", 10**9),
        ("missing_to", 7),
        ("set_start", 10**9),
        ("set_start", -5),
        ("threshold", "nan"),
        ("stats", "inf"),
        ("spare_of", 3),
        ("spare_start", -1),
        ("sets", 2),
    ],
)
def test_a_hostile_tree_is_refused(odd, name, value):
    X, y = odd
    tree = TreeClassifier().fit(X, y)
    content = json.loads(to_json(tree))
    values = content["arrays"][name]["values"]
    at = 0 if name in ("feature", "set_start", "sets", "spare_start") else min(0, len(values))
    if name == "set_start":
        at = next(i for i, v in enumerate(values) if v >= 0)
    values[at] = value
    with pytest.raises(ValueError, match="must hold a tree"):
        from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "other"}', "null", "[" * 10**5])
def test_what_is_no_tree_is_refused(text):
    with pytest.raises(ValueError, match="`text` must be"):
        from_json(text)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("arrays",), "x"),
        (("arrays", "feature", "values", 0), "x"),
        (("arrays", "stats", "shape"), [1, 2, 3]),
        (("state", "columns"), [["name"]]),
        (("state", "columns", 0, 2), ["a", 1]),
        (("state", "columns", 0, 2, 0), []),
        (("state", "classes"), [["a"], ["b"]]),
        (("state", "class_kind"), "<U99999999999"),
        (("state", "class_kind"), "M8[ns]"),
        (("state", "params"), "none"),
        (("state", "params", "colour"), 1),
        (("version",), []),
    ],
)
def test_one_sentence_for_json_that_is_no_tree(odd, place, value):
    content = json.loads(to_json(TreeClassifier().fit(*odd)))
    at = content
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    with pytest.raises(
        ValueError, match=r"^`(text` must be a tree as JSON|path` must hold a tree), got"
    ):
        from_json(json.dumps(content))


def test_durations_and_dates_in_sql():
    """As the standard writes them; DuckDB agrees with `predict` on such trees."""
    took = pd.to_timedelta([-3_500_001, -2_500_000, 1, 2] * 5, unit="us")
    X = pd.DataFrame({"took": took})
    sql = TreeRegressor(pruning=None, max_depth=1).fit(X, [0, 1, 1, 1] * 5).to_sql()
    assert """"took" <= INTERVAL '-3.000001' SECOND""" in sql
    X = pd.DataFrame(
        {"day": pd.to_datetime(["2020-02-28 23:00:00.0", "2020-02-29 01:00:00.5"] * 5)}
    )
    sql = TreeRegressor(pruning=None).fit(X, [0, 1] * 5).to_sql()
    assert """"day" <= TIMESTAMP '2020-02-29 00:00:00.250000'""" in sql
    words = TreeRegressor(pruning=None, max_depth=1).fit(
        pd.DataFrame({"took": took * 10**6}), [0, 1, 1, 1] * 5
    )
    assert words.to_text().startswith("took <= -(34 days 17:20:00.500000)")


def test_damage_is_noticed(odd, tmp_path):
    X, _ = odd
    path = tmp_path / "a.tree"
    save(TreeRegressor().fit(X, X["x <= 1"]), path)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="checksums do not match"):
        load(path)


def test_a_chain_of_tests_takes_no_memory_of_its_depth_squared(monkeypatch):
    depth = 3000
    whole = json.loads(to_json(TreeClassifier(pruning=None).fit([[0.0], [1.0]], [0, 1])))
    nodes = 2 * depth + 1
    held = {name: np.zeros(nodes) for name in ("feature", "threshold", "first", "width")}
    held["feature"] -= 1
    inner = np.arange(0, 2 * depth, 2)
    held["feature"][inner], held["width"][inner] = 0, 2
    held["threshold"][inner], held["first"][inner] = np.arange(depth), inner + 1
    held |= {"missing_to": np.zeros(nodes), "set_start": np.full(nodes, -1)}
    held |= {"stats": np.ones((nodes, 2)), "value": np.full((nodes, 2), 0.5)}
    held |= {"low": np.full(nodes, -np.inf), "high": np.full(nodes, np.inf)}
    held |= {"spare_of": np.arange(nodes), "spare_start": np.zeros(nodes + 1)}
    for name, array in held.items():
        values = [str(v) if np.isinf(v) else float(v) for v in array.ravel()]
        whole["arrays"][name] = {"shape": list(array.shape), "values": values}
    tree = from_json(json.dumps(whole))
    assert tree.get_depth() == depth
    assert len(tree.to_rules()) < 60 * depth
    assert tree.to_rules().splitlines()[-2] == "if 2998 < x0 <= 2999 then 0 (2/1)"
    assert len(tree.to_dot()) < 200 * depth
    assert len(tree.to_text()) > 4 * depth**2
    monkeypatch.setattr(text, "MAX_TEXT", depth**2)
    for write, what in ((tree.to_text, "text"), (tree.to_sql, "SQL")):
        with pytest.raises(ValueError) as caught:
            write()
        assert str(caught.value) == (
            f"The tree cannot be written as {what}: it is so deep that this takes more than "
            "9,000,000 letters. Prune it, or take to_json or to_dot."
        )


def test_times_of_day_in_words():
    times = [datetime.time(8, 0), datetime.time(11, 0, 0, 1)] * 5
    tree = TreeRegressor(pruning=None).fit(pl.DataFrame({"at": times}), [0, 1] * 5)
    assert tree.to_text().splitlines()[0].startswith("at <= 09:30:00 or missing: 0")
    assert """"at" <= TIME '09:30:00'""" in tree.to_sql()
    assert from_json(to_json(tree)).predict(pl.DataFrame({"at": times})).tolist() == [0, 1] * 5
