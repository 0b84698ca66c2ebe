"""Measures under torch.func, torch.export, torch.compile and JAX's transforms.

Values, derivatives and second derivatives are held against those of plain formulas; values that are
no distributions, which a trace cannot see, must come out as NaN.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from xent import measures as m
from xent.measures import Counts, Logits, LogProbs

Q = torch.tensor([0.3, 0.1, 0.35, 0.25], dtype=torch.float64)
Z = torch.tensor([0.2, -0.4, 1.1, 0.0], dtype=torch.float64)
TABLE = (2, 2)

# Each measure of p by itself or with Q, and the same by PyTorch's own operations.
ONE = {
    "entropy": (m.entropy, lambda p: -(p * p.log()).sum()),
    "self_information": (lambda p: m.self_information(p).sum(), lambda p: -p.log().sum()),
    "perplexity": (m.perplexity, lambda p: (-(p * p.log()).sum()).exp()),
    "gini": (m.gini, lambda p: 1 - (p * p).sum()),
    "renyi 2": (lambda p: m.renyi_entropy(p, 2), lambda p: -(p * p).sum().log()),
    "renyi 0.7": (lambda p: m.renyi_entropy(p, 0.7), lambda p: (p**0.7).sum().log() / 0.3),
    "renyi inf": (lambda p: m.renyi_entropy(p, math.inf), lambda p: -p.max().log()),
    "renyi 0": (lambda p: m.renyi_entropy(p, 0), lambda p: p.sum() * 0 + math.log(4)),
    "tsallis": (lambda p: m.tsallis_entropy(p, 3), lambda p: (1 - (p**3).sum()) / 2),
    "tsallis 0": (lambda p: m.tsallis_entropy(p, 0), lambda p: p.sum() * 0 + 3),
}
TWO = {
    "cross_entropy": (m.cross_entropy, lambda p, q: -(p * q.log()).sum()),
    "kl": (m.kl_divergence, lambda p, q: (p * (p / q).log()).sum()),
    "js": (m.js_divergence, lambda p, q: js(p, q, 0.5)),
    "js weighted": (
        lambda p, q: m.js_divergence(p, q, weights=[0.3, 0.7]),
        lambda p, q: js(p, q, 0.3),
    ),
    "js distance": (m.js_distance, lambda p, q: js(p, q, 0.5).sqrt()),
    "perplexity": (m.perplexity, lambda p, q: (-(p * q.log()).sum()).exp()),
    "renyi 2": (
        lambda p, q: m.renyi_divergence(p, q, 2),
        lambda p, q: (p * p / q).sum().log(),
    ),
    "renyi 0.3": (
        lambda p, q: m.renyi_divergence(p, q, 0.3),
        lambda p, q: (p**0.3 * q**0.7).sum().log() / -0.7,
    ),
    "renyi 0": (lambda p, q: m.renyi_divergence(p, q, 0), lambda p, q: 0 * (p.sum() + q.sum())),
    "renyi inf": (
        lambda p, q: m.renyi_divergence(p, q, math.inf),
        lambda p, q: (p / q).max().log(),
    ),
    "total variation": (
        lambda p, q: m.f_divergence(p, q, "total_variation"),
        lambda p, q: (p - q).abs().sum() / 2,
    ),
    "hellinger": (
        lambda p, q: m.f_divergence(p, q, "squared_hellinger"),
        lambda p, q: 1 - (p * q).sqrt().sum(),
    ),
    "chi square": (
        lambda p, q: m.f_divergence(p, q, "chi_square"),
        lambda p, q: ((p - q) ** 2 / q).sum(),
    ),
    "alpha": (
        lambda p, q: m.f_divergence(p, q, "alpha", alpha=3),
        lambda p, q: ((p**3 / q**2).sum() - 1) / 6,
    ),
}


def js(p, q, w):
    middle = w * p + (1 - w) * q
    return w * (p * (p / middle).log()).sum() + (1 - w) * (q * (q / middle).log()).sum()


def information(t):
    return (t * (t / (t.sum(1, keepdim=True) * t.sum(0, keepdim=True))).log()).sum()


def plain_entropy(p):
    return -(p * p.log()).sum()


JOINT = {
    "mutual_information": (m.mutual_information, information),
    "information_gain": (m.information_gain, information),
    "conditional": (
        lambda t: m.conditional_entropy(t, given=-1),
        lambda t: plain_entropy(t) - plain_entropy(t.sum(0)),
    ),
    "variation": (
        m.variation_of_information,
        lambda t: 2 * plain_entropy(t) - plain_entropy(t.sum(0)) - plain_entropy(t.sum(1)),
    ),
    "normalized": (
        m.normalized_mutual_information,
        lambda t: 2 * information(t) / (plain_entropy(t.sum(0)) + plain_entropy(t.sum(1))),
    ),
    "symmetric": (
        m.symmetric_uncertainty,
        lambda t: 2 * information(t) / (plain_entropy(t.sum(0)) + plain_entropy(t.sum(1))),
    ),
    "gain_ratio": (m.gain_ratio, lambda t: information(t) / plain_entropy(t.sum(1))),
    "total correlation": (m.total_correlation, information),
    "total correlation of three": (
        lambda t: m.total_correlation(t.reshape(2, 1, 2)),
        information,
    ),
    "conditional information": (
        lambda t: m.conditional_mutual_information(t[..., None]),
        information,
    ),
}


RESHAPED = ("conditional information", "total correlation of three")


def softmax(z):
    return torch.softmax(z, 0)


def both(name):
    """Ours and the plain formula as functions of four logits."""
    family, name = name.split(": ")
    if family == "one":
        ours, plain = ONE[name]
        return lambda z: ours(softmax(z)), lambda z: plain(softmax(z))
    if family == "joint":
        ours, plain = JOINT[name]
        return (
            lambda z: ours(softmax(z).reshape(TABLE)),
            lambda z: plain(softmax(z).reshape(TABLE)),
        )
    ours, plain = TWO[name]
    if family == "truth":
        return lambda z: ours(softmax(z), Q), lambda z: plain(softmax(z), Q)
    views = {"model": Logits, "log model": lambda z: LogProbs(torch.log_softmax(z, 0))}
    return lambda z: ours(Q, views[family](z)), lambda z: plain(Q, softmax(z))


NAMES = [f"one: {n}" for n in ONE] + [f"joint: {n}" for n in JOINT]
NAMES += [f"{family}: {n}" for family in ("truth", "model", "log model") for n in TWO]


@pytest.mark.grid
@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch's own
@pytest.mark.parametrize("name", NAMES)
def test_torch_func(name):
    ours, plain = both(name)
    z, v = Z, torch.tensor([0.5, -1.0, 0.25, 0.1], dtype=torch.float64)
    batch = torch.stack([z, 2 * z, z.flip(0)])
    func = torch.func
    for transform in (
        lambda f: func.grad(f)(z),
        lambda f: func.vmap(f)(batch),
        lambda f: func.vmap(func.grad(f))(batch),
        lambda f: func.jvp(f, (z,), (v,))[1],
        lambda f: func.jacrev(f)(z),
        lambda f: func.jacfwd(f)(z),
        lambda f: func.hessian(f)(z),
    ):
        assert_allclose(transform(ours), transform(plain), rtol=1e-9, atol=1e-12)


class AsModule(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, z):
        return self.function(z)


EXPORTED = ["one: entropy", "one: renyi 0.7", "joint: mutual_information", "joint: gain_ratio"]
EXPORTED += ["truth: kl", "model: js distance", "log model: cross_entropy", "truth: renyi 0.3"]


@pytest.mark.parametrize(
    "name",
    [n if n in EXPORTED else pytest.param(n, marks=pytest.mark.long) for n in NAMES],
)
def test_torch_export(name):
    ours, plain = both(name)
    program = torch.export.export(AsModule(ours), (Z,)).module()
    assert_allclose(program(Z), plain(Z), rtol=1e-9, atol=1e-12)
    assert_allclose(program(2 * Z), plain(2 * Z), rtol=1e-9, atol=1e-12)


VIEWS = {
    "probabilities": (lambda x: x, [0.5, 0.5, 0.0]),
    "Counts": (Counts, [5.0, 5.0, 0.0]),
    "Logits": (Logits, [0.5, 0.5, -math.inf]),
    "LogProbs": (LogProbs, [-math.log(2), -math.log(2), -math.inf]),
}
WRONG = {
    "probabilities": [[0.5, math.nan, 0.5], [math.nan] * 3, [0.5, 0.6, -0.1], [1.0, 1.0, 1.0]],
    "Counts": [[1.0, math.nan, 1.0], [1.0, -1.0, 3.0], [0.0, 0.0, 0.0], [math.inf, 1.0, 1.0]],
    "Logits": [[0.5, math.nan, 1.0], [-math.inf] * 3, [math.inf, 0.0, 0.0]],
    "LogProbs": [[-0.7, math.nan, -0.7], [0.0, 0.0, 0.0], [math.inf, 0.0, 0.0]],
}
EVERY = {
    **{f"one {n}": ours for n, (ours, _) in ONE.items()},
    **{f"p of {n}": lambda p, f=ours: f(p, jnp.full(3, 1 / 3)) for n, (ours, _) in TWO.items()},
    **{f"q of {n}": lambda q, f=ours: f(jnp.full(3, 1 / 3), q) for n, (ours, _) in TWO.items()},
    "third of js": lambda p: m.js_divergence(jnp.full(3, 1 / 3), jnp.full(3, 1 / 3), p),
}


JITTED = ["one entropy", "one tsallis 0", "q of kl", "p of renyi 0", "p of cross_entropy"]
JITTED += ["q of js distance", "p of alpha", "third of js"]


@pytest.mark.grid
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    "name",
    [n if n in JITTED else pytest.param(n, marks=pytest.mark.long) for n in EVERY],
)
def test_what_is_no_distribution_is_nan_under_jax(view, name):
    made, right = VIEWS[view]
    measure = EVERY[name]
    batch = jnp.asarray([right, *WRONG[view]])
    found = jax.jit(jax.vmap(lambda x: measure(made(x))))(batch)
    seen = measure(made(jnp.asarray(right)))
    assert_allclose(found[0], seen, rtol=1e-6)
    assert np.isnan(found[1:]).all()
    for wrong in WRONG[view]:
        with pytest.raises(ValueError, match="must"):
            measure(made(jnp.asarray(wrong)))


@pytest.mark.grid
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", [n for n in JOINT if n not in RESHAPED])
def test_what_is_no_joint_distribution_is_nan_under_jax(view, name):
    made, _ = VIEWS[view]
    measure = JOINT[name][0]
    tables = jnp.asarray([[wrong, wrong] for wrong in WRONG[view]])
    with jax.disable_jit():
        assert np.isnan(jax.vmap(lambda x: measure(made(x)))(tables)).all()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ONE)
def test_what_is_no_distribution_is_nan_under_torch(view, name):
    made, right = VIEWS[view]
    measure = ONE[name][0]
    batch = torch.tensor([right, *WRONG[view]], dtype=torch.float64)
    found = torch.func.vmap(lambda x: measure(made(x)))(batch)
    assert_allclose(found[0], measure(made(batch[0])), rtol=1e-12)
    assert found[1:].isnan().all()
    for wrong in batch[1:]:
        with pytest.raises(ValueError, match="must"):
            measure(made(wrong))


def test_torch_compile():
    def cost(z):
        return m.kl_divergence(Q, Logits(z)) + m.entropy(Logits(z))

    found = torch.compile(cost, backend="eager")(Z)
    assert_allclose(found, cost(Z), rtol=1e-12)
    assert torch.compile(cost, backend="eager")(Z * math.nan).isnan()
