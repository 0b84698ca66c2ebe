"""What one column holds: numbers, moments, names, or values that no kind covers.

Each class reads columns of one kind from whatever library holds them; all are asked alike, and a
column is read when it is asked, not before. Moments are numbers of microseconds, exact in a float64
for 285 years around 1970: dates since then in UTC, times of day since midnight, durations.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xent import _check
from xent._table.frames import exact

TICKS = {"s": 1_000_000, "ms": 1000, "us": 1}
DAY = 86_400 * TICKS["s"]


def is_missing(value: Any) -> bool:
    """Whether a Python object stands for a missing value: None, NaN, NaT or NA."""
    if isinstance(value, (float, Decimal, np.generic)):
        return bool(value != value)
    return type(value).__name__ in ("NoneType", "NAType", "NaTType")


@dataclass(frozen=True)
class Names:
    """Names as numbers: ``levels[codes]``; -1 is a missing one."""

    codes: NDArray[np.int64]
    levels: list[Any]
    declared: bool = False  # the levels and their order are the column's, even if no row has one


class Column:
    """A column of a frame; each kind answers what it can.

    Parameters
    ----------
    name : object
        As the frame calls it.
    held : Any
        The values: a series of narwhals, an Arrow array or a list, as the kind has it.
    dtype : str
        What the frame calls their type.
    """

    kind = "other"  # "number", "date", "time", "duration", "name", "nested" or "other"
    zoned: bool | None = None  # of dates: whether they have a time zone; None where there is none
    is_text = False  # whether it is text that is not declared to be categories
    empty = False  # whether it has no type and no value, so that it may stand for any kind

    def __init__(self, name: object, held: Any, dtype: str) -> None:
        self.name, self.held, self.dtype = name, held, dtype

    def __len__(self) -> int:
        return len(self.held)

    def missing(self) -> NDArray[np.bool_]:
        """Return where there is no value."""
        raise NotImplementedError

    def whole(self) -> NDArray[Any] | None:
        """Return whole numbers as int64 or uint64, 0 where one is missing; None for others."""
        return None

    def floats(self) -> NDArray[np.float64]:
        """Return the nearest float of each number, NaN where one is missing."""
        raise NotImplementedError

    def in_question(self) -> NDArray[Any]:
        """Return those different values that floats may take for one another."""
        return np.empty(0)

    def names(self) -> Names:
        """Return the names, coded."""
        raise NotImplementedError

    def objects(self) -> list[Any]:
        """Return the values as Python has them, None (or NaN) where one is missing."""
        if isinstance(self.held, list):
            return self.held
        values = self.held.to_list() if hasattr(self.held, "to_list") else self.held.tolist()
        return list(values)


class Floats(Column):
    """Numbers with fractions; NaN is missing, infinity is not."""

    kind = "number"

    def floats(self) -> NDArray[np.float64]:
        return np.asarray(self.held.cast(nw.Float64).to_numpy(), dtype=np.float64)

    def missing(self) -> NDArray[np.bool_]:
        return np.isnan(self.floats())


class Wholes(Column):
    """Whole numbers of at most 64 bits."""

    kind = "number"

    def missing(self) -> NDArray[np.bool_]:
        return np.asarray(self.held.is_null().to_numpy(), dtype=bool)

    def _plain(self) -> NDArray[Any]:
        return np.asarray((self.held.fill_null(0) if self._has_gaps else self.held).to_numpy())

    @property
    def _has_gaps(self) -> bool:
        return bool(self.held.null_count())

    def whole(self) -> NDArray[Any]:
        values = self._plain()
        return values.astype(np.uint64 if values.dtype == np.uint64 else np.int64, copy=False)

    def floats(self) -> NDArray[np.float64]:
        values = self._plain().astype(np.float64)
        if self._has_gaps:
            values[self.missing()] = np.nan
        return values

    def in_question(self) -> NDArray[Any]:
        if self.held.dtype not in (nw.Int64, nw.UInt64):
            return np.empty(0)
        values = self.whole()
        return exact.far(values) if exact.any_far(values) else np.empty(0)


class Exact(Column):
    """Numbers that NumPy has no type for: decimals, whole numbers of any length."""

    kind = "number"

    def __init__(self, name: object, held: list[Any], dtype: str) -> None:
        super().__init__(name, held, dtype)
        place: dict[Any, int] = {}
        self.codes = np.array(
            [-1 if is_missing(v) else place.setdefault(v, len(place)) for v in held], dtype=np.int64
        )
        self.distinct = np.empty(len(place), dtype=object)
        self.distinct[:] = list(place)

    def missing(self) -> NDArray[np.bool_]:
        return self.codes < 0

    def whole(self) -> NDArray[Any] | None:
        found = exact.whole_numbers(self.distinct.tolist())
        return None if found is None else np.append(found, found.dtype.type(0))[self.codes]

    def floats(self) -> NDArray[np.float64]:
        return np.append(exact.to_floats(self.distinct), np.nan)[self.codes]

    def in_question(self) -> NDArray[Any]:
        return self.distinct

    def objects(self) -> list[Any]:
        return list(self.held)


class Moments(Column):
    """Dates, times of day and durations, in an Arrow array: microseconds, with their parts."""

    kind = "date"

    def __init__(self, name: object, held: Any, dtype: str) -> None:
        super().__init__(name, held, dtype)
        kinds = {"time": pa.types.is_time, "duration": pa.types.is_duration}
        self.kind = next((k for k, is_one in kinds.items() if is_one(held.type)), "date")
        if self.kind == "date" and held.null_count < len(held):
            self.zoned = getattr(held.type, "tz", None) is not None

    def missing(self) -> NDArray[np.bool_]:
        return np.asarray(self.held.is_null().to_numpy(zero_copy_only=False), dtype=bool)

    def floats(self) -> NDArray[np.float64]:
        kind = self.held.type
        whole = self.held.cast(pa.int32()) if kind.bit_width == 32 else self.held
        whole = whole.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        if pa.types.is_date32(kind):
            found = (whole * DAY).astype(np.float64)
        elif getattr(kind, "unit", "ms") == "ns":
            whole, part = np.divmod(whole, 1000)
            found = whole + part / 1000
        else:
            found = (whole * TICKS[getattr(kind, "unit", "ms")]).astype(np.float64)
        if self.held.null_count:
            found[self.missing()] = np.nan
        return np.asarray(found, dtype=np.float64)


class Flags(Column):
    """Booleans, in an Arrow array: the names False and True."""

    kind = "name"

    def names(self) -> Names:
        codes = self.held.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        return Names(codes, [False, True], declared=True)


class Text(Column):
    """Text and categories, in an Arrow array: names in the order of its dictionary."""

    kind = "name"

    @property
    def is_text(self) -> bool:  # type: ignore[override]
        return not pa.types.is_dictionary(self.held.type)

    def names(self) -> Names:
        values = self.held
        coded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
        if isinstance(coded, pa.ChunkedArray):
            coded = coded.unify_dictionaries().combine_chunks()
        indices = coded.indices
        if coded.null_count:
            indices = indices.cast(pa.int64()).fill_null(-1)
        codes = indices.to_numpy().astype(np.int64)
        levels = coded.dictionary.to_pylist()
        known = [i for i, level in enumerate(levels) if level is not None and level == level]
        if len(known) < len(levels):  # the dictionary names what is missing
            places = np.full(len(levels) + 1, -1)
            places[known] = np.arange(len(known))
            codes, levels = places[codes], [levels[i] for i in known]
        return Names(codes, levels)


class Categories(Column):
    """Categories that are declared, used or not: their codes and, in their order, the levels."""

    kind = "name"

    def __len__(self) -> int:
        return len(self.held[0])

    def names(self) -> Names:
        codes, levels = self.held
        return Names(codes, levels, declared=True)

    def objects(self) -> list[Any]:
        codes, levels = self.held
        return [None if code < 0 else levels[code] for code in codes.tolist()]


class Nothing(Column):
    """A column of no type and no value, as where all of a file's fields are empty."""

    kind = "number"
    empty = True

    def missing(self) -> NDArray[np.bool_]:
        return np.ones(len(self), dtype=bool)

    def floats(self) -> NDArray[np.float64]:
        return np.full(len(self), np.nan)

    def names(self) -> Names:
        return Names(np.full(len(self), -1), [])


class Nested(Column):
    """Lists and records."""

    kind = "nested"


@dataclass(frozen=True)
class Accepted:
    """What a room reads, and the words of its refusals."""

    argument: str
    must: str
    kinds: frozenset[str]
    advice: _check.Words = ""

    def check(self, column: Column) -> str:
        """Return the kind of a column that is accepted."""
        if column.kind not in self.kinds:
            got = f"{column.dtype} in column {column.name!r}"
            raise _check.wrong_kind(self.argument, self.must, got, self.advice)
        return column.kind
