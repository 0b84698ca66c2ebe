"""Mixing, choosing and pruning, against loops that do the same in the open."""

import itertools
import math

import numpy as np
import pytest

from language.slow_ngrams import BEGIN
from language.test_smoothing import corpus, fitted, histories
from xent.language import (
    Katz,
    KneserNey,
    Mixture,
    NGramModel,
    StupidBackoff,
    WittenBell,
    buckets,
    compare,
    mix,
    read_arpa,
    select,
    write_arpa,
)
from xent.language._backoff import prune

WORDS = list("abcdef")


def lines(seed, count):
    return [" ".join(s) for s in corpus(seed, count)]


@pytest.fixture(scope="module")
def two():
    return [NGramModel(2, WittenBell(), vocabulary=WORDS).fit(lines(s, 100)) for s in (0, 1)]


def test_mixture_is_a_weighted_sum(two):
    mixture = Mixture(two, [0.3, 0.7])
    text = lines(2, 20)
    a, b = (np.exp(m.token_log_probs(text).values) for m in two)
    values, offsets = mixture.token_log_probs(text)
    np.testing.assert_allclose(np.exp(values), 0.3 * a + 0.7 * b, rtol=1e-12)
    np.testing.assert_allclose(mixture.score(text)[3], values[offsets[3] : offsets[4]].sum())
    assert mixture.perplexity(text) == pytest.approx(math.exp(-values.mean()))


@pytest.mark.parametrize("unknown", ["word", "closed"])
def test_a_mixture_is_a_model(tmp_path, unknown):
    """It scores, evaluates and samples, however its models number their words."""
    models = [
        NGramModel(n, WittenBell(), vocabulary=words, unknown=unknown).fit(lines(n, 60))
        for n, words in ((2, WORDS[:4]), (3, WORDS[3::-1]))
    ]
    assert models[0].vocabulary.words() != models[1].vocabulary.words()
    mixture = Mixture(models, [0.3, 0.7])
    text = ["a b zz c", "", "d a"]
    a, b = (np.exp(m.token_log_probs(text).values) for m in models)
    found = mixture.token_log_probs(text)
    np.testing.assert_allclose(np.exp(found.values), 0.3 * a + 0.7 * b, rtol=1e-12)
    known = found.values[~np.isnan(found.values)]
    report = mixture.evaluate(text)
    assert report.events == len(known) == (9 if unknown == "word" else 8)
    assert math.isclose(report.cross_entropy, -known.mean(), rel_tol=1e-12)
    assert math.isclose(mixture.perplexity(text), math.exp(-known.mean()), rel_tol=1e-12)
    assert report.unknown == 1
    assert report.model.startswith("Mixture(0.3 NGramModel(order=2, WittenBell")
    p = mixture.distribution("b a")
    assert abs(p.sum() - 1) < 1e-6
    theirs = dict(zip(models[1].vocabulary.words(), models[1].distribution("b a"), strict=True))
    ours = dict(zip(models[0].vocabulary.words(), models[0].distribution("b a"), strict=True))
    for word, share in zip(mixture.vocabulary.words(), p, strict=True):
        assert math.isclose(share, 0.3 * ours[word] + 0.7 * theirs[word], abs_tol=1e-15)
    assert mixture.next("b a", 1)[0][1] == p.max()
    assert set(mixture.sample(3)) <= set(WORDS)

    for compact in (False, True):
        mixture.save(tmp_path / "m", compact=compact)
        again = Mixture.load(tmp_path / "m", mmap=not compact)
        assert again.weights.tolist() == [0.3, 0.7]
        assert repr(again) == repr(mixture)
        np.testing.assert_allclose(
            again.score(text), mixture.score(text), rtol=1e-12 if not compact else 1e-2
        )
    with pytest.raises(ValueError, match=r"be a xent.language file, got .* xent.language.mixture"):
        NGramModel.load(tmp_path / "m")
    models[0].save(tmp_path / "one")
    with pytest.raises(ValueError, match=r"must be a xent.language.mixture file, got"):
        Mixture.load(tmp_path / "one")


def test_mix_finds_the_best_weights(two):
    dev = lines(0, 150)[100:] + lines(1, 120)[100:]
    found = mix(two, dev)
    assert found.weights.sum() == pytest.approx(1)
    grid = [Mixture(two, [w, 1 - w]).perplexity(dev) for w in np.linspace(0, 1, 201)]
    assert found.perplexity(dev) <= min(grid) + 1e-9
    assert 0.5 < found.weights[0] < 0.95


@pytest.fixture(scope="module")
def apart():
    """Models of different words, orders and opinions of <unk>, and how they are mixed by hand."""
    models = [
        NGramModel(3, WittenBell(), vocabulary=list("abcd"), unknown="open").fit(lines(0, 60)),
        NGramModel(2, WittenBell(), vocabulary=list("fedc"), unknown="closed").fit(lines(1, 60)),
    ]
    return models, Mixture(models, [0.3, 0.7])


def by_hand(models, weights, history, *, begin):
    """Σ weight p(w | h) over every word of any model; one that a model lacks is <unk> to it."""
    total = {}
    for model, weight in zip(models, weights, strict=True):
        own = model.vocabulary.words()
        seen = [w if w in own else "<unk>" for w in history]
        for word, p in zip(own, model.distribution(seen, begin=begin), strict=True):
            total[word] = total.get(word, 0.0) + weight * p
    return total


def test_models_of_different_words(apart, tmp_path):
    models, mixture = apart
    assert mixture.unknown == "open"
    assert mixture.vocabulary.words() == ["<unk>", "<s>", "</s>", *"abcdfe"]
    for history, begin in itertools.product(histories(3), (True, False)):
        p = mixture.distribution(history, begin=begin)
        expected = by_hand(models, [0.3, 0.7], history, begin=begin)
        for word, share in zip(mixture.vocabulary.words(), p, strict=True):
            assert share == pytest.approx(expected[word], abs=1e-12)
        assert p.sum() == pytest.approx(1, abs=1e-6)
    text = ["a f zz c", "e e d", ""]
    values = iter(mixture.token_log_probs(text).values)
    for line in text:
        tokens = line.split()
        for i, word in enumerate([*tokens, "</s>"]):
            p = by_hand(models, [0.3, 0.7], tokens[:i], begin=True)
            assert math.exp(next(values)) == pytest.approx(p.get(word, p["<unk>"]), rel=1e-6)
    assert mixture.evaluate(text).unknown == 1
    mixture.save(tmp_path / "m")
    np.testing.assert_array_equal(Mixture.load(tmp_path / "m").score(text), mixture.score(text))
    dev = lines(0, 90)[60:] + lines(1, 75)[60:]
    found = mix(models, dev)
    grid = [Mixture(models, [w, 1 - w]).perplexity(dev) for w in np.linspace(0.01, 0.99, 99)]
    assert found.perplexity(dev) <= min(grid) + 1e-9


@pytest.mark.parametrize("which", ["apart", "two"])
def test_a_mixture_as_one_model(request, tmp_path, which):
    """What any model lists has the mixture's probability, the rest backs off and all sums to 1."""
    models = (
        request.getfixturevalue("apart")[0] if which == "apart" else request.getfixturevalue("two")
    )
    mixture = Mixture(models, [0.3, 0.7])
    one = mixture.merged()
    assert one.vocabulary.words() == mixture.vocabulary.words()
    listed = set()
    for model in models:
        words, above = model.vocabulary.words(), [()]
        for level in model.backoff.rows:
            above = [(*above[p], words[w]) for p, w in zip(level.prefix, level.word, strict=True)]
            listed |= set(above)
    assert sum(one.counts()) == len(listed)
    words = mixture.vocabulary.words()
    for history, begin in itertools.product(histories(one.order - 1), (True, False)):
        p = one.distribution(history, begin=begin)
        exact = mixture.distribution(history, begin=begin)
        whole = ((BEGIN,) if begin else ()) + tuple(w if w in words else "<unk>" for w in history)
        whole = whole[len(whole) - min(len(whole), one.order - 1) :]
        for word, ours, theirs in zip(words, p, exact, strict=True):
            if (*whole, word) in listed:
                assert ours == pytest.approx(theirs, rel=1e-5)
        assert p.sum() == pytest.approx(1, abs=1e-6)
    test = lines(0, 130)[100:]
    assert one.evaluate(test).perplexity == pytest.approx(mixture.perplexity(test), rel=0.06)
    write_arpa(mixture, tmp_path / "m.arpa")
    np.testing.assert_allclose(
        read_arpa(tmp_path / "m.arpa").score(test), one.score(test), rtol=1e-6
    )


def test_mix_refuses(two):
    other = NGramModel(1, WittenBell(), unit="character").fit(["q"])
    with pytest.raises(
        ValueError, match=r"`models` must have one unit, got 'word' and at \[1\] 'character'"
    ):
        mix([two[0], other], ["a"])
    with pytest.raises(ValueError, match="`models` must hold at least two models, got 1"):
        mix(two[:1], ["a"])
    with pytest.raises(ValueError, match="`weights` must be shares with sum 1"):
        Mixture(two, [0.5, 0.6])
    with pytest.raises(ValueError, match="`models` must be distributions"):
        mix([two[0], fitted([["a"]], 1, StupidBackoff())], ["a"])
    with pytest.raises(ValueError, match="`dev` must hold at least one event"):
        mix(two, [])
    with pytest.raises(TypeError, match="`dev` must be a text that can be read again"):
        mix(two, iter(["a"]))
    with pytest.raises(TypeError, match="`weights` must be numbers"):
        Mixture(two, ["a", "b"])
    with pytest.raises(TypeError, match=r"`models` must hold objects of NGramModel, got a Mixture"):
        Mixture([Mixture(two, [0.5, 0.5]), two[0]], [0.5, 0.5])
    with pytest.raises(TypeError, match="`models` must be a list of NGramModel, got a NoneType"):
        mix(None, ["a"])


def test_select_prefers_the_domain(two):
    pool = lines(5, 0) + lines(0, 260)[200:] + lines(1, 260)[200:]
    found = select(pool, two[0], two[1])
    is_domain = found.chosen < 60
    assert is_domain.mean() > 0.75
    values = [m.token_log_probs(pool) for m in two]
    for i in (0, 7, 100):
        a, b = values[0].offsets[i : i + 2]
        expected = values[1].values[a:b].mean() - values[0].values[a:b].mean()
        assert found.difference[i] == pytest.approx(expected)
    few = select(pool, two[0], two[1], share=0.1).chosen
    assert len(few) == 12
    assert found.difference[few].max() <= np.sort(found.difference)[11]
    assert set(select(pool, *two, below=-0.2).chosen) == set(
        np.flatnonzero(found.difference < -0.2)
    )
    with pytest.raises(ValueError, match=r"`below` must be None where `share` is given, got 0\.5"):
        select(pool, *two, share=0.1, below=0.5)


def test_a_text_that_is_gone_once_read_is_refused(two):
    sentence = "must be a text that can be read again, got an iterator. Each model reads it"
    with pytest.raises(TypeError, match=f"`pool` {sentence}"):
        select(iter(["a b"]), *two)
    with pytest.raises(TypeError, match=f"`text` {sentence}"):
        compare({"one": two[0], "other": two[1]}, (line for line in ["a b"]))


def test_buckets(two):
    pool = lines(2, 90)
    found = buckets(pool, two[0], (0.2, 0.5, 0.3))
    assert np.bincount(found).tolist() == [18, 45, 27]
    values, offsets = two[0].token_log_probs(pool)
    entropy = -np.add.reduceat(values, offsets[:-1]) / np.diff(offsets)
    assert entropy[found == 0].max() <= entropy[found == 1].min()
    assert entropy[found == 1].max() <= entropy[found == 2].min()
    with pytest.raises(ValueError, match="`shares` must be positive with sum 1"):
        buckets(pool, two[0], (0.5, 0.6))


# ------------------------------------------------------------------ pruning


def probability(model, history, word, *, begin):
    p = model.distribution(history, begin=begin)
    return p[model.vocabulary.index[word]]


def rise(model, history, word):
    """By how much the model's perplexity rises if one n-gram is left out, event by event."""
    begin = history[:1] == [BEGIN]
    bare = history[1:] if begin else history
    p = model.distribution(bare, begin=begin)
    below = model.distribution(bare if begin else bare[1:], begin=False)
    index = model.vocabulary.index
    rows = model.backoff
    # The words that stand in the model after this history.
    node = rows.state([index[w] for w in history])
    level, row = rows._row(node)
    above = rows.rows[level + 1]
    seen = above.word[above.prefix == row]
    left = [w for w in seen if w != index[word]]
    weight = (1 - p[left].sum()) / (1 - below[left].sum())
    new = below * weight
    new[left] = p[left]
    possible = p > 0
    drift = float((p[possible] * np.log(p[possible] / new[possible])).sum())
    marginal, state = 0.0, 0
    for place, w in enumerate(history):
        if w == BEGIN:
            marginal += math.log10(rows.distribution(0)[2])
            state = rows.begin
        else:
            logp, state, _ = rows.step(state, index[w])
            marginal += logp
        assert place >= 0
    return 10**marginal * drift


def test_pruning_drops_what_costs_less():
    model = fitted(corpus(0, 150), 2, WittenBell())
    threshold = 2e-4
    small = model.prune(threshold)
    words = model.vocabulary.words()
    rows = model.backoff.rows[1]
    everyone = np.arange(len(words), dtype=np.uint32)
    losses = prune._loss(
        model.backoff, 1, prune._marginals(model.backoff, model.backoff, everyone)[0]
    )
    kept = set(zip(small.backoff.rows[1].prefix, small.backoff.rows[1].word, strict=True))
    dropped = 0
    for h, w, loss in zip(rows.prefix, rows.word, losses, strict=True):
        drift = rise(model, [words[h]], words[w])
        assert loss == pytest.approx(drift, rel=1e-3, abs=1e-8)
        cost = math.expm1(drift)
        assert ((h, w) in kept) == (cost >= threshold), (words[h], words[w], cost)
        dropped += (h, w) not in kept
    assert 0 < dropped < len(rows)


@pytest.mark.parametrize("smoothing", [KneserNey(discount=0.75), WittenBell(), Katz()], ids=repr)
@pytest.mark.parametrize("threshold", [1e-5, 1e-3, 0.1])
@pytest.mark.filterwarnings("ignore:Katz:UserWarning")
def test_a_pruned_model_is_a_distribution(tmp_path, smoothing, threshold):
    text = lines(0, 200)
    model = NGramModel(4, smoothing, min_count=1).fit(text)
    small = model.prune(threshold)
    assert sum(small.counts()) < sum(model.counts())
    for history, begin in itertools.product(histories(4), (True, False)):
        assert small.distribution(history, begin=begin).sum() == pytest.approx(1, abs=1e-6)
    test = lines(0, 260)[200:]
    # What stands in both has the same probability, what backs off has its own.
    assert small.evaluate(test).perplexity < 3 * model.evaluate(test).perplexity
    write_arpa(small, tmp_path / "m.arpa")
    again = read_arpa(tmp_path / "m.arpa")
    np.testing.assert_allclose(again.score(test), small.score(test), rtol=1e-6)


def test_more_pruning_leaves_less():
    model = fitted(corpus(0, 200), 3, WittenBell())
    sizes = [sum(model.prune(t).counts()) for t in (1e-6, 1e-4, 1e-2, 1)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == len(model.vocabulary)


def test_histories_from_another_model():
    text = corpus(0, 200)
    model = fitted(text, 3, KneserNey(discount=0.75))
    other = fitted(text, 3, Katz(), min_count=1)
    alone, helped = model.prune(1e-4), model.prune(1e-4, histories=other)
    assert alone.counts() != helped.counts()
    assert model.prune(1e-4, histories=model).counts() == alone.counts()
    with pytest.raises(
        ValueError, match="`histories` must have the model's vocabulary, got another"
    ):
        model.prune(1e-4, histories=fitted([["q"]], 1, WittenBell()))
    with pytest.raises(ValueError, match="`entropy` must be positive and finite, got 0"):
        model.prune(0)
    with pytest.raises(ValueError, match="The model cannot be pruned"):
        fitted(text, 2, StupidBackoff()).prune(1e-4)


@pytest.mark.parametrize("min_count", [2, {2: 1, 3: 3}])
def test_count_cutoffs(min_count):
    text = corpus(0, 100)
    model = fitted(text, 3, KneserNey(discount=0.75), min_count=min_count)
    whole = fitted(text, 3, KneserNey(discount=0.75))
    seen = {}
    for sentence in text:
        line = [BEGIN, *sentence, "</s>"]
        for i in range(2, len(line)):
            gram = tuple(line[i - 2 : i + 1])
            seen[gram] = seen.get(gram, 0) + 1
    least = 2 if min_count == 2 else 3
    assert model.counts()[2] == sum(c >= least for c in seen.values()) < whole.counts()[2]
