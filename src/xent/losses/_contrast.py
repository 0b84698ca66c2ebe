"""Which of two batches belong together: the losses of CLIP and of SigLIP."""

import torch
from torch import Tensor

from xent import _check
from xent.losses._binary import binary_cross_entropy_with_logits
from xent.losses._class import cross_entropy
from xent.losses._options import at_least_float32, check_input, options, reduced


def info_nce(a: Tensor, b: Tensor, *, temperature: float, reduction: str = "mean") -> Tensor:
    """How many nats it takes to find each item's partner among all the partners of the batch.

    loss_n = [ -log softmax_m(a_n·b_m / T)_n - log softmax_m(a_m·b_n / T)_n ] / 2

    Parameters
    ----------
    a, b : Tensor, shape (N, D)
        Embeddings; row n of one belongs to row n of the other. They are not normalised here.
    temperature : float
        T.
    reduction : {"mean", "sum", "none"}
        Over rows.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Examples
    --------
    >>> info_nce(torch.zeros(4, 2), torch.zeros(4, 2), temperature=0.1).item()  # log 4
    1.3862943649291992

    References
    ----------
    Radford, A. et al. (2021). Learning Transferable Visual Models, figure 3.
    """
    _check_pair(a, b)
    o = options(reduction, temperature=temperature)
    logits = _products(a, b)
    own = torch.arange(a.shape[0], device=a.device)
    each = [
        cross_entropy(z, own, reduction="none", temperature=o.temperature)
        for z in (logits, logits.t())
    ]
    return reduced((each[0] + each[1]) / 2, reduction)


def siglip(
    a: Tensor,
    b: Tensor,
    *,
    scale: float | Tensor,
    bias: float | Tensor,
    reduction: str = "mean",
) -> Tensor:
    """How many nats it takes to say of each pair of the batch whether it belongs together.

    loss_n = Σ_m softplus(-s (scale a_n·b_m + bias)), s = 1 where n = m and -1 elsewhere

    Parameters
    ----------
    a, b : Tensor, shape (N, D)
        Embeddings; row n of one belongs to row n of the other. They are not normalised here.
    scale, bias : float or scalar Tensor
        Of the logits; may be learnt.
    reduction : {"mean", "sum", "none"}
        Over rows.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Examples
    --------
    >>> siglip(torch.zeros(2, 3), torch.zeros(2, 3), scale=1.0, bias=0.0).item()  # 2 log 2
    1.3862943649291992

    References
    ----------
    Zhai, X. et al. (2023). Sigmoid Loss for Language Image Pre-Training, algorithm 1.
    """
    _check_pair(a, b)
    options(reduction)
    logits = _products(a, b) * scale + bias
    own = torch.eye(a.shape[0], dtype=logits.dtype, device=a.device)
    values = binary_cross_entropy_with_logits(logits, own, reduction="none")
    return reduced(values.sum(-1), reduction)


def _products(a: Tensor, b: Tensor) -> Tensor:
    return at_least_float32(a) @ at_least_float32(b).t()


def _check_pair(a: Tensor, b: Tensor) -> None:
    check_input(a)
    check_input(b)
    if a.dim() != 2:
        raise _check.invalid("a", "have the shape (N, D)", tuple(a.shape))
    if b.shape != a.shape:
        raise _check.invalid("b", f"have the shape of `a`, {tuple(a.shape)}", tuple(b.shape))
