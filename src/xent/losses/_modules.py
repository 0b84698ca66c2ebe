"""The losses as modules: torch's own classes, with this room's numbers.

Each subclasses the class of its name in torch.nn, so isinstance, repr and state_dict keys stay; the
keyword-only additions are those of the function.
"""

import math
from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses._arguments import check_deprecated
from xent.losses._binary import binary_cross_entropy_with_logits
from xent.losses._class import cross_entropy
from xent.losses._divergence import kl_div
from xent.losses._heads._class import linear_cross_entropy


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
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
        check_deprecated(size_average, reduce)
        super().__init__(
            weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )
        self.temperature = temperature
        self.softcap = softcap
        self.z_loss = z_loss
        self.axis = axis
        self.empty = empty
        self.stats = stats
        self.inplace_backward = inplace_backward

    def forward(self, input: Tensor, target: Tensor, *, token_weight: Tensor | None = None) -> Any:
        """Return the loss of a batch; ``token_weight`` weighs its rows."""
        return cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
            token_weight=token_weight,
            temperature=self.temperature,
            softcap=self.softcap,
            z_loss=self.z_loss,
            axis=self.axis,
            empty=self.empty,
            stats=self.stats,
            inplace_backward=self.inplace_backward,
        )


class BCEWithLogitsLoss(torch.nn.BCEWithLogitsLoss):
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
        check_deprecated(size_average, reduce)
        super().__init__(weight, reduction=reduction, pos_weight=pos_weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.temperature = temperature
        self.softcap = softcap
        self.empty = empty
        self.stats = stats

    def forward(self, input: Tensor, target: Tensor, *, token_weight: Tensor | None = None) -> Any:
        """Return the loss of a batch; ``token_weight`` weighs its answers."""
        return binary_cross_entropy_with_logits(
            input,
            target,
            self.weight,
            reduction=self.reduction,
            pos_weight=self.pos_weight,
            token_weight=token_weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            temperature=self.temperature,
            softcap=self.softcap,
            empty=self.empty,
            stats=self.stats,
        )


class KLDivLoss(torch.nn.KLDivLoss):
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
        check_deprecated(size_average, reduce)
        super().__init__(reduction=reduction, log_target=log_target)
        self.label_smoothing = label_smoothing
        self.axis = axis
        self.empty = empty
        self.stats = stats

    def forward(self, input: Tensor, target: Tensor, *, token_weight: Tensor | None = None) -> Any:
        """Return the loss of a batch; ``token_weight`` weighs its rows."""
        return kl_div(
            input,
            target,
            reduction=self.reduction,
            log_target=self.log_target,
            token_weight=token_weight,
            label_smoothing=self.label_smoothing,
            axis=self.axis,
            empty=self.empty,
            stats=self.stats,
        )


# torch before 2.13 has no such module; there this one stands on its own.
_LinearBase: Any = getattr(torch.nn, "LinearCrossEntropyLoss", torch.nn.Module)


class LinearCrossEntropyLoss(_LinearBase):  # type: ignore[misc]
    """A linear head and its cross-entropy as one module that owns the head's weight.

    Parameters
    ----------
    in_features, num_classes : int
        Shape of the head: ``linear.weight`` is (num_classes, in_features).
    out_features : tuple of int
        (d1, ...): a head for each of several positions; ``linear.weight`` holds them as torch
        does, (num_classes d1 ..., in_features).
    bias : bool
        Whether the head has one.
    device, dtype
        Of the head.
    reduction, weight, ignore_index, label_smoothing, options
        As in `linear_cross_entropy`.
    temperature, softcap, z_loss, empty, stats
        As in `linear_cross_entropy`.

    Raises
    ------
    ValueError
        If ``options`` is given. All else is checked in the call, as by `linear_cross_entropy`.

    Examples
    --------
    >>> loss = LinearCrossEntropyLoss(3, 4)
    >>> loss(torch.zeros(2, 3), torch.tensor([0, 3])).item()  # log 4
    1.3862943649291992
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: Any = None,
        label_smoothing: float = 0.0,
        options: None = None,
        temperature: float = 1.0,
        softcap: float | None = None,
        z_loss: float = 0.0,
        empty: str = "zero",
        stats: bool = False,
    ) -> None:
        if options is not None:
            advice = "Chunks are always on and choose themselves."
            raise _check.invalid("options", "be None", repr(options), advice)
        if _LinearBase is torch.nn.Module:
            super().__init__()
            outputs = math.prod(out_features, start=num_classes)
            self.linear = torch.nn.Linear(in_features, outputs, bias, device, dtype)
            self.register_buffer("weight", weight)
            self.reduction, self.label_smoothing = reduction, label_smoothing
            self.ignore_index = ignore_index
            self.num_classes, self.out_features = num_classes, out_features
            self.options = options
        else:
            super().__init__(
                in_features,
                num_classes,
                out_features=out_features,
                bias=bias,
                device=device,
                dtype=dtype,
                reduction=reduction,
                weight=weight,
                ignore_index=ignore_index,
                label_smoothing=label_smoothing,
            )
        self.temperature = temperature
        self.softcap = softcap
        self.z_loss = z_loss
        self.empty = empty
        self.stats = stats

    def forward(self, input: Tensor, target: Tensor, *, token_weight: Tensor | None = None) -> Any:
        """Return the loss of a batch; ``token_weight`` weighs its rows."""
        head: Tensor = self.linear.weight
        bias: Tensor | None = self.linear.bias
        if self.out_features:
            heads = (self.num_classes, *self.out_features)
            head = head.reshape(*heads, -1)
            bias = None if bias is None else bias.reshape(heads)
        return linear_cross_entropy(
            input,
            head,
            target,
            linear_bias=bias,
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
            token_weight=token_weight,
            temperature=self.temperature,
            softcap=self.softcap,
            z_loss=self.z_loss,
            empty=self.empty,
            stats=self.stats,
        )
