"""Best splits of nominal columns: a histogram a node, then a search in it.

A column is divided into one branch a level, one level against the rest, or two groups: for two
classes and for a number the groups are an interval of the levels ordered by their mean (Breiman et
al. 1984, theorem 4.5); for more classes the best of the orders by each class's share and by the
first principal component (Coppersmith, Hong, Hosking 1999), then single levels change sides while
it helps.
"""

import math

import numpy as np

from xent._compile.decorator import kernel, step
from xent.trees._kernels.criteria import (
    BRANCH,
    DIRECTION,
    ENTROPY,
    MULTIWAY,
    NEVER,
    ONE_VS_REST,
    of_numbers,
    pair_score,
    score,
    weight_of,
    xlogx,
)
from xent.trees._kernels.search.coded import best_of_groups, histogram_of
from xent.trees._kernels.search.presorted import record

ORDERS = 24  # orders by one class's share that are tried: of the heaviest classes


@kernel()
def search_names(codes, levels, slots, feature, lv, rules, found, a, b):
    """Search every node of the level in the nominal columns a..b."""
    criterion = rules.criterion
    size = lv.stats.shape[1]
    widest = levels[a:b].max()
    hist = np.empty((widest + 1, size))
    seen = np.zeros(widest + 1, np.uint8)
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
                for c in range(size):
                    missing[c] = 0.0
            known = whole - missing
            value = two_groups(hist, present, n, known, rules, lv.low[k], lv.high[k], side)
            if value == NEVER:
                continue
            sum_sides(hist, present, n, side, left, right)
            record(found, f, k, left, right, missing, whole, one, rules, never, never)
            if criterion == ENTROPY and not rules.ratio and rules.nominal != ONE_VS_REST:
                # To say which levels form the group takes a bit for each but the first.
                found.gain[f, k] -= n - 1


@step()
def sum_sides(hist, present, n, side, left, right):
    """Add up the groups on either side."""
    for c in range(left.size):
        left[c], right[c] = 0.0, 0.0
        for i in range(n):
            if side[present[i]]:
                right[c] += hist[present[i], c]
            else:
                left[c] += hist[present[i], c]


@kernel(inside=True)
def many_branches(found, f, k, hist, present, n, missing, whole, rules):
    """One branch a level; two of them must carry the least weight."""
    criterion, table = rules.criterion, rules.table
    heavy = 0
    gain, info = 0.0, 0.0
    known = np.zeros(whole.size)
    for i in range(n):
        group = hist[present[i]]
        m = weight_of(group, criterion)
        heavy += m >= rules.min_leaf - 1e-6
        gain += score(group, criterion, table)
        info += xlogx(m, table)
        known += group
    m = weight_of(missing, criterion)
    toward = -1
    slack = rules.slack * weight_of(whole, criterion)
    union = score(known, criterion, table)
    if m > 0.0:
        if rules.missing == DIRECTION:
            # Missing values join the branch where they disturb least.
            best = NEVER
            for i in range(n):
                group = hist[present[i]]
                change = score(group + missing, criterion, table) - score(group, criterion, table)
                if change > best + slack:
                    best, toward = change, present[i]
            gain += best
            p = weight_of(hist[toward], criterion)
            info += xlogx(p + m, table) - xlogx(p, table)
            union = score(whole, criterion, table)
        else:
            info += xlogx(m, table)
            if rules.missing == BRANCH:
                heavy += m >= rules.min_leaf - 1e-6
                gain += score(missing, criterion, table)
                union = score(whole, criterion, table)
    if heavy < 2:
        return
    found.gain[f, k] = gain - union
    found.info[f, k] = xlogx(weight_of(whole, criterion), table) - info
    found.split[f, k] = -1
    found.toward[f, k] = toward


@kernel(inside=True)
def two_groups(hist, present, n, total, rules, low, high, side):
    """Divide the levels present into two groups; `side` says which are in the right one."""
    criterion = rules.criterion
    size = total.size
    left, right = np.zeros(size), np.zeros(size)
    best = NEVER
    slack = rules.slack * weight_of(total, criterion)
    if rules.nominal == ONE_VS_REST:
        for i in range(n):
            for c in range(size):
                left[c] = hist[present[i], c]
                right[c] = total[c] - left[c]
            value = pair_score(left, right, rules, rules.min_leaf, np.int8(0), low, high)
            if value > best + slack:
                best = value
                for j in range(n):
                    side[present[j]] = j != i
        return best
    nothing = np.empty((0, 2))
    seq = np.empty(n, np.int64)
    key = np.empty(n)
    orders = 1 if of_numbers(criterion) or size <= 2 else min(size, ORDERS) + 1
    heavy = np.argsort(-total) if orders > 1 else np.zeros(1, np.int64)
    for o in range(orders):
        order_keys(hist, present, n, total, criterion, o, orders, heavy, key)
        ranked = np.argsort(key, kind="mergesort")
        for i in range(n):
            seq[i] = present[ranked[i]]
        for c in range(size):
            left[c], right[c] = 0.0, total[c]
        at, _, value = best_of_groups(
            seq,
            n,
            hist,
            left,
            right,
            np.bool_(False),
            rules,
            rules.min_leaf,
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


@kernel(inside=True)
def order_keys(hist, present, n, total, criterion, o, orders, heavy, key):
    """Place the levels on a line: by mean, by one class's share, or by the first component."""
    size = total.size
    if of_numbers(criterion):
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
            for c in range(size):
                axis[c] = away[c]
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
        for c in range(size):
            axis[c] = turned[c] / length
    for i in range(n):
        m = hist[present[i]].sum()
        key[i] = 0.0
        for c in range(size):
            key[i] += hist[present[i], c] / m * axis[c]


@kernel(inside=True)
def move_levels(hist, present, n, rules, low, high, side, best):
    """Let single levels change sides while the split gets better."""
    size = hist.shape[1]
    left, right = np.zeros(size), np.zeros(size)
    sum_sides(hist, present, n, side, left, right)
    slack = rules.slack * (weight_of(left, rules.criterion) + weight_of(right, rules.criterion))
    for _ in range(8):
        moved = False
        for i in range(n):
            group = hist[present[i]]
            sign = 1.0 if side[present[i]] else -1.0
            for c in range(size):
                left[c] = max(left[c] + sign * group[c], 0.0)
                right[c] = max(right[c] - sign * group[c], 0.0)
            value = pair_score(left, right, rules, rules.min_leaf, np.int8(0), low, high)
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
