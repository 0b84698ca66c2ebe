"""Any torch.nn.Module as the network: stepped, measured and kept as it is; and one that sees."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xent import _check
from xent.training._checkpoint import Layer, Memory
from xent.training._fit.plan import Plan
from xent.training._objectives import Objective
from xent.training._steps import AutogradSteps, Batches, tensor_of

ROWS_A_PASS = 512  # of a forward pass without gradients, at most
NUMBERS_A_PASS = 1 << 22  # of features: large images go through a few at a time
FINGERPRINT = "fingerprint"
SAME_LOGITS = 1e-2  # of their size: another processor's sums differ by less, other code by more


class ModuleSteps(AutogradSteps):
    """Steps of a module that is kept as it is; the norm is of all its gradients.

    Parameters
    ----------
    network : Module
        From rows to logits; it is trained in place.
    shape : tuple of int
        Of one row.
    batches, objective, plan
        As in `Steps`.
    """

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        batches: Batches,
        objective: Objective,
        plan: Plan,
    ) -> None:
        super().__init__(network, batches, objective, plan, {})
        self.shape, self.place = shape, torch.device(plan.device)

    def _measured(self) -> Iterable[Tensor]:
        return self.network.parameters()

    def layers(self) -> list[Layer]:
        """Return what the module keeps, each by itself beside nothing, in its own order."""
        nothing = np.empty(0, dtype=np.float32)
        return [(v.detach().cpu().numpy().copy(), nothing) for v in _kept(self.network)]

    def memory(self) -> Memory:
        """Return what the optimizer remembers, what the module draws from, and its fingerprint."""
        drawn = {"random.cpu": torch.get_rng_state().numpy()}
        if self.place.type == "cuda":
            drawn["random.cuda"] = torch.cuda.get_rng_state(self.place).numpy()
        return super().memory() | drawn | {FINGERPRINT: fingerprint(self.network, self.shape)}

    def go_on(self, layers: list[Layer], memory: Memory) -> None:
        """Stand where another run of the same module stood.

        Parameters
        ----------
        layers, memory
            What that run's steps told.

        Raises
        ------
        ValueError
            If the module computes something else than that run's.
        """
        memory = dict(memory)
        put_back(self.network, layers)
        if not same_fingerprint(memory.pop(FINGERPRINT), fingerprint(self.network, self.shape)):
            must, advice = "be of the same run", "Name another file to start afresh."
            got = "one whose module computes other logits with the same weights"
            raise _check.invalid("checkpoint", must, got, advice)
        torch.set_rng_state(torch.from_numpy(memory.pop("random.cpu")))
        if (state := memory.pop("random.cuda", None)) is not None and self.place.type == "cuda":
            torch.cuda.set_rng_state(torch.from_numpy(state), self.place)
        self._remember(memory)


def fingerprint(module: nn.Module, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the logits of two rows that are drawn by one seed: what a module's code computes.

    Parameters
    ----------
    module : Module
        With its weights.
    shape : tuple of int
        Of one row.
    """
    rows = np.random.RandomState(0).random_sample((2, *shape)).astype(np.float32)
    return module_logits(module, rows)


def same_fingerprint(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Tell whether two modules compute the same, as far as processors do.

    Parameters
    ----------
    one, other : ndarray
        What `fingerprint` returned of each.
    """
    if one.shape != other.shape:
        return False
    width = float(np.abs(one[np.isfinite(one)]).max(initial=0.0))
    return np.allclose(one, other, rtol=0, atol=SAME_LOGITS * width, equal_nan=True)


def digest_of_module(module: nn.Module) -> str:
    """Return what tells a module's parts, and what it keeps, from those of others.

    Parameters
    ----------
    module : Module
        The module.
    """
    parts = re.sub(r" at 0x[0-9a-f]+", "", repr(module))
    kept = [f"{k}: {v.dtype} {tuple(v.shape)}" for k, v in module.state_dict().items()]
    return hashlib.sha256("\n".join([parts, *kept]).encode()).hexdigest()


def arrays_of(module: nn.Module) -> dict[str, NDArray[Any]]:
    """Return what a module keeps, by its names.

    Parameters
    ----------
    module : Module
        The module.
    """
    return {k: v.detach().cpu().numpy().copy() for k, v in module.state_dict().items()}


def filled(
    module: object, arrays: dict[str, NDArray[Any]], shape: tuple[int, ...], printed: object
) -> nn.Module:
    """Return a copy of a module with what another of the same code has learned.

    Parameters
    ----------
    module : object
        As the user gave it.
    arrays : dict of str to ndarray
        What `arrays_of` returned of the other.
    shape : tuple of int
        Of one row.
    printed : ndarray
        What `fingerprint` returned of it.

    Raises
    ------
    ValueError, TypeError
        If it is no module, keeps other things than the other, or computes other logits.
    """
    own = deepcopy(check_kind(module)).cpu().eval()
    must = "be the module that the model was trained with"
    here = {k: (v.dtype.str, v.shape) for k, v in arrays_of(own).items()}
    there = {k: (v.dtype.str, v.shape) for k, v in arrays.items()}
    if here != there:
        name = next(k for k in {**there, **here} if here.get(k) != there.get(k))
        was, now = (
            "not there" if k is None else f"{np.dtype(k[0]).name} {k[1]}"
            for k in (there.get(name), here.get(name))
        )
        raise _check.invalid("module", must, f"one whose {name!r} is {now}, and was {was}")
    put_back(own, [(array, array) for array in (arrays[k] for k in here)])
    try:
        found = fingerprint(own, shape)
    except (RuntimeError, IndexError) as error:
        raise _check.invalid("module", must, str(error).splitlines()[0]) from None
    if not same_fingerprint(np.asarray(printed), found):
        raise _check.invalid("module", must, "one that computes other logits with its weights")
    return own


def put_back(module: nn.Module, layers: list[Layer]) -> None:
    """Give a module what `ModuleSteps.layers` took from it.

    Parameters
    ----------
    module : Module
        The module.
    layers : list of (array, nothing)
        As it was.
    """
    with torch.no_grad():
        for value, (array, _) in zip(_kept(module), layers, strict=True):
            value.copy_(torch.from_numpy(array))


def module_logits(module: nn.Module, X: NDArray[Any]) -> NDArray[np.float64]:
    """Return logits of rows, computed in float32 where the module is, as float64.

    Parameters
    ----------
    module : Module
        The module; its mode is left as it was.
    X : ndarray, shape (N, D) or (N, ...)
        Features.
    """
    return np.concatenate([found for _, found in logits_in_pieces(module, X)])


def logits_in_pieces(
    module: nn.Module, X: NDArray[Any]
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield which rows, and their logits, computed in float32 where the module is, as float64.

    Parameters
    ----------
    module : Module
        The module; its mode is left as it was after each piece.
    X : ndarray, shape (N, D) or (N, ...)
        Features.
    """
    mode, place = module.training, next(iter(_kept(module)), torch.empty(0, device="cpu")).device
    rows = tensor_of(np.ascontiguousarray(X))
    size = min(ROWS_A_PASS, rows_of(NUMBERS_A_PASS, X))
    for start in range(0, len(X), size):
        piece = slice(start, min(start + size, len(X)))
        module.eval()
        try:
            with torch.no_grad():
                found = module(rows[piece].float().to(place)).double().cpu()
        finally:
            module.train(mode)
        yield piece, found.numpy()


def rows_of(numbers: int, X: NDArray[Any]) -> int:
    """Return how many rows hold so many numbers, at least one.

    Parameters
    ----------
    numbers : int
        How many.
    X : ndarray, shape (N, ...)
        The rows.
    """
    return max(1, numbers // max(1, math.prod(X.shape[1:])))


def check_kind(module: object) -> nn.Module:
    """Refuse what is no module, or keeps other things than tensors.

    Parameters
    ----------
    module : object
        As the user gave it.

    Raises
    ------
    ValueError, TypeError
        If it is none.
    """
    if not isinstance(module, nn.Module):
        got = "None" if module is None else _check.a(module)
        raise _check.wrong_kind("module", "be a torch.nn.Module", got)
    for name, value in module.state_dict().items():
        if not isinstance(value, Tensor):
            raise _check.invalid("module", "keep tensors alone", f"{_check.a(value)} in {name!r}")
    return module


def check_module(module: object, features: int, classes: int) -> None:
    """Refuse what is no module from rows of features to logits of classes.

    Parameters
    ----------
    module : object
        As the user gave it.
    features, classes : int
        Of the data.

    Raises
    ------
    ValueError, TypeError
        If it is none, or gives another shape.
    """
    must = f"turn rows of {features} features into logits of {classes} classes"
    try:
        found = module_logits(check_kind(module), np.zeros((2, features), dtype=np.float32))
    except RuntimeError as error:
        advice = "For images begin it with torch.nn.Unflatten(1, (1, 28, 28))."
        raise _check.invalid("module", must, f"{str(error).splitlines()[0]}", advice) from None
    if (shape := found.shape) != (2, classes):
        advice = "For a class of every pixel take DenseClassifier." if len(shape) > 2 else ""
        raise _check.invalid("module", must, f"the shape {shape} from 2 rows", advice)


def convolutional_network(
    shape: tuple[int, int, int], classes: int, *, random_state: int = 0
) -> nn.Sequential:
    """Return a small convolutional network for images, for `SoftmaxClassifier(module=...)`.

    Two layers of 5 × 5 convolutions, each with ReLU and a 2 × 2 maximum, and a linear layer.

    Parameters
    ----------
    shape : (channels, rows, columns)
        Of an image; a row of features is one, flattened.
    classes : int
        How many logits.
    random_state : int
        Draws the start.

    Returns
    -------
    torch.nn.Sequential

    Raises
    ------
    ValueError
        If an image is smaller than 4 × 4.

    Examples
    --------
    >>> sum(p.numel() for p in convolutional_network((1, 28, 28), 10).parameters())
    28938

    References
    ----------
    LeCun, Y., Bottou, L., Bengio, Y. and Haffner, P. (1998). Gradient-based learning applied to
    document recognition. Proceedings of the IEEE 86(11).
    """
    channels, rows, columns = shape
    if min(rows, columns) < 4:
        raise _check.invalid("shape", "be of at least 4 x 4 pixels", f"{rows} x {columns}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        return nn.Sequential(
            nn.Unflatten(1, (channels, rows, columns)),
            nn.Conv2d(channels, 16, 5, padding=2, device="cpu"),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5, padding=2, device="cpu"),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * (rows // 4) * (columns // 4), classes, device="cpu"),
        )


def _kept(module: nn.Module) -> list[Tensor]:
    return list(module.state_dict().values())
