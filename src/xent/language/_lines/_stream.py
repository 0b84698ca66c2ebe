"""Files of lines, streamed: read with their text field, scored, and written on, kept or dropped.

A record is a line of plain text, or a line of JSON with a text field that may hold several lines.
The score of a record is the number of bits a model needs for each byte of it, unknown words spelt.
"""

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xent import _check, _store
from xent._table.files import compression
from xent.language._evaluation import LOG_2
from xent.language._lines import _text
from xent.language._scorer import Scorer

F64 = NDArray[np.float64]


@dataclass
class Records:
    """Some records of a file.

    ``raw`` are their lines, ``text`` all lines of their texts, ``parts`` how many lines each text
    has, ``sizes`` its bytes with a line feed a line, ``bad`` marks those that are no text.
    """

    raw: list[bytes]
    text: bytes
    parts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    bad: NDArray[np.bool_]


@dataclass
class BadLines:
    """What to do with a line that is no text, and what was met."""

    skip: bool = False
    count: int = 0
    first: str = ""

    def met(self, error: ValueError) -> None:
        """Count a bad line, or stop with its error."""
        if not self.skip:
            raise error from None
        self.count += 1
        self.first = self.first or str(getattr(error, "got", error))


def records(
    path: str | os.PathLike[str], field: str | None = None, bad: BadLines | None = None
) -> Iterator[Records]:
    """Yield the records of a file, two megabytes at a time."""
    bad = bad or BadLines()
    done = 0
    for piece in _text.pieces(path):
        raw = piece.split(b"\n")[:-1]
        wrong = np.zeros(len(raw), np.bool_)
        if field is None:
            text = _text.line_feeds(piece)
            parts = np.ones(len(raw), np.int64)
            sizes = np.fromiter(map(len, raw), np.int64, len(raw)) + 1
            if len(text) < len(piece):
                sizes -= np.fromiter((line.endswith(b"\r") for line in raw), np.int64, len(raw))
        else:
            texts = []
            for i, line in enumerate(raw):
                try:
                    texts.append(_field(line, field, done + i + 1))
                except ValueError as error:
                    bad.met(error)
                    texts.append(b"\n")
                    wrong[i] = True
            text = b"".join(texts)
            parts = np.array([t.count(b"\n") for t in texts], np.int64)
            sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        yield Records(raw, text, parts, sizes, wrong)
        done += len(raw)


def _field(line: bytes, field: str, number: int) -> bytes:
    """Return the text of a JSON line, ending in a line feed."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _check.invalid("TEXT", "hold JSON lines", f"line {number} ({error})") from None
    if not isinstance(record, dict) or not isinstance(record.get(field), str):
        must = f"hold a text under {field!r} in every line"
        raise _check.invalid("TEXT", must, f"line {number} without it")
    text: str = record[field]
    try:
        text = text.replace("\r\n", "\n").removesuffix("\n")
        return text.encode("utf-8", "surrogateescape") + b"\n"
    except UnicodeEncodeError:
        got = f"half a surrogate pair on line {number}"
        raise _check.invalid("TEXT", "hold text that UTF-8 can write", got) from None


def lines(path: str | os.PathLike[str], field: str | None = None) -> Iterator[str]:
    """Yield the lines of a text, or those of the text field of a file of JSON lines."""
    for some in records(path, field):
        yield from some.text.decode("utf-8", "surrogateescape").split("\n")[:-1]


@dataclass
class Scored:
    """Records and what a model makes of each: NaN where it is no text."""

    records: Records
    model_bits: F64  # of its events
    spelling_bits: F64  # of the spelling of its unknown words
    events: NDArray[np.int64]

    @property
    def bits(self) -> F64:
        """Bits of each text."""
        return self.model_bits + self.spelling_bits

    def by(self, measure: str) -> F64:
        """Return the score of each text."""
        if measure == "bits_per_byte":
            return self.bits / self.records.sizes
        with np.errstate(over="ignore"):
            return np.exp2(self.model_bits / np.maximum(self.events, 1))


def scored(
    model: Scorer,
    path: str | os.PathLike[str],
    field: str | None = None,
    bad: BadLines | None = None,
    spelling: str = "uniform",
) -> Iterator[Scored]:
    """Yield the records of a file with the scores of each."""
    bad = bad or BadLines()
    reader = model.reader(spelling=spelling)
    for some in records(path, field, bad):
        ids = _encoded(reader, some, bad)
        sums, events = model.score_ids(ids)
        first = np.concatenate([[0], np.cumsum(some.parts)[:-1]]).astype(np.int64)
        model_bits = -np.add.reduceat(sums, first) / LOG_2
        model_bits[some.bad] = np.nan
        spelling_bits = np.add.reduceat(reader.unknown_bits, first)
        yield Scored(some, model_bits, spelling_bits, np.add.reduceat(events, first))


def _encoded(reader: _text.Reader, some: Records, bad: BadLines) -> NDArray[np.uint32]:
    """Return the ids of records; where bad ones are skipped they become empty lines."""
    if not bad.skip:
        return reader.encode(some.text)
    if reader.errors == "strict" and not reader.lines:
        reader.refuse_utf16(some.text)
    try:
        return reader.encode(some.text)
    except ValueError:
        lines = reader.lines
    ends = np.cumsum(some.sizes)
    begins = ends - some.sizes

    def look(low: int, high: int) -> None:
        """Halve a range until the bad lines in it stand alone."""
        try:
            reader.encode(some.text[begins[low] : ends[high - 1]])
        except ValueError as error:
            if high - low > 1:
                look(low, (low + high) // 2)
                look((low + high) // 2, high)
            else:
                bad.met(error)
                some.bad[low] = True

    look(0, len(some.raw))
    texts = [some.text[a:b] for a, b in zip(begins, ends, strict=True)]
    for i in np.flatnonzero(some.bad):
        texts[i], some.parts[i] = b"\n", 1
    some.text = b"".join(texts)
    reader.lines = lines
    return reader.encode(some.text)


@dataclass
class Filtered:
    """What `filter_file` did."""

    records: int
    kept: int
    tokens: int
    bytes: int
    bad: int
    first_bad: str


def filter_file(
    model: Scorer,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    by: str = "bits_per_byte",
    at_most: float | None = None,
    at_least: float | None = None,
    keep: float | None = None,
    annotate: bool = False,
    field: str | None = None,
    skip_bad: bool = False,
    spelling: str = "uniform",
) -> Filtered:
    """Write the records whose score lies in a range, or a share of them, or all with their score.

    Parameters
    ----------
    model : NGramModel or Mixture
    source, target : str or PathLike
        Plain or packed: gzip, bzip2, xz or zstd, the target by its name.
    by : str
        The score: ``"bits_per_byte"``, unknown words spelt, or ``"perplexity"``, where each is one
        event.
    at_most, at_least : float, optional
        The range, both ends included.
    keep : float, optional
        The share with the lowest scores; the file is read twice.
    annotate : bool
        Write the score too: under its name in JSON, or before a tab on plain lines.
    field : str, optional
        The text field of JSON lines; plain text where not given.
    skip_bad : bool
        Leave out lines that are no text, and count them, instead of stopping there.
    spelling : str
        As in `Scorer.evaluate`.
    """
    if os.path.realpath(source) == os.path.realpath(target):
        raise _check.invalid("--output", "differ from the input", repr(os.fspath(target)))
    if by == "perplexity" and model.is_closed:
        advice = "Unknown words are no events there, so a line of them would look easy."
        raise _check.invalid("--by", "be bits_per_byte for a closed vocabulary", by, advice)
    bad = BadLines(skip_bad)
    done = Filtered(0, 0, 0, 0, 0, "")
    chosen = None if keep is None else _lowest(model, source, by, keep, field, skip_bad, spelling)
    low = -math.inf if at_least is None else at_least
    high = math.inf if at_most is None else at_most
    with writing(target) as out:
        for some in scored(model, source, field, bad, spelling):
            score, raw = some.by(by), some.records.raw
            if chosen is None:
                kept = np.flatnonzero((score >= low) & (score <= high))
            else:
                kept = np.flatnonzero(chosen[done.records : done.records + len(raw)])
            lines = [raw[i] for i in kept]
            if annotate and field is None:
                lines = [b"%.6g\t%b" % pair for pair in zip(score[kept], lines, strict=True)]
            elif annotate:
                lines = [_annotated(*pair, by) for pair in zip(lines, score[kept], strict=True)]
            if lines:
                out.write(b"\n".join(lines) + b"\n")
            done.records += len(raw)
            done.kept += len(lines)
            done.tokens += int(some.events.sum())
            done.bytes += int(some.records.sizes.sum())
    done.bad, done.first_bad = bad.count, bad.first
    return done


def _lowest(
    model: Scorer,
    source: str | os.PathLike[str],
    by: str,
    keep: float,
    field: str | None,
    skip_bad: bool,
    spelling: str,
) -> NDArray[np.bool_]:
    """Mark the share of a file's records that have the lowest scores."""
    if not os.path.isfile(source):
        advice = "It reads the text twice: first for the scores."
        raise _check.invalid("TEXT", "be a file where --keep is given", "a pipe", advice)
    bad = BadLines(skip_bad)
    score = np.concatenate(
        [np.empty(0), *(some.by(by) for some in scored(model, source, field, bad, spelling))]
    )
    size = round(keep * int(np.count_nonzero(~np.isnan(score))))
    chosen = np.zeros(len(score), np.bool_)
    chosen[np.argsort(score, kind="stable")[:size]] = True  # NaN is sorted last
    return chosen


def _annotated(line: bytes, score: float, name: str) -> bytes:
    record: dict[str, Any] = json.loads(line)
    record[name] = round(float(score), 6) if math.isfinite(score) else None
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogateescape")


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file that appears complete, packed as its name says; "-" is stdout."""
    name = os.fspath(path)
    if name == "-":
        if sys.stdout is None:  # `>&-`
            must = "name a file where standard output is closed"
            raise _check.invalid("--output", must, "'-'")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with (
        _store.writing(path, argument="--output") as plain,
        compression.writing(plain, name) as file,
    ):
        yield file
