"""Sending a table's rows down a tree."""

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent.trees._kernels import predict
from xent.trees._table.columns import Cases
from xent.trees._tree import Tree


def nodes_of(tree: Tree, cases: Cases) -> predict.Nodes:
    """Bundle what the kernels need of a tree and of the form of a table."""
    return predict.Nodes(
        kind=cases.test_kind,
        slot=cases.slot,
        levels=cases.absent,
        feature=tree.feature,
        threshold=cases.in_codes(tree.feature, tree.threshold),
        first=tree.first,
        width=tree.width,
        missing_to=tree.missing_to,
        set_start=tree.set_start,
        sets=tree.sets,
        weight=tree.weight(),
        surrogates_of=tree.surrogates_of,
        surrogate_start=tree.surrogate_start,
        surrogate_feature=tree.surrogate_feature,
        surrogate_threshold=cases.in_codes(tree.surrogate_feature, tree.surrogate_threshold),
        surrogate_flip=tree.surrogate_flip,
        surrogate_set=tree.surrogate_set,
    )


def leaves(tree: Tree, cases: Cases, threads: int = 1) -> NDArray[np.int64]:
    """Return the leaf of every row: of a row that is spread, the one that gets most of it."""
    n = cases.rows
    out = np.empty(n, np.int64)
    if not cases.test_kind.any():

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
    nodes = nodes_of(tree, cases)

    def work(a: int, b: int) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
        rows = np.arange(a, b, dtype=np.int32)
        return predict.flow(nodes, 0, rows, np.ones(b - a), cases.numbers, cases.codes)

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
