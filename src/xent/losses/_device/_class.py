"""Losses of class logits on a device: in Triton, by torch's fused softmax, or row by row."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from xent.losses._arguments import Options, row_shape
from xent.losses._device._chunks import InputPart, parts_of
from xent.losses._device._class_indices import IndexCall, class_index_loss, takes
from xent.losses._device._class_rows import DeviceRows, RowColumns
from xent.losses._reduction import check_can_tell, reduce_loss
from xent.losses._rows._autograd import without_inference
from xent.losses._rows._scoring import as_rows, rows_of
from xent.losses._rows._softmax import SoftmaxRows
from xent.losses._rows._stats import accuracy_of, with_row_shape
from xent.losses._torch_private import is_batched
from xent.losses._triton._class import class_loss_in_triton, rows_view

_ELEMENTS = 1 << 21  # of which two or three buffers are alive at once: 24 MB in float32


def class_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    axis: int,
    o: Options,
    stats: bool,
    inplace: bool = False,
) -> Any:
    """Return the cross-entropy (and statistics) of logits that lie on a device."""
    hard = not target.is_floating_point()
    if o.reduction == "mean" and (hard or token_weight is not None):
        check_can_tell(o.empty, input)
    found = class_loss_in_triton(input, target, weight, token_weight, axis, o, stats, inplace)
    if found is not None:
        return found
    if hard and not stats and takes(o, weight):

        def plain(logits: Tensor) -> Tensor:
            rows = rows_of(target, weight, token_weight, axis, o)
            total = rows.total_in_torch() if o.reduction == "mean" else None
            loss = reduce_loss(rows.plain(as_rows(logits, axis)), o.reduction, total, o.empty)
            return loss.reshape(row_shape(logits, axis)) if o.reduction == "none" else loss

        call = IndexCall(input, target, weight, token_weight, axis, o, inplace, plain)
        return class_index_loss(input, call)
    rows = rows_of(target, weight, token_weight, axis, o)
    if stats:
        rows.silence(input.shape[axis])
    device_rows = DeviceRows(rows, input, input.shape[axis], stats)
    values, *columns = _class_rows(input, _Call(rows, device_rows, axis, stats, inplace))
    total = device_rows.weight_of_all() if o.reduction == "mean" else None
    loss = reduce_loss(values, o.reduction, total, o.empty)
    shape = row_shape(input, axis)
    loss = loss.reshape(shape) if o.reduction == "none" else loss
    if not stats:
        return loss
    accuracy = accuracy_of(columns[3], rows.target, o.ignore_index)
    return loss, with_row_shape(columns, shape, accuracy)


class _Call(NamedTuple):
    rows: SoftmaxRows
    device_rows: DeviceRows
    axis: int
    stats: bool
    inplace: bool


class _ClassRows(torch.autograd.Function):
    """The losses of rows, and their statistics."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, call: _Call) -> Any:
        rows, device_rows = call.rows, call.device_rows
        count = row_shape(input, call.axis).numel()
        seen = device_rows.room(input, count)
        parts = parts_of(input.shape, call.axis, _ELEMENTS)
        for part in parts:
            z, own, _ = device_rows.logits(as_rows(part.of(input.detach()), call.axis), False)
            some = part.rows(count)
            device_rows.read(z, own, some, seen.part(some))
            del z
        ctx.call, ctx.parts = call, parts
        # All that backward reads, so that torch notices what was overwritten in between.
        saved = without_inference(rows.target, rows.weight, rows.row_weight)
        ctx.save_for_backward(input, *seen, *saved)
        ctx.set_materialize_grads(False)
        found = device_rows.values(seen)
        ctx.mark_non_differentiable(*found[4:])
        return found

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        call: _Call = ctx.call
        device_rows, axis = call.device_rows, call.axis
        input = ctx.saved_tensors[0]
        if all(up is None for up in upstream):
            return None, None
        if torch.is_grad_enabled() or is_batched(upstream):
            with torch.enable_grad():
                found = call.rows.plain(as_rows(input, axis), stats=call.stats)
                found = found[:4] if call.stats else [found]
                pairs = [(c, up) for c, up in zip(found, upstream, strict=False) if up is not None]
                outs, ups = zip(*pairs, strict=True)
                return torch.autograd.grad(outs, input, ups, create_graph=True)[0], None
        seen = RowColumns(*ctx.saved_tensors[1 : 1 + len(RowColumns._fields)])
        upstream = (*upstream, None, None, None)[:4]
        slopes = device_rows.slopes(seen, upstream)
        mask, count = device_rows.ignores(upstream), len(seen.top)
        single = len(ctx.parts) == 1 and not call.inplace
        grad = None if single else input.detach() if call.inplace else torch.empty_like(input)
        for part in ctx.parts:
            some, x = part.rows(count), as_rows(part.of(input.detach()), axis)
            room = None if grad is None else _room(part.of(grad), device_rows, axis)
            z, own, bent = device_rows.logits(x, False)
            here = seen.part(some)
            e = z.sub_(here.top) if own else torch.sub(z, here.top, out=room)
            del z
            e = device_rows.write(e.exp_(), bent, some, here, slopes.part(some), mask)
            if grad is None:
                return _in_place_of(e, input, axis), None
            if own or room is None:
                _place(part, grad, e, axis)
            del e, bent
        return grad, None


def _room(grad: Tensor, device_rows: DeviceRows, axis: int) -> Tensor | None:
    """Return a gradient as rows that can be written to, or None."""
    return rows_view(grad, axis) if grad.dtype == device_rows.real else None


def _in_place_of(rows: Tensor, like: Tensor, axis: int) -> Tensor:
    """Give rows the shape and type of what they are of."""
    moved = rows.to(like.dtype).reshape(like.movedim(axis, -1).shape)
    return moved.movedim(-1, axis)


def _place(part: InputPart, grad: Tensor, rows: Tensor, axis: int) -> None:
    room = part.of(grad).movedim(axis, -1)
    room.copy_(rows.view(room.shape))


_class_rows: Any = _ClassRows.apply
