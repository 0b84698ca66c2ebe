"""Best splits of columns that hold few values: a histogram a node, then a search in it.

A number with at most 256 values is searched in the order of its values, exactly. What is said of
names is in `names`.
"""

import math

import numpy as np

from xent._compile.decorator import kernel
from xent.trees._kernels.search.presorted import (
    DIRECTION,
    ENTROPY,
    NEVER,
    SQUARED,
    add,
    branch_least,
    keeps_order,
    nlogn,
    record,
    weigh,
    worth,
)


@kernel()
def tally(codes, lv, k, criterion, hist, seen, present):
    """Fill the histogram of one node; return how many codes are present, listed in `present`."""
    found = 0
    for e in range(lv.start[k], lv.stop[k]):
        c = codes[lv.row[e]]
        if not seen[c]:
            seen[c] = True
            hist[c, :] = 0.0
            present[found] = c
            found += 1
        if criterion == SQUARED:
            add(hist[c], criterion, lv.y[e], lv.weight[e] if lv.weight.size else 1.0)
        else:
            hist[c, int(lv.y[e])] += lv.weight[e] if lv.weight.size else 1.0
    return found


@kernel()
def in_order(present, found, seen, levels):
    """Sort the codes present, a missing value last, and forget which were seen."""
    if found > 24:
        n = 0
        for c in range(levels + 1):
            if seen[c]:
                present[n] = c
                n += 1
                seen[c] = False
        return
    for i in range(found):
        c = present[i]
        seen[c] = False
        j = i - 1
        while j >= 0 and present[j] > c:
            present[j + 1] = present[j]
            j -= 1
        present[j + 1] = c


@kernel()
def histogram_of(codes, lv, k, levels, criterion, hist, seen, present, missing):
    """Count a node's cases by code; return how many codes there are, and whether some miss.

    The codes are listed in `present` in rising order, and cases without one counted in `missing`.
    """
    n = tally(codes, lv, k, criterion, hist, seen, present)
    in_order(present, n, seen, levels)
    missing[:] = 0.0
    if n and present[n - 1] == levels:
        missing[:] = hist[levels]
        n -= 1
    return n, weigh(missing, criterion) > 0.0


@kernel()
def seek_groups(seq, n, hist, left, right, tail, rules, least, sign, low, high, scale):
    """Best cut of a sequence of groups: after which group, of how many cuts, how good."""
    criterion, table = rules.criterion, rules.table
    best, at, cuts = NEVER, -1, 0
    least -= 1e-6
    slack = rules.slack * (weigh(left, criterion) + weigh(right, criterion))
    for i in range(n if tail else n - 1):
        group = hist[seq[i]]
        for c in range(left.size):
            if group[c] != 0.0:
                left[c] += group[c]
                right[c] -= group[c]
                if criterion != SQUARED and right[c] < 0.0:
                    right[c] = 0.0
        nl, nr = weigh(left, criterion), weigh(right, criterion)
        if nl < least or nr < least or nr <= 0.0 or nl <= 0.0:
            continue
        if scale.size and i + 1 < n and not scale[seq[i], 1] + rules.gap < scale[seq[i + 1], 0]:
            continue
        if rules.monotone and not keeps_order(left, right, sign, low, high, criterion):
            continue
        cuts += 1
        value = worth(left, criterion, table) + worth(right, criterion, table)
        if value > best + slack:
            best, at = value, i
    return at, cuts, best


@kernel()
def cut_counts(
    code,
    levels,
    row,
    y,
    start,
    stop,
    whole,
    entropy,
    ratio,
    table,
    slack,
    least,
    hist,
    seen,
    present,
    left,
):
    """Best cut of a coded number where every case weighs 1: its code (-1 none, -2 some missing).

    Plain arrays and numbers: a bundle would cost more to hand over than a small node to search.
    """
    found = np.int64(0)
    size = whole.size
    for e in range(start, stop):
        c = code[row[e]]
        if not seen[c]:
            seen[c] = True
            present[found] = c
            found += 1
            for k in range(size):
                hist[c, k] = 0
        hist[c, int(y[e])] += 1
    in_order(present, found, seen, levels)
    if found and present[found - 1] == levels:
        return -2, NEVER, 0.0
    n = stop - start
    return cut_tallied(hist, present, found, n, whole, entropy, ratio, table, slack, least, left)


@kernel()
def cut_tallied(hist, present, found, n, whole, entropy, ratio, table, slack, least, left):
    """Best cut of n cases counted by code: its code (-1 none), gain and split information."""
    size = whole.size
    if ratio:
        least = max(least, min(25.0, 0.1 * n / size))
        if n < 2.0 * least - 1e-6:
            return -1, NEVER, 0.0
    for k in range(size):
        left[k] = 0
    best, at, cuts, m = NEVER, -1, 0, np.int64(0)
    for i in range(found - 1):
        for k in range(size):
            left[k] += hist[present[i], k]
            m += hist[present[i], k]
        if m < least - 1e-6 or n - m < least - 1e-6:
            continue
        cuts += 1
        # The same sums in the same order as in `worth`.
        a, b = 0.0, 0.0
        for k in range(size):
            p = left[k]
            q = int(whole[k] + 0.5) - p
            a += nlogn(p, table) if entropy else float(p) * p
            b += nlogn(q, table) if entropy else float(q) * q
        value = (
            (a - nlogn(m, table)) + (b - nlogn(n - m, table)) if entropy else a / m + b / (n - m)
        )
        if value > best + slack * n:
            best, at = value, i
    if at < 0:
        return -1, NEVER, 0.0
    w, m = 0.0, np.int64(0)
    for k in range(size):
        v = int(whole[k] + 0.5)
        w += nlogn(v, table) if entropy else float(v) * v
    for i in range(at + 1):
        for k in range(size):
            m += hist[present[i], k]
    gain = best - (w - nlogn(n, table) if entropy else w / n)
    if ratio:
        gain -= math.log2(max(cuts, 1))
    return present[at], gain, nlogn(n, table) - (nlogn(m, table) + nlogn(n - m, table))


@kernel()
def scan_codes(codes, levels, slots, feature, scale, base, nodes, signs, lv, rules, found, a, b):
    """Search some nodes of the level in the coded columns of numbers a..b."""
    criterion = rules.criterion
    size = lv.stats.shape[1]
    widest = 0
    for q in range(a, b):
        widest = max(widest, levels[q])
    hist = np.empty((widest + 1, size))
    seen = np.zeros(widest + 1, np.bool_)
    present = np.empty(widest + 1, np.int64)
    missing, nothing = np.empty(size), np.empty((0, 2))
    counts, count_left = np.empty((widest + 1, size), np.int64), np.empty(size, np.int64)
    counted = rules.table.size > 0 and not rules.monotone and rules.gap == 0.0
    entropy, ratio, table, slack = criterion == ENTROPY, rules.ratio, rules.table, rules.slack
    starts, stops, all_stats, row, y = lv.start, lv.stop, lv.stats, lv.row, lv.y
    gains, infos, cuts_at, towards = found.gain, found.info, found.cut, found.toward
    for q in range(a, b):
        f = feature[q]
        code = codes[slots[q]]
        for k in nodes:
            gains[f, k] = NEVER
            if counted:
                at, gain, info = cut_counts(
                    code,
                    levels[q],
                    row,
                    y,
                    starts[k],
                    stops[k],
                    all_stats[k],
                    entropy,
                    ratio,
                    table,
                    slack,
                    rules.least,
                    counts,
                    seen,
                    present,
                    count_left,
                )
                if at >= -1:
                    cuts_at[f, k], gains[f, k], infos[f, k], towards[f, k] = at, gain, info, -1
                    continue
            n, absent = histogram_of(
                codes[slots[q]], lv, k, levels[q], criterion, hist, seen, present, missing
            )
            if n == 0 or (n == 1 and not absent):
                continue
            values = scale[base[q] : base[q] + levels[q]] if rules.gap > 0.0 else nothing
            number_cut(
                found, f, k, hist, present, n, missing, lv, rules, signs[f], values, codes[slots[q]]
            )


@kernel()
def number_cut(found, f, k, hist, present, n, missing, lv, rules, sign, values, codes):
    """Best cut of a coded number in one node."""
    criterion = rules.criterion
    whole, low, high = lv.stats[k], lv.low[k], lv.high[k]
    size = whole.size
    absent = weigh(missing, criterion) > 0.0
    known = weigh(whole, criterion) - weigh(missing, criterion)
    least = branch_least(rules, known, size)
    if rules.ratio and lv.undivided.size:
        known = 0.0
        last = present[n - 1]
        for e in range(lv.start[k], lv.stop[k]):
            if codes[lv.row[e]] <= last:
                known += lv.undivided[e]
    if rules.ratio and known < 2.0 * least - 1e-6:
        return
    split = absent and rules.missing == DIRECTION
    left = np.zeros(size)
    right = whole.copy() if split else whole - missing
    toward = 1 if split else -1
    at, cuts, best = seek_groups(
        present, n, hist, left, right, split, rules, least, sign, low, high, values
    )
    if split:
        left[:] = missing
        right[:] = whole - missing
        at2, cuts2, best2 = seek_groups(
            present, n, hist, left, right, np.bool_(False), rules, least, sign, low, high, values
        )
        if best2 > best + rules.slack * weigh(whole, criterion):
            at, cuts, toward = at2, cuts2, 0
    if at < 0:
        return
    left[:] = 0.0
    right[:] = 0.0
    for i in range(n):
        if i <= at:
            left += hist[present[i]]
        else:
            right += hist[present[i]]
    record(found, f, k, left, right, missing, whole, cuts, rules, toward, present[at])
