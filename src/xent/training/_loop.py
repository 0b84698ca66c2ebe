"""The training loop: a network of plain arrays, stepped by PyTorch, given back as plain arrays.

The start and the order of the batches come from NumPy's generator alone, so they are the same under
every loss and on every device.
"""

import math
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xent import _check
from xent._compile.threads import in_blocks
from xent.training._checkpoint import Layer, Memory, Within
from xent.training._fit.plan import Plan, Rates
from xent.training._kernels.linear import CLASSES_AT_ONCE, linear_rows
from xent.training._objectives import Objective
from xent.training._steps import (
    Batches,
    LinearSteps,
    NetworkSteps,
    Steps,
    network_of,
    tensor_of,
)


class Record(Protocol):
    """Who is told of every epoch, and may end the training."""

    @property
    def watched(self) -> list[float]:
        """The held-out cross-entropy of every epoch so far."""

    @property
    def stopped(self) -> bool:
        """Whether the training shall end."""

    @property
    def batches_at_once(self) -> int | None:
        """How many batches are trained on before `due` is asked; None for all of an epoch."""

    @property
    def due(self) -> bool:
        """Whether `pause` shall be called."""

    def add(
        self, layers: list[Layer], memory: Memory, loss: float, norm: float, *, last: bool = False
    ) -> None:
        """Take the layers after an epoch, and the epoch's mean loss and gradient norm."""

    def pause(self, layers: list[Layer], memory: Memory, within: Within, before: Any) -> None:
        """Take the layers amid an epoch, and the position of the generator before it."""


def surroundings(device: str) -> dict[str, str | int]:
    """Return what the last bits of a training hang on: sums are taken in other orders elsewhere.

    Parameters
    ----------
    device : str
        Where to compute.
    """
    place = torch.device(device)
    named = torch.cuda.get_device_name(place) if place.type == "cuda" else ""
    return {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "xent": version("xent"),
        "device": f"{place.type} {named}".strip(),
        "processor": torch.backends.cpu.get_cpu_capability(),
    }


def first_layers(sizes: list[int], rng: np.random.RandomState) -> list[Layer]:
    """Draw a start: weights and biases uniform within ±1/√(inputs), the default of torch.nn.Linear.

    Parameters
    ----------
    sizes : list of int
        Inputs, hidden units..., classes.
    rng : RandomState
        Where the numbers come from.
    """
    layers = []
    for inputs, outputs in pairwise(sizes):
        bound = 1 / math.sqrt(inputs)
        weight = rng.uniform(-bound, bound, (outputs, inputs)).astype(np.float32)
        layers.append((weight, rng.uniform(-bound, bound, outputs).astype(np.float32)))
    return layers


def train(
    layers: list[Layer],
    batches: Batches,
    objective: Objective,
    plan: Plan,
    rng: np.random.RandomState,
    record: Record,
    *,
    done: int = 0,
    memory: Memory | None = None,
    steps: Steps | None = None,
    within: Within | None = None,
) -> list[Layer]:
    """Train from a start and return the layers that it led to.

    Parameters
    ----------
    layers : list of (weight, bias)
        The start.
    batches : Batches
        The rows.
    objective : Objective
        What is minimised.
    plan : Plan
        How.
    rng : RandomState
        Shuffles the rows of each epoch.
    record : Record
        Is told of every epoch.
    done : int
        Epochs that led to ``layers``; ``rng`` stands after them.
    memory : dict of str to ndarray, optional
        What ``record`` was handed after the last of them.
    steps : Steps, optional
        Of another network than one of ``layers``.
    within : Within, optional
        How far the epoch after those ``done`` is; ``rng`` stands before it.

    Raises
    ------
    ValueError
        If the loss becomes infinite or NaN.
    """
    if steps is None:
        how = batches, objective, plan, memory or {}
        linear = len(layers) == 1 and plan.device == "cpu"
        steps = LinearSteps(layers, *how) if linear else NetworkSteps(network_of(layers), *how)
    rates = Rates(plan.learning_rate, plan.schedule)
    for value in record.watched:
        rates.step(value)
    count = len(batches)
    for epoch in range(done + 1, plan.epochs + 1):
        if record.stopped:
            break
        before, begun = rng.get_state(), within or Within()
        within, skip = None, begun.batches
        for order in batches.parts(rng, epoch, min(plan.batch_size, count)):
            left = order[skip:]
            skip -= len(order) - len(left)
            for some in _pieces(left, record.batches_at_once):
                sums = steps.epoch(some, rates.now(), (begun.loss, begun.norm))
                begun = Within(begun.batches + len(some), *sums)
                if record.due:
                    record.pause(steps.layers(), steps.memory(), begun, before)
        total = begun.loss
        layers = steps.layers()
        # The loss was taken before the last step, which may be the one that diverged.
        finite = all(np.isfinite(array).all() for layer in layers for array in layer)
        if not (finite and math.isfinite(total)):
            raise _check.cannot(
                f"Training stopped in epoch {epoch}",
                "a weight is not finite"
                if math.isfinite(total)
                else f"the {plan.loss} loss is {total}",
                f"Lower `learning_rate` (it is {plan.learning_rate:g}) or scale `X` to [0, 1].",
            )
        ends = epoch == plan.epochs
        norm = begun.norm / begun.batches
        record.add(layers, steps.memory(), total / steps.terms, norm, last=ends)
        rates.step(record.watched[-1])
    return layers


def _pieces(order: list[Tensor], size: int | None) -> list[list[Tensor]]:
    """Part batches into pieces; an empty list into none."""
    size = size or max(1, len(order))
    return [order[start : start + size] for start in range(0, len(order), size)]


ROWS_AT_ONCE = 256  # their features in float64 stay in the second cache
FEW_CLASSES = 30  # so many a loop of our own is faster with than a product of matrices
ROWS_A_THREAD = 2000  # that are worth waking one for


def logits_of(layers: list[Layer], X: NDArray[Any]) -> NDArray[np.float64]:
    """Logits of rows in float64, on the processor: the same for every device and after a reload."""
    X = np.ascontiguousarray(X)
    if len(layers) == 1 and len(layers[0][1]) <= FEW_CLASSES:
        return _linear_logits(*layers[0], X)
    double = [(torch.from_numpy(w).double(), torch.from_numpy(b).double()) for w, b in layers]
    logits = np.empty((len(X), len(layers[-1][1])))
    rows = tensor_of(X)
    for start in range(0, len(X), ROWS_AT_ONCE):
        values = rows[start : start + ROWS_AT_ONCE].double()
        for weight, bias in double[:-1]:
            values = torch.addmm(bias, values, weight.t()).relu_()
        weight, bias = double[-1]
        torch.addmm(
            bias, values, weight.t(), out=torch.from_numpy(logits[start : start + ROWS_AT_ONCE])
        )
    return logits


def _linear_logits(
    weight: NDArray[Any], bias: NDArray[Any], X: NDArray[Any]
) -> NDArray[np.float64]:
    classes = len(bias)
    width = -(-classes // CLASSES_AT_ONCE) * CLASSES_AT_ONCE
    double, offset = np.zeros((width, X.shape[1])), np.zeros(width)
    double[:classes], offset[:classes] = weight, bias
    logits = np.empty((len(X), width))
    in_blocks(
        partial(linear_rows, X, double, offset, logits),
        len(X),
        threads=torch.get_num_threads(),
        least=ROWS_A_THREAD,
    )
    return logits if width == classes else logits[:, :classes].copy()
