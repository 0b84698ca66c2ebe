"""Columns of a table, ranked by what they tell about one of them. Quinlan (1986) for the gain.

A data frame in memory is ranked from its rows; a file is counted batch by batch and ranked from its
counts, by the same functions: distinct values and their weights are rows, too.
"""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.measures.rows._symbols import MISSING, column
from xent.measures.samples._result import against_chance, randomness
from xent.measures.tables._bins import Codes, Numbers, between
from xent.measures.tables._by_neighbors import told_by_neighbors
from xent.measures.tables._columns import (
    Field,
    check_total,
    doubt_text,
    field_of,
    frame_of,
    total_of,
    weights_of,
)
from xent.measures.tables._scores import ColumnRows, chance_scores, levels_of, score_of
from xent.measures.tables._streaming import Symbols, Table, Tally, is_streamed
from xent.measures.tables._target import target_of
from xent.measures.tables._wide import WIDE_COLUMNS, Waiting, told_by_text, uncut

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
    target_bins: int | None = None,
) -> list[FeatureRank]:
    """Rank the columns of a table by what they tell about one of them, the best first.

    gain = H(target) - H(target|column)

    Parameters
    ----------
    table : data frame, path or function
        Any frame that narwhals reads (pandas, polars, Arrow, ...), a Parquet, CSV or JSON-lines
        file of any size, read in batches, or a function that returns batches from the start.
    target : str
        The column of classes: symbols, or whole numbers; with ``target_bins`` of numbers.
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
        Where permutations come from, which need it; and, for "ksg", the noise that moves
        equal numbers apart, which has a fixed seed without.
    base : float
        Base of the logarithm of the information gain: e gives nats, 2 bits, 10 bans.
    target_bins : int, optional
        Quantiles that a target of numbers is cut at; its classes are these bins.

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
    if is_streamed(table):
        if numeric == "mdl" and (weights is None or not times):
            found = _of_batches(table, target, target_bins, columns, weights, ask)
            return _in_order(found, ask)
        table = _whole(table, target, target_bins)
    frame = frame_of("table", table)
    ranked = _ranked_names(frame.names, target, weights, columns)
    weight = weights_of("weights", weights, frame)
    check_total(total_of(weight))
    present = weight > 0
    classes = target_of(table, target, weights, target_bins)
    label = classes.field(frame).take(present)
    weight = weight[present]
    classes.check(label.symbols, weight.size)
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


def _whole(table: Any, target: str, bins: int | None) -> Any:
    """Read all batches: neighbours, and shuffles of rows of unequal weight, need the rows."""
    import narwhals as nw
    import pyarrow as pa

    source = Table("table", table, [target] if bins is None else [])
    native = [frame.native for frame in source.batches("reading")]
    batches = [nw.from_native(batch, eager_only=True).to_arrow() for batch in native]
    return pa.concat_tables(batches, promote_options="permissive")


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


def _of_batches(
    source: Any,
    target: str,
    bins: int | None,
    columns: list[str] | None,
    weights: Any,
    ask: Ask,
) -> list[FeatureRank]:
    """Count each column by class, batch by batch, and rank the counts."""
    # Classes of a CSV are read as text, for names like 01.
    table = Table("table", source, [target] if bins is None else [])
    names = _ranked_names(table.names, target, weights, columns)
    if not (weights is None or isinstance(weights, str)):
        raise _check.wrong_kind("weights", "be the name of a column of the file", repr(weights))
    tallies = {name: Tally(f"table[{name!r}]", table.most) for name in names}
    found = target_of(source, target, weights, bins)
    classes: dict[Any, int] = {}
    total, start = 0.0, 0
    wanted = [*names, target, *([weights] if isinstance(weights, str) else [])]
    waiting = Waiting(len(names) >= WIDE_COLUMNS and weights is None and not ask.times)
    for frame in table.batches("ranking", wanted):
        weight = weights_of("weights", weights, frame)
        total += total_of(weight)
        present = weight > 0
        label = found.field(frame).take(present)
        if label.missing.any() and ask.missing != "drop":
            raise _no_class(start + int(np.flatnonzero(present)[np.argmax(label.missing)]))
        places = np.full(len(label.symbols) + 1, -1, dtype=np.int64)
        if not start:
            found.check(label.symbols, len(frame))
        for code in np.unique(label.values[~label.missing]).tolist():
            places[code] = classes.setdefault(label.symbols[code], len(classes))
        codes = places[label.values]
        for batch in waiting.add(frame, codes, weight):
            _add(tallies, *batch)
        start += len(frame)
    check_total(total)
    order = column("target", list(classes)).codes  # numbered as the whole column would be
    whole = waiting.whole(table.most)
    if whole is not None:
        return _of_wide(*whole, names, order, ask)
    for batch in waiting.batches:
        _add(tallies, *batch)
    return [_of_tally(name, tally, order, ask) for name, tally in tallies.items()]


def _add(tallies: dict[str, Tally], frame: Any, codes: Codes, weight: Numbers) -> None:
    """Count the rows of a batch whose weight is above 0; the classes are those of these rows."""
    present = weight > 0
    every = bool(present.all())
    weight = weight if every else weight[present]
    for name, tally in tallies.items():
        field = field_of(frame, name, tally.argument)
        tally.add(field if every else field.take(present), codes, weight)


def _of_wide(
    whole: Any, codes: Codes, names: list[str], order: Codes, ask: Ask
) -> list[FeatureRank]:
    """Rank the columns of a table in memory, most of them many at once."""
    label = Field(order[codes], np.zeros(codes.size, dtype=bool))
    frame, found = frame_of("table", whole), []
    plain = set(uncut(whole, names, label.values))
    text = told_by_text(whole, names, label.values, ask.score, gaps=ask.missing == "symbol")
    told = {one.name: one for one in text}
    for name in names:
        if name in plain:
            found.append(FeatureRank(name, 0.0, "numbers", 1, codes.size, 0))
        elif name in told:
            _, score, levels, missing = told[name]
            score = score / ask.scale + 0.0
            found.append(FeatureRank(name, score, "symbols", levels, codes.size, missing))
        else:
            field = field_of(frame, name, f"table[{name!r}]")
            found.append(_ranked(name, field, label, np.ones(codes.size), ask))
    return found


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
    if not field.numeric:
        codes = np.maximum(field.values, 0)
        rows_of = np.bincount(codes, weight * ~field.missing, len(field.symbols))
        doubt_text("table", name, field.symbols, rows_of)
    target = np.unique(label.values, return_inverse=True)[1]
    near = field.numeric and ask.numeric == "ksg"
    if near and np.isinf(field.values).any():
        because = f"column {name!r} holds an infinite number"
        raise _check.cannot("Neighbours", because, "Pass " + _check.setting("numeric", "mdl") + ".")

    rows = ColumnRows(field, target, weight, copies)
    codes, cuts, noise = np.empty(0, dtype=np.int64), list[float](), False
    if near:
        told = told_by_neighbors(rows, ask.noise)
        told.doubt(name, ask.scale)
        value, noise = told.value, told.noise
    else:
        codes, cuts = levels_of(rows)
        value = score_of(codes, target, weight, ask.score, copies)
    p_value = adjusted = None
    if ask.draw is not None:
        if near:
            shuffles = (rows.shuffled(ask.draw) for _ in range(ask.times))
            null = np.array([told_by_neighbors(one, ask.noise).value for one in shuffles])
        else:
            null = chance_scores(rows, ask.score, ask.times, ask.draw, counted=counted)
        p_value, adjusted = against_chance(value, null, ask.scale)
    first = np.unique(codes, return_index=True)[1]
    levels = first.size if copies is None else int(copies[first].sum())
    value = value / ask.scale + 0.0
    return FeatureRank(
        name, value, field.kind, levels, weight.size, absent, tuple(cuts), p_value, adjusted, noise
    )
