"""Damaged models: refused in a sentence, or scored as before; with true checksums, no crash."""

import json
import warnings
import zlib
from contextlib import suppress
from functools import partial

import numpy as np
import pytest

from language.test_smoothing import corpus, fitted
from xent import _store
from xent.language import KneserNey, Mixture, NGramModel, WittenBell, read_arpa, write_arpa
from xent.language._backoff import storage

TEXT = ["a b c d", "", "zz a b", "a long-word-of-many-bytes f e d c b a"]


def text():
    return [*corpus(0, 40), ["a", "long-word-of-many-bytes", "f"]]


def model(order=3):
    return fitted(text(), order, KneserNey(discount=0.75))


def saved(form, path):
    if form == "mixture":
        Mixture([model(3), fitted(text(), 2, WittenBell())], [0.25, 0.75]).save(path)
    else:
        model().save(path, compact=form == "compact")
    return Mixture if form == "mixture" else NGramModel


def tried(load, path, expected):
    """Return whether a file is refused; where it is not, its scores are those of the whole one."""
    try:
        found = load(path)
    except ValueError:
        return True
    if expected is None:
        assert found.score(TEXT).shape == (len(TEXT),)
    else:
        np.testing.assert_array_equal(found.score(TEXT), expected)
    return False


def flipped(path, data, load, expected, luck, times):
    refused = 0
    for _ in range(times):
        broken = bytearray(data)
        kind = luck.random()
        place = int(luck.integers(len(data)))
        if kind < 0.6:
            broken[place] ^= 1 << int(luck.integers(8))
        elif kind < 0.8:
            broken[place : place + 2048] = bytes(len(broken[place : place + 2048]))
        else:
            broken = broken[:place]
        if broken != data:
            path.write_bytes(broken)
            refused += tried(load, path, expected)
    return refused


FORMS = ["exact", "compact", "mixture"]


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_no_flip_is_silent(tmp_path, form, mmap):
    path = tmp_path / "m.xent"
    load = partial(saved(form, path).load, mmap=mmap)
    data, expected = path.read_bytes(), load(path).score(TEXT)
    assert flipped(path, data, load, expected, np.random.default_rng(0), 60) > 50


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
def test_no_flip_of_many_is_silent(tmp_path, form, repeats):
    path = tmp_path / "m.xent"
    load = saved(form, path).load
    data, expected = path.read_bytes(), load(path).score(TEXT)
    assert flipped(path, data, load, expected, np.random.default_rng(1), repeats(3000)) > repeats(
        2500
    )


def forged(path, luck, times, load):
    """Change values in arrays and write true checksums over them."""
    fmt = _store.format_of(path)
    version = storage.VERSION if fmt == storage.FORMAT else storage.MIXTURE_VERSION
    state, arrays = _store.load(path, format=fmt, version=version)
    names = [name for name, array in arrays.items() if array.nbytes]
    refused = 0
    for _ in range(times):
        name = str(luck.choice(names))
        array = np.array(arrays[name])
        letters = array.reshape(-1).view(np.uint8)
        kind = luck.random()
        if kind < 0.7:
            letters[luck.integers(letters.size)] ^= 1 << int(luck.integers(8))
        elif kind < 0.8:
            letters[:] = 255
        elif kind < 0.9:
            array = array[: int(luck.integers(len(array)))] if array.ndim else array
        else:
            array = array.astype(np.float64)
        forged = {**arrays, name: array}
        _store.save(path, format=fmt, version=version, state=state, arrays=forged)
        refused += tried(load, path, None)
    return refused


@pytest.mark.parametrize("form", FORMS)
def test_true_checksums_lead_nowhere(tmp_path, form):
    path = tmp_path / "m.xent"
    kind = saved(form, path)
    assert forged(path, np.random.default_rng(2), 60, kind.load) > 15


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
def test_many_true_checksums_lead_nowhere(tmp_path, form, repeats):
    path = tmp_path / "m.xent"
    kind = saved(form, path)
    assert forged(path, np.random.default_rng(3), repeats(3000), kind.load) > repeats(700)


@pytest.mark.parametrize(
    "change",
    [
        {"order": 2},
        {"order": "3"},
        {"order": 10**9},
        {"least": 7},
        {"least": [1, 1, "x"]},
        {"unknown": []},
        {"unit": "words"},
        {"smoothing": {"name": "Smoothing", "fields": {}}},
        {"smoothing": {"name": "__builtins__", "fields": {}}},
        {"smoothing": {"name": "KneserNey", "fields": {"other": 1}}},
        {"smoothing": []},
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["exact", "compact"])
def test_a_state_that_is_none(tmp_path, form, change):
    path = tmp_path / "m.xent"
    saved(form, path)
    state, arrays = _store.load(path, format=storage.FORMAT, version=2)
    _store.save(path, format=storage.FORMAT, version=2, state={**state, **change}, arrays=arrays)
    with pytest.raises(ValueError, match=r"cannot be read: what it holds is no model|must be"):
        NGramModel.load(path)


def widths(arrays, *, word=None, more=None):
    """Other widths of the packed numbers, and as many of them."""
    old = arrays["widths"].tolist()
    new = [old[0] if word is None else word, old[1] if more is None else more]
    nodes = int(arrays["firsts"][-2]) + 1
    longer = len(arrays["logp"])
    found = {"words": (longer, new[0]), "more": (nodes, new[1])}
    packed = {name: np.resize(arrays[name], n * w // 64 + 2) for name, (n, w) in found.items()}
    return {"widths": np.array(new, arrays["widths"].dtype), **packed}


def changed(name, change):
    def change_one(arrays):
        array = np.array(arrays[name])
        return {name: change(array)}

    return change_one


def holding(place, value):
    def put(array):
        array.reshape(-1)[place] = value
        return array

    return put


COMPACT_CHANGES = {
    "no bits a word": lambda a: widths(a, word=0),
    "33 bits a word": lambda a: widths(a, word=33),
    "no bits a node": lambda a: widths(a, more=0),
    "41 bits a node": lambda a: widths(a, more=41),
    "three widths": changed("widths", lambda w: np.append(w, w[:1])),
    "first node": changed("firsts", holding(0, 0)),
    "a level of less than none": changed("firsts", lambda f: np.append(f[:2], [f[3], f[2]])),
    "a level more": changed("firsts", lambda f: np.append(f, f[-1:])),
    "one logp more": changed("logp", lambda x: np.append(x, x[:1])),
    "one backoff less": changed("backoff", lambda x: x[:-1]),
    "one span more": changed("spans", lambda x: np.append(x, x[-1:])),
    "one word of words more": changed("words", lambda x: np.append(x, x[-1:])),
    "one word of more less": changed("more", lambda x: x[:-1]),
    "a book of doubles": changed("logp_book", lambda x: x.astype(np.float64)),
    "a book of one level": changed("backoff_book", lambda x: x[:1]),
    "an infinite logp": changed("logp_book", holding(3, np.inf)),
    "an infinite backoff": changed("backoff_book", holding(-1, np.inf)),
    "an infinite unigram": changed("unigram_logp", holding(0, np.inf)),
    "an infinite unigram's backoff": changed("unigram_backoff", holding(0, np.inf)),
    "no unigram's backoff": changed("unigram_backoff", lambda x: x[:0]),
}


@pytest.mark.parametrize("change", COMPACT_CHANGES)
@pytest.mark.parametrize("mmap", [True, False])
def test_every_bound_of_a_compact_model(tmp_path, change, mmap):
    path = tmp_path / "m.xent"
    saved("compact", path)
    state, arrays = _store.load(path, format=storage.FORMAT, version=2)
    own = {name.removeprefix("compact."): array for name, array in arrays.items()}
    arrays |= {f"compact.{name}": array for name, array in COMPACT_CHANGES[change](own).items()}
    _store.save(path, format=storage.FORMAT, version=2, state=state, arrays=arrays)
    with pytest.raises(ValueError, match="cannot be read: what it holds is no model"):
        NGramModel.load(path, mmap=mmap)


def test_the_hash_table_of_version_1_is_built_anew(tmp_path):
    path = tmp_path / "m.xent"
    saved("exact", path)
    state, arrays = _store.load(path, format=storage.FORMAT, version=2)
    old = {"table" if name == "sorted_table" else name: part for name, part in arrays.items()}
    _store.save(path, format=storage.FORMAT, version=1, state=state, arrays=old)
    np.testing.assert_array_equal(NGramModel.load(path).score(TEXT), model().score(TEXT))


@pytest.mark.parametrize("which", ["state", "checksums"])
def test_deep_json_is_refused(tmp_path, which):
    """Python's parser of JSON gives up on a hundred thousand brackets."""
    path = tmp_path / "m.xent"
    saved("exact", path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = header["__metadata__"]
    metadata[which] = "[" * 100_000
    if which == "state":
        sums = {**json.loads(metadata["checksums"]), "state": zlib.crc32(b"[" * 100_000)}
        metadata["checksums"] = json.dumps(sums)
    head = json.dumps(header).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + data[8 + length :])
    with pytest.raises(ValueError, match="its checksums do not match"):
        NGramModel.load(path)


# ------------------------------------------------------------------ text


def mutated(data, luck):
    """Return bytes with a flip, a cut, a piece moved, or a number that is none."""
    broken = bytearray(data)
    place, kind = int(luck.integers(len(data))), int(luck.integers(6))
    if kind == 0:
        broken[place] ^= 1 << int(luck.integers(8))
    elif kind == 1:
        del broken[place:]
    elif kind == 2:
        del broken[place : place + int(luck.integers(1, 40))]
    elif kind == 3:
        broken[place:place] = data[int(luck.integers(len(data))) :][: int(luck.integers(1, 60))]
    elif kind == 4:
        broken[place : place + 4] = bytes(luck.integers(0, 256, 4).astype(np.uint8))
    else:
        strange = [
            b"inf",
            b"-inf",
            b"nan",
            b"1e999",
            b"-" * 50,
            b"9" * 400,
            b"\0",
            b"\\",
            b"\t\t\t",
        ]
        broken[place:place] = strange[int(luck.integers(len(strange)))]
    return bytes(broken)


def arpa_mutants(tmp_path, times, seed):
    """Each is refused in a sentence, or read, scored, and written again."""
    plain, packed = tmp_path / "m.arpa", tmp_path / "m.arpa.gz"
    write_arpa(model(), plain)
    data, luck, refused = plain.read_bytes(), np.random.default_rng(seed), 0
    write_arpa(model(), packed)
    squeezed = packed.read_bytes()
    for i in range(times):
        path, whole = (plain, data) if i % 4 else (packed, squeezed)
        path.write_bytes(mutated(whole, luck))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # no <s>, no </s>
                found = read_arpa(path)
        except ValueError as error:
            refused += len(str(error)) < 2_000
            continue
        assert found.score(TEXT).shape == (len(TEXT),)
        with suppress(ValueError):
            write_arpa(found, tmp_path / "again.arpa")
    return refused


def test_mutated_arpa_files_never_crash(tmp_path):
    assert arpa_mutants(tmp_path, 80, 4) > 40


@pytest.mark.long
def test_many_mutated_arpa_files_never_crash(tmp_path, repeats):
    assert arpa_mutants(tmp_path, repeats(4000), 5) > repeats(2000)
