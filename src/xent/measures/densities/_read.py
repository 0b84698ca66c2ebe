"""What a measure is handed: a distribution of SciPy or PyTorch, or a sample beside one."""

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from xent import _check
from xent.measures.densities._density import Density
from xent.measures.densities._scipy import from_scipy
from xent.measures.densities._torch import from_torch
from xent.measures.rows._input import TOLERANCE, rows
from xent.measures.rows._labels import has_labels, read_labels
from xent.measures.rows._protocols import Numbers
from xent.measures.rows._symbols import plain
from xent.measures.rows._typed_arrays import Counts, Input, Logits, LogProbs, is_distribution


def density_of(argument: str, value: Input) -> Density:
    """Read a distribution; refuse what is not one, and a batch of them."""
    if isinstance(value, type):
        advice = f"Write {value.__name__}(...), with its parameters."
        got = f"the class {value.__name__}"
        raise _check.wrong_kind(argument, "be a distribution", got, advice)
    torch = sys.modules.get("torch.distributions")
    if torch is not None and isinstance(value, torch.Distribution):
        batch = tuple(value.batch_shape)
        if batch:
            advice = "Take them one by one, or as one joint distribution by Independent."
            got = f"a batch of shape {batch}"
            raise _check.invalid(argument, "be one distribution", got, advice)
        return from_torch(argument, value, ())
    if not is_distribution(value):
        got = _check.a(value)
        must = "be a distribution of scipy.stats or torch.distributions, as the other is"
        raise _check.wrong_kind(argument, must, got)
    return from_scipy(argument, value)


@dataclass(frozen=True)
class Seen:
    """Points with the share of each, and how many rows these are of; 0 where nobody says."""

    points: Numbers
    shares: Numbers
    count: float

    def error(self, terms: Numbers, value: float) -> float:
        """Return the standard error of the mean of some terms."""
        if not self.count or not math.isfinite(value):
            return 0.0
        if self.count <= 1:
            return math.inf
        spread = math.fsum(self.shares * (terms - value) ** 2)
        return math.sqrt(spread / (self.count - 1))


def seen(argument: str, value: Any, model: Density) -> Seen:
    """Read a sample, one outcome a row; `Counts` by symbol; or the shares of symbols."""
    if isinstance(value, Logits | LogProbs):
        must = "be a sample, Counts, or shares of symbols, beside a distribution"
        raise _check.wrong_kind(argument, must, type(value).__name__)
    series = hasattr(value, "index") and hasattr(value, "iloc")
    if isinstance(value, Counts) or (has_labels(value) and not series):
        return _by_symbol(argument, value, model)
    try:
        points = np.asarray(plain(value), dtype=np.float64)
    except (TypeError, ValueError):
        raise _check.wrong_kind(argument, "be a sample of numbers", _check.a(value)) from None
    if points.shape[1:] != model.shape or points.ndim != 1 + len(model.shape) or not points.size:
        must = f"be a sample, one outcome of shape {model.shape} a row, beside a distribution"
        raise _check.invalid(argument, must, f"an array of shape {points.shape}")
    labels = series and read_labels(argument, value).symbols[0] is not None
    if labels and points.min() >= 0 and abs(points.sum() - 1) <= TOLERANCE:
        got = "a Series that could be shares of its index"
        advice = f"For shares pass {argument}.to_dict(), for a sample {argument}.to_numpy()."
        raise _check.invalid(argument, "be a sample, or shares of symbols", got, advice)
    bad = ~np.isfinite(points)
    if bad.any():
        place = np.argwhere(bad)[0]
        got = f"{points[tuple(place)]:.6g} at {_check.at(place)}"
        raise _check.invalid(argument, "be finite", got)
    count = len(points)
    if not model.shape:
        points, repeats = np.unique(points, return_counts=True)
        return Seen(points, repeats / count, count)
    return Seen(points, np.full(count, 1 / count), count)


def _by_symbol(argument: str, value: Any, model: Density) -> Seen:
    found = read_labels(argument, value)
    source = rows(argument, found.value, -1)
    shares = source.p
    if shares.ndim != 1 or model.shape:
        must = "be one distribution of numbers, beside one"
        raise _check.invalid(argument, must, f"an array of shape {source.array.shape}")
    symbols = found.symbols[0] if found.symbols else None
    if symbols is None:
        if not model.discrete:
            must = "say which numbers it counts, beside a density"
            advice = f"Pass Counts.from_samples(x), or Counts({argument}, (numbers,))."
            raise _check.invalid(argument, must, "no symbols", advice)
        symbols = tuple(range(shares.size))
    try:
        points = np.array([_number(symbol) for symbol in symbols])
    except TypeError:
        must = "count numbers, beside a distribution of numbers"
        wrong = next(s for s in symbols if not isinstance(s, int | float | np.number))
        raise _check.wrong_kind(argument, must, repr(wrong)) from None
    counted = found.kind is Counts
    total = float(np.asarray(found.values, dtype=np.float64).sum()) if counted else 0.0
    some = shares > 0
    return Seen(points[some], np.asarray(shares[some]), total)


def _number(symbol: object) -> float:
    if isinstance(symbol, int | float | np.number):
        return float(symbol)
    raise TypeError


def log_densities(argument: str, sample: Seen, model: Density) -> Numbers:
    """Log density of the model at the points; refuse shares taken for a sample."""
    logs = np.asarray(model.log_density(sample.points, 0.0))
    if model.discrete and not model.shape:
        wrong = (logs == -math.inf) & (sample.points != np.rint(sample.points))
        if wrong.any():
            got = f"{sample.points[int(np.argmax(wrong))]:.6g}"
            advice = "For shares pass a dict of them by number, or Counts."
            raise _check.invalid(argument, "be a sample of outcomes of `q`", got, advice)
    if np.isnan(logs).any():
        raise _check.cannot("The cost of the sample", "a log density is not a number")
    return logs
