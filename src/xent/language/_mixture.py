"""Models mixed for a domain: their probabilities added up, with weights learnt on its text.

A mixture is kept as what it is, models and weights. A sum of back-off models is none, so one model
made of it, as an ARPA file needs it (SRILM's ``ngram -mix-lm``), is near to it and not it.
"""

import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._backoff import storage
from xent.language._backoff.merged import MixturePart, merged
from xent.language._backoff.storage import Stored
from xent.language._lines._text import Reader, check_rereadable
from xent.language._model import NGramModel
from xent.language._scorer import ScoredText, Scorer
from xent.language._vocabulary import BEGIN, UNKNOWN, Vocabulary

F64 = NDArray[np.float64]
U32 = NDArray[np.uint32]
EM_ROUNDS = 500
MIN_EM_GAIN = 1e-12  # nats a token; EM stops below it


class Mixture(Scorer):
    """Models whose probabilities are added up with weights.

    p(w | h) = Σ weight_i p_i(w | h)

    It evaluates, scores, samples and is saved as an `NGramModel` is. Its vocabulary is all words of
    its models. A word that a model does not know has probability 0 there, and is ``<unk>`` among
    its histories; ``<unk>`` of the mixture is a word that none knows.

    Parameters
    ----------
    models : sequence of NGramModel
        Of one unit.
    weights : sequence of float
        One a model, non-negative, with sum 1.

    Raises
    ------
    ValueError, TypeError
        If there are fewer than two models, or others than `NGramModel`, fitted, of one unit, with
        true probabilities; if the weights are not one a model, non-negative, with sum 1.

    Examples
    --------
    >>> from xent.language import WittenBell
    >>> a, b = (NGramModel(1, WittenBell(), vocabulary=["a"]).fit([t]) for t in ("a", "a a a a"))
    >>> p = Mixture([a, b], [0.5, 0.5]).distribution()
    >>> bool(np.allclose(p, (a.distribution() + b.distribution()) / 2))
    True
    """

    is_distribution = True

    def __init__(self, models: Sequence[NGramModel], weights: Sequence[float]) -> None:
        self.models = _checked(models)
        self.weights = np.array(weights)
        if self.weights.dtype.kind not in "iuf":
            raise _check.wrong_kind("weights", "be numbers", repr(weights))
        self.weights = self.weights.astype(np.float64)
        if self.weights.shape != (len(self.models),):
            must = f"hold one number for each of the {len(self.models)} models"
            raise _check.invalid("weights", must, self.weights.tolist())
        if not (self.weights >= 0).all() or abs(self.weights.sum() - 1) > 1e-9:
            raise _check.invalid("weights", "be shares with sum 1", self.weights.tolist())
        self.order = max(model.order for model in self.models)
        self.unit = self.models[0].unit
        others = [model.unknown for model in self.models if not model.is_closed]
        self.unknown = others[0] if others else "closed"

    def __repr__(self) -> str:
        parts = zip(self.weights, self.models, strict=True)
        return f"Mixture({' + '.join(f'{weight:.4g} {model!r}' for weight, model in parts)})"

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words: those of the first model in its order, then what others have beside them."""
        first, *others = [model.vocabulary for model in self.models]
        if all(other.same_words(first) for other in others):
            return first
        words = dict.fromkeys(word for model in self.models for word in model.vocabulary.words())
        letters = [word.encode("utf-8", "surrogateescape") for word in words]
        blob = np.frombuffer(b"".join(letters), np.uint8)
        return Vocabulary.of({"blob": blob, "lengths": np.array([*map(len, letters)])})

    @cached_property
    def _mixed_parts(self) -> list[MixturePart]:
        words = self.vocabulary.words()
        parts = []
        for model, weight in zip(self.models, self.weights, strict=True):
            index = model.vocabulary.index
            numbers = np.array([index.get(word, UNKNOWN) for word in words], np.uint32)
            foreign = numbers == UNKNOWN
            foreign[UNKNOWN] = False
            parts.append(MixturePart(model.backoff, float(weight), numbers, foreign))
        return parts

    def reader(self, *, spelling: str | None = None) -> Reader:
        """Return a reader of texts with the mixture's vocabulary, which stays as it is."""
        errors = self.models[0].errors
        return Reader(
            self.vocabulary,
            unit=self.unit,
            errors=errors,
            spelling=spelling,
            unknown_is_word=self.unknown == "word",
        )

    def read_as(self, unit: str | None, errors: str | None) -> None:
        """Take another unit and another policy for bytes that are not UTF-8, where given.

        Parameters
        ----------
        unit, errors : str or None
            As in `NGramModel.read_as`, for each model.

        Raises
        ------
        ValueError
            If ``unit`` or ``errors`` are none of those, or ``unit`` is another than a model's.
        """
        # First those that were fitted, which may refuse: then no model is another than before.
        for model in sorted(self.models, key=lambda model: model.smoothing is None):
            model.read_as(unit, errors)
        self.unit = self.models[0].unit

    def prepare(self) -> None:
        """Build once what scoring needs, before several threads ask for it."""
        _ = self._mixed_parts
        for model in self.models:
            model.prepare()

    def _score(self, ids: U32, *, lengths: bool = False, threads: int | None = None) -> ScoredText:
        """Score a stream of sentences; the longest n-gram is that of any model."""
        found = self._scores(ids, lengths=lengths, threads=threads)
        logp = _mixed(np.stack([one.logp for one in found]), self.weights)
        longest = np.max([one.lengths for one in found], axis=0)
        return ScoredText(logp, ids[ids != BEGIN] if lengths else ids, found[0].offsets, longest)

    def _scores(
        self, ids: U32, *, lengths: bool = False, threads: int | None = None
    ) -> list[ScoredText]:
        """Score a stream of sentences by each model."""
        found = []
        events = ids[ids != BEGIN]
        for model, part in zip(self.models, self._mixed_parts, strict=True):
            one = model._score(part.numbers[ids], lengths=lengths, threads=threads)
            if part.foreign.any():
                one.logp[part.foreign[events]] = -np.inf
            found.append(one)
        return found

    def _after(self, history: list[int]) -> F64:
        total = np.zeros(len(self.vocabulary))
        for model, part in zip(self.models, self._mixed_parts, strict=True):
            p = model._after(part.numbers[history].tolist())[part.numbers]
            total += part.weight * np.where(part.foreign, 0.0, p)
        return total

    def merged(self) -> NGramModel:
        """Return one model that is near to the mixture, as an ARPA file needs it.

        It lists each n-gram that a model lists, with the mixture's probability; for others, whose
        probabilities in the mixture no back-off weight gives exactly, it backs off. It has no
        smoothing, like a model that was read from an ARPA file.

        Returns
        -------
        NGramModel
            Smaller and faster than the mixture; perplexity is near to the mixture's.

        References
        ----------
        A. Stolcke (2002). SRILM, an extensible language modeling toolkit. ICSLP, section 3.2.
        """
        first = self.models[0]
        return NGramModel._of(
            Stored(
                order=self.order,
                smoothing=None,
                unknown=self.unknown,
                min_counts=[1] * self.order,
                unit=self.unit,
                errors=first.errors,
                vocabulary=self.vocabulary,
                backoff=merged(self._mixed_parts),
            )
        )

    def perplexity(self, text: Any) -> float:
        """Return the exponential of the cross-entropy of a text.

        Parameters
        ----------
        text : path, lines, token lists or id arrays
            As in `NGramModel.fit`.

        Raises
        ------
        ValueError, TypeError
            If ``text`` is no text.
        FileNotFoundError
            If it is a file that does not exist.
        """
        return self.evaluate(text).perplexity

    def save(self, path: str | os.PathLike[str], *, compact: bool = False) -> None:
        """Write the mixture, models and all, as one file.

        Parameters
        ----------
        path : str or PathLike
            Where the file shall stand.
        compact : bool
            As in `NGramModel.save`.

        Raises
        ------
        ValueError
            If the folder does not exist or ``path`` is a folder.
        """
        parts = [model._parts() for model in self.models]
        storage.save_mixture(parts, self.weights.tolist(), path, compact=compact)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, mmap: bool = True) -> "Mixture":
        """Read a mixture that `save` wrote.

        Parameters
        ----------
        path : str or PathLike
            The file.
        mmap : bool
            As in `NGramModel.load`.

        Returns
        -------
        Mixture
        """
        parts, weights = storage.load_mixture(path, mmap=mmap)
        return cls([NGramModel._of(one) for one in parts], weights)


def mix(models: Sequence[NGramModel], dev: Any) -> Mixture:
    """Mix models with the weights under which a development text is most probable.

    Parameters
    ----------
    models : sequence of NGramModel
        Of one unit. Their vocabularies may differ; see `Mixture` for what that means.
    dev : path, lines, token lists or id arrays
        As in `NGramModel.fit`, but no iterator. It must not be part of the training texts.

    Returns
    -------
    Mixture
        Its ``weights`` are found by EM.

    Raises
    ------
    ValueError, TypeError
        If there are fewer than two models, or others than `NGramModel`, fitted, of one unit, with
        true probabilities; if ``dev`` is no text, or no model thinks it possible.

    Examples
    --------
    >>> from xent.language import WittenBell
    >>> words = ["a", "b"]
    >>> first = NGramModel(1, WittenBell(), vocabulary=words).fit(["a a a b"])
    >>> second = NGramModel(1, WittenBell(), vocabulary=words).fit(["b b b a"])
    >>> mix([first, second], ["a b", "b a"]).weights.round(6).tolist()
    [0.5, 0.5]

    References
    ----------
    F. Jelinek and R. L. Mercer (1980). Interpolated estimation of Markov source parameters from
    sparse data.
    """
    models = _checked(models)
    check_rereadable("dev", dev)
    even = Mixture(models, np.full(len(models), 1.0 / len(models)).tolist())
    found = [np.empty((len(models), 0))]
    for ids in even.reader().ids(dev, "dev"):
        found.append(np.stack([one.logp for one in even._scores(ids)]))
    columns = np.concatenate(found, axis=1)
    columns = columns[:, np.isfinite(columns).any(axis=0)]
    if not columns.shape[1]:
        raise _check.invalid("dev", "hold at least one event that a model thinks possible", "none")
    weights = np.full(len(models), 1.0 / len(models))
    before = -np.inf
    for _ in range(EM_ROUNDS):
        mixed = _mixed(columns, weights)
        if mixed.mean() - before <= MIN_EM_GAIN:
            break
        before = float(mixed.mean())
        weights = weights * np.exp(columns - mixed).mean(axis=1)
        weights /= weights.sum()
    return Mixture(models, weights.tolist())


def _mixed(columns: F64, weights: F64) -> F64:
    """Return the logarithm of the weighted sum of exponentials."""
    with np.errstate(divide="ignore"):
        weighted = columns + np.log(weights)[:, None]
    return np.asarray(np.logaddexp.reduce(weighted, axis=0))


def _checked(given: Sequence[NGramModel]) -> list[NGramModel]:
    if not isinstance(given, Iterable):
        raise _check.wrong_kind("models", "be a list of NGramModel", _check.a(given))
    models = list(given)
    for place, model in enumerate(models):
        if not isinstance(model, NGramModel):
            got = f"{_check.a(model)} at [{place}]"
            raise _check.wrong_kind("models", "hold objects of NGramModel", got)
    if len(models) < 2:
        raise _check.invalid("models", "hold at least two models", len(models))
    first = models[0]
    for place, model in enumerate(models):
        if not model.is_distribution:
            raise _check.invalid("models", "be distributions", f"{model!r} at [{place}]")
        _ = model.vocabulary  # fitted
        if model.unit != first.unit:
            got = f"{first.unit!r} and at [{place}] {model.unit!r}"
            raise _check.invalid("models", "have one unit", got, "Fit them alike.")
    return models
