"""What a killed process left behind, taken away by the next one that writes in the same place.

A half-written file or a scratch folder is locked while its process lives, and the system lets a
lock go when the process ends, however it ends. So what nobody has locked is nobody's. Where locks
are not to be had (Windows, some network drives) nothing is removed.
"""

import glob
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def lock(file: IO[Any], *, wait: bool = False) -> bool:
    """Lock an open file for as long as it is open; False where there are no locks.

    Raises BlockingIOError where another process has locked it and we do not wait for that.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def open_locked(path: Path) -> IO[bytes]:
    """Create a file, locked; never one that another process is about to remove."""
    while True:
        file = open(path, "xb")  # noqa: SIM115
        lock(file, wait=True)
        with suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()


def remove_dead(paths: Iterable[Path]) -> None:
    """Remove those files that no living process has locked."""
    for path in paths:
        with suppress(OSError), open(path, "r+b") as file:
            if lock(file):
                path.unlink(missing_ok=True)


def temporary_place() -> Path:
    """Return where temporary files go.

    The standard library tries its choice by a file of its own, which a signal may leave there; so
    it is asked only where the places that it would take first are not to be had.
    """
    if tempfile.tempdir is None:
        named = [os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")]
        for place in [*named, "/tmp"]:
            if place and os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK):
                return Path(place).absolute()
    return Path(tempfile.gettempdir())


@contextmanager
def scratch_folder(prefix: str, place: Path | None = None) -> Iterator[str]:
    """Make a folder that goes away, with those of its kind that dead processes left there.

    Its lock lies beside it and is there before it, so that no moment is one of nobody's.
    """
    where = place or temporary_place()
    for old in where.glob(f"{glob.escape(prefix)}{'[0-9a-f]' * 16}.lock"):
        with suppress(OSError), open(old, "r+b") as file:
            if lock(file):
                shutil.rmtree(old.with_suffix(""), ignore_errors=True)
                old.unlink(missing_ok=True)
    # Named before it is made: a signal may come in between.
    folder = where / (prefix + secrets.token_hex(8))
    beside = folder.with_suffix(".lock")
    try:
        with open_locked(beside):
            folder.mkdir(0o700)
            yield str(folder)
    finally:
        in_any_case(lambda: _remove_both(folder, beside))


def _remove_both(folder: Path, beside: Path) -> None:
    # Windows keeps files that are mapped until they are let go.
    shutil.rmtree(folder, ignore_errors=True)
    beside.unlink(missing_ok=True)


def in_any_case(tidy: Callable[[], None]) -> None:
    """Tidy up, also where a signal that ends the process comes just then; it ends it after that."""
    try:
        tidy()
    except (KeyboardInterrupt, SystemExit):
        tidy()
        raise
