"""Machine code that lies on disk, found and removed: for `xent warm-up --clear`."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from xent._compile import numba_private


def remove(kernel: Any) -> tuple[int, int]:
    """Remove the machine code of every kernel from all folders where it may lie.

    Parameters
    ----------
    kernel : kernel
        Any one: it knows the folders.

    Returns
    -------
    tuple of int
        How many files are gone, and the bytes that they took. What may not be removed stays.
    """
    kept, tried = numba_private.home(kernel)
    files = size = 0
    for folder in {Path(place) for place in (kept, *tried) if place}:
        # Under ROOT all is ours; elsewhere the names of our files begin with the package's.
        for path in [*folder.rglob("xent.*.nbc"), *folder.rglob("xent.*.nbi")]:
            with suppress(OSError):
                bytes_of = path.stat().st_size
                path.unlink()
                files, size = files + 1, size + bytes_of
    return files, size
