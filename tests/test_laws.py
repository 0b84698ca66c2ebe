"""Identities that tie the rooms together: each number has one value, wherever one asks for it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xent import evaluation, losses, measures

rows = arrays(float, (4, 5), elements=st.floats(1e-9, 1.0)).map(
    lambda a: a / a.sum(axis=1, keepdims=True)
)
logits = arrays(float, (6, 4), elements=st.floats(-30, 30))
targets = arrays(int, 6, elements=st.integers(0, 3))


@given(rows, rows)
def test_gibbs_and_the_chain(p, q):
    own, cross, divergence = (
        measures.entropy(p),
        measures.cross_entropy(p, q),
        measures.kl_divergence(p, q),
    )
    assert (divergence >= 0).all()
    assert (cross >= own - 1e-12).all()
    np.testing.assert_allclose(cross, own + divergence, rtol=1e-10, atol=1e-12)
    assert (own <= math.log(5) + 1e-12).all()
    np.testing.assert_allclose(measures.kl_divergence(p, p), 0, atol=1e-15)


@given(rows, rows)
def test_js_is_symmetric_and_bounded(p, q):
    one, other = measures.js_divergence(p, q), measures.js_divergence(q, p)
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-16)
    assert ((one >= 0) & (one <= math.log(2) + 1e-12)).all()


@given(rows, rows, st.permutations(range(5)))
def test_bases_and_orders_change_nothing(p, q, order):
    order = list(order)
    for measure in (measures.cross_entropy, measures.kl_divergence, measures.js_divergence):
        nats = measure(p, q)
        np.testing.assert_allclose(measure(p, q, base=2) * math.log(2), nats, rtol=1e-12)
        turned = measure(p[:, order], q[:, order])
        np.testing.assert_allclose(turned, nats, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(measures.perplexity(p), np.exp(measures.entropy(p)), rtol=1e-12)


@given(logits, targets)
def test_loss_measure_and_evaluation_agree(z, t):
    loss = losses.cross_entropy(torch.from_numpy(z), torch.from_numpy(t)).item()
    report = evaluation.evaluate(t, logits=z, base=math.e, allow_probabilities=True)
    assert loss == pytest.approx(report.cross_entropy, rel=1e-12, abs=1e-15)
    log_probs = torch.log_softmax(torch.from_numpy(z), 1)
    assert losses.nll_loss(log_probs, torch.from_numpy(t)).item() == pytest.approx(loss, abs=1e-12)
    measured = measures.cross_entropy(np.eye(4)[t], log_probs.exp().numpy()).mean()
    assert measured == pytest.approx(loss, rel=1e-9, abs=1e-12)


@given(logits, targets)
def test_the_gradient_is_softmax_minus_target(z, t):
    x = torch.from_numpy(z).requires_grad_()
    target = torch.from_numpy(t)
    losses.cross_entropy(x, target, reduction="sum").backward()
    expected = torch.softmax(torch.from_numpy(z), 1) - torch.nn.functional.one_hot(target, 4)
    torch.testing.assert_close(x.grad, expected, rtol=1e-9, atol=1e-12)


@given(logits, st.floats(-50, 50))
def test_shifting_logits_changes_nothing(z, shift):
    t = torch.tensor([0, 1, 2, 3, 0, 1])
    one = losses.cross_entropy(torch.from_numpy(z), t).item()
    other = losses.cross_entropy(torch.from_numpy(z + shift), t).item()
    assert one == pytest.approx(other, rel=1e-9, abs=1e-9)
