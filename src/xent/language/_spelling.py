"""What an unknown word costs to spell: bits for each of its bytes, and for its end."""

import numpy as np
from numpy.typing import NDArray

from xent.language._vocabulary import SPECIAL, Vocabulary

SPELLINGS = ("uniform", "vocabulary")
EDGE = 256  # before a word's first byte and after its last
UNIFORM_BITS = 8.0  # log2 256


def byte_costs(spelling: str, vocabulary: Vocabulary, unit: str) -> NDArray[np.float64]:
    """Return what each byte costs after each other one.

    Parameters
    ----------
    spelling : str
        ``"uniform"``: 8 bits for a byte and for the end of a word. ``"vocabulary"``: minus log2 of
        a bigram model of bytes, fitted to the words of the vocabulary, each counted once, by
        interpolated Witten-Bell smoothing down to the uniform distribution.
    vocabulary : Vocabulary
    unit : str
        What a word is. Letters need no end; an unknown byte is one of 256, whatever is known.

    Returns
    -------
    (257, 257) float64
        Bits of a byte (column) after another (row); row 256 begins a word, column 256 ends it.
    """
    if spelling == "uniform" or unit == "byte":
        costs = np.full((EDGE + 1, EDGE + 1), UNIFORM_BITS)
    else:
        counts = _byte_pairs(vocabulary, ends=unit == "word")
        events = EDGE + int(unit == "word")
        unigram = _witten_bell(counts.sum(0)[np.newaxis, :events], np.full(events, 1 / events))
        costs = np.zeros((EDGE + 1, EDGE + 1))
        costs[:, :events] = -np.log2(_witten_bell(counts[:, :events], unigram[0]))
    if unit != "word":
        costs[:, EDGE] = 0.0
    return costs


def _byte_pairs(vocabulary: Vocabulary, *, ends: bool) -> NDArray[np.float64]:
    """Count the pairs of neighbours in all words but ``<unk>``, ``<s>`` and ``</s>``."""
    starts = vocabulary.starts[len(SPECIAL) : vocabulary.size + 1]
    letters = vocabulary.blob[starts[0] : starts[-1]].astype(np.int64)
    framed = np.insert(letters, starts - starts[0], EDGE)
    first, second = framed[:-1], framed[1:]
    if not ends:
        first, second = first[second != EDGE], second[second != EDGE]
    pairs = np.bincount((EDGE + 1) * first + second, minlength=(EDGE + 1) ** 2)
    return pairs.reshape(EDGE + 1, EDGE + 1).astype(np.float64)


def _witten_bell(counts: NDArray[np.float64], lower: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate rows of counts with a distribution: Witten and Bell 1991, method C."""
    total, kinds = counts.sum(1, keepdims=True), np.count_nonzero(counts, axis=1, keepdims=True)
    seen = (counts + kinds * lower) / np.maximum(total + kinds, 1)
    return np.where(total > 0, seen, lower)
