"""What the commands call DATA: a table on disk, or the digits that ship inside scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIGITS = ("digits", "digits-train", "digits-test")
# The order of the data set is kept: its last fifth was written by other people than the rest.
TRAIN_ROWS = 1437

DATA_HELP = (
    "A table (.csv, .tsv, .parquet, .jsonl, .npz), or the embedded data: "
    "[bold]digits[/] (1,797 handwritten digits), [bold]digits-train[/] (the first 1,437 of them), "
    "[bold]digits-test[/] (the last 360)."
)


@dataclass(frozen=True)
class Data:
    """Features and classes read from somewhere."""

    X: NDArray[np.float64]
    columns: list[str]
    labels: NDArray[Any]
    target: str


def load(
    source: str,
    *,
    target: str | None = None,
    features: str | None = None,
    columns: list[str] | None = None,
    optional_target: bool = False,
) -> Data:
    """Read features and, where there is one, the column of classes.

    Parameters
    ----------
    source : str
        A path, or one of `DIGITS`.
    target : str, optional
        The column of classes; the embedded data knows its own.
    features : str, optional
        Patterns of feature columns; every column but the target where not given.
    columns : list of str, optional
        The very columns to take, in this order, instead of ``features``.
    optional_target : bool
        Do without classes, an empty array, where the table has no such column.
    """
    import numpy as np

    from xent import _check, _table

    table = digits(source) if source in DIGITS else _table.read(source, argument="DATA")
    if target is None and source in DIGITS:
        target = "digit"
    if target is None and not optional_target:
        advice = f"It has {_check.join_names(table.column_names, last='and')}."
        raise _check.invalid(
            "--target", f"name the column of classes of {source!r}", "none", advice
        )
    names = list(table.column_names)
    if table.num_rows == 0:
        raise _check.invalid("DATA", "have at least one row", f"none in {source!r}")
    if target is not None and not (optional_target and target not in names):
        _table.require(target, names, source, argument="--target")
        labels = _table.categories(table, target, argument="--target")
    else:
        labels = np.empty(0)
    if columns is None:
        columns = [name for name in names if name != target]
        if features is not None:
            columns = _table.matching(features, columns, source, argument="--features")
    for name in columns:
        _table.require(name, names, source, argument="DATA")
    if not columns:
        raise _check.invalid("DATA", "have at least one feature", f"none in {source!r}")
    return Data(_table.numbers(table, columns, argument="DATA"), columns, labels, target or "")


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
