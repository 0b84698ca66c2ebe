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

Numbers = NDArray[np.float64]


def real_column(argument: str, values: Any, neighbors: int) -> Numbers:
    """Take a column of finite real numbers, enough of them to have that many neighbours."""
    array: NDArray[Any] = np.asarray(values)
    if array.ndim != 1:
        raise _check.invalid(argument, "be one column", f"an array of shape {array.shape}")
    if array.dtype.kind not in "fiu":
        must = "be a column of real numbers for this method"
        raise _check.wrong_kind(argument, must, f"an array of dtype {array.dtype}")
    if array.size <= neighbors:
        raise _check.invalid(argument, f"have more than {neighbors} rows", array.size)
    numbers = array.astype(np.float64)
    bad = ~np.isfinite(numbers)
    if bad.any():
        place = int(np.argmax(bad))
        raise _check.invalid(argument, "be finite", f"{numbers[place]} at [{place}]")
    return numbers


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

    points = np.column_stack([_scaled(x), _scaled(y)])
    far = cKDTree(points).query(points, [neighbors + 1], p=np.inf)[0][:, 0]
    near = [_within(points[:, i], far) for i in range(2)]  # the point itself is the + 1
    fixed = digamma(neighbors) + digamma(x.size)
    return np.asarray(fixed - digamma(near[0]) - digamma(near[1]))


def ross(codes: NDArray[np.int64], y: Numbers, neighbors: int) -> Numbers:
    """ψ(n) + ψ(k) - ψ(n_x) - ψ(m): symbols and numbers.

    m counts the points within the distance of the k-th neighbour of the same symbol, n_x all of
    that symbol; a symbol seen once tells nothing and is left out.
    """
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    shares = np.bincount(codes)[codes]
    use = shares > 1
    if not use.any():
        raise _check.invalid("x", "have a symbol that occurs twice", "none")
    codes, y, shares = codes[use], y[use], shares[use]
    far, reach = np.empty(y.size), np.empty(y.size, dtype=np.int64)
    for code in np.unique(codes):
        mine = np.flatnonzero(codes == code)
        k = min(neighbors, mine.size - 1)
        points = y[mine, None]
        far[mine] = cKDTree(points).query(points, [k + 1])[0][:, 0]
        reach[mine] = k
    found = digamma(y.size) + digamma(reach) - digamma(shares) - digamma(_within(y, far))
    return np.asarray(found)


def _scaled(x: Numbers) -> Numbers:
    spread = float(x.std())
    return x / spread if spread > 0 else x


def _within(x: Numbers, far: Numbers) -> NDArray[np.int64]:
    """Count the points strictly nearer than ``far`` along one axis, the point itself with them."""
    ordered = np.sort(x)
    # The neighbour at that distance must stay out though x ± far is rounded.
    far = np.maximum(0.0, far - 4 * np.spacing(np.abs(x) + far))
    low = np.searchsorted(ordered, x - far, side="left")
    high = np.searchsorted(ordered, x + far, side="right")
    return np.asarray(np.maximum(high - low, 1))
