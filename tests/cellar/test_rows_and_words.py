"""Which line is named, which row is which, and what is written, in every kind of file and frame.

Lines are counted as an editor counts them, rows and bytes by hand.
"""

import datetime as dt
import gzip
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xent import _table
from xent._table import Csv
from xent._table.files import columns, dialect, npz, unpacked
from xent._table.frames import Frame, read_at_once
from xent._table.frames.columns import Names
from xent._table.frames.doubts import doubt_names
from xent._table.frames.levels import codes_of, merged

# ------------------------------------------------------------------ lines of files


def refusals(path, **how):
    """What is said where a file is read whole, and where it is read piece by piece."""
    said = []
    for read in (_table.read, lambda p, **o: list(_table.scan(p, **o))):
        with pytest.raises(ValueError) as caught:
            read(path, **how)
        said.append(str(caught.value))
    return said


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("text", "line", "how"),
    [
        ("a,b\n1,2\n3\n", 3, None), ('a,b\n"x\ny",2\n3\n', 4, None), ("a,b\n\n1,2\n\n\n3\n", 6, None),
        ("a,b\r\n1,2\r\n3\r\n", 3, None), ('a,b\n"x\n\n""y""\n",2\n"p,q",1\n3\n', 7, None),
        ("1,2\n3\n", 2, Csv(header=False)), ("a;b\n1;2\n3\n", 3, Csv(separator=";")),
        ("é,b\n1,2\n3,é,5\n", 3, Csv(encoding="latin1")), ("a,b\n1,x,3\n", 2, None),
    ],
)  # fmt: skip
def test_a_line_with_other_fields_is_named_as_an_editor_counts(tmp_path, text, line, how, packed):
    """Empty lines count though they are no rows, and so do the lines within a quoted text."""
    data = text.encode(how.encoding if how else "utf8")
    path = tmp_path / ("t.csv.gz" if packed else "t.csv")
    path.write_bytes(gzip.compress(data) if packed else data)
    for said in refusals(path, csv=how):
        assert f"line {line}: Expected" in said


@pytest.mark.parametrize(("packed", "block"), [(False, 1 << 12), (True, 1 << 12), (False, 8 << 20)])
def test_a_line_of_json_is_named_as_an_editor_counts(tmp_path, monkeypatch, packed, block):
    """Past Arrow's own blocks of 1 MB and past ours, and beside empty lines."""
    monkeypatch.setattr(dialect, "READ_BYTES", block)
    path = tmp_path / ("t.jsonl.gz" if packed else "t.jsonl")
    many, good = (150_000 if block > 1 << 20 else 2_000), '{"a": 1}\n'
    for text, line, what in (
        ('{"a": 1}\n{"a": }\n', 2, "Invalid value"), ('{"a": 1}\n\n  \n{"a": }', 4, "Invalid value"),
        (good * many + "\n" + '{"a": "x"}\n' + good, many + 2, "changed from number to string"),
        (good * many + "[1]\n", many + 1, "changed from object to array"),
        (good * 3 + '{"a": 1, "a": 2}\n', 4, "specified twice"),
        (good * many + '{"a": ' + "[" * 1001 + "]" * 1001 + "}\n", many + 1, "nests 1,002 lists"),
    ):  # fmt: skip
        path.write_bytes(gzip.compress(text.encode(), 1) if packed else text.encode())
        for said in refusals(path):
            assert what in said
            assert f" in line {line}." in said or f"line {line} nests" in said, said
    path.write_text("")


def test_what_looks_like_dates_first_is_text_where_it_is_text_later(tmp_path, monkeypatch):
    monkeypatch.setattr(dialect, "READ_BYTES", 1 << 12)
    path = tmp_path / "t.jsonl"
    row = '{{"n": {}, "day": "{}", "x": {}}}\n'.format
    path.write_text(
        "".join(row(i, "2024-01-02 03:04:05", i) for i in range(300)) + row(300, "soon", 1.5)
    )
    whole, parts = _table.read(path), pa.Table.from_batches(list(_table.scan(path)))
    for found in (whole, parts):
        assert found["day"].to_pylist() == ["2024-01-02 03:04:05"] * 300 + ["soon"]
        assert found["n"].to_pylist() == list(range(301))
        assert found["x"][-1].as_py() == 1.5
    path.write_text(row(1, "2024-01-02 03:04:05", 1) * 300 + row(1, "2024-01-02 03:04:06", 1))
    assert {type(v) for part in _table.scan(path) for v in part["day"].to_pylist()} == {dt.datetime}
    line = '{"a": 1, "pad": "' + "x" * (2048 - 20) + '"}\n'  # two fill a block
    assert len(line) == 2048
    path.write_text(line * 4 + '{"a": [1]}\n' * 9)
    for said in refusals(path):
        assert said.startswith(f"{str(path)!r} cannot be read as JSON lines: ")


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv"])
def test_a_byte_that_is_no_letter_is_named_with_its_line(tmp_path, name):
    sign = "\t" if name == "t.tsv" else ","
    data = b"x,name\n1,\xc3\xa9a\n2,ab\xe9d\xff\n3,\xfe\n".replace(b",", sign.encode())
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    for said in refusals(tmp_path / name):
        kind = "TSV" if name == "t.tsv" else "CSV"
        assert said.endswith(f"{name}' cannot be read as {kind}: line 3 is not UTF-8 (byte 0xe9). "
                             "Save it as UTF-8.")  # fmt: skip


# ------------------------------------------------------------------ what stands in a column


def test_words_for_what_is_missing_come_beside_arrows_own(tmp_path):
    (tmp_path / "t.csv").write_text(
        "n,s,d\n1,a,2024-01-01\nNA,?,?\n?,,NA\n-,NA,\nNULL,-,2024-01-02\n"
    )
    how = Csv(missing=("?", "-"))
    found = _table.blanks_as_missing(
        _table.read(tmp_path / "t.csv", csv=how), "t.csv", how
    ).to_pydict()
    assert found["n"] == [1, None, None, None, None]
    assert found["s"] == ["a", None, None, "NA", None]
    assert found["d"] == [dt.date(2024, 1, 1), None, None, None, dt.date(2024, 1, 2)]
    table = pa.table({"s": ["", "?", "a"]})
    assert _table.blanks_as_missing(table, "t.csv").to_pydict() == {"s": [None, "?", "a"]}
    for name in ("t.parquet", "t.npz", "t.npy", "t.arrow", "t.feather"):
        assert _table.blanks_as_missing(table, name, how) is table


def test_a_doubted_header_names_three_values(tmp_path):
    (tmp_path / "t.csv").write_text("1.5,2.5,3.5,4.5\n1,2,3,4\n")
    with pytest.warns(UserWarning, match=r"like a row: '1\.5', '2\.5', '3\.5' and 1 more\. It is"):
        _table.read(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("1.5,2.5,3.5\n1,2,3\n")
    with pytest.warns(UserWarning, match=r"like a row: '1\.5', '2\.5' and '3\.5'\. It is taken"):
        _table.read(tmp_path / "t.csv")


def test_excels_first_line_and_its_separator(tmp_path):
    for name, text, advice in (
        ("a.csv", "sep=;\na;b\n1;2\n", 'Take that line away, and pass separator=";".'),
        ("b.csv", "sep=,\na,b\n1,2\n", "Take that line away."),
        ("c.tsv", "sep=\t\na\tb\n1\t2\n", "Take that line away."),
        ("d.csv", "SEP=|\na|b\n1|2\n", 'Take that line away, and pass separator="|".'),
        ("e.csv", "sep=\na,b\n", "Take that line away."),
    ):
        (tmp_path / name).write_text(text)
        for said in refusals(tmp_path / name, csv=Csv()):
            assert f"its first line, {text.partition(chr(10))[0].strip()!r}, is no row" in said
            assert said.endswith(advice), said


@pytest.mark.parametrize(
    "ending", [".csv", ".tsv", ".jsonl", ".parquet", ".npz", ".csv.gz", ".jsonl.gz"]
)
def test_what_is_written_to_the_byte_and_read_in_any_order(tmp_path, ending):
    path = tmp_path / f"t{ending}"
    rows = {
        "b": [3, 1, 2, 5, 4],
        "é": ["x", "ü,y", 'q"', "z", "w"],
        "a": [0.5, 1.5, -2.0, 1e300, 0.0],
    }
    with _table.writing(path) as add:
        add({name: values[:2] for name, values in rows.items()})
        add({name: values[2:] for name, values in rows.items()})
    raw = path.read_bytes()
    text = gzip.decompress(raw) if ending.endswith("gz") else raw
    if ".jsonl" in ending:
        assert text.decode().splitlines() == [
            json.dumps(dict(zip(rows, row, strict=True)), ensure_ascii=False)
            for row in zip(*rows.values(), strict=True)
        ]
    elif ".csv" in ending or ending == ".tsv":
        sign = "\t" if ending == ".tsv" else ","
        assert text.decode().splitlines()[:2] == [
            sign.join(['"b"', '"é"', '"a"']), sign.join(["3", '"x"', "0.5"]),
        ]  # fmt: skip
    assert _table.read(path).to_pydict() == rows
    for wanted in (["a", "b"], ["é"], ["b", "a", "é"]):
        parts = list(_table.scan(path, wanted, batch_rows=2))
        assert all(part.schema.names == wanted for part in parts)
        assert all(0 < part.num_rows <= 2 for part in parts)
        found = {
            n: [v for part in parts for v in part.column(i).to_pylist()]
            for i, n in enumerate(wanted)
        }
        assert found == {name: rows[name] for name in wanted}


def test_text_with_one_gap_is_not_for_npz(tmp_path):
    for gaps in (1, 2):
        values = ["x", *[None] * gaps]
        with pytest.raises(
            ValueError, match=r"column 's' has gaps, and NPZ no sign for them\. Take"
        ):
            _table.write(tmp_path / "t.npz", {"s": np.array(values, object)})
    assert list(tmp_path.iterdir()) == []
    _table.write(tmp_path / "t.npz", {"s": np.array(["x", "yz"], object)})
    assert _table.read(tmp_path / "t.npz")["s"].to_pylist() == ["x", "yz"]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(11,), (11, 3), (11, 2, 2)])
def test_a_stretch_of_an_array(tmp_path, order, shape):
    values = np.asarray(np.arange(np.prod(shape), dtype=np.int32).reshape(shape), order=order)
    np.save(tmp_path / "t.npy", values)
    flat = values.reshape(11, -1)
    for start, stop in ((0, None), (3, None), (0, 5), (4, 9), (10, 11), (2, 99), (11, None)):
        parts = list(npz.scan_arrays(tmp_path / "t.npy", None, 4, start=start, stop=stop))
        found = [
            list(row) for part in parts for row in zip(*part.to_pydict().values(), strict=True)
        ]
        assert found == flat[start:stop].tolist()
        assert all(len(part) <= 4 for part in parts)
    np.savez(tmp_path / "t.npz", a=values, b=np.arange(12))
    with pytest.raises(ValueError, match="'a' has 11 rows and 'b' has 12"):
        _table.read(tmp_path / "t.npz")


def test_which_number_is_none_and_where_it_stands():
    table = pa.table({"a": [1.0, -np.inf, np.inf], "b": ["1,5", "2", "2,5"], "c": ["1", "x", "y"]})
    for name, masked, said in (
        ("a", True, "got inf at row 102"), ("a", False, "got -inf at row 101"),
        ("b", False, "got '1,5' at row 100. If its decimals are commas, pass decimal=\",\"."),
        ("c", False, "got 'x' at row 101. Do so."),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"hold numbers in column '{name}'") as caught:
            columns.numbers(table, [name], masked=masked, first=100, advice="Do so.")
        assert said in str(caught.value)
    assert columns.numbers(table.slice(0, 2), ["a"], masked=True).tolist() == [[1.0], [-np.inf]]
    coded = pa.array(["a", "b", "b", "a", None, None]).dictionary_encode()
    with pytest.raises(ValueError, match="every row of column 'k', got a missing value at row 4"):
        columns.categories(pa.table({"k": coded}), "k")


@pytest.mark.parametrize(
    ("name", "said"),
    [("t.arrow.gz", ".gz"), ("t.feather.gz", ".gz"), ("t.parquet.gz", ".gz"), ("t.npz.gz", ".gz")],
)
def test_what_is_packed_within_itself_is_not_packed_again(tmp_path, name, said):
    (tmp_path / name).write_bytes(gzip.compress(b"x"))
    with pytest.raises(ValueError, match=r"`path` must end in '\.parquet', '\.csv'"):
        _table.read(tmp_path / name)


@pytest.mark.parametrize("times", [2, 3])
def test_a_name_that_comes_several_times_is_named(tmp_path, times):
    (tmp_path / "t.csv").write_text("b," + ",".join(["a"] * times) + "\nx" + ",y" * times + "\n")
    for said in refusals(tmp_path / "t.csv"):
        assert (
            f"`path` must name every column once, got two 'a' in {str(tmp_path / 't.csv')!r}"
            in said
        )


def test_bytes_of_one_length_are_as_large_as_they_are(tmp_path):
    """A thousand times one text of 1,000 bytes is a megabyte in memory, and some bytes in a file."""
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"b": pa.array([b"x" * 1000] * 1000, pa.binary(1000))}), path)
    assert path.stat().st_size < 20_000
    with unpacked.up_to(990_000), pytest.raises(ValueError, match="would be larger than 1 MB"):
        _table.read(path)
    with unpacked.up_to(1_010_000):
        assert len(_table.read(path)) == 1000


# ------------------------------------------------------------------ frames


def test_moments_before_1970_keep_their_parts():
    """Microseconds since 1970, of nanoseconds too: -1 ns is -0.001."""
    for value, want in (
        (-1, -0.001),
        (-1001, -1.001),
        (1500, 1.5),
        (-1_000_000, -1000.0),
        (0, 0.0),
    ):
        frame = Frame(pa.table({"t": pa.array([value, None], pa.timestamp("ns"))}))
        found = frame.column("t").floats()
        assert found[0] == pytest.approx(want, abs=1e-12)
        assert np.isnan(found[1])


def test_whole_numbers_of_64_bits_keep_their_sign():
    for values, dtype in (([2**64 - 1, 1], pa.uint64()), ([-(2**63), 2**63 - 1], pa.int64())):
        found = Frame(pa.table({"n": pa.array(values, dtype)})).column("n").whole()
        assert found.tolist() == values
    for values, dtype in (
        ([2**63 - 1, -(2**63)], "Int64"), ([2**63, 0], "Int128"), ([-(2**63) - 1, 0], "Int128"),
    ):  # fmt: skip
        column = Frame({"n": np.array(values, object)}).column("n")
        assert column.dtype == dtype
        assert column.objects() == values


def test_levels_of_an_enum_keep_their_order_and_their_rows():
    kind = pl.Enum(["low", "middle", "high", "never"])
    values = ["high", "low", None, "high", "middle"]
    names = Frame(pl.DataFrame({"k": pl.Series(values, dtype=kind)})).column("k").names()
    assert names.levels == ["low", "middle", "high", "never"]
    assert names.declared
    assert [None if c < 0 else names.levels[c] for c in names.codes.tolist()] == values


def test_moments_of_a_zone_are_instants():
    """05:00 in New York in winter is 10:00 UTC; a date among moments is its midnight."""
    zone = pd.Series(pd.to_datetime(["2024-01-15 05:00"])).dt.tz_localize("America/New_York")
    column = Frame(pd.DataFrame({"t": zone})).column("t")
    want = dt.datetime(2024, 1, 15, 10, tzinfo=dt.UTC).timestamp() * 1e6
    assert column.floats().tolist() == [want]
    assert column.zoned
    mixed = [dt.date(2024, 1, 15), dt.datetime(2024, 1, 15, 6), None]
    found = Frame({"t": mixed}).column("t").floats()
    midnight = dt.datetime(2024, 1, 15, tzinfo=dt.UTC).timestamp() * 1e6
    assert found[:2].tolist() == [midnight, midnight + 6 * 3600e6]


def test_cells_are_text_where_one_of_them_is():
    for cells, kind in (
        (["a", 1, None], "name"), ([1, "a", True], "name"), ([True, 1, 2.5], "number"),
        ([True, None, False], "number"),
    ):  # fmt: skip
        column = Frame(np.array([[c] for c in cells], object)).column("x0")
        assert column.kind == kind
    text = Frame(np.array([["a"], [True], [1.5]], object)).column("x0").names()
    assert [text.levels[c] for c in text.codes] == ["a", "True", "1.5"]
    numbers = Frame(np.array([[True], [None], [2.5]], object)).column("x0").floats()
    assert numbers[[0, 2]].tolist() == [1.0, 2.5]


def test_levels_that_are_known_twice_or_not_at_all():
    names = Names(np.array([0, 1, -1, 2]), ["b", "new", "a"])
    assert codes_of(names, ["a", "b", "c"]).tolist() == [1, 3, 3, 0]
    assert codes_of(names, ["b", "a", "b"]).tolist() == [0, 3, 3, 1]  # the first of two
    flags = Names(np.array([0, 1, -1]), [False, True])
    assert codes_of(flags, ["TRUE", "False"]).tolist() == [1, 0, 2]
    assert codes_of(Names(np.array([0, 1, 2]), [1, 2.5, 3]), ["3", "1"]).tolist() == [1, 2, 0]
    assert merged(["true", "false"], [True]) == (False, True)
    assert merged([False, True], ["False"]) == (False, True)
    assert merged(["b"], ["a", "b"]) == ("a", "b")
    assert merged([], ["b", "a"]) == ("b", "a")
    assert merged(["b", "a"], []) == ("b", "a")


@pytest.mark.parametrize(
    ("levels", "doubted"),
    [
        ([("1", 2), ("x", 2)], False), ([("1", 3), ("x", 2)], True), ([("2024-01-02", 2), ("x", 2)], False),
        ([("2024-01-02", 3), ("later", 2)], True), ([("1", 3), ("  ", 9), ("x", 2)], True),
    ],
)  # fmt: skip
def test_half_of_the_rows_is_no_majority(levels, doubted):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert doubt_names("X", "c", levels) == doubted
    assert len(caught) == doubted
    for one in caught:
        odd = next(text for text, _ in levels if text in ("x", "later"))
        assert f"If {odd!r} means a missing value" in str(one.message)
        assert "in 3 of 5 rows of 'c'" in str(one.message)


def test_wanted_columns_come_in_the_order_asked_for():
    data = {"a": [1.0, 2.0], "f": [True, False], "b": [3, 4], "g": [False, False], "t": ["x", "y"]}
    for frame in (pd.DataFrame(data), pl.DataFrame(data), pa.table(data)):
        found = read_at_once(frame, ["b", "g", "a", "t", "f"])
        assert found.names == ["b", "g", "a", "t", "f"]
        assert found.numbers.tolist() == [[3.0, 1.0], [4.0, 2.0]]
        assert found.flags.tolist() == [[False, True], [False, False]]
        assert read_at_once(frame, ["a", "none"]) is None
    gaps = pa.table({"a": [1, None], "f": [True, None]})
    found = read_at_once(gaps)
    assert found.form.tolist() == [1, 0]
    assert np.isnan(found.numbers[1, 0])


def test_a_way_to_a_column_is_told(tmp_path):
    for name, advice in (("colr", "Did you mean 'color'?"), ("zzz", "It has 'color' and 'size'.")):
        with pytest.raises(ValueError, match="name a column of") as caught:
            columns.require(name, ["color", "size"], Path("t.csv"))
        assert str(caught.value).endswith(advice)
    assert columns.matching("s*, color", ["color", "x", "size", "s"], "t.csv") == [
        "color",
        "size",
        "s",
    ]
