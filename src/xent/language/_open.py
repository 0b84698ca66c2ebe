"""Models in files of any kind, told apart by their first bytes."""

import os
from pathlib import Path

from xent import _check
from xent._table.files import compression
from xent.language._backoff import storage
from xent.language._backoff.arpa import IRSTLM
from xent.language._formats.arpa import read_arpa
from xent.language._kenlm_binary.header import MAGIC
from xent.language._mixture import Mixture
from xent.language._model import NGramModel

HEAD = 1 << 16  # bytes in which an ARPA file says that it is one
ARPA, BINARY, OWN, UNKNOWN_KIND = "ARPA", "KenLM binary", "xent", ""


def kind_of(path: str | os.PathLike[str]) -> str:
    """Return what a file holds, going by its first bytes: a name may say anything.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is a folder, or a packed file of a model that cannot be read packed.
    """
    name = os.fspath(path)
    if Path(name).is_dir():
        raise _check.invalid("path", "be a file", f"the folder {name!r}")
    if not Path(name).exists():
        raise FileNotFoundError(f"There is no file {name!r}.")
    if not Path(name).is_file():
        return ARPA  # a pipe: it can be read once
    with open(name, "rb") as raw:
        first = raw.read(len(MAGIC))
        raw.seek(0)
        if first.startswith(MAGIC):
            return BINARY
        if _is_container(first):
            return OWN
        with compression.reading(raw, name) as file:
            head = file.read(HEAD)
            packed = bool(compression.of_bytes(first))
    if packed and (head.startswith(MAGIC) or _is_container(head)):
        found = BINARY if head.startswith(MAGIC) else "xent model"
        advice = "Unpack it: it is mapped as it lies there."
        raise _check.invalid("path", "be a model that can be read", f"a packed {found}", advice)
    irstlm = head[:16].split()[:1] and head.split(maxsplit=1)[0].decode("latin1") in IRSTLM
    if storage.names_arpa(name) or b"\\data\\" in head or irstlm:  # the reader refuses IRSTLM's
        return ARPA
    return UNKNOWN_KIND


def _is_container(head: bytes) -> bool:
    """Whether a file begins like a safetensors container: a length of eight bytes, then JSON."""
    return head[8:9] == b"{" and head[5:8] == b"\0\0\0"


def load(
    path: str | os.PathLike[str],
    *,
    mmap: bool = True,
    unit: str | None = None,
    errors: str | None = None,
) -> NGramModel | Mixture:
    """Read a model of any kind: ours, a mixture, ARPA, a KenLM binary.

    Parameters
    ----------
    path : str or PathLike
    mmap : bool
        As in `NGramModel.load`.
    unit, errors : str, optional
        As in `read_arpa`.
    """
    if kind_of(path) == ARPA:
        return read_arpa(path, unit=unit, errors=errors)
    kind = Mixture if storage.is_mixture(path) else NGramModel
    found: NGramModel | Mixture = kind.load(path, mmap=mmap)
    found.read_as(unit, errors)
    return found
