"""Steps of a network under a loss: by autograd, or of one layer by its slope at the logits.

A linear network asks autograd for the slope at the logits alone, and under the cross-entropy of the
softmax not even for that: it is p - t.
"""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xent.training._checkpoint import Layer, Memory
from xent.training._fit.plan import Plan
from xent.training._objectives import Objective


class Batches:
    """The rows to train on, where they are computed with, and a batch of them as float32.

    Parameters
    ----------
    X : ndarray of float32 or uint8, shape (N, D) or (N, ...)
        Features; bytes stay bytes until a batch is taken.
    target : ndarray of whole numbers, shape (N,) or (N, ...), or float, shape (N, C) or (N, C, ...)
        Class numbers or probabilities; small numbers stay small until a batch is taken.
    weight : ndarray, shape (N,), optional
        How much a row counts, 1 on average.
    device : str
        Where to compute.
    """

    def __init__(
        self, X: NDArray[Any], target: NDArray[Any], weight: NDArray[Any] | None, device: str
    ) -> None:
        self.rows = tensor_of(X).to(device)
        target = target if target.dtype.kind in "iu" else target.astype(np.float32, copy=False)
        self.target = tensor_of(target).to(device)
        self.weight = None
        if weight is not None:
            self.weight = torch.from_numpy(weight.astype(np.float32)).to(device)

    def __len__(self) -> int:
        return len(self.rows)

    def parts(
        self, rng: np.random.RandomState, epoch: int, batch_size: int
    ) -> Iterator[list[Tensor]]:
        """Yield the batches of an epoch, as lists of places that are there at once: here all.

        Parameters
        ----------
        rng : RandomState
            Shuffles the rows.
        epoch : int
            From 1.
        batch_size : int
            Rows in a step.
        """
        shuffled = torch.from_numpy(rng.permutation(len(self))).to(self.rows.device)
        yield list(torch.split(shuffled, batch_size))

    def first(self, count: int) -> tuple[Tensor, Tensor] | None:
        """Return the first rows and their targets, to be looked at; None of fewer than two.

        Parameters
        ----------
        count : int
            How many at most.
        """
        if len(self) < 2:
            return None
        x, target, _ = self.take(torch.arange(min(count, len(self)), device=self.rows.device))
        return x, target

    def take(self, batch: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return features, targets and weights of some rows.

        Parameters
        ----------
        batch : Tensor of int64
            Which.
        """
        x = self.rows.index_select(0, batch)
        x = x if x.dtype == torch.float32 else x.float()
        target = self.target[batch]
        target = target if target.is_floating_point() else target.long()
        return x, target, None if self.weight is None else self.weight[batch]


class Steps(ABC):
    """A network that takes steps.

    Parameters
    ----------
    parameters : sequence of Tensor
        What the optimizer steps.
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
        parameters: Sequence[Tensor],
        batches: Batches,
        objective: Objective,
        plan: Plan,
        memory: Memory,
    ) -> None:
        self.batches, self.objective = batches, objective
        self.optimizer = plan.make_optimizer(parameters)
        if memory:
            self._remember(memory)

    def epoch(
        self, order: list[Tensor], rate: float, so_far: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[float, float]:
        """Take a step for each batch; return the sum of the rows' losses and of gradient norms.

        Parameters
        ----------
        order : list of Tensor
            The rows of each batch.
        rate : float
            The learning rate.
        so_far : tuple of two float
            What the sums are to go on from: parts of an epoch sum up as the whole does.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return self._steps(order, rate, *so_far)

    @property
    def terms(self) -> int:
        """How many losses an epoch takes the mean of."""
        return len(self.batches)

    def _terms(self, target: Tensor) -> int | Tensor:
        """Return how many of them a batch has."""
        return len(target)

    @abstractmethod
    def _steps(
        self, order: list[Tensor], rate: float, total: float, norms: float
    ) -> tuple[float, float]:
        """Do so; the optimizer has the rate."""

    def _mean(self, logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        """Return the mean loss of a batch."""
        if weight is None:
            return self.objective.loss(logits, target)
        return (self.objective.rows(logits, target) * weight).mean()

    @abstractmethod
    def layers(self) -> list[Layer]:
        """Return the network as arrays."""

    def memory(self) -> Memory:
        """Return what the optimizer remembers."""
        return {
            f"{parameter}.{name}": value.detach().cpu().numpy().copy()
            for parameter, entries in self.optimizer.state_dict()["state"].items()
            for name, value in entries.items()
            if isinstance(value, Tensor)
        }

    def _remember(self, memory: Memory) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in memory.items():
            parameter, name = key.split(".", 1)
            state.setdefault(int(parameter), {})[name] = torch.from_numpy(value)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


class AutogradSteps(Steps):
    """Steps of any module under any loss, by autograd.

    Parameters
    ----------
    network : Module
        From rows (N, D) to logits (N, C); it is trained in place.
    batches, objective, plan, memory
        As in `Steps`.
    """

    def __init__(
        self,
        network: nn.Module,
        batches: Batches,
        objective: Objective,
        plan: Plan,
        memory: Memory,
    ) -> None:
        self.network = network.to(plan.device)
        trained = [p for p in self.network.parameters() if p.requires_grad]
        super().__init__(trained, batches, objective, plan, memory)

    def _steps(
        self, order: list[Tensor], rate: float, total: float, norms: float
    ) -> tuple[float, float]:
        self.network.train()
        # Summed on the device: reading a number back every step would make a GPU wait.
        costs = torch.tensor(total, dtype=torch.float64, device=order[0].device)
        sizes = torch.tensor(norms, dtype=torch.float64, device=order[0].device)
        for batch in order:
            x, target, weight = self.batches.take(batch)
            self.optimizer.zero_grad()
            loss = self._mean(self.network(x), target, weight)
            loss.backward()  # type: ignore[no-untyped-call]
            gradients = [p.grad for p in self._measured() if p.grad is not None]
            sizes += torch.stack([g.double().square().sum() for g in gradients]).sum().sqrt()
            costs += loss.detach() * self._terms(target)
            self.optimizer.step()
        return float(costs), float(sizes)

    @abstractmethod
    def _measured(self) -> Iterable[Tensor]:
        """Return the parameters of whose gradient the norm is told."""


class NetworkSteps(AutogradSteps):
    """Steps of a network of linear layers; the norm is of the gradient at the last one."""

    network: nn.Sequential

    def _measured(self) -> Iterable[Tensor]:
        return list(self.network.parameters())[-2:]

    def layers(self) -> list[Layer]:
        """Return the network as arrays."""
        return [
            (part.weight.detach().cpu().numpy().copy(), part.bias.detach().cpu().numpy().copy())
            for part in self.network
            if isinstance(part, nn.Linear)
        ]


class LinearSteps(Steps):
    """Steps of one layer: the slope at the logits times the rows, (p - t)ᵀ x for cross-entropy.

    Parameters
    ----------
    layers : list of one (weight, bias)
        The start.
    batches, objective, plan, memory
        As in `Steps`.
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
        # A plain step needs no optimizer, whose call takes longer than the step.
        self.plain = plan.optimizer == "sgd" and not plan.options
        super().__init__([self.weight, self.bias], batches, objective, plan, memory)

    def _steps(
        self, order: list[Tensor], rate: float, total: float, norms: float
    ) -> tuple[float, float]:
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
            loss = self._mean(leaf, target, counts)
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


def tensor_of(array: NDArray[Any]) -> Tensor:
    """Return a tensor on the memory of an array, which may be read-only: it is never written to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(array)


def _square(values: Tensor) -> float:
    flat = values.view(-1)
    return float(torch.dot(flat, flat))


def network_of(layers: list[Layer]) -> nn.Sequential:
    """Return layers as a module, with ReLU between them."""
    parts: list[nn.Module] = []
    for weight, bias in layers:
        linear = nn.Linear(weight.shape[1], weight.shape[0], device="cpu")
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
        parts += [linear, nn.ReLU()]
    return nn.Sequential(*parts[:-1])
