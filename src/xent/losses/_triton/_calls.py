"""What the kernels are called with, where they are launched, and what a forward keeps."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from xent.losses._arguments import Options


class RowCall(NamedTuple):
    """Rows of logits with their targets, weights and options, as the kernels take them."""

    logits: Tensor  # (n, C), the classes beside one another
    target: Tensor  # (n,) of int64, or (n, C) as the logits
    weight: Tensor | None
    row_weight: Tensor | None
    options: Options
    stats: bool = False

    @property
    def soft(self) -> bool:
        """Whether the target is probabilities."""
        return self.target.is_floating_point()


class Kept(NamedTuple):
    """What a forward writes of each row."""

    columns: Tensor  # (5, n) or with statistics (8, n) of float32, see `_kernels/rows.py`
    argmax: Tensor | None


class AnswerCall(NamedTuple):
    """One call: targets, weights and options."""

    target: Tensor
    weights: tuple[Tensor | None, Tensor | None, Tensor | None]  # each, of yes, of tokens
    places: list[tuple[int, int]]  # by what an element's place is divided, and how many there are
    ignore_index: float | None
    options: Options
    keep: bool  # the losses of all answers, not their sum
    plain: Callable[[Tensor], Tensor]  # the same in torch's operations


def on_device_of(input: Tensor) -> AbstractContextManager[object]:
    """Make a tensor's device the one that kernels are launched on."""
    return torch.cuda.device(input.device) if input.is_cuda else nullcontext()
