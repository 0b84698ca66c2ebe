"""Are these probabilities? What a block of rows must be, and what printed digits explain."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.evaluation._arrays import float64_of

Matrix = NDArray[np.float64]
NEARLY = 1e-3  # of a sum of probabilities, where they are taken for logits
AT_MOST = 0.1  # of it, whatever the digits explain
MANY_ROWS = 10  # of a single column that is from 0 to 1
MOST_SEARCHED = 1000  # columns among which one that is no class is looked for
SAMPLE_ROWS = 1 << 14  # rows whose digits are counted
MOST_DIGITS = 17  # decimal digits that float64 can tell apart
MOST_COST = 1e300  # nats of a row, times its weight: what float64 can still sum


def check_probs(probs: Matrix, start: int, argument: str = "probs") -> None:
    """Refuse a block with an entry that is no probability; its first row is number ``start``."""
    bad = ~((probs >= 0) & (probs <= np.inf)) | np.isinf(probs)
    if bad.any():
        first = tuple(np.argwhere(bad)[0])
        must = "be finite" if not np.isfinite(probs[first]) else "be non-negative"
        advice = "" if must == "be finite" else "For logits pass " + _check.setting("logits") + "."
        at = _check.at((first[0] + start, *first[1:]))
        raise _check.invalid(argument, must, f"{probs[first]:.6g} at {at}", advice)


def check_logits(logits: Matrix, start: int, argument: str) -> None:
    """Refuse a block with an entry that is no logit, or a row in which no class can be."""
    bad = np.isnan(logits) | (logits == np.inf)
    if bad.any():
        first = tuple(np.argwhere(bad)[0])
        at = _check.at((first[0] + start, *first[1:]))
        raise _check.invalid(argument, "be finite or -inf", f"{logits[first]} at {at}")
    empty = np.isneginf(logits).all(axis=1)
    if empty.any():
        must = "leave every row a class that can be"
        raise _check.invalid(argument, must, f"only -inf at row {start + int(empty.argmax())}")


def check_costs(
    costs: Matrix,
    rows: int | NDArray[np.int64],
    argument: str,
    weight: Matrix | None = None,
    piece: str = "row",
) -> None:
    """Refuse finite costs that float64 cannot sum.

    Parameters
    ----------
    costs : ndarray of float64, shape (n,) or (n, C)
        In nats.
    rows : int or ndarray of int64
        The number of the first row, or of each.
    argument : str
        What the caller calls the scores.
    weight : ndarray of float64, optional
        How much the rows count, in a shape that goes with ``costs``.
    piece : str
        What a cost is of.
    """
    most = float(costs.max(initial=0.0))
    if most * (1.0 if weight is None else float(weight.max(initial=0.0))) <= MOST_COST:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        counted = costs if weight is None else costs * weight
    huge = np.isfinite(costs) & (counted > MOST_COST)
    if huge.any():
        first = np.unravel_index(int(huge.argmax()), huge.shape)
        must = f"give the true class of a {piece} a cost of at most {MOST_COST:g} nats"
        at = rows + int(first[0]) if isinstance(rows, int) else rows[first[0]]
        got = f"{costs[first]:g} at {piece} {at}"
        heavy = "" if weight is None else ", times its weight"
        advice = "Such logits come of a model that diverged; a class that cannot be has -inf."
        raise _check.invalid(argument, must + heavy, got, advice)


def look_like_probs(scores: NDArray[Any], epsilon: float) -> bool:
    """Tell whether every row is of numbers from 0 that sum to 1: no logits come out so.

    A single column is of logits from 0 to 1 by chance alone, and not in many rows.
    """
    if scores.ndim == 1:
        scores = float64_of(scores)
        inside = bool(((scores >= 0) & (scores <= 1)).all())
        return inside and len(scores) >= MANY_ROWS and bool((scores != scores[0]).any())
    first = float64_of(scores[:1])
    if scores.shape[1] < 2 or not ((first >= 0) & (first < 2)).all():
        return False
    rounding = Rounding(scores, epsilon)
    step = max(1, (1 << 20) // scores.shape[1])
    for start in range(0, len(scores), step):
        block = float64_of(scores[start : start + step])
        with np.errstate(invalid="ignore", over="ignore"):
            if not (block >= 0).all():
                return False
            # Whole numbers would explain anything: scores that are all 0 are no probabilities.
            slack = np.clip(rounding.explains(block), NEARLY, AT_MOST)
            if not (np.abs(block.sum(axis=1) - 1) <= slack).all():
                return False
    return True


class Rounding:
    """How far the sum of a row may be from 1 by the digits that its numbers are printed with.

    A number with d decimals is off by half a unit of the last, at most; one printed with s digits
    by half a unit of the s-th. Which of the two was meant cannot be told: the larger counts.

    Parameters
    ----------
    probs : ndarray of float64, shape (N, C)
        All rows; the digits are counted in the first ones.
    epsilon : float
        The gap between 1 and the next number of what they came as.
    """

    def __init__(self, probs: NDArray[Any], epsilon: float) -> None:
        some = np.unique(np.abs(float64_of(probs[:SAMPLE_ROWS])))
        some = some[(some > 1e-300) & (some < 1e100)]  # of others no digit counts
        noise = max(epsilon, 2.0**-52)
        self.decimals = self.digits = MOST_DIGITS
        for d in range(MOST_DIGITS, -1, -1):
            if not (np.abs(np.round(some, d) - some) <= 4 * noise * some).all():
                break
            self.decimals = d
        exponent = np.floor(np.log10(some)) if some.size else some
        scaled = some / 10.0**exponent  # from 1 to 10
        for d in range(MOST_DIGITS - 1, -1, -1):
            if not (np.abs(np.round(scaled, d) - scaled) <= 16 * noise * scaled).all():
                break
            self.digits = d + 1

    def explains(self, probs: Matrix) -> Matrix:
        """Return how far the sum of each row of a block may be off."""
        with np.errstate(divide="ignore"):
            exponent = np.floor(np.log10(probs))
        unit = np.maximum(10.0**-self.decimals, 10.0 ** (exponent - self.digits + 1))
        return np.asarray(0.5 * unit.sum(axis=1) * (1 + 1e-9))


def not_one(
    probs: NDArray[Any],
    row: int,
    total: float,
    names: Sequence[Any] | None,
    epsilon: float,
    argument: str = "probs",
) -> ValueError:
    """Say that a row does not sum to 1, and which way out there is.

    Parameters
    ----------
    probs : ndarray, shape (N, C)
        All rows.
    row, total : int, float
        The row and its sum.
    names : sequence, optional
        What the columns are called, where they have names.
    epsilon : float
        As in `Rounding`.
    argument : str
        What the caller calls them.
    """
    got = f"{total:.9g} at row {row}"
    some = float64_of(probs[:SAMPLE_ROWS])
    sums, allowed = some.sum(axis=1), np.maximum(1e-6, Rounding(probs, epsilon).explains(some))
    advice: _check.Words = "If they were rounded when they were saved, pass "
    advice = advice + _check.setting("normalize", True) + "."
    if (np.abs(sums - 1) > allowed).any():
        stray = _stray(some, epsilon)
        if stray is not None:
            name = f"{names[stray]!r}" if names is not None else f"number {stray}"
            advice = f"Leave out the column {name}: without it every row sums to 1."
        elif (np.abs(sums - 100) <= 1).all():
            advice = "These are percentages: divide them by 100."
        elif (some > 1).any() and argument == "target":
            advice = "If these are counts or votes, divide each row by its sum."
        elif (some > 1).any():
            advice = "Logits go under " + _check.setting("logits") + "."
        else:
            advice = "No rounding explains that: are they of classes that exclude one another?"
    return _check.invalid(argument, "sum to 1 in every row", got, advice)


def _stray(probs: Matrix, epsilon: float) -> int | None:
    """Return the column without which every row sums to 1, if there is one."""
    classes = probs.shape[1]
    for j in range(classes if 2 < classes <= MOST_SEARCHED else 0):
        rest = probs.sum(axis=1) - probs[:, j] - 1
        if (np.abs(rest) <= 0.05 * classes).all():  # what one decimal explains
            others = np.delete(probs, j, axis=1)
            allowed = np.maximum(1e-6, Rounding(others, epsilon).explains(others))
            if (np.abs(rest) <= allowed).all():
                return j
    return None
