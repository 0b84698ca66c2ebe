"""Pessimistic pruning where cases with a missing value have been divided among branches (C4.5).

The pieces of a case lie in several leaves, and a raised branch may divide them again: what is sent
down is copied, and every node tries it. At a node the pieces below it are one case again, so that
no more is sent down than there are cases.
"""

import numpy as np

from xent._compile.decorator import kernel, step
from xent.trees._kernels.criteria import ENTROPY, weight_of
from xent.trees._kernels.predict import branches, normalise, put, roomy, spread
from xent.trees._kernels.prune import CLOSED, KEPT, decide, estimate, heaviest, next_inner


@kernel(inside=True)
def send_down(tree, top, y, row, weight, stats, numbers, codes, cf, z):
    """Send cases down the subtree of `top` and fill `stats` below it; the cases are used up.

    Returns the estimated errors of its leaves, and the leaves with the cases in each.
    """
    errors = 0.0
    cases = row.size
    out_row, out_weight = np.empty(cases, row.dtype), np.empty(cases, weight.dtype)
    leaf, leaf_at, used = [top], [0], 0
    leaf.pop()
    leaf_at.pop()
    for c in range(stats.shape[1]):
        stats[top, c] = 0.0
    for i in range(cases):
        stats[top, y[row[i]]] += weight[i]
    stack = [(top, 0, cases)]
    branch = np.empty(cases, np.int32)
    at, share = np.zeros(3, np.int64), np.zeros(2)
    part_row, part_weight = np.empty(cases, row.dtype), np.empty(cases, weight.dtype)
    while len(stack) > 0:
        node, start, n = stack.pop()
        if tree.feature[node] < 0:
            errors += estimate(stats[node], cf, z)
            out_row, out_weight = roomy(out_row, used + n), roomy(out_weight, used + n)
            put(out_row[used:], row[start:], n)
            put(out_weight[used:], weight[start:], n)
            leaf.append(node)
            leaf_at.append(used)
            used += n
            continue
        first, width = np.int64(tree.first[node]), np.int64(tree.width[node])
        branch = roomy(branch, n)
        missing = branches(tree, node, numbers, codes, row, start, n, branch)
        known_stats(stats, first, width, y, row, weight, start, n, branch)
        share = roomy(share, width)
        for c in range(width):
            share[c] = 0.0
        if missing:
            for c in range(width):
                share[c] = weight_of(stats[first + c], ENTROPY)
            normalise(share, width)
            missing_stats(stats, first, width, y, row, weight, start, n, branch, share)
        row, weight, part_row, part_weight, at = spread(
            row, weight, start, n, branch, missing, share, width, at, part_row, part_weight
        )
        begin = 0
        for c in range(width):
            stack.append((first + c, start + begin, at[c] - begin))
            begin = at[c]
    leaf_at.append(used)
    return errors, leaf, leaf_at, out_row, out_weight


@step()
def known_stats(stats, first, width, y, row, weight, start, n, branch):
    for b in range(first, first + width):
        for c in range(stats.shape[1]):
            stats[b, c] = 0.0
    for i in range(start, start + n):
        b = branch[i - start]
        if b >= 0:
            stats[first + b, y[row[i]]] += weight[i]


@step()
def missing_stats(stats, first, width, y, row, weight, start, n, branch, share):
    for i in range(start, start + n):
        if branch[i - start] < 0:
            for c in range(width):
                stats[first + c, y[row[i]]] += weight[i] * share[c]


@kernel(inside=True)
def collect(tree, top, held_at, held_n, row, weight, gathered):
    """Collect the cases of all leaves below a node, the pieces of one case joined.

    ``gathered`` is a zero for every case, and is so again afterwards. Returns the cases, their
    weights and the leaves.
    """
    total = 0
    stack = [top]
    below = [top]
    below.pop()
    while len(stack) > 0:
        node = stack.pop()
        if tree.feature[node] < 0:
            below.append(node)
        else:
            for c in range(tree.width[node]):
                stack.append(tree.first[node] + c)
    for node in below:
        for k in range(held_at[node], held_at[node] + held_n[node]):
            if gathered[row[k]] == 0.0:
                total += 1
            gathered[row[k]] += weight[k]
    rows, weights = np.empty(total, row.dtype), np.empty(total, weight.dtype)
    used = 0
    for node in below:
        for k in range(held_at[node], held_at[node] + held_n[node]):
            r = row[k]
            if gathered[r] > 0.0:
                rows[used], weights[used] = r, gathered[r]
                gathered[r] = 0.0
                used += 1
    return rows, weights, below


@kernel(inside=True)
def packed(held_at, held_n, row, weight, more):
    """Return what the leaves hold without gaps, its end, and room for some more behind it."""
    live = held_n.sum()
    size = row.size if 4 * (live + more) <= 3 * row.size else 3 * (live + more) // 2
    rows, weights = np.empty(size, row.dtype), np.empty(size, weight.dtype)
    used = 0
    for node in range(held_n.size):
        n, a = held_n[node], held_at[node]
        put(rows[used:], row[a:], n)
        put(weights[used:], weight[a:], n)
        held_at[node] = used
        used += n
    return rows, weights, used


@kernel()
def prune_fractional(tree, y, weight, stats, numbers, codes, cf, z):
    """Prune in place, from the leaves upwards, with raising."""
    size = tree.feature.size
    errors = np.zeros(size)
    waiting = np.ones(size, np.bool_)
    held_at, held_n = np.zeros(size, np.int64), np.zeros(size, np.int64)
    trial = stats.copy()
    row = np.arange(y.size).astype(np.int32)
    _, leaf, leaf_at, row, part = send_down(
        tree, np.int64(0), y, row, weight.copy(), trial, numbers, codes, cf, z
    )
    for j in range(len(leaf)):
        held_at[leaf[j]], held_n[leaf[j]] = leaf_at[j], leaf_at[j + 1] - leaf_at[j]
    used = leaf_at[len(leaf)]
    gathered = np.zeros(y.size)
    i = size - 1
    while i >= 0:
        i, as_leaf, as_tree = next_inner(tree, i, stats, errors, waiting, cf, z)
        if i < 0:
            break
        heavy = heaviest(stats, np.int64(tree.first[i]), np.int64(tree.width[i]))
        rows, parts, below = collect(tree, i, held_at, held_n, row, part, gathered)
        as_branch, leaf, leaf_at, new_row, new_part = send_down(
            tree, heavy, y, rows.copy(), parts.copy(), trial, numbers, codes, cf, z
        )
        what = decide(tree, i, heavy, errors, as_leaf, as_tree, as_branch)
        if what == KEPT:
            i -= 1
            continue
        if what == CLOSED:
            leaf, leaf_at, new_row, new_part = [i], [0, rows.size], rows, parts
        else:
            i = np.int64(1) + take_over(tree, i, stats, trial, waiting)
        for node in below:
            held_n[node] = 0
        n = leaf_at[len(leaf)]
        if used + n > row.size:
            row, part, used = packed(held_at, held_n, row, part, n)
        put(row[used:], new_row, n)
        put(part[used:], new_part, n)
        for j in range(len(leaf)):
            held_at[leaf[j]] = used + leaf_at[j]
            held_n[leaf[j]] = leaf_at[j + 1] - leaf_at[j]
        used += n
        i -= 1


@step()
def same(a, b):
    equal = True
    for i in range(a.size):
        equal &= a[i] == b[i]
    return equal


@kernel(inside=True)
def take_over(tree, i, stats, trial, waiting):
    """Give what is below a raised node its new stats; return the last node to prune again."""
    last = i
    waiting[i] = True
    stack = [i]
    while len(stack) > 0:
        node = stack.pop()
        if tree.feature[node] < 0:
            continue
        for c in range(tree.first[node], tree.first[node] + tree.width[node]):
            # What no new case reached has been pruned already.
            if same(stats[c], trial[c]):
                continue
            put(stats[c], trial[c], stats.shape[1])
            waiting[c] = True
            last = max(last, c)
            stack.append(c)
    return last
