"""The compact form: small, close to the model it was made of, and one model whichever way it is read."""

import copy
import math
import os
import pickle
import warnings
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from xent.language._backoff.compact import codebook
from xent.language._kernels import compact as kernels

REFERENCE = Path(__file__).parents[2] / ".." / "shared" / "reference" / "language"


def packed(model, path, **how):
    model.save(path, compact=True)
    return NGramModel.load(path, **how)


def manual(part):
    """Return lines of Python's reference manual, which comes with it: one in ten, or the others."""
    lines = [line for text in topics.values() for line in text.split("\n") if line.strip()]
    return lines[::10] if part == "test" else [x for i, x in enumerate(lines) if i % 10]


@pytest.fixture(scope="module")
def large():
    return NGramModel(4).fit(manual("train"))


@pytest.fixture(scope="module")
def small(large, tmp_path_factory):
    return packed(large, tmp_path_factory.mktemp("compact") / "m.xent")


# ------------------------------------------------------------------ packing


@given(st.integers(1, 33), st.lists(st.integers(0, 2**33 - 1), max_size=80))
def test_bits_come_back(width, values):
    values = np.array(values, np.int64) % (1 << width)
    bits = np.zeros(len(values) * width // 64 + 2, np.uint64)
    kernels.pack_bits(values, width, bits)
    whole = sum(int(v) << (i * width) for i, v in enumerate(values.tolist()))
    assert int.from_bytes(bits.tobytes(), "little") == whole
    again = np.empty(len(values), np.int64)
    kernels.unpack_bits(bits, width, again)
    np.testing.assert_array_equal(again, values)


@settings(max_examples=30)
@given(st.lists(st.sampled_from([-4.5, -3.0, -2.5, -1.0, -0.25]), min_size=1, max_size=50))
def test_few_values_stay_as_they_are(values):
    assert codebook(np.array(values, np.float32), 254).tolist() == sorted(set(values))


def test_codebook_is_at_rest():
    """Each value stands for those nearest to it, and is their mean (Lloyd's two conditions)."""
    values = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    book = codebook(values, 4)
    nearest = np.abs(values[:, None] - book).argmin(axis=1)
    means = [values[nearest == k].mean() for k in range(4)]
    np.testing.assert_allclose(book, means, atol=0.01)
    # Max (1960), table I: the four levels that quantise the normal distribution best.
    np.testing.assert_allclose(book, [-1.510, -0.4528, 0.4528, 1.510], atol=0.05)


# ------------------------------------------------------------------ one model


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "smoothing",
    [WittenBell(), MaximumLikelihood(), KneserNey(discount=0.7), StupidBackoff()],
    ids=lambda s: type(s).__name__,
)
@pytest.mark.parametrize("unknown", ["word", "closed"])
def test_a_small_model_is_exact(tmp_path, order, smoothing, unknown):
    """With at most 254 different numbers an order nothing is rounded."""
    model = fitted(corpus(6, 12), order, smoothing, unknown=unknown)
    assert all(len(np.unique(r.logp)) <= 254 for r in model.backoff.rows[1:])
    again = packed(model, tmp_path / "m.xent")
    test = [*(" ".join(s) for s in corpus(7)), "a zz b", ""]
    np.testing.assert_array_equal(again.score(test), model.score(test))
    assert repr(again) == repr(model)
    assert again.counts() == model.counts()
    np.testing.assert_array_equal(again.distribution(["a"]), model.distribution(["a"]))
    if not isinstance(smoothing, StupidBackoff):
        assert again.evaluate(test) == model.evaluate(test)


def test_levels_without_ngrams(tmp_path):
    model = NGramModel(4, WittenBell(), min_count={3: 9, 4: 9}).fit(["a b c d", "b c"])
    assert model.counts()[2:] == [0, 0]
    again = packed(model, tmp_path / "m.xent")
    np.testing.assert_array_equal(again.score(["a b c d"]), model.score(["a b c d"]))


def test_small_and_close(large, small, tmp_path):
    test = manual("test")
    large.save(tmp_path / "m.xent", compact=True)
    assert os.path.getsize(tmp_path / "m.xent") <= 6 * sum(large.counts())
    ratio = small.evaluate(test).perplexity / large.evaluate(test).perplexity
    assert abs(ratio - 1) < 0.002
    assert ratio != 1  # it was rounded


def test_trie_and_automaton_agree(small):
    """The packed trie, its ARPA file and the unpacked automaton are one model, to the last bit."""
    test = manual("test")[:500]
    ids = next(iter(small.reader().ids(test)))
    starts = np.append(np.flatnonzero(ids == 1), len(ids))
    logp, lengths = small.backoff.score(ids, starts, lengths=True)
    expected, theirs = small.backoff.unpacked.score(ids, starts, lengths=True)
    np.testing.assert_array_equal(logp, expected)
    np.testing.assert_array_equal(lengths, theirs)
    assert set(lengths) == {1, 2, 3, 4}


def test_structure_comes_back(large, small):
    for ours, theirs in zip(small.backoff.rows, large.backoff.rows, strict=True):
        for name in ("prefix", "word", "suffix"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)


def test_arpa_of_it(small, tmp_path):
    test = manual("test")[:200]
    write_arpa(small, tmp_path / "m.arpa")
    np.testing.assert_array_equal(read_arpa(tmp_path / "m.arpa").score(test), small.score(test))
    theirs = pytest.importorskip("kenlm", reason="the kenlm package is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = theirs.Model(str(tmp_path / "m.arpa"))
    expected = [model.score(line) for line in test]
    np.testing.assert_allclose(small.score(test) / math.log(10), expected, atol=2e-4)


def test_models_without_every_suffix(tmp_path):
    """In a pruned file the longest suffix that is there counts."""
    text = (
        "\\data\\\nngram 1=5\nngram 2=2\nngram 3=1\n\n\\1-grams:\n-1\tb\t-0.2\n-1\t<unk>\n-1\t</s>\n"
        "-99\t<s>\t-0.3\n-1\ta\t-0.1\n\n\\2-grams:\n-0.5\tb a\t-0.4\n-0.6\ta b\n\n"
        "\\3-grams:\n-0.7\tb a a\n\n\\end\\\n"
    )
    (tmp_path / "m.arpa").write_text(text)
    again = packed(read_arpa(tmp_path / "m.arpa"), tmp_path / "m.xent")
    logs = again.token_log_probs(["b a a b"]).values / math.log(10)
    np.testing.assert_allclose(logs, [-0.3 - 1, -0.5, -0.7, -0.6, -0.2 - 1], rtol=1e-6)


@pytest.mark.parametrize("mmap", [True, False])
def test_kept_copied_and_pickled(large, tmp_path, mmap):
    test = manual("test")[:50]
    again = packed(large, tmp_path / "m.xent", mmap=mmap)
    scores = again.score(test)
    for other in (
        pickle.loads(pickle.dumps(again)),
        copy.deepcopy(again),
        packed(again, tmp_path / "again.xent"),
    ):
        np.testing.assert_array_equal(other.score(test), scores)
    assert (tmp_path / "m.xent").read_bytes() == (tmp_path / "again.xent").read_bytes()
    again.save(tmp_path / "full.xent")  # unpacked for good
    np.testing.assert_array_equal(NGramModel.load(tmp_path / "full.xent").score(test), scores)


def test_everything_else_works_on_it(small, tmp_path):
    line = manual("test")[:1][0]
    assert abs(small.distribution(line.split()[:2]).sum() - 1) < 0.02
    assert sum(small.prune(1e-4).counts()) < sum(small.counts())
    small.save(tmp_path / "m.xent", compact=True)
    drop_in = kenlm.Model(tmp_path / "m.xent")
    assert drop_in.score(line) * math.log(10) == pytest.approx(small.score([line])[0], rel=1e-6)


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference texts are not here")
@pytest.mark.parametrize("order", [3, 5])
def test_size_and_perplexity_on_text(tmp_path, order):
    model = NGramModel(order).fit(REFERENCE / "train.txt.gz")
    again = packed(model, tmp_path / "m.xent")
    assert os.path.getsize(tmp_path / "m.xent") <= 6 * sum(model.counts())
    before = model.evaluate(REFERENCE / "test.txt.gz").perplexity
    after = again.evaluate(REFERENCE / "test.txt.gz").perplexity
    assert abs(after / before - 1) < 0.002
