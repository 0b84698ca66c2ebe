"""Which of two batches belong together: the losses of CLIP and of SigLIP."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from xent import _check
from xent.losses._arguments import (
    Options,
    check_devices,
    check_numbers,
    check_options,
    check_weight,
)
from xent.losses._binary import binary_cross_entropy_with_logits
from xent.losses._class import cross_entropy
from xent.losses._heads._class import linear_cross_entropy
from xent.losses._overrides import overridable
from xent.losses._parallel._group import gather_rows
from xent.losses._reduction import reduce_weighted
from xent.losses._rows._formula import at_least_float32
from xent.losses._rows._stats import Stats
from xent.losses._torch_private import is_transformed


@overridable
def info_nce(
    a: Tensor,
    b: Tensor,
    *,
    temperature: float,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    softcap: float | None = None,
    z_loss: float = 0.0,
    empty: str = "zero",
    stats: bool = False,
    negatives: Tensor | None = None,
    group: Any = None,
) -> Any:
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
    label_smoothing, softcap, z_loss
        As in `cross_entropy`, in both directions.
    token_weight : Tensor, shape (N,), optional
        Weight of each pair, by whose sum the mean divides.
    empty : {"zero", "nan", "raise"}
        What the mean of no pair is.
    stats : bool
        Return (loss, Stats) of shape (2, N): of a's search for b, and of b's for a.
    negatives : Tensor, shape (M, D), optional
        More items of b's kind, partners of none: a's search is among them too.
    group : ProcessGroup, optional
        Of torch.distributed, whose processes hold N pairs each. The search is among the items of
        all processes, and the loss is that of this process's pairs. Gradients of an item come from
        all processes. Data parallel training averages them.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError
        If ``a`` is no matrix, ``b`` not of its shape, a weight negative or not finite, or an option
        out of range; if there is no pair and ``empty="raise"``.
    TypeError
        If an argument is no tensor, no number or of a dtype that cannot be.

    Examples
    --------
    >>> info_nce(torch.zeros(4, 2), torch.zeros(4, 2), temperature=0.1).item()  # log 4
    1.3862943649291992

    References
    ----------
    Radford, A. et al. (2021). Learning Transferable Visual Models, figure 3.
    """
    _check_pair(a, b, token_weight)
    o = check_options(reduction, temperature=temperature, empty=empty)
    if negatives is not None or group is not None:
        shape: dict[str, Any] = {
            "label_smoothing": label_smoothing, "softcap": softcap, "z_loss": z_loss,
            "temperature": o.temperature, "stats": stats, "reduction": "none",
        }  # fmt: skip
        of_a, of_b = _searches(a, b, negatives, group, shape)
        return _both_ways(of_a, of_b, token_weight, o, stats)
    logits = _products(a, b)
    partner = torch.arange(a.shape[0], device=a.device)
    if not len(partner):
        logits = logits.new_zeros(0, 1) + logits.sum()  # no class either: the loss is of no row
    of_a, of_b = (
        cross_entropy(
            z, partner, reduction="none", label_smoothing=label_smoothing, softcap=softcap,
            temperature=o.temperature, z_loss=z_loss, stats=stats,
        )
        for z in (logits, logits.t() if len(partner) else logits)
    )  # fmt: skip
    return _both_ways(of_a, of_b, token_weight, o, stats)


def _both_ways(of_a: Any, of_b: Any, token_weight: Tensor | None, o: Options, stats: bool) -> Any:
    """Return the loss of both searches, and their statistics."""
    if not stats:
        return reduce_weighted((of_a + of_b) / 2, token_weight, o)
    loss = reduce_weighted((of_a[0] + of_b[0]) / 2, token_weight, o)
    both = Stats._make(torch.stack(pair) for pair in zip(of_a[1], of_b[1], strict=True))
    return loss, both._replace(accuracy=both.accuracy.mean())


def _searches(
    a: Tensor, b: Tensor, negatives: Tensor | None, group: Any, shape: dict[str, Any]
) -> tuple[Any, Any]:
    """Return a's search among b, of all processes, and more; and b's: chunks of their products.

    What is searched is a head whose classes are items, so its loss never has all products.
    """
    a, b = at_least_float32(a), at_least_float32(b)
    partner = torch.arange(a.shape[0], device=a.device)
    all_a, all_b = a, b
    if group is not None:
        all_a, all_b = _of_all_processes(a, b, group)
        partner = partner + dist.get_rank(group) * a.shape[0]
    if negatives is not None:
        check_numbers("negatives", negatives, a)
        if not negatives.is_floating_point():
            raise _check.wrong_kind("negatives", "be a floating-point tensor", negatives.dtype)
        if negatives.dim() != 2 or negatives.shape[1] != b.shape[1]:
            must = f"have the shape (M, {b.shape[1]})"
            raise _check.invalid("negatives", must, tuple(negatives.shape))
        all_b = torch.cat((all_b, negatives.to(all_b.dtype)))
    if not len(all_a):  # no class either: the loss is of no row, with gradients of 0
        nothing = a.new_zeros(1, a.shape[1]) + all_b.sum()
        all_a = nothing
        all_b = all_b if len(all_b) else nothing
    return (
        linear_cross_entropy(a, all_b, partner, **shape),
        linear_cross_entropy(b, all_a, partner, **shape),
    )


@overridable
def siglip(
    a: Tensor,
    b: Tensor,
    *,
    scale: float | Tensor,
    bias: float | Tensor,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    softcap: float | None = None,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """How many nats it takes to say of each pair of the batch whether it belongs together.

    loss_n = Σ_m softplus(-s (scale a_n·b_m + bias)), s = 1 where n = m and -1 elsewhere

    Parameters
    ----------
    a, b : Tensor, shape (N, D)
        Embeddings; row n of one belongs to row n of the other. They are not normalised here.
    scale, bias : float or scalar Tensor
        Of the logits; may be learnt. The scale is 1 / temperature.
    reduction : {"mean", "sum", "none"}
        Over rows.
    pos_weight, label_smoothing, softcap, stats
        As in `binary_cross_entropy_with_logits`, of the (N, N) answers.
    token_weight : Tensor, shape (N,), optional
        Weight of each row, by whose sum the mean divides.
    empty : {"zero", "nan", "raise"}
        What the mean of no row is.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        As in `info_nce`; also if ``pos_weight`` cannot be that of (N, N) answers.

    Examples
    --------
    >>> siglip(torch.zeros(2, 3), torch.zeros(2, 3), scale=1.0, bias=0.0).item()  # 2 log 2
    1.3862943649291992

    References
    ----------
    Zhai, X. et al. (2023). Sigmoid Loss for Language Image Pre-Training, algorithm 1.
    """
    _check_pair(a, b, token_weight)
    o = check_options(reduction, empty=empty)
    if token_weight is not None:  # a row of weight 0 counts for nothing, be it NaN
        a = a.where((token_weight != 0).unsqueeze(-1) | a.isfinite(), 0.0)
    logits = _products(a, b) * _scalar("scale", scale, a) + _scalar("bias", bias, a)
    target = torch.eye(a.shape[0], dtype=logits.dtype, device=a.device)
    found = binary_cross_entropy_with_logits(
        logits, target, reduction="none", pos_weight=pos_weight, label_smoothing=label_smoothing,
        softcap=softcap, stats=stats,
    )  # fmt: skip
    loss = reduce_weighted((found[0] if stats else found).sum(-1), token_weight, o)
    return (loss, found[1]) if stats else loss


def _of_all_processes(a: Tensor, b: Tensor, group: Any) -> tuple[Tensor, Tensor]:
    """Gather the items of all processes, whose gradients come back to each."""
    if not (dist.is_available() and isinstance(group, dist.ProcessGroup)):
        must = "be a process group of torch.distributed of which this process is a member"
        raise _check.wrong_kind("group", must, _check.a(group))
    if is_transformed():
        because = "torch.compile and torch.func do not see what the processes exchange"
        raise _check.cannot("Items cannot be gathered", because, "Call it outside of them.")
    return gather_rows(a, group), gather_rows(b, group)


def _products(a: Tensor, b: Tensor) -> Tensor:
    return at_least_float32(a) @ at_least_float32(b).t()


def _check_pair(a: Tensor, b: Tensor, token_weight: Tensor | None) -> None:
    for name, given in (("a", a), ("b", b)):
        check_numbers(name, given)
        if not given.is_floating_point():
            raise _check.wrong_kind(name, "be a floating-point tensor", given.dtype)
    if a.dim() != 2:
        raise _check.invalid("a", "have the shape (N, D)", tuple(a.shape))
    if b.shape != a.shape:
        raise _check.invalid("b", f"have the shape of `a`, {tuple(a.shape)}", tuple(b.shape))
    if b.device != a.device:
        raise _check.invalid("b", f"be on the device of `a`, {a.device}", b.device)
    if (a.dtype == torch.float64) != (b.dtype == torch.float64):
        raise _check.invalid("b", f"have the dtype of `a`, {a.dtype}", b.dtype)
    check_weight("token_weight", token_weight, a.shape[:1], "row")
    check_devices(a, token_weight=token_weight)


def _scalar(name: str, value: float | Tensor, a: Tensor) -> float | Tensor:
    if not isinstance(value, Tensor):
        return _check.number(name, value)
    check_numbers(name, value)
    if value.numel() != 1:
        raise _check.invalid(name, "be a number or a tensor of one", tuple(value.shape))
    # torch lets a scalar of the CPU meet tensors of any device.
    if value.device != a.device and (value.dim() or not value.is_cpu):
        raise _check.invalid(name, f"be on the device of `a`, {a.device}", value.device)
    return value
