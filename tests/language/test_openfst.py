"""Automata for OpenFst: walked as text, they score as the model does."""

import math
import shutil
import subprocess

import numpy as np
import pytest

from language.test_arpa import SMALL, arpa, corpus, fitted
from xent.language import (
    KneserNey,
    MaximumLikelihood,
    NGramModel,
    StupidBackoff,
    WittenBell,
    mix,
    read_arpa,
    write_openfst,
)


class Automaton:
    """Read as OpenFst reads it: the first line's state is the start, two columns are an end."""

    def __init__(self, path, symbols, backoff="<eps>"):
        lines = [line.split("\t") for line in path.read_text().splitlines()]
        self.start = lines[0][0]
        self.arcs = {(a[0], a[2]): (a[1], float(a[3])) for a in lines if len(a) == 4}
        self.ends = {a[0]: float(a[1]) for a in lines if len(a) == 2}
        assert len(lines) == len(self.arcs) + len(self.ends), "two arcs with one label"
        names = dict(line.split(" ") for line in symbols.read_text().splitlines())
        assert names["<eps>"] == "0"
        assert sorted(map(int, names.values())) == list(range(len(names)))
        assert {label for _, label in self.arcs} <= set(names)
        states = {int(s) for s, _ in self.arcs} | {int(t) for t, _ in self.arcs.values()}
        assert states | set(map(int, self.ends)) == set(range(len(states))), "numbered without gaps"
        self.backoff = backoff

    def cost(self, words):
        """Take the shorter history only where there is no arc, and never come back."""
        state, total = self.start, 0.0
        for word in words:
            while (state, word) not in self.arcs:
                if (state, self.backoff) not in self.arcs:
                    return math.inf
                state, weight = self.arcs[state, self.backoff]
                total += weight
            state, weight = self.arcs[state, word]
            total += weight
        while state not in self.ends:
            if (state, self.backoff) not in self.arcs:
                return math.inf
            state, weight = self.arcs[state, self.backoff]
            total += weight
        return total + self.ends[state]


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize(
    "smoothing", [KneserNey(), WittenBell()], ids=["kneser_ney", "witten_bell"]
)
def test_the_automaton_scores_as_the_model(tmp_path, order, smoothing):
    model = fitted(corpus(0, 100), order, smoothing)
    write_openfst(model, tmp_path / "m.fst.txt", tmp_path / "m.words.txt")
    automaton = Automaton(tmp_path / "m.fst.txt", tmp_path / "m.words.txt")
    known = set(model.vocabulary.words())
    sentences = [*corpus(1, 30), [], ["never", "seen"]]
    costs = [automaton.cost([w if w in known else "<unk>" for w in s]) for s in sentences]
    scores = model.score([" ".join(s) for s in sentences])
    np.testing.assert_allclose(costs, -scores, rtol=1e-6)


def test_by_hand(tmp_path):
    """Every line of a model of four n-grams, from its ARPA file: -0.6 is 10 ** -0.6."""
    model = read_arpa(arpa(tmp_path, SMALL))
    write_openfst(model, tmp_path / "m.fst.txt", tmp_path / "m.words.txt", backoff_label="#0")
    automaton = Automaton(tmp_path / "m.fst.txt", tmp_path / "m.words.txt", "#0")
    ten = math.log(10)
    assert automaton.cost(["a", "b"]) == pytest.approx((0.2 + 0.3 - 0.1 + 0.6) * ten)
    assert automaton.cost(["b"]) == pytest.approx((0.5 + 0.4 - 0.1 + 0.6) * ten)
    assert automaton.cost(["a", "a"]) == pytest.approx((0.2 + 0.25 + 0.7 + 0.25 + 0.6) * ten)
    assert automaton.cost(["x"]) == math.inf
    assert not any(label in ("<s>", "</s>", "<unk>") for _, label in automaton.arcs)
    assert (tmp_path / "m.words.txt").read_text().splitlines()[-1].startswith("#0 ")


def test_openfst_compiles_it(tmp_path):
    if shutil.which("fstcompile") is None:
        pytest.skip("OpenFst is not installed")
    model = fitted(corpus(0, 100), 3, WittenBell())
    write_openfst(model, tmp_path / "m.fst.txt", tmp_path / "m.words.txt")
    subprocess.run(
        ["fstcompile", "--acceptor", f"--isymbols={tmp_path}/m.words.txt", f"{tmp_path}/m.fst.txt",
         f"{tmp_path}/m.fst"], check=True,
    )  # fmt: skip


def test_a_mixture_is_written_as_one_model(tmp_path):
    one, two = (fitted(corpus(seed, 60), 2, WittenBell()) for seed in (0, 1))
    mixture = mix([one, two], [" ".join(s) for s in corpus(2, 20)])
    write_openfst(mixture, tmp_path / "m.fst.txt.gz", tmp_path / "m.words.txt")
    assert (tmp_path / "m.fst.txt.gz").read_bytes()[:2] == b"\x1f\x8b"


def test_refusals(tmp_path):
    path, words = tmp_path / "m.fst.txt", tmp_path / "m.words.txt"
    with pytest.raises(ValueError, match="stupid back-off scores are no back-off probabilities"):
        write_openfst(fitted(corpus(0), 2, StupidBackoff()), path, words)
    with pytest.raises(ValueError, match="'<eps>' is a word of the model"):
        write_openfst(NGramModel(1, WittenBell()).fit(["a <eps> b"]), path, words)
    with pytest.raises(ValueError, match="`backoff_label` must be one word, got '# 0'"):
        write_openfst(NGramModel(1, WittenBell()).fit(["a b"]), path, words, backoff_label="# 0")
    impossible = SMALL.replace("-0.3\ta b", "-99\ta b")
    with pytest.raises(ValueError, match="a 2-gram has the probability 0"):
        write_openfst(read_arpa(arpa(tmp_path, impossible)), path, words)
    assert not path.exists()
    assert not words.exists()
    sparse = fitted(corpus(0, 20), 2, MaximumLikelihood(), unknown="closed")
    write_openfst(sparse, path, words)  # words without an arc are refused by the automaton
