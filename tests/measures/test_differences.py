"""Quantities that cancel: at most 8 ULP of the largest entropy involved, to mpmath's truth."""

import numpy as np
import pytest

from measures import truth
from measures.truth import fsum, log, mpf, shares
from xent import measures as m

ORDERS = [1 + sign * 10.0**-k for k in (1, 2, 4, 7, 10, 13, 15) for sign in (1, -1)]


def pairs(seed, count, sizes=(2, 3, 5, 10, 33, 100)):
    rng = np.random.default_rng(seed)
    truth.mp.prec = 400
    return [truth.hard_pair(rng, int(rng.choice(sizes))) for _ in range(count)]


def off(found, exact, *entropies):
    """Error in units of the last place of the largest entropy, and of the value itself."""
    scale = max(float(abs(value)) for value in (exact, *entropies))
    return abs(float(mpf(found) - exact)) / np.spacing(scale)


def test_renyi_and_tsallis_near_one():
    for i, (p, _) in enumerate(pairs(1, 200)):
        alpha = ORDERS[i % len(ORDERS)]
        order, powers = mpf(alpha), fsum(x ** mpf(alpha) for x in shares(p) if x)
        h = truth.entropy(p)
        assert off(m.renyi_entropy(p, alpha), log(powers) / (1 - order), h) <= 8
        assert off(m.tsallis_entropy(p, alpha), (1 - powers) / (order - 1), h) <= 8


def test_renyi_divergence_near_one():
    for i, (p, q) in enumerate(pairs(2, 200)):
        if ((p > 0) & (q == 0)).any():
            continue
        alpha = ORDERS[i % len(ORDERS)]
        order = mpf(alpha)
        total = fsum(
            x**order * y ** (1 - order) for x, y in zip(shares(p), shares(q), strict=True) if x
        )
        entropies = truth.entropy(p), truth.cross_entropy(p, q)
        assert off(m.renyi_divergence(p, q, alpha), log(total) / (order - 1), *entropies) <= 8


def exact_gain(joint):
    flat = shares(joint.ravel())
    rows, columns = joint.shape
    cells = [flat[i * columns : (i + 1) * columns] for i in range(rows)]
    x, y = [fsum(row) for row in cells], [fsum(column) for column in zip(*cells, strict=True)]

    def entropy(values):
        return -fsum(v * log(v) for v in values if v)

    gain = fsum(
        v * log(v / (x[i] * y[j])) for i, row in enumerate(cells) for j, v in enumerate(row) if v
    )
    return gain, entropy(x), entropy(y), entropy(flat)


def test_gains_near_independence():
    rng = np.random.default_rng(3)
    truth.mp.prec = 400
    for _ in range(150):
        shape = rng.integers(2, 8, 2)
        near = 10.0 ** -rng.uniform(0, 12)
        joint = np.outer(rng.dirichlet(np.ones(shape[0])), rng.dirichlet(np.ones(shape[1])))
        joint = joint * (1 + near * rng.uniform(-1, 1, shape))
        joint /= joint.sum()
        for table in (joint, np.rint(joint * 1e9)):
            given = table if table is joint else m.Counts(table)
            gain, x, y, both = exact_gain(table)
            assert off(m.information_gain(given), gain, x, y, both) <= 8
            assert off(m.conditional_entropy(given, given=-2), both - x, x, y, both) <= 8
            vi = 2 * both - x - y
            assert off(m.variation_of_information(given), vi, x, y, both) <= 8
            # Shares of entropies: the same, divided by what they are shares of.
            ratio = abs(float(mpf(m.gain_ratio(given)) - gain / x))
            assert ratio <= 8 * np.spacing(float(max(x, y, both))) / float(x) + 4 * np.spacing(
                float(gain / x)
            )
            uncertainty = abs(float(mpf(m.symmetric_uncertainty(given)) - 2 * gain / (x + y)))
            assert uncertainty <= 16 * np.spacing(float(max(x, y, both))) / float(x + y)


def test_cross_entropy():
    worst = 0.0
    for p, q in pairs(4, 400, (2, 3, 5, 10, 33, 100, 200)):
        exact = truth.cross_entropy(p, q)
        worst = max(worst, truth.ulps(m.cross_entropy(p, q), exact))
    assert worst <= 4


def tiny_pair(rng, size):
    """Two rows whose exact shares differ by less than a double can say: only sums tell them apart."""
    p = rng.dirichlet(np.ones(size))
    q = p * (1 + 2.0**-52 * rng.integers(-1, 2, size))
    return p, q


@pytest.mark.parametrize("name", ["kl", "js"])
def test_divergences_below_1e32(name):
    rng = np.random.default_rng(5)
    truth.mp.prec = 600
    ours = {"kl": m.kl_divergence, "js": m.js_divergence}[name]
    exact = {"kl": truth.kl, "js": truth.js}[name]
    below = 0
    for _ in range(300):
        p, q = tiny_pair(rng, int(rng.choice((2, 3, 5, 10, 33))))
        value = exact(p, q)
        below += 0 < value < 1e-32
        assert truth.ulps(ours(p, q), value) <= 4
    assert below > 30
