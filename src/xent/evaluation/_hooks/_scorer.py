"""A scorer for scikit-learn: bits a row, less being better, nothing clipped.

A class with a scorer's signature and not `make_scorer`, which would hand over probabilities without
the order of their columns; that order is the estimator's own, and a fold may lack a class.
"""

import math
from dataclasses import dataclass
from typing import Any

from xent import _check
from xent.evaluation._arrays import array_of, weights_of
from xent.evaluation._evaluate import evaluate
from xent.evaluation._truth import values_of

UNSEEN = ("infinite", "refuse")


@dataclass(frozen=True)
class BitsScorer:
    """Minus the cross-entropy of an estimator's probabilities: greater is better.

    Parameters
    ----------
    unseen : str
        What a true class costs that the estimator was not fitted on.
    base : float
        Base of the logarithm.
    """

    unseen: str
    base: float

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Score an estimator that was fitted."""
        classes = getattr(estimator, "classes_", None)
        if classes is None or not hasattr(estimator, "predict_proba"):
            must = "be a classifier that was fitted and has predict_proba"
            raise _check.wrong_kind("estimator", must, _check.a(estimator))
        if isinstance(classes, list):
            must = "have one target"
            raise _check.wrong_kind("estimator", must, _check.count(len(classes), "target"))
        probs, target = array_of("predict_proba", estimator.predict_proba(X)), values_of(y)
        labels = array_of("classes_", classes).tolist()
        known = set(labels)
        weight = None
        if sample_weight is not None:  # a row of weight 0 is none, whatever its class
            weight = weights_of(sample_weight, len(target))
            counts = weight > 0
            probs, weight = probs[counts], weight[counts]
            target = [value for value, one in zip(target, counts, strict=True) if one]
        strange = [value for value in target if value not in known]
        if strange and self.unseen == "refuse":
            names = _check.join_names(dict.fromkeys(strange), last="and", limit=3)
            must = f"hold classes that the estimator was fitted on, {_check.join_names(labels)}"
            advice = "Stratify the folds, or let such a row cost infinitely much."
            raise _check.invalid("y", must, names, advice)
        if strange:
            return -math.inf
        report = evaluate(target, probs, labels=labels, sample_weight=weight, base=self.base)
        return -report.cross_entropy


def scorer(*, unseen: str = "infinite", base: float = 2) -> BitsScorer:
    """Return a scorer for `cross_val_score`, `GridSearchCV` and whatever else takes ``scoring=``.

    score = - cross-entropy of ``predict_proba`` in bits a row

    Parameters
    ----------
    unseen : {"infinite", "refuse"}
        What happens where a row's class is none of ``estimator.classes_``, because its fold lacked
        it: the estimator gives it probability 0, so it costs infinitely much; or an error.
    base : float
        Base of the logarithm: 2 gives bits, math.e nats.

    Returns
    -------
    BitsScorer
        To be called with an estimator, ``X`` and ``y``, and ``sample_weight`` where wanted. The
        order of the columns is that of ``estimator.classes_``.

    Raises
    ------
    ValueError
        If an option is none of those above.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_score
    >>> X, y = load_iris(return_X_y=True)
    >>> scores = cross_val_score(LogisticRegression(max_iter=500), X, y, scoring=scorer(), cv=3)
    >>> bool((scores < -0.1).all() and (scores > -0.4).all())
    True
    """
    _check.log_of_base(base, "a report")
    return BitsScorer(_check.option("unseen", unseen, UNSEEN), float(base))
