"""Rows whose classes several processes share: what each has of them, and what they add up to.

Two rounds of a few numbers a row make the rows whole: which class is the largest, and then sums
over all classes at once: of the exponentials, of the target's gap to the largest and, where they
are asked for, of all gaps (smoothing, probabilities) and of the entropy. The logits stay where they
are. The gradient needs no third round. As everywhere, the largest class stays out of the sum.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xent import _check
from xent.losses._group import Shards, call_off, meet, reduce, replicate, spread
from xent.losses._options import (
    Options,
    at_least_float32,
    can_look,
    check_numbers,
    check_weight,
    nothing_to_average,
)
from xent.losses._softmax import BadRowError, SoftmaxRows, Stats, sum_tolerance


def shard(
    like: Tensor,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    options: Options,
    group: Any,
    stats: bool,
    shape: torch.Size,
    classes: int,
) -> "ShardedRows":
    """Meet the other processes; return the rows that all of them work on."""
    try:
        for name, given in (("weight", weight), ("token_weight", token_weight)):
            if given is not None:
                check_numbers(name, given, like)
    except (ValueError, TypeError):
        call_off(group, like)
        raise
    learns = like.requires_grad and torch.is_grad_enabled()
    whole = None if weight is None else tuple(weight.shape)
    each = None if token_weight is None else tuple(token_weight.shape)
    soft = target.is_floating_point()
    call = (options, stats, tuple(shape), str(like.dtype), whole, each, soft, learns)
    shards = meet(group, classes, like, target, call)
    check_weight("weight", weight, torch.Size([shards.classes]), "class")
    scale = None if token_weight is None else token_weight.reshape(-1)
    return ShardedRows(SoftmaxRows(target, weight, scale, options), stats, shards, classes)


class _Parts(NamedTuple):
    """One chunk of rows: what this process has of it, and what all have together."""

    gaps: Tensor  # (n, C): largest logit less this one
    e: Tensor  # (n, C): exp(-gaps), 0 where the class is the largest
    slope: Tensor | None  # (n, C): of the softcap
    here: Tensor  # (n, 1): place of the largest class, if it is one of these
    mine: Tensor  # (n, 1)
    k: Tensor  # (n,): the largest class
    y: Tensor  # (n, 1): place of the true class, if it is one of these
    own: Tensor  # (n, 1)
    share: Tensor | float | None  # of the target that lies on each class beside the true one
    others: Tensor  # (n,): sum of all e
    gap: Tensor  # (n,): of the true class
    spent: Tensor | float  # (n,): share times gap, summed
    hit: Tensor  # (n,): what the true class weighs
    mass: Tensor | float  # (n,): what all shares weigh
    log: Tensor  # (n,): log1p(others)
    lse: Tensor  # (n,)
    entropy: Tensor | None  # (n,)


class ShardedRows:
    """Rows of a head (see `HeadRows`) whose classes several processes share."""

    buffers = 4

    def __init__(self, rows: SoftmaxRows, stats: bool, shards: Shards, classes: int) -> None:
        self.rows, self.stats, self.shards = rows, stats, shards
        self.slice = slice(shards.start, shards.start + classes)
        self.widest = shards.widest  # the same chunks everywhere: their sums meet

    def weigh(self, shape: torch.Size) -> tuple[float, float]:
        """Check the targets; return what the rows weigh together, and the mean if that is 0."""
        rows, total, fill = self.rows, 1.0, 0.0
        if can_look(rows.target):
            try:
                total = rows.counted(self.shards.classes)
            except BadRowError as bad:
                raise bad.sentence(rows.target, shape, self.shards.classes) from None
            if not rows.hard:
                self._check_distributions()
        elif rows.options.reduction == "mean":
            total = float(rows.total())
        if rows.options.reduction == "mean" and total == 0:
            fill = nothing_to_average(rows.options.empty)
        return total, fill

    def _check_distributions(self) -> None:
        target = self.rows.target.detach().double()
        # A NaN makes the sum one, in every process.
        parts = target.where(target >= 0, math.nan).sum(-1)
        sums = reduce(parts, self.shards.group, "sum")
        slack = sum_tolerance(self.rows.target.dtype, self.shards.classes)
        bad = ~((sums - 1).abs() <= slack)
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            must = "be non-negative and sum to 1 over the classes of all processes"
            raise _check.invalid("target", must, f"{sums[row].item():.6g} at [{row}]")

    def answer(self, found: Any, shape: torch.Size, fill: float) -> Any:
        """Give the loss (and statistics) the shape of the caller's rows."""
        loss = found[0] if self.stats else found
        loss = loss.reshape(shape) if self.rows.options.reduction == "none" else loss
        loss = loss + fill if fill else loss
        if not self.stats:
            return loss
        shaped: Any = (t.reshape(shape) for t in found[1:5])
        return loss, Stats._make((*shaped, self._accuracy(found[4]).to(found[1].dtype)))

    def _accuracy(self, argmax: Tensor) -> Tensor:
        target = self.rows.target
        if not self.rows.hard:
            top, place = target.detach().max(-1)
            return (argmax == self._largest(top, place)[1]).double().mean()
        kept = target != self.rows.options.ignore_index
        return ((argmax == target) & kept).sum().double() / kept.sum()

    def _largest(self, values: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return each row's largest value in all processes, and the first class that has it."""
        group, none = self.shards.group, self.shards.classes
        values = values.detach().double()
        values = values.where(~values.isnan(), -math.inf)  # a NaN comes back with the sums
        top = reduce(values, group, "max")
        first = (places + self.shards.start).where(values == top, none)
        return top, reduce(first, group, "min")

    def _here(self, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Return places in this process, (n, 1), and where they are any."""
        places = classes - self.slice.start
        mine = (places >= 0) & (classes < self.slice.stop)
        return places.where(mine, 0).unsqueeze(-1), mine.unsqueeze(-1)

    def _parts(self, logits: Tensor, rows: slice) -> _Parts:
        group, o, weight = self.shards.group, self.rows.options, self.rows.weight
        z, slope = at_least_float32(logits), None
        if o.softcap:
            bent = torch.tanh(z / o.softcap)
            z, slope = o.softcap * bent, 1 - bent * bent
        if o.temperature != 1.0:
            z = z / o.temperature
        best, place = z.max(-1)
        top, k = self._largest(best, place)
        here, mine = self._here(k)
        if z.requires_grad:
            top = replicate(best.double().where(mine.squeeze(-1), 0.0), group)
        gaps = spread(top, group).to(z.dtype).unsqueeze(-1) - z
        gaps = gaps.scatter(-1, here, gaps.gather(-1, here).where(~mine, 0.0))
        e = torch.exp(-gaps)
        e = e.scatter(-1, here, e.gather(-1, here).where(~mine, 0.0))
        sums = [e.sum(-1, dtype=torch.float64)]

        target = self.rows.target[rows]
        share: Tensor | float | None = None
        classwise = None if weight is None else weight[self.slice].to(z.dtype)
        if self.rows.hard:
            kept = target != o.ignore_index
            y, own = self._here(target)
            own = own & kept.unsqueeze(-1)
            sums.append(gaps.gather(-1, y).squeeze(-1).double().where(own.squeeze(-1), 0.0))
            hit = gaps.new_full(target.shape, 1.0 - o.label_smoothing, dtype=torch.float64)
            if weight is not None:
                hit = hit * weight[target.where(kept, 0)]
            if o.label_smoothing:
                flat = o.label_smoothing / self.shards.classes
                share = flat if classwise is None else classwise * flat
        else:
            y, own = here, torch.zeros_like(mine)
            sums.append(torch.zeros_like(sums[0]))
            hit = torch.zeros_like(sums[0])
            share = target.to(z.dtype)
            if o.label_smoothing:
                smooth = o.label_smoothing
                share = share * (1 - smooth) + smooth / self.shards.classes
            share = share if classwise is None else share * classwise
        if isinstance(share, Tensor):
            sums.append((share * gaps.where(share != 0, 0.0)).sum(-1, dtype=torch.float64))
            sums.append(share.expand(gaps.shape).sum(-1, dtype=torch.float64))
        elif share is not None:
            sums.append(gaps.sum(-1, dtype=torch.float64) * share)
        if self.stats:
            sums.append((e * gaps.where(e != 0, 0.0)).sum(-1, dtype=torch.float64))

        others, gap, *rest = replicate(torch.stack(sums), group).unbind()
        spent: Tensor | float = 0.0 if share is None else rest.pop(0)
        mass: Tensor | float = rest.pop(0) if isinstance(share, Tensor) else o.label_smoothing
        log = torch.log1p(others).where(top > -math.inf, math.nan)
        entropy = log + rest[0] / (1 + others) if self.stats else None
        return _Parts(
            gaps, e, slope, here, mine, k, y, own, share, others, gap, spent, hit, mass, log,
            top + log, entropy,
        )  # fmt: skip

    def _values(self, part: _Parts, rows: slice) -> tuple[Tensor, ...]:
        o, hard = self.rows.options, self.rows.hard
        told = part.gap + part.log
        value = (part.hit * told).where(part.hit != 0, 0.0)
        if part.share is not None:
            value = value + part.spent + part.mass * part.log
        if o.z_loss:
            value = value + o.z_loss * (part.hit + part.mass) * part.lse * part.lse
        value = value * self._factor(part, rows)
        value = value.where(self._factor(part, rows) != 0, 0.0)
        if part.entropy is None:
            return (value,)
        if hard:
            kept = self.rows.target[rows] != o.ignore_index
            log_prob = (-told).where(kept, 0.0)
        else:
            log_prob = -(part.spent + part.mass * part.log)
        return value, part.lse, log_prob, part.entropy, part.k

    def _factor(self, part: _Parts, rows: slice) -> Tensor:
        """Return what each row counts, 0 where nothing of it does."""
        scale = self.rows.scale
        factor = torch.ones_like(part.hit) if scale is None else scale[rows].to(part.hit.dtype)
        if self.rows.hard:
            counts = self.rows.target[rows] != self.rows.options.ignore_index
            if not self.rows.options.label_smoothing:
                counts = counts & (part.hit != 0)
            factor = factor.where(counts, 0.0)
        return factor

    def plain(self, logits: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """See `HeadRows`."""
        return self._values(self._parts(logits, rows), rows)

    def fused(
        self, logits: Tensor, rows: slice, g: float, ups: tuple[Tensor | None, ...] | None
    ) -> tuple[Tensor, ...] | None:
        """See `HeadRows`; the gradient is written down rather than derived: fewer buffers."""
        with torch.no_grad():
            part = self._parts(logits, rows)
            found = self._values(part, rows)
            if ups is not None:
                logits.copy_(self._gradient(part, rows, g, ups))
        return found

    def _gradient(
        self, part: _Parts, rows: slice, g: float, ups: tuple[Tensor | None, ...]
    ) -> Tensor:
        """[p p_c - spread a_c - (at_y where c = y) + h p_c (gap_c + l - H)] / T, times the slope.

        As in the compiled rows: what belongs to the largest class is never a difference.
        """
        o = self.rows.options
        push = self._factor(part, rows) * g
        if ups:
            push = torch.zeros_like(push) if ups[0] is None else push * ups[0]
        dead = push == 0
        p = push * (part.hit + part.mass)
        if o.z_loss:
            p = p * (1 + 2 * o.z_loss * part.lse)
        at_y, each, h = push * part.hit, push, None
        lse_up, log_up, h = (*ups[1:4], None, None, None)[:3] if ups else (None, None, None)
        if lse_up is not None:
            p, dead = p + lse_up, dead & (lse_up == 0)
        if log_up is not None and self.rows.hard:
            log_up = log_up.where(self.rows.target[rows] != o.ignore_index, 0.0)
            p, at_y, dead = p - log_up, at_y - log_up, dead & (log_up == 0)
        elif log_up is not None:
            p, each, dead = p - log_up * part.mass, each - log_up, dead & (log_up == 0)
        one = 1 / (1 + part.others)
        dtype, around = part.e.dtype, None
        factor = (p * one).to(dtype).unsqueeze(-1)
        if h is not None and part.entropy is not None:
            dead = dead & (h == 0)
            around = part.log - part.entropy
            factor = factor + (h * one).to(dtype).unsqueeze(-1) * (
                part.gaps + around.to(dtype).unsqueeze(-1)
            )
            factor = factor.where(part.e != 0, 0.0)
        grad = part.e * factor
        at_k = at_y.where(self._is_largest(part, rows), 0.0)
        if part.share is not None:
            share: Any = part.share
            grad -= share * each.to(dtype).unsqueeze(-1)
            if isinstance(share, Tensor):
                share = share.expand(grad.shape).gather(-1, part.here).squeeze(-1)
            at_k = at_k + each * share
        grad.scatter_add_(-1, part.y, (-at_y).to(dtype).unsqueeze(-1).where(part.own, 0.0))
        largest = (p - at_k) * one - at_k * (part.others * one)
        if around is not None:
            largest = largest + (h * one if h is not None else 0.0) * around
        kept = grad.gather(-1, part.here)
        grad.scatter_(-1, part.here, largest.to(dtype).unsqueeze(-1).where(part.mine, kept))
        if o.temperature != 1.0:
            grad /= o.temperature
        if part.slope is not None:
            grad *= part.slope
        return grad.masked_fill_(dead.unsqueeze(-1), 0.0)

    def _is_largest(self, part: _Parts, rows: slice) -> Tensor:
        if not self.rows.hard:
            return torch.zeros_like(part.k, dtype=torch.bool)
        return self.rows.target[rows] == part.k
