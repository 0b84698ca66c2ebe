"""Counting pairs of small codes: tables in turn, so that no store waits for the one before."""

import numpy as np

from xent._kernels._jit import kernel

FEW = 512  # cells up to which one comes again soon, so that four tables pay


@kernel()
def count_pairs(x, y, rows, columns):
    """Return how often each pair (x, y) of fewer than 2^32 rows occurs, flat."""
    size = rows * columns
    tables = 4 if size <= FEW else 1
    table = np.zeros(tables * size, dtype=np.uint32)  # half as long, so that more of it is near
    # Unsigned, so that no index is looked at for being negative.
    width = np.uint64(columns)
    second = np.uint64(size if tables == 4 else 0)
    third, fourth = second + second, second + second + second
    one = np.uint32(1)
    whole = x.shape[0] // 4 * 4
    for i in range(0, whole, 4):
        table[np.uint64(x[i]) * width + np.uint64(y[i])] += one
        table[np.uint64(x[i + 1]) * width + np.uint64(y[i + 1]) + second] += one
        table[np.uint64(x[i + 2]) * width + np.uint64(y[i + 2]) + third] += one
        table[np.uint64(x[i + 3]) * width + np.uint64(y[i + 3]) + fourth] += one
    for i in range(whole, x.shape[0]):
        table[x[i] * columns + y[i]] += one
    found = table[:size].astype(np.int64)
    for part in range(1, tables):
        found += table[part * size : (part + 1) * size]
    return found


@kernel()
def extent(x):
    """Return the smallest and the largest of some integers in one pass."""
    low = x[0]
    high = x[0]
    for i in range(x.shape[0]):
        low = min(low, x[i])
        high = max(high, x[i])
    return low, high
