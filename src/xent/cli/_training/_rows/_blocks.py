"""`xent train --buffer`: tables and images larger than memory, read block by block each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xent.cli._tables._file import TableFile
from xent.cli._tables._load import EMBEDDED
from xent.cli._tables._options import TableOptions
from xent.cli._training._rows._images import LabelledImages
from xent.cli._training._rows._labelled import LabelledTable, check_ids
from xent.cli._training._rows._prepared import Prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xent.cli._training._rows._prepared import Labelled
    from xent.training import StreamedRows

PARQUET_ENDINGS = (".parquet", ".pq")


def read_streamed(
    source: str,
    reading: TableOptions,
    buffer_rows: int,
    *,
    target: str | None,
    features: str | None,
    weights: str | None,
    ids: Sequence[str],
    seed: int,
) -> LabelledTable:
    """Read the classes of a Parquet file, and as many of its other rows as a buffer holds.

    The encoding is learned from those rows: whole row groups, at least one, drawn by the seed.

    Parameters
    ----------
    source : str
        The file.
    reading : TableOptions
        Which of its columns are left out, and which hold names.
    buffer_rows : int
        How many rows are in memory at once.
    target, features, weights, ids
        Columns, as `read_labelled` takes them.
    seed : int
        Of the row groups.
    """
    import numpy as np
    import pyarrow.parquet as pq

    from xent import _check, _table

    if source in EMBEDDED or not source.lower().endswith(PARQUET_ENDINGS):
        must = "go with a Parquet file or images, which are read in pieces"
        raise _check.invalid("--buffer", must, repr(source), "Write the table as Parquet first.")
    if target is None:
        raise _check.invalid("--target", f"name the column of classes of {source!r}", "none")
    if not Path(source).exists():
        raise FileNotFoundError(f"There is no file {source!r}.")
    whole = pq.ParquetFile(source)
    names = [n for n in whole.schema_arrow.names if n not in (reading.drop or [])]
    _table.require(target, names, source, argument="--target")
    if weights is not None:
        _table.require(weights, names, source, argument="--weights")
    check_ids(ids, names, source, target)
    columns = [name for name in names if name not in (target, weights, *ids)]
    if features is not None:
        columns = _table.matching(features, columns, source, argument="--features")
    if not columns or not whole.metadata.num_rows:
        raise _check.invalid("DATA", "have at least one feature and one row", f"none in {source!r}")
    known = whole.read(columns=[target, *([weights] if weights else [])])
    labels = _table.categories(known, target, argument="--target")
    weight = None
    if weights is not None:
        weight = _table.numbers(known, [weights], argument="--weights")[:, 0]
    taken: list[int] = []
    rows = 0
    for group in np.random.RandomState(seed).permutation(whole.num_row_groups).tolist():
        rows += whole.metadata.row_group(group).num_rows
        if taken and rows > buffer_rows:
            break
        taken.append(group)
    some = _of_row_groups(source, reading, whole.read_row_groups(sorted(taken), columns=columns))
    return LabelledTable(some, labels, target, weight)


def _of_row_groups(source: str, reading: TableOptions, table: Any) -> Any:
    """Return rows of a Parquet file as they are read of it whole."""
    from dataclasses import replace

    wanted = [name for name in reading.names or [] if name in table.schema.names]
    file = TableFile(Path(source), replace(reading, drop=None, names=wanted or None))
    table = file.finished(table)
    for name in wanted:
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table.column(at).dictionary_encode())
    return table


def blocks_of(
    source: str, reading: TableOptions, rows: Labelled, prepared: Prepared, buffer_rows: int
) -> StreamedRows:
    """Return the features of a Parquet file, or of images, in blocks.

    Parameters
    ----------
    source : str
        The file.
    reading : TableOptions
        How its columns are read.
    rows : LabelledTable or LabelledImages
        What `read_streamed` returned, or the images, mapped where they can be.
    prepared : Prepared
        How they become numbers.
    buffer_rows : int
        How many are shuffled at once.
    """
    from xent.training import ArrayRows, ParquetRows

    if isinstance(rows, LabelledImages):
        return ArrayRows(rows.images.X, prepared.pixels, buffer_rows=buffer_rows)
    columns = list(rows.features.column_names)

    def encode(table: Any) -> NDArray[Any]:
        found = _of_row_groups(source, reading, table)
        return prepared.numbers(LabelledTable(found.select(columns), rows.labels, rows.target))

    return ParquetRows(source, encode, columns=columns, buffer_rows=buffer_rows)
