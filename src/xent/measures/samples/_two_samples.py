"""Divergence and cross-entropy of two samples: one of the truth, one of the model.

A symbol that the model's sample lacks makes the plug-in value infinite, as it is for the observed
frequencies. An estimate for the distributions behind the samples is finite: Zhang and Grabchak's or
a posterior mean. Real numbers go by distances to neighbours, or as two normals.
"""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from xent import _check
from xent.measures.rows._protocols import Numbers, Samples
from xent.measures.rows._symbols import MISSING, without_missing
from xent.measures.samples._from_counts import (
    concentration,
    entropy_moments,
    number_of_symbols,
)
from xent.measures.samples._neighbors import neighbor_ratio
from xent.measures.samples._real_numbers import real_points, rescaled
from xent.measures.samples._result import (
    Estimate,
    against_chance,
    interval,
    number_of_neighbors,
    only_for,
    quantile_of,
    randomness,
)
from xent.measures.samples._several import symbols_of
from xent.measures.samples._ties import dequantized

SYMBOLS = ("plugin", "zhang_grabchak", "dirichlet")
NEAREST = "nearest_neighbors"
DIVERGENCE_METHODS = (*SYMBOLS, NEAREST, "normal")
Pair = tuple[Numbers, Numbers]


def estimate_kl_divergence(
    x: Samples,
    y: Samples,
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
        How often the rows of both samples are dealt out anew, for the p-value and the value
        adjusted for chance. Symbols are then compared by "zhang_grabchak", which is finite.
    rng : Generator or int, optional
        Chance for permutations, which need it, and for the noise that spreads rounded numbers over
        their unit ("nearest_neighbors"), which otherwise has a fixed seed.
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
    _check.option("method", method, DIVERGENCE_METHODS)
    noise, draw, times = randomness(rng, permutations, method == NEAREST)
    scale, quantile = _check.log_of_base(base), quantile_of(confidence)
    options = _options(method, size, prior, neighbors, missing)
    samples = _read(x, y, options, noise)
    value, error = _measure(samples, options, True)
    found = interval(value, error, scale, quantile, samples.rows, method)
    found = replace(found, noise=samples.noise)
    if draw is None:
        return found
    null, observed = _null_divergences(samples, options, times, draw)
    p_value, adjusted = against_chance(observed, null, scale)
    return replace(found, p_value=p_value, adjusted=adjusted)


def estimate_cross_entropy(
    x: Samples,
    y: Samples,
    *,
    method: str = "plugin",
    size: int | None = None,
    prior: float | str | None = None,
    neighbors: int | None = None,
    rng: np.random.Generator | int | None = None,
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
    rng : Generator or int, optional
        Changes the noise that spreads rounded numbers over their unit for "nearest_neighbors";
        it has a fixed seed without.
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
    _check.option("method", method, DIVERGENCE_METHODS)
    scale, quantile = _check.log_of_base(base), quantile_of(confidence)
    options = _options(method, size, prior, neighbors, missing)
    only_for("rng", rng, method, (NEAREST,))
    samples = _read(x, y, options, randomness(rng, 0, True)[0])
    value, error = _measure(samples, options, False)
    found = interval(value, error, scale, quantile, samples.rows, method)
    return replace(found, noise=samples.noise)


@dataclass(frozen=True)
class TwoSampleOptions:
    """The options, checked."""

    method: str
    size: int | None
    prior: float | str | None
    neighbors: int
    missing: str


def _options(
    method: str, size: int | None, prior: float | str | None, neighbors: int | None, missing: str
) -> TwoSampleOptions:
    _check.option("missing", missing, MISSING)
    if (size is None) == (method == "dirichlet"):
        must = 'be given for "dirichlet" and for nothing else'
        raise _check.invalid("size", must, f"{size} for {method!r}")
    only_for("prior", prior, method, ("dirichlet",))
    only_for("neighbors", neighbors, method, (NEAREST,))
    return TwoSampleOptions(method, size, prior, number_of_neighbors(neighbors), missing)


@dataclass(frozen=True)
class TwoSamples:
    """Counts over the symbols of both samples; or points, and the log of their unit of length."""

    x: Numbers
    y: Numbers
    rows: int
    shift: float = 0.0
    noise: bool = False


def _read(
    x: Samples, y: Samples, options: TwoSampleOptions, rng: np.random.Generator | None
) -> TwoSamples:
    if options.method in SYMBOLS:
        n, m = _paired(x, y, options.missing)
        return TwoSamples(n, m, int(n.sum()))
    a, b, shift = rescaled(*_points(x, y, options))
    noise = False
    if options.method == NEAREST:
        (a, b), noise = dequantized(a, b, rng=rng)
    return TwoSamples(a, b, len(a), shift * a.shape[1], noise)


def _measure(
    samples: TwoSamples, options: TwoSampleOptions, divergence: bool
) -> tuple[float, float]:
    """Value and standard error, in nats; of the divergence or else of the cross-entropy."""
    a, b = samples.x, samples.y
    if options.method == "dirichlet":
        limit = number_of_symbols(options.size, a.size)
        return _posterior(a, b, limit, options.prior, divergence)
    if options.method in SYMBOLS:
        return _of_counts(a, b, options.method, divergence)
    shift = 0.0 if divergence else samples.shift
    if options.method == "normal":
        value, error = _normal_divergence(a, b, divergence)
        return value + shift, error
    terms, influence = neighbor_ratio(a, b, options.neighbors, divergence)
    value = float(terms.mean()) + shift
    if not math.isfinite(value):
        return value, 0.0
    variance = float(terms.var()) / terms.size + float(influence.var()) / influence.size
    return value, math.sqrt(variance)


def _paired(x: Samples, y: Samples, missing: str) -> Pair:
    """Count both samples over the symbols of both."""
    tables = []
    for name, values in (("x", x), ("y", y)):
        (one,) = without_missing(name, [symbols_of(name, values)], missing)
        if not one.codes.size:
            raise _check.invalid(name, "have at least one row", "none")
        counts = np.bincount(one.codes, minlength=len(one.symbols))
        observed = np.flatnonzero(counts)
        tables.append({one.symbols[k]: int(counts[k]) for k in observed})
    first, second = tables
    union = list(dict.fromkeys((*first, *second)))
    n, m = (np.array([table.get(s, 0) for s in union], dtype=np.float64) for table in tables)
    return n, m


def _of_counts(n: Numbers, m: Numbers, method: str, divergence: bool) -> tuple[float, float]:
    """Plug-in value or Zhang and Grabchak's, and the error of first order in both samples."""
    from scipy.special import digamma

    rows, others = float(n.sum()), float(m.sum())
    use = n > 0
    p, observed = n[use] / rows, m[use]
    if method == "plugin":
        with np.errstate(divide="ignore"):
            cost = -np.log(observed / others)
        terms = cost + np.log(p) if divergence else cost
    else:
        # Their sums over products in closed form: unbiased but for symbols that m cannot show.
        cost = digamma(others + 1) - digamma(observed + 1)
        terms = cost - digamma(rows) + digamma(n[use]) if divergence else cost
    value = float((p * terms).sum())
    if not math.isfinite(value):
        return value, 0.0
    # A symbol that the model's sample lacks has the error of one seen once.
    q = np.maximum(observed, 1.0) / others
    first = float((p * (terms - value) ** 2).sum()) / rows
    second = max(0.0, float((p * p / q).sum()) - 1) / others
    value = max(0.0, value) if method == "plugin" else value
    return value, math.sqrt(first + second)


def _posterior(
    n: Numbers, m: Numbers, size: int, prior: float | str | None, divergence: bool
) -> tuple[float, float]:
    """Mean and deviation under independent Dirichlet posteriors of P and Q."""
    from scipy.special import digamma, polygamma

    unseen = size - n.size
    a = np.append(n, 0.0) + concentration(prior, size, float(n.sum()))
    b = np.append(m, 0.0) + concentration(prior, size, float(m.sum()))
    repeats = np.append(np.ones(n.size), float(unseen))
    total, whole = float((repeats * a).sum()), float((repeats * b).sum())
    c = digamma(b) - digamma(whole)  # the mean of log q
    pair = total * (total + 1)
    cost = -float((repeats * a * c).sum()) / total
    # E (Σ p log q)²: the means of p_j p_k, and the covariances of log q
    mixed = (float((repeats * a * c).sum()) ** 2 + float((repeats * a * c * c).sum())) / pair
    own = float((repeats * a * (a + 1) * polygamma(1, b)).sum()) / pair - float(polygamma(1, whole))
    square = mixed + own
    value = cost
    if divergence:
        mean, second = entropy_moments(a, repeats)
        gap = digamma(a + 1) - digamma(total + 2)
        all_gaps = float((repeats * a * gap).sum())
        both = a / pair * (all_gaps - a * gap + (a + 1) * (digamma(a + 2) - digamma(total + 2)))
        value = cost - float(mean)
        square = square + float(second) - 2 * float((repeats * both * c).sum())
    return value, math.sqrt(max(0.0, square - value * value))


def _points(x: Samples, y: Samples, options: TwoSampleOptions) -> Pair:
    k = options.neighbors
    a, b = (real_points(name, values, options.missing) for name, values in (("x", x), ("y", y)))
    if a.shape[1] != b.shape[1]:
        raise _check.invalid("y", f"have the {a.shape[1]} columns of `x`", b.shape[1])
    min_rows = (k + 1, k) if options.method == NEAREST else (a.shape[1] + 1,) * 2
    for name, points, needed in (("x", a, min_rows[0]), ("y", b, min_rows[1])):
        if len(points) < needed:
            raise _check.invalid(name, f"have at least {needed} rows", len(points))
    return a, b


def _normal_divergence(a: Numbers, b: Numbers, divergence: bool) -> tuple[float, float]:
    """Use the closed form at both means and covariances; its error by each row's influence."""
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
    if divergence:
        value -= d * 0.5 * math.log(2 * math.pi * math.e) + float(np.log(np.diag(left)).sum())
        by_truth = by_truth - np.linalg.inv(spread)
    u = np.linalg.solve(right, (a - a.mean(0)).T).T
    v = np.linalg.solve(right, (b - b.mean(0)).T).T
    terms = u @ step + 0.5 * np.einsum("ni,ij,nj->n", u, by_truth, u)
    by_model = np.eye(d) - spread - np.outer(step, step)
    influence = -v @ step + 0.5 * np.einsum("ni,ij,nj->n", v, by_model, v)
    error = math.sqrt(float(terms.var()) / len(a) + float(influence.var()) / len(b))
    return max(0.0, float(value)) if divergence else float(value), error


def _null_divergences(
    samples: TwoSamples, options: TwoSampleOptions, times: int, rng: np.random.Generator
) -> tuple[Numbers, float]:
    """Divergences of random splits of all rows, and that of the two samples."""
    a, b = samples.x, samples.y
    if options.method in SYMBOLS:
        pool = (a + b).astype(np.int64)

        def one() -> float:
            some = rng.multivariate_hypergeometric(pool, samples.rows)
            return _of_counts(
                some.astype(float), (pool - some).astype(float), "zhang_grabchak", True
            )[0]

        observed = _of_counts(a, b, "zhang_grabchak", True)[0]
        return np.array([one() for _ in range(times)]), observed

    def of(first: Numbers, second: Numbers) -> float:
        if options.method == "normal":
            return _normal_divergence(first, second, True)[0]
        return float(neighbor_ratio(first, second, options.neighbors, True)[0].mean())

    together: Numbers = np.concatenate([a, b])
    null = np.empty(times)
    for i in range(times):
        mixed = rng.permutation(together)
        null[i] = of(mixed[: len(a)], mixed[len(a) :])
    return null, of(a, b)
