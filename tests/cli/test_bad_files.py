"""Files that cannot be judged: one sentence with file and place, exit code 2, nothing half-written."""

import concurrent.futures
import contextlib
import gzip
import json
import os
import resource
import sys
import tempfile

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from xent import _table
from xent._table.files import unpacked
from xent.cli import main

GOOD = "target,p_a,p_b\na,0.5,0.5\nb,0.25,0.75\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text(GOOD)
    return tmp_path


def contents():
    """Return what lies in the folder, hidden files too, and when each file was written."""
    return {name: os.path.isfile(name) and os.stat(name).st_mtime_ns for name in os.listdir(".")}


def refused(monkeypatch, capfd, *args):
    """Run `xent` in this process; return the one sentence that it ends with."""
    before = contents()
    monkeypatch.setattr(sys, "argv", ["xent", *map(str, args)])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    assert ended.value.code == 2, (out, err)
    assert out == ""
    lines = [line for line in err.splitlines() if not line.startswith("First use of xent")]
    assert len(lines) == 1, err
    assert contents() == before
    return lines[0]


def text(data, more=""):
    def make(name):
        with open(name, "wb") as file:
            file.write(data if isinstance(data, bytes) else (data + more).encode())

    return make


def parquet(**columns):
    def make(name):
        pyarrow.parquet.write_table(pyarrow.table(columns), name)

    return make


def damaged(change, **columns):
    def make(name):
        parquet(**(columns or TWO))(name)
        with open(name, "rb") as file:
            data = file.read()
        with open(name, "wb") as file:
            file.write(change(data))

    return make


def npz(**arrays):
    return lambda name: np.savez(name, **arrays)


def packed(data, change=lambda packed: packed):
    return text(change(gzip.compress(data, mtime=0)))


TWO = {"target": ["a", "b"], "p_a": [0.5, 0.25], "p_b": [0.5, 0.75]}
HALVES = [[0.5, 0.5], [0.5, 0.5]]
LABELLED = [[{"label": "a", "score": 0.5}, {"label": "b", "score": 0.5}]]

# Name, how it is made, what the sentence says. More options after the name.
FILES = [
    ("cut.parquet", damaged(lambda d: d[: len(d) // 2]), "'cut.parquet' cannot be read as PARQUET"),
    ("tail.parquet", damaged(lambda d: d[:-3]), "'tail.parquet' cannot be read as PARQUET"),
    ("page.parquet", damaged(lambda d: d[:60] + bytes(200) + d[260:]), "'page.parquet' cannot be read"),
    ("empty.parquet", text(""), "'empty.parquet' cannot be read as PARQUET"),
    ("csv.parquet", text(GOOD), "'csv.parquet' cannot be read as PARQUET"),
    ("none.parquet", parquet(**{k: v[:0] for k, v in TWO.items()}), "must have at least one row"),
    ("dates.parquet", parquet(**{**TWO, "p_a": pyarrow.array([0, 1], pyarrow.date32())}), "column 'p_a', got datetime.date(1970, 1, 1) at row 0"),
    ("words.parquet", parquet(**{**TWO, "p_a": ["x", "y"]}), "`--probs` must hold numbers in column 'p_a', got 'x' at row 0"),
    ("times.parquet", parquet(**{**TWO, "p_a": pyarrow.array([0, 1], pyarrow.timestamp("s"))}), "in column 'p_a'"),
    ("no_truth.parquet", parquet(**{**TWO, "target": [None, "a"]}), "in every row of column 'target', got 1 row without, the first at row 0"),
    ("lists.parquet", parquet(**{**TWO, "target": [["a"], ["b"]]}), "in column 'target', got list<element: string>"),
    ("half.parquet", parquet(target=[0.5, 1.0], p_0=[0.5, 0.5], p_1=[0.5, 0.5]), "in column 'target', got double"),
    ("seven.parquet", parquet(target=[7, 1], p_0=[0.5, 0.5], p_1=[0.5, 0.5]), "must be one of the labels '0' or '1', got '7' at row 0"),
    ("ragged.parquet --probs p", parquet(target=["a", "b"], p=[[0.5, 0.5], [0.5]]), "`--probs` must have lists of one length, got 2 numbers at row 0 and 1 at row 1"),
    ("gap.parquet --probs p", parquet(target=["a", "b"], p=pyarrow.array([[0.5, 0.5], None])), "`--probs` must have a value in every row, got none at row 1"),
    ("nulls.parquet --probs p --labels a,b", parquet(target=["a", "b"], p=pyarrow.array([[0.5, 0.5], [None, 0.5]])), "`--probs` must be finite, got nan at [1, 0]"),
    ("text.parquet --probs p", parquet(target=["a", "b"], p=[["x", "y"]] * 2), "`--probs` must hold numbers, got lists of string"),
    ("struct.parquet --probs p", parquet(target=["a", "b"], p=pyarrow.array([{"a": 0.5, "b": 0.5}, None])), "`--probs` must have a value in every row, got none at row 1"),
    ("short.parquet --probs p", parquet(target=["a", "b"], p=[*LABELLED, [{"label": "b", "score": 1.0}]]), "in column 'a', got a missing value at row 1"),
    ("double.parquet --probs p", parquet(target=["a"], p=[[{"label": "a", "score": 0.5}] * 2]), "`--probs` must hold every label once, got 'a' again at row 0"),
    ("below.parquet --weights w", parquet(**TWO, w=[-1.0, 1]), "`--weights` must be finite, 0 or more, got -1.0 at row 0"),
    ("zero.parquet --weights w", parquet(**TWO, w=[0.0, 0]), "`--weights` must have one above 0"),
    ("unweighed.parquet --weights w", parquet(**TWO, w=[None, 1.0]), "in column 'w', got a missing value at row 0"),
    ("twice.parquet --id id", parquet(**TWO, id=[1, 1]), "every id of 'twice.parquet' once, got '1' 2 times"),
    ("nameless.parquet --id id", parquet(**TWO, id=[None, 1]), "an id in every row of 'nameless.parquet', got none at row 0"),
    ("empty.csv", text(""), "'empty.csv' cannot be read as CSV: Empty CSV file."),
    ("header.csv", text("target,p_a,p_b\n"), "must have at least one row, got 'header.csv'"),
    ("blank.csv", text("\n\n\n"), "'blank.csv' cannot be read as CSV"),
    ("label.csv", text(GOOD, "c,0.5,0.5\n"), "`--target` must be one of the labels 'a' or 'b', got 'c' at row 2"),
    ("sum.csv", text(GOOD, "a,0.5,0.6\n"), "`--probs` must sum to 1 in every row, got 1.1 at row 2"),
    ("negative.csv", text(GOOD, "a,1.5,-0.5\n"), "`--probs` must be non-negative, got -0.5 at [2, 1]. For logits pass --logits."),
    ("nan.csv", text(GOOD, "a,nan,0.5\n"), "in column 'p_a', got a missing value at row 2"),
    ("gap.csv", text(GOOD, "a,,0.5\n"), "in column 'p_a', got a missing value at row 2"),
    ("inf.csv", text(GOOD, "a,inf,0.5\n"), "in column 'p_a', got inf at row 2"),
    ("word.csv", text(GOOD, "a,high,0.5\n"), "in column 'p_a', got 'high' at row 2"),
    ("few.csv", text(GOOD, "a,0.5\n"), "'few.csv' cannot be read as CSV: CSV parse error: line 4: Expected 3 columns, got 2: a,0.5"),
    ("many.csv", text(GOOD, "a,0.5,0.5,7\n"), "line 4: Expected 3 columns, got 4: a,0.5,0.5,7"),
    ("alike.csv", text("target,p_a,p_a\na,0.5,0.5\n"), "must name every column once, got two 'p_a' in 'alike.csv'"),
    ("hundred.csv", text("target,p_a,p_b\na,50,50\nb,25,75\n"), "These are percentages: divide them by 100."),
    ("percent.csv", text("target,p_a,p_b\na,50%,50%\n"), "in column 'p_a', got '50%' at row 0"),
    ("semicolons.csv", text(GOOD.replace(",", ";")), "got semicolons in 'semicolons.csv'. Pass --separator ';'."),
    ("points.csv", text('target,p_a,p_b\na,"0,5","0,5"\n'), "in column 'p_a', got '0,5' at row 0. If its decimals are commas, pass --decimal ,."),
    ("commas.csv", text("target;p_a;p_b\na;0,5;0,5\n"), "got semicolons in 'commas.csv'"),
    ("latin.csv", text("target,p_größe,p_b\n".encode("latin1")), "'latin.csv' cannot be read as CSV: line 1 is not UTF-8 (byte 0xf6)"),
    ("utf16.csv", text(GOOD.encode("utf16")), "line 1 is not UTF-8 (byte 0xff). Save it as UTF-8, or pass --encoding utf16."),
    ("mixed.csv", text("target,p_ö,p_b\nö,0.5,0.5\n".encode() + "ö,0.5,0.5\n".encode("latin1")), "'mixed.csv' cannot be read as CSV: line 3 is not UTF-8"),
    ("gbk.csv", text("target,p_狗狗,p_b\n狗狗,0.5,0.5\n".encode("gbk")), "line 1 is not UTF-8 (byte 0xb9)"),
    ("zeros.csv", text(GOOD.encode() + bytes(4) + b"\n"), "line 4: Expected 3 columns, got 1"),
    ("bytes.csv", text(bytes(range(255, 0, -1)) * 9), "'bytes.csv' cannot be read as CSV: line 1 is not UTF-8"),
    ("not.csv.gz", text("not packed at all"), "'not.csv.gz' cannot be read as CSV"),
    ("cut.csv.gz", packed(GOOD.encode() * 200, lambda d: d[: len(d) // 2]), "'cut.csv.gz' cannot be read as CSV: Truncated compressed stream"),
    ("sum.csv.gz", packed(GOOD.encode() * 9, lambda d: d[:-8] + bytes(8)), "'sum.csv.gz' cannot be read as CSV: zlib inflate failed"),
    ("cut.jsonl", text('{"target": "a", "p_a": 0.5, "p_b"'), "'cut.jsonl' cannot be read as JSON lines"),
    ("array.jsonl", text("[1, 2]\n"), "'array.jsonl' cannot be read as JSON lines"),
    ("empty.jsonl", text(""), "'empty.jsonl' cannot be read as JSON lines: Empty JSON file."),
    ("deep.jsonl", text('{"a":' + "[" * 200_000 + "1" + "]" * 200_000 + "}\n"), "'deep.jsonl' cannot be read as JSON lines: line 1 nests 200,001 lists or objects"),
    ("kinds.jsonl", text('{"target":"a","p_a":0.5,"p_b":0.5}\n{"target":3,"p_a":0.5,"p_b":0.5}\n'), "Column(/target) changed from string to number in line 2"),
    ("gap.jsonl", text('{"target":"a","p_a":0.5,"p_b":0.5}\n{"target":"b","p_b":0.5}\n'), "in column 'p_a', got a missing value at row 1"),
    ("junk.npz", text(b"PK\x03\x04junk"), "'junk.npz' cannot be read as NPZ: it is not an archive of arrays."),
    ("objects.npz", npz(target=np.array([{}], object)), "'objects.npz' cannot be read as NPZ: it holds Python objects, which are never loaded."),
    ("lengths.npz", npz(target=[0, 1], p_0=[0.5]), "'lengths.npz' cannot be read as NPZ"),
    ("complex.npz", npz(target=[0], p_0=[1j]), "'p_0' holds complex numbers, not columns"),
    ("table.xlsx", text("PK"), "must end in '.parquet', '.csv', '.tsv', '.jsonl', '.ndjson', '.npz', '.npy', '.arrow', '.feather' or '.ipc', got 'table.xlsx'"),
    ("missing.csv", lambda name: None, "There is no file 'missing.csv'."),
    ("folder.csv", os.mkdir, "where FILE is a folder"),
    ("loop.csv", lambda name: os.symlink(name, name), "'loop.csv'"),
    ("dangling.csv", lambda name: os.symlink("nowhere", name), "There is no file 'dangling.csv'."),
    ("good.csv --target truth", None, "`--target` must name a column of 'good.csv', got 'truth'"),
    ("good.csv --probs q_*", None, "`--probs` must match columns of 'good.csv', got 'q_*'"),
    ("good.csv --logits p_*", None, "`--logits` must not be probabilities"),
    ("good.csv --log-probs p_*", None, "`--log-probs` must be of probabilities that sum to 1 in every row"),
    ("good.csv --by g", None, "`--by` must name a column of 'good.csv', got 'g'"),
    ("good.csv --truth missing.csv --id p_a", None, "There is no file 'missing.csv'."),
    ("good.csv --truth label", None, "There is no file 'label'. If it is the column of true classes, pass --target 'label'."),
    ("good.csv --html nowhere/x.html", None, "`--html` must lie in a folder that exists, got 'nowhere/x.html'"),
    ("good.csv --against good.csv", None, "`--against` must be a table that xent evaluate --rows wrote in bits"),
]  # fmt: skip


def test_there_are_sixty():
    assert len({name for name, *_ in FILES}) >= 60


@pytest.mark.grid
@pytest.mark.parametrize(("named", "make", "sentence"), FILES, ids=[name for name, *_ in FILES])
def test_a_bad_file(monkeypatch, capfd, named, make, sentence):
    name, *options = named.split()
    if make is not None:
        make(name)
    said = refused(
        monkeypatch,
        capfd,
        "evaluate",
        name,
        *options,
        "--rows",
        "rows.parquet",
        "--json",
        "report.json",
    )
    assert sentence in said


COMPARED = [f for f in FILES if f[0].count(" ") == 0 and f[1] is not None][::3]


@pytest.mark.parametrize(
    ("name", "make", "sentence"), COMPARED, ids=[name for name, *_ in COMPARED]
)
def test_a_bad_file_beside_a_good_one(monkeypatch, capfd, name, make, sentence):
    make(name)
    refused(monkeypatch, capfd, "compare", "good.csv", name, "--json", "report.json")


# ------------------------------------------------------------------ what a machine refuses


def test_what_unpacks_without_end(monkeypatch, capfd):
    monkeypatch.setattr(unpacked, "TEXT_BYTES", 1 << 16)
    for name, head in (("bomb.csv.gz", b"target,p_a,p_b\n"), ("bomb.jsonl.gz", b"")):
        text(gzip.compress(head + b" " * (1 << 24)))(name)
        said = refused(monkeypatch, capfd, "evaluate", name)
        assert f"'{name}'" in said
    assert "it is packed, and unpacked it would be larger than" in said


def test_a_full_disk(monkeypatch, capfd):
    text("target,p_a,p_b\n" + "a,0.5,0.5\n" * 3000)("long.csv")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for output in ("rows.csv", "rows.parquet", "rows.jsonl"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
        try:
            said = refused(monkeypatch, capfd, "evaluate", "long.csv", "--rows", output)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert output in said
    said = refused(monkeypatch, capfd, "evaluate", "good.csv", "--json", "/dev/full")
    assert said == "[Errno 28] No space left on device: '/dev/full'"


def test_a_system_without_locks_for_processes(monkeypatch, capfd):
    _table.write("good.parquet", {"target": ["a", "b"], "p_a": [0.5, 0.25], "p_b": [0.5, 0.75]})

    def none(*options, **more):
        raise OSError(30, "Read-only file system")  # as without /dev/shm

    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", none)
    said = refused(monkeypatch, capfd, "evaluate", "good.parquet", "--workers", 2)
    assert "`--workers` must be left out where processes cannot share a lock" in said


def test_where_memory_ends(monkeypatch, capfd):
    def none_left(*options, **more):
        raise MemoryError("Unable to allocate 7.28 TiB for an array")

    monkeypatch.setattr(_table, "scan", none_left)
    monkeypatch.setattr(_table, "read", none_left)
    for command in ("rank", "evaluate"):
        said = refused(monkeypatch, capfd, command, "good.csv", "--target", "target")
        assert said.startswith("There is not enough memory for this. Unable to allocate 7.28 TiB")


@contextlib.contextmanager
def nobody():
    """Be a user whom the rules bind; the superuser may all."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield


def test_no_permission(monkeypatch, capfd):
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        monkeypatch.chdir(place)
        for name in ("shut.csv", "open.csv"):
            text(GOOD)(name)
        os.chmod("shut.csv", 0)
        os.chmod("open.csv", 0o444)
        if os.geteuid() != 0:
            os.chmod(place, 0o555)
        try:
            with nobody():
                said = refused(monkeypatch, capfd, "evaluate", "shut.csv")
                assert "shut.csv" in said
                said = refused(monkeypatch, capfd, "evaluate", "open.csv", "--json", "report.json")
                assert "report.json" in said
        finally:
            os.chmod(place, 0o755)
            monkeypatch.undo()


def test_a_pipe_that_is_a_file_no_more(monkeypatch, capfd):
    """A pipe cannot be read twice; what it gave is read, or refused, and nothing hangs."""
    import threading

    os.mkfifo("pipe.csv")

    def give():
        with contextlib.suppress(BrokenPipeError), open("pipe.csv", "w") as pipe:
            pipe.write("target,p_a,p_b\na,0.5\n")

    giver = threading.Thread(target=give, daemon=True)
    giver.start()
    refused(monkeypatch, capfd, "evaluate", "pipe.csv")
    giver.join(10)
    assert not giver.is_alive()


@pytest.mark.long
@pytest.mark.parametrize("columns", [5_000, 100_000])
def test_a_hundred_thousand_columns(monkeypatch, capfd, columns):
    names = ",".join(f"p_{i}" for i in range(columns))
    text(f"target,{names}\n1{',0.5' * columns}\n")("wide.csv")
    said = refused(monkeypatch, capfd, "evaluate", "wide.csv")
    assert f"`--probs` must sum to 1 in every row, got {columns / 2:.0f} at row 0" in said
    text(f"target,{names.replace('p_', 'x')}\n1{',0.5' * columns}\n")("wide.csv")
    said = refused(monkeypatch, capfd, "evaluate", "wide.csv")
    assert "none that begins with p_, prob_ or proba_" in said
    assert len(said) < 2000


def test_samples_and_tokens_that_are_none(monkeypatch, capfd):
    text('{"logprobs": [-1.0, 0.5]}\n')("tokens.jsonl")
    said = refused(monkeypatch, capfd, "evaluate", "tokens.jsonl", "--tokens", "logprobs")
    assert "got 0.5 at token 1 of document 0" in said
    text(json.dumps({"doc_id": 0, "resps": [["a"]]}))("samples.jsonl")
    said = refused(monkeypatch, capfd, "evaluate", "samples.jsonl", "--harness")
    assert "got none on line 1 of 'samples.jsonl'" in said
    _table.write("soft.csv", {"t_a": [0.5], "t_b": [0.4], "p_a": [0.5], "p_b": [0.5]})
    said = refused(
        monkeypatch, capfd, "evaluate", "soft.csv", "--soft", "t_*", "--rows", "rows.csv"
    )
    assert "`--soft` must sum to 1 in every row, got 0.9 at row 0" in said
