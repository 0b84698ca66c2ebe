"""What the elements of a binary loss weigh, laid out for the compiled loops."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent._kernels.rows import weighted_binary
from xent._kernels.rows.binary import PRODUCT_LENGTH, BinaryBuffers, buffers_for, in_range
from xent._kernels.rows.weighted_binary import BinaryOutputs, Factors

_TABLE = 1 << 15  # elements of a table of weights at most, which should stay near the processor
_SHORT = 16  # elements that one weight holds for, below which each is given its own
_ONE = {real: np.ones(1, real) for real in (np.float32, np.float64)}
_SMALL = (torch.float32, torch.bfloat16, torch.float16, torch.bool, torch.uint8, torch.int8)


class BinaryWeights:
    """What the elements of one call weigh, for the compiled loops.

    Parameters
    ----------
    x, target : ndarray
        Flat logits and targets, or some of the same types.
    shape : torch.Size
        Of all logits.
    weight, pos_weight, upstream : Tensor, broadcast with the logits, optional
        Weight of each element and of its yes; what multiplies the gradient.
    """

    def __init__(
        self, x: Any, target: Any, shape: Any,
        weight: Tensor | None, pos_weight: Tensor | None, upstream: Tensor | None = None,
    ) -> None:  # fmt: skip
        factors = [a for a in (weight, pos_weight, upstream) if a is not None]
        small = all(a.dtype in _SMALL for a in factors)
        self.single = x.itemsize < 8 and target.itemsize < 8
        small = small and self.single
        kind = torch.float32 if small else torch.float64
        real: Any = np.float32 if small else np.float64
        count = shape.numel()
        laid_out = [
            (_ONE[real], count) if a is None else _laid_out(a.detach().to(kind), shape)
            for a in (weight, pos_weight, upstream)
        ]
        self.factors = [factor for factor, _ in laid_out]
        self.repeats = tuple(max(repeat, 1) for _, repeat in laid_out)
        if upstream is None:
            self.factors[2] = self.factors[2][:0]
        # Weights that repeat, each for one element, are looked up in a table. Where there is one
        # weight an element, and no other, the weights are the table.
        self.period, self.kind = 0, -1
        if weight is not None and pos_weight is not None:
            real = np.float64  # for a product
        self.negative = self.positive = np.empty(0, real)
        if not self.single or upstream is not None:
            return
        first = self.factors[0]
        if first.size == count > PRODUCT_LENGTH and pos_weight is None:
            self.negative = self.positive = first
            self.period = count
            return
        periods = [
            f.size
            for f, repeat in zip(self.factors[:2], self.repeats, strict=False)
            if repeat < count
        ]
        period = max(periods, default=1)
        if period <= _TABLE and all(repeat == 1 or repeat == count for repeat in self.repeats[:2]):
            self.period = period
            self.negative, self.positive = (
                np.empty(period + PRODUCT_LENGTH, real) for _ in range(2)
            )
            table = self._with_tables(self.negative, self.positive)
            self.kind = int(weighted_binary.fill_weight_table(table))

    def _with_tables(self, negative: Any, positive: Any) -> Factors:
        weight, pos_weight, upstream = self.factors
        return Factors(
            weight, pos_weight, upstream, self.repeats, negative, positive, self.period, self.kind
        )

    def scratch(self, dtype: Any) -> tuple[Factors, BinaryBuffers]:
        """Allocate what the loops of one thread work in."""
        real = self.negative.dtype
        tables = (self.negative, self.positive)
        if not self.period:
            tables = (np.empty(PRODUCT_LENGTH, real), np.empty(PRODUCT_LENGTH, real))
        terms = np.float32 if self.single else np.float64
        return self._with_tables(*tables), buffers_for(dtype, terms)

    def score(
        self, x: Any, target: Any, g: float, scratch: tuple[Factors, BinaryBuffers],
        values: Any, totals: Any, grad: Any, nontemporal: bool, start: int, stop: int,
    ) -> int:  # fmt: skip
        """Run the loops over some spans; see `weighted_losses`."""
        factors, buffers = scratch
        rest = (buffers, BinaryOutputs(values, totals, grad), nontemporal, start, stop)
        if self.single:
            loss: Any = weighted_binary.weighted_losses
            return int(loss(x, target, factors, g, in_range(g), *rest))
        loss = weighted_binary.weighted_losses_float64
        return int(loss(x, target, factors, g, *rest))


def _laid_out(factor: Tensor, shape: Any) -> tuple[Any, int]:
    """Return the numbers of a factor, and for how many elements each holds before the next."""
    if factor.numel() == 1:
        return factor.reshape(1).numpy(), shape.numel()
    if factor.is_contiguous() and factor.shape == shape[len(shape) - factor.dim() :]:
        return factor.reshape(-1).numpy(), 1
    expanded = factor.expand(shape)
    varies = [d for d, n in enumerate(shape) if n > 1 and expanded.stride(d)]
    first, last = (varies[0], varies[-1]) if varies else (len(shape), -1)
    repeat = shape[last + 1 :].numel()
    whole = all(d in varies or shape[d] == 1 for d in range(first, last + 1))
    if not whole or 1 < repeat < _SHORT < shape.numel():
        return expanded.reshape(-1).contiguous().numpy(), 1
    index = tuple(slice(None) if first <= d <= last else 0 for d in range(len(shape)))
    return expanded[index].reshape(-1).contiguous().numpy(), repeat
