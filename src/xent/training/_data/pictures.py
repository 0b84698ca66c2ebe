"""Folders of images, one folder a class, read by Pillow."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._optional import need
from xent._progress import stage
from xent._table.files.unpacked import check_sizes

IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
MOST_TIMES = 100  # of their files that pictures may take; photographs take ten times
GREY = {"1", "L", "LA"}
READ_MODES = {*GREY, "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}


@dataclass(frozen=True)
class Pictures:
    """Images of one size as bytes.

    Parameters
    ----------
    X : ndarray of uint8, shape (N, rows, columns) or (N, rows, columns, 3)
        Grey, or red, green and blue where one of them has colours.
    y : ndarray of str, shape (N,)
        The folder of each.
    files : list of str
        Where each stands, from the folder of all.
    """

    X: NDArray[np.uint8]
    y: NDArray[Any]
    files: list[str]


def class_folders(folder: Path) -> dict[str, list[Path]]:
    """Return the images of each class, by the name of its folder; those without any are none."""
    found = {}
    for each in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        images = sorted(
            p for p in each.iterdir()
            if p.suffix.lower() in IMAGE_ENDINGS and not p.name.startswith(".")
        )  # fmt: skip
        if images:
            found[each.name] = images
    return found


def read_pictures(folder: Path, size: tuple[int, int] | None) -> Pictures:
    """Read a folder of images by class.

    Parameters
    ----------
    folder : Path
        With a folder for each class.
    size : tuple of int, optional
        Columns and rows to bring each image to; else all must have one size.

    Raises
    ------
    ValueError
        If an image is damaged, or of another size than the first.
    ImportError
        If Pillow is not installed.
    """
    need("PIL", extra="images", by="A folder of images")
    classes = class_folders(folder)
    paths = [(name, path) for name, images in classes.items() for path in images]
    heads = [_head(path) for _, path in paths]
    colour = any(mode not in GREY for _, mode in heads)
    columns, rows = size or heads[0][0]
    for (_, path), ((width, height), _) in zip(paths, heads, strict=True):
        if size is None and (width, height) != (columns, rows):
            must = "hold images of one size"
            got = f"{columns} x {rows} and, in {str(path)!r}, {width} x {height}"
            passed = _check.setting("image_size", f"{columns}x{rows}")
            raise _check.invalid("path", must, got, "To resize them pass " + passed + ".")
    shape = (len(paths), rows, columns, 3) if colour else (len(paths), rows, columns)
    packed = sum(path.stat().st_size for _, path in paths)
    check_sizes(folder, packed, math.prod(shape), MOST_TIMES)
    X = np.empty(shape, np.uint8)
    with stage("reading images", len(paths), "images") as told:
        for i, (_, path) in enumerate(paths):
            X[i] = _pixels(path, "RGB" if colour else "L", size)
            told(i + 1)
    files = [str(path.relative_to(folder)) for _, path in paths]
    return Pictures(X, np.array([name for name, _ in paths]), files)


def _head(path: Path) -> tuple[tuple[int, int], str]:
    """Return the size and the mode of an image, without its pixels."""
    image = _open(path)
    with image:
        if image.mode not in READ_MODES:
            must = "hold images of 8 bits a channel"
            raise _check.invalid("path", must, f"mode {image.mode} in {str(path)!r}")
        return image.size, image.mode


def _open(path: Path) -> Any:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow warns of images that would fill the memory
        try:
            return Image.open(path)
        except Exception as error:  # whatever a stranger's file makes of a decoder
            raise _unreadable(path, error) from None


def _pixels(path: Path, mode: str, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    from PIL import Image

    with _open(path) as image:
        try:
            plain = image.convert(mode)
        except Exception as error:
            raise _unreadable(path, error) from None
        if size is not None and plain.size != size:
            plain = plain.resize(size, Image.Resampling.BOX)
        return np.asarray(plain)


def _unreadable(path: Path, error: Exception) -> ValueError:
    because = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
    return _check.cannot(f"{str(path)!r} cannot be read as an image", because)
