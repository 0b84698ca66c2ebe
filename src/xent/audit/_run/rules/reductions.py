"""How a loss reduces: what its arguments say, and what it does to a batch that is given twice."""

from __future__ import annotations

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
    twice = torch.cat((output, output)), torch.cat((target, target))
    SILENCE.on = True
    try:
        with unseen():
            ratio = float(function(*twice, **rest)) / float(function(output, target, **rest))
    except (RuntimeError, ValueError, TypeError, IndexError, ZeroDivisionError):
        return ""
    finally:
        SILENCE.on = False
    return "mean" if abs(ratio - 1) < SAME_RATIO else "sum" if abs(ratio - 2) < SAME_RATIO else ""


@dataclass
class Silence:
    """Whether what PyTorch's losses warn of is kept back: they are called by the audit itself."""

    on: bool = False


SILENCE = Silence()
ORIGINALS: dict[str, Callable[..., Tensor]] = {}  # PyTorch's losses as they were before the run
