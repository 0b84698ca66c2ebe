"""The column that others are ranked by: classes as they are, or numbers cut at their quantiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from xent import _check
from xent.measures.tables._bins import bin_of
from xent.measures.tables._columns import Field, field_of
from xent.measures.tables._streaming import Table, counted, cut

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
        _refuse_names(found.numeric or bool(found.missing.all()), self.name)
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
    _refuse_names(tally.known is None or tally.kind != "symbols", name)
    return TargetColumn(name, cut(tally, pieces))


def _real() -> ValueError:
    advice = "To cut it at quantiles pass " + _check.setting("target_bins", 10) + "."
    return _check.invalid("target", "hold classes", "real numbers", advice)


def _refuse_names(numeric: bool, name: str) -> None:
    if not numeric:
        must = "hold numbers where it is cut into bins"
        advice = "Leave out " + _check.setting("target_bins") + "."
        raise _check.invalid("target", must, f"names in {name!r}", advice)
