"""What is said, read, kept and drawn under every option of the language room, by hand."""

import io
import math
from collections import Counter

import numpy as np
import pytest

from xent.language import (
    Evaluation,
    KneserNey,
    MaximumLikelihood,
    Mixture,
    NGramModel,
    WittenBell,
    buckets,
    compare,
    read_arpa,
    select,
    write_arpa,
    write_openfst,
)
from xent.language._backoff.estimate import min_counts
from xent.language._lines import _stream, _text
from xent.language.kenlm import Model
from xent.language.smoothing._kneser_ney import one_discount

TEXT = ["a b c a b", "b c", "a a b c d", "c b a"]


def evaluation(**changes):
    """Of 100 bits, of numbers that are all different."""
    figures = {
        "log_likelihood": -100 * math.log(2), "events": 20, "sentences": 4, "words": 16,
        "unknown": 3, "zeros": 0, "log_likelihood_known": -51 * math.log(2), "events_known": 17,
        "matched": (0.25, 0.625, 0.125), "characters": 62, "bytes": 80, "model": "M",
        "spelling_bits": 24.0,
    }  # fmt: skip
    return Evaluation(**{**figures, **changes})


def test_every_line_of_an_evaluation():
    assert str(evaluation()) == "\n".join(
        [
            "M",
            "  perplexity          32.0000",
            "    unknown left out  8.0000",
            "  bits an event       5.00000",
            "  bits a word         6.25000",
            "  bits a character    2.00000",
            "  bits a byte         1.55000",
            "    unknown spelt     0.30000",
            "  events 20, sentences 4, unknown 3, impossible 0",
            "  matched n-grams     1: 25.0 %, 2: 62.5 %, 3: 12.5 %",
        ]
    )
    said = str(evaluation(is_distribution=False, characters=None, bytes=None))
    assert said.endswith("\n  These scores are no probabilities: they compare with nothing.")
    assert "bits a byte         nan\n    unknown spelt     nan" in said


def test_every_figure_of_an_evaluation():
    found = evaluation().summary()
    figures = {
        "perplexity": 32.0, "cross_entropy": 5 * math.log(2), "bits": 5.0,
        "perplexity_known": 8.0, "cross_entropy_known": 3 * math.log(2), "bits_per_word": 6.25,
        "bits_per_character": 2.0, "bits_per_byte": 1.55,
    }  # fmt: skip
    assert {name: found[name] for name in figures} == pytest.approx(figures)
    endless = evaluation(log_likelihood=-math.inf, zeros=1, characters=None).summary()
    assert {name for name in figures if endless[name] is None} == {*figures} - {
        "perplexity_known",
        "cross_entropy_known",
    }


class Judged:
    """A model that has been evaluated before."""

    unknown, is_closed = "word", False

    def __init__(self, **figures):
        self.found, self.vocabulary = evaluation(**figures), self

    def same_words(self, other):
        return True

    def evaluate(self, text, *, spelling):
        return self.found


def test_models_stand_in_the_order_that_was_asked_for():
    models = {
        "many events": Judged(events=50, bytes=60),
        "few": Judged(events=10, bytes=90),
        "between": Judged(events=20, bytes=70),
    }
    assert [*compare(models, ["a"])] == ["many events", "between", "few"]
    assert [*compare(models, ["a"], by="bits_per_byte")] == ["few", "between", "many events"]


# ------------------------------------------------------------------ what is drawn, and what comes


def test_a_sentence_goes_on_from_its_beginning():
    """Four words before decide the next, and the words that were given stand first."""
    model = NGramModel(5, MaximumLikelihood()).fit(["a b c d e f", "x b c d g h", "y c d k l m"])
    for seed in range(5):
        for first, rest in (("a", "bcdef"), ("x", "bcdgh"), ("y", "cdklm")):
            assert model.sample(seed, context=[first]) == [first, *rest]
    assert model.sample(0, context=list("ab"), most=2) == list("abcd")


@pytest.mark.parametrize("tokens", [False, True])
def test_what_comes_after_a_beginning_and_after_nothing(tokens):
    model = NGramModel(3, MaximumLikelihood()).fit(["a b", "a b", "b a", "a a"])
    words = model.vocabulary.words()

    def found(context, begin):
        p = model.distribution(context.split() if tokens else context, begin=begin)
        return {w: round(float(x), 6) for w, x in zip(words, p, strict=True) if x > 0}

    assert found("", True) == {"a": 0.75, "b": 0.25}
    everything = Counter(["a", "b", "</s>", "a", "b", "</s>", "b", "a", "</s>", "a", "a", "</s>"])
    assert found("", False) == {w: round(n / 12, 6) for w, n in everything.items()}
    assert found("a", True) == {"b": round(2 / 3, 6), "a": round(1 / 3, 6)}
    assert found("a", False) == {"b": 0.4, "a": 0.2, "</s>": 0.4}


# ------------------------------------------------------------------ which counts, and how few


@pytest.mark.parametrize(
    ("given", "order", "wanted"),
    [
        (None, 3, [1, 1, 1]),
        (2, 3, [1, 2, 2]),
        ({1: 2}, 3, [2, 1, 1]),
        ({3: 4}, 3, [1, 1, 4]),
        ({2: 3, 4: 5}, 3, [1, 3, 1]),
    ],
)
def test_least_counts_of_each_order(given, order, wanted):
    assert min_counts(given, order, KneserNey()) == wanted


@pytest.mark.parametrize("least", [1, 2, 3, 4])
def test_words_that_are_too_rare_are_unknown(least):
    """From a text and from its counts alike."""
    counts = Counter()
    for line in TEXT:
        words = ["<s>", *line.split(), "</s>"]
        for n in (1, 2):
            counts.update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    for fit in ("fit", "fit_counts"):
        model = NGramModel(2, WittenBell(), min_count={1: least})
        getattr(model, fit)(TEXT if fit == "fit" else counts)
        times = Counter(" ".join(TEXT).split())
        kept = {word for word, n in times.items() if n >= least}
        assert {*model.vocabulary.words()} - {"<unk>", "<s>", "</s>"} == kept


@pytest.mark.parametrize(
    ("counts", "missing"), [([2, 2, 3], "once"), ([1, 1, 3], "twice"), ([3, 4], "once")]
)
def test_which_count_a_discount_lacks(counts, missing):
    seen = np.bincount(counts, minlength=3)
    with pytest.warns(UserWarning, match=f"no n-gram was seen exactly {missing}, so"):
        assert one_discount(seen, "This") == 0.75


@pytest.mark.parametrize(
    ("counts", "missing"),
    [
        ([2, 3, 4], "once"), ([1, 1, 3, 4], "twice"), ([1, 1, 2, 4], "three times"),
        ([4, 5], "once"), ([1, 1, 4], "twice"),
    ],
)  # fmt: skip
def test_which_count_three_discounts_lack(counts, missing):
    with pytest.warns(UserWarning, match=f"no 2-gram was seen exactly {missing}. It uses 0.5, 1"):
        assert KneserNey().discounts(2, np.array(counts, np.uint32)) == (0.5, 1.0, 1.5)


@pytest.mark.parametrize("unknown", ["word", "open", "closed", "removed"])
def test_counts_of_unknown_words_under_both_names(unknown):
    counts = {("a",): 2, ("<UNK>",): 3, ("<unk>",): 4, ("z",): 5, ("</s>",): 1}
    for smoothing in (MaximumLikelihood(), WittenBell()):
        model = NGramModel(1, smoothing, unknown=unknown, vocabulary=["a"]).fit_counts(counts)
        p = dict(zip(model.vocabulary.words(), model.distribution(""), strict=True))
        times = {"word": 7, "open": 12, "closed": 0, "removed": 0}[unknown]
        if isinstance(smoothing, MaximumLikelihood):
            assert p["<unk>"] == pytest.approx(times / (times + 3))
        else:
            assert (p["<unk>"] > 0) == (times > 0)
        assert sum(p.values()) == pytest.approx(1)


@pytest.mark.filterwarnings("ignore:`counts` lists")
def test_the_first_count_whose_part_is_missing_is_named():
    whole = {("<s>",): 0, ("a",): 2, ("b",): 2, ("</s>",): 1, ("a", "b"): 1, ("b", "a"): 1}
    model = NGramModel(3, WittenBell())
    model.fit_counts({**whole, ("a", "b", "a"): 1})
    with pytest.raises(ValueError, match="got 'b b a' without 'b b'"):
        model.fit_counts({**whole, ("a", "b", "a"): 1, ("b", "b", "a"): 1})
    with pytest.raises(ValueError, match="got 'a b b' without 'b b'"):
        model.fit_counts({**whole, ("a", "b", "a"): 1, ("a", "b", "b"): 1})


# ------------------------------------------------------------------ what is read and written


@pytest.mark.parametrize("unit", ["word", "character", "byte"])
@pytest.mark.parametrize("errors", ["strict", "keep"])
def test_an_arpa_file_says_how_text_is_read(errors, unit, tmp_path):
    model = NGramModel(2, WittenBell(), unit=unit, errors=errors).fit(["ab ba", "b"])
    if unit == "character":
        model = NGramModel(2, WittenBell(), unit=unit, errors=errors).fit(["abba", "b"])
    write_arpa(model, tmp_path / "x.arpa")
    found = read_arpa(tmp_path / "x.arpa")
    assert (found.unit, found.errors) == (unit, errors)
    (tmp_path / "bad.txt").write_bytes(b"a \xff b\n" if unit == "word" else b"a\xffb\n")
    if errors == "strict":
        with pytest.raises(ValueError, match="UTF-8"):
            found.evaluate(tmp_path / "bad.txt")
    else:
        assert found.evaluate(tmp_path / "bad.txt").sentences == 1


@pytest.mark.parametrize("keeps", [0, 1])
def test_a_mixture_reads_as_its_first_model_does(keeps, tmp_path):
    policy = ["keep" if i == keeps else "strict" for i in range(2)]
    models = [NGramModel(2, WittenBell(), errors=e).fit(["a b", "b"]) for e in policy]
    mixture = Mixture(models, [0.5, 0.5])
    (tmp_path / "bad.txt").write_bytes(b"a \xff b\n")
    for one in (mixture, mixture.merged()):
        if keeps == 0:
            assert one.evaluate(tmp_path / "bad.txt").unknown == 1
        else:
            with pytest.raises(ValueError, match="UTF-8"):
                one.evaluate(tmp_path / "bad.txt")


@pytest.mark.parametrize("unit", ["word", "character"])
def test_tokens_are_as_long_as_their_lines(unit):
    lines = ["a bb ä", "", "c", "a", ""]
    tokens = [line.split() if unit == "word" else [*line] for line in lines]
    model = NGramModel(2, WittenBell(), unit=unit).fit(["a b", "c a"])
    found = [model.evaluate(text) for text in (lines, tokens)]
    for name in ("characters", "bytes", "events", "unknown", "spelling_bits", "log_likelihood"):
        one, other = (getattr(each, name) for each in found)
        assert one == pytest.approx(other), name
    assert found[0].bytes == sum(len(line.encode()) + 1 for line in lines)


def test_a_line_that_is_too_long_is_named_past_the_first_piece(monkeypatch):
    monkeypatch.setattr(_text, "PIECE_BYTES", 200)
    lines = [b"x" * 40] * 10
    for at in (0, 4, 10):
        text = b"".join(line + b"\n" for line in [*lines[:at], b"y" * 60, *lines[at:]])
        with (
            _text.longest_line(50),
            pytest.raises(ValueError, match=f"a longer one on line {at + 1}"),
        ):
            list(_text.whole_lines(io.BytesIO(text)))


def test_a_bad_record_is_named_past_the_first_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(_text, "PIECE_BYTES", 64)
    path = tmp_path / "x.jsonl"
    path.write_text('{"t": "a"}\n' * 20 + '{"u": 1}\n')
    with pytest.raises(ValueError, match="line 21 without it"):
        list(_stream.records(path, "t"))


@pytest.fixture
def filtered(tmp_path):
    model = NGramModel(2, WittenBell()).fit(TEXT)
    lines = ["a b c", "d d d d", "c b a b a b", "b"]
    (tmp_path / "in.txt").write_text("".join(line + "\n" for line in lines))
    nats = model.score(lines)
    score = {
        "perplexity": [
            2 ** (-n / math.log(2) / (len(x.split()) + 1)) for n, x in zip(nats, lines, strict=True)
        ],
        "bits_per_byte": [
            -n / math.log(2) / (len(x) + 1) for n, x in zip(nats, lines, strict=True)
        ],
    }

    def run(**options):
        done = _stream.filter_file(model, tmp_path / "in.txt", tmp_path / "out.txt", **options)
        return done, (tmp_path / "out.txt").read_text().splitlines()

    return lines, score, run


@pytest.mark.parametrize("by", ["perplexity", "bits_per_byte"])
def test_lines_are_kept_up_to_both_ends(by, filtered, tmp_path):
    lines, score, run = filtered
    model = NGramModel(2, WittenBell()).fit(TEXT)
    (some,) = _stream.scored(model, tmp_path / "in.txt")
    exact = sorted(some.by(by).tolist())
    assert exact == pytest.approx(sorted(score[by]))
    order = np.argsort(some.by(by))
    for low in range(4):
        for high in range(low, 4):
            done, kept = run(by=by, at_least=exact[low], at_most=exact[high])
            assert {*kept} == {lines[i] for i in order[low : high + 1]}
            assert (done.records, done.kept, done.bad) == (4, len(kept), 0)
            assert (done.tokens, done.bytes) == (14 + 4, sum(map(len, lines)) + 4)
    for share in (0.0, 0.25, 0.5, 1.0):
        _, kept = run(by=by, keep=share)
        assert {*kept} == {lines[i] for i in order[: round(4 * share)]}


@pytest.mark.parametrize("by", ["perplexity", "bits_per_byte"])
def test_scores_beside_lines_have_six_digits(by, filtered):
    lines, score, run = filtered
    _, kept = run(by=by, annotate=True, at_least=0.0)
    assert kept == [f"{value:.6g}\t{line}" for value, line in zip(score[by], lines, strict=True)]


# ------------------------------------------------------------------ which lines are chosen


def test_lines_that_both_models_find_as_likely_are_not_chosen():
    model = NGramModel(2, WittenBell()).fit(TEXT)
    found = select(TEXT, model, model)
    assert found.difference.tolist() == [0.0] * 4
    assert found.chosen.tolist() == []
    assert select(TEXT, model, model, below=1e-9).chosen.tolist() == [0, 1, 2, 3]
    assert select(TEXT, model, model, share=0.5).chosen.tolist() == [0, 1]


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.25, 0.25, 0.5), (0.75, 0.25), (1.0,)])
def test_buckets_have_the_shares_that_were_asked_for(shares):
    model = NGramModel(2, WittenBell()).fit(TEXT)
    cost = [-s / (len(x.split()) + 1) for s, x in zip(model.score(TEXT), TEXT, strict=True)]
    found = buckets(TEXT, model, shares)
    order = [k for k, share in enumerate(shares) for _ in range(round(4 * share))]
    assert [found[i] for i in np.argsort(cost, kind="stable")] == order


@pytest.mark.parametrize("unknown", ["word", "closed"])
def test_unknown_words_are_arcs_where_they_are_words(unknown, tmp_path):
    model = NGramModel(2, WittenBell(), unknown=unknown).fit(["a b", "b"])
    write_openfst(model, tmp_path / "x.txt", tmp_path / "x.syms")
    labels = [
        line.split("\t")[2]
        for line in (tmp_path / "x.txt").read_text().splitlines()
        if line.count("\t") > 1
    ]
    assert ("<unk>" in labels) == (unknown == "word")
    assert "<s>" not in labels


@pytest.mark.parametrize("unit", ["word", "character"])
def test_perplexity_of_a_sentence_has_one_event_more_than_tokens(unit, tmp_path):
    model = NGramModel(2, WittenBell(), unit=unit).fit(
        ["a b", "b"] if unit == "word" else ["ab", "b"]
    )
    write_arpa(model, tmp_path / "x.arpa")
    read = Model(tmp_path / "x.arpa")
    for sentence, events in (("", 1), ("b", 2), ("a b" if unit == "word" else "ab", 3)):
        total = sum(logp for logp, _, _ in read.full_scores(sentence))
        assert read.perplexity(sentence) == pytest.approx(10 ** (-total / events))


@pytest.mark.parametrize("unknown", ["word", "closed"])
def test_what_kenlm_says_of_unknown_words_and_of_what_never_came(unknown, tmp_path):
    """-100 where the model has no `<unk>`, as KenLM does; -99 for what has probability 0."""
    model = NGramModel(2, MaximumLikelihood(), unknown=unknown, vocabulary=["a", "b", "c"])
    model.fit(["a b", "a b"]).save(tmp_path / "x.xent")
    read = Model(tmp_path / "x.xent")
    (logp, _, oov), *_ = read.full_scores("zzz", bos=False, eos=False)
    assert oov
    assert logp == (-100 if unknown == "closed" else -99)
    (logp, _, oov), *_ = read.full_scores("c", bos=False, eos=False)
    assert (logp, oov) == (-99, False)
