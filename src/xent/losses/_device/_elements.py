"""Losses that go element by element, on a device: their formulas, a chunk at a time."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from xent.losses._arguments import Options
from xent.losses._device._answers import WrittenAnswers
from xent.losses._device._chunks import InputPart, Written, in_chunks, parts_of
from xent.losses._reduction import exact_dtype, reduce_loss
from xent.losses._rows._answers import float_target, weighted_target
from xent.losses._rows._formula import at_least_float32, binary_values, cap_and_scale
from xent.losses._triton._binary import answers_in_triton


def values_of_elements(
    input: Tensor,
    formula: Callable[..., Tensor],
    *tensors: Tensor | None,
    keep: bool,
    axis: int | None = None,
    written: tuple[Callable[..., Tensor], Callable[..., Tensor]] | None = None,
) -> Tensor:
    """Return the values of a formula of the input and its tensors, or their sums by the chunk.

    The tensors broadcast with the input; whatever lies along ``axis`` stays in one chunk. What is
    ``written`` are the same formula and its slope, for few operations.
    """
    given = [None if t is None else t.expand(input.shape) for t in tensors]

    def of(part: InputPart) -> list[Tensor | None]:
        return [None if t is None else part.of(t) for t in given]

    def columns(run: Callable[..., Tensor], x: Tensor, part: InputPart) -> tuple[Tensor, ...]:
        values = run(x, *of(part))
        return (values if keep else values.sum().reshape(1),)

    lean = None
    if written is not None:
        values, slope = written

        def slopes(x: Tensor, part: InputPart, ups: Any) -> Tensor:
            return slope(x, *of(part)).mul_(ups[0])

        lean = Written(partial(columns, values), slopes)
    parts = parts_of(input.shape, axis)
    layout = "elements" if keep else "sums"
    run = partial(columns, formula)
    return in_chunks(input, run, parts, *tensors, layout=layout, written=lean)[0]


def values_of_rows(
    input: Tensor,
    formula: Callable[..., Tensor],
    *tensors: Tensor | None,
    written: tuple[Callable[..., Tensor], Callable[..., Tensor]] | None = None,
) -> Tensor:
    """Return the values of a formula of rows, classes last, and of what has as many places.

    What is ``written`` are the same formula and its slope, for few operations.
    """
    shape = input.shape[:-1]

    def columns(run: Callable[..., Tensor], x: Tensor, part: InputPart) -> tuple[Tensor, ...]:
        return (run(x, *(None if t is None else part.of(t) for t in tensors)).reshape(-1),)

    lean = None
    if written is not None:
        values, slope = written

        def slopes(x: Tensor, part: InputPart, ups: Any) -> Tensor:
            up = ups[0].reshape(x.shape[:-1]).unsqueeze(-1)
            return slope(x, *(None if t is None else part.of(t) for t in tensors), up)

        lean = Written(partial(columns, values), slopes)
    parts = parts_of(input.shape, input.dim() - 1)
    run = partial(columns, formula)
    return in_chunks(input, run, parts, *tensors, written=lean)[0].reshape(shape)


def weight_of_answers(
    target: Tensor, token_weight: Tensor | None, ignore_index: float | None
) -> Any:
    """Return by what the mean of answers divides: the sum of their weights."""
    exact = exact_dtype(target)
    if ignore_index is None:
        if token_weight is None:
            return target.numel()
        each = target.numel() / max(1, token_weight.numel())  # a weight is that of so many
        return token_weight.sum(dtype=exact) * each
    total: Any = 0
    weights = None if token_weight is None else token_weight.expand(target.shape)
    for part in parts_of(target.shape):
        kept = part.of(target).ne(ignore_index)
        found = kept.sum() if weights is None else part.of(weights).where(kept, 0).sum(dtype=exact)
        total = total + found
    return total.to(exact)


def binary_logits_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    token_weight: Tensor | None,
    ignore_index: float | None,
    o: Options,
) -> Tensor:
    """Return the binary cross-entropy of logits that lie on a device."""
    real = torch.promote_types(torch.float32, input.dtype)

    def formula(
        x: Tensor, target: Tensor, weight: Tensor | None, positive: Tensor | None, token: Any
    ) -> Tensor:
        t = float_target(target)
        if not (ignore_index is None and token is None and not o.label_smoothing):
            t, weight, _ = weighted_target(t, weight, token, ignore_index, o, real, count=False)
        if weight is not None and (o.softcap or o.temperature != 1.0):
            x = x.where((weight != 0) | ~x.isnan(), 0.0)
        z = cap_and_scale(x, o) if o.softcap or o.temperature != 1.0 else at_least_float32(x)
        return binary_values(z, t, weight, positive)

    tensors, keep = (target, weight, pos_weight, token_weight), o.reduction == "none"

    def plain(x: Tensor) -> Tensor:
        given: list[Any] = [None if t is None else t.expand(x.shape) for t in tensors]
        values = formula(x, *given)
        return values if keep else values.sum()

    values = answers_in_triton(input, target, tensors[1:], ignore_index, o, keep, plain)
    if values is None:
        run = WrittenAnswers(ignore_index, o, real)
        written = run.values, run.slope
        values = values_of_elements(input, formula, *tensors, keep=keep, written=written)
    total: Any = None
    if o.reduction == "mean":
        total = weight_of_answers(target, token_weight, ignore_index)
    return reduce_loss(values, o.reduction, total, o.empty).to(real)
