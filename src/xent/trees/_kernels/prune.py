"""Pessimistic pruning with subtree raising (Quinlan 1993, chapter 4).

The errors that a leaf will make are estimated as the upper limit of a confidence interval around
those it makes in training. From the leaves upwards a node becomes a leaf, or is replaced by its
heaviest branch with the node's own cases sent down it, wherever that does not raise the estimate.
"""

import math

import numpy as np

from xent._compile.decorator import kernel, step
from xent.trees._kernels.criteria import ENTROPY, largest, weight_of
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


@step()
def extra_of_more(n, e, z):
    if e + 0.5 >= n:
        return max(n - e, 0.0)
    f = (e + 0.5) / n
    zz = z * z
    upper = f + zz / (2 * n) + z * math.sqrt(f / n - f * f / n + zz / (4 * n * n))
    return upper / (1.0 + zz / n) * n - e


@step()
def estimate(stats, cf, z):
    """Estimated errors of a leaf with these class weights."""
    n, heaviest_class = 0.0, 0.0
    for k in range(stats.size):
        n += stats[k]
        heaviest_class = max(heaviest_class, stats[k])
    if n <= 1e-6:
        return 0.0
    e = n - heaviest_class
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
            wrong[i] = weight_of(stats[i], ENTROPY) - largest(stats[i])
        else:
            for c in range(first[i], first[i] + width[i]):
                wrong[i] += wrong[c]
    for i in range(size):
        if feature[i] >= 0 and wrong[i] >= weight_of(stats[i], ENTROPY) - largest(stats[i]) - 1e-3:
            feature[i] = -1


@kernel()
def prune(tree, y, weight, stats, numbers, codes, cf, z, raising):
    """Prune in place, from the leaves upwards, a tree in which a case takes one branch only.

    The cases of every node lie together: raising a branch deals the node's own anew among what is
    below the branch. An empty `weight` means 1 each.
    """
    size, cases = tree.feature.size, y.size if raising else 0
    errors, waiting = np.empty(size), np.empty(size, np.bool_)
    begin, end = np.empty(size, np.int64), np.empty(size, np.int64)
    begin2, end2 = np.empty(size, np.int64), np.empty(size, np.int64)
    stack, seen = np.empty(size, np.int64), np.empty(size, np.int64)
    row, other = np.empty(cases, np.int32), np.empty(0, np.int32)
    branch, scratch = np.empty(cases, np.int32), np.empty(cases, np.int32)
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
            tree, root, whole, numbers, codes, row, cases, branch, scratch, begin, end, stack, seen
        )
    i = size - 1
    while i >= 0:
        i, as_leaf, as_tree = next_inner(tree, i, stats, errors, waiting, cf, z)
        if i < 0:
            break
        first, width, as_branch = np.int64(tree.first[i]), np.int64(tree.width[i]), np.inf
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
                tree,
                heavy,
                reached,
                numbers,
                codes,
                other,
                n,
                branch,
                scratch,
                begin2,
                end2,
                stack,
                seen,
            )
            as_branch = errors[heavy]
            for j in range(n):
                leaf = seen[j]
                if tree.feature[leaf] >= 0:
                    continue
                put(count, stats[leaf], count.size)
                add_cases(count, other, begin2[leaf], end2[leaf], y, weight)
                as_branch += estimate(count, cf, z) - estimate(stats[leaf], cf, z)
        if decide(tree, i, heavy, errors, as_leaf, as_tree, as_branch) == RAISED:
            n = deal_out(
                tree,
                i,
                whole,
                numbers,
                codes,
                row,
                end[i],
                branch,
                scratch,
                begin,
                end,
                stack,
                seen,
            )
            # Whatever gets new cases is pruned again, children before parents.
            waiting[i] = True
            last = i
            for j in range(n - 1, 0, -1):
                node = seen[j]
                for k in range(count.size):
                    count[k] = 0.0
                if tree.feature[node] < 0:
                    add_cases(count, row, begin[node], end[node], y, weight)
                else:
                    for c in range(tree.first[node], tree.first[node] + tree.width[node]):
                        for k in range(count.size):
                            count[k] += stats[c, k]
                for k in range(count.size):
                    waiting[node] |= count[k] != stats[node, k]
                    stats[node, k] = count[k]
                if waiting[node]:
                    last = max(last, node)
            i = last + 1
        i -= 1


@step()
def next_inner(tree, i, stats, errors, waiting, cf, z):
    """Estimate the errors of the nodes that wait, from `i` upwards, as far as the next inner one.

    Returns it (-1: there is none), its errors as a leaf, and those of its branches together.
    """
    while i >= 0:
        if waiting[i]:
            waiting[i] = False
            errors[i] = estimate(stats[i], cf, z)
            if tree.feature[i] >= 0:
                as_tree = 0.0
                for c in range(tree.first[i], tree.first[i] + tree.width[i]):
                    as_tree += errors[c]
                return i, errors[i], as_tree
        i -= 1
    return i, 0.0, 0.0


@step()
def decide(tree, i, heavy, errors, as_leaf, as_tree, as_branch):
    """Make a node a leaf, put its heaviest branch in its place, or keep it; say which."""
    errors[i] = as_tree
    if as_leaf <= as_tree + 0.1 and as_leaf <= as_branch + 0.1:
        errors[i] = as_leaf
        tree.feature[i] = -1
        return CLOSED
    if as_branch <= as_tree + 0.1:
        replace(tree, i, heavy)
        return RAISED
    return KEPT


@step()
def deal_out(tree, top, empty, numbers, codes, row, stop, branch, scratch, begin, end, stack, seen):
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
        if tree.feature[node] < 0:
            continue
        start, n = begin[node], end[node] - begin[node]
        first, width = np.int64(tree.first[node]), np.int64(tree.width[node])
        branches(tree, node, numbers, codes, row, start, n, branch)
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
            scratch[end[c] - start] = row[start + j]
            end[c] += 1
        put(row[start:], scratch, n)
        for c in range(first, first + width):
            if empty or end[c] > begin[c]:
                stack[waiting] = c
                waiting += 1
    return found


@step()
def add_cases(count, row, start, stop, y, weight):
    """Add the cases' weights by class."""
    for j in range(start, stop):
        count[y[row[j]]] += weight[row[j]] if weight.size else 1.0


@step()
def heaviest(stats, first, width):
    """Return the last of the heaviest branches."""
    heavy, heaviest_class = first, -1.0
    for c in range(first, first + width):
        n = 0.0
        for k in range(stats.shape[1]):
            n += stats[c, k]
        if n >= heaviest_class - 1e-6:
            heavy, heaviest_class = c, n
    return heavy


@step()
def replace(tree, i, heavy):
    """Put a branch in the place of a node."""
    tree.feature[i] = tree.feature[heavy]
    tree.threshold[i] = tree.threshold[heavy]
    tree.first[i] = tree.first[heavy]
    tree.width[i] = tree.width[heavy]
    tree.missing_to[i] = tree.missing_to[heavy]
    tree.set_start[i] = tree.set_start[heavy]
    tree.surrogates_of[i] = tree.surrogates_of[heavy]


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
