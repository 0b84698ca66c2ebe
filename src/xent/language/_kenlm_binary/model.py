"""A KenLM binary as a model that is scored as it lies there, and a trie's n-grams, listed."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._compile.threads import in_blocks
from xent.language._backoff.exact import F64, LOG_10, U32, Automaton, Backoff, Ngrams
from xent.language._kenlm_binary.header import Header
from xent.language._kenlm_binary.layout import Bytes, HashTable, Layout, damaged
from xent.language._kernels import binary as kernels
from xent.language._kernels import binary_check as unpacking

I64 = NDArray[np.int64]


class KenLMBinary:
    """A `BackoffModel` that is scored as it lies on the disk.

    What else is asked of it unpacks a trie once; the hash tables cannot be unpacked, since they
    keep no n-grams, but hashes of them.
    """

    def __init__(self, data: Bytes, header: Header, parts: Layout, numbers: U32, path: str) -> None:
        self.data = data
        self.header = header
        self.parts = parts
        self.numbers = numbers  # the file's number of each word of the vocabulary
        self.path = path

    @property
    def order(self) -> int:
        """The longest n-gram."""
        return self.header.order

    @cached_property
    def firsts(self) -> I64:
        """The node with which each level begins; one more for the end."""
        counts = [len(self.numbers), *self.header.counts[1:]]
        return np.cumsum([1, *counts])

    @property
    def file(self) -> tuple[Bytes, bool, I64]:
        """What the kernels look n-grams up in."""
        return self.data, self.header.hashed, self.parts.levels

    @property
    def words(self) -> HashTable:
        """What the kernels look words up in."""
        return self.data, self.header.hashed, self.parts.vocabulary, self.parts.hashes

    def prepare(self) -> None:
        """Do nothing: it is scored as it is."""

    def score(
        self, ids: U32, starts: I64, *, lengths: bool = False, threads: int | None = None
    ) -> tuple[F64, NDArray[np.int8]]:
        """Score sentences, as `Backoff.score` does."""
        sentences = len(starts) - 1
        out = np.empty(len(ids) - sentences)
        measured = np.empty(len(out) if lengths else 0, np.int8)

        def work(low: int, high: int) -> None:
            kernels.score(ids, starts, low, high, self.file, self.numbers, LOG_10, out, measured)

        least = max(1, 5_000 * sentences // max(1, len(out)))
        in_blocks(work, sentences, threads=threads, least=least)
        return out, measured

    def after(self, history: list[int], alpha: float | None = None) -> F64:
        """Return the probability of every word after a history, as `Backoff.after` does."""
        nearest = self.numbers[np.array(history[::-1], np.int64)].astype(np.int64)
        found = np.empty(len(self.numbers))
        kernels.distribution(nearest, self.file, self.numbers, found)
        p: F64 = 10.0**found
        p[1] = 0.0
        return p

    # ------------------------------------------------------------------ listed

    @property
    def rows(self) -> list[Ngrams]:
        """The n-grams of each order, of a trie."""
        return self.unpacked.rows

    @property
    def states(self) -> list[U32]:
        """The state that each node leads to, of the unpacked trie."""
        return self.unpacked.states

    @property
    def automaton(self) -> Automaton:
        """The hash table and the state arrays of the unpacked trie."""
        return self.unpacked.automaton

    @property
    def begin(self) -> int:
        """The state after ``<s>``."""
        return self.unpacked.begin

    @cached_property
    def unpacked(self) -> Backoff:
        """The same model, the n-grams of the trie turned round: a word's children follow it."""
        if self.header.hashed:
            because = "KenLM's hash tables keep hashes of n-grams and not their words"
            advice = "It can only be scored with. Use the .arpa it was built from, or a trie of it."
            raise _check.cannot(f"The n-grams of {self.path!r} cannot be listed", because, advice)
        levels, size = self.parts.levels, len(self.numbers)
        places = np.zeros(self.parts.bound, np.int64)  # row here of each record there
        places[self.numbers[1:]] = np.arange(1, size)
        places[0] = 0
        last = np.arange(self.parts.bound)
        rows = [self._words()]
        before = last  # record of each n-gram without its last word, one level up
        for n in range(1, self.order):
            longest = n + 1 == self.order
            count = self.header.counts[n]
            parent, word = np.empty(count, np.int64), np.empty(count, np.int64)
            logp = np.empty(count, np.float32)
            backoff = np.empty(0 if longest else count, np.float32)
            found = (parent, word, logp, backoff)
            unpacking.unpack(self.data, levels[n - 1], levels[n], n == 1, longest, found)
            begin = word
            if n > 1:
                begin = np.empty(count, np.int64)
                without = unpacking.beginnings(
                    self.data, levels[n - 2], levels[n - 1], n == 2, parent, word, before, begin
                )
                if without >= 0:
                    raise damaged(f"{self.path!r} with a {n + 1}-gram whose beginning is not there")
            last = last[parent]
            prefix = places[begin].astype(np.uint32)
            words = self._ids[last]
            by = np.lexsort((words, prefix))
            suffix = (self.firsts[n - 1] + places[parent[by]]).astype(np.uint32)
            weights = backoff if longest else backoff[by]
            rows.append(Ngrams(prefix[by], words[by], suffix, logp[by], weights))
            places = np.empty(count, np.int64)
            places[by] = np.arange(count)
            before = begin
        return Backoff(rows)

    @cached_property
    def _ids(self) -> U32:
        """The word of each number of the file."""
        found = np.zeros(self.parts.bound, np.uint32)
        found[self.numbers[1:]] = np.arange(1, len(self.numbers))
        found[0] = 0
        return found

    def _words(self) -> Ngrams:
        """Return the 1-grams; a word that is not in the file is impossible."""
        offset, count = int(self.parts.levels[0, kernels.OFFSET]), self.parts.bound
        stored = self.data[offset : offset + 16 * count].view(np.dtype("<f4")).reshape(count, 4)
        ids = np.arange(len(self.numbers), dtype=np.uint32)
        there = (self.numbers > 0) | (ids == 0)
        logp = np.where(there, stored[self.numbers, 0], -np.inf).astype(np.float32)
        backoff = np.where(there, stored[self.numbers, 1], 0.0).astype(np.float32)
        return Ngrams(np.zeros_like(ids), ids, np.zeros_like(ids), logp, backoff)
