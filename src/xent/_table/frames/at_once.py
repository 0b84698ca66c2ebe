"""Columns of plain numbers and flags, read whole: of thousands each would take its own time."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xent._table.frames.exact import EXACT_WHOLE

POLARS_NUMBERS = frozenset(  # polars' types
    [f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)] + ["Float32", "Float64"]
)
LONG_INTEGERS = frozenset({"int64", "uint64"})  # of which not every number is a float
OTHER_FORM, NUMBER_FORM, FLAG_FORM = 0, 1, 2


class AtOnce(NamedTuple):
    """What was read whole; the other columns are for `Frame`."""

    names: list[str]  # of all columns
    form: NDArray[np.uint8]  # by column: NUMBER_FORM, FLAG_FORM or OTHER_FORM
    numbers: NDArray[np.float64]  # a column for each of NUMBER_FORM, NaN where one is missing
    flags: NDArray[np.bool_]  # a column for each of FLAG_FORM; none is missing


def read_at_once(table: Any, wanted: Sequence[str] | None = None) -> AtOnce | None:
    """Read those columns of a table that hold plain numbers, or booleans without a gap.

    A column is for `Frame` where its type is another one, a number is infinite, or a whole one may
    not be its float.

    Parameters
    ----------
    table : Any
        A data frame of pandas, polars or Arrow, or a dict of arrays.
    wanted : sequence of str, optional
        The columns to read, in this order; all of them where not given.

    Returns
    -------
    AtOnce or None
        None where nothing can be read so, or a column is not there.
    """
    names, types = _schema(table)
    rows = len(next(iter(table.values())) if type(table) is dict else table) if names else 0
    if not rows or len(set(names)) < len(names):
        return None
    at = np.arange(len(names))
    if wanted is not None and names != list(wanted):
        place = {name: i for i, name in enumerate(names)}
        if not all(name in place for name in wanted):
            return None
        at, names = np.array([place[name] for name in wanted], np.int64), list(wanted)
    known = {kind: _form(kind) for kind in set(types)}
    form = np.array([known[types[j]] for j in at], np.uint8)
    numbers, flags = np.empty((rows, 0)), np.empty((rows, 0), np.bool_)
    if (form == FLAG_FORM).any():
        found = _matrix(table, at[form == FLAG_FORM], len(types))
        if found.dtype == bool:
            flags = found
        else:  # a gap
            form[form == FLAG_FORM] = OTHER_FORM
    if (form == NUMBER_FORM).any():
        numbers = _matrix(table, at[form == NUMBER_FORM], len(types), np.float64)
    elif not form.any():
        return None
    far = {kind: str(kind).removesuffix("[pyarrow]").lower() in LONG_INTEGERS for kind in known}
    limits = np.array([EXACT_WHOLE if far[types[j]] else np.inf for j in at[form == NUMBER_FORM]])
    with np.errstate(invalid="ignore"):
        beyond = (np.abs(numbers) >= limits).any(axis=0)
    if beyond.any():
        form[form == NUMBER_FORM] = np.where(beyond, OTHER_FORM, NUMBER_FORM)
        numbers = numbers[:, ~beyond]
    return AtOnce(names, form, numbers, flags)


def _schema(table: Any) -> tuple[list[str], list[Any]]:
    """Return the names and types of a table's columns; none of what is not read here."""
    if isinstance(table, pa.Table):
        return list(table.column_names), list(table.schema.types)
    if nw.dependencies.is_pandas_dataframe(table) or nw.dependencies.is_polars_dataframe(table):
        return [str(name) for name in table.columns], list(table.dtypes)
    if type(table) is dict and len({len(values) for values in table.values()}) == 1:
        types = [v.dtype if type(v) is np.ndarray and v.ndim == 1 else None for v in table.values()]
        return [str(name) for name in table], types
    return [], []


def _form(kind: Any) -> int:
    """Return what a column of a type of Arrow, NumPy, pandas or polars is."""
    kind = getattr(kind, "pyarrow_dtype", kind)
    if isinstance(kind, pa.DataType):
        if pa.types.is_boolean(kind):
            return FLAG_FORM
        plain = pa.types.is_integer(kind) or kind in (pa.float32(), pa.float64())
    elif isinstance(kind, np.dtype):
        if kind.kind == "b":
            return FLAG_FORM
        plain = kind.kind in "iuf" and kind.itemsize <= 8
    elif str(kind) == "Boolean":
        return FLAG_FORM
    else:
        plain = str(kind) in POLARS_NUMBERS
    return NUMBER_FORM if plain else OTHER_FORM


def _matrix(table: Any, at: NDArray[np.int64], width: int, dtype: Any = None) -> NDArray[Any]:
    """Return the columns at some places, which are all numbers or all flags."""
    if isinstance(table, pa.Table | dict):
        every = list(table.values()) if isinstance(table, dict) else table.columns
        return np.asarray(np.column_stack([np.asarray(every[j]) for j in at.tolist()]), dtype)
    stretch = bool((np.diff(at) == 1).all())
    if len(at) < width or not stretch:
        # A stretch is a view, where a list of places is a copy.
        part = slice(int(at[0]), int(at[-1]) + 1) if stretch else at.tolist()
        table = table.iloc[:, part] if hasattr(table, "iloc") else table[:, part]
    if dtype is not None and hasattr(table, "iloc"):
        return np.asarray(table.to_numpy(dtype, na_value=np.nan))
    return np.asarray(table.to_numpy(), dtype)
