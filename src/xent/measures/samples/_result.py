"""What every estimate from samples returns, and the options that all of them read alike."""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from xent import _check
from xent.measures.rows._protocols import Numbers
from xent.measures.rows._rng import generator, rng_for


@dataclass(frozen=True)
class Estimate:
    """A number estimated from samples, in the unit of the logarithm's base.

    interval = value ± z · standard error

    Parameters
    ----------
    value : float
        The estimate.
    standard_error : float
        Its standard deviation: of the first order in 1/n, or of the posterior for "nsb" and
        "dirichlet"; the bias is not in it.
    low, high : float
        Interval that holds the truth with the confidence asked for, as far as the bias is removed.
    n : int
        Rows it was estimated from.
    method : str
        The estimator.
    p_value : float or None
        Share of permuted columns whose plug-in information is at least as large; on request.
    adjusted : float or None
        Plug-in information less the mean of permuted columns: what is left after chance.
    noise : bool
        Whether numbers that repeat, or lie on a grid, were moved apart by noise, which ``rng=``
        changes.

    Examples
    --------
    >>> from xent.measures import estimate_entropy
    >>> estimate_entropy(["a", "b", "a", "b"], base=2).value
    1.0
    """

    value: float
    standard_error: float
    low: float
    high: float
    n: int
    method: str
    p_value: float | None = None
    adjusted: float | None = None
    noise: bool = False


def interval(
    value: float, error: float, scale: float, quantile: float, rows: int, method: str
) -> Estimate:
    """Make an estimate of nats, in the unit of `scale`."""
    value, error = float(value) / scale, float(error) / abs(scale)
    reach = quantile * error
    return Estimate(value, error, value - reach, value + reach, rows, method)


def mean_of(
    terms: Numbers, scale: float, quantile: float, method: str, *, noise: bool = False
) -> Estimate:
    """Make an estimate of the mean of terms, and of its error as if they were independent."""
    with np.errstate(invalid="ignore"):
        error = float(terms.std()) / math.sqrt(terms.size)
    error = 0.0 if math.isnan(error) else error
    found = interval(float(terms.mean()), error, scale, quantile, terms.size, method)
    return replace(found, noise=noise)


def against_chance(observed: float, null: Numbers, scale: float) -> tuple[float, float]:
    """p-value, with the sample itself among the permutations, and the value less their mean."""
    p_value = (1 + int((null >= observed - 1e-12).sum())) / (1 + null.size)
    return p_value, float(observed - null.mean()) / scale


def quantile_of(confidence: float) -> float:
    """Return how many standard errors the interval reaches."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + 0.5 * _check.share("confidence", confidence))


def number_of_neighbors(neighbors: int | None) -> int:
    """Return which nearest neighbour measures the density: the third, where none is named."""
    return _check.integer("neighbors", 3 if neighbors is None else neighbors, least=1)


def only_for(argument: str, value: object, method: str, methods: tuple[str, ...]) -> None:
    """Refuse an option that only other methods have."""
    if value is not None and method not in methods:
        must = f"be given for {_check.join_names(methods, last='and')} and for nothing else"
        raise _check.invalid(argument, must, f"{value!r} for {method!r}")


def randomness(
    rng: np.random.Generator | int | None, permutations: int, jitter: bool
) -> tuple[np.random.Generator | None, np.random.Generator | None, int]:
    """Return what draws the noise, what draws permutations, and how many of these.

    Without permutations `rng` is for the noise alone, and only methods that add some take it.
    """
    if jitter and rng is not None and not _check.integer("permutations", permutations, least=0):
        return generator(rng, "noise"), None, 0
    draw, times = rng_for(rng, "permutations", permutations)
    return draw if jitter else None, draw, times


def doubted(found: Estimate, bounds: dict[str, float], scale: float) -> Estimate:
    """Return an estimate of information, with a warning where it cannot be."""
    what = f"The estimated information {found.value:.4g} is"
    doubt(what, found.value * scale, found.standard_error * abs(scale), bounds, scale)
    return found


def doubt(what: str, value: float, error: float, bounds: dict[str, float], scale: float) -> None:
    """Warn of information that cannot be: far below 0, or above the entropy of a variable."""
    advice = "which no information is. Take more rows or another method."
    if value < -3 * error - 1e-9:
        far = f"{-value / error:.1f} standard errors" if error > 1e-9 else "more than its error"
        _check.warn(f"{what} {far} below 0, {advice}")
    least = min(bounds, key=lambda name: bounds[name], default=None)
    if least is not None and value > bounds[least] + 1e-9:
        _check.warn(f"{what} above {bounds[least] / scale:.4g}, the entropy of `{least}`, {advice}")
