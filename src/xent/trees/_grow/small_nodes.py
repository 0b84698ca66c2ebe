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
from xent.trees._grow.builder import make_room
from xent.trees._grow.levels import GrowthPlan
from xent.trees._grow.ordered import Ordered
from xent.trees._kernels import small_nodes
from xent.trees._kernels.criteria import SplitRules
from xent.trees._kernels.records import Builder, LevelNodes

SMALL = small_nodes.MAX_SMALL
FILL = 4096  # rows that are worth waking a thread for


@dataclass
class SmallNodes:
    """What was grown below small nodes, waiting to be joined to the tree."""

    rules: SplitRules | None  # None: the table asks for more than the kernel knows
    threads: int
    node: list[NDArray[np.int64]] = field(default_factory=list)
    tops: list[small_nodes.Grown] = field(default_factory=list)
    parts: list[tuple[small_nodes.Grown, int]] = field(default_factory=list)

    def take(self, ordered: Ordered, level: LevelNodes, depth: int) -> LevelNodes:
        """Grow the small nodes of a level to the end; return the level without them."""
        small = level.stop - level.start <= SMALL
        if self.rules is None or not small.any():
            return level
        mine = np.flatnonzero(small)
        task = task_of(ordered, level, mine)
        tops = small_nodes.empty(len(mine), task.stats.shape[1])
        edges = self._blocks(task.stop - task.start)
        found: list[Any] = [None] * (len(edges) - 1)
        left = count()

        def work(_a: int, _b: int) -> None:
            while (block := next(left)) < len(found):
                here = edges[block], edges[block + 1]
                found[block] = small_nodes.grow_below(task, self.rules, depth, tops, *here)

        in_blocks(work, min(self.threads, len(found)), threads=self.threads)
        for a, b in pairwise(edges):
            self.node.append(level.node[mine[a:b]])
            self.tops.append(small_nodes.Grown(*(array[a:b] for array in tops)))
        self.parts += found
        if len(mine) == len(small):
            return level._replace(start=level.start[:0])
        large = ~small
        names = ("start", "stop", "stats", "low", "high", "node")
        return level._replace(**{name: getattr(level, name)[large] for name in names})

    def _blocks(self, size: NDArray[np.int64]) -> NDArray[np.int64]:
        """Cut the small nodes into blocks of about as many rows, some for every thread."""
        edges = np.array([0, len(size)])
        if self.threads == 1:
            return edges
        ends = np.cumsum(size)
        rows = int(ends[-1])
        blocks = min(len(size), 16 * self.threads, rows // FILL + 1)
        inner = np.searchsorted(ends, rows * np.arange(1, blocks) // blocks, "left") + 1
        return np.union1d(edges, inner)

    def attach(self, tree: Builder, nodes: int, set_bytes: int) -> tuple[Builder, int]:
        """Join what was grown to the tree; return it and how many nodes it has now."""
        tree = make_room(tree, nodes + sum(used for _, used in self.parts), set_bytes)
        for node, top, (grown, used) in zip(self.node, self.tops, self.parts, strict=True):
            below = slice(nodes, nodes + used)
            for at, made in ((node, top), (below, small_nodes.Grown(*(x[:used] for x in grown)))):
                inner = made.feature >= 0
                tree.feature[at] = made.feature
                tree.split_row[at] = np.where(inner, made.split_row, -1)
                tree.split_next[at] = np.where(inner, made.split_next, -1)
                tree.first[at] = np.where(inner, made.first + nodes, 0)
                tree.width[at] = 2 * inner
                tree.missing_to[at] = np.where(inner, made.missing_to, 0)
            tree.stats[below] = grown.stats[:used]
            nodes += used
        return tree, nodes


def task_of(ordered: Ordered, level: LevelNodes, mine: NDArray[np.int64]) -> small_nodes.SmallTask:
    """Return some nodes of a level as the kernel takes them."""
    packed, columns = ordered.packed, ordered.columns
    return small_nodes.SmallTask(
        ranks=ordered.ranks,
        indices=ordered.indices,
        place=ordered.place,
        sorted_of=ordered.sorted_of,
        sorted_slot=ordered.sorted_slot,
        coded_of=packed.rest if packed else ordered.small_of,
        binary_of=packed.feature if packed else ordered.small_of[:0],
        words=packed.words if packed else np.empty((0, 0), np.uint64),
        kind=columns.kind,
        slot=columns.slot,
        levels=columns.levels,
        small=columns.small,
        numbers=ordered.numbers,
        row=level.row,
        y=level.y,
        start=level.start[mine],
        stop=level.stop[mine],
        stats=level.stats[mine],
    )


def small_nodes_of(
    ordered: Ordered, rules: SplitRules, plan: GrowthPlan, y: NDArray[Any]
) -> SmallNodes:
    """Return where small nodes go: nowhere if the table asks for more than the kernel knows."""
    plain = (
        rules.table.size > 0
        and not rules.monotone
        and not len(ordered.names_of)
        and plan.missing != "surrogate"
        and (rules.gap == 0.0 or not len(ordered.small_of))
        and ordered.gone is not None
        and not ordered.gone.any()
        and ordered.known
        and y.dtype == np.uint8
    )
    return SmallNodes(rules if plain else None, plan.threads)
