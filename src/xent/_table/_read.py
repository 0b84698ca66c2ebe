"""Reading a table, whole or in batches."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from xent._table._columns import require
from xent._table._csv import Csv, check_csv, open_csv, why_not
from xent._table._files import ending, kind_of, refuse_duplicates, unreadable

JSON_BLOCK = 8 << 20  # bytes


def read(
    path: str | os.PathLike[str],
    *,
    text: Sequence[str] = (),
    csv: Csv | None = None,
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
    import pyarrow as pa

    kind = kind_of(path, argument)
    try:
        if kind == ".npz":
            table = _read_npz(path)
        elif kind == ".parquet":
            import pyarrow.parquet

            table = pyarrow.parquet.read_table(path, use_threads=True)
        else:
            with pa.input_stream(os.fspath(path), compression="detect") as file:
                if kind in (".csv", ".tsv"):
                    reader = open_csv(file, kind, text, csv)
                    check_csv(reader.schema, path, kind, csv, argument)
                    table = reader.read_all()
                else:
                    import pyarrow.json

                    table = pyarrow.json.read_json(file)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeError) as error:
        raise _refusal(path, kind, error, csv, argument) from None
    refuse_duplicates(table.column_names, path)
    return table


def scan(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    batch_rows: int = 65536,
    *,
    text: Sequence[str] = (),
    csv: Csv | None = None,
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
    import pyarrow as pa

    kind = kind_of(path, argument)
    try:
        if kind == ".parquet":
            import pyarrow.parquet

            # Without these a whole file, or row group, is held while its batches are read.
            plain = {"pre_buffer": False, "buffer_size": 1 << 18}
            with pyarrow.parquet.ParquetFile(path, **plain) as file:
                refuse_duplicates(file.schema_arrow.names, path)
                for name in columns or ():
                    require(name, file.schema_arrow.names, path)
                yield from file.iter_batches(batch_rows, columns=columns)
        elif kind in (".csv", ".tsv"):
            with pa.input_stream(os.fspath(path), compression="detect") as file:
                reader = open_csv(file, kind, text, csv)
                check_csv(reader.schema, path, kind, csv, argument)
                refuse_duplicates(reader.schema.names, path)
                for batch in reader:
                    yield from _cut(batch, columns, batch_rows, path)
        elif kind in (".jsonl", ".ndjson"):
            for table in _scan_json(path):
                yield from _cut(table, columns, batch_rows, path)
        else:
            yield from _cut(read(path, argument=argument), columns, batch_rows, path)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeError) as error:
        raise _refusal(path, kind, error, csv, argument) from None


def names(
    path: str | os.PathLike[str], *, csv: Csv | None = None, argument: str = "path"
) -> list[str]:
    """Return the columns of a table, none where it has no row; reads its first block alone."""
    first = next(scan(path, csv=csv, argument=argument), None)
    return [] if first is None else list(first.schema.names)


def blanks_as_missing(table: Any, path: str | os.PathLike[str], csv: Csv | None = None) -> Any:
    """Return what was read from a file; in a file of text an empty field is a missing value.

    Parameters
    ----------
    table : pyarrow.Table or pyarrow.RecordBatch
        What was read.
    path : str or PathLike
        From where.
    csv : Csv, optional
        How a CSV is written: its words for a missing value are missing among names, too.

    Returns
    -------
    pyarrow.Table or pyarrow.RecordBatch
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if ending(path, "path") in (".parquet", ".npz"):
        return table
    blank = pa.array(["", *(csv.missing if csv else ())])
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            gone = pc.is_in(table.column(i), value_set=blank)
            known = pc.if_else(gone, pa.scalar(None, field.type), table.column(i))
            table = table.set_column(i, field.name, known)
    return table


def _refusal(
    path: str | os.PathLike[str], kind: str, error: Exception, csv: Csv | None, argument: str
) -> ValueError:
    """Return the sentence that says why a file could not be read."""
    if kind in (".csv", ".tsv"):
        return why_not(path, kind, error, csv, argument)
    if isinstance(error, UnicodeError):
        return unreadable(path, kind, "it is not UTF-8")
    return unreadable(path, kind, error)


def _read_npz(path: str | os.PathLike[str]) -> Any:
    import zipfile

    import pyarrow as pa

    if not zipfile.is_zipfile(path):
        raise unreadable(path, ".npz", "it is not an archive of arrays")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile) as error:
        unsafe = "allow_pickle" in str(error)
        why = "it holds Python objects, which are never loaded" if unsafe else error
        raise unreadable(path, ".npz", why) from None
    columns: list[tuple[str, Any]] = []
    for name, array in arrays.items():
        if array.ndim == 0:
            raise unreadable(path, ".npz", f"{name!r} is a single number, not a column")
        if array.ndim == 1:
            columns.append((name, array))
        else:
            flat = array.reshape(len(array), -1)
            columns += [(f"{name}_{j}", flat[:, j]) for j in range(flat.shape[1])]
    names = [name for name, _ in columns]
    return pa.Table.from_arrays([pa.array(values) for _, values in columns], names)


def _cut(
    table: Any, columns: Sequence[str] | None, batch_rows: int, path: str | os.PathLike[str]
) -> Iterator[Any]:
    if columns is not None:
        for name in columns:
            require(name, table.schema.names, path)
        table = table.select(list(columns))
    if hasattr(table, "to_batches"):
        yield from table.to_batches(max_chunksize=batch_rows)
    else:
        for start in range(0, table.num_rows, batch_rows):
            yield table.slice(start, batch_rows)


def _scan_json(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Read JSON lines block by block: once for the types of all blocks together, once for good."""
    import pyarrow as pa
    import pyarrow.json

    def blocks() -> Iterator[bytes]:
        rest = b""
        with pa.input_stream(os.fspath(path), compression="detect") as file:
            while found := file.read(JSON_BLOCK):
                lines, line, rest = (rest + found).rpartition(b"\n")
                if line:
                    yield lines + line
            if rest.strip():
                yield rest

    schemas = [pyarrow.json.read_json(pa.BufferReader(block)).schema for block in blocks()]
    if not schemas:
        yield read(path)  # which says what is wrong with it
        return
    schema = pa.unify_schemas(schemas, promote_options="permissive")
    options = pyarrow.json.ParseOptions(explicit_schema=schema)
    for block in blocks():
        table = pyarrow.json.read_json(pa.BufferReader(block), parse_options=options)
        yield table.select(schema.names)
