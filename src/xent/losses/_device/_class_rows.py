"""Rows of class logits in torch operations, with every option and with statistics.

The largest logit z_m stays out of the sums, so that a sure row keeps its digits. With a target a,
of which smoothing has spread some,

    S = Σ_{c≠m} exp(z_c - z_m),  p_c = exp(z_c - z_m) / (1 + S),  A = Σ_c a_c
    loss = Σ_c a_c (z_m - z_c) + A log1p(S),  slope = A p_c - a_c

of which the slope at m is a difference of what the others have, where S < 1. A chunk of rows is
read once, and once more for its gradient; what is computed of a row's few numbers is computed for
all rows at once.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from xent.losses._reduction import exact_dtype, loss_dtype
from xent.losses._rows._softmax import SoftmaxRows


class RowColumns(NamedTuple):
    """What a reading keeps of its rows, (n, 1) each."""

    top: Tensor
    argmax: Tensor
    others: Tensor  # S
    margin: Tensor  # Σ a_c (z_c - z_m), of class indices without what is spread
    spread: Tensor | None  # the same of what is spread beside class indices, undivided
    mass: Tensor | None  # of probabilities: Σ_{c≠m} a_c
    at_top: Tensor | None  # and a_m
    bent: Tensor | None  # Σ exp(z_c - z_m) (z_c - z_m), for the entropy

    def part(self, rows: slice) -> "RowColumns":
        """Return the columns of some rows."""
        part: list[Any] = [None if column is None else column[rows] for column in self]
        return RowColumns(*part)


class RowSlopes(NamedTuple):
    """What the gradient of rows is made of, (n, 1) each."""

    of_exp: Tensor  # multiplies exp(z_c - z_m)
    of_bent: Tensor | None  # multiplies exp(z_c - z_m) (z_c - z_m)
    of_spread: Tensor | None
    of_target: Tensor | None  # negative
    at_top: Tensor  # the gradient at m

    def part(self, rows: slice) -> "RowSlopes":
        """Return what concerns some rows."""
        part: list[Any] = [None if column is None else column[rows] for column in self]
        return RowSlopes(*part)


class DeviceRows:
    """Some rows of one call: targets, weights and options, and what is computed once for all."""

    def __init__(
        self, rows: SoftmaxRows, like: Tensor, classes: int, stats: bool, some: slice = slice(None)
    ) -> None:
        o = self.options = rows.options
        self.real, self.stats, self.hard, self.classes = loss_dtype(like), stats, rows.hard, classes
        self.scale = (o.softcap or 1.0) / o.temperature
        self.target, row_weight = rows.target[some], rows.row_weight
        self.row_weight = None
        self.ignored: Tensor | None = None  # rows whose loss counts for nothing
        self.absent: Tensor | None = None  # rows without a true class
        self.class_weight = None if rows.weight is None else rows.weight.to(self.real)
        if row_weight is not None:
            self.row_weight = row_weight[some].unsqueeze(1).to(self.real)
            self.ignored = self.row_weight == 0
        if not self.hard:
            return
        index = self.target.unsqueeze(1)
        self.absent = index == o.ignore_index
        self.ignored = self.absent if self.ignored is None else self.absent | self.ignored
        # Statistics are of every row; what is no class and weighs 0 was silenced for them.
        self.index = index.masked_fill(self.absent if stats else self.ignored, 0)
        self.unit: Any = 1 - o.label_smoothing
        self.even: Any = o.label_smoothing / classes
        self.sum_of_even: Any = o.label_smoothing
        if self.class_weight is not None:
            weight = self.class_weight[self.index]
            if o.label_smoothing:
                self.even = self.class_weight * self.even
                self.sum_of_even = self.even.sum()
            else:
                self.ignored = self.ignored | (weight == 0)
            self.unit = weight * self.unit

    def weight_of_all(self) -> Any:
        """Return what a mean divides by, the sum of the rows' weights."""
        exact, each = exact_dtype(self.target), self.row_weight
        if self.hard and self.class_weight is not None:
            weight = self.class_weight[self.index]
            each = weight if each is None else each * weight
        if self.ignored is None or each is None:
            count = len(self.target)
            return count if self.ignored is None else (count - self.ignored.sum()).to(exact)
        return each.masked_fill(self.ignored, 0.0).sum(dtype=exact)

    def room(self, like: Tensor, count: int) -> RowColumns:
        """Make columns for rows of such logits."""

        def column(wanted: bool, dtype: torch.dtype = self.real) -> Any:
            return like.new_empty((count, 1), dtype=dtype) if wanted else None

        spreads = self.hard and bool(self.options.label_smoothing)
        soft = not self.hard
        wanted = (True, True, spreads, soft, soft, self.stats)
        return RowColumns(column(True), column(True, torch.int64), *map(column, wanted))

    def logits(self, x: Tensor, own: bool) -> tuple[Tensor, bool, Tensor | None]:
        """Return what the softmax sees, whether it may be overwritten, and the cap's tanh.

        Where ``own``, the logits may be overwritten.
        """
        o = self.options
        if x.dtype != self.real:
            x, own = x.to(self.real), True
        if o.softcap:
            bent = (x.div_(o.softcap) if own else x / o.softcap).tanh_()
            return bent * self.scale, True, bent
        if o.temperature != 1.0:
            return x.div_(o.temperature) if own else x / o.temperature, True, None
        return x, own, None

    def soft_target(self, rows: slice) -> Tensor:
        """Return probabilities as they count: smoothed, and times the weights of the classes."""
        soft, smoothing = self.target[rows].to(self.real), self.options.label_smoothing
        if smoothing:
            soft = (soft * (1 - smoothing)).add_(smoothing / self.classes)
        return soft if self.class_weight is None else soft * self.class_weight

    def read(self, z: Tensor, own: bool, rows: slice, out: RowColumns) -> Tensor:
        """Fill the columns of some rows; return exp(z_c - z_m), which is 0 at m."""
        torch.max(z, 1, keepdim=True, out=(out.top, out.argmax))
        z = z.sub_(out.top) if own else z - out.top
        if self.hard:
            torch.gather(z, 1, self.index[rows], out=out.margin)
            if out.spread is not None:
                seen = z
                if self.class_weight is not None:  # 0 times an infinite gap would be NaN
                    seen = z.masked_fill(self.class_weight == 0, 0.0).mul_(self.even)
                torch.sum(seen, 1, keepdim=True, out=out.spread)
                del seen
        else:
            soft = self.soft_target(rows)
            torch.gather(soft, 1, out.argmax, out=out.at_top)
            seen = z.masked_fill(soft == 0, 0.0).mul_(soft)
            torch.sum(seen, 1, keepdim=True, out=out.margin)
            del seen
            torch.sum(soft.scatter(1, out.argmax, 0.0), 1, keepdim=True, out=out.mass)
            del soft
        e = z.exp_().scatter_(1, out.argmax, 0.0)
        torch.sum(e, 1, keepdim=True, out=out.others)
        if out.bent is not None:
            torch.sum(torch.xlogy(e, e), 1, keepdim=True, out=out.bent)
        return e

    def values(self, seen: RowColumns) -> tuple[Tensor, ...]:
        """Return the loss of each row; with statistics also these, and which class is largest."""
        o, log = self.options, seen.others.log1p()
        total = self.total(seen)
        if self.hard:
            cost = log - seen.margin
            value = cost if isinstance(self.unit, float) and self.unit == 1.0 else cost * self.unit
            if seen.spread is not None:
                if self.class_weight is not None:
                    value = value.masked_fill_(self.unit == 0, 0.0) - seen.spread
                else:
                    value = value if self.unit else torch.zeros_like(value)
                    value = value.sub_(seen.spread, alpha=self.even)
                value = value.add_(log * self.sum_of_even)
        else:
            cost = value = (total * log).sub_(seen.margin)
        lse = seen.top + log if o.z_loss or self.stats else None
        if lse is not None and o.z_loss:
            value = value + lse.square().mul_(o.z_loss).mul_(total)
        value = value if self.row_weight is None else value * self.row_weight
        value = value if self.ignored is None else value.masked_fill(self.ignored, 0.0)
        if not self.stats or lse is None or seen.bent is None:
            return (value.squeeze(1),)
        log_prob = cost.neg()
        if self.absent is not None:
            log_prob = log_prob.masked_fill_(self.absent, 0.0)
        entropy = log - seen.bent / (1 + seen.others)
        return tuple(c.squeeze(1) for c in (value, lse, log_prob, entropy, seen.argmax.clone()))

    def total(self, seen: RowColumns) -> Any:
        """Return A of each row, a number where it is that of all."""
        if seen.mass is not None and seen.at_top is not None:
            return seen.mass + seen.at_top
        return self.unit + self.sum_of_even if self.options.label_smoothing else self.unit

    def slopes(self, seen: RowColumns, upstream: Any) -> RowSlopes:
        """Return what the gradient is made of, for the gradients of what `values` returns."""
        o = self.options
        of_loss, of_lse, of_log_prob, of_entropy = (self._column(up) for up in upstream)
        share = (1 + seen.others).reciprocal_()  # p_m
        f = of_loss
        if f is not None:
            f = f if self.row_weight is None else f * self.row_weight
            f = (
                f
                if self.ignored is None or self.ignores(upstream)
                else f.masked_fill(self.ignored, 0.0)
            )
        if of_log_prob is not None and self.absent is not None:
            of_log_prob = of_log_prob.masked_fill(self.absent, 0.0)
        at_top: Any
        if self.hard:
            of_target = None if f is None else f * self.unit
            of_target = _added(of_target, None if of_log_prob is None else -of_log_prob)
            at_top = mass = None
            if of_target is not None:
                at_top = of_target * (self.index == seen.argmax)
                mass = of_target - at_top
            if f is not None and o.label_smoothing:
                even = self.even
                even = even if self.class_weight is None else even[seen.argmax]
                at_top, mass = _added(at_top, f * even), _added(mass, f * (self.sum_of_even - even))
        else:
            of_target = _added(f, None if of_log_prob is None else -of_log_prob)
            at_top = None if of_target is None else of_target * seen.at_top
            mass = None if of_target is None else of_target * seen.mass
        extra = of_lse
        if o.z_loss and f is not None:
            lse = (seen.top + seen.others.log1p()).mul_(2 * o.z_loss)
            extra = _added(extra, lse * f * self.total(seen))
        extra = torch.zeros_like(share) if extra is None and at_top is None else extra
        of_exp = None if extra is None else extra * share
        whole = of_exp
        if at_top is not None:
            direct = (at_top + mass).mul_(share)
            apart = torch.where(seen.others < 1, mass - direct * seen.others, direct - at_top)
            of_exp, whole = _added(of_exp, direct), _added(whole, apart)
        of_bent = None
        if of_entropy is not None and seen.bent is not None:
            of_bent = -of_entropy * share
            turned = seen.bent * share * of_bent
            of_exp, whole = of_exp - turned, whole - turned
        spread = f if o.label_smoothing and self.hard else None
        of_target = None if of_target is None else -of_target
        made = (of_exp, of_bent, spread, of_target, whole)
        whole_rows: list[Any] = [None if c is None else c.expand(share.shape) for c in made]
        return RowSlopes(*whole_rows)

    def ignores(self, upstream: Any) -> bool:
        """Say whether a row that is ignored has no gradient at all."""
        return all(up is None for up in upstream[1:])

    def _column(self, upstream: Any) -> Any:
        if upstream is None:
            return None
        if not isinstance(upstream, Tensor):
            return self.target.new_full(
                (1, 1), upstream / self.options.temperature, dtype=self.real
            )
        upstream = upstream.to(self.real)
        upstream = upstream.unsqueeze(1) if upstream.dim() else upstream.reshape(1, 1)
        return upstream if self.options.temperature == 1.0 else upstream / self.options.temperature

    def write(
        self, e: Tensor, bent: Tensor | None, rows: slice, seen: RowColumns, slopes: RowSlopes,
        mask: bool,
    ) -> Tensor:  # fmt: skip
        """Turn exp(z_c - z_m) of some rows into their gradient, and return it."""
        if slopes.of_bent is None:
            e.mul_(slopes.of_exp)
        else:
            turned = torch.xlogy(e, e)
            e.mul_(slopes.of_exp).addcmul_(turned, slopes.of_bent)
            del turned
        if slopes.of_spread is not None:
            if self.class_weight is None:
                e.sub_(slopes.of_spread, alpha=self.even)
            else:
                e.addcmul_(slopes.of_spread, self.even, value=-1)
        if slopes.of_target is not None:
            if self.hard:
                e.scatter_add_(1, self.index[rows], slopes.of_target)
            else:
                e.addcmul_(self.soft_target(rows), slopes.of_target)
        e.scatter_(1, seen.argmax, slopes.at_top)
        if bent is not None:
            torch.ops.aten.tanh_backward.grad_input(e, bent, grad_input=e)
        if mask and self.ignored is not None:
            e.masked_fill_(self.ignored[rows], 0.0)
        return e


def _added(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b


def score_in_place(
    logits: Tensor, rows: SoftmaxRows, some: slice, stats: bool, upstream: Any
) -> tuple[Tensor, ...]:
    """Return the losses of rows of logits, and statistics; overwrite the logits by the gradient.

    ``upstream`` are the gradients of loss, log-normaliser, log-probability and entropy, each a
    number or one a row, or None; with None for all of them the logits are left alone.
    """
    device_rows = DeviceRows(rows, logits, logits.shape[1], stats, some)
    every, seen = slice(None), device_rows.room(logits, len(logits))
    z, own, bent = device_rows.logits(logits, upstream is not None)
    e = device_rows.read(z, own, every, seen)
    del z
    values = device_rows.values(seen)
    if upstream is not None:
        slopes = device_rows.slopes(seen, upstream)
        grad = device_rows.write(e, bent, every, seen, slopes, device_rows.ignores(upstream))
        if grad is not logits:
            logits.copy_(grad)
    return values
