"""The rows that cost most, in one order whatever order they come in."""

import math
from bisect import insort
from dataclasses import dataclass
from typing import Any

import numpy as np

from xent.evaluation._accumulator.rows import CountedRows

MOST_WORST = 20


@dataclass(frozen=True)
class WorstRow:
    """One of them: what it is called and its number, what was true and said, and the cost."""

    cost: float  # nats
    number: int
    truth: int
    guess: int
    given: float
    id: Any

    @property
    def place(self) -> tuple[float, int, str, int, int, float]:
        """By which it is ordered: the cost, then where it stands."""
        return -self.cost, self.number, repr(self.id), self.truth, self.guess, self.given


class Worst:
    """The rows that cost most, of all that were added."""

    def __init__(self) -> None:
        self.rows: list[WorstRow] = []

    @property
    def least(self) -> float:
        """What a row must cost to be one of them."""
        return self.rows[-1].cost if len(self.rows) == MOST_WORST else -math.inf

    def add(self, rows: CountedRows, top: float) -> None:
        """Add rows, of which the worst costs ``top``."""
        if top < self.least:
            return
        cost = rows.figures.cost[: rows.count]
        some = np.flatnonzero(cost >= self.least)
        if some.size > MOST_WORST:
            # No two rows of a block have one number: among equals those that stand first.
            limit = np.partition(cost[some], some.size - MOST_WORST)[some.size - MOST_WORST]
            some = some[cost[some] >= limit]
            some = some[np.lexsort((rows.numbers(some), -cost[some]))][:MOST_WORST]
        found = [
            WorstRow(
                float(cost[i]),
                number,
                int(rows.truth[i]),
                int(rows.figures.guess[i]),
                float(rows.figures.given[i]),
                None if rows.ids is None else rows.ids[i],
            )
            for i, number in zip(some.tolist(), rows.numbers(some).tolist(), strict=True)
        ]
        self._keep(found)

    def merge(self, other: "Worst") -> None:
        """Add the rows of another."""
        self._keep(other.rows)

    def _keep(self, rows: list[WorstRow]) -> None:
        """Put rows where they belong: of most blocks few are among the worst."""
        for row in rows:
            if row.cost >= self.least:
                insort(self.rows, row, key=lambda one: one.place)
                del self.rows[MOST_WORST:]
