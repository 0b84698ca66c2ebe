"""`xent calibrate`: fitted on one file, used on another, and read by the other commands."""

import json
import re
import warnings

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from xent import _table
from xent.cli import _calibrate, _evaluate
from xent.evaluation import Calibrator, calibrate


def run(*args, command="calibrate"):
    app = typer.Typer()
    _calibrate.register(app)
    _evaluate.register(app)
    done = CliRunner().invoke(app, [command, *map(str, args)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def write(path, rows=200, seed=0, classes=("a", "猫", "c"), kind="p"):
    rng = np.random.default_rng(seed)
    z = 3 * rng.normal(size=(rows, len(classes)))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    q = np.exp(z / 2) / np.exp(z / 2).sum(axis=1, keepdims=True)
    truth = (q.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    values = {"p": p, "z": z}[kind]
    columns = {f"{kind}_{c}": values[:, i] for i, c in enumerate(classes)}
    names = np.array(classes)
    _table.write(path, {"id": np.arange(rows), "truth": names[truth], **columns})
    return values, names[truth]


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_fitted_here_used_there_and_evaluated(tmp_path, method):
    fit, new = tmp_path / "fit.csv", tmp_path / "new.parquet"
    values, truth = write(fit)
    write(new, seed=1)
    model, mended = tmp_path / "c.xent", tmp_path / "mended.csv"
    said = run(fit, "--target", "truth", "--method", method, "--model", model)
    assert f"{method}" in said
    assert "fitted on 200 rows" in said
    expected = calibrate(truth, values, labels=["a", "猫", "c"], method=method)
    assert f"{expected.after / np.log(2):.4f} bits a row on these" in said
    assert Calibrator.load(model).after == pytest.approx(expected.after, rel=1e-9)
    assert "200 predictions" in run(new, "--model", model, "--output", mended)
    table = _table.read(mended)
    assert table.column_names == ["id", "truth", "p_a", "p_猫", "p_c", "l_a", "l_猫", "l_c"]
    read = [json.loads(run(f, "--target", "truth", "--json", "-", *more, command="evaluate"))
            for f, more in ((new, []), (mended, []), (mended, ["--log-probs", "l_*"]))]  # fmt: skip
    assert read[1]["cross_entropy"] < read[0]["cross_entropy"] - 0.05
    assert read[2]["cross_entropy"] == pytest.approx(read[1]["cross_entropy"], rel=1e-9)


def test_fitted_and_used_at_once_and_columns_in_another_order(tmp_path):
    write(tmp_path / "fit.csv", kind="z")
    model, mended = tmp_path / "c.xent", tmp_path / "m.parquet"
    run(
        tmp_path / "fit.csv", "--target", "truth", "--logits", "z_*", "--model", model, "-o", mended
    )
    first = _table.read(mended)
    table = _table.read(tmp_path / "fit.csv")
    turned = {n: table.column(n) for n in ("z_c", "z_a", "z_猫")}
    _table.write(tmp_path / "turned.parquet", turned)
    run(tmp_path / "turned.parquet", "--logits", "z_*", "--model", model, "-o", tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as again:
        for name in ("p_a", "p_猫", "p_c"):
            assert again[name] == pytest.approx(first.column(name).to_numpy(), rel=1e-12)


def test_one_column_weights_and_the_truth_elsewhere(tmp_path):
    rng = np.random.default_rng(0)
    p = rng.random(100)
    y = (rng.random(100) < p**2).astype(int)
    w = rng.random(100) + 0.5
    _table.write(tmp_path / "p.csv", {"id": np.arange(100), "y_prob": p, "w": w})
    _table.write(tmp_path / "t.csv", {"id": np.arange(100)[::-1], "bought": y[::-1]})
    model = tmp_path / "c.xent"
    said = run(tmp_path / "p.csv", "--probs", "y_prob", "--positive", "1", "--truth", tmp_path / "t.csv",
               "--id", "id", "--target", "bought", "--weights", "w", "--method", "platt", "--base", "e",
               "--model", model)  # fmt: skip
    expected = calibrate(y, p, sample_weight=w, method="platt")
    assert f"{expected.after:.4f} nats a row" in said
    run(tmp_path / "p.csv", "--probs", "y_prob", "--model", model, "-o", tmp_path / "m.csv")
    found = _table.read(tmp_path / "m.csv")
    assert found.column_names == ["id", "w", "p_0", "p_1", "l_0", "l_1"]
    assert found.column("p_1").to_numpy() == pytest.approx(
        expected.predict_proba(p)[:, 1], rel=1e-9
    )


def refused(*args):
    with pytest.raises((ValueError, TypeError, FileNotFoundError)) as error:
        run(*args)
    return str(error.value)


def test_what_is_refused(tmp_path):
    write(tmp_path / "p.csv")
    p, model = tmp_path / "p.csv", tmp_path / "c.xent"
    assert refused(p, "--model", model) == (
        "`--output` must name a file for the mended predictions, got none. To fit a calibrator, "
        "name the column of true classes with --target."
    )
    assert "`--method` must be left out where there is no --target" in refused(
        p, "--model", model, "-o", tmp_path / "m.csv", "--method", "platt"
    )
    assert "c.xent" in refused(p, "--model", model, "-o", tmp_path / "m.csv")
    assert "`--method` must be" in refused(
        p, "--target", "truth", "--model", model, "--method", "x"
    )
    assert "`--target` must name a column" in refused(p, "--target", "trth", "--model", model)
    assert "names" not in refused(p, "--target", "truth", "--model", p)
    assert not model.exists()
    run(p, "--target", "truth", "--model", model)
    write(tmp_path / "q.csv", classes=("a", "b"))
    assert "`--probs` must match columns of the classes 'a', '猫' and 'c'" in refused(
        tmp_path / "q.csv", "--model", model, "-o", tmp_path / "m.csv"
    )
    assert "be a xent.calibrator file" in refused(p, "--model", p, "-o", tmp_path / "m.csv")
    assert not (tmp_path / "m.csv").exists()


def test_what_other_columns_say_of_the_old_model_goes(tmp_path):
    values, truth = write(tmp_path / "p.parquet")
    table = _table.read(tmp_path / "p.parquet")
    columns = {name: table.column(name) for name in table.column_names}
    columns |= {f"l_{c}": np.log(values[:, i]) for i, c in enumerate("a猫c")}
    columns["prediction"] = np.array(list("a猫c"))[values.argmax(axis=1)]
    _table.write(tmp_path / "q.parquet", columns)
    model = tmp_path / "c.xent"
    run(tmp_path / "q.parquet", "--target", "truth", "--method", "platt", "--model", model,
        "-o", tmp_path / "m.parquet")  # fmt: skip
    found = _table.read(tmp_path / "m.parquet")
    mended = calibrate(truth, values, labels=list("a猫c"), method="platt").predict_proba(values)
    assert found.column("l_a").to_numpy() == pytest.approx(np.log(mended[:, 0]), rel=1e-9)
    said = found.column("prediction").to_pylist()
    assert said == np.array(list("a猫c"))[mended.argmax(axis=1)].tolist()
    assert said != columns["prediction"].tolist()


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
@pytest.mark.parametrize("impossible", [0, 1, 3])
def test_rows_whose_class_was_given_0_are_no_part_of_what_is_told(tmp_path, method, impossible):
    """The mean is of the others, and so many are named."""
    values, truth = write(tmp_path / "fit.csv")
    names = ["a", "猫", "c"]
    values = values.copy()
    for row in range(impossible):
        values[row] = 0.5
        values[row, names.index(truth[row])] = 0.0
    columns = {f"p_{name}": values[:, i] for i, name in enumerate(names)}
    _table.write(tmp_path / "fit.csv", {"truth": truth, **columns})
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        said = run(
            tmp_path / "fit.csv", "--target", "truth", "--method", method,
            "--model", tmp_path / "c.xent", "--base", "e",
        )  # fmt: skip
    doubts = [str(doubt.message).split(":")[0] for doubt in doubts]
    named = f"{impossible} row{'s' * (impossible > 1)} had a true class of probability 0, which no "
    assert all(doubt.startswith(named) for doubt in doubts)
    assert len(doubts) == (impossible > 0 and method != "isotonic")
    first, second = said.splitlines()
    assert f"fitted on 200 rows: {tmp_path / 'c.xent'}" in first
    rest = values[np.arange(200), [names.index(t) for t in truth]][impossible:]
    these = (
        "these" if not impossible else f"the {200 - impossible} whose class was given more than 0"
    )
    found = re.fullmatch(rf"(\d\.\d{{4}}) nats a row on {these}; (\d\.\d{{4}}) without it", second)
    assert float(found[2]) == pytest.approx(-np.log(rest).mean(), abs=5.1e-5)
