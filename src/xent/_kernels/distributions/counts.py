"""Counting pairs of whole numbers in one read of both columns.

The extent of a few rows says how long the table has to be; where a later row lies outside, the
table grows. The cells of a block are computed eight at a time, and then counted, in tables in turn
where cells come again soon, so that no store waits for the one before.
"""

import numpy as np

from xent._compile.decorator import kernel
from xent._math.llvm import prefer_512

DENSE_CELLS = 512  # cells up to which one comes again soon, so that four tables pay
COUNT_BLOCK = 2048  # rows, in the nearest cache
LOOKED_AT = 4096


@kernel(inside=True)
def _extent(x, first, step):
    low = high = x[first]
    for i in range(first, x.shape[0], step):
        low = min(low, x[i])
        high = max(high, x[i])
    return low, high


@kernel()
def extent(x):
    """Return the smallest and the largest of some integers in one pass."""
    return _extent(x, 0, 1)


@kernel(inside=True)
def _cells(x, y, low_x, low_y, columns, cells):
    """Write the cell of each pair, and return the furthest offsets from both lows."""
    prefer_512()
    far_x, far_y = np.uint64(0), np.uint64(0)
    width = np.uint32(columns)
    for i in range(x.shape[0]):
        a = np.uint64(x[i] - low_x)  # below the low it is a very large number
        b = np.uint64(y[i] - low_y)
        far_x = max(far_x, a)
        far_y = max(far_y, b)
        cells[i] = np.uint32(a) * width + np.uint32(b)
    return far_x, far_y


@kernel(inside=True)
def _add(cells, size, table):
    """Count the cells of a block."""
    one = np.uint32(1)
    whole = 0
    if table.shape[0] > size:
        second = np.uint64(size)
        third, fourth = second + second, second + second + second
        whole = cells.shape[0] // 4 * 4
        for i in range(0, whole, 4):
            table[np.uint64(cells[i])] += one
            table[np.uint64(cells[i + 1]) + second] += one
            table[np.uint64(cells[i + 2]) + third] += one
            table[np.uint64(cells[i + 3]) + fourth] += one
    for i in range(whole, cells.shape[0]):
        table[np.uint64(cells[i])] += one


@kernel(inside=True)
def _length(low, high, max_cells):
    """How many whole numbers lie between, or more than are taken."""
    return np.int64(min(np.uint64(high - low), np.uint64(max_cells))) + 1


@kernel(inside=True)
def _sum_copies(table, size):
    """Add the tables that were counted into in turn."""
    found = np.zeros(size, dtype=np.int64)
    for first in range(0, table.shape[0], size):
        for j in range(size):
            found[j] += np.int64(table[first + j])
    return found


@kernel()
def count_pairs(x, y, max_cells):
    """Return the two lows and how often each pair of fewer than 2^32 rows occurs, as a matrix.

    Where it would have more than ``max_cells`` cells it is empty.
    """
    none = np.zeros((0, 0), dtype=np.int64)
    rows_in_all = x.shape[0]
    step = max(1, rows_in_all // LOOKED_AT)
    low_x, high_x = _extent(x, 0, step)
    low_y, high_y = _extent(y, 0, step)
    rows, columns = _length(low_x, high_x, max_cells), _length(low_y, high_y, max_cells)
    if rows * columns > max_cells:
        return low_x, low_y, none
    size = rows * columns
    table = np.zeros(4 * size if size <= DENSE_CELLS else size, dtype=np.uint32)
    cells = np.empty(COUNT_BLOCK, dtype=np.uint32)
    at = 0
    while at < rows_in_all:
        stop = min(at + COUNT_BLOCK, rows_in_all)
        some = cells[: stop - at]
        far_x, far_y = _cells(x[at:stop], y[at:stop], low_x, low_y, columns, some)
        if far_x < np.uint64(rows) and far_y < np.uint64(columns):
            _add(some, size, table)
            at = stop
            continue
        # A row lies outside: a larger table, into which the counts move.
        before, rows_before, columns_before = _sum_copies(table, size), rows, columns
        before_x, before_y = low_x, low_y
        low, high = _extent(x, at, 1)
        low_x, high_x = min(low_x, low), max(high_x, high)
        low, high = _extent(y, at, 1)
        low_y, high_y = min(low_y, low), max(high_y, high)
        rows, columns = _length(low_x, high_x, max_cells), _length(low_y, high_y, max_cells)
        if rows * columns > max_cells:
            return low_x, low_y, none
        size = rows * columns
        table = np.zeros(4 * size if size <= DENSE_CELLS else size, dtype=np.uint32)
        first, left = before_x - low_x, before_y - low_y
        for a in range(rows_before):
            for b in range(columns_before):
                cell = (first + a) * columns + left + b
                table[cell] = np.uint32(before[a * columns_before + b])
    return low_x, low_y, _sum_copies(table, size).reshape(rows, columns)
