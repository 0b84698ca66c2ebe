"""Cross-entropy of class logits in Triton's kernels, under autograd.

Of each row five numbers are kept, or eight with statistics; backward reads the logits once more.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from xent.losses._arguments import Options, row_shape
from xent.losses._rows._autograd import loss_in_torch, without_inference
from xent.losses._rows._scoring import as_rows, rows_of
from xent.losses._rows._softmax import SoftmaxRows
from xent.losses._rows._stats import accuracy_of, with_row_shape
from xent.losses._torch_private import is_batched
from xent.losses._triton import _use
from xent.losses._triton._calls import Kept, RowCall

_TAKEN = (torch.float32, torch.bfloat16, torch.float16)
_MOST_CLASSES = 1 << 30  # that are counted in 32 bits
_EXTREME = 1e20  # a temperature or cap beyond it, or its inverse, is none of float32's


class _Call(NamedTuple):
    rows: SoftmaxRows
    axis: int
    shape: torch.Size
    stats: bool
    inplace: bool


def class_loss_in_triton(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    axis: int,
    o: Options,
    stats: bool,
    inplace: bool,
) -> Any:
    """Return the cross-entropy (and statistics) of logits; None where Triton does not take it."""
    if not _use.is_at_hand(input) or (stats and weight is not None and target.is_floating_point()):
        return None
    rows = rows_of(target, weight, token_weight, axis, o)
    logits = rows_view(input.detach(), axis)
    if logits is None or (inplace and logits.stride(0) == 0) or not takes_rows(logits, rows):
        return None
    if stats:
        rows.silence(logits.shape[1])
    call = _Call(rows, axis, row_shape(input, axis), stats, inplace)
    result = _triton_rows(input, call)
    if not stats:
        return result
    loss, *columns = result
    accuracy = accuracy_of(columns[3], rows.target, o.ignore_index)
    return loss, with_row_shape(columns, call.shape, accuracy)


def rows_view(tensor: Tensor, axis: int) -> Tensor | None:
    """Return rows of classes that lie beside one another, without a copy, or None."""
    moved = tensor if axis == tensor.dim() - 1 else tensor.movedim(axis, -1)
    classes = moved.shape[-1]
    if not tensor.numel() or (classes > 1 and moved.stride(-1) != 1):
        return None
    try:
        return moved.view(-1, classes)
    except RuntimeError:
        return None


def takes_rows(logits: Tensor, rows: SoftmaxRows) -> bool:
    """Say whether the kernels take such rows."""
    o = rows.options
    if logits.dtype not in _TAKEN or not 0 < logits.shape[1] < _MOST_CLASSES or not len(logits):
        return False
    target = rows.target
    if not rows.hard and (target.dtype not in _TAKEN or target.stride(-1) != 1):
        return False
    if any(t is not None and t.dtype == torch.float64 for t in (rows.weight, rows.row_weight)):
        return False
    return not is_extreme(o)


def is_extreme(o: Options) -> bool:
    """Say whether a temperature or a cap has no room in float32."""
    return not all(1 / _EXTREME < n < _EXTREME for n in (o.temperature, o.softcap or 1.0))


def row_call(logits: Tensor, rows: SoftmaxRows, some: slice, stats: bool) -> RowCall:
    """Return what the kernels are called with for some of the rows."""
    target, weight, row_weight = rows.target[some], rows.weight, rows.row_weight
    target = target.contiguous() if rows.hard else target
    weight = None if weight is None else weight.float().contiguous()
    row_weight = None if row_weight is None else row_weight[some].float().contiguous()
    return RowCall(logits, target, weight, row_weight, rows.options, stats)


class _TritonRows(torch.autograd.Function):
    """The loss of rows of logits; see the head of this file."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, call: _Call) -> Any:
        from xent.losses._triton import _launch

        rows, o = call.rows, call.rows.options
        logits = as_rows(input.detach(), call.axis)
        kept = _launch.score(row_call(logits, rows, slice(None), call.stats))
        values, divisor = kept.columns[0], None
        if o.reduction == "none":
            loss = values.reshape(call.shape).clone()
        else:
            loss = values.sum(dtype=torch.float64)
            if o.reduction == "mean":
                total = kept.columns[1].sum(dtype=torch.float64)
                nothing = total == 0
                divisor = total.masked_fill(nothing, 1.0)
                loss = loss / divisor
                loss = loss.masked_fill(nothing, torch.nan) if o.empty == "nan" else loss
            loss = loss.float()
        ctx.call = call
        # All that backward reads, so that torch notices what was overwritten in between.
        saved = without_inference(rows.target, rows.weight, rows.row_weight)
        ctx.save_for_backward(input, kept.columns, divisor, *saved)
        if not call.stats:
            return loss
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(kept.argmax)
        return loss, *(column.clone() for column in kept.columns[5:]), kept.argmax

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        from xent.losses._triton import _launch

        if all(up is None for up in upstream):
            return None, None
        input, columns, divisor = ctx.saved_tensors[:3]
        call: _Call = ctx.call
        if torch.is_grad_enabled() or is_batched(upstream):
            with torch.enable_grad():
                found = loss_in_torch(input, call.rows, call.axis, call.shape, call.stats)
                pairs = zip(found[:4] if call.stats else [found], upstream, strict=False)
                outs, ups = zip(*((out, up) for out, up in pairs if up is not None), strict=True)
                return torch.autograd.grad(outs, input, ups, create_graph=True)[0], None
        logits = as_rows(input.detach(), call.axis)
        grad = input.detach() if call.inplace else torch.empty_like(input)
        room = rows_view(grad, call.axis)
        if room is None:  # the input is a part of a larger tensor, in an order of its own
            grad = torch.empty_like(logits)
            room = grad
        up = upstream[0]
        up = up if up is None or not up.dim() else up.reshape(-1)
        stat_grads = _stacked(upstream[1:4], columns[0]) if call.stats else None
        whole = row_call(logits, call.rows, slice(None), False)
        _launch.differentiate(whole, Kept(columns, None), room, up, divisor, stat_grads)
        if call.inplace:
            torch.autograd.graph.increment_version(input)
        if grad.shape != input.shape:
            moved = torch.Size((*call.shape, logits.shape[1]))
            grad = grad.view(moved).movedim(-1, call.axis)
        return grad, None


def _stacked(gradients: Any, like: Tensor) -> Tensor | None:
    """Return the upstream gradients of statistics as (3, n), or None where there are none."""
    if all(grad is None for grad in gradients):
        return None
    given = [torch.zeros_like(like) if g is None else g.reshape(-1).float() for g in gradients]
    return torch.stack(given)


_triton_rows: Any = _TritonRows.apply


def score_head_rows(
    logits: Tensor, rows: SoftmaxRows, some: slice, g: Any, upstream: Any, stats: bool
) -> tuple[Tensor, ...] | None:
    """Return the columns of a chunk's rows; overwrite the logits by their gradient.

    ``g`` (a number, or a tensor of one) multiplies that of the loss, and None leaves the logits
    alone; ``upstream`` are gradients of the loss, a number a row, and of its statistics, or None.
    Without Triton return None.
    """
    if not _use.is_at_hand(logits) or not takes_rows(logits, rows):
        return None
    from xent.losses._triton import _launch

    call = row_call(logits, rows, some, stats)
    of_loss = upstream[0]
    if isinstance(g, Tensor):
        of_loss, g = g if of_loss is None else of_loss * g, 1.0
    if g is not None and not stats:
        return (_launch.score_and_differentiate(call, g, of_loss).columns[0],)
    kept = _launch.score(call)
    if g is not None:
        stat_grads = _stacked(upstream[1:], kept.columns[0])
        of_loss = of_loss if of_loss is None or g == 1.0 else of_loss * g
        _launch.differentiate(call, kept, logits, of_loss, None, stat_grads)
    if kept.argmax is None:
        return (kept.columns[0],)
    return kept.columns[0], *kept.columns[5:], kept.argmax
