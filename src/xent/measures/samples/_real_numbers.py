"""Real numbers as they are handed over: columns and rows of them, read into floats.

A column is one coordinate, an array of shape (n, d) is n points of d coordinates.
"""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.measures.rows._protocols import Numbers, Samples
from xent.measures.rows._symbols import plain


def real_column(argument: str, values: Samples, neighbors: int, missing: str = "refuse") -> Numbers:
    """Take a column of finite real numbers, enough of them to have that many neighbours."""
    array = _floats(values)
    if array.ndim != 1:
        raise _check.invalid(argument, "be one column", f"an array of shape {array.shape}")
    numbers = real_points(argument, _from_least(array), missing)[:, 0]
    if numbers.size <= neighbors:
        raise _check.invalid(argument, f"have more than {neighbors} rows", numbers.size)
    return numbers


def real_points(argument: str, values: Samples, missing: str) -> Numbers:
    """Take rows of finite real numbers: one column or several, each a coordinate.

    "drop" leaves out rows with a missing entry, "keep" returns them as NaN.
    """
    array = _floats(values)
    if array.ndim not in (1, 2):
        raise _check.invalid(argument, "have one axis or two", f"shape {array.shape}")
    if array.dtype.kind not in "fiub":
        must = "be a column of real numbers for this method"
        raise _check.wrong_kind(argument, must, f"an array of dtype {array.dtype}")
    if _check.option("missing", missing, ("refuse", "drop", "symbol", "keep")) == "symbol":
        raise _check.invalid("missing", 'be "refuse" or "drop" for real numbers', "'symbol'")
    points = array.astype(np.float64).reshape(len(array), 1 if array.ndim == 1 else array.shape[1])
    if not points.shape[1]:
        raise _check.invalid(argument, "have at least one column", "none")
    absent = np.isnan(points)
    bad = ~np.isfinite(points) & ~absent if missing != "refuse" else ~np.isfinite(points)
    if bad.any():
        place = np.argwhere(bad)[0][: array.ndim]
        advice = (
            "For missing entries pass " + _check.setting("missing", "drop") + "."
            if absent.any()
            else ""
        )
        got = f"{points[bad][0]} at {_check.at(place)}"
        raise _check.invalid(argument, "be finite", got, advice)
    return points[~absent.any(1)] if missing == "drop" else points


def points_together(named: dict[str, Samples], neighbors: int, missing: str) -> list[Numbers]:
    """Read several arrays of points, one row of each a row, where only differences matter."""
    how = "keep" if missing == "drop" else missing
    found = [real_points(name, _from_least(_floats(v)), how) for name, v in named.items()]
    first, rows = next(iter(named)), len(found[0])
    for name, points in zip(named, found, strict=True):
        if len(points) != rows:
            raise _check.invalid(name, f"have the {rows} rows of `{first}`", len(points))
    whole = ~np.logical_or.reduce([np.isnan(points).any(1) for points in found])
    if whole.sum() <= neighbors:
        raise _check.invalid(first, f"have more than {neighbors} rows", int(whole.sum()))
    return [points[whole] for points in found]


def rescaled(*arrays: Numbers, most: float = 1e100) -> tuple[Any, ...]:
    """Return numbers times one power of two where their squares would leave the range of floats.

    Where nothing is squared larger ones may stay, so that small ones beside them do. Last comes
    the logarithm of what a length is then to be multiplied by.
    """
    top = max(float(np.abs(x).max()) for x in arrays)
    if top == 0 or 1e-100 < top < most:
        return *arrays, 0.0
    power = math.frexp(top)[1]
    return *(np.ldexp(x, -power) for x in arrays), power * math.log(2)


def _floats(values: Samples) -> NDArray[Any]:
    """Read columns of any library; None and NA among numbers become NaN."""
    array: NDArray[Any] = np.asarray(plain(values))
    if array.dtype != object:
        return array
    entries = [
        math.nan if v is None or type(v).__name__ == "NAType" else v for v in array.ravel().tolist()
    ]
    if not all(isinstance(v, int | float | Decimal | Fraction) for v in entries):
        return array
    return np.array([_float(v) for v in entries], dtype=np.float64).reshape(array.shape)


def _float(value: float | Decimal | Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except ValueError:  # a NaN of Decimal's that signals
        return math.nan


def _from_least(array: NDArray[Any]) -> NDArray[Any]:
    """Count whole numbers that floats cannot hold from the least of them: their gaps stay."""
    if array.dtype.kind not in "iu" or not array.size:
        return array
    least, most = int(array.min()), int(array.max())
    if max(abs(least), abs(most)) < 1 << 53:
        return array
    # Differences modulo 2^64 are right for both kinds of whole numbers.
    return array.astype(np.uint64) - np.uint64(least % (1 << 64))
