"""Single nodes of a fitted tree: which ones a row passes, and the tree without what is below one.

Nodes are numbered as `apply` and `to_dot` number them, 0 the root.
"""

from copy import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from xent import _check
from xent.trees._predict import arrivals
from xent.trees._table.columns import Cases
from xent.trees._tree import Tree


class NodeMethods:
    """What estimators say of, and do with, single nodes."""

    tree_: Tree
    value_: NDArray[np.float64]

    def _cases(self, X: Any) -> Cases:
        raise NotImplementedError

    def decision_path(self, X: Any) -> Any:
        """Return which nodes each row passes, from the root to its leaf.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            The columns of `fit`.

        Returns
        -------
        scipy.sparse.csr_matrix of shape (n_samples, n_nodes)
            1 where a row passes a node; a row that missing values spread passes several leaves.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or the columns are not those of `fit`.
        """
        from scipy.sparse import csr_matrix

        check_is_fitted(self)
        cases = self._cases(X)
        row, node, _ = arrivals(self.tree_, cases)
        parent = self.tree_.parent().astype(np.int64)
        rows, nodes = [], []
        while len(row):
            rows.append(row)
            nodes.append(node)
            above = parent[node]
            row, node = row[above >= 0], above[above >= 0]
        passed = np.concatenate(rows), np.concatenate(nodes)
        shape = cases.rows, self.tree_.size
        found = csr_matrix((np.ones(len(passed[0]), np.int64), passed), shape=shape)
        found.sum_duplicates()
        found.data[:] = 1
        return found

    def cut(self, node: int) -> Self:
        """Return the tree with one node made a leaf, which says what its training cases say.

        Parameters
        ----------
        node : int
            Number of the node, 0 the root.

        Returns
        -------
        fitted tree
            A new one; the nodes that are left are numbered anew.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or ``node`` is no number of a node that is divided.

        Examples
        --------
        >>> from xent.trees import TreeClassifier
        >>> tree = TreeClassifier(pruning=None, leaf_estimate=None)
        >>> tree.fit([[1.0], [2.0], [8.0], [9.0]], list("aabb")).cut(0).to_text()
        'a (4/2)'
        """
        check_is_fitted(self)
        node = _check.integer("node", node, least=0)
        if node >= self.tree_.size or self.tree_.feature[node] < 0:
            inner = np.flatnonzero(~self.tree_.leaf).tolist()
            some = _check.join_names(inner) if inner else "there is none"
            raise _check.invalid("node", f"be a node that is divided: {some}", node)
        close = np.zeros(self.tree_.size, np.bool_)
        close[node] = True
        # Compacted likewise, the numbers of the nodes say which of them are left, in which order.
        numbers = replace(self.tree_, stats=np.arange(self.tree_.size, dtype=np.float64)[:, None])
        left = numbers.compact(close).stats[:, 0].astype(np.int64)
        out = copy(self)
        out.tree_, out.value_ = self.tree_.compact(close), self.value_[left]
        return out
