"""Arrays of NumPy's files, mapped where they lie in the file as they are.

Keras' mnist.npz has the members x_train, y_train, x_test and y_test; so may a folder of .npy files.
"""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._table.files.npz import NPZ_DAMAGE, check_member
from xent._table.files.unpacked import check_size

MEMBERS = ("x_train", "y_train", "x_test", "y_test")
HEADER = 30  # bytes of a zip member's own header, before its name


def members(path: Path) -> list[str]:
    """Return which of `MEMBERS` a .npz file, or a folder of .npy files, has."""
    if path.is_dir():
        there = {p.stem.lower() for p in path.glob("*.npy")}
    elif path.suffix.lower() == ".npz" and zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                there = {name.removesuffix(".npy").lower() for name in archive.namelist()}
        except NPZ_DAMAGE:
            there = set()  # whoever reads it as a table says what is wrong with it
    else:
        there = set()
    return [name for name in MEMBERS if name in there]


def read_member(path: Path, name: str) -> NDArray[Any]:
    """Read one array of a .npz file or of a folder of .npy files; mapped where it can be.

    Parameters
    ----------
    path : Path
        The file or the folder.
    name : str
        One of `members`.
    """
    if path.is_dir():
        found = next(p for p in path.glob("*.npy") if p.stem.lower() == name)
        return _load(found)
    try:
        with zipfile.ZipFile(path) as archive:
            member = next(
                m for m in archive.infolist() if m.filename.removesuffix(".npy").lower() == name
            )
            with archive.open(member) as file:
                header = check_member(path, file, member)
                start = file.tell()
            if member.compress_type == zipfile.ZIP_STORED:
                return _mapped(path, member, start)
            check_size(path, header.size)
            with archive.open(member) as file:
                return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        if hasattr(error, "sentence"):
            raise
        raise _check.cannot(f"{str(path)!r} cannot be read as NPZ", str(error)) from None


def _load(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)).view(np.ndarray)
    except (ValueError, OSError, EOFError) as error:
        because = str(error).partition("\n")[0].rstrip(".")
        raise _check.cannot(f"{str(path)!r} cannot be read as NPY", because) from None


def _mapped(path: str | os.PathLike[str], member: zipfile.ZipInfo, start: int) -> NDArray[Any]:
    """Map an array that lies in an archive as it is, ``start`` bytes into its member."""
    with open(path, "rb") as file:
        file.seek(member.header_offset)
        head = file.read(HEADER)
        name, extra = (int.from_bytes(head[at : at + 2], "little") for at in (26, 28))
        offset = member.header_offset + HEADER + name + extra
        file.seek(offset)
        version = np.lib.format.read_magic(file)
        header: Any = np.lib.format
        read = header.read_array_header_1_0 if version == (1, 0) else header.read_array_header_2_0
        shape, fortran, dtype = read(file)
    flat = np.memmap(path, dtype, "r", offset + start, (math.prod(shape),)).view(np.ndarray)
    return flat.reshape(shape, order="F" if fortran else "C")
