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
SQUARE = 16  # classes that are turned round together
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
    """Room to work in: of `TILE` rows each class, and a number a row.

    ``tile`` holds the classes, in the type of the scores; ``own`` and ``true`` what the true class
    has and which it is, as float64 and int64. The others are as wide as the scores: ``own_as`` and
    ``true_as``, ``best`` and ``low``, the largest entry and the smallest, ``guess`` and ``rank``.
    ``columns`` takes the scores of all rows class by class, where it has room for them.
    """

    tile: Any
    own: Any
    true: Any
    own_as: Any
    true_as: Any
    best: Any
    low: Any
    guess: Any
    rank: Any
    columns: Any


def room_for(
    rows: int, classes: int, dtype: Any, *, turned: bool = False
) -> tuple[RowArrays, Room]:
    """Allocate the figures of so many rows of scores of a type, and room to work in.

    It has columns where these shall be ``turned``.
    """
    size = -(-rows // TILE) * TILE + SPARE
    guess, rank = np.empty((2, size), np.int64)
    reals = np.empty((5, size))
    tile = np.zeros(TILE * (-(-classes // SQUARE) * SQUARE if classes <= NARROW else 0), dtype)
    own, true = np.zeros(TILE), np.zeros(TILE, np.int64)
    own_as, best, low = np.zeros((3, TILE), dtype)
    true_as, guess_as, rank_as = np.zeros(
        (3, TILE), np.int32 if np.dtype(dtype).itemsize == 4 else np.int64
    )
    columns = np.empty((classes, rows) if turned else (0, 0), dtype)
    room = Room(tile, own, true, own_as, true_as, best, low, guess_as, rank_as, columns)
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
        if cost[r] == math.inf:
            cost[r] = -math.log(given[r])
