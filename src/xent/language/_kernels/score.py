"""Scoring by an exact back-off automaton: one hash probe for a token whose n-gram was seen.

A state is the longest history that has followers. ``table`` maps (state, word) to the n-gram's
log-probability and the next state; on a miss the state's back-off weight is paid and the shorter
history tried. Sixteen sentences walk in lockstep, each asking for its next cache line before its
turn comes: the memory's waiting time is paid once for all of them.
"""

import numpy as np

from xent._compile.decorator import kernel
from xent._math.llvm import prefetch
from xent.language._kernels.text import mix

_U = np.uint64
# No key is mixed to it: what would be is above 2^63, and a key has 32 bits and those of a word.
FREE = np.uint64(0xFFFFFFFFFFFFFFFF)
SPARE_SLOTS = 1024


@kernel(inline="always")
def slot_of(key, slots):
    """Return where the search for a key begins: its hash scaled to the size of the table."""
    return ((mix(key) >> _U(32)) * slots) >> _U(32)


@kernel(inline="always")
def log_part(value):
    """Return the float32 in the lower half of a value."""
    return np.uint32(value & _U(0xFFFFFFFF)).view(np.float32)


@kernel()
def pack(upper, lower, out):
    """Put a state and a float32 into one 64-bit value."""
    for i in range(out.size):
        out[i] = (_U(upper[i]) << _U(32)) | _U(np.float32(lower[i]).view(np.uint32))


@kernel(inline="always")
def homes(size):
    """Return how many slots of a table of so many numbers keys are spread over.

    The others, at its end, take what is pushed on, and the last one stays free.
    """
    slots = size // 2
    return _U(slots - min(SPARE_SLOTS, slots // 4 + 1))


@kernel(inline="always")
def home_of(mixed, places):
    """Return where a mixed key stands if nothing is in its way: the greater the later."""
    return ((mixed >> _U(32)) * places) >> _U(32)


@kernel()
def insert(prefix, first, word, following, logp, word_bits, table):
    """Enter the n-grams of one level; return whether there was room.

    Keys are mixed and stand in order, so that a search, of a key that is not there too, ends at the
    first that is not below it.
    """
    places, last = homes(table.size), _U(table.size // 2 - 1)
    for i in range(prefix.size):
        key = mix(((_U(first + prefix[i]) << word_bits) | _U(word[i])) + _U(1))
        value = (_U(following[i]) << _U(32)) | _U(np.float32(logp[i]).view(np.uint32))
        j = home_of(key, places)
        while table[2 * j] < key:
            j += _U(1)
        while table[2 * j] != FREE:
            table[2 * j], key = key, table[2 * j]
            table[2 * j + 1], value = value, table[2 * j + 1]
            j += _U(1)
        if j == last:
            return False
        table[2 * j], table[2 * j + 1] = key, value
    return True


@kernel()
def step(state, word, table, states, unigram, word_bits, firsts):
    """Score one word: its log10-probability, the next state, the length of the n-gram found."""
    places = homes(table.size)
    s = _U(state)
    total = np.float32(0.0)
    while s != _U(0):
        key = mix(((s << word_bits) | _U(word)) + _U(1))
        j = home_of(key, places)
        while table[2 * j] < key:
            j += _U(1)
        if table[2 * j] == key:
            value = table[2 * j + 1]
            length = 1
            while length < firsts.size and _U(firsts[length]) <= s:
                length += 1
            return total + log_part(value), np.int64(value >> _U(32)), length + 1
        total += log_part(states[s])
        s = states[s] >> _U(32)
    value = unigram[word]
    return total + log_part(value), np.int64(value >> _U(32)), 1


@kernel()
def score(ids, starts, low, high, automaton, begin, scale, interleaved, out, lengths):
    """Score sentences ``low`` to ``high`` of a text.

    Parameters
    ----------
    ids : (n,) uint32
    starts : (sentences + 1,) int64
        Where each sentence's ``<s>`` stands.
    low, high : int
    automaton : tuple
        ``table``, ``states``, ``unigram``, ``word_bits`` and ``firsts``, each level's first state.
    begin : int
        The state before the first word.
    scale : float
        What log10-probabilities are multiplied by.
    interleaved : int
        Sentences in lockstep.
    out : (n - sentences,) float64
    lengths : (n - sentences,) or (0,) int8
        Length of the n-gram found for each token, written where there is room.
    """
    table, states, unigram, word_bits, firsts = automaton
    places = homes(table.size)
    measure = lengths.size > 0
    at = np.zeros(interleaved, np.int64)
    end = np.zeros(interleaved, np.int64)
    shift = np.zeros(interleaved, np.int64)
    state = np.zeros(interleaved, np.uint64)
    paid = np.zeros(interleaved, np.float32)
    key = np.zeros(interleaved, np.uint64)
    slot = np.zeros(interleaved, np.uint64)
    following = low
    live = interleaved
    for lane in range(interleaved):
        at[lane] = -1  # takes a sentence at its first turn
    while live > 0:
        for lane in range(interleaved):
            i = at[lane]
            if i == -2:
                continue
            s = state[lane]
            moved = False
            if i >= 0:
                j = slot[lane]
                while table[2 * j] < key[lane]:
                    j += _U(1)
                if table[2 * j] == key[lane]:
                    value = table[2 * j + 1]
                    out[i - shift[lane]] = scale * (paid[lane] + log_part(value))
                    if measure:
                        length = 1
                        while length < firsts.size and _U(firsts[length]) <= s:
                            length += 1
                        lengths[i - shift[lane]] = length + 1
                    s = value >> _U(32)
                    moved = True
                else:
                    paid[lane] += log_part(states[s])
                    s = states[s] >> _U(32)
                    if s == _U(0):
                        value = unigram[ids[i]]
                        out[i - shift[lane]] = scale * (paid[lane] + log_part(value))
                        if measure:
                            lengths[i - shift[lane]] = 1
                        s = value >> _U(32)
                        moved = True
            if moved or i == -1:
                paid[lane] = np.float32(0.0)
                i = i + 1 if moved else 0
                while True:
                    if i >= end[lane]:
                        if following >= high:
                            i = -2
                            live -= 1
                            break
                        i = starts[following] + 1
                        end[lane] = starts[following + 1]
                        following += 1
                        shift[lane] = following
                        s = _U(begin)
                        continue
                    if s != _U(0):
                        break
                    value = unigram[ids[i]]
                    out[i - shift[lane]] = scale * log_part(value)
                    if measure:
                        lengths[i - shift[lane]] = 1
                    s = value >> _U(32)
                    i += 1
                at[lane] = i
                if i == -2:
                    continue
            state[lane] = s
            k = mix(((s << word_bits) | _U(ids[at[lane]])) + _U(1))
            key[lane] = k
            slot[lane] = home_of(k, places)
            prefetch(table, 2 * slot[lane])
            prefetch(states, s)


@kernel()
def steps(state, words, automaton, logp, following):
    """Take one step from each of many states; write log10-probabilities and the states after."""
    table, states, unigram, word_bits, firsts = automaton
    for i in range(words.size):
        logp[i], following[i], _ = step(
            state[i], words[i], table, states, unigram, word_bits, firsts
        )
