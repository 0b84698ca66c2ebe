"""Files elsewhere, by an address such as ``s3://bucket/predictions.parquet``: fsspec's work.

Parquet, and a folder of it, is read where it lies, row group by row group; any other file is copied
into a scratch folder first, which goes away. A path of ``pathlib`` has lost a slash of an address.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/(?=[^/])(.*)", re.DOTALL)
VERSION_MARKS = (
    "mtime",
    "LastModified",
    "last_modified",
    "created",
    "ETag",
    "etag",
)  # of a file's version


@dataclass(frozen=True)
class Address:
    """A file or folder elsewhere; plain data, so that it reaches other processes.

    Parameters
    ----------
    text : str
        Such as ``memory://folder/file.parquet``.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def scheme(self) -> str:
        """What stands before the colon."""
        return self.text.partition(":")[0]

    @property
    def name(self) -> str:
        """The last part, as of a path."""
        return PurePosixPath(self.text).name

    @property
    def suffix(self) -> str:
        """The ending, as of a path."""
        return PurePosixPath(self.text).suffix

    def _reached(self) -> tuple[Any, str]:
        """Return what fsspec reads it by, and its name there."""
        from xent import _check, _optional

        by = f"An address of {self.scheme}://"
        fsspec: Any = _optional.need("fsspec", extra="remote", by=by)
        try:
            return fsspec.core.url_to_fs(self.text)  # type: ignore[no-any-return]
        except ImportError as error:
            raise ImportError(f"{by} needs another package: {error}") from None
        except ValueError as error:
            must = "be a path, or an address that fsspec knows"
            raise _check.invalid("FILE", must, f"{self.text!r} ({error})") from None

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in a sentence what a server or a network says in many ways."""
        from xent import _check

        try:
            yield
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no file {self.text!r}.") from None
        except (ImportError, MemoryError, AttributeError):
            raise
        except Exception as error:  # each of fsspec's packages has errors of its own
            if hasattr(error, "sentence"):
                raise  # one of ours
            first = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
            raise _check.cannot(f"{self.text!r} cannot be read", first) from None

    def is_dir(self) -> bool:
        """Whether it is a folder, or an archive of such."""
        files, name = self._reached()
        with self._told():
            if not files.exists(name):
                raise FileNotFoundError(name)
            return bool(files.isdir(name))

    def parquet_files(self) -> list[Address]:
        """Return itself, or all Parquet files of the folder that it is, by their names."""
        if not self.is_dir():
            return [self]
        files, name = self._reached()
        with self._told():
            found = sorted(files.find(name))
        return [
            Address(files.unstrip_protocol(each)) for each in found if each.endswith(".parquet")
        ]

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Open it for reading."""
        files, name = self._reached()
        with self._told(), files.open(name, "rb") as file:
            yield file

    def version(self) -> list[str]:
        """Return what another version of the file would have otherwise."""
        files, name = self._reached()
        with self._told():
            info = files.info(name)
        return [str(info.get(mark)) for mark in ("size", *VERSION_MARKS)]


def address_of(path: Path) -> Address | None:
    """Return the address that was typed as a path, or None where it is a path."""
    found = _ADDRESS.fullmatch(str(path))
    if found is None or path.exists():
        return None
    slashes = ":///" if found[1] in ("file", "local") else "://"
    return Address(found[1] + slashes + found[2])


def with_addresses(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let arguments of a command be addresses; ``file`` stays one where it is Parquet or a folder.

    Parameters
    ----------
    *names : str
        Of paths, or of lists of paths.
    """

    def give(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def typed(*args: Any, **options: Any) -> None:
            with ExitStack() as stack:
                copies: dict[str, str] = {}
                for name in names:
                    given = options.get(name)
                    if isinstance(given, list):
                        options[name] = [_near(each, name, copies, stack) for each in given]
                    elif given is not None:
                        options[name] = _near(given, name, copies, stack)
                try:
                    command(*args, **options)
                except (ValueError, TypeError, OSError) as error:
                    _named_as_typed(error, copies)
                    raise

        return typed

    return give


def _near(path: Path, argument: str, copies: dict[str, str], stack: ExitStack) -> Any:
    """Return a path as it is, that of a copy, or an address that is read where it lies."""
    from xent._leftovers import scratch_folder

    address = address_of(path)
    if address is None:
        return path
    if address.scheme in ("file", "local"):
        return Path(unquote(address.text.partition("://")[2]))
    if argument == "file" and (address.suffix.lower() == ".parquet" or address.is_dir()):
        return address
    folder = stack.enter_context(scratch_folder(".xent-copy-"))
    copy = Path(folder) / address.name
    with address.opened() as there, open(copy, "wb") as here:
        shutil.copyfileobj(there, here, 1 << 20)
    copies[str(copy)] = str(address)
    return copy


def _named_as_typed(error: Exception, copies: dict[str, str]) -> None:
    """Let a sentence name the address, and not the copy."""
    for copy, text in copies.items():
        error.args = tuple(
            arg.replace(copy, text) if isinstance(arg, str) else arg for arg in error.args
        )
