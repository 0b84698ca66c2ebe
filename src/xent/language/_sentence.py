"""One sentence, or one word, at a time: what the drop-in for KenLM asks of a model of any kind."""

from dataclasses import replace
from types import ModuleType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xent.language._backoff.arpa import KENLM_UNKNOWN, ZERO_LOG
from xent.language._backoff.exact import Backoff
from xent.language._backoff.protocol import BackoffModel
from xent.language._kenlm_binary.model import KenLMBinary
from xent.language._kernels import binary_sentence as binary_kernels
from xent.language._kernels import sentence as kernels
from xent.language._model import NGramModel
from xent.language._vocabulary import BEGIN, END, UNKNOWN

Node = int | bytes  # a history: a state, or the numbers of words; 0 is none
WordScores = tuple[list[float], list[int], list[bool]]


class SentenceScorer(Protocol):
    """Scores sentences and walks from history to history, in base 10."""

    begin: Node

    def score(self, text: bytes, bos: bool, eos: bool) -> float:
        """Return the log-probability of a sentence."""

    def full(self, text: bytes, bos: bool, eos: bool) -> WordScores:
        """Return log-probability, length of the n-gram, and whether unknown, of each word."""

    def step(self, node: Node, word: int) -> tuple[float, Node, int]:
        """Score a word after a history; return the history after it and the n-gram's length too."""


def sentence_scorer(model: NGramModel) -> SentenceScorer:
    """Return what scores the sentences of a model."""
    if isinstance(model.backoff, KenLMBinary):
        return BinaryScorer(model.backoff)
    return AutomatonScorer(model)


class _ByHeader:
    """Scores whole sentences by the kernels of a kind, which find a model by its header."""

    _kernels: ModuleType
    _header: NDArray[np.int64]
    begin: Node

    def score(self, text: bytes, bos: bool, eos: bool) -> float:
        """Return the log-probability of a sentence."""
        return float(self._kernels.score(text, self._header, bos, eos))

    def full(self, text: bytes, bos: bool, eos: bool) -> WordScores:
        """Return log-probability, length of the n-gram, and whether unknown, of each word."""
        logp, lengths, words = _room(text)
        found = self._kernels.full_scores(text, self._header, bos, eos, logp, lengths, words)
        unknown = (words[:found] == UNKNOWN).tolist()
        return logp[:found].tolist(), lengths[:found].tolist(), unknown


class AutomatonScorer(_ByHeader):
    """Walks the automaton of a model; a node is one of its states."""

    _kernels = kernels

    def __init__(self, model: NGramModel) -> None:
        vocabulary, backoff = model.vocabulary, _finite(model)
        table, states, unigram, word_bits, firsts = backoff.automaton
        words = (vocabulary.keys, vocabulary.slots, vocabulary.blob, vocabulary.starts)
        arrays = (*words, table, states, unigram, firsts)
        # Mapped or not, they lie in one piece; what is not int64 would be read wrongly.
        self._kept = tuple(np.ascontiguousarray(array) for array in arrays)
        sizes = (len(vocabulary.keys), len(vocabulary.blob), len(vocabulary), len(table))
        rest = (len(states), len(firsts), int(word_bits), backoff.begin)
        # The addresses of what scoring touches; the arrays are kept alive.
        addresses = [*(a.ctypes.data for a in self._kept), *sizes, *rest]
        self._header = np.array(addresses, np.int64)
        self.begin = backoff.begin

    def step(self, node: Node, word: int) -> tuple[float, Node, int]:
        """Score a word after a history."""
        return kernels.step_from(self._header, node, word)  # type: ignore[no-any-return]


class BinaryScorer(_ByHeader):
    """Looks n-grams up in a KenLM binary; a node is the words that matter, the nearest first."""

    _kernels = binary_kernels

    def __init__(self, binary: KenLMBinary) -> None:
        self._binary = binary  # which keeps alive what the header leads to
        data, hashed, levels = binary.file
        self._kept = np.ascontiguousarray(levels), np.ascontiguousarray(binary.numbers)
        _, _, offset, hashes = binary.words
        ends = binary.numbers[[BEGIN, END]].tolist()
        sizes = (len(data), binary.order, hashed, offset, hashes, len(binary.numbers), *ends)
        addresses = [data.ctypes.data, *(array.ctypes.data for array in self._kept)]
        self._header = np.array([*addresses, *sizes], np.int64)
        self.begin = self.step(0, BEGIN)[1]

    def step(self, node: Node, word: int) -> tuple[float, Node, int]:
        """Score a word after a history."""
        following = np.zeros(self._binary.order, np.int64)
        logp, matched, size = binary_kernels.step_from(self._header, node or b"", word, following)
        return logp, following[:size].tobytes() or 0, matched


def _room(text: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return arrays for what there is to say of the words of a sentence."""
    most = len(text) // 2 + 2
    lengths, words = np.empty((2, most), np.int64)
    return np.empty(most), lengths, words


def _finite(model: NGramModel) -> BackoffModel:
    """Return the arrays of a model with KenLM's numbers for what is impossible.

    They are -99 where an ARPA file would say so, and -100 for unknown words without ``<unk>``.
    """
    rows = model.backoff.rows
    if not any(np.isneginf(level.logp).any() or np.isneginf(level.backoff).any() for level in rows):
        return model.backoff
    finite = [
        replace(level, logp=_not_infinite(level.logp), backoff=_not_infinite(level.backoff))
        for level in rows
    ]
    if model.is_closed:
        finite[0].logp[UNKNOWN] = KENLM_UNKNOWN
    return Backoff(finite)


def _not_infinite(logs: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(np.isneginf(logs), np.float32(ZERO_LOG), logs)
