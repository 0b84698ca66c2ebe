"""Rows to hold out: a share of each class, or each row once, drawn by a seed."""

from __future__ import annotations

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


def fold_of_rows(labels: NDArray[Any], folds: int, seed: int) -> NDArray[np.int64]:
    """Return for each row the fold that holds it out, 0 to ``folds`` - 1, each class spread evenly.

    Parameters
    ----------
    labels : ndarray, shape (N,)
        The class of each row.
    folds : int
        How many.
    seed : int
        The same folds for the same seed.

    Returns
    -------
    ndarray of int64, shape (N,)

    Raises
    ------
    ValueError
        If a class has fewer rows than there are folds: one of them would not learn it.
    """
    folds = _check.integer("folds", folds, least=2)
    classes, rows = np.unique(labels, return_counts=True)
    if rows.min() < folds:
        rarest = classes.tolist()[int(rows.argmin())]
        must = "be at most the rows of each class"
        got = f"{folds}, and {_check.count(int(rows.min()), 'row')} of {rarest!r}"
        raise _check.invalid("folds", must, got)
    out = np.empty(len(labels), np.int64)
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fold, (_, held) in enumerate(parts.split(np.zeros((len(labels), 1)), labels)):
        out[held] = fold
    return out
