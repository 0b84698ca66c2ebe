"""A classifier of places: every pixel of an image, or token of a sequence, has a class."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array, check_is_fitted

from xent import _check
from xent.training._classifier import SoftmaxClassifier
from xent.training._fit.dense import DenseHeldOut, dense_sums, read_dense
from xent.training._fit.module import check_kind, logits_in_pieces, module_logits
from xent.training._fit.record import HeldOut
from xent.training._fit.rows import KINDS
from xent.training._fit.targets import Targets, row_weights, weights_of_classes
from xent.training._stream import StreamedRows


class DenseClassifier(SoftmaxClassifier):
    """A network with a class at every place: of masks of pixels, of sequences of tokens.

    Parameters
    ----------
    loss : str
        What is minimised, averaged over all places that count, as `SoftmaxClassifier` has it.
    epochs, batch_size, learning_rate, optimizer : optional
        As `SoftmaxClassifier` has them; "newton" is for classes of rows alone.
    random_state, device, progress, schedule, patience : optional
        Likewise.
    class_weight : "balanced", dict or None
        How much the places of each class count: "balanced" lets all classes count alike.
    module : torch.nn.Module
        From inputs (N, ...), as float32, to logits (N, C, H, W), or (N, C, L): a class of every
        place. A copy is trained and kept as ``module_``.
    ignore_index : int, optional
        The target of places that do not count: 255 in many masks.

    Attributes
    ----------
    classes_ : ndarray
        The numbers of the classes, 0 to C - 1: axis 1 of the module's logits.
    input_shape_, output_shape_ : tuple of int
        Of one row of ``X``, and of its logits, (C, H, W) or (C, L).
    history_ : dict of str to list
        One entry an epoch, as `SoftmaxClassifier` has them; means over all places that count.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> X = np.random.default_rng(0).random((20, 1, 8, 8))  # 20 grey images
    >>> y = (X[:, 0] > 0.5).astype(np.uint8)  # their masks
    >>> module = nn.Sequential(nn.Conv2d(1, 8, 1), nn.ReLU(), nn.Conv2d(8, 2, 1))
    >>> model = DenseClassifier(module=module, epochs=20, random_state=0).fit(X, y)
    >>> model.predict(X).shape, model.predict_proba(X).shape
    ((20, 8, 8), (20, 2, 8, 8))

    References
    ----------
    Long, J., Shelhamer, E. and Darrell, T. (2015). Fully convolutional networks for semantic
    segmentation. CVPR, section 3.
    """

    def __init__(
        self,
        loss: str = "cross_entropy",
        epochs: int = 10,
        batch_size: int = 8,
        learning_rate: float = 0.5,
        optimizer: str = "sgd",
        random_state: Any = None,
        device: str = "auto",
        progress: bool = True,
        class_weight: str | Mapping[Any, float] | None = None,
        schedule: str | None = None,
        patience: int | None = None,
        module: Any = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(
            loss=loss,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            optimizer=optimizer,
            random_state=random_state,
            device=device,
            progress=progress,
            class_weight=class_weight,
            schedule=schedule,
            patience=patience,
            module=module,
        )
        self.ignore_index = ignore_index

    def fit(  # type: ignore[override]
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float | None = None,
        allow_other_bits: bool = False,
        log: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train on inputs ``X`` with a class of every place, ``y``. Inputs are never scaled.

        Parameters
        ----------
        X : array_like, shape (N, ...)
            What the module takes: (N, channels, H, W), (N, L). Bytes and float32 stay as they are
            until a batch is taken, so that an array mapped from a file is read as it is needed.
        y : array_like, shape (N, H, W) or (N, L); or (N, C, H, W) or (N, C, L)
            The number of each place's class, or ``ignore_index``; or, as floats, the probability
            of every class, such as another model's predictions.
        sample_weight : array_like, shape (N,), optional
            How much the places of each row count. Only ratios matter.
        validation : pair (X, y), optional
            Rows on whose places the cross-entropy and the accuracy of every epoch are measured.
        checkpoint, checkpoint_every, allow_other_bits, log : optional
            As `SoftmaxClassifier.fit` has them.

        Returns
        -------
        DenseClassifier
            Itself.

        Raises
        ------
        ValueError, TypeError
            If an option or the data cannot be, the module gives logits of another shape, the loss
            becomes infinite or NaN, or ``checkpoint`` is of other data, options or surroundings.
        """
        return super().fit(
            X, y, sample_weight, validation=validation, checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            allow_other_bits=allow_other_bits, log=log,
        )  # fmt: skip

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return log-probabilities in nats of every class at every place.

        Parameters
        ----------
        X : array_like, shape (N, ...)
            Inputs, as those of `fit` were.

        Returns
        -------
        ndarray of float64, shape (N, C, H, W) or (N, C, L)
            The classes along axis 1.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or ``X`` is not finite or of another shape.
        """
        check_is_fitted(self)
        parts = [self._log_probs(logits) for _, logits in self._pieces(self._inputs(X))]
        return np.concatenate(parts)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of every class at every place.

        Parameters
        ----------
        X : array_like, shape (N, ...)
            Inputs, as those of `fit` were.

        Returns
        -------
        ndarray of float64, shape (N, C, H, W) or (N, C, L)
            The classes along axis 1, over which they sum to 1.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or ``X`` is not finite or of another shape.
        """
        return super().predict_proba(X)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return the most probable class of every place.

        Parameters
        ----------
        X : array_like, shape (N, ...)
            Inputs, as those of `fit` were.

        Returns
        -------
        ndarray of int64, shape (N, H, W) or (N, L)
            Numbers of classes.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or ``X`` is not finite or of another shape.
        """
        check_is_fitted(self)
        pieces = self._pieces(self._inputs(X))
        return np.concatenate([self._log_probs(logits).argmax(axis=1) for _, logits in pieces])

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: None = None) -> float:
        """Return the share of places that are right, of those that count.

        Parameters
        ----------
        X : array_like, shape (N, ...)
            Inputs, as those of `fit` were.
        y : array_like, shape (N, H, W) or (N, L)
            Numbers of classes, or ``ignore_index``.
        sample_weight : None
            Must be left out: every place counts alike.

        Returns
        -------
        float
            From 0 to 1.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, or ``X`` or ``y`` is of another shape.
        """
        if sample_weight is not None:
            raise _check.invalid("sample_weight", "be left out", _check.a(sample_weight))
        check_is_fitted(self)
        rows = self._inputs(X)
        truth = self._targets("y", rows, y).values
        objective = self._objective(self.loss_)
        sums = [
            dense_sums(logits, truth[piece], self.ignore_index, objective)
            for piece, logits in self._pieces(rows)
        ]
        return math.fsum(right for _, right, _ in sums) / sum(places for *_, places in sums)

    def _pieces(self, rows: NDArray[Any]) -> Any:
        return logits_in_pieces(self.module_, rows)

    def _log_probs(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log-probabilities of logits (N, C, ...), in their shape."""
        moved = np.moveaxis(logits, 1, -1)
        rows = np.ascontiguousarray(moved).reshape(-1, logits.shape[1])
        found = self._objective(self.loss_).log_probs(rows).reshape(moved.shape)
        return np.ascontiguousarray(np.moveaxis(found, -1, 1))

    def _inputs(self, X: Any, argument: str = "X") -> NDArray[Any]:
        """Take inputs of any number of axes, as they are where torch can."""
        if isinstance(X, StreamedRows):
            must = "be an array; one mapped from a file is read as it is needed"
            raise _check.wrong_kind(argument, must, _check.a(X))
        rows = np.asarray(check_array(X, dtype=KINDS, allow_nd=True, input_name=argument))
        shape = getattr(self, "input_shape_", rows.shape[1:])
        if rows.shape[1:] != shape:
            must = f"hold rows of the shape {shape}, as those trained on"
            raise _check.invalid(argument, must, str(rows.shape[1:]))
        return rows

    def _read(
        self, X: ArrayLike | StreamedRows, y: ArrayLike, classes: ArrayLike | None
    ) -> tuple[NDArray[Any] | StreamedRows, Targets]:
        if self.ignore_index is not None:
            _check.integer("ignore_index", self.ignore_index, least=-(2**31))
        self.__dict__.pop("input_shape_", None)
        rows = self._inputs(X)
        self.output_shape_ = self._outputs_of(rows)
        self.input_shape_, self.n_features_in_ = rows.shape[1:], math.prod(rows.shape[1:])
        weighted = self.class_weight is not None
        return rows, self._targets("y", rows, y, by_class=weighted)

    def _outputs_of(self, rows: NDArray[Any]) -> tuple[int, ...]:
        """Return the shape of the logits of one row; refuse a module that gives none."""
        must = f"turn inputs of the shape (N, {', '.join(map(str, rows.shape[1:]))}) into logits "
        must += "(N, classes, ...), a class of every place"
        module = check_kind(self.module)
        try:
            shape = module_logits(module, np.zeros_like(rows[:2], dtype=np.float32)).shape
        except (RuntimeError, IndexError) as error:
            raise _check.invalid("module", must, str(error).splitlines()[0]) from None
        if len(shape) < 3 or shape[0] != len(rows[:2]) or shape[1] < 2:
            advice = "For a class of every row take SoftmaxClassifier." if len(shape) == 2 else ""
            if len(shape) > 2 and shape[1] == 1:
                advice = "For yes and no give two."
            raise _check.invalid("module", must, f"the shape {shape}", advice)
        return shape[1:]

    def _targets(self, argument: str, rows: NDArray[Any], y: Any, *, by_class: bool = False) -> Any:
        outputs = (len(rows), *self.output_shape_)
        return read_dense(argument, y, outputs, self.ignore_index, by_class=by_class)

    def _weighted(
        self, targets: Targets, sample_weight: ArrayLike | None
    ) -> tuple[Targets, NDArray[np.float64] | None]:
        weight = row_weights(targets, sample_weight, None)
        places = targets.places
        if self.class_weight is None or places is None:
            return targets, weight
        if targets.values.dtype.kind == "f":
            must = "be None where " + _check.argument("y") + " holds probabilities"
            raise _check.invalid("class_weight", must, repr(self.class_weight))
        counts = places.counts if weight is None else places.counts * weight[:, None]
        by_class = weights_of_classes(self.class_weight, targets.classes, counts.sum(axis=0))
        return replace(targets, places=replace(places, class_weight=by_class)), weight

    def _held_out(self, X: ArrayLike, y: ArrayLike) -> HeldOut:
        rows = self._inputs(X, "validation")
        found = self._targets("validation", rows, y)
        return DenseHeldOut(rows, found.values, ignore_index=self.ignore_index)

    def _settings(self, plan: Any, hidden: list[int]) -> dict[str, Any]:
        ignored, weight = self.ignore_index, self.class_weight
        own = {
            "dense": True,
            "ignore_index": None if ignored is None else int(ignored),
            "class_weight": None if weight is None else repr(weight),
        }
        return super()._settings(plan, hidden) | own
