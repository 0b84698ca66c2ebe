"""Counting pairs of small codes: four tables in turn, so that no store waits for the one before."""

import numpy as np

from xent._kernels._jit import kernel


@kernel()
def count_pairs(x, y, rows, columns):
    """Return how often each pair (x, y) occurs, shape (rows, columns); codes are within them."""
    size = rows * columns
    table = np.zeros(4 * size, dtype=np.int64)
    whole = x.shape[0] // 4 * 4
    for i in range(0, whole, 4):
        table[x[i] * columns + y[i]] += 1
        table[size + x[i + 1] * columns + y[i + 1]] += 1
        table[2 * size + x[i + 2] * columns + y[i + 2]] += 1
        table[3 * size + x[i + 3] * columns + y[i + 3]] += 1
    for i in range(whole, x.shape[0]):
        table[x[i] * columns + y[i]] += 1
    found = table[:size].copy()
    for part in range(1, 4):
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
