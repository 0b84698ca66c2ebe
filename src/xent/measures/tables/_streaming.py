"""Columns counted batch by batch, in memory that does not grow with the number of rows.

Counts are exact up to `MAX_LEVELS` distinct values of a column. Past it, a sketch has neighbouring
numbers counted together: each bin still holds exactly the rows between its ends, only what lies
within it is no longer told apart. Of symbols past it, the frequent ones and one in 2^k of the
others, chosen by a hash, go on being counted, each of those for 2^k like it: adaptive sampling,
Flajolet (1990).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._progress import stage
from xent.measures.tables._bins import Codes, Numbers, bin_of, quantile_cuts
from xent.measures.tables._columns import (
    Field,
    check_total,
    field_of,
    frame_of,
    total_of,
    weights_of,
)

MAX_LEVELS = 1 << 17  # distinct values that a column is counted by
CELLS = 1 << 21  # pairs of a bin and a class
WHOLE_LIMIT = 2**62  # nothing in memory is too much: a frame already is
HASH = 64  # bits


class Pairs:
    """How often each pair of two small numbers was seen; what was added is sorted in now and then.

    The first of a pair may be -1.
    """

    def __init__(self) -> None:
        self.keys, self.weights = np.empty(0, dtype=np.int64), np.empty(0)
        self._new: list[tuple[Codes, Numbers]] = []
        self._waiting = 0

    def add(self, left: Codes, right: Codes, weights: Numbers) -> None:
        """Add pairs, one a row."""
        width = int(right.max(initial=0)) + 1
        keys, weights = _summed((left + 1) * width + right, weights)
        first, second = np.divmod(keys, width)
        self._new.append(((first << 32) | second, weights))
        self._waiting += self._new[-1][0].size
        if self._waiting > max(MAX_LEVELS, self.keys.size):
            self.settle()

    def settle(self) -> None:
        """Bring everything added into one sorted table."""
        if self._new:
            parts = [(self.keys, self.weights), *self._new]
            keys, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
            self.keys, self.weights = _summed(keys, weights)
            self._new, self._waiting = [], 0

    @property
    def left(self) -> Codes:
        """The first of each pair."""
        self.settle()
        return np.asarray((self.keys >> 32) - 1)

    @property
    def right(self) -> Codes:
        """The second of each pair."""
        self.settle()
        return np.asarray(self.keys & 0xFFFFFFFF)


class Spread:
    """Numbers by class in the intervals of a sketch, ``low`` to ``high``, one a value while few."""

    kind = "numbers"

    def __init__(self, most: int) -> None:
        from xent._table.sketch import Sketch

        self.sketch = Sketch(most, max(1, most // 4), points=False)
        self.place, self.classes = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        self.weights = np.empty(0)
        self.cuts: list[float] = []  # set by whoever cuts it for the next table
        self._new: list[tuple[NDArray[Any], Codes, Numbers]] = []
        self._waiting = 0

    @property
    def low(self) -> NDArray[Any]:
        """The least value of each interval."""
        return self.sketch.low

    @property
    def high(self) -> NDArray[Any]:
        """The greatest value of each interval."""
        return self.sketch.high

    @property
    def rows(self) -> Numbers:
        """Rows in each interval."""
        return np.bincount(self.place, self.weights, self.high.size).astype(np.float64)

    def add(self, field: Field, classes: Codes, weights: Numbers) -> None:
        """Count numbers, none of them NaN."""
        width = int(classes.max(initial=0)) + 1
        if width == 1 and (weights == 1).all():  # sorted alone, which is far cheaper
            found, counts = np.unique(field.values, return_counts=True)
            classes, weights = np.zeros_like(counts), counts.astype(np.float64)
        else:
            found, place = np.unique(field.values, return_inverse=True)
            keys, weights = _summed(place * width + classes, weights)
            found, classes = found[keys // width], keys % width
        self._new.append((found, classes, weights))
        self._waiting += found.size
        if self._waiting > max(MAX_LEVELS, self.place.size):
            self.settle()

    def settle(self) -> None:
        """Sort in what was added; the sketch joins neighbours if there are too many."""
        if not self._new:
            return
        values, classes, weights = (np.concatenate(part) for part in zip(*self._new, strict=True))
        self._new, self._waiting = [], 0
        found, place = np.unique(values, return_inverse=True)
        known = self.high[self.place]
        self.sketch.take(found, np.bincount(place, weights, found.size))
        self._sort(
            np.concatenate([known, values]) if known.size else values,
            np.concatenate([self.classes, classes]),
            np.concatenate([self.weights, weights]),
        )
        shares = self.sketch.shares
        while self.place.size > CELLS and self.sketch.exact < WHOLE_LIMIT and self.high.size > 1:
            known, shares = self.high[self.place], max(1, shares // 2)
            self.sketch.join(self.sketch.total / shares)
            self._sort(known, self.classes, self.weights)

    def _sort(self, values: NDArray[Any], classes: Codes, weights: Numbers) -> None:
        """Count values by the interval that they lie in, and by class."""
        width = int(classes.max(initial=0)) + 1
        place = np.searchsorted(self.high, values)
        keys, self.weights = _summed(place * width + classes, weights)
        self.place, self.classes = keys // width, keys % width


class BinnedCounts:
    """Numbers counted between cuts that are known."""

    kind = "numbers"

    def __init__(self, cuts: list[float]) -> None:
        self.cuts = cuts
        self.rows = np.zeros(len(cuts) + 1)

    def add(self, field: Field, _classes: Codes, weights: Numbers) -> None:
        """Count numbers, none of them NaN."""
        self.rows += np.bincount(bin_of(field.values, self.cuts), weights, self.rows.size)


class Symbols:
    """Symbols in the order in which they were first seen, and the pairs of symbol and class."""

    kind = "symbols"

    def __init__(self, most: int) -> None:
        self.most = most
        self.number: dict[Any, int] = {}
        self.certain: set[Any] | None = None  # counted whatever their hash, once there are too many
        self.level = 0
        self.pairs = Pairs()

    def add(self, field: Field, classes: Codes, weights: Numbers) -> None:
        """Count codes of symbols, none of them missing."""
        width = int(classes.max(initial=0)) + 1
        keys = field.values.astype(np.int64, copy=False)
        keys, weights = _summed(keys if width == 1 else keys * width + classes, weights)
        codes, classes = np.divmod(keys, width)
        found = codes[np.append(True, codes[1:] != codes[:-1])]  # each code once: they are sorted
        places = np.full(len(field.symbols), -1, dtype=np.int64)
        places[found] = [self._place(field.symbols[code]) for code in found.tolist()]
        codes = places[codes]
        some = codes >= 0
        self.pairs.add(codes[some], classes[some], weights[some])
        while len(self.number) > self.most:
            self._thin()

    def keep(self, certain: set[Any] | None, level: int) -> None:
        """Forget all symbols but the certain ones and the one in 2^level chosen by hash."""
        self.certain, self.level = certain, level
        kept = [s for s in self.number if self._chosen(s)]
        places = np.full(len(self.number), -1, dtype=np.int64)
        places[[self.number[s] for s in kept]] = np.arange(len(kept))
        codes, classes, weights = places[self.pairs.left], self.pairs.right, self.pairs.weights
        some = codes >= 0
        self.number = {s: i for i, s in enumerate(kept)}
        self.pairs = Pairs()
        self.pairs.add(codes[some], classes[some], weights[some])

    def copies_of(self, symbols: Iterable[Any]) -> Numbers:
        """How many symbols each one stands for."""
        sure = self.certain or ()
        return np.array([1.0 if s in sure else 2.0**self.level for s in symbols])

    def _place(self, symbol: Any) -> int:
        code = self.number.get(symbol)
        if code is None:
            if not self._chosen(symbol):
                return -1
            code = self.number[symbol] = len(self.number)
        return code

    def _chosen(self, symbol: Any) -> bool:
        if self.level == 0 or (self.certain is not None and symbol in self.certain):
            return True
        digest = blake2b(repr(symbol).encode("utf-8", "replace"), digest_size=HASH // 8).digest()
        return int.from_bytes(digest) >> (HASH - self.level) == 0

    def _thin(self) -> None:
        sure = self.certain
        if sure is None:
            codes = self.pairs.left
            rows = np.bincount(codes, self.pairs.weights, minlength=len(self.number))
            names = list(self.number)
            order = np.argsort(-rows, kind="stable")[: self.most // 2]
            sure = {names[k] for k in order.tolist()}
        self.keep(sure, self.level + 1)


class Tally:
    """One column: what it holds by class, and its missing values."""

    def __init__(self, argument: str, most: int, before: Tally | None = None) -> None:
        self.argument, self.most, self.before = argument, most, before
        self.kind = "symbols"
        self.zoned: bool | None = None
        self.known: Any = None  # Spread, Binned or Symbols; None until there is a value
        self.gaps = np.zeros(0)  # weight of the missing values by class
        self.missing = self.used = 0  # rows without a value; rows with one, and with a class

    def add(self, field: Field, classes: Codes, weights: Numbers) -> None:
        """Count a batch; a row of class -1 counts for `missing` alone."""
        self.kind = field.kind
        self.zoned = field.zoned if self.zoned is None else self.zoned
        self.missing += int(field.missing.sum())
        gap = field.missing & (classes >= 0)
        size = max(self.gaps.size, int(classes.max(initial=-1)) + 1)
        self.gaps = np.pad(self.gaps, (0, size - self.gaps.size))
        self.gaps += np.bincount(classes[gap], weights[gap], size)
        whole = ~field.missing & (classes >= 0)
        self.used += int(whole.sum())
        if whole.any():
            if self.known is None:
                self.known = self._empty(field.numeric)
            if not whole.all():
                field, classes, weights = field.take(whole), classes[whole], weights[whole]
            self.known.add(field, classes, weights)

    def _empty(self, numeric: bool) -> Spread | BinnedCounts | Symbols:
        known = None if self.before is None else self.before.known
        if numeric and self.before is None:
            return Spread(self.most)
        if numeric:
            return BinnedCounts(known.cuts if isinstance(known, Spread) else [])
        found = Symbols(self.most)
        if isinstance(known, Symbols):
            found.certain, found.level = known.certain, known.level
        return found


def is_streamed(table: Any) -> bool:
    """Whether a table is read in batches: a path, or a function that returns its batches."""
    return isinstance(table, str | os.PathLike) or callable(table)


class Table:
    """What is read in batches, or a data frame, which is one batch.

    Parameters
    ----------
    argument : str
        What the caller calls it.
    table : Any
        A data frame, the path of a file, or a function that returns batches from the start each
        time it is called.
    text : iterable of str
        Columns of a CSV that are text whatever they look like.
    """

    def __init__(self, argument: str, table: Any, text: Iterable[str] = ()) -> None:
        self.argument, self.text = argument, tuple(text)
        self.streamed = is_streamed(table)
        self.source = table
        self.title = os.path.basename(table) if isinstance(table, str | os.PathLike) else argument
        if not self.streamed:
            self.frame = frame_of(argument, table)
            self.names = self.frame.names
            return
        rest = self._scan(None)
        first = next(rest, None)
        # What gives its batches by a function is read on by who counts next.
        self.begun = chain([first], rest) if callable(table) and first is not None else None
        self.names = [] if first is None else first.names
        if not self.names:
            raise _check.invalid(argument, "have at least one row", "none")

    @property
    def most(self) -> int:
        """Distinct values up to which its columns are counted exactly."""
        return MAX_LEVELS if self.streamed else WHOLE_LIMIT

    def batches(self, title: str, columns: list[str] | None = None) -> Iterator[Any]:
        """Read the batches as data frames, with a bar on a terminal."""
        if not self.streamed:
            yield self.frame
            return
        rows = 0
        with stage(f"{title} {self.title!s}", None, "rows") as told:
            begun, self.begun = self.begun, None
            for frame in begun or self._scan(columns):
                yield frame
                rows += len(frame)
                told(rows)

    def _scan(self, columns: list[str] | None) -> Iterator[Any]:
        import pyarrow as pa

        from xent import _table
        from xent._table.frames import Frame

        if callable(self.source):
            for batch in self.source():
                frame = Frame(batch, self.argument)
                if len(frame):
                    yield frame
            return
        path: Any = self.source
        batches = _table.scan(
            path, columns, 1 << 16, text=self.text, exact=True, argument=self.argument
        )
        for batch in batches:
            if batch.num_rows:
                table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
                yield Frame(_table.blanks_as_missing(table, path), self.argument)


def counted(
    table: Table, columns: list[str], weights: Any, before: dict[str, Tally] | None = None
) -> dict[str, Tally]:
    """Count columns of a table without classes, in the bins and by the symbols of those before."""
    tallies = {
        name: Tally(
            f"{table.argument}[{name!r}]", table.most, None if before is None else before[name]
        )
        for name in columns
    }
    wanted = [*columns, weights] if isinstance(weights, str) else columns
    total = 0.0
    for frame in table.batches("counting", list(dict.fromkeys(wanted))):
        weight = weights_of("weights", weights, frame)
        total += total_of(weight)
        some = weight > 0
        every = bool(some.all())
        weight = weight if every else weight[some]
        nothing = np.zeros(weight.size, dtype=np.int64)
        for name, tally in tallies.items():
            field = field_of(frame, name, tally.argument)
            tally.add(field if every else field.take(some), nothing, weight)
    check_total(total)
    if total < 1:
        must = "have a sum of at least 1, as they are numbers of rows"
        raise _check.invalid("weights", must, f"{total:.6g}")
    return tallies


def cut(tally: Tally, pieces: int) -> list[float]:
    """Cut the numbers of a column at quantiles, and say so in its tally; names are not cut."""
    known = tally.known
    if not isinstance(known, Spread):
        return []
    known.settle()
    values = np.concatenate([known.low[:1], known.high])
    known.cuts = quantile_cuts(values, np.concatenate([[0.0], known.rows]), pieces)
    return known.cuts


def _summed(keys: NDArray[Any], weights: Numbers) -> tuple[NDArray[Any], Numbers]:
    """Add up the weights of equal keys, the keys sorted."""
    if keys.size and int(keys.max()) < 4 * keys.size:
        counts = np.bincount(keys)
        found = np.flatnonzero(counts)
        every = (weights == 1).all()
        return found, (counts if every else np.bincount(keys, weights))[found].astype(np.float64)
    found, place = np.unique(keys, return_inverse=True)
    return found, np.bincount(place, weights, found.size).astype(np.float64)
