"""One column of a table, and what it tells about the target: from rows, or from counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xent import _check
from xent.measures.samples._result import against_chance
from xent.measures.tables._bins import Numbers
from xent.measures.tables._by_neighbors import information_by_neighbors
from xent.measures.tables._columns import (
    Field,
    doubt_text,
)
from xent.measures.tables._scores import ColumnRows, chance_scores, levels_of, score_of

SCORES = ("information_gain", "gain_ratio", "symmetric_uncertainty", "gini")
NUMERIC = ("mdl", "ksg")


@dataclass(frozen=True)
class FeatureRank:
    """What one column tells about the target.

    Parameters
    ----------
    name : str
        The column.
    score : float
        The score asked for; never negative.
    kind : str
        "symbols"; or "numbers", "dates", "times" or "durations", which are cut into bins.
    levels : int
        Bins or symbols in the rows that were used, one of them for missing values if there are; 0
        where numbers were told by their neighbours.
    rows : int
        Rows that were used: of weight above 0, without missing values where these are dropped.
    missing : int
        Rows of weight above 0 where the column has no value.
    cuts : tuple of float
        Where a column of numbers was cut; a value equal to a cut is left of it. Dates are
        microseconds since 1970, times since midnight. Whole past 2^53, where floats have gaps.
    p_value : float or None
        Share of shuffled columns that score at least as much; on request.
    adjusted : float or None
        The score less the mean score of shuffled columns; on request.
    noise : bool
        Whether numbers that repeat were moved apart by noise, for their neighbours.

    Examples
    --------
    >>> FeatureRank("wind", 0.048, "symbols", 2, 14, 0).name
    'wind'
    """

    name: str
    score: float
    kind: str
    levels: int
    rows: int
    missing: int
    cuts: tuple[float, ...] = ()
    p_value: float | None = None
    adjusted: float | None = None
    noise: bool = False


@dataclass(frozen=True)
class RankOptions:
    """What was asked for, checked."""

    score: str
    numeric: str
    missing: str
    scale: float
    times: int
    draw: np.random.Generator | None
    noise: np.random.Generator | None


def rank_column(
    name: str,
    field: Field,
    label: Field,
    weight: Numbers,
    options: RankOptions,
    copies: Numbers | None = None,
    *,
    counted: bool = False,
) -> FeatureRank:
    """Rank a column from rows, or from counts: a row for each value and class with its copies."""
    absent = int(field.missing.sum())
    if absent and options.missing == "refuse":
        raise refused(name, absent)
    if options.missing == "drop":
        whole = ~(field.missing | label.missing)
        field, label, weight = field.take(whole), label.take(whole), weight[whole]
        if weight.size == 0:
            raise nothing_left(name)
    if not field.numeric:
        codes = np.maximum(field.values, 0)
        rows_of = np.bincount(codes, weight * ~field.missing, len(field.symbols))
        doubt_text("table", name, field.symbols, rows_of)
    target = np.unique(label.values, return_inverse=True)[1]
    near = field.numeric and options.numeric == "ksg"
    if near and np.isinf(field.values).any():
        because = f"column {name!r} holds an infinite number"
        raise _check.cannot("Neighbours", because, "Pass " + _check.setting("numeric", "mdl") + ".")

    rows = ColumnRows(field, target, weight, copies)
    codes, cuts, noise = np.empty(0, dtype=np.int64), list[float](), False
    if near:
        estimate = information_by_neighbors(rows, options.noise)
        estimate.doubt(name, options.scale)
        value, noise = estimate.value, estimate.noise
    else:
        codes, cuts = levels_of(rows)
        value = score_of(codes, target, weight, options.score, copies)
    p_value = adjusted = None
    if options.draw is not None:
        if near:
            shuffles = (rows.shuffled(options.draw) for _ in range(options.times))
            null = np.array(
                [information_by_neighbors(one, options.noise).value for one in shuffles]
            )
        else:
            null = chance_scores(rows, options.score, options.times, options.draw, counted=counted)
        p_value, adjusted = against_chance(value, null, options.scale)
    first = np.unique(codes, return_index=True)[1]
    levels = first.size if copies is None else int(copies[first].sum())
    value = value / options.scale + 0.0
    return FeatureRank(
        name, value, field.kind, levels, weight.size, absent, tuple(cuts), p_value, adjusted, noise
    )


def no_class(row: int) -> ValueError:
    got = f"a missing one in row {row}"
    return _check.invalid(
        "target",
        "have a class in every row",
        got,
        "Pass " + _check.setting("missing", "drop") + ".",
    )


def refused(name: str, absent: int) -> ValueError:
    got = f"a missing one in {_check.count(absent, 'row')}"
    advice = (
        "Pass "
        + _check.setting("missing", "drop")
        + " or "
        + _check.setting("missing", "symbol")
        + "."
    )
    return _check.invalid(f"table[{name!r}]", "have a value in every row", got, advice)


def nothing_left(name: str) -> ValueError:
    because = "no row has both it and the target"
    return _check.cannot(
        f"`{name}` cannot be ranked", because, "Pass " + _check.setting("missing", "symbol") + "."
    )
