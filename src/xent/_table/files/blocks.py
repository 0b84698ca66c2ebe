"""Tables that are text, CSV and JSON lines, block by block.

What type a column has is known once all blocks were seen. JSON lines are therefore read twice. The
types of a CSV are those of its first block. Where a later block does not fit it is read again with
the wider type, and what was given is not given again: whole numbers become real ones, booleans
text, a column that was empty so far becomes what it holds. A type that cannot hold what was given
before (numbers that turn out to be text) is an error.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from itertools import islice
from typing import Any

from xent import _check
from xent._table.files import dialect
from xent._table.files.dialect import Csv, is_wide, open_csv
from xent._table.files.endings import unreadable
from xent._table.files.unpacked import MOST_COLUMNS, cells_limit, check_columns, unpacked

LONG = re.compile(rb"[:\s]-?\d{19,}\s*[,}\]]")  # a whole number, as JSON writes it
MOST_NESTED = 1000  # lists and objects inside one another
BRACKETS = re.compile(rb"[\[\]{}]")
QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
TEXT_OR_NAME = re.compile(
    rb'"((?:[^"\\]|\\.)*)"(\s*:)?'
)  # a text, and whether it is the name of a value
COUNTED_SINGLY = 8  # that are counted one by one
IN_ROW = re.compile(r"(.*?)\.? in row (\d+)")
MISFIT = re.compile(r"In CSV column #(\d+): .*CSV conversion error to (\S+): invalid value '(.*)'")


def scan_csv(
    path: str | os.PathLike[str], kind: str, text: Sequence[str], csv: Csv | None, *, exact: bool
) -> Iterator[Any]:
    """Read the batches of a CSV.

    Parameters
    ----------
    path : str or PathLike
        The file, which may be compressed.
    kind : str
        Its ending.
    text : sequence of str
        Columns that are text whatever they look like.
    csv : Csv, optional
        How it is written.
    exact : bool
        Columns of whole numbers that 64 bits do not hold are text, and no floats, which would take
        different ones for one.

    Yields
    ------
    pyarrow.RecordBatch
    """
    import pyarrow as pa

    types: dict[str, Any] = dict.fromkeys(text, pa.string())
    given = 0
    _check_first_line(path, (csv or Csv()).between(kind).encode())
    while True:
        with unpacked(path) as file:
            reader = open_csv(file, kind, types, csv, wide=is_wide(path))
            ahead = given
            try:
                for batch in reader:
                    if exact and not given:
                        doubtful = [name for name in _huge(batch) if name not in types]
                        found = _whole(path, kind, types, csv, doubtful) if doubtful else []
                        types |= {n: pa.string() if n in found else pa.float64() for n in doubtful}
                        if found:
                            break
                    new = batch.slice(min(ahead, batch.num_rows))
                    ahead -= batch.num_rows - new.num_rows
                    given += new.num_rows
                    if new.num_rows or not given:
                        yield new
                else:
                    return
            except pa.ArrowInvalid as error:
                misfit = MISFIT.search(str(error))
                wider = None if misfit is None else wider_type(misfit[2], misfit[3], exact=exact)
                name = "" if misfit is None else reader.schema.names[int(misfit[1])]
                if not os.path.isfile(path) or wider is None or types.get(name) == wider:
                    raise
                types[name] = wider


def _check_first_line(path: str | os.PathLike[str], separator: bytes) -> None:
    """Refuse a file whose first line has far too many fields, before any is made a column."""
    if not os.path.isfile(path):
        return  # a pipe gives what it has but once
    columns = 1
    with unpacked(path) as file:
        while piece := file.read(dialect.WIDE_HEAD):
            line, end, _ = piece.partition(b"\n")
            columns += line.count(separator)
            check_columns(path, columns)
            if end:
                return


def read_csv(
    path: str | os.PathLike[str],
    kind: str,
    text: Sequence[str],
    csv: Csv | None,
    check: Callable[[Any], None],
) -> Any:
    """Read a whole CSV: a column whose later blocks do not fit is what holds all, at last text."""
    import pyarrow as pa

    types: dict[str, Any] = dict.fromkeys(text, pa.string())
    _check_first_line(path, (csv or Csv()).between(kind).encode())
    while True:
        with unpacked(path) as file:
            reader = open_csv(file, kind, types, csv, wide=is_wide(path))
            check(reader.schema)
            try:
                return reader.read_all()
            except pa.ArrowInvalid as error:
                misfit = MISFIT.search(str(error))
                name = "" if misfit is None else reader.schema.names[int(misfit[1])]
                if misfit is None or types.get(name) == pa.string() or not os.path.isfile(path):
                    raise
                wider = wider_type(misfit[2], misfit[3], exact=False)
                fits = wider is not None and types.get(name) != wider
                types[name] = wider if fits else pa.string()


def _huge(batch: Any) -> list[str]:
    """Name the columns of real numbers that hold one past 64 bits."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_float64(column.type):
            ends = pc.min_max(column)
            if any(abs(ends[side].as_py() or 0.0) >= 2.0**63 for side in ("min", "max")):
                found.append(name)
    return found


def _whole(
    path: str | os.PathLike[str],
    kind: str,
    types: dict[str, Any],
    csv: Csv | None,
    names: list[str],
) -> list[str]:
    """Name those columns that hold whole numbers alone, as they are written in the first block."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with unpacked(path) as file:
        all_text = types | dict.fromkeys(names, pa.string())
        batch = open_csv(file, kind, all_text, csv, wide=is_wide(path)).read_next_batch()
    whole = []
    for name in names:
        written = pc.utf8_trim_whitespace(batch.column(name))
        fine = pc.or_(pc.match_substring_regex(written, r"^[+-]?\d+$"), pc.equal(written, ""))
        if pc.all(fine).as_py():
            whole.append(name)
    return whole


def wider_type(kind: str, value: str, *, exact: bool) -> Any:
    """Return the type that holds what was read as one kind and this value too, if there is one.

    The names of booleans are as good as booleans, so a stranger among these makes text of them.
    """
    import pyarrow as pa
    from pyarrow import csv

    if kind == "bool":
        return pa.string()
    if re.fullmatch(r"\s*[+-]?\d+\s*", value) and kind == "int64":
        # Past 64 bits: floats would take different ones for one.
        return None if exact else pa.float64()
    single = BytesIO(b"x\n" + value.encode() + b"\n")
    try:
        found = (
            csv.read_csv(single, parse_options=csv.ParseOptions(delimiter="\x01")).schema[0].type
        )
    except pa.ArrowInvalid:
        return None
    if kind == "null":
        return found
    if kind == "int64" and pa.types.is_float64(found):
        return found
    dates = kind.startswith(("date32", "timestamp"))
    return pa.timestamp("ns") if dates and pa.types.is_temporal(found) else None


def parse_json(data: bytes, first: int = 1, schema: Any = None) -> Any:
    """Read JSON lines, the first of them with its number in the file; an error names the line."""
    import pyarrow as pa
    import pyarrow.json

    options = pyarrow.json.ParseOptions(explicit_schema=schema)
    try:
        return pyarrow.json.read_json(pa.BufferReader(data), parse_options=options)
    except pa.ArrowInvalid as error:
        # Arrow counts rows from 0 in blocks of its own. In one block of all they are those of data.
        one = pyarrow.json.ReadOptions(use_threads=False, block_size=min(len(data) + 1, 2**31 - 1))
        said = str(error)
        try:
            pyarrow.json.read_json(pa.BufferReader(data), one, options)
        except pa.ArrowInvalid as numbered:
            said = str(numbered)
        if found := IN_ROW.fullmatch(said):
            lines = (number for number, line in enumerate(BytesIO(data), first) if line.strip())
            line = next(islice(lines, int(found[2]), None), None)
            said = f"{found[1]} in line {line}" if line else said
        raise pa.ArrowInvalid(said) from None


def check_json(data: bytes, path: str | os.PathLike[str], first: int = 1) -> None:
    """Refuse what pyarrow's parser takes though it is no UTF-8, or nests so deeply as to end it."""
    data.decode()  # the error's words are its catcher's
    _check_names(data, path)
    if data.count(b"[") + data.count(b"{") <= MOST_NESTED:
        return
    for number, line in enumerate(data.splitlines(), first):
        if len(line) <= MOST_NESTED or line.count(b"[") + line.count(b"{") <= MOST_NESTED:
            continue
        depth = deepest = 0
        for sign in BRACKETS.findall(QUOTED.sub(b"", line)):
            depth += 1 if sign in b"[{" else -1
            deepest = max(deepest, depth)
        if deepest > MOST_NESTED:
            because = f"line {number} nests {deepest:,} lists or objects, above {MOST_NESTED:,}"
            raise unreadable(path, ".jsonl", because)


def _check_names(data: bytes, path: str | os.PathLike[str]) -> None:
    """Refuse lines whose names are so many others that the table would be mostly empty.

    A table has as many columns as there are names: of lines with one of their own each, as many as
    rows, in a memory that grows with the square of the file.
    """
    rows, values = data.count(b"\n") + 1, data.count(b":")
    most = names_allowed(rows, len(data))
    if values <= min(most, MOST_COLUMNS):
        return
    first = data[: data.find(b"\n", 1)] if rows > 1 else data
    few = {name for name, named in TEXT_OR_NAME.findall(first) if named}
    if len(few) <= COUNTED_SINGLY and b'\\":' not in data:
        # In most files each line has the names of the first, which is seen at once.
        known = sum(data.count(b'"' + name + b'":') for name in few)
        clean = not any(b'\\"' + name in data for name in few)
        if clean and known == data.count(b'":') and (known == values or b'" :' not in data):
            return
    found = {name for name, named in TEXT_OR_NAME.findall(data) if named}
    check_columns(path, len(found))
    if len(found) > most:
        raise mostly_empty(path, len(found), rows)


def names_allowed(rows: int, size: int) -> int:
    """Return how many columns rows of JSON may have that are so many bytes, at 8 bytes a cell."""
    return max(cells_limit(), 8 * size) // (8 * rows)


def mostly_empty(path: str | os.PathLike[str], names: int, rows: int) -> ValueError:
    """Say that a table would have too many columns for its rows."""
    because = f"its {rows:,} lines have {names:,} names, so that the table would be mostly empty"
    advice = (
        "Write it as columns of a name and a value, or say with --unpacked how large it may be."
    )
    return _check.cannot(f"{str(path)!r} cannot be read", because, advice)


def _undated(schemas: list[Any]) -> list[Any]:
    """Return schemas in which what looks like a date is text where the column is text elsewhere."""
    import pyarrow as pa

    texts = {f.name for schema in schemas for f in schema if pa.types.is_string(f.type)}

    def plain(field: Any) -> Any:
        dated = pa.types.is_timestamp(field.type) and field.name in texts
        return field.with_type(pa.string()) if dated else field

    return [pa.schema([plain(field) for field in schema]) for schema in schemas]


def scan_json(path: str | os.PathLike[str], *, exact: bool) -> Iterator[Any]:
    """Read JSON lines block by block: once for the types of all blocks together, once for good.

    Where ``exact``, whole numbers that 64 bits do not hold are refused: they come as floats.
    """
    import pyarrow as pa

    def blocks() -> Iterator[tuple[int, bytes]]:
        """Yield the number of a block's first line, and the block."""
        rest, done = b"", 0
        with unpacked(path) as file:
            while found := file.read(dialect.READ_BYTES):
                lines, line, rest = (rest + found).rpartition(b"\n")
                first, done = done + 1, done + lines.count(b"\n") + len(line)
                if len(rest) > dialect.READ_BYTES:
                    because = f"line {done + 1} is longer than {dialect.READ_BYTES >> 20} MB"
                    raise _check.cannot(f"{str(path)!r} cannot be read as JSON lines", because)
                if line:
                    yield first, lines + line
            if rest.strip():
                yield done + 1, rest

    schemas, rows = [], 0
    for first, block in blocks():
        check_json(block, path, first)
        rows = max(rows, block.count(b"\n") + 1)
        schemas.append(parse_json(block, first).schema)
    if not schemas:
        return
    schema = pa.unify_schemas(_undated(schemas), promote_options="permissive")
    if len(schema) > names_allowed(rows, dialect.READ_BYTES):
        raise mostly_empty(path, len(schema), rows)
    for first, block in blocks():
        table = parse_json(block, first, schema)
        if exact and LONG.search(block):
            for name in (n for piece in table.to_batches() for n in _huge(piece)):
                because = f"column {name!r} holds whole numbers that 64 bits do not hold"
                advice = "Put them in quotes: as text they stay apart."
                raise _check.cannot(f"{str(path)!r} cannot be counted", because, advice)
        yield table.select(schema.names)
