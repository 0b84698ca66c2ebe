"""Which class was taken for which, how often, and at what cost: as many pairs as occur.

Up to `DENSE_CLASSES` classes all C² pairs have a place of their own; of more, those that occur, by
a table of places. Above `PAIRS_KEPT` of them none are kept: of each class something is, beside.
"""

import numpy as np
from numpy.typing import NDArray

from xent._kernels.predictions.places import find_places
from xent.evaluation._accumulator.sums import Sums

DENSE_CLASSES = 64  # classes up to which every pair has its place
PAIRS_KEPT = 1 << 19

Slots = NDArray[np.int64]


class ConfusionSums:
    """Keys truth C + guess that occur, and where each one's sums stand.

    Parameters
    ----------
    classes : int
        C.
    weighted : bool
        Whether weights are summed beside the numbers of rows.
    """

    def __init__(self, classes: int, *, weighted: bool) -> None:
        self.classes = classes
        self.dense = classes <= DENSE_CLASSES
        self.lost = False  # more than `PAIRS_KEPT`
        self.used = classes * classes if self.dense else 0
        size = self.used or 1024
        self.keys: Slots = np.arange(size) if self.dense else np.zeros(size, np.int64)
        self.rows: Slots = np.zeros(size, np.int64)
        self.cost, self.weight = Sums(size), Sums(size if weighted else 0)
        self.weighted = weighted
        self._table = np.full(0 if self.dense else 4 * size, -1, np.int32)

    def places(self, keys: Slots) -> Slots:
        """Return where each key is, and make places for those that come for the first time."""
        self._grow(self.used + len(keys))
        out = np.empty(len(keys), np.int64)
        self.used = find_places(keys, self._table, self.keys, self.used, out)
        return out

    def _grow(self, size: int) -> None:
        if size > len(self.keys):
            more = max(size, 2 * len(self.keys))
            self.keys, self.rows = (
                np.concatenate([old, np.zeros(more - len(old), np.int64)])
                for old in (self.keys, self.rows)
            )
            self.cost.make_room(0, more)
            if self.weighted:
                self.weight.make_room(0, more)
        if 2 * len(self.keys) > len(self._table):
            self._table = np.full(1 << (4 * len(self.keys)).bit_length(), -1, np.int32)
            old = self.keys[: self.used].copy()
            find_places(old, self._table, self.keys, 0, np.empty(len(old), np.int64))

    def forget(self) -> None:
        """Keep no pairs any more where there are too many."""
        if not self.dense and (self.lost or self.used > PAIRS_KEPT):
            self.__init__(self.classes, weighted=self.weighted)  # type: ignore[misc]
            self.lost = True

    def merge(self, other: "ConfusionSums") -> None:
        """Add the pairs of another."""
        self.lost |= other.lost
        size = other.used
        places = np.arange(size) if self.dense else self.places(other.keys[:size])
        self.rows[places] += other.rows[:size]
        self.cost.merge(other.cost, places)
        if self.weighted:
            self.weight.merge(other.weight, places)
