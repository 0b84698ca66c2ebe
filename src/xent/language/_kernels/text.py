"""Bytes to token ids: one pass, one hash table, and every match compared byte for byte.

Ids 0, 1 and 2 are ``<unk>``, ``<s>`` and ``</s>``. A line becomes ``1 ids... 2``. Tokens end at
ASCII whitespace and at NUL, lines at the line feed alone, as in KenLM.
"""

import numpy as np

from xent._kernels._jit import kernel
from xent.language._kernels.eight import load8

_U = np.uint64
_FNV = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_HIGH = np.uint64(0x8080808080808080)

SPACE = np.zeros(256, np.bool_)
SPACE[[0, 9, 10, 11, 12, 13, 32]] = True

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
        if i + 8 <= text.size and load8(text, i) & _HIGH == _U(0):
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


@kernel()
def _same(a, i, b, j, length):
    for k in range(length):  # noqa: SIM110 (a kernel has no generators)
        if a[i + k] != b[j + k]:
            return False
    return True


@kernel()
def encode(text, space, table, into, size, ids):
    """Write the ids of a text whose last byte ends a line.

    Parameters
    ----------
    text : (n,) uint8
    space : (256,) bool
    table : tuple
        ``keys`` and ``slots``, (2^k,) uint64 and uint32: hash of a word (0 is free) and its id;
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
    i = 0
    line = 0  # where the current line begins, and the number of ids and words then
    filled_then = 0
    fresh = True
    while i < n:
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
        h = _FNV
        while not space[text[i]]:
            h = (h ^ _U(text[i])) * _PRIME
            i += 1
        length = i - first
        h = mix(h) | _U(1)
        slot = (h >> _U(1)) & mask
        while True:
            found = keys[slot]
            if found == h:
                word = slots[slot]
                if starts[word + 1] - starts[word] == length and _same(
                    text, first, blob, starts[word], length
                ):
                    ids[filled] = word
                    break
            elif found == _U(0):
                if not grow:
                    ids[filled] = UNKNOWN
                    break
                # Words already added in a line that is begun again are simply found there.
                if 2 * size >= keys.size or size + 2 > starts.size:
                    return line, filled_then, size
                if starts[size] + length > blob.size:
                    return line, filled_then, size
                new_keys[slot] = h
                new_slots[slot] = size
                for k in range(length):
                    new_blob[starts[size] + k] = text[first + k]
                new_starts[size + 1] = starts[size] + length
                ids[filled] = size
                size += 1
                break
            slot = (slot + _U(1)) & mask
        filled += 1
    return n, filled, size


@kernel()
def insert_words(blob, starts, first, last, keys, slots):
    """Enter words ``first`` to ``last`` of a blob into the hash table (when it has grown)."""
    mask = _U(keys.size - 1)
    for word in range(first, last):
        h = _FNV
        for k in range(starts[word], starts[word + 1]):
            h = (h ^ _U(blob[k])) * _PRIME
        h = mix(h) | _U(1)
        slot = (h >> _U(1)) & mask
        while keys[slot] != _U(0):
            slot = (slot + _U(1)) & mask
        keys[slot] = h
        slots[slot] = word


@kernel()
def position_in_sentence(ids, keep, most, reach):
    """Write how many tokens before each one belong to its history, at most ``most``.

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
        reach[i] = 255 if last < 0 else min(last, most)
