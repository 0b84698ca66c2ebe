"""The level below: what its nodes hold, which of them stay open, and where each entry goes.

Where an entry without a value goes down every branch with a share of its weight (C4.5), a level
holds more entries than the one above.

A sorted list before and after (`partition`; node 0 splits at 5, node 1 is closed)::

    node           |------ 0 ------|-- 1 --|
    value          1   3   5   7   9   2   4        rank, and index: the entry of the level
    branch         0   0   0   1   1   -   -
                   |  left   |right|
    next level     1   3   5   7   9                index: the entry of the next level
"""

import numpy as np

from xent._compile.decorator import kernel, step
from xent.trees._kernels.criteria import (
    FRACTIONAL,
    POISSON,
    SQUARED,
    add,
    large_enough,
    largest,
    of_numbers,
    poisson_score,
    weight_of,
)


@kernel()
def count(lv, choice, rules, tree, branch):
    """Fill the children's stats and bounds; return whether a row goes to every branch."""
    shared = False
    for k in range(lv.start.size):
        if choice[k] < 0:
            continue
        node = lv.node[k]
        first, width = tree.first[node], tree.width[node]
        for b in range(width):
            for c in range(tree.stats.shape[1]):
                tree.stats[first + b, c] = 0.0
            tree.low[first + b] = lv.low[k]
            tree.high[first + b] = lv.high[k]
        for e in range(lv.start[k], lv.stop[k]):
            b = branch[e]
            if b < 0:
                shared = True
                continue
            w = lv.weight[e] if lv.weight.size else 1.0
            if of_numbers(rules.criterion):
                add(tree.stats[first + b], rules.criterion, lv.y[e], w)
            else:
                tree.stats[first + b, int(lv.y[e])] += w
    return shared


@kernel()
def share_out(lv, choice, rules, tree, branch):
    """Add to every branch its share of the rows whose value is missing."""
    missing = np.zeros(tree.stats.shape[1])
    for k in range(lv.start.size):
        if choice[k] < 0:
            continue
        node = lv.node[k]
        first, width = tree.first[node], tree.width[node]
        for c in range(missing.size):
            missing[c] = 0.0
        shared = False
        for e in range(lv.start[k], lv.stop[k]):
            if branch[e] < 0:
                shared = True
                add(missing, rules.criterion, lv.y[e], lv.weight[e] if lv.weight.size else 1.0)
        if not shared:
            continue
        share = np.empty(width)
        for b in range(width):
            share[b] = weight_of(tree.stats[first + b], rules.criterion)
        share /= share.sum()
        for b in range(width):
            tree.stats[first + b] += share[b] * missing


@kernel()
def bound(lv, choice, rules, tree, signs):
    """Bound the children's values where a split was made under a monotone constraint."""
    for k in range(lv.start.size):
        if choice[k] < 0 or signs[choice[k]] == 0:
            continue
        first = tree.first[lv.node[k]]
        a, b = tree.stats[first], tree.stats[first + 1]
        if of_numbers(rules.criterion):
            middle = (a[1] / a[0] + b[1] / b[0]) / 2
        else:
            middle = (a[1] / a.sum() + b[1] / b.sum()) / 2
        # Rows that surrogates or shares have added may lie beyond what stands above.
        middle = min(max(middle, tree.low[first]), tree.high[first])
        up, down = (first, first + 1) if signs[choice[k]] > 0 else (first + 1, first)
        tree.high[up] = middle
        tree.low[down] = middle


@kernel()
def may_split(stats, rules):
    """Whether a node is heavy enough and not pure."""
    n = weight_of(stats, rules.criterion)
    if not large_enough(n, rules) or n <= 0.0:
        return False
    if rules.criterion == SQUARED:
        return stats[2] - stats[1] * stats[1] / n > 1e-14 * stats[2]
    if rules.criterion == POISSON:
        own = poisson_score(stats[1], n)
        return stats[2] - own > 1e-14 * (abs(stats[2]) + stats[1])
    return largest(stats) < n - (1e-6 if rules.ratio else 1e-9 * n)


@kernel()
def measure(lv, choice, rules, tree, branch, open_, size, base, last):
    """Say which children (counted from node `base`) stay open, and how many entries each has."""
    for k in range(lv.start.size):
        if choice[k] < 0:
            continue
        node = lv.node[k]
        first, width = tree.first[node], tree.width[node]
        for b in range(width):
            j = first + b - base
            size[j] = 0
            open_[j] = not last and may_split(tree.stats[first + b], rules)
            if lv.weight.size == 0 and rules.missing != FRACTIONAL:
                size[j] = int(weight_of(tree.stats[first + b], rules.criterion) + 0.5)
                open_[j] = open_[j] and size[j] >= 2
        if lv.weight.size == 0 and rules.missing != FRACTIONAL:
            continue
        for e in range(lv.start[k], lv.stop[k]):
            b = branch[e]
            if b >= 0:
                size[first + b - base] += 1
            else:
                for c in range(width):
                    if weight_of(tree.stats[first + c], rules.criterion) > 0.0:
                        size[first + c - base] += 1
        for b in range(width):
            if size[first + b - base] < 2:
                open_[first + b - base] = False


@kernel()
def settle(lv, choice, rules, tree, branch, base, start, new, target, targets):
    """Write the next level's entries; `target` says where each entry went, for the sorted lists.

    `start[j]` is where child `base + j` begins in the next level, -1 if it is closed.
    """
    used = 0
    at = start.copy()
    weighted = new.weight.size > 0
    for k in range(lv.start.size):
        if choice[k] < 0:
            continue
        node = lv.node[k]
        first, width = tree.first[node] - base, tree.width[node]
        total = 0.0
        for b in range(width):
            total += weight_of(tree.stats[first + base + b], rules.criterion)
        for e in range(lv.start[k], lv.stop[k]):
            b = branch[e]
            w = lv.weight[e] if lv.weight.size else 1.0
            u = lv.undivided[e] if lv.undivided.size else w
            if b >= 0:
                j = first + b
                if target.size:
                    target[e] = at[j]
                if at[j] < 0:
                    continue
                i = at[j]
                at[j] += 1
                new.row[i] = lv.row[e]
                new.y[i] = lv.y[e]
                if weighted:
                    new.weight[i] = w
                if new.undivided.size:
                    new.undivided[i] = u
                continue
            if target.size:
                target[e] = used
            for c in range(width):
                j = first + c
                share = weight_of(tree.stats[base + j], rules.criterion) / total
                targets[used + c] = -1
                if at[j] < 0 or share <= 0.0:
                    continue
                i = at[j]
                at[j] += 1
                targets[used + c] = i
                new.row[i] = lv.row[e]
                new.y[i] = lv.y[e]
                new.weight[i] = w * share
                new.undivided[i] = u
            used += width


@step()
def halve(rank, index, new_rank, new_index, start, stop, at, first, target):
    """Move one node's list to two branches without a jump that the processor could mispredict.

    What a closed branch would get is written to the last place of the list, which is no one's.
    """
    x, y = at[first], at[first + 1]
    if x < 0 and y < 0:
        return
    # Where both are open the left one's places come first.
    edge, step = y, 1
    if x < 0 or y < 0:
        x, y, edge, step = new_rank.size - 1, max(x, y), 0, 0
    for i in range(start, stop):
        t = target[index[i]]
        right = 1 if t >= edge else 0
        to = y if right else x
        new_rank[to] = rank[i]
        new_index[to] = t
        y += right
        x += (1 - right) * step


@kernel()
def partition(
    ranks, indices, place, free, lv, choice, tree, branch, base, start, target, targets, a, b
):
    """Move the sorted lists a..b to the next level, stably; `free` is a scratch list.

    The list of a column becomes the scratch one of the next.
    """
    at = np.empty(start.size, np.int64)
    for q in range(a, b):
        rank, index = ranks[place[q]], indices[place[q]]
        new_rank, new_index = ranks[free], indices[free]
        for j in range(at.size):
            at[j] = start[j]
        for k in range(lv.start.size):
            if choice[k] < 0:
                continue
            node = lv.node[k]
            first, width = tree.first[node] - base, tree.width[node]
            if width == 2 and targets.size == 0:
                halve(rank, index, new_rank, new_index, lv.start[k], lv.stop[k], at, first, target)
                continue
            for i in range(lv.start[k], lv.stop[k]):
                e = index[i]
                t = target[e]
                if branch[e] >= 0:
                    j = first + branch[e]
                    if t >= 0:
                        new_rank[at[j]], new_index[at[j]] = rank[i], t
                        at[j] += 1
                    continue
                for c in range(width):
                    if targets[t + c] >= 0:
                        j = first + c
                        new_rank[at[j]], new_index[at[j]] = rank[i], targets[t + c]
                        at[j] += 1
        place[q], free = free, place[q]
    return free
