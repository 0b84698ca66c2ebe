"""A loss in torch operations, a chunk of its input at a time, and its gradient the same way.

What a formula in torch operations keeps for its backward is many times its input. Here nothing is
kept but the input: backward runs the formula of a chunk once more, differentiates it, or runs the
slope that is written down for it, and goes to the next, so that all that is alive at once is a
chunk's. Nobody waits for the device.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xent.losses._arguments import needs_gradient
from xent.losses._rows._autograd import without_inference
from xent.losses._torch_private import is_batched, is_traced

# A formula has about ten buffers of a chunk's size alive at once, in float32: together 64 MB. Less
# would be faster to start than to work through.
_ELEMENTS = 3 << 19

Columns = tuple[Tensor, ...]


class InputPart(NamedTuple):
    """Some of the places along one dimension."""

    dim: int
    start: int
    length: int
    whole: int

    def of(self, tensor: Tensor) -> Tensor:
        """Return the part of a tensor that has all places, or one for all."""
        if self.length == self.whole or tensor.shape[self.dim] == 1:
            return tensor
        return tensor.narrow(self.dim, self.start, self.length)

    def rows(self, total: int) -> slice:
        """Return which rows these are where ``total`` of them are counted through."""
        if self.length == self.whole:
            return slice(0, total)
        each = total // self.whole
        return slice(self.start * each, (self.start + self.length) * each)


Formula = Callable[[Tensor, InputPart], Columns]


class Written(NamedTuple):
    """A formula written for few operations, and its slope; neither is differentiated."""

    values: Formula
    slope: Callable[[Tensor, InputPart, Columns], Tensor]  # of upstream gradients


def runs_on_device(input: Tensor, *others: Tensor | None) -> bool:
    """Say whether a loss is computed here: on no CPU, and the input alone is differentiated.

    What records or transforms operations, and a DTensor, takes the formula as it is.
    """
    if input.is_cpu or input.is_meta or is_traced() or needs_gradient(*others):
        return False
    module = sys.modules.get("torch.distributed.tensor")
    return module is None or not isinstance(input, module.DTensor)


def parts_of(
    shape: torch.Size, axis: int | None = None, elements: int | None = None
) -> list[InputPart]:
    """Cut a tensor along its first dimension that is no ``axis`` and has several places."""
    elements = _ELEMENTS if elements is None else elements
    for dim, size in enumerate(shape):
        if dim != axis and size > 1:
            step = max(1, elements // max(1, shape.numel() // size))
            step = -(-size // -(-size // step))
            return [InputPart(dim, s, min(step, size - s), size) for s in range(0, size, step)]
    return [InputPart(0, 0, 1, 1)]


class _InChunks(torch.autograd.Function):
    """A formula of some columns; ``layout`` says what they have an entry for, see `in_chunks`."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        formula: Formula,
        parts: list[InputPart],
        layout: str,
        written: Written | None,
        *saved: Any,
    ) -> Any:
        # All that backward reads, so that torch notices what was overwritten in between.
        ctx.save_for_backward(input, *without_inference(*saved))
        ctx.formula, ctx.parts, ctx.layout, ctx.written = formula, parts, layout, written
        run = formula if written is None else written.values
        columns: list[Tensor] = []
        for number, part in enumerate(parts):
            found = run(part.of(input), part)
            if len(parts) == 1:
                columns = [column.clone() if column is input else column for column in found]
                break
            columns = columns or [_whole(column, parts, layout) for column in found]
            for whole, column in zip(columns, found, strict=True):
                _place(whole, number, parts, layout).copy_(column)
            del found
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*(c for c in columns if not c.is_floating_point()))
        return tuple(columns)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        input = ctx.saved_tensors[0]
        rest = (None,) * (len(ctx.needs_input_grad) - 1)
        if all(up is None for up in upstream):
            return None, *rest
        parts, layout = ctx.parts, ctx.layout
        if torch.is_grad_enabled() or is_batched(upstream):
            with torch.enable_grad():
                found = [ctx.formula(part.of(input), part) for part in parts]
                dim = parts[0].dim if layout == "elements" else 0
                columns = [torch.cat(column, dim) for column in zip(*found, strict=True)]
                return _slope(tuple(columns), input, upstream, True), *rest
        grad, written = torch.empty_like(input), ctx.written
        for number, part in enumerate(parts):
            ups = tuple(
                None if up is None else _place(up, number, parts, layout) for up in upstream
            )
            if written is not None:
                part.of(grad).copy_(written.slope(part.of(input.detach()), part, ups))
                continue
            leaf = part.of(input.detach()).detach().requires_grad_()
            with torch.enable_grad():
                found = ctx.formula(leaf, part)
            part.of(grad).copy_(_slope(found, leaf, ups, False))
            del found
        return grad, *rest


def _slope(found: Columns, leaf: Tensor, upstream: Any, twice: bool) -> Tensor:
    reached = [
        (column, up)
        for column, up in zip(found, upstream, strict=True)
        if up is not None and column.requires_grad
    ]
    if not reached:
        return torch.zeros_like(leaf)
    columns, ups = zip(*reached, strict=True)
    (grad,) = torch.autograd.grad(columns, leaf, ups, create_graph=twice, allow_unused=True)
    return torch.zeros_like(leaf) if grad is None else grad


def _whole(column: Tensor, parts: list[InputPart], layout: str) -> Tensor:
    """Make room for a column of all parts, of which this is the first."""
    shape, part = list(column.shape), parts[0]
    if layout == "sums":
        return column.new_empty(len(parts))
    dim = part.dim if layout == "elements" else 0
    shape[dim] = shape[dim] // part.length * part.whole
    return column.new_empty(shape)


def _place(whole: Tensor, number: int, parts: list[InputPart], layout: str) -> Tensor:
    """Return where a part of a column stands in it."""
    part = parts[number]
    if len(parts) == 1:
        return whole
    if layout == "sums":
        return whole[number : number + 1]
    return part.of(whole) if layout == "elements" else whole[part.rows(whole.shape[0])]


def in_chunks(
    input: Tensor,
    formula: Formula,
    parts: list[InputPart],
    *saved: Tensor | None,
    layout: str = "rows",
    written: Written | None = None,
) -> Columns:
    """Return the columns of a formula, a part of the input at a time.

    A column has an entry for each of the rows, for each of the elements, or one for each part, the
    "sums".
    """
    columns: Columns = _in_chunks(input, formula, parts, layout, written, *saved)
    return columns


_in_chunks: Any = _InChunks.apply
