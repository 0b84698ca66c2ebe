"""The counts of every order against a Counter of tuples."""

from collections import Counter

import numpy as np
import pytest

from xent.language._counting.levels import Places

BEGIN = 1


def slow(sentences, order):
    """Count tuples of up to ``order`` ids in stretches of text, of which 255 marks no word."""
    found = [Counter() for _ in range(order + 1)]
    for sentence in sentences:
        for end in range(len(sentence)):
            for n in range(1, order + 1):
                gram = tuple(sentence[end + 1 - n : end + 1])
                if len(gram) == n and None not in gram:
                    found[n][gram] += 1
    return found


def stream(sentences):
    """Return ids and how far back each one's history reaches; a gap is no word at all."""
    ids, reach = [], []
    for sentence in sentences:
        last = -1
        for word in sentence:
            last = -1 if word is None else last + 1
            ids.append(0 if word is None else word)
            reach.append(255 if last < 0 else min(last, 200))
    return np.array(ids, np.uint32), np.array(reach, np.uint8)


def grams(levels):
    """Return each level's n-grams as tuples, by the prefixes that they name."""
    rows = [[(int(w),) for w in levels[0].word]]
    for level in levels[1:]:
        below = rows[-1]
        pairs = zip(level.prefix, level.word, strict=True)
        rows.append([(*below[p], int(w)) for p, w in pairs])
    return rows


@pytest.mark.parametrize(
    ("words", "lines", "length", "gaps"),
    [
        *((3, 1, 1, 0), (4, 30, 30, 0.1), (300, 40, 20, 0.2), (5, 3, 4000, 0)),
        *((70_000, 9, 900, 0.01), (70_000, 20_000, 1, 0)),  # thousands of words after <s>
    ],
)
@pytest.mark.parametrize("order", [1, 2, 5])
def test_counts(words, lines, length, gaps, order):
    luck = np.random.default_rng(words)
    power = 1 / np.arange(1, words - 1)
    sentences = []
    for drawn in luck.choice(words - 2, (lines, length), p=power / power.sum()) + 2:
        known = [None if luck.random() < gaps else int(w) for w in drawn]
        sentences.append([BEGIN, *known])
    levels = Places(*stream(sentences), words).levels(order)
    expected = slow(sentences, order)
    rows = grams(levels)
    for n, (level, found) in enumerate(zip(levels, rows, strict=True), 1):
        assert found == sorted(found)
        counts = dict(zip(found, level.count.tolist(), strict=True))
        assert {gram: c for gram, c in counts.items() if c} == expected[n]
        if n > 1:
            assert [rows[n - 2][s] for s in level.suffix] == [gram[1:] for gram in found]


def test_more_tokens_than_32_bits_number():
    ids = np.broadcast_to(np.uint32(3), 2**32)
    with pytest.raises(
        ValueError, match="The text cannot be counted in one piece: it has 42949672"
    ):
        Places(ids, np.broadcast_to(np.uint8(1), 2**32), 5)
