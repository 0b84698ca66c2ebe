"""Each class is true or not on its own: binary cross-entropy of logits."""

import torch
from torch import Tensor

from xent import _check
from xent.losses._options import at_least_float32, check_input, check_same_shape, reduced


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """How many nats each yes-or-no answer takes, given the logit of yes.

    loss = - w [ u t log σ(x) + (1 - t) log σ(-x) ], with u = pos_weight

    Parameters
    ----------
    input : Tensor, any shape
        Logits x of yes.
    target : Tensor, the shape of ``input``
        The probability t of yes, 0 to 1.
    weight : Tensor, broadcasts with ``input``, optional
        Weight of each answer.
    size_average, reduce : None
        Deprecated positions of torch.
    reduction : {"mean", "sum", "none"}
        The mean is over all elements.
    pos_weight : Tensor, broadcasts with ``input``, optional
        Weight of yes.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        If shapes differ, a target lies outside [0, 1], or an option is none of those above.

    Examples
    --------
    >>> binary_cross_entropy_with_logits(torch.zeros(2), torch.tensor([0.0, 1.0])).item()  # log 2
    0.6931471824645996

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.90.
    """
    check_input(input, size_average, reduce)
    check_same_shape(input, target)
    outside = ~((target >= 0) & (target <= 1))
    if bool(outside.any()):
        first = outside.nonzero()[0].tolist()
        got = f"{target[tuple(first)].item():.6g} at {_check.at(first)}"
        raise _check.invalid("target", "be between 0 and 1", got)
    logits = at_least_float32(input)
    target = target.to(logits.dtype)
    # log σ(-x) = -softplus(x). logaddexp keeps its digits where torch's softplus gives 0 or x.
    no, yes = _softplus(logits), _softplus(-logits)
    values = (no * (1 - target)).where(target != 1, 0.0)
    values = values + (yes * (target if pos_weight is None else target * pos_weight)).where(
        target != 0, 0.0
    )
    if weight is not None:
        values = values * weight
    return reduced(values, reduction)


def _softplus(logits: Tensor) -> Tensor:
    return torch.logaddexp(logits, torch.zeros_like(logits))
