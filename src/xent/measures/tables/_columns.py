"""One column of a table as numbers or as codes of symbols.

What a column holds, `xent._table.frames` says of any data frame. Numbers, dates, times of day and
durations are numbers here, everything else is symbols.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.measures.rows._symbols import column as coded
from xent.measures.rows._symbols import numbers_of_rows
from xent.measures.tables._bins import Numbers

RANKED_KINDS = frozenset({"number", "date", "time", "duration", "name", "other"})
GREATEST = 1e300  # sum of weights whose logarithms, summed, cannot overflow


@dataclass(frozen=True)
class Field:
    """A column as read: codes with -1 for what is missing; numbers with NaN, whole ones with 0."""

    values: NDArray[Any]
    missing: NDArray[np.bool_]
    symbols: tuple[Any, ...] = ()
    kind: str = "symbols"
    zoned: bool | None = None  # of dates: whether they have a time zone; None where there is none

    @property
    def numeric(self) -> bool:
        """Whether it is cut into bins."""
        return self.kind != "symbols"

    def take(self, rows: NDArray[Any]) -> Field:
        """Return some of the rows."""
        return Field(self.values[rows], self.missing[rows], self.symbols, self.kind, self.zoned)


def frame_of(argument: str, table: Any) -> Any:
    """Read a table in memory of any kind."""
    from xent._table.frames import Frame

    frame = Frame(table, argument)
    if len(frame) == 0:
        raise _check.invalid(argument, "have at least one row", "none")
    return frame


def field_of(frame: Any, name: str, argument: str, *, symbols: bool = False) -> Field:
    """Read one column; what it holds says whether it is numbers."""
    from xent._table.frames import Accepted
    from xent._table.frames.exact import refuse_rounded
    from xent._table.frames.levels import as_flag

    column = frame.column(name)
    advice = "Make columns of its parts, or leave it out by " + _check.setting("columns") + "."
    kind = Accepted(argument, "hold one value a row", RANKED_KINDS, advice).check(column)
    if kind == "name" or column.empty:
        names = column.names()
        # A boolean is its name, however that is spelled: one stranger makes text of all.
        flags = [as_flag(level) for level in names.levels]
        pairs = zip(names.levels, flags, strict=True)
        spelt = [level if flag is None else str(flag) for level, flag in pairs]
        names = replace(names, levels=spelt)
        if all(isinstance(level, str) for level in names.levels):
            return _named(argument, names)
    whole = column.whole()
    if symbols or kind in ("name", "other"):
        complete = whole is not None and not column.missing().any()
        found = coded(argument, whole if complete else column.objects())
        return Field(found.codes, found.codes < 0, found.symbols)
    if whole is not None:  # floats have gaps from 2^53 on
        return Field(whole, column.missing(), (), "numbers")
    refuse_rounded(argument, column.in_question())
    values = column.floats()
    return Field(values, np.isnan(values), (), f"{kind}s", column.zoned)


def _named(argument: str, names: Any) -> Field:
    """Read text once a level, not once a row, in the order of the levels that some row has."""
    codes, size = names.codes, len(names.levels)
    seen = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=size))
    found = coded(argument, [names.levels[level] for level in seen.tolist()])
    places = np.full(size + 1, -1, dtype=np.int64)
    places[seen] = found.codes
    codes = places.take(codes)
    return Field(codes, codes < 0, found.symbols)


def doubt_text(argument: str, name: str, symbols: Sequence[Any], rows: NDArray[Any]) -> None:
    """Warn of a column of text, its levels in so many rows, that was hardly meant to be names."""
    from xent._table.frames.doubts import doubt_names

    if symbols and all(isinstance(symbol, str) for symbol in symbols):
        doubt_names(argument, name, zip(symbols, rows.tolist(), strict=True))


def weights_of(argument: str, weights: Any, frame: Any) -> Numbers:
    """Return the number of rows that each row stands for: all 1, an array, or a column by name."""
    rows = len(frame)
    if weights is None:
        return np.ones(rows)
    if isinstance(weights, str):
        if weights not in frame.names:
            advice = f"The table has {_check.join_names(frame.names, last='and')}."
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


def ranked_names(
    names: list[str], target: str, weights: Any, columns: list[str] | None
) -> list[str]:
    """Return the columns to rank: neither the target nor the weights."""
    if hasattr(target, "__len__") and not isinstance(target, str | tuple):
        advice = "Make the classes a column of the table first."
        raise _check.wrong_kind("target", "be the name of a column", _check.a(target), advice)
    if target not in names:
        advice = f"It has {_check.join_names(names, last='and')}."
        raise _check.invalid("target", "name a column of the table", repr(target), advice)
    others = [name for name in names if name != target]
    if isinstance(weights, str):
        if weights == target:
            raise _check.invalid("weights", "name a column other than the target", repr(weights))
        others = [name for name in others if name != weights]
    if not others:
        raise _check.invalid("table", "have a column beside the target", "none")
    if columns is None:
        return others
    if isinstance(columns, str):
        raise _check.wrong_kind("columns", "be a list of names", repr(columns))
    lost = [name for name in columns if name not in others]
    if lost or not columns:
        has = f"There is {_check.join_names(others, last='and')}."
        got = _check.join_names(lost) or "none"
        raise _check.invalid("columns", "name columns beside the target", got, has)
    return [name for name in others if name in columns]
