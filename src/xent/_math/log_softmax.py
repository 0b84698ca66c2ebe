"""log softmax of rows, with its digits kept where one class is nearly certain."""

import numpy as np
from numpy.typing import NDArray


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probabilities of every row of logits, the classes last.

    The largest logit is left out of the sum and log1p closes it, so that the log-probability of a
    nearly certain class is a small number and not a rounded zero. A logit of -inf is a class that
    cannot be; a row must have one that can.
    """
    top = logits.argmax(axis=-1)[..., None]
    with np.errstate(over="ignore"):  # further apart than float64 can say: impossible
        shifted = logits - np.take_along_axis(logits, top, axis=-1)
    rest = np.exp(shifted)
    np.put_along_axis(rest, top, 0.0, axis=-1)
    return np.asarray(shifted - np.log1p(rest.sum(axis=-1, keepdims=True)))
