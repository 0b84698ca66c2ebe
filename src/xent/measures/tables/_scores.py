"""What a column of levels tells about classes, as one number, and what a shuffled one would tell.

Of rows that weigh alike many shuffles are counted at once. A column of numbers is sorted once; a
shuffle in which no cut is worth its description, as nearly all are, is never looked at row by row.
"""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xent.measures.tables._bins import Codes, Numbers, bin_of, first_cut, mdl_cuts
from xent.measures.tables._columns import Field

MAX_CUTS = 1 << 20  # cells up to which a table of two columns is counted without sorting
SHUFFLED_ROWS = 1 << 20  # rows of shuffles that are held together
WRITTEN_ROWS = 1 << 22  # rows that were counted, up to which they are written out again


@dataclass(frozen=True)
class ColumnRows:
    """A column by rows, or by counts: a row for each value and class that occur together.

    Parameters
    ----------
    field : Field
        The column.
    target : ndarray of int64
        The classes, from 0.
    weight : ndarray of float64
        How many rows each row stands for.
    copies : ndarray of float64, optional
        How many levels each row's level stands for.
    """

    field: Field
    target: Codes
    weight: Numbers
    copies: Numbers | None = None

    def shuffled(self, draw: np.random.Generator) -> ColumnRows:
        """Return it with its values in another order."""
        values = self.field.take(draw.permutation(self.weight.size))
        return ColumnRows(values, self.target, self.weight)

    def redrawn(self, draw: np.random.Generator) -> ColumnRows:
        """Return the counts of rows that were shuffled: one of the tables with these margins."""
        from scipy.stats import random_table

        field = self.field
        top = np.where(field.missing, 0, field.values).max(initial=0) + 1
        level = np.where(field.missing, top, field.values)
        _, first, x = np.unique(level, return_index=True, return_inverse=True)
        margins = [np.bincount(codes, self.weight).astype(np.int64) for codes in (x, self.target)]
        # The other method would hold every row.
        drawn = random_table(*margins).rvs(method="patefield", random_state=draw)
        i, j = np.nonzero(drawn)
        more = None if self.copies is None else self.copies[first][i]
        return ColumnRows(field.take(first[i]), j, drawn[i, j].astype(np.float64), more)

    def written_out(self) -> ColumnRows:
        """Return a row for each row that was counted."""
        each = np.repeat(np.arange(self.weight.size), self.weight.astype(np.int64))
        return ColumnRows(self.field.take(each), self.target[each], np.ones(each.size))


def chance_scores(
    rows: ColumnRows, score: str, times: int, draw: np.random.Generator, *, counted: bool
) -> Numbers:
    """Return the scores of so many shuffled columns, each cut anew.

    Parameters
    ----------
    rows : ColumnRows
        The column.
    score : str
        What `score_of` computes.
    times : int
        How many shuffles.
    draw : Generator
        Where they come from.
    counted : bool
        Whether ``rows`` are counts of rows.
    """
    if counted:
        if rows.copies is not None or rows.weight.sum() > WRITTEN_ROWS:
            return np.array([_scored(rows.redrawn(draw), score) for _ in range(times)])
        rows = rows.written_out()
    if (rows.weight != rows.weight[0]).any():
        return np.array([_scored(rows.shuffled(draw), score) for _ in range(times)])
    sorted_rows = _sorted(rows)
    least = max(1, SHUFFLED_ROWS // rows.target.size)
    blocks = [min(least, times - start) for start in range(0, times, least)]
    scored = _of_numbers if rows.field.numeric else _of_symbols
    found = []
    for block in blocks:
        shuffles = np.broadcast_to(sorted_rows.target, (block, rows.target.size))
        found.append(scored(sorted_rows, draw.permuted(shuffles, axis=1), score))
    return np.concatenate(found)


def _sorted(rows: ColumnRows) -> ColumnRows:
    """Return the rows in the order of the column's values, those without one last."""
    field = rows.field
    order = np.lexsort((np.where(field.missing, 0, field.values), field.missing))
    return ColumnRows(field.take(order), rows.target[order], rows.weight[order])


def _scored(rows: ColumnRows, score: str) -> float:
    return score_of(levels_of(rows)[0], rows.target, rows.weight, score, rows.copies)


def _of_symbols(rows: ColumnRows, shuffles: Codes, score: str) -> Numbers:
    """Score shuffles of the classes against a column of symbols."""
    levels = levels_of(rows)[0]
    return np.array([score_of(levels, target, rows.weight, score) for target in shuffles])


def _of_numbers(rows: ColumnRows, shuffles: Codes, score: str) -> Numbers:
    """Score shuffles of the classes against a sorted column of numbers."""
    known = rows.field.values[: rows.field.values.size - int(rows.field.missing.sum())]
    ends = np.flatnonzero(np.append(known[1:] != known[:-1], True))
    worth = first_cut(shuffles[:, : known.size], ends, float(rows.weight[0]))
    found = np.zeros(len(shuffles))
    # Without a cut it is one level, or two where some values are missing.
    whole = np.arange(len(shuffles)) if known.size < rows.target.size else np.flatnonzero(worth)
    for k in whole.tolist():
        shuffle = ColumnRows(rows.field, shuffles[k], rows.weight)
        found[k] = _scored(shuffle, score)
    return found


def levels_of(rows: ColumnRows) -> tuple[Codes, list[float]]:
    """Return the level of each row, the last for missing values, and the cuts."""
    field, target, weight = rows.field, rows.target, rows.weight
    if not field.numeric:
        return np.where(field.missing, len(field.symbols), field.values), []
    known = ~field.missing
    cuts = mdl_cuts(field.values[known], target[known], weight[known])
    codes = np.full(weight.size, len(cuts) + 1, dtype=np.int64)
    codes[known] = bin_of(field.values[known], cuts)
    return codes, cuts


def score_of(
    x: Codes, y: Codes, weight: Numbers, score: str, copies: Numbers | None = None
) -> float:
    """Score two columns of codes, in nats; a row may stand for copies of its x."""
    x = np.unique(x, return_inverse=True)[1]
    width, levels = int(y.max()) + 1, int(x.max()) + 1
    if levels == 1:
        return 0.0
    cells = x * width + y
    if levels * width > max(MAX_CUTS, 4 * x.size):
        found, cells = np.unique(cells, return_inverse=True)
    else:
        found = np.arange(levels * width)
    both = np.bincount(cells, weight, minlength=found.size)
    of_x = np.bincount(x, weight).astype(np.float64)
    alike = np.ones(levels)  # how many levels each one stands for
    if copies is not None:
        alike[x] = copies
        weight = weight * copies
    some = np.flatnonzero(both)
    one = np.zeros(1, dtype=np.int64)
    columns = Counted(of_x, alike, one, both[some].astype(float), found[some] // width, one)
    of_y = np.bincount(y, weight).astype(np.float64)
    return float(scores_of(columns, of_y, float(weight.sum()), score)[0])


@dataclass(frozen=True)
class Counted:
    """Columns of levels, counted, one after another.

    Parameters
    ----------
    rows : ndarray of float64, shape (L,)
        Rows of each level.
    alike : ndarray of float64, shape (L,)
        How many levels each one stands for.
    first : ndarray of int64, shape (C,)
        The first level of each column.
    both : ndarray of float64, shape (P,)
        Rows of each level and class that occur together.
    level : ndarray of int64, shape (P,)
        The level of each such pair.
    first_pair : ndarray of int64, shape (C,)
        The first pair of each column.
    """

    rows: Numbers
    alike: Numbers
    first: Codes
    both: Numbers
    level: Codes
    first_pair: Codes


def scores_of(columns: Counted, of_y: Numbers, total: float, score: str) -> Numbers:
    """Score columns of two and more levels each, in nats.

    Parameters
    ----------
    columns : Counted
        The columns.
    of_y : ndarray of float64
        Rows of each class.
    total : float
        All rows.
    score : str
        One of those of `rank_features`.
    """
    also = columns.alike[columns.level]
    if score == "gini":
        share = also * columns.both / total
        pure = _sums(share * (columns.both / columns.rows[columns.level]), columns.first_pair)
        return np.fmax(0.0, pure - float(((of_y / total) ** 2).sum()))
    h_x = _entropies(columns.rows, total, columns.alike, columns.first)
    h_y = _entropies(of_y[of_y > 0], total, np.ones(1), columns.first[:1])
    gain = np.fmax(0.0, h_x + h_y - _entropies(columns.both, total, also, columns.first_pair))
    if score == "gain_ratio":
        return np.asarray(gain / h_x)
    return 2 * gain / (h_x + h_y) if score == "symmetric_uncertainty" else gain


def _entropies(counts: Numbers, total: float, copies: Numbers, first: Codes) -> Numbers:
    p = counts / total
    return -_sums(copies * p * np.log(p), first)


def _sums(values: Numbers, first: Codes) -> Numbers:
    """Sum each stretch, to the bit as by itself: `np.add.reduceat` groups them otherwise."""
    if first.size == 1:
        return np.array([values.sum()])
    found, sizes = np.empty(first.size), np.diff(first, append=values.size)
    for size in np.unique(sizes).tolist():
        those = np.flatnonzero(sizes == size)
        found[those] = values[first[those][:, None] + np.arange(size)].sum(axis=1)
    return found
