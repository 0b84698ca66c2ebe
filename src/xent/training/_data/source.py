"""What a path holds: MNIST in any spelling, NumPy's arrays, or folders of images by class."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.training._data.arrays import members, read_member
from xent.training._data.idx import read_idx
from xent.training._data.pictures import class_folders, read_pictures

# train-images-idx3-ubyte, t10k-labels.idx1-ubyte.gz, emnist-letters-test-images-idx3-ubyte, ...
IDX_NAME = re.compile(
    r"(?P<set>.*?)(?P<part>train|t10k|test)[-_.](?P<what>images|labels)[-_.]idx[13][-_.]ubyte(\.gz)?"
)
TEST_FOLDERS = ("test", "val", "valid", "validation")
PARTS = ("train", "test")
NO_DATA = (
    "hold labelled images: IDX files such as train-images-idx3-ubyte and train-labels-idx1-ubyte, "
    "x_train.npy and y_train.npy, or a folder of images for each class"
)


@dataclass(frozen=True)
class Images:
    """Images and their classes.

    Parameters
    ----------
    X : ndarray, shape (N, D)
        Pixels, an image a row; bytes where the file holds bytes, mapped where it can be.
    y : ndarray, shape (N,)
        The class of each image.
    shape : tuple of int
        Rows, columns and, of coloured images, channels: their product is D.
    files : list of str
        Where each image stands; empty where they share a file.

    Examples
    --------
    >>> import numpy as np
    >>> two = Images(np.zeros((2, 64), np.uint8), np.array([3, 5]), (8, 8), [])
    >>> two.X[0].reshape(two.shape).shape
    (8, 8)
    """

    X: NDArray[Any]
    y: NDArray[Any]
    shape: tuple[int, ...]
    files: list[str]


def is_images(path: str | os.PathLike[str]) -> bool:
    """Whether a path is read by `read_images`, and not as a table."""
    place = Path(path)
    return place.is_dir() or bool(IDX_NAME.fullmatch(place.name)) or bool(members(place))


def parts_of(path: str | os.PathLike[str]) -> list[str]:
    """Return the parts that a path holds: "train", "test", or both; a single file is "train"."""
    return list(_found(Path(path)))


def read_images(
    path: str | os.PathLike[str],
    part: str = "train",
    *,
    image_size: tuple[int, int] | None = None,
) -> Images:
    """Read labelled images from the files that people have them in.

    IDX files as MNIST has them (``t10k-images-idx3-ubyte``, ``t10k-images.idx3-ubyte``, compressed
    or not, in torchvision's ``MNIST/raw`` too), Keras' ``mnist.npz``, a folder with ``x_train.npy``
    and ``y_train.npy``, or a folder of images for each class, in ``train`` and ``test`` or alone.

    Parameters
    ----------
    path : str or PathLike
        The folder, or a file of images; labels are in the file beside it.
    part : {"train", "test"}
        Of a folder with both. MNIST calls its test part t10k.
    image_size : tuple of int, optional
        Columns and rows that images in folders are brought to.

    Returns
    -------
    Images

    Raises
    ------
    FileNotFoundError
        If there is nothing at ``path``.
    ValueError
        If there is no such data, or it is damaged, or images and labels are not as many.
    ImportError
        If it is a folder of images and Pillow is not installed.

    Examples
    --------
    >>> read_images("MNIST/raw").X.shape  # doctest: +SKIP
    (60000, 784)

    References
    ----------
    LeCun, Y., Bottou, L., Bengio, Y. and Haffner, P. (1998). Gradient-based learning applied to
    document recognition. Proceedings of the IEEE 86(11).
    """
    _check.option("part", part, PARTS)
    place = Path(path)
    if not place.exists():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    found = _found(place)
    if part not in found:
        must, got = NO_DATA, f"none in {str(path)!r}"
        if found:
            must = f"hold images to {'train on' if part == 'train' else 'hold out'}"
            got = f"only those of its part {next(iter(found))!r} in {str(path)!r}"
        raise _check.invalid("path", must, got)
    how = found[part]
    if isinstance(how, Path):
        pictures = read_pictures(how, image_size)
        return _images(place, pictures.X, pictures.y, pictures.files)
    if image_size is not None:
        must = "be left out but for folders of images"
        raise _check.invalid("image_size", must, "x".join(map(str, image_size)))
    if isinstance(how[0], str):
        return _images(place, read_member(place, how[0]), read_member(place, str(how[1])))
    return _images(how[0], read_idx(how[0]), read_idx(how[1]))


FoundFiles = dict[str, tuple[Path, Path] | tuple[str, str] | Path]


def _found(place: Path) -> FoundFiles:
    """Return for each part where it is: two IDX files, two arrays, or a folder of classes."""
    if place.is_file() and IDX_NAME.fullmatch(place.name):
        return {"train": (place, _labels_of(place))}
    arrays = members(place)
    if arrays:
        return {
            part: (f"x_{part}", f"y_{part}")
            for part in PARTS
            if {f"x_{part}", f"y_{part}"} <= set(arrays)
        }
    if not place.is_dir():
        return {}
    for folder in (place, place / "raw", *sorted(place.glob("*/raw"))):
        if idx := _idx_files(folder):
            return idx
    lower = {p.name.lower(): p for p in place.iterdir() if p.is_dir()}
    if "train" in lower and class_folders(lower["train"]):
        test = next((lower[name] for name in TEST_FOLDERS if name in lower), None)
        both: FoundFiles = {"train": lower["train"]}
        return both if test is None or not class_folders(test) else both | {"test": test}
    return {"train": place} if class_folders(place) else {}


def _idx_files(folder: Path) -> FoundFiles:
    """Return the IDX files of a folder by part; the plain one where it is there compressed, too."""
    found: dict[tuple[str, str, str], Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (name := IDX_NAME.fullmatch(path.name)) and path.is_file():
            part = "train" if name["part"] == "train" else "test"
            found.setdefault((name["set"], part, name["what"]), path)
    sets = sorted({key[0] for key in found})
    if len(sets) > 1:
        got = _check.join_names([name.rstrip("-_.") for name in sets], last="and")
        advice = "Name the file of images."
        raise _check.invalid("path", "hold one set of images", got, advice)
    out: FoundFiles = {}
    for part in PARTS if sets else ():
        images = found.get((sets[0], part, "images"))
        if images is not None:
            out[part] = (images, found.get((sets[0], part, "labels")) or _labels_of(images))
    return out


def _labels_of(images: Path) -> Path:
    """Return the file of labels beside one of images, however either is spelled."""
    name = IDX_NAME.fullmatch(images.name)
    for path in sorted(images.parent.iterdir()):
        other = IDX_NAME.fullmatch(path.name)
        if name is None or other is None or name["what"] != "images" or other["what"] != "labels":
            continue
        if (other["set"], other["part"]) == (name["set"], name["part"]):
            return path
    wanted = images.name.replace("images", "labels").replace("idx3", "idx1")
    if name and name["what"] == "labels":
        raise _check.invalid("path", "name the file of images", f"one of labels, {images.name!r}")
    raise _check.invalid("path", "have the labels beside the images", f"no {wanted!r}")


def _images(
    place: Path, X: NDArray[Any], y: NDArray[Any], files: list[str] | None = None
) -> Images:
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:  # as Keras has those of CIFAR
        y = y[:, 0]
    if (
        X.ndim not in (3, 4)
        or y.ndim != 1
        or X.dtype.kind not in "uif"
        or y.dtype.kind not in "iuU"
    ):
        must = "hold images of two or three dimensions each, and a class for each"
        got = f"arrays of shape {X.shape} ({X.dtype}) and {y.shape} ({y.dtype}) in {str(place)!r}"
        raise _check.invalid("path", must, got)
    if len(X) != len(y):
        got = f"{_check.count(len(X), 'image')} and {_check.count(len(y), 'label')}"
        raise _check.invalid("path", "have a label for each image", f"{got} in {str(place)!r}")
    if y.dtype.kind != "U":
        y = y.astype(np.int64)
    return Images(X.reshape(len(X), -1), y, tuple(X.shape[1:]), files or [])
