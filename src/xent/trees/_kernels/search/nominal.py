"""Best splits of nominal columns: a histogram a node, then a search in it.

A column is divided into one branch a level, one level against the rest, or two groups: for two
classes and for a number the groups are an interval of the levels ordered by their mean (Breiman et
al. 1984, theorem 4.5); for more classes the best of the orders by each class's share and by the
first principal component (Coppersmith, Hong, Hosking 1999), then single levels change sides while
it helps.
"""

import math

import numpy as np

from xent._compile.decorator import kernel
from xent.trees._kernels.search.coded import histogram_of, seek_groups
from xent.trees._kernels.search.presorted import (
    BRANCH,
    DIRECTION,
    ENTROPY,
    MULTIWAY,
    NEVER,
    ONE_VS_REST,
    SQUARED,
    keeps_order,
    record,
    weigh,
    worth,
    xlogx,
)

ORDERS = 24  # orders by one class's share that are tried: of the heaviest classes


@kernel()
def scan_names(codes, levels, slots, feature, lv, rules, found, a, b):
    """Search every node of the level in the nominal columns a..b."""
    criterion = rules.criterion
    size = lv.stats.shape[1]
    widest = levels[a:b].max()
    hist = np.empty((widest + 1, size))
    seen = np.zeros(widest + 1, np.bool_)
    present = np.empty(widest + 1, np.int64)
    side = np.zeros(widest + 1, np.uint8)
    missing, left, right = np.empty(size), np.empty(size), np.empty(size)
    one, never = np.int64(1), np.int64(-1)  # typed, so that `record` is compiled once
    for q in range(a, b):
        f = feature[q]
        for k in range(lv.start.size):
            found.gain[f, k] = NEVER
            whole = lv.stats[k]
            n, absent = histogram_of(
                codes[slots[q]], lv, k, levels[q], criterion, hist, seen, present, missing
            )
            if n == 0 or (n == 1 and not absent):
                continue
            if rules.nominal == MULTIWAY:
                many_branches(found, f, k, hist, present, n, missing, whole, rules)
                continue
            if absent and rules.missing == DIRECTION:
                n += 1
                missing[:] = 0.0
            known = whole - missing
            value = two_groups(hist, present, n, known, rules, lv.low[k], lv.high[k], side)
            if value == NEVER:
                continue
            left[:] = 0.0
            right[:] = 0.0
            for i in range(n):
                if side[present[i]]:
                    right += hist[present[i]]
                else:
                    left += hist[present[i]]
            record(found, f, k, left, right, missing, whole, one, rules, never, never)
            if criterion == ENTROPY and not rules.ratio and rules.nominal != ONE_VS_REST:
                # To say which levels form the group takes a bit for each but the first.
                found.gain[f, k] -= n - 1


@kernel()
def many_branches(found, f, k, hist, present, n, missing, whole, rules):
    """One branch a level; two of them must carry the least weight."""
    criterion, table = rules.criterion, rules.table
    heavy = 0
    gain, info = 0.0, 0.0
    known = np.zeros(whole.size)
    for i in range(n):
        group = hist[present[i]]
        m = weigh(group, criterion)
        heavy += m >= rules.least - 1e-6
        gain += worth(group, criterion, table)
        info += xlogx(m, table)
        known += group
    m = weigh(missing, criterion)
    toward = -1
    slack = rules.slack * weigh(whole, criterion)
    union = worth(known, criterion, table)
    if m > 0.0:
        if rules.missing == DIRECTION:
            # Missing values join the branch where they disturb least.
            best = NEVER
            for i in range(n):
                group = hist[present[i]]
                change = worth(group + missing, criterion, table) - worth(group, criterion, table)
                if change > best + slack:
                    best, toward = change, present[i]
            gain += best
            p = weigh(hist[toward], criterion)
            info += xlogx(p + m, table) - xlogx(p, table)
            union = worth(whole, criterion, table)
        else:
            info += xlogx(m, table)
            if rules.missing == BRANCH:
                heavy += m >= rules.least - 1e-6
                gain += worth(missing, criterion, table)
                union = worth(whole, criterion, table)
    if heavy < 2:
        return
    found.gain[f, k] = gain - union
    found.info[f, k] = xlogx(weigh(whole, criterion), table) - info
    found.cut[f, k] = -1
    found.toward[f, k] = toward


@kernel()
def two_groups(hist, present, n, total, rules, low, high, side):
    """Divide the levels present into two groups; `side` says which are in the right one."""
    criterion = rules.criterion
    size = total.size
    left, right = np.zeros(size), np.zeros(size)
    best = NEVER
    slack = rules.slack * weigh(total, criterion)
    if rules.nominal == ONE_VS_REST:
        for i in range(n):
            left[:] = hist[present[i]]
            right[:] = total - left
            value = judge(left, right, rules, low, high)
            if value > best + slack:
                best = value
                for j in range(n):
                    side[present[j]] = j != i
        return best
    nothing = np.empty((0, 2))
    seq = np.empty(n, np.int64)
    key = np.empty(n)
    orders = 1 if criterion == SQUARED or size <= 2 else min(size, ORDERS) + 1
    heavy = np.argsort(-total) if orders > 1 else np.zeros(1, np.int64)
    for o in range(orders):
        order_keys(hist, present, n, total, criterion, o, orders, heavy, key)
        ranked = np.argsort(key, kind="mergesort")
        for i in range(n):
            seq[i] = present[ranked[i]]
        left[:] = 0.0
        right[:] = total
        at, _, value = seek_groups(
            seq,
            n,
            hist,
            left,
            right,
            np.bool_(False),
            rules,
            rules.least,
            np.int8(0),
            low,
            high,
            nothing,
        )
        if at >= 0 and value > best + slack:
            best = value
            for i in range(n):
                side[seq[i]] = i > at
    if best > NEVER and orders > 1:
        best = move_levels(hist, present, n, rules, low, high, side, best)
    return best


@kernel()
def judge(left, right, rules, low, high):
    """Worth of two branches, or never."""
    criterion = rules.criterion
    nl, nr = weigh(left, criterion), weigh(right, criterion)
    least = rules.least - 1e-6
    if nl < least or nr < least or nl <= 0.0 or nr <= 0.0:
        return NEVER
    if rules.monotone and not keeps_order(left, right, np.int8(0), low, high, criterion):
        return NEVER
    return worth(left, criterion, rules.table) + worth(right, criterion, rules.table)


@kernel()
def order_keys(hist, present, n, total, criterion, o, orders, heavy, key):
    """Place the levels on a line: by mean, by one class's share, or by the first component."""
    size = total.size
    if criterion == SQUARED:
        for i in range(n):
            key[i] = hist[present[i], 1] / hist[present[i], 0]
        return
    if o < orders - 1 or orders == 1:
        c = heavy[o] if orders > 1 else size - 1
        for i in range(n):
            key[i] = hist[present[i], c] / hist[present[i]].sum()
        return
    mean = total / total.sum()
    axis = np.zeros(size)
    far = -1.0
    for i in range(n):
        m = hist[present[i]].sum()
        away = hist[present[i]] / m - mean
        distance = m * (away * away).sum()
        if distance > far:
            far = distance
            axis[:] = away
    for _ in range(12):
        turned = np.zeros(size)
        for i in range(n):
            m = hist[present[i]].sum()
            dot = 0.0
            for c in range(size):
                dot += (hist[present[i], c] / m - mean[c]) * axis[c]
            for c in range(size):
                turned[c] += m * dot * (hist[present[i], c] / m - mean[c])
        length = math.sqrt((turned * turned).sum())
        if length == 0.0:
            break
        axis[:] = turned / length
    for i in range(n):
        m = hist[present[i]].sum()
        key[i] = 0.0
        for c in range(size):
            key[i] += hist[present[i], c] / m * axis[c]


@kernel()
def move_levels(hist, present, n, rules, low, high, side, best):
    """Let single levels change sides while the split gets better."""
    size = hist.shape[1]
    left, right = np.zeros(size), np.zeros(size)
    for i in range(n):
        if side[present[i]]:
            right += hist[present[i]]
        else:
            left += hist[present[i]]
    slack = rules.slack * (weigh(left, rules.criterion) + weigh(right, rules.criterion))
    for _ in range(8):
        moved = False
        for i in range(n):
            group = hist[present[i]]
            sign = 1.0 if side[present[i]] else -1.0
            for c in range(size):
                left[c] = max(left[c] + sign * group[c], 0.0)
                right[c] = max(right[c] - sign * group[c], 0.0)
            value = judge(left, right, rules, low, high)
            if value > best + slack:
                best = value
                side[present[i]] = not side[present[i]]
                moved = True
            else:
                for c in range(size):
                    left[c] = max(left[c] - sign * group[c], 0.0)
                    right[c] = max(right[c] + sign * group[c], 0.0)
        if not moved:
            break
    return best
