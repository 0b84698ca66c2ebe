"""Weights of cases and of classes: what scikit-learn means by them, and what is refused.

A class that is not named weighs 1. A name that no row has is a slip, unless every class that is
there has its weight: the part of a table that cross-validation fits may lack a class.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._table import given

_ONE = np.ones(1).tobytes()


def weights_of(sample_weight: Any, count: int) -> NDArray[np.float64]:
    """Return a weight for each of ``count`` cases."""
    if sample_weight is None:
        # One number seen as many: what `np.broadcast_to` makes, in a tenth of its time.
        return np.ndarray(count, np.float64, _ONE, strides=(0,))
    return given.weights_of(sample_weight, count)


def by_name(class_weight: Any) -> dict[Any, float]:
    """Return the weights that were given by class, none where they are balanced or left out."""
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return {}
    must = "be 'balanced', a dict of weights by class, or None"
    if not isinstance(class_weight, dict):
        wrong = _check.invalid if isinstance(class_weight, str) else _check.wrong_kind
        raise wrong("class_weight", must, repr(class_weight))
    found = {}
    for name, value in class_weight.items():
        argument = f"class_weight[{name!r}]"
        found[name] = _check.number(argument, value)
        if not 0 <= found[name] < math.inf:
            raise _check.invalid(argument, "be finite, 0 or more", repr(value))
    return found


def times_class(
    weight: NDArray[np.float64], class_weight: Any, classes: NDArray[Any], codes: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the weights of cases, each times the weight of its class."""
    if class_weight is None:
        return weight
    # Rows of weight zero are as if they were not there, so no class is balanced by them.
    here = codes[weight > 0] if weight.strides[0] else codes
    each = by_class(class_weight, classes, np.bincount(here, minlength=len(classes)))
    return np.asarray(weight * each[codes])


def by_class(
    class_weight: Any, classes: NDArray[Any], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return a weight for each class; ``counts`` are the rows of each that weigh something."""
    given = by_name(class_weight)
    if not isinstance(class_weight, dict):
        return np.asarray(counts.sum() / ((counts > 0).sum() * np.maximum(counts, 1)))
    names = classes.tolist()
    held = set(names)
    unknown = [name for name in given if name not in held]
    if unknown and not all(name in given for name in names):
        got, own = (_check.join_names(some, last="and") for some in (unknown, names))
        raise _check.invalid(
            "class_weight",
            "name classes of " + _check.thing("y"),
            got,
            _check.thing("y") + f" holds {own}.",
        )
    return np.array([given.get(name, 1.0) for name in names])
