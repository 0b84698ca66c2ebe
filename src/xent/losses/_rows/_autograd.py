"""How the compiled rows meet PyTorch's eager autograd.

Forward computes the gradient as it goes. It is saved for one backward alone: a second backward
through the same graph, an unreduced loss and statistics compute it anew from the saved logits, and
``create_graph`` goes through the formula in torch operations, which has derivatives of every order.
"""

from collections.abc import Callable
from operator import is_
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xent.losses._arguments import Options, can_validate, row_shape
from xent.losses._reduction import reduce_loss
from xent.losses._rows._operator import softmax_operator
from xent.losses._rows._scoring import ScoredCall, Scoring, as_rows, gradient, rows_of
from xent.losses._rows._small_batch import is_small_batch, score_batch
from xent.losses._rows._softmax import SoftmaxRows
from xent.losses._rows._stats import accuracy_of, with_row_shape
from xent.losses._rows._targets import BadRowError, check_distributions
from xent.losses._threads import in_blocks
from xent.losses._torch_private import in_forward_mode, is_batched, saved_tensor_hooks


def small_batch_loss(input: Tensor, target: Tensor, options: Options) -> Tensor | None:
    """Score a small batch under default options; None where `softmax_loss` has to answer.

    The same compiled rows, without what `softmax_loss` does for options, shapes and kinds.
    """
    if not can_validate(input, target) or in_forward_mode() or not is_small_batch(input, target):
        return None
    wants = input.requires_grad and torch.is_grad_enabled()
    scored = score_batch(input, target, options, wants)
    if scored is None or not wants:
        return scored if scored is None else scored[0]
    rows = SoftmaxRows(target, None, None, options)
    loss: Tensor = _scored_rows(input, scored, rows, 1, target.shape, False)
    return loss


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
    weights = [t for t in (weight, token_weight) if t is not None]
    enabled = torch.is_grad_enabled()
    learnt = target.requires_grad or any(t.requires_grad for t in weights)
    wants = input.requires_grad and enabled
    compiled = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    if compiled and not (learnt or stats) and input.device.type == "cpu":
        # Numba knows no float16.
        logits = input.float() if input.dtype == torch.float16 else input
        loss: Tensor = softmax_operator(
            logits, target, weight, token_weight, axis, *options, wants
        )[0]
        return loss
    shape = row_shape(input, axis)
    rows = rows_of(target, weight, token_weight, axis, options)
    if stats:
        rows.silence(input.shape[axis])
    try:
        if in_forward_mode() or (learnt and enabled) or not can_validate(input, target, *weights):
            result = loss_in_torch(input, rows, axis, shape, stats)
        else:
            logits = input.float() if input.dtype == torch.float16 else input
            classes = logits.shape[axis]
            total = rows.total_of(in_blocks(rows.target_check(classes)), classes)
            scoring = Scoring(logits, rows, axis, total, stats, wants)
            scored = scoring.finish(in_blocks(scoring.run.blocks))
            result = scored[0]
            if wants:
                result = _scored_rows(logits, scored, rows, axis, shape, stats)
    except BadRowError as bad:
        raise bad.sentence(rows.target, shape, input.shape[axis]) from None
    if not stats:
        return result
    loss, *columns = result
    accuracy = accuracy_of(columns[3], rows.target, options.ignore_index)
    return loss, with_row_shape(columns, shape, accuracy)


def loss_in_torch(
    input: Tensor, rows: SoftmaxRows, axis: int, shape: torch.Size, stats: bool
) -> Any:
    """Do in torch operations what the compiled rows do."""
    o = rows.options
    if can_validate(rows.target):
        if rows.hard:
            rows.validated_total(input.shape[axis])
        else:
            check_distributions(rows.target, rows.row_weight)
    found = rows.plain(as_rows(input, axis), stats=stats)
    total = rows.total_in_torch() if o.reduction == "mean" else None
    loss = reduce_loss(found[0] if stats else found, o.reduction, total, o.empty)
    loss = loss.reshape(shape) if o.reduction == "none" else loss
    return (loss, *found[1:]) if stats else loss


def without_inference(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """Return what autograd may save: nothing that `torch.inference_mode` made."""
    return tuple(None if t is None or t.is_inference() else t for t in tensors)


class Packed(NamedTuple):
    """A tensor as a saved-tensor hook has packed it, and the hook that unpacks it."""

    content: Any
    unpack: Callable[[Any], Tensor]


def pack(tensor: Tensor | None) -> Tensor | Packed | None:
    """Keep a gradient on a node, through the hooks that autograd's own saved tensors go through.

    So checkpointing drops it and offloading moves it; saved by autograd itself it could not be
    scaled in place, nor let go before the others.
    """
    hooks = saved_tensor_hooks()
    if hooks is None or tensor is None:
        return tensor
    return Packed(hooks[0](tensor), hooks[1])


def unpack(kept: Tensor | Packed | None) -> Tensor | None:
    """Return what `pack` has kept."""
    return kept.unpack(kept.content) if isinstance(kept, Packed) else kept


class _ScoredRows(torch.autograd.Function):
    """The compiled rows in eager mode, scored already."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        scored: ScoredCall,
        rows: SoftmaxRows,
        axis: int,
        shape: torch.Size,
        stats: bool,
    ) -> Any:
        result, grad, g = scored
        ctx.saved_gradient = pack(grad)
        # All that backward reads, so that torch notices what was overwritten in between.
        tensors = rows.target, rows.weight, rows.row_weight
        saved = without_inference(*tensors)
        ctx.save_for_backward(input, *saved)
        ctx.unsaved = None if all(map(is_, saved, tensors)) else tensors
        ctx.call = rows.options, axis, shape, stats, g
        if stats:
            ctx.mark_non_differentiable(result[4])
            ctx.set_materialize_grads(False)
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        options, axis, shape, stats, g = ctx.call
        kept = ctx.saved_gradient
        if kept is not None and not (torch.is_grad_enabled() or is_batched(grads)):
            ctx.saved_gradient = None
            return scale_once(unpack(kept), grads[0]), None, None, None, None, None
        if all(grad is None for grad in grads):
            return (None,) * 6
        input, *saved = ctx.saved_tensors
        target, weight, row_weight = ctx.unsaved or saved
        rows = SoftmaxRows(target, weight, row_weight, options)
        if torch.is_grad_enabled() or is_batched(grads):
            with torch.enable_grad():
                found = loss_in_torch(input, rows, axis, shape, stats)
                pairs = zip(found[:4] if stats else [found], grads, strict=False)
                outs, ups = zip(*((o, up) for o, up in pairs if up is not None), strict=True)
                (result,) = torch.autograd.grad(outs, input, ups, create_graph=True)
        else:
            result = gradient(input, rows, axis, grads, g)
        return result, *[None] * 5


def scale_once(grad: Any, upstream: Tensor) -> Any:
    """Multiply a saved gradient in place by the upstream one, a number."""
    if not upstream.is_cpu:
        return grad.mul_(upstream)
    factor = upstream.item()
    return grad.mul_(factor) if factor != 1.0 else grad


_scored_rows: Any = _ScoredRows.apply
