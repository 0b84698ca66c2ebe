"""The settings behind published perplexities: what a user writes for each, against the manual."""

import numpy as np
import pytest

from language.slow_srilm import Table
from xent.language import Katz, KneserNey, NGramModel

WORDS = ["<unk>", *(f"w{i}" for i in range(800))]


@pytest.fixture(scope="module")
def texts():
    """Text made of phrases, so that long n-grams come back, with <unk> spelt in it."""
    luck = np.random.default_rng(2)

    def zipf(kinds, power):
        p = 1 / np.arange(2.0, 2.0 + kinds) ** power
        return p / p.sum()

    phrases = luck.choice(WORDS, (3000, 6), p=zipf(len(WORDS), 1.0)).tolist()
    sentences = []
    for _ in range(3100):
        which = luck.choice(3000, 3, p=zipf(3000, 0.9))
        sentences.append([w for k in which for w in phrases[k][: luck.integers(2, 7)]])
    return [WORDS, *sentences[:3000]], sentences[3000:]


RECIPES = [
    # ngram-count -unk -order N: Good-Turing, 3-grams and longer seen twice
    ("gt", Katz(), None, {}),
    # ngram-count -unk -order N -gt3min 1 -gt4min 1 -gt5min 1
    ("gt", Katz(), 1, {}),
    ("gt", Katz(k=5), {3: 2, 4: 3, 5: 3}, {"gtmax": 5}),
    # -kndiscount -interpolate -gt3min 1 -gt4min 1 -gt5min 1
    ("kndiscount", KneserNey(), None, {"interpolate": True}),
    ("kndiscount", KneserNey(interpolated=False), None, {}),
    ("ukndiscount", KneserNey(modified=False), None, {"interpolate": True}),
    ("ukndiscount", KneserNey(modified=False, interpolated=False), None, {}),
]


@pytest.mark.grid
@pytest.mark.parametrize("order", [3, 5])
@pytest.mark.parametrize(("method", "smoothing", "least", "options"), RECIPES)
def test_recipes_follow_the_manual(texts, order, method, smoothing, least, options):
    train, test = texts
    cuts = {None: [1, 1, 2, 2, 2] if method == "gt" else [1] * 5, 1: [1] * 5}
    cut = [1, 1, 2, 3, 3] if isinstance(least, dict) else cuts[least]
    slow = Table(train, order, method, cut, **options).perplexity(test)
    model = NGramModel(order, smoothing, min_count=least).fit(train)
    report = model.evaluate(test)
    assert report.unknown > 0  # <unk> is a word like others
    assert report.perplexity == pytest.approx(slow, rel=1e-6)
    assert 5 < slow < 250


@pytest.mark.grid
@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize(("method", "smoothing", "least", "options"), RECIPES)
def test_without_unk(texts, order, method, smoothing, least, options):
    """ngram-count without -unk removes <unk> and still counts it for the others."""
    train, test = texts
    cut = [1, 1, 2, 3, 3] if isinstance(least, dict) else [1] * 5
    cut = [1, 1, 2, 2, 2] if method == "gt" and least is None else cut
    slow = Table(train, order, method, cut, unk=False, **options).perplexity(test)
    found = {}
    for unknown in ("removed", "closed"):
        model = NGramModel(order, smoothing, min_count=least, unknown=unknown).fit(train)
        report = model.evaluate(test)
        assert report.unknown > 0
        found[unknown] = report.perplexity
    assert found["removed"] == pytest.approx(slow, rel=1e-6)
    assert order == 1 or abs(found["closed"] / slow - 1) > 1e-6


def test_words_outside_the_vocabulary_are_removed_too(texts):
    """-vocab FILE without -unk: those words become <unk>, which is removed."""
    train, test = texts
    known = set(WORDS[1:400])
    mapped = [[word if word in known else "<unk>" for word in line] for line in train]
    slow = Table(mapped, 3, "ukndiscount", [1] * 3, interpolate=True, unk=False)
    method = KneserNey(modified=False)
    model = NGramModel(3, method, vocabulary=sorted(known), unknown="removed").fit(train)
    mapped = [[word if word in known else "<unk>" for word in line] for line in test]
    assert model.evaluate(test).perplexity == pytest.approx(slow.perplexity(mapped), rel=1e-6)


@pytest.mark.grid
@pytest.mark.parametrize("cut_mass", ["kept", "backoff"])
@pytest.mark.parametrize("least", [{5: 2}, {2: 2, 3: 2, 4: 3, 5: 3}])
def test_kneser_ney_cut(texts, least, cut_mass):
    """-kndiscount -interpolate -gt3min 1 -gt4min 1 cuts 5-grams seen once; lmplz --prune, all."""
    train, test = texts
    cut = [least.get(n, 1) for n in range(1, 6)]
    slow = Table(
        train, 5, "kndiscount", cut, interpolate=cut_mass if cut_mass == "backoff" else True
    ).perplexity(test)
    found = NGramModel(5, KneserNey(cut_mass=cut_mass), min_count=least).fit(train).evaluate(test)
    assert found.perplexity == pytest.approx(slow, rel=1e-6)
