"""Models from n-gram counts that somebody else has made: those of the text itself."""

import gzip
import re
from collections import Counter

import numpy as np
import pytest

from language.test_smoothing import corpus, fitted
from xent.language import (
    AbsoluteDiscounting,
    AddK,
    JelinekMercer,
    Katz,
    KneserNey,
    MaximumLikelihood,
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


@pytest.mark.parametrize("unknown", ["word", "open", "closed", "removed"])
@pytest.mark.parametrize("name", ["<unk>", "<UNK>"])
def test_both_names_of_what_is_unknown_count_as_it(unknown, name):
    """Beside words that are given, too; where nothing is unknown such n-grams are none."""
    counts = {("a",): 3, ("</s>",): 2, (name,): 4, ("<s>",): 9, ("b",): 5}
    found = NGramModel(1, AddK(1.0), vocabulary=["a"], unknown=unknown).fit_counts(counts)
    times = {"word": 4, "open": 9, "closed": None, "removed": None}[unknown]
    p = found.distribution()
    of = dict(zip(found.vocabulary.words(), p.tolist(), strict=True))
    if times is None:
        assert of["<unk>"] == 0.0
        assert of["a"] / of["</s>"] == pytest.approx(4 / 3)
    else:
        total = 3 + 2 + times + 3
        assert (of["a"], of["<unk>"]) == pytest.approx((4 / total, (times + 1) / total))


@pytest.mark.parametrize("count", ["4294967295", "4294967296", "999999999999999999", "1" * 19])
def test_counts_of_ten_digits_and_more(tmp_path, count):
    (path := tmp_path / "c").write_text(f"a {count}\n</s> 1\n")
    model = NGramModel(1, AddK(1.0))
    if count == "4294967295":
        p = model.fit_counts(path).distribution()  # of <unk>, <s>, </s> and a
        assert p[[0, 2, 3]] * (2**32 - 1 + 1 + 3) == pytest.approx([1, 2, 2**32], rel=1e-5)
        return
    large = f"be at most 4,294,967,295, got {int(count):,}."
    long = f"hold lines of an n-gram and its count, got 'a {count}' on line 1."
    with pytest.raises(ValueError, match="`counts` must") as caught:
        model.fit_counts(path)
    assert str(caught.value) == "`counts` must " + (long if len(count) == 19 else large)


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


@pytest.mark.parametrize(
    ("less", "said"),
    [
        ({("a", "b"): 1}, "'a' 3 times, and what follows it 2 times; so with 1 1-grams"),
        ({("<s>", "a", "b"): 0}, "'<s> a' 2 times, and what follows it 1 times; so with 1 2-grams"),
    ],
)
def test_a_table_that_was_cut_is_doubted(less, said):
    """Shares of what is listed are too large where the rest was seen and is not."""
    counts = {
        ("a",): 3, ("b",): 2, ("</s>",): 2, ("<s>", "a"): 2, ("a", "b"): 2, ("a", "a"): 1,
        ("b", "</s>"): 2, ("<s>", "a", "b"): 1, ("<s>", "a", "a"): 1, ("a", "a", "b"): 1,
        ("a", "b", "</s>"): 2,
    }  # fmt: skip
    whole = NGramModel(3, MaximumLikelihood()).fit_counts(counts)
    assert whole.score(["a b"])[0] == pytest.approx(np.log(0.5), abs=1e-6)
    with pytest.warns(UserWarning, match=re.escape(f"`counts` lists {said}")):
        NGramModel(3, MaximumLikelihood()).fit_counts(counts | less)
