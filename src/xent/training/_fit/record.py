"""What is kept of a run after each epoch: its history, its best layers, its file on disk."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _store
from xent._math.vector import FLOAT64_LANES
from xent.training._checkpoint import Checkpoint, Layer, Memory, Progress, Within
from xent.training._kernels.held_out import class_costs
from xent.training._loop import logits_of
from xent.training._objectives import Objective

WATCHED = "validation_cross_entropy"
BATCHES_AT_ONCE = 16  # between two looks at the clock


@dataclass(frozen=True)
class HeldOut:
    """Rows that are measured after every epoch, and not trained on.

    Parameters
    ----------
    X : ndarray, shape (N, D)
        Features.
    target : ndarray of int64, shape (N,), or of float64, shape (N, C)
        Class numbers or probabilities.
    forward : callable
        From layers and features to logits.
    """

    X: NDArray[Any]
    target: NDArray[Any]
    forward: Callable[[list[Layer], NDArray[Any]], NDArray[np.float64]] = logits_of

    def measure(self, layers: list[Layer], objective: Objective) -> dict[str, float]:
        """Return the cross-entropy in nats and bits, and the accuracy.

        Parameters
        ----------
        layers : list of (weight, bias)
            The network.
        objective : Objective
            Says how its logits are read.
        """
        logits = self.forward(layers, self.X)
        if objective.multilabel:
            return label_scores(logits, self.target)
        if self.target.ndim == 1:
            costs, guesses = class_costs_of(objective.read(logits), self.target)
            right = float((guesses == self.target).mean())
            return named_scores(math.fsum(costs.tolist()) / len(costs), right)
        return soft_scores(objective.log_probs(logits), self.target)


def class_costs_of(
    logits: NDArray[np.float64], target: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the cross-entropy of each row in nats, and the class with the largest logit.

    Parameters
    ----------
    logits : ndarray, shape (N, C)
        Of the softmax.
    target : ndarray, shape (N,)
        Class numbers.
    """
    rows, classes = logits.shape
    size = -(-rows // FLOAT64_LANES) * FLOAT64_LANES
    costs, guesses = np.empty(size), np.empty(size, np.int64)
    tile = np.zeros((classes + 1, FLOAT64_LANES))
    class_costs(np.ascontiguousarray(logits), target, tile, costs, guesses)
    return costs[:rows], guesses[:rows]


def soft_scores(log_probs: NDArray[np.float64], target: NDArray[np.float64]) -> dict[str, float]:
    """Return the cross-entropy in nats and bits, and the accuracy, under the names of a history.

    Parameters
    ----------
    log_probs : ndarray, shape (N, C)
        Of the model.
    target : ndarray, shape (N, C)
        The probability of every class.
    """
    costs = -(target * np.where(target > 0, log_probs, 0.0)).sum(axis=1)
    right = float((log_probs.argmax(axis=1) == target.argmax(axis=1)).mean())
    return named_scores(math.fsum(costs.tolist()) / len(target), right)


def named_scores(nats: float, accuracy: float) -> dict[str, float]:
    """Return a cross-entropy and an accuracy under the names of a history.

    Parameters
    ----------
    nats, accuracy : float
        Means over all that was held out.
    """
    return {
        WATCHED: nats,
        "validation_bits": nats / math.log(2),
        "validation_accuracy": accuracy,
    }


def label_scores(logits: NDArray[np.float64], target: NDArray[Any]) -> dict[str, float]:
    """Return the same of several labels a row: means over all labels of all rows.

    Parameters
    ----------
    logits : ndarray, shape (N, L)
        Of the model.
    target : ndarray, shape (N, L)
        1 where a label is there.
    """
    there = target > 0.5
    costs = np.logaddexp(0.0, np.where(there, -logits, logits)).mean(axis=1)
    right = float(((logits >= 0) == there).mean())
    return named_scores(math.fsum(costs.tolist()) / len(costs), right)


class EpochRecord:
    """Adds an entry to the history for every epoch, and ends a training that no longer gains.

    Parameters
    ----------
    progress : Progress
        Where the run stands at its start.
    held_out : HeldOut, optional
        What is measured.
    objective : Objective
        What is minimised.
    patience : int, optional
        How many epochs the held-out cross-entropy may fail to fall.
    file : Checkpoint, optional
        Is written after every epoch.
    rng : RandomState
        Shuffles the rows.
    told : callable
        Shows progress.
    log : path, optional
        A CSV of the history, rewritten after every epoch.
    """

    def __init__(
        self,
        progress: Progress,
        held_out: HeldOut | None,
        objective: Objective,
        patience: int | None,
        file: Checkpoint | None,
        rng: np.random.RandomState,
        told: Callable[..., None],
        log: str | os.PathLike[str] | None = None,
    ) -> None:
        self.history, self.best = progress.history, progress.best
        self.held_out, self.objective, self.patience = held_out, objective, patience
        self.file, self.rng, self.told = file, rng, told
        self.log = log

    @property
    def watched(self) -> list[float]:
        """The held-out cross-entropy of every epoch, NaN where nothing is held out."""
        return self.history.get(WATCHED, [math.nan] * len(self.history["loss"]))

    @property
    def stopped(self) -> bool:
        """Whether the held-out cross-entropy has failed to fall for as long as it may."""
        if self.patience is None or not self.watched:
            return False
        return len(self.watched) - self.best_epoch >= self.patience

    @property
    def best_epoch(self) -> int:
        """The first epoch, from 1, with the lowest held-out cross-entropy; NaN is above all."""
        return 1 + int(np.argmin(np.where(np.isnan(self.watched), math.inf, self.watched)))

    @property
    def batches_at_once(self) -> int | None:
        """How many batches pass between two looks at the clock; None where nobody looks."""
        return BATCHES_AT_ONCE if self.file is not None and self.file.every is not None else None

    @property
    def due(self) -> bool:
        """Whether it is time to write the checkpoint."""
        return self.file is not None and self.file.due

    def pause(self, layers: list[Layer], memory: Memory, within: Within, before: Any) -> None:
        """Write what an epoch has led to so far.

        Parameters
        ----------
        layers : list of (weight, bias)
            The network.
        memory : dict of str to ndarray
            The optimizer's.
        within : Within
            How far the epoch is.
        before : tuple
            The position of the generator before the epoch.
        """
        if self.file is not None:
            self.file.write(Progress(layers, memory, self.history, self.best, within), before)

    def add(
        self, layers: list[Layer], memory: Memory, loss: float, norm: float, *, last: bool = False
    ) -> None:
        """Keep what an epoch led to.

        Parameters
        ----------
        layers : list of (weight, bias)
            The network after it.
        memory : dict of str to ndarray
            The optimizer's.
        loss, norm : float
            Mean loss and mean gradient norm of the epoch.
        last : bool
            Whether the training ends with it.
        """
        entry = {"loss": loss, "gradient_norm": norm}
        if self.held_out is not None:
            entry |= self.held_out.measure(layers, self.objective)
        for name, value in entry.items():
            self.history.setdefault(name, []).append(value)
        if self.patience is not None and self.best_epoch == len(self.watched):
            self.best = layers
        if self.file is not None and (
            self.file.every is None or last or self.stopped or self.file.due
        ):
            progress = Progress(layers, memory, self.history, self.best)
            self.file.write(progress, self.rng.get_state(legacy=True))
        if self.log is not None:
            write_log(self.log, self.history)
        self.told(len(self.history["loss"]), self._word(loss))

    def _word(self, loss: float) -> str:
        """Return the epoch in a few words: bits where the loss is a cross-entropy."""
        word = f"loss {loss:.4f}"
        if self.objective.smoothing is not None:
            word = f"{loss / math.log(2):.4f} bits"
        if bits := self.history.get("validation_bits"):
            word += f", held out {bits[-1]:.4f} bits"
        return word


def write_log(path: str | os.PathLike[str], history: dict[str, list[float]]) -> None:
    """Write the history of a training as a CSV, one line an epoch, whole or not at all.

    Parameters
    ----------
    path : str or PathLike
        Where the file shall stand.
    history : dict of str to list of float
        One entry an epoch each.
    """
    # One order, also where the history comes from a file.
    names = sorted(history)
    lines = [",".join(["epoch", *names])]
    for epoch, values in enumerate(zip(*(history[name] for name in names), strict=True), 1):
        lines.append(",".join([str(epoch), *map(repr, map(float, values))]))
    with _store.writing(path, argument="log") as file:
        file.write(("\n".join(lines) + "\n").encode())
