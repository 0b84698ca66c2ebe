"""Reading a table, whole or in batches."""

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any

from xent._optional import need
from xent._table.files.arrow import read_arrow, scan_arrow
from xent._table.files.blocks import check_json, parse_json, read_csv, scan_csv, scan_json
from xent._table.files.columns import require, text_blocks
from xent._table.files.dialect import READ_BYTES, Csv, check_csv, why_not
from xent._table.files.endings import (
    ARRAY_FORMATS,
    ARROW_FORMATS,
    ONE_A_LINE,
    ending,
    kind_of,
    refuse_duplicates,
    unreadable,
)
from xent._table.files.header import doubt_header, doubt_points
from xent._table.files.npz import read_npz, scan_arrays
from xent._table.files.parquet import check_whole, rows_of_batch
from xent._table.files.unpacked import unpacked

HEAD_ROWS = 1 << 16  # rows among which names of columns are looked for


def read(
    path: str | os.PathLike[str],
    *,
    text: Sequence[str] = (),
    csv: Csv | None = None,
    matrices: bool = False,
    argument: str = "path",
) -> Any:
    """Read a whole table.

    Parameters
    ----------
    path : str or PathLike
        The file; its ending says what it is. ``.gz`` may follow ``.csv``, ``.tsv`` and ``.jsonl``.
    text : sequence of str
        Columns of a CSV that are text whatever they look like, such as ``01``.
    csv : Csv, optional
        How a CSV is written.
    matrices : bool
        Whether an array of two dimensions, in NPZ and NPY, is one column of lists.
    argument : str
        What the caller calls ``path``, for the error message.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the ending is none we know, the file is not what its ending says, or two columns share
        a name.
    """
    need("pyarrow", extra="tables", by="Reading a table")

    kind = kind_of(path, argument)
    try:
        if kind in ARRAY_FORMATS:
            table = read_npz(path, matrices=matrices)
        elif kind == ".parquet":
            import pyarrow.parquet

            with pyarrow.parquet.ParquetFile(path) as whole:
                check_whole(path, whole.metadata)
            table = pyarrow.parquet.read_table(path, use_threads=True)
        elif kind in ARROW_FORMATS:
            table = read_arrow(path)
        elif kind in (".csv", ".tsv"):

            def check(schema: Any) -> None:
                check_csv(schema, path, kind, csv, argument)
                refuse_duplicates(schema.names, path, argument, csv)

            table = read_csv(path, kind, text, csv, check)
            doubt_header(table.slice(0, HEAD_ROWS), path, csv)
            doubt_points(table, path, csv, text)
        else:
            table = _read_json(path)
    except _damage() as error:
        raise _refusal(path, kind, error, csv, argument) from None
    refuse_duplicates(table.column_names, path, argument)
    return table


def _read_json(path: str | os.PathLike[str]) -> Any:
    """Read JSON lines; lists a second time, with their types known.

    Where pyarrow 26 and older infer the type of a list that begins with null, the null is lost and
    every value after it stands in another place.
    """
    import pyarrow as pa

    with unpacked(path) as file:
        data = b"".join(iter(lambda: file.read(READ_BYTES), b""))
    check_json(data, path)
    table = parse_json(data)
    if not any(map(pa.types.is_nested, table.schema.types)):
        return table
    return parse_json(data, schema=table.schema)


def scan(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    batch_rows: int = 65536,
    *,
    text: Sequence[str] = (),
    csv: Csv | None = None,
    exact: bool = False,
    argument: str = "path",
) -> Iterator[Any]:
    """Read a table of any size in batches.

    Parameters
    ----------
    path : str or PathLike
        The file, as in `read`.
    columns : sequence of str, optional
        The columns wanted; all of them where not given.
    batch_rows : int
        Rows in a batch, at most. CSV and JSON lines come in blocks of bytes and may be cut shorter.
    text, csv
        As in `read`.
    exact : bool
        For counting. Text of Parquet stays coded, as it lies in the file. Whole numbers past 64
        bits are text, not floats, in a CSV, and refused in JSON lines.
    argument : str
        What the caller calls ``path``, for the error message.

    Yields
    ------
    pyarrow.RecordBatch

    Raises
    ------
    FileNotFoundError, ValueError
        As `read`, and if a column is missing.
    """
    need("pyarrow", extra="tables", by="Reading a table")

    kind = kind_of(path, argument)
    try:
        if kind == ".parquet":
            import pyarrow.parquet

            # Without these a whole file, or row group, is held while its batches are read.
            plain: dict[str, Any] = {"pre_buffer": False, "buffer_size": 1 << 18}
            if exact:
                schema = pyarrow.parquet.read_schema(path)
                text = [f.name for f in schema if str(f.type) in ("string", "large_string")]
                plain["read_dictionary"] = text
            with pyarrow.parquet.ParquetFile(path, **plain) as file:
                refuse_duplicates(file.schema_arrow.names, path, argument)
                for name in columns or ():
                    require(name, file.schema_arrow.names, path)
                groups = range(file.metadata.num_row_groups)
                rows = rows_of_batch(path, file.metadata, groups, columns, batch_rows)
                for batch in file.iter_batches(rows, columns=columns):
                    for name in set(text) & set(batch.schema.names):
                        # A damaged file may hold codes of words that it lacks.
                        batch.column(name).validate(full=True)
                    yield batch
        elif kind in (".csv", ".tsv"):
            fresh = True
            for batch in scan_csv(path, kind, text, csv, exact=exact):
                check_csv(batch.schema, path, kind, csv, argument)
                refuse_duplicates(batch.schema.names, path, argument, csv)
                if fresh:
                    doubt_header(batch, path, csv)
                    doubt_points(batch, path, csv, text)
                fresh = False
                yield from _cut(batch, columns, batch_rows, path)
        elif kind in (".jsonl", ".ndjson"):
            tables = scan_json(path, exact=exact)
            first = next(tables, None)
            # What has no line at all is read once more, to say what is wrong with it.
            for table in itertools.chain([read(path) if first is None else first], tables):
                yield from _cut(table, columns, batch_rows, path)
        elif kind in ARROW_FORMATS:
            for batch in scan_arrow(path, batch_rows):
                refuse_duplicates(batch.schema.names, path, argument)
                yield from _cut(batch, columns, batch_rows, path)
        else:
            for table in scan_arrays(path, None, batch_rows):
                yield from _cut(table, columns, batch_rows, path)
    except _damage() as error:
        raise _refusal(path, kind, error, csv, argument) from None


def names(
    path: str | os.PathLike[str], *, csv: Csv | None = None, argument: str = "path"
) -> list[str]:
    """Return the columns of a table, none where it has no row; reads its first block alone."""
    first = next(scan(path, csv=csv, argument=argument), None)
    return [] if first is None else list(first.schema.names)


def blanks_as_missing(
    table: Any,
    path: str | os.PathLike[str],
    csv: Csv | None = None,
    blank: Sequence[str] = (),
) -> Any:
    """Return what was read from a file; in a file of text an empty field is a missing value.

    Parameters
    ----------
    table : pyarrow.Table or pyarrow.RecordBatch
        What was read.
    path : str or PathLike
        From where.
    csv : Csv, optional
        How a CSV is written: its words for a missing value are missing among names, too.
    blank : sequence of str
        Columns that are left as they are.

    Returns
    -------
    pyarrow.Table or pyarrow.RecordBatch
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if ending(path, "path") in (".parquet", *ARRAY_FORMATS, *ARROW_FORMATS):
        return table
    words = pa.array(["", *(csv.missing if csv else ())])
    columns, rows = list(table.columns), table.num_rows
    kept = {table.schema.get_field_index(name) for name in blank}
    for at, cells in text_blocks(table):
        is_blank = pc.is_in(cells, value_set=words)
        if pc.any(is_blank).as_py():
            cells = pc.if_else(is_blank, pa.scalar(None, pa.string()), cells)
            for k, i in enumerate(at):
                columns[i] = columns[i] if i in kept else cells.slice(k * rows, rows)
    # All at once: to put one column into a table costs a look at every other.
    return type(table).from_arrays(columns, names=table.schema.names)


def _damage() -> tuple[type[Exception], ...]:
    """Return what pyarrow raises where a file is not what its name says."""
    import pyarrow as pa

    return (
        pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowNotImplementedError, pa.ArrowTypeError,
        OSError, UnicodeError,
    )  # fmt: skip


def _refusal(
    path: str | os.PathLike[str], kind: str, error: Exception, csv: Csv | None, argument: str
) -> ValueError:
    """Return the sentence that says why a file could not be read."""
    if kind in (".csv", ".tsv"):
        return why_not(path, kind, error, csv, argument)
    if isinstance(error, UnicodeError):
        return unreadable(path, kind, "it is not UTF-8")
    if kind in (".jsonl", ".ndjson") and "from object to array in row 0" in str(error):
        return unreadable(path, kind, "it is a list, and not an object a line", ONE_A_LINE)
    return unreadable(path, kind, error)


def _cut(
    table: Any, columns: Sequence[str] | None, batch_rows: int, path: str | os.PathLike[str]
) -> Iterator[Any]:
    if columns is not None:
        known = dict.fromkeys(table.schema.names)
        for name in columns:
            if name not in known:
                require(name, list(known), path)
        table = table.select(list(columns))
    if hasattr(table, "to_batches"):
        yield from table.to_batches(max_chunksize=batch_rows)
    else:
        for start in range(0, table.num_rows, batch_rows):
            yield table.slice(start, batch_rows)
