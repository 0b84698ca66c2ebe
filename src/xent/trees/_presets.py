"""ID3, C4.5 and CART: the options of three books, under their names."""

from typing import Any

from xent.trees._classifier import TreeClassifier
from xent.trees._regressor import TreeRegressor


class ID3Classifier(TreeClassifier):
    """Quinlan's first: the column of most information gain, one branch a level, nothing pruned.

    For teaching and for small tables of names without noise. Numbers, which the paper does not
    treat, are divided at a threshold; missing values are refused unless ``missing`` says otherwise.

    Parameters
    ----------
    missing : str
        As in `TreeClassifier`; no "surrogate", which imitates a split in two.
    max_depth : int or None
        How many tests may stand above a leaf.
    min_samples_leaf : float
        Least weight of two branches.
    splitter, class_weight, n_jobs
        As in `TreeClassifier`.

    Examples
    --------
    >>> from xent.trees import ID3Classifier
    >>> ID3Classifier().fit([[0.0], [1.0]], ["no", "yes"]).predict([[0.2]])
    array(['no'], dtype='<U3')

    References
    ----------
    Quinlan, Induction of decision trees, Machine Learning 1 (1986) 81-106.
    """

    def __init__(
        self,
        *,
        missing: str = "refuse",
        max_depth: int | None = None,
        min_samples_leaf: float = 1,
        splitter: str = "auto",
        class_weight: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            criterion="entropy",
            nominal="multiway",
            missing=missing,
            pruning=None,
            leaf_estimate=None,
            max_depth=max_depth,
            min_samples_leaf=min_samples_leaf,
            splitter=splitter,
            class_weight=class_weight,
            n_jobs=n_jobs,
        )


class C45Classifier(TreeClassifier):
    """Quinlan's C4.5, release 8: gain ratio, fractional missing values, pessimistic pruning.

    Gives the tree of Weka's J48, also its probabilities: shares of the training cases, which can be
    0 and 1. For probabilities one can use, set ``leaf_estimate``.

    Parameters
    ----------
    missing : str
        As in `TreeClassifier`; no "surrogate", which imitates a split in two.
    pruning : {"pessimistic", "bits", "cost_complexity", "reduced_error"} or None
        How the tree is made smaller.
    cf : float
        Confidence of the pruning; smaller prunes more.
    raising : bool
        Let a node be replaced by its heaviest branch.
    leaf_estimate : float, "laplace" or None
        As in `TreeClassifier`.
    max_depth : int or None
        How many tests may stand above a leaf.
    min_samples_leaf : float
        Least weight of two branches; C4.5's -m.
    splitter, class_weight, n_jobs
        As in `TreeClassifier`.

    Notes
    -----
    A numeric cut lies between values that differ by more than 1e-5, as in C4.5.

    Examples
    --------
    >>> from xent.trees import C45Classifier
    >>> tree = C45Classifier().fit([[1.0], [2.0], [8.0], [9.0]], list("aabb"))
    >>> tree.predict_proba([[3.0]])
    array([[0., 1.]])

    References
    ----------
    Quinlan, C4.5: Programs for Machine Learning, Morgan Kaufmann 1993; Improved use of continuous
    attributes in C4.5, JAIR 4 (1996) 77-90.
    """

    def __init__(
        self,
        *,
        missing: str = "fractional",
        pruning: str | None = "pessimistic",
        cf: float = 0.25,
        raising: bool = True,
        leaf_estimate: float | str | None = None,
        max_depth: int | None = None,
        min_samples_leaf: float = 2,
        splitter: str = "auto",
        class_weight: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            criterion="gain_ratio",
            nominal="multiway",
            missing=missing,
            pruning=pruning,
            cf=cf,
            raising=raising,
            leaf_estimate=leaf_estimate,
            max_depth=max_depth,
            min_samples_leaf=min_samples_leaf,
            splitter=splitter,
            class_weight=class_weight,
            n_jobs=n_jobs,
        )


class CARTClassifier(TreeClassifier):
    """Breiman's CART: Gini impurity, groups of levels, surrogates, cost-complexity pruning.

    Parameters
    ----------
    missing : str
        As in `TreeClassifier`.
    pruning : {"cost_complexity", "bits", "pessimistic", "reduced_error"} or None
        How the tree is made smaller.
    max_depth : int or None
        How many tests may stand above a leaf.
    min_samples_leaf, min_samples_split : float
        Least weight of two branches, and of a node that may be divided.
    splitter, class_weight, n_jobs
        As in `TreeClassifier`.

    Examples
    --------
    >>> from xent.trees import CARTClassifier
    >>> CARTClassifier().fit([[1.0], [2.0]] * 10, ["a", "b"] * 10).get_n_leaves()
    2

    References
    ----------
    Breiman, Friedman, Olshen, Stone, Classification and Regression Trees, Wadsworth 1984.
    """

    def __init__(
        self,
        *,
        missing: str = "surrogate",
        pruning: str | None = "cost_complexity",
        max_depth: int | None = None,
        min_samples_leaf: float = 7,
        min_samples_split: float = 2,
        splitter: str = "auto",
        class_weight: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            criterion="gini",
            missing=missing,
            pruning=pruning,
            leaf_estimate=None,
            max_depth=max_depth,
            min_samples_leaf=min_samples_leaf,
            min_samples_split=min_samples_split,
            splitter=splitter,
            class_weight=class_weight,
            n_jobs=n_jobs,
        )


class CARTRegressor(TreeRegressor):
    """CART for numbers: squared error, groups of levels, surrogates, cost-complexity pruning.

    Parameters
    ----------
    missing : str
        As in `TreeRegressor`.
    pruning : {"cost_complexity", "reduced_error"} or None
        How the tree is made smaller.
    max_depth : int or None
        How many tests may stand above a leaf.
    min_samples_leaf, min_samples_split : float
        Least weight of two branches, and of a node that may be divided.
    splitter, n_jobs
        As in `TreeRegressor`.

    Examples
    --------
    >>> from xent.trees import CARTRegressor
    >>> CARTRegressor().fit([[1.0], [2.0]] * 10, [3.0, 5.0] * 10).predict([[2.0]])
    array([5.])

    References
    ----------
    Breiman, Friedman, Olshen, Stone, Classification and Regression Trees, Wadsworth 1984.
    """

    def __init__(
        self,
        *,
        missing: str = "surrogate",
        pruning: str | None = "cost_complexity",
        max_depth: int | None = None,
        min_samples_leaf: float = 7,
        min_samples_split: float = 2,
        splitter: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            missing=missing,
            pruning=pruning,
            max_depth=max_depth,
            min_samples_leaf=min_samples_leaf,
            min_samples_split=min_samples_split,
            splitter=splitter,
            n_jobs=n_jobs,
        )
