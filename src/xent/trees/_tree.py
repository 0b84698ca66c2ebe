"""A tree in flat arrays: what every other file of this room reads.

The children of a node lie side by side and after it, so that no walk can loop. A node without
children is a leaf. Nothing here knows how a tree was grown.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
FloatArray = NDArray[np.float64]


@dataclass
class Tree:
    """Nodes of a tree, node 0 the root.

    ``feature`` is -1 in a leaf. A number goes to the first child where it is at most ``threshold``,
    else to the second. A name goes to the child ``sets[set_start + code]``, or to the child of its
    code where ``set_start`` is -1. A missing value goes to the child ``missing_to``, or down every
    branch by its share where that is -1. ``stats`` are class weights, or (weight, sum, sum of
    squares).
    """

    feature: Ints
    threshold: FloatArray
    first: Ints
    width: Ints
    missing_to: Ints
    set_start: NDArray[np.int64]
    sets: NDArray[np.uint8]
    stats: FloatArray
    low: FloatArray
    high: FloatArray
    # Substitutes for a missing value, best first: the tests number surrogate_start[j] up to
    # surrogate_start[j + 1], where j = surrogates_of[node].
    surrogates_of: Ints
    surrogate_start: Ints
    surrogate_feature: Ints
    surrogate_threshold: FloatArray
    surrogate_flip: NDArray[np.uint8]
    surrogate_set: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.feature)

    @property
    def leaf(self) -> NDArray[np.bool_]:
        """Which nodes are leaves."""
        return self.feature < 0

    def parent(self) -> Ints:
        """Return the parent of every node, -1 for the root."""
        parent = np.full(self.size, -1, np.int32)
        inner = np.flatnonzero(~self.leaf)
        width = self.width[inner]
        parent[_ranges(self.first[inner], width)] = np.repeat(inner, width)
        return parent

    def depth(self) -> Ints:
        """Return how many tests stand above every node."""
        parent = self.parent()
        depth = np.zeros(self.size, np.int32)
        for node in range(1, self.size):
            depth[node] = depth[parent[node]] + 1
        return depth

    def weight(self) -> FloatArray:
        """Return the weight of the training cases in every node."""
        return self.stats[:, 0].copy() if self.is_number else self.stats.sum(1)

    is_number: bool = False

    def compact(self, close: NDArray[np.bool_] | None = None) -> "Tree":
        """Return the tree without unreachable nodes, those in ``close`` made leaves."""
        feature = self.feature.copy()
        if close is not None:
            feature[close] = -1
        level = np.zeros(1, np.int64)
        pieces = [level]
        while True:
            above = level[feature[level] >= 0]
            if not len(above):
                break
            level = _ranges(self.first[above], self.width[above])
            pieces.append(level)
        order = np.concatenate(pieces)
        feature = feature[order]
        inner = feature >= 0
        width = np.where(inner, self.width[order], 0)
        first = np.where(inner, 1 + np.cumsum(width) - width, 0)
        whose = self.surrogates_of[order]
        count = np.where(inner, np.diff(self.surrogate_start)[whose], 0)
        tests = _ranges(self.surrogate_start[whose], count)
        return replace(
            self,
            feature=feature,
            threshold=np.where(inner, self.threshold[order], 0.0),
            first=first.astype(np.int32),
            width=width.astype(np.int32),
            missing_to=np.where(inner, self.missing_to[order], 0).astype(np.int32),
            set_start=np.where(inner, self.set_start[order], -1),
            stats=self.stats[order],
            low=self.low[order],
            high=self.high[order],
            surrogates_of=np.arange(len(order), dtype=np.int32),
            surrogate_start=np.concatenate([[0], np.cumsum(count)]).astype(np.int32),
            surrogate_feature=self.surrogate_feature[tests],
            surrogate_threshold=self.surrogate_threshold[tests],
            surrogate_flip=self.surrogate_flip[tests],
            surrogate_set=self.surrogate_set[tests],
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return every array by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "is_number"}


def between(low: Any, high: Any) -> NDArray[np.float64]:
    """Return thresholds that part two numbers: their middle, infinity if there is no upper one."""
    # Halved before they are added: the middle of two huge numbers is not infinite.
    middle = np.where(np.isinf(high), np.inf, low / 2 + high / 2)
    return np.where((middle >= low) & (middle < high) | np.isinf(high), middle, low)


def _ranges(first: NDArray[Any], width: NDArray[Any]) -> NDArray[np.int64]:
    """Concatenate the ranges first[i] .. first[i] + width[i]."""
    width = width.astype(np.int64)
    ends = np.cumsum(width)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(first.astype(np.int64) - ends + width, width)
