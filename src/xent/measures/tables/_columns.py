"""One column of a data frame as numbers or as codes of symbols.

Any eager data frame that narwhals reads. The type of a column decides: numbers, dates and times are
numbers, everything else is symbols; nothing is guessed from values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.measures.rows._symbols import column, numbers_of_rows, real_numbers
from xent.measures.tables._bins import Numbers

KINDS = {"Date": "dates", "Datetime": "dates", "Duration": "durations", "Time": "times"}
TEXT = ("string", "large_string", "string_view")
GREATEST = 1e300  # sum of weights whose logarithms, summed, cannot overflow


@dataclass(frozen=True)
class Field:
    """A column as read: codes with -1 for what is missing; numbers with NaN, whole ones with 0."""

    values: NDArray[Any]
    missing: NDArray[np.bool_]
    symbols: tuple[Any, ...] = ()
    kind: str = "symbols"

    @property
    def numeric(self) -> bool:
        """Whether it is cut into bins."""
        return self.kind != "symbols"

    def take(self, rows: NDArray[Any]) -> Field:
        """Return some of the rows."""
        return Field(self.values[rows], self.missing[rows], self.symbols, self.kind)


def frame_of(argument: str, table: Any) -> tuple[Any, list[str]]:
    """Read a data frame of any kind, and the names of its columns."""
    import narwhals as nw

    try:
        frame = nw.from_native(table, eager_only=True)
        names = list(frame.columns)
    except TypeError:
        must = "be a data frame in memory that narwhals reads (pandas, polars, Arrow, ...)"
        raise _check.wrong_kind(argument, must, _check.a(table)) from None
    except nw.exceptions.DuplicateError:
        raise _check.invalid(argument, "name each column once", "a name twice") from None
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise _check.invalid(argument, "name each column once", f"{twice[0]!r} twice")
    if len(frame) == 0:
        raise _check.invalid(argument, "have at least one row", "none")
    return frame, names


def field_of(frame: Any, name: str, argument: str, *, symbols: bool = False) -> Field:
    """Read one column; its type says whether it is numbers."""
    series = frame.get_column(name)
    if series.dtype.is_nested():
        advice = "Make columns of its parts, or leave it out by " + _check.setting("columns") + "."
        raise _check.wrong_kind(argument, "hold one value a row", "several", advice)
    kind = "numbers" if series.dtype.is_numeric() else KINDS.get(str(series.dtype).split("(")[0])
    if series.dtype.is_integer() and not symbols:  # whole: floats have gaps from 2^53 on
        whole = _array(series.fill_null(0), argument)
        if whole.dtype.kind in "iu":
            wide = np.uint64 if whole.dtype == np.uint64 else np.int64
            gaps = np.asarray(series.is_null().to_numpy(), dtype=bool)
            return Field(whole.astype(wide, copy=False), gaps, (), "numbers")
    if kind is not None and not symbols and series.dtype.is_decimal():
        return _decimals(argument, series.to_arrow())
    if kind is not None and not symbols:
        values = _numbers(_array(series, argument))
        return Field(values, np.isnan(values), (), kind)
    if str(series.dtype) in ("String", "Categorical"):
        told = _text(argument, series.to_arrow())
        if told is not None:
            return told
    complete = series.dtype.is_integer() and series.null_count() == 0
    found = column(argument, _array(series, argument) if complete else series.to_list())
    return Field(found.codes, found.codes < 0, found.symbols)


def refuse_real(argument: str, names: tuple[Any, ...]) -> None:
    """Refuse names, read as text, that are all numbers and not all whole."""
    try:
        numbers = [float(name) for name in names]
    except (TypeError, ValueError):
        return
    if any(math.isfinite(number) and number % 1 for number in numbers):
        raise real_numbers(argument)


def _text(argument: str, values: Any) -> Field | None:
    """Read text once a symbol, not once a row, in the order of its dictionary."""
    import pyarrow as pa

    coded = pa.types.is_dictionary(values.type)
    if str(values.type.value_type if coded else values.type) not in TEXT:
        return None
    values = values if coded else values.dictionary_encode()
    if hasattr(values, "combine_chunks"):
        values = values.unify_dictionaries().combine_chunks()
    size = len(values.dictionary)
    indices = values.indices.fill_null(size) if values.null_count else values.indices
    indices = indices.to_numpy().astype(np.int64)
    seen = np.flatnonzero(np.bincount(indices, minlength=size)[:size])  # no row may have some
    names = values.dictionary if seen.size == size else values.dictionary.take(pa.array(seen))
    found = column(argument, names.to_pylist())
    places = np.full(size + 1, -1, dtype=np.int64)
    places[seen] = found.codes
    codes = places.take(indices)
    return Field(codes, codes < 0, found.symbols)


def _decimals(argument: str, values: Any) -> Field:
    """Read decimals as whole numbers or as floats; none is taken for another."""
    values = values.combine_chunks() if hasattr(values, "combine_chunks") else values
    coded = values.dictionary_encode()
    numbers = [number for number in coded.dictionary.to_pylist() if number is not None]
    whole = values.type.scale <= 0
    for number in numbers:
        if whole and not -(2**63) <= number < 2**63:
            must, advice = "hold whole numbers of 64 bits", "Make it text where they are names."
            raise _check.invalid(argument, must, str(number), advice)
        if not whole and round(Decimal(float(number)), values.type.scale) != number:
            must = "hold numbers that floats tell apart"
            advice = "Make it text where they are names, and floats where they are amounts."
            raise _check.invalid(argument, must, str(number), advice)
    found = np.array([int(n) if whole else float(n) for n in numbers] + [0])
    gaps = np.asarray(values.is_null().to_numpy(zero_copy_only=False), dtype=bool)
    indices = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    known = found[indices]
    return Field(known if whole else np.where(gaps, math.nan, known), gaps, (), "numbers")


def _array(series: Any, argument: str) -> NDArray[Any]:
    try:
        return np.asarray(series.to_numpy())
    except Exception as error:  # of pyarrow, polars, ...: what NumPy has no type for
        raise _check.cannot(f"`{argument}` cannot be read", str(error).rstrip(".")) from None


def _numbers(values: NDArray[Any]) -> Numbers:
    if values.dtype.kind in "mM":
        missing = np.isnat(values)
        if np.datetime_data(values.dtype)[0] == "ns":  # parts of a microsecond stay
            whole, part = np.divmod(values.astype(np.int64), 1000)
            return np.where(missing, np.nan, whole + part / 1000)
        unit = "datetime64[us]" if values.dtype.kind == "M" else "timedelta64[us]"
        return np.where(missing, np.nan, values.astype(unit).astype(np.int64))
    if values.dtype.kind != "O":
        return values.astype(np.float64)
    return np.array([_number(value) for value in values.tolist()], dtype=np.float64)


def _number(value: Any) -> float:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return math.nan
    if isinstance(value, time):
        seconds = 3600 * value.hour + 60 * value.minute + value.second
        return 1e6 * seconds + value.microsecond
    return float(value)


def weights_of(argument: str, weights: Any, frame: Any) -> Numbers:
    """Return the number of rows that each row stands for: all 1, an array, or a column by name."""
    rows = len(frame)
    if weights is None:
        return np.ones(rows)
    if isinstance(weights, str):
        if weights not in frame.columns:
            advice = f"The table has {_check.join_names(frame.columns, last='and')}."
            raise _check.invalid(argument, "name a column of the table", repr(weights), advice)
        field = field_of(frame, weights, argument)
        if not field.numeric:
            raise _check.invalid(argument, "name a column of numbers", repr(weights))
        weights = np.where(field.missing, math.nan, field.values)
    return numbers_of_rows(argument, weights, rows)


def total_of(weights: Numbers) -> float:
    """Sum of weights, which may be infinite."""
    with np.errstate(over="ignore"):
        return float(weights.sum())


def check_total(total: float, argument: str = "weights") -> None:
    """Refuse weights that add up to nothing, or to more than sums of logarithms can take."""
    if total == 0:
        raise _check.invalid(argument, "have one above 0", "none")
    if total > GREATEST:
        raise _check.invalid(argument, f"have a sum of at most {GREATEST:g}", f"{total:.6g}")
