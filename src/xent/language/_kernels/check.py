"""Every index of a stored model followed once: what a damaged file would lead to is refused."""

import numpy as np

from xent._compile.decorator import kernel
from xent.language._kernels.compact import first_child, packed_bits
from xent.language._kernels.score import FREE, log_part

_U = np.uint64


@kernel(inside=True)
def _no_weight(value):
    """Whether a number is no log-probability and no back-off weight: NaN or infinite upwards."""
    return not value < np.inf


@kernel()
def hash_table(table, states):
    """Whether a search in the table always ends, and leads to a state that there is."""
    for i in range(0, table.size, 2):
        if table[i] != FREE and (
            table[i + 1] >> _U(32) >= _U(states) or _no_weight(log_part(table[i + 1]))
        ):
            return False
    return table[table.size - 2] == FREE


@kernel()
def packed_states(values, states, descending):
    """Whether each state leads to one that there is, where ``descending`` to an earlier one."""
    for i in range(values.size):
        bound = min(states, max(i, 1)) if descending else states
        if values[i] >> _U(32) >= _U(bound) or _no_weight(log_part(values[i])):
            return False
    return True


@kernel()
def level(prefix, word, suffix, logp, backoff, below, words, first):
    """Whether the n-grams of a level are sorted, and lie on what there is.

    ``below`` is the number of n-grams one level down, ``first`` this level's first node.
    """
    for i in range(prefix.size):
        if prefix[i] >= below or word[i] >= words or suffix[i] >= first:
            return False
        if i > 0 and (
            prefix[i] < prefix[i - 1] or (prefix[i] == prefix[i - 1] and word[i] <= word[i - 1])
        ):
            return False
        if _no_weight(logp[i]):
            return False
    fine = True
    for i in range(backoff.size):
        fine &= not _no_weight(backoff[i])
    return fine


@kernel()
def words(starts, size, keys, slots):
    """Whether the words follow one another in a blob of ``size`` and the table leads to words."""
    count = starts.size - 1
    if starts[0] != 0 or starts[count] > size:
        return False
    for i in range(count):
        if starts[i + 1] < starts[i]:
            return False
    free = False
    for i in range(keys.size):
        if keys[i] == _U(0):
            free = True
        elif slots[i] >= count:
            return False
    return free


@kernel()
def compact(trie, firsts, words):
    """Whether the children of each node follow those of the one before, level by level, sorted."""
    packed, word_width, spans, more, more_width = trie
    order = firsts.size - 1
    end = np.int64(0)
    nodes = firsts[order - 1]
    level = 1
    for node in range(nodes):
        if level < order and node == firsts[level - 1]:
            if end != firsts[level] - 1 - words:
                return False
            level += 1
        begin = first_child(node, spans, more, more_width)
        if begin != end:
            return False
        end = first_child(node + 1, spans, more, more_width)
        if end < begin or end > firsts[order] - 1 - words:
            return False
        before = np.int64(-1)
        for place in range(begin, end):
            word = packed_bits(packed, word_width, place)
            if word <= before or word >= words:
                return False
            before = word
    return end == firsts[order] - 1 - words
