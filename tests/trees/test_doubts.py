"""Text that was hardly meant to be names: one warning, from Python and the command line."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
import typer
from typer.testing import CliRunner

from children import xent
from xent.cli._trees import register
from xent.trees import TreeClassifier, save

Y = ["u", "v"] * 10
DOUBTED = {
    "q": (["1", "2", "?", "4"] * 5, "numbers in 15 of 20 rows of 'q', which is read as names because of '?'"),
    "day": (["31/01/2020", "28/02/2021"] * 10, "dates in 20 of 20 rows of 'day', which is read as names. Write"),
    "share": (["63%", "5%"] * 10, "percentages in 20 of 20 rows of 'share', which is read as names. Take"),
    "price": (["$5", "$6"] * 10, "amounts of money in 20 of 20 rows of 'price', which is read as names"),
    "count": (["1,234", "5,678"] * 10, "numbers with commas between thousands in 20 of 20 rows of 'count'"),
    "space": (["1 234", "5\u202f678"] * 10, "numbers with blanks or apostrophes between thousands in 20 of"),
    "euro": (["1.234,56", "5.678,90"] * 10, "numbers with points between thousands in 20 of 20 rows of 'euro'"),
    "code of money": (["EUR 5", "7 EUR"] * 10, "amounts of money in 20 of 20 rows of 'code of money'"),
    "weight": (["5 kg", "7.5kg"] * 10, "amounts with a unit in 20 of 20 rows of 'weight'"),
    "month": (["31 Jan 2020", "Feb 1, 2020"] * 10, "dates in 20 of 20 rows of 'month', which is read as"),
    "hour": (["2:30 pm", "11:05 AM"] * 10, "times of day in 20 of 20 rows of 'hour', which is read as names"),
    "iso": (["2020-01-01", "?"] + ["2020-01-02"] * 18, "dates in 19 of 20 rows of 'iso', which is read as"),
}  # fmt: skip
FINE = {
    "name": ["a", "b"] * 10,
    "code": ["01", "02"] * 10,
    "flag": ["yes", "no"] * 10,
    "size": ["XL", "M"] * 10,
    "flat": ["12A", "3F"] * 10,
    "phone": ["030 123 456", "030 9"] * 10,
}
TABLE = {name: values for name, (values, _) in DOUBTED.items()} | FINE
MAKERS = [
    pd.DataFrame,
    lambda t: pd.DataFrame(t, dtype=object),
    pl.DataFrame,
    pa.table,
    dict,
    lambda t: np.rec.fromarrays([np.array(v) for v in t.values()], names=list(t)),
]


def said(work):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        work()
    return [str(w.message) for w in found]


def check(words, argument):
    assert len(words) == len(DOUBTED)
    for word, (_, start) in zip(words, DOUBTED.values(), strict=True):
        assert word.startswith(f"`{argument}` has {start}")


@pytest.mark.parametrize("make", MAKERS)
def test_fit_doubts_once(make):
    check(said(lambda: TreeClassifier().fit(make(TABLE), Y)), "X")
    tree = TreeClassifier()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree.fit(make(TABLE), Y)
    assert not said(lambda: tree.predict(make(TABLE)))


def test_batches_and_paths_are_doubted_once(tmp_path):
    tree = TreeClassifier(splitter="histogram")
    batch = pa.table(TABLE | {"y": Y})
    check(said(lambda: tree.fit(lambda: iter((batch, batch)), "y")), "X")
    pyarrow.parquet.write_table(batch, tmp_path / "t.parquet")
    check(said(lambda: tree.fit(tmp_path / "t.parquet", "y")), "X")


def test_categories_are_not_doubted():
    for table in (
        pd.DataFrame(TABLE).astype("category"),
        pl.DataFrame(TABLE, schema=dict.fromkeys(TABLE, pl.Categorical)),
        pa.table({name: pa.array(values).dictionary_encode() for name, values in TABLE.items()}),
    ):
        assert not said(lambda table=table: TreeClassifier().fit(table, Y))


@pytest.mark.parametrize("splitter", ["auto", "histogram"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tree_fit_doubts_once(tmp_path, ending, splitter):
    path = tmp_path / f"t.{ending}"
    pd.DataFrame(TABLE | {"y": Y}).to_csv(tmp_path / "t.csv", index=False)
    if ending == "parquet":
        pyarrow.parquet.write_table(pa.table(TABLE | {"y": Y}), path)
    app = typer.Typer()
    register(app)

    def fit(*more):
        words = ["tree", "fit", str(path), "-t", "y", "-o", str(tmp_path / "a.tree"), *more]
        return said(
            lambda: CliRunner().invoke(
                app, [*words, "--splitter", splitter], catch_exceptions=False
            )
        )

    words = fit()
    check(words, "DATA")
    assert words[0].endswith("If '?' means a missing value, pass --na '?'.")
    assert not fit(*(option for name in DOUBTED for option in ("--names", name)))
    if ending == "csv":
        assert len(fit("--na", "?")) == len(DOUBTED) - 2  # q and iso hold a ?


def test_a_number_that_is_text_later_says_which(tmp_path):
    """Of what `predict` is given: the first value that is no number, and the way out."""
    tree = TreeClassifier(pruning=None).fit({"v": [1.0, 2.0] * 5}, ["a", "b"] * 5)
    with pytest.raises(ValueError, match=r"got a name \(String\), '\?'\. If '\?' means a missing"):
        tree.predict({"v": ["1.5", "?"]})
    with pytest.raises(ValueError, match=r"got a name \(String\)\.$"):
        tree.predict({"v": ["1.5", "2"]})
    (tmp_path / "later.csv").write_text("v\n1.5\n-\n")
    (tmp_path / "commas.csv").write_text('v\n"1,5"\n"2,5"\n')
    save(tree, tmp_path / "a.tree")
    for name, way in (
        ("later", "'-' means a missing value, pass --na '-'"),
        ("commas", "pass --decimal ','"),
    ):
        said = xent("tree", "predict", "a.tree", f"{name}.csv", "-o", "o.csv", cwd=tmp_path)
        assert said.returncode == 2
        assert way in said.stderr
