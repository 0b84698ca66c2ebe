"""Heads that learn from a teacher: distillation without logits.

A teacher's rows are torch operations on one chunk, whose teacher logits are made and dropped with
the chunk.
"""

import math
from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses._divergence import check_beta, js_values
from xent.losses._head import Job
from xent.losses._linear import apply, hidden
from xent.losses._options import (
    Options,
    can_look,
    check_values,
    check_weight,
    nothing_to_average,
    options,
    shaped,
    smoothed,
)
from xent.losses._softmax import Stats


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

    Examples
    --------
    >>> x, w = torch.ones(2, 3), torch.eye(4, 3)
    >>> linear_kl_div(x, w, x, w).item()
    0.0

    References
    ----------
    Hinton, G. et al. (2015). Distilling the Knowledge in a Neural Network.
    """
    given = (teacher_input, teacher_weight, teacher_bias)
    o = options(
        reduction,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        z_loss=z_loss,
        empty=empty,
    )
    head = input, linear_weight, linear_bias
    return _distil(head, given, teacher, 0.0, token_weight, o, stats)


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

    Examples
    --------
    >>> x, w = torch.ones(2, 3), torch.eye(4, 3)
    >>> linear_js_div(x, w, x, w).item()
    0.0

    References
    ----------
    Agarwal, R. et al. (2024). On-Policy Distillation of Language Models, equation 1.
    """
    check_beta(beta)
    given = (teacher_input, teacher_weight, teacher_bias)
    o = options(
        reduction,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        z_loss=z_loss,
        empty=empty,
    )
    head = input, linear_weight, linear_bias
    return _distil(head, given, None, beta, token_weight, o, stats)


class TeacherRows:
    """Rows of a student beside a teacher's head, or beside what a teacher wrote down."""

    buffers = 4

    def __init__(
        self, head: Any, listed: Any, beta: float, scale: Tensor | None, o: Options, stats: bool
    ) -> None:
        self.head, self.listed, self.beta = head, listed, beta
        self.scale, self.options, self.stats = scale, o, stats
        self.right: dict[int, Tensor] = {}  # by the chunk's first row: does the student agree?

    def plain(self, logits: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """See `HeadRows`."""
        o = self.options
        z = shaped(logits, o)
        if self.listed is None:
            x, w, b = self.head
            theirs = shaped(torch.nn.functional.linear(x[rows], w, b), o)
            values = js_values(z, theirs, self.beta, o)
            best = theirs.argmax(-1) if self.stats else None
        else:
            indices, log_q = (part[rows] for part in self.listed)
            values = _coarse_divergence(z, indices, log_q, o)
            best = None
            if self.stats:
                best = indices.gather(-1, log_q.argmax(-1, keepdim=True)).squeeze(-1)
        if self.scale is not None:
            scale = self.scale[rows].to(values.dtype)
            values = (values * scale).where(scale != 0, 0.0)
        if best is None:
            return (values,)
        log_p = z.log_softmax(-1)
        argmax = log_p.argmax(-1)
        self.right[rows.start or 0] = argmax == best
        p = log_p.exp()
        entropy = -(p * log_p.where(p != 0, 0.0)).sum(-1)
        if self.listed is None:
            q = smoothed(theirs.to(z.dtype).softmax(-1), o.label_smoothing)
            log_prob = (q * log_p.where(q != 0, 0.0)).sum(-1)
        else:
            log_prob = -_cross(z, indices, log_q, o)[0]
        return values, z.logsumexp(-1), log_prob, entropy, argmax

    def fused(
        self, logits: Tensor, rows: slice, g: float, ups: tuple[Tensor | None, ...] | None
    ) -> tuple[Tensor, ...] | None:
        """See `HeadRows`."""
        return None


def _cross(z: Tensor, indices: Tensor, log_q: Tensor, o: Options) -> tuple[Tensor, Tensor, Tensor]:
    """Return what q costs in p's code, the listed q, and the rest, which is one class here."""
    classes, listed = z.shape[-1], indices.shape[-1]
    q = log_q.to(z.dtype).exp()
    rest = 1 - q.sum(-1)
    # What rounding leaves of a teacher that listed everything is no outcome.
    noise = 4 * torch.finfo(z.dtype).eps * listed
    rest = rest.where((rest > noise) & (listed < classes), 0.0)
    if o.label_smoothing:
        q = q * (1 - o.label_smoothing) + o.label_smoothing / classes
        rest = rest * (1 - o.label_smoothing) + o.label_smoothing * (classes - listed) / classes
    lse = z.logsumexp(-1, keepdim=True)
    told = ((z.gather(-1, indices) - lse).where(q != 0, 0.0) * q).sum(-1)
    others = z.scatter(-1, indices, -math.inf).logsumexp(-1) - lse.squeeze(-1)
    return -told - rest * others.where(rest != 0, 0.0), q, rest


def _coarse_divergence(z: Tensor, indices: Tensor, log_q: Tensor, o: Options) -> Tensor:
    """D(q ‖ p) over the listed classes and one more, all the others together; and the z-loss."""
    crossed, q, rest = _cross(z, indices, log_q, o)
    own = torch.xlogy(q, q).sum(-1) + torch.xlogy(rest, rest)
    return crossed + own + (o.z_loss * z.logsumexp(-1) ** 2 if o.z_loss else 0.0)


def _distil(
    student: Any,
    given: Any,
    teacher: Any,
    beta: float,
    token_weight: Tensor | None,
    o: Options,
    stats: bool,
) -> Any:
    x, w, b, shape = hidden(*student)
    check_weight("token_weight", token_weight, shape, "row")
    head = listed = None
    if teacher is not None:
        if any(part is not None for part in given):
            raise _check.invalid(
                "teacher", "stand alone", "`teacher_input` or `teacher_weight` too"
            )
        listed = _listed(teacher, shape, w.shape[0])
    elif given[0] is None or given[1] is None:
        raise _check.invalid("teacher", "be given, or teacher_input and teacher_weight", None)
    else:
        tx, tw, tb, theirs = hidden(given[0], given[1], given[2], "teacher")
        if theirs != shape:
            raise _check.invalid("teacher_input", f"have {tuple(shape)} rows", tuple(theirs))
        if tw.shape[0] != w.shape[0]:
            raise _check.invalid("teacher_weight", f"have {w.shape[0]} classes", tw.shape[0])
        head = tx.detach(), tw.detach(), None if tb is None else tb.detach()
    scale = None if token_weight is None else token_weight.reshape(-1)
    total = float(x.shape[0]) if scale is None else float(scale.sum())
    fill = nothing_to_average(o.empty) if o.reduction == "mean" and total == 0 else 0.0
    g = 1.0 / total if o.reduction == "mean" and total else 1.0
    rows = TeacherRows(head, listed, beta, scale, o, stats)
    found = apply(x, w, b, Job(rows, o.reduction, g))
    loss = found[0] if stats else found
    loss = loss.reshape(shape) if o.reduction == "none" else loss
    loss = loss + fill if fill else loss
    if not stats:
        return loss
    right = torch.cat(list(rows.right.values())).double().mean()
    rows_of: Any = (t.reshape(shape) for t in found[1:])
    return loss, Stats._make((*rows_of, right.to(found[1].dtype)))


def _listed(teacher: Any, shape: torch.Size, classes: int) -> tuple[Tensor, Tensor]:
    indices, log_probs = teacher
    if indices.is_floating_point() or not log_probs.is_floating_point():
        raise _check.wrong_kind(
            "teacher", "be (indices, log_probs)", (indices.dtype, log_probs.dtype)
        )
    if indices.shape != log_probs.shape or indices.shape[:-1] != shape:
        must = f"hold two tensors of shape {(*shape, 'K')}"
        raise _check.invalid("teacher", must, f"{tuple(indices.shape)}, {tuple(log_probs.shape)}")
    good = (indices >= 0) & (indices < classes)
    check_values("teacher", indices, good, f"hold classes, 0 to {classes - 1}")
    check_values("teacher", log_probs, log_probs <= 0, "hold log-probabilities, at most 0")
    flat = indices.reshape(-1, indices.shape[-1]).long()
    if can_look(flat) and flat.shape[-1] > 1:
        ordered = flat.sort(-1).values
        twice = (ordered[:, 1:] == ordered[:, :-1]).any(-1)
        if bool(twice.any()):
            row = int(twice.nonzero()[0])
            raise _check.invalid("teacher", "list a class once a row", f"one twice at [{row}]")
    total = log_probs.detach().double().exp().sum(-1)
    slack = 4 * torch.finfo(log_probs.dtype).eps * max(indices.shape[-1], 2) + 1e-6
    check_values("teacher", total, total <= 1 + slack, "hold probabilities that sum to at most 1")
    return flat, log_probs.detach().reshape(flat.shape)
