"""Tables of thousands of columns that fit in memory: most columns are done with many at once.

Of a column of numbers nearly all that is done serves to see that no cut is worth its description.
That is seen here for a block of columns, by the arithmetic that `_bins` does for one, number by
number the same; only a column that is cut is then looked at by itself.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from xent.measures.tables._bins import Codes, Numbers, first_cuts

WIDE_COLUMNS = 1000  # columns
TABLE_BYTES = 256 << 20  # of a table, up to which it is held
SORTED_CELLS = 1 << 18  # sorted at once
EXACT_FLOATS = 2**53  # below it every whole number is a float


class Waiting:
    """Batches that are held, each with its classes and weights, as long as they are few enough.

    Parameters
    ----------
    wanted : bool
        Whether any are.
    """

    def __init__(self, wanted: bool) -> None:
        self.wanted, self.bytes = wanted, 0
        self.batches: list[tuple[Any, Codes, Numbers]] = []

    def add(self, frame: Any, codes: Codes, weight: Numbers) -> list[tuple[Any, Codes, Numbers]]:
        """Take a batch; return those, this one among them, that cannot be held."""
        self.batches.append((frame, codes, weight))
        self.bytes += int(getattr(frame.native, "nbytes", TABLE_BYTES))
        # A row without a class is left out by rules of its own.
        self.wanted &= self.bytes < TABLE_BYTES and not (codes < 0).any()
        if self.wanted:
            return []
        given, self.batches = self.batches, []
        return given

    def whole(self, most: int) -> tuple[Any, Codes] | None:
        """Return all as one table of Arrow, and its classes; None where that is not so.

        Parameters
        ----------
        most : int
            Rows, above which a column may have more values than are told apart.
        """
        import pyarrow as pa

        tables = [frame.native for frame, _, _ in self.batches]
        if not tables or not all(isinstance(table, pa.Table) for table in tables):
            return None
        rows = sum(map(len, tables))
        if rows > most or any(table.schema.types != tables[0].schema.types for table in tables):
            return None
        codes = np.concatenate([codes for _, codes, _ in self.batches])
        return pa.concat_tables(tables).combine_chunks(), codes


def uncut(table: Any, names: Sequence[str], target: Codes) -> Iterator[str]:
    """Name the columns of plain numbers, none missing, of which no cut is worth its description.

    Parameters
    ----------
    table : pyarrow.Table
        The table; its columns are looked at by their names.
    names : sequence of str
        The columns asked about.
    target : ndarray of int64, shape (N,)
        The class of each row, from 0.
    """
    block: list[Numbers] = []
    inside: list[str] = []
    most = max(1, SORTED_CELLS // max(1, target.size))
    place = {name: i for i, name in enumerate(table.schema.names)}
    for name in names:
        values = _plain(table.column(place[name]))
        if values is not None:
            block.append(values)
            inside.append(name)
        if len(block) == most:
            yield from _uncut(block, inside, target)
            block, inside = [], []
    if block:
        yield from _uncut(block, inside, target)


def _uncut(block: list[Numbers], names: list[str], target: Codes) -> Iterator[str]:
    cut = first_cuts(np.stack(block), target)
    return (name for name, is_cut in zip(names, cut.tolist(), strict=True) if not is_cut)


def _plain(column: Any) -> Numbers | None:
    """Return the numbers of a column of floats, or of whole numbers that are; None for others."""
    import pyarrow as pa

    if column.null_count or column.type not in (pa.float64(), pa.int64()):
        return None
    values = column.to_numpy()
    bound = EXACT_FLOATS if column.type == pa.int64() else np.inf
    # NaN is not below anything: it is a missing value.
    if not ((values < bound) & (values > -bound)).all():
        return None
    return np.asarray(values, dtype=np.float64)
