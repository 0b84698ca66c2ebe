"""From what was measured of each row to views of yes and no: class against rest, and winner."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from xent.evaluation._calibration.yes_no import YesNo, in_order, log_rest
from xent.evaluation._predictions import Predictions
from xent.evaluation._rows import RowFigures


def of_two(rows: RowFigures, given: Predictions, *, whole: bool) -> YesNo:
    """Return the view of the second of two classes."""
    (score,), yes = rows.scores, rows.truth == 1
    if given.kind != "probs":
        log_yes, log_no = -np.logaddexp(0.0, -score), -np.logaddexp(0.0, score)
    else:
        chosen = given.scores[rows.row].astype(np.float64)
        with np.errstate(divide="ignore"):
            if chosen.ndim == 1:
                log_yes, log_no = np.log(chosen), np.log1p(-chosen)
            else:
                log_no, log_yes = np.log(chosen / chosen.sum(axis=1, keepdims=True)).T
    return in_order(score, log_yes, log_no, rows.cost, yes, rows.weight, whole=whole)


def against_rest(
    rows: RowFigures, given: Predictions, *, whole: bool
) -> Iterator[tuple[int, YesNo]]:
    """Yield each class and its view against the rest."""
    total: Any = None
    if given.kind == "probs":
        total = given.scores.sum(axis=1, dtype=np.float64)[rows.row]
    for c, score in enumerate(rows.scores):
        yes = rows.truth == c
        log_yes = score.astype(np.float64)
        if total is not None:
            with np.errstate(divide="ignore"):
                log_yes = np.log(log_yes / total)
        log_yes = np.minimum(log_yes, 0.0)
        log_no = log_rest(log_yes)
        # Where the class is true, its cost has been measured.
        cost = np.where(yes, rows.cost, np.abs(log_no))
        yield c, in_order(score, log_yes, log_no, cost, yes, rows.weight, whole=whole)


def of_winner(rows: RowFigures, *, whole: bool) -> YesNo:
    """Return the view of the class that was given most: whether it was the true one."""
    right = rows.guess == rows.truth
    log_yes = np.minimum(np.log(rows.confidence), 0.0)
    log_no = log_rest(log_yes)
    cost = np.where(right, rows.cost, np.abs(log_no))
    return in_order(rows.confidence, log_yes, log_no, cost, right, rows.weight, whole=whole)
