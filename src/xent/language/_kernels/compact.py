"""The compact trie: words and places packed to the bit, probabilities to a byte, found by halving.

Nodes are numbered level after level: 0 is the empty n-gram, then come the words, then the longer
n-grams. The children of a node stand together in the order of their words, so that one ascending
list of first children is the whole tree.
"""

import numpy as np

from xent._compile.decorator import kernel

_U = np.uint64
CHILDREN_SPAN = 64  # nodes that share one whole number; theirs are the differences from it


@kernel()
def pack_bits(values, width, packed):
    """Write numbers of ``width`` bits one after the other into 64-bit words that are zero."""
    for i in range(values.size):
        at = i * width
        shift = _U(at & 63)
        packed[at >> 6] |= _U(values[i]) << shift
        packed[(at >> 6) + 1] |= (_U(values[i]) >> _U(1)) >> (_U(63) - shift)


@kernel(inline="always")
def packed_bits(packed, width, i):
    """Read the i-th number of ``width`` bits."""
    at = i * width
    shift = _U(at & 63)
    low = packed[at >> 6] >> shift
    high = (packed[(at >> 6) + 1] << _U(1)) << (_U(63) - shift)
    return np.int64((low | high) & ((_U(1) << _U(width)) - _U(1)))


@kernel()
def unpack_bits(packed, width, out):
    """Read numbers of ``width`` bits."""
    for i in range(out.size):
        out[i] = packed_bits(packed, width, i)


@kernel(inline="always")
def first_child(node, spans, more, more_width):
    return np.int64(spans[node // CHILDREN_SPAN]) + packed_bits(more, more_width, node)


@kernel()
def first_children(spans, more, more_width, out):
    """Write the place of the first child of each node, counted from the first 2-gram."""
    for node in range(out.size):
        out[node] = first_child(node, spans, more, more_width)


@kernel(inside=True)
def child(node, word, trie):
    """Return the place of a node's child among the longer n-grams, or -1."""
    words, word_width, spans, more, more_width = trie
    low = first_child(node, spans, more, more_width)
    high = first_child(node + 1, spans, more, more_width)
    while low < high:
        middle = (low + high) >> 1
        found = packed_bits(words, word_width, middle)
        if found == word:
            return middle
        if found < word:
            low = middle + 1
        else:
            high = middle
    return np.int64(-1)


@kernel()
def link(prefix, word, first, suffixes, trie, size, suffix):
    """Find the longest shorter n-gram that each n-gram of a level ends with.

    ``suffixes`` holds that of every node below the level, ``first`` the node of the first prefix,
    ``size`` the number of words.
    """
    for row in range(prefix.size):
        node = np.int64(suffixes[first + prefix[row]])
        suffix[row] = 1 + word[row]
        while node > 0:
            found = child(node, word[row], trie)
            if found >= 0:
                suffix[row] = 1 + size + found
                break
            node = np.int64(suffixes[node])


@kernel()
def score(ids, starts, low, high, trie, unigrams, codes, books, scale, out, lengths):
    """Score sentences ``low`` to ``high`` of a text.

    Parameters
    ----------
    ids : (n,) uint32
    starts : (sentences + 1,) int64
        Where each sentence's ``<s>`` stands.
    low, high : int
    trie : tuple
        ``words`` and its width; ``spans``, ``more`` and its width.
    unigrams : tuple
        ``logp`` and ``backoff``, (V,) float32.
    codes : tuple
        Of the longer n-grams' log-probabilities, and of their back-off weights; uint8.
    books : tuple
        What the codes of each order from 2 on mean: (order - 1, 256) float32 each.
    scale : float
        What log10-probabilities are multiplied by.
    out : (n - sentences,) float64
    lengths : (n - sentences,) or (0,) int8
        Length of the n-gram found for each token, written where there is room.
    """
    logp, backoff = unigrams
    logp_codes, backoff_codes = codes
    logp_book, backoff_book = books
    order = logp_book.shape[0] + 1
    size = logp.size
    history = np.empty(order + 1, np.int64)  # by length: the node of the text's last words, or -1
    for sentence in range(low, high):
        history[:] = -1
        history[1] = 1 + ids[starts[sentence]]
        for i in range(starts[sentence] + 1, starts[sentence + 1]):
            word = np.int64(ids[i])
            paid = np.float32(0.0)
            value = logp[word]
            length = 1
            for k in range(order - 1, 0, -1):
                node = history[k]
                history[k + 1] = -1
                if node < 0:
                    continue
                found = child(node, word, trie)
                if found >= 0:
                    history[k + 1] = 1 + size + found
                    if length == 1:
                        value = logp_book[k - 1, logp_codes[found]]
                        length = k + 1
                elif length == 1:
                    if k == 1:
                        paid += backoff[node - 1]
                    else:
                        paid += backoff_book[k - 2, backoff_codes[node - 1 - size]]
            history[1] = 1 + word
            out[i - sentence - 1] = scale * (paid + value)
            if lengths.size > 0:
                lengths[i - sentence - 1] = length
