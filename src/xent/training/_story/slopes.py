"""How much a wrong answer teaches: the slope of each loss at the true logit, in closed form."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent import _check

Slopes = dict[str, NDArray[np.float64]]


def slopes_at(z: ArrayLike, *, classes: int = 10) -> Slopes:
    """How fast each loss falls as the logit of the true class rises, the other logits 0.

    p = e^z / (e^z + C - 1), s = 1 / (1 + e^-z);
    cross-entropy 1 - p, squared error of sigmoids 2 s (1 - s)², squared error of the softmax
    2 C/(C-1) p (1 - p)², double softmax C/(C-1) (1 - q) p (1 - p), q the second softmax's.

    Parameters
    ----------
    z : array_like, any shape
        Logits of the true class.
    classes : int
        C.

    Returns
    -------
    dict of str to ndarray, the shape of ``z``
        |dL/dz| for one row, squares summed over the classes: without the 1/C that PyTorch's mean
        over all elements adds to both squared errors, which is no slope and which a learning rate
        makes up for.

    Raises
    ------
    ValueError
        If there are fewer than two classes.

    Examples
    --------
    >>> slopes = slopes_at(-8.0)  # surely wrong
    >>> {name: f"{slope:.4f}" for name, slope in slopes.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'cross_entropy': '1.0000', 'mse_sigmoid': '0.0007', 'mse_softmax': '0.0001',
     'double_softmax': '0.0000'}

    References
    ----------
    Nielsen, M. (2015). Neural Networks and Deep Learning, chapter 3.
    """
    C = _check.integer("classes", classes, least=2)
    logits = np.asarray(z, dtype=np.float64)
    others = math.log(C - 1)
    p, wrong = _sigmoid(logits - others), _sigmoid(others - logits)
    s, not_s = _sigmoid(logits), _sigmoid(-logits)
    ratio = C / (C - 1)
    second_wrong = _sigmoid(others + wrong / (C - 1) - p)
    return {
        "cross_entropy": wrong,
        "mse_sigmoid": 2 * s * not_s**2,
        "mse_softmax": 2 * ratio * p * wrong**2,
        "double_softmax": ratio * second_wrong * p * wrong,
    }


def double_softmax_floor(classes: int) -> float:
    """Return the least loss, in nats, that a second softmax lets the cross-entropy reach.

    -log(e / (e + C - 1)) = log(1 + (C - 1)/e): probabilities are no larger than 1, taken as logits.

    Parameters
    ----------
    classes : int
        C.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If there are fewer than two classes.

    Examples
    --------
    >>> round(double_softmax_floor(10), 4)
    1.4612

    References
    ----------
    Bridle, J. S. (1990). Probabilistic interpretation of feedforward classification network
    outputs. Neurocomputing, NATO ASI F68.
    """
    return math.log1p((_check.integer("classes", classes, least=2) - 1) / math.e)


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-np.logaddexp(0.0, -z)))
