"""What a model makes of a text: where the bits go, in every unit that people ask for."""

import math
from dataclasses import dataclass
from typing import Any

LOG_2 = math.log(2.0)


@dataclass(frozen=True)
class Evaluation:
    """The cross-entropy of a text under a model, and what it is made of; `print` it.

    An event is a token or the end of a sentence. Perplexity is exp(cross-entropy): the number of
    equally likely words that would be as hard to guess. It compares models with one vocabulary.
    Bits per byte, and per character, compare all models: there an unknown word also costs its
    spelling, by default 8 bits (log2 256) for each byte and for the separator after it.

    Parameters
    ----------
    log_likelihood : float
        Natural logarithm of the text's probability.
    events, sentences, words : int
        Events predicted; sentences; tokens without the ends of sentences.
    unknown : int
        Tokens outside the vocabulary or spelt ``<unk>``.
    zeros : int
        Events of probability 0; one is enough for a perplexity of inf.
    log_likelihood_known : float
        The same without unknown tokens.
    events_known : int
        Events without unknown tokens.
    matched : tuple of float
        Share of events whose longest n-gram in the model had length 1, 2, ...
    characters, bytes : int or None
        Size of the text with one line feed a sentence; None for token ids.
    model : str
        The model's signature.
    is_distribution : bool
        False for `StupidBackoff`, whose figures compare with nothing.
    spelling_bits : float
        Bits that spell the unknown words.

    Examples
    --------
    >>> from xent.language import NGramModel, WittenBell
    >>> report = NGramModel(2, WittenBell()).fit(["a b", "a c", "a b"]).evaluate(["a b"])
    >>> report.events, report.unknown, round(report.perplexity, 4)
    (3, 0, 1.4844)
    """

    log_likelihood: float
    events: int
    sentences: int
    words: int
    unknown: int
    zeros: int
    log_likelihood_known: float
    events_known: int
    matched: tuple[float, ...]
    characters: int | None
    bytes: int | None
    model: str
    is_distribution: bool = True
    spelling_bits: float = 0.0

    @property
    def cross_entropy(self) -> float:
        """Nats an event."""
        return _ratio(-self.log_likelihood, self.events)

    @property
    def bits(self) -> float:
        """Bits an event."""
        return self.cross_entropy / LOG_2

    @property
    def perplexity(self) -> float:
        """The exponential of the cross-entropy."""
        return _exp(self.cross_entropy)

    @property
    def cross_entropy_known(self) -> float:
        """Nats an event, unknown tokens left out."""
        return _ratio(-self.log_likelihood_known, self.events_known)

    @property
    def perplexity_known(self) -> float:
        """Perplexity, unknown tokens left out."""
        return _exp(self.cross_entropy_known)

    @property
    def bits_per_word(self) -> float:
        """Bits of all events for each token; the ends of sentences add bits and no tokens."""
        return _ratio(-self.log_likelihood / LOG_2, self.words)

    @property
    def bits_per_character(self) -> float:
        """Bits of the whole text, unknown words spelt, for each character, line feeds included."""
        return _ratio(self.spelling_bits - self.log_likelihood / LOG_2, self.characters)

    @property
    def bits_per_byte(self) -> float:
        """Bits of the whole text, unknown words spelt, for each byte, line feeds included."""
        return _ratio(self.spelling_bits - self.log_likelihood / LOG_2, self.bytes)

    def __str__(self) -> str:
        lines = [
            self.model,
            f"  perplexity          {self.perplexity:.4f}",
            f"    unknown left out  {self.perplexity_known:.4f}",
            f"  bits an event       {self.bits:.5f}",
            f"  bits a word         {self.bits_per_word:.5f}",
            f"  bits a character    {self.bits_per_character:.5f}",
            f"  bits a byte         {self.bits_per_byte:.5f}",
            f"    unknown spelt     {_ratio(self.spelling_bits, self.bytes):.5f}",
            f"  events {self.events:,}, sentences {self.sentences:,}, unknown {self.unknown:,}, "
            f"impossible {self.zeros:,}",
            "  matched n-grams     "
            + ", ".join(f"{n}: {100 * share:.1f} %" for n, share in enumerate(self.matched, 1)),
        ]
        if not self.is_distribution:
            lines.append("  These scores are no probabilities: they compare with nothing.")
        return "\n".join(lines)

    def summary(self) -> dict[str, Any]:
        """Return every figure by name, as JSON can hold it: what is infinite or unknown is None."""
        names = "perplexity cross_entropy bits perplexity_known cross_entropy_known bits_per_word"
        figures = {n: getattr(self, n) for n in (*names.split(), "bits_per_character")}
        figures["bits_per_byte"] = self.bits_per_byte
        shown = {n: v if math.isfinite(v) else None for n, v in figures.items()}
        counts = ("events", "sentences", "words", "unknown", "zeros", "characters", "bytes")
        return {
            "model": self.model,
            **shown,
            **{name: getattr(self, name) for name in counts},
            "spelling_bits": self.spelling_bits,
            "matched": list(self.matched),
            "is_distribution": self.is_distribution,
        }


def _ratio(total: float, count: int | None) -> float:
    return total / count if count else math.nan


def _exp(value: float) -> float:
    return math.exp(value) if value < 709 else math.inf
