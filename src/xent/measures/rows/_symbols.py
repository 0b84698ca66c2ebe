"""Columns of symbols, counted: what samples are before they are a distribution.

A column is whatever holds one hashable symbol a row: NumPy, a list, Arrow, pandas, polars. Missing
entries (None, NaN, NaT, NA) are refused unless the caller says what they mean.
"""

import math
from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from xent import _check
from xent._array import library_of, without_arrays
from xent.measures.rows._dispatch import count_kernels
from xent.measures.rows._places import placed, places_of
from xent.measures.rows._protocols import AnyArray, ArrayLike, Codes, Numbers, Samples

Axes = tuple[tuple[Hashable, ...], ...]  # the symbols of each axis of a table
MISSING = ("refuse", "drop", "symbol")
SMALL_TABLE = 1 << 16  # cells up to which four tables of pairs stay in the cache
DENSE = 1 << 22  # cells up to which a table of two columns is counted without sorting


@dataclass(frozen=True)
class SymbolColumn:
    """Symbols of one column as numbers: ``symbols[codes]``; -1 is a missing entry."""

    codes: Codes
    symbols: tuple[Hashable, ...]
    complete: bool = False


def column(argument: str, values: Samples) -> SymbolColumn:
    """Give each symbol of a column a number, in sorted order where they can be sorted."""
    return _coded(argument, _one_column(argument, values))


def _one_column(argument: str, values: Samples) -> AnyArray:
    unordered = isinstance(values, Mapping | Set) or hasattr(type(values), "columns")
    if unordered or not hasattr(values, "__iter__"):
        raise _check.wrong_kind(argument, "be one column", _check.a(values))
    array = _as_array(values)
    if array.ndim != 1:
        raise _check.invalid(argument, "be one column", f"an array of shape {array.shape}")
    return array


def _coded(argument: str, array: AnyArray) -> SymbolColumn:
    if array.dtype.kind in "iub" and array.size:
        return _whole_numbers(array)
    if array.dtype.kind == "f":
        missing = np.isnan(array)
        known = array[~missing]
        if not (np.isfinite(known).all() and np.array_equal(known, np.rint(known))):
            raise real_numbers(argument)
    elif array.dtype.kind in "mM":
        missing = np.isnat(array)
    elif array.dtype.kind in "US":
        missing = np.zeros(array.size, dtype=bool)
    else:
        return _hashed(argument, array)
    found, codes = np.unique(array[~missing], return_inverse=True)
    full = np.full(array.size, -1, dtype=np.int64)
    full[~missing] = codes
    return SymbolColumn(full, tuple(found.tolist()))


def table_of(
    named: dict[str, Samples], missing: str, weights: ArrayLike | None
) -> tuple[AnyArray, Axes]:
    """Count columns of one length into a table, one axis a column, and name its symbols."""
    _check.option("missing", missing, MISSING)
    arrays = [_one_column(name, values) for name, values in named.items()]
    columns: list[SymbolColumn] = []
    found = _pairs_at_once(*arrays) if len(arrays) == 2 and weights is None else None
    if found is None:
        columns = [_coded(name, array) for name, array in zip(named, arrays, strict=True)]
    rows = arrays[0].size
    for name, other in zip(named, arrays, strict=True):
        if other.size != rows:
            raise _check.invalid(name, f"have the {rows} rows of `x`", other.size)
    if found is not None:
        lows, table = found
        names = [range(low, low + size) for low, size in zip(lows, table.shape, strict=True)]
        return _without_unused(table, names)
    if weights is not None:
        weights = weights_of("weights", weights, rows)
        if missing == "drop":
            whole = np.logical_and.reduce([c.codes >= 0 for c in columns])
            weights = weights[whole]
    columns = without_missing("x", columns, missing)
    if not columns[0].codes.size:
        raise _check.invalid("x", "have at least one row", "none")
    sizes = [len(c.symbols) for c in columns]
    if len(sizes) == 2 and math.prod(sizes) > DENSE:
        return _sparse_table(columns, weights)
    table = dense(columns, [max(1, size) for size in sizes], weights).reshape(sizes)
    return _without_unused(table, [c.symbols for c in columns])


def _without_unused(table: AnyArray, names: Sequence[Sequence[Hashable]]) -> tuple[AnyArray, Axes]:
    """Leave out the symbols that do not occur."""
    axes = range(table.ndim)
    seen = [np.flatnonzero(table.any(tuple(a for a in axes if a != i))) for i in axes]
    if all(used.size == size for used, size in zip(seen, table.shape, strict=True)):
        return table, tuple(map(tuple, names))
    used_names = tuple(
        tuple(name[k] for k in used.tolist()) for name, used in zip(names, seen, strict=True)
    )
    return table[np.ix_(*seen)], used_names


def _pairs_at_once(x: AnyArray, y: AnyArray) -> tuple[tuple[int, int], Codes] | None:
    """Count two long columns of whole numbers in one read, if few numbers lie between."""
    whole = all(a.dtype.kind in "iub" and a.dtype != np.uint64 for a in (x, y))
    if not (whole and SMALL_TABLE <= x.size == y.size < 2**32):
        return None
    low_x, low_y, table = _counted(x, y)
    return ((int(low_x), int(low_y)), table) if table.size else None


def _counted(x: AnyArray, y: AnyArray) -> tuple[int, int, Codes]:
    plain = [np.ascontiguousarray(a, np.int64) for a in (x, y)]
    return count_kernels().count_pairs(*plain, SMALL_TABLE)


def weights_of(argument: str, weights: object, rows: int) -> Numbers:
    """Return one weight for each row, their sum above 0 and one that a float holds."""
    found = numbers_of_rows(argument, weights, rows)
    with np.errstate(over="ignore"):
        total = float(found.sum())
    if total == 0:
        raise _check.invalid(argument, "have one above 0", "none")
    if total == math.inf:
        raise _check.invalid(argument, "have a sum that a float holds", "a larger one")
    return found


def numbers_of_rows(argument: str, weights: object, rows: int) -> Numbers:
    """Return how many rows each row stands for: one finite number each, none below 0."""
    must = f"be one number for each of the {rows} rows"
    try:
        found = np.asarray(plain(weights), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _check.wrong_kind(argument, must, _check.a(weights)) from None
    if found.shape != (rows,):
        raise _check.invalid(argument, must, f"shape {found.shape}")
    bad = ~(np.isfinite(found) & (found >= 0))
    if bad.any():
        place = int(np.argmax(bad))
        got = f"{found[place]:.6g} at [{place}]"
        raise _check.invalid(argument, "be finite and non-negative", got)
    return found


def plain(values: object) -> Any:
    """Return tensors and masked arrays as NumPy's, with None for what is masked."""
    if isinstance(values, np.ma.MaskedArray):
        if not np.ma.is_masked(values):
            return values.data
        found = values.data.astype(object)
        found[np.ma.getmaskarray(values)] = None
        return found
    library = library_of(values)
    return values if library.name == "numpy" else library.seen(values)


def merged(
    one: AnyArray,
    names: Axes,
    other: AnyArray,
    others: Axes,
) -> tuple[AnyArray, Axes]:
    """Add two tables symbol by symbol; an axis has those of both, sorted where they can be.

    A table of more than `DENSE` cells, or one that was sparse, is sparse.
    """
    union = tuple(_sorted(dict.fromkeys((*a, *b))) for a, b in zip(names, others, strict=True))
    tables: list[Any] = [one, other]
    sparse = not all(isinstance(table, np.ndarray) for table in tables)
    if len(union) == 2 and (sparse or math.prod(map(len, union)) > DENSE):
        import scipy.sparse

        tables = [scipy.sparse.coo_array(table) for table in tables]
    for i, axes in enumerate((names, others)):
        for a, (own, wanted) in enumerate(zip(axes, union, strict=True)):
            tables[i] = placed(tables[i], a, places_of(own, wanted), 0.0)
    return tables[0] + tables[1], union


def _sparse_table(columns: list[SymbolColumn], weights: AnyArray | None) -> tuple[Any, Axes]:
    """Count the pairs that occur into a scipy.sparse array, and name the symbols that do."""
    import scipy.sparse

    seen = [np.unique(c.codes, return_inverse=True) for c in columns]
    width = seen[1][0].size
    keys, place = np.unique(seen[0][1] * width + seen[1][1], return_inverse=True)
    counts = np.bincount(place, weights)
    shape = (seen[0][0].size, width)
    table = scipy.sparse.coo_array((counts, np.divmod(keys, width)), shape=shape).tocsr()
    names = tuple(
        tuple(c.symbols[k] for k in used) for c, (used, _) in zip(columns, seen, strict=True)
    )
    return table, names


def _sorted(symbols: dict[Any, None]) -> tuple[Hashable, ...]:
    try:
        return tuple(sorted(symbols))
    except TypeError:
        return tuple(symbols)


def without_missing(argument: str, columns: list[SymbolColumn], missing: str) -> list[SymbolColumn]:
    """Apply the choice about missing entries to the rows of several columns."""
    _check.option("missing", missing, MISSING)
    if all(c.complete for c in columns):
        return columns
    absent = [c.codes < 0 for c in columns]
    bad = np.logical_or.reduce(absent)
    if missing == "refuse" and bad.any():
        advice = (
            "Pass "
            + _check.setting("missing", "drop")
            + " or "
            + _check.setting("missing", "symbol")
            + "."
        )
        got = f"a missing one at [{int(np.argmax(bad))}]"
        raise _check.invalid(argument, "have a symbol in every row", got, advice)
    if missing == "drop":
        return [SymbolColumn(c.codes[~bad], c.symbols) for c in columns]
    return [
        SymbolColumn(np.where(a, len(c.symbols), c.codes), (*c.symbols, None)) if a.any() else c
        for c, a in zip(columns, absent, strict=True)
    ]


@dataclass(frozen=True)
class Cells:
    """Combinations of symbols that occur: how often, and the code of each column in each."""

    counts: Numbers
    codes: tuple[Codes, ...]

    def of(self, *places: int) -> Numbers:
        """Count the combinations of some of the columns, in their cells: one number a cell."""
        found, group = self._grouped(places)
        return found[group]

    def marginal(self, *places: int) -> Numbers:
        """Count the combinations of some of the columns, each once."""
        found, _ = self._grouped(places)
        return found[found > 0]

    def _grouped(self, places: tuple[int, ...]) -> tuple[Numbers, Codes]:
        if not places:
            return np.array([self.counts.sum()]), np.zeros(self.counts.size, dtype=np.int64)
        group = self.codes[places[0]]
        for place in places[1:]:
            width = int(self.codes[place].max()) + 1
            # Numbered anew, so that the product of many columns cannot overflow.
            group = np.unique(group * width + self.codes[place], return_inverse=True)[1]
        return np.bincount(group, self.counts).astype(np.float64), group


def cells(*columns: SymbolColumn) -> Cells:
    """Count the combinations of the columns' symbols in one pass, dense where they are few."""
    sizes = [max(1, len(c.symbols)) for c in columns]
    size = math.prod(sizes)
    if size <= DENSE:
        counts = dense(columns, sizes, None)
        found = np.flatnonzero(counts)
        return Cells(counts[found].astype(np.float64), np.unravel_index(found, sizes))
    joint = columns[0].codes
    for other, width in zip(columns[1:], sizes[1:], strict=True):
        joint = np.unique(joint * width + other.codes, return_inverse=True)[1]
    _, first, count = np.unique(joint, return_index=True, return_counts=True)
    return Cells(count.astype(np.float64), tuple(c.codes[first] for c in columns))


def dense(
    columns: Sequence[SymbolColumn], sizes: Sequence[int], weights: AnyArray | None
) -> AnyArray:
    """Count every combination of the columns' symbols, also those that do not occur."""
    rows = columns[0].codes.size
    few = len(columns) == 2 and weights is None and math.prod(sizes) <= SMALL_TABLE
    if few and 0 < rows < 2**32:
        low_x, low_y, table = _counted(columns[0].codes, columns[1].codes)
        whole = np.zeros(sizes, dtype=np.int64)
        height, width = table.shape
        whole[low_x : low_x + height, low_y : low_y + width] = table
        return whole.ravel()
    joint = columns[0].codes
    for other, width in zip(columns[1:], sizes[1:], strict=True):
        joint = joint * width + other.codes
    return np.bincount(joint, weights, minlength=math.prod(sizes))


def _as_array(values: Any) -> AnyArray:
    values = plain(values)
    if isinstance(values, np.ndarray):
        return values
    if hasattr(values, "tocoo"):
        return np.empty(values.shape)  # a matrix, which is refused
    if hasattr(values, "to_numpy"):
        absent = getattr(values, "null_count", None)
        if absent is None and hasattr(values, "isna") and getattr(values, "nlevels", 1) == 1:
            absent = int(values.isna().sum())
        if callable(absent):
            absent = absent()
        if not absent:
            complete: AnyArray = np.asarray(
                values.to_numpy(zero_copy_only=False)
                if type(values).__module__.startswith("pyarrow")
                else values.to_numpy()
            )
            return complete
        listed = ("to_pylist", "to_list", "tolist")  # as plain numbers: Arrow, polars, pandas
        values = next(getattr(values, n) for n in listed if hasattr(values, n))()
    entries = list(values)
    # Numbers of other libraries: a tensor is equal to no other, and would be a symbol of its own.
    entries = without_arrays(entries)
    if entries and all(type(v) in (int, bool) for v in entries):
        whole = np.asarray(entries)
        if whole.dtype.kind in "iub":  # numbers of 64 bits with and without sign become floats
            return whole
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    return array


def _whole_numbers(array: AnyArray) -> SymbolColumn:
    low, high = _extent(array)
    if high - low < max(1024, 4 * array.size):
        wide = array if array.dtype == np.uint64 else array.astype(np.int64, copy=False)
        codes = (wide - wide.dtype.type(low) if low else wide).astype(np.int64, copy=False)
        return SymbolColumn(codes, tuple(range(low, high + 1)), complete=True)
    found, codes = np.unique(array, return_inverse=True)
    return SymbolColumn(codes.astype(np.int64), tuple(found.tolist()))


def _extent(array: AnyArray) -> tuple[int, int]:
    if array.dtype != np.int64 or array.size < SMALL_TABLE:
        return int(array.min()), int(array.max())
    return count_kernels().extent(array)


def real_numbers(argument: str) -> ValueError:
    """Make the error for a column of real numbers where symbols are meant."""
    advice = "Bin it first; the plug-in entropy of real numbers is the log of their count."
    return _check.invalid(argument, "be symbols", "real numbers", advice)


def is_missing(symbol: object) -> bool:
    """Tell None, NaN, NaT and NA from symbols."""
    try:
        return symbol is None or bool(symbol != symbol)
    except TypeError:  # pandas.NA is neither equal nor unequal to itself
        return True
    except (ValueError, ArithmeticError):  # an array, which no dictionary takes
        return False


def _hashed(argument: str, array: AnyArray) -> SymbolColumn:
    numbers: dict[Hashable, int] = {}
    codes = np.empty(array.size, dtype=np.int64)
    for i, symbol in enumerate(array.tolist()):
        if is_missing(symbol):
            codes[i] = -1
            continue
        if isinstance(symbol, float | np.floating) and symbol % 1:
            raise real_numbers(argument)
        try:
            codes[i] = numbers.setdefault(symbol, len(numbers))
        except TypeError:
            got = f"{_check.a(symbol)} at [{i}]"
            raise _check.wrong_kind(argument, "hold hashable symbols", got) from None
    return SymbolColumn(codes, tuple(numbers))
