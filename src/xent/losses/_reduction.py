"""From the losses of rows to the number that is returned: mean, sum or none, weighted or not."""

import math
from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses._arguments import Options, can_validate

WITHOUT_FLOAT64 = {"mps"}
_CPU = torch.device("cpu")
_LARGEST = torch.finfo(torch.float32).max


def reduce_weighted(values: Tensor, weight: Tensor | None, o: Options, total: Any = None) -> Tensor:
    """Reduce weighted values; a weight of 0 makes a NaN or inf 0 too."""
    if weight is None:
        return reduce_loss(values, o.reduction, total, o.empty)
    weight = weight.to(values.dtype)
    total = weight.sum() if total is None else total
    return reduce_loss(apply_weight(values, weight), o.reduction, total, o.empty)


def apply_weight(values: Tensor, weight: Tensor) -> Tensor:
    """Multiply values by weights; a weight of 0 gives 0, also of NaN and inf."""
    return (values * weight.to(values.dtype)).where(weight != 0, 0.0)


def reduce_loss(
    values: Tensor, reduction: str, total: Tensor | float | None = None, empty: str = "zero"
) -> Tensor:
    """Reduce values: ``mean`` divides by ``total`` where given, else by their number."""
    if reduction == "none":
        return values
    if reduction == "sum":
        return values.sum()
    if total is None:
        total = values.numel()
    whole = values.sum()
    if not isinstance(total, Tensor):
        if not total:
            return whole + scalar_like(empty_mean(empty), whole)
        return whole / scalar_like(total, whole)
    if empty == "raise":
        if can_validate(total):
            if not bool(total):
                empty_mean(empty)
        else:
            check_can_tell(empty, values)
    # The weights' sum may be of float64; the loss is of the values' type, as the compiled one is.
    nothing = total == 0
    mean = (whole / total.masked_fill(nothing, 1.0)).to(values.dtype)
    return mean if empty == "zero" else mean.masked_fill(nothing, math.nan)


def scalar_like(number: float, like: Tensor) -> Tensor:
    """Return a number as a tensor: beside a Python float torch makes 0-dim tangents of float64."""
    return like.new_full((), number)


def as_scalar(number: float, dtype: torch.dtype) -> Tensor:
    """Return a number as a tensor on CPU; torch refuses what the type rounds to an infinity."""
    if abs(number) > _LARGEST and dtype == torch.float32:
        number = math.copysign(math.inf, number)
    return torch.scalar_tensor(number, dtype=dtype, device=_CPU)


def empty_mean(empty: str) -> float:
    """Return the mean of nothing, or refuse it."""
    if empty == "raise":
        because = "no row counts (the batch is empty, or every row is ignored or weighs 0)"
        raise _check.cannot("The mean loss is undefined", because, "Use empty='zero' or 'nan'.")
    return math.nan if empty == "nan" else 0.0


def check_can_tell(empty: str, values: Tensor) -> None:
    """Refuse ``empty="raise"`` where what tensors hold is not looked at: on an accelerator."""
    if empty != "raise" or values.is_cpu or values.is_meta:
        return
    if not values.numel():
        empty_mean(empty)
    must = f"be 'zero' or 'nan' on {values.device}"
    advice = "To see whether a row counts would wait for the device; 'nan' shows it later."
    raise _check.invalid("empty", must, "'raise'", advice)


def exact_dtype(like: Tensor) -> torch.dtype:
    """Return the type that sums of weights take: float64, or float32 where the device has none."""
    return torch.float64 if _has_float64(like.device) else torch.float32


def _has_float64(device: torch.device) -> bool:
    if device.type == "xpu":
        return bool(getattr(torch.xpu.get_device_properties(device), "has_fp64", False))
    return device.type not in WITHOUT_FLOAT64


def loss_dtype(input: Tensor) -> torch.dtype:
    """Return the type of a loss: float32, or float64 where the input is."""
    return torch.float64 if input.dtype == torch.float64 else torch.float32
