"""Starts where every output is surely wrong, or surely right: who gets away from there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from xent.training._classifier import SoftmaxClassifier
from xent.training._compare import MistakenClassifier, names_of

BIASES = (5.0, -5.0)


@dataclass(frozen=True)
class SaturatedRun:
    """One loss from one start.

    Parameters
    ----------
    loss : str
        Its name.
    bias : float
        Of every output at the start, beside what is drawn.
    steps : list of int
        Steps taken after each epoch.
    accuracy, bits : list of float
        On held-out rows.
    """

    loss: str
    bias: float
    steps: list[int]
    accuracy: list[float]
    bits: list[float]


def saturated_starts(
    X: ArrayLike,
    y: ArrayLike,
    losses: Iterable[str],
    *,
    validation: tuple[Any, Any],
    classifier: SoftmaxClassifier,
    biases: Iterable[float] = BIASES,
) -> list[SaturatedRun]:
    """Train under each loss from starts whose outputs are all moved by a bias.

    A softmax does not see a bias that all outputs share. A sigmoid is driven into its flat end.

    Parameters
    ----------
    X, y : array_like
        Rows to train on, and their classes.
    losses : iterable of str
        Names.
    validation : pair (X, y)
        Held-out rows.
    classifier : SoftmaxClassifier
        Its settings are used.
    biases : iterable of float
        The starts.
    """
    settings = classifier.get_params(deep=False)
    runs = []
    for bias in biases:
        for loss in names_of(losses):
            model = MistakenClassifier(**(settings | {"loss": loss}))
            model._bias = bias
            history = model.fit(X, y, validation=validation).history_
            count = len(y)  # type: ignore[arg-type]
            each = -(-count // min(classifier.batch_size, count))
            steps = [each * epoch for epoch in range(1, len(history["loss"]) + 1)]
            accuracy, bits = history["validation_accuracy"], history["validation_bits"]
            runs.append(SaturatedRun(loss, bias, steps, accuracy, bits))
    return runs
