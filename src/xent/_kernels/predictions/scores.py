"""Scores as whole numbers that order as they do: each its own, or cells of the log odds."""

import math

import numpy as np

from xent._compile.decorator import inner, outer
from xent._math.element import order_key
from xent._math.log import log

U = np.uint64
EVEN_CELLS = 32.0  # log odds up to which cells are of one width
FARTHEST = 2.0**15  # where those beyond all others are counted
PROBABILITY, LOG_ODDS, LOG_PROBABILITY = 0, 1, 2  # what scores are


@outer()
def keys_of(scores, out):
    """Write the key of each float64 score, by which different ones differ; 0 and -0 are one."""
    for i in range(U(scores.shape[0])):
        out[i] = order_key(scores[i])


@inner()
def _log_odds(score, kind):
    """log(p / (1 - p)); infinite of what is 0, 1 or, by rounding, more."""
    if kind == LOG_ODDS:
        return score
    if kind == PROBABILITY:
        inside = 0.0 < score < 1.0
        p = score if inside else 0.5
        found = log(p * 2.0**128 / (1.0 - p), 128)
        return found if inside else (math.inf if score > 0.5 else -math.inf)
    if not score < 0.0:
        return math.inf
    return -math.log(math.expm1(-score)) if score > -40.0 else score


@outer()
def cells_of(scores, kind, width, out):
    """Write the cell of each float64 score: of ``width`` in log odds, beyond `EVEN_CELLS` wider.

    There width counts log odds of a size t as `EVEN_CELLS` (1 + log(t / `EVEN_CELLS`)).
    """
    for i in range(U(scores.shape[0])):
        t = _log_odds(scores[i], kind)
        size = abs(t)
        if size > EVEN_CELLS:
            size = EVEN_CELLS * (1.0 + math.log(size / EVEN_CELLS)) if size < math.inf else FARTHEST
        out[i] = np.int64(math.floor((size if t > 0.0 else -size) / width))
