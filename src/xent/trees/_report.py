"""A tree in bits: who earned them, what else was tried, and what tree and cases cost to write down."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.trees import _prune
from xent.trees._tree import Tree


def importances(tree: Tree, features: int, criterion: str) -> NDArray[np.float64]:
    """Return what each column's splits gain, a case."""
    out = np.zeros(features)
    inner = np.flatnonzero(~tree.leaf)
    np.add.at(out, tree.feature[inner], _prune.gains(tree, criterion)[inner])
    return out / tree.weight()[0]
