"""`xent evaluate` on the files that people have: one obvious way for each, and what is refused."""

import csv
import json
import re
from decimal import Decimal

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import typer
from typer.testing import CliRunner

from children import xent
from xent import _table
from xent.cli import _evaluate


def evaluated(folder, *args, file="p.csv"):
    """Run `xent evaluate` in this process and return its JSON."""
    app = typer.Typer()
    _evaluate.register(app)
    done = CliRunner().invoke(app, [str(folder / file), *map(str, args), "--json", "-"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.stdout)


HALVES = "a,0.5,0.5\nb,0.25,0.75\n"
BITS = (1 + np.log2(4 / 3)) / 2


@pytest.mark.parametrize(
    ("header", "args"),
    [
        ("target,p_a,p_b", []),
        ("target,prob_a,prob_b", []),
        ("target,proba_a,proba_b", []),
        ("target,a,b", ["--probs", "a,b"]),
        ("target,model_a,model_b", ["--probs", "model_a,model_b"]),
        ("target,p_0,p_1", ["--labels", "a,b"]),
        ("target,0,1", ["--probs", "0,1", "--labels", "a,b"]),
        ("truth,a,b", ["--probs", "a,b", "--target", "truth"]),
    ],
)
def test_columns_by_any_name(tmp_path, header, args):
    (tmp_path / "p.csv").write_text(f"{header}\n{HALVES}")
    report = evaluated(tmp_path, *args)
    assert report["labels"] == ["a", "b"]
    assert report["cross_entropy_bits"] == pytest.approx(BITS)


def test_what_is_missing_is_advised(tmp_path):
    (tmp_path / "p.csv").write_text(f"target,a,b\n{HALVES}")
    with pytest.raises(ValueError, match="If these are probabilities, pass --probs 'a,b'"):
        evaluated(tmp_path)
    (tmp_path / "p.csv").write_text("y,y_prob\n1,0.5\n0,0.25\n")
    with pytest.raises(ValueError, match="Name it with --target; the table has 'y' and 'y_prob'"):
        evaluated(tmp_path)
    with pytest.raises(ValueError, match="pass --probs y_prob --positive CLASS"):
        evaluated(tmp_path, "--target", "y")
    with pytest.raises(ValueError, match="two classes, pass --positive CLASS"):
        evaluated(tmp_path, "--target", "y", "--probs", "y_prob")


@pytest.mark.parametrize(("no", "yes"), [("0", "1"), ("0.0", "1.0"), ("n", "y"), ("false", "true")])
def test_one_column_of_two_classes(tmp_path, no, yes):
    (tmp_path / "p.csv").write_text(f"y,y_prob,z\n{yes},0.75,1.5\n{no},0.5,0\n{no},0.25,-1\n")
    positive = {"1.0": "1"}.get(yes, yes)
    report = evaluated(tmp_path, "--target", "y", "--probs", "y_prob", "--positive", positive)
    assert report["cross_entropy"] == pytest.approx((1 + 2 * np.log2(4 / 3)) / 3)
    assert report["labels"][1] == positive
    assert report["ranking"]["roc_auc"] == report["ranking"]["average_precision"] == 1
    best = {"threshold": 0.75, "predicted": 1 / 3, "precision": 1, "recall": 1, "f1": 1, "cost": 0}
    assert report["ranking"]["best_f1"] == best
    logits = evaluated(tmp_path, "--target", "y", "--logits", "z", "--positive", positive)
    nats = np.log1p(np.exp(-1.5)) + np.log(2) + np.log1p(np.exp(-1))
    assert logits["cross_entropy_nats"] == pytest.approx(nats / 3)


def test_numbered_columns_are_in_the_order_of_their_numbers(tmp_path):
    names = [f"class{c}" for c in range(12)]
    header = ",".join(f"p_{c}" for c in sorted(map(str, range(12))))
    sure = ["0.95" if int(c) == 10 else str(0.05 / 11) for c in sorted(map(str, range(12)))]
    for truth in ("class10", "10", "10.0"):
        (tmp_path / "p.csv").write_text(f"target,{header}\n{truth},{','.join(sure)}\n")
        report = evaluated(tmp_path, "--labels", ",".join(names))
        assert report["cross_entropy"] == pytest.approx(-np.log2(0.95))
        assert report["hardest"][0]["target"] == "class10"


@pytest.mark.parametrize("truth", ["-1", "2", "0.5"])
def test_a_number_that_is_no_place_of_a_label_is_no_class(tmp_path, truth):
    (tmp_path / "p.csv").write_text(f"target,p_0,p_1\n0,0.5,0.5\n{truth},0.5,0.5\n")
    with pytest.raises(ValueError, match=re.escape(f"{truth!r}")):
        evaluated(tmp_path, "--labels", "a,b")


def test_the_truth_of_another_file(tmp_path):
    (tmp_path / "p.csv").write_text("id,p_a,p_b\n7,0.5,0.5\n3,0.25,0.75\n")
    _table.write(tmp_path / "y.parquet", {"id": [3, 7], "target": ["b", "a"], "group": ["g", "h"]})
    args = ["--truth", tmp_path / "y.parquet", "--id", "id"]
    report = evaluated(tmp_path, *args, "--by", "group")
    assert report["cross_entropy"] == pytest.approx(BITS)
    assert [h["id"] for h in report["hardest"]] == ["7", "3"]
    assert {s["value"]: s["cross_entropy"] for s in report["slices"]} == pytest.approx(
        {"h": 1, "g": np.log2(4 / 3)}
    )
    with pytest.raises(ValueError, match="`--id` must name the column that both files share"):
        evaluated(tmp_path, *args[:2])
    for ids, target, sentence in (
        ([3, 8], ["b", "a"], "`--truth` must have every id in .*y.csv', got none for '7' .1 row."),
        ([3, 7, 8], ["b", "a", "a"], "`FILE` must have every id in .*p.csv', got none for '8'"),
        ([3, 3, 7], ["b", "a", "a"], "`--truth` must have every id of .*y.csv' once, got '3' 2 t"),
    ):
        _table.write(tmp_path / "y.csv", {"id": ids, "target": target})
        with pytest.raises(ValueError, match=sentence):
            evaluated(tmp_path, "--truth", tmp_path / "y.csv", "--id", "id")
    for table, option, name in (
        ({"id": [3, 7], "y": ["b", "a"]}, "--target", "target"),
        ({"key": [3, 7], "target": ["b", "a"]}, "--id", "id"),
    ):
        _table.write(tmp_path / "y.csv", table)
        sentence = f"`{option}` must name a column of '.*y.csv', got '{name}'. It has '"
        with pytest.raises(ValueError, match=sentence):
            evaluated(tmp_path, "--truth", tmp_path / "y.csv", "--id", "id")


def test_weights_slices_and_rows(tmp_path):
    (tmp_path / "p.csv").write_text(
        "target,p_a,p_b,w,g\na,0.5,0.5,3,x\nb,0.25,0.75,1,y\na,1,0,0,x\n"
    )
    args = ("--weights", "w", "--by", "g", "--rows", tmp_path / "rows.parquet")
    report = evaluated(tmp_path, *args)
    assert report["cross_entropy"] == pytest.approx((3 + np.log2(4 / 3)) / 4)
    rows = _table.read(tmp_path / "rows.parquet").to_pydict()
    assert rows["row"] == [0, 1]
    assert rows["bits"] == pytest.approx([1, np.log2(4 / 3)])
    assert rows["weight"] == [3, 1]
    assert (rows["target"], rows["prediction"], rows["g"]) == (["a", "b"], ["a", "b"], ["x", "y"])


def test_logarithms_and_probabilities_under_the_wrong_option(tmp_path):
    (tmp_path / "p.csv").write_text(f"target,p_a,p_b\n{HALVES}")
    with pytest.raises(ValueError, match="`--logits` must not be probabilities") as caught:
        evaluated(tmp_path, "--logits", "p_*")
    assert "Pass them as --probs; if they" in str(caught.value)
    assert "pass --allow-probabilities." in str(caught.value)
    assert evaluated(tmp_path, "--logits", "p_*", "--allow-probabilities")["cross_entropy"] < 1
    lines = [f"{t},{np.log(float(a))},{np.log(float(b))}" for t, a, b in
             (line.split(",") for line in HALVES.split())]  # fmt: skip
    (tmp_path / "l.csv").write_text("\n".join(["target,l_a,l_b", *lines]))
    found = evaluated(tmp_path, "--log-probs", "l_*", file="l.csv")
    assert found["cross_entropy"] == pytest.approx(BITS)
    with pytest.raises(ValueError, match="`--log-probs` must be of probabilities that sum to 1"):
        evaluated(tmp_path, "--log-probs", "p_*")


def test_a_stray_column_is_named(tmp_path):
    rows = "a,0.5,0.5,0.03\nb,0.25,0.75,0.9\n"
    (tmp_path / "p.csv").write_text(f"target,p_a,p_b,p_value\n{rows}")
    for more in ([], ["--normalize"]):
        with pytest.raises(ValueError, match="Leave out the column 'value': without it every row"):
            evaluated(tmp_path, *more)
    assert evaluated(tmp_path, "--drop", "p_value")["cross_entropy"] == pytest.approx(BITS)


def test_logits_of_a_trainer(tmp_path):
    logits = np.array([[2.0, 0, 1], [0, 1, 0], [5, 5, 5]], dtype=np.float32)
    np.savez(tmp_path / "out.npz", predictions=logits, label_ids=[0, 1, -100])
    args = ("--logits", "predictions_*", "--target", "label_ids", "--ignore", "-100")
    report = evaluated(tmp_path, *args, file="out.npz")
    nats = [np.log(np.exp(row - row[t]).sum()) for row, t in zip(logits, [0, 1], strict=False)]
    assert report["cross_entropy_nats"] == pytest.approx(np.mean(nats))
    assert report["rows"] == 2


def test_probabilities_in_one_column(tmp_path):
    rows = {
        "lists": [[0.5, 0.5], [0.25, 0.75]],
        "structs": [{"a": 0.5, "b": 0.5}, {"a": 0.25, "b": 0.75}],
        "pipeline": [
            [{"label": "b", "score": 0.5}, {"label": "a", "score": 0.5}],
            [{"label": "b", "score": 0.75}, {"label": "a", "score": 0.25}],
        ],
    }
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pyarrow.table({**rows, "target": ["a", "b"]}), tmp_path / "p.parquet")
    for name in rows:
        more = ["--labels", "a,b"] if name == "lists" else []
        report = evaluated(tmp_path, "--probs", name, *more, file="p.parquet")
        assert report["cross_entropy"] == pytest.approx(BITS)


def test_half_precision_sums_to_one_less_nearly(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    probs = np.random.default_rng(0).dirichlet(np.ones(30), 50).astype(np.float16)
    assert (abs(probs.astype(float).sum(1) - 1) > 1e-4).any()
    columns = {f"p_{c}": pyarrow.array(probs[:, c]) for c in range(30)}
    pq.write_table(pyarrow.table({**columns, "target": [0] * 50}), tmp_path / "p.parquet")
    assert evaluated(tmp_path, file="p.parquet")["rows"] == 50


def test_a_spreadsheet_of_predictions(tmp_path):
    text = "Wahrheit;p_größer;p_kleiner\ngrößer;0,5;0,5\nkleiner;0,25;0,75\n?;0,5;0,5\n"
    (tmp_path / "p.csv").write_bytes(text.encode("latin1"))
    said = ["--target", "Wahrheit"]
    for sentence, more in (
        ("pass --encoding latin1", ["--encoding", "latin1"]),
        ("Pass --separator ';'", ["--separator", ";"]),
        ("must hold numbers in column", ["--decimal", ","]),
        ("must be one of the labels 'größer' or 'kleiner', got '\\?'", ["--ignore", "?"]),
    ):
        with pytest.raises(ValueError, match=sentence):
            evaluated(tmp_path, *said)
        said += more
    assert evaluated(tmp_path, *said)["cross_entropy"] == pytest.approx(BITS)


def test_rows_without_a_class_can_be_left_out(tmp_path):
    """The message names the option, rows keep their places, and the number is that of the others."""
    lines = ["no,0.75,0.25", ",0.5,0.5", "yes,0.5,0.5", "yes,0.25,0.75"]
    (tmp_path / "some.csv").write_text("\n".join(["target,p_no,p_yes", *lines]))
    (tmp_path / "known.csv").write_text("\n".join(["target,p_no,p_yes", lines[0], *lines[2:]]))
    done = xent("evaluate", "some.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert "1 row without, the first at row 1. Pass --drop-missing-target" in done.stderr
    words = ["evaluate", "some.csv", "--drop-missing-target", "--rows", "rows.csv", "--json", "-"]
    done = xent(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 row without 'target' left out" in done.stderr
    found = json.loads(done.stdout)
    known = json.loads(xent("evaluate", "known.csv", "--json", "-", cwd=tmp_path).stdout)
    assert found["cross_entropy"] == known["cross_entropy"]
    assert found["rows"] == 3
    assert [row["row"] for row in found["hardest"]] == [2, 0, 3]
    with (tmp_path / "rows.csv").open() as file:
        assert [int(row["row"]) for row in csv.DictReader(file)] == [0, 2, 3]
    again = xent("evaluate", "known.csv", "--against", "rows.csv", cwd=tmp_path)
    assert again.returncode == 2, "the rows of both are not the same"
    once = xent(*words[:3], "--against", "rows.csv", cwd=tmp_path)
    assert once.returncode == 0, once.stderr
    for other in (["--workers", "2"], ["--soft", "t_*"]):
        done = xent(*words[:3], *other, cwd=tmp_path)
        assert done.returncode == 2
        assert "--drop-missing-target" in done.stderr


@pytest.mark.parametrize("large", [[], ["--workers", "1"]])
def test_types_that_databases_write(tmp_path, large):
    """Decimals of Spark, bytes of Impala, booleans for 0 and 1, categories of pandas."""
    a, b = [0.5, 0.25], [0.5, 0.75]
    exact = [pyarrow.array([Decimal(v) for v in c], pyarrow.decimal128(5, 4)) for c in (a, b)]
    for columns, right in (
        ({"target": ["a", "b"], "p_a": exact[0], "p_b": exact[1]}, BITS),
        ({"target": pyarrow.array([b"a", b"b"]), "p_a": a, "p_b": b}, BITS),
        ({"target": [False, True], "p_0": a, "p_1": b}, BITS),
        ({"target": [True, False], "p_0": a, "p_1": b}, 1.5),
        ({"target": pyarrow.array(["a", "b"]).dictionary_encode(), "p_a": a, "p_b": b}, BITS),
        ({"target": np.array([0, 1], np.uint8), "p_0": a, "p_1": b}, BITS),
        ({"target": np.array([0, 1], np.uint64), "p_0": a, "p_1": b}, BITS),
    ):
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "p.parquet")
        found = evaluated(tmp_path, *large, file="p.parquet")
        assert found["cross_entropy"] == pytest.approx(right, rel=1e-12), columns
    columns = {"target": pyarrow.array([b"a", b"\xff"]), "p_a": a, "p_b": b}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "p.parquet")
    with pytest.raises(ValueError, match="got bytes that are not UTF-8"):
        evaluated(tmp_path, *large, file="p.parquet")


@pytest.mark.parametrize(
    "lists",
    [
        ("[0.5, 0.5]", "[0.25, 0.75]"),
        ("[0.5 0.5]", "[2.5e-01 7.5e-01]"),
        ("[ .5  5.e-1]", "[.25 0.75]"),
        ("(0.5, 0.5)", "(0.25, 0.75)"),
        ('{"a": 0.5, "b": 0.5}', '{"b": 0.75, "a": 0.25}'),
        ("{'a': 0.5, 'b': 0.5}", "{'a': 0.25, 'b': 0.75}"),
        ('[{"label": "a", "score": 0.5}, {"label": "b", "score": 0.5}]',
         '[{"label": "b", "score": 0.75}, {"label": "a", "score": 0.25}]'),
    ],
)  # fmt: skip
def test_lists_that_a_csv_made_text(tmp_path, lists):
    _table.write(tmp_path / "p.csv", {"target": ["a", "b"], "scores": list(lists)})
    labels = [] if "label" in lists[0] or "{" in lists[0] else ["--labels", "a,b"]
    found = evaluated(tmp_path, "--probs", "scores", *labels)
    assert found["cross_entropy"] == pytest.approx(BITS, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[0.1 0.2 ... 0.3]", r"hold a list or dict of scores, got '\[0.1 0.2 ... 0.3\]' at row 1"),
        ("[" * 5000, "hold a list or dict of scores"),
        ("__import__('os')", "hold a list or dict of scores"),
        ('["x", "y"]', "hold lists or dicts of numbers, all of one kind|must hold numbers"),
        ("[0.5]", "have lists of one length"),
    ],
)
def test_texts_that_are_no_lists(tmp_path, text, sentence):
    _table.write(tmp_path / "p.csv", {"target": ["a", "b"], "scores": ["[0.5, 0.5]", text]})
    with pytest.raises(ValueError, match=sentence):
        evaluated(tmp_path, "--probs", "scores", "--labels", "a,b")


def test_a_probability_just_above_one_is_told_with_its_digits(tmp_path):
    (tmp_path / "p.csv").write_text("target,p\n1,1.0000001\n0,0.5\n")
    with pytest.raises(ValueError, match=r"be between 0 and 1, got 1\.0000001 at row 0"):
        evaluated(tmp_path, "--probs", "p", "--positive", "1")
