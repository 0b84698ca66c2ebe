"""The drop-in for the kenlm module: what pyctcdecode and transformers ask of it, and its numbers."""

import copy
import itertools
import os
import pickle
import warnings

import numpy as np
import pytest

from language.kenlm_writer import TRIE, write
from language.test_kenlm_binary import EXAMPLE, KINDS, changed, levels, lines, saved, slow
from language.test_smoothing import corpus, fitted
from xent.language import KneserNey, Mixture, WittenBell, kenlm, write_arpa

SMALL = """\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-0.6\t</s>
-99\t<s>\t-0.5
-0.7\ta\t-0.25
-99\tb\t-0.1

\\2-grams:
-0.2\t<s> a
-0.3\ta b

\\end\\
"""


@pytest.fixture
def their_kenlm():
    return pytest.importorskip("kenlm", reason="the kenlm package is not installed")


@pytest.fixture
def arpa(tmp_path):
    write_arpa(fitted(corpus(0, 300), 4, KneserNey()), tmp_path / "m.arpa")
    return tmp_path / "m.arpa"


def test_without_unk_as_kenlm_prints_it(tmp_path):
    """What kenlm 0.3.0 gave for this file: -100 for unknown words, -99 as it stands there."""
    (tmp_path / "s.arpa").write_text(SMALL)
    model = kenlm.Model(str(tmp_path / "s.arpa"))
    expected = [
        (-0.20000000298023224, 2, False),
        (-0.30000001192092896, 2, False),
        (-100.0999984741211, 1, True),
        (-99.0, 1, False),
        (-100.0999984741211, 1, True),
        (-99.0, 1, False),
        (-0.20000000298023224, 2, False),
        (-0.8500000238418579, 1, False),
    ]
    assert list(model.full_scores("a b zz b <unk> <s> a")) == expected
    assert model.score("a b zz b") == pytest.approx(-200.3000030517578, abs=1e-5)


def test_words_are_parted_as_python_parts_bytes(tmp_path):
    (tmp_path / "s.arpa").write_text(SMALL)
    model = kenlm.Model(str(tmp_path / "s.arpa"))
    words = {}
    for letter in map(chr, range(1, 128)):
        text = f"a{letter}b"
        words[letter] = len(text.encode().split())
        assert len(list(model.full_scores(text, eos=False))) == words[letter], repr(letter)
        if words[letter] == 2:
            assert model.score(f"{letter}{text}{letter}") == model.score("a b")
    assert sum(n == 2 for n in words.values()) == 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strings", [True, False])
def test_binaries_score_as_their_numbers(tmp_path, kind, strings):
    found = levels(4)
    path = saved(tmp_path, write(found, kind, strings=strings))
    config = kenlm.Config()
    config.load_method = kenlm.LoadMethod.READ if strings else kenlm.LoadMethod.LAZY
    model = kenlm.Model(path, config)
    assert model.order == 4
    for line in lines():
        for bos in (True, False):
            expected = slow(found, line, bos)
            text = "\t".join(line)
            full = list(model.full_scores(text, bos=bos))
            assert [(p, n) for p, n, _ in full] == expected
            unknown = [(w,) not in found[0] or w == "<unk>" for w in line] + [False]
            assert [oov for _, _, oov in full] == unknown
            assert list(model.full_scores(text, bos=bos, eos=False)) == full[:-1]
            assert model.score(text, bos=bos) == pytest.approx(sum(p for p, _ in expected))
            assert model.score(text.encode(), bos=bos, eos=False) == pytest.approx(
                sum(p for p, _ in expected[:-1])
            )
    assert ("a" in model, "zz" in model, "<s>" in model, "<unk>" in model) == (1, 0, 1, 0)


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_walking_word_by_word(tmp_path, arpa, kind):
    path = arpa if kind is None else saved(tmp_path, write(levels(4), kind))
    model = kenlm.Model(path)
    states = {}
    for line in lines():
        state, out = kenlm.State(), kenlm.State()
        model.BeginSentenceWrite(state)
        full = iter(model.full_scores(" ".join(line)))
        for i, word in enumerate([*line, "</s>"]):
            expected = next(full)
            assert model.BaseScore(state, word, out) == expected[0]
            assert tuple(model.BaseFullScore(state, word, out)) == expected
            state, out = out, kenlm.State()
            states.setdefault(state, []).append([*line, "</s>"][: i + 1])
    assert len(states) > 10
    # Equal states have the same future, whatever led to them.
    for state in states:
        twin = copy.copy(state)
        assert (twin == state, hash(twin) == hash(state)) == (True, True)
        after = [model.BaseScore(s, "a", kenlm.State()) for s in (state, copy.deepcopy(state))]
        assert after[0] == after[1]
    ordered = sorted(states)
    for a, b in itertools.pairwise(ordered):
        assert (a < b, a <= b, a == b, a != b, a > b, a >= b) == (1, 1, 0, 1, 0, 0)
    null, begin = kenlm.State(), kenlm.State()
    model.NullContextWrite(null)
    model.BeginSentenceWrite(begin)
    assert null < begin
    assert not begin < null
    assert null <= null
    assert null == kenlm.State()
    with pytest.raises(TypeError):
        sorted([null, 3])
    assert null != 3


def test_binaries_and_arpa_walk_alike(tmp_path):
    """A trie and the ARPA file of it give the same numbers, lengths and equalities of states."""
    (tmp_path / "b").write_bytes(write(EXAMPLE, TRIE))
    binary = kenlm.Model(tmp_path / "b")
    expected = [(-0.5, 2), (-0.25, 3), (-2.5625, 1), (-0.5, 1), (-0.375, 2)]
    assert [(p, n) for p, n, _ in binary.full_scores("a b c a")] == expected
    states = []
    for words in (["b"], ["c", "b"], ["a", "b"]):
        state = kenlm.State()
        for word in words:
            binary.BaseScore(state, word, state)
        states.append(state)
    assert states[0] == states[1]
    assert states[0] != states[2]
    assert states[0] < states[2]  # the history is longer


def test_path_is_bytes(arpa):
    """pyctcdecode decodes it, and copies the file from there."""
    for given in (str(arpa), arpa, os.fsencode(arpa), os.path.relpath(arpa)):
        model = kenlm.Model(given)
        assert model.path == os.fsencode(arpa)
        assert os.path.split(model.path.decode("utf-8"))[1] == "m.arpa"
        assert repr(model) == "<Model from m.arpa>"
    config = kenlm.Config()
    config.show_progress = False
    again = pickle.loads(pickle.dumps(kenlm.Model(arpa, config)))
    assert (again.path, again.score("a b")) == (model.path, model.score("a b"))


def test_config(tmp_path, arpa):
    config = kenlm.Config()
    assert (config.load_method, config.show_progress, config.arpa_complain) == (2, True, 0)
    with pytest.raises(ValueError, match="`load_method` must be one of LoadMethod, got 17"):
        config.load_method = 17
    with pytest.raises(ValueError, match="`arpa_complain` must be one of ARPALoadComplain"):
        config.arpa_complain = "x"
    with pytest.raises(AttributeError, match="no setting 'enumerate_vocab'"):
        config.enumerate_vocab = None
    with pytest.raises(TypeError, match="`config` must be a Config, got an int"):
        kenlm.Model(arpa, 5)
    # Without </s> a model is warned of, or not.
    (tmp_path / "m.arpa").write_text(SMALL.replace("-0.6\t</s>\n", "").replace("1=4", "1=3"))
    with pytest.warns(UserWarning, match="</s>"):
        kenlm.Model(tmp_path / "m.arpa", config)
    for quieter in (kenlm.ARPALoadComplain.EXPENSIVE, kenlm.ARPALoadComplain.NONE):
        config.arpa_complain = quieter
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kenlm.Model(tmp_path / "m.arpa", config)


def test_what_cannot_be_loaded_is_an_oserror(tmp_path, arpa):
    with pytest.raises(OSError, match="There is no file"):
        kenlm.Model(str(tmp_path / "none"))
    data = write(EXAMPLE, TRIE)
    model = fitted(corpus(0), 2, WittenBell())
    model.save(tmp_path / "own")
    own = (tmp_path / "own").read_bytes()
    Mixture([model, model], [0.5, 0.5]).save(tmp_path / "mixture")
    broken = {
        "empty": b"",
        "text": b"hello\n",
        "arpa": arpa.read_bytes()[:300],
        "binary": data[:-1],
        "flipped": changed(data, 0x88, b"\x07"),
        "own.flipped": own[:-40] + bytes(40),
        "mixture": (tmp_path / "mixture").read_bytes(),
    }
    for name, content in broken.items():
        path = tmp_path / f"{name}.bin"
        path.write_bytes(content)
        with pytest.raises(OSError, match=f"Cannot read model '.*{name}.bin'"):
            kenlm.Model(str(path))
    with pytest.raises(ValueError, match="`unit` must be"):
        kenlm.Model(arpa, unit="letters")


def public(thing):
    return {name for name in dir(thing) if name[0] != "_"}


def test_same_names_as_theirs(their_kenlm):
    for name in ("LoadMethod", "ARPALoadComplain"):
        theirs = getattr(their_kenlm, name)
        for member in public(theirs):
            assert getattr(getattr(kenlm, name), member) == getattr(theirs, member)
    assert public(their_kenlm.Config()) == public(kenlm.Config())
    assert public(their_kenlm.Model) - {"path"} == public(kenlm.Model)


@pytest.mark.parametrize("kind", KINDS)
def test_theirs_reads_what_the_tests_write(their_kenlm, tmp_path, kind):
    """The writer of the tests is right: KenLM loads its files and gives the same numbers."""
    path = str(saved(tmp_path, write(levels(4), kind)))
    model, ours = their_kenlm.Model(path), kenlm.Model(path)
    for line in lines():
        text = " ".join(line)
        assert list(ours.full_scores(text)) == list(model.full_scores(text))


def test_pyctcdecode(arpa, tmp_path, monkeypatch):
    """A decoder scores with the drop-in, is saved and comes back."""
    pytest.importorskip("pyctcdecode", reason="pyctcdecode is not installed")
    from pyctcdecode import language_model

    monkeypatch.setattr(language_model, "kenlm", kenlm)
    found = language_model.LanguageModel(kenlm.Model(str(arpa)), ["a", "b", "zz"])
    start = found.get_start_state()
    score, state = found.score(start, "a")
    assert np.isfinite(found.score(state, "b", is_last_word=True)[0])
    (tmp_path / "kept").mkdir()
    found.save_to_dir(str(tmp_path / "kept"))
    again = language_model.LanguageModel.load_from_dir(str(tmp_path / "kept"))
    assert again.score(again.get_start_state(), "a")[0] == score
