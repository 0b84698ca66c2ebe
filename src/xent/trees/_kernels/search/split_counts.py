"""The best cut of a sorted column whose entries all weigh 1: counts, and a table of n log n."""

import math

import numpy as np

from xent._compile.decorator import kernel


@kernel()
def seek_counts(
    rank, index, y, start, stop, left, right, entropy, table, step, slack, gap, least, column, row
):
    """Best cut of sorted entries that all weigh 1: integers and a table of n log n."""
    a, b = 0.0, 0.0
    for c in range(right.size):
        b += table[right[c]] if entropy else float(right[c]) * right[c]
    n = stop - start
    slack *= n
    best, at, cuts = -np.inf, -1, 0
    small = max(1, math.ceil(least))
    for i in range(start, stop - small):
        own = np.uint64(y[index[i]])
        p, q = np.uint64(left[own]), np.uint64(right[own])
        one = np.uint64(1)
        if entropy:
            a += step[p]
            b -= step[q - one]
        else:
            a += 2.0 * p + 1.0
            b -= 2.0 * q - 1.0
        left[own] = p + one
        right[own] = q - one
        if rank[i] != rank[i + 1]:
            m = i + 1 - start
            if m < small:
                continue
            if gap > 0.0:
                x = column[row[index[i]]]
                if not x + gap < column[row[index[i + 1]]]:
                    continue
            cuts += 1
            value = a - table[m] + b - table[n - m] if entropy else a / m + b / (n - m)
            if value > best + slack:
                best, at = value, i
    return at, cuts


@kernel(forceinline=True)
def worth_of_two(p, m, n, zeros, ones, entropy, table):
    """Worth of cutting n cases of two classes after m, of which p are of the second class."""
    r = np.uint64(n - m)
    l1, l0 = np.uint64(p), np.uint64(m - p)
    r1, r0 = np.uint64(ones - p), np.uint64(zeros - (m - p))
    if entropy:
        return (table[l1] + table[l0] - table[np.uint64(m)]) + (table[r1] + table[r0] - table[r])
    f1, f0, g1, g0 = float(l1), float(l0), float(r1), float(r0)
    return (f1 * f1 + f0 * f0) / m + (g1 * g1 + g0 * g0) / r


@kernel(forceinline=True)
def earned(left, whole, m, n, entropy, table):
    """Gain, times n, and split information of cutting n cases after m, of classes as in `left`.

    The same sums in the same order as in `scan.worth`: equal splits gain alike to the last bit.
    """
    a, b, w = 0.0, 0.0, 0.0
    for c in range(whole.size):
        p = left[c]
        v = int(whole[c] + 0.5)
        q = v - p
        if entropy:
            a += table[p]
            b += table[q]
            w += table[v]
        else:
            a += float(p) * p
            b += float(q) * q
            w += float(v) * v
    if entropy:
        gain = (a - table[m]) + (b - table[n - m]) - (w - table[n])
    else:
        gain = a / m + b / (n - m) - w / n
    return gain, table[n] - (table[m] + table[n - m])


@kernel()
def seek_two(
    rank, index, y, start, stop, zeros, ones, entropy, table, slack, gap, least, column, row
):
    """`seek_counts` for two classes: no sum is carried along, so nothing waits for the last one."""
    n = stop - start
    slack *= n
    best, at, cuts = -np.inf, -1, 0
    small = max(1, math.ceil(least))
    p = 0
    for i in range(start, stop - small):
        p += int(y[index[i]])
        if rank[i] != rank[i + 1]:
            m = i + 1 - start
            if m < small:
                continue
            if gap > 0.0:
                x = column[row[index[i]]]
                if not x + gap < column[row[index[i + 1]]]:
                    continue
            cuts += 1
            value = worth_of_two(p, m, n, zeros, ones, entropy, table)
            if value > best + slack:
                best, at = value, i
    return at, cuts
