"""Text in every form becomes the same ids, and what is not text is refused with its line."""

import gzip
import itertools
import math
import re
from collections import Counter
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xent.language import NGramModel, WittenBell
from xent.language._kernels import text as text_kernels
from xent.language._lines import _text
from xent.language._lines._text import Reader, sentence_starts
from xent.language._vocabulary import Vocabulary

TEXT = "the cat sat\n\non  the\tmat \n"
LINES = ["the cat sat", "", "on  the\tmat "]
TOKENS = [["the", "cat", "sat"], [], ["on", "the", "mat"]]


def read(source, unit="word", errors="strict", vocabulary=None):
    vocabulary = Vocabulary() if vocabulary is None else vocabulary
    reader = Reader(vocabulary, unit=unit, errors=errors, grow=True)
    ids = np.concatenate([np.empty(0, np.uint32), *reader.ids(source)])
    starts = sentence_starts(ids)
    sentences = [ids[a:b] for a, b in itertools.pairwise(starts)]
    assert all(s[0] == 1 and s[-1] == 2 and (s[1:-1] != 1).all() for s in sentences)
    return [vocabulary.words(s[1:-1]) for s in sentences], reader


def test_every_form_reads_alike(tmp_path):
    plain, packed, squeezed = (tmp_path / f"t.txt{s}" for s in ("", ".gz", ".zst"))
    plain.write_text(TEXT)
    packed.write_bytes(gzip.compress(TEXT.encode()))
    with pa.output_stream(str(squeezed), compression="zstd") as file:
        file.write(TEXT.encode())
    for source in (plain, str(plain), packed, squeezed, LINES, iter(LINES), tuple(LINES), TOKENS):
        assert read(source)[0] == TOKENS
    assert read([plain, packed])[0] == TOKENS * 2


def test_last_line_needs_no_line_feed(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("a b\nc")
    assert read(path)[0] == [["a", "b"], ["c"]]
    path.write_text("")
    assert read(path)[0] == []


@pytest.mark.parametrize("chunk", [1, 2, 1 << 21])
def test_a_byte_order_mark_at_the_head_is_no_letter(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(_text, "PIECE_BYTES", chunk)
    marked = b"\xef\xbb\xbf" + TEXT.encode()
    plain, packed, empty = (tmp_path / name for name in ("t.txt", "t.txt.gz", "none.txt"))
    plain.write_bytes(marked)
    packed.write_bytes(gzip.compress(marked))
    empty.write_bytes(marked[:3])
    found, reader = read([plain, packed, empty])
    assert found == TOKENS * 2
    assert reader.bytes == 2 * len(TEXT)
    assert read(plain, unit="byte")[0][0][0] == f"{ord('t'):02x}"
    # Anywhere else it is a letter, and so is half of it.
    assert read(["\ufeffa", "b\ufeff"])[0] == [["\ufeffa"], ["b\ufeff"]]
    plain.write_bytes(b"a\n\xef\xbb\xbfb")
    assert read(plain)[0] == [["a"], ["\ufeffb"]]


def test_separators_are_those_of_lmplz():
    line = "a\u00a0b\u2028c\u3000d e\x0bf\x0cg\rh\x00i\tj"
    assert read([line])[0] == [["a\u00a0b\u2028c\u3000d", "e\x0bf\x0cg", "h", "i", "j"]]


@pytest.mark.parametrize("unit", ["word", "character", "byte"])
def test_a_line_of_windows_ends_alike(tmp_path, unit):
    (tmp_path / "unix").write_bytes("né a\n\nb".encode())
    (tmp_path / "windows").write_bytes("né a\r\n\r\nb".encode())
    expected, unix = read(tmp_path / "unix", unit=unit)
    for source in (tmp_path / "windows", ["né a\r", "\r", "b"]):
        found, windows = read(source, unit=unit)
        assert found == expected
        assert (windows.bytes, windows.characters) == (unix.bytes, unix.characters) == (9, 8)
    assert read(["a\rb"], unit="character")[0] == [["a", "\r", "b"]]


@pytest.mark.parametrize(("unit", "tokens"), [("character", list("né 日")), ("byte", ["c3", "a9"])])
def test_letters_as_tokens_are_as_long_as_the_line(unit, tokens):
    line = "né 日" if unit == "character" else "é"
    expected = read([line, ""], unit=unit)
    found = read([tokens, []], unit=unit)
    assert found[0] == expected[0]
    assert found[1].bytes == expected[1].bytes == len(line.encode()) + 2


def test_unknown_has_two_spellings():
    for source in (["a <UNK> <unk>"], [["a", "<UNK>", "<unk>"]]):
        found, reader = read(source)
        assert found == [["a", "<unk>", "<unk>"]]
        assert len(reader.vocabulary) == 4
    # It stays a word of its own in a file of an earlier version that has it as one.
    words = b"<unk><s></s><UNK>"
    theirs = Vocabulary.of(
        {"blob": np.frombuffer(words, np.uint8), "lengths": np.array([5, 3, 4, 5])}
    )
    assert np.concatenate(list(Reader(theirs, unit="word").ids(["<UNK> <unk>"]))).tolist() == [
        1, 3, 0, 2,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "source", "expected"),
    [
        ("word", ["a bb <unk> <UNK> 日本", "", "a"], [10, 0, 0]),
        ("word", [["a", "bb", "<unk>", "<UNK>", "日本"], [], ["a"]], [10, 0, 0]),
        ("character", ["aé日𝄞\r", "", "a"], [9, 0, 0]),
        ("byte", ["aé", "a"], [2, 0]),
        ("byte", [["61", "c3"], ["61"]], [1, 0]),
    ],
)
def test_bytes_that_spell_unknown_words(unit, source, expected):
    vocabulary = Vocabulary(["61" if unit == "byte" else "a"])
    reader = Reader(vocabulary, unit=unit, spelling="uniform")
    assert len(list(reader.ids(source))) == 1
    assert reader.unknown_bits.tolist() == [8 * size for size in expected]
    kept = Reader(vocabulary, unit=unit, errors="keep", spelling="uniform")
    assert len(list(kept.ids(["\udcff"]))) == 1
    assert kept.unknown_bits.tolist() == [16 if unit == "word" else 8]
    # Where <unk> stands for others, the text's own pays too: six bytes for each of the two.
    both = 12 if unit == "word" else 0
    reader = Reader(vocabulary, unit=unit, spelling="uniform", unknown_is_word=False)
    assert len(list(reader.ids(source))) == 1
    assert reader.unknown_bits.tolist() == [
        8 * size for size in (expected[0] + both, *expected[1:])
    ]


@pytest.mark.parametrize(
    ("unit", "words", "source", "unknown"),
    [
        ("word", ["abba", "ab", "é"], ["abba bab é", "", "a 日本"], ["bab", "a", "日本"]),
        ("word", ["abba", "ab", "é"], [["ab", "bab"], [], ["a", "日本"]], ["bab", "a", "日本"]),
        ("character", ["a", "é", "本"], ["aè本è", "", "日"], ["è", "è", "日"]),
        ("byte", ["61", "c3"], ["aa", "", "b"], ["b"]),
    ],
)
def test_spelling_by_the_vocabulary(unit, words, source, unknown):
    """By hand, in fractions: interpolated Witten-Bell bigrams of bytes, each word counted once."""
    end = [256] if unit == "word" else []
    runs = [[256, *word.encode(), *end] for word in words]
    pairs = Counter(pair for run in runs for pair in pairwise(run))
    letters = Counter(letter for run in runs for letter in run[1:])

    def probability(before, letter):
        if unit == "byte":  # an unknown byte is one of 256, whatever is known
            return Fraction(1, 256)
        lower = (letters[letter] + Fraction(len(letters), 256 + len(end))) / (
            letters.total() + len(letters)
        )
        after = {pair: times for pair, times in pairs.items() if pair[0] == before}
        if not after:
            return lower
        return (pairs[before, letter] + len(after) * lower) / (sum(after.values()) + len(after))

    if unit == "word":  # a distribution after every byte
        for before in (97, 195, 256, 7):
            assert sum(probability(before, letter) for letter in range(257)) == 1
    reader = Reader(Vocabulary(words), unit=unit, spelling="vocabulary")
    list(reader.ids(source))
    bits = [
        -sum(math.log2(probability(*pair)) for pair in pairwise([256, *word.encode(), *end]))
        for word in unknown
    ]
    last = len(unknown) - (2 if "a" in unknown else 1)
    expected = [sum(bits[:last]), 0, sum(bits[last:])]
    assert reader.unknown_bits == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("中文文本，今天天气很好。abc\n".encode("gb18030"), "iconv -f GB18030 -t UTF-8"),
        ("中文 text\n".encode("utf-16"), "iconv -f UTF-16 -t UTF-8"),
        ("中文 text\n".encode("utf-32"), "iconv -f UTF-32 -t UTF-8"),
        (b"\0\0\xfe\xff" + "中文 text\n".encode("utf-32-be"), "iconv -f UTF-32 -t UTF-8"),
        ("plain text\nof two lines\n".encode("utf-16-le"), "iconv -f UTF-16LE -t UTF-8"),
        ("plain text\nof two lines\n".encode("utf-16-be"), "iconv -f UTF-16BE -t UTF-8"),
        ("déjà vu, là\n".encode("latin1"), 'pass errors="keep"'),
    ],
)
def test_what_another_encoding_is_told(tmp_path, text, advice):
    (tmp_path / "t.txt").write_bytes(text)
    with pytest.raises(ValueError, match="`text` must be UTF-8, got") as caught:
        read(tmp_path / "t.txt")
    assert advice in str(caught.value)
    assert ("keep" in str(caught.value)) == ("keep" in advice)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20)))
def test_lines_split_as_bytes_do(lines):
    expected = [[t for t in re.split(r"[\0\t\r ]", line) if t] for line in lines]
    expected = [["<unk>" if t == "<UNK>" else t for t in tokens] for tokens in expected]
    if not any({"<s>", "</s>"} & set(tokens) for tokens in expected):
        assert read(lines)[0] == expected


@pytest.mark.parametrize("chunk", [1, 3, 7, 64])
def test_chunks_do_not_show(tmp_path, monkeypatch, chunk):
    lines = [f"w{i % 13} x{i} wörter\u00e9{i % 7}" for i in range(200)]
    path = tmp_path / "t.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    expected, whole = read(lines)
    monkeypatch.setattr(_text, "PIECE_BYTES", chunk)
    found, reader = read(path)
    assert found == expected
    assert (reader.lines, reader.bytes, reader.characters) == (
        whole.lines, whole.bytes, whole.characters
    )  # fmt: skip
    assert reader.bytes == len("\n".join(lines).encode()) + 1
    assert reader.characters == len("\n".join(lines)) + 1


@pytest.mark.parametrize("chunk", [7, 1 << 21])
def test_a_line_longer_than_allowed_is_refused(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(_text, "PIECE_BYTES", chunk)
    monkeypatch.setattr(_text, "LONGEST_LINE", 100)
    (tmp_path / "t").write_bytes(b"a b\nc\n" + b"d " * 50 + b"\ne")
    assert len(read(tmp_path / "t")[0]) == 4
    (tmp_path / "t.gz").write_bytes(gzip.compress(b"a b\nc\n" + b"d " * 9999 + b"\ne"))
    refused = (
        "must have lines of at most 100 bytes, got a longer one on line 3. Break it into lines"
    )
    with pytest.raises(ValueError, match=refused):
        read(tmp_path / "t.gz")
    with _text.longest_line(20_000, trusted=True), _text.longest_line(50):
        assert len(read(tmp_path / "t.gz")[0][2]) == 9999
    with _text.longest_line(50), pytest.raises(ValueError, match="at most 50 bytes"):
        read(tmp_path / "t")


def test_words_that_share_their_first_bytes():
    alike = ["abcdefgh"[:n] for n in range(9)] + ["abcdefghijklmnop"[:n] for n in (9, 15, 16)]
    words = [*alike, *(f"{word}\0" for word in alike), "\0\0", "abcdefgX", "abcdefghX", "\x01\x1f"]
    vocabulary = Vocabulary(words)
    assert vocabulary.words() == ["<unk>", "<s>", "</s>", *words]
    plain = [word for word in words if word and "\0" not in word]
    for text in (" ".join(plain), "\n".join(plain), f"  {plain[-1]} {plain[0]}"):
        expected = [line.split(" ") for line in text.split("\n")]
        found, _ = read(text.split("\n"), vocabulary=vocabulary)
        assert found == [[word for word in line if word] for line in expected]
    assert len(vocabulary) == 3 + len(words)


def test_the_hash_table_of_another_version_is_not_believed():
    theirs = Vocabulary(["the", "cat"]).arrays()
    del theirs["table"]
    theirs |= {"keys": np.arange(1024, dtype=np.uint64), "slots": np.zeros(1024, np.uint32)}
    assert read(["the cat"], vocabulary=Vocabulary.of(theirs))[0] == [["the", "cat"]]


def test_many_words_grow_the_vocabulary():
    luck = np.random.default_rng(0)
    tokens = [f"{luck.integers(10**9)}" * int(luck.integers(1, 9)) for _ in range(20_000)]
    vocabulary = Vocabulary()
    found, _ = read([" ".join(tokens)], vocabulary=vocabulary)
    assert found == [tokens]
    first_met = list(dict.fromkeys(tokens))
    assert vocabulary.words()[3:] == first_met
    assert vocabulary.index[first_met[77]] == 80
    long = "x" * 100_000
    assert read([f"a {long} b"])[0] == [["a", long, "b"]]


def test_unknown_words_without_growing():
    vocabulary = Vocabulary(["a", "b"])
    reader = Reader(vocabulary, unit="word")
    ids = np.concatenate(list(reader.ids(["a zz b <unk>"])))
    assert ids.tolist() == [1, 3, 0, 4, 0, 2]


def test_characters_and_bytes():
    found, _ = read(["né !", ""], unit="character")
    assert found == [["n", "é", " ", "!"], []]
    found, _ = read(["né"], unit="byte")
    assert found == [["6e", "c3", "a9"]]


def test_token_ids():
    array = np.array([[5, 7, 5], [0, 5, 1]], dtype=">i4")
    expected = [["5", "7", "5"], ["0", "5", "1"]]
    assert read(array)[0] == expected
    assert read([list(map(int, row)) for row in array])[0] == expected
    assert read([array[0], array[1]])[0] == expected
    assert read(np.array([3, 3]))[0] == [["3", "3"]]
    assert not read(array)[1].measured


def test_invalid_bytes(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"fine\nalso fine\nbad \xff here\n")
    with pytest.raises(ValueError, match="`text` must be UTF-8, got byte 0xff on line 3"):
        read(path)
    found, _ = read(path, errors="keep")
    assert found[2] == ["bad", "\udcff", "here"]
    assert read(path, errors="keep", unit="character")[0][2][4] == "\udcff"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["a", "b <s> c"], "<s> on line 2"),
        (["a", "b </s> c"], "</s> on line 2"),
        (["<s> a"], "<s> on line 1"),
        (["a", "b", "c </s>"], "</s> on line 3"),
        (["a", "</s>"], "</s> on line 2"),
    ],
)
def test_sentence_marks_are_refused(lines, found):
    with pytest.raises(ValueError) as caught:
        read(lines)
    assert str(caught.value) == (
        f"`text` must not contain <s> or </s>, got {found}. Lines are sentences; remove the marks."
    )


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            b"a b",
            "`text` must be a path, lines, lists of tokens or arrays of token ids, got a bytes",
        ),
        (7, "`text` must be a path, lines, lists of tokens or arrays of token ids, got an int."),
        (["a\nb"], "`text` must hold single lines, got two at [0]. Split it with str.split"),
        (["a", 3], "`text` must hold lines of str, got an int at [1]."),
        ([["a", 3]], "`text` must hold sentences of str tokens, got an int in sentence 1."),
        ([["a"], ["<s>"]], "`text` must not contain <s> or </s>, got <s> in sentence 2."),
        (np.array([0.5]), "`text` must hold one-dimensional arrays of integers, got float64"),
        (np.array([-1]), "`text` must hold ids of at least 0, got -1."),
    ],
)
def test_refusals(source, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        read(source)
    assert str(caught.value).startswith(sentence)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read(str(tmp_path / "none.txt"))
    with pytest.raises(
        FileNotFoundError, match=r"'the cat'\. One line of text is a list that holds"
    ):
        read("the cat")


def test_vocabulary_is_stored_whole():
    vocabulary = Vocabulary(["a", "wörter", "\udcff"])
    again = Vocabulary.of(vocabulary.arrays())
    assert again.words() == vocabulary.words()
    assert again.same_words(vocabulary)
    assert not again.same_words(Vocabulary(["a"]))


@pytest.mark.parametrize("seed", range(4))
def test_utf8_is_what_python_says(seed):
    luck = np.random.default_rng(seed)
    marks = [
        "a",
        "é",
        "\u0800",
        "\ud7ff",
        "\ue000",
        "\uffff",
        "\U00010000",
        "\U0010ffff",
        "abcdefgh",
    ]
    valid = 0
    for _ in range(3000):
        text = bytearray("".join(luck.choice(marks, luck.integers(0, 7))).encode())
        for place in luck.integers(0, max(1, len(text)), luck.integers(0, 3)):
            if len(text):
                text[place] = luck.choice(
                    [0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xC1, 0xED, 0xF0, 0xF4, 0xF5]
                )
        try:
            expected = bytes(text).decode() is not None
        except UnicodeDecodeError:
            expected = False
        valid += expected
        assert text_kernels.is_utf8(np.frombuffer(text, np.uint8)) == expected, bytes(text)
    assert 500 < valid < 2500


@pytest.mark.parametrize(("end", "name"), [("\r", r"\r"), ("\u2028", "U+2028")])
def test_lines_that_end_otherwise_are_doubted(tmp_path, end, name):
    """As on the first Macs: all of them are one sentence, in which their ends are no events."""
    (tmp_path / "t.txt").write_bytes((f"a b{end}" * 12 + "a b").encode())
    said = f"The text has {name} 12 times beside 1 line feed, which alone end a sentence."
    with pytest.warns(UserWarning, match=re.escape(said)):
        model = NGramModel(1, WittenBell()).fit(tmp_path / "t.txt")
    assert model.evaluate(["a b"]).events == 3
    few = NGramModel(1, WittenBell()).fit(["a b\r", "a b"] * 12)  # no doubt: few of many lines
    assert few.evaluate(["a b"]).events == 3
