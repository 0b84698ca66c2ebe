"""Booleans, with gaps and with a stranger among them, are one column on every path."""

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
import typer
from typer.testing import CliRunner

from xent._table.files import dialect
from xent.cli import _measures
from xent.cli._trees import register
from xent.measures import drift
from xent.trees import TreeClassifier, TreeRegressor

GAPS = [True, False, None] * 20
Y = ["a", "b", "c"] * 20
KNOWN, SAID = [True, False, False, True], ["a", "b", "b", "a"]
MAKERS = {
    "pandas object": lambda v: pd.DataFrame({"m": pd.Series(v, dtype=object)}),
    "pandas boolean": lambda v: pd.DataFrame({"m": pd.Series(v, dtype="boolean")}),
    "pandas arrow": lambda v: pd.DataFrame({"m": pd.array(v, dtype=pd.ArrowDtype(pa.bool_()))}),
    "polars": lambda v: pl.DataFrame({"m": v}),
    "arrow": lambda v: pa.table({"m": v}),
    "dict": lambda v: {"m": v},
    "spelled": lambda v: {"m": [None if x is None else str(x) for x in v]},
    "spelled small": lambda v: {"m": [None if x is None else str(x).lower() for x in v]},
    "numpy": lambda v: {"m": np.array(v, dtype=object)},
}


@pytest.mark.parametrize("fit", MAKERS)
@pytest.mark.parametrize("splitter", ["auto", "histogram"])
def test_fit_with_gaps_and_predict_without(fit, splitter):
    tree = TreeClassifier(pruning=None, splitter=splitter).fit(MAKERS[fit](GAPS), Y)
    for make in MAKERS.values():
        assert tree.predict(make(KNOWN)).tolist() == SAID
        assert tree.predict(make([True, None])).tolist() == ["a", "c"]
    assert tree.predict(pd.DataFrame({"m": KNOWN})).tolist() == SAID  # of type bool
    other = TreeClassifier(pruning=None).fit(pd.DataFrame({"m": KNOWN * 9}), SAID * 9)
    assert other.predict(MAKERS[fit]([True, False])).tolist() == ["a", "b"]
    whole = MAKERS[fit](GAPS)
    if not isinstance(whole, dict):
        batches = [nw.from_native(whole)[i : i + 12].to_native() for i in range(0, 60, 12)]
        named = [nw.from_native(b) for b in batches]
        y = [nw.new_series("y", Y[i : i + 12], backend=b.implementation)
             for i, b in zip(range(0, 60, 12), named, strict=True)]  # fmt: skip
        pieces = [b.with_columns(c).to_native() for b, c in zip(named, y, strict=True)]
        read = TreeClassifier(pruning=None, splitter="histogram").fit(lambda: iter(pieces), "y")
        assert read.predict(MAKERS[fit](KNOWN)).tolist() == SAID


def csv_of(values, y=None):
    lines = ["" if v is None else str(v) for v in values]
    return "m,y\n" + "".join(
        f"{v},{c}\n" for v, c in zip(lines, y or ["a"] * len(lines), strict=True)
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    register(app)
    _measures.register(app)
    return lambda *words: CliRunner().invoke(app, list(words), catch_exceptions=False).output


@pytest.mark.parametrize("splitter", ["auto", "histogram"])
@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_files_of_every_kind(run, tmp_path, ending, splitter):
    frame = pl.DataFrame({"m": GAPS, "y": Y})
    new = pl.DataFrame({"m": KNOWN})
    for name, table in (("fit", frame), ("new", new)):
        (tmp_path / f"{name}.csv").write_text(csv_of(table["m"].to_list(), table["y"].to_list() if "y" in table.columns else None))  # fmt: skip
        pyarrow.parquet.write_table(table.to_arrow(), f"{name}.parquet")
        table.write_ndjson(f"{name}.jsonl")
    run("tree", "fit", f"fit.{ending}", "-t", "y", "-o", "a.tree", "--splitter", splitter)
    for other in ("csv", "parquet", "jsonl"):
        run("tree", "predict", "a.tree", f"new.{other}", "-o", "said.parquet")
        assert pyarrow.parquet.read_table("said.parquet")["prediction"].to_pylist() == SAID


@pytest.mark.parametrize("splitter", ["auto", "histogram"])
def test_chunks_of_a_csv(run, tmp_path, monkeypatch, splitter):
    """What a column is must not hang on where its file is cut."""
    monkeypatch.setattr(dialect, "READ_BYTES", 64)
    values = [True, False] * 20 + ["unknown"] * 10 + [None] * 10 + [True, False] * 5
    y = ["a", "b"] * 20 + ["d"] * 20 + ["a", "b"] * 5
    (tmp_path / "t.csv").write_text(csv_of(values, y))
    run("tree", "fit", "t.csv", "-t", "y", "-o", "a.tree", "--splitter", splitter)
    run("tree", "predict", "a.tree", "t.csv", "-o", "said.parquet")
    said = pyarrow.parquet.read_table("said.parquet")["prediction"].to_pylist()
    assert said == y
    # A tree of booleans meets a stranger in a later piece.
    (tmp_path / "flags.csv").write_text(csv_of([True, False] * 20, ["a", "b"] * 20))
    run("tree", "fit", "flags.csv", "-t", "y", "-o", "b.tree", "--splitter", splitter)
    run("tree", "predict", "b.tree", "t.csv", "-o", "said.parquet")
    said = pyarrow.parquet.read_table("said.parquet")["prediction"].to_pylist()
    assert [s for s, v in zip(said, values, strict=True) if v in (True, False)] == ["a", "b"] * 25


def test_drift_of_a_column_with_a_stranger(run, tmp_path, monkeypatch):
    reference, current = [True, False] * 50, [True, False] * 50 + ["unknown"]
    for rows in (1 << 23, 64):
        monkeypatch.setattr(dialect, "READ_BYTES", rows)
        (tmp_path / "a.csv").write_text(csv_of(reference))
        (tmp_path / "b.csv").write_text(csv_of(current))
        for one, other in (("a.csv", "b.csv"), ("b.csv", "a.csv")):
            (moved,) = drift(one, other, columns=["m"], base=2)
            assert moved.js < 0.01
            assert moved.new + moved.gone == pytest.approx(1 / 101)


def test_a_regression_tree_too():
    tree = TreeRegressor(pruning=None).fit(MAKERS["pandas object"](GAPS), [1.0, 2.0, 3.0] * 20)
    assert tree.predict(pd.DataFrame({"m": [True, False]})).tolist() == [1.0, 2.0]
