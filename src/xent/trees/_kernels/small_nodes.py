"""Everything below a small node in one call: search, divide, list the children, until all is done.

For tables of numbers without weights and missing values, which is what most tables are. What level
by level would be a dozen calls and a sweep through memory for every depth stays in the cache, and
two threads that grow two subtrees need not wait for each other. An entry of a sorted list is one
word: its place in the order of the values (12 bits, the same for equal values), its number in the
subtree (12 bits) and its class (8 bits).
"""

import math
from typing import NamedTuple

import numpy as np

from xent._compile.decorator import kernel
from xent.trees._kernels.divide import SORTED
from xent.trees._kernels.predict import put, roomy
from xent.trees._kernels.search.coded import cut_counts
from xent.trees._kernels.search.packed_binary import LANES, cut_lanes
from xent.trees._kernels.search.presorted import NEVER
from xent.trees._kernels.search.split_counts import earned, worth_of_two

SMALL = 4096  # what 12 bits can number; 20 such lists fit a core's cache


class Limits(NamedTuple):
    """What the search must know of the options."""

    entropy: bool
    ratio: bool
    fractional: bool
    slack: float
    gap: float
    least: float
    least_split: float
    least_gain: float
    max_depth: int
    table: np.ndarray
    step: np.ndarray


class Grown(NamedTuple):
    """Nodes of one or more subtrees; children follow their parent, the tops are kept apart."""

    feature: np.ndarray
    cut_row: np.ndarray
    cut_next: np.ndarray
    first: np.ndarray
    missing_to: np.ndarray
    stats: np.ndarray


@kernel()
def empty(nodes, size):
    """Room for so many nodes."""
    return Grown(
        np.empty(nodes, np.int32),
        np.empty(nodes, np.int32),
        np.empty(nodes, np.int32),
        np.empty(nodes, np.int32),
        np.empty(nodes, np.int32),
        np.empty((nodes, size)),
    )


@kernel()
def divisible(counts, n, lim):
    """Whether a node of n cases is large enough and not pure."""
    if n < 2 or n < 2.0 * lim.least - 1e-6 or n < lim.least_split - 1e-6:
        return False
    return counts.max() < n


@kernel()
def pick(gain, info, n, lim):
    """Choose a column as `grow.choose` does: the first of equals; -1 for none."""
    best_feature = -1
    if lim.ratio:
        total, count = 0.0, 0
        for f in range(gain.size):
            if gain[f] / n > 1e-6:
                total += gain[f] / n
                count += 1
        average = total / count if count else 0.0
        best = 0.0
        for f in range(gain.size):
            g, i = gain[f] / n, info[f] / n
            if g > 1e-6 and g >= average - 1e-3 and i > 0.0 and g / i > best + 1e-6:
                best, best_feature = g / i, f
    else:
        best = NEVER
        for f in range(gain.size):
            if gain[f] > best + lim.slack * n:
                best, best_feature = gain[f], f
    if best_feature >= 0 and gain[best_feature] < (lim.least_gain - lim.slack) * n:
        return -1
    return best_feature


@kernel()
def part(words, side, spare, start, stop):
    """Divide a sorted list where it lies, stably: the right half waits in the spare list."""
    x, y = np.int64(start), np.int64(0)
    for i in range(start, stop):
        w = words[i]
        s = np.int64(side[(w >> np.uint32(8)) & np.uint32(4095)])
        words[x] = w
        spare[y] = w
        x += 1 - s
        y += s
    for i in range(y):
        words[x + i] = spare[i]


@kernel()
def apart(this, after):
    """Whether two neighbours in a list have different values."""
    return (this ^ after) >= np.uint32(1 << 20)


@kernel()
def known_gap(gap, column, row, this, after):
    """Whether two neighbours' values differ by more than the gap."""
    if gap <= 0.0:
        return True
    x = column[row[(this >> np.uint32(8)) & np.uint32(4095)]]
    return x + gap < column[row[(after >> np.uint32(8)) & np.uint32(4095)]]


@kernel()
def seek_two(words, start, stop, zeros, ones, small, lim, table, column, row):
    """Best cut of two classes: place, worth, second class on the left, number of cuts."""
    n = stop - start
    entropy, gap, slack = lim.entropy, lim.gap, lim.slack * n
    best, at, chosen, cuts, p = NEVER, -1, np.int64(0), 0, np.int64(0)
    after = words[start]
    for i in range(start, stop - small):
        this, after = after, words[i + 1]
        p += np.int64(this & np.uint32(255))
        m = i + 1 - start
        if apart(this, after) and m >= small and known_gap(gap, column, row, this, after):
            cuts += 1
            value = worth_of_two(p, m, n, zeros, ones, entropy, table)
            if value > best + slack:
                best, at, chosen = value, i, p
    return at, best, chosen, cuts


@kernel()
def seek_more(words, start, stop, left, right, small, lim, table, step, column, row):
    """Best cut of any number of classes: place, worth, number of cuts."""
    n = stop - start
    entropy, gap, slack = lim.entropy, lim.gap, lim.slack * n
    a, b = 0.0, 0.0
    for c in range(right.size):
        b += table[right[c]] if entropy else float(right[c]) * right[c]
    best, at, cuts = NEVER, -1, 0
    one = np.uint64(1)
    after = words[start]
    for i in range(start, stop - small):
        this, after = after, words[i + 1]
        own = np.uint64(this & np.uint32(255))
        p, q = np.uint64(left[own]), np.uint64(right[own])
        if entropy:
            a += step[p]
            b -= step[q - one]
        else:
            a += 2.0 * p + 1.0
            b -= 2.0 * q - 1.0
        left[own] = p + one
        right[own] = q - one
        m = i + 1 - start
        if apart(this, after) and m >= small and known_gap(gap, column, row, this, after):
            cuts += 1
            value = a - table[m] + b - table[n - m] if entropy else a / m + b / (n - m)
            if value > best + slack:
                best, at = value, i
    return at, best, cuts


@kernel()
def search(words, start, stop, whole, lim, column, row, hopeless, left, right):
    """Search a node in a sorted column: place of the best cut, gain, information of the split.

    Where the worth of the branches is below `hopeless` the gain is not computed.
    """
    size, n = whole.size, stop - start
    entropy, table, least = lim.entropy, lim.table, lim.least
    if lim.ratio:
        least = max(least, min(25.0, 0.1 * n / size))
        if n < 2.0 * least - 1e-6:
            return -1, NEVER, 0.0, NEVER
    small = max(1, math.ceil(least))
    if size == 2:
        zeros, ones = int(whole[0] + 0.5), int(whole[1] + 0.5)
        at, best, p, cuts = seek_two(
            words, start, stop, zeros, ones, small, lim, table, column, row
        )
        if at < 0 or best < hopeless:
            return -1, NEVER, 0.0, NEVER
        left[0], left[1] = at + 1 - start - p, p
    else:
        for c in range(size):
            left[c] = 0
            right[c] = int(whole[c] + 0.5)
        at, best, cuts = seek_more(
            words, start, stop, left, right, small, lim, table, lim.step, column, row
        )
        if at < 0 or best < hopeless:
            return -1, NEVER, 0.0, NEVER
        for c in range(size):
            left[c] = 0
        for i in range(start, at + 1):
            left[words[i] & np.uint32(255)] += 1
    gain, info = earned(left, whole, at + 1 - start, n, entropy, table)
    if lim.ratio:
        gain -= math.log2(max(cuts, 1))
    return at, gain, info, best


@kernel()
def pack(rank, index, y, base, n, words):
    """Write a node's part of a sorted list as words."""
    place = np.int64(0)
    for i in range(n):
        e = np.int64(index[base + i])
        if i and rank[base + i] != rank[base + i - 1]:
            place += 1
        words[i] = np.uint32((place << 20) | ((e - base) << 8) | np.int64(y[e]))


@kernel()
def grow_below(
    ranks,
    indices,
    place,
    sorted_of,
    sorted_slot,
    small_of,
    lane_of,
    lane_words,
    columns,
    numbers,
    rows,
    y,
    starts,
    stops,
    stats,
    lim,
    depth,
    tops,
    a,
    b,
):
    """Grow the subtrees of the nodes a..b of a level, and return the nodes below them.

    `tops` gets what the nodes themselves become. A `first` counts from the first node returned.
    `small_of` are coded columns that are no lanes.
    """
    size, features = stats.shape[1], columns.kind.size
    small, levels, slot = columns.small, columns.levels, columns.slot
    most = 0
    for k in range(a, b):
        most = max(most, stops[k] - starts[k])
    gain, info, cut = np.empty(features), np.empty(features), np.empty(features, np.int64)
    left, right = np.empty(size, np.int64), np.empty(size, np.int64)
    lists, spare = np.empty((sorted_of.size, most), np.uint32), np.empty(most, np.uint32)
    side = np.empty(most, np.uint8)
    # Numbers with few values are searched through the entries in the order of the rows.
    coded = most if small_of.size or lane_of.size else 0
    own_row, own_y = np.empty(coded, rows.dtype), np.empty(coded, y.dtype)
    own = np.empty(coded, np.int64)
    wait_row, wait_y, wait = np.empty_like(own_row), np.empty_like(own_y), np.empty_like(own)
    widest = 1
    for f in small_of:
        widest = max(widest, levels[f] + 1)
    hist, present = np.empty((widest, size), np.int64), np.empty(widest, np.int64)
    seen = np.zeros(widest, np.bool_)
    lane_gain, lane_info = np.empty(lane_of.size), np.empty(lane_of.size)
    sums = np.empty((size, lane_words.shape[1]), np.uint64)
    counts = np.empty((size, LANES * lane_words.shape[1]), np.int32)
    classes = np.empty(size, np.int64)
    queue = np.empty((most, 4), np.int64)  # start, stop, node or -1 for the top, depth
    out, used = empty(max(16, (stops[b - 1] - starts[a]) // 4), size), 0
    for k in range(a, b):
        base, n = starts[k], stops[k] - starts[k]
        if used + 2 * n > out.feature.size:
            more = max(used + 2 * n, 2 * out.feature.size)
            wide = np.empty((more, size))
            for i in range(used):
                put(wide[i], out.stats[i], size)
            out = Grown(
                roomy(out.feature, more),
                roomy(out.cut_row, more),
                roomy(out.cut_next, more),
                roomy(out.first, more),
                roomy(out.missing_to, more),
                wide,
            )
        row = rows[base : base + n]
        for i in range(n if coded else 0):
            own_row[i], own_y[i], own[i] = row[i], y[base + i], i
        for q in range(sorted_of.size):
            pack(ranks[place[q]], indices[place[q]], y, base, n, lists[q])
        tops.feature[k] = -1
        queue[0, 0], queue[0, 1], queue[0, 2], queue[0, 3] = 0, n, -1, depth
        head, tail = 0, 1
        while head < tail:
            start, stop, node, deep = queue[head]
            head += 1
            n = stop - start
            whole = stats[k] if node < 0 else out.stats[node]
            hopeless = NEVER
            for q in range(sorted_of.size):
                f, words = sorted_of[q], lists[q]
                gain[f] = NEVER
                if apart(words[start], words[stop - 1]):
                    cut[f], gain[f], info[f], reached = search(
                        words,
                        start,
                        stop,
                        whole,
                        lim,
                        numbers[:, sorted_slot[q]],
                        row,
                        hopeless,
                        left,
                        right,
                    )
                    if not lim.ratio:
                        hopeless = max(hopeless, reached - 1e-3)
            for q in range(small_of.size):
                f = small_of[q]
                cut[f], gain[f], info[f] = cut_counts(
                    small[slot[f]],
                    levels[f],
                    own_row,
                    own_y,
                    start,
                    stop,
                    whole,
                    lim.entropy,
                    lim.ratio,
                    lim.table,
                    lim.slack,
                    lim.least,
                    hist,
                    seen,
                    present,
                    left,
                )
            if lane_of.size:
                cut_lanes(
                    lane_words,
                    lane_of.size,
                    own_row,
                    own_y,
                    start,
                    stop,
                    0,
                    lane_words.shape[1],
                    whole,
                    lim.entropy,
                    lim.ratio,
                    lim.table,
                    lim.least,
                    classes,
                    sums,
                    counts,
                    lane_gain,
                    lane_info,
                )
                for j in range(lane_of.size):
                    f = lane_of[j]
                    cut[f], gain[f], info[f] = 0, lane_gain[j], lane_info[j]
            f = pick(gain, info, n, lim)
            if f < 0:
                continue
            # Which side every entry goes to, and the rows on either side of the cut.
            at = cut[f]
            for c in range(size):
                left[c] = 0
            if columns.kind[f] == SORTED:
                words = lists[slot[f]]
                for i in range(start, stop):
                    e = (words[i] >> np.uint32(8)) & np.uint32(4095)
                    side[e] = i > at
                    left[words[i] & np.uint32(255)] += i <= at
                low = row[(words[at] >> np.uint32(8)) & np.uint32(4095)]
                high = row[(words[at + 1] >> np.uint32(8)) & np.uint32(4095)]
            else:
                code, low, high = small[slot[f]], at, levels[f]
                for i in range(start, stop):
                    c = code[own_row[i]]
                    side[own[i]] = c > at
                    if c <= at:
                        left[int(own_y[i])] += 1
                    elif c < high:
                        high = c
            middle = start
            for c in range(size):
                right[c] = int(whole[c] + 0.5) - left[c]
                out.stats[used, c], out.stats[used + 1, c] = left[c], right[c]
                middle += left[c]
            m = middle - start
            to = -1 if lim.fractional else (0 if m >= n - m else 1)
            if node < 0:
                tops.feature[k], tops.first[k], tops.missing_to[k] = f, used, to
                tops.cut_row[k], tops.cut_next[k] = low, high
            else:
                out.feature[node], out.first[node], out.missing_to[node] = f, used, to
                out.cut_row[node], out.cut_next[node] = low, high
            out.feature[used], out.feature[used + 1] = -1, -1
            open_left = deep + 1 < lim.max_depth and divisible(left, m, lim)
            open_right = deep + 1 < lim.max_depth and divisible(right, n - m, lim)
            if open_left:
                queue[tail, 0], queue[tail, 1] = start, middle
                queue[tail, 2], queue[tail, 3] = used, deep + 1
                tail += 1
            if open_right:
                queue[tail, 0], queue[tail, 1] = middle, stop
                queue[tail, 2], queue[tail, 3] = used + 1, deep + 1
                tail += 1
            used += 2
            if not (open_left or open_right):
                continue
            for q in range(sorted_of.size):
                # A column with one value here has one value everywhere below.
                if apart(lists[q, start], lists[q, stop - 1]):
                    part(lists[q], side, spare, start, stop)
            if coded:
                x, r = np.int64(start), np.int64(0)
                for i in range(start, stop):
                    s = np.int64(side[own[i]])
                    wait_row[r], wait_y[r], wait[r] = own_row[i], own_y[i], own[i]
                    own_row[x], own_y[x], own[x] = own_row[i], own_y[i], own[i]
                    x += 1 - s
                    r += s
                for i in range(r):
                    own_row[x + i], own_y[x + i], own[x + i] = wait_row[i], wait_y[i], wait[i]
    return out, used
