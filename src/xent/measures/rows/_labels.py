"""Outcomes that have names: the index of a Series, the keys of a dict, the symbols of `Counts`.

What knows its symbols is read here into an array and the symbols of each axis. `_alignment` then
brings several of them into one order. A default RangeIndex names nothing.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xent import _check
from xent.measures.rows._input import advice_for_labels
from xent.measures.rows._protocols import AnyArray
from xent.measures.rows._symbols import is_missing
from xent.measures.rows._typed_arrays import TYPED, UNNAMED, Counts, untyped

AxisSymbols = tuple[Hashable, ...]
FREQUENCIES = ("count", "counts", "proportion", "len")  # as value_counts and group_by name them
FRAMES = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "Table"}


@dataclass(frozen=True)
class Labelled:
    """An array with the symbols of each axis, None where it has none, and what the axes are."""

    argument: str
    values: Any
    kind: type | None = None
    symbols: tuple[AxisSymbols | None, ...] = ()
    names: tuple[Hashable, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        found = self.values.shape if hasattr(self.values, "shape") else np.shape(self.values)
        return tuple(found)

    @property
    def value(self) -> Any:
        """The values with their type, without symbols."""
        return self.values if self.kind is None else self.kind(self.values)

    def of(self, axis: int) -> AxisSymbols | None:
        """Return the symbols of an axis, counted from the start."""
        return self.symbols[axis] if self.symbols else None


def has_labels(value: object) -> bool:
    """Tell whether this may know its symbols; loads no library to find out."""
    if type(value) in UNNAMED:
        return False
    if isinstance(value, TYPED):
        return bool(getattr(value, "symbols", ())) or has_labels(value.values)
    return isinstance(value, Mapping) or _is_pair(value) or bool(_container(value))


def read_labels(argument: str, value: Any) -> Labelled:
    """Read the values and the symbols of one argument; of a plain array the values alone."""
    if not has_labels(value):
        kind = type(value) if isinstance(value, TYPED) else None
        return Labelled(argument, untyped(value), kind)
    inner, kind = untyped(value), type(value) if isinstance(value, TYPED) else None
    if isinstance(inner, Counter) and kind is None:
        kind = Counts
    given = getattr(value, "symbols", ()) if kind is not None else ()
    if isinstance(inner, Mapping):
        found = _of_pairs(argument, list(inner), list(inner.values()), kind)
    elif _is_pair(inner):
        found = _of_pairs(argument, *_pair(inner), kind)
    elif _container(inner) == "Series":
        found = _of_series(argument, inner, kind)
    elif _container(inner) == "frame":
        found = _of_frame(argument, inner, kind)
    else:
        found = Labelled(argument, inner, kind)
    if given:
        found = Labelled(argument, found.values, kind, tuple(_clean(argument, s) for s in given))
    shape = found.shape
    if found.symbols and tuple(len(s) for s in found.symbols if s is not None) != tuple(
        n for n, s in zip(shape, found.symbols, strict=False) if s is not None
    ):
        got = f"{[len(s or ()) for s in found.symbols]} for an array of shape {shape}"
        raise _check.invalid(argument, "have one symbol for each outcome", got)
    return found


def table_of_pairs(argument: str, value: Any, axes: int) -> Any:
    """Return pairs (triples, ...) of symbols with their numbers as a table, one axis a variable.

    Anything else is returned as its values, with its type.
    """
    found = read_labels(argument, value)
    names = found.symbols[0] if len(found.shape) == 1 and found.symbols else None
    if not names or not all(isinstance(name, tuple) and len(name) == axes for name in names):
        return found.value
    check_once(argument, names)
    places = [dict.fromkeys(name[a] for name in names) for a in range(axes)]  # type: ignore[index]
    number = [{symbol: i for i, symbol in enumerate(axis)} for axis in places]
    values = np.asarray(found.values)
    table = np.zeros([len(axis) for axis in places], values.dtype)
    index = tuple(
        np.array([number[a][name[a]] for name in names])  # type: ignore[index]
        for a in range(axes)
    )
    table[index] = values
    if found.kind is not None and found.kind is not Counts:
        must = "be probabilities or Counts where combinations have names"
        raise _check.invalid(argument, must, found.kind.__name__)
    return table if found.kind is None else found.kind(table)


def check_once(argument: str, symbols: AxisSymbols) -> None:
    """Refuse a symbol that two outcomes have."""
    if len(set(symbols)) == len(symbols):
        return
    seen: dict[Hashable, Hashable] = {}
    for symbol in symbols:
        if symbol in seen:
            twice = f"{seen[symbol]!r} and {symbol!r}" if symbol is not None else "two missing ones"
            advice = "Add up the outcomes of one symbol first, as by .groupby(level=0).sum()."
            raise _check.invalid(argument, "name every symbol once", twice, advice)
        seen[symbol] = symbol


def _is_pair(value: object) -> bool:
    """Tell a result of value_counts of Arrow, or of np.unique_counts: symbols beside counts."""
    if getattr(value, "_fields", None) == ("values", "counts"):
        return True
    fields = getattr(getattr(value, "type", None), "fields", None)
    if not fields or not type(value).__module__.startswith("pyarrow"):
        return False
    return [field.name for field in fields] == ["values", "counts"]


def _pair(value: Any) -> tuple[list[Hashable], Any]:
    if hasattr(value, "_fields"):
        return np.asarray(value.values).tolist(), value.counts
    whole = value.combine_chunks() if hasattr(value, "combine_chunks") else value
    return whole.field("values").to_pylist(), whole.field("counts").to_pylist()


def _container(value: object) -> str:
    """Return "Series", "frame", or nothing for what is neither."""
    for library, frame in FRAMES.items():
        module = sys.modules.get(library)
        if module is None:
            continue
        if isinstance(value, getattr(module, frame, ())):
            return "frame"
        if library == "pandas" and isinstance(value, getattr(module, "Series", ())):
            return "Series"
        if library == "pyarrow" and isinstance(value, getattr(module, "RecordBatch", ())):
            return "frame"
    return ""


def _of_pairs(
    argument: str, symbols: Sequence[Hashable], values: Any, kind: type | None
) -> Labelled:
    array = _numbers(argument, values)
    if array.ndim != 1:
        raise _check.invalid(argument, "have one number a symbol", f"an array of {array.shape}")
    return Labelled(argument, array, kind, (_clean(argument, symbols),), (None,))


def _of_series(argument: str, series: Any, kind: type | None) -> Labelled:
    symbols = _of_index(argument, series.index)
    return Labelled(
        argument, _numbers(argument, series), kind, (symbols,), (_name_of(series.index),)
    )


def _of_frame(argument: str, frame: Any, kind: type | None) -> Labelled:
    pandas = hasattr(frame, "iloc")
    arrow = type(frame).__module__.startswith("pyarrow")
    columns = list(frame.column_names if arrow else frame.columns)
    if columns and columns[-1] in FREQUENCIES:
        symbols = _of_frequencies(argument, frame, columns)
        if symbols is not None:
            numbers = frame.iloc[:, -1] if pandas else frame[columns[-1]]
            return Labelled(
                argument,
                _numbers(argument, numbers),
                kind,
                (_clean(argument, symbols),),
                (None,),
            )
    values = _numbers(argument, frame)
    if pandas:
        axes = (_of_index(argument, frame.index), _of_index(argument, frame.columns))
        names = (_name_of(frame.index), _name_of(frame.columns))
        if kind is Counts:
            _refuse_margins(argument, values, axes)
        return Labelled(argument, values, kind, axes, names)
    unnamed = columns == [f"column_{i}" for i in range(len(columns))]
    named = None if unnamed else _clean(argument, columns)
    return Labelled(argument, values, kind, (None, named), (None, None))


def _of_frequencies(argument: str, frame: Any, columns: list[str]) -> list[Hashable] | None:
    """Return the symbols of a frame that value_counts or group_by made, beside their counts."""
    others = columns[:-1]
    if not others:
        index = frame.index if hasattr(frame, "iloc") else None
        return None if index is None else list(_of_index(argument, index) or index.tolist())
    if hasattr(frame, "iloc"):
        listed = [frame.iloc[:, i].tolist() for i in range(len(others))]
    else:
        series = [frame[name] for name in others]
        listed = [s.to_pylist() if hasattr(s, "to_pylist") else s.to_list() for s in series]
    numeric = [all(isinstance(v, int | float | np.number) for v in one) for one in listed]
    if len(others) > 1 and all(numeric):
        must = "be a table, or symbols with their counts"
        got = f"numbers in every column, the last called {columns[-1]!r}"
        advice = "Pass the counts as a Series or a dict with the symbols, or a plain array."
        raise _check.invalid(argument, must, got, advice)
    return listed[0] if len(others) == 1 else list(zip(*listed, strict=True))


def _of_index(argument: str, index: Any) -> AxisSymbols | None:
    """AxisSymbols of a pandas index; None of a default RangeIndex."""
    if type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1:
        return None
    return _clean(argument, index.tolist())


def _name_of(index: Any) -> Hashable:
    names = tuple(index.names)
    return names[0] if len(names) == 1 else None if None in names else names


def _clean(argument: str, symbols: Sequence[Hashable]) -> AxisSymbols:
    """Every missing value (None, NaN, NaT, NA) is one symbol, None."""
    found = tuple([_one(symbol) for symbol in symbols])
    try:
        hash(found)
    except TypeError:
        raise _check.wrong_kind(argument, "have hashable symbols", "others") from None
    return found


def _one(symbol: Hashable) -> Hashable:
    if type(symbol) is str or type(symbol) is int:
        return symbol
    if type(symbol) is tuple:
        return tuple(_one(part) for part in symbol)
    return None if is_missing(symbol) else symbol


def _numbers(argument: str, values: Any) -> AnyArray:
    """Return the numbers of a column or a frame; a gap is NaN, which is refused later."""
    must = "be an array of real numbers"
    try:
        listed = hasattr(values, "to_numpy") and not hasattr(values, "to_pylist")
        array = np.asarray(values.to_numpy() if listed else values)
        if array.dtype.kind == "O":
            flat = array.ravel().tolist()
            if any(isinstance(v, str | bytes) for v in flat):
                raise TypeError
            array = np.array(
                [np.nan if is_missing(v) else float(v) for v in flat], np.float64
            ).reshape(array.shape)
    except (TypeError, ValueError, RuntimeError):
        got = f"{_check.a(values)} of other values"
        raise _check.wrong_kind(argument, must, got, advice_for_labels(argument)) from None
    if array.dtype.kind not in "fiub":
        raise _check.wrong_kind(argument, must, f"{_check.a(values)} of dtype {array.dtype}")
    return array


def _refuse_margins(argument: str, values: AnyArray, axes: Sequence[AxisSymbols | None]) -> None:
    """Refuse a table of counts whose last row and column are the sums of the others."""
    rows, columns = axes
    if not rows or not columns or rows[-1] != columns[-1] or min(values.shape) < 2:
        return
    inside = values[:-1, :-1]
    if np.array_equal(inside.sum(0), values[-1, :-1]) and np.array_equal(
        inside.sum(1), values[:-1, -1]
    ):
        got = f"{rows[-1]!r}, the sums of the others, as the last row and column"
        raise _check.invalid(argument, "have no margins", got, "Pass margins=False.")
