"""The histogram splitter: every number becomes one of at most 256 bins, one byte a cell.

A column with at most 256 values (a missing one among them) has a bin for each: its splits are
exact. Of any other the bins are as even as its values allow: their heaviest is as light as it can
be. Bins follow a sketch that reads a column once, in the order of its rows, in pieces of any size.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent.trees._kernels.search import histogram
from xent.trees._table.columns import Cases, Column, codes, layout, matched, number

SHARES, BUFFER = 4096, 16384


class Sketch:
    """The distribution of a column: exact up to 8,192 values, then within 1/4096 of the rows.

    The same for any division of the rows into pieces; two sketches can be merged.

    References
    ----------
    Greenwald, Khanna, Space-efficient online computation of quantile summaries, SIGMOD 2001.
    """

    def __init__(self) -> None:
        self.buffer = np.empty(0)
        self.used = 0
        self.value = np.empty(0)
        self.weight = np.empty(0, np.int64)
        self.doubt = np.empty(0, np.int64)  # how far a rank may be above the sum of weights
        self.total = 0
        self.missing = False

    def add(self, column: NDArray[np.float64]) -> None:
        """Read more rows; NaN is missing."""
        gone = np.isnan(column)
        if gone.any():
            self.missing = True
            column = column[~gone]
        start = 0
        while start < len(column):
            part = column[start : start + BUFFER - self.used]
            start += len(part)
            if self.used + len(part) > len(self.buffer):
                size = min(BUFFER, max(64, 2 * (self.used + len(part))))
                self.buffer = np.append(self.buffer[: self.used], np.empty(size - self.used))
            self.buffer[self.used : self.used + len(part)] = part
            self.used += len(part)
            if self.used == BUFFER:
                self.flush()

    def flush(self) -> None:
        """Put what is waiting into the sketch."""
        new = np.sort(self.buffer[: self.used] + 0.0)
        value, weight = np.empty(len(new)), np.empty(len(new), np.int64)
        m = histogram.count_equal(new, value, weight)
        self.take(value[:m], weight[:m], np.zeros(m, np.int64), self.used)
        self.used = 0

    def merge(self, other: "Sketch") -> None:
        """Add what another sketch has read; ranks stay within 1/4096 of all rows."""
        self.flush()
        other.flush()
        self.missing |= other.missing
        self.take(other.value, other.weight, other.doubt, other.total)

    def take(
        self,
        new: NDArray[np.float64],
        weight: NDArray[np.int64],
        doubt: NDArray[np.int64],
        total: int,
    ) -> None:
        """Add values in order, how often each came, and how far their ranks are in doubt."""
        if not total:
            return
        size = len(self.value) + len(new)
        out = np.empty(size), np.empty(size, np.int64), np.empty(size, np.int64)
        m = histogram.merge(self.value, self.weight, self.doubt, new, weight, doubt, *out)
        self.total += total
        if m > 2 * SHARES:
            m = histogram.shorten(*out, m, self.total // SHARES)
        self.value, self.weight, self.doubt = (
            out[0][:m].copy(),
            out[1][:m].copy(),
            out[2][:m].copy(),
        )

    def ends(self) -> NDArray[np.float64]:
        """Return the greatest value of each bin, rising."""
        self.flush()
        n = len(self.value)
        most = histogram.BINS - self.missing
        if n <= most:
            return self.value.copy()
        low, high = 0, self.total
        while high - low > 1:
            middle = (low + high) // 2
            if histogram.how_many(self.weight, n, middle) <= most:
                high = middle
            else:
                low = middle
        value, weight = self.value.copy(), self.weight.copy()
        return value[: histogram.shorten(value, weight, np.zeros(n, np.int64), n, high)]


@dataclass
class Binned(Cases):
    """A table whose numbers are bins: `numbers` holds codes, the last of them a missing value.

    ``scale`` has the least and greatest value of each bin, column ``s`` from ``scale_start[s]``.
    """

    scale: NDArray[np.float64]
    scale_start: NDArray[np.int64]

    @property
    def bins(self) -> NDArray[np.int64]:
        """Number of bins by column of `numbers`, which is the code of a missing value."""
        return np.diff(self.scale_start)

    @property
    def missing(self) -> bool:
        """Whether any value is missing."""
        gone = any((c == b).any() for c, b in zip(self.numbers.T, self.bins, strict=True))
        return gone or any((c == b).any() for c, b in zip(self.codes, self.n_levels, strict=True))

    def take(self, rows: NDArray[np.int64]) -> "Binned":
        """Return some of the rows."""
        small = np.ascontiguousarray(self.numbers.T[:, rows])
        codes = np.ascontiguousarray(self.codes[:, rows])
        return Binned(
            self.kind, self.slot, small.T, codes, self.n_levels, self.scale, self.scale_start
        )

    def values(self) -> Iterable[NDArray[np.float64]]:
        """Yield each column of numbers, every value the least of its bin."""
        for s, column in enumerate(self.numbers.T):
            scale = self.scale[self.scale_start[s] : self.scale_start[s + 1], 0]
            yield np.append(scale, np.nan)[column]

    def in_codes(
        self, feature: NDArray[np.int32], threshold: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return thresholds that part the codes of a feature as the given ones part its values."""
        out = threshold.copy()
        for f in np.unique(feature[feature >= 0]):
            if self.kind[f] == 0:
                mine = np.flatnonzero(feature == f)
                s = self.slot[f]
                high = self.scale[self.scale_start[s] : self.scale_start[s + 1], 1]
                out[mine] = np.searchsorted(high, threshold[mine], "right") - 1.0
        return out


class Bins:
    """The bins of all columns of numbers, and codes as they are written."""

    def __init__(self, ends: list[NDArray[np.float64]], rows: int) -> None:
        self.ends = ends
        levels = np.array([len(e) for e in ends], np.int64)
        self.start = np.concatenate([[0], np.cumsum(levels)])
        self.low = np.full(int(levels.sum()), np.inf)
        self.high = np.full(int(levels.sum()), -np.inf)
        self.small = np.empty((len(ends), rows), np.uint8)

    def encode(self, s: int, at: int, column: NDArray[np.float64]) -> None:
        """Write a piece of column ``s`` from row ``at`` on."""
        # One layout, so that the loop is compiled once.
        column = np.require(column, requirements=["C", "W"])
        a, b = self.start[s], self.start[s + 1]
        out = self.small[s, at : at + len(column)]
        histogram.encode_bins(column, self.ends[s], b - a, out, self.low[a:b], self.high[a:b])

    def cases(
        self,
        kind: NDArray[np.int64],
        slot: NDArray[np.int64],
        codes: NDArray[Any],
        n_levels: NDArray[np.int64],
    ) -> Binned:
        """Return the table."""
        scale = np.stack([self.low, self.high], axis=1)
        numbers: NDArray[Any] = self.small.T
        return Binned(kind, slot, numbers, codes, n_levels, scale, self.start)


def code_type(n_levels: NDArray[np.int64]) -> type[Any]:
    """Return the smallest type for the codes of names, one for missing included."""
    most = int(n_levels.max(initial=0))
    return np.uint8 if most <= 255 else np.uint16 if most <= 65535 else np.int32


@dataclass
class Unread:
    """A table in memory whose columns are turned into bins one by one."""

    kind: NDArray[np.int64]
    slot: NDArray[np.int64]
    rows: int
    number: Callable[[int], NDArray[np.float64]]  # by column of `numbers`
    name: Callable[[int], NDArray[np.int32]]
    n_levels: NDArray[np.int64]
    kept: NDArray[np.int64] | None = None

    def take(self, rows: NDArray[np.int64]) -> "Unread":
        """Return some of the rows."""
        return replace(self, rows=len(rows), kept=rows)

    def read(self, threads: int) -> Binned:
        """Return the table in bins."""
        d = int((self.kind == 0).sum())
        ends: list[NDArray[np.float64]] = [np.empty(0)] * d

        def column(s: int) -> NDArray[np.float64]:
            values = self.number(s)
            return values if self.kept is None else values[self.kept]

        def look(a: int, b: int) -> None:
            for s in range(a, b):
                sketch = Sketch()
                sketch.add(column(s))
                ends[s] = sketch.ends()

        in_blocks(look, d, threads=threads)
        bins = Bins(ends, self.rows)

        def write(a: int, b: int) -> None:
            for s in range(a, b):
                bins.encode(s, 0, column(s))

        in_blocks(write, d, threads=threads)
        codes: NDArray[Any] = np.empty((len(self.n_levels), self.rows), code_type(self.n_levels))
        for j in range(len(codes)):
            names = self.name(j)
            codes[j] = names if self.kept is None else names[self.kept]
        return bins.cases(self.kind, self.slot, codes, self.n_levels)


def of_cases(cases: Cases) -> Unread:
    """Wait to put a table of numbers and codes into bins."""
    numbers, codes = cases.numbers, cases.codes
    return Unread(
        cases.kind,
        cases.slot,
        len(numbers),
        lambda s: numbers[:, s],
        lambda j: codes[j],
        cases.n_levels,
    )


def of_frame(X: Any, columns: Sequence[Column]) -> Unread:
    """Wait to put the columns of a data frame into bins."""
    kind, slot, n_levels = layout(columns)
    series = matched(X, columns)
    numbers, names = (np.flatnonzero(kind == k) for k in (0, 1))
    return Unread(
        kind,
        slot,
        len(series[0]) if series else 0,
        lambda s: number(series[numbers[s]], columns[numbers[s]].kind),
        lambda j: codes(series[names[j]], columns[names[j]].levels),
        n_levels,
    )
