"""The numbers in what a script hands over: single ones as text, histories as series.

A number keeps all its digits. What stands in front of it, a tag or a key, is its label.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from torch import Tensor

from xent.audit._run.own.scalars import DETACH, ITEM
from xent.audit._run.rules.shown import FEWEST_DIGITS

DEEPEST_TABLE = 4  # dicts and lists in each other
MOST_ENTRIES = 200  # of a dict or a table
MOST_WORDS = 400  # labels and numbers in one hand
KEPT_VALUES = 30  # the latest of a series


class HandedNumbers:
    """What one hand holds."""

    def __init__(self, args: Iterable[Any], named: dict[str, Any]) -> None:
        self.text: list[str] = []
        self.found: list[tuple[str, int, list[float]]] = []
        for one in args:
            self._take(self.text[-1] if self.text else "", one, DEEPEST_TABLE)
        self._entries("", named, DEEPEST_TABLE)

    def series(self) -> list[tuple[str, int, list[float]]]:
        """Return the histories: their labels, lengths and latest values."""
        words = " ".join(self.text)
        return [
            (label if any(map(str.isalpha, label)) else f"{words} {label}", length, latest)
            for label, length, latest in self.found
        ]

    def _take(self, label: str, one: Any, deep: int) -> None:
        number = number_of(one)
        if number is not None:
            if number != round(number, FEWEST_DIGITS - 1):
                self._say(repr(number))
        elif isinstance(one, str):
            self._say(one)
        elif deep and isinstance(one, dict):
            self._entries(label, one, deep - 1)
        elif deep and isinstance(one, list | tuple):
            self._list(label, one, deep - 1)
        else:
            self._array(label, one)

    def _entries(self, label: str, table: dict[Any, Any], deep: int) -> None:
        for key, value in list(dict.items(table))[:MOST_ENTRIES]:
            self._say(str(key) if isinstance(key, str | int) else "")
            self._take(f"{label} {key}".strip(), value, deep)

    def _say(self, word: str) -> None:
        if word and len(self.text) < MOST_WORDS:
            self.text.append(word)

    def _list(self, label: str, row: list[Any] | tuple[Any, ...], deep: int) -> None:
        first = row[0] if row else None
        if isinstance(first, dict):
            for key in list(first)[:MOST_ENTRIES]:
                values = [one.get(key) for one in row if isinstance(one, dict)]
                self._series(f"{label} {key}".strip(), values)
        elif number_of(first) is not None or isinstance(first, int):
            self._series(label, row)
        elif isinstance(first, list | tuple) and len({len(one) for one in row}) == 1:
            for at, column in enumerate(list(zip(*row, strict=True))[:MOST_ENTRIES]):
                self._series(f"{label} {at}".strip(), column)
        else:
            for one in row[:MOST_ENTRIES]:
                self._take(label, one, deep)

    def _array(self, label: str, array: Any) -> None:
        if type(array) is Tensor and array.is_cpu and array.is_floating_point():
            columns: Any = DETACH(array)
        elif type(array) is getattr(sys.modules.get("numpy"), "ndarray", None):
            columns = array if array.dtype.kind == "f" else None
        else:
            return
        if columns is not None and columns.ndim in (1, 2) and len(columns):
            length, latest = len(columns), columns[-KEPT_VALUES:]
            rows = latest.reshape(len(latest), -1).tolist()
            for at, column in enumerate(list(zip(*rows, strict=True))[:MOST_ENTRIES]):
                name = label if columns.ndim == 1 else f"{label} {at}"
                self.found.append((name.strip(), length, list(column)))

    def _series(self, label: str, values: Any) -> None:
        latest = [number_of(one) for one in values[-KEPT_VALUES:]]
        if all(one is not None for one in latest):
            self.found.append((label, len(values), [one for one in latest if one is not None]))


def number_of(one: Any) -> float | None:
    """Return a number that may be an average; counts are none."""
    if type(one) is float:
        return one
    if type(one) is Tensor:
        plain = not one.dim() and one.is_cpu and one.is_floating_point()
        return float(ITEM(DETACH(one))) if plain else None
    numpy = sys.modules.get("numpy")
    return float(one) if numpy is not None and isinstance(one, numpy.floating) else None
