"""KenLM's binary files: every kind scored as KenLM scores it, damage refused."""

import gzip
import json
import math
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from language.kenlm_writer import (
    ARRAY,
    PROBING,
    QUANTISED,
    QUANTISED_ARRAY,
    REST,
    TRIE,
    murmur,
    write,
)
from xent.language import NGramModel, read_arpa, write_arpa
from xent.language._kenlm_binary.layout import buckets

REFERENCE = Path(__file__).parents[2] / ".." / "shared" / "reference" / "language" / "kenlm_binary"
KINDS = [PROBING, REST, TRIE, QUANTISED, ARRAY, QUANTISED_ARRAY]
HASHED = (PROBING, REST)


def f(value):
    return float(np.float32(value))


def levels(order=4, seed=0, lines=60, unknown=True):
    """N-grams with random numbers, closed under beginnings and endings."""
    luck = np.random.default_rng(seed)
    words = [
        "a",
        "b",
        "<UNKNOWN>",
        "日本",
        "é",
        "considering",
        "sixteen-byte-word",
        "f g"[0],
        "x" * 70,
    ]
    found = [{} for _ in range(order)]
    for word in ["<unk>", "<s>", "</s>", *words][not unknown :]:
        found[0][word,] = None
    for _ in range(lines):
        line = ["<s>", *luck.choice(words, luck.integers(1, 9)), "</s>"]
        for n in range(2, order + 1):
            for i in range(len(line) - n + 1):
                found[n - 1][tuple(map(str, line[i : i + n]))] = None
    for n, level in enumerate(found):
        for gram in level:
            p = f(-round(float(luck.uniform(0.1, 4)), 1))
            level[gram] = (p, f(round(float(luck.normal()), 1)) if n + 1 < order else 0.0)
    found[0]["<s>",] = (0.0, f(-0.3))
    return found


def slow(found, words, bos=True):
    """(log10 p, length) of each word, in single precision as KenLM adds."""
    order, history, scores = len(found), ["<s>"] if bos else [], []
    for word in [*words, "</s>"]:
        word = word if (word,) in found[0] else "<unk>"
        history = history[len(history) - min(len(history), order - 1) :]
        for start in range(len(history) + 1):
            gram = (*history[start:], word)
            if gram in found[len(gram) - 1]:
                break
        total = np.float32(found[len(gram) - 1][gram][0])
        for size in range(len(gram), len(history) + 1):
            context = tuple(history[len(history) - size :])
            if context in found[size - 1]:
                total += np.float32(found[size - 1][context][1])
        scores.append((float(total), len(gram)))
        history.append(word)
    return scores


def lines(seed=1):
    luck = np.random.default_rng(seed)
    words = [*[gram[0] for gram in levels()[0]][3:], "zz", "<unk>", "<UNK>"]
    return [list(map(str, luck.choice(words, luck.integers(0, 12)))) for _ in range(60)]


def saved(tmp_path, data, name="m.bin"):
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


def scores(model, text):
    return model.token_log_probs(text).values / math.log(10)


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [{}, {"order": 2}, {"order": 3, "bits": (7, 6), "most": 3}, {"strings": False}, {"most": 255}],
    ids=str,
)
def test_scores_are_those_of_the_numbers(tmp_path, kind, options, mmap):
    options = dict(options)
    found = levels(options.pop("order", 4))
    model = NGramModel.load(saved(tmp_path, write(found, kind, **options)), mmap=mmap)
    expected = [pair for line in lines() for pair in slow(found, line)]
    text = lines() if options.get("strings", True) else [" ".join(line) for line in lines()]
    np.testing.assert_allclose(scores(model, text), [p for p, _ in expected], rtol=1e-15)
    matched = np.bincount([n for _, n in expected], minlength=len(found) + 1)[1:] / len(expected)
    np.testing.assert_allclose(model.evaluate(text).matched, matched, rtol=1e-12)
    assert model.counts() == [len(level) for level in found]
    assert repr(model) == f"NGramModel(order={len(found)}, from a KenLM binary, unknown='word')"


@pytest.mark.parametrize("kind", KINDS)
def test_the_distribution_is_that_of_the_scores(tmp_path, kind):
    model = NGramModel.load(saved(tmp_path, write(levels(3), kind)))
    for context in ([], ["a"], ["b", "zz", "a"], ["日本", "é", "a", "b"]):
        p = model.distribution(context)
        for word in ["b", "</s>", "zz"]:
            tokens = [*context, *([word] if word != "</s>" else [])]
            i = len(context)
            expected = 10 ** scores(model, [tokens])[i]
            assert p[model.vocabulary.index.get(word, 0)] == pytest.approx(expected, rel=1e-6)
        assert p[1] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_without_unk_the_vocabulary_is_closed(tmp_path, kind):
    model = NGramModel.load(saved(tmp_path, write(levels(3, unknown=False), kind)))
    assert model.unknown == "closed"
    assert np.isnan(scores(model, [["a", "zz"]])).tolist() == [False, True, False]


@pytest.mark.parametrize("kind", [TRIE, QUANTISED, ARRAY, QUANTISED_ARRAY])
def test_tries_become_arpa_again(tmp_path, kind):
    found = levels(4)
    model = NGramModel.load(saved(tmp_path, write(found, kind)))
    write_arpa(model, tmp_path / "m.arpa")
    again = read_arpa(tmp_path / "m.arpa")
    assert again.counts() == [len(level) for level in found]
    np.testing.assert_allclose(scores(again, lines()), scores(model, lines()), atol=1e-6)
    model.save(tmp_path / "m.xent")
    exact = NGramModel.load(tmp_path / "m.xent")
    np.testing.assert_allclose(scores(exact, lines()), scores(model, lines()), atol=1e-6)
    stored = {}
    for line in (tmp_path / "m.arpa").read_text().splitlines():
        if "\t" in line:
            p, gram, *b = line.split("\t")
            stored[tuple(gram.split(" "))] = (float(p), float(b[0]) if b else 0.0)
    for level in found:
        for gram, (p, b) in level.items():
            assert stored[gram] == pytest.approx((p, b), abs=1e-6)


@pytest.mark.parametrize("kind", HASHED)
def test_hash_tables_cannot_be_listed(tmp_path, kind):
    model = NGramModel.load(saved(tmp_path, write(levels(3), kind)))
    for call in (
        lambda: write_arpa(model, tmp_path / "m.arpa"),
        lambda: model.save(tmp_path / "m.xent"),
        lambda: model.prune(1e-3),
    ):
        with pytest.raises(ValueError, match="cannot be listed: KenLM's hash tables keep hashes"):
            call()


def test_words_by_hash_alone(tmp_path):
    model = NGramModel.load(saved(tmp_path, write(levels(3), TRIE, strings=False)))
    assert scores(model, ["é 日本"]).tolist() == scores(model, [["é", "日本"]]).tolist()
    with pytest.raises(ValueError, match=r"cannot be listed: it was built without them"):
        model.next("a")
    assert "a" in model.vocabulary.index
    assert "zz" not in model.vocabulary.index


def test_hashes_and_sizes_are_those_of_the_description():
    assert murmur(b"considering") == 0x72B4000443F933DF
    assert murmur(b"<s>") == 0x00758639BD217E70
    # In double precision 50331652.
    assert buckets(33554435, np.float32(1.5)) == 50331656
    assert buckets(5, np.float32(1.5)) == 7


EXAMPLE = [
    {("<unk>",): (-1.5, 0.0), ("<s>",): (0.0, -0.25), ("</s>",): (-1.0, 0.0),
     ("a",): (-0.5, -0.125), ("b",): (-0.75, -0.0625)},
    {("<s>", "a"): (-0.5, -0.5), ("a", "b"): (-0.25, -1.0), ("a", "</s>"): (-0.375, 0.0),
     ("b", "</s>"): (-0.125, 0.0)},
    {("<s>", "a", "b"): (-0.25, 0.0), ("a", "b", "</s>"): (-0.125, 0.0)},
]  # fmt: skip
BYTES = {
    (PROBING, 22): {
        0x88: "0000000005000000",
        0x90: "707e21bd3986750001000000",
        0xE4: "0000c0bf00000080",
        0xEC: "00000000000080be",
        0xF4: "0000803f00000080",
        0x114: "08f2026884b133130000803e000080bf",
        0x124: "8172edf07d7b7c85000000bf000000bf",
        0x174: "26f4870efc3d916e000080be",
        0x198: "3c756e6b3e003c733e00",
    },
    (TRIE, 22): {0x128: "010000f8010000fc22"},
    (ARRAY, 22): {0x128: "0016", 0x13F: "010000f8010000fc22"},
    (QUANTISED, 22): {0xB8: "0202020000000000", 0xD0: "0000008000000000", 0x160: "1944"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_worked_example(tmp_path, kind):
    """The writer's bytes are those that build_binary wrote, and the scores those of KenLM."""
    data = write(EXAMPLE, kind, bits=(2, 2))
    for place, part in BYTES.get((kind, 22), {}).items():
        assert data[place : place + len(part) // 2].hex() == part, hex(place)
    assert len(data) == {PROBING: 427, TRIE: 0x170 + 19}.get(kind, len(data))
    model = NGramModel.load(saved(tmp_path, data))
    np.testing.assert_array_equal(scores(model, ["a b c a"]), [-0.5, -0.25, -2.5625, -0.5, -0.375])


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="KenLM's own files are not here")
@pytest.mark.parametrize("name", ["probing", "trie", "trie_a22", "trie_q8_b8", "trie_q8_b8_a22"])
def test_files_that_kenlm_built(tmp_path, name):
    recorded = json.loads(gzip.decompress((REFERENCE / "full_scores.json.gz").read_bytes()))
    theirs = [word for line in recorded["full_scores"][f"{name}.bin"] for word in line]
    data = gzip.decompress((REFERENCE / f"{name}.bin.gz").read_bytes())
    model = NGramModel.load(saved(tmp_path, data))
    ours = scores(model, recorded["sentences"])
    np.testing.assert_allclose(ours, [p for p, _, _ in theirs], atol=6e-8)
    found = model.evaluate(recorded["sentences"])
    lengths = np.bincount([n for _, n, _ in theirs], minlength=4)[1:]
    np.testing.assert_allclose(found.matched, lengths / len(theirs), rtol=1e-12)
    assert found.unknown == sum(unknown for _, _, unknown in theirs)


# ------------------------------------------------------------------ what is refused


def changed(data, place, part):
    return data[:place] + part + data[place + len(part) :]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d[:60], "be a whole KenLM binary of format 5, got '.*', which is cut short"),
        (lambda d: d[:-1], "be a whole KenLM binary, got .* its end"),
        (lambda d: d[:300], r"of 300 bytes, where its head asks for"),
        (lambda d: d + b"x", "words at its end"),
        (lambda d: changed(d, 49, b"4"), r"of 'format version 4'\. Build it anew from the \.arpa"),
        (lambda d: d[:33] + b" incomplete\n" + d[45:], "whose building was not finished"),
        (lambda d: changed(d, 56, b"\1"), "lays out numbers in another way"),
        (lambda d: changed(d, 88, b"\1"), "of order 1"),
        (lambda d: changed(d, 96, b"\6"), "of type 6"),
        (lambda d: changed(d, 104, b"\1"), "of type 0, version 1"),
        (lambda d: changed(d, 92, b"\0\0\xc0\x7f"), "with nan buckets an entry"),
        (lambda d: changed(d, 108, b"\xff" * 8), "announces more n-grams than it has room for"),
        (lambda d: changed(d, 0x90, b"\x71"), "a key where no search finds it"),
        (lambda d: changed(d, 0x98, b"\7"), "with words without a number of their own"),
        (lambda d: changed(d, 0xE4, b"\0\0\xc0\x7f"), "a number that is not finite"),
        (lambda d: changed(d, 0x199, b"x"), "whose words are not those of its hashes"),
    ],
)
def test_damage_is_refused(tmp_path, change, sentence):
    path = saved(tmp_path, change(write(EXAMPLE, PROBING)))
    with pytest.raises(ValueError, match=sentence):
        NGramModel.load(path)


FLIPS = 40


def survives(path, data, text, expected, luck, flips):
    """Flip bits and cut files: each is refused in a sentence, or scored with finite numbers."""
    refused = 0
    for _ in range(flips):
        place, bit = int(luck.integers(len(data))), 1 << int(luck.integers(8))
        broken = bytearray(data)
        broken[place] ^= bit
        if luck.random() < 0.2:
            broken = broken[: int(luck.integers(len(data)))]
        path.write_bytes(bytes(broken))
        try:
            model = NGramModel.load(path)
        except ValueError:
            refused += 1
            continue
        found = scores(model, text)
        assert found.shape == expected.shape
        if not model.backoff.header.hashed:
            with suppress(ValueError):
                model.backoff.unpacked
    return refused


@pytest.mark.parametrize("strings", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_never_crash(tmp_path, kind, strings):
    data = write(levels(3, lines=8), kind, strings=strings)
    path = saved(tmp_path, data)
    text = [" ".join(line) for line in lines()]
    expected = scores(NGramModel.load(path), text)
    luck = np.random.default_rng(kind)
    assert survives(path, data, text, expected, luck, FLIPS) > FLIPS / 8


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_many_flipped_bits_never_crash(tmp_path, kind):
    data = write(levels(4, lines=12), kind)
    path = saved(tmp_path, data)
    text = [" ".join(line) for line in lines()]
    expected = scores(NGramModel.load(path), text)
    assert survives(path, data, text, expected, np.random.default_rng(kind), 1500) > 150
