"""Files of models and texts under every name: written as it says, read as the bytes say."""

import bz2
import gzip
import lzma
import os
import threading

import numpy as np
import pyarrow
import pytest

from language.kenlm_writer import PROBING, TRIE, write
from language.test_kenlm_binary import levels
from language.test_smoothing import corpus, fitted
from xent.cli import app
from xent.language import Mixture, NGramModel, WittenBell, _open, read_arpa, write_arpa
from xent.language._lines import _stream

UNPACK = {
    "": bytes,
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zst": lambda data: pyarrow.CompressedInputStream(pyarrow.BufferReader(data), "zstd").read(),
}
PACK = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pyarrow.compress(data, "zstd", asbytes=True),
}
TEXT = "".join(" ".join(line) + "\n" for line in corpus(0, 60))


@pytest.fixture(scope="module")
def model():
    return fitted(corpus(0, 60), 3, WittenBell())


def run(*args):
    app([str(a) for a in args], standalone_mode=False)


@pytest.mark.parametrize("name", ["m.arpa", "m.ARPA", "m.lm", "m.LM"])
@pytest.mark.parametrize("suffix", [*UNPACK, ".GZ", ".Bz2"])
def test_arpa_by_name(tmp_path, model, name, suffix):
    path = tmp_path / (name + suffix)
    write_arpa(model, path)
    plain = UNPACK[suffix.lower()](path.read_bytes())
    assert plain.startswith(b"\\data\\\n")
    first = path.read_bytes()
    write_arpa(model, path)
    assert path.read_bytes() == first  # no name and no time in a header
    assert read_arpa(path).counts() == model.counts()
    model.save(tmp_path / "m.xent")
    other = tmp_path / ("n" + name[1:] + suffix)
    run("language", "convert", tmp_path / "m.xent", "-o", other)
    assert UNPACK[suffix.lower()](other.read_bytes()) == plain
    assert _open.load(other).counts() == model.counts()


def test_a_gzip_header_holds_no_name(tmp_path, model):
    for name in ("a.arpa.gz", "b.arpa.gz"):
        write_arpa(model, tmp_path / name)
    assert (tmp_path / "a.arpa.gz").read_bytes() == (tmp_path / "b.arpa.gz").read_bytes()
    for name in ("a.txt.gz", "b.txt.gz"):
        with _stream.writing(tmp_path / name) as out:
            out.write(b"a b\n")
    data = (tmp_path / "a.txt.gz").read_bytes()
    assert data == (tmp_path / "b.txt.gz").read_bytes()
    assert data[3] == 0  # flags: no name


@pytest.mark.parametrize("name", ["m.xent.gz", "m.zst", "m.bz2", "m.txt.xz", "m.klm", "m.binary"])
def test_names_of_other_kinds_are_refused(tmp_path, model, name):
    path = tmp_path / name
    (tmp_path / "t.txt").write_text(TEXT)
    for call in (
        lambda: model.save(path),
        lambda: Mixture([model, model], [0.5, 0.5]).save(path),
        lambda: run("language", "fit", tmp_path / "t.txt", "-o", path, "--smoothing", "WittenBell"),
    ):
        with pytest.raises(ValueError, match=r"must name (a file that is not packed|no KenLM)"):
            call()
        assert not path.exists()


def test_our_own_file_is_not_called_arpa(tmp_path, model):
    with pytest.raises(ValueError, match=r"must name a file of our own, got .*m\.lm'"):
        model.save(tmp_path / "m.lm")


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("name", ["t.txt", "t", "t.gz", "t.bz2"])
def test_texts_are_unpacked_whatever_their_name(tmp_path, model, suffix, name):
    path = tmp_path / name
    path.write_bytes(PACK[suffix](TEXT.encode()))
    assert model.evaluate(path) == model.evaluate(TEXT.splitlines())
    lm = tmp_path / f"lm-{name}"
    write_arpa(model, tmp_path / "lm.arpa")
    lm.write_bytes(PACK[suffix]((tmp_path / "lm.arpa").read_bytes()))
    assert read_arpa(lm).counts() == model.counts()
    assert _open.load(lm).counts() == model.counts()


@pytest.mark.parametrize("suffix", PACK)
def test_a_packed_list_of_words(tmp_path, suffix):
    (tmp_path / "t.txt").write_text(TEXT)
    (tmp_path / "words").write_bytes(PACK[suffix](b"a b\nc\n"))
    options = ["--smoothing", "WittenBell", "--vocabulary", tmp_path / "words"]
    run("language", "fit", tmp_path / "t.txt", "-o", tmp_path / "m", *options)
    model = NGramModel.load(tmp_path / "m")
    assert model.vocabulary.words() == ["<unk>", "<s>", "</s>", "a", "b", "c"]


@pytest.mark.parametrize("suffix", PACK)
def test_damaged_packed_texts_are_refused(tmp_path, model, suffix):
    data = PACK[suffix](TEXT.encode())
    path = tmp_path / "t.txt"
    for broken in (data[: len(data) // 2], data[:12] + bytes(20) + data[32:]):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"cannot be read: its compressed data are cut"):
            model.evaluate(path)
    path = tmp_path / f"t.txt{suffix}"
    path.write_text(TEXT)
    with pytest.raises(ValueError, match=r"cannot be read: its name says .*, and it begins with"):
        model.evaluate(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="must hold at least one line"):
        model.evaluate(path)


def test_a_text_may_begin_as_bzip2_does(tmp_path, model):
    path = tmp_path / "t.txt"
    path.write_text("BZh9 is no word\n")
    assert model.evaluate(path).words == 4


@pytest.mark.parametrize("suffix", PACK)
def test_packed_pipes(tmp_path, model, suffix):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = PACK[suffix](TEXT.encode())
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    assert model.evaluate(pipe) == model.evaluate(TEXT.splitlines())
    writer.join()


def test_models_of_every_kind_in_the_commands(tmp_path, model, capsys):
    """What a file holds, its bytes say."""
    text = tmp_path / "t.txt"
    text.write_text(TEXT)
    found = levels(3)
    for name, kind in (("p", PROBING), ("t.lm", TRIE)):
        (tmp_path / name).write_bytes(write(found, kind))
    model.save(tmp_path / "own")
    Mixture([model, model], [0.5, 0.5]).save(tmp_path / "mixture")
    for name in ("p", "t.lm", "own", "mixture"):
        run("language", "score", tmp_path / name, text)
        assert capsys.readouterr().out.count("\n") == 60
        loaded = _open.load(tmp_path / name)
        np.testing.assert_array_equal(
            loaded.score(text), _open.load(tmp_path / name, mmap=False).score(text)
        )
    run("language", "convert", tmp_path / "t.lm", "-o", tmp_path / "t.arpa.bz2")
    assert read_arpa(tmp_path / "t.arpa.bz2").counts() == [len(level) for level in found]
    run("language", "evaluate", tmp_path / "p", tmp_path / "t.arpa.bz2", text)
    first, second = (
        line.split()[-1] for line in capsys.readouterr().out.splitlines() if "perplexity" in line
    )
    assert float(first) == pytest.approx(float(second), rel=1e-5)


def test_packed_models_are_refused(tmp_path, model):
    model.save(tmp_path / "m.xent")
    for data in (write(levels(2), TRIE), (tmp_path / "m.xent").read_bytes()):
        path = tmp_path / "m.bin.gz"
        path.write_bytes(gzip.compress(data))
        with pytest.raises(ValueError, match=r"got a packed .*\. Unpack it"):
            _open.load(path)
    (tmp_path / "x").write_text("no model\n")
    with pytest.raises(ValueError, match="which is none or is damaged"):
        _open.load(tmp_path / "x")
    with pytest.raises(ValueError, match="must hold a line"):
        _open.load("/dev/null")


def test_ours_is_loaded_by_all(tmp_path):
    (tmp_path / "m.bin").write_bytes(write(levels(2), TRIE))
    with pytest.raises(ValueError, match=r"must be a xent\.language\.mixture file"):
        Mixture.load(tmp_path / "m.bin")
    assert NGramModel.load(tmp_path / "m.bin").order == 2
