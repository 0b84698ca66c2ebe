"""The divergence of a chunk of a student's rows from a teacher's, in Triton's kernels."""

import math
from typing import Any

import torch
from torch import Tensor

from xent.losses._arguments import Options
from xent.losses._triton import _use
from xent.losses._triton._calls import on_device_of
from xent.losses._triton._class import is_extreme

_TAKEN = (torch.float32, torch.bfloat16, torch.float16)


def score_head_divergences(
    logits: Tensor,
    teacher: Tensor,
    beta: float,
    row_weight: Tensor | None,
    o: Options,
    g: Any,
    upstream: Tensor | None,
) -> Tensor | None:
    """Return the divergences of rows (n, V); overwrite the student's logits by their gradient.

    ``g`` (a number, or a tensor of one) and ``upstream``, a number a row, multiply the gradient;
    with ``g`` None the logits are left alone. Without Triton return None.
    """
    if not _use.is_at_hand(logits) or logits.dtype not in _TAKEN or is_extreme(o):
        return None
    if teacher.dtype not in _TAKEN or not logits.numel() or 0 < beta < 1e-6 or 0 < 1 - beta < 1e-6:
        return None
    from xent.losses._triton._kernels import teacher_rows
    from xent.losses._triton._launch import lanes, numbers_of

    rows, classes = logits.shape
    if isinstance(g, Tensor):
        upstream, g = g if upstream is None else upstream * g, 1.0
    out = logits.new_empty(rows, dtype=torch.float32)
    block, warps = lanes(classes, True)
    with on_device_of(logits):
        teacher_rows.score_teacher_rows[(rows,)](
            x=logits, stride=logits.stride(0), y=teacher, teacher_stride=teacher.stride(0),
            row_weight=out if row_weight is None else row_weight.float().contiguous(), out=out,
            upstream=out if upstream is None else upstream,
            upstream_stride=upstream.stride(0) if upstream is not None and upstream.dim() else 0,
            classes=classes, g=0.0 if g is None else float(g), **numbers_of(o, classes), beta=beta,
            log_beta=math.log(beta) if beta else 0.0,
            log_1_beta=math.log1p(-beta) if beta < 1 else 0.0,
            KIND=int(beta) if beta in (0, 1) else 2, SMOOTH=o.label_smoothing > 0,
            TOKEN=row_weight is not None, CAP=o.softcap > 0, Z=o.z_loss > 0,
            UPSTREAM=upstream is not None, WRITE=g is not None, BLOCK=block, num_warps=warps,
            enable_fp_fusion=True,
        )  # fmt: skip
    return out
