"""Every index of a KenLM binary followed once: what a damaged file would lead to is refused."""

import numpy as np

from xent._compile.decorator import kernel
from xent._math.llvm import load_uint64
from xent.language._kernels.binary import (
    CHILDREN,
    COUNT,
    HIGH,
    HIGHS,
    OFFSET,
    RECORD,
    as_float,
    backoff_at,
    find_word,
    first_child,
    prob_at,
    word_at,
)

_U = np.uint64
_SIGN = np.uint64(0x80000000)
_LOW = np.uint64(0xFFFFFFFF)

# What can be wrong.
SOUND, FULL, MISPLACED, NOT_EMPTY, NOT_FINITE, CHILDREN_WRONG, WORDS_WRONG, ABOVE_ONE = range(8)


@kernel()
def buckets(data, offset, record, count, values):
    """Check a hash table: each key where a search finds it, empty buckets empty, numbers finite.

    ``values`` is how many float32 follow a key (a number of four bytes counts as none). Returns
    what is wrong, and how many buckets are taken.
    """
    bucket = np.int64(0)  # the first that is empty
    while bucket < count and load_uint64(data, offset + bucket * record) != _U(0):
        bucket += 1
    if bucket == count:
        return FULL, count
    taken = 0
    run = 0  # taken buckets since the last empty one
    for _ in range(count):
        at = offset + bucket * record
        key = load_uint64(data, at)
        if key == _U(0):
            run = 0
            for i in range(8, record):
                if data[at + i] != 0:
                    return NOT_EMPTY, taken
        else:
            away = bucket - np.int64(key % _U(count))
            if away < 0:
                away += count
            if away > run:
                return MISPLACED, taken
            for i in range(values):
                if not np.isfinite(as_float(load_uint64(data, at + 4 + 4 * i) >> _U(32))):
                    return NOT_FINITE, taken
            run += 1
            taken += 1
        bucket += 1
        if bucket == count:
            bucket -= count
    return SOUND, taken


@kernel()
def word_buckets(data, offset, count, bound, seen):
    """Mark the numbers that words have; return whether each is below the bound and met once."""
    for bucket in range(count):
        at = offset + bucket * 12
        if load_uint64(data, at) == _U(0):
            continue
        number = np.int64(load_uint64(data, at + 4) >> _U(32))
        if number < 1 or number >= bound or seen[number]:
            return False
        seen[number] = True
    return True


@kernel()
def ascending(data, offset, count):
    """Whether 64-bit numbers, the first not 0, ascend strictly."""
    before = _U(0)
    for i in range(count):
        value = load_uint64(data, offset + 8 * i)
        if value <= before:
            return False
        before = value
    return True


@kernel()
def unigrams(data, hashed, level):
    """Check log-probabilities, back-off weights and, of the trie, the children of words."""
    before = np.int64(0)
    for word in range(level[COUNT]):
        at = level[OFFSET] + word * level[RECORD]
        both = load_uint64(data, at)
        if not (np.isfinite(as_float(both)) and np.isfinite(as_float(both >> _U(32)))):
            return NOT_FINITE
        if not hashed:
            if both & _LOW > _U(0) and both & _SIGN == _U(0):
                return ABOVE_ONE
            # As unsigned: what is huge would be negative.
            if word == 0 and load_uint64(data, at + 8) != _U(0):
                return CHILDREN_WRONG
            following = load_uint64(data, at + 8 + level[RECORD])
            if following < _U(before) or following > _U(level[CHILDREN]):
                return CHILDREN_WRONG
            before = np.int64(following)
    if not hashed and before != level[CHILDREN]:
        return CHILDREN_WRONG
    return SOUND


@kernel()
def highs(data, level):
    """Check the high parts of a level's children: they begin with 0, ascend and end in time."""
    before = _U(0)
    for i in range(level[HIGHS]):
        value = load_uint64(data, level[HIGH] + 8 * i)
        # KenLM wrote one more than the last record until 2014.
        if value < before or value > _U(level[COUNT] + 1) or (i == 0 and value != _U(0)):
            return CHILDREN_WRONG
        before = value
    return SOUND


@kernel(inside=True)
def _first(data, level, record, root):
    """Return the first child of a record of any level."""
    if root:
        return np.int64(load_uint64(data, level[OFFSET] + record * level[RECORD] + 8))
    return first_child(data, level, record)


@kernel()
def children(data, level, below, root, longest, words):
    """Check the children of each record of a level (the words, where it is the root).

    Their ranges follow one another and hold all records below; in each the words ascend and are
    words; numbers are finite. ``longest`` says it of the level below.
    """
    begin = _first(data, level, 0, root)
    if begin != 0:
        return CHILDREN_WRONG
    for record in range(level[COUNT]):
        end = _first(data, level, record + 1, root)
        if end < begin or end > below[COUNT]:
            return CHILDREN_WRONG
        before = np.int64(-1)
        for child in range(begin, end):
            word = word_at(data, below, child)
            if word <= before or word >= words:
                return WORDS_WRONG
            before = word
            prob = prob_at(data, below, child)
            if not np.isfinite(prob):
                return NOT_FINITE
            if prob > 0.0:
                return ABOVE_ONE
            if not longest and not np.isfinite(backoff_at(data, below, child)):
                return NOT_FINITE
        begin = end
    return SOUND if begin == below[COUNT] else CHILDREN_WRONG


@kernel()
def unpack(data, above, level, root, longest, found):
    """Write what stands in the records of a level of the trie.

    Parameters
    ----------
    data : (bytes,) uint8
    above, level : (columns,) int64
        The level of the parents, and this one.
    root : bool
        Whether the parents are words.
    longest : bool
    found : tuple
        Arrays to write to, an entry a record: the parent and the record's own word (int64),
        log10-probability and back-off weight (float32; none for the longest).
    """
    parent, word, logp, backoff = found
    for record in range(above[COUNT]):
        begin, end = _first(data, above, record, root), _first(data, above, record + 1, root)
        for child in range(begin, end):
            parent[child], word[child] = record, word_at(data, level, child)
            logp[child] = prob_at(data, level, child)
            if not longest:
                backoff[child] = backoff_at(data, level, child)


@kernel()
def beginnings(data, above, level, root, parent, word, of_parent, found):
    """Find the record of each n-gram without its last word; return the first that has none, or -1.

    It is the child, with the n-gram's first word, of the parent's own n-gram without its last word
    (``of_parent``, a record of ``above``); ``level`` holds the children, ``root`` says whether
    those of ``above`` are words.
    """
    for record in range(parent.size):
        place = of_parent[parent[record]]
        begin, end = _first(data, above, place, root), _first(data, above, place + 1, root)
        found[record] = find_word(data, level, begin, end, word[record])
        if found[record] < 0:
            return record
    return -1
