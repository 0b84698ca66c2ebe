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
    with pytest.raises(ValueError, match="No ARPA file of a mixture can be written: a sum of"):
        write_arpa(mixture, tmp_path / "m.arpa")


def test_mix_finds_the_best_weights(two):
    dev = lines(0, 150)[100:] + lines(1, 120)[100:]
    found = mix(two, dev)
    assert found.weights.sum() == pytest.approx(1)
    grid = [Mixture(two, [w, 1 - w]).perplexity(dev) for w in np.linspace(0, 1, 201)]
    assert found.perplexity(dev) <= min(grid) + 1e-9
    assert 0.5 < found.weights[0] < 0.95


def test_mix_refuses(two):
    other = fitted([["q"]], 1, WittenBell())
    with pytest.raises(
        ValueError, match=r"`models` must share one vocabulary, got another at \[1\]"
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
