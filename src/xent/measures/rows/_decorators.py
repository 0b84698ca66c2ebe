"""What lets a measure take more than plain arrays: sparse matrices, and what knows its symbols."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from xent import _check
from xent.measures.rows._protocols import Axis
from xent.measures.rows._sparse import by_blocks, is_sparse
from xent.measures.rows._typed_arrays import UNNAMED, is_distribution

P = ParamSpec("P")
R = TypeVar("R")


def takes_tables(function: Callable[P, R]) -> Callable[P, R]:
    """Let a measure of distributions take sparse matrices, and symbols, wherever it takes arrays.

    Distributions that know their symbols are brought to one order of them.
    """

    @wraps(function)
    def measure(*args: P.args, **options: P.kwargs) -> R:
        others = [v for v in (*args, *options.values()) if type(v) not in UNNAMED]
        if not others:
            return function(*args, **options)
        named = with_symbols(*others)
        sparse = "scipy.sparse" in sys.modules and any([is_sparse(v) for v in others])
        if not (named or sparse):
            return function(*args, **options)
        bound = inspect.signature(function).bind(*args, **options)
        if named:
            _align(bound.arguments)
        return by_blocks(function, bound) if sparse else function(*bound.args, **bound.kwargs)

    return measure


def takes_joint(function: Callable[P, R]) -> Callable[P, R]:
    """Let a measure of a joint distribution say what to do with two columns of samples."""

    @wraps(function)
    def measure(*args: P.args, **options: P.kwargs) -> R:
        if len(args) > 1:
            must = "be one joint distribution"
            advice = (
                "For columns of samples use estimate_mutual_information(x, y), or pass "
                "Counts.from_samples(x, given=y)."
            )
            raise _check.wrong_kind("joint", must, f"{len(args)} arguments", advice)
        return function(*args, **options)

    return measure


def with_symbols(*values: object) -> bool:
    """Tell whether any of them may know its symbols."""
    from xent.measures.rows._labels import has_labels

    return any([has_labels(value) for value in values])


def names_outcomes(value: Any) -> bool:
    """Tell whether something knows the symbols of its numbers."""
    if not with_symbols(value):
        return False
    from xent.measures.rows._labels import read_labels

    return any(symbols is not None for symbols in read_labels("value", value).symbols)


def in_order(
    argument: str, value: Any, axis: Axis, where: Any, pairs: bool = False
) -> tuple[Any, Any]:
    """Read one distribution, and `where`, that may know their symbols.

    With ``pairs``, numbers of pairs of symbols become a table.
    """
    if (type(value) in UNNAMED and type(where) in UNNAMED) or not with_symbols(value, where):
        return value, where
    from xent.measures.rows._alignment import align
    from xent.measures.rows._labels import table_of_pairs

    if pairs and isinstance(axis, tuple):
        value = table_of_pairs(argument, value, len(axis))
    (found,), where = align([(argument, value)], axis, where)
    return found, where


def _align(given: dict[str, Any]) -> None:
    """Replace the distributions, and `where`, by arrays over the same outcomes in one order."""
    from xent.measures.rows._alignment import align

    more = tuple(given.get("more", ()))
    named = [(name, given[name]) for name in ("p", "q") if given.get(name) is not None]
    named += [(f"#{i + 3}", value) for i, value in enumerate(more)]
    if any(is_distribution(value) for _, value in named):
        return
    found, where = align(named, given.get("axis", -1), given.get("where"))
    for (name, _), value in zip(named, found, strict=True):
        if name in given:
            given[name] = value
    if more:
        given["more"] = tuple(found[-len(more) :])
    if "where" in given:
        given["where"] = where
