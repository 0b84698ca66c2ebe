"""Every measure along every axis, one slice at a time: batches, kept axes, what is given, matrices."""

import itertools
import math

import numpy as np
import pytest
import scipy.sparse as sp

from xent import measures as m


def h(p):
    """Entropy of an array, in nats."""
    return -sum(x * math.log(x) for x in np.ravel(p).tolist() if x > 0)


def told(p):
    return h(p.sum(1)) + h(p.sum(0)) - h(p)


AVERAGES = {
    "arithmetic": lambda x, y: (x + y) / 2,
    "geometric": lambda x, y: math.sqrt(x * y),
    "min": min,
    "max": max,
}
OF_TWO = {
    "mutual_information": told,
    "information_gain": told,
    "variation_of_information": lambda p: 2 * h(p) - h(p.sum(1)) - h(p.sum(0)),
    "gain_ratio": lambda p: told(p) / h(p.sum(1)),
    "symmetric_uncertainty": lambda p: 2 * told(p) / (h(p.sum(1)) + h(p.sum(0))),
}
OF_ONE = {
    "entropy": (h, {}),
    "gini": (lambda p: sum(x * (1 - x) for x in p), {}),
    "perplexity": (lambda p: math.exp(h(p)), {}),
    "renyi_entropy": (lambda p: -math.log(sum(x * x for x in p)), {"alpha": 2}),
    "tsallis_entropy": (lambda p: 1 - sum(x * x for x in p), {"alpha": 2}),
}


def array(*shape):
    p = np.random.default_rng(sum(shape)).dirichlet(np.full(math.prod(shape), 0.6))
    p[::7] = 0
    return p.reshape(shape)


def slices(p, axes):
    """Each batch entry's slice with its axes in this order, and the shape of the batch."""
    batch = [a for a in range(p.ndim) if a not in axes]
    moved = np.moveaxis(p, [*batch, *axes], range(p.ndim))
    shape = moved.shape[: len(batch)]
    flat = moved.reshape(-1, *moved.shape[len(batch) :])
    return [one / one.sum() for one in flat], shape


def compare(found, values, shape, p, axes, keepdims):
    if keepdims:
        shape = tuple(1 if a in axes else n for a, n in enumerate(p.shape))
    assert np.shape(found) == shape
    np.testing.assert_allclose(np.ravel(found), values, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", OF_TWO)
def test_measures_of_two_variables(name, keepdims):
    p = array(3, 2, 4)
    for axes in itertools.permutations(range(3), 2):
        parts, shape = slices(p, axes)
        given = tuple(a - 3 for a in axes) if axes[0] else axes
        found = getattr(m, name)(m.Counts(p), axis=given, keepdims=keepdims)
        compare(found, [OF_TWO[name](one) for one in parts], shape, p, axes, keepdims)


@pytest.mark.parametrize("average", AVERAGES)
def test_averages(average):
    p = array(3, 2, 4)
    for axes in itertools.permutations(range(3), 2):
        parts, shape = slices(p, axes)
        values = [told(one) / AVERAGES[average](h(one.sum(1)), h(one.sum(0))) for one in parts]
        found = m.normalized_mutual_information(m.Counts(p), average=average, axis=axes)
        compare(found, values, shape, p, axes, False)


@pytest.mark.parametrize("keepdims", [False, True])
def test_entropies_given_some_of_the_axes(keepdims):
    p = array(2, 3, 2, 2)
    for count in (2, 3, 4):
        for axes in itertools.permutations(range(4), count):
            parts, shape = slices(p, axes)
            for some in range(1, count):
                for known in itertools.combinations(range(count), some):
                    rest = tuple(i for i in range(count) if i not in known)
                    values = [h(one) - h(one.sum(rest)) for one in parts]
                    given = tuple(axes[i] for i in known)
                    found = m.conditional_entropy(
                        m.Counts(p), given=given, axis=axes, keepdims=keepdims
                    )
                    compare(found, values, shape, p, axes, keepdims)


@pytest.mark.parametrize("keepdims", [False, True])
def test_information_given_a_third(keepdims):
    p = array(2, 3, 2, 2)
    for axes in itertools.permutations(range(4), 3):
        parts, shape = slices(p, axes)
        values = [h(q.sum(1)) + h(q.sum(0)) - h(q) - h(q.sum((0, 1))) for q in parts]
        found = m.conditional_mutual_information(m.Counts(p), axis=axes, keepdims=keepdims)
        compare(found, values, shape, p, axes, keepdims)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", OF_ONE)
def test_measures_of_one_distribution(name, keepdims):
    p, (truth, options) = array(3, 2, 4), OF_ONE[name]
    for count in (1, 2, 3):
        for axes in itertools.permutations(range(3), count):
            parts, shape = slices(p, axes)
            found = getattr(m, name)(
                m.Counts(p), axis=axes if count > 1 else axes[0], keepdims=keepdims, **options
            )
            compare(found, [truth(np.ravel(q)) for q in parts], shape, p, axes, keepdims)


def test_what_each_outcome_tells_stands_where_it_stood():
    p = array(3, 2, 4)
    for count in (1, 2, 3):
        for axes in itertools.permutations(range(3), count):
            share = p / p.sum(tuple(axes), keepdims=True)
            with np.errstate(divide="ignore"):
                wanted = -np.log(share)
            kept = m.self_information(m.Counts(p), axis=axes, keepdims=True)
            np.testing.assert_allclose(kept, wanted, rtol=1e-10, atol=1e-13)
            found = m.self_information(m.Counts(p), axis=axes)
            batch = [a for a in range(3) if a not in axes]
            shape = *(p.shape[a] for a in batch), math.prod(p.shape[a] for a in axes)
            assert found.shape == shape
            flat = np.moveaxis(wanted, [*batch, *axes], range(3)).reshape(shape)
            np.testing.assert_allclose(found, flat, rtol=1e-10, atol=1e-13)


def doubled(p):
    """A matrix of coordinates in which every cell stands twice, a third and the rest of it."""
    rows, columns = np.nonzero(p)
    cells = np.concatenate([p[rows, columns] / 3, p[rows, columns] * 2 / 3])
    return sp.coo_array((cells, (np.tile(rows, 2), np.tile(columns, 2))), shape=p.shape)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape", [(2, 7), (7, 2)])
@pytest.mark.parametrize("axes", [(0, 1), (1, 0), (-1, 0)])
def test_matrices(axes, shape, keepdims):
    p = array(*shape)
    own = p.T if axes[0] in (1, -1) else p
    wanted = (1, 1) if keepdims else ()
    for name, truth in OF_TWO.items():
        found = getattr(m, name)(m.Counts(doubled(p)), axis=axes, keepdims=keepdims)
        assert np.shape(found) == wanted
        assert np.ravel(found) == pytest.approx([truth(own / p.sum())], rel=1e-10, abs=1e-13)
    for given, rest in ((axes[0], 1), (axes[1], 0)):
        value = h(own / p.sum()) - h(own.sum(rest) / p.sum())
        found = m.conditional_entropy(
            m.Counts(doubled(p)), given=given, axis=axes, keepdims=keepdims
        )
        assert np.shape(found) == wanted
        assert np.ravel(found) == pytest.approx([value], rel=1e-10, abs=1e-13)


def as_tensor(values):
    import torch

    return torch.tensor(values, dtype=torch.float64)


def as_jax(values):
    return pytest.importorskip("jax.numpy").asarray(values)


KINDS = {"numpy": np.asarray, "torch": as_tensor, "jax": as_jax}
FAR = 1e50  # no float32
ORDERS = [0.0, 0.3, 0.5, 0.9, 1.0, 1.1, 2.0, 50.0, FAR, 1e301, math.inf]
CASES = [
    *(("numpy", order) for order in ORDERS),
    *(("torch", order) for order in ORDERS),
    *(("jax", order) for order in (0.0, 1.1, FAR)),  # compiled, a second each
]
PAIRS = [
    ([0.5, 0.5, 0.0], [0.25, 0.5, 0.25]),
    ([0.25, 0.5, 0.25], [0.5, 0.5, 0.0]),
    ([1.0, 0.0, 0.0], [0.0, 0.5, 0.5]),
    ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
]


@pytest.mark.parametrize(("library", "order"), CASES)
def test_every_order_where_one_side_has_none(library, order):
    """In every array library the definition, zeros of either side, equals, and no float32."""
    exact = 1e-12 if library == "numpy" else 1e-5
    p, q = (KINDS[library]([list(pair[i]) for pair in PAIRS]) for i in (0, 1))
    wanted = [renyi(*pair, order) for pair in PAIRS]
    found = np.asarray(m.renyi_divergence(p, q, order))
    assert found == pytest.approx(wanted, rel=exact, abs=exact)
    if 0 < order < FAR and order != 1:
        with np.errstate(over="ignore"):
            values = np.expm1((order - 1) * np.array(wanted)) / order / (order - 1)
        found = np.asarray(m.f_divergence(p, q, "alpha", alpha=order))
        assert found == pytest.approx(values, rel=1e3 * exact, abs=exact)
    found = np.asarray(m.renyi_entropy(p, order))
    assert found == pytest.approx([entropy_of(p, order) for p, _ in PAIRS], rel=exact, abs=exact)


@pytest.mark.parametrize("library", KINDS)
def test_named_divergences_where_one_side_has_none(library):
    kind = KINDS[library]
    p, q = [[0.5, 0.5, 0.0], [0.25, 0.5, 0.25]], [[0.25, 0.5, 0.25], [0.5, 0.5, 0.0]]
    for name, truth in {
        "total_variation": lambda a, b: sum(abs(x - y) for x, y in zip(a, b, strict=True)) / 2,
        "squared_hellinger": lambda a, b: (
            sum((x**0.5 - y**0.5) ** 2 for x, y in zip(a, b, strict=True)) / 2
        ),
        "chi_square": lambda a, b: sum(
            (x - y) ** 2 / y if y else (math.inf if x else 0.0) for x, y in zip(a, b, strict=True)
        ),
    }.items():
        found = np.asarray(m.f_divergence(kind(p), kind(q), name))
        assert found == pytest.approx([truth(*pair) for pair in zip(p, q, strict=True)], rel=1e-5)


def entropy_of(p, order):
    """The definition of Rényi's entropy, its limits written out."""
    some = [x for x in p if x > 0]
    if order == 0:
        return math.log(len(some))
    if order == 1:
        return h(some)
    if order >= FAR:
        return -math.log(max(some))
    return math.log(sum(x**order for x in some)) / (1 - order)


def renyi(p, q, order):
    """The definition of Rényi's divergence, its limits written out."""
    pairs = [(x, y) for x, y in zip(p, q, strict=True) if x > 0]
    if order == 0:
        mass = sum(y for _, y in pairs)
        return -math.log(mass) if mass > 0 else math.inf
    if any(y == 0 for _, y in pairs) and (order >= 1 or not any(y for _, y in pairs)):
        return math.inf
    if order == 1:
        return sum(x * math.log(x / y) for x, y in pairs)
    if order >= FAR:
        return math.log(max(x / y for x, y in pairs))
    return math.log(sum(x * (x / y) ** (order - 1) for x, y in pairs if y > 0)) / (order - 1)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("bad", [-1.0, math.inf])
def test_a_bad_entry_of_a_matrix_is_named_by_its_row_and_column(bad, axis):
    p = np.full((4, 3), 0.25)
    p[2, 1] = bad
    with pytest.raises(ValueError, match=r"got (-1|inf) at \[2, 1\]"):
        m.entropy(m.Counts(sp.csr_array(p)), axis=axis)


def test_a_bad_row_is_named_by_all_its_places():
    p = np.full((2, 3, 4), 0.25)
    p[1, 2] = 0.5
    with pytest.raises(ValueError, match=r"got 2 at row \[1, 2\]"):
        m.entropy(p)
    with pytest.raises(ValueError, match=r"got 2 at row 2\."):
        m.entropy(p[1])
