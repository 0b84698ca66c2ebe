"""Second branches of the commands' own functions: pairs of options, rows of pieces, bounds."""

import math
import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch

from screens import run
from xent import _table
from xent import _warm_up as ahead
from xent.cli import _warm_up
from xent.cli._arrays import is_number, whole_column
from xent.cli._compare._against import OldRows
from xent.cli._compare._files import UNPAIRED, ModelFile
from xent.cli._data import base_of, check_outputs, check_seed
from xent.cli._evaluate import kind_of
from xent.cli._labels import codes_of, labels_of, truth_as
from xent.cli._language._filter import _share
from xent.cli._predictions import Files, Scores, scores_of, stripped
from xent.cli._stream._measure import MOST_BETWEEN, Question, codes
from xent.cli._stream._pieces import pieces_of
from xent.cli._tables._doubts import _own_names, doubt_ids
from xent.cli._tables._file import TableFile
from xent.cli._tables._load import load
from xent.cli._tables._options import TableOptions, is_array, is_csv
from xent.cli._training._folds import out_of_fold
from xent.cli._training._rows._labelled import LabelledTable
from xent.cli._training._scores import check_names
from xent.cli._training._train import _way_on
from xent.cli._training._typed import seconds_of
from xent.cli._trees._options import levels_shown
from xent.training import SoftmaxClassifier

ASKED = Question(
    reading=TableOptions(), kind="probs", pattern=None, target="y", weights=None, id=None, by=(),
    positive=None, labels=None, ignore=None, names=("a", "b"), normalize=False,
    allow_probabilities=False, base=2.0,
)  # fmt: skip


def refused(sentence, function, *args, **options):
    with pytest.raises(ValueError, match=sentence):
        function(*args, **options)


def test_one_kind_of_scores_alone():
    none = dict.fromkeys(("probs", "logits", "log_probs"))
    assert kind_of(none, normalize=True) == "probs"
    for one in none:
        assert kind_of(none | {one: "p_*"}, normalize=False) == one
        for other in none:
            if other > one:
                typed = "--" + one.replace("_", "-"), "--" + other.replace("_", "-")
                first, last = sorted(typed, key=["--probs", "--logits", "--log-probs"].index)
                sentence = f"`{first}` must be left out where {last} is given, got both"
                refused(sentence, kind_of, none | {one: "a", other: "b"}, normalize=False)
    every = "`--probs` must be left out where --log-probs is given"
    refused(every, kind_of, dict.fromkeys(none, "*"), normalize=False)
    assert kind_of(none | {"probs": "p_*"}, normalize=True) == "probs"
    assert kind_of(none | {"logits": "p_*"}, normalize=False, sure=True) == "logits"
    for some in (none, none | {"log_probs": "p_*"}):
        got = "none" if some == none else "--log-probs"
        sentence = f"`--allow-probabilities` must go with --logits, got {got}."
        refused(sentence, kind_of, some, normalize=False, sure=True)
    for one in ("logits", "log_probs"):
        option = "--" + one.replace("_", "-")
        sentence = f"`--normalize` must be left out where {option} is given"
        refused(sentence, kind_of, none | {one: "p_*"}, normalize=True)


def test_how_many_levels_a_line_lists():
    assert levels_shown(None) == {}
    assert levels_shown("all") == {"max_levels": None}
    assert levels_shown("1") == {"max_levels": 1}
    for wrong in ("0", "-1", "1.5", "ALL", ""):
        refused("`--max-levels` must be a positive integer, or all", levels_shown, wrong)


def test_bases():
    assert (base_of("2"), base_of("0.5"), base_of("e")) == (2.0, 0.5, np.e)
    refused("`--base` must be a number, or e for nats, got 'E'", base_of, "E")


def test_shares_and_times_at_both_ends():
    for said, share in (("100%", 1.0), ("1", 1.0), ("30%", 0.3), ("0.5%", 0.005), ("1e-3", 0.001)):
        assert _share(said) == pytest.approx(share)
    for said in ("0", "0%", "101%", "1.01", "-1", "nan", "inf", "half", "%"):
        refused("`--keep` must be a share of the lines, like 30% or 0.3, got", _share, said)
    for said, seconds in (("30s", 30), ("5m", 300), ("2h", 7200), (" 1.5m ", 90), (None, None)):
        assert seconds_of(said) == seconds
    for said in ("30", "5 m", "1d", "-1s", "", "1.s"):
        refused("`--checkpoint-every` must be a time like 30s, 5m or 2h", seconds_of, said)


def test_a_seed_is_one_of_numpy_and_pytorch():
    for seed in (0, 2**32 - 1):
        check_seed(seed)
        torch.Generator().manual_seed(seed), np.random.RandomState(seed)
    for seed in (-1, 2**32):
        refused(f"`--seed` must be an integer from 0 to 4294967295, got {seed}", check_seed, seed)
        with pytest.raises(ValueError, match="between 0 and"):
            np.random.RandomState(seed)


def test_what_is_compiled_ahead(monkeypatch, capsys):
    """Every call of a room once, on as many processes as were asked for, and the rooms are named."""
    begun, sizes = [], []

    class Pool(ThreadPoolExecutor):
        def __init__(self, number, mp_context, initializer):
            assert mp_context.get_start_method() == "spawn"
            sizes.append(number)
            super().__init__(1)

    monkeypatch.setattr(_warm_up, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(_warm_up, "ALONE", {})
    monkeypatch.setattr(_warm_up, "_cores", lambda: 5)
    monkeypatch.setattr(ahead, "CALLS", {"measures": None, "losses": None, "trees": None})
    monkeypatch.setattr(ahead, "count", lambda room: len(room) - 4)
    monkeypatch.setattr(ahead, "run", lambda room, i: begun.append((room, i)))
    for rooms, processes, number, done in (
        (["trees", "losses", "trees"], 3, 3, [("trees", 1), ("losses", 2)]),
        (["measures"], 1, 1, [("measures", 4)]),
        (None, None, 5, [("measures", 4), ("losses", 2), ("trees", 1)]),
    ):
        _warm_up.warm_up(rooms, processes, False)
        assert begun == [(room, i) for room, times in done for i in range(times)]
        assert sizes.pop() == number
        ready = ", ".join(dict(done))
        assert capsys.readouterr().out.splitlines()[-1] == f"Ready: {ready}."
        begun.clear()
    monkeypatch.setitem(ahead.NEEDS, "losses", ["no_such_library"])
    _warm_up.warm_up(None, 1, False)  # what cannot be here is left out, unless it is asked for
    assert {room for room, _ in begun} == {"measures", "trees"}


def test_endings_in_capitals():
    for name, csv, array in (
        ("a.csv", True, False), ("a.CSV", True, False), ("a.Tsv.GZ", True, False),
        ("a.csv.zip", False, False), ("a.gz", False, False), ("csv", False, False),
        ("a.NPZ", False, True), ("a.npy", False, True), ("a.npy.gz", False, False),
    ):  # fmt: skip
        assert (is_csv(Path(name)), is_array(Path(name))) == (csv, array), name
    for option, value in (("separator", ";"), ("decimal", ","), ("na", ["?"]),
                          ("encoding", "latin1"), ("no_header", True)):  # fmt: skip
        said = TableOptions(**{option: value})
        assert said.csv(Path("a.CSV")) is not None
        typed = f"`--{option.replace('_', '-')}` must go with a .csv or .tsv, got 'a.parquet'"
        refused(typed, said.csv, Path("a.parquet"))
    assert TableOptions(separator="\\t").csv(Path("a.csv")).separator == "\t"


def test_outputs_differ_from_one_another_and_from_what_is_read(tmp_path):
    read, one, other = (tmp_path / name for name in ("d.csv", "a", "b"))
    read.write_text("")
    (tmp_path / "link").symlink_to(read)
    check_outputs([read, None], {"--json": one, "--html": other, "--rows": None, "-o": Path("-")})
    check_outputs([], {"--json": Path("-"), "--html": Path("-")})
    check_outputs([Path("/dev/null")], {"--json": Path("/dev/null")})
    for place in (read, tmp_path / "link", tmp_path / "." / "d.csv"):
        refused("`--json` must differ from what is read", check_outputs, [read], {"--json": place})
    both = {"--json": one, "--html": other, "--rows": one}
    refused("`--rows` must differ from `--json`, got '.*a' for both", check_outputs, [read], both)


@pytest.mark.parametrize("alone", [True, False])
def test_ten_rows_that_all_differ_are_no_chance(alone):
    for rows, own in ((9, False), (10, True)):
        names = [f"n{k}" for k in range(rows)]
        cells = pa.array(names if alone else [*names, *["n0"] * rows])
        assert _own_names(cells, 1 if alone else 2) == ([0] if own else [])
    gaps = pa.array([f"n{k}" for k in range(9)] + [None, None])
    assert _own_names(gaps, 1) == []
    assert _own_names(pa.array(["x"] * 2 + [f"n{k}" for k in range(9)]), 1) == []


@pytest.mark.parametrize("option", ["drop", "names"])
def test_a_column_that_is_not_there_is_told_by_the_option_that_named_it(tmp_path, option):
    (path := tmp_path / "t.csv").write_text("a,b\n1,2\n")
    other = {"drop": "names", "names": "drop"}[option]
    file = TableFile(path, TableOptions(**{option: ["b", "c"], other: ["a"]}))
    for read in (file.read, lambda: list(file.batches("")), file.columns):
        refused(f"`--{option}` must name a column of '.*t.csv', got 'c'", read)


def test_options_of_tables_beside_the_digits_that_come_along():
    whole = load("digits-test", TableOptions())
    assert (whole.X.shape, whole.target, whole.columns[0]) == ((360, 64), "digit", "pixel_0")
    some = load("digits-test", TableOptions(drop=["pixel_0", "pixel_63"]))
    assert some.columns == whole.columns[1:-1]
    assert (whole.X[:, 1:-1] == some.X).all()
    train = load("digits-train", TableOptions())
    every = load("digits", TableOptions())
    assert (np.concatenate([train.X, whole.X]) == every.X).all()
    for option, value in (("separator", ";"), ("decimal", ","), ("na", ["?"]), ("no_header", True)):
        typed = f"`--{option.replace('_', '-')}` must go with a .csv or .tsv, got 'digits'"
        refused(typed, load, "digits", TableOptions(**{option: value}))


@pytest.mark.parametrize("name", ["id", "my id", "it's", "a;b"])
def test_a_column_of_names_is_dropped_as_the_shell_reads_it(name):
    table = pa.table({name: [f"n{k}" for k in range(10)], "other": ["x", "y"] * 5})
    with pytest.warns(UserWarning, match="has a name of its own in every row") as caught:
        doubt_ids(table)
    (said,) = [str(one.message) for one in caught]
    drop, words = said.rpartition("Pass --drop ")[2].removesuffix("."), f"every row of {name!r}: "
    assert shlex.split(drop) == [name]
    assert words in said


@pytest.mark.parametrize("column", ["p_a", "l_a", "p_b", "l_b", "prediction", "x"])
def test_no_column_of_predictions_has_another_ones_name(column):
    classes = np.array(["a", "b"])
    if column == "x":
        check_names("--id", classes, [column, "y"])
        return
    sentence = (
        f"`--id` must give every column of the predictions a name of its own, got two '{column}'"
    )
    refused(sentence, check_names, "--id", classes, ["x", column])


# ------------------------------------------------------------------ the truth


def test_true_classes_as_the_labels_are_written():
    def of(given, labels, typed=None, columns=()):
        scores = Scores(np.ones((1, len(labels))), [*columns])
        return truth_as(given, labels, codes_of(scores, labels, typed))

    assert of([True, False], ["0", "1"]) == ["1", "0"]
    assert of([True], ["true", "false"]) == ["true"]
    assert of([0, 1.0], ["true", "false"]) == ["false", "true"]
    assert of([1.0, "2", 3.0], ["1", "2", "3"]) == ["1", "2", "3"]
    for given, typed, said in (
        ([0, 1, 1.0, True], "cat,dog", ["cat", "dog", "dog", "dog"]),
        ([0, 1], None, ["0", "1"]),
        ([-1, 2, 0.5], "cat,dog", ["-1", "2", "0.5"]),
    ):
        assert of(given, ["cat", "dog"], typed) == said
    # Labels that are numbers themselves are no codes of others; columns' numbers are their codes.
    assert of([0, 1], ["7", "8"], "7,8") == ["0", "1"]
    assert of([-1, 1.0, 0], ["cat", "dog"], "cat,dog", ["-1", "1"]) == ["cat", "dog", "0"]


def test_numbers_and_names_of_classes_in_any_order(tmp_path, monkeypatch):
    """Right are 0.7 and 0.8, whatever the order of the columns and of --labels."""
    monkeypatch.chdir(tmp_path)
    files = {
        "shuffled": ["t,p_3,p_1,p_2", "a,0.1,0.7,0.2", "b,0.1,0.1,0.8"],
        "from_one": ["t,p_1,p_2,p_3", "1,0.7,0.2,0.1", "2,0.1,0.8,0.1"],
        "by_name": ["t,p_c,p_a,p_b", "0,0.1,0.7,0.2", "1,0.1,0.1,0.8"],
        "listed": ["t,x,y,z", "a,0.3,0.7,0", "b,0.8,0.1,0.1"],
        "one": ["t,y", "0,0.3", "1,0.8"],
    }
    for name, lines in files.items():
        Path(f"{name}.csv").write_text("\n".join(lines))
        named = ["--labels", "a,b,c"]
        if name == "listed":
            named += ["--probs", "y,x,z"]
        if name == "one":
            named = ["--labels", "a,b", "--positive", "b", "--probs", "y"]
        for more in ([], ["--rows", "rows.csv"]):  # in pieces and at once
            code, out, err = run(
                ["xent", "evaluate", f"{name}.csv", "--target", "t", *named, *more]
            )
            assert (code, err) == (0, b"")
            assert b"cross-entropy     0.4183 bits" in out  # -log2(0.7 * 0.8) / 2
    words = ["xent", "calibrate", "from_one.csv", "--model", "c.xent", "--labels", "a,b,c"]
    assert run([*words, "--target", "t"])[0] == 0
    assert run([*words, "--output", "mended.csv"])[0] == 0
    assert run(["xent", "evaluate", "by_name.csv", "--target", "t", "--labels", "a,a,b"])[0] == 2


def test_true_classes_of_a_piece_by_the_rows_of_the_whole():
    def of(values, first=100, **asked):
        return codes(replace(ASKED, **asked), pa.table({"y": values}), first).tolist()

    assert of(["b", "a", "b"]) == [1, 0, 1]
    assert of(["a", "none", "b"], ignore="none") == [0, -1, 1]
    assert of([0, 1, 1], names=("cat", "dog"), codes={0: "cat", 1: "dog"}) == [0, 1, 1]
    assert of(pa.array(["b", "a"]).dictionary_encode()) == [1, 0]
    far = 4 * 2 + MOST_BETWEEN + 1  # apart, so that not every number between is asked about
    for last in (far - 1, far):
        assert of([0, last], names=("0", str(last))) == [0, 1]
    refused("in every row of column 'y', got a missing value at row 101", of, ["a", None])
    refused("must be one of the labels 'a' or 'b', got 'c' at row 102", of, ["a", "b", "c"])
    refused("got '2' at row 101", of, [1, 2], names=("0", "1"))
    refused("got '0' at row 100", of, [0, 1], names=("cat", "dog"))


def test_truth_of_another_file_by_its_ids():
    files = Files(Path("p.csv"), "y", Path("t.csv"), "id")
    mine = pa.table({"id": ["1", "2"], "p": [0.1, 0.2], "w": [1, 2], "y": ["?", "?"]})
    theirs = pa.table({"id": ["2", "1"], "y": ["b", "a"], "w": [8, 9], "v": [20, 10]})
    joined = files._joined(mine, theirs, ["w", "v", "none"]).to_pydict()
    # The truth is the other file's; any other column that both have is the predictions'.
    assert joined == {
        "id": ["1", "2"], "p": [0.1, 0.2], "w": [1, 2], "y": ["a", "b"], "v": [10, 20]
    }  # fmt: skip
    twice = pa.table({"id": ["1", "2", "1"]})
    refused("`FILE` must have every id of 'p.csv' once, got '1' 2 times", files._joined, twice,
            theirs, [])  # fmt: skip
    once = replace(files, once=True)
    assert once._joined(twice, theirs, []).to_pydict()["y"] == ["a", "b", "a"]
    refused("`--truth` must have every id of 't.csv' once", once._joined, mine, twice, [])
    for some, sentence in (
        (["1"], r"`FILE` must have every id in 'p.csv', got none for '2' \(1 row\)"),
        (["1", "2", "3"], r"`--truth` must have every id in 't.csv', got none for '3'"),
    ):
        refused(sentence, files._joined, pa.table({"id": some}), theirs, [])
    gap = pa.table({"id": ["1", None]})
    refused("have an id in every row of 'p.csv', got none at row 1", files._joined, gap, theirs, [])


@pytest.mark.parametrize("by", ["id", None])
def test_rows_of_an_old_file_are_those_of_the_new_one(by):
    places = OldRows(Path("rows.csv"), "bits", by, "target")._places
    assert places(["b", "a"], ["a", "b"], Path("n.csv")) == [1, 0]
    must = f"`--against` must have the rows of 'n.csv', by {by or 'row'}, got "
    for new, old, got in (
        ("abcde", "bxy", "none for a, c and d (4 rows)."),  # what is missing comes before the rest
        ("ab", "a", "none for b (1 row)."),
        ("ab", "abwxyz", "w, x and y as well (4 rows)."),
        ("ab", "zab", "z as well (1 row)."),
    ):
        with pytest.raises(ValueError, match="must have the rows") as caught:
            places([*new], [*old], Path("n.csv"))
        assert str(caught.value).replace("'", "") == (must + got).replace("'", "")
    refused("must name every row once, got 3 names of 4 rows", places, [*"ab"], [*"abca"], "n.csv")


def model_file(name, ids, true, **others):
    scores = np.eye(2)[[int(label == "b") for label in true]]
    return ModelFile(
        Path(name), ids and [*ids], [*true], scores, ["a", "b"], None, others, {}, list(others)
    )


def test_files_that_differ_say_which_row_by_the_first_ones_names():
    first = model_file("old.csv", "123", "aba", w=[1.0, math.nan, 3.0])
    other = model_file("new.csv", "312", "aab", w=[3.0, 1.0, math.nan])
    found = other.beside(first)
    assert (found.true, found.scores.argmax(1).tolist()) == ([*"aba"], [0, 1, 0])
    at = "of 'old.csv' in 'new.csv', got 'a' and not 'b' at id '2'"
    refused(at, replace(other, true=[*"aaa"]).beside, first)
    wrong = replace(other, others={"w": [3.0, 5.0, math.nan]})
    refused("the column 'w' of 'old.csv' in 'new.csv', got 5.0 and not 1.0 at id '1'", wrong.beside,
            first)  # fmt: skip
    refused(r"every id of 'old.csv' in 'new.csv', got none for '2' \(1 row\)",
            replace(other, ids=[*"314"]).beside, first)  # fmt: skip
    refused(r"every id of 'new.csv' in 'old.csv', got none for '4' \(1 row\)",
            model_file("new.csv", "1234", "abaa").beside, first)  # fmt: skip
    plain = replace(first, ids=None)
    in_order = model_file("new.csv", None, "aba", w=[1.0, math.nan, 3.0])
    assert in_order.beside(plain).true == [*"aba"]
    got = rf"got 'a' and not 'b' at row 1\. {UNPAIRED}"
    refused(got, replace(in_order, true=[*"aaa"]).beside, plain)
    few = model_file("new.csv", None, "ab")
    refused("have the rows of 'old.csv', 3, got 2 in 'new.csv'", few.beside, plain)


def test_columns_of_another_order_are_those_of_their_classes():
    first = model_file("old.csv", None, "ab")
    turned = replace(first, classes=["b", "a"], scores=first.scores[:, ::-1])
    assert turned.beside(first).scores.tolist() == first.scores.tolist()
    other = replace(turned, classes=["b", "c"])
    refused("classes of 'old.csv', 'a' and 'b', got 'b' and 'c' in", other.beside, first)


def test_labels_name_columns_that_are_numbered():
    two = Scores(np.array([[0.25, 0.75]]), ["1", "0"])
    scores, names = labels_of(two, "cat, dog", None)
    assert (scores.matrix.tolist(), names) == ([[0.75, 0.25]], ["cat", "dog"])
    named = Scores(two.matrix, ["b", "a"])
    for given, said, order in ((None, "ba", 1), ("a,b", "ab", -1), ("c,d", "cd", 1)):
        scores, names = labels_of(named, given, "p_*")
        assert (scores.matrix.tolist(), names) == ([[0.25, 0.75][::order]], list(said))
    refused("`--labels` must name the 2 classes, got 3", labels_of, named, "a,b,c", None)
    one = Scores(np.array([0.5]), [])  # the probability of one class has no columns to name
    assert labels_of(one, "a,b", "y") == (one, ["a", "b"])


def test_columns_of_lists_that_a_pattern_means():
    lists = pa.FixedSizeListArray.from_arrays(pa.array([0.5, 0.5]), 2)
    table = pa.table({"id": ["1"], "probs": lists, "z": lists})
    for pattern, found in (("z", "z"), ("z_*", "z"), ("probs", "probs"), ("q", None), ("id", None)):
        assert whole_column(table, table.column_names, pattern, Path("p.parquet")) == found
    alone = pa.table({"z": lists})
    assert whole_column(alone, ["z"], "*", Path("p.NPY")) == "z"
    assert whole_column(table, table.column_names, None, Path("p.npy")) is None
    for kind, number in ((pa.float32(), True), (pa.int8(), True), (pa.string(), False),
                         (pa.bool_(), False), (None, False)):  # fmt: skip
        assert is_number(kind) is number


def test_classes_are_called_what_tells_their_columns_apart():
    assert stripped(["p_a", "p_b"], "p_*") == ["a", "b"]
    assert stripped(["p_a_x", "p_b_x"], "p_*_x") == ["a", "b"]
    assert stripped(["p_a", "p_ab"], "p_a,p_ab") == ["a", "ab"]
    assert stripped(["p_10", "p_1"], "p_1,p_10") == ["10", "1"]
    assert stripped(["a", "b"], "a,b") == ["a", "b"]
    assert stripped(["p_a"], "p_a") == ["p_a"]
    assert stripped(["p_cat_1", "p_cat_2"], "p_*,q") == ["1", "2"]


def test_what_a_piece_says_of_its_scores_has_the_rows_of_the_whole():
    def label(*names):
        return [{"label": name, "score": 0.5} for name in names]

    for column, sentence in (
        (pa.array([[0.5, 0.5], [0.5, 0.5], [1.0]]), "2 numbers at row 100 and 1 at row 102"),
        (pa.array([[0.5, 0.5], None]), "have a value in every row, got none at row 101"),
        (pa.array([label("a", "b"), label("a", "a")]), "once, got 'a' again at row 101"),
        (pa.array([label("a", "b"), [None]]), "for each class, got something else at row 101"),
        (pa.array([label("a", "b"), label("b")]), "in column 'a', got a missing value at row 101"),
        (pa.array([{"a": 0.5, "b": 0.5}, {"a": 1.0}]), "'b', got a missing value at row 101"),
        (pa.array(["[0.5, 0.5]", "[0.5, 0.5"]), r"scores, got '\[0.5, 0.5' at row 101"),
        (pa.array(["[0.5, 0.5]", "[1]"]), "2 numbers at row 100 and 1 at row 101"),
    ):
        table = pa.table({"p": column})
        refused(sentence, scores_of, table, "probs", "p", Path("x.parquet"), [], first=100)
    wide = pa.table({"p_a": [0.5, 0.5], "p_b": [0.5, None]})
    refused("'p_b', got a missing value at row 101", scores_of, wide, "probs", None,
            Path("x.parquet"), [], first=100)  # fmt: skip


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_training_says_how_it_goes_on(error, tmp_path, capsys):
    there, not_yet = tmp_path / "there.xent", tmp_path / "none.xent"
    there.touch()
    for checkpoint, every, said in (
        (None, None, "Nothing of this run is kept: with --checkpoint FILE it could go on."),
        (there, None, f"The same command goes on from '{there}', after its last whole epoch."),
        (there, "5m", f"The same command goes on from '{there}', where it was last written."),
        (not_yet, None, "It was stopped in its first epoch: the same command starts afresh."),
        (not_yet, "5m", "It was stopped in its first 5m: the same command starts afresh."),
    ):
        with pytest.raises(error), _way_on(checkpoint, every):
            raise error
        assert capsys.readouterr() == ("", f"{said}\n")
    with pytest.raises(ValueError, match="bad"), _way_on(None, None):
        raise ValueError("bad")
    assert capsys.readouterr() == ("", "")


def test_models_of_folds_are_fitted_with_the_weights_of_their_rows(tmp_path, monkeypatch):
    """Rows of weight 0 train none of them; a row's own weight goes with it into every fold."""
    x = np.arange(12.0)
    weight = np.where(x % 5 == 0, 0.0, x)
    rows = LabelledTable(pa.table({"x": x}), np.array([*"ab"] * 6), "y", weight)
    fits = []

    class Recorded(SoftmaxClassifier):
        def fit(self, X, y, sample_weight=None, **options):
            fits.append(dict(zip(X[:, 0].tolist(), sample_weight.tolist(), strict=True)))
            return super().fit(X, y, sample_weight, **options)

    def learn(part):
        return SimpleNamespace(
            numbers=lambda rows: np.array(rows.features["x"], np.float32)[:, None]
        )

    out_of_fold(rows, 3, 0, learn, Recorded(epochs=1), tmp_path / "o.csv")
    fold = np.array(_table.read(tmp_path / "o.csv")["fold"])
    assert sorted(set(fold.tolist())) == [0, 1, 2]
    for k, fitted in enumerate(fits):
        assert fitted == {v: w for v, w, f in zip(x, weight, fold, strict=True) if f != k}


def test_a_piece_of_an_array_is_128_mb(tmp_path):
    """A small one is read at once, and a larger one by so many whole rows as fit."""
    np.save(tmp_path / "small.npy", np.zeros((40, 3)))
    (piece,) = pieces_of(tmp_path / "small.npy", TableOptions())
    assert (piece.first, piece.rows) == (0, 40)
    row = 1 << 24  # bytes: eight rows are 128 MB
    head = {"descr": "|u1", "fortran_order": False, "shape": (20, row)}
    with (tmp_path / "large.npy").open("wb") as file:
        np.lib.format.write_array_header_2_0(file, head)
        file.truncate(file.tell() + 20 * row)  # takes no room on the disk
    pieces = pieces_of(tmp_path / "large.npy", TableOptions())
    assert [(p.first, p.rows) for p in pieces] == [(0, 8), (8, 8), (16, 4)]
