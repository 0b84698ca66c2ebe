"""Which class was taken for which, how often, and at what cost: as many pairs as occur.

Up to `DENSE_CLASSES` classes all C² pairs have a place of their own; of more, those that occur, by
a table of places. Above `PAIRS_KEPT` of them none are kept: of each class something is, beside.
"""

import numpy as np

from xent.evaluation._accumulator.places import LEAST_SIZE, KeyPlaces, grown
from xent.evaluation._accumulator.sums import Slots, Sums

DENSE_CLASSES = 64  # classes up to which every pair has its place
PAIRS_KEPT = 1 << 19


class ConfusionSums:
    """Rows and cost of each pair, truth C + guess, that occurs.

    Parameters
    ----------
    classes : int
        C.
    weighted : bool
        Whether weights are summed beside the numbers of rows.
    """

    def __init__(self, classes: int, *, weighted: bool) -> None:
        self.classes, self.weighted = classes, weighted
        self.dense = classes <= DENSE_CLASSES
        self.lost = False  # more than `PAIRS_KEPT`
        self._empty()

    def _empty(self) -> None:
        size = self.classes**2 if self.dense else LEAST_SIZE
        self.index = KeyPlaces()
        self.rows: Slots = np.zeros(size, np.int64)
        self.cost, self.weight = Sums(size), Sums(size if self.weighted else 0)

    @property
    def used(self) -> int:
        """How many places are taken."""
        return self.classes**2 if self.dense else self.index.used

    @property
    def keys(self) -> Slots:
        """The pair of each place."""
        return np.arange(self.used) if self.dense else self.index.keys[: self.used]

    def places(self, keys: Slots) -> Slots:
        """Return where each key is, and make places for those that come for the first time."""
        if self.dense:
            return keys
        found = self.index.find(keys)
        if self.used > len(self.rows):
            self.rows = grown(self.rows, self.used)
            self.cost.make_room(0, len(self.rows))
            if self.weighted:
                self.weight.make_room(0, len(self.rows))
        return found

    def forget(self) -> None:
        """Keep no pairs any more where there are too many."""
        if self.lost or (not self.dense and self.used > PAIRS_KEPT):
            self.lost = True
            self._empty()

    def merge(self, other: "ConfusionSums") -> None:
        """Add the pairs of another."""
        self.lost |= other.lost
        places = self.places(other.keys)
        self.rows[places] += other.rows[: other.used]
        self.cost.merge(other.cost, places)
        if self.weighted:
            self.weight.merge(other.weight, places)
