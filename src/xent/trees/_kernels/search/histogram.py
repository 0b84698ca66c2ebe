"""The best splits of binned numbers: histograms that are subtracted, and nodes of a few rows.

Where all rows weigh 1 the histogram of the heavier branch is the node's minus the lighter branch's:
whole numbers, exact.
"""

import numpy as np

from xent._compile.decorator import kernel, step
from xent.trees._kernels.bins import MAX_BINS
from xent.trees._kernels.criteria import (
    ENTROPY,
    NEVER,
    count_score,
    count_term,
    gain_of_counts,
    moved,
    split_information,
    too_light,
    weight_of,
)
from xent.trees._kernels.search.coded import search_groups, search_tallied

FEW_ROWS = 512


@step()
def count_into(code, row, y, start, stop, hist):
    for c in range(hist.shape[0]):
        for j in range(hist.shape[1]):
            hist[c, j] = 0
    for e in range(start, stop):
        hist[code[row[e]], int(y[e])] += 1


@kernel(inside=True)
def search_one(found, f, k, hist, levels, lv, rules, sign, present, left, exact, code):
    """Best split of one node in a counted histogram."""
    n = 0
    for c in range(levels):
        for j in range(left.size):
            if hist[c, j]:
                present[n] = c
                n += 1
                break
    found.gain[f, k] = NEVER
    missing = np.zeros(left.size)
    if levels < hist.shape[0]:
        for j in range(left.size):
            missing[j] = hist[levels, j]
    if weight_of(missing, rules.criterion) > 0.0:
        for i in range(n):
            for j in range(left.size):
                exact[present[i], j] = hist[present[i], j]
        if n:
            nothing = np.empty((0, 2))
            search_groups(found, f, k, exact, present, n, missing, lv, rules, sign, nothing, code)
        return
    size = lv.stop[k] - lv.start[k]
    found.split[f, k], found.gain[f, k], found.info[f, k] = search_tallied(
        hist, present, n, size, lv.stats[k], rules, left
    )
    found.toward[f, k] = -1


@kernel()
def search_cached(
    codes, levels, feature, cache, light, heavy, slot, into, signs, lv, rules, found, a, b
):
    """Search the nodes whose histograms are cached, in the coded numbers a..b.

    Pair i: the node ``light[i]`` is counted, into its own slot if it has one. ``heavy[i]`` is
    then the histogram in ``slot[i]``, which is their parent's, less that; -1 where there is none.
    """
    size = lv.stats.shape[1]
    scratch = np.empty((MAX_BINS, size), np.int32)
    exact = np.empty((MAX_BINS + 1, size))
    present, left = np.empty(MAX_BINS + 1, np.int64), np.empty(size, np.int64)
    for q in range(a, b):
        f, code = feature[q], codes[q]
        for i in range(light.size):
            k = light[i]
            hist = cache[into[i], q] if into[i] >= 0 else scratch
            count_into(code, lv.row, lv.y, lv.start[k], lv.stop[k], hist)
            search_one(
                found, f, k, hist, levels[q], lv, rules, signs[f], present, left, exact, code
            )
            if heavy[i] < 0:
                continue
            other = cache[slot[i], q]
            for c in range(MAX_BINS):
                for j in range(size):
                    other[c, j] -= hist[c, j]
            search_one(
                found,
                f,
                heavy[i],
                other,
                levels[q],
                lv,
                rules,
                signs[f],
                present,
                left,
                exact,
                code,
            )


@kernel()
def search_few(codes, levels, feature, nodes, lv, rules, found, lost, a, b):
    """Search nodes of a few rows in the binned numbers a..b: sorting them beats counting.

    A column that misses a value in one of them is marked in ``lost`` and is not searched.
    """
    size = lv.stats.shape[1]
    row, y, starts, stops, all_stats = lv.row, lv.y, lv.start, lv.stop, lv.stats
    keys, left = np.empty(FEW_ROWS, np.int64), np.empty(size, np.int64)
    at_code = np.empty(MAX_BINS, np.int64)
    for q in range(a, b):
        f, code = feature[q], codes[q]
        for k in nodes:
            start, n = starts[k], stops[k] - starts[k]
            if n <= 24:
                for i in range(n):
                    key = np.int64(code[row[start + i]]) * size + y[start + i]
                    j = i - 1
                    while j >= 0 and keys[j] > key:
                        keys[j + 1] = keys[j]
                        j -= 1
                    keys[j + 1] = key
            else:
                # Only the order of codes matters, not that of classes within one.
                for c in range(MAX_BINS):
                    at_code[c] = 0
                for i in range(start, stops[k]):
                    at_code[code[row[i]]] += 1
                total = 0
                for c in range(MAX_BINS):
                    here = at_code[c]
                    at_code[c] = total
                    total += here
                for i in range(start, stops[k]):
                    c = code[row[i]]
                    keys[at_code[c]] = np.int64(c) * size + y[i]
                    at_code[c] += 1
            if keys[n - 1] // size == levels[q]:
                lost[q] = True
                break
            found.split[f, k], found.gain[f, k], found.info[f, k] = best_of_keys(
                keys, n, size, all_stats[k], rules, left
            )
            found.toward[f, k] = -1


@step()
def best_of_keys(keys, n, size, whole, rules, left):
    """Best split of sorted pairs of code and class: the code (-1 none), gain and information."""
    entropy, table, step = rules.criterion == ENTROPY, rules.table, rules.step
    a, b = 0.0, 0.0
    for c in range(size):
        left[c] = 0
        b += count_term(int(whole[c] + 0.5), entropy, table)
    best, at = NEVER, -1
    slack = rules.slack * n
    code = keys[0] // size
    for i in range(n - 1):
        c = keys[i] - code * size
        p = np.uint64(left[c])
        a, b = moved(a, b, p, np.uint64(int(whole[c] + 0.5)) - p, entropy, step)
        left[c] += 1
        if keys[i + 1] < (code + 1) * size:
            continue
        code = keys[i + 1] // size
        m = i + 1
        if too_light(m, n - m, rules.min_leaf):
            continue
        value = count_score(a, m, entropy, table) + count_score(b, n - m, entropy, table)
        if value > best + slack:
            best, at = value, i
    if at < 0:
        return -1, NEVER, 0.0
    for c in range(size):
        left[c] = 0
    for i in range(at + 1):
        left[keys[i] % size] += 1
    gain = gain_of_counts(left, whole, at + 1, n, entropy, table)
    return keys[at] // size, gain, split_information(at + 1, n, table)
