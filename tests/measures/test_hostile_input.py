"""What a hostile user hands over: each result is right, or one sentence says what is wrong."""

import decimal
import math

import mpmath as mp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch

from xent import measures as m

P = np.array([[0.5, 0.5], [0.25, 0.75]])
JOINT = np.full((2, 2), 0.25)
HIDDEN = np.ma.array([0.25, 0.25, 0.5], mask=[0, 0, 1])
TRUE = np.ones((3, 2), dtype=bool)
TABLE = pl.DataFrame({"x": [1, 2], "y": [0, 1]})

REFUSED = [
    (lambda: m.entropy([[0.5], [0.5, 0.5]]), "`p` must be an array of real numbers, got a list"),
    (lambda: m.entropy(HIDDEN), "`p` must have no masked entries, got some. Pass where=~p.mask"),
    (lambda: m.kl_divergence(P, P, where=TRUE), "`where` must have a shape that broadcasts with"),
    (lambda: m.gini(P, where=[1, 0]), "`where` must be an array of booleans, got one of dtype int"),
    (lambda: m.gini(P, where="x"), "`where` must be an array of booleans, got one of dtype <U1."),
    (lambda: m.entropy(P, keepdims=1), "`keepdims` must be True or False, got 1."),
    (lambda: m.entropy(scipy.sparse.csr_array(P), keepdims="no"), "`keepdims` must be True or F"),
    (lambda: m.self_information(P, keepdims=None), "`keepdims` must be True or False, got None."),
    (lambda: m.entropy(torch.tensor(P).to_sparse()), "`p` must be a dense tensor that holds num"),
    (lambda: m.entropy(torch.empty(2, device="meta")), "`p` must be a dense tensor that holds nu"),
    (lambda: m.conditional_entropy(JOINT, given=2), "`given` must be an axis of `joint`, which h"),
    (lambda: m.conditional_entropy(JOINT, given=True), "`given` must be an integer or a tuple of"),
    (lambda: m.conditional_entropy(JOINT, given=(0, 0)), "`given` must name at least one axis, an"),
    (lambda: m.renyi_entropy(P, 10**400), "`alpha` must be a number that a float holds, got a"),
    (lambda: m.f_divergence(P, P, "alpha", alpha=5e-324), "`alpha` must be finite and neither 0"),
    (lambda: m.drift(TABLE, TABLE, bins=10**9), "`bins` must be at most 65,536, got 1000000000."),
    (
        lambda: m.drift(*[pl.DataFrame({"x": pl.Series([2**99], dtype=pl.Int128)})] * 2),
        "`reference['x']` must hold whole numbers of 64 bits, got 6338253",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED, ids=[s for _, s in REFUSED])
def test_refused(call, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(sentence)


def test_taken():
    assert m.entropy(np.ma.array([0.5, 0.5, 9], mask=[0, 0, 1]), where=[True, True, False]) == (
        m.entropy([0.5, 0.5])
    )
    assert m.gini(np.zeros((0, 3))).shape == (0,)
    assert m.self_information(np.zeros((0, 3))).shape == (0, 3)
    for far in (np.array([1e308, -1e308]), torch.tensor([1e308, -1e308], dtype=torch.float64)):
        assert m.entropy(m.Logits(far)) == 0
        assert m.kl_divergence(m.Logits(far), m.Logits(far)) == 0
    assert m.conditional_entropy(JOINT, given=np.int64(0), base=2) == 1


# ------------------------------------------------------------------ columns

ABA = [1, 2, 1]
KINDS = {
    "torch": torch.tensor(ABA),
    "with a gradient": torch.tensor([1.0, 2.0, 1.0], requires_grad=True),
    "bfloat16": torch.tensor(ABA, dtype=torch.bfloat16),
    "masked": np.ma.array([1, 2, 7, 1], mask=[0, 0, 1, 0]),
    "no mask": np.ma.array(ABA),
    "reversed": np.array(ABA)[::-1],
    "read-only": np.broadcast_to(np.array(ABA), 3),
    "MultiIndex": pd.MultiIndex.from_tuples([(1, 1), (2, 2), (1, 1)]),
    "generator": (i for i in ABA),
}


@pytest.mark.parametrize("kind", KINDS)
def test_symbols_of_any_array(kind):
    found = m.Counts.from_samples(KINDS[kind], missing="drop")
    assert found.values.tolist() == [2, 1]


def test_symbols_of_jax():
    jnp = pytest.importorskip("jax.numpy")
    assert m.Counts.from_samples(jnp.asarray(ABA)).symbols == ((1, 2),)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u8"])
def test_whole_numbers_as_far_apart_as_they_go(dtype):
    ends = np.iinfo(dtype).min, np.iinfo(dtype).max
    x = np.array([*ends, *ends, ends[1]], dtype=dtype)
    counts = m.Counts.from_samples(x, given=x)
    assert (counts.symbols, counts.values.tolist()) == ((ends, ends), [[2, 0], [0, 3]])


def test_masked_numbers_are_missing():
    x = np.ma.array([1.0, 2.0, 99.0, 4.0, 7.0], mask=[0, 0, 1, 0, 0])
    for method in ("normal", "vasicek", "kozachenko_leonenko"):
        found = m.estimate_entropy(x, method=method, missing="drop")
        assert found == m.estimate_entropy([1.0, 2.0, 4.0, 7.0], method=method)


NO_COLUMN = [
    ({"a": 5}, "`x` must be one column, got a dict."),
    ({1, 2}, "`x` must be one column, got a set."),
    (pd.DataFrame({"a": [1]}), "`x` must be one column, got a DataFrame."),
    (pl.DataFrame({"a": [1]}), "`x` must be one column, got a DataFrame."),
    (pa.table({"a": [1]}), "`x` must be one column, got a Table."),
    (scipy.sparse.eye_array(2), "`x` must be one column, got an array of shape (2, 2)."),
    (torch.tensor(1), "`x` must be one column, got an array of shape ()."),
    ([np.float32(1.5)], "`x` must be symbols, got real numbers."),
    ([math.inf, 1.0], "`x` must be symbols, got real numbers."),
    (np.array([math.inf, 1.0]), "`x` must be symbols, got real numbers."),
    ([decimal.Decimal("sNaN")], "`x` must hold hashable symbols, got a Decimal at [0]."),
    ([np.array([1, 2])], "`x` must hold hashable symbols, got an ndarray at [0]."),
]


@pytest.mark.parametrize(("x", "sentence"), NO_COLUMN, ids=range(len(NO_COLUMN)))
def test_no_column(x, sentence):
    for call in (m.Counts.from_samples, m.estimate_entropy):
        with pytest.raises((ValueError, TypeError)) as caught:
            call(x)
        assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ("ab", "`weights` must be one number for each of the 2 rows, got a str."),
        ([1j, 1], "`weights` must be one number for each of the 2 rows, got a list."),
        ([0, 0], "`weights` must have one above 0, got none."),
        ([1e308, 1e308], "`weights` must have a sum that a float holds, got a larger one."),
        (np.ma.array([1, 2], mask=[0, 1]), "`weights` must be finite and non-negative, got nan at"),
    ],
)
def test_no_weights(weights, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        m.Counts.from_samples("ab", weights=weights)
    assert str(caught.value).startswith(sentence)


# ------------------------------------------------------------------ orders near 0


@pytest.mark.parametrize("alpha", [1e-300, 1e-12, 1e-6, 0.1, 0.49])
@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_divergences_of_small_orders(alpha, kind):
    p, q = [0.5, 0.3, 0.2, 0.0], [0.2, 0.2, 0.6, 0.0]
    with mp.workdps(400):
        a = mp.mpf(alpha)
        total = sum(mp.mpf(x) ** a * mp.mpf(y) ** (1 - a) for x, y in zip(p, q, strict=True) if x)
        total /= mp.fsum(p) ** a * mp.fsum(q) ** (1 - a)
        renyi, named = mp.log(total) / (a - 1), (total - 1) / (a * (a - 1))
    p, q = (kind(v, dtype=None if kind is np.array else torch.float64) for v in (p, q))
    assert m.renyi_divergence(p, q, alpha) == pytest.approx(float(renyi), rel=1e-13, abs=0)
    found = m.f_divergence(p, q, "alpha", alpha=alpha)
    assert found == pytest.approx(float(named), rel=1e-13, abs=0)


def test_small_orders_where_one_excludes_the_other():
    p, q = [0.5, 0.5, 0.0], [0.5, 0.0, 0.5]
    assert m.renyi_divergence(p, q, 0.25) == pytest.approx(math.log(2) / 0.75)
    assert m.renyi_divergence([1.0, 0.0], [0.0, 1.0], 0.25) == math.inf
    assert m.f_divergence([1.0, 0.0], [0.0, 1.0], "alpha", alpha=0.25) == pytest.approx(16 / 3)


def test_a_class_derived_from_a_view_is_that_view():
    class Visits(m.Counts):
        pass

    assert m.entropy(Visits([1, 1, 2]), base=2) == 1.5
    assert m.kl_divergence(Visits([1, 1]), Visits([5, 5])) == 0


@pytest.mark.parametrize("kind", [list, np.array, tuple])
def test_a_distribution_of_no_weight_says_nothing(kind):
    p, q, r = [1.0, 0.0], [0.0, 1.0], m.Counts([0, 2])
    assert m.js_divergence(p, q, weights=kind([1.0, 0.0])) == 0
    assert m.js_divergence(p, q, r, weights=kind([0.5, 0.5, 0.0]), base=2) == 1
    assert m.js_divergence(p, q, r, weights=kind([0.5, 0.25, 0.25]), base=2) == 1
    with pytest.raises(ValueError, match=r"non-negative, got -0\.5 at"):
        m.js_divergence(p, q, weights=kind([1.5, -0.5]))


def test_arrays_beside_tensors():
    tensor, truth = torch.tensor(P), m.kl_divergence(P, P[::-1].copy())
    for p, q in ((tensor, P[::-1]), (P, tensor.flip(0)), (P.tolist(), m.Counts(tensor.flip(0)))):
        found = m.kl_divergence(p, np.ascontiguousarray(q) if isinstance(q, np.ndarray) else q)
        np.testing.assert_allclose(found, truth, rtol=1e-14)


def test_types_that_numpy_lacks():
    eighth = torch.tensor([0.5, 0.5]).to(torch.float8_e4m3fn)
    assert m.entropy(eighth) == pytest.approx(math.log(2))
    jnp = pytest.importorskip("jax.numpy")
    for top in (3e38, 1e-37):
        assert m.entropy(m.Counts(jnp.asarray([top, top]))) == pytest.approx(math.log(2))
