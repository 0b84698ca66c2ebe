"""Labelled images, as `xent train` and `xent predict` meet them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xent.cli import _data

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xent.training import Images

LABEL = "label"  # what the classes of images are called
IMAGES_AT_ONCE = 4096


@dataclass(frozen=True)
class LabelledImages:
    """Images with classes.

    Parameters
    ----------
    images : Images
        What was read.
    labels : ndarray, shape (N,)
        The class of each.
    """

    images: Images
    labels: NDArray[Any]
    target: str = LABEL
    weight: NDArray[Any] | None = None
    dropped: int = 0

    def rows(self, chosen: NDArray[np.bool_]) -> LabelledImages:
        """Return some of the images."""
        from xent.training import Images

        of = self.images
        files = [name for name, wanted in zip(of.files, chosen, strict=False) if wanted]
        return LabelledImages(
            Images(of.X[chosen], of.y[chosen], of.shape, files), self.labels[chosen]
        )

    def named(self) -> dict[str, Any]:
        """Return the columns that name the rows: the file of each image, where it has one."""
        return {"file": self.images.files} if self.images.files else {}


def image_words(**others: str) -> Any:
    """Let refusals of images name what was typed."""
    return _data.words("image_size", **{"path": "DATA", **others})


def size_of(text: str | None) -> tuple[int, int] | None:
    """Read a size like 28x28."""
    from xent import _check

    if text is None:
        return None
    columns, _, rows = text.lower().partition("x")
    if not (columns.isdecimal() and rows.isdecimal() and int(columns) and int(rows)):
        raise _check.invalid("--image-size", "be columns and rows like 28x28", repr(text))
    return int(columns), int(rows)


def read_labelled_images(
    source: str, size: tuple[int, int] | None
) -> tuple[LabelledImages, LabelledImages | None]:
    """Read the images to train on, and those to hold out where the path has such a part."""
    from xent.training import read_images
    from xent.training._data.source import parts_of

    with image_words():
        images = read_images(source, image_size=size)
        held = None
        if "test" in parts_of(source):
            found = read_images(source, "test", image_size=size)
            held = LabelledImages(found, found.y)
    return LabelledImages(images, images.y), held


def read_part(
    source: str, size: tuple[int, int] | None, *, argument: str = "DATA"
) -> LabelledImages:
    """Read the images to measure or to predict: of a path with two parts those to hold out."""
    from xent.training import read_images
    from xent.training._data.source import parts_of

    with image_words(path=argument):
        part = "test" if "test" in parts_of(source) else "train"
        images = read_images(source, part, image_size=size)
    return LabelledImages(images, images.y)


def check_shape(images: Images, shape: tuple[int, ...], argument: str = "DATA") -> None:
    """Refuse images of another shape than those that were trained on."""
    from xent import _check

    if images.shape != tuple(shape):
        words = [" x ".join(map(str, each)) for each in (shape, images.shape)]
        advice = ""
        if images.files:
            advice = f"To resize them pass --image-size {shape[1]}x{shape[0]}."
        must = f"hold images of {words[0]}, as those trained on"
        raise _check.invalid(argument, must, f"images of {words[1]}", advice)


def blocks(
    rows: LabelledImages,
) -> Iterator[tuple[NDArray[Any], dict[str, Any], NDArray[Any]]]:
    """Yield pixels, the columns that name them, and their labels, a piece at a time."""
    ids = rows.named()
    for start in range(0, len(rows.labels), IMAGES_AT_ONCE):
        piece = slice(start, start + IMAGES_AT_ONCE)
        columns = {name: values[piece] for name, values in ids.items()}
        yield rows.images.X[piece], columns, rows.labels[piece]
