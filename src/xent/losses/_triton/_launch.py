"""From a call's tensors and options to the arguments of the kernels of class rows."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent.losses._arguments import Options
from xent.losses._triton._calls import Kept, RowCall, on_device_of
from xent.losses._triton._kernels import class_rows

_MOST_LANES = 4096
_COLUMNS, _COLUMNS_OF_STATS = 5, 8


def lanes(classes: int, many: bool) -> tuple[int, int]:
    """Return the length of a block, shorter where many numbers wait, and how many warps take it."""
    most = _MOST_LANES // 2 if many else _MOST_LANES
    block = min(most, max(16, 1 << (classes - 1).bit_length()))
    return block, max(1, block * 8 // most)


def inverse_of(temperature: float) -> tuple[float, float]:
    """Return the inverse in two numbers of float32."""
    inverse = 1 / temperature
    high = float(np.float32(inverse))
    return high, inverse - high


def numbers_of(o: Options, classes: int) -> dict[str, float]:
    """Return the constants of a call; a temperature takes no operation more."""
    period = o.temperature * math.log(2)
    unit = 2.0 ** (math.frexp(period)[1] - 12)
    high = round(period / unit) * unit  # 12 bits: whole multiples are exact
    inverse, inverse_low = inverse_of(o.temperature)
    return {
        "log2e": 1 / period, "ln2_high": high, "ln2_low": period - high, "inverse": inverse,
        "inverse_low": inverse_low, "cap": o.softcap or 1.0, "smoothing": o.label_smoothing,
        "even": o.label_smoothing / classes, "z_loss": o.z_loss,
    }  # fmt: skip


def _arguments(call: RowCall) -> dict[str, Any]:
    """Return what all kernels of class rows are called with."""
    o, target = call.options, call.target
    rows, classes = call.logits.shape
    block, warps = lanes(classes, call.soft or call.stats or o.softcap > 0)
    return {
        "x": call.logits, "stride": call.logits.stride(0),
        "target": target, "soft_stride": target.stride(0) if call.soft else 0,
        "class_weight": call.logits if call.weight is None else call.weight,
        "row_weight": call.logits if call.row_weight is None else call.row_weight,
        "rows": rows, "classes": classes, "ignore_index": o.ignore_index,
        "SOFT": call.soft, "SMOOTH": o.label_smoothing > 0, "WEIGHT": call.weight is not None,
        "TOKEN": call.row_weight is not None, "CAP": o.softcap > 0, "Z": o.z_loss > 0,
        "BLOCK": block, "num_warps": warps, "enable_fp_fusion": True, **numbers_of(o, classes),
    }  # fmt: skip


def _empty_columns(call: RowCall) -> Kept:
    count = call.logits.shape[0]
    columns = _COLUMNS_OF_STATS if call.stats else _COLUMNS
    kept = call.logits.new_empty((columns, count), dtype=torch.float32)
    argmax = call.logits.new_empty(count, dtype=torch.int64) if call.stats else None
    return Kept(kept, argmax)


def score(call: RowCall) -> Kept:
    """Read every row once."""
    kept = _empty_columns(call)
    with on_device_of(call.logits):
        class_rows.score_rows[(call.logits.shape[0],)](
            **_arguments(call), kept=kept.columns, STATS=call.stats,
            argmaxes=kept.columns if kept.argmax is None else kept.argmax,
        )  # fmt: skip
    return kept


def differentiate(
    call: RowCall,
    kept: Kept,
    grad: Tensor,
    upstream: Tensor | None,
    divisor: Tensor | None = None,
    stat_grads: Tensor | None = None,
) -> None:
    """Write the gradient of every row, to where ``grad`` (n, C) is; it may be the logits.

    ``upstream`` has a number a row or, of no dimension, one for all; None stands for 0.
    ``stat_grads`` (3, n) are the upstream gradients of the statistics.
    """
    arguments = _arguments(call)
    blocks = -(-call.logits.shape[1] // arguments["BLOCK"])
    like = kept.columns
    with on_device_of(call.logits):
        class_rows.differentiate_rows[(call.logits.shape[0], blocks)](
            **arguments, grad=grad, grad_stride=grad.stride(0), kept=like,
            g=float(upstream is not None),
            upstream=like if upstream is None else upstream,
            upstream_stride=upstream.stride(0) if upstream is not None and upstream.dim() else 0,
            divisor=like if divisor is None else divisor,
            stat_grads=like if stat_grads is None else stat_grads,
            UPSTREAM=upstream is not None, DIVIDE=divisor is not None,
            STAT_GRADS=stat_grads is not None, HALF=call.logits.itemsize == 2,
        )  # fmt: skip


def score_and_differentiate(call: RowCall, g: float, upstream: Tensor | None) -> Kept:
    """Read every row, and write the gradient over it, in one launch.

    ``g`` multiplies all, and ``upstream`` each row, or all where it has no dimension.
    """
    kept = _empty_columns(call)
    like = kept.columns
    with on_device_of(call.logits):
        class_rows.score_and_differentiate_rows[(call.logits.shape[0],)](
            **_arguments(call), kept=like, g=float(g),
            upstream=like if upstream is None else upstream,
            upstream_stride=upstream.stride(0) if upstream is not None and upstream.dim() else 0,
            UPSTREAM=upstream is not None, HALF=call.logits.itemsize == 2,
        )  # fmt: skip
    return kept


def try_kernel(device: torch.device) -> None:
    """Compute a few rows and compare them with torch's, or raise what keeps Triton from it.

    A compiler that is wrong on a device is as good as none there. This waits, once a process.
    """
    with torch.no_grad():
        logits = 8 * torch.sin(torch.arange(4.0 * 33, device=device)).view(4, 33)
        target = torch.arange(4, device=device) * 8
        call = RowCall(logits, target, None, None, Options())
        kept, grad = score(call), torch.empty_like(logits)
        differentiate(call, kept, grad, torch.ones((), device=device))
        log_prob = logits.log_softmax(1)
        picked = torch.nn.functional.one_hot(target, 33)
        torch.testing.assert_close(kept.columns[0], -(log_prob * picked).sum(1))
        torch.testing.assert_close(grad, log_prob.exp() - picked)
