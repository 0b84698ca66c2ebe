"""How a loss reduces: what its arguments say, and what it does to a batch that is given twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xent.audit._run.sites import LossCall
from xent.audit._run.torch_private import unseen

SAME_RATIO = 1e-3  # relative: float16 has three digits


def named(options: Mapping[str, Any]) -> str:
    """Return the reduction that the arguments ask for."""
    average, reduce = options.get("size_average"), options.get("reduce")
    if average is None and reduce is None:
        return str(options.get("reduction", "mean"))
    if reduce is False:
        return "none"
    return "sum" if average is False else "mean"


def real(call: LossCall) -> str:
    """Return what a call does to its own batch given twice: "mean", "sum", or "" if neither."""
    output, target = call.options.get("input"), call.options.get("target")
    if not isinstance(output, Tensor) or not isinstance(target, Tensor):
        return ""
    if call.result.dim() or output.dim() < 2 or not target.dim():
        return ""
    function: Callable[..., Tensor] | None = ORIGINALS.get(call.name)
    if function is None or output.size(0) != target.size(0):
        return ""
    if call.options.get("size_average") is not None or call.options.get("reduce") is not None:
        return ""  # it would be warned of again
    rest = {k: v for k, v in call.options.items() if k not in ("input", "target")}
    return of_batch(lambda a, b: function(a, b, **rest), output, target)


@dataclass
class Silence:
    """Whether what PyTorch's losses warn of is kept back: they are called by the audit itself."""

    on: bool = False


SILENCE = Silence()
ORIGINALS: dict[str, Callable[..., Tensor]] = {}  # PyTorch's losses as they were before the run


def of_batch(criterion: Callable[[Tensor, Tensor], Tensor], output: Tensor, target: Tensor) -> str:
    """Call a criterion on a batch and on the batch twice over, the random state restored."""
    state = torch.get_rng_state()
    SILENCE.on = True
    try:
        with unseen():
            once = float(criterion(output, target))
            torch.set_rng_state(state)
            twice = float(criterion(torch.cat((output, output)), torch.cat((target, target))))
    except (RuntimeError, ValueError, TypeError, IndexError):
        return ""
    finally:
        SILENCE.on = False
        torch.set_rng_state(state)
    if not math.isfinite(once) or not math.isfinite(twice) or once == 0:
        return ""
    ratio = twice / once
    return "mean" if abs(ratio - 1) < SAME_RATIO else "sum" if abs(ratio - 2) < SAME_RATIO else ""
