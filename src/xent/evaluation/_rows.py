"""What each row cost and what was said of it, measured block by block."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._kernels.predictions.figures import NARROW, RowArrays, mend, room_for
from xent._kernels.predictions.narrow import (
    narrow_logits,
    narrow_logits_by_column,
    narrow_probs,
    narrow_probs_by_column,
)
from xent._kernels.predictions.wide import wide_logits, wide_probs
from xent.evaluation._predictions import Predictions


@dataclass(frozen=True)
class RowFigures:
    """Numbers of each row that counts: not ignored, of weight above 0.

    Parameters
    ----------
    row : ndarray of int64, shape (N,)
        Its number in what was given.
    truth, guess : ndarray of int64
        The true class, and the one that was given most, of equals the first.
    rank : ndarray of int64
        How many classes go before the true one: were given more, or as much and stand before it.
    cost : ndarray of float64
        -log of the probability of the true class, in nats.
    given : ndarray of float64
        The probability of the true class.
    confidence : ndarray of float64
        The probability of ``guess``.
    brier : ndarray of float64
        Σ_c (p_c - t_c)².
    weight : ndarray of float64
        How much it counts.
    scores : sequence of ndarray
        What ranks the rows for each class, where that was asked for; of two classes for the second
        alone, none where there are too many.
    """

    row: NDArray[np.int64]
    truth: NDArray[np.int64]
    guess: NDArray[np.int64]
    rank: NDArray[np.int64]
    cost: NDArray[np.float64]
    given: NDArray[np.float64]
    confidence: NDArray[np.float64]
    brier: NDArray[np.float64]
    weight: NDArray[np.float64]
    scores: Sequence[NDArray[Any]] = ()


def blocks_of(
    predictions: Predictions, *, turned: bool = False
) -> Iterator[tuple[slice, NDArray[Any], RowArrays]]:
    """Measure the rows block by block, and yield which they are, their scores and figures.

    The arrays of figures are written over by the next block, and are longer than the block; so are
    the scores where they are to be ``turned``: then those of few classes lie class by class.
    """
    classes = len(predictions.labels)
    turned = turned and 2 < classes <= NARROW and predictions.columns is None
    figures = room = None
    for rows, block in predictions.blocks():
        if figures is None or room is None:
            figures, room = room_for(len(block), classes, block.dtype, turned=turned)
        truth, slack = predictions.truth[rows], predictions.slack
        wide, columns = classes > NARROW, predictions.columns
        if columns is not None:
            given = columns, rows.start, truth, slack
            if predictions.kind == "probs":
                bad = narrow_probs_by_column(*given, room, figures)
            else:
                bad = narrow_logits_by_column(
                    *given, predictions.kind == "log_probs", room, figures
                )
        elif predictions.kind == "probs":
            if wide:
                bad = wide_probs(block.reshape(-1), classes, truth, slack, figures)
            else:
                bad = narrow_probs(block, block.reshape(-1), truth, slack, room, figures)
        else:
            one = predictions.kind == "log_probs"
            if wide:
                bad = wide_logits(block.reshape(-1), classes, truth, slack, one, figures)
            else:
                bad = narrow_logits(block, block.reshape(-1), truth, slack, one, room, figures)
        if bad >= 0:
            predictions.refuse(rows)
        if predictions.kind == "probs" and figures.cost[: len(block)].max() == math.inf:
            mend(figures.cost, figures.given, len(block))
        yield rows, room.columns[:, : len(block)].T if turned else block, figures


def measured(predictions: Predictions) -> RowFigures:
    """Measure every row, and keep what was found of each."""
    return joined([kept(predictions, rows, found) for rows, _, found in blocks_of(predictions)])


def joined(blocks: list[RowFigures]) -> RowFigures:
    """Return the rows of all blocks."""
    names = [field.name for field in fields(RowFigures) if field.name != "scores"]
    each = {name: np.concatenate([getattr(some, name) for some in blocks]) for name in names}
    return RowFigures(**each)  # type: ignore[arg-type]


def kept(predictions: Predictions, rows: slice, figures: RowArrays) -> RowFigures:
    """Return the figures of a block's rows that count, in arrays of their own."""
    truth = predictions.truth[rows]
    weight = np.ones(len(truth)) if predictions.weight is None else predictions.weight[rows]
    keep = np.flatnonzero((truth >= 0) & (weight > 0))
    return RowFigures(
        row=keep + rows.start,
        truth=truth[keep],
        guess=figures.guess[keep],
        rank=figures.rank[keep],
        cost=figures.cost[keep],
        given=figures.given[keep],
        confidence=figures.confidence[keep],
        brier=figures.brier[keep],
        weight=weight[keep],
    )
