"""Where to cut a column of numbers: by what its pieces tell about a class, or by quantiles.

Fayyad and Irani (1993) for the first: cut where the classes' entropy falls most, and again on both
sides, as long as the fall is worth the length of describing the cut.

Whole numbers stay whole, and a cut between two that no float tells apart is the lower one: Python
compares whole numbers and floats exactly.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]
TIE = 1e-12  # relative; of cuts as good as one another the lowest is taken


def mdl_cuts(values: NDArray[Any], target: Codes, weights: Numbers) -> list[float]:
    """Cut finite or infinite numbers for a target; a weight is a number of rows."""
    found, place = np.unique(values, return_inverse=True)
    # One entry for each value and class that occur together, in the order of the values.
    width = int(target.max()) + 1 if target.size else 1
    pairs, pair = np.unique(place * width + target, return_inverse=True)
    count = np.bincount(pair, weights, minlength=pairs.size)
    value, label = np.divmod(pairs, width)
    first = np.searchsorted(value, np.arange(found.size + 1))
    cuts: list[int] = []
    todo = [(0, found.size)]
    while todo:
        low, high = todo.pop()
        span = slice(first[low], first[high])
        cut = _best_cut(value[span] - low, label[span], count[span], high - low)
        if cut is not None:
            cuts.append(low + cut)
            todo += [(low, low + cut + 1), (low + cut + 1, high)]
    return [between(found[i], found[i + 1]) for i in sorted(cuts)]


def quantile_cuts(values: NDArray[Any], weights: Numbers, bins: int) -> list[float]:
    """Cut sorted numbers at quantiles, and below the least and above the greatest."""
    if values.size == 0:
        return []
    rows = np.cumsum(weights)
    # The k-th cut is the least value with at least k / bins of the rows up to it.
    place = np.searchsorted(rows * bins, np.arange(1, bins) * rows[-1])
    least = values[0].item()
    below = least - 1 if _beyond_floats(least) else math.nextafter(least, -math.inf)
    inner = values[np.minimum(place, values.size - 1)].tolist()
    return sorted({below, *inner, values[-1].item()})


def bin_of(values: NDArray[Any], cuts: Sequence[float]) -> Codes:
    """Return the bin of each value, from the left; a value that equals a cut is left of it."""
    below, edges = 0, np.array([_down(c) for c in cuts])
    if values.dtype.kind in "iu":
        low, high = np.iinfo(values.dtype).min, np.iinfo(values.dtype).max
        below = sum(c < low for c in cuts)
        inside = [math.floor(c) for c in cuts if low <= c < high]
        edges = np.array(inside, dtype=values.dtype)
    return below + np.searchsorted(edges, values, side="left").astype(np.int64)


def _beyond_floats(number: float) -> bool:
    """Tell whether this is a whole number among which floats have gaps."""
    return isinstance(number, int) and abs(number) > 2**53


def _down(number: float) -> float:
    """Return the greatest float that is not above it."""
    near = float(number)
    return near if near <= number else math.nextafter(near, -math.inf)


def _best_cut(value: Codes, label: Codes, count: NDArray[Any], size: int) -> int | None:
    """Return the last value left of the best cut, if the cut is worth its description."""
    names, label = np.unique(label, return_inverse=True)
    if size < 2 or names.size < 2:
        return None
    left_all, inside = np.zeros(size - 1), np.zeros(size - 1)
    total = float(count.sum())
    for k in range(names.size):  # class by class: memory for one column, not for a table
        mine = label == k
        each = np.bincount(value[mine], count[mine], minlength=size)
        left = np.cumsum(each)[:-1]
        inside += _x_log_x(left) + _x_log_x(np.maximum(each.sum() - left, 0.0))
        left_all += left
    costs = _x_log_x(left_all) + _x_log_x(total - left_all) - inside
    best = int(np.argmax(costs <= costs.min() + TIE * total))
    left_side = value <= best
    before = np.bincount(label, count)
    left = np.bincount(label[left_side], count[left_side], minlength=names.size)
    right = np.bincount(label[~left_side], count[~left_side], minlength=names.size)
    return best if bool(_is_worth(before, left, right)) else None


def first_cut(targets: Codes, ends: NDArray[Any], weight: float) -> NDArray[np.bool_]:
    """Tell, for each of many shuffles of the classes, whether the numbers are cut at all.

    Parameters
    ----------
    targets : ndarray of int64, shape (S, N)
        The classes of the rows in the order of the numbers, shuffled S times.
    ends : ndarray of int, shape (V,)
        The last row of each distinct number.
    weight : float
        How many rows each row stands for.

    Returns
    -------
    ndarray of bool, shape (S,)
    """
    shuffles, rows = targets.shape
    if ends.size < 2:
        return np.zeros(shuffles, dtype=bool)
    width, total = int(targets.max()) + 1, weight * rows
    left_all = weight * (ends[:-1] + 1.0)
    inside = np.zeros((shuffles, ends.size - 1))
    before = np.empty((shuffles, width))
    for k in range(width):
        left = weight * np.cumsum(targets == k, axis=1)[:, ends]
        before[:, k] = left[:, -1]
        inside += _x_log_x(left[:, :-1]) + _x_log_x(left[:, -1:] - left[:, :-1])
    costs = _x_log_x(left_all) + _x_log_x(total - left_all) - inside
    best = np.argmax(costs <= costs.min(axis=1, keepdims=True) + TIE * total, axis=1)
    is_left = np.arange(rows) <= ends[best][:, None]
    left_side = [weight * ((targets == k) & is_left).sum(axis=1) for k in range(width)]
    left = np.stack(left_side, axis=1)
    return np.asarray(_is_worth(before, left, before - left) & ((before > 0).sum(axis=1) > 1))


def first_cuts(values: Numbers, target: Codes) -> NDArray[np.bool_]:
    """Tell, for each of many columns of finite numbers, whether it is cut at all.

    Parameters
    ----------
    values : ndarray of float64, shape (C, N)
        The columns; each row stands for one.
    target : ndarray of int64, shape (N,)
        The classes of the rows, from 0; every one occurs.

    Returns
    -------
    ndarray of bool, shape (C,)
    """
    columns, rows = values.shape
    width = int(target.max()) + 1
    if rows < 2 or width < 2:
        return np.zeros(columns, dtype=bool)
    order = np.argsort(values, axis=1)
    values, targets = np.take_along_axis(values, order, 1), target[order]
    left_all = np.arange(1.0, rows)
    inside = np.zeros((columns, rows - 1))
    lefts = np.empty((width, columns, rows - 1))
    before = np.bincount(target).astype(np.float64)
    for k in range(width):
        lefts[k] = np.cumsum(targets == k, axis=1)[:, :-1]
        inside += _x_log_x(lefts[k]) + _x_log_x(before[k] - lefts[k])
    costs = _x_log_x(left_all) + _x_log_x(rows - left_all) - inside
    costs[values[:, 1:] == values[:, :-1]] = np.inf  # no cut parts equal numbers
    best = np.argmax(costs <= costs.min(axis=1, keepdims=True) + TIE * rows, axis=1)
    left = np.ascontiguousarray(lefts[:, np.arange(columns), best].T)
    some = np.isfinite(costs).any(axis=1)
    return np.asarray(_is_worth(np.tile(before, (columns, 1)), left, before - left) & some)


def _is_worth(before: NDArray[Any], left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell whether a cut gains more than its description costs, from rows of each class."""
    total = before.sum(-1)
    bits = [_bits(n) for n in (before, left, right)]
    gain = (bits[0] - bits[1] - bits[2]) / total
    # The entropies of the whole and of both sides, each times its number of classes.
    change = [
        (n > 0).sum(-1) * b / n.sum(-1) for n, b in zip((before, left, right), bits, strict=True)
    ]
    k = (before > 0).sum(-1)
    described = k * math.log2(3) + np.log1p(-2 * 3.0**-k) / math.log(2)
    delta = described - (change[0] - change[1] - change[2])
    cost = (np.log2(np.maximum(total - 1, 1.0)) + delta) / total
    return np.asarray(gain > cost)


def _x_log_x(x: NDArray[Any]) -> Numbers:
    return np.asarray(x * np.log(np.where(x > 0, x, 1.0)))


def _bits(n: NDArray[Any]) -> Numbers:
    """Rows times their entropy in bits, along the last axis."""
    return np.asarray((_x_log_x(n.sum(-1)) - _x_log_x(n).sum(-1)) / math.log(2))


def between(first: Any, second: Any) -> float:
    """Return the middle of two numbers, or the lower one where no float lies between them."""
    low, high = first.item(), second.item()
    middle: float = 0.5 * low + 0.5 * high
    return middle if low <= middle < high else low
