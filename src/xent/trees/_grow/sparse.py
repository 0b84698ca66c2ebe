"""Growing a tree from a sparse matrix, in memory of about its size.

Rows are kept for walking and columns for growing; in a column what is stored is coded by its value
(or its bin), and zero is a code of its own. Everything else is as in `_grow`, level by level.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent.trees._grow.builder import empty, make_room
from xent.trees._grow.levels import LONGEST, Plan, Tried, rules_of
from xent.trees._kernels import divide
from xent.trees._kernels.search import sparse
from xent.trees._kernels.search.histogram import BINS
from xent.trees._kernels.search.presorted import NEVER, Level, Rules
from xent.trees._table.bins import Sketch
from xent.trees._table.sparse import Sparse
from xent.trees._tree import Tree

GONE = 2**31 - 1  # code of a missing value
AT_ONCE = 1 << 19  # stored entries that are searched before the best splits are kept


class Splits(NamedTuple):
    """Splits that were tried, or the one of each node that was chosen."""

    feature: NDArray[np.int64]
    node: NDArray[np.int64]
    gain: NDArray[np.float64]
    info: NDArray[np.float64]
    cut: NDArray[np.int64]
    above: NDArray[np.int64]
    toward: NDArray[np.int64]


def splits(room: int) -> Splits:
    """Return room for so many splits, none of them made."""
    return Splits(
        np.full(room, -1),
        np.full(room, -1),
        np.full(room, NEVER),
        np.zeros(room),
        np.full(room, -1),
        np.full(room, -1),
        np.full(room, -1),
    )


class Stored:
    """The columns of a sparse matrix as the kernels read them."""

    def __init__(self, cases: Sparse, threads: int) -> None:
        matrix = cases.columns
        self.n, self.d = matrix.shape
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
            self._encode(a, b, cases.binned)

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
            for q in np.flatnonzero(count + zeros > BINS):
                self._bin(a + int(q))

    def _bin(self, q: int) -> None:
        values = self.values[self.indptr[q] : self.indptr[q + 1]]
        gone = np.isnan(values)
        sketch = Sketch()
        sketch.add(values)
        zeros = self.n - len(values)
        if zeros:
            sketch.flush()
            sketch.take(np.zeros(1), np.array([zeros]), np.zeros(1, np.int64), zeros)
        ends = sketch.ends()
        out = self.codes[self.indptr[q] : self.indptr[q + 1]]
        out[:] = np.where(gone, GONE, np.searchsorted(ends, values))
        self.zeros[q] = np.searchsorted(ends, 0.0)

    def columns(self) -> Any:
        """Return what every kernel begins with."""
        return (
            self.indptr,
            self.rows,
            self.values,
            self.codes,
            self.zeros,
            GONE,
            self.node_of,
            self.entry_of,
        )

    def each_piece(self, level: Level, rules: Rules, signs: NDArray[np.int8]) -> Any:
        """Yield the splits found in each piece of the columns, in the order of the columns."""
        sparse.locate(level, self.node_of, self.entry_of)
        for a, b in zip(self.pieces[:-1], self.pieces[1:], strict=True):

            def work(i: int, j: int, a: int = a) -> tuple[Splits, int]:
                room = int(self.indptr[a + j] - self.indptr[a + i])
                tried = splits(min(room, (j - i) * len(level.start)))
                rest: Any = signs, level, rules, tried, 0, a + i, a + j
                return tried, sparse.scan_stored(*self.columns(), *rest)

            yield from in_blocks(work, b - a, threads=self.threads)

    def choose(
        self, level: Level, rules: Rules, signs: NDArray[np.int8], min_gain: float
    ) -> Splits:
        """Choose each node's split."""
        nodes = len(level.start)
        total, count = np.zeros(nodes), np.zeros(nodes, np.int64)
        if rules.ratio:
            for tried, used in self.each_piece(level, rules, signs):
                sparse.average(tried, used, level, rules.criterion, total, count)
        chosen = splits(nodes)
        best = np.full(nodes, 0.0 if rules.ratio else NEVER)
        for tried, used in self.each_piece(level, rules, signs):
            sparse.choose_tried(tried, used, level, rules, total, count, best, chosen)
        n = level.stats[:, 0] if rules.criterion == 2 else level.stats.sum(1)
        chosen.feature[chosen.gain < (min_gain - rules.slack) * n] = -1
        return chosen


def root(y: NDArray[Any], weight: NDArray[np.float64], stats: NDArray[np.float64]) -> Level:
    """Return the level that holds the root alone."""
    one = np.zeros(1, np.int64)
    rows = np.arange(len(y), dtype=np.int32)
    bounds = np.full(1, -np.inf), np.full(1, np.inf)
    return Level(one, one + len(y), stats, *bounds, one.copy(), rows, y, weight, np.empty(0))


def grow(
    cases: Sparse, y: NDArray[Any], weight: NDArray[np.float64], n_classes: int, plan: Plan
) -> Tree:
    """Grow a tree, as `_grow.grow`."""
    stored = Stored(cases, plan.threads)
    rules = rules_of(plan, y, weight, LONGEST)
    signs = np.zeros(stored.d, np.int8)
    if plan.monotonic_cst is not None:
        signs[:] = plan.monotonic_cst
    tree, threshold, nodes = empty(64, n_classes or 3), np.zeros(64), 1
    if n_classes:
        tree.stats[0] = np.bincount(y, weight if weight.size else None, minlength=n_classes)
    else:
        w = weight if weight.size else np.ones(len(y))
        tree.stats[0] = (w.sum(), (w * y).sum(), (w * y * y).sum())
    level = root(y, weight, tree.stats[:1].copy())
    depth = 0
    may = plan.max_depth > 0 and divide.may_split(tree.stats[0], rules, plan.min_samples_split)
    while may:
        depth += 1
        chosen = stored.choose(level, rules, signs, plan.min_gain)
        choice, before = chosen.feature, nodes
        if not (choice >= 0).any():
            break
        tree = make_room(tree, nodes + 3 * int((choice >= 0).sum()), 0)
        threshold = np.append(threshold, np.zeros(len(tree.feature) - len(threshold)))
        branch = np.empty(len(level.row), np.int32)
        rest: Any = level, chosen, rules, tree, nodes, threshold, branch
        nodes = sparse.divide_stored(*stored.columns(), *rest)
        divide.count(level, choice, rules, tree, branch)
        if rules.monotone:
            divide.bound(level, choice, rules, tree, signs)
        level = _next(level, choice, rules, tree, branch, before, nodes, plan, depth)
        may = len(level.start) > 0
    return _finish(tree, threshold, nodes, n_classes)


def _next(
    level: Level,
    choice: NDArray[np.int64],
    rules: Rules,
    tree: Any,
    branch: NDArray[np.int32],
    base: int,
    nodes: int,
    plan: Plan,
    depth: int,
) -> Level:
    opened, size = np.zeros(nodes - base, np.bool_), np.zeros(nodes - base, np.int64)
    last = depth >= plan.max_depth
    least = plan.min_samples_split
    divide.measure(level, choice, rules, tree, branch, opened, size, least, base, last)
    size[~opened] = 0
    ends = np.cumsum(size)
    total = int(ends[-1])
    start = np.where(opened, ends - size, -1)
    new = Level(
        start[opened],
        ends[opened],
        tree.stats[base:nodes][opened],
        tree.low[base:nodes][opened],
        tree.high[base:nodes][opened],
        np.flatnonzero(opened) + base,
        np.empty(total, np.int32),
        np.empty(total, level.y.dtype),
        np.empty(total if level.weight.size else 0),
        np.empty(0),
    )
    none = np.empty(0, np.int32)
    if total:
        divide.settle(level, choice, rules, tree, branch, base, start, new, none, none)
    return new


def _finish(tree: Any, threshold: NDArray[np.float64], nodes: int, n_classes: int) -> Tree:
    g = tree
    none = np.empty(0, np.int32)
    return Tree(
        g.feature[:nodes],
        threshold[:nodes],
        np.where(g.feature[:nodes] < 0, 0, g.first[:nodes]),
        g.width[:nodes],
        g.missing_to[:nodes],
        g.set_start[:nodes],
        np.empty(0, np.uint8),
        g.stats[:nodes],
        g.low[:nodes],
        g.high[:nodes],
        np.arange(nodes, dtype=np.int32),
        np.zeros(nodes + 1, np.int32),
        none,
        np.empty(0),
        np.empty(0, np.uint8),
        np.empty(0, np.int64),
        is_number=not n_classes,
    )


def scan_once(
    plan: Plan,
    cases: Sparse,
    y: NDArray[Any],
    weight: NDArray[np.float64],
    stats: NDArray[np.float64],
    tree: Tree,
) -> Tried:
    """Search one node that holds these cases, and do not divide it."""
    weight = np.empty(0) if (weight == 1.0).all() else weight
    stored = Stored(cases, plan.threads)
    rules = rules_of(plan, y, weight, LONGEST)
    signs = np.zeros(stored.d, np.int8)
    if plan.monotonic_cst is not None:
        signs[:] = plan.monotonic_cst
    level = root(y, weight, stats)
    gain, info = np.full((stored.d, 1), NEVER), np.zeros((stored.d, 1))
    for tried, used in stored.each_piece(level, rules, signs):
        gain[tried.feature[:used], 0] = tried.gain[:used]
        info[tried.feature[:used], 0] = tried.info[:used]
    return Tried(gain, info, int(stored.choose(level, rules, signs, plan.min_gain).feature[0]))
