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
from xent._math.log_softmax import log_softmax
from xent.evaluation._arrays import block_of, column_names, float64_of, scores_of, weights_of
from xent.evaluation._probabilities import (
    Matrix,
    Rounding,
    check_logits,
    check_probs,
    look_like_probs,
    not_one,
)
from xent.evaluation._truth import names_of, truth_of, values_of, with_positive

BLOCK_CELLS, BLOCK_ROWS = 1 << 19, 1 << 15  # of a block, at most


@dataclass(frozen=True)
class Predictions:
    """What the model said of every row, and what was true.

    Parameters
    ----------
    scores : ndarray, shape (N, C), or (N,) for the second of two classes
        As they came.
    kind : str
        "probs", "logits" or "log_probs".
    epsilon : float
        The gap between 1 and the next number of what they came as.
    truth : ndarray of int64, shape (N,)
        The column that was true; -1 where the row is ignored.
    labels : list
        What the columns are called.
    named : bool
        Whether they have names of their own.
    weight : ndarray of float64, shape (N,), or None
        How much each row counts; None where all count alike.
    normalize : bool
        Whether rows that rounding explains are divided by their sums.
    first : int
        The number of the first row, as it is told where one is refused.
    """

    scores: NDArray[Any]
    kind: str
    epsilon: float
    truth: NDArray[np.int64]
    labels: list[Any]
    named: bool
    weight: NDArray[np.float64] | None
    normalize: bool
    first: int = 0

    @property
    def slack(self) -> float:
        """How far the sum of a row may be from 1, where that is the same for all."""
        classes = len(self.labels)
        if self.kind == "log_probs":
            return max(1e-6, 4 * self.epsilon * math.sqrt(classes) * math.log(classes + 1))
        if self.normalize or self.kind == "logits":
            return math.inf
        return max(1e-6, 2 * self.epsilon * math.sqrt(classes))

    def blocks(self, *, copied: bool = False) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield pieces of the rows: which, and their scores as rows of float32 or float64.

        They are smaller where they are ``copied``, here or by the caller.
        """
        plain = self.scores.dtype in (np.float32, np.float64) and self.scores.flags.c_contiguous
        copied = copied or self.normalize or self.scores.ndim == 1 or not plain
        most = BLOCK_CELLS // len(self.labels) if copied else BLOCK_ROWS
        step = max(1, min(BLOCK_ROWS, most))
        rounding = Rounding(self.scores, self.epsilon) if self.normalize else None
        for start in range(0, len(self.scores), step):
            rows = slice(start, min(start + step, len(self.scores)))
            block = block_of(self.scores[rows])
            if block.ndim == 1:
                if self.kind == "probs":
                    self._check_column(block, self.first + start)
                    block = block.astype(np.float64)
                # What binary classifiers hand out: the probability, or logit, of the second class.
                first = 1 - block if self.kind == "probs" else np.zeros_like(block)
                block = np.stack([first, block], axis=1)
            elif rounding is not None:
                self._check_rounded(block.astype(np.float64), self.first + start, rounding)
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
            wide = block.astype(np.float64)
            if self.kind == "probs":
                probs = wide / wide.sum(axis=1, keepdims=True)
                with np.errstate(divide="ignore"):
                    yield rows, np.log(probs), probs
            else:
                log_probs = log_softmax(wide)
                yield rows, log_probs, np.exp(log_probs)

    def _check_column(self, block: NDArray[Any], start: int) -> None:
        bad = ~((block >= 0) & (block <= 1))
        if bad.any():
            row = int(bad.argmax())
            got = f"{block[row]:.6g} at row {start + row}"
            raise _check.invalid("probs", "be between 0 and 1", got)

    def refuse(self, rows: slice) -> None:
        """Refuse rows of which one is no distribution, and say what is wrong with it."""
        block = float64_of(self.scores[rows])
        if self.kind == "probs":
            self._check_rounded(block, self.first + rows.start, None)
            return
        if block.ndim == 1:
            block = np.stack([np.zeros_like(block), block], axis=1)
        check_logits(block, self.first + rows.start, self.kind)
        with np.errstate(over="ignore"):
            total = np.exp(block).sum(axis=1)
        off = ~(np.abs(total - 1) <= self.slack)
        row = int(off.argmax())
        must = "be of probabilities that sum to 1 in every row"
        got = f"{total[row]:.9g} at row {self.first + rows.start + row}"
        advice = "Logits go under " + _check.setting("logits") + "."
        if off.any():
            raise _check.invalid("log_probs", must, got, advice)

    def _check_rounded(self, block: Matrix, start: int, rounding: Rounding | None) -> None:
        """Refuse a block with a row that is no distribution, nor explained by rounding."""
        check_probs(block, start)
        total = block.sum(axis=1)
        slack: Any = max(1e-6, 2 * self.epsilon * math.sqrt(block.shape[1]))
        if rounding is not None:
            slack = np.maximum(slack, rounding.explains(block))
        off = np.abs(total - 1) > slack
        if off.any():
            row = int(off.argmax())
            names = self.labels if self.named else None
            raise not_one(self.scores, start + row, total[row], names, self.epsilon)


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
) -> Predictions:
    """Check what `evaluate` was given and bring it into one form."""
    given = {"probs": probs, "logits": logits, "log_probs": log_probs}
    kinds = [kind for kind, value in given.items() if value is not None]
    if len(kinds) != 1:
        got = _check.join_names(kinds, last="and") if kinds else "none of them"
        must = "be given, or else `logits` or `log_probs`"
        raise _check.wrong_kind("probs", must, got)
    (kind,) = kinds
    if normalize and kind != "probs":
        alone = "be left out where " + _check.argument(kind) + " are given"
        raise _check.invalid("normalize", alone, "both")
    value, names = given[kind], names_of(labels)
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
        names = with_positive(target, positive, names)
    classes = 2 if scores.ndim == 1 else scores.shape[1]
    if scores.ndim == 2:
        scores, names = _by_name(kind, value, scores, names, target)
    if names is not None and len(names) != classes:
        raise _check.invalid("labels", f"name the {classes} classes", len(names))
    _check_index(target, value)
    truth = truth_of(target, names, len(scores), classes, ignore)
    weight = (
        None
        if sample_weight is None
        else weights_of(sample_weight, len(scores), some_count=some_count)
    )
    if some_count and (truth < 0).all():
        raise _check.invalid("target", "have a row that is not ignored", "none")
    labels = list(range(classes)) if names is None else names
    return Predictions(scores, kind, epsilon, truth, labels, names is not None, weight, normalize)


def no_logits(dimensions: int) -> ValueError:
    """Say that all logits look like probabilities."""
    got = "numbers from 0 to 1" if dimensions == 1 else "rows that sum to 1"
    other = "Pass them as " + _check.setting("probs") + "; if they are logits all the same, pass "
    sure = _check.setting("allow_probabilities", True)
    return _check.invalid("logits", "not be probabilities", got, other + sure + ".")


def _one_column(kind: str, shape: tuple[int, ...]) -> ValueError:
    must = "have a column for each class, or one dimension: the second of two classes"
    advice = f"Pass {kind}[:, 0], or the class that it is of as " + _check.setting("positive") + "."
    return _check.invalid(kind, must, str(shape), advice)


def _by_name(
    kind: str, value: Any, scores: NDArray[Any], names: list[Any] | None, target: Any
) -> tuple[NDArray[Any], list[Any] | None]:
    """Bring the columns of a data frame into the order of the classes; names go before places."""
    columns = [
        name.item() if isinstance(name, np.generic) else name for name in column_names(value)
    ]
    if not columns:
        return scores, names
    spelled = [str(name) for name in columns]
    numbers = [str(i) for i in range(len(columns))]
    if names is None:
        if set(spelled) == set(numbers):
            return _in_order(scores, [spelled.index(name) for name in numbers]), None
        true = set(values_of(target))
        if true <= set(columns):
            return scores, names_of(columns)
        if {str(name) for name in true} <= set(spelled):  # numbers in a file's header are text
            named = {str(name): name for name in true}
            return scores, names_of([named.get(name, name) for name in spelled])
        return scores, None  # the names of the columns are none of classes: by place
    wanted = [str(name) for name in names]
    if set(spelled) == set(wanted):
        return _in_order(scores, [spelled.index(name) for name in wanted]), names
    if set(spelled) == set(numbers):
        return _in_order(scores, [spelled.index(name) for name in numbers]), names
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
