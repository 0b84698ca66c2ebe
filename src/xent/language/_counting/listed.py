"""N-gram counts that somebody else has made: n-grams of every order, each with its count."""

import os
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._backoff.linked import packed, unpacked
from xent.language._counting.levels import MOST_TOKENS, Levels, NgramCounts
from xent.language._counting.task import COUNTED
from xent.language._lines import _text
from xent.language._vocabulary import BEGIN, END, UNKNOWN, Vocabulary

I64 = NDArray[np.int64]
SEPARATOR = re.compile(r"[\0\t\r ]+")


def listed(
    counts: Any, order: int, words: list[str] | None, unknown: str
) -> tuple[Vocabulary, Levels]:
    """Return counts as levels, and the words that they are made of.

    Parameters
    ----------
    counts : path, or mapping of tuple of str to int
    order : int
        The longest n-gram; longer ones in the list are passed over.
    words : list of str, optional
        The words to know, where they are given.
    unknown : str
        As in `NGramModel`.
    """
    vocabulary = Vocabulary(words or ())
    index = vocabulary.index
    ids: list[list[list[int]]] = [[] for _ in range(order)]
    times: list[list[int]] = [[] for _ in range(order)]
    whole = True
    for gram, count in _entries(counts):
        if not 0 < len(gram) <= order:
            continue
        found = []
        for word in gram:
            if word in index or words is None:
                found.append(vocabulary.add(word))
            elif unknown in COUNTED or word == "<UNK>":
                found.append(UNKNOWN)
            else:
                break
        if len(found) < len(gram) or (unknown == "closed" and UNKNOWN in found):
            whole = False
            continue
        if BEGIN in found[1:] or END in found[:-1]:
            must = "hold <s> only at the begin of an n-gram, and </s> only at its end"
            raise _check.invalid("counts", must, repr(" ".join(gram)))
        ids[len(gram) - 1].append(found)
        times[len(gram) - 1].append(count)
    levels = _levels(vocabulary, ids, times)
    if whole:
        _doubt_cut(vocabulary, levels)
    return vocabulary, levels


def _entries(counts: Any) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield n-grams and their counts."""
    if isinstance(counts, (str, os.PathLike)):
        number = 0
        for piece in _text.pieces(counts):
            for line in piece.decode("utf-8", "surrogateescape").split("\n")[:-1]:
                number += 1
                *gram, count = SEPARATOR.split(line.strip("\0\t\r "))
                if not gram and not count:
                    continue
                if not gram or not re.fullmatch("[0-9]{1,18}", count):
                    must = "hold lines of an n-gram and its count"
                    raise _check.invalid("counts", must, f"{line[:80]!r} on line {number}")
                yield tuple(gram), int(count)
    elif isinstance(counts, Mapping):
        for gram, count in counts.items():
            if not isinstance(gram, tuple) or not all(isinstance(word, str) for word in gram):
                must = "have n-grams as tuples of str"
                raise _check.wrong_kind("counts", must, repr(gram))
            yield gram, _check.integer("counts", count, least=0)
    else:
        must = "be a path, or a mapping of tuples of str to whole numbers"
        raise _check.wrong_kind("counts", must, _check.a(counts))


def _levels(vocabulary: Vocabulary, ids: list[list[list[int]]], times: list[list[int]]) -> Levels:
    size = len(vocabulary)
    zeros = np.zeros(size, np.uint32)
    single = np.zeros(size, np.int64)
    np.add.at(single, np.array(ids[0], np.int64).reshape(-1), np.array(times[0], np.int64))
    single[BEGIN] = 0  # no event
    levels = [NgramCounts(zeros, np.arange(size, dtype=np.uint32), _counts(single), zeros)]
    known = np.zeros(size, np.bool_)
    known[[i for (i,) in ids[0]]] = True
    known[BEGIN] = True
    keys: list[Any] = []
    for n, (grams, counts) in enumerate(zip(ids[1:], times[1:], strict=True), 2):
        table = np.array(grams, np.int64).reshape(-1, n)
        if not known[table].all():
            gram = table[int(np.argmin(known[table].all(axis=1)))]
            raise _lacks(vocabulary, gram, gram[~known[gram]][:1])
        prefix, suffix = (_rows(part, keys) for part in (table[:, :-1], table[:, 1:]))
        for part, cut in ((prefix, slice(None, -1)), (suffix, slice(1, None))):
            if len(part) and part.min() < 0:
                gram = table[int(np.argmin(part))]
                raise _lacks(vocabulary, gram, gram[cut])
        every, first, inverse = np.unique(
            packed(prefix, table[:, -1]), return_index=True, return_inverse=True
        )
        total = np.zeros(len(every), np.int64)
        np.add.at(total, inverse, np.array(counts, np.int64))
        columns = unpacked(every)
        levels.append(NgramCounts(*columns, _counts(total), suffix[first].astype(np.uint32)))
        keys.append(every)
    if not single.any():
        raise _check.invalid("counts", "hold 1-grams", "none")
    return levels


def _doubt_cut(vocabulary: Vocabulary, levels: Levels) -> None:
    """Warn where what follows an n-gram was seen less often than it, as where rare ones were cut.

    The shares of what follows are of what is listed: where the rest is cut, they are too large.
    """
    for n, (shorter, longer) in enumerate(pairwise(levels), 1):
        sums = np.bincount(longer.prefix, longer.count, len(shorter))
        odd = (sums > 0) & (sums != shorter.count)
        if n == 1:
            odd[BEGIN] = False  # it is no event, whose count is not kept
        if odd.any():
            row = place = int(np.argmax(odd))
            gram: list[int] = []
            for level in reversed(levels[:n]):
                gram.insert(0, int(level.word[place]))
                place = int(level.prefix[place])
            words = " ".join(vocabulary.words(np.array(gram)))
            said = f" lists {words!r} {shorter.count[row]:,} times, and what follows it "
            said += f"{sums[row]:,.0f} times; so with {odd.sum():,} {n}-grams. "
            advice = "Probabilities are shares of what follows: list all of it."
            _check.warn(_check.argument("counts") + said + advice)
            return


def _rows(grams: I64, keys: list[Any]) -> I64:
    """Return the row of each n-gram in its level, -1 where it is not listed."""
    rows = grams[:, 0]
    for level, word in zip(keys, grams.T[1:], strict=False):
        if not len(level):
            return np.full(len(rows), -1)
        key = packed(np.maximum(rows, 0), word)
        place = np.minimum(np.searchsorted(level, key), len(level) - 1)
        rows = np.where((level[place] == key) & (rows >= 0), place, -1)
    return rows


def _counts(total: I64) -> NDArray[np.uint32]:
    if len(total) and total.max() > MOST_TOKENS:
        raise _check.invalid("counts", f"be at most {MOST_TOKENS:,}", f"{total.max():,}")
    return total.astype(np.uint32)


def _lacks(vocabulary: Vocabulary, gram: I64, part: I64) -> ValueError:
    whole, missing = (" ".join(vocabulary.words(some)) for some in (gram, part))
    must = "hold the beginning and the end of each n-gram too"
    return _check.invalid("counts", must, f"{whole!r} without {missing!r}")
