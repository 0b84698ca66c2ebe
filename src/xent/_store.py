"""The one way state reaches the disk: written whole or not at all, checksummed, never unpickled.

A file is a safetensors container: arrays as they lie in memory, and a header that says which format
this is, which version of it, which xent wrote it, the rest of the state as JSON, and a CRC-32 of
every part. A reader can map it into memory. Text files (reports, predictions, ARPA) go through
`writing`, the same promise without the container.
"""

import glob
import json
import math
import os
import secrets
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._leftovers import in_any_case, open_locked, remove_dead

Arrays = dict[str, NDArray[Any]]
NAME_BYTES = 200  # of a file's name that its hidden neighbour's has
THREADED_BYTES = 1 << 24  # whose checksums take milliseconds
StoredState = dict[str, Any]

_DTYPES = {
    "BOOL": "?",
    **{f"U{8 * n}": f"<u{n}" for n in (1, 2, 4, 8)},
    **{f"I{8 * n}": f"<i{n}" for n in (1, 2, 4, 8)},
    **{f"F{8 * n}": f"<f{n}" for n in (2, 4, 8)},
}


_NAMES = {np.dtype(dtype).str[1:]: name for name, dtype in _DTYPES.items()}


def check_target(path: str | os.PathLike[str], *, argument: str = "path") -> None:
    """Refuse a path that cannot be written to, before the work and not after it.

    Parameters
    ----------
    path : str or PathLike
        Where a file shall stand.
    argument : str
        What the caller calls ``path``, for the error message.

    Raises
    ------
    ValueError
        If the folder does not exist or cannot be written to, or ``path`` is a folder.
    """
    if Path(path).is_dir():
        raise _check.invalid(argument, "name a file", f"the folder {str(path)!r}")
    try:
        folder = Path(path).resolve().parent
    except (RuntimeError, OSError):  # which of the two depends on Python's version
        got = f"{str(path)!r}, a link that leads back to itself"
        raise _check.invalid(argument, "name a file", got) from None
    if not folder.is_dir():
        raise _check.invalid(argument, "lie in a folder that exists", f"{str(path)!r}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _check.invalid(argument, "lie in a folder one may write to", f"{str(path)!r}")
    if Path(path).exists() and not os.access(path, os.W_OK):
        raise _check.invalid(argument, "name a file one may write to", f"{str(path)!r}")


@contextmanager
def writing(path: str | os.PathLike[str], *, argument: str = "path") -> Iterator[IO[bytes]]:
    """Open a file that appears under ``path`` complete, or leaves what was there untouched.

    The bytes go to a hidden neighbour first; only when the block ends without an error are they
    flushed to the disk and renamed. A reader sees the old file or the new one, never half of one.
    What a killed process left beside it goes.

    Parameters
    ----------
    path : str or PathLike
        Where the file shall stand. A symbolic link is followed, so the link stays; a pipe or a
        device is written to as it is.
    argument : str
        What the caller calls ``path``, for the error message.

    Raises
    ------
    ValueError
        If the folder does not exist or ``path`` is a folder.
    """
    if Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir():
        try:
            with open(path, "wb") as file:
                yield file
        except OSError as error:
            raise _naming(error, Path(path), path) from None
        return
    check_target(path, argument=argument)
    target = Path(path).resolve()
    # A name may have 255 bytes, and the neighbour's is longer.
    start = os.fsdecode(os.fsencode(target.name)[:NAME_BYTES])
    remove_dead(target.parent.glob(f".{glob.escape(start)}.{'[0-9a-f]' * 8}.tmp"))
    beside = target.with_name(f".{start}.{secrets.token_hex(4)}.tmp")
    try:
        with open_locked(beside) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            os.chmod(beside, target.stat().st_mode & 0o777)
        os.replace(beside, target)
    except OSError as error:
        raise _naming(error, beside, path) from None
    finally:
        in_any_case(lambda: beside.unlink(missing_ok=True))
    # On POSIX the rename itself must reach the disk too; Windows cannot open a folder.
    with suppress(OSError):
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _naming(error: OSError, beside: Path, path: str | os.PathLike[str]) -> OSError:
    """Let an error about the hidden neighbour, or about no file, name the file that was meant."""
    if isinstance(error, FileNotFoundError) and error.errno is None:
        return error  # of what is read, in our own words
    if error.errno is None:  # a library's own words
        return OSError(f"{str(path)!r} cannot be written: {error}")
    if error.filename is None or str(error.filename) == str(beside):
        return OSError(error.errno, error.strerror, os.fspath(path))
    return error


def save(
    path: str | os.PathLike[str],
    *,
    format: str,
    version: int,
    state: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
) -> None:
    """Write arrays and a JSON state as one file.

    Parameters
    ----------
    path : str or PathLike
        Where the file shall stand.
    format : str
        What the file holds, for example ``"xent.training"``.
    version : int
        Version of that format. Raise it when an older reader could not understand the file.
    state : mapping
        Anything JSON can say. NaN and infinities are refused: put them into an array.
    arrays : mapping of str to ndarray
        Bool, integer or float arrays of 8 to 64 bits.
    """
    from importlib.metadata import version as installed

    text = json.dumps(state, allow_nan=False, ensure_ascii=False)
    # Wide entries first, so that every array is aligned.
    packed = {
        name: np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
        for name, array in sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0]))
    }
    checksums = {
        "state": zlib.crc32(text.encode()),
        "arrays": {name: _crc(array) for name, array in packed.items()},
    }
    # Written here and not by the safetensors library, which orders the header by chance: the same
    # state must give the same bytes.
    header: dict[str, Any] = {
        "__metadata__": {
            "format": format,
            "format_version": str(version),
            "xent_version": installed("xent"),
            "checksums": json.dumps(checksums),
            "state": text,
        }
    }
    end = 0
    for name, array in packed.items():
        start, end = end, end + array.nbytes
        header[name] = {
            "dtype": _NAMES[array.dtype.str[1:]],
            "shape": array.shape,
            "data_offsets": [start, end],
        }
    head = json.dumps(header, ensure_ascii=False).encode()
    head += b" " * (-len(head) % 8)
    with writing(path) as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for array in packed.values():
            file.write(_bytes_of(array))


def format_of(path: str | os.PathLike[str]) -> str | None:
    """Return the format that a file says it holds, or None where it is no file of ours.

    Parameters
    ----------
    path : str or PathLike
        The file.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        return None
    try:
        with safe_open(os.fspath(path), framework="np") as file:
            found: str | None = (file.metadata() or {}).get("format")
    except SafetensorError:
        return None
    return found


def load(
    path: str | os.PathLike[str],
    *,
    format: str,
    version: int,
    mmap: bool = False,
    argument: str = "path",
) -> tuple[StoredState, Arrays]:
    """Read what `save` wrote, after checking that it is that, and whole.

    Parameters
    ----------
    path : str or PathLike
        The file.
    format : str
        The format expected.
    version : int
        The newest version of it that the caller understands; every older one must be readable.
    mmap : bool
        Leave the arrays on disk and map them read-only. Their checksums are computed all the same.
        A file that is cut short while it is mapped kills the process that reads beyond its end.
    argument : str
        What the caller calls ``path``, for the error message.

    Returns
    -------
    state, arrays : dict, dict
        The JSON state and the arrays by name.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such file, a newer version, cut short or damaged.
    """
    from safetensors import SafetensorError, safe_open

    shown = f"{str(path)!r}"
    if Path(path).is_dir():
        raise _check.invalid(argument, f"be a {format} file", f"the folder {shown}")
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {shown}.")
    try:
        # Rust checks the header (sizes, offsets, dtypes) before we follow any number in it.
        with safe_open(os.fspath(path), framework="np") as file:
            metadata = file.metadata() or {}
    except SafetensorError:
        got = f"{shown}, which is none or is damaged"
        raise _check.invalid(argument, f"be a {format} file", got) from None
    if metadata.get("format") != format:
        found = metadata.get("format", "something else")
        raise _check.invalid(argument, f"be a {format} file", f"{shown}, which holds {found}")
    try:
        written = int(metadata["format_version"])
        checksums = json.loads(metadata["checksums"])
        sums = dict(checksums["arrays"])
        text = metadata["state"]
        whole = checksums["state"] == zlib.crc32(text.encode())
    except (KeyError, ValueError, TypeError, RecursionError):
        whole, written, sums, text = False, 0, {}, ""
    if written > version:
        raise _check.cannot(
            f"{shown} cannot be read",
            f"it is version {written} of {format}, written by xent {metadata.get('xent_version')}, "
            f"and this xent knows up to version {version}",
            "Read it with that version of xent, or a newer one.",
        )
    if not whole:
        raise _damaged(shown)
    arrays = _map(path)
    if not mmap:
        arrays = {name: np.array(array) for name, array in arrays.items()}
    if sums != _checksums(arrays):
        raise _damaged(shown)
    try:
        state = json.loads(text)
    except (ValueError, RecursionError):
        state = None
    if not isinstance(state, dict):
        raise _damaged(shown)
    return state, arrays


def places(path: str | os.PathLike[str]) -> dict[str, tuple[int, np.dtype[Any], tuple[int, ...]]]:
    """Return where each array of a file that `load` has checked lies: offset, dtype and shape."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {
        name: (8 + length + entry["data_offsets"][0], np.dtype(_DTYPES[entry["dtype"]]),
               tuple(entry["shape"]))
        for name, entry in header.items()
    }  # fmt: skip


def _map(path: str | os.PathLike[str]) -> Arrays:
    """Map every array of a file whose header has been checked."""
    found = places(path)
    body = np.memmap(path, np.uint8, "r") if found else np.empty(0, np.uint8)
    arrays = {}
    for name, (offset, dtype, shape) in found.items():
        size = dtype.itemsize * math.prod(shape)
        # Nothing is sliced out of the end of the file for an array without entries.
        piece = body[offset : offset + size] if size else np.empty(0, np.uint8)
        arrays[name] = piece.view(dtype).reshape(shape).view(np.ndarray)
    return arrays


def _checksums(arrays: Arrays) -> dict[str, int]:
    """Return the checksum of each array, many megabytes on several threads."""
    if sum(array.nbytes for array in arrays.values()) < THREADED_BYTES:
        return {name: _crc(array) for name, array in arrays.items()}
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        largest_first = sorted(arrays, key=lambda name: -arrays[name].nbytes)
        found = pool.map(_crc, (arrays[name] for name in largest_first))
        return dict(zip(largest_first, found, strict=True))


def _crc(array: NDArray[Any]) -> int:
    """Checksum of the values and of what they are: a flipped bit in a shape is damage too."""
    return zlib.crc32(_bytes_of(array), zlib.crc32(f"{array.dtype.str}{array.shape}".encode()))


def _bytes_of(array: NDArray[Any]) -> memoryview:
    """Look at a C-ordered array as bytes, without a copy."""
    return np.asarray(array, order="C").reshape(-1).view(np.uint8).data


def _damaged(shown: str) -> ValueError:
    return _check.cannot(
        f"{shown} cannot be read", "its checksums do not match", "It is damaged; restore a copy."
    )
