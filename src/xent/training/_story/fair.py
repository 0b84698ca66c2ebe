"""Losses compared at a learning rate that all share and, fairly, at each one's own best."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d

from xent import _check
from xent._lang import say
from xent._progress import hidden, stage
from xent._terminal import fitted, right_in, width_of
from xent.evaluation._calibration.estimators.interval import student_reach
from xent.training._classifier import SoftmaxClassifier, pair
from xent.training._compare import classifier_for, names_of
from xent.training._objectives import FOUR

RATES = (0.15, 0.5, 1.5, 5.0, 15.0, 50.0)


@dataclass(frozen=True)
class FairResult:
    """One loss over all seeds.

    Parameters
    ----------
    loss : str
        Its name.
    rate : float
        Its own best learning rate, chosen on rows that are neither trained nor held out.
    shared_bits, bits : list of float
        Held-out bits of each seed, at the shared rate and at its own.
    accuracy : list of float
        At its own rate.
    difference : tuple of three float
        Bits more than the first loss, each at its own rate: the mean over seeds of the paired
        differences, and Student's 95 % interval.

    Examples
    --------
    >>> from xent.training import SoftmaxClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]] * 5, [0, 0, 1, 1] * 5
    >>> from xent.training import compare_losses_fairly
    >>> settings = SoftmaxClassifier(epochs=2, random_state=0, progress=False)
    >>> found = compare_losses_fairly(
    ...     X, y, ["mse_softmax"], validation=(X, y), classifier=settings, rates=[1], seeds=2
    ... )
    >>> found.results[0].rate, found.results[0].difference
    (1.0, (0.0, 0.0, 0.0))
    """

    loss: str
    rate: float
    shared_bits: list[float]
    bits: list[float]
    accuracy: list[float]
    difference: tuple[float, float, float]


@dataclass(frozen=True, repr=False)
class FairComparison:
    """What `compare_losses_fairly` found; `print` it.

    Parameters
    ----------
    results : list of FairResult
        One a loss, in the order in which they were named.
    shared_rate : float
        The learning rate of all.
    seeds : int
        Over how many starts and shuffles the means are.
    rates : list of float
        From which each loss's own was chosen.

    Examples
    --------
    >>> from xent.training import SoftmaxClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]] * 5, [0, 0, 1, 1] * 5
    >>> from xent.training import compare_losses_fairly
    >>> settings = SoftmaxClassifier(epochs=2, random_state=0, progress=False)
    >>> found = compare_losses_fairly(
    ...     X, y, ["mse_softmax"], validation=(X, y), classifier=settings, rates=[1], seeds=2
    ... )
    >>> found.seeds, found.rates
    (2, [1.0])
    """

    results: list[FairResult]
    shared_rate: float
    seeds: int
    rates: list[float]

    @property
    def columns(self) -> list[str]:
        """Headings of the table."""
        first = self.results[0].loss
        return [
            say("loss"),
            say("bits at {rate:g}", rate=self.shared_rate),
            say("own rate"),
            say("bits there"),
            say("accuracy"),
            say("against {first}, 95 %", first=first),
        ]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table's lines, without the interval of the first loss against itself."""
        lines: list[tuple[str, ...]] = []
        for i, r in enumerate(self.results):
            mean, low, high = r.difference
            lines.append(
                (
                    r.loss,
                    _bits(statistics.mean(r.shared_bits)),
                    f"{r.rate:g}",
                    _bits(statistics.mean(r.bits)),
                    f"{100 * statistics.mean(r.accuracy):.1f} %",
                    ""
                    if i == 0
                    else say(
                        "{mean:+.4f} ({low:+.4f} to {high:+.4f})", mean=mean, low=low, high=high
                    ),
                )
            )
        return lines

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [tuple(self.columns), *self.rows()]
        widths = [max(width_of(line[k]) for line in lines) for k in range(len(lines[0]))]
        out = []
        for line in lines:
            cells = [fitted(line[0], widths[0])]
            cells += [right_in(c, w) for c, w in zip(line[1:], widths[1:], strict=True)]
            out.append("  ".join(cells).rstrip())
        return "\n".join(out)


def compare_losses_fairly(
    X: ArrayLike,
    y: ArrayLike,
    losses: Iterable[str] = FOUR,
    *,
    validation: tuple[ArrayLike, ArrayLike],
    classifier: SoftmaxClassifier | None = None,
    rates: Iterable[float] = RATES,
    seeds: int = 5,
) -> FairComparison:
    """Train each loss at the shared learning rate and at its own best, over several seeds.

    A fifth of the training rows, in equal shares of the classes, is set aside to choose each loss's
    rate by its cross-entropy there. Then each loss is trained on all training rows, at both rates,
    from the same starts and in the same order.

    Parameters
    ----------
    X : array_like, shape (N, D)
        Features.
    y : array_like, shape (N,)
        Classes.
    losses : iterable of str
        Names with options; "double_softmax" among them may be looked at. Differences are against
        the first.
    validation : pair (X, y)
        Held-out rows, which choose nothing.
    classifier : SoftmaxClassifier, optional
        Its settings are used; its learning rate is the shared one.
    rates : iterable of float
        From which each loss's own is chosen.
    seeds : int
        How many starts and shuffles: random_state, random_state + 1, ... At least 2.

    Returns
    -------
    FairComparison

    Raises
    ------
    ValueError
        If a loss is unknown or named twice, every rate diverges, or the data cannot be.

    Notes
    -----
    The interval is of the chance in training, not of the chance in which rows are held out.

    Examples
    --------
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]] * 5, [0, 0, 1, 1] * 5
    >>> settings = SoftmaxClassifier(epochs=3, random_state=0, progress=False)
    >>> found = compare_losses_fairly(
    ...     X, y, ["cross_entropy"], validation=(X, y), classifier=settings, rates=[0.1, 1], seeds=2
    ... )
    >>> [result.rate for result in found.results]
    [1.0]

    References
    ----------
    Golik, P., Doetsch, P. and Ney, H. (2013). Cross-entropy vs. squared error training: a
    theoretical and experimental comparison. Interspeech.
    """
    names = names_of(losses)
    seeds = _check.integer("seeds", seeds, least=2)
    grid = [_check.positive("rates", rate) for rate in rates]
    if not grid:
        raise _check.invalid("rates", "name at least one learning rate", "none")
    like = SoftmaxClassifier() if classifier is None else classifier
    rows, labels = np.asarray(X), column_or_1d(y, warn=True)
    held = pair(validation)
    first = like.random_state
    if not isinstance(first, int | np.integer):
        first = check_random_state(first).randint(2**31 - 1 - seeds)
    third = _third_split(rows, labels, int(first))
    runs = len(names) * (len(grid) + 2 * seeds)
    results: list[FairResult] = []
    with stage("comparing losses", runs, "runs", show=like.progress) as told, hidden():
        done = 0

        def scored(
            loss: str, rate: float, seed: int, train: tuple[Any, Any], test: tuple[Any, Any]
        ) -> tuple[float, float]:
            nonlocal done
            done += 1
            told(done, loss)
            model = classifier_for(loss, like)
            model = clone(model).set_params(learning_rate=rate, random_state=int(first) + seed)
            try:
                history = model.fit(*train, validation=test).history_
            except ValueError as error:
                if "Training stopped" not in str(error):
                    raise
                return math.inf, 0.0  # this rate diverges
            return history["validation_bits"][-1], history["validation_accuracy"][-1]

        for loss in names:
            tried = {rate: scored(loss, rate, 0, *third)[0] for rate in grid}
            own = min(tried, key=lambda rate: tried[rate])
            if math.isinf(tried[own]):
                raise _check.cannot(f"{loss!r} cannot be compared", "it diverges at every rate")
            all_rows = (rows, labels), held
            best = [scored(loss, own, s, *all_rows) for s in range(seeds)]
            shared = [bits for bits, _ in best]
            if own != like.learning_rate:
                shared = [scored(loss, like.learning_rate, s, *all_rows)[0] for s in range(seeds)]
            bits = [b for b, _ in best]
            against = results[0].bits if results else bits
            results.append(
                FairResult(
                    loss, own, shared, bits, [a for _, a in best], paired_interval(bits, against)
                )
            )
    return FairComparison(results, float(like.learning_rate), seeds, grid)


def paired_interval(a: list[float], b: list[float]) -> tuple[float, float, float]:
    """Return the mean of paired differences a - b and Student's 95 % interval.

    Parameters
    ----------
    a, b : list of float
        One number a seed, the same seeds; at least two.
    """
    gaps = np.array(a) - np.array(b)
    mean = float(gaps.mean())
    spread = float(gaps.std(ddof=1)) / math.sqrt(len(gaps))
    reach = student_reach(len(gaps), spread)
    return mean, mean - reach, mean + reach


def _third_split(
    rows: NDArray[Any], labels: NDArray[Any], seed: int
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Set a fifth of the rows aside; in equal shares of the classes where they have two rows."""
    _, counts = np.unique(labels, return_counts=True)
    even = labels if counts.min() >= 2 and len(labels) >= 5 * len(counts) else None
    fit, chosen, y_fit, y_chosen = train_test_split(
        rows, labels, test_size=0.2, random_state=seed, stratify=even
    )
    return (fit, y_fit), (chosen, y_chosen)


def _bits(value: float) -> str:
    return f"{value:.4f}" if value < 1e4 else f"{value:.3g}"
