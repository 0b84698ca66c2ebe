"""Modules that go element by element: yes-or-no answers, and a divergence."""

import torch
from torch import Tensor

from xent.losses._binary import binary_cross_entropy, binary_cross_entropy_with_logits
from xent.losses._divergence import kl_div
from xent.losses._modules._module import LossModule


class BCELoss(LossModule, torch.nn.BCELoss, function=binary_cross_entropy):
    """`binary_cross_entropy` as a module, in the place of torch.nn.BCELoss.

    Parameters
    ----------
    weight, size_average, reduce, reduction
        As in `binary_cross_entropy`; ``weight`` is a buffer.
    pos_weight, ignore_index, label_smoothing, empty, stats
        As in `binary_cross_entropy`; ``pos_weight`` is a buffer that no state_dict holds, as
        torch.nn.BCELoss has none.

    Raises
    ------
    ValueError
        If ``size_average`` or ``reduce`` is given. All else is checked in the call, as by
        `binary_cross_entropy`.

    Examples
    --------
    >>> BCELoss()(torch.tensor([0.5]), torch.tensor([1.0])).item()  # log 2
    0.6931471824645996
    """

    pos_weight: Tensor | None
    ignore_index: float | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
        *,
        pos_weight: Tensor | None = None,
        ignore_index: float | None = None,
        label_smoothing: float = 0.0,
        empty: str = "zero",
        stats: bool = False,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.register_buffer("pos_weight", pos_weight, persistent=False)
        self.keep(locals())


class BCEWithLogitsLoss(
    LossModule, torch.nn.BCEWithLogitsLoss, function=binary_cross_entropy_with_logits
):
    """`binary_cross_entropy_with_logits` as a module, in the place of torch.nn.BCEWithLogitsLoss.

    Parameters
    ----------
    weight, size_average, reduce, reduction, pos_weight
        As in `binary_cross_entropy_with_logits`; the weights are buffers.
    ignore_index, label_smoothing, temperature, softcap, empty, stats
        As in `binary_cross_entropy_with_logits`.

    Raises
    ------
    ValueError
        If ``size_average`` or ``reduce`` is given. All else is checked in the call, as by
        `binary_cross_entropy_with_logits`.

    Examples
    --------
    >>> BCEWithLogitsLoss()(torch.zeros(2), torch.tensor([0.0, 1.0])).item()  # log 2
    0.6931471824645996
    """

    ignore_index: float | None
    temperature: float
    softcap: float | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
        *,
        ignore_index: float | None = None,
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
        softcap: float | None = None,
        empty: str = "zero",
        stats: bool = False,
    ) -> None:
        super().__init__(weight, reduction=reduction, pos_weight=pos_weight)
        self.keep(locals())


class KLDivLoss(LossModule, torch.nn.KLDivLoss, function=kl_div):
    """`kl_div` as a module, in the place of torch.nn.KLDivLoss.

    Parameters
    ----------
    size_average, reduce, reduction, log_target, label_smoothing, axis, empty, stats
        As in `kl_div`.

    Raises
    ------
    ValueError
        If ``size_average`` or ``reduce`` is given. All else is checked in the call, as by `kl_div`.

    Examples
    --------
    >>> KLDivLoss(reduction="sum")(torch.tensor([-1.0]), torch.tensor([1.0])).item()
    1.0
    """

    axis: int | None

    def __init__(
        self,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
        log_target: bool = False,
        *,
        label_smoothing: float = 0.0,
        axis: int | None = None,
        empty: str = "zero",
        stats: bool = False,
    ) -> None:
        super().__init__(reduction=reduction, log_target=log_target)
        self.keep(locals())
