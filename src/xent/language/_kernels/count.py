"""Counting n-grams by one sort of packed 64-bit keys an order.

A level holds the distinct n-grams of one order, sorted by (prefix, word): the id of the
(n-1)-gram before the last word, the word, how often, and the id of the (n-1)-gram without the
first word. Since ids of a level grow with their n-grams, every level is in lexicographic order.
"""

import numpy as np

from xent._kernels._jit import kernel
from xent.language._kernels.prefetch import prefetch

_U = np.uint64
AHEAD = 24


@kernel()
def select_keys(ids, before, reach, order, low, high, word_bits, place_bits, places, keys):
    """Pack (prefix, word, place) for the n-grams whose prefix lies in [low, high).

    ``places`` may be empty: then the place is the position in the text.
    """
    m = 0
    listed = places.size > 0
    for i in range(1, ids.size):
        if reach[i] >= order - 1 and reach[i] != 255:
            p = before[i - 1]
            if low <= p < high:
                place = m if listed else i
                keys[m] = (((_U(p - low) << word_bits) | _U(ids[i])) << place_bits) | _U(place)
                if listed:
                    places[m] = i
                m += 1
    return m


@kernel()
def count_distinct(keys, place_bits):
    """Count the distinct n-grams among sorted keys."""
    distinct = 0
    last = _U(0)
    for k in range(keys.size):
        gram = keys[k] >> place_bits
        if k == 0 or gram != last:
            distinct += 1
            last = gram
    return distinct


@kernel()
def read_level(keys, places, before, low, word_bits, place_bits, first, now, level):
    """Turn sorted keys into rows of a level, and note each position's row in ``now``.

    The longest n-grams are nobody's beginning: for them ``now`` is empty and nothing is noted.
    """
    prefix, word, count, suffix = level
    place_mask = (_U(1) << place_bits) - _U(1)
    word_mask = (_U(1) << word_bits) - _U(1)
    listed = places.size > 0
    noted = now.size > 0
    row = -1
    last = _U(0)
    soon = _U(0)
    for k in range(keys.size):
        # Places are random: ask the memory in time for what will be touched there.
        ahead = keys[min(k + AHEAD, keys.size - 1)]
        if not listed:
            if noted:
                prefetch(now, ahead & place_mask)
            if ahead >> place_bits != soon:
                soon = ahead >> place_bits
                prefetch(before, ahead & place_mask)
        gram = keys[k] >> place_bits
        place = keys[k] & place_mask
        i = np.int64(places[place]) if listed else np.int64(place)
        if k == 0 or gram != last:
            row += 1
            last = gram
            prefix[row] = np.uint32(gram >> word_bits) + np.uint32(low)
            word[row] = np.uint32(gram & word_mask)
            count[row] = 0
            suffix[row] = before[i]
        count[row] += 1
        if noted:
            now[i] = first + row


@kernel()
def count_words(ids, reach, count):
    """Count the words that are kept."""
    for i in range(ids.size):
        if reach[i] != 255:
            count[ids[i]] += 1


@kernel()
def left_extensions(suffix, count, from_begin, adjusted):
    """Count how many words each n-gram was seen after: the continuation count.

    An n-gram that begins a sentence keeps its count, and one that was seen only where its left
    neighbour is no word of the vocabulary was seen after one thing.
    """
    for i in range(suffix.size):
        adjusted[suffix[i]] += 1
    for i in range(count.size):
        if from_begin[i]:
            adjusted[i] = count[i]
        elif adjusted[i] == 0 and count[i] > 0:
            adjusted[i] = 1


@kernel()
def renumber(kept, number):
    """Give the kept rows consecutive numbers, the others 2^32 - 1."""
    m = 0
    for i in range(kept.size):
        if kept[i]:
            number[i] = m
            m += 1
        else:
            number[i] = np.uint32(0xFFFFFFFF)
    return m
