"""Refuses different numbers that would become one as float64: ids past 2**53, long decimals.

A tree asks only for the order of numbers, so rounding alone changes nothing; two values that round
to the same number, though, no test could tell apart. Numbers of at most 53 bits have no such pair
and cost a look at the least and the greatest. A histogram that joins neighbours anyway, as it does
with more than 256 of them, may join these.
"""

from collections.abc import Iterator
from decimal import Decimal
from numbers import Integral
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from xent import _check
from xent.trees import _columns

EXACT = 2**53  # up to here every whole number is a float64


class Apart:
    """The different values of a column that may round to the same number, gathered in pieces."""

    def __init__(self, name: object, most: float) -> None:
        self.name, self.most = name, most
        self.known: NDArray[Any] | None = None

    def add(self, values: NDArray[Any]) -> None:
        """Take note of some more values, as long as there are not too many."""
        if len(values) and (self.known is None or len(self.known) <= self.most):
            more = [values] if self.known is None else [self.known, values]
            self.known = np.unique(np.concatenate(more))

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


def check(X: Any, most: float) -> None:
    """Check a table; columns with more than ``most`` values in question are let through."""
    for name, values in _of_frame(X) if _columns.is_frame(X) else _of_array(X):
        column = Apart(name, most)
        column.add(values)
        column.check()


def in_question(series: Any) -> NDArray[Any]:
    """Return the values of a column of a data frame that may round to the same number."""
    if isinstance(series.dtype, nw.Decimal):
        return np.array(series.drop_nulls().to_list(), object)
    if not series.dtype.is_integer() or series.null_count() == len(series):
        return np.empty(0)
    if _near(series.min(), series.max()):
        return np.empty(0)
    kind = {nw.Int64: np.int64, nw.UInt64: np.uint64}.get(type(series.dtype), object)
    return _far(np.array(series.drop_nulls().to_list(), kind))


def _of_frame(X: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, series in _columns.series_of(X).items():
        yield name, in_question(series)


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
        if stored.nnz and not _near(stored.data.min(), stored.data.max()):
            for j in range(X.shape[1]):
                yield j, _far(stored.data[stored.indptr[j] : stored.indptr[j + 1]])
    elif kind == "O":
        for j in range(X.shape[1]):
            yield j, _of_objects(X[:, j].tolist())
    elif not _near(X.min(), X.max()):
        for j in range(X.shape[1]):
            yield j, _far(X[:, j])


def _of_lists(X: Any) -> Any:
    """Return rows as an array; NumPy rounds numbers at once where one of them is no whole one."""
    try:
        array = np.asarray(X)
        if array.dtype.kind == "f" and (np.abs(array) >= EXACT).any():
            return np.array(X, object)
    except (ValueError, OverflowError):  # rows of several lengths, which are refused later
        return None
    return array


def _of_objects(values: list[Any]) -> NDArray[Any]:
    """Return the values in question among numbers of several kinds; none where one is a string."""
    kinds = set(map(type, values))
    exact = [kind for kind in kinds if issubclass(kind, (Integral, Decimal))]
    if not exact or any(issubclass(kind, str) for kind in kinds):
        return np.empty(0)
    known = (*exact, float)
    plain = [v for v in values if isinstance(v, known) and v == v]
    if not any(issubclass(kind, Decimal) for kind in exact):
        plain = [v for v in plain if not _near(v, v)]
    out = np.empty(len(plain), object)
    out[:] = plain
    return out


def _near(least: Any, most: Any) -> bool:
    """Whether all whole numbers between these are float64."""
    return bool(least > -EXACT) and bool(most < EXACT)


def _far(values: NDArray[Any]) -> NDArray[Any]:
    far: NDArray[Any] = values[(values <= -EXACT) | (values >= EXACT)]
    return far
