"""Reading NPZ and NPY: every array a column, or several where it has more than one dimension.

They are read block by block, not mapped: pages of a map would count as memory of the process.
"""

import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xent._table.files.columns import require
from xent._table.files.endings import kind_of, unreadable
from xent._table.files.unpacked import check_columns, check_size
from xent._table.times import in_arrow_units

# What zipfile, zlib and NumPy's reader of headers raise: encrypted or unknown packing among them.
NPZ_DAMAGE = (ValueError, EOFError, SyntaxError, RuntimeError, zipfile.BadZipFile, zlib.error,
          tokenize.TokenError)  # fmt: skip
MOST_OF_A_BYTE = 1032  # bytes that one byte of deflate can stand for


class ArrayHeader(NamedTuple):
    """What an array says of itself."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: Any

    @property
    def size(self) -> int:
        """How many bytes it takes."""
        return math.prod(self.shape) * int(self.dtype.itemsize)


def array_headers(path: str | os.PathLike[str], argument: str = "path") -> dict[str, ArrayHeader]:
    """Return the arrays of a .npz or .npy file by their names, of which no number is read."""
    kind_of(path, argument)
    with _opened(path) as files:
        found = {name: header for name, (_, header) in files.items()}
    for name, header in found.items():
        kind = f".{str(path).lower().rpartition('.')[2]}"
        if not header.shape:
            raise unreadable(path, kind, f"{name!r} is a single number, not a column")
        if 0 in header.shape[1:]:
            raise unreadable(
                path, kind, f"{name!r} has rows of no number: its shape {header.shape}"
            )
    return found


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[dict[str, tuple[Any, ArrayHeader]]]:
    """Open each array of a file at its first number."""
    kind = f".{str(path).lower().rpartition('.')[2]}"
    try:
        with ExitStack() as stack:
            if kind == ".npy":
                file = stack.enter_context(open(path, "rb"))
                header = _header(path, kind, file, Path(path).name, os.path.getsize(path))
                yield {Path(path).stem: (file, header)}
                return
            if not zipfile.is_zipfile(path):
                raise unreadable(path, ".npz", "it is not an archive of arrays")
            archive = stack.enter_context(zipfile.ZipFile(path))
            found = {}
            for member in archive.infolist():
                inside = stack.enter_context(archive.open(member))
                header = check_member(path, inside, member)
                found[member.filename.removesuffix(".npy")] = inside, header
            yield found
    except NPZ_DAMAGE as error:
        if hasattr(error, "sentence"):
            raise  # one of ours, which names the file
        raise unreadable(path, kind, error) from None


def scan_arrays(
    path: str | os.PathLike[str],
    names: Sequence[str] | None,
    rows: int,
    *,
    matrices: bool = False,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[Any]:
    """Read the rows of arrays block by block; nothing beyond a block is held.

    Parameters
    ----------
    path : str or PathLike
        A .npz or .npy file.
    names : sequence of str, optional
        The arrays wanted; all of them where not given.
    rows : int
        Rows of a block.
    matrices : bool
        Whether an array of two dimensions is one column of lists, and not one column each.
    start, stop : int, optional
        The first row that is wanted, and the first that is not; of a .npz file all are.

    Yields
    ------
    pyarrow.Table
    """
    headers = array_headers(path)
    wanted = [name for name in headers if names is None or name in names]
    if not matrices:
        check_columns(path, sum(math.prod(headers[name].shape[1:]) for name in wanted))
    length = _rows_of(path, {name: headers[name] for name in wanted})
    end = length if stop is None else min(stop, length)
    if any(headers[name].fortran and len(headers[name].shape) > 1 for name in wanted):
        whole = {name: array for name, array in _arrays(path).items() if name in wanted}
        for at in range(start, end, rows):
            part = slice(at, min(at + rows, end))
            yield _table_of(path, {name: a[part] for name, a in whole.items()}, matrices)
        return
    with _opened(path) as files:
        if start:
            for file, header in files.values():
                file.seek(start * header.size // max(length, 1), os.SEEK_CUR)
        for at in range(start, end, rows):
            count = min(rows, end - at)
            some = {name: _block(path, name, *files[name], count) for name in wanted}
            yield _table_of(path, some, matrices)


def _rows_of(path: str | os.PathLike[str], headers: dict[str, ArrayHeader]) -> int:
    """Return how many rows arrays have, all of them as many."""
    if not headers:
        return 0
    (first, one), *others = headers.items()
    for name, header in others:
        if header.shape[0] != one.shape[0]:
            why = f"{first!r} has {one.shape[0]} rows and {name!r} has {header.shape[0]}"
            raise unreadable(path, ".npz", why)
    return int(one.shape[0])


def _block(
    path: str | os.PathLike[str], name: str, file: Any, header: ArrayHeader, rows: int
) -> NDArray[Any]:
    """Read the next rows of an array."""
    shape = (rows, *header.shape[1:])
    size = math.prod(shape) * header.dtype.itemsize
    found = file.read(size)
    if len(found) < size:
        raise unreadable(path, ".npz", f"{name!r} in it ends early")
    return np.frombuffer(found, header.dtype).reshape(shape)


def _table_of(path: str | os.PathLike[str], arrays: dict[str, NDArray[Any]], matrices: bool) -> Any:
    """Return arrays as a pyarrow.Table."""
    import pyarrow as pa

    columns: list[tuple[str, Any]] = []
    for name, array in arrays.items():
        plain = _as_arrow_has_it(path, name, array)
        if plain.ndim == 1:
            columns.append((name, pa.array(plain)))
            continue
        flat = plain.reshape(len(plain), math.prod(plain.shape[1:]))
        if matrices and flat.dtype.kind in "fiub":
            values = pa.array(np.ascontiguousarray(flat).reshape(-1))
            columns.append((name, pa.FixedSizeListArray.from_arrays(values, flat.shape[1])))
        else:
            columns += [(f"{name}_{j}", pa.array(flat[:, j])) for j in range(flat.shape[1])]
    return pa.Table.from_arrays([column for _, column in columns], [name for name, _ in columns])


def read_npz(path: str | os.PathLike[str], *, matrices: bool = False) -> Any:
    """Read an archive of arrays, or one array, as a pyarrow.Table."""
    headers = array_headers(path)
    _rows_of(path, headers)
    if not matrices:
        check_columns(path, sum(math.prod(header.shape[1:]) for header in headers.values()))
    return _table_of(path, _arrays(path), matrices)


def array_of_npz(path: str | os.PathLike[str], name: str, *, argument: str) -> NDArray[Any]:
    """Read one array of an archive as it lies there, whatever its dimensions.

    Parameters
    ----------
    path : str or PathLike
        The archive.
    name : str
        The array.
    argument : str
        What the caller calls ``name``, for the error message.
    """
    if not str(path).lower().endswith(".npz"):
        raise unreadable(path, ".npz", "its name ends otherwise")
    found = _arrays(path, name)
    require(name, list(found), path, argument=argument)
    return found[name]


def _arrays(path: str | os.PathLike[str], only: str | None = None) -> dict[str, NDArray[Any]]:
    """Read the arrays of a file; all but one are empty where it alone is wanted."""
    with _opened(path) as files:
        wanted = (header for name, (_, header) in files.items() if only in (None, name))
        check_size(path, sum(header.size for header in wanted))
        if str(path).lower().endswith(".npy"):
            return {Path(path).stem: np.load(path, allow_pickle=False)}
        with np.load(path, allow_pickle=False) as arrays:
            return {
                name: arrays[name] if only in (None, name) else np.empty(0) for name in arrays.files
            }


def check_member(
    path: str | os.PathLike[str], file: IO[bytes], member: zipfile.ZipInfo
) -> ArrayHeader:
    """Refuse a member that is no array, or whose shape is not that of its bytes, unread."""
    if not member.filename.endswith(".npy"):
        raise unreadable(path, ".npz", f"{member.filename!r} in it is no array")
    if member.file_size > MOST_OF_A_BYTE * max(member.compress_size, 1):
        raise unreadable(path, ".npz", f"{member.filename!r} in it says more than it can hold")
    return _header(path, ".npz", file, f"{member.filename!r} in it", member.file_size)


def _header(
    path: str | os.PathLike[str], kind: str, file: IO[bytes], what: str, size: int
) -> ArrayHeader:
    """Read what an array says of itself; refuse one that is not as long, or holds objects."""
    header: Any = np.lib.format
    version = header.read_magic(file)
    read = header.read_array_header_1_0 if version == (1, 0) else header.read_array_header_2_0
    found = ArrayHeader(*read(file))
    if found.dtype.hasobject:
        raise unreadable(path, kind, "it holds Python objects, which are never loaded")
    if found.size != size - file.tell():
        raise unreadable(path, kind, f"{what} is not as long as it says")
    return found


def _as_arrow_has_it(path: str | os.PathLike[str], name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in this machine's order of bytes and in a kind of values that Arrow has."""
    kind, dtype = array.dtype.kind, array.dtype
    if kind in "cV":
        what = "complex numbers" if kind == "c" else "records"
        raise unreadable(path, ".npz", f"{name!r} holds {what}, not columns")
    if kind == "f" and dtype.itemsize > 8:
        plain = array.astype(np.float64)
        if not ((plain == array) | np.isnan(array)).all():
            raise unreadable(path, ".npz", f"{name!r} holds more digits than float64 has")
        return plain
    if kind in "mM":
        times = in_arrow_units(array)
        if times is None:
            unit = np.datetime_data(dtype)[0]
            why = f"{name!r} holds times in {unit!r} that nanoseconds or 64 bits do not hold"
            if unit == "generic":
                why = f"{name!r} holds durations without a unit: astype('timedelta64[s]') says one"
            raise unreadable(path, ".npz", why)
        return times
    return array.astype(dtype.newbyteorder("="), copy=False)
