"""What is written of each row, and what is the same for rows of few classes and of many."""

import math
from typing import Any, NamedTuple

import numpy as np

from xent._compile.decorator import inner, outer
from xent._math.log import log1p
from xent._math.vector import select

U = np.uint64
NARROW = 64  # classes up to which rows lie side by side
TILE = 32  # rows that do
SPARE = 8  # entries that arrays of `RowArrays` have beyond the rows, so that vectors may end there


class RowArrays(NamedTuple):
    """Arrays of one number a row, `SPARE` longer than there are rows.

    Of int64 ``guess``, the first class that has most, and ``rank``, how many classes go before the
    true one: they have more, or as much and stand before it. Of float64 ``cost``, -log of what the
    true class has; ``given``, what it has; ``confidence``, what ``guess`` has; ``brier``,
    Σ_c (p_c - t_c)²; ``off``, how far the sum is from 1. Where the true class is -1 all but
    ``guess``, ``confidence`` and ``off`` mean nothing.
    """

    guess: Any
    rank: Any
    cost: Any
    given: Any
    confidence: Any
    brier: Any
    off: Any


class Room(NamedTuple):
    """Room to work in: `TILE` rows of each class, and of each row its true class and its entry."""

    tile: Any
    own: Any
    true: Any


def room_for(rows: int, classes: int) -> tuple[RowArrays, Room]:
    """Allocate the figures of so many rows, and room to work in."""
    size = -(-rows // TILE) * TILE + SPARE
    guess, rank = np.empty((2, size), np.int64)
    reals = np.empty((5, size))
    tile = np.empty(TILE * classes if classes <= NARROW else 0)
    room = Room(tile, np.empty(TILE), np.empty(TILE, np.int64))
    return RowArrays(guess, rank, *reals), room


@inner()
def cost_of(others, mine):
    """-log(mine / (mine + others)) as log1p(others / mine); infinite where the quotient is.

    So it may be though mine is above 0: see `mend`. Of scalars and vectors.
    """
    endless = others * 0.0 + math.inf
    return log1p(select(mine > 0.0, others / mine, endless))


@inner()
def first_above(off, slack, rows):
    """Return the first row of which ``off`` is not at most ``slack``, or -1."""
    worse = 0
    for r in range(U(rows)):
        worse += 0 if off[r] <= slack else 1
    if worse:
        for r in range(rows):
            if not off[r] <= slack:
                return np.int64(r)
    return np.int64(-1)


@outer()
def mend(cost, given, rows):
    """Take the logarithm itself where a probability is so small that 1 over it is infinite."""
    for r in range(rows):
        if cost[r] == math.inf and given[r] > 0.0:
            cost[r] = -math.log(given[r])
