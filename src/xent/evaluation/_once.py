"""Rows of one id counted once, in whatever accumulators they are.

A row that was summed up cannot be told from the others any more. Where another accumulator may have
it too, what was said of every row is kept, and counted when all are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.evaluation._predictions import Predictions

IdColumns = Mapping[Any, list[Any]]
# Of predictions, in JSON.
SAID = ("argument", "kind", "epsilon", "labels", "named", "normalize", "first")


def first_of_each(given: Predictions, ids: list[Any] | None) -> NDArray[np.int64]:
    """Return the truth, with -1 for rows whose id came before: those are left out."""
    kept = RowsById()
    kept.take(given, {}, ids, copied=False)
    return next(kept.batches()).given.truth


@dataclass(frozen=True)
class NamedBatch:
    """Rows that came together, and what they are called."""

    given: Predictions
    columns: IdColumns
    ids: list[Any]


class RowsById:
    """Every row that came, and which of each id counts.

    It is the one of the lowest number, and of equal numbers the one of the least bytes: whatever
    the order in which they come, it is the same.
    """

    def __init__(self) -> None:
        self.held: list[NamedBatch] = []
        self.place: dict[Any, tuple[int, int]] = {}
        self.lost: list[tuple[int, int]] = []  # rows whose id another row has

    def take(
        self, given: Predictions, columns: IdColumns, ids: list[Any] | None, *, copied: bool = True
    ) -> None:
        """Add rows; refuse two of one id whose true classes differ."""
        if ids is None:
            raise _check.invalid("ids", "be given where `once` is True", "None")
        scores = np.array(given.scores) if copied else given.scores  # which may be a buffer
        self._hold(NamedBatch(replace(given, scores=scores), columns, ids))

    def _hold(self, batch: NamedBatch) -> None:
        own = len(self.held)
        self.held.append(batch)
        places = {name: (own, row) for row, name in reversed(list(enumerate(batch.ids)))}
        for row, name in enumerate(batch.ids):  # all of them, before anything is changed
            there = self.place.get(name, places[name])
            if self._truth((own, row)) != self._truth(there):
                at = self.held[there[0]].given.first + there[1]
                del self.held[own:]
                got = f"{name!r} twice, with different targets, at rows {at} and "
                raise _check.invalid("ids", "name one row each", got + f"{batch.given.first + row}")
        for row, name in enumerate(batch.ids):
            here = own, row
            there = self.place.setdefault(name, here)
            if there != here:
                first, second = sorted((here, there), key=self._rank)
                self.place[name] = first
                self.lost.append(second)

    def _truth(self, place: tuple[int, int]) -> int:
        return int(self.held[place[0]].given.truth[place[1]])

    def _rank(self, place: tuple[int, int]) -> tuple[Any, ...]:
        batch, row = self.held[place[0]], place[1]
        given = batch.given
        weight = 1.0 if given.weight is None else float(given.weight[row])
        beside = repr([values[row] for values in batch.columns.values()])
        return given.first + row, given.scores[row].tobytes(), weight, beside

    def merge(self, other: RowsById) -> None:
        """Add the rows of another."""
        for batch in other.held:
            self._hold(batch)

    def batches(self) -> Iterator[NamedBatch]:
        """Yield the rows, those that do not count as if they were ignored."""
        left: dict[int, list[int]] = {}
        for number, row in self.lost:
            left.setdefault(number, []).append(row)
        for k, batch in enumerate(self.held):
            truth = batch.given.truth.copy()
            truth[left.get(k, [])] = -1
            yield replace(batch, given=replace(batch.given, truth=truth))

    def said(self) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
        """Return all rows as what JSON can say, and arrays."""
        each: list[dict[str, Any]] = []
        arrays: dict[str, NDArray[Any]] = {}
        for k, batch in enumerate(self.held):
            given = batch.given
            own = {name: getattr(given, name) for name in SAID}
            each.append({**own, "ids": batch.ids, "columns": list(batch.columns.items())})
            parts = {"scores": given.scores, "truth": given.truth, "weight": given.weight}
            arrays |= {f"once{k}.{n}": a for n, a in parts.items() if a is not None}
        return each, arrays

    @classmethod
    def read(cls, each: list[dict[str, Any]], arrays: dict[str, NDArray[Any]]) -> RowsById:
        """Return what `said` wrote."""
        found = cls()
        for k, one in enumerate(each):
            given = Predictions(
                scores=arrays[f"once{k}.scores"], truth=arrays[f"once{k}.truth"],
                weight=arrays.get(f"once{k}.weight"), **{name: one[name] for name in SAID},
            )  # fmt: skip
            found._hold(NamedBatch(given, dict(one["columns"]), one["ids"]))
        return found
