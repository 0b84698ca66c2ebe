"""One sentence in one call, where the call itself is most of the work.

Handing an array to a compiled function costs as much as scoring a few words, and a model is eight
of them. So their addresses are handed over, in one array, by an object that keeps them alive.
"""

import numpy as np
from numba.np.numpy_support import carray

from xent._compile.decorator import kernel
from xent._math.llvm import pointer_to
from xent.language._kernels.score import step
from xent.language._kernels.text import UNKNOWN, key_of, place_of

_U = np.uint64
END = 2

# What stands where in the header: addresses of arrays, and then numbers.
KEYS, SLOTS, BLOB, STARTS, TABLE_ADDRESS, STATES, UNIGRAM, FIRSTS = range(8)
CAPACITY, BLOB_SIZE, WORDS, TABLE_SIZE, STATES_SIZE, LEVELS, WORD_BITS, BEGIN_STATE = range(8, 16)


@kernel(inline="always")
def is_space(letter):
    """Tell what `bytes.split` splits at."""
    return letter == 32 or 9 <= letter <= 13


@kernel(inside=True)
def _word(text, first, length, header):
    """Return the id of a word."""
    keys = carray(pointer_to(header[KEYS], np.uint64), (header[CAPACITY],), np.uint64)
    slots = carray(pointer_to(header[SLOTS], np.uint32), (header[CAPACITY],), np.uint32)
    blob = carray(pointer_to(header[BLOB], np.uint8), (header[BLOB_SIZE],), np.uint8)
    starts = carray(pointer_to(header[STARTS], np.int64), (header[WORDS] + 1,), np.int64)
    key = key_of(text, first, length)
    slot = place_of(text, first, length, key, keys, slots, blob, starts)
    return np.int64(slots[slot]) if keys[slot] != _U(0) else np.int64(UNKNOWN)


@kernel()
def step_from(header, state, word):
    """Score one word: log10-probability, next state, length of the n-gram found."""
    table = carray(pointer_to(header[TABLE_ADDRESS], np.uint64), (header[TABLE_SIZE],), np.uint64)
    states = carray(pointer_to(header[STATES], np.uint64), (header[STATES_SIZE],), np.uint64)
    unigram = carray(pointer_to(header[UNIGRAM], np.uint64), (header[WORDS],), np.uint64)
    firsts = carray(pointer_to(header[FIRSTS], np.int64), (header[LEVELS],), np.int64)
    return step(state, word, table, states, unigram, _U(header[WORD_BITS]), firsts)


@kernel()
def score(text, header, bos, eos):
    """Return the log10-probability of a sentence, which is bytes."""
    total = 0.0
    state = header[BEGIN_STATE] if bos else 0
    n = len(text)
    i = 0
    while i < n:
        if is_space(text[i]):
            i += 1
            continue
        first = i
        while i < n and not is_space(text[i]):
            i += 1
        logp, state, _ = step_from(header, state, _word(text, first, i - first, header))
        total += logp
    if eos:
        total += step_from(header, state, END)[0]
    return total


@kernel()
def full_scores(text, header, bos, eos, logp, lengths, words):
    """Write log10-probability, length of the n-gram and id of each word; return how many."""
    state = header[BEGIN_STATE] if bos else 0
    n = len(text)
    i = m = 0
    while i < n:
        if is_space(text[i]):
            i += 1
            continue
        first = i
        while i < n and not is_space(text[i]):
            i += 1
        words[m] = _word(text, first, i - first, header)
        logp[m], state, lengths[m] = step_from(header, state, words[m])
        m += 1
    if eos:
        words[m] = END
        logp[m], state, lengths[m] = step_from(header, state, END)
        m += 1
    return m
