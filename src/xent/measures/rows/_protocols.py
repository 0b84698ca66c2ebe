"""Names for what the room is handed, and for what it computes with."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike as ArrayLike
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]
Booleans = NDArray[np.bool_]
AnyArray = NDArray[Any]
# An array of NumPy, PyTorch or JAX. Formulas use only what the three share, so that the type
# checker may read it as NumPy's.
Array: TypeAlias = Numbers
Axis = int | tuple[int, ...]


class SparseArray(Protocol):
    """A matrix of scipy.sparse."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def tocoo(self) -> Callable[..., object]: ...


class Frozen(Protocol):
    """A distribution of scipy.stats with its parameters."""

    @property
    def rvs(self) -> Callable[..., object]: ...


class Sampler(Protocol):
    """A distribution of torch.distributions, or of scipy.stats since 1.15."""

    @property
    def sample(self) -> Callable[..., object]: ...


class KernelDensity(Protocol):
    """A `scipy.stats.gaussian_kde`."""

    @property
    def resample(self) -> Callable[..., object]: ...


Samples = ArrayLike | Iterable[object]  # one symbol or number a row
Distribution = Frozen | Sampler | KernelDensity
