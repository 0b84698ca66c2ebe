"""What every loss of the room does first and last: check its arguments, and reduce.

The deprecated positions `size_average` and `reduce` of torch stay in the signatures, so that
positional calls mean the same here and there, and accept only None.
"""

import math
import operator
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xent import _check

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


def options(
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
    label_smoothing = number("label_smoothing", label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise _check.invalid("label_smoothing", "be between 0 and 1", label_smoothing)
    temperature = number("temperature", temperature)
    if temperature != 1.0:
        temperature = _check.positive("temperature", temperature)
    z_loss = number("z_loss", z_loss)
    if not 0 <= z_loss < math.inf:  # (math.isfinite is no part of a compiled graph)
        raise _check.invalid("z_loss", "be non-negative and finite", z_loss)
    cap = 0.0 if softcap is None else _check.positive("softcap", number("softcap", softcap))
    # Compiled rows are compiled anew for a whole number.
    label_smoothing, temperature, z_loss = label_smoothing + 0.0, temperature + 0.0, z_loss + 0.0
    return Options(reduction, ignore_index, label_smoothing, temperature, cap, z_loss, empty)


def number(name: str, value: Any) -> float:
    """Return a number; refuse a tensor that learns, for its gradient would be lost in silence."""
    if type(value) is float or (type(value) is int and abs(value) < 2**53):
        return value
    if isinstance(value, Tensor) and not _is_number(value):
        got = "a tensor that requires a gradient" if value.requires_grad else "a tensor"
        advice = "To learn a scale multiply the input by it."
        raise _check.wrong_kind(name, "be a number", got, advice)
    return _check.number(name, value)


def _is_number(value: Tensor) -> bool:
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
    check_values(name, weight, weight >= 0, "be finite and non-negative", below=math.inf)


def check_values(
    name: str, values: Tensor, good: Tensor, must: str, *, below: float | None = None
) -> None:
    """Refuse values where ``good`` is false; on an accelerator this would wait, so not there."""
    if not can_look(values):
        return
    if below is not None:
        good = good & (values < below)
    if not bool(good.all()):
        first = (~good).nonzero()[0].tolist()
        value = values[tuple(first)].item()
        got = f"{value:.6g}" if isinstance(value, float) else str(value)
        raise _check.invalid(name, must, f"{got} at {_check.at(first)}" if first else got)


_MODES = torch._C._TorchDispatchModeKey
_TRACERS = (_MODES.FAKE, _MODES.PROXY, _MODES.FUNCTIONAL)


def traced() -> bool:
    """Say whether something records or transforms operations, to which compiled rows are hidden."""
    return (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
        or torch._C._is_tracing()
        or (torch._C._len_torch_dispatch_stack() > 0 and _under_a_tracer())
    )


def _under_a_tracer() -> bool:
    """Say whether fake tensors or a graph's proxies (torch.export, make_fx) take the operations."""
    return any(torch._C._get_dispatch_mode(mode) is not None for mode in _TRACERS)


_is_batched = torch._C._functorch.is_legacy_batchedtensor


def batched(gradients: Iterable[Any]) -> bool:
    """Say whether many gradients come at once, as one tensor without numbers of its own.

    So torch.autograd.grad(is_grads_batched=True) and jacobian(vectorize=True) send them.
    """
    return any(isinstance(g, Tensor) and _is_batched(g) for g in gradients)


def can_look(*tensors: Tensor) -> bool:
    """Say whether values may be looked at: on CPU, and neither traced nor transformed."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return False
    if torch._C._is_tracing() or (torch._C._len_torch_dispatch_stack() and _under_a_tracer()):
        return False
    return all(map(_is_plain, tensors))


def _is_plain(tensor: Tensor) -> bool:
    return type(tensor) in _PLAIN and tensor.is_cpu


def told_apart(stats: bool, weight: Tensor | None, target: object) -> bool:
    """Say whether the statistics need a run of their own: weights would bend Σ t log p."""
    return (
        stats and weight is not None and isinstance(target, Tensor) and target.is_floating_point()
    )


def with_stats(loss: Any, *tensors: Any, weight: Tensor | None, **others: Any) -> Any:
    """Run a loss for its value, and without the weights for its statistics."""
    return loss(*tensors, weight=weight, **others), loss(*tensors, stats=True, **others)[1]


def _whole(name: str, value: Any) -> int:
    must = "be an integer or None"
    if isinstance(value, (bool, str, float)):
        raise _check.wrong_kind(name, must, repr(value))
    try:
        return operator.index(value)
    except TypeError:
        raise _check.wrong_kind(name, must, _check.a(value)) from None


def class_axis(input: Tensor, axis: int | None) -> int:
    """Return the class dimension as a non-negative number: torch's where none is named."""
    if input.dim() == 0:
        raise _check.invalid("input", "have a class dimension", "a single number")
    if axis is None:
        axis = 0 if input.dim() == 1 else 1
    elif type(axis) is not int:
        axis = _whole("axis", axis)
    if not -input.dim() <= axis < input.dim():
        must = f"be a dimension of `input`, of shape {tuple(input.shape)}"
        raise _check.invalid("axis", must, axis)
    axis %= input.dim()
    if input.shape[axis] == 0:
        raise _check.invalid("input", "have at least one class", tuple(input.shape))
    return axis


def watched(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """Return what autograd may keep and watch: nothing that `torch.inference_mode` made."""
    return tuple(None if t is None or t.is_inference() else t for t in tensors)


def learns(*tensors: object) -> bool:
    """Say whether a gradient of one of them is asked for."""
    return torch.is_grad_enabled() and any(
        isinstance(t, Tensor) and t.requires_grad for t in tensors
    )


def at_least_float32(input: Tensor) -> Tensor:
    """Half-precision logits are computed in float32: their losses would not survive rounding."""
    return input.float() if input.dtype in (torch.float16, torch.bfloat16) else input


def shaped(input: Tensor, o: Options) -> Tensor:
    """Return the logits that the softmax sees: capped, then divided by the temperature."""
    z = at_least_float32(input)
    cap: Any = o.softcap
    heat: Any = o.temperature
    if z.dim() == 0:
        cap, heat = scalar(cap, z), scalar(heat, z)
    if o.softcap:
        z = cap * torch.tanh(z / cap)
    return z if o.temperature == 1.0 else z / heat


def silenced(z: Tensor, scale: Tensor | None) -> Tensor:
    """Return rows (classes last), those of weight 0 as zeros.

    A NaN of theirs would come back in backward, as 0 * NaN.
    """
    return z if scale is None else z.where((scale != 0).unsqueeze(-1), 0.0)


def smoothed(target: Tensor, smoothing: float) -> Tensor:
    """Spread a share of probabilities (classes last) evenly over the classes."""
    return target if not smoothing else target * (1 - smoothing) + smoothing / target.shape[-1]


def weighed(values: Tensor, scale: Tensor | None, o: Options, total: Any = None) -> Tensor:
    """Reduce values of rows that weigh ``scale``; a row of weight 0 counts for nothing."""
    if scale is None:
        return reduced(values, o.reduction, total, o.empty)
    scale = scale.to(values.dtype)
    values = (values * scale).where(scale != 0, 0.0)
    return reduced(values, o.reduction, scale.sum() if total is None else total, o.empty)


def reduced(
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
            return whole + scalar(nothing_to_average(empty), whole)
        return whole / scalar(total, whole)
    if empty == "raise" and can_look(total) and not bool(total):
        nothing_to_average(empty)
    # The weights' sum may be of float64; the loss is of the values' type, as the compiled one is.
    mean = (whole / total.where(total != 0, 1.0)).to(values.dtype)
    return mean if empty == "zero" else mean.where(total != 0, math.nan)


def scalar(number: float, like: Tensor) -> Tensor:
    """Return a number as a tensor: beside a Python float torch makes 0-dim tangents of float64."""
    return like.new_full((), number)


def nothing_to_average(empty: str) -> float:
    """Return the mean of nothing, or refuse it."""
    if empty == "raise":
        because = "no row counts (the batch is empty, or every row is ignored or weighs 0)"
        raise _check.cannot("The mean loss is undefined", because, "Use empty='zero' or 'nan'.")
    return math.nan if empty == "nan" else 0.0
