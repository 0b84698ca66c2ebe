"""From counts to a model: the arrays that every smoothing's estimates end in."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._progress import stage
from xent.language._backoff.exact import LOG_10, Backoff, Ngrams
from xent.language._counting.levels import Levels, NgramCounts
from xent.language._kernels import count as kernels
from xent.language._vocabulary import BEGIN, UNKNOWN, WITHOUT_UNKNOWN
from xent.language.smoothing import Smoothing
from xent.language.smoothing._smoothing import Evidence, Smoothed

U32 = NDArray[np.uint32]
NO_PROBABILITY = np.float32(-99)  # what ARPA files give to <s>, which is no event
LOG_BLOCK = 1 << 14


def min_counts(
    min_count: int | dict[int, int] | None, order: int, smoothing: Smoothing
) -> list[int]:
    """Return for each order the count from which an n-gram stands in the model."""
    counts = smoothing.default_least(order)
    if isinstance(min_count, dict):
        for n, value in min_count.items():
            if _check.integer("min_count", n, least=1) <= order:
                counts[n - 1] = _check.integer("min_count", value, least=1)
    elif min_count is not None:
        counts = [1] + [_check.integer("min_count", min_count, least=1)] * (order - 1)
    return counts


def uniform(words: int, unknown: str) -> NDArray[np.float64]:
    """Return the uniform distribution over all events: not ``<s>``; not ``<unk>`` if it is none."""
    p = np.ones(words)
    p[BEGIN] = 0.0
    if unknown in WITHOUT_UNKNOWN:
        p[UNKNOWN] = 0.0
    return np.asarray(p / p.sum())


def estimate(smoothing: Smoothing, evidence: Evidence) -> Backoff:
    """Estimate a model and put it into the arrays that are scored, stored and written.

    The counts are used up: their arrays become the model's, or are let go.
    """
    rows: list[Ngrams] = []
    first = 1  # node of the first n-gram of the level below
    below: U32 | None = None  # new numbers of the level below where some were left out
    for level, found in _with_progress(evidence.levels, smoothing.estimates(evidence)):
        if level.mapped:  # its columns will go, the model's stay
            level.suffix = np.array(level.suffix)
            if found.shown.all():
                level.prefix, level.word = np.array(level.prefix), np.array(level.word)
        if rows:
            rows[-1].backoff = _weights(found, below)
        prefix, word, suffix, p = level.prefix, level.word, level.suffix, found.p
        if rows and below is not None:
            chosen = found.shown
            prefix, suffix = below[prefix[chosen]], below[suffix[chosen]]
            word, p = word[chosen], p[chosen]
        elif not found.shown.all():
            chosen = found.shown
            prefix, suffix, word, p = prefix[chosen], suffix[chosen], word[chosen], p[chosen]
        if rows:
            suffix += np.uint32(first)  # from rows of the level below to nodes of the model
        rows.append(Ngrams(prefix, word, suffix, _log10(p), np.empty(0, np.float32)))
        level.count = np.empty(0, np.uint32)
        if level.mapped:
            level.prefix = level.suffix = level.count
        if len(rows) > 1:
            first += len(rows[-2])
        below = None
        if not found.shown.all():
            below = np.empty(len(level), np.uint32)
            kernels.renumber(found.shown, below)
    rows[0].logp[BEGIN] = NO_PROBABILITY
    return Backoff(rows)


def _with_progress(
    levels: Levels, estimates: Iterator[Smoothed]
) -> Iterator[tuple[NgramCounts, Smoothed]]:
    """Pair levels with their estimates, and show how far the work is."""
    with stage("Estimating", sum(map(len, levels)), "n-grams") as advance:
        done = 0
        for level, found in zip(levels, estimates, strict=True):
            yield level, found
            advance(done := done + len(level))


def _weights(found: Smoothed, numbers: U32 | None) -> NDArray[np.float32]:
    weights = found.backoff
    if numbers is not None:
        weights = weights[numbers != 0xFFFFFFFF]
    return _log10(weights)


def _log10(values: NDArray[np.float64]) -> NDArray[np.float32]:
    found = np.empty(len(values), np.float32)
    # np.log is vectorised where np.log10 is not; blocks that stay in the cache save as much again.
    with np.errstate(divide="ignore"):
        for low in range(0, len(values), LOG_BLOCK):
            found[low : low + LOG_BLOCK] = np.log(values[low : low + LOG_BLOCK]) * (1 / LOG_10)
    return found
