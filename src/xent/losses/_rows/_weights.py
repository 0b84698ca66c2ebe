"""What the elements of a binary loss weigh, laid out for the compiled loops."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent._kernels.rows import binary, weighted_binary

_TABLE = 1 << 15  # elements of a table of weights at most, which should stay near the processor
_SHORT = 16  # elements that one weight holds for, below which each is given its own
_CHUNK = binary.CHUNK
_ONE = {real: np.ones(1, real) for real in (np.float32, np.float64)}
_SMALL = (torch.float32, torch.bfloat16, torch.float16, torch.bool, torch.uint8, torch.int8)


class Weights:
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
        self.inners = tuple(max(inner, 1) for _, inner in laid_out)
        if upstream is None:
            self.factors[2] = self.factors[2][:0]
        # Weights that repeat, each for one element, are looked up in a table. Where there is one
        # weight an element, and no other, the weights are the table.
        self.period, self.kind = 0, -1
        if weight is not None and pos_weight is not None:
            real = np.float64  # for a product
        self.no = self.yes = np.empty(0, real)
        if not self.single or upstream is not None:
            return
        first = self.factors[0]
        if first.size == count > _CHUNK and pos_weight is None:
            self.no = self.yes = first
            self.period = count
            return
        periods = [
            f.size for f, inner in zip(self.factors[:2], self.inners, strict=False) if inner < count
        ]
        period = max(periods, default=1)
        if period <= _TABLE and all(inner == 1 or inner == count for inner in self.inners[:2]):
            self.period = period
            self.no, self.yes = (np.empty(period + _CHUNK, real) for _ in range(2))
            self.kind = int(
                weighted_binary.tabulate(first, self.factors[1], self.inners, self.no, self.yes)
            )

    def scratch(self, dtype: Any) -> tuple[Any, ...]:
        """Allocate what the loops of one thread work in."""
        real = self.no.dtype
        tables = (self.no, self.yes)
        if not self.period:
            tables = (np.empty(_CHUNK, real), np.empty(_CHUNK, real))
        return *tables, *binary.room_for(dtype, np.float32 if self.single else np.float64)

    def score(
        self, x: Any, target: Any, g: float, scratch: tuple[Any, ...], values: Any, totals: Any,
        out: Any, nontemporal: bool, start: int, stop: int,
    ) -> int:  # fmt: skip
        """Run the loops over some spans; see `weigh_answers`."""
        head = (x, target, *self.factors, self.inners, *scratch[:2])
        rest = (*scratch[2:], values, totals, out, nontemporal, start, stop)
        if self.single:
            way = (self.period, self.kind, g, binary.mild(g))
            return int(weighted_binary.weigh_answers(*head, *way, *rest))
        return int(weighted_binary.weigh_exactly(*head, g, *rest))


def _laid_out(factor: Tensor, shape: Any) -> tuple[Any, int]:
    """Return the numbers of a factor, and for how many elements each holds before the next."""
    if factor.numel() == 1:
        return factor.reshape(1).numpy(), shape.numel()
    if factor.is_contiguous() and factor.shape == shape[len(shape) - factor.dim() :]:
        return factor.reshape(-1).numpy(), 1
    expanded = factor.expand(shape)
    varies = [d for d, n in enumerate(shape) if n > 1 and expanded.stride(d)]
    first, last = (varies[0], varies[-1]) if varies else (len(shape), -1)
    inner = shape[last + 1 :].numel()
    whole = all(d in varies or shape[d] == 1 for d in range(first, last + 1))
    if not whole or 1 < inner < _SHORT < shape.numel():
        return expanded.reshape(-1).contiguous().numpy(), 1
    index = tuple(slice(None) if first <= d <= last else 0 for d in range(len(shape)))
    return expanded[index].reshape(-1).contiguous().numpy(), inner
