"""The compact form of a model: a trie packed to the bit, a byte for each probability.

An n-gram costs its word's bits, one byte for its log-probability and, unless it is of the highest
order, one for its back-off weight and the place of its first child. The 256 values that a byte can
mean are chosen for each order by Lloyd's iteration, which minimises the squared error.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent.language._backoff.exact import F32, F64, LOG_10, U32, Automaton, Backoff, Ngrams
from xent.language._backoff.protocol import BackoffModel
from xent.language._kernels import compact as kernels

Arrays = dict[str, NDArray[Any]]
LLOYD_ROUNDS = 30
EXACT_CODES = 2  # codes 0 and 1 mean 0 and minus infinity to the last bit


class Compact:
    """A `BackoffModel` that is scored as it is packed; what else is asked of it unpacks it once."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    @classmethod
    def of(cls, model: BackoffModel) -> "Compact":
        """Pack a model."""
        if isinstance(model, Compact):
            return model
        rows, firsts = model.rows, model.firsts
        size, order = len(rows[0]), len(rows)
        places = [np.zeros(1, np.int64)]  # of first children: none before the words' own
        for n in range(1, order):
            prefixes = np.arange(len(rows[n - 1]))
            begins = np.searchsorted(rows[n].prefix, prefixes) + int(firsts[n]) - 1 - size
            places.append(begins)
        first = np.concatenate([*places, [int(firsts[-1]) - 1 - size]])
        spans = first[:: kernels.CHILDREN_SPAN]
        more = first - np.repeat(spans, kernels.CHILDREN_SPAN)[: len(first)]
        words = np.concatenate([np.empty(0, np.uint32), *(r.word for r in rows[1:])])
        logp, logp_book = _coded([r.logp for r in rows[1:]], order - 1)
        backoff, backoff_book = _coded([r.backoff for r in rows[1:-1]], order - 1)
        widths = [_width(size - 1), _width(int(more.max()))]
        return cls(
            {
                "firsts": firsts,
                "widths": np.array(widths),
                "words": _packed(words, widths[0]),
                "spans": spans.astype(np.uint32),
                "more": _packed(more, widths[1]),
                "logp": logp,
                "logp_book": logp_book,
                "backoff": backoff,
                "backoff_book": backoff_book,
                "unigram_logp": rows[0].logp,
                "unigram_backoff": rows[0].backoff,
            }
        )

    @property
    def order(self) -> int:
        """The longest n-gram."""
        return len(self.firsts) - 1

    @cached_property
    def firsts(self) -> NDArray[np.int64]:
        """The node with which each level begins; one more for the end."""
        return self.arrays["firsts"]

    @property
    def _trie(self) -> tuple[Any, ...]:
        a = self.arrays
        word_width, more_width = a["widths"].tolist()
        return a["words"], word_width, a["spans"], a["more"], more_width

    @cached_property
    def unpacked(self) -> Backoff:
        """The same model, its n-grams unpacked."""
        a, trie = self.arrays, self._trie
        edges = self.firsts - 1 - int(self.firsts[1] - 1)
        size = int(self.firsts[1]) - 1
        words = np.empty(int(edges[-1]), np.uint32)
        kernels.unpack_bits(trie[0], trie[1], words)
        first = np.empty(int(self.firsts[self.order - 1]) + 1, np.int64)
        kernels.first_children(trie[2], trie[3], trie[4], first)
        zeros = np.zeros(size, np.uint32)
        every = np.arange(size, dtype=np.uint32)
        found = [Ngrams(zeros, every, zeros, a["unigram_logp"], a["unigram_backoff"])]
        suffixes = np.zeros(1 + size, np.uint32)
        for n in range(1, self.order):
            part = slice(int(edges[n]), int(edges[n + 1]))
            below = slice(int(self.firsts[n - 1]), int(self.firsts[n]) + 1)
            prefix = np.repeat(np.arange(len(found[-1]), dtype=np.uint32), np.diff(first[below]))
            suffix = np.empty(len(prefix), np.uint32)
            word = words[part]
            kernels.link(prefix, word, below.start, suffixes, trie, size, suffix)
            suffixes = np.concatenate([suffixes, suffix])
            weights = np.empty(0, np.float32)
            if n + 1 < self.order:
                weights = a["backoff_book"][n - 1][a["backoff"][part]]
            logp = a["logp_book"][n - 1][a["logp"][part]]
            found.append(Ngrams(prefix, word, suffix, logp, weights))
        return Backoff(found)

    @property
    def rows(self) -> list[Ngrams]:
        """The n-grams of each order, unpacked."""
        return self.unpacked.rows

    @property
    def states(self) -> list[U32]:
        """The state that each node leads to, of the unpacked model."""
        return self.unpacked.states

    @property
    def automaton(self) -> Automaton:
        """The hash table and the state arrays of the unpacked model."""
        return self.unpacked.automaton

    @property
    def begin(self) -> int:
        """The state after ``<s>``."""
        return self.unpacked.begin

    def after(self, history: list[int], alpha: float | None = None) -> F64:
        """Return the probability of every word after a history, as `Backoff.after` does."""
        return self.unpacked.after(history, alpha)

    def prepare(self) -> None:
        """Do nothing: it is scored as it is."""

    def score(
        self,
        ids: U32,
        starts: NDArray[np.int64],
        *,
        lengths: bool = False,
        threads: int | None = None,
    ) -> tuple[F64, NDArray[np.int8]]:
        """Score sentences, as `Backoff.score` does."""
        a, trie = self.arrays, self._trie
        sentences = len(starts) - 1
        out = np.empty(len(ids) - sentences)
        measured = np.empty(len(out) if lengths else 0, np.int8)
        unigrams = a["unigram_logp"], a["unigram_backoff"]
        codes = a["logp"], a["backoff"]
        books = a["logp_book"], a["backoff_book"]

        def work(low: int, high: int) -> None:
            kernels.score(
                ids, starts, low, high, trie, unigrams, codes, books, LOG_10, out, measured
            )

        min_sentences = max(1, 5_000 * sentences // max(1, len(out)))
        in_blocks(work, sentences, threads=threads, least=min_sentences)
        return out, measured


def _width(largest: int) -> int:
    return max(1, largest.bit_length())


def _packed(values: NDArray[Any], width: int) -> NDArray[np.uint64]:
    # One word more than needed: a number is read from two neighbours.
    packed = np.zeros(len(values) * width // 64 + 2, np.uint64)
    kernels.pack_bits(values, width, packed)
    return packed


def _coded(levels: list[F32], books: int) -> tuple[NDArray[np.uint8], F32]:
    """Return one byte a value, level after level, and what the bytes of each level mean."""
    meaning = np.zeros((books, 256), np.float32)
    codes = [np.empty(0, np.uint8)]
    for n, values in enumerate(levels):
        inner = np.isfinite(values) & (values != 0)
        book = codebook(values[inner], 256 - EXACT_CODES)
        code = np.zeros(len(values), np.uint8)
        code[inner] = np.searchsorted((book[1:] + book[:-1]) / 2, values[inner]) + EXACT_CODES
        code[np.isneginf(values)] = 1
        meaning[n, 1] = -np.inf
        meaning[n, EXACT_CODES : EXACT_CODES + len(book)] = book
        codes.append(code)
    return np.concatenate(codes), meaning


def codebook(values: F32, size: int) -> F32:
    """Return at most so many values, ascending, that stand for the given ones with little error."""
    ordered = np.sort(values).astype(np.float64)
    distinct = np.unique(ordered)
    if len(distinct) <= size:
        return distinct.astype(np.float32)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    edges = np.arange(size + 1) * len(ordered) // size  # equal shares to begin with
    for _ in range(LLOYD_ROUNDS):
        edges = np.unique(edges)
        book = np.diff(sums[edges]) / np.diff(edges)
        inner = np.searchsorted(ordered, (book[1:] + book[:-1]) / 2)
        edges = np.concatenate([[0], inner, [len(ordered)]])
    return book.astype(np.float32)
