"""Tables that are read block by block, and packed ones: what comes late counts as what comes first."""

import bz2
import datetime as dt
import gzip
import io
import lzma
import os
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from xent import _table
from xent._check import spelling
from xent._table import Csv
from xent._table.files import compression, dialect, unpacked
from xent._table.files.blocks import check_json, read_csv, wider_type
from xent._table.frames import read_at_once
from xent._table.frames.at_once import FLAG_FORM, NUMBER_FORM, OTHER_FORM
from xent._table.frames.doubts import doubt_names, read_as_values

FIRST = 3000  # rows of a first kind: more than a block


@pytest.fixture
def _small_blocks(monkeypatch):
    monkeypatch.setattr(dialect, "READ_BYTES", 1 << 12)


LATE = {  # what a column holds first and later, and what it is read as, whole and in batches
    "whole, then real": ("1", "2.5", (1.0, 2.5), (1, 2.5)),
    "nothing, then whole": ("", "7", (None, 7), (None, 7)),
    "nothing, then text": ("", "x", ("", "x"), (None, "x")),
    "nothing, then a date": ("", "2024-02-29", (None, dt.date(2024, 2, 29)), (None, dt.date(2024, 2, 29))),
    "booleans, then text": ("true", "maybe", ("true", "maybe"), (True, "maybe")),
    "dates, then moments": (
        "2024-01-01", "2024-01-01 06:00:00",
        (dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 6)), (dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, 6)),
    ),
    "whole, then past 64 bits": ("1", "18446744073709551617", (1.0, 2.0**64), (1, 2.0**64)),
    "whole, then text": ("1", "x", ("1", "x"), None),
    "real, then text": ("0.5", "x", ("0.5", "x"), None),
}  # fmt: skip


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("case", LATE)
def test_what_a_column_holds_late(tmp_path, case):
    early, late, whole, in_batches = LATE[case]
    path = tmp_path / "t.csv"
    path.write_text("n,c\n" + f"1,{early}\n" * FIRST + f"2,{late}\n" * 2)
    found = _table.read(path)
    assert (found["c"][0].as_py(), found["c"][-1].as_py()) == whole
    assert len(found) == FIRST + 2
    if in_batches is None:
        with pytest.raises(ValueError, match=r"t\.csv' cannot be read as CSV: .*'x'"):
            list(_table.scan(path))
        return
    parts = list(_table.scan(path))
    assert len(parts) > 2
    assert sum(map(len, parts)) == FIRST + 2  # no row is given twice
    found = parts[0].column(1)[0].as_py(), parts[-1].column(1)[-1].as_py()
    assert found == in_batches
    assert type(found[0]) is type(in_batches[0])  # a date is a moment's kin


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("int64", "0.5", pa.float64()),
        ("int64", "1e3", pa.float64()),
        ("int64", "x", None),
        ("int64", "2024-01-01", None),
        ("int64", "99999999999999999999", pa.float64()),
        ("bool", "2", pa.string()),
        ("null", "2", pa.int64()),
        ("null", "true", pa.bool_()),
        ("null", "x", pa.string()),
        ("date32[day]", "2024-01-01 10:00", pa.timestamp("ns")),
        ("date32[day]", "10", None),
        ("timestamp[s]", "2024-01-01 10:00:00.5", pa.timestamp("ns")),
        ("double", "x", None),
    ],
)
def test_the_type_that_holds_both(kind, value, expected):
    assert wider_type(kind, value, exact=False) == expected
    counted = None if value == "99999999999999999999" else expected
    assert wider_type(kind, value, exact=True) == counted


def test_long_whole_numbers_of_json_lines_are_refused_where_they_are_counted(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1, "b": 0.5}\n{"a": 18446744073709551617, "b": 0.5}\n')
    assert [row for part in _table.scan(path) for row in part.column(0).to_pylist()] == [1, 2.0**64]
    with pytest.raises(
        ValueError, match=r"cannot be counted: column 'a' holds whole numbers that 64"
    ):
        list(_table.scan(path, exact=True))
    path.write_text('{"a": 1e300}\n{"a": 1.5, "b": "18446744073709551617"}')  # no end of line
    assert sum(map(len, _table.scan(path, exact=True))) == 2
    path.write_text("")
    with pytest.raises(ValueError, match="cannot be read as JSON lines: Empty JSON file"):
        list(_table.scan(path))


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("1.5,a\n2.5,b\n", "'1.5'"),
        ("-1,a\n2,b\n", "'-1'"),
        ("b,a\nb,x\n", "'b'"),
        ("3,2\n5,7\n", "'3' and '2'"),
        ("1,01\n5,7\n", "'1' and '01'"),
        ("2019,2020\n5,7\n", None),
        ("x,2\n5,7\n", None),
        ("n,m\na,b\n", None),
        (",\n1,2\n", None),
    ],
)
@pytest.mark.parametrize("header", [True, False, None])
def test_a_header_that_reads_like_a_row(tmp_path, text, row, header):
    path = tmp_path / "t.csv"
    path.write_text(text)
    csv = None if header is None else Csv(header=header)
    if row is None or header is False:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if text[0] != "," or header is False:
                _table.read(path, csv=csv)
        return
    advice = r"Write a line of names above it\." if csv is None else r"pass no_header=True\."
    with pytest.warns(
        UserWarning, match=rf"reads like a row: {row}\. It is taken as names\..*{advice}$"
    ):
        _table.read(path, csv=csv)


FRAMES = {"Arrow": pa.table, "pandas": pd.DataFrame, "polars": pl.DataFrame, "dict": dict}


@pytest.mark.parametrize("frame", FRAMES)
def test_plain_numbers_are_read_at_once(frame):
    make = FRAMES[frame]
    plain = {
        "a": np.arange(3),
        "b": np.array([0.5, np.nan, -2]),
        "c": np.arange(3, dtype=np.int8),
        "f": np.array([True, False, True]),
    }
    numbers = np.column_stack([plain["a"], plain["b"], plain["c"]])
    found = read_at_once(make(plain))
    assert (found.names, found.form.tolist()) == ([*plain], [NUMBER_FORM] * 3 + [FLAG_FORM])
    np.testing.assert_array_equal(found.numbers, numbers)
    assert found.flags.tolist() == [[True], [False], [True]]
    found = read_at_once(make(plain), ["f", "c", "a"])
    assert (found.names, found.form.tolist()) == (
        ["f", "c", "a"],
        [FLAG_FORM, NUMBER_FORM, NUMBER_FORM],
    )
    np.testing.assert_array_equal(found.numbers, numbers[:, [2, 0]])
    assert read_at_once(make(plain), ["c", "z"]) is None
    others = [2**53, 1, 2], [-(2**53), 1, 2], [0.5, np.inf, 1], ["x", "y", "z"]
    for other in map(np.array, others):
        found = read_at_once(make({"d": other, **plain}))
        assert found.form.tolist()[0] == OTHER_FORM, other
        np.testing.assert_array_equal(found.numbers, numbers)
    whole = {"a": np.array([2**53 - 1, 1]), "b": np.array([1e300, 0.5])}
    found = read_at_once(make(whole))
    assert found.numbers.tolist() == [[2.0**53 - 1, 1e300], [1, 0.5]]
    assert read_at_once(make({"a": np.array([], int)})) is None


PACKED = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
DATA = bytes(range(256)) * 300


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst", ""])
def test_what_is_packed_is_unpacked_as_from_a_pipe(tmp_path, ending):
    path = tmp_path / f"t{ending}"
    with path.open("wb") as plain, compression.writing(plain, path) as packed:
        packed.write(DATA)
        assert not plain.closed
    assert (path.read_bytes() == DATA) == (ending == "")
    again = tmp_path / f"u{ending}"
    with again.open("wb") as plain, compression.writing(plain, again) as packed:
        packed.write(DATA)
    assert again.read_bytes() == path.read_bytes()
    with path.open("rb") as raw, compression.reading(raw, str(path)) as found:
        assert found.read() == DATA

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    with compression.reading(Pipe(path.read_bytes()), "pipe") as found:
        assert found.read() == DATA
    if ending in PACKED:
        with compression.reading(io.BytesIO(PACKED[ending](DATA)), "t") as found:
            assert found.read() == DATA
    if ending:
        with (
            pytest.raises(ValueError, match="compressed data are cut short or damaged"),
            compression.reading(io.BytesIO(path.read_bytes()[:-9]), "t") as found,
        ):
            found.read()
        with (
            pytest.raises(ValueError, match=r"its name says .*, and it begins with b'text'"),
            compression.reading(io.BytesIO(b"text"), f"t{ending}"),
        ):
            pass
        with compression.reading(io.BytesIO(b""), f"t{ending}") as found:
            assert found.read() == b""


def test_rows_are_numbered_from_the_first_of_the_file():
    table = pa.table({"a": [0.0, 1.0], "b": ["0", "x"], "c": [0.0, -np.inf]})
    for name, shown in (("b", "'x'"), ("c", "-inf")):
        with pytest.raises(ValueError, match=f"in column '{name}', got {shown} at row 101"):
            _table.numbers(table, ["a", name], first=100)
    assert _table.numbers(table, ["c"], masked=True)[1] == -np.inf


def test_arrays_of_several_lengths_are_no_table(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, a=np.zeros((3, 2)), b=np.zeros(3), c=np.zeros(2))
    for read in (_table.read, lambda path: list(_table.scan_arrays(path, None, 2))):
        with pytest.raises(ValueError, match=r"t\.npz' cannot be read as NPZ: 'a' has 3 rows and 'c' has 2\."):  # fmt: skip
            read(path)
    assert len(next(_table.scan_arrays(path, ["a", "b"], 5))) == 3  # those that are wanted


DOUBTS = [  # a column, what is said of it, and what is advised
    ({"1": 3, "x": 1}, "has numbers in 3 of 4 rows of 'c', which is read as names because of 'x'", "If 'x' means a missing value, make it None where the table is read."),
    ({"1,5": 3, "2,5": 1}, "because of '1,5'", "If its decimals are commas, read it so."),
    ({"1,5": 3, "x": 1}, "because of 'x'", "read. If its decimals are commas, read it so."),
    ({"2024-01-31": 2}, "has dates in 2 of 2 rows", "Make them dates where the table is read."),
    ({"2024-01-31": 2, "?": 1}, "has dates in 2 of 3 rows", "If '?' means a missing value, make it None where the table is read."),
    *(({value: 2, "x": 2}, None, None) for value in ("1", "2024-01-31", "12 %", "3 kg")),
    ({"01": 2, "02": 2}, None, None),
    ({"a": 2, " ": 3}, None, None),
]  # fmt: skip


@pytest.mark.parametrize(("levels", "said", "advice"), DOUBTS)
def test_text_that_reads_like_numbers_or_dates_is_doubted(levels, said, advice):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert doubt_names("X", "c", levels.items()) == (said is not None)
    # Codes such as 01 read as numbers, and are text by someone's wish: no doubt is said.
    assert read_as_values(levels.items()) == (said is not None or "01" in levels)
    if said is None:
        assert not caught
        return
    [words] = [str(w.message) for w in caught]
    assert words.startswith("`X` has ")
    assert said in words
    assert words.endswith(advice)
    assert ("commas" in words) == ("commas" in advice)


@pytest.mark.parametrize("depth", [998, 999])
def test_lists_may_be_many_and_as_deep_as_is_said(tmp_path, depth):
    """What is counted is how many are inside one another, with those of the line itself."""
    beside = "[" + ",".join(["[]"] * 3000) + "]"
    check_json(
        f'{{"a": {beside}}}\n{{"a": {"[" * depth}{"]" * depth}, "b": {beside}}}'.encode(), "t"
    )
    (tmp_path / "t.jsonl").write_text(f'{{"a": {beside}, "b": 1}}\n' * 2)
    assert _table.read(tmp_path / "t.jsonl")["b"].to_pylist() == [1, 1]
    with pytest.raises(ValueError, match=r"line 2 nests 1,001 lists or objects, above 1,000"):
        check_json(f'{{"a": {beside}}}\n{{"a": {"[" * 1000}{"]" * 1000}}}'.encode(), "t")


@pytest.mark.usefixtures("_small_blocks")
def test_what_gives_its_rows_but_once_is_read_once(tmp_path, monkeypatch):
    """A column that is something else later needs a second reading, which a pipe has not."""
    (tmp_path / "t.csv").write_text("\n".join(["a,b", *["1,2"] * 9000, "x,2"]))
    assert read_csv(tmp_path / "t.csv", ".csv", (), None, lambda _: None)["a"][-1].as_py() == "x"
    monkeypatch.setattr(os.path, "isfile", lambda _: False)
    with pytest.raises(pa.ArrowInvalid, match="conversion error"):
        read_csv(tmp_path / "t.csv", ".csv", (), None, lambda _: None)


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (["2026-01-05", "2026-01-06"], "Make them dates where the table is read"),
        (["2026-1-5", "2026-01-06"], "Write them as 2026-11-30"),
        (["2026/01/05", "2026/01/06"], "Write them as 2026-11-30"),
    ],
)
def test_dates_that_no_reader_knows_are_to_be_written_otherwise(days, said):
    """On a command line; in Python all of them are made dates."""
    with spelling({"na": "--na"}), pytest.warns(UserWarning, match=rf"read as names. {said}\."):
        assert doubt_names("X", "day", [(day, 2) for day in days])
    with pytest.warns(UserWarning, match="Make them dates where the table is read"):
        assert doubt_names("X", "day", [(day, 2) for day in days])


def test_arrays_of_other_lengths_are_named(tmp_path):
    np.savez(tmp_path / "t.npz", one=np.zeros((3, 2)), other=np.zeros(3), last=np.zeros(4))
    for read in (lambda p: list(_table.scan(p)), _table.read):
        with pytest.raises(ValueError, match="'one' has 3 rows and 'last' has 4"):
            read(tmp_path / "t.npz")


def test_how_large_something_may_unpack_to(tmp_path):
    """What an outer call allows stands within; the limits themselves are within them."""
    path = tmp_path / "t.csv.gz"
    path.write_bytes(b"x" * 100)
    usual = unpacked.text_limit(path)
    with unpacked.up_to(7):
        with unpacked.up_to(None):
            assert unpacked.text_limit(path) == unpacked.cells_limit() == 7
        with unpacked.up_to(9):
            unpacked.check_sizes(path, 1, 9, 1)
            with pytest.raises(ValueError, match="unpacked it would be larger than 0 MB"):
                unpacked.check_sizes(path, 1, 10, 1)
        unpacked.check_columns(path, unpacked.MOST_COLUMNS + 1)
    assert unpacked.text_limit(path) == usual == 256_000_000
    unpacked.check_columns(path, unpacked.MOST_COLUMNS)
    with pytest.raises(ValueError, match="it has more than 131,072 columns"):
        unpacked.check_columns(path, unpacked.MOST_COLUMNS + 1)
    unpacked.check_sizes(path, 1, 1_000_000_000, 400)
    unpacked.check_sizes(path, 3_000_000, 1_200_000_000, 400)
    for packed, size in ((1, 1_000_000_001), (3_000_000, 1_200_000_001)):
        with pytest.raises(ValueError, match=r"larger than 1,[02]00 MB\."):
            unpacked.check_sizes(path, packed, size, 400)


@pytest.mark.parametrize(
    ("name", "kind", "rest"),
    [
        ("A.CSV.GZ", "gzip", "a.csv"), ("a.csv.gz", "gzip", "a.csv"), ("t.Bz2", "bzip2", "t"),
        ("t.ZST", "zstd", "t"), ("t.zstd", "zstd", "t"), ("t.XZ", "xz", "t"), ("t.csv", "", "t.csv"),
        ("gz", "", "gz"), ("T.GZ.csv", "", "t.gz.csv"),
    ],
)  # fmt: skip
def test_how_a_name_says_that_it_is_packed(tmp_path, name, kind, rest):
    """In capitals too, and what is written under it is packed so."""
    assert (compression.of_name(name), compression.without_suffix(name)) == (kind, rest)
    with open(tmp_path / name, "wb") as plain, compression.writing(plain, name) as file:
        file.write(b"some text")
    assert compression.of_bytes((tmp_path / name).read_bytes()[:10]) == kind
    with open(tmp_path / name, "rb") as raw, compression.reading(raw, name) as file:
        assert file.read() == b"some text"


def test_a_way_out_is_told_to_who_reads(tmp_path):
    for name, way in (("t.xlsx", "Save the sheet as CSV."), ("t.pkl", "A pickle may run anything")):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(ValueError, match=way):
            _table.read(tmp_path / name)
        with pytest.raises(ValueError, match=rf"`path` must end in .*, got .*{name}'\.$"):
            _table.write(tmp_path / name, {"a": np.zeros(1)})
