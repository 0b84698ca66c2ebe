"""The one way tables reach us, and leave: Parquet, CSV, JSON lines and NPZ, whole or in batches.

Reading is pyarrow's work and NumPy's; here stands which file is which, what a column must be, and
the sentence that says so when it is not. A two-dimensional array ``a`` of an NPZ file becomes the
columns ``a_0``, ``a_1``, ...
"""

import fnmatch
import gzip
import itertools
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check, _store, _text_tables

COMMAS = {".csv": ",", ".tsv": "\t"}
FORMATS = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".npz")


def read(path: str | os.PathLike[str], *, text: Sequence[str] = (), argument: str = "path") -> Any:
    """Read a whole table.

    Parameters
    ----------
    path : str or PathLike
        The file; its ending says what it is. ``.gz`` may follow ``.csv``, ``.tsv`` and ``.jsonl``.
    text : sequence of str
        Columns of a CSV that are text whatever they look like, such as ``01``.
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

    kind = _kind(path, argument)
    try:
        if kind == ".npz":
            table = _read_npz(path)
        elif kind == ".parquet":
            import pyarrow.parquet

            table = pyarrow.parquet.read_table(path, use_threads=True)
        else:
            with pa.input_stream(os.fspath(path), compression="detect") as file:
                table = _read_text(file, kind, text)
        names = table.column_names
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, kind, error) from None
    _refuse_duplicates(names, path, argument)
    _refuse_semicolons(names, path, argument)
    return table


def scan(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    batch_rows: int = 65536,
    *,
    text: Sequence[str] = (),
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
    text : sequence of str
        As in `read`.
    exact : bool
        For counting. Text of Parquet stays coded, as it lies in the file. Whole numbers past 64
        bits are text, not floats, in a CSV, and refused in JSON lines. A column of a CSV may widen
        from whole numbers to real ones.
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

    kind = _kind(path, argument)
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
                _refuse_duplicates(file.schema_arrow.names, path, argument)
                for name in columns or ():
                    require(name, file.schema_arrow.names, path)
                yield from file.iter_batches(batch_rows, columns=columns)
        elif kind in (".csv", ".tsv"):
            for batch in _text_tables.scan_csv(path, COMMAS[kind], text, exact=exact):
                _refuse_duplicates(batch.schema.names, path, argument)
                _refuse_semicolons(batch.schema.names, path, argument)
                yield from _cut(batch, columns, batch_rows, path)
        elif kind in (".jsonl", ".ndjson"):
            tables = _text_tables.scan_json(path, exact=exact)
            first = next(tables, None)
            # What has no line at all is read once more, to say what is wrong with it.
            for table in itertools.chain([read(path) if first is None else first], tables):
                yield from _cut(table, columns, batch_rows, path)
        else:
            yield from _cut(read(path, argument=argument), columns, batch_rows, path)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, kind, error) from None


def names(path: str | os.PathLike[str], *, argument: str = "path") -> list[str]:
    """Return the columns of a table, none where it has no row; reads its first block alone."""
    first = next(scan(path, argument=argument), None)
    return [] if first is None else list(first.schema.names)


def blanks_as_missing(table: Any, path: str | os.PathLike[str]) -> Any:
    """Return what was read from a file; in a file of text an empty field is a missing value.

    Parameters
    ----------
    table : pyarrow.Table
        What was read.
    path : str or PathLike
        From where.

    Returns
    -------
    pyarrow.Table
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if _ending(path, "path") in (".parquet", ".npz"):
        return table
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            known = pc.if_else(pc.equal(table[i], ""), pa.scalar(None, field.type), table[i])
            table = table.set_column(i, field.name, known)
    return table


def write(
    path: str | os.PathLike[str], columns: Mapping[str, Any], *, argument: str = "path"
) -> None:
    """Write columns of equal length as the table that the path's ending names, atomically.

    Parameters
    ----------
    path : str or PathLike
        Where the file shall stand.
    columns : mapping of str to array_like
        The columns in order.
    argument : str
        What the caller calls ``path``, for the error message.
    """
    with writing(path, argument=argument) as add:
        add(columns)


@contextmanager
def writing(
    path: str | os.PathLike[str], *, argument: str = "path"
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Write a table piece by piece, complete or not at all.

    Parameters
    ----------
    path : str or PathLike
        Where the file shall stand; its ending says what it is. NPZ is held until the end.
    argument : str
        What the caller calls ``path``, for the error message.

    Yields
    ------
    callable
        Takes the columns of the next piece, by name; all pieces have the same columns.

    Raises
    ------
    ValueError
        If the ending is none we know, or text with gaps is to go into NPZ, which has none.
    """
    import json

    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    kind = _ending(path, argument)
    held: list[dict[str, NDArray[Any]]] = []
    writer: Any = None
    with _store.writing(path, argument=argument) as plain_file, ExitStack() as stack:
        file: Any = plain_file
        if str(path).lower().endswith(".gz"):
            # No name and no time in the header: the same table gives the same bytes.
            file = stack.enter_context(gzip.GzipFile("", "wb", fileobj=plain_file, mtime=0))

        def add(columns: Mapping[str, Any]) -> None:
            nonlocal writer
            if kind == ".npz":
                held.append({name: _array(name, v, path) for name, v in columns.items()})
                return
            table = pa.table({name: _spelt_out(pa.array(v)) for name, v in columns.items()})
            if kind in (".jsonl", ".ndjson"):
                for row in table.to_pylist():
                    # Dates and times are spelt out as CSV spells them.
                    file.write(json.dumps(row, ensure_ascii=False, default=str).encode() + b"\n")
                return
            if writer is None and kind == ".parquet":
                writer = stack.enter_context(pyarrow.parquet.ParquetWriter(file, table.schema))
            elif writer is None:
                options = pyarrow.csv.WriteOptions(delimiter="\t" if kind == ".tsv" else ",")
                opened = pyarrow.csv.CSVWriter(file, table.schema, write_options=options)
                writer = stack.enter_context(opened)
            writer.write_table(table)

        yield add
        if held:
            whole = {name: np.concatenate([part[name] for part in held]) for name in held[0]}
            np.savez(file, allow_pickle=False, **whole)


def _spelt_out(column: Any) -> Any:
    """Return a column with its names instead of numbers for them: CSV holds no others."""
    import pyarrow as pa

    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


def _array(name: str, values: Any, path: object) -> NDArray[Any]:
    """Return a column as NPZ holds it, which has text, but no gaps in it and no objects."""
    import pyarrow as pa

    array = np.asarray(values)
    if array.dtype != object:
        return array
    column = _spelt_out(pa.array(values))
    if column.null_count:
        because = f"column {name!r} has gaps, and NPZ no sign for them"
        raise _check.cannot(f"{str(path)!r} cannot be written", because, "Take .parquet.")
    return np.asarray(column.to_pylist())


def require(name: str, columns: Sequence[str], path: object, *, argument: str = "columns") -> str:
    """Return ``name`` if it is a column; suggest the nearest one otherwise."""
    if name in columns:
        return name
    near = get_close_matches(name, columns, n=1)
    has = f"It has {_check.join_names(columns, last='and')}."
    advice = f"Did you mean {near[0]!r}?" if near else has
    raise _check.invalid(argument, f"name a column of {str(path)!r}", repr(name), advice)


def matching(
    pattern: str, columns: Sequence[str], path: object, *, argument: str = "columns"
) -> list[str]:
    """Return the columns, in the table's order, that match a pattern like ``p_*`` or ``a,b,c``."""
    parts = [part.strip() for part in pattern.split(",")]
    chosen: set[str] = set()
    for part in parts:
        found = [c for c in columns if c == part or fnmatch.fnmatchcase(c, part)]
        if not found:
            must = f"match columns of {str(path)!r}"
            advice = f"It has {_check.join_names(columns, last='and')}."
            raise _check.invalid(argument, must, repr(part), advice)
        chosen.update(found)
    return [c for c in columns if c in chosen]


def numbers(
    table: Any, columns: Sequence[str], *, argument: str = "columns", advice: str = ""
) -> NDArray[np.float64]:
    """Return columns as one float64 matrix; text, dates, gaps and NaN are refused.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    columns : sequence of str
        Columns that it has.
    argument : str
        What the caller calls the columns, for the error message.
    advice : str
        What to do about a column that holds none, for the error message.

    Returns
    -------
    ndarray of float64, shape (rows, columns)

    Raises
    ------
    ValueError
        Naming the first column and row that is no number.
    """
    import pyarrow as pa

    matrix = np.empty((table.num_rows, len(columns)))
    for j, name in enumerate(columns):
        column, kind = table.column(name), table.column(name).type
        numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if numeric or pa.types.is_boolean(kind):
            values = column.cast(pa.float64(), safe=False).to_numpy()
            bad = ~np.isfinite(values)
        else:
            values = np.zeros(len(column))
            bad = ~np.array([_reads_as_number(value) for value in column.to_pylist()], dtype=bool)
            if not bad.any():
                bad = np.ones(len(column), dtype=bool)
        if bad.any():
            row = int(bad.argmax())
            value = column[row].as_py()
            shown = "a missing value" if value is None else repr(value)
            must = f"hold numbers in column {name!r}"
            raise _check.invalid(argument, must, f"{shown} at row {row}", advice)
        matrix[:, j] = values
    return matrix


def categories(table: Any, column: str, *, argument: str = "target") -> NDArray[Any]:
    """Return a column of classes as a NumPy array of integers, booleans or strings; no gaps."""
    import pyarrow as pa

    values = table.column(column)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if values.null_count:
        row = values.to_pylist().index(None)
        must = f"hold a class in every row of column {column!r}"
        raise _check.invalid(argument, must, f"a missing value at row {row}")
    if pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
        return np.asarray(values.to_numpy())
    if str(values.type) in ("string", "large_string", "string_view"):
        return np.asarray(values.to_pylist(), dtype=str)
    must = f"hold classes (text, integers or booleans) in column {column!r}"
    raise _check.invalid(argument, must, str(values.type))


def _ending(path: str | os.PathLike[str], argument: str) -> str:
    suffixes = [s.lower() for s in Path(path).suffixes]
    kind = suffixes[-1] if suffixes else ""
    if kind == ".gz" and len(suffixes) > 1 and suffixes[-2] not in (".parquet", ".npz"):
        kind = suffixes[-2]
    if kind not in FORMATS:
        raise _check.invalid(argument, f"end in {_check.join_names(FORMATS)}", f"{str(path)!r}")
    return kind


def _kind(path: str | os.PathLike[str], argument: str) -> str:
    if not Path(path).exists():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    if Path(path).is_dir():
        raise _check.invalid(argument, "name a file", f"the folder {str(path)!r}")
    return _ending(path, argument)


def _read_text(file: Any, kind: str, text: Sequence[str]) -> Any:
    import pyarrow as pa

    if kind in (".csv", ".tsv"):
        types = dict.fromkeys(text, pa.string())
        return _text_tables.open_csv(file, COMMAS[kind], types).read_all()
    import pyarrow.json

    return pyarrow.json.read_json(file)


def _read_npz(path: str | os.PathLike[str]) -> Any:
    import zipfile

    import pyarrow as pa

    if not zipfile.is_zipfile(path):
        raise _unreadable(path, ".npz", "it is not an archive of arrays")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile) as error:
        unsafe = "allow_pickle" in str(error)
        why = "it holds Python objects, which are never loaded" if unsafe else error
        raise _unreadable(path, ".npz", why) from None
    columns: list[tuple[str, Any]] = []
    for name, array in arrays.items():
        if array.ndim == 0:
            raise _unreadable(path, ".npz", f"{name!r} is a single number, not a column")
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


def _refuse_duplicates(names: Sequence[str], path: object, argument: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            got = f"two {name!r} in {str(path)!r}"
            raise _check.invalid(argument, "name every column once", got)
        seen.add(name)


def _refuse_semicolons(names: Sequence[str], path: object, argument: str) -> None:
    if len(names) == 1 and ";" in names[0]:
        must = "separate its columns by commas"
        raise _check.invalid(argument, must, f"semicolons in {str(path)!r}")


def _unreadable(path: object, kind: str, error: object) -> ValueError:
    title = {".jsonl": "JSON lines", ".ndjson": "JSON lines"}.get(kind, kind[1:].upper())
    opening = f"{str(path)!r} cannot be read as {title}"
    if isinstance(error, UnicodeDecodeError):
        return _check.cannot(opening, "it is not UTF-8")
    first = str(error).partition("\n")[0].strip().rstrip(".")
    return _check.cannot(opening, first)


def _reads_as_number(value: object) -> bool:
    """Whether an entry of a text column is not what made it text."""
    try:
        return math.isfinite(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
