"""The door of the room: predictions as log-probabilities, the truth as class numbers, checked."""

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent import _check
from xent._array import library_of
from xent._math.log_softmax import log_softmax

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """What the model said of every row, and what was true.

    Parameters
    ----------
    log_probs, probs : ndarray of float64, shape (N, C)
        Both views of the same prediction, each computed so as to keep its digits.
    truth : ndarray of int64, shape (N,)
        The column that was true.
    labels : list
        What the columns are called.
    """

    log_probs: Matrix
    probs: Matrix
    truth: NDArray[np.int64]
    labels: list[Any]


def predictions(
    target: ArrayLike,
    probs: ArrayLike | None,
    logits: ArrayLike | None,
    labels: Iterable[Any] | None,
) -> Predictions:
    """Check what `evaluate` was given and bring it into one form."""
    if (probs is None) == (logits is None):
        got = "neither" if probs is None else "both"
        raise _check.wrong_kind("probs", "be given, or else `logits`", got)
    if labels is not None:  # a generator is read but once, and Arrow's entries are no names yet
        if isinstance(labels, str) or not isinstance(labels, Iterable):
            raise _check.wrong_kind("labels", "be a list of names", repr(labels))
        labels = labels.tolist() if hasattr(labels, "tolist") else list(labels)
    if probs is not None:
        matrix, epsilon = _matrix("probs", probs, labels)
        given = _from_probs(matrix, max(1e-6, 2 * epsilon * math.sqrt(matrix.shape[1])))
    else:
        given = _from_logits(_matrix("logits", logits, labels)[0])
    classes = given[0].shape[1]
    names = _labels(labels, classes)
    truth = _truth(target, names, len(given[0]), classes, named=labels is not None)
    return Predictions(*given, truth, names)


def _matrix(argument: str, value: Any, labels: Any) -> tuple[Matrix, float]:
    """Return rows of float64, and the gap between 1 and the next number of what they came as."""
    # Arrow's tables have names where others have columns, and columns where others have values.
    columns: Any = getattr(value, "column_names", None) or getattr(value, "columns", ())
    named = [str(name) for name in columns]
    wanted = [] if labels is None else [str(name) for name in labels]
    if named != wanted and set(named) == set(wanted):
        order = "have its columns in the order of " + _check.argument("labels") + ", "
        order += _check.join_names(wanted, last="and")
        raise _check.invalid(argument, order, _check.join_names(named, last="and"))
    raw = _array(argument, value)
    if raw.dtype.kind not in "fiub":
        must = "be an array of real numbers"
        raise _check.wrong_kind(argument, must, f"an array of dtype {raw.dtype}")
    if 0 in raw.shape:
        raise _check.invalid(argument, "have at least one row and one class", str(raw.shape))
    if raw.ndim == 1:
        # What binary classifiers hand out: the probability of the second class, or its logit.
        second = raw.astype(np.float64)
        if argument == "logits":
            return np.stack([np.zeros_like(second), second], axis=1), 0.0
        bad = ~((second >= 0) & (second <= 1))
        if bad.any():
            row = int(bad.argmax())
            raise _check.invalid(argument, "be between 0 and 1", f"{second[row]:.6g} at row {row}")
        return np.stack([1 - second, second], axis=1), 0.0
    if raw.ndim != 2:
        must = "have the shape (rows, classes)"
        raise _check.invalid(argument, must, str(raw.shape))
    library = library_of(value)
    epsilon = library.epsilon(raw if library.name == "numpy" else value)
    return raw.astype(np.float64), epsilon


def _array(argument: str, value: Any) -> NDArray[Any]:
    """Turn what any library hands out into a NumPy array; nothing masked is unmasked."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.double() if value.is_floating_point() else value
    if np.ma.is_masked(value):
        raise _check.invalid(argument, "have no masked entry", "a masked array", "Drop those rows.")
    try:
        return np.asarray(value)
    except ValueError:
        must = "be an array, all its rows of one length"
        raise _check.wrong_kind(argument, must, f"a ragged {type(value).__name__}") from None


def _from_probs(probs: Matrix, slack: float) -> tuple[Matrix, Matrix]:
    bad = ~((probs >= 0) & (probs <= np.inf)) | np.isinf(probs)
    if bad.any():
        first = tuple(np.argwhere(bad)[0])
        must = "be finite" if not np.isfinite(probs[first]) else "be non-negative"
        advice = "" if must == "be finite" else "For logits pass " + _check.setting("logits") + "."
        raise _check.invalid("probs", must, f"{probs[first]:.6g} at {_check.at(first)}", advice)
    total = probs.sum(axis=1)
    off = np.abs(total - 1) > slack
    if off.any():
        row = int(off.argmax())
        if probs.shape[1] == 1:
            must = "have a column for each class, or one dimension: the second of two classes"
            raise _check.invalid("probs", must, str(probs.shape), "Pass probs[:, 0].")
        got = f"{total[row]:.9g} at row {row}"
        advice = "If they were rounded when they were saved, divide each row by its sum."
        raise _check.invalid("probs", "sum to 1 in every row", got, advice)
    probs = probs / total[:, None]
    with np.errstate(divide="ignore"):
        return np.log(probs), probs


def _from_logits(logits: Matrix) -> tuple[Matrix, Matrix]:
    bad = np.isnan(logits) | (logits == np.inf)
    if bad.any():
        first = tuple(np.argwhere(bad)[0])
        raise _check.invalid(
            "logits", "be finite or -inf", f"{logits[first]} at {_check.at(first)}"
        )
    empty = np.isneginf(logits).all(axis=1)
    if empty.any():
        must = "leave every row a class that can be"
        raise _check.invalid("logits", must, f"only -inf at row {int(empty.argmax())}")
    log_probs = log_softmax(logits)
    return log_probs, np.exp(log_probs)


def _labels(labels: Iterable[Any] | None, classes: int) -> list[Any]:
    if labels is None:
        return list(range(classes))
    names = [name.item() if isinstance(name, np.generic) else name for name in labels]
    if len(names) != classes:
        raise _check.invalid("labels", f"name the {classes} classes", len(names))
    odd = [name for name in names if not isinstance(name, str | int | float | bool)]
    if odd:
        must = "be strings, numbers or booleans"
        raise _check.wrong_kind("labels", must, _check.a(odd[0]))
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise _check.invalid("labels", "name every class once", f"{twice!r} twice")
    return names


def _truth(
    target: ArrayLike, names: list[Any], rows: int, classes: int, *, named: bool
) -> NDArray[np.int64]:
    if named:
        number = {name: i for i, name in enumerate(names)}
        # Not through an array where it is none yet: NumPy makes text of a list like [1, "a"].
        values = target if isinstance(target, list | tuple) else _array("target", target).tolist()
        if not isinstance(values, list | tuple) or len(values) != rows:
            got = len(values) if isinstance(values, list | tuple) else "one"
            raise _check.invalid("target", f"have one class a row, {rows}", got)
        found = np.array([_place(value, number) for value in values], dtype=np.int64)
        if (found < 0).any():
            row = int((found < 0).argmax())
            must = f"be one of the labels {_check.join_names(names)}"
            raise _check.invalid("target", must, f"{values[row]!r} at row {row}")
        return found
    raw = _array("target", target)
    if raw.shape != (rows,):
        raise _check.invalid("target", f"have one class a row, {rows}", f"the shape {raw.shape}")
    if raw.dtype.kind not in "iub":
        advice = (
            "Name the classes in the order of the columns with " + _check.setting("labels") + "."
        )
        must = "hold class numbers where no `labels` are given"
        raise _check.wrong_kind("target", must, f"dtype {raw.dtype}", advice)
    outside = (raw < 0) | (raw >= classes)
    if outside.any():
        row = int(outside.argmax())
        must = f"be from 0 to {classes - 1}, the class numbers"
        raise _check.invalid("target", must, f"{raw[row]} at row {row}")
    return raw.astype(np.int64)


def _place(value: Any, number: dict[Any, int]) -> int:
    value = value.item() if isinstance(value, np.generic) else value
    return number.get(value, -1) if isinstance(value, Hashable) else -1
