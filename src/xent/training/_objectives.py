"""The losses one can train under, each with the probabilities that it means by its logits.

A new loss is one entry of `OBJECTIVES`: how it is computed from logits and class numbers, and how
its logits are read as log-probabilities.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from xent import losses
from xent._math.log_softmax import log_softmax

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Objective:
    """A loss for class logits, averaged as torch does: over all elements.

    Parameters
    ----------
    loss : callable
        From logits (N, C) and class numbers (N,) to a scalar tensor.
    log_probs : callable
        From float64 logits (N, C) to log-probabilities (N, C).
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    log_probs: Callable[[Matrix], Matrix]


def _indicator(logits: Tensor, target: Tensor) -> Tensor:
    return one_hot(target, logits.shape[1]).to(logits.dtype)


def _binary_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    answers = _indicator(logits, target)
    loss: Tensor = losses.binary_cross_entropy_with_logits(logits, answers)
    return loss


def _mse_softmax(logits: Tensor, target: Tensor) -> Tensor:
    return losses.mse_loss(torch.softmax(logits, dim=1), _indicator(logits, target))


def _mse_sigmoid(logits: Tensor, target: Tensor) -> Tensor:
    return losses.mse_loss(torch.sigmoid(logits), _indicator(logits, target))


def _log_sigmoids_normalised(logits: Matrix) -> Matrix:
    """Sigmoids divided by their row sum, in logarithms so that tiny ones do not become 0 / 0."""
    return log_softmax(-np.logaddexp(0.0, -logits))


OBJECTIVES = {
    "cross_entropy": Objective(losses.cross_entropy, log_softmax),
    "binary_cross_entropy": Objective(_binary_cross_entropy, _log_sigmoids_normalised),
    "mse_softmax": Objective(_mse_softmax, log_softmax),
    "mse_sigmoid": Objective(_mse_sigmoid, _log_sigmoids_normalised),
}
