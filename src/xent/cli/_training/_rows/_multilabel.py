"""Several labels a row: columns of 1 and 0, or one column that names them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xent.training import TrainedModel

BETWEEN = (";", "|", ",", " ")  # what may stand between predicted labels, where nothing was named
LABEL_KINDS = "ypz"  # truth, probability and logit: what the columns of a label begin with
FEW_LABELLED = 20  # rows whose labels may all be rare


@dataclass(frozen=True)
class LabelColumns:
    """Where the labels of a row stand.

    Parameters
    ----------
    target : str
        As it was typed: a pattern of columns, or one column.
    separator : str
        What stands between the labels of one column of text; empty of columns and of lists.
    columns : list of str
        The columns of the table that hold them.
    labels : list of str
        What they are called, in order.
    listed : bool
        Whether one column names them all.
    """

    target: str
    separator: str
    columns: list[str]
    labels: list[str]
    listed: bool

    @property
    def between(self) -> str:
        """What stands between the labels of a prediction."""
        if self.separator:
            return self.separator
        return next(b for b in (*BETWEEN, "\n") if not any(b in name for name in self.labels))


def label_columns(
    table: Any, target: str, separator: str | None, names: Sequence[str], source: object
) -> LabelColumns:
    """Find the labels of a table to train on.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    target : str
        A pattern of columns of 1 and 0, or one column of texts or lists.
    separator : str, optional
        What stands between the labels of a text.
    names : sequence of str
        The columns of the table that may be labels.
    source : str
        Where the table is from, for messages.
    """
    from xent import _check, _table
    from xent.cli._predictions import stripped

    columns = _table.matching(target, names, source, argument="--target")
    if len(columns) > 1 or _holds_numbers(table.column(columns[0]).type):
        if separator is not None:
            got = f"columns {_check.join_names(columns, last='and', limit=4)} of 1 and 0"
            raise _check.invalid("--label-separator", "go with one column of labels", got)
        return LabelColumns(target, "", columns, stripped(columns, target), listed=False)
    named = _names_in(table, columns[0], separator, "--target")
    labels = sorted({name for row in named for name in row})
    if not labels:
        raise _check.invalid("--target", "name a label in some row", f"none in {columns[0]!r}")
    if len(rows := [row for row in named if row]) > FEW_LABELLED and 2 * len(labels) > len(rows):
        said = f"The target has {len(labels):,} labels in {len(rows):,} rows that have any: "
        _check.warn(said + f"is {separator!r} what stands between them?")
    return LabelColumns(target, separator or "", columns, labels, listed=True)


def labels_in(table: Any, where: LabelColumns, argument: str) -> NDArray[np.float32]:
    """Return 1 for each label that a row has, (N, L).

    Parameters
    ----------
    table : pyarrow.Table
        With the columns of labels.
    where : LabelColumns
        Which they are.
    argument : str
        What the table is called, for messages.
    """
    import numpy as np
    import pyarrow as pa

    from xent import _check, _table

    found = np.zeros((len(table), len(where.labels)), np.float32)
    if where.listed:
        place = {name: j for j, name in enumerate(where.labels)}
        separator = where.separator or None
        for i, named in enumerate(_names_in(table, where.columns[0], separator, argument)):
            for name in named:
                if name not in place:
                    must = f"hold no other labels than those trained on in {where.columns[0]!r}"
                    raise _check.invalid(argument, must, f"{name!r} at row {i}")
                found[i, place[name]] = 1
        return found
    for j, name in enumerate(where.columns):
        column = table.column(name)
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        values = _table.numbers(
            table.select([]).append_column(name, column), [name], argument=argument
        )[:, 0]
        bad = (values != 0) & (values != 1)
        if bad.any():
            row = int(bad.argmax())
            must = f"hold 1 where a label is there and 0 where not in column {name!r}"
            raise _check.invalid(argument, must, f"{values[row]:g} at row {row}")
        found[:, j] = values
    return found


def labels_of(trained: TrainedModel) -> LabelColumns:
    """Return where a model's labels stood.

    Parameters
    ----------
    trained : TrainedModel
        Of several labels a row.
    """
    labels = [str(name) for name in trained.classifier.classes_]
    listed = not trained.label_columns
    columns = [trained.target] if listed else trained.label_columns
    return LabelColumns(trained.target, trained.separator, columns, labels, listed)


def score_labels(where: LabelColumns, logits: NDArray[np.float64]) -> dict[str, Any]:
    """Return the probabilities of labels, their logits, and which are there, as columns.

    Parameters
    ----------
    where : LabelColumns
        Names them.
    logits : ndarray, shape (N, L)
        Of a model.
    """
    import numpy as np

    probs = np.exp(-np.logaddexp(0.0, -logits))
    columns: dict[str, Any] = {f"p_{n}": probs[:, j] for j, n in enumerate(where.labels)}
    columns |= {f"z_{n}": logits[:, j] for j, n in enumerate(where.labels)}
    names = np.array(where.labels, dtype=object)
    columns["prediction"] = [where.between.join(names[row]) for row in logits >= 0]
    return columns


def truth_of_labels(where: LabelColumns, batch: Any) -> dict[str, Any]:
    """Return the truth as columns y_LABEL of 1 and 0; none where the table has none.

    Parameters
    ----------
    where : LabelColumns
        Which columns it is.
    batch : pyarrow.Table
        Rows.
    """
    if not set(where.columns) <= set(batch.schema.names):
        return {}
    import numpy as np
    import pyarrow as pa

    found = labels_in(pa.table(batch.select(where.columns)), where, "DATA").astype(np.int8)
    return {f"y_{name}": found[:, j] for j, name in enumerate(where.labels)}


def check_label_names(labels: Sequence[str], others: Sequence[str]) -> None:
    """Refuse predictions that would have two columns of one name.

    Parameters
    ----------
    labels : sequence of str
        The labels.
    others : sequence of str
        What else is written beside them.
    """
    from xent import _check

    names = [f"{kind}_{label}" for kind in LABEL_KINDS for label in labels] + [
        "prediction",
        *others,
    ]
    for i, name in enumerate(names):
        if name in names[:i]:
            must = "give every column of the predictions a name of its own"
            raise _check.invalid("--target", must, f"two {name!r}", "Rename a label.")


def _holds_numbers(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _names_in(table: Any, column: str, separator: str | None, argument: str) -> list[list[str]]:
    """Return the labels that each row names; a missing value names none."""
    import pyarrow as pa

    from xent import _check

    values = table.column(column)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    rows, kind = values.to_pylist(), values.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        if separator is not None:
            got = f"lists in {column!r}"
            raise _check.invalid("--label-separator", "go with a column of text", got)
        return [[str(name) for name in row or () if name is not None] for row in rows]
    if str(kind) not in ("string", "large_string", "string_view"):
        must = "name columns of 1 and 0, or one column of text or lists of labels"
        raise _check.invalid(argument, must, f"{column!r} of {kind}")
    if not separator:
        first = next((row for row in rows if row), "")
        must = f"say what stands between the labels in {column!r}, such as ';'"
        raise _check.invalid("--label-separator", must, f"none; the first row has {first!r}")
    return [[p for part in (row or "").split(separator) if (p := part.strip())] for row in rows]
