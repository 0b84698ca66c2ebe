"""Columns of a table, ranked by what they tell about one of them. Quinlan (1986) for the gain.

A data frame in memory is ranked from its rows; a file is counted batch by batch and ranked from its
counts, by the same functions: distinct values and their weights are rows, too.
"""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
from typing import Any

import numpy as np

from xent import _check
from xent.measures.rows._symbols import MISSING
from xent.measures.samples._result import randomness
from xent.measures.tables._columns import (
    check_total,
    field_of,
    frame_of,
    ranked_names,
    total_of,
    weights_of,
)
from xent.measures.tables._rank_batches import rank_batches
from xent.measures.tables._rank_column import (
    NUMERIC,
    SCORES,
    FeatureRank,
    RankOptions,
    no_class,
    rank_column,
)
from xent.measures.tables._streaming import Table, is_streamed
from xent.measures.tables._target import target_of


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
    options = RankOptions(
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
            found = rank_batches(table, target, target_bins, columns, weights, options)
            return _in_order(found, options)
        table = _whole(table, target, target_bins)
    frame = frame_of("table", table)
    ranked = ranked_names(frame.names, target, weights, columns)
    weight = weights_of("weights", weights, frame)
    check_total(total_of(weight))
    present = weight > 0
    classes = target_of(table, target, weights, target_bins)
    label = classes.field(frame).take(present)
    weight = weight[present]
    classes.check(label.symbols, weight.size)
    if label.missing.any() and missing != "drop":
        raise no_class(int(np.flatnonzero(present)[np.argmax(label.missing)]))
    return _in_order(
        [
            rank_column(
                name,
                field_of(frame, name, f"table[{name!r}]").take(present),
                label,
                weight,
                options,
            )
            for name in ranked
        ],
        options,
    )


def _whole(table: Any, target: str, bins: int | None) -> Any:
    """Read all batches: neighbours, and shuffles of rows of unequal weight, need the rows."""
    import narwhals as nw
    import pyarrow as pa

    source = Table("table", table, [target] if bins is None else [])
    native = [frame.native for frame in source.batches("reading")]
    batches = [nw.from_native(batch, eager_only=True).to_arrow() for batch in native]
    return pa.concat_tables(batches, promote_options="permissive")


def _in_order(found: list[FeatureRank], options: RankOptions) -> list[FeatureRank]:
    sign = math.copysign(1, options.scale)  # a base below 1 turns the order round
    return sorted(found, key=lambda f: -sign * (f.score if f.adjusted is None else f.adjusted))
