"""Outcomes at other places of an axis: of arrays of any library, and of scipy.sparse."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from xent._array import library_of
from xent.measures.rows._protocols import Codes


def placed(values: Any, axis: int, places: Codes, fill: float) -> Any:
    """Return values with the outcomes of an axis at other places; -1 is one that they lack."""
    if type(values).__module__.startswith("scipy.sparse"):
        return _placed_sparse(values, axis, places)
    library = library_of(values)
    xp, array = library.xp, library.array(values)
    if fill and (places < 0).any():
        array = library.working(array)
    array = xp.moveaxis(array, axis, -1)
    if (places < 0).any():
        array = xp.concatenate([array, xp.full_like(array[..., :1], fill)], -1)
    return xp.moveaxis(array[..., places], -1, axis)


def places_of(symbols: Sequence[Hashable], wanted: Sequence[Hashable]) -> Codes:
    """Return where each wanted symbol is, -1 where it is not."""
    number = {symbol: i for i, symbol in enumerate(symbols)}
    return np.array([number.get(symbol, -1) for symbol in wanted], dtype=np.int64)


def _placed_sparse(values: Any, axis: int, places: Codes) -> Any:
    import scipy.sparse

    cells = scipy.sparse.coo_array(values)
    new = np.empty(values.shape[axis], dtype=np.int64)
    some = places >= 0
    new[places[some]] = np.flatnonzero(some)
    coords = list(cells.coords)
    coords[axis] = new[coords[axis]]
    shape = list(values.shape)
    shape[axis] = places.size
    moved: Any = scipy.sparse.coo_array((cells.data, tuple(coords)), shape=tuple(shape))
    return moved.tocsr() if len(shape) == 2 else moved
