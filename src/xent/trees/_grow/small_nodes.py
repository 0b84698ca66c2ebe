"""Handing small nodes to the kernel that grows all that is below them in one call.

Which nodes are small does not depend on the number of threads, and what the threads return is put
together in the order of the nodes: so are the bits of the tree.
"""

from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent.trees._grow.prepare import Lanes
from xent.trees._kernels import small_nodes
from xent.trees._kernels.divide import Columns, Growing
from xent.trees._kernels.search.presorted import Level, Rules

SMALL = small_nodes.SMALL
FILL = 4096  # cases that are worth waking a thread for


@dataclass
class Subtrees:
    """What was grown below small nodes, waiting to be joined to the tree."""

    limits: small_nodes.Limits | None
    threads: int
    node: list[NDArray[np.int64]] = field(default_factory=list)
    tops: list[small_nodes.Grown] = field(default_factory=list)
    parts: list[tuple[small_nodes.Grown, int]] = field(default_factory=list)

    def take(self, ready: Any, level: Level, depth: int) -> Level:
        """Grow the small nodes of a level to the end; return the level without them."""
        if self.limits is None:
            return level
        size = level.stop - level.start
        small = size <= SMALL
        if not small.any():
            return level
        mine = np.flatnonzero(small)
        start, stop, stats = level.start[mine], level.stop[mine], level.stats[mine]
        tops = small_nodes.empty(len(mine), stats.shape[1])
        columns: Columns = ready.columns
        laid: Lanes | None = ready.lanes
        rest = laid.rest if laid else ready.small_of
        words = laid.words if laid else np.empty((0, 0), np.uint64)
        lane_of = laid.feature if laid else rest[:0]
        edges = np.array([0, len(mine)])
        if self.threads > 1:
            ends = np.cumsum(size[mine])
            many = int(ends[-1])
            blocks = min(len(mine), 16 * self.threads, many // FILL + 1)
            inner = np.searchsorted(ends, many * np.arange(1, blocks) // blocks, "left") + 1
            edges = np.union1d(edges, inner)
        found: list[Any] = [None] * (len(edges) - 1)
        left = count()

        def work(_a: int, _b: int) -> None:
            while (block := next(left)) < len(found):
                found[block] = small_nodes.grow_below(
                    ready.ranks,
                    ready.indices,
                    ready.place,
                    ready.sorted_of,
                    ready.sorted_slot,
                    rest,
                    lane_of,
                    words,
                    columns,
                    ready.numbers,
                    level.row,
                    level.y,
                    start,
                    stop,
                    stats,
                    self.limits,
                    depth,
                    tops,
                    edges[block],
                    edges[block + 1],
                )

        in_blocks(work, min(self.threads, len(found)), threads=self.threads)
        self.node += [level.node[mine[a:b]] for a, b in pairwise(edges)]
        self.tops += [
            small_nodes.Grown(*(array[a:b] for array in tops)) for a, b in pairwise(edges)
        ]
        self.parts += found
        if len(mine) == len(size):
            return level._replace(start=level.start[:0])
        large = ~small
        return level._replace(
            **{name: getattr(level, name)[large] for name in ("start", "stop", "low", "high")},
            stats=level.stats[large],
            node=level.node[large],
        )

    def attach(self, tree: Growing, nodes: int) -> int:
        """Join what was grown to the tree, which has room; return how many nodes it has now."""
        for node, top, (grown, used) in zip(self.node, self.tops, self.parts, strict=True):
            below = slice(nodes, nodes + used)
            for at, made in ((node, top), (below, small_nodes.Grown(*(x[:used] for x in grown)))):
                inner = made.feature >= 0
                tree.feature[at] = made.feature
                tree.cut_row[at] = np.where(inner, made.cut_row, -1)
                tree.cut_next[at] = np.where(inner, made.cut_next, -1)
                tree.first[at] = np.where(inner, made.first + nodes, 0)
                tree.width[at] = 2 * inner
                tree.missing_to[at] = np.where(inner, made.missing_to, 0)
            tree.stats[below] = grown.stats[:used]
            nodes += used
        return nodes

    @property
    def nodes(self) -> int:
        """Number of nodes that wait to be joined."""
        return sum(used for _, used in self.parts)


def subtrees_of(ready: Any, rules: Rules, plan: Any, y: NDArray[Any]) -> Subtrees:
    """Return where small nodes go: nowhere if the table asks for more than the kernel knows."""
    plain = (
        rules.table.size > 0
        and not rules.monotone
        and not len(ready.code_of)
        and plan.missing != "surrogate"
        and (rules.gap == 0.0 or not len(ready.small_of))
        and not ready.binned
        and y.dtype == np.uint8
    )
    if not plain or ready.gone.any() or not ready.known:
        return Subtrees(None, plan.threads)
    limits = small_nodes.Limits(
        plan.criterion != "gini",
        rules.ratio,
        plan.missing == "fractional",
        rules.slack,
        rules.gap,
        rules.least,
        plan.min_samples_split,
        plan.min_gain,
        plan.max_depth,
        rules.table,
        rules.step,
    )
    return Subtrees(limits, plan.threads)
