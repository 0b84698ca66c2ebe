"""Levels of n-grams put together one after the other, each linked to the shorter ones."""

import numpy as np
from numpy.typing import NDArray

from xent.language._backoff.exact import LOAD, Ngrams
from xent.language._kernels import arpa as kernels

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
F32 = NDArray[np.float32]


class LinkedLevels:
    """The n-grams of a model that is being made; node 0 is the empty one, levels follow.

    Parameters
    ----------
    logp, backoff : (V,) float32
        Of the unigrams, whose row is their word.
    """

    def __init__(self, logp: F32, backoff: F32) -> None:
        size = len(logp)
        zeros = np.zeros(size, np.uint32)
        self.rows = [Ngrams(zeros, np.arange(size, dtype=np.uint32), zeros, logp, backoff)]
        self.suffixes = np.zeros(1 + size, np.uint32)
        self.bits = np.uint64(max(1, (size - 1).bit_length()))
        # The node of each n-gram below the next level, under (node of the prefix, word).
        self.table = np.zeros(16, np.uint64)

    @property
    def firsts(self) -> NDArray[np.int64]:
        """The node with which each level begins; one more for the end."""
        return np.cumsum([1, *map(len, self.rows)])

    def prefixes(self, words: U32, prefix: U32) -> int:
        """Write the node of each n-gram's prefix; return the first without one, or -1."""
        return int(kernels.resolve(words, self.table, self.bits, prefix))

    def add(self, prefix: U32, word: U32, logp: F32, backoff: F32) -> None:
        """Add the next level: n-grams as (node of the prefix, word), sorted and each there once."""
        suffix = np.empty(len(word), np.uint32)
        kernels.link(prefix, word, self.suffixes, self.table, self.bits, suffix)
        below = np.uint32(self.firsts[-2])
        self.rows.append(Ngrams(prefix - below, word, suffix, logp, backoff))
        self.suffixes = np.concatenate([self.suffixes, suffix])
        firsts, longer = self.firsts, self.rows[1:]
        self.table = np.zeros(2 * (int(sum(map(len, longer)) / LOAD) + 8), np.uint64)
        for rows, parent, node in zip(longer, firsts, firsts[1:], strict=False):
            whole = rows.prefix + np.uint32(parent)
            kernels.enter(whole, rows.word, int(node), self.bits, self.table)

    def words_of(self, prefix: int, word: int) -> list[int]:
        """Return the words of an n-gram of the next level."""
        found, node, firsts = [word], prefix, [0, *self.firsts]
        for level in range(len(self.rows), 0, -1):
            row, rows = node - firsts[level], self.rows[level - 1]
            found.append(int(rows.word[row]))
            node = int(rows.prefix[row]) + firsts[level - 1]
        return found[::-1]


def packed(prefix: NDArray[np.integer], word: NDArray[np.integer]) -> U64:
    """Put prefix and word into one number that sorts as they do."""
    return (prefix.astype(np.uint64) << np.uint64(32)) | word.astype(np.uint64)


def unpacked(keys: U64) -> tuple[U32, U32]:
    """Return what `packed` put together."""
    return (keys >> np.uint64(32)).astype(np.uint32), keys.astype(np.uint32)
