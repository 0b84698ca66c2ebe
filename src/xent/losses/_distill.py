"""Heads that learn from a teacher: distillation without logits.

The teacher's logits are made chunk by chunk beside the student's. A first gradient is written down
in place; second ones and statistics take the formula in torch operations.
"""

import math
from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses._divergence import check_beta, js_values
from xent.losses._linear import apply, hidden, job_of
from xent.losses._options import (
    Options,
    can_look,
    check_devices,
    check_values,
    check_weight,
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
        self,
        head: Any,
        listed: Any,
        beta: float,
        scale: Tensor | None,
        o: Options,
        stats: bool,
        count: int,
    ) -> None:
        self.head, self.listed, self.beta = head, listed, beta
        self.scale, self.options, self.stats, self.count = scale, o, stats, count
        self.rooms: dict[str, Tensor] = {}
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
        """See `HeadRows`: `plain` and its gradient written down, in buffers that all chunks share.

        What torch allocates for one chunk its heap may not find room for in the next.
        """
        if self.stats:
            return None
        o = self.options
        with torch.no_grad():
            dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
            z = logits if logits.dtype == dtype else self._room("z", logits, dtype).copy_(logits)
            slope = _bend(z, o, None if ups is None else self._room("slope", z, dtype))
            spare = self._room("spare", z, dtype)
            lse = _log_softmax(z, spare)
            scale = None if self.scale is None else self.scale[rows].to(dtype)
            push = torch.full_like(lse, g)
            push = push if not ups or ups[0] is None else push * ups[0].to(dtype).unsqueeze(-1)
            push = push if scale is None else push * scale.unsqueeze(-1)
            pull = 2 * o.z_loss * lse if o.z_loss else 0.0
            if self.listed is not None:
                values = self._listed(z, rows, pull, spare)
            else:
                values = self._taught(z, rows, pull, spare)
            values = values + o.z_loss * lse * lse if o.z_loss else values
            values = values.squeeze(-1)
            if scale is not None:
                values = (values * scale).where(scale != 0, 0.0)
            if ups is not None:
                z.mul_(push / o.temperature)
                if slope is not None:
                    z.mul_(slope)
                z.masked_fill_(push == 0, 0.0)
                if z is not logits:
                    logits.copy_(z)
            if rows.stop == self.count:
                self.rooms.clear()
        return (values,)

    def _room(self, name: str, like: Tensor, dtype: torch.dtype) -> Tensor:
        if name not in self.rooms:
            self.rooms[name] = torch.empty(like.shape, dtype=dtype, device=like.device)
        return self.rooms[name][: like.shape[0]]

    def _taught(self, log_p: Tensor, rows: slice, pull: Any, p: Tensor) -> Tensor:
        """Return the divergences of log-probabilities; overwrite those by the gradient."""
        x, w, b = self.head
        log_q = self._room("teacher", log_p, log_p.dtype)
        theirs = log_q if w.dtype == log_q.dtype else self._room("half", log_p, w.dtype)
        torch.mm(x[rows], w.t(), out=theirs)
        if b is not None:
            theirs.add_(b)
        if theirs is not log_q:
            log_q.copy_(theirs)
        _bend(log_q, self.options, None)
        _log_softmax(log_q, p)
        smoothing, beta = self.options.label_smoothing, self.beta
        if smoothing:
            log_q.exp_().mul_(1 - smoothing).add_(smoothing / log_q.shape[-1]).log_()
        never = self._room("never", log_p, torch.bool)
        if beta == 0:
            q = torch.exp(log_q, out=self._room("q", log_p, log_p.dtype))
            log_q.sub_(log_p).masked_fill_(torch.eq(q, 0, out=never), 0.0)
            values = log_q.mul_(q).sum(-1, keepdim=True)
            log_p.exp_().mul_(1 + pull).sub_(q)
            return values
        if beta == 1:
            torch.exp(log_p, out=p)
            log_p.sub_(log_q).masked_fill_(torch.eq(p, 0, out=never), 0.0)
            values = torch.mul(log_p, p, out=log_q).sum(-1, keepdim=True)
            log_p.sub_(values - pull).mul_(p)
            return values
        floor, mine, its = torch.finfo(log_p.dtype).min, math.log1p(-beta), math.log(beta)
        torch.exp(log_p, out=p)
        q = torch.exp(log_q, out=self._room("q", log_p, log_p.dtype))
        log_q.clamp_min_(floor).add_(its)
        log_p.clamp_min_(floor).add_(mine)
        mixed = torch.logaddexp(log_q, log_p, out=self._room("mixed", log_p, log_p.dtype))
        far = log_q.sub_(mixed).sub_(its).mul_(q).sum(-1, keepdim=True)
        near = torch.mul(log_p.sub_(mixed).sub_(mine), p, out=mixed).sum(-1, keepdim=True)
        log_p.sub_(near).mul_(1 - beta).add_(pull).mul_(p)
        return beta * far + (1 - beta) * near

    def _listed(self, log_p: Tensor, rows: slice, pull: Any, spare: Tensor) -> Tensor:
        """Do the same for a teacher's list."""
        indices, log_q = (part[rows] for part in self.listed)
        q, rest = _shares(log_q.to(log_p.dtype), log_p.shape[-1], self.options.label_smoothing)
        told = log_p.gather(-1, indices)
        log_p.scatter_(-1, indices, -math.inf)
        top = log_p.max(-1, keepdim=True).values
        top = top.where(top > -math.inf, 0.0)
        sums = torch.sub(log_p, top, out=spare).exp_().sum(-1, keepdim=True)
        rest = rest.unsqueeze(-1)
        others = (top + sums.log()).where(rest != 0, 0.0)
        whole = q.sum(-1, keepdim=True) + rest + pull
        log_p.exp_().mul_(whole).sub_(spare.mul_((rest / sums).where(rest != 0, 0.0)))
        log_p.scatter_(-1, indices, told.exp() * whole - q)
        own = torch.xlogy(q, q) - q * told.where(q != 0, 0.0)
        return own.sum(-1, keepdim=True) + torch.xlogy(rest, rest) - rest * others


def _bend(z: Tensor, o: Options, slope: Tensor | None) -> Tensor | None:
    """Cap and divide logits in place; fill and return the cap's slope."""
    if o.softcap:
        z.div_(o.softcap).tanh_()
        if slope is not None:
            torch.mul(z, z, out=slope).neg_().add_(1)
        z.mul_(o.softcap)
    if o.temperature != 1.0:
        z.div_(o.temperature)
    return slope if o.softcap else None


def _log_softmax(z: Tensor, spare: Tensor) -> Tensor:
    """Overwrite logits by their log-probabilities; return log-normalisers."""
    top, k = z.max(-1, keepdim=True)
    z.sub_(top)
    log = torch.exp(z, out=spare).scatter_(-1, k, 0.0).sum(-1, keepdim=True).log1p_()
    z.sub_(log)
    return top + log


def _shares(log_q: Tensor, classes: int, smoothing: float) -> tuple[Tensor, Tensor]:
    """Return what lies on each listed class, and on all the others together."""
    q, listed = log_q.exp(), log_q.shape[-1]
    rest = 1 - q.sum(-1)
    # What rounding leaves of a teacher that listed everything is no outcome.
    noise = 4 * torch.finfo(q.dtype).eps * listed
    rest = rest.where((rest > noise) & (listed < classes), 0.0)
    if smoothing:
        q = q * (1 - smoothing) + smoothing / classes
        rest = rest * (1 - smoothing) + smoothing * (classes - listed) / classes
    return q, rest


def _cross(z: Tensor, indices: Tensor, log_q: Tensor, o: Options) -> tuple[Tensor, Tensor, Tensor]:
    """Return what q costs in p's code, the listed q, and the rest, which is one class here."""
    q, rest = _shares(log_q.to(z.dtype), z.shape[-1], o.label_smoothing)
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
    check_devices(x, token_weight=token_weight)
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
    rows = TeacherRows(head, listed, beta, scale, o, stats, x.shape[0])
    total = x.shape[0] if scale is None else scale.sum(dtype=torch.float64)
    given = (*(head or listed or ()), scale)
    found = apply(x, w, b, job_of(rows, o, total, *given))
    loss = found[0] if stats else found
    loss = loss.reshape(shape) if o.reduction == "none" else loss
    if not stats:
        return loss
    right = torch.cat(list(rows.right.values())).double().mean()
    rows_of: Any = (t.reshape(shape) for t in found[1:])
    return loss, Stats._make((*rows_of, right.to(found[1].dtype)))


def _listed(teacher: Any, shape: torch.Size, classes: int) -> tuple[Tensor, Tensor]:
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
