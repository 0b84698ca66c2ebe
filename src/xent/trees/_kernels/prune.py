"""Pessimistic pruning with subtree raising (Quinlan 1993, chapter 4).

The errors that a leaf will make are estimated as the upper limit of a confidence interval around
those it makes in training. From the leaves upwards a node becomes a leaf, or is replaced by its
heaviest branch with the node's own cases sent down it, wherever that does not raise the estimate.
"""

import math

import numpy as np

from xent._kernels._jit import kernel
from xent.trees._kernels.walk import branches, deal, flow, places, roomy


@kernel()
def extra_errors(n, e, cf, z):
    """Errors to expect beyond the e of n seen, at the confidence cf whose normal quantile is z."""
    if e < 1.0:
        base = n * (1.0 - cf ** (1.0 / n))
        if e == 0.0:
            return base
        return base + e * (extra_of_more(n, 1.0, z) - base)
    return extra_of_more(n, e, z)


@kernel()
def extra_of_more(n, e, z):
    if e + 0.5 >= n:
        return max(n - e, 0.0)
    f = (e + 0.5) / n
    zz = z * z
    upper = f + zz / (2 * n) + z * math.sqrt(f / n - f * f / n + zz / (4 * n * n))
    return upper / (1.0 + zz / n) * n - e


@kernel()
def estimate(stats, cf, z):
    """Estimated errors of a leaf with these class weights."""
    n = stats.sum()
    if n <= 1e-6:
        return 0.0
    e = n - stats.max()
    # A pure leaf whose weights were divided keeps a rounding error of "wrong" cases.
    e = 0.0 if e < 1e-9 * n else e
    return e + extra_errors(n, e, cf, z)


@kernel()
def collapse(feature, first, width, stats):
    """Make a leaf of every node whose subtree is not better on the training cases (C4.5)."""
    size = feature.size
    wrong = np.empty(size)
    for i in range(size - 1, -1, -1):
        wrong[i] = 0.0
        if feature[i] < 0:
            wrong[i] = stats[i].sum() - (stats[i].max() if stats.shape[1] else 0.0)
        else:
            for c in range(first[i], first[i] + width[i]):
                wrong[i] += wrong[c]
    for i in range(size):
        if feature[i] >= 0 and wrong[i] >= stats[i].sum() - stats[i].max() - 1e-3:
            feature[i] = -1


@kernel()
def send_down(walk, top, y, rows, weights, own, stats, numbers, codes, cf, z):
    """Send cases down the subtree of `top` and fill `stats` below it; ``own``: in their arrays.

    Returns the estimated errors of its leaves, and the leaves with the cases in each.
    """
    errors = 0.0
    row, weight = (rows, weights) if own else (rows.copy(), weights.copy())
    out_row, out_weight = np.empty(rows.size, rows.dtype), np.empty(rows.size, weights.dtype)
    leaf, leaf_at, used = [top], [0], 0
    leaf.pop()
    leaf_at.pop()
    stats[top, :] = 0.0
    for i in range(rows.size):
        stats[top, y[rows[i]]] += weights[i]
    stack = [(top, 0, rows.size)]
    branch = np.empty(rows.size, np.int32)
    at, share = np.zeros(3, np.int64), np.zeros(2)
    part_row, part_weight = np.empty(rows.size, rows.dtype), np.empty(rows.size, weights.dtype)
    while len(stack) > 0:
        node, start, n = stack.pop()
        if walk.feature[node] < 0:
            errors += estimate(stats[node], cf, z)
            out_row, out_weight = roomy(out_row, used + n), roomy(out_weight, used + n)
            out_row[used : used + n] = row[start : start + n]
            out_weight[used : used + n] = weight[start : start + n]
            leaf.append(node)
            leaf_at.append(used)
            used += n
            continue
        first, width = walk.first[node], walk.width[node]
        branch = roomy(branch, n)
        missing = branches(walk, node, numbers, codes, row, start, n, branch)
        known_stats(stats, first, width, y, row, weight, start, n, branch)
        share = roomy(share, width)
        share[:width] = 0.0
        if missing:
            for c in range(width):
                share[c] = stats[first + c].sum()
            share[:width] /= share[:width].sum()
            missing_stats(stats, first, width, y, row, weight, start, n, branch, share)
        at = roomy(at, width + 1)
        total = places(branch, n, missing, share, width, at)
        part_row, part_weight = roomy(part_row, total), roomy(part_weight, total)
        deal(row, weight, start, n, branch, share, width, at, part_row, part_weight)
        row, weight = roomy(row, start + total), roomy(weight, start + total)
        row[start : start + total] = part_row[:total]
        weight[start : start + total] = part_weight[:total]
        begin = 0
        for c in range(width):
            stack.append((first + c, start + begin, at[c] - begin))
            begin = at[c]
    leaf_at.append(used)
    return errors, leaf, leaf_at, out_row, out_weight


@kernel()
def known_stats(stats, first, width, y, row, weight, start, n, branch):
    stats[first : first + width, :] = 0.0
    for i in range(start, start + n):
        b = branch[i - start]
        if b >= 0:
            stats[first + b, y[row[i]]] += weight[i]


@kernel()
def missing_stats(stats, first, width, y, row, weight, start, n, branch, share):
    for i in range(start, start + n):
        if branch[i - start] < 0:
            for c in range(width):
                stats[first + c, y[row[i]]] += weight[i] * share[c]


@kernel()
def gather(walk, top, held_at, held_n, row, weight):
    """Collect the cases of all leaves below a node."""
    total = 0
    stack = [top]
    below = [top]
    below.pop()
    while len(stack) > 0:
        node = stack.pop()
        if walk.feature[node] < 0:
            below.append(node)
            total += held_n[node]
        else:
            for c in range(walk.width[node]):
                stack.append(walk.first[node] + c)
    rows, weights = np.empty(total, row.dtype), np.empty(total, weight.dtype)
    used = 0
    for node in below:
        n, a = held_n[node], held_at[node]
        rows[used : used + n] = row[a : a + n]
        weights[used : used + n] = weight[a : a + n]
        used += n
    return rows, weights


@kernel()
def if_raised(walk, top, heavy, stats, trial, held_at, held_n, row, part, y, numbers, codes, cf, z):
    """Change of the heaviest branch's estimated errors if it took its siblings' cases too.

    For trees where a case takes one branch only: the branch's own cases need not move.
    """
    touched = [0]
    touched.pop()
    for c in range(walk.first[top], walk.first[top] + walk.width[top]):
        if c == heavy:
            continue
        rows, weights = gather(walk, c, held_at, held_n, row, part)
        rows, leaf, weights = flow(walk, heavy, rows, weights, numbers, codes)
        for i in range(rows.size):
            node = leaf[i]
            if trial[node, 0] < 0.0:
                trial[node] = stats[node]
                touched.append(node)
            trial[node, y[rows[i]]] += weights[i]
    change = 0.0
    for node in touched:
        change += estimate(trial[node], cf, z) - estimate(stats[node], cf, z)
        trial[node, 0] = -1.0
    return change


@kernel()
def prune(walk, y, weight, stats, numbers, codes, cf, z, raising):
    """Prune in place, from the leaves upwards."""
    size = walk.feature.size
    errors = np.zeros(size)
    waiting = np.ones(size, np.bool_)
    held_at, held_n = np.zeros(size, np.int64), np.zeros(size, np.int64)
    trial = stats.copy()
    divides = (walk.missing_to < 0).any()
    row, part = np.arange(y.size).astype(np.int32), weight.copy()
    used = 0
    if raising:
        _, leaf, leaf_at, row, part = send_down(
            walk, 0, y, row, part, True, trial, numbers, codes, cf, z
        )
        for j in range(len(leaf)):
            held_at[leaf[j]], held_n[leaf[j]] = leaf_at[j], leaf_at[j + 1] - leaf_at[j]
        used = leaf_at[len(leaf)]
    trial[:, 0] = -1.0
    i = size - 1
    while i >= 0:
        if not waiting[i]:
            i -= 1
            continue
        waiting[i] = False
        as_leaf = estimate(stats[i], cf, z)
        errors[i] = as_leaf
        if walk.feature[i] < 0:
            i -= 1
            continue
        first, width = walk.first[i], walk.width[i]
        as_tree, as_branch, heavy = 0.0, np.inf, first
        for c in range(first, first + width):
            as_tree += errors[c]
            if stats[c].sum() >= stats[heavy].sum() - 1e-6:
                heavy = c
        rows, parts = row[:0], part[:0]
        leaf, leaf_at, new_row, new_part = [i], [0, 0], row[:0], part[:0]
        if raising and not divides:
            as_branch = errors[heavy] + if_raised(
                walk, i, heavy, stats, trial, held_at, held_n, row, part, y, numbers, codes, cf, z
            )
        if raising and (divides or as_branch <= as_tree + 0.1 or as_leaf <= as_tree + 0.1):
            rows, parts = gather(walk, i, held_at, held_n, row, part)
        tried = raising and (divides or as_branch <= as_tree + 0.1)
        if tried:
            as_branch, leaf, leaf_at, new_row, new_part = send_down(
                walk, heavy, y, rows, parts, False, trial, numbers, codes, cf, z
            )
        errors[i] = as_tree
        if as_leaf <= as_tree + 0.1 and as_leaf <= as_branch + 0.1:
            errors[i] = as_leaf
            walk.feature[i] = -1
            leaf, leaf_at, new_row, new_part = [i], [0, rows.size], rows, parts
        elif as_branch <= as_tree + 0.1:
            last = take_over(walk, i, heavy, stats, trial, waiting)
            i = last + 1
        else:
            rows = rows[:0]
            leaf_at = [0]
            leaf = [0]
            leaf.pop()
        if tried and not divides:
            forget(walk, heavy, trial)
        n = leaf_at[len(leaf)]
        row, part = roomy(row, used + n), roomy(part, used + n)
        row[used : used + n] = new_row[:n]
        part[used : used + n] = new_part[:n]
        for j in range(len(leaf)):
            held_at[leaf[j]] = used + leaf_at[j]
            held_n[leaf[j]] = leaf_at[j + 1] - leaf_at[j]
        used += n
        i -= 1


@kernel()
def forget(walk, top, trial):
    """Mark the trial stats below a node as unused."""
    stack = [top]
    while len(stack) > 0:
        node = stack.pop()
        trial[node, 0] = -1.0
        if walk.feature[node] >= 0:
            for c in range(walk.first[node], walk.first[node] + walk.width[node]):
                stack.append(c)


@kernel()
def take_over(walk, i, heavy, stats, trial, waiting):
    """Put a node's heaviest branch in its place; return the last node to prune again."""
    walk.feature[i] = walk.feature[heavy]
    walk.threshold[i] = walk.threshold[heavy]
    walk.first[i] = walk.first[heavy]
    walk.width[i] = walk.width[heavy]
    walk.missing_to[i] = walk.missing_to[heavy]
    walk.set_start[i] = walk.set_start[heavy]
    walk.spare_of[i] = walk.spare_of[heavy]
    last = i
    waiting[i] = True
    stack = [i]
    while len(stack) > 0:
        node = stack.pop()
        if walk.feature[node] < 0:
            continue
        for c in range(walk.first[node], walk.first[node] + walk.width[node]):
            # What no new case reached has been pruned already.
            if (stats[c] == trial[c]).all():
                continue
            stats[c] = trial[c]
            waiting[c] = True
            last = max(last, c)
            stack.append(c)
    return last


@kernel()
def weakest_links(feature, first, width, parent, risk):
    """Complexity at which every inner node becomes a leaf (Breiman et al. 1984, section 3.3)."""
    size = feature.size
    alpha = np.full(size, np.inf)
    below = np.zeros(size)
    leaves = np.zeros(size)
    inner = feature >= 0
    for i in range(size - 1, -1, -1):
        if not inner[i]:
            below[i], leaves[i] = risk[i], 1.0
        if i:
            below[parent[i]] += below[i]
            leaves[parent[i]] += leaves[i]
    reached = 0.0
    while inner[0]:
        weakest = np.inf
        for i in range(size):
            if inner[i]:
                weakest = min(weakest, (risk[i] - below[i]) / (leaves[i] - 1.0))
        reached = max(reached, weakest)
        # Parents first: what lies below a node that closes closes with it.
        for i in range(size):
            if not inner[i]:
                continue
            if i and alpha[parent[i]] <= reached:
                alpha[i] = reached
                inner[i] = False
                continue
            if (risk[i] - below[i]) / (leaves[i] - 1.0) <= reached + 1e-12 * risk[0]:
                alpha[i] = reached
                inner[i] = False
                change, fewer = risk[i] - below[i], leaves[i] - 1.0
                j = i
                while True:
                    below[j] += change
                    leaves[j] -= fewer
                    if j == 0:
                        break
                    j = parent[j]
    return alpha
