"""How to train, read from the texts that a person gives: optimizer, schedule, device.

PyTorch's own optimizers and schedules are taken by name with their own options. A schedule moves
once an epoch, and is played again from the start where a run goes on, so that no state of it needs
to be kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from xent import _check
from xent.training._fit.solve import Penalty
from xent.training._spec import OptionValues, parse

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
OPTIMIZER_OPTIONS = {
    "sgd": ("momentum", "dampening", "nesterov", "weight_decay"),
    "adam": ("betas", "eps", "weight_decay", "amsgrad"),
    "adamw": ("betas", "eps", "weight_decay", "amsgrad"),
    "newton": ("C", "tol", "max_iter"),
}
SCHEDULES = {
    "StepLR": ("step_size", "gamma"),
    "MultiStepLR": ("milestones", "gamma"),
    "ConstantLR": ("factor", "total_iters"),
    "LinearLR": ("start_factor", "end_factor", "total_iters"),
    "ExponentialLR": ("gamma",),
    "PolynomialLR": ("total_iters", "power"),
    "CosineAnnealingLR": ("T_max", "eta_min"),
    "CosineAnnealingWarmRestarts": ("T_0", "T_mult", "eta_min"),
    "ReduceLROnPlateau": ("factor", "patience", "threshold", "threshold_mode", "cooldown",
                          "min_lr", "eps"),
}  # fmt: skip
LENGTHS = {"CosineAnnealingLR": "T_max", "PolynomialLR": "total_iters"}  # all epochs by default


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
        One of `OPTIMIZER_OPTIONS`.
    device : str
        Where to compute, as `torch.device` understands it.
    options : dict
        Of the optimizer.
    schedule : tuple of str and dict, optional
        One of `SCHEDULES`, and its options.
    patience : int, optional
        How many epochs the held-out cross-entropy may fail to fall.
    """

    loss: str
    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str
    device: str
    options: OptionValues = field(default_factory=dict)
    schedule: tuple[str, OptionValues] | None = None
    patience: int | None = None

    def make_optimizer(self, parameters: Any) -> torch.optim.Optimizer:
        """Return PyTorch's optimizer for parameters.

        Parameters
        ----------
        parameters : iterable of Tensor
            What it steps.
        """
        return OPTIMIZERS[self.optimizer](parameters, lr=self.learning_rate, **self.options)  # type: ignore[call-arg]


def read_optimizer(text: object) -> tuple[str, OptionValues]:
    """Read an optimizer with its options, ``sgd:momentum=0.9``, and have PyTorch check them.

    Parameters
    ----------
    text : str
        As the user gave it.

    Raises
    ------
    ValueError
        If there is no such optimizer or option, or PyTorch refuses a value.
    """
    name, options = parse("optimizer", text, OPTIMIZER_OPTIONS)
    if name == "newton":
        read_penalty(options)
        return name, options
    if "betas" in options:
        options["betas"] = tuple(options["betas"]) if isinstance(options["betas"], list) else ()
    for option in ("weight_decay", "momentum", "dampening", "eps"):
        if option in options and not 0 <= _check.number(option, options[option]) < math.inf:
            raise _check.invalid(option, "be non-negative and finite", options[option])
    try:
        OPTIMIZERS[name]([torch.zeros(1, device="cpu")], lr=0.1, **options)  # type: ignore[call-arg]
    except (TypeError, ValueError, IndexError) as error:
        raise _refused("optimizer", text, error) from None
    return name, options


def read_penalty(options: OptionValues) -> Penalty:
    """Read the options of the solver.

    Parameters
    ----------
    options : dict
        ``C``, ``tol`` and ``max_iter``, where they are given.

    Raises
    ------
    ValueError, TypeError
        If one cannot be.
    """
    C = _check.number("C", options.get("C", 1.0))
    if not C > 0:
        raise _check.invalid("C", "be positive, or inf for no penalty", C)
    return Penalty(
        C=C,
        tol=_check.share("tol", options.get("tol", Penalty.tol)),
        max_iter=_check.integer("max_iter", options.get("max_iter", Penalty.max_iter), least=1),
    )


def read_schedule(text: object, epochs: int, held_out: bool) -> tuple[str, OptionValues] | None:
    """Read a schedule of the learning rate with its options, ``StepLR:step_size=5``.

    Parameters
    ----------
    text : str, optional
        As the user gave it; None leaves the rate as it is.
    epochs : int
        How long ``CosineAnnealingLR`` and ``PolynomialLR`` are where their text does not say.
    held_out : bool
        Whether there are rows whose cross-entropy ``ReduceLROnPlateau`` can watch.

    Raises
    ------
    ValueError
        If there is no such schedule or option, or PyTorch refuses a value.
    """
    if text is None:
        return None
    name, options = parse("schedule", text, SCHEDULES)
    if name in LENGTHS:
        options.setdefault(LENGTHS[name], epochs)
    if name == "ReduceLROnPlateau" and not held_out:
        must = "be another schedule without " + _check.argument("validation")
        raise _check.invalid("schedule", must, repr(text))
    try:
        Rates(1.0, (name, options)).step(1.0)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise _refused("schedule", text, error) from None
    return name, options


def _refused(argument: str, text: object, error: Exception) -> ValueError:
    return _check.invalid(argument, "have options that PyTorch takes", repr(text), f"{error}.")


class Rates:
    """The learning rate of each epoch: PyTorch's schedule, moved on a parameter that nobody uses.

    Parameters
    ----------
    rate : float
        Of the first epoch.
    schedule : tuple of str and dict, optional
        Its name and options; None leaves the rate as it is.
    """

    def __init__(self, rate: float, schedule: tuple[str, OptionValues] | None) -> None:
        self.optimizer = torch.optim.SGD(
            [torch.zeros(1, device="cpu", requires_grad=True)], lr=rate
        )
        self.watches = schedule is not None and schedule[0] == "ReduceLROnPlateau"
        self.schedule: Any = None
        if schedule is not None:
            make: Callable[..., Any] = getattr(torch.optim.lr_scheduler, schedule[0])
            self.schedule = make(self.optimizer, **schedule[1])

    def now(self) -> float:
        """Return the rate of the next epoch."""
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self, watched: float) -> None:
        """Go on by an epoch.

        Parameters
        ----------
        watched : float
            Its held-out cross-entropy, for a schedule that waits until that falls no more.
        """
        if self.schedule is None:
            return
        self.optimizer.step()  # PyTorch warns of a schedule that moves before its optimizer
        self.schedule.step(watched) if self.watches else self.schedule.step()


def read_device(device: object) -> str:
    """Return where to compute: "auto" is a GPU where there is one.

    Parameters
    ----------
    device : str
        As `torch.device` understands it, or "auto".

    Raises
    ------
    ValueError
        If it is not at hand.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        there = isinstance(device, str | torch.device) and torch.device(device).type != "meta"
        torch.empty(0, device=device if there else "none")  # type: ignore[call-overload]
    except (RuntimeError, AssertionError):
        advice = 'Use "auto" to take what is there.'
        raise _check.invalid("device", "be at hand", repr(device), advice) from None
    return str(device)
