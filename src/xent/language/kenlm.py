"""A drop-in for the ``kenlm`` module: ``from xent.language import kenlm`` and nothing else changes.

It loads KenLM's binaries, ARPA files, packed or not, and our own; log-probabilities are in base 10
as there. This is the one module of the room without an underscore, as its path is what people
import.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

from xent import _check
from xent._progress import hidden
from xent.language import _open
from xent.language._formats.arpa import read_model
from xent.language._mixture import Mixture
from xent.language._model import NGramModel
from xent.language._sentence import Node, sentence_scorer
from xent.language._vocabulary import END, UNKNOWN

__all__ = [
    "ARPALoadComplain",
    "Config",
    "FullScoreReturn",
    "LanguageModel",
    "LoadMethod",
    "Model",
    "State",
]


def __dir__() -> list[str]:
    return list(__all__)


class LoadMethod:
    """How a file comes into memory: mapped, or with ``READ`` and ``PARALLEL_READ`` read whole."""

    LAZY, POPULATE_OR_LAZY, POPULATE_OR_READ, READ, PARALLEL_READ = range(5)


class ARPALoadComplain:
    """What is warned of while an ARPA file is read; the last two are one here: nothing."""

    ALL, EXPENSIVE, NONE = range(3)


class Config:
    """How a model is loaded.

    Attributes
    ----------
    load_method : int
        One of `LoadMethod`.
    show_progress : bool
        Whether a long reading of an ARPA file shows on a terminal how far it is.
    arpa_complain : int
        One of `ARPALoadComplain`.
    """

    def __init__(self) -> None:
        self.load_method = LoadMethod.POPULATE_OR_READ
        self.show_progress = True
        self.arpa_complain = ARPALoadComplain.ALL

    def __setattr__(self, name: str, value: Any) -> None:
        allowed = {"load_method": LoadMethod, "arpa_complain": ARPALoadComplain}
        if name in allowed:
            values = [v for n, v in vars(allowed[name]).items() if n.isupper()]
            if value not in values:
                must = f"be one of {allowed[name].__name__}"
                raise _check.invalid(name, must, repr(value))
        elif name != "show_progress":
            raise AttributeError(f"Config has no setting {name!r}.")
        super().__setattr__(name, value)


class FullScoreReturn(NamedTuple):
    """Log10-probability of a word, the length of its n-gram, whether it is unknown."""

    log_prob: float
    ngram_length: int
    oov: bool


class State:
    """The history that still matters; equal states have the same future, a shorter one is less."""

    __slots__ = ("node",)

    def __init__(self) -> None:
        self.node: Node = 0

    def _key(self) -> tuple[int, int, bytes]:
        words = self.node if isinstance(self.node, bytes) else b""
        return len(words), self.node if isinstance(self.node, int) else 0, words

    def __eq__(self, other: object) -> bool:
        return self.node == other.node if isinstance(other, State) else NotImplemented

    def __lt__(self, other: "State") -> bool:
        return self._key() < other._key() if isinstance(other, State) else NotImplemented

    def __le__(self, other: "State") -> bool:
        return self._key() <= other._key() if isinstance(other, State) else NotImplemented

    def __gt__(self, other: "State") -> bool:
        return self._key() > other._key() if isinstance(other, State) else NotImplemented

    def __ge__(self, other: "State") -> bool:
        return self._key() >= other._key() if isinstance(other, State) else NotImplemented

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
    path : str, bytes or PathLike
        A KenLM binary, an ARPA file or a model that `NGramModel.save` wrote.
    config : Config, optional
        How it is loaded.
    unit : str, optional
        What the tokens of a sentence are, as in `read_arpa`. Where they are characters or bytes a
        white space is one too.
    errors : str, optional
        What becomes of bytes that are not UTF-8 in a sentence of characters, as in `read_arpa`;
        words are taken as they are.

    Raises
    ------
    OSError
        If there is no such file, or it is none of these, or damaged.
    """

    def __init__(
        self,
        path: str | bytes | os.PathLike[str],
        config: Config | None = None,
        *,
        unit: str | None = None,
        errors: str | None = None,
    ) -> None:
        if not isinstance(config, Config | None):
            raise _check.wrong_kind("config", "be a Config", _check.a(config))
        self.path = os.path.abspath(os.fsencode(path))  # bytes, as KenLM has it
        self._model = _load(os.fsdecode(self.path), config or Config(), unit, errors)
        self._settings = (config and vars(config).copy()), unit, errors
        self._by_letter = self._model.unit != "word"
        self._index = self._model.vocabulary.index
        self._scorer = sentence_scorer(self._model)

    @property
    def order(self) -> int:
        """The longest n-gram."""
        return self._model.order

    def _id(self, word: str | bytes) -> int:
        if isinstance(word, bytes):
            word = word.decode(errors="surrogateescape")
        return self._index.get(word, UNKNOWN)

    def score(self, sentence: str | bytes, bos: bool = True, eos: bool = True) -> float:
        """Return the log10-probability of a sentence."""
        if self._by_letter:
            return float(sum(logp for logp, _, _ in self.full_scores(sentence, bos, eos)))
        return self._scorer.score(_utf8(sentence), bos, eos)

    def full_scores(
        self, sentence: str | bytes, bos: bool = True, eos: bool = True
    ) -> Iterator[tuple[float, int, bool]]:
        """Yield (log10-probability, length of the n-gram, whether unknown) of each word."""
        if self._by_letter:
            yield from self._letter_scores(sentence, bos, eos)
        else:
            yield from zip(*self._scorer.full(_utf8(sentence), bos, eos), strict=True)

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
        node = self._scorer.begin if bos else 0
        for letter in [*self._letters(sentence), *([END] if eos else [])]:
            logp, node, length = self._scorer.step(node, letter)
            yield logp, length, letter == UNKNOWN

    def __contains__(self, word: str | bytes) -> bool:
        return self._id(word) != UNKNOWN

    def BeginSentenceWrite(self, state: State) -> None:  # noqa: N802
        """Set a state to the beginning of a sentence."""
        state.node = self._scorer.begin

    def NullContextWrite(self, state: State) -> None:  # noqa: N802
        """Set a state to no history."""
        state.node = 0

    def BaseScore(self, in_state: State, word: str | bytes, out_state: State) -> float:  # noqa: N802
        """Return the log10-probability of a word and write the state after it."""
        logp, out_state.node, _ = self._scorer.step(in_state.node, self._id(word))
        return logp

    def BaseFullScore(  # noqa: N802
        self, in_state: State, word: str | bytes, out_state: State
    ) -> FullScoreReturn:
        """Return what `full_scores` yields of a word and write the state after it."""
        known = self._id(word)
        logp, out_state.node, length = self._scorer.step(in_state.node, known)
        return FullScoreReturn(logp, length, known == UNKNOWN)

    def __repr__(self) -> str:
        return f"<Model from {os.path.basename(os.fsdecode(self.path))}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _model, (self.path, *self._settings)


LanguageModel = Model


def _model(path: bytes, settings: dict[str, Any] | None, unit: str, errors: str) -> Model:
    """Make a model again, where it was pickled."""
    config = Config()
    for name, value in (settings or {}).items():
        setattr(config, name, value)
    return Model(path, config, unit=unit, errors=errors)


def _utf8(sentence: str | bytes) -> bytes:
    """Return the bytes of a sentence; those of a file are taken as they are, as in KenLM."""
    if isinstance(sentence, str):
        return sentence.encode()
    if not isinstance(sentence, bytes):
        raise _check.wrong_kind("sentence", "be str or bytes", _check.a(sentence))
    return sentence


def _load(path: str, config: Config, unit: str | None, errors: str | None) -> NGramModel:
    with ExitStack() as quiet:
        if not config.show_progress:
            quiet.enter_context(hidden())
        if config.arpa_complain != ARPALoadComplain.ALL:
            quiet.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", UserWarning)
        try:
            if _open.kind_of(path) == _open.ARPA:
                return read_model(path, unit, errors, as_kenlm=True)
            mapped = config.load_method not in (LoadMethod.READ, LoadMethod.PARALLEL_READ)
            model = _open.load(path, mmap=mapped, unit=unit, errors=errors)
            if isinstance(model, Mixture):
                raise _check.invalid("path", "hold one model", f"the mixture {path!r}")
        except ValueError as error:
            if getattr(error, "argument", "") in ("unit", "errors"):
                raise
            raise OSError(f"Cannot read model {path!r}. {error}") from error
    return model
