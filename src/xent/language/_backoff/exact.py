"""The model that every smoothing ends in: n-grams with log-probabilities, weights for the rest.

    p(w | h) = the stored one                    if the n-gram (h, w) is in the model
               weight(h) p(w | h without its first word)   otherwise

Interpolated methods are stored so too, their probabilities already mixed. This is also what an ARPA
file holds. For scoring, the levels are compiled into an automaton with one hash probe a token.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent.language._kernels import score as kernels

U32 = NDArray[np.uint32]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

INTERLEAVED = 16  # sentences that are scored in turns, so that memory is waited for once for all
LOAD = 0.5  # of the hash table: a search ends after one and a half keys on average
LOG_10 = float(np.log(10.0))


@dataclass
class Ngrams:
    """The n-grams of one order, sorted by (prefix, word)."""

    prefix: U32  # row one level below
    word: U32
    suffix: U32  # node of the longest shorter n-gram that ends alike: 0 is the empty one
    logp: F32  # log10
    backoff: F32  # log10; empty for the longest n-grams

    def __len__(self) -> int:
        return len(self.word)


Automaton = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64], np.uint64, Any]


@dataclass
class Backoff:
    """A back-off model as arrays: node 0 is the empty history, level after level follows."""

    rows: list[Ngrams]
    compiled: Automaton | None = field(default=None, repr=False)

    @property
    def order(self) -> int:
        """The longest n-gram."""
        return len(self.rows)

    @cached_property
    def firsts(self) -> NDArray[np.int64]:
        """The node with which each level begins; one more for the end."""
        return np.cumsum([1] + [len(rows) for rows in self.rows])

    @cached_property
    def states(self) -> list[U32]:
        """The state that each node leads to: itself where it has followers, else its suffix's."""
        found: list[U32] = []
        flat = np.zeros(int(self.firsts[-1]), np.uint32)
        for n, rows in enumerate(self.rows):
            leads = flat[rows.suffix]
            if n + 1 < self.order:
                follows = rows.backoff != 0
                follows[self.rows[n + 1].prefix] = True
                nodes = np.arange(self.firsts[n], self.firsts[n + 1], dtype=np.uint32)
                leads = np.where(follows, nodes, leads)
            flat[self.firsts[n] : self.firsts[n + 1]] = leads
            found.append(leads)
        return found

    @cached_property
    def automaton(self) -> Automaton:
        """The hash table and the state arrays that the scoring kernel walks."""
        if self.compiled is not None:
            return self.compiled
        firsts = self.firsts
        words = len(self.rows[0])
        word_bits = np.uint64(max(1, (words - 1).bit_length()))
        longer = sum(len(rows) for rows in self.rows[1:])
        states = np.zeros(int(firsts[max(1, self.order - 1)]), np.uint64)
        leads = np.concatenate([np.zeros(1, np.uint32), *self.states[: self.order - 1]])
        for n, rows in enumerate(self.rows):
            if n + 1 < self.order:
                part = slice(firsts[n], firsts[n + 1])
                kernels.pack(leads[rows.suffix], rows.backoff, states[part])
        unigram = np.empty(words, np.uint64)
        kernels.pack(self.states[0], self.rows[0].logp, unigram)
        slots = int(longer / LOAD) + 8
        slots += min(kernels.SPARE_SLOTS, slots // 3 + 1)
        while (table := self._table(slots, word_bits)) is None:
            slots *= 2
        return table, states, unigram, word_bits, firsts[: max(1, self.order - 1)]

    def _table(self, slots: int, word_bits: np.uint64) -> NDArray[np.uint64] | None:
        """Return the hash table of all levels but the first, or None where there is no room."""
        table = np.full(2 * slots, kernels.FREE)
        for n in range(1, self.order):
            rows, below = self.rows[n], np.uint64(self.firsts[n - 1])
            if not kernels.insert(
                rows.prefix, below, rows.word, self.states[n], rows.logp, word_bits, table
            ):
                return None
        return table

    def prepare(self) -> None:
        """Build once what scoring needs, before several threads ask for it."""
        _ = self.automaton

    @property
    def begin(self) -> int:
        """The state after ``<s>``."""
        return int(self.automaton[2][1] >> np.uint64(32))

    def score(
        self,
        ids: U32,
        starts: NDArray[np.int64],
        *,
        lengths: bool = False,
        threads: int | None = None,
    ) -> tuple[F64, NDArray[np.int8]]:
        """Score sentences; return each token's log-probability and the length of its n-gram.

        Parameters
        ----------
        ids : (n,) uint32
        starts : (sentences + 1,) int64
            As `sentence_starts` gives them.
        lengths : bool
            Whether the lengths are wanted; they come empty otherwise.
        threads : int, optional
            Numba's number where not given.
        """
        sentences = len(starts) - 1
        out = np.empty(len(ids) - sentences)
        measured = np.empty(len(out) if lengths else 0, np.int8)
        automaton, begin = self.automaton, self.begin

        def work(low: int, high: int) -> None:
            turns = max(1, min(INTERLEAVED, high - low))
            kernels.score(ids, starts, low, high, automaton, begin, LOG_10, turns, out, measured)

        min_sentences = max(1, 20_000 * sentences // max(1, len(out)))
        in_blocks(work, sentences, threads=threads, least=min_sentences)
        return out, measured

    def step(self, state: int, word: int) -> tuple[float, int, int]:
        """Score one word; return its log10-probability, the next state and the n-gram's length."""
        table, states, unigram, word_bits, firsts = self.automaton
        logp, following, length = kernels.step(
            state, word, table, states, unigram, word_bits, firsts
        )
        return float(logp), int(following), int(length)

    def state(self, history: list[int] | U32, state: int = 0) -> int:
        """Return the state after some words."""
        for word in history:
            state = self.begin if word == 1 else self.step(state, int(word))[1]
        return state

    def distribution(self, state: int, length: int = 0, alpha: float | None = None) -> F64:
        """Return the probability of every word after a state.

        With ``alpha`` every word given up of a history of ``length`` costs that factor instead of
        the stored weights (stupid back-off).
        """
        states = self.automaton[1]
        chain = []
        while state:
            chain.append(self._row(state))
            state = int(states[state] >> np.uint64(32))
        p = 10.0 ** self.rows[0].logp.astype(np.float64)
        p[1] = 0.0
        done = 0
        for n, row in reversed(chain):
            rows, above = self.rows[n], self.rows[n + 1]
            p *= 10.0 ** float(rows.backoff[row]) if alpha is None else alpha ** (n + 1 - done)
            done = n + 1
            first, last = np.searchsorted(above.prefix, [row, row + 1])
            p[above.word[first:last]] = 10.0 ** above.logp[first:last].astype(np.float64)
        return p if alpha is None else p * alpha ** (length - done)

    def after(self, history: list[int], alpha: float | None = None) -> F64:
        """Return the probability of every word after a history; ``alpha`` as in `distribution`."""
        return self.distribution(self.state(history), len(history), alpha)

    def _row(self, node: int) -> tuple[int, int]:
        """Return the level and the row of a node."""
        n = int(np.searchsorted(self.firsts, node, "right")) - 1
        return n, node - int(self.firsts[n])
