"""The best split of a sorted column whose entries all weigh 1: counts, and a table of n log n.

The entries of a node lie in the order of the column's values. They come in one of two layouts,
`Listed` and `PackedCounts`, which answer the same three questions: the class of an entry, whether
its value differs from the next one's, and whether by more than a gap.

A packed entry is one word of 32 bits, so that a small node's columns stay in the cache::

    31          20 19           8 7        0
    +-------------+--------------+----------+
    |    place    |    number    |  class   |
    +-------------+--------------+----------+

Place: of the value in the order of the values, the same for equal ones. Number: of the entry in the
small node, in the order of the training rows.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from xent._compile.decorator import inner, step
from xent._compile.numba_private import INSIDE
from xent.trees._kernels.criteria import (
    ENTROPY,
    NEVER,
    count_score,
    count_term,
    gain_of_counts,
    less_threshold,
    min_branch,
    moved,
    split_information,
    too_few,
    two_class_score,
)

CLASS, COUNT_MASK, PLACE = np.uint32(255), np.uint32(4095), np.uint32(1 << 20)
BYTE_BITS = np.uint32(8)
INLINED: Any = {**INSIDE, "forceinline": True, "_nrt": False}


class Listed(NamedTuple):
    """Entries of a sorted list: the rank of the value, and which entry of the level it is."""

    rank: np.ndarray
    entry: np.ndarray
    y: np.ndarray  # by entry of the level
    row: np.ndarray
    column: np.ndarray  # by row


class PackedCounts(NamedTuple):
    """Entries of a small node, a word each."""

    words: np.ndarray
    row: np.ndarray  # by number
    column: np.ndarray  # by row


def class_at(entries, i):
    """Class of an entry."""
    raise NotImplementedError


def value_at(entries, i):
    """Value of an entry."""
    raise NotImplementedError


def differ(entries, i, j):
    """Whether the values of two entries differ."""
    raise NotImplementedError


@overload(class_at, jit_options=INLINED)
def _class_at(entries, i):
    if entries.instance_class is PackedCounts:
        return lambda entries, i: entries.words[i] & CLASS
    return lambda entries, i: entries.y[entries.entry[i]]


@overload(value_at, jit_options=INLINED)
def _value_at(entries, i):
    if entries.instance_class is PackedCounts:
        return lambda entries, i: entries.column[
            entries.row[(entries.words[i] >> BYTE_BITS) & COUNT_MASK]
        ]
    return lambda entries, i: entries.column[entries.row[entries.entry[i]]]


@overload(differ, jit_options=INLINED)
def _differ(entries, i, j):
    if entries.instance_class is PackedCounts:
        return lambda entries, i, j: (entries.words[i] ^ entries.words[j]) >= PLACE
    return lambda entries, i, j: entries.rank[i] != entries.rank[j]


@inner()
def may_part(entries, i, gap):
    """Whether a split may lie between an entry and the next."""
    if not differ(entries, i, i + 1):
        return False
    return gap <= 0.0 or value_at(entries, i) + gap < value_at(entries, i + 1)


@inner()
def best_of_two(entries, start, stop, zeros, ones, small, rules):
    """Best split of two classes: last entry on the left, score, second class there, splits tried.

    No sum is carried along, so nothing waits for the last one.
    """
    n = stop - start
    entropy, table, gap, slack = rules.criterion == ENTROPY, rules.table, rules.gap, rules.slack * n
    best, at, chosen, p = NEVER, -1, np.int64(0), np.int64(0)
    splits = np.int64(0)
    for i in range(start, stop - small):
        p += np.int64(class_at(entries, i))
        m = i + 1 - start
        if m >= small and may_part(entries, i, gap):
            splits += 1
            value = two_class_score(p, m, n, zeros, ones, entropy, table)
            if value > best + slack:
                best, at, chosen = value, i, p
    return at, best, chosen, splits


@inner()
def best_of_more(entries, start, stop, left, right, small, rules):
    """Best split of any number of classes: last entry on the left, score, splits tried."""
    n = stop - start
    entropy, table, step = rules.criterion == ENTROPY, rules.table, rules.step
    gap, slack = rules.gap, rules.slack * n
    a, b = 0.0, 0.0
    for c in range(right.size):
        b += count_term(right[c], entropy, table)
    best, at, splits = NEVER, -1, np.int64(0)
    one = np.uint64(1)
    for i in range(start, stop - small):
        own = np.uint64(class_at(entries, i))
        p, q = np.uint64(left[own]), np.uint64(right[own])
        a, b = moved(a, b, p, q, entropy, step)
        left[own] = p + one
        right[own] = q - one
        m = i + 1 - start
        if m >= small and may_part(entries, i, gap):
            splits += 1
            value = count_score(a, m, entropy, table) + count_score(b, n - m, entropy, table)
            if value > best + slack:
                best, at = value, i
    return at, best, splits


@step()
def search_counts(entries, start, stop, whole, rules, hopeless, left, right):
    """Search a node in a sorted column: last entry on the left, gain, information, score.

    Where the score of the branches is below `hopeless` the gain is not computed.
    """
    size, n = whole.size, stop - start
    entropy, table = rules.criterion == ENTROPY, rules.table
    min_weight = min_branch(rules, n, size)
    if too_few(rules, n, min_weight):
        return -1, NEVER, 0.0, NEVER
    small = max(1, math.ceil(min_weight))
    if size == 2:
        zeros, ones = int(whole[0] + 0.5), int(whole[1] + 0.5)
        at, best, p, splits = best_of_two(entries, start, stop, zeros, ones, small, rules)
        left[0], left[1] = at + 1 - start - p, p
    else:
        for c in range(size):
            left[c] = 0
            right[c] = int(whole[c] + 0.5)
        at, best, splits = best_of_more(entries, start, stop, left, right, small, rules)
        for c in range(size):
            left[c] = 0
        for i in range(start, at + 1):
            left[np.int64(class_at(entries, i))] += 1
    if at < 0 or best < hopeless:
        return -1, NEVER, 0.0, NEVER
    m = at + 1 - start
    gain = gain_of_counts(left, whole, m, n, entropy, table)
    return at, less_threshold(gain, splits, rules), split_information(m, n, table), best
