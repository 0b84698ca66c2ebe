"""Columns of a table, ranked by what they tell about one of them.

Any eager data frame that narwhals reads. The type of a column decides: numbers and dates are cut
into bins, everything else is symbols; nothing is guessed from values. Quinlan (1986) for the gain.
"""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.measures._bins import Codes, Numbers, bin_of, mdl_cuts
from xent.measures._estimate import against_chance, generator
from xent.measures._samples import MISSING, column

SCORES = ("information_gain", "gain_ratio", "symmetric_uncertainty", "gini")
KINDS = {"Date": "dates", "Datetime": "dates", "Duration": "durations", "Time": "times"}
GREATEST = 1e300  # sum of weights whose logarithms, summed, cannot overflow
EVERY = 1 << 20  # cells up to which a table of two columns is counted without sorting


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
        Bins or symbols in the rows that were used, one of them for missing values if there are.
    rows : int
        Rows that were used: of weight above 0, without missing values where these are dropped.
    missing : int
        Rows of weight above 0 where the column has no value.
    cuts : tuple of float
        Where a column of numbers was cut; a value equal to a cut is left of it. Dates are
        microseconds since 1970, times since midnight.
    p_value : float or None
        Share of shuffled columns that score at least as much; on request.
    adjusted : float or None
        The score less the mean score of shuffled columns; on request.

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


@dataclass(frozen=True)
class Field:
    """A column as read: codes with -1 for what is missing, or numbers with NaN."""

    values: NDArray[Any]
    missing: NDArray[np.bool_]
    symbols: tuple[Any, ...] = ()
    kind: str = "symbols"

    @property
    def numeric(self) -> bool:
        """Whether it is cut into bins."""
        return self.kind != "symbols"

    def take(self, rows: NDArray[Any]) -> Field:
        """Return some of the rows."""
        return Field(self.values[rows], self.missing[rows], self.symbols, self.kind)


def rank_features(
    table: Any,
    target: str,
    *,
    score: str = "information_gain",
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
    table : data frame
        Any that narwhals reads: pandas, polars, Arrow, ... Numbers and dates are cut where Fayyad
        and Irani's description length says so; a column of another type is symbols.
    target : str
        The column of classes: symbols, or whole numbers.
    score : str
        "information_gain"; "gain_ratio" and "symmetric_uncertainty" as the functions of these
        names; "gini", the fall of the Gini impurity. All but the first have no unit.
    weights : array_like, optional
        How many rows each row stands for; a row of weight 0 is as if it were not there.
    missing : str
        None and NaN in a column: a "symbol" of their own, "drop" the rows for this column, or
        "refuse" them. A missing target is refused, or dropped with "drop".
    permutations : int
        How often each column is shuffled, and cut anew, for its p-value and adjusted score.
    rng : Generator or int, optional
        Where the permutations come from; needed for them.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.

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
    _check.option("score", score, SCORES)
    _check.option("missing", missing, MISSING)
    scale = _check.log_of_base(base)
    if score != "information_gain":
        scale = 1.0  # the others have no unit
    times = _check.integer("permutations", permutations, least=0)
    draw = generator(rng) if times else None
    frame, names = frame_of("table", table)
    if target not in names:
        advice = f"It has {_check.join_names(names, last='and')}."
        raise _check.invalid("target", "name a column of the table", repr(target), advice)
    if len(names) < 2:
        raise _check.invalid("table", "have a column beside the target", "none")
    weight = _weights(weights, len(frame))
    present = weight > 0
    label = field_of(frame, target, "target", symbols=True).take(present)
    weight = weight[present]
    if label.missing.any() and missing != "drop":
        got = f"a missing one in row {int(np.flatnonzero(present)[np.argmax(label.missing)])}"
        raise _check.invalid("target", "have a class in every row", got, 'Pass missing="drop".')
    found = []
    for name in names:
        if name == target:
            continue
        field = field_of(frame, name, f"table[{name!r}]").take(present)
        found.append(_ranked(name, field, label, weight, missing, score, scale, times, draw))
    sign = math.copysign(1, scale)  # a base below 1 turns the order round
    return sorted(found, key=lambda f: -sign * (f.score if f.adjusted is None else f.adjusted))


def frame_of(argument: str, table: Any) -> tuple[Any, list[str]]:
    """Read a data frame of any kind, and the names of its columns."""
    import narwhals as nw

    try:
        frame = nw.from_native(table, eager_only=True)
        names = list(frame.columns)
    except TypeError:
        must = "be a data frame in memory that narwhals reads (pandas, polars, Arrow, ...)"
        raise _check.wrong_kind(argument, must, f"a {type(table).__name__}") from None
    except nw.exceptions.DuplicateError:
        raise _check.invalid(argument, "name each column once", "a name twice") from None
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise _check.invalid(argument, "name each column once", f"{twice[0]!r} twice")
    if len(frame) == 0:
        raise _check.invalid(argument, "have at least one row", "none")
    return frame, names


def field_of(frame: Any, name: str, argument: str, *, symbols: bool = False) -> Field:
    """Read one column; its type says whether it is numbers."""
    series = frame.get_column(name)
    kind = "numbers" if series.dtype.is_numeric() else KINDS.get(str(series.dtype).split("(")[0])
    if kind is not None and not symbols:
        values = _numbers(series.to_numpy())
        return Field(values, np.isnan(values), (), kind)
    found = column(argument, series.to_list())
    return Field(found.codes, found.codes < 0, found.symbols)


def _numbers(values: NDArray[Any]) -> Numbers:
    if values.dtype.kind in "mM":
        missing = np.isnat(values)
        unit = "datetime64[us]" if values.dtype.kind == "M" else "timedelta64[us]"
        return np.where(missing, np.nan, values.astype(unit).astype(np.int64))
    if values.dtype.kind != "O":
        return values.astype(np.float64)
    return np.array([_number(value) for value in values.tolist()], dtype=np.float64)


def _number(value: Any) -> float:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return math.nan
    if isinstance(value, time):
        seconds = 3600 * value.hour + 60 * value.minute + value.second
        return 1e6 * seconds + value.microsecond
    return float(value)


def _weights(weights: Any, rows: int) -> Numbers:
    if weights is None:
        return np.ones(rows)
    found = np.asarray(weights, dtype=np.float64)
    if found.shape != (rows,):
        must = f"be one number for each of the {rows} rows"
        raise _check.invalid("weights", must, f"shape {found.shape}")
    bad = ~(np.isfinite(found) & (found >= 0))
    if bad.any():
        place = int(np.argmax(bad))
        got = f"{found[place]:.6g} at [{place}]"
        raise _check.invalid("weights", "be finite and non-negative", got)
    if not found.any():
        raise _check.invalid("weights", "have one above 0", "none")
    with np.errstate(over="ignore"):
        total = float(found.sum())
    if total > GREATEST:
        raise _check.invalid("weights", f"have a sum of at most {GREATEST:g}", f"{total:.6g}")
    return found


def _ranked(
    name: str,
    field: Field,
    label: Field,
    weight: Numbers,
    missing: str,
    score: str,
    scale: float,
    times: int,
    draw: np.random.Generator | None,
) -> FeatureRank:
    absent = int(field.missing.sum())
    if absent and missing == "refuse":
        got = f"a missing one in {_check.count(absent, 'row')}"
        advice = 'Pass missing="drop" or missing="symbol".'
        raise _check.invalid(f"table[{name!r}]", "have a value in every row", got, advice)
    if missing == "drop":
        whole = ~(field.missing | label.missing)
        field, label, weight = field.take(whole), label.take(whole), weight[whole]
        if weight.size == 0:
            because = "no row has both it and the target"
            raise _check.cannot(f"`{name}` cannot be ranked", because, 'Pass missing="symbol".')
    target = np.unique(label.values, return_inverse=True)[1]
    codes, cuts = _levels(field, target, weight)
    value = _score(codes, target, weight, score) / scale
    p_value = adjusted = None
    if draw is not None:
        null = np.empty(times)
        for i in range(times):
            shuffled = field.take(draw.permutation(weight.size))
            null[i] = _score(_levels(shuffled, target, weight)[0], target, weight, score)
        p_value, adjusted = against_chance(value * scale, null, scale)
    levels, rows = np.unique(codes).size, weight.size
    where = tuple(cuts.tolist())
    return FeatureRank(name, value, field.kind, levels, rows, absent, where, p_value, adjusted)


def _levels(field: Field, target: Codes, weight: Numbers) -> tuple[Codes, Numbers]:
    """Return the level of each row, the last for missing values, and the cuts."""
    if not field.numeric:
        return np.where(field.missing, len(field.symbols), field.values), np.empty(0)
    known = ~field.missing
    cuts = mdl_cuts(field.values[known], target[known], weight[known])
    codes = np.full(weight.size, cuts.size + 1, dtype=np.int64)
    codes[known] = bin_of(field.values[known], cuts)
    return codes, cuts


def _score(x: Codes, y: Codes, weight: Numbers, score: str) -> float:
    """Score two columns of codes, in nats."""
    x = np.unique(x, return_inverse=True)[1]
    width, levels = int(y.max()) + 1, int(x.max()) + 1
    if levels == 1:
        return 0.0
    cells = x * width + y
    if levels * width > max(EVERY, 4 * x.size):
        found, cells = np.unique(cells, return_inverse=True)
    else:
        found = np.arange(levels * width)
    both = np.bincount(cells, weight, minlength=found.size)
    of_x, of_y, total = np.bincount(x, weight), np.bincount(y, weight), float(weight.sum())
    if score == "gini":
        some = np.flatnonzero(both)
        pure = float((both[some] / total * (both[some] / of_x[found[some] // width])).sum())
        return max(0.0, pure - float(((of_y / total) ** 2).sum()))
    h_x, h_y = _entropy(of_x, total), _entropy(of_y, total)
    gain = max(0.0, h_x + h_y - _entropy(both, total))
    if score == "gain_ratio":
        return gain / h_x
    return 2 * gain / (h_x + h_y) if score == "symmetric_uncertainty" else gain


def _entropy(counts: NDArray[Any], total: float) -> float:
    p = counts[counts > 0] / total
    return float(-(p * np.log(p)).sum())
