r"""ARPA files, the text format that every n-gram toolkit reads and writes.

    \\data\\              \\1-grams:                     \\end\\
    ngram 1=3           -0.5 <TAB> word <TAB> -0.3
    ngram 2=2           log10 p    n-gram     log10 back-off weight

The counts in the header are compared with what is there and never believed beforehand.
"""

import gzip
import os
import re
from collections.abc import Iterator
from contextlib import closing
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from xent import _check, _store
from xent._compile.threads import in_blocks
from xent.language import _text
from xent.language._backoff.exact import LOAD, Backoff, Ngrams
from xent.language._backoff.storage import Stored
from xent.language._kernels import arpa as kernels
from xent.language._kernels.text import SPACE
from xent.language._model import NGramModel
from xent.language._vocabulary import Vocabulary

U32 = NDArray[np.uint32]
PIECE = 1 << 14  # n-grams formatted at once: their text stays in the cache
FORMATTED_ROWS = 1 << 17  # n-grams formatted, by all threads, before they are written

WRONG = {
    kernels.BAD_NUMBER: "begin with a log-probability",
    kernels.POSITIVE: "hold log-probabilities of at most 0",
    kernels.FEW_WORDS: "hold {order} words",
    kernels.MANY_WORDS: "hold {order} words and at most one back-off weight",
    kernels.STRANGE_WORD: "hold words that are among the 1-grams",
}


def read_arpa(path: str | os.PathLike[str]) -> NGramModel:
    """Read a model from an ARPA file, as SRILM, KenLM and xent write it.

    Parameters
    ----------
    path : str or PathLike
        The file: plain, or ``.gz`` or ``.zst``.

    Returns
    -------
    NGramModel
        With ``smoothing=None``: how it was estimated is not in the file. A log-probability of -99
        or less is read as a probability of 0. Without ``<unk>`` the vocabulary is closed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an ARPA file or a damaged one; the sentence names the line.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from xent.language import NGramModel, WittenBell
    >>> lm = NGramModel(2, WittenBell()).fit(["a b", "b a"])
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "lm.arpa"
    >>> write_arpa(lm, path)
    >>> float(read_arpa(path).score(["a"])[0] - lm.score(["a"])[0])
    0.0

    References
    ----------
    A. Stolcke (2002). SRILM, an extensible language modeling toolkit. ngram-format(5).
    """
    return _ArpaReader(os.fspath(path)).read()


class _ArpaReader:
    """Reads one file, piece by piece."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.line = 1
        self.text = np.empty(0, np.uint8)
        self.at = 0
        self.vocabulary = Vocabulary()
        self.has_unknown = False
        self.rows: list[Ngrams] = []
        self.table = np.zeros(16, np.uint64)
        self.suffixes = np.zeros(1, np.uint32)

    def read(self) -> NGramModel:
        from xent.language._model import NGramModel

        with closing(_text.pieces(self.path)) as self.pieces:
            announced = self._header()
            for order in range(1, len(announced) + 1):
                heading = self._next_line()
                if heading != f"\\{order}-grams:":
                    raise self._wrong(f"go on with \\{order}-grams:", repr(heading))
                self._section(order, order == len(announced))
                found = len(self.rows[-1]) if order > 1 else self.unigrams_read
                if found != announced[order - 1]:
                    must = f"hold the {announced[order - 1]} {order}-grams it announces"
                    raise _check.invalid("path", must, f"{self.path!r} with {found}")
            if (last := self._next_line()) != "\\end\\":
                raise self._wrong("end with \\end\\", repr(last) if last else "its end: cut short")
        parts = Stored(
            order=len(self.rows),
            smoothing=None,
            unknown="word" if self.has_unknown else "closed",
            min_counts=[1] * len(self.rows),
            unit="word",
            errors="strict",
            vocabulary=self.vocabulary,
            backoff=Backoff(self.rows),
        )
        return NGramModel._of(parts)

    def _header(self) -> list[int]:
        while (line := self._next_line()) != "\\data\\":
            if not line:
                raise self._wrong("hold a line \\data\\", "none")
        announced: list[int] = []
        while not (line := self._next_line(peek=True)).startswith("\\"):
            found = re.fullmatch(r"ngram\s+(\d+)\s*=\s*(-?\d+)", line)
            if not found:
                raise self._wrong("announce its n-grams as 'ngram 1=1000'", repr(line))
            if int(found[1]) != len(announced) + 1 or int(found[2]) < 0:
                must = "announce each order once, from 1 on, with a count of at least 0"
                raise self._wrong(must, repr(line))
            announced.append(int(found[2]))
            self._next_line()
        if not announced:
            raise self._wrong("announce its n-grams as 'ngram 1=1000'", repr(line))
        return announced

    def _more(self) -> bool:
        """Go on to the next piece of the file once this one is done."""
        while self.at >= len(self.text):
            piece = next(self.pieces, b"")
            if not piece:
                return False
            self.text, self.at = np.frombuffer(piece, np.uint8), 0
        return True

    def _next_line(self, *, peek: bool = False) -> str:
        """Return the next line that is not blank, or an empty one at the end."""
        while self._more():
            end = self.at + int(np.argmax(self.text[self.at :] == 10))
            line = self.text[self.at : end].tobytes().decode("utf-8", "replace").strip()
            if line and peek:
                return line
            self.at = end + 1
            self.line += 1
            if line:
                return line
        return ""

    def _section(self, order: int, longest: bool) -> None:
        words, logs, weights = [], [], []
        while self._more() and self.text[self.at] != 92:
            lines = int(np.count_nonzero(self.text[self.at :] == 10))
            w = np.empty((lines, max(2, order)), np.int64 if order == 1 else np.uint32)
            p, b = np.empty(lines, np.float32), np.empty(lines, np.float32)
            v = self.vocabulary
            stop, rows, wrong = kernels.parse(
                self.text, SPACE, self.at, order, longest, (v.keys, v.slots, v.blob, v.starts),
                w, p, b,
            )  # fmt: skip
            passed = self.text[self.at : stop]
            self.line += int(np.count_nonzero(passed == 10))
            self.at = stop
            if wrong:
                line = self._next_line(peek=True)
                raise self._wrong(WRONG[wrong].format(order=order), repr(line))
            words.append(self._prefixes(w[:rows], order))
            logs.append(p[:rows])
            weights.append(b[:rows])
        keys = np.concatenate([np.empty((0, 2), np.uint32), *words])
        logp, backoff = np.concatenate([*logs, np.empty(0, np.float32)]), np.empty(0, np.float32)
        if not longest:
            backoff = np.concatenate([*weights, backoff])
        logp[logp <= -99] = -np.inf
        backoff[backoff <= -99] = -np.inf
        if order == 1:
            self._unigrams(keys[:, 1], logp, backoff)
        else:
            self._level(keys, logp, backoff, order)

    def _prefixes(self, words: NDArray[Any], order: int) -> NDArray[Any]:
        """Return (node of the prefix, last word) of each n-gram."""
        if order == 1:
            names = [self.text[a:b].tobytes().decode("utf-8", "surrogateescape") for a, b in words]
            before = len(self.vocabulary)
            ids = np.array([self.vocabulary.add(name) for name in names], np.uint32)
            special = int(np.isin(np.arange(3), ids).sum())
            if len(np.unique(ids)) != len(ids) or len(self.vocabulary) - before + special < len(
                names
            ):
                raise self._wrong("hold each 1-gram once", "one twice")
            return np.column_stack([np.zeros_like(ids), ids])
        prefix = np.empty(len(words), np.uint32)
        missing = kernels.resolve(words, self.table, self.bits, prefix)
        if missing >= 0:
            gram = " ".join(self.vocabulary.words(words[missing]))
            advice = "Every n-gram's beginning must be an n-gram too."
            must = f"hold the beginning of each {order}-gram"
            raise _check.invalid("path", must, f"{gram!r} without it", advice)
        return np.column_stack([prefix, words[:, order - 1]])

    def _unigrams(self, ids: U32, logp: Any, backoff: Any) -> None:
        self.unigrams_read = len(ids)
        self.has_unknown = bool((ids == 0).any())
        size = len(self.vocabulary)
        self.bits = np.uint64(max(1, (size - 1).bit_length()))
        p = np.full(size, -np.inf, np.float32)
        p[ids] = logp
        weights = np.zeros(size if len(backoff) or not len(logp) else 0, np.float32)
        if len(backoff):
            weights[ids] = backoff
        zeros = np.zeros(size, np.uint32)
        rows = Ngrams(zeros, np.arange(size, dtype=np.uint32), zeros, p, weights)
        self.rows.append(rows)
        self.suffixes = np.zeros(1 + size, np.uint32)

    def _level(self, keys: NDArray[Any], logp: Any, backoff: Any, order: int) -> None:
        packed = (keys[:, 0].astype(np.uint64) << np.uint64(32)) | keys[:, 1].astype(np.uint64)
        if len(packed) and not (packed[1:] > packed[:-1]).all():
            by = np.argsort(packed, kind="stable")
            packed, logp = packed[by], logp[by]
            backoff = backoff[by] if len(backoff) else backoff
            if (packed[1:] == packed[:-1]).any():
                must = f"hold each {order}-gram once"
                raise _check.invalid("path", must, f"{self.path!r} with one twice")
        prefix = (packed >> np.uint64(32)).astype(np.uint32)
        word = packed.astype(np.uint32)
        first = 1 + sum(len(rows) for rows in self.rows)
        suffix = np.empty(len(word), np.uint32)
        kernels.link(prefix, word, self.suffixes, self.table, self.bits, suffix)
        below = first - len(self.rows[-1])
        self.rows.append(Ngrams(prefix - np.uint32(below), word, suffix, logp, backoff))
        self.suffixes = np.concatenate([self.suffixes, suffix])
        # The table holds all levels below the next one.
        longer = self.rows[1:]
        self.table = np.zeros(2 * (int(sum(map(len, longer)) / LOAD) + 8), np.uint64)
        node = 1 + len(self.rows[0])
        for rows, parent in zip(longer, [1, *self._firsts()], strict=False):
            whole = rows.prefix + np.uint32(parent)
            kernels.enter(whole, rows.word, node, self.bits, self.table)
            node += len(rows)

    def _firsts(self) -> Iterator[int]:
        node = 1
        for rows in self.rows[:-1]:
            node += len(rows)
            yield node

    def _wrong(self, must: str, got: str) -> ValueError:
        where = f"{got} on line {self.line} of {self.path!r}"
        return _check.invalid("path", must, where, "An ARPA file is expected.")


def write_arpa(model: NGramModel, path: str | os.PathLike[str]) -> None:
    """Write a model as an ARPA file, which KenLM and SRILM read too.

    Numbers have the digits that bring the same float32 back; a probability of 0 is written -99.

    Parameters
    ----------
    model : NGramModel
    path : str or PathLike
        Compressed where it ends in ``.gz``.

    Raises
    ------
    ValueError
        If the scores are no probabilities (`StupidBackoff`), or a word holds white space, or it is
        a `Mixture`, which no back-off model equals.

    References
    ----------
    A. Stolcke (2002). SRILM, an extensible language modeling toolkit. ngram-format(5).
    """
    if not isinstance(model, NGramModel):
        because = "a sum of back-off models is not one"
        advice = "Keep it with save, or write one of its models."
        raise _check.cannot("No ARPA file of a mixture can be written", because, advice)
    if not model.is_distribution:
        because = "stupid back-off scores are no back-off probabilities"
        raise _check.cannot("No ARPA file can be written", because, "Use another smoothing.")
    vocabulary = model.vocabulary
    blob = vocabulary.blob[: vocabulary.starts[len(vocabulary)]]
    lengths = np.diff(vocabulary.starts[: len(vocabulary) + 1])
    if SPACE[blob].any() or (lengths == 0).any():
        spaces = set(map(chr, np.flatnonzero(SPACE)))
        word = next(w for w in vocabulary.words() if not w or spaces & set(w))
        because = f"the word {word!r} is or holds white space, which separates words there"
        advice = "Name it in the text, for example '_', or keep the model with save."
        raise _check.cannot("No ARPA file can be written", because, advice)
    with _store.writing(path) as plain:
        file: IO[bytes] = plain
        if os.fspath(path).endswith(".gz"):
            file = cast(
                IO[bytes], gzip.GzipFile(fileobj=plain, mode="wb", compresslevel=6, mtime=0)
            )
        _write(model, file, lengths)
        if file is not plain:
            file.close()


def _write(model: NGramModel, file: IO[bytes], lengths: NDArray[np.int64]) -> None:
    levels = model.backoff.rows
    closed = model.unknown == "closed"
    counts = [len(rows) for rows in levels]
    counts[0] -= closed
    header = "".join(f"ngram {n}={count}\n" for n, count in enumerate(counts, 1))
    file.write(f"\\data\\\n{header}".encode())
    vocabulary = model.vocabulary
    padded = np.concatenate([vocabulary.blob, np.zeros(16, np.uint8)])
    for n, rows in enumerate(levels, 1):
        file.write(f"\n\\{n}-grams:\n".encode())
        for low in range(int(closed and n == 1), len(rows), FORMATTED_ROWS):
            for piece in _formatted(padded, vocabulary.starts, lengths, levels[:n], low):
                file.write(piece.data)
    file.write(b"\n\\end\\\n")


def _formatted(
    blob: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    levels: list[Ngrams],
    low: int,
) -> Iterator[NDArray[np.uint8]]:
    """Yield the lines of a batch of the last level's n-grams, formatted on several threads."""
    rows, order = levels[-1], len(levels)
    count = min(FORMATTED_ROWS, len(rows) - low)

    def work(first: int, last: int) -> list[NDArray[np.uint8]]:
        found = []
        for at in range(low + first, low + last, PIECE):
            part = slice(at, min(at + PIECE, low + last))
            words = _words(levels, part)
            out = np.empty(int(lengths[words].sum()) + len(words) * (order + 64), np.uint8)
            wrote = kernels.write_rows(
                words, blob, starts, rows.logp[part], rows.backoff[part], out
            )
            found.append(out[:wrote])
        return found

    for pieces in in_blocks(work, count, least=PIECE):
        yield from pieces


def _words(levels: list[Ngrams], part: slice) -> U32:
    """Return the words of some n-grams, (n, order)."""
    columns = [levels[-1].word[part]]
    at = levels[-1].prefix[part]
    for rows in reversed(levels[:-1]):
        columns.append(rows.word[at])
        at = rows.prefix[at]
    return np.ascontiguousarray(np.column_stack(columns[::-1]))
