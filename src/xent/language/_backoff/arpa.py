r"""ARPA text to arrays.

    \\data\\              \\1-grams:                     \\end\\
    ngram 1=3           -0.5 <TAB> word <TAB> -0.3
    ngram 2=2           log10 p    n-gram     log10 back-off weight

The counts in the header are compared with what is there and never believed beforehand. Before it a
comment of ours says what a token is: ``# xent: unit=character errors=strict``.
"""

import os
import re
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._backoff.linked import LinkedLevels, packed, unpacked
from xent.language._kernels import arpa as kernels
from xent.language._kernels.text import SPACE
from xent.language._lines import _encodings, _text
from xent.language._vocabulary import BEGIN, END, UNKNOWN, UNKNOWN_NAMES, Vocabulary

U32 = NDArray[np.uint32]
F32 = NDArray[np.float32]
COMMENT = "# xent:"
IN_COMMENT = ("unit", "errors")
# What IRSTLM writes by default: numbers that are not yet mixed, and binary forms.
IRSTLM = ("iARPA", "qARPA", "blmt", "Qblmt", "blmtI", "QblmtI")
ZERO_LOG = -99  # what is as low stands for a probability of 0
KENLM_UNKNOWN = np.float32(-100)  # KenLM's log10-probability of words where there is no <unk>

WRONG = {
    kernels.BAD_NUMBER: "begin with a log-probability",
    kernels.POSITIVE: "hold log-probabilities of at most 0",
    kernels.FEW_WORDS: "hold {order} words",
    kernels.MANY_WORDS: "hold {order} words and at most one back-off weight",
    kernels.STRANGE_WORD: "hold words that are among the 1-grams",
    kernels.INFINITE: "hold finite back-off weights",
}


class _MissingPrefixError(Exception):
    """An n-gram stands in the file and its beginning does not."""


def read(path: str, *, as_kenlm: bool = False) -> "ArpaReader":
    """Read a file; the vocabulary, the rows and the settings stand in what is returned.

    Parameters
    ----------
    path : str
    as_kenlm : bool
        Keep -99 as the number it is, and give unknown words -100 where there is no ``<unk>``.
    """
    reader = ArpaReader(path, as_kenlm=as_kenlm)
    try:
        reader.read()
    except _MissingPrefixError as missing:
        if not os.path.isfile(path):  # it cannot be read again
            must = "hold the beginning of each n-gram"
            raise _check.invalid("path", must, f"{str(missing)!r} without it") from None
        reader = ArpaReader(path, as_kenlm=as_kenlm, complete=False)
        reader.read()
    return reader


class ArpaReader:
    """Reads one file, piece by piece.

    With ``complete=False`` n-grams whose beginning is not listed (SRILM's pruned models) are taken:
    all are held until the file is read, and the beginnings are added with the probabilities that
    they back off to, so that nothing else has another one.
    """

    def __init__(self, path: str, *, as_kenlm: bool = False, complete: bool = True) -> None:
        self.path = path
        self.as_kenlm = as_kenlm
        self.complete = complete
        self.line = 1
        self.text = np.empty(0, np.uint8)
        self.at = 0
        self.vocabulary = Vocabulary()
        self.settings: dict[str, str] = {}
        self.has_unknown = False
        self.special = np.empty(0, np.uint32)  # those of <unk>, <s>, </s> that were met
        self.held: list[tuple[U32, F32, F32]] = []

    def read(self) -> None:
        """Read the file."""
        with closing(_text.pieces(self.path)) as self.pieces:
            announced = self._header()
            for order, expected in enumerate(announced, 1):
                heading = self._next_line()
                if heading != f"\\{order}-grams:":
                    raise self._wrong(f"go on with \\{order}-grams:", repr(heading))
                found = self._section(order, order == len(announced))
                if found != expected:
                    must = f"hold the {expected} {order}-grams it announces"
                    raise _check.invalid("path", must, f"{self.path!r} with {found}")
            if (last := self._next_line()) != "\\end\\":
                raise self._wrong("end with \\end\\", repr(last) if last else "its end: cut short")
        if not self.complete:
            self._completed()
        for mark, what in ((END, "the end of a sentence"), (BEGIN, "the begin of a sentence")):
            if mark not in self.special:
                self._lacks(mark, what)

    # ------------------------------------------------------------------ lines

    def _refuse_utf16(self) -> None:
        """Say so where it is UTF-16 that no line was found in; a pipe cannot be read again."""
        if not os.path.isfile(self.path):
            return
        with closing(_text.pieces(self.path)) as pieces:
            encoding = _encodings.utf16(next(pieces, b""))
        if encoding:
            advice = _encodings.converted(encoding)
            raise _check.invalid("path", "be UTF-8", f"{encoding} in {self.path!r}", advice)

    def _header(self) -> list[int]:
        first = True
        while (line := self._next_line()) != "\\data\\":
            if not line:
                self._refuse_utf16()
                raise self._wrong("hold a line \\data\\", "none")
            if first and (kind := line.split()[0]) in IRSTLM:
                advice = "Write it as ARPA with: compile-lm FILE --text yes OUTPUT"
                got = f"IRSTLM's {kind} in {self.path!r}"
                raise _check.invalid("path", "be an ARPA file", got, advice)
            first = False
            if line.startswith(COMMENT):
                self._set(line)
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

    def _set(self, line: str) -> None:
        """Read the comment that says what a token is."""
        for pair in line.removeprefix(COMMENT).split():
            name, _, value = pair.partition("=")
            if name not in IN_COMMENT:
                must = f"say {_check.join_names(IN_COMMENT, last='and')} after {COMMENT!r}"
                raise self._wrong(must, repr(pair))
            self.settings[name] = value

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

    # ------------------------------------------------------------------ n-grams

    def _section(self, order: int, longest: bool) -> int:
        """Read the n-grams of one order; return how many."""
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
            if order == 1:
                words.append(self._new_words(w[:rows]))
            else:
                words.append(self._prefixes(w[:rows]) if self.complete else w[:rows])
            logs.append(p[:rows])
            weights.append(b[:rows])
        width = 2 if order == 1 or self.complete else order
        keys = np.concatenate([np.empty((0, width), np.uint32), *words])
        logp, backoff = np.concatenate([*logs, np.empty(0, np.float32)]), np.empty(0, np.float32)
        if not longest:
            backoff = np.concatenate([*weights, backoff])
        if not self.as_kenlm:
            logp[logp <= ZERO_LOG] = -np.inf
            backoff[backoff <= ZERO_LOG] = -np.inf
        if order == 1:
            self._unigrams(keys[:, 1], logp, backoff)
        elif self.complete:
            self._level(keys, logp, backoff)
        else:
            self.held.append((keys, logp, backoff))
        return len(keys)

    def _new_words(self, places: NDArray[np.int64]) -> U32:
        """Return (0, id) of the words that stand between places of the text."""
        names = [self.text[a:b].tobytes().decode("utf-8", "surrogateescape") for a, b in places]
        before = len(self.vocabulary)
        ids = np.array([self.vocabulary.add(name) for name in names], np.uint32)
        # The three special words have ids already; any other one that has was met before.
        distinct, first = np.unique(ids, return_index=True)
        met = (distinct < before) & (distinct > END) | np.isin(distinct, self.special)
        again = np.ones(len(ids), np.bool_)
        again[first] = met
        if again.any():
            raise self._twice([names[int(np.argmax(again))]])
        self.special = np.union1d(self.special, distinct[distinct <= END])
        return np.column_stack([np.zeros_like(ids), ids])

    def _prefixes(self, words: U32) -> U32:
        """Return (node of the prefix, last word) of each n-gram."""
        prefix = np.empty(len(words), np.uint32)
        missing = self.levels.prefixes(words, prefix)
        if missing >= 0:
            raise _MissingPrefixError(" ".join(self.vocabulary.words(words[missing])))
        return np.column_stack([prefix, words[:, -1]])

    def _unigrams(self, ids: U32, logp: F32, backoff: F32) -> None:
        self.has_unknown = bool((ids == UNKNOWN).any())
        size = len(self.vocabulary)
        p = np.full(size, -np.inf, np.float32)
        p[ids] = logp
        if self.as_kenlm and not self.has_unknown:
            p[UNKNOWN] = KENLM_UNKNOWN
        weights = np.zeros(size if len(backoff) or not len(logp) else 0, np.float32)
        if len(backoff):
            weights[ids] = backoff
        self.levels = LinkedLevels(p, weights)

    def _lacks(self, mark: int, what: str) -> None:
        name = self.vocabulary.words([mark])[0]
        follows = (
            "has probability 0, and so has every sentence"
            if mark == END
            else "is no history: first words are predicted as if nothing stood before them"
        )
        _check.warn(f"{self.path!r} has no {name}: {what} {follows}. KenLM refuses such a file.")

    def _level(self, keys: U32, logp: F32, backoff: F32) -> None:
        """Enter the n-grams of the next order, given as (node of the prefix, last word)."""
        order = packed(keys[:, 0], keys[:, 1])
        if len(order) and not (order[1:] > order[:-1]).all():
            by = np.argsort(order, kind="stable")
            order, logp = order[by], logp[by]
            backoff = backoff[by] if len(backoff) else backoff
            if (same := order[1:] == order[:-1]).any():
                prefix, word = unpacked(order[int(np.argmax(same))][None])
                gram = self.levels.words_of(int(prefix[0]), int(word[0]))
                raise self._twice(self.vocabulary.words(gram))
        self.levels.add(*unpacked(order), logp, backoff)

    # ------------------------------------------------------------------ beginnings not listed

    def _completed(self) -> None:
        """Enter the n-grams that were held, with the beginnings that are not among them."""
        for k in range(len(self.held) - 1, 0, -1):
            words, logp, backoff = self.held[k - 1]
            wanted = np.concatenate([words, self.held[k][0][:, :-1]])
            distinct, first = np.unique(wanted, axis=0, return_index=True)
            added = distinct[first >= len(words)]
            logp = np.concatenate([logp, np.full(len(added), np.nan, np.float32)])
            backoff = np.concatenate([backoff, np.zeros(len(added), np.float32)])
            self.held[k - 1] = np.concatenate([words, added]), logp, backoff
        for words, logp, backoff in self.held:
            self._level(self._prefixes(words), logp, backoff)
            self._back_off()

    def _back_off(self) -> None:
        """Give n-grams of the last level without a probability the one that they back off to."""
        *below, rows = self.levels.rows
        added = np.flatnonzero(np.isnan(rows.logp))
        firsts = self.levels.firsts[:-1]
        logp = np.concatenate([np.zeros(1, np.float32), *(level.logp for level in below)])
        weights = np.concatenate([np.zeros(1, np.float32), *(level.backoff for level in below)])
        node = rows.prefix[added].astype(np.int64) + firsts[-2]
        suffix = rows.suffix[added]
        shorter = np.searchsorted(firsts, suffix, "right") - 1  # length of its history
        total = logp[suffix].astype(np.float64)
        while (longer := np.searchsorted(firsts, node, "right") > shorter).any():
            total[longer] += weights[node[longer]]
            node[longer] = self.levels.suffixes[node[longer]]
        rows.logp[added] = total

    # ------------------------------------------------------------------ what is wrong

    def _twice(self, words: list[str]) -> ValueError:
        """Return the error for an n-gram that stands there twice; it names the lines."""
        where = _check.join_names(self._lines_of(words), last="and")
        got = f"{' '.join(words)!r} on lines {where} of {self.path!r}"
        return _check.invalid("path", f"hold each {len(words)}-gram once", got)

    def _lines_of(self, words: list[str]) -> list[int]:
        """Return the lines on which an n-gram stands."""
        if not os.path.isfile(self.path):
            return []
        wanted = [UNKNOWN_NAMES[0] if w in UNKNOWN_NAMES else w for w in words]
        found, number, order = [], 0, 0
        with closing(_text.pieces(self.path)) as pieces:
            for line in (line for piece in pieces for line in piece.split(b"\n")[:-1]):
                number += 1
                text = line.strip(b"\0\t\r ").decode("utf-8", "surrogateescape")
                parts = re.split(r"[\0\t\r ]+", text)
                if heading := re.fullmatch(r"\\(\d+)-grams:", parts[0]):
                    order = int(heading[1])
                elif order == len(words):
                    gram = parts[1 : order + 1]
                    if [UNKNOWN_NAMES[0] if w in UNKNOWN_NAMES else w for w in gram] == wanted:
                        found.append(number)
        return found

    def _wrong(self, must: str, got: str) -> ValueError:
        where = f"{got} on line {self.line} of {self.path!r}"
        return _check.invalid("path", must, where, "An ARPA file is expected.")
