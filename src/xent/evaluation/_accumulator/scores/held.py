"""What is held of scores: how many rows there are of each key, and how many of them are yes.

Keys wait until there are as many as half of those that are known; then they are sorted and merged
with these, all at once: less work than to look each up in a table that no cache holds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent._kernels.predictions.scores import merge_counts
from xent.evaluation._accumulator.sums import Numbers, Slots, Sums, padded, with_spare

LEAST_WAITING = 1 << 16  # keys
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
    """

    def __init__(self, *, weighted: bool) -> None:
        none = np.zeros(0, np.int64)
        self.weighted = weighted
        self._held = HeldScores(none, none, none, *((Sums(0), Sums(0)) if weighted else ()))
        self._forget()

    def _forget(self) -> None:
        self._waiting: list[tuple[Slots, Truth, Numbers | None]] = []
        self._many = 0

    @property
    def known(self) -> int:
        """How many distinct keys there are, but for those that wait."""
        return len(self._held.keys)

    def add(self, keys: Slots, yes: Truth, weight: Numbers | None) -> None:
        """Add rows, of which some are yes, in any order."""
        self._waiting.append((keys, yes, weight))
        self._many += len(keys)
        if self._many >= max(LEAST_WAITING, self.known // 2):
            self.held()

    def put(self, held: HeldScores) -> None:
        """Add counts by key."""
        self._held = self.held().joined(held)

    def held(self) -> HeldScores:
        """Return the counts of all rows."""
        if not self._many:
            return self._held
        keys, yes = (np.concatenate([some[k] for some in self._waiting]) for k in (0, 1))
        if self.weighted:
            weight = np.concatenate([w for _, _, w in self._waiting if w is not None])
            self._held = self._held.joined(_counted(keys, yes, weight))
        else:
            self._held = _merged(self._held, keys, yes)
        self._forget()
        return self._held


def _counted(keys: Slots, yes: Truth, weight: Numbers) -> HeldScores:
    """Return the counts and weights of rows by their keys."""
    found, places = np.unique(keys, return_inverse=True)
    own = places[yes]
    rows, mine = (np.bincount(some, minlength=len(found)) for some in (places, own))
    sums, own_sums = Sums(len(found)), Sums(len(found))
    for total, some, values in ((sums, places, weight), (own_sums, own, weight[yes])):
        total.scatter(some, with_spare(values), len(some), padded(len(some)))
    return HeldScores(found, rows, mine, sums, own_sums)


def _merged(held: HeldScores, keys: Slots, yes: Truth) -> HeldScores:
    """Return counts with those of rows by their keys."""
    out = [np.empty(held.keys.size + keys.size, np.int64) for _ in range(3)]
    own, others = keys[yes], keys[~yes]
    own.sort()
    others.sort()
    used = merge_counts(held.keys, held.rows, held.yes, others, own, *out)
    known, rows, counts = (array[:used].copy() for array in out)
    return HeldScores(known, rows, counts)
