"""Files that mean what is right and write it otherwise: read as meant, or refused with a way out.

Costs are computed by hand from the few probabilities in each file.
"""

import json
from math import isclose, log2

import numpy as np
import pytest

from children import xent

ROWS = "p_a,p_b,target\n.7,.3,a\n.2,.8,b\n"
COST = -(log2(0.7) + log2(0.8)) / 2
ARRAY = np.array([[0.7, 0.3], [0.2, 0.8]])


def cost_of(folder, *args, rows=None, name="a.csv"):
    """Return what `xent evaluate` finds, and its doubts."""
    if rows is not None:
        (folder / name).write_text(rows)
    ended = xent("evaluate", name, *args, "--json", "-", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)["cross_entropy_bits"], ended.stderr


def refusal(folder, *args, rows=None, name="a.csv", command="evaluate"):
    if rows is not None:
        (folder / name).write_text(rows)
    ended = xent(command, name, *args, cwd=folder)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        (ROWS.replace("p_a", " p_a").replace("p_b", " p_b"), ["--probs", " p_a, p_b"]),
        (ROWS.replace("p_b", " p_b"), ["--probs", "p_a, p_b", "--labels", "a,b"]),
        ('p_a,p_b,target\n"0,7","0,3",a\n"0,2","0,8",b\n', ["--decimal", ","]),
    ],
)
def test_read_as_meant(tmp_path, rows, options):
    found, doubts = cost_of(tmp_path, *options, rows=rows)
    assert isclose(found, COST, rel_tol=1e-14)
    assert not doubts


def test_arrays_of_one_column(tmp_path):
    np.savez(tmp_path / "a.npz", predictions=ARRAY, label_ids=[[0], [1]])
    np.save(tmp_path / "p.npy", ARRAY)
    np.save(tmp_path / "y.npy", [[0], [1]])
    for name, args in (
        ("a.npz", ["--probs", "predictions_*", "--target", "label_ids"]),
        ("p.npy", ["--truth", "y.npy"]),
    ):
        assert isclose(cost_of(tmp_path, *args, name=name)[0], COST, rel_tol=1e-14)
    np.save(tmp_path / "y.npy", [[0, 1], [1, 0]])
    assert "of one dimension, got the shape (2, 2)" in refusal(
        tmp_path, "--truth", "y.npy", name="p.npy"
    )


NAMED = "p_cat,p_dog,p_fox,target\n.7,.2,.1,{}\n.1,.8,.1,{}\n"
ZERO = "`--labels` lets 0 stand for 'cat', and no row of the truth is 0. If its numbers begin at 1"


@pytest.mark.parametrize("options", [[], ["--ordered"], ["--checkpoint", "c.xent"]])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_numbers_from_one_are_doubted(tmp_path, options, name):
    """The last of three classes does not occur: 1 and 2 may be the first two, or the last two."""
    import pyarrow
    import pyarrow.parquet

    def written(*truth):
        table = pyarrow.table(
            {"p_cat": [0.7, 0.1], "p_dog": [0.2, 0.8], "p_fox": [0.1, 0.1], "target": truth}
        )
        if name == "a.parquet":
            pyarrow.parquet.write_table(table, tmp_path / name)
        elif name == "a.csv":
            (tmp_path / name).write_text(NAMED.format(*truth))
        else:
            lines = map(json.dumps, table.to_pylist())
            (tmp_path / name).write_text("\n".join(lines) + "\n")

    for truth, cost, doubted in (
        ((1, 2), -(log2(0.2) + log2(0.1)) / 2, True),
        ((0, 1), -(log2(0.7) + log2(0.8)) / 2, False),
        (("cat", "dog"), -(log2(0.7) + log2(0.8)) / 2, False),
        (("dog", "fox"), -(log2(0.2) + log2(0.1)) / 2, False),
    ):
        (tmp_path / "c.xent").unlink(missing_ok=True)
        written(*truth)
        found, doubts = cost_of(tmp_path, "--labels", "cat,dog,fox", *options, name=name)
        assert isclose(found, cost, rel_tol=1e-14)
        assert (ZERO in doubts) is doubted


def test_numbers_from_one_are_doubted_beside(tmp_path):
    (tmp_path / "a.csv").write_text(NAMED.format(1, 2))
    (tmp_path / "numbered.csv").write_text(
        NAMED.format(1, 2).replace("cat", "1").replace("dog", "2").replace("fox", "3")
    )
    labels = ["--labels", "cat,dog,fox"]
    for args in (
        ["compare", "a.csv", "a.csv"],
        ["calibrate", "a.csv", "--target", "target", "--model", "m.xent"],
    ):
        assert ZERO in xent(*args, *labels, cwd=tmp_path).stderr
    # Columns that have numbers say what 1 stands for.
    found, doubts = cost_of(tmp_path, *labels, name="numbered.csv")
    assert isclose(found, COST, rel_tol=1e-14)
    assert not doubts
    np.save(tmp_path / "p.npy", [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])


@pytest.mark.parametrize(
    ("truth", "sentence"),
    [
        ("a ", "'a ' differs from 'a' in blanks alone. Write both alike."),
        ("A", "'A' differs from 'a' in capital letters alone."),
        ("cafe\u0301", "in how accents are encoded (NFC or NFD)."),
        (" A", "in blanks, capital letters and encoded accents alone."),
        ("1", "With --labels numbers stand for classes, 0 for the first."),
        ("nan", "If it means a missing class, pass --na nan and --drop-missing-target."),
        ("c", "got 'c' at row 0.\n"),
    ],
)
def test_classes_that_look_alike(tmp_path, truth, sentence):
    rows = (
        ROWS.replace("p_b", "p_caf\u00e9")
        .replace("8,b", "8,caf\u00e9")
        .replace("3,a", f"3,{truth}")
    )
    for options in ([], ["--drop-missing-target"]):  # piece by piece, and at once
        assert sentence in refusal(tmp_path, *options, rows=rows)


def test_a_missing_class_as_advised(tmp_path):
    rows = ROWS + ".5,.5,nan\n"
    found, _ = cost_of(tmp_path, "--na", "nan", "--drop-missing-target", rows=rows)
    assert isclose(found, COST, rel_tol=1e-14)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        ("70 %", "Take the sign % away."),
        ("'.7'", "Take the marks away."),
        ("\u0660.\u0667", "Write them with 0 to 9."),
        ("\u22120.7", "Make it -."),
        ('"1,000"', "pass --decimal ,. If they part thousands, take them away."),
        ('"0,700"', "pass --decimal ,.\n"),
        ("high", "got 'high' at row 0.\n"),
    ],
)
def test_numbers_written_otherwise(tmp_path, number, sentence):
    rows = ROWS.replace(".7", number)
    assert sentence in refusal(tmp_path, rows=rows)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (ROWS + ".5,.5\n", "Give the line all its fields, or take it away if it is no row"),
        (ROWS + "(2 rows affected)\n", "or take it away if it is no row of the table."),
        (ROWS.replace(",a", ",a,").replace(",b\n", ",b,\n"), "End no line with ',', or every line"),
        (ROWS + ".5,.5,a,b\n", "Put a field that holds ',' in quotation marks"),
        ("# of May\n" + ROWS, "If the first line is not the one that names the columns, take it"),
    ],
)
def test_ragged_lines(tmp_path, rows, sentence):
    assert sentence in refusal(tmp_path, rows=rows)


def test_ids_written_otherwise(tmp_path):
    rows = "id," + ROWS.replace("\n.7", "\n1,.7").replace("\n.2", "\n2,.2")
    for ids, sentence in (
        (("1.0", "2.0"), "'1' differs from '1.0' in how a number is written."),
        (("1 ", "2 "), "'1' differs from '1 ' in blanks alone."),
        (("x", "y"), "It has 'x' and 'y' instead.\n"),
    ):
        (tmp_path / "t.csv").write_text("id,target\n{},a\n{},b\n".format(*ids))
        assert sentence in refusal(tmp_path, "--truth", "t.csv", "--id", "id", rows=rows)
    dated = rows.replace("\n1,", "\n2024-01-01,").replace("\n2,", "\n2024-01-02,")
    (tmp_path / "t.csv").write_text("id,target\n01/01/2024,a\n02/01/2024,b\n")
    told = refusal(tmp_path, "--truth", "t.csv", "--id", "id", rows=dated)
    assert "Write dates alike in both files, as 2026-11-30." in told


def test_points_where_commas_are_decimals(tmp_path):
    """Numbers that become names change every figure, and nothing else would say so."""
    (tmp_path / "a.csv").write_text("x;y\n1.5;a\n2.5;b\n" * 3)
    (tmp_path / "b.csv").write_text("x;y\n1,5;a\n2,5;b\n" * 3)
    for name, doubted in (("a.csv", True), ("b.csv", False)):
        args = ("--target", "y", "--separator", ";", "--decimal", ",")
        ended = xent("rank", name, *args, cwd=tmp_path)
        said = "has points in the numbers of 'x', such as '1.5'. They are read as names: leave out"
        assert ended.returncode == 0
        assert (said in ended.stderr) is doubted


def test_other_kinds(tmp_path):
    label = "Each label is a column of 0 and 1."
    for cell in ("yes", ""):
        rows = f"y_a,y_b,p_a,p_b\n1,{cell},.5,.5\n0,1,.5,.5\n"
        assert label in refusal(tmp_path, "--multilabel", "--target", "y_*", rows=rows)
    votes = "t_a,t_b,p_a,p_b\n3,1,.5,.5\n"
    assert "divide each row by its sum" in refusal(tmp_path, "--soft", "t_*", rows=votes)
    line = '{"text": "", "lp": [-1.0]}\n{"text": "xy", "lp": [-0.5, -2.0]}\n'
    (tmp_path / "a.jsonl").write_text(line)
    ended = xent(
        "evaluate", "a.jsonl", "--tokens", "lp", "--text", "text", "--json", "-", cwd=tmp_path
    )
    assert isclose(json.loads(ended.stdout)["bits_per_byte"], 3.5 / np.log(2) / 2, rel_tol=1e-14)
    (tmp_path / "a.csv").write_text('text,lp\nxy,"[-1.0, -2.5]"\n')
    ended = xent(
        "evaluate", "a.csv", "--tokens", "lp", "--text", "text", "--json", "-", cwd=tmp_path
    )
    assert isclose(json.loads(ended.stdout)["bits_per_byte"], 3.5 / np.log(2) / 2, rel_tol=1e-14)
    told = refusal(tmp_path, "--tokens", "lp", rows='{"lp": [-1.0, null]}\n', name="a.jsonl")
    assert "Padding is left out by --mask." in told
    told = refusal(tmp_path, "--tokens", "lp", rows='[{"lp": [-1.0]}]', name="a.jsonl")
    assert "it is a list, and not an object a line. Write one object a line" in told


def test_a_seed_below_zero(tmp_path):
    rows = "look,play\nsun,no\nrain,yes\n"
    told = refusal(
        tmp_path, "--target", "play", "--permutations", 9, "--seed", -1, rows=rows, command="rank"
    )
    assert told == "`--seed` must be at least 0 for permutations, got -1.\n"


def test_targets_that_are_no_numbers_yet(tmp_path):
    for cell, sentence in (('"1,5"', "pass --decimal ,."), ("10%", "Take the sign % away.")):
        rows = f"x,y\n1,{cell}\n2,{cell}\n"
        told = refusal(tmp_path, "--target", "y", "--target-bins", 2, rows=rows, command="rank")
        assert sentence in told
