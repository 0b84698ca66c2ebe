"""Scores as whole numbers that order as they do: each its own, or cells of the log odds."""

import math

import numpy as np

from xent._compile.decorator import inner, outer
from xent._kernels.predictions.sums import CHUNK
from xent._math.element import order_key
from xent._math.exp import EXP_SCALE, exp_series, scaled_exp
from xent._math.llvm import prefer_512
from xent._math.log import fast_log8
from xent._math.vector import FLOAT64_LANES, load, multiply_add, select, store, zeros

U = np.uint64
EVEN_CELLS = 32.0  # log odds up to which cells are of one width
FARTHEST = 2.0**15  # where those beyond all others are counted
PROBABILITY, LOG_ODDS, LOG_PROBABILITY = 0, 1, 2  # what scores are
_TINY = 2.0**-1000  # below which a probability is taken for its logarithm, by hand


@outer()
def keys_of(scores, out):
    """Write the key of each float64 score, by which different ones differ; 0 and -0 are one."""
    for i in range(U(scores.shape[0])):
        out[i] = order_key(scores[i])


@inner()
def _odds_of_probability(p):
    """log(p / (1 - p)) where p lies between `_TINY` and 1; else 0."""
    inside = select(p < 1.0, select(p > _TINY, p, 0.5 + zeros()), 0.5 + zeros())
    return fast_log8(inside / (1.0 - inside))


@inner()
def _odds_of_log(score):
    """log(p / (1 - p)) from log p = score below 0: -log(exp(-score) - 1); else 0."""
    x = -select(score < 0.0, select(score > -700.0, score, zeros() - 700.0), zeros() - 1.0)
    near = multiply_add(exp_series(select(x < 0.34, x, zeros())) * x, x, x)
    far = EXP_SCALE / scaled_exp(-x, zeros()) - 1.0
    # exp(-score) - 1 is normal: no log-probability below 0 is nearer to it than 2^-1022.
    return select(score < -40.0, score, -fast_log8(select(x < 0.34, near, far)))


@inner()
def _write_odds(scores, kind, rows, out):
    """Write the log odds of float64 scores, which have `SPARE` more; infinite of what is 0 or 1."""
    for i in range(0, rows, FLOAT64_LANES):
        x = load(scores, U(i))
        if kind == PROBABILITY:
            x = _odds_of_probability(x)
        elif kind == LOG_PROBABILITY:
            x = _odds_of_log(x)
        store(out, U(i), x)
    if kind == PROBABILITY:
        for i in range(U(rows)):
            if not scores[i] < 1.0:
                out[i] = math.inf
            elif not scores[i] > _TINY:
                out[i] = math.log(scores[i]) if scores[i] > 0.0 else -math.inf
    elif kind == LOG_PROBABILITY:
        for i in range(U(rows)):
            if not scores[i] < -1e-300:
                out[i] = math.inf


@outer()
def log_odds(scores, kind, rows, out):
    """Write the log odds of float64 scores, which have `SPARE` more; infinite of what is 0 or 1."""
    prefer_512()
    _write_odds(scores, kind, rows, out)


@outer()
def count_cells(scores, kind, width, truth, label, room, rows, yes, far):
    """Count all scores, and those whose truth is ``label``, in cells of one width.

    ``rows`` and ``yes`` begin with the cells from -`EVEN_CELLS` to `EVEN_CELLS`, by their numbers.
    ``room`` (2, `CHUNK` and `SPARE`) is to work in. Return how many scores lie beyond; which ones
    is written to ``far``.
    """
    prefer_512()
    x, odds = room[0], room[1]
    inverse, half = 1.0 / width, np.int64(EVEN_CELLS / width)  # powers of 2
    beyond = np.int64(0)
    for at in range(0, scores.shape[0], CHUNK):
        many = min(CHUNK, scores.shape[0] - at)
        for i in range(U(many)):
            x[i] = scores[U(at) + i]
        _write_odds(x, kind, many, odds)
        for i in range(U(many)):
            t = odds[i]
            if -EVEN_CELLS <= t < EVEN_CELLS:
                cell = U(np.int64(math.floor(t * inverse)) + half)
                rows[cell] += 1
                yes[cell] += np.int64(truth[U(at) + i] == label)
            else:
                far[U(beyond)] = np.int64(U(at) + i)
                beyond += 1
    return beyond


@outer()
def cells_of(odds, width, rows, out):
    """Write the cell of each of the log odds: of ``width``, beyond `EVEN_CELLS` in proportion.

    There width counts log odds of a size t as `EVEN_CELLS` (1 + log(t / `EVEN_CELLS`)).
    """
    for i in range(U(rows)):
        t = odds[i]
        size = abs(t)
        if size > EVEN_CELLS:
            far = EVEN_CELLS * (1.0 + math.log(size / EVEN_CELLS)) if size < math.inf else FARTHEST
            t = far if t > 0.0 else -far
        out[i] = np.int64(math.floor(t / width))
