"""Tables with a column of classes, as `xent train` takes them apart and `xent predict` meets them.

Columns of names, booleans, dates and gaps stay what they are: the encoding makes numbers of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xent.cli import _data
from xent.cli._tables._file import TableFile
from xent.cli._tables._load import EMBEDDED, digits
from xent.cli._tables._options import TableOptions
from xent.cli._training._rows._multilabel import LabelColumns, label_columns, labels_in

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MANY_CLASSES_TO_TRAIN = 50  # whole numbers, above which they are probably quantities
FEW_COUNTED = 9  # rows whose numbers may be in order by chance


@dataclass(frozen=True)
class LabelledTable:
    """Rows with classes.

    Parameters
    ----------
    features : pyarrow.Table
        The columns to learn from.
    labels : ndarray, shape (N,) or (N, L)
        The class of each row; or 1 for each of its labels.
    target : str
        What the column of classes is called.
    weight : ndarray, shape (N,), optional
        How much each row counts.
    ids : pyarrow.Table, optional
        Columns that name the rows, and are no features.
    dropped : int
        How many rows without a class were left out.
    several : LabelColumns, optional
        Where the labels stand, where a row has several.
    """

    features: Any
    labels: NDArray[Any]
    target: str
    weight: NDArray[Any] | None = None
    ids: Any = None
    dropped: int = 0
    several: LabelColumns | None = None

    def rows(self, chosen: NDArray[np.bool_]) -> LabelledTable:
        """Return some of the rows."""
        import pyarrow as pa

        weight = None if self.weight is None else self.weight[chosen]
        features = self.features.filter(pa.array(chosen))
        ids = None if self.ids is None else self.ids.filter(pa.array(chosen))
        return LabelledTable(
            features, self.labels[chosen], self.target, weight, ids, several=self.several
        )

    def named(self) -> dict[str, Any]:
        """Return the columns that name the rows."""
        return {} if self.ids is None else dict(zip(self.ids.column_names, self.ids, strict=True))


def read_labelled(
    source: str,
    reading: TableOptions,
    *,
    target: str | None,
    features: str | None = None,
    weights: str | None = None,
    ids: Sequence[str] = (),
    drop_missing: bool = False,
    multilabel: bool = False,
    separator: str | None = None,
) -> LabelledTable:
    """Read a table to train on.

    Parameters
    ----------
    source : str
        A path, or one of the embedded tables.
    reading : TableOptions
        How the file is written.
    target : str, optional
        The column of classes; the embedded data knows its own.
    features : str, optional
        Patterns of feature columns; every column but the target where not given.
    weights : str, optional
        The column of weights, which is no feature.
    ids : sequence of str
        Columns that name the rows, which are no features.
    drop_missing : bool
        Whether rows without a class are left out, and not refused.
    multilabel : bool
        Whether a row has several labels.
    separator : str, optional
        What stands between them, where one column of text holds them all.
    """
    from xent import _check, _table

    table, file = _read(source, reading, [str(target)] if separator else None)
    if target is None and source in EMBEDDED:
        target = "digit"
    names = list(table.column_names)
    if target is None:
        has = f"It has {_check.join_names(names, last='and')}."
        must = f"name the column of classes of {source!r}"
        raise _check.invalid("--target", must, "none", has)
    if not multilabel:
        _table.require(target, names, source, argument="--target")
    if weights is not None:
        _table.require(weights, names, source, argument="--weights")
        if weights == target:
            raise _check.invalid("--weights", "differ from --target", f"{target!r} for both")
    check_ids(ids, names, source, target)
    several = None
    if multilabel:
        of_labels = [name for name in names if name not in (weights, *ids)]
        several = label_columns(table, target, separator, of_labels, source)
    targets = [target] if several is None else several.columns
    columns = [name for name in names if name not in (*targets, weights, *ids)]
    if features is not None:
        columns = _table.matching(features, columns, source, argument="--features")
    if not columns:
        raise _check.invalid("DATA", "have at least one feature", f"none in {source!r}")
    _doubt_counters(table.select(columns))
    dropped = 0
    for name in [] if several is not None and several.listed else targets:
        table, without = _with_target(table, name, drop_missing)
        dropped += without
    if not len(table):
        raise _check.invalid("DATA", "have at least one row", f"none in {source!r}")
    if several is None:
        labels = _table.categories(table, target, argument="--target")
        _doubt_classes(labels)
    else:
        labels = labels_in(table, several, "--target")
    chosen = table.select(columns)
    for name in file.names if file is not None else ():
        if name in columns:  # said to be names: nobody doubts it
            at = columns.index(name)
            chosen = chosen.set_column(at, name, chosen.column(at).dictionary_encode())
    weight = None
    if weights is not None:
        weight = _table.numbers(table, [weights], argument="--weights")[:, 0]
    named = table.select(list(ids)) if ids else None
    return LabelledTable(chosen, labels, target, weight, named, dropped, several)


def check_ids(ids: Sequence[str], names: Sequence[str], source: object, target: str) -> None:
    """Refuse a column of ids that is not there, or is the target."""
    from xent import _check, _table

    for name in ids:
        _table.require(name, names, source, argument="--id")
        if name == target or list(ids).count(name) > 1:
            raise _check.invalid(
                "--id", "name other columns than the target, each once", repr(name)
            )


def read_held_out(
    source: str,
    reading: TableOptions,
    trained: LabelledTable,
    text: list[str],
    *,
    drop_missing: bool = False,
) -> LabelledTable:
    """Read a table with the columns that were trained on, ``text`` those of text among them."""
    from xent import _check, _table

    several = trained.several
    text = [*text, *_target_as_text(trained.target, trained.labels)]
    if several is not None and several.separator:
        text.append(trained.target)
    table, _ = _read(source, reading, text)
    names, dropped = list(table.column_names), 0
    for name in [trained.target] if several is None else several.columns:
        _table.require(name, names, source, argument="--validation")
        if several is None or not several.listed:
            table, without = _with_target(table, name, drop_missing)
            dropped += without
    if not len(table):
        raise _check.invalid("--validation", "have at least one row", f"none in {source!r}")
    if several is None:
        with _data.words(target="--validation"):
            labels = _table.categories(table, trained.target)
    else:
        labels = labels_in(table, several, "--validation")
    for name in trained.features.column_names:
        _table.require(name, names, source, argument="--validation")
    return LabelledTable(
        table.select(trained.features.column_names),
        labels,
        trained.target,
        dropped=dropped,
        several=several,
    )


def batches(source: str, reading: TableOptions, text: list[str]) -> Any:
    """Yield a table to predict in pieces; the columns ``text`` are text whatever they look like."""
    if source in EMBEDDED:
        return iter([digits(source, reading)])
    return TableFile(Path(source), reading, names=text).batches("rows predicted")


def text_columns(encoder: Any) -> list[str]:
    """Return the columns whose names are text: 01 is not read as 1 where no row has letters."""
    return [
        column.name
        for column in encoder.columns_
        if column.kind == "name" and all(isinstance(level, str) for level in column.levels)
    ]


def _target_as_text(target: str, labels: NDArray[Any]) -> list[str]:
    return [target] if labels.dtype.kind == "U" else []


def _read(
    source: str, reading: TableOptions, text: list[str] | None = None
) -> tuple[Any, TableFile | None]:
    if source in EMBEDDED:
        return digits(source, reading), None
    file = TableFile(Path(source), reading, text=text or [])
    return file.read(), file


def _with_target(table: Any, target: str, drop: bool) -> tuple[Any, int]:
    """Return the rows that have a class, and how many had none."""
    import pyarrow.compute as pc

    from xent import _check

    column = table.column(target)
    if not column.null_count:
        return table, 0
    if drop:
        return table.filter(pc.is_valid(column)), column.null_count
    row = column.is_null().index(True).as_py()
    must = f"have no missing values in column {target!r}"
    got = f"{_check.count(column.null_count, 'row')} without, the first at row {row}"
    advice = "Nothing can be learned from them: pass --drop-missing-target to leave them out."
    raise _check.invalid("--target", must, got, advice)


def _doubt_counters(table: Any) -> None:
    """Warn of columns of whole numbers that count the rows."""
    import numpy as np
    import pyarrow as pa

    from xent import _check

    for name, column in zip(table.column_names, table.columns, strict=True):
        if not pa.types.is_integer(column.type) or column.null_count or len(column) <= FEW_COUNTED:
            continue
        if (np.diff(column.to_numpy()) == 1).all():
            said = f"`DATA` counts its rows in column {name!r}, which tells nothing of other rows."
            _check.warn(f"{said} Pass --drop {shlex.quote(name)}.")


def _doubt_classes(labels: NDArray[Any]) -> None:
    """Warn of whole numbers that are classes, and are rather quantities."""
    from xent import _check

    found = len(set(labels.tolist())) if labels.dtype.kind in "iu" else 0
    if found > max(MANY_CLASSES_TO_TRAIN, len(labels) / 10):
        said = f"The target has {found:,} whole numbers, each taken for a class."
        _check.warn(f"{said} If they are quantities, `xent tree fit --tree regression` fits them.")
