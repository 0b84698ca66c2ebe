"""How large a packed table may become: a small file that unpacks to gigabytes is refused.

Such a file is no accident, or it is trusted and whoever has it says so. A limit holds before the
memory is taken: while a stream is unpacked, and by the sizes that Parquet and NPZ say.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from xent import _check
from xent._table.files import compression

TEXT_BYTES = 256_000_000  # of a packed CSV or JSON lines, which take several times that in memory
ARRAY_BYTES = 1_000_000_000  # of Parquet and NPZ, as they lie in memory
RATIO = 100  # a file that is large itself may become so many times larger

_allowed: ContextVar[int | None] = ContextVar("unpacked size", default=None)


@contextmanager
def up_to(size: int | None) -> Iterator[None]:
    """Let packed tables become as large as so many bytes, while this lasts."""
    token = _allowed.set(size or _allowed.get())
    try:
        yield
    finally:
        _allowed.reset(token)


def limit_of(path: str | os.PathLike[str], least: int) -> int:
    """Return how large a file may become: what was said, or by how large it is itself."""
    return _allowed.get() or max(least, RATIO * os.path.getsize(path))


def check_size(path: str | os.PathLike[str], size: int, least: int) -> None:
    """Refuse a file that says that it will become larger than allowed."""
    if size > (limit := limit_of(path, least)):
        raise _too_large(path, limit)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a file for Arrow, unpacked where its name says that it is packed, up to the limit."""
    import pyarrow as pa

    with pa.input_stream(os.fspath(path), compression="detect") as file:
        if compression.of_name(path):
            yield pa.PythonFile(_Bounded(file, path, limit_of(path, TEXT_BYTES)), mode="r")
        else:
            yield file


class _Bounded:
    """A stream that ends in an error where it is longer than allowed."""

    def __init__(self, file: Any, path: str | os.PathLike[str], limit: int) -> None:
        self.file, self.path = file, path
        self.limit = self.left = limit
        self.closed = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        # No more than one byte past the limit is unpacked, however much is asked for.
        wanted = self.left + 1 if size is None or size < 0 else min(size, self.left + 1)
        found: bytes = self.file.read(wanted)
        self.left -= len(found)
        if self.left < 0:
            raise _too_large(self.path, self.limit)
        return found

    def close(self) -> None:
        self.closed = True


def _too_large(path: str | os.PathLike[str], limit: int) -> ValueError:
    because = f"it is packed, and unpacked it would be larger than {limit / 1e6:,.0f} MB"
    advice = "Where it is trusted, unpack it first, or say with --unpacked how large it may be."
    return _check.cannot(f"{str(path)!r} cannot be read", because, advice)
