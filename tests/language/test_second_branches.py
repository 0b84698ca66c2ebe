"""Second branches and options in pairs of the language room."""

import itertools
import math
import warnings
from collections import Counter, defaultdict
from types import SimpleNamespace

import numpy as np
import pytest

from xent.language import (
    AddK,
    Evaluation,
    JelinekMercer,
    KneserNey,
    MaximumLikelihood,
    Mixture,
    NGramModel,
    StupidBackoff,
    WittenBell,
    buckets,
    compare,
    kenlm,
    mix,
    read_arpa,
    select,
    write_arpa,
    write_openfst,
)
from xent.language._backoff.prune import _marginals
from xent.language._counting import unsegmented
from xent.language._counting.runs import in_bytes, shown
from xent.language._formats import openfst
from xent.language._lines import _text
from xent.language._lines._stream import BadLines, filter_file, lines, records, scored
from xent.language._lines._text import PIECE_BYTES
from xent.language._vocabulary import Vocabulary
from xent.language.smoothing._good_turing import good_turing_counts, simple_good_turing
from xent.language.smoothing._kneser_ney import one_discount
from xent.language.smoothing._smoothing import leave_mass

LINES = ["a b c", "b a", "c c a b", "a"]


def test_matched_of_a_closed_vocabulary_sums_to_1():
    """What is outside is no event, and no length of its match is counted."""
    model = NGramModel(3, WittenBell(), vocabulary=["a", "b", "c"], unknown="closed").fit(LINES)
    for text in (["a zz b"], ["zz"], ["a b c", "zz zz", "c"]):
        found = model.evaluate(text)
        assert len(found.matched) == 3
        assert sum(found.matched) == pytest.approx(1.0, rel=1e-12)
        assert found.unknown > 0


@pytest.mark.parametrize("first", [0, 1])
def test_mix_with_a_model_that_gives_0(first):
    sure = NGramModel(2, MaximumLikelihood(), vocabulary=["a", "b", "c"], unknown="closed").fit(
        LINES
    )
    wide = NGramModel(1, AddK(1.0), vocabulary=["a", "b", "c"], unknown="closed").fit(LINES)
    models = [sure, wide] if not first else [wide, sure]
    dev = ["a b c", "b b", "c a"]  # "b b" was never seen
    assert sure.score(dev).min() == -np.inf
    found = mix(models, dev)
    assert np.isfinite(found.perplexity(dev))
    assert found.weights.sum() == pytest.approx(1)
    grid = [Mixture(models, [w, 1 - w]).perplexity(dev) for w in np.linspace(0.005, 0.995, 199)]
    assert found.perplexity(dev) <= min(grid) + 1e-9
    assert min(found.weights) > 0.01


def test_histories_that_leave_less_than_3_millionths():
    """SRILM adds one to the total of such a history, unless every word was seen after it."""
    kept = 1e6 * np.array([1 - 2.9e-6, 1 - 3.1e-6, 1.0, 1.0, 0.0])
    prefix = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4], np.uint32)
    share = np.array([0.25, 0.75, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.5, 1.0, 1.0])
    discounted = kept[prefix] * share
    level = SimpleNamespace(prefix=prefix, word=np.arange(11, dtype=np.uint32), count=discounted)
    evidence = SimpleNamespace(
        levels=[None, level],
        shown=lambda order: np.ones(11, np.bool_),
        of_events=lambda order, values: values,  # each word is an event
        uniform=np.array([0.0, 1 / 3, 1 / 3, 1 / 3]),  # three words may follow
    )
    total = np.array([1e6, 1e6, 1e6, 1e6, 0.0])
    leave_mass(evidence, 2, discounted, total)
    assert total.tolist() == [1e6 + 1, 1e6, 1e6 + 1, 1e6, 0.0]


@pytest.mark.parametrize("nats", [0.5, 80.0, 708.0, 710.0])
def test_figures_of_an_evaluation_by_hand(nats):
    found = Evaluation(
        log_likelihood=-40 * nats, events=40, sentences=8, words=32, unknown=6, zeros=0,
        log_likelihood_known=-25 * nats, events_known=34, matched=(0.25, 0.75), characters=100,
        bytes=120, model="m", spelling_bits=240.0,
    )  # fmt: skip
    bits = 40 * nats / math.log(2)
    known = 25 * nats / 34
    assert found.cross_entropy == pytest.approx(nats, rel=1e-14)
    assert found.perplexity == pytest.approx(math.exp(nats) if nats < 709 else math.inf)
    assert found.perplexity_known == pytest.approx(math.exp(known), rel=1e-12)
    assert found.bits_per_word == pytest.approx(bits / 32)
    assert found.bits_per_character == pytest.approx((bits + 240) / 100)
    assert found.bits_per_byte == pytest.approx((bits + 240) / 120)
    assert found.summary()["cross_entropy_known"] == pytest.approx(known)
    assert found.summary()["perplexity"] == (found.perplexity if nats < 709 else None)
    said = str(found)
    assert f"    unknown spelt     {2.0:.5f}" in said
    assert "events 40, sentences 8, unknown 6, impossible 0" in said
    assert "1: 25.0 %, 2: 75.0 %" in said


@pytest.mark.parametrize("first", [0, 1])
def test_a_mixture_is_as_long_as_its_longest_model(first):
    models = [NGramModel(order, WittenBell()).fit(LINES) for order in (1, 3)]
    mixed = Mixture(models[::-1] if first else models, [0.5, 0.5])
    assert mixed.order == 3
    text = ["a b c", "b b a", "zz a"]
    assert mixed.evaluate(text).matched == models[1].evaluate(text).matched
    assert models[1].evaluate(text).matched[2] > 0


@pytest.mark.parametrize(
    ("bad", "words"), [('{"other": 1}', "line {} without it"), ("{", r"line {} \(Expecting")]
)
def test_a_bad_line_far_into_a_file_is_named_by_its_number(tmp_path, bad, words):
    good = '{"text": "' + "some words of a line " * 50 + '"}\n'
    rows = 3 * PIECE_BYTES // len(good)
    (tmp_path / "t.jsonl").write_text(good * rows + bad + "\n" + good)
    with pytest.raises(ValueError, match=words.format(rows + 1)):
        list(lines(tmp_path / "t.jsonl", "text"))
    skipped = BadLines(skip=True)
    assert sum(len(some.raw) for some in records(tmp_path / "t.jsonl", "text", skipped)) == rows + 2
    assert (skipped.count, f"line {rows + 1}" in skipped.first) == (1, True)


def test_a_coefficient_that_is_nothing_but_rounding_is_replaced():
    """Katz: d_1 of 3e-7 would take all of what was seen once; as others out of range it is 1."""
    seen = np.repeat(np.arange(1, 4, dtype=np.uint32), [10**7, 1_500_001, 10**6])
    with pytest.warns(UserWarning, match="coefficients for counts 1 are out of range"):
        found = good_turing_counts(np.array([1, 2, 3], np.uint32), seen, 2, "Katz")
    common = 3 * 10**6 / 10**7
    second = (3 * 10**6 / (2 * 1_500_001) - common) / (1 - common)
    assert found == pytest.approx([1.0, 2 * second, 3.0], rel=1e-12)


def test_a_coefficient_of_exactly_1_is_in_range():
    """Katz: n_3 = 2 n_2 / 3 keeps what was seen twice whole, and is no reason to doubt."""
    seen = np.repeat(np.arange(1, 5, dtype=np.uint32), [100, 30, 20, 5])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = good_turing_counts(np.arange(1, 5, dtype=np.uint32), seen, 3, "Katz")
    common = 4 * 5 / 100
    first, third = ((star - common) / (1 - common) for star in (2 * 30 / 100, 4 * 5 / (3 * 20)))
    assert found == pytest.approx([first, 2.0, 3 * third, 4.0], rel=1e-12)


def test_a_word_that_one_model_lacks_has_nothing_of_it():
    one, other = (NGramModel(2, WittenBell()).fit(text) for text in (["a b", "b"], ["a c c"]))
    mixed = Mixture([one, other], [0.3, 0.7])
    found, theirs = dict(mixed.next("a", top_k=99)), dict(other.next("a", top_k=99))
    assert found["c"] == pytest.approx(0.7 * theirs["c"], rel=1e-6)
    assert found["c"] == pytest.approx(np.exp(mixed.token_log_probs(["a c"]).values[1]), rel=1e-6)
    assert found["b"] == pytest.approx(0.3 * dict(one.next("a", top_k=99))["b"], rel=1e-6)


def test_sentences_of_a_closed_vocabulary_count_their_known_words():
    """The reference is each sentence by itself: perplexity by its known words and its end."""
    closed = NGramModel(2, WittenBell(), vocabulary=["a", "b"], unknown="closed").fit(
        ["a b", "a a b"]
    )
    texts = ["a b", "a z b", "z", "", "b b a"]
    logp, events = closed.score_ids(np.concatenate([*closed.reader().ids(texts)]))
    assert events.tolist() == [3, 3, 1, 1, 4]
    for text, total, count in zip(texts, logp, events, strict=True):
        known = [w for w in text.split() if w != "z"]
        assert count == len(known) + 1
        values = closed.token_log_probs([text]).values
        assert total == pytest.approx(np.nansum(values), rel=1e-12)
    assert closed.token_log_probs([]).values.shape == (0,)


def test_weights_of_a_mixture_are_one_a_model():
    one = NGramModel(1, WittenBell()).fit(["a b"])
    for weights, sentence in (
        ([1.0], "`weights` must hold one number for each of the 2 models, got [1.0]."),
        ([0.5, 0.25, 0.25], "`weights` must hold one number for each of the 2 models"),
        ([0.5, 0.5 + 2e-9], "`weights` must be shares with sum 1"),
        ([1.5, -0.5], "`weights` must be shares with sum 1"),
        (["a", "b"], "`weights` must be numbers"),
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            Mixture([one, one], weights)
        assert str(caught.value).startswith(sentence)
    Mixture([one, one], [0.5, 0.5 + 5e-10])
    Mixture([one, one], [1, 0])


def test_scores_that_are_no_probabilities_say_so():
    line = "These scores are no probabilities: they compare with nothing."
    for smoothing, said in ((StupidBackoff(), True), (WittenBell(), False)):
        assert (line in str(NGramModel(2, smoothing).fit(["a b"]).evaluate(["a b"]))) == said


def test_a_share_of_the_lines_is_one_of_all_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(_text, "PIECE_BYTES", 64)
    rng = np.random.default_rng(3)
    lines = [" ".join(rng.choice(list("abcxyz"), 6)) for _ in range(60)]
    (tmp_path / "text").write_text("\n".join(lines) + "\n")
    model = NGramModel(2, WittenBell()).fit(["a b c", "a b", "c x", "y z a b"])
    filter_file(model, tmp_path / "text", tmp_path / "kept", keep=0.25)
    bits = [model.evaluate([line]).bits_per_byte for line in lines]
    chosen = set(np.argsort(bits, kind="stable")[:15].tolist())
    want = [line for i, line in enumerate(lines) if i in chosen]
    assert (tmp_path / "kept").read_text().splitlines() == want


@pytest.mark.parametrize("piece", [16, 1 << 20])
def test_a_share_of_the_lines_is_one_of_those_that_are_text(tmp_path, monkeypatch, piece):
    """Of 8 lines that are text half is 4; lines passed over are none of them, and are no choice."""
    monkeypatch.setattr(_text, "PIECE_BYTES", piece)
    model = NGramModel(2, WittenBell()).fit(["a b c", "a b", "c x", "y z a b"])
    good = ["a b", "x x x", "c x", "b c", "z", "a b c", "y z a b", "y y y y"]
    lines = [line.encode() for line in good]
    for place in (0, 3, 5, 11):
        lines.insert(place, b"a \xff")
    (tmp_path / "text").write_bytes(b"\n".join(lines) + b"\n")
    done = filter_file(model, tmp_path / "text", tmp_path / "kept", keep=0.5, skip_bad=True)
    bits = [model.evaluate([line]).bits_per_byte for line in good]
    chosen = sorted(np.argsort(bits, kind="stable")[:4].tolist())
    assert (tmp_path / "kept").read_text().splitlines() == [good[i] for i in chosen]
    assert (done.records, done.kept, done.bad) == (12, 4, 4)
    assert "line 1" in done.first_bad


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_arcs_written_in_blocks_are_those_written_at_once(tmp_path, monkeypatch, size):
    model = NGramModel(3, WittenBell()).fit(LINES)
    write_openfst(model, tmp_path / "whole", tmp_path / "words")
    monkeypatch.setattr(openfst, "ARCS_AT_ONCE", size)
    write_openfst(model, tmp_path / "parts", tmp_path / "words")
    assert (tmp_path / "parts").read_text() == (tmp_path / "whole").read_text()


def test_what_a_filter_read_and_what_it_kept(tmp_path):
    """Tokens, ends of lines among them, and bytes are those of all that was read."""
    texts = ["a b c", "zz zz zz zz", "b a", "c c a b"]
    (tmp_path / "text").write_text("\n".join(texts) + "\n")
    model = NGramModel(2, WittenBell()).fit(LINES)
    bits = sorted(model.evaluate([line]).bits_per_byte for line in texts)
    found = filter_file(model, tmp_path / "text", tmp_path / "kept", at_most=bits[1])
    assert (found.records, found.kept, found.bad) == (4, 2, 0)
    assert found.tokens == sum(len(line.split()) + 1 for line in texts)
    assert found.bytes == sum(len(line) + 1 for line in texts)
    # Of a share, the ends of the range are those that are left.
    low = filter_file(
        model, tmp_path / "text", tmp_path / "kept", at_least=bits[1], at_most=bits[2]
    )
    assert (low.kept, low.tokens) == (2, found.tokens)


def test_sentences_past_the_first_piece_are_named_by_their_number(monkeypatch):
    """Of arrays, of numbers and of tokens, 131,072 at a time."""
    many = 1 << 17
    model = NGramModel(1, WittenBell()).fit([["1", "2"]])
    for good, bad, words in (
        (np.array([1]), np.array([0.5]), "float64 of shape (1,) in sentence {}"),
        ([1], [0.5], "float64 of shape (1,) in sentence {}"),
        (["1"], [7], "an int in sentence {}"),
        (["1"], ["<s>"], "<s> in sentence {}"),
    ):
        sentences = [good] * (many + 1) + [bad]
        with pytest.raises((TypeError, ValueError)) as caught:
            list(model.reader().ids(sentences))
        assert words.format(many + 2) in str(caught.value)


def test_models_stand_in_the_order_of_what_they_are_compared_by():
    """A letter is less perplexing than a word of eight, and costs more than its eighth."""
    words = ["".join(letters) + "bcabc" for letters in itertools.product("abc", repeat=3)]
    text = [" ".join(words[i : i + 9]) for i in range(0, 27, 9)] * 3
    models = {
        "letters": NGramModel(1, WittenBell(), unit="character").fit(text),
        "words": NGramModel(1, WittenBell()).fit(text),
    }
    found = compare(models, text, by="bits_per_byte")
    assert list(found) == ["words", "letters"]
    assert found["letters"].perplexity < found["words"].perplexity
    assert found["letters"].bits_per_byte > 2 * found["words"].bits_per_byte


@pytest.mark.parametrize("turned", [False, True])
def test_one_open_model_makes_a_mixture_open(turned):
    """In one model made of it as well; the word that no model knows costs what the open one says."""
    closed = NGramModel(2, WittenBell(), vocabulary=["a", "b", "c"], unknown="closed").fit(LINES)
    free = NGramModel(2, WittenBell(), vocabulary=["a", "b", "c"], unknown="open").fit(
        [*LINES, "zz"]
    )
    models, weights = ([free, closed], [0.7, 0.3]) if turned else ([closed, free], [0.3, 0.7])
    mixed = Mixture(models, weights)
    one = mixed.merged()
    assert (mixed.unknown, one.unknown, one.is_closed) == ("open", "open", False)
    assert one.evaluate(["a zz"]).events == 3
    assert one.distribution("a")[0] == pytest.approx(0.7 * free.distribution("a")[0], rel=1e-5)


@pytest.mark.parametrize("kinds", list(itertools.permutations(["word", "open", "closed"])))
def test_a_mixture_treats_unknown_words_as_its_first_open_model(kinds):
    models = [
        NGramModel(1, WittenBell(), vocabulary=["a", "b", "c"], unknown=kind).fit([*LINES, "<unk>"])
        for kind in kinds
    ]
    mixed = Mixture(models, [0.2, 0.3, 0.5])
    first = next(kind for kind in kinds if kind != "closed")
    assert (mixed.unknown, mixed.merged().unknown) == (first, first)
    assert Mixture([models[kinds.index("closed")]] * 2, [0.5, 0.5]).is_closed


def test_the_beginning_of_a_sentence_is_never_next():
    model = NGramModel(2, WittenBell()).fit(LINES)
    for top in (5, 6, 99):
        found = model.next("a", top_k=top)
        assert [word for word, _ in found if word == "<s>"] == []
        assert len(found) == min(top, 5)  # <unk>, </s>, a, b, c
    assert sum(p for _, p in found) == pytest.approx(1, abs=1e-6)


def test_known_events_of_a_closed_vocabulary_are_all_events():
    model = NGramModel(2, WittenBell(), vocabulary=["a", "b", "c"], unknown="closed").fit(LINES)
    found = model.evaluate(["a zz b", "zz c"])
    assert (found.events, found.events_known, found.unknown, found.words) == (5, 5, 2, 3)
    assert found.perplexity_known == found.perplexity


def test_simple_good_turing_by_hand():
    """Z of the largest count is over twice the step below it (Gale and Sampson 1995, page 6)."""
    r, n = np.array([1.0, 2.0, 3.0, 5.0, 9.0]), np.array([200.0, 60.0, 25.0, 8.0, 2.0])
    z = np.log(2 * n / np.array([2.0, 2.0, 3.0, 6.0, 8.0]))
    x = np.log(r) - np.log(r).mean()
    slope = x @ z / (x @ x)
    smooth = r * (1 + 1 / r) ** (slope + 1)
    plain = (r + 1)[:2] * n[1:3] / n[:2]
    error = (r + 1)[:2] * np.sqrt(n[1:3] / n[:2] ** 2 * (1 + n[1:3] / n[:2]))
    apart = np.abs(plain - smooth[:2]) > 1.96 * error
    stars = smooth.copy()
    for i in range(2):
        if not apart[: i + 1].all():
            break
        stars[i] = plain[i]
    want = stars * (r @ n - n[0]) / (stars @ n)
    np.testing.assert_allclose(simple_good_turing(r.astype(int), n.astype(int)), want, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_histories_are_as_likely_as_another_model_says(order):
    """Of any order, its words in another: the product of what it says of each word so far."""
    model = NGramModel(3, WittenBell()).fit(LINES)
    other = NGramModel(order, WittenBell()).fit(LINES[::-1])
    names, theirs = model.vocabulary.words(), other.vocabulary.index
    assert names != other.vocabulary.words()
    numbers = np.array([theirs[name] for name in names], np.uint32)
    above = [()]
    found = _marginals(model.backoff, other.backoff, numbers)
    for rows, likely in zip(model.backoff.rows, found, strict=False):
        above = [(*above[p], names[w]) for p, w in zip(rows.prefix, rows.word, strict=True)]
        for history, logp in zip(above, likely, strict=True):
            begin = history[0] == "<s>"
            words, want = history[1:] if begin else history, 0.0
            if begin:  # as frequent as the end
                want += math.log(other.distribution([], begin=False)[theirs["</s>"]])
            if "</s>" in words:
                continue  # no history
            for i, word in enumerate(words):
                p = other.distribution(list(words[:i]), begin=begin)[theirs[word]]
                want += math.log(p)
            assert logp == pytest.approx(want, abs=1e-5), history


@pytest.mark.parametrize("unknown", ["word", "closed"])
def test_lines_are_chosen_by_the_mean_of_their_events(unknown):
    """Of a closed vocabulary the events known; a difference of 0 is not below 0."""
    one, other = (
        NGramModel(2, WittenBell(), vocabulary=list("abc"), unknown=unknown).fit(text)
        for text in (LINES, ["c b", "b b a", "c"])
    )
    pool = ["a zz b", "c", "b zz zz zz", "a a", "zz c b a", "b c"]

    def entropy(model, line):
        costs, history = [], []
        index = model.vocabulary.index
        for word in [*line.split(), "</s>"]:
            p = model.distribution(history)
            history.append(word)
            if word in index or unknown == "word":
                costs.append(-math.log(p[index.get(word, 0)]))
        return np.mean(costs)

    want = [entropy(one, line) - entropy(other, line) for line in pool]
    np.testing.assert_allclose(select(pool, one, other).difference, want, rtol=1e-6, atol=1e-9)
    order = np.argsort(want)
    for share, size in ((0.2, 1), (0.25, 2), (0.4, 2), (0.45, 3), (0.8, 5), (0.95, 6)):
        assert select(pool, one, other, share=share).chosen.tolist() == sorted(order[:size])
    found = select(pool, one, other).difference
    assert select(pool, one, other, below=found[2]).chosen.tolist() == [
        i for i in range(6) if found[i] < found[2]
    ]
    assert select(pool, one, one).chosen.tolist() == []
    ranks = np.argsort(np.argsort([entropy(one, line) for line in pool]))
    for shares, sizes in (((0.5, 0.5), (3, 3)), ((0.25, 0.3, 0.45), (2, 1, 3)), ((1.0,), (6,))):
        ends = np.cumsum(sizes)
        classes = [next(k for k, end in enumerate(ends) if rank < end) for rank in ranks]
        assert buckets(pool, one, shares).tolist() == classes


def test_histories_share_a_weight_by_the_power_of_two_of_their_counts():
    """Once; twice or three times; four times or more often."""
    rng = np.random.default_rng(5)
    lines = []
    for _ in range(20):
        at, line = rng.zipf(1.5) % 30, []
        for _ in range(5):
            line.append(f"w{at}")
            at = (7 * at + 3) % 30 if rng.random() < 0.6 else rng.zipf(1.5) % 30
        lines.append(" ".join(line))
    after = defaultdict(Counter)
    for line in lines:
        for one, next_one in itertools.pairwise([*line.split(), "</s>"]):
            after[one][next_one] += 1
    model = NGramModel(2, JelinekMercer(buckets=3)).fit(lines)
    words, low = model.vocabulary.words(), model.distribution("", begin=False)
    found = defaultdict(list)
    for history, followers in after.items():
        total = followers.total()
        share = np.array([followers[w] / total for w in words])
        p, at = model.distribution(history, begin=False), int(np.argmax(np.abs(share - low)))
        found[min(int(math.log2(total)), 2)].append((p[at] - low[at]) / (share[at] - low[at]))
    assert sorted(found) == [0, 1, 2]
    assert all(np.ptp(weights) < 1e-5 for weights in found.values())
    assert len({round(weights[0], 4) for weights in found.values()}) == 3


@pytest.mark.parametrize("discount", [1.0, (1.0, 2.0, 3.0)])
def test_a_discount_may_take_the_whole_count(discount):
    """Then everything is left to the shorter history, of which all are alike."""
    model = NGramModel(2, KneserNey(discount=discount)).fit(["a b", "b c", "c a"])
    assert model.distribution("a").sum() == pytest.approx(1)
    assert model.distribution("a") == pytest.approx(model.distribution("b"))
    above = 1.5 if isinstance(discount, float) else (1.0, 2.5, 3.0)
    with pytest.raises(ValueError, match="`discount` must be above 0 and at most"):
        KneserNey(discount=above)


def test_an_automaton_has_no_arc_for_what_is_impossible(tmp_path):
    model = NGramModel(1, MaximumLikelihood(), vocabulary=["a", "b", "c"], unknown="closed")
    model.fit(["a b", "a"])
    write_openfst(model, tmp_path / "m.fst.txt", tmp_path / "m.words.txt")
    lines = (tmp_path / "m.fst.txt").read_text().splitlines()
    assert sorted(line.split("\t")[2] for line in lines if line.count("\t") == 3) == ["a", "b"]
    assert "inf" not in "".join(lines)


def test_perplexities_are_compared_where_unknown_words_count_alike():
    """Of models that count the same events: an unknown word is one in both, or in neither."""
    models = {
        unknown: NGramModel(1, AddK(1.0), vocabulary=list("abc"), unknown=unknown).fit(LINES)
        for unknown in ("word", "open", "closed", "removed")
    }
    events = {name: model.evaluate(["a zz"]).events for name, model in models.items()}
    assert events == {"word": 3, "open": 3, "closed": 2, "removed": 2}
    for one, other in itertools.product(models, repeat=2):
        both = {"one": models[one], "other": models[other]}
        if one == other or {one, other} == {"closed", "removed"}:
            assert set(compare(both, ["a zz"])) == {"one", "other"}
        else:
            with pytest.raises(ValueError, match="they treat unknown words apart"):
                compare(both, ["a zz"])
        assert set(compare(both, ["a zz"], by="bits_per_byte")) == {"one", "other"}


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"unknown": "closed", "unit": "character", "errors": "keep"},
        {"unknown": "removed", "unit": "word", "errors": "strict", "vocabulary": ["a", "b"]},
        {"unknown": "open", "unit": "byte", "errors": "strict", "min_count": {2: 2}},
    ],
)
def test_a_stored_model_reads_texts_as_it_did(tmp_path, compact, options):
    smoothing = AddK(0.25)
    model = NGramModel(2, smoothing, **options).fit([*LINES, "a b", "a b"])
    models = [model]
    if options["unknown"] != "removed":
        models.append(
            Mixture([model, NGramModel(1, AddK(1.0), **options).fit(LINES)], [0.75, 0.25])
        )
    for one in models:
        one.save(tmp_path / "m", compact=compact)
        again = type(one).load(tmp_path / "m")
        assert repr(again) == repr(one)
        assert (again.unknown, again.unit) == (options["unknown"], options["unit"])
        if one is model:
            assert (again.errors, again.smoothing) == (options["errors"], smoothing)
            assert again.min_counts == model.min_counts
        else:
            assert again.weights.tolist() == [0.75, 0.25]
        assert again.vocabulary.words() == one.vocabulary.words()
        found, want = (m.evaluate(["a b", "c zz"]) for m in (again, one))
        assert (found.events, found.unknown, found.bytes) == (want.events, want.unknown, want.bytes)
        assert found.log_likelihood == pytest.approx(
            want.log_likelihood, rel=1e-2 if compact else 0
        )


def test_both_ends_of_a_range_of_scores_are_in_it(tmp_path):
    texts = ["a b c", "zz b", "b a", "c c a b", "zz zz", "b a"]
    (path := tmp_path / "text").write_text("\n".join(texts) + "\n")
    model = NGramModel(2, WittenBell()).fit(LINES)
    (found,) = scored(model, path)
    for by in ("bits_per_byte", "perplexity"):
        score = found.by(by)
        at = np.argsort(score, kind="stable")
        for low, high in ((score[2], score[2]), (score[at[1]], score[at[3]]), (None, score[at[2]])):
            filter_file(model, path, tmp_path / "kept", by=by, at_least=low, at_most=high)
            want = [t for t, s in zip(texts, score, strict=True)
                    if (low is None or s >= low) and s <= high]  # fmt: skip
            assert (tmp_path / "kept").read_text().splitlines() == want
            assert len(want) >= 2


@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_sentence_is_longer_than_the_most(most):
    """Of a text that hardly ever ends: most sentences are as long, none is longer."""
    model = NGramModel(2, WittenBell()).fit([" ".join("ab" * 200)])
    drawn = [model.sample(seed, most=most) for seed in range(20)]
    assert max(map(len, drawn)) == most
    assert sum(len(sentence) == most for sentence in drawn) > 15
    begun = [model.sample(seed, context=["b"], most=most) for seed in range(20)]
    assert max(map(len, begun)) == most + 1  # beside what was given


def test_words_outside_are_no_events_of_a_line_of_a_closed_vocabulary():
    closed = NGramModel(2, WittenBell(), vocabulary=["a", "b", "c"], unknown="closed").fit(LINES)
    texts = ["a b", "zz", "zz a zz", "b a c zz"]
    ids = np.concatenate(list(closed.reader().ids(texts)))
    sums, events = closed.score_ids(ids)
    assert events.tolist() == [3, 1, 2, 4]  # with each line's end
    assert sums == pytest.approx(closed.score(texts))
    values, offsets = closed.token_log_probs(texts)
    assert np.isnan(values).sum() == 4
    assert offsets.tolist() == [0, 3, 5, 9, 14]
    free = NGramModel(2, WittenBell(), vocabulary=["a", "b", "c"]).fit(LINES)
    assert free.score_ids(ids)[1].tolist() == [3, 2, 4, 5]


def test_one_vocabulary_in_another_order_is_one_vocabulary():
    models = {
        name: NGramModel(1, AddK(1.0), vocabulary=words).fit(LINES)
        for name, words in (("x", ["a", "b", "c"]), ("y", ["c", "a", "b"]), ("z", ["a", "b", "d"]))
    }
    found = compare({name: models[name] for name in "xy"}, ["a b"])
    assert found["x"].perplexity == pytest.approx(found["y"].perplexity)
    with pytest.raises(ValueError, match="Perplexities of 'x' and 'z' cannot be compared: their v"):
        compare({name: models[name] for name in "xz"}, ["a b"])


def test_lines_that_both_models_predict_alike_are_not_chosen():
    model = NGramModel(2, WittenBell()).fit(LINES)
    other = NGramModel(2, WittenBell()).fit(["c c c", "b"])
    assert select(LINES, model, model).difference.tolist() == [0.0] * 4
    assert select(LINES, model, model).chosen.tolist() == []
    found = select(LINES, model, other)
    for bound in (0.0, *found.difference):
        chosen = select(LINES, model, other, below=float(bound)).chosen
        assert chosen.tolist() == np.flatnonzero(found.difference < bound).tolist()
    assert select(LINES, model, model, share=0.5).chosen.tolist() == [0, 1]  # the first of equals


def test_classes_of_lines_have_their_shares():
    """Of equals the first ones; a share that is no whole number of lines is rounded."""
    model = NGramModel(1, AddK(1.0), vocabulary=["a", "b"]).fit(["a b"])
    same = ["a b"] * 10
    for shares, sizes in (
        ((0.5, 0.5), [5, 5]), ((0.1, 0.2, 0.7), [1, 2, 7]), ((0.26, 0.74), [3, 7]), ((1.0,), [10]),
    ):  # fmt: skip
        found = buckets(same, model, shares)
        assert found.tolist() == [k for k, size in enumerate(sizes) for _ in range(size)]


@pytest.mark.parametrize(
    ("seen", "one", "three"),
    [((0, 0, 0), "once", "once"), ((0, 5, 5), "once", "once"), ((5, 0, 5), "twice", "twice"),
     ((5, 0, 0), "twice", "twice"), ((5, 5, 0), None, "three times")],
)  # fmt: skip
def test_what_was_never_seen_so_often_is_named_first(seen, one, three):
    """The first count of which there is no n-gram: for one discount 1 and 2, for three also 3."""
    counts = np.repeat(np.array([1, 2, 3], np.uint32), seen)
    if one is None:
        assert one_discount(np.array([0, *seen]), "x") == pytest.approx(5 / 15)
    else:
        with pytest.warns(UserWarning, match=f"x: no n-gram was seen exactly {one}, so"):
            assert one_discount(np.array([0, *seen]), "x") == 0.75
    with pytest.warns(UserWarning, match=f"no 2-gram was seen exactly {three}. It uses 0.5, 1 and"):
        assert KneserNey().discounts(2, counts) == (0.5, 1.0, 1.5)


def test_three_discounts_are_each_below_its_own_count():
    for fine in ((1.0, 2.0, 3.0), (0.5, 1.5, 2.5), 1.0, 1):
        assert KneserNey(discount=fine).discount == fine
    for wrong, most in (((1.01, 1.0, 1.0), 1), ((1.0, 2.01, 1.0), 2), ((1.0, 1.0, 3.01), 3),
                        ((1.0, 0.0, 1.0), 2), (1.01, 1), (0.0, 1)):  # fmt: skip
        with pytest.raises(ValueError, match=f"`discount` must be above 0 and at most {most}, got"):
            KneserNey(discount=wrong)


def test_sizes_at_their_ends(tmp_path):
    for size, said in ((999, "999 bytes"), (1000, "1KB"), (10**6, "1MB"), (10**9, "1GB"),
                       (10**6 - 1, "1MB"), (999_499, "999KB")):  # fmt: skip
        assert shown(size) == said
    assert in_bytes("64MB") == in_bytes(64 * 10**6) == 64 * 10**6
    with pytest.raises(ValueError, match="`memory` must be at least 64MB, got 64MB"):
        in_bytes(64 * 10**6 - 1)
    for elsewhere in ({"memory": "1GB"}, {"folder": tmp_path / "f"}):
        with pytest.raises(
            ValueError, match="`weights` must be None where lines are counted elsewh"
        ):
            NGramModel(1, WittenBell()).fit(LINES, weights=[1, 1, 1, 1], **elsewhere)


@pytest.mark.parametrize("piece", [16, 64, 1 << 21])
@pytest.mark.parametrize("bad", [b"a \xff", b"<s> a", b"a <s>", b"</s> b"])
def test_a_refused_line_of_a_text_is_named_past_the_first_piece(tmp_path, monkeypatch, piece, bad):
    monkeypatch.setattr(_text, "PIECE_BYTES", piece)
    for at in (1, 2, 17, 40):
        texts = [b"a b c"] * 40
        texts.insert(at - 1, bad)
        (tmp_path / "text").write_bytes(b"\n".join(texts) + b"\n")
        model = NGramModel(2, WittenBell())
        with pytest.raises(ValueError, match=f" on line {at}[ .]"):
            model.fit(tmp_path / "text")


@pytest.mark.parametrize("piece", [16, 64, 1 << 21])
@pytest.mark.parametrize("bad", ["a b", "a b -1", "a b 1.5", "7"])
def test_a_refused_line_of_counts_is_named_past_the_first_piece(tmp_path, monkeypatch, piece, bad):
    monkeypatch.setattr(_text, "PIECE_BYTES", piece)
    for at in (1, 2, 17, 41):
        listed = ["</s> 3", *(f"w{i} 2" for i in range(39))]
        listed.insert(at - 1, bad)
        (tmp_path / "counts").write_text("\n".join(listed) + "\n")
        with pytest.raises(ValueError, match=f"got {bad!r} on line {at}."):
            NGramModel(1, WittenBell()).fit_counts(tmp_path / "counts")


def test_letters_of_scripts_without_spaces_by_their_blocks():
    """Blocks as Unicode names them: whole letters of Han and kana, thirds of four alphabets."""
    ends = {
        1: [(0x3001, 0x303F), (0x3041, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
            (0x20000, 0x2FA1F), (0x30000, 0x323AF)],
        1 / 3: [(0x0E01, 0x0E5B), (0x0E81, 0x0EDF), (0x1780, 0x17F9), (0x1000, 0x109F)],
        0: [(0x41, 0x7A), (0xC0, 0x24F), (0x370, 0x5FF), (0x600, 0x6FF), (0x900, 0xDFF),
            (0xF00, 0xFFF), (0x10D0, 0x10FF), (0x1100, 0x11FF), (0x1E00, 0x1FFF), (0xAC00, 0xD7A3),
            (0x1F300, 0x1FAFF)],
    }  # fmt: skip
    for worth, blocks in ends.items():
        for first, last in blocks:
            words = [chr(c) for c in (first, (first + last) // 2, last)]
            words += [words[0] * 2 + "x" + words[2]]
            vocabulary = Vocabulary(words)
            found = unsegmented._letters(vocabulary)[3:]
            assert found == pytest.approx([worth, worth, worth, 3 * worth]), hex(first)


@pytest.mark.parametrize("unit", ["character", "byte"])
def test_a_mixture_reads_in_the_unit_that_it_was_told_later(tmp_path, unit):
    """Files that say no unit are of words until they are read as something else."""
    paths = []
    for name, text in (("one", ["ab", "ba", "abc"]), ("two", ["cc", "ab"])):
        model = NGramModel(2, WittenBell()).fit([" ".join(line) for line in text])
        write_arpa(model, tmp_path / name)
        paths.append(tmp_path / name)
    told = Mixture([read_arpa(path) for path in paths], [0.25, 0.75])
    assert told.unit == "word"
    told.read_as(unit, None)
    assert told.unit == unit
    parts = [read_arpa(path, unit=unit) for path in paths]
    p = [np.exp(part.token_log_probs(["abca"]).values) for part in parts]
    assert len(p[0]) == 5
    mixed = np.exp(told.token_log_probs(["abca"]).values)
    assert mixed == pytest.approx(0.25 * p[0] + 0.75 * p[1], rel=1e-9)


def test_pruning_leaves_what_is_impossible_impossible(tmp_path):
    """Left out, an n-gram of probability 0 would be as probable as the shorter history says."""
    (tmp_path / "m.arpa").write_text(
        "\\data\\\nngram 1=5\nngram 2=4\n\n\\1-grams:\n-1.0\t<unk>\n-99\t<s>\t-0.2\n"
        "-0.5\t</s>\n-0.4\ta\t-0.3\n-0.7\tb\t-0.1\n\n\\2-grams:\n-0.3\t<s> a\n"
        "-99\ta a\n-0.35\ta b\n-99\tb b\n\n\\end\\\n"
    )
    model = read_arpa(tmp_path / "m.arpa")
    for entropy in (1e-9, 0.1, 1e9):
        pruned = model.prune(entropy)
        for text, zero in (("a a", True), ("b b", True), ("a b", False)):
            assert np.isneginf(model.token_log_probs([text]).values[1]) == zero
            assert np.isneginf(pruned.token_log_probs([text]).values[1]) == zero
    assert pruned.counts()[1] == 2  # what may be left out is


@pytest.mark.parametrize("unit", ["word", "character", "byte"])
def test_a_line_feed_that_ends_a_sentence_is_no_letter_of_it(tmp_path, unit):
    model = NGramModel(2, WittenBell(), unit=unit).fit(["ab ba", "b a"])
    model.save(tmp_path / "m.xent")
    theirs = kenlm.Model(str(tmp_path / "m.xent"))
    for text in ("ab", "b a", ""):
        want = model.score([text])[0] / math.log(10)
        for ended in (text, text + "\n", text.encode() + b"\n"):
            assert theirs.score(ended) == pytest.approx(want, rel=1e-5)
            assert len([*theirs.full_scores(ended)]) == len([*theirs.full_scores(text)])
            assert theirs.perplexity(ended) == theirs.perplexity(text)
    if unit != "word":
        with pytest.raises(ValueError, match="`sentence` must be one line, got several"):
            theirs.score("a\nb\n")


@pytest.mark.parametrize("first", [0, 1])
def test_a_model_that_refuses_a_unit_is_as_it_was(tmp_path, first):
    """And those that it is mixed with, whichever is asked first."""
    fitted = NGramModel(1, WittenBell()).fit(["a b"])
    write_arpa(fitted, tmp_path / "m.arpa")
    found = read_arpa(tmp_path / "m.arpa")
    models = [fitted, found][:: 1 - 2 * first]
    told = Mixture(models, [0.5, 0.5])
    for asked, unit, errors in (
        (told, "character", "keep"), (told, "character", "x"), (found, "character", "x"),
        (told, "x", "keep"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"`(unit|errors)` must be"):
            asked.read_as(unit, errors)
        assert {told.unit, *(m.unit for m in models)} == {"word"}
        assert {m.errors for m in models} == {"strict"}
    told.read_as(None, "keep")
    assert {m.errors for m in models} == {"keep"}
