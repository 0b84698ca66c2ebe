"""Bins of numbers, and histograms that are subtracted instead of counted.

A sketch of a column is its different values with their counts, until there are too many; then
neighbours are joined while together they hold no more than a share of the rows (Greenwald, Khanna
2001). A joined entry stands at its upper value, so every entry is a value of the column. Where all
cases weigh 1 the histogram of the heavier branch is the node's minus the lighter branch's: whole
numbers, exact.
"""

import numpy as np

from xent._compile.decorator import kernel
from xent.trees._kernels.search.coded import cut_tallied, number_cut
from xent.trees._kernels.search.presorted import ENTROPY, NEVER
from xent.trees._kernels.search.split_counts import earned

BINS = 256
FEW = 512


@kernel()
def merge(value, weight, doubt, new, new_weight, new_doubt, out_value, out_weight, out_doubt):
    """Merge two sketches in the order of their values, equal ones added; return the new length.

    Of an entry's rows some may lie below the other sketch's entries before it: that much is doubt.
    """
    i, j, m = 0, 0, 0
    while i < value.size or j < new.size:
        if j == new.size or (i < value.size and value[i] < new[j]):
            out_value[m], out_weight[m], out_doubt[m] = value[i], weight[i], doubt[i]
            if j < new.size:
                out_doubt[m] += new_weight[j] + new_doubt[j] - 1
            i += 1
        elif i == value.size or new[j] < value[i]:
            out_value[m], out_weight[m], out_doubt[m] = new[j], new_weight[j], new_doubt[j]
            if i < value.size:
                out_doubt[m] += weight[i] + doubt[i] - 1
            j += 1
        else:
            out_value[m], out_weight[m] = value[i], weight[i] + new_weight[j]
            out_doubt[m] = doubt[i] + new_doubt[j]
            i += 1
            j += 1
        m += 1
    return m


@kernel()
def count_equal(ordered, value, weight):
    """Count the different values of a sorted list; return how many there are."""
    m = -1
    for i in range(ordered.size):
        if m < 0 or ordered[i] != value[m]:
            m += 1
            value[m], weight[m] = ordered[i], 0
        weight[m] += 1
    return m + 1


@kernel()
def shorten(value, weight, doubt, n, most):
    """Join neighbours whose rows and doubt are at most ``most``, in place; return the length."""
    m = 0
    for i in range(1, n):
        joined = weight[m] + weight[i]
        keep = joined + doubt[i] > most
        m += 1 if keep else 0
        value[m], doubt[m] = value[i], doubt[i]
        weight[m] = weight[i] if keep else joined
    return m + 1


@kernel()
def how_many(weight, n, most):
    """Count the bins that `shorten` would leave."""
    bins, held = 1, weight[0]
    for i in range(1, n):
        if held + weight[i] <= most:
            held += weight[i]
        else:
            bins += 1
            held = weight[i]
    return bins


@kernel()
def encode_bins(column, ends, levels, out, low, high):
    """Write each value's bin, the first whose end is not below it; widen the bins' extremes."""
    # Padded, so that eight halvings find the place without a jump.
    padded = np.full(BINS, np.inf)
    padded[:levels] = ends
    for i in range(column.size):
        x = column[i] + 0.0
        if x != x:
            out[i] = levels
            continue
        at = 0
        for step in (128, 64, 32, 16, 8, 4, 2, 1):
            at += step if padded[at + step - 1] < x else 0
        if at >= levels:
            # Only of a table that changed after its bins were made.
            out[i] = levels
            continue
        out[i] = at
        if x < low[at]:
            low[at] = x
        if x > high[at]:
            high[at] = x


@kernel()
def thresholds(scale, start, cut, above, out):
    """Part codes ``cut`` and ``above`` in the middle, but never within the range of another."""
    for i in range(cut.size):
        at = start[i]
        low, high = scale[at + cut[i], 1], scale[at + above[i], 0]
        middle = low / 2 + high / 2
        for c in range(at + cut[i] + 1, at + above[i]):
            if scale[c, 0] <= middle < scale[c, 1]:
                low, high = scale[c - 1, 1], scale[c, 0]
                middle = low / 2 + high / 2
                break
        out[i] = middle if low <= middle < high else low


@kernel()
def count_into(code, row, y, start, stop, hist):
    hist[:, :] = 0
    for e in range(start, stop):
        hist[code[row[e]], int(y[e])] += 1


@kernel()
def search(found, f, k, hist, levels, lv, rules, sign, present, left, exact, code):
    """Best cut of one node in a counted histogram."""
    n = 0
    for c in range(levels):
        for j in range(left.size):
            if hist[c, j]:
                present[n] = c
                n += 1
                break
    found.gain[f, k] = NEVER
    whole = lv.stats[k]
    missing = np.zeros(left.size)
    if levels < hist.shape[0]:
        for j in range(left.size):
            missing[j] = hist[levels, j]
    if missing.sum() > 0.0:
        for i in range(n):
            for j in range(left.size):
                exact[present[i], j] = hist[present[i], j]
        if n:
            nothing = np.empty((0, 2))
            number_cut(found, f, k, exact, present, n, missing, lv, rules, sign, nothing, code)
        return
    size = lv.stop[k] - lv.start[k]
    at, gain, info = cut_tallied(
        hist,
        present,
        n,
        size,
        whole,
        rules.criterion == ENTROPY,
        False,
        rules.table,
        rules.slack,
        rules.least,
        left,
    )
    found.gain[f, k], found.info[f, k] = gain, info
    found.cut[f, k], found.toward[f, k] = at, -1


@kernel()
def scan_kept(
    codes, levels, feature, kept, light, heavy, slot, into, signs, lv, rules, found, a, b
):
    """Search the nodes whose histograms are kept, in the coded numbers a..b.

    Pair i: the node ``light[i]`` is counted, into its own slot if it has one. ``heavy[i]`` is
    then the histogram in ``slot[i]``, which is their parent's, less that; -1 where there is none.
    """
    size = lv.stats.shape[1]
    scratch = np.empty((BINS, size), np.int32)
    exact = np.empty((BINS + 1, size))
    present, left = np.empty(BINS + 1, np.int64), np.empty(size, np.int64)
    for q in range(a, b):
        f, code = feature[q], codes[q]
        for i in range(light.size):
            k = light[i]
            hist = kept[into[i], q] if into[i] >= 0 else scratch
            count_into(code, lv.row, lv.y, lv.start[k], lv.stop[k], hist)
            search(found, f, k, hist, levels[q], lv, rules, signs[f], present, left, exact, code)
            if heavy[i] < 0:
                continue
            other = kept[slot[i], q]
            for c in range(BINS):
                for j in range(size):
                    other[c, j] -= hist[c, j]
            search(
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
def scan_small(codes, levels, feature, nodes, lv, rules, found, lost, a, b):
    """Search nodes of a few cases in the binned numbers a..b: sorting them beats counting.

    A column that misses a value in one of them is marked in ``lost`` and is not searched.
    """
    size = lv.stats.shape[1]
    row, y, starts, stops, all_stats = lv.row, lv.y, lv.start, lv.stop, lv.stats
    entropy, table, least = rules.criterion == ENTROPY, rules.table, rules.least
    keys, left = np.empty(FEW, np.int64), np.empty(size, np.int64)
    at_code = np.empty(BINS, np.int64)
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
                at_code[:] = 0
                for i in range(start, stops[k]):
                    at_code[code[row[i]]] += 1
                total = 0
                for c in range(BINS):
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
            at, gain, info = cut_few(
                keys, n, size, all_stats[k], entropy, table, rules.slack, least, left
            )
            found.gain[f, k], found.info[f, k] = gain, info
            found.cut[f, k], found.toward[f, k] = at, -1


@kernel()
def cut_few(keys, n, size, whole, entropy, table, slack, least, left):
    """Best cut of sorted pairs of code and class: the code (-1 none), gain and information."""
    a, b = 0.0, 0.0
    for c in range(size):
        left[c] = 0
        b += table[int(whole[c] + 0.5)] if entropy else whole[c] * whole[c]
    best, at = NEVER, -1
    slack *= n
    code = keys[0] // size
    for i in range(n - 1):
        c = keys[i] - code * size
        p = left[c]
        r = int(whole[c] + 0.5) - p
        if entropy:
            a += table[p + 1] - table[p]
            b += table[r - 1] - table[r]
        else:
            a += 2.0 * p + 1.0
            b -= 2.0 * r - 1.0
        left[c] = p + 1
        if keys[i + 1] < (code + 1) * size:
            continue
        code = keys[i + 1] // size
        m = i + 1
        if m < least - 1e-6 or n - m < least - 1e-6:
            continue
        value = a - table[m] + b - table[n - m] if entropy else a / m + b / (n - m)
        if value > best + slack:
            best, at = value, i
    if at < 0:
        return -1, NEVER, 0.0
    for c in range(size):
        left[c] = 0
    for i in range(at + 1):
        left[keys[i] % size] += 1
    gain, info = earned(left, whole, at + 1, n, entropy, table)
    return keys[at] // size, gain, info
