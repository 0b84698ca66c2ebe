"""What classifiers and regressors share: predicting, and looking at the tree."""

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    check_is_fitted,
)

from xent import _check
from xent.trees import _fit, _prune
from xent.trees._nodes import NodeMethods
from xent.trees._predict import leaves, values
from xent.trees._reading import ReadingMethods
from xent.trees._show import picture, report, sql, text
from xent.trees._show.named import LISTED_LEVELS, Named
from xent.trees._table import bins, stream
from xent.trees._table.columns import FittedColumn
from xent.trees._table.weights import times_class, weights_of
from xent.trees._tree import Tree


class BaseTree(ReadingMethods, NodeMethods, BaseEstimator):  # type: ignore[misc]
    """What classifiers and regressors share: options, tables, and the fitted tree to look at."""

    tree_: Tree
    columns_: list[FittedColumn]
    n_features_in_: int
    value_: NDArray[np.float64]

    _criteria: tuple[str, ...] = ()
    _prunings: tuple[str | None, ...] = ()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing != "refuse"
        tags.input_tags.sparse = True
        return tags

    @property
    def n_nodes_(self) -> int:
        """Number of nodes, leaves included."""
        check_is_fitted(self)
        return self.tree_.size

    def get_n_leaves(self) -> int:
        """Return the number of leaves.

        Returns
        -------
        int
        """
        check_is_fitted(self)
        return int(self.tree_.leaf.sum())

    def get_depth(self) -> int:
        """Return how many tests stand above the deepest leaf.

        Returns
        -------
        int
            0 for a tree that is a leaf.
        """
        check_is_fitted(self)
        return int(self.tree_.depth().max())

    @property
    def feature_importances_(self) -> NDArray[np.float64]:
        """Share of the criterion's total gain that each column has earned; zeros for a leaf."""
        check_is_fitted(self)
        gains = report.importances(self.tree_, len(self.columns_), self.criterion)
        total = gains.sum()
        return gains / total if total > 0 else gains

    def apply(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return the leaf that each row ends in.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            The columns of `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Number of the leaf; of a row that missing values spread over several leaves, the one
            that gets most of it.
        """
        check_is_fitted(self)
        if stream.is_source(X):
            return np.concatenate([self.apply(batch) for batch in stream.batches(X)])
        return leaves(self.tree_, self._cases(X), self._threads())

    def _codes(self, y: Any, n: int) -> tuple[NDArray[Any], int]:
        raise NotImplementedError

    def _values(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self)
        if stream.is_source(X):
            return np.concatenate([self._values(batch) for batch in stream.batches(X)])
        return values(self.tree_, self.value_, self._cases(X), self._threads())

    def _threads(self) -> int:
        if self.n_jobs is None:
            return 1
        if isinstance(self.n_jobs, bool) or not isinstance(self.n_jobs, Integral):
            raise _check.wrong_kind("n_jobs", "be an integer or None", repr(self.n_jobs))
        if self.n_jobs == 0:
            raise _check.invalid("n_jobs", "be a number of threads, or -1 for all", 0)
        from joblib import effective_n_jobs

        return int(effective_n_jobs(self.n_jobs))

    def gain_table(
        self, X: Any, y: ArrayLike, *, node: int = 0, sample_weight: ArrayLike | None = None
    ) -> list[dict[str, Any]]:
        """Return what the best split by each column would gain at a node: also those not taken.

        Parameters
        ----------
        X, y, sample_weight
            The cases, as a rule those of `fit`; those that reach the node are searched.
        node : int
            Number of the node, 0 the root.

        Returns
        -------
        list of dict
            For each column ``column``, ``gain`` a case (bits for entropy and gain ratio, else in
            the criterion's units), ``split_information``, ``gain_ratio`` and ``chosen``; None where
            the column cannot be used. What it takes to write the split down is already off: for
            "gain_ratio" the threshold of a number, log2(cuts) / n bits; for "entropy" a group
            of levels, (levels - 1) / n bits.
        """
        check_is_fitted(self)
        node = _check.integer("node", node, least=0)
        if node >= self.tree_.size:
            raise _check.invalid("node", f"be below {self.tree_.size}, the number of nodes", node)
        cases = self._cases(X)
        weight = weights_of(sample_weight, cases.rows)
        codes, n_classes = self._codes(y, cases.rows)
        if n_classes:
            classes = getattr(self, "classes_", np.empty(0))
            weight = times_class(weight, getattr(self, "class_weight", None), classes, codes)
        if not weight.all():
            rows = np.flatnonzero(weight)
            cases, codes, weight = cases.take(rows), codes[rows], weight[rows]
        plan = _fit.plan_of(self, cases, n_classes).grow
        if self.splitter == "histogram" and cases.form == "values":
            cases = bins.of_cases(cases).read(plan.threads)
        return report.gain_table(plan, self.tree_, self.columns_, cases, codes, weight, node)

    def cost_complexity_path(self, *, risk: str = "criterion") -> NDArray[np.float64]:
        """Return the complexities at which the tree loses branches, from 0 to the bare root.

        ``alpha = (risk of a node as a leaf - risk of its subtree) / (leaves of it - 1)``, the
        weakest link first; risks are a case of the training data.

        Parameters
        ----------
        risk : {"criterion", "error"}
            Entropy, Gini impurity or squared error; or wrong predictions, as CART prunes classes.

        Returns
        -------
        ndarray
            Rising, from 0; meant for a tree fitted with ``pruning=None``.

        References
        ----------
        Breiman et al., Classification and Regression Trees, 1984, section 3.3.
        """
        check_is_fitted(self)
        each = None
        if _check.option("risk", risk, ("criterion", "error")) == "criterion":
            each = _prune.impurity(self.tree_.stats, self.criterion) / self.tree_.weight()[0]
        alpha = _prune.alphas(self.tree_, self.criterion, each)
        return np.unique(np.append(alpha[np.isfinite(alpha)], 0.0))

    def to_text(self, *, max_levels: int | None = LISTED_LEVELS) -> str:
        """Return the tree as indented text, one test a line, with real names of levels.

        A branch says whether a missing value takes it: "or missing", which also holds for a name
        that `fit` never saw; "if missing" is followed by the test of the next surrogate.

        Parameters
        ----------
        max_levels : int or None
            How many levels of a column a test lists; None for all.

        Returns
        -------
        str

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or so deep that this takes more than 2**28 letters; if
            ``max_levels`` is no positive integer.
        """
        check_is_fitted(self)
        return text.text(self._named(), _most(max_levels))

    def to_rules(self, *, max_levels: int | None = LISTED_LEVELS) -> str:
        """Return one rule a leaf: each column's tests along the path are joined into one.

        Tests of a column that has surrogates stand one by one. Missing values as in `to_text`.

        Parameters
        ----------
        max_levels : int or None
            How many levels of a column a condition lists; None for all.

        Returns
        -------
        str

        Raises
        ------
        ValueError, TypeError
            As `to_text`.
        """
        check_is_fitted(self)
        return text.rules(self._named(), _most(max_levels))

    def to_dot(self) -> str:
        """Return the tree in the language of Graphviz.

        Returns
        -------
        str
        """
        check_is_fitted(self)
        return text.dot(self._named())

    def to_sql(self) -> str:
        """Return the prediction as one SQL ``CASE`` expression.

        Returns
        -------
        str
            Standard SQL; columns in double quotes. A date with a zone is compared in UTC.

        Raises
        ------
        ValueError
            If it is not fitted, spreads missing values over several branches, has surrogates, or is
            so deep that this takes more than 2**28 letters.
        """
        check_is_fitted(self)
        return sql.sql(self._named())

    def to_svg(self) -> str:
        """Return a picture of the tree with the class distribution of every node.

        Returns
        -------
        str
            A complete SVG document.
        """
        check_is_fitted(self)
        return picture.svg(self._named())

    def _named(self) -> Named:
        classes = [str(c) for c in getattr(self, "classes_", [])]
        misses = self.missing != "refuse"
        return Named(self.tree_, self.columns_, classes, self.value_, misses)


def _most(max_levels: int | None) -> int | None:
    return None if max_levels is None else _check.integer("max_levels", max_levels, least=1)


@contextmanager
def restore_on_failure(tree: BaseTree) -> Iterator[None]:
    """Leave the tree as it was where a fit is refused or interrupted."""
    before = dict(tree.__dict__)
    try:
        yield
    except BaseException:
        tree.__dict__.clear()
        tree.__dict__.update(before)
        raise
