"""The losses one can train under, each with the probabilities that it means by its logits.

A new loss is one entry of `OBJECTIVES`: its link, which turns logits into what the loss takes and
into probabilities, its value for each row, and the options that it has. Link and loss stand in one
entry, so that nobody can put the one in front of the other twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from xent import _check, losses
from xent._math.log_softmax import log_softmax
from xent.training._spec import parse

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Objective:
    """A loss for class logits, averaged as torch does: over all elements.

    Parameters
    ----------
    name : str
        As it was asked for.
    rows : callable
        From logits (N, C) and class numbers (N,) or probabilities (N, C) to the loss of each row.
    loss : callable
        Likewise to their mean.
    read : callable
        From float64 logits (N, C) to those, (N, C), whose softmax the loss means; of ``multilabel``
        to log-probabilities.
    smoothing : float, optional
        Of a plain cross-entropy of the softmax, whose gradient is p - t: how far its target is
        smoothed. None of every other loss.
    multilabel : bool
        Whether each output is a yes or no by itself, so that log-probabilities are those of yes.
    link : str
        What the loss applies to logits, ``"softmax"`` or ``"sigmoid"``.
    """

    name: str
    rows: Callable[[Tensor, Tensor], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    read: Callable[[Matrix], Matrix]
    smoothing: float | None = None
    multilabel: bool = False
    link: str = "softmax"

    def log_probs(self, logits: Matrix) -> Matrix:
        """Return log-probabilities (N, C) of float64 logits (N, C)."""
        found = self.read(logits)
        return found if self.multilabel else log_softmax(found)


@dataclass(frozen=True)
class Family:
    """A loss before its options are chosen.

    Parameters
    ----------
    link : str
        ``"softmax"`` or ``"sigmoid"``: how its logits are read.
    values : callable
        From logits, targets and options, with ``reduction="none"`` or ``"mean"``, to values.
    options : tuple of str
        What may be chosen.
    """

    link: str
    values: Callable[..., Tensor]
    options: tuple[str, ...] = field(default=())


def _dense(logits: Tensor, target: Tensor) -> Tensor:
    """Return the probability of every class: one for the true class where it is a number."""
    if target.dim() == logits.dim():
        return target.to(logits.dtype)
    return one_hot(target, logits.shape[1]).to(logits.dtype)


def _binary_cross_entropy(z: Tensor, target: Tensor, *, reduction: str, **options: Any) -> Tensor:
    if "pos_weight" in options:
        options["pos_weight"] = torch.as_tensor(
            _check.positive("pos_weight", options["pos_weight"]), dtype=z.dtype, device=z.device
        )
    answers = _dense(z, target)
    loss: Tensor = losses.binary_cross_entropy_with_logits(
        z, answers, reduction=reduction, **options
    )
    return loss


def _binary_focal(z: Tensor, target: Tensor, *, reduction: str, **options: Any) -> Tensor:
    loss: Tensor = losses.sigmoid_focal_loss(z, _dense(z, target), reduction=reduction, **options)
    return loss


def _nll(z: Tensor, target: Tensor, *, reduction: str, **options: Any) -> Tensor:
    log_probs = torch.log_softmax(z, dim=1)
    loss: Tensor = losses.nll_loss(log_probs, target, reduction=reduction, **options)
    return loss


def _kl_div(z: Tensor, target: Tensor, *, reduction: str, **options: Any) -> Tensor:
    rows: Tensor = losses.kl_div(
        torch.log_softmax(z, dim=1), _dense(z, target), reduction="none", axis=1, **options
    ).sum(dim=1)
    return rows if reduction == "none" else rows.mean()


def _js_div(z: Tensor, target: Tensor, *, reduction: str, **options: Any) -> Tensor:
    teacher = torch.log(_dense(z, target))
    loss: Tensor = losses.js_div(z, teacher, reduction=reduction, **options)
    return loss


def _mse(
    link: Callable[[Tensor], Tensor], logits: Tensor, target: Tensor, *, reduction: str
) -> Tensor:
    return losses.mse_loss(link(logits), _dense(logits, target), reduction=reduction)


def _double_softmax(logits: Tensor, target: Tensor, *, reduction: str) -> Tensor:
    loss: Tensor = losses.cross_entropy(torch.softmax(logits, dim=1), target, reduction=reduction)
    return loss


def _log_sigmoid(logits: Matrix) -> Matrix:
    return -np.logaddexp(0.0, -logits)


_softmax = partial(torch.softmax, dim=1)
FOUR = ("cross_entropy", "binary_cross_entropy", "mse_softmax", "mse_sigmoid")
OBJECTIVES = {
    "cross_entropy": Family(
        "softmax", losses.cross_entropy, ("label_smoothing", "z_loss", "temperature", "softcap")
    ),
    "binary_cross_entropy": Family(
        "sigmoid", _binary_cross_entropy, ("label_smoothing", "pos_weight")
    ),
    "mse_softmax": Family("softmax", partial(_mse, _softmax)),
    "mse_sigmoid": Family("sigmoid", partial(_mse, torch.sigmoid)),
    "focal": Family(
        "softmax", losses.focal_loss, ("gamma", "alpha", "label_smoothing", "temperature")
    ),
    "binary_focal": Family("sigmoid", _binary_focal, ("gamma", "alpha", "label_smoothing")),
    "nll": Family("softmax", _nll, ("label_smoothing",)),
    "kl_div": Family("softmax", _kl_div, ("label_smoothing",)),
    "js_div": Family("softmax", _js_div, ("beta", "label_smoothing")),
}
# A mistake to be looked at, in a comparison, and never to be trained for use.
MISTAKES = {"double_softmax": Family("softmax", _double_softmax)}


def objective_of(
    text: object, *, argument: str = "loss", mistakes: bool = False, multilabel: bool = False
) -> Objective:
    """Return the loss that a text like ``focal:gamma=2`` names.

    Parameters
    ----------
    text : str
        The name of an entry of `OBJECTIVES`, and options. ``link=softmax`` or ``link=sigmoid`` is
        taken where it is the loss's own.
    argument : str
        What the text is called, for messages.
    mistakes : bool
        Whether `MISTAKES` may be named.
    multilabel : bool
        Whether rows have several labels: of the losses those with a sigmoid, each by itself.

    Raises
    ------
    ValueError
        If there is no such loss or option, or the value or the link cannot be.
    """
    families = OBJECTIVES | MISTAKES if mistakes else OBJECTIVES
    if multilabel:
        families = {name: f for name, f in OBJECTIVES.items() if f.link == "sigmoid"}
    if isinstance(text, str) and text in MISTAKES and not mistakes:
        got = f"{text!r}, which applies a softmax to probabilities: with 10 classes it is never " \
            "below ln(1 + 9/e) = 1.4612, however good the model"  # fmt: skip
        advice = "Use 'cross_entropy', which takes logits; compare_losses shows the difference."
        raise _check.invalid(argument, "be a loss of logits", got, advice)
    known = {name: (*family.options, "link") for name, family in families.items()}
    name, options = parse(argument, text, known)
    family = families[name]
    link = options.pop("link", family.link)
    if link != family.link:
        raise _other_link(argument, name, family.link, link)
    values = partial(family.values, **options)
    if options:  # a value that cannot be is refused here, before any data
        values(
            torch.zeros(2, 2, device="cpu"), torch.tensor([0, 1], device="cpu"), reduction="none"
        )
    plain = name in ("cross_entropy", "nll") and set(options) <= {"label_smoothing"}
    return Objective(
        name=str(text),
        rows=partial(_rows, values),
        loss=partial(values, reduction="mean"),
        read=_log_sigmoid if multilabel else partial(_read, family.link, options),
        smoothing=float(options.get("label_smoothing", 0.0)) if plain else None,
        multilabel=multilabel,
        link=family.link,
    )


def link_of(text: str) -> tuple[str, dict[str, Any]]:
    """Return how the logits of a loss are read, ``"softmax"`` or ``"sigmoid"``, and its options."""
    known = {name: (*family.options, "link") for name, family in OBJECTIVES.items()}
    name, options = parse("loss", text, known)
    return OBJECTIVES[name].link, options


def _other_link(argument: str, name: str, own: str, link: object) -> ValueError:
    """Return the refusal of a link that is not the loss's own."""
    must = f"leave {name!r} its own link, the {own}"
    advice = f"The loss takes logits and applies the {own} itself."
    if link == "softmax":
        advice += " A softmax in front of it would be a second one."
    return _check.invalid(argument, must, f"link={link}", advice)


def _rows(values: Callable[..., Tensor], logits: Tensor, target: Tensor) -> Tensor:
    found = values(logits, target, reduction="none")
    return found.mean(dim=1) if found.dim() == 2 else found


def _read(link: str, options: dict[str, Any], logits: Matrix) -> Matrix:
    """Read logits as the loss does, its softcap and temperature with them.

    Sigmoids are divided by their row sum: as a softmax of their logarithms, so that tiny ones do
    not become 0 / 0.
    """
    if (cap := options.get("softcap")) is not None:
        logits = cap * np.tanh(logits / cap)
    if (temperature := options.get("temperature")) is not None:
        logits = logits / temperature
    return logits if link == "softmax" else _log_sigmoid(logits)
