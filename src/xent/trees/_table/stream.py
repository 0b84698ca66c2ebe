"""Tables larger than memory, read twice in batches: first the bins, levels and classes, then codes.

A source is the path of a table, or a function that returns its batches from the start each time it
is called. What is kept is a byte a number, one to four a name, and the targets; where the batches
are cut changes nothing.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xent import _check, _table
from xent._table.frames import Frame, of_series
from xent._table.frames.exact import Distinct
from xent._table.frames.levels import merged
from xent._table.given import refuse_fractions
from xent._table.sketch import Sketch
from xent.trees._kernels.bins import MAX_BINS
from xent.trees._table.bins import Binned, Bins, code_type
from xent.trees._table.columns import (
    FittedColumn,
    describe,
    layout,
    mixed_zones,
    number,
    read,
)
from xent.trees._table.target import of_numbers_too
from xent.trees._table.weights import by_class, by_name

BATCH_ROWS = 16384  # rows
Source = str | os.PathLike[str] | Callable[[], Iterable[Any]]


def is_source(X: Any) -> bool:
    """Whether X is read in batches; what could be read but once is refused."""
    if isinstance(X, Iterator):
        advice = "It is read twice: pass a function that returns the batches."
        raise _check.wrong_kind("X", "be a table, a path or a function", "an iterator", advice)
    return isinstance(X, (str, os.PathLike)) or (callable(X) and not hasattr(X, "__array__"))


def batches(
    source: Any, *, argument: str = "X", csv: _table.Csv | None = None, text: Sequence[str] = ()
) -> Iterator[Any]:
    """Yield the batches of a source; an empty field of a text file is a missing name."""
    if not isinstance(source, (str, os.PathLike)):
        yield from source()
        return
    for batch in _table.scan(source, None, BATCH_ROWS, text=text, csv=csv, argument=argument):
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        yield _table.blanks_as_missing(table, source, csv)


class Reading:
    """What two passes over a source find out: the table in bins, the targets and the weights."""

    columns: list[FittedColumn]
    cases: Binned
    y: NDArray[Any]
    classes: NDArray[Any]
    weight: NDArray[np.float64]

    def __init__(
        self, source: Source, target: Any, weight: Any, class_weight: Any, *, numbers: bool
    ) -> None:
        for argument, name in (("y", target), ("sample_weight", weight)):
            if not isinstance(name, str) and not (name is None and argument != "y"):
                must = "be the name of a column where " + _check.thing("X") + " is read in batches"
                raise _check.wrong_kind(argument, must, _check.a(name))
        self.source, self.target, self.weight_name = source, target, weight
        self.class_weight, self.is_number = class_weight, numbers
        self.given = by_name(class_weight)
        self.classes = np.empty(0)
        ends, rows, counts = self._look()
        self._write(ends, rows, counts)

    def _split(self, batch: Any) -> tuple[Frame, NDArray[Any], NDArray[np.float64] | None]:
        """Return a batch's features, targets and weights."""
        frame = nw.from_native(batch, eager_only=True)
        for argument, name in (("y", self.target), ("sample_weight", self.weight_name)):
            if name is not None and name not in frame.columns:
                got = _check.join_names(frame.columns, last="and", limit=8)
                raise _check.invalid(argument, f"name one of the columns {got}", repr(name))
        y = self._targets(frame[self.target])
        weight = None
        if self.weight_name is not None:
            weight = frame[self.weight_name].cast(nw.Float64).to_numpy()
            if not (np.isfinite(weight) & (weight >= 0)).all():
                must = "hold finite numbers, 0 or more"
                raise _check.invalid("sample_weight", must, f"others in {self.weight_name!r}")
        left = [c for c in frame.columns if c not in (self.target, self.weight_name)]
        return Frame(frame.select(left).to_native()), y, weight

    def _targets(self, series: Any) -> NDArray[Any]:
        if series.null_count():
            got = f"{series.null_count()} in {self.target!r}"
            option = _check.typed("drop_missing_target")
            advice = f"Nothing can be learned from them: pass {option}." if option else ""
            raise _check.invalid("y", "have no missing values", got, advice)
        if self.is_number:
            if not series.dtype.is_numeric():
                raise _check.wrong_kind("y", "hold numbers", f"{series.dtype} in {self.target!r}")
            y = np.asarray(series.cast(nw.Float64).to_numpy())
        elif series.dtype in (nw.Categorical, nw.Enum):
            names = of_series(self.target, series).names()
            y = pa.array(names.levels).take(pa.array(names.codes)).to_numpy(zero_copy_only=False)
        else:
            y = np.asarray(series.to_numpy())
            refuse_fractions(y, of_numbers_too())
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise _check.invalid("y", "be finite", f"NaN or infinity in {self.target!r}")
        return y

    def _look(self) -> tuple[list[NDArray[np.float64]], int, NDArray[np.int64]]:
        """First pass: columns, levels, classes, and the ends of all bins."""
        columns: list[FittedColumn] = []
        known: list[bool] = []  # whether a batch had a value, and so a kind
        sketches: list[Sketch] = []
        distinct: list[Distinct] = []
        rows, counts = 0, np.empty(0, np.int64)
        for batch in batches(self.source):
            frame, y, weight = self._split(batch)
            found, held = (
                describe(frame, doubts=not columns),
                [not column.empty for column in frame.columns()],
            )
            if not columns:
                columns, known = found, held
                sketches = [Sketch() for _ in found]
                distinct = [Distinct(column.name, MAX_BINS) for column in found]
            columns = _joined(columns, found, known, held)
            known = [a or b for a, b in zip(known, held, strict=True)]
            if not self.is_number:
                counts = self._count(y, y if weight is None else y[weight > 0], counts)
            kept = self._kept(y, weight)
            for j, column in enumerate(frame.columns()):
                distinct[j].add(column.in_question())
                if column.kind != "name" or column.empty:
                    values = number(column)
                    sketches[j].add(values if kept is None else values[kept])
            rows += len(y) if kept is None else int(kept.sum())
        if not columns or not rows:
            got = f"{rows} rows and {len(columns)} columns"
            raise _check.invalid("X", "have rows and columns", got)
        for each in distinct:
            each.check()
        self.columns = columns
        pairs = zip(sketches, columns, strict=True)
        return [sketch.ends(MAX_BINS) for sketch, c in pairs if c.kind != "name"], rows, counts

    def _count(
        self, y: NDArray[Any], weighty: NDArray[Any], counts: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Join the classes of a batch, and count its rows that weigh something."""
        here = np.unique(y)
        count = np.bincount(np.searchsorted(here, weighty), minlength=len(here))
        classes = np.unique(np.concatenate([self.classes, here])) if len(self.classes) else here
        out = np.zeros(len(classes), np.int64)
        out[np.searchsorted(classes, self.classes)] = counts
        out[np.searchsorted(classes, here)] += count
        self.classes = classes
        return out

    def _kept(
        self, y: NDArray[Any], weight: NDArray[np.float64] | None
    ) -> NDArray[np.bool_] | None:
        """Rows of weight zero are dropped before anything."""
        kept = np.ones(len(y), np.bool_) if weight is None else weight > 0
        for name, value in self.given.items():
            if value == 0:
                kept &= y != name
        return None if kept.all() else kept

    def _write(self, ends: list[NDArray[np.float64]], rows: int, counts: NDArray[np.int64]) -> None:
        """Second pass: codes, targets and weights."""
        changed = _check.cannot(
            _check.thing("X") + " cannot be read", "it changed between the first and second time"
        )
        kind, slot, n_levels = layout(self.columns)
        bins = Bins(ends, rows)
        codes: NDArray[Any] = np.empty((len(n_levels), rows), code_type(n_levels))
        wide = np.float64 if self.is_number else np.uint8 if len(counts) <= 256 else np.int32
        self.y = np.empty(rows, wide)
        each = None
        if self.class_weight is not None:
            each = by_class(self.class_weight, self.classes, counts)
        weighted = each is not None or self.weight_name is not None
        self.weight = np.empty(rows) if weighted else np.broadcast_to(1.0, rows)
        at = 0
        for batch in batches(self.source):
            frame, y, weight = self._split(batch)
            cases = read(frame, self.columns)
            kept = self._kept(y, weight)
            if kept is not None:
                cases, y = cases.take(np.flatnonzero(kept)), y[kept]
                weight = None if weight is None else weight[kept]
            end = at + len(y)
            if end > rows:
                raise changed
            for s in range(len(ends)):
                bins.encode(s, at, cases.numbers[:, s])
            codes[:, at:end] = cases.codes
            if not self.is_number:
                y = np.searchsorted(self.classes, y)
                if y.max(initial=0) >= len(counts):
                    raise changed
            self.y[at:end] = y
            if weighted:
                self.weight[at:end] = 1.0 if weight is None else weight
                if each is not None:
                    self.weight[at:end] *= each[y]
            at = end
        if at != rows:
            raise changed
        self.cases = bins.cases(kind, slot, codes, n_levels)


def _joined(
    columns: list[FittedColumn], found: list[FittedColumn], known: list[bool], held: list[bool]
) -> list[FittedColumn]:
    """Return the columns of two pieces of a table; one that held no value fits every kind."""
    first, second = ([(c.name, c.kind) for c in some] for some in (columns, found))
    if [name for name, _ in first] != [name for name, _ in second]:
        pairs = ((a, b) for a, b in zip(first, second, strict=False) if a[0] != b[0])
    else:
        both = zip(first, second, known, held, strict=True)
        pairs = ((a, b) for a, b, x, y in both if x and y and a != b)
    wrong = [f"{b} after {a}" for a, b in pairs]
    if wrong or len(first) != len(second):
        got = wrong[0] if wrong else "another number of columns"
        raise _check.invalid("X", "have the same columns in every batch", got)
    for a, b in zip(columns, found, strict=True):
        if a.zoned is not None and b.zoned is (not a.zoned):
            raise mixed_zones(a.name, a.zoned)
    return [
        FittedColumn(
            a.name,
            a.kind if x or not y else b.kind,
            merged(a.levels, b.levels),
            b.zoned if a.zoned is None else a.zoned,
        )
        for a, b, x, y in zip(columns, found, known, held, strict=True)
    ]
