"""A drop-in for the ``kenlm`` module: ``from xent.language import kenlm`` and nothing else changes.

It loads ARPA files (plain, ``.gz``, ``.zst``) and our own; log-probabilities are in base 10 as
there. This is the one module of the room without an underscore, as its path is what people import.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._arpa import read_model
from xent.language._backoff.arpa import KENLM_UNKNOWN, ZERO_LOG
from xent.language._backoff.exact import Backoff
from xent.language._backoff.protocol import BackoffModel
from xent.language._kernels import sentence as kernels
from xent.language._model import NGramModel
from xent.language._vocabulary import END, UNKNOWN

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
    unit : str, optional
        What the tokens of a sentence are, as in `read_arpa`. Where they are characters or bytes a
        white space is one too.
    errors : str, optional
        What becomes of bytes that are not UTF-8 in a sentence of characters, as in `read_arpa`;
        words are taken as they are.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        unit: str | None = None,
        errors: str | None = None,
    ) -> None:
        self.path = os.path.abspath(os.fspath(path))
        self._model = _load(self.path, unit, errors)
        self._reading = unit, errors
        self._by_letter = self._model.unit != "word"
        self._index = self._model.vocabulary.index
        self._header = self._addresses()

    @property
    def order(self) -> int:
        """The longest n-gram."""
        return self._model.order

    def _addresses(self) -> NDArray[np.int64]:
        """Return where the arrays lie that scoring touches; the model keeps them alive."""
        vocabulary, backoff = self._model.vocabulary, _finite(self._model)
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
        if self._by_letter:
            return float(sum(logp for logp, _, _ in self.full_scores(sentence, bos, eos)))
        return kernels.score(_utf8(sentence), self._header, bos, eos)  # type: ignore[no-any-return]

    def full_scores(
        self, sentence: str | bytes, bos: bool = True, eos: bool = True
    ) -> Iterator[tuple[float, int, bool]]:
        """Yield (log10-probability, length of the n-gram, whether unknown) of each word."""
        if self._by_letter:
            yield from self._letter_scores(sentence, bos, eos)
            return
        text = _utf8(sentence)
        max_words = len(text) // 2 + 2
        logp, lengths, words = np.empty(max_words, np.float64), *np.empty((2, max_words), np.int64)
        found = kernels.full_scores(text, self._header, bos, eos, logp, lengths, words)
        unknown = (words[:found] == UNKNOWN).tolist()
        yield from zip(logp[:found].tolist(), lengths[:found].tolist(), unknown, strict=True)

    def perplexity(self, sentence: str | bytes) -> float:
        """Return the perplexity of a sentence, its end included."""
        words = self._letters(sentence) if self._by_letter else _utf8(sentence).split()
        return float(10.0 ** (-self.score(sentence) / (len(words) + 1)))

    def _letters(self, sentence: str | bytes) -> list[int]:
        """Return the ids of the characters or bytes of a sentence."""
        text = _utf8(sentence).removesuffix(b"\n")
        if b"\n" in text:
            raise _check.invalid("sentence", "be one line", "several")
        return [int(i) for i in self._model.reader().encode(text + b"\n")[1:-1]]

    def _letter_scores(
        self, sentence: str | bytes, bos: bool, eos: bool
    ) -> Iterator[tuple[float, int, bool]]:
        node = int(self._header[kernels.BEGIN_STATE]) if bos else 0
        for letter in [*self._letters(sentence), *([END] if eos else [])]:
            logp, node, length = kernels.step_from(self._header, node, letter)
            yield logp, length, letter == UNKNOWN

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

    def __reduce__(self) -> tuple[Any, ...]:
        return _model, (self.path, *self._reading)


LanguageModel = Model


def _model(path: str, unit: str | None, errors: str | None) -> Model:
    """Make a model again, where it was pickled."""
    return Model(path, unit=unit, errors=errors)


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
    if model.unknown == "closed":
        finite[0].logp[UNKNOWN] = KENLM_UNKNOWN
    return Backoff(finite)


def _utf8(sentence: str | bytes) -> bytes:
    """Return the bytes of a sentence; those of a file are taken as they are, as in KenLM."""
    if isinstance(sentence, str):
        return sentence.encode()
    if not isinstance(sentence, bytes):
        raise _check.wrong_kind("sentence", "be str or bytes", _check.a(sentence))
    return sentence


def _not_infinite(logs: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(np.isneginf(logs), np.float32(ZERO_LOG), logs)


def _load(path: str, unit: str | None, errors: str | None) -> NGramModel:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {path!r}.")
    with open(path, "rb") as file:
        head = file.read(64)
    if head.startswith(_BINARY):
        advice = "Load the .arpa it was built from."
        raise _check.invalid("path", "be an ARPA file or ours", "a KenLM binary", advice)
    # Ours is a safetensors container: eight bytes of length, then JSON.
    if head[8:9] == b"{" and b"\\data\\" not in head:
        model = NGramModel.load(path)
        model.read_as(unit, errors)
        return model
    return read_model(path, unit, errors, as_kenlm=True)
