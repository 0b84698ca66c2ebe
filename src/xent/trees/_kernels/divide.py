"""One level deeper: choose a column for every node, and say to which branch each entry goes.

The entries of a node lie together, in the order of the training rows; a sorted column lists the
same entries in the order of its values. A split moves entries to the places of the branches,
stably, so that neither is ever sorted again: `next_level` does so. An entry whose value is missing
may go down every branch with a share of its weight (C4.5).
"""

import numpy as np

from xent._compile.decorator import kernel, step
from xent.trees._kernels.criteria import (
    BRANCH,
    DIRECTION,
    FRACTIONAL,
    MULTIWAY,
    SURROGATE,
    choose_column,
    weight_of,
)
from xent.trees._kernels.records import NOMINAL_FORM, SORTED, UNSEEN_CODE
from xent.trees._kernels.search.coded import in_order, tally
from xent.trees._kernels.search.nominal import two_groups


@kernel()
def choose(found, lv, columns, rules, choice):
    """Choose each node's column; return how many children and how many set bytes that makes."""
    children, set_bytes = 0, 0
    for k in range(lv.start.size):
        n = weight_of(lv.stats[k], rules.criterion)
        f = choose_column(found.gain[:, k], found.info[:, k], n, rules)
        choice[k] = f
        if f >= 0:
            multiway = columns.kind[f] == NOMINAL_FORM and rules.nominal == MULTIWAY
            children += (columns.levels[f] if multiway else 2) + 1
            if columns.kind[f] == NOMINAL_FORM and not multiway:
                set_bytes += columns.levels[f]
    return children, set_bytes


@step()
def by_number(lv, k, f, split_of, columns, ranks, indices, place, tree, branch):
    """Send a node's entries left or right of a split; return how many go left and right.

    A missing value is branch -1.
    """
    node = lv.node[k]
    start, stop = lv.start[k], lv.stop[k]
    split = split_of[k]
    if columns.kind[f] == SORTED:
        q = place[columns.slot[f]]
        rank, index = ranks[q], indices[q]
        known = stop
        while rank[known - 1] == UNSEEN_CODE:
            known -= 1
            branch[index[known]] = -1
        for i in range(start, known):
            branch[index[i]] = 0 if i <= split else 1
        tree.split_row[node] = lv.row[index[split]]
        tree.split_next[node] = lv.row[index[split + 1]] if split + 1 < known else -1
        return split + 1 - start, known - split - 1
    code = columns.small[columns.slot[f]]
    missing = columns.levels[f]
    above, left, right = missing, 0, 0
    for e in range(start, stop):
        c = code[lv.row[e]]
        branch[e] = -1 if c == missing else (0 if c <= split else 1)
        left += c <= split
        right += split < c < missing
        if split < c < above:
            above = c
    tree.split_row[node] = split
    tree.split_next[node] = above if above < missing else -1
    return left, right


@kernel(inside=True)
def by_name(lv, k, f, columns, rules, tree, at, branch):
    """Send a node's entries by their level; a missing value that is not learned is -1."""
    code = columns.codes[columns.slot[f]]
    levels = columns.levels[f]
    if rules.nominal == MULTIWAY:
        for e in range(lv.start[k], lv.stop[k]):
            c = code[lv.row[e]]
            branch[e] = -1 if c == levels else c
        return
    size = lv.stats.shape[1]
    hist = np.empty((levels + 1, size))
    seen = np.zeros(levels + 1, np.uint8)
    present = np.empty(levels + 1, np.int64)
    side = np.zeros(levels + 1, np.uint8)
    n = tally(code, lv, k, rules.criterion, hist, seen, present)
    in_order(present, n, seen, levels)
    learned = present[n - 1] == levels and rules.missing == DIRECTION
    if present[n - 1] == levels and not learned:
        n -= 1
    total = np.zeros(size)
    for i in range(n):
        total += hist[present[i]]
    two_groups(hist, present, n, total, rules, lv.low[k], lv.high[k], side)
    heavy = 0.0
    for i in range(n):
        m = weight_of(hist[present[i]], rules.criterion)
        heavy += m if side[present[i]] else -m
    # A level that no row here has goes where most rows go.
    for c in range(levels):
        tree.sets[at + c] = 1 if heavy > 0.0 else 0
    for i in range(n):
        if present[i] < levels:
            tree.sets[at + present[i]] = side[present[i]]
    tree.set_start[lv.node[k]] = at
    for e in range(lv.start[k], lv.stop[k]):
        c = code[lv.row[e]]
        branch[e] = side[c] if c < levels or learned else -1


@kernel()
def divide_names(lv, choice, columns, rules, tree, next_set, branch):
    """Send the entries of nodes that have a nominal column; return the next free set byte."""
    for k in range(lv.start.size):
        f = choice[k]
        if f < 0 or columns.kind[f] != NOMINAL_FORM:
            continue
        by_name(lv, k, f, columns, rules, tree, next_set, branch)
        if rules.nominal != MULTIWAY:
            next_set += columns.levels[f]
    return next_set


@kernel(inside=True)
def send(lv, k, f, split, toward, columns, rules, tree, branch, ranks, indices, place):
    """Divide one node's entries among branches; return how many branches."""
    node = lv.node[k]
    multiway = columns.kind[f] == NOMINAL_FORM and rules.nominal == MULTIWAY
    width = columns.levels[f] if multiway else 2
    weights = np.zeros(width)
    n, counted = lv.stop[k] - lv.start[k], False
    if columns.kind[f] != NOMINAL_FORM:
        left, right = by_number(lv, k, f, split, columns, ranks, indices, place, tree, branch)
        weights[0], weights[1] = left, right
        counted = lv.weight.size == 0
    absent = counted and weights[0] + weights[1] < n
    if not counted:
        for b in range(width):
            weights[b] = 0.0
        for e in range(lv.start[k], lv.stop[k]):
            if branch[e] < 0:
                absent = True
            else:
                weights[branch[e]] += lv.weight[e] if lv.weight.size else 1.0
    to = int(np.argmax(weights))
    if columns.kind[f] == NOMINAL_FORM and not multiway and rules.missing == DIRECTION:
        # by_name has sent the missing rows already; find where, for later ones.
        code = columns.codes[columns.slot[f]]
        for e in range(lv.start[k], lv.stop[k]):
            if code[lv.row[e]] == columns.levels[f]:
                to = branch[e]
                break
    elif absent and rules.missing == DIRECTION and toward[k] >= 0:
        to = toward[k]
    elif absent and rules.missing == BRANCH:
        to = width
        width += 1
    if rules.missing == FRACTIONAL:
        to = -1
    tree.missing_to[node] = to
    if absent and rules.missing != SURROGATE:
        for e in range(lv.start[k], lv.stop[k]):
            if branch[e] < 0:
                branch[e] = to
    return width


@kernel()
def divide(
    lv,
    split,
    toward,
    choice,
    columns,
    rules,
    tree,
    next_node,
    branch,
    ranks,
    indices,
    place,
):
    """Divide every node that has a column; return the next free node.

    By names it is divided already: see `divide_names`, which tables of numbers need not compile.
    """
    for k in range(lv.start.size):
        f = choice[k]
        if f < 0:
            continue
        node = lv.node[k]
        width = send(lv, k, f, split, toward, columns, rules, tree, branch, ranks, indices, place)
        tree.feature[node] = f
        tree.first[node] = next_node
        tree.width[node] = width
        next_node += width
    return next_node
