"""Log-probabilities of whole answers under a head, token by token, for what trains on answers."""

import math
from collections.abc import Collection
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xent import _check
from xent.losses._arguments import check_devices, check_input, check_number, check_numbers
from xent.losses._heads._class import linear_log_prob
from xent.losses._rows._targets import one_ignored


class Answers(NamedTuple):
    """What a head says of whole answers: log-probabilities (N, T), which count, their entropies."""

    log_prob: Tensor
    kept: Tensor
    entropy: Tensor | None

    def gain(self, reference: Tensor) -> Tensor:
        """Return how much likelier each answer is, (N,), than the reference said."""
        total = self.log_prob.sum(-1)
        return total - check_column("reference", reference, total.shape, total, "an answer")

    def mean(self) -> Tensor:
        """Return each answer's mean over its tokens, (N,)."""
        return mean_over_tokens(self.log_prob, self.kept)


def answers_under(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    linear_bias: Tensor | None,
    ignore_index: int | Collection[int],
    temperature: float,
    softcap: float | None,
    entropy: bool = False,
) -> Answers:
    """Return what a head says of answers; checks what all losses of answers are given."""
    check_input(input)
    if input.dim() != 3:
        raise _check.invalid("input", "have the shape (N, T, D)", tuple(input.shape))
    target, ignored = one_ignored(target, ignore_index)
    found = linear_log_prob(
        input, linear_weight, target, linear_bias=linear_bias, ignore_index=ignored,
        temperature=temperature, softcap=softcap, stats=entropy,
    )  # fmt: skip
    log_prob, stats = found if entropy else (found, None)
    return Answers(log_prob, target != ignored, None if stats is None else stats.entropy)


def halves(column: Tensor) -> tuple[Tensor, Tensor]:
    """Return what belongs to preferred answers and to the others."""
    if column.shape[0] % 2:
        must = "hold as many answers that are preferred as others, those first"
        raise _check.invalid("input", must, f"{column.shape[0]} answers")
    first, second = column.chunk(2) if column.shape[0] else (column, column)
    return first, second


def mean_over_tokens(values: Tensor, kept: Tensor) -> Tensor:
    """Return the mean over an answer's tokens, 0 for one without any."""
    return values.sum(-1) / kept.sum(-1).clamp_min(1)


def check_column(name: str, given: Tensor, shape: torch.Size, like: Tensor, each: str) -> Tensor:
    """Return numbers that are there for each answer or token, detached."""
    check_numbers(name, given)
    if given.shape != shape:
        must = f"have one entry {each}, {tuple(shape)}"
        raise _check.invalid(name, must, tuple(given.shape))
    check_devices(like, **{name: given})
    return given.detach().to(like.dtype)


def check_positive(name: str, value: float) -> float:
    """Return a number above 0."""
    return _check.positive(name, check_number(name, value))


def check_not_negative(name: str, value: float) -> float:
    """Return a finite number that is at least 0."""
    value = check_number(name, value)
    if not 0 <= value < math.inf:
        raise _check.invalid(name, "be non-negative and finite", value)
    return value


def reduce_answers(values: Tensor, reduction: Any) -> Tensor:
    """Reduce the losses of answers; the mean of none is 0."""
    _check.option("reduction", reduction, ("mean", "sum", "none"))
    if reduction == "none":
        return values
    return values.sum() if reduction == "sum" else values.sum() / max(1, values.numel())
