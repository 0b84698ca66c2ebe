"""How arrays reach a kernel: a pass over rows, in threads where there are many.

The functions that return a file of kernels import it, and Numba with the first of them, when they
are first called.
"""

from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.measures.rows._protocols import Array, Numbers

Kernel = Callable[..., int]
MIN_THREADED = 1 << 18  # numbers from which a second thread is worth waking


@cache
def entropy_kernels() -> ModuleType:
    """H(p) and H(p, q) of rows of probabilities."""
    from xent._kernels.distributions import entropy

    return entropy


@cache
def divergence_kernels() -> ModuleType:
    """KL and JS of rows of probabilities."""
    from xent._kernels.distributions import divergence

    return divergence


@cache
def probability_kernels() -> ModuleType:
    """Rows as probabilities and their logarithms, and sums over these."""
    from xent._kernels.distributions import probabilities

    return probabilities


@cache
def order_kernels() -> ModuleType:
    """Entropies and divergences with an order."""
    from xent._kernels.distributions import orders

    return orders


@cache
def sparse_kernels() -> ModuleType:
    """Rows of sparse matrices, packed."""
    from xent._kernels.distributions import sparse

    return sparse


@cache
def count_kernels() -> ModuleType:
    """Pairs of whole numbers, counted."""
    from xent._kernels.distributions import counts

    return counts


@cache
def joint_kernels() -> ModuleType:
    """Entropies and information of tables of joint distributions."""
    from xent._kernels.distributions import joint

    return joint


def flat_rows(values: Array) -> Numbers:
    """Return the rows along the last axis as one matrix in native doubles, copied if need be."""
    rows = values if values.ndim == 2 else values.reshape(-1, values.shape[-1])
    return np.ascontiguousarray(rows, np.float64)


def over_rows(
    kernel: Kernel,
    rows: Sequence[NDArray[Any]],
    scalars: tuple[float, ...],
    outs: Sequence[NDArray[Any]],
) -> int:
    """Call ``kernel(*rows, *scalars, *outs)`` on blocks of rows; return the bad row, or -1."""
    count, size = rows[0].shape
    if count * size < MIN_THREADED:
        return kernel(*rows, *scalars, *outs)

    def work(start: int, stop: int) -> int:
        parts = [array[start:stop] for array in rows]
        found = kernel(*parts, *scalars, *(array[start:stop] for array in outs))
        return found if found < 0 else found + start

    from xent._compile.threads import in_blocks

    found: list[int] = in_blocks(work, count, least=max(1, MIN_THREADED // size))
    return max(found)
