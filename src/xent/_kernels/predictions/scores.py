"""Scores as whole numbers that order as they do: each its own, or cells of the log odds."""

import math

import numpy as np

from xent._compile.decorator import inner, outer
from xent._kernels.predictions.sums import CHUNK
from xent._math.element import order_key
from xent._math.exp import EXP_SCALE, exp_series, scaled_exp
from xent._math.llvm import prefer_512
from xent._math.log import fast_log8
from xent._math.vector import (
    FLOAT64_LANES,
    bits64,
    load,
    multiply_add,
    select,
    store,
    zeros,
)

U = np.uint64
FRACTION_BITS = 52  # of a float64
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
def count_cells(scores, kind, fine, first, truth, label, room, cells, table, beyond):
    """Count all scores, and those whose truth is ``label``, in a table of cells.

    An entry of ``table`` has the rows of a cell in its lower half and those that are yes in the
    upper one; the first is of the cell ``first``. A doubling of the odds, or a nat of log odds, has
    2^fine cells. ``room`` (2, `CHUNK` and `SPARE`) and ``cells`` are to work in. Return how many
    scores have no place in the table; which ones is written to ``beyond``.
    """
    prefer_512()
    x, odds = room[0], room[1]
    inverse, shift, size = np.float64(1 << fine), np.int64(FRACTION_BITS - fine), U(table.shape[0])
    many_beyond = np.int64(0)
    for at in range(0, scores.shape[0], CHUNK):
        many = min(CHUNK, scores.shape[0] - at)
        for i in range(U(many)):
            x[i] = scores[U(at) + i]
        if kind == PROBABILITY:
            for i in range(0, many, FLOAT64_LANES):
                p = load(x, U(i))
                # Of 1 and what rounds beyond the bits say inf, or less than 0: no place.
                store(cells, U(i), (bits64(p / (1.0 - p)) >> shift) - np.int64(first))
        else:
            _write_odds(x, kind, many, odds)
            for i in range(U(many)):
                t = odds[i]
                inside = -EVEN_CELLS <= t < EVEN_CELLS
                cells[i] = np.int64(math.floor(t * inverse)) - first if inside else np.int64(-1)
        for i in range(U(many)):
            cell = U(cells[i])
            if cell < size:
                table[cell] += 1 + (np.int64(truth[U(at) + i] == label) << 32)
            else:
                beyond[U(many_beyond)] = np.int64(U(at) + i)
                many_beyond += 1
    return many_beyond


@outer()
def merge_counts(keys, rows, yes, no_keys, yes_keys, out_keys, out_rows, out_yes):
    """Merge counts by ascending distinct keys with keys of single rows, which ascend too.

    Those are of rows that are no, and that are yes. Write each key once, how many rows it has and
    how many of them are yes; return how many keys there are.
    """
    n = i = j = k = U(0)
    a, b, c = U(keys.shape[0]), U(no_keys.shape[0]), U(yes_keys.shape[0])
    end = np.int64(0x7FFFFFFFFFFFFFFF)  # no key of a number
    while i < a or j < b or k < c:
        key = keys[i] if i < a else end
        key = min(key, no_keys[j] if j < b else end)
        key = min(key, yes_keys[k] if k < c else end)
        many = own = np.int64(0)
        if i < a and keys[i] == key:
            many, own = rows[i], yes[i]
            i += U(1)
        while j < b and no_keys[j] == key:
            many += 1
            j += U(1)
        while k < c and yes_keys[k] == key:
            many += 1
            own += 1
            k += U(1)
        out_keys[n], out_rows[n], out_yes[n] = key, many, own
        n += U(1)
    return np.int64(n)


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
