"""How a table becomes columns: numbers, and names coded by their level.

Any eager data frame that narwhals knows, an array, or a sparse matrix. Strings, categories and
booleans are names; a category that is declared keeps its code even if no row has it. Dates and
durations are numbers (microseconds: exact in a float64 for 285 years around 1970). Nothing is
guessed from values: the type of a column decides.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xent import _check

Level = str | int | float | bool


@dataclass(frozen=True)
class Column:
    """What one column is called and how it is read: a number, a date, a duration or a name."""

    name: str
    kind: str  # "number", "date", "duration" or "name"
    levels: tuple[Level, ...] = ()


@dataclass
class Cases:
    """A table as the kernels read it."""

    kind: NDArray[np.int64]  # by feature: 0 a number, 1 a name
    slot: NDArray[np.int64]  # column of `numbers` or row of `codes`
    numbers: NDArray[Any]
    codes: NDArray[Any]  # a missing or unknown name has the code after the last level
    n_levels: NDArray[np.int64]  # by row of `codes`

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.numbers)

    @property
    def missing(self) -> bool:
        """Whether any value is missing."""
        return bool(np.isnan(self.numbers).any() or (self.codes == self.n_levels[:, None]).any())

    def take(self, rows: NDArray[Any]) -> "Cases":
        """Return some of the rows."""
        codes = np.ascontiguousarray(self.codes[:, rows])
        return Cases(self.kind, self.slot, self.numbers[rows], codes, self.n_levels)


def is_frame(X: Any) -> bool:
    """Whether narwhals knows X as an eager data frame."""
    if isinstance(X, (np.ndarray, list, tuple)):
        return False
    if type(X) is dict:  # scipy has a sparse array that is a dict, too
        advice = "pandas.DataFrame(X) and polars.DataFrame(X) make one of it."
        raise _check.wrong_kind("X", "be a data frame or an array", "a dict", advice)
    try:
        nw.from_native(X, eager_only=True)
    except TypeError:
        return False
    except nw.exceptions.DuplicateError:
        pass
    return True


def is_clean(X: Any) -> bool:
    """Whether X is a matrix of finite float64 numbers in which nothing is left to check."""
    if type(X) is not np.ndarray or X.dtype != np.float64 or not X.dtype.isnative:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return X.ndim == 2 and X.size > 0 and math.isfinite(X.sum())


def of_numbers(X: NDArray[np.float64], *, copy: bool = True) -> Cases:
    """Columns of a plain matrix."""
    if copy and not (X.flags.c_contiguous and X.flags.writeable):
        # One layout, so that the loops are compiled once.
        X = np.require(X, requirements=["C", "W"])
    d = X.shape[1]
    none = np.empty((0, len(X)), np.int32)
    return Cases(np.zeros(d, np.int64), np.arange(d), X, none, np.empty(0, np.int64))


def number_columns(names: Sequence[str]) -> list[Column]:
    """Describe the columns of a plain matrix."""
    return [Column(name, "number") for name in names]


def frame_of_objects(X: NDArray[Any]) -> Any:
    """Turn an array of objects into a table: a column that holds a string holds names."""
    columns = {}
    for j in range(X.shape[1]):
        values = [None if v is None or v != v else v for v in X[:, j].tolist()]
        if any(isinstance(v, str) for v in values):
            columns[f"x{j}"] = pa.array([None if v is None else str(v) for v in values])
        else:
            try:
                columns[f"x{j}"] = pa.array(
                    [None if v is None else float(v) for v in values], pa.float64()
                )
            except OverflowError:
                raise too_large() from None
            except (TypeError, ValueError):
                bad = next(v for v in values if not isinstance(v, (int, float)))
                raise _check.wrong_kind(
                    "X", "hold numbers and strings", f"{_check.a(bad)} in column {j}"
                ) from None
    return pa.table(columns)


def too_large() -> ValueError:
    """Return the error for a whole number that is infinite as float64."""
    return _check.invalid("X", "be finite or missing", "a whole number above 1.8e308")


def describe(X: Any) -> list[Column]:
    """Say what the columns of a data frame are."""
    found = []
    for name, series in series_of(X).items():
        kind = _kind(series)
        found.append(Column(name, kind, _levels(series) if kind == "name" else ()))
    return found


def series_of(X: Any) -> dict[str, Any]:
    """Return the columns of a data frame by name."""
    try:
        frame = nw.from_native(X, eager_only=True)
        names = [str(name) for name in frame.columns]
    except nw.exceptions.DuplicateError:
        names = [str(name) for name in X.columns]
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise _check.invalid("X", "have a name of its own for each column", f"{twice!r} twice")
    return dict(zip(names, frame.iter_columns(), strict=True))


def _is_void(series: Any) -> bool:
    """Whether a column has no type, as where all of a file's fields are empty."""
    return bool(series.dtype == nw.Unknown and series.null_count() == len(series))


def _kind(series: Any) -> str:
    dtype = series.dtype
    if dtype.is_numeric() or _is_void(series):
        return "number"
    if dtype == nw.Date or dtype == nw.Datetime:
        return "date"
    if dtype == nw.Duration:
        return "duration"
    if dtype in (nw.String, nw.Categorical, nw.Enum, nw.Boolean) or dtype == nw.Object:
        return "name"
    raise _check.wrong_kind(
        "X", "hold numbers, names, booleans and dates", f"{dtype} in column {series.name!r}"
    )


def _levels(series: Any) -> tuple[Level, ...]:
    if series.dtype == nw.Boolean:
        return (False, True)
    declared = _declared(series)
    if declared is not None:
        return tuple(_spelt(declared))
    if series.dtype == nw.Enum:
        return tuple(series.dtype.categories)
    values = pc.unique(names(series)).drop_null().to_pylist()
    return tuple(sorted(values))


def _declared(series: Any) -> list[Any] | None:
    """Return the categories of a column of pandas', used or not."""
    found = getattr(getattr(series.to_native(), "cat", None), "categories", None)
    return None if found is None else found.tolist()


def _spelt(levels: list[Any]) -> list[Level]:
    """Return levels as they are, or as text: intervals, days, and what is not of one kind."""
    plain = any(all(isinstance(v, kinds) for v in levels) for kinds in (str, bool, (int, float)))
    return levels if plain else [str(v) for v in levels]


def names(series: Any) -> Any:
    """Return a column of names as an Arrow array of strings, numbers or booleans."""
    if series.dtype == nw.Object:
        values = [None if v is None or v != v else v for v in series.to_list()]
        bad = next((v for v in values if v is not None and not isinstance(v, (str, bool))), None)
        if bad is not None:
            got = f"{_check.a(bad)} in column {series.name!r}"
            raise _check.wrong_kind("X", "hold numbers, names, booleans and dates", got)
        return pa.array([None if v is None else str(v) for v in values], pa.string())
    declared = _declared(series)
    if declared is not None and (spelt := _spelt(declared)) != declared:
        at = series.to_native().cat.codes.to_numpy()
        return pa.array(spelt).take(pa.array(at, mask=at < 0))
    array = series.to_arrow()
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_boolean(array.type) or pa.types.is_integer(array.type):
        return array
    if pa.types.is_floating(array.type):
        return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    return array.cast(pa.string())


def number(series: Any, kind: str) -> NDArray[np.float64]:
    if _is_void(series):
        return np.full(len(series), np.nan)
    if kind == "number":
        if series.implementation.is_pyarrow() and series.dtype.is_integer():
            # Arrow's safe cast refuses numbers that round.
            out = series.to_arrow().cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        else:
            out = series.cast(nw.Float64).to_numpy()
        out = np.asarray(out, dtype=np.float64)
        if np.isinf(out).any():
            at = int(np.flatnonzero(np.isinf(out))[0])
            raise _check.invalid("X", "be finite or missing", f"infinity in {series.name!r}[{at}]")
        return out
    array = series.to_arrow()
    unit = pa.timestamp("us") if kind == "date" else pa.duration("us")
    if pa.types.is_timestamp(array.type) and array.type.tz:
        unit = pa.timestamp("us", array.type.tz)
    whole = array.cast(unit, safe=False).cast(pa.int64())
    return np.asarray(whole.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def read(X: Any, columns: Sequence[Column]) -> Cases:
    """Read a data frame as the columns that a tree was fitted on."""
    series = matched(X, columns)
    n = len(series[0]) if series else 0
    kind, slot, n_levels = layout(columns)
    numbers = np.empty((n, int((kind == 0).sum())))
    coded = np.empty((int(kind.sum()), n), np.int32)
    for j, column in enumerate(columns):
        if kind[j]:
            coded[slot[j]] = codes(series[j], column.levels)
        else:
            numbers[:, slot[j]] = number(series[j], column.kind)
    return Cases(kind, slot, numbers, coded, n_levels)


def layout(
    columns: Sequence[Column],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return each column's kind and place among its kind, and the numbers of levels."""
    kind = np.array([c.kind == "name" for c in columns], np.int64)
    slot = np.where(kind == 1, np.cumsum(kind) - 1, np.cumsum(1 - kind) - 1)
    return kind, slot, np.array([len(c.levels) for c in columns if c.kind == "name"], np.int64)


def matched(X: Any, columns: Sequence[Column]) -> list[Any]:
    """Return the series of a data frame that are the columns of fit."""
    found_series = series_of(X)
    series = []
    for column in columns:
        if column.name not in found_series:
            got = f"none among {_check.join_names(found_series, last='and', limit=8)}"
            raise _check.invalid("X", f"have the column {column.name!r}", got)
        series.append(found_series[column.name])
        found = _kind(series[-1])
        if found != column.kind and not _is_void(series[-1]):
            raise _check.invalid(
                "X",
                f"hold a {column.kind} in column {column.name!r}, as in fit",
                f"a {found} ({series[-1].dtype})",
            )
    return series


def codes(series: Any, levels: tuple[Level, ...]) -> NDArray[np.int32]:
    """Code names by their level; what is missing or unknown comes after the last."""
    if not levels:
        return np.zeros(len(series), np.int32)
    given = names(series)
    known = pa.array(list(levels))
    if known.type != given.type:
        given, known = _same_type(given, known)
    found = pc.index_in(given, value_set=known, skip_nulls=True)
    return np.asarray(found.fill_null(len(levels)).to_numpy(zero_copy_only=False), np.int32)


def _same_type(names: Any, known: Any) -> tuple[Any, Any]:
    """Compare names of different kinds as text: 1 in one table is "1" in another, True "true"."""
    if pa.types.is_boolean(known.type) and pa.types.is_string(names.type):
        return pc.utf8_lower(names), known.cast(pa.string())
    return names.cast(pa.string()), known.cast(pa.string())


def refuse_fractions(y: NDArray[Any]) -> None:
    """Refuse numbers that are no classes."""
    if y.dtype.kind == "f":
        odd = np.isfinite(y) & (y != np.floor(y))
        if odd.any():
            # The words in brackets are those that scikit-learn's checks look for.
            got = f"{y[odd.argmax()]:g} (Unknown label type: continuous)"
            raise _check.invalid(
                "y", "hold classes", got, "For numbers take " + _check.thing("TreeRegressor") + "."
            )
