"""How one column becomes numbers, learned from training rows and written down as plain values.

A name becomes a 1 among zeros (one-hot), a number is standardised, a moment keeps where it lies in
the year, the week and the day. Whatever comes later has an encoding too: what is missing, and names
that were not there, take numbers that the training rows decide, so that nothing is ever NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._table.frames import Column, Names
from xent._table.frames.columns import DAY
from xent._table.frames.levels import Level, codes_of, levels_of

Matrix = NDArray[np.float64]

SCALES = ("standard", "range")
SAME_VALUES = "the same in every row"
NO_VALUES = "missing in every row"
OWN_NAMES = "a name of its own in every row"
MANY_NAMES = "too many names"
FEW_OWN_NAMES = 9  # rows of different names that tell nothing yet
FEW_NAMES = 20  # names that may be in less than two rows each
# The mean year of the Gregorian calendar; a week; a day: in days.
CYCLES = {"year": 365.2425, "week": 7.0, "day": 1.0}


ENCODED_KINDS = ("number", "date", "time", "duration", "boolean", "name")


@dataclass(frozen=True)
class EncodedPart:
    """One number of a column: ``(value - centre) / width``, and what stands for a missing value.

    Parameters
    ----------
    what : str
        "" for the number itself, or the sine or cosine of a cycle, such as "year_sin".
    centre, width : float
        How it is scaled.
    fill : float
        The mean of the training rows, scaled.
    """

    what: str
    centre: float
    width: float
    fill: float


@dataclass(frozen=True)
class EncodedColumn:
    """What was learned of one column.

    Parameters
    ----------
    name : str
        What it is called.
    kind : str
        "number", "date", "time", "duration", "boolean" or "name".
    parts : tuple of EncodedPart
        The numbers of a column that is no name.
    levels : tuple
        The names that have a feature of their own; of booleans False, which has none, and True.
    shares : tuple of float
        The share of the training rows that each feature of names was 1 in.
    other : bool
        Whether rarer names share one feature.
    gaps : bool
        Whether a feature says where the value is missing.
    zoned : bool, optional
        Of dates: whether they have a time zone.
    left_out : str
        Why no feature tells the values; "" where some do.
    """

    name: str
    kind: str
    parts: tuple[EncodedPart, ...] = ()
    levels: tuple[Level, ...] = ()
    shares: tuple[float, ...] = ()
    other: bool = False
    gaps: bool = False
    zoned: bool | None = None
    left_out: str = ""

    @property
    def is_names(self) -> bool:
        """Whether it holds names."""
        return self.kind in ("name", "boolean")

    @property
    def features(self) -> list[str]:
        """Names of the numbers that it becomes."""
        if self.is_names:
            levels = self.levels[self.kind == "boolean" :]
            found = [f"{self.name}={level}" for level in levels]
            found += [f"{self.name}=other"] * self.other
        else:
            found = [f"{self.name}_{p.what}" if p.what else self.name for p in self.parts]
        return found + [f"{self.name} is missing"] * self.gaps

    def encode(self, column: Column) -> Matrix:
        """Return a column's numbers, shape (rows, features); none is NaN."""
        if self.is_names:
            return self.rows_of_levels()[self._codes(column.names())]
        values = finite(column)
        gone = np.isnan(values)
        out = np.empty((len(values), len(self.parts) + self.gaps))
        for j, part in enumerate(self.parts):
            out[:, j] = (measured(values, part.what) - part.centre) / part.width
            out[gone, j] = part.fill
        if self.gaps:
            out[:, -1] = gone
        return out

    def _codes(self, names: Names) -> NDArray[np.int64]:
        """Code names by level; after the last one come those that are not known, then gaps."""
        codes = codes_of(names, self.levels).astype(np.int64)
        codes[names.codes < 0] = len(self.levels) + 1
        return codes

    def rows_of_levels(self) -> Matrix:
        """Return the features of each level, of a name that is not known, and of a gap."""
        n, first = len(self.levels), int(self.kind == "boolean")
        own = n - first  # False is what is not True, and has no feature
        width = own + self.other + self.gaps
        rows = np.zeros((n + 2, width))
        rows[np.arange(first, n), np.arange(own)] = 1
        if self.other:
            rows[n, own] = 1
        elif n:
            rows[n] = self.shares
        rows[n + 1] = rows[n]
        if self.gaps:
            rows[n + 1] = 0
            rows[n + 1, -1] = 1
        return rows

    def to_state(self) -> dict[str, Any]:
        """Return what JSON can say of it."""
        return asdict(self)

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the column that `to_state` wrote down."""
        parts = tuple(EncodedPart(**part) for part in state["parts"])
        lists = {key: tuple(state[key]) for key in ("levels", "shares")}
        numbers = [number for p in parts for number in (p.centre, p.width, p.fill)]
        if not all(type(number) in (int, float) for number in (*numbers, *lists["shares"])):
            raise TypeError
        measures = ["", *(f"{cycle}_{wave}" for cycle in CYCLES for wave in ("sin", "cos"))]
        made = cls(**{**state, **lists, "parts": parts})
        if not all(part.what in measures for part in parts) or made.kind not in ENCODED_KINDS:
            raise TypeError
        if not all(isinstance(text, str) for text in (made.name, made.left_out)):
            raise TypeError
        if not all(flag in (False, True, None) for flag in (made.other, made.gaps, made.zoned)):
            raise TypeError
        return made


def learn(column: Column, scale: str, max_levels: int) -> EncodedColumn:
    """Say how a column of training rows becomes numbers.

    Parameters
    ----------
    column : Column
        Of a kind that is accepted.
    scale : str
        One of `SCALES`.
    max_levels : int
        How many names have a feature of their own.
    """
    name = str(column.name)
    if column.kind == "name":
        return _learn_names(name, column.names(), max_levels)
    values = finite(column)
    known = values[~np.isnan(values)]
    gaps = 0 < len(known) < len(values)
    if not len(known) or known.min() == known.max():
        why = SAME_VALUES if len(known) else NO_VALUES
        return EncodedColumn(name, column.kind, gaps=gaps, zoned=column.zoned, left_out=why)
    parts = [_scaled(name, known, scale)]
    if column.kind == "date":
        parts += [_cyclic(known, what) for what in _cycles(known)]
    elif column.kind == "time":
        parts += [_cyclic(known, f"day_{wave}") for wave in ("sin", "cos")]
    return EncodedColumn(name, column.kind, tuple(parts), gaps=gaps, zoned=column.zoned)


def _learn_names(name: str, names: Names, max_levels: int) -> EncodedColumn:
    levels = levels_of(names)
    flags = len(levels) == 2 and all(isinstance(level, bool) for level in levels)
    codes = codes_of(names, levels)
    rows = np.bincount(codes, minlength=len(levels) + 1)
    kept = [i for i in range(len(levels)) if rows[i]]  # a category that no row has is not learned
    total, known, gone = len(codes), int(rows[:-1].sum()), int(rows[-1])
    kind, gaps = "boolean" if flags else "name", 0 < gone < total
    if len(kept) < 2:
        return EncodedColumn(name, kind, gaps=gaps, left_out=SAME_VALUES if kept else NO_VALUES)
    each = len(kept) == known > FEW_OWN_NAMES
    if not names.declared and (each or (len(kept) > FEW_NAMES and 2 * len(kept) > known)):
        why = OWN_NAMES if each else f"{MANY_NAMES}: {len(kept):,} in {_check.count(known, 'row')}"
        return EncodedColumn(name, kind, gaps=gaps, left_out=why)
    other = len(kept) > max_levels and not flags
    if other:
        # The commonest; of names as common, those that come first.
        kept = sorted(sorted(kept, key=lambda level: (-rows[level], level))[:max_levels])
    counted = [int(rows[i]) for i in kept]
    rest = known - sum(counted)
    counted += [rest] * other + [gone] * gaps
    shares = tuple(number / total for number in counted[flags:])
    return EncodedColumn(name, kind, (), tuple(levels[i] for i in kept), shares, other, gaps)


def _scaled(name: str, known: Matrix, scale: str) -> EncodedPart:
    low, high = float(known.min()), float(known.max())
    if math.isinf(high - low):
        must = f"hold numbers whose range float64 can hold in column {name!r}"
        raise _check.invalid("X", must, f"{low:.3g} to {high:.3g}")
    # Taken from the lowest, and in units of the range: no square overflows or vanishes.
    steps = (known - low) / (high - low)
    mean = float(steps.mean())
    if scale == "range":
        return EncodedPart("", low, high - low, mean)
    deviation = math.sqrt(float(np.square(steps - mean).mean()))
    return EncodedPart("", low + mean * (high - low), deviation * (high - low), 0.0)


def _cyclic(known: Matrix, what: str) -> EncodedPart:
    return EncodedPart(what, 0.0, 1.0, float(measured(known, what).mean()))


def _cycles(known: Matrix) -> list[str]:
    """Name the cycles that dates go through at least once."""
    days = (known.max() - known.min()) / DAY
    whole = bool((np.mod(known, DAY) == 0).all())  # dates without a time of day
    went = [c for c, length in CYCLES.items() if days >= length and not (c == "day" and whole)]
    return [f"{cycle}_{wave}" for cycle in went for wave in ("sin", "cos")]


def measured(values: Matrix, what: str) -> Matrix:
    """Return what a part measures: the values, or where each lies in a cycle."""
    if not what:
        return values
    cycle, wave = what.split("_")
    length = CYCLES[cycle] * DAY
    angle = 2 * math.pi * (np.mod(values, length) / length)
    return np.asarray(np.sin(angle) if wave == "sin" else np.cos(angle))


def finite(column: Column) -> Matrix:
    """Return the numbers of a column, NaN where one is missing; none is infinite."""
    values = column.floats()
    if np.isinf(values).any():
        at = int(np.flatnonzero(np.isinf(values))[0])
        got = f"infinity in {str(column.name)!r}[{at}]"
        raise _check.invalid("X", "be finite or missing", got)
    return values
