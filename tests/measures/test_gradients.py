"""Gradients through PyTorch and JAX: the formula's own, finite wherever it is, 0 by convention."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from xent import measures as m

P = [0.5, 0.3, 0.2, 0.0]
Q = [0.25, 0.35, 0.4, 0.0]
Z = [0.3, -1.2, -math.inf, 0.7]
TWO = {
    "cross_entropy": m.cross_entropy,
    "kl_divergence": m.kl_divergence,
    "js_divergence": m.js_divergence,
    "js_distance": m.js_distance,
    "renyi_divergence": lambda p, q: m.renyi_divergence(p, q, 1.5),
    "total_variation": lambda p, q: m.f_divergence(p, q, "total_variation"),
    "squared_hellinger": lambda p, q: m.f_divergence(p, q, "squared_hellinger"),
    "chi_square": lambda p, q: m.f_divergence(p, q, "chi_square"),
}
ONE = {
    "entropy": m.entropy,
    "gini": m.gini,
    "perplexity": m.perplexity,
    "renyi_entropy": lambda p: m.renyi_entropy(p, 0.7),
    "tsallis_entropy": lambda p: m.tsallis_entropy(p, 1.5),
}


def grad_torch(function, *values):
    inputs = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]
    function(*inputs).backward()
    return [v.grad.numpy() for v in inputs]


def grad_jax(function, *values):
    inputs = [jnp.asarray(v) for v in values]
    return [np.asarray(g) for g in jax.grad(function, tuple(range(len(values))))(*inputs)]


BACKENDS = {"torch": (grad_torch, 1e-9), "jax": (grad_jax, 2e-5)}


def slope(function, values, which, place, step=1e-6):
    """Central difference of the NumPy function along an entry, its row kept a distribution."""
    ends = []
    for sign in (1, -1):
        moved = [np.array(v, dtype=float) for v in values]
        moved[which][place] += sign * step
        ends.append(function(*(m.Counts(v) for v in moved)))
    return (ends[0] - ends[1]) / (2 * step)


@pytest.mark.grid
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", TWO)
def test_gradient_of_two(name, backend):
    grad, tolerance = BACKENDS[backend]
    found = grad(TWO[name], P, Q)
    for which in range(2):
        assert np.isfinite(found[which]).all()
        for place in range(3):
            expected = slope(TWO[name], (P, Q), which, place)
            assert_allclose(found[which][place], expected, rtol=1e-5, atol=max(1e-7, tolerance))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ONE)
def test_gradient_of_one(name, backend):
    grad, tolerance = BACKENDS[backend]
    (found,) = grad(ONE[name], P)
    expected = [slope(ONE[name], (P,), 0, place) for place in range(3)]
    assert_allclose(found[:3], expected, rtol=1e-5, atol=max(1e-7, tolerance))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_infinite_derivative_is_zero_by_convention(backend):
    grad, _ = BACKENDS[backend]
    assert grad(m.entropy, P)[0][3] == 0
    assert grad(m.kl_divergence, [0.5, 0.5, 0.0], [0.2, 0.3, 0.5])[0][2] == 0
    assert grad(m.js_divergence, [0.5, 0.5, 0.0], [0.2, 0.3, 0.5])[0][2] == 0
    assert np.isfinite(grad(m.js_distance, [0.5, 0.5], [0.5, 0.5])).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_model_where_the_truth_is_zero(backend):
    grad, tolerance = BACKENDS[backend]
    for q in ([0.5, 0.25, 0.25], [0.75, 0.25, 0.0]):
        for function in (m.cross_entropy, m.kl_divergence):
            found = grad(function, [0.5, 0.5, 0.0], q)[1]
            expected = [1 - 0.5 / q[0], 1 - 0.5 / q[1], 1.0]
            assert_allclose(found, expected, rtol=max(1e-12, tolerance))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_truth_where_it_is_zero_costs_what_the_model_says(backend):
    grad, tolerance = BACKENDS[backend]
    p, q = [0.5, 0.5, 0.0], [0.5, 0.25, 0.25]
    cost = m.cross_entropy(p, q)
    found = grad(m.cross_entropy, p, q)[0]
    assert_allclose(found, [-math.log(x) - cost for x in q], rtol=max(1e-12, tolerance))


@pytest.mark.parametrize("backend", BACKENDS)
def test_logits_with_a_mask(backend):
    grad, tolerance = BACKENDS[backend]
    weight = np.exp(np.array(Z))
    p = weight / weight.sum()
    target = np.array([0.2, 0.5, 0.0, 0.3])
    tolerance = max(1e-12, tolerance)
    found = grad(lambda z: m.cross_entropy(m.Counts(target_like(z, target)), m.Logits(z)), Z)[0]
    assert_allclose(found, p - target, rtol=tolerance, atol=tolerance)
    found = grad(lambda z: m.entropy(m.Logits(z)), Z)[0]
    log = np.log(np.where(p > 0, p, 1.0))
    assert_allclose(found, -p * (log + m.entropy(p)), rtol=tolerance, atol=tolerance)
    for function in (m.kl_divergence, m.js_divergence):
        both = grad(lambda a, b, f=function: f(m.Logits(a), m.Logits(b)), Z, Z[::-1][:2] + Z[2:])
        assert np.isfinite(both).all()


def target_like(z, target):
    return torch.tensor(target) if isinstance(z, torch.Tensor) else jnp.asarray(target)


def test_double_backward_in_torch():
    z = torch.tensor(Z, dtype=torch.float64, requires_grad=True)
    other = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64, requires_grad=True)
    p = torch.tensor(P, dtype=torch.float64, requires_grad=True)
    cases = [
        (lambda: m.entropy(m.Logits(z)), z),
        (lambda: m.kl_divergence(m.Logits(z), m.Logits(other)), other),
        (lambda: m.js_divergence(m.Logits(z), m.Counts(other)), z),
        (lambda: m.cross_entropy(p, m.Counts(other)), other),
        (lambda: m.entropy(m.Counts(p)), p),
        (lambda: m.kl_divergence(m.Counts(p), other), p),
    ]
    for function, variable in cases:
        (first,) = torch.autograd.grad(function(), variable, create_graph=True)
        weights = torch.tensor([0.3, -0.2, 0.9, 0.5], dtype=torch.float64)
        (second,) = torch.autograd.grad((first * weights).sum(), variable)
        assert torch.isfinite(second).all()
        numeric = []
        for place in range(4):
            if not torch.isfinite(variable[place]) or variable[place] == 0:
                numeric.append(float(second[place]))
                continue
            ends = []
            for step in (1e-5, -1e-5):
                with torch.no_grad():
                    variable[place] += step
                source = function()
                (moved,) = torch.autograd.grad(source, variable)
                ends.append(float((moved * weights).sum()))
                with torch.no_grad():
                    variable[place] -= step
            numeric.append((ends[0] - ends[1]) / 2e-5)
        assert_allclose(second.numpy(), numeric, rtol=1e-4, atol=1e-6)


def test_second_derivative_in_jax():
    hessian = jax.hessian(lambda z: m.entropy(m.Logits(z)))(jnp.asarray(Z))
    assert np.isfinite(np.asarray(hessian)).all()


def test_jax_traces_and_maps():
    p = jnp.asarray([P, Q])
    eager = m.entropy(p)
    assert_allclose(jax.jit(m.entropy)(p), eager, rtol=1e-6)
    assert_allclose(jax.vmap(m.entropy)(p), eager, rtol=1e-6)
    assert_allclose(eager, m.entropy(np.array([P, Q])), rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_of_the_result(dtype):
    p = torch.tensor([0.5, 0.25, 0.25], dtype=dtype)
    expected = torch.float64 if dtype == torch.float64 else torch.float32
    assert m.entropy(p, base=2).dtype == expected
    assert float(m.entropy(p, base=2)) == 1.5
    assert m.kl_divergence(p, p.double()).dtype == torch.float64
    for size in (4096, 2000):
        uniform = torch.full((size,), 1 / size, dtype=dtype)
        assert_allclose(float(m.entropy(uniform)), math.log(size), rtol=1e-6)


def test_dtype_of_the_result_in_jax():
    for dtype in (jnp.float16, jnp.bfloat16, jnp.float32):
        assert m.entropy(jnp.asarray([0.5, 0.5], dtype=dtype)).dtype == jnp.float32
    jax.config.update("jax_enable_x64", True)
    try:  # where JAX computes in float64, the result is still of the argument's type
        for dtype in (jnp.float16, jnp.float32, jnp.float64):
            found = m.entropy(jnp.asarray([0.5, 0.5], dtype=dtype))
            assert found.dtype == (jnp.float64 if dtype == jnp.float64 else jnp.float32)
    finally:
        jax.config.update("jax_enable_x64", False)


def test_near_equal_tensors_are_never_negative():
    rng = np.random.default_rng(0)
    for gap in 10.0 ** -np.arange(1, 17):
        p = rng.dirichlet(np.ones(20), 50)
        q = p * (1 + gap * rng.standard_normal(p.shape))
        q /= q.sum(1, keepdims=True)
        tensors = torch.tensor(p), torch.tensor(q)
        for function in (m.kl_divergence, m.js_divergence):
            found = function(*tensors).numpy()
            assert (found >= 0).all()
            truth = function(p, q)
            if gap > 1e-12:
                assert_allclose(found, truth, rtol=max(1e-10, 1e-14 / gap))


def test_tensors_agree_with_numpy_everywhere():
    rng = np.random.default_rng(1)
    joint = rng.dirichlet(np.ones(6), 5).reshape(5, 2, 3)
    for function in (
        m.mutual_information,
        m.variation_of_information,
        m.normalized_mutual_information,
        m.gain_ratio,
        lambda t: m.conditional_entropy(t, given=-1),
        lambda t: m.entropy(t, axis=(-2, -1), keepdims=True),
    ):
        expected = function(joint)
        assert_allclose(function(torch.tensor(joint)).numpy(), expected, rtol=1e-10)
        assert_allclose(np.asarray(function(jnp.asarray(joint))), expected, rtol=2e-4, atol=1e-6)
    assert torch.isinf(m.kl_divergence(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])))
    assert_allclose(m.self_information(torch.tensor([0.5, 0.5, 0]), base=2), [1, 1, math.inf])
