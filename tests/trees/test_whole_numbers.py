"""Whole numbers past 2**53: kept apart, or refused where two of them are one float64."""

from decimal import Decimal
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from xent.trees import TreeClassifier, TreeRegressor

BIG = 2**53
Y = [0, 1, 0, 1]
SENTENCE = "`X` must hold numbers that differ as float64, got {} and {} in column {!r}. Subtract"


def tree(**options):
    return TreeClassifier(**{"pruning": None, "min_samples_leaf": 1, **options})


FORMS = {
    "array": lambda v: np.array(v)[:, None],
    "list": lambda v: [[a] for a in v],
    "list with a fraction": lambda v: [[a, 0.5] for a in v],
    "objects": lambda v: np.array([[a, None] for a in v], object),
    "names": lambda v: np.array([[a, "b"] for a in v], object),
    "csr": lambda v: sparse.csr_array(np.array(v)[:, None]),
    "pandas": lambda v: pd.DataFrame({"id": v}),
    "nullable": lambda v: pd.DataFrame({"id": pd.array(v, "Int64" if v[0] < 2**62 else "UInt64")}),
    "polars": lambda v: pl.DataFrame({"id": v}),
    "arrow": lambda v: pa.table({"id": pa.array(v, pa.uint64() if v[0] > 0 else pa.int64())}),
}


@pytest.mark.parametrize("splitter", ["auto", "histogram"])
@pytest.mark.parametrize("form", FORMS)
def test_two_that_become_one_are_refused(form, splitter):
    for low in (BIG, -BIG - 1, 2**63):
        with pytest.raises(ValueError) as caught:
            tree(splitter=splitter).fit(FORMS[form]([low, low + 1] * 2), Y)
        column = "id" if form in ("pandas", "nullable", "polars", "arrow") else 0
        assert str(caught.value).startswith(SENTENCE.format(low, low + 1, column))


@pytest.mark.parametrize("splitter", ["auto", "histogram"])
@pytest.mark.parametrize("form", FORMS)
def test_what_stays_apart_is_taken(form, splitter):
    # All but the first pair are rounded; they keep their order.
    for pair in ((BIG - 1, BIG), (BIG + 1, BIG + 5), (2**63 + 1025, 2**63 + 5000)):
        X = FORMS[form](list(pair) * 2)
        assert tree(splitter=splitter).fit(X, Y).predict(X).tolist() == Y


def test_a_number_beyond_all_floats():
    for X in ([[10**400], [1], [2], [3]], np.array([[10**400, "a"], *[[1, "b"]] * 3], object)):
        with pytest.raises(ValueError, match="`X` must be finite or missing, got a whole number"):
            tree().fit(X, Y)
    fitted = tree().fit([[1], [2], [1], [2]], Y)
    with pytest.raises(ValueError, match="`X` must be finite or missing, got a whole number"):
        fitted.predict([[10**400]])


def test_decimals():
    near = pl.DataFrame({"a": [Decimal("1.00000000000000000001"), Decimal(1)] * 2})
    with pytest.raises(ValueError, match="numbers that differ as float64"):
        TreeRegressor().fit(near, Y)
    apart = pl.DataFrame({"a": [Decimal("1.1"), Decimal("1.2")] * 2})
    assert tree().fit(apart, Y).predict(apart).tolist() == Y


@pytest.mark.parametrize("cuts", [[0, 4], [0, 1, 4], [0, 1, 2, 3, 4]])
def test_wherever_batches_are_cut(cuts):
    whole = pl.DataFrame({"id": [BIG, BIG + 1] * 2, "y": Y})

    for kinds in ([pl.Int64], [pl.Int64, pl.UInt64]):

        def batches(kinds=kinds):
            for i, (a, b) in enumerate(pairwise(cuts)):
                yield whole[a:b].with_columns(pl.col("id").cast(kinds[i % len(kinds)]))

        with pytest.raises(ValueError) as caught:
            tree(splitter="histogram").fit(batches, "y")
        assert str(caught.value).startswith(SENTENCE.format(BIG, BIG + 1, "id"))


def test_a_histogram_joins_neighbours_anyway():
    ids = np.append(np.random.default_rng(0).integers(0, 2**62, 998), [2**61, 2**61 + 1])
    y = np.arange(1000) % 2
    with pytest.raises(ValueError, match="got 2305843009213693952 and 2305843009213693953 in"):
        tree().fit(ids[:, None], y)
    frame = pl.DataFrame({"id": ids, "y": y})
    inside = tree(splitter="histogram").fit(frame.select("id"), y)
    streamed = tree(splitter="histogram").fit(lambda: frame.iter_slices(77), "y")
    assert inside.to_text() == streamed.to_text()
