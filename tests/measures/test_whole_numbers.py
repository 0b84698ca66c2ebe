"""Whole numbers past 2^53, among which floats have gaps: none is taken for another."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from xent import _table
from xent.measures import Counts, drift, rank_features
from xent.measures._bins import bin_of, quantile_cuts

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
