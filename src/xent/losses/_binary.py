"""Each class is true or not on its own: binary cross-entropy of logits and of probabilities."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent import _check
from xent._kernels import _logistic as kernels
from xent._kernels._jit import in_blocks
from xent._kernels._softmax import add_up
from xent.losses._options import (
    Options,
    at_least_float32,
    can_look,
    check_input,
    check_same_shape,
    check_values,
    check_weight,
    class_axis,
    nothing_to_average,
    options,
    reduced,
    shaped,
    weighed,
)
from xent.losses._softmax import Stats, as_numpy, empty_like, passes_caches

_ONES = np.ones(kernels.BLOCK)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
    *,
    ignore_index: float | None = None,
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """How many nats each yes-or-no answer takes, given the logit of yes.

    loss = - w [ u t log σ(x) + (1 - t) log σ(-x) ], with u = pos_weight

    Parameters
    ----------
    input : Tensor, any shape
        Logits x of yes.
    target : Tensor, the shape of ``input``
        The probability t of yes, 0 to 1; of any dtype.
    weight : Tensor, broadcasts with ``input``, optional
        Weight of each answer.
    size_average, reduce : None
        Deprecated positions of torch.
    reduction : {"mean", "sum", "none"}
        The mean is over all elements that count.
    pos_weight : Tensor, broadcasts with ``input``, optional
        Weight of yes.
    ignore_index : float, optional
        A target whose elements count for nothing.
    label_smoothing : float
        Share of the target that is spread over yes and no, 0 to 1.
    token_weight : Tensor, broadcasts with ``input``, optional
        Weight of each answer, by whose sum the mean divides (``weight`` leaves the mean's divisor).
    temperature, softcap : float
        x = softcap tanh(input / softcap) / temperature.
    empty : {"zero", "nan", "raise"}
        What the mean of no element is.
    stats : bool
        Return (loss, Stats) of each answer as of two classes with the logits 0 (no) and x (yes).

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Examples
    --------
    >>> binary_cross_entropy_with_logits(torch.zeros(2), torch.tensor([0.0, 1.0])).item()  # log 2
    0.6931471824645996

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.90.
    """
    check_input(input, size_average, reduce)
    check_same_shape(input, target)
    o = options(
        reduction,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        empty=empty,
    )
    for name, given in (
        ("weight", weight),
        ("pos_weight", pos_weight),
        ("token_weight", token_weight),
    ):
        check_broadcast(name, given, input)
    answers = target = target if target.is_floating_point() else target.to(torch.float32)
    total: Any = input.numel()
    if not (ignore_index is None and token_weight is None and not label_smoothing):
        target, weight, total = _counted(target, weight, token_weight, ignore_index, o)
    if o.softcap or o.temperature != 1.0:
        input = shaped(input, o)
    told = stats_of_answers(at_least_float32(input), answers, ignore_index) if stats else None
    others = [t for t in (target, weight, pos_weight) if t is not None]
    fast = (
        can_look(input, *others)
        and torch.autograd.forward_ad._current_level < 0
        and not (torch.is_grad_enabled() and any(t.requires_grad for t in others))
    )
    if not fast:
        check_answers(target)
        values = binary_values(at_least_float32(input), target, weight, pos_weight)
        mean = reduced(values, reduction, total, empty)
        return mean if told is None else (mean, told)
    if input.dtype == torch.float16:
        input = input.float()
    count = float(total)
    fill = nothing_to_average(empty) if reduction == "mean" and count == 0 else 0.0
    g = 1.0 / count if reduction == "mean" and count else 1.0
    loss: Tensor = _compiled(input, target, weight, pos_weight, reduction, g)
    loss = loss + fill if fill else loss
    return loss if told is None else (loss, told)


def _counted(
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    ignore_index: float | None,
    o: Options,
) -> tuple[Tensor, Tensor | None, Any]:
    """Return the smoothed target, what each answer weighs, and all of those that count."""
    counted = token_weight
    if ignore_index is not None:
        kept = target != ignore_index
        target = target.where(kept, 0.0)
        counted = kept if counted is None else kept * counted
    if o.label_smoothing:
        check_answers(target)
        target = target * (1 - o.label_smoothing) + o.label_smoothing / 2
    if counted is None:
        return target, weight, target.numel()
    counted = counted.to(target.dtype if target.dtype == torch.float64 else torch.float32)
    total = counted.expand(target.shape).sum(dtype=torch.float64)
    return target, counted if weight is None else weight * counted, total


def stats_of_answers(x: Tensor, target: Tensor, ignore_index: float | None = None) -> Stats:
    """Statistics of answers as of two classes, whose logits are 0 for no and x for yes."""
    kept = torch.ones_like(x, dtype=torch.bool)
    if ignore_index is not None:
        kept = target != ignore_index
        target = target.where(kept, 0.0)
    none = torch.zeros_like(x)
    falsely, missed = binary_values(x, none, None, None), binary_values(x, none + 1, None, None)
    log_prob = -binary_values(x, target, None, None).where(kept, 0.0)
    entropy = binary_values(x, torch.sigmoid(x), None, None)
    return _told(falsely, falsely, missed, log_prob, entropy, target, kept)


def _told(
    lse: Tensor,
    falsely: Tensor,
    missed: Tensor,
    log_prob: Tensor,
    entropy: Tensor,
    target: Tensor,
    kept: Tensor,
) -> Stats:
    yes = missed < falsely
    right = ((yes == (target > 0.5)) & kept).sum().double() / kept.sum()
    return Stats(lse, log_prob, entropy, yes.long(), right.to(lse.dtype))


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


class _Binary(torch.autograd.Function):
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
        dtype = torch.float64 if input.dtype == torch.float64 else torch.float32
        if reduction == "none":
            return values.to(dtype).reshape(input.shape)
        return torch.tensor(total * g, dtype=dtype)

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


_compiled: Any = _Binary.apply


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
    values = np.empty(input.numel() if keep else 0)
    grad = empty_like(input) if wants else None
    total = score_answers(input, target, weight, pos_weight, g, up, grad, values)
    return torch.from_numpy(values), total, grad


def score_answers(
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
    blocks = -(-x.size // kernels.BLOCK)
    w, p, u = (_spread_out(a, input) for a in (weight, pos_weight, up))
    totals = np.empty(blocks)
    out = as_numpy(grad.view(-1)) if grad is not None else x[:0]

    plain = w is _ONES and p is _ONES and u is _ONES
    past = passes_caches(out, x)
    real = np.float64 if x.dtype == np.float64 else np.float32

    def work(start: int, stop: int) -> int:
        part, value = np.empty(2 * kernels.BLOCK, real), np.empty(kernels.BLOCK)
        page = np.empty(kernels.BLOCK, out.dtype)
        return int(
            kernels.answers(
                x, t, w, p, u, plain, g, part, value, page, values, totals, out, past, start, stop
            )
        )

    found = in_blocks(work, blocks, threads=torch.get_num_threads(), least=16)
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


def check_broadcast(name: str, factor: Tensor | None, input: Tensor) -> None:
    """Refuse a weight that does not fit the elements, or is negative, infinite or NaN."""
    if factor is None:
        return
    if not isinstance(factor, Tensor):
        raise _check.wrong_kind(name, "be a tensor", f"a {type(factor).__name__}")
    try:
        fits = np.broadcast_shapes(factor.shape, input.shape) == tuple(input.shape)
    except ValueError:
        fits = False
    if not fits:
        must = f"have a shape that broadcasts to that of `input`, {tuple(input.shape)}"
        raise _check.invalid(name, must, tuple(factor.shape))
    check_values(name, factor, factor >= 0, "be finite and non-negative", below=math.inf)


def check_answers(target: Tensor) -> None:
    """Refuse targets that are no probabilities of yes."""
    check_values("target", target, (target >= 0) & (target <= 1), "be between 0 and 1")


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    *,
    pos_weight: Tensor | None = None,
    ignore_index: float | None = None,
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """How many nats each yes-or-no answer takes, given the probability of yes.

    loss = - w [ u t log p + (1 - t) log(1 - p) ], with u = pos_weight

    Parameters
    ----------
    input : Tensor, any shape
        Probabilities p of yes, 0 to 1.
    target : Tensor, the shape of ``input``
        The probability t of yes, 0 to 1.
    weight : Tensor, broadcasts with ``input``, optional
        Weight of each answer.
    size_average, reduce : None
        Deprecated positions of torch.
    reduction : {"mean", "sum", "none"}
        The mean is over all elements that count.
    pos_weight, ignore_index, label_smoothing, token_weight, empty, stats
        As in `binary_cross_entropy_with_logits`; the log-normaliser of a probability is 0.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Notes
    -----
    An answer held impossible that comes true costs inf: torch cuts it at 100, and its gradient
    with it. Logits keep what a probability near 1 has lost: prefer the loss that takes them.

    Examples
    --------
    >>> binary_cross_entropy(torch.tensor([0.5]), torch.tensor([1.0])).item()  # log 2
    0.6931471824645996

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.90.
    """
    check_input(input, size_average, reduce)
    check_same_shape(input, target)
    o = options(reduction, label_smoothing=label_smoothing, empty=empty)
    for name, given in (
        ("weight", weight),
        ("pos_weight", pos_weight),
        ("token_weight", token_weight),
    ):
        check_broadcast(name, given, input)
    advice = "be between 0 and 1 (for logits use binary_cross_entropy_with_logits)"
    check_values("input", input, (input >= 0) & (input <= 1), advice)
    p = at_least_float32(input)
    answers = target.to(p.dtype)
    t, weight, total = _counted(answers, weight, token_weight, ignore_index, o)
    check_answers(t)

    def cost(t: Tensor, yes: Tensor) -> Tensor:
        missed = -torch.log(p.where(yes != 0, 1.0))
        return yes * missed - (1 - t) * torch.log1p(-p.where(t != 1, 0.0))

    values = cost(t, t if pos_weight is None else t * pos_weight.to(p.dtype))
    if weight is not None:
        values = values * weight.to(p.dtype)
    loss = reduced(values, reduction, total, empty)
    if not stats:
        return loss
    kept = torch.ones_like(p, dtype=torch.bool) if ignore_index is None else target != ignore_index
    t = answers.where(kept, 0.0)
    told = _told(torch.zeros_like(p), p, 1 - p, -cost(t, t).where(kept, 0.0), cost(p, p), t, kept)
    return loss, told


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    *,
    pos_weight: Tensor | None = None,
    ignore_index: float | None = None,
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    axis: int = -1,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """How many nats the answers of a row take on average, given each class's logit of yes.

    loss_n = mean over c of - w_c [ u_c t_c log σ(x_c) + (1 - t_c) log σ(-x_c) ], u = pos_weight

    Parameters
    ----------
    input : Tensor, shape (..., C)
        Logits x of yes.
    target : Tensor, the shape of ``input``
        The probability t of yes, 0 to 1.
    weight : Tensor, broadcasts with ``input``, optional
        Weight of each class.
    size_average, reduce : None
        Deprecated positions of torch.
    reduction : {"mean", "sum", "none"}
        Over rows.
    pos_weight, label_smoothing, temperature, softcap, stats
        As in `binary_cross_entropy_with_logits`.
    ignore_index : float, optional
        A target whose answers count for nothing: a row's mean is over the others.
    token_weight : Tensor, the shape of the rows, optional
        Weight of each row, by whose sum the mean divides.
    axis : int
        Where the classes are: last, as in torch.
    empty : {"zero", "nan", "raise"}
        What the mean of no row is.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Examples
    --------
    >>> multilabel_soft_margin_loss(torch.zeros(1, 3), torch.ones(1, 3)).item()  # log 2
    0.6931471824645996

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.90.
    """
    check_input(input, size_average, reduce)
    o = options(reduction, empty=empty)
    axis = class_axis(input, axis)
    rows = input.shape[:axis] + input.shape[axis + 1 :]
    check_weight("token_weight", token_weight, rows, "row")
    found = binary_cross_entropy_with_logits(
        input, target, weight, reduction="none", pos_weight=pos_weight, ignore_index=ignore_index,
        label_smoothing=label_smoothing, temperature=temperature, softcap=softcap, stats=stats,
    )  # fmt: skip
    values = found[0] if stats else found
    scale = token_weight
    if ignore_index is None:
        values = values.mean(axis)
    else:
        counted = (target != ignore_index).sum(axis)
        values = values.sum(axis) / counted.clamp_min(1)
        some = (counted > 0).to(values.dtype)
        scale = some if scale is None else some * scale
    loss = weighed(values, scale, o)
    return (loss, found[1]) if stats else loss
