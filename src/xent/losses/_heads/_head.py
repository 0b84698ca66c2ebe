"""What every loss of a head does first and last: check the head, and run the chunk loop."""

import math
from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses._arguments import (
    Options,
    can_validate,
    check_devices,
    check_input,
    check_strided,
    needs_gradient,
)
from xent.losses._heads._loop import Head
from xent.losses._reduction import check_can_tell, empty_mean, reduce_loss
from xent.losses._rows._chunks import Job
from xent.losses._rows._formula import zero_masked_rows
from xent.losses._torch_private import is_traced


def check_head(
    input: Tensor, weight: Tensor, bias: Tensor | None, name: str = "linear", least: int = 1
) -> tuple[Tensor, Tensor, Tensor | None, torch.Size]:
    """Check hidden states and head; return them as matrices, in autocast's type where it is on.

    With ``least`` 0 the head may have no class: others have them.
    """
    check_input(input)
    if not isinstance(weight, Tensor) or not weight.is_floating_point():
        got = weight.dtype if isinstance(weight, Tensor) else _check.a(weight)
        must = "be a floating-point tensor"
        raise _check.wrong_kind(f"{name}_weight", must, got, _advice_on_head(weight, name))
    check_strided(f"{name}_weight", weight)
    if weight.dim() != 2 or input.dim() < 1 or weight.shape[1] != input.shape[-1]:
        must = f"have the shape (V, {input.shape[-1] if input.dim() else 'D'})"
        raise _check.invalid(f"{name}_weight", must, tuple(weight.shape))
    if weight.shape[0] < least:
        raise _check.invalid(f"{name}_weight", "have at least one class", tuple(weight.shape))
    if bias is not None and not isinstance(bias, Tensor):
        raise _check.wrong_kind(f"{name}_bias", "be a tensor", _check.a(bias))
    if bias is not None and bias.shape != weight.shape[:1]:
        must = f"have the shape {tuple(weight.shape[:1])}"
        raise _check.invalid(f"{name}_bias", must, tuple(bias.shape))
    check_devices(input, **{f"{name}_weight": weight, f"{name}_bias": bias})
    device = input.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        # torch's products leave float64 alone.
        input, weight = (t if t.dtype == torch.float64 else t.to(dtype) for t in (input, weight))
        bias = bias if bias is None or bias.dtype == torch.float64 else bias.to(dtype)
    for part, given in (("weight", weight), ("bias", bias)):
        if given is not None and given.dtype != input.dtype:
            must = f"have the dtype of `input`, {input.dtype}"
            raise _check.invalid(f"{name}_{part}", must, given.dtype)
    shape = input.shape[:-1]
    return input.reshape(math.prod(shape), input.shape[-1]), weight, bias, shape


def _advice_on_head(given: Any, name: str) -> str:
    """Say what to give instead of a module, or of a weight that is quantised."""
    weight = getattr(given, "weight", given)
    parts = given.named_modules() if isinstance(given, torch.nn.Module) else ()
    if hasattr(given, "base_layer") or any("lora" in part.lower() for part, _ in parts):
        return (
            "Its .weight leaves the adapter out: merge the adapter first, or call the module and "
            "give the logits to the loss without a head."
        )
    if isinstance(weight, Tensor) and not (weight.is_floating_point() or weight.is_complex()):
        return (
            "A quantised head has no such weight: dequantise it, or call the module and give the "
            "logits to the loss without a head."
        )
    if isinstance(given, torch.nn.Module):
        return f"Give its .weight, and its .bias as {name}_bias."
    return ""


def job_of(rows: Any, o: Options, total: Any, *saved: Tensor | None) -> Job:
    """Return the job of rows of such a total weight; ``saved`` are targets and weights."""
    learnt = needs_gradient(*saved)
    if isinstance(total, Tensor) and total.is_cpu and not (learnt or is_traced()):
        total = float(total) if o.reduction == "mean" else 1.0
    return Job(rows, o, total, learnt, saved)


def run_head(x: Tensor, w: Tensor, b: Tensor | None, job: Job) -> Any:
    """Run the loop where the rows are known numbers, the formula on all logits elsewhere.

    The loop knows gradients of the head and of what it is given, none of targets and weights.
    """
    o = job.options
    x = zero_silent_rows(x, w, job.rows)
    if is_traced() or x.is_meta or job.learnt:
        found = job.rows.plain(torch.nn.functional.linear(x, w, b), slice(None))
        loss = reduce_loss(found[0], o.reduction, job.total, o.empty)
        return (loss, *found[1:]) if len(found) > 1 else loss
    fill = missing_mean(job, x)
    result = run_loop(x, w, b, job)
    if isinstance(fill, float) and not fill:
        return result
    return (result[0] + fill, *result[1:]) if isinstance(result, tuple) else result + fill


def missing_mean(job: Job, x: Tensor) -> Any:
    """Return what is added to a mean over no row, 0.0 where there are some."""
    o = job.options
    if o.reduction == "mean" and isinstance(job.total, Tensor):
        check_can_tell(o.empty, x)
        if o.empty == "nan":
            return torch.where(job.total != 0, 0.0, math.nan)
    elif o.reduction == "mean" and not job.total:
        return empty_mean(o.empty)
    return 0.0


def zero_silent_rows(x: Tensor, w: Tensor, rows: Any) -> Tensor:
    """Return hidden states, with zeros for rows that count for nothing where they may be NaN.

    The weight's gradient is a product with all of them, in which 0 times NaN would be NaN.
    """
    if not needs_gradient(w) or (can_validate(x) and bool(x.detach().sum().isfinite())):
        return x
    counted = rows.counted()
    return x if counted is None else zero_masked_rows(x, counted)


def run_loop(x: Tensor, w: Tensor, b: Tensor | None, job: Job) -> Any:
    """Run the chunk loop under autograd."""
    enabled = torch.is_grad_enabled()
    wants = tuple(t is not None and t.requires_grad and enabled for t in (x, w, b))
    head: Any = Head.apply
    return head(x, w, b, job, wants)
