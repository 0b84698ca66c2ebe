# ruff: noqa: F811
"""`xent train --buffer`: Parquet by row groups, images mapped; what is said, and what is refused."""

import struct

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from commands import xent  # noqa: F401
from xent.training import TrainedModel

RNG = np.random.default_rng(1)
SIZE = RNG.normal(size=300)
KIND = np.array(["u", "v", "w"])[RNG.integers(0, 3, 300)]
Y = np.where(SIZE + (KIND == "u") + 0.3 * RNG.normal(size=300) > 0.3, "big", "small")


def write(folder):
    table = {"id": np.arange(300), "size": SIZE, "kind": KIND, "w": RNG.random(300), "y": Y}
    table["code"] = RNG.integers(0, 3, 300)
    pq.write_table(pa.table(table), folder / "d.parquet", row_group_size=40)
    pq.write_table(pa.table(table).slice(0, 50), folder / "test.parquet")


def test_parquet_by_row_groups(xent, tmp_path):
    write(tmp_path)
    start = "train d.parquet --target y --id id --weights w --names code --validation test.parquet"
    code, said, doubts = xent(f"{start} --buffer 100 --model m --epochs 20")
    assert (code, doubts) == (0, "")
    assert said.splitlines()[0] == "300 rows, 7 features, 2 classes of 'y'."
    assert (
        "8 row groups, shuffled, and rows within 100 at once; encoding learned from 80 rows" in said
    )
    bits = float(said.partition("held out: ")[2].split()[0])
    assert bits < 0.6
    code, said, _ = xent("predict m test.parquet -o p.csv")
    assert code == 0
    table = pyarrow.csv.read_csv("p.csv")
    truth = np.array(table["y"].to_pylist())
    logs = np.column_stack([table[f"l_{c}"] for c in ("big", "small")])
    assert -logs[np.arange(50), (truth == "small").astype(int)].mean() / np.log(2) == pytest.approx(bits, abs=6e-5)  # fmt: skip
    # What fits the buffer whole has the encoding of the whole table.
    code, said, _ = xent(f"{start} --buffer 300 --model whole --epochs 1")
    assert "encoding learned from 300 rows" in said
    xent(f"{start} --model memory --epochs 1")
    whole, memory = (TrainedModel.load(tmp_path / name).encoder.to_dict() for name in ("whole", "memory"))  # fmt: skip
    assert whole == memory


def test_images_are_scaled_as_they_are_read(xent, tmp_path):
    labels = np.arange(60, dtype=np.uint8) % 2
    pixels = RNG.integers(0, 128, (60, 4, 4), dtype=np.uint8) + 127 * labels[:, None, None]
    for name, array in (("images-idx3", pixels), ("labels-idx1", labels)):
        head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (tmp_path / f"train-{name}-ubyte").write_bytes(head + array.tobytes())
    code, said, _ = xent("train . --buffer 16 --model m.xent --epochs 30")
    assert code == 0
    assert "1 block, shuffled, and rows within 16 at once\n" in said
    code, said, _ = xent("predict m.xent . -o p.csv")
    assert code == 0
    table = pyarrow.csv.read_csv("p.csv")
    assert table["prediction"].to_pylist() == labels.tolist()


WORDING = [
    ("train d.csv --target y --buffer 5", "`--buffer` must go with a Parquet file or images, which are read in pieces, got 'd.csv'. Write the table as Parquet first."),
    ("train d.parquet --target y --buffer 0", "`--buffer` must be an integer of at least 1, got 0."),
    ("train d.parquet --target y --buffer 5 --validation 0.2", "`--validation` must name a file with --buffer, got 0.2."),
    ("train d.parquet --target y --buffer 5 --folds 3", "`--folds` must be left out with --buffer, got 3."),
    ("train d.parquet --target z --buffer 5", "`--target` must name a column of 'd.parquet', got 'z'. It has 'id', 'size', 'kind', 'w', 'y' and 'code'."),
    ("train no.parquet --target y --buffer 5", "There is no file 'no.parquet'."),
    ("train d.parquet --buffer 5", "`--target` must name the column of classes of 'd.parquet', got none."),
]  # fmt: skip


@pytest.mark.parametrize(("command", "sentence"), WORDING)
def test_wording(xent, tmp_path, command, sentence):
    write(tmp_path)
    (tmp_path / "d.csv").write_text("x,y\n1,a\n2,b\n")
    code, _, said = xent(f"{command} -o m")
    assert (code, said.strip()) == (2, sentence)
