"""Columns of a table, ranked by what they tell about one of them. Quinlan (1986) for the gain.

A data frame in memory is ranked from its rows; a file is counted batch by batch and ranked from its
counts, by the same functions: distinct values and their weights are rows, too.
"""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.measures.rows._symbols import MISSING, column
from xent.measures.samples._result import against_chance, randomness
from xent.measures.tables._bins import Codes, Numbers, between, bin_of, mdl_cuts
from xent.measures.tables._columns import (
    Field,
    check_total,
    field_of,
    frame_of,
    refuse_real,
    total_of,
    weights_of,
)
from xent.measures.tables._scores import SCORES, score_of, told_by_neighbours
from xent.measures.tables._streaming import Symbols, Table, Tally

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
        Whether numbers that repeat were parted by noise, for their neighbours.

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


def rank_features(
    table: Any,
    target: str,
    *,
    columns: list[str] | None = None,
    score: str = "information_gain",
    numeric: str = "mdl",
    weights: Any = None,
    missing: str = "symbol",
    permutations: int = 0,
    rng: np.random.Generator | int | None = None,
    base: float = math.e,
) -> list[FeatureRank]:
    """Rank the columns of a table by what they tell about one of them, the best first.

    gain = H(target) - H(target|column)

    Parameters
    ----------
    table : data frame or path
        Any frame that narwhals reads (pandas, polars, Arrow, ...), or a Parquet, CSV or JSON-lines
        file of any size, which is read in batches.
    target : str
        The column of classes: symbols, or whole numbers.
    columns : list of str, optional
        The columns to rank; all but the target where not given.
    score : str
        "information_gain"; "gain_ratio" and "symmetric_uncertainty" as the functions of these
        names; "gini", the fall of the Gini impurity. All but the first have no unit.
    numeric : str
        Numbers and dates: "mdl" cuts them where Fayyad and Irani's description length says so;
        "ksg" takes the nearest neighbours (Ross 2014), for the information gain alone.
    weights : array_like or str, optional
        How many rows each row stands for, or the column that says so; 0 is as if not there.
    missing : str
        None and NaN in a column: a "symbol" of their own, "drop" the rows for this column, or
        "refuse" them. A missing target is refused, or dropped with "drop".
    permutations : int
        How often each column is shuffled, and cut anew, for its p-value and adjusted score.
    rng : Generator or int, optional
        Where permutations come from, which need it; and, for "ksg", the noise that parts equal
        numbers, which has a fixed seed without.
    base : float
        Base of the logarithm of the information gain: e gives nats, 2 bits, 10 bans.

    Returns
    -------
    list of FeatureRank
        By ``adjusted`` with permutations, else by ``score``; equals in the order of the table.

    Raises
    ------
    ValueError, TypeError
        If the table has no such target, no other column or no row, or a choice is not one.

    Examples
    --------
    >>> import pandas as pd
    >>> weather = pd.DataFrame({"wind": ["no", "yes", "no"], "play": [1, 0, 1]})
    >>> [(f.name, round(f.score, 3)) for f in rank_features(weather, "play", base=2)]
    [('wind', 0.918)]

    References
    ----------
    Fayyad, U. and Irani, K. (1993). Multi-interval discretization of continuous-valued attributes
    for classification learning. IJCAI 13.
    """
    scale = _check.log_of_base(base)
    noise, draw, times = randomness(rng, permutations, numeric == "ksg")
    ask = Ask(
        _check.option("score", score, SCORES),
        _check.option("numeric", numeric, NUMERIC),
        _check.option("missing", missing, MISSING),
        scale,
        times,
        draw,
        noise,
    )
    if scale != 1.0 and score != "information_gain":
        raise _check.invalid("base", f"be left out for {score!r}, which has no unit", repr(base))
    if numeric == "ksg" and score != "information_gain":
        raise _check.invalid(
            "score", "be 'information_gain' for " + _check.setting("numeric", "ksg"), repr(score)
        )
    if numeric == "ksg" and weights is not None:
        raise _check.cannot(
            "Neighbours", "they have no weights", "Pass " + _check.setting("numeric", "mdl") + "."
        )
    if isinstance(table, str | os.PathLike):
        if numeric == "mdl" and (weights is None or not times):
            return _in_order(_of_file(table, target, columns, weights, ask), ask)
        # Neighbours, and shuffles of rows of unequal weight, need the rows themselves.
        import pyarrow as pa

        source = Table("table", table, [target])
        batches = [frame.native for frame in source.batches("reading")]
        table = pa.concat_tables(batches, promote_options="permissive")
    frame = frame_of("table", table)
    ranked = _ranked_names(frame.names, target, weights, columns)
    weight = weights_of("weights", weights, frame)
    check_total(total_of(weight))
    present = weight > 0
    label = field_of(frame, target, "target", symbols=True).take(present)
    weight = weight[present]
    refuse_real("target", label.symbols)
    if label.missing.any() and missing != "drop":
        raise _no_class(int(np.flatnonzero(present)[np.argmax(label.missing)]))
    return _in_order(
        [
            _ranked(
                name,
                field_of(frame, name, f"table[{name!r}]").take(present),
                label,
                weight,
                ask,
            )
            for name in ranked
        ],
        ask,
    )


@dataclass(frozen=True)
class Ask:
    """What was asked for, checked."""

    score: str
    numeric: str
    missing: str
    scale: float
    times: int
    draw: np.random.Generator | None
    noise: np.random.Generator | None


def _in_order(found: list[FeatureRank], ask: Ask) -> list[FeatureRank]:
    sign = math.copysign(1, ask.scale)  # a base below 1 turns the order round
    return sorted(found, key=lambda f: -sign * (f.score if f.adjusted is None else f.adjusted))


def _ranked_names(
    names: list[str], target: str, weights: Any, columns: list[str] | None
) -> list[str]:
    """Return the columns to rank: neither the target nor the weights."""
    if hasattr(target, "__len__") and not isinstance(target, str | tuple):
        advice = "Make the classes a column of the table first."
        raise _check.wrong_kind("target", "be the name of a column", _check.a(target), advice)
    if target not in names:
        advice = f"It has {_check.join_names(names, last='and')}."
        raise _check.invalid("target", "name a column of the table", repr(target), advice)
    others = [name for name in names if name != target]
    if isinstance(weights, str):
        if weights == target:
            raise _check.invalid("weights", "name a column other than the target", repr(weights))
        others = [name for name in others if name != weights]
    if not others:
        raise _check.invalid("table", "have a column beside the target", "none")
    if columns is None:
        return others
    if isinstance(columns, str):
        raise _check.wrong_kind("columns", "be a list of names", repr(columns))
    lost = [name for name in columns if name not in others]
    if lost or not columns:
        has = f"There is {_check.join_names(others, last='and')}."
        got = _check.join_names(lost) or "none"
        raise _check.invalid("columns", "name columns beside the target", got, has)
    return [name for name in others if name in columns]


def _no_class(row: int) -> ValueError:
    got = f"a missing one in row {row}"
    return _check.invalid(
        "target",
        "have a class in every row",
        got,
        "Pass " + _check.setting("missing", "drop") + ".",
    )


def _refused(name: str, absent: int) -> ValueError:
    got = f"a missing one in {_check.count(absent, 'row')}"
    advice = (
        "Pass "
        + _check.setting("missing", "drop")
        + " or "
        + _check.setting("missing", "symbol")
        + "."
    )
    return _check.invalid(f"table[{name!r}]", "have a value in every row", got, advice)


def _of_file(
    path: Any, target: str, columns: list[str] | None, weights: Any, ask: Ask
) -> list[FeatureRank]:
    """Count each column by class, batch by batch, and rank the counts."""
    table = Table("table", path, [target])
    names = _ranked_names(table.names, target, weights, columns)
    if not (weights is None or isinstance(weights, str)):
        raise _check.wrong_kind("weights", "be the name of a column of the file", repr(weights))
    tallies = {name: Tally(f"table[{name!r}]", table.most) for name in names}
    classes: dict[Any, int] = {}
    total, start = 0.0, 0
    wanted = [*names, target, *([weights] if isinstance(weights, str) else [])]
    for frame in table.batches("ranking", wanted):
        weight = weights_of("weights", weights, frame)
        total += total_of(weight)
        present = weight > 0
        label = field_of(frame, target, "target", symbols=True).take(present)
        if label.missing.any() and ask.missing != "drop":
            raise _no_class(start + int(np.flatnonzero(present)[np.argmax(label.missing)]))
        places = np.full(len(label.symbols) + 1, -1, dtype=np.int64)
        if not start:
            refuse_real("target", label.symbols)  # a CSV's are read as text, for names like 01
        for code in np.unique(label.values[~label.missing]).tolist():
            places[code] = classes.setdefault(label.symbols[code], len(classes))
        codes = places[label.values]
        every = bool(present.all())
        weight = weight if every else weight[present]
        for name, tally in tallies.items():
            field = field_of(frame, name, tally.argument)
            tally.add(field if every else field.take(present), codes, weight)
        start += len(frame)
    check_total(total)
    order = column("target", list(classes)).codes  # numbered as the whole column would be
    return [_of_tally(name, tally, order, ask) for name, tally in tallies.items()]


def _of_tally(name: str, tally: Tally, order: Codes, ask: Ask) -> FeatureRank:
    """Rank a column from its counts: each value and class that occur together are a row."""
    if tally.missing and ask.missing == "refuse":
        raise _refused(name, tally.missing)
    if ask.missing == "drop" and tally.used == 0:
        raise _nothing_left(name)
    gaps = np.flatnonzero(tally.gaps) if ask.missing == "symbol" else np.empty(0, dtype=np.int64)
    known, copies = tally.known, None
    values: NDArray[Any] = np.empty(0)
    classes, weight = np.empty(0, dtype=np.int64), np.empty(0)
    symbols: tuple[Any, ...] = ()
    if isinstance(known, Symbols):
        found = column(tally.argument, [*known.number, *([None] if tally.missing else [])])
        symbols = found.symbols
        values, classes, weight = known.pairs.left, known.pairs.right, known.pairs.weights
        if known.level:
            copies = np.append(known.copies_of(known.number)[values], np.ones(gaps.size))
        values = found.codes[values]
    elif known is not None:
        known.settle()
        values, classes, weight = known.place, known.classes, known.weights
    nothing = -1 if tally.kind == "symbols" else math.nan
    values = np.append(values, np.full(gaps.size, nothing))
    if tally.kind == "symbols":
        values = values.astype(np.int64)
    absent = np.arange(values.size) >= values.size - gaps.size
    classes = order[np.append(classes, gaps)]
    field = Field(values, absent, symbols, tally.kind)
    label = Field(classes, classes < 0)
    weight = np.append(weight, tally.gaps[gaps])
    rank = _ranked(name, field, label, weight, ask, copies, counted=True)
    cuts = tuple(between(known.high[int(c)], known.low[int(c) + 1]) for c in rank.cuts)
    rows = tally.used + (tally.missing if ask.missing == "symbol" else 0)
    return replace(rank, cuts=cuts, rows=rows, missing=tally.missing)


def _nothing_left(name: str) -> ValueError:
    because = "no row has both it and the target"
    return _check.cannot(
        f"`{name}` cannot be ranked", because, "Pass " + _check.setting("missing", "symbol") + "."
    )


def _ranked(
    name: str,
    field: Field,
    label: Field,
    weight: Numbers,
    ask: Ask,
    copies: Numbers | None = None,
    *,
    counted: bool = False,
) -> FeatureRank:
    """Rank a column from rows, or from counts: a row for each value and class with its copies."""
    absent = int(field.missing.sum())
    if absent and ask.missing == "refuse":
        raise _refused(name, absent)
    if ask.missing == "drop":
        whole = ~(field.missing | label.missing)
        field, label, weight = field.take(whole), label.take(whole), weight[whole]
        if weight.size == 0:
            raise _nothing_left(name)
    target = np.unique(label.values, return_inverse=True)[1]
    near = field.numeric and ask.numeric == "ksg"
    if near and np.isinf(field.values).any():
        because = f"column {name!r} holds an infinite number"
        raise _check.cannot("Neighbours", because, "Pass " + _check.setting("numeric", "mdl") + ".")

    def scored(rows: FieldRows) -> tuple[float, Codes, list[float]]:
        field, target, weight, copies = rows
        codes, cuts = _levels(field, target, weight)
        return score_of(codes, target, weight, ask.score, copies), codes, cuts

    def score(rows: FieldRows) -> float:
        return told_by_neighbours(rows[0], rows[1], ask.noise)[0] if near else scored(rows)[0]

    rows = field, target, weight, copies
    codes, cuts, noise = np.empty(0, dtype=np.int64), list[float](), False
    if near:
        value, noise = told_by_neighbours(field, target, ask.noise, name, ask.scale)
    else:
        value, codes, cuts = scored(rows)
    p_value = adjusted = None
    if ask.draw is not None:
        shuffled = _redrawn if counted else _shuffled
        null = np.array([score(shuffled(rows, ask.draw)) for _ in range(ask.times)])
        p_value, adjusted = against_chance(value, null, ask.scale)
    first = np.unique(codes, return_index=True)[1]
    levels = first.size if copies is None else int(copies[first].sum())
    value = value / ask.scale + 0.0
    return FeatureRank(
        name, value, field.kind, levels, weight.size, absent, tuple(cuts), p_value, adjusted, noise
    )


FieldRows = tuple[Field, Codes, Numbers, Numbers | None]  # a column, the classes, weights, copies


def _shuffled(rows: FieldRows, draw: np.random.Generator) -> FieldRows:
    field, target, weight, _ = rows
    return field.take(draw.permutation(weight.size)), target, weight, None


def _redrawn(rows: FieldRows, draw: np.random.Generator) -> FieldRows:
    """Shuffle the rows that were counted: draw one of the tables with these margins."""
    from scipy.stats import random_table

    field, target, weight, copies = rows
    top = np.where(field.missing, 0, field.values).max(initial=0) + 1
    level = np.where(field.missing, top, field.values)
    _, first, x = np.unique(level, return_index=True, return_inverse=True)
    margins = [np.bincount(codes, weight).astype(np.int64) for codes in (x, target)]
    # The other method would hold every row.
    drawn = random_table(*margins).rvs(method="patefield", random_state=draw)
    i, j = np.nonzero(drawn)
    more = None if copies is None else copies[first][i]
    return field.take(first[i]), j, drawn[i, j].astype(np.float64), more


def _levels(field: Field, target: Codes, weight: Numbers) -> tuple[Codes, list[float]]:
    """Return the level of each row, the last for missing values, and the cuts."""
    if not field.numeric:
        return np.where(field.missing, len(field.symbols), field.values), []
    known = ~field.missing
    cuts = mdl_cuts(field.values[known], target[known], weight[known])
    codes = np.full(weight.size, len(cuts) + 1, dtype=np.int64)
    codes[known] = bin_of(field.values[known], cuts)
    return codes, cuts
