"""What was measured, as plain data: the records that a report is made of.

They hold the signature that reproduces them, never the predictions themselves.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._lang import say
from xent.evaluation._ranking import OperatingPoint

MOST_TABLED = 2048  # classes up to which confusions are made a table
MOST_PAIRS = 1000  # pairs of classes that a dictionary holds
UNIT_NAMES = {2.0: "bits", math.e: "nats", 10.0: "bans"}


@dataclass(frozen=True)
class Bin:
    """Rows whose winning class was given a probability in [low, high).

    Parameters
    ----------
    low, high : float
        Edges of the bin.
    rows : float
        How many rows fell into it, or the sum of their weights.
    confidence, accuracy : float
        What the model said on average, and how often it was right.

    Examples
    --------
    >>> from xent.evaluation import evaluate
    >>> report = evaluate([0, 1], [[0.9, 0.1], [0.5, 0.5]])
    >>> report.calibration[-1].confidence, report.calibration[-1].accuracy
    (0.9, 1.0)
    """

    low: float
    high: float
    rows: float
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class ClassRow:
    """Where one class stands.

    Parameters
    ----------
    label : object
        The class.
    rows : float
        How often it was true, or the sum of the weights.
    cross_entropy, share : float
        Mean cost of these rows, and their part of the whole cost.
    recall, precision : float
        How many of its rows were found, and how many rows so called were its; NaN where there are
        none.

    Examples
    --------
    >>> from xent.evaluation import evaluate
    >>> report = evaluate([0, 1], [[0.9, 0.1], [0.5, 0.5]])
    >>> report.per_class[1].label, report.per_class[1].cross_entropy
    (1, 1.0)
    """

    label: Any
    rows: float
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
    id : object
        What it is called, where rows have names.

    Examples
    --------
    >>> from xent.evaluation import evaluate
    >>> report = evaluate([0, 1], [[0.9, 0.1], [0.5, 0.5]])
    >>> report.hardest[0].row, report.hardest[0].probability, report.hardest[0].cost
    (1, 0.5, 1.0)
    """

    row: int
    target: Any
    prediction: Any
    probability: float
    cost: float
    id: Any = None


@dataclass(frozen=True)
class ConfusedRows:
    """Rows of one class that were taken for one class, the same or another.

    Parameters
    ----------
    target, prediction : object
        The class that was true, and the one that was given most.
    rows : float
        How many, or the sum of their weights.
    cost : float
        What they cost together.

    Examples
    --------
    >>> from xent.evaluation import evaluate
    >>> report = evaluate([0, 1], [[0.9, 0.1], [0.5, 0.5]])
    >>> [(pair.target, pair.prediction, pair.rows) for pair in report.pairs]
    [(0, 0, 1), (1, 0, 1)]
    """

    target: Any
    prediction: Any
    rows: float
    cost: float


class PairList(Sequence[ConfusedRows]):
    """Many `ConfusedRows` as arrays, the most frequent first: each is made where it is looked at.

    Parameters
    ----------
    keys : ndarray of int64
        Number of the true class times how many there are, plus that of the predicted one.
    rows, cost : ndarray
        As in `ConfusedRows`.
    labels : list
        The classes.
    """

    def __init__(
        self,
        keys: NDArray[np.int64],
        rows: NDArray[Any],
        cost: NDArray[np.float64],
        labels: list[Any],
    ) -> None:
        self._keys, self._rows, self._cost, self._labels = keys, rows, cost, labels
        self._order: NDArray[np.int64] | None = None

    def _place(self, index: Any) -> Any:
        """Return where an entry stands: the most frequent is the first, of equals by its key."""
        if self._order is None:
            self._order = np.lexsort((self._keys, -self._rows))
        return self._order[index]

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, index: int) -> ConfusedRows: ...
    @overload
    def __getitem__(self, index: slice) -> "PairList": ...
    def __getitem__(self, index: int | slice) -> "ConfusedRows | PairList":
        if isinstance(index, slice):
            at = self._place(index)
            return PairList(self._keys[at], self._rows[at], self._cost[at], self._labels)
        at = self._place(index)
        true, said = divmod(int(self._keys[at]), len(self._labels))
        rows, cost = self._rows[at].item(), self._cost[at].item()
        return ConfusedRows(self._labels[true], self._labels[said], rows, cost)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self))


@dataclass(frozen=True)
class SliceRow:
    """Rows that share a value.

    Parameters
    ----------
    name, value : object
        What they share: the column and its value.
    rows : float
        How many, or the sum of their weights.
    cross_entropy, low, high : float
        Mean cost, and its interval; NaN where there is one row.
    accuracy : float
        Share of rows whose true class won.

    Examples
    --------
    >>> from xent.evaluation import evaluate
    >>> report = evaluate([0, 1], [[0.9, 0.1], [0.5, 0.5]], by={"day": ["Mo", "Tu"]})
    >>> report.slices[0].value, report.slices[0].cross_entropy
    ('Tu', 1.0)
    """

    name: Any
    value: Any
    rows: float
    cross_entropy: float
    low: float
    high: float
    accuracy: float


@dataclass(frozen=True)
class CoveredRows:
    """Rows in which the winning class was given the most, and what they cost.

    Parameters
    ----------
    confidence : float
        The least that it was given in these rows.
    coverage : float
        Their share of all rows.
    cross_entropy, accuracy : float
        Their mean cost, and how many of them were right.
    """

    confidence: float
    coverage: float
    cross_entropy: float
    accuracy: float


@dataclass(frozen=True, repr=False)
class Figures:
    """The fields of a `Report`, which says what each means, and what follows from them."""

    rows: int
    weight: float
    classes: int
    labels: list[Any]
    base: float
    cross_entropy: float
    low: float
    high: float
    confidence: float
    uniform: float
    prior: float
    explained: float
    accuracy: float
    brier: float
    calibration_error: float
    calibration: list[Bin]
    impossible: int
    floored: dict[str, float]
    ranking: dict[str, float]
    per_class: list[ClassRow]
    pairs: Sequence[ConfusedRows]
    slices: list[SliceRow]
    hardest: list[HardRow]
    signature: str
    score_counts: str = "none"
    binning: str = "15 equal-width bins"
    thresholds: list[OperatingPoint] = field(default_factory=list)
    best_f1: OperatingPoint | None = None
    macro: float = math.nan
    top_k: dict[str, float] = field(default_factory=dict)
    coverage: list[CoveredRows] = field(default_factory=list)
    training_prior: float = math.nan
    smoothing_floor: float = math.nan
    decomposition: dict[str, Any] = field(default_factory=dict)
    recovered: dict[str, dict[str, float]] = field(default_factory=dict)
    reliability: dict[str, Any] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """What the costs are counted in."""
        return unit_of(self.base)

    @property
    def perplexity(self) -> float:
        """How many equally likely classes would have cost as much."""
        try:
            return float(self.base**self.cross_entropy)
        except OverflowError:
            return math.inf

    @property
    def confusion(self) -> NDArray[Any]:
        """Rows by true class, columns by prediction; `pairs` says the same without the zeros.

        Raises
        ------
        ValueError
            Above 2,048 classes, where the table would be large and nearly empty.
        """
        if self.classes > MOST_TABLED:
            because = f"{self.classes:,} by {self.classes:,} numbers, nearly all of them 0"
            raise _check.cannot("`confusion` cannot be a table", because, "Read `pairs`.")
        place = {label: i for i, label in enumerate(self.labels)}
        whole = all(isinstance(pair.rows, int) for pair in self.pairs)
        found: NDArray[Any] = np.zeros((self.classes,) * 2, np.int64 if whole else np.float64)
        for pair in self.pairs:
            found[place[pair.target], place[pair.prediction]] = pair.rows
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists, numbers and strings, ready for JSON.

        Returns
        -------
        dict
            Keys as the attributes; ``confusion`` holds the 1,000 most frequent of ``pairs``, and
            ``cross_entropy_bits``, ``cross_entropy_nats`` and their intervals stand beside
            ``cross_entropy``, which is in ``base``. NaN and infinities, which JSON cannot say,
            become None and the string ``"inf"``.
        """
        found = asdict(replace(self, pairs=[]))
        del found["pairs"]
        found["ranking"] |= {name: found.pop(name) for name in ("thresholds", "best_f1")}
        nats = math.log(self.base)
        for unit, size in (("bits", nats / math.log(2)), ("nats", nats)):
            found[f"cross_entropy_{unit}"] = self.cross_entropy * size
            found[f"interval_{unit}"] = [self.low * size, self.high * size]
        return plain(  # type: ignore[no-any-return]
            {
                **found,
                "confusion": [asdict(pair) for pair in self.pairs[:MOST_PAIRS]],
                "confusion_pairs": len(self.pairs),
                "unit": self.unit,
                "perplexity": self.perplexity,
            }
        )

    def confused(self) -> list[tuple[float, Any, Any]]:
        """Return the confusions: how many rows, of which class, taken for which.

        Returns
        -------
        list of (int, label, label)
            The most frequent first.
        """
        return [(p.rows, p.target, p.prediction) for p in self.pairs if p.target != p.prediction]


def percent(value: float) -> str:
    """Write a share as a person would: small ones with the digits that tell them apart.

    >>> percent(0.9273), percent(0.000981), percent(0.0), percent(float("nan"))
    ('92.7 %', '0.0981 %', '0.0 %', '-')
    """
    if not math.isfinite(value):
        return "-"
    share = 100 * value
    return f"{share:.3g} %" if 1e-6 < abs(share) < 0.95 else f"{share:.1f} %"


def digits(value: float, *, sign: bool = False) -> str:
    """Write a number with four digits that count, however small it is.

    >>> digits(1.23456), digits(0.000123456), digits(12.0, sign=True), digits(float("inf"))
    ('1.2346', '0.0001235', '+12.0000', 'inf')
    """
    if math.isnan(value):
        return "-"
    plus = "+" if sign else ""
    if not math.isfinite(value) or value == 0 or abs(value) >= 0.1:
        return f"{value:{plus}.4f}"
    places = 3 - math.floor(math.log10(abs(value)))
    return f"{value:{plus}.{places}f}" if places < 9 else f"{value:{plus}.3e}"


def unit_of(base: float) -> str:
    """Name what logarithms of a base are counted in.

    >>> unit_of(2.0), unit_of(3.0)
    ('bits', 'units of log 3')
    """
    return UNIT_NAMES.get(base, f"units of log {base:g}")


def said_unit(base: float) -> str:
    """Name the unit of a base in the language that is spoken."""
    known = UNIT_NAMES.get(base)
    return say(known) if known else say("units of log {base:g}", base=base)


def plain(value: Any) -> Any:
    """Return plain data with None for NaN, and words for infinities, which JSON cannot say."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value
