"""Yes-or-no answers scored: in torch operations, and by the compiled loops."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent._kernels import _logistic as kernels
from xent._kernels._softmax import add_up
from xent.losses._options import at_least_float32, check_values
from xent.losses._softmax import as_numpy, empty_like, passes_caches
from xent.losses._threads import in_blocks

_ONES = np.ones(kernels.BLOCK)
_ELEMENTS = 1 << 14  # what one thread is worth waking for


def binary_values(
    x: Tensor, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None
) -> Tensor:
    """Loss of every answer in torch operations, with derivatives of every order."""
    t = target.to(x.dtype)
    # softplus of x and of -x share log1p(exp(-|x|)); written without abs: its slope at 0 is 0.
    positive = x > 0
    l = torch.log1p(torch.exp(torch.where(positive, -x, x)))  # noqa: E741
    falsely = torch.where(positive, x, 0.0) + l
    missed = torch.where(positive, 0.0, -x) + l
    no, yes = 1 - t, t if pos_weight is None else t * pos_weight.to(x.dtype)
    values = no * falsely.where(no != 0, 0.0) + yes * missed.where(yes != 0, 0.0)
    # NaN must survive both choices.
    values = torch.where(x == x, values, x)
    return values if weight is None else values * weight.to(x.dtype)


class _Answers(torch.autograd.Function):
    """The compiled answers in eager mode; see `_fused` for why the gradient is a gift."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        target: Tensor,
        weight: Tensor | None,
        pos_weight: Tensor | None,
        reduction: str,
        g: float,
    ) -> Tensor:
        ctx.save_for_backward(input, target, weight, pos_weight)
        ctx.reduction, ctx.g = reduction, g
        wants = ctx.needs_input_grad[0] and reduction != "none"
        values, total, ctx.gift = _score(
            input, target, weight, pos_weight, g, None, wants, reduction == "none"
        )
        return values if reduction == "none" else torch.tensor(total * g, dtype=values.dtype)

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> Any:
        grad, ctx.gift = ctx.gift, None
        if torch.is_grad_enabled():
            input, target, weight, pos_weight = ctx.saved_tensors
            with torch.enable_grad():
                values = binary_values(at_least_float32(input), target, weight, pos_weight)
                out = values if ctx.reduction == "none" else values.sum() * ctx.g
                grad = torch.autograd.grad(out, input, up, create_graph=True)[0]
        elif grad is not None:
            factor = float(up)
            grad = grad.mul_(factor) if factor != 1.0 else grad
        else:
            input, target, weight, pos_weight = ctx.saved_tensors
            each = up if ctx.reduction == "none" else None
            g = 1.0 if ctx.reduction == "none" else ctx.g * float(up)
            grad = _score(input, target, weight, pos_weight, g, each, True, False)[2]
        return grad, None, None, None, None, None


score_answers: Any = _Answers.apply


def _score(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    g: float,
    up: Tensor | None,
    wants: bool,
    keep: bool,
) -> tuple[Tensor, float, Tensor | None]:
    """Values where kept, their sum, and g times up times the gradient where wanted."""
    dtype = torch.float64 if input.dtype == torch.float64 else torch.float32
    # In the input's shape from the start: users may multiply what is no view by a mask in place.
    values = torch.empty(input.shape if keep else 0, dtype=dtype)
    grad = empty_like(input) if wants else None
    total = _run(input, target, weight, pos_weight, g, up, grad, values.view(-1).numpy())
    return values, total, grad


def _run(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    g: float,
    up: Tensor | None,
    grad: Tensor | None,
    values: Any,
) -> float:
    """Fill what is to be filled (``grad`` may be the input); return the sum of all values."""
    x, t = (as_numpy(a.detach().reshape(-1)) for a in (input, target))
    w, p, u = (_spread_out(a, input) for a in (weight, pos_weight, up))
    out = as_numpy(grad.view(-1)) if grad is not None else x[:0]
    plain = w is _ONES and p is _ONES and u is _ONES
    past = passes_caches(out, x)
    alike = plain and not values.size and kernels.suits(x, t, g)
    size = kernels.SPAN if alike else kernels.BLOCK
    blocks = -(-x.size // size)
    totals = np.empty(blocks)

    def work(start: int, stop: int) -> int:
        room = kernels.room_for(x.dtype, alike)
        if alike:
            return int(kernels.add_answers(x, t, g, *room, totals, out, past, start, stop))
        part, value, page = room
        return int(
            kernels.answers(
                x, t, w, p, u, plain, g, part, value, page, values, totals, out, past, start, stop
            )
        )

    found = in_blocks(work, blocks, least=_ELEMENTS // size)
    if max(found, default=-1) >= 0:
        check_answers(target)
    return float(add_up(totals))


def _spread_out(factor: Tensor | None, input: Tensor) -> Any:
    """Return a factor of every element as doubles, or one block of ones."""
    if factor is None:
        return _ONES
    factor = factor.detach().double()
    if factor.numel() == 1:
        return _ONES * factor.item()
    return factor.expand(input.shape).contiguous().view(-1).numpy()


def check_answers(target: Tensor) -> None:
    """Refuse targets that are no probabilities of yes."""
    check_values("target", target, (target >= 0) & (target <= 1), "be between 0 and 1")
