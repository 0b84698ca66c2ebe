"""One pass of the compiled rows over a tensor of logits: forward with its gradient, or backward.

The loops read the logits as they lie: rows whose classes are contiguous, or images whose classes
are far apart; all else is copied to rows.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent._kernels.rows.sums import compensated_sum
from xent.losses._arguments import Options, row_shape
from xent.losses._buffer import gradient_like
from xent.losses._reduction import as_scalar, empty_mean, loss_dtype
from xent.losses._rows._calls import NO_STAT_GRADS, NO_STATS, NOTHING, to_float64
from xent.losses._rows._softmax import SoftmaxRows
from xent.losses._threads import in_blocks

# What a forward pass has computed: the loss (with statistics), the gradient of the logits where it
# is wanted and one number is returned, and what multiplies each row.
ScoredCall = tuple[Any, Tensor | None, float]


class Scoring:
    """A forward pass: what is to be run, and what becomes of it, `finish`."""

    def __init__(
        self, input: Tensor, rows: SoftmaxRows, axis: int, total: float, stats: bool, wants: bool
    ) -> None:
        o = rows.options
        self.rows, self.dtype, self.shape = rows, loss_dtype(input), row_shape(input, axis)
        self.fill, self.g = 0.0, 1.0
        if o.reduction == "mean":
            self.fill = empty_mean(o.empty) if total == 0 else 0.0
            self.g = 1.0 / total if total else 1.0
        self.grad: Tensor | None = None
        self.stats = NO_STATS
        wants = wants and o.reduction != "none" and not stats
        if not stats and rows.is_class_major(input, axis):
            logits = input.detach()
            self.grad = gradient_like(logits) if wants else None
            keep = o.reduction == "none"
            self.run = rows.run_class_major(logits, self.grad, g=self.g, keep=keep)
        else:
            logits = _contiguous_rows(input, axis)
            grad = gradient_like(logits) if wants else None
            self.grad = None if grad is None else _in_place_of(grad, input.shape, axis)
            self.stats = np.empty((len(logits), 4)) if stats else NO_STATS
            self.run = rows.run(logits, grad, g=self.g, stats=self.stats)

    def finish(self, found: list[Any]) -> ScoredCall:
        """Return the loss (with statistics) of what the blocks returned, and its gradient."""
        values = self.rows.values_of(self.run, found)
        loss: Any
        if self.rows.options.reduction == "none":
            # Not a view: users may multiply it by a mask in place.
            loss = torch.empty(self.shape, dtype=self.dtype, device="cpu")
            loss.view(-1).copy_(torch.from_numpy(values))
        else:
            loss = as_scalar(compensated_sum(values) * self.g + self.fill, self.dtype)
        if self.stats is not NO_STATS:
            columns = torch.from_numpy(self.stats)
            loss = (loss, *(columns[:, c].to(self.dtype) for c in range(3)), columns[:, 3].long())
        return loss, self.grad, self.g


def gradient(input: Tensor, rows: SoftmaxRows, axis: int, grads: Any, g: float) -> Tensor:
    """Compute the gradient anew, for the upstream gradients of the loss and the statistics."""
    upstream, scale, stat_grads = grads[0], NOTHING, NO_STAT_GRADS
    if upstream is None:
        g = 0.0
    elif rows.options.reduction == "none":
        scale = to_float64(upstream.reshape(-1))
    else:
        g = g * float(upstream)
    if any(grad is not None for grad in grads[1:4]):
        stat_grads = np.zeros((rows.target.shape[0], 3))
        for c, grad in enumerate(grads[1:4]):
            if grad is not None:
                stat_grads[:, c] = grad.detach().reshape(-1).double().numpy()
        if rows.hard:
            stat_grads[(rows.target == rows.options.ignore_index).numpy(), 1] = 0.0
    if not len(stat_grads) and rows.is_class_major(input, axis):
        result = gradient_like(input)
        in_blocks(rows.run_class_major(input, result, g=g, scale=scale).blocks)
        return result
    logits = _contiguous_rows(input, axis)
    result = gradient_like(logits)
    rows.fused(logits, result, g=g, scale=scale, stat_grads=stat_grads)
    return _in_place_of(result, input.shape, axis)


def rows_of(
    target: Tensor, weight: Tensor | None, row_weight: Tensor | None, axis: int, options: Options
) -> SoftmaxRows:
    """Flatten target and weights to rows."""
    if target.is_floating_point():
        target = as_rows(target, axis)
    elif target.dim() != 1:
        target = target.reshape(-1)
    row_weight = None if row_weight is None else row_weight.reshape(-1)
    return SoftmaxRows(target, weight, row_weight, options)


def as_rows(tensor: Tensor, axis: int) -> Tensor:
    """Classes last, all else flattened."""
    moved = tensor if axis == tensor.dim() - 1 else tensor.movedim(axis, -1)
    return moved.reshape(-1, tensor.shape[axis])


def _contiguous_rows(input: Tensor, axis: int) -> Tensor:
    """Rows of the input that a kernel can read: no copy where the classes are contiguous."""
    input = input.detach()
    if input.dim() == 2 and axis == 1 and input.is_contiguous():
        return input
    return as_rows(input, axis).contiguous()


def _in_place_of(rows: Tensor, shape: torch.Size, axis: int) -> Tensor:
    """Give rows the shape of the input that they come from."""
    if axis == len(shape) - 1:
        return rows if rows.shape == shape else rows.reshape(shape)
    return rows.reshape((*shape[:axis], *shape[axis + 1 :], shape[axis])).movedim(-1, axis)
