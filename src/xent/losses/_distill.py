"""Heads that learn from answers or from a teacher: multi-label and distillation, without logits.

The rows of `linear_binary_cross_entropy` run compiled on CPU; the teacher's rows are torch
operations on one chunk, whose teacher logits are made and dropped with the chunk.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent import _check
from xent.losses._binary import binary_values, check_answers, score_answers
from xent.losses._divergence import check_beta, js_values
from xent.losses._head import Job
from xent.losses._linear import apply, hidden
from xent.losses._options import (
    at_least_float32,
    can_look,
    check_values,
    check_weight,
    nothing_to_average,
    options,
)


def linear_binary_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: str = "mean",
    empty: str = "zero",
) -> Tensor:
    """How many nats the yes-or-no answers of a linear head take, without its logits in memory.

    loss = binary_cross_entropy_with_logits(input linear_weightᵀ + linear_bias, target)

    Parameters
    ----------
    input : Tensor, shape (N, D)
        Hidden states.
    linear_weight : Tensor, shape (V, D)
        The head, one row a class.
    target : Tensor, shape (N, V) of probabilities, or (M, 2) of integers
        The probability of yes, or the (row, class) of every yes.
    linear_bias : Tensor, shape (V,), optional
        Added to the logits.
    weight, pos_weight : Tensor, shape (V,), optional
        Weight of each class, and of its yes.
    reduction : {"mean", "sum", "none"}
        The mean is over all N V answers; ``"none"`` gives each row's sum, (N,).
    empty : {"zero", "nan", "raise"}
        What the mean of no row is.

    Returns
    -------
    Tensor
        In nats, float32 or better.

    Examples
    --------
    >>> pairs = torch.tensor([[0, 2], [1, 0]])
    >>> linear_binary_cross_entropy(torch.zeros(2, 3), torch.zeros(4, 3), pairs).item()  # log 2
    0.6931471824645996

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.90.
    """
    options(reduction, empty=empty)
    x, w, b, _ = hidden(input, linear_weight, linear_bias)
    if input.dim() != 2:
        raise _check.invalid("input", "have the shape (N, D)", tuple(input.shape))
    classes = w.shape[0]
    for name, given in (("weight", weight), ("pos_weight", pos_weight)):
        check_weight(name, given, w.shape[:1], "class")
    if target.is_floating_point():
        if target.shape != (x.shape[0], classes):
            must = f"have the shape {(x.shape[0], classes)} to be probabilities"
            raise _check.invalid("target", must, tuple(target.shape))
        check_answers(target)
    else:
        target = _sorted_pairs(target, x.shape[0], classes)
    count = x.shape[0] * classes
    fill = nothing_to_average(empty) if reduction == "mean" and not count else 0.0
    g = 1.0 / count if reduction == "mean" and count else 1.0
    rows = BinaryRows(target, weight, pos_weight, classes)
    loss: Tensor = apply(x, w, b, Job(rows, reduction, g))
    return loss + fill if fill else loss


class BinaryRows:
    """Rows of yes-or-no answers in a head."""

    buffers = 2

    def __init__(
        self, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None, classes: int
    ) -> None:
        self.target, self.weight, self.pos_weight = target, weight, pos_weight
        self.classes = classes

    def _answers(self, rows: slice, like: Tensor) -> Tensor:
        if self.target.is_floating_point():
            return self.target[rows]
        start = rows.start or 0
        first, last = torch.searchsorted(
            self.target[:, 0].contiguous(),
            torch.tensor([start, start + like.shape[0]], device=like.device),
        ).tolist()
        pairs = self.target[first:last]
        answers = torch.zeros(like.shape, device=like.device)
        answers[pairs[:, 0] - start, pairs[:, 1]] = 1.0
        return answers

    def plain(self, logits: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """See `HeadRows`."""
        answers = self._answers(rows, logits)
        x = at_least_float32(logits)
        return (binary_values(x, answers, self.weight, self.pos_weight).sum(-1),)

    def fused(
        self, logits: Tensor, rows: slice, g: float, ups: tuple[Tensor | None, ...] | None
    ) -> tuple[Tensor, ...] | None:
        """See `HeadRows`."""
        if logits.dtype == torch.float16 or logits.device.type != "cpu":
            return None
        up = ups[0] if ups else None
        each = None if up is None else up.unsqueeze(-1)
        found = np.empty(logits.numel())
        score_answers(
            logits, self._answers(rows, logits), self.weight, self.pos_weight, g, each,
            logits if ups is not None else None, found,
        )  # fmt: skip
        return (torch.from_numpy(found.reshape(logits.shape).sum(-1)),)


def _sorted_pairs(target: Tensor, count: int, classes: int) -> Tensor:
    if target.dim() != 2 or target.shape[1] != 2:
        raise _check.invalid(
            "target", "have the shape (M, 2) to be index pairs", tuple(target.shape)
        )
    pairs = target.long()
    limits = torch.tensor([count, classes], device=pairs.device)
    good = (pairs >= 0) & (pairs < limits)
    check_values("target", pairs, good, f"hold rows below {count} and classes below {classes}")
    return pairs[pairs[:, 0].argsort(stable=True)]


def linear_kl_div(
    input: Tensor,
    linear_weight: Tensor,
    teacher_input: Tensor | None = None,
    teacher_weight: Tensor | None = None,
    *,
    teacher: tuple[Tensor, Tensor] | None = None,
    linear_bias: Tensor | None = None,
    teacher_bias: Tensor | None = None,
    temperature: float = 1.0,
    token_weight: Tensor | None = None,
    reduction: str = "mean",
    empty: str = "zero",
) -> Tensor:
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
    temperature : float
        Divides the student's logits and a fused teacher's.
    token_weight : Tensor, shape (...), optional
        Weight of each row.
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
    return _distil(
        input, linear_weight, linear_bias, given, teacher, 0.0, temperature, token_weight,
        reduction, empty,
    )  # fmt: skip


def linear_js_div(
    input: Tensor,
    linear_weight: Tensor,
    teacher_input: Tensor,
    teacher_weight: Tensor,
    *,
    beta: float = 0.5,
    linear_bias: Tensor | None = None,
    teacher_bias: Tensor | None = None,
    temperature: float = 1.0,
    token_weight: Tensor | None = None,
    reduction: str = "mean",
    empty: str = "zero",
) -> Tensor:
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
    temperature : float
        Divides both logits.
    token_weight : Tensor, shape (...), optional
        Weight of each row.
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
    return _distil(
        input, linear_weight, linear_bias, given, None, beta, temperature, token_weight,
        reduction, empty,
    )  # fmt: skip


class TeacherRows:
    """Rows of a student beside a teacher's head, or beside what a teacher wrote down."""

    buffers = 4

    def __init__(
        self, head: Any, listed: Any, beta: float, temperature: float, scale: Tensor | None
    ) -> None:
        self.head, self.listed, self.beta = head, listed, beta
        self.temperature, self.scale = temperature, scale

    def plain(self, logits: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """See `HeadRows`."""
        z = at_least_float32(logits) / self.temperature
        if self.listed is None:
            x, w, b = self.head
            theirs = at_least_float32(torch.nn.functional.linear(x[rows], w, b))
            values = js_values(z, theirs / self.temperature, self.beta)
        else:
            values = _coarse_divergence(z, *(part[rows] for part in self.listed))
        return (values if self.scale is None else values * self.scale[rows].to(values.dtype),)

    def fused(
        self, logits: Tensor, rows: slice, g: float, ups: tuple[Tensor | None, ...] | None
    ) -> tuple[Tensor, ...] | None:
        """See `HeadRows`."""
        return None


def _coarse_divergence(z: Tensor, indices: Tensor, log_q: Tensor) -> Tensor:
    """D(q ‖ p) over the listed classes and one more, all the others together."""
    lse = z.logsumexp(-1, keepdim=True)
    log_p = z.gather(-1, indices) - lse
    log_q = log_q.to(z.dtype)
    q = log_q.exp()
    happens = q != 0
    listed = (q * (log_q.where(happens, 0.0) - log_p.where(happens, 0.0))).sum(-1)
    rest = 1 - q.sum(-1)
    # What rounding leaves of a teacher that listed everything is no outcome.
    noise = 4 * torch.finfo(z.dtype).eps * indices.shape[-1]
    some = (rest > noise) & (indices.shape[-1] < z.shape[-1])
    others = z.scatter(-1, indices, -math.inf).logsumexp(-1) - lse.squeeze(-1)
    rest = rest.where(some, 1.0)
    return listed + (rest * (rest.log() - others.where(some, 0.0))).where(some, 0.0)


def _distil(
    input: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    given: Any,
    teacher: Any,
    beta: float,
    temperature: float,
    token_weight: Tensor | None,
    reduction: str,
    empty: str,
) -> Tensor:
    o = options(reduction, temperature=temperature, empty=empty)
    x, w, b, shape = hidden(input, linear_weight, linear_bias)
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
    fill = nothing_to_average(empty) if reduction == "mean" and total == 0 else 0.0
    g = 1.0 / total if reduction == "mean" and total else 1.0
    rows = TeacherRows(head, listed, beta, o.temperature, scale)
    loss: Tensor = apply(x, w, b, Job(rows, reduction, g))
    loss = loss.reshape(shape) if reduction == "none" else loss
    return loss + fill if fill else loss


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
