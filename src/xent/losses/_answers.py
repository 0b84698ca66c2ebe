"""Yes-or-no answers scored: in torch operations, and by the compiled loops."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent import _check
from xent._kernels.rows import binary as kernels
from xent._kernels.rows import weighted_binary as weighted
from xent._kernels.rows.sums import compensated_sum
from xent.losses._options import at_least_float32, batched, check_values, number
from xent.losses._softmax import as_numpy, empty_like, passes_caches
from xent.losses._threads import in_blocks

_ELEMENTS = 1 << 14  # what one thread is worth waking for
_TABLE = 1 << 15  # elements of a table of weights at most, which should stay near the processor
_SHORT = 16  # elements that one weight holds for, below which each is given its own
_CHUNK = kernels.CHUNK
_ONCE = {real: np.ones(1, real) for real in (np.float32, np.float64)}


def binary_values(
    x: Tensor, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None
) -> Tensor:
    """Loss of every answer in torch operations, with derivatives of every order."""
    t = target.to(x.dtype)
    if weight is not None:  # what weighs nothing is nothing, NaN too
        x = x.where((weight != 0) | x.isfinite(), 0.0)
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
        if torch.is_grad_enabled() or batched((up,)):
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
            each, g = None, ctx.g
            if ctx.reduction == "none" and (any(up.stride()) or not up.numel()):
                each = up
            else:  # one number for all, as a sum sends it
                g *= float(up[(0,) * up.dim()])
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
    if not input.numel():
        check_weights(weight=weight, pos_weight=pos_weight)
        return 0.0
    # Strided arrays would be compiled for once more.
    x, t = (as_numpy(a.detach().reshape(-1).contiguous()) for a in (input, target))
    out = as_numpy(grad.view(-1)) if grad is not None else x[:0]
    past = passes_caches(out, x)
    blocks = -(-x.size // kernels.SPAN)
    totals = np.empty(blocks if up is None else 0)
    plain = weight is None and pos_weight is None and up is None and not values.size
    weights = None
    if not (plain and kernels.can_sum_in_float32(x, t, g)):
        weights = Weights(x, t, input.shape, weight, pos_weight, up)

    def work(start: int, stop: int) -> int:
        rest = (totals, out, past, start, stop)
        if weights is not None:
            return weights.score(x, t, g, weights.room(x.dtype), values, *rest)
        return int(kernels.sum_of_losses(x, t, g, kernels.buffers_for(x.dtype), *rest))

    found = in_blocks(work, blocks, least=_ELEMENTS // kernels.SPAN)
    if min(found, default=-1) < -1:
        check_weights(weight=weight, pos_weight=pos_weight)
    if max(found, default=-1) >= 0:
        check_answers(target)
    return float(compensated_sum(totals)) if up is None else 0.0


class Weights:
    """What the elements of one call weigh, for the compiled loops.

    Parameters
    ----------
    x, target : ndarray
        Flat logits and answers, or some that are like them.
    shape : torch.Size
        Of all logits.
    weight, pos_weight, up : Tensor, broadcast with the logits, optional
        Weight of each answer and of each yes; what multiplies the gradient.
    """

    def __init__(
        self, x: Any, target: Any, shape: Any,
        weight: Tensor | None, pos_weight: Tensor | None, up: Tensor | None = None,
    ) -> None:  # fmt: skip
        given = [a for a in (weight, pos_weight, up) if a is not None]
        small = all(a.dtype in _SMALL for a in given)
        self.single = x.itemsize < 8 and target.itemsize < 8
        small = small and self.single
        kind = torch.float32 if small else torch.float64
        real: Any = np.float32 if small else np.float64
        count = shape.numel()
        found = [
            (_ONCE[real], count) if a is None else _laid_out(a.detach().to(kind), shape)
            for a in (weight, pos_weight, up)
        ]
        self.factors = [factor for factor, _ in found]
        self.inners = tuple(max(inner, 1) for _, inner in found)
        if up is None:
            self.factors[2] = self.factors[2][:0]
        # Whose weights come again and again, each for one element, goes by a table; so do those
        # that are as many as the elements, if there are no others: that table stands in memory.
        self.period, self.kind = 0, -1
        if weight is not None and pos_weight is not None:
            real = np.float64  # for a product
        self.no = self.yes = np.empty(0, real)
        if not self.single or up is not None:
            return
        first = self.factors[0]
        if first.size == count > _CHUNK and pos_weight is None:
            self.no = self.yes = first
            self.period = count
            return
        periods = [
            f.size for f, inner in zip(self.factors[:2], self.inners, strict=False) if inner < count
        ]
        period = max(periods, default=1)
        if period <= _TABLE and all(inner == 1 or inner == count for inner in self.inners[:2]):
            self.period = period
            self.no, self.yes = (np.empty(period + _CHUNK, real) for _ in range(2))
            self.kind = int(weighted.fill_weight_table(self._factors(self.no, self.yes)))

    def _factors(self, negative: Any, positive: Any) -> weighted.Factors:
        weight, pos_weight, up = self.factors
        return weighted.Factors(
            weight, pos_weight, up, self.inners, negative, positive, self.period, self.kind
        )

    def room(self, dtype: Any) -> tuple[weighted.Factors, kernels.Buffers]:
        """Allocate what the loops of one thread work in."""
        real = self.no.dtype
        tables = (self.no, self.yes)
        if not self.period:
            tables = (np.empty(_CHUNK, real), np.empty(_CHUNK, real))
        terms = np.float32 if self.single else np.float64
        return self._factors(*tables), kernels.buffers_for(dtype, terms)

    def score(
        self, x: Any, target: Any, g: float, room: tuple[weighted.Factors, kernels.Buffers],
        values: Any, totals: Any, out: Any, past: bool, start: int, stop: int,
    ) -> int:  # fmt: skip
        """Run the loops over some spans; see `weighted_losses`."""
        factors, buffers = room
        rest = (buffers, weighted.Outputs(values, totals, out), past, start, stop)
        if self.single:
            fits = kernels.in_range(g)
            return int(weighted.weighted_losses(x, target, factors, g, fits, *rest))
        return int(weighted.weighted_losses_float64(x, target, factors, g, *rest))


_SMALL = (torch.float32, torch.bfloat16, torch.float16, torch.bool, torch.uint8, torch.int8)


def _laid_out(factor: Tensor, shape: Any) -> tuple[Any, int]:
    """Return the numbers of a factor, and for how many elements each holds before the next."""
    if factor.numel() == 1:
        return factor.reshape(1).numpy(), shape.numel()
    if factor.is_contiguous() and factor.shape == shape[len(shape) - factor.dim() :]:
        return factor.reshape(-1).numpy(), 1
    spread = factor.expand(shape)
    varies = [d for d, n in enumerate(shape) if n > 1 and spread.stride(d)]
    first, last = (varies[0], varies[-1]) if varies else (len(shape), -1)
    inner = shape[last + 1 :].numel()
    whole = all(d in varies or shape[d] == 1 for d in range(first, last + 1))
    if not whole or 1 < inner < _SHORT < shape.numel():
        return spread.reshape(-1).contiguous().numpy(), 1
    index = tuple(slice(None) if first <= d <= last else 0 for d in range(len(shape)))
    return spread[index].reshape(-1).contiguous().numpy(), inner


def check_weights(**factors: Tensor | None) -> None:
    """Refuse weights that are negative, infinite or NaN."""
    for name, factor in factors.items():
        if factor is not None:
            check_values(name, factor, factor >= 0, "be finite and non-negative", below=math.inf)


def ignored(ignore_index: Any) -> float | None:
    """Return the target that counts for nothing as a number; NaN equals no target."""
    if ignore_index is None:
        return None
    found = number("ignore_index", ignore_index)
    if math.isnan(found):
        advice = "Mark those targets with another number, as target.nan_to_num(-1.0) does."
        raise _check.invalid("ignore_index", "be a number that a target can equal", found, advice)
    return found


def check_answers(target: Tensor) -> None:
    """Refuse targets that are no probabilities of yes."""
    check_values("target", target, (target >= 0) & (target <= 1), "be between 0 and 1")
