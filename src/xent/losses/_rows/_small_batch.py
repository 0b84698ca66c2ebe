"""Small batches under default options: around a few microseconds of arithmetic every call counts.

What `_scoring` does for any target, weight, shape and option is here one compiled call.
"""

import numpy as np
import torch
from torch import Tensor

from xent._kernels.rows.small_batch import (
    DOUBLES,
    MAX_BATCH_CLASSES,
    MAX_BATCH_ROWS,
    SINGLES,
    class_batch,
)
from xent.losses._arguments import Options
from xent.losses._reduction import as_scalar
from xent.losses._rows._calls import ELEMENTS
from xent.losses._rows._scoring import ScoredCall

_NO_GRADIENT = np.empty((0, 0), np.float32)


def is_small_batch(input: Tensor, target: Tensor) -> bool:
    """Say whether these are short rows of float32 with a class each, and but a few."""
    return (
        input.dtype is torch.float32
        and target.dtype is torch.int64
        and input.dim() == 2
        and input.shape[:1] == target.shape
        and 0 < input.numel() <= ELEMENTS
        and input.shape[1] <= MAX_BATCH_CLASSES
        and input.layout is torch.strided
        and input.is_contiguous()
        and target.is_contiguous()
    )


def score_batch(input: Tensor, target: Tensor, options: Options, wants: bool) -> ScoredCall | None:
    """Score a small batch; None says that its rows take a refusal, or another arithmetic."""
    logits = input.detach() if input.requires_grad else input
    grad = torch.empty_like(logits) if wants else None
    mean = options.reduction == "mean"
    total, loss = class_batch(
        logits.numpy(),
        target.numpy(),
        options.ignore_index,
        mean,
        np.empty(SINGLES, np.float32),
        np.empty(DOUBLES),
        np.empty(MAX_BATCH_ROWS, np.int64),
        np.empty(input.shape[0]),
        _NO_GRADIENT if grad is None else grad.numpy(),
    )
    if total <= 0:
        return None
    return as_scalar(loss, torch.float32), grad, 1.0 / total if mean else 1.0
