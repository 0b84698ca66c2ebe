"""CSV files as spreadsheets write them: what is said of a file is how it is read, or it is refused."""

import gzip

import pytest

from xent import _table
from xent._table import Csv
from xent._table.files import compression

GERMAN = "\ufeffName;Größe;Tag\nÄnne;1,5;2024-01-31\n?;?;2024-02-01\n;-2;\n"
READ = {"Name": ["Änne", None, None], "Größe": [1.5, None, -2.0]}


@pytest.mark.parametrize("encoding", ["utf8", "utf16", "cp1252"])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_a_spreadsheets_csv(tmp_path, encoding, ending):
    path = tmp_path / f"t{ending}"
    text = GERMAN if encoding == "utf8" else GERMAN.removeprefix("\ufeff")
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    csv = Csv(";", ",", ("?",), encoding)
    for table in (_table.read(path, csv=csv), next(_table.scan(path, csv=csv))):
        found = _table.blanks_as_missing(table, path, csv).to_pydict()
        assert {name: found[name] for name in READ} == READ
        assert [str(day) for day in found["Tag"]] == ["2024-01-31", "2024-02-01", "None"]
    assert _table.names(path, csv=csv) == ["Name", "Größe", "Tag"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"separator": ";;"}, "`separator` must be one ASCII character, got ';;'."),
        ({"decimal": "٫"}, "`decimal` must be one ASCII character, got '٫'."),
        ({"encoding": "utf9"}, "`encoding` must be an encoding of text, got 'utf9'. Some are"),
        ({"encoding": "hex"}, "`encoding` must be an encoding of text, got 'hex'. Some are"),
        ({"decimal": ","}, "`DATA` must separate its columns by commas, got semicolons in"),
        ({}, "`DATA` must separate its columns by commas, got semicolons in"),
        (
            {"separator": ";", "decimal": ",", "encoding": "ascii"},
            "line 1 is not ascii (byte 0xef)",
        ),
    ],
)
def test_what_cannot_be(tmp_path, options, sentence):
    path = tmp_path / "t.csv"
    path.write_text(GERMAN, encoding="utf8")
    for read in (_table.read, lambda *a, **k: list(_table.scan(*a, **k))):
        with pytest.raises(ValueError) as caught:
            read(path, csv=Csv(**options), argument="DATA")
        assert sentence in str(caught.value)


@pytest.mark.parametrize("name", ["separator", "decimal"])
def test_signs_between_and_within_columns(name):
    for sign in ("", "ab", "\r", "\n", '"', "é"):
        with pytest.raises(ValueError, match=f"`{name}` must be one ASCII character, got"):
            Csv(**{name: sign})
    for sign in (";", "\t", "|", " ", "'", ","):
        assert getattr(Csv(**{name: sign}), name) == sign
    assert [Csv().between(kind) for kind in (".csv", ".tsv")] == [",", "\t"]
    assert Csv(decimal=",").between(".tsv") == "\t"
    with pytest.raises(ValueError, match="must differ from the decimal point, got '\\|' for both"):
        Csv("|", "|").between(".tsv")


def test_as_many_commas_as_semicolons_are_between_columns(tmp_path):
    """The advice on semicolons is for a header that has more of them."""
    path = tmp_path / "t.csv"
    for header, semicolons in (("a;b,c", False), ("a;b;c,d", True), ("a;b,c,d", False)):
        path.write_text(f"{header}\n1,2,3,4,5\n")
        said = "by commas, got semicolons" if semicolons else "[Ee]xpected .* columns, got 5"
        with pytest.raises(ValueError, match=said):
            _table.read(path)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_semicolons_are_wrong_where_commas_are_meant(tmp_path, name):
    """Between tabs they are text: what is wrong there is something else."""
    between = {"t.csv": ",", "t.tsv": "\t"}[name]
    (tmp_path / name).write_text(f"a;b;c{between}d\n1;2;3{between}4\n5{between}6{between}7\n")
    with pytest.raises(ValueError) as caught:
        _table.read(tmp_path / name, csv=Csv())
    assert ("semicolons in" in str(caught.value)) is (name == "t.csv")
    assert ("line 3" in str(caught.value)) is (name == "t.tsv")


@pytest.mark.parametrize(
    ("name", "lines", "sentence"),
    [
        ("t.csv", "x\ty\n1\t2\n", r"by commas, got tabs in .* Pass separator=.*t"),
        ("t.csv", "x|y\n1|2\n", r"by commas, got bars in .* Pass separator=.\|"),
        ("t.tsv", "x,y\n1,2\n", r"by tabs, got commas in .* Pass separator=.,"),
        ("t.csv", '"x";"y"\n"1";"2"\n', "by commas, got semicolons in"),
        ("t.csv", "sep=,\nx,y\n1,2\n", "its first line, 'sep=,', is no row. Take that line away"),
        ("t.csv", "sep=;\nx;y\n1;2\n", "Take that line away, and pass separator=.;"),
        ("t.csv", '"x;y"\n1\n', None),  # a name may hold what it likes
    ],
)
def test_one_column_that_holds_them_all(tmp_path, name, lines, sentence):
    (tmp_path / name).write_text(lines)
    if sentence is None:
        assert _table.read(tmp_path / name, csv=Csv()).column_names == ["x;y"]
        return
    with pytest.raises(ValueError, match=sentence):
        _table.read(tmp_path / name, csv=Csv())


@pytest.mark.parametrize("row", [1, 5, 100_000])
def test_the_first_line_that_is_not_utf8(tmp_path, row):
    """Also beyond the first block, whose types are those of the columns."""
    lines = [b"x,name"] + [b"1,Muller with some words behind his name" * 3] * 100_000
    lines[row - 1 if row == 1 else row] = b"x,M\xfcller"
    (tmp_path / "t.csv").write_bytes(b"\n".join(lines))
    line = row if row == 1 else row + 1
    for csv, advice in ((None, "Save it as UTF-8."), (Csv(), 'or pass encoding="latin1".')):
        with pytest.raises(
            ValueError, match=rf"as CSV: line {line} is not UTF-8 \(byte 0xfc\)"
        ) as e:
            _table.read(tmp_path / "t.csv", csv=csv)
        assert str(e.value).endswith(advice)
    (tmp_path / "u.csv").write_bytes("x,name\n1,a\n".encode("utf16"))
    with pytest.raises(ValueError, match=r"\(byte 0xf.\)\. Save .* or pass encoding=\"utf16\"\."):
        _table.read(tmp_path / "u.csv", csv=Csv())


@pytest.mark.parametrize("place", [12, 40, -5])
def test_damaged_gzip_is_refused_in_a_sentence(tmp_path, place):
    whole = gzip.compress("\n".join(f"{i},{i * i % 977}" for i in range(2000)).encode())
    broken = bytearray(whole)
    broken[place] ^= 255
    (tmp_path / "t.csv.gz").write_bytes(broken)
    for read in (_table.read, lambda path: list(_table.scan(path))):
        with pytest.raises(ValueError, match=r"t\.csv\.gz' cannot be read as CSV: "):
            read(tmp_path / "t.csv.gz")


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_quoted_newlines_past_the_first_block(tmp_path, monkeypatch, ending):
    from xent._table.files import dialect

    monkeypatch.setattr(dialect, "READ_BYTES", 1 << 12)
    cells = [f"line {i}\n and, {i}" if i % 3 else f"plain {i}" for i in range(3000)]
    text = "n,s\n" + "".join(f'{i},"{cell}"\n' for i, cell in enumerate(cells))
    path = tmp_path / f"t{ending}"
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    whole = _table.read(path)
    assert whole["s"].to_pylist() == cells
    parts = list(_table.scan(path))
    assert len(parts) > 5
    assert [cell for part in parts for cell in part.column(1).to_pylist()] == cells
    assert [n for part in parts for n in part.column(0).to_pylist()] == list(range(3000))


def test_whole_numbers_past_64_bits_stay_apart_where_they_are_counted(tmp_path):
    long = ["18446744073709551617", "-18446744073709551618", " +18446744073709551619 "]
    rows = [f"{n},{n},{x},7" for n, x in zip(long, ("1e30", "-2.5e30", "3"), strict=True)]
    rows.insert(1, ",5,,7")  # a blank is no number, nor against one
    path = tmp_path / "t.csv"
    path.write_text("n,t,x,s\n" + "\n".join(rows) + "\n")
    [found] = _table.scan(path, exact=True, text=["t"])
    assert [v.strip() for v in found["n"].to_pylist()] == [long[0], "", *map(str.strip, long[1:])]
    assert found["t"].to_pylist() == [long[0], "5", *long[1:]]
    assert found["x"].to_pylist() == [1e30, None, -2.5e30, 3]
    assert found["s"].to_pylist() == [7, 7, 7, 7]
    [found] = _table.scan(path)
    assert found["n"].to_pylist() == [2.0**64, None, -(2.0**64), 2.0**64]


def test_a_name_that_comes_twice_may_be_a_row(tmp_path):
    (tmp_path / "t.csv").write_text("3,3\n1,2\n")
    sentence = r"got two '3' in '.*t\.csv'"
    for csv, advice in ((Csv(), r"\. If its first line is a row, pass no_header=True\.$"), (None, r"\.$")):  # fmt: skip
        with pytest.raises(ValueError, match=sentence + advice):
            _table.read(tmp_path / "t.csv", csv=csv)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"BZh11AY&SY", "bzip2"),
        (b"BZh9\x17rE8P\x90", "bzip2"),
        (b"BZh01AY&SY", ""),  # bzip2 counts from 1
        (b"BZhx1AY&SY", ""),
        (b"BZh", ""),
        (b"BZh9 is a text", ""),
        (b"bzh91AY&SY", ""),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x1f\x8b\x07", ""),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"", ""),
    ],
)
def test_packed_files_are_known_by_their_first_bytes(head, kind):
    assert compression.of_bytes(head) == kind


def test_a_name_of_thousands_of_digits_is_doubted(tmp_path):
    (tmp_path / "t.csv").write_text("9" * 5000 + ",7\n1,2\n")
    with pytest.warns(UserWarning, match="reads like a row") as said:
        (batch,) = _table.scan(tmp_path / "t.csv")  # Python reads no whole number of so many
    assert batch.num_rows == 1
    assert len(str(said[0].message)) < 2000
