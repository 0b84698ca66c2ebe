"""A file of text as a stream that is unpacked while it is read, and does not unpack without end.

A few kilobytes can unpack to more than any memory holds. What is hundreds of times as large as its
file, and no small text, is refused, before it is in memory.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from xent import _check

AT_LEAST = 1 << 28  # bytes that any file may unpack to
TIMES = 400  # its size; deflate cannot do more than 1,032 times


@contextmanager
def unpacked(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a file whose name says whether it is packed."""
    import pyarrow as pa

    with pa.input_stream(os.fspath(path), compression="detect") as file:
        if isinstance(file, pa.CompressedInputStream):
            with pa.PythonFile(_Watched(file, path), "r") as watched:
                yield watched
        else:
            yield file


class _Watched:
    """A stream that counts what it gives."""

    def __init__(self, file: Any, path: str | os.PathLike[str]) -> None:
        self.file, self.path, self.given, self.closed = file, path, 0, False
        self.most = max(AT_LEAST, TIMES * os.stat(path).st_size)

    def read(self, size: int | None = None) -> bytes:
        found: bytes = self.file.read(size)
        self.given += len(found)
        if self.given > self.most:
            size = os.stat(self.path).st_size
            because = f"its {size:,} bytes unpack to more than {self.most:,}"
            raise _check.cannot(f"{str(self.path)!r} cannot be read", because)
        return found

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True
