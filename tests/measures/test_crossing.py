"""Options crossed with functions, views and libraries, against formulas that know one row alone."""

import math
from itertools import cycle, product

import numpy as np
import pytest
import torch

from xent import measures as m

jnp = pytest.importorskip("jax.numpy")
SHAPE = (2, 3, 4)
RNG = np.random.default_rng(0)
PLACES = RNG.random(SHAPE) < 0.7
PLACES[0] = PLACES[:, 0] = PLACES[..., 0] = True
LAST = np.ones((3, 4), bool)
LAST[0, 1] = False
LIBRARIES = {
    "float64": (np.asarray, 1e-10),
    "float16": (lambda a: a.astype("f2"), 1e-10),  # NumPy computes in float64 whatever comes
    "big-endian": (lambda a: a.astype(">f8"), 1e-10),
    "torch": (torch.tensor, 1e-10),
    "torch, bfloat16": (lambda a: torch.tensor(a).bfloat16(), 2e-5),
    "jax": (lambda a: jnp.asarray(a, jnp.float32), 2e-4),
}
BASES = cycle([math.e, 2, 10, 0.5, 3.7])


def h(p):
    p = np.ravel(p)[np.ravel(p) > 0]
    return -(p * np.log(p)).sum()


def kl(p, q):
    some = p > 0
    if (q[some] == 0).any():
        return math.inf
    return (p[some] * np.log(p[some] / q[some])).sum()


def js(p, q):
    return (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2


def information(joint):
    return h(joint.sum(0)) + h(joint.sum(1)) - h(joint)


# The function, the formula, and whether there is a unit.
ONE = [
    (m.entropy, h, True),
    (m.perplexity, lambda p: math.exp(h(p)), False),
    (m.gini, lambda p: 1 - (p * p).sum(), False),
    (lambda p, **o: m.renyi_entropy(p, 0.5, **o), lambda p: 2 * np.log(np.sqrt(p).sum()), True),
    (lambda p, **o: m.tsallis_entropy(p, 3, **o), lambda p: (1 - (p**3).sum()) / 2, False),
]
TWO = [
    (m.cross_entropy, lambda p, q: h(p) + kl(p, q), True),
    (m.kl_divergence, kl, True),
    (m.js_divergence, js, True),
    (m.perplexity, lambda p, q: math.exp(h(p) + kl(p, q)), False),
    (lambda p, q, **o: m.renyi_divergence(p, q, 0.5, **o),
     lambda p, q: -2 * np.log(np.sqrt(p * q).sum()), True),
    (lambda p, q, **o: m.f_divergence(p, q, "total_variation", **o),
     lambda p, q: abs(p - q).sum() / 2, False),
]  # fmt: skip
JOINT = [
    (m.mutual_information, information, True),
    (m.variation_of_information, lambda j: h(j) - information(j), True),
    (m.gain_ratio, lambda j: information(j) / h(j.sum(1)), False),
    (m.symmetric_uncertainty, lambda j: 2 * information(j) / (h(j.sum(0)) + h(j.sum(1))), False),
]


def drawn(view, make, axes, where, seed, shape=SHAPE):
    """Return an argument, with nonsense where it does not count, and the shares it stands for."""
    counts = np.broadcast_to(True if where is None else where, shape)
    some = np.where(counts, np.random.default_rng(seed).gamma(1.0, size=shape) + 0.1, 0.0)
    p = some / some.sum(axes, keepdims=True)
    with np.errstate(divide="ignore"):
        given = {
            "plain": np.where(counts, p, 7.0),
            "Counts": np.where(counts, np.rint(100 * p) + 1, -3.0),
            "Logits": np.where(counts, np.log(p) + 3, np.nan),
            "LogProbs": np.where(counts, np.log(p), 5.0),
        }[view]
    values = make(given)
    wide = values.double().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    wide = wide.astype(np.float64)
    shares = np.where(counts, np.exp(wide) if view.startswith("Log") else wide, 0.0)
    return values if view == "plain" else getattr(m, view)(values), shares / shares.sum(
        axes, keepdims=True
    )


def hold(measure, formula, unit, given, shares, axis, tolerance, **options):
    base = next(BASES) if unit else None
    options |= {"base": base} if unit else {}
    found = measure(*given, axis=axis, **options)
    axes = axis if isinstance(axis, tuple) else (axis,)
    rows = [np.moveaxis(s, axes, range(-len(axes), 0)) for s in shares]
    batch = np.broadcast_shapes(*(r.shape[: -len(axes)] for r in rows))
    rows = [np.broadcast_to(r, batch + r.shape[-len(axes) :]) for r in rows]
    truth = np.array([formula(*(r[i] for r in rows)) for i in np.ndindex(*batch)])
    truth = truth.reshape(batch) / (math.log(base) if unit else 1.0)
    if options.get("keepdims"):
        truth = np.expand_dims(truth, tuple(a % len(SHAPE) for a in axes))
    found = found.double().numpy() if isinstance(found, torch.Tensor) else np.asarray(found)
    assert found.shape == truth.shape, (axis, options)
    np.testing.assert_allclose(found, truth, rtol=tolerance, atol=tolerance)


@pytest.mark.grid
@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("view", ["plain", "Counts", "Logits", "LogProbs"])
def test_every_option_with_every_function(view, name):
    make, tolerance = LIBRARIES[name]
    others = cycle(["LogProbs", "plain", "Counts", "Logits"])
    cases = list(enumerate(product((-1, (2, 0), (0, 1, 2)), (None, PLACES, LAST))))
    for seed, (axis, where) in cases[:: 4 if name == "jax" else 1]:  # whose calls take long
        axes = axis if isinstance(axis, tuple) else (axis,)
        o = {"keepdims": bool(seed % 2)} | ({} if where is None else {"where": where})
        p, shares = drawn(view, make, axes, where, seed)
        q, model = drawn(next(others), make, axes, where, seed + 99)
        for case in ONE:
            hold(*case, [p], [shares], axis, tolerance, **o)
        for case in TWO:
            hold(*case, [p, q], [shares, model], axis, tolerance, **o)
        if len(axes) == 1:
            pair = (1, 0) if seed % 2 else (-2, -1)
            p, shares = drawn(view, make, pair, where, seed)
            for case in JOINT:
                hold(*case, [p], [shares], pair, tolerance, **o)


@pytest.mark.grid
@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("shape", [(4,), (1, 4), (2, 1, 4)], ids=str)
def test_batches_of_several_shapes(shape, name):
    make, tolerance = LIBRARIES[name]
    p, shares = drawn("plain", make, (-1,), None, 1)
    q, model = drawn("Counts", make, (-1,), None, 2, shape)
    for case in TWO:
        hold(*case, [p, q], [shares, model], -1, tolerance, keepdims=True)
        hold(*case, [q, p], [model, shares], -1, tolerance, keepdims=True)
