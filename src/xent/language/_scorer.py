"""What scores text: whatever says how probable a token is after a history, one model or a mixture.

Here is everything that follows from two things: the scores of a stream of sentences (`_score`), and
the distribution after a history (`_after`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._compile.threads import in_blocks
from xent.language._evaluation import Evaluation
from xent.language._lines._text import Reader
from xent.language._spelling import SPELLINGS
from xent.language._vocabulary import BEGIN, END, UNKNOWN, WITHOUT_UNKNOWN, Vocabulary

F64 = NDArray[np.float64]
U32 = NDArray[np.uint32]


class TokenLogProbs(NamedTuple):
    """Log-probabilities of tokens: sentence i has ``values[offsets[i] : offsets[i + 1]]``.

    Examples
    --------
    >>> import numpy as np
    >>> from xent.language import MaximumLikelihood, NGramModel
    >>> lm = NGramModel(2, MaximumLikelihood()).fit(["a b", "a c"])
    >>> values, offsets = lm.token_log_probs(["a b"])
    >>> np.exp(values).round(6).tolist(), offsets.tolist()
    ([1.0, 0.5, 1.0], [0, 3])
    """

    values: F64
    offsets: NDArray[np.int64]


@dataclass
class ScoredText:
    """What the scoring of a stretch of text gives."""

    logp: F64  # nats, an event each
    words: U32
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int8]


class Scorer(ABC):
    """A language model, whatever it is made of."""

    order: int
    unknown: str
    unit: str

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """The words; ids 0, 1, 2 are ``<unk>``, ``<s>``, ``</s>``."""

    @property
    def is_closed(self) -> bool:
        """Whether words that it does not know are no events."""
        return self.unknown in WITHOUT_UNKNOWN

    @property
    @abstractmethod
    def is_distribution(self) -> bool:
        """Whether the scores are probabilities."""

    @abstractmethod
    def reader(self, *, spelling: str | None = None) -> Reader:
        """Return a reader of texts with the model's vocabulary, which stays as it is."""

    @abstractmethod
    def prepare(self) -> None:
        """Build once what scoring needs, before several threads ask for it."""

    @abstractmethod
    def _score(self, ids: U32, *, lengths: bool = False, threads: int | None = None) -> ScoredText:
        """Score a stream of sentences."""

    @abstractmethod
    def _after(self, history: list[int]) -> F64:
        """Return the probability of every word after a history."""

    # ------------------------------------------------------------------ scoring

    def score(self, text: Any) -> F64:
        """Return the natural log-probability of each sentence, its end included.

        Parameters
        ----------
        text : path, lines, token lists or id arrays
            As in `fit`.

        Returns
        -------
        ndarray of float64
            One number a sentence; -inf where a token has probability 0. In a closed vocabulary
            unseen words count for nothing.
        """
        return np.concatenate([np.empty(0), *(self._sums(s) for s in self._scored(text))])

    def token_log_probs(self, text: Any) -> TokenLogProbs:
        """Return the natural log-probability of each token and each sentence's end.

        Parameters
        ----------
        text : path, lines, token lists or id arrays
            As in `fit`.

        Returns
        -------
        TokenLogProbs
            ``values`` and ``offsets``: sentence i has ``values[offsets[i] : offsets[i + 1]]``, its
            end last. In a closed vocabulary an unseen word has NaN, as it is no event.
        """
        found = list(self._scored(text))
        values = np.concatenate([np.empty(0), *(s.logp for s in found)])
        lengths = [np.diff(s.offsets) for s in found]
        offsets = np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum()
        return TokenLogProbs(values, offsets)

    def score_ids(self, ids: U32) -> tuple[F64, NDArray[np.int64]]:
        """Score what `reader` gave: natural log-probability and number of events of each sentence.

        Parameters
        ----------
        ids : (n,) uint32
            Whole sentences, each from its ``<s>`` to its ``</s>``.
        """
        scored = self._masked(ids)
        events = np.diff(scored.offsets)
        if self.is_closed and len(events):
            events = np.add.reduceat(~np.isnan(scored.logp), scored.offsets[:-1], dtype=np.int64)
        return self._sums(scored), events

    def _scored(self, text: Any) -> Iterable[ScoredText]:
        """Score any text, lines on several threads from the splitting on."""
        if isinstance(text, (list, tuple)) and text and isinstance(text[0], str):

            def work(low: int, high: int) -> list[ScoredText]:
                pieces = self.reader().ids(text[low:high])
                return [self._masked(ids, threads=1) for ids in pieces]

            self.prepare()
            for found in in_blocks(work, len(text), least=256):
                yield from found
            return
        for ids in self.reader().ids(text):
            yield self._masked(ids)

    def _masked(self, ids: U32, threads: int | None = None) -> ScoredText:
        scored = self._score(ids, threads=threads)
        if self.is_closed:
            scored.logp[ids[ids != BEGIN] == UNKNOWN] = np.nan
        return scored

    def _sums(self, scored: ScoredText) -> F64:
        logp = scored.logp
        if self.is_closed:
            logp = np.where(np.isnan(logp), 0.0, logp)
        return np.add.reduceat(logp, scored.offsets[:-1]) if len(logp) else np.empty(0)

    def evaluate(self, text: Any, *, spelling: str = "uniform") -> Evaluation:
        """Measure how well the model predicts a text.

        Parameters
        ----------
        text : path, lines, token lists or id arrays
            As in `fit`; read in pieces, so it may be larger than memory.
        spelling : str
            What an unknown word costs in bits per byte and per character: ``"uniform"``, 8 bits
            for each of its bytes and for the separator after it; or ``"vocabulary"``, what a
            bigram model of bytes fitted to the words of the vocabulary asks for them.

        Returns
        -------
        Evaluation
            Perplexity, cross-entropy in nats and bits, with and without unknown words, and more.
        """
        reader = self.reader(spelling=_check.option("spelling", spelling, SPELLINGS))
        closed = self.is_closed
        likelihood = known_likelihood = 0.0
        spelling_bits = 0.0
        events = unknown = zeros = sentences = 0
        matched = np.zeros(self.order + 1, np.int64)
        for ids in reader.ids(text):
            scored = self._score(ids, lengths=True)
            is_unknown = scored.words == UNKNOWN
            unknown += int(is_unknown.sum())
            spelling_bits += float(reader.unknown_bits.sum())
            sentences += len(scored.offsets) - 1
            known = scored.logp[~is_unknown]
            known_likelihood += float(known.sum())
            logp = known if closed else scored.logp
            likelihood += float(logp.sum())
            events += len(logp)
            zeros += int(np.isneginf(logp).sum())
            lengths = scored.lengths[~is_unknown] if closed else scored.lengths
            matched += np.bincount(lengths, minlength=self.order + 1)
        if not sentences:
            raise _check.invalid("text", "hold at least one line", "none")
        return Evaluation(
            log_likelihood=likelihood,
            events=events,
            sentences=sentences,
            words=events - sentences,
            unknown=unknown,
            zeros=zeros,
            log_likelihood_known=known_likelihood,
            events_known=events if closed else events - unknown,
            matched=tuple((matched[1:] / max(1, events)).tolist()),
            characters=reader.characters if reader.measured else None,
            bytes=reader.bytes if reader.measured else None,
            model=repr(self),
            is_distribution=self.is_distribution,
            spelling_bits=spelling_bits,
        )

    # ------------------------------------------------------------------ what comes next

    def distribution(self, context: str | Sequence[str] = "", *, begin: bool = True) -> F64:
        """Return the probability of every word of the vocabulary after a context.

        Parameters
        ----------
        context : str or sequence of str
            A line, split as in `fit`, or its tokens.
        begin : bool
            Whether the context begins a sentence, so that ``<s>`` stands before it.

        Returns
        -------
        (V,) float64
            In the order of ``vocabulary.words()``. The entry of ``<s>`` is 0: it never follows.
        """
        piece = [context] if isinstance(context, str) else [list(context)]
        ids = np.concatenate(list(self.reader().ids(piece, "context")))[:-1]
        return self._after([int(i) for i in ids] if begin else [int(i) for i in ids[1:]])

    def next(
        self, context: str | Sequence[str] = "", top_k: int = 10, *, begin: bool = True
    ) -> list[tuple[str, float]]:
        """Return the likeliest next words and their probabilities.

        Parameters
        ----------
        context : str or sequence of str
            As in `distribution`.
        top_k : int
            How many words.
        begin : bool
            Whether the context begins a sentence.

        Returns
        -------
        list of (str, float)
            The likeliest first.
        """
        p = self.distribution(context, begin=begin)
        shown = min(_check.integer("top_k", top_k, least=1), len(p) - 1)
        best = np.argsort(-p, kind="stable")[:shown]
        return list(zip(self.vocabulary.words(best), p[best].tolist(), strict=True))

    def sample(
        self, rng: np.random.Generator | int, *, context: Sequence[str] = (), most: int = 1000
    ) -> list[str]:
        """Draw a sentence.

        Parameters
        ----------
        rng : Generator or int
            The source of random numbers, or its seed.
        context : sequence of str
            Tokens that begin the sentence.
        most : int
            Stop after this many tokens even if the sentence has not ended.

        Returns
        -------
        list of str
            The tokens, the context first, without ``</s>``.
        """
        if not self.is_distribution:
            because = "stupid back-off scores are no probabilities"
            raise _check.cannot("No sentence can be drawn", because, "Use another smoothing.")
        generator = np.random.default_rng(rng)
        index = self.vocabulary.index
        history = [BEGIN, *(index.get(token, UNKNOWN) for token in context)]
        drawn: list[int] = []
        while len(drawn) < _check.integer("most", most, least=1):
            mass = np.cumsum(self._after(history))
            word = int(np.searchsorted(mass, generator.random() * mass[-1], "right"))
            if word == END:
                break
            drawn.append(word)
            history = [*history[-self.order :], word]
        return [*context, *self.vocabulary.words(drawn)]
