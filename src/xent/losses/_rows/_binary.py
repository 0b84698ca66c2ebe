"""Binary cross-entropy scored by the compiled loops, and its autograd."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent import _check
from xent._kernels.rows import binary as kernels
from xent._kernels.rows.sums import compensated_sum
from xent.losses._arguments import (
    can_validate,
    check_number,
    check_values,
    validate_weights,
)
from xent.losses._buffer import gradient_like
from xent.losses._reduction import as_scalar, loss_dtype
from xent.losses._rows._autograd import pack, scale_once, unpack
from xent.losses._rows._calls import as_numpy, use_nontemporal
from xent.losses._rows._formula import at_least_float32, binary_values
from xent.losses._rows._targets import sum_tolerance
from xent.losses._rows._weights import BinaryWeights
from xent.losses._threads import KernelCall, in_blocks
from xent.losses._torch_private import is_batched

_ELEMENTS = 1 << 14  # what one thread is worth waking for


class _BinaryRows(torch.autograd.Function):
    """The compiled loops in eager mode; the gradient is saved for one backward, see `_autograd`."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        target: Tensor,
        weight: Tensor | None,
        pos_weight: Tensor | None,
        reduction: str,
        g: float,
    ) -> Tensor:
        tensors = input, target, weight, pos_weight
        ctx.save_for_backward(*tensors)
        ctx.reduction, ctx.g = reduction, g
        wants = ctx.needs_input_grad[0] and reduction != "none"
        grad = gradient_like(input) if wants else None
        # Not a view: users may multiply it by a mask in place.
        dtype = loss_dtype(input)
        values = input.new_empty(input.shape if reduction == "none" else 0, dtype=dtype)
        total = _score(tensors, g, None, grad, values.view(-1).numpy())
        ctx.saved_gradient = pack(grad)
        if reduction == "none":
            return values
        return as_scalar(total * g, dtype)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        kept, ctx.saved_gradient = ctx.saved_gradient, None
        if torch.is_grad_enabled() or is_batched((upstream,)):
            input, target, weight, pos_weight = ctx.saved_tensors
            with torch.enable_grad():
                values = binary_values(at_least_float32(input), target, weight, pos_weight)
                out = values if ctx.reduction == "none" else values.sum() * ctx.g
                grad = torch.autograd.grad(out, input, upstream, create_graph=True)[0]
        elif kept is not None:
            grad = scale_once(unpack(kept), upstream)
        else:
            tensors, each, g = ctx.saved_tensors, None, ctx.g
            if ctx.reduction == "none" and (any(upstream.stride()) or not upstream.numel()):
                each = upstream
            else:  # one number for all, as a sum sends it
                g *= float(upstream[(0,) * upstream.dim()])
            grad = gradient_like(tensors[0])
            nothing = np.empty(0, np.float64 if grad.dtype == torch.float64 else np.float32)
            _score(tensors, g, each, grad, nothing)
        return grad, None, None, None, None, None


binary_loss: Any = _BinaryRows.apply


def _score(
    tensors: tuple[Tensor, Tensor, Tensor | None, Tensor | None],
    g: float,
    upstream: Tensor | None,
    grad: Tensor | None,
    values: Any,
) -> float:
    """Score input, target, weight and pos_weight; return the sum of all values.

    Fill ``values`` and ``grad`` where they are not empty.
    """
    input, target, weight, pos_weight = tensors
    if not input.numel():
        validate_weights(weight=weight, pos_weight=pos_weight)
        return 0.0
    # Strided arrays would be compiled for once more.
    x, t = (as_numpy(a.detach().reshape(-1).contiguous()) for a in (input, target))
    out = as_numpy(grad.view(-1)) if grad is not None else x[:0]
    nontemporal = use_nontemporal(out, x)
    spans = -(-x.size // kernels.BINARY_BLOCK)
    totals = np.empty(spans if upstream is None else 0)
    plain = weight is None and pos_weight is None and upstream is None and not values.size
    weights = None
    if not (plain and kernels.can_sum_in_float32(x, t, g)):
        weights = BinaryWeights(x, t, input.shape, weight, pos_weight, upstream)

    def work(start: int, stop: int) -> int:
        rest = (totals, out, nontemporal, start, stop)
        if weights is not None:
            return weights.score(x, t, g, weights.scratch(x.dtype), values, *rest)
        return int(kernels.sum_of_losses(x, t, g, kernels.buffers_for(x.dtype), *rest))

    found = in_blocks(KernelCall(work, spans, _ELEMENTS // kernels.BINARY_BLOCK))
    if min(found, default=-1) < -1:
        validate_weights(weight=weight, pos_weight=pos_weight)
    if max(found, default=-1) >= 0:
        proper = target if weight is None else silence_answers(target, weight)
        validate_binary_target(proper)
        if not np.isfinite(values if values.size else totals).all():
            proper = proper.clamp(0.0, 1.0)  # what rounding left over, times an infinite cost
        if proper is not target and not torch.equal(proper, target):
            return _score((input, proper, weight, pos_weight), g, upstream, grad, values)
    return float(compensated_sum(totals)) if upstream is None else 0.0


def check_ignored(ignore_index: Any) -> float | None:
    """Return the target whose elements are ignored as a number; NaN equals no target."""
    if ignore_index is None:
        return None
    found = check_number("ignore_index", ignore_index)
    if math.isnan(found):
        advice = "Mark those targets with another number, as target.nan_to_num(-1.0) does."
        raise _check.invalid("ignore_index", "be a number that a target can equal", found, advice)
    return found


def silence_answers(target: Tensor, weight: Tensor) -> Tensor:
    """Return targets, with 0 for each that is no probability and weighs 0: it may be anything."""
    return target.where((weight != 0) | ((target >= 0) & (target <= 1)), 0.0)


def widened(target: Tensor) -> Tensor:
    """Return targets of half precision in float32, without what its rounding left beside 0 and 1.

    Numba knows no float16.
    """
    wide, slack = target.float(), sum_tolerance(target.dtype, 1)
    near = (wide >= -slack) & (wide <= 1 + slack)
    return wide.clamp(0.0, 1.0).where(near, wide)


def validate_binary_target(target: Tensor) -> None:
    """Refuse targets that are no probabilities, but for what rounding explains."""
    if not can_validate(target):
        return
    slack = sum_tolerance(target.dtype, 1)
    good = (target >= -slack) & (target <= 1 + slack)
    advice = ""
    if not bool(good.all()):
        half = sum_tolerance(torch.bfloat16, 1)
        if bool((good | ((target >= -half) & (target <= 1 + half))).all()):
            advice = (
                "What half precision or a resize has rounded becomes one by target.clamp(0, 1)."
            )
    check_values("target", target, good, "be between 0 and 1", advice=advice)
