"""Down a grown tree: which branch a case takes, which leaf it reaches, how it is spread over several.

A case whose value is missing follows a surrogate test, or the branch that `missing_to` names, or
every branch by its share (C4.5); `spread` is for the last.
"""

from typing import NamedTuple

import numpy as np

from xent._kernels._jit import kernel


class Walk(NamedTuple):
    """What a case must know on its way down."""

    is_name: np.ndarray  # by feature
    slot: np.ndarray
    levels: np.ndarray  # by feature: code of a missing name
    feature: np.ndarray
    threshold: np.ndarray
    first: np.ndarray
    width: np.ndarray
    missing_to: np.ndarray
    set_start: np.ndarray
    sets: np.ndarray
    weight: np.ndarray  # of the training cases in every node
    spare_of: np.ndarray  # whose surrogates a node uses: its own, or those of a raised branch
    spare_start: np.ndarray
    spare_feature: np.ndarray
    spare_threshold: np.ndarray
    spare_flip: np.ndarray
    spare_set: np.ndarray


@kernel()
def side_of(walk, f, threshold, set_start, numbers, codes, row):
    """Branch of one test, or -1 where the value is missing."""
    if walk.is_name[f]:
        c = codes[walk.slot[f], row]
        if c == walk.levels[f]:
            return -1
        return c if set_start < 0 else int(walk.sets[set_start + c])
    x = numbers[row, walk.slot[f]]
    if x <= threshold:
        return 0
    return 1 if x > threshold else -1


@kernel()
def branch_of(walk, node, numbers, codes, row):
    """Branch that a case takes at a node; -1: every one by its share."""
    b = side_of(
        walk, walk.feature[node], walk.threshold[node], walk.set_start[node], numbers, codes, row
    )
    if b >= 0:
        return b
    mine = walk.spare_of[node]
    for s in range(walk.spare_start[mine], walk.spare_start[mine + 1]):
        b = side_of(
            walk,
            walk.spare_feature[s],
            walk.spare_threshold[s],
            walk.spare_set[s],
            numbers,
            codes,
            row,
        )
        if b >= 0:
            return b ^ int(walk.spare_flip[s])
    return walk.missing_to[node]


@kernel()
def leaves(walk, numbers, codes, out, a, b):
    """Leaf of every row; -1 for a row that has to be spread over several."""
    for row in range(a, b):
        node = 0
        while walk.feature[node] >= 0:
            side = branch_of(walk, node, numbers, codes, row)
            if side < 0:
                node = -1
                break
            node = walk.first[node] + side
        out[row] = node


@kernel()
def number_leaves(feature, threshold, first, numbers, out, a, b):
    """Leaf of every row of a table of numbers, none missing: 16 rows at a time hide the waiting."""
    at = np.zeros(16, np.int64)
    for start in range(a, b, 16):
        rows = min(16, b - start)
        at[:] = 0
        moving = rows
        while moving > 0:
            moving = 0
            for j in range(rows):
                node = at[j]
                f = feature[node]
                if f >= 0:
                    right = numbers[start + j, f] > threshold[node]
                    at[j] = first[node] + (1 if right else 0)
                    moving += 1
        for j in range(rows):
            out[start + j] = at[j]


@kernel()
def spread(walk, value, numbers, codes, rows, out):
    """Add up the leaves' values over all branches, each by its share."""
    for i in range(rows.size):
        stack = [(0, 1.0)]
        while len(stack) > 0:
            node, share = stack.pop()
            if walk.feature[node] < 0:
                out[rows[i]] += share * value[node]
                continue
            first = walk.first[node]
            b = branch_of(walk, node, numbers, codes, rows[i])
            if b >= 0:
                stack.append((first + b, share))
                continue
            total = 0.0
            for c in range(walk.width[node]):
                total += walk.weight[first + c]
            for c in range(walk.width[node]):
                part = walk.weight[first + c] / total
                if part > 0.0:
                    stack.append((first + c, share * part))
