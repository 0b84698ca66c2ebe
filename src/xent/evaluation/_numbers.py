"""What was measured, as plain data: the records that a report is made of.

They hold the signature that reproduces them, never the predictions themselves.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNIT_NAMES = {2.0: "bits", math.e: "nats", 10.0: "bans"}


@dataclass(frozen=True)
class Bin:
    """Rows whose winning class was given a probability in [low, high).

    Parameters
    ----------
    low, high : float
        Edges of the bin.
    rows : int
        How many rows fell into it.
    confidence, accuracy : float
        What the model said on average, and how often it was right.
    """

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class ClassRow:
    """Where one class stands.

    Parameters
    ----------
    label : object
        The class.
    rows : int
        How often it was true.
    cross_entropy, share : float
        Mean cost of these rows, and their part of the whole cost.
    recall, precision : float
        How many of its rows were found, and how many rows so called were its; NaN where there are
        none.
    """

    label: Any
    rows: int
    cross_entropy: float
    share: float
    recall: float
    precision: float


@dataclass(frozen=True)
class HardRow:
    """One of the most expensive rows.

    Parameters
    ----------
    row : int
        Its number, from 0.
    target, prediction : object
        The class that was true, and the one that was given most.
    probability, cost : float
        What the true class was given, and what that cost.
    """

    row: int
    target: Any
    prediction: Any
    probability: float
    cost: float


@dataclass(frozen=True, repr=False)
class Figures:
    """The fields of a `Report`, which says what each means, and what follows from them."""

    rows: int
    classes: int
    labels: list[Any]
    base: float
    cross_entropy: float
    uniform: float
    prior: float
    explained: float
    accuracy: float
    brier: float
    calibration_error: float
    calibration: list[Bin]
    impossible: int
    per_class: list[ClassRow]
    confusion: NDArray[np.int64]
    hardest: list[HardRow]
    signature: str

    @property
    def unit(self) -> str:
        """What the costs are counted in."""
        return UNIT_NAMES.get(self.base, f"units of log {self.base:g}")

    @property
    def perplexity(self) -> float:
        """How many equally likely classes would have cost as much."""
        try:
            return float(self.base**self.cross_entropy)
        except OverflowError:
            return math.inf

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists, numbers and strings, ready for JSON.

        Returns
        -------
        dict
            Keys as the attributes; NaN and infinities, which JSON cannot say, become None and
            the string ``"inf"``.
        """
        return _plain({**asdict(self), "confusion": self.confusion.tolist(), "unit": self.unit})  # type: ignore[no-any-return]

    def confused(self) -> list[tuple[int, Any, Any]]:
        """Return the confusions: how many rows, of which class, taken for which.

        Returns
        -------
        list of (int, label, label)
            The most frequent first.
        """
        off = self.confusion - np.diag(np.diag(self.confusion))
        order = np.argsort(-off, axis=None, kind="stable")[: np.count_nonzero(off)]
        pairs = [divmod(int(i), self.classes) for i in order]
        return [(int(off[i, j]), self.labels[i], self.labels[j]) for i, j in pairs]


def percent(value: float) -> str:
    """Write a share as a person would.

    >>> percent(0.9273), percent(float("nan"))
    ('92.7 %', '-')
    """
    return f"{100 * value:.1f} %" if math.isfinite(value) else "-"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value
