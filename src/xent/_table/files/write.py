"""Writing a table, whole or piece by piece: complete or not at all."""

import gzip
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check, _store
from xent._optional import need
from xent._table.files.endings import FORMATS, ending


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

    pa = need("pyarrow", extra="tables", by="Writing a table")
    import pyarrow.csv
    import pyarrow.parquet

    kind = ending(path, argument, FORMATS)
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
