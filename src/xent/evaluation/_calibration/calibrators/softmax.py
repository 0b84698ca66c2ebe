"""Temperature, and one bias a class, fitted to full accuracy: Newton's method on a convex loss.

Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks, ICML, for the
temperature; Alexandari, Kundaje and Shrikumar (2020), Maximum likelihood with bias-corrected
calibration is hard-to-beat at label shift adaptation, ICML, for the biases; of two classes that is
Platt's scaling. What is fitted is the inverse of the temperature, in which the loss is convex.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xent.evaluation._calibration.calibrators.logistic import NEWTON_STEPS
from xent.evaluation._calibration.yes_no import Numbers, dot

# A block of rows: log-probabilities, true classes, weights.
RowBlock = tuple[Numbers, NDArray[np.int64], Numbers]
RowBlocks = Callable[[], Iterator[RowBlock]]
LEAST_SLOPE, GREATEST_SLOPE = 1e-6, 1e6  # inverse temperatures
MASKED = -1e100  # stands for -inf, so that nothing times it is no number


@dataclass(frozen=True)
class Scale:
    """Log-probabilities are multiplied by ``slope``, and ``bias`` is added, before the softmax.

    Parameters
    ----------
    slope : float
        The inverse of the temperature.
    bias : ndarray of float64, shape (C,), or None
        One number a class.
    separated : bool
        Whether virtual rows were needed: without them the best slope or bias is infinite.
    """

    slope: float
    bias: Numbers | None
    separated: bool

    def at(self, log_probs: Numbers) -> Numbers:
        """Return mended log-probabilities; what cannot be still cannot be."""
        return log_softmax(scaled(log_probs, self.slope, self.bias))


def scaled(log_probs: Numbers, slope: float | Numbers, bias: Numbers | None = None) -> Numbers:
    """Return log-probabilities times a slope plus a bias, -inf where they are -inf."""
    found = np.maximum(log_probs, MASKED) * slope
    if bias is not None:
        found += bias
    found[log_probs == -np.inf] = -np.inf
    return found


def log_softmax(scores: Numbers) -> Numbers:
    """Return log-probabilities, in the memory of the scores."""
    scores -= scores.max(axis=1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return scores


def fitted_slope(blocks: RowBlocks, start: float = 1.0, *, kept: bool = False) -> Scale:
    """Fit the inverse temperature.

    Parameters
    ----------
    blocks : callable
        Returns the rows, block after block, whenever it is called.
    start : float
        Where to begin.
    kept : bool
        Whether the rows are few: what is the same for every slope is then found once.
    """
    separated = _always_first(blocks)
    known_rows = [_known_rows(block) for block in blocks()] if kept else None

    def rows() -> Iterable[_KnownRows]:
        return map(_known_rows, blocks()) if known_rows is None else known_rows

    low, high, slope = LEAST_SLOPE, GREATEST_SLOPE, start
    for _ in range(NEWTON_STEPS):
        gradient, curve = _slope_sums(rows(), slope, virtual=separated)
        low, high = (slope, high) if gradient < 0 else (low, slope)
        step = -gradient / curve if curve > 0 else 0.0
        if gradient == 0 or abs(step) <= 1e-15 * slope:
            break
        then = slope + step
        if not low < then < high:
            # Newton's step leaves what is known to hold the answer: halve that, on a log scale.
            then = float(np.sqrt(low * high)) if high / low > 4 else (low + high) / 2
        if then == slope:
            break
        slope = then
    return Scale(slope, None, separated)


def _always_first(blocks: RowBlocks) -> bool:
    """Tell whether no class was ever given more than the true one, and some were given less."""
    unequal = False
    for z, truth, _ in blocks():
        true = z[np.arange(len(z)), truth]
        known = np.isfinite(true)
        if (z[known] > true[known, None]).any():
            return False
        unequal = unequal or bool((z[known] < true[known, None]).any())
    return unequal


class _KnownRows(NamedTuple):
    """Rows whose true class can be: log-probabilities, the largest and the true one, weights."""

    z: Numbers
    top: Numbers
    true: Numbers
    weight: Numbers


def _known_rows(block: RowBlock) -> _KnownRows:
    z, truth, weight = known(*block)
    return _KnownRows(z, z.max(axis=1, keepdims=True), z[np.arange(len(z)), truth], weight)


def _slope_sums(
    blocks: Iterable[_KnownRows], slope: float, *, virtual: bool
) -> tuple[float, float]:
    """Return the first and second derivative of the loss by the slope."""
    gradient = curve = total = own = 0.0
    for z, top, true, weight in blocks:
        p = z * slope
        p -= top * slope  # the largest still, as a slope is above 0
        p -= np.log(np.exp(p).sum(axis=1, keepdims=True))
        np.exp(p, out=p)
        mean = np.einsum("ij,ij->i", p, z)
        away = z - mean[:, None]
        # A masked class is infinitely far away and weighs nothing.
        square = np.einsum("ij,ij,ij->i", p, away, away)
        gradient += dot(weight, mean - true)
        curve += dot(weight, square)
        if virtual:
            total += float(weight.sum())
            own += dot(weight, mean - np.einsum("ij,ij->i", np.exp(z), z))
    if virtual and total:
        gradient += own / total
        curve *= 1 + 1 / total
    return gradient, curve


def known(
    z: Numbers, truth: NDArray[np.int64], weight: Numbers
) -> tuple[Numbers, NDArray[np.int64], Numbers]:
    """Leave out rows whose true class cannot be: no temperature mends them."""
    z = np.maximum(z, MASKED)
    some = z[np.arange(len(z)), truth] > MASKED
    return (z, truth, weight) if some.all() else (z[some], truth[some], weight[some])


def fitted_biases(blocks: RowBlocks, classes: int) -> Scale:
    """Fit the inverse temperature and a bias for each class.

    Parameters
    ----------
    blocks : callable
        As for `fitted_slope`.
    classes : int
        How many there are.
    """
    seen = np.zeros(classes)
    for z, truth, weight in blocks():
        _, truth, weight = known(z, truth, weight)
        seen += np.bincount(truth, weight, classes)
    separated = bool((seen == 0).any()) or _always_first(blocks)
    theta = np.append(1.0, np.zeros(classes))
    now, gradient, information = _bias_sums(blocks, theta, virtual=separated)
    for _ in range(NEWTON_STEPS):
        # Adding one number to all biases changes nothing: hold their sum.
        held = information.copy()
        held[1:, 1:] += np.trace(information[1:, 1:]) / classes**2
        step = -np.linalg.lstsq(held, gradient, rcond=None)[0]
        gain = float(-(step @ gradient))
        if not gain > 1e-26 * max(now, 1e-300):
            break
        then = _bias_sums(blocks, theta + step, virtual=separated)
        while not then[0] <= now and gain > 1e-9 * now:
            step, gain = step / 2, gain / 2
            then = _bias_sums(blocks, theta + step, virtual=separated)
        theta = theta + step
        now, gradient, information = then
        if np.abs(step).max() <= 2e-16 * np.abs(theta).max():
            break
    return Scale(float(theta[0]), theta[1:] - theta[1:].mean(), separated)


def _bias_sums(
    blocks: RowBlocks, theta: Numbers, *, virtual: bool
) -> tuple[float, Numbers, Numbers]:
    """Return the loss, its gradient and its second derivatives by slope and biases."""
    size = len(theta)
    loss, gradient, information = 0.0, np.zeros(size), np.zeros((size, size))
    whole = sum(float(known(*block)[2].sum()) for block in blocks()) if virtual else 0.0
    for block in blocks():
        z, truth, weight = known(*block)
        here = np.arange(len(z))
        said = log_softmax(z * theta[0] + theta[1:])
        p = np.exp(said)
        wanted = np.zeros_like(p)
        wanted[here, truth] = weight
        if virtual:
            wanted += np.exp(z) * (weight / whole)[:, None]
            weight = weight * (1 + 1 / whole)
        loss -= float(np.einsum("ij,ij->", wanted, np.maximum(said, MASKED)))
        gap = p * weight[:, None] - wanted
        gradient += np.append(np.einsum("ij,ij->", gap, z), gap.sum(axis=0))
        away = z - np.einsum("ij,ij->i", p, z)[:, None]
        pull = p * away * weight[:, None]
        information[0, 0] += np.einsum("ij,ij->", pull, away)
        information[0, 1:] += pull.sum(axis=0)
        information[1:, 1:] += np.diag(weight @ p) - p.T @ (p * weight[:, None])
    information[1:, 0] = information[0, 1:]
    return loss, gradient, information
