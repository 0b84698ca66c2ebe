"""Losses of class logits on a device: in Triton, by torch's fused softmax, or in chunks."""

from typing import Any

from torch import Tensor

from xent.losses._arguments import Options, row_shape
from xent.losses._device._chunks import InputPart, in_chunks, parts_of
from xent.losses._device._class_indices import IndexCall, class_index_loss, takes
from xent.losses._reduction import check_can_tell, reduce_loss
from xent.losses._rows._scoring import as_rows, rows_of
from xent.losses._rows._stats import accuracy_of, with_row_shape
from xent.losses._triton._class import class_loss_in_triton


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
    shape = row_shape(input, axis)

    def formula(logits: Tensor, part: InputPart) -> tuple[Tensor, ...]:
        found = rows.plain(as_rows(logits, axis), part.rows(shape.numel()), stats=stats)
        return tuple(found) if stats else (found,)

    saved = rows.target, weight, token_weight
    parts = parts_of(input.shape, axis)
    values, *columns = in_chunks(input, formula, parts, *saved, inplace=inplace)
    total = rows.total_in_torch() if o.reduction == "mean" else None
    loss = reduce_loss(values, o.reduction, total, o.empty)
    loss = loss.reshape(shape) if o.reduction == "none" else loss
    if not stats:
        return loss
    accuracy = accuracy_of(columns[3], rows.target, o.ignore_index)
    return loss, with_row_shape(columns, shape, accuracy)
