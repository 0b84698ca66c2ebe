"""The head of many labels: each class is true or not on its own, and no logits in memory.

Answers given as index pairs are made dense one row at a time, beside the row's compiled loss.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent import _check
from xent._kernels.rows import binary as kernels
from xent._kernels.rows.sums import compensated_sum
from xent.losses._answers import Weights, binary_values, check_answers, ignored
from xent.losses._linear import apply, hidden, job_of
from xent.losses._options import (
    Options,
    at_least_float32,
    can_look,
    check_devices,
    check_target_kind,
    check_values,
    check_weight,
    options,
    shaped,
    traced,
)
from xent.losses._softmax import as_numpy
from xent.losses._threads import in_blocks

_FEW = 64


def linear_binary_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: float | None = None,
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    empty: str = "zero",
) -> Tensor:
    """How many nats the yes-or-no answers of a linear head take, without its logits in memory.

    loss = binary_cross_entropy_with_logits(input linear_weightᵀ + linear_bias, target)

    Parameters
    ----------
    input : Tensor, shape (..., D)
        Hidden states.
    linear_weight : Tensor, shape (V, D)
        The head, one row a class.
    target : Tensor, shape (..., V) of probabilities, or (M, 2) of integers
        The probability of yes, or the (row, class) of every yes, rows counted from 0 to N - 1.
    linear_bias : Tensor, shape (V,), optional
        Added to the logits.
    weight, pos_weight : Tensor, shape (V,), optional
        Weight of each class, and of its yes.
    reduction : {"mean", "sum", "none"}
        The mean is over all N V answers that count; ``"none"`` gives each row's sum, (...).
    ignore_index : float, optional
        A target whose answers count for nothing; not with index pairs, which name none.
    label_smoothing, temperature, softcap
        As in `binary_cross_entropy_with_logits`.
    token_weight : Tensor, shape (...), optional
        Weight of each row; the mean divides by them.
    empty : {"zero", "nan", "raise"}
        What the mean of no row is.

    Returns
    -------
    Tensor
        In nats, float32 or better.

    Raises
    ------
    ValueError
        If shapes, dtypes or devices do not fit, a target is not between 0 and 1, a pair is of no
        row or class, a weight is negative or not finite, or an option is out of range; if nothing
        counts and ``empty="raise"``.
    TypeError
        If an argument is no tensor, no number or of a dtype that cannot be.

    Examples
    --------
    >>> pairs = torch.tensor([[0, 2], [1, 0]])
    >>> linear_binary_cross_entropy(torch.zeros(2, 3), torch.zeros(4, 3), pairs).item()  # log 2
    0.6931471824645996

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.90.
    """
    o = options(
        reduction,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        empty=empty,
    )
    x, w, b, shape = hidden(input, linear_weight, linear_bias)
    classes = w.shape[0]
    for name, given in (("weight", weight), ("pos_weight", pos_weight)):
        check_weight(name, given, w.shape[:1], "class")
    check_weight("token_weight", token_weight, shape, "row")
    check_target_kind(target)
    check_devices(x, target=target, weight=weight, pos_weight=pos_weight, token_weight=token_weight)
    ignore_index = ignored(ignore_index)
    total: Any = x.shape[0] * classes
    if token_weight is not None:
        total = token_weight.sum(dtype=torch.float64) * classes
    if target.is_floating_point():
        if target.shape != (*shape, classes):
            must = f"have the shape {(*shape, classes)} to be probabilities"
            raise _check.invalid("target", must, tuple(target.shape))
        target = target.reshape(-1, classes)
        target = target.float() if target.dtype == torch.float16 else target
        counts = _look(target, ignore_index)
        if ignore_index is not None:
            each = counts if token_weight is None else counts * token_weight.reshape(-1)
            total = each.sum()
    elif ignore_index is not None:
        advice = "Give the answers as probabilities, shape (..., V)."
        raise _check.invalid("ignore_index", "be None with index pairs", ignore_index, advice)
    else:
        target = _sorted_pairs(target, x.shape[0], classes)
    scale = None if token_weight is None else token_weight.reshape(-1)
    rows = BinaryRows(target, weight, pos_weight, classes, ignore_index, scale, o, x.shape[0])
    job = job_of(rows, o, total, target, weight, pos_weight, token_weight)
    loss: Tensor = apply(x, w, b, job)
    return loss.reshape(shape) if reduction == "none" else loss


def _look(target: Tensor, ignore_index: float | None) -> Tensor:
    """Check answers a few rows at a time; return how many of each row count."""
    counts = target.new_full((len(target),), target.shape[1], dtype=torch.float64)
    for first in range(0, len(target), _FEW):
        rows = target[first : first + _FEW]
        if ignore_index is not None:
            kept = rows != ignore_index
            counts[first : first + _FEW] = kept.sum(-1)
            rows = rows.where(kept, 0.0)
        if can_look(rows):
            least, most = rows.aminmax()
            if not (least >= 0 and most <= 1):
                known = torch.ones_like(target) if ignore_index is None else target != ignore_index
                check_answers(target.where(known != 0, 0.0))
    return counts


class BinaryRows:
    """Rows of yes-or-no answers in a head."""

    buffers = 1

    def __init__(
        self,
        target: Tensor,
        weight: Tensor | None,
        pos_weight: Tensor | None,
        classes: int,
        ignore_index: float | None,
        scale: Tensor | None,
        options: Options,
        rows_of: int,
    ) -> None:
        self.target, self.weight, self.pos_weight = target, weight, pos_weight
        self.classes, self.ignore_index, self.scale = classes, ignore_index, scale
        self.options = options
        self.ends: list[int] | None = None
        if not (target.is_floating_point() or target.is_meta or traced()):
            # where the pairs of each row begin: only rows are ever made dense, one at a time
            counted = torch.bincount(target[:, 0], minlength=rows_of) if len(target) else None
            ends = torch.zeros(rows_of, dtype=torch.int64) if counted is None else counted.cumsum(0)
            self.ends = [0, *ends.tolist()]

    def _answers(self, rows: slice, like: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the smoothed answers of some rows, and what each weighs."""
        weight = self.weight
        if self.target.is_floating_point():
            answers = self.target[rows]
            if self.ignore_index is not None:
                kept = answers != self.ignore_index
                answers = answers.where(kept, 0.0)
                weight = kept if weight is None else weight * kept
        else:
            start = rows.start or 0
            pairs = self.target
            if self.ends is not None:
                pairs = pairs[self.ends[start] : self.ends[start + like.shape[0]]]
            answers = torch.zeros(like.shape, device=like.device)
            answers[pairs[:, 0] - start, pairs[:, 1]] = 1.0
        smoothing = self.options.label_smoothing
        if smoothing:
            answers = at_least_float32(answers) * (1 - smoothing) + smoothing / 2
        return answers, weight

    def plain(self, logits: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """See `HeadRows`."""
        answers, weight = self._answers(rows, logits)
        values = binary_values(shaped(logits, self.options), answers, weight, self.pos_weight)
        values = values.sum(-1)
        if self.scale is None:
            return (values,)
        scale = self.scale[rows].to(values.dtype)
        return ((values * scale).where(scale != 0, 0.0),)

    def fused(
        self, logits: Tensor, rows: slice, g: float, ups: tuple[Tensor | None, ...] | None
    ) -> tuple[Tensor, ...] | None:
        """See `HeadRows`."""
        if logits.dtype == torch.float16 or logits.device.type != "cpu":
            return None
        o, slope = self.options, None
        if o.softcap or o.temperature != 1.0:
            if logits.dtype == torch.bfloat16:
                return None
            if o.softcap:
                bent = logits.div_(o.softcap).tanh_()
                slope = (1 - bent * bent) / o.temperature if ups is not None else None
                bent.mul_(o.softcap)
            logits.div_(o.temperature)
        each = torch.full((logits.shape[0],), g, dtype=torch.float64)
        if ups and ups[0] is not None:
            each = each * ups[0]
        scale = None if self.scale is None else self.scale[rows].double()
        if scale is not None:
            each = each * scale
        values = np.empty(logits.shape[0])
        x, push, spans = as_numpy(logits), each.numpy(), -(-self.classes // kernels.SPAN)
        real = np.float64 if x.dtype == np.float64 else np.float32
        given = self.target if self.target.is_floating_point() else logits[:1].float()
        shared = None
        if self.ignore_index is None:
            shared = self._weights(x[:1], as_numpy(given[:1]), self.weight)
        plain = self.weight is None and self.pos_weight is None and self.ignore_index is None

        def work(start: int, stop: int) -> None:
            buffers = kernels.buffers_for(x.dtype)
            room = shared.room(x.dtype) if shared else None
            answers, totals = np.empty(self.classes, real), np.empty(spans)
            for r in range(start, stop):
                t, kept = self._row(rows.start + r, answers)
                out = x[r] if ups is not None else x[r, :0]
                rest = (totals, out, False, 0, spans)
                if plain and kernels.can_sum_in_float32(x, t, push[r]):
                    kernels.sum_of_losses(x[r], t, push[r], buffers, *rest)
                else:
                    weights = shared or self._weights(x, t, kept)
                    there = room or weights.room(x.dtype)
                    weights.score(x[r], t, push[r], there, answers[:0], *rest)
                values[r] = compensated_sum(totals)

        in_blocks(work, logits.shape[0], least=16)
        if slope is not None:
            logits.mul_(slope)
        elif o.temperature != 1.0 and ups is not None:
            logits.div_(o.temperature)
        found = torch.from_numpy(values)
        if scale is None:
            return (found,)
        if ups is not None:
            logits[scale == 0] = 0.0
        return ((found * scale).where(scale != 0, 0.0),)

    def _weights(self, x: Any, target: Any, weight: Tensor | None) -> Weights:
        return Weights(x, target, torch.Size([self.classes]), weight, self.pos_weight)

    def _row(self, r: int, answers: Any) -> tuple[Any, Tensor | None]:
        """Return the smoothed answers of one row, in ``answers`` if they are, and their weights."""
        weight = self.weight
        if self.target.is_floating_point():
            given = self.target[r]
            if self.ignore_index is None and not self.options.label_smoothing:
                return as_numpy(given), weight
            given = given.double()
            if self.ignore_index is not None:
                kept = given != self.ignore_index
                weight = kept if weight is None else kept * weight
                given = given * kept
            answers[:] = given.numpy()
        elif self.ends is not None:
            answers[:] = 0.0
            answers[self.target[self.ends[r] : self.ends[r + 1], 1].numpy()] = 1.0
        smoothing = self.options.label_smoothing
        if smoothing:
            answers *= 1 - smoothing
            answers += smoothing / 2
        return answers, weight


def _sorted_pairs(target: Tensor, count: int, classes: int) -> Tensor:
    if target.dim() != 2 or target.shape[1] != 2:
        advice = "Answers to every class are floats: target.float()."
        raise _check.invalid(
            "target", "have the shape (M, 2) to be index pairs", tuple(target.shape), advice
        )
    pairs = target.long()
    limits = torch.tensor([count, classes], device=pairs.device)
    good = (pairs >= 0) & (pairs < limits)
    check_values("target", pairs, good, f"hold rows below {count} and classes below {classes}")
    return pairs[pairs[:, 0].argsort(stable=True)]
