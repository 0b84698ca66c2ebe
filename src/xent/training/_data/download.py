"""The files of MNIST from the net: only when asked for, and only what they are known to be."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

from xent import _check, _store
from xent._progress import stage

MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
MNIST_MD5 = {  # as torchvision.datasets.MNIST has them
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
MAX_BYTES = 1 << 24  # of one file; the largest has 9.9 MB
SECONDS = 30.0  # until a silent server is given up


def download_mnist(
    folder: str | os.PathLike[str],
    *,
    url: str = MNIST_URL,
    checksums: dict[str, str] | None = None,
) -> list[Path]:
    """Download those of the four files of MNIST that a folder has not, and check what they are.

    Parameters
    ----------
    folder : str or PathLike
        Where they go; it is made if it is not there.
    url : str
        From where.
    checksums : dict of str to str, optional
        The files and their MD5 in hexadecimal, MNIST's where not given.

    Returns
    -------
    list of Path
        The files that were downloaded.

    Raises
    ------
    ValueError
        If a file is another than it should be, which is then not kept.
    ConnectionError
        If the server cannot be reached.
    """
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise _check.invalid("path", "name a folder to download to", repr(str(folder)))
    found = []
    for name, expected in (MNIST_MD5 if checksums is None else checksums).items():
        target = place / name
        if target.exists() and _md5(target.read_bytes()) == expected:
            continue
        data = _fetched(url.rstrip("/") + "/" + name, name)
        if (got := _md5(data)) != expected:
            said = f"{url} gave another file, of MD5 {got}, not {expected}"
            raise _check.cannot(f"{name!r} is not kept", said, "Download it from elsewhere.")
        place.mkdir(parents=True, exist_ok=True)
        with _store.writing(target) as file:
            file.write(data)
        found.append(target)
    return found


def _fetched(address: str, name: str) -> bytes:
    pieces, done = [], 0
    try:
        with (
            urllib.request.urlopen(address, timeout=SECONDS) as answer,
            stage(f"downloading {name}", None, "B") as told,
        ):
            while piece := answer.read(1 << 16):
                pieces.append(piece)
                done += len(piece)
                told(done)
                if done > MAX_BYTES:
                    break  # no file of MNIST; its checksum says so
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        why = getattr(error, "reason", error)
        raise ConnectionError(
            f"{address} cannot be reached: {why}. Download the four files of MNIST elsewhere, put "
            "them into a folder, and name it as DATA."
        ) from None
    return b"".join(pieces)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
