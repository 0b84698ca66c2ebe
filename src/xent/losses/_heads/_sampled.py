"""Cross-entropy against classes that were sampled, with what their sampling favours taken out."""

import math
from collections.abc import Collection

import torch
from torch import Tensor

from xent import _check
from xent.losses._arguments import (
    can_validate,
    check_devices,
    check_numbers,
    check_options,
    check_values,
    check_weight,
)
from xent.losses._class import cross_entropy
from xent.losses._heads._head import check_head
from xent.losses._overrides import overridable
from xent.losses._rows._formula import at_least_float32, cap_and_scale, zero_masked_rows
from xent.losses._rows._targets import check_target, one_ignored, validate_target


@overridable
def linear_sampled_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    samples: Tensor,
    log_q: Tensor,
    *,
    linear_bias: Tensor | None = None,
    ignore_index: int | Collection[int] = -100,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    reduction: str = "mean",
    empty: str = "zero",
) -> Tensor:
    """How many nats the true classes take among themselves and some that were sampled.

    loss_n = -log softmax(z - log q)_y over the true class and the samples that are not it

    Parameters
    ----------
    input : Tensor, shape (..., D)
        Hidden states.
    linear_weight : Tensor, shape (V, D)
        The head, one row a class.
    target : Tensor, shape (...) of integers
        Class indices.
    samples : Tensor, shape (M,) of integers
        The classes that were sampled, for all rows; one may stand there several times.
    log_q : Tensor, shape (V,)
        Logarithm of how often each class is expected among the samples, or of its probability.
    linear_bias : Tensor, shape (V,), optional
        Added to the logits.
    ignore_index, token_weight, temperature, softcap, reduction, empty
        As in `linear_cross_entropy`.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``. With every class sampled
        once, and a constant ``log_q``, the cross-entropy of all classes.

    Raises
    ------
    ValueError, TypeError
        As in `linear_cross_entropy`; also if ``samples`` or ``log_q`` do not fit the head.

    Notes
    -----
    The logits of (N, M + 1) classes are built. A sample that is a row's true class is left out of
    that row.

    Examples
    --------
    >>> x, w, every = torch.zeros(1, 3), torch.zeros(4, 3), torch.arange(4)
    >>> y, log_q = torch.tensor([2]), torch.zeros(4)
    >>> linear_sampled_cross_entropy(x, w, y, every, log_q).item()  # log 4
    1.3862943649291992

    References
    ----------
    Bengio, Y. and Senécal, J.-S. (2008). Adaptive Importance Sampling to Accelerate Training of a
    Neural Probabilistic Language Model; Jean, S. et al. (2015), equation 6.
    """
    target, ignored = one_ignored(target, ignore_index)
    o = check_options(
        reduction, ignore_index=ignored, temperature=temperature, softcap=softcap, empty=empty
    )
    x, w, b, shape = check_head(input, linear_weight, linear_bias)
    if isinstance(target, Tensor) and target.is_floating_point():
        raise _check.wrong_kind("target", "hold integer class indices", target.dtype)
    target = check_target(torch.Size((*shape, w.shape[0])), target, len(shape), ignored)
    check_weight("token_weight", token_weight, shape, "row")
    check_numbers("log_q", log_q, x)
    check_numbers("samples", samples, x)
    check_devices(x, target=target, token_weight=token_weight)
    if log_q.shape != w.shape[:1]:
        raise _check.invalid("log_q", f"have the shape {tuple(w.shape[:1])}", tuple(log_q.shape))
    if samples.dim() != 1 or samples.is_floating_point() or samples.dtype == torch.bool:
        must = "hold the indices of sampled classes, (M,)"
        raise _check.wrong_kind("samples", must, f"{tuple(samples.shape)} of {samples.dtype}")
    if can_validate(samples):
        good = (samples >= 0) & (samples < w.shape[0])
        check_values("samples", samples, good, f"hold classes, 0 to {w.shape[0] - 1}")
    target = validate_target(target, 0, w.shape[0], o, token_weight).reshape(-1)
    tokens = None if token_weight is None else token_weight.reshape(-1)
    kept = target != ignored
    x = zero_masked_rows(x, kept if tokens is None else kept & (tokens != 0))
    y, samples = target.where(kept, 0), samples.long()
    true = (x * w[y]).sum(-1, dtype=at_least_float32(x).dtype)
    others = at_least_float32(x @ w[samples].t())
    if b is not None:
        true, others = true + b[y], others + b[samples]
    z = cap_and_scale(torch.cat((true.unsqueeze(-1), others), -1), o)
    log_q = log_q.to(z.dtype)
    z = z - torch.cat((log_q[y].unsqueeze(-1), log_q[samples].expand(len(y), -1)), -1)
    hits = torch.nn.functional.pad(samples == y.unsqueeze(-1), (1, 0))
    z = z.masked_fill(hits, -math.inf)
    place = torch.zeros_like(y).where(kept, -100)  # the true class is the first
    loss: Tensor = cross_entropy(z, place, reduction=reduction, token_weight=tokens, empty=empty)
    return loss.reshape(shape) if reduction == "none" else loss
