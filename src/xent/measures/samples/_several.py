"""What stands where one column may: several columns, or symbols that are counted already."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from xent import _check
from xent.measures.rows._protocols import Samples
from xent.measures.rows._symbols import SymbolColumn, column, plain
from xent.measures.rows._typed_arrays import Counts

MOST = 1 << 27  # rows that counts may stand for


def columns_of(argument: str, values: Samples) -> dict[str, Samples]:
    """Return the columns under names that an error can use: ``given``, or ``given[0]`` and so on.

    Tuples are symbols, so a list of tuples is one column; lists are not, so a list of lists is
    several.
    """
    found = _listed(values)
    if found is None:
        return {argument: values}
    if not found:
        raise _check.invalid(argument, "have at least one column", "none")
    return {f"{argument}[{i}]": one for i, one in enumerate(found)}


def _listed(values: Any) -> list[Any] | None:
    if isinstance(values, Mapping):
        return list(values.values())
    if hasattr(values, "iloc") and getattr(values, "ndim", 1) == 2:  # pandas
        return [values.iloc[:, i] for i in range(values.shape[1])]
    for method in ("get_columns", "itercolumns"):  # polars, Arrow
        if hasattr(values, method):
            return list(getattr(values, method)())
    if getattr(values, "ndim", 1) == 2:
        return list(plain(values).T)
    if isinstance(values, list | tuple) and values and all(map(_is_column, values)):
        return list(values)
    return None


def _is_column(value: Any) -> bool:
    return isinstance(value, list) or getattr(value, "ndim", 0) == 1 or hasattr(value, "to_numpy")


def symbols_of(argument: str, values: Samples) -> SymbolColumn:
    """Read a column of symbols; a Counter, or Counts, stands for the rows that it counts."""
    if isinstance(values, Counter):
        symbols, numbers = tuple(values), np.array(list(values.values()))
    elif isinstance(values, Counts):
        numbers = np.asarray(values.values)
        symbols = values.symbols[0] if values.symbols else tuple(range(numbers.size))
    elif isinstance(values, Mapping):
        advice = "For symbols that are counted already pass a Counter."
        raise _check.wrong_kind(argument, "be one column", _check.a(values), advice)
    else:
        return column(argument, values)
    if numbers.ndim != 1:
        raise _check.invalid(argument, "have one axis", f"shape {numbers.shape}")
    whole = numbers.dtype.kind in "iu" and bool((numbers >= 0).all())
    if not whole or not numbers.size or numbers.sum() > MOST:
        raise _check.invalid(
            argument, f"count rows: whole numbers from 0 on, {MOST:,} at most together", numbers
        )
    return SymbolColumn(np.repeat(np.arange(numbers.size), numbers), symbols)
