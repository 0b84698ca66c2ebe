"""scipy.sparse matrices against the same matrices in full, and tables too wide to be written out."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import mutual_info_score

from xent import measures as m
from xent.measures import Counts
from xent.measures.rows import _sparse

RNG = np.random.default_rng(0)
WIDE = 300


def matrices(rows=40):
    rng = np.random.default_rng(1)
    p = rng.random((rows, WIDE)) * (rng.random((rows, WIDE)) < 0.05)
    p[:, 0] += 0.01
    q = np.where(rng.random((rows, WIDE)) < 0.9, p, 0) + (rng.random((rows, WIDE)) < 0.02)
    return p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)


P, Q = matrices()
ONE = [
    m.entropy,
    m.gini,
    m.perplexity,
    lambda p, **k: m.renyi_entropy(p, 0.5, **k),
    lambda p, **k: m.renyi_entropy(p, 0, **k),
    lambda p, **k: m.tsallis_entropy(p, 2, **k),
]
TWO = [
    m.cross_entropy,
    m.kl_divergence,
    m.js_divergence,
    m.js_distance,
    m.perplexity,
    lambda p, q, **k: m.js_divergence(p, q, weights=[0.3, 0.7], **k),
    lambda p, q, **k: m.renyi_divergence(p, q, 0.5, **k),
    lambda p, q, **k: m.renyi_divergence(p, q, alpha=2, **k),
    lambda p, q, **k: m.renyi_divergence(p, q, 0, **k),
    lambda p, q, **k: m.f_divergence(p, q, "total_variation", **k),
    lambda p, q, **k: m.f_divergence(p, q, "squared_hellinger", **k),
    lambda p, q, **k: m.f_divergence(p, q, "chi_square", **k),
    lambda p, q, **k: m.f_divergence(p, q, "alpha", alpha=0.3, **k),
]


@pytest.fixture(params=[1 << 20, 500], ids=["one block", "blocks"])
def blocks(request, monkeypatch):
    monkeypatch.setattr(_sparse, "DENSE_BLOCK", request.param)


@pytest.mark.parametrize("number", range(len(ONE)))
@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_matrix, sp.coo_array])
def test_one_distribution_a_row(blocks, number, kind):
    measure = ONE[number]
    assert_allclose(measure(kind(P)), measure(P), rtol=1e-13, atol=1e-15)
    assert_allclose(measure(kind(P.T), axis=0), measure(P), rtol=1e-13, atol=1e-15)
    counts = np.rint(P * 1000)
    assert_allclose(measure(Counts(kind(counts))), measure(Counts(counts)), rtol=1e-13)
    assert measure(kind(P), keepdims=True).shape == (len(P), 1)
    assert measure(kind(P.T), axis=0, keepdims=True).shape == (1, len(P))


@pytest.mark.parametrize("number", range(len(TWO)))
def test_two_distributions_a_row(blocks, number):
    measure = TWO[number]
    mixed = 0.9 * P + 0.1 * Q  # allows all that p does
    for q in (Q, mixed):
        expected = measure(P, q)
        for one in (sp.csr_array(P), P):
            for other in (sp.csr_array(q), q):
                assert_allclose(measure(one, other), expected, rtol=1e-11, atol=1e-14)
    flat = np.full(WIDE, 1 / WIDE)
    assert_allclose(measure(sp.csr_array(P), flat), measure(P, flat), rtol=1e-11)
    assert_allclose(measure(sp.csr_array(P), q=sp.coo_array(flat)), measure(P, flat), rtol=1e-11)
    single = sp.csr_array(P[:1])
    assert_allclose(measure(single, sp.csr_array(mixed)), measure(P[:1], mixed), rtol=1e-11)


def test_near_equal_rows_lose_nothing_to_the_outcomes_beside():
    size = 5000
    q = RNG.dirichlet(np.ones(size))
    p = q * (1 + 1e-6 * RNG.standard_normal(size))
    p /= p.sum()
    p[2000:] = 0
    p[0] += 1 - p.sum()
    q[2000:] *= 1e-12
    q[1] += 1 - q.sum()
    assert_allclose(m.kl_divergence(sp.csr_array(p[None]), q)[0], m.kl_divergence(p, q), rtol=1e-13)


def test_more_than_two():
    parts = [sp.csr_array(x) for x in (P, Q, (P + Q) / 2)]
    expected = m.js_divergence(P, Q, (P + Q) / 2, base=2)
    assert_allclose(m.js_divergence(*parts, base=2), expected, rtol=1e-11)
    assert_allclose(m.js_divergence(parts[0], parts[1], (P + Q) / 2, base=2), expected, rtol=1e-11)


def test_all_of_a_matrix_and_a_single_row():
    joint = RNG.integers(0, 5, (30, 40)) * (RNG.random((30, 40)) < 0.2)
    assert_allclose(
        m.entropy(Counts(sp.csr_array(joint)), axis=(0, 1)), m.entropy(Counts(joint.ravel()))
    )
    found = m.entropy(sp.coo_array(P[0]))
    assert isinstance(found, float)
    assert_allclose(found, m.entropy(P[0]))


DENSE = {
    "self_information",  # that of an outcome that is not there is infinite
    "conditional_mutual_information",  # of three variables, and a matrix has two
}


@pytest.mark.parametrize("number", range(len(ONE) + len(TWO)))
def test_only_outcomes_that_count(number):
    measure = [*ONE, *TWO][number]
    given = [P] if number < len(ONE) else [P, 0.9 * P + 0.1 * Q]
    columns = np.arange(WIDE) % 3 != 1
    cells = RNG.random(P.shape) < 0.8
    cells[:, 0] = True
    for where in (columns, cells):
        counted = [np.where(where, np.rint(1000 * x + (x > 0)), math.nan) for x in given]
        expected = measure(*map(Counts, counted), where=where)
        full = [np.where(where, c, 7) for c in counted]  # what does not count may be anything
        sparse = [
            Counts(sp.csr_array(np.where(x > 0, f, 0))) for x, f in zip(given, full, strict=True)
        ]
        assert_allclose(measure(*sparse, where=where), expected, rtol=1e-11, atol=1e-13)
        found = measure(*map(_turned, sparse), axis=0, where=where.T.reshape(WIDE, -1))
        assert_allclose(found, expected, rtol=1e-11, atol=1e-13)
        if len(given) == 2:
            found = measure(sparse[0], Counts(counted[1]), where=where)
            assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def _turned(counts):
    return Counts(counts.values.T)


def test_what_takes_a_matrix_says_so():
    """Each function named here is held against its dense self in this file."""
    takes = {n for n in m.__all__ if {"p", "joint"} & set(getattr(m, n).__annotations__)}
    says = {n for n in takes if "scipy.sparse" in (getattr(m, n).__doc__ or "")}
    unsaid = sorted(says ^ (takes - DENSE))
    assert not unsaid, (
        f"{unsaid[0]}: its docstring says that it takes scipy.sparse, and it stands in ONE, TWO or "
        "JOINT of tests/measures/test_sparse.py; or its name stands in DENSE there"
    )


JOINT = [
    m.mutual_information,
    m.variation_of_information,
    m.information_gain,
    m.gain_ratio,
    m.symmetric_uncertainty,
    m.normalized_mutual_information,
    lambda j, **k: m.normalized_mutual_information(j, average="joint", **k),
    lambda j, **k: m.conditional_entropy(j, given=-1, **k),
    lambda j, **k: m.conditional_entropy(j, given=0, **k),
]


@pytest.mark.parametrize("number", range(len(JOINT)))
def test_joint_tables(number):
    joint = RNG.integers(0, 9, (30, 20)) * (RNG.random((30, 20)) < 0.4)
    measure = JOINT[number]
    assert_allclose(measure(Counts(sp.csr_array(joint))), measure(Counts(joint)), rtol=1e-12)
    share = joint / joint.sum()
    assert_allclose(measure(sp.csc_array(share)), measure(share), rtol=1e-12)
    axis = (1, 0)
    if number < len(JOINT) - 2:
        expected = measure(Counts(joint), axis=axis)
        assert_allclose(measure(Counts(sp.coo_array(joint)), axis=axis), expected, rtol=1e-12)
    assert measure(Counts(sp.csr_array(joint)), keepdims=True).shape == (1, 1)
    for where in (np.arange(20) != 7, RNG.random((30, 20)) < 0.8):
        expected = measure(Counts(joint), where=where)
        assert_allclose(measure(Counts(sp.csr_array(joint)), where=where), expected, rtol=1e-12)


def test_a_table_too_wide_to_be_written_out():
    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 20_000, 30_000), rng.integers(0, 5000, 30_000)
    y = np.where(rng.random(30_000) < 0.5, x % 5000, y)
    whole = Counts.from_samples(x, given=y)
    assert sp.issparse(whole.values)
    assert whole.values.sum() == 30_000
    assert whole.values.dtype == np.int64
    assert_allclose(m.mutual_information(whole), mutual_info_score(x, y), rtol=1e-12)
    parts = [
        Counts.from_samples(x[a:b], given=y[a:b])
        for a, b in ((0, 100), (100, 9000), (9000, 30_000))
    ]
    assert isinstance(parts[0].values, np.ndarray)
    merged = parts[0] + parts[1] + parts[2]
    assert merged.symbols == whole.symbols
    assert (merged.values != whole.values).nnz == 0
    weighted = Counts.from_samples(x, given=y, weights=np.full(30_000, 0.5))
    assert_allclose(m.mutual_information(weighted), m.mutual_information(whole), rtol=1e-12)
    words = Counts.from_samples([f"x{i}" for i in x], given=[f"y{i}" for i in y])
    assert_allclose(m.mutual_information(words), m.mutual_information(whole), rtol=1e-12)


def test_a_sparse_matrix_is_left_as_it_was():
    given = sp.csr_array(
        (np.array([0.25, 0.5, 0.25]), np.array([3, 1, 3]), np.array([0, 3])), shape=(1, 5)
    )
    assert_allclose(m.entropy(given), math.log(2))
    assert_array_equal(given.indices, [3, 1, 3])


def test_self_information_keeps_its_axes():
    p = np.random.default_rng(3).dirichlet(np.ones(12), 5).reshape(5, 3, 4)
    assert_allclose(m.self_information(p, axis=(1, 2), keepdims=True), -np.log(p))
    assert m.self_information(p, axis=(1, 2)).shape == (5, 12)
    turned = np.moveaxis(p, 0, -1)
    assert_allclose(m.self_information(turned, axis=(1, 0), keepdims=True), -np.log(turned))
    assert_allclose(m.self_information(p[:, 0] / p[:, 0].sum(0), axis=0, keepdims=True),
                    -np.log(p[:, 0] / p[:, 0].sum(0)))  # fmt: skip


BAD = sp.csr_array(np.array([[0.5, 0.5, 0], [0, 0.5, 0.4]]))
REFUSALS = [
    (
        lambda: m.entropy(BAD),
        "`p` must sum to 1 along axis -1, got 0.9 at row 1. For counts pass Counts(p).",
    ),
    (
        lambda: m.kl_divergence(P[:2, :3] / P[:2, :3].sum(1, keepdims=True), BAD),
        "`q` must sum to 1 along axis -1, got 0.9 at row 1. For counts pass Counts(q).",
    ),
    (lambda: m.entropy(BAD * -1.0), "`p` must be non-negative, got -0.5 at [0, 0]."),
    (lambda: m.entropy(Counts(BAD * math.nan)), "`p` must be finite, got nan at [0, 0]."),
    (
        lambda: m.entropy(Counts(sp.csr_array((2, 3)))),
        "`p` must count something in every row, got none at row 0.",
    ),
    (
        lambda: m.entropy(m.Logits(BAD)),
        "`p` must be probabilities or Counts where one of the distributions is sparse, got Logits.",
    ),
    (
        lambda: m.cross_entropy(sp.csr_array(P), Q[:, 1:]),
        "`q` must have the 300 outcomes of `p` along axis -1, got 299.",
    ),
    (
        lambda: m.cross_entropy(sp.csr_array(P), sp.csr_array(Q[:3])),
        "`q` must have 40 distributions, or one, got 3.",
    ),
    (
        lambda: m.cross_entropy(sp.csr_array(P), Q * 2),
        "`q` must sum to 1 along axis -1, got 2 at row 0. For counts pass Counts(q).",
    ),
    (
        lambda: m.entropy(sp.csr_array(P), where=np.ones((2, *P.shape), bool)),
        "`where` must have a shape that broadcasts to that of the sparse `p`, (40, 300), "
        "got (2, 40, 300).",
    ),
    (
        lambda: m.js_divergence(sp.csr_array(P), Q, Q),
        "A sparse distribution: more than one of the others is dense, or one row for all. "
        "Make them sparse, of as many rows.",
    ),
    (
        lambda: m.self_information(sp.csr_array(P)),
        "Self-information: that of a 0 is infinite. Pass a dense array.",
    ),
    (
        lambda: m.conditional_mutual_information(Counts(sp.csr_array(P))),
        "`joint` must be a dense array, of three variables, got a sparse one. "
        "Convert it with .toarray() first.",
    ),
    (
        lambda: m.mutual_information(BAD),
        "`joint` must sum to 1 along axis (-2, -1), got 1.9 at row 0. For counts pass Counts(joint).",
    ),
]


@pytest.mark.parametrize("case", range(len(REFUSALS)))
def test_refusals(case):
    call, sentence = REFUSALS[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value) == sentence


def test_sums_beyond_floats_and_no_rows_at_all():
    few = sp.csr_array(np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]))
    found = m.kl_divergence(Counts(few), Counts(np.full((1, 3), 1e308)))
    assert_allclose(found, [math.log(1.5), 0], atol=1e-15)
    assert m.entropy(sp.csr_array((0, 4))).shape == (0,)
    assert m.entropy(Counts(few * 1e308))[0] == math.log(2)
