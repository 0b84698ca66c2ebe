"""Samples of as few rows as an estimate takes, and of one less."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from xent import measures as m


@pytest.mark.parametrize("method", ["vasicek", "ebrahimi", "van_es"])
def test_the_window_of_a_few_numbers_is_below_half_of_them(method):
    """Vasicek (1976): m < n / 2; here the root of n, rounded, where that is less."""
    x = [0.0, 1.0, 3.5, 4.25, 9.0, 9.75, 20.0, 22.0, 31.0]
    for n in range(3, len(x) + 1):
        m_ = max(k for k in range(1, n) if 2 * k < n and k <= math.sqrt(n) + 0.5)
        ends = [(x[max(i - m_, 0)], x[min(i + m_, n - 1)], i + 1) for i in range(n)]
        if method == "vasicek":
            terms = [math.log(n / (2 * m_) * (b - a)) for a, b, _ in ends]
        elif method == "ebrahimi":
            edge = [min(i, n + 1 - i) for _, _, i in ends]
            c = [1 + (e - 1) / m_ if e <= m_ else 2.0 for e in edge]
            terms = [math.log(n / (k * m_) * (b - a)) for k, (a, b, _) in zip(c, ends, strict=True)]
        else:
            terms = [math.log((n + 1) / m_ * (x[i + m_] - x[i])) for i in range(n - m_)]
            more = sum(1 / k for k in range(m_, n + 1)) + math.log(m_) - math.log(n + 1)
            terms = [t + more for t in terms]
        found = m.estimate_entropy(x[:n], method=method)
        assert_allclose(found.value, np.mean(terms), rtol=1e-12, err_msg=f"{n} numbers")


@pytest.mark.parametrize("method", ["ksg", "ksg2", "ross"])
def test_neighbours_take_one_row_more_than_they_are(method):
    """Of the rows that are left, where some are dropped."""
    y = np.array([0.5, 2.0, 1.0, 4.5, np.nan, 3.0])
    x = np.array([0, 1, 0, 1, 0, 1]) if method == "ross" else np.array([1.0, 3, 2, 9, 0, 5])
    o = {"method": method, "missing": "drop"}
    for neighbors, fine in ((3, True), (4, True), (5, False)):
        if fine:
            found = m.estimate_mutual_information(x, y, neighbors=neighbors, **o)
            assert found.n == 5
        else:
            with pytest.raises(ValueError, match=r"have (more than 5|at least 6) rows"):
                m.estimate_mutual_information(x, y, neighbors=neighbors, **o)


@pytest.mark.parametrize("estimate", [m.estimate_kl_divergence, m.estimate_cross_entropy])
def test_rows_that_neighbours_of_two_samples_take(estimate):
    """One more of x than there are neighbours, since a row is none of its own; as many of y."""
    x, y = [0.0, 1.0, 2.5, 4.5, 7.5], [0.25, 1.75, 3.0, 6.0]
    for k in (1, 2, 3):
        o = {"method": "nearest_neighbors", "neighbors": k}
        assert estimate(x[: k + 1], y[:k], **o).n == k + 1
        with pytest.raises(ValueError, match=f"`x` must have at least {k + 1} rows, got {k}"):
            estimate(x[:k], y, **o)
        if k > 1:
            with pytest.raises(ValueError, match=f"`y` must have at least {k} rows, got {k - 1}"):
                estimate(x, y[: k - 1], **o)
