"""`xent rank` and `xent drift` on files: the table, the JSON, the page, the exit code."""

import gzip
import json
import warnings

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from browser import needs_browser, visit
from xent import _table
from xent.cli import _measures

OUTLOOK = "sun sun cloud rain rain rain cloud sun sun rain sun cloud cloud rain"
PLAY = "no no yes yes yes no yes no yes yes yes yes yes no"
WEATHER = {
    "outlook": OUTLOOK.split(),
    "windy": [0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1],
    "id": [f"row {i}" for i in range(14)],
    "play": PLAY.split(),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    _table.write(folder / "weather.csv", WEATHER)
    _table.write(folder / "weather.parquet", WEATHER)
    moved = {**WEATHER, "outlook": ["fog" if s == "sun" else s for s in WEATHER["outlook"]]}
    _table.write(folder / "moved.csv", moved)
    _table.write(folder / "less.csv", {"play": WEATHER["play"]})
    return folder


def xent(*args):
    app = typer.Typer()
    _measures.register(app)
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.mark.parametrize("name", ["weather.csv", "weather.parquet"])
def test_rank_prints_bars(folder, name):
    done = xent("rank", folder / name, "--target", "play")
    assert done.exit_code == 0, done.output
    title, _, best, second, *_ = done.stdout.splitlines()
    assert title == "What tells about play (bits)"
    assert best.split() == ["id", "█" * 22, "0.9403", "14", "0"]
    assert second.split() == ["outlook", "█████▊", "0.2467", "3", "0"]


def test_rank_with_chance(folder):
    done = xent("rank", folder / "weather.csv", "--target", "play", "--permutations", "19")
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()[2:]}
    assert rows["id"][-2:] == ["0.0000", "1"]
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert next(iter(rows)) == "outlook"
    assert "█" in "".join(rows["outlook"])
    assert (
        done.stdout
        == xent("rank", folder / "weather.csv", "--target", "play", "--permutations", "19").stdout
    )


def test_rank_by_neighbours(folder):
    args = ("rank", folder / "weather.csv", "--target", "play", "--numeric", "ksg", "--json", "-")
    found = {f["name"]: f for f in json.loads(xent(*args).stdout)}
    assert round(found["outlook"]["score"], 4) == 0.2467
    assert found["windy"]["cuts"] == []


def test_rank_as_json(folder, tmp_path):
    args = ("rank", folder / "weather.csv", "--target", "play", "--weights", "windy")
    done = xent(*args, "--json", "-")
    found = json.loads(done.stdout)
    assert {f["name"] for f in found} == {"outlook", "id"}
    assert all(f["rows"] == 6 for f in found)
    assert xent(*args, "--json", tmp_path / "rank.json").exit_code == 0
    assert json.loads((tmp_path / "rank.json").read_text()) == found


def test_empty_fields_are_missing(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\na,1\n,0\n,0\na,1\n")
    (found,) = json.loads(xent("rank", tmp_path / "t.csv", "--target", "y", "--json", "-").stdout)
    assert (found["missing"], found["score"]) == (2, 1.0)
    done = xent("rank", tmp_path / "t.csv", "--target", "y", "--missing", "refuse")
    assert str(done.exception) == (
        "`TABLE['x']` must have a value in every row, got a missing one in 2 rows. "
        "Pass --missing drop or --missing symbol."
    )


def test_drift_and_its_exit_code(folder):
    same = xent("drift", folder / "weather.csv", folder / "weather.parquet", "--threshold", "0")
    assert same.exit_code == 0, same.output
    args = ("drift", folder / "weather.csv", folder / "moved.csv")
    assert xent(*args).exit_code == 0
    assert xent(*args, "--threshold", "0.9").exit_code == 0
    done = xent(*args, "--threshold", "0.1")
    assert done.exit_code == 1
    assert done.stderr == "1 column above 0.1: outlook\n"
    first = done.stdout.splitlines()[2].split()
    assert (first[0], first[-4:]) == ("outlook", ["35.7", "%", "35.7", "%"])
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert xent(*args, "--threshold", "0.9", "--measure", "psi").exit_code == 1
    assert xent(*args, "--threshold", "0.1", "--columns", "play,w*").exit_code == 0
    assert xent(*args, "--weights", "windy", "--threshold", "0.9").exit_code == 0


@pytest.mark.parametrize("measure", ["js", "psi", "hellinger", "total_variation"])
@pytest.mark.parametrize("bootstrap", [0, 20])
def test_every_number_of_drift_stands_below_its_heading(folder, measure, bootstrap):
    args = ["drift", folder / "weather.csv", folder / "moved.csv", "--measure", measure]
    args += ["--bootstrap", bootstrap] * bool(bootstrap)
    shown = xent(*args).stdout.replace("total variation", "total_variation").replace(" %", "%")
    _, head, first, *_ = (line.split() for line in shown.splitlines())
    found = json.loads(xent(*args, "--json", "-").stdout)[0]
    first.pop(1)  # the bar
    stands = dict(zip(head, first, strict=True))
    for name in {"js", "kl", "psi", measure}:
        assert float(stands.pop(name)) == pytest.approx(found[name], abs=6e-5)
    for name in ("new", "gone"):
        assert float(stands.pop(name)[:-1]) == pytest.approx(100 * found[name], abs=0.06)
    assert stands.pop("column") == found["name"]
    if bootstrap:
        ends = [float(end) for end in stands.pop("interval").split("-")]
        assert ends == pytest.approx([found["low"], found["high"]], abs=6e-5)
    assert not stands


@pytest.mark.parametrize("measure", ["hellinger", "total_variation"])
def test_drift_by_another_distance(folder, measure):
    args = ("drift", folder / "weather.csv", folder / "moved.csv", "--measure", measure)
    shown = xent(*args, "--threshold", "1")  # the largest that it can be
    assert shown.exit_code == 0
    assert measure.split("_")[0] in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert xent(*args, "--threshold", "0.01").exit_code == 1
    values = [record[measure] for record in json.loads(xent(*args, "--json", "-").stdout)]
    assert values == sorted(values, reverse=True)
    if measure == "total_variation":  # five rows of sun are fog
        assert round(values[0], 12) == round(5 / 14, 12)


@pytest.mark.parametrize("measure", ["js", "kl", "psi", "hellinger", "total_variation"])
def test_columns_stand_in_the_order_of_the_measure(tmp_path, measure):
    """A new rare level weighs in KL and PSI, a shift of much in total variation."""
    old = {
        "rare": ["a"] * 98 + ["b"] * 2,
        "much": ["a"] * 60 + ["b"] * 40,
        "some": ["a"] * 90 + ["b"] * 10,
    }
    new = {
        "rare": ["a"] * 90 + ["c"] * 10,
        "much": ["a"] * 35 + ["b"] * 65,
        "some": ["a"] * 70 + ["b"] * 30,
    }
    _table.write(tmp_path / "old.csv", old)
    _table.write(tmp_path / "new.csv", new)
    args = ("drift", tmp_path / "old.csv", tmp_path / "new.csv", "--measure", measure)
    records = json.loads(xent(*args, "--json", "-").stdout)
    values = [record[measure] for record in records]
    assert values == sorted(values, reverse=True)
    names = [record["column"] if "column" in record else record["name"] for record in records]
    table = xent(*args).stdout
    assert sorted(names, key=table.index) == names
    tv = {
        name: 0.5 * sum(abs(old[name].count(s) - new[name].count(s)) / 100 for s in "abc")
        for name in old
    }
    if measure == "total_variation":
        assert names == sorted(tv, key=tv.get, reverse=True) == ["much", "some", "rare"]
    if measure in ("kl", "psi"):
        assert names[0] == "rare"


@pytest.mark.parametrize("option", ["--separator", "--decimal", "--na", "--encoding"])
def test_what_is_said_of_a_csv_is_not_said_of_parquet(folder, tmp_path, option):
    _table.write(tmp_path / "t.parquet", {"a": [1, 2], "y": ["p", "q"]})
    value = {"--encoding": "latin1"}.get(option, ";")
    done = xent("rank", tmp_path / "t.parquet", "--target", "y", option, value)
    assert f"`{option}` must go with a .csv or .tsv, got " in str(done.exception)


def test_drift_as_json_keeps_the_exit_code(folder):
    args = ("drift", folder / "weather.csv", folder / "moved.csv", "--json", "-")
    done = xent(*args, "--threshold", "0.1", "--bootstrap", "50")
    assert done.exit_code == 1
    first = json.loads(done.stdout)[0]
    assert (first["name"], first["new_levels"], first["gone_levels"]) == ("outlook", ["fog"], ["sun"])  # fmt: skip
    assert first["low"] <= first["js"] <= first["high"]


def test_infinite_cuts_are_json(tmp_path):
    rows = ["-inf,0\n"] * 20 + ["inf,1\n"] * 20
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(rows))
    (found,) = json.loads(xent("rank", tmp_path / "t.csv", "--target", "y", "--json", "-").stdout)
    assert (found["cuts"], found["score"]) == (["-inf"], 1.0)


@needs_browser
def test_pages_open(folder, tmp_path):
    pages = {
        "rank": ("rank", folder / "weather.csv", "--target", "play"),
        "drift": ("drift", folder / "weather.csv", folder / "moved.csv"),
    }
    for name, args in pages.items():
        page = tmp_path / f"{name}.html"
        assert xent(*args, "--html", page).exit_code == 0
        text = page.read_text()
        assert "outlook" in text
        assert "width: 100.00%" in text
        assert len(text) < 20_000  # no library is needed for a bar
        found, requests, errors = visit(
            page,
            lambda p: p.wait_for_function("document.querySelectorAll('.bar div').length > 2"),
        )
        assert found
        assert (requests, errors) == ([], [])


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("rank", "weather.csv", "--target", "pley"), "Did you mean 'play'?"),
        (("rank", "nothing.csv", "--target", "play"), "There is no file"),
        (("rank", "weather.csv", "--target", "play", "--html", "-"), "`--html` must name a file"),
        (("rank", "weather.csv", "--target", "play", "--json", "weather.csv"), "`--json` must differ"),
        (("rank", "weather.csv", "--target", "play", "--weights", "id"), "`--weights` must name a column of numbers, got 'id'."),
        (("drift", "weather.csv", "moved.csv", "--threshold", "nan"), "`--threshold` must be a number of at least 0, got nan."),
        (("drift", "weather.csv", "moved.csv", "--measure", "jsd"), "Did you mean 'js'?"),
        (("rank", "weather.csv", "--target", "play", "--seed", "0"), "`--seed` must be left out without --permutations, got one. Nothing is drawn here."),
        (("drift", "weather.csv", "moved.csv", "--seed", "0"), "`--seed` must be left out without --bootstrap, got one."),
        (("rank", "weather.csv", "--target", "play", "--score", "gini", "--base", "e"), "`--base` must be left out with --score gini, which has no unit, got 'e'."),
        (("rank", "weather.csv", "--target", "play", "--missing", "keep"), "`--missing` must be"),
        (("drift", "weather.csv", "less.csv"), "`CURRENT` must have the columns to compare, got no 'outlook', 'windy' or 'id'. Pass --columns to compare some"),
        (("drift", "weather.csv", "moved.csv", "--bins", "0"), "`--bins` must be an integer"),
        (("drift", "weather.csv", "moved.csv", "--columns", "zzz"), "`--columns` must match columns"),
    ],
)  # fmt: skip
def test_refusals(folder, monkeypatch, args, sentence):
    monkeypatch.chdir(folder)
    done = xent(*args)
    assert done.exit_code == 1
    assert sentence in str(done.exception)


def test_rank_of_some_columns(folder):
    args = ("rank", folder / "weather.csv", "--target", "play", "--json", "-")
    found = {f["name"]: f for f in json.loads(xent(*args).stdout)}
    some = json.loads(xent(*args, "--columns", "w*,play,id").stdout)
    assert some == [found["id"], found["windy"]]


def test_patterns_of_columns_leave_out_the_target_and_the_weights(folder):
    args = ("rank", folder / "weather.csv", "--target", "play", "--json", "-")
    found = json.loads(xent(*args, "--columns", "*", "--weights", "windy").stdout)
    assert {f["name"] for f in found} == {"outlook", "id"}
    assert found == json.loads(xent(*args, "--weights", "windy").stdout)


def test_what_unpacks_to_far_more(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,y\n" + b"1,x\n2,y\n" * 300_000))
    args = ("rank", tmp_path / "t.csv.gz", "--target", "y")
    assert xent(*args).exit_code == 0
    done = xent(*args, "--unpacked", "1MB")
    assert "unpacked it would be larger than 1 MB" in str(done.exception)
    assert xent(*args, "--unpacked", "3MB").exit_code == 0


def test_values_that_are_several(tmp_path):
    lines = "".join(f'{{"a": {{"b": {i}}}, "l": [{i}], "y": {i % 2}}}\n' for i in range(9))
    (tmp_path / "t.jsonl").write_text(lines)
    done = xent("rank", tmp_path / "t.jsonl", "--target", "y")
    assert str(done.exception) == (
        "`TABLE['a']` must hold one value a row, got Struct({'b': Int64}) in column 'a'. "
        "Make columns of its parts, or leave it out by --columns."
    )
    done = xent("drift", tmp_path / "t.jsonl", tmp_path / "t.jsonl", "--columns", "y,l")
    assert str(done.exception).startswith("`REFERENCE['l']` must hold one value a row")


def test_a_target_of_real_numbers_is_refused_in_a_csv_too(tmp_path):
    for ending in ("csv", "parquet", "jsonl"):
        path = tmp_path / f"t.{ending}"
        _table.write(path, {"x": [1, 2, 3, 4], "y": [1.0, 0.5, 0.25, 2.0]})
        for numeric in ("mdl", "ksg"):
            done = xent("rank", path, "--target", "y", "--numeric", numeric)
            assert str(done.exception).startswith("`--target` must hold classes, got real numbers.")
    _table.write(tmp_path / "w.csv", {"x": [1, 2, 3, 4], "y": [1.0, 0.0, 0.0, 1.0]})
    assert xent("rank", tmp_path / "w.csv", "--target", "y").exit_code == 0


def test_two_columns_of_one_name(tmp_path):
    (tmp_path / "t.csv").write_text("a,a,y\n1,2,3\n")
    done = xent("rank", tmp_path / "t.csv", "--target", "y")
    assert str(done.exception).startswith("`TABLE` must name every column once, got two 'a' in")


def test_a_table_is_read_as_it_is_written(tmp_path):
    rows = [f"{i % 3};{'?' if i % 7 == 0 else f'{i},5'};{i % 2}" for i in range(60)]
    (tmp_path / "t.csv").write_bytes("\n".join(["地区;人口;好", *rows]).encode("gb18030"))
    steps = [
        ("pass --encoding gb18030", ["--encoding", "gb18030"]),
        ("Pass --separator ';'", ["--separator", ";"]),
    ]
    said = []
    for sentence, more in steps:
        done = xent("rank", tmp_path / "t.csv", "--target", "好", *said)
        assert sentence in str(done.exception)
        said += more
    with (
        pytest.warns(UserWarning, match="pass --na '\\?'. If its decimals are commas, pass --dec"),
        pytest.warns(UserWarning, match="'人口' comes first with 52 levels"),
    ):
        xent("rank", tmp_path / "t.csv", "--target", "好", *said)
    said += ["--na", "?", "--decimal", ",", "--json", "-"]
    found = {
        f["name"]: f
        for f in json.loads(xent("rank", tmp_path / "t.csv", "--target", "好", *said).stdout)
    }
    assert found["人口"]["kind"] == "numbers"
    assert found["人口"]["missing"] == 9
    assert found["地区"]["kind"] == "numbers"
    said += ["--names", "地区", "--drop", "人口"]
    (f,) = json.loads(xent("rank", tmp_path / "t.csv", "--target", "好", *said).stdout)
    assert (f["name"], f["kind"], f["levels"]) == ("地区", "symbols", 3)
    (d,) = json.loads(xent("drift", *[tmp_path / "t.csv"] * 2, *said, "--drop", "好").stdout)
    assert (d["name"], d["kind"]) == ("地区", "symbols")


@pytest.mark.parametrize(
    ("first", "sentence"),
    [
        ("5.1,3.5,Iris-setosa", "reads like a row: '5.1', '3.5' and 'Iris-setosa'"),
        ("0,3,Iris-setosa", "reads like a row: 'Iris-setosa'."),
        ("39,State,77516", "pass --no-header"),
        ("7,2,x", "reads like a row: '7' and '2'"),
    ],
)
def test_a_first_line_that_is_no_header_is_doubted(tmp_path, first, sentence):
    rest = {
        "5": "4.9,3.0,Iris-setosa\n4.7,3.2,Iris-other\n",
        "0": "4.9,3.0,Iris-setosa\n4.7,3.2,Iris-other\n",
        "3": "1,State,3\n2,b,4\n",
        "7": "1,2,State\n2,3,b\n",
    }[first[0]]
    (tmp_path / "t.csv").write_text(f"{first}\n{rest * 3}")
    target = first.split(",")[2]
    with pytest.warns(UserWarning, match=sentence):
        xent("rank", tmp_path / "t.csv", "--target", target)
    done = xent("rank", tmp_path / "t.csv", "--target", "f2", "--no-header", "--json", "-")
    assert {f["name"]: f["rows"] for f in json.loads(done.stdout)} == {"f0": 7, "f1": 7}


@pytest.mark.parametrize("header", ["0,1,y", "2019,2020,y", "p_0,p_1,y", "x1,x2,y"])
def test_a_header_of_years_and_of_class_numbers_is_one(tmp_path, header):
    (tmp_path / "t.csv").write_text(f"{header}\n0.5,1,b\n2019,4,a\n")
    assert xent("rank", tmp_path / "t.csv", "--target", "y").exit_code == 0


def test_two_columns_of_one_name_may_be_a_row(tmp_path):
    (tmp_path / "t.csv").write_text("vhigh,vhigh,2\nlow,high,3\n")
    done = xent("rank", tmp_path / "t.csv", "--target", "2")
    assert "If its first line is a row, pass --no-header" in str(done.exception)


def test_rank_by_numbers(tmp_path):
    _table.write(tmp_path / "t.csv", {"x": list(range(40)), "y": [i / 2 for i in range(40)]})
    done = xent("rank", tmp_path / "t.csv", "--target", "y")
    assert "pass --target-bins 10" in str(done.exception)
    done = xent("rank", tmp_path / "t.csv", "--target", "y", "--target-bins", 2, "--json", "-")
    assert json.loads(done.stdout)[0]["score"] == pytest.approx(1)


def test_rank_by_neighbours_takes_numbers_that_repeat(tmp_path):
    from sklearn.datasets import load_iris

    path = tmp_path / "iris.csv"
    load_iris(as_frame=True).frame.to_csv(path, index=False)
    asked = ("rank", path, "--target", "target", "--numeric", "ksg", "--base", "e", "--json", "-")
    done = xent(*asked)
    assert done.exit_code == 0, done.output
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert abs(found["petal width (cm)"]["score"] - 0.9825) < 0.02  # scikit-learn
    assert found["petal width (cm)"]["noise"] is True
    assert json.loads(xent(*asked, "--seed", "1").stdout) != json.loads(done.stdout)


@pytest.mark.parametrize("levels", [49, 50, 51, 60])
@pytest.mark.parametrize("more", [[], ["--permutations", "3"]])
def test_more_than_fifty_levels_that_come_first_are_doubted(tmp_path, levels, more):
    luck = np.random.default_rng(0)
    code = np.arange(240) % levels
    columns = {
        "code": [f"c{c}" for c in code],
        "coin": [f"k{c}" for c in luck.integers(2, size=240)],
    }
    _table.write(tmp_path / "t.csv", {**columns, "y": [f"y{c}" for c in code % 2]})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        done = xent("rank", tmp_path / "t.csv", "--target", "y", *more)
    assert done.stdout.splitlines()[2].split()[0] == "code"
    said = [str(w.message) for w in caught if "comes first" in str(w.message)]
    assert [f"'code' comes first with {levels} levels" in s for s in said] == (
        [True] if levels > 50 and not more else []
    )


@pytest.mark.parametrize("length", [29, 30, 31, 45])
@pytest.mark.parametrize("command", ["rank", "drift"])
def test_names_of_thirty_letters_are_whole_and_longer_ones_are_as_long(tmp_path, length, command):
    """Cut in the middle, with a sign: the first and the last letters are seen."""
    name = "".join(chr(65 + i % 26) for i in range(length))
    _table.write(tmp_path / "t.csv", {name: list("aabbab"), "y": [0, 0, 1, 1, 0, 1]})
    more = ["--target", "y"] if command == "rank" else [tmp_path / "t.csv", "--columns", name]
    shown = xent(command, tmp_path / "t.csv", *more).stdout.splitlines()[2].split()[0]
    if length <= 30:
        assert shown == name
    else:
        first, last = shown.split("…")
        assert len(shown) == 30
        assert name.startswith(first)
        assert name.endswith(last)
        assert min(len(first), len(last)) >= 12
