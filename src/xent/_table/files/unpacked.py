"""How large a packed table may become: a few kilobytes can unpack to more than any memory holds.

What is hundreds of times as large as its file, and no small table, is refused before it is in
memory: while a stream is unpacked, and by the sizes that Parquet and NPZ say. Whoever has such a
file and trusts it says so.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from xent import _check

TEXT_BYTES = 256_000_000  # of a packed CSV or JSON lines, which take several times that in memory
ARRAY_BYTES = 1_000_000_000  # of Parquet and NPZ, as they lie in memory
# Of a file's size. Deflate cannot do more than 1,032 times; columns of one value come near it, a
# table of text with rows that differ does not pass fifty, and takes several times that in memory.
TEXT_TIMES, ARRAY_TIMES = 100, 400

MOST_COLUMNS = 1 << 17

_allowed: ContextVar[int | None] = ContextVar("unpacked size", default=None)


@contextmanager
def up_to(size: int | None) -> Iterator[None]:
    """Let packed tables become as large as so many bytes, while this lasts."""
    token = _allowed.set(size or _allowed.get())
    try:
        yield
    finally:
        _allowed.reset(token)


def text_limit(path: str | os.PathLike[str]) -> int:
    """Return how large a file of text may become: what was said, or by how large it is itself."""
    return _allowed.get() or max(TEXT_BYTES, TEXT_TIMES * os.path.getsize(path))


def cells_limit() -> int:
    """Return how large the cells of plain text may become: what was said, or 256 MB."""
    return _allowed.get() or TEXT_BYTES


def check_columns(path: str | os.PathLike[str], columns: int) -> None:
    """Refuse a table of so many columns that its names take more memory than its cells."""
    if columns > MOST_COLUMNS and _allowed.get() is None:
        because = f"it has more than {MOST_COLUMNS:,} columns, each of which takes kilobytes"
        advice = "Where it is trusted, say with --unpacked how large it may be."
        raise _check.cannot(f"{str(path)!r} cannot be read", because, advice)


def check_size(path: str | os.PathLike[str], size: int) -> None:
    """Refuse a file of arrays that says that it will become larger than allowed."""
    check_sizes(path, os.path.getsize(path), size, ARRAY_TIMES)


def check_sizes(path: str | os.PathLike[str], packed: int, size: int, times: int) -> None:
    """Refuse so many packed bytes that would become larger than allowed, and than so many times."""
    limit = _allowed.get() or max(ARRAY_BYTES, times * packed)
    if size > limit:
        raise _too_large(path, limit)


@contextmanager
def unpacked(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a file of text whose name says whether it is packed, and unpack it up to the limit."""
    import pyarrow as pa

    with pa.input_stream(os.fspath(path), compression="detect") as file:
        if isinstance(file, pa.CompressedInputStream):
            with pa.PythonFile(_Watched(file, path), "r") as watched:
                yield watched
        else:
            yield file


class _Watched:
    """A stream that ends in an error where it is longer than allowed."""

    def __init__(self, file: Any, path: str | os.PathLike[str]) -> None:
        self.file, self.path, self.closed = file, path, False
        self.limit = self.left = text_limit(path)

    def read(self, size: int | None = None) -> bytes:
        # No more than one byte past the limit is unpacked, however much is asked for.
        wanted = self.left + 1 if size is None or size < 0 else min(size, self.left + 1)
        found: bytes = self.file.read(wanted)
        self.left -= len(found)
        if self.left < 0:
            raise _too_large(self.path, self.limit)
        return found

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


def _too_large(path: str | os.PathLike[str], limit: int) -> ValueError:
    because = f"it is packed, and unpacked it would be larger than {limit / 1e6:,.0f} MB"
    advice = "Where it is trusted, unpack it first, or say with --unpacked how large it may be."
    return _check.cannot(f"{str(path)!r} cannot be read", because, advice)
