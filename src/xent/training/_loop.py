"""The training loop: a network of plain arrays, stepped by PyTorch, given back as plain arrays.

The start and the order of the batches come from NumPy's generator alone, so they are the same under
every loss and on every device.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xent import _check
from xent.training._checkpoint import Layer, Memory
from xent.training._objectives import Objective

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


@dataclass(frozen=True)
class Plan:
    """How to train; the names are `SoftmaxClassifier`'s.

    Parameters
    ----------
    loss : str
        Name of the objective, for messages.
    epochs, batch_size : int
        Passes over the data, rows in a step.
    learning_rate : float
        Size of the steps.
    optimizer : str
        One of `OPTIMIZERS`.
    device : str
        Where to compute, as `torch.device` understands it.
    """

    loss: str
    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str
    device: str


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
    X: NDArray[np.float32],
    target: NDArray[np.int64],
    objective: Objective,
    plan: Plan,
    rng: np.random.RandomState,
    after_epoch: Callable[[list[Layer], Memory, float, float], None],
    *,
    done: int = 0,
    memory: Memory | None = None,
) -> list[Layer]:
    """Train from a start and return the layers that it led to.

    Parameters
    ----------
    layers : list of (weight, bias)
        The start.
    X, target : ndarray
        Rows (N, D) and class numbers (N,).
    objective : Objective
        What is minimised.
    plan : Plan
        How.
    rng : RandomState
        Shuffles the rows of each epoch.
    after_epoch : callable
        Is handed the layers, the optimizer's memory, the mean loss of the epoch and the mean
        gradient norm of the output layer.
    done : int
        Epochs that led to ``layers``; ``rng`` stands after them.
    memory : dict of str to ndarray, optional
        What ``after_epoch`` was handed after the last of them.

    Raises
    ------
    ValueError
        If the loss becomes infinite or NaN.
    """
    device = torch.device(plan.device)
    network = _network(layers).to(device)
    output = network[-1]
    optimizer = OPTIMIZERS[plan.optimizer](network.parameters(), lr=plan.learning_rate)  # type: ignore[call-arg]
    if memory:
        _remember(optimizer, memory)
    rows, classes = torch.from_numpy(X).to(device), torch.from_numpy(target).to(device)
    for epoch in range(done + 1, plan.epochs + 1):
        order = torch.from_numpy(rng.permutation(len(X))).to(device)
        # Summed on the device: reading a number back every step would make a GPU wait.
        total = torch.zeros((), dtype=torch.float64, device=device)
        norms = torch.zeros((), dtype=torch.float64, device=device)
        steps = 0
        for batch in torch.split(order, min(plan.batch_size, len(X))):
            optimizer.zero_grad()
            loss = objective.loss(network(rows[batch]), classes[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            norms += torch.stack([_squares(p.grad) for p in output.parameters()]).sum().sqrt()
            total += loss.detach() * len(batch)
            steps += 1
            optimizer.step()
        mean = float(total) / len(X)
        layers = _layers(network)
        # The loss was taken before the last step, which may be the one that diverged.
        finite = all(np.isfinite(array).all() for layer in layers for array in layer)
        if not (finite and math.isfinite(mean)):
            raise _check.cannot(
                f"Training stopped in epoch {epoch}",
                "a weight is not finite"
                if math.isfinite(mean)
                else f"the {plan.loss} loss is {mean}",
                f"Lower `learning_rate` (it is {plan.learning_rate:g}) or scale `X` to [0, 1].",
            )
        after_epoch(layers, _memory(optimizer), mean, float(norms) / steps)
    return layers


def logits_of(layers: list[Layer], X: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logits of rows in float64, with NumPy: the same on every device and after every reload."""
    values = np.asarray(X, dtype=np.float64)
    for weight, bias in layers[:-1]:
        values = np.maximum(values @ weight.T.astype(np.float64) + bias, 0.0)
    weight, bias = layers[-1]
    return np.asarray(values @ weight.T.astype(np.float64) + bias)


def _squares(gradient: Tensor | None) -> Tensor:
    if gradient is None:
        return torch.zeros((), dtype=torch.float64, device="cpu")
    return gradient.double().square().sum()


def _memory(optimizer: torch.optim.Optimizer) -> Memory:
    return {
        f"{parameter}.{name}": value.detach().cpu().numpy().copy()
        for parameter, entries in optimizer.state_dict()["state"].items()
        for name, value in entries.items()
        if isinstance(value, Tensor)
    }


def _remember(optimizer: torch.optim.Optimizer, memory: Memory) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in memory.items():
        parameter, name = key.split(".", 1)
        state.setdefault(int(parameter), {})[name] = torch.from_numpy(value)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _network(layers: list[Layer]) -> nn.Sequential:
    parts: list[nn.Module] = []
    for weight, bias in layers:
        linear = nn.Linear(weight.shape[1], weight.shape[0], device="cpu")
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
        parts += [linear, nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def _layers(network: nn.Sequential) -> list[Layer]:
    return [
        (part.weight.detach().cpu().numpy().copy(), part.bias.detach().cpu().numpy().copy())
        for part in network
        if isinstance(part, nn.Linear)
    ]
