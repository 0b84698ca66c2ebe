"""The commands end to end on real digits, and one sentence with exit code 2 for what is wrong."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.csv
import pytest
import typer

from browser import needs_browser, visit
from children import xent
from xent import _check, _table, cli
from xent.training import TrainedModel
from xent.training._objectives import OBJECTIVES


@pytest.fixture(scope="module")
def corridor(tmp_path_factory):
    """Train, predict and evaluate once; the tests look at what came out."""
    folder = tmp_path_factory.mktemp("corridor")
    done = {}
    done["train"] = xent(
        "train", "digits-train", "--loss", "cross_entropy", "--validation", "digits-test",
        "--model", "digits.xent", cwd=folder,
    )  # fmt: skip
    done["predict"] = xent("predict", "digits.xent", "digits-test", cwd=folder)
    done["evaluate"] = xent(
        "evaluate", "predictions.csv", "--target", "digit", "--html", "report.html", cwd=folder
    )
    for step, result in done.items():
        assert result.returncode == 0, (step, result.stderr)
        said = [x for x in result.stderr.splitlines() if not x.startswith("First use of xent.")]
        assert said == [], "progress belongs on a terminal only"
    return folder, done


def test_train_says_what_it_did(corridor):
    _, done = corridor
    text = done["train"].stdout
    assert "1,437 rows, 61 features, 10 classes of 'digit'." in text
    assert "cross_entropy after 10 epochs: 0." in text
    assert " nats a row\n" in text
    assert "held out: " in text
    assert "64 columns: 61 of numbers\n" in text
    assert "left out, the same in every row: 'pixel_0', 'pixel_32' and 'pixel_39'" in text
    assert "Model: digits.xent" in text


def test_predictions_are_probabilities(corridor):
    folder, done = corridor
    table = pyarrow.csv.read_csv(folder / "predictions.csv")
    scores = [f"{kind}_{c}" for kind in "pl" for c in range(10)]
    assert table.column_names == [*scores, "prediction", "digit"]
    logs = _table.numbers(table, scores[10:])
    probs = _table.numbers(table, [f"p_{c}" for c in range(10)])
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(np.log(probs), logs, rtol=1e-12, atol=1e-12)
    assert (table["prediction"].to_numpy() == probs.argmax(axis=1)).all()
    assert "xent evaluate predictions.csv --target digit" in done["predict"].stdout


def test_evaluate_reports_in_bits(corridor):
    _, done = corridor
    assert "bits a row" in done["evaluate"].stdout
    assert "where the bits go" in done["evaluate"].stdout
    held_out = done["train"].stdout.partition("held out: ")[2].split()[0]
    assert f"cross-entropy     {held_out} bits" in done["evaluate"].stdout


def test_json_alone_on_stdout(corridor):
    folder, _ = corridor
    args = ("evaluate", "predictions.csv", "--target", "digit", "--json")
    report = json.loads(xent(*args, "-", cwd=folder).stdout)
    assert report["rows"] == 360
    assert report["labels"] == [str(c) for c in range(10)]
    assert xent(*args, "out.json", cwd=folder).returncode == 0
    assert json.loads((folder / "out.json").read_text()) == report


@needs_browser
def test_the_page_of_evaluate_opens(corridor):
    folder, _ = corridor
    found, requests, errors = visit(
        folder / "report.html",
        lambda page: page.wait_for_function(
            "(c => c.length > 1 && c.every(one => one.querySelector('svg')))"
            "([...document.querySelectorAll('.chart')])"
        ),
    )
    assert found
    assert (requests, errors) == ([], [])


@pytest.mark.parametrize("ending", [".parquet", ".npz", ".jsonl", ".tsv"])
def test_other_formats_carry_the_same_numbers(corridor, ending):
    folder, done = corridor
    output = f"other{ending}"
    result = xent("predict", "digits.xent", "digits-test", "--output", output, cwd=folder)
    assert result.returncode == 0, result.stderr
    again = xent("evaluate", output, "--target", "digit", cwd=folder).stdout
    assert again.splitlines()[:8] == done["evaluate"].stdout.splitlines()[:8]


def test_named_classes_and_other_columns(tmp_path):
    (tmp_path / "p.csv").write_text(
        "id,prob of cat,prob of dog,truth\n1,0.5,0.5,cat\n2,0.25,0.75,dog\n"
    )
    result = xent(
        "evaluate",
        "p.csv",
        "--target",
        "truth",
        "--probs",
        "prob of *",
        "--json",
        "-",
        cwd=tmp_path,
    )
    report = json.loads(result.stdout)
    assert report["labels"] == ["cat", "dog"]
    assert report["cross_entropy"] == pytest.approx((1 + np.log2(4 / 3)) / 2)


def test_booleans_and_columns_by_name(tmp_path):
    (tmp_path / "p.csv").write_text("true,false,y\n0.5,0.5,true\n0.25,0.75,false\n")
    result = xent(
        "evaluate", "p.csv", "--target", "y", "--probs", "true,false", "--json", "-", cwd=tmp_path
    )
    assert json.loads(result.stdout)["accuracy"] == 1


def test_rounded_probabilities_need_a_word(tmp_path):
    (tmp_path / "p.csv").write_text("p_a,p_b,p_c,target\n0.333,0.333,0.333,a\n")
    refused = xent("evaluate", "p.csv", cwd=tmp_path)
    assert refused.returncode == 2
    assert "got 0.999 at row 0. If they were rounded" in refused.stderr
    taken = xent("evaluate", "p.csv", "--normalize", "--json", "-", cwd=tmp_path)
    assert json.loads(taken.stdout)["cross_entropy"] == pytest.approx(np.log2(3))


def test_demo_puts_cross_entropy_ahead(tmp_path):
    result = xent("demo", "--epochs", "2", "--seeds", "2", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "held out. 2 epochs under each loss." in result.stdout
    # The first table, of the terminal and of the page, is the fair one.
    assert 0 < result.stdout.index("own rate") < result.stdout.index("<- fewest bits")
    assert "X101 double-softmax: cross-entropy takes logits" in result.stdout
    assert "no loss below 1.461 is reachable with 10 classes" in result.stdout
    page = (tmp_path / "report.html").read_text()
    assert 0 < page.index("at its own best one") < page.index("The same network under each loss")
    lines = [line for line in result.stdout.splitlines() if line.endswith("<- fewest bits")]
    assert [line.split()[0] for line in lines] == ["cross_entropy"]
    assert os.listdir(tmp_path) == ["report.html"]


def test_compare_losses_says_what_each_costs_and_what_the_second_softmax_is(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    columns = {"a": y + rng.normal(size=60), "kind": np.array(["u", "v"])[y]}
    _table.write(tmp_path / "d.csv", columns)
    options = "--target kind --losses focal:gamma=1,alpha=0.5,double_softmax --epochs 2 --seeds 2"
    result = xent("compare-losses", "d.csv", *options.split(), "--rates", "0.5,5", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "\nfocal:gamma=1,alpha=0.5 " in result.stdout
    assert "cannot fall below ln(1 + 1/e) = 0.3133 nats" in result.stdout
    assert os.listdir(tmp_path) == ["d.csv"]
    wrong = xent("train", "d.csv", "--target", "kind", "--loss", "double_softmax", "--model", "m", cwd=tmp_path)  # fmt: skip
    assert wrong.returncode == 2
    assert "`--loss` must be a loss of logits, got 'double_softmax', which app" in wrong.stderr


def test_training_on_a_table_with_text_classes(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    columns = {"id": np.arange(200), "size": y * 50 + rng.normal(size=200)}
    _table.write(tmp_path / "d.parquet", {**columns, "kind": np.array(["small", "big"])[y]})
    args = ("train", "d.parquet", "--target", "kind", "--features", "size", "--model", "m")
    assert xent(*args, cwd=tmp_path).returncode == 0
    unlabelled = {"size": columns["size"]}
    _table.write(tmp_path / "new.csv", unlabelled)
    assert xent("predict", "m", "new.csv", "--output", "out.csv", cwd=tmp_path).returncode == 0
    table = _table.read(tmp_path / "out.csv")
    assert table.column_names == ["p_big", "p_small", "l_big", "l_small", "prediction"]
    assert (
        np.array(table["prediction"].to_pylist()) == np.array(["small", "big"])[y]
    ).mean() > 0.99


def test_predict_keeps_what_train_reported(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=60) * 1e3
    _table.write(tmp_path / "d.csv", {"x": x[:30], "y": np.where(x[:30] > 0, "a", "b")})
    _table.write(tmp_path / "new.csv", {"x": x[30:] * 1e4, "y": np.where(x[30:] > 0, "b", "a")})
    options = "--target y --validation new.csv --learning-rate 50 --epochs 3 --model m"
    said = xent("train", "d.csv", *options.split(), cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    held = next(line for line in said.stdout.splitlines() if line.startswith("held out"))
    bits = TrainedModel.load(tmp_path / "m").classifier.history_["validation_bits"][-1]
    assert f"{bits:.4f} bits a row" in held
    said = xent("predict", "m", "new.csv", "--output", "out.csv", cwd=tmp_path).stdout
    command = said.splitlines()[-1].removeprefix("Evaluate them: xent ").replace("'", "").split()
    found = json.loads(xent(*command, "--json", "-", cwd=tmp_path).stdout)
    assert found["cross_entropy_bits"] == pytest.approx(bits, rel=1e-12)
    assert bits > 1100
    # The probabilities alone have lost it.
    lost = json.loads(
        xent("evaluate", "out.csv", "--target", "y", "--json", "-", cwd=tmp_path).stdout
    )
    assert lost["cross_entropy"] == "inf"


def test_train_passes_every_option_on(tmp_path):
    _table.write(tmp_path / "d.csv", {"x": np.arange(8.0), "y": np.array(["a", "b"] * 4)})
    options = "--loss mse_softmax --hidden 3,2 --epochs 2 --batch-size 4 --learning-rate 0.25"
    options += " --optimizer adam --random-state 7 --device cpu --class-weight balanced"
    options += " --schedule ExponentialLR:gamma=0.5"
    args = ("train", "d.csv", "--target", "y", "--model", "m", *options.split())
    assert xent(*args, cwd=tmp_path).returncode == 0
    model = TrainedModel.load(tmp_path / "m")
    assert model.classifier.get_params() == {
        "loss": "mse_softmax", "hidden": [3, 2], "epochs": 2, "batch_size": 4,
        "learning_rate": 0.25, "optimizer": "adam", "random_state": 7, "device": "cpu",
        "progress": True, "class_weight": "balanced", "schedule": "ExponentialLR:gamma=0.5",
        "patience": None, "module": None,
    }  # fmt: skip
    assert (model.columns, model.target) == (["x"], "y")


@pytest.mark.parametrize("target", ["prediction", "p_a"])
def test_predict_never_writes_one_column_over_another(tmp_path, target):
    _table.write(tmp_path / "d.csv", {"x": np.arange(8.0), target: np.array(["a", "b"] * 4)})
    args = ("train", "d.csv", "--target", target, "--model", "m")
    assert xent(*args, cwd=tmp_path).returncode == 0
    result = xent("predict", "m", "d.csv", cwd=tmp_path)
    assert result.returncode == 2
    assert f"a name of its own, got two '{target}'" in result.stderr


def test_classes_like_01_stay_what_they_are(tmp_path):
    (tmp_path / "p.csv").write_text("p_01,p_02,target\n0.5,0.5,01\n")
    result = xent("evaluate", "p.csv", "--json", "-", cwd=tmp_path)
    assert json.loads(result.stdout)["labels"] == ["01", "02"]


def test_compressed_predictions_come_back(corridor):
    folder, done = corridor
    args = ("predict", "digits.xent", "digits-test", "--output", "out.csv.gz")
    assert xent(*args, cwd=folder).returncode == 0
    assert (folder / "out.csv.gz").read_bytes()[:2] == b"\x1f\x8b"
    again = xent("evaluate", "out.csv.gz", "--target", "digit", cwd=folder).stdout
    assert again.splitlines()[:8] == done["evaluate"].stdout.splitlines()[:8]


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_interrupted_training_leaves_no_file(tmp_path):
    child = subprocess.Popen(
        [
            sys.executable, "-m", "xent", "train", "digits", "--epochs", "1000000", "--model", "m",
            "--checkpoint", "epoch",
        ],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A background job of a shell is born deaf to SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while not (tmp_path / "epoch").exists() and child.poll() is None:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Interrupted" in errors.splitlines()[-1]
    assert os.listdir(tmp_path) == ["epoch"]


GOOD = "x,y\n0.5,a\n0.25,b\n"
REFUSALS = [
    ("train missing.csv --target y --model m", "", "There is no file 'missing.csv'."),
    ("train d.csv --target z --model m", GOOD, "`--target` must name a column of 'd.csv', got 'z'. It has 'x' and 'y'."),
    ("train d.csv --model m", GOOD, "`--target` must name the column of classes of 'd.csv', got none. It has 'x' and 'y'."),
    ("train d.csv --target y --model m", "x,y\n1,a\n1,b\n", "`DATA` must have a column that tells rows apart, got 'x': the same in every row."),
    ("train d.csv --target y --model m", "x,y\n0.5,a\n1,\n", "`--target` must have no missing values in column 'y', got 1 row without, the first at row 1. Nothing can be learned from them: pass --drop-missing-target to leave them out."),
    ("train d.csv --target y --model m", "x,y\n", "`DATA` must have at least one row, got none in 'd.csv'."),
    ("train d.csv --target y --model m --loss hinge", GOOD, f"`--loss` must be {_check.join_names(list(OBJECTIVES))}, got 'hinge'."),
    ("train d.csv --target y --model m --hidden big", GOOD, "`--hidden` must be numbers of units like 64,32, got 'big'."),
    ("train d.csv --target y --model no/m", GOOD, "`--model` must lie in a folder that exists, got 'no/m'."),
    ("train d.csv --target y --model m --features q*", GOOD, "`--features` must match columns of 'd.csv', got 'q*'. It has 'x'."),
    ("predict d.csv digits", GOOD, "`MODEL` must be a xent.training file, got 'd.csv', which is none or is damaged."),
    ("evaluate d.csv", "p_a,p_b,target\n0.5,0.6,a\n", "`--probs` must sum to 1 in every row, got 1.1 at row 0. If they were rounded when they were saved, pass --normalize."),
    ("evaluate d.csv", "p_a,p_b,target\n3,1,a\n", "`--probs` must sum to 1 in every row, got 4 at row 0. Logits go under --logits."),
    ("evaluate d.csv", "p_a,p_b,target\n3,-1,a\n", "`--probs` must be non-negative, got -1 at [0, 1]. For logits pass --logits."),
    ("evaluate d.csv --probs p_a --normalize", "p_a,p_b,target\n0.5,0.5,a\n", "`--probs` must match a column for each class, got 'p_a'. If it is the probability of one of two classes, pass --positive CLASS."),
    ("evaluate d.csv --logits p_* --normalize", "p_a,p_b,target\n3,-1,a\n", "`--normalize` must be left out where --logits is given, got both."),
    ("evaluate d.csv --logits p_*", "p_a,p_b,target\n3,inf,a\n", "`--logits` must hold numbers in column 'p_b', got inf at row 0."),
    ("evaluate d.csv", "p_a,p_b,target\n0.5,0.5,c\n", "`--target` must be one of the labels 'a' or 'b', got 'c' at row 0."),
    ("evaluate d.csv", "p_a,p_b,target\n0.5,nan,a\n", "`--probs` must hold numbers in column 'p_b', got a missing value at row 0."),
    ("evaluate d.csv", "p_a,p_b,target\n0.5,half,a\n", "`--probs` must hold numbers in column 'p_b', got 'half' at row 0."),
    ("evaluate d.csv", "p_a,p_b,target\n0.5,0.5,\n", "`--target` must hold a class in every row of column 'target', got 1 row without, the first at row 0. Pass --drop-missing-target to leave such rows out."),
    ("evaluate d.csv", "a,b,target\n0.5,0.5,a\n", "`--probs` must match a column of 'd.csv' for each class, got none that begins with p_, prob_ or proba_. It has 'a' and 'b'. If these are probabilities, pass --probs 'a,b'."),
    ("evaluate d.csv --target truth", "p_a,p_b,target\n0.5,0.5,a\n", "`--target` must name a column of 'd.csv', got 'truth'."),
    ("evaluate d.csv --html no/r.html", "p_a,p_b,target\n0.5,0.5,a\n", "`--html` must lie in a folder that exists, got 'no/r.html'."),
    ("evaluate d.csv --html r.html --json no/r.json", "p_a,p_b,target\n0.5,0.5,a\n", "`--json` must lie in a folder that exists, got 'no/r.json'."),
    ("evaluate d.csv --json d.csv", "p_a,p_b,target\n0.5,0.5,a\n", "`--json` must differ from what is read, got 'd.csv' for both."),
    ("evaluate d.csv --html r --json r", "p_a,p_b,target\n0.5,0.5,a\n", "`--json` must differ from `--html`, got 'r' for both."),
    ("evaluate d.csv --html .", "p_a,p_b,target\n0.5,0.5,a\n", "`--html` must name a file, got the folder '.'."),
    ("evaluate d.csv --probs p_a,p_z", "p_a,p_b,target\n0.5,0.5,a\n", "`--probs` must match columns of 'd.csv', got 'p_z'. It has 'p_a' and 'p_b'."),
    ("evaluate d.csv", "p_a;p_b;target\n0.5;0.5;a\n", "`FILE` must separate its columns by commas, got semicolons in 'd.csv'."),
    ("train d.csv --target y --model d.csv", GOOD, "`--model` must differ from what is read, got 'd.csv' for both."),
    ("train d.csv --target y --model .", GOOD, "`--model` must name a file, got the folder '.'."),
    ("train d.csv --target y --model m --epochs 0", GOOD, "`--epochs` must be an integer of at least 1, got 0."),
    ("train d.csv --target y --model m --learning-rate 1e300", GOOD, "`--learning-rate` must be a number that float32 can hold, got 1e+300."),
    ("evaluate d.csv --base two", "p_a,p_b,target\n0.5,0.5,a\n", "`--base` must be a number, or e for nats, got 'two'."),
    ("demo --data . --seeds 1", "", "`--seeds` must be an integer of at least 2, got 1."),
    ("compare-losses d.csv --target y --rates a", GOOD, "`--rates` must be numbers like 0.5,5,50, got 'a'."),
    ("compare-losses d.csv --target y --validation d.csv --losses nll,nll", GOOD, "`--losses` must name at least one loss, and each once, got ['nll', 'nll']."),
    ("demo --html no/r.html", "", "`--html` must lie in a folder that exists, got 'no/r.html'."),
]  # fmt: skip


@pytest.mark.parametrize(("command", "content", "sentence"), REFUSALS, ids=[r[2] for r in REFUSALS])
def test_one_sentence_exit_code_two_and_nothing_written(tmp_path, command, content, sentence):
    if content:
        (tmp_path / "d.csv").write_text(content)
    result = xent(*command.split(), cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith(sentence), result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
    assert os.listdir(tmp_path) == (["d.csv"] if content else [])


def test_base_e_is_nats(tmp_path):
    (tmp_path / "d.csv").write_text("p_a,p_b,target\n0.25,0.75,a\n0.5,0.5,b\n")
    said = xent("evaluate", "d.csv", "--base", "e", cwd=tmp_path).stdout
    assert f"cross-entropy     {np.log(8) / 2:.4f} nats a row" in said


def test_logits_of_a_file(tmp_path):
    (tmp_path / "d.csv").write_text("z_a,z_b,z_c,y\n1,0,-inf,a\n0,0,0,c\n30,-10,0,a\n")
    page = ("--html", "r.html", "--base", "e")
    said = xent("evaluate", "d.csv", "--target", "y", "--logits", "z_*", *page, cwd=tmp_path)
    nats = (np.log1p(np.exp(-1)) + np.log(3) + np.log1p(np.exp(-30) + np.exp(-40))) / 3
    assert said.stdout.splitlines()[0] == "3 rows, 3 classes"
    assert f"cross-entropy     {nats:.4f} nats a row" in said.stdout
    assert "Where the nats of d.csv go" in (tmp_path / "r.html").read_text()


def test_predict_says_which_column_is_missing(corridor):
    folder, _ = corridor
    (folder / "short.csv").write_text("pixel_0,pixel_1\n1,2\n")
    said = xent("predict", "digits.xent", "short.csv", cwd=folder).stderr
    assert said == "`DATA` must have the column 'pixel_2', got 'pixel_0' and 'pixel_1'.\n"


def options(command):
    for name, below in getattr(command, "commands", {}).items():
        yield from ((f"{name} {path}".strip(), p) for path, p in options(below))
    yield from (("", p) for p in command.params if p.param_type_name == "option")


def test_the_same_things_have_the_same_names():
    found = list(options(typer.main.get_command(cli.app)))
    assert len(found) > 90
    for path, param in found:
        names, word = set(param.opts), param.name.replace("_", "-").rstrip("-")
        assert ("--output" in names) == ("-o" in names), path
        # `calibrate` writes a calibrator, or with it what it mends.
        assert not names & {"--out", "--model"} or "--output" in names or path == "calibrate"
        assert not names & {"--random-state", "--rng"} or "--seed" in names, path
        assert f"--{word}" in names or word in ("ids", "kind", "version"), (
            path,
            param.opts,
        )


def test_help_and_version(tmp_path):
    for command in ((), ("demo",), ("train",), ("predict",), ("evaluate",)):
        result = xent(*command, "--help", cwd=tmp_path)
        assert result.returncode == 0
        assert "Usage" in result.stdout
    assert xent("--version", cwd=tmp_path).stdout.startswith("xent 0.")
    unknown = xent("trian", cwd=tmp_path)
    assert unknown.returncode == 2
    assert "No such command" in unknown.stderr
