"""Rows of probabilities, logits or log-probabilities: what they must be, and how they are read."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._math.log_softmax import log_softmax
from xent.evaluation._arrays import column_names, order_of, scores_of
from xent.evaluation._probabilities import (
    Matrix,
    Rounding,
    check_logits,
    check_probs,
    look_like_probs,
    not_one,
)
from xent.evaluation._truth import names_of

BLOCK_ENTRIES = 1 << 18  # entries of a block: 2 MB


@dataclass(frozen=True)
class Distributions:
    """A distribution over the same classes in every row.

    Parameters
    ----------
    argument : str
        What the caller calls them.
    scores : ndarray, shape (N, C)
        As they came.
    kind : str
        "probs", "logits" or "log_probs".
    epsilon : float
        The gap between 1 and the next number of what they came as.
    normalize : bool
        Whether rows that rounding explains are divided by their sums.
    """

    argument: str
    scores: NDArray[Any]
    kind: str
    epsilon: float
    normalize: bool

    @property
    def row_slack(self) -> float:
        """How far the sum of a row may be from 1 by the precision of its numbers."""
        classes = self.scores.shape[1] if self.scores.ndim == 2 else 2
        if self.kind == "log_probs":
            return max(1e-6, 4 * self.epsilon * math.sqrt(classes) * math.log(classes + 1))
        return max(1e-6, 2 * self.epsilon * math.sqrt(classes))

    @property
    def column_labels(self) -> list[Any] | None:
        """What the columns are called in messages, where they have names."""
        return None

    def rounding(self) -> Rounding | None:
        """Return what the printed digits explain, where that is asked for."""
        return Rounding(self.scores, self.epsilon) if self.normalize else None

    def distributions(self) -> Iterator[tuple[slice, Matrix, Matrix]]:
        """Yield pieces of the rows, their log-probabilities and their probabilities in float64."""
        step = max(1, BLOCK_ENTRIES // self.scores.shape[1])
        rounding = self.rounding()
        for start in range(0, len(self.scores), step):
            rows = slice(start, min(start + step, len(self.scores)))
            block = self.scores[rows].astype(np.float64, order="C")
            self.check(block, start, rounding)
            yield rows, *self.read(block)

    def check(self, block: Matrix, start: int, rounding: Rounding | None = None) -> None:
        """Refuse a block with a row that is no distribution, nor explained by rounding.

        Its first row is number ``start``.
        """
        if self.kind == "probs":
            check_probs(block, start, self.argument)
            total, slack = block.sum(axis=1), np.asarray(self.row_slack)
            if rounding is not None:
                slack = np.maximum(slack, rounding.explains(block))
            off = np.abs(total - 1) > slack
            if off.any():
                row, names = int(off.argmax()), self.column_labels
                at = start + row
                raise not_one(self.scores, at, total[row], names, self.epsilon, self.argument)
            return
        check_logits(block, start, self.kind)
        if self.kind == "logits":
            return
        with np.errstate(over="ignore"):
            total = np.exp(block).sum(axis=1)
        off = ~(np.abs(total - 1) <= self.row_slack)
        if off.any():
            row = int(off.argmax())
            must = "be of probabilities that sum to 1 in every row"
            got = f"{total[row]:.9g} at row {start + row}"
            advice = "Logits go under " + _check.setting("logits") + "."
            raise _check.invalid("log_probs", must, got, advice)

    def read(self, block: Matrix) -> tuple[Matrix, Matrix]:
        """Return the log-probabilities and the probabilities of rows that are distributions."""
        if self.kind == "probs":
            probs = np.asarray(block / block.sum(axis=1, keepdims=True))
            with np.errstate(divide="ignore"):
                return np.log(probs), probs
        log_probs = log_softmax(block)
        return log_probs, np.exp(log_probs)


def distributions(
    probs: Any, logits: Any, log_probs: Any, *, normalize: bool, allow_probabilities: bool
) -> tuple[Distributions, Any]:
    """Check what was given, one of three, and return it with the value that it came as."""
    kind, value = one_of_three(probs, logits, log_probs, normalize=normalize)
    found = matrix_of(kind, value, kind, normalize=normalize)
    if (
        kind == "logits"
        and not allow_probabilities
        and look_like_probs(found.scores, found.epsilon)
    ):
        raise no_logits(2)
    return found, value


def no_logits(dimensions: int) -> ValueError:
    """Say that all logits look like probabilities."""
    got = "numbers from 0 to 1" if dimensions == 1 else "rows that sum to 1"
    other = "Pass them as " + _check.setting("probs") + "; if they are logits all the same, pass "
    sure = _check.setting("allow_probabilities", True)
    return _check.invalid("logits", "not be probabilities", got, other + sure + ".")


def one_of_three(
    probs: Any, logits: Any, log_probs: Any, *, normalize: bool = False
) -> tuple[str, Any]:
    """Return the one kind of numbers that was given, and they; probabilities to ``normalize``."""
    kind, value = one_of({"probs": probs, "logits": logits, "log_probs": log_probs})
    if normalize and kind != "probs":
        alone = "be left out where " + _check.argument(kind) + " are given"
        raise _check.invalid("normalize", alone, "both")
    return kind, value


def one_of(given: dict[str, Any]) -> tuple[str, Any]:
    """Return the one kind of numbers that was given, and they."""
    kinds = [kind for kind, value in given.items() if value is not None]
    if len(kinds) != 1:
        first, *others = given
        got = _check.join_names(kinds, last="and") if kinds else "none of them"
        must = "be given, or else " + " or ".join(f"`{name}`" for name in others)
        raise _check.wrong_kind(first, must, got)
    return kinds[0], given[kinds[0]]


def matrix_of(argument: str, value: Any, kind: str, *, normalize: bool = False) -> Distributions:
    """Return rows and classes as they came, not checked but for their shape."""
    scores, epsilon = scores_of(argument, value)
    if scores.ndim != 2:
        raise _check.invalid(argument, "have the shape (rows, classes)", str(scores.shape))
    return Distributions(argument, scores, kind, epsilon, normalize)


def names_for(labels: Any, value: Any, classes: int) -> list[Any]:
    """Return what the classes are called: as was said, or as a frame's columns, or numbers."""
    names = names_of(labels)
    if names is None:
        names = column_names(value) or list(range(classes))
    if len(names) != classes:
        raise _check.invalid("labels", f"name the {classes} classes", len(names))
    return names


def in_order_of(names: list[Any], argument: str, value: Any, scores: NDArray[Any]) -> NDArray[Any]:
    """Return the columns of a frame in the order of the classes' names, where it has these."""
    columns = [str(name) for name in column_names(value)]
    wanted = [str(name) for name in names]
    if not columns or columns == wanted:
        return scores
    if (order := order_of(names, column_names(value))) is not None:
        return scores[:, order]
    if set(columns) & set(wanted):
        must = f"have the columns {_check.join_names(wanted, last='and')}, or others altogether"
        raise _check.invalid(argument, must, _check.join_names(columns, last="and"))
    return scores
