"""How far one distribution is from another: Kullback-Leibler and Jensen-Shannon."""

import math
from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses._arguments import (
    Options,
    can_validate,
    check_input,
    check_number,
    check_options,
    check_row_weight,
    check_same_shape,
    check_values,
    class_axis,
)
from xent.losses._device._chunks import runs_on_device
from xent.losses._device._divergence import WrittenDivergence
from xent.losses._device._elements import values_of_elements, values_of_rows
from xent.losses._overrides import overridable
from xent.losses._reduction import (
    apply_weight,
    exact_dtype,
    reduce_loss,
    reduce_weighted,
    scalar_like,
)
from xent.losses._rows._formula import (
    at_least_float32,
    cap_and_scale,
    smooth,
    zero_masked_rows,
)
from xent.losses._rows._stats import stats_of
from xent.losses._rows._targets import advice_on_sum, sum_tolerance


@overridable
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    log_target: bool = False,
    *,
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    axis: int | None = None,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
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
    label_smoothing : float
        Share of the target that is spread evenly over the classes, 0 to 1.
    token_weight : Tensor, the shape of the rows, optional
        Weight of each row; the means divide by them.
    axis : int, optional
        Where the classes are: torch's class dimension if not given, where one is needed. Given,
        it lets the targets be checked for being distributions.
    empty : {"zero", "nan", "raise"}
        What the mean of nothing is.
    stats : bool
        Return (loss, Stats) of each row of ``input``; its log-probability is that expected under
        the target.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError
        If shapes do not fit, a probability or a weight is negative, a row does not sum to 1 where
        ``axis`` is given, or an option is out of range; if nothing counts and ``empty="raise"``.
    TypeError
        If an argument is no tensor, no number or of a dtype that cannot be.

    Notes
    -----
    An outcome of probability 0 is left out of the loss and of every gradient, whatever the model
    says of it. One that happens and that the model excludes costs inf.

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
    check_options(empty=empty, label_smoothing=label_smoothing)
    place = None
    if axis is not None or label_smoothing or stats or token_weight is not None:
        place = class_axis(input, axis)
        check_row_weight(token_weight, input, place)
    token, q = None, target
    if token_weight is not None and place is not None:
        token = token_weight.unsqueeze(place)

    def formula(x: Tensor, target: Tensor, token: Tensor | None) -> Tensor:
        nonlocal q
        x = at_least_float32(x)
        if token is not None:  # of a row of weight 0 there may be anything
            target = target.where((token != 0) | _is_proper(target, log_target), 0.0)
        t, log_t = _with_logarithm(target, log_target, x.dtype)
        if axis is not None and place is not None:
            _check_sums(t.detach(), place, target.dtype, token_weight)
        if label_smoothing and place is not None:
            t = t * (1 - label_smoothing) + label_smoothing / t.shape[place]
            log_t = torch.log(t)
        values = t * (log_t - x.where(t != 0, 0.0))
        q = t
        return values if token is None else apply_weight(values, token)

    total: Any = input.numel()
    if token_weight is not None and place is not None:
        total = token_weight.sum(dtype=exact_dtype(token_weight)) * input.shape[place]
    if reduction == "batchmean":
        total = total / max(1, math.prod(input.shape[1:]))
    if not stats and runs_on_device(input, target, token_weight):
        keep = reduction == "none"
        values = values_of_elements(input, formula, target, token, keep=keep, axis=place)
    else:
        values = formula(input, target, token)
    loss = reduce_loss(values, "mean" if reduction == "batchmean" else reduction, total, empty)
    if not stats or place is None:
        return loss
    log_p, q = at_least_float32(input).movedim(place, -1), q.movedim(place, -1)
    return loss, stats_of(log_p, q, check_options(empty=empty))


def _with_logarithm(target: Tensor, log_target: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return probabilities and their logarithms, these 0 where the probability is."""
    if log_target:
        log_t = target.to(dtype)
        possible = log_t > -math.inf
        log_t = log_t.where(possible | log_t.isnan(), 0.0)
        return log_t.exp().where(possible | log_t.isnan(), 0.0), log_t
    if not target.is_floating_point():
        raise _check.wrong_kind("target", "hold probabilities", target.dtype)
    if can_validate(target):
        must = "be non-negative (are these logarithms? pass log_target=True)"
        check_values("target", target, target >= 0, must)
    t = target.to(dtype)
    possible = t != 0
    t = t.where(possible, 0.0)
    return t, torch.log(t.where(possible, 1.0))


def _is_proper(target: Tensor, log_target: bool) -> Tensor:
    """Say where a target is one."""
    if log_target:
        return target < math.inf
    return (target >= 0) & (target < math.inf)


def _check_sums(t: Tensor, axis: int, dtype: torch.dtype, token_weight: Tensor | None) -> None:
    if not can_validate(t):
        return
    sums = t.sum(axis, dtype=exact_dtype(t))
    good = (sums - 1).abs() <= sum_tolerance(dtype, t.shape[axis])
    if token_weight is not None:
        good |= token_weight == 0
    advice = ""
    if not bool(good.all()):
        worst = (sums - 1).abs().where(~good, 0.0).max().item()
        advice = advice_on_sum(worst)
    check_values("target", sums, good, "sum to 1 over the classes", advice=advice)


@overridable
def js_div(
    input: Tensor,
    target: Tensor,
    *,
    beta: float = 0.5,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    axis: int | None = None,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
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
    label_smoothing : float
        Share of the teacher's probabilities that is spread evenly over the classes, 0 to 1.
    token_weight : Tensor, the shape of the rows, optional
        Weight of each row.
    temperature, softcap : float
        Of both logits, as in `cross_entropy`.
    z_loss : float
        Adds z_loss (log Σ exp z)² of the student's logits z.
    axis : int, optional
        Where the classes are; torch's class dimension if not given.
    empty : {"zero", "nan", "raise"}
        What the mean of no row is.
    stats : bool
        Return (loss, Stats) of the student; the classes that are true are the teacher's.

    Returns
    -------
    Tensor
        In nats, at most log 2 at β = 1/2; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError
        If shapes do not fit, a weight is negative or not finite, or an option is out of range; if
        no row counts and ``empty="raise"``.
    TypeError
        If an argument is no tensor, no number or of a dtype that cannot be.

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
    o = check_options(
        reduction,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        z_loss=z_loss,
        empty=empty,
    )
    beta = check_beta(beta)
    axis = class_axis(input, axis)
    check_row_weight(token_weight, input, axis)
    student, teacher = (logits.movedim(axis, -1) for logits in (input, target))

    def formula(x: Tensor, y: Tensor, token: Tensor | None) -> Tensor:
        z, q = (cap_and_scale(zero_masked_rows(part, token), o) for part in (x, y))
        return js_values(z, q, beta, o)

    if not stats and runs_on_device(input, target, token_weight):
        run = WrittenDivergence(beta, o)
        written = run.values, run.slope
        values = values_of_rows(student, formula, teacher, token_weight, written=written)
    else:
        values = formula(student, teacher, token_weight)
    loss = reduce_weighted(values, token_weight, o)
    if not stats:
        return loss
    z = cap_and_scale(student, o)
    q = smooth(cap_and_scale(teacher, o).to(z.dtype).softmax(-1), label_smoothing)
    return loss, stats_of(z.log_softmax(-1), q, check_options(), z.logsumexp(-1))


def check_beta(beta: float) -> float:
    """Return a mixture's share; refuse one that is none."""
    beta = check_number("beta", beta)
    if not 0 <= beta <= 1:
        raise _check.invalid("beta", "be between 0 and 1", beta)
    return beta


def js_values(student: Tensor, teacher: Tensor, beta: float, o: Options) -> Tensor:
    """Divergence of each row of capped and scaled logits, classes last, and its z-loss."""
    log_p, log_q = student.log_softmax(-1), teacher.to(student.dtype).log_softmax(-1)
    if o.label_smoothing:
        log_q = torch.log(smooth(log_q.exp(), o.label_smoothing))
    if beta == 0:
        values = _divergence(log_q, log_p)
    elif beta == 1:
        values = _divergence(log_p, log_q)
    else:
        floor = torch.finfo(student.dtype).min
        safe_p, safe_q = log_p.clamp_min(floor), log_q.clamp_min(floor)
        mixed = torch.logaddexp(safe_q + math.log(beta), safe_p + math.log1p(-beta))
        of_q, of_p = _divergence(log_q, mixed), _divergence(log_p, mixed)
        values = scalar_like(beta, of_q) * of_q + scalar_like(1 - beta, of_p) * of_p
    if not o.z_loss:
        return values
    return values + scalar_like(o.z_loss, values) * student.logsumexp(-1) ** 2


def _divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """D(p ‖ q), where 0 log 0 = 0 in the value and in the gradient."""
    possible = log_p != -math.inf
    safe = log_p.where(possible, 0.0)
    p = safe.exp().where(possible, 0.0)
    return (p * (safe - log_q.where(possible, 0.0))).sum(-1)
