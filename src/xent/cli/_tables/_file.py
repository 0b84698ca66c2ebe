"""A table on disk, read as the options of a command say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from xent.cli._tables._options import TableOptions, is_csv, words

COUNTED_ROWS = 1 << 16  # rows of a batch that is counted


class TableFile:
    """A table on disk, read as a command was told to.

    Parameters
    ----------
    path : Path
        The file.
    reading : TableOptions
        How it is written, and what of it is wanted.
    argument : str
        What the command calls it.
    names : sequence of str
        Columns, where it has them, that hold names whatever they look like, beside those of
        ``reading``.
    text : sequence of str
        Columns that are text in a CSV whatever they look like, and else as they are.
    matrices : bool
        Whether an array of two dimensions is one column of lists.
    blank : sequence of str
        Columns of text in which an empty field is an empty text, and no missing one.
    """

    def __init__(
        self,
        path: Path,
        reading: TableOptions,
        *,
        argument: str = "DATA",
        names: Sequence[str] = (),
        text: Sequence[str] = (),
        matrices: bool = False,
        blank: Sequence[str] = (),
    ) -> None:
        self.path, self.argument, self.matrices = path, argument, matrices
        self.drop, self.wanted = reading.drop or [], reading.names or []
        self.names = [*self.wanted, *names]
        self.text = [*self.names, *text]
        self.csv, self.blank = reading.csv(path), blank
        self.begun: Iterator[Any] | None = None  # batches, the first of which was looked at

    @property
    def is_text(self) -> bool:
        """Whether the types of columns come from what their fields look like."""
        return is_csv(self.path)

    def batches(self, title: str, rows: int = 16384, *, exact: bool = False) -> Iterator[Any]:
        """Yield the table in pieces of so many rows, and show how many have been read."""
        from xent import _table
        from xent._optional import need
        from xent._progress import stage

        pa = need("pyarrow", extra="tables", by="Reading a table")

        done = 0
        with stage(title, None, "rows", show=bool(title)) as told:
            pieces = _table.scan(
                self.path, None, rows, text=self.text, csv=self.csv, exact=exact,
                argument=self.argument,
            )  # fmt: skip
            while True:
                # Not around the yield: who takes the table has words of his own, which end later.
                with words():
                    batch = next(pieces, None)
                    if batch is None:
                        return
                    table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
                    table = self.finished(table)
                yield table
                done += len(table)
                told(done)

    def read(self) -> Any:
        """Return the whole table."""
        from xent import _table

        with words():
            table = _table.read(
                self.path, argument=self.argument, csv=self.csv, text=self.text,
                matrices=self.matrices,
            )  # fmt: skip
        return self.finished(table)

    def counted(self) -> Iterator[Any]:
        """Yield the table in pieces as `scan` reads them to be counted."""
        begun, self.begun = self.begun, None
        return begun or self.batches("", COUNTED_ROWS, exact=True)

    def columns(self) -> list[str]:
        """Return the names of the columns, none where it has no row."""
        rest = self.batches("", COUNTED_ROWS, exact=True)
        first = next(rest, None)
        # The first block is read once, also by who counts next: of thousands of columns it is slow.
        self.begun = None if first is None else chain([first], rest)
        return [] if first is None else list(first.schema.names)

    def _option(self, name: str) -> str:
        return "--drop" if name in self.drop else "--names"

    def finished(self, table: Any) -> Any:
        """Return the table without what is left out, numbers that are names written as such."""
        from xent import _table

        table = _table.blanks_as_missing(table, self.path, self.csv, self.blank)
        for name in [*self.drop, *self.wanted]:
            _table.require(name, table.schema.names, self.path, argument=self._option(name))
        table = as_names(table, self.names)
        return table.drop_columns(self.drop) if self.drop else table


def as_names(table: Any, names: Sequence[str]) -> Any:
    """Return a table in which whole numbers of these columns, where it has them, are text."""
    import pyarrow as pa

    for name in names:
        at = table.schema.get_field_index(name)
        if at >= 0 and pa.types.is_integer(table.schema.field(at).type):
            table = table.set_column(at, name, table.column(at).cast(pa.string()))
    return table
