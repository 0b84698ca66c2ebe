"""Putting a column of numbers in order once, before anything grows.

A column with at most 256 values becomes one byte a row. Every other becomes the list of its rows
in the order of the values (a stable radix sort, so that no machine orders ties in its own way) and
the rank of each value, equal for equal values. Missing values come last.
"""

import numpy as np

from xent._compile.decorator import kernel, step
from xent.trees._kernels.records import UNSEEN_CODE

MAX_VALUES = 256
HASH_SLOTS = 1024


@step()
def find(keys, used, key):
    """Place of a key in a small hash table, or the free place where it would go."""
    h = (key ^ (key >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    at = np.int64(h >> np.uint64(54))
    while used[at] and keys[at] != key:
        at = (at + 1) & (HASH_SLOTS - 1)
    return at


@kernel(inside=True)
def bits_of(column, out):
    """Keys whose unsigned order is the order of the numbers; NaN above all, -0 equal to 0."""
    plain = np.empty(column.size)
    for i in range(column.size):
        plain[i] = column[i] + 0.0
    raw = plain.view(np.uint64)
    top = np.uint64(1) << np.uint64(63)
    for i in range(column.size):
        if plain[i] != plain[i]:
            out[i] = ~np.uint64(0)
        elif raw[i] >= top:
            out[i] = ~raw[i]
        else:
            out[i] = raw[i] | top


@kernel()
def many(numbers, found, a, b):
    """Say which of the columns a..b have more than 256 values in their first rows alone."""
    head = min(numbers.shape[0], 1024)
    bits = np.empty(head, np.uint64)
    keys = np.empty(HASH_SLOTS, np.uint64)
    used = np.empty(HASH_SLOTS, np.uint8)
    for f in range(a, b):
        for h in range(HASH_SLOTS):
            used[h] = 0
        count = 0
        bits_of(numbers[:head, f], bits)
        for i in range(head):
            at = find(keys, used, bits[i])
            if not used[at]:
                used[at] = 1
                keys[at] = bits[i]
                count += 1
                if count > MAX_VALUES:
                    break
        found[f] = count > MAX_VALUES


@kernel()
def encode(numbers, which, small, values, levels, gone, a, b):
    """Write one byte a row for the columns a..b, in the order of the values.

    A column with more than 256 values, a missing one among them, gets -1 levels and no bytes.
    """
    n = numbers.shape[0]
    bits = np.empty(n, np.uint64)
    keys = np.empty(HASH_SLOTS, np.uint64)
    used = np.empty(HASH_SLOTS, np.uint8)
    code = np.empty(HASH_SLOTS, np.uint8)
    place = np.empty(n, np.uint16)
    listed = np.empty(MAX_VALUES + 1, np.int64)
    missing = ~np.uint64(0)
    for s in range(a, b):
        column = numbers[:, which[s]]
        for h in range(HASH_SLOTS):
            used[h] = 0
        bits_of(column, bits)
        count, at, last = 0, np.int64(0), ~bits[0]
        for i in range(n):
            key = bits[i]
            if key != last:
                last = key
                at = find(keys, used, key)
                if not used[at]:
                    if count == MAX_VALUES:
                        count += 1
                        break
                    used[at] = 1
                    keys[at] = key
                    j = count
                    while j > 0 and keys[listed[j - 1]] > key:
                        listed[j] = listed[j - 1]
                        values[s, j] = values[s, j - 1]
                        j -= 1
                    listed[j] = at
                    values[s, j] = column[i] + 0.0
                    count += 1
            place[i] = at
        if count > MAX_VALUES:
            levels[s] = -1
            continue
        for j in range(count):
            code[listed[j]] = j
        for i in range(n):
            small[s, i] = code[place[i]]
        gone[s] = count > 0 and keys[listed[count - 1]] == missing
        levels[s] = count - gone[s]


@kernel()
def presort(numbers, which, ranks, indices, a, b):
    """Sort the columns a..b of `which`: six rounds of eleven bits, those that differ."""
    n = numbers.shape[0]
    key, key2 = np.empty(n, np.uint64), np.empty(n, np.uint64)
    row, row2 = np.empty(n, np.int32), np.empty(n, np.int32)
    counts = np.empty((6, 2048), np.int64)
    missing = ~np.uint64(0)
    mask = np.uint64(2047)
    for q in range(a, b):
        bits_of(numbers[:, which[q]], key)
        for p in range(6):
            for c in range(2048):
                counts[p, c] = 0
        for i in range(n):
            k = key[i]
            row[i] = i
            for p in range(6):
                counts[p, np.int64((k >> np.uint64(11 * p)) & mask)] += 1
        for p in range(6):
            shift = np.uint64(11 * p)
            if counts[p, np.int64((key[0] >> shift) & mask)] == n:
                continue
            total = 0
            for c in range(2048):
                here = counts[p, c]
                counts[p, c] = total
                total += int(here)
            for i in range(n):
                digit = np.int64((key[i] >> shift) & mask)
                j = counts[p, digit]
                counts[p, digit] = j + 1
                key2[j] = key[i]
                row2[j] = row[i]
            key, key2 = key2, key
            row, row2 = row2, row
        rank = 0
        for i in range(n):
            if i and key[i] != key[i - 1]:
                rank += 1
            ranks[q, i] = UNSEEN_CODE if key[i] == missing else rank
            indices[q, i] = row[i]
