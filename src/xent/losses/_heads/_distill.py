"""Heads that learn from a teacher: distillation without logits."""

import math
from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses._arguments import (
    Options,
    can_validate,
    check_devices,
    check_options,
    check_values,
    check_weight,
)
from xent.losses._divergence import check_beta
from xent.losses._heads._head import check_head, job_of, run_head
from xent.losses._heads._operator import (
    is_compiled,
    register_head,
    scored,
    sloped,
    wanted_of,
)
from xent.losses._heads._teacher import TeacherRows
from xent.losses._overrides import overridable
from xent.losses._reduction import exact_dtype
from xent.losses._rows._chunks import Job
from xent.losses._rows._stats import with_row_shape


@overridable
def linear_kl_div(
    input: Tensor,
    linear_weight: Tensor,
    teacher_input: Tensor | None = None,
    teacher_weight: Tensor | None = None,
    *,
    teacher: tuple[Tensor, Tensor] | None = None,
    linear_bias: Tensor | None = None,
    teacher_bias: Tensor | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """How many nats more the teacher's outcomes take in the student's code, both heads fused.

    loss_n = D(q_n ‖ p_n), q the teacher's softmax and p the student's

    Parameters
    ----------
    input : Tensor, shape (..., D)
        The student's hidden states.
    linear_weight : Tensor, shape (V, D)
        The student's head.
    teacher_input, teacher_weight : Tensor, shapes (..., E) and (V, E)
        The teacher's; no gradient reaches them.
    teacher : (indices, log_probs), shapes (..., K), optional
        Instead: the teacher's K most probable classes, written down beforehand at the temperature
        wanted. All other classes together count as one, so this never exceeds the full divergence.
    linear_bias, teacher_bias : Tensor, shape (V,), optional
        Added to the logits.
    label_smoothing, token_weight, z_loss, stats
        As in `js_div`.
    temperature, softcap : float
        Of the student's logits and a fused teacher's.
    reduction : {"mean", "sum", "none"}
        The mean is over rows, or over their weights.
    empty : {"zero", "nan", "raise"}
        What the mean of no row is.

    Returns
    -------
    Tensor
        In nats, at least 0; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError
        If a head does not fit its input or the other head, no teacher or two are given, a list of
        classes is not one of log-probabilities, a weight is negative or not finite, or an option is
        out of range; if no row counts and ``empty="raise"``.
    TypeError
        If an argument is no tensor, no number or of a dtype that cannot be.

    Examples
    --------
    >>> x, w = torch.ones(2, 3), torch.eye(4, 3)
    >>> linear_kl_div(x, w, x, w).item()
    0.0

    References
    ----------
    Hinton, G. et al. (2015). Distilling the Knowledge in a Neural Network.
    """
    teacher_head = (teacher_input, teacher_weight, teacher_bias)
    o = check_options(
        reduction,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        z_loss=z_loss,
        empty=empty,
    )
    head = input, linear_weight, linear_bias
    return _distill(head, teacher_head, teacher, 0.0, token_weight, o, stats)


@overridable
def linear_js_div(
    input: Tensor,
    linear_weight: Tensor,
    teacher_input: Tensor,
    teacher_weight: Tensor,
    *,
    beta: float = 0.5,
    linear_bias: Tensor | None = None,
    teacher_bias: Tensor | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """How far student and teacher are apart, seen from a mixture of both; both heads fused.

    loss_n = β D(q ‖ m) + (1 - β) D(p ‖ m),  m = β q + (1 - β) p, see `js_div`

    Parameters
    ----------
    input : Tensor, shape (..., D)
        The student's hidden states.
    linear_weight : Tensor, shape (V, D)
        The student's head.
    teacher_input, teacher_weight : Tensor, shapes (..., E) and (V, E)
        The teacher's; no gradient reaches them.
    beta : float
        0 gives D(q ‖ p), 1 gives D(p ‖ q).
    linear_bias, teacher_bias : Tensor, shape (V,), optional
        Added to the logits.
    label_smoothing, token_weight, temperature, softcap, z_loss, stats
        As in `js_div`.
    reduction : {"mean", "sum", "none"}
        The mean is over rows, or over their weights.
    empty : {"zero", "nan", "raise"}
        What the mean of no row is.

    Returns
    -------
    Tensor
        In nats; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        As in `linear_kl_div`; also if ``beta`` is not between 0 and 1.

    Examples
    --------
    >>> x, w = torch.ones(2, 3), torch.eye(4, 3)
    >>> linear_js_div(x, w, x, w).item()
    0.0

    References
    ----------
    Agarwal, R. et al. (2024). On-Policy Distillation of Language Models, equation 1.
    """
    beta = check_beta(beta)
    teacher_head = (teacher_input, teacher_weight, teacher_bias)
    o = check_options(
        reduction,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        z_loss=z_loss,
        empty=empty,
    )
    head = input, linear_weight, linear_bias
    return _distill(head, teacher_head, None, beta, token_weight, o, stats)


def _distill(
    student: Any,
    teacher_head: Any,
    teacher: Any,
    beta: float,
    token_weight: Tensor | None,
    o: Options,
    stats: bool,
) -> Any:
    x, w, b, shape = check_head(*student)
    check_weight("token_weight", token_weight, shape, "row")
    check_devices(x, token_weight=token_weight)
    head = top_classes = None
    if teacher is not None:
        if any(part is not None for part in teacher_head):
            got = "`teacher_input` or `teacher_weight` too"
            raise _check.invalid("teacher", "stand alone", got)
        top_classes = _flat_top_classes(teacher, shape)
    elif teacher_head[0] is None or teacher_head[1] is None:
        raise _check.invalid("teacher", "be given, or teacher_input and teacher_weight", None)
    else:
        tx, tw, tb, rows_of_teacher = check_head(
            teacher_head[0], teacher_head[1], teacher_head[2], "teacher"
        )
        if rows_of_teacher != shape:
            must = f"have {tuple(shape)} rows"
            raise _check.invalid("teacher_input", must, tuple(rows_of_teacher))
        if tw.shape[0] != w.shape[0]:
            raise _check.invalid("teacher_weight", f"have {w.shape[0]} classes", tw.shape[0])
        head = tx.detach(), tw.detach(), None if tb is None else tb.detach()
    row_weight = None if token_weight is None else token_weight.reshape(-1)
    given = *(head or (None,) * 3), *(top_classes or (None,) * 2), row_weight
    if not stats and is_compiled(*given):
        loss: Tensor = compiled_teacher_loss(x, w, b, given, o, beta)
        return loss.reshape(shape) if o.reduction == "none" else loss
    job, rows = teacher_job(given, o, beta, stats, x, w.shape[0])
    found = run_head(x, w, b, job)
    loss, *columns = found if stats else (found,)
    loss = loss.reshape(shape) if o.reduction == "none" else loss
    if not stats:
        return loss
    accuracy = torch.cat(list(rows.right.values())).to(exact_dtype(x)).mean()
    return loss, with_row_shape(columns, shape, accuracy)


def teacher_job(
    given: tuple[Tensor | None, ...], o: Options, beta: float, stats: bool, x: Tensor, classes: int
) -> tuple[Job, TeacherRows]:
    """Return the job of rows beside a teacher (its head or list; their weights), and the rows."""
    tx, tw, tb, indices, log_probs, row_weight = given
    head = top_classes = None
    if tx is not None:
        head = tx, tw, tb
    elif indices is not None and log_probs is not None:
        top_classes = _check_top_classes(indices, log_probs, classes, row_weight)
    rows = TeacherRows(head, top_classes, beta, row_weight, o, stats, x.shape[0])
    total = x.shape[0] if row_weight is None else row_weight.sum(dtype=exact_dtype(x))
    return job_of(rows, o, total, *(head or top_classes or ()), row_weight), rows


def _flat_top_classes(teacher: Any, shape: torch.Size) -> tuple[Tensor, Tensor]:
    """Return the classes that a teacher listed, and their log-probabilities, row by row."""
    if not (isinstance(teacher, tuple | list) and len(teacher) == 2):
        got = _check.a(teacher)
        raise _check.wrong_kind("teacher", "be two tensors, (indices, log_probs)", got)
    indices, log_probs = teacher
    if not (isinstance(indices, Tensor) and isinstance(log_probs, Tensor)):
        raise _check.wrong_kind("teacher", "be two tensors, (indices, log_probs)", "others")
    if indices.is_floating_point() or not log_probs.is_floating_point():
        raise _check.wrong_kind(
            "teacher", "be (indices, log_probs)", (indices.dtype, log_probs.dtype)
        )
    if indices.shape != log_probs.shape or indices.shape[:-1] != shape:
        must = f"hold two tensors of shape {(*shape, 'K')}"
        raise _check.invalid("teacher", must, f"{tuple(indices.shape)}, {tuple(log_probs.shape)}")
    flat = indices.reshape(-1, indices.shape[-1])
    return flat, log_probs.detach().reshape(flat.shape)


def _check_top_classes(
    indices: Tensor, log_probs: Tensor, classes: int, token_weight: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Refuse a list that is none; return it, changed where a row weighs 0."""
    if token_weight is not None:  # of a row of weight 0 there may stand anything
        counts, listed = (token_weight != 0).unsqueeze(-1), indices.shape[-1]
        indices = indices.where(counts, torch.arange(listed, device=indices.device) % classes)
        log_probs = log_probs.where(counts, -math.log(max(listed, classes)))
    good = (indices >= 0) & (indices < classes)
    check_values("teacher", indices, good, f"hold classes, 0 to {classes - 1}")
    check_values("teacher", log_probs, log_probs <= 0, "hold log-probabilities, at most 0")
    flat = indices.long()
    if can_validate(flat) and flat.shape[-1] > 1:
        ordered = flat.sort(-1).values
        twice = (ordered[:, 1:] == ordered[:, :-1]).any(-1)
        if bool(twice.any()):
            row = int(twice.nonzero()[0])
            raise _check.invalid("teacher", "list a class once a row", f"one twice at [{row}]")
    total = log_probs.to(exact_dtype(log_probs)).exp().sum(-1)
    slack = 4 * torch.finfo(log_probs.dtype).eps * max(indices.shape[-1], 2) + 1e-6
    check_values("teacher", total, total <= 1 + slack, "hold probabilities that sum to at most 1")
    return flat, log_probs


@torch.library.custom_op("xent::linear_teacher_loss", mutates_args=())
def _teacher_operator(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    tx: Tensor | None,
    tw: Tensor | None,
    tb: Tensor | None,
    indices: Tensor | None,
    log_probs: Tensor | None,
    row_weight: Tensor | None,
    reduction: str,
    label_smoothing: float,
    temperature: float,
    softcap: float,
    z_loss: float,
    empty: str,
    beta: float,
    wants_x: bool,
    wants_w: bool,
    wants_b: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the loss, and the gradients or nothing."""
    o = Options(reduction, -100, label_smoothing, temperature, softcap, z_loss, empty)
    given = tx, tw, tb, indices, log_probs, row_weight
    job, _ = teacher_job(given, o, beta, False, x, w.shape[0])
    return scored(x, w, b, job, (wants_x, wants_w, wants_b))


@torch.library.custom_op("xent::linear_teacher_loss_backward", mutates_args=())
def _teacher_backward_operator(
    upstream: Tensor,
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    tx: Tensor | None,
    tw: Tensor | None,
    tb: Tensor | None,
    indices: Tensor | None,
    log_probs: Tensor | None,
    row_weight: Tensor | None,
    reduction: str,
    label_smoothing: float,
    temperature: float,
    softcap: float,
    z_loss: float,
    empty: str,
    beta: float,
    wants_x: bool,
    wants_w: bool,
    wants_b: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    o = Options(reduction, -100, label_smoothing, temperature, softcap, z_loss, empty)
    given = tx, tw, tb, indices, log_probs, row_weight
    job, _ = teacher_job(given, o, beta, False, x, w.shape[0])
    return sloped(upstream, x, w, b, job, (wants_x, wants_w, wants_b))


register_head(_teacher_operator, _teacher_backward_operator, 9)


def compiled_teacher_loss(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    given: tuple[Tensor | None, ...],
    o: Options,
    beta: float,
) -> Tensor:
    """Return the loss of a student's head within a graph of torch.compile."""
    loss: Tensor = _teacher_operator(
        x, w, b, *given, o.reduction, o.label_smoothing, o.temperature, o.softcap, o.z_loss,
        o.empty, beta, *wanted_of(x, w, b),
    )[0]  # fmt: skip
    return loss
