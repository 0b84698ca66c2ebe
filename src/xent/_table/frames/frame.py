"""A table in memory of any kind, and its columns by name."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xent import _check
from xent._array import library_of
from xent._table.frames.columns import (
    Categories,
    Column,
    Exact,
    Flags,
    Floats,
    Moments,
    Nested,
    Nothing,
    Text,
    Wholes,
)
from xent._table.frames.objects import of_cells, of_objects
from xent._table.times import in_arrow_units

MOMENTS = (nw.Date, nw.Datetime, nw.Time, nw.Duration)
NO_COLUMNS = (str, bytes, set, frozenset, dict)  # which have letters, no order, or names
NAME_TYPES = (nw.String, nw.Categorical, nw.Enum)


class Frame:
    """A data frame, a dict of columns or a structured array; a column is read when it is asked for.

    Parameters
    ----------
    table : Any
        What the caller was handed.
    argument : str
        What the caller calls it, for the error message.

    Raises
    ------
    TypeError, ValueError
        If it is no table in memory, or two of its columns share a name.
    """

    def __init__(self, table: Any, argument: str = "X") -> None:
        self.native = table
        for name, values in table.items() if type(table) is dict else ():
            if not hasattr(values, "__len__") or isinstance(values, NO_COLUMNS):
                must = "have a list or an array in every column"
                raise _check.wrong_kind(argument, must, f"{_check.a(values)} for {name!r}")
        parts = _parts(table)
        if parts is None:
            must = "be a data frame in memory that narwhals reads (pandas, polars, Arrow, ...)"
            raise _check.wrong_kind(argument, must, _check.a(table))
        self.names, lengths, self._reader = parts
        if len(set(self.names)) < len(self.names):
            twice = Counter(self.names).most_common(1)[0][0]
            raise _check.invalid(argument, "name each column once", f"{twice!r} twice")
        self._read: dict[Any, Column] = {}
        if len(lengths) > 1:
            got = _check.join_names(sorted(map(str, lengths)), last="and")
            raise _check.invalid(argument, "have columns of one length", got)
        self.rows: int = max(lengths, default=0)

    def __len__(self) -> int:
        return self.rows

    def column(self, name: Any) -> Column:
        """Return one column."""
        if name not in self._read:
            self._read[name] = self._reader(name)
        return self._read[name]

    def columns(self) -> list[Column]:
        """Return all columns in order."""
        return [self.column(name) for name in self.names]


def is_frame(table: Any) -> bool:
    """Whether a table is one whose columns have names and types of their own."""
    if isinstance(table, (list, tuple, np.ndarray)):
        return bool(getattr(getattr(table, "dtype", None), "names", None))
    return _parts(table) is not None


Parts = tuple[list[Any], set[int], Callable[[Any], Column]]


def _parts(table: Any) -> Parts | None:
    """Return the names, the lengths and a reader of a table's columns; None where it is none."""
    if isinstance(table, np.ndarray):
        return _parts_of_array(table)
    if type(table) is dict:  # scipy has a sparse array that is a dict, too
        lengths = {len(values) for values in table.values() if hasattr(values, "__len__")}
        return list(table), lengths, lambda name: _of_values(name, table[name])
    try:
        frame = nw.from_native(table, eager_only=True)
        # A name need not be text: such columns are taken by their place, which asks for all names.
        place = {name: j for j, name in enumerate(frame.columns)}

        def read(name: Any) -> Column:
            if isinstance(table, pa.Table):
                text = _of_arrow(name, table.column(place[name]))
                if text is not None:
                    return text
            by_name = isinstance(name, str)
            return of_series(name, frame.get_column(name) if by_name else frame[:, place[name]])

        return list(place), {len(frame)} if place else set(), read
    except nw.exceptions.DuplicateError:
        twice = table.column_names if isinstance(table, pa.Table) else table.columns
        return list(twice), set(), lambda name: Column(name, [], "twice")
    except TypeError:
        return None


def _parts_of_array(table: NDArray[Any]) -> Parts | None:
    """Return the fields of a structured array, or columns x0, x1, ... of objects, text or dates."""
    if table.dtype.names and table.ndim == 1:
        return list(table.dtype.names), {len(table)}, lambda name: _of_values(name, table[name])
    if table.dtype.kind in "OUSTMm" and table.ndim == 2:
        place = {f"x{j}": j for j in range(table.shape[1])}
        read: Any = of_cells if table.dtype == object else _of_values
        lengths = {len(table)} if place else set()
        return list(place), lengths, lambda name: read(name, table[:, place[name]])
    return None


def _of_values(name: object, values: Any) -> Column:
    """Return the column that a list or an array is."""
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        chunks = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
        text = _of_arrow(name, chunks)
        return text or of_series(name, nw.from_native(chunks, series_only=True))
    library = library_of(values)
    if library.name != "numpy":
        values = library.seen(values)
    if not isinstance(values, np.ndarray):
        return of_objects(name, list(values))
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    if values.dtype.kind not in "biufmMU" or values.ndim != 1:
        return of_objects(name, values.tolist())
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind in "mM":
        times = in_arrow_units(values)
        if times is None:
            bare = np.datetime_data(values.dtype)[0] == "generic"
            return Column(name, values, f"{values.dtype}{' without a unit' if bare else ''}")
        values = times
    array = pa.array(values)
    return of_series(name, nw.from_native(pa.chunked_array([array]), series_only=True))


def _of_arrow(name: object, values: pa.ChunkedArray) -> Column | None:
    """Return a column of text or categories, which `of_series` reads alike, but takes longer."""
    kind = values.type
    if pa.types.is_string(kind):
        return Text(name, values.combine_chunks(), "String")
    if pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type) and not kind.ordered:
        return Text(name, values.combine_chunks(), "Categorical")
    return None


def of_series(name: object, series: Any) -> Column:
    """Return the column that a series of narwhals is."""
    native = series.to_native()
    if str(getattr(native, "dtype", "")).startswith("Sparse"):
        series = nw.from_native(native.sparse.to_dense(), series_only=True)
    if getattr(getattr(native, "dtype", None), "tz", None) is not None:
        # narwhals does not know a time zone of pandas whose name has an underscore: New_York.
        series = nw.from_native(native.dt.tz_convert("UTC"), series_only=True)
    dtype, shown = series.dtype, str(series.dtype)
    if dtype == nw.Object or str(getattr(native, "dtype", "")) == "object":
        return of_objects(name, series.to_list())
    if dtype.is_nested():
        return Nested(name, series, shown)
    if dtype.is_decimal() or dtype in (nw.Int128, nw.UInt128):
        return Exact(name, series.to_list(), shown)
    if dtype.is_numeric():
        return (Wholes if dtype.is_integer() else Floats)(name, series, shown)
    if dtype == nw.Boolean:
        return Flags(name, series.to_arrow(), shown)
    if dtype in NAME_TYPES:
        return _of_names(name, series, shown)
    if any(dtype == kind for kind in MOMENTS):
        return Moments(name, series.to_arrow(), shown)
    if dtype == nw.Unknown and series.null_count() == len(series):
        return Nothing(name, series, shown)
    return Column(name, series, str(getattr(native, "dtype", shown)))


def _of_names(name: object, series: Any, shown: str) -> Column:
    categorical = getattr(series.to_native(), "cat", None)
    categories = getattr(categorical, "categories", None)  # pandas', used or not
    if categories is not None and categorical is not None:
        codes = categorical.codes.to_numpy().astype(np.int64)
        return Categories(name, (codes, categories.tolist()), shown)
    column = Text(name, series.to_arrow(), shown)
    if series.dtype != nw.Enum:
        return column
    levels = list(series.to_native().dtype.categories)  # not in older versions of narwhals
    found = column.names()
    places = np.array([*(levels.index(level) for level in found.levels), -1])
    return Categories(name, (places[found.codes], levels), shown)
