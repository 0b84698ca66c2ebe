# ruff: noqa: F811
"""Whatever is typed for `xent train` and its kin reaches what it is for, in every kind of run.

A run is of a table, of several labels a row, of images, of masks, read in blocks, or in folds: each
has a way of its own through the command, where an option may get lost.
"""

import json
import shlex

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import typer

from commands import xent  # noqa: F401
from screens import run
from xent import cli
from xent.training import DenseClassifier, SoftmaxClassifier, TrainedModel, _split

RNG = np.random.default_rng(11)
NET = """
import torch

def net(features, classes):
    made = torch.nn.Conv2d(1, classes, 1)
    torch.nn.init.zeros_(made.weight)
    return made

def flat(features, classes):
    return torch.nn.Linear(features, classes)
"""
OF_TABLES = {
    "--features": "a", "--scale": "range", "--max-levels": "3", "--weights": "w", "--id": "i",
    "--drop-missing-target": "", "--separator": ";", "--decimal": ",", "--na": "?",
    "--encoding": "latin1", "--no-header": "", "--names": "a", "--drop": "a",
}  # fmt: skip
# For any data; or refused without another option, whatever the data are.
OF_ALL = {
    "--model", "--target", "--multilabel", "--label-separator", "--validation", "--loss", "--hidden",
    "--module", "--dense", "--ignore", "--epochs", "--batch-size", "--learning-rate", "--optimizer",
    "--schedule", "--patience", "--class-weight", "--folds", "--out-of-fold", "--download", "--buffer",
    "--image-size", "--seed", "--device", "--checkpoint", "--checkpoint-every", "--allow-other-bits",
    "--log", "--unpacked",
}  # fmt: skip


@pytest.fixture
def data(tmp_path):
    """A table, images and masks, each with a class that can be learned."""
    x, z = RNG.normal(size=(2, 60)).round(3)
    (tmp_path / "net.py").write_text(NET)
    table = pa.table(
        {"x": x, "z": z, "y": np.where(x > 0, "yes", "no"), "y_a": x > 0, "y_b": z > 0}
    )
    pyarrow.csv.write_csv(table, tmp_path / "d.csv")
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet", row_group_size=10)
    y = (np.arange(60) % 2).astype(np.int64)
    pixels = RNG.integers(0, 100, (60, 4, 4), dtype=np.uint8) + (100 * y[:, None, None]).astype(
        np.uint8
    )
    np.savez(tmp_path / "images.npz", x_train=pixels, y_train=y)
    np.savez(
        tmp_path / "masks.npz", x_train=pixels[:, None], y_train=(pixels > 120).astype(np.uint8)
    )
    return tmp_path


RUNS = {
    "table": "d.csv --target y --drop y_a --drop y_b",
    "labels": "d.csv --multilabel --target y_a,y_b --drop y",
    "images": "images.npz",
    "masks": "masks.npz --dense --module net.py:net",
    "blocks": "d.parquet --target y --drop y_a --drop y_b --buffer 20",
}


def of_train(name="train"):
    return typer.main.get_command(cli.app).commands[name].params


def test_every_option_is_known_here():
    """A new one is for tables alone, or for all: it stands above, and so is tried below."""
    given = {p.opts[0] for p in of_train() if p.opts[0].startswith("--")}
    assert given == OF_ALL | set(OF_TABLES)


@pytest.mark.parametrize(
    "command", ["train images.npz -o m", "train masks.npz --dense --module net.py:net -o m"]
)
def test_what_a_table_alone_has_is_refused_elsewhere(xent, data, command):
    must = "be left out with --dense" if "--dense" in command else "go with a table"
    for option, value in OF_TABLES.items():
        code, said, error = xent(f"{command} {option} {value}")
        assert (code, said) == (2, ""), option
        assert error.startswith(f"`{option}` must {must}, got "), option
        assert not (data / "m").exists()


def test_images_are_predicted_by_no_options_of_a_table(xent, data):
    assert xent("train images.npz -o m --epochs 1")[0] == 0
    mine = {p.opts[0] for p in of_train("predict")}
    for option in sorted(set(OF_TABLES) & mine):
        code, _, error = xent(f"predict m images.npz {option} {OF_TABLES[option]}")
        assert (code, error) == (
            2,
            f"`{option}` must go with a table, got images in 'images.npz'.\n",
        )
    assert {"--separator", "--decimal", "--na", "--encoding", "--no-header", "--id"} <= mine


@pytest.mark.parametrize("kind", RUNS)
def test_settings_are_those_typed_and_else_those_of_the_help(xent, data, kind):
    typed = {
        "batch_size": 7, "learning_rate": 0.25, "optimizer": "adam:eps=1e-06", "epochs": 2,
        "schedule": "ExponentialLR:gamma=0.5", "random_state": 5, "patience": 2, "device": "cpu",
        "loss": "binary_focal:gamma=1" if kind == "labels" else "focal:gamma=1",
    }  # fmt: skip
    options = {**typed, "hidden": 3, "seed": 5}
    del options["random_state"]
    if kind == "masks":
        del options["hidden"]
    if kind != "labels":
        typed["class_weight"] = options["class_weight"] = "balanced"
    words = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in options.items())
    held = "masks.npz" if kind == "masks" else RUNS[kind].split()[0]
    code, _, error = xent(f"train {RUNS[kind]} -o m --validation {held} {words}")
    assert code == 0, error

    def made():
        module = None
        if kind == "masks":
            import torch

            module = torch.nn.Conv2d(1, 2, 1)
        return TrainedModel.load("m", module).classifier

    found = made().get_params()
    assert {name: found[name] for name in typed} == typed
    assert found.get("hidden", [3]) == [3]
    assert xent(f"train {RUNS[kind]} -o m")[0] == 0
    found = made().get_params()
    loss = "binary_cross_entropy" if kind == "labels" else "cross_entropy"
    wanted = {
        "batch_size": 8 if kind == "masks" else 64, "learning_rate": 0.5, "optimizer": "sgd",
        "epochs": 10, "schedule": None, "patience": None, "random_state": 0, "loss": loss,
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize("kind", ["table", "labels", "images", "masks"])
def test_the_share_and_the_folds_are_drawn_by_the_seed(xent, data, kind, monkeypatch):
    drawn = []

    def noted(function):
        def call(labels, number, seed, *names):
            drawn.append((number, seed))
            return function(labels, number, seed, *names)

        return call

    monkeypatch.setattr(_split, "hold_out", noted(_split.hold_out))
    monkeypatch.setattr(_split, "fold_of_rows", noted(_split.fold_of_rows))
    assert xent(f"train {RUNS[kind]} -o m --epochs 1 --seed 3 --validation 0.25")[0] == 0
    wanted = [(0.25, 3)]
    if kind != "masks":
        assert xent(f"train {RUNS[kind]} -o m --epochs 1 --seed 4 --folds 3")[0] == 0
        wanted.append((3, 4))
    assert drawn == wanted


def test_the_rows_that_an_encoding_is_learned_from_are_drawn_by_the_seed(xent, tmp_path):
    """Each group has a number of its own: the lowest that was seen says which groups were read."""
    number = np.repeat(np.arange(8.0), 5) + np.tile([0, 0.1, 0.2, 0.3, 0.4], 8)
    table = pa.table({"x": number, "y": ["a", "b"] * 20})
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet", row_group_size=5)
    lowest = set()
    for seed in range(4):
        command = (
            f"train d.parquet --target y --buffer 10 --epochs 1 --scale range -o m --seed {seed}"
        )
        code, said, error = xent(command)
        assert code == 0, error
        assert "encoding learned from 10 rows\n" in said  # the buffer is just full
        (column,) = TrainedModel.load("m").encoder.columns_
        lowest.add(column.parts[0].centre)
    assert len(lowest) > 1


def said_of(held):
    bits, _, right = held.partition("held out: ")[2].partition(" bits a")
    return float(bits), float(right.partition("accuracy ")[2].split()[0])


def written(xent, tmp_path, kind):
    """Write data to train on and to hold out; return what both commands say of them."""
    if kind == "text that looks like numbers":
        (tmp_path / "d.csv").write_text("zip,y\n" + "01,a\nx2,b\n1,b\n" * 4)
        (tmp_path / "t.csv").write_text("zip,y\n01,a\n1,b\n01,a\n")
        return "d.csv --target y", "t.csv", "t.csv", "y"
    if kind == "classes that look like numbers":
        (tmp_path / "d.csv").write_text("x,y\n" + "1,01\n2,x\n" * 4)
        (tmp_path / "t.csv").write_text("x,y\n1,01\n2,01\n")
        return "d.csv --target y", "t.csv", "t.csv", "y"
    if kind == "rows without a class":
        (tmp_path / "d.csv").write_text("x,y\n" + "1,a\n2,b\n3,\n4,a\n" * 4)
        (tmp_path / "t.csv").write_text("x,y\n1,a\n2,\n3,b\n9,\n")
        return "d.csv --target y --drop-missing-target", "t.csv", "t.csv", "y"
    if kind == "bytes after floats":
        X, y = RNG.random((40, 3, 3)), np.arange(40) % 2
        np.savez(tmp_path / "d.npz", x_train=X * 0.01 + y[:, None, None] * 0.01, y_train=y)
        np.savez(tmp_path / "t.npz", x_train=(X * 3).astype(np.uint8), y_train=y)
        return "d.npz", "t.npz", "t.npz", "label"
    if kind == "floats after bytes":
        X, y = RNG.integers(0, 255, (40, 3, 3)), np.arange(40) % 2
        np.savez(tmp_path / "d.npz", x_train=X.astype(np.uint8), y_train=y)
        np.savez(tmp_path / "t.npz", x_train=X / 2, y_train=y)
        return "d.npz", "t.npz", "t.npz", "label"
    image = pytest.importorskip("PIL.Image")
    for i in range(24):
        for folder, side in (("zoo", 6), ("other", 9)):
            place = tmp_path / folder / ("cat" if i % 2 else "dog")
            place.mkdir(parents=True, exist_ok=True)
            pixels = RNG.integers(0, 200, (side, side), dtype=np.uint8) + 50 * (i % 2)
            image.fromarray(pixels.astype(np.uint8)).save(place / f"{i}.png")
    return "zoo --image-size 3x3", "other", "other --image-size 3x3", "label"


KINDS = (
    "text that looks like numbers", "classes that look like numbers", "rows without a class",
    "bytes after floats", "floats after bytes", "images of another size",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_held_out_files_are_read_as_they_are_predicted(xent, tmp_path, kind):
    """The bits of `train --validation FILE` are those of its predictions, added up here."""
    trained, held, predicted, target = written(xent, tmp_path, kind)
    code, said, error = xent(f"train {trained} --validation {held} -o m --epochs 3")
    assert code == 0, error
    assert xent(f"predict m {predicted} -o p.jsonl")[0] == 0
    lines = (tmp_path / "p.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row[target] is not None]
    costs = [-row[f"l_{row[target]}"] / np.log(2) for row in rows]
    right = [row["prediction"] == row[target] for row in rows]
    bits, accuracy = said_of(said)
    assert bits == pytest.approx(np.mean(costs), abs=1e-4 * max(1, bits))
    assert accuracy == pytest.approx(100 * np.mean(right), abs=0.06)
    assert f"{len(rows)} " in said.partition("accuracy")[2]


def test_of_a_file_with_two_parts_the_masks_to_hold_out_are(xent, data):
    with np.load("masks.npz") as f:
        X, y = f["x_train"], f["y_train"]
    np.savez("two.npz", x_train=X, y_train=y, x_test=X[:7], y_test=1 - y[:7])
    run_ = "train masks.npz --dense --module net.py:net --epochs 20 -o m"
    right = said_of(xent(f"{run_} --validation masks.npz")[1])[1]
    said = xent(f"{run_} --validation two.npz")[1]
    assert said.partition("accuracy")[2].splitlines()[0].endswith(" %, 7 inputs")
    assert said_of(said)[1] < 50 < right  # its truth is turned round


def test_rare_names_share_a_feature_in_every_fold(xent, tmp_path, monkeypatch):
    names = np.repeat(["p", "q", "r", "s", "t"], 8)
    pyarrow.csv.write_csv(pa.table({"n": names, "y": ["a", "b"] * 20}), tmp_path / "d.csv")
    widths = []

    def clone(classifier):
        made = type(classifier)(**classifier.get_params())
        fit = made.fit
        made.fit = lambda X, *rest, **how: (widths.append(X.shape[1]), fit(X, *rest, **how))[1]
        return made

    monkeypatch.setattr("sklearn.base.clone", clone)
    code, said, error = xent("train d.csv --target y --max-levels 2 --folds 2 --epochs 1 -o m")
    assert code == 0, error
    assert "3 features" in said  # two names, and the others
    assert widths == [3, 3]


@pytest.mark.parametrize("kind", ["table", "masks"])
def test_an_interrupted_run_says_how_it_goes_on_in_every_kind(data, kind, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(data)
    for classifier in (SoftmaxClassifier, DenseClassifier):
        monkeypatch.setattr(classifier, "fit", stopped)
    words = ["xent", "train", *RUNS[kind].split(), "-o", "m", "--checkpoint", "c"]
    for more, when in (([], "its first epoch"), (["--checkpoint-every", "2h"], "its first 2h")):
        _, _, error = run([*words, *more])
        assert f"It was stopped in {when}: the same command starts afresh." in error.decode()


def test_times_are_seconds(xent, data, monkeypatch):
    given = []
    monkeypatch.setattr(
        SoftmaxClassifier, "fit", lambda *_, checkpoint_every, **__: given.append(checkpoint_every)
    )
    for text in ("2h", "5m", "30s", "1.5h"):
        xent(f"train d.csv --target y -o m --checkpoint c --checkpoint-every {text}")
    assert given == [7200, 300, 30, 5400]


@pytest.mark.parametrize("end", ["predict", "folds"])
def test_a_command_that_is_printed_runs(tmp_path, monkeypatch, end):
    """With spaces, too, in the names of the file and of the target."""
    monkeypatch.chdir(tmp_path)
    x = RNG.normal(size=30)
    pyarrow.csv.write_csv(pa.table({"x": x, "the class": np.where(x > 0, "a", "b")}), "my d.csv")
    train = ["xent", "train", "my d.csv", "--target", "the class", "-o", "m", "--epochs", "1"]
    if end == "folds":
        code, said, error = run([*train, "--folds", "2", "--out-of-fold", "my p.csv"])
    else:
        assert run(train)[0] == 0
        code, said, error = run(["xent", "predict", "m", "my d.csv", "-o", "my p.csv"])
    assert code == 0, error
    (line,) = [one for one in said.decode().splitlines() if one.startswith("Evaluate them: ")]
    code, said, error = run(shlex.split(line.removeprefix("Evaluate them: ")))
    assert code == 0, error
    assert "30 rows, 2 classes" in said.decode()


def test_settings_of_a_comparison_of_losses_are_those_typed(xent, data, monkeypatch):
    given = []

    def compare(X, y, names, **how):
        given.append((X.shape, names, how))
        raise ValueError("seen")

    monkeypatch.setattr("xent.training.compare_losses_fairly", compare)
    words = {
        "epochs": 3, "batch_size": 7, "learning_rate": 0.25, "optimizer": "adam:eps=1e-06",
        "random_state": 5,
    }  # fmt: skip
    options = " ".join(f"--{k.replace('_', '-')} {v}" for k, v in words.items()).replace(
        "--random-state", "--seed"
    )
    command = f"compare-losses d.csv --target y --drop y_a --drop y_b --validation 0.25 --losses nll,focal:gamma=1 {options} --hidden 4,3 --rates 0.5,2 --seeds 4"  # fmt: skip
    xent(command)
    ((shape, names, how),) = given
    assert (shape, names) == ((45, 2), ["nll", "focal:gamma=1"])
    assert (how["rates"], how["seeds"]) == ([0.5, 2.0], 4)
    found = how["classifier"].get_params()
    assert {name: found[name] for name in words} == words
    assert list(found["hidden"]) == [4, 3]
    assert len(how["validation"][1]) == 15


@pytest.mark.parametrize(
    ("options", "rows", "held"),
    [("", 40, 10), ("--validation 0.25", 30, 10), ("--validation one.npz", 40, 40)],
)
def test_losses_are_judged_by_the_rows_that_are_named(xent, data, options, rows, held):
    """A share is one of the rows to train on, also where the folder has others to hold out."""
    with np.load("images.npz") as f:
        X, y = f["x_train"], f["y_train"]
    np.savez("two.npz", x_train=X[:40], y_train=y[:40], x_test=X[50:], y_test=y[50:])
    np.savez("one.npz", x_train=X[:40], y_train=y[:40])
    compared = "--losses nll --rates 0.5 --seeds 2 --epochs 1"
    code, said, error = xent(f"compare-losses two.npz {compared} {options}")
    assert code == 0, error
    assert said.startswith(f"{rows} rows to train on, {held} held out; 1 epoch, 2 seeds.")
    if not options:  # a fifth, where there is no such part
        said = xent(f"compare-losses one.npz {compared}")[1]
        assert said.startswith("32 rows to train on, 8 held out")


@pytest.mark.parametrize("option", ["--model", "--log", "--checkpoint", "--out-of-fold"])
def test_no_output_writes_over_the_code_of_a_network(xent, data, option):
    command = f"train d.csv --target y --module ./net.py:flat --folds 2 {option} net.py"
    code, _, error = xent(command + " -o m" * (option != "--model"))
    sentences = [f"`{option}` must differ from what is read, got 'net.py' for both.\n"]
    assert (code, [error]) == (2, sentences)
    assert (data / "net.py").read_text() == NET


def test_no_graph_and_no_prediction_does_either(xent, data):
    assert xent("train images.npz --module net.py:flat -o m --epochs 1")[0] == 0
    for command in ("export m --format torch", "predict m images.npz"):
        code, _, error = xent(f"{command} --module net.py:flat --output net.py")
        assert (code, error) == (
            2,
            "`--output` must differ from what is read, got 'net.py' for both.\n",
        )
    assert (data / "net.py").read_text() == NET


def test_a_format_that_is_named_goes_before_an_ending(xent, data):
    assert xent("train images.npz -o m --epochs 1")[0] == 0
    code, _, error = xent("export m -o g.pt2 --format tflite")
    assert (code, error) == (2, "`--format` must be 'torch' or 'onnx', got 'tflite'.\n")
