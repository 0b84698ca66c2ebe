"""The n-gram model as its user meets it: fit, evaluate, score, continue, store."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language import smoothing as smoothings
from xent.language._backoff import storage
from xent.language._backoff.estimate import estimate, min_counts, uniform
from xent.language._backoff.protocol import BackoffModel
from xent.language._backoff.prune import pruned
from xent.language._backoff.storage import Stored
from xent.language._counting.levels import Levels
from xent.language._counting.listed import listed
from xent.language._counting.runs import check_memory, counted
from xent.language._counting.task import CountingTask, given_words
from xent.language._counting.unsegmented import warn_of_unsegmented
from xent.language._kenlm_binary import load as kenlm_binary
from xent.language._kenlm_binary.model import KenLMBinary
from xent.language._lines._text import ERROR_POLICIES, TOKEN_UNITS, Reader, sentence_starts
from xent.language._scorer import ScoredText, Scorer
from xent.language._vocabulary import BEGIN, Vocabulary
from xent.language.smoothing import KneserNey, Smoothing, StupidBackoff
from xent.language.smoothing._smoothing import Evidence

UNKNOWNS = ("word", "open", "closed", "removed")
MAX_ORDER = 100

F64 = NDArray[np.float64]
U32 = NDArray[np.uint32]


class NGramModel(Scorer):
    """An n-gram language model over words, characters, bytes or token ids.

    The probability of a sentence is the product of p(w | the n - 1 tokens before it) over its
    tokens and its end ``</s>``; before it stands one ``<s>``, which is not predicted.

    Parameters
    ----------
    order : int
        The longest n-gram.
    smoothing : Smoothing, optional
        An object of this room, `KneserNey` where not given.
    unknown : str
        ``"word"``: ``<unk>`` is a word, counted where the text spells it; unseen words become it.
        ``"open"``: training words outside ``vocabulary`` are counted as ``<unk>`` too.
        ``"closed"``: there is no ``<unk>``; unseen words are no events.
        ``"removed"``: the same model to its user; ``<unk>`` is counted as if "open" and then
        removed, as SRILM does without ``-unk``: it is no event and stands in no n-gram, but is a
        word seen before others, and its n-grams are among the counts of counts.
    min_count : int or dict of int to int, optional
        N-grams seen less often are left out, unless a longer one in the model begins or ends with
        them. One number holds for all orders from 2 on. Numbers by order leave the other orders
        what the smoothing says, mostly 1. At order 1 such words are outside the vocabulary.
    vocabulary : iterable of str, optional
        The words to know. N-grams with any other word are not counted, unless "open".
    unit : str
        What the tokens of a line are: ``"word"``, ``"character"`` or ``"byte"`` (two hex digits).
    errors : str
        ``"strict"`` refuses a byte that is not UTF-8, ``"keep"`` takes it.

    Raises
    ------
    ValueError, TypeError
        If an option is none of those above, or ``vocabulary`` holds others than words.

    Examples
    --------
    >>> from xent.language import MaximumLikelihood
    >>> lm = NGramModel(2, MaximumLikelihood()).fit(["a b", "a c"])
    >>> round(float(np.exp(lm.score(["a b"])[0])), 6)
    0.5

    References
    ----------
    D. Jurafsky and J. H. Martin. Speech and Language Processing, 3rd ed. draft, chapter 3.
    """

    def __init__(
        self,
        order: int = 5,
        smoothing: Smoothing | None = None,
        *,
        unknown: str = "word",
        min_count: int | dict[int, int] | None = None,
        vocabulary: Iterable[str] | None = None,
        unit: str = "word",
        errors: str = "strict",
    ) -> None:
        self.order = _check.integer("order", order, least=1)
        if self.order > MAX_ORDER:
            raise _check.invalid("order", f"be at most {MAX_ORDER}", order)
        if smoothing is not None and not isinstance(smoothing, Smoothing):
            must = "be a smoothing of xent.language, as KneserNey()"
            raise _check.wrong_kind("smoothing", must, repr(smoothing))
        self.smoothing: Smoothing | None = KneserNey() if smoothing is None else smoothing
        self.unknown = _check.option("unknown", unknown, UNKNOWNS)
        self.unit = _check.option("unit", unit, TOKEN_UNITS)
        self.errors = _check.option("errors", errors, ERROR_POLICIES)
        self.min_counts = min_counts(min_count, self.order, self.smoothing)
        self._given = None if vocabulary is None else given_words(vocabulary)
        self._vocabulary: Vocabulary | None = None
        self._backoff: BackoffModel | None = None

    # ------------------------------------------------------------------ fitting

    def fit(
        self,
        text: Any,
        *,
        weights: Sequence[int] | NDArray[np.integer] | None = None,
        held_out: Any = None,
        executor: Executor | None = None,
        memory: int | str | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> "NGramModel":
        """Count the n-grams of a text and estimate the model.

        Parameters
        ----------
        text : path, lines, token lists or id arrays
            A str or PathLike is a file (plain, .gz or .zst), an iterable of paths several; an
            iterable of str is lines, of lists of str tokens; integer arrays are token ids.
        weights : sequence of int, optional
            How often each line counts, where ``text`` is lines, lists of tokens or id arrays. The
            model is that of a text with each line so many times.
        held_out : same, optional
            Text from which `JelinekMercer` learns its weights.
        executor : concurrent.futures.Executor, optional
            Counts the files, one a task (Dask's is ``client.get_executor()``). The model is the
            same to the last bit. With ``memory`` or ``folder`` each task, and then the merging,
            takes so much, files are read twice, and all tasks must see the folder.
        memory : int or str, optional
            Bytes that the work may take beside what the program holds already, like ``"2GB"``:
            counts that do not fit are spilled to disk and merged. The model is the same to the
            last bit. It must fit itself, and a sentence says so if it does not.
        folder : path, optional
            Where counts are spilled, and kept: a fit that was stopped or killed goes on from there,
            and a fit with another smoothing need not count again. Yours to remove.

        Returns
        -------
        NGramModel
            Itself.

        Raises
        ------
        ValueError, TypeError
            If ``text`` is no text or an empty one, the smoothing learns from no ``held_out``,
            ``memory`` is too little, ``folder`` is another's, ``executor`` is given for others
            than paths, or ``weights`` are not whole numbers, one a line.
        FileNotFoundError
            If there is no such file.

        Warns
        -----
        UserWarning
            If words are not separated (Chinese, Japanese, Thai and others as they are written).
        """
        smoothing, task = self._counting()
        learns = isinstance(self.smoothing, smoothings.JelinekMercer)
        if held_out is not None and not learns:
            got = f"a text for {type(self.smoothing).__name__}"
            raise _check.invalid("held_out", "be None", got, "Only JelinekMercer learns from it.")
        with counted(task, text, weights, executor, memory, folder) as (vocabulary, levels):
            evidence = self._evidence(vocabulary, levels)
            if memory is not None:
                check_memory(smoothing, evidence, memory, folder)
            if self.unit == "word":
                warn_of_unsegmented(vocabulary, levels[0].count)
            if held_out is not None:
                evidence.held_out = task.count_known(held_out, vocabulary)
            backoff = estimate(smoothing, evidence)
        self._vocabulary, self._backoff = vocabulary, backoff
        return self

    def fit_counts(self, counts: Any) -> "NGramModel":
        """Estimate the model from n-gram counts that somebody else has made.

        Parameters
        ----------
        counts : path, or mapping of tuple of str to int
            N-grams of every order up to the model's, each with the one that it begins with and the
            one that it ends with; longer ones are passed over. In a file an n-gram and its count
            stand on a line, as SRILM's ``ngram-count -write`` has them. ``<s>`` begins a sentence,
            ``</s>`` ends it.

        Returns
        -------
        NGramModel
            Itself.

        Raises
        ------
        ValueError, TypeError
            If ``counts`` are none of these, or one lacks its beginning or end.
        FileNotFoundError
            If there is no such file.

        Examples
        --------
        >>> from xent.language import MaximumLikelihood
        >>> counts = {("a",): 3, ("b",): 1, ("</s>",): 1, ("a", "b"): 1, ("a", "a"): 2}
        >>> lm = NGramModel(2, MaximumLikelihood()).fit_counts(counts)
        >>> round(float(lm.distribution("a", begin=False)[lm.vocabulary.index["b"]]), 6)
        0.333333
        """
        smoothing, task = self._counting()
        vocabulary, levels = listed(counts, self.order, self._given, self.unknown)
        if self.min_counts[0] > 1:
            vocabulary, levels = task.without_rare(vocabulary, levels)
        backoff = estimate(smoothing, self._evidence(vocabulary, levels))
        self._vocabulary, self._backoff = vocabulary, backoff
        return self

    def _evidence(self, vocabulary: Vocabulary, levels: Levels) -> Evidence:
        words = uniform(len(vocabulary), self.unknown)
        return Evidence(levels, self.min_counts, words, removed=self.unknown == "removed")

    def _counting(self) -> tuple[Smoothing, CountingTask]:
        """Return how the model is estimated and counts; one that was read is not and does not."""
        if self.smoothing is None:
            raise _check.cannot(
                "The model cannot be fitted", "it was read from an ARPA file", "Make an NGramModel."
            )
        return self.smoothing, CountingTask(
            self.order, self.unit, self.errors, self.unknown, self.min_counts[0], self._given
        )

    @classmethod
    def _of(cls, parts: Stored) -> "NGramModel":
        """Make a fitted model of its parts."""
        self = cls(parts.order, unknown=parts.unknown, unit=parts.unit, errors=parts.errors)
        self.smoothing, self.min_counts = parts.smoothing, parts.min_counts
        self._vocabulary, self._backoff = parts.vocabulary, parts.backoff
        return self

    def _parts(self) -> Stored:
        return Stored(
            order=self.order,
            smoothing=self.smoothing,
            unknown=self.unknown,
            min_counts=self.min_counts,
            unit=self.unit,
            errors=self.errors,
            vocabulary=self.vocabulary,
            backoff=self.backoff,
        )

    @property
    def vocabulary(self) -> Vocabulary:
        """The words; ids 0, 1, 2 are ``<unk>``, ``<s>``, ``</s>``."""
        if self._vocabulary is None:
            raise self._unfitted()
        return self._vocabulary

    @property
    def backoff(self) -> BackoffModel:
        """The arrays of the model."""
        if self._backoff is None:
            raise self._unfitted()
        return self._backoff

    def _unfitted(self) -> ValueError:
        return _check.cannot("The model has no n-grams", "it was not fitted", "Call fit first.")

    @property
    def is_distribution(self) -> bool:
        """Whether the scores are probabilities."""
        return self.smoothing is None or self.smoothing.is_distribution

    def __repr__(self) -> str:
        read = "a KenLM binary" if isinstance(self._backoff, KenLMBinary) else "an ARPA file"
        how = f"from {read}" if self.smoothing is None else repr(self.smoothing)
        cutoffs = "" if set(self.min_counts) == {1} else f", min_count={self.min_counts}"
        return f"NGramModel(order={self.order}, {how}, unknown={self.unknown!r}{cutoffs})"

    def counts(self) -> list[int]:
        """Return how many n-grams of each order stand in the model."""
        return [int(count) for count in np.diff(self.backoff.firsts)]

    # ------------------------------------------------------------------ scoring

    def reader(self, *, spelling: str | None = None) -> Reader:
        """Return a reader of texts with the model's vocabulary, which stays as it is."""
        return Reader(
            self.vocabulary,
            unit=self.unit,
            errors=self.errors,
            spelling=spelling,
            unknown_is_word=self.unknown == "word",
        )

    def _score(self, ids: U32, *, lengths: bool = False, threads: int | None = None) -> ScoredText:
        """Score a stream of sentences."""
        starts = sentence_starts(ids)
        offsets = starts - np.arange(len(starts))
        penalised = isinstance(self.smoothing, StupidBackoff)
        logp, found = self.backoff.score(ids, starts, lengths=lengths or penalised, threads=threads)
        if isinstance(self.smoothing, StupidBackoff):
            place = np.arange(len(logp)) - np.repeat(offsets[:-1], np.diff(offsets))
            given_up = np.minimum(place + 2, self.order) - found
            logp += np.log(self.smoothing.alpha) * given_up
        return ScoredText(logp, ids[ids != BEGIN] if lengths else ids, offsets, found)

    def _after(self, history: list[int]) -> F64:
        history = history[len(history) - min(len(history), self.order - 1) :]
        alpha = self.smoothing.alpha if isinstance(self.smoothing, StupidBackoff) else None
        return self.backoff.after(history, alpha)

    def prepare(self) -> None:
        """Build once what scoring needs, before several threads ask for it."""
        self.backoff.prepare()

    def read_as(self, unit: str | None, errors: str | None) -> None:
        """Take another unit and another policy for bytes that are not UTF-8, where given.

        Parameters
        ----------
        unit : str or None
            As in the class. A model that was fitted, or whose file says so, has its own.
        errors : str or None
            As in the class.

        Raises
        ------
        ValueError
            If ``unit`` or ``errors`` are none of those, or ``unit`` is another than the model's.
        """
        if errors is not None:
            _check.option("errors", errors, ERROR_POLICIES)
        if unit is not None and _check.option("unit", unit, TOKEN_UNITS) != self.unit:
            if self.smoothing is not None or self.unit != "word":
                raise _check.invalid("unit", f"be {self.unit!r}, the model's own", repr(unit))
            self.unit = unit
        self.errors = errors or self.errors

    # ------------------------------------------------------------------ keeping

    def prune(self, entropy: float, *, histories: "NGramModel | None" = None) -> "NGramModel":
        """Leave out n-grams that the shorter history predicts almost as well.

        Parameters
        ----------
        entropy : float
            The relative rise of perplexity, for example 1e-8, below which an n-gram goes.
        histories : NGramModel, optional
            A model that says how probable histories are, this one where not given. The lower
            orders of a Kneser-Ney model do not say that: give it a `Katz` model, or the same size
            costs about twice the perplexity.

        Returns
        -------
        NGramModel
            A smaller one, its back-off weights computed anew; this one stays.

        Raises
        ------
        ValueError, TypeError
            If ``entropy`` is no positive number, the scores are no probabilities (`StupidBackoff`),
            or ``histories`` has another vocabulary.

        References
        ----------
        A. Stolcke (1998). Entropy-based pruning of backoff language models. DARPA workshop.
        """
        if not self.is_distribution:
            because = "stupid back-off scores are no probabilities"
            raise _check.cannot("The model cannot be pruned", because, "Use another smoothing.")
        _check.positive("entropy", entropy)
        other = self if histories is None else histories
        smaller = pruned(self.backoff, self.vocabulary, entropy, other.backoff, other.vocabulary)
        return NGramModel._of(replace(self._parts(), backoff=smaller))

    def save(self, path: str | os.PathLike[str], *, compact: bool = False) -> None:
        """Write the model as one file that `load` can map into memory.

        Parameters
        ----------
        path : str or PathLike
            Where the file shall stand.
        compact : bool
            Pack it: five to six bytes an n-gram, numbers of 2-grams and longer rounded to 254
            values an order, scored at about half the speed. Perplexity moves by about 0.1 %.

        Raises
        ------
        ValueError
            If the model was not fitted, the folder does not exist or ``path`` is a folder.
        """
        storage.save(self._parts(), path, compact=compact)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, mmap: bool = True) -> "NGramModel":
        """Read a model that `save` or KenLM's build_binary wrote.

        A damaged file is refused: ours has checksums, KenLM's has none, so that each place it leads
        to is looked at, and only a changed digit of a number cannot be noticed.

        Parameters
        ----------
        path : str or PathLike
            The file.
        mmap : bool
            Map it into memory, shared by all processes that do; then it must not be cut short
            while it is in use. False reads it whole.

        Returns
        -------
        NGramModel
            Of a KenLM binary one without ``smoothing``. A trie is all that a model is; from hash
            tables n-grams cannot be listed, so that one scores, samples and no more.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is none of these, a newer version, cut short or damaged.
        """
        if kenlm_binary.is_binary(path):
            return cls._of(kenlm_binary.load(path, mmap=mmap))
        return cls._of(storage.load(path, mmap=mmap))
