"""Histograms cached from one level to the next, so that only the lighter branch is counted.

Only for rows that all weigh 1 and a plain choice by entropy or Gini: whole numbers are subtracted
without error, so the tree is the one that counting everything would give. A fixed share of memory
is spent on the heaviest nodes; the others are counted.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.trees._kernels.bins import MAX_BINS
from xent.trees._kernels.criteria import SQUARED, SplitRules
from xent.trees._kernels.records import Builder, ColumnArrays, Found, LevelNodes
from xent.trees._kernels.search import histogram

MIN_ROWS = 4096  # rows of a node: below, counting is as fast as subtracting
MIN_BYTES, BYTES_A_CELL = 2 << 20, 0.15


class HistogramCache:
    """The histograms of some nodes of a level, in all binned columns."""

    def __init__(self, rows: int, columns: int, classes: int) -> None:
        each = max(columns, 1) * MAX_BINS * classes * 4
        room = max(MIN_BYTES, int(BYTES_A_CELL * rows * columns)) // each
        room = min(room, rows // MIN_ROWS)
        self.store = np.empty((room, columns, MAX_BINS, classes), np.int32)
        self.free = list(range(room))
        # Of the level to come: (lighter or only node, its slot or -1, heavier one or -1, its slot).
        self.pairs: list[tuple[int, int, int, int]] = []
        if room:
            self.pairs.append((0, self.free.pop(0), -1, -1))

    @staticmethod
    def possible(rules: SplitRules) -> bool:
        """Whether histograms are whole numbers and all that a choice needs."""
        counts = rules.table.size > 0 and rules.criterion < SQUARED
        return counts and not (rules.ratio or rules.monotone or rules.gap > 0)

    def search(
        self,
        columns: ColumnArrays,
        features: NDArray[np.int64],
        others: Callable[[NDArray[np.int64]], Callable[[int, int], Any]],
        signs: NDArray[np.int8],
        level: LevelNodes,
        rules: SplitRules,
        found: Found,
    ) -> Callable[[int, int], Any]:
        """Return work for `in_blocks`; ``others`` searches nodes that have nothing cached."""
        pairs = np.array(self.pairs, np.int64).reshape(-1, 4)
        light, into, heavy, slot = np.ascontiguousarray(pairs.T)
        levels = columns.levels[features]
        sizes = level.stop - level.start
        few = np.flatnonzero(sizes <= histogram.FEW_ROWS)
        more = np.setdiff1d(np.flatnonzero(sizes > histogram.FEW_ROWS), [light, heavy])
        lost = np.zeros(len(features), np.bool_)

        def work(a: int, b: int) -> None:
            others(more)(a, b)
            histogram.search_few(
                columns.small, levels, features, few, level, rules, found, lost, a, b
            )
            for q in np.flatnonzero(lost[a:b]).tolist():
                others(few)(a + q, a + q + 1)
            histogram.search_cached(
                columns.small,
                levels,
                features,
                self.store,
                light,
                heavy,
                slot,
                into,
                signs,
                level,
                rules,
                found,
                a,
                b,
            )

        return work

    def let_go(self) -> None:
        """Forget all histograms."""
        self.free += [s for pair in self.pairs for s in (pair[1], pair[3]) if s >= 0]
        self.pairs = []

    def advance(
        self, above: LevelNodes, choice: NDArray[np.int64], tree: Builder, level: LevelNodes
    ) -> None:
        """Hand the histograms of a level on to its children."""
        sizes = level.stop - level.start
        held = [(k, s) for a, b, c, d in self.pairs for k, s in ((a, b), (c, d)) if s >= 0]
        self.pairs = []
        taken = set()
        wanted = []  # (size, light, heavy, slot of the parent)
        for k, s in held:
            children = []
            if choice[k] >= 0:
                first = tree.first[above.node[k]]
                children = [
                    int(c)
                    for child in range(first, first + tree.width[above.node[k]])
                    if (c := np.searchsorted(level.node, child)) < len(level.node)
                    and level.node[c] == child
                ]
            both = len(children) == 2 and tree.width[above.node[k]] == 2
            if both and max(sizes[children]) >= MIN_ROWS:
                light, heavy = sorted(children, key=lambda c: int(sizes[c]))
                wanted.append((int(sizes[light]), light, heavy, s))
                taken |= {light, heavy}
            else:
                self.free.append(s)
        for size, light, heavy, s in sorted(wanted, reverse=True):
            into = self.free.pop() if size >= MIN_ROWS and self.free else -1
            self.pairs.append((light, into, heavy, s))
        alone = [int(k) for k in np.flatnonzero(sizes >= MIN_ROWS) if int(k) not in taken]
        for k in sorted(alone, key=lambda k: -int(sizes[k]))[: len(self.free)]:
            self.pairs.append((k, self.free.pop(), -1, -1))
