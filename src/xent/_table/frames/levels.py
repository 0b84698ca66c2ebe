"""Names coded by levels that were seen before: a level is the same however a table spells it.

Levels are text, booleans or numbers. Names of one kind are compared as they are; of two kinds by
their spelling, so that 1 in one table is "1" in another, and True is "true" and "True".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._table.frames.columns import Names

Level = str | int | float | bool
FLAGS = {
    word: flag
    for flag in (False, True)
    for word in (f"{flag}", f"{flag}".lower(), f"{flag}".upper())
}
LEVEL_TYPES: tuple[Any, ...] = (str, bool, (int, float))


def levels_of(names: Names) -> tuple[Level, ...]:
    """Return the levels of names: as declared, else those that occur, sorted."""
    if names.declared:
        return tuple(_plain(names.levels))
    seen = np.unique(names.codes)
    return tuple(sorted(_plain([names.levels[code] for code in seen[seen >= 0].tolist()])))


def codes_of(names: Names, known: Sequence[Level]) -> NDArray[np.int32]:
    """Code names by known levels; what is missing or unknown comes after the last."""
    given, known = _alike(_plain(names.levels), list(known))
    place = {level: i for i, level in reversed(list(enumerate(known)))}
    flags: dict[bool | None, int] = {
        flag: i for level, i in place.items() if (flag := as_flag(level)) is not None
    }
    absent = len(known)
    found = (place.get(level, flags.get(as_flag(level), absent)) for level in given)
    places = np.array([*found, absent], np.int32)
    return places[names.codes]


def merged(one: Sequence[Level], other: Sequence[Level]) -> tuple[Level, ...]:
    """Return the levels of two pieces of one column, sorted where they are not the same."""
    if one == other or not other:
        return tuple(one)
    if not one:
        return tuple(other)
    some, more = _alike(list(one), list(other))
    found = tuple(sorted({*some, *more}))
    return (
        (False, True) if found == ("false", "true") and bool in map(type, (*one, *other)) else found
    )


def as_flag(level: object) -> bool | None:
    """Return what a level is if it is a boolean, or one's name as programs write it.

    >>> as_flag("TRUE"), as_flag(False), as_flag("tRUE"), as_flag("yes")
    (True, False, None, None)
    """
    if isinstance(level, str):
        return FLAGS.get(level)
    return bool(level) if isinstance(level, (bool, np.bool_)) else None


def _kind(levels: Sequence[Any]) -> int:
    """Return which of the plain kinds all levels have, -1 where they have none."""
    return next(
        (k for k, kinds in enumerate(LEVEL_TYPES) if all(isinstance(v, kinds) for v in levels)), -1
    )


def _plain(levels: list[Any]) -> list[Level]:
    """Return levels as they are, or as text: intervals, days, and what is not of one kind."""
    return [str(level) for level in levels] if _kind(levels) < 0 else levels


def _alike(one: list[Any], other: list[Any]) -> tuple[list[Level], list[Level]]:
    """Return two lists of levels so that they can be compared."""
    kinds = _kind(one), _kind(other)
    if kinds[0] == kinds[1] or not one or not other:
        return one, other
    spelt = [[_spelt(level) for level in levels] for levels in (one, other)]
    if LEVEL_TYPES.index(bool) in kinds:
        spelt = [[level.lower() for level in levels] for levels in spelt]
    return list(spelt[0]), list(spelt[1])


def _spelt(level: Level) -> str:
    if isinstance(level, bool):
        return str(level).lower()
    return str(int(level)) if isinstance(level, float) and level.is_integer() else str(level)
