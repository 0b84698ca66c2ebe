"""Bytes to token ids: one pass, one hash table.

Words of up to seven bytes are their own keys; longer ones are compared byte for byte.

Ids 0, 1 and 2 are ``<unk>``, ``<s>`` and ``</s>``. A line becomes ``1 ids... 2``. Tokens end at
blanks, tabs, carriage returns and NUL, lines at the line feed alone, as in lmplz: a form feed is a
letter.
"""

import numpy as np

from xent._compile.decorator import kernel
from xent._math.llvm import load_uint64, prefetch, trailing_zeros

_U = np.uint64
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_HIGH = np.uint64(0x8080808080808080)
_ABOVE_SPACE = np.uint64(0x5F5F5F5F5F5F5F5F)  # added to a byte below 128, it reaches 128 from 33 on
_LONG = np.uint64(0xFF << 56)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
SHORT = 7  # bytes of a word that is its own key
WORDS_IN_FLIGHT = 64

SPACE = np.zeros(256, np.bool_)
SPACE[[0, 9, 10, 13, 32]] = True

UNKNOWN, BEGIN, END = 0, 1, 2


# What may follow a first byte, RFC 3629: how many bytes, and the range of the first of them.
FOLLOWING = np.zeros(256, np.uint8)
FOLLOWING[0xC2:0xE0], FOLLOWING[0xE0:0xF0], FOLLOWING[0xF0:0xF5] = 1, 2, 3
LOWEST, HIGHEST = np.full(256, 0x80, np.uint8), np.full(256, 0xBF, np.uint8)
LOWEST[[0xE0, 0xF0]], HIGHEST[[0xED, 0xF4]] = (0xA0, 0x90), (0x9F, 0x8F)


@kernel()
def is_utf8(text):
    """Whether bytes are UTF-8, without making a str of them."""
    i = np.int64(0)
    while i < text.size:
        if i + 8 <= text.size and load_uint64(text, i) & _HIGH == _U(0):
            i += 8
            continue
        c = text[i]
        i += 1
        if c < 0x80:
            continue
        more = np.int64(FOLLOWING[c])
        if more == 0 or i + more > text.size:
            return False
        if text[i] < LOWEST[c] or text[i] > HIGHEST[c]:
            return False
        for k in range(1, more):
            if text[i + k] & 0xC0 != 0x80:
                return False
        i += more
    return True


@kernel(inline="always")
def mix(h):
    """Spread a 64-bit hash over all its bits (the finalizer of MurmurHash3)."""
    h ^= h >> _U(33)
    h *= _U(0xFF51AFD7ED558CCD)
    h ^= h >> _U(33)
    h *= _U(0xC4CEB9FE1A85EC53)
    h ^= h >> _U(33)
    return h


@kernel(inline="always")
def _same(a, i, b, j, length):
    """Whether two long words are the same: eight bytes at a time, the last eight overlapping."""
    last = length - 8
    if load_uint64(a, i + last) != load_uint64(b, j + last):
        return False
    for k in range(0, last, 8):  # noqa: SIM110 (a kernel has no generators)
        if load_uint64(a, i + k) != load_uint64(b, j + k):
            return False
    return True


@kernel(inline="always")
def _first_bytes(text, i, length):
    """Read up to eight bytes as a number."""
    if i + 8 <= len(text):
        return load_uint64(text, i) & (_ALL >> _U(64 - 8 * length)) if length > 0 else _U(0)
    found = _U(0)
    for k in range(length):
        found |= _U(text[i + k]) << _U(8 * k)
    return found


@kernel(forceinline=True)
def key_of(text, first, length):
    """Return what a word is found by, never 0: bytes and length, or a hash of many bytes."""
    if length <= SHORT:
        return _first_bytes(text, first, length) | (_U(length + 1) << _U(56))
    h = _U(length)
    for i in range(first, first + length, 8):
        h = mix(h ^ _first_bytes(text, i, min(8, first + length - i))) * _PRIME
    return h | _LONG


@kernel(inline="always")
def place_of(text, first, length, key, keys, slots, blob, starts):
    """Return the slot of a word, or the free one where it would stand."""
    mask = _U(keys.size - 1)
    slot = mix(key) & mask
    while keys[slot] != _U(0):
        if keys[slot] == key:
            if length <= SHORT:
                break
            word = slots[slot]
            start = starts[word]
            if starts[word + 1] - start == length and _same(text, first, blob, start, length):
                break
        slot = (slot + _U(1)) & mask
    return slot


@kernel(inline="always")
def not_above_space(eight):
    """Mark, of eight bytes, those up to 32: their high bit."""
    return ~(((eight & ~_HIGH) + _ABOVE_SPACE) | eight) & _HIGH


@kernel()
def encode(text, space, table, into, size, ids):
    """Write the ids of a text whose last byte ends a line.

    Parameters
    ----------
    text : (n,) uint8
    space : (256,) bool
        No byte above 32.
    table : tuple
        ``keys`` and ``slots``, (2^k,) uint64 and uint32: key of a word (0 is free) and its id;
        ``blob`` and ``starts``, (bytes,) uint8 and (words + 1,) int64: the words in a row.
    into : tuple
        The same four arrays where a new word shall get the next id, four empty ones where it
        becomes ``UNKNOWN``: the table itself may be mapped read-only.
    size : int
        Words so far.
    ids : (tokens + 2 lines,) uint32

    Returns
    -------
    at, filled, size : int
        Where it stopped (before a line that might not fit the table or the blob; n if it is done),
        how many ids it wrote, and the number of words.
    """
    keys, slots, blob, starts = table
    new_keys, new_slots, new_blob, new_starts = into
    grow = new_keys.size > 0
    n = text.size
    mask = _U(keys.size - 1)
    filled = 0
    i = np.int64(0)
    line = np.int64(0)  # where the current line begins, and the number of ids then
    filled_then = 0
    fresh = True
    # Words are found block by block, so that the memory can be asked for their slots in time.
    key, home = np.empty((2, WORDS_IN_FLIGHT), np.uint64)
    words = np.empty(
        (WORDS_IN_FLIGHT, 5), np.int64
    )  # first byte, length, place among ids, line, filled_then
    while i < n:
        m = 0
        while i < n and m < WORDS_IN_FLIGHT:
            if fresh:
                line, filled_then = i, filled
                ids[filled] = BEGIN
                filled += 1
                fresh = False
            c = text[i]
            if space[c]:
                if c == 10:
                    ids[filled] = END
                    filled += 1
                    fresh = True
                i += 1
                continue
            first = i
            while i + 8 <= n:
                low = not_above_space(load_uint64(text, i))
                while low != _U(0) and not space[text[i + np.int64(trailing_zeros(low) >> _U(3))]]:
                    low &= low - _U(1)
                if low != _U(0):
                    i += np.int64(trailing_zeros(low) >> _U(3))
                    break
                i += 8
            while not space[text[i]]:
                i += 1
            length = i - first
            if length <= SHORT and first + 8 <= n:
                eight = load_uint64(text, first) & (_ALL >> _U(64 - 8 * length))
                key[m] = eight | (_U(length + 1) << _U(56))
            else:
                key[m] = key_of(text, first, length)
            home[m] = mix(key[m]) & mask
            prefetch(keys, np.int64(home[m]))
            prefetch(slots, np.int64(home[m]))
            words[m, 0], words[m, 1], words[m, 2] = first, length, filled
            words[m, 3], words[m, 4] = line, filled_then
            m += 1
            filled += 1
            if text[i] == 32:
                i += 1
        for k in range(m):
            sought, first, length = key[k], words[k, 0], words[k, 1]
            slot = home[k]
            while keys[slot] != _U(0):
                if keys[slot] == sought:
                    if length <= SHORT:
                        break
                    start = starts[slots[slot]]
                    if starts[slots[slot] + 1] - start == length and _same(
                        text, first, blob, start, length
                    ):
                        break
                slot = (slot + _U(1)) & mask
            if keys[slot] != _U(0):
                ids[words[k, 2]] = slots[slot]
            elif not grow:
                ids[words[k, 2]] = UNKNOWN
            else:
                # Words already added in a line that is begun again are simply found there.
                if 2 * size >= keys.size or size + 2 > starts.size:
                    return words[k, 3], words[k, 4], size
                if starts[size] + length > blob.size:
                    return words[k, 3], words[k, 4], size
                new_keys[slot] = sought
                new_slots[slot] = size
                for c in range(length):
                    new_blob[starts[size] + c] = text[first + c]
                new_starts[size + 1] = starts[size] + length
                ids[words[k, 2]] = size
                size += 1
    return n, filled, size


@kernel(inline="always")
def _spells_unknown(text, first, length):
    """Whether a word is <unk> or <UNK>."""
    if length != 5 or text[first] != 60 or text[first + 4] != 62:
        return False
    u, n, k = text[first + 1], text[first + 2], text[first + 3]
    return (u == 117 and n == 110 and k == 107) or (u == 85 and n == 78 and k == 75)


@kernel()
def unknown_bits(text, space, ids, is_word, costs, found):
    """Write what the spelling of the unknown words of each line costs.

    Parameters
    ----------
    text : (n,) uint8
        Whole lines.
    space : (256,) bool
    ids : (tokens + 2 lines,) uint32
        What `encode` wrote.
    is_word : bool
        Whether ``<unk>`` spelt in the text is a word like others, which needs no spelling.
    costs : (257, 257) float64
        Of a byte after another one; 256 begins and ends a word.
    found : (lines,) float64
    """
    i = np.int64(0)
    token = 0
    for line in range(found.size):
        total = 0.0
        token += 1  # <s>
        while text[i] != 10:
            if space[text[i]]:
                i += 1
                continue
            first = i
            while not space[text[i]]:
                i += 1
            if ids[token] == UNKNOWN and not (is_word and _spells_unknown(text, first, i - first)):
                before = np.int64(256)
                for letter in range(first, i):
                    total += costs[before, text[letter]]
                    before = np.int64(text[letter])
                total += costs[before, 256]
            token += 1
        i += 1
        token += 1  # </s>
        found[line] = total


@kernel()
def insert_words(blob, starts, first, last, keys, slots):
    """Enter words ``first`` to ``last`` of a blob into the hash table (when it has grown)."""
    mask = _U(keys.size - 1)
    for word in range(first, last):
        key = key_of(blob, starts[word], starts[word + 1] - starts[word])
        slot = mix(key) & mask
        while keys[slot] != _U(0):
            slot = (slot + _U(1)) & mask
        keys[slot] = key
        slots[slot] = word


@kernel()
def position_in_sentence(ids, keep, max_reach, reach):
    """Write how many tokens before each one belong to its history, at most ``max_reach``.

    A word that is not kept breaks the sentence: it is counted nowhere (255), and the next word
    has no history.
    """
    last = -1
    for i in range(ids.size):
        word = ids[i]
        if word == BEGIN:
            last = 0
        elif keep[word]:
            last += 1
        else:
            last = -1
        reach[i] = 255 if last < 0 else min(last, max_reach)
