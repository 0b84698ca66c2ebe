"""The column that others are ranked by: classes as they are, or numbers cut at their quantiles."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xent import _check
from xent.measures.tables._bins import bin_of
from xent.measures.tables._columns import Field, field_of
from xent.measures.tables._streaming import Symbols, Table, counted, cut

MANY = 50  # whole numbers that are classes, above which they are probably not


@dataclass(frozen=True)
class TargetColumn:
    """How the target is read.

    Parameters
    ----------
    name : str
        The column.
    cuts : list of float or None
        Where its numbers are cut; None where it holds classes.
    """

    name: str
    cuts: list[float] | None = None

    def field(self, frame: Any) -> Field:
        """Read the classes of a frame's rows."""
        if self.cuts is None:
            try:
                return field_of(frame, self.name, "target", symbols=True)
            except ValueError as error:
                # Whoever has numbers here can cut them, which symbols elsewhere cannot be.
                raise _real() if getattr(error, "got", "") == "real numbers" else error from None
        found = field_of(frame, self.name, "target")
        if not (found.numeric or found.missing.all()):
            raise _names(self.name, found.symbols)
        codes = np.full(found.values.size, -1, dtype=np.int64)
        known = ~found.missing
        codes[known] = bin_of(found.values[known], self.cuts)
        return Field(codes, found.missing, tuple(range(len(self.cuts) + 1)))

    def check(self, names: tuple[Any, ...], rows: int) -> None:
        """Refuse classes that are real numbers, and doubt those that are many whole ones.

        Parameters
        ----------
        names : tuple
            The classes, text in a CSV.
        rows : int
            How many rows have them.
        """
        if self.cuts is not None:
            return
        try:
            numbers = [float(name) for name in names]
        except (TypeError, ValueError):
            _doubt_spellings(self.name, names)
            return
        if any(math.isfinite(number) and number % 1 for number in numbers):
            raise _real()
        if len(numbers) > max(MANY, rows / 10) and not isinstance(names[0], bool):
            found = f"`{self.name}` has {len(numbers):,} whole numbers in {rows:,} rows, each taken"
            advice = "If they are quantities, pass " + _check.setting("target_bins", 10) + "."
            _check.warn(f"{found} for a class. " + advice)


def target_of(table: Any, name: str, weights: Any, bins: int | None) -> TargetColumn:
    """Find out how the target is read; where it is cut, by a pass of its own.

    Parameters
    ----------
    table : Any
        A data frame, a path, or a function that returns batches.
    name : str
        The column, which is there.
    weights : array_like or str, optional
        How many rows each row stands for.
    bins : int, optional
        Quantiles that it is cut at; it holds classes where not given.
    """
    if bins is None:
        return TargetColumn(name)
    pieces = _check.integer("target_bins", bins, least=2)
    tally = counted(Table("table", table), [name], weights)[name]
    if isinstance(tally.known, Symbols):
        raise _names(name, tally.known.number)
    return TargetColumn(name, cut(tally, pieces))


def _real() -> ValueError:
    advice = "To cut it at quantiles pass " + _check.setting("target_bins", 10) + "."
    return _check.invalid("target", "hold classes", "real numbers", advice)


def _names(name: str, levels: Iterable[Any]) -> ValueError:
    """Say that a target that is to be cut holds names, and which of them are numbers after all."""
    from xent._table.files.columns import as_number

    must = "hold numbers where it is cut into bins"
    said = [as_number(level) for level in levels if isinstance(level, str)]
    advice = (
        next((words for words in said if words), "")
        or "Leave out " + _check.setting("target_bins") + "."
    )
    return _check.invalid("target", must, f"names in {name!r}", advice)


def _doubt_spellings(column: str, classes: Iterable[Any]) -> None:
    """Warn of two classes that may be one, written in two ways."""
    known: dict[str, str] = {}
    for name in classes:
        if isinstance(name, str) and (other := known.setdefault(_check.bare(name), name)) != name:
            alike = _check.look_alike(name, [other])
            _check.warn(f"Two classes of {column!r} may be one: {alike}")
            return
