"""Divergence and cross-entropy of two samples: one of the truth, one of the model.

A symbol that the model's sample lacks makes the plug-in value infinite, rightly: the shares say so.
What is wanted then is an estimate of the distributions behind the samples: Zhang and Grabchak's or
a posterior mean. Real numbers go by distances to neighbours, or as two normals.
"""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.measures.rows._symbols import MISSING, column, kept
from xent.measures.samples._estimate import (
    Estimate,
    against_chance,
    chance_of,
    interval,
    only_for,
    quantile_of,
)
from xent.measures.samples._from_counts import (
    Numbers,
    concentration,
    entropy_moments,
    number_of_symbols,
)
from xent.measures.samples._neighbors import in_range, neighbor_ratio, real_points

SYMBOLS = ("plugin", "zhang_grabchak", "dirichlet")
METHODS = (*SYMBOLS, "nearest_neighbors", "normal")
Pair = tuple[Numbers, Numbers]


def estimate_kl_divergence(
    x: Any,
    y: Any,
    *,
    method: str = "plugin",
    size: int | None = None,
    prior: float | str | None = None,
    neighbors: int | None = None,
    permutations: int = 0,
    rng: np.random.Generator | int | None = None,
    base: float = math.e,
    confidence: float = 0.95,
    missing: str = "refuse",
) -> Estimate:
    """Estimate how many nats too many an entry of x takes in the code that is best for y's source.

    D(P‖Q), ``x`` drawn from P and ``y`` from Q

    Parameters
    ----------
    x, y : column, or array of real numbers of shape (n,) or (n, d)
        The sample of the truth and that of the model, of any lengths. Real numbers are taken by
        the methods for them alone.
    method : str
        "plugin", "zhang_grabchak" or "dirichlet" (the posterior mean) for symbols;
        "nearest_neighbors" or "normal" for real numbers.
    size : int, optional
        For "dirichlet": how many symbols there are, seen or not.
    prior : float or str, optional
        For "dirichlet": what every symbol is counted for beforehand, or the name of a rule: see
        `estimate_entropy`.
    neighbors : int, optional
        For "nearest_neighbors": which neighbour measures the densities, by default the 3rd.
    permutations : int
        How many times the rows of both samples are dealt out anew, for the p-value and the value
        adjusted for chance; symbols are then compared by "zhang_grabchak", which is finite.
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
        In the unit of ``base``; ``n`` is the rows of ``x``. The plug-in value is infinite where
        ``y`` lacks a symbol of ``x``; only the plug-in and the posterior mean are never negative.

    Raises
    ------
    ValueError, TypeError
        If a column is empty or cannot be taken by the method, a value is missing and none may be,
        or an option is out of range or not one of the method's.

    Examples
    --------
    >>> found = estimate_kl_divergence("aabb", "abbbabbb", base=2)
    >>> round(found.value, 6)  # log2(4 / 3) / 2
    0.207519

    References
    ----------
    Zhang, Z. and Grabchak, M. (2014). Nonparametric estimation of Kullback-Leibler divergence.
    Neural Computation 26. Wang, Q., Kulkarni, S. R. and Verdu, S. (2009). Divergence estimation
    for multidimensional densities via k-nearest-neighbor distances. IEEE Transactions on
    Information Theory 55.
    """
    _check.option("method", method, METHODS)
    draw, times = chance_of(rng, "permutations", permutations)
    scale, quantile = _check.log_of_base(base), quantile_of(confidence)
    ask = _asked(method, size, prior, neighbors, missing)
    value, error, rows = _measure(x, y, ask, True)
    found = interval(value, error, scale, quantile, rows, method)
    if draw is None:
        return found
    null, seen = _null(x, y, ask, times, draw)
    p_value, adjusted = against_chance(seen, null, scale)
    return Estimate(**{**vars(found), "p_value": p_value, "adjusted": adjusted})


def estimate_cross_entropy(
    x: Any,
    y: Any,
    *,
    method: str = "plugin",
    size: int | None = None,
    prior: float | str | None = None,
    neighbors: int | None = None,
    base: float = math.e,
    confidence: float = 0.95,
    missing: str = "refuse",
) -> Estimate:
    """Estimate how many nats an entry of x takes in the code that is best for the source of y.

    H(P, Q), ``x`` drawn from P and ``y`` from Q

    Parameters
    ----------
    x, y : column, or array of real numbers of shape (n,) or (n, d)
        The sample of the truth and that of the model, of any lengths. Real numbers are taken by
        the methods for them alone.
    method : str
        "plugin", "zhang_grabchak" or "dirichlet" (the posterior mean) for symbols;
        "nearest_neighbors" or "normal" for real numbers.
    size : int, optional
        For "dirichlet": how many symbols there are, seen or not.
    prior : float or str, optional
        For "dirichlet": what every symbol is counted for beforehand, or the name of a rule: see
        `estimate_entropy`.
    neighbors : int, optional
        For "nearest_neighbors": which neighbour measures the density, by default the 3rd.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.
    confidence : float
        Of the interval.
    missing : str
        None and NaN: "refuse" them, "drop" their rows, or take them for a "symbol".

    Returns
    -------
    Estimate
        In the unit of ``base``; ``n`` is the rows of ``x``. The plug-in value is infinite where
        ``y`` lacks a symbol of ``x``; that of real numbers may be negative.

    Raises
    ------
    ValueError, TypeError
        If a column is empty or cannot be taken by the method, a value is missing and none may be,
        or an option is out of range or not one of the method's.

    Examples
    --------
    >>> estimate_cross_entropy("aabb", "abbbabba", base=2).value > 1
    True

    References
    ----------
    Leonenko, N., Pronzato, L. and Savani, V. (2008). A class of Renyi information estimators for
    multidimensional densities. Annals of Statistics 36.
    """
    _check.option("method", method, METHODS)
    scale, quantile = _check.log_of_base(base), quantile_of(confidence)
    ask = _asked(method, size, prior, neighbors, missing)
    value, error, rows = _measure(x, y, ask, False)
    return interval(value, error, scale, quantile, rows, method)


@dataclass(frozen=True)
class Ask:
    """What was asked for, checked."""

    method: str
    size: int | None
    prior: float | str
    neighbors: int
    missing: str


def _asked(method: str, size: Any, prior: Any, neighbors: Any, missing: str) -> Ask:
    _check.option("missing", missing, MISSING)
    if (size is None) == (method == "dirichlet"):
        must = 'be given for "dirichlet" and for nothing else'
        raise _check.invalid("size", must, f"{size} for {method!r}")
    before = only_for("prior", prior, method, ("dirichlet",), "perks")
    near = only_for("neighbors", neighbors, method, ("nearest_neighbors",), 3)
    return Ask(method, size, before, _check.integer("neighbors", near, least=1), missing)


def _measure(x: Any, y: Any, ask: Ask, apart: bool) -> tuple[float, float, int]:
    """Value, standard error and rows, in nats; a divergence, or without ``apart`` a cost."""
    if ask.method in SYMBOLS:
        n, m = _paired(x, y, ask.missing)
        if ask.method == "dirichlet":
            limit = number_of_symbols(ask.size, n.size)
            return *_posterior(n, m, limit, ask.prior, apart), int(n.sum())
        return *_of_counts(n, m, ask.method, apart), int(n.sum())
    a, b, shift = in_range(*_points(x, y, ask))
    shift *= 0 if apart else a.shape[1]
    if ask.method == "normal":
        value, error = _of_two_normals(a, b, apart)
        return value + shift, error, len(a)
    told, moved = neighbor_ratio(a, b, ask.neighbors, apart)
    error = math.sqrt(float(told.var()) / told.size + float(moved.var()) / moved.size)
    return float(told.mean()) + shift, error, len(a)


def _paired(x: Any, y: Any, missing: str) -> Pair:
    """Count both samples over the symbols of both."""
    tables = []
    for name, values in (("x", x), ("y", y)):
        (one,) = kept(name, [column(name, values)], missing)
        if not one.codes.size:
            raise _check.invalid(name, "have at least one row", "none")
        counts = np.bincount(one.codes, minlength=len(one.symbols))
        seen = np.flatnonzero(counts)
        tables.append({one.symbols[k]: int(counts[k]) for k in seen})
    first, second = tables
    union = list(dict.fromkeys((*first, *second)))
    n, m = (np.array([table.get(s, 0) for s in union], dtype=np.float64) for table in tables)
    return n, m


def _of_counts(n: Numbers, m: Numbers, method: str, apart: bool) -> tuple[float, float]:
    """Plug-in value or Zhang and Grabchak's, and the error of first order in both samples."""
    from scipy.special import digamma

    rows, others = float(n.sum()), float(m.sum())
    use = n > 0
    p, seen = n[use] / rows, m[use]
    if method == "plugin":
        with np.errstate(divide="ignore"):
            cost = -np.log(seen / others)
        told = cost + np.log(p) if apart else cost
    else:
        # Their sums over products, in closed form: unbiased but for what no sample of m can show.
        cost = digamma(others + 1) - digamma(seen + 1)
        told = cost - digamma(rows) + digamma(n[use]) if apart else cost
    value = float((p * told).sum())
    if not math.isfinite(value):
        return value, 0.0
    # A model's share below one row is not known: its part of the error is that of one row.
    q = np.maximum(seen, 1.0) / others
    first = float((p * (told - value) ** 2).sum()) / rows
    second = max(0.0, float((p * p / q).sum()) - 1) / others
    value = max(0.0, value) if method == "plugin" else value
    return value, math.sqrt(first + second)


def _posterior(
    n: Numbers, m: Numbers, size: int, prior: float | str, apart: bool
) -> tuple[float, float]:
    """Mean and deviation under independent Dirichlet posteriors of P and Q."""
    from scipy.special import digamma, polygamma

    unseen = size - n.size
    a = np.append(n, 0.0) + concentration(prior, size, float(n.sum()))
    b = np.append(m, 0.0) + concentration(prior, size, float(m.sum()))
    many = np.append(np.ones(n.size), float(unseen))
    total, whole = float((many * a).sum()), float((many * b).sum())
    c = digamma(b) - digamma(whole)  # the mean of log q
    pair = total * (total + 1)
    cost = -float((many * a * c).sum()) / total
    # E (Σ p log q)²: the means of p_j p_k, and the covariances of log q
    mixed = (float((many * a * c).sum()) ** 2 + float((many * a * c * c).sum())) / pair
    own = float((many * a * (a + 1) * polygamma(1, b)).sum()) / pair - float(polygamma(1, whole))
    square = mixed + own
    value = cost
    if apart:
        mean, second = entropy_moments(a, many)
        gap = digamma(a + 1) - digamma(total + 2)
        all_gaps = float((many * a * gap).sum())
        both = a / pair * (all_gaps - a * gap + (a + 1) * (digamma(a + 2) - digamma(total + 2)))
        value = cost - mean
        square = square + second - 2 * float((many * both * c).sum())
    return value, math.sqrt(max(0.0, square - value * value))


def _points(x: Any, y: Any, ask: Ask) -> Pair:
    k = ask.neighbors
    a, b = (real_points(name, values, ask.missing) for name, values in (("x", x), ("y", y)))
    if a.shape[1] != b.shape[1]:
        raise _check.invalid("y", f"have the {a.shape[1]} columns of `x`", b.shape[1])
    least = (k + 1, k) if ask.method == "nearest_neighbors" else (a.shape[1] + 1,) * 2
    for name, points, few in (("x", a, least[0]), ("y", b, least[1])):
        if len(points) < few:
            raise _check.invalid(name, f"have at least {few} rows", len(points))
    return a, b


def _of_two_normals(a: Numbers, b: Numbers, apart: bool) -> tuple[float, float]:
    """Take the closed form at both means and covariances; its error by what each row moves."""
    roots = []
    for name, points in (("x", a), ("y", b)):
        cov = np.atleast_2d(np.cov(points.T, bias=True))
        try:
            roots.append(np.linalg.cholesky(cov))
        except np.linalg.LinAlgError:
            got = "a covariance without an inverse"
            raise _check.invalid(name, "vary in every direction", got) from None
    left, right = roots
    d = a.shape[1]
    step = np.linalg.solve(right, a.mean(0) - b.mean(0))
    turned = np.linalg.solve(right, left)
    spread = turned @ turned.T
    log_det = 2 * float(np.log(np.diag(right)).sum())
    value = 0.5 * (d * math.log(2 * math.pi) + log_det + np.trace(spread) + float(step @ step))
    by_truth = np.eye(d)
    if apart:
        value -= d * 0.5 * math.log(2 * math.pi * math.e) + float(np.log(np.diag(left)).sum())
        by_truth = by_truth - np.linalg.inv(spread)
    u = np.linalg.solve(right, (a - a.mean(0)).T).T
    v = np.linalg.solve(right, (b - b.mean(0)).T).T
    told = u @ step + 0.5 * np.einsum("ni,ij,nj->n", u, by_truth, u)
    by_model = np.eye(d) - spread - np.outer(step, step)
    moved = -v @ step + 0.5 * np.einsum("ni,ij,nj->n", v, by_model, v)
    error = math.sqrt(float(told.var()) / len(a) + float(moved.var()) / len(b))
    return max(0.0, float(value)) if apart else float(value), error


def _null(x: Any, y: Any, ask: Ask, times: int, rng: np.random.Generator) -> tuple[Numbers, float]:
    """Divergences after the rows of both samples are dealt out anew, and that of the samples."""
    if ask.method in SYMBOLS:
        n, m = _paired(x, y, ask.missing)
        pool = (n + m).astype(np.int64)
        rows = int(n.sum())

        def one() -> float:
            some = rng.multivariate_hypergeometric(pool, rows)
            return _of_counts(
                some.astype(float), (pool - some).astype(float), "zhang_grabchak", True
            )[0]

        seen = _of_counts(n, m, "zhang_grabchak", True)[0]
        return np.array([one() for _ in range(times)]), seen
    a, b, _ = in_range(*_points(x, y, ask))

    def of(first: Numbers, second: Numbers) -> float:
        if ask.method == "normal":
            return _of_two_normals(first, second, True)[0]
        return float(neighbor_ratio(first, second, ask.neighbors, True)[0].mean())

    together: NDArray[np.float64] = np.concatenate([a, b])
    null = np.empty(times)
    for i in range(times):
        mixed = rng.permutation(together)
        null[i] = of(mixed[: len(a)], mixed[len(a) :])
    return null, of(a, b)
