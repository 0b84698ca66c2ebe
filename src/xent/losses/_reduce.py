"""What every loss of the room does first and last: check its arguments, and reduce.

The deprecated positions `size_average` and `reduce` of torch stay in the signatures, so that
positional calls mean the same here and there, and accept only None.
"""

import torch
from torch import Tensor

from xent import _check

REDUCTIONS = ("mean", "sum", "none")


def check_call(input: Tensor, reduction: str, size_average: object, reduce: object) -> None:
    """Refuse what no loss of this room can take."""
    if not isinstance(input, Tensor):
        raise _check.wrong_kind("input", "be a tensor", f"a {type(input).__name__}")
    if not input.is_floating_point():
        advice = "Are `input` and `target` swapped?"
        raise _check.wrong_kind("input", "be a floating-point tensor", input.dtype, advice)
    for name, value in (("size_average", size_average), ("reduce", reduce)):
        if value is not None:
            advice = "torch deprecated it; use reduction='mean', 'sum' or 'none'."
            raise _check.invalid(name, "be None", repr(value), advice)
    _check.option("reduction", reduction, REDUCTIONS)


def check_same_shape(input: Tensor, target: Tensor) -> None:
    """Refuse a target that would be broadcast: a broadcast loss is a wrong number, not an error."""
    if not isinstance(target, Tensor):
        raise _check.wrong_kind("target", "be a tensor", f"a {type(target).__name__}")
    if target.shape != input.shape:
        must = f"have the shape of `input`, {tuple(input.shape)}"
        raise _check.invalid("target", must, tuple(target.shape))


def at_least_float32(input: Tensor) -> Tensor:
    """Half-precision logits are computed in float32: their losses would not survive rounding."""
    return input.float() if input.dtype in (torch.float16, torch.bfloat16) else input


def reduced(values: Tensor, reduction: str, total: Tensor | None = None) -> Tensor:
    """Reduce values: ``mean`` divides by ``total`` where given, else by their number."""
    if reduction == "none":
        return values
    if reduction == "sum":
        return values.sum()
    return values.mean() if total is None else values.sum() / total
