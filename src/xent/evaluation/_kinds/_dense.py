"""A class for every place: pixels of masks, tokens that are tagged. Samples are drawn whole."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from xent import _check
from xent.evaluation._arrays import array_of
from xent.evaluation._evaluate import evaluated
from xent.evaluation._kinds._distributions import one_of_three
from xent.evaluation._kinds._means import mean_of
from xent.evaluation._report import Report


def evaluate_dense(
    target: ArrayLike,
    probs: ArrayLike | None = None,
    *,
    logits: ArrayLike | None = None,
    log_probs: ArrayLike | None = None,
    class_axis: int,
    labels: Iterable[Any] | None = None,
    ignore_index: Any = None,
    normalize: bool = False,
    allow_probabilities: bool = False,
    base: float = 2,
) -> Report:
    """How many bits the classes of pixels or tokens took, with the interval of whole samples.

    cross-entropy = - Σ_places log2 p(true class of the place) / places that are not ignored

    Parameters
    ----------
    target : array_like, shape (N, ...)
        The true class of every place of N samples: (N, H, W) for masks, (N, T) for tokens.
    probs, logits, log_probs : array_like, shape (N, C, ...) or (N, ..., C)
        One of them, as `evaluate` takes it.
    class_axis : int
        Which axis the classes are on: 1 for masks as PyTorch has them, -1 for a Trainer's
        predictions (N, T, C).
    labels : sequence of C names, optional
        The names of the classes; targets are then their names.
    ignore_index : object, optional
        A target that says to leave its place out: 255 in many masks, -100 in a Trainer's labels.
    normalize, allow_probabilities, base : optional
        As in `evaluate`.

    Returns
    -------
    Report
        As `evaluate` has it, its rows being places (``numpy.unravel_index(row, target.shape)``
        finds one), and its interval that of samples: places of one image are not independent.

    Raises
    ------
    ValueError, TypeError
        As `evaluate` raises them, or if shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> target = [[[0, 1], [1, 255]]]  # one mask of 2 by 2 pixels
    >>> report = evaluate_dense(target, np.full((1, 2, 2, 2), 0.5), class_axis=1, ignore_index=255)
    >>> report.rows, report.cross_entropy
    (3, 1.0)
    """
    kind, value = one_of_three(probs, logits, log_probs)
    scores, truth = array_of(kind, value), array_of("target", target)
    if scores.ndim < 3:
        must, advice = "have three dimensions or more", "For rows and classes take `evaluate`."
        raise _check.invalid(kind, must, str(scores.shape), advice)
    axis = _check.integer("class_axis", class_axis, least=-scores.ndim)
    if axis % scores.ndim == 0 or axis >= scores.ndim:
        must = f"name an axis of {scores.shape} but the first, which is of samples"
        raise _check.invalid("class_axis", must, class_axis)
    places = scores.shape[: axis % scores.ndim] + scores.shape[axis % scores.ndim + 1 :]
    if truth.shape != places:
        must = f"have the shape of the predictions without their classes, {places}"
        raise _check.invalid("target", must, str(truth.shape))
    rows = np.moveaxis(scores, axis, -1).reshape(-1, scores.shape[axis])
    report, each = evaluated(
        truth.reshape(-1), *(rows if kind == k else None for k in ("probs", "logits", "log_probs")),
        labels=None if labels is None else list(labels), positive=None, sample_weight=None,
        by=None, ids=None, ignore_index=ignore_index, normalize=normalize,
        allow_probabilities=allow_probabilities, base=base,
    )  # fmt: skip
    sample = each.row // (truth.size // len(truth))
    spent = np.bincount(sample, each.cost, len(truth)) / np.log(base)
    size = np.bincount(sample, minlength=len(truth)).astype(np.float64)
    some = size > 0  # a sample that is all ignored says nothing
    _, low, high = mean_of(spent[some], size[some])
    return replace(report, low=low, high=high)
