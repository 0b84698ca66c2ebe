"""How the compiled rows meet PyTorch: eager autograd, and the operator that torch.compile sees.

Forward computes the gradient as it goes, so backward is a gift that is given once: a second
backward through the same graph, an unreduced loss and statistics compute it anew from the saved
logits, and ``create_graph`` goes through the formula in torch operations, which has derivatives of
every order.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent._kernels.rows.sums import compensated_sum
from xent.losses._batch import is_small_batch, score_batch
from xent.losses._options import Options, batched, can_look, nothing_to_average, reduced, watched
from xent.losses._softmax import (
    BadRowError,
    SoftmaxRows,
    Stats,
    accuracy_of,
    check_distributions,
    empty_like,
)


def as_rows(tensor: Tensor, axis: int) -> Tensor:
    """Classes last, all else flattened."""
    moved = tensor if axis == tensor.dim() - 1 else tensor.movedim(axis, -1)
    return moved.reshape(-1, tensor.shape[axis])


def _own_rows(input: Tensor, axis: int) -> Tensor:
    """Rows of the input that a kernel can read: no copy where the classes are contiguous."""
    input = input.detach()
    if input.dim() == 2 and axis == 1 and input.is_contiguous():
        return input
    return as_rows(input, axis).contiguous()


def _as_input(rows: Tensor, shape: torch.Size, axis: int) -> Tensor:
    if axis == len(shape) - 1:
        return rows if rows.shape == shape else rows.reshape(shape)
    return rows.reshape((*shape[:axis], *shape[axis + 1 :], shape[axis])).movedim(-1, axis)


def softmax_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    axis: int,
    options: Options,
    stats: bool,
) -> Any:
    """Score logits on the path that fits: compiled rows, torch.compile's operator, the formula."""
    others = [t for t in (weight, token_weight) if t is not None]
    learnt = target.requires_grad or any(t.requires_grad for t in others)
    wants = input.requires_grad and torch.is_grad_enabled()
    if torch.compiler.is_compiling() and not (learnt or stats) and input.device.type == "cpu":
        loss: Tensor = _operator(
            _not_half(input), target, weight, token_weight, axis, *options, wants
        )[0]
        return loss
    shape = input.shape[:axis] + input.shape[axis + 1 :]
    rows = _rows_of(target, weight, token_weight, axis, options)
    fast = (
        can_look(input, target, *others)
        and torch.autograd.forward_ad._current_level < 0
        and not (learnt and torch.is_grad_enabled())
    )
    try:
        if not fast:
            found = _plain(input, rows, axis, shape, stats)
        else:
            logits = _not_half(input)
            scored = _score(logits, rows, axis, shape, stats, wants)
            found = scored[0]
            if wants:
                found = _compiled(logits, scored, rows, axis, shape, stats)
    except BadRowError as bad:
        raise bad.sentence(rows.target, shape, input.shape[axis]) from None
    return _with_stats(found, rows, shape) if stats else found


def batch_loss(input: Tensor, target: Tensor, options: Options) -> Tensor | None:
    """Score a small batch that asks for nothing special; None where the wide way has to answer.

    The same compiled rows, without what `softmax_loss` does for options, shapes and kinds.
    """
    if not can_look(input, target) or torch.autograd.forward_ad._current_level >= 0:
        return None
    if not is_small_batch(input, target):
        return None
    wants = input.requires_grad and torch.is_grad_enabled()
    scored = score_batch(input, target, options, wants)
    if scored is None:
        return None
    loss = scored[0]
    if wants:
        rows = SoftmaxRows(target, None, None, options)
        loss = _compiled(input, scored, rows, 1, target.shape, False)
    return loss


def _not_half(input: Tensor) -> Tensor:
    return input.float() if input.dtype == torch.float16 else input


def _plain(input: Tensor, rows: SoftmaxRows, axis: int, shape: torch.Size, stats: bool) -> Any:
    if can_look(rows.target):
        if rows.hard:
            rows.counted(input.shape[axis])
        else:
            check_distributions(rows.target)
    logits = as_rows(input, axis)
    found = rows.plain(logits, stats=stats)
    values = found[0] if stats else found
    reduction = rows.options.reduction
    total = rows.total() if reduction == "mean" else None
    loss = reduced(values, reduction, total, rows.options.empty)
    loss = loss.reshape(shape) if reduction == "none" else loss
    return (loss, *found[1:]) if stats else loss


def _with_stats(found: Any, rows: SoftmaxRows, shape: torch.Size) -> Any:
    loss, lse, log_prob, entropy, argmax = found
    shaped: Any = (t.reshape(shape) for t in (lse, log_prob, entropy, argmax))
    return loss, Stats._make((*shaped, accuracy_of(argmax, rows).to(lse.dtype)))


def _score(
    input: Tensor, rows: SoftmaxRows, axis: int, shape: torch.Size, stats: bool, wants: bool
) -> tuple[Any, Tensor | None, float]:
    """Loss (with statistics), the gradient where wanted, and by what the rows were multiplied."""
    o = rows.options
    dtype = torch.float64 if input.dtype == torch.float64 else torch.float32
    total = rows.counted(input.shape[axis])
    fill = 0.0
    g = 1.0
    if o.reduction == "mean":
        fill = nothing_to_average(o.empty) if total == 0 else 0.0
        g = 1.0 / total if total else 1.0
    gift = wants and o.reduction != "none" and not stats
    grad = None
    if not stats and rows.fits_planes(input, axis):
        input = input.detach()
        grad = empty_like(input) if gift else None
        values = rows.fused_planes(input, grad, g=g, keep=o.reduction == "none")
    elif not stats:
        logits = _own_rows(input, axis)
        slopes = empty_like(logits) if gift else None
        values = rows.fused(logits, slopes, g=g)
        grad = None if slopes is None else _as_input(slopes, input.shape, axis)
    else:
        logits = _own_rows(input, axis)
        table = np.empty((logits.shape[0], 4))
        values = rows.fused(logits, g=g, stats=table)
    if o.reduction == "none":
        # Not a view: users may multiply it by a mask in place.
        loss = torch.empty(shape, dtype=dtype)
        loss.view(-1).copy_(torch.from_numpy(values))
    else:
        loss = torch.scalar_tensor(compensated_sum(values) * g + fill, dtype=dtype)
    found: Any = loss
    if stats:
        columns = torch.from_numpy(table)
        found = (loss, *(columns[:, c].to(dtype) for c in range(3)), columns[:, 3].long())
    return found, grad, g


class _Fused(torch.autograd.Function):
    """The compiled rows in eager mode, scored already."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        scored: tuple[Any, Tensor | None, float],
        rows: SoftmaxRows,
        axis: int,
        shape: torch.Size,
        stats: bool,
    ) -> Any:
        found, ctx.gift, g = scored
        # All that backward reads, so that torch notices what was overwritten in between.
        ctx.save_for_backward(input, *watched(rows.target, rows.weight, rows.scale))
        ctx.call = rows, axis, shape, stats, g
        if stats:
            ctx.mark_non_differentiable(found[4])
            ctx.set_materialize_grads(False)
        return found

    @staticmethod
    def backward(ctx: Any, *pulled: Any) -> Any:
        rows, axis, shape, stats, g = ctx.call
        if pulled[0] is None and all(p is None for p in pulled):
            return (None,) * 6
        if torch.is_grad_enabled() or batched(pulled):
            input = ctx.saved_tensors[0]
            with torch.enable_grad():
                found = _plain(input, rows, axis, shape, stats)
                pairs = zip(found[:4] if stats else [found], pulled, strict=False)
                outs, ups = zip(*((o, p) for o, p in pairs if p is not None), strict=True)
                return *torch.autograd.grad(outs, input, ups, create_graph=True), *[None] * 5
        grad, ctx.gift = ctx.gift, None
        if grad is not None:
            factor = pulled[0].item()
            if factor != 1.0:
                grad.mul_(factor)
            return grad, None, None, None, None, None
        input = ctx.saved_tensors[0]
        return _gradient(input, rows, axis, pulled, g), None, None, None, None, None


_compiled: Any = _Fused.apply


def _gradient(input: Tensor, rows: SoftmaxRows, axis: int, pulled: Any, g: float) -> Tensor:
    """Compute the gradient anew, for the gradients that reach the loss and the statistics."""
    up = pulled[0]
    scale = np.empty(0)
    if up is None:
        g = 0.0
    elif rows.options.reduction == "none":
        scale = up.detach().reshape(-1).double().numpy()
    else:
        g = g * float(up)
    pull = np.empty((0, 3))
    if any(p is not None for p in pulled[1:4]):
        pull = np.zeros((rows.target.shape[0], 3))
        for c, p in enumerate(pulled[1:4]):
            if p is not None:
                pull[:, c] = p.detach().reshape(-1).double().numpy()
        if rows.hard:
            pull[(rows.target == rows.options.ignore_index).numpy(), 1] = 0.0
    if not len(pull) and rows.fits_planes(input, axis):
        grad = empty_like(input.detach())
        rows.fused_planes(input, grad, g=g, scale=scale)
        return grad
    logits = _own_rows(input, axis)
    grad = empty_like(logits)
    rows.fused(logits, grad, g=g, scale=scale, pull=pull)
    return _as_input(grad, input.shape, axis)


def _rows_of(
    target: Tensor, weight: Tensor | None, scale: Tensor | None, axis: int, options: Options
) -> SoftmaxRows:
    flat = target
    if target.is_floating_point():
        flat = as_rows(target, axis)
    elif target.dim() != 1:
        flat = target.reshape(-1)
    return SoftmaxRows(flat, weight, None if scale is None else scale.reshape(-1), options)


@torch.library.custom_op("xent::softmax_loss", mutates_args=())
def _operator(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    axis: int,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    temperature: float,
    softcap: float,
    z_loss: float,
    empty: str,
    wants: bool,
) -> tuple[Tensor, Tensor]:
    o = Options(reduction, ignore_index, label_smoothing, temperature, softcap, z_loss, empty)
    rows = _rows_of(target, weight, token_weight, axis, o)
    shape = input.shape[:axis] + input.shape[axis + 1 :]
    try:
        loss, grad, _ = _score(input, rows, axis, shape, False, wants)
    except BadRowError as bad:
        raise bad.sentence(rows.target, shape, input.shape[axis]) from None
    if grad is None:
        return loss, input.new_empty(0)
    return loss, grad.contiguous()


@_operator.register_fake
def _(
    input: Tensor,
    target: Tensor,
    weight: Any,
    token_weight: Any,
    axis: int,
    reduction: str,
    *rest: Any,
) -> tuple[Tensor, Tensor]:
    shape = input.shape[:axis] + input.shape[axis + 1 :]
    dtype = torch.float64 if input.dtype == torch.float64 else torch.float32
    loss = input.new_empty(shape if reduction == "none" else (), dtype=dtype)
    gift = rest[-1] and reduction != "none"
    return loss, input.new_empty(input.shape) if gift else input.new_empty(0)


@torch.library.custom_op("xent::softmax_loss_backward", mutates_args=())
def _operator_backward(
    up: Tensor,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    axis: int,
    ignore_index: int,
    label_smoothing: float,
    temperature: float,
    softcap: float,
    z_loss: float,
) -> Tensor:
    o = Options("none", ignore_index, label_smoothing, temperature, softcap, z_loss)
    rows = _rows_of(target, weight, token_weight, axis, o)
    return _gradient(input, rows, axis, (up,), 1.0).contiguous()


@_operator_backward.register_fake
def _(up: Tensor, input: Tensor, *rest: Any) -> Tensor:
    return input.new_empty(input.shape)


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    input, target, weight, token_weight, axis, reduction, *rest = inputs
    ctx.reduction, ctx.rest = reduction, (axis, *rest[:5])
    if reduction == "none":
        ctx.save_for_backward(input, target, weight, token_weight)
    else:
        ctx.save_for_backward(output[1])


def _operator_gradient(ctx: Any, up: Tensor, _: Any) -> Any:
    if ctx.reduction == "none":
        grad = _operator_backward(up, *ctx.saved_tensors, *ctx.rest)
    else:
        (gift,) = ctx.saved_tensors
        grad = gift * up.to(gift.dtype)
    return grad, *[None] * 12


_operator.register_autograd(_operator_gradient, setup_context=_setup)
