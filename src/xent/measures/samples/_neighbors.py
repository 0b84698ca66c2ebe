"""Entropy and mutual information of real numbers, by the distance to the k-th nearest neighbour.

Each function returns what every point contributes; the estimate is their mean. Kozachenko and
Leonenko (1987); Kraskov, Stoegbauer and Grassberger (2004); Frenzel and Pompe (2007); Ross (2014).
Points are arrays of shape (n, d). What is handed to `ksg`, `ksg2` and `conditional_entropy` has
been jittered (`_ties.py`): no two rows are alike; `ross` tells equal numbers apart itself.
"""

from __future__ import annotations

import math

import numpy as np

from xent import _check
from xent.measures.rows._protocols import Codes, Numbers
from xent.measures.samples._ties import repeats_as_symbols, tie_order

EQUAL = "Equal values have no density: count them as symbols."


def kozachenko_leonenko(x: Numbers, neighbors: int) -> Numbers:
    """ψ(n) - ψ(k) + log V + d log of the distance to the k-th neighbour, V of the unit ball."""
    from scipy.special import digamma

    far = _farthest(x, neighbors, _norm(x))
    if not far.all():
        got = f"{neighbors + 1} equal values"
        raise _check.invalid("x", f"have at most {neighbors} rows of one value", got, EQUAL)
    n, d = x.shape
    return np.asarray(digamma(n) - digamma(neighbors) + _log_ball(d) + d * np.log(far))


def conditional_entropy(x: Numbers, z: Numbers, neighbors: int) -> Numbers:
    """ψ(n_z + 1) - ψ(k) + d log of twice the distance to the k-th neighbour of (x, z).

    n_z counts the points that are nearer along z, so that both entropies are seen at one scale.
    """
    from scipy.special import digamma

    far = _farthest(np.column_stack([x, z]), neighbors)
    if not far.all():
        got = f"{neighbors + 1} equal values where " + _check.argument("given") + " is alike"
        raise _check.invalid("x", f"have at most {neighbors} rows of one value", got, EQUAL)
    return np.asarray(
        digamma(_count_nearer(z, far)) - digamma(neighbors) + x.shape[1] * np.log(2 * far)
    )


def ksg(x: Numbers, y: Numbers, neighbors: int) -> Numbers:
    """ψ(k) + ψ(n) - ψ(n_x + 1) - ψ(n_y + 1): the first of the two estimators of 2004.

    n_x counts the points nearer along x than the k-th neighbour in the larger of both distances.
    """
    from scipy.special import digamma

    far = _farthest(np.column_stack([x, y]), neighbors)
    near = [digamma(_count_nearer(points, far)) for points in (x, y)]  # the point itself is the + 1
    return np.asarray(digamma(neighbors) + digamma(len(x)) - (near[0] + near[1]))


def ksg_given(x: Numbers, y: Numbers, z: Numbers, neighbors: int) -> Numbers:
    """ψ(k) + ψ(n_z + 1) - ψ(n_xz + 1) - ψ(n_yz + 1), counted as by `ksg`. Frenzel and Pompe."""
    from scipy.special import digamma

    far = _farthest(np.column_stack([x, y, z]), neighbors)
    near = [digamma(_count_nearer(np.column_stack([points, z]), far)) for points in (x, y)]
    return np.asarray(digamma(neighbors) + digamma(_count_nearer(z, far)) - (near[0] + near[1]))


def ksg2(x: Numbers, y: Numbers, neighbors: int) -> Numbers:
    """ψ(k) - 1/k + ψ(n) - ψ(n_x) - ψ(n_y): the second estimator of 2004, of two columns.

    The k neighbours fill a rectangle; n_x counts the others within its half-width along x, those
    at its edge too.
    """
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    points = np.column_stack([x, y])
    tree = cKDTree(points)
    near = np.empty((len(points), neighbors + 1), dtype=np.int64)
    near[tree.indices] = tree.query(points[tree.indices], neighbors + 1, p=np.inf)[1]
    inside = []
    for one in points.T:
        half = np.abs(one[near] - one[:, None]).max(1)
        half = half + 4 * np.spacing(np.abs(one) + half)  # the edge is in though it is rounded
        inside.append(digamma(np.maximum(_count_within(one, half) - 1, 1)))
    fixed = digamma(neighbors) - 1 / neighbors + digamma(len(x))
    return np.asarray(fixed - (inside[0] + inside[1]))


def neighbor_ratio(
    x: Numbers, y: Numbers, neighbors: int, divergence: bool
) -> tuple[Numbers, Numbers]:
    """Return each row's term of the divergence from y, or else of the cross-entropy.

    d log(ν / ρ) + log(m / (n - 1)), where ν and ρ are the distances to the k-th neighbour in y and
    among the other rows of x: Wang, Kulkarni and Verdu (2009). For the cross-entropy it is
    log m - ψ(k) + log V + d log ν, V the volume of the ball of radius one: Leonenko, Pronzato and
    Savani (2008).

    The second array is the influence of each row of y: how often it is a neighbour, 1 on average,
    an estimate of p/q there.
    """
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    n, d = x.shape
    away, near = cKDTree(y).query(x, list(range(1, neighbors + 1)), p=_norm(x))
    far = away[:, -1]
    influence = np.bincount(near.ravel(), minlength=len(y)) * (len(y) / near.size)
    if not divergence:
        if not far.all():
            must = f"have fewer than {neighbors} rows at a place of " + _check.argument("x")
            raise _check.invalid("y", must, f"{neighbors} or more", EQUAL)
        return math.log(len(y)) - digamma(neighbors) + _log_ball(d) + d * np.log(far), influence
    own = _farthest(x, neighbors, _norm(x))
    alike = (own == 0) | (far == 0)
    if not alike.any():
        return d * np.log(far / own) + math.log(len(y) / (n - 1)), influence
    terms = np.empty(n)
    terms[~alike] = d * np.log(far[~alike] / own[~alike]) + math.log(len(y) / (n - 1))
    # Rows at one place are a symbol: the log of its shares.
    _, place = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)
    place = place.ravel()
    size = int(place.max()) + 1
    here, there = np.bincount(place[:n], minlength=size), np.bincount(place[n:], minlength=size)
    with np.errstate(divide="ignore"):
        ratio = here * (len(y) / n) / there
        terms[alike] = np.log(ratio[place[:n][alike]])
    atoms = np.zeros(size, dtype=bool)
    atoms[place[:n][alike]] = True
    return terms, np.where(atoms[place[n:]], ratio[place[n:]], influence)


def ross(
    codes: Codes, y: Numbers, neighbors: int, rng: np.random.Generator | None = None
) -> Numbers:
    """ψ(n) + ψ(k) - ψ(n_x) - ψ(m): symbols and numbers.

    m counts the points within the distance of the k-th neighbour of the same symbol, n_x all of
    that symbol; a symbol seen once tells nothing and is left out. Of equal distances the nearer is
    the one whose random number is: noise smaller than every gap.
    """
    from scipy.special import digamma

    use = np.bincount(codes)[codes] > 1
    if not use.any():
        raise _check.invalid("x", "have a symbol that occurs twice", "none")
    codes, y = codes[use], y[use]
    y = 0.5 * y if np.abs(y).max() > 1e300 else y  # a difference of two must be a float
    order, u = tie_order(codes, y, rng)
    y, codes = y[order], codes[order]
    sizes = np.bincount(codes)[codes]
    k = np.minimum(neighbors, sizes - 1)
    far, tie = _kth_alike(codes, sizes, y, u, k)
    left = _count_right(-y[::-1], -u[::-1], far[::-1], tie[::-1])[::-1]
    inside = left + _count_right(y, u, far, tie)
    terms = digamma(y.size) + digamma(k) - digamma(sizes) - digamma(inside)
    if (y[1:] == y[:-1]).any():
        terms = repeats_as_symbols(
            terms, [codes[:, None].astype(np.float64), y[:, None]], neighbors
        )
    found = np.empty(y.size)
    found[order] = terms
    return found


def _kth_alike(
    codes: Codes, sizes: Codes, y: Numbers, u: Numbers, k: Codes
) -> tuple[Numbers, Numbers]:
    """Return the distance to the k-th neighbour of the same symbol: of y, then of u.

    The k nearest and the point itself are k + 1 rows in a line: of all such lines the one whose
    farther end is nearest.
    """
    by = np.argsort(codes, kind="stable")
    y, u, k = y[by], u[by], k[by]
    first = np.append(True, np.diff(codes[by]) > 0)
    start = np.flatnonzero(first)[np.cumsum(first) - 1]
    stop, place = start + sizes[by], np.arange(y.size)
    far, tie = np.full(y.size, np.inf), np.zeros(y.size)
    for before in range(int(k.max()) + 1):
        low, high = place - before, place + k - before
        rows = np.flatnonzero((before <= k) & (low >= start) & (high < stop))
        low, high = low[rows], high[rows]
        down, up = y[rows] - y[low], y[high] - y[rows]
        down_tie, up_tie = u[rows] - u[low], u[high] - u[rows]
        larger = (down > up) | ((down == up) & (down_tie > up_tie))
        reach, by_tie = np.where(larger, down, up), np.where(larger, down_tie, up_tie)
        better = (reach < far[rows]) | ((reach == far[rows]) & (by_tie < tie[rows]))
        far[rows[better]], tie[rows[better]] = reach[better], by_tie[better]
    found = np.empty((2, y.size))
    found[:, by] = far, tie
    return found[0], found[1]


def _count_right(y: Numbers, u: Numbers, far: Numbers, tie: Numbers) -> Codes:
    """Count the later rows at most so far from each row, by bisection."""
    place = np.arange(y.size)
    low, high = place.copy(), np.full(y.size, y.size - 1)
    for _ in range(int(y.size).bit_length()):
        middle = (low + high + 1) // 2
        gap = y[middle] - y
        inside = (gap < far) | ((gap == far) & (u[middle] - u <= tie))
        low, high = np.where(inside, middle, low), np.where(inside, high, middle - 1)
    return low - place


def _norm(points: Numbers) -> float:
    """Return Euclid's norm; along one axis all are one, and the largest squares nothing."""
    return 2.0 if points.shape[1] > 1 else np.inf


def _log_ball(d: int) -> float:
    """Log of the volume of the ball of radius one."""
    from scipy.special import gammaln

    return d / 2 * math.log(math.pi) - float(gammaln(d / 2 + 1))


def _farthest(points: Numbers, neighbors: int, norm: float = np.inf) -> Numbers:
    """Return the distance to the k-th neighbour; without a norm the largest along a coordinate."""
    from scipy.spatial import cKDTree

    tree = cKDTree(points)
    found = np.empty(len(points))
    # Asked in the order of the tree, neighbours are still in the cache.
    found[tree.indices] = tree.query(points[tree.indices], [neighbors + 1], p=norm)[0][:, 0]
    return found


def _count_nearer(points: Numbers, far: Numbers) -> Codes:
    """Count the points strictly nearer than ``far`` in every coordinate, the point itself too."""
    # The neighbour at that distance must stay out though x ± far is rounded.
    less = np.maximum(0.0, far - 4 * np.spacing(np.abs(points).max(1) + far))
    if points.shape[1] == 1:
        return _count_within(points[:, 0], less)
    from scipy.spatial import cKDTree

    tree = cKDTree(points)
    found = tree.query_ball_point(points, less, p=np.inf, return_length=True)
    return np.asarray(np.maximum(found, 1))


def _count_within(x: Numbers, far: Numbers) -> Codes:
    """Count the points at most so far along one axis, the point itself with them."""
    order = np.argsort(x)
    x, far = x[order], far[order]
    low = np.searchsorted(x, x - far, side="left")
    high = np.searchsorted(x, x + far, side="right")
    found = np.empty(x.size, dtype=np.int64)
    found[order] = np.maximum(high - low, 1)
    return found
