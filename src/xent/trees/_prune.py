"""Making a grown tree smaller: the four ways, and the best-first selection of max_leaf_nodes."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from xent.trees import _kernels_prune as kernels
from xent.trees._columns import Cases
from xent.trees._tree import Tree
from xent.trees._walk import walk_of


def collapse(tree: Tree) -> Tree:
    """Return the tree without subtrees that make as many training errors as their root (C4.5)."""
    feature = tree.feature.copy()
    kernels.collapse(feature, tree.first, tree.width, tree.stats)
    return replace(tree, feature=feature).compact()


def pessimistic(
    tree: Tree,
    cases: Cases,
    y: NDArray[np.int64],
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
                "feature", "threshold", "first", "width", "missing_to", "set_start", "stats",
                "spare_of",
            )
        },
    )
    w = weight if weight.size else np.ones(len(y))
    walk = walk_of(own, cases)
    kernels.prune(
        walk, y, w, own.stats, cases.numbers, cases.codes, cf, float(-ndtri(cf)), raising
    )
    return own.compact()
