"""What a column of a table must be, and the sentence that says so when it is not."""

import fnmatch
import math
import re
from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check

TEXT_CELLS = 1 << 18  # of short columns of text that are looked at as one
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d*,\d+([eE][-+]?\d+)?\s*")


def text_blocks(table: Any) -> Iterator[tuple[list[int], Any]]:
    """Yield the places of some columns of text, and their cells, one column after another.

    Each call of Arrow costs more than a short column: of thousands, many are looked at as one.

    Parameters
    ----------
    table : pyarrow.Table or pyarrow.RecordBatch
        The table.

    Yields
    ------
    tuple of list of int and pyarrow.Array or pyarrow.ChunkedArray
    """
    import pyarrow as pa

    rows = table.num_rows
    text = [i for i, kind in enumerate(table.schema.types) if rows and pa.types.is_string(kind)]
    most = max(1, TEXT_CELLS // max(1, rows))
    for start in range(0, len(text), most):
        at = text[start : start + most]
        columns = [table.column(i) for i in at]
        if most == 1:
            yield at, columns[0]
        else:
            pieces = (getattr(column, "chunks", [column]) for column in columns)
            yield at, pa.concat_arrays([piece for some in pieces for piece in some])


def require(name: str, columns: Sequence[str], path: object, *, argument: str = "columns") -> str:
    """Return ``name`` if it is a column; suggest the nearest one otherwise."""
    if name in columns:
        return name
    raise _check.invalid(
        argument, f"name a column of {str(path)!r}", repr(name), _nearest(name, columns)
    )


def _nearest(name: str, columns: Sequence[str]) -> str:
    """Say which column may have been meant, or which there are."""
    if alike := _check.look_alike(name, columns):
        return alike
    if near := get_close_matches(name, columns, n=1):
        return f"Did you mean {near[0]!r}?"
    return f"It has {_check.join_names(columns, last='and')}."


def matching(
    pattern: str, columns: Sequence[str], path: object, *, argument: str = "columns"
) -> list[str]:
    """Return the columns, in the table's order, that match a pattern like ``p_*`` or ``a,b,c``."""
    chosen: set[str] = set()
    for part in parts_of(pattern, columns):
        found = [c for c in columns if c == part or fnmatch.fnmatchcase(c, part)]
        if not found:
            must = f"match columns of {str(path)!r}"
            advice = f"It has {_check.join_names(columns, last='and')}."
            raise _check.invalid(argument, must, repr(part), advice)
        chosen.update(found)
    return [c for c in columns if c in chosen]


def parts_of(pattern: str, columns: Collection[str]) -> list[str]:
    """Return what stands between commas, without blanks at its ends unless a column has them.

    >>> parts_of(" p_a, p_b", [" p_a", "p_b"])
    [' p_a', 'p_b']
    """
    return [part if part in columns else part.strip() for part in pattern.split(",")]


def numbers(
    table: Any,
    columns: Sequence[str],
    *,
    argument: str = "columns",
    advice: str = "",
    masked: bool = False,
    first: int = 0,
) -> NDArray[np.float64]:
    """Return columns as one float64 matrix; text, dates, gaps and NaN are refused.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    columns : sequence of str
        Columns that it has.
    argument, advice : str
        What the caller calls the columns, and what to do about one that holds none, for the error
        message.
    masked : bool
        Whether -inf is a number too: the logit of a class that is masked.
    first : int
        The number of the table's first row, as it is told where one is refused.

    Returns
    -------
    ndarray of float64, shape (rows, columns)

    Raises
    ------
    ValueError
        Naming the first column and row that is no number.
    """
    import pyarrow as pa

    matrix = np.empty((table.num_rows, len(columns)))
    place = {name: i for i, name in enumerate(table.column_names)}  # by name takes long if many
    for j, name in enumerate(columns):
        column = table.column(place[name])
        kind = column.type
        # Spark and databases write decimals.
        numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        numeric = numeric or pa.types.is_decimal(kind)
        if numeric or pa.types.is_boolean(kind):
            values = column.cast(pa.float64(), safe=False).to_numpy()
            bad = ~(np.isfinite(values) | (masked & np.isneginf(values)))
        else:
            values = np.zeros(len(column))
            bad = ~np.array([_reads_as_number(value) for value in column.to_pylist()], dtype=bool)
            if not bad.any():
                bad = np.ones(len(column), dtype=bool)
        if bad.any():
            row = int(bad.argmax())
            value = column[row].as_py()
            shown = "a missing value" if value is None else repr(value)
            must = f"hold numbers in column {name!r}"
            said = as_number(value) if isinstance(value, str) else ""
            raise _check.invalid(argument, must, f"{shown} at row {first + row}", said or advice)
        matrix[:, j] = values
    return matrix


def as_number(text: str) -> _check.Words:
    """Say how a text becomes the number that people write so; nothing of another text."""
    from xent._table.frames.doubts import otherwise_written

    said: _check.Words = otherwise_written(text)
    if not _DECIMAL_COMMA.fullmatch(text):
        return said
    decimals = "If its decimals are commas, pass " + _check.setting("decimal", ",") + "."
    if not said or text.strip().startswith(("0,", "-0,")):  # 0,125 is less than a thousand
        return decimals
    return decimals + " If they part thousands, take them away."


def categories(table: Any, column: str, *, argument: str = "target") -> NDArray[Any]:
    """Return a column of classes as a NumPy array of integers, booleans or strings; no gaps.

    Real numbers that are all whole are integers: 1.0 is the class 1.
    """
    import pyarrow as pa

    values = table.column(column)
    if pa.types.is_fixed_size_list(values.type) and values.type.list_size == 1:
        values = pa.chunked_array(
            [chunk.flatten() for chunk in values.chunks], values.type.value_type
        )
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        values = _decoded(values, column, argument)  # text, as Impala and Hive write it
    if values.null_count:
        row = values.to_pylist().index(None)
        must = f"hold a class in every row of column {column!r}"
        raise _check.invalid(argument, must, f"a missing value at row {row}")
    if pa.types.is_floating(values.type):
        numbers = np.asarray(values.cast(pa.float64()).to_numpy())
        if (np.isfinite(numbers) & (numbers == np.trunc(numbers))).all():
            return numbers.astype(np.int64)
    if pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
        return np.asarray(values.to_numpy())
    if str(values.type) in ("string", "large_string", "string_view"):
        return np.asarray(values.to_pylist(), dtype=str)
    must = f"hold classes (text, integers or booleans) in column {column!r}"
    raise _check.invalid(argument, must, str(values.type), "Write them as integers or text.")


def _decoded(values: Any, column: str, argument: str) -> Any:
    """Return bytes as the text that they are."""
    import pyarrow as pa

    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        must = f"hold classes (text, integers or booleans) in column {column!r}"
        got = "bytes that are not UTF-8"
        raise _check.invalid(argument, must, got, "Write them as integers or text.") from None


def _reads_as_number(value: object) -> bool:
    """Whether an entry of a text column is not what made it text."""
    try:
        return math.isfinite(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
