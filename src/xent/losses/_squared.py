"""The rival that cross-entropy is measured against: the mean of squared differences."""

import torch
from torch import Tensor

from xent import _check
from xent.losses._options import at_least_float32, check_input, check_same_shape, reduced


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """How far, squared, a prediction lies from the truth.

    loss = w (input - target)²

    Parameters
    ----------
    input : Tensor, any shape
        Predictions.
    target : Tensor, the shape of ``input``
        The truth. A shape that would have to be broadcast is refused.
    size_average, reduce : None
        Deprecated positions of torch.
    reduction : {"mean", "sum", "none"}
        The mean is over all elements, or over their weights.
    weight : Tensor, the shape of ``input``, optional
        Weight of each element.

    Returns
    -------
    Tensor
        In squared units of the input, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        If shapes differ or an option is none of those above.

    Examples
    --------
    >>> mse_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])).item()
    2.0

    References
    ----------
    Gauss, C. F. (1823). Theoria combinationis observationum erroribus minimis obnoxiae.
    """
    check_input(input, size_average, reduce)
    check_same_shape(input, target)
    values = (at_least_float32(input) - target) ** 2
    if weight is None:
        return reduced(values, reduction)
    if weight.shape != input.shape:
        must = f"have the shape of `input`, {tuple(input.shape)}"
        raise _check.invalid("weight", must, tuple(weight.shape))
    return reduced(values * weight, reduction, torch.as_tensor(weight).sum())
