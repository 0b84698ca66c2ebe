"""The rival that cross-entropy is measured against: the mean of squared differences."""

import torch

from xent.losses._arguments import (
    check_broadcast,
    check_devices,
    check_input,
    check_numbers,
    check_options,
    check_same_shape,
    check_weight,
)
from xent.losses._overrides import overridable
from xent.losses._reduction import reduce_weighted
from xent.losses._rows._formula import at_least_float32


@overridable
def mse_loss(
    input: torch.Tensor,
    target: torch.Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    weight: torch.Tensor | None = None,
    *,
    token_weight: torch.Tensor | None = None,
    empty: str = "zero",
) -> torch.Tensor:
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
    token_weight : Tensor, broadcasts with ``input``, optional
        The same for whole rows.
    empty : {"zero", "nan", "raise"}
        What the mean of nothing is.

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
    o = check_options(reduction, empty=empty)
    check_weight("weight", weight, input.shape, "element")
    if token_weight is not None:
        check_numbers("token_weight", token_weight, input)
    check_broadcast("token_weight", token_weight, input)
    check_devices(input, weight=weight)
    x = at_least_float32(input)
    both = weight
    if token_weight is not None:
        both = token_weight.expand(input.shape).to(x.dtype)
        both = both if weight is None else both * weight
    gap = x - (target if target.is_floating_point() else target.to(x.dtype))
    return reduce_weighted((gap if both is None else gap.where(both != 0, 0.0)) ** 2, both, o)
