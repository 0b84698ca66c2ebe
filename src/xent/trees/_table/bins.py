"""The histogram splitter: every number becomes one of at most 256 bins, one byte a cell.

A column with at most 256 values (a missing one among them) has a bin for each: its splits are
exact. Of any other the bins are as even as its values allow: their heaviest is as light as it can
be. Bins follow a sketch that reads a column once, in the order of its rows, in pieces of any size.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent._table.frames import Frame
from xent._table.frames.levels import codes_of
from xent._table.sketch import Sketch
from xent.trees._kernels import bins as kernels
from xent.trees._kernels.predict import BINNED_TEST
from xent.trees._table.columns import Cases, FittedColumn, layout, matched, number


@dataclass
class Binned(Cases):
    """A table whose numbers are bins: `numbers` holds codes, the last of them a missing value.

    ``scale`` has the least and greatest value of each bin, column ``s`` from ``scale_start[s]``.
    """

    form: ClassVar[str] = "bins"

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

    @property
    def test_kind(self) -> NDArray[np.int64]:
        """How a test of each column reads it: as a name or a bin."""
        return np.where(self.kind == 0, BINNED_TEST, self.kind)

    @property
    def absent(self) -> NDArray[np.int64]:
        """Code of a missing value by column."""
        absent = np.empty(len(self.kind), np.int64)
        absent[self.kind == 0], absent[self.kind == 1] = self.bins, self.n_levels
        return absent

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
        kernels.encode(column, self.ends[s], b - a, out, self.low[a:b], self.high[a:b])

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
    missing = False  # as far as is known before it is read

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
                ends[s] = sketch.ends(kernels.MAX_BINS)

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


def of_frame(frame: Frame, columns: Sequence[FittedColumn]) -> Unread:
    """Wait to put the columns of a data frame into bins."""
    kind, slot, n_levels = layout(columns)
    found = matched(frame, columns)
    numbers, names = (np.flatnonzero(kind == k) for k in (0, 1))
    return Unread(
        kind,
        slot,
        frame.rows,
        lambda s: number(found[numbers[s]]),
        lambda j: codes_of(found[names[j]].names(), columns[names[j]].levels),
        n_levels,
    )
