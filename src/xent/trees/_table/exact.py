"""Refuses different numbers that would become one as float64: ids past 2**53, long decimals.

A tree asks only for the order of numbers, so rounding alone changes nothing; two values that round
to the same number, though, no test could tell apart. Numbers of at most 53 bits have no such pair
and cost a look at the least and the greatest. A histogram that joins neighbours anyway, as it does
with more than 256 of them, may join these.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from numbers import Integral
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from xent import _check
from xent.trees._table import columns as _columns

EXACT = 2**53  # up to here every whole number is a float64
WIDE = (nw.Int64, nw.UInt64, nw.Int128, nw.UInt128)


class Apart:
    """The different values of a column that may round to the same number, gathered in pieces."""

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
        try:
            rounded = self.known.astype(np.float64)
        except OverflowError:
            raise _columns.too_large() from None
        same = np.flatnonzero(rounded[1:] == rounded[:-1])
        if len(same):
            one, other = self.known[same[0]], self.known[same[0] + 1]
            raise _check.invalid(
                "X",
                "hold numbers that differ as float64",
                f"{one} and {other} in column {self.name!r}",
                "Subtract what they have in common, or let the column be names.",
            )


def check_frame(X: Any, most: float) -> None:
    """Check a data frame; columns with more than ``most`` values in question are let through."""
    _check_all(((name, in_question(s)) for name, s in _columns.series_of(X).items()), most)


def check_array(X: Any, most: float) -> None:
    """Check an array, a list of rows or a sparse matrix, as `check_frame`."""
    _check_all(_of_array(X), most)


def _check_all(columns: Iterable[tuple[object, NDArray[Any]]], most: float) -> None:
    for name, values in columns:
        column = Apart(name, most)
        column.add(values)
        column.check()


def in_question(series: Any) -> NDArray[Any]:
    """Return the values of a column of a data frame that may round to the same number."""
    if isinstance(series.dtype, nw.Decimal):
        return np.array(series.drop_nulls().to_list(), object)
    if series.dtype not in WIDE or not _any_far(series.to_numpy()):
        return np.empty(0)
    kind = {nw.Int64: np.int64, nw.UInt64: np.uint64}.get(type(series.dtype), object)
    return _far(np.array(series.drop_nulls().to_list(), kind))


def _of_array(X: Any) -> Iterator[tuple[int, NDArray[Any]]]:
    if isinstance(X, (list, tuple)):
        X = _of_lists(X)
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind not in ("i", "u", "O") or X.ndim != 2 or 0 in X.shape:
        return
    if sparse.issparse(X):
        if kind == "O":
            return
        stored = X.tocsc()
        if _any_far(stored.data):
            for j in range(X.shape[1]):
                yield j, _far(stored.data[stored.indptr[j] : stored.indptr[j + 1]])
    elif kind == "O" and _worth_a_look(X):
        for j in range(X.shape[1]):
            yield j, _of_objects(X[:, j])
    elif kind != "O" and _any_far(X):
        for j in range(X.shape[1]):
            yield j, _far(X[:, j])


def _of_lists(X: Any) -> Any:
    """Return rows as an array; NumPy rounds numbers at once where one of them is no whole one."""
    try:
        array = np.asarray(X)
        if array.dtype.kind == "f" and _any_far(array):
            return np.array(X, object)
    except (ValueError, OverflowError):  # rows of several lengths, which are refused later
        return None
    return array


def _worth_a_look(X: NDArray[Any]) -> bool:
    """Whether objects may be whole numbers or decimals that round."""
    kinds = set(map(type, X.ravel().tolist()))
    return any(issubclass(kind, (Integral, Decimal)) for kind in kinds) and (
        any(issubclass(kind, (str, Decimal)) for kind in kinds) or _any_far(X)
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
        numbers = [v for v in numbers if not -EXACT < v < EXACT]
    out = np.empty(len(numbers), object)
    out[:] = numbers
    return out


def _any_far(values: NDArray[Any]) -> bool:
    """Whether a number lies where not every whole number is a float64; rounding moves none back."""
    if values.dtype.kind == "O":
        try:
            values = values.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            return True
    if not values.size:
        return False
    if values.dtype.kind == "f":
        return bool((np.abs(values) >= EXACT).any())
    return bool(values.min() <= -EXACT or values.max() >= EXACT)


def _far(values: NDArray[Any]) -> NDArray[Any]:
    far: NDArray[Any] = values[(values <= -EXACT) | (values >= EXACT)]
    return far
