"""Rows to hold out: a share of each class, or each row once, drawn by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from xent import _check


def hold_out(labels: NDArray[Any], share: float, seed: int) -> NDArray[np.bool_]:
    """Say which rows to hold out, so that each class has its share and one row to be learned from.

    Parameters
    ----------
    labels : ndarray, shape (N,) or (N, L)
        The class of each row; of several labels a row the share is of all rows alike.
    share : float
        Of all rows, between 0 and 1, to within half a row.
    seed : int
        The same rows for the same seed.

    Returns
    -------
    ndarray of bool, shape (N,)

    Raises
    ------
    ValueError
        If the share is none, or the rows are too few to hold out one and keep one of each class.
    """
    share = _check.share("validation", share)
    if labels.ndim == 2:
        labels = np.zeros(len(labels), np.int64)
    classes, code, rows = np.unique(labels, return_inverse=True, return_counts=True)
    wanted = round(share * len(labels))
    able = int((rows - 1).sum())
    if not 1 <= wanted <= able:
        got = f"{share:g} of {_check.count(len(labels), 'row')}, which is {wanted:,}"
        must = f"hold out from 1 to {able:,} rows, so that one of each class is left"
        if not able:
            must, got = "have two rows of a class to hold one out", "one row of each"
        raise _check.invalid("validation", must, got)
    held = np.minimum(np.floor(share * rows), rows - 1).astype(np.int64)
    # What is left over goes to the classes that are most short of their share.
    while (missing := wanted - int(held.sum())) > 0:
        short = np.where(held < rows - 1, share * rows - held, -np.inf)
        held[np.argsort(-short, kind="stable")[:missing]] += 1
        held = np.minimum(held, rows - 1)
    rng = np.random.RandomState(seed)
    out = np.zeros(len(labels), dtype=bool)
    for c in range(len(classes)):
        out[rng.permutation(np.flatnonzero(code == c))[: held[c]]] = True
    return out


def fold_of_rows(
    labels: NDArray[Any], folds: int, seed: int, names: list[str] | None = None
) -> NDArray[np.int64]:
    """Return for each row the fold that holds it out, 0 to ``folds`` - 1, each class spread evenly.

    Parameters
    ----------
    labels : ndarray, shape (N,) or (N, L)
        The class of each row; or 1 for each of its labels, each of which is spread evenly.
    folds : int
        How many.
    seed : int
        The same folds for the same seed.
    names : list of str, optional
        Of the labels, for messages.

    Returns
    -------
    ndarray of int64, shape (N,)

    Raises
    ------
    ValueError
        If a class has fewer rows than there are folds, or a label one row: a model would not
        learn it.

    References
    ----------
    Sechidis, K., Tsoumakas, G. and Vlahavas, I. (2011). On the stratification of multi-label data.
    ECML PKDD, algorithm 1.
    """
    folds = _check.integer("folds", folds, least=2)
    if labels.ndim == 2:
        return _folds_of_labels(labels > 0.5, folds, seed, names or list(range(labels.shape[1])))
    classes, rows = np.unique(labels, return_counts=True)
    if rows.min() < folds:
        rarest = classes.tolist()[int(rows.argmin())]
        must = "be at most the rows of each class"
        got = f"{folds}, and {_check.count(int(rows.min()), 'row')} of {rarest!r}"
        advice = "Ask for fewer, or leave that class out."
        raise _check.invalid("folds", must, got, advice)
    out = np.empty(len(labels), np.int64)
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fold, (_, held) in enumerate(parts.split(np.zeros((len(labels), 1)), labels)):
        out[held] = fold
    return out


def _folds_of_labels(
    there: NDArray[np.bool_], folds: int, seed: int, names: Sequence[object]
) -> NDArray[np.int64]:
    """Deal out the rows of the rarest label first, each to the fold that lacks it most."""
    rows = len(there)
    if folds > rows:
        raise _check.invalid("folds", "be at most the rows", f"{folds}, and {rows:,} rows")
    of_label = there.sum(axis=0)
    if (of_label == 1).any():
        must = "leave every label a row to learn from"
        raise _check.invalid("folds", must, f"1 row of {names[int((of_label == 1).argmax())]!r}")
    rng = np.random.RandomState(seed)
    luck = rng.permutation(rows)  # of rows that are alike
    room = np.full(folds, rows / folds)
    lacking = np.tile(of_label / folds, (folds, 1))
    out = np.full(rows, -1, np.int64)

    def deal(row: int, wanted: NDArray[np.float64]) -> None:
        best = np.flatnonzero(wanted == wanted.max())
        best = best[room[best] == room[best].max()]
        fold = int(best[luck[row] % len(best)])
        out[row] = fold
        room[fold] -= 1
        lacking[fold] -= there[row]

    while True:
        left = there[out < 0].sum(axis=0)
        if not left.any():
            break
        rarest = int(np.where(left > 0, left, rows + 1).argmin())
        for row in luck[there[luck, rarest] & (out[luck] < 0)]:
            deal(int(row), lacking[:, rarest])
    for row in luck[out[luck] < 0]:
        deal(int(row), room)
    return out
