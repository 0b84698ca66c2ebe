"""The pieces that a file, or a folder of them, is read in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xent.cli._addresses import Address
from xent.cli._tables._file import TableFile, as_names
from xent.cli._tables._options import TableOptions, is_array

RUN_BYTES = 1 << 27  # of an array that is a piece
BATCH_CELLS, STREAMED_ROWS = 1 << 20, 1 << 16  # of a batch, at most


@dataclass(frozen=True)
class Piece:
    """A row group of a Parquet file, some rows of an array, or another file as a whole.

    Parameters
    ----------
    path : Path or Address
        The file.
    group : int or None
        Which of its row groups; None where it has none.
    first : int
        The number of its first row.
    rows : int or None
        How many it has, where the file says so.
    """

    path: Path | Address
    group: int | None
    first: int
    rows: int | None = None


def pieces_of(file: Path | Address, reading: TableOptions) -> list[Piece]:
    """Return the pieces of a file, or of all Parquet or Arrow files of a folder by their names."""
    from xent._table.files.arrow import arrow_files
    from xent._table.files.endings import ARROW_FORMATS

    if isinstance(file, Address):
        return _groups(some_parquet(file.parquet_files(), file))
    if not file.is_dir():
        if file.suffix.lower() == ".parquet" and file.exists():
            return _groups([file])
        if file.suffix.lower() in ARROW_FORMATS and file.exists():
            return _arrow([file])
        TableFile(file, reading, argument="FILE")  # says what its ending must be
        if is_array(file) and file.exists():
            return _runs(file)
        return [Piece(file, None, 0)]
    files = sorted(path for path in file.rglob("*.parquet") if path.is_file())
    if not files and (found := arrow_files(file, "FILE")):
        return _arrow(found)
    return _groups(some_parquet(files, file))


def _arrow(files: Sequence[Path]) -> list[Piece]:
    """Return Arrow files, each a piece."""
    from xent import _table
    from xent._table.files.arrow import arrow_rows

    found, first, known = [], 0, None
    for path in files:
        own = _table.names(path, argument="FILE")
        if known is not None and own and own != known:
            raise other_columns(path, files[0])
        known = known or own
        rows = arrow_rows(path)
        found.append(Piece(path, None, first, rows))
        first += rows
    return found


def other_columns(path: object, first: object) -> ValueError:
    """Say that a file of a folder has other columns than the first."""
    from xent import _check

    must = f"have the columns of {str(first)!r}"
    return _check.invalid("FILE", must, f"others in {str(path)!r}")


def some_parquet(files: list[Any], folder: Path | Address) -> list[Any]:
    """Return the files of a folder, of which there must be one."""
    from xent import _check

    if not files:
        got = f"the folder {str(folder)!r}"
        raise _check.invalid("FILE", "hold files that end in .parquet or .arrow", got)
    return files


@contextmanager
def parquet(path: Path | Address, **how: Any) -> Iterator[Any]:
    """Open a Parquet file, wherever it lies."""
    import pyarrow as pa
    import pyarrow.parquet

    from xent._table.files.endings import unreadable

    try:
        with ExitStack() as stack:
            place = stack.enter_context(path.opened()) if isinstance(path, Address) else path
            yield stack.enter_context(pyarrow.parquet.ParquetFile(place, **how))
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError) and isinstance(path, Address):
            raise
        raise unreadable(path, ".parquet", error) from None


def _runs(file: Path) -> list[Piece]:
    """Return runs of rows of an array; archives are read from their beginning alone."""
    from xent import _table

    headers = _table.array_headers(file, argument="FILE")
    rows = min((header.shape[0] for header in headers.values()), default=0)
    size = sum(header.size for header in headers.values())
    if file.suffix.lower() == ".npz":
        return [Piece(file, None, 0, rows)] if rows else []
    step = max(1, RUN_BYTES * rows // max(size, 1))
    return [Piece(file, k, at, min(step, rows - at)) for k, at in enumerate(range(0, rows, step))]


def _groups(files: Sequence[Path | Address]) -> list[Piece]:
    found, first, schema = [], 0, None
    for path in files:
        with parquet(path) as file:
            metadata, own = file.metadata, file.schema_arrow
        if schema is not None and own.names != schema.names:
            raise other_columns(path, files[0])
        schema = schema or own
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            if rows:
                found.append(Piece(path, group, first, rows))
            first += rows
    return found


def batches(
    piece: Piece,
    reading: TableOptions,
    columns: Sequence[str] | None,
    text: Sequence[str],
    *,
    matrices: bool = False,
) -> Iterator[Any]:
    """Yield the tables of a piece, of the columns wanted.

    Parameters
    ----------
    piece : Piece
        Some rows.
    reading : TableOptions
        How the file is written.
    columns, text : sequence of str, None for all; sequence of str
        What is wanted, and which of it is text in a CSV.
    matrices : bool
        Whether an array of two dimensions is one column of lists.
    """
    import pyarrow as pa

    if not isinstance(piece.path, Address) and is_array(piece.path):
        for table in _blocks(piece, piece.path, columns, matrices=matrices):
            yield as_names(table, reading.names or [])
        return
    from xent._table.files.parquet import rows_of_batch

    width = len(columns or ()) or 16
    rows = max(1, min(STREAMED_ROWS, BATCH_CELLS // width))
    if not isinstance(piece.path, Address) and piece.group is None:
        for table in TableFile(piece.path, reading, argument="FILE", text=text).batches("", rows):
            yield table.select(list(columns)) if columns else table
        return
    # Without these a whole row group is held while its batches are read.
    wanted = None if columns is None else list(columns)
    with parquet(piece.path, pre_buffer=False, buffer_size=1 << 18) as file:
        if not isinstance(piece.path, Address) and piece.group is not None:
            rows = rows_of_batch(piece.path, file.metadata, [piece.group], wanted, rows)
        for batch in file.iter_batches(
            rows, row_groups=[piece.group], columns=wanted, use_threads=False
        ):
            yield as_names(pa.Table.from_batches([batch]), reading.names or [])


def _blocks(
    piece: Piece, path: Path, columns: Sequence[str] | None, *, matrices: bool
) -> Iterator[Any]:
    """Yield the tables of arrays, of which those that no column is of are not read."""
    from xent import _table

    headers = _table.array_headers(path, argument="FILE")
    wanted = [
        name
        for name in headers
        if columns is None or any(c == name or c.rpartition("_")[0] == name for c in columns)
    ]
    width = sum(math.prod(headers[name].shape[1:]) for name in wanted)
    rows = max(1, min(STREAMED_ROWS, BATCH_CELLS // max(width, 1)))
    stop = None if piece.rows is None else piece.first + piece.rows
    for table in _table.scan_arrays(
        path, wanted, rows, matrices=matrices, start=piece.first, stop=stop
    ):
        yield table if columns is None else table.select(list(columns))


def schema_of(
    piece: Piece, reading: TableOptions, text: Sequence[str], *, matrices: bool = False
) -> Any:
    """Return a table without rows that has the columns of a piece, but for those left out."""
    path = Path(piece.path.name) if isinstance(piece.path, Address) else piece.path
    source = TableFile(path, reading, argument="FILE")  # refuses what is said of a CSV alone
    if isinstance(piece.path, Address) or (piece.group is not None and not is_array(path)):
        with parquet(piece.path) as file:
            return source.finished(file.schema_arrow.empty_table())
    first = next(batches(piece, reading, None, text, matrices=matrices), None)
    empty = None if first is None else first.slice(0, 0)
    return source.finished(empty) if first is not None and is_array(path) else empty
