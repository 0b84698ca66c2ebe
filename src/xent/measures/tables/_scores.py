"""What one column tells about another: scores of two columns of codes, and of numbers as they are.

A row may stand for many, and for copies of its level. Quinlan (1986); Ross (2014) for numbers.
"""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.measures.rows._sums import entropy_of_counts
from xent.measures.samples._of_numbers import told_by_numbers
from xent.measures.samples._real_numbers import real_column
from xent.measures.samples._result import doubt, mean_of
from xent.measures.tables._bins import Codes, Numbers
from xent.measures.tables._columns import Field

SCORES = ("information_gain", "gain_ratio", "symmetric_uncertainty", "gini")
NEIGHBORS = 3  # which one measures the density
MAX_CUTS = 1 << 20  # cells up to which a table of two columns is counted without sorting


def told_by_neighbours(
    field: Field,
    target: Codes,
    rng: np.random.Generator | None,
    name: str | None = None,
    scale: float = 1.0,
) -> tuple[float, bool]:
    """Information of numbers by their neighbours, and whether by noise.

    That numbers are missing tells for itself. With a name, a doubtful estimate is told of.
    """
    known = ~field.missing
    told = score_of(known.astype(np.int64), target, np.ones(target.size), "information_gain")
    seen = np.bincount(target[known])
    if np.count_nonzero(seen) < 2 or seen.max() < 2:
        return told, False
    numbers = real_column("table", field.values[known], 1)
    found = told_by_numbers(target[known], numbers, NEIGHBORS, rng)
    value = float(found.terms.mean())
    if name is not None:
        what = f"The estimated information of column {name!r}, {value / scale:.4g}, is"
        doubt(mean_of(found.terms, 1.0, 1.0, "ross"), {}, 1.0, what)
    within = min(max(0.0, value), entropy_of_counts(seen[seen > 0].astype(np.float64)))
    return told + float(known.mean()) * within, found.noise


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
    of_x = np.bincount(x, weight)
    alike = np.ones(levels)  # how many levels each one stands for
    if copies is not None:
        alike[x] = copies
        weight = weight * copies
    also = alike[found // width]
    of_y, total = np.bincount(y, weight), float(weight.sum())
    if score == "gini":
        some = np.flatnonzero(both)
        share = also[some] * both[some] / total
        pure = float((share * (both[some] / of_x[found[some] // width])).sum())
        return max(0.0, pure - float(((of_y / total) ** 2).sum()))
    h_x, h_y = _entropy(of_x, total, alike), _entropy(of_y, total, np.ones(width))
    gain = max(0.0, h_x + h_y - _entropy(both, total, also))
    if score == "gain_ratio":
        return gain / h_x
    return 2 * gain / (h_x + h_y) if score == "symmetric_uncertainty" else gain


def _entropy(counts: NDArray[Any], total: float, copies: Numbers) -> float:
    some = counts > 0
    p = counts[some] / total
    return float(-(copies[some] * p * np.log(p)).sum())
