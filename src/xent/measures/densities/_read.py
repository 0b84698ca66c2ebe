"""Which library a distribution object is of: the one place that tells them apart."""

import sys

from xent import _check
from xent.measures.densities._density import Density
from xent.measures.densities._scipy import from_scipy
from xent.measures.densities._torch import from_torch
from xent.measures.rows._typed_arrays import Input, is_distribution


def density_of(argument: str, value: Input) -> Density:
    """Read a distribution; refuse what is not one, and a batch of them."""
    if isinstance(value, type):
        advice = f"Write {value.__name__}(...), with its parameters."
        got = f"the class {value.__name__}"
        raise _check.wrong_kind(argument, "be a distribution", got, advice)
    torch = sys.modules.get("torch.distributions")
    if torch is not None and isinstance(value, torch.Distribution):
        batch = tuple(value.batch_shape)
        if batch:
            advice = "Take them one by one, or as one joint distribution by Independent."
            got = f"a batch of shape {batch}"
            raise _check.invalid(argument, "be one distribution", got, advice)
        return from_torch(argument, value, ())
    if not is_distribution(value):
        got = _check.a(value)
        must = "be a distribution of scipy.stats or torch.distributions, as the other is"
        raise _check.wrong_kind(argument, must, got)
    return from_scipy(argument, value)
