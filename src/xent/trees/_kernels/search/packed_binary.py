"""Columns of two values, eight to a word: one addition counts a row in all eight.

The values of a row, 0 or 1, lie side by side, a byte each: the lanes of a word. The words of a
class are added up; after 255 rows, before a lane can run over, the lanes are added to its counts.
"""

import numpy as np

from xent._compile.decorator import kernel
from xent.trees._kernels.search.presorted import ENTROPY, NEVER, nlogn

LANES, ROUND = 8, 255


@kernel()
def lay(small, slots, lanes, a, b):
    """Write the coded columns `slots` side by side for the rows a..b; lanes left over hold 0."""
    for start in range(a, b, 1024):
        stop = min(start + 1024, b)
        for j in range(slots.size):
            code = small[slots[j]]
            for i in range(start, stop):
                lanes[i, j] = code[i]
        for j in range(slots.size, lanes.shape[1]):
            for i in range(start, stop):
                lanes[i, j] = 0


@kernel()
def tally(words, row, y, start, stop, a, b, present, found, sums, counts):
    """Count, for each class present, the ones in the lanes of the words a..b."""
    lanes = sums.view(np.uint8)
    for i in range(found):
        for j in range(LANES * a, LANES * b):
            counts[present[i], j] = 0
    for begin in range(start, stop, ROUND):
        for i in range(found):
            for w in range(a, b):
                sums[present[i], w] = 0
        for e in range(begin, min(begin + ROUND, stop)):
            c, r = np.uint64(y[e]), np.uint64(row[e])
            for w in range(a, b):
                sums[c, w] += words[r, w]
        for i in range(found):
            for j in range(LANES * a, LANES * b):
                counts[present[i], j] += lanes[present[i], j]


@kernel()
def cut_lanes(
    words,
    used,
    row,
    y,
    start,
    stop,
    a,
    b,
    whole,
    entropy,
    ratio,
    table,
    least,
    present,
    sums,
    counts,
    gain,
    info,
):
    """Gain and split information, by lane, of one node in the words a..b; `used` lanes in all.

    Every case weighs 1. The same sums in the same order as in `codes.cut_tallied`.
    """
    size, n, found, before = whole.size, stop - start, 0, 0.0
    for c in range(size):
        v = int(whole[c] + 0.5)
        if v:
            present[found] = c
            found += 1
            before += nlogn(v, table) if entropy else float(v) * v
    before = before - nlogn(n, table) if entropy else before / n
    if ratio:
        least = max(least, min(25.0, 0.1 * n / size))
    tally(words, row, y, start, stop, a, b, present, found, sums, counts)
    for j in range(LANES * a, min(LANES * b, used)):
        gain[j], info[j] = NEVER, 0.0
        ones = np.int64(0)
        for i in range(found):
            ones += counts[present[i], j]
        m = n - ones
        if ones == 0 or m == 0 or m < least - 1e-6 or ones < least - 1e-6:
            continue
        x, z = 0.0, 0.0
        for i in range(found):
            q = np.int64(counts[present[i], j])
            p = int(whole[present[i]] + 0.5) - q
            x += nlogn(p, table) if entropy else float(p) * p
            z += nlogn(q, table) if entropy else float(q) * q
        if entropy:
            gain[j] = (x - nlogn(m, table)) + (z - nlogn(ones, table)) - before
        else:
            gain[j] = x / m + z / ones - before
        info[j] = nlogn(n, table) - (nlogn(m, table) + nlogn(ones, table))


@kernel()
def scan_lanes(words, feature, lv, rules, found, a, b):
    """Search every node of the level in the words a..b; `feature` is by lane."""
    size = lv.stats.shape[1]
    sums = np.empty((size, words.shape[1]), np.uint64)
    counts = np.empty((size, LANES * words.shape[1]), np.int32)
    present = np.empty(size, np.int64)
    gain, info = np.empty(feature.size), np.empty(feature.size)
    for k in range(lv.start.size):
        cut_lanes(
            words,
            feature.size,
            lv.row,
            lv.y,
            lv.start[k],
            lv.stop[k],
            a,
            b,
            lv.stats[k],
            rules.criterion == ENTROPY,
            rules.ratio,
            rules.table,
            rules.least,
            present,
            sums,
            counts,
            gain,
            info,
        )
        for j in range(LANES * a, min(LANES * b, feature.size)):
            f = feature[j]
            found.gain[f, k], found.info[f, k] = gain[j], info[j]
            found.cut[f, k], found.toward[f, k] = 0, -1
