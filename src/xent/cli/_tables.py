"""What a command may be told of the tables that it reads: one set of options, one reader, for all.

A command takes one argument `reading`, and `with_options` makes options of its fields; a
`TableFile` is a table on disk, read as they say.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xent.cli import _data

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COUNTED_ROWS = 1 << 16  # rows of a batch that is counted
EMBEDDED = ("digits", "digits-train", "digits-test")
# The order of the data set is kept; its last fifth is held out.
TRAIN_ROWS = 1437

DATA_HELP = (
    "A table (.csv, .tsv, .parquet, .arrow, .jsonl, .npz), or data that comes along: "
    "[bold]digits[/] (1,797 handwritten digits), [bold]digits-train[/] (the first 1,437 of them), "
    "[bold]digits-test[/] (the last 360)."
)

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


def words(*options: str, **others: str) -> Any:
    """Let refusals of a table, and of other options, name what was typed."""
    known = ("separator", "decimal", "encoding", "no_header", "na", "names", "drop")
    return _data.words(*known, *options, **others)


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
    ) -> None:
        self.path, self.argument, self.matrices = path, argument, matrices
        self.drop, self.wanted = reading.drop or [], reading.names or []
        self.names = [*self.wanted, *names]
        self.text = [*self.names, *text]
        self.csv = reading.csv(path)
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
        import pyarrow as pa

        from xent import _table

        table = _table.blanks_as_missing(table, self.path, self.csv)
        for name in [*self.drop, *self.wanted]:
            _table.require(name, table.schema.names, self.path, argument=self._option(name))
        for name in self.names:
            at = table.schema.get_field_index(name)
            if at >= 0 and pa.types.is_integer(table.schema.field(at).type):
                table = table.set_column(at, name, table.column(at).cast(pa.string()))
        return table.drop_columns(self.drop) if self.drop else table


def doubt(table: Any, argument: str = "DATA") -> None:
    """Warn of columns of text that look like numbers, and of those that name every row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from xent._table.frames.doubts import doubt_names

    for field in table.schema:
        if not pa.types.is_string(field.type):
            continue
        values = table[field.name].drop_null()
        found = pc.value_counts(values)
        levels = zip(*(part.to_pylist() for part in found.flatten()), strict=True)
        with words():
            doubt_names(argument, field.name, levels)
    doubt_ids(table, argument)


def doubt_ids(table: Any, argument: str = "DATA") -> None:
    """Warn of columns of text in which every row has a name of its own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from xent import _check
    from xent._table.frames.doubts import read_as_values

    for field in table.schema:
        if not pa.types.is_string(field.type):
            continue
        values = table[field.name].drop_null()
        own = pc.count_distinct(values).as_py() == len(values) > 9
        if own and not read_as_values((value, 1) for value in values.to_pylist()):
            column = f"`{argument}` has a name of its own in every row of {field.name!r}"
            advice = f"Pass --drop {shlex.quote(field.name)}."
            _check.warn(f"{column}: it tells nothing of other rows. {advice}")


@dataclass(frozen=True)
class Data:
    """A table read from somewhere, and its features."""

    table: Any
    X: NDArray[np.float64]
    columns: list[str]
    target: str

    @property
    def labels(self) -> NDArray[Any]:
        """The column of classes."""
        from xent import _table

        return _table.categories(self.table, self.target, argument="--target")


def load(
    source: str,
    reading: TableOptions,
    *,
    target: str | None = None,
    features: str | None = None,
    columns: list[str] | None = None,
) -> Data:
    """Read features, and a table that may hold the column of classes.

    Parameters
    ----------
    source : str
        A path, or one of `EMBEDDED`.
    reading : TableOptions
        How the file is written.
    target : str, optional
        The column of classes; the embedded data knows its own.
    features : str, optional
        Patterns of feature columns; every column but the target where not given.
    columns : list of str, optional
        The very columns to take, in this order, instead of ``features``; the table may then be
        without classes.
    """
    from xent import _check, _table

    table = digits(source, reading) if source in EMBEDDED else _read(source, reading)
    names = list(table.column_names)
    if table.num_rows == 0:
        raise _check.invalid("DATA", "have at least one row", f"none in {source!r}")
    if columns is None:
        if target is None and source in EMBEDDED:
            target = "digit"
        if target is None:
            must = f"name the column of classes of {source!r}"
            advice = f"It has {_check.join_names(names, last='and')}."
            raise _check.invalid("--target", must, "none", advice)
        _table.require(target, names, source, argument="--target")
        columns = [name for name in names if name != target]
        if features is not None:
            columns = _table.matching(features, columns, source, argument="--features")
    _data.require(names, columns)
    if not columns:
        raise _check.invalid("DATA", "have at least one feature", f"none in {source!r}")
    advice = "Choose columns with --features; `xent tree fit` takes names and gaps as they are."
    matrix = _table.numbers(table, columns, argument="DATA", advice=advice)
    return Data(table, matrix, columns, target or "")


def _read(source: str, reading: TableOptions) -> Any:
    """Read a file as it is written; columns of text that look like numbers are doubted."""
    file = TableFile(Path(source), reading)
    table = file.read()
    if file.is_text:
        doubt(table.select([name for name in table.column_names if name not in file.names]))
    return table


def digits(name: str, reading: TableOptions) -> Any:
    """Return the embedded digits as a table: pixels from 0 to 16, and the digit."""
    import pyarrow as pa
    from sklearn.datasets import load_digits

    reading.csv(Path(name))  # no file: what is said of one is refused
    X, y = load_digits(return_X_y=True)
    rows = {
        "digits": slice(None),
        "digits-train": slice(None, TRAIN_ROWS),
        "digits-test": slice(TRAIN_ROWS, None),
    }[name]
    X, y = X[rows], y[rows]
    table = pa.table({**{f"pixel_{j}": X[:, j] for j in range(X.shape[1])}, "digit": y})
    return table.drop_columns(reading.drop or [])
