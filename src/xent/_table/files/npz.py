"""Reading NPZ: every array a column, or several where it has more than one dimension."""

import math
import os
import tokenize
import zipfile
import zlib
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xent._table.files.columns import require
from xent._table.files.endings import unreadable
from xent._table.files.unpacked import check_size

# What zipfile, zlib and NumPy's reader of headers raise: encrypted or unknown packing among them.
NPZ_DAMAGE = (ValueError, EOFError, SyntaxError, RuntimeError, zipfile.BadZipFile, zlib.error,
          tokenize.TokenError)  # fmt: skip
# NumPy's units of time that Arrow has; the coarser ones become seconds.
ARROW_UNITS = {"D", "s", "ms", "us", "ns"}
MOST_OF_A_BYTE = 1032  # bytes that one byte of deflate can stand for
COARSER = {"Y", "M", "W", "h", "m"}


def read_npz(path: str | os.PathLike[str]) -> Any:
    """Read an archive of arrays as a pyarrow.Table."""
    import pyarrow as pa

    columns: list[tuple[str, Any]] = []
    for name, array in _arrays(path).items():
        if array.ndim == 0:
            raise unreadable(path, ".npz", f"{name!r} is a single number, not a column")
        plain = _as_arrow_has_it(path, name, array)
        if plain.ndim == 1:
            columns.append((name, plain))
        else:
            flat = plain.reshape(len(plain), -1)
            columns += [(f"{name}_{j}", flat[:, j]) for j in range(flat.shape[1])]
    names = [name for name, _ in columns]
    return pa.Table.from_arrays([pa.array(values) for _, values in columns], names)


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
    """Read the arrays of an archive; all but one are empty where it alone is wanted."""
    if not zipfile.is_zipfile(path):
        raise unreadable(path, ".npz", "it is not an archive of arrays")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            wanted = (m for m in members if only in (None, m.filename.removesuffix(".npy")))
            check_size(path, sum(member.file_size for member in wanted))
            for member in members:
                with archive.open(member) as file:
                    check_member(path, file, member)
        with np.load(path, allow_pickle=False) as arrays:
            return {
                name: arrays[name] if only in (None, name) else np.empty(0) for name in arrays.files
            }
    except NPZ_DAMAGE as error:
        if hasattr(error, "sentence"):
            raise  # one of ours, which names the file
        raise unreadable(path, ".npz", error) from None


def check_member(path: str | os.PathLike[str], file: IO[bytes], member: zipfile.ZipInfo) -> None:
    """Refuse a member that is no array, or whose shape is not that of its bytes, unread."""
    if not member.filename.endswith(".npy"):
        raise unreadable(path, ".npz", f"{member.filename!r} in it is no array")
    header: Any = np.lib.format
    version = header.read_magic(file)
    read = header.read_array_header_1_0 if version == (1, 0) else header.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        why = "it holds Python objects, which are never loaded"
        raise unreadable(path, ".npz", why)
    if member.file_size > MOST_OF_A_BYTE * max(member.compress_size, 1):
        raise unreadable(path, ".npz", f"{member.filename!r} in it says more than it can hold")
    if math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
        raise unreadable(path, ".npz", f"{member.filename!r} in it is not as long as it says")


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
        unit, step = np.datetime_data(dtype)
        if unit in COARSER or step != 1:
            return array.astype(f"{kind}8[s]")
        if unit not in ARROW_UNITS:
            raise unreadable(path, ".npz", f"{name!r} holds times in {unit!r}")
    return array.astype(dtype.newbyteorder("="), copy=False)
