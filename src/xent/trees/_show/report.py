"""A tree in bits: who earned them, what else was tried, what tree and cases cost to write down."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xent.trees import _prune
from xent.trees._grow.builder import number_stats
from xent.trees._grow.levels import GrowthPlan, try_all
from xent.trees._grow.searcher import searcher
from xent.trees._predict import arrivals
from xent.trees._table.columns import Cases, FittedColumn, n_levels
from xent.trees._tree import Tree


class Bits(NamedTuple):
    """Two parts of a message: the tree, and the classes of the training cases given the tree."""

    tree: float
    cases: float

    @property
    def total(self) -> float:
        """Length of the whole message."""
        return self.tree + self.cases


def importances(tree: Tree, features: int, criterion: str) -> NDArray[np.float64]:
    """Return what each column's splits gain, a case."""
    out = np.zeros(features)
    inner = np.flatnonzero(~tree.leaf)
    np.add.at(out, tree.feature[inner], _prune.gains(tree, criterion)[inner])
    return out / tree.weight()[0]


def gain_table(
    plan: GrowthPlan,
    tree: Tree,
    columns: list[FittedColumn],
    cases: Cases,
    y: NDArray[Any],
    weight: NDArray[np.float64],
    node: int,
) -> list[dict[str, Any]]:
    """Return for every column what its best split of a node's cases would gain."""
    if tree.feature[node] >= 0:
        close = np.zeros(tree.size, np.bool_)
        close[node] = True
        feature = np.where(close, -1, tree.feature).astype(np.int32)
        tree = replace(tree, feature=feature)
    row, leaf, part = arrivals(tree, cases)
    inside = leaf == node
    rows, part = row[inside], part[inside] * weight[row[inside]]
    if not len(rows):
        names = ("gain", "split_information", "gain_ratio")
        return [{"column": c.name, **dict.fromkeys(names), "chosen": False} for c in columns]
    size = tree.stats.shape[1]
    stats = np.zeros((1, size))
    if tree.is_number:
        if plan.criterion == "squared_error":  # squares of what is near 0 lose no digits
            y = y - np.average(y[rows], weights=part)
        stats[0] = number_stats(y[rows], part, plan.criterion)
    else:
        np.add.at(stats[0], y[rows], part)
    total = float(stats[0, 0] if tree.is_number else stats.sum())
    here = searcher(cases.take(rows), plan.threads)
    found = try_all(here, plan, y[rows], part, stats, float(tree.weight()[0]))
    table = []
    for f, column in enumerate(columns):
        gain, info = float(found.gain[f, 0]), float(found.info[f, 0])
        usable = bool(np.isfinite(gain))
        table.append(
            {
                "column": column.name,
                "gain": gain / total if usable else None,
                "split_information": info / total if usable else None,
                "gain_ratio": gain / info if usable and info > 0 else None,
                "chosen": f == int(found.chosen),
            }
        )
    return table


def description_length(tree: Tree, columns: list[FittedColumn]) -> Bits:
    """Return the bits that the tree and, given the tree, the classes take to write down."""
    test, classes = _prune.message(tree, n_levels(columns))
    prior = (tree.stats.shape[1] - 1) / 2 * np.log2(max(float(tree.weight()[0]), 1.0))
    return Bits(float(tree.size + test.sum() + prior), float(classes[tree.leaf].sum()))
