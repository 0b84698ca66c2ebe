# ruff: noqa: F811
"""`xent train --module` and `--dense`: code of the user's own, and a class at every place."""

import re
import textwrap

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import torch
from torch.nn import functional as F

from commands import xent  # noqa: F401

RNG = np.random.default_rng(5)
NETS = """
    import torch
    from torch import nn
    from beside import WIDTH

    class Net(nn.Module):
        def __init__(self, features, classes, slope=1.0):
            super().__init__()
            self.inner, self.last = nn.Linear(features, WIDTH), nn.Linear(WIDTH, classes)
            self.slope = slope

        def forward(self, x):
            return self.slope * self.last(torch.relu(self.inner(x)))

    def other(features, classes):
        return Net(features, classes, slope=3.0)

    def wide(classes):
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, classes, 1))

    def needs(depth):
        return None

    def none():
        return 3

    def broken():
        return missing

    NUMBER = 3
"""


@pytest.fixture
def nets(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "beside.py").write_text("WIDTH = 5\n")
    (tmp_path / "code" / "net.py").write_text(textwrap.dedent(NETS))
    return "code/net.py"


@pytest.fixture
def table(tmp_path):
    size = RNG.normal(size=90).round(3)
    kind = np.array(["u", "v", "w"])[RNG.integers(0, 3, 90)]
    y = np.where(size + (kind == "u") > 0.3, "yes", "no")
    columns = {"id": np.arange(90) * 3, "size": size, "kind": kind, "y": y}
    pyarrow.csv.write_csv(pa.table(columns), tmp_path / "t.csv")
    return "t.csv"


def test_a_network_of_ones_own(xent, nets, table, tmp_path):
    train = f"train {table} --target y --drop id --module {nets}:Net --epochs 4 --seed 2 -o m.xent"
    code, said, doubts = xent(f"{train} --validation 0.3")
    assert (code, doubts) == (0, "")
    bits = float(re.search(r"held out: ([\d.]+) bits a row", said)[1])
    first = (tmp_path / "m.xent").read_bytes()
    assert xent(f"{train} --validation 0.3")[0] == 0
    assert (tmp_path / "m.xent").read_bytes() == first  # the start is drawn by the seed
    code, said, _ = xent(f"predict m.xent {table} --module {nets}:Net -o p.csv")
    assert code == 0
    assert "Evaluate them: xent evaluate p.csv --target y" in said
    assert 0.1 < bits < 1
    assert xent("evaluate p.csv --target y --log-probs l_*")[0] == 0
    code, _, error = xent(f"predict m.xent {table}")
    assert code == 2
    assert "`--module` must be given: the network of the model is code, which no file of ours holds, got none. It was code/net.py:Net." in error  # fmt: skip
    code, _, error = xent(f"predict m.xent {table} --module {nets}:other")
    assert code == 2
    assert "`--module` must be the module that the model was trained with, got one that comp" in error  # fmt: skip


def test_it_goes_on_from_a_checkpoint_and_through_folds(xent, nets, table, tmp_path):
    train = f"train {table} --target y --drop id --module {nets}:Net --seed 2 --optimizer adam --learning-rate 0.01"  # fmt: skip
    assert xent(f"{train} --epochs 4 -o whole.xent")[0] == 0
    assert xent(f"{train} --epochs 2 -o part.xent --checkpoint c.ckpt")[0] == 0
    assert xent(f"{train} --epochs 4 -o part.xent --checkpoint c.ckpt")[0] == 0
    assert (tmp_path / "part.xent").read_bytes() == (tmp_path / "whole.xent").read_bytes()
    code, _, error = xent(f"{train.replace(':Net', ':other')} -o o.xent --checkpoint c.ckpt")
    assert code == 2
    assert "computes other logits with the same weights" in error
    code, said, _ = xent(f"{train} --epochs 2 --folds 3 -o f.xent")
    assert code == 0
    assert "3 folds: " in said
    assert xent("evaluate out_of_fold.csv --target y --log-probs l_*")[0] == 0


def test_it_is_exported(xent, nets, table, tmp_path):
    train = f"train {table} --target y --drop id --module {nets}:Net --epochs 2 -o m.xent"
    assert xent(train)[0] == 0
    assert xent(f"predict m.xent {table} --module {nets}:Net -o p.csv")[0] == 0
    code, said, _ = xent(f"export m.xent -o m.pt2 --module {nets}:Net")
    assert code == 0, said
    graph = torch.export.load(tmp_path / "m.pt2").module()
    rows = pyarrow.csv.read_csv(tmp_path / "t.csv")
    kind = np.searchsorted(["u", "v", "w"], rows["kind"].to_numpy(zero_copy_only=False))
    columns = np.column_stack([rows["size"].to_numpy(), kind]).astype(float)
    predicted = pyarrow.csv.read_csv(tmp_path / "p.csv")
    both = np.column_stack([predicted[f"l_{name}"].to_numpy() for name in ("no", "yes")])
    np.testing.assert_allclose(graph(torch.from_numpy(columns)), both, rtol=1e-5, atol=1e-6)


REFUSED = [
    ("net.py", "`--module` must name a file and what makes the network in it, like net.py:Net, got 'net.py'."),
    ("code/net.py:", "`--module` must name a file and what makes the network in it, like net.py:Net, got 'code/net.py:'."),
    ("code/net.txt:Net", "`--module` must name a file and what makes the network in it, like net.py:Net, got 'code/net.txt:Net'."),
    ("gone.py:Net", "There is no file 'gone.py'."),
    ("code/net.py:Gone", "`--module` must name what 'code/net.py' defines, got 'Gone'."),
    ("code/net.py:NUMBER", "`--module` must name a class, a function or a module, got 'NUMBER', an int."),
    ("code/net.py:needs", "`--module` must need no argument but features and classes, the numbers of both, got 'depth' of code/net.py:needs."),
    ("code/net.py:none", "`--module` must make a torch.nn.Module, got an int."),
    ("code/net.py:broken", "`--module` must name code that runs, got NameError: name 'missing' is not defined at line 28 of 'code/net.py'."),
    ("code/bad.py:x", "`--module` must name code that runs, got SyntaxError: invalid syntax"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "sentence"), REFUSED)
def test_code_that_makes_no_network(xent, nets, table, tmp_path, module, sentence):
    (tmp_path / "code" / "bad.py").write_text("x = = 3\n")
    code, _, error = xent(f"train {table} --target y --drop id --module {module} -o m.xent")
    assert (code, error.startswith(sentence)) == (2, True), error
    assert not (tmp_path / "m.xent").exists()


@pytest.fixture
def masks(tmp_path):
    pixels = RNG.integers(0, 256, (30, 1, 6, 7), dtype=np.uint8)
    y = (pixels[:, 0] > 128).astype(np.uint8) + (pixels[:, 0] > 220)
    y[RNG.random(y.shape) < 0.1] = 255
    parts = {"x_train": pixels[:20], "y_train": y[:20], "x_test": pixels[20:], "y_test": y[20:]}
    np.savez(tmp_path / "masks.npz", **parts)
    (tmp_path / "folder").mkdir()
    for name, array in parts.items():
        np.save(tmp_path / "folder" / f"{name}.npy", array)
    return parts


TRAIN_DENSE = "--dense --module code/net.py:wide --ignore 255 --epochs 3 -o m.xent"


def test_masks_from_arrays_to_bits(xent, nets, masks, tmp_path):
    code, said, doubts = xent(f"train masks.npz {TRAIN_DENSE}")
    assert (code, doubts) == (0, "")
    assert "20 inputs of 1 x 6 x 7, pixels of bytes divided by 255; 3 classes at 6 x 7 places." in said  # fmt: skip
    bits = re.search(r"held out: ([\d.]+) bits a place, accuracy ([\d.]+) %, 10 inputs", said)
    whole = (tmp_path / "m.xent").read_bytes()
    assert xent(f"train folder {TRAIN_DENSE}")[0] == 0
    assert (tmp_path / "m.xent").read_bytes() == whole
    code, said, _ = xent("predict m.xent masks.npz --module code/net.py:wide -o p.npz")
    assert code == 0
    command = "xent evaluate p.npz --class-axis 1 --log-probs log_probs --ignore 255"
    assert f"Evaluate them: {command}" in said
    with np.load(tmp_path / "p.npz") as p:
        assert p["log_probs"].shape == (10, 3, 6, 7)
        np.testing.assert_array_equal(p["prediction"], p["log_probs"].argmax(1))
        np.testing.assert_array_equal(p["target"], masks["y_test"])
        z, y = torch.from_numpy(p["log_probs"]), torch.from_numpy(p["target"]).long()
        nats = F.cross_entropy(z.double(), y, ignore_index=255).item()
    assert nats / np.log(2) == pytest.approx(float(bits[1]), abs=6e-5)
    code, said, _ = xent(command.removeprefix("xent "))
    assert code == 0
    assert bits[1][:5] in said


def test_masks_held_out_by_share_file_and_checkpoint(xent, nets, masks, tmp_path):
    np.savez(tmp_path / "only.npz", x_train=masks["x_train"], y_train=masks["y_train"])
    np.savez(tmp_path / "x.npz", x_test=masks["x_test"])
    code, said, _ = xent(f"train only.npz {TRAIN_DENSE} --validation 0.25 --class-weight balanced")
    assert (code, "15 inputs of" in said, "5 inputs\n" in said) == (0, True, True)
    code, by_file, _ = xent(
        f"train only.npz {TRAIN_DENSE} --validation folder --loss focal:gamma=2"
    )
    assert (code, "bits a place" in by_file) == (0, True)
    assert xent(f"train only.npz {TRAIN_DENSE}")[0] == 0
    whole = (tmp_path / "m.xent").read_bytes()
    early = TRAIN_DENSE.replace("--epochs 3", "--epochs 1")
    for options in (early, TRAIN_DENSE):
        assert xent(f"train only.npz {options} --checkpoint c.ckpt --log log.csv")[0] == 0
    assert (tmp_path / "m.xent").read_bytes() == whole
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 4
    code, said, _ = xent("predict m.xent x.npz --module code/net.py:wide -o p.npz")
    assert (code, "Evaluate" in said) == (0, False)
    with np.load(tmp_path / "p.npz") as p:
        assert sorted(p.files) == ["log_probs", "prediction"]


DENSE_REFUSED = [
    ("masks.npz --dense --ignore 255", "`--module` must name a network with --dense, from inputs to logits of every place, got none."),
    ("masks.npz --ignore 255 --target y", "`--ignore` must go with --dense, got 255."),
    (f"masks.npz {TRAIN_DENSE} --folds 3", "`--folds` must be left out with --dense, got 3."),
    (f"masks.npz {TRAIN_DENSE} --target y", "`--target` must be left out with --dense, got 'y'."),
    (f"masks.npz {TRAIN_DENSE} --drop id", "`--drop` must be left out with --dense, got "),
    (f"empty.npz {TRAIN_DENSE}", "`DATA` must be an NPZ with x_train and y_train, or a folder with x_train.npy and y_train.npy, got 'empty.npz'."),
    (f"short.npz {TRAIN_DENSE}", "`DATA` must hold as many targets, y_train, as inputs, x_train, got the shapes (20, 1, 6, 7) and (10, 6, 7)."),
    (f"x.npz {TRAIN_DENSE}", "`DATA` must hold y_train, got none in 'x.npz'."),
    (f"masks.npz {TRAIN_DENSE} --validation x.npz", "`--validation` must hold targets, got none in 'x.npz'."),
    (f"masks.npz {TRAIN_DENSE.replace('net.py:wide', 'net.py:Net')}", "`--module` must turn inputs of the shape (N, 1, 6, 7) into logits (N, classes, ...), a class of every place, got "),
]  # fmt: skip


@pytest.mark.parametrize(("words", "sentence"), DENSE_REFUSED)
def test_dense_wording(xent, nets, masks, tmp_path, words, sentence):
    np.savez(tmp_path / "empty.npz", a=masks["x_train"])
    np.savez(tmp_path / "short.npz", x_train=masks["x_train"], y_train=masks["y_test"])
    np.savez(tmp_path / "x.npz", x_train=masks["x_train"])
    code, _, error = xent(f"train {words}" if "-o" in words else f"train {words} -o m.xent")
    assert (code, error.startswith(sentence)) == (2, True), error


def test_what_predicts_masks_takes_no_table(xent, nets, masks, tmp_path):
    assert xent(f"train masks.npz {TRAIN_DENSE}")[0] == 0
    predict = "predict m.xent masks.npz --module code/net.py:wide"
    code, _, error = xent(f"{predict} -o p.csv")
    assert (code, error) == (2, "`--output` must end in .npz where every place has a class, got 'p.csv'.\n")  # fmt: skip
    code, _, error = xent(f"{predict} -o p.npz --id x")
    assert (code, error[:60]) == (2, "`--id` must be left out where every place has a class, got [")
    np.savez(tmp_path / "floats.npz", x_test=masks["x_test"] / 255)
    code, _, error = xent(f"{predict.replace('masks.npz', 'floats.npz')} -o p.npz")
    assert (code, error) == (2, "`DATA` must hold bytes, as MODEL was trained on, got inputs of float64.\n")  # fmt: skip


def test_a_mark_that_is_taken_for_a_class_is_doubted(xent, nets, masks):
    code, said, doubts = xent(f"train masks.npz {TRAIN_DENSE.replace('--ignore 255', '')}")
    assert (code, "256 classes" in said) == (0, True)
    assert "The targets have 4 numbers, and 255 is the largest: 256 classes. If it marks places that do not count, pass --ignore 255." in doubts  # fmt: skip
