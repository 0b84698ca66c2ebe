"""Total correlation: what several variables tell about each other."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose

from xent import measures as m
from xent.measures import Counts, Logits, total_correlation


def by_entropies(p):
    """Σ H(X_i) - H(X), by loops."""

    def entropy(q):
        q = q[q > 0]
        return -(q * np.log(q)).sum()

    axes = range(p.ndim)
    marginals = [p.sum(tuple(a for a in axes if a != i)) for i in axes]
    return sum(map(entropy, marginals)) - entropy(p.ravel())


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 1, 3), (2, 2, 2, 3)])
def test_total_correlation(shape):
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, shape)
    p = counts / counts.sum()
    exact = by_entropies(p)
    assert_allclose(total_correlation(p), exact, rtol=1e-12)
    assert_allclose(total_correlation(Counts(counts), base=2), exact / np.log(2), rtol=1e-12)
    assert_allclose(total_correlation(torch.tensor(p)), exact, rtol=1e-12)
    with np.errstate(divide="ignore"):
        assert_allclose(total_correlation(Logits(np.log(p))), exact, rtol=1e-12)
    batch = np.stack([p, p[::-1]])
    axes = tuple(range(1, p.ndim + 1))
    found = total_correlation(batch, axis=axes, keepdims=True)
    assert found.shape == (2,) + (1,) * p.ndim
    assert_allclose(found.ravel(), [exact, by_entropies(p[::-1])], rtol=1e-12)
    cells = {index: int(n) for index, n in np.ndenumerate(counts)}
    assert_allclose(total_correlation(Counter(cells)), exact, rtol=1e-12)


def test_two_variables_are_mutual_information():
    counts = np.random.default_rng(1).integers(0, 5, (6, 7))
    exact = m.mutual_information(Counts(counts))
    assert_allclose(total_correlation(Counts(scipy.sparse.csr_array(counts))), exact, rtol=1e-12)
    assert_allclose(total_correlation(Counts(pd.DataFrame(counts))), exact, rtol=1e-12)


def test_three_columns():
    frame = pd.DataFrame({"x": list("abab"), "y": list("abab"), "z": list("abab")})
    assert_allclose(total_correlation(Counts(frame.value_counts()), base=2), 2)
    # Independent variables near the limit of floats.
    small = np.einsum("i,j,k", [1e-160, 1.0], [1e-160, 1.0], [1e-160, 1.0])
    assert total_correlation(Counts(small)) < 1e-15
    with pytest.raises(ValueError, match="`axis` must name at least 2 axes"):
        total_correlation([0.5, 0.5])
    with pytest.raises(TypeError, match="estimate_mutual_information"):
        total_correlation([0, 1], [1, 0])
