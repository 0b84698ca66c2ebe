"""What a command may be told of the tables that it reads: one set of options, one reader, for all.

A command takes one argument `reading`, and `with_options` makes options of its fields; a
`TableFile` is a table on disk, read as they say.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from xent.cli import _data

CSV_ENDINGS = (".csv", ".tsv")
_WRITTEN = "How the table is written"


@dataclass(frozen=True)
class TableOptions:
    """How a table is written, which of its columns are left out, and which hold names.

    Each field is an option of the commands, called as it is; `None` and `False` are not given.
    """

    separator: Annotated[
        str | None,
        typer.Option(
            help="What stands between two columns; by default a comma, in a .tsv a tab.",
            metavar="SIGN",
            rich_help_panel=_WRITTEN,
        ),
    ] = None
    decimal: Annotated[
        str, typer.Option(help="The decimal point.", metavar="SIGN", rich_help_panel=_WRITTEN)
    ] = "."
    na: Annotated[
        list[str] | None,
        typer.Option(
            help="A word for a missing value, such as '?'.",
            metavar="WORD",
            rich_help_panel=_WRITTEN,
        ),
    ] = None
    encoding: Annotated[
        str,
        typer.Option(
            help="How letters are encoded: utf8, latin1, gb18030, utf16.",
            metavar="NAME",
            rich_help_panel=_WRITTEN,
        ),
    ] = "utf8"
    no_header: Annotated[
        bool,
        typer.Option(
            "--no-header",
            help="The first line is a row, not names: the columns are f0, f1, ...",
            rich_help_panel=_WRITTEN,
        ),
    ] = False
    names: Annotated[
        list[str] | None,
        typer.Option(
            help="Column whose numbers are names, such as codes of regions.",
            metavar="COLUMN",
            rich_help_panel=_WRITTEN,
        ),
    ] = None
    drop: Annotated[
        list[str] | None,
        typer.Option(help="Column to leave out.", metavar="COLUMN", rich_help_panel=_WRITTEN),
    ] = None

    def csv(self, path: Path) -> Any:
        """Return how a CSV is written; refuse what was said of one for another kind of file."""
        from xent import _table
        from xent._check import invalid

        given = {
            "--separator": self.separator is not None,
            "--decimal": self.decimal != ".",
            "--na": bool(self.na),
            "--encoding": self.encoding != "utf8",
            "--no-header": self.no_header,
        }
        for option in given:
            if given[option] and not is_csv(path):
                raise invalid(option, "go with a .csv or .tsv", repr(str(path)))
        separator = "\t" if self.separator == "\\t" else self.separator
        with words():
            return _table.Csv(
                separator, self.decimal, tuple(self.na or ()), self.encoding, not self.no_header
            )


def is_csv(path: Path) -> bool:
    """Whether the types of columns come from what their fields look like."""
    return path.name.lower().removesuffix(".gz").endswith(CSV_ENDINGS)


def with_options(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command that takes `reading` the options that make one, but for those left out."""

    def give(command: Callable[..., None]) -> Callable[..., None]:
        given = [field for field in fields(TableOptions) if field.name not in left_out]
        hints = inspect.get_annotations(TableOptions, eval_str=True)
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.name != "reading"]
        options = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=hints[field.name],
            )
            for field in given
        ]

        @wraps(command)
        def typed(*args: Any, **options: Any) -> None:
            said = {field.name: options.pop(field.name) for field in given}
            command(*args, **options, reading=TableOptions(**said))

        parameters = [*own, *options]
        typed.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        typed.__annotations__ = {p.name: p.annotation for p in parameters}
        return typed

    return give


def words(**others: str) -> Any:
    """Let refusals of a table name what was typed."""
    return _data.words(
        "separator", "decimal", "encoding", "drop", "names", missing_words="--na", **others
    )


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
    text : sequence of str
        Columns, where it has them, that hold names whatever they look like.
    """

    def __init__(
        self,
        path: Path,
        reading: TableOptions,
        *,
        argument: str = "DATA",
        text: list[str] | None = None,
    ) -> None:
        self.path, self.argument = path, argument
        self.drop, self.names = reading.drop or [], reading.names or []
        self.text = [*self.names, *(text or [])]
        self.csv = reading.csv(path)

    @property
    def is_text(self) -> bool:
        """Whether the types of columns come from what their fields look like."""
        return is_csv(self.path)

    def batches(self, title: str, rows: int = 16384, *, exact: bool = False) -> Iterator[Any]:
        """Yield the table in pieces of so many rows, and show how many have been read."""
        import pyarrow as pa

        from xent import _table
        from xent._progress import stage

        done = 0
        with stage(title, None, "rows") as told, words():
            for batch in _table.scan(
                self.path, None, rows, text=self.text, csv=self.csv, exact=exact,
                argument=self.argument,
            ):  # fmt: skip
                table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
                yield self._finished(table)
                done += len(table)
                told(done)

    def read(self) -> Any:
        """Return the whole table."""
        from xent import _table

        with words():
            table = _table.read(self.path, argument=self.argument, csv=self.csv, text=self.text)
        return self._finished(table)

    def _finished(self, table: Any) -> Any:
        """Return the table without what is left out, numbers that are names written as such."""
        import pyarrow as pa

        from xent import _table

        table = _table.blanks_as_missing(table, self.path, self.csv)
        _data.require(table.schema.names, [*self.drop, *self.names])
        for name in self.text:
            at = table.schema.get_field_index(name)
            if at >= 0 and pa.types.is_integer(table.schema.field(at).type):
                table = table.set_column(at, name, table.column(at).cast(pa.string()))
        return table.drop_columns(self.drop) if self.drop else table


def doubt(table: Any, argument: str = "DATA") -> None:
    """Warn of columns of text that look like numbers, and of those that name every row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from xent import _check

    number = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*")
    for field in table.schema:
        if not pa.types.is_string(field.type):
            continue
        values = table[field.name].drop_null()
        words = pc.value_counts(values).to_pylist()
        reads = sum(w["counts"] for w in words if number.fullmatch(w["values"]))
        if 2 * reads > len(values):
            odd = next((w["values"] for w in words if not number.fullmatch(w["values"])), None)
            advice = "" if odd is None else f" If {odd!r} means a missing value, pass --na {odd!r}."
            odd = words[0]["values"] if odd is None else odd
            if any("," in w["values"] for w in words if number.fullmatch(w["values"])):
                advice += " If its decimals are commas, pass --decimal ','."
            column = f"`{argument}` has numbers in {reads:,} of {len(values):,} rows of "
            because = f"{field.name!r}, which is read as names because of {odd!r}."
            _check.warn(f"{column}{because}{advice}")
        elif len(words) == len(values) > 9:
            column = f"`{argument}` has a name of its own in every row of {field.name!r}"
            _check.warn(f"{column}: it tells nothing of other rows. Pass --drop {field.name}.")
