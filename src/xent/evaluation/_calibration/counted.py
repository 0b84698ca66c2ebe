"""From counts of rows by their scores to a view of yes and no: what shards can merge."""

import numpy as np

from xent._kernels.predictions.scores import LOG_ODDS, PROBABILITY
from xent.evaluation._accumulator.scores.column import ScoreColumn
from xent.evaluation._calibration.estimators.corp import LevelBlocks, recalibrated
from xent.evaluation._calibration.yes_no import Numbers, YesNo, log_rest


def view_of(column: ScoreColumn) -> YesNo:
    """Return the view of one class: for each score an entry of its yes and one of its no.

    Where scores were counted by cells, each row has the log odds of the middle of its cell.
    """
    held = column.held()
    keys, rows, own = held.keys, held.rows, held.yes
    weight, mine = held.weights()
    no_squares, my_squares = weight - mine, mine
    if column.weighted:
        # As if the rows of one score had one weight: which each has is not known.
        no_squares = np.square(weight - mine) / np.maximum(rows - own, 1)
        my_squares = np.square(mine) / np.maximum(own, 1)
    scores = column.scores(held)
    if scores is not None:
        log_yes, log_no = _logs(scores, column.kind)
    else:
        log_yes, log_no = _logs(column.log_odds(held), LOG_ODDS)
    # Of most scores all rows are yes or all no: an entry; of the others two, no before yes.
    both = np.flatnonzero((own > 0) & (own < rows))
    second = both + np.arange(1, len(both) + 1)
    order, marks = np.arange(len(keys) + len(both)), np.zeros(len(keys) + len(both), np.int64)
    marks[second] = 1
    order -= np.cumsum(marks)  # of the score that an entry is of
    all_yes = own == rows
    yes, log_yes, log_no = all_yes[order], log_yes[order], log_no[order]
    yes[second] = True
    entry = np.where(all_yes, mine, weight - mine)[order]
    entry[second] = mine[both]
    squares = entry
    if column.weighted:
        squares = np.where(all_yes, my_squares, no_squares)[order]
        squares[second] = my_squares[both]
    return YesNo(
        log_yes, log_no, np.abs(np.where(yes, log_yes, log_no)), yes, entry, squares,
        np.flatnonzero(marks == 0), not column.weighted,
    )  # fmt: skip


def finest_blocks(
    column: ScoreColumn, view: YesNo, blocks: LevelBlocks | None = None
) -> LevelBlocks:
    """Return the isotonic regression of yes, of cells the finest that were counted.

    An isotonic regression may bend between any two rows, so it asks for finer cells than all else,
    of which `view_of` has none. Only the sums of its blocks are known then.

    Parameters
    ----------
    column : ScoreColumn
        What was counted.
    view : YesNo
        The view of it.
    blocks : LevelBlocks, optional
        The isotonic regression of that, where it is known.
    """
    if column.exact or column.cells is None or column.weighted:
        return recalibrated(view) if blocks is None else blocks
    return LevelBlocks(np.zeros(0, np.int64), *column.cells.pooled())


def _logs(scores: Numbers, kind: int) -> tuple[Numbers, Numbers]:
    """Return the logarithms of the probabilities of yes and no."""
    if kind == LOG_ODDS:
        return -np.logaddexp(0.0, -scores), -np.logaddexp(0.0, scores)
    if kind == PROBABILITY:
        p = np.minimum(scores, 1.0)
        with np.errstate(divide="ignore"):
            return np.log(p), np.log1p(-p)
    log_yes = np.minimum(scores, 0.0)
    return log_yes, log_rest(log_yes)
