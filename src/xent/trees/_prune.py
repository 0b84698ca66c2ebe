"""Making a grown tree smaller: the five ways, and the best-first selection of max_leaf_nodes."""

import heapq
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri, xlogy

from xent.trees._kernels import prune
from xent.trees._kernels.prune_fractional import prune_fractional
from xent.trees._predict import arrivals, nodes_of, values
from xent.trees._table.columns import Cases
from xent.trees._tree import Tree

OF_NUMBERS = ("squared_error", "poisson")


def collapse(tree: Tree) -> Tree:
    """Return the tree without subtrees that make as many training errors as their root (C4.5)."""
    feature = tree.feature.copy()
    prune.collapse(feature, tree.first, tree.width, tree.stats)
    return replace(tree, feature=feature).compact()


def pessimistic(
    tree: Tree,
    cases: Cases,
    y: NDArray[Any],
    weight: NDArray[np.float64],
    *,
    cf: float,
    raising: bool,
) -> Tree:
    """Return the tree pruned by estimated errors, as C4.5 does."""
    own = replace(
        tree,
        **{
            name: getattr(tree, name).copy()
            for name in (
                "feature",
                "threshold",
                "first",
                "width",
                "missing_to",
                "set_start",
                "stats",
                "surrogates_of",
            )
        },
    )
    nodes = nodes_of(own, cases)
    table = cases.numbers, cases.codes, cf, float(-ndtri(cf))
    if raising and (tree.missing_to < 0).any():
        prune_fractional(nodes, y, weight if weight.size else np.ones(len(y)), own.stats, *table)
    else:
        prune.prune(nodes, y, weight, own.stats, *table, raising)
    if nodes.threshold is not own.threshold:
        # The nodes went by codes; a raised node is known by its children.
        before = np.zeros(tree.size, np.int32)
        inner = np.flatnonzero(~tree.leaf)
        before[tree.first[inner]] = inner
        own.threshold = tree.threshold[before[own.first]]
    return own.compact()


def message(
    tree: Tree, levels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return by node the bits of its test (0 for a leaf), and of its cases' classes as a leaf.

    A test names its column, and a threshold to the precision that its cases can tell, or the side
    of each level. The classes are coded one after the other, each by what the class prior, counted
    as one case, and the cases before it say: the code of a Dirichlet distribution.
    """
    n = tree.weight()
    inner = ~tree.leaf
    names = np.where(inner, levels[tree.feature], 0)
    group = np.minimum(names, n) - 1
    numbers = np.log2(np.maximum(n, 1.0)) / 2
    what = np.where(names == 0, numbers, np.where(tree.set_start >= 0, np.maximum(group, 0), 0.0))
    test = np.where(inner, np.log2(len(levels)) + what, 0.0)
    prior = tree.stats[0] / n[0]
    used = prior > 0
    seen, prior = tree.stats[:, used], prior[used]
    classes = gammaln(n + 1.0) - (gammaln(seen + prior) - gammaln(prior)).sum(1)
    return test, np.maximum(classes / np.log(2.0), 0.0)


def shortest(tree: Tree, levels: NDArray[np.int64]) -> Tree:
    """Return the part of the tree that, with its cases' classes, takes the fewest bits to say.

    One bit a node says whether it is a leaf (Quinlan and Rivest 1989).
    """
    tree = tree.compact()  # level by level, children side by side
    test, classes = message(tree, levels)
    bits = 1.0 + classes
    close = ~tree.leaf
    # Level by level from below; a level's children are the next one.
    ends = [0, 1]
    while ends[-1] > ends[-2]:
        ends.append(ends[-1] + int(tree.width[ends[-2] : ends[-1]].sum()))
    parent = tree.parent()
    for start, end, stop in reversed(list(zip(ends, ends[1:], ends[2:], strict=False))):
        below = np.bincount(parent[end:stop] - start, bits[end:stop], end - start)
        divided = 1.0 + test[start:end] + below
        keep = ~tree.leaf[start:end] & (divided < bits[start:end])
        close[start:end] &= ~keep
        bits[start:end] = np.where(keep, divided, bits[start:end])
    return tree.compact(close)


def alphas(
    tree: Tree, criterion: str, risk: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the complexity parameter at which each inner node becomes a leaf; inf for leaves.

    ``risk`` of each node as a leaf; where it is not given, its training errors (squared errors,
    half deviances) over the weight of all cases. Pruning by ``alphas(tree) <= alpha`` gives the
    nested trees of weakest-link pruning.
    """
    if risk is None:
        risk = wrong(tree.stats, tree.stats, criterion) / tree.weight()[0]
    return prune.weakest_links(tree.feature, tree.parent(), risk)


def wrong(
    seen: NDArray[np.float64], fitted: NDArray[np.float64], criterion: str
) -> NDArray[np.float64]:
    """Return the errors that nodes fitted to some stats make on cases with other stats."""
    if criterion not in OF_NUMBERS:
        label = fitted.argmax(1)
        return seen.sum(1) - seen[np.arange(len(seen)), label]
    w = fitted[:, 0]
    mean = fitted[:, 1] / np.where(w > 0, w, 1.0)
    if criterion == "poisson":
        return half_deviance(seen[:, 2], seen[:, 1], seen[:, 0], mean)
    return np.maximum(seen[:, 2] - 2 * mean * seen[:, 1] + mean * mean * seen[:, 0], 0.0)


def half_deviance(
    own: NDArray[np.float64], total: NDArray[np.float64], weight: Any, mean: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return half the Poisson deviance of counts: the sums of y ln y, y and 1, and a mean."""
    return np.maximum(own - xlogy(total, mean) - total + weight * mean, 0.0)


def losses(tree: Tree, cases: Cases, y: NDArray[Any], criterion: str) -> NDArray[np.float64]:
    """Return each row's error: 0 or 1 for classes, squared or half a deviance for numbers."""
    if tree.is_number:
        mean = values(tree, number_values(tree, criterion), cases)[:, 0]
        return (
            half_deviance(xlogy(y, y), y, 1.0, mean) if criterion == "poisson" else (mean - y) ** 2
        )
    n = tree.stats.sum(1, keepdims=True)
    share = tree.stats / np.where(n > 0, n, 1.0)
    inherit(tree, share)
    return (values(tree, share, cases).argmax(1) != y).astype(np.float64)


def number_values(tree: Tree, criterion: str) -> NDArray[np.float64]:
    """Return the mean of every node; of counts a node that has none says what its parent says."""
    w = tree.stats[:, :1]
    value = tree.stats[:, 1:2] / np.where(w > 0, w, 1.0)
    inherit(tree, value)
    if criterion == "poisson":
        parent = tree.parent()
        for node in np.flatnonzero(value[1:, 0] <= 0) + 1:
            value[node] = value[parent[node]]
    np.clip(value, tree.low[:, None], tree.high[:, None], out=value)
    return value


def inherit(tree: Tree, value: NDArray[np.float64]) -> None:
    """Let a node without cases say what its parent says."""
    empty = np.flatnonzero(tree.weight() <= 0)
    if len(empty):
        parent = tree.parent()
        for node in empty:
            value[node] = value[parent[node]]


def reduced_error(
    tree: Tree, cases: Cases, y: NDArray[Any], weight: NDArray[np.float64], criterion: str
) -> Tree:
    """Return the tree without subtrees that make no fewer errors on held-out cases than a leaf."""
    row, leaf, part = arrivals(tree, cases)
    if weight.size:
        part = part * weight[row]
    seen = np.zeros_like(tree.stats)
    if tree.is_number:
        last = xlogy(y, y) if criterion == "poisson" else y * y
        for column, each in enumerate((np.ones(len(y)), y, last)):
            np.add.at(seen[:, column], leaf, part * each[row])
    else:
        np.add.at(seen, (leaf, y[row]), part)
    parent = tree.parent()
    for node in range(tree.size - 1, 0, -1):
        seen[parent[node]] += seen[node]
    errors = wrong(seen, tree.stats, criterion)
    below = np.zeros(tree.size)
    close = np.zeros(tree.size, np.bool_)
    for node in range(tree.size - 1, -1, -1):
        best = errors[node]
        if tree.feature[node] >= 0:
            close[node] = errors[node] <= below[node]
            best = min(errors[node], below[node])
        if node:
            below[parent[node]] += best
    return tree.compact(close)


def impurity(stats: NDArray[np.float64], criterion: str) -> NDArray[np.float64]:
    """Return each node's weight times its entropy (bits), Gini impurity or mean error."""
    if criterion == "poisson":
        return wrong(stats, stats, criterion)
    if criterion == "squared_error":
        w = np.where(stats[:, 0] > 0, stats[:, 0], 1.0)
        return np.maximum(stats[:, 2] - stats[:, 1] ** 2 / w, 0.0)
    n = stats.sum(1)
    if criterion == "gini":
        return n - (stats * stats).sum(1) / np.where(n > 0, n, 1.0)
    share = stats / np.where(n > 0, n, 1.0)[:, None]
    return -(stats * np.log2(np.where(share > 0, share, 1.0))).sum(1)


def gains(tree: Tree, criterion: str) -> NDArray[np.float64]:
    """Return what each inner node's split gains, over all its cases; 0 for leaves."""
    left = impurity(tree.stats, criterion)
    gain = np.where(tree.leaf, 0.0, left)
    parent = tree.parent()
    np.subtract.at(gain, parent[1:], left[1:])
    return gain


def best_first(tree: Tree, leaves: int, criterion: str) -> Tree:
    """Return the part of a full tree that best-first growth to so many leaves would reach."""
    gain = gains(tree, criterion)
    close = ~tree.leaf
    heap = [(-gain[0], 0)] if close[0] else []
    count = 1
    while heap:
        _, node = heapq.heappop(heap)
        first, width = int(tree.first[node]), int(tree.width[node])
        if count + width - 1 > leaves:
            continue
        count += width - 1
        close[node] = False
        for child in range(first, first + width):
            if not tree.leaf[child]:
                heapq.heappush(heap, (-gain[child], child))
    return tree.compact(close)
