"""From a call's tensors and options to the arguments of the kernels of yes-or-no answers."""

from typing import Any

import torch
from torch import Tensor

from xent.losses._triton._calls import AnswerCall, on_device_of
from xent.losses._triton._kernels import answers
from xent.losses._triton._launch import inverse_of

_LANES, _WARPS = 2048, 8


def _arguments(x: Tensor, call: AnswerCall) -> dict[str, Any]:
    o, ignored = call.options, call.ignore_index
    given = [None if w is None else w.float().contiguous() for w in call.weights]
    found: dict[str, Any] = {"x": x, "target": call.target, "count": x.numel()}
    for name, weight, place in zip(
        ("weight", "positive", "token"), given, call.places, strict=True
    ):
        found[name] = x if weight is None else weight
        found[f"{name}_step"], found[f"{name}_period"] = place
        found[name.upper()] = weight is not None
    inverse, inverse_low = inverse_of(o.temperature)
    return found | {
        "ignored": 0.0 if ignored is None else ignored, "IGNORE": ignored is not None,
        "inverse": inverse, "inverse_low": inverse_low, "cap": o.softcap or 1.0,
        "smoothing": o.label_smoothing, "CAP": o.softcap > 0,
        "BEND": o.softcap > 0 or o.temperature != 1.0, "KEEP": call.keep, "BLOCK": _LANES,
        "num_warps": _WARPS, "enable_fp_fusion": True,
    }  # fmt: skip


def score(x: Tensor, call: AnswerCall) -> Tensor:
    """Return the loss of each answer, or their sum in float64."""
    blocks = -(-x.numel() // _LANES)
    out = x.new_empty(blocks, dtype=torch.float64)
    if call.keep:
        out = torch.empty_like(x, dtype=torch.float32)
    with on_device_of(x):
        answers.score_answers[(blocks,)](**_arguments(x, call), out=out)
    return out if call.keep else out.sum()


def differentiate(x: Tensor, call: AnswerCall, upstream: Tensor) -> Tensor:
    """Return the gradient for upstream gradients of each answer, or for one of their sum."""
    grad = torch.empty_like(x)
    blocks = -(-x.numel() // _LANES)
    upstream = upstream.contiguous() if call.keep else upstream
    with on_device_of(x):
        answers.differentiate_answers[(blocks,)](
            **_arguments(x, call), grad=grad, upstream=upstream
        )
    return grad


def score_rows(x: Tensor, call: AnswerCall, g: Any, upstream: Tensor | None) -> Tensor:
    """Return the sums of rows of answers; overwrite these by their gradient, times ``g``.

    ``upstream`` multiplies each row's, or all where it has no dimension. With ``g`` None the
    logits are left alone.
    """
    rows, classes = x.shape
    out = x.new_empty(rows, dtype=torch.float32)
    arguments = _arguments(x, call)
    del arguments["count"], arguments["KEEP"]
    with on_device_of(x):
        answers.score_answer_rows[(rows,)](
            **arguments, out=out, classes=classes, g=0.0 if g is None else float(g),
            upstream=x if upstream is None else upstream,
            upstream_stride=upstream.stride(0) if upstream is not None and upstream.dim() else 0,
            UPSTREAM=upstream is not None, WRITE=g is not None,
        )  # fmt: skip
    return out
