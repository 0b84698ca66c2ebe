"""`xent train --dense` and what `xent predict` makes of such a model: a class at every place."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from xent._terminal import as_typed
from xent.cli import _data
from xent.cli._training._words import train_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xent.training import DenseClassifier, TrainedModel

LARGEST_BYTE = 255.0
HELD_PARTS = ("train", "test")
TARGETS_AT_ONCE = 256  # that are looked at at once
PREDICTED_AT_ONCE = 16  # inputs, whose log-probabilities are in memory at once


@dataclass(frozen=True)
class DenseRows:
    """Inputs, and the class of every place of theirs.

    Parameters
    ----------
    X : ndarray, shape (N, ...)
        As they lie in the file, mapped where they can be.
    y : ndarray, shape (N, ...) or (N, C, ...), optional
        Numbers of classes, or probabilities; None where the file has none.
    """

    X: NDArray[Any]
    y: NDArray[Any] | None

    @property
    def pixels(self) -> bool:
        """Whether inputs are pixels in bytes; a row of bytes may be tokens."""
        return self.X.dtype.str[1:] == "u1" and self.X.ndim > 2

    def numbers(self, pixels: bool) -> NDArray[Any]:
        """Return inputs as the network takes them: pixels in bytes divided by 255."""
        import numpy as np

        if not pixels:
            return self.X
        return np.asarray(np.divide(self.X, np.float32(LARGEST_BYTE), dtype=np.float32))


def read_dense_rows(source: str, *, argument: str = "DATA") -> dict[str, DenseRows]:
    """Read x_train and y_train, x_test and y_test of an NPZ or of a folder of .npy files.

    Parameters
    ----------
    source : str
        The file or the folder.
    argument : str
        What it is called, for messages.

    Returns
    -------
    dict of str to DenseRows
        The parts that are there, "train" and "test".
    """
    from xent import _check
    from xent.training._data.arrays import members, read_member

    if not Path(source).exists():
        raise FileNotFoundError(f"There is no file {source!r}.")
    there = members(Path(source))
    found = {}
    for part in HELD_PARTS:
        if f"x_{part}" not in there:
            continue
        X = read_member(Path(source), f"x_{part}")
        y = read_member(Path(source), f"y_{part}") if f"y_{part}" in there else None
        if not X.ndim or (y is not None and (not y.ndim or len(y) != len(X))):
            must = f"hold as many targets, y_{part}, as inputs, x_{part}"
            got = f"the shapes {X.shape} and {() if y is None else y.shape}"
            raise _check.invalid(argument, must, got)
        found[part] = DenseRows(X, y)
    if not found:
        must = "be an NPZ with x_train and y_train, or a folder with x_train.npy and y_train.npy"
        raise _check.invalid(argument, must, repr(source))
    return found


def to_train_on(
    source: str, share: float | None, file: str | None, seed: int
) -> tuple[DenseRows, DenseRows | None]:
    """Return the rows to train on, and those held out: a share, a file, or the test part.

    Parameters
    ----------
    source : str
        What is trained on.
    share : float, optional
        What is held out of it, drawn by the seed.
    file : str, optional
        What is held out, elsewhere.
    seed : int
        Of the draw.
    """
    import numpy as np

    from xent import _check
    from xent.training._split import hold_out

    parts = read_dense_rows(source)
    rows = parts.get("train")
    if rows is None or rows.y is None:
        missing = "x_train" if rows is None else "y_train"
        raise _check.invalid("DATA", f"hold {missing}", f"none in {source!r}")
    if file is not None:
        others = read_dense_rows(file, argument="--validation")
        held = others.get("test", others.get("train"))
    elif share is not None:
        with train_words():
            out = hold_out(np.zeros(len(rows.X)), share, seed)
        held = DenseRows(rows.X[out], rows.y[out])
        rows = DenseRows(rows.X[~out], rows.y[~out])
    else:
        held = parts.get("test")
    if held is not None and held.y is None:
        if file is None:  # inputs to be predicted
            return rows, None
        raise _check.invalid("--validation", "hold targets", f"none in {file!r}")
    return rows, held


def train_dense(
    classifier: DenseClassifier,
    data: str,
    validation: tuple[float | None, str | None],
    module: str,
    made: Any,
    seed: int,
    output: Path,
    lasting: dict[str, Any],
) -> None:
    """Train, keep the model, and say what it costs on held-out places.

    Parameters
    ----------
    classifier : DenseClassifier
        Has the settings, but no network yet.
    data : str
        What is trained on.
    validation : tuple of float and str
        The share or the file to hold out, if any.
    module : str
        Names the network.
    made : callable
        Makes it.
    seed : int
        Of the rows to hold out.
    output : Path
        Where the model goes.
    lasting : dict
        Of the checkpoint and the log, as `DenseClassifier.fit` takes them.
    """
    import math

    import numpy as np

    from xent import _check
    from xent.training import Scaling, TrainedModel

    rows, held = to_train_on(data, *validation, seed)
    y: Any = rows.y
    pixels = rows.pixels
    if held is not None and held.X.dtype != rows.X.dtype and (pixels or held.pixels):
        must = f"hold inputs of {rows.X.dtype}, as DATA does"
        raise _check.invalid("--validation", must, str(held.X.dtype))
    classes = _classes_in(y, classifier.ignore_index)
    network = made(features=math.prod(rows.X.shape[1:]), classes=classes)
    classifier.set_params(module=network)
    pair: Any = None if held is None else (held.numbers(pixels), held.y)
    with train_words(y="DATA", ignore_index="--ignore"):
        classifier.fit(rows.numbers(pixels), y, validation=pair, **lasting)
    scaling = Scaling(np.zeros(1), np.array([LARGEST_BYTE])) if pixels else None
    TrainedModel(classifier, scaling, target="target", module_source=module).save(output)
    say_what_was_dense(classifier, rows, held, pixels)
    typer.echo(f"Model: {as_typed(output)}")


def _classes_in(y: Any, ignored: int | None) -> int:
    """Return how many classes targets name, for a network that asks: one more than the largest."""
    import numpy as np

    from xent import _check

    if y.dtype.kind == "f":
        return int(y.shape[1]) if y.ndim > 1 else 0
    pieces = (y[start : start + TARGETS_AT_ONCE] for start in range(0, len(y), TARGETS_AT_ONCE))
    known = set().union(*(np.unique(piece).tolist() for piece in pieces)) - {ignored}
    classes = int(max(known, default=0)) + 1
    if classes > 2 * len(known):
        said = f"The targets have {_check.count(len(known), 'number')}, and {classes - 1} is the "
        said += f"largest: {classes:,} classes. If it marks places that do not count, "
        _check.warn(said + f"pass --ignore {classes - 1}.")
    return classes


def say_what_was_dense(
    classifier: DenseClassifier, rows: DenseRows, held: DenseRows | None, scaled: bool
) -> None:
    """Say what was read, and what was trained."""
    from xent import _check
    from xent.cli._training._said import unit_of

    inputs, (classes, *places) = classifier.input_shape_, classifier.output_shape_
    of = ", pixels of bytes divided by 255" if scaled else ""
    typer.echo(
        f"{_check.count(len(rows.X), 'input')} of {_by(inputs)}{of}; {classes} classes at "
        f"{_by(places)} places."
    )
    history, loss = classifier.history_, classifier.loss_
    epochs = _check.count(len(history["loss"]), "epoch")
    typer.echo(f"{loss} after {epochs}: {history['loss'][-1]:.4f}{unit_of(loss, 'place')}")
    if held is not None:
        typer.echo(
            f"held out: {history['validation_bits'][-1]:.4f} bits a place, accuracy "
            f"{100 * history['validation_accuracy'][-1]:.1f} %, "
            f"{_check.count(len(held.X), 'input')}"
        )


def predict_dense(trained: TrainedModel, data: str, output: Path) -> None:
    """Write an NPZ with log_probs and prediction, and target where it is known.

    Parameters
    ----------
    trained : TrainedModel
        Of a `DenseClassifier`.
    data : str
        An NPZ or a folder, of whose parts that to hold out is predicted.
    output : Path
        The file.
    """
    import numpy as np

    from xent import _check, _store

    if output.suffix.lower() != ".npz":
        must = "end in .npz where every place has a class"
        raise _check.invalid("--output", must, repr(str(output)))
    *_, rows = read_dense_rows(data).values()  # those to hold out, where there are two parts
    model: Any = trained.classifier
    pixels = trained.scaling is not None
    if pixels and rows.X.dtype != np.uint8:
        must = "hold bytes, as MODEL was trained on"
        raise _check.invalid("DATA", must, f"inputs of {rows.X.dtype}")
    if not len(rows.X):
        raise _check.invalid("DATA", "have at least one input", f"none in {data!r}")
    shape: Any = (len(rows.X), *model.output_shape_)
    winners: list[NDArray[np.int64]] = []
    with (
        _store.writing(output, argument="--output") as file,
        zipfile.ZipFile(file, "w") as archive,
    ):
        # A piece at a time: the log-probabilities of all may be larger than memory.
        with archive.open("log_probs.npy", "w", force_zip64=True) as member:
            head = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_2_0(member, head)
            for start in range(0, len(rows.X), PREDICTED_AT_ONCE):
                piece = DenseRows(rows.X[start : start + PREDICTED_AT_ONCE], None)
                with _data.words(X="DATA"):
                    found = model.predict_log_proba(piece.numbers(pixels))
                member.write(np.ascontiguousarray(found, dtype="<f4").tobytes())
                winners.append(found.argmax(axis=1))
        others = {"prediction": np.concatenate(winners)}
        if rows.y is not None:
            others["target"] = rows.y
        for name, array in others.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    typer.echo(f"{_check.count(len(rows.X), 'prediction')}: {as_typed(output)}")
    if rows.y is not None and rows.y.ndim < len(shape):
        ignore = "" if model.ignore_index is None else f" --ignore {model.ignore_index}"
        command = f"xent evaluate {as_typed(output)} --class-axis 1 --log-probs log_probs{ignore}"
        typer.echo(f"Evaluate them: {command}")


def _by(shape: Any) -> str:
    return " x ".join(map(str, shape))
