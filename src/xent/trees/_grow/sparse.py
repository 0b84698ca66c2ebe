"""Growing a tree from a sparse matrix, in memory of about its size.

Rows are kept for predicting and columns for growing; in a column what is stored is coded by its
value (or its bin), and zero is a code of its own. Everything else is as in `levels`.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent._table.sketch import Sketch
from xent.trees._grow.levels import Chosen, GrowthPlan, Step, Tried
from xent.trees._grow.surrogates import Surrogates
from xent.trees._kernels.bins import MAX_BINS
from xent.trees._kernels.criteria import NEVER, SQUARED, SplitRules
from xent.trees._kernels.records import Builder, LevelNodes
from xent.trees._kernels.search import sparse
from xent.trees._table.sparse import Sparse

GONE = 2**31 - 1  # code of a missing value
AT_ONCE = 1 << 19  # stored entries that are searched before the best splits are kept
LONGEST = 1 << 16


class Splits(NamedTuple):
    """Splits that were tried, or the one of each node that was chosen."""

    feature: NDArray[np.int64]
    node: NDArray[np.int64]
    gain: NDArray[np.float64]
    info: NDArray[np.float64]
    split: NDArray[np.int64]
    above: NDArray[np.int64]
    toward: NDArray[np.int64]


def splits(room: int) -> Splits:
    """Return room for so many splits, none of them made."""
    return Splits(
        feature=np.full(room, -1),
        node=np.full(room, -1),
        gain=np.full(room, NEVER),
        info=np.zeros(room),
        split=np.full(room, -1),
        above=np.full(room, -1),
        toward=np.full(room, -1),
    )


class SparseColumns:
    """The columns of a sparse matrix as the kernels read them, from which one tree is grown."""

    max_table, has_lists = LONGEST, False

    def __init__(self, table: Sparse, threads: int) -> None:
        matrix = table.columns
        self.n, self.d = matrix.shape
        self.levels = np.zeros(self.d, np.int64)
        self.threshold = np.zeros(0)
        self.threads = threads
        self.indptr = matrix.indptr.astype(np.int64)
        self.rows = matrix.indices.astype(np.int32, copy=False)
        self.values = matrix.data
        self.codes = np.empty(len(self.values), np.int32)
        self.zeros = np.full(self.d, -1)
        self.node_of = np.empty(self.n, np.int32)
        self.entry_of = np.empty(self.n, np.int32)
        # Fixed pieces of columns: the threads divide a piece, the choice goes by its order.
        self.pieces = [0]
        while self.pieces[-1] < self.d:
            start = self.pieces[-1]
            stop = int(np.searchsorted(self.indptr, self.indptr[start] + AT_ONCE, "right")) - 1
            self.pieces.append(min(max(stop, start + 1), self.d))

        for a, b in zip(self.pieces[:-1], self.pieces[1:], strict=True):
            self._encode(a, b, table.binned)

    def _encode(self, a: int, b: int, binned: bool) -> None:
        """Code what the columns a..b store by its rank, zero among it."""
        here = slice(self.indptr[a], self.indptr[b])
        values, sizes = self.values[here], np.diff(self.indptr[a : b + 1])
        if not len(values):
            return
        column = np.repeat(np.arange(b - a, dtype=np.int32), sizes)
        order = np.lexsort((values, column))
        ordered, column = values[order], column[order]
        begins = np.flatnonzero(sizes)
        first = np.searchsorted(column, begins)
        new = np.ones(len(values), np.int32)
        new[1:] = (ordered[1:] != ordered[:-1]) | (column[1:] != column[:-1])
        rank = np.cumsum(new, dtype=np.int32) - 1
        rank -= np.repeat(rank[first], sizes[begins])
        gone = np.isnan(ordered)
        zeros = sizes < self.n
        codes = rank + (zeros[column] & (ordered > 0))
        self.codes[here][order] = np.where(gone, GONE, codes)
        below = np.zeros(b - a, np.int64)
        np.maximum.at(below, column[ordered < 0], rank[ordered < 0] + 1)
        self.zeros[a:b] = below
        if binned:
            count = np.zeros(b - a, np.int64)
            np.maximum.at(count, column, rank + 1)
            for q in np.flatnonzero(count + zeros > MAX_BINS):
                self._bin(a + int(q))

    def _bin(self, q: int) -> None:
        values = self.values[self.indptr[q] : self.indptr[q + 1]]
        gone = np.isnan(values)
        sketch = Sketch()
        sketch.add(values)
        zeros = self.n - len(values)
        if zeros:
            sketch.flush()
            sketch.take(np.zeros(1), np.array([zeros]))
        ends = sketch.ends(MAX_BINS)
        out = self.codes[self.indptr[q] : self.indptr[q + 1]]
        out[:] = np.where(gone, GONE, np.searchsorted(ends, values))
        self.zeros[q] = np.searchsorted(ends, 0.0)

    def columns(self) -> Any:
        """Return what every kernel begins with."""
        stored = self.indptr, self.rows, self.values, self.codes, self.zeros
        return *stored, GONE, self.node_of, self.entry_of

    def begin(self, y: NDArray[Any], size: int, rules: SplitRules, plan: GrowthPlan) -> None:
        """Prepare for growing one tree: there is nothing to prepare."""

    def take_small(self, level: LevelNodes, depth: int) -> LevelNodes:
        """Return the level: all nodes go level by level."""
        return level

    def attach(self, tree: Builder, nodes: int, set_bytes: int) -> tuple[Builder, int]:
        """Return the tree: nothing waits to be joined."""
        return tree, nodes

    def move(self, step: Step, start: Any, target: Any, targets: Any, below: LevelNodes) -> None:
        """Lay out the next level: no column lists its entries."""

    def each_piece(self, level: LevelNodes, rules: SplitRules, signs: NDArray[np.int8]) -> Any:
        """Yield the splits found in each piece of the columns, in the order of the columns."""
        sparse.locate(level, self.node_of, self.entry_of)
        for a, b in zip(self.pieces[:-1], self.pieces[1:], strict=True):

            def work(i: int, j: int, a: int = a) -> tuple[Splits, int]:
                room = int(self.indptr[a + j] - self.indptr[a + i])
                tried = splits(min(room, (j - i) * len(level.start)))
                rest: Any = signs, level, rules, tried, 0, a + i, a + j
                return tried, sparse.search_stored(*self.columns(), *rest)

            yield from in_blocks(work, b - a, threads=self.threads)

    def best(self, level: LevelNodes, rules: SplitRules, signs: NDArray[np.int8]) -> Splits:
        """Return each node's best split."""
        nodes = len(level.start)
        total, count = np.zeros(nodes), np.zeros(nodes, np.int64)
        if rules.ratio:
            for tried, used in self.each_piece(level, rules, signs):
                sparse.add_gains(tried, used, level, rules, total, count)
        chosen = splits(nodes)
        best = np.full(nodes, 0.0 if rules.ratio else NEVER)
        for tried, used in self.each_piece(level, rules, signs):
            sparse.choose_tried(tried, used, level, rules, total, count, best, chosen)
        n = level.stats[:, 0] if rules.criterion >= SQUARED else level.stats.sum(1)
        chosen.feature[chosen.gain < (rules.min_gain - rules.slack) * n] = -1
        return chosen

    def choose(self, level: LevelNodes, rules: SplitRules, signs: NDArray[np.int8]) -> Chosen:
        """Choose each node's split."""
        self.chosen = best = self.best(level, rules, signs)
        children = 3 * int((best.feature >= 0).sum())
        return Chosen(best.feature, best.split, best.toward, children, 0)

    def try_all(self, level: LevelNodes, rules: SplitRules, signs: NDArray[np.int8]) -> Tried:
        """Search the only node of a level, and keep what each column could do."""
        gain, info = np.full((self.d, 1), NEVER), np.zeros((self.d, 1))
        for tried, used in self.each_piece(level, rules, signs):
            gain[tried.feature[:used], 0] = tried.gain[:used]
            info[tried.feature[:used], 0] = tried.info[:used]
        return Tried(gain, info, int(self.best(level, rules, signs).feature[0]))

    def divide(
        self, step: Step, chosen: Chosen, set_bytes: int, surrogates: Surrogates
    ) -> tuple[int, int]:
        """Write each entry's branch; return how many nodes and set bytes there are then."""
        level, _, rules, tree, branch, nodes = step
        more = len(tree.feature) - len(self.threshold)
        self.threshold = np.append(self.threshold, np.zeros(more))
        rest: Any = level, self.chosen, rules, tree, nodes, self.threshold, branch
        return sparse.divide_stored(*self.columns(), *rest), set_bytes

    def thresholds(self, tree: Builder, nodes: int, rules: SplitRules) -> NDArray[np.float64]:
        """Return the threshold of every node, 0 where there is none."""
        return np.append(self.threshold, np.zeros(len(tree.feature)))[:nodes]
