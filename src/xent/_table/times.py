"""NumPy's dates and durations in units that Arrow has, or not at all."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

ARROW_UNITS = ("s", "ms", "us", "ns")
FINER = ("ps", "fs", "as")


def in_arrow_units(array: NDArray[Any]) -> NDArray[Any] | None:
    """Return dates or durations in one unit at a time: no hours or years, no steps of 100 ns.

    Parameters
    ----------
    array : ndarray of datetime64 or timedelta64
        In any unit, and any number of them a step.

    Returns
    -------
    ndarray or None
        The same moments; None where no unit holds them all exactly, or they have none.
    """
    kind, (unit, step) = array.dtype.kind, np.datetime_data(array.dtype)
    if unit == "generic" and not np.isnat(array).all():
        return None  # nothing says what one is
    if unit == "D" and step == 1 and kind == "M":
        wanted = unit  # Arrow has days, but no durations of days
    elif unit in FINER:
        wanted = "ns"
    else:
        wanted = unit if unit in ARROW_UNITS else "s"
    found = array.astype(f"{kind}8[{wanted}]", copy=False)
    if (unit, step) != (wanted, 1):
        same = (found.astype(array.dtype) == array) | np.isnat(array)
        if not same.all():
            return None
    return found
