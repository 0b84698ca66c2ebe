"""How uncertain one distribution is. Shannon (1948), sections 6 and 7."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from xent.measures._probabilities import Rows, probabilities, result


def entropy(p: ArrayLike, *, axis: int = -1, base: float = math.e) -> Any:
    """How many nats (bits, bans) it takes on average to say which outcome happened.

    H(p) = - Σ_k p_k log p_k

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities, the K outcomes along ``axis``; checked, never normalised in silence.
    axis : int
        Where the outcomes are.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.

    Returns
    -------
    float or ndarray of float64, shape (...)
        From 0 (one outcome is certain) to log K (all are equally likely).

    Raises
    ------
    ValueError, TypeError
        If ``p`` is not made of distributions, or ``base`` is not a base.

    Notes
    -----
    0 log 0 = 0, its limit.

    Examples
    --------
    >>> entropy([0.5, 0.25, 0.25], base=2)
    1.5

    References
    ----------
    Shannon, C. E. (1948). A mathematical theory of communication. Bell System Technical Journal 27.
    """
    return result(nats_of(probabilities("p", p, axis)), base)


def nats_of(rows: Rows) -> Rows:
    """Entropy of checked rows in nats."""
    safe = np.where(rows > 0, rows, 1.0)
    nats = np.asarray(-(rows * np.log(safe)).sum(axis=-1))
    return np.asarray(nats + 0.0)  # -0.0 reads as a negative entropy
