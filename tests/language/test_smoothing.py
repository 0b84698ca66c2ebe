"""Each smoothing against its formula in dictionaries, and the law that probabilities sum to 1."""

import functools
import itertools
import json
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from language.slow_ngrams import BEGIN, Slow
from xent.language import (
    AbsoluteDiscounting,
    AddK,
    GoodTuring,
    JelinekMercer,
    Katz,
    KneserNey,
    MaximumLikelihood,
    NGramModel,
    StupidBackoff,
    WittenBell,
)
from xent.language.smoothing._good_turing import simple_good_turing

WORDS = ["<unk>", "a", "b", "c", "d", "e", "f"]
DISTRIBUTIONS = [
    MaximumLikelihood(),
    AddK(),
    AddK(0.1),
    GoodTuring(),
    GoodTuring(cutoff=3),
    JelinekMercer(),
    JelinekMercer(buckets=3),
    Katz(),
    Katz(k=3),
    WittenBell(),
    WittenBell(interpolated=False),
    AbsoluteDiscounting(),
    AbsoluteDiscounting(0.4, interpolated=False),
    KneserNey(),
    KneserNey(interpolated=False),
    KneserNey(modified=False),
    KneserNey(discount=(0.4, 0.9, 1.3)),
    KneserNey(cut_mass="backoff"),
    WittenBell(cut_mass="backoff"),
]


def corpus(seed, lines=40):
    """Sentences in which words depend on the word before, so that all counts occur."""
    luck = np.random.default_rng(seed)
    table = luck.dirichlet(np.full(6, 0.4), 7)
    sentences = []
    for _ in range(lines):
        word, sentence = 6, []
        while len(sentence) < 9 and (not sentence or luck.random() > 0.15):
            word = int(luck.choice(6, p=table[word]))
            sentence.append("abcdef"[word])
        sentences.append(sentence)
    return sentences


def fitted(sentences, order, smoothing, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # discounts that cannot be estimated
        return NGramModel(order, smoothing, **options).fit(sentences)


def histories(order):
    """<s> and then words, and words alone; some seen, some not."""
    luck = np.random.default_rng(5)
    short = [[], ["a"], ["f"], ["<unk>"], ["a", "<unk>"], ["<unk>", "a"]]
    return short + [list(luck.choice(list("abcdef"), order)) for _ in range(12)]


def check(sentences, order, smoothing, slow_probability, **options):
    model = fitted(sentences, order, smoothing, vocabulary=list("abcdef"), **options)
    slow = Slow(sentences, order, WORDS)
    names = model.vocabulary.words()
    worst = 0.0
    for history, begin in itertools.product(histories(order), (True, False)):
        found = model.distribution(history, begin=begin)
        full = [BEGIN, *history] if begin else history
        for w, p in zip(names, found, strict=True):
            if w != BEGIN:
                expected = slow_probability(slow, full, w)
                assert p == pytest.approx(expected, rel=2e-6, abs=1e-9), (history, begin, w)
                worst = max(worst, expected)
    assert worst > 0.2  # something was learnt, so something was compared
    return model


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", [0, 1])
class TestFormula:
    def test_maximum_likelihood(self, seed, order):
        check(corpus(seed), order, MaximumLikelihood(), lambda s, h, w: s.maximum_likelihood(h, w))

    @pytest.mark.parametrize("k", [1.0, 0.2])
    def test_add_k(self, seed, order, k):
        check(corpus(seed), order, AddK(k), lambda s, h, w: s.add_k(h, w, k))

    @pytest.mark.parametrize("mixed", [True, False])
    def test_witten_bell(self, seed, order, mixed):
        check(corpus(seed), order, WittenBell(mixed), lambda s, h, w: s.witten_bell(h, w, mixed))

    @pytest.mark.parametrize("mixed", [True, False])
    def test_absolute(self, seed, order, mixed):
        smoothing = AbsoluteDiscounting(0.6, interpolated=mixed)
        check(corpus(seed), order, smoothing, lambda s, h, w: s.absolute(h, w, 0.6, mixed))

    @pytest.mark.parametrize("mixed", [True, False])
    def test_kneser_ney(self, seed, order, mixed):
        given_discounts = {n: [0, 0.4, 0.9, 1.3] for n in range(1, 6)}
        smoothing = KneserNey(interpolated=mixed, discount=(0.4, 0.9, 1.3))
        check(
            corpus(seed),
            order,
            smoothing,
            lambda s, h, w: s.kneser_ney(h, w, given_discounts, mixed),
        )

    def test_katz(self, seed, order):
        least = [1, 1, 2, 2, 2]
        check(corpus(seed), order, Katz(), lambda s, h, w: s.katz(h, w, 7, least))

    def test_jelinek_mercer(self, seed, order):
        weights = (0.9, 0.7, 0.6, 0.5, 0.4)[:order]
        smoothing = JelinekMercer(weights=weights)
        check(corpus(seed), order, smoothing, lambda s, h, w: s.jelinek_mercer(h, w, weights))

    def test_stupid_backoff(self, seed, order):
        check(corpus(seed), order, StupidBackoff(), lambda s, h, w: s.stupid(h, w, 0.4))


@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize("cutoff", [None, 3])
def test_good_turing(order, cutoff):
    smoothing = GoodTuring(cutoff)
    check(corpus(1, 80), order, smoothing, lambda s, h, w: s.good_turing(h, w, cutoff))


def zipf(seed, lines=250, words=60):
    """Enough words that every count of counts is there."""
    luck = np.random.default_rng(seed)
    p = 1 / np.arange(1, words + 1)
    draws = luck.choice(words, (lines, 8), p=p / p.sum())
    return [[f"w{w}" for w in line] for line in draws]


@pytest.mark.parametrize("order", [2, 3])
def test_estimated_discounts(order):
    sentences = zipf(3)
    names = [f"w{i}" for i in range(90)]
    slow = Slow(sentences, order, ["<unk>", *names])
    discounts = {n: slow.modified_discounts(n) for n in range(2, order + 1)}
    assert all(0 < d[r] < r for d in discounts.values() for r in (1, 2, 3))
    discounts[1] = [0, 0.5, 1.0, 1.5]  # sixty unigrams are too few for an estimate
    with pytest.warns(UserWarning, match="for 1-grams"):
        model = NGramModel(order, vocabulary=names).fit(sentences)
    index = model.vocabulary.index
    for history in (["w0"], ["w3", "w1"], ["w2", "w0", "w0"], ["w59"], ["w80"]):
        found = model.distribution(history)
        for w in ("w0", "w1", "w7", "w33", "w85", "</s>"):
            expected = slow.kneser_ney([BEGIN, *history], w, discounts)
            assert found[index[w]] == pytest.approx(expected, rel=2e-6)


def test_katz_cutoffs_follow_min_count():
    check(
        corpus(1), 3, Katz(k=5), lambda s, h, w: s.katz(h, w, 5, [1, 2, 3]), min_count={2: 2, 3: 3}
    )


@pytest.mark.parametrize(
    ("named", "least"), [({2: 2}, [1, 2, 2, 2]), ({3: 1}, [1, 1, 1, 2]), ({2: 4, 3: 3, 4: 2}, None)]
)
def test_cutoffs_that_fall_keep_what_longer_ngrams_need(named, least):
    least = least or [1, 4, 3, 2]

    def katz(s, h, w):
        return s.katz(h, w, 5, least)

    model = check(corpus(1), 4, Katz(k=5), katz, min_count=named)
    assert model.min_counts == least
    slow = Slow(corpus(1), 4, WORDS)
    standing = [sum(slow.stands(g, least) for g in slow.of_length(n)) for n in (2, 3, 4)]
    assert model.counts()[1:] == standing
    often = sum(slow.c(g) >= least[2] for g in slow.of_length(3))
    assert (standing[1] > often) == (least[2] > least[3])

    def absolute(s, h, w):
        def kept(gram):
            return s.c(gram) - 0.6 if s.stands(gram, least) else 0.0

        return s.interpolated(h, w, kept, s.total)

    named = dict(enumerate(least, 1))
    check(corpus(1), 4, AbsoluteDiscounting(0.6), absolute, min_count=named)


def test_the_mass_of_what_is_cut_by_hand():
    """a b twice, a c once and cut: T(a) = 2, c(a) = 3, and below it p(b) = 14/65, p(c) = 9/65."""
    text = [["a", "b"], ["a", "b"], ["a", "c"]]
    p_b, p_c = Fraction(14, 65), Fraction(9, 65)
    kept_b = Fraction(2, 5) + Fraction(3, 5) * p_b  # 2/5 for T, 1/5 of what was cut, to all
    b = Fraction(2, 5) + Fraction(2, 5) * p_b
    weight = (1 - b) / (1 - p_b)
    assert weight == Fraction(167, 255)
    expected = {"kept": (kept_b, Fraction(3, 5) * p_c), "backoff": (b, weight * p_c)}
    for cut_mass, values in expected.items():
        model = fitted(text, 2, WittenBell(cut_mass=cut_mass), min_count=2)
        assert model.counts()[1] == 3  # <s> a, a b and b </s>
        p = model.distribution("a")
        found = [p[model.vocabulary.index[word]] for word in "bc"]
        np.testing.assert_allclose(found, [float(value) for value in values], rtol=1e-6)
        assert p.sum() == pytest.approx(1, abs=1e-6)


def test_a_removed_unk_by_hand():
    """<unk> is seen before b and makes t_1 and t_2 what they are, and is no event.

    Continuation counts a 1, <unk> 1, b 2 (a, <unk>), c 1, </s> 2: t_1 = 3, t_2 = 2, D = 3/7.
    2-grams <s> a 2, <s> <unk>, a b, <unk> b, a c 1, b </s> 2, c </s> 1: t_1 = 5, t_2 = 2, D = 5/9.
    """
    text = [["a", "b"], ["<unk>", "b"], ["a", "c"]]
    d1, d2 = Fraction(3, 7), Fraction(5, 9)
    left = 4 * d1 / 6  # of a, b, c and </s>, which were seen after 6 words together
    p = {w: (c - d1) / 6 + left / 4 for w, c in {"a": 1, "b": 2, "c": 1, "</s>": 2}.items()}
    assert p == {w: Fraction(x, 6) for w, x in {"a": 1, "b": 2, "c": 1, "</s>": 2}.items()}
    after_a = {w: d2 * q + (1 - d2) / 2 * (w in "bc") for w, q in p.items()}
    after_begin = {w: d2 / 2 * q + (2 - d2) / 2 * (w == "a") for w, q in p.items()}
    assert (after_a["b"], after_begin["a"]) == (Fraction(11, 27), Fraction(83, 108))
    model = NGramModel(2, KneserNey(modified=False), unknown="removed").fit(text)
    assert model.counts()[1] == 5  # <s> a, a b, a c, b </s> and c </s>
    for history, begin, expected in (
        (["a"], False, after_a),
        ([], True, after_begin),
        (["<unk>"], True, p),
        ([], False, p),
    ):
        found = model.distribution(history, begin=begin)
        assert found.sum() == pytest.approx(1, abs=1e-6)
        got = [found[model.vocabulary.index[word]] for word in p]
        np.testing.assert_allclose(got, [float(expected[word]) for word in p], rtol=1e-6)
    assert model.evaluate(["<unk> zz b"]).events == 2  # b and </s>


@pytest.mark.parametrize("least", [None, {2: 2, 3: 3}, {3: 2}])
@pytest.mark.parametrize("smoothing", [*DISTRIBUTIONS, StupidBackoff()], ids=repr)
def test_a_removed_unk_is_no_event(smoothing, least):
    """Sums are 1 without it; a method that counts no counts has the model of a closed vocabulary."""
    text = corpus(7, 60)
    options = {"vocabulary": list("abcd"), "min_count": least}
    model = fitted(text, 3, smoothing, unknown="removed", **options)
    closed = fitted(text, 3, smoothing, unknown="closed", **options)
    assert model.counts() == closed.counts()
    for history in histories(2):
        found = model.distribution(history)
        assert found[0] == 0
        if smoothing.is_distribution:
            assert found.sum() == pytest.approx(1, abs=1e-6)
    same = np.array_equal(model.score(text), closed.score(text))
    if isinstance(smoothing, KneserNey):
        assert not same
    elif not isinstance(smoothing, (AbsoluteDiscounting, Katz, GoodTuring)):
        assert same


class CutToBackoff:
    """SRILM's -interpolate with cut-offs in fractions: left(h) over all seen words, kept or cut."""

    def __init__(self, sentences, order, method, least):
        self.slow = Slow(sentences, order, WORDS)
        self.order, self.method, self.least = order, method, least

    def parts(self, h):
        """Discounted counts of what was seen after h, what they are divided by."""
        slow, words = self.slow, [w for w in self.slow.outcomes if self.slow.c((*h, w))]
        if self.method == "kneser-ney" and len(h) < self.order - 1 and h[:1] != (BEGIN,):
            seen = {w: len(slow.left[*h, w]) for w in words}
        else:
            seen = {w: slow.c((*h, w)) for w in words}
        total = Fraction(sum(seen.values()))
        if self.method == "witten-bell":
            return {w: Fraction(c) for w, c in seen.items()}, total + len(seen)
        return {w: c - Fraction(3, 4) for w, c in seen.items()}, total

    @functools.cache  # noqa: B019
    def p(self, h, w):
        if len(h) >= self.order:
            return self.p(h[1:], w)
        discounted, total = self.parts(h)
        below = (lambda v: self.p(h[1:], v)) if h else (lambda v: Fraction(1, 8))
        if not total:
            return below(w)
        left = 1 - sum(discounted.values()) / total
        least = self.least[len(h)] if h else 1
        listed = {v: d for v, d in discounted.items() if self.slow.c((*h, v)) >= least}
        if not h:
            return discounted.get(w, 0) / total + left * below(w)
        kept = {v: d / total + left * below(v) for v, d in listed.items()}
        if w in kept:
            return kept[w]
        return (1 - sum(kept.values())) / (1 - sum(map(below, kept))) * below(w)


@pytest.mark.parametrize("least", [[1, 1, 2], [1, 2, 2], [1, 1, 1]])
@pytest.mark.parametrize(
    ("method", "smoothing"),
    [
        ("kneser-ney", KneserNey(discount=0.75, cut_mass="backoff")),
        ("witten-bell", WittenBell(cut_mass="backoff")),
        ("absolute", AbsoluteDiscounting(0.75, cut_mass="backoff")),
    ],
)
def test_the_mass_of_what_is_cut_goes_to_backoff(method, smoothing, least):
    text = corpus(3, 12)
    slow = CutToBackoff(text, 3, method, least)
    model = fitted(
        text, 3, smoothing, vocabulary=list("abcdef"), min_count={2: least[1], 3: least[2]}
    )
    names = model.vocabulary.words()
    for history, begin in itertools.product(histories(2), (True, False)):
        found = model.distribution(history, begin=begin)
        h = ((BEGIN,) if begin else ()) + tuple(history)
        expected = [float(slow.p(h[-2:], w)) if w != BEGIN else 0.0 for w in names]
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-12)
        assert found.sum() == pytest.approx(1, abs=1e-6)
    other = type(smoothing)(**{**vars(smoothing), "cut_mass": "kept"})
    usual = fitted(text, 3, other, vocabulary=list("abcdef"), min_count={2: least[1], 3: least[2]})
    same = np.array_equal(usual.score(text), model.score(text))
    assert same == (least == [1, 1, 1]), "without cut-offs both are one model"


@pytest.mark.parametrize("discount", [1, (1, 2, 3)])
def test_discounts_that_take_all_leave_all_to_the_shorter_history(discount):
    # After "a" every word was seen once, so that nobody is left to back off to.
    method = KneserNey(interpolated=False, discount=discount)
    model = fitted([["a"], ["a", "a"], ["b"]], 2, method, unknown="closed", vocabulary=["a"])
    lower = model.distribution([], begin=False)
    assert lower.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(model.distribution(["a"], begin=False).sum(), 1, atol=1e-6)
    if discount != 1:
        np.testing.assert_allclose(model.distribution(["a"], begin=False), lower, rtol=1e-6)


def test_one_discount_is_estimated():
    sentences = corpus(2, lines=100)
    slow = Slow(sentences, 2, WORDS)
    n1, n2 = (slow.count_of_counts(2, r) for r in (1, 2))
    model = fitted(sentences, 2, AbsoluteDiscounting(), vocabulary=list("abcdef"))
    history = next(g[:1] for g in slow.of_length(2) if slow.c(g) > 2 and g[0] != BEGIN)
    total = slow.total(history)
    free = n1 / (n1 + 2 * n2) * slow.kinds(history) / total
    unigrams = model.distribution([], begin=False)
    unseen = [w for w in WORDS if slow.c((*history, w)) == 0]
    after = model.distribution(history, begin=False)
    index = model.vocabulary.index
    for w in unseen:
        assert after[index[w]] == pytest.approx(free * unigrams[index[w]], rel=1e-5)


# ------------------------------------------------------------------ what was learnt


def likelihood(model, sentences):
    return model.evaluate(sentences).log_likelihood


def test_jelinek_mercer_weights_are_the_best():
    everything = corpus(7, 120)
    sentences, held_out = everything[:60], everything[60:]
    best = likelihood(
        NGramModel(2, JelinekMercer(), vocabulary=WORDS).fit(sentences, held_out=held_out), held_out
    )
    grid = [
        likelihood(fitted(sentences, 2, JelinekMercer(weights=w), vocabulary=WORDS), held_out)
        for w in itertools.product(np.linspace(0.01, 0.999, 30), repeat=2)
    ]
    assert max(grid) <= best + 1e-6
    assert best - max(grid) < 0.2  # the grid comes near


def test_leave_one_out_is_what_it_says():
    sentences = corpus(9, 30)
    found = fitted(sentences, 2, JelinekMercer(), vocabulary=list("abcdef"))
    slow = Slow(sentences, 2, WORDS)

    def left_out(weights):
        total = 0.0
        for gram, times in slow.counts.items():
            if len(gram) == 2:
                h, w = gram
                p = weights[0] * (slow.c((w,)) - 1) / (slow.total(()) - 1)
                p += (1 - weights[0]) / len(slow.outcomes)
                if slow.total((h,)) > 1:
                    own = (slow.c(gram) - 1) / (slow.total((h,)) - 1)
                    p = weights[1] * own + (1 - weights[1]) * p
                total += times * np.log(p)
        return total

    grid = np.linspace(0.01, 0.99, 99)
    best = max(itertools.product(grid, repeat=2), key=left_out)
    ours = fitted(sentences, 2, JelinekMercer(weights=best), vocabulary=list("abcdef"))
    a, b = (m.distribution(["a"]) for m in (found, ours))
    np.testing.assert_allclose(a, b, rtol=0.04)


def test_buckets_help():
    everything = corpus(7, 120)
    sentences, held_out = everything[:60], everything[60:]
    plain, fine = (
        likelihood(NGramModel(3, JelinekMercer(b)).fit(sentences, held_out=held_out), held_out)
        for b in (1, 4)
    )
    assert fine > plain


def test_train_cross_entropy_is_conditional_entropy():
    sentences = corpus(4)
    found = fitted(sentences, 3, MaximumLikelihood()).evaluate(sentences)
    slow = Slow(sentences, 3, WORDS)
    total = nats = 0.0
    for gram, times in slow.counts.items():
        if len(gram) == 3 or (len(gram) == 2 and gram[0] == BEGIN):
            total += times
            nats -= times * np.log(times / slow.total(gram[:-1]))
    assert found.cross_entropy == pytest.approx(nats / total, rel=1e-7)


GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "gale_sampson_1995.json").read_text())


def test_simple_good_turing_in_the_paper():
    kinds, numbers = np.array(GOLDEN["frequencies"]).T
    stars = simple_good_turing(kinds, numbers)
    total = float(kinds @ numbers)
    assert numbers[0] / total == pytest.approx(GOLDEN["p_zero"], abs=5e-6)
    for r, expected in GOLDEN["r_star"]:
        assert stars[list(kinds).index(r)] == pytest.approx(expected, rel=GOLDEN["relative"])


def test_bigrams_in_the_book():
    book = json.loads((Path(__file__).parents[1] / "golden" / "jurafsky_martin.json").read_text())
    model = NGramModel(2, MaximumLikelihood()).fit(book["sentences"])
    for before, word, expected in book["bigrams"]:
        begin = before == BEGIN
        p = model.distribution("" if begin else before, begin=begin)
        assert round(p[model.vocabulary.index[word]], book["digits"]) == expected


def golden(name):
    return json.loads((Path(__file__).parents[1] / "golden" / f"{name}.json").read_text())


def test_three_sentences_of_chen_and_goodman():
    book = golden("chen_goodman_1998")
    model = NGramModel(2, MaximumLikelihood(), unknown="closed").fit(book["sentences"])
    index = model.vocabulary.index
    for before, word, (over, under) in book["bigrams"]:
        begin = before == BEGIN
        p = model.distribution([] if begin else [before], begin=begin)
        assert p[index[word]] == pytest.approx(over / under, rel=1e-6)
    for sentence, expected in book["probabilities"].items():
        assert round(float(np.exp(model.score([sentence])[0])), book["digits"]) == expected


def test_add_one_in_the_book():
    book = golden("jurafsky_martin")
    named = {w for row in book["add_one"].values() for w in row["counts"]}
    words = [*named, *(f"other{i}" for i in range(book["add_one_v"] - 1 - len(named)))]
    text = []
    for word, row in book["add_one"].items():
        # A word outside the vocabulary on either side, so that nothing else is counted.
        counts = {**row["counts"], "other0": row["total"] - sum(row["counts"].values())}
        text += [["|", word, after, "|"] for after, n in counts.items() for _ in range(n)]
    model = NGramModel(2, AddK(), vocabulary=words, unknown="closed").fit(text)
    for word, row in book["add_one"].items():
        p = model.distribution([word], begin=False)
        for after, printed in row["printed"].items():
            assert f"{p[model.vocabulary.index[after]]:.2g}" == printed


# ------------------------------------------------------------------ probabilities sum to 1

sentences_of = st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=12)


@pytest.mark.grid
@pytest.mark.parametrize("smoothing", DISTRIBUTIONS, ids=repr)
@given(
    sentences=sentences_of,
    order=st.integers(1, 5),
    unknown=st.sampled_from(["word", "open", "closed"]),
    min_count=st.sampled_from([None, 2, {1: 2}, {2: 3}]),
    history=st.lists(st.sampled_from(["a", "b", "c", "d", "zz"]), max_size=5),
    begin=st.booleans(),
)
@settings(max_examples=40)
def test_probabilities_sum_to_one(smoothing, sentences, order, unknown, min_count, history, begin):
    model = fitted(
        sentences,
        order,
        smoothing,
        unknown=unknown,
        min_count=min_count,
        vocabulary=["a", "b", "c"],
    )
    p = model.distribution(history, begin=begin)
    assert (p >= 0).all()
    assert p.sum() == pytest.approx(1, abs=1e-6)
    if unknown == "closed":
        assert p[0] == 0
    # What is listed is what is scored.
    logs = model.token_log_probs([[*history, "a"]]).values
    expected = model.distribution(history)[model.vocabulary.index.get("a", 0)]
    got = np.exp(logs[len(history)])
    if not np.isnan(got):
        assert got == pytest.approx(expected, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize("order", range(1, 9))
def test_every_order_sums_to_one(order):
    model = fitted(corpus(order), order, KneserNey())
    for history, begin in itertools.product(histories(order), (True, False)):
        assert model.distribution(history, begin=begin).sum() == pytest.approx(1, abs=1e-6)


TOKENS = {
    "word": ["ab c", "c ab c", "dd ab"],
    "character": ["abc", "a b", "c"],
    "byte": ["a\u00e9", "b", "\u00e9\u00e9 a"],
}


@pytest.mark.parametrize("smoothing", DISTRIBUTIONS, ids=repr)
@given(
    data=st.data(),
    order=st.integers(1, 8),
    unit=st.sampled_from([*TOKENS, "id"]),
    min_count=st.sampled_from([None, 2, {2: 1, 3: 2, 4: 2, 5: 2, 6: 3, 7: 3, 8: 3}]),
    threshold=st.sampled_from([0.0, 1e-3, 0.1, 10.0]),
    begin=st.booleans(),
)
@settings(max_examples=15)
def test_sums_to_one_cut_and_pruned(smoothing, data, order, unit, min_count, threshold, begin):
    if unit == "id":
        lines = st.lists(st.integers(0, 4), min_size=1, max_size=8)
        text = [np.array(s) for s in data.draw(st.lists(lines, min_size=1, max_size=8))]
        model = fitted(text, order, smoothing, min_count=min_count)
    else:
        text = data.draw(st.lists(st.sampled_from(TOKENS[unit]), min_size=1, max_size=12))
        model = fitted(text, order, smoothing, unit=unit, min_count=min_count)
    if threshold:
        model = model.prune(threshold)
    words = [w for w in model.vocabulary.words() if w not in (BEGIN, "</s>")]
    history = data.draw(st.lists(st.sampled_from(words), max_size=order))
    p = model.distribution(history, begin=begin)
    assert (p >= 0).all()
    assert p.sum() == pytest.approx(1, abs=1e-6)


def test_order_12():
    sentences = corpus(12, 20)
    discounts = {n: [0, 0.75, 0.75, 0.75] for n in range(1, 13)}
    model = fitted(sentences, 12, KneserNey(discount=0.75), vocabulary=list("abcdef"))
    slow = Slow(sentences, 12, WORDS)
    test = corpus(13, 5)
    expected = slow.perplexity(test, lambda h, w: slow.kneser_ney(h, w, discounts))
    assert model.evaluate(test).perplexity == pytest.approx(expected, rel=1e-6)


# ------------------------------------------------------------------ falling back, and refusing


@pytest.mark.parametrize(
    ("smoothing", "sentence"),
    [
        (KneserNey(), "KneserNey cannot estimate its discounts for 2-grams: no 2-gram was seen ex"),
        (KneserNey(modified=False), "KneserNey, 2-grams: no n-gram was seen exactly twice, so"),
        (AbsoluteDiscounting(), "AbsoluteDiscounting, 2-grams: no n-gram was seen exactly twice"),
        (Katz(), "Katz, 2-grams, cannot estimate its discounts: its coefficients for counts 1, 2,"),
        (GoodTuring(), "GoodTuring cannot estimate its discounts: fewer than two different counts"),
    ],
    ids=repr,
)
def test_falls_back_and_says_so(smoothing, sentence):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = NGramModel(2, smoothing).fit(["a b c"])
    assert any(str(w.message).startswith(sentence) for w in caught), [*map(str, caught)]
    assert model.distribution(["a"]).sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("times", "missing"), [(1, "twice"), (2, "once"), (3, "once")])
@pytest.mark.parametrize("smoothing", [AbsoluteDiscounting(), KneserNey(modified=False)], ids=repr)
def test_one_discount_says_what_was_never_seen(smoothing, times, missing):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        NGramModel(2, smoothing).fit(["a b c"] * times)
    said = [str(w.message) for w in caught]
    assert any(f"2-grams: no n-gram was seen exactly {missing}, so" in words for words in said), (
        said
    )


def test_given_discounts_need_no_estimate():
    NGramModel(4, KneserNey(discount=0.75)).fit(["a b c"])  # a warning would be an error here


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: AddK(0), "`k` must be positive and finite, got 0."),
        (lambda: Katz(k=0), "`k` must be an integer of at least 1, got 0."),
        (
            lambda: KneserNey(discount=1.5),
            "`discount` must be above 0 and at most 1, got 1.5. Counts are whole numbers.",
        ),
        (
            lambda: KneserNey(discount=(0.5, 1.0)),
            "`discount` must be one number or three, got (0.5, 1.0).",
        ),
        (
            lambda: AbsoluteDiscounting(2),
            "`discount` must be above 0 and at most 1, got 2. Counts are whole numbers.",
        ),
        (
            lambda: WittenBell(cut_mass="back-off"),
            "`cut_mass` must be 'kept' or 'backoff', got 'back-off'. Did you mean 'backoff'?",
        ),
        (
            lambda: StupidBackoff(1.0),
            "`alpha` must be between 0 and 1, both excluded, got 1.0.",
        ),
        (
            lambda: NGramModel(2, JelinekMercer(weights=(0.5,))).fit(["a"]),
            "`weights` must hold one number for each of the 2 orders, got 1.",
        ),
        (  # a discount, which made the model interpolated, as it was
            lambda: KneserNey(0.75),
            "`interpolated` must be True or False, got 0.75. Discounts go under discount=.",
        ),
        (
            lambda: KneserNey(modified=0),
            "`modified` must be True or False, got 0. Discounts go under discount=.",
        ),
        (lambda: WittenBell(1), "`interpolated` must be True or False, got 1."),
        (
            lambda: AbsoluteDiscounting(0.5, "no"),
            "`interpolated` must be True or False, got 'no'.",
        ),
        (
            lambda: NGramModel(3, KneserNey),
            "`smoothing` must be a smoothing of xent.language, as KneserNey(), got "
            "<class 'xent.language.smoothing._kneser_ney.KneserNey'>.",
        ),
        (
            lambda: NGramModel(3).fit(["a"], held_out=["b"]),
            "`held_out` must be None, got a text for KneserNey. Only JelinekMercer learns from it.",
        ),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    assert str(caught.value) == sentence


@pytest.mark.parametrize("smoothing", [KneserNey(), KneserNey(modified=False), Katz()], ids=repr)
def test_doubts_point_at_the_line_that_fits(smoothing):
    model = NGramModel(2, smoothing)
    with pytest.warns(UserWarning, match="discount") as caught:
        model.fit(["a b"])
    assert {doubt.filename for doubt in caught} == {__file__}
