"""One fit from its data to its layers: by steps, which may go on from a file, or by the solver."""

from __future__ import annotations

import math
import os
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from xent import _check
from xent._progress import stage
from xent.training._checkpoint import Checkpoint, Layer, Progress
from xent.training._fit.audited import warn_of
from xent.training._fit.dense import DenseHeldOut, DenseSteps
from xent.training._fit.module import ModuleSteps, module_logits, put_back
from xent.training._fit.plan import Plan, read_penalty
from xent.training._fit.record import EpochRecord, HeldOut
from xent.training._fit.solve import Problem, solve
from xent.training._fit.targets import Targets
from xent.training._loop import first_layers, surroundings, train
from xent.training._objectives import Objective
from xent.training._steps import Batches
from xent.training._stream import StreamedBatches, StreamedRows


@dataclass(frozen=True)
class Task:
    """What is to be fitted, read and checked.

    Parameters
    ----------
    X : ndarray of float64, float32 or uint8, shape (N, D) or (N, ...), or StreamedRows
        Features.
    targets : Targets
        Of the rows.
    weight : ndarray, shape (N,), optional
        How much each row counts.
    held_out : HeldOut, optional
        What is measured.
    objective : Objective
        What is minimised.
    plan : Plan
        How.
    hidden : list of int
        Units of hidden layers.
    progress : bool
        Whether a terminal is shown how far it is.
    bias : float
        Of all outputs at the start, beside what is drawn.
    module : Module, optional
        The network, a copy of which is trained.
    """

    X: NDArray[Any] | StreamedRows
    targets: Targets
    weight: NDArray[np.float64] | None
    held_out: HeldOut | None
    objective: Objective
    plan: Plan
    hidden: list[int]
    progress: bool
    bias: float = 0.0
    module: nn.Module | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return (self.X.features,) if isinstance(self.X, StreamedRows) else self.X.shape[1:]

    @property
    def features(self) -> int:
        """The number of features."""
        return math.prod(self.shape)


def _batches(
    task: Task, rng: np.random.RandomState
) -> tuple[Batches, NDArray[Any], NDArray[np.float64] | None]:
    """Return the rows to take batches of, what tells them from others, and their weights."""
    weight, target, device = task.weight, task.targets.values, task.plan.device
    if weight is not None:
        weight = weight * (len(weight) / weight.sum())
    if isinstance(task.X, StreamedRows):
        ahead = deepcopy(rng)  # the start is drawn as if there were no blocks
        seed = int(ahead.randint(2**31 - 1))
        sign = np.frombuffer(f"{task.X.signature} {task.X.buffer_rows}".encode(), dtype=np.uint8)
        return StreamedBatches(task.X, target, weight, device, seed), sign, weight
    # What float32 cannot hold becomes infinite, and that stops the training.
    with np.errstate(over="ignore"):
        single = task.X if task.X.dtype == np.uint8 else task.X.astype(np.float32, copy=False)
    single = np.ascontiguousarray(single)
    return Batches(single, target, weight, device), single, weight


def take_steps(
    task: Task,
    rng: np.random.RandomState,
    checkpoint: str | os.PathLike[str] | None,
    settings: dict[str, Any],
    allow_other_bits: bool,
    log: str | os.PathLike[str] | None = None,
    every: float | None = None,
) -> tuple[EpochRecord, list[Layer], nn.Module | None]:
    """Train by batches, from the start or from a file.

    Parameters
    ----------
    task : Task
        What.
    rng : RandomState
        Draws the start, the batches, and what a module itself draws, such as dropout.
    checkpoint : path, optional
        The file.
    settings : dict
        What decides the result, as the file keeps it.
    allow_other_bits : bool
        Whether to go on in other surroundings.
    log : path, optional
        A CSV of the history.
    every : float, optional
        Seconds between two writings of the file.

    Returns
    -------
    tuple of EpochRecord, list of (weight, bias), and Module or None
        The module, where there is one, is the trained copy of the task's.

    Raises
    ------
    ValueError
        If the loss becomes infinite or NaN, or the file is of another run.
    """
    plan, targets, held_out = task.plan, task.targets, task.held_out
    network = None if task.module is None else deepcopy(task.module)
    batches, single, weight = _batches(task, rng)
    steps = None
    with nullcontext() if network is None else torch.random.fork_rng():
        if network is not None:
            steps = _steps_of(task, network, batches, weight)
            held_out = None if held_out is None else _seen_by(network, held_out)
            torch.manual_seed(rng.randint(2**31 - 1))
        file = None
        if checkpoint is not None:
            names = np.frombuffer(repr(targets.classes.tolist()).encode(), dtype=np.uint8)
            held = () if held_out is None else (held_out.X, held_out.target)
            data = [single, targets.values, names, *held]
            file = Checkpoint(
                checkpoint,
                settings,
                data if weight is None else [*data, weight],
                surroundings(plan.device),
                allow_other_bits=allow_other_bits,
                every=every,
            )
        with nullcontext() if file is None else file.alone():
            stands = None if file is None else file.read(plan.epochs, rng)
            if stands is None:
                start = [] if network is not None else _start(task, rng)
                stands = Progress(start, {}, {"loss": [], "gradient_norm": []})
            elif isinstance(steps, ModuleSteps):
                steps.go_on(stands.layers, stands.memory)
            done = len(stands.history["loss"])
            title = f"training, {task.objective.name}"
            with stage(title, plan.epochs, "epochs", show=task.progress) as told:
                record = EpochRecord(
                    stands, held_out, task.objective, plan.patience, file, rng, told, log
                )
                layers = train(
                    stands.layers, batches, task.objective, plan, rng, record, done=done,
                    memory=stands.memory, steps=steps, within=stands.within,
                )  # fmt: skip
    if network is not None:
        if plan.patience is not None:
            put_back(network, record.best)
        network = network.cpu().eval()
    return record, layers, network


def _start(task: Task, rng: np.random.RandomState) -> list[Layer]:
    """Draw the layers of a network of our own."""
    sizes = [task.features, *task.hidden, len(task.targets.classes)]
    *inner, (last, offset) = first_layers(sizes, rng)
    return [*inner, (last, offset + np.float32(task.bias))]


def _steps_of(
    task: Task, network: nn.Module, batches: Batches, weight: NDArray[np.float64] | None
) -> ModuleSteps:
    """Look at a module on the first rows, and return the steps that train it."""
    places, plan, objective = task.targets.places, task.plan, task.objective
    warn_of(network.to(plan.device), batches, objective, places)
    how = network, task.shape, batches, objective, plan
    return ModuleSteps(*how) if places is None else DenseSteps(*how, places, weight)


def _seen_by(network: nn.Module, held_out: HeldOut) -> HeldOut:
    """Return held-out rows that go through a module, which then draws nothing of the training."""
    if isinstance(held_out, DenseHeldOut):
        return replace(held_out, module=network)

    def forward(_: list[Layer], X: NDArray[Any]) -> NDArray[np.float64]:
        return module_logits(network, X)

    return replace(held_out, forward=forward)


def take_solution(task: Task, rng: np.random.RandomState) -> tuple[EpochRecord, list[Layer]]:
    """Find the lowest objective of the linear classifier.

    Parameters
    ----------
    task : Task
        What.
    rng : RandomState
        Is not drawn from.

    Raises
    ------
    ValueError
        If there is no lowest objective.
    """
    penalty = read_penalty(task.plan.options)
    nothing = Progress([], {}, {"loss": [], "gradient_norm": []})
    smoothing = task.objective.smoothing or 0.0
    targets = task.targets
    if isinstance(task.X, StreamedRows):
        must = "take steps where " + _check.argument("X") + " is read in blocks"
        raise _check.invalid("optimizer", must, "'newton'")
    problem = Problem(task.X, targets.values, task.weight, len(targets.classes), smoothing, penalty)
    with stage("solving", None, "steps", show=task.progress) as told:
        record = EpochRecord(nothing, task.held_out, task.objective, None, None, rng, told)
        layers = solve(problem, penalty, partial(record.add, memory={}))
    return record, layers


def refuse_what_steps_alone_have(
    given: dict[str, Any], defaults: dict[str, Any], objective: Objective, checkpoint: object
) -> None:
    """Refuse options that the solver would ignore: it has no batches, no rate and no start.

    Parameters
    ----------
    given, defaults : dict
        Arguments of the classifier.
    objective : Objective
        What shall be minimised.
    checkpoint : path, optional
        The file.

    Raises
    ------
    ValueError
        If one is given that is not its default.
    """
    solver = " with " + _check.setting("optimizer", "newton")
    if objective.smoothing is None:
        must = "be 'cross_entropy', with label_smoothing or without," + solver
        raise _check.invalid("loss", must, repr(objective.name), "Other losses are not convex.")
    for name in ("hidden", "epochs", "batch_size", "learning_rate", "schedule", "patience"):
        value, default = given[name], defaults[name]
        if tuple(value) != default if name == "hidden" else value != default:
            raise _check.invalid(name, f"be left at {default!r}" + solver, repr(value))
    if checkpoint is not None:
        raise _check.invalid("checkpoint", "be left out" + solver, _check.a(checkpoint))
    if str(given["device"]) not in ("auto", "cpu"):
        raise _check.invalid("device", "be 'auto' or 'cpu'" + solver, repr(given["device"]))
