"""The model as its user meets it: agreement with KenLM, reports, threads, storage."""

import gzip
import itertools
import json
import math
import multiprocessing
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from language.test_smoothing import corpus, fitted
from xent.language import (
    AddK,
    JelinekMercer,
    Katz,
    KneserNey,
    MaximumLikelihood,
    NGramModel,
    StupidBackoff,
    WittenBell,
    compare,
)

REFERENCE = Path(__file__).parents[2] / ".." / "shared" / "reference" / "language"
GOLDEN = Path(__file__).parents[1] / "golden"
needs_reference = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="KenLM's recorded scores are not here"
)


@pytest.fixture(scope="module")
def kneser_ney():
    return fitted(corpus(0, 200), 3, KneserNey(discount=0.75))


# ------------------------------------------------------------------ agreement


@pytest.mark.parametrize("order", [2, 3, 5])
def test_every_clone_agrees_with_kenlm(order):
    recorded = np.load(GOLDEN / "kenlm_scores.npz")
    train, test = (recorded[name].tolist() for name in ("train", "test"))
    model = NGramModel(order).fit(numbered(train))
    found = model.token_log_probs(numbered(test))
    theirs = recorded[f"log10_{order}"]
    assert np.abs(found.values / math.log(10) - theirs).max() < 5e-6
    lengths = np.bincount(recorded[f"length_{order}"], minlength=order + 1)[1:]
    matched = model.evaluate(numbered(test)).matched
    np.testing.assert_allclose(matched, lengths / len(test), rtol=1e-12)


def numbered(words):
    """Return lines of words that are numbers; 0 ends a line."""
    text = " ".join("\n" if word == 0 else f"w{word}" for word in words)
    return text.removesuffix("\n").split("\n")


@needs_reference
@pytest.mark.parametrize("order", [2, 3, 5])
def test_agrees_with_kenlm(order):
    model = NGramModel(order).fit(REFERENCE / "train.txt.gz")
    theirs = np.load(REFERENCE / f"kenlm_order{order}_token_scores.npz")
    ours = model.token_log_probs(REFERENCE / "test.txt.gz").values / math.log(10)
    assert np.abs(ours - theirs["log10_prob"]).max() < 5e-6
    recorded = json.loads((REFERENCE / "kenlm_perplexity.json").read_text())[str(order)]
    found = model.evaluate(REFERENCE / "test.txt.gz")
    assert (found.events, found.unknown) == (recorded["events"], recorded["oov"])
    assert found.perplexity == pytest.approx(recorded["perplexity_including_oov"], rel=1e-6)
    assert found.perplexity_known == pytest.approx(recorded["perplexity_excluding_oov"], rel=1e-6)
    lengths = np.bincount(theirs["ngram_length"], minlength=order + 1)[1:]
    np.testing.assert_allclose(found.matched, lengths / found.events, rtol=1e-12)


# ------------------------------------------------------------------ a text by hand


def test_report_by_hand():
    model = NGramModel(1, AddK(1.0), vocabulary=["a", "b"]).fit(["a a", "b"])
    # Outcomes <unk>, </s>, a, b with counts 0, 2, 2, 1: (c + 1) / 9.
    found = model.evaluate(["a zz"])
    logs = [math.log(3 / 9), math.log(1 / 9), math.log(3 / 9)]
    assert f"  perplexity          {found.perplexity:.4f}\n" in str(found)
    assert found.log_likelihood == pytest.approx(sum(logs), rel=1e-7)
    assert (found.events, found.words, found.sentences, found.unknown) == (3, 2, 1, 1)
    assert found.cross_entropy == pytest.approx(-sum(logs) / 3, rel=1e-7)
    assert found.perplexity == pytest.approx(math.exp(-sum(logs) / 3), rel=1e-7)
    assert found.cross_entropy_known == pytest.approx(-(logs[0] + logs[2]) / 2, rel=1e-7)
    assert found.bits == pytest.approx(found.cross_entropy / math.log(2))
    assert found.bits_per_word == pytest.approx(-sum(logs) / math.log(2) / 2, rel=1e-7)
    assert (found.characters, found.bytes) == (5, 5)
    # Three bytes, zz and its separator, at log2 256 each: in bits a byte, not in bits a word.
    assert found.spelling_bits == found.summary()["spelling_bits"] == 24
    text_bits = 24 - sum(logs) / math.log(2)
    assert found.bits_per_byte == pytest.approx(text_bits / 5, rel=1e-7)
    assert found.bits_per_character == pytest.approx(text_bits / 5, rel=1e-7)
    assert "    unknown spelt     4.80000\n" in str(found)
    assert found.matched == (1.0,)
    assert json.loads(json.dumps(found.summary()))["perplexity"] == found.perplexity


def test_a_model_that_knows_one_word_is_no_good():
    text = [" ".join(s) for s in corpus(0, 100)]
    models = {
        "trigram": NGramModel(3, WittenBell()).fit(text),
        "one word": NGramModel(3, WittenBell(), vocabulary=["a"], unknown="open").fit(text),
        "closed": NGramModel(3, WittenBell(), vocabulary=["a"], unknown="closed").fit(text),
    }
    found = compare(models, text, by="bits_per_byte")
    assert next(iter(found)) == "trigram"
    # Words of one letter and a separator: 16 bits for each that is not a, beside the model's own.
    others = sum(word != "a" for line in text for word in line.split())
    for name in ("one word", "closed"):
        report = found[name]
        assert report.spelling_bits == 16 * others
        bits = report.events * report.bits + 16 * others
        assert report.bits_per_byte == pytest.approx(bits / len("\n".join([*text, ""])))
        # Its one word is "a": P(b) = (1/257) / 4 at the start, and of two events one is the end.
        learnt = models[name].evaluate(text, spelling="vocabulary")
        assert learnt.perplexity == report.perplexity
        letter, end = 1 / 1028, (1 + 2 / 257) / 4
        expected = -others * (math.log2(letter) + math.log2(end))
        assert learnt.spelling_bits == pytest.approx(expected)
    with pytest.raises(ValueError, match="`spelling` must be 'uniform' or 'vocabulary', got 'u'"):
        models["trigram"].evaluate(text, spelling="u")
    assert found["one word"].perplexity < found["trigram"].perplexity


@pytest.mark.parametrize(
    ("lines", "doubt"),
    [
        (
            ["今天天气很好", "我们今天去公园", "我爱北京", "我喜欢猫。"],
            "1 tokens a line, of 5.5 letters",
        ),
        (["今日は公園に行きました。", "とてもいい天気です。"], "1 tokens a line, of 11 letters"),
        (["วันนี้อากาศดีมากเราไปสวนสาธารณะกัน"] * 3, "scripts that write no spaces between words"),
        (["今天天气很好。 我们今天去公园。 公园里的人很多。"] * 2, "3 tokens a line"),
        (["今天 天气 很 好", "我们 今天 去 公园"], None),
        (["北京", "天气", "公园"], None),
        (["วันนี้ อากาศ ดี มาก เรา ไป สวนสาธารณะ กัน"], None),
        (["오늘은 공원에 갔습니다"], None),
        (["Достопримечательность", "antidisestablishmentarianism"], None),
    ],
)
def test_words_that_nothing_separates_are_doubted(lines, doubt):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        NGramModel(2, WittenBell()).fit(lines)
        NGramModel(2, WittenBell(), unit="character").fit(lines)
    if doubt is None:
        assert not caught
    else:
        assert len(caught) == 1
        assert doubt in str(caught[0].message)


@pytest.mark.parametrize("unit", ["word", "character"])
@pytest.mark.parametrize("options", [{}, {"min_count": {1: 4, 3: 2}, "unknown": "open"}])
def test_weighted_lines_are_lines_so_many_times(unit, options):
    lines = [" ".join(s) for s in corpus(1, 30)]
    weights = np.random.default_rng(0).integers(0, 40, 30)
    smoothing = KneserNey(discount=0.75)
    found = NGramModel(3, smoothing, unit=unit, **options).fit(lines, weights=weights)
    often = [line for line, times in zip(lines, weights, strict=True) for _ in range(times)]
    expected = NGramModel(3, smoothing, unit=unit, **options).fit(often)
    assert found.counts() == expected.counts()
    np.testing.assert_allclose(found.score(lines), expected.score(lines), rtol=1e-6)
    for text, given, sentence in (
        (lines, weights[1:], "`weights` must hold one for each of 30 lines, got 29."),
        (lines, weights - 1.5, "`weights` must hold one whole number a line, got float64 of shape"),
        (lines, weights - 50, "`weights` must be at least 0, got -50."),
        (lines, weights * 0, "`text` must hold at least one line of a weight above 0, got none."),
        (lines, weights * 10**8, "`weights` must count at most 4,294,967,295 tokens together"),
        ("a.txt", weights, "`text` must be lines or lists of tokens where `weights` is given"),
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            NGramModel(2).fit(text, weights=given)
        assert str(caught.value).startswith(sentence)
    with pytest.raises(ValueError, match="`weights` must be None where lines are counted elsewher"):
        NGramModel(2).fit(lines, weights=weights, memory="1GB")


def test_zero_probability_is_counted():
    model = NGramModel(2, MaximumLikelihood()).fit(["a b", "b a"])
    found = model.evaluate(["a a", "a b"])
    assert found.zeros == 1
    assert found.perplexity == math.inf
    assert found.summary()["perplexity"] is None
    assert model.score(["a a"])[0] == -math.inf
    assert model.score(["a b"])[0] == pytest.approx(math.log(0.5 * 0.5 * 0.5))


def test_unknown_word():
    text = ["a b <unk>", "a <unk> b"]
    word = NGramModel(1, MaximumLikelihood()).fit(text)
    assert word.distribution()[0] == pytest.approx(2 / 8)
    assert word.score(["zz"])[0] == word.score(["<unk>"])[0]
    assert NGramModel(1, MaximumLikelihood()).fit(["a b"]).distribution()[0] == 0
    share = NGramModel(1, WittenBell()).fit(["a"]).distribution()[0]
    assert share == pytest.approx(2 / 4 / 3)  # T / (c + T) uniformly over <unk>, </s>, a


def test_open_vocabulary_counts_the_unknown():
    model = NGramModel(1, MaximumLikelihood(), unknown="open", vocabulary=["a"]).fit(["a x y", "a"])
    assert model.vocabulary.words() == ["<unk>", "<s>", "</s>", "a"]
    assert model.distribution()[0] == pytest.approx(2 / 6)
    model = NGramModel(1, MaximumLikelihood(), unknown="open", min_count={1: 2}).fit(["a x y", "a"])
    assert model.distribution()[0] == pytest.approx(2 / 6)


def test_words_outside_the_vocabulary_break_ngrams():
    model = NGramModel(2, MaximumLikelihood(), vocabulary=["a", "b"]).fit(["a x b", "a b"])
    index = model.vocabulary.index
    after = model.distribution(["a"])
    assert after[index["b"]] == 1  # "a x" is no bigram of the model
    assert model.distribution([], begin=False)[index["b"]] == pytest.approx(2 / 6)


def test_closed_vocabulary_has_no_unknown_events():
    model = NGramModel(2, WittenBell(), unknown="closed").fit(["a b", "b a"])
    found = model.evaluate(["a zz b"])
    values, offsets = model.token_log_probs(["a zz b", "zz"])
    assert (found.events, found.unknown, found.words) == (3, 1, 2)
    assert found.log_likelihood == pytest.approx(np.nansum(values[:4]))
    assert np.isnan(values[1])
    assert offsets.tolist() == [0, 4, 6]
    assert model.score(["a zz b"])[0] == pytest.approx(np.nansum(values[:4]))
    assert model.distribution(["zz"])[0] == 0


@pytest.mark.parametrize("source", [["a b", "", "c a"], [["a", "b"], [], ["c", "a"]]])
def test_sums_are_token_scores(kneser_ney, source):
    values, offsets = kneser_ney.token_log_probs(source)
    assert offsets.tolist() == [0, 3, 4, 7]
    sums = [values[a:b].sum() for a, b in itertools.pairwise(offsets)]
    np.testing.assert_allclose(kneser_ney.score(source), sums, rtol=1e-14)
    assert kneser_ney.evaluate(source).log_likelihood == pytest.approx(values.sum())


def test_chain_rule(kneser_ney):
    sentence = ["a", "zz", "b", "c", "d"]
    logs = kneser_ney.token_log_probs([sentence]).values
    index = kneser_ney.vocabulary.index
    for i, word in enumerate([*sentence, "</s>"]):
        p = kneser_ney.distribution(sentence[:i])[index.get(word, 0)]
        assert logs[i] == pytest.approx(math.log(p), rel=1e-6)


def test_empty_batches(kneser_ney):
    assert kneser_ney.score([]).tolist() == []
    assert kneser_ney.token_log_probs([]).offsets.tolist() == [0]
    with pytest.raises(ValueError, match="`text` must hold at least one line, got none"):
        kneser_ney.evaluate([])
    with pytest.raises(ValueError, match="`text` must hold at least one line, got none"):
        NGramModel(2).fit([])


def test_stupid_backoff_is_no_distribution():
    model = NGramModel(3, StupidBackoff()).fit(["a b c", "b c a"])
    # c follows "<s> c" never, "c" never: 0.4 * 0.4 * 2/8
    assert math.exp(model.token_log_probs(["c c"]).values[1]) == pytest.approx(0.16 * 2 / 8)
    found = model.evaluate(["c c"])
    assert not found.is_distribution
    with pytest.raises(ValueError, match="No sentence can be drawn"):
        model.sample(0)


def test_next_and_sample(kneser_ney):
    best = kneser_ney.next(["a"], top_k=3)
    p = kneser_ney.distribution(["a"])
    assert [x for _, x in best] == sorted(p, reverse=True)[:3]
    assert best == kneser_ney.next("a", top_k=3)
    assert kneser_ney.sample(1) == kneser_ney.sample(1)
    luck = np.random.default_rng(3)
    drawn = [kneser_ney.sample(luck, context=["a"], most=1)[1:] for _ in range(4000)]
    index = kneser_ney.vocabulary.index
    for word, share in best:
        if word != "</s>":
            seen = sum(d == [word] for d in drawn) / len(drawn)
            assert seen == pytest.approx(share, abs=0.03), word
    assert index["a"] > 2


def test_compare():
    text = corpus(1, 50)
    models = {n: fitted(text, n, WittenBell()) for n in (1, 2)}
    assert list(compare(models, text)) == [2, 1]
    models["other"] = fitted([["q"]], 1, WittenBell())
    with pytest.raises(ValueError, match="Perplexities of 1 and 'other' cannot be compared: their"):
        compare(models, text)
    assert next(iter(compare(models, text, by="bits_per_byte"))) == 2


def test_character_and_byte_models_compare_by_bytes():
    text = ["abab", "ab ba", "é"]
    models = {
        u: NGramModel(2, WittenBell(), unit=u).fit(text) for u in ("character", "byte", "word")
    }
    found = compare(models, text, by="bits_per_byte")
    assert {r.bytes for r in found.values()} == {len("abab\nab ba\né\n".encode())}
    assert {r.characters for r in found.values()} == {13}


def test_token_ids_are_words():
    ids = np.array([[1, 2, 3], [3, 2, 1]])
    model = NGramModel(2, WittenBell()).fit(ids)
    names = NGramModel(2, WittenBell()).fit(["1 2 3", "3 2 1"])
    assert model.score(np.array([2, 9])) == names.score(["2 9"])
    assert model.evaluate(ids).bytes is None
    assert math.isnan(model.evaluate(ids).bits_per_byte)


# ------------------------------------------------------------------ does it survive


def test_threads_do_not_show(kneser_ney):
    lines = [" ".join(s) for s in corpus(3, 5000)]
    alone = np.concatenate([kneser_ney.score(lines[i : i + 100]) for i in range(0, 5000, 100)])
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(kneser_ney.score, [lines] * 4))
    for one in together:
        np.testing.assert_array_equal(one, alone)


def _score_in_child(model, lines, out):
    out.put(model.score(lines).tolist())


def test_fork(kneser_ney):
    lines = ["a b c"] * 600
    expected = kneser_ney.score(lines)
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    child = context.Process(target=_score_in_child, args=(kneser_ney, lines, out))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.filters", [])  # newer Pythons warn about forking threads
        child.start()
    assert out.get(timeout=60) == expected.tolist()
    child.join()


def test_pickles_by_content(kneser_ney):
    again = pickle.loads(pickle.dumps(kneser_ney))
    assert again.score(["a b zz"]) == kneser_ney.score(["a b zz"])
    assert repr(again) == repr(kneser_ney)


SAVED = [
    NGramModel(3, KneserNey(discount=(0.5, 1.0, 1.5))),
    NGramModel(1, WittenBell(interpolated=False)),
    NGramModel(4, JelinekMercer(2), unknown="closed", min_count=2),
    NGramModel(2, StupidBackoff(0.3), unit="character"),
    NGramModel(3, Katz(k=4), vocabulary=["a", "b"], unknown="open"),
]


@pytest.mark.filterwarnings("ignore:Katz:UserWarning")
@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("model", SAVED, ids=repr)
def test_saves_and_loads(tmp_path, model, mmap):
    lines = [" ".join(s) for s in corpus(6)]
    model.fit(lines)
    model.save(tmp_path / "m.xent")
    again = NGramModel.load(tmp_path / "m.xent", mmap=mmap)
    assert repr(again) == repr(model)
    test = [*lines, "a zz b", ""]
    np.testing.assert_array_equal(again.score(test), model.score(test))
    np.testing.assert_array_equal(again.distribution(["a"]), model.distribution(["a"]))
    assert again.evaluate(test) == model.evaluate(test)


def test_damage_is_noticed(tmp_path, kneser_ney):
    path = tmp_path / "m.xent"
    kneser_ney.save(path)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="its checksums do not match"):
        NGramModel.load(path, mmap=False)
    path.write_text("\\data\\")
    with pytest.raises(ValueError, match=r"`path` must be a xent\.language file"):
        NGramModel.load(path)


def test_gzip_is_text_too(tmp_path):
    path = tmp_path / "t.txt.gz"
    path.write_bytes(gzip.compress(b"a b\nb a\n"))
    by_path = NGramModel(2, WittenBell()).fit(path)
    by_lines = NGramModel(2, WittenBell()).fit(["a b", "b a"])
    assert by_path.score(["a"]) == by_lines.score(["a"])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: NGramModel(0), "`order` must be an integer of at least 1, got 0."),
        (lambda: NGramModel(101), "`order` must be at most 100, got 101."),
        (
            lambda: NGramModel(2, unknown="opne"),
            "`unknown` must be 'word', 'open', 'closed' or 'removed', got 'opne'. Did you mean 'open'?",
        ),
        (
            lambda: NGramModel(3, vocabulary="words.txt"),
            "`vocabulary` must be an iterable of words, got one str. Read the file into a list.",
        ),
        (
            lambda: NGramModel(3, vocabulary=["a", 3]),
            "`vocabulary` must hold words of type str, got an int at [1].",
        ),
        (
            lambda: NGramModel(3).score(["a"]),
            "The model has no n-grams: it was not fitted. Call fit first.",
        ),
        (
            lambda: NGramModel(3, unit="words"),
            "`unit` must be 'word', 'character' or 'byte', got 'words'. Did you mean 'word'?",
        ),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    assert str(caught.value) == sentence
