"""N-gram counts: one level an order, each in lexicographic order of its n-grams.

Counting is sorting. The key of an n-gram is (id of its prefix, its last word), two numbers that
fit into 64 bits together with the place where it stands, so one sort of plain integers an order
counts everything; where the bits do not suffice, ranges of prefixes are sorted one after the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.language._kernels import count as kernels
from xent.language._progress import stage

U32 = NDArray[np.uint32]
F64 = NDArray[np.float64]


@dataclass
class Level:
    """The n-grams of one order, sorted by (prefix, word)."""

    prefix: U32  # row of the n-gram without its last word, one level below
    word: U32
    count: U32
    suffix: U32  # row of the n-gram without its first word, one level below
    mapped: bool = field(
        default=False, kw_only=True
    )  # whether the columns lie in files that will go

    def __len__(self) -> int:
        return len(self.word)


Levels = list[Level]


def count_ngrams(ids: U32, reach: NDArray[np.uint8], order: int, words: int) -> Levels:
    """Count the n-grams of every order up to ``order`` in a stream of sentences.

    Parameters
    ----------
    ids : (n,) uint32
    reach : (n,) uint8
        How many tokens before each one belong to its history; 255 for one that is not counted.
    order, words : int
        The longest n-gram, and the size of the vocabulary.
    """
    count = np.zeros(words, np.uint32)
    kernels.count_words(ids, reach, count)
    zeros = np.zeros(words, np.uint32)
    levels = [Level(zeros, np.arange(words, dtype=np.uint32), count, zeros)]
    before = ids
    with stage("Counting", order, "orders") as told:
        for n in range(2, order + 1):
            now = np.zeros(len(ids) if n < order else 0, np.uint32)
            level = _next_level(ids, before, now, reach, n, len(levels[-1]), words)
            before = now
            levels.append(level)
            told(n)
    return levels


def _next_level(
    ids: U32,
    before: U32,
    now: U32,
    reach: NDArray[np.uint8],
    order: int,
    prefixes: int,
    words: int,
) -> Level:
    """Count n-grams given which (n-1)-gram ends at each place; ``now`` gets the n-grams."""
    places = int(np.count_nonzero((reach >= order - 1) & (reach != 255)))
    word_bits = max(1, int(words - 1).bit_length())
    parts = _parts(len(ids), places, prefixes, word_bits)
    pieces: list[list[U32]] = []
    first = 0
    for part in range(parts):
        low, high = prefixes * part // parts, prefixes * (part + 1) // parts
        room = places
        if parts > 1:
            counted = (reach >= order - 1) & (reach != 255)
            here = before[:-1][counted[1:]]
            room = int(np.count_nonzero((here >= low) & (here < high)))
        list_of_places = np.empty(room if parts > 1 else 0, np.uint32)
        bits = max(1, int(room if parts > 1 else len(ids)).bit_length())
        keys = np.empty(room, np.uint64)
        word_shift, place_shift = np.uint64(word_bits), np.uint64(bits)
        made = kernels.select_keys(
            ids, before, reach, order, low, high, word_shift, place_shift, list_of_places, keys
        )
        keys = keys[:made]
        keys.sort()
        distinct = kernels.count_distinct(keys, place_shift)
        columns = [np.empty(distinct, np.uint32) for _ in range(4)]
        kernels.read_level(
            keys, list_of_places, before, low, word_shift, place_shift, first, now, tuple(columns)
        )
        first += distinct
        pieces.append(columns)
    if parts == 1:
        return Level(*pieces[0])
    return Level(*(np.concatenate(column) for column in zip(*pieces, strict=True)))


def _parts(length: int, places: int, prefixes: int, word_bits: int) -> int:
    """In how many ranges of prefixes the keys fit 64 bits (leaving a factor 4 for uneven ones)."""
    if (prefixes - 1).bit_length() + word_bits + max(1, length.bit_length()) <= 64:
        return 1
    parts = 2
    while -(-prefixes // parts) > 1:
        prefix_bits = (-(-prefixes // parts)).bit_length()
        place_bits = (places // parts * 4).bit_length()
        if prefix_bits + word_bits + min(place_bits, places.bit_length()) <= 64:
            break
        parts *= 2
    return parts


def from_begin(levels: Levels) -> list[NDArray[np.bool_]]:
    """Mark the n-grams of each level that begin with ``<s>``."""
    marks = [levels[0].word == 1]
    for level in levels[1:]:
        marks.append(marks[-1][level.prefix])
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


def totals(level: Level, values: NDArray[Any], histories: int) -> F64:
    """Add up values of a level history by history."""
    from xent.language._kernels import smooth

    total = np.zeros(histories)
    smooth.sum_by_prefix(level.prefix, values, total)
    return total
