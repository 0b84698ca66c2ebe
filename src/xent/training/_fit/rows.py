"""Rows of features as training takes them: matrices of finite numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._table import given

KINDS = [np.float64, np.float32, np.uint8]  # features that are taken as they are; others as float64
ENCODED = "TableEncoder makes numbers of names, dates and gaps."


def features_of(
    estimator: Any, X: Any, y: Any = None, *, reset: bool, argument: str = "X"
) -> NDArray[Any]:
    """Return rows of finite numbers, which are not copied where they are of `KINDS`.

    Parameters
    ----------
    estimator : estimator
        Which learns, or knows, how many features there are and what they are called.
    X : array_like, shape (N, D)
        Features.
    y : array_like, shape (N, ...), optional
        Targets, which must be as many.
    reset : bool
        Whether it learns them.
    argument : str
        What they are called, for messages.

    Raises
    ------
    ValueError, TypeError
        If they are no such matrix.
    """
    found: NDArray[Any] = given.rows_of(
        estimator,
        X,
        reset=reset,
        dtype=KINDS,
        argument=argument,
        gaps_advice=ENCODED,
        kinds_advice=ENCODED,
    )
    if y is not None:
        given.same_length(y, len(found), "y" if argument == "X" else argument)
    return found
