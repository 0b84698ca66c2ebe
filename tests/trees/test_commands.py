"""`xent tree` end to end."""

import json

import pyarrow.csv
import pyarrow.parquet
import pytest
import typer
from typer.testing import CliRunner

from xent import _table
from xent.cli._tables._file import TableFile
from xent.cli._trees import register
from xent.cli._trees._options import TREES
from xent.trees import TreeClassifier, load
from xent.trees._table import stream

TABLE = "outlook,degrees,play\n" + "".join(
    f"{'' if i % 10 == 4 else 'sunny' if i % 2 else 'rainy'},{i * 7 % 10}.5,{'no' if i % 2 else 'yes'}\n"
    for i in range(40)
)

NUMBERS = ("--tree", "regression")


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
    shown = run("show", "a.tree").output
    missing = {
        "default": "outlook = rainy or missing: yes (20)\n",
        "c45": "\nA missing value goes down every branch, by the branch's share of the cases.\n",
        "cart": "outlook = sunny, if missing degrees > 1 or missing: no (24/4)\n",
    }
    assert missing[kind] in shown
    assert "outlook = sunny" in shown
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


def test_every_option_arrives(run, tmp_path):
    options = "--missing branch --pruning none --leaf-estimate laplace --max-depth 3"
    options += " --max-leaf-nodes 4 --min-samples-leaf 1.5 --min-gain 0.125"
    run("fit", "table.csv", "-t", "play", "-o", "a.tree", *options.split())
    found = load(tmp_path / "a.tree").get_params()
    given = {
        "missing": "branch", "pruning": None, "leaf_estimate": "laplace", "max_depth": 3,
        "max_leaf_nodes": 4, "min_samples_leaf": 1.5, "min_gain": 0.125,
    }  # fmt: skip
    assert found == TreeClassifier(n_jobs=1, **given).get_params()
    run("fit", "table.csv", "-t", "play", "-o", "a.tree", "--leaf-estimate", "none")
    assert load(tmp_path / "a.tree").leaf_estimate is None
    run("fit", "table.csv", "-t", "play", "-o", "a.tree", "--leaf-estimate", "0.5")
    assert load(tmp_path / "a.tree").leaf_estimate == 0.5


@pytest.mark.parametrize("kind", TREES)
def test_what_is_not_given_is_the_trees_own(run, tmp_path, kind):
    (tmp_path / "whole.csv").write_text("x,y\n" + "1,0\n2,1\n" * 20)
    run("fit", "whole.csv", "-t", "y", "-o", "a.tree", "--tree", kind)
    tree = load(tmp_path / "a.tree")
    assert tree.get_params() == type(tree)(n_jobs=1).get_params()


@pytest.mark.parametrize("missing", ["direction", "fractional", "branch"])
def test_id3_on_a_table_with_gaps(run, tmp_path, missing):
    run("fit", "table.csv", "-t", "play", "-o", "a.tree", "--tree", "id3", "--missing", missing)
    table = pyarrow.csv.read_csv(
        tmp_path / "table.csv", convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    )
    same = TreeClassifier(
        nominal="multiway", missing=missing, pruning=None, leaf_estimate=None, min_samples_leaf=1
    ).fit(table.drop_columns("play"), table["play"].to_numpy())
    assert load(tmp_path / "a.tree").to_text() == same.to_text()


@pytest.mark.parametrize("ending", [".tsv", ".csv.gz", ".jsonl", ".npz", ".parquet"])
def test_predictions_in_other_formats(run, tmp_path, ending, monkeypatch):
    monkeypatch.setattr(stream, "BATCH_ROWS", 7)
    pyarrow.parquet.write_table(
        pyarrow.csv.read_csv(tmp_path / "table.csv"), tmp_path / "table.parquet"
    )
    run("fit", "table.csv", "-t", "play", "-o", "a.tree")
    run("predict", "a.tree", "table.parquet", "-o", "said.csv", "-t", "play")
    run("predict", "a.tree", "table.parquet", "-o", f"said{ending}", "-t", "play")
    said = _table.read(tmp_path / f"said{ending}")
    assert said.to_pydict() == _table.read(tmp_path / "said.csv").to_pydict()
    assert said.num_rows == 40


def test_gaps_do_not_go_into_npz(run, tmp_path):
    run("fit", "table.csv", "-t", "play", "-o", "a.tree")
    words = ("predict", "a.tree", "table.csv", "-t", "outlook")
    sentence = "'said.npz' cannot be written: column 'outlook' has gaps, and NPZ no sign for them"
    with pytest.raises(ValueError, match=sentence):
        run(*words, "-o", "said.npz")
    assert not (tmp_path / "said.npz").exists()
    run(*words, "-o", "said.jsonl")
    assert _table.read(tmp_path / "said.jsonl")["outlook"].null_count == 4


def test_numbers(run, tmp_path):
    done = run("fit", "table.csv", "-t", "degrees", "-o", "a.tree", "--tree", "regression")
    assert done.output.startswith("TreeRegressor: ")
    run("predict", "a.tree", "table.csv", "-o", "said.csv")
    said = pyarrow.csv.read_csv(tmp_path / "said.csv")
    assert said.column_names == ["prediction"]
    assert 0 < said["prediction"][0].as_py() < 10
    with pytest.raises(TypeError, match=r"`--target` must hold numbers, got yes. For classes take"):
        run("fit", "table.csv", "-t", "play", "-o", "b.tree", "--tree", "regression")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["fit", "no.csv", "-t", "play", "-o", "a"], "no.csv"),
        (["fit", "table.csv", "-t", "plya", "-o", "a"], "`DATA` must have the column 'plya'"),
        (["fit", "table.csv", "-t", "outlook", "-o", "a", "--tree", "c5"], "`--tree` must be"),
        (
            ["fit", "table.csv", "-t", "play", "-o", "a", "--jobs", "0"],
            "`--jobs` must be a number of threads, or -1 for all, got 0.",
        ),
        (
            ["predict", "a.tree", "table.csv", "-o", "said.csv", "-t", "plya"],
            "`DATA` must have the column 'plya', got 'outlook', 'degrees' and 'play'.",
        ),
        (
            ["fit", "table.csv", "-t", "play", "-o", "a", "--tree", "id3"],
            "`DATA` must have no missing values, got some. Use --missing direction, or another",
        ),
        (
            ["fit", "table.csv", "-t", "play", "-o", "a", "--missing", "keep"],
            "`--missing` must be 'direction', 'fractional', 'branch', 'surrogate' or 'refuse', got",
        ),
        (
            [
                "fit",
                "table.csv",
                "-t",
                "play",
                "-o",
                "a",
                "--tree",
                "c45",
                "--missing",
                "surrogate",
            ],
            "`--missing` must be another with --tree c45, got 'surrogate'. A surrogate imitates",
        ),
        (
            ["fit", "table.csv", "-t", "play", "-o", "a", "--pruning", "no"],
            "`--pruning` must be 'bits', 'pessimistic', 'cost_complexity', 'reduced_error' or 'none', got",
        ),
        (
            ["fit", "table.csv", "-t", "degrees", "-o", "a", *NUMBERS, "--pruning", "pessimistic"],
            "`--pruning` must be 'cost_complexity', 'reduced_error' or 'none', got 'pessimistic'.",
        ),
        (
            ["fit", "table.csv", "-t", "play", "-o", "a", "--tree", "id3", "--pruning", "none"],
            "`--pruning` must go with --tree 'default', 'c45', 'cart', 'regression' or "
            "'cart-regression', got 'id3'.",
        ),
        (
            ["fit", "table.csv", "-t", "play", "-o", "a", "--tree", "cart", "--min-gain", "0.1"],
            "`--min-gain` must go with --tree 'default' or 'regression', got 'cart'.",
        ),
        (
            ["fit", "table.csv", "-t", "play", "-o", "a", "--leaf-estimate", "0"],
            "`--leaf-estimate` must be above 0, or laplace, or none, got '0'.",
        ),
        (
            ["fit", "table.csv", "-t", "play", "-o", "a", "--leaf-estimate", "some"],
            "`--leaf-estimate` must be above 0, or laplace, or none, got 'some'.",
        ),
        (
            ["fit", "table.csv", "-t", "play", "-o", "a", "--max-depth", "0"],
            "`--max-depth` must be an integer of at least 1, got 0.",
        ),
        (
            ["fit", "table.csv", "-t", "play", "-o", "a", "--max-leaf-nodes", "1"],
            "`--max-leaf-nodes` must be an integer of at least 2, got 1.",
        ),
        (
            ["fit", "table.csv", "-t", "play", "-o", "a", "--min-samples-leaf", "0"],
            "`--min-samples-leaf` must be positive and finite, got 0.0.",
        ),
        (
            ["fit", "table.csv", "-t", "play", "-o", "a", "--min-gain", "-1"],
            "`--min-gain` must be 0 or positive, got -1.0.",
        ),
        (["predict", "a.tree", "said.csv", "-o", "b.csv"], "`DATA` must have the column"),
        (["predict", "a.tree", "table.csv", "-o", "b.txt"], "`--output` must end in '.parquet'"),
        (["show", "table.csv"], "`MODEL` must be a xent.trees file"),
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
def test_one_clear_sentence(run, tmp_path, words, sentence):
    run("fit", "table.csv", "-t", "play", "-o", "a.tree")
    (tmp_path / "said.csv").write_text("degrees\n1\n")
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        run(*words)
    assert sentence in str(caught.value)


def test_how_many_levels_are_shown(run, tmp_path):
    rows = "".join(f"level{i % 40},{'no' if i % 40 % 2 else 'yes'}\n" for i in range(400))
    (tmp_path / "wide.csv").write_text("m,play\n" + rows)
    run("fit", "wide.csv", "-t", "play", "-o", "a.tree")
    data = ("--data", "wide.csv", "-t", "play")
    for words in (("show", "a.tree"), ("rules", "a.tree"), ("rules", "a.tree", *data)):
        assert "… 10 more}" in run(*words).output
        assert "… 18 more}" in run(*words, "--max-levels", "2").output
        assert "more}" not in run(*words, "--max-levels", "all").output
        with pytest.raises(ValueError, match="`--max-levels` must be a positive integer, or all"):
            run(*words, "--max-levels", "0")
    with pytest.raises(ValueError, match="`--max-levels` must go with --as text, got --as dot"):
        run("show", "a.tree", "--as", "dot", "--max-levels", "2")


@pytest.mark.parametrize("splitter", ["auto", "histogram"])
def test_rows_without_a_target_are_left_out_where_that_is_said(run, tmp_path, splitter):
    rows = TABLE.splitlines()
    gaps = [row if i % 4 else row.rpartition(",")[0] + "," for i, row in enumerate(rows)]
    (tmp_path / "gaps.csv").write_text("\n".join([rows[0], *gaps[1:]]) + "\n")
    kept = [row for row in gaps[1:] if not row.endswith(",")]
    (tmp_path / "kept.csv").write_text("\n".join([rows[0], *kept]) + "\n")
    how = ("-t", "play", "--splitter", splitter)
    with pytest.raises(ValueError, match=r"pass --drop-missing-target"):
        run("fit", "gaps.csv", *how, "-o", "a.tree")
    done = run("fit", "gaps.csv", *how, "-o", "a.tree", "--drop-missing-target")
    assert splitter == "histogram" or done.output.endswith("10 rows without 'play' left out\n")
    run("fit", "kept.csv", *how, "-o", "b.tree")
    assert run("show", "a.tree").output == run("show", "b.tree").output
    short = ("-t", "play", "--data")
    said = run("rules", "a.tree", *short, "gaps.csv", "--drop-missing-target").output
    assert said == run("rules", "b.tree", *short, "kept.csv").output


def test_times_of_day_in_a_csv(run, tmp_path):
    rows = "08:30,a\n17:45:00,b\n09:00,a\n18:10,b\n,a\n" * 5
    (tmp_path / "t.csv").write_text("at,y\n" + rows)
    assert "1 of times" in run("fit", "t.csv", "-t", "y", "-o", "a.tree").output
    assert (
        run("show", "a.tree").output == "at <= 13:22:30 or missing: a (15)\nat > 13:22:30: b (10)\n"
    )
    run("predict", "a.tree", "t.csv", "-o", "said.csv")
    said = pyarrow.csv.read_csv(tmp_path / "said.csv")["prediction"].to_pylist()
    assert said == list("ababa") * 5


def test_a_csv_without_a_header(run, tmp_path):
    rows = "".join(f"{i % 7}.5,{'u' if i % 7 > 3 else 'v'}\n" for i in range(40))
    (tmp_path / "bare.csv").write_text(rows)
    with pytest.warns(UserWarning, match="reads like a row: .* pass --no-header"):
        run("fit", "bare.csv", "-t", "v", "-o", "a.tree")
    done = run("fit", "bare.csv", "-t", "f1", "-o", "a.tree", "--no-header")
    assert "1 column: 1 of numbers" in done.output
    assert "f0 <= 4" in run("show", "a.tree").output
    run("predict", "a.tree", "bare.csv", "-o", "said.csv", "--no-header")
    assert pyarrow.csv.read_csv(tmp_path / "said.csv").num_rows == 40


def test_quantities_are_no_classes_without_a_word(run, tmp_path):
    rows = [f"{i % 7},{i * 31 % 97},{i % 40}" for i in range(300)]
    (tmp_path / "q.csv").write_text("x,price,code\n" + "\n".join(rows))
    with pytest.warns(UserWarning, match="has 97 whole numbers, each taken for a class"):
        run("fit", "q.csv", "-t", "price", "-o", "q.tree")
    run("fit", "q.csv", "-t", "price", "-o", "q.tree", "--tree", "regression")
    run("fit", "q.csv", "-t", "code", "-o", "q.tree")


@pytest.mark.parametrize("kind", ["default", "regression"])
def test_what_predict_says_beside_its_table(run, tmp_path, monkeypatch, kind):
    """Rows of all batches; how to evaluate them where there are classes and the truth."""
    target = "play" if kind == "default" else "degrees"
    run("fit", "table.csv", "-t", target, "-o", "a.tree", "--tree", kind)
    monkeypatch.setattr(TableFile, "batches", lambda self, title: iter(halves(self.read())))
    for options, more in (
        ([], []),
        (["--target", target], [f"Evaluate them: xent evaluate said.csv --target {target}"]),
    ):
        done = run("predict", "a.tree", "table.csv", "-o", "said.csv", *options)
        more = more if kind == "default" else []
        assert done.output.splitlines() == ["40 rows written to said.csv", *more]
        said = pyarrow.csv.read_csv(tmp_path / "said.csv")
        assert (said.num_rows, target in said.column_names) == (40, bool(options))
    own = TABLE.replace("play", "play,prediction", 1).replace("no\n", "no,1\n")
    (tmp_path / "own.csv").write_text(own.replace("yes\n", "yes,2\n"))
    with pytest.raises(ValueError, match="name a column that the predictions do not have"):
        run("predict", "a.tree", "own.csv", "-o", "said.csv", "--target", "prediction")


def halves(table):
    return [table.slice(0, 25), table.slice(25)]


def test_only_pruning_by_bits_says_that_no_test_saves_any(run, tmp_path):
    (tmp_path / "same.csv").write_text("x,y\n" + "1,a\n1,b\n" * 10)
    said = "No test saves the bits that it takes to say. --pruning none keeps them all."
    for options, told in (
        ([], True), (["--pruning", "none"], False), (["--pruning", "cost_complexity"], False),
        (["--tree", "c45"], False), (["--pruning", "bits"], True),
    ):  # fmt: skip
        done = run("fit", "same.csv", "-t", "y", "-o", "a.tree", *options)
        assert ": 1 leaf, depth 0, written to a.tree" in done.output
        assert (said in done.output) == told, options
    done = run("fit", "table.csv", "-t", "play", "-o", "a.tree")
    assert "leaves" in done.output
    assert said not in done.output
