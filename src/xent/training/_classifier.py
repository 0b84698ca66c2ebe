"""A softmax classifier that scikit-learn can use like any other, trained under a loss one names.

What `fit` learns is kept as NumPy arrays, so a fitted classifier clones, pickles by content and
predicts the same on a machine without the device it was trained on.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from xent import _check, _store
from xent._table.given import labels_of
from xent.training._fit.module import check_module, digest_of_module, module_logits
from xent.training._fit.plan import Plan, read_device, read_optimizer, read_schedule
from xent.training._fit.record import HeldOut, write_log
from xent.training._fit.rows import features_of
from xent.training._fit.run import (
    Task,
    refuse_what_steps_alone_have,
    take_solution,
    take_steps,
)
from xent.training._fit.targets import (
    Targets,
    check_distributions,
    is_soft,
    numbers_in,
    read_targets,
    row_weights,
)
from xent.training._loop import logits_of
from xent.training._objectives import Objective, objective_of
from xent.training._stream import StreamedRows

FLOAT32_MAX = float(np.finfo(np.float32).max)


class SoftmaxClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A neural network for classes: logits, a softmax, and the loss of your choice.

    Without hidden layers this is multinomial logistic regression, fitted by mini-batches.

    Parameters
    ----------
    loss : str
        What is minimised, averaged over all elements as torch does: "cross_entropy" of the softmax,
        "binary_cross_entropy", "mse_softmax", "mse_sigmoid" (the quadratic cost), "focal",
        "binary_focal", "nll", "kl_div", "js_div"; with options: "focal:gamma=2".
    hidden : sequence of int
        Units of each hidden layer, with ReLU between.
    epochs, batch_size : int
        Passes over the data, rows in a step.
    learning_rate : float
        Size of the steps.
    optimizer : str
        PyTorch's "sgd", "adam" or "adamw", with options: "sgd:momentum=0.9". Or "newton", which
        solves the linear case to the end: "newton:C=1", as scikit-learn's C; inf for no penalty.
    random_state : int, RandomState or None
        Draws the start and the batches; the same for every loss and device.
    device : str
        "auto" (a GPU where there is one), or what `torch.device` understands.
    progress : bool
        Show a progress bar where stderr is a terminal.
    class_weight : "balanced", dict or None
        How much the rows of each class count: "balanced" lets all classes count alike.
    schedule : str, optional
        Of the rate of each epoch, by torch.optim.lr_scheduler's names: "StepLR:step_size=5".
    patience : int, optional
        End after so many epochs without a lower held-out cross-entropy; the best one's is kept.
    module : torch.nn.Module, optional
        Any network from rows to logits instead; a copy is trained and kept as ``module_``.

    Attributes
    ----------
    classes_ : ndarray
        The classes, sorted: the columns of `predict_proba`. Of probabilities, as they were named.
    coefs_, intercepts_ : list of ndarray
        Weights (outputs, inputs) and biases of each layer.
    loss_ : str
        The loss it was trained under.
    best_epoch_ : int
        The epoch, from 1, whose network was kept: the last one without ``patience``.
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

    _mistakes = False  # whether losses are trained that are wrong, to be looked at
    _bias = 0.0  # of all outputs at the start

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
        class_weight: str | Mapping[Any, float] | None = None,
        schedule: str | None = None,
        patience: int | None = None,
        module: Any = None,
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
        self.class_weight = class_weight
        self.schedule = schedule
        self.patience = patience
        self.module = module

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
        """Train on rows ``X`` with targets ``y``. Features are taken as they are, never scaled.

        Parameters
        ----------
        X : array_like, shape (N, D), or StreamedRows
            Features. Bytes and float32 are not copied: a batch at a time is made float32. Blocks
            are read one after another, and may be larger than memory.
        y : array_like, shape (N,) or (N, C)
            Classes, of any kind that sorts; or the probability of every class, such as another
            model's predictions.
        sample_weight : array_like, shape (N,), optional
            How much each row counts. Only ratios matter: a step of B rows divides by B times the
            mean weight of all N.
        classes : array_like, shape (C,), optional
            Names of the columns of ``y`` where it holds probabilities; else 0 to C - 1.
        validation : pair (X, y), optional
            Rows on which the cross-entropy and the accuracy of every epoch are measured.
        checkpoint : str or PathLike, optional
            A file written after every epoch. Where it is there already, training goes on from it,
            to the same bits as without the stop; with more ``epochs`` than it was given first, on
            to those. Those bits hang on torch, its threads, the processor and the device, so that
            with others the run does not go on.
        checkpoint_every : float, optional
            Write it whenever so many seconds have passed, amid an epoch too, and at the end.
        allow_other_bits : bool
            Go on with others all the same, with a warning.
        log : str or PathLike, optional
            A CSV of `history_`, one line an epoch, rewritten after each.

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
        for name in ("module_", "coefs_", "intercepts_"):  # of another fit
            self.__dict__.pop(name, None)
        try:
            return self._fit(
                X, y, sample_weight, classes, validation, checkpoint, checkpoint_every,
                allow_other_bits, log,
            )  # fmt: skip
        except BaseException:
            # What was fitted before stays usable, whole, if this fit fails or is interrupted.
            self.__dict__ = before
            raise

    def _fit(
        self,
        X: ArrayLike | StreamedRows,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        classes: ArrayLike | None,
        validation: Any,
        checkpoint: Any,
        every: float | None,
        allow_other_bits: bool,
        log: str | os.PathLike[str] | None,
    ) -> Self:
        if allow_other_bits and checkpoint is None:
            must = "be left out without " + _check.argument("checkpoint")
            raise _check.invalid("allow_other_bits", must, "True")
        if every is not None:
            every = _check.number("checkpoint_every", every)
            if not every >= 0 or checkpoint is None:
                must = "be seconds, at least 0, and go with " + _check.argument("checkpoint")
                raise _check.invalid("checkpoint_every", must, every)
        if log is not None:
            _store.check_target(log, argument="log")
        objective = self._objective(self.loss)
        plan, hidden = self._plan(validation is not None)
        rows, targets = self._read(X, y, classes)
        if checkpoint is not None and isinstance(rows, StreamedRows) and self.random_state is None:
            must = "be given for a checkpoint where " + _check.argument("X") + " is read in blocks"
            raise _check.invalid("random_state", must, "None")
        self.classes_ = targets.classes
        targets, weight = self._weighted(targets, sample_weight)
        held_out = None if validation is None else self._held_out(*pair(validation))
        task = Task(
            rows, targets, weight, held_out, objective, plan, hidden, self.progress, self._bias,
            self.module,
        )  # fmt: skip
        if self.module is not None:
            self._check_module(task)
        rng = check_random_state(self.random_state)
        trained = None
        if plan.optimizer == "newton":
            given, own = self.get_params(deep=False), inspect.signature(type(self)).parameters
            defaults = {name: own[name].default for name in given}
            refuse_what_steps_alone_have(given, defaults, objective, checkpoint)
            record, layers = take_solution(task, rng)
            if log is not None:
                write_log(log, record.history)
        else:
            settings = self._settings(plan, hidden)
            record, layers, trained = take_steps(
                task, rng, checkpoint, settings, allow_other_bits, log, every
            )
        self.best_epoch_ = len(record.history["loss"])
        if plan.patience is not None:
            layers, self.best_epoch_ = record.best, record.best_epoch
            if np.isnan(record.watched[self.best_epoch_ - 1]):
                because = "the held-out cross-entropy is NaN after every epoch"
                advice = (
                    "Look for rows of " + _check.argument("validation") + " whose logits are NaN."
                )
                raise _check.cannot("Early stopping cannot choose an epoch", because, advice)
        if trained is not None:
            self.module_ = trained
        else:
            self.coefs_ = [weight for weight, _ in layers]
            self.intercepts_ = [bias for _, bias in layers]
        self.loss_ = self.loss
        self.history_ = record.history
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
        rows = features_of(self, X, reset=False)
        return self._objective(self.loss_).log_probs(self._logits(rows))

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

    def _logits(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return logits of rows that are checked."""
        if hasattr(self, "module_"):
            return module_logits(self.module_, rows)
        return logits_of(list(zip(self.coefs_, self.intercepts_, strict=True)), rows)

    def _objective(self, loss: str) -> Objective:
        return objective_of(loss, mistakes=self._mistakes)

    def _read(
        self, X: ArrayLike | StreamedRows, y: ArrayLike, classes: ArrayLike | None
    ) -> tuple[NDArray[Any] | StreamedRows, Targets]:
        """Take features and targets to train on."""
        if isinstance(X, StreamedRows):
            targets = read_targets(y, classes)
            return self._blocks(X, targets), targets
        rows = features_of(self, X, y, reset=True)
        return rows, read_targets(y, classes)

    def _blocks(self, X: StreamedRows, targets: Targets) -> StreamedRows:
        """Take rows in blocks, which are looked at when they are read."""
        if len(X) != len(targets.values):
            must = f"hold a target for each of the {len(X):,} rows of " + _check.argument("X")
            raise _check.invalid("y", must, f"{len(targets.values):,}")
        self.__dict__.pop("feature_names_in_", None)
        self.n_features_in_ = X.features
        return X

    def _plan(self, held_out: bool) -> tuple[Plan, list[int]]:
        if not isinstance(self.hidden, Sequence | np.ndarray) or isinstance(
            self.hidden, str | bytes
        ):
            must = "be a sequence of integers like (64, 32)"
            raise _check.wrong_kind("hidden", must, repr(self.hidden))
        hidden = [_check.integer(f"hidden[{i}]", h, least=1) for i, h in enumerate(self.hidden)]
        optimizer, options = read_optimizer(self.optimizer)
        rate = _check.positive("learning_rate", self.learning_rate)
        if rate > FLOAT32_MAX:
            raise _check.invalid("learning_rate", "be a number that float32 can hold", rate)
        patience = self.patience
        if patience is not None:
            patience = _check.integer("patience", patience, least=1)
            if not held_out:
                none = "be None without " + _check.argument("validation")
                raise _check.invalid("patience", none, patience)
        epochs = _check.integer("epochs", self.epochs, least=1)
        plan = Plan(
            loss=self.loss,
            epochs=epochs,
            batch_size=_check.integer("batch_size", self.batch_size, least=1),
            learning_rate=rate,
            optimizer=optimizer,
            device=read_device(self.device),
            options=options,
            schedule=read_schedule(self.schedule, epochs, held_out),
            patience=patience,
        )
        return plan, hidden

    def _weighted(
        self, targets: Targets, sample_weight: ArrayLike | None
    ) -> tuple[Targets, NDArray[np.float64] | None]:
        """Return targets, and how much each row counts."""
        return targets, row_weights(targets, sample_weight, self.class_weight)

    def _check_module(self, task: Task) -> None:
        beside = " with " + _check.argument("module")
        if task.hidden:
            raise _check.invalid("hidden", "be left out" + beside, task.hidden)
        if task.plan.optimizer == "newton":
            raise _check.invalid("optimizer", "take steps" + beside, repr(self.optimizer))
        if task.targets.places is None:
            check_module(self.module, task.features, len(task.targets.classes))

    def _settings(self, plan: Plan, hidden: list[int]) -> dict[str, Any]:
        """Return what decides the result beside the data, as a checkpoint keeps it."""
        seed = self.random_state
        schedule = plan.schedule
        return {
            "loss": plan.loss,
            "hidden": hidden,
            "batch_size": plan.batch_size,
            "learning_rate": plan.learning_rate,
            "optimizer": self.optimizer,
            "schedule": None if schedule is None else [schedule[0], schedule[1]],
            "patience": plan.patience,
            "random_state": int(seed) if isinstance(seed, int | np.integer) else None,
            "multilabel": None,
            "module": None if self.module is None else digest_of_module(self.module),
        }

    def _held_out(self, X: ArrayLike, y: ArrayLike) -> HeldOut:
        rows = features_of(self, X, y, reset=False, argument="validation")
        if not is_soft(y):
            return HeldOut(rows, numbers_in(self.classes_, labels_of(y), "validation"))
        values = check_distributions("validation", y)
        if values.shape[1] != len(self.classes_):
            must = f"hold probabilities of {len(self.classes_)} classes"
            raise _check.invalid("validation", must, f"{values.shape[1]} columns")
        return HeldOut(rows, values)


def pair(validation: Any) -> tuple[Any, Any]:
    """Take a validation pair apart, or say that it is none."""
    if not isinstance(validation, tuple | list) or len(validation) != 2:
        got = _check.a(validation)
        if isinstance(validation, tuple | list):
            got += f" of {len(validation)}"
        raise _check.wrong_kind("validation", "be a pair (X, y)", got)
    return validation[0], validation[1]
