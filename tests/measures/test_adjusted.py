"""Mutual information adjusted for chance: scikit-learn's, and every table with the same margins."""

import math
from collections import Counter
from fractions import Fraction
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.testing import assert_allclose
from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score

from xent.measures import Counts, adjusted_mutual_information, normalized_mutual_information
from xent.measures.discrete._adjusted import expected_information

AVERAGES = ("arithmetic", "geometric", "min", "max")


def counted(x, y):
    return Counts.from_samples(x, given=y)


@pytest.mark.parametrize("average", AVERAGES)
def test_it_is_that_of_scikit_learn(average):
    rng = np.random.default_rng(0)
    for n, kinds in ((5, 3), (60, 4), (400, 90), (3000, 12)):
        x = rng.integers(0, kinds, n)
        y = np.where(rng.random(n) < 0.5, x, rng.integers(0, 1 + kinds // 2, n))
        theirs = adjusted_mutual_info_score(x, y, average_method=average)
        assert_allclose(
            adjusted_mutual_information(counted(x, y), average=average), theirs, atol=1e-9
        )


def test_chance_is_the_mean_over_all_shuffles():
    x, y = [0, 0, 0, 1, 1, 2], [0, 1, 1, 2, 2, 2]
    every = [mutual_info_score(x, shuffled) for shuffled in permutations(y)]
    found = expected_information(np.array([3.0, 2.0, 1.0]), np.array([1.0, 2.0, 3.0]))
    assert_allclose(found, math.fsum(every) / len(every), rtol=1e-13)


def test_chance_of_large_margins_by_exact_fractions():
    a, b, n = 700, 45, 1000
    share = Fraction(0)
    value = 0.0
    for k in range(b + 1):
        p = Fraction(math.comb(a, k) * math.comb(n - a, b - k), math.comb(n, b))
        share += p
        value += float(p) * (k / n * math.log(n * k / (a * b)) if k else 0.0)
        left = b - k
        value += float(p) * (left / n * math.log(n * left / ((n - a) * b)) if left else 0.0)
        other, rest = a - k, n - a - b + k
        value += float(p) * other / n * math.log(n * other / (a * (n - b)))
        value += float(p) * rest / n * math.log(n * rest / ((n - a) * (n - b)))
    assert share == 1
    found = expected_information(np.array([700.0, 300.0]), np.array([45.0, 955.0]))
    assert_allclose(found, value, rtol=1e-10)


def test_independent_labels_of_any_number_agree_by_nothing():
    rng = np.random.default_rng(1)
    for kinds in (2, 50, 1000):
        x, y = rng.integers(0, kinds, (2, 2000))
        assert abs(adjusted_mutual_information(counted(x, y))) < 0.01
    assert normalized_mutual_information(counted(x, y)) > 0.8


def test_ends():
    one, ids = [7, 7, 7, 7], [1, 2, 3, 4]
    pairs = [0, 0, 1, 1]
    assert adjusted_mutual_information(counted(one, one)) == 1  # as scikit-learn
    assert normalized_mutual_information(counted(one, one)) == 0  # 0 / 0: not as scikit-learn
    assert adjusted_mutual_information(counted(ids, ids[::-1])) == 1
    assert_allclose(adjusted_mutual_information(counted(pairs, pairs)), 1)
    for average in AVERAGES:
        assert adjusted_mutual_information(counted(one, pairs), average=average) == 0
        assert abs(adjusted_mutual_information(counted(ids, pairs), average=average)) < 1e-12


def test_kinds_of_tables():
    table = np.array([[5, 2, 0], [0, 3, 0], [1, 0, 0], [0, 0, 0]])
    expected = adjusted_mutual_information(Counts(table))
    for made in (
        table.tolist(),
        table * 1.0,
        scipy.sparse.csr_array(table),
        table.astype(np.uint8),
    ):
        assert_allclose(adjusted_mutual_information(Counts(made)), expected, rtol=1e-12)
    assert_allclose(adjusted_mutual_information(Counts(table.T)), expected, rtol=1e-12)
    rows = [(i, j) for (i, j), n in np.ndenumerate(table) for _ in range(n)]
    frame = pd.DataFrame(rows, columns=["x", "y"])
    for made in (
        Counter(rows),
        Counts(frame.value_counts()),
        Counts(pd.crosstab(frame.x, frame.y)),
    ):
        assert_allclose(adjusted_mutual_information(made), expected, rtol=1e-12)
    with pytest.raises(TypeError, match="`joint` must be one joint distribution, got 2 arguments"):
        adjusted_mutual_information([0, 1], [0, 1])


REFUSED = [
    (
        [[0.5, 0.5]],
        "arithmetic",
        TypeError,
        "`joint` must be Counts, got a list. Pass Counts.from_",
    ),
    (
        Counts([[1.5, 2]]),
        "min",
        ValueError,
        "`joint` must hold whole numbers, got 1.5. What chance",
    ),
    (Counts([1, 2]), "min", ValueError, "`joint` must have two axes, got shape (2,)."),
    (Counts([[1, -2]]), "min", ValueError, "`joint` must be non-negative"),
    (Counts([[1, 2]]), "mean", ValueError, "`average` must be 'arithmetic', 'geometric', 'min' or"),
]


@pytest.mark.parametrize(("joint", "average", "kind", "sentence"), REFUSED)
def test_refused(joint, average, kind, sentence):
    with pytest.raises(kind) as caught:
        adjusted_mutual_information(joint, average=average)
    assert str(caught.value).startswith(sentence)
