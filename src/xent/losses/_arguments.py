"""What every loss of the room does first: check its arguments.

The deprecated positions `size_average` and `reduce` of torch stay in the signatures, so that
positional calls mean the same here and there, and accept only None.
"""

import math
import operator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from xent import _check
from xent.losses._torch_private import is_recorded

REDUCTIONS = ("mean", "sum", "none")
_PLAIN = (Tensor, torch.nn.Parameter)
_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)
EMPTY = ("zero", "nan", "raise")


class Options(NamedTuple):
    """What shapes a loss of class logits, checked; a softcap of 0 is none."""

    reduction: str = "mean"
    ignore_index: int = -100
    label_smoothing: float = 0.0
    temperature: float = 1.0
    softcap: float = 0.0
    z_loss: float = 0.0
    empty: str = "zero"


def check_options(
    reduction: str = "mean",
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    empty: str = "zero",
) -> Options:
    """Check the options that need no tensor."""
    if type(reduction) is not str or reduction not in REDUCTIONS:
        _check.option("reduction", reduction, REDUCTIONS)
    if type(empty) is not str or empty not in EMPTY:
        _check.option("empty", empty, EMPTY)
    if type(ignore_index) is not int or not -(2**63) <= ignore_index < 2**63:
        ignore_index = _check.integer("ignore_index", ignore_index, least=-(2**63))
        if ignore_index >= 2**63:
            raise _check.invalid("ignore_index", "be below 2**63", ignore_index)
    label_smoothing = check_number("label_smoothing", label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise _check.invalid("label_smoothing", "be between 0 and 1", label_smoothing)
    temperature = check_number("temperature", temperature)
    if temperature != 1.0:
        temperature = _check.positive("temperature", temperature)
    z_loss = check_number("z_loss", z_loss)
    if not 0 <= z_loss < math.inf:  # (math.isfinite is no part of a compiled graph)
        raise _check.invalid("z_loss", "be non-negative and finite", z_loss)
    cap = 0.0 if softcap is None else _check.positive("softcap", check_number("softcap", softcap))
    # Compiled rows are compiled anew for a whole number.
    label_smoothing, temperature, z_loss = label_smoothing + 0.0, temperature + 0.0, z_loss + 0.0
    return Options(reduction, ignore_index, label_smoothing, temperature, cap, z_loss, empty)


def check_number(name: str, value: Any) -> float:
    """Return a number; refuse a tensor that needs a gradient, which would be lost in silence."""
    if type(value) is float or (type(value) is int and abs(value) < 2**53):
        return value
    if isinstance(value, Tensor) and not _holds_number(value):
        got = "a tensor that requires a gradient" if value.requires_grad else "a tensor"
        advice = "To learn a scale multiply the input by it."
        raise _check.wrong_kind(name, "be a number", got, advice)
    return _check.number(name, value)


def check_gamma(gamma: float) -> float:
    """Return how fast a focal loss fades; refuse what would let it grow."""
    gamma = check_number("gamma", gamma)
    if not 0 <= gamma < math.inf:
        raise _check.invalid("gamma", "be non-negative and finite", gamma)
    return gamma


def _holds_number(value: Tensor) -> bool:
    settled = not (value.requires_grad or value.is_complex() or value.is_meta)
    return settled and value.layout is torch.strided and value.numel() == 1


def check_input(input: Tensor, size_average: object = None, reduce: object = None) -> None:
    """Refuse what no loss of this room can take."""
    if not isinstance(input, Tensor):
        raise _check.wrong_kind("input", "be a tensor", _check.a(input))
    if not input.is_floating_point():
        advice = "Are `input` and `target` swapped?"
        raise _check.wrong_kind("input", "be a floating-point tensor", input.dtype, advice)
    check_strided("input", input)
    check_deprecated(size_average, reduce)


def check_deprecated(size_average: object, reduce: object) -> None:
    """Refuse what torch has deprecated."""
    for name, value in (("size_average", size_average), ("reduce", reduce)):
        if value is not None:
            advice = "torch deprecated it; use reduction='mean', 'sum' or 'none'."
            raise _check.invalid(name, "be None", repr(value), advice)


def check_strided(name: str, tensor: Tensor) -> None:
    """Refuse tensors whose numbers are not laid out one by one, in a type that can be computed."""
    if tensor.is_complex() or tensor.is_quantized:
        raise _check.wrong_kind(name, "hold real numbers", tensor.dtype)
    if tensor.layout is not torch.strided or tensor.is_nested:
        got = "a nested one" if tensor.is_nested else tensor.layout
        raise _check.wrong_kind(name, "be a dense tensor", got, "Convert it first.")
    if tensor.element_size() == 1 and tensor.is_floating_point():
        must = "be of 16 bits or more"
        raise _check.wrong_kind(name, must, tensor.dtype, "Convert it with .float() first.")


def check_target_kind(target: object) -> None:
    """Refuse a target that is no tensor of numbers laid out one by one."""
    if not isinstance(target, Tensor):
        raise _check.wrong_kind("target", "be a tensor", _check.a(target))
    check_strided("target", target)


def check_devices(input: Tensor, **others: Tensor | None) -> None:
    """Refuse tensors that are not where the input is."""
    for name, other in others.items():
        if other is not None and other.device != input.device:
            must = f"be on the device of `input`, {input.device}"
            raise _check.invalid(name, must, other.device)


def check_numbers(name: str, value: object, input: Tensor | None = None) -> None:
    """Refuse what is no tensor of numbers laid out one by one, where the input is."""
    if not isinstance(value, Tensor):
        raise _check.wrong_kind(name, "be a tensor", _check.a(value))
    check_strided(name, value)
    if input is not None:
        check_devices(input, **{name: value})


def check_same_shape(input: Tensor, target: Tensor) -> None:
    """Refuse a target that would be broadcast: a broadcast loss is a wrong number, not an error."""
    check_target_kind(target)
    check_devices(input, target=target)
    if target.shape != input.shape:
        must = f"have the shape of `input`, {tuple(input.shape)}"
        advice = ""
        if input.shape == (*target.shape, 1):
            advice = "Give input.squeeze(-1)."
        elif target.shape == (*input.shape, 1):
            advice = "Give target.squeeze(-1)."
        raise _check.invalid("target", must, tuple(target.shape), advice)


def check_weight(name: str, weight: Tensor | None, shape: torch.Size, each: str) -> None:
    """Refuse a weight that does not fit its rows or classes, or is negative, infinite or NaN."""
    if weight is None:
        return
    check_numbers(name, weight)
    if weight.dtype in _UNSIGNED:
        advice = "Convert it with .float() first."
        raise _check.wrong_kind(name, "be of a type torch compares", weight.dtype, advice)
    if weight.shape != shape:
        raise _check.invalid(name, f"have one entry a {each}, {tuple(shape)}", tuple(weight.shape))
    validate_weights(**{name: weight})


def check_broadcast(
    name: str, weight: Tensor | None, input: Tensor, *, validate: bool = True
) -> None:
    """Refuse a weight that does not broadcast to the input or, with ``validate``, is none."""
    if weight is None:
        return
    check_numbers(name, weight, input)
    try:
        fits = np.broadcast_shapes(weight.shape, input.shape) == tuple(input.shape)
    except ValueError:
        fits = False
    if not fits:
        must = f"have a shape that broadcasts to that of `input`, {tuple(input.shape)}"
        raise _check.invalid(name, must, tuple(weight.shape))
    if validate:
        validate_weights(**{name: weight})


def validate_weights(**weights: Tensor | None) -> None:
    """Refuse weights that are negative, infinite or NaN."""
    for name, weight in weights.items():
        if weight is not None and can_validate(weight):
            must = "be finite and non-negative"
            check_values(name, weight, weight >= 0, must, below=math.inf)


def check_row_weight(token_weight: Tensor | None, input: Tensor, axis: int) -> None:
    """Refuse a weight of rows that does not fit them."""
    check_weight("token_weight", token_weight, row_shape(input, axis), "row")
    check_devices(input, token_weight=token_weight)


def check_values(
    name: str,
    values: Tensor,
    good: Tensor,
    must: str,
    *,
    below: float | None = None,
    advice: str = "",
) -> None:
    """Refuse values where ``good`` is false; on an accelerator this would wait, so not there."""
    if not can_validate(values):
        return
    if below is not None:
        good = good & (values < below)
    if not bool(good.all()):
        first = (~good).nonzero()[0].tolist()
        value = values[tuple(first)].item()
        got = digits(value) if isinstance(value, float) else str(value)
        raise _check.invalid(name, must, f"{got} at {_check.at(first)}" if first else got, advice)


def digits(value: float) -> str:
    """Write a number with so many digits that it is not read as the bound that it misses."""
    for count in (6, 9):
        text = f"{value:.{count}g}"
        if float(text) not in (0.0, 1.0) or float(text) == value:
            return text
    return repr(value)


def can_validate(*tensors: Tensor) -> bool:
    """Say whether values may be looked at: on CPU, and neither traced nor transformed."""
    if is_recorded():
        return False
    for tensor in tensors:  # noqa: SIM110 (a generator takes longer, and small batches feel it)
        if type(tensor) not in _PLAIN or not tensor.is_cpu:
            return False
    return True


def _check_integer(name: str, value: Any) -> int:
    must = "be an integer or None"
    if isinstance(value, (bool, str, float)):
        raise _check.wrong_kind(name, must, repr(value))
    try:
        return operator.index(value)
    except TypeError:
        raise _check.wrong_kind(name, must, _check.a(value)) from None


def class_axis(input: Tensor, axis: int | None, least: int = 1) -> int:
    """Return the class dimension as a non-negative number: torch's where none is named.

    With ``least`` 0 there may be no class: others have them.
    """
    if input.dim() == 0:
        raise _check.invalid("input", "have a class dimension", "a single number")
    if axis is None:
        axis = 0 if input.dim() == 1 else 1
    elif type(axis) is not int:
        axis = _check_integer("axis", axis)
    if not -input.dim() <= axis < input.dim():
        must = f"be a dimension of `input`, of shape {tuple(input.shape)}"
        raise _check.invalid("axis", must, axis)
    axis %= input.dim()
    if input.shape[axis] < least:
        raise _check.invalid("input", "have at least one class", tuple(input.shape))
    return axis


def row_shape(input: Tensor, axis: int) -> torch.Size:
    """Return the shape of the input without its class dimension."""
    return input.shape[:axis] + input.shape[axis + 1 :]


def needs_gradient(*tensors: object) -> bool:
    """Say whether a gradient of one of them is asked for."""
    return torch.is_grad_enabled() and any(
        isinstance(t, Tensor) and t.requires_grad for t in tensors
    )
