"""Columns of Python objects: what all of a column's values are, the column is.

Whole numbers, decimals and floats are numbers; dates, times and durations what they are called;
booleans (NumPy's too) and text are names. Values of several kinds stay what they are.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from numbers import Integral
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from xent._array import without_arrays
from xent._table.frames.columns import (
    Column,
    Exact,
    Flags,
    Floats,
    Moments,
    Nothing,
    Text,
    Wholes,
    is_missing,
)
from xent._table.frames.exact import EXACT_WHOLE, too_large

Read = Callable[[object, list[Any]], Column | None]


def of_objects(name: object, values: Sequence[Any]) -> Column:
    """Return a column of Python objects; None, NaN, NaT and NA are missing."""
    known = [None if is_missing(value) else value for value in without_arrays(list(values))]
    kinds = {type(value) for value in known} - {type(None)}
    for some, read in READERS:
        if all(issubclass(kind, some) for kind in kinds):
            column = read(name, known)
            if column is not None:
                return column
    return Column(name, known, _kinds(kinds))


def of_cells(name: object, values: Sequence[Any]) -> Column:
    """Return a column of an array of objects: text if any of it is, booleans as 0 and 1."""
    known = [None if is_missing(value) else value for value in values]
    if any(isinstance(value, str) for value in known):
        return _text(name, known)
    try:
        array = pa.array([None if value is None else float(value) for value in known], pa.float64())
    except OverflowError:
        raise too_large() from None
    except (TypeError, ValueError):
        return of_objects(name, known)
    return Floats(name, nw.from_native(pa.chunked_array([array]), series_only=True), "Float64")


def _kinds(kinds: set[type]) -> str:
    return " and ".join(sorted(kind.__name__ for kind in kinds))


def _nothing(name: object, values: list[Any]) -> Column | None:
    if any(value is not None for value in values):
        return None
    column = Nothing(name, values, "Object")
    column.kind = "name"  # what a library holds as objects is text, as a rule
    return column


def _booleans(name: object, values: list[Any]) -> Column:
    return Flags(name, pa.array(values, pa.bool_()), "Boolean")


def _numbers(name: object, values: list[Any]) -> Column | None:
    kinds = {type(value) for value in values} - {type(None)}
    if any(issubclass(kind, (bool, np.bool_)) for kind in kinds):
        return None  # booleans among numbers
    whole = all(issubclass(kind, Integral) for kind in kinds)
    decimal = any(issubclass(kind, Decimal) for kind in kinds)
    reach = 2**63 if whole else EXACT_WHOLE
    far = (isinstance(v, Integral) and not -reach <= int(v) < reach for v in values)
    if decimal or any(far):
        return Exact(name, values, "Decimal" if decimal else "Int128")
    array = pa.array(values, pa.int64() if whole else pa.float64())
    series = nw.from_native(pa.chunked_array([array]), series_only=True)
    return (Wholes if whole else Floats)(name, series, str(series.dtype))


def _dates(name: object, values: list[Any]) -> Column | None:
    """Read dates, of which some may have a time; in UTC where they have a zone, or none has one."""
    if not any(isinstance(value, (datetime, np.datetime64)) for value in values):
        return Moments(name, pa.array(values, pa.date32()), "Date")
    moments = [_moment(value) for value in values]
    zones = {moment.tzinfo is not None for moment in moments if moment is not None}
    if len(zones) > 1:
        return Column(name, values, "dates, some with a time zone and some without,")
    parts = any(getattr(moment, "nanosecond", 0) for moment in moments)
    kind = pa.timestamp("ns" if parts else "us", "UTC" if True in zones else None)
    return Moments(name, pa.array(moments, kind), "Datetime")


def _moment(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return value.astype("datetime64[us]").item()
    if value is None or isinstance(value, datetime):
        return value
    return datetime.combine(value, time())


def _times(name: object, values: list[Any]) -> Column | None:
    if any(value is not None and value.tzinfo is not None for value in values):
        return Column(name, values, "times with a time zone")
    return Moments(name, pa.array(values, pa.time64("us")), "Time")


def _durations(name: object, values: list[Any]) -> Column:
    parts = any(getattr(value, "nanoseconds", 0) for value in values)
    return Moments(name, pa.array(values, pa.duration("ns" if parts else "us")), "Duration")


def _text(name: object, values: list[Any]) -> Column:
    """Read text, and booleans among it by their spelling."""
    spelt = [None if value is None else str(value) for value in values]
    return Text(name, pa.array(spelt, pa.string()), "String")


READERS: tuple[tuple[tuple[type, ...], Read], ...] = (
    ((), _nothing),
    ((bool, np.bool_), _booleans),
    ((Integral, float, np.floating, Decimal), _numbers),
    ((date, np.datetime64), _dates),
    ((time,), _times),
    ((timedelta, np.timedelta64), _durations),
    ((str, bool, np.bool_), _text),
)
