"""`xent evaluate` on soft truth, several labels, ordered outcomes, masks and tokens."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from xent import _table
from xent.cli import _evaluate
from xent.evaluation import (
    evaluate_dense,
    evaluate_multilabel,
    evaluate_ordered,
    evaluate_soft,
    evaluate_tokens,
)


def run(*args, code=0):
    """Run `xent evaluate` in this process."""
    app = typer.Typer()
    _evaluate.register(app)
    done = CliRunner().invoke(app, [*map(str, args)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done


def evaluated(*args):
    return json.loads(run(*args, "--json", "-").stdout)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def matrix(seed, rows=20, classes=3):
    return np.random.default_rng(seed).dirichlet(np.ones(classes), rows)


def test_soft_truth():
    t, p, weight = matrix(0), matrix(1), np.arange(20)
    columns = {f"p_{c}": p[:, i] for i, c in enumerate("abc")}
    columns |= {f"t_{c}": t[:, "abc".index(c)] for c in "cab"}
    _table.write("soft.parquet", {**columns, "w": weight})
    args = ("soft.parquet", "--soft", "t_*", "--weights", "w", "--rows", "rows.csv")
    report, expected = evaluated(*args), evaluate_soft(t, p, sample_weight=weight)
    assert report["cross_entropy"] == pytest.approx(expected.cross_entropy)
    assert report["floor"] == pytest.approx(expected.floor)
    assert report["labels"] == ["a", "b", "c"]
    rows = _table.read("rows.csv").to_pydict()
    assert rows["row"] == list(range(1, 20))
    assert np.average(rows["bits"], weights=rows["weight"]) == pytest.approx(
        report["cross_entropy"]
    )
    assert "what the model wastes" in run("soft.parquet", "--soft", "t_*").stdout
    run("soft.parquet", "--soft", "t_*", "--fail-above", 0.1, code=1)
    _table.write("bad.csv", {**columns, "t_d": t[:, 0]})
    with pytest.raises(ValueError, match="`--soft` must have the columns of the predictions, 'a'"):
        run("bad.csv", "--soft", "t_*")
    _table.write("bad.csv", {"p_a": [0.5], "p_b": [0.5], "t_a": [0.5], "t_b": [0.6]})
    with pytest.raises(ValueError, match=r"`--soft` must sum to 1 in every row, got 1.1 at"):
        run("bad.csv", "--soft", "t_*")
    with pytest.raises(ValueError, match="`--positive` must be left out where --soft is given"):
        run("soft.parquet", "--soft", "t_*", "--positive", "a")
    with pytest.raises(ValueError, match="`--soft` must be left out where --multilabel is given"):
        run("soft.parquet", "--soft", "t_*", "--multilabel")


def test_several_labels():
    p = matrix(2)
    y = (matrix(3) > 0.3).astype(float)
    y[0, 1] = -1
    columns = {f"p_{c}": p[:, i] for i, c in enumerate("abc")}
    _table.write("many.csv", {**{f"y_{c}": y[:, i] for i, c in enumerate("abc")}, **columns})
    args = ("many.csv", "--multilabel", "--target", "y_*", "--ignore", "-1")
    report, expected = evaluated(*args), evaluate_multilabel(y, p, ignore_index=-1)
    assert report["cross_entropy"] == pytest.approx(expected.cross_entropy)
    assert report["cells"] == 59
    assert [label["label"] for label in report["per_label"]] == ["a", "b", "c"]
    with pytest.raises(
        ValueError, match=r"`--target` must be 0 or 1, got -1.0 at \[0, 1\]. What says"
    ) as caught:
        run(*args[:4])
    assert str(caught.value).endswith("--ignore.")


def test_ordered_outcomes():
    p, target = matrix(4), np.random.default_rng(4).integers(0, 3, 20)
    names = np.array(["low", "mid", "high"])
    columns = {f"p_{c}": p[:, list(names).index(c)] for c in ("mid", "high", "low")}
    _table.write("grades.csv", {"target": names[target], **columns})
    args = ("grades.csv", "--ordered", "--labels", "low,mid,high")
    report, expected = evaluated(*args), evaluate_ordered(target, p)
    assert report["ordered"]["rps"] == pytest.approx(expected.rps)
    assert [t["label"] for t in report["ordered"]["thresholds"]] == ["low", "mid"]
    assert report["cross_entropy"] == pytest.approx(expected.report.cross_entropy)
    assert "ranked probability score" in run(*args).stdout
    with pytest.raises(
        ValueError, match="`--labels` must name the outcomes from the lowest to the"
    ):
        run(*args[:2])
    numbered = {f"p_{c}": p[:, c] for c in (2, 0, 1)}
    _table.write("stars.csv", {"target": target, **numbered})
    assert evaluated("stars.csv", "--ordered")["ordered"]["rps"] == pytest.approx(expected.rps)
    # 9, 10, 11: as text 10 would come first.
    _table.write("scores.csv", {"target": target + 9, **{f"p_{c + 9}": p[:, c] for c in (2, 0, 1)}})
    assert evaluated("scores.csv", "--ordered")["ordered"]["rps"] == pytest.approx(expected.rps)


def test_masks_and_sequences():
    rng = np.random.default_rng(5)
    logits, mask = rng.normal(size=(3, 4, 2, 5)), rng.integers(0, 4, (3, 2, 5))
    mask[0, 0] = 255
    np.savez("masks.npz", logits=logits, mask=mask)
    args = ("--class-axis", "1", "--logits", "logits", "--target", "mask", "--ignore", "255")
    report = evaluated("masks.npz", *args)
    expected = evaluate_dense(mask, logits=logits, class_axis=1, ignore_index=255)
    assert (report["rows"], report["high"]) == (25, expected.high)
    np.savez("tags.npz", predictions=np.moveaxis(logits, 1, -1)[:, 0], label_ids=mask[:, 0])
    tags = ("--class-axis", "-1", "--logits", "predictions", "--target", "label_ids")
    assert evaluated("tags.npz", *tags, "--ignore", "255")["rows"] == 10
    with pytest.raises(ValueError, match=r"`--logits` must name a column of 'masks.npz', got 'lo"):
        run("masks.npz", "--class-axis", "1", "--logits", "logit", "--target", "mask")
    with pytest.raises(
        ValueError, match="`--target` must be from 0 to 3, the class numbers, got 255"
    ):
        run("masks.npz", *args[:6])


TEXTS, LOGS = ["a small cat", "naïve", "x"], [[-1.0, -2.5, -0.25], [-3.0, -0.5], [-2.0]]


def documents(name, **columns):
    rows = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    with open(name, "w") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def test_windows_of_documents():
    rows = [
        {"id": 1, "text": "a small cat", "logs": [-1.0, -2.0, -3.0, -4.0]},
        {"id": 1, "text": None, "logs": [None, -9.0, -5.0]},
        {"id": 2, "text": "mat", "logs": [-0.5]},
    ]
    Path("windows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    args = ("windows.jsonl", "--tokens", "logs", "--id", "id", "--text", "text", "--base", "e")
    report = evaluated(*args, "--stride", "2")
    assert (report["tokens"], report["context"], report["documents"]) == (6, 2, 2)
    assert report["cost"] == 15.5
    with pytest.raises(ValueError, match="`--id` must name the column that says which text"):
        evaluated("windows.jsonl", "--tokens", "logs", "--stride", "2")
    with pytest.raises(ValueError, match="`--stride` must be at most the tokens of each window"):
        evaluated(*args, "--stride", "5")
    rows[1]["text"] = "another"
    Path("windows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=r"`--text` must be the whole text .* 1 at row 1"):
        evaluated(*args, "--stride", "2")


def test_tokens_of_documents():
    documents("lm.jsonl", id=[7, 8, 9], text=TEXTS, logprobs=LOGS)
    args = ("lm.jsonl", "--tokens", "logprobs", "--text", "text", "--id", "id")
    report, expected = evaluated(*args), evaluate_tokens(LOGS, texts=TEXTS)
    assert report["bits_per_byte"] == pytest.approx(expected.per("byte"))
    assert report["units"][3]["high"] == pytest.approx(expected.units[3].high)
    assert report["hardest"][0]["id"] in ("9", 9)
    run(*args, "--rows", "rows.parquet", "--fail-above", 5)
    run(*args, "--fail-above", 0.5, code=1)
    rows = _table.read("rows.parquet").to_pydict()
    assert rows["bytes"] == [11, 6, 1]
    assert rows["bits_per_byte"][2] == pytest.approx(2 / math.log(2))
    served = [[None, *row[1:]] for row in LOGS]
    documents("served.jsonl", logprobs=served, ok=[[1, 1, 0], [1, 1], [1]])
    left = evaluated("served.jsonl", "--tokens", "logprobs", "--first", "left_out", "--mask", "ok")
    assert (left["tokens"], left["unscored"], left["padded"]) == (2, 3, 1)
    assert left["bits_per_token"] == pytest.approx(3.0 / 2 / math.log(2))
    ten = evaluated("lm.jsonl", "--tokens", "logprobs", "--log-base", "10")
    assert ten["bits_per_token"] == pytest.approx(report["bits_per_token"] * math.log(10))
    documents("bad.jsonl", logprobs=[[-1.0], [0.5]], text=["a", "b"])
    for bad, sentence in (
        (
            ("bad.jsonl", "--tokens", "logprobs"),
            "`--tokens` must be at most 0.*token 0 of document 1",
        ),
        (
            ("bad.jsonl", "--tokens", "text"),
            "`--tokens` must name a column of lists of numbers, got",
        ),
        (("bad.jsonl", "--tokens", "logprob"), "Did you mean 'logprobs'?"),
        (
            ("bad.jsonl", "--text", "text"),
            "`--text` must go with --tokens or --harness, got 'text'",
        ),
        (("lm.jsonl", "--tokens", "logprobs", "--first", "bos"), "`--first` must be 'after_start'"),
        (
            ("lm.jsonl", "--tokens", "logprobs", "--target", "id"),
            "`--target` must be left out where",
        ),
        (("lm.jsonl", "--tokens", "logprobs", "--log-base", "1"), "`--log-base` must be above 1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            run(*bad)


def test_samples_of_the_harness():
    pairs = [[-10.0, 11], [-20.0, 6], [-3.0, 1]]
    documents("s.jsonl", doc_id=[0, 1, 2], doc=[{"page": t} for t in TEXTS], byte_perplexity=pairs)
    report = evaluated("s.jsonl", "--harness", "--text", "doc.page")
    assert report["bits_per_byte"] == pytest.approx(33 / 18 / math.log(2))
    assert report["bits_per_word"] == pytest.approx(33 / 5 / math.log(2))
    with pytest.raises(
        ValueError, match=r"`--text` must name a text on line 1 of 's.jsonl', got 'doc.tex"
    ):
        run("s.jsonl", "--harness", "--text", "doc.text")
