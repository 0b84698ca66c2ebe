"""Models from n-gram counts that somebody else has made: those of the text itself."""

import gzip
from collections import Counter

import numpy as np
import pytest

from language.test_smoothing import corpus, fitted
from xent.language import (
    AbsoluteDiscounting,
    JelinekMercer,
    Katz,
    KneserNey,
    NGramModel,
    WittenBell,
)


def counts_of(sentences, order, unknown=()):
    """Every n-gram up to an order, as ngram-count -write lists them."""
    found = Counter()
    for sentence in sentences:
        line = ["<s>", *("<unk>" if w in unknown else w for w in sentence), "</s>"]
        for end in range(1, len(line) + 1):
            for n in range(1, min(order, end) + 1):
                found[tuple(line[end - n : end])] += 1
    return found


SMOOTHINGS = [
    KneserNey(discount=0.75), WittenBell(), Katz(), AbsoluteDiscounting(0.5), JelinekMercer(),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Katz:UserWarning")
@pytest.mark.parametrize("smoothing", SMOOTHINGS, ids=repr)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"vocabulary": list("abc"), "unknown": "open"},
        {"vocabulary": list("abc"), "unknown": "closed"},
        {"vocabulary": list("abc"), "unknown": "removed"},
        {"vocabulary": list("abc")},
        {"min_count": {1: 20, 3: 2}},
    ],
    ids=repr,
)
def test_counts_are_the_text(tmp_path, smoothing, options):
    text = corpus(2, 60)
    expected = fitted(text, 3, smoothing, **options)
    counts = counts_of(text, 4)
    path = tmp_path / "counts.gz"
    luck = np.random.default_rng(0)
    rows = [f"{' '.join(gram)}\t{count}" for gram, count in counts.items()]
    luck.shuffle(rows)
    path.write_bytes(gzip.compress("\r\n".join([*rows, "", ""]).encode()))
    test = [" ".join(s) for s in corpus(3, 20)]
    for source in (counts, path):
        found = NGramModel(3, smoothing, **options).fit_counts(source)
        assert found.counts() == expected.counts()
        np.testing.assert_allclose(found.score(test), expected.score(test), rtol=1e-6)


def test_counts_of_one_ngram_add_up():
    twice = {("a",): 1, ("</s>",): 1, ("<UNK>",): 2, ("<unk>",): 1}
    found = NGramModel(1, WittenBell()).fit_counts(twice)
    # c = 5 and T = 3: (3 + 3/3) / 8.
    assert found.distribution()[0] == pytest.approx((3 + 1) / 8)


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        (
            {("a",): 1, ("a", "b"): 1},
            "`counts` must hold the beginning and the end of each n-gram too, got 'a b' without 'b'",
        ),
        (
            {("a",): 3, ("b",): 1, ("a", "a"): 1, ("b", "a", "a"): 1},
            "`counts` must hold the beginning and the end of each n-gram too, got 'b a a' without 'b",
        ),
        (
            {("a",): 3, ("b",): 1, ("b", "a"): 1, ("b", "a", "a"): 1},
            "`counts` must hold the beginning and the end of each n-gram too, got 'b a a' without 'a",
        ),
        ({("a", "<s>"): 1}, "`counts` must hold <s> only at the begin of an n-gram, and </s> only"),
        ({("a",): -1}, "`counts` must be an integer of at least 0, got -1."),
        ({("a",): 2**40}, "`counts` must be at most 4,294,967,295, got 1,099,511,627,776."),
        ({"a": 1}, "`counts` must have n-grams as tuples of str, got 'a'."),
        ({}, "`counts` must hold 1-grams, got none."),
        (
            [("a", 1)],
            "`counts` must be a path, or a mapping of tuples of str to whole numbers, got",
        ),
        ("a 1\nb\n", "`counts` must hold lines of an n-gram and its count, got 'b' on line 2."),
        ("a 1\nb x\n", "`counts` must hold lines of an n-gram and its count, got 'b x' on line 2."),
    ],
)
def test_refusals(tmp_path, counts, sentence):
    if isinstance(counts, str):
        (tmp_path / "c").write_text(counts)
        counts = tmp_path / "c"
    with pytest.raises((ValueError, TypeError)) as caught:
        NGramModel(3, WittenBell()).fit_counts(counts)
    assert str(caught.value).startswith(sentence)
