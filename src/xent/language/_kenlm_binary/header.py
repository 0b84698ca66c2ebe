"""The head of a KenLM binary: what kind it is, and how many n-grams it holds.

Format version 5, which KenLM has written since 2011. Numbers are little-endian.
"""

import struct
from dataclasses import dataclass

import numpy as np

from xent import _check

MAGIC = b"mmap lm http://kheafield.com/code"
VERSION = MAGIC + b" format version 5\n"
UNFINISHED = MAGIC + b" incomplete\n"
# The same numbers on every machine that lays them out as this format does.
_SANITY = VERSION.ljust(56, b"\0") + struct.pack("<3f2I4xQ", 0.0, 1.0, -0.5, 1, 0xFFFFFFFF, 1)
_SETTINGS = struct.Struct("<B3xfIB3xI")
PROBING, REST, TRIE, QUANTISED, ARRAY, QUANTISED_ARRAY = range(6)
MAX_ORDER = 100


@dataclass(frozen=True)
class Header:
    """What the head of a file says."""

    kind: int
    counts: tuple[int, ...]  # n-grams of each order
    multiplier: np.float32  # buckets an entry, of hash tables
    has_words: bool
    size: int  # bytes of the head itself

    @property
    def order(self) -> int:
        """The longest n-gram."""
        return len(self.counts)

    @property
    def hashed(self) -> bool:
        """Whether n-grams stand in hash tables."""
        return self.kind in (PROBING, REST)


def read_header(head: bytes, size: int, path: str) -> Header:
    """Read the head of a file of so many bytes; refuse what is not the format known here."""
    advice = "Build it anew from the .arpa with build_binary, or load the .arpa itself."

    def refused(got: str) -> ValueError:
        return _check.invalid("path", "be a whole KenLM binary of format 5", got, advice)

    if head.startswith(UNFINISHED):
        raise refused(f"{path!r}, whose building was not finished")
    if not head.startswith(VERSION):
        found = head[len(MAGIC) :].split(b"\n")[0][:40].decode("ascii", "replace").strip()
        raise refused(f"{path!r} of {found!r}")
    if len(head) < len(_SANITY) + _SETTINGS.size:
        raise refused(f"{path!r}, which is cut short")
    if not head.startswith(_SANITY):
        raise refused(f"{path!r}, written by a machine that lays out numbers in another way")
    order, multiplier, kind, has_words, version = _SETTINGS.unpack_from(head, len(_SANITY))
    if not 2 <= order <= MAX_ORDER:
        raise refused(f"{path!r} of order {order}")
    if kind > QUANTISED_ARRAY or version != (kind >= TRIE) or has_words > 1:
        raise refused(f"{path!r} of type {kind}, version {version}")
    length = len(_SANITY) + _SETTINGS.size + 8 * order + 4
    if length > size or length > len(head):
        raise refused(f"{path!r}, which is cut short")
    counts = struct.unpack_from(f"<{order}Q", head, len(_SANITY) + _SETTINGS.size)
    if not (np.isfinite(multiplier) and 1 <= multiplier <= 1000):
        raise refused(f"{path!r} with {multiplier:g} buckets an entry")
    # A record takes more than a bit, a word four bytes and its id 32 bits.
    if max(counts) > 8 * size or not 1 <= counts[0] < min(size, 1 << 32):
        raise refused(f"{path!r}, which announces more n-grams than it has room for")
    return Header(kind, counts, np.float32(multiplier), bool(has_words), length)
