"""From counts of rows by their scores to a view of yes and no: what shards can merge."""

import numpy as np

from xent._kernels.predictions.scores import LOG_ODDS, PROBABILITY
from xent.evaluation._accumulator.scores.column import ScoreColumn
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
    both = (own > 0) & (own < rows)
    yes, times, starts = own == rows, 1 + both, np.arange(len(keys))
    entry = yes, log_yes, log_no, weight, mine, no_squares, my_squares
    if both.any():
        starts = np.cumsum(times) - times
        yes, log_yes, log_no, weight, mine, no_squares, my_squares = (
            np.repeat(values, times) for values in entry
        )
        yes[starts[both] + 1] = True
    return YesNo(
        log_yes, log_no, np.abs(np.where(yes, log_yes, log_no)), yes,
        np.where(yes, mine, weight - mine), np.where(yes, my_squares, no_squares), starts,
        not column.weighted,
    )  # fmt: skip


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
