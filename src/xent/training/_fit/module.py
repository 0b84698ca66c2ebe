"""Any torch.nn.Module as the network: stepped, measured and kept as it is; and one that sees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xent import _check
from xent.training._checkpoint import Layer, Memory
from xent.training._steps import AutogradSteps, tensor_of

ROWS_A_PASS = 512  # of a forward pass without gradients


class ModuleSteps(AutogradSteps):
    """Steps of a module that is kept as it is; the norm is of all its gradients."""

    def _measured(self) -> Iterable[Tensor]:
        return self.network.parameters()

    def layers(self) -> list[Layer]:
        """Return what the module keeps, each by itself beside nothing, in its own order."""
        nothing = np.empty(0, dtype=np.float32)
        return [(v.detach().cpu().numpy().copy(), nothing) for v in _kept(self.network)]

    def memory(self) -> Memory:
        """Return nothing: such a training has no checkpoint."""
        return {}


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
    X : ndarray, shape (N, D)
        Features.
    """
    mode, place = module.training, next(iter(_kept(module)), torch.empty(0, device="cpu")).device
    rows = tensor_of(np.ascontiguousarray(X))
    module.eval()
    try:
        with torch.no_grad():
            parts = [
                module(rows[start : start + ROWS_A_PASS].float().to(place)).double().cpu()
                for start in range(0, len(X), ROWS_A_PASS)
            ]
    finally:
        module.train(mode)
    return np.asarray(torch.cat(parts).numpy())


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
    if not isinstance(module, nn.Module):
        raise _check.wrong_kind("module", "be a torch.nn.Module", _check.a(module))
    must = f"turn rows of {features} features into logits of {classes} classes"
    try:
        shape = module_logits(module, np.zeros((2, features), dtype=np.float32)).shape
    except RuntimeError as error:
        advice = "For images begin it with torch.nn.Unflatten(1, (1, 28, 28))."
        raise _check.invalid("module", must, f"{str(error).splitlines()[0]}", advice) from None
    if shape != (2, classes):
        raise _check.invalid("module", must, f"the shape {shape} from 2 rows")


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
