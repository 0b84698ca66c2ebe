"""Distributions brought to the same outcomes in the same order, by their symbols.

Where two know their symbols, what one lacks counts 0 there. A plain array names none: beside one
with symbols it is taken where its order cannot matter, or where the symbols are the places 0 to
K - 1, and is refused elsewhere.
"""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Hashable, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from xent import _check
from xent._array import NUMPY, library_of
from xent.measures.rows._input import outcome_axes
from xent.measures.rows._labels import AxisSymbols, Labelled, check_once, has_labels, read_labels
from xent.measures.rows._places import placed, places_of
from xent.measures.rows._protocols import AnyArray, ArrayLike, Axis
from xent.measures.rows._typed_arrays import Input, Logits, LogProbs


def align(
    named: Sequence[tuple[str, Input]], axis: Axis, where: ArrayLike | None
) -> tuple[list[Any], Any]:
    """Return distributions and ``where`` as arrays whose axes name the same outcomes."""
    parts = [read_labels(name, value) for name, value in named]
    count = len(parts)
    if has_labels(where):
        parts.append(read_labels("where", where))
    places = [_axes(part, axis) for part in parts]
    _check_names(parts[:count], places[:count])
    moved = False
    for k in range(len(places[0][0])):
        axes = [outcomes[k] if k < len(outcomes) else None for outcomes, _ in places]
        moved |= _one_order(parts, axes, count)
    for k in range(1, 1 + max(len(batch) for _, batch in places[:count])):
        axes = [batch[-k] if k <= len(batch) else None for _, batch in places]
        moved |= _same_rows(parts, axes, count)
    if len(parts) > count:
        where = parts[count].values
    elif where is not None and moved:
        must = "have symbols where those of the distributions are in several orders"
        advice = "Pass a Series or a dict of booleans, or bring the distributions to one order."
        raise _check.invalid("where", must, _check.a(where), advice)
    return [part.value for part in parts[:count]], where


def _axes(part: Labelled, axis: Axis) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the axes of the outcomes and those of the batch."""
    ndim = len(part.shape)
    if ndim == 0 or (part.argument == "where" and isinstance(axis, tuple) and ndim < len(axis)):
        return (), ()
    outcomes = outcome_axes(part.argument, axis, ndim)
    return outcomes, tuple(a for a in range(ndim) if a not in outcomes)


def _check_names(parts: list[Labelled], places: list[tuple[Any, Any]]) -> None:
    """Refuse tables of the same variables in another order."""
    first: tuple[Hashable, ...] = ()
    for part, (outcomes, _) in zip(parts, places, strict=True):
        names = tuple(part.names[a] for a in outcomes) if part.names else ()
        if len(names) == 1 and isinstance(names[0], tuple):
            names = names[0]  # of a MultiIndex
        if len(names) < 2 or None in names:
            continue
        first = first or names
        if names != first and set(names) == set(first):
            must = f"have its variables in the order {list(first)}, as `{parts[0].argument}` has"
            advice = "Transpose it, or use .reorder_levels."
            raise _check.invalid(part.argument, must, list(names), advice)


def _one_order(parts: list[Labelled], axes: Sequence[int | None], count: int) -> bool:
    """Bring the outcomes of an axis to one order in all parts; tell whether any has moved."""
    symbols = [None if a is None else part.of(a) for part, a in zip(parts, axes, strict=True)]
    known = [names for names in symbols if names is not None]
    if not known or len(parts) == 1 or all(names == known[0] for names in symbols):
        for part, names in zip(parts, symbols, strict=True):
            if names is not None and len(parts) > 1:
                check_once(part.argument, names)
        return False
    for part, names in zip(parts, symbols, strict=True):
        if names is not None:
            check_once(part.argument, names)
    wanted = tuple(dict.fromkeys(s for names in symbols[:count] if names for s in names))
    if not wanted:  # where alone has symbols
        wanted = known[0]
    for i, (part, names) in enumerate(zip(parts[:count], symbols[:count], strict=True)):
        a = axes[i]
        if names is None and a is not None:
            symbols[i] = _without_names(part, a, wanted, parts, symbols)
    for one, other in combinations([i for i, names in enumerate(symbols) if names], 2):
        _check_kinds(parts[one], symbols[one], parts[other], symbols[other])
    _check_intervals(parts[count - 1].argument, wanted)
    for i in range(1, count):
        _doubt_spellings(parts[i].argument, symbols[i] or (), symbols[0] or ())
    moved = False
    for i, part in enumerate(parts):
        names, a = symbols[i], axes[i]
        if names is None or a is None or names == wanted:
            continue
        places = places_of(names, wanted)
        if i == count and (places < 0).any():
            lost = [s for s, at in zip(wanted, places, strict=True) if at < 0]
            raise _check.invalid("where", "say of every symbol", f"no {_check.join_names(lost)}")
        fill = -np.inf if part.kind in (Logits, LogProbs) else 0.0
        parts[i] = _with_values(part, placed(part.values, a, places, fill), a, wanted)
        moved = moved or i < count
    return moved


def _with_values(part: Labelled, values: Any, axis: int, symbols: AxisSymbols) -> Labelled:
    axes = list(part.symbols or [None] * len(part.shape))
    axes[axis] = symbols
    return Labelled(part.argument, values, part.kind, tuple(axes), part.names)


def _without_names(
    part: Labelled,
    axis: int,
    wanted: AxisSymbols,
    parts: list[Labelled],
    symbols: Sequence[AxisSymbols | None],
) -> AxisSymbols:
    """Return the symbols that the outcomes of a plain array have beside these, or refuse it."""
    size = part.shape[axis]
    if size == len(wanted):
        if set(wanted) == set(range(size)):
            return tuple(range(size))
        if _all_equal(part.values, axis):
            return wanted
    other = next(p for p, names in zip(parts, symbols, strict=True) if names is not None)
    must = f"name its outcomes, as `{other.argument}` does"
    got = f"{size} without names, whose order alone would decide"
    advice = f"Pass a dict or a Series, or `{other.argument}` without names in the same order."
    raise _check.invalid(part.argument, must, got, advice)


def _all_equal(values: Any, axis: int) -> bool:
    """Tell whether all outcomes are alike, so that their order cannot matter."""
    if type(values).__module__.startswith("scipy.sparse") or library_of(values) != NUMPY:
        return False
    array: AnyArray = np.moveaxis(np.asarray(values), axis, -1)
    return array.dtype.kind in "fiub" and bool((array == array[..., :1]).all())


def _same_rows(parts: list[Labelled], axes: Sequence[int | None], count: int) -> bool:
    """Bring the distributions of a batch to the order of the first; tell whether any has moved."""
    first: tuple[str, AxisSymbols] | None = None
    moved = False
    for i, (part, a) in enumerate(zip(parts, axes, strict=True)):
        names = None if a is None or part.shape[a] == 1 else part.of(a)
        if names is None or a is None:
            continue
        if first is None:
            first = part.argument, names
        if names == first[1]:
            continue
        check_once(first[0], first[1])
        check_once(part.argument, names)
        if set(names) != set(first[1]):
            must = f"have the rows of `{first[0]}` by their labels"
            lost = [s for s in first[1] if s not in set(names)] or list(names)
            advice = "To take them by place pass .to_numpy()."
            raise _check.invalid(part.argument, must, f"none for {lost[0]!r}", advice)
        values = placed(part.values, a, places_of(names, first[1]), 0.0)
        parts[i] = _with_values(part, values, a, first[1])
        moved = moved or i < count
    return moved


def _check_kinds(one: Labelled, these: Any, other: Labelled, those: Any) -> None:
    """Refuse symbols that are told apart by their type alone, 1 and "1", or have none in common."""
    left, right = dict.fromkeys(these), dict.fromkeys(those)
    only = [s for s in left if s not in right and s is not None]
    more = [s for s in right if s not in left and s is not None]
    if not only or not more:
        return
    spelled = {str(s): s for s in only}
    pair = next(((spelled[str(s)], s) for s in more if str(s) in spelled), None)
    if pair is None and len(only) == len(left.keys() - {None}):
        apart = {_kind(s) for s in only}.isdisjoint({_kind(s) for s in more})
        pair = (only[0], more[0]) if apart else None
    if pair is not None:
        must = f"have symbols of the type of those of `{one.argument}`"
        got = (
            f"{pair[1]!r} ({type(pair[1]).__name__}) beside {pair[0]!r} ({type(pair[0]).__name__})"
        )
        raise _check.invalid(other.argument, must, got, "Bring both to one type.")


def _doubt_spellings(argument: str, mine: AxisSymbols, others: AxisSymbols) -> None:
    """Warn where a symbol that the first lacks is one of its own that is written otherwise."""
    here, there = set(mine), set(others)
    lost = {_check.bare(s): s for s in others if isinstance(s, str) and s not in here}
    for symbol in mine if lost else ():
        if isinstance(symbol, str) and symbol not in there:
            other = lost.get(_check.bare(symbol))
            if other is not None:
                doubt = " has a symbol that may be one of the others: "
                said = doubt + _check.look_alike(symbol, [other])
                _check.warn(_check.argument(argument) + said)
                return


def _kind(symbol: Hashable) -> object:
    if isinstance(symbol, numbers.Number):
        return "number"
    if isinstance(symbol, datetime.datetime):
        return "time", symbol.tzinfo is not None
    if isinstance(symbol, tuple):
        return tuple(_kind(part) for part in symbol)
    return "text" if isinstance(symbol, str) else type(symbol)


def _check_intervals(argument: str, symbols: AxisSymbols) -> None:
    """Refuse bins that overlap: they are no outcomes of one variable."""
    if not all(hasattr(s, "overlaps") for s in symbols if s is not None):
        return
    bins: list[Any] = sorted((s for s in symbols if s is not None), key=lambda b: (b.left, b.right))
    for a, b in pairwise(bins):
        if a.closed != b.closed or a.overlaps(b):
            must = "be cut at the edges of the others"
            raise _check.invalid(argument, must, f"{b} beside {a}", "Pass both the same bins.")
