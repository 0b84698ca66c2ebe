"""Pessimistic pruning with subtree raising (Quinlan 1993, chapter 4).

The errors that a leaf will make are estimated as the upper limit of a confidence interval around
those it makes in training. From the leaves upwards a node becomes a leaf, or is replaced by its
heaviest branch with the node's own cases sent down it, wherever that does not raise the estimate.
"""

import math

import numpy as np

from xent._compile.decorator import kernel
from xent.trees._kernels.predict import branches, put, roomy

KEPT, CLOSED, RAISED = 0, 1, 2


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
    n, most = 0.0, 0.0
    for k in range(stats.size):
        n += stats[k]
        most = max(most, stats[k])
    if n <= 1e-6:
        return 0.0
    e = n - most
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
def prune(walk, y, weight, stats, numbers, codes, cf, z, raising):
    """Prune in place, from the leaves upwards, a tree in which a case takes one branch only.

    The cases of every node lie together: raising a branch deals the node's own anew among what is
    below the branch. An empty `weight` means 1 each.
    """
    size, cases = walk.feature.size, y.size if raising else 0
    errors, waiting = np.empty(size), np.empty(size, np.bool_)
    begin, end = np.empty(size, np.int64), np.empty(size, np.int64)
    begin2, end2 = np.empty(size, np.int64), np.empty(size, np.int64)
    stack, seen = np.empty(size, np.int64), np.empty(size, np.int64)
    row, other = np.empty(cases, np.int32), np.empty(0, np.int32)
    branch, spare = np.empty(cases, np.int32), np.empty(cases, np.int32)
    count = np.empty(stats.shape[1])
    # Typed, so that what is called is compiled once.
    root, whole, reached = np.int64(0), np.bool_(True), np.bool_(False)
    for r in range(cases):
        row[r] = r
    for i in range(size):
        waiting[i] = True
    begin[root] = 0
    if raising:
        deal_out(
            walk, root, whole, numbers, codes, row, cases, branch, spare, begin, end, stack, seen
        )
    i = size - 1
    while i >= 0:
        i, as_leaf, as_tree = next_inner(walk, i, stats, errors, waiting, cf, z)
        if i < 0:
            break
        first, width, as_branch = np.int64(walk.first[i]), np.int64(walk.width[i]), np.inf
        heavy = first
        if raising:
            heavy = heaviest(stats, first, width)
            n = end[i] - begin[i] - (end[heavy] - begin[heavy])
            other = roomy(other, n)
            n = np.int64(0)
            for j in range(begin[i], end[i]):
                if j < begin[heavy] or j >= end[heavy]:
                    other[n] = row[j]
                    n += 1
            begin2[heavy] = 0
            n = deal_out(
                walk,
                heavy,
                reached,
                numbers,
                codes,
                other,
                n,
                branch,
                spare,
                begin2,
                end2,
                stack,
                seen,
            )
            as_branch = errors[heavy]
            for j in range(n):
                leaf = seen[j]
                if walk.feature[leaf] >= 0:
                    continue
                put(count, stats[leaf], count.size)
                add_cases(count, other, begin2[leaf], end2[leaf], y, weight)
                as_branch += estimate(count, cf, z) - estimate(stats[leaf], cf, z)
        if decide(walk, i, heavy, errors, as_leaf, as_tree, as_branch) == RAISED:
            n = deal_out(
                walk, i, whole, numbers, codes, row, end[i], branch, spare, begin, end, stack, seen
            )
            # Whatever gets new cases is pruned again, children before parents.
            waiting[i] = True
            last = i
            for j in range(n - 1, 0, -1):
                node = seen[j]
                for k in range(count.size):
                    count[k] = 0.0
                if walk.feature[node] < 0:
                    add_cases(count, row, begin[node], end[node], y, weight)
                else:
                    for c in range(walk.first[node], walk.first[node] + walk.width[node]):
                        for k in range(count.size):
                            count[k] += stats[c, k]
                for k in range(count.size):
                    waiting[node] |= count[k] != stats[node, k]
                    stats[node, k] = count[k]
                if waiting[node]:
                    last = max(last, node)
            i = last + 1
        i -= 1


@kernel()
def next_inner(walk, i, stats, errors, waiting, cf, z):
    """Estimate the errors of the nodes that wait, from `i` upwards, as far as the next inner one.

    Returns it (-1: there is none), its errors as a leaf, and those of its branches together.
    """
    while i >= 0:
        if waiting[i]:
            waiting[i] = False
            errors[i] = estimate(stats[i], cf, z)
            if walk.feature[i] >= 0:
                as_tree = 0.0
                for c in range(walk.first[i], walk.first[i] + walk.width[i]):
                    as_tree += errors[c]
                return i, errors[i], as_tree
        i -= 1
    return i, 0.0, 0.0


@kernel()
def decide(walk, i, heavy, errors, as_leaf, as_tree, as_branch):
    """Make a node a leaf, put its heaviest branch in its place, or keep it; say which."""
    errors[i] = as_tree
    if as_leaf <= as_tree + 0.1 and as_leaf <= as_branch + 0.1:
        errors[i] = as_leaf
        walk.feature[i] = -1
        return CLOSED
    if as_branch <= as_tree + 0.1:
        replace(walk, i, heavy)
        return RAISED
    return KEPT


@kernel()
def deal_out(walk, top, empty, numbers, codes, row, stop, branch, spare, begin, end, stack, seen):
    """Order the cases from `begin[top]` to `stop` by the leaves they reach below a node.

    Writes where each node's cases begin and end, and lists the nodes, parents first; those that no
    case reaches only if `empty`. Returns how many.
    """
    end[top] = stop
    stack[0] = top
    waiting, found = 1, 0
    while waiting > 0:
        waiting -= 1
        node = stack[waiting]
        seen[found] = node
        found += 1
        if walk.feature[node] < 0:
            continue
        start, n = begin[node], end[node] - begin[node]
        first, width = np.int64(walk.first[node]), np.int64(walk.width[node])
        branches(walk, node, numbers, codes, row, start, n, branch)
        for c in range(first, first + width):
            end[c] = 0
        for j in range(n):
            end[first + branch[j]] += 1
        total = start
        for c in range(first, first + width):
            begin[c] = total
            total += end[c]
            end[c] = begin[c]
        for j in range(n):
            c = first + branch[j]
            spare[end[c] - start] = row[start + j]
            end[c] += 1
        put(row[start:], spare, n)
        for c in range(first, first + width):
            if empty or end[c] > begin[c]:
                stack[waiting] = c
                waiting += 1
    return found


@kernel()
def add_cases(count, row, start, stop, y, weight):
    """Add the cases' weights by class."""
    for j in range(start, stop):
        count[y[row[j]]] += weight[row[j]] if weight.size else 1.0


@kernel()
def heaviest(stats, first, width):
    """Return the last of the heaviest branches."""
    heavy, most = first, -1.0
    for c in range(first, first + width):
        n = 0.0
        for k in range(stats.shape[1]):
            n += stats[c, k]
        if n >= most - 1e-6:
            heavy, most = c, n
    return heavy


@kernel()
def replace(walk, i, heavy):
    """Put a branch in the place of a node."""
    walk.feature[i] = walk.feature[heavy]
    walk.threshold[i] = walk.threshold[heavy]
    walk.first[i] = walk.first[heavy]
    walk.width[i] = walk.width[heavy]
    walk.missing_to[i] = walk.missing_to[heavy]
    walk.set_start[i] = walk.set_start[heavy]
    walk.spare_of[i] = walk.spare_of[heavy]


@kernel()
def weakest_links(feature, parent, risk):
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
