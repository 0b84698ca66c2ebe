"""A KenLM binary, opened: mapped, checked, with its words."""

import os

import numpy as np

from xent.language._backoff.arpa import KENLM_UNKNOWN
from xent.language._backoff.storage import Stored
from xent.language._kenlm_binary.check import check
from xent.language._kenlm_binary.header import MAGIC, MAX_ORDER, read_header
from xent.language._kenlm_binary.layout import Bytes, layout
from xent.language._kenlm_binary.model import KenLMBinary
from xent.language._kenlm_binary.words import read_words
from xent.language._kernels import binary as kernels


def is_binary(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as KenLM's binaries do."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def load(path: str | os.PathLike[str], *, mmap: bool) -> Stored:
    """Read a file that `is_binary`.

    Parameters
    ----------
    path : str or PathLike
    mmap : bool
        Map it; False reads it whole. Either way all of it is looked through once.
    """
    name = os.fspath(path)
    data: Bytes
    if mmap:
        data = np.memmap(name, np.uint8, "r").view(np.ndarray)
    else:
        data = np.fromfile(name, np.uint8)
        data.flags.writeable = False
    header = read_header(data[: 112 + 8 * MAX_ORDER].tobytes(), len(data), name)
    parts = layout(data, header, name)
    check(data, header, parts, name)
    vocabulary, numbers = read_words(data, header, parts, name)
    at = int(parts.levels[0, kernels.OFFSET])
    unknown = -abs(data[at : at + 4].view(np.dtype("<f4"))[0])
    return Stored(
        order=header.order,
        smoothing=None,
        unknown="closed" if unknown == KENLM_UNKNOWN else "word",
        min_counts=[1] * header.order,
        unit="word",
        errors="strict",
        vocabulary=vocabulary,
        backoff=KenLMBinary(data, header, parts, numbers, name),
    )
