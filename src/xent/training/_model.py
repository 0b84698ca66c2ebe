"""A classifier together with what it needs to meet new data: the encoding, the scaling, the names.

`fit` takes numbers as they are. Whoever makes them from a table, or scales them, keeps how in the
same file: that is what this is for.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch import nn

from xent import _check, _store
from xent.training._classifier import SoftmaxClassifier
from xent.training._dense import DenseClassifier
from xent.training._encoding import TableEncoder
from xent.training._fit.module import FINGERPRINT, arrays_of, filled, fingerprint, module_logits
from xent.training._multilabel import MultilabelClassifier
from xent.training._objectives import objective_of

# 2: with an encoding; 3: with several labels a row; 4: of a module
FORMAT, VERSION = "xent.training", 4
SEVERAL_LABELS, ONE_CLASS_A_ROW = 3, 2  # of such files, which older versions of xent read
MOST_OF_A_ROW = 1 << 26  # numbers; a forged shape would ask for any
MOST_CLASS_BYTES = 1 << 28  # of all classes in memory; a forged width would ask for any


@dataclass(frozen=True)
class Scaling:
    """Each feature brought to [0, 1] by the range that it had in the training data.

    Parameters
    ----------
    low, high : ndarray of float64, shape (D,)
        The ranges. A feature that was constant becomes 0.

    Examples
    --------
    >>> Scaling.of([[0.0, 5.0], [10.0, 5.0]]).apply([[5.0, 7.0]]).tolist()
    [[0.5, 0.0]]
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, X: ArrayLike) -> Self:
        """Take the ranges of the training data.

        Parameters
        ----------
        X : array_like, shape (N, D)
            Features.

        Returns
        -------
        Scaling
        """
        rows = np.asarray(X, dtype=np.float64)
        if rows.ndim != 2 or 0 in rows.shape:
            must = "have the shape (rows, features), at least one of each"
            raise _check.invalid("X", must, str(rows.shape))
        if not np.isfinite(rows).all():
            first = np.argwhere(~np.isfinite(rows))[0]
            raise _check.invalid("X", "be finite", f"{rows[tuple(first)]} at {_check.at(first)}")
        low, high = rows.min(axis=0), rows.max(axis=0)
        with np.errstate(over="ignore"):
            wide = np.isinf(high - low)
        if wide.any():
            must = "hold features whose range float64 can hold"
            got = f"{low[wide][0]:.3g} to {high[wide][0]:.3g} in column {int(wide.argmax())}"
            raise _check.invalid("X", must, got)
        return cls(low, high)

    def apply(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scale rows; new data may fall outside [0, 1] and is not clipped.

        Parameters
        ----------
        X : array_like, shape (N, D)
            Features.

        Returns
        -------
        ndarray of float64, shape (N, D)

        Raises
        ------
        ValueError
            If ``X`` is not of D features.
        """
        rows = np.asarray(X, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.low):
            must = f"have the shape (rows, {len(self.low)}), as the training data had"
            raise _check.invalid("X", must, str(rows.shape))
        width = self.high - self.low
        rows = rows - self.low
        return np.asarray(rows / np.where(width > 0, width, 1.0) * (width > 0))


@dataclass(frozen=True)
class TrainedModel:
    """A fitted classifier that knows how its data was made numbers and what its columns are called.

    Parameters
    ----------
    classifier : SoftmaxClassifier
        Fitted.
    scaling : Scaling, optional
        Applied to features before the classifier sees them. Of a `DenseClassifier` it is of one
        feature, and all numbers of a row are scaled alike.
    columns : list of str
        Names of the features in order; empty where they have none.
    target : str
        Name of the column that was predicted; empty where it has none.
    encoder : TableEncoder, optional
        Fitted; makes numbers of a table before the classifier, or the scaling, sees them.
    shape : tuple of int
        Rows, columns and channels of an image, where the features are the pixels of one.
    label_columns : list of str
        Of several labels a row: the columns of 1 and 0, in the order of the labels; empty where
        one column, ``target``, holds them all.
    separator : str
        What stands between the labels of that one column; empty where it holds lists.
    module_source : str
        Of a module: what its code is called, like ``net.py:Net``, to be said where the model is
        loaded without it. It is never run from here.

    Examples
    --------
    >>> from xent.training import SoftmaxClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> model = TrainedModel(SoftmaxClassifier(epochs=9, random_state=0).fit(X, y), columns=["age"])
    >>> model.columns, model.classifier.predict([[9.0]]).tolist()
    (['age'], [1])
    """

    classifier: SoftmaxClassifier
    scaling: Scaling | None = None
    columns: list[str] = field(default_factory=list)
    target: str = ""
    encoder: TableEncoder | None = None
    shape: tuple[int, ...] = ()
    label_columns: list[str] = field(default_factory=list)
    separator: str = ""
    module_source: str = ""

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return log-probabilities in nats of features as they came, not encoded and not scaled.

        Parameters
        ----------
        X : array_like or data frame, shape (N, D)
            Features. Of a data frame the ``columns`` are taken by name, in their order.

        Returns
        -------
        ndarray of float64, shape (N, C)
            Columns in the order of ``classifier.classes_``.

        Raises
        ------
        ValueError, TypeError
            If ``X`` lacks a column, or has another kind of it than in training, is not finite or
            not of D features.
        """
        return self.classifier.predict_log_proba(self._features(X))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the logit of each label, of a model of several labels a row.

        Parameters
        ----------
        X : array_like or data frame, shape (N, D)
            Features as `predict_log_proba` takes them.

        Returns
        -------
        ndarray of float64, shape (N, L)
            Columns in the order of ``classifier.classes_``.

        Raises
        ------
        ValueError, TypeError
            If the model is of one class a row, or ``X`` is not as in training.
        """
        if not isinstance(self.classifier, MultilabelClassifier):
            because = "its model is of one class a row"
            raise _check.cannot("Logits of labels cannot be told", because)
        return self.classifier.decision_function(self._features(X))

    def _features(self, X: Any) -> Any:
        """Return features as the classifier takes them."""
        if self.encoder is not None:
            X = self.encoder.transform(X)
        elif self.columns and hasattr(X, "columns"):
            missing = [name for name in self.columns if name not in list(X.columns)]
            if missing:
                raise _check.invalid("X", f"have a column {missing[0]!r}", "none of that name")
            X = X[self.columns]
        if self.scaling is None:
            return X
        if isinstance(self.classifier, DenseClassifier):  # one range for all numbers of a row
            rows = np.asarray(X)
            return self.scaling.apply(rows.reshape(-1, 1)).reshape(rows.shape)
        return self.scaling.apply(X)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file: arrays and JSON, no code, whole or not at all.

        Of a module the file holds what it has learned, and what it says of two rows that a seed
        draws; its architecture is code, which `load` is given again.

        Parameters
        ----------
        path : str or PathLike
            Where the file shall stand.

        Raises
        ------
        ValueError
            If the folder does not exist.
        """
        model = self.classifier
        check_is_fitted(model)
        settings = {**model.get_params(), "loss": model.loss_, "device": str(model.device)}
        del settings["module"]
        # A generator's position cannot be written down in a word, and predictions do not need it.
        seed = settings.pop("random_state")
        settings["random_state"] = int(seed) if isinstance(seed, int | np.integer) else None
        if "hidden" in settings:
            settings["hidden"] = [int(units) for units in settings["hidden"]]
        if isinstance(settings.get("class_weight"), Mapping):  # JSON knows no keys but texts
            pairs = settings["class_weight"].items()
            settings["class_weight"] = [
                [c.item() if hasattr(c, "item") else c, float(weight)] for c, weight in pairs
            ]
        arrays: dict[str, NDArray[Any]] = {}
        if model.module is None:
            arrays |= {f"weight{i}": array for i, array in enumerate(model.coefs_)}
            arrays |= {f"bias{i}": array for i, array in enumerate(model.intercepts_)}
        arrays |= {f"history.{k}": np.array(v) for k, v in model.history_.items()}
        if self.scaling is not None:
            arrays |= {"scaling.low": self.scaling.low, "scaling.high": self.scaling.high}
        state = {
            "settings": {k: v.item() if hasattr(v, "item") else v for k, v in settings.items()},
            "classes": model.classes_.tolist(),
            "classes_dtype": model.classes_.dtype.str,
            "features": [str(name) for name in getattr(model, "feature_names_in_", ())],
            "columns": list(self.columns),
            "target": self.target,
            "shape": list(self.shape),
            "encoding": None if self.encoder is None else self.encoder.to_dict(),
        }
        version = ONE_CLASS_A_ROW
        if isinstance(model, MultilabelClassifier):
            version = SEVERAL_LABELS
            state |= {"label_columns": list(self.label_columns), "separator": self.separator}
        if model.module is not None:
            version = VERSION
            row = list(_row_of(model))
            outputs = list(model.output_shape_) if isinstance(model, DenseClassifier) else []
            state["module"] = {"source": self.module_source, "row": row, "outputs": outputs}
            arrays |= {f"module.{k}": array for k, array in arrays_of(model.module_).items()}
            arrays[FINGERPRINT] = fingerprint(model.module_, _row_of(model))
        _store.save(path, format=FORMAT, version=version, state=state, arrays=arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], module: Any = None) -> Self:
        """Read a model that `save` wrote. Nothing in the file is run.

        Parameters
        ----------
        path : str or PathLike
            The file.
        module : torch.nn.Module or callable, optional
            Of a model of a module: one made by the same code, with any weights, or what makes one
            of ``features=`` and ``classes=``. A copy gets the weights of the file, and must then
            say of two rows what the model said.

        Returns
        -------
        TrainedModel

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError, TypeError
            If it is no such file, damaged, or written by a newer xent, or ``module`` is missing,
            or another than that of the model.
        """
        state, arrays = _store.load(path, format=FORMAT, version=VERSION)
        trained = None
        try:
            if (told := state.get("module")) is not None:
                trained = _module_of(told, arrays, module, len(state["classes"]))
            elif module is not None:
                must = "be left out of a model that has none"
                raise _check.invalid("module", must, _check.a(module))
        except (KeyError, TypeError, ValueError, AttributeError, MemoryError) as error:
            if hasattr(error, "sentence"):  # of the module
                raise
            because = "what it holds is no model"
            raise _check.cannot(f"{str(path)!r} cannot be read", because) from None
        try:
            classifier = _restored(state, arrays, trained)
            scaling = None
            if "scaling.low" in arrays:
                scaling = Scaling(arrays["scaling.low"], arrays["scaling.high"])
            encoder = None
            if (encoding := state.get("encoding")) is not None:  # version 1 had none
                encoder = TableEncoder.from_dict(encoding)
            shape = tuple(state.get("shape", ()))
            model = cls(
                classifier, scaling, state["columns"], state["target"], encoder, shape,
                state.get("label_columns", []), state.get("separator", ""),
                "" if told is None else str(told["source"]),
            )  # fmt: skip
            _check_fit(model)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
            because = "what it holds is no model"
            raise _check.cannot(f"{str(path)!r} cannot be read", because) from None
        return model


def _row_of(model: SoftmaxClassifier) -> tuple[int, ...]:
    """Return the shape of one row."""
    if isinstance(model, DenseClassifier):
        return tuple(model.input_shape_)
    return (int(model.n_features_in_),)


def _module_of(told: dict[str, Any], arrays: _store.Arrays, module: Any, classes: int) -> nn.Module:
    """Return a copy of a module, as the model of a file has trained it."""
    if module is None:
        advice = f"It was {told['source']}." if told["source"] else ""
        must = "be given: the network of the model is code, which no file of ours holds"
        raise _check.invalid("module", must, "none", advice)
    row = tuple(told["row"])
    if not all(isinstance(n, int) and n > 0 for n in row) or math.prod(row) > MOST_OF_A_ROW:
        raise KeyError("row")
    if not isinstance(module, nn.Module) and callable(module):
        module = module(features=math.prod(row), classes=classes)
    own = {k.removeprefix("module."): v for k, v in arrays.items() if k.startswith("module.")}
    return filled(module, own, row, arrays[FINGERPRINT])


def _restored(
    state: _store.StoredState, arrays: _store.Arrays, trained: nn.Module | None
) -> SoftmaxClassifier:
    """Build a classifier of what a file holds, whatever that is."""
    settings = dict(state["settings"])
    if isinstance(settings.get("class_weight"), list):
        settings["class_weight"] = {c: weight for c, weight in settings["class_weight"]}
    kind: type[SoftmaxClassifier] = SoftmaxClassifier
    outputs = () if trained is None else tuple(state["module"]["outputs"])
    if outputs:
        kind = DenseClassifier
    elif "label_columns" in state:
        kind = MultilabelClassifier
    classifier = kind(**settings)
    if trained is None:
        layers = range(sum(name.startswith("weight") for name in arrays))
        classifier.coefs_ = [arrays[f"weight{i}"] for i in layers]
        classifier.intercepts_ = [arrays[f"bias{i}"] for i in layers]
        classifier.n_features_in_ = classifier.coefs_[0].shape[1]
    else:
        row = tuple(state["module"]["row"])
        classifier.module, classifier.module_ = trained, trained
        classifier.n_features_in_ = math.prod(row)
        if isinstance(classifier, DenseClassifier):
            classifier.input_shape_, classifier.output_shape_ = row, outputs
    classifier.loss_ = classifier.loss
    dtype = np.dtype(state["classes_dtype"])
    if dtype.kind not in "biufUSO" or dtype.itemsize * len(state["classes"]) > MOST_CLASS_BYTES:
        raise ValueError
    classifier.classes_ = np.array(state["classes"], dtype=dtype)
    if state["features"]:
        classifier.feature_names_in_ = np.array(state["features"], dtype=object)
    classifier.history_ = {
        name.removeprefix("history."): array.tolist()
        for name, array in arrays.items()
        if name.startswith("history.")
    }
    return classifier


def _outputs(classifier: SoftmaxClassifier) -> int:
    """Return how many classes a module gives logits of; raise ValueError if not as was kept."""
    row = _row_of(classifier)
    shape = module_logits(classifier.module_, np.zeros((2, *row), np.float32)).shape[1:]
    if shape != getattr(classifier, "output_shape_", shape[:1]):
        raise ValueError
    return int(shape[0])


def _check_fit(model: TrainedModel) -> None:
    """Raise ValueError unless layers, classes, scaling and names go together."""
    classifier = model.classifier
    if hasattr(classifier, "module_"):
        units = [classifier.n_features_in_, _outputs(classifier)]
        fits = True
    else:
        weights, biases = classifier.coefs_, classifier.intercepts_
        units = [classifier.n_features_in_, *map(len, biases)]
        shapes = [(b, a) for a, b in pairwise(units)]
        fits = [w.shape for w in weights] == shapes and all(b.ndim == 1 for b in biases)
        kinds = {part.dtype for part in (*weights, *biases)}
        fits &= kinds in ({np.dtype(np.float32)}, {np.dtype(np.float64)})  # of steps; the solver
    fits &= classifier.classes_.shape == (units[-1],)
    features = list(getattr(classifier, "feature_names_in_", ()))
    read = units[0]
    if model.encoder is not None:
        fits &= len(model.encoder.get_feature_names_out()) == units[0]
        read = model.encoder.n_features_in_
    for names, number in ((model.columns, read), (features, units[0])):
        fits &= isinstance(names, list) and all(isinstance(name, str) for name in names)
        fits &= len(names) in (0, number)
    if model.shape:
        fits &= all(isinstance(n, int) for n in model.shape) and math.prod(model.shape) == units[0]
    if (scaling := model.scaling) is not None:
        width = 1 if isinstance(classifier, DenseClassifier) else units[0]
        fits &= scaling.low.shape == scaling.high.shape == (width,)
    several = isinstance(classifier, MultilabelClassifier)
    fits &= isinstance(model.separator, str) and isinstance(model.label_columns, list)
    fits &= all(isinstance(name, str) for name in model.label_columns)
    fits &= len(model.label_columns) in (0, units[-1])
    objective_of(classifier.loss, multilabel=several)
    if not fits or not isinstance(model.target, str):
        raise ValueError
