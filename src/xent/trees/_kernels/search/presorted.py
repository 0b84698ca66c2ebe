"""What every column could do for every node of a level: the loops that look for the best split.

A node's `stats` are its class weights, or (weight, sum, sum of squares) of a number. `worth` turns
them into the quantity that a split raises: minus the weighted entropy (bits), Gini impurity or
squared error, up to a constant of the node. A gain is the worth of the branches minus the worth of
their union; it is always computed again from the branches' stats, in one order, so that two columns
that divide the cases alike gain alike to the last bit and the first column wins.
"""

import math
from typing import NamedTuple

import numpy as np

from xent._compile.decorator import kernel
from xent.trees._kernels.search.split_counts import earned, seek_counts, seek_two

UNKNOWN = np.int32(2**31 - 1)  # rank of a missing number: behind all others
ENTROPY, GINI, SQUARED = 0, 1, 2
DIRECTION, FRACTIONAL, BRANCH, SURROGATE, REFUSE = 0, 1, 2, 3, 4
SUBSET, MULTIWAY, ONE_VS_REST = 0, 1, 2
NEVER = -np.inf


class Rules(NamedTuple):
    """What the loops must know of the estimator's options."""

    criterion: int
    ratio: bool  # choose among columns by gain ratio, as C4.5 does
    nominal: int
    missing: int
    least: float  # weight of the smallest branch
    slack: float  # a gain that is not greater by this much a case is a tie
    gap: float  # a cut lies between values that differ by more
    monotone: bool
    table: np.ndarray  # n log2 n, or empty where weights are not counts
    step: np.ndarray  # its differences
    total: float  # weight of all training cases


class Level(NamedTuple):
    """The nodes of one depth and the entries in them; an entry is a row with a weight."""

    start: np.ndarray
    stop: np.ndarray
    stats: np.ndarray
    low: np.ndarray  # bounds that monotone constraints have put on a node's value
    high: np.ndarray
    node: np.ndarray
    row: np.ndarray
    y: np.ndarray
    weight: np.ndarray  # empty: every entry weighs 1
    undivided: np.ndarray  # the weight before missing values divided it; empty: the same


class Found(NamedTuple):
    """For every column and node: the best split."""

    gain: np.ndarray
    info: np.ndarray  # information of the split itself, times the node's weight
    cut: np.ndarray
    toward: np.ndarray  # the branch that missing values should take, -1 where not learned


@kernel()
def nlogn(n, table):
    """Return n log2 n of a count; the table may end before the largest."""
    return table[n] if n < table.size else n * math.log2(n)


@kernel()
def xlogx(v, table):
    if table.size > 0:
        return nlogn(int(v + 0.5), table)
    return v * math.log2(v) if v > 0.0 else 0.0


@kernel()
def weigh(stats, criterion):
    return stats[0] if criterion == SQUARED else stats.sum()


@kernel()
def worth(stats, criterion, table):
    if criterion == SQUARED:
        return stats[1] * stats[1] / stats[0] if stats[0] > 0.0 else 0.0
    total = 0.0
    terms = 0.0
    for c in range(stats.size):
        v = stats[c]
        total += v
        terms += xlogx(v, table) if criterion == ENTROPY else v * v
    if criterion == ENTROPY:
        return terms - xlogx(total, table)
    return terms / total if total > 0.0 else 0.0


@kernel()
def add(stats, criterion, y, w):
    if criterion == SQUARED:
        stats[0] += w
        stats[1] += w * y
        stats[2] += w * y * y
    else:
        stats[int(y)] += w


@kernel()
def keeps_order(left, right, sign, low, high, criterion):
    """Monotone constraint: both values within the node's bounds and in the right order."""
    if criterion == SQUARED:
        a, b = left[1] / left[0], right[1] / right[0]
    else:
        a, b = left[1] / (left[0] + left[1]), right[1] / (right[0] + right[1])
    return low <= a <= high and low <= b <= high and (a - b) * sign <= 0.0


@kernel()
def scan_counts(
    rank,
    index,
    start,
    stop,
    whole,
    column,
    y,
    row,
    entropy,
    ratio,
    table,
    step,
    slack,
    gap,
    least,
    left,
    right,
):
    """Search one node in one sorted column where every case weighs 1 and no value is missing.

    Plain arrays and numbers: a bundle would cost more to hand over than a small node to search.
    """
    size = whole.size
    if ratio:
        least = max(least, min(25.0, 0.1 * (stop - start) / size))
        if stop - start < 2.0 * least - 1e-6:
            return -1, NEVER, 0.0
    if size == 2:
        zeros, ones = int(whole[0] + 0.5), int(whole[1] + 0.5)
        at, cuts = seek_two(
            rank, index, y, start, stop, zeros, ones, entropy, table, slack, gap, least, column, row
        )
    else:
        for c in range(size):
            left[c] = 0
            right[c] = int(whole[c] + 0.5)
        at, cuts = seek_counts(
            rank,
            index,
            y,
            start,
            stop,
            left,
            right,
            entropy,
            table,
            step,
            slack,
            gap,
            least,
            column,
            row,
        )
    if at < 0:
        return -1, NEVER, 0.0
    for c in range(size):
        left[c] = 0
    for i in range(start, at + 1):
        left[int(y[index[i]])] += 1
    gain, info = earned(left, whole, at + 1 - start, stop - start, entropy, table)
    if ratio:
        gain -= math.log2(max(cuts, 1))
    return at, gain, info


@kernel()
def scan_known(ranks, indices, place, slots, feature, numbers, lv, rules, found, a, b):
    """Search every node in the sorted columns a..b; each case weighs 1 and knows its values."""
    size = lv.stats.shape[1]
    left, right = np.empty(size, np.int64), np.empty(size, np.int64)
    for q in range(a, b):
        f = feature[q]
        rank, index, column = ranks[place[q]], indices[place[q]], numbers[:, slots[q]]
        for k in range(lv.start.size):
            start, stop = lv.start[k], lv.stop[k]
            found.gain[f, k] = NEVER
            if rank[start] == rank[stop - 1]:
                continue
            found.cut[f, k], found.gain[f, k], found.info[f, k] = scan_counts(
                rank,
                index,
                start,
                stop,
                lv.stats[k],
                column,
                lv.y,
                lv.row,
                rules.criterion == ENTROPY,
                rules.ratio,
                rules.table,
                rules.step,
                rules.slack,
                rules.gap,
                rules.least,
                left,
                right,
            )
            found.toward[f, k] = -1


@kernel()
def seek(rank, index, lv, k, start, stop, left, right, tail, rules, least, sign, column):
    """Best cut of sorted entries of any weight; `tail`: all known values against the missing."""
    criterion, table = rules.criterion, rules.table
    best, at, cuts = NEVER, -1, 0
    least -= 1e-6
    nl, nr = weigh(left, criterion), weigh(right, criterion)
    slack = rules.slack * (nl + nr)
    a, b = terms(left, criterion, table), terms(right, criterion, table)
    for i in range(start, stop if tail else stop - 1):
        e = index[i]
        w = lv.weight[e] if lv.weight.size else 1.0
        nl += w
        nr = max(nr - w, 0.0)
        if criterion == SQUARED:
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
        if nl < least or nr < least or nr <= 0.0:
            continue
        if i + 1 < stop:
            if rank[i] == rank[i + 1]:
                continue
            if rules.gap > 0.0:
                x = column[lv.row[e]]
                if not x + rules.gap < column[lv.row[index[i + 1]]]:
                    continue
        if rules.monotone and not keeps_order(left, right, sign, lv.low[k], lv.high[k], criterion):
            continue
        cuts += 1
        if criterion == SQUARED:
            value = left[1] * left[1] / nl + right[1] * right[1] / nr
        elif criterion == ENTROPY:
            value = a - xlogx(nl, table) + b - xlogx(nr, table)
        else:
            value = a / nl + b / nr
        if value > best + slack:
            best, at = value, i
    return at, cuts, best


@kernel()
def term(v, criterion, table):
    return xlogx(v, table) if criterion == ENTROPY else v * v


@kernel()
def terms(stats, criterion, table):
    total = 0.0
    if criterion != SQUARED:
        for c in range(stats.size):
            total += term(stats[c], criterion, table)
    return total


@kernel()
def branch_least(rules, known, classes):
    """C4.5 asks more of a numeric cut: a tenth of the average class, at most 25 cases."""
    if not rules.ratio:
        return rules.least
    return max(rules.least, min(25.0, 0.1 * known / classes))


@kernel()
def known_weight(index, start, stop, lv):
    """Weight of the known cases before missing values divided it."""
    if lv.weight.size == 0:
        return float(stop - start)
    total = 0.0
    for i in range(start, stop):
        e = index[i]
        total += lv.undivided[e] if lv.undivided.size else lv.weight[e]
    return total


@kernel()
def record(found, f, k, left, right, missing, whole, cuts, rules, toward, cut):
    """Write down a binary split with its gain, computed afresh from the branches."""
    criterion, table = rules.criterion, rules.table
    m = weigh(missing, criterion)
    n = weigh(whole, criterion)
    if m > 0.0 and toward == 0:
        left += missing
    elif m > 0.0 and toward == 1:
        right += missing
    gain = worth(left, criterion, table) + worth(right, criterion, table)
    info = xlogx(weigh(left, criterion), table) + xlogx(weigh(right, criterion), table)
    if m > 0.0 and toward < 0:
        info += xlogx(m, table)
        gain += worth(missing, criterion, table)
    if m > 0.0 and toward < 0 and rules.missing != BRANCH:
        gain -= worth(left + right, criterion, table) + worth(missing, criterion, table)
    else:
        gain -= worth(whole, criterion, table)
    if rules.ratio:
        gain -= math.log2(max(cuts, 1))
    found.gain[f, k] = gain
    found.info[f, k] = xlogx(n, table) - info
    found.cut[f, k] = cut
    found.toward[f, k] = toward


@kernel()
def scan_sorted(ranks, indices, place, slots, feature, numbers, signs, lv, rules, found, a, b):
    """Search every node of the level in the sorted columns a..b."""
    criterion, table = rules.criterion, rules.table
    size = lv.stats.shape[1]
    left, right = np.empty(size), np.empty(size)
    count_left, count_right = np.empty(size, np.int64), np.empty(size, np.int64)
    missing = np.empty(size)
    y, row, step = lv.y, lv.row, rules.step
    entropy, ratio, slack, gap = criterion == ENTROPY, rules.ratio, rules.slack, rules.gap
    gains, infos, cuts_at, towards = found.gain, found.info, found.cut, found.toward
    starts, stops, all_stats = lv.start, lv.stop, lv.stats
    for q in range(a, b):
        f = feature[q]
        rank, index, column = ranks[place[q]], indices[place[q]], numbers[:, slots[q]]
        for k in range(starts.size):
            start, end, whole = starts[k], stops[k], all_stats[k]
            stop = end
            for c in range(size):
                missing[c] = 0.0
            while stop > start and rank[stop - 1] == UNKNOWN:
                stop -= 1
                e = index[stop]
                add(missing, criterion, y[e], lv.weight[e] if lv.weight.size else 1.0)
            gains[f, k] = NEVER
            if stop == start or (rank[start] == rank[stop - 1] and stop == end):
                continue
            if table.size and stop == end and not rules.monotone:
                at, gains[f, k], infos[f, k] = scan_counts(
                    rank,
                    index,
                    start,
                    stop,
                    whole,
                    column,
                    y,
                    row,
                    entropy,
                    ratio,
                    table,
                    step,
                    slack,
                    gap,
                    rules.least,
                    count_left,
                    count_right,
                )
                cuts_at[f, k], towards[f, k] = at, -1
                continue
            known = weigh(whole, criterion) - weigh(missing, criterion)
            least = branch_least(rules, known, size)
            if rules.ratio and known_weight(index, start, stop, lv) < 2.0 * least - 1e-6:
                continue
            toward = -1
            split = rules.missing == DIRECTION and stop < end
            left[:] = 0.0
            right[:] = whole if split else whole - missing
            at, cuts, best = seek(
                rank, index, lv, k, start, stop, left, right, split, rules, least, signs[f], column
            )
            if split:
                toward = 1
                left[:] = missing
                right[:] = whole - missing
                at2, cuts2, best2 = seek(
                    rank,
                    index,
                    lv,
                    k,
                    start,
                    stop,
                    left,
                    right,
                    False,
                    rules,
                    least,
                    signs[f],
                    column,
                )
                if best2 > best + rules.slack * weigh(whole, criterion):
                    at, cuts, toward = at2, cuts2, 0
            if at < 0:
                continue
            left[:] = 0.0
            for i in range(start, at + 1):
                e = index[i]
                add(left, criterion, lv.y[e], lv.weight[e] if lv.weight.size else 1.0)
            right[:] = 0.0
            if criterion == SQUARED or lv.weight.size:
                for i in range(at + 1, stop):
                    e = index[i]
                    add(right, criterion, lv.y[e], lv.weight[e] if lv.weight.size else 1.0)
            else:
                right[:] = whole - missing - left
            record(found, f, k, left, right, missing, whole, cuts, rules, toward, at)
