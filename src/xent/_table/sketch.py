"""A column of numbers, summed up while it is read piece by piece, in memory that does not grow.

The different values and their rows, until there are too many; then neighbours are joined while
together they hold no more than a share of all rows. What comes later is counted in one of two ways.
Entries that are points take in no more than rows equal to them: the rank of a value is known within
a share of the rows, in whatever order they come (Greenwald, Khanna 2001). Entries that are
intervals take in all that lies within: each holds exactly the rows between its ends.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXACT_ENTRIES, SHARES, BUFFER = 8192, 4096, 16384


def _kernels() -> Any:
    """Load what Numba compiles: who counts few values in intervals never needs it."""
    from xent._kernels.columns import sketch

    return sketch


class Sketch:
    """The distribution of a column: exact up to 8,192 values, then within 1/4096 of the rows.

    Points are the same for any division of the rows into pieces; two such sketches can be merged.

    Parameters
    ----------
    exact : int
        Different values up to which none are joined.
    shares : int
        How many equal shares of the rows joined entries may hold one of, at most.
    points : bool
        Whether an entry is a point, or else an interval.

    References
    ----------
    Greenwald, Khanna, Space-efficient online computation of quantile summaries, SIGMOD 2001.
    """

    def __init__(
        self, exact: int = EXACT_ENTRIES, shares: int = SHARES, *, points: bool = True
    ) -> None:
        self.exact, self.shares, self.points = exact, shares, points
        self.high: NDArray[Any] = np.empty(0)  # every entry stands at its greatest value
        self.low = self.high
        self.weight: NDArray[Any] = np.empty(0)  # rows, as whole numbers where each counts as one
        self.doubt = self.weight  # how many of them may lie below
        self.total: float = 0
        self.missing = False
        self._buffer = np.empty(0)
        self._used = 0

    def __len__(self) -> int:
        return len(self.high)

    def add(self, column: NDArray[np.float64]) -> None:
        """Read more rows; NaN is missing."""
        gone = np.isnan(column)
        if gone.any():
            self.missing = True
            column = column[~gone]
        start = 0
        while start < len(column):
            part = column[start : start + BUFFER - self._used]
            start += len(part)
            if self._used + len(part) > len(self._buffer):
                size = min(BUFFER, max(64, 2 * (self._used + len(part))))
                self._buffer = np.append(self._buffer[: self._used], np.empty(size - self._used))
            self._buffer[self._used : self._used + len(part)] = part
            self._used += len(part)
            if self._used == BUFFER:
                self.flush()

    def flush(self) -> None:
        """Put what is waiting into the sketch."""
        if self._used:
            new = np.sort(self._buffer[: self._used] + 0.0)
            value, weight = np.empty(len(new)), np.empty(len(new), np.int64)
            m = _kernels().count_equal(new, value, weight)
            self._used = 0
            self.take(value[:m], weight[:m])

    def merge(self, other: "Sketch") -> None:
        """Add what another sketch has read; ranks stay within a share of all rows."""
        self.flush()
        other.flush()
        self.missing |= other.missing
        self.take(other.high, other.weight, other.doubt)

    def take(
        self, new: NDArray[Any], weight: NDArray[Any], doubt: NDArray[Any] | None = None
    ) -> None:
        """Add values in order, the rows of each, and how far their ranks are in doubt."""
        if not len(new):
            return
        doubt = np.zeros_like(weight) if doubt is None else doubt
        if not len(self.high):
            high, *rows = new.copy(), weight.copy(), doubt.copy()
            entries = high if self.points else new.copy(), high, *rows
        elif self.points:
            entries = self._merged(new, weight, doubt)
        else:
            entries = self._absorbed(new, weight)
        self.total += weight.sum().item()
        share = self.total / self.shares
        share = math.floor(share) if weight.dtype.kind == "i" else share
        self._keep(entries, share if len(entries[1]) > self.exact else None)

    def join(self, most: float) -> None:
        """Join neighbours that together hold at most so many rows, doubtful ones among them."""
        self._keep((self.low, self.high, self.weight, self.doubt), most)

    def _merged(self, new: NDArray[Any], weight: Any, doubt: Any) -> tuple[NDArray[Any], ...]:
        """Return the entries with some more values, each of them an entry of its own."""
        kind, size = np.result_type(self.high, new), len(self.high) + len(new)
        value, *rows = (np.empty(size, t) for t in (kind, weight.dtype, weight.dtype))
        high, new = self.high.astype(kind, copy=False), new.astype(kind, copy=False)
        m = _kernels().merge(high, self.weight, self.doubt, new, weight, doubt, value, *rows)
        return value[:m], value[:m], rows[0][:m], rows[1][:m]

    def _absorbed(self, new: NDArray[Any], weight: Any) -> tuple[NDArray[Any], ...]:
        """Return the entries with some more values, those added to one that lie within it."""
        at = np.searchsorted(self.high, new)  # the first entry that does not end below it
        inside = at < len(self.high)
        inside[inside] = self.low[at[inside]] <= new[inside]
        held = self.weight + np.bincount(at[inside], weight[inside], len(self.high))
        place, value = at[~inside], new[~inside]
        kind = np.result_type(self.high, new)
        low, high = (np.insert(ends.astype(kind), place, value) for ends in (self.low, self.high))
        return low, high, np.insert(held, place, weight[~inside]), np.zeros(len(high))

    def _keep(self, entries: tuple[NDArray[Any], ...], most: float | None) -> None:
        """Keep entries, in memory of their size; join them first where a limit is given."""
        m = len(entries[1])
        if most is not None:
            m = _kernels().join(*entries, most)
        self.high, self.weight, self.doubt = (part[:m].copy() for part in entries[1:])
        self.low = self.high if self.points else entries[0][:m].copy()

    def ends(self, bins: int) -> NDArray[Any]:
        """Return the greatest value of each bin, rising; a bin is left for what is missing."""
        self.flush()
        most = bins - self.missing
        if len(self.high) <= most:
            return self.high.copy()
        kernels = _kernels()
        low, high = 0, int(self.total)
        while high - low > 1:
            middle = (low + high) // 2
            if kernels.count_joined(self.weight, middle) <= most:
                high = middle
            else:
                low = middle
        ends, weight = self.high.copy(), self.weight.copy()
        return ends[: kernels.join(ends, ends, weight, np.zeros_like(weight), high)]
