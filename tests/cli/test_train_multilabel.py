# ruff: noqa: F811
"""`xent train --multilabel`, `predict` and `evaluate`: labels in columns, in one column, in lists."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from sklearn.metrics import log_loss

from commands import xent  # noqa: F401

RNG = np.random.default_rng(5)
ROWS = 120
SIZE = RNG.normal(size=ROWS).round(3)
KIND = np.array(["u", "v", "w"])[RNG.integers(0, 3, ROWS)]
THERE = np.column_stack(
    [SIZE + 0.5 * RNG.normal(size=ROWS) > 0, KIND == "u", SIZE + (KIND == "v") > 1]
)
LABELS = ["funny", "sad", "très long"]
OPTIONS = "--epochs 8 --seed 3 --validation 0.25 --model m.xent"


def listed(sign):
    return [sign.join(np.array(LABELS)[row]) for row in THERE]


def columns(folder):
    """0/1 integers, booleans and whole floats, as people have them."""
    table = {"id": np.arange(ROWS) * 7, "size": SIZE, "kind": KIND}
    table["y_funny"] = THERE[:, 0].astype(int)
    table["y_sad"] = THERE[:, 1]
    table["y_très long"] = THERE[:, 2].astype(float)
    pyarrow.csv.write_csv(pa.table(table), folder / "d.csv")
    return "d.csv --target y_*"


def text(folder):
    spaced = [f" {s} ;" if i % 3 else s for i, s in enumerate(listed(" ; "))]
    pyarrow.csv.write_csv(
        pa.table({"tags": spaced, "id": np.arange(ROWS) * 7, "size": SIZE, "kind": KIND}),
        folder / "d.csv",
    )
    return "d.csv --target tags --label-separator ;"


def lists(folder):
    tags = [list(np.array(LABELS)[row]) for row in THERE]
    lines = zip(tags, SIZE.tolist(), KIND.tolist(), strict=True)
    (folder / "d.jsonl").write_text(
        "".join(
            json.dumps({"id": 7 * i, "size": s, "kind": k, "tags": t}) + "\n"
            for i, (t, s, k) in enumerate(lines)
        )
    )
    return "d.jsonl --target tags"


@pytest.mark.parametrize("make", [columns, text, lists])
def test_labels_however_they_are_written(xent, tmp_path, make):
    source = make(tmp_path)
    code, said, doubts = xent(f"train {source} --multilabel --id id {OPTIONS}")
    assert (code, doubts) == (0, "")
    assert f"90 rows, 4 features, 3 labels of {source.split()[2]!r}" in said
    assert "binary_cross_entropy after 8 epochs: " in said
    bits = float(re.search(r"held out: ([\d.]+) bits a label, accuracy [\d.]+ %, 30 rows", said)[1])
    assert bits == pytest.approx(0.6492, abs=2e-4)  # the same by every way of writing
    file = source.split()[0]
    code, said, doubts = xent(f"predict m.xent {file} --id id -o p.csv")
    assert (code, doubts) == (0, "")
    assert "Evaluate them: xent evaluate p.csv --multilabel --target 'y_*' --logits 'z_*'" in said
    table = pyarrow.csv.read_csv("p.csv")
    names = [f"{kind}_{label}" for kind in "pzy" for label in LABELS]
    assert table.column_names == ["id", *names[:6], "prediction", *names[6:]]
    truth = np.column_stack([table[f"y_{label}"] for label in LABELS])
    np.testing.assert_array_equal(truth, THERE)
    p, z = (np.column_stack([table[f"{kind}_{label}"] for label in LABELS]) for kind in "pz")
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-z)), rtol=1e-12)
    said = [tuple(filter(None, row.split(";"))) for row in table["prediction"].to_pylist()]
    assert said == [tuple(np.array(LABELS)[row]) for row in p >= 0.5]
    code, said, _ = xent("evaluate p.csv --multilabel --target y_* --logits z_* --json e.json")
    assert code == 0
    costs = np.logaddexp(0, np.where(THERE, -z, z)) / np.log(2)
    report = json.loads((tmp_path / "e.json").read_text())
    assert report["cross_entropy"] == pytest.approx(costs.mean(), rel=1e-9)


def test_held_out_files_and_rows_without_the_truth(xent, tmp_path):
    text(tmp_path)
    rows = (tmp_path / "d.csv").read_text().splitlines()
    (tmp_path / "train.csv").write_text("\n".join(rows[:90]))
    (tmp_path / "test.csv").write_text("\n".join([rows[0], *rows[90:]]))
    start = "train train.csv --multilabel --target tags --label-separator ; --drop id -o m"
    code, said, _ = xent(f"{start} --validation test.csv")
    assert code == 0
    assert re.search(r"held out: .* bits a label, .* 31 rows", said)
    assert re.search(r"\d rows without any label", said)
    (tmp_path / "new.csv").write_text("size,kind\n0.5,u\n-2,q\n")
    code, said, _ = xent("predict m new.csv -o p.csv")
    assert (code, "Evaluate" in said) == (0, False)
    assert not [n for n in pyarrow.csv.read_csv("p.csv").column_names if n.startswith("y_")]
    (tmp_path / "test.csv").write_text("tags,id,size,kind\nfunny;odd,3,1,u\n")
    code, _, said = xent(f"{start} --validation test.csv")
    assert (code, said) == (2, "`--validation` must hold no other labels than those trained on in 'tags', got 'odd' at row 0.\n")  # fmt: skip
    code, _, said = xent("predict m test.csv")
    assert (code, said) == (2, "`DATA` must hold no other labels than those trained on in 'tags', got 'odd' at row 0.\n")  # fmt: skip


WORDING = [
    ("--target tags", "`--label-separator` must say what stands between the labels in 'tags', such as ';', got none; the first row has 'a;b'."),
    ("--target y_* --label-separator ;", "`--label-separator` must go with one column of labels, got columns 'y_a' and 'y_b' of 1 and 0."),
    ("--target n,y_a", "`--target` must hold 1 where a label is there and 0 where not in column 'n', got 2 at row 1."),
    ("", "`--target` must name the labels with --multilabel, got none."),
    ("--target y_* --class-weight balanced", "`--class-weight` must be left out with --multilabel, got 'balanced'. To count what is there more, use --loss binary_cross_entropy:pos_weight=5."),
    ("--target y_* --loss nll", "`--loss` must be 'binary_cross_entropy', 'mse_sigmoid' or 'binary_focal', got 'nll'."),
    ("--target gap,y_a", "`--target` must have no missing values in column 'gap', got 1 row without, the first at row 1. Nothing can be learned from them: pass --drop-missing-target to leave them out."),
]  # fmt: skip


@pytest.mark.parametrize(("options", "sentence"), WORDING)
def test_wording(xent, tmp_path, options, sentence):
    (tmp_path / "d.csv").write_text("x,tags,y_a,y_b,n,gap\n1.5,a;b,1,1,0,1\n2.5,b,0,1,2,\n3,,0,0,1,0\n")  # fmt: skip
    code, _, said = xent(f"train d.csv --multilabel -o m {options}")
    assert (code, said.strip()) == (2, sentence)


def test_a_separator_goes_with_several_labels(xent, tmp_path):
    (tmp_path / "d.csv").write_text("x,y\n1,a\n2,b\n")
    code, _, said = xent("train d.csv --target y --label-separator ; -o m")
    assert (code, said) == (2, "`--label-separator` must go with --multilabel, got ';'.\n")


def test_predictions_out_of_fold(xent, tmp_path):
    source = columns(tmp_path)
    code, said, doubts = xent(f"train {source} --multilabel --id id --folds 4 --epochs 5 -o m.xent")
    assert (code, doubts) == (0, "")
    bits = re.search(r"4 folds: ([\d.]+) bits a label out of fold, accuracy ([\d.]+) %", said)
    command = "xent evaluate out_of_fold.csv --multilabel --target 'y_*' --logits 'z_*'"
    assert f"Evaluate them: {command}" in said
    table = pyarrow.csv.read_csv("out_of_fold.csv")
    np.testing.assert_array_equal(table["id"], np.arange(ROWS) * 7)
    truth, z = (np.column_stack([table[f"{kind}_{n}"] for n in LABELS]) for kind in "yz")
    np.testing.assert_array_equal(truth, THERE)
    p = 1 / (1 + np.exp(-z))
    nats = np.mean([log_loss(THERE[:, j], p[:, j]) for j in range(3)])
    assert nats / np.log(2) == pytest.approx(float(bits[1]), abs=6e-5)
    assert 100 * np.mean((z >= 0) == THERE) == pytest.approx(float(bits[2]), abs=0.06)
    fold = table["fold"].to_numpy()
    assert np.bincount(fold).tolist() == [30, 30, 30, 30]
    for j in range(3):  # each label is spread evenly
        there = np.bincount(fold[THERE[:, j]], minlength=4)
        assert there.max() - there.min() <= 1
    # A fold's rows are predicted by a model of the others.
    plain = pyarrow.csv.read_csv(tmp_path / "d.csv")
    pyarrow.csv.write_csv(plain.filter(pa.array(fold != 2)), tmp_path / "others.csv")
    assert xent("train others.csv --target y_* --multilabel --id id --epochs 5 -o o.xent")[0] == 0
    assert xent("predict o.xent d.csv -o o.csv")[0] == 0
    theirs = pyarrow.csv.read_csv("o.csv")["z_sad"].to_numpy()
    np.testing.assert_allclose(z[fold == 2, 1], theirs[fold == 2], rtol=1e-6)
    code, said, _ = xent(command.removeprefix("xent ").replace("'", ""))
    assert (code, bits[1][:4] in said) == (0, True)


def test_a_label_of_one_row_is_learned_by_no_fold(xent, tmp_path):
    (tmp_path / "d.csv").write_text("x,y_a,y_b\n" + "1,0,1\n2,1,1\n3,0,0\n4,0,1\n" * 1)
    code, _, error = xent("train d.csv --target y_* --multilabel --folds 2 -o m.xent")
    assert (code, error) == (2, "`--folds` must leave every label a row to learn from, got 1 row of 'a'.\n")  # fmt: skip
