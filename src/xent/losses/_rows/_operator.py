"""The compiled rows as an operator of torch's, which torch.compile takes into its graph whole."""

from typing import Any

import torch
from torch import Tensor

from xent.losses._arguments import Options, row_shape
from xent.losses._reduction import loss_dtype
from xent.losses._rows._scoring import Scoring, gradient, rows_of
from xent.losses._rows._targets import BadRowError
from xent.losses._threads import in_blocks


@torch.library.custom_op("xent::softmax_loss", mutates_args=())
def softmax_operator(
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
    """Return the loss, and the gradient or nothing."""
    o = Options(reduction, ignore_index, label_smoothing, temperature, softcap, z_loss, empty)
    rows = rows_of(target, weight, token_weight, axis, o)
    classes = input.shape[axis]
    try:
        total = rows.validated_total(classes)
        scoring = Scoring(input, rows, axis, total, False, wants)
        loss, grad, _ = scoring.finish(in_blocks(scoring.run.blocks))
    except BadRowError as bad:
        raise bad.sentence(rows.target, row_shape(input, axis), classes) from None
    return loss, input.new_empty(0) if grad is None else grad.contiguous()


@softmax_operator.register_fake
def _(
    input: Tensor,
    target: Tensor,
    weight: Any,
    token_weight: Any,
    axis: int,
    reduction: str,
    *rest: Any,
) -> tuple[Tensor, Tensor]:
    shape = row_shape(input, axis) if reduction == "none" else ()
    loss = input.new_empty(shape, dtype=loss_dtype(input))
    has_gradient = rest[-1] and reduction != "none"
    return loss, input.new_empty(input.shape if has_gradient else 0)


@torch.library.custom_op("xent::softmax_loss_backward", mutates_args=())
def _backward_operator(
    upstream: Tensor,
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
    rows = rows_of(target, weight, token_weight, axis, o)
    rows.silence(input.shape[axis])
    return gradient(input, rows, axis, (upstream,), 1.0).contiguous()


@_backward_operator.register_fake
def _(upstream: Tensor, input: Tensor, *rest: Any) -> Tensor:
    return input.new_empty(input.shape)


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    input, target, weight, token_weight, axis, reduction, *rest = inputs
    ctx.reduction, ctx.rest = reduction, (axis, *rest[:5])
    if reduction == "none":
        ctx.save_for_backward(input, target, weight, token_weight)
    else:
        ctx.save_for_backward(output[1])


def _backward(ctx: Any, upstream: Tensor, _: Any) -> Any:
    if ctx.reduction == "none":
        grad = _backward_operator(upstream, *ctx.saved_tensors, *ctx.rest)
    else:
        (saved_gradient,) = ctx.saved_tensors
        grad = saved_gradient * upstream
    return grad, *[None] * 12


softmax_operator.register_autograd(_backward, setup_context=_save)
