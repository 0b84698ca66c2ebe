r"""Text in every form that people hold it, to streams of token ids.

A str or a path is a file (plain or packed); an iterable of str is lines; an iterable of lists of
str is sentences of tokens; integer arrays are token ids. Whatever it is, it leaves here in pieces
of ``<s> ... </s>`` sentences, two megabytes at a time. A line ends at ``\n`` or ``\r\n``.
"""

import codecs
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._progress import stage
from xent._table.files import compression
from xent.language._kernels import text as kernels
from xent.language._lines import _encodings
from xent.language._spelling import EDGE, byte_costs
from xent.language._vocabulary import (
    BEGIN,
    END,
    SPECIAL,
    UNKNOWN,
    UNKNOWN_NAMES,
    Vocabulary,
)

PIECE_BYTES = 1 << 21  # what is made of a piece of text stays in the cache
LINES_AT_ONCE = 1 << 13
FEW_ENDS = 10  # of another kind than line feeds, below which they are letters that went astray
JOINED_LINES = 64
LONGEST_LINE = 128 * 10**6  # bytes; text8, a well-known text of one line, has 10^8
TOKEN_UNITS = ("word", "character", "byte")
ERROR_POLICIES = ("strict", "keep")
Ids = NDArray[np.uint32]


def _doubt_ends(text: bytes, lines: int) -> None:
    """Warn of a text whose lines end otherwise, as on the first Macs: all is one sentence."""
    for what, sign in (("\\r", b"\r"), ("U+2028", "\u2028".encode())):
        count = text.count(sign)
        if count >= FEW_ENDS and count > 2 * lines:
            _check.warn(
                f"The text has {what} {count:,} times beside {_check.count(lines, 'line feed')}, "
                "which alone end a sentence. If it ends lines, put line feeds in its place."
            )


class Reader:
    """Reads text with one vocabulary, and tallies what it has read.

    Parameters
    ----------
    vocabulary : Vocabulary
    unit : str
        What a token of a line is: ``"word"``, ``"character"`` or ``"byte"``.
    errors : str
        ``"strict"`` refuses a byte that is not UTF-8; ``"keep"`` takes it as it is.
    grow : bool
        Whether a new word enters the vocabulary.
    spelling : str, optional
        As in `byte_costs`. Where given, ``unknown_bits`` says after each piece that `ids` yields
        what the unknown words of each of its sentences cost to spell.
    unknown_is_word : bool
        Whether ``<unk>`` spelt in the text is a word like others, which needs no spelling.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        unit: str,
        errors: str = "strict",
        grow: bool = False,
        spelling: str | None = None,
        unknown_is_word: bool = True,
    ) -> None:
        self.vocabulary = vocabulary
        self.unit = unit
        self.errors = errors
        self.grow = grow
        self.unknown_is_word = unknown_is_word
        self.unknown_bits = np.empty(0)
        self._costs = byte_costs(spelling, vocabulary, unit) if spelling else None
        self.lines = self.bytes = self.characters = 0
        self.measured = True  # whether bytes and characters are known
        self._letters: NDArray[np.uint32] | None = None

    def ids(self, source: Any, argument: str = "text") -> Iterator[Ids]:
        """Yield the sentences of a source as streams of ids."""
        if isinstance(source, (str, os.PathLike)):
            yield from self._files([source])
            return
        if isinstance(source, (bytes, bytearray, dict, set)) or not isinstance(source, Iterable):
            must = "be a path, lines, lists of tokens or arrays of token ids"
            advice = "For one line of text pass a list that holds it."
            raise _check.wrong_kind(argument, must, _check.a(source), advice)
        if isinstance(source, np.ndarray):
            yield self._numbers(list(np.atleast_2d(source)), argument)
            return
        items = iter(source)
        try:
            first = next(items)
        except StopIteration:
            return
        items = chain([first], items)
        if isinstance(first, os.PathLike):
            yield from self._files(items)
        elif isinstance(first, str):
            yield from self._from_lines(items, argument)
        else:
            while some := list(islice(items, 1 << 17)):
                if isinstance(some[0], np.ndarray) or _whole_numbers(some[0]):
                    yield self._numbers(some, argument)
                else:
                    yield self._from_tokens(some, argument)

    # ------------------------------------------------------------------ files and lines

    def _files(self, paths: Iterable[Any]) -> Iterator[Ids]:
        for path in paths:
            self.lines = 0
            for piece in pieces(path):
                yield self.encode(piece)

    def _from_lines(self, lines: Iterator[str], argument: str) -> Iterator[Ids]:
        while some := list(islice(lines, LINES_AT_ONCE)):
            yield self.encode(joined(some, argument, self.lines))

    def encode(self, text: bytes) -> Ids:
        """Return the ids of whole lines of text."""
        text = line_feeds(text)
        if self.errors == "strict":
            self._check_utf8(text)
        letters = np.frombuffer(text, np.uint8)
        lines = _line_feeds_in(text)
        if self.unit == "word":
            if not self.lines:
                _doubt_ends(text, lines)
            ids = self.vocabulary.encode(letters, lines, grow=self.grow)
            # 0 wraps around, so this counts <s> and </s> alone.
            if np.count_nonzero((ids - np.uint32(1)) < 2) != 2 * lines:
                self._refuse_boundary(ids)
            if self._costs is not None:
                self.unknown_bits = np.empty(lines)
                free = self.unknown_is_word
                kernels.unknown_bits(
                    letters, kernels.SPACE, ids, free, self._costs, self.unknown_bits
                )
        elif self.unit == "byte":
            ids = self._by_letter(letters, 256)
        else:
            points = np.frombuffer(text.decode("utf-8", "surrogateescape").encode(
                "utf-32-le", "surrogatepass"), np.uint32)  # fmt: skip
            ids = self._by_letter(points, 0x110000)
        self.lines += lines
        self.bytes += len(text)
        self.characters += int(np.count_nonzero((letters & 0xC0) != 0x80))
        return ids

    def _check_utf8(self, text: bytes) -> None:
        if not self.lines:
            self.refuse_utf16(text)
        if kernels.is_utf8(np.frombuffer(text, np.uint8)):
            return
        try:
            text.decode()
        except UnicodeDecodeError as error:
            line = self.lines + text.count(b"\n", 0, error.start) + 1
            found = f"byte 0x{text[error.start]:02x} on line {line}"
            raise _check.invalid("text", "be UTF-8", found, _encodings.advice(text)) from None

    def refuse_utf16(self, head: bytes) -> None:
        """Refuse a text whose first bytes say that it is UTF-16: not one line of it is text."""
        if encoding := _encodings.utf16(head):
            marked = head[0] >= 0xFE or encoding == "UTF-32"
            got = f"byte 0x{head[0]:02x} on line 1" if marked else "a NUL beside each letter"
            raise _check.invalid("text", "be UTF-8", got, _encodings.converted(encoding))

    def _refuse_boundary(self, ids: Ids) -> None:
        begins, ends = ids == BEGIN, ids == END
        # Every line opens with one <s>; a second one, or a word after </s>, was spelt in the text.
        after = np.concatenate([[True], ends[:-1]])
        wrong = (begins & ~after) | (ends & ~np.concatenate([begins[1:], [True]]))
        wrong |= after & ~begins
        place = int(np.argmax(wrong))
        line = self.lines + max(1, int(begins[: place + 1].sum()) - int(begins[place]))
        word = SPECIAL[ids[place]] if ids[place] in (BEGIN, END) else SPECIAL[END]
        advice = "Lines are sentences; remove the marks."
        must = "not contain <s> or </s>"
        raise _check.invalid("text", must, f"{word} on line {line}", advice)

    def _by_letter(self, letters: NDArray[Any], kinds: int) -> Ids:
        """Return the ids of single letters, lines framed as sentences."""
        if self._letters is None:
            self._letters = np.full(kinds, 0xFFFFFFFF, np.uint32)
            self._letters[10] = END
        known = self._letters[letters]
        new = np.flatnonzero(known == 0xFFFFFFFF)
        if len(new):
            _, first = np.unique(letters[new], return_index=True)
            for place in new[np.sort(first)]:
                letter = int(letters[place])
                name = _letter_name(letter, self.unit)
                index = self.vocabulary.index
                self._letters[letter] = (
                    self.vocabulary.add(name) if self.grow else index.get(name, UNKNOWN)
                )
            known = self._letters[letters]
        ends = letters == 10
        begun = np.concatenate([[1], 1 + np.cumsum(ends)[:-1]])
        ids = np.full(len(letters) + int(ends.sum()), BEGIN, np.uint32)
        ids[np.arange(len(letters)) + begun] = known
        if self._costs is not None:
            new = np.flatnonzero(known == UNKNOWN)
            distinct, which = np.unique(letters[new], return_inverse=True)
            names = [_letter_name(int(letter), self.unit) for letter in distinct]
            bits = np.array([self._spelling_bits(name) for name in names])
            of_line = np.searchsorted(np.flatnonzero(ends), new)
            lines = int(ends.sum())
            self.unknown_bits = np.bincount(of_line, bits[which], lines).astype(np.float64)
        return ids

    # ------------------------------------------------------------------ tokens and numbers

    def _from_tokens(self, sentences: list[Any], argument: str) -> Ids:
        index, add = self.vocabulary.index, self.vocabulary.add
        ids: list[int] = []
        separator = int(self.unit == "word")
        free = UNKNOWN_NAMES if self.unknown_is_word else ()
        unknown_bits = []
        for number, sentence in enumerate(sentences, self.lines + 1):
            ids.append(BEGIN)
            spelt = 0.0
            for token in sentence:
                if not isinstance(token, str):
                    must = "hold sentences of str tokens"
                    found = f"{_check.a(token)} in sentence {number}"
                    raise _check.wrong_kind(argument, must, found)
                found_id = index.get(token)
                if found_id is None:
                    found_id = add(token) if self.grow else UNKNOWN
                elif found_id in (BEGIN, END):
                    must = "not contain <s> or </s>"
                    raise _check.invalid(argument, must, f"{token} in sentence {number}")
                ids.append(found_id)
                if found_id == UNKNOWN and token not in free:
                    spelt += self._spelling_bits(token)
            ids.append(END)
            unknown_bits.append(spelt)
            between = max(1, len(sentence)) if separator else 1
            letters = len(sentence) if self.unit == "byte" else sum(map(len, sentence))
            self.characters += letters + between
            self.bytes += sum(map(self._size, sentence)) + between
        self.unknown_bits = np.array(unknown_bits)
        self.lines += len(sentences)
        return np.array(ids, np.uint32)

    def _spelling_bits(self, token: str) -> float:
        """Return what an unknown token costs."""
        if self._costs is None:
            return 0.0
        # Every byte of a model of bytes costs alike.
        spelt = b"0" if self.unit == "byte" else token.encode("utf-8", "surrogateescape")
        steps = zip((EDGE, *spelt), (*spelt, EDGE), strict=True)
        return float(sum(self._costs[step] for step in steps))

    def _size(self, token: str) -> int:
        """Return how many bytes of text a token stands for."""
        return 1 if self.unit == "byte" else len(token.encode("utf-8", "surrogateescape"))

    def _numbers(self, sentences: list[Any], argument: str) -> Ids:
        """Return the ids of token ids: the word of id 7 is called "7"."""
        arrays = [np.asarray(sentence) for sentence in sentences]
        for number, array in enumerate(arrays, self.lines + 1):
            if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
                must = "hold one-dimensional arrays of integers"
                found = f"{array.dtype} of shape {array.shape} in sentence {number}"
                raise _check.wrong_kind(argument, must, found)
        flat = np.concatenate([a.astype(np.int64) for a in arrays]) if arrays else np.empty(0, int)
        if len(flat) and flat.min() < 0:
            raise _check.invalid(argument, "hold ids of at least 0", int(flat.min()))
        distinct, inverse = np.unique(flat, return_inverse=True)
        add, index = self.vocabulary.add, self.vocabulary.index
        names = map(str, distinct.tolist())
        numbers = [add(n) for n in names] if self.grow else [index.get(n, UNKNOWN) for n in names]
        lengths = np.array([len(a) for a in arrays])
        begins = np.concatenate([[0], np.cumsum(lengths + 2)[:-1]])
        ids = np.full(len(flat) + 2 * len(arrays), BEGIN, np.uint32)
        ids[begins + lengths + 1] = END
        inner = np.ones(len(ids), np.bool_)
        inner[begins] = inner[begins + lengths + 1] = False
        ids[inner] = np.array(numbers, np.uint32)[inverse]
        self.lines += len(arrays)
        self.unknown_bits = np.zeros(len(arrays))
        self.measured = False
        return ids


def joined(lines: list[str], argument: str = "text", before: int = 0) -> bytes:
    """Join lines into one text, after checking that each is one line."""
    try:
        # A single letter past ASCII makes all that it is joined to slower to encode.
        groups = [
            "\n".join(lines[i : i + JOINED_LINES]).encode("utf-8", "surrogateescape")
            for i in range(0, len(lines), JOINED_LINES)
        ]
    except TypeError:
        place = next(i for i, line in enumerate(lines) if not isinstance(line, str))
        found = f"{_check.a(lines[place])} at [{before + place}]"
        raise _check.wrong_kind(argument, "hold lines of str", found) from None
    joint = b"\n".join([*groups, b""])
    if _line_feeds_in(joint) != len(lines):
        lines = [line.removesuffix("\n") for line in lines]
        for place, line in enumerate(lines, before):
            if "\n" in line:
                advice = "Split it with str.split('\\n')."
                raise _check.invalid(argument, "hold single lines", f"two at [{place}]", advice)
        joint = ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")
    return joint


def _line_feeds_in(text: bytes) -> int:
    """Count line feeds; where lines are short this is faster than to find each of them."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == 10))


def line_feeds(text: bytes) -> bytes:
    """Return a text whose lines end in a line feed alone."""
    # One letter is found far faster than two.
    return text.replace(b"\r\n", b"\n") if b"\r" in text else text


def sentence_starts(ids: Ids) -> NDArray[np.int64]:
    """Return where each sentence's ``<s>`` stands, and the end of the last."""
    return np.append(np.flatnonzero(ids == BEGIN), len(ids))


_allowed: ContextVar[int | None] = ContextVar("longest line", default=None)


@contextmanager
def longest_line(size: int | None, *, trusted: bool = False) -> Iterator[None]:
    """Let lines of files be as long as so many bytes, while this lasts.

    What was said for a trusted file holds inside too, whatever is asked for there.
    """
    before = _allowed.get()
    token = _allowed.set(before if before is not None and not trusted else size)
    try:
        yield
    finally:
        _allowed.reset(token)


def whole_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield a file in pieces of whole lines; a last line without a line feed gets one.

    A byte order mark at the head says how the file is written and is no part of its first word. A
    line stands in memory whole, several times over, so a longer one than allowed is refused.
    """
    longest = _allowed.get() or LONGEST_LINE
    rest: list[bytes] = []
    lines = waiting = 0
    head = file.read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8)
    for piece in chain([head], iter(lambda: file.read(PIECE_BYTES), b"")):
        cut = piece.rfind(b"\n") + 1
        if cut:
            whole = b"".join([*rest, piece[:cut]])
            if len(whole) > longest:
                ends = np.flatnonzero(np.frombuffer(whole, np.uint8) == 10)
                wrong = np.diff(ends, prepend=-1) - 1 > longest
                if wrong.any():
                    raise _too_long(longest, lines + int(np.argmax(wrong)) + 1)
            yield whole
            rest, waiting = [], 0
            lines += piece.count(b"\n")
        rest.append(piece[cut:])
        waiting += len(piece) - cut
        if waiting > longest:
            raise _too_long(longest, lines + 1)
    if any(rest):
        yield b"".join(rest) + b"\n"


def _too_long(longest: int, line: int) -> ValueError:
    advice = (
        "Break it into lines. A file that is trusted can be read with --longest-line, or by "
        "passing its lines."
    )
    must = f"have lines of at most {longest:,} bytes"
    return _check.invalid("text", must, f"a longer one on line {line}", advice)


def check_rereadable(argument: str, text: Any) -> None:
    """Refuse an iterator where each of several models reads the text: the second would get none."""
    if isinstance(text, Iterator):
        advice = "Each model reads it, so pass a list or a path."
        raise _check.wrong_kind(argument, "be a text that can be read again", "an iterator", advice)


def pieces(path: str | os.PathLike[str]) -> Generator[bytes]:
    """Yield a text in pieces of whole lines; on a terminal, long reading shows how far it is."""
    with _open(path) as (raw, file):
        size = os.fstat(raw.fileno()).st_size
        title = f"Reading {os.path.basename(os.fspath(path))}"
        with stage(title, size or None, "B") as advance:
            for piece in whole_lines(file):
                yield piece
                if size:
                    advance(raw.tell())


@contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a text for reading: the file, and the text in it, unpacked where it is packed."""
    name = os.fspath(path)
    if not Path(name).exists():
        hint = " One line of text is a list that holds it." if " " in name else ""
        raise FileNotFoundError(f"There is no file {name!r}.{hint}")
    if Path(name).is_dir():
        raise _check.invalid("text", "be a file", f"the folder {name!r}")
    with open(name, "rb") as raw, compression.reading(raw, name) as text:
        yield raw, text


def _whole_numbers(sentence: Any) -> bool:
    return (
        isinstance(sentence, (list, tuple, range))
        and len(sentence) > 0
        and isinstance(sentence[0], (int, np.integer))
        and not isinstance(sentence[0], bool)
    )


def _letter_name(letter: int, unit: str) -> str:
    return f"{letter:02x}" if unit == "byte" else chr(letter)
