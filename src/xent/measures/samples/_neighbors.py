"""Entropy and mutual information of real numbers, by the distance to the k-th nearest neighbour.

Each function returns what every point contributes; the estimate is their mean. Kozachenko and
Leonenko (1987); Kraskov, Stoegbauer and Grassberger (2004); Ross (2014). Points at the same place
have no density: they are refused where the answer would be minus infinity.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.measures.rows._protocols import Codes, Numbers, Samples
from xent.measures.rows._symbols import plain


def real_column(argument: str, values: Samples, neighbors: int, missing: str = "refuse") -> Numbers:
    """Take a column of finite real numbers, enough of them to have that many neighbours."""
    array = _floats(values)
    if array.ndim != 1:
        raise _check.invalid(argument, "be one column", f"an array of shape {array.shape}")
    numbers = real_points(argument, array, missing)[:, 0]
    if numbers.size <= neighbors:
        raise _check.invalid(argument, f"have more than {neighbors} rows", numbers.size)
    return numbers


def real_points(argument: str, values: Samples, missing: str) -> Numbers:
    """Take rows of finite real numbers: one column or several, each a coordinate.

    "drop" leaves out rows with a missing entry, "keep" returns them as NaN.
    """
    array = _floats(values)
    if array.ndim not in (1, 2):
        raise _check.invalid(argument, "have one axis or two", f"shape {array.shape}")
    if array.dtype.kind not in "fiu":
        must = "be a column of real numbers for this method"
        raise _check.wrong_kind(argument, must, f"an array of dtype {array.dtype}")
    if _check.option("missing", missing, ("refuse", "drop", "symbol", "keep")) == "symbol":
        raise _check.invalid("missing", 'be "refuse" or "drop" for real numbers', "'symbol'")
    points = array.astype(np.float64).reshape(len(array), 1 if array.ndim == 1 else array.shape[1])
    if not points.shape[1]:
        raise _check.invalid(argument, "have at least one column", "none")
    absent = np.isnan(points)
    bad = ~np.isfinite(points) & ~absent if missing != "refuse" else ~np.isfinite(points)
    if bad.any():
        place = np.argwhere(bad)[0][: array.ndim]
        advice = (
            "For missing entries pass " + _check.setting("missing", "drop") + "."
            if absent.any()
            else ""
        )
        got = f"{points[bad][0]} at {_check.at(place)}"
        raise _check.invalid(argument, "be finite", got, advice)
    return points[~absent.any(1)] if missing == "drop" else points


def rescaled(*arrays: Numbers) -> tuple[Any, ...]:
    """Return numbers times one power of two where their squares would leave the range of floats.

    Last comes the logarithm of what a length is then to be multiplied by.
    """
    top = max(float(np.abs(x).max()) for x in arrays)
    if top == 0 or 1e-100 < top < 1e100:
        return *arrays, 0.0
    power = math.frexp(top)[1]
    return *(np.ldexp(x, -power) for x in arrays), power * math.log(2)


def _floats(values: Samples) -> NDArray[Any]:
    """Read columns of any library; None and NA among numbers become NaN."""
    array: NDArray[Any] = np.asarray(plain(values))
    if array.dtype != object:
        return array
    entries = [
        math.nan if v is None or type(v).__name__ == "NAType" else v for v in array.ravel().tolist()
    ]
    numbers = all(isinstance(v, int | float) for v in entries)
    return np.array(entries, dtype=np.float64).reshape(array.shape) if numbers else array


def kozachenko_leonenko(x: Numbers, neighbors: int) -> Numbers:
    """ψ(n) - ψ(k) + log 2 + log of the distance to the k-th neighbour."""
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    far = cKDTree(x[:, None]).query(x[:, None], [neighbors + 1])[0][:, 0]
    if not far.all():
        advice = "Equal values have no density: count them as symbols."
        got = f"{neighbors + 1} equal values"
        raise _check.invalid("x", f"have at most {neighbors} rows of one value", got, advice)
    return np.asarray(digamma(x.size) - digamma(neighbors) + math.log(2) + np.log(far))


def ksg(x: Numbers, y: Numbers, neighbors: int) -> Numbers:
    """ψ(k) + ψ(n) - ψ(n_x + 1) - ψ(n_y + 1): the first of the two estimators of 2004.

    n_x counts the points nearer along x than the k-th neighbour in the larger of both distances.
    """
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    points = np.column_stack([_standardized(x), _standardized(y)])
    far = cKDTree(points).query(points, [neighbors + 1], p=np.inf)[0][:, 0]
    near = [_count_nearer(points[:, i], far) for i in range(2)]  # the point itself is the + 1
    fixed = digamma(neighbors) + digamma(x.size)
    return _with_ties(fixed - digamma(near[0]) - digamma(near[1]), points, far)


def ksg2(x: Numbers, y: Numbers, neighbors: int) -> Numbers:
    """ψ(k) - 1/k + ψ(n) - ψ(n_x) - ψ(n_y): the second estimator of 2004.

    The k neighbours fill a rectangle; n_x counts the others within its half-width along x, those
    at its edge too.
    """
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    points = np.column_stack([_standardized(x), _standardized(y)])
    far, near = cKDTree(points).query(points, neighbors + 1, p=np.inf)
    terms = np.full(x.size, digamma(neighbors) - 1 / neighbors + digamma(x.size))
    for i in range(2):
        one = points[:, i]
        half = np.abs(one[near] - one[:, None]).max(1)
        half = half + 4 * np.spacing(np.abs(one) + half)  # the edge is in though it is rounded
        terms -= digamma(np.maximum(_count_within(one, half) - 1, 1))
    return _with_ties(terms, points, far[:, -1])


def _with_ties(terms: Numbers, points: Numbers, far: Numbers) -> Numbers:
    """Count rows whose neighbours are all at their own place as symbols: no distance is known.

    ψ(t) + ψ(n) - ψ(t_x) - ψ(t_y) for t rows alike, t_x and t_y along each axis. Gao, Kannan, Oh and
    Viswanath (2017).
    """
    from scipy.special import digamma

    tied = far == 0
    if not tied.any():
        return np.asarray(terms)
    counts = [np.unique(c, axis=0, return_inverse=True, return_counts=True)[1:]
              for c in (points, points[:, 0], points[:, 1])]  # fmt: skip
    t, along_x, along_y = (digamma(many[code.ravel()]) for code, many in counts)
    return np.where(tied, digamma(len(points)) + t - along_x - along_y, terms)


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
    from scipy.special import digamma, gammaln

    n, d = x.shape
    away, near = cKDTree(y).query(x, list(range(1, neighbors + 1)))
    far = away[:, -1]
    influence = np.bincount(near.ravel(), minlength=len(y)) * (len(y) / near.size)
    advice = "Equal values have no density: count them as symbols."
    if not far.all():
        must = f"have fewer than {neighbors} rows at a place of `x`"
        raise _check.invalid("y", must, f"{neighbors} or more", advice)
    if not divergence:
        ball = d / 2 * math.log(math.pi) - float(gammaln(d / 2 + 1))
        return math.log(len(y)) - digamma(neighbors) + ball + d * np.log(far), influence
    own = np.asarray(cKDTree(x).query(x, [neighbors + 1])[0])[:, 0]
    if not own.all():
        got = f"{neighbors + 1} equal rows"
        raise _check.invalid("x", f"have at most {neighbors} rows of one value", got, advice)
    return d * np.log(far / own) + math.log(len(y) / (n - 1)), influence


def ross(codes: Codes, y: Numbers, neighbors: int) -> Numbers:
    """ψ(n) + ψ(k) - ψ(n_x) - ψ(m): symbols and numbers.

    m counts the points within the distance of the k-th neighbour of the same symbol, n_x all of
    that symbol; a symbol seen once tells nothing and is left out.
    """
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    sizes = np.bincount(codes)[codes]
    use = sizes > 1
    if not use.any():
        raise _check.invalid("x", "have a symbol that occurs twice", "none")
    codes, y, sizes = codes[use], y[use], sizes[use]
    far, reach = np.empty(y.size), np.empty(y.size, dtype=np.int64)
    for code in np.unique(codes):
        mine = np.flatnonzero(codes == code)
        k = min(neighbors, mine.size - 1)
        points = y[mine, None]
        far[mine] = cKDTree(points).query(points, [k + 1])[0][:, 0]
        reach[mine] = k
    found = digamma(y.size) + digamma(reach) - digamma(sizes) - digamma(_count_nearer(y, far))
    return np.asarray(found)


def _standardized(x: Numbers) -> Numbers:
    spread = float(x.std())
    return x / spread if spread > 0 else x


def _count_nearer(x: Numbers, far: Numbers) -> Codes:
    """Count the points strictly nearer than ``far`` along one axis, the point itself with them."""
    # The neighbour at that distance must stay out though x ± far is rounded.
    return _count_within(x, np.maximum(0.0, far - 4 * np.spacing(np.abs(x) + far)))


def _count_within(x: Numbers, far: Numbers) -> Codes:
    """Count the points at most so far along one axis, the point itself with them."""
    ordered = np.sort(x)
    low = np.searchsorted(ordered, x - far, side="left")
    high = np.searchsorted(ordered, x + far, side="right")
    return np.asarray(np.maximum(high - low, 1))
