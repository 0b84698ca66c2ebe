"""ARPA files: written here and read by KenLM, written by KenLM and read here, damaged and refused."""

import gzip
import math
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

from language.test_smoothing import corpus, fitted
from xent.language import (
    KneserNey,
    MaximumLikelihood,
    NGramModel,
    StupidBackoff,
    WittenBell,
    kenlm,
    read_arpa,
    write_arpa,
)
from xent.language._backoff import arpa as arpa_files
from xent.language._formats import arpa as arpa_format
from xent.language._kernels import arpa as arpa_kernels

REFERENCE = Path(__file__).parents[2] / ".." / "shared" / "reference" / "language"

SMALL = """
any text before
\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-0.6\t</s>
-99\t<s>\t-0.5
-0.7 a -0.25
-0.4\tb\t0.1

\\2-grams:
-0.2\t<s> a
-0.3\ta b

\\end\\
"""


def arpa(tmp_path, text, name="m.arpa"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        SMALL,
        SMALL.replace("\n", "\r\n"),
        SMALL.replace("\t", " "),
        "\ufeff" + SMALL.split("before\n")[1],
    ],
    ids=["unix", "windows", "spaces", "byte order mark"],
)
def test_small_file_by_hand(tmp_path, text):
    model = read_arpa(arpa(tmp_path, text))
    logs = model.token_log_probs(["a b", "b", "a a"]).values / math.log(10)
    expected = [-0.2, -0.3, 0.1 - 0.6, -0.5 - 0.4, 0.1 - 0.6, -0.2, -0.25 - 0.7, -0.25 - 0.6]
    np.testing.assert_allclose(logs, expected, rtol=1e-6)
    assert model.unknown == "closed"  # no <unk> in it
    assert model.order == 2
    assert "ARPA" in repr(model)
    with pytest.raises(ValueError, match="it was read from an ARPA file"):
        model.fit(["a"])


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_round_trip(tmp_path, order, suffix):
    model = fitted(
        corpus(0, 100), order, KneserNey(), min_count={3: 2, 4: 2} if order == 4 else None
    )
    path = tmp_path / f"m.arpa{suffix}"
    write_arpa(model, path)
    again = read_arpa(path)
    assert again.vocabulary.words() == model.vocabulary.words()
    for ours, theirs in zip(model.backoff.rows, again.backoff.rows, strict=True):
        for name in ("prefix", "word", "suffix", "backoff"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
        plain = ours.logp > -99  # <s> has no probability
        np.testing.assert_array_equal(ours.logp[plain], theirs.logp[plain])
    test = [" ".join(s) for s in corpus(1, 30)]
    np.testing.assert_array_equal(again.score(test), model.score(test))
    if suffix:
        assert gzip.decompress(path.read_bytes()).startswith(b"\\data\\\n")


def test_all_smoothings_can_be_written(tmp_path):
    for smoothing, unknown in (
        (MaximumLikelihood(), "closed"),
        (WittenBell(False), "closed"),
        (KneserNey(modified=False), "removed"),
    ):
        words = list("abcd")
        model = fitted(corpus(2), 3, smoothing, unknown=unknown, vocabulary=words)
        write_arpa(model, tmp_path / "m.arpa")
        again = read_arpa(tmp_path / "m.arpa")
        assert again.unknown == "closed"
        test = [" ".join(s) for s in corpus(3, 30)]
        np.testing.assert_allclose(again.score(test), model.score(test), rtol=1e-6)
        assert again.evaluate(test).zeros == model.evaluate(test).zeros


def test_numbers_come_back(tmp_path):
    luck = np.random.default_rng(0)
    model = fitted(corpus(0), 2, WittenBell())
    rows = model.backoff.rows
    rows[1].logp = -np.abs(luck.standard_cauchy(len(rows[1])) ** 3).clip(1e-12, 90).astype("f4")
    rows[0].backoff = luck.standard_cauchy(len(rows[0])).clip(-90, 90).astype("f4")
    rows[0].backoff[2:7] = [0, 1.4657778e-12, -3e-9, 1.2345678e-11, 1e-19]
    rows[1].logp[:4] = [-1e-7, -0.1, -1.0, -0.099999994]
    write_arpa(model, tmp_path / "m.arpa")
    again = read_arpa(tmp_path / "m.arpa").backoff.rows
    np.testing.assert_array_equal(again[1].logp, rows[1].logp)
    rows[0].backoff[6] = 0  # what is below 1e-12 is 0
    np.testing.assert_array_equal(again[0].backoff, rows[0].backoff)
    for line in (tmp_path / "m.arpa").read_text().splitlines():
        for number in line.split("\t")[::2]:
            assert "\\" in number or "ngram" in number or not number or len(number) < 24, number


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_bytes_with_any_number_of_threads(tmp_path, monkeypatch, threads):
    model = fitted(corpus(0, 300), 4, KneserNey())
    write_arpa(model, tmp_path / "whole.arpa")
    monkeypatch.setattr(arpa_format, "PIECE", 7)  # many pieces, batches and threads
    monkeypatch.setattr(arpa_format, "FORMATTED_ROWS", 100)
    monkeypatch.setattr("numba.get_num_threads", lambda: threads)
    write_arpa(model, tmp_path / "pieces.arpa")
    whole = (tmp_path / "whole.arpa").read_bytes()
    assert (tmp_path / "pieces.arpa").read_bytes() == whole
    assert whole.count(b"\n") == sum(model.counts()) + 4 + 2 * 4 + 3


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="KenLM's file is not here")
def test_reads_what_kenlm_wrote():
    model = read_arpa(REFERENCE / "kenlm_order3.arpa.gz")
    theirs = np.load(REFERENCE / "kenlm_order3_token_scores.npz")
    ours = model.token_log_probs(REFERENCE / "test.txt.gz").values / math.log(10)
    assert np.abs(ours - theirs["log10_prob"]).max() < 1e-6
    assert model.counts() == [14145, 103187, 183555]


def test_unsorted_and_missing_suffixes(tmp_path):
    """SRILM leaves out suffixes when it prunes; the longest one that is there counts."""
    text = """\\data\\
ngram 1=5
ngram 2=2
ngram 3=1

\\1-grams:
-1\tb\t-0.2
-1\t<unk>
-1\t</s>
-99\t<s>\t-0.3
-1\ta\t-0.1

\\2-grams:
-0.5\tb a\t-0.4
-0.6\ta b

\\3-grams:
-0.7\tb a a

\\end\\
"""
    model = read_arpa(arpa(tmp_path, text))
    logs = model.token_log_probs(["b a a b"]).values / math.log(10)
    # a a is no 2-gram: after "b a a" the history is "a" alone.
    expected = [-0.3 - 1, -0.5, -0.7, -0.6, -0.2 - 1]
    np.testing.assert_allclose(logs, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("ngram 2=2", "ngram 2=-2"),
            "must announce each order once, from 1 on, with a count of at",
        ),
        (
            ("ngram 2=2", "ngram 2=100000000000"),
            "must hold the 100000000000 2-grams it announces, g",
        ),
        (("ngram 2=2", "ngram 2=1"), "must hold the 1 2-grams it announces, got"),
        (("ngram 1=4\n", ""), "must announce each order once, from 1 on"),
        (
            ("ngram 2=2", "n-gram 2=2"),
            "must announce its n-grams as 'ngram 1=1000', got 'n-gram 2=2'",
        ),
        (("\\data\\", "data"), "must hold a line \\data\\, got none"),
        (("\\2-grams:", "\\3-grams:"), "must go on with \\2-grams:, got '\\\\3-grams:' on line 14"),
        (("\\end\\\n", ""), "must end with \\end\\, got its end: cut short"),
        (("-0.3\ta b\n\n\\end\\\n", "-0.3\ta"), "must hold 2 words, got '-0.3\\ta' on line 15"),
        (
            ("-0.3\ta b", "0.3\ta b"),
            "must hold log-probabilities of at most 0, got '0.3\\ta b' on li",
        ),
        (
            ("-0.3\ta b", "-o.3\ta b"),
            "must begin with a log-probability, got '-o.3\\ta b' on line 15",
        ),
        (("-0.3\ta b", "nan\ta b"), "must begin with a log-probability"),
        (
            ("-0.3\ta b", "-0.3\ta q"),
            "must hold words that are among the 1-grams, got '-0.3\\ta q'",
        ),
        (("-0.3\ta b", "-0.3\ta b -0.1 7"), "must hold 2 words and at most one back-off weight"),
        (("-0.3\ta b", "-0.3\ta b c"), "must hold 2 words and at most one back-off weight"),
        (
            ("-0.3\ta b", "-0.2\t<s> a"),
            "must hold each 2-gram once, got '<s> a' on lines 14 and 15 of",
        ),
        (
            ("-0.7 a -0.25", "-0.7 b -0.25"),
            "must hold each 1-gram once, got 'b' on lines 10 and 11 of",
        ),
        (
            ("-0.7 a -0.25\n-0.4\tb", "-0.7 <UNK> -0.25\n-0.4\t<unk>"),
            "must hold each 1-gram once, got '<unk>' on lines 10 and 11 of",
        ),
        (("-0.7 a -0.25", "-0.7 a inf"), "must hold finite back-off weights, got '-0.7 a inf' on"),
        (("-0.7 a -0.25", "-0.7 a 1e39"), "must hold finite back-off weights"),
        (("-0.7 a -0.25", f"-0.7 a 1{'0' * 40}"), "must hold finite back-off weights"),
        (("any text before", "iARPA"), "must be an ARPA file, got IRSTLM's iARPA in"),
        (("any text before", "blmt 2 9 1"), "Write it as ARPA with: compile-lm FILE --text yes"),
        (("any text before", "# xent: units=word"), "must say 'unit' and 'errors' after '# xent:'"),
        (("any text before", "# xent: unit=syllable"), "`unit` must be 'word', 'character' or"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_malformed(tmp_path, change, sentence):
    assert change[0] in SMALL
    with pytest.raises(ValueError) as caught:
        read_arpa(arpa(tmp_path, SMALL.replace(*change)))
    assert sentence in str(caught.value)
    assert "`unit`" in sentence or "`path` must" in str(caught.value)


def test_cut_anywhere(tmp_path):
    for length in range(0, len(SMALL) - 7, 3):
        with pytest.raises(ValueError, match="`path` must"):
            read_arpa(arpa(tmp_path, SMALL[:length]))


def test_a_beginning_that_is_not_listed(tmp_path):
    text = SMALL.replace("ngram 2=2", "ngram 2=2\nngram 3=1")
    text = text.replace("\\end\\", "\\3-grams:\n-0.1\tb a b\n\n\\end\\")
    model = read_arpa(arpa(tmp_path, text))
    logs = model.token_log_probs(["b a b", "b b"]).values / math.log(10)
    expected = [-0.5 - 0.4, 0.1 - 0.7, -0.1, 0.1 - 0.6, -0.5 - 0.4, 0.1 - 0.4, 0.1 - 0.6]
    np.testing.assert_allclose(logs, expected, rtol=1e-6)
    assert model.counts() == [5, 3, 1]
    again = tmp_path / "whole.arpa"
    write_arpa(model, again)
    np.testing.assert_array_equal(read_arpa(again).score(["b a b"]), model.score(["b a b"]))


def slow_log10(listed, weights, history, word):
    """The definition of a back-off model, in dictionaries."""
    total = 0.0
    while (*history, word) not in listed:
        total += weights.get(history, 0.0)
        history = history[1:]
    return total + listed[*history, word]


@pytest.mark.parametrize("seed", range(4))
def test_any_beginnings_may_lack(tmp_path, seed):
    luck = np.random.default_rng(seed)
    model = fitted(corpus(seed, 60), 4, WittenBell())
    write_arpa(model, tmp_path / "m.arpa")
    sections = (tmp_path / "m.arpa").read_text().split("\n\n")[1:-1]
    listed, weights, lines = {}, {}, {}
    for n, section in enumerate(sections, 1):
        rows = section.strip().split("\n")[1:]
        lines[n] = [r for r in rows if n == 1 or luck.random() < 0.6]
        for fields in (line.split("\t") for line in lines[n]):
            gram = tuple(fields[1].split())
            listed[gram], weights[gram] = float(fields[0]), float([*fields, 0][2])
    head = "\n".join(f"ngram {n}={len(rows)}" for n, rows in lines.items())
    body = "\n".join("\n".join([f"\\{n}-grams:", *rows, ""]) for n, rows in lines.items())
    found = read_arpa(arpa(tmp_path, f"\\data\\\n{head}\n\n{body}\n\\end\\\n", "few.arpa"))
    assert sum(found.counts()) > len(listed)
    for sentence in corpus(seed + 9, 30):
        line = ("<s>", *sentence, "</s>")
        logs = found.token_log_probs([sentence]).values / math.log(10)
        for i, log in enumerate(logs, 1):
            word = line[i] if (line[i],) in listed else "<unk>"
            history = line[max(0, i - 3) : i]
            assert log == pytest.approx(slow_log10(listed, weights, history, word), abs=2e-6)


def test_unknown_by_its_other_name(tmp_path):
    text = SMALL.replace("-0.7 a", "-0.7 <UNK>").replace("<s> a", "<s> <UNK>")
    text = text.replace("a b", "<UNK> b")
    model = read_arpa(arpa(tmp_path, text))
    assert model.unknown == "word"
    for spelt in ("zz b", "<unk> b", "<UNK> b"):
        logs = model.token_log_probs([spelt]).values / math.log(10)
        np.testing.assert_allclose(logs, [-0.2, -0.3, 0.1 - 0.6], rtol=1e-6)
        ours = kenlm.Model(tmp_path / "m.arpa")
        assert ours.score(spelt) == pytest.approx(-0.2 - 0.3 + 0.1 - 0.6, rel=1e-6)
        assert [oov for _, _, oov in ours.full_scores(spelt)] == [True, False, False]
    assert "<UNK>" not in ours
    fit = NGramModel(2, WittenBell()).fit(["a <UNK> b", "<unk> a"])
    write_arpa(fit, tmp_path / "fit.arpa")
    assert "UNK" not in (tmp_path / "fit.arpa").read_text()
    assert fit.evaluate(["<UNK>"]).unknown == 1


def test_irstlm_binary_is_told_how_to_become_arpa(tmp_path):
    path = tmp_path / "m.blm"
    path.write_bytes(b"blmt 2 10 20\n\0\1\2\xff" + bytes(64))
    with pytest.raises(OSError, match=r"got IRSTLM's blmt in .* compile-lm FILE --text yes OUT"):
        kenlm.Model(path)


def test_a_form_feed_is_a_letter(tmp_path):
    model = read_arpa(
        arpa(tmp_path, SMALL.replace(" a", " \x0ba\x0c").replace("\ta", "\t\x0ba\x0c"))
    )
    assert model.vocabulary.words()[3:] == ["\x0ba\x0c", "b"]
    logs = model.token_log_probs(["\x0ba\x0c b"]).values / math.log(10)
    np.testing.assert_allclose(logs, [-0.2, -0.3, 0.1 - 0.6], rtol=1e-6)
    write_arpa(model, tmp_path / "again.arpa")
    assert read_arpa(tmp_path / "again.arpa").vocabulary.words() == model.vocabulary.words()


@pytest.mark.parametrize(
    ("line", "said"),
    [("-0.6\t</s>\n", "and so has every sentence"), ("-99\t<s>\t-0.5\n", "is no history")],
)
def test_a_sentence_mark_that_lacks_is_told(tmp_path, line, said):
    text = SMALL.replace(line, "").replace("ngram 1=4", "ngram 1=3")
    if "<s>" in line:
        text = text.replace("-0.2\t<s> a\n", "").replace("ngram 2=2", "ngram 2=1")
    with pytest.warns(UserWarning, match=f"{said}.*KenLM refuses such a file"):
        read_arpa(arpa(tmp_path, text))


@pytest.mark.parametrize("chunk", [1, 1 << 21])
def test_a_word_that_stands_twice_is_found_anywhere(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(arpa_files._text, "PIECE_BYTES", chunk)
    read_arpa(arpa(tmp_path, SMALL))
    for word, lines in (("a", "10 and 11"), ("</s>", "8 and 11")):
        text = SMALL.replace("-0.4\tb", f"-0.4\t{word}")
        with pytest.raises(ValueError, match=f"each 1-gram once, got '{word}' on lines {lines} of"):
            read_arpa(arpa(tmp_path, text))


def test_kenlm_numbers_of_what_is_impossible(tmp_path):
    """KenLM gives unknown words -100 where there is no <unk>, and -99 is the number that it is."""
    text = SMALL.replace("-0.4\tb\t0.1", "-99\tb\t-99")
    for name in ("m.arpa", "m.xent"):
        if name == "m.xent":
            read_arpa(tmp_path / "m.arpa").save(tmp_path / name)
        else:
            arpa(tmp_path, text)
        ours = kenlm.Model(tmp_path / name)
        found = [p for p, _, _ in ours.full_scores("a b zz b")]
        expected = [-0.2, -0.3, -99 - 100, -99, -99 - 0.6]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert ours.score("a b zz b") == pytest.approx(sum(expected), rel=1e-6)
    arpa(tmp_path, text.replace("-99\tb", "-120\tb"))
    assert kenlm.Model(tmp_path / "m.arpa").score("b", bos=False, eos=False) == pytest.approx(-120)


# ------------------------------------------------------------------ what a token is

CHINESE = ["今天天气很好", "我们今天去公园", "天气好我们去"]


@pytest.mark.parametrize("unit", ["character", "byte"])
def test_a_unit_travels_in_the_file(tmp_path, unit):
    model = NGramModel(3, WittenBell(), unit=unit, errors="keep").fit(CHINESE)
    path = tmp_path / "m.arpa"
    write_arpa(model, path)
    assert path.read_text().startswith(f"# xent: unit={unit} errors=keep\n\\data\\\n")
    again = read_arpa(path)
    assert (again.unit, again.errors) == (unit, "keep")
    np.testing.assert_array_equal(again.score(CHINESE), model.score(CHINESE))
    assert read_arpa(path, unit=unit, errors="strict").errors == "strict"
    with pytest.raises(ValueError, match=f"`unit` must be '{unit}', the model's own, got 'word'"):
        read_arpa(path, unit="word")
    # Where another tool has dropped the comment, it is said by hand.
    arpa(tmp_path, path.read_text().partition("\n")[2], "bare.arpa")
    assert read_arpa(tmp_path / "bare.arpa").unit == "word"
    told = read_arpa(tmp_path / "bare.arpa", unit=unit)
    np.testing.assert_array_equal(told.score(CHINESE), model.score(CHINESE))
    with pytest.raises(ValueError, match="`unit` must be 'word', 'character' or 'byte', got 'let"):
        read_arpa(path, unit="letter")
    model.save(tmp_path / "m.xent")
    for name, said in (("m.arpa", None), ("m.xent", None), ("bare.arpa", unit)):
        ours = kenlm.Model(tmp_path / name, unit=said)
        for line, logp in zip(CHINESE, model.score(CHINESE), strict=True):
            assert ours.score(line) == pytest.approx(logp / math.log(10), rel=1e-6)
            events = len(list(ours.full_scores(line)))
            assert events == 1 + len(line if unit == "character" else line.encode())
            assert ours.perplexity(line) == pytest.approx(10 ** (-ours.score(line) / events))
        assert pickle.loads(pickle.dumps(ours)).score(CHINESE[0]) == ours.score(CHINESE[0])
    with pytest.raises(ValueError, match="`sentence` must be one line, got several"):
        ours.score("天\n气")


def test_a_model_of_words_has_no_comment(tmp_path):
    write_arpa(fitted(corpus(0), 2, WittenBell()), tmp_path / "m.arpa")
    assert (tmp_path / "m.arpa").read_bytes().startswith(b"\\data\\\n")
    write_arpa(fitted(corpus(0), 2, WittenBell(), errors="keep"), tmp_path / "m.arpa")
    assert read_arpa(tmp_path / "m.arpa").errors == "keep"


@pytest.mark.parametrize(("name", "value"), [("backoff", np.inf), ("logp", np.nan)])
def test_what_is_not_finite_is_not_written(tmp_path, name, value):
    model = fitted(corpus(0), 2, WittenBell())
    getattr(model.backoff.rows[0], name)[4] = value
    what = {"backoff": "back-off weight inf", "logp": "log-probability nan"}[name]
    with pytest.raises(ValueError, match=f"No ARPA file can be written: a 1-gram has the {what}"):
        write_arpa(model, tmp_path / "m.arpa")
    assert not (tmp_path / "m.arpa").exists()


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="stupid back-off scores are no back-off probabilities"):
        write_arpa(NGramModel(2, StupidBackoff()).fit(["a"]), tmp_path / "m.arpa")
    characters = NGramModel(2, WittenBell(), unit="character").fit(["a b"])
    with pytest.raises(
        ValueError, match="the word ' ' is or holds white space, which separates words there"
    ):
        write_arpa(characters, tmp_path / "m.arpa")
    assert not os.listdir(tmp_path)


# ------------------------------------------------------------------ in place of KenLM


@pytest.fixture
def their_kenlm():
    return pytest.importorskip("kenlm", reason="the kenlm package is not installed")


@pytest.fixture
def path(tmp_path):
    model = fitted(corpus(0, 300), 4, KneserNey())
    write_arpa(model, tmp_path / "m.arpa")
    return str(tmp_path / "m.arpa")


SENTENCES = ["a b c", "", "a zz b", " d\u00a0e f ", "f f f f f f", "zz zz", "c d e a b a d"]
STRANGE = ["a\tb\x0bc\x0cd\re\nf", "\x1fa\x85 b", "a </s> b <unk>", "é a 日本 b"]


def test_kenlm_reads_ours(their_kenlm, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, ours = their_kenlm.Model(path), kenlm.Model(path)
    assert model.order == ours.order == 4
    for s in SENTENCES + STRANGE:
        for bos in (True, False):
            for eos in (True, False):
                assert ours.score(s, bos=bos, eos=eos) == pytest.approx(
                    model.score(s, bos=bos, eos=eos), abs=2e-5
                )
                full = list(ours.full_scores(s, bos=bos, eos=eos))
                expected = list(model.full_scores(s, bos=bos, eos=eos))
                assert [f[1:] for f in full] == [e[1:] for e in expected]
                np.testing.assert_allclose(
                    [f[0] for f in full], [e[0] for e in expected], atol=2e-6
                )
        assert ours.perplexity(s) == pytest.approx(model.perplexity(s), rel=1e-5)
    assert ("a" in ours, "zz" in ours) == ("a" in model, "zz" in model) == (True, False)
    fast = read_arpa(path).score(SENTENCES) / math.log(10)
    np.testing.assert_allclose(fast, [model.score(s) for s in SENTENCES], atol=2e-5)


def test_states_walk_alike(their_kenlm, path):
    model, ours = their_kenlm.Model(path), kenlm.Model(path)
    pairs = []
    for library, m in ((their_kenlm, model), (kenlm, ours)):
        state, after = library.State(), library.State()
        m.BeginSentenceWrite(state)
        steps = []
        for word in ["a", "b", "zz", "c", "a", "</s>"]:
            full = m.BaseFullScore(state, word, library.State())
            steps.append((m.BaseScore(state, word, after), full.ngram_length, full.oov))
            state, after = after, library.State()
        m.NullContextWrite(state)
        steps.append((m.BaseScore(state, "a", after), 1, False))
        pairs.append(steps)
    for (p, length, oov), (q, n, unknown) in zip(*pairs, strict=True):
        assert p == pytest.approx(q, abs=2e-6)
        assert (length, oov) == (n, unknown)


def test_a_sentence_is_its_words(path):
    """One call a sentence says what the words say one by one."""
    ours = kenlm.Model(path)
    for s in SENTENCES + STRANGE:
        state, total, words = kenlm.State(), 0.0, []
        ours.BeginSentenceWrite(state)
        for word in [*s.encode().split(), b"</s>"]:
            after = kenlm.State()
            words.append(tuple(ours.BaseFullScore(state, word.decode(), after)))
            assert tuple(ours.BaseFullScore(state, word, kenlm.State())) == words[-1]
            total += words[-1][0]
            state = after
        assert ours.score(s) == pytest.approx(total, rel=1e-12)
        assert list(ours.full_scores(s)) == words
        # Bytes too, as a file opened with "rb" has them.
        assert ours.score(s.encode()) == ours.score(s)
        assert list(ours.full_scores(s.encode())) == words
    with pytest.raises(TypeError, match="`sentence` must be str or bytes, got an int"):
        ours.score(5)


def test_states_compare():
    a, b = kenlm.State(), kenlm.State()
    assert a == b
    assert len({a, b}) == 1
    b.node = 3
    assert a != b


def test_drop_in_loads_our_files(tmp_path):
    model = fitted(corpus(0), 3, WittenBell())
    model.save(tmp_path / "m.xent")
    ours = kenlm.Model(tmp_path / "m.xent")
    assert ours.score("a b c") * math.log(10) == pytest.approx(model.score(["a b c"])[0])
    assert repr(ours) == "<Model from m.xent>"


def test_words_of_every_length(tmp_path):
    words = ["x" * n + chr(0x3B1 + n % 20) for n in range(1, 60)]
    model = NGramModel(2, WittenBell()).fit([" ".join(words), " ".join(reversed(words))])
    write_arpa(model, tmp_path / "lm.arpa")
    again = read_arpa(tmp_path / "lm.arpa")
    assert again.vocabulary.words() == model.vocabulary.words()
    assert again.counts() == model.counts()


def test_numbers_have_the_fewest_digits_that_read_back():
    luck = np.random.default_rng(0)
    values = -np.concatenate(
        [luck.uniform(0, 10, 3000), 10 ** luck.uniform(-11, 1.9, 3000), np.arange(99), [0.5, 2.25]]
    ).astype(np.float32)
    words = np.zeros((len(values), 1), np.uint32)
    out = np.empty(len(values) * 64, np.uint8)
    blob, starts = np.full(17, 119, np.uint8), np.array([0, 1])
    size = arpa_kernels.write_rows(words, blob, starts, values, values, out)
    for value, line in zip(values, out[:size].tobytes().decode().splitlines(), strict=True):
        first, word, second = line.split("\t")
        assert (first, word) == (second, "w")
        digits = next(d for d in range(6, 12) if np.float32(f"{value:.{d}e}") == value)
        assert np.float32(first) == value
        assert len(first.strip("-0.").replace(".", "")) <= digits + 1, (first, digits)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_a_model_in_another_encoding_says_how_to_convert_it(tmp_path, encoding):
    write_arpa(NGramModel(2, WittenBell()).fit(["a b", "b a"]), tmp_path / "m.arpa")
    text = (tmp_path / "m.arpa").read_text()
    (tmp_path / "n.arpa").write_bytes(text.encode(encoding))
    name = {"utf-16-le": "UTF-16LE"}.get(encoding, encoding.upper())
    said = f"iconv -f {name} -t UTF-8"
    with pytest.raises(ValueError, match=rf"`path` must be UTF-8, got {name} in .*{said}"):
        read_arpa(tmp_path / "n.arpa")
