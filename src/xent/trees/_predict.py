"""Sending a table's rows down a tree."""

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent.trees._kernels import predict
from xent.trees._table.bins import Binned
from xent.trees._table.columns import Cases
from xent.trees._tree import Tree


def walk_of(tree: Tree, cases: Cases) -> predict.Walk:
    """Bundle what the kernels need of a tree and of the form of a table."""
    levels = np.zeros(len(cases.kind), np.int64)
    levels[cases.kind == 1] = cases.n_levels
    kind, threshold, spare_threshold = cases.kind, tree.threshold, tree.spare_threshold
    if isinstance(cases, Binned):
        levels[kind == 0] = cases.bins
        kind = np.where(kind == 0, predict.BINNED, kind)
        threshold = cases.in_codes(tree.feature, threshold)
        spare_threshold = cases.in_codes(tree.spare_feature, spare_threshold)
    return predict.Walk(
        kind,
        cases.slot,
        levels,
        tree.feature,
        threshold,
        tree.first,
        tree.width,
        tree.missing_to,
        tree.set_start,
        tree.sets,
        tree.weight(),
        tree.spare_of,
        tree.spare_start,
        tree.spare_feature,
        spare_threshold,
        tree.spare_flip,
        tree.spare_set,
    )


def leaves(tree: Tree, cases: Cases, threads: int = 1) -> NDArray[np.int64]:
    """Return the leaf of every row: of a row that is spread, the one that gets most of it."""
    n = cases.rows
    out = np.empty(n, np.int64)
    if not len(cases.codes) and not isinstance(cases, Binned):

        def fast(a: int, b: int) -> int:
            return int(
                predict.number_leaves(
                    tree.feature, tree.threshold, tree.first, cases.numbers, out, a, b
                )
            )

        if not sum(in_blocks(fast, n, threads=threads, least=4096)):
            return out
    row, leaf, weight = arrivals(tree, cases, threads)
    # Written lightest first, so that the heaviest share stays.
    order = np.argsort(weight, kind="stable")
    out[row[order]] = leaf[order]
    return out


def arrivals(
    tree: Tree, cases: Cases, threads: int = 1
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
    """Return rows, the leaves they reach and how much of each row reaches that leaf."""
    walk = walk_of(tree, cases)

    def work(a: int, b: int) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
        rows = np.arange(a, b, dtype=np.int32)
        return predict.flow(walk, 0, rows, np.ones(b - a), cases.numbers, cases.codes)

    parts = in_blocks(work, cases.rows, threads=threads, least=4096)
    return tuple(np.concatenate(pieces) for pieces in zip(*parts, strict=True))  # type: ignore[return-value]


def values(
    tree: Tree, value: NDArray[np.float64], cases: Cases, threads: int = 1
) -> NDArray[np.float64]:
    """Return the value of every row's leaf, averaged over the leaves that it is spread over."""
    if not (tree.missing_to[~tree.leaf] < 0).any():
        return value[leaves(tree, cases, threads)]
    out = np.zeros((cases.rows, value.shape[1]))
    row, leaf, weight = arrivals(tree, cases, threads)
    predict.add_up(value, row, leaf, weight, out)
    return out
