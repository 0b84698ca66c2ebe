"""KenLM's binaries as they lie on the disk: looked up, scored.

Two structures, one walk. In hash tables an n-gram's key grows by a word to the left; in the trie,
which begins with the last word, the word to the left is a child. Either way the place of an n-gram
is two numbers, from which the longer n-gram that ends with it is found. What lies where is the
table ``levels``: a row an order, the columns below.
"""

import numpy as np

from xent._compile.decorator import kernel
from xent._math.llvm import load_uint64

_U = np.uint64
_LOW = np.uint64(0xFFFFFFFF)
_SIGN = np.uint64(0x80000000)
_KEY = np.uint64(8978948897894561157)
_WORD = np.uint64(17894857484156487943)

# Columns of ``levels``. Of hash tables: bytes a record, buckets. Of the trie: bits, records.
OFFSET, RECORD, COUNT = range(3)
# Of the trie alone: bit of each field in a record and its width, and where the values stand that
# a quantised field chooses from, or -1.
WORD_WIDTH, PROB_AT, PROB_WIDTH, PROB_BOOK, BACKOFF_AT, BACKOFF_WIDTH, BACKOFF_BOOK = range(3, 10)
# Where the number of the first child stands, how many children there are in all, and the array of
# its high parts: its place (0: none) and its length.
NEXT_AT, NEXT_WIDTH, CHILDREN, HIGH, HIGHS = range(10, 15)
COLUMNS = 15


@kernel(inline="always")
def as_float(bits):
    """Return the float32 in the lower half of a value."""
    return np.uint32(bits & _LOW).view(np.float32)


@kernel(inline="always")
def bits_at(data, offset, bit, width):
    """Read a number of at most 57 bits."""
    if width == 0:
        return np.int64(0)
    value = load_uint64(data, offset + (bit >> 3)) >> _U(bit & 7)
    return np.int64(value & ((_U(1) << _U(width)) - _U(1)))


@kernel(inline="always")
def extends(weight):
    """Whether a back-off weight says that longer n-grams begin so: it is not -0.0."""
    return np.float32(weight).view(np.uint32) != np.uint32(0x80000000)


@kernel(inside=True)
def first_child(data, level, record):
    """Return the number of a record's first child, or of the first one after all children."""
    if record == level[COUNT]:
        return level[CHILDREN]
    low = bits_at(data, level[OFFSET], record * level[RECORD] + level[NEXT_AT], level[NEXT_WIDTH])
    if level[HIGH] == 0:
        return low
    begin, end = np.int64(0), level[HIGHS]
    while begin < end:  # the last entry that is not above the record
        middle = (begin + end) >> 1
        if np.int64(load_uint64(data, level[HIGH] + 8 * middle)) <= record:
            begin = middle + 1
        else:
            end = middle
    return ((begin - 1) << level[NEXT_WIDTH]) | low


@kernel(inside=True)
def word_at(data, level, record):
    """Return the word of a record: the first one of its n-gram."""
    return bits_at(data, level[OFFSET], record * level[RECORD], level[WORD_WIDTH])


@kernel(inside=True)
def prob_at(data, level, record):
    """Return the log10-probability of a record of the trie."""
    at = record * level[RECORD] + level[PROB_AT]
    code = bits_at(data, level[OFFSET], at, level[PROB_WIDTH])
    if level[PROB_BOOK] < 0:
        return as_float(_U(code) | _SIGN)
    return as_float(load_uint64(data, level[PROB_BOOK] + 4 * code))


@kernel(inside=True)
def backoff_at(data, level, record):
    """Return the back-off weight of a record of the trie."""
    at = record * level[RECORD] + level[BACKOFF_AT]
    code = bits_at(data, level[OFFSET], at, level[BACKOFF_WIDTH])
    if level[BACKOFF_BOOK] < 0:
        return as_float(_U(code))
    return as_float(load_uint64(data, level[BACKOFF_BOOK] + 4 * code))


@kernel(inside=True)
def find_word(data, level, begin, end, word):
    """Return the record of a word among children, or -1."""
    while begin < end:
        middle = (begin + end) >> 1
        found = word_at(data, level, middle)
        if found == word:
            return middle
        if found < word:
            begin = middle + 1
        else:
            end = middle
    return np.int64(-1)


@kernel(inside=True)
def find_key(data, offset, record, buckets, key):
    """Return where the bucket of a key begins, or -1."""
    bucket = np.int64(key % _U(buckets))
    for _ in range(buckets):
        at = offset + bucket * record
        found = load_uint64(data, at)
        if found == key:
            return at
        if found == _U(0):
            break
        bucket += 1
        if bucket == buckets:
            bucket -= buckets
    return np.int64(-1)


@kernel(inside=True)
def unigram(data, hashed, levels, word):
    """Return log10-probability and back-off weight of a word, its place, and whether it has more.

    It has more where a longer n-gram ends with it.
    """
    level = levels[0]
    at = level[OFFSET] + word * level[RECORD]
    both = load_uint64(data, at)
    prob = both & _LOW
    weight = as_float(both >> _U(32))
    if hashed:
        return as_float(prob | _SIGN), weight, _U(word), _U(0), prob & _SIGN == _U(0)
    begin, end = load_uint64(data, at + 8), load_uint64(data, at + 8 + level[RECORD])
    return as_float(prob), weight, begin, end, begin < end


@kernel(inside=True)
def longer(data, hashed, level, longest, first, second, word):
    """Find the n-gram that is longer by a word to the left.

    Returns whether it is there, and of it what `unigram` returns.
    """
    none = np.float32(0.0)
    if hashed:
        key = (first * _KEY) ^ ((_U(1) + _U(word)) * _WORD)
        at = find_key(data, level[OFFSET], level[RECORD], level[COUNT], key)
        if at < 0:
            return False, none, none, key, _U(0), False
        # From four bytes before it: the last record may end with the file.
        prob = load_uint64(data, at + 4) >> _U(32)
        if longest:
            return True, as_float(prob | _SIGN), none, key, _U(0), False
        weight = as_float(load_uint64(data, at + 8) >> _U(32))
        return True, as_float(prob | _SIGN), weight, key, _U(0), prob & _SIGN == _U(0)
    found = find_word(data, level, np.int64(first), np.int64(second), word)
    if found < 0:
        return False, none, none, first, second, False
    prob = prob_at(data, level, found)
    if longest:
        return True, prob, none, first, second, False
    begin, end = first_child(data, level, found), first_child(data, level, found + 1)
    weight = backoff_at(data, level, found)
    return True, prob, weight, _U(begin), _U(end), begin < end


@kernel(inside=True)
def step(model, word, words, weights, length, fresh):
    """Score a word after a history.

    ``words`` and ``weights`` are the history, the nearest word first, and the back-off weights of
    its last word, its last two, and so on; ``length`` of them count. ``fresh`` receives those of
    the history with the new word. Returns the log10-probability, the length of the n-gram found,
    and how many of the fresh ones count: beyond them nothing longer begins.
    """
    data, hashed, levels = model
    order = levels.shape[0]
    prob, weight, first, second, more = unigram(data, hashed, levels, word)
    fresh[0] = weight
    matched = 1
    kept = 1 if extends(weight) else 0
    while more and matched <= length:
        there, other, weight, first, second, more = longer(
            data, hashed, levels[matched], matched + 1 == order, first, second, words[matched - 1]
        )
        if not there:
            break
        prob = other
        if matched + 1 < order:
            fresh[matched] = weight
            if extends(weight):
                kept = matched + 1
        matched += 1
    # In single precision and in this order, as KenLM adds.
    for size in range(matched, length + 1):
        prob += weights[size - 1]
    return prob, matched, kept


@kernel(inside=True)
def remember(word, words, weights, fresh, kept):
    """Put a scored word before its history."""
    for k in range(min(kept, words.size) - 1, 0, -1):
        words[k] = words[k - 1]
    words[0] = word
    for k in range(kept):
        weights[k] = fresh[k]


@kernel()
def score(ids, starts, low, high, model, numbers, scale, out, lengths):
    """Score sentences ``low`` to ``high`` of a text.

    Parameters
    ----------
    ids : (n,) uint32
    starts : (sentences + 1,) int64
        Where each sentence's ``<s>`` stands.
    low, high : int
    model : tuple
        The file, (bytes,) uint8; whether it is hash tables; ``levels``.
    numbers : (V,) uint32
        The file's number of each word.
    scale : float
        What log10-probabilities are multiplied by.
    out : (n - sentences,) float64
    lengths : (n - sentences,) or (0,) int8
        Length of the n-gram found for each token, written where there is room.
    """
    order = model[2].shape[0]
    words = np.zeros(order, np.int64)
    weights, fresh = np.zeros(order, np.float32), np.zeros(order, np.float32)
    for sentence in range(low, high):
        length = 0
        for i in range(starts[sentence], starts[sentence + 1]):
            word = np.int64(numbers[ids[i]])
            prob, matched, kept = step(model, word, words, weights, length, fresh)
            remember(word, words, weights, fresh, kept)
            length = kept
            if i > starts[sentence]:
                out[i - sentence - 1] = scale * prob
                if lengths.size > 0:
                    lengths[i - sentence - 1] = matched


@kernel()
def distribution(history, model, numbers, out):
    """Write the log10-probability of every word after a history, the nearest word first."""
    order = model[2].shape[0]
    words = np.zeros(order, np.int64)
    weights, fresh = np.zeros(order, np.float32), np.zeros(order, np.float32)
    length = 0
    for k in range(history.size - 1, -1, -1):
        _, _, length = step(model, history[k], words, weights, length, fresh)
        remember(history[k], words, weights, fresh, length)
    for i in range(numbers.size):
        prob, _, _ = step(model, np.int64(numbers[i]), words, weights, length, fresh)
        out[i] = prob
