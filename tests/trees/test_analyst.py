"""An analyst's tables at the command line: spreadsheets, codes, ids, gaps, and every option."""

import warnings
from importlib import import_module

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import typer
from sklearn.base import clone
from typer.testing import CliRunner

import xent.trees
from xent import _table
from xent.cli._trees import register
from xent.trees import TreeClassifier, load

ROWS = 120


def sheet():
    """A spreadsheet's CSV: semicolons, decimal commas, question marks, a mark at its beginning."""
    lines = ["Nr;Tag;Größe;Ort;Code;fest;Klasse"]
    for i in range(ROWS):
        size = "?" if i % 13 == 0 else f"{i % 7},{i % 10}"
        town = "" if i % 11 == 0 else ("Köln", "Bad Ems")[i % 2]
        says = "nein" if i % 7 > 3 or i % 5 == 0 else "ja"
        lines.append(
            f"A{i};2024-01-{i % 28 + 1:02d};{size};{town};{'03' if i % 5 else '04'};1;{says}"
        )
    return "\n".join(lines) + "\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sheet.csv").write_text(sheet(), encoding="utf-8-sig")
    app = typer.Typer()
    register(app)

    def call(*words):
        return CliRunner().invoke(app, ["tree", *words], catch_exceptions=False)

    return call


WRITTEN = ("--separator", ";", "--decimal", ",", "--na", "?")
FIT = ("fit", "sheet.csv", "-t", "Klasse", "-o", "a.tree")


def test_a_spreadsheet_from_fit_to_rules(run, tmp_path):
    done = run(*FIT, *WRITTEN, "--names", "Code", "--drop", "Nr")
    assert done.output.endswith("5 columns: 2 of numbers, 2 of names, 1 of dates\n")
    tree = load(tmp_path / "a.tree")
    kinds = {c.name: (c.kind, c.levels) for c in tree.columns_}
    assert kinds["Code"] == ("name", ("03", "04"))
    assert kinds["Ort"] == ("name", ("Bad Ems", "Köln"))
    assert kinds["Tag"][0] == "date"
    # The same table as another program would hand it over.
    rows = [line.split(";") for line in sheet().splitlines()[1:]]
    gap = {"": None, "?": None}
    X = pa.table(
        {
            "Tag": pa.array([r[1] for r in rows]).cast(pa.timestamp("s")),
            "Größe": [None if r[2] == "?" else float(r[2].replace(",", ".")) for r in rows],
            "Ort": [gap.get(r[3], r[3]) for r in rows],
            "Code": [r[4] for r in rows],
            "fest": [1] * ROWS,
        }
    )
    same = TreeClassifier().fit(X, [r[6] for r in rows])
    assert tree.to_text() == same.to_text()
    run("predict", "a.tree", "sheet.csv", "-o", "said.csv", *WRITTEN)
    said = pyarrow.csv.read_csv(tmp_path / "said.csv")
    assert said["prediction"].to_pylist() == same.predict(X).tolist()
    rules = run("rules", "a.tree", "--data", "sheet.csv", "-t", "Klasse", *WRITTEN, "--cf", "0.1")
    assert rules.output.rstrip("\n") == same.to_ruleset(X, [r[6] for r in rows], cf=0.1).to_text()
    run("predict", "a.tree", "sheet.csv", "-o", "again.csv", *WRITTEN, "-t", "Klasse")
    assert pyarrow.csv.read_csv(tmp_path / "again.csv")["Klasse"].to_pylist() == [
        r[6] for r in rows
    ]


def test_streamed_like_held(run, tmp_path):
    run(
        *FIT, *WRITTEN, "--names", "Code", "--drop", "Nr", "--class-weight", "ja=3",
        "--increasing", "Größe",
    )  # fmt: skip
    held = load(tmp_path / "a.tree")
    run(
        *FIT, *WRITTEN, "--names", "Code", "--drop", "Nr", "--class-weight", "ja=3", "--increasing", "Größe",
        "--splitter", "histogram",
    )  # fmt: skip
    assert load(tmp_path / "a.tree").to_text() == held.to_text()
    assert held.class_weight == {"ja": 3.0}
    assert list(held.monotonic_cst) == [0, 1, 0, 0, 0]


def test_doubts_are_said(run):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        run(*FIT, "--separator", ";")
    words = [str(w.message) for w in said]
    assert (
        "`DATA` has numbers in 110 of 120 rows of 'Größe', which is read as names because of '?'. "
        "If '?' means a missing value, pass --na '?'. If its decimals are commas, pass --decimal "
        "','."
    ) in words
    own = "`DATA` has a name of its own in every row of 'Nr': it tells nothing of other rows. "
    assert own + "Pass --drop Nr." in words
    assert len(words) == 2


def test_a_file_without_letters_is_read_as_the_tree_was(run, tmp_path):
    """In a piece of a table codes look like numbers, and flags like names."""
    text = "code,flag,y\n" + "".join(
        f"{'A7' if i % 3 else '01'},{'true' if i % 2 else 'false'},{'u' if i % 3 or i % 2 else 'v'}\n"
        for i in range(60)
    )
    (tmp_path / "all.csv").write_text(text)
    run("fit", "all.csv", "-t", "y", "-o", "a.tree")
    (tmp_path / "piece.csv").write_text("code,flag\n01,True\n01,unknown\n01,FALSE\n")
    run("predict", "a.tree", "piece.csv", "-o", "said.csv")
    said = pyarrow.csv.read_csv(tmp_path / "said.csv")["prediction"].to_pylist()
    assert (said[0], said[2]) == ("u", "v")
    table = pa.table({"code": pa.array([1, 1]), "flag": [True, False]})
    pyarrow.parquet.write_table(table, tmp_path / "piece.parquet")
    run("predict", "a.tree", "piece.parquet", "-o", "said.csv")


def test_weights_are_repetitions(run, tmp_path):
    columns = {"x": [1.0, 2.0, 3.0, 4.0] * 8, "y": list("aabb") * 7 + list("abab")}
    weight = [1 + i % 3 for i in range(32)]
    _table.write(tmp_path / "w.parquet", {**columns, "w": weight})
    again = {name: [v for v, w in zip(values, weight, strict=True) for _ in range(w)]
             for name, values in columns.items()}  # fmt: skip
    _table.write(tmp_path / "r.parquet", again)
    run("fit", "w.parquet", "-t", "y", "-o", "a.tree", "--weights", "w")
    run("fit", "r.parquet", "-t", "y", "-o", "b.tree")
    assert load(tmp_path / "a.tree").to_text() == load(tmp_path / "b.tree").to_text()
    short = run("rules", "a.tree", "--data", "w.parquet", "-t", "y", "--weights", "w").output
    assert short == run("rules", "b.tree", "--data", "r.parquet", "-t", "y").output


@pytest.mark.parametrize(
    ("kind", "words", "given"),
    [
        ("default", "--criterion gini --nominal one_vs_rest", {"criterion": "gini", "nominal": "one_vs_rest"}),
        ("default", "--min-samples-split 9 --pruning pessimistic --no-raising --cf 0.1", {"min_samples_split": 9.0, "pruning": "pessimistic", "raising": False, "cf": 0.1}),
        ("c45", "--cf 0.4 --raising --class-weight balanced", {"cf": 0.4, "raising": True, "class_weight": "balanced"}),
        ("cart", "--min-samples-split 20 --pruning none", {"min_samples_split": 20.0, "pruning": None}),
        ("regression", "--min-gain 0.5 --decreasing x", {"min_gain": 0.5, "monotonic_cst": [-1]}),
        ("id3", "--class-weight 0=2 --class-weight 1=0.5", {"class_weight": {0: 2.0, 1: 0.5}}),
    ],
)  # fmt: skip
def test_every_option_arrives(run, tmp_path, kind, words, given):
    (tmp_path / "t.csv").write_text("x,y\n" + "1,0\n2,1\n3,1\n" * 20)
    run("fit", "t.csv", "-t", "y", "-o", "a.tree", "--tree", kind, *words.split())
    tree = load(tmp_path / "a.tree")
    assert tree.get_params() == clone(type(tree)(n_jobs=1, **given)).get_params()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--pruning none --cf 0.1", "`--cf` must go with --pruning pessimistic, got 'none'."),
        ("--tree c45 --pruning reduced_error --no-raising", "`--raising` must go with --pruning pes"),
        ("--tree cart --cf 0.1", "`--cf` must go with --tree 'default' or 'c45', got 'cart'."),
        ("--cf 0.2", "`--cf` must go with --pruning pessimistic, got 'bits'."),
        ("--pruning pessimistic --cf 0.9", "`--cf` must be at most 0.5, got 0.9."),
        ("--nominal multiway --missing surrogate", "must be another with --nominal multiway, got"),
        ("--criterion squared_error", "`--criterion` must be 'entropy', 'gain_ratio' or 'gini', got"),
        ("--class-weight heavy", "`--class-weight` must be balanced, or CLASS=NUMBER, got 'heavy'."),
        ("--class-weight c=-1", "`--class-weight` must be balanced, or CLASS=NUMBER, got 'c=-1'."),
        ("--class-weight c=2", "`--class-weight` must name classes of the target, got 'c'."),
        ("--increasing z", "`DATA` must have the column 'z', got 'x', 'half' and 'gap'."),
        ("--increasing x --decreasing x", "`--increasing` must differ from --decreasing, got 'x' for"),
        ("--weights gap", "`--weights` must hold numbers in column 'gap', got a missing value at row"),
        ("--names z", "`--names` must name a column of 't.csv', got 'z'."),
        ("--drop z", "`--drop` must name a column of 't.csv', got 'z'."),
        ("-t half", "`--target` must hold classes, got 0.5 (Unknown label type: continuous). For "
         "numbers take --tree regression."),
        ("-t half --splitter histogram", "`--target` must hold classes, got 0.5 (Unknown label type"),
        ("-t gap", "`--target` must have no missing values in column 'gap', got 4 rows without, the "
         "first at row 0. Nothing can be learned from them: pass --drop-missing-target to leave them out."),
        ("-t gap --tree regression --separator ; --decimal ;", "`--separator` must differ from the decimal point"),
        ("--tree regression", "`--target` must hold numbers, got a. For classes take --tree default."),
    ],
)  # fmt: skip
def test_one_sentence_in_the_commands_words(run, tmp_path, words, sentence):
    (tmp_path / "t.csv").write_text("x,half,gap,y\n" + "1,0.5,,a\n2,1,3,b\n" * 4)
    with pytest.raises((ValueError, TypeError)) as caught:
        run(
            "fit",
            "t.csv",
            "-o",
            "a.tree",
            *(() if "-t" in words.split() else ("-t", "y")),
            *words.split(),
        )
    assert sentence in str(caught.value)
    assert not (tmp_path / "a.tree").exists()


def test_more_sentences(run, tmp_path):
    pyarrow.parquet.write_table(pa.table({"x": [1, 2], "y": ["a", "b"]}), tmp_path / "t.parquet")
    for option in (
        ("--separator", ";"),
        ("--decimal", ","),
        ("--na", "?"),
        ("--encoding", "cp1252"),
    ):
        with pytest.raises(
            ValueError, match=f"`{option[0]}` must go with a .csv or .tsv, got 't.parq"
        ):
            run("fit", "t.parquet", "-t", "y", "-o", "a.tree", *option)
    with pytest.raises(ValueError, match=r"got semicolons in 'sheet.csv'. Pass --separator ';'."):
        run(*FIT)
    (tmp_path / "latin.csv").write_text("x,ü\n1,2\n", encoding="latin1")
    with pytest.raises(
        ValueError, match=r"UTF-8 \(byte 0xfc\). Save it as UTF-8, or pass --encoding latin1"
    ):
        run("fit", "latin.csv", "-t", "ü", "-o", "a.tree")
    (tmp_path / "three.csv").write_text("x,name,y\n1,u,a\n2,v,b\n3,u,c\n")
    for words, sentence in (
        (
            ("-t", "y", "--increasing", "x"),
            "`--increasing` must go with numbers or 2 classes, got 3",
        ),
        (
            ("-t", "x", "--tree", "regression", "--increasing", "name"),
            "must constrain columns of num",
        ),
    ):
        with pytest.raises(ValueError, match=sentence):
            run("fit", "three.csv", "-o", "a.tree", *words)
    run("fit", "three.csv", "-t", "y", "-o", "a.tree", "--tree", "c45")
    (tmp_path / "four.csv").write_text("x,y\n" + "1,a\n2,b\n" * 9)
    run("fit", "four.csv", "-t", "y", "-o", "a.tree", "--tree", "c45")
    with pytest.raises(ValueError, match=r"several branches. Fit it with --missing direction\."):
        run("show", "a.tree", "--as", "sql")


def test_every_preset_is_offered(run):
    text = run("fit", "--help").output
    for name in TreeClassifier().get_params():
        if name not in ("monotonic_cst", "n_jobs"):
            assert "--" + name.replace("_", "-") in text, name
    files = {"save", "load", "to_json", "from_json"}
    estimators = {name for name in xent.trees.__all__ if name not in files}
    offered = set(import_module("xent.cli._trees._options").TREES.values())
    assert estimators == offered, "a new tree is an entry of TREES in cli/_trees/_options.py"
