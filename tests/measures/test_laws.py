"""What must hold for every distribution: bounds, chain rules, symmetries, change of base."""

import math
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xent import measures as m

settings.register_profile("laws", derandomize=True, deadline=None, max_examples=60)
laws = settings(settings.get_profile("laws"))
entry = st.one_of(st.just(0.0), st.floats(1e-300, 1.0), st.just(1e-308))


def rows(size):
    return (
        arrays(float, size, elements=entry).filter(lambda v: v.max() > 0).map(lambda v: v / v.sum())
    )


pairs = st.integers(2, 40).flatmap(lambda k: st.tuples(rows(k), rows(k)))


@laws
@given(pairs)
def test_bounds(pair):
    p, q = pair
    assert 0 <= m.entropy(p) <= math.log(p.size) * (1 + 1e-15)
    assert m.kl_divergence(p, q) >= 0
    assert m.cross_entropy(p, q) >= m.entropy(p) * (1 - 1e-14)
    assert 0 <= m.js_divergence(p, q) <= math.log(2) * (1 + 1e-15)
    assert m.js_divergence(p, q) == m.js_divergence(q, p) or math.isclose(
        m.js_divergence(p, q), m.js_divergence(q, p), rel_tol=1e-14
    )
    assert m.kl_divergence(p, p) == m.js_divergence(p, p) == 0


@laws
@given(pairs)
def test_cross_entropy_is_entropy_plus_divergence(pair):
    p, q = pair
    whole, parts = m.cross_entropy(p, q), m.entropy(p) + m.kl_divergence(p, q)
    assert whole == parts or math.isclose(whole, parts, rel_tol=1e-13)


@laws
@given(pairs)
def test_pinsker_and_the_order_of_renyi(pair):
    p, q = pair
    distance = m.f_divergence(p, q, "total_variation")
    assert m.kl_divergence(p, q) >= 2 * distance**2 * (1 - 1e-12) - 1e-30
    orders = (0, 0.3, 0.9, 1, 1.2, 2, 9, math.inf)
    divergences = [m.renyi_divergence(p, q, a) for a in orders]
    entropies = [m.renyi_entropy(p, a) for a in orders]
    for low, high in pairwise(divergences):
        assert low <= high * (1 + 1e-12) + 1e-12
    for high, low in pairwise(entropies):
        assert low <= high * (1 + 1e-12) + 1e-12


@laws
@given(rows(12), st.randoms(use_true_random=False))
def test_order_of_outcomes_and_shift_of_logits(p, random):
    order = list(range(p.size))
    random.shuffle(order)
    assert math.isclose(m.entropy(p[order]), m.entropy(p), rel_tol=1e-14)
    logits = np.log(np.where(p > 0, p, 1e-200))
    first, second = m.entropy(m.Logits(logits)), m.entropy(m.Logits(logits + 64.0))
    assert math.isclose(first, second, rel_tol=1e-12, abs_tol=1e-12)


@laws
@given(arrays(float, (3, 4), elements=entry).filter(lambda v: v.max() > 0))
def test_chain_rule(table):
    joint = table / table.sum()
    x, y, xy = m.entropy(joint.sum(1)), m.entropy(joint.sum(0)), m.entropy(joint, axis=(0, 1))
    close = {"rel_tol": 1e-12, "abs_tol": 1e-14}
    assert math.isclose(xy, x + m.conditional_entropy(joint, given=0), **close)
    assert math.isclose(m.mutual_information(joint), x + y - xy, **close)
    assert m.mutual_information(joint) >= 0
    assert m.conditional_entropy(joint, given=1) >= 0


@laws
@given(pairs, st.sampled_from([2, 10, 0.5]))
def test_change_of_base(pair, base):
    p, q = pair
    for nats, other in (
        (m.entropy(p), m.entropy(p, base=base)),
        (m.js_divergence(p, q), m.js_divergence(p, q, base=base)),
    ):
        assert math.isclose(other, nats / math.log(base), rel_tol=1e-15, abs_tol=0)


@laws
@given(pairs)
def test_counts_of_a_distribution_are_that_distribution(pair):
    p, _ = pair
    for scale in (1e-200, 3.0, 1e250):
        found = m.entropy(m.Counts(p * scale))
        assert math.isclose(found, m.entropy(p), rel_tol=1e-13, abs_tol=1e-100)
