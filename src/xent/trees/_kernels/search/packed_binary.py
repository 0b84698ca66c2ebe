"""Columns of two values, eight to a word: one addition counts a row in all eight.

The values of a row, 0 or 1, lie side by side, a byte each. The words of a class are added up; after
255 rows, before a byte can run over, the bytes are added to its counts::

    word of row 3    0  1  1  0  0  1  0  0      one byte a column
    word of row 8    0  1  0  0  1  1  0  1
                     ----------------------
    sum              0  2  1  0  1  2  0  1
"""

import numpy as np

from xent._compile.decorator import kernel, step
from xent.trees._kernels.criteria import (
    ENTROPY,
    NEVER,
    count_score,
    count_term,
    min_branch,
    split_information,
    too_light,
)

LANE_COUNT, ROUND = 8, 255


@kernel()
def lay(small, slots, packed, a, b):
    """Write the coded columns `slots` side by side for the rows a..b; bytes left over hold 0."""
    for start in range(a, b, 1024):
        stop = min(start + 1024, b)
        for j in range(slots.size):
            code = small[slots[j]]
            for i in range(start, stop):
                packed[i, j] = code[i]
        for j in range(slots.size, packed.shape[1]):
            for i in range(start, stop):
                packed[i, j] = 0


@kernel(inside=True)
def tally_ones(words, row, y, start, stop, a, b, present, found, sums, counts):
    """Count, for each class present, the ones in the bytes of the words a..b."""
    ones = sums.view(np.uint8)
    for i in range(found):
        for j in range(LANE_COUNT * a, LANE_COUNT * b):
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
            for j in range(LANE_COUNT * a, LANE_COUNT * b):
                counts[present[i], j] += ones[present[i], j]


@step()
def search_words(
    words, used, row, y, start, stop, a, b, whole, rules, present, sums, counts, gain, info
):
    """Gain and split information, by byte, of one node in the words a..b; `used` bytes in all.

    Every row weighs 1. The same sums in the same order as in `coded.search_tallied`.
    """
    size, n, found, before = whole.size, stop - start, np.int64(0), 0.0
    entropy, table = rules.criterion == ENTROPY, rules.table
    for c in range(size):
        v = int(whole[c] + 0.5)
        if v:
            present[found] = c
            found += 1
            before += count_term(v, entropy, table)
    before = count_score(before, n, entropy, table)
    min_weight = min_branch(rules, n, size)
    tally_ones(words, row, y, start, stop, a, b, present, found, sums, counts)
    for j in range(LANE_COUNT * a, min(LANE_COUNT * b, used)):
        gain[j], info[j] = NEVER, 0.0
        ones = np.int64(0)
        for i in range(found):
            ones += counts[present[i], j]
        m = n - ones
        if ones == 0 or m == 0 or too_light(m, ones, min_weight):
            continue
        x, z = 0.0, 0.0
        for i in range(found):
            q = np.int64(counts[present[i], j])
            x += count_term(int(whole[present[i]] + 0.5) - q, entropy, table)
            z += count_term(q, entropy, table)
        after = count_score(x, m, entropy, table) + count_score(z, ones, entropy, table)
        gain[j] = after - before
        info[j] = split_information(m, n, table)


@kernel()
def search_packed(words, feature, lv, rules, found, a, b):
    """Search every node of the level in the words a..b; `feature` is by byte."""
    size = lv.stats.shape[1]
    sums = np.empty((size, words.shape[1]), np.uint64)
    counts = np.empty((size, LANE_COUNT * words.shape[1]), np.int32)
    present = np.empty(size, np.int64)
    gain, info = np.empty(feature.size), np.empty(feature.size)
    row, y, used = lv.row, lv.y, feature.size
    for k in range(lv.start.size):
        start, stop, whole = lv.start[k], lv.stop[k], lv.stats[k]
        search_words(
            words, used, row, y, start, stop, a, b, whole, rules, present, sums, counts, gain, info
        )
        for j in range(LANE_COUNT * a, min(LANE_COUNT * b, used)):
            f = feature[j]
            found.gain[f, k], found.info[f, k] = gain[j], info[j]
            found.split[f, k], found.toward[f, k] = 0, -1
