"""Columns of a table that comes in batches: counted by class, and ranked from their counts."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.measures.rows._symbols import column
from xent.measures.tables._bins import Codes, Numbers, between
from xent.measures.tables._columns import (
    Field,
    check_total,
    field_of,
    frame_of,
    ranked_names,
    total_of,
    weights_of,
)
from xent.measures.tables._rank_column import (
    FeatureRank,
    RankOptions,
    no_class,
    nothing_left,
    rank_column,
    refused,
)
from xent.measures.tables._streaming import Symbols, Table, Tally
from xent.measures.tables._target import target_of
from xent.measures.tables._wide import WIDE_COLUMNS, Waiting, text_scores, uncut


def rank_batches(
    source: Any,
    target: str,
    bins: int | None,
    columns: list[str] | None,
    weights: Any,
    options: RankOptions,
) -> list[FeatureRank]:
    """Count each column by class, batch by batch, and rank the counts."""
    # Classes of a CSV are read as text, for names like 01.
    table = Table("table", source, [target] if bins is None else [])
    names = ranked_names(table.names, target, weights, columns)
    if not (weights is None or isinstance(weights, str)):
        raise _check.wrong_kind("weights", "be the name of a column of the file", repr(weights))
    tallies = {name: Tally(f"table[{name!r}]", table.most) for name in names}
    found = target_of(source, target, weights, bins)
    classes: dict[Any, int] = {}
    total, start = 0.0, 0
    wanted = [*names, target, *([weights] if isinstance(weights, str) else [])]
    waiting = Waiting(len(names) >= WIDE_COLUMNS and weights is None and not options.times)
    for frame in table.batches("ranking", wanted):
        weight = weights_of("weights", weights, frame)
        total += total_of(weight)
        present = weight > 0
        label = found.field(frame).take(present)
        if label.missing.any() and options.missing != "drop":
            raise no_class(start + int(np.flatnonzero(present)[np.argmax(label.missing)]))
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
        return _of_wide(*whole, names, order, options)
    for batch in waiting.batches:
        _add(tallies, *batch)
    return [_of_tally(name, tally, order, options) for name, tally in tallies.items()]


def _add(tallies: dict[str, Tally], frame: Any, codes: Codes, weight: Numbers) -> None:
    """Count the rows of a batch whose weight is above 0; the classes are those of these rows."""
    present = weight > 0
    every = bool(present.all())
    weight = weight if every else weight[present]
    for name, tally in tallies.items():
        field = field_of(frame, name, tally.argument)
        tally.add(field if every else field.take(present), codes, weight)


def _of_wide(
    whole: Any, codes: Codes, names: list[str], order: Codes, options: RankOptions
) -> list[FeatureRank]:
    """Rank the columns of a table in memory, most of them many at once."""
    label = Field(order[codes], np.zeros(codes.size, dtype=bool))
    frame, found = frame_of("table", whole), []
    plain = set(uncut(whole, names, label.values))
    gaps = options.missing == "symbol"
    text = text_scores(whole, names, label.values, options.score, gaps=gaps)
    scored = {one.name: one for one in text}
    for name in names:
        if name in plain:
            found.append(FeatureRank(name, 0.0, "numbers", 1, codes.size, 0))
        elif name in scored:
            _, score, levels, missing = scored[name]
            score = score / options.scale + 0.0
            found.append(FeatureRank(name, score, "symbols", levels, codes.size, missing))
        else:
            field = field_of(frame, name, f"table[{name!r}]")
            found.append(rank_column(name, field, label, np.ones(codes.size), options))
    return found


def _of_tally(name: str, tally: Tally, order: Codes, options: RankOptions) -> FeatureRank:
    """Rank a column from its counts: each value and class that occur together are a row."""
    if tally.missing and options.missing == "refuse":
        raise refused(name, tally.missing)
    if options.missing == "drop" and tally.used == 0:
        raise nothing_left(name)
    gaps = (
        np.flatnonzero(tally.gaps) if options.missing == "symbol" else np.empty(0, dtype=np.int64)
    )
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
    rank = rank_column(name, field, label, weight, options, copies, counted=True)
    cuts = tuple(between(known.high[int(c)], known.low[int(c) + 1]) for c in rank.cuts)
    rows = tally.used + (tally.missing if options.missing == "symbol" else 0)
    return replace(rank, cuts=cuts, rows=rows, missing=tally.missing)
