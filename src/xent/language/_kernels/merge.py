"""Merging sorted runs of n-grams that do not fit into memory: buffers of each, and a heap of them.

The key of an n-gram is (row of its prefix among the merged ones, its last word) in 64 bits, so that
all runs are sorted alike; the smallest key over all runs is always the next n-gram.
"""

import numpy as np

from xent._compile.decorator import kernel

_U = np.uint64


@kernel(inside=True)
def _sink(heap, size, i, keys, at):
    """Move a run down the heap to where it belongs."""
    run = heap[i]
    key = keys[run, at[run]]
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        best = keys[heap[child], at[heap[child]]]
        if child + 1 < size:
            other = keys[heap[child + 1], at[heap[child + 1]]]
            if other < best:
                child, best = child + 1, other
        if best >= key:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = run


@kernel()
def merge_sorted(keys, counts, rows, at, end, heap, first, filled, out_key, out_count):
    """Merge until a run's buffer is used up or the output is full.

    Parameters
    ----------
    keys, counts, rows : (runs, room) uint64, uint32, uint32
        Buffers: keys in ascending order, counts; ``rows`` gets the merged row of each n-gram.
    at, end : (runs,) int64
        What of each buffer is still to be merged.
    heap : (runs,) int64
        Room for the heap.
    first, filled : int
        Row that the output begins with, and how many rows it holds; the last may still grow.
    out_key, out_count : (m,) uint64

    Returns
    -------
    int
        How many rows the output holds now.
    """
    size = 0
    for run in range(at.size):
        if at[run] < end[run]:
            heap[size] = run
            size += 1
    for i in range(size // 2 - 1, -1, -1):
        _sink(heap, size, i, keys, at)
    while size > 0:
        run = heap[0]
        i = at[run]
        key = keys[run, i]
        if filled == 0 or key != out_key[filled - 1]:
            if filled == out_key.size:
                break
            out_key[filled] = key
            out_count[filled] = 0
            filled += 1
        out_count[filled - 1] += counts[run, i]
        rows[run, i] = np.uint32(first + filled - 1)
        at[run] = i + 1
        if i + 1 == end[run]:
            break
        _sink(heap, size, 0, keys, at)
    return filled


@kernel()
def link_suffixes(prefix, word, suffix_below, starts, word_below, suffix):
    """Find the row of each n-gram without its first word, one level below.

    That is the child, by the same word, of its prefix without the first word. The children of one
    history come in order of their words, and so do the n-grams here: a search goes on from the
    last find, in steps that double.
    """
    last = _U(1) << _U(40)
    low = np.int64(0)
    for i in range(prefix.size):
        below = suffix_below[prefix[i]]
        stop = np.int64(starts[below + 1])
        if prefix[i] != last:
            last = _U(prefix[i])
            low = np.int64(starts[below])
        wanted = word[i]
        step = np.int64(1)
        high = low
        while high < stop and word_below[high] < wanted:
            low = high + 1
            high += step
            step *= 2
        if high > stop:
            high = stop
        while low < high:
            middle = (low + high) // 2
            if word_below[middle] < wanted:
                low = middle + 1
            else:
                high = middle
        suffix[i] = low


@kernel()
def fill_starts(prefix, first, histories_done, starts):
    """Note where each history's n-grams begin, in a stretch of rows sorted by history."""
    done = histories_done
    for i in range(prefix.size):
        while done <= np.int64(prefix[i]):
            starts[done] = first + i
            done += 1
    return done
