"""Numbers that floats cannot tell apart: whole ones past 2**53, long decimals.

Three rules, each once. Whole numbers of at most 64 bits stay whole (`whole_numbers`). Who needs
each value itself refuses one that its float does not give back (`refuse_rounded`). Who needs their
order alone refuses two different ones that would become one float (`Distinct`): rounding changes no
order, but no test could tell these two apart. A histogram that joins neighbours anyway, as it does
with more than 256 of them, may join these.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check

EXACT_WHOLE = 2**53  # up to here every whole number is a float64


def whole_numbers(numbers: list[Any]) -> NDArray[Any] | None:
    """Return whole numbers as int64 or uint64; None where one is not whole or has more bits."""
    if not all(_is_whole(number) for number in numbers):
        return None
    least, greatest = min(numbers, default=0), max(numbers, default=0)
    for kind in (np.int64, np.uint64):
        if np.iinfo(kind).min <= least and greatest <= np.iinfo(kind).max:
            return np.array([int(number) for number in numbers], dtype=kind)
    return None


def _is_whole(number: Any) -> bool:
    if isinstance(number, Decimal):
        return number.is_finite() and int(number.as_tuple().exponent) >= 0
    return isinstance(number, Integral)


def to_floats(numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Return the nearest float of each number."""
    try:
        return numbers.astype(np.float64)
    except OverflowError:
        raise too_large() from None


def too_large() -> ValueError:
    """Return the error for a whole number that is infinite as float64."""
    return _check.invalid("X", "be finite or missing", "a whole number above 1.8e308")


def refuse_rounded(argument: str, numbers: NDArray[Any]) -> None:
    """Refuse numbers past 64 bits, and those that are not what their float is."""
    whole = all(_is_whole(number) for number in numbers.tolist())
    for number in numbers.tolist():
        if whole and not -(2**63) <= number < 2**63:
            must, advice = "hold whole numbers of 64 bits", "Make it text where they are names."
            raise _check.invalid(argument, must, str(number), advice)
        if not _is_its_float(number):
            must = "hold numbers that floats tell apart"
            advice = "Make it text where they are names, and floats where they are amounts."
            raise _check.invalid(argument, must, str(number), advice)


def _is_its_float(number: Any) -> bool:
    """Whether the nearest float, rounded to the places of a number, is the number."""
    exact = Decimal(number)
    if not exact.is_finite():
        return True
    try:
        return round(Decimal(float(number)), max(0, -int(exact.as_tuple().exponent))) == exact
    except (OverflowError, InvalidOperation):
        return False


class Distinct:
    """The different values of a column that may round to one float, gathered in pieces."""

    def __init__(self, name: object, most: float) -> None:
        self.name, self.most = name, most
        self.known: NDArray[Any] | None = None

    def add(self, values: NDArray[Any]) -> None:
        """Take note of some more values, as long as there are not too many."""
        if len(values) and (self.known is None or len(self.known) <= self.most):
            if self.known is not None:
                # Numbers of two types are joined as objects: NumPy would round them.
                kind = values.dtype if self.known.dtype == values.dtype else object
                values = np.concatenate([self.known.astype(kind), values.astype(kind)])
            self.known = np.unique(values)

    def check(self) -> None:
        """Refuse two values that are one as float64."""
        if self.known is None or len(self.known) > self.most:
            return
        rounded = to_floats(self.known)
        same = np.flatnonzero(rounded[1:] == rounded[:-1])
        if len(same):
            one, other = self.known[same[0]], self.known[same[0] + 1]
            raise _check.invalid(
                "X",
                "hold numbers that differ as float64",
                f"{one} and {other} in column {self.name!r}",
                "Subtract what they have in common, or let the column be names.",
            )


def refuse_joined(columns: Iterable[tuple[object, NDArray[Any]]], most: float) -> None:
    """Refuse columns, by name their values in question, of which floats take two for one.

    Columns with more than ``most`` such values are let through.
    """
    for name, values in columns:
        distinct = Distinct(name, most)
        distinct.add(values)
        distinct.check()


def of_array(X: Any) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the values in question of each column of an array, rows or a sparse matrix."""
    if isinstance(X, (list, tuple)):
        X = _of_rows(X)
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind not in ("i", "u", "O") or X.ndim != 2 or 0 in X.shape:
        return
    if not isinstance(X, np.ndarray):
        stored = None if kind == "O" or not hasattr(X, "tocsc") else X.tocsc()
        if stored is not None and any_far(stored.data):
            for j in range(X.shape[1]):
                yield j, far(stored.data[stored.indptr[j] : stored.indptr[j + 1]])
    elif kind == "O" and _worth_a_look(X):
        for j in range(X.shape[1]):
            yield j, _of_objects(X[:, j])
    elif kind != "O" and any_far(X):
        for j in range(X.shape[1]):
            yield j, far(X[:, j])


def _of_rows(X: Any) -> Any:
    """Return rows as an array; NumPy rounds numbers at once where one of them is no whole one."""
    try:
        array = np.asarray(X)
        if array.dtype.kind == "f" and any_far(array):
            return np.array(X, object)
    except (ValueError, OverflowError):  # rows of several lengths, which are refused later
        return None
    return array


def _worth_a_look(X: NDArray[Any]) -> bool:
    """Whether objects may be whole numbers or decimals that round."""
    kinds = set(map(type, X.ravel().tolist()))
    return any(issubclass(kind, (Integral, Decimal)) for kind in kinds) and (
        any(issubclass(kind, (str, Decimal)) for kind in kinds) or any_far(X)
    )


def _of_objects(column: NDArray[Any]) -> NDArray[Any]:
    """Return the values in question among numbers of several kinds; none where one is a string."""
    values: list[Any] = column.tolist()
    kinds = tuple(set(map(type, values)))
    if any(issubclass(kind, str) for kind in kinds):
        return np.empty(0)
    known = tuple(kind for kind in kinds if issubclass(kind, (Integral, Decimal, float)))
    numbers: list[Any] = [v for v in values if isinstance(v, known) and v == v]
    if not any(issubclass(kind, Decimal) for kind in known):
        numbers = [v for v in numbers if not -EXACT_WHOLE < v < EXACT_WHOLE]
    out = np.empty(len(numbers), object)
    out[:] = numbers
    return out


def any_far(values: NDArray[Any]) -> bool:
    """Whether a number lies where not every whole number is a float64; rounding moves none back."""
    if values.dtype.kind == "O":
        try:
            values = values.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            return True
    if not values.size:
        return False
    if values.dtype.kind == "f":
        return bool((np.abs(values) >= EXACT_WHOLE).any())
    return bool(values.min() <= -EXACT_WHOLE or values.max() >= EXACT_WHOLE)


def far(values: NDArray[Any]) -> NDArray[Any]:
    """Return the whole numbers that may round."""
    found: NDArray[Any] = values[(values <= -EXACT_WHOLE) | (values >= EXACT_WHOLE)]
    return found
