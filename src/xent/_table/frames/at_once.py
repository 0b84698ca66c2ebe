"""Tables of plain numbers, read whole: of thousands of columns each would take its own time."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xent._table.frames.exact import EXACT_WHOLE

POLARS_NUMBERS = frozenset(  # polars' types
    [f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)] + ["Float32", "Float64"]
)
LONG_INTEGERS = frozenset({"int64", "uint64"})  # of which not every number is a float


def numbers_at_once(
    table: Any, wanted: Sequence[str] | None = None
) -> tuple[list[str], NDArray[np.float64]] | None:
    """Return the names and the numbers of a table whose columns are all of plain numbers.

    Parameters
    ----------
    table : Any
        A data frame of pandas, polars or Arrow.
    wanted : sequence of str, optional
        The columns to read, in this order; all of them where not given.

    Returns
    -------
    tuple of list and ndarray, shape (rows, columns), or None
        None where a column is anything else, a number is infinite or a whole one may not be its
        float, or a column is not there: then `Frame` says what it is.
    """
    names = _names(table)
    if names is None or len(set(names)) < len(names):
        return None
    if wanted is not None and names != list(wanted):
        place = {name: i for i, name in enumerate(names)}
        if not all(name in place for name in wanted):
            return None
        at = [place[name] for name in wanted]
        if isinstance(table, pa.Table):
            table = table.select(at)
        else:
            table = table.iloc[:, at] if hasattr(table, "iloc") else table[:, at]
        names = list(wanted)
    found = _matrix(table)
    if found is None or not found[0].size:
        return None
    matrix, wide = found
    with np.errstate(invalid="ignore"):
        beyond = np.abs(matrix) >= (EXACT_WHOLE if wide else np.inf)
    return None if beyond.any() else (names, matrix)


def _names(table: Any) -> list[str] | None:
    if isinstance(table, pa.Table):
        return list(table.column_names)
    if nw.dependencies.is_pandas_dataframe(table) or nw.dependencies.is_polars_dataframe(table):
        return [str(name) for name in table.columns]
    return None


def _matrix(table: Any) -> tuple[NDArray[np.float64], bool] | None:
    """Return the numbers, and whether some are whole ones of 64 bits."""
    if isinstance(table, pa.Table):
        types = set(table.schema.types)
        if not all(pa.types.is_integer(t) or t in (pa.float32(), pa.float64()) for t in types):
            return None
        columns = [column.to_numpy() for column in table.columns]
        matrix = np.column_stack(columns) if columns else np.empty((0, 0))
    elif nw.dependencies.is_pandas_dataframe(table):
        types = set(table.dtypes)
        if not all(isinstance(t, np.dtype) and t.kind in "iuf" and t.itemsize <= 8 for t in types):
            return None
        matrix = table.to_numpy(np.float64)
    else:
        types = set(table.dtypes)
        if not all(str(t) in POLARS_NUMBERS for t in types):
            return None
        matrix = table.to_numpy()
    wide = any(str(t).lower() in LONG_INTEGERS for t in types)
    return np.asarray(matrix, dtype=np.float64), wide
