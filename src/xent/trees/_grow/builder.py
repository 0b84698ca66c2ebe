"""The arrays of a growing tree: made, made longer, and at last turned into a tree.

A threshold lies in the middle of the two values of the node's cases that the cut parts; C4.5 takes
the greatest value of all cases that is not above it.
"""

from typing import TYPE_CHECKING

import numpy as np

from xent.trees._grow.surrogates import Spares
from xent.trees._kernels import divide
from xent.trees._kernels.search import histogram
from xent.trees._kernels.search.presorted import Rules
from xent.trees._tree import Tree, between

if TYPE_CHECKING:
    from xent.trees._grow.prepare import Prepared


def empty(capacity: int, size: int) -> divide.Growing:
    tree = divide.Growing(
        np.empty(capacity, np.int32),
        np.empty(capacity, np.int32),
        np.empty(capacity, np.int32),
        np.zeros(capacity, np.int32),
        np.zeros(capacity, np.int32),
        np.zeros(capacity, np.int32),
        np.empty(capacity, np.int64),
        np.zeros((capacity, size)),
        np.empty(capacity),
        np.empty(capacity),
        np.empty(0, np.uint8),
    )
    for array in (tree.feature, tree.cut_row, tree.cut_next, tree.set_start):
        array.fill(-1)
    tree.low.fill(-np.inf)
    tree.high.fill(np.inf)
    return tree


def make_room(tree: divide.Growing, nodes: int, set_bytes: int) -> divide.Growing:
    """Return the growing tree with room for so many nodes and set bytes."""
    have = len(tree.feature)
    if nodes > have:
        more = empty(max(nodes, 2 * have) - have, tree.stats.shape[1])
        tree = divide.Growing(
            *(np.concatenate([old, new]) for old, new in zip(tree, more, strict=True))
        )
    if set_bytes > len(tree.sets):
        sets = np.zeros(max(set_bytes, 2 * len(tree.sets)), np.uint8)
        sets[: len(tree.sets)] = tree.sets
        tree = tree._replace(sets=sets)
    return tree


def finish(
    ready: "Prepared",
    growing: divide.Growing,
    nodes: int,
    set_bytes: int,
    spares: Spares,
    rules: Rules,
    n_classes: int,
) -> Tree:
    """Return the tree."""
    g = divide.Growing(*(a[:nodes] for a in growing))
    kind, slot = ready.columns.kind, ready.columns.slot
    threshold = np.zeros(nodes)
    how = np.append(kind, np.int8(-1))[g.feature]
    cuts = np.flatnonzero(how == divide.SORTED)
    if len(cuts):
        column = ready.number_slot[g.feature[cuts]]
        low = ready.numbers[g.cut_row[cuts], column]
        high = np.where(g.cut_next[cuts] < 0, np.inf, ready.numbers[g.cut_next[cuts], column])
        threshold[cuts] = between(low, high)
    coded = np.flatnonzero(how == divide.CODED)
    if len(coded):
        at = ready.scale_start[slot[g.feature[coded]]]
        cut, above = g.cut_row[coded].astype(np.int64), g.cut_next[coded].astype(np.int64)
        parted = np.empty(len(coded))
        histogram.thresholds(ready.scale, at, cut, np.where(above < 0, cut, above), parted)
        threshold[coded] = np.where(above < 0, np.inf, parted)
    if rules.ratio:
        # C4.5: the greatest value of all cases that is not above the middle.
        for f in np.unique(g.feature[np.concatenate([cuts, coded])]):
            mine = np.flatnonzero(g.feature == f)
            if kind[f] == divide.SORTED:
                values = np.sort(ready.numbers[:, ready.number_slot[f]])
                values = values[~np.isnan(values)]
            else:
                present = np.flatnonzero(np.bincount(ready.columns.small[slot[f]]))
                present = present[present < ready.columns.levels[f]]
                values = ready.scale[ready.scale_start[slot[f]] + present].ravel()
            at = np.searchsorted(values, threshold[mine], "right") - 1
            threshold[mine] = np.where(np.isinf(threshold[mine]), np.inf, values[at])
    spare_start = np.zeros(nodes + 1, np.int32)
    if spares.node:
        np.cumsum(np.bincount(spares.node, minlength=nodes), out=spare_start[1:])
    # Levels are appended in the order of their nodes; so are the nodes of a level.
    starts = np.array(spares.set_start, np.int64)
    return Tree(
        g.feature,
        threshold,
        np.where(g.feature < 0, 0, g.first),
        g.width,
        g.missing_to,
        g.set_start,
        np.concatenate([growing.sets[:set_bytes], *spares.sets]),
        g.stats,
        g.low,
        g.high,
        np.arange(nodes, dtype=np.int32),
        spare_start,
        np.array(spares.feature, np.int32),
        np.array(spares.threshold),
        np.array(spares.flip, np.uint8),
        np.where(starts < 0, -1, starts + set_bytes),
        is_number=not n_classes,
    )
