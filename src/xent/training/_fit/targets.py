"""Targets and weights of rows: classes, the probability of every class, or several labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import column_or_1d

from xent import _check
from xent._table.given import check_weights, labels_of, weights_of

ROW_SUM_TOLERANCE = 1e-4  # of a row's sum: what a table of six decimals leaves


@dataclass(frozen=True)
class CountedPlaces:
    """Which places of images or sequences count, and how much.

    Parameters
    ----------
    counts : ndarray, shape (N,) or (N, C)
        How many places of each row count; where classes are weighted, how many of each class.
    ignore_index : int, optional
        The target of a place that does not count.
    class_weight : ndarray, shape (C,), optional
        How much the places of each class count.
    """

    counts: NDArray[np.int64]
    ignore_index: int | None = None
    class_weight: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Targets:
    """Targets as the training takes them.

    Parameters
    ----------
    classes : ndarray, shape (C,)
        The classes in the order of their numbers.
    values : ndarray of int64, shape (N,), or of float64, shape (N, C)
        The number of each row's class, or the probability of every class; with ``places`` an axis
        more for each of theirs.
    places : CountedPlaces, optional
        Which places of a row count, where each has a class of its own.
    """

    classes: NDArray[Any]
    values: NDArray[Any]
    places: CountedPlaces | None = None

    @property
    def soft(self) -> bool:
        """Whether they are probabilities."""
        return self.values.ndim == 2


def is_soft(y: object) -> bool:
    """Tell whether targets are a matrix: the probability of every class.

    Parameters
    ----------
    y : array_like
        As the user gave it.
    """
    shape = np.asarray(y).shape
    return len(shape) == 2 and shape[1] > 1


def read_targets(y: ArrayLike, names: ArrayLike | None) -> Targets:
    """Take classes by number, or probabilities as they are.

    Parameters
    ----------
    y : array_like, shape (N,) or (N, C)
        Classes, or probabilities.
    names : array_like, shape (C,), optional
        What the columns of probabilities are called; 0 to C - 1 where it is not given.

    Raises
    ------
    ValueError
        If there are fewer than two classes, or a row is no distribution.
    """
    if is_soft(y):
        values = check_distributions("y", y)
        columns = values.shape[1]
        classes = np.arange(columns) if names is None else np.asarray(column_or_1d(names))
        if len(classes) != columns or len(np.unique(classes)) < columns:
            must = f"name the {columns} columns of " + _check.argument("y") + ", each once"
            raise _check.invalid("classes", must, str(classes.tolist()))
        return Targets(classes, values)
    if names is not None:
        advice = "Classes by name are found in it."
        must = "be left out where " + _check.argument("y") + " holds classes"
        raise _check.invalid("classes", must, _check.a(names), advice)
    labels = labels_of(y)
    classes, numbers = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        got = f"1 class, {classes.tolist()[0]!r}"
        raise _check.invalid("y", "hold at least two classes", got)
    return Targets(classes, numbers)


def read_labels_of_rows(
    argument: str, y: Any, names: ArrayLike | None, known: NDArray[Any] | None = None
) -> Targets:
    """Take a matrix of 1 where a label is there and 0 where it is not.

    Parameters
    ----------
    argument : str
        What it is called, for messages.
    y : array_like, sparse matrix or data frame, shape (N, L)
        The labels of each row; a frame's columns are named, and taken by name where ``known``.
    names : array_like, shape (L,), optional
        What the columns are called; a frame's own names, or 0 to L - 1, where not given.
    known : ndarray, shape (L,), optional
        The labels of the training rows.

    Raises
    ------
    ValueError
        If it is no matrix of 0 and 1, or its columns are others than those known.
    """
    columns = getattr(y, "columns", None)
    own = None if columns is None else np.array([str(name) for name in columns])
    given = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
    if given.ndim != 2 or 0 in given.shape:
        must = "have the shape (rows, labels), 1 where a label is there and 0 where not"
        raise _check.invalid(argument, must, str(given.shape))
    if given.dtype.kind not in "biuf":
        given = np.asarray(given.tolist(), dtype=object)
    there, absent = np.asarray(given == 1), np.asarray(given == 0)
    if not (there | absent).all():
        first = np.argwhere(~(there | absent))[0]
        got = f"{given[tuple(first)]!s} at {_check.at(first)}"
        raise _check.invalid(argument, "hold 1 where a label is there and 0 where not", got)
    if known is not None:
        if own is not None and sorted(own.tolist()) == sorted(map(str, known.tolist())):
            place = {name: i for i, name in enumerate(own.tolist())}
            there = there[:, [place[str(name)] for name in known.tolist()]]
        if there.shape[1] != len(known):
            wanted = f"have the {_check.count(len(known), 'label')} of " + _check.argument("y")
            raise _check.invalid(argument, wanted, _check.count(there.shape[1], "column"))
        return Targets(known, there.astype(np.float32))
    size = there.shape[1]
    if names is not None:
        own = np.asarray(column_or_1d(names))
    classes = np.arange(size) if own is None else own
    if len(classes) != size or len(np.unique(classes)) < size:
        named = f"name the {size} columns of " + _check.argument(argument) + ", each once"
        raise _check.invalid("classes", named, str(classes.tolist()))
    return Targets(classes, there.astype(np.float32))


def check_distributions(argument: str, y: ArrayLike) -> NDArray[np.float64]:
    """Return rows of probabilities; refuse what is none.

    Parameters
    ----------
    argument : str
        What they are called, for messages.
    y : array_like, shape (N, C)
        One distribution a row.
    """
    values = np.asarray(y, dtype=np.float64)
    bad = ~np.isfinite(values) | (values < 0)
    if bad.any():
        first = np.argwhere(bad)[0]
        got = f"{values[tuple(first)]} at {_check.at(first)}"
        raise _check.invalid(argument, "hold probabilities where it is a matrix", got)
    sums = values.sum(axis=1)
    off = np.abs(sums - 1) > ROW_SUM_TOLERANCE
    if off.any():
        first = int(off.argmax())
        advice = "For several answers a row train one classifier for each."
        must = "hold rows that sum to 1 where it is a matrix"
        raise _check.invalid(argument, must, f"{sums[first]} at row {first}", advice)
    return values


def numbers_in(classes: NDArray[Any], y: NDArray[Any], argument: str) -> NDArray[np.int64]:
    """Give labels the numbers of classes that are known already.

    Parameters
    ----------
    classes : ndarray, shape (C,)
        In any order.
    y : ndarray, shape (N,)
        Labels.
    argument : str
        What they are called, for messages.

    Raises
    ------
    ValueError
        If one is none of the classes.
    """
    order = np.argsort(classes, kind="stable")
    place = order[np.searchsorted(classes[order], y).clip(max=len(classes) - 1)]
    unknown = classes[place] != y
    if unknown.any():
        first = int(unknown.argmax())
        must = "hold only classes that " + _check.argument("y") + " holds"
        raise _check.invalid(argument, must, f"{y.tolist()[first]!r} at row {first}")
    return np.asarray(place)


def row_weights(
    targets: Targets, sample_weight: ArrayLike | None, class_weight: object
) -> NDArray[np.float64] | None:
    """Return how much each row counts; None where all count alike.

    Parameters
    ----------
    targets : Targets
        Of the rows.
    sample_weight : array_like, shape (N,), optional
        As scikit-learn means it.
    class_weight : "balanced" or dict, optional
        Weight of each class's rows: "balanced" makes all classes count alike.

    Raises
    ------
    ValueError, TypeError
        If a weight is negative or not finite, all are 0, or a class is unknown.
    """
    rows = len(targets.values)
    weights = None if sample_weight is None else weights_of(sample_weight, rows)
    if class_weight is not None:
        if targets.soft:
            must = "be None where " + _check.argument("y") + " holds probabilities"
            advice = "Weigh the rows by " + _check.argument("sample_weight") + "."
            raise _check.invalid("class_weight", must, repr(class_weight), advice)
        counts = np.bincount(targets.values, weights, minlength=len(targets.classes))
        by_class = weights_of_classes(class_weight, targets.classes, counts)[targets.values]
        weights = by_class if weights is None else weights * by_class
    if weights is None:
        return None
    if not weights.sum() > 0:
        raise _check.invalid("sample_weight", "give some row a weight above 0", "zero for all")
    return weights


def weights_of_classes(
    class_weight: object, classes: NDArray[Any], counts: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the weight of each class; a class that a dict does not name weighs 1.

    Parameters
    ----------
    class_weight : "balanced" or dict
        As the user gave it.
    classes : ndarray, shape (C,)
        The classes.
    counts : ndarray, shape (C,)
        How often each is there.

    Raises
    ------
    ValueError, TypeError
        If it is neither, a class is unknown, or a weight is negative or not finite.
    """
    if isinstance(class_weight, str) and class_weight == "balanced":
        seen = counts > 0
        mean = counts.sum() / seen.sum()
        return np.where(seen, mean / np.where(seen, counts, 1.0), 1.0)
    if not isinstance(class_weight, Mapping):
        must = "be 'balanced', a dict from class to weight, or None"
        raise _check.wrong_kind("class_weight", must, repr(class_weight))
    names = classes.tolist()
    for name in class_weight:
        if name not in names:
            known = "weigh classes that " + _check.argument("y") + " holds"
            advice = f"It has {_check.join_names(names, limit=5, last='and')}."
            raise _check.invalid("class_weight", known, repr(name), advice)
    weights = np.array([_check.number("class_weight", class_weight.get(n, 1.0)) for n in names])
    check_weights("class_weight", weights)
    return weights
