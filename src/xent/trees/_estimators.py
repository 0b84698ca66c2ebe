"""`TreeClassifier` and `TreeRegressor`: from a user's table to a pruned tree, and back to predictions.

Options are checked here, tables are read by `_columns`, and the work is done by `_grow` and `_prune`;
the presets ID3, C4.5 and CART only choose options (`_presets`).
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from xent import _check
from xent.trees import _columns, _fit, _picture, _prune, _report, _text
from xent.trees._columns import Cases, Column
from xent.trees._tree import Tree
from xent.trees._walk import leaves, values


class BaseTree(BaseEstimator):  # type: ignore[misc]
    """What classifiers and regressors share: options, tables, and the fitted tree to look at."""

    tree_: Tree
    columns_: list[Column]
    n_features_in_: int
    value_: NDArray[np.float64]

    _criteria: tuple[str, ...] = ()
    _prunings: tuple[str | None, ...] = ()
    _defaults: dict[str, Any]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing != "refuse"
        tags.input_tags.sparse = True
        return tags

    # ------------------------------------------------------------ tables

    def _read(self, X: Any, *, reset: bool) -> Cases:
        finite: Any = True if self.missing == "refuse" else "allow-nan"
        if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 2:
            if any(isinstance(v, str) for v in X.ravel()):
                validate_data(self, X, reset=reset, skip_check_array=True)
                X = _columns.frame_of_objects(X)
        if not _columns.is_frame(X):
            X = validate_data(
                self,
                X,
                reset=reset,
                dtype=np.float64,
                accept_sparse="csc",
                ensure_all_finite=finite,
            )
            if not isinstance(X, np.ndarray):
                X = X.toarray()
            if reset:
                names = getattr(self, "feature_names_in_", None)
                if names is None:
                    names = [f"x{j}" for j in range(X.shape[1])]
                self.columns_ = _columns.number_columns([str(name) for name in names])
            elif any(c.kind == "name" for c in self.columns_):
                got = "an array of numbers"
                raise _check.wrong_kind("X", "be a table with the columns of fit", got)
            return _columns.of_numbers(X)
        if reset:
            self.columns_ = _columns.describe(X)
            self.n_features_in_ = len(self.columns_)
            if all(isinstance(name, str) for name in X.columns):
                self.feature_names_in_ = np.array([c.name for c in self.columns_], dtype=object)
        cases = _columns.read(X, self.columns_)
        if not len(cases.numbers) or not len(self.columns_):
            got = f"{len(cases.numbers)} rows and {len(self.columns_)} columns"
            raise _check.invalid("X", "have rows and columns", got)
        if self.missing == "refuse" and cases.missing:
            raise _check.invalid("X", "have no missing values", "some", 'Use missing="direction".')
        return cases

    # ------------------------------------------------------------ looking at the tree

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
        gains = _report.importances(self.tree_, len(self.columns_), self.criterion)
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
        return leaves(self.tree_, self._read(X, reset=False), self._threads())

    def _codes(self, y: Any, n: int) -> tuple[NDArray[Any], int]:
        raise NotImplementedError

    def _values(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self)
        return values(self.tree_, self.value_, self._read(X, reset=False), self._threads())

    def _threads(self) -> int:
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
            the column cannot be used. For "gain_ratio" a numeric gain is less by the cost of choosing its threshold.
        """
        check_is_fitted(self)
        node = _check.integer("node", node, least=0)
        if node >= self.tree_.size:
            raise _check.invalid("node", f"be below {self.tree_.size}, the number of nodes", node)
        cases = self._read(X, reset=False)
        weight = _weights(self, sample_weight, cases)
        codes, n_classes = self._codes(y, len(cases.numbers))
        if not weight.all():
            rows = np.flatnonzero(weight)
            cases, codes, weight = cases.take(rows), codes[rows], weight[rows]
        plan = _fit.plan_of(self, cases, n_classes).grow
        return _report.gain_table(plan, self.tree_, self.columns_, cases, codes, weight, node)

    def to_text(self) -> str:
        """Return the tree as indented text, one test a line, with real names of levels.

        Returns
        -------
        str
        """
        check_is_fitted(self)
        return _text.text(self._named())

    def to_rules(self) -> str:
        """Return one simplified rule a leaf: each column's tests along the path are joined into one.

        Returns
        -------
        str
        """
        check_is_fitted(self)
        return _text.rules(self._named())

    def to_dot(self) -> str:
        """Return the tree in the language of Graphviz.

        Returns
        -------
        str
        """
        check_is_fitted(self)
        return _text.dot(self._named())

    def to_sql(self) -> str:
        """Return the prediction as one SQL ``CASE`` expression.

        Returns
        -------
        str
            Standard SQL; columns in double quotes. A tree that spreads missing values over several
            branches, or that has surrogates, cannot be written so and is refused.
        """
        check_is_fitted(self)
        return _text.sql(self._named())

    def to_svg(self) -> str:
        """Return a picture of the tree with the class distribution of every node.

        Returns
        -------
        str
            A complete SVG document.
        """
        check_is_fitted(self)
        return _picture.svg(self._named())

    def _named(self) -> _text.Named:
        classes = [str(c) for c in getattr(self, "classes_", [])]
        return _text.Named(self.tree_, self.columns_, classes, self.value_)


class TreeClassifier(ClassifierMixin, BaseTree):  # type: ignore[misc]
    """A decision tree that takes any table as it is and gives probabilities one can use.

    At every node the column whose split removes most uncertainty about the class is chosen:
    ``gain = H(class) - H(class | branch)``, in bits.

    Parameters
    ----------
    criterion : {"entropy", "gain_ratio", "gini"}
        What a split shall gain. "gain_ratio" is C4.5's: the threshold by gain, the column by
        gain / H(branch) among those of at least average gain; it also collapses useless subtrees.
    nominal : {"subset", "multiway", "one_vs_rest"}
        A column of names: two groups of its levels, one branch a level, or one level against all.
    missing : {"direction", "fractional", "branch", "surrogate", "refuse"}
        A missing value takes the side that gains most, every branch by its share (C4.5), a branch
        of its own, the side that other columns suggest (CART), or is an error. A level never seen
        counts as missing; where no case was missing it follows most cases.
    pruning : {"pessimistic", "cost_complexity", "reduced_error"} or None
        By estimated errors (C4.5), by cross-validation with the 1-SE rule (CART), by a third of
        the cases held out, or not at all.
    cf : float
        Confidence of pessimistic pruning; smaller prunes more.
    raising : bool
        Let pessimistic pruning replace a node by its heaviest branch.
    leaf_estimate : float, "laplace" or None
        Cases of the class prior that are mixed into each leaf; one case of each class; or none.
    max_depth, max_leaf_nodes : int or None
        Limits of the size; the splits that gain most are kept.
    min_samples_leaf, min_samples_split : float
        Least weight of two branches, and of a node that may be divided.
    min_gain : float
        Least gain a case (bits, or Gini impurity) of a split.
    class_weight : dict, "balanced" or None
        As in scikit-learn.
    monotonic_cst : array of {-1, 0, 1} or None
        As in scikit-learn; two classes, numeric columns. Then nothing is raised.
    n_jobs : int or None
        Threads of `fit` and `predict`; the tree is the same to the last bit.

    Attributes
    ----------
    classes_, n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> from xent.trees import TreeClassifier
    >>> tree = TreeClassifier(leaf_estimate=None).fit([[1.0], [2.0], [8.0], [9.0]], list("aabb"))
    >>> print(tree.to_text())
    x0 <= 5: a (2)
    x0 > 5: b (2)

    References
    ----------
    Quinlan, C4.5: Programs for Machine Learning, Morgan Kaufmann 1993.
    """

    _criteria = ("entropy", "gain_ratio", "gini")
    _prunings = ("pessimistic", "cost_complexity", "reduced_error", None)

    classes_: NDArray[Any]

    def __init__(
        self,
        *,
        criterion: str = "entropy",
        nominal: str = "subset",
        missing: str = "direction",
        pruning: str | None = "pessimistic",
        cf: float = 0.25,
        raising: bool = True,
        leaf_estimate: float | str | None = 2.0,
        max_depth: int | None = None,
        max_leaf_nodes: int | None = None,
        min_samples_leaf: float = 2,
        min_samples_split: float = 2,
        min_gain: float = 0.0,
        class_weight: Any = None,
        monotonic_cst: ArrayLike | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.criterion = criterion
        self.nominal = nominal
        self.missing = missing
        self.pruning = pruning
        self.cf = cf
        self.raising = raising
        self.leaf_estimate = leaf_estimate
        self.max_depth = max_depth
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.min_samples_split = min_samples_split
        self.min_gain = min_gain
        self.class_weight = class_weight
        self.monotonic_cst = monotonic_cst
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Grow and prune the tree.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            Any data frame that narwhals knows, an array or a sparse matrix.
        y : array of shape (n_samples,)
            The classes.
        sample_weight : array of shape (n_samples,), optional
            Rows of weight zero are dropped before anything.

        Returns
        -------
        self
        """
        cases = self._read(X, reset=True)
        classes, codes = _classes(y, len(cases.numbers))
        weight = _weights(self, sample_weight, cases)
        if self.class_weight is not None:
            weight = weight * compute_sample_weight(self.class_weight, classes[codes])
        plan = _fit.plan_of(self, cases, len(classes))
        self.classes_ = classes
        self.tree_ = _fit.fit(plan, cases, codes, weight, len(classes))
        self.value_ = _fit.class_values(self.tree_, self.leaf_estimate, plan.monotonic_cst)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of every class.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            The columns of `fit`; a data frame may hold them in any order, and others.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        return self._values(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class, the first of equals.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            The columns of `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        if (self.tree_.missing_to[~self.tree_.leaf] < 0).any():
            best = self._values(X).argmax(1)
        else:
            best = self.value_.argmax(1)[self.apply(X)]
        return self.classes_[best]  # type: ignore[no-any-return]

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the natural logarithm of `predict_proba`.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            The columns of `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _codes(self, y: Any, n: int) -> tuple[NDArray[Any], int]:
        array = column_or_1d(y)
        _same_length(array, n)
        codes = np.searchsorted(self.classes_, array)
        codes = np.minimum(codes, len(self.classes_) - 1)
        unknown = np.flatnonzero(self.classes_[codes] != array)
        if len(unknown):
            got = f"{array[unknown[0]]!r} at [{unknown[0]}]"
            raise _check.invalid("y", "hold the classes of fit", got)
        return codes.astype(np.uint8 if len(self.classes_) <= 256 else np.int32), len(self.classes_)

    def description_length(self) -> _report.Bits:
        """Return how many bits the tree takes, and the training classes given the tree.

        ``tree = nodes + inner log2(columns) + thresholds log2(n - 1) + groups (levels - 1)
        + leaves (K - 1) / 2 log2(n)`` and ``cases = - sum log2 p(class | leaf)``.

        Returns
        -------
        Bits
            ``tree``, ``cases`` (the training cross-entropy as a code length; infinite if a leaf
            says 0 to one of its own cases) and ``total``: a smaller total is the better model.

        References
        ----------
        Quinlan, Rivest, Inferring decision trees using the minimum description length principle,
        Information and Computation 80 (1989) 227-248.
        """
        check_is_fitted(self)
        return _report.description_length(self.tree_, self.value_, self.columns_)

    @property
    def importances_in_bits_(self) -> NDArray[np.float64]:
        """Bits of uncertainty about the class that each column's splits remove, a case."""
        check_is_fitted(self)
        return _report.importances(self.tree_, len(self.columns_), "entropy")


class TreeRegressor(RegressorMixin, BaseTree):  # type: ignore[misc]
    """A regression tree that takes any table as it is.

    At every node the split that lowers the squared error most is chosen:
    ``gain = sum (y - mean)^2 - sum over branches of the same``.

    Parameters
    ----------
    criterion : {"squared_error"}
        What a split shall gain.
    nominal, missing
        As in `TreeClassifier`.
    pruning : {"cost_complexity", "reduced_error"} or None
        By cross-validation with the 1-SE rule, by a third of the cases held out, or not at all.
    max_depth, max_leaf_nodes, min_samples_leaf, min_samples_split, min_gain
        As in `TreeClassifier`; ``min_gain`` in squared units of y a case.
    monotonic_cst, n_jobs
        As in `TreeClassifier`.

    Attributes
    ----------
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> from xent.trees import TreeRegressor
    >>> tree = TreeRegressor(pruning=None).fit([[1.0], [2.0], [8.0], [9.0]], [1, 1, 5, 7])
    >>> tree.predict([[0.0], [10.0]])
    array([1., 6.])

    References
    ----------
    Breiman, Friedman, Olshen, Stone, Classification and Regression Trees, Wadsworth 1984.
    """

    _criteria = ("squared_error",)
    _prunings = ("cost_complexity", "reduced_error", None)

    def __init__(
        self,
        *,
        criterion: str = "squared_error",
        nominal: str = "subset",
        missing: str = "direction",
        pruning: str | None = "cost_complexity",
        max_depth: int | None = None,
        max_leaf_nodes: int | None = None,
        min_samples_leaf: float = 2,
        min_samples_split: float = 2,
        min_gain: float = 0.0,
        monotonic_cst: ArrayLike | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.criterion = criterion
        self.nominal = nominal
        self.missing = missing
        self.pruning = pruning
        self.max_depth = max_depth
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.min_samples_split = min_samples_split
        self.min_gain = min_gain
        self.monotonic_cst = monotonic_cst
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Grow and prune the tree.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            Any data frame that narwhals knows, an array or a sparse matrix.
        y : array of shape (n_samples,)
            The numbers to predict.
        sample_weight : array of shape (n_samples,), optional
            Rows of weight zero are dropped before anything.

        Returns
        -------
        self
        """
        cases = self._read(X, reset=True)
        if y is None:
            raise _check.invalid("y", "be an array", "None: a tree requires y to be passed, but the target y is None")
        numbers, _ = self._codes(y, len(cases.numbers))
        weight = _weights(self, sample_weight, cases)
        plan = _fit.plan_of(self, cases, 0)
        # The middle of y is taken out first: squares of what is left lose no digits.
        middle = float(np.average(numbers, weights=weight if weight.any() else None))
        self.tree_ = _fit.fit(plan, cases, numbers - middle, weight, 0)
        self.value_ = _prune.number_values(self.tree_) + middle
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the mean of the training cases in each row's leaf.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            The columns of `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._values(X)[:, 0]

    def _codes(self, y: Any, n: int) -> tuple[NDArray[Any], int]:
        numbers = column_or_1d(y, dtype=np.float64, warn=True)
        if not np.isfinite(numbers).all():
            raise _check.invalid("y", "be finite", "NaN or infinity")
        _same_length(numbers, n)
        return numbers, 0


def _classes(y: Any, n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    if y is None:
        raise _check.invalid("y", "be an array", "None: a tree requires y to be passed, but the target y is None")
    check_classification_targets(y)
    array = column_or_1d(y, warn=True)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise _check.invalid("y", "be finite", "NaN or infinity")
    _same_length(array, n)
    classes, codes = np.unique(array, return_inverse=True)
    return classes, codes.astype(np.uint8 if len(classes) <= 256 else np.int32)


def _same_length(y: NDArray[Any], n: int) -> None:
    if len(y) != n:
        raise _check.invalid("y", f"have {n} values, one a row of X", len(y))


def _weights(tree: BaseTree, sample_weight: Any, cases: Cases) -> NDArray[np.float64]:
    n = len(cases.numbers)
    if sample_weight is None:
        return np.ones(n)
    weight = _check_sample_weight(
        sample_weight, cases.numbers, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise _check.invalid("sample_weight", "have a positive value", "zeros only")
    return weight  # type: ignore[no-any-return]
