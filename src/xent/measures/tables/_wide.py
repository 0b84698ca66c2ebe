"""Tables of thousands of columns that fit in memory: most columns are done with many at once.

Of a column of numbers nearly all that is done serves to see that no cut is worth its description.
That is seen here for a block of columns, by the arithmetic that `_bins` does for one, number by
number the same; only a column that is cut is then looked at by itself. Columns of text and of
booleans are coded and scored a block at a time; what may be warned of is looked at by itself.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from xent.measures.tables._bins import Codes, Numbers, first_cuts
from xent.measures.tables._scores import Counted, scores_of

WIDE_COLUMNS = 1000  # columns
TABLE_BYTES = 256 << 20  # of a table, up to which it is held
SORTED_CELLS = 1 << 18  # sorted at once
EXACT_FLOATS = 2**53  # below it every whole number is a float


class Waiting:
    """Batches that are held, each with its classes and weights, as long as they are few enough.

    Parameters
    ----------
    wanted : bool
        Whether any are.
    """

    def __init__(self, wanted: bool) -> None:
        self.wanted, self.bytes = wanted, 0
        self.batches: list[tuple[Any, Codes, Numbers]] = []

    def add(self, frame: Any, codes: Codes, weight: Numbers) -> list[tuple[Any, Codes, Numbers]]:
        """Take a batch; return those, this one among them, that cannot be held."""
        self.batches.append((frame, codes, weight))
        self.bytes += int(getattr(frame.native, "nbytes", TABLE_BYTES))
        # A row without a class is left out by rules of its own.
        self.wanted &= self.bytes < TABLE_BYTES and not (codes < 0).any()
        if self.wanted:
            return []
        given, self.batches = self.batches, []
        return given

    def whole(self, most: int) -> tuple[Any, Codes] | None:
        """Return all as one table of Arrow, and its classes; None where that is not so.

        Parameters
        ----------
        most : int
            Rows, above which a column may have more values than are told apart.
        """
        import pyarrow as pa

        tables = [frame.native for frame, _, _ in self.batches]
        if not tables or not all(isinstance(table, pa.Table) for table in tables):
            return None
        rows = sum(map(len, tables))
        if rows > most or any(table.schema.types != tables[0].schema.types for table in tables):
            return None
        codes = np.concatenate([codes for _, codes, _ in self.batches])
        return pa.concat_tables(tables).combine_chunks(), codes


def uncut(table: Any, names: Sequence[str], target: Codes) -> Iterator[str]:
    """Name the columns of plain numbers, none missing, of which no cut is worth its description.

    Parameters
    ----------
    table : pyarrow.Table
        The table; its columns are looked at by their names.
    names : sequence of str
        The columns asked about.
    target : ndarray of int64, shape (N,)
        The class of each row, from 0.
    """
    block: list[Numbers] = []
    inside: list[str] = []
    most = max(1, SORTED_CELLS // max(1, target.size))
    place = {name: i for i, name in enumerate(table.schema.names)}
    for name in names:
        values = _plain(table.column(place[name]))
        if values is not None:
            block.append(values)
            inside.append(name)
        if len(block) == most:
            yield from _uncut(block, inside, target)
            block, inside = [], []
    if block:
        yield from _uncut(block, inside, target)


def _uncut(block: list[Numbers], names: list[str], target: Codes) -> Iterator[str]:
    cut = first_cuts(np.stack(block), target)
    return (name for name, is_cut in zip(names, cut.tolist(), strict=True) if not is_cut)


def _plain(column: Any) -> Numbers | None:
    """Return the numbers of a column of floats, or of whole numbers that are; None for others."""
    import pyarrow as pa

    if column.null_count or column.type not in (pa.float64(), pa.int64()):
        return None
    values = column.to_numpy()
    bound = EXACT_FLOATS if column.type == pa.int64() else np.inf
    # NaN is not below anything: it is a missing value.
    if not ((values < bound) & (values > -bound)).all():
        return None
    return np.asarray(values, dtype=np.float64)


class TextScore(NamedTuple):
    """A column of text: its score in nats, its levels, and its missing values."""

    name: str
    score: float
    levels: int
    missing: int


class _Coded(NamedTuple):
    """A block of columns as codes, -1 for what is missing; no two columns share one."""

    names: list[str]
    codes: Codes
    in_order: bool  # whether the levels of a column follow their codes, else their first rows


def text_scores(
    table: Any, names: Sequence[str], target: Codes, score: str, *, gaps: bool
) -> Iterator[TextScore]:
    """Score the columns of text, categories and booleans.

    Left out are those of which a level reads like a number, a date or a boolean, and those of
    which the dictionary holds a level twice or a missing one.

    Parameters
    ----------
    table : pyarrow.Table
        The table, each column in one piece.
    names : sequence of str
        The columns asked about.
    target : ndarray of int64, shape (N,)
        The class of each row, from 0; every one occurs.
    score : str
        One of those of `rank_features`.
    gaps : bool
        Whether missing values are a level of their own; where not, columns with one are left out.
    """
    of_y, rows = np.bincount(target).astype(np.float64), target.size
    for block in _blocks(table, names, max(1, SORTED_CELLS // rows)):
        missing = (block.codes < 0).sum(axis=1)
        level, levels = _levels(block)
        kept = np.flatnonzero((missing == 0) | gaps)
        scores = np.zeros(len(missing))
        several = kept[levels[kept] > 1]
        if several.size:
            first = np.cumsum(levels[several]) - levels[several]
            cells = (level[several] + first[:, None]) * of_y.size + target
            pairs, counts = np.unique(cells, return_counts=True)
            both, level_of = counts.astype(np.float64), pairs // of_y.size
            of_x = np.bincount(level_of, both).astype(np.float64)
            columns = Counted(
                of_x, np.ones(of_x.size), first, both, level_of, np.searchsorted(level_of, first)
            )
            scores[several] = scores_of(columns, of_y, float(rows), score)
        found = zip(scores.tolist(), levels.tolist(), missing.tolist(), strict=True)
        scored = [TextScore(name, *one) for name, one in zip(block.names, found, strict=True)]
        yield from (scored[k] for k in kept.tolist())


def _levels(block: _Coded) -> tuple[Codes, Codes]:
    """Return the level of each row by column, from 0, a missing value's last; and how many."""
    columns, rows = block.codes.shape
    flat = block.codes.ravel()
    known = np.flatnonzero(flat >= 0)
    _, first, place = np.unique(flat[known], return_index=True, return_inverse=True)
    column = known[first] // rows
    order = np.argsort(column if block.in_order else known[first], kind="stable")
    levels = np.bincount(column, minlength=columns)
    number = np.empty_like(order)
    number[order] = np.arange(order.size) - np.repeat(np.cumsum(levels) - levels, levels)
    found = np.repeat(levels, rows)
    found[known] = number[place]
    return found.reshape(columns, rows), levels + (block.codes < 0).any(axis=1)


def _blocks(table: Any, names: Sequence[str], most: int) -> Iterator[_Coded]:
    """Code the columns that can be, so many at once."""
    place = {name: i for i, name in enumerate(table.schema.names)}
    waiting: dict[Any, list[tuple[str, Any]]] = {}
    for name in names:
        column = table.column(place[name])
        coded = _CODERS.get(str(column.type).partition("<")[0])
        if coded is None or column.num_chunks != 1:
            continue
        some = waiting.setdefault(coded, [])
        some.append((name, column.chunk(0)))
        if len(some) == most:
            yield coded(waiting.pop(coded))
    for coded, some in waiting.items():
        yield coded(some)


def _of_text(columns: list[tuple[str, Any]]) -> _Coded:
    import pyarrow as pa

    found = pa.concat_arrays([column for _, column in columns]).dictionary_encode()
    codes = _plain_codes(found.indices).reshape(len(columns), -1)
    doubted = np.array([*map(_is_doubted, found.dictionary.to_pylist()), False])
    fine = np.flatnonzero(~doubted[codes].any(axis=1))
    column = np.arange(fine.size)[:, None] * len(doubted)
    codes = codes[fine]
    names = [columns[k][0] for k in fine.tolist()]
    return _Coded(names, np.where(codes < 0, -1, codes + column), in_order=False)


def _of_categories(columns: list[tuple[str, Any]]) -> _Coded:
    names, codes, size = [], [], 0
    for name, column in columns:
        levels = column.dictionary.to_pylist()
        own = _plain_codes(column.indices)
        plain = all(isinstance(level, str) for level in levels) and len(set(levels)) == len(levels)
        if not (plain and not any(map(_is_doubted, levels))):
            continue
        names.append(name)
        codes.append(np.where(own < 0, -1, own + size))
        size += len(levels)
    rows = len(columns[0][1])
    return _Coded(names, np.array(codes, np.int64).reshape(len(names), rows), in_order=True)


def _of_flags(columns: list[tuple[str, Any]]) -> _Coded:
    own = np.stack([_plain_codes(column) for _, column in columns])
    codes = np.where(own < 0, -1, own + 2 * np.arange(len(columns))[:, None])
    return _Coded([name for name, _ in columns], codes, in_order=True)


def _plain_codes(codes: Any) -> Codes:
    return np.asarray(codes.cast("int64").fill_null(-1).to_numpy(zero_copy_only=False))


def _is_doubted(text: str | None) -> bool:
    from xent._table.frames.doubts import is_value
    from xent._table.frames.levels import as_flag

    return text is not None and (as_flag(text) is not None or is_value(text))


_CODERS: dict[str, Callable[[list[tuple[str, Any]]], _Coded]] = {
    "string": _of_text,
    "dictionary": _of_categories,
    "bool": _of_flags,
}
