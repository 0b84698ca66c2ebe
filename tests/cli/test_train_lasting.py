# ruff: noqa: F811
"""What stays of a training: a log of every epoch, a checkpoint that one run writes, folds, a graph."""

import errno
import os

import numpy as np
import pyarrow.csv
import pytest

from commands import xent  # noqa: F401
from people import penguins, titanic
from xent.training import TrainedModel
from xent.training._checkpoint import Checkpoint

TRAIN = "train d.csv --target Survived --model m --epochs 4 --validation 0.2"


@pytest.fixture
def data(tmp_path):
    (tmp_path / "d.csv").write_text(titanic(60))
    return tmp_path


def test_the_log_has_a_line_for_every_epoch(xent, data):
    assert xent(f"{TRAIN} --log log.csv")[0] == 0
    log = pyarrow.csv.read_csv("log.csv")
    assert log["epoch"].to_pylist() == [1, 2, 3, 4]
    history = TrainedModel.load("m").classifier.history_
    assert {name: log[name].to_pylist() for name in log.column_names[1:]} == history
    assert xent(f"{TRAIN} --log d.csv")[2] == "`--log` must differ from what is read, got 'd.csv' for both.\n"  # fmt: skip


def stop_at(monkeypatch, epoch, error):
    from xent.training._fit import record

    write = record.write_log

    def stop(path, history):
        write(path, history)
        if len(history["loss"]) == epoch:
            raise error

    monkeypatch.setattr(record, "write_log", stop)


def test_ctrl_c_says_how_to_go_on(xent, data, monkeypatch):
    whole = f"{TRAIN} --log log.csv"
    xent(whole)
    expected, log = (data / "m").read_bytes(), (data / "log.csv").read_bytes()
    os.remove("m")
    with monkeypatch.context() as patched:
        stop_at(patched, 2, KeyboardInterrupt)
        code, _, error = xent(f"{whole} --checkpoint run.ckpt")
    assert code == 130
    assert "The same command goes on from 'run.ckpt', after its last whole epoch.\n" in error
    assert error.endswith("Interrupted.\n")
    assert sorted(os.listdir()) == ["d.csv", "log.csv", "run.ckpt"], "no model, no lock"
    assert xent(f"{whole} --checkpoint run.ckpt")[0] == 0
    assert (data / "log.csv").read_bytes() == log
    assert (data / "m").read_bytes() == expected
    with monkeypatch.context() as patched:
        stop_at(patched, 2, KeyboardInterrupt)
        assert "Nothing of this run is kept: with --checkpoint FILE it could" in xent(whole)[2]


def test_a_checkpoint_by_time(xent, data, monkeypatch):
    whole = f"{TRAIN} --batch-size 2"
    xent(whole)
    expected = (data / "m").read_bytes()
    real = Checkpoint.write

    def write(self, progress, generator):
        real(self, progress, generator)
        if progress.within.batches and len(progress.history["loss"]) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "write", write)
        code, _, error = xent(f"{whole} --checkpoint run.ckpt --checkpoint-every 0s")
    assert code == 130
    assert "The same command goes on from 'run.ckpt', where it was last written.\n" in error
    assert xent(f"{whole} --checkpoint run.ckpt --checkpoint-every 2.5m")[0] == 0
    assert (data / "m").read_bytes() == expected
    for options, sentence in (
        ("--checkpoint c --checkpoint-every 5", "`--checkpoint-every` must be a time like 30s, 5m or 2h, got '5'.\n"),
        ("--checkpoint-every 5m", "`--checkpoint-every` must be seconds, at least 0, and go with `--checkpoint`, got 300.0.\n"),
    ):  # fmt: skip
        assert xent(f"{TRAIN} {options}")[2].endswith(sentence)


def test_two_runs_do_not_write_one_checkpoint(xent, data):
    other = Checkpoint(data / "run.ckpt", {}, [], {}, allow_other_bits=False)
    with other.alone():
        code, said, error = xent(f"{TRAIN} --checkpoint run.ckpt")
    assert (code, said) == (2, "")
    assert error.endswith("`--checkpoint` must be written by one run at a time, got 'run.ckpt', which another run is writing.\n")  # fmt: skip
    assert os.listdir() == ["d.csv"]
    assert xent(f"{TRAIN} --checkpoint run.ckpt")[0] == 0
    assert sorted(os.listdir()) == ["d.csv", "m", "run.ckpt"]


def test_a_full_disk_keeps_the_old_state(xent, data, monkeypatch):
    xent(f"{TRAIN} --checkpoint run.ckpt".replace("--epochs 4", "--epochs 2"))
    before = {name: (data / name).read_bytes() for name in os.listdir()}

    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        code, _, error = xent(f"{TRAIN} --checkpoint run.ckpt")
    assert code == 2
    assert "No space left on device: 'run.ckpt'" in error
    assert {name: (data / name).read_bytes() for name in os.listdir()} == before


def test_folds_predict_every_row_once_by_a_model_that_did_not_see_it(xent, data):
    (data / "p.csv").write_text(penguins(60))
    line = "train p.csv --target species --id year --folds 3 --model m --epochs 3"
    code, said, error = xent(line)
    assert code == 0, error
    assert "3 folds: " in said
    table = pyarrow.csv.read_csv("out_of_fold.csv")
    species = pyarrow.csv.read_csv("p.csv")["species"]
    assert table.column_names[0] == "year"
    assert table["species"].equals(species), "in the order of the table"
    fold = table["fold"].to_numpy()
    assert sorted(np.bincount(fold).tolist()) == [20, 20, 20]
    for name in set(species.to_pylist()):
        spread = np.bincount(fold[np.array(species.to_pylist()) == name], minlength=3)
        assert np.ptp(spread) <= 1, "each class in each fold"
    assert xent(line)[1] == said, "the same folds for the same seed"
    bits = said.partition("folds: ")[2].split()[0]
    evaluated = xent("evaluate out_of_fold.csv --target species --log-probs l_*")[1]
    assert f"cross-entropy     {bits} bits" in evaluated
    # The rows of the first fold do not change what the model of the first fold learns.
    lines = (data / "p.csv").read_text().splitlines()
    at = int(np.flatnonzero(fold == 0)[0])
    lines[at + 1] = lines[at + 1].replace("20", "99", 1)
    (data / "p.csv").write_text("\n".join(lines) + "\n")
    xent(line)
    again = pyarrow.csv.read_csv("out_of_fold.csv")
    kept = np.flatnonzero((fold == 0) & (np.arange(60) != at))
    np.testing.assert_array_equal(again["l_Adelie"].to_numpy()[kept], table["l_Adelie"].to_numpy()[kept])  # fmt: skip


def test_ids_go_with_the_predictions(xent, data):
    xent(f"{TRAIN} --id PassengerId --id Name")
    assert "PassengerId" not in TrainedModel.load("m").columns
    assert xent("predict m d.csv --id PassengerId -o p.csv")[0] == 0
    assert pyarrow.csv.read_csv("p.csv")["PassengerId"].to_pylist() == list(range(1, 61))


REFUSED = [
    ("--folds 1", "`--folds` must be an integer of at least 2, got 1."),
    ("--folds 50", "`--folds` must be at most the rows of each class, got 50, and"),
    ("--folds 2 --validation 0.5", "`--validation` must be left out with --folds, got '0.5'."),
    ("--out-of-fold o.csv", "`--out-of-fold` must go with --folds, got 'o.csv'."),
    ("--folds 2 --out-of-fold no/o.csv", "`--out-of-fold` must lie in a folder that exists, got 'no/o.csv'."),
    ("--folds 2 --out-of-fold o.xls", "`--out-of-fold` must end in '.parquet', '.csv'"),
    ("--folds 2 --out-of-fold m", "`--out-of-fold` must differ from `--model`, got 'm' for both."),
    ("--id q", "`--id` must name a column of 'd.csv', got 'q'."),
    ("--id Survived", "`--id` must name other columns than the target, each once, got 'Survived'."),
    ("--id Age --id Age", "`--id` must name other columns than the target, each once, got 'Age'."),
    ("--weights Survived", "`--weights` must differ from --target, got 'Survived' for both."),
    ("--weights Sex", "`--weights` must hold numbers in column 'Sex', got '"),
    ("--log no/l.csv", "`--log` must lie in a folder that exists, got 'no/l.csv'."),
    ("--log .", "`--log` must name a file, got the folder '.'."),
    ("--checkpoint no/c", "`--checkpoint` must lie in a folder that exists, got 'no/c'."),
    ("--checkpoint m", "`--checkpoint` must differ from `--model`, got 'm' for both."),
    ("--checkpoint d.csv", "`--checkpoint` must differ from what is read, got 'd.csv' for both."),
    ("--allow-other-bits", "`--allow-other-bits` must be left out without `--checkpoint`, got True."),
    ("--loss double_softmax", "`--loss` must be a loss of logits, got 'double_softmax'"),
    ("--loss focal:gama=2", "`--loss` must name options of 'focal', which are "),
    ("--optimizer lion", "`--optimizer` must be "),
    ("--schedule Cosine", "`--schedule` must be "),
    ("--patience 3", "`--patience` must be None without `--validation`, got 3."),
    ("--patience 0 --validation 0.5", "`--patience` must be an integer of at least 1, got 0."),
    ("--class-weight heavy", "`--class-weight` must be "),
    ("--batch-size 0", "`--batch-size` must be an integer of at least 1, got 0."),
    ("--learning-rate -1", "`--learning-rate` must be positive and finite, got -1.0."),
    ("--learning-rate nan", "`--learning-rate` must be positive and finite, got nan."),
    ("--hidden 0", "`--hidden[0]` must be an integer of at least 1, got 0."),
    ("--hidden 8,-1", "`--hidden[1]` must be an integer of at least 1, got -1."),
    ("--device mars", "`--device` must be at hand, got 'mars'."),
    ("--separator ab", "`--separator` must be one ASCII character, got 'ab'."),
    ("--encoding klingon", "`--encoding` must be an encoding of text, got 'klingon'."),
]  # fmt: skip


def test_one_sentence_and_nothing_written(xent, data):
    for options, sentence in REFUSED:
        code, said, error = xent(f"train d.csv --target Survived --model m {options}")
        assert (code, said) == (2, ""), (options, error)
        last = error.splitlines()[-1]  # before it are doubts of columns
        assert last.startswith(sentence), options
        assert os.listdir() == ["d.csv"], options


def test_what_predict_and_export_refuse(xent, data):
    xent("train d.csv --target Survived --model m --epochs 1")
    (data / "few.csv").write_text("Pclass,Sex\n1,male\n")
    (data / "none.csv").write_text((data / "d.csv").read_text().splitlines()[0] + "\n")
    (data / "cut").write_bytes((data / "m").read_bytes()[:-3])
    (data / "words.csv").write_text((data / "d.csv").read_text().replace(",0,", ",zero,", 40))
    before = sorted(os.listdir())
    for line, sentence in [
        ("predict no.xent d.csv", "There is no file 'no.xent'."),
        ("predict d.csv d.csv", "`MODEL` must be a xent.training file, got 'd.csv', which is none or is damaged."),
        ("predict cut d.csv", "`MODEL` must be a xent.training file, got 'cut'"),
        ("predict m no.csv", "There is no file 'no.csv'."),
        ("predict m few.csv", "`DATA` must have the column 'PassengerId', got 'Pclass' and 'Sex'."),
        ("predict m none.csv", "`DATA` must have at least one row, got none in 'none.csv'."),
        ("predict m words.csv", "`DATA` must hold a number in column '"),
        ("predict m d.csv -o d.csv", "`--output` must differ from what is read, got 'd.csv' for both."),
        ("predict m d.csv -o m", "`--output` must differ from what is read, got 'm' for both."),
        ("predict m d.csv -o p.xlsx", "`--output` must end in "),
        ("predict m d.csv -o no/p.csv", "`--output` must lie in a folder that exists, got 'no/p.csv'."),
        ("predict m d.csv --id q", "`--id` must name a column of 'd.csv', got 'q'."),
        ("predict m d.csv --image-size 3x3", "`--image-size` must go with images, got the table 'd.csv'."),
        ("export m -o graph", "`--output` must end in .pt2 or .onnx, got 'graph'. Or pass --format torch or --format onnx."),
        ("export m -o graph --format tflite", "`--format` must be 'torch' or 'onnx', got 'tflite'."),
        ("export d.csv -o g.pt2", "`MODEL` must be a xent.training file, got 'd.csv', which is none or is damaged."),
        ("export m -o no/g.pt2", "`--output` must lie in a folder that exists, got 'no/g.pt2'."),
        ("export m -o m --format torch", "`--output` must differ from what is read"),
    ]:  # fmt: skip
        code, said, error = xent(line)
        assert (code, said) == (2, ""), (line, error)
        assert error.startswith(sentence), line
        assert error.count("\n") == 1, line
        assert sorted(os.listdir()) == before, line
