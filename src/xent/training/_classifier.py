"""A softmax classifier that scikit-learn can use like any other, trained under a loss one names.

What `fit` learns is kept as NumPy arrays, so a fitted classifier clones, pickles by content and
predicts the same on a machine without the device it was trained on.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from xent import _check
from xent._progress import stage
from xent.training._checkpoint import Checkpoint, Layer, Memory, Progress
from xent.training._loop import OPTIMIZERS, Plan, first_layers, logits_of, surroundings, train
from xent.training._objectives import OBJECTIVES

FLOAT32_MAX = float(np.finfo(np.float32).max)


class SoftmaxClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A neural network for classes: logits, a softmax, and the loss of your choice.

    Without hidden layers this is multinomial logistic regression, fitted by mini-batches.

    Parameters
    ----------
    loss : {"cross_entropy", "binary_cross_entropy", "mse_softmax", "mse_sigmoid"}
        What is minimised, averaged over all elements as torch does: the cross-entropy of the
        softmax, one yes-or-no cross-entropy a class, or the squared error of the softmax or of
        sigmoids (the quadratic cost).
    hidden : sequence of int
        Units of each hidden layer, with ReLU between.
    epochs, batch_size : int
        Passes over the data, rows in a step.
    learning_rate : float
        Size of the steps.
    optimizer : {"sgd", "adam", "adamw"}
        The rule of the steps, PyTorch's.
    random_state : int, RandomState or None
        Draws the start and the batches; the same for every loss and device.
    device : str
        "auto" (a GPU where there is one), or what `torch.device` understands.
    progress : bool
        Show a progress bar where stderr is a terminal.

    Attributes
    ----------
    classes_ : ndarray
        The classes, sorted: the columns of `predict_proba`.
    coefs_, intercepts_ : list of ndarray
        Weights (outputs, inputs) and biases of each layer.
    loss_ : str
        The loss it was trained under.
    history_ : dict of str to list
        One entry an epoch: ``loss``, ``gradient_norm`` (mean over steps, output layer) and, with a
        validation pair, ``validation_cross_entropy`` in nats, ``validation_bits`` and
        ``validation_accuracy``.

    Examples
    --------
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
    >>> model = SoftmaxClassifier(epochs=200, random_state=0).fit(X, y)
    >>> model.predict([[0.2], [2.9]]).tolist()
    ['low', 'high']

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, sections 4.3.4 and 5.2.
    """

    def __init__(
        self,
        loss: str = "cross_entropy",
        hidden: Sequence[int] = (),
        epochs: int = 10,
        batch_size: int = 64,
        learning_rate: float = 0.5,
        optimizer: str = "sgd",
        random_state: Any = None,
        device: str = "auto",
        progress: bool = True,
    ) -> None:
        self.loss = loss
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.random_state = random_state
        self.device = device
        self.progress = progress

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        allow_other_bits: bool = False,
    ) -> Self:
        """Train on rows ``X`` with classes ``y``. Features are taken as they are, never scaled.

        Parameters
        ----------
        X : array_like, shape (N, D)
            Features.
        y : array_like, shape (N,)
            Classes, of any kind that sorts.
        validation : pair (X, y), optional
            Rows on which the cross-entropy and the accuracy of every epoch are measured.
        checkpoint : str or PathLike, optional
            A file written after every epoch. Where it is there already, training goes on from it,
            to the same bits as without the stop; with more ``epochs`` than it was given first, on
            to those. Those bits hang on torch, its threads, the processor and the device, so that
            with others the run does not go on.
        allow_other_bits : bool
            Go on with others all the same, with a warning.

        Returns
        -------
        SoftmaxClassifier
            Itself.

        Raises
        ------
        ValueError
            If an option or the data cannot be, the loss becomes infinite or NaN, or
            ``checkpoint`` is of other data, options or surroundings.
        """
        before = dict(self.__dict__)
        try:
            return self._fit(X, y, validation, checkpoint, allow_other_bits)
        except BaseException:
            # What was fitted before stays usable, whole, if this fit fails or is interrupted.
            self.__dict__ = before
            raise

    def _fit(
        self, X: ArrayLike, y: ArrayLike, validation: Any, checkpoint: Any, allow_other_bits: bool
    ) -> Self:
        if allow_other_bits and checkpoint is None:
            must = "be left out without " + _check.argument("checkpoint")
            raise _check.invalid("allow_other_bits", must, "True")
        plan, hidden = self._plan()
        rows, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, target = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            got = f"1 class, {self.classes_.tolist()[0]!r}"
            raise _check.invalid("y", "hold at least two classes", got)
        checked = None if validation is None else self._validation(*pair(validation))
        rng = check_random_state(self.random_state)
        # What float32 cannot hold becomes infinite, and that stops the training.
        with np.errstate(over="ignore"):
            single = np.ascontiguousarray(rows, dtype=np.float32)
        file = None
        if checkpoint is not None:
            names = np.frombuffer(repr(self.classes_.tolist()).encode(), dtype=np.uint8)
            data = [single, target, names, *(checked or ())]
            file = Checkpoint(
                checkpoint,
                self._settings(plan, hidden),
                data,
                surroundings(plan.device),
                allow_other_bits=allow_other_bits,
            )
        stands = None if file is None else file.read(plan.epochs, rng)
        if stands is None:
            sizes = [rows.shape[1], *hidden, len(self.classes_)]
            stands = Progress(first_layers(sizes, rng), {}, {"loss": [], "gradient_norm": []})
        history = stands.history
        done = len(history["loss"])
        objective = OBJECTIVES[self.loss]
        title = f"training, {self.loss}"
        with stage(title, plan.epochs, "epochs", show=self.progress) as told:

            def after_epoch(layers: list[Layer], memory: Memory, loss: float, norm: float) -> None:
                entry = {"loss": loss, "gradient_norm": norm}
                if checked is not None:
                    entry |= _measure(
                        objective.log_probs(logits_of(layers, checked[0])), checked[1]
                    )
                for name, value in entry.items():
                    history.setdefault(name, []).append(value)
                if file is not None:
                    file.write(Progress(layers, memory, history), rng)
                told(len(history["loss"]), f"loss {loss:.4f}")

            layers = train(
                stands.layers,
                single,
                target,
                objective,
                plan,
                rng,
                after_epoch,
                done=done,
                memory=stands.memory,
            )
        self.coefs_ = [weight for weight, _ in layers]
        self.intercepts_ = [bias for _, bias in layers]
        self.loss_ = self.loss
        self.history_ = history
        return self

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return log-probabilities in nats, with their digits kept where a class is nearly certain.

        Parameters
        ----------
        X : array_like, shape (N, D)
            Features, scaled as those of `fit` were.

        Returns
        -------
        ndarray of float64, shape (N, C)
            Columns in the order of ``classes_``.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or ``X`` is not finite or not of D features.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        layers = list(zip(self.coefs_, self.intercepts_, strict=True))
        return OBJECTIVES[self.loss_].log_probs(logits_of(layers, rows))

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return probabilities: the softmax, or for the sigmoid losses sigmoids over their sum.

        Parameters
        ----------
        X : array_like, shape (N, D)
            Features, scaled as those of `fit` were.

        Returns
        -------
        ndarray of float64, shape (N, C)
            Columns in the order of ``classes_``; each row sums to 1.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or ``X`` is not finite or not of D features.
        """
        return np.asarray(np.exp(self.predict_log_proba(X)))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : array_like, shape (N, D)
            Features, scaled as those of `fit` were.

        Returns
        -------
        ndarray, shape (N,)
            Members of ``classes_``.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or ``X`` is not finite or not of D features.
        """
        winners = self.predict_log_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[winners])

    def _plan(self) -> tuple[Plan, list[int]]:
        import torch

        _check.option("loss", self.loss, OBJECTIVES)
        _check.option("optimizer", self.optimizer, OPTIMIZERS)
        if not isinstance(self.hidden, Sequence | np.ndarray) or isinstance(
            self.hidden, str | bytes
        ):
            must = "be a sequence of integers like (64, 32)"
            raise _check.wrong_kind("hidden", must, repr(self.hidden))
        hidden = [_check.integer(f"hidden[{i}]", h, least=1) for i, h in enumerate(self.hidden)]
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            there = isinstance(device, str | torch.device) and torch.device(device).type != "meta"
            torch.empty(0, device=device if there else "none")
        except (RuntimeError, AssertionError):
            advice = 'Use "auto" to take what is there.'
            raise _check.invalid("device", "be at hand", repr(self.device), advice) from None
        rate = _check.positive("learning_rate", self.learning_rate)
        if rate > FLOAT32_MAX:
            raise _check.invalid("learning_rate", "be a number that float32 can hold", rate)
        plan = Plan(
            loss=self.loss,
            epochs=_check.integer("epochs", self.epochs, least=1),
            batch_size=_check.integer("batch_size", self.batch_size, least=1),
            learning_rate=rate,
            optimizer=self.optimizer,
            device=str(device),
        )
        return plan, hidden

    def _settings(self, plan: Plan, hidden: list[int]) -> dict[str, Any]:
        """Return what decides the result beside the data, as a checkpoint keeps it."""
        seed = self.random_state
        return {
            "loss": plan.loss,
            "hidden": hidden,
            "batch_size": plan.batch_size,
            "learning_rate": plan.learning_rate,
            "optimizer": plan.optimizer,
            "random_state": int(seed) if isinstance(seed, int | np.integer) else None,
        }

    def _validation(
        self, X: ArrayLike, y: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        rows, truth = validate_data(self, X, y, dtype=np.float64, reset=False)
        place = np.searchsorted(self.classes_, truth).clip(max=len(self.classes_) - 1)
        unknown = self.classes_[place] != truth
        if unknown.any():
            first = int(unknown.argmax())
            must = "hold only classes that " + _check.argument("y") + " holds"
            raise _check.invalid("validation", must, f"{truth.tolist()[first]!r} at row {first}")
        return rows, place


def pair(validation: Any) -> tuple[Any, Any]:
    """Take a validation pair apart, or say that it is none."""
    if not isinstance(validation, tuple | list) or len(validation) != 2:
        got = _check.a(validation)
        if isinstance(validation, tuple | list):
            got += f" of {len(validation)}"
        raise _check.wrong_kind("validation", "be a pair (X, y)", got)
    return validation[0], validation[1]


def _measure(log_probs: NDArray[np.float64], target: NDArray[np.int64]) -> dict[str, float]:
    nats = -math.fsum(log_probs[np.arange(len(target)), target]) / len(target)
    return {
        "validation_cross_entropy": nats,
        "validation_bits": nats / math.log(2),
        "validation_accuracy": float((log_probs.argmax(axis=1) == target).mean()),
    }
