"""What the commands call DATA: a table on disk, or the digits that ship inside scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EMBEDDED = ("digits", "digits-train", "digits-test")
# The order of the data set is kept; its last fifth is held out.
TRAIN_ROWS = 1437

DATA_HELP = (
    "A table (.csv, .tsv, .parquet, .jsonl, .npz), or the embedded data: "
    "[bold]digits[/] (1,797 handwritten digits), [bold]digits-train[/] (the first 1,437 of them), "
    "[bold]digits-test[/] (the last 360)."
)


# What several commands ask for has one name in all of them.
Base = Annotated[str, typer.Option(help="2 for bits, e for nats, 10 for bans.", metavar="<number>")]
Seed = Annotated[int, typer.Option("--seed", "--random-state", help="Where chance starts.")]


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
    target : str, optional
        The column of classes; the embedded data knows its own.
    features : str, optional
        Patterns of feature columns; every column but the target where not given.
    columns : list of str, optional
        The very columns to take, in this order, instead of ``features``; the table may then be
        without classes.
    """
    from xent import _check, _table

    table = digits(source) if source in EMBEDDED else _table.read(source, argument="DATA")
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
    require(names, columns)
    if not columns:
        raise _check.invalid("DATA", "have at least one feature", f"none in {source!r}")
    advice = "Choose columns with --features; `xent tree fit` takes names and gaps as they are."
    matrix = _table.numbers(table, columns, argument="DATA", advice=advice)
    return Data(table, matrix, columns, target or "")


def require(names: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse a table without a column that is wanted; its columns are ``names``."""
    from xent import _check

    for name in wanted:
        if name not in names:
            got = _check.join_names(names, last="and")
            raise _check.invalid("DATA", f"have the column {name!r}", got)


@contextmanager
def words(*options: str, **others: str) -> Iterator[None]:
    """Let the library's refusals name what was typed: `--max-depth`, not `max_depth`.

    Parameters
    ----------
    options : str
        Arguments of Python's that are options of the command under the same name.
    others : str
        What the command calls another argument, such as ``X="DATA"``.
    """
    from xent import _check

    typed = {name: "--" + name.replace("_", "-") for name in options} | others
    try:
        yield
    except (ValueError, TypeError) as error:
        _check.respell(error, typed)
        raise


def base_of(text: str) -> float:
    """Return the base of logarithms that ``--base`` names: a number, or e."""
    import math

    from xent import _check

    if text == "e":
        return math.e
    try:
        return float(text)
    except ValueError:
        raise _check.invalid("--base", "be a number, or e for nats", repr(text)) from None


def check_outputs(inputs: Sequence[str | Path | None], outputs: dict[str, Path | None]) -> None:
    """Refuse, before any work, outputs that cannot be written or would write over one another.

    Parameters
    ----------
    inputs : sequence of path
        What is read.
    outputs : dict of option to path
        What is written; None and ``-`` (standard output) are let pass.
    """
    from xent import _check, _store

    taken = {Path(path).resolve(): "what is read" for path in inputs if path is not None}
    for option, path in outputs.items():
        if path is None or str(path) == "-":
            continue
        _store.check_target(path, argument=option)
        if path.resolve() in taken and not path.is_char_device():
            other = taken[path.resolve()]
            raise _check.invalid(option, f"differ from {other}", f"{str(path)!r} for both")
        taken[path.resolve()] = f"`{option}`"


def digits(name: str) -> Any:
    """Return the embedded digits as a table: pixels from 0 to 16, and the digit."""
    import pyarrow as pa
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    rows = {
        "digits": slice(None),
        "digits-train": slice(None, TRAIN_ROWS),
        "digits-test": slice(TRAIN_ROWS, None),
    }[name]
    X, y = X[rows], y[rows]
    return pa.table({**{f"pixel_{j}": X[:, j] for j in range(X.shape[1])}, "digit": y})
