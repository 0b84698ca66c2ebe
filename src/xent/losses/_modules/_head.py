"""The module of a linear head and its loss."""

import math
from typing import Any

import torch
from torch import Tensor

from xent import _check
from xent.losses._heads._class import linear_cross_entropy
from xent.losses._modules._module import LossModule

# torch before 2.13 has no such module; there this one stands on its own.
_LinearBase: Any = getattr(torch.nn, "LinearCrossEntropyLoss", torch.nn.Module)


class LinearCrossEntropyLoss(LossModule, _LinearBase, function=linear_cross_entropy):  # type: ignore[misc]
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

    temperature: float
    softcap: float | None
    z_loss: float

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
            self.num_classes, self.out_features = num_classes, out_features
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
        self.keep(locals())

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
            token_weight=token_weight,
            **self.kept(),
        )
