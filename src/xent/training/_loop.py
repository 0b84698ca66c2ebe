"""The training loop: a network of plain arrays, stepped by PyTorch, given back as plain arrays.

The start and the order of the batches come from NumPy's generator alone, so they are the same under
every loss and on every device. A linear network asks autograd for the slope at the logits alone,
and under the cross-entropy of the softmax not even for that: it is p - t.
"""

import math
import warnings
from importlib.metadata import version
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xent import _check
from xent.training._checkpoint import Layer, Memory
from xent.training._fit.plan import Plan, Rates
from xent.training._objectives import Objective


class Record(Protocol):
    """Who is told of every epoch, and may end the training."""

    @property
    def watched(self) -> list[float]:
        """The held-out cross-entropy of every epoch so far."""

    @property
    def stopped(self) -> bool:
        """Whether the training shall end."""

    def add(self, layers: list[Layer], memory: Memory, loss: float, norm: float) -> None:
        """Take the layers after an epoch, and the epoch's mean loss and gradient norm."""


class Steps(Protocol):
    """A network that takes steps."""

    def epoch(self, order: list[Tensor], rate: float) -> tuple[float, float]:
        """Take a step for each batch; return the sum of the rows' losses and of gradient norms."""

    def layers(self) -> list[Layer]:
        """Return the network as arrays."""

    def memory(self) -> Memory:
        """Return what the optimizer remembers."""


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


class Batches:
    """The rows to train on, where they are computed with, and a batch of them as float32.

    Parameters
    ----------
    X : ndarray of float32 or uint8, shape (N, D)
        Features; bytes stay bytes until a batch is taken.
    target : ndarray of int64, shape (N,), or float, shape (N, C)
        Class numbers or probabilities.
    weight : ndarray, shape (N,), optional
        How much a row counts, 1 on average.
    device : str
        Where to compute.
    """

    def __init__(
        self, X: NDArray[Any], target: NDArray[Any], weight: NDArray[Any] | None, device: str
    ) -> None:
        self.rows = tensor_of(X).to(device)
        target = target if target.ndim == 1 else target.astype(np.float32)
        self.target = torch.from_numpy(target).to(device)
        self.weight = None
        if weight is not None:
            self.weight = torch.from_numpy(weight.astype(np.float32)).to(device)

    def take(self, batch: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return features, targets and weights of some rows.

        Parameters
        ----------
        batch : Tensor of int64
            Which.
        """
        x = self.rows.index_select(0, batch)
        x = x if x.dtype == torch.float32 else x.float()
        return x, self.target[batch], None if self.weight is None else self.weight[batch]


class NetworkSteps:
    """Steps of any network under any loss, by autograd.

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
    memory : dict of str to ndarray
        The optimizer's, of the steps before.
    """

    def __init__(
        self,
        layers: list[Layer],
        batches: Batches,
        objective: Objective,
        plan: Plan,
        memory: Memory,
    ) -> None:
        self.network = _network(layers).to(plan.device)
        self.batches, self.objective = batches, objective
        self.optimizer = plan.make_optimizer(self.network.parameters())
        if memory:
            _remember(self.optimizer, memory)

    def epoch(self, order: list[Tensor], rate: float) -> tuple[float, float]:
        """Take a step for each batch; return the sum of the rows' losses and of gradient norms.

        Parameters
        ----------
        order : list of Tensor
            The rows of each batch.
        rate : float
            The learning rate.
        """
        set_rate(self.optimizer, rate)
        device = order[0].device
        # Summed on the device: reading a number back every step would make a GPU wait.
        total = torch.zeros((), dtype=torch.float64, device=device)
        norms = torch.zeros((), dtype=torch.float64, device=device)
        output = list(self.network.parameters())[-2:]
        for batch in order:
            x, target, weight = self.batches.take(batch)
            self.optimizer.zero_grad()
            logits = self.network(x)
            if weight is None:
                loss = self.objective.loss(logits, target)
            else:
                loss = (self.objective.rows(logits, target) * weight).mean()
            loss.backward()  # type: ignore[no-untyped-call]
            norms += torch.stack([_squares(p.grad) for p in output]).sum().sqrt()
            total += loss.detach() * len(batch)
            self.optimizer.step()
        return float(total), float(norms)

    def layers(self) -> list[Layer]:
        """Return the network as arrays."""
        return [
            (part.weight.detach().cpu().numpy().copy(), part.bias.detach().cpu().numpy().copy())
            for part in self.network
            if isinstance(part, nn.Linear)
        ]

    def memory(self) -> Memory:
        """Return what the optimizer remembers."""
        return _memory(self.optimizer)


class LinearSteps:
    """Steps of one layer: the slope at the logits times the rows, (p - t)ᵀ x for cross-entropy.

    The parameters are `NetworkSteps`'s.
    """

    def __init__(
        self,
        layers: list[Layer],
        batches: Batches,
        objective: Objective,
        plan: Plan,
        memory: Memory,
    ) -> None:
        ((weight, bias),) = layers
        self.weight = torch.tensor(weight, device="cpu")
        self.bias = torch.tensor(bias, device="cpu")
        self.batches, self.objective = batches, objective
        # A plain step needs no optimizer, whose call takes longer than the step.
        self.plain = plan.optimizer == "sgd" and not plan.options
        self.optimizer = plan.make_optimizer([self.weight, self.bias])
        if memory:
            _remember(self.optimizer, memory)

    def epoch(self, order: list[Tensor], rate: float) -> tuple[float, float]:
        """Take a step for each batch; return the sum of the rows' losses and of gradient norms.

        Parameters
        ----------
        order : list of Tensor
            The rows of each batch.
        rate : float
            The learning rate.
        """
        set_rate(self.optimizer, rate)
        total = norms = 0.0
        weight, bias = self.weight, self.bias
        by_weight = torch.empty_like(weight)
        weight.grad = by_weight
        with torch.no_grad():
            for batch in order:
                x, target, counts = self.batches.take(batch)
                logits = torch.addmm(bias, x, weight.t())
                if self.objective.smoothing is None:
                    loss, slope = self._by_autograd(logits, target, counts)
                else:
                    log_probs = torch.log_softmax(logits, 1)
                    loss, slope = self._closed(log_probs, target, counts, self.objective.smoothing)
                total += loss
                torch.mm(slope.t(), x, out=by_weight)
                by_bias = slope.sum(0)
                norms += math.sqrt(_square(by_weight) + _square(by_bias))
                if self.plain:
                    weight.sub_(by_weight, alpha=rate)
                    bias.sub_(by_bias, alpha=rate)
                else:
                    bias.grad = by_bias
                    self.optimizer.step()
        return total, norms

    def _by_autograd(
        self, logits: Tensor, target: Tensor, counts: Tensor | None
    ) -> tuple[float, Tensor]:
        """Return the sum of a batch's losses, and the slope of their mean at the logits."""
        with torch.enable_grad():
            leaf = logits.requires_grad_()
            if counts is None:
                loss = self.objective.loss(leaf, target)
            else:
                loss = (self.objective.rows(leaf, target) * counts).mean()
            (slope,) = torch.autograd.grad(loss, leaf)
        return float(loss) * len(target), slope

    def _closed(
        self, log_probs: Tensor, target: Tensor, counts: Tensor | None, smoothing: float
    ) -> tuple[float, Tensor]:
        """Do the same for cross-entropy, whose slope is p - t."""
        spread = smoothing / log_probs.shape[1]
        if target.dim() == 1:
            column = target[:, None]
            costs = log_probs.gather(1, column)[:, 0]
            if spread:
                costs = (1 - smoothing) * costs + spread * log_probs.sum(1)
            slope = log_probs.exp_().scatter_add_(
                1, column, log_probs.new_full((1, 1), smoothing - 1).expand(column.shape)
            )
            slope = slope.sub_(spread) if spread else slope
        else:
            target = torch.add((1 - smoothing) * target, spread) if spread else target
            costs = (target * log_probs).sum(1)
            slope = log_probs.exp_().mul_(target.sum(1, keepdim=True)).sub_(target)
        if counts is not None:
            costs, slope = costs * counts, slope.mul_(counts[:, None])
        return -float(costs.sum()), slope.div_(len(target))

    def layers(self) -> list[Layer]:
        """Return the network as arrays."""
        return [(self.weight.numpy().copy(), self.bias.numpy().copy())]

    def memory(self) -> Memory:
        """Return what the optimizer remembers."""
        return _memory(self.optimizer)


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

    Raises
    ------
    ValueError
        If the loss becomes infinite or NaN.
    """
    if steps is None:
        kind = LinearSteps if len(layers) == 1 and plan.device == "cpu" else NetworkSteps
        steps = kind(layers, batches, objective, plan, memory or {})
    rates = Rates(plan.learning_rate, plan.schedule)
    for value in record.watched:
        rates.step(value)
    count = len(batches.rows)
    for epoch in range(done + 1, plan.epochs + 1):
        if record.stopped:
            break
        shuffled = torch.from_numpy(rng.permutation(count)).to(plan.device)
        order = list(torch.split(shuffled, min(plan.batch_size, count)))
        total, norms = steps.epoch(order, rates.now())
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
        record.add(layers, steps.memory(), total / count, norms / len(order))
        rates.step(record.watched[-1])
    return layers


ROWS_AT_ONCE = 256  # their features in float64 stay in the second cache


def logits_of(layers: list[Layer], X: NDArray[Any]) -> NDArray[np.float64]:
    """Logits of rows in float64, on the processor: the same for every device and after a reload."""
    double = [(torch.from_numpy(w).double(), torch.from_numpy(b).double()) for w, b in layers]
    logits = np.empty((len(X), len(layers[-1][1])))
    rows = tensor_of(np.ascontiguousarray(X))
    for start in range(0, len(X), ROWS_AT_ONCE):
        values = rows[start : start + ROWS_AT_ONCE].double()
        for weight, bias in double[:-1]:
            values = torch.addmm(bias, values, weight.t()).relu_()
        weight, bias = double[-1]
        torch.addmm(
            bias, values, weight.t(), out=torch.from_numpy(logits[start : start + ROWS_AT_ONCE])
        )
    return logits


def tensor_of(array: NDArray[Any]) -> Tensor:
    """Return a tensor on the memory of an array, which may be read-only: it is never written to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(array)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give an optimizer the learning rate of the next steps."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def _square(values: Tensor) -> float:
    flat = values.view(-1)
    return float(torch.dot(flat, flat))


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
