"""A classifier of rows with several labels: each label a yes or no of its own, by a sigmoid."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from xent import _check
from xent.training._classifier import SoftmaxClassifier
from xent.training._fit.plan import Plan
from xent.training._fit.record import HeldOut
from xent.training._fit.rows import features_of
from xent.training._fit.targets import Targets, read_labels_of_rows
from xent.training._objectives import Objective, objective_of
from xent.training._stream import StreamedRows


class MultilabelClassifier(SoftmaxClassifier):
    """A neural network for rows with several labels: a logit and a sigmoid for each label.

    Without hidden layers this is a logistic regression for each label, fitted by mini-batches
    together.

    Parameters
    ----------
    loss : str
        What is minimised, averaged over all labels of all rows as torch does:
        "binary_cross_entropy", "binary_focal" or "mse_sigmoid"; with options:
        "binary_cross_entropy:pos_weight=3".
    hidden, epochs, batch_size, learning_rate, optimizer : optional
        As `SoftmaxClassifier` has them; "newton" is for classes alone.
    random_state, device, progress, schedule, patience, module : optional
        Likewise.

    Attributes
    ----------
    classes_ : ndarray
        The labels: the columns of `predict_proba`.
    coefs_, intercepts_ : list of ndarray
        Weights (outputs, inputs) and biases of each layer.
    history_ : dict of str to list
        One entry an epoch, as `SoftmaxClassifier` has them; the cross-entropy and the accuracy of
        held-out rows are means over all labels of all rows.

    Examples
    --------
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [[1, 0], [1, 0], [1, 1], [0, 1]]
    >>> model = MultilabelClassifier(epochs=300, random_state=0).fit(X, y, classes=["a", "b"])
    >>> model.predict([[0.0], [2.0], [3.5]]).tolist()
    [[1, 0], [1, 1], [0, 1]]

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, section 5.2, equation 5.23.
    """

    def __init__(
        self,
        loss: str = "binary_cross_entropy",
        hidden: Sequence[int] = (),
        epochs: int = 10,
        batch_size: int = 64,
        learning_rate: float = 0.5,
        optimizer: str = "sgd",
        random_state: Any = None,
        device: str = "auto",
        progress: bool = True,
        schedule: str | None = None,
        patience: int | None = None,
        module: Any = None,
    ) -> None:
        super().__init__(
            loss=loss,
            hidden=hidden,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            optimizer=optimizer,
            random_state=random_state,
            device=device,
            progress=progress,
            schedule=schedule,
            patience=patience,
            module=module,
        )

    def fit(
        self,
        X: ArrayLike | StreamedRows,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        classes: ArrayLike | None = None,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float | None = None,
        allow_other_bits: bool = False,
        log: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train on rows ``X`` with the labels ``y``. Features are taken as they are, never scaled.

        Parameters
        ----------
        X : array_like, shape (N, D), or StreamedRows
            Features.
        y : array_like, sparse matrix or data frame, shape (N, L)
            1 where a label is there, 0 where it is not; booleans too. Of sets of labels
            scikit-learn's MultiLabelBinarizer makes it.
        sample_weight : array_like, shape (N,), optional
            How much each row counts.
        classes : array_like, shape (L,), optional
            Names of the labels; else those of the columns of a frame, or 0 to L - 1.
        validation : pair (X, y), optional
            Rows on which the cross-entropy and the accuracy of every epoch are measured.
        checkpoint, checkpoint_every, allow_other_bits, log : optional
            As `SoftmaxClassifier.fit` has them.

        Returns
        -------
        MultilabelClassifier
            Itself.

        Raises
        ------
        ValueError
            If an option or the data cannot be, the loss becomes infinite or NaN, or
            ``checkpoint`` is of other data, options or surroundings.
        """
        return super().fit(
            X, y, sample_weight, classes=classes, validation=validation, checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            allow_other_bits=allow_other_bits, log=log,
        )  # fmt: skip

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the logit of each label, log p/(1 - p): above 0 it is rather there than not.

        Parameters
        ----------
        X : array_like, shape (N, D)
            Features, scaled as those of `fit` were.

        Returns
        -------
        ndarray of float64, shape (N, L)
            Columns in the order of ``classes_``.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or ``X`` is not finite or not of D features.
        """
        check_is_fitted(self)
        return self._logits(features_of(self, X, reset=False))

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the logarithm of each label's probability, in nats.

        Parameters
        ----------
        X : array_like, shape (N, D)
            Features, scaled as those of `fit` were.

        Returns
        -------
        ndarray of float64, shape (N, L)
            Columns in the order of ``classes_``.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or ``X`` is not finite or not of D features.
        """
        return super().predict_log_proba(X)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each label: rows need not sum to 1.

        Parameters
        ----------
        X : array_like, shape (N, D)
            Features, scaled as those of `fit` were.

        Returns
        -------
        ndarray of float64, shape (N, L)
            Columns in the order of ``classes_``.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or ``X`` is not finite or not of D features.
        """
        return super().predict_proba(X)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return 1 for each label that is at least as probable as not.

        Parameters
        ----------
        X : array_like, shape (N, D)
            Features, scaled as those of `fit` were.

        Returns
        -------
        ndarray of int64, shape (N, L)
            Columns in the order of ``classes_``.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or ``X`` is not finite or not of D features.
        """
        return (self.decision_function(X) >= 0).astype(np.int64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output, tags.target_tags.single_output = True, False
        tags.classifier_tags.multi_label, tags.classifier_tags.multi_class = True, False
        return tags

    def _objective(self, loss: str) -> Objective:
        return objective_of(loss, multilabel=True)

    def _read(
        self, X: ArrayLike | StreamedRows, y: ArrayLike, classes: ArrayLike | None
    ) -> tuple[NDArray[Any] | StreamedRows, Targets]:
        targets = read_labels_of_rows("y", y, classes)
        if isinstance(X, StreamedRows):
            return self._blocks(X, targets), targets
        return features_of(self, X, targets.values, reset=True), targets

    def _held_out(self, X: ArrayLike, y: ArrayLike) -> HeldOut:
        found = read_labels_of_rows("validation", y, None, self.classes_)
        rows = features_of(self, X, found.values, reset=False, argument="validation")
        return HeldOut(rows, found.values)

    def _plan(self, held_out: bool) -> tuple[Plan, list[int]]:
        plan, hidden = super()._plan(held_out)
        if plan.optimizer == "newton":
            raise _check.invalid("optimizer", "take steps for several labels a row", "'newton'")
        return plan, hidden

    def _settings(self, plan: Plan, hidden: list[int]) -> dict[str, Any]:
        return super()._settings(plan, hidden) | {"multilabel": True}
