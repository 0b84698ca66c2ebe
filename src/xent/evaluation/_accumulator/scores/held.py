"""What is held of scores: how many rows there are of each key, and how many of them are yes.

Keys wait until there are many; then they are sorted and merged with those that are known, all at
once: less work than to look each up in a table that no cache holds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._kernels.predictions.scores import NO_KEY, mark_scores, merge_counts, part_keys
from xent.evaluation._accumulator.sums import Numbers, Slots, Sums, padded, with_spare

LEAST_WAITING = 1 << 16  # keys
MARKS_PER_KEY = 4  # places that keys are sent to, for each that there may be
Truth = NDArray[np.bool_]


@dataclass(frozen=True)
class HeldScores:
    """Counts of rows by key, the keys in ascending order, each once.

    Parameters
    ----------
    keys : ndarray of int64, shape (K,)
        By which scores are told apart: of each its own, or of the cell that it lies in.
    rows, yes : ndarray of int64, shape (K,)
        How many rows there are, and how many of them are yes.
    weight, yes_weight : Sums or None
        Their weights, key for key, where rows have some.
    """

    keys: Slots
    rows: Slots
    yes: Slots
    weight: Sums | None = None
    yes_weight: Sums | None = None

    def weights(self) -> tuple[Numbers, Numbers]:
        """Return the weight of all rows of each key, and of those that are yes."""
        if self.weight is None or self.yes_weight is None:
            return self.rows.astype(np.float64), self.yes.astype(np.float64)
        return self.weight.values(len(self.keys)), self.yes_weight.values(len(self.keys))

    def joined(self, other: "HeldScores") -> "HeldScores":
        """Return the counts of both."""
        split = len(self.keys)
        keys, places = np.unique(np.concatenate([self.keys, other.keys]), return_inverse=True)
        mine, theirs = places[:split], places[split:]
        rows, yes = (np.zeros(len(keys), np.int64) for _ in range(2))
        for total, own, others in ((rows, self.rows, other.rows), (yes, self.yes, other.yes)):
            total[mine] = own
            total[theirs] += others
        weight = _joined(self.weight, mine, other.weight, theirs, len(keys))
        yes_weight = _joined(self.yes_weight, mine, other.yes_weight, theirs, len(keys))
        return HeldScores(keys, rows, yes, weight, yes_weight)

    def by(self, keys: Slots) -> "HeldScores":
        """Return the counts by other keys, which ascend with these and may be alike."""
        first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else keys
        rows, yes = (
            np.add.reduceat(counts, first) if len(keys) else counts
            for counts in (self.rows, self.yes)
        )
        weights: list[Sums | None] = [None, None]
        for k, sums in enumerate((self.weight, self.yes_weight)):
            if sums is not None:
                places = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(keys))))
                weights[k] = total = Sums(len(first))
                total.merge(sums, places)
        return HeldScores(keys[first], rows, yes, *weights)


def _joined(
    one: Sums | None, mine: Slots, other: Sums | None, theirs: Slots, size: int
) -> Sums | None:
    """Return so many sums, made of two others that each have places of their own."""
    if one is None or other is None:
        return None
    total = Sums(size)
    total.merge(one, mine)
    total.merge(other, theirs)
    return total


class KeyCounts:
    """Counts of rows by key, to which rows are added.

    Parameters
    ----------
    weighted : bool
        Whether rows have weights.
    most : int
        How many distinct keys there may be before others count them. So many, and a few more, wait
        before any are sorted: where all are distinct, none has to be.
    """

    def __init__(self, *, weighted: bool, most: int = 0) -> None:
        none = np.zeros(0, np.int64)
        self.weighted, self._most = weighted, most
        self._held = HeldScores(none, none, none, *((Sums(0), Sums(0)) if weighted else ()))
        self._forget()

    def _forget(self) -> None:
        self.waiting: list[tuple[NDArray[Any], Truth]] = []  # keys, or scores
        self._weights: list[tuple[Slots, Truth, Numbers]] = []
        self._many = 0

    @property
    def known(self) -> int:
        """How many distinct keys there are, but for those that wait."""
        return len(self._held.keys)

    @property
    def sorted(self) -> HeldScores:
        """The counts of all rows but for those that wait."""
        return self._held

    @property
    def room(self) -> int:
        """How many more may wait: enough to be more than may be distinct, or as half of these."""
        limit = self._most + self._most // 4 - self.known
        return max(limit, self._most // 2, self.known // 2, LEAST_WAITING // 2) - self._many

    def add(self, keys: Slots, yes: Truth, weight: Numbers | None) -> None:
        """Add rows, of which some are yes, in any order."""
        if weight is None:
            self.waiting.append((keys, yes))
        else:
            self._weights.append((keys, yes, weight))
        self._many += len(keys)
        if self.room <= 0:
            self.held()

    def add_scores(self, scores: NDArray[Any], yes: Truth) -> None:
        """Add rows by their scores; they wait."""
        self.waiting.append((scores.copy(), yes))
        self._many += len(scores)

    def put(self, held: HeldScores) -> None:
        """Add counts by key."""
        self._held = self.held().joined(held)

    def held(self) -> HeldScores:
        """Return the counts of all rows."""
        if self._weights:
            keys, yes, weight = (np.concatenate(some) for some in zip(*self._weights, strict=True))
            self._held = self._held.joined(_counted(keys, yes, weight))
        elif self._many:
            end = np.array([NO_KEY])
            parts = [_parted(*some) for some in self.waiting]
            no, yes = (np.concatenate([*some, end]) for some in zip(*parts, strict=True))
            self._held = _merged(self._held, no, yes)
        self._forget()
        return self._held

    def too_many(self) -> bool:
        """Tell whether more scores wait than may be distinct, if that is seen without sorting."""
        if self.weighted or self._many <= self._most:
            return False
        marks = np.zeros(1 << (MARKS_PER_KEY * self._most - 1).bit_length(), np.uint8)
        return bool(sum(mark_scores(scores, marks) for scores, _ in self.waiting) > self._most)


def _counted(keys: Slots, yes: Truth, weight: Numbers) -> HeldScores:
    """Return the counts and weights of rows by their keys."""
    found, places = np.unique(keys, return_inverse=True)
    own = places[yes]
    rows, mine = (np.bincount(some, minlength=len(found)) for some in (places, own))
    sums, own_sums = Sums(len(found)), Sums(len(found))
    for total, some, values in ((sums, places, weight), (own_sums, own, weight[yes])):
        total.scatter(some, with_spare(values), len(some), padded(len(some)))
    return HeldScores(found, rows, mine, sums, own_sums)


def _parted(values: NDArray[Any], yes: Truth) -> tuple[Slots, Slots]:
    """Return the keys of rows that are no and of those that are yes, of scores or keys."""
    if values.dtype == np.int64:
        return values[~yes], values[yes]
    out = np.empty(len(values), np.int64)
    split = part_keys(values, yes, out)
    return out[:split], out[split:]


def _merged(held: HeldScores, no: Slots, yes: Slots) -> HeldScores:
    """Return counts with those of rows by their keys, which end in `NO_KEY`."""
    out = [np.empty(held.keys.size + no.size + yes.size - 2, np.int64) for _ in range(3)]
    no.sort()
    yes.sort()
    known = held.keys, held.rows, held.yes
    if not held.keys.size:
        known = (np.zeros(1, np.int64)[:0],) * 3  # of which the first may be read
    used = merge_counts(*known, no, yes, *out)
    if 2 * used < out[0].size:
        out = [array[:used].copy() for array in out]
    keys, rows, own = (array[:used] for array in out)
    return HeldScores(keys, rows, own)
