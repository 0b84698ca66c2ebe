"""One sentence, or one word, of a KenLM binary in one call, where the call is most of the work.

As in `sentence`, addresses are handed over in one array by an object that keeps the arrays alive.
"""

import numpy as np
from numba.np.numpy_support import carray

from xent._compile.decorator import kernel
from xent._math.llvm import load_uint64, pointer_to
from xent.language._kernels.binary import COLUMNS, remember, step
from xent.language._kernels.murmur import murmur, number_of
from xent.language._kernels.sentence import is_space

# What stands where in the header: addresses of arrays, and then numbers.
DATA, LEVELS_ADDRESS, NUMBERS_OF_IDS = range(3)
FILE_SIZE, ORDER, HASHED, WORDS_OFFSET, HASHES, IDS, FIRST_WORD, LAST_WORD = range(3, 11)


@kernel(inside=True)
def _file(header):
    """Return the file as the kernels of `binary` take it."""
    data = carray(pointer_to(header[DATA], np.uint8), (header[FILE_SIZE],), np.uint8)
    levels = carray(
        pointer_to(header[LEVELS_ADDRESS], np.int64), (header[ORDER], COLUMNS), np.int64
    )
    return data, header[HASHED] != 0, levels


@kernel()
def full_scores(text, header, bos, eos, logp, lengths, numbers):
    """Write log10-probability, length of the n-gram and number of each word; return how many."""
    data, hashed, levels = _file(header)
    model = data, hashed, levels
    words = np.zeros(levels.shape[0], np.int64)
    weights = np.zeros(levels.shape[0], np.float32)
    fresh = np.zeros(levels.shape[0], np.float32)
    length = 0
    if bos:
        _, _, length = step(model, header[FIRST_WORD], words, weights, length, fresh)
        remember(header[FIRST_WORD], words, weights, fresh, length)
    n = len(text)
    i = m = 0
    while i <= n:
        if i < n and is_space(text[i]):
            i += 1
            continue
        if i == n and not eos:
            break
        first = i
        while i < n and not is_space(text[i]):
            i += 1
        number = header[LAST_WORD]
        if first < n:
            key = murmur(text, first, i - first)
            number = number_of(data, hashed, header[WORDS_OFFSET], header[HASHES], key)
        else:
            i += 1  # the end itself, and out of the loop
        prob, lengths[m], length = step(model, number, words, weights, length, fresh)
        remember(number, words, weights, fresh, length)
        logp[m], numbers[m] = prob, number
        m += 1
    return m


@kernel()
def score(text, header, bos, eos):
    """Return the log10-probability of a sentence, which is bytes."""
    most = len(text) // 2 + 2
    logp = np.empty(most)
    lengths, numbers = np.empty(most, np.int64), np.empty(most, np.int64)
    total = 0.0
    for i in range(full_scores(text, header, bos, eos, logp, lengths, numbers)):
        total += logp[i]
    return total


@kernel()
def step_from(header, history, word, following):
    """Score a word after a history, the nearest number first, eight bytes each.

    Returns log10-probability, length of the n-gram found, and how many numbers of the history after
    it, written to ``following``, still matter.
    """
    model = _file(header)
    order = header[ORDER]
    weights, fresh = np.zeros(order, np.float32), np.zeros(order, np.float32)
    numbers = carray(pointer_to(header[NUMBERS_OF_IDS], np.uint32), (header[IDS],), np.uint32)
    length = 0
    for k in range(len(history) - 8, -8, -8):
        before = np.int64(load_uint64(history, k))
        _, _, length = step(model, before, following, weights, length, fresh)
        remember(before, following, weights, fresh, length)
    number = np.int64(numbers[word])
    prob, matched, length = step(model, number, following, weights, length, fresh)
    remember(number, following, weights, fresh, length)
    return np.float64(prob), matched, length
