"""The pieces that a file, or a folder of them, is read in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xent.cli._tables import TableFile, TableOptions

BATCH_CELLS, STREAMED_ROWS = 1 << 20, 1 << 16  # of a batch, at most


@dataclass(frozen=True)
class Piece:
    """A row group of a Parquet file, or another file as a whole.

    Parameters
    ----------
    path : Path
        The file.
    group : int or None
        Which of its row groups; None where it has none.
    first : int
        The number of its first row.
    """

    path: Path
    group: int | None
    first: int


def pieces_of(file: Path, reading: TableOptions) -> list[Piece]:
    """Return the pieces of a file, or of all Parquet files of a folder by their names."""
    from xent import _check

    if not file.is_dir():
        if file.suffix.lower() == ".parquet" and file.exists():
            return _groups([file])
        TableFile(file, reading, argument="FILE")  # says what its ending must be
        return [Piece(file, None, 0)]
    files = sorted(path for path in file.rglob("*.parquet") if path.is_file())
    if not files:
        raise _check.invalid("FILE", "hold files that end in .parquet", f"the folder {str(file)!r}")
    return _groups(files)


def _groups(files: Sequence[Path]) -> list[Piece]:
    import pyarrow as pa
    import pyarrow.parquet

    from xent._table.files.endings import unreadable

    found, first, schema = [], 0, None
    for path in files:
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                metadata, own = file.metadata, file.schema_arrow
        except (pa.ArrowInvalid, OSError) as error:
            raise unreadable(path, ".parquet", error) from None
        if schema is not None and own.names != schema.names:
            from xent import _check

            got = f"others in {str(path)!r}"
            raise _check.invalid("FILE", f"have the columns of {str(files[0])!r}", got)
        schema = schema or own
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            if rows:
                found.append(Piece(path, group, first))
            first += rows
    return found


def batches(
    piece: Piece, reading: TableOptions, columns: Sequence[str] | None, text: Sequence[str]
) -> Iterator[Any]:
    """Yield the tables of a piece, of the columns wanted."""
    import pyarrow as pa
    import pyarrow.parquet

    from xent._table.files.endings import unreadable

    width = len(columns or ()) or 16
    rows = max(1, min(STREAMED_ROWS, BATCH_CELLS // width))
    if piece.group is None:
        for table in TableFile(piece.path, reading, argument="FILE", text=text).batches("", rows):
            yield table.select(list(columns)) if columns else table
        return
    try:
        # Without these a whole row group is held while its batches are read.
        with pyarrow.parquet.ParquetFile(piece.path, pre_buffer=False, buffer_size=1 << 18) as file:
            for batch in file.iter_batches(
                rows, row_groups=[piece.group], columns=None if columns is None else list(columns),
                use_threads=False,
            ):  # fmt: skip
                yield pa.Table.from_batches([batch])
    except (pa.ArrowInvalid, OSError) as error:
        raise unreadable(piece.path, ".parquet", error) from None


def schema_of(piece: Piece, reading: TableOptions, text: Sequence[str]) -> Any:
    """Return a table without rows that has the columns of a piece."""
    import pyarrow.parquet

    if piece.group is not None:
        with pyarrow.parquet.ParquetFile(piece.path) as file:
            return file.schema_arrow.empty_table()
    first = next(batches(piece, reading, None, text), None)
    return None if first is None else first.slice(0, 0)
