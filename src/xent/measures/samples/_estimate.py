"""Entropy and mutual information of columns: a value, its error, and its value by chance.

Miller (1955); Paninski (2003) for why the plug-in value is biased. No correction of that bias
helps where every row has its own symbol: only the permutation null does, so it is offered here.
"""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from xent import _check
from xent.measures.rows._protocols import Numbers, Samples
from xent.measures.rows._symbols import MISSING, Cells, SymbolColumn, cells, column, without_missing
from xent.measures.samples._from_counts import (
    METHODS,
    dirichlet_posterior,
    nsb_posterior,
    number_of_symbols,
)
from xent.measures.samples._of_numbers import (
    DEQUANTIZED,
    JITTERED,
    KOZACHENKO,
    OF_TWO,
    REAL,
    entropy_of_numbers,
    information_of_numbers,
    without_given,
)
from xent.measures.samples._result import (
    Estimate,
    against_chance,
    doubted,
    interval,
    mean_of,
    number_of_neighbors,
    only_for,
    quantile_of,
    randomness,
)
from xent.measures.samples._several import columns_of, symbols_of

BAYES = ("nsb", "dirichlet")  # with a posterior, and so with a number of symbols
ALL = (*METHODS, *BAYES, *REAL)
INFORMATION_METHODS = (*METHODS, *OF_TWO)


def estimate_entropy(
    x: Samples,
    *,
    given: Samples | None = None,
    method: str = "plugin",
    size: int | None = None,
    prior: float | str | None = None,
    neighbors: int | None = None,
    rng: np.random.Generator | int | None = None,
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
        by the methods for them alone; (n, d) of them, points, by "kozachenko_leonenko".
    given : column or several, optional
        What is known: the entropy of ``x`` that is left. Several are a list of columns, a dict, a
        data frame or an array (n, m). "kozachenko_leonenko" takes real numbers here too.
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
    rng : Generator or int, optional
        Changes the noise, which has a fixed seed: it spreads rounded numbers that repeat over
        their unit, for "kozachenko_leonenko", "vasicek", "ebrahimi" and "van_es".
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
    only_for("neighbors", neighbors, method, (KOZACHENKO,))
    only_for("rng", rng, method, DEQUANTIZED)
    if method in REAL:
        noise, _, _ = randomness(rng, 0, True)
        nearest = number_of_neighbors(neighbors)
        terms, added = entropy_of_numbers(x, given, method, nearest, missing, noise)
        return mean_of(terms, scale, quantile, method, noise=added)
    table = cells(*_columns({"x": x}, given, missing))
    if method in BAYES:
        if given is not None:
            raise without_given(method, "be another one with ")
        limit = number_of_symbols(size, table.counts.size)
        counts = table.counts
        value, error = (
            nsb_posterior(counts, limit)
            if method == "nsb"
            else dirichlet_posterior(counts, limit, prior)
        )
    else:
        rest = range(1, len(table.codes))
        value = METHODS[method](table.counts)
        if given is not None:
            value -= METHODS[method](table.marginal(*rest))
        error = _deviation(-np.log(table.counts / table.of(*rest)), table.counts)
    return interval(value, error, scale, quantile, int(table.counts.sum()), method)


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
        by the methods for them alone; (n, d) of them, points, by "ksg".
    given : column or several, optional
        What is known beforehand: symbols, or real numbers for "ksg". Several are a list of
        columns, a dict, a data frame or an array (n, m).
    method : str
        For symbols a method of `estimate_entropy`, applied to each entropy; those with a posterior
        are left out. "ksg" or "ksg2" for real numbers, "ross" for symbols ``x`` and numbers ``y``,
        "normal" for two columns that are jointly normal.
    neighbors : int, optional
        For "ksg", "ksg2" and "ross": which nearest neighbour measures the density, by default the
        3rd.
    permutations : int
        How many times ``y`` is shuffled, within the rows of equal ``given``, for the p-value and
        the value adjusted for chance.
    rng : Generator or int, optional
        Chance for permutations, which need it, and for the noise that moves equal numbers apart
        ("ksg", "ksg2" and "ross"), which otherwise has a fixed seed.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.
    confidence : float
        Of the interval.
    missing : str
        None and NaN: "refuse" them, "drop" their rows, or take them for a "symbol".

    Returns
    -------
    Estimate
        In the unit of ``base``; with permutations also ``p_value`` and ``adjusted``. A warning
        tells of one 3 errors below 0, or above the entropy of a variable.

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
    Kraskov, A., Stoegbauer, H. and Grassberger, P. (2004). Physical Review E 69; with ``given``
    Frenzel, S. and Pompe, B. (2007). Physical Review Letters 99.
    """
    _check.option("method", method, INFORMATION_METHODS)
    scale, quantile = _check.log_of_base(base), quantile_of(confidence)
    noise, draw, times = randomness(rng, permutations, method in JITTERED)
    only_for("neighbors", neighbors, method, JITTERED)
    if method in OF_TWO:
        if given is not None and method != "ksg":
            raise without_given(method, "be a method for symbols, or 'ksg', with ")
        if given is not None and times:
            must = "be 0 with " + _check.setting("given") + " and real numbers"
            raise _check.invalid("permutations", must, times, "No shuffle keeps what is given.")
        nearest = number_of_neighbors(neighbors)
        told = information_of_numbers(x, y, given, method, nearest, missing, noise, draw, times)
        found = mean_of(told.terms, scale, quantile, method, noise=told.noise)
        bounds, null, observed = told.bounds, told.null, float(told.terms.mean())
    else:
        columns = _columns({"x": x, "y": y}, given, missing)
        table = cells(*columns)
        value = observed = _information(method, table)
        found = interval(value, _error(table), scale, quantile, columns[0].codes.size, method)
        bounds = {name: METHODS[method](table.marginal(i)) for i, name in enumerate(("x", "y"))}
        if draw is not None:
            observed = value if method == "plugin" else _information("plugin", table)
            null = _null_information(columns, times, draw)
    if draw is not None:
        p_value, adjusted = against_chance(observed, null, scale)
        found = replace(found, p_value=p_value, adjusted=adjusted)
    return doubted(found, bounds, scale)


def _columns(named: dict[str, Samples], given: Samples | None, missing: str) -> list[SymbolColumn]:
    named = named if given is None else {**named, **columns_of("given", given)}
    read = symbols_of if len(named) == 1 else column  # counts have no rows to go by
    columns = [read(name, values) for name, values in named.items()]
    rows = columns[0].codes.size
    for name, other in zip(named, columns, strict=True):
        if other.codes.size != rows:
            must = f"have the {rows} rows of " + _check.argument("x")
            raise _check.invalid(name, must, other.codes.size)
    columns = without_missing("x", columns, missing)
    if columns[0].codes.size == 0:
        raise _check.invalid("x", "have at least one row", "none")
    return columns


def _information(method: str, table: Cells) -> float:
    entropy_of, rest = METHODS[method], range(2, len(table.codes))
    value = entropy_of(table.marginal(0, *rest)) + entropy_of(table.marginal(1, *rest))
    value -= entropy_of(table.counts) + (entropy_of(table.marginal(*rest)) if rest else 0.0)
    # Entropies that cancel leave rounding; the plug-in information is never negative.
    return max(0.0, value) if method in ("plugin", "shrinkage") else value


def _error(table: Cells) -> float:
    rest = range(2, len(table.codes))
    terms = np.log(table.counts) + np.log(table.of(*rest))
    terms = terms - np.log(table.of(0, *rest))
    return _deviation(terms - np.log(table.of(1, *rest)), table.counts)


def _null_information(columns: list[SymbolColumn], times: int, rng: np.random.Generator) -> Numbers:
    """Plug-in information of permuted columns, within the rows of equal ``given``."""
    x, y, *rest = columns
    groups = np.zeros(y.codes.size, dtype=np.int64)
    for one in rest:
        groups = np.unique(groups * len(one.symbols) + one.codes, return_inverse=True)[1]
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


def _deviation(terms: Numbers, counts: Numbers) -> float:
    """Compute the standard error of the mean of the rows' terms."""
    n = float(counts.sum())
    mean = float((counts * terms).sum()) / n
    return math.sqrt(float((counts * (terms - mean) ** 2).sum())) / n
