"""Targets with a class of every place, a pixel or a token: read, stepped and measured."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xent import _check
from xent.training._checkpoint import Layer
from xent.training._fit.module import ModuleSteps, logits_in_pieces
from xent.training._fit.plan import Plan
from xent.training._fit.record import HeldOut, class_costs_of, named_scores
from xent.training._fit.targets import ROW_SUM_TOLERANCE, CountedPlaces, Targets
from xent.training._objectives import Objective
from xent.training._steps import Batches

PLACES_A_PIECE = 1 << 22  # that are looked at at once
SMALL_NUMBERS = ("u1", "i1", "i2", "i4", "i8")  # kinds of masks that torch has too


class DenseSteps(ModuleSteps):
    """Steps of a module whose outputs have a class at every place.

    Parameters
    ----------
    network, shape, batches, objective, plan
        As in `ModuleSteps`.
    places : CountedPlaces
        Which count.
    weight : ndarray, shape (N,), optional
        How much a row counts, 1 on average.
    """

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        batches: Batches,
        objective: Objective,
        plan: Plan,
        places: CountedPlaces,
        weight: NDArray[np.float64] | None,
    ) -> None:
        super().__init__(network, shape, batches, objective, plan)
        self.ignored, self.by_class = places.ignore_index, None
        of_rows = np.ones(len(places.counts)) if weight is None else weight
        counts: NDArray[Any] = places.counts
        self._counted = int(counts.sum())
        if places.class_weight is not None:
            self.by_class = torch.from_numpy(places.class_weight.astype(np.float32)).to(plan.device)
            counts = counts @ places.class_weight
        self.mean_weight = float(of_rows @ counts) / self._counted

    @property
    def terms(self) -> int:
        """How many places count."""
        return self._counted

    def _terms(self, target: Tensor) -> int | Tensor:
        if target.is_floating_point():
            return target.numel() // target.shape[1]
        return target.numel() if self.ignored is None else (target != self.ignored).sum()

    def _mean(self, logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        rows, truth, kept = _places_in(logits, target, self.ignored)
        if not len(rows):
            return logits.sum() * 0.0  # nothing of this batch counts
        if weight is None and self.by_class is None:
            return self.objective.loss(rows, truth)
        losses = self.objective.rows(rows, truth)
        if weight is not None:
            of_places = weight.repeat_interleave(math.prod(logits.shape[2:]))
            losses = losses * (of_places if kept is None else of_places[kept])
        if self.by_class is not None:
            losses = losses * self.by_class[truth]
        return losses.mean() / self.mean_weight


def _places_in(
    logits: Tensor, target: Tensor, ignored: int | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return logits (P, C) and targets, (P,) or (P, C), of the places that count, and which do."""
    rows = logits.movedim(1, -1).flatten(0, -2)
    if target.is_floating_point():
        return rows, target.movedim(1, -1).flatten(0, -2), None
    truth = target.flatten()
    if ignored is None:
        return rows, truth, None
    kept = truth != ignored
    return rows[kept], truth[kept], kept


@dataclass(frozen=True)
class DenseHeldOut(HeldOut):
    """Images or sequences that are measured after every epoch, and not trained on.

    Parameters
    ----------
    X : ndarray, shape (N, ...)
        Features.
    target : ndarray of whole numbers, shape (N, ...), or of float, shape (N, C, ...)
        The class of each place, or the probability of every class there.
    forward : callable
        Is not called: a piece at a time goes through ``module``.
    ignore_index : int, optional
        The target of a place that does not count.
    module : Module
        The network.
    """

    ignore_index: int | None = None
    module: nn.Module = field(default_factory=nn.Identity)

    def measure(self, layers: list[Layer], objective: Objective) -> dict[str, float]:
        """Return the cross-entropy of a place in nats and bits, and the accuracy.

        Parameters
        ----------
        layers : list of (array, nothing)
            Are not looked at.
        objective : Objective
            Says how logits are read.
        """
        sums = (
            dense_sums(logits, self.target[piece], self.ignore_index, objective)
            for piece, logits in logits_in_pieces(self.module, self.X)
        )
        nats, right, places = (math.fsum(part) for part in zip(*sums, strict=True))
        return named_scores(nats / places, right / places)


def dense_sums(
    logits: NDArray[np.float64],
    target: NDArray[Any],
    ignored: int | None,
    objective: Objective,
) -> tuple[float, float, int]:
    """Return the nats of all places that count, how many are right, and how many there are.

    Parameters
    ----------
    logits : ndarray, shape (N, C, ...)
        Of a model.
    target : ndarray of whole numbers, shape (N, ...), or of float, shape (N, C, ...)
        The truth.
    ignored : int, optional
        The target of a place that does not count.
    objective : Objective
        Says how logits are read.
    """
    rows = np.moveaxis(logits, 1, -1).reshape(-1, logits.shape[1])
    if target.dtype.kind == "f":
        soft = np.moveaxis(target, 1, -1).reshape(rows.shape)
        log_probs = objective.log_probs(rows)
        costs = -(soft * np.where(soft > 0, log_probs, 0.0)).sum()
        right = log_probs.argmax(axis=1) == soft.argmax(axis=1)
        return float(costs), float(right.sum()), len(rows)
    classes = target.reshape(-1).astype(np.int64)
    if ignored is not None:
        rows, classes = rows[classes != ignored], classes[classes != ignored]
    if not len(rows):
        return 0.0, 0.0, 0
    costs, guesses = class_costs_of(objective.read(rows), classes)
    return float(costs.sum()), float((guesses == classes).sum()), len(rows)


def read_dense(
    argument: str, y: Any, outputs: tuple[int, ...], ignored: int | None, *, by_class: bool = False
) -> Targets:
    """Take the class of every place, or the probability of every class there.

    Parameters
    ----------
    argument : str
        What they are called, for messages.
    y : array_like, shape (N, ...) or (N, C, ...)
        Targets.
    outputs : tuple of int
        The shape of the module's logits, (N, C, ...).
    ignored : int, optional
        The target of a place that does not count.
    by_class : bool
        Whether the places of each class are counted.

    Raises
    ------
    ValueError
        If the shape is another, a class is none of the module's, probabilities are none, or no
        place counts.
    """
    values = np.asarray(y)
    rows, classes, *places = outputs
    names = np.arange(classes)
    if values.shape == outputs and values.dtype.kind == "f":
        if ignored is not None:
            must = "be None where " + _check.argument(argument) + " holds probabilities"
            raise _check.invalid("ignore_index", must, ignored)
        _check_probabilities(argument, values)
        counts = np.full(rows, math.prod(places))
        return Targets(names, values.astype(np.float32, copy=False), CountedPlaces(counts))
    if values.shape != (rows, *places):
        shapes = f"have a class of every place, {(rows, *places)}, or probabilities, {outputs}, as "
        gives = _check.argument("module") + " gives logits"
        raise _check.invalid(argument, shapes + gives, str(values.shape))
    if values.dtype.kind not in "biu":
        whole = "hold whole numbers where it has a class of every place"
        raise _check.invalid(argument, whole, f"numbers of {values.dtype}")
    if values.dtype.str[1:] not in SMALL_NUMBERS or not values.dtype.isnative:
        values = values.astype(np.uint8 if values.dtype.kind == "b" else np.int64)
    shape: tuple[int, ...] = (rows, classes) if by_class else (rows,)
    counts = np.zeros(shape, np.int64)
    for start, some in _pieces(values):
        flat = some.reshape(len(some), -1)
        counted = np.ones(flat.shape, bool) if ignored is None else flat != ignored
        bad = counted & ((flat < 0) | (flat >= classes))
        if bad.any():
            raise _no_class(argument, classes, some, start, bad.reshape(some.shape), ignored)
        for i, (row, of) in enumerate(zip(flat, counted, strict=True)):
            counts[start + i] = np.bincount(row[of], minlength=classes) if by_class else of.sum()
    if not counts.any():
        some_place = "have a place that is not " + _check.argument("ignore_index")
        raise _check.invalid(argument, some_place, f"{ignored} everywhere")
    return Targets(names, values, CountedPlaces(counts, ignored))


def _pieces(values: NDArray[Any]) -> Iterable[tuple[int, NDArray[Any]]]:
    size = max(1, PLACES_A_PIECE // max(1, math.prod(values.shape[1:])))
    for start in range(0, len(values), size):
        yield start, values[start : start + size]


def _no_class(
    argument: str,
    classes: int,
    some: NDArray[Any],
    start: int,
    bad: NDArray[np.bool_],
    ignored: int | None,
) -> ValueError:
    """Return the refusal of a number that is no class."""
    first = np.argwhere(bad)[0]
    value = int(some[tuple(first)])
    first[0] += start
    or_ignored = "" if ignored is None else f", or {ignored}"
    known = f", 0 to {classes - 1}{or_ignored}"
    must = f"hold the numbers of the {classes} classes of " + _check.argument("module") + known
    got = f"{value} at {_check.at(first)}"
    if ignored is not None:
        return _check.invalid(argument, must, got)
    mark = _check.setting("ignore_index", value)
    advice = "Where it marks places that do not count pass " + mark + "."
    return _check.invalid(argument, must, got, advice)


def _check_probabilities(argument: str, values: NDArray[Any]) -> None:
    """Refuse what is no distribution at some place."""
    for start, some in _pieces(values):
        bad = ~np.isfinite(some) | (some < 0)
        if bad.any():
            first = np.argwhere(bad)[0]
            got = some[tuple(first)]
            first[0] += start
            must = "hold probabilities where it has the shape of the logits"
            raise _check.invalid(argument, must, f"{got} at {_check.at(first)}")
        sums = some.sum(axis=1, dtype=np.float64)
        off = np.abs(sums - 1) > ROW_SUM_TOLERANCE
        if off.any():
            first = np.argwhere(off)[0]
            got = sums[tuple(first)]
            first[0] += start
            must = "hold probabilities that sum to 1 over its classes, axis 1"
            raise _check.invalid(argument, must, f"{got} at {_check.at(first)}")
