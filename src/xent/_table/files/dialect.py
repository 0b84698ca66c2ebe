"""What a CSV file does not say of itself, and what is wrong with one that cannot be read.

A comma or a semicolon, a decimal point or a decimal comma, UTF-8 or another encoding, a word for
what is missing: whoever has the file knows. Nothing is guessed; a file that is not as it was said
to be is refused with the line where that shows.
"""

import codecs
import gzip
import io
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xent import _check
from xent._table.files.encodings import SAMPLE, likely_encoding
from xent._table.files.endings import unreadable
from xent._table.files.unpacked import text_limit

READ_BYTES = 8 << 20  # bytes; the types of the columns are those of the first block
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# Of thousands of columns a block holds few rows, and each block costs a look at every column.
WIDE_HEAD, WIDE_BLOCKS = 1 << 16, 8  # bytes of a first line, and blocks that are read as one


@dataclass(frozen=True)
class Csv:
    """How a CSV file is written.

    Parameters
    ----------
    separator : str, optional
        What stands between two columns; a comma, in a .tsv a tab, where not given.
    decimal : str
        The decimal point of its numbers.
    missing : tuple of str
        Words for a missing value, besides an empty field and, in columns of numbers, NA, NaN, NULL
        and their like.
    encoding : str
        How its letters are encoded, as Python calls it.
    header : bool
        Whether its first line names the columns; where not, they are f0, f1, ...

    Raises
    ------
    ValueError
        If there can be no such file.
    """

    separator: str | None = None
    decimal: str = "."
    missing: tuple[str, ...] = ()
    encoding: str = "utf8"
    header: bool = True

    def __post_init__(self) -> None:
        for name in ("separator", "decimal"):
            sign = getattr(self, name)
            if sign is not None and not (len(sign) == 1 and sign.isascii() and sign not in '\r\n"'):
                raise _check.invalid(name, "be one ASCII character", repr(sign))
        try:
            "x".encode(self.encoding)
        except LookupError:
            must, advice = "be an encoding of text", "Some are utf8, latin1, cp1252 and utf16."
            raise _check.invalid("encoding", must, repr(self.encoding), advice) from None

    def between(self, kind: str) -> str:
        """Return the separator of a file with this ending; refuse one that is the decimal point.

        A comma may be both: then numbers stand in quotation marks.
        """
        found = self.separator or ("\t" if kind == ".tsv" else ",")
        if found == self.decimal != ",":
            must, got = "differ from the decimal point", f"{found!r} for both"
            raise _check.invalid("separator", must, got)
        return found


def open_csv(
    file: Any,
    kind: str,
    types: Mapping[str, Any],
    csv: Csv | None,
    *,
    threads: bool = True,
    wide: bool = False,
) -> Any:
    """Return a reader of a CSV's batches; other columns than ``types`` are what they look like."""
    from pyarrow import csv as arrow

    how = csv or Csv()
    # A name that is no text, as a command line may hold, is that of no column.
    known = {name: kind for name, kind in types.items() if not re.search("[\ud800-\udfff]", name)}
    convert = arrow.ConvertOptions(column_types=known, decimal_point=how.decimal)
    convert.null_values = [*convert.null_values, *how.missing]
    return arrow.open_csv(
        file,
        arrow.ReadOptions(
            block_size=READ_BYTES * (WIDE_BLOCKS if wide else 1),
            encoding=how.encoding,
            autogenerate_column_names=not how.header,
            use_threads=threads,
        ),
        arrow.ParseOptions(delimiter=how.between(kind), newlines_in_values=True),
        convert,
    )


def is_wide(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file's first line is that of thousands of columns; not of a packed one."""
    if not os.path.isfile(path):
        return False  # a pipe gives what it has but once
    with open(path, "rb") as file:
        head = file.read(WIDE_HEAD)
    return len(head) == WIDE_HEAD and b"\n" not in head


def check_csv(
    schema: Any, path: str | os.PathLike[str], kind: str, csv: Csv | None, argument: str
) -> None:
    """Refuse a CSV whose letters are not encoded as was said, or whose columns are not parted."""
    import pyarrow as pa

    first, how = schema.names[0] if schema.names else "", csv or Csv()
    if first.lower().startswith("sep=") and len(schema.names) <= 2:
        raise why_not(path, kind, "", csv, argument)
    if len(schema.names) == 1 and _other_separator(first, how.between(kind)):
        # A name in quotation marks may hold what it likes.
        head = _look(path, how.encoding)[0] if Path(path).is_file() else first
        if _other_separator(head, how.between(kind)):
            raise why_not(path, kind, "it has one column", csv, argument)
    if any(pa.types.is_binary(field.type) for field in schema):
        raise why_not(path, kind, "a column is not text", csv, argument)


def _other_separator(line: str, sign: str) -> str | None:
    """Return what separates the columns of a first line, if not the sign that is expected."""
    bare = re.sub('"[^"]*"', "", line)
    found = max(SEPARATORS, key=bare.count)
    if sign != "," and sign in bare:
        return None  # between tabs other signs are text
    return found if bare.count(found) > bare.count(sign) else None


def why_not(
    path: str | os.PathLike[str], kind: str, error: object, csv: Csv | None, argument: str
) -> ValueError:
    """Return the sentence that says why a CSV could not be read, with the line if it is known."""
    how = csv or Csv()
    if not Path(path).is_file():
        return unreadable(path, kind, error)  # a pipe, which gives what it has but once
    try:
        head, line, byte, sample = _look(path, how.encoding)
    except (OSError, EOFError, UnicodeError, zlib.error):
        return unreadable(path, kind, error)
    if line:
        utf8 = codecs.lookup(how.encoding).name == "utf-8"
        because = f"line {line} is not {'UTF-8' if utf8 else how.encoding} (byte {byte})"
        advice: _check.Words = "Save it as UTF-8."
        if csv:
            passed = _check.setting("encoding", likely_encoding(sample))
            advice = "Save it as UTF-8, or pass " + passed + "."
        return unreadable(path, kind, because, advice)
    if head.lower().startswith("sep="):  # as Excel begins a file, and reads it
        because = f"its first line, {head.strip()!r}, is no row"
        advice = "Take that line away."
        if head[4:5].strip() not in ("", how.between(kind)):
            advice = "Take that line away, and pass " + _check.setting("separator", head[4]) + "."
        return unreadable(path, kind, because, advice)
    if other := _other_separator(head, how.between(kind)):
        must = "separate its columns by " + SEPARATORS.get(sign := how.between(kind), repr(sign))
        got = f"{SEPARATORS[other]} in {str(path)!r}"
        passed = _check.setting("separator", other.replace("\t", r"\t"))
        return _check.invalid(argument, must, got, "Pass " + passed + "." if csv else "")
    told = _with_line(path, kind, error, csv)
    return unreadable(path, kind, told, _of_fields(str(told), how.between(kind)))


def _of_fields(error: str, sign: str) -> str:
    """Say what to do about a line that has too few fields, or too many."""
    found = re.search(r"Expected (\d+) columns, got (\d+): ?(.*)", error, re.DOTALL)
    if found is None:
        return ""
    most, fields, line = int(found[1]), int(found[2]), found[3].rstrip("\r\n.")
    if fields < most:
        return "Give the line all its fields, or take it away if it is no row of the table."
    if most == 1:
        return "If the first line is not the one that names the columns, take it away."
    if line.endswith(sign) and fields == most + 1:
        return f"End no line with {sign!r}, or every line, the first too."
    return f"Put a field that holds {sign!r} in quotation marks, or take away what is too much."


def _with_line(path: str | os.PathLike[str], kind: str, error: object, csv: Csv | None) -> object:
    """Return the error of a line that has too few or too many fields with the line's number."""
    import pyarrow as pa

    if "columns, got" not in str(error):
        return error
    try:
        with pa.input_stream(os.fspath(path), compression="detect") as file:
            for _ in open_csv(file, kind, {}, csv, threads=False):  # one thread counts rows
                pass
    except (pa.ArrowInvalid, OSError, UnicodeError) as numbered:
        said = str(numbered)
        if row := re.search(r"Row #(\d+)", said):
            line = _line_of_row(path, int(row[1]), (csv or Csv()).encoding)
            return said.replace(row[0], f"line {line}", 1)
        return said
    return error


def _line_of_row(path: str | os.PathLike[str], row: int, encoding: str) -> int:
    """Return the line on which a row begins: empty lines are none, a text may take several."""
    import pyarrow as pa

    rows, within = 0, False
    with pa.input_stream(os.fspath(path), compression="detect") as file:
        for number, line in enumerate(io.TextIOWrapper(file, encoding), 1):
            rows += not within and line != "\n"
            if rows == row:
                return number
            within ^= line.count('"') % 2 == 1
    return row


def _look(path: str | os.PathLike[str], encoding: str) -> tuple[str, int, str, bytes]:
    """Return the first line, the first line that cannot be decoded, its byte, and what is there."""
    opened: Any = gzip.open if Path(path).suffix.lower() == ".gz" else open
    decoder = codecs.getincrementaldecoder(encoding)()
    head = ""
    with opened(path, "rb") as file:
        sample = file.read(SAMPLE)
        file.seek(0)
        number = 1
        # A line of gigabytes is looked at in pieces, and no further than a packed file may go.
        while (line := file.readline(SAMPLE)) and file.tell() < text_limit(path):
            try:
                words = decoder.decode(line)
            except UnicodeDecodeError as bad:
                sample = sample if file.tell() <= SAMPLE else line + file.read(SAMPLE)
                return head, number, f"0x{bad.object[bad.start]:02x}", sample
            head = head or words
            number += line.endswith(b"\n")
    return head, 0, "", sample
