"""Modules of one class a row."""

from typing import Any

import torch
from torch import Tensor

from xent.losses._class import cross_entropy, focal_loss, nll_loss
from xent.losses._modules._module import LossModule


class CrossEntropyLoss(LossModule, torch.nn.CrossEntropyLoss, function=cross_entropy):
    """`cross_entropy` as a module, in the place of torch.nn.CrossEntropyLoss.

    Parameters
    ----------
    weight, size_average, ignore_index, reduce, reduction, label_smoothing
        As in `cross_entropy`; ``weight`` is a buffer.
    temperature, softcap, z_loss, axis, empty, stats, inplace_backward
        As in `cross_entropy`.

    Raises
    ------
    ValueError
        If ``size_average`` or ``reduce`` is given. All else is checked in the call, as by
        `cross_entropy`.

    Examples
    --------
    >>> CrossEntropyLoss()(torch.zeros(1, 4), torch.tensor([2])).item()  # log 4
    1.3862943649291992
    """

    temperature: float
    softcap: float | None
    z_loss: float
    axis: int | None
    inplace_backward: bool

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        ignore_index: Any = -100,
        reduce: None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        temperature: float = 1.0,
        softcap: float | None = None,
        z_loss: float = 0.0,
        axis: int | None = None,
        empty: str = "zero",
        stats: bool = False,
        inplace_backward: bool = False,
    ) -> None:
        super().__init__(
            weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )
        self.keep(locals())


class NLLLoss(LossModule, torch.nn.NLLLoss, function=nll_loss):
    """`nll_loss` as a module, in the place of torch.nn.NLLLoss.

    Parameters
    ----------
    weight, size_average, ignore_index, reduce, reduction
        As in `nll_loss`; ``weight`` is a buffer.
    label_smoothing, axis, empty, stats
        As in `nll_loss`.

    Raises
    ------
    ValueError
        If ``size_average`` or ``reduce`` is given. All else is checked in the call, as by
        `nll_loss`.

    Examples
    --------
    >>> NLLLoss()(torch.tensor([[-0.5, -1.5]]), torch.tensor([1])).item()
    1.5
    """

    axis: int | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        ignore_index: Any = -100,
        reduce: None = None,
        reduction: str = "mean",
        *,
        label_smoothing: float = 0.0,
        axis: int | None = None,
        empty: str = "zero",
        stats: bool = False,
    ) -> None:
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self.keep(locals())


class FocalLoss(LossModule, function=focal_loss):
    """`focal_loss` as a module.

    Parameters
    ----------
    gamma, alpha, weight, ignore_index, reduction, label_smoothing
        As in `focal_loss`; ``weight`` and an ``alpha`` of each class are buffers.
    temperature, softcap, z_loss, axis, empty, stats
        As in `focal_loss`.

    Raises
    ------
    ValueError, TypeError
        In the call, as by `focal_loss`.

    Examples
    --------
    >>> FocalLoss(gamma=1.0)(torch.zeros(1, 2), torch.tensor([0])).item()  # log(2) / 2
    0.3465735912322998
    """

    weight: Tensor | None
    alpha: Any
    gamma: float
    ignore_index: Any
    reduction: str
    temperature: float
    softcap: float | None
    z_loss: float
    axis: int | None

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | Tensor | None = None,
        *,
        weight: Tensor | None = None,
        ignore_index: Any = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
        softcap: float | None = None,
        z_loss: float = 0.0,
        axis: int | None = None,
        empty: str = "zero",
        stats: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        if isinstance(alpha, Tensor):
            self.register_buffer("alpha", alpha)
        else:
            self.alpha = alpha
        self.keep(locals())
