"""Entropy and mutual information of columns: a value, its error, and its value by chance.

Miller (1955); Paninski (2003) for why the plug-in value is biased. No correction of that bias
helps where every row has its own symbol: only the permutation null does, so it is offered here.
"""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from xent import _check
from xent.measures.rows._protocols import Codes, Numbers, Samples
from xent.measures.rows._rng import rng_for
from xent.measures.rows._symbols import MISSING, Cells, SymbolColumn, cells, column, without_missing
from xent.measures.samples._from_counts import (
    METHODS,
    dirichlet_posterior,
    nsb_posterior,
    number_of_symbols,
)
from xent.measures.samples._neighbors import (
    kozachenko_leonenko,
    ksg,
    ksg2,
    real_column,
    rescaled,
    ross,
)
from xent.measures.samples._spacing import SPACING

REAL = ("kozachenko_leonenko", *SPACING, "normal")  # methods for real numbers
BAYES = ("nsb", "dirichlet")  # with a posterior, and so with a number of symbols
ALL = (*METHODS, *BAYES, *REAL)


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

    Examples
    --------
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


def estimate_entropy(
    x: Samples,
    *,
    given: Samples | None = None,
    method: str = "plugin",
    size: int | None = None,
    prior: float | str | None = None,
    neighbors: int | None = None,
    base: float = math.e,
    confidence: float = 0.95,
    missing: str = "refuse",
) -> Estimate:
    """Estimate how many nats an entry takes from a column of them.

    H(X), or H(X|Y) = H(X, Y) - H(Y) with ``given=y``

    Parameters
    ----------
    x : column
        One hashable symbol a row: a list, NumPy, Arrow, pandas or polars. Real numbers are taken
        by the methods for them alone.
    given : column, optional
        What is known: the entropy of ``x`` that is left.
    method : str
        "plugin", "miller_madow", "jackknife", "grassberger", "chao_shen", "chao_wang_jost",
        "shrinkage", "nsb" or "dirichlet"; for real numbers "kozachenko_leonenko", "vasicek",
        "ebrahimi", "van_es", "kde", "kde_resubstitution" or "normal".
    size : int, optional
        How many symbols there are, seen or not; "nsb" and "dirichlet" need it.
    prior : float or str, optional
        For "dirichlet": what each symbol is counted for beforehand, or a rule for it: "jeffreys"
        1/2, "uniform" 1, "perks" (the default) 1/size, "minimax" √n/size.
    neighbors : int, optional
        For "kozachenko_leonenko": which nearest neighbour measures the density, by default the 3rd.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.
    confidence : float
        Of the interval.
    missing : str
        None and NaN: "refuse" them, "drop" their rows, or (not for real numbers) take them for a
        "symbol".

    Returns
    -------
    Estimate
        In the unit of ``base``.

    Raises
    ------
    ValueError, TypeError
        If a column is empty or cannot be taken by the method, a value is missing and none may be,
        or an option is out of range or not one of the method's.

    Examples
    --------
    >>> round(estimate_entropy("abracadabra", method="miller_madow", base=2).value, 3)
    2.303

    References
    ----------
    Paninski, L. (2003). Estimation of entropy and mutual information. Neural Computation 15.
    """
    _check.option("method", method, ALL)
    _check.option("missing", missing, MISSING)
    scale = _check.log_of_base(base)
    quantile = quantile_of(confidence)
    if (size is None) == (method in BAYES):
        must = 'be given for "nsb" and "dirichlet" and for nothing else'
        raise _check.invalid("size", must, f"{size} for {method!r}")
    only_for("prior", prior, method, ("dirichlet",))
    only_for("neighbors", neighbors, method, REAL[:1])
    if method in REAL:
        if given is not None:
            raise _without_given(method, "be a method for symbols with ")
        nearest = number_of_neighbors(neighbors)
        numbers = real_column("x", x, nearest if method == REAL[0] else 2, missing)
        by: dict[str, Callable[[Numbers], Numbers]] = {
            **SPACING,
            "normal": _normal_entropy,
            "kozachenko_leonenko": lambda column: kozachenko_leonenko(column, nearest),
        }
        numbers, shift = rescaled(numbers)
        return _mean(by[method](numbers) + shift, scale, quantile, method, numbers.size)
    columns = _columns({"x": x} if given is None else {"x": x, "given": given}, missing)
    rows = columns[0].codes.size
    table = cells(*columns)
    if method in BAYES:
        if given is not None:
            raise _without_given(method, "be another one with ")
        limit = number_of_symbols(size, table.counts.size)
        counts = table.counts
        value, error = (
            nsb_posterior(counts, limit)
            if method == "nsb"
            else dirichlet_posterior(counts, limit, prior)
        )
    else:
        known = table.of(1) if given is not None else np.full(table.counts.size, float(rows))
        value = METHODS[method](table.counts)
        if given is not None:
            value -= METHODS[method](table.marginal(1))
        error = _deviation(-np.log(table.counts / known), table.counts)
    return interval(value, error, scale, quantile, rows, method)


def estimate_mutual_information(
    x: Samples,
    y: Samples,
    *,
    given: Samples | None = None,
    method: str = "plugin",
    neighbors: int | None = None,
    permutations: int = 0,
    rng: np.random.Generator | int | None = None,
    base: float = math.e,
    confidence: float = 0.95,
    missing: str = "refuse",
) -> Estimate:
    """Estimate how many nats one column tells about another.

    I(X; Y) = H(X) + H(Y) - H(X, Y), or I(X; Y|Z) with ``given=z``

    Parameters
    ----------
    x, y : column
        One hashable symbol a row: a list, NumPy, Arrow, pandas or polars. Real numbers are taken
        by the methods for them alone.
    given : column, optional
        What is known beforehand.
    method : str
        For symbols as in `estimate_entropy`, without those of a posterior, applied to each
        entropy; "ksg" or "ksg2" for two columns of real numbers, "ross" for symbols ``x`` and
        numbers ``y``, "normal" for two that are jointly normal.
    neighbors : int, optional
        For "ksg", "ksg2" and "ross": which nearest neighbour measures the density, by default the
        3rd.
    permutations : int
        How many times ``y`` is shuffled, within the rows of equal ``given``, for the p-value and
        the value adjusted for chance.
    rng : Generator or int, optional
        Where the permutations come from; needed for them, and for nothing else.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.
    confidence : float
        Of the interval.
    missing : str
        None and NaN: "refuse" them, "drop" their rows, or take them for a "symbol".

    Returns
    -------
    Estimate
        In the unit of ``base``; with permutations also ``p_value`` and ``adjusted``.

    Raises
    ------
    ValueError, TypeError
        If a column is empty or cannot be taken by the method, a value is missing and none may be,
        or an option is out of range or not one of the method's.

    Examples
    --------
    >>> coin = [0, 1, 1, 0, 1, 0, 0, 1]
    >>> found = estimate_mutual_information(range(8), coin, permutations=99, rng=0, base=2)
    >>> round(found.value, 12), round(found.adjusted, 12), found.p_value
    (1.0, 0.0, 1.0)

    References
    ----------
    Paninski, L. (2003). Estimation of entropy and mutual information. Neural Computation 15.
    """
    _check.option("method", method, INFORMATION_METHODS)
    scale, quantile = _check.log_of_base(base), quantile_of(confidence)
    draw, times = rng_for(rng, "permutations", permutations)
    only_for("neighbors", neighbors, method, ("ksg", "ksg2", "ross"))
    named = {"x": x, "y": y} if given is None else {"x": x, "y": y, "given": given}
    if method not in METHODS:
        if given is not None:
            raise _without_given(method, "be a method for symbols with ")
        nearest = number_of_neighbors(neighbors)
        first, second = _real_pair(x, y, method, nearest, missing)
        return _real_information(first, second, method, nearest, times, draw, scale, quantile)
    columns = _columns(named, missing)
    table = cells(*columns)
    value = _information(method, table)
    terms = np.log(table.counts) + np.log(table.of(*range(2, len(columns))))
    terms = terms - np.log(table.of(0, *range(2, len(columns))))
    terms = terms - np.log(table.of(1, *range(2, len(columns))))
    error = _deviation(terms, table.counts)
    p_value = adjusted = None
    if draw is not None:
        observed = value if method == "plugin" else _information("plugin", table)
        p_value, adjusted = against_chance(observed, _null_information(columns, times, draw), scale)
    found = interval(value, error, scale, quantile, columns[0].codes.size, method)
    return replace(found, p_value=p_value, adjusted=adjusted)


def _columns(named: dict[str, Samples], missing: str) -> list[SymbolColumn]:
    columns = [column(name, values) for name, values in named.items()]
    rows = columns[0].codes.size
    for name, other in zip(named, columns, strict=True):
        if other.codes.size != rows:
            raise _check.invalid(name, f"have the {rows} rows of `x`", other.codes.size)
    columns = without_missing("x", columns, missing)
    if columns[0].codes.size == 0:
        raise _check.invalid("x", "have at least one row", "none")
    return columns


def _information(method: str, table: Cells) -> float:
    entropy_of, rest = METHODS[method], range(2, len(table.codes))
    value = entropy_of(table.marginal(0, *rest)) + entropy_of(table.marginal(1, *rest))
    value -= entropy_of(table.counts) + (entropy_of(table.marginal(2)) if rest else 0.0)
    # Entropies that cancel leave rounding; the plug-in information is never negative.
    return max(0.0, value) if method in ("plugin", "shrinkage") else value


def _null_information(columns: list[SymbolColumn], times: int, rng: np.random.Generator) -> Numbers:
    """Plug-in information of permuted columns, within the rows of equal ``given``."""
    x, y, *rest = columns
    groups = rest[0].codes if rest else np.zeros(y.codes.size, dtype=np.int64)
    order = np.argsort(groups, kind="stable")
    found = np.empty(times)
    for i in range(times):
        if rest:
            # A random order within each group: sort by group, ties by a random number.
            shuffled = np.empty_like(y.codes)
            shuffled[order] = y.codes[np.lexsort((rng.random(y.codes.size), groups))]
        else:
            shuffled = rng.permutation(y.codes)
        found[i] = _information("plugin", cells(x, SymbolColumn(shuffled, y.symbols), *rest))
    return found


def _real_pair(
    x: Samples, y: Samples, method: str, neighbors: int, missing: str
) -> tuple[Numbers | Codes, Numbers]:
    """Read two columns, of which the second holds numbers, without the rows to be dropped."""
    _check.option("missing", missing, MISSING)
    how = "keep" if missing == "drop" else missing
    second = real_column("y", y, neighbors, how)
    if method == "ross":
        codes = column("x", x).codes
        lost = codes < 0
        if missing == "refuse" and lost.any():
            without_missing("x", [column("x", x)], missing)
    else:
        numbers = real_column("x", x, neighbors, how)
        lost = np.isnan(numbers)
    if lost.size != second.size:
        raise _check.invalid("y", f"have the {lost.size} rows of `x`", second.size)
    use = ~(lost | np.isnan(second))
    if use.sum() <= neighbors:
        raise _check.invalid("x", f"have more than {neighbors} rows", int(use.sum()))
    first = codes[use] if method == "ross" else rescaled(numbers[use])[0]
    return first, rescaled(second[use])[0]


def _real_information(
    first: Numbers | Codes,
    second: Numbers,
    method: str,
    neighbors: int,
    times: int,
    draw: np.random.Generator | None,
    scale: float,
    quantile: float,
) -> Estimate:
    measure = OF_TWO[method]
    terms = measure(first, second, neighbors)
    found = _mean(terms, scale, quantile, method)
    if draw is None:
        return found
    null = [measure(first, draw.permutation(second), neighbors).mean() for _ in range(times)]
    p_value, adjusted = against_chance(float(terms.mean()), np.array(null), scale)
    return replace(found, p_value=p_value, adjusted=adjusted)


def _normal_entropy(x: Numbers) -> Numbers:
    """Log density of each point under the normal with the sample's mean and variance."""
    variance = float(x.var())
    if variance == 0:
        raise _check.invalid("x", "have two different values", "one")
    return np.asarray(0.5 * (math.log(2 * math.pi * variance) + (x - x.mean()) ** 2 / variance))


def _normal_information(x: Numbers, y: Numbers, _neighbors: int) -> Numbers:
    """Log of the ratio of the joint normal density and the product of its marginals, by point."""
    if x.std() == 0 or y.std() == 0:
        raise _check.invalid(
            "x", "have two different values, and " + _check.argument("y") + " too", "one"
        )
    a, b = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    r = float((a * b).mean())
    if abs(r) >= 1 - 1e-15:
        return np.full(x.size, math.inf)
    left = 1 - r * r
    return np.asarray(
        -0.5 * math.log(left) + 0.5 * (a * a + b * b) - (a * a - 2 * r * a * b + b * b) / (2 * left)
    )


def only_for(argument: str, value: object, method: str, methods: tuple[str, ...]) -> None:
    """Refuse an option that only other methods have."""
    if value is not None and method not in methods:
        must = f"be given for {_check.join_names(methods, last='and')} and for nothing else"
        raise _check.invalid(argument, must, f"{value!r} for {method!r}")


OF_TWO: dict[str, Callable[..., Numbers]] = {
    "ksg": ksg,
    "ksg2": ksg2,
    "ross": ross,
    "normal": _normal_information,
}
INFORMATION_METHODS = (*METHODS, *OF_TWO)


def _without_given(method: str, must: str) -> ValueError:
    return _check.invalid("method", must + _check.setting("given"), repr(method))


def number_of_neighbors(neighbors: int | None) -> int:
    """Return which nearest neighbour measures the density: the third, where none is named."""
    return _check.integer("neighbors", 3 if neighbors is None else neighbors, least=1)


def against_chance(observed: float, null: Numbers, scale: float) -> tuple[float, float]:
    """p-value, with the sample itself among the permutations, and the value less their mean."""
    p_value = (1 + int((null >= observed - 1e-12).sum())) / (1 + null.size)
    return p_value, float(observed - null.mean()) / scale


def _mean(
    terms: Numbers, scale: float, quantile: float, method: str, rows: int | None = None
) -> Estimate:
    with np.errstate(invalid="ignore"):
        error = float(terms.std()) / math.sqrt(terms.size)
    error = 0.0 if math.isnan(error) else error
    return interval(float(terms.mean()), error, scale, quantile, rows or terms.size, method)


def _deviation(terms: Numbers, counts: Numbers) -> float:
    """Compute the standard error of the mean of the rows' terms."""
    n = float(counts.sum())
    mean = float((counts * terms).sum()) / n
    return math.sqrt(float((counts * (terms - mean) ** 2).sum())) / n


def quantile_of(confidence: float) -> float:
    """Return how many standard errors the interval reaches."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + 0.5 * _check.share("confidence", confidence))


def interval(
    value: float, error: float, scale: float, quantile: float, rows: int, method: str
) -> Estimate:
    """Make an estimate of nats, in the unit of `scale`."""
    value, error = float(value) / scale, float(error) / abs(scale)
    reach = quantile * error
    return Estimate(value, error, value - reach, value + reach, rows, method)
