"""`xent evaluate` piece by piece: the numbers of the whole, on any workers, and after a kill."""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
import typer
from typer.testing import CliRunner

from xent.cli import _evaluate
from xent.cli._stream import _options, _pieces, _run
from xent.evaluation import Accumulator

BESIDE = ("decomposition", "recovered", "reliability")  # what needs the rows again


def evaluated(file, *args):
    """Run `xent evaluate` in this process and return its JSON."""
    app = typer.Typer()
    _evaluate.register(app)
    done = CliRunner().invoke(app, [str(file), *map(str, args), "--json", "-"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.stdout)


def table(rows=500, classes=("cat", "dog", "emu"), seed=0):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(len(classes)), rows)
    columns = {f"p_{name}": probs[:, j].astype(np.float32) for j, name in enumerate(classes)}
    return pa.table(
        {
            "target": rng.choice([*classes, "-100"], rows), "w": rng.random(rows).round(2),
            "place": rng.choice(["a", "b", None], rows), "name": [f"r{i}" for i in range(rows)],
            **columns,
        }
    )  # fmt: skip


OPTIONS = ["--weights", "w", "--by", "place", "--id", "name", "--ignore", "-100"]


def whole(file, *args):
    """What is said of a file in memory, but for what needs the rows again."""
    found = evaluated(file, *args)
    return {name: value for name, value in found.items() if name not in BESIDE}


@pytest.fixture
def always(monkeypatch):
    """Every file is large, and read in batches of 64 rows, but for the first on two threads."""
    monkeypatch.setattr(_pieces, "STREAMED_ROWS", 64)
    monkeypatch.setattr(_run, "_threads", lambda: 2)
    monkeypatch.setattr("xent.evaluation._accumulator.accumulator.LOGITS_DOUBTED", 64)
    return lambda: monkeypatch.setattr(_options, "HELD_BYTES", -1)


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_pieces_are_the_whole(tmp_path, always, ending):
    found, file = table(), tmp_path / f"p{ending}"
    if ending == ".parquet":
        pyarrow.parquet.write_table(found, file, row_group_size=77)
    elif ending == ".csv":
        found.to_pandas().to_csv(file, index=False)
    else:
        found.to_pandas().to_json(file, orient="records", lines=True)
    want = whole(file, *OPTIONS)
    always()
    pieces = evaluated(file, *OPTIONS)
    assert pieces["recovered"] == {}
    assert {name: pieces[name] for name in want} == want


@pytest.mark.parametrize("labels", [[], ["--labels", "no,1"]])
def test_one_column_of_two_classes(tmp_path, always, labels):
    rng = np.random.default_rng(0)
    # Only the last row group knows the other class.
    target = ["1"] * 150 + ["no"] * 30
    file = tmp_path / "p.parquet"
    found = pa.table({"target": target, "y_prob": rng.random(180)})
    pyarrow.parquet.write_table(found, file, row_group_size=50)
    args = ["--probs", "y_prob", "--positive", "1", *labels]
    want = whole(file, *args)
    always()
    pieces = evaluated(file, *args)
    assert pieces["labels"] == ["no", "1"]
    assert {name: pieces[name] for name in want} == want


@pytest.mark.parametrize("ignore", ["skip", "0"])
def test_one_column_of_two_classes_beside_rows_to_ignore(tmp_path, always, ignore):
    """What is ignored is no third class, wherever it stands."""
    p = np.random.default_rng(0).random(180)
    target = np.array([[ignore, "yes", "no"][i] for i in [*[0, 1] * 60, *[2, 0] * 30]])
    file = tmp_path / "p.parquet"
    pyarrow.parquet.write_table(pa.table({"target": target, "p": p}), file, row_group_size=50)
    args = ["--probs", "p", "--positive", "yes", "--ignore", ignore]
    want = whole(file, *args)
    always()
    pieces = evaluated(file, *args)
    assert (pieces["labels"], pieces["rows"]) == (["no", "yes"], 90)
    given = np.where(target == "yes", p, 1 - p)[target != ignore]
    assert pieces["cross_entropy"] == pytest.approx(-np.log2(given).mean())
    assert {name: pieces[name] for name in want} == want


WRONG = {  # a column, its value in row 130, and options: what is wrong lies past the first pieces
    "no target": (None, None, ["--target", "none"]),
    "no weight": (None, None, ["--weights", "none"]),
    "no id": (None, None, ["--id", "none"]),
    "no slice": (None, None, ["--by", "place", "--by", "none"]),
    "no score": (None, None, ["--probs", "q_*"]),
    "another class": ("target", "cow", []),
    "no class": ("target", None, []),
    "a negative weight": ("w", -1.0, ["--weights", "w"]),
    "an endless weight": ("w", float("inf"), ["--weights", "w"]),
    "no weight in a row": ("w", None, ["--weights", "w"]),
    "above 1": ("p_cat", 1.5, []),
    "below 0": ("p_cat", -0.25, []),
    "no sum": ("p_cat", 0.0, []),
    "no number": ("p_cat", None, []),
    "nan": ("p_cat", float("nan"), []),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_refused_of_a_file_is_refused_of_its_pieces(tmp_path, always, wrong):
    column, value, args = WRONG[wrong]
    rows, file = table(classes=("cat", "dog")).to_pydict(), tmp_path / "p.parquet"
    rows["target"] = ["cat", "dog"] * 250
    if column is not None:
        rows[column][130] = value
    pyarrow.parquet.write_table(pa.table(rows), file, row_group_size=77)
    said = []
    for streamed in (False, True):
        if streamed:
            always()
        with pytest.raises((ValueError, TypeError)) as caught:
            evaluated(file, *args)
        said.append(str(caught.value))
    # Of a file in memory it is known how many rows have no class.
    said[0] = said[0].replace("1 row without, the first at", "a missing value at")
    assert said[0] == said[1]
    named = args[-2] if args else {"target": "--target", "p_cat": "--probs"}[column]
    assert said[0].startswith(f"`{named}` must ")
    assert re.search(r"row 130\b|\[130, 0\]", said[0]) or column is None


@pytest.mark.parametrize("bins", ["4", "quantile", "0,0.4,0.5,1"])
def test_bins_that_are_chosen(tmp_path, always, bins):
    file = tmp_path / "p.parquet"
    pyarrow.parquet.write_table(table(), file, row_group_size=130)
    want = evaluated(file, "--ignore", "-100", "--bins", bins)
    always()
    found = evaluated(file, "--ignore", "-100", "--bins", bins)
    assert found["binning"] == want["binning"]
    for mine, theirs in zip(found["calibration"], want["calibration"], strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9)
    mine = evaluated(file, "--ignore", "-100", "--bins", bins, "--weights", "w")
    assert mine["recovered"], "rows with weights are read whole"
    with pytest.raises(ValueError, match="`--bins` must be left out where --workers is given"):
        evaluated(file, "--bins", bins, "--weights", "w", "--workers", 2)
    with pytest.raises(ValueError, match="`--bins` must be a number of bins, edges that"):
        evaluated(file, "--ignore", "-100", "--bins", "wide")


def test_lists_logits_and_a_folder(tmp_path, always):
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(90, 4)), rng.integers(0, 4, 90)
    whole_file, folder = tmp_path / "p.parquet", tmp_path / "parts"
    (folder / "more").mkdir(parents=True)
    found = pa.table({"target": target, "z": list(logits)})
    pyarrow.parquet.write_table(found, whole_file)
    for k, name in enumerate(["a.parquet", "b.parquet", "more/c.parquet"]):
        pyarrow.parquet.write_table(found.slice(30 * k, 30), folder / name, row_group_size=20)
    arrow, written = tmp_path / "arrow", tmp_path / "p.feather"  # as save_to_disk leaves it
    arrow.mkdir()
    pyarrow.feather.write_feather(found, written, chunksize=20)
    names = [f"data-{k}-of-3.arrow" for k in range(3)]
    for k, name in enumerate(names):
        with pa.ipc.new_stream(arrow / name, found.schema) as out:
            out.write_table(found.slice(30 * k, 30), max_chunksize=20)
    said = {"_data_files": [{"filename": name} for name in names]}
    (arrow / "state.json").write_text(json.dumps(said))
    want = whole(whole_file, "--logits", "z")
    assert whole(written, "--logits", "z") == want
    always()
    for file in (whole_file, folder, written, arrow):
        pieces = evaluated(file, "--logits", "z")
        assert {name: pieces[name] for name in want} == want


def test_rows_are_named_by_their_numbers_in_the_whole(tmp_path, always):
    file = tmp_path / "p.parquet"
    for column, value, sentence in (
        ("p_cat", 2.0, "sum to 1 in every row, got .* at row 333"),
        ("p_cat", float("nan"), "hold numbers in column 'p_cat', got nan at row 333"),
        (
            "target",
            "cow",
            "be one of the labels 'cat', 'dog', 'emu', got 'cow' at row 333|'cow' at",
        ),
        (
            "target",
            None,
            "hold a class in every row of column 'target', got a missing value at row",
        ),
    ):
        found = table()
        values = found.column(column).to_pylist()
        values[333] = value
        at = found.schema.get_field_index(column)
        wrong = found.set_column(at, column, pa.array(values, found.schema.field(at).type))
        pyarrow.parquet.write_table(wrong, file, row_group_size=100)
        always()
        with pytest.raises(ValueError, match=sentence):
            evaluated(file, "--ignore", "-100")


def test_of_many_bad_rows_the_first_is_told(tmp_path, always):
    """Whichever thread meets one first."""
    file, found = tmp_path / "p.parquet", table()
    values = found.column("p_cat").to_pylist()
    for row in (150, 220, 290, 480):
        values[row] = 2.0
    at = found.schema.get_field_index("p_cat")
    found = found.set_column(at, "p_cat", pa.array(values, pa.float32()))
    pyarrow.parquet.write_table(found, file, row_group_size=100)
    always()
    for _ in range(5):
        with pytest.raises(ValueError, match=r"sum to 1 in every row, got .* at row 150"):
            evaluated(file, "--ignore", "-100")


def test_half_read_is_gone_on_with(tmp_path, always, monkeypatch):
    """A run that ends early leaves a checkpoint; the next reads what is left, to the same bytes."""
    file, kept = tmp_path / "p.parquet", tmp_path / "kept"
    pyarrow.parquet.write_table(table(), file, row_group_size=130)
    want = evaluated(file, *OPTIONS, "--checkpoint", tmp_path / "other")
    always()
    monkeypatch.setattr(_run, "SAVED_EVERY", 0.0)
    clock = itertools.count()  # the first checkpoint is not before a tenth of a second
    monkeypatch.setattr(_run, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    batches, read, found = _run.tables, [], []

    def until(stop):
        def tables(*args):
            for batch in batches(*args):
                if len(read) == stop:
                    raise RuntimeError
                read.append(batch)
                yield batch

        return tables

    for stop in (2, 5, 1):
        read.clear()
        monkeypatch.setattr(_run, "tables", until(stop))
        with pytest.raises(RuntimeError):
            evaluated(file, *OPTIONS, "--checkpoint", kept)
        left = kept.read_bytes()
        assert left not in found
        found.append(left)
    monkeypatch.setattr(_run, "tables", batches)
    assert Accumulator.load(kept).beside["batches"] == 1  # of the three of a piece
    shutil.copy(kept, tmp_path / "shared")
    assert evaluated(file, *OPTIONS, "--checkpoint", kept) == want
    monkeypatch.setattr(_run, "_executor", lambda options: ThreadPoolExecutor(options.workers))
    more = "--checkpoint", tmp_path / "shared", "--workers", 2
    assert evaluated(file, *OPTIONS, *more) == want
    with pytest.raises(
        ValueError, match="`--checkpoint` must be of the same file, options and version"
    ):
        evaluated(file, "--ignore", "-100", "--checkpoint", kept)
    with monkeypatch.context() as other:  # as another version may: batches read are counted
        other.setattr(_pieces, "STREAMED_ROWS", 32)
        with pytest.raises(ValueError, match="must be of the same file, options and version"):
            evaluated(file, *OPTIONS, "--checkpoint", kept)
    (tmp_path / "text").write_text("no checkpoint")
    with pytest.raises(ValueError, match=r"`--checkpoint` must be a xent\.evaluation file"):
        evaluated(file, *OPTIONS, "--checkpoint", tmp_path / "text")


CHILD = "import sys; from xent import cli; sys.exit(cli.main())"


def started(file, *args):
    """A run of its own, which writes JSON."""
    line = [sys.executable, "-c", CHILD, "evaluate", str(file), *map(str, args), "--json", "-"]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def large(tmp_path, groups):
    file = tmp_path / "p.parquet"
    one = table(rows=1000, classes=[f"c{k}" for k in range(20)])
    with pyarrow.parquet.ParquetWriter(file, one.schema) as out:
        for _ in range(groups):
            out.write_table(one)
    return file


@pytest.mark.long
def test_kill_9_at_any_moment(tmp_path, request):
    file, kept = large(tmp_path, 150), tmp_path / "kept"
    child = started(file, *OPTIONS)
    want, _ = child.communicate()
    rng, killed = np.random.default_rng(0), 0
    times = 2 if request.config.getoption("--one-case") else 40
    while killed < times:
        kept.unlink(missing_ok=True)
        child = started(file, *OPTIONS, "--checkpoint", kept)
        until = time.monotonic() + 60
        while not kept.exists() and child.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(rng.random() * 2)
        if child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
            killed += 1
        child.communicate()
        found, _ = started(file, *OPTIONS, "--checkpoint", kept).communicate()
        assert found == want


@pytest.mark.long
def test_processes_and_killed_dask_workers_change_no_bit(tmp_path, monkeypatch, request):
    distributed = pytest.importorskip("distributed")
    times = 3 if request.config.getoption("--one-case") else 50
    file = large(tmp_path, 40 if times == 3 else 160)
    want = evaluated(file, *OPTIONS, "--checkpoint", tmp_path / "alone")
    assert evaluated(file, *OPTIONS, "--workers", 2) == want
    with distributed.LocalCluster(
        n_workers=4, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        merged, kill, merges = _run.Question.accumulator, [], []

        def merging(self):
            one = merged(self)
            add = one.merge

            def merge(other):
                add(other)
                merges.append(1)
                # Every third time: one that was killed twice over one piece of work ends the run.
                if len(kill) < times and len(merges) % 3 == 1:
                    living = [w.pid for w in cluster.workers.values() if w.pid not in (None, *kill)]
                    if living:
                        os.kill(living[-1], signal.SIGKILL)
                        kill.append(living[-1])

            one.merge = merge
            return one

        monkeypatch.setattr(_run.Question, "accumulator", merging)
        found = evaluated(file, *OPTIONS, "--dask", cluster.scheduler_address)
    assert len(kill) == times
    assert found == want


class Killed(ThreadPoolExecutor):
    """An executor whose worker is killed on some submissions, as a pool of processes says it."""

    submitted = 0
    killed = ()

    def submit(self, *args):
        Killed.submitted += 1
        if Killed.submitted in Killed.killed:
            future = Future()
            future.set_exception(BrokenProcessPool("A process in the process pool was terminated"))
            return future
        return super().submit(*args)


@pytest.mark.parametrize("checkpoint", [False, True])
def test_what_a_killed_worker_was_reading_is_read_again(tmp_path, monkeypatch, checkpoint):
    monkeypatch.setattr(_run, "_executor", lambda options: Killed(options.workers))
    file = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(table(), file, row_group_size=40)
    want = evaluated(file, *OPTIONS, "--checkpoint", tmp_path / "alone")
    monkeypatch.setattr(Killed, "submitted", 0)
    monkeypatch.setattr(Killed, "killed", (1, 2, 9, 13, 14))
    assert evaluated(file, *OPTIONS, "--workers", 2) == want
    monkeypatch.setattr(Killed, "submitted", 0)
    monkeypatch.setattr(Killed, "killed", range(_run.AHEAD * 2 + 1, 1000))  # once one is back
    monkeypatch.setattr(_run, "time", SimpleNamespace(monotonic=lambda: 0.0))  # never due
    kept = tmp_path / "kept"
    more = ["--checkpoint", kept] if checkpoint else []
    way = "the same command goes on" if checkpoint else "With --checkpoint FILE"
    with pytest.raises(ValueError, match=rf"a worker process was killed 4 times, .*{way}"):
        evaluated(file, *OPTIONS, "--workers", 2, *more)
    monkeypatch.setattr(Killed, "killed", ())
    if checkpoint:
        assert Accumulator.load(kept).beside["done"]  # though it was not yet due
        assert evaluated(file, *OPTIONS, "--workers", 2, *more) == want


@pytest.mark.long
def test_a_process_that_is_killed_changes_no_bit(tmp_path, monkeypatch):
    file = large(tmp_path, 40)
    want = evaluated(file, *OPTIONS, "--checkpoint", tmp_path / "alone")
    submit, killed = ProcessPoolExecutor.submit, []

    def submitting(self, *args):
        future = submit(self, *args)
        if len(killed) < 2 and self._processes and any(f.done() for f in futures):
            killed.append(next(iter(self._processes)))
            os.kill(killed[-1], signal.SIGKILL)
        futures.append(future)
        return future

    futures = []
    monkeypatch.setattr(ProcessPoolExecutor, "submit", submitting)
    assert evaluated(file, *OPTIONS, "--workers", 2) == want
    assert killed


def test_what_does_not_go_with_pieces(tmp_path):
    file = tmp_path / "p.parquet"
    pyarrow.parquet.write_table(table(), file)
    (tmp_path / "none").mkdir()
    for args, sentence in (
        (["--workers", 0], "`--workers` must be 1 or more"),
        (["--workers", 2, "--dask", "tcp://x:1"], "`--workers` must be left out where --dask"),
        (["--checkpoint", tmp_path / "c", "--rows", tmp_path / "r.csv"],
         "`--rows` must be left out where --checkpoint is given"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            evaluated(file, *args)
    with pytest.raises(ValueError, match=r"`FILE` must hold files that end in \.parquet"):
        evaluated(tmp_path / "none")


def test_large_files_are_read_in_pieces_by_themselves(tmp_path, monkeypatch):
    file = tmp_path / "p.parquet"
    pyarrow.parquet.write_table(table(), file)
    assert evaluated(file, "--ignore", "-100")["recovered"] != {}
    monkeypatch.setattr(_options, "HELD_BYTES", 500)
    assert evaluated(file, "--ignore", "-100")["recovered"] == {}
