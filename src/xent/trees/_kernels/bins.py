"""Bins of numbers: the sketch of a column, the ends of its bins, and the codes that follow.

A sketch of a column is its different values with their counts, until there are too many; then
neighbours are joined while together they hold no more than a share of the rows (Greenwald, Khanna
2001). A joined entry stands at its upper value, so every entry is a value of the column.
"""

import numpy as np

from xent._compile.decorator import kernel

BINS = 256


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
def shorten(value, weight, doubt, n, limit):
    """Join neighbours whose rows and doubt are at most ``limit``, in place; return the length."""
    m = 0
    for i in range(1, n):
        joined = weight[m] + weight[i]
        keep = joined + doubt[i] > limit
        m += 1 if keep else 0
        value[m], doubt[m] = value[i], doubt[i]
        weight[m] = weight[i] if keep else joined
    return m + 1


@kernel()
def count_bins(weight, n, limit):
    """Count the bins that `shorten` would leave."""
    bins, held = 1, weight[0]
    for i in range(1, n):
        if held + weight[i] <= limit:
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
def thresholds(scale, start, split, above, out):
    """Part codes ``split`` and ``above`` in the middle, but never within the range of another."""
    for i in range(split.size):
        at = start[i]
        low, high = scale[at + split[i], 1], scale[at + above[i], 0]
        middle = low / 2 + high / 2
        for c in range(at + split[i] + 1, at + above[i]):
            if scale[c, 0] <= middle < scale[c, 1]:
                low, high = scale[c - 1, 1], scale[c, 0]
                middle = low / 2 + high / 2
                break
        out[i] = middle if low <= middle < high else low
