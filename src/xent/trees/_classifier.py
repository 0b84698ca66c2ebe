"""`TreeClassifier`: from a user's table to a pruned tree, and to predictions.

The options are described here and checked in `_fit`; the presets ID3, C4.5 and CART only choose
options (`_presets`).
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from xent import _check
from xent._table.given import labels_of, same_length
from xent.trees import _fit
from xent.trees._estimator import BaseTree, restore_on_failure
from xent.trees._show import report, rules, simplify
from xent.trees._table import stream
from xent.trees._table.bins import Unread
from xent.trees._table.columns import Cases
from xent.trees._table.target import classes_of
from xent.trees._table.weights import times_class, weights_of


class TreeClassifier(ClassifierMixin, BaseTree):  # type: ignore[misc]
    """A decision tree that takes any table as it is and gives probabilities one can use.

    At every node the column whose split removes most uncertainty about the class is chosen:
    ``gain = H(class) - H(class | branch)``, in bits.

    Parameters
    ----------
    criterion : {"entropy", "gain_ratio", "gini"}
        What a split shall gain. For "entropy" a group of levels pays a bit a level for being
        written down, so that names with many levels do not win by chance. "gain_ratio" is C4.5's:
        the threshold by gain, the column by gain / H(branch) among those of at least average gain;
        it also collapses useless subtrees.
    nominal : {"subset", "multiway", "one_vs_rest"}
        A column of names: two groups of its levels, one branch a level, or one level against all.
    missing : {"direction", "fractional", "branch", "surrogate", "refuse"}
        Where a missing value goes: to the side that gains most, into every branch by its share
        (C4.5), into a branch of its own, or where other columns suggest (CART). Or it is an error.
        A level never seen counts as missing; where no case was missing it follows most cases.
    pruning : {"bits", "pessimistic", "cost_complexity", "reduced_error"} or None
        How the tree is pruned: to the least `description_length`, by estimated errors (C4.5), by
        cross-validation with the 1-SE rule (CART), by a third of the cases held out, or not at all.
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
    splitter : {"auto", "histogram"}
        "auto" searches every cut. "histogram" puts each number into at most 256 bins, one byte a
        cell: it is for large tables, and exact for columns with up to 256 values.
    class_weight : dict, "balanced" or None
        As in scikit-learn; a class that is not named weighs 1, a row of weight 0 is no case.
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
    >>> tree = TreeClassifier().fit([[float(n)] for n in range(20)], list("a" * 10 + "b" * 10))
    >>> print(tree.to_text())
    x0 <= 9.5 or missing: a (10)
    x0 > 9.5: b (10)

    References
    ----------
    Quinlan, C4.5: Programs for Machine Learning, Morgan Kaufmann 1993.
    """

    _criteria = ("entropy", "gain_ratio", "gini")
    _prunings = ("bits", "pessimistic", "cost_complexity", "reduced_error", None)

    classes_: NDArray[Any]

    def __init__(
        self,
        *,
        criterion: str = "entropy",
        nominal: str = "subset",
        missing: str = "direction",
        pruning: str | None = "bits",
        cf: float = 0.25,
        raising: bool = True,
        leaf_estimate: float | str | None = 2.0,
        max_depth: int | None = None,
        max_leaf_nodes: int | None = None,
        min_samples_leaf: float = 2,
        min_samples_split: float = 2,
        min_gain: float = 0.0,
        splitter: str = "auto",
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
        self.splitter = splitter
        self.class_weight = class_weight
        self.monotonic_cst = monotonic_cst
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Grow and prune the tree.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            Any data frame that narwhals knows, an array or a sparse matrix. With
            ``splitter="histogram"`` also the path of a table of any size, or a function that
            returns its batches each time it is called: then it is read twice and not held.
        y : array of shape (n_samples,), or str
            The classes; where X is a path or a function, the name of their column.
        sample_weight : array of shape (n_samples,) or str, optional
            Rows of weight zero are dropped before anything; the name of a column as for y.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If an option, a column or a weight cannot be, or the lengths differ.
        """
        cases: Cases | Unread
        with restore_on_failure(self):
            if stream.is_source(X):
                read = self._read_batches(X, y, sample_weight, self.class_weight)
                cases, classes, codes, weight = read.cases, read.classes, read.y, read.weight
            else:
                cases = self._read(X, reset=True)
                classes, codes = classes_of(y, cases.rows)
                weight = weights_of(sample_weight, cases.rows)
                weight = times_class(weight, self.class_weight, classes, codes)
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

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or the columns are not those of `fit`.
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

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or the columns are not those of `fit`.
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

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or the columns are not those of `fit`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _codes(self, y: Any, n: int) -> tuple[NDArray[Any], int]:
        array = labels_of(y)
        same_length(array, n)
        codes = np.searchsorted(self.classes_, array)
        codes = np.minimum(codes, len(self.classes_) - 1)
        unknown = np.flatnonzero(self.classes_[codes] != array)
        if len(unknown):
            got = f"{array[unknown[:1]].tolist()[0]!r} at [{unknown[0]}]"
            raise _check.invalid("y", "hold the classes of fit", got)
        return codes.astype(np.uint8 if len(self.classes_) <= 256 else np.int32), len(self.classes_)

    def to_ruleset(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        cf: float = 0.25,
        simplified: bool = True,
    ) -> rules.Rules:
        """Return an ordered list of rules that says what the tree says in fewer words.

        Conditions are dropped while the pessimistic error of the rule does not rise; of each
        class those rules are kept that make ``rules / 2 + exceptions`` the shortest message, in
        bits; the class whose rules are wrong least comes first; a default stands for the rest.

        Parameters
        ----------
        X, y, sample_weight
            The cases, as a rule those of `fit`. An unpruned tree is the better beginning.
        cf : float
            Confidence of the error estimate; smaller drops more.
        simplified : bool
            False for one rule a leaf: what `to_rules` prints, as an object that predicts. It says
            what the tree says of every row whose tested values are known.

        Returns
        -------
        Rules
            With ``rules`` (each has ``conditions``, ``label``, ``cover``, ``errors``,
            ``error_estimate``, ``counts``, ``probabilities``), ``default``, `predict`,
            `predict_proba` and `to_text`. A missing value passes a condition only where the
            tree's branch takes it and these cases miss some.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, ``cf`` is not between 0 and 1, or the cases are not of the columns
            and classes of `fit`.

        References
        ----------
        Quinlan, C4.5: Programs for Machine Learning, Morgan Kaufmann 1993, chapter 5.
        """
        check_is_fitted(self)
        cf = _check.share("cf", cf)
        cases = self._cases(X)
        codes, n_classes = self._codes(y, cases.rows)
        weight = weights_of(sample_weight, cases.rows)
        weight = times_class(weight, self.class_weight, self.classes_, codes)
        if not weight.all():
            rows = np.flatnonzero(weight)
            cases, codes, weight = cases.take(rows), codes[rows], weight[rows]
        return simplify.of_tree(
            self._named(),
            simplify.Training(cases, self.columns_, codes.astype(np.int64), weight, n_classes, cf),
            self.classes_,
            self._cases,
            self.leaf_estimate,
            simplified,
        )

    def description_length(self) -> report.Bits:
        """Return how many bits the tree takes, and the training classes given the tree.

        ``tree = nodes + inner log2(columns) + thresholds log2(n) / 2 + groups (levels - 1)
        + (K - 1) / 2 log2(N)``, n the cases of a node and N all, 1 where they weigh less; of levels
        no more than n count.
        ``cases = - sum log2 p(class | cases of the leaf before it)``, each probability
        ``(n_k + P_k) / (n + 1)``, P the class prior: the order of the cases does not matter.

        Returns
        -------
        Bits
            ``tree``, ``cases`` and ``total``: a smaller total is the better model.
            ``pruning="bits"`` gives the part of the grown tree whose total is the smallest.

        References
        ----------
        Quinlan, Rivest, Inferring decision trees using the minimum description length principle,
        Information and Computation 80 (1989) 227-248.
        """
        check_is_fitted(self)
        return report.description_length(self.tree_, self.columns_)

    @property
    def importances_in_bits_(self) -> NDArray[np.float64]:
        """Bits of uncertainty about the class that each column's splits remove, a case."""
        check_is_fitted(self)
        return report.importances(self.tree_, len(self.columns_), "entropy")
