"""Several columns given, and symbols that are counted already."""

from collections import Counter
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from xent.measures import (
    Counts,
    conditional_mutual_information,
    estimate_cross_entropy,
    estimate_entropy,
    estimate_kl_divergence,
    estimate_mutual_information,
    rank_features,
)

RNG = np.random.default_rng(0)
X, Y, A, B = RNG.integers(0, 3, (4, 600))
X = (X + A) % 3
SEVERAL = {
    "list": [A, B],
    "lists": [A.tolist(), B.tolist()],
    "tuple": (pd.Series(A), pl.Series(B)),
    "dict": {"a": A, "b": B},
    "array": np.column_stack([A, B]),
    "pandas": pd.DataFrame({"a": A, "b": B}),
    "polars": pl.DataFrame({"a": A, "b": B}),
    "arrow": pa.table({"a": A, "b": B}),
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_several_columns_are_the_column_of_their_tuples(kind):
    given, pairs = SEVERAL[kind], list(zip(A.tolist(), B.tolist(), strict=True))
    for method in ("plugin", "chao_shen"):
        one = estimate_entropy(X, given=given, method=method)
        assert_allclose(one.value, estimate_entropy(X, given=pairs, method=method).value)
        found = estimate_mutual_information(X, Y, given=given, method=method)
        assert_allclose(
            found.value, estimate_mutual_information(X, Y, given=pairs, method=method).value
        )
        assert found.standard_error > 0
    joint = np.zeros((3, 3, 9))
    np.add.at(joint, (X, Y, A * 3 + B), 1 / 600)
    found = estimate_mutual_information(X, Y, given=given, permutations=40, rng=0)
    assert_allclose(found.value, conditional_mutual_information(joint))
    assert found.p_value > 0.05
    assert abs(found.adjusted) < 0.1
    for method, options in (("ksg", {}), ("ksg", {"neighbors": 5})):
        real = estimate_mutual_information(X, Y, given=given, method=method, **options)
        plain = np.column_stack([A, B])
        again = estimate_mutual_information(X, Y, given=plain, method=method, **options)
        assert real.value == again.value


def test_permutations_stay_within_what_is_given():
    """Where the given columns fix y nothing is left to shuffle."""
    y = A * 3 + B
    found = estimate_mutual_information(X, y, given=[A, B], permutations=9, rng=0)
    assert (found.value, found.adjusted, found.p_value) == (0.0, 0.0, 1.0)


def test_missing_entries_of_any_column():
    gaps = [None if i == 7 else int(b) for i, b in enumerate(B)]
    with pytest.raises(
        ValueError, match=r"must have a symbol in every row, got a missing one at \[7"
    ):
        estimate_entropy(X, given=[A, gaps])
    assert estimate_entropy(X, given=[A, gaps], missing="drop").n == 599
    with pytest.raises(ValueError, match=r"`given\[1\]` must have the 600 rows of `x`, got 3"):
        estimate_entropy(X, given=[A, [1, 2, 3]])
    with pytest.raises(ValueError, match="`given` must have at least one column, got none"):
        estimate_entropy(X, given={})


def test_a_counter_stands_for_its_rows():
    x = Counter("abracadabra")
    for method in ("plugin", "miller_madow", "chao_shen"):
        expected = estimate_entropy("abracadabra", method=method)
        assert estimate_entropy(x, method=method) == expected
        assert estimate_entropy(Counts.from_samples("abracadabra"), method=method) == expected
        assert estimate_entropy(Counts([5, 2, 2, 1, 1, 0]), method=method).value == expected.value
    y = Counter("cabbage")
    for f in (estimate_kl_divergence, estimate_cross_entropy):
        expected = f("abracadabra", "cabbage", method="zhang_grabchak")
        assert_allclose(f(x, y, method="zhang_grabchak").value, expected.value)
        assert_allclose(f(x, "cabbage", method="zhang_grabchak").value, expected.value)


REFUSED = [
    (lambda: estimate_entropy({"a": 0.5, "b": 0.5}), "`x` must be one column, got a dict. For symbols that are counted already pass a Counter."),
    (lambda: estimate_entropy(Counter(a=-1)), "`x` must count rows: whole numbers from 0 on"),
    (lambda: estimate_entropy(Counts([0.5, 0.5])), "`x` must count rows: whole numbers from 0 on"),
    (lambda: estimate_entropy(Counter()), "`x` must count rows: whole numbers from 0 on"),
    (lambda: estimate_entropy(Counts([[1, 2]])), "`x` must have one axis, got shape (1, 2)."),
    (lambda: estimate_mutual_information(Counter("aab"), [1, 2, 3]), "`x` must be one column, got a Counter"),
    (lambda: estimate_entropy("aab", base=None), "`base` must be a number, got None. Leave it out for nats; 2 is bits."),
    (lambda: rank_features(pd.DataFrame({"a": [1, 2]}), pd.Series([0, 1])), "`target` must be the name of a column, got a Series. Make the classes a column"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "sentence"), REFUSED, ids=[s for _, s in REFUSED])
def test_refused(call, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(sentence)


def test_decimals_are_symbols_where_symbols_are_meant():
    x = [Decimal("0.10"), Decimal("0.1"), Decimal("0.2"), Decimal("NaN")]
    assert estimate_entropy(x[:3], base=2).value == pytest.approx(0.9183, abs=1e-4)
    assert estimate_entropy(x, missing="drop").n == 3


def test_posterior_means_of_other_libraries():
    """R's entropy.Dirichlet and infomeasure's "bayes": entropy of (n + a) / (N + K a), by hand."""
    from xent.measures import entropy

    n, a = np.array([4, 2, 3, 0, 1]), 0.5
    p = [(k + a) / 12.5 for k in n]
    assert_allclose(entropy(Counts(n + a)), -sum(q * np.log(q) for q in p), rtol=1e-14)
    ours = estimate_entropy(Counts(n), method="dirichlet", size=5, prior="jeffreys")
    assert ours.value < entropy(Counts(n + a)) - 0.1
