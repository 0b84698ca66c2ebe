"""The classes of a target, numbered."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._table.given import labels_of, same_length


def classes_of(y: Any, n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    array = labels_of(y, of_numbers_too())
    if array.dtype.kind in "Mm":
        raise _check.wrong_kind("y", "hold classes", str(array.dtype), "Make them text.")
    same_length(array, n)
    classes, codes = _distinct(array)
    return classes, codes.astype(np.uint8 if len(classes) <= 256 else np.int32)


def of_numbers_too() -> _check.Words:
    """Return what to take where targets are numbers."""
    return "For numbers take " + _check.thing("TreeRegressor") + "."


def _distinct(array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """`np.unique` with the inverse; small integers are not sorted."""
    if array.dtype.kind in "iu" and len(array):
        low, high = int(array.min()), int(array.max())
        if high - low < 1000:
            # Unsigned numbers may not fit into int64, signed ones may not fit their own difference.
            wide = array if array.dtype.kind == "u" else array.astype(np.int64, copy=False)
            offset = (wide - wide.dtype.type(low)).astype(np.int64, copy=False)
            used = np.bincount(offset).nonzero()[0]
            found = (used.astype(wide.dtype) + wide.dtype.type(low)).astype(array.dtype, copy=False)
            if len(used) == high - low + 1:
                return found, offset
            place = np.empty(high - low + 1, np.int64)
            place[used] = np.arange(len(used))
            return found, place[offset]
    return np.unique(array, return_inverse=True)
