"""What every smoothing shares: counts are discounted, what that frees goes to the shorter history.

With ``discounted`` the discounted count of (h, w) and ``total`` what a method divides it by,

    interpolated   p(w | h) = discounted / total + left(h) p(w | h')      for every w
    back-off       p(w | h) = discounted / total                          where (h, w) was seen
                            = left(h) / (1 - Σ_seen p(v | h')) p(w | h')    elsewhere

left(h) = 1 - Σ discounted / total; h' is h without its first word; below the unigrams lies the
uniform distribution. A method says ``discounted`` and ``total`` and nothing else.

The mass of n-grams that were cut is left too, and interpolation gives part of it to those that were
not (``cut_mass="kept"``). SRILM keeps it for the others: with ``"backoff"`` left(h) is what the
discounts of all seen n-grams free, and the back-off weight is what makes the sum 1.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.language._counting.levels import Levels, NgramCounts, from_begin, totals, with_word
from xent.language._kernels import smooth as kernels
from xent.language._vocabulary import UNKNOWN

F64 = NDArray[np.float64]

CUT_MASS = ("kept", "backoff")

# A history that leaves less than this has no mass left (SRILM's figure).
LEAST_LEFT = 3e-6


@dataclass
class Evidence:
    """What a smoothing is estimated from.

    Attributes
    ----------
    levels : list of Level
        The counts; ``<s>`` is no event and has count 0 among the unigrams.
    min_counts : list of int
        For each order, the count from which an n-gram stands in the model. One that was seen less
        often stands there too where a longer one that does begins or ends with it.
    uniform : (V,) float64
        The uniform distribution over everything that can happen.
    held_out : list of Level or None
        Counts of another text with the same vocabulary.
    removed : bool
        Whether ``<unk>`` was counted to be removed: it is no event, and no n-gram with it stands in
        the model. What it says of other n-grams stays: how many words were seen before them, and
        how many n-grams were seen so often.
    """

    levels: Levels
    min_counts: list[int]
    uniform: F64
    held_out: Levels | None = None
    removed: bool = False

    def shown(self, order: int) -> NDArray[np.bool_]:
        """Mark the n-grams of one order that stand in the model, or would among unigrams."""
        if order == 1 or self.min_counts[1:] == sorted(self.min_counts[1:]):
            # A longer n-gram is never seen more often than the shorter ones in it.
            level = self.levels[order - 1]
            enough = np.asarray(level.count >= max(1, self.min_counts[order - 1]))
            return enough & ~self._with_unknown[order - 1] if self.removed else enough
        return self._closed[order - 1]

    def of_events(self, order: int, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of the n-grams of one order, 0 for those that end in what is no event."""
        if not self.removed:
            return values
        return np.where(self.levels[order - 1].word == UNKNOWN, values.dtype.type(0), values)

    @cached_property
    def _with_unknown(self) -> list[NDArray[np.bool_]]:
        return with_word(self.levels, UNKNOWN)

    @cached_property
    def _closed(self) -> list[NDArray[np.bool_]]:
        marks = [level.count >= n for level, n in zip(self.levels, self.min_counts, strict=True)]
        if self.removed:
            marks = [mark & ~w for mark, w in zip(marks, self._with_unknown, strict=True)]
        for n in range(len(marks) - 1, 1, -1):
            for part in (self.levels[n].prefix, self.levels[n].suffix):
                marks[n - 1][part[marks[n]]] = True
        return marks


@dataclass
class Smoothed:
    """Probabilities of one level's n-grams, and the back-off weights of their histories."""

    p: F64
    backoff: F64
    shown: NDArray[np.bool_]


class Smoothing(ABC):
    """A way to give probability to what was not seen; its fields are its settings."""

    is_distribution = True

    def default_least(self, order: int) -> list[int]:
        """Return the count cut-offs that go with the method."""
        return [1] * order

    @abstractmethod
    def estimates(self, evidence: Evidence) -> Iterator[Smoothed]:
        """Yield the estimate of each level, the unigrams first."""


class Discounting(Smoothing):
    """A method that keeps part of each count and gives the rest to shorter histories."""

    interpolated: bool
    cut_mass: str = "kept"

    def counts(self, evidence: Evidence) -> Iterator[NDArray[np.uint32]]:
        """Yield the counts that each level is estimated from."""
        for level in evidence.levels:
            yield level.count

    @abstractmethod
    def discounted(
        self, evidence: Evidence, order: int, counts: NDArray[np.uint32], total: F64
    ) -> F64:
        """Return the discounted counts; ``total`` of each history may be changed in place."""

    def estimates(self, evidence: Evidence) -> Iterator[Smoothed]:
        """Yield the estimate of each level, the unigrams first."""
        lower = evidence.uniform
        histories = 1
        for order, counts in enumerate(self.counts(evidence), 1):
            level = evidence.levels[order - 1]
            total = totals(level, evidence.of_events(order, counts), histories)
            kept = self.discounted(evidence, order, counts, total)
            discounted = evidence.of_events(order, kept)
            shown = evidence.shown(order)
            if order == 1:
                estimate = unigrams(evidence, discounted, shown, total, self.interpolated)
            else:
                estimate = spread(
                    level,
                    discounted,
                    shown,
                    total,
                    lower,
                    self.interpolated,
                    cut_mass=self.cut_mass,
                )
            yield estimate
            lower, histories = estimate.p, len(level)


def spread(
    level: NgramCounts,
    discounted: F64,
    shown: NDArray[np.bool_],
    total: F64,
    lower: F64,
    interpolated: bool,
    suffix: NDArray[np.uint32] | None = None,
    cut_mass: str = "kept",
) -> Smoothed:
    """Give the mass that is left to the shorter histories.

    Probabilities replace ``discounted``, and back-off weights ``total``.
    """
    suffix = level.suffix if suffix is None else suffix
    to_backoff = cut_mass == "backoff"
    kernels.spread(level.prefix, suffix, shown, total, lower, interpolated, to_backoff, discounted)
    return Smoothed(discounted, total, shown)


def unigrams(
    evidence: Evidence, discounted: F64, shown: NDArray[np.bool_], total: F64, interpolated: bool
) -> Smoothed:
    """Estimate the unigrams, below which lies the uniform distribution."""
    level, uniform = evidence.levels[0], evidence.uniform
    nobody_unseen = not (uniform[~shown] > 0).any()
    mixed = interpolated or nobody_unseen
    discounted = np.where(shown, discounted, 0.0)
    # Interpolated, every word of the vocabulary has its share; in back-off, those that were seen.
    whom = np.ones(len(shown), np.bool_) if mixed else shown
    if total[0] == 0:
        return Smoothed(uniform.copy(), np.ones(1), shown)
    estimate = spread(level, discounted, whom, total, uniform, mixed, suffix=level.word)
    if not mixed:
        estimate.p[~shown] = estimate.backoff[0] * uniform[~shown]
    estimate.shown = np.ones(len(shown), np.bool_)
    return estimate


class Flat(Smoothing):
    """A method that looks at the whole history only and spreads what is left evenly.

    N-grams shorter than the model's order are events only where the sentence has just begun; the
    others keep the uniform probability, so that backing off comes to it at once.
    """

    @abstractmethod
    def discounted(self, evidence: Evidence, counts: NDArray[np.uint32]) -> F64:
        """Return what is discounted of counts."""

    @abstractmethod
    def enlarge(self, evidence: Evidence, order: int, discounted: F64, total: F64) -> None:
        """Change the total of each history in place where the method asks for it."""

    def estimates(self, evidence: Evidence) -> Iterator[Smoothed]:
        """Yield the estimate of each level, the unigrams first."""
        uniform = evidence.uniform
        top = len(evidence.levels)
        histories = 1
        for order, (level, begins) in enumerate(
            zip(evidence.levels, from_begin(evidence.levels), strict=True), 1
        ):
            shown = evidence.shown(order)
            if order == 1 and top > 1:
                yield Smoothed(uniform.copy(), np.ones(1), np.ones(len(level), np.bool_))
            else:
                event = begins if order < top else np.ones(len(level), np.bool_)
                event = evidence.of_events(order, event)
                discounted = np.where(event, self.discounted(evidence, level.count), 0.0)
                total = totals(level, np.where(event, level.count, 0), histories)
                self.enlarge(evidence, order, discounted, total)
                if order == 1:
                    yield unigrams(evidence, discounted, shown, total, False)
                else:
                    estimate = spread(
                        level, discounted, shown, total, uniform, False, suffix=level.word
                    )
                    estimate.p = np.where(event, estimate.p, uniform[level.word])
                    yield estimate
            histories = len(level)


def leave_mass(evidence: Evidence, order: int, discounted: F64, total: F64) -> None:
    """Raise the total of histories that leave nothing, unless every word was seen (Doug Paul)."""
    level = evidence.levels[order - 1]
    mass = totals(level, np.where(evidence.shown(order), discounted, 0.0), len(total))
    seen = np.zeros(len(total), np.int64)
    kernels.count_by_prefix(level.prefix[evidence.of_events(order, discounted) > 0], seen)
    outcomes = np.count_nonzero(evidence.uniform)
    total += (total > 0) & (mass > (1 - LEAST_LEFT) * total) & (seen < outcomes)


def counts_of_counts(counts: NDArray[Any], max_count: int) -> NDArray[np.int64]:
    """Return how many n-grams were seen r times, for r from 0 (always 0) to ``max_count``."""
    return np.asarray(kernels.counts_of_counts(counts, max_count))
