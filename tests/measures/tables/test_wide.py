"""Wide tables in memory are ranked many columns at once: to the last bit as one by one."""

import math
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from xent import _table
from xent.cli._tables._file import TableFile
from xent.cli._tables._options import TableOptions
from xent.measures import rank_features
from xent.measures.tables import _rank_batches, _wide
from xent.measures.tables._bins import first_cuts, mdl_cuts
from xent.measures.tables._rank_column import SCORES
from xent.measures.tables._scores import _sums


def strange(rows=157, classes=3):
    """Columns of every kind, with ties, gaps, constants and numbers past floats."""
    rng = np.random.default_rng(4)
    y = rng.integers(0, classes, rows)
    noise = {f"n{i}": np.round(rng.normal(size=rows), i % 4) for i in range(60)}
    told = {f"t{i}": np.round(rng.normal(size=rows) + y * i / 8, 1) for i in range(20)}
    whole = {f"w{i}": rng.integers(0, 2 + i, rows) + y * (i % 2) for i in range(20)}
    gaps = {
        f"g{i}": np.where(rng.random(rows) < i / 9, np.nan, y + rng.random(rows)) for i in (1, 8)
    }
    return pd.DataFrame(
        {
            **noise, **told, **whole, **gaps,
            "constant": 1.5,
            "far": 2**60 + y,
            "infinite": np.where(y == 1, np.inf, rng.random(rows)),
            "flag": rng.random(rows) < 0.5,
            "word": np.array(["a", "b", "c", None], dtype=object)[rng.integers(0, 4, rows)],
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, rows), "D"),
            "y": np.array(list("zyxwvutsr"))[y],
        }
    )  # fmt: skip


@pytest.mark.grid
@pytest.mark.parametrize("score", ["information_gain", "gain_ratio", "gini"])
@pytest.mark.parametrize("missing", ["symbol", "drop"])
@pytest.mark.parametrize("classes", [3, 9])
def test_many_at_once_are_as_one_by_one(monkeypatch, score, missing, classes):
    frame = strange(classes=classes)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    how = {"score": score, "missing": missing}

    def batches():
        yield from (pa.Table.from_batches([b]) for b in table.to_batches(max_chunksize=40))

    slow = rank_features(batches, "y", **how)
    assert slow == rank_features(frame, "y", **how)
    seen = []
    uncut = _rank_batches.uncut
    monkeypatch.setattr(_rank_batches, "uncut", lambda *a: seen.extend(f := list(uncut(*a))) or f)
    monkeypatch.setattr(_rank_batches, "WIDE_COLUMNS", 100)
    monkeypatch.setattr(_wide, "SORTED_CELLS", 1000)
    assert rank_features(batches, "y", **how) == slow
    assert len(seen) > 50
    assert not set(seen) & {"far", "infinite", "flag", "word", "day", "g1"}
    # Too large to be held, and a class that is missing: one by one, with the same answer.
    monkeypatch.setattr(_wide, "TABLE_BYTES", table.nbytes // 2)
    seen.clear()
    assert rank_features(batches, "y", **how) == slow
    assert not seen
    monkeypatch.undo()
    y = frame["y"].where(np.arange(len(frame)) % 9 > 0)
    some = pa.Table.from_pandas(frame.assign(y=y), preserve_index=False)
    monkeypatch.setattr(_rank_batches, "WIDE_COLUMNS", 100)
    dropped = rank_features(lambda: iter([some]), "y", score=score, missing="drop")
    assert dropped == rank_features(some, "y", score=score, missing="drop")


def words(rows=157):
    """Columns of text, categories and booleans: few levels and many, gaps, blanks, doubts."""
    rng = np.random.default_rng(6)
    y = rng.integers(0, 5, rows)
    columns = {}
    for i, levels in enumerate([1, 2, 3, 5, 8, 9, 17, 40, 130, 2000]):
        for gap in (0, 0.3, 1):
            code = np.where(rng.random(rows) < 0.3, y, rng.integers(0, levels, rows)) % levels
            text = np.array([f"level {k} of {i}" for k in code], dtype=object)
            text[rng.random(rows) < gap] = None
            columns[f"text {levels} {gap}"] = pa.array(text, pa.string())
            columns[f"kind {levels} {gap}"] = pa.array(text[::-1], pa.string()).dictionary_encode()
            flag = [None if v is None else bool(k % 2) for v, k in zip(text, code, strict=True)]
            columns[f"flag {levels} {gap}"] = pa.array(flag, pa.bool_())
    some = rng.integers(0, 4, rows)
    doubted = {
        "numbers of four": ["1", "2", "3", "x"],
        "flags": ["true", "True", "no", "TRUE"],
        "money": ["$.", "$1", "$2", "x"],
        "empty": [""] * 4,
    }
    for name, levels in doubted.items():
        columns[name] = pa.array(np.array(levels, dtype=object)[some], pa.string())
    order = pa.array(["zz", "b", "unused", "a"])
    columns["order"] = pa.DictionaryArray.from_arrays(
        pa.array(np.array([3, 0, 1])[some % 3]), order
    )
    twice = pa.array(["a", "b", "a", None])
    columns["twice"] = pa.DictionaryArray.from_arrays(pa.array(some), twice)
    numbers = pa.array([3, 1, 2, 9])
    columns["numbers"] = pa.DictionaryArray.from_arrays(pa.array(some), numbers)
    columns["y"] = pa.array(np.array(list("zyxwv"))[y])
    return pa.table(columns)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("missing", ["symbol", "drop"])
def test_text_of_many_columns_is_as_one_by_one(monkeypatch, score, missing):
    table = words()
    if missing == "drop":  # a column without a value would be refused
        table = table.drop_columns(
            [n for n in table.column_names if n.endswith(" 1") or n == "twice"]
        )

    def ranked():
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = rank_features(
                lambda: iter([table]), "y", score=score, missing=missing, base=base
            )
        return found, [str(one.message) for one in said]

    base = 2 if score == "information_gain" else math.e
    slow = ranked()
    told = []
    by_text = _rank_batches.text_scores
    monkeypatch.setattr(_rank_batches, "WIDE_COLUMNS", 10)
    monkeypatch.setattr(_wide, "SORTED_CELLS", 1000)
    monkeypatch.setattr(
        _rank_batches, "text_scores", lambda *a, **k: told.extend(f := list(by_text(*a, **k))) or f
    )
    assert ranked() == slow
    names = {one.name for one in told}
    expected = {"text", "kind", "flag", "order", "empty"}
    assert {name.split()[0] for name in names} == expected
    gaps = ("0", "0.3", "1") if missing == "symbol" else ("0",)
    assert len(names) == 3 * 10 * len(gaps) + 2
    assert any("amounts of money" in one for one in slow[1])
    assert any("numbers" in one for one in slow[1])


def test_sums_of_stretches_are_those_of_each_by_itself():
    rng = np.random.default_rng(0)
    sizes = [*range(1, 300), 7, 8, 9, 1000, 5]
    values = rng.normal(size=sum(sizes)) * 10.0 ** rng.integers(-9, 9, sum(sizes))
    first = np.cumsum(sizes) - sizes
    alone = [part.sum() for part in np.split(values, first[1:])]
    assert _sums(values, first).tolist() == alone


def test_first_cuts_are_those_of_the_columns_alone():
    rng = np.random.default_rng(0)
    for classes in (1, 2, 11):
        y = np.sort(rng.integers(0, classes, 90))
        _, y = np.unique(y, return_inverse=True)
        values = np.round(rng.normal(size=(80, 90)) + y * rng.random((80, 1)), 1)
        values[0] = 3.0
        alone = [bool(mdl_cuts(v, y, np.ones(90))) for v in values]
        assert first_cuts(values, y).tolist() == alone
    assert first_cuts(np.ones((2, 1)), np.zeros(1, np.int64)).tolist() == [False, False]


def test_a_file_is_opened_once_for_its_names_and_its_rows(tmp_path, monkeypatch):
    frame = strange().drop(columns=["day", "infinite"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    opened = []
    scan = _table.scan
    monkeypatch.setattr(_table, "scan", lambda *a, **k: opened.append(a) or scan(*a, **k))
    file = TableFile(tmp_path / "t.csv", TableOptions(), text=["y"])
    assert file.columns() == list(frame)
    found = rank_features(file.counted, "y")
    assert len(opened) == 1
    again = rank_features(file.counted, "y")  # the batches come from the start each time
    assert len(opened) == 2
    assert again == found


def test_text_of_many_columns_is_read_column_by_column_once():
    words = pa.array(["a", "", "b"])
    table = pa.table({f"c{i}": words for i in range(20_000)} | {"n": [1, 2, 3]})
    found = _table.blanks_as_missing(table, "t.csv")  # a column at a time it took minutes
    assert found.column("c19999").to_pylist() == ["a", None, "b"]
    assert found.schema == table.schema


def test_a_file_of_many_columns_is_read_in_large_blocks(tmp_path):
    rows = 40
    names = [f"a_column_with_a_long_name_{i}" for i in range(3000)]
    line = ",".join(["1234.5678901"] * 3000)
    text = ",".join(names) + "\n" + "\n".join([line] * rows) + "\n"
    (tmp_path / "t.csv").write_text(text)
    assert [len(batch) for batch in _table.scan(tmp_path / "t.csv")] == [rows]
    with_eight = text + "\n".join([line] * 300) + "\n"  # past one block of 8 MB
    (tmp_path / "t.csv").write_text(with_eight)
    assert [len(batch) for batch in _table.scan(tmp_path / "t.csv")] == [rows + 300]
