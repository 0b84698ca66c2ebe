"""Files of lines, streamed: read with their text field, scored, and written on, kept or dropped.

A record is a line of plain text, or a line of JSON with a text field that may hold several lines.
The score of a record is the number of bits a model needs for each byte of it.
"""

import gzip
import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from xent import _check, _store
from xent.language import _text
from xent.language._evaluation import LOG_2
from xent.language._model import NGramModel

F64 = NDArray[np.float64]
SCORE_NAME = "bits_per_byte"


@dataclass
class Records:
    """Some records of a file.

    ``raw`` are their lines, ``text`` all lines of their texts, ``parts`` how many lines each text
    has, ``sizes`` its bytes with a line feed a line.
    """

    raw: list[bytes]
    text: bytes
    parts: NDArray[np.int64]
    sizes: NDArray[np.int64]


def records(path: str | os.PathLike[str], field: str | None = None) -> Iterator[Records]:
    """Yield the records of a file, two megabytes at a time."""
    done = 0
    for piece in _text.pieces(path):
        raw = piece.split(b"\n")[:-1]
        if field is None:
            sizes = np.fromiter(map(len, raw), np.int64, len(raw)) + 1
            yield Records(raw, piece, np.ones(len(raw), np.int64), sizes)
        else:
            texts = [_field(line, field, done + i) for i, line in enumerate(raw, 1)]
            parts = np.array([t.count(b"\n") for t in texts], np.int64)
            sizes = np.fromiter(map(len, texts), np.int64, len(texts))
            yield Records(raw, b"".join(texts), parts, sizes)
        done += len(raw)


def _field(line: bytes, field: str, number: int) -> bytes:
    """Return the text of a JSON line, ending in a line feed."""
    try:
        record = json.loads(line)
    except ValueError as error:
        raise _check.invalid("TEXT", "hold JSON lines", f"line {number} ({error})") from None
    if not isinstance(record, dict) or not isinstance(record.get(field), str):
        must = f"hold a text under {field!r} in every line"
        raise _check.invalid("TEXT", must, f"line {number} without it")
    text: str = record[field]
    try:
        return text.removesuffix("\n").encode("utf-8", "surrogateescape") + b"\n"
    except UnicodeEncodeError:
        got = f"half a surrogate pair on line {number}"
        raise _check.invalid("TEXT", "hold text that UTF-8 can write", got) from None


def lines(path: str | os.PathLike[str], field: str | None = None) -> Iterator[str]:
    """Yield the lines of a text, or those of the text field of a file of JSON lines."""
    for some in records(path, field):
        yield from some.text.decode("utf-8", "surrogateescape").split("\n")[:-1]


def scored(
    model: NGramModel, path: str | os.PathLike[str], field: str | None = None
) -> Iterator[tuple[Records, F64, int]]:
    """Yield the records of a file, the bits of each and the number of tokens."""
    reader = model.reader()
    for some in records(path, field):
        sums, tokens = model.score_ids(reader.encode(some.text))
        first = np.concatenate([[0], np.cumsum(some.parts)[:-1]])
        bits = -np.add.reduceat(sums, first) / LOG_2 if len(sums) else sums
        yield some, bits, tokens


@dataclass
class Filtered:
    """What `filter_file` did."""

    records: int
    kept: int
    tokens: int
    bytes: int


def filter_file(
    model: NGramModel,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    annotate: bool = False,
    field: str | None = None,
) -> Filtered:
    """Write the records whose bits per byte lie in a range, or all of them with their score.

    Parameters
    ----------
    model : NGramModel
    source, target : str or PathLike
        Plain, ``.gz`` or ``.zst``.
    at_most, at_least : float, optional
        The range, both ends included.
    annotate : bool
        Write the score too: as ``bits_per_byte`` in JSON, or before a tab on plain lines.
    field : str, optional
        The text field of JSON lines; plain text where not given.
    """
    done = Filtered(0, 0, 0, 0)
    low = -math.inf if at_least is None else at_least
    high = math.inf if at_most is None else at_most
    if os.path.realpath(source) == os.path.realpath(target):
        raise _check.invalid("--output", "differ from the input", repr(os.fspath(target)))
    with writing(target) as out:
        for some, bits, tokens in scored(model, source, field):
            score = bits / some.sizes
            kept = np.flatnonzero((score >= low) & (score <= high))
            chosen: list[bytes] = [some.raw[i] for i in kept]
            if annotate:
                mark = _annotated if field is not None else _prefixed
                chosen = [mark(line, s) for line, s in zip(chosen, score[kept], strict=True)]
            if chosen:
                out.write(b"\n".join(chosen) + b"\n")
            done.records += len(some.raw)
            done.kept += len(chosen)
            done.tokens += tokens
            done.bytes += int(some.sizes.sum())
    return done


def _prefixed(line: bytes, score: float) -> bytes:
    return b"%.6g\t%b" % (score, line)


def _annotated(line: bytes, score: float) -> bytes:
    record: dict[str, Any] = json.loads(line)
    record[SCORE_NAME] = round(float(score), 6) if math.isfinite(score) else None
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogateescape")


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file that appears complete: plain, or gzip or zstd by its suffix; "-" is stdout."""
    name = os.fspath(path)
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with _store.writing(path, argument="--output") as plain:
        if name.endswith(".gz"):
            with gzip.GzipFile(fileobj=plain, mode="wb", compresslevel=6, mtime=0) as packed:
                yield cast(IO[bytes], packed)
        elif name.endswith((".zst", ".zstd")):
            import pyarrow

            # Arrow closes what it is handed, and the file is ours to flush: it gets a copy.
            copy = open(os.dup(plain.fileno()), "wb")  # noqa: SIM115
            with pyarrow.CompressedOutputStream(pyarrow.PythonFile(copy), "zstd") as squeezed:
                yield squeezed
        else:
            yield plain
