"""A drop-in for the ``kenlm`` module: ``from xent.language import kenlm`` and nothing else changes.

It loads ARPA files (plain, ``.gz``, ``.zst``) and our own; log-probabilities are in base 10 as
there. This is the one module of the room without an underscore, as its path is what people import.
"""

import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._arpa import read_arpa
from xent.language._kernels import sentence as kernels
from xent.language._model import NGramModel
from xent.language._vocabulary import UNKNOWN

__all__ = ["FullScoreReturn", "LanguageModel", "Model", "State"]


def __dir__() -> list[str]:
    return list(__all__)


_BINARY = b"mmap lm http://kheafield.com/code"


class FullScoreReturn(NamedTuple):
    """Log10-probability of a word, the length of its n-gram, whether it is unknown."""

    log_prob: float
    ngram_length: int
    oov: bool


class State:
    """The history that still matters; equal states have the same future."""

    __slots__ = ("node",)

    def __init__(self) -> None:
        self.node = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self.node == other.node

    def __hash__(self) -> int:
        return hash(self.node)

    def __copy__(self) -> "State":
        copy = State()
        copy.node = self.node
        return copy

    def __deepcopy__(self, memo: object) -> "State":
        return self.__copy__()


class Model:
    """A language model with the methods of ``kenlm.Model``.

    Parameters
    ----------
    path : str or PathLike
        An ARPA file or a model that `NGramModel.save` wrote.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(os.fspath(path))
        self._model = _load(self.path)
        self._index = self._model.vocabulary.index
        self._header = self._addresses()

    @property
    def order(self) -> int:
        """The longest n-gram."""
        return self._model.order

    def _addresses(self) -> NDArray[np.int64]:
        """Return where the arrays lie that scoring touches; the model keeps them alive."""
        vocabulary, backoff = self._model.vocabulary, self._model.backoff
        table, states, unigram, word_bits, firsts = backoff.automaton
        words = (vocabulary.keys, vocabulary.slots, vocabulary.blob, vocabulary.starts)
        arrays = (*words, table, states, unigram, firsts)
        # Mapped or not, they lie in one piece; what is not int64 would be read wrongly.
        self._kept = tuple(np.ascontiguousarray(array) for array in arrays)
        sizes = (len(vocabulary.keys), len(vocabulary.blob), len(vocabulary), len(table))
        rest = (len(states), len(firsts), int(word_bits), backoff.begin)
        return np.array([*(a.ctypes.data for a in self._kept), *sizes, *rest], np.int64)

    def _id(self, word: str | bytes) -> int:
        if isinstance(word, bytes):
            word = word.decode(errors="surrogateescape")
        return self._index.get(word, UNKNOWN)

    def score(self, sentence: str | bytes, bos: bool = True, eos: bool = True) -> float:
        """Return the log10-probability of a sentence."""
        return kernels.score(_utf8(sentence), self._header, bos, eos)  # type: ignore[no-any-return]

    def full_scores(
        self, sentence: str | bytes, bos: bool = True, eos: bool = True
    ) -> Iterator[tuple[float, int, bool]]:
        """Yield (log10-probability, length of the n-gram, whether unknown) of each word."""
        text = _utf8(sentence)
        max_words = len(text) // 2 + 2
        logp, lengths, words = np.empty(max_words, np.float64), *np.empty((2, max_words), np.int64)
        found = kernels.full_scores(text, self._header, bos, eos, logp, lengths, words)
        unknown = (words[:found] == UNKNOWN).tolist()
        yield from zip(logp[:found].tolist(), lengths[:found].tolist(), unknown, strict=True)

    def perplexity(self, sentence: str | bytes) -> float:
        """Return the perplexity of a sentence, its end included."""
        words = len(_utf8(sentence).split()) + 1
        return float(10.0 ** (-self.score(sentence) / words))

    def __contains__(self, word: str | bytes) -> bool:
        return self._id(word) != UNKNOWN

    def BeginSentenceWrite(self, state: State) -> None:  # noqa: N802
        """Set a state to the beginning of a sentence."""
        state.node = int(self._header[kernels.BEGIN_STATE])

    def NullContextWrite(self, state: State) -> None:  # noqa: N802
        """Set a state to no history."""
        state.node = 0

    def BaseScore(self, in_state: State, word: str | bytes, out_state: State) -> float:  # noqa: N802
        """Return the log10-probability of a word and write the state after it."""
        return self.BaseFullScore(in_state, word, out_state).log_prob

    def BaseFullScore(  # noqa: N802
        self, in_state: State, word: str | bytes, out_state: State
    ) -> FullScoreReturn:
        """Return what `full_scores` yields of a word and write the state after it."""
        known = self._id(word)
        logp, out_state.node, length = kernels.step_from(self._header, in_state.node, known)
        return FullScoreReturn(logp, length, known == UNKNOWN)

    def __repr__(self) -> str:
        return f"<Model from {os.path.basename(self.path)}>"

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return Model, (self.path,)


LanguageModel = Model


def _utf8(sentence: str | bytes) -> bytes:
    """Return the bytes of a sentence; those of a file are taken as they are, as in KenLM."""
    if isinstance(sentence, str):
        return sentence.encode()
    if not isinstance(sentence, bytes):
        raise _check.wrong_kind("sentence", "be str or bytes", _check.a(sentence))
    return sentence


def _load(path: str) -> NGramModel:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {path!r}.")
    with open(path, "rb") as file:
        head = file.read(64)
    if head.startswith(_BINARY):
        advice = "Load the .arpa it was built from."
        raise _check.invalid("path", "be an ARPA file or ours", "a KenLM binary", advice)
    # Ours is a safetensors container: eight bytes of length, then JSON.
    if head[8:9] == b"{" and b"\\data\\" not in head:
        return NGramModel.load(path)
    return read_arpa(path)
