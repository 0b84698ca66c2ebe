"""How a text is counted: the words that count, the n-grams, and counts of several texts merged."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._counting.levels import MOST_TOKENS, Levels, NgramCounts, Places
from xent.language._kernels import text as text_kernels
from xent.language._lines._text import Reader
from xent.language._vocabulary import BEGIN, SPECIAL, UNKNOWN, Vocabulary

U32 = NDArray[np.uint32]
COUNTED = ("open", "removed")  # where words outside the vocabulary are counted as <unk>
DROPPED = -1  # what a word becomes that shall not be counted
MAX_REACH = 200  # orders beyond it would not fit the byte that holds a token's history


def known_words(
    words: int, given: int, times: NDArray[np.int64] | None, min_count: int
) -> NDArray[np.bool_]:
    """Mark the words that the model shall know.

    Parameters
    ----------
    words : int
        How many there are, those given before the text first.
    given : int
        How many were given; 0 where all words may be known.
    times : (words,) int64, optional
        How often each was seen.
    min_count : int
        Words seen less often are not known.
    """
    known = np.ones(words, np.bool_)
    if given:
        known[given:] = False
    if times is not None:
        known &= times >= min_count
        known[:3] = True
    return known


def restrict(ids: U32, known: NDArray[np.bool_], unknown: str) -> tuple[U32, NDArray[np.uint8]]:
    """Give known words consecutive ids, and find each token's usable history.

    Where ``unknown`` is "open" or "removed" the others are counted as ``<unk>``, else they are
    gaps.
    """
    counted = np.ones(len(known), np.bool_) if unknown in COUNTED else known.copy()
    counted[UNKNOWN] = unknown != "closed"
    reach = np.empty(len(ids), np.uint8)
    text_kernels.position_in_sentence(ids, counted, MAX_REACH, reach)
    if not known.all():
        new = np.zeros(len(known), np.uint32)
        new[known] = np.arange(int(known.sum()))
        ids = new[ids]
    return ids, reach


@dataclass(frozen=True)
class CountingTask:
    """How to count: what an `NGramModel` was told, as a worker elsewhere needs it."""

    order: int
    unit: str
    errors: str
    unknown: str
    least_words: int
    words: list[str] | None

    def count(self, text: Any) -> tuple[Vocabulary, Levels]:
        """Count the n-grams of a text; return them with the words that they are made of."""
        vocabulary = Vocabulary(self.words or ())
        given = 0 if self.words is None else len(vocabulary)
        reader = Reader(vocabulary, unit=self.unit, errors=self.errors, grow=True)
        ids = _all(reader.ids(text), "text")
        rare = self.least_words > 1
        times = np.bincount(ids, minlength=len(vocabulary)) if rare else None
        known = known_words(len(vocabulary), given, times, self.least_words)
        places = Places(*restrict(ids, known, self.unknown), int(known.sum()))
        del ids
        if not known.all():
            vocabulary = vocabulary.only(known)
        return vocabulary, count_text(places, self.order)

    def count_known(self, text: Any, vocabulary: Vocabulary) -> Levels:
        """Count the n-grams of another text in the words of a vocabulary."""
        reader = Reader(vocabulary, unit=self.unit, errors=self.errors)
        known = np.ones(len(vocabulary), np.bool_)
        ids = _all(reader.ids(text, "held_out"), "held_out")
        return count_text(Places(*restrict(ids, known, self.unknown), len(known)), self.order)

    def count_files(self, paths: Any, executor: Executor) -> tuple[Vocabulary, Levels]:
        """Count files in the tasks of an executor, and merge the counts in the files' order."""
        files = files_of(paths)
        # Which words are rare is known only when all files are counted.
        every = replace(self, least_words=1)
        futures = [executor.submit(every.count, file) for file in files]
        return self._together([future.result() for future in futures])

    def count_weighted(self, text: Any, weights: Any) -> tuple[Vocabulary, Levels]:
        """Count each line of a text as often as its weight says."""
        lines, times = _weighted(text, weights, self.unit)
        every, shards = replace(self, least_words=1), []
        # A weight is a sum of powers of two, so that lines are read as often as it has bits.
        for power in range(int(times.max()).bit_length()):
            chosen = np.flatnonzero((times >> power) & 1)
            if len(chosen):
                vocabulary, levels = every.count([lines[i] for i in chosen])
                for level in levels:
                    level.count <<= np.uint32(power)
                shards.append((vocabulary, levels))
        return self._together(shards)

    def _together(self, shards: list[tuple[Vocabulary, Levels]]) -> tuple[Vocabulary, Levels]:
        """Add up counts of several texts, each with its own vocabulary."""
        vocabulary = Vocabulary()
        ids = [np.array([vocabulary.add(w) for w in v.words()], np.int64) for v, _ in shards]
        levels = merge(ids, [counts for _, counts in shards])
        return self.without_rare(vocabulary, levels) if self.least_words > 1 else (
            vocabulary, levels)  # fmt: skip

    def without_rare(self, vocabulary: Vocabulary, levels: Levels) -> tuple[Vocabulary, Levels]:
        """Leave out words that were seen too seldom, and all n-grams with one, or rename them."""
        times = levels[0].count.astype(np.int64)
        known = known_words(len(vocabulary), 0, times, self.least_words)
        new = np.full(len(known), UNKNOWN if self.unknown in COUNTED else DROPPED)
        new[known] = np.arange(int(known.sum()))
        return vocabulary.only(known), merge([new], [levels])


def _weighted(text: Any, weights: Any, unit: str) -> tuple[list[Any], NDArray[np.int64]]:
    """Return lines and their weights, after checking that they go together."""
    if isinstance(text, (str, os.PathLike)) or not isinstance(text, Iterable):
        must = "be lines or lists of tokens where `weights` is given"
        raise _check.wrong_kind("text", must, _check.a(text))
    lines, times = list(text), np.asarray(weights)
    if times.dtype.kind not in "iu" or times.ndim != 1:
        must = "hold one whole number a line"
        raise _check.wrong_kind("weights", must, f"{times.dtype} of shape {times.shape}")
    if len(times) != len(lines):
        raise _check.invalid("weights", f"hold one for each of {len(lines)} lines", len(times))
    if len(times) and times.min() < 0:
        raise _check.invalid("weights", "be at least 0", int(times.min()))
    if not (times > 0).any():
        raise _check.invalid("text", "hold at least one line of a weight above 0", "none")
    times = times.astype(np.int64)
    tokens = [line.split() if isinstance(line, str) and unit == "word" else line for line in lines]
    sizes = [len(line) + 2 for line in tokens]
    if (total := int(times @ np.array(sizes, np.int64))) > MOST_TOKENS:
        must = f"count at most {MOST_TOKENS:,} tokens together"
        raise _check.invalid("weights", must, f"{total:,}")
    return lines, times


def files_of(paths: Any) -> list[Path]:
    """Return the files that an executor shall count, one a task."""
    files = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not files or not all(isinstance(f, (str, os.PathLike)) for f in files):
        advice = "An executor counts files, one a task."
        raise _check.wrong_kind("text", "be paths where `executor` is given", "others", advice)
    # A str among paths is a path too, though a list of str would be lines.
    return [Path(file) for file in files]


def merge(ids: list[NDArray[np.int64]], shards: list[Levels]) -> Levels:
    """Add up counts of shards, whose words get the ids given for each; those with `DROPPED` go."""
    merged: Levels = []
    # Where the rows of each shard's level below went; below the unigrams lies the empty n-gram.
    rows = [np.zeros(1, np.int64)] * len(shards)
    for levels in zip(*shards, strict=True):
        keys = [
            (row[level.prefix] << 32) | new[level.word]
            for row, new, level in zip(rows, ids, levels, strict=True)
        ]
        distinct, inverse = np.unique(np.concatenate(keys), return_inverse=True)
        dropped = int(
            np.searchsorted(distinct, 0)
        )  # a key with a word or a prefix that goes is < 0
        inverse, distinct = np.maximum(inverse - dropped, DROPPED), distinct[dropped:]
        parts = np.split(inverse, np.cumsum([len(key) for key in keys])[:-1])
        count, suffix = np.zeros((2, len(distinct)), np.uint32)
        for part, row, level in zip(parts, rows, levels, strict=True):
            stays = part != DROPPED
            np.add.at(count, part[stays], level.count[stays])  # two words may have become one
            suffix[part[stays]] = row[level.suffix[stays]]
        rows = parts
        prefix, word = (distinct >> 32).astype(np.uint32), distinct.astype(np.uint32)
        merged.append(NgramCounts(prefix, word, count, suffix))
    return merged


def _all(pieces: Iterator[U32], argument: str) -> U32:
    """Return a whole text as one stream of ids."""
    found = list(pieces)
    if not found:
        raise _check.invalid(argument, "hold at least one line", "none")
    return np.concatenate(found) if len(found) > 1 else found[0]


def count_text(places: Places, order: int) -> Levels:
    """Count the n-grams of a text; ``<s>`` is no event and counts 0 among the unigrams."""
    levels = places.levels(order)
    levels[0].count[BEGIN] = 0
    return levels


def given_words(vocabulary: Iterable[str]) -> list[str]:
    """Return the words of a vocabulary, after checking that they are words."""
    if isinstance(vocabulary, str):
        must = "be an iterable of words"
        raise _check.wrong_kind("vocabulary", must, "one str", "Read the file into a list.")
    words = list(vocabulary)
    for place, word in enumerate(words):
        if not isinstance(word, str):
            must = "hold words of type str"
            raise _check.wrong_kind("vocabulary", must, f"{_check.a(word)} at [{place}]")
    return [word for word in words if word not in SPECIAL]
