"""How a table becomes columns: numbers, and names coded by their level.

What a column holds, `xent._table.frames` says of any data frame. Here numbers, dates, times of day
and durations become float64, and strings, categories and booleans codes; a category that is
declared keeps its code even if no row has it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._table.frames import Accepted, AtOnce, Frame
from xent._table.frames import Column as Read
from xent._table.frames.at_once import FLAG_FORM, NUMBER_FORM, OTHER_FORM
from xent._table.frames.doubts import doubt_column, other_kind
from xent._table.frames.levels import Level, codes_of, levels_of

FLAG_LEVELS = (False, True)  # the levels of a boolean
COLUMN_KINDS = ("number", "name", "date", "time", "duration")
ACCEPTED = Accepted(
    "X",
    "hold in each column numbers, or names, booleans, dates or times",
    frozenset(COLUMN_KINDS),
    "Where its values are names, make them text: astype(str).",
)


@dataclass(frozen=True)
class FittedColumn:
    """What one column is called and how it is read: one of `COLUMN_KINDS`."""

    name: str
    kind: str
    levels: tuple[Level, ...] = ()
    zoned: bool | None = None  # of dates: whether they have a time zone, where that is known


@dataclass
class Cases:
    """A table as the kernels read it: numbers, and codes of names.

    What growing and predicting ask of a table are the methods here; a table in bins and a sparse
    one answer some of them in their own way.
    """

    form: ClassVar[str] = "values"  # by which `_grow.searcher` knows how to search it

    kind: NDArray[np.int64]  # by feature: 0 a number, 1 a name
    slot: NDArray[np.int64]  # column of `numbers` or row of `codes`
    numbers: NDArray[Any]
    codes: NDArray[Any]  # a missing or unknown name has the code after the last level
    n_levels: NDArray[np.int64]  # by row of `codes`

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.numbers)

    @property
    def missing(self) -> bool:
        """Whether any value is missing."""
        return bool(np.isnan(self.numbers).any() or (self.codes == self.n_levels[:, None]).any())

    def take(self, rows: NDArray[Any]) -> "Cases":
        """Return some of the rows."""
        codes = np.ascontiguousarray(self.codes[:, rows])
        return Cases(self.kind, self.slot, self.numbers[rows], codes, self.n_levels)

    def read(self, threads: int) -> "Cases":
        """Return the table in memory: itself."""
        return self

    @property
    def test_kind(self) -> NDArray[np.int64]:
        """How a test of each column reads it: as a number, a name or a bin."""
        return self.kind

    @property
    def absent(self) -> NDArray[np.int64]:
        """Code of a missing value by column; 0 where that is NaN."""
        absent = np.zeros(len(self.kind), np.int64)
        absent[self.kind == 1] = self.n_levels
        return absent

    def in_codes(
        self, feature: NDArray[np.int32], threshold: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return thresholds that part what `numbers` holds as the given ones part the values."""
        return threshold

    def values(self) -> Iterable[NDArray[np.float64]]:
        """Yield each column of numbers."""
        yield from self.numbers.T

    def row_hashes(self) -> NDArray[np.uint64]:
        """Return a number for each row that depends on its content alone."""
        mixed = np.zeros(self.rows, np.uint64)
        for column in chain(self.values(), (c.astype(np.float64) for c in self.codes)):
            plain = np.where(np.isnan(column), np.nan, column + 0.0)
            mixed = (mixed ^ plain.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        return mixed


def is_clean(X: Any) -> bool:
    """Whether X is a matrix of finite float64 numbers in which nothing is left to check."""
    if type(X) is not np.ndarray or X.dtype != np.float64 or not X.dtype.isnative:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return X.ndim == 2 and X.size > 0 and math.isfinite(X.sum())


def of_numbers(X: NDArray[np.float64], *, copy: bool = True) -> Cases:
    """Columns of a plain matrix."""
    if copy and not (X.flags.c_contiguous and X.flags.writeable):
        # One layout, so that the loops are compiled once.
        X = np.require(X, requirements=["C", "W"])
    d = X.shape[1]
    none = np.empty((0, len(X)), np.int32)
    return Cases(np.zeros(d, np.int64), np.arange(d), X, none, np.empty(0, np.int64))


def number_columns(names: Sequence[str]) -> list[FittedColumn]:
    """Describe the columns of a plain matrix."""
    return [FittedColumn(name, "number") for name in names]


def describe(
    frame: Frame, *, doubts: bool = True, at_once: AtOnce | None = None
) -> list[FittedColumn]:
    """Say what the columns of a data frame are; warn of text that looks like numbers or dates."""
    found = []
    forms = at_once.form.tolist() if at_once else [OTHER_FORM] * len(frame.names)
    for name, form in zip(frame.names, forms, strict=True):
        if form != OTHER_FORM:
            of = ("name", FLAG_LEVELS) if form == FLAG_FORM else ("number",)
            found.append(FittedColumn(str(name), *of))
            continue
        column = frame.column(name)
        kind = ACCEPTED.check(column)
        levels: tuple[Level, ...] = ()
        if kind == "name":
            names = column.names()
            levels = levels_of(names)
            if doubts and column.is_text:
                doubt_column("X", column.name, names)
        found.append(FittedColumn(str(column.name), kind, levels, column.zoned))
    return found


def number(column: Read) -> NDArray[np.float64]:
    """Return the numbers of a column, NaN where one is missing; none is infinite."""
    out = column.floats()
    if np.isinf(out).any():
        at = int(np.flatnonzero(np.isinf(out))[0])
        raise _check.invalid("X", "be finite or missing", f"infinity in {column.name!r}[{at}]")
    return out


def read(frame: Frame, columns: Sequence[FittedColumn], at_once: AtOnce | None = None) -> Cases:
    """Read a data frame as the columns that a tree was fitted on."""
    kind, slot, n_levels = layout(columns)
    forms = at_once.form if at_once else np.full(len(columns), OTHER_FORM)
    is_number = (forms == NUMBER_FORM) & np.array([c.kind == "number" for c in columns], np.bool_)
    is_flag = (forms == FLAG_FORM) & np.array([_is_flag(c.levels) for c in columns], np.bool_)
    rest = np.flatnonzero(~(is_number | is_flag)).tolist()
    found = matched(frame, [columns[j] for j in rest])
    numbers = np.empty((frame.rows, int((kind == 0).sum())))
    coded = np.empty((len(n_levels), frame.rows), np.int32)
    if at_once:
        numbers[:, slot[is_number]] = at_once.numbers[:, is_number[forms == NUMBER_FORM]]
        coded[slot[is_flag]] = at_once.flags[:, is_flag[forms == FLAG_FORM]].T
    for j, column in zip(rest, found, strict=True):
        if kind[j]:
            coded[slot[j]] = codes_of(column.names(), columns[j].levels)
        else:
            numbers[:, slot[j]] = number(column)
    return Cases(kind, slot, numbers, coded, n_levels)


def _is_flag(levels: Sequence[Level]) -> bool:
    """Whether levels are those of a boolean, and not 0 and 1, which are equal to them."""
    return levels == FLAG_LEVELS and type(levels[0]) is bool


def layout(
    columns: Sequence[FittedColumn],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return each column's kind and place among its kind, and the numbers of levels."""
    kind = np.array([c.kind == "name" for c in columns], np.int64)
    slot = np.where(kind == 1, np.cumsum(kind) - 1, np.cumsum(1 - kind) - 1)
    return kind, slot, np.array([len(c.levels) for c in columns if c.kind == "name"], np.int64)


def n_levels(columns: Sequence[FittedColumn]) -> NDArray[np.int64]:
    """Return each column's number of levels, 0 for numbers."""
    return np.array([len(c.levels) for c in columns], np.int64)


def matched(frame: Frame, columns: Sequence[FittedColumn]) -> list[Read]:
    """Return the columns of a data frame that are the columns of fit."""
    names = {str(name): name for name in frame.names}
    found = []
    for column in columns:
        if column.name not in names:
            got = f"none among {_check.join_names(names, last='and', limit=8)}"
            raise _check.invalid("X", f"have the column {column.name!r}", got)
        found.append(frame.column(names[column.name]))
        kind = ACCEPTED.check(found[-1])
        if kind != column.kind and not found[-1].empty:
            raise other_kind("X", column.name, column.kind, found[-1])
        if column.zoned is not None and found[-1].zoned is (not column.zoned):
            raise mixed_zones(column.name, column.zoned)
    return found


def mixed_zones(name: str, zoned: bool) -> ValueError:
    """Return the error for dates without a time zone where those before had one, or the reverse.

    Nothing says which moment a date without a zone is: it may be hours from what UTC makes of it.
    """
    words = ["dates without a time zone", "dates with a time zone"]
    must = f"hold {words[zoned]} in column {name!r}, as before"
    advice = "Write all of them in UTC, as 2020-01-31T12:00:00Z (pandas: tz_localize, tz_convert)."
    return _check.invalid("X", must, words[not zoned], advice)
