"""What pruning loses and what held-out text teaches, by brute force over every word."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from xent.language import JelinekMercer, MaximumLikelihood, NGramModel, WittenBell
from xent.language._lines import _stream
from xent.language._lines._stream import filter_file

LINES = ["a b c", "a b", "b a", "a c c", "c a b", "a b c a"]


def losses(model, text):
    """Of every 2-gram, what taking it out alone costs, weighed by how frequent its history is.

    `<s>` is as frequent as `</s>`. Stolcke (1998).
    """
    words = model.vocabulary.words()
    place = {word: i for i, word in enumerate(words)}
    low = model.distribution("", begin=False)
    seen = {
        pair
        for line in text
        for pair in zip(["<s>", *line.split()], [*line.split(), "</s>"], strict=True)
    }
    found = []
    for h, w in seen:
        p = model.distribution("") if h == "<s>" else model.distribution(h, begin=False)
        own = low[place["</s>" if h == "<s>" else h]]
        others = [place[x] for g, x in seen if g == h and x != w]
        left = (1 - p[others].sum()) / (1 - low[others].sum())
        after = left * low
        after[others] = p[others]
        some = p > 0
        found.append(own * float((p[some] * np.log(p[some] / after[some])).sum()))
    return sorted(found)


def test_pruning_takes_what_costs_less_than_it_may():
    model = NGramModel(2, WittenBell()).fit(LINES)
    found = losses(model, LINES)
    assert len(found) == model.counts()[1]
    for i, (one, other) in enumerate(itertools.pairwise(found)):
        if other - one > 1e-4 * other and one > 1e-7:
            most = math.expm1((one + other) / 2)
            assert model.prune(most).counts()[1] == len(found) - 1 - i
    assert model.prune(math.expm1(found[0] * 0.99)).counts()[1] == len(found)
    assert model.prune(math.expm1(found[-1] * 1.01)).counts()[1] == 0


@pytest.mark.parametrize("entropy", [1e-6, 1e-3, 1e-2, 0.03, 0.1])
def test_what_is_left_is_a_distribution_after_every_history(entropy):
    model = NGramModel(3, WittenBell()).fit([*LINES, "d a d b", "c c d d a b c"])
    small = model.prune(entropy)
    for h in ("", "a", "b", "a b", "b c", "c c", "d a"):
        for begin in (True, False):
            assert small.distribution(h, begin=begin).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("held_out", [None, ["a", "b b", "c a"], ["a a d", "a z"]])
def test_the_weight_that_makes_other_text_most_likely(held_out):
    """Without such a text each event is left out of its own counts: d is there once."""
    lines = [*LINES, "d"]
    model = NGramModel(1, JelinekMercer()).fit(lines, held_out=held_out)
    words = model.vocabulary.words()
    events = [w for line in lines for w in [*line.split(), "</s>"]]
    number = {w: events.count(w) for w in words}
    even = 1 / (len(words) - 1)  # all but <s>
    text = events
    if held_out is not None:
        text = [w if w in words else "<unk>" for line in held_out for w in [*line.split(), "</s>"]]

    def cost(weight):
        less = held_out is None
        share = [(number[w] - less) / (len(events) - less) for w in text]
        return -sum(math.log(weight * f + (1 - weight) * even) for f in share)

    best = minimize_scalar(
        cost, bounds=(1e-6, 1 - 1e-6), method="bounded", options={"xatol": 1e-9}
    ).x
    for word, p in zip(words, model.distribution(""), strict=True):
        wanted = 0 if word == "<s>" else best * number[word] / len(events) + (1 - best) * even
        assert p == pytest.approx(wanted, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(("unit", "edges"), [("word", 1), ("character", 0), ("byte", 0)])
def test_an_unknown_token_pays_for_its_bytes_and_a_word_for_its_end(unit, edges):
    model = NGramModel(2, WittenBell(), unit=unit).fit(["a b" if unit == "word" else "ab"])
    for text, letters in (("z", 1), ("ä", 2)):
        assert model.evaluate([text]).spelling_bits == 8 * (letters + edges)


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_a_share_is_of_the_lines_that_have_a_score(share, tmp_path):
    good = [f'{{"t": "{line}"}}' for line in LINES[:4]]
    (tmp_path / "in").write_text("\n".join(["{", good[0], "3", *good[1:], "{}", "[]"]) + "\n")
    model = NGramModel(2, WittenBell()).fit(LINES)
    done = filter_file(
        model, tmp_path / "in", tmp_path / "out", field="t", keep=share, skip_bad=True
    )
    assert (done.records, done.bad, done.kept) == (8, 4, round(4 * share))


def test_what_is_certain_is_an_event_too(tmp_path):
    model = NGramModel(3, MaximumLikelihood(), unknown="closed", vocabulary=["a"]).fit(["a"])
    (tmp_path / "in").write_text("a\na z\n")
    events = [each.events for each in _stream.scored(model, tmp_path / "in")]
    assert np.concatenate(events).tolist() == [2, 2]
    assert filter_file(model, tmp_path / "in", tmp_path / "out").tokens == 4
