"""`xent compare` and `xent evaluate --against` on the files that people have."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from xent import _table
from xent.cli import _compare, _evaluate
from xent.evaluation import compare


def run(*args, code=0):
    """Run a command in this process."""
    app = typer.Typer()
    _evaluate.register(app)
    _compare.register(app)
    done = CliRunner().invoke(app, [*map(str, args)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done


def compared(*args):
    return json.loads(run("compare", *args, "--json", "-").stdout)


@pytest.fixture
def expected(tmp_path, monkeypatch):
    """Two models of the same rows, in other orders of rows and columns."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet([1, 1, 1], 40), rng.dirichlet([1, 1, 1], 40)
    truth = [["a", "b", "c"][rng.choice(3, p=row)] for row in p]
    ids, site = list(range(100, 140)), [f"s{i % 8}" for i in range(40)]
    columns = {"id": ids, "target": truth, "site": site}
    _table.write("old.csv", {**columns, **{f"p_{c}": q[:, i] for i, c in enumerate("abc")}})
    turned = rng.permutation(40)
    _table.write(
        "new.parquet",
        {
            **{f"p_{c}": p[turned, "abc".index(c)] for c in "cab"},
            "id": np.array(ids)[turned],
            "target": np.array(truth)[turned],
        },
    )
    return compare(q, p, target=truth, labels=["a", "b", "c"], groups=site, by={"site": site})


def test_files_paired_by_id(expected):
    found = compared("old.csv", "new.parquet", "--id", "id", "--group", "site", "--by", "site")
    (d,), (right,) = found["differences"], expected.differences
    assert (d["first"], d["second"]) == ("old.csv", "new.parquet")
    for name in ("difference", "low", "high", "p_value"):
        assert d[name] == pytest.approx(getattr(right, name), rel=1e-9)
    assert found["groups"] == 8
    slices = {s["value"]: s["difference"] for s in found["slices"]}
    assert slices == pytest.approx({s.value: s.difference for s in expected.slices})
    again = run("compare", "old.csv", "new.parquet", "--id", "id").stdout
    assert "new.parquet less old.csv" in again


def test_what_differs_is_named(expected):
    with pytest.raises(
        ValueError, match=r"`FILE` must have the true classes of 'old.csv' in 'new"
    ) as caught:
        compared("old.csv", "new.parquet")
    assert "paired by --id COLUMN" in str(caught.value)
    rows = _table.read("new.parquet").to_pydict()
    names = rows["id"].index(107)
    wrong = {"a": "b", "b": "c", "c": "a"}[rows["target"][names]]
    for name, change, sentence in (
        ("target", wrong, f"got '{wrong}' and not '.' at id '107'"),
        ("id", 900, r"every id of 'old.csv' in 'bad.parquet', got none for '107' \(1 row\)"),
        ("id", 108, r"every id of 'bad.parquet' once, got '108' 2 times"),
    ):
        values = list(rows[name])
        values[names] = change
        _table.write("bad.parquet", {**rows, name: values})
        with pytest.raises(ValueError, match=sentence):
            compared("old.csv", "bad.parquet", "--id", "id")
    _table.write("bad.parquet", {k: v for k, v in rows.items() if k != "p_a"})
    with pytest.raises(ValueError, match=r"must have the classes of 'old.csv', 'a', 'b' and 'c'"):
        compared("old.csv", "bad.parquet", "--id", "id", "--ignore", "a")
    with pytest.raises(ValueError, match=r"must name two files or more, got 'old.csv' alone"):
        compared("old.csv")
    sentence = (
        r"`--group` must name a column of 'new.parquet', got 'site'. It has 'p_c', .* and 'tar"
    )
    with pytest.raises(ValueError, match=sentence):
        compared("new.parquet", "old.csv", "--id", "id", "--group", "site")
    with pytest.raises(ValueError, match="`--test` must be 't', 'sign_flip' or 'bootstrap', got"):
        compared("old.csv", "new.parquet", "--id", "id", "--test", "ttest")
    _table.write("bad.csv", {"target": ["a", "b"], "p_a": [0.5, 0.9], "p_b": [0.5, 0.2]})
    _table.write("good.csv", {"target": ["a", "b"], "p_a": [0.5, 0.9], "p_b": [0.5, 0.1]})
    with pytest.raises(ValueError, match=r"`bad.csv` must sum to 1 in every row, got 1.1 at row 1"):
        compared("good.csv", "bad.csv")


def test_costs_that_were_written_before(expected):
    for name in ("old.csv", "new.parquet"):
        run("evaluate", name, "--id", "id", "--rows", f"rows of {name}")
    found = compared("rows of old.csv", "rows of new.parquet", "--costs", "bits", "--id", "id")
    right = expected.differences[0].difference
    assert found["differences"][0]["difference"] == pytest.approx(right)
    with pytest.raises(ValueError, match="`--costs` must be left out where --logits is given"):
        compared("old.csv", "new.parquet", "--costs", "bits", "--logits", "z")
    with pytest.raises(ValueError, match="`--costs` must name a column of numbers, got 'site'"):
        compared("old.csv", "new.parquet", "--costs", "site")


def test_against_what_was_written_before(expected):
    run("evaluate", "old.csv", "--id", "id", "--rows", "old rows.parquet")
    args = ("evaluate", "new.parquet", "--id", "id", "--against", "old rows.parquet")
    found = json.loads(run(*args, "--json", "-").stdout)
    (d,) = found["against"]["differences"]
    assert d["difference"] == pytest.approx(expected.differences[0].difference)
    assert d["second"] == "new.parquet"
    assert "new.parquet less old rows.parquet" in run(*args).stdout
    with pytest.raises(ValueError, match="by row, got") as caught:
        run("evaluate", "new.parquet", "--against", "old rows.parquet", "--ignore", "a")
    lost = _table.read("new.parquet")["target"].to_pylist().count("a")
    assert str(caught.value).endswith(f" as well ({lost} rows).")
    with pytest.raises(ValueError, match=r"must have the true classes of 'new.parquet', got"):
        run("evaluate", "new.parquet", "--against", "old rows.parquet")
    with pytest.raises(ValueError, match=r"that xent evaluate --rows wrote in nats, got"):
        run(*args, "--base", "e")
    with pytest.raises(ValueError, match=r"that xent evaluate --rows wrote in bits, got"):
        run("evaluate", "new.parquet", "--against", "old.csv")


@pytest.mark.parametrize(("weight", "other"), [(2.0, 1.0), (1.0, 3.0)])
def test_a_weight_that_differs_is_named_by_its_row_in_the_file(
    tmp_path, monkeypatch, weight, other
):
    """Rows that do not count, before it, are rows of the file all the same."""
    monkeypatch.chdir(tmp_path)
    target, p = ["z", "a", "z", "b", "a", "b"], np.array([0.5, 0.9, 0.5, 0.25, 0.75, 0.5])
    table = {"id": list("uvwxyz"), "target": target, "p_a": p, "p_b": 1 - p}
    _table.write("old.csv", {**table, "w": [1.0, 1, 1, 1, weight, 1]})
    _table.write("new.csv", {**table, "w": [1.0, 1, 1, 1, other, 1]})
    args = ("--ignore", "z", "--weights", "w")
    run("evaluate", "old.csv", "--drop", "id", *args, "--rows", "rows.csv")
    run("evaluate", "old.csv", "--drop", "id", *args, "--against", "rows.csv")
    sentence = f"got {weight:g} and not {other:g} at row 4 of that"
    with pytest.raises(ValueError, match=rf"`--against` must have the weights .* {sentence}"):
        run("evaluate", "new.csv", "--drop", "id", *args, "--against", "rows.csv")
    run("evaluate", "old.csv", "--id", "id", *args, "--rows", "rows.csv")
    with pytest.raises(ValueError, match=rf"`--against` must have the weights .* {sentence}"):
        run("evaluate", "new.csv", "--id", "id", *args, "--against", "rows.csv")


@pytest.mark.parametrize("more", [(), ("--id", "id")])
def test_against_rows_whose_truth_is_missing(tmp_path, monkeypatch, more):
    """They are left out of both, and all others are told by their places in the file, or their ids."""
    monkeypatch.chdir(tmp_path)
    p, q = np.array([0.5, 0.9, 0.25, 0.75, 0.5]), np.array([0.5, 0.8, 0.5, 0.25, 0.5])
    truth = [None, "a", "b", None, "a"]
    for name, own in (("old.csv", q), ("new.csv", p)):
        _table.write(name, {"id": list("vwxyz"), "target": truth, "p_a": own, "p_b": 1 - own})
    args = ("--drop-missing-target", *(more or ("--drop", "id")))
    run("evaluate", "old.csv", *args, "--rows", "rows.csv")
    assert _table.read("rows.csv")["row"].to_pylist() == [1, 2, 4]
    found = json.loads(
        run("evaluate", "new.csv", *args, "--against", "rows.csv", "--json", "-").stdout
    )
    (d,) = found["against"]["differences"]
    assert d["difference"] == pytest.approx(math.log2(0.8 * 0.5 / (0.9 * 0.75)) / 3)


def test_what_is_wrong_is_called_as_it_was_typed(tmp_path, monkeypatch):
    """Each argument of the library has a name of its own on the command line."""
    monkeypatch.chdir(tmp_path)
    table = {"target": ["a", "b", "a"], "p_a": [0.5, 0.25, 0.75], "p_b": [0.5, 0.75, 0.25]}
    _table.write("x.csv", {**table, "w": [1.0, -1.0, 1.0], "g": ["u", "v", "v"]})
    for options, sentence in (
        (("--weights", "w"), "`--weights` must be finite, 0 or more, got -1.0 at row 1"),
        (("--weights", "g"), "`--weights` must hold numbers in column 'g'"),
        (
            ("--interval", "bootstrap", "--resamples", 3),
            "`--resamples` must be an integer of at least 100, got 3",
        ),
        (("--confidence", 2), "`--confidence` must be between 0 and 1, both excluded, got 2.0"),
        (("--pairs", "each"), "`--pairs` must be 'first' or 'all', got 'each'"),
        (("--interval", "t"), "`--interval` must be 'student' or 'bootstrap', got 't'"),
        (("--base", 1), "`--base` must be "),
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            run("compare", "x.csv", "x.csv", "--probs", "p_*", *options)
        assert str(caught.value).startswith(sentence)


def test_the_gate_of_a_build(expected):
    """The upper end of the interval decides; what has none fails."""
    report = json.loads(run("evaluate", "new.parquet", "--json", "-").stdout)
    high, mean = report["high"], report["cross_entropy"]
    run("evaluate", "new.parquet", "--fail-above", high + 1e-6)
    failed = run("evaluate", "new.parquet", "--fail-above", (high + mean) / 2, code=1)
    assert f"Failed: the interval of the cross-entropy ends at {high:.4f} bits" in failed.stderr
    high = compared("old.csv", "new.parquet", "--id", "id")["differences"][0]["high"]
    run("compare", "old.csv", "new.parquet", "--id", "id", "--fail-above", high + 1e-6)
    run("compare", "old.csv", "new.parquet", "--id", "id", "--fail-above", high - 1e-6, code=1)
    _table.write("one.csv", {"target": ["a"], "p_a": [0.9], "p_b": [0.1]})
    assert "has no end" in run("evaluate", "one.csv", "--fail-above", 9, code=1).stderr
    _table.write("zero.csv", {"target": ["a", "b"], "p_a": [1.0, 1.0], "p_b": [0.0, 0.0]})
    assert "ends at inf bits" in run("evaluate", "zero.csv", "--fail-above", 9, code=1).stderr


@pytest.mark.parametrize("worse", ["one", "two"])
def test_the_gate_is_one_for_every_difference(tmp_path, monkeypatch, worse):
    """Whichever of the models costs more than the first: the exit code is 1, and it is named."""
    monkeypatch.chdir(tmp_path)
    costs = np.arange(1.0, 9.0)
    _table.write("first.csv", {"c": costs})
    for name in ("one", "two"):
        _table.write(f"{name}.csv", {"c": costs + (1.0 if name == worse else -1.0)})
    files = "first.csv", "one.csv", "two.csv"
    failed = run("compare", *files, "--costs", "c", "--fail-above", 0.5, code=1)
    assert failed.stderr.splitlines() == [
        f"Failed: the interval of {worse}.csv less first.csv ends at 1.0000 bits; at most 0.5 was "
        "asked for."
    ]
    run("compare", *files, "--costs", "c", "--fail-above", 1.0)
    run("compare", *files, "--costs", "c", "--fail-above", 0.999, code=1)
    other = "two.csv" if worse == "one" else "one.csv"
    run("compare", "first.csv", other, "--costs", "c", "--fail-above", 0)


def test_files_of_other_kinds_are_read_as_they_are(tmp_path, monkeypatch):
    """What is said of CSV is not of Parquet; columns to leave out are left out of both."""
    monkeypatch.chdir(tmp_path)
    rows = {"target": ["a", "b"], "p_a": [0.75, 0.25], "p_b": [0.25, 0.75], "p_x": [0.5, 0.5]}
    _table.write("old.parquet", rows)
    text = "target;p_a;p_b;p_x\na;0,5;0,5;1\nb;0,5;0,5;1\n"
    (tmp_path / "new.csv").write_text(text)
    options = ("--separator", ";", "--decimal", ",", "--drop", "p_x")
    for files in (("old.parquet", "new.csv"), ("new.csv", "old.parquet")):
        (d,) = compared(*files, *options)["differences"]
        sign = 1 if files[1] == "new.csv" else -1
        assert d["difference"] == pytest.approx(sign * (1 + math.log2(0.75)))
    with pytest.raises(ValueError, match="must sum to 1"):
        compared("old.parquet", "new.csv", *options[:4])


def test_one_column_of_two_classes_and_infinite_costs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _table.write("y.csv", {"id": [1, 2, 3], "target": [1, 0, 1]})
    _table.write("a.csv", {"id": [1, 2, 3], "p": [0.5, 0.5, 0.0]})
    _table.write("b.csv", {"id": [3, 1, 2], "p": [0.5, 0.25, 0.5]})
    args = ("a.csv", "b.csv", "--truth", "y.csv", "--id", "id", "--probs", "p", "--positive", "1")
    found = compared(*args)
    assert found["differences"][0]["difference"] == "-inf"
    assert found["differences"][0]["finite_difference"] == pytest.approx(0.5)
    assert found["models"][0]["impossible"] == 1
    for name in ("a", "b"):
        run("evaluate", f"{name}.csv", *args[2:], "--rows", f"{name} rows.csv")
    again = compared("a rows.csv", "b rows.csv", "--costs", "bits", "--id", "id")
    assert again["differences"] == [
        {**found["differences"][0], "first": "a rows.csv", "second": "b rows.csv"}
    ]


def test_three_models_of_one_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, folder in enumerate("xyz"):
        (tmp_path / folder).mkdir()
        probs = np.array([0.9, 0.4, 0.7]) - 0.1 * i
        _table.write(f"{folder}/p.csv", {"target": ["a", "b", "a"], "p_a": probs, "p_b": 1 - probs})
    paths = [f"{folder}/p.csv" for folder in "xyz"]
    found = compared(*paths, "--pairs", "all", "--base", "e")
    assert [d["second"] for d in found["differences"]] == ["y/p.csv", "z/p.csv", "z/p.csv"]
    assert found["unit"] == "nats"
    first = math.log(0.9 * 0.6 * 0.7 / (0.8 * 0.7 * 0.6)) / 3
    assert found["differences"][0]["difference"] == pytest.approx(first)
    assert all(d["adjusted"] >= d["p_value"] for d in found["differences"])


def test_the_page(expected):
    compared("old.csv", "new.parquet", "--id", "id", "--html", "page.html", "--lang", "zh")
    text = Path("page.html").read_text()
    assert "这些模型相差多少" in text
    assert "new.parquet" in text
    for args, sentence in (
        (["--lang", "fr"], "`--lang` must be"),
        (["--html", "-"], "`--html` must name a file"),
        (["--html", "old.csv"], "--html"),
    ):
        with pytest.raises(ValueError, match=sentence):
            compared("old.csv", "new.parquet", "--id", "id", *args)
