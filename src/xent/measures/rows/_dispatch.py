"""One pass of a kernel over rows: how arrays reach it, and threads where there are many rows."""

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

MANY = 1 << 18  # numbers from which a second thread is worth waking


@cache
def kernels(name: str) -> Any:
    """Load a file of kernels, and Numba with the first of them."""
    return import_module(f"xent._kernels.distributions.{name}")


def flat_rows(values: Any) -> NDArray[np.float64]:
    """Return the rows along the last axis as one matrix in native doubles, copied if need be."""
    rows = values if values.ndim == 2 else values.reshape(-1, values.shape[-1])
    return np.ascontiguousarray(rows, np.float64)


def over_rows(
    kernel: Callable[..., int], rows: Sequence[Any], scalars: tuple[Any, ...], outs: Sequence[Any]
) -> int:
    """Call ``kernel(*rows, *scalars, *outs)`` on blocks of rows; return the bad row, or -1."""
    count, size = rows[0].shape
    if count * size < MANY:
        return kernel(*rows, *scalars, *outs)

    def work(start: int, stop: int) -> int:
        parts = [array[start:stop] for array in rows]
        found = kernel(*parts, *scalars, *(array[start:stop] for array in outs))
        return found if found < 0 else found + start

    from xent._compile.threads import in_blocks

    found: list[int] = in_blocks(work, count, least=max(1, MANY // size))
    return max(found)
