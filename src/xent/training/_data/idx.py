"""IDX, the format of MNIST and its kin: a type, the dimensions, and the numbers, big-endian.

Four bytes of magic say the type and how many dimensions there are, four more each dimension's size.
Format: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._table.files.npz import MOST_OF_A_BYTE
from xent._table.files.unpacked import check_size

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"
MAX_READ = 1 << 20

Readable = IO[bytes] | gzip.GzipFile


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an IDX file, compressed by gzip or not, whatever it is called.

    Parameters
    ----------
    path : str or PathLike
        The file.

    Returns
    -------
    ndarray
        Mapped, read-only, where the file is not compressed.

    Raises
    ------
    ValueError
        If it is no IDX file, or is not as long as it says.
    """
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
        if not packed:
            dtype, shape, start = _head(path, file)
            wanted = start + dtype.itemsize * math.prod(shape)
            if size != wanted:
                has = f"and it has {size:,}"
                raise _no_idx(path, f"its sizes {_sizes(shape)} are {wanted:,} bytes, {has}")
            return np.memmap(path, dtype, "r", start, shape).view(np.ndarray)
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _unpacked(path, unpacked, size)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise _no_idx(path, "its compressed part is cut short or damaged") from None


def _unpacked(path: str | os.PathLike[str], file: Readable, packed: int) -> NDArray[Any]:
    dtype, shape, start = _head(path, file)
    wanted = dtype.itemsize * math.prod(shape)
    if wanted > MOST_OF_A_BYTE * packed:
        says = f"its sizes {_sizes(shape)} are {wanted:,} bytes, and {packed:,} compressed ones"
        raise _no_idx(path, f"{says} cannot hold so many")
    check_size(path, wanted)
    out, done = np.empty(wanted, np.uint8), 0
    while done < wanted:
        piece = file.read(min(MAX_READ, wanted - done))
        if not piece:
            has = f"and it has {start + done:,}"
            raise _no_idx(path, f"its sizes {_sizes(shape)} are {start + wanted:,} bytes, {has}")
        out[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    if file.read(1):  # the end, and with it the checksum, is looked at
        raise _no_idx(path, f"it is longer than its sizes {_sizes(shape)} say")
    return out.view(dtype).reshape(shape)


def _head(path: object, file: Readable) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Return the type, the dimensions, and where the numbers start."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or not 1 <= magic[3] <= 8:
        raise _no_idx(path, "its first bytes are not 0, 0, a type and a number of dimensions")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise _no_idx(path, "it ends within its sizes")
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    if 0 in shape:
        raise _no_idx(path, f"its sizes {_sizes(shape)} are those of nothing")
    return np.dtype(TYPES[magic[2]]), shape, 4 + 4 * magic[3]


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _no_idx(path: object, because: str) -> ValueError:
    return _check.cannot(f"{str(path)!r} cannot be read as IDX", because)
