"""`xent evaluate` of NPY and NPZ: as they lie there, block by block, by their places."""

import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
import typer
from typer.testing import CliRunner

from xent.cli import _evaluate
from xent.cli._stream import _options, _pieces, _run
from xent.evaluation import evaluate


def evaluated(*args):
    """Run `xent evaluate` in this process and return its JSON."""
    app = typer.Typer()
    _evaluate.register(app)
    done = CliRunner().invoke(app, [*map(str, args), "--json", "-"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.stdout)


def drawn(rows=500, classes=4, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, classes)).astype(dtype)
    return logits, rng.integers(0, classes, rows)


@pytest.fixture
def in_pieces(monkeypatch):
    def begin():
        monkeypatch.setattr(_options, "HELD_BYTES", -1)
        monkeypatch.setattr(_pieces, "STREAMED_ROWS", 64)
        monkeypatch.setattr(_pieces, "RUN_BYTES", 3000)

    return begin


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "f2"])
@pytest.mark.parametrize("kind", ["npy", "fortran", "npz", "packed", "columns"])
def test_arrays_are_evaluated_as_they_lie(tmp_path, in_pieces, dtype, kind):
    logits, y = drawn(dtype=dtype)
    np.save(tmp_path / "y.npy", y.astype(float))  # whole floats are classes
    args = ["--truth", tmp_path / "y.npy", "--logits", "z_*"]
    file = tmp_path / "z.npy"
    if kind in ("npz", "packed", "columns"):
        file = tmp_path / "all.npz"
        save = np.savez_compressed if kind == "packed" else np.savez
        save(file, z=logits, target=y, w=np.ones(len(y)))
        args = ["--logits", "z_0,z_1,z_2,z_3" if kind == "columns" else "z_*"]
    else:
        np.save(file, np.asfortranarray(logits) if kind == "fortran" else logits)
    want = evaluate(y, logits=logits).to_dict()
    for begin in (lambda: None, in_pieces):
        begin()
        found = evaluated(file, *args)
        for name in ("cross_entropy", "low", "accuracy", "brier", "rows", "ranking", "hardest"):
            if name == "hardest":
                assert [r["row"] for r in found[name]] == [r["row"] for r in want[name]]
            elif name == "ranking":
                area = pytest.approx(want[name]["roc_auc"], rel=1e-12)
                assert found[name]["roc_auc"] == area
            else:
                assert found[name] == pytest.approx(want[name], rel=1e-12), name


def test_other_ways_to_say_it(tmp_path, in_pieces):
    logits, y = drawn(classes=2)
    p = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1].astype(float)))
    np.save(tmp_path / "scores.npy", p)
    np.save(tmp_path / "y.npy", np.array(["no", "yes"])[y])
    np.savez(
        tmp_path / "both.npz", p=np.stack([1 - p, p], axis=1), truth=y, other=np.ones((500, 3))
    )
    table = pa.table({"id": np.arange(500), "p_no": 1 - p, "p_yes": p})
    pa.parquet.write_table(table, tmp_path / "t.parquet", row_group_size=99)
    pyarrow.feather.write_feather(table, tmp_path / "t.feather", chunksize=99)
    want = evaluate(y, p).cross_entropy
    for begin in (lambda: None, in_pieces):
        begin()
        for args in (
            ["scores.npy", "--truth", tmp_path / "y.npy", "--positive", "yes"],
            [
                "scores.npy",
                "--truth",
                tmp_path / "y.npy",
                "--positive",
                "yes",
                "--labels",
                "no,yes",
            ],
            ["scores.npy", "--probs", "*", "--truth", tmp_path / "y.npy", "--positive", "yes"],
            ["both.npz", "--target", "truth"],
            ["both.npz", "--target", "truth", "--labels", "no,yes"],
            ["t.parquet", "--truth", tmp_path / "y.npy", "--id", "id"],
            ["t.feather", "--truth", tmp_path / "y.npy", "--id", "id"],
        ):
            found = evaluated(tmp_path / args[0], *args[1:])
            assert found["cross_entropy"] == pytest.approx(want, rel=1e-12), args


def test_workers_and_checkpoints_of_arrays_change_no_bit(tmp_path, in_pieces, monkeypatch):
    monkeypatch.setattr(_run, "_executor", lambda options: ThreadPoolExecutor(options.workers))
    logits, y = drawn(rows=2000)
    np.save(tmp_path / "z.npy", logits)
    np.save(tmp_path / "y.npy", y)
    args = [tmp_path / "z.npy", "--logits", "*", "--truth", tmp_path / "y.npy"]
    in_pieces()
    alone = evaluated(*args, "--checkpoint", tmp_path / "c.xent")
    assert evaluated(*args, "--checkpoint", tmp_path / "c.xent") == alone
    assert evaluated(*args, "--workers", "2") == alone
    np.save(tmp_path / "y.npy", 1 - y.clip(0, 1))
    with pytest.raises(
        ValueError, match="`--checkpoint` must be of the same file, options and version"
    ):
        evaluated(*args, "--checkpoint", tmp_path / "c.xent")


def refused(tmp_path, sentence, array, *args, truth=None):
    if isinstance(array, dict):
        file = tmp_path / "a.npz"
        np.savez(file, **array)
    else:
        file = tmp_path / "a.npy"
        np.save(file, array, allow_pickle=True)
    if truth is not None:
        np.save(tmp_path / "y.npy", truth, allow_pickle=True)
        args = (*args, "--truth", tmp_path / "y.npy")
    with pytest.raises(ValueError, match=sentence):
        evaluated(file, *args)


P = [[0.5, 0.5], [0.25, 0.75]]


@pytest.mark.parametrize("pieces", [False, True])
def test_other_shapes_and_types_are_refused_in_a_sentence(tmp_path, in_pieces, pieces):
    if pieces:
        in_pieces()
    refused(
        tmp_path,
        r"a class for each of the 2 rows of '.*a.npy', got 3 in '.*y.npy'",
        P,
        truth=[0, 1, 1],
    )
    refused(tmp_path, r"a class for each of the 2 rows", P, truth=[0])
    refused(tmp_path, r"`--truth` must hold one class a row.*\(2, 2\)", P, truth=[[0, 1], [1, 0]])
    refused(tmp_path, r"`--truth` must hold one class a row.*complex", P, truth=[0j, 1])
    refused(tmp_path, "holds Python objects, which are never loaded", P, truth=[0, None])
    refused(tmp_path, "holds Python objects, which are never loaded", [0.5, None], truth=[0, 1])
    refused(tmp_path, "is a single number, not a column", 0.5, truth=[0, 1])
    refused(tmp_path, "has rows of no number", np.zeros((2, 0)), truth=[0, 1])
    refused(tmp_path, "holds complex numbers, not columns", np.zeros((2, 2), complex), truth=[0, 1])
    refused(tmp_path, "must have at least one row", np.zeros((0, 2)), truth=[])
    refused(
        tmp_path,
        r"sum to 1 in every row, got 1.25 at row 1",
        [[0.5, 0.5], [0.5, 0.75]],
        truth=[0, 1],
    )
    refused(tmp_path, r"one of the labels '0' or '1'|be one of the labels", P, truth=[0, 2])
    refused(tmp_path, r"--positive CLASS", [0.5, 0.5], truth=[0, 1])
    refused(
        tmp_path, "'target' has 3 rows|has 2 rows and 'target' has 3", {"p": P, "target": [0, 1, 1]}
    )
    refused(tmp_path, "`--target` must name a column", P)


def test_damaged_arrays_are_refused(tmp_path):
    logits, y = drawn()
    np.save(tmp_path / "z.npy", logits)
    np.save(tmp_path / "y.npy", y)
    whole = (tmp_path / "z.npy").read_bytes()
    for damaged in (
        whole[:-1],
        whole + b"0",
        whole[:20],
        b"",
        b"PK" + whole,
        whole[:6] + b"\xff" + whole[7:],
    ):
        (tmp_path / "z.npy").write_bytes(damaged)
        with pytest.raises(ValueError, match="cannot be read as NPY"):
            evaluated(tmp_path / "z.npy", "--logits", "*", "--truth", tmp_path / "y.npy")
    np.savez(tmp_path / "z.npz", z=logits, target=y)
    whole = bytearray((tmp_path / "z.npz").read_bytes())
    whole[2000] ^= 1  # a bit of a number: its checksum tells
    (tmp_path / "z.npz").write_bytes(whole)
    for args in ([], ["--checkpoint", tmp_path / "c.xent"]):
        with pytest.raises(ValueError, match=r"cannot be read as NPZ: .*CRC"):
            evaluated(tmp_path / "z.npz", "--logits", "z_*", *args)
    np.save(tmp_path / "fine.npy", logits)
    with pytest.raises(FileNotFoundError, match=r"no file '.*none.npy'"):
        evaluated(tmp_path / "fine.npy", "--truth", tmp_path / "none.npy")


def test_fifty_thousand_classes_are_one_column(tmp_path):
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(20, 50_257)).astype(np.float32), rng.integers(0, 50_257, 20)
    np.savez(tmp_path / "lm.npz", logits=logits, label_ids=y)
    found = evaluated(tmp_path / "lm.npz", "--logits", "logits_*", "--target", "label_ids")
    want = np.log2(np.exp(logits.astype(float)).sum(axis=1)) - logits[range(20), y] / math.log(2)
    assert found["cross_entropy"] == pytest.approx(want.mean(), rel=1e-9)


def peak_of(*args):
    """Most memory, in MB, of a process of its own: Linux counts it anew in each program."""
    code = (
        "import re, sys; from pathlib import Path; from xent.cli import command\n"
        f"command()({[*map(str, args)]!r}, standalone_mode=False)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) / 1024


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads what Linux says")
@pytest.mark.parametrize("archive", [False, True])
def test_memory_does_not_grow_with_the_rows(tmp_path, archive):
    peaks = []
    for rows in (10, 4_000_000):  # 160 MB
        logits, y = drawn(rows, 10)
        if archive:
            np.savez(tmp_path / "z.npz", z=logits, target=y)
            args = [tmp_path / "z.npz", "--logits", "z_*"]
        else:
            np.save(tmp_path / "z.npy", logits)
            np.save(tmp_path / "y.npy", y)
            args = [tmp_path / "z.npy", "--logits", "*", "--truth", tmp_path / "y.npy"]
        peaks.append(peak_of("evaluate", *args))
    assert peaks[1] < peaks[0] + 150
