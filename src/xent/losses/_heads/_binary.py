"""The head of many labels: each class is true or not on its own, and no logits in memory.

Targets given as index pairs are made dense one row at a time, beside the row's compiled loss.
"""

from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses._arguments import (
    Options,
    can_validate,
    check_devices,
    check_options,
    check_target_kind,
    check_values,
    check_weight,
)
from xent.losses._heads._binary_rows import BinaryRows
from xent.losses._heads._head import check_head, job_of, run_head
from xent.losses._heads._operator import (
    is_compiled,
    register_head,
    scored,
    sloped,
    wanted_of,
)
from xent.losses._overrides import overridable
from xent.losses._reduction import exact_dtype
from xent.losses._rows._binary import (
    check_ignored,
    silence_answers,
    validate_binary_target,
    widened,
)
from xent.losses._rows._chunks import Job
from xent.losses._torch_private import is_traced

_CHUNK = 64  # rows that are validated at once


@overridable
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
        A target whose elements are ignored; not with index pairs, which name none.
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
    o = check_options(
        reduction,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        empty=empty,
    )
    x, w, b, shape = check_head(input, linear_weight, linear_bias)
    classes = w.shape[0]
    for name, given in (("weight", weight), ("pos_weight", pos_weight)):
        check_weight(name, given, w.shape[:1], "class")
    check_weight("token_weight", token_weight, shape, "row")
    check_target_kind(target)
    check_devices(x, target=target, weight=weight, pos_weight=pos_weight, token_weight=token_weight)
    ignore_index = check_ignored(ignore_index)
    row_weight = None if token_weight is None else token_weight.reshape(-1)
    if target.is_floating_point():
        if target.shape != (*shape, classes):
            must = f"have the shape {(*shape, classes)} to be probabilities"
            raise _check.invalid("target", must, tuple(target.shape))
        target = target.reshape(-1, classes)
    elif target.dim() != 2 or target.shape[1] != 2:
        advice = "Answers to every class are floats: target.float()."
        raise _check.invalid(
            "target", "have the shape (M, 2) to be index pairs", tuple(target.shape), advice
        )
    elif ignore_index is not None:
        advice = "Give the answers as probabilities, shape (..., V)."
        raise _check.invalid("ignore_index", "be None with index pairs", ignore_index, advice)
    weights = weight, pos_weight, row_weight
    if is_compiled(target, *weights):
        loss = compiled_binary_loss(x, w, b, target, weights, ignore_index, o)
    else:
        loss = run_head(x, w, b, binary_job(target, weights, ignore_index, o, x.shape[0], classes))
    return loss.reshape(shape) if reduction == "none" else loss


def binary_job(
    target: Tensor,
    weights: tuple[Tensor | None, Tensor | None, Tensor | None],
    ignore_index: float | None,
    o: Options,
    count: int,
    classes: int,
) -> Job:
    """Return the job of ``count`` rows of answers, (count, V) or index pairs, that are checked."""
    weight, pos_weight, row_weight = weights
    total: Any = count * classes
    if row_weight is not None:
        total = row_weight.sum(dtype=exact_dtype(row_weight)) * classes
    if target.is_floating_point():
        target = widened(target) if target.dtype == torch.float16 else target
        target, counts = _validate(target, ignore_index, weight, row_weight)
        if ignore_index is not None:
            total = (counts if row_weight is None else counts * row_weight).sum()
    else:
        target = _sorted_pairs(target, count, classes, row_weight)
    rows = BinaryRows(target, weight, pos_weight, classes, ignore_index, row_weight, o, count)
    return job_of(rows, o, total, target, *weights)


def _validate(
    target: Tensor, ignore_index: float | None, weight: Tensor | None, row_weight: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Check targets a few rows at a time; return them, and how many of each row are not ignored.

    What is no answer and weighs 0 comes back as a 0, and what rounding left over without that.
    """
    counts = target.new_full((len(target),), target.shape[1], dtype=exact_dtype(target))
    for first in range(0, len(target), _CHUNK):
        rows = target[first : first + _CHUNK]
        if ignore_index is not None:
            kept = rows != ignore_index
            counts[first : first + _CHUNK] = kept.sum(-1)
            rows = rows.where(kept, 0.0)
        if can_validate(rows):
            smallest, largest = rows.aminmax()
            if not (smallest >= 0 and largest <= 1):
                target = _proper(target, ignore_index, weight, row_weight)
    return target, counts


def _proper(
    target: Tensor, ignore_index: float | None, weight: Tensor | None, row_weight: Tensor | None
) -> Tensor:
    """Return targets that are answers, where they count; refuse what is none."""
    answers = target
    if ignore_index is not None:
        answers = target.where(target != ignore_index, 0.0)
    if weight is not None:
        answers = silence_answers(answers, weight)
    if row_weight is not None:
        answers = silence_answers(answers, row_weight.unsqueeze(-1))
    validate_binary_target(answers)
    answers = answers.clamp(0.0, 1.0)
    return answers if ignore_index is None else target.where(target == ignore_index, answers)


def _sorted_pairs(target: Tensor, count: int, classes: int, row_weight: Tensor | None) -> Tensor:
    pairs = target.long()
    if can_validate(pairs):
        good = (pairs >= 0) & (pairs < pairs.new_tensor([count, classes]))
        if row_weight is not None and can_validate(row_weight):
            row = pairs[:, 0].where(good[:, 0], 0)
            counts = ~good[:, 0] | good[:, 1] | (row_weight[row] != 0)
            pairs, good = pairs[counts], good[counts]
        must = f"hold rows below {count} and classes below {classes}"
        check_values("target", pairs, good, must)
    if is_traced() or not pairs.is_cpu:  # there no row asks where its pairs are
        return pairs
    return pairs[pairs[:, 0].argsort(stable=True)]


@torch.library.custom_op("xent::linear_binary_loss", mutates_args=())
def _binary_operator(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    row_weight: Tensor | None,
    reduction: str,
    label_smoothing: float,
    temperature: float,
    softcap: float,
    empty: str,
    ignore_index: float | None,
    wants_x: bool,
    wants_w: bool,
    wants_b: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the loss, and the gradients or nothing."""
    o = Options(reduction, -100, label_smoothing, temperature, softcap, 0.0, empty)
    weights = weight, pos_weight, row_weight
    job = binary_job(target, weights, ignore_index, o, x.shape[0], w.shape[0])
    return scored(x, w, b, job, (wants_x, wants_w, wants_b))


@torch.library.custom_op("xent::linear_binary_loss_backward", mutates_args=())
def _binary_backward_operator(
    upstream: Tensor,
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    row_weight: Tensor | None,
    reduction: str,
    label_smoothing: float,
    temperature: float,
    softcap: float,
    empty: str,
    ignore_index: float | None,
    wants_x: bool,
    wants_w: bool,
    wants_b: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    o = Options(reduction, -100, label_smoothing, temperature, softcap, 0.0, empty)
    weights = weight, pos_weight, row_weight
    job = binary_job(target, weights, ignore_index, o, x.shape[0], w.shape[0])
    return sloped(upstream, x, w, b, job, (wants_x, wants_w, wants_b))


register_head(_binary_operator, _binary_backward_operator, 7)


def compiled_binary_loss(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    target: Tensor,
    weights: tuple[Tensor | None, Tensor | None, Tensor | None],
    ignore_index: float | None,
    o: Options,
) -> Tensor:
    """Return the loss of a head within a graph of torch.compile."""
    loss: Tensor = _binary_operator(
        x, w, b, target, *weights, o.reduction, o.label_smoothing, o.temperature, o.softcap,
        o.empty, ignore_index, *wanted_of(x, w, b),
    )[0]  # fmt: skip
    return loss
