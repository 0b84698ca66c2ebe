"""Keys that come again and again, each with a place of its own."""

import numpy as np
from numpy.typing import NDArray

from xent._kernels.predictions.places import find_places
from xent.evaluation._accumulator.sums import Slots

LEAST_SIZE = 1024


class KeyPlaces:
    """Places of keys, in the order in which these came: `keys[:used]`."""

    def __init__(self) -> None:
        self.keys: Slots = np.zeros(LEAST_SIZE, np.int64)
        self.used = 0
        self._table: NDArray[np.int32] = np.full(4 * LEAST_SIZE, -1, np.int32)

    def find(self, keys: Slots) -> Slots:
        """Return the place of each key; new ones get the next."""
        size = self.used + len(keys)
        if size > len(self.keys):
            self.keys = grown(self.keys, size)
        if 2 * size > len(self._table):
            self._table = np.full(1 << (2 * size - 1).bit_length(), -1, np.int32)
            known = self.keys[: self.used]  # each is written again where it stands
            find_places(known, self._table, self.keys, 0, np.empty(len(known), np.int64))
        out = np.empty(len(keys), np.int64)
        self.used = find_places(keys, self._table, self.keys, self.used, out)
        return out


def grown(array: Slots, size: int) -> Slots:
    """Return an array of at least so many entries, twice as many as before, with 0 in the new."""
    out = np.zeros(max(size, 2 * len(array)), array.dtype)
    out[: len(array)] = array
    return out
