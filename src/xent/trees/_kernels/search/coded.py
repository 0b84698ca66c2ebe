"""The best splits of columns that hold few values: a histogram a node, then a search in it.

A number with at most 256 values is searched in the order of its values, exactly. What is said of
names is in `nominal`.
"""

import numpy as np

from xent._compile.decorator import kernel, step
from xent.trees._kernels.criteria import (
    DIRECTION,
    ENTROPY,
    NEVER,
    add,
    count_score,
    count_term,
    gain_of_counts,
    less_threshold,
    min_branch,
    of_numbers,
    pair_score,
    split_information,
    too_few,
    too_light,
    weight_of,
)
from xent.trees._kernels.search.presorted import record


@step()
def tally(codes, lv, k, criterion, hist, seen, present):
    """Fill the histogram of one node; return how many codes are present, listed in `present`."""
    found = 0
    for e in range(lv.start[k], lv.stop[k]):
        c = codes[lv.row[e]]
        if not seen[c]:
            seen[c] = 1
            for j in range(hist.shape[1]):
                hist[c, j] = 0.0
            present[found] = c
            found += 1
        if of_numbers(criterion):
            add(hist[c], criterion, lv.y[e], lv.weight[e] if lv.weight.size else 1.0)
        else:
            hist[c, int(lv.y[e])] += lv.weight[e] if lv.weight.size else 1.0
    return found


@step()
def in_order(present, found, seen, levels):
    """Sort the codes present, a missing value last, and forget which were seen."""
    if found > 24:
        n = 0
        for c in range(levels + 1):
            if seen[c]:
                present[n] = c
                n += 1
                seen[c] = 0
        return
    for i in range(found):
        c = present[i]
        seen[c] = 0
        j = i - 1
        while j >= 0 and present[j] > c:
            present[j + 1] = present[j]
            j -= 1
        present[j + 1] = c


@step()
def histogram_of(codes, lv, k, levels, criterion, hist, seen, present, missing):
    """Count a node's rows by code; return how many codes there are, and whether some miss.

    The codes are listed in `present` in rising order, and rows without one counted in `missing`.
    """
    n = tally(codes, lv, k, criterion, hist, seen, present)
    in_order(present, n, seen, levels)
    absent = n > 0 and present[n - 1] == levels
    for c in range(missing.size):
        missing[c] = hist[levels, c] if absent else 0.0
    if absent:
        n -= 1
    return n, weight_of(missing, criterion) > 0.0


@step()
def best_of_groups(seq, n, hist, left, right, tail, rules, min_weight, sign, low, high, scale):
    """Best split of a sequence of groups: after which group, of how many splits, how good."""
    criterion = rules.criterion
    best, at, splits = NEVER, -1, np.int64(0)
    slack = rules.slack * (weight_of(left, criterion) + weight_of(right, criterion))
    for i in range(n if tail else n - 1):
        group = hist[seq[i]]
        for c in range(left.size):
            if group[c] != 0.0:
                left[c] += group[c]
                right[c] -= group[c]
                if not of_numbers(criterion) and right[c] < 0.0:
                    right[c] = 0.0
        if scale.size and i + 1 < n and not scale[seq[i], 1] + rules.gap < scale[seq[i + 1], 0]:
            continue
        value = pair_score(left, right, rules, min_weight, sign, low, high)
        splits += value > NEVER
        if value > best + slack:
            best, at = value, i
    return at, splits, best


@step()
def search_code_counts(code, levels, row, y, start, stop, whole, rules, hist, seen, present, left):
    """Best split of a coded number where every row weighs 1: its code (-1 none, -2 some missing).

    Plain arrays and numbers: a bundle would cost more to hand over than a small node to search.
    """
    found = np.int64(0)
    size = whole.size
    for e in range(start, stop):
        c = code[row[e]]
        if not seen[c]:
            seen[c] = 1
            present[found] = c
            found += 1
            for k in range(size):
                hist[c, k] = 0
        hist[c, int(y[e])] += 1
    in_order(present, found, seen, levels)
    if found and present[found - 1] == levels:
        return -2, NEVER, 0.0
    return search_tallied(hist, present, found, stop - start, whole, rules, left)


@step()
def search_tallied(hist, present, found, n, whole, rules, left):
    """Best split of n rows counted by code: its code (-1 none), gain and split information."""
    size, entropy, table = whole.size, rules.criterion == ENTROPY, rules.table
    min_weight = min_branch(rules, n, size)
    if too_few(rules, n, min_weight):
        return -1, NEVER, 0.0
    for k in range(size):
        left[k] = 0
    best, at, splits, m = NEVER, -1, np.int64(0), np.int64(0)
    for i in range(found - 1):
        for k in range(size):
            left[k] += hist[present[i], k]
            m += hist[present[i], k]
        if too_light(m, n - m, min_weight):
            continue
        splits += 1
        a, b = 0.0, 0.0
        for k in range(size):
            a += count_term(left[k], entropy, table)
            b += count_term(int(whole[k] + 0.5) - left[k], entropy, table)
        value = count_score(a, m, entropy, table) + count_score(b, n - m, entropy, table)
        if value > best + rules.slack * n:
            best, at = value, i
    if at < 0:
        return -1, NEVER, 0.0
    m = np.int64(0)
    for k in range(size):
        left[k] = 0
        for i in range(at + 1):
            left[k] += hist[present[i], k]
        m += left[k]
    gain = gain_of_counts(left, whole, m, n, entropy, table)
    return present[at], less_threshold(gain, splits, rules), split_information(m, n, table)


@kernel()
def search_codes(codes, levels, slots, feature, scale, base, nodes, signs, lv, rules, found, a, b):
    """Search some nodes of the level in the coded columns of numbers a..b."""
    size = lv.stats.shape[1]
    widest = 0
    for q in range(a, b):
        widest = max(widest, levels[q])
    hist = np.empty((widest + 1, size))
    seen = np.zeros(widest + 1, np.uint8)
    present = np.empty(widest + 1, np.int64)
    missing, nothing = np.empty(size), np.empty((0, 2))
    counts, left = np.empty((widest + 1, size), np.int64), np.empty(size, np.int64)
    by_counts = rules.table.size > 0 and not rules.monotone and rules.gap == 0.0
    starts, stops, all_stats, row, y = lv.start, lv.stop, lv.stats, lv.row, lv.y
    gains, infos, splits, towards = found.gain, found.info, found.split, found.toward
    for q in range(a, b):
        f = feature[q]
        code = codes[slots[q]]
        for k in nodes:
            gains[f, k] = NEVER
            if by_counts:
                start, stop, whole = starts[k], stops[k], all_stats[k]
                at, gain, info = search_code_counts(
                    code, levels[q], row, y, start, stop, whole, rules, counts, seen, present, left
                )
                if at >= -1:
                    splits[f, k], gains[f, k], infos[f, k], towards[f, k] = at, gain, info, -1
                    continue
            n, absent = histogram_of(
                code, lv, k, levels[q], rules.criterion, hist, seen, present, missing
            )
            if n == 0 or (n == 1 and not absent):
                continue
            values = scale[base[q] : base[q] + levels[q]] if rules.gap > 0.0 else nothing
            search_groups(found, f, k, hist, present, n, missing, lv, rules, signs[f], values, code)


@kernel(inside=True)
def search_groups(found, f, k, hist, present, n, missing, lv, rules, sign, values, codes):
    """Best split of a coded number in one node."""
    criterion = rules.criterion
    whole, low, high = lv.stats[k], lv.low[k], lv.high[k]
    size = whole.size
    absent = weight_of(missing, criterion) > 0.0
    known = weight_of(whole, criterion) - weight_of(missing, criterion)
    min_weight = min_branch(rules, known, size)
    if rules.ratio and lv.undivided.size:
        known = 0.0
        last = present[n - 1]
        for e in range(lv.start[k], lv.stop[k]):
            if codes[lv.row[e]] <= last:
                known += lv.undivided[e]
    if too_few(rules, known, min_weight):
        return
    either = absent and rules.missing == DIRECTION
    left, right = np.zeros(size), np.empty(size)
    for c in range(size):
        right[c] = whole[c] if either else whole[c] - missing[c]
    toward = 1 if either else -1
    at, splits, best = best_of_groups(
        present, n, hist, left, right, either, rules, min_weight, sign, low, high, values
    )
    if either:
        for c in range(size):
            left[c] = missing[c]
            right[c] = whole[c] - missing[c]
        at2, splits2, best2 = best_of_groups(
            present,
            n,
            hist,
            left,
            right,
            np.bool_(False),
            rules,
            min_weight,
            sign,
            low,
            high,
            values,
        )
        if best2 > best + rules.slack * weight_of(whole, criterion):
            at, splits, toward = at2, splits2, 0
    if at < 0:
        return
    for c in range(size):
        left[c], right[c] = 0.0, 0.0
        for i in range(n):
            if i <= at:
                left[c] += hist[present[i], c]
            else:
                right[c] += hist[present[i], c]
    record(found, f, k, left, right, missing, whole, splits, rules, toward, present[at])
