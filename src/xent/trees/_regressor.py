"""`TreeRegressor`: from a user's table to a pruned tree, and to predictions.

The options are described here and checked in `_fit`.
"""

import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin

from xent import _check
from xent._table.given import check_finite_target, column_of, same_length, target_of
from xent.trees import _fit, _prune
from xent.trees._estimator import BaseTree, restore_on_failure
from xent.trees._table import stream
from xent.trees._table.bins import Unread
from xent.trees._table.columns import Cases
from xent.trees._table.weights import weights_of


class TreeRegressor(RegressorMixin, BaseTree):  # type: ignore[misc]
    """A regression tree that takes any table as it is.

    At every node the split that lowers the squared error most is chosen:
    ``gain = sum (y - mean)^2 - sum over branches of the same``. Of counts, such as claims or
    visits, ``criterion="poisson"`` takes the split that lowers half the Poisson deviance most,
    ``sum y ln(y / mean)``. Under a mean of 0 any count is impossible: no split in two makes such a
    branch, and one of many, or of missing values, says what its node says.

    Parameters
    ----------
    criterion : {"squared_error", "poisson"}
        What a split shall gain; "poisson" wants y of 0 and above. For rates pass counts divided by
        exposures as y, and the exposures as ``sample_weight``.
    nominal, missing
        As in `TreeClassifier`.
    pruning : {"cost_complexity", "reduced_error"} or None
        By cross-validation with the 1-SE rule, by a third of the cases held out, or not at all.
    max_depth, max_leaf_nodes, min_samples_leaf, min_samples_split, min_gain
        As in `TreeClassifier`; ``min_gain`` in squared units of y a case, or in
        units of y ln y.
    splitter, monotonic_cst, n_jobs
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

    _criteria = ("squared_error", "poisson")
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
        splitter: str = "auto",
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
        self.splitter = splitter
        self.monotonic_cst = monotonic_cst
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Grow and prune the tree.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            As in `TreeClassifier`, also a path or a function that returns batches.
        y : array of shape (n_samples,), or str
            The numbers to predict; where X is a path or a function, the name of their column.
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
                read = self._read_batches(X, y, sample_weight, None)
                cases, numbers, weight = read.cases, read.y, read.weight
            else:
                cases = self._read(X, reset=True)
                numbers, _ = self._codes(y, cases.rows)
                weight = weights_of(sample_weight, cases.rows)
            plan = _fit.plan_of(self, cases, 0)
            _refuse_extremes(numbers, weight)
            middle = 0.0
            if self.criterion != "poisson":
                # The middle of y is taken out: squares of what is left lose no digits.
                middle = _middle(numbers, weight)
            elif numbers.min() < 0:
                must = "be 0 or more for " + _check.setting("criterion", "poisson")
                raise _check.invalid("y", must, f"{numbers.min():g}")
            self.tree_ = _fit.fit(plan, cases, numbers - middle, weight, 0)
            self.value_ = _prune.number_values(self.tree_, self.criterion) + middle
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

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or the columns are not those of `fit`.
        """
        return self._values(X)[:, 0]

    def _codes(self, y: Any, n: int) -> tuple[NDArray[Any], int]:
        y = column_of(target_of(y))
        if y.dtype.kind in "Mm":
            hours = "Make them numbers of days or hours."
            raise _check.wrong_kind("y", "hold numbers", str(y.dtype), hours)
        try:
            numbers = y.astype(np.float64)
        except (ValueError, TypeError):
            advice = "For classes take " + _check.thing("TreeClassifier") + "."
            raise _check.wrong_kind("y", "hold numbers", f"{y[0]!s:.40}", advice) from None
        check_finite_target(numbers)
        same_length(numbers, n)
        return numbers, 0


def _refuse_extremes(numbers: NDArray[np.float64], weight: NDArray[np.float64]) -> None:
    """Refuse numbers of which sums, squared, are no floats."""
    farthest, spread = float(np.abs(numbers).max()), float(np.ptp(numbers))
    most = _fit.HEAVIEST / max(1.0, float(weight.sum()))
    if farthest >= most:
        advice = "Divide it by a power of ten."
        raise _check.invalid("y", f"be within {most:g} of 0", f"{farthest:g}", advice)
    if 0 < spread < 1 / _fit.HEAVIEST:
        must, advice = f"differ by {1 / _fit.HEAVIEST:g} or more, if at all", "Multiply it."
        raise _check.invalid("y", must, f"{spread:g}", advice)


def _middle(numbers: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Return the mean with so few bits that numbers less it are exact.

    With all the bits of the mean a leaf of zeros would say 5e-17.
    """
    mean = float(np.average(numbers, weights=weight if weight.any() else None))
    spread = float(np.ptp(numbers))
    if not spread:
        return float(numbers[0])
    step = 2.0 ** (math.frexp(spread)[1] - 4)
    return round(mean / step) * step if step > 0 and abs(mean / step) < 2**52 else mean
