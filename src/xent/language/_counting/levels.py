"""N-gram counts: one level an order, each in lexicographic order of its n-grams.

Counting is sorting the places of the text by the n-gram that ends there. The places of one order,
sorted, give those of the next, so that each order sorts small groups by one word.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._progress import stage
from xent.language._kernels import count as kernels

U32 = NDArray[np.uint32]
MOST_TOKENS = 2**32 - 1
F64 = NDArray[np.float64]


@dataclass
class NgramCounts:
    """The n-grams of one order, sorted by (prefix, word)."""

    prefix: U32  # row of the n-gram without its last word, one level below
    word: U32
    count: U32
    suffix: U32  # row of the n-gram without its first word, one level below
    # Whether the columns lie in files that will go.
    mapped: bool = field(default=False, kw_only=True)

    def __len__(self) -> int:
        return len(self.word)


Levels = list[NgramCounts]


class Places:
    """The places of a text sorted by word, from which its n-grams are counted.

    The ids are not needed any more: whoever lets go of them saves their memory.

    Parameters
    ----------
    ids : (n,) uint32
        A stream of sentences.
    reach : (n,) uint8
        How many tokens before each one belong to its history; 255 for one that is not counted.
    words : int
        The size of the vocabulary.

    Raises
    ------
    ValueError
        If there are more tokens than 32 bits can number.
    """

    def __init__(self, ids: U32, reach: NDArray[np.uint8], words: int) -> None:
        if len(ids) >= MOST_TOKENS:
            because = f"it has {len(ids)} tokens, and places are numbers below {MOST_TOKENS}"
            raise _check.cannot(
                "The text cannot be counted in one piece",
                because,
                "Pass " + _check.setting("memory") + ".",
            )
        self.words = words
        self.count = np.zeros(words, np.uint32)
        # What is not written costs addresses and no memory.
        self.places = np.empty(len(ids), np.uint32)
        self.stream = np.empty(len(ids) + 1, np.uint64)
        self.reached = np.zeros(256, np.int64)
        kernels.places_by_word(ids, reach, self.count, self.places, self.stream, self.reached)
        self.reached[255] = 0

    def levels(self, order: int) -> Levels:
        """Count the n-grams of every order up to ``order``; the places are used up."""
        zeros = np.zeros(self.words, np.uint32)
        levels = [NgramCounts(zeros, np.arange(self.words, dtype=np.uint32), self.count, zeros)]
        with stage("Counting", order, "orders") as advance:
            for n in range(2, order + 1):
                capacity = int(self.reached[n - 1 :].sum())
                levels.append(
                    _next_level(
                        self.stream, self.places, levels[-1].count, capacity, self.words, n == order
                    )
                )
                advance(n)
        return levels


def _next_level(
    stream: NDArray[np.uint64], places: U32, sizes: U32, capacity: int, words: int, longest: bool
) -> NgramCounts:
    """Count n-grams given where those one shorter end; both arrays get the n-grams'."""
    largest = int(sizes.max(initial=0))
    keys = np.empty(
        kernels.INSERTION_SORTED if longest else max(largest, kernels.INSERTION_SORTED), np.uint64
    )
    sorting, scratch = np.empty((2, min(largest, words)), np.uint64)
    table = np.zeros(words, np.uint64)
    columns = [np.empty(capacity, np.uint32) for _ in range(4)]
    known = places[: int(sizes.sum())]
    word_bits = int(words - 1).bit_length()
    rows = kernels.next_level(
        stream, known, sizes, word_bits, longest, keys, sorting, scratch, table, tuple(columns)
    )
    return NgramCounts(*(column[:rows] for column in columns))


def from_begin(levels: Levels) -> list[NDArray[np.bool_]]:
    """Mark the n-grams of each level that begin with ``<s>``."""
    marks = [levels[0].word == 1]
    for level in levels[1:]:
        marks.append(marks[-1][level.prefix])
    return marks


def with_word(levels: Levels, word: int) -> list[NDArray[np.bool_]]:
    """Mark the n-grams of each level that hold a word, anywhere."""
    marks = [levels[0].word == word]
    for level in levels[1:]:
        marks.append(marks[-1][level.prefix] | (level.word == word))
    return marks


def continuation_counts(levels: Levels) -> Iterator[U32]:
    """Yield after how many words each n-gram was seen; the longest keep their counts."""
    for level, above, begins in zip(levels, [*levels[1:], None], from_begin(levels), strict=True):
        if above is None:
            yield level.count
        else:
            counts = np.zeros(len(level), np.uint32)
            kernels.left_extensions(above.suffix, level.count, begins, counts)
            yield counts


def totals(level: NgramCounts, values: NDArray[Any], histories: int) -> F64:
    """Add up values of a level history by history."""
    from xent.language._kernels import smooth

    total = np.zeros(histories)
    smooth.sum_by_prefix(level.prefix, values, total)
    return total
