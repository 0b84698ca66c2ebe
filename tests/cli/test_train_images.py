# ruff: noqa: F811
"""`xent train FOLDER` and `predict` on the files of MNIST and on folders of images."""

import gzip
import os
import struct

import numpy as np
import pyarrow.csv
import pytest

from commands import xent  # noqa: F401
from xent.cli import _demo
from xent.training import TrainedModel


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


@pytest.fixture
def mnist(tmp_path):
    """Images of bars: the class says in which column the bar is."""
    rng = np.random.default_rng(0)
    (tmp_path / "mnist").mkdir()
    for part, n, end in (("train", 90, ""), ("t10k", 30, ".gz")):
        y = (np.arange(n) % 3).astype(np.uint8)
        X = rng.integers(0, 90, (n, 4, 3), dtype=np.uint8)
        X[np.arange(n), :, y] = 250
        for what, number, array in (("images", 3, X), ("labels", 1, y)):
            data = gzip.compress(idx(array)) if end else idx(array)
            (tmp_path / "mnist" / f"{part}-{what}-idx{number}-ubyte{end}").write_bytes(data)
    return tmp_path / "mnist"


def test_the_demo_takes_the_first_four_fifths_where_a_folder_holds_one_part(tmp_path):
    X, y = np.arange(10 * 16, dtype=np.uint8).reshape(10, 4, 4), np.arange(10, dtype=np.uint8)
    for part in ("train", "t10k"):
        for what, number, array in (("images", 3, X), ("labels", 1, y)):
            (tmp_path / f"{part}-{what}-idx{number}-ubyte").write_bytes(idx(array))
        found = _demo._mnist(str(tmp_path))
        held = 8 if part == "train" else 0
        assert (found.y.tolist(), found.y_test.tolist()) == (
            y[: held or 10].tolist(), y[held:].tolist(),
        )  # fmt: skip
        assert found.side == 4
        for pixels, rows in ((found.X, X[: held or 10]), (found.X_test, X[held:])):
            np.testing.assert_allclose(pixels, rows.reshape(len(rows), 16) / 255, rtol=1e-6)


def test_train_is_trained_on_and_t10k_held_out(xent, mnist, tmp_path):
    code, said, doubts = xent("train mnist --model m --epochs 20")
    assert (code, doubts) == (0, "")
    assert "90 images of 4 x 3, 3 classes.\n" in said
    assert "accuracy 100.0 %, 30 images\n" in said
    assert TrainedModel.load("m").shape == (4, 3)
    bits = said.partition("held out: ")[2].split()[0]
    code, said, doubts = xent("predict m mnist -o p.csv")
    assert (code, doubts) == (0, "")
    assert said.startswith("30 predictions: p.csv")
    code, said, _ = xent("evaluate p.csv --target label --log-probs l_*")
    assert f"cross-entropy     {bits} bits" in said
    # A file of images alone, and a share held out of it.
    code, said, _ = xent("train mnist/t10k-images-idx3-ubyte.gz --validation .2 --model m --epochs 1")  # fmt: skip
    assert code == 0
    assert "24 images of 4 x 3" in said
    assert "6 images\n" in said.partition("held out")[2]
    code, said, _ = xent("train mnist/train-images-idx3-ubyte --validation mnist --model m --epochs 1")  # fmt: skip
    assert "30 images\n" in said.partition("held out")[2]


def test_predicting_in_blocks_gives_the_same(xent, mnist, monkeypatch):
    xent("train mnist --model m --epochs 2")
    xent("predict m mnist -o a.csv")
    monkeypatch.setattr("xent.cli._training._rows._images.IMAGES_AT_ONCE", 7)
    xent("predict m mnist -o b.csv")
    a, b = (pyarrow.csv.read_csv(f"{name}.csv") for name in "ab")
    assert a.num_rows == b.num_rows == 30
    np.testing.assert_allclose(a["l_0"], b["l_0"], rtol=1e-12)
    assert a["prediction"].equals(b["prediction"]) or (a["prediction"].to_numpy() == b["prediction"].to_numpy()).all()  # fmt: skip


def test_folders_of_images(xent, tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for i in range(24):
        folder = tmp_path / "zoo" / ("cat" if i % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 60, (6, 6, 3), dtype=np.uint8) + (190 * (i % 2))
        image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    code, said, doubts = xent("train zoo --validation 0.25 --image-size 3x3 --model m --epochs 9")
    assert (code, doubts) == (0, "")
    assert "18 images of 3 x 3 x 3, 2 classes." in said
    assert xent("predict m zoo")[2].endswith("To resize them pass --image-size 3x3.\n")
    assert xent("predict m zoo --image-size 3x3")[0] == 0
    table = pyarrow.csv.read_csv("predictions.csv")
    assert table.column_names == ["file", "p_cat", "p_dog", "l_cat", "l_dog", "prediction", "label"]
    assert table["file"][0].as_py() == "cat/1.png"
    assert table["prediction"].equals(table["label"])


REFUSED = [
    ("train mnist --model m --features a", "`--features` must go with a table, got images in 'mnist'."),
    ("train mnist --model m --drop a", "`--drop` must go with a table, got images in 'mnist'."),
    ("train mnist --model m --na ?", "`--na` must go with a table, got images in 'mnist'."),
    ("train mnist --model m --target y", "`DATA` must name a file, got the folder 'mnist'."),
    ("train mnist --model m --image-size big", "`--image-size` must be columns and rows like 28x28, got 'big'."),
    ("train mnist --model m --image-size 3x3", "`--image-size` must be left out but for folders of images, got 3x3."),
    ("train d.csv --target y --model m --image-size 3x3", "`--image-size` must go with folders of images, got '3x3'."),
    ("train empty --model m", "`DATA` must hold labelled images: IDX files such as train-images-idx3-ubyte and train-labels-idx1-ubyte, x_train.npy and y_train.npy, or a folder of images for each class, got none in 'empty'."),
    ("train test --model m", "`DATA` must hold images to train on, got only those of its part 'test' in 'test'."),
    ("train broken --model m", "'broken/train-images-idx3-ubyte' cannot be read as IDX: its sizes 2 x 3 x 4 are 40 bytes, and it has 16."),
    ("train mnist --validation other --model m", "`--validation` must hold images of 4 x 3, as those trained on, got images of 2 x 2."),
    ("predict m.good d.csv", "`DATA` must hold images, as MODEL was trained on, got the table 'd.csv'."),
    ("predict m.good digits", "`DATA` must hold images, as MODEL was trained on, got the table 'digits'."),
    ("predict m.good other", "`DATA` must hold images of 4 x 3, as those trained on, got images of 2 x 2."),
    ("predict m.good none", "There is no file 'none'."),
    ("predict m.table mnist", "`DATA` must be a table, as MODEL was trained on, got images in 'mnist'."),
]  # fmt: skip


def test_one_sentence_and_nothing_written(xent, mnist, tmp_path):
    (tmp_path / "d.csv").write_text("x,y\n1,a\n2,b\n")
    for name, files in {
        "empty": {},
        "test": {p.name: p.read_bytes() for p in mnist.glob("t10k*")},
        "broken": {"train-images-idx3-ubyte": b"\0\0\x08\3" + struct.pack(">3I", 2, 3, 4), "train-labels-idx1-ubyte": idx(np.zeros(2, np.uint8))},
        "other": {"test-images-idx3-ubyte": idx(np.zeros((2, 2, 2), np.uint8)), "test-labels-idx1-ubyte": idx(np.zeros(2, np.uint8))},
    }.items():  # fmt: skip
        (tmp_path / name).mkdir()
        for file, data in files.items():
            (tmp_path / name / file).write_bytes(data)
    xent("train mnist --model m.good --epochs 1")
    xent("train d.csv --target y --model m.table --epochs 1")
    before = sorted(os.listdir(tmp_path))
    for line, sentence in REFUSED:
        code, said, error = xent(line)
        assert (code, said, error) == (2, "", sentence + "\n"), line
        assert sorted(os.listdir(tmp_path)) == before, line
