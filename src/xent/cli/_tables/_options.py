"""What a command may be told of the tables that it reads: one set of options for all.

A command takes one argument `reading`, and `with_options` makes options of its fields.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
            help="The sign between two columns: by default a comma, in a .tsv file a tab.",
            metavar="SIGN",
            rich_help_panel=_WRITTEN,
        ),
    ] = None
    decimal: Annotated[
        str,
        typer.Option(
            help="The decimal sign of numbers, such as a comma.",
            metavar="SIGN",
            rich_help_panel=_WRITTEN,
        ),
    ] = "."
    na: Annotated[
        list[str] | None,
        typer.Option(
            help="A word that stands for a missing value, such as '?'.",
            metavar="WORD",
            rich_help_panel=_WRITTEN,
        ),
    ] = None
    encoding: Annotated[
        str,
        typer.Option(
            help="Encoding of the file, such as utf8, latin1, gb18030 or utf16.",
            metavar="NAME",
            rich_help_panel=_WRITTEN,
        ),
    ] = "utf8"
    no_header: Annotated[
        bool,
        typer.Option(
            "--no-header",
            help="The first line is a row, not names; the columns are called f0, f1, ...",
            rich_help_panel=_WRITTEN,
        ),
    ] = False
    unpacked: Annotated[
        str | None,
        typer.Option(
            help="How large a packed table that you trust may be once unpacked, like 10GB; "
            "by default 256MB or 100 times its packed size (Parquet and NPZ: 1GB or 400 "
            "times).",
            metavar="SIZE",
            rich_help_panel=_WRITTEN,
        ),
    ] = None
    names: Annotated[
        list[str] | None,
        typer.Option(
            help="Column whose numbers are names, such as codes of regions; may be repeated.",
            metavar="COLUMN",
            rich_help_panel=_WRITTEN,
        ),
    ] = None
    drop: Annotated[
        list[str] | None,
        typer.Option(
            help="Column to leave out; may be repeated.", metavar="COLUMN", rich_help_panel=_WRITTEN
        ),
    ] = None

    def given(self) -> dict[str, bool]:
        """Return each option, and whether it was typed."""
        return {
            **self._of_csv(),
            "--names": bool(self.names),
            "--drop": bool(self.drop),
        }

    def _of_csv(self) -> dict[str, bool]:
        return {
            "--separator": self.separator is not None,
            "--decimal": self.decimal != ".",
            "--na": bool(self.na),
            "--encoding": self.encoding != "utf8",
            "--no-header": self.no_header,
        }

    def csv(self, path: Path) -> Any:
        """Return how a CSV is written; refuse what was said of one for another kind of file."""
        from xent import _table
        from xent._check import invalid

        given = self._of_csv()
        for option in given:
            if given[option] and not is_csv(path):
                raise invalid(option, "go with a .csv or .tsv", repr(str(path)))
        separator = "\t" if self.separator == "\\t" else self.separator
        with words():
            return _table.Csv(
                separator, self.decimal, tuple(self.na or ()), self.encoding, not self.no_header
            )


def is_array(path: Path) -> bool:
    """Whether a file holds arrays, whose rows are told apart by their places alone."""
    return path.suffix.lower() in (".npz", ".npy")


def is_csv(path: Path) -> bool:
    """Whether the types of columns come from what their fields look like."""
    return path.name.lower().removesuffix(".gz").endswith(CSV_ENDINGS)


def with_options(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command that takes `reading` the options that make one, but for those left out."""
    return options_from(TableOptions, "reading", *left_out)


def options_from(
    kind: Any, argument: str, *left_out: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that make a record, which it takes as one argument.

    Parameters
    ----------
    kind : dataclass
        The record; each field is an option.
    argument : str
        What the command calls it.
    *left_out : str
        Fields that are no options of this command.
    """

    def give(command: Callable[..., None]) -> Callable[..., None]:
        given = [field for field in fields(kind) if field.name not in left_out]
        hints = inspect.get_annotations(kind, eval_str=True)
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.name != argument]
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
            with _unpacked_up_to(said.get("unpacked")):
                command(*args, **options, **{argument: kind(**said)})

        parameters = [*own, *options]
        typed.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        typed.__annotations__ = {p.name: p.annotation for p in parameters}
        return typed

    return give


@contextmanager
def _unpacked_up_to(size: str | None) -> Iterator[None]:
    """Let packed tables become as large as ``--unpacked`` says."""
    if size is None:
        yield
        return
    from xent._table.files import unpacked
    from xent.language._counting.runs import size_of

    with unpacked.up_to(size_of("--unpacked", size)):
        yield


def read_numbers(table: Any, names: list[str], **options: Any) -> Any:
    """Return columns as `_table.numbers` does; what is advised are options of a command."""
    from xent import _table

    with words():
        return _table.numbers(table, names, **options)


def words(*options: str, **others: str) -> Any:
    """Let refusals of a table, and of other options, name what was typed."""
    known = ("separator", "decimal", "encoding", "no_header", "na", "names", "drop")
    return _data.words(*known, *options, **others)
