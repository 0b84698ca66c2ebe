"""Down a grown tree: which branch a row takes, which leaf it reaches, or which several.

A row whose value is missing follows a surrogate test, or the branch that `missing_to` names, or
every branch by its share (C4.5). Rows travel in crowds: a node is looked up once for all of them.
"""

from typing import NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from xent._compile.decorator import kernel, step

NUMBER_TEST, NAME_TEST, BINNED_TEST = 0, 1, 2


class SparseRows(NamedTuple):
    """A sparse matrix in rows, columns in rising order within each."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray


def cell(numbers, row, slot):
    """Return one number of a table, dense or sparse."""
    raise NotImplementedError


@overload(cell)
def _cell(numbers, row, slot):
    if isinstance(numbers, types.Array):
        return lambda numbers, row, slot: numbers[row, slot]

    def look_up(numbers, row, slot):
        low, high = numbers.indptr[row], numbers.indptr[row + 1]
        stop = high
        while low < high:
            middle = (low + high) // 2
            if numbers.indices[middle] < slot:
                low = middle + 1
            else:
                high = middle
        return numbers.data[low] if low < stop and numbers.indices[low] == slot else 0.0

    return look_up


class Nodes(NamedTuple):
    """What a row must know on its way down."""

    kind: np.ndarray  # by feature: NUMBER, NAME or BINNED
    slot: np.ndarray
    levels: np.ndarray  # by feature: code of a missing name or bin
    feature: np.ndarray
    threshold: np.ndarray
    first: np.ndarray
    width: np.ndarray
    missing_to: np.ndarray
    set_start: np.ndarray
    sets: np.ndarray
    weight: np.ndarray  # of the training rows in every node
    surrogates_of: np.ndarray  # whose surrogates a node uses: its own, or those of a raised branch
    surrogate_start: np.ndarray
    surrogate_feature: np.ndarray
    surrogate_threshold: np.ndarray
    surrogate_flip: np.ndarray
    surrogate_set: np.ndarray


@step()
def test_rows(tree, f, threshold, set_start, flip, numbers, codes, row, start, n, out):
    """Write the branch of one test for the rows that have none yet (-1); return how many still."""
    slot = tree.slot[f]
    missing = 0
    if tree.kind[f] == NAME_TEST:
        code, levels, sets = codes[slot], tree.levels[f], tree.sets
        for i in range(n):
            if out[i] >= 0:
                continue
            c = code[row[start + i]]
            if c == levels:
                missing += 1
            else:
                out[i] = c if set_start < 0 else (sets[set_start + c] ^ flip)
        return missing
    binned, gone = tree.kind[f] == BINNED_TEST, tree.levels[f]
    for i in range(n):
        if out[i] >= 0:
            continue
        x = cell(numbers, row[start + i], slot)
        if binned and x == gone:
            missing += 1
        elif x <= threshold:
            out[i] = flip
        elif x > threshold:
            out[i] = 1 - flip
        else:
            missing += 1
    return missing


@step()
def branches(tree, node, numbers, codes, row, start, n, out):
    """Write the branch that each of n rows takes at a node; -1: every one. Return how many -1."""
    for i in range(n):
        out[i] = -1
    missing = test_rows(
        tree,
        tree.feature[node],
        tree.threshold[node],
        tree.set_start[node],
        np.uint8(0),  # the type of the flips below: one machine code for both calls
        numbers,
        codes,
        row,
        start,
        n,
        out,
    )
    if missing == 0:
        return 0
    mine = tree.surrogates_of[node]
    for s in range(tree.surrogate_start[mine], tree.surrogate_start[mine + 1]):
        missing = test_rows(
            tree,
            tree.surrogate_feature[s],
            tree.surrogate_threshold[s],
            tree.surrogate_set[s],
            tree.surrogate_flip[s],
            numbers,
            codes,
            row,
            start,
            n,
            out,
        )
    if tree.missing_to[node] < 0:
        return missing
    for i in range(n):
        if out[i] < 0:
            out[i] = tree.missing_to[node]
    return 0


@kernel(inside=True)
def roomy(array, size):
    """Return the array, or a longer one that begins with it."""
    if array.size >= size:
        return array
    more = np.empty(max(size, 2 * array.size), array.dtype)
    put(more, array, array.size)
    return more


@step()
def put(out, array, n):
    """Copy the first n entries to another array; assigning a slice is slow to compile."""
    for i in range(n):
        out[i] = array[i]


@kernel()
def flow(tree, top, rows, weights, numbers, codes):
    """Send rows down from a node, all that take one branch together.

    Returns rows, leaves and weights of what arrives; a row that is spread arrives several times.
    """
    row, weight = rows.copy(), weights.copy()
    out_row, out_leaf = np.empty(rows.size, row.dtype), np.empty(rows.size, np.int64)
    out_weight, used = np.empty(rows.size, weights.dtype), 0
    branch = np.empty(rows.size, np.int32)
    part_row, part_weight = np.empty(rows.size, row.dtype), np.empty(rows.size, weight.dtype)
    at, share = np.zeros(3, np.int64), np.zeros(2)
    stack = [(top, 0, rows.size)]
    while len(stack) > 0:
        node, start, n = stack.pop()
        if tree.feature[node] < 0:
            out_row, out_leaf = roomy(out_row, used + n), roomy(out_leaf, used + n)
            out_weight = roomy(out_weight, used + n)
            put(out_row[used:], row[start:], n)
            for i in range(used, used + n):
                out_leaf[i] = node
            put(out_weight[used:], weight[start:], n)
            used += n
            continue
        first, width = np.int64(tree.first[node]), np.int64(tree.width[node])
        branch = roomy(branch, n)
        missing = branches(tree, node, numbers, codes, row, start, n, branch)
        share = roomy(share, width)
        for c in range(width):
            share[c] = tree.weight[first + c] if missing else 0.0
        if missing:
            normalise(share, width)
        row, weight, part_row, part_weight, at = spread(
            row, weight, start, n, branch, missing, share, width, at, part_row, part_weight
        )
        begin = 0
        for c in range(width):
            if at[c] > begin:
                stack.append((first + c, start + begin, at[c] - begin))
            begin = at[c]
    return out_row[:used], out_leaf[:used], out_weight[:used]


@step()
def normalise(share, width):
    """Divide shares by their sum."""
    total = 0.0
    for c in range(width):
        total += share[c]
    for c in range(width):
        share[c] /= total


@kernel(inside=True)
def spread(row, weight, start, n, branch, missing, share, width, at, part_row, part_weight):
    """Put n rows in the order of their branches; one without a branch goes down all by its share.

    Returns the arrays, which may be longer ones: rows, weights, room for both, and `at[c]`, where
    branch c ends.
    """
    at = roomy(at, width + 1)
    total = places(branch, n, missing, share, width, at)
    part_row, part_weight = roomy(part_row, total), roomy(part_weight, total)
    deal(row, weight, start, n, branch, share, width, at, part_row, part_weight)
    row, weight = roomy(row, start + total), roomy(weight, start + total)
    put(row[start:], part_row, total)
    put(weight[start:], part_weight, total)
    return row, weight, part_row, part_weight, at


@step()
def places(branch, n, missing, share, width, at):
    """Write where each branch's rows begin; return how many rows there will be."""
    for c in range(width + 1):
        at[c] = 0
    for i in range(n):
        if branch[i] >= 0:
            at[branch[i] + 1] += 1
    for c in range(width):
        at[c + 1] += at[c] + (missing if share[c] > 0.0 else 0)
    return at[width]


@step()
def deal(row, weight, start, n, branch, share, width, at, part_row, part_weight):
    """Copy rows to their branches, stably; afterwards `at[c]` is where branch c ends."""
    for i in range(n):
        r, w, b = row[start + i], weight[start + i], branch[i]
        if b >= 0:
            part_row[at[b]], part_weight[at[b]] = r, w
            at[b] += 1
            continue
        for c in range(width):
            if share[c] > 0.0:
                part_row[at[c]], part_weight[at[c]] = r, w * share[c]
                at[c] += 1


@kernel()
def number_leaves(feature, threshold, first, numbers, out, a, b):
    """Leaf of every row of a table of numbers, 16 rows at a time to hide the waiting for memory.

    A row that misses a number it is asked for gets -1. Returns how many do.
    """
    at = np.zeros(16, np.int64)
    lost = 0
    for start in range(a, b, 16):
        rows = min(16, b - start)
        for j in range(16):
            at[j] = 0
        moving = rows
        while moving > 0:
            moving = 0
            for j in range(rows):
                node = at[j]
                if node < 0:
                    continue
                f = feature[node]
                if f >= 0:
                    x = cell(numbers, start + j, f)
                    if x != x:
                        at[j] = -1
                        lost += 1
                        continue
                    at[j] = first[node] + (1 if x > threshold[node] else 0)
                    moving += 1
        for j in range(rows):
            out[start + j] = at[j]
    return lost


@kernel()
def add_up(value, rows, leaf, weight, out):
    """Add the values of the leaves that each row reaches."""
    for i in range(rows.size):
        for c in range(value.shape[1]):
            out[rows[i], c] += weight[i] * value[leaf[i], c]
