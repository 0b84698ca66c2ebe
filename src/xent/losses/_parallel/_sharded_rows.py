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
from xent.losses._arguments import (
    Options,
    can_validate,
    check_numbers,
    check_weight,
    digits,
    needs_gradient,
)
from xent.losses._parallel._group import (
    Shards,
    all_reduce,
    compare_calls,
    copy_to_group,
    refuse_in_all,
    sum_over_group,
)
from xent.losses._reduction import empty_mean
from xent.losses._rows._chunks import Upstream
from xent.losses._rows._formula import at_least_float32, zero_masked_rows
from xent.losses._rows._softmax import SoftmaxRows
from xent.losses._rows._stats import accuracy_of, with_row_shape
from xent.losses._rows._targets import BadRowError, advice_on_sum, sum_tolerance


def check_no_gradient(**given: object) -> None:
    """Refuse targets and weights that are no tensors, or that learn: nobody shares that out."""
    for name, tensor in given.items():
        if not (tensor is None or isinstance(tensor, Tensor)):
            raise _check.wrong_kind(name, "be a tensor", _check.a(tensor))
        if needs_gradient(tensor):
            must = "not require a gradient where a vocabulary is shared"
            raise _check.invalid(name, must, "one that does", "Give it detached, `.detach()`.")


def share_rows(
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
    """Compare the call with the other processes'; return the rows that all of them work on."""
    with refuse_in_all(group, like):
        for name, given in (("weight", weight), ("token_weight", token_weight)):
            if given is not None:
                check_numbers(name, given, like)
    learns = like.requires_grad and torch.is_grad_enabled()
    shapes = [None if t is None else tuple(t.shape) for t in (weight, token_weight)]
    soft = target.is_floating_point()
    call = (options, stats, tuple(shape), str(like.dtype), *shapes, soft, learns)
    shards = compare_calls(group, classes, like, target, call)
    check_weight("weight", weight, torch.Size([shards.classes]), "class")
    row_weight = None if token_weight is None else token_weight.reshape(-1)
    rows = SoftmaxRows(target, weight, row_weight, options)
    if row_weight is not None:
        _silence(rows, row_weight, shards)
    return ShardedRows(rows, stats, shards, classes)


def _silence(rows: SoftmaxRows, row_weight: Tensor, shards: Shards) -> None:
    """Take out of the target what is none and whose row weighs 0, as `SoftmaxRows.silence`."""
    if rows.hard:
        rows.silence(shards.classes)
        return
    parts = rows.target.detach().double()
    sums = all_reduce(parts.where(parts >= 0, math.nan).sum(-1), shards.group, "sum")
    good = (sums - 1).abs() <= sum_tolerance(rows.target.dtype, shards.classes)
    rows.target = zero_masked_rows(rows.target, (row_weight != 0) | good)


class _Parts(NamedTuple):
    """One chunk of rows: what this process has of it, and what all have together."""

    gaps: Tensor  # (n, C): largest logit less this one
    e: Tensor  # (n, C): exp(-gaps), 0 where the class is the largest
    slope: Tensor | None  # (n, C): of the softcap
    top_place: Tensor  # (n, 1): place of the largest class, if it is one of these
    has_top: Tensor  # (n, 1)
    argmax: Tensor  # (n,): the largest class
    true_place: Tensor  # (n, 1): place of the true class, if it is one of these
    has_true: Tensor  # (n, 1)
    soft: Tensor | float | None  # of the target that lies on each class beside the true one
    others: Tensor  # (n,): sum of all e
    gap: Tensor  # (n,): of the true class
    soft_gap: Tensor | float  # (n,): soft times gap, summed
    target_weight: Tensor  # (n,): of the true class
    soft_weight: Tensor | float  # (n,): the sum of soft
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

    def total(self, shape: torch.Size) -> tuple[float, float]:
        """Check the targets; return the sum of the rows' weights, and the mean if that is 0."""
        rows, total, fill = self.rows, 1.0, 0.0
        if can_validate(rows.target):
            try:
                total = rows.validated_total(self.shards.classes)
            except BadRowError as bad:
                raise bad.sentence(rows.target, shape, self.shards.classes) from None
            if not rows.hard:
                self._check_distributions()
        elif rows.options.reduction == "mean":
            total = float(rows.total_in_torch())
        if rows.options.reduction == "mean" and total == 0:
            fill = empty_mean(rows.options.empty)
        return total, fill

    def _check_distributions(self) -> None:
        target = self.rows.target.detach().double()
        # A NaN makes the sum one, in every process.
        parts = target.where(target >= 0, math.nan).sum(-1)
        sums = all_reduce(parts, self.shards.group, "sum")
        slack = sum_tolerance(self.rows.target.dtype, self.shards.classes)
        bad = ~((sums - 1).abs() <= slack)
        if self.rows.row_weight is not None:
            bad &= self.rows.row_weight != 0
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            must = "be non-negative and sum to 1 over the classes of all processes"
            off = sums[row].item()
            advice = advice_on_sum(off - 1)
            raise _check.invalid("target", must, f"{digits(off)} at [{row}]", advice)

    def finish(self, found: Any, shape: torch.Size, fill: float) -> Any:
        """Give the loss (and statistics) the shape of the caller's rows."""
        loss, *columns = found if self.stats else (found,)
        loss = loss.reshape(shape) if self.rows.options.reduction == "none" else loss
        loss = loss + fill if fill else loss
        if not self.stats:
            return loss
        return loss, with_row_shape(columns, shape, self._accuracy(columns[3]))

    def _accuracy(self, argmax: Tensor) -> Tensor:
        target = self.rows.target
        if not self.rows.hard:
            top, place = _best(target.detach())
            return (argmax == self._largest(top, place)[1]).double().mean()
        return accuracy_of(argmax, target, self.rows.options.ignore_index)

    def _largest(self, values: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return each row's largest value in all processes, and the first class that has it."""
        group, none = self.shards.group, self.shards.classes
        values = values.detach().double()
        values = values.where(~values.isnan(), -math.inf)  # a NaN comes back with the sums
        top = all_reduce(values, group, "max")
        first = (places + self.shards.start).where(values == top, none)
        return top, all_reduce(first, group, "min")

    def _place_here(self, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Return places in this process, (n, 1), and where they are any."""
        places = classes - self.slice.start
        here = (places >= 0) & (classes < self.slice.stop)
        return places.where(here, 0).unsqueeze(-1), here.unsqueeze(-1)

    def _parts(self, logits: Tensor, rows: slice) -> _Parts:
        group, o, weight = self.shards.group, self.rows.options, self.rows.weight
        z, slope = at_least_float32(logits), None
        if o.softcap:
            capped = torch.tanh(z / o.softcap)
            z, slope = o.softcap * capped, 1 - capped * capped
        if o.temperature != 1.0:
            z = z / o.temperature
        best, place = _best(z)
        top, argmax = self._largest(best, place)
        top_place, has_top = self._place_here(argmax)
        if z.requires_grad:
            top = sum_over_group(best.double().where(has_top.squeeze(-1), 0.0), group)
        gaps = copy_to_group(top, group).to(z.dtype).unsqueeze(-1) - z
        gaps = _zero_at(gaps, top_place, has_top)
        e = _zero_at(torch.exp(-gaps), top_place, has_top)
        sums = [e.sum(-1, dtype=torch.float64)]

        target = self.rows.target[rows]
        soft: Tensor | float | None = None
        class_weight = None if weight is None else weight[self.slice].to(z.dtype)
        if self.rows.hard:
            kept = target != o.ignore_index
            true_place, has_true = self._place_here(target)
            has_true = has_true & kept.unsqueeze(-1)
            gap = _at(gaps, true_place).squeeze(-1).double()
            sums.append(gap.where(has_true.squeeze(-1), 0.0))
            target_weight = gaps.new_full(
                target.shape, 1.0 - o.label_smoothing, dtype=torch.float64
            )
            if weight is not None:
                target_weight = target_weight * weight[target.where(kept, 0)]
            if o.label_smoothing:
                even = o.label_smoothing / self.shards.classes
                soft = even if class_weight is None else class_weight * even
        else:
            true_place, has_true = top_place, torch.zeros_like(has_top)
            sums.append(torch.zeros_like(sums[0]))
            target_weight = torch.zeros_like(sums[0])
            soft = target.to(z.dtype)
            if o.label_smoothing:
                smoothing = o.label_smoothing
                soft = soft * (1 - smoothing) + smoothing / self.shards.classes
            soft = soft if class_weight is None else soft * class_weight
        if isinstance(soft, Tensor):
            sums.append((soft * gaps.where(soft != 0, 0.0)).sum(-1, dtype=torch.float64))
            sums.append(soft.expand(gaps.shape).sum(-1, dtype=torch.float64))
        elif soft is not None:
            sums.append(gaps.sum(-1, dtype=torch.float64) * soft)
        if self.stats:
            sums.append((e * gaps.where(e != 0, 0.0)).sum(-1, dtype=torch.float64))

        others, gap, *rest = sum_over_group(torch.stack(sums), group).unbind()
        soft_gap: Tensor | float = 0.0 if soft is None else rest.pop(0)
        soft_weight: Tensor | float = rest.pop(0) if isinstance(soft, Tensor) else o.label_smoothing
        log = torch.log1p(others).where(top > -math.inf, math.nan)
        entropy = log + rest[0] / (1 + others) if self.stats else None
        return _Parts(
            gaps, e, slope, top_place, has_top, argmax, true_place, has_true, soft, others, gap,
            soft_gap, target_weight, soft_weight, log, top + log, entropy,
        )  # fmt: skip

    def _values(self, part: _Parts, rows: slice) -> tuple[Tensor, ...]:
        o = self.rows.options
        cost = part.gap + part.log
        value = (part.target_weight * cost).where(part.target_weight != 0, 0.0)
        if part.soft is not None:
            value = value + part.soft_gap + part.soft_weight * part.log
        if o.z_loss:
            total_weight = part.target_weight + part.soft_weight
            value = value + o.z_loss * total_weight * part.lse * part.lse
        row_weight = self._row_weight(part, rows)
        value = (value * row_weight).where(row_weight != 0, 0.0)
        if part.entropy is None:
            return (value,)
        if self.rows.hard:
            log_prob = (-cost).where(self.rows.target[rows] != o.ignore_index, 0.0)
        else:
            log_prob = -(part.soft_gap + part.soft_weight * part.log)
        return value, part.lse, log_prob, part.entropy, part.argmax

    def _row_weight(self, part: _Parts, rows: slice) -> Tensor:
        """Return the weight of each row, 0 where it is ignored or its target weighs 0."""
        like, row_weight = part.target_weight, self.rows.row_weight
        result = torch.ones_like(like) if row_weight is None else row_weight[rows].to(like.dtype)
        if self.rows.hard:
            counts = self.rows.target[rows] != self.rows.options.ignore_index
            if not self.rows.options.label_smoothing:
                counts = counts & (part.target_weight != 0)
            result = result.where(counts, 0.0)
        return result

    def counted(self) -> Tensor | None:
        """See `ChunkRows`."""
        return None if self.stats else self.rows.counted()

    def plain(self, logits: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """See `ChunkRows`."""
        return self._values(self._parts(logits, rows), rows)

    def fused(
        self, logits: Tensor, rows: slice, g: float, upstream: Upstream | None
    ) -> tuple[Tensor, ...] | None:
        """See `ChunkRows`; the gradient is written down rather than derived: fewer buffers."""
        with torch.no_grad():
            part = self._parts(logits, rows)
            found = self._values(part, rows)
            if upstream is not None:
                logits.copy_(self._gradient(part, rows, g, upstream))
        return found

    def _gradient(self, part: _Parts, rows: slice, g: float, upstream: Upstream) -> Tensor:
        """[p p_c - each soft_c - (at_true where c is true) + h p_c (gap_c + log - H)] / T, sloped.

        As in the compiled rows: what belongs to the largest class is never a difference.
        """
        if not part.e.shape[-1]:
            return part.e
        o = self.rows.options
        of_loss, of_lse, of_log_prob, h = (*upstream, *[None] * 4)[:4]
        each = self._row_weight(part, rows) * g
        if upstream:
            each = torch.zeros_like(each) if of_loss is None else each * of_loss
        zero = each == 0
        p = each * (part.target_weight + part.soft_weight)
        if o.z_loss:
            p = p * (1 + 2 * o.z_loss * part.lse)
        at_true = each * part.target_weight
        if of_lse is not None:
            p, zero = p + of_lse, zero & (of_lse == 0)
        if of_log_prob is not None and self.rows.hard:
            of_log_prob = of_log_prob.where(self.rows.target[rows] != o.ignore_index, 0.0)
            p, at_true = p - of_log_prob, at_true - of_log_prob
            zero = zero & (of_log_prob == 0)
        elif of_log_prob is not None:
            p, each = p - of_log_prob * part.soft_weight, each - of_log_prob
            zero = zero & (of_log_prob == 0)
        one = 1 / (1 + part.others)
        dtype, around = part.e.dtype, None
        factor = (p * one).to(dtype).unsqueeze(-1)
        if h is not None and part.entropy is not None:
            zero = zero & (h == 0)
            around = part.log - part.entropy
            factor = factor + (h * one).to(dtype).unsqueeze(-1) * (
                part.gaps + around.to(dtype).unsqueeze(-1)
            )
            factor = factor.where(part.e != 0, 0.0)
        grad = part.e * factor
        at_top = at_true.where(self._top_is_true(part, rows), 0.0)
        if part.soft is not None:
            soft: Any = part.soft
            grad -= soft * each.to(dtype).unsqueeze(-1)
            if isinstance(soft, Tensor):
                soft = soft.expand(grad.shape).gather(-1, part.top_place).squeeze(-1)
            at_top = at_top + each * soft
        of_true = (-at_true).to(dtype).unsqueeze(-1).where(part.has_true, 0.0)
        grad.scatter_add_(-1, part.true_place, of_true)
        largest = (p - at_top) * one - at_top * (part.others * one)
        if around is not None:
            largest = largest + (h * one if h is not None else 0.0) * around
        kept = grad.gather(-1, part.top_place)
        largest = largest.to(dtype).unsqueeze(-1).where(part.has_top, kept)
        grad.scatter_(-1, part.top_place, largest)
        if o.temperature != 1.0:
            grad /= o.temperature
        if part.slope is not None:
            grad *= part.slope
        return grad.masked_fill_(zero.unsqueeze(-1), 0.0)

    def _top_is_true(self, part: _Parts, rows: slice) -> Tensor:
        if not self.rows.hard:
            return torch.zeros_like(part.argmax, dtype=torch.bool)
        return self.rows.target[rows] == part.argmax


def _best(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return each row's largest value and its place; -inf where this process has no class."""
    if values.shape[-1]:
        return values.max(-1)
    nothing = values.sum(-1)  # of which there is a derivative, as in the other processes
    return nothing - math.inf, torch.zeros_like(nothing, dtype=torch.int64)


def _at(values: Tensor, place: Tensor) -> Tensor:
    """Return the values at a place of each row."""
    return values.gather(-1, place) if values.shape[-1] else values.new_zeros(place.shape)


def _zero_at(values: Tensor, place: Tensor, here: Tensor) -> Tensor:
    """Return the values, with 0 at a place of each row where that is here."""
    if not values.shape[-1]:
        return values
    return values.scatter(-1, place, values.gather(-1, place).where(~here, 0.0))
