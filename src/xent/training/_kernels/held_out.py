"""What held-out rows cost, eight rows side by side, each class a vector of theirs."""

import math
from typing import Any

import numpy as np

from xent._compile.decorator import outer
from xent._math.exp import EXP_SCALE, scaled_exp_below
from xent._math.llvm import prefer_512
from xent._math.log import log1p
from xent._math.vector import FLOAT64_LANES, bits64, load, select, splat, store, zeros

U = np.uint64


@outer()
def class_costs(logits: Any, target: Any, tile: Any, cost: Any, guess: Any) -> None:
    """Write -log softmax of each row's true class, and the first class that has most.

    What is not the largest logit is summed without it, and log1p closes the sum, so that a small
    cost keeps its digits. Of logits that are not finite the cost may be inf or NaN; where it is NaN
    the guess is -1.

    Parameters
    ----------
    logits : array of float64, shape (N, C)
        Rows.
    target : array of int64, shape (N,)
        The true classes.
    tile : array of float64, shape (C + 1, 8)
        Room to work in.
    cost, guess : array of float64 and int64, at least N long, a multiple of 8
        Written; what is beyond N means nothing.
    """
    prefer_512()
    rows, classes = logits.shape
    for first in range(0, rows, FLOAT64_LANES):
        for i in range(U(min(FLOAT64_LANES, rows - first))):
            row = U(first) + i
            for c in range(U(classes)):
                tile[c, i] = logits[row, c]
            tile[U(classes), i] = logits[row, U(target[row])]
        best, won = zeros() - math.inf, bits64(zeros())
        for c in range(classes):
            value = load(tile, U(c * FLOAT64_LANES))
            more = best < value
            best = select(more, value, best)
            won = select(more, splat(np.int64(c), won), won)
        others = zeros()
        for c in range(classes):
            power = scaled_exp_below(load(tile, U(c * FLOAT64_LANES)), best, 1.0)
            others = others + select(won == np.int64(c), zeros(), power)
        own = load(tile, U(classes * FLOAT64_LANES))
        cost_of_rows = (best - own) + log1p(others / EXP_SCALE)
        store(cost, U(first), cost_of_rows)
        store(guess, U(first), select(cost_of_rows == cost_of_rows, won, splat(np.int64(-1), won)))
