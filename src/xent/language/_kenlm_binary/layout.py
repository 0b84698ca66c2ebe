"""What lies where in a KenLM binary: every part's place follows from the head alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._kenlm_binary.header import ARRAY, QUANTISED, QUANTISED_ARRAY, REST, Header
from xent.language._kernels import binary as kernels
from xent.language._kernels.murmur import BUCKET

Bytes = NDArray[np.uint8]
HashTable = tuple[Bytes, bool, int, int]  # the file, whether hashed, where, how many
SPARE = 8  # bytes after a packed table, so that a number can be read as one of eight
QUANTISER_VERSION = 2
MAX_QUANTISED_BITS = 25


@dataclass
class Layout:
    """The parts of a file."""

    vocabulary: int  # where the table of hashes begins
    hashes: int  # its buckets, or its hashes
    bound: int  # numbers of words: 0 is <unk>
    levels: NDArray[np.int64]  # a row an order, as the kernels read it
    end: int  # of all that; the words may follow


def buckets(count: int, multiplier: np.float32) -> int:
    """Return how many buckets a hash table of so many entries has.

    The product is taken in single precision, as KenLM does: in double, large tables come out wrong.
    """
    return max(count + 1, int(np.float32(multiplier * np.float32(count))))


def layout(data: Bytes, header: Header, path: str) -> Layout:
    """Find the parts of a file; refuse it where they do not fit."""
    levels = np.zeros((header.order, kernels.COLUMNS), np.int64)
    found = (_hashed if header.hashed else _trie)(data, header, levels, path)
    if found.end > len(data) or (found.end < len(data)) != header.has_words:
        got = f"{path!r} of {len(data):,} bytes, where its head asks for {found.end:,}"
        raise damaged(got)
    return found


def damaged(got: str) -> ValueError:
    """Return the error for a file that is not what its head says."""
    advice = "It is damaged or cut short; restore a copy or build it anew."
    return _check.invalid("path", "be a whole KenLM binary", got, advice)


def number(data: Bytes, at: int, size: int, path: str) -> int:
    """Read a whole number of so many bytes."""
    if at + size > len(data):
        raise damaged(f"{path!r}, which is cut short")
    return int.from_bytes(data[at : at + size].tobytes(), "little")


def _hashed(data: Bytes, header: Header, levels: NDArray[np.int64], path: str) -> Layout:
    counts, at = header.counts, header.size
    if version := number(data, at, 4, path):
        raise damaged(f"{path!r} with a vocabulary of version {version}")
    bound = number(data, at + 4, 4, path)
    if bound not in (counts[0], counts[0] + 1):
        raise damaged(f"{path!r} with {bound} numbers for {counts[0]} words")
    words = at + 8
    hashes = buckets(counts[0], header.multiplier)
    rest = 4 * (header.kind == REST)
    at = words + BUCKET * hashes
    levels[0, [kernels.OFFSET, kernels.RECORD, kernels.COUNT]] = at, 8 + rest, bound
    at += (8 + rest) * (counts[0] + 1)
    for n, count in enumerate(counts[1:], 1):
        record = 12 if n + 1 == header.order else 16 + rest
        size = buckets(count, header.multiplier)
        _within(at + record * size, data, path)
        levels[n, [kernels.OFFSET, kernels.RECORD, kernels.COUNT]] = at, record, size
        at += record * size
    return Layout(words, hashes, bound, levels, at)


def _within(end: int, data: Bytes, path: str) -> None:
    """Refuse a part that goes beyond the file, before its place is put into 64 bits."""
    if end > len(data):
        raise damaged(f"{path!r} of {len(data):,} bytes, where its head asks for more")


def _trie(data: Bytes, header: Header, levels: NDArray[np.int64], path: str) -> Layout:
    counts, at = header.counts, header.size
    hashes = number(data, at, 8, path)
    if hashes != counts[0] - 1:
        raise damaged(f"{path!r} with {hashes} words, where its head says {counts[0] - 1}")
    words = at + 8
    at = words + 8 * (hashes + 1)
    books: dict[int, tuple[int, int]] = {}
    prob_bits, backoff_bits = 31, 32
    if header.kind in (QUANTISED, QUANTISED_ARRAY):
        version, prob_bits, backoff_bits = (number(data, at + i, 1, path) for i in range(3))
        if version != QUANTISER_VERSION:
            raise damaged(f"{path!r} with a quantiser of version {version}")
        if not all(1 <= bits <= MAX_QUANTISED_BITS for bits in (prob_bits, backoff_bits)):
            raise damaged(f"{path!r} quantised to {prob_bits} and {backoff_bits} bits")
        at += 8
        for n in range(1, header.order):
            books[n] = at, at + 4 * (1 << prob_bits)
            at += 4 * ((1 << prob_bits) + (n + 1 < header.order) * (1 << backoff_bits))
    columns = [kernels.OFFSET, kernels.RECORD, kernels.COUNT, kernels.CHILDREN]
    levels[0, columns] = at, 16, counts[0], counts[1]
    at += 16 * (counts[0] + 2)
    _within(at, data, path)
    fields = _Fields(counts[0].bit_length(), prob_bits, backoff_bits)
    for n in range(1, header.order):
        at = fields.place(data, header, n, books.get(n), at, levels[n], path)
    return Layout(words, hashes, counts[0], levels, at)


@dataclass
class _Fields:
    """How wide the fields of a packed record are."""

    word: int
    prob: int
    backoff: int

    def place(
        self,
        data: Bytes,
        header: Header,
        n: int,
        books: tuple[int, int] | None,
        at: int,
        level: Any,
        path: str,
    ) -> int:
        """Describe the packed table of order n + 1, which begins at ``at``; return its end."""
        longest, count = n + 1 == header.order, header.counts[n]
        backoff = 0 if longest else self.backoff
        following, children, high, highs = 0, 0, 0, 0
        if not longest:
            children = header.counts[n + 1]
            following = children.bit_length()
            if header.kind in (ARRAY, QUANTISED_ARRAY):
                chopped = _chopped(data, at, count, children, path)
                following -= chopped
                highs = (children >> following) + 1
                high = -(-at // 8) * 8 + 8
                at += 8 * (highs + 1) + 7
        record = self.word + self.prob + backoff + following
        # The quantised weight stands before the quantised probability.
        prob_at = self.word + (backoff if books else 0)
        backoff_at = self.word + (0 if books else self.prob)
        prob_book, backoff_book = books or (-1, -1)
        end = at + ((count + 1) * record + 7) // 8 + SPARE
        _within(end, data, path)
        level[:] = (
            at, record, count, self.word, prob_at, self.prob, prob_book, backoff_at, backoff,
            backoff_book, self.word + self.prob + backoff, following, children, high, highs,
        )  # fmt: skip
        return end


def _chopped(data: Bytes, at: int, count: int, children: int, path: str) -> int:
    """Return how many high bits of the places of children stand in an array of their own."""
    version, most = number(data, at, 1, path), number(data, at + 1, 1, path)
    if version:
        raise damaged(f"{path!r} with an array of version {version}")
    width = children.bit_length()

    def cost(bits: int) -> int:
        return 64 * (children >> (width - bits)) - (count + 1) * bits

    return min(range(min(width, most) + 1), key=cost)  # the first of the least
