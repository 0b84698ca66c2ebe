"""Rows of a student beside a teacher's, whose logits are made chunk by chunk too.

A first gradient is written down in place; second ones and statistics take the formula in torch
operations.
"""

import math
from typing import Any

import torch
from torch import Tensor

from xent.losses._arguments import Options
from xent.losses._device._divergence import divergence
from xent.losses._divergence import js_values
from xent.losses._reduction import apply_weight, loss_dtype
from xent.losses._rows._chunks import Upstream
from xent.losses._rows._formula import (
    cap_and_scale,
    entropy_of,
    smooth,
    zero_masked_rows,
)
from xent.losses._triton._teacher import score_head_divergences
from xent.losses._triton._use import is_at_hand


class TeacherRows:
    """Rows of a student beside a teacher's head, or beside the classes that a teacher listed."""

    buffers = 4

    def __init__(
        self,
        head: Any,
        top_classes: Any,
        beta: float,
        row_weight: Tensor | None,
        o: Options,
        stats: bool,
        count: int,
    ) -> None:
        self.head, self.top_classes, self.beta = head, top_classes, beta
        self.row_weight, self.options, self.stats, self.count = row_weight, o, stats, count
        self.scratch: dict[str, Tensor] = {}
        self.right: dict[int, Tensor] = {}  # by the chunk's first row: does the student agree?

    def counted(self) -> Tensor | None:
        """See `ChunkRows`."""
        return None if self.row_weight is None or self.stats else self.row_weight != 0

    def plain(self, logits: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """See `ChunkRows`."""
        o = self.options
        row_weight = None if self.row_weight is None else self.row_weight[rows]
        z = cap_and_scale(zero_masked_rows(logits, row_weight), o)
        if self.top_classes is None:
            x, w, b = self.head
            theirs = torch.nn.functional.linear(x[rows], w, b)
            teacher = cap_and_scale(zero_masked_rows(theirs, row_weight), o)
            values = js_values(z, teacher, self.beta, o)
        else:
            indices, log_q = (part[rows] for part in self.top_classes)
            values = _coarse_divergence(z, indices, log_q, o)
        if row_weight is not None:
            values = apply_weight(values, row_weight.to(values.dtype))
        if not self.stats:
            return (values,)
        if row_weight is not None:
            z = cap_and_scale(logits, o)
        log_p = z.log_softmax(-1)
        argmax, entropy = log_p.argmax(-1), entropy_of(log_p)
        if self.top_classes is None:
            if row_weight is not None:
                teacher = cap_and_scale(theirs, o)
            best = teacher.argmax(-1)
            q = smooth(teacher.to(z.dtype).softmax(-1), o.label_smoothing)
            log_prob = (q * log_p.where(q != 0, 0.0)).sum(-1)
        else:
            best = indices.gather(-1, log_q.argmax(-1, keepdim=True)).squeeze(-1)
            log_prob = -_cross_entropy(z, indices, log_q, o)[0]
        self.right[rows.start or 0] = argmax == best
        return values, z.logsumexp(-1), log_prob, entropy, argmax

    def fused(
        self, logits: Tensor, rows: slice, g: float, upstream: Upstream | None
    ) -> tuple[Tensor, ...] | None:
        """See `ChunkRows`: `plain` and its gradient written down, in scratch that chunks share.

        What torch allocates for one chunk its heap may not find space for in the next.
        """
        if self.stats:
            return None
        o = self.options
        with torch.no_grad():
            found = self._in_triton(logits, rows, g, upstream)
            if found is not None:
                return (found,)
            dtype = loss_dtype(logits)
            z = logits if logits.dtype == dtype else self._like("z", logits, dtype).copy_(logits)
            slope = cap_and_scale_(
                z, o, None if upstream is None else self._like("slope", z, dtype)
            )
            scratch = self._like("scratch", z, dtype)
            lse = _log_softmax_(z, scratch)
            weight = None if self.row_weight is None else self.row_weight[rows].to(dtype)
            each = torch.ones_like(lse) * g
            if upstream and upstream[0] is not None:
                each = each * upstream[0].to(dtype).unsqueeze(-1)
            each = each if weight is None else each * weight.unsqueeze(-1)
            z_slope = 2 * o.z_loss * lse if o.z_loss else 0.0
            score = self._score_head if self.top_classes is None else self._score_top_classes
            values = score(z, rows, z_slope, scratch)
            values = values + o.z_loss * lse * lse if o.z_loss else values
            values = values.squeeze(-1)
            values = values if weight is None else apply_weight(values, weight)
            if upstream is not None:
                z.mul_(each / o.temperature)
                if slope is not None:
                    z.mul_(slope)
                z.masked_fill_(each == 0, 0.0)
                if z is not logits:
                    logits.copy_(z)
            if rows.stop == self.count:
                self.scratch.clear()
        return (values,)

    def _in_triton(
        self, logits: Tensor, rows: slice, g: Any, upstream: Upstream | None
    ) -> Tensor | None:
        """Score rows beside a teacher's head in Triton's kernels; None where they cannot."""
        if self.top_classes is not None or not is_at_hand(logits):
            return None
        x, w, b = self.head
        teacher = torch.nn.functional.linear(x[rows], w, b)
        row_weight = None if self.row_weight is None else self.row_weight[rows]
        factor, of_rows = None if upstream is None else g, upstream[0] if upstream else None
        return score_head_divergences(
            logits, teacher, self.beta, row_weight, self.options, factor, of_rows
        )

    def _like(self, name: str, like: Tensor, dtype: torch.dtype) -> Tensor:
        """Return a named piece of scratch with so many rows."""
        if name not in self.scratch:
            self.scratch[name] = torch.empty(like.shape, dtype=dtype, device=like.device)
        return self.scratch[name][: like.shape[0]]

    def _score_head(self, log_p: Tensor, rows: slice, z_slope: Any, p: Tensor) -> Tensor:
        """Return the divergences of log-probabilities; overwrite those by the gradient."""
        x, w, b = self.head
        dtype = log_p.dtype
        log_q = self._like("teacher", log_p, dtype)
        product = log_q if w.dtype == log_q.dtype else self._like("half", log_p, w.dtype)
        torch.mm(x[rows], w.t(), out=product)
        if b is not None:
            product.add_(b)
        if product is not log_q:
            log_q.copy_(product)
        cap_and_scale_(log_q, self.options, None)
        _log_softmax_(log_q, p)
        smoothing = self.options.label_smoothing
        if smoothing:
            log_q.exp_().mul_(1 - smoothing).add_(smoothing / log_q.shape[-1]).log_()

        def room(name: str, kind: torch.dtype) -> Tensor:
            return p if name == "p" else self._like(name, log_p, kind)

        return divergence(log_p, log_q, self.beta, z_slope, room)

    def _score_top_classes(
        self, log_p: Tensor, rows: slice, z_slope: Any, scratch: Tensor
    ) -> Tensor:
        """Do the same for the classes that a teacher listed."""
        indices, log_q = (part[rows] for part in self.top_classes)
        smoothing = self.options.label_smoothing
        q, rest = _probabilities(log_q.to(log_p.dtype), log_p.shape[-1], smoothing)
        log_p_top = log_p.gather(-1, indices)
        log_p.scatter_(-1, indices, -math.inf)
        top = log_p.max(-1, keepdim=True).values
        top = top.where(top > -math.inf, 0.0)
        sums = torch.sub(log_p, top, out=scratch).exp_().sum(-1, keepdim=True)
        rest = rest.unsqueeze(-1)
        log_p_rest = (top + sums.log()).where(rest != 0, 0.0)
        total = q.sum(-1, keepdim=True) + rest + z_slope
        log_p.exp_().mul_(total).sub_(scratch.mul_((rest / sums).where(rest != 0, 0.0)))
        log_p.scatter_(-1, indices, log_p_top.exp() * total - q)
        of_top = torch.xlogy(q, q) - q * log_p_top.where(q != 0, 0.0)
        return of_top.sum(-1, keepdim=True) + torch.xlogy(rest, rest) - rest * log_p_rest


def cap_and_scale_(z: Tensor, o: Options, slope: Tensor | None) -> Tensor | None:
    """Cap and divide logits in place; fill and return the cap's slope."""
    if o.softcap:
        z.div_(o.softcap).tanh_()
        if slope is not None:
            torch.mul(z, z, out=slope).neg_().add_(1)
        z.mul_(o.softcap)
    if o.temperature != 1.0:
        z.div_(o.temperature)
    return slope if o.softcap else None


def _log_softmax_(z: Tensor, scratch: Tensor) -> Tensor:
    """Overwrite logits by their log-probabilities; return log-normalisers."""
    top, argmax = z.max(-1, keepdim=True)
    z.sub_(top)
    log = torch.exp(z, out=scratch).scatter_(-1, argmax, 0.0).sum(-1, keepdim=True).log1p_()
    z.sub_(log)
    return top + log


def _probabilities(log_q: Tensor, classes: int, smoothing: float) -> tuple[Tensor, Tensor]:
    """Return the probabilities of the listed classes, and of all the others together."""
    q, listed = log_q.exp(), log_q.shape[-1]
    rest = 1 - q.sum(-1)
    # What rounding leaves of a teacher that listed everything is no outcome.
    noise = 4 * torch.finfo(q.dtype).eps * listed
    rest = rest.where((rest > noise) & (listed < classes), 0.0)
    if smoothing:
        q = q * (1 - smoothing) + smoothing / classes
        rest = rest * (1 - smoothing) + smoothing * (classes - listed) / classes
    return q, rest


def _cross_entropy(
    z: Tensor, indices: Tensor, log_q: Tensor, o: Options
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the cross-entropy of q, the listed q, and the rest, which is one class here."""
    q, rest = _probabilities(log_q.to(z.dtype), z.shape[-1], o.label_smoothing)
    lse = z.logsumexp(-1, keepdim=True)
    listed = ((z.gather(-1, indices) - lse).where(q != 0, 0.0) * q).sum(-1)
    log_p_rest = z.scatter(-1, indices, -math.inf).logsumexp(-1) - lse.squeeze(-1)
    return -listed - rest * log_p_rest.where(rest != 0, 0.0), q, rest


def _coarse_divergence(z: Tensor, indices: Tensor, log_q: Tensor, o: Options) -> Tensor:
    """D(q ‖ p) over the listed classes and one more, all the others together; and the z-loss."""
    cross_entropy, q, rest = _cross_entropy(z, indices, log_q, o)
    negative_entropy = torch.xlogy(q, q).sum(-1) + torch.xlogy(rest, rest)
    z_loss = o.z_loss * z.logsumexp(-1) ** 2 if o.z_loss else 0.0
    return cross_entropy + negative_entropy + z_loss
