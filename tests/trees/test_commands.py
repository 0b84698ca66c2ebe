"""`xent tree` end to end."""

import json

import pyarrow.csv
import pyarrow.parquet
import pytest
import typer
from typer.testing import CliRunner

from xent.cli._trees import register

TABLE = "outlook,degrees,play\n" + "".join(
    f"{'' if i % 10 == 4 else 'sunny' if i % 2 else 'rainy'},{i * 7 % 10}.5,{'no' if i % 2 else 'yes'}\n"
    for i in range(40)
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text(TABLE)
    (tmp_path / "empty.csv").write_text("outlook,degrees,play\n")
    app = typer.Typer()
    register(app)

    def call(*words):
        return CliRunner().invoke(app, ["tree", *words], catch_exceptions=False)

    return call


@pytest.mark.parametrize("kind", ["default", "c45", "cart"])
def test_fit_show_predict(run, tmp_path, kind):
    done = run("fit", "table.csv", "-t", "play", "-o", "a.tree", "--tree", kind)
    assert "leaves, depth " in done.output
    assert "outlook = sunny: no (2" in run("show", "a.tree").output or kind == "c45"
    assert "outlook = sunny" in run("rules", "a.tree").output
    short = run("rules", "a.tree", "--data", "table.csv", "-t", "play").output
    assert short.splitlines()[-1].startswith("else ")
    assert json.loads(run("show", "a.tree", "--as", "json").output)["format"] == "xent.trees"
    assert run("show", "a.tree", "--as", "dot").output.startswith("digraph tree {")
    run("predict", "a.tree", "table.csv", "-o", "said.csv")
    said = pyarrow.csv.read_csv(tmp_path / "said.csv")
    assert said.column_names == ["prediction", "p_no", "p_yes"]
    truth = pyarrow.csv.read_csv(tmp_path / "table.csv")["play"].to_pylist()
    known = [i for i, o in enumerate(TABLE.splitlines()[1:]) if not o.startswith(",")]
    assert [said["prediction"][i].as_py() for i in known] == [truth[i] for i in known]
    run("predict", "a.tree", "table.csv", "-o", "said.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "said.parquet").num_rows == 40


def test_predictions_with_the_truth_beside_them_are_evaluated(run, tmp_path):
    run("fit", "table.csv", "-t", "play", "-o", "a.tree")
    done = run("predict", "a.tree", "table.csv", "-o", "said.csv", "-t", "play")
    assert done.output.endswith("Evaluate them: xent evaluate said.csv --target play\n")
    said = pyarrow.csv.read_csv(tmp_path / "said.csv")
    assert said.column_names == ["prediction", "p_no", "p_yes", "play"]
    assert said["play"] == pyarrow.csv.read_csv(tmp_path / "table.csv")["play"]
    names = said["play"].dictionary_encode()
    table = pyarrow.csv.read_csv(tmp_path / "table.csv").set_column(2, "play", names)
    pyarrow.parquet.write_table(table, tmp_path / "table.parquet")
    run("predict", "a.tree", "table.parquet", "-o", "again.csv", "-t", "play")
    assert pyarrow.csv.read_csv(tmp_path / "again.csv")["play"] == said["play"]


def test_numbers(run, tmp_path):
    done = run("fit", "table.csv", "-t", "degrees", "-o", "a.tree", "--tree", "regression")
    assert done.output.startswith("TreeRegressor: ")
    run("predict", "a.tree", "table.csv", "-o", "said.csv")
    said = pyarrow.csv.read_csv(tmp_path / "said.csv")
    assert said.column_names == ["prediction"]
    assert 0 < said["prediction"][0].as_py() < 10
    with pytest.raises(TypeError, match=r"`y` must hold numbers, got yes. For classes take"):
        run("fit", "table.csv", "-t", "play", "-o", "b.tree", "--tree", "regression")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["fit", "no.csv", "-t", "play", "-o", "a"], "no.csv"),
        (["fit", "table.csv", "-t", "plya", "-o", "a"], "`DATA` must have the column 'plya'"),
        (["fit", "table.csv", "-t", "outlook", "-o", "a", "--tree", "c5"], "`--tree` must be"),
        (
            ["fit", "table.csv", "-t", "play", "-o", "a", "--jobs", "0"],
            "`n_jobs` must be a number of threads, or -1 for all, got 0.",
        ),
        (
            ["predict", "a.tree", "table.csv", "-o", "said.csv", "-t", "plya"],
            "`DATA` must have the column 'plya', got 'outlook', 'degrees' and 'play'.",
        ),
        (["show", "table.csv"], "must be a xent.trees file"),
        (["rules", "a.tree", "--data", "table.csv"], "`--data` must be given together"),
        (["rules", "a.tree", "--data", "table.csv", "-t", "x"], "`DATA` must have the column 'x'"),
        (
            ["fit", "empty.csv", "-t", "play", "-o", "a", "--splitter", "histogram"],
            "`DATA` must have at least one row, got none",
        ),
        (
            ["fit", "table.csv", "-t", "play", "-o", "a", "--splitter", "best"],
            "`--splitter` must be 'auto' or 'histogram', got 'best'",
        ),
    ],
)
def test_one_clear_sentence(run, words, sentence):
    run("fit", "table.csv", "-t", "play", "-o", "a.tree")
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        run(*words)
    assert sentence in str(caught.value)
