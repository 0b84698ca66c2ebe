"""What classifiers and regressors share: reading tables, predicting, and looking at the tree."""

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, is_regressor
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from xent import _check
from xent._table.frames import AtOnce, Frame, exact, is_frame, read_at_once
from xent._table.frames.at_once import NUMBER_FORM, OTHER_FORM
from xent.trees import _fit, _prune
from xent.trees._kernels.bins import MAX_BINS
from xent.trees._nodes import NodeMethods
from xent.trees._predict import leaves, values
from xent.trees._show import picture, report, sql, text
from xent.trees._show.named import LISTED_LEVELS, Named
from xent.trees._table import arrays, bins, columns, sparse, stream
from xent.trees._table.bins import Unread
from xent.trees._table.columns import Cases, FittedColumn
from xent.trees._table.weights import times_class, weights_of
from xent.trees._tree import Tree

READ_AT_ONCE = 4096  # rows


class BaseTree(NodeMethods, BaseEstimator):  # type: ignore[misc]
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

    # ------------------------------------------------------------ tables

    def _read(self, X: Any, *, reset: bool) -> Cases | Unread:
        most = MAX_BINS if self.splitter == "histogram" else np.inf
        finite: Any = True if self.missing == "refuse" else "allow-nan"
        X = arrays.of_rows(X)
        if arrays.is_mixed(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if reset:
                exact.refuse_joined(exact.of_array(X), most)
            return self._of_frame(Frame(X), None, reset=reset)
        if not is_frame(X):
            if columns.is_clean(X) and (reset or self._has_form(X)):
                # What validate_data would do, at a tenth of what a small table's tree costs.
                if reset:
                    self.n_features_in_ = X.shape[1]
                    self.__dict__.pop("feature_names_in_", None)
            else:
                if reset:
                    exact.refuse_joined(exact.of_array(X), most)
                try:
                    X = validate_data(
                        self,
                        X,
                        reset=reset,
                        dtype=np.float64,
                        accept_sparse=("csr", "csc"),
                        ensure_all_finite=finite,
                    )
                except OverflowError:
                    raise exact.too_large() from None
            if reset:
                names = getattr(self, "feature_names_in_", None)
                if names is None:
                    names = [f"x{j}" for j in range(X.shape[1])]
                self.columns_ = columns.number_columns([str(name) for name in names])
            elif any(c.kind != "number" for c in self.columns_):
                got = "an array of numbers"
                raise _check.wrong_kind("X", "be a table with the columns of fit", got)
            if not isinstance(X, np.ndarray):
                divides = self.missing == "fractional" and np.isnan(X.data).any()
                if not (reset and (divides or self.missing == "surrogate")):
                    return sparse.of_matrix(X, self.splitter == "histogram")
                X = X.toarray()
            if reset and self.splitter == "histogram":
                return bins.of_cases(columns.of_numbers(X, copy=False))
            return columns.of_numbers(X)
        return self._read_frame(X, reset=reset)

    def _read_frame(self, X: Any, *, reset: bool) -> Cases | Unread:
        """Read a data frame: its columns of plain numbers whole, as an array is read."""
        binned = reset and self.splitter == "histogram"
        # Bins are made column by column, so that a large table is held but once.
        at_once = None
        if not (binned and len(X) > READ_AT_ONCE):
            at_once = read_at_once(X, None if reset else [c.name for c in self.columns_])
        numbers_alone = reset or all(c.kind == "number" for c in self.columns_)
        if at_once is None or (at_once.form != NUMBER_FORM).any() or not numbers_alone:
            return self._of_frame(Frame(X), at_once, reset=reset)
        cases = columns.of_numbers(at_once.numbers, copy=not binned)
        if reset:
            self._describe(X, columns.number_columns(at_once.names))
        if self.missing == "refuse":
            _fit.refuse_missing(cases)
        return bins.of_cases(cases) if binned else cases

    def _of_frame(self, frame: Frame, at_once: AtOnce | None, *, reset: bool) -> Cases | Unread:
        """Read those columns of a frame that were not read at once, and join all."""
        cases: Cases | Unread
        binned = reset and self.splitter == "histogram"
        if reset:
            forms = at_once.form.tolist() if at_once else [OTHER_FORM] * len(frame.names)
            rest = [
                name for name, form in zip(frame.names, forms, strict=True) if form == OTHER_FORM
            ]
            most = MAX_BINS if self.splitter == "histogram" else np.inf
            exact.refuse_joined(((name, frame.column(name).in_question()) for name in rest), most)
            self._describe(frame.native, columns.describe(frame, at_once=at_once))
        if binned and not at_once:
            cases = bins.of_frame(frame, self.columns_)
        else:
            cases = columns.read(frame, self.columns_, at_once)
        if not cases.rows or not len(self.columns_):
            got = f"{cases.rows} rows and {len(self.columns_)} columns"
            raise _check.invalid("X", "have rows and columns", got)
        if self.missing == "refuse":
            _fit.refuse_missing(cases)
        return bins.of_cases(cases) if binned and isinstance(cases, Cases) else cases

    def _describe(self, X: Any, described: list[FittedColumn]) -> None:
        """Keep what the columns of a data frame are; text alone names features in scikit-learn."""
        self.columns_ = described
        self.n_features_in_ = len(described)
        self.__dict__.pop("feature_names_in_", None)
        if all(isinstance(name, str) for name in getattr(X, "columns", [None])):
            self.feature_names_in_ = np.array([c.name for c in described], dtype=object)

    def _read_batches(self, X: Any, y: Any, weight: Any, class_weight: Any) -> stream.Reading:
        if self.splitter != "histogram":
            _check.option("splitter", self.splitter, _fit.SPLITTERS)
            must = 'be "histogram" where ' + _check.thing("X") + " is read in batches"
            raise _check.invalid("splitter", must, repr(self.splitter))
        numbers = is_regressor(self)
        read = stream.Reading(X, y, weight, class_weight, numbers=numbers)
        if self.missing == "refuse":
            _fit.refuse_missing(read.cases)
        self.columns_ = read.columns
        self.n_features_in_ = len(self.columns_)
        self.feature_names_in_ = np.array([c.name for c in self.columns_], dtype=object)
        return read

    def _has_form(self, X: NDArray[Any]) -> bool:
        return X.shape[1] == self.n_features_in_ and not hasattr(self, "feature_names_in_")

    def _cases(self, X: Any) -> Cases:
        return cast(Cases, self._read(X, reset=False))

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


def classes_of(y: Any, n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    y = arrays.target_of(y)
    if type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "biuU":
        array = y
    else:
        array = column_or_1d(y, warn=True)
        columns.refuse_fractions(array)
        if array.dtype.kind in "Mm":
            raise _check.wrong_kind("y", "hold classes", str(array.dtype), "Make them text.")
        check_classification_targets(y)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise _check.invalid("y", "be finite", "NaN or infinity")
    same_length(array, n)
    classes, codes = _distinct(array)
    return classes, codes.astype(np.uint8 if len(classes) <= 256 else np.int32)


def _distinct(array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """`np.unique` with the inverse; small integers are not sorted."""
    if array.dtype.kind in "iu" and len(array):
        low, high = int(array.min()), int(array.max())
        if high - low < 1000:
            # Unsigned numbers may not fit into int64, signed ones may not fit their own difference.
            wide = array if array.dtype.kind == "u" else array.astype(np.int64, copy=False)
            offset = (wide - wide.dtype.type(low)).astype(np.int64, copy=False)
            used = np.bincount(offset).nonzero()[0]
            found = (used.astype(wide.dtype) + wide.dtype.type(low)).astype(array.dtype, copy=False)
            if len(used) == high - low + 1:
                return found, offset
            place = np.empty(high - low + 1, np.int64)
            place[used] = np.arange(len(used))
            return found, place[offset]
    return np.unique(array, return_inverse=True)


def same_length(y: NDArray[Any], n: int) -> None:
    if len(y) != n:
        raise _check.invalid("y", f"have {n} values, one a row of " + _check.thing("X"), len(y))
