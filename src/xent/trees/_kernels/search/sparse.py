"""Splits of a sparse matrix: what is stored is sorted, zero is one block that nobody lists.

A node's histogram in a column holds the stored entries of its cases, and one group more: the node's
cases less those. A column that stores nothing for any case of a node cannot divide it, so the work
of a level is that of the stored entries.
"""

import numpy as np

from xent._compile.decorator import kernel, step
from xent.trees._kernels.criteria import (
    BRANCH,
    DIRECTION,
    FRACTIONAL,
    MIN_CASE_GAIN,
    NEVER,
    add,
    better_column,
    column_score,
    of_numbers,
    weight_of,
)
from xent.trees._kernels.records import Found
from xent.trees._kernels.search.coded import search_groups


@kernel()
def locate(lv, node_of, entry_of):
    """Write for every row its node of the level and its entry, -1 where it is in none."""
    for r in range(node_of.size):
        node_of[r] = -1
    for k in range(lv.start.size):
        for e in range(lv.start[k], lv.stop[k]):
            node_of[lv.row[e]] = k
            entry_of[lv.row[e]] = e


@step()
def clear(stats):
    for j in range(stats.size):
        stats[j] = 0.0


@kernel(inside=True)
def groups(members, m, codes, values, rows, entry_of, zero, gone, lv, k, criterion, out):
    """Tally a node's stored entries by code, in order, with the zeros in their place.

    Returns how many groups there are; missing values go to ``out.missing``.
    """
    hist, code, span, missing = out
    order = np.argsort(codes[members[:m]], kind="mergesort")
    whole = lv.stats[k]
    rest = whole.copy()
    clear(missing)
    n, at_zero = -1, -1
    zeros = lv.stop[k] - lv.start[k] - m
    last = -1
    for i in range(m + 1):
        c = codes[members[order[i]]] if i < m else gone
        if zeros > 0 and at_zero < 0 and c >= zero:
            n += 1
            at_zero, last = n, zero
            clear(hist[n])
            code[n], span[n, 0], span[n, 1] = zero, 0.0, 0.0
        if i == m:
            break
        p = members[order[i]]
        e = entry_of[rows[p]]
        w = lv.weight[e] if lv.weight.size else 1.0
        add(rest, criterion, lv.y[e], -w)
        if c == gone:
            add(missing, criterion, lv.y[e], w)
            continue
        if c != last:
            n += 1
            last = c
            clear(hist[n])
            code[n], span[n, 0], span[n, 1] = c, values[p], values[p]
        add(hist[n], criterion, lv.y[e], w)
        span[n, 0], span[n, 1] = min(span[n, 0], values[p]), max(span[n, 1], values[p])
    if at_zero >= 0:
        hist[at_zero] += rest if of_numbers(criterion) else np.maximum(rest, 0.0)
    return n + 1


@kernel()
def search_stored(
    indptr, rows, values, codes, zeros, gone, node_of, entry_of, signs, lv, rules, tried, used, a, b
):
    """Search every node of the level in the columns a..b; return how many splits were found.

    ``tried`` has room for one split a stored entry, written from ``used`` on.
    """
    size, nodes = lv.stats.shape[1], lv.start.size
    longest = 0
    for q in range(a, b):
        longest = max(longest, indptr[q + 1] - indptr[q])
    head, following = np.full(nodes, -1, np.int64), np.empty(longest, np.int64)
    touched, members = np.empty(min(nodes, longest), np.int64), np.empty(longest, np.int64)
    found = Found(
        np.empty((1, nodes)),
        np.empty((1, nodes)),
        np.empty((1, nodes), np.int64),
        np.empty((1, nodes), np.int64),
    )
    room = 0
    hist, code, span = np.empty((0, size)), np.empty(0, np.int64), np.empty((0, 2))
    missing, present = np.empty(size), np.empty(0, np.int64)
    nothing, no_codes = np.empty((0, 2)), np.empty(0, np.int32)
    for q in range(a, b):
        first, count = indptr[q], 0
        for p in range(first, indptr[q + 1]):
            k = node_of[rows[p]]
            if k < 0:
                continue
            if head[k] < 0:
                touched[count] = k
                count += 1
            following[p - first] = head[k]
            head[k] = p
        for t in range(count):
            k, m = touched[t], 0
            p = head[k]
            head[k] = -1
            while p >= 0:
                members[m] = p
                m += 1
                p = following[p - first]
            if m + 1 > room:
                room = max(m + 1, 2 * room)
                hist, code, span = (
                    np.empty((room, size)),
                    np.empty(room, np.int64),
                    np.empty((room, 2)),
                )
                present = np.arange(room)
            out = (hist, code, span, missing)
            zero = zeros[q]
            n = groups(
                members, m, codes, values, rows, entry_of, zero, gone, lv, k, rules.criterion, out
            )
            absent = weight_of(missing, rules.criterion) > 0.0
            if n == 0 or (n == 1 and not absent):
                continue
            found.gain[0, k] = NEVER
            gaps = span[:n] if rules.gap > 0.0 else nothing
            search_groups(
                found, 0, k, hist, present, n, missing, lv, rules, signs[q], gaps, no_codes
            )
            if found.gain[0, k] == NEVER:
                continue
            tried.feature[used], tried.node[used] = q, k
            tried.gain[used], tried.info[used] = found.gain[0, k], found.info[0, k]
            at = found.split[0, k]
            tried.split[used], tried.toward[used] = code[at], found.toward[0, k]
            tried.above[used] = code[at + 1] if at + 1 < n else -1
            used += 1
    return used


@kernel()
def add_gains(tried, used, lv, rules, total, count):
    """Add up the gains of the columns that gain, as C4.5's choice needs."""
    for i in range(used):
        k = tried.node[i]
        gain = tried.gain[i] / weight_of(lv.stats[k], rules.criterion)
        if gain > MIN_CASE_GAIN:
            total[k] += gain
            count[k] += 1


@kernel()
def choose_tried(tried, used, lv, rules, total, count, best, chosen):
    """Keep the better split of each node, columns in their order; `chosen` as `tried`, by node."""
    for i in range(used):
        k = tried.node[i]
        n = weight_of(lv.stats[k], rules.criterion)
        mean = total[k] / count[k] if count[k] else np.inf
        value = column_score(tried.gain[i], tried.info[i], n, mean, rules.ratio)
        if not better_column(value, best[k], n, rules):
            continue
        best[k] = value
        chosen.feature[k], chosen.gain[k] = tried.feature[i], tried.gain[i]
        chosen.split[k], chosen.above[k] = tried.split[i], tried.above[i]
        chosen.toward[k] = tried.toward[i]


@kernel(inside=True)
def threshold_of(start, stop, values, codes, zero, stores_all, split, above, gone, ratio):
    """Part codes ``split`` and ``above`` of a column in the middle, within no code's range."""
    if above < 0:
        return np.inf
    size = above - split + 1
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    for p in range(start, stop):
        c = codes[p] - split
        if 0 <= c < size:
            low[c], high[c] = min(low[c], values[p]), max(high[c], values[p])
    if not stores_all and 0 <= zero - split < size:
        low[zero - split], high[zero - split] = (
            min(low[zero - split], 0.0),
            max(high[zero - split], 0.0),
        )
    x, y = high[0], low[size - 1]
    middle = x / 2 + y / 2
    for c in range(1, size - 1):
        if low[c] <= middle < high[c]:
            x, y = high[c - 1], low[c]
            middle = x / 2 + y / 2
            break
    if not x <= middle < y:
        middle = x
    if ratio:
        greatest = x
        if not stores_all and greatest < 0.0 <= middle:
            greatest = 0.0
        for p in range(start, stop):
            if codes[p] != gone and greatest < values[p] <= middle:
                greatest = values[p]
        return greatest
    return middle


@kernel()
def divide_stored(
    indptr,
    rows,
    values,
    codes,
    zeros,
    gone,
    node_of,
    entry_of,
    lv,
    chosen,
    rules,
    tree,
    next_node,
    threshold,
    branch,
):
    """Send the entries of every node that has a column; return the next free node."""
    for k in range(lv.start.size):
        q = chosen.feature[k]
        if q < 0:
            continue
        node, zero = lv.node[k], zeros[q]
        start, stop = indptr[q], indptr[q + 1]
        branch[lv.start[k] : lv.stop[k]] = 0 if zero <= chosen.split[k] else 1
        absent = False
        for p in range(start, stop):
            if node_of[rows[p]] == k:
                c = codes[p]
                absent |= c == gone
                branch[entry_of[rows[p]]] = -1 if c == gone else (0 if c <= chosen.split[k] else 1)
        weights = np.zeros(2)
        for e in range(lv.start[k], lv.stop[k]):
            if branch[e] >= 0:
                weights[branch[e]] += lv.weight[e] if lv.weight.size else 1.0
        to, width = int(np.argmax(weights)), 2
        if absent and rules.missing == DIRECTION and chosen.toward[k] >= 0:
            to = chosen.toward[k]
        elif absent and rules.missing == BRANCH:
            to, width = 2, 3
        if rules.missing == FRACTIONAL:
            to = -1
        if absent:
            for e in range(lv.start[k], lv.stop[k]):
                if branch[e] < 0:
                    branch[e] = to
        stores_all = stop - start == node_of.size
        threshold[node] = threshold_of(
            start,
            stop,
            values,
            codes,
            zero,
            stores_all,
            chosen.split[k],
            chosen.above[k],
            gone,
            rules.ratio,
        )
        tree.feature[node], tree.missing_to[node] = q, to
        tree.first[node], tree.width[node] = next_node, width
        next_node += width
    return next_node
