"""The door of the room: scores of rows and classes, and the truth, checked and brought together.

Rows are read block by block: a matrix of float64 as large as the predictions is never built.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._kernels.predictions.figures import NARROW
from xent._kernels.predictions.tally import MOST_PACKED
from xent.evaluation._arrays import (
    block_of,
    column_names,
    float64_of,
    order_of,
    scores_of,
    spellings,
    weights_of,
)
from xent.evaluation._kinds._distributions import Distributions, no_logits, one_of_three
from xent.evaluation._probabilities import Matrix, look_like_probs
from xent.evaluation._truth import classes_of, names_of, truth_of, with_positive

BLOCK_CELLS, BLOCK_ROWS = 1 << 19, MOST_PACKED  # of a block, at most


@dataclass(frozen=True)
class Predictions(Distributions):
    """What the model said of every row, and what was true; ``scores`` may be of one dimension.

    Parameters
    ----------
    argument, scores, kind, epsilon, normalize
        As in `Distributions`; scores of shape (N,) are of the second of two classes.
    truth : ndarray of int64, shape (N,)
        The column that was true; -1 where the row is ignored.
    labels : list
        What the columns are called.
    named : bool
        Whether they have names of their own.
    weight : ndarray of float64, shape (N,), or None
        How much each row counts; None where all count alike.
    first : int
        The number of the first row, as it is told where one is refused.
    """

    truth: NDArray[np.int64]
    labels: list[Any]
    named: bool
    weight: NDArray[np.float64] | None
    first: int = 0

    @property
    def slack(self) -> float:
        """How far the sum of a row may be from 1, where that is the same for all."""
        return math.inf if self.normalize or self.kind == "logits" else self.row_slack

    @property
    def column_labels(self) -> list[Any] | None:
        """What the columns are called in messages, where they have names."""
        return self.labels if self.named else None

    @property
    def columns(self) -> NDArray[Any] | None:
        """The scores class by class, where they lie so and kernels read them so."""
        scores = self.scores
        if scores.ndim == 1 or scores.flags.c_contiguous or not scores.flags.f_contiguous:
            return None
        plain = scores.dtype in (np.float32, np.float64) and not self.normalize
        return scores.T if plain and scores.shape[1] <= NARROW else None

    def blocks(self, *, copied: bool = False) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield pieces of the rows: which, and their scores as rows of float32 or float64.

        They are smaller where they are ``copied``, here or by the caller.
        """
        plain = self.scores.dtype in (np.float32, np.float64) and self.scores.flags.c_contiguous
        by_column = not copied and self.columns is not None
        plain = plain or by_column
        copied = copied or self.normalize or self.scores.ndim == 1 or not plain
        most = BLOCK_CELLS // len(self.labels) if copied else BLOCK_ROWS
        if len(self.labels) > NARROW:  # of long rows fewer are enough, and take less room
            most = min(most, BLOCK_ROWS // 2)
        step = max(1, min(BLOCK_ROWS, most))
        rounding = self.rounding()
        for start in range(0, len(self.scores), step):
            rows = slice(start, min(start + step, len(self.scores)))
            block = self.scores[rows] if by_column else block_of(self.scores[rows])
            if block.ndim == 1:
                if self.kind == "probs":
                    self._check_column(block, self.first + start)
                    block = block.astype(np.float64)
                # What binary classifiers hand out: the probability, or logit, of the second class.
                first = 1 - block if self.kind == "probs" else np.zeros_like(block)
                block = np.stack([first, block], axis=1)
            elif rounding is not None:
                self.check(block.astype(np.float64), self.first + start, rounding)
            yield rows, block

    def log_probs(self) -> Iterator[tuple[slice, Matrix]]:
        """Yield pieces of the rows, and their log-probabilities in float64; not checked."""
        for rows, log_probs, _ in self.distributions(check=False):
            yield rows, log_probs

    def distributions(self, *, check: bool = True) -> Iterator[tuple[slice, Matrix, Matrix]]:
        """Yield pieces of the rows, their log-probabilities and their probabilities in float64."""
        for rows, block in self.blocks(copied=True):
            if check and not (self.kind == "probs" and (self.normalize or self.scores.ndim == 1)):
                self.refuse(rows)
            yield rows, *self.read(block.astype(np.float64))

    def _check_column(self, block: NDArray[Any], start: int) -> None:
        bad = ~((block >= 0) & (block <= 1))
        if bad.any():
            row = int(bad.argmax())
            got = f"{block[row]:.9g} at row {start + row}"
            raise _check.invalid("probs", "be between 0 and 1", got)

    def refuse(self, rows: slice) -> None:
        """Refuse rows of which one is no distribution, and say what is wrong with it."""
        block = float64_of(self.scores[rows])
        if block.ndim == 1:
            block = np.stack([np.zeros_like(block), block], axis=1)
        self.check(block, self.first + rows.start)


def predictions(
    target: Any,
    probs: Any,
    logits: Any,
    log_probs: Any,
    *,
    labels: Any,
    positive: Any,
    sample_weight: Any,
    ignore: Any,
    normalize: bool,
    allow_probabilities: bool,
    some_count: bool = True,
    first: int = 0,
) -> Predictions:
    """Check what `evaluate` was given, from the row of a number on, and bring it into one form."""
    kind, value = one_of_three(probs, logits, log_probs, normalize=normalize)
    names = names_of(labels)
    scores, epsilon = scores_of(kind, value)
    if scores.ndim == 2 and scores.shape[1] == 1:
        if positive is None and not (
            kind == "probs" and (np.abs(float64_of(scores) - 1) <= 1e-6).all()
        ):
            raise _one_column(kind, scores.shape)
        scores = scores if positive is None else scores[:, 0]
    if kind == "logits" and not allow_probabilities and look_like_probs(scores, epsilon):
        raise no_logits(scores.ndim)
    if positive is not None:
        if scores.ndim == 2:
            must = "be left out where there is a column for each class"
            raise _check.invalid("positive", must, repr(positive))
        names = with_positive(target, positive, names, ignore)
    classes = 2 if scores.ndim == 1 else scores.shape[1]
    if scores.ndim == 2:
        scores, names = _by_name(kind, value, scores, names, target, ignore)
    if names is not None and len(names) != classes:
        raise _check.invalid("labels", f"name the {classes} classes", len(names))
    _check_index(target, value)
    truth = truth_of(target, names, len(scores), classes, ignore, first)
    weight = (
        None
        if sample_weight is None
        else weights_of(sample_weight, len(scores), some_count=some_count, first=first)
    )
    if some_count and (truth < 0).all():
        raise _check.invalid("target", "have a row that is not ignored", "none")
    labels = list(range(classes)) if names is None else names
    named = names is not None
    return Predictions(kind, scores, kind, epsilon, normalize, truth, labels, named, weight, first)


def _one_column(kind: str, shape: tuple[int, ...]) -> ValueError:
    must = "have a column for each class, or one dimension: the second of two classes"
    advice = f"Pass {kind}[:, 0], or the class that it is of as " + _check.setting("positive") + "."
    return _check.invalid(kind, must, str(shape), advice)


def _by_name(
    kind: str, value: Any, scores: NDArray[Any], names: list[Any] | None, target: Any, ignore: Any
) -> tuple[NDArray[Any], list[Any] | None]:
    """Bring the columns of a data frame into the order of the classes; names go before places."""
    columns = column_names(value)
    if not columns:
        return scores, names
    numbers = range(len(columns))
    if names is None:
        if (order := order_of(numbers, columns)) is not None:
            return _in_order(scores, order), None
        true = set(classes_of(target, ignore))
        if true <= set(columns):
            return scores, names_of(columns)
        named = {str(name): name for name in true}  # numbers in a file's header are text
        for form, cut in spellings(columns):
            if named.keys() <= set(form) and not (cut[:1] + cut[-1:]).isalnum():
                return scores, names_of([named.get(name, name) for name in form])
        return scores, None  # the names of the columns are none of classes: by place
    for wanted in (names, numbers):
        if (order := order_of(wanted, columns)) is not None:
            return _in_order(scores, order), names
    for form, _ in spellings(columns):
        if all(name.isdecimal() for name in form) and form != sorted(form, key=int):
            must = "have numbered columns in the order of their numbers where `labels` name them"
            spelled = [str(name) for name in columns]
            raise _check.invalid(kind, must, _check.join_names(spelled, limit=5, last="and"))
    return scores, names


def _in_order(scores: NDArray[Any], order: list[int]) -> NDArray[Any]:
    """Return the columns in an order, themselves where that is theirs."""
    return scores if order == sorted(order) else scores[:, order]


def _check_index(target: Any, value: Any) -> None:
    """Refuse a series and a frame whose labels of rows are the same in another order."""
    mine, theirs = getattr(target, "index", None), getattr(value, "index", None)
    if not all(hasattr(index, "is_unique") for index in (mine, theirs)):
        return  # no pandas: a list's index is a method
    if any(type(index).__name__ == "RangeIndex" for index in (mine, theirs)):
        return  # numbers of rows, which a table has anyway
    if not mine.equals(theirs) and mine.sort_values().equals(theirs.sort_values()):  # type: ignore[union-attr]
        must = "have its rows in the order of the predictions"
        advice = "Pass target.loc[predictions.index]."
        raise _check.invalid("target", must, "the same index in another order", advice)
