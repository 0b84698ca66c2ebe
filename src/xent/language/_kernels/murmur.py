"""Words found by hash, as KenLM finds them: MurmurHash64A (Appleby, public domain), seed 0."""

import numpy as np

from xent._compile.decorator import kernel
from xent._math.llvm import load_uint64
from xent.language._kernels.binary import find_key
from xent.language._kernels.text import BEGIN, END, UNKNOWN

_U = np.uint64
_M = np.uint64(0xC6A4A7935BD1E995)
_SHIFT = np.uint64(47)
BUCKET = 12  # bytes: the hash, and a number of four


@kernel(inside=True)
def murmur(text, first, length):
    """Return the hash of a word."""
    h = _U(length) * _M
    whole = first + (length & ~7)
    for i in range(first, whole, 8):
        k = load_uint64(text, i) * _M
        h = (h ^ ((k ^ (k >> _SHIFT)) * _M)) * _M
    rest = _U(0)
    for i in range(whole, first + length):
        rest |= _U(text[i]) << _U(8 * (i - whole))
    if length & 7:
        h = (h ^ rest) * _M
    h = (h ^ (h >> _SHIFT)) * _M
    return h ^ (h >> _SHIFT)


@kernel(inside=True)
def number_of(data, hashed, offset, count, key):
    """Return the number of the word with a hash: 0 where there is none.

    ``count`` are the buckets of a hash table, or the hashes of an ascending list.
    """
    if hashed:
        at = find_key(data, offset, BUCKET, count, key)
        return np.int64(load_uint64(data, at + 4) >> _U(32)) if at >= 0 else np.int64(0)
    begin, end = np.int64(0), count
    while begin < end:
        middle = (begin + end) >> 1
        found = load_uint64(data, offset + 8 * middle)
        if found == key:
            return middle + 1
        if found < key:
            begin = middle + 1
        else:
            end = middle
    return np.int64(0)


@kernel()
def numbers_of(blob, starts, table, numbers):
    """Write the number of each word of a blob: 0 where it is not in the table.

    ``table`` is the file, whether it is a hash table, its place, and its count.
    """
    data, hashed, offset, count = table
    for word in range(numbers.size):
        key = murmur(blob, starts[word], starts[word + 1] - starts[word])
        numbers[word] = number_of(data, hashed, offset, count, key) if key != _U(0) else 0


@kernel()
def encode(text, space, table, ids_of, ids):
    """Write the ids of whole lines, words found by hash alone; return how many.

    ``ids_of`` gives the id of each number of the file.
    """
    data, hashed, offset, count = table
    n = text.size
    filled = 0
    fresh = True
    i = np.int64(0)
    while i < n:
        if fresh:
            ids[filled] = BEGIN
            filled += 1
            fresh = False
        if space[text[i]]:
            if text[i] == 10:
                ids[filled] = END
                filled += 1
                fresh = True
            i += 1
            continue
        first = i
        while not space[text[i]]:
            i += 1
        key = murmur(text, first, i - first)
        number = number_of(data, hashed, offset, count, key)
        ids[filled] = ids_of[number] if number > 0 else UNKNOWN
        filled += 1
    return filled
