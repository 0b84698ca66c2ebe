"""Counting n-grams: the places of each order, sorted by their n-gram, give those of the next.

A level holds the distinct n-grams of one order, sorted by (prefix, word): the id of the
(n-1)-gram before the last word, the word, how often, and the id of the (n-1)-gram without the
first word. Since ids of a level grow with their n-grams, every level is in lexicographic order.

Where the places of the (n-1)-grams lie sorted, the places after them are sorted by their prefix
already; what is left to do is to sort by word within each prefix, and those groups are small.
"""

import numpy as np

from xent._compile.decorator import kernel
from xent._math.llvm import prefetch

_U = np.uint64
_LOW = np.uint64(0xFFFFFFFF)
_WORD = np.uint64(32)  # keys hold the word above the place
PLACES_AHEAD = 32
INSERTION_SORTED = 24  # places of one history, or distinct words: fewer are sorted by insertion
SIX_BIT_DIGITS, EIGHT_BIT_DIGITS = (
    512,
    4096,
)  # distinct words: up to these radix sort takes smaller digits
MAX_DIGITS = 1 << 11


@kernel(inside=True)
def sort_by_word(keys, scratch, number, word_bits, first):
    """Sort the first ``number`` keys by word; return the array, one of the two, that holds them."""
    if number < INSERTION_SORTED:
        for k in range(1, number):
            key = keys[k]
            j = k
            while j > 0 and keys[j - 1] > key:
                keys[j] = keys[j - 1]
                j -= 1
            keys[j] = key
        return keys
    bits = 6 if number < SIX_BIT_DIGITS else 8 if number < EIGHT_BIT_DIGITS else 11
    digits = 1 << bits
    mask = _U(digits - 1)
    done = 0
    while done < word_bits:
        shift = _WORD + _U(done)
        for d in range(digits):
            first[d] = 0
        for k in range(number):
            first[(keys[k] >> shift) & mask] += 1
        total = 0
        for d in range(digits):
            here = first[d]
            first[d] = total
            total += here
        for k in range(number):
            key = keys[k]
            d = (key >> shift) & mask
            scratch[first[d]] = key
            first[d] += 1
        keys, scratch = scratch, keys
        done += bits
    return keys


@kernel()
def places_by_word(ids, reach, count, places, stream, reached):
    """Count the words that are kept, write their places sorted by word, and prepare the stream.

    ``reached`` (256,) gets how many tokens have each reach.
    """
    for i in range(ids.size):
        word = ids[i]
        far = reach[i]
        reached[far] += 1
        if far != 255:
            count[word] += 1
        follows = 0 < far < 255
        stream[i] = ((_U(word) if follows else _LOW) << _WORD) | _U(word)
    stream[ids.size] = _LOW << _WORD
    first = np.zeros(count.size, np.int64)
    for word in range(1, count.size):
        first[word] = first[word - 1] + count[word - 1]
    for i in range(ids.size):
        if reach[i] != 255:
            word = ids[i]
            places[first[word]] = i
            first[word] += 1


@kernel()
def next_level(stream, places, sizes, word_bits, longest, keys, words, scratch, table, level):
    """Count the n-grams of one order from the places of those one shorter.

    The places of a history are gone through once to count the words there and once to sort them
    by word; what has to be sorted is the distinct words alone.

    Parameters
    ----------
    stream : (n + 1,) uint64
        For each token its word, or 2^32 - 1 where nothing before it counts, above the (n-1)-gram
        that ends there; the n-grams are written over them. The last one follows nothing.
    places : (sum of sizes,) uint32
        Where the (n-1)-grams end, sorted by them; the places of the n-grams are written over them.
    sizes : (prefixes,) uint32
        How often each (n-1)-gram stands in the text.
    word_bits : int
        How many bits of a word to sort by.
    longest : bool
        Then nobody will ask for the n-grams' places.
    keys : (largest of sizes,) uint64
        Room for the places of one history; FEW are enough for the longest n-grams.
    words, scratch : (most different words after a history,) uint64
        Room to sort in.
    table : (vocabulary,) uint64
        Zeros, and left so.
    level : tuple of four (enough,) uint32
        Written: prefix, word, count, suffix.

    Returns
    -------
    int
        How many distinct n-grams there are.
    """
    prefix, word, count, suffix = level
    first = np.empty(MAX_DIGITS, np.int64)
    last_place = places.size - 1
    rows = filled = at = np.int64(0)
    one, none = _U(1), _U(0)
    for p in range(sizes.size):
        after = at + np.int64(sizes[p])
        number = 0
        if after - at < INSERTION_SORTED:
            for k in range(at, after):
                # Places are random: ask the memory in time for what will be touched there.
                prefetch(stream, np.int64(places[min(k + PLACES_AHEAD, last_place)]) + 1)
                i = np.int64(places[k]) + 1
                found = stream[i]
                if found >> _WORD != _LOW:
                    key = (found & ~_LOW) | _U(i)
                    j = number
                    while j > 0 and keys[j - 1] > key:
                        keys[j] = keys[j - 1]
                        j -= 1
                    keys[j] = key
                    number += 1
            at = after
            last = _LOW
            for k in range(number):
                key = keys[k]
                i = np.int64(key & _LOW)
                if key >> _WORD != last:
                    last = key >> _WORD
                    prefix[rows] = p
                    word[rows] = last
                    suffix[rows] = stream[i] & _LOW
                    count[rows] = 0
                    rows += 1
                count[rows - 1] += 1
                if not longest:
                    stream[i] = (last << _WORD) | _U(rows - 1)
                    places[filled] = i
                    filled += 1
            continue
        distinct = 0
        for k in range(at, after):
            prefetch(stream, np.int64(places[min(k + PLACES_AHEAD, last_place)]) + 1)
            i = np.int64(places[k]) + 1
            found = stream[i]
            w = found >> _WORD
            if w != _LOW:
                times = table[w]
                table[w] = times + one
                if times == none:
                    words[distinct] = found  # its suffix is that of every other place
                    distinct += 1
                if not longest:
                    keys[number] = (found & ~_LOW) | _U(i)
                    number += 1
        at = after
        chosen = sort_by_word(words, scratch, distinct, word_bits, first)
        begin = filled
        for k in range(distinct):
            w = chosen[k] >> _WORD
            times = table[w]
            prefix[rows] = p
            word[rows] = w
            count[rows] = times
            suffix[rows] = chosen[k] & _LOW
            table[w] = (_U(rows) << _WORD) | _U(begin)
            begin += np.int64(times)
            rows += 1
        for k in range(number):
            key = keys[k]
            w = key >> _WORD
            goes = table[w]
            table[w] = goes + one
            i = key & _LOW
            places[goes & _LOW] = i
            stream[i] = (key & ~_LOW) | (goes >> _WORD)
        filled += number
        for k in range(distinct):
            table[chosen[k] >> _WORD] = none
    return rows


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
