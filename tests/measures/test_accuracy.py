"""Error to mpmath in ULP, over rows that are hard to be right about: goals of docs/measures.md."""

import numpy as np
import pytest

from measures import truth
from xent.measures import (
    Counts,
    conditional_mutual_information,
    entropy,
    js_divergence,
    kl_divergence,
    mutual_information,
)

MEASURES = {
    "entropy": (entropy, truth.entropy),
    "kl": (kl_divergence, truth.kl),
    "js": (js_divergence, truth.js),
}
GOALS = {"entropy": 4, "kl": 4, "js": 8}
SIZES = (2, 3, 5, 10, 33, 128, 200)


def check(worst, goals=GOALS):
    for name, (error, args) in worst.items():
        assert error <= goals[name], f"{name}: {error:.3g} ULP at {args}"


def sweep(make, count, seed, sizes=SIZES):
    rng = np.random.default_rng(seed)
    return [make(rng, int(rng.choice(sizes))) for _ in range(count)]


def test_hard_rows():
    check(truth.worst_of(MEASURES, sweep(truth.hard_pair, 1500, 1)))


def alike_pairs(sizes):
    """Rows of two values each: every term rounds as the others do, and nothing averages out."""
    for size in sizes:
        flat = np.full(size, 1 / size)
        for less in (0.3, 0.25, 0.1, 0.04, 0.01, 1e-5):
            every = np.where(np.arange(size) % 2 == 0, 1.0, less)
            third = np.where(np.arange(size) < size // 3, 1.0, less)
            for row in (every / every.sum(), third / third.sum()):
                yield from ((row, flat), (flat, row), (row, row[::-1].copy()))


def test_alike_rows():
    check(truth.worst_of(MEASURES, alike_pairs((40, 100, 200))))


def test_long_alike_rows():
    check(truth.worst_of(MEASURES, list(alike_pairs((1000,)))[::5]))


def test_subnormal_rows():
    check(truth.worst_of(MEASURES, sweep(truth.subnormal_pair, 40, 2, (2, 3, 10))))


def test_counts():
    rng = np.random.default_rng(3)
    pairs = []
    for _ in range(400):
        size = int(rng.choice(SIZES))
        p = rng.integers(1, 10 ** int(rng.integers(1, 15)), size)
        near = p + rng.integers(0, 3, size)
        pairs.append((p, near if rng.random() < 0.7 else rng.integers(1, 10**6, size)))
    measures = {
        "entropy": (lambda p: entropy(Counts(p)), truth.entropy),
        "kl": (lambda p, q: kl_divergence(Counts(p), Counts(q)), truth.kl),
        "js": (lambda p, q: js_divergence(Counts(p), Counts(q)), truth.js),
    }
    check(truth.worst_of(measures, pairs))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_low_precision_is_exact_to_two_of_its_own_ulps(dtype):
    rng = np.random.default_rng(4)
    unit = float(np.finfo(dtype).eps) / np.finfo(np.float64).eps
    for _ in range(300):
        p = rng.dirichlet(np.ones(8)).astype(dtype)
        q = (p * (1 + 0.01 * rng.standard_normal(8))).astype(dtype)
        q = (q / q.sum(dtype=np.float64)).astype(dtype)
        truth.mp.prec = 200
        for name, (ours, exact) in MEASURES.items():
            args = (p,) if name == "entropy" else (p, q)
            assert truth.ulps(ours(*args), exact(*args)) <= 2 * unit


def test_mutual_information_near_independence():
    rng = np.random.default_rng(5)
    for _ in range(200):
        x, y = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(5))
        joint = np.outer(x, y) * (1 + 10.0 ** -rng.integers(1, 9) * rng.standard_normal((4, 5)))
        joint = np.abs(joint) / np.abs(joint).sum()
        truth.mp.prec = 260
        h = [truth.entropy(v) for v in (joint.sum(1), joint.sum(0), joint.ravel())]
        exact = [truth.mpf(float(v)) for v in joint.ravel()]
        total = truth.fsum(exact)
        px = [truth.fsum(exact[i * 5 : i * 5 + 5]) / total for i in range(4)]
        py = [truth.fsum(exact[j::5]) / total for j in range(5)]
        product = [a * b for a in px for b in py]
        real = truth.fsum(
            v / total * truth.log(v / total / w) for v, w in zip(exact, product, strict=True) if v
        )
        error = abs(float(truth.mpf(mutual_information(joint)) - real))
        assert error <= 8 * np.spacing(max(float(v) for v in h))


@pytest.mark.long
def test_a_hundred_thousand_hard_rows(repeats):
    sizes = (2, 2, 3, 3, 5, 8, 12, 16)
    check(truth.worst_of(MEASURES, sweep(truth.hard_pair, repeats(100_000), 6, sizes)))


@pytest.mark.long
@pytest.mark.parametrize("size", [1000, 4096, 128_000])
def test_long_rows(size):
    count = 24 if size < 10_000 else 6
    check(truth.worst_of(MEASURES, sweep(truth.hard_pair, count, 7, (size,))))


def test_rows_whose_sums_are_off():
    """As far as may be, where a row may be a little off or far; at the end of a vector, too."""
    rng = np.random.default_rng(8)
    pairs = []
    for size in (33, 39, 64, 200):
        for off in (9e-7, -9e-7, 3e-15, -3e-15, 0.0):
            p = rng.random(size) + 0.1
            near = p * (1 + 8e-6 * rng.standard_normal(size))
            end = np.where(np.arange(size) < size - size % 8, p, p[::-1])
            far = 10.0 ** rng.uniform(-9, 0, size)
            for q in (near, end, far):
                pairs.append((p / p.sum(), q / q.sum() * (1 + off)))
                pairs.append((q / q.sum() * (1 + off), p / p.sum()))
    check(truth.worst_of(MEASURES, pairs))


def test_marginals_too_rare_to_count_and_cells_that_never_are():
    rare = np.array([[1e-200, 0.0], [0.0, 1.0]])  # whose square is no number
    assert 0 <= mutual_information(rare) < 1e-190
    joint = np.random.default_rng(9).dirichlet(np.ones(24)).reshape(2, 3, 4)
    wider = np.insert(joint, 2, 0.0, axis=2)  # a third value that never is
    found = conditional_mutual_information(wider)
    assert found == pytest.approx(conditional_mutual_information(joint), rel=1e-13)
    of_z, by_z = joint.sum((0, 1)), []
    for k in range(4):
        p = joint[..., k] / of_z[k]
        model = p.sum(1)[:, None] * p.sum(0)
        by_z.append((p * np.log(p / model)).sum())
    assert found == pytest.approx(of_z @ by_z, rel=1e-12)
