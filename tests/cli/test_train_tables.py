# ruff: noqa: F811
"""`xent train` and `predict` on tables as people have them: names, gaps, dates, `?`, NA, held-out shares."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from commands import xent  # noqa: F401
from people import adult, penguins, titanic
from xent.training import TrainedModel


def with_nulls(path):
    return pyarrow.csv.read_csv(
        path, convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    )


def test_titanic_as_it_is(xent, tmp_path):
    (tmp_path / "titanic.csv").write_text(titanic(400))
    code, said, doubts = xent("train titanic.csv --target Survived --validation 0.2 --model t.xent --drop PassengerId")  # fmt: skip
    assert code == 0, doubts
    assert "320 rows, " in said
    assert "10 columns: 5 of numbers, 2 of names; 3 with gaps" in said
    held = said.partition("held out: ")[2]
    assert float(held.split()[0]) < 0.9
    assert held.splitlines()[0].endswith("80 rows")
    assert doubts.splitlines() == [
        "DATA has in column 'Name' a name of its own in every row: it tells nothing of other rows and is left out.",
        "DATA has in column 'Ticket' a name of its own in every row: it tells nothing of other rows and is left out.",
        doubts.splitlines()[2],
    ]
    assert "in column 'Cabin' " in doubts
    assert doubts.endswith("is left out, but for where it is missing.\n")
    # What the model says of the rows it was trained on, and of others, has no gap and no row missing.
    code, said, doubts = xent("predict t.xent titanic.csv --output p.csv")
    assert (code, doubts) == (0, "")
    assert "400 predictions: p.csv" in said
    table = pyarrow.csv.read_csv("p.csv")
    assert table.column_names == ["p_0", "p_1", "l_0", "l_1", "prediction", "Survived"]
    assert np.isfinite(np.column_stack([table[f"l_{c}"] for c in "01"])).all()
    code, said, _ = xent("evaluate p.csv --target Survived --log-probs l_*")
    assert code == 0
    assert "400 rows, 2 classes" in said


@pytest.mark.parametrize(
    ("make", "target", "options"),
    [(adult, "income", ""), (adult, "income", "--na ?"), (penguins, "species", "--na NA")],
)
def test_adult_and_penguins_as_they_are(xent, tmp_path, make, target, options):
    (tmp_path / "d.csv").write_text(make(200))
    code, said, doubts = xent(f"train d.csv --target {target} --validation 0.25 --model m --epochs 5 {options}")  # fmt: skip
    assert (code, doubts) == (0, "")
    assert "150 rows, " in said
    code, said, doubts = xent(f"predict m d.csv -o p.parquet {options}")
    assert (code, doubts) == (0, "")
    assert np.isfinite(pyarrow.parquet.read_table("p.parquet")["l_" + str(TrainedModel.load("m").classifier.classes_[0])].to_numpy()).all()  # fmt: skip


def test_validation_is_a_share_or_a_file_and_the_share_is_stratified_and_seeded(xent, tmp_path):
    y = np.repeat(["a", "b", "c"], [70, 20, 10])
    pa.csv.write_csv(pa.table({"x": np.arange(100.0), "y": y}), "d.csv")
    _, first, _ = xent("train d.csv --target y --validation 0.2 --model m --epochs 2")
    assert "80 rows, " in first
    assert "20 rows" in first.partition("held out")[2]
    assert xent("train d.csv --target y --validation .2 --model m --epochs 2")[1] == first
    assert xent("train d.csv --target y --validation 0.2 --model m --epochs 2 --seed 1")[1] != first
    code, said, _ = xent("train d.csv --target y --validation d.parquet --model m --epochs 2")
    assert code == 2
    pa.parquet.write_table(pa.table({"y": y[:70], "x": np.arange(70)}), "d.parquet")
    code, said, _ = xent("train d.csv --target y --validation d.parquet --model m --epochs 2")
    assert code == 0
    assert "100 rows, " in said
    assert "70 rows" in said.partition("held out")[2]


def test_names_with_leading_zeros_stay_names(xent, tmp_path):
    """01 is a name in training and stays one in a file where every one looks like a number."""
    (tmp_path / "d.csv").write_text("zip,y\n01,a\nx2,b\n01,a\nx2,b\n01,a\n")
    (tmp_path / "new.csv").write_text("zip\n01\n1\n")
    assert xent("train d.csv --target y --model m --epochs 50")[0] == 0
    assert xent("predict m new.csv -o p.csv")[0] == 0
    found = pyarrow.csv.read_csv("p.csv")["p_a"].to_pylist()
    assert found[0] > 0.8
    assert found[0] != found[1], "1 is not 01"


def test_new_names_gaps_and_other_orders_at_prediction(xent, tmp_path):
    (tmp_path / "d.csv").write_text(penguins(60))
    xent("train d.csv --target species --na NA --model m --epochs 3")
    (tmp_path / "new.csv").write_text(
        "year,sex,body_mass_g,flipper_length_mm,bill_length_mm,island,more\n"
        "2031,unknown,,,,Atlantis,1\n,,,,,,2\n"
    )
    code, said, doubts = xent("predict m new.csv -o p.csv")
    assert (code, doubts) == (0, "")
    assert said == "2 predictions: p.csv\n"
    probs = pyarrow.csv.read_csv("p.csv")
    np.testing.assert_allclose(sum(probs[f"p_{c}"].to_numpy() for c in ("Adelie", "Chinstrap", "Gentoo")), 1)  # fmt: skip


def test_a_model_reads_the_same_from_every_kind_of_file(xent, tmp_path):
    (tmp_path / "d.csv").write_text(titanic(80))
    xent("train d.csv --target Survived --model m --epochs 3")
    pyarrow.parquet.write_table(with_nulls("d.csv"), "d.parquet")
    xent("predict m d.csv -o a.parquet")
    xent("predict m d.parquet -o b.parquet")
    assert pyarrow.parquet.read_table("a.parquet").equals(pyarrow.parquet.read_table("b.parquet"))


def test_predicting_in_batches_gives_the_same(xent, tmp_path, monkeypatch):
    (tmp_path / "d.csv").write_text(titanic(90))
    xent("train d.csv --target Survived --model m --epochs 3")
    pyarrow.parquet.write_table(with_nulls("d.csv"), "d.parquet", row_group_size=7)
    xent("predict m d.csv -o a.csv")
    xent("predict m d.parquet -o b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


GOOD = "x,who,y\n1,u,a\n2,v,b\n3,u,a\n4,v,b\n5,w,a\n"
REFUSED = [
    ("--validation 0", "`--validation` must be between 0 and 1, both excluded, got 0.0. Or name a file, such as ./test.csv."),
    ("--validation 1.5", "`--validation` must be between 0 and 1, both excluded, got 1.5. Or name a file, such as ./test.csv."),
    ("--validation nan", "`--validation` must be between 0 and 1, both excluded, got nan. Or name a file, such as ./test.csv."),
    ("--validation 0.01", "`--validation` must hold out from 1 to 3 rows, so that one of each class is left, got 0.01 of 5 rows, which is 0."),
    ("--validation 0.9", "`--validation` must hold out from 1 to 3 rows, so that one of each class is left, got 0.9 of 5 rows, which is 4."),
    ("--validation none.csv", "There is no file 'none.csv'."),
    ("--validation other.csv", "`--validation` must name a column of 'other.csv', got 'y'. It has 'x' and 'who'."),
    ("--validation empty.csv", "`--validation` must have at least one row, got none in 'empty.csv'."),
    ("--validation strange.csv", "`--validation` must hold a number in column 'x', as in fit, got a name (String), 'red'. If 'red' means a missing value, pass --na 'red'."),
    ("--validation c.csv", "`--validation` must hold only classes that `--target` holds, got 'c' at row 0."),
    ("--scale minmax", "`--scale` must be 'standard' or 'range', got 'minmax'."),
    ("--max-levels 0", "`--max-levels` must be an integer of at least 1, got 0."),
    ("--drop q", "`--drop` must name a column of 'd.csv', got 'q'. It has 'x', 'who' and 'y'."),
    ("--drop x --drop who", "`DATA` must have at least one feature, got none in 'd.csv'."),
    ("--names q", "`--names` must name a column of 'd.csv', got 'q'. It has 'x', 'who' and 'y'."),
]  # fmt: skip


@pytest.mark.parametrize(("options", "sentence"), REFUSED, ids=[r[0] for r in REFUSED])
def test_one_sentence_and_nothing_written(xent, tmp_path, options, sentence):
    (tmp_path / "d.csv").write_text(GOOD)
    (tmp_path / "other.csv").write_text("x,who\n1,u\n")
    (tmp_path / "empty.csv").write_text("x,who,y\n")
    (tmp_path / "strange.csv").write_text("x,who,y\nred,u,a\n")
    (tmp_path / "c.csv").write_text("x,who,y\n1,u,c\n")
    before = sorted(os.listdir(tmp_path))
    code, said, error = xent(f"train d.csv --target y --model m {options}")
    assert (code, said) == (2, "")
    assert error.rstrip("\n") == sentence
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(("rows", "doubted"), [(9, False), (10, True)])
def test_a_column_that_counts_the_rows_is_doubted_from_ten_on(xent, tmp_path, rows, doubted):
    """Fewer numbers may be in order by chance."""
    lines = [f"{7 + i},{i * i},{'ab'[i % 2]}" for i in range(rows)]
    (tmp_path / "d.csv").write_text("\n".join(["no,x,y", *lines]))
    code, _, doubts = xent("train d.csv --target y --model m --epochs 1")
    assert code == 0, doubts
    said = (
        "`DATA` counts its rows in column 'no', which tells nothing of other rows. Pass --drop no."
    )
    assert (said in doubts) is doubted
    assert "column 'x'" not in doubts


def test_weights_count_where_a_share_is_held_out(xent, tmp_path):
    """The rows that are left to train on keep their own weights."""
    rows = [f"{x % 4},{1 + 5 * (x % 2)},{'ab'[x % 2]}" for x in range(40)]
    (tmp_path / "d.csv").write_text("\n".join(["x,w,y", *rows]))
    means = []
    for weighing in ("--weights w", "--drop w"):
        code, _, doubts = xent(f"train d.csv --target y {weighing} --validation 0.25 --model m --epochs 1 --learning-rate 0.01")  # fmt: skip
        assert code == 0, doubts
        xent("predict m d.csv -o p.csv")
        means.append(pyarrow.csv.read_csv("p.csv")["p_b"].to_numpy().mean())
    assert means[0] > means[1] + 1e-3


def test_weights_are_a_column_and_no_feature(xent, tmp_path):
    rows = [f"{x},{1 + 5 * (y == 'b')},{y}" for x, y in zip("0123" * 5, "abab" * 5, strict=True)]
    (tmp_path / "d.csv").write_text("\n".join(["x,w,y", *rows]))
    code, said, doubts = xent("train d.csv --target y --weights w --model m --epochs 5")
    assert code == 0, doubts
    assert "1 column: 1 of numbers" in said
    once = TrainedModel.load("m").classifier.coefs_[0]
    # A row of weight 6 is six rows; the mean of p_b says so.
    xent("predict m d.csv -o p.csv")
    weighted = pyarrow.csv.read_csv("p.csv")["p_b"].to_numpy().mean()
    xent("train d.csv --target y --drop w --model m --epochs 5")
    xent("predict m d.csv -o p.csv")
    assert weighted > pyarrow.csv.read_csv("p.csv")["p_b"].to_numpy().mean() + 0.2
    assert not np.array_equal(once, TrainedModel.load("m").classifier.coefs_[0])
    assert xent("train d.csv --target y --weights q --model m")[2].startswith("`--weights` must name a column of 'd.csv', got 'q'.")  # fmt: skip
    (tmp_path / "d.csv").write_text("x,w,y\n1,-1,a\n2,1,b\n")
    assert "`--weights` must " in xent("train d.csv --target y --weights w --model m")[2]


def test_options_of_the_loss_and_the_steps_go_through(xent, tmp_path):
    (tmp_path / "d.csv").write_text(titanic(60))
    options = "--loss focal:gamma=1 --schedule CosineAnnealingLR --patience 2 --class-weight balanced --optimizer sgd:momentum=0.5"
    code, _, doubts = xent(f"train d.csv --target Survived --validation 0.3 --epochs 3 --model m {options}")  # fmt: skip
    assert code == 0, doubts
    found = TrainedModel.load("m").classifier.get_params()
    assert (found["loss"], found["patience"], found["class_weight"]) == ("focal:gamma=1", 2, "balanced")  # fmt: skip
