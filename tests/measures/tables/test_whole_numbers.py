"""Whole numbers past 2^53, among which floats have gaps: none is taken for another."""

import math
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from xent import _table
from xent._table.files import dialect
from xent.measures import Counts, drift, rank_features
from xent.measures.tables._bins import bin_of, quantile_cuts

LEAST = 2**53  # from here on floats have gaps
KINDS = {
    "pandas": lambda x: pd.DataFrame({"x": pd.array(x, dtype="Int64")}),
    "polars": lambda x: pl.DataFrame({"x": pl.Series(x, dtype=pl.Int64)}),
    "Arrow": lambda x: pa.table({"x": pa.array(x, pa.uint64())}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", [LEAST, LEAST + 1, 10**18 + 7, 2**63 - 2])
def test_whole_numbers_past_those_of_floats(kind, start, tmp_path):
    make, y = KINDS[kind], pa.array([0, 1, 1] * 10)
    rows = [start, start + 1, None] * 10
    table = pa.table({"x": make(rows)["x"], "y": y})
    (found,) = rank_features(table, "y", missing="drop", base=2)  # as numbers
    assert (found.score, found.levels, found.cuts) == (1, 2, (start,))
    (found,) = rank_features(table, "x", missing="drop", base=2)  # as symbols
    assert found.score == 1
    for ending in ("parquet", "csv", "jsonl"):
        path = tmp_path / f"t.{ending}"
        _table.write(path, {"x": table["x"], "y": y})
        (found,) = rank_features(path, "y", missing="drop", base=2)
        assert (found.score, found.cuts) == (1, (start,))
    low, high = make([start] * 9), make([start + 1] * 9)
    for one, other in ((low, high), (high, low)):
        (found,) = drift(one, other, base=2)
        assert (found.js, found.new, found.gone) == (1, 1, 1)


def test_bins_of_whole_numbers_and_of_floats_are_the_same():
    whole = np.arange(2**53 - 3, 2**53 + 4)
    for cut in [*whole.tolist(), 2.0**53 - 0.5, -1, 0.5, -math.inf, math.inf]:
        expected = [int(v > cut) for v in whole.tolist()]
        assert bin_of(whole, [cut]).tolist() == expected
        assert bin_of(whole.astype(np.uint64), [cut]).tolist() == expected
        floats = whole.astype(np.float64)
        assert bin_of(floats, [cut]).tolist() == [int(int(v) > cut) for v in floats]
    ends = np.array([0, 1], dtype=np.uint64), np.array([-(2**63), 2**63 - 1])
    assert bin_of(ends[0], quantile_cuts(ends[0], np.ones(2), 2)).tolist() == [1, 2]
    assert bin_of(ends[1], quantile_cuts(ends[1], np.ones(2), 2)).tolist() == [1, 2]


BIG = [2**53, 2**53 + 1]


@pytest.mark.parametrize(
    "x",
    [
        BIG,
        [*BIG, None],
        np.array(BIG),
        np.array(BIG, np.uint64),
        pl.Series([*BIG, None]),
        pd.array([*BIG, None], dtype="Int64"),
        pd.Series([*BIG, None], dtype="Int64"),
        pa.array([*BIG, None]),
        [2.0**53, 2**53 + 1],
    ],
    ids=range(9),
)
def test_whole_numbers_past_those_of_floats_stay_apart(x):
    counts = Counts.from_samples(x, missing="drop")
    assert (counts.symbols[0], counts.values.tolist()) == (tuple(BIG), [1, 1])
    assert {type(symbol) for symbol in counts.symbols[0]} <= {int, float}


@pytest.mark.parametrize("far", [[2**63, 2**63 + 1, -1], [2**63, 2**63 + 1, 2**64]])
def test_whole_numbers_of_more_than_63_bits(far):
    assert set(Counts.from_samples(far).symbols[0]) == set(far)


WIDE = [12345678901234567890 + i for i in range(40)]  # floats take many of them for one


def written(path, values):
    """Write a table of two columns as text that no library has had in its hands."""
    if path.suffix == ".csv":
        path.write_text("id,y\n" + "".join(f"{v},{i % 2}\n" for i, v in enumerate(values)))
    else:
        lines = [f'{{"id": {v}, "y": {i % 2}}}\n' for i, v in enumerate(values)]
        path.write_text("".join(lines))
    return path


def test_whole_numbers_past_64_bits_in_files_of_text(tmp_path):
    (found,) = rank_features(written(tmp_path / "t.csv", WIDE), "y", base=2)
    assert (found.kind, found.levels, round(found.score, 12)) == ("symbols", 40, 1)
    old, new = written(tmp_path / "old.csv", WIDE[:20]), written(tmp_path / "new.csv", WIDE[20:])
    assert drift(old, new, columns=["id"], base=2)[0].js == 1
    real = written(tmp_path / "r.csv", [*WIDE, "1e30", 0.5])
    assert rank_features(real, "y")[0].kind == "numbers"
    with pytest.raises(ValueError, match=r"column 'id' holds whole numbers that 64 .* in quotes"):
        rank_features(written(tmp_path / "t.jsonl", WIDE), "y")


def test_a_later_block_may_be_of_another_type(tmp_path, monkeypatch):
    monkeypatch.setattr(dialect, "READ_BYTES", 400)
    real = written(tmp_path / "real.csv", [*range(99), 0.5])
    (found,) = rank_features(real, "y")
    assert (found.kind, found.rows) == ("numbers", 100)
    (again,) = rank_features(pd.read_csv(real), "y")
    assert again == found
    empty = written(tmp_path / "empty.csv", [""] * 99 + ["a"])
    (found,) = rank_features(empty, "y")
    assert (found.kind, found.missing, found.levels) == ("symbols", 99, 2)
    day = written(tmp_path / "day.csv", ["2020-01-01"] * 99 + ["2020-01-01 10:00:00"])
    assert rank_features(day, "y")[0].kind == "dates"
    for late in (WIDE[0], "a"):  # neither a float, nor what was counted as numbers
        with pytest.raises(ValueError, match=rf"CSV conversion error .* invalid value '{late}'"):
            rank_features(written(tmp_path / "late.csv", [*range(99), late]), "y")


DECIMALS = {
    "whole": ([10**17, 10**17 + 1], None),
    "amounts": (["0.25", "0.5"], None),
    "whole past 64 bits": ([10**22, 10**22 + 1], "hold whole numbers of 64 bits, got 10{22}"),
    "past floats": (["1e16", "10000000000000000.01"], "hold numbers that floats tell apart"),
}


@pytest.mark.parametrize("name", DECIMALS)
def test_decimals_are_exact_or_refused(name, tmp_path):
    numbers, refusal = DECIMALS[name]
    x = [*map(Decimal, numbers), None] * 20
    table = pa.table({"x": pa.array(x), "y": [0, 1, 1] * 20})
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    lazy = table.to_pandas(types_mapper=pd.ArrowDtype)
    for source in (table, tmp_path / "t.parquet", pl.from_arrow(table), lazy):
        if refusal is None:
            (found,) = rank_features(source, "y", missing="drop", base=2)
            assert (found.kind, found.levels, found.score) == ("numbers", 2, 1)
        else:
            with pytest.raises(ValueError, match=refusal):
                rank_features(source, "y")
