"""Tables come in and go out unchanged; what is wrong with one is said with its column and row."""

import datetime as dt
import gzip
import io
import json
import os
import re
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from xent import _table

COLUMNS = {
    "x": np.array([0.1, -2.5, 3e300]),
    "n": np.array([1, 2, 2**53 + 1]),
    "flag": np.array([True, False, True]),
    "name": np.array(["plain", 'comma, "quote"\nand line', "ünï 猫"]),
}


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".jsonl", ".npz"])
def test_round_trip(tmp_path, ending):
    path = tmp_path / f"t{ending}"
    _table.write(path, COLUMNS)
    table = _table.read(path)
    assert table.column_names == list(COLUMNS)
    for name, values in COLUMNS.items():
        assert table.column(name).to_pylist() == values.tolist()
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl", ".npz"])
def test_scan_is_read_in_batches(tmp_path, ending):
    path = tmp_path / f"t{ending}"
    _table.write(path, {"a": np.arange(1000), "b": np.arange(1000) / 7})
    batches = list(_table.scan(path, ["b"], batch_rows=300))
    assert max(batch.num_rows for batch in batches) <= 300
    assert all(batch.schema.names == ["b"] for batch in batches)
    values = np.concatenate([batch.column("b").to_numpy() for batch in batches])
    np.testing.assert_array_equal(values, np.arange(1000) / 7)
    with pytest.raises(ValueError, match=r"name a column of .* got 'c'"):
        list(_table.scan(path, ["c"]))


def test_json_lines_that_are_not_utf8_are_refused(tmp_path):
    """pyarrow takes such bytes for text, and fails where they are looked at."""
    (tmp_path / "t.jsonl").write_bytes(b'{"a": 1, "y": "u"}\n{"a": 2, "y": "q\xff\xfe"}\n')
    sentence = r"t.jsonl' cannot be read as JSON lines: it is not UTF-8"
    for reader in (_table.read, lambda path: list(_table.scan(path))):
        with pytest.raises(ValueError, match=sentence):
            reader(tmp_path / "t.jsonl")


def test_gzip_is_read(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,x\n2,y\n"))
    assert _table.read(path).to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


def test_npz_matrices_become_columns(tmp_path):
    np.savez(tmp_path / "t.npz", p=np.eye(3), y=np.arange(3))
    table = _table.read(tmp_path / "t.npz")
    assert table.column_names == ["p_0", "p_1", "p_2", "y"]
    np.testing.assert_array_equal(_table.numbers(table, ["p_0", "p_1", "p_2"]), np.eye(3))


@pytest.mark.parametrize(
    "dtype", [">f8", ">i4", ">f2", ">U3", ">M8[us]", "M8[Y]", "M8[h]", "m8[W]"]
)
def test_npz_of_other_machines_and_units(tmp_path, dtype):
    given = np.array(["1", "0", "2"], "U1").astype(int).astype(dtype)
    np.savez(tmp_path / "t.npz", a=given)
    read = _table.read(tmp_path / "t.npz").column("a").to_numpy(zero_copy_only=False)
    assert read.tolist() == given.tolist() or (read == given).all()


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.zeros(2, complex), "'a' holds complex numbers, not columns"),
        (np.zeros(2, [("x", int), ("y", float)]), "'a' holds records, not columns"),
        (np.zeros(2, "V8"), "'a' holds records, not columns"),
        (np.longdouble([1]) / 3, "'a' holds more digits than float64 has"),
        (np.ones(2, "M8[ps]"), "'a' holds times in 'ps' that nanoseconds or 64 bits do not hold"),
    ],
)
def test_npz_of_what_is_no_column(tmp_path, array, why):
    if array.dtype.kind == "f" and array.dtype.itemsize == 8:
        pytest.skip("long doubles are doubles here")
    np.savez(tmp_path / "t.npz", a=array)
    with pytest.raises(ValueError, match=re.escape(f"t.npz' cannot be read as NPZ: {why}.")):
        _table.read(tmp_path / "t.npz")


def test_npz_that_lies(tmp_path):
    plain = io.BytesIO()
    np.save(plain, np.zeros(3))
    members = {
        "none.npz": ("a.txt", b"hello"),
        "bad.npz": ("a.npy", b"\x93NUMPY bad"),
        "cut.npz": ("a.npy", plain.getvalue()[:-3]),
    }
    for name, (member, content) in members.items():
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(member, content)
        with pytest.raises(ValueError, match=f"{name}' cannot be read as NPZ: "):
            _table.read(tmp_path / name)
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        huge, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
    )
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("a.npy", huge.getvalue() + bytes(64))
    with pytest.raises(ValueError, match=r"'a\.npy' in it is not as long as it says"):
        _table.read(tmp_path / "huge.npz")


def test_npz_names_that_collide_are_refused(tmp_path):
    np.savez(tmp_path / "t.npz", X=np.eye(2), X_0=np.arange(2))
    with pytest.raises(ValueError, match="two 'X_0'"):
        _table.read(tmp_path / "t.npz")
    np.savez(tmp_path / "s.npz", X=np.float64(1))
    with pytest.raises(ValueError, match="'X' is a single number"):
        _table.read(tmp_path / "s.npz")


def test_text_columns_stay_text(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n01,1\n")
    assert _table.read(tmp_path / "t.csv", text=["a"]).to_pydict() == {"a": ["01"], "b": [1]}


def test_huge_integers_are_numbers():
    table = pa.table({"id": [2**62, 2**62 + 1]})
    np.testing.assert_array_equal(_table.numbers(table, ["id"]), [[2.0**62], [2.0**62]])


def test_numbers_takes_every_numeric_kind():
    table = pa.table({"i": [1, 2], "f": [0.5, 1.5], "b": [True, False]})
    np.testing.assert_array_equal(
        _table.numbers(table, ["b", "f", "i"]), [[1, 0.5, 1], [0, 1.5, 2]]
    )


def test_categories():
    table = pa.table(
        {
            "s": ["a", "b"],
            "i": [3, 1],
            "b": [True, False],
            "d": pa.array(["x", "y"]).dictionary_encode(),
        }
    )
    assert _table.categories(table, "s").tolist() == ["a", "b"]
    assert _table.categories(table, "i").tolist() == [3, 1]
    assert _table.categories(table, "b").tolist() == [True, False]
    assert _table.categories(table, "d").tolist() == ["x", "y"]


def test_patterns():
    names = ["p_a", "y", "p_b", "q"]
    assert _table.matching("p_*", names, "f") == ["p_a", "p_b"]
    assert _table.matching("q, p_a", names, "f") == ["p_a", "q"]
    with pytest.raises(ValueError, match="got 'z'"):
        _table.matching("q,z", names, "f")


def refuse(path, content, sentence, work=_table.read):
    path.write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        work(path)
    assert sentence in str(caught.value), str(caught.value)


def test_unreadable_files(tmp_path):
    refuse(tmp_path / "e.csv", b"", "cannot be read as CSV: Empty CSV file.")
    refuse(tmp_path / "r.csv", b"a,b\n1\n", "cannot be read as CSV: CSV parse error")
    refuse(tmp_path / "d.csv", b"a,a\n1,2\n", "`path` must name every column once, got two 'a'")
    refuse(tmp_path / "p.parquet", b"PAR1 no", "cannot be read as PARQUET")
    refuse(tmp_path / "j.jsonl", b'{"a": 1}\n{"a"', "cannot be read as JSON lines")
    refuse(tmp_path / "z.npz", b"PK no", "cannot be read as NPZ: it is not an archive of arrays.")
    refuse(tmp_path / "s.csv", b"a;b\n1;2\n", "`path` must separate its columns by commas")
    refuse(
        tmp_path / "l.csv",
        "naïve,b\n1,2\n".encode("latin-1"),
        "line 1 is not UTF-8 (byte 0xef). Save it as UTF-8.",
    )
    for work in (_table.read, lambda path: list(_table.scan(path))):
        refuse(tmp_path / "d.csv", b"a,a\n1,2\n", "two 'a'", work)
    refuse(tmp_path / "t.docx", b"", "`path` must end in '.parquet', '.csv'")
    for name, way_out in (
        ("t.xlsx", "t.xlsx'. Save the sheet as CSV."),
        ("t.arff", "t.arff'. Weka saves it as CSV, where ? is a missing value."),
        ("t.RDS", "t.RDS'. In R `write.csv(x"),
        ("t.json", "Write one object a line"),
        ("t.PKL", "may run anything when read. pandas reads it"),
        ("t.csv.zip", "Unpack it first"),
        ("t.pt", "by `numpy.savez`"),
        ("t.data", "name it .csv"),
    ):
        refuse(tmp_path / name, b"", way_out)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        _table.read(tmp_path / "missing.csv")
    with pytest.raises(ValueError, match="`path` must name a file, got the folder"):
        _table.read(tmp_path)


def test_pickled_arrays_are_never_loaded(tmp_path):
    np.savez(tmp_path / "t.npz", a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(ValueError, match="it holds Python objects, which are never loaded"):
        _table.read(tmp_path / "t.npz")


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (["1", "2", "x"], "`columns` must hold numbers in column 'c', got 'x' at row 2."),
        (["1", "2"], "`columns` must hold numbers in column 'c', got '1' at row 0."),
        ([None, None], "`columns` must hold numbers in column 'c', got a missing value at row 0."),
        (
            [1.0, None, 2.0],
            "`columns` must hold numbers in column 'c', got a missing value at row 1.",
        ),
        (["1", "inf"], "`columns` must hold numbers in column 'c', got 'inf' at row 1."),
        ([1, 2, None], "`columns` must hold numbers in column 'c', got a missing value at row 2."),
        ([1.0, float("nan")], "`columns` must hold numbers in column 'c', got nan at row 1."),
        ([1.0, float("inf")], "`columns` must hold numbers in column 'c', got inf at row 1."),
    ],
)
def test_no_numbers(column, sentence):
    with pytest.raises(ValueError) as caught:
        _table.numbers(pa.table({"c": column}), ["c"])
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (
            ["a", None],
            "`target` must hold a class in every row of column 'c', got a missing value at row 1.",
        ),
        (
            [0.5, 1.0],
            "`target` must hold classes (text, integers or booleans) in column 'c', got double. Write them as integers or text.",
        ),
    ],
)
def test_no_categories(column, sentence):
    with pytest.raises(ValueError) as caught:
        _table.categories(pa.table({"c": column}), "c")
    assert str(caught.value) == sentence


def test_a_missing_column_is_suggested():
    with pytest.raises(ValueError) as caught:
        _table.require("labl", ["label", "x"], "data.csv", argument="--target")
    assert str(caught.value) == (
        "`--target` must name a column of 'data.csv', got 'labl'. Did you mean 'label'?"
    )


@pytest.mark.parametrize("ending", [".csv", ".tsv.gz", ".parquet", ".jsonl", ".npz"])
def test_pieces_make_one_table(tmp_path, ending):
    day = dt.date(2024, 2, 29)
    names = pa.array(["red", "blue", "red"]).dictionary_encode()
    objects = np.array(["a", "b", "c"], dtype=object)
    with _table.writing(tmp_path / f"t{ending}") as add:
        for start in (0, 2):
            cut = slice(start, start + 2)
            add({"name": names[cut], "object": objects[cut], "day": pa.array([day] * 3)[cut]})
    found = _table.read(tmp_path / f"t{ending}").to_pydict()
    assert found["name"] == ["red", "blue", "red"]
    assert found["object"] == ["a", "b", "c"]
    assert [str(d)[:10] for d in found["day"]] == ["2024-02-29"] * 3


def test_a_table_that_is_not_finished_is_not_there(tmp_path):
    with pytest.raises(KeyboardInterrupt), _table.writing(tmp_path / "t.csv") as add:  # noqa: PT012
        add({"x": [1]})
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_text_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("name,y\nmüsli,1\n,2\n".encode("latin-1"))
    sentence = r"t.csv' cannot be read as CSV: line 2 is not UTF-8"
    with pytest.raises(ValueError, match=sentence):
        _table.read(path)
    with pytest.raises(ValueError, match=sentence):
        next(_table.scan(path))
    path.write_text("a,a\n1,2\n")
    for reader in (_table.read, lambda *a, **k: next(_table.scan(*a, **k))):
        with pytest.raises(ValueError, match=r"`TABLE` must name every column once, got two 'a'"):
            reader(path, argument="TABLE")


def test_lists_that_begin_with_null_keep_it(tmp_path):
    """As servers of language models write them; pyarrow 26 by itself loses what stands first."""
    lists = [[None, -2.5, -0.25], [None, -0.5], [None], [-1.0, None]]
    path = tmp_path / "served.jsonl"
    path.write_text("".join(f'{{"a": {json.dumps(row)}}}\n' for row in lists))
    table = _table.read(path)
    table.validate(full=True)
    assert table["a"].to_pylist() == lists
    (scanned,) = _table.scan(path, None, 100)
    assert scanned["a"].to_pylist() == lists


# ------------------------------------------------------------------ what unpacks to far more


def bomb(path):
    """Write a file that is small and becomes eight megabytes."""
    kind = path.name.partition(".")[2]
    if kind == "parquet":
        pa.parquet.write_table(pa.table({"a": np.zeros(1 << 20)}), path)
    elif kind == "npz":
        np.savez_compressed(path, a=np.zeros(1 << 20))
    else:
        line = b'{"a": 1}\n' if kind == "jsonl.gz" else b"a\n" if kind == "csv.gz" else b"0"
        rest = line if kind == "jsonl.gz" else b"0\n" if kind == "csv.gz" else b"0"
        path.write_bytes(gzip.compress(line + rest * ((8 << 20) // len(rest)), 1))


@pytest.mark.parametrize("name", ["t.csv.gz", "t.jsonl.gz", "t.parquet", "t.npz"])
def test_what_unpacks_to_far_more_is_refused(tmp_path, monkeypatch, name):
    from xent._table.files import unpacked

    path = tmp_path / name
    bomb(path)
    assert path.stat().st_size < 80_000
    whole = _table.read(path).num_rows
    assert whole >= 900_000
    monkeypatch.setattr(unpacked, "TEXT_BYTES", 1 << 20)
    monkeypatch.setattr(unpacked, "ARRAY_BYTES", 1 << 20)
    monkeypatch.setattr(unpacked, "TEXT_TIMES", 10)
    monkeypatch.setattr(unpacked, "ARRAY_TIMES", 10)
    with pytest.raises(ValueError, match=f"{name}' cannot be read: it is packed, and unpacked it"):
        _table.read(path)
    if name in ("t.parquet", "t.npz"):  # come in pieces, however long they are
        assert sum(batch.num_rows for batch in _table.scan(path)) == whole
    else:
        with pytest.raises(ValueError, match=r"would be larger than \d MB\. Where it is trusted"):
            list(_table.scan(path))
    with unpacked.up_to(16 << 20):
        assert _table.read(path).num_rows == whole
    with unpacked.up_to(1 << 19), pytest.raises(ValueError, match="larger than 1 MB"):
        _table.read(path)


def test_a_large_file_may_become_many_times_larger(tmp_path, monkeypatch):
    from xent._table.files import unpacked

    monkeypatch.setattr(unpacked, "TEXT_BYTES", 0)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a\n" + os.urandom(50_000).hex("\n").encode()))
    assert _table.read(path).num_rows == 50_000


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz"])
def test_a_line_of_json_without_an_end(tmp_path, name):
    data = b'{"a": 1}\n{"a": "' + b"x" * (20 << 20)
    (tmp_path / name).write_bytes(gzip.compress(data, 1) if name.endswith("gz") else data)
    with pytest.raises(ValueError, match=r"as JSON lines: line 2 is longer than 8 MB\."):
        list(_table.scan(tmp_path / name))


def test_a_header_of_npz_that_no_python_reads(tmp_path):
    whole = io.BytesIO()
    np.save(whole, np.arange(3.0))
    broken = whole.getvalue().replace(b"'shape'", b"(((((((")
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("a.npy", broken)
    with pytest.raises(ValueError, match=r"t\.npz' cannot be read as NPZ: "):
        _table.read(tmp_path / "t.npz")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("ending", [".npz", ".npy"])
def test_arrays_come_in_pieces(tmp_path, ending, order):
    a = np.asarray(np.arange(60).reshape(10, 3, 2), order=order)
    path = tmp_path / f"a{ending}"
    np.savez(path, a=a, y=np.arange(10)) if ending == ".npz" else np.save(path, a)
    name = "a"
    flat = a.reshape(10, 6)
    for rows, start, stop in ((4, 0, None), (4, 3, 8), (100, 0, 7), (1, 9, 50)):
        if ending == ".npz" and start:
            continue  # of an archive all rows are wanted
        pieces = list(_table.scan_arrays(path, [name], rows, matrices=True, start=start, stop=stop))
        assert [len(piece) for piece in pieces[:-1]] == [rows] * (len(pieces) - 1)
        assert [row for piece in pieces for row in piece[name].to_pylist()] == flat[
            start:stop
        ].tolist()
        wide = list(_table.scan_arrays(path, [name], rows, start=start, stop=stop))
        assert wide[0].column_names == [f"a_{j}" for j in range(6)]
        found = [column.to_pylist() for column in pa.concat_tables(wide).columns]
        assert found == flat[start:stop].T.tolist()


def test_text_of_two_dimensions_is_columns_even_where_matrices_are_lists(tmp_path):
    np.savez(tmp_path / "t.npz", s=np.array([["a", "b"], ["c", "d"]]), b=np.eye(2, dtype=bool))
    table = _table.read(tmp_path / "t.npz", matrices=True)
    assert table.to_pydict() == {
        "s_0": ["a", "c"], "s_1": ["b", "d"], "b": [[True, False], [False, True]],
    }  # fmt: skip


def test_lines_with_names_of_their_own_are_refused(tmp_path):
    """As many columns as rows: 60,000 of them were a table of 3.6e9 cells, out of a megabyte."""
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f'{{"y": 1, "k{i}": 1}}\n' for i in range(60_000)))
    sentence = r"60,001 lines have 60,001 names, so that the table would be mostly empty"
    for read in (_table.read, lambda p: list(_table.scan(p))):
        with pytest.raises(ValueError, match=sentence):
            read(path)


@pytest.mark.parametrize(
    "line",
    [
        '{"a": %d, "x\\"%d": 1}',  # seen as the known name if quotes were taken as they come
        '{"a": %d, "k%d" : 1}',
        '{"a": %d, "b": {"k%d": 1}}',
    ],
)
def test_names_are_counted_however_they_are_written(tmp_path, monkeypatch, line):
    from xent._table.files import unpacked

    monkeypatch.setattr(unpacked, "TEXT_BYTES", 1 << 12)
    path = tmp_path / "t.jsonl"
    path.write_text("".join(line % (i, i) + "\n" for i in range(400)))
    with pytest.raises(ValueError, match="would be mostly empty"):
        _table.read(path)
    with unpacked.up_to(1 << 24):
        assert _table.read(path).num_rows == 400


def test_names_of_all_blocks_are_counted_together(tmp_path, monkeypatch):
    from xent._table.files import dialect, unpacked

    monkeypatch.setattr(unpacked, "TEXT_BYTES", 1 << 17)
    monkeypatch.setattr(dialect, "READ_BYTES", 1 << 10)
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f'{{"k{i}": 1}}\n' for i in range(2000)))
    with pytest.raises(ValueError, match="2,000 names"):
        list(_table.scan(path))


def test_lines_alike_are_read_whatever_stands_in_them(tmp_path, monkeypatch):
    """Colons, quotes and braces in texts are no names."""
    from xent._table.files import unpacked

    monkeypatch.setattr(unpacked, "TEXT_BYTES", 1 << 12)
    path = tmp_path / "t.jsonl"
    rows = [{"a": i, "text": f'"k{i}": {{}} \\"{i}\\":', "b": [f"{i}:"]} for i in range(400)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert _table.read(path).to_pylist() == rows


def test_texts_named_by_numbers_count_as_long_as_they_are(tmp_path):
    """A text of a megabyte, a hundred thousand times: 100 GB out of 50 KB."""
    path = tmp_path / "t.parquet"
    codes = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["x" * (1 << 20)])
    pa.parquet.write_table(pa.table({"a": codes}), path)
    assert path.stat().st_size < 200_000
    with pytest.raises(ValueError, match=r"unpacked it would be larger than 1,000 MB"):
        _table.read(path)
    batch = next(_table.scan(path))
    assert batch.num_rows <= 256  # 256 MB
    assert batch["a"][0].as_py() == "x" * (1 << 20)


def test_texts_of_which_one_is_long_are_counted_one_by_one(tmp_path, monkeypatch):
    from xent._table.files import parquet, unpacked

    words = ["x" * 100_000, *"abcdefg"]
    codes = pa.array([0] + [1 + i % 7 for i in range(99_999)], pa.int32())
    path = tmp_path / "t.parquet"
    pa.parquet.write_table(pa.table({"a": pa.DictionaryArray.from_arrays(codes, words)}), path)
    monkeypatch.setattr(parquet, "BATCH_BYTES", 1 << 20)
    said = pa.parquet.read_metadata(path).row_group(0).column(0).total_uncompressed_size
    longest, size = parquet._texts(path, 0, "a", 100_000, said)
    assert (longest, size) == (100_000, 100_000 + 99_999)
    monkeypatch.setattr(unpacked, "ARRAY_BYTES", 200_000)
    monkeypatch.setattr(unpacked, "ARRAY_TIMES", 1)
    with unpacked.up_to(500_000):
        assert _table.read(path).num_rows == 100_000


@pytest.mark.grid
@pytest.mark.parametrize("width", [3000, 1])
def test_batches_have_as_few_rows_as_their_columns_need(tmp_path, monkeypatch, width):
    from xent._table.files import parquet

    path = tmp_path / "t.parquet"
    zero = pa.array(np.zeros(1000))
    pa.parquet.write_table(pa.table({f"c{i}": zero for i in range(width)}), path)
    monkeypatch.setattr(parquet, "BATCH_BYTES", 8 * 3000 * 10)
    rows = [batch.num_rows for batch in _table.scan(path)]
    assert sum(rows) == 1000
    assert max(rows) == (10 if width == 3000 else 1000)
    assert next(_table.scan(path, ["c0"])).num_rows == 1000  # of the columns that are read


def test_lists_far_larger_than_their_file_are_refused(tmp_path):
    """Two hundred million zeros in ten rows: one batch, and one list, may hold them all."""
    path = tmp_path / "t.parquet"
    values = pa.array(np.zeros(20_000_000))
    one = pa.table({"p": pa.FixedSizeListArray.from_arrays(values, 20_000_000)})
    with pa.parquet.ParquetWriter(path, one.schema) as writer:
        for _ in range(10):
            writer.write_table(one)
    assert path.stat().st_size < 200_000
    with pytest.raises(ValueError, match=r"unpacked it would be larger than 1,000 MB"):
        _table.read(path)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.jsonl", "t.npz"])
def test_columns_beyond_number_are_refused(tmp_path, name):
    """Two million columns, four megabytes of text, took six gigabytes and ended the process."""
    from xent._table.files import unpacked

    path, number = tmp_path / name, unpacked.MOST_COLUMNS + 1
    if name == "t.npz":
        np.savez_compressed(path, a=np.zeros((1, number), np.int8))
    elif name == "t.jsonl":
        path.write_text(json.dumps({f"c{i}": 0 for i in range(number)}) + "\n")
    else:
        sign = "\t" if "tsv" in name else ","
        text = (sign.join(f"c{i}" for i in range(number)) + "\n" + sign.join("0" * number)).encode()
        path.write_bytes(gzip.compress(text, 1) if name.endswith("gz") else text)
    for read in (_table.read, lambda p: next(_table.scan(p))):
        with pytest.raises(ValueError, match=r"has more than 131,072 columns, each of which"):
            read(path)
