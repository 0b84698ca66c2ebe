"""The arrays of a growing tree: made, made longer, and at last turned into a tree.

A threshold lies in the middle of the two values of the node's rows that the split parts; C4.5 takes
the greatest value of all rows that is not above it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from xent.trees._grow.surrogates import Surrogates
from xent.trees._kernels.records import Builder
from xent.trees._tree import Tree


def empty(capacity: int, size: int) -> Builder:
    """Return room for so many nodes, none of them divided."""
    tree = Builder(
        feature=np.empty(capacity, np.int32),
        split_row=np.empty(capacity, np.int32),
        split_next=np.empty(capacity, np.int32),
        first=np.zeros(capacity, np.int32),
        width=np.zeros(capacity, np.int32),
        missing_to=np.zeros(capacity, np.int32),
        set_start=np.empty(capacity, np.int64),
        stats=np.zeros((capacity, size)),
        low=np.empty(capacity),
        high=np.empty(capacity),
        sets=np.empty(0, np.uint8),
    )
    for array in (tree.feature, tree.split_row, tree.split_next, tree.set_start):
        array.fill(-1)
    tree.low.fill(-np.inf)
    tree.high.fill(np.inf)
    return tree


def number_stats(
    y: NDArray[np.float64], weight: NDArray[np.float64], criterion: str
) -> tuple[float, float, float]:
    """Return the stats of a node of numbers: the sums of 1, y and y², or of counts y ln y."""
    last = xlogy(y, y) if criterion == "poisson" else y * y
    return float(weight.sum()), float((weight * y).sum()), float((weight * last).sum())


def with_root(
    y: NDArray[Any], weight: NDArray[np.float64], n_classes: int, criterion: str
) -> Builder:
    """Return a tree that is the root alone."""
    tree = empty(64, n_classes or 3)
    if n_classes:
        tree.stats[0] = np.bincount(y, weight if weight.size else None, minlength=n_classes)
    else:
        w = weight if weight.size else np.ones(len(y))
        tree.stats[0] = number_stats(y, w, criterion)
    return tree


def make_room(tree: Builder, nodes: int, set_bytes: int) -> Builder:
    """Return the growing tree with room for so many nodes and set bytes."""
    have = len(tree.feature)
    if nodes > have:
        more = empty(max(nodes, 2 * have) - have, tree.stats.shape[1])
        tree = Builder(*(np.concatenate([old, new]) for old, new in zip(tree, more, strict=True)))
    if set_bytes > len(tree.sets):
        sets = np.zeros(max(set_bytes, 2 * len(tree.sets)), np.uint8)
        sets[: len(tree.sets)] = tree.sets
        tree = tree._replace(sets=sets)
    return tree


def finish(
    tree: Builder,
    threshold: NDArray[np.float64],
    set_bytes: int,
    surrogates: Surrogates,
    n_classes: int,
) -> Tree:
    """Return the tree; there is a threshold for each of its nodes."""
    nodes = len(threshold)
    start = np.zeros(nodes + 1, np.int32)
    if surrogates.node:
        np.cumsum(np.bincount(surrogates.node, minlength=nodes), out=start[1:])
    # Levels are appended in the order of their nodes; so are the nodes of a level.
    sets = np.array(surrogates.set_start, np.int64)
    feature = tree.feature[:nodes]
    return Tree(
        feature=feature,
        threshold=threshold,
        first=np.where(feature < 0, 0, tree.first[:nodes]),
        width=tree.width[:nodes],
        missing_to=tree.missing_to[:nodes],
        set_start=tree.set_start[:nodes],
        sets=np.concatenate([tree.sets[:set_bytes], *surrogates.sets]),
        stats=tree.stats[:nodes],
        low=tree.low[:nodes],
        high=tree.high[:nodes],
        surrogates_of=np.arange(nodes, dtype=np.int32),
        surrogate_start=start,
        surrogate_feature=np.array(surrogates.feature, np.int32),
        surrogate_threshold=np.array(surrogates.threshold),
        surrogate_flip=np.array(surrogates.flip, np.uint8),
        surrogate_set=np.where(sets < 0, -1, sets + set_bytes),
        is_number=not n_classes,
    )
