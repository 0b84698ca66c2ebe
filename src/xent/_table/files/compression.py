"""Compressed files: written as their name says, read as their first bytes say.

gzip, bzip2, xz and zstd. A file whose name says it is compressed, and whose bytes do not, is
refused: what is left of a damaged one would be read as text.
"""

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from xent import _check
from xent._optional import need

KIND_OF_SUFFIX = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd", ".zstd": "zstd"}
_FIRST_BYTES = {b"\x1f\x8b\x08": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
# A text may begin with BZh5: of bzip2 the mark of a block, or of the end, follows.
_BZIP2 = (b"1AY&SY", b"\x17rE8P\x90")
_HEAD = 10  # bytes that tell


def of_name(path: str | os.PathLike[str]) -> str:
    """Return the compression that a name asks for, or an empty str."""
    return KIND_OF_SUFFIX.get(os.path.splitext(os.fspath(path))[1].lower(), "")


def without_suffix(path: str | os.PathLike[str]) -> str:
    """Return a name in lower case, without what says that the file is compressed."""
    name = os.fspath(path).lower()
    return os.path.splitext(name)[0] if of_name(name) else name


def of_bytes(head: bytes) -> str:
    """Return the compression of a file that begins so, or an empty str."""
    if head[:3] == b"BZh" and head[3:4] in b"123456789" and head[4:10] in _BZIP2:
        return "bzip2"
    return next((kind for mark, kind in _FIRST_BYTES.items() if head.startswith(mark)), "")


@contextmanager
def reading(raw: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """Give what is in a file that was just opened, unpacked where it is packed.

    Parameters
    ----------
    raw : binary file
        A file or a pipe.
    name : str
        Its name, for the error message.

    Raises
    ------
    ValueError
        If the name says that it is compressed and it is not, or it is damaged.
    """
    head = raw.read(_HEAD)
    kind = of_bytes(head)
    if head and of_name(name) and not kind:
        because = f"its name says {of_name(name)}, and it begins with {head[:4]!r}"
        advice = "It is damaged, or has a wrong name."
        raise _check.cannot(f"{name!r} cannot be read", because, advice)
    if raw.seekable():
        raw.seek(0)
        whole = raw
    else:
        whole = cast(IO[bytes], io.BufferedReader(_Joined(head, raw)))
    try:
        if kind == "gzip":
            with gzip.GzipFile(fileobj=whole) as unpacked:
                yield cast(IO[bytes], unpacked)
        elif kind == "bzip2":
            with bz2.BZ2File(whole) as plain:
                yield cast(IO[bytes], plain)
        elif kind == "xz":
            with lzma.LZMAFile(whole) as clear:
                yield cast(IO[bytes], clear)
        elif kind == "zstd":
            pyarrow = need("pyarrow", extra="tables", by="Reading Zstandard")

            with pyarrow.CompressedInputStream(pyarrow.PythonFile(whole), "zstd") as stream:
                yield stream
        else:
            yield whole
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if not kind:
            raise
        because = f"its compressed data are cut short or damaged ({error})"
        raise _check.cannot(f"{name!r} cannot be read", because) from None


class _Joined(io.RawIOBase):
    """A pipe, and before it what was read of it to see what it is."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self.head = head
        self.rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self.head[: len(buffer)] or self.rest.read(len(buffer))
        self.head = self.head[len(found) :]
        buffer[: len(found)] = found
        return len(found)


@contextmanager
def writing(plain: IO[bytes], name: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Give a file that packs what is written as a name asks for.

    The same content gives the same bytes: no name and no time stands in a header.

    Parameters
    ----------
    plain : binary file
        Where the packed bytes go; it stays open.
    name : str or PathLike
        The name that the file will have.
    """
    kind = of_name(name)
    if kind == "gzip":
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=plain, mtime=0) as packed:
            yield cast(IO[bytes], packed)
    elif kind == "bzip2":
        with bz2.BZ2File(plain, "wb") as squeezed:
            yield cast(IO[bytes], squeezed)
    elif kind == "xz":
        with lzma.LZMAFile(plain, "wb") as small:
            yield cast(IO[bytes], small)
    elif kind == "zstd":
        pyarrow = need("pyarrow", extra="tables", by="Writing Zstandard")

        # Arrow closes what it is handed, and the file is the caller's to flush: it gets a copy.
        copy = open(os.dup(plain.fileno()), "wb")  # noqa: SIM115
        with pyarrow.CompressedOutputStream(pyarrow.PythonFile(copy), "zstd") as stream:
            yield stream
    else:
        yield plain
