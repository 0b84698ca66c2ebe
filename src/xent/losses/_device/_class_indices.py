"""Cross-entropy of class indices, without a cap, and without weights of all classes.

Of each chunk torch's fused softmax is taken, and what it rounds away is put back for a number a
row: with q the probability of all classes but the true one, added up without it,

    loss = q + (expm1(l) - l),  l = log softmax(z)_y

where l alone is 0 for a sure row, and the bracket vanishes as l² / 2: so a sure row keeps its
digits, and a wrong one those of l. The gradient at the true class is -q. Kept for backward are
that, the class and whether it counts, and of a few logits, whose work takes less time than its
launch, the probabilities. Smoothing adds the sum of all log p, z-loss
the log-normaliser.
"""

from typing import Any

import torch
from torch import Tensor

from xent.losses._arguments import Options
from xent.losses._device._chunks import InputPart, parts_of
from xent.losses._reduction import exact_dtype, loss_dtype
from xent.losses._rows._autograd import without_inference
from xent.losses._rows._formula import at_least_float32
from xent.losses._torch_private import is_batched

_ELEMENTS = 1 << 23  # 32 MB in float32: what is launched for a chunk takes less time than its work
_FEW_ROWS = 1 << 14  # that one block of threads adds up
_IGNORED = -100
_FEW = 1 << 17  # logits of which backward has the probabilities of forward


class _ClassIndices(torch.autograd.Function):
    """The loss of logits whose classes lie along ``axis``; see the head of this file."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, call: "IndexCall") -> Tensor:
        o, axis = call.options, call.axis
        index = call.target.unsqueeze(axis)
        ignored = index.eq(o.ignore_index)
        if call.token_weight is not None:
            ignored |= call.token_weight.unsqueeze(axis) == 0
        index = index.masked_fill(ignored, 0)
        scale = _row_weights(call, index, ignored)
        parts = parts_of(input.shape, axis, _ELEMENTS)
        log_p, others, lse, spread, p = _columns(input, index, parts, axis, o)
        cost = log_p.sub_(torch.expm1(log_p)).sub_(others)  # negative, as torch's nll takes it
        classes = input.shape[axis]
        cost, at_true, of_p = _with_options(cost, others.neg_(), lse, spread, o, classes)
        if scale is not None:
            ignored |= scale == 0  # a class that weighs nothing
            cost.mul_(scale)
        loss, total = _reduced(cost, ignored, scale, call)
        ctx.call, ctx.parts = call, parts
        saved = call.target, call.weight, call.token_weight  # so that torch sees them overwritten
        ctx.save_for_backward(
            input, at_true, index, ignored, scale, total, of_p, p, *without_inference(*saved)
        )
        return loss

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        (up,) = upstream
        input, at_true, index, ignored, factor, total, of_p, kept = ctx.saved_tensors[:8]
        call = ctx.call
        even = call.options.label_smoothing / input.shape[call.axis]
        if torch.is_grad_enabled() or is_batched(upstream):
            with torch.enable_grad():
                loss = call.plain(input)
                return torch.autograd.grad(loss, input, up, create_graph=True)[0], None
        axis, t = call.axis, call.options.temperature
        g = up.unsqueeze(axis) if call.options.reduction == "none" else up
        g = g if total is None else g / total.to(g.dtype)
        g = g if t == 1.0 else g / t
        g = g if factor is None else g * factor
        single = len(ctx.parts) == 1 and not call.inplace
        grad = None if single else input.detach() if call.inplace else torch.empty_like(input)
        for part in ctx.parts:
            rows = [t if t.dim() < input.dim() else part.of(t) for t in (at_true, index, ignored)]
            out = None if grad is None else part.of(grad)
            direct = grad is not None and not call.inplace and grad.dtype == at_true.dtype
            if kept is None:
                p = _softmax(part.of(input), axis, t, out if direct else None)
                p = p if of_p is None else p.mul_(part.of(of_p))
                p = p.sub_(even) if even else p
                p.scatter_(axis, rows[1], rows[0])
            else:
                p = kept.scatter(axis, rows[1], rows[0])
            if not g.dim():  # one number: it cannot be infinite for a row that is ignored alone
                p.masked_fill_(rows[2], 0.0)
                if out is None and p.dtype != input.dtype:
                    out = torch.empty_like(input)
                    grad = out
                p = p.mul_(g) if out is None else torch.mul(p, g, out=out)
            else:
                p.mul_(part.of(g)).masked_fill_(rows[2], 0.0)
            if out is None:
                return p.to(input.dtype), None
            if p is not out:
                out.copy_(p)
            del p
        return grad, None


def _softmax(z: Tensor, axis: int, temperature: float, out: Tensor | None) -> Tensor:
    z = z if temperature == 1.0 else at_least_float32(z) / temperature
    real = loss_dtype(z)
    if out is None:
        return torch.softmax(z, axis, dtype=real)
    return torch.softmax(z, axis, dtype=real, out=out)


def _columns(
    input: Tensor, index: Tensor, parts: list[InputPart], axis: int, o: Options
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Return log-probabilities of the true classes, and the probability of all others.

    Also the log-normaliser and the sum of all log-probabilities, where an option asks for them, and
    of few logits the probabilities.
    """
    few = None
    log_p, others = (index.new_empty(index.shape, dtype=loss_dtype(input)) for _ in range(2))
    lse = torch.empty_like(log_p) if o.z_loss else None
    spread = torch.empty_like(log_p) if o.label_smoothing else None
    for part in parts:
        z, classes = part.of(input), part.of(index)
        z = z if o.temperature == 1.0 else at_least_float32(z) / o.temperature
        true = z.gather(axis, classes) if lse is not None else None
        z = torch.log_softmax(z, axis, dtype=log_p.dtype)
        torch.gather(z, axis, classes, out=part.of(log_p))
        if lse is not None and true is not None:
            torch.sub(true, part.of(log_p), out=part.of(lse))
        if spread is not None:
            torch.sum(z, axis, keepdim=True, out=part.of(spread))
        z.exp_().scatter_(axis, classes, 0.0)
        torch.sum(z, axis, keepdim=True, out=part.of(others))
        if len(parts) == 1 and z.numel() <= _FEW and lse is spread is None:
            few = z
        del z
    return log_p, others, lse, spread, few


def _with_options(
    cost: Tensor,
    at_true: Tensor,
    lse: Tensor | None,
    spread: Tensor | None,
    o: Options,
    classes: int,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Add smoothing and z-loss to negative costs and to the gradient at the true class.

    Return also by what p is multiplied in the gradient of the other classes.
    """
    of_p, even = None, o.label_smoothing / classes
    if spread is not None:
        cost = cost.mul_(1 - o.label_smoothing).add_(spread, alpha=even)
    if lse is not None:
        cost = cost.sub_(lse.square().mul_(o.z_loss))
        of_p = lse.mul(2 * o.z_loss).add_(1.0)
        at_true = at_true.mul_(of_p).add_(lse, alpha=2 * o.z_loss)
    if spread is not None:
        at_true = at_true.add_(o.label_smoothing - even)
    return cost, at_true, of_p


def _row_weights(call: "IndexCall", index: Tensor, ignored: Tensor) -> Tensor | None:
    """Return the weight of each row, 0 where it is ignored; None where all weigh 1."""
    real, scale = call.real, None
    if call.weight is not None:
        scale = call.weight.to(real)[index]
    if call.token_weight is not None:
        token = call.token_weight.unsqueeze(call.axis).to(real)
        scale = token if scale is None else scale * token
    return None if scale is None else scale.masked_fill(ignored, 0.0)


def _reduced(
    cost: Tensor, ignored: Tensor, scale: Tensor | None, call: "IndexCall"
) -> tuple[Tensor, Tensor | None]:
    """Return the loss of negative costs of rows, and what divided it."""
    o, total = call.options, None
    if scale is None and o.reduction != "none" and 0 < cost.numel() <= _FEW_ROWS:
        classes = ignored.reshape(-1).mul(_IGNORED)  # the class 0 or none
        loss, total = torch.ops.aten.nll_loss_forward.default(
            cost.reshape(-1, 1), classes, None, 2, _IGNORED
        )
    else:
        cost = cost.masked_fill_(ignored, 0.0).neg_()
        if o.reduction == "none":
            return cost.squeeze(call.axis), None
        loss = cost.sum(dtype=exact_dtype(cost))
        if o.reduction == "mean":
            total = (
                cost.numel() - ignored.sum()
                if scale is None
                else scale.sum(dtype=exact_dtype(cost))
            )
    if total is None or o.reduction == "sum":
        return loss.to(cost.dtype), None
    divisor = total.clamp_min(1) if scale is None else total.masked_fill(total == 0, 1.0)
    loss = (loss / divisor).to(cost.dtype)
    return (loss.masked_fill(total == 0, torch.nan) if o.empty == "nan" else loss), divisor


def takes(o: Options, weight: Tensor | None) -> bool:
    """Say whether no option asks for other logits, or for the weight of every class."""
    return not (o.softcap or (o.label_smoothing and weight is not None))


def score_in_place(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    o: Options,
    upstream: Any,
) -> Tensor:
    """Return the losses of rows of logits; overwrite these by ``upstream`` times the gradient.

    ``upstream`` is a number, or one a row; with None the logits are left alone.
    """
    call = IndexCall(logits, target, weight, token_weight, 1, o, True, None)
    index = target.unsqueeze(1)
    ignored = index.eq(o.ignore_index)
    if token_weight is not None:
        ignored |= token_weight.unsqueeze(1) == 0
    index = index.masked_fill(ignored, 0)
    scale = _row_weights(call, index, ignored)
    if scale is not None:
        ignored |= scale == 0
    z = logits if o.temperature == 1.0 else at_least_float32(logits) / o.temperature
    p = torch.log_softmax(z, 1, dtype=call.real)
    log_p = p.gather(1, index)
    lse = z.gather(1, index) - log_p if o.z_loss else None
    spread = p.sum(1, keepdim=True) if o.label_smoothing else None
    others = p.exp_().scatter_(1, index, 0.0).sum(1, keepdim=True)
    cost = log_p.sub_(torch.expm1(log_p)).sub_(others)
    classes = logits.shape[1]
    cost, at_true, of_p = _with_options(cost, others.neg_(), lse, spread, o, classes)
    cost = cost.neg_()
    cost = cost if scale is None else cost.mul_(scale)
    if upstream is not None:
        factor = upstream.unsqueeze(1).to(call.real) if getattr(upstream, "ndim", 0) else upstream
        factor = factor if scale is None else scale * factor
        factor = factor if o.temperature == 1.0 else factor / o.temperature
        p = p if of_p is None else p.mul_(of_p)
        p = p.sub_(o.label_smoothing / classes) if o.label_smoothing else p
        p.scatter_(1, index, at_true)
        logits.copy_(p.mul_(factor).masked_fill_(ignored, 0.0))
    return cost.masked_fill_(ignored, 0.0).squeeze(1)


class IndexCall:
    """One call: targets, weights and options, and the formula of all of it at once."""

    def __init__(
        self,
        input: Tensor,
        target: Tensor,
        weight: Tensor | None,
        token_weight: Tensor | None,
        axis: int,
        options: Options,
        inplace: bool,
        plain: Any,
    ) -> None:
        self.target, self.weight, self.token_weight = target, weight, token_weight
        self.axis, self.options, self.inplace, self.plain = axis, options, inplace, plain
        self.real = loss_dtype(input)


def class_index_loss(input: Tensor, call: IndexCall) -> Tensor:
    """Return the cross-entropy of class indices."""
    loss: Tensor = _class_indices(input, call)
    return loss


_class_indices: Any = _ClassIndices.apply
