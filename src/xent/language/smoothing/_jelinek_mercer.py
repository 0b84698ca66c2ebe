"""Jelinek-Mercer: all orders vote; how much each is believed is learnt from text not counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._counting.levels import Levels, NgramCounts, from_begin, totals, with_word
from xent.language._vocabulary import UNKNOWN
from xent.language.smoothing._smoothing import F64, Evidence, Smoothed, Smoothing, spread, unigrams

MAX_ROUNDS = 200
MIN_IMPROVEMENT = 1e-10  # relative gain of log-likelihood below which EM stops


@dataclass(frozen=True)
class JelinekMercer(Smoothing):
    """Deleted interpolation: relative frequencies of every order, mixed.

    p(w | h) = weight(h) c(h, w) / c(h) + (1 - weight(h)) p(w | h')

    There is one weight an order, or one an order and bucket of c(h): histories seen often are
    believed more. The weights maximise the likelihood of ``fit(..., held_out=)`` by EM; without a
    held-out text each n-gram of the training text is predicted from the rest of it (leave one out).

    Parameters
    ----------
    buckets : int
        How many classes of histories each order has: seen once, 2-3 times, 4-7 times, and so on;
        the last takes all others. 1 gives one weight an order.
    weights : tuple of float, optional
        One given weight for each order, unigrams first, instead of estimated ones.

    Raises
    ------
    ValueError, TypeError
        If ``buckets`` is no integer of at least 1, or a weight not between 0 and 1.

    Examples
    --------
    >>> from xent.language import NGramModel
    >>> divisors = [" ".join(str(d) for d in range(1, n + 1) if n % d == 0) for n in range(1, 200)]
    >>> [(word, p)] = NGramModel(2, JelinekMercer()).fit(divisors).next("1", top_k=1)
    >>> word, round(p, 4)
    ('2', 0.3253)

    References
    ----------
    F. Jelinek and R. L. Mercer (1980). Interpolated estimation of Markov source parameters from
    sparse data. Buckets: Chen and Goodman (1998), section 2.3.
    """

    buckets: int = 1
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        _check.integer("buckets", self.buckets, least=1)
        for value in self.weights or ():
            _check.share("weights", value)

    def estimates(self, evidence: Evidence) -> Iterator[Smoothed]:
        """Yield the estimate of each level, the unigrams first."""
        weights = self._weights(evidence)
        lower = evidence.uniform
        histories = 1
        for order, level in enumerate(evidence.levels, 1):
            count = evidence.of_events(order, level.count)
            total = totals(level, count, histories)
            weight = weights[order - 1][self._bucket(total)]
            discounted = weight[level.prefix] * count
            shown = evidence.shown(order)
            if order == 1:
                estimate = unigrams(evidence, discounted, shown, total, True)
            else:
                estimate = spread(level, discounted, shown, total, lower, True)
            yield estimate
            lower, histories = estimate.p, len(level)

    def _bucket(self, total: F64) -> NDArray[np.int64]:
        """Return the class of histories with the given counts."""
        exponent = np.frexp(np.maximum(total, 1))[1].astype(np.int64) - 1
        return np.minimum(exponent, self.buckets - 1)

    def _weights(self, evidence: Evidence) -> list[F64]:
        order = len(evidence.levels)
        if self.weights is not None:
            if len(self.weights) != order:
                must = f"hold one number for each of the {order} orders"
                raise _check.invalid("weights", must, f"{len(self.weights)}")
            return [np.full(self.buckets, w) for w in self.weights]
        found = [np.full(self.buckets, 0.5) for _ in range(order)]
        groups = list(_events(evidence))
        before = -np.inf
        for _ in range(MAX_ROUNDS):
            stop = [np.zeros(self.buckets) for _ in range(order)]
            reach = [np.zeros(self.buckets) for _ in range(order)]
            likelihood = sum(self._expect(g, evidence, found, stop, reach) for g in groups)
            for weight, stopped, reached in zip(found, stop, reach, strict=True):
                seen = reached > 0
                weight[seen] = np.clip(stopped[seen] / reached[seen], 1e-6, 1 - 1e-6)
            if likelihood - before <= MIN_IMPROVEMENT * abs(likelihood):
                break
            before = likelihood
        return found

    def _expect(
        self, group: "_Group", evidence: Evidence, weights: list[F64], stop: list[F64],
        reach: list[F64],
    ) -> float:  # fmt: skip
        """Add up the expected votes of one group of events; return their log-likelihood."""
        times, word, frequency, history = group
        below = evidence.uniform[word]
        mixtures, own = [], []
        for n, (f, c) in enumerate(zip(frequency, history, strict=True)):
            bucket = self._bucket(c)
            believed = np.where(c > 0, weights[n][bucket], 0.0)
            mine = believed * f
            own.append((mine, bucket, c > 0))
            below = mine + (1 - believed) * below
            mixtures.append(below)
        possible = below > 0
        share = np.where(possible, times, 0.0)
        for n in range(len(mixtures) - 1, -1, -1):
            mine, bucket, known = own[n]
            reach[n] += np.bincount(bucket, share * known, self.buckets)
            stays = share * np.divide(mine, mixtures[n], out=np.zeros(len(mine)), where=mine > 0)
            stop[n] += np.bincount(bucket, stays, self.buckets)
            share = share - stays
        return float(times[possible] @ np.log(below[possible]))


_Group = tuple[F64, NDArray[np.uint32], list[F64], list[F64]]


def _events(evidence: Evidence) -> Iterator[_Group]:
    """Yield events to predict: how often, the word, c(h, w) / c(h) and c(h) for each order.

    Without a held-out text the event itself is left out of the counts that predict it.
    """
    levels = evidence.levels
    text = levels if evidence.held_out is None else evidence.held_out
    less = 1.0 if evidence.held_out is None else 0.0
    rows = _rows_in(text, levels)
    of_history = []
    histories = 1
    for order, level in enumerate(levels, 1):
        of_history.append(totals(level, evidence.of_events(order, level.count), histories))
        histories = len(level)
    begins = from_begin(text)
    gone = with_word(text, UNKNOWN) if evidence.removed else [np.zeros(len(t), bool) for t in text]
    for n, level in enumerate(text):
        event = np.ones(len(level), np.bool_) if n + 1 == len(text) else begins[n]
        event &= (level.count > 0) & ~gone[n]
        if n == 0 and len(text) > 1:
            continue  # <s> alone is no event
        chosen = np.flatnonzero(event)
        if not len(chosen):
            continue
        frequency: list[F64] = []
        history: list[F64] = []
        at: NDArray[Any] = chosen
        for k in range(n, -1, -1):
            row, where = rows[k][at], text[k]
            c = np.where(row >= 0, levels[k].count[row], 0) - less
            above = rows[k - 1][where.prefix[at]] if k else np.zeros(len(at), np.int64)
            total = np.where(above >= 0, of_history[k][above], 0.0) - less
            total = np.maximum(total, 0.0)
            c = np.maximum(c, 0.0)
            frequency.insert(0, np.divide(c, total, out=np.zeros(len(at)), where=total > 0))
            history.insert(0, total)
            at = where.suffix[at]
        yield level.count[chosen].astype(np.float64), level.word[chosen], frequency, history


def _rows_in(text: Levels, levels: Levels) -> list[NDArray[np.int64]]:
    """Return for each n-gram of a text its row among the levels, or -1."""
    rows: list[NDArray[np.int64]] = [np.arange(len(text[0]))]
    for mine, theirs in zip(text[1:], levels[1:], strict=True):
        prefix = rows[-1][mine.prefix]
        rows.append(find_rows(theirs, prefix, mine.word))
    return rows


def find_rows(
    level: NgramCounts, prefix: NDArray[np.int64], word: NDArray[np.uint32]
) -> NDArray[np.int64]:
    """Return the row of each (prefix, word) in a level, or -1."""
    if not len(level):
        return np.full(len(word), -1)
    keys = (level.prefix.astype(np.int64) << 32) | level.word
    wanted = (prefix << 32) | word
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where((keys[place] == wanted) & (prefix >= 0), place, -1)
