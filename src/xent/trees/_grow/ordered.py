"""A table's columns put in order once, before a tree is grown: bytes, words, sorted lists.

A column of numbers with at most 256 values is a byte a row; those with two values lie side by side
besides, packed into words, so that one addition counts a row in eight of them. Every other column
is the list of its rows in the order of its values. Numbers in bins are bytes, too.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent.trees._kernels import bins, presort
from xent.trees._kernels.criteria import SplitRules
from xent.trees._kernels.records import (
    CODED,
    NOMINAL_FORM,
    SORTED,
    UNSEEN_CODE,
    Builder,
    ColumnArrays,
)
from xent.trees._kernels.search import packed_binary
from xent.trees._table.bins import Binned
from xent.trees._table.columns import Cases
from xent.trees._tree import between

PACK_AT_ONCE = 1 << 14  # rows that are worth waking a thread for


@dataclass
class PackedWords:
    """The columns of two values that no row misses, and the other columns of few values."""

    words: NDArray[np.uint64]  # by row, eight columns each
    feature: NDArray[np.int64]  # by byte
    rest: NDArray[np.int64]


@dataclass
class Ordered:
    """Columns put in order; a tree can be grown from them for any rows' weights."""

    numbers: NDArray[np.float64]
    columns: ColumnArrays
    sorted_of: NDArray[np.int64]  # feature of each sorted column
    sorted_slot: NDArray[np.int64]
    small_of: NDArray[np.int64]
    scale: NDArray[np.float64]  # least and greatest value of each code
    scale_start: NDArray[np.int64]
    names_of: NDArray[np.int64]
    ranks: NDArray[np.int32]
    indices: NDArray[np.uint32]
    place: NDArray[np.int64]
    scratch: deque[int]  # lists that hold nothing, one a thread
    number_slot: NDArray[np.int64]  # by feature: column of `numbers`
    threads: int = 1
    binned: bool = False
    gone: NDArray[np.bool_] | None = None  # by coded column: whether a row misses it
    known: bool = False  # whether no row misses a sorted column
    packed: PackedWords | None = None

    def widen(self, entries: int) -> None:
        """Make the lists longer where missing values divide rows."""
        have = self.ranks.shape[1]
        if entries > have:
            for name in ("ranks", "indices"):
                old = getattr(self, name)
                room = np.empty((len(old), max(entries, have * 5 // 4)), old.dtype)
                room[:, :have] = old
                setattr(self, name, room)

    def between(self, f: int, split: int, above: int) -> float:
        """Return the threshold between two codes of a number, never within a third one's range."""
        start, out = self.scale_start[self.columns.slot[f]], np.empty(1)
        at, low, high = np.array([[start], [split], [above]])
        bins.thresholds(self.scale, at, low, high, out)
        return float(out[0])

    def thresholds(self, tree: Builder, nodes: int, rules: SplitRules) -> NDArray[np.float64]:
        """Return the threshold of every node, 0 where there is none."""
        feature, row, after = tree.feature[:nodes], tree.split_row[:nodes], tree.split_next[:nodes]
        kind, slot = self.columns.kind, self.columns.slot
        out = np.zeros(nodes)
        how = np.append(kind, np.int8(-1))[feature]
        lists, codes = np.flatnonzero(how == SORTED), np.flatnonzero(how == CODED)
        if len(lists):
            column = self.number_slot[feature[lists]]
            low = self.numbers[row[lists], column]
            high = np.where(after[lists] < 0, np.inf, self.numbers[after[lists], column])
            out[lists] = between(low, high)
        if len(codes):
            at = self.scale_start[slot[feature[codes]]]
            split, above = row[codes].astype(np.int64), after[codes].astype(np.int64)
            parted = np.empty(len(codes))
            bins.thresholds(self.scale, at, split, np.where(above < 0, split, above), parted)
            out[codes] = np.where(above < 0, np.inf, parted)
        if rules.ratio:
            # C4.5: the greatest value of all cases that is not above the middle.
            for f in np.unique(feature[np.concatenate([lists, codes])]):
                mine, values = np.flatnonzero(feature == f), self._values(f)
                at = np.searchsorted(values, out[mine], "right") - 1
                out[mine] = np.where(np.isinf(out[mine]), np.inf, values[at])
        return out

    def _values(self, f: int) -> NDArray[np.float64]:
        """Return the known values of a number, rising; of bins the least and the greatest."""
        slot = self.columns.slot[f]
        if self.columns.kind[f] == SORTED:
            values = np.sort(self.numbers[:, self.number_slot[f]])
            return values[~np.isnan(values)]
        present = np.flatnonzero(np.bincount(self.columns.small[slot]))
        present = present[present < self.columns.levels[f]]
        return self.scale[self.scale_start[slot] + present].ravel()

    def column(self, f: int) -> NDArray[np.float64]:
        """Return a column of numbers; of a binned one, numbers that every threshold divides so."""
        if self.columns.kind[f] == SORTED:
            return np.ascontiguousarray(self.numbers[:, self.number_slot[f]])
        slot, levels = self.columns.slot[f], self.columns.levels[f]
        start = self.scale_start[slot]
        values = np.append(self.scale[start : start + levels, 0], np.nan)
        return np.asarray(values[self.columns.small[slot]])

    def pack(self) -> None:
        """Lay the columns of two values side by side; a constant one is as good as such."""
        if self.gone is None:
            return
        two = (self.columns.levels[self.small_of] <= 2) & ~self.gone
        slots = np.flatnonzero(two)
        if not len(slots):
            return
        small = self.columns.small
        words = np.empty((small.shape[1], -(-len(slots) // packed_binary.LANE_COUNT)), np.uint64)
        row = words.view(np.uint8)

        def work(a: int, b: int) -> None:
            packed_binary.lay(small, slots, row, a, b)

        in_blocks(work, len(row), threads=self.threads, least=PACK_AT_ONCE)
        self.packed = PackedWords(words, self.small_of[slots], self.small_of[~two])


def order(table: Cases, threads: int) -> Ordered:
    """Code the columns with few values and sort the others."""
    numbers, n = table.numbers, table.rows
    many, small, held, levels, gone = _code(numbers, threads)
    small_slot, sorted_slot = np.flatnonzero(~many), np.flatnonzero(many)
    ranks, indices = _sort(numbers, sorted_slot, threads)
    number_of, names_of = np.flatnonzero(table.kind == 0), np.flatnonzero(table.kind == 1)
    small_of, sorted_of = number_of[small_slot], number_of[sorted_slot]
    kind = np.full(len(table.kind), NOMINAL_FORM, np.int8)
    slot, all_levels = np.zeros((2, len(kind)), np.int64)
    for of, form in ((small_of, CODED), (sorted_of, SORTED), (names_of, NOMINAL_FORM)):
        kind[of], slot[of] = form, np.arange(len(of))
    all_levels[small_of], all_levels[names_of] = levels, table.n_levels
    return Ordered(
        numbers=numbers,
        columns=ColumnArrays(
            kind=kind, slot=slot, levels=all_levels, small=small, codes=table.codes
        ),
        sorted_of=sorted_of,
        sorted_slot=sorted_slot,
        small_of=small_of,
        scale=held[:, None].repeat(2, axis=1),
        scale_start=np.cumsum(levels) - levels,
        names_of=names_of,
        ranks=ranks,
        indices=indices,
        place=np.arange(len(sorted_slot)),
        scratch=deque(range(len(sorted_slot), len(ranks))),
        number_slot=table.slot,
        threads=threads,
        gone=gone,
        known=not (ranks[: len(sorted_slot), n - 1] == UNSEEN_CODE).any(),
    )


def _code(numbers: NDArray[np.float64], threads: int) -> tuple[Any, ...]:
    """Code the columns with few values.

    Returns which columns have many; and of the others the codes, the values end to end, how many
    each has, and whether a row misses it.
    """
    n, d = numbers.shape
    many = np.zeros(d, np.bool_)
    if d:
        in_blocks(lambda a, b: presort.many(numbers, many, a, b), d, threads=threads)
    slots = np.flatnonzero(~many)
    small = np.empty((len(slots), n), np.uint8)
    values = np.empty((len(slots), presort.MAX_VALUES))
    levels = np.zeros(len(slots), np.int64)
    gone = np.zeros(len(slots), np.bool_)

    def encode(a: int, b: int) -> None:
        presort.encode(numbers, slots, small, values, levels, gone, a, b)

    if len(slots):
        in_blocks(encode, len(slots), threads=threads)
    # What has few values in the first rows may have many in all.
    late = levels < 0
    if late.any():
        many[slots[late]] = True
        small, values, levels, gone = small[~late], values[~late], levels[~late], gone[~late]
    return many, small, values[np.arange(presort.MAX_VALUES) < levels[:, None]], levels, gone


def _sort(numbers: NDArray[np.float64], slots: NDArray[np.int64], threads: int) -> Any:
    """Sort columns: ranks, and rows in the order of the values, with a scratch list a thread."""
    blocks = max(1, min(threads, len(slots)))
    lists = len(slots) + (blocks if len(slots) else 0)
    # One place more than there are rows: see `halve`.
    ranks = np.empty((lists, len(numbers) + 1), np.int32)
    indices = np.empty((lists, len(numbers) + 1), np.uint32)

    def sort(a: int, b: int) -> None:
        presort.presort(numbers, slots, ranks, indices, a, b)

    if len(slots):
        in_blocks(sort, len(slots), threads=threads, turns=2)
    return ranks, indices


def order_bins(table: Binned, threads: int) -> Ordered:
    """Take the bins of a table as they are."""
    n, none = table.rows, np.empty(0, np.int64)
    numbers, names = np.flatnonzero(table.kind == 0), np.flatnonzero(table.kind == 1)
    levels = np.zeros(len(table.kind), np.int64)
    levels[numbers], levels[names] = table.bins, table.n_levels
    kind = np.where(table.kind == 0, CODED, NOMINAL_FORM).astype(np.int8)
    return Ordered(
        numbers=np.empty((n, 0)),
        columns=ColumnArrays(
            kind=kind, slot=table.slot, levels=levels, small=table.numbers.T, codes=table.codes
        ),
        sorted_of=none,
        sorted_slot=none,
        small_of=numbers,
        scale=table.scale,
        scale_start=table.scale_start[:-1],
        names_of=names,
        ranks=np.empty((0, n + 1), np.int32),
        indices=np.empty((0, n + 1), np.uint32),
        place=none,
        scratch=deque(),
        number_slot=table.slot,
        threads=threads,
        binned=True,
    )
