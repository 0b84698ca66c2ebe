"""Targets of class losses: which ones are refused, and how the refusal names the place."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent import _check
from xent.losses._arguments import (
    Options,
    can_validate,
    check_devices,
    check_target_kind,
    check_values,
    check_weight,
    digits,
    row_shape,
)

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


class BadRowError(Exception):
    """The target of a row is no class, or no distribution; whoever has the arguments says it."""

    def __init__(self, row: int, value: float) -> None:
        super().__init__(row, value)
        self.row, self.value = row, value

    def sentence(self, rows: Tensor, shape: torch.Size, classes: int) -> ValueError:
        """Build the error, with the row's place in the caller's target."""
        place = [int(i) for i in np.unravel_index(self.row, tuple(shape))] if len(shape) else []
        where = f" at {_check.at(place)}" if len(shape) else ""
        if rows.is_floating_point():
            row = rows[self.row].double()
            negative = (row < 0).nonzero()
            if len(negative):
                c = int(negative[0])
                place = [*place, c]
                got = f"{digits(row[c].item())} at {_check.at(place)} (class last)"
                return _check.invalid("target", "be non-negative", got)
            total = row.sum().item()
            advice = advice_on_sum(total - 1)
            got = f"{digits(total)}{where}"
            return _check.invalid("target", "sum to 1 over the classes", got, advice)
        must = (
            f"be below {classes}, the number of classes" if self.value >= 0 else "be non-negative"
        )
        advice = "To skip a class id use ignore_index."
        return _check.invalid("target", must, f"{int(self.value)}{where}", advice)


def one_ignored(target: Any, ignore_index: Any) -> tuple[Any, Any]:
    """Return one ignored class for several, and the target in which all of them are that one."""
    if not isinstance(ignore_index, tuple | list | set | frozenset | range):
        return target, ignore_index
    several = [_check.integer("ignore_index", index, least=-(2**63)) for index in ignore_index]
    if not several:
        advice = "For none leave it out."
        raise _check.invalid("ignore_index", "be a class index, or hold some", "none", advice)
    one = max(several)
    if isinstance(target, Tensor) and target.dtype in _INTEGERS:
        target = target.long()  # -100 is none of uint8's
        for other in several:
            if other != one:
                target = target.where(target != other, one)
    return target, one


def check_target(input: torch.Size, target: Tensor, axis: int, ignore_index: int) -> Tensor:
    """Refuse a target that is neither class indices nor probabilities; return int64 indices."""
    check_target_kind(target)
    if target.is_floating_point():
        if target.shape != input:
            must = f"have the shape of `input`, {tuple(input)}, to be probabilities"
            advice = "Class indices are integers."
            raise _check.invalid("target", must, tuple(target.shape), advice)
        if ignore_index >= 0:
            advice = "To skip rows of probabilities give them a token_weight of 0."
            raise _check.invalid("ignore_index", "be negative", ignore_index, advice)
        return target
    if target.dtype == torch.bool or target.is_complex():
        raise _check.wrong_kind("target", "hold class indices or probabilities", target.dtype)
    expected = input[:axis] + input[axis + 1 :]
    if target.shape != expected:
        must = f"have the shape {tuple(expected)}: that of `input` without its class dimension"
        advice = ""
        if target.shape == input:
            advice = "One-hot targets are probabilities: pass them as floats."
        elif target.shape == (*input[:axis], 1, *input[axis + 1 :]):
            advice = f"Give target.squeeze({axis})."
        raise _check.invalid("target", must, tuple(target.shape), advice)
    return target.long()


def check_target_and_weights(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    axis: int,
    o: Options,
) -> Tensor:
    """Check the shapes of a target and its weights; return the target, indices as int64."""
    target = check_target(input.shape, target, axis, o.ignore_index)
    check_weight("weight", weight, input.shape[axis : axis + 1], "class")
    check_weight("token_weight", token_weight, row_shape(input, axis), "row")
    check_devices(input, target=target, weight=weight, token_weight=token_weight)
    return target


def validate_target(
    target: Tensor, axis: int, classes: int, o: Options, token_weight: Tensor | None
) -> Tensor:
    """Refuse targets that are no classes, or no distributions; return these with classes last.

    Of a row that weighs 0 there may stand anything; it comes back silenced.
    """
    target = target.movedim(axis, -1) if target.is_floating_point() else target
    if token_weight is not None:
        target = silence_rows(target, token_weight, classes, o)
    if target.is_floating_point():
        try:
            check_distributions(target, token_weight)
        except BadRowError as bad:
            flat = target.reshape(-1, classes)
            raise bad.sentence(flat, target.shape[:-1], classes) from None
    elif can_validate(target):
        good = (target == o.ignore_index) | ((target >= 0) & (target < classes))
        must = f"be a class, 0 to {classes - 1}, or `ignore_index`"
        check_values("target", target, good, must)
    return target


def silence_rows(target: Tensor, row_weight: Tensor, classes: int, o: Options) -> Tensor:
    """Return targets (classes last), without those that are none and whose rows weigh 0.

    A class index becomes ``ignore_index``, probabilities become zeros.
    """
    if not target.is_floating_point():
        counts = (row_weight != 0) | ((target >= 0) & (target < classes))
        return target.where(counts, o.ignore_index)
    off = (target.detach().sum(-1, dtype=target.dtype) - 1).abs()
    good = (off <= sum_tolerance(target.dtype, classes)) & (target >= 0).all(-1)
    return target.where(((row_weight != 0) | good).unsqueeze(-1), 0.0)


def sum_tolerance(dtype: Any, classes: int) -> float:
    """How far from 1 probabilities may sum: what rounding in their own dtype explains."""
    name = "bfloat16" if "int" in str(dtype) else str(dtype).removeprefix("torch.")
    return max(1e-6, 2 * _EPSILON[name] * math.sqrt(classes))


def advice_on_sum(off: float) -> str:
    """Say what to do where rounding to half precision explains how far probabilities sum from 1."""
    if not abs(off) <= 2.0**-8:  # of bfloat16, whose numbers are off by 2**-9 of themselves
        return ""
    return "Of logits in half precision take logits.float().softmax(-1), not softmax(-1).float()."


def check_distributions(target: Tensor, row_weight: Tensor | None) -> None:
    """Refuse rows (classes last) that are no distributions, as the compiled rows do."""
    if not can_validate(target):
        return
    flat = target.detach().reshape(-1, target.shape[-1])
    rows = flat.double()
    bad = ~((rows.sum(-1) - 1).abs() <= sum_tolerance(target.dtype, target.shape[-1])) | (
        rows < 0
    ).any(-1)
    if row_weight is not None:
        bad &= row_weight.reshape(-1) != 0
    if bool(bad.any()):
        raise BadRowError(int(bad.nonzero()[0]), math.nan)
