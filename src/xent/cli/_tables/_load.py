"""A table and its matrix of features, from a file or from the data that comes along."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xent.cli import _data
from xent.cli._tables._doubts import doubt
from xent.cli._tables._file import TableFile
from xent.cli._tables._options import TableOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EMBEDDED = ("digits", "digits-train", "digits-test")
# The order of the data set is kept; its last fifth is held out.
TRAIN_ROWS = 1437

DATA_HELP = (
    "A table (.csv, .tsv, .parquet, .arrow, .jsonl, .npz), or data that comes along: "
    "[bold]digits[/] (1,797 handwritten digits), [bold]digits-train[/] (the first 1,437 of them), "
    "[bold]digits-test[/] (the last 360)."
)


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
