"""How far one distribution is from another: Kullback-Leibler and Jensen-Shannon."""

import math

import torch
from torch import Tensor

from xent import _check
from xent.losses._options import (
    at_least_float32,
    check_input,
    check_same_shape,
    check_values,
    class_axis,
    options,
    reduced,
)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    log_target: bool = False,
    *,
    empty: str = "zero",
) -> Tensor:
    """How many nats more each outcome takes in the code of the model than in that of the truth.

    loss = t (log t - input), elementwise; a row's sum is D(target ‖ model)

    Parameters
    ----------
    input : Tensor, any shape
        The model's log-probabilities.
    target : Tensor, the shape of ``input``
        Probabilities t of the truth, or their logarithms.
    size_average, reduce : None
        Deprecated positions of torch.
    reduction : {"mean", "batchmean", "sum", "none"}
        ``"batchmean"`` divides the sum by the rows and is the divergence; ``"mean"`` divides by
        the elements, as torch does.
    log_target : bool
        Whether ``target`` holds logarithms.
    empty : {"zero", "nan", "raise"}
        What the mean of nothing is.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Notes
    -----
    An outcome of probability 0 counts for nothing, whatever the model says of it: neither in the
    loss nor in any gradient. One that happens and that the model excludes costs inf.

    Examples
    --------
    >>> log_q = torch.log(torch.tensor([[0.5, 0.5]]))
    >>> kl_div(log_q, torch.tensor([[1.0, 0.0]]), reduction="batchmean").item()  # log 2
    0.6931471824645996

    References
    ----------
    Kullback, S. and Leibler, R. A. (1951). On Information and Sufficiency.
    """
    check_input(input, size_average, reduce)
    check_same_shape(input, target)
    _check.option("reduction", reduction, ("mean", "batchmean", "sum", "none"))
    options(empty=empty)
    x = at_least_float32(input)
    if log_target:
        log_t = target.to(x.dtype)
        happens = log_t > -math.inf
        log_t = log_t.where(happens | log_t.isnan(), 0.0)
        t = log_t.exp().where(happens, 0.0)
    else:
        if not target.is_floating_point():
            raise _check.wrong_kind("target", "hold probabilities", target.dtype)
        good = target >= 0
        must = "be non-negative (are these logarithms? pass log_target=True)"
        check_values("target", target, good, must)
        t = target.to(x.dtype)
        happens = t != 0
        t = t.where(happens, 0.0)
        log_t = torch.log(t.where(happens, 1.0))
    values = t * (log_t - x.where(happens, 0.0))
    if reduction == "batchmean":
        rows = input.shape[0] if input.dim() else 1
        return reduced(values, "sum") / rows if rows else reduced(values, "mean", None, empty)
    return reduced(values, reduction, None, empty)


def js_div(
    input: Tensor,
    target: Tensor,
    *,
    beta: float = 0.5,
    reduction: str = "mean",
    temperature: float = 1.0,
    token_weight: Tensor | None = None,
    axis: int | None = None,
    empty: str = "zero",
) -> Tensor:
    """How far the softmaxes of two rows of logits are apart, as seen from a mixture of both.

    loss = β D(q ‖ m) + (1 - β) D(p ‖ m),  m = β q + (1 - β) p,  p = softmax(input)

    Parameters
    ----------
    input : Tensor, shape (C,), (N, C) or (N, C, d1, ...)
        Logits of the student p.
    target : Tensor, the shape of ``input``
        Logits of the teacher q.
    beta : float
        0 gives D(q ‖ p), the divergence of distillation; 1 gives D(p ‖ q), its reverse; both are
        the limits of the formula divided by β or 1 - β, as in generalised distillation.
    reduction : {"mean", "sum", "none"}
        The mean is over rows, or over their weights.
    temperature : float
        Divides both logits.
    token_weight : Tensor, the shape of the rows, optional
        Weight of each row.
    axis : int, optional
        Where the classes are; torch's class dimension if not given.
    empty : {"zero", "nan", "raise"}
        What the mean of no row is.

    Returns
    -------
    Tensor
        In nats, at most log 2 at β = 1/2; a scalar unless ``reduction="none"``.

    Examples
    --------
    >>> js_div(torch.tensor([[0.0, -100.0]]), torch.tensor([[-100.0, 0.0]])).item()  # log 2
    0.6931471824645996

    References
    ----------
    Agarwal, R. et al. (2024). On-Policy Distillation of Language Models, equation 1.
    """
    check_input(input)
    check_same_shape(input, target)
    if not target.is_floating_point():
        raise _check.wrong_kind("target", "hold logits", target.dtype)
    options(reduction, temperature=temperature, empty=empty)
    check_beta(beta)
    axis = class_axis(input, axis)
    rows = input.shape[:axis] + input.shape[axis + 1 :]
    values = js_values(
        at_least_float32(input).movedim(axis, -1) / temperature,
        at_least_float32(target).movedim(axis, -1) / temperature,
        beta,
    )
    if token_weight is None:
        return reduced(values, reduction, None, empty)
    from xent.losses._options import check_weight

    check_weight("token_weight", token_weight, rows, "row")
    scale = token_weight.to(values.dtype)
    return reduced(values * scale, reduction, scale.sum(), empty)


def check_beta(beta: float) -> None:
    """Refuse a mixture that is none."""
    if not 0 <= beta <= 1:
        raise _check.invalid("beta", "be between 0 and 1", beta)


def js_values(student: Tensor, teacher: Tensor, beta: float) -> Tensor:
    """Divergence of each row of logits, classes last."""
    log_p, log_q = student.log_softmax(-1), teacher.to(student.dtype).log_softmax(-1)
    if beta == 0:
        return _divergence(log_q, log_p)
    if beta == 1:
        return _divergence(log_p, log_q)
    floor = torch.finfo(student.dtype).min
    safe_p, safe_q = log_p.clamp_min(floor), log_q.clamp_min(floor)
    mixed = torch.logaddexp(safe_q + math.log(beta), safe_p + math.log1p(-beta))
    return beta * _divergence(log_q, mixed) + (1 - beta) * _divergence(log_p, mixed)


def _divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """D(p ‖ q), where 0 log 0 = 0 in the value and in the gradient."""
    happens = log_p != -math.inf
    safe = log_p.where(happens, 0.0)
    p = safe.exp().where(happens, 0.0)
    return (p * (safe - log_q.where(happens, 0.0))).sum(-1)
