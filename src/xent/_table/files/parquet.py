"""How much memory the rows of a Parquet file take, which the sizes that it says do not tell.

A text is stored once and named by a number, ten thousand numbers that are the same take some bytes,
and so do the rows of a list. How long the texts are is seen in their dictionary alone; batches have
as few rows as their widest needs.
"""

import math
import os
from collections.abc import Sequence
from typing import Any

from xent._table.files.unpacked import check_size

BATCH_BYTES = 1 << 28  # of the rows of a batch, as they lie in memory
BYTES_OF_KIND = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT96": 8}  # bytes in memory; others take 8


def check_whole(path: str | os.PathLike[str], metadata: Any) -> None:
    """Refuse a file that would be far larger in memory than allowed, before it is read."""
    groups = range(metadata.num_row_groups)
    check_size(path, sum(sum(_sizes(path, metadata, group, {}).values()) for group in groups))


def rows_of_batch(
    path: Any, metadata: Any, groups: Sequence[int], columns: Sequence[str] | None, rows: int
) -> int:
    """Return how many rows, at most ``rows``, a batch may have.

    Parameters
    ----------
    path : str, PathLike or file
        The file, for the lengths of its texts.
    metadata : pyarrow.parquet.FileMetaData
        What it says of itself.
    groups : sequence of int
        The row groups that are read.
    columns : sequence of str, optional
        The columns that are; all where not given.
    rows : int
        What is wanted.

    Raises
    ------
    ValueError
        If lists or texts of it are far larger than the file: one row may hold them all.
    """
    if hasattr(path, "read"):
        return rows
    for group in groups:
        height = metadata.row_group(group).num_rows
        longest: dict[int, int] = {}
        sizes = _sizes(path, metadata, group, longest)
        some = [j for j in sizes if columns is None or _root(metadata, j) in columns]
        listed = [j for j in some if metadata.schema.column(j).max_repetition_level]
        check_size(path, sum(sizes[j] for j in listed))
        a_row = sum(longest.get(j) or sizes[j] / max(height, 1) for j in some)
        rows = min(rows, max(1, math.floor(BATCH_BYTES / max(a_row, 1))))
    return rows


def _root(metadata: Any, j: int) -> str:
    return str(metadata.schema.column(j).path.partition(".")[0])


def _sizes(path: Any, metadata: Any, group: int, longest: dict[int, int]) -> dict[int, int]:
    """Return for each column of a row group how large it is in memory, at least.

    ``longest`` takes the longest text of those that a dictionary makes so large.
    """
    found, part = {}, metadata.row_group(group)
    for j in range(part.num_columns):
        chunk, schema = part.column(j), metadata.schema.column(j)
        said, kind = int(chunk.total_uncompressed_size), chunk.physical_type
        if kind == "BYTE_ARRAY":
            found[j] = max(said, 4 * chunk.num_values)
            coded = any("DICTIONARY" in name for name in chunk.encodings)
            if coded and said * chunk.num_values > BATCH_BYTES:
                longest[j], found[j] = _texts(path, group, schema.path, chunk.num_values, said)
        else:
            width = schema.length if kind == "FIXED_LEN_BYTE_ARRAY" else BYTES_OF_KIND.get(kind, 8)
            found[j] = max(said, width * chunk.num_values)
    return found


def _texts(path: Any, group: int, name: str, count: int, said: int) -> tuple[int, int]:
    """Return the longest text of a dictionary, and how large a column of such texts is.

    The dictionary comes with the first rows. If all may be as long as its longest, nothing more is
    looked at; else the codes of all rows are.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet

    longest = size = 0
    how: dict[str, Any] = {"pre_buffer": False, "buffer_size": 1 << 18, "read_dictionary": [name]}
    with pyarrow.parquet.ParquetFile(path, **how) as file:
        for batch in file.iter_batches(
            1 << 16, row_groups=[group], columns=[name], use_threads=False
        ):
            column = batch.column(0)
            while pa.types.is_nested(column.type):
                column = column.field(0) if pa.types.is_struct(column.type) else column.flatten()
            if not pa.types.is_dictionary(column.type):
                return longest, max(size, said)  # pyarrow reads such texts as they are
            lengths = pc.binary_length(column.dictionary).to_numpy(zero_copy_only=False)
            longest = max(longest, int(lengths.max(initial=0)))
            if longest * count + said <= BATCH_BYTES:
                return longest, longest * count + said
            codes = column.indices.drop_null().to_numpy()
            size += int(lengths[codes[codes < len(lengths)]].astype(np.int64).sum())
    return longest, max(size, said)
