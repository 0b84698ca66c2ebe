"""Putting a table's columns in order once, before a tree is grown: bytes, lanes, sorted lists.

A column of numbers with at most 256 values is a byte a row; those with two values lie side by side
besides, as lanes of words, so that one addition counts a row in eight of them. Every other column
is the list of its rows in the order of its values.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent.trees._grow.histogram_cache import Kept
from xent.trees._kernels import divide, presort
from xent.trees._kernels.search import histogram, packed_binary
from xent.trees._kernels.search.presorted import UNKNOWN
from xent.trees._table.bins import Binned
from xent.trees._table.columns import Cases


@dataclass
class Lanes:
    """The columns of two values that no row misses, and the other columns of few values."""

    words: NDArray[np.uint64]  # by row, eight lanes each
    feature: NDArray[np.int64]  # by lane
    rest: NDArray[np.int64]


@dataclass
class Prepared:
    """Columns put in order once; a tree can be grown from them for any rows' weights."""

    numbers: NDArray[np.float64]
    columns: divide.Columns
    sorted_of: NDArray[np.int64]  # feature of each sorted column
    sorted_slot: NDArray[np.int64]
    small_of: NDArray[np.int64]
    scale: NDArray[np.float64]  # least and greatest value of each code
    scale_start: NDArray[np.int64]
    code_of: NDArray[np.int64]
    ranks: NDArray[np.int32]
    indices: NDArray[np.uint32]
    place: NDArray[np.int64]
    spare: deque[int]  # lists that hold nothing, one a thread
    number_slot: NDArray[np.int64]  # by feature: column of `numbers`
    threads: int = 1
    binned: bool = False
    kept: Kept | None = None  # histograms for the next level
    gone: NDArray[np.bool_] | None = None  # by coded column: whether a row misses it
    known: bool = False  # whether no row misses a sorted column
    lanes: Lanes | None = None

    def between(self, f: int, cut: int, above: int) -> float:
        """Return the threshold between two codes of a number, never within a third one's range."""
        start, out = self.scale_start[self.columns.slot[f]], np.empty(1)
        at, low, high = np.array([[start], [cut], [above]])
        histogram.thresholds(self.scale, at, low, high, out)
        return float(out[0])

    def column(self, f: int) -> NDArray[np.float64]:
        """Return a column of numbers; of a binned one, numbers that every threshold divides so."""
        if self.columns.kind[f] == divide.SORTED:
            return np.ascontiguousarray(self.numbers[:, self.number_slot[f]])
        slot, levels = self.columns.slot[f], self.columns.levels[f]
        start = self.scale_start[slot]
        values = np.append(self.scale[start : start + levels, 0], np.nan)
        return np.asarray(values[self.columns.small[slot]])

    def lay(self) -> None:
        """Lay the columns of two values side by side; a constant one is as good as such."""
        if self.gone is None:
            return
        two = (self.columns.levels[self.small_of] <= 2) & ~self.gone
        slots = np.flatnonzero(two)
        if not len(slots):
            return
        small = self.columns.small
        words = np.empty((small.shape[1], -(-len(slots) // packed_binary.LANES)), np.uint64)
        lanes = words.view(np.uint8)
        least = 1 << 14

        def work(a: int, b: int) -> None:
            packed_binary.lay(small, slots, lanes, a, b)

        in_blocks(work, len(lanes), threads=self.threads, least=least)
        self.lanes = Lanes(words, self.small_of[slots], self.small_of[~two])


def prepare(cases: Cases, threads: int) -> Prepared:
    """Code the columns with few values and sort the others."""
    numbers = cases.numbers
    n, d = numbers.shape
    features = len(cases.kind)
    many = np.zeros(d, np.bool_)
    if d:
        in_blocks(lambda a, b: presort.many(numbers, many, a, b), d, threads=threads)
    number_of = np.flatnonzero(cases.kind == 0)
    small_slot = np.flatnonzero(~many)
    small = np.empty((len(small_slot), n), np.uint8)
    values = np.empty((len(small_slot), presort.MOST))
    levels = np.zeros(len(small_slot), np.int64)
    gone = np.zeros(len(small_slot), np.bool_)

    def encode(a: int, b: int) -> None:
        presort.encode(numbers, small_slot, small, values, levels, gone, a, b)

    if len(small_slot):
        in_blocks(encode, len(small_slot), threads=threads)
    # What has few values in the first rows may have many in all.
    late = levels < 0
    if late.any():
        many[small_slot[late]] = True
        small_slot, small, values = small_slot[~late], small[~late], values[~late]
        levels, gone = levels[~late], gone[~late]
    sorted_slot = np.flatnonzero(many)
    held = values[np.arange(presort.MOST) < levels[:, None]]
    blocks = max(1, min(threads, len(sorted_slot)))
    rows = len(sorted_slot) + (blocks if len(sorted_slot) else 0)
    # One place more than there are rows: see `halve`.
    ranks = np.empty((rows, n + 1), np.int32)
    indices = np.empty((rows, n + 1), np.uint32)

    def sort(a: int, b: int) -> None:
        presort.presort(numbers, sorted_slot, ranks, indices, a, b)

    if len(sorted_slot):
        in_blocks(sort, len(sorted_slot), threads=threads, turns=2)
    kind = np.where(cases.kind == 0, 0, 2).astype(np.int8)
    slot = np.zeros(features, np.int64)
    all_levels = np.zeros(features, np.int64)
    kind[number_of[small_slot]] = 1
    slot[number_of[small_slot]] = np.arange(len(small_slot))
    all_levels[number_of[small_slot]] = levels
    slot[number_of[sorted_slot]] = np.arange(len(sorted_slot))
    named = np.flatnonzero(cases.kind == 1)
    slot[named] = np.arange(len(named))
    all_levels[named] = cases.n_levels
    return Prepared(
        numbers,
        divide.Columns(kind, slot, all_levels, small, cases.codes),
        number_of[sorted_slot],
        sorted_slot,
        number_of[small_slot],
        held[:, None].repeat(2, axis=1),
        np.cumsum(levels) - levels,
        named,
        ranks,
        indices,
        np.arange(len(sorted_slot)),
        deque(range(len(sorted_slot), rows)),
        cases.slot,
        threads,
        gone=gone,
        known=not (ranks[: len(sorted_slot), n - 1] == UNKNOWN).any(),
    )


def prepared(cases: Cases, threads: int) -> Prepared:
    """Put the columns in order for growing, in bins or exactly."""
    if not isinstance(cases, Binned):
        return prepare(cases, threads)
    small = cases.numbers.T
    features, n = len(cases.kind), len(cases.numbers)
    numbers, names = np.flatnonzero(cases.kind == 0), np.flatnonzero(cases.kind == 1)
    levels = np.zeros(features, np.int64)
    levels[numbers], levels[names] = cases.bins, cases.n_levels
    kind = np.where(cases.kind == 0, divide.CODED, divide.NOMINAL)
    none = np.empty(0, np.int64)
    return Prepared(
        np.empty((n, 0)),
        divide.Columns(kind.astype(np.int8), cases.slot, levels, small, cases.codes),
        none,
        none,
        numbers,
        cases.scale,
        cases.scale_start[:-1],
        names,
        np.empty((0, n + 1), np.int32),
        np.empty((0, n + 1), np.uint32),
        none,
        deque(),
        cases.slot,
        threads,
        binned=True,
    )
