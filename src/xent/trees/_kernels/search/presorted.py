"""The best splits of sorted columns: every split between two values of a node is tried."""

import numpy as np

from xent._compile.decorator import kernel, step
from xent.trees._kernels.criteria import (
    BRANCH,
    DIRECTION,
    ENTROPY,
    NEVER,
    POISSON,
    SQUARED,
    add,
    keeps_order,
    less_threshold,
    min_branch,
    no_rate,
    of_numbers,
    poisson_score,
    score,
    term,
    too_few,
    too_light,
    weight_of,
    xlogx,
)
from xent.trees._kernels.records import UNSEEN_CODE
from xent.trees._kernels.search.split_counts import Listed, search_counts


@kernel()
def search_known(ranks, indices, place, slots, feature, numbers, lv, rules, found, a, b):
    """Search every node in the sorted columns a..b; each row weighs 1 and knows its values."""
    size = lv.stats.shape[1]
    left, right = np.empty(size, np.int64), np.empty(size, np.int64)
    for q in range(a, b):
        f = feature[q]
        entries = Listed(ranks[place[q]], indices[place[q]], lv.y, lv.row, numbers[:, slots[q]])
        for k in range(lv.start.size):
            start, stop = lv.start[k], lv.stop[k]
            found.gain[f, k] = NEVER
            if entries.rank[start] == entries.rank[stop - 1]:
                continue
            found.split[f, k], found.gain[f, k], found.info[f, k], _ = search_counts(
                entries, start, stop, lv.stats[k], rules, NEVER, left, right
            )
            found.toward[f, k] = -1


@step()
def best_of_any(entries, lv, k, start, stop, left, right, tail, rules, min_weight, sign):
    """Best split of sorted entries of any weight; `tail`: all known values against the missing."""
    criterion, table, rank, index = rules.criterion, rules.table, entries.rank, entries.entry
    best, at, splits = NEVER, -1, np.int64(0)
    nl, nr = weight_of(left, criterion), weight_of(right, criterion)
    slack = rules.slack * (nl + nr)
    a, b = 0.0, 0.0
    if not of_numbers(criterion):
        for c in range(left.size):
            a += term(left[c], criterion, table)
            b += term(right[c], criterion, table)
    for i in range(start, stop if tail else stop - 1):
        e = index[i]
        w = lv.weight[e] if lv.weight.size else 1.0
        nl += w
        nr = max(nr - w, 0.0)
        if of_numbers(criterion):
            add(left, criterion, lv.y[e], w)
            add(right, criterion, lv.y[e], -w)
        else:
            c = int(lv.y[e])
            p = left[c]
            q = right[c]
            left[c] = p + w
            right[c] = max(q - w, 0.0)
            a += term(left[c], criterion, table) - term(p, criterion, table)
            b += term(right[c], criterion, table) - term(q, criterion, table)
        if too_light(nl, nr, min_weight) or nr <= 0.0:
            continue
        if i + 1 < stop:
            if rank[i] == rank[i + 1]:
                continue
            if rules.gap > 0.0:
                x = entries.column[lv.row[e]]
                if not x + rules.gap < entries.column[lv.row[index[i + 1]]]:
                    continue
        if rules.monotone and not keeps_order(left, right, sign, lv.low[k], lv.high[k], criterion):
            continue
        if no_rate(left, right, criterion):
            continue
        splits += 1
        if criterion == SQUARED:
            value = left[1] * left[1] / nl + right[1] * right[1] / nr
        elif criterion == POISSON:
            value = poisson_score(left[1], nl) + poisson_score(right[1], nr)
        elif criterion == ENTROPY:
            value = a - xlogx(nl, table) + b - xlogx(nr, table)
        else:
            value = a / nl + b / nr
        if value > best + slack:
            best, at = value, i
    return at, splits, best


@step()
def known_weight(index, start, stop, lv):
    """Weight of the known cases before missing values divided it."""
    if lv.weight.size == 0:
        return float(stop - start)
    total = 0.0
    for i in range(start, stop):
        e = index[i]
        total += lv.undivided[e] if lv.undivided.size else lv.weight[e]
    return total


@kernel(inside=True)
def record(found, f, k, left, right, missing, whole, splits, rules, toward, split):
    """Write down a binary split with its gain, computed afresh from the branches."""
    criterion, table = rules.criterion, rules.table
    m = weight_of(missing, criterion)
    n = weight_of(whole, criterion)
    if m > 0.0 and toward == 0:
        left += missing
    elif m > 0.0 and toward == 1:
        right += missing
    gain = score(left, criterion, table) + score(right, criterion, table)
    info = xlogx(weight_of(left, criterion), table) + xlogx(weight_of(right, criterion), table)
    if m > 0.0 and toward < 0:
        info += xlogx(m, table)
        gain += score(missing, criterion, table)
    if m > 0.0 and toward < 0 and rules.missing != BRANCH:
        gain -= score(left + right, criterion, table) + score(missing, criterion, table)
    else:
        gain -= score(whole, criterion, table)
    found.gain[f, k] = less_threshold(gain, splits, rules)
    found.info[f, k] = xlogx(n, table) - info
    found.split[f, k] = split
    found.toward[f, k] = toward


@step()
def tally_entries(index, start, stop, lv, criterion, out):
    """Write the stats of some sorted entries."""
    for c in range(out.size):
        out[c] = 0.0
    for i in range(start, stop):
        e = index[i]
        add(out, criterion, lv.y[e], lv.weight[e] if lv.weight.size else 1.0)


@kernel(inside=True)
def search_node(entries, lv, k, stop, missing, rules, sign, left, right, found, f):
    """Search one node whose entries weigh anything; from `stop` on values are missing."""
    criterion, index = rules.criterion, entries.entry
    start, end, whole = lv.start[k], lv.stop[k], lv.stats[k]
    min_weight = min_branch(
        rules, weight_of(whole, criterion) - weight_of(missing, criterion), left.size
    )
    if rules.ratio and too_few(rules, known_weight(index, start, stop, lv), min_weight):
        return
    either = rules.missing == DIRECTION and stop < end
    toward = -1
    for c in range(left.size):
        left[c] = 0.0
        right[c] = whole[c] if either else whole[c] - missing[c]
    at, splits, best = best_of_any(
        entries, lv, k, start, stop, left, right, either, rules, min_weight, sign
    )
    if either:
        toward = 1
        for c in range(left.size):
            left[c] = missing[c]
            right[c] = whole[c] - missing[c]
        at2, splits2, best2 = best_of_any(
            entries, lv, k, start, stop, left, right, False, rules, min_weight, sign
        )
        if best2 > best + rules.slack * weight_of(whole, criterion):
            at, splits, toward = at2, splits2, 0
    if at < 0:
        return
    tally_entries(index, start, at + 1, lv, criterion, left)
    if of_numbers(criterion) or lv.weight.size:
        tally_entries(index, at + 1, stop, lv, criterion, right)
    else:
        for c in range(left.size):
            right[c] = whole[c] - missing[c] - left[c]
    record(found, f, k, left, right, missing, whole, splits, rules, toward, at)


@kernel()
def search_sorted(ranks, indices, place, slots, feature, numbers, signs, lv, rules, found, a, b):
    """Search every node of the level in the sorted columns a..b."""
    size = lv.stats.shape[1]
    left, right, missing = np.empty(size), np.empty(size), np.empty(size)
    count_left, count_right = np.empty(size, np.int64), np.empty(size, np.int64)
    counts = rules.table.size > 0 and not rules.monotone
    for q in range(a, b):
        f = feature[q]
        rank, index = ranks[place[q]], indices[place[q]]
        entries = Listed(rank, index, lv.y, lv.row, numbers[:, slots[q]])
        for k in range(lv.start.size):
            start, end = lv.start[k], lv.stop[k]
            stop = end
            for c in range(size):
                missing[c] = 0.0
            while stop > start and rank[stop - 1] == UNSEEN_CODE:
                stop -= 1
                e = index[stop]
                add(missing, rules.criterion, lv.y[e], lv.weight[e] if lv.weight.size else 1.0)
            found.gain[f, k] = NEVER
            if stop == start or (rank[start] == rank[stop - 1] and stop == end):
                continue
            if counts and stop == end:
                found.split[f, k], found.gain[f, k], found.info[f, k], _ = search_counts(
                    entries, start, stop, lv.stats[k], rules, NEVER, count_left, count_right
                )
                found.toward[f, k] = -1
                continue
            search_node(entries, lv, k, stop, missing, rules, signs[f], left, right, found, f)
