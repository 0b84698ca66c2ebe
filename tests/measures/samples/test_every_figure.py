"""Values and errors of estimates from two samples under every option, by draws and derivatives."""

import math

import numpy as np
import pytest

from xent.measures import (
    estimate_cross_entropy,
    estimate_entropy,
    estimate_kl_divergence,
    estimate_mutual_information,
)
from xent.measures.samples._result import doubt
from xent.measures.samples._ties import entropy_of_repeats

SIZE = 5
X, Y = list("aaaaaaabbbbccd"), list("aabbbccccccddddddddd")
PRIORS = {
    "jeffreys": lambda rows: 0.5,
    "uniform": lambda rows: 1.0,
    "perks": lambda rows: 1 / SIZE,
    "minimax": lambda rows: math.sqrt(rows) / SIZE,
    0.3: lambda rows: 0.3,
}


def posterior(column, prior, draws, rng):
    counts = np.array([*map(column.count, "abcd"), 0.0])
    return rng.dirichlet(counts + PRIORS[prior](len(column)), draws)


@pytest.mark.parametrize("prior", PRIORS)
def test_posteriors_by_draws(prior):
    rng, draws = np.random.default_rng(0), 400_000
    p, q = (posterior(column, prior, draws, rng) for column in (X, Y))
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p, log_q = np.log(np.maximum(p, 1e-300)), np.log(np.maximum(q, 1e-300))
    options = {"method": "dirichlet", "size": SIZE, "prior": prior}
    for found, drawn in (
        (estimate_entropy(X, **options), -(p * log_p).sum(1)),
        (estimate_entropy(Y, **options), -(q * log_q).sum(1)),
        (estimate_cross_entropy(X, Y, **options), -(p * log_q).sum(1)),
        (estimate_cross_entropy(Y, X, **options), -(q * log_p).sum(1)),
        (estimate_kl_divergence(X, Y, **options), (p * (log_p - log_q)).sum(1)),
        (estimate_kl_divergence(Y, X, **options), (q * (log_q - log_p)).sum(1)),
    ):
        assert found.value == pytest.approx(drawn.mean(), abs=5 * drawn.std() / math.sqrt(draws))
        assert found.standard_error == pytest.approx(drawn.std(), rel=0.015)


def normal(a, b, u, v, divergence):
    """Closed form of two normals fitted to weighed rows."""
    mean_a, mean_b = np.average(a, 0, u), np.average(b, 0, v)
    cov_a, cov_b = np.cov(a.T, aweights=u, bias=True), np.cov(b.T, aweights=v, bias=True)
    cov_a, cov_b = np.atleast_2d(cov_a), np.atleast_2d(cov_b)
    gap, d = mean_a - mean_b, a.shape[1]
    cost = d * math.log(2 * math.pi) + np.linalg.slogdet(cov_b)[1]
    cost += np.trace(np.linalg.solve(cov_b, cov_a)) + gap @ np.linalg.solve(cov_b, gap)
    own = d * math.log(2 * math.pi * math.e) + np.linalg.slogdet(cov_a)[1]
    return (cost - own * divergence) / 2


@pytest.mark.parametrize("divergence", [True, False])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_normals_by_derivatives(d, divergence):
    """The error is that of the delta method: how each row, if it weighed more, would move it."""
    rng = np.random.default_rng(d)
    a, b = rng.normal(size=(14, d)), 0.5 + 1.5 * rng.normal(size=(9, d))
    estimate = estimate_kl_divergence if divergence else estimate_cross_entropy
    found = estimate(a, b, method="normal")
    one, other = np.ones(len(a)), np.ones(len(b))
    assert found.value == pytest.approx(normal(a, b, one, other, divergence), rel=1e-10)
    variance, step = 0.0, 1e-5
    for side, rows in ((0, one), (1, other)):
        moved = []
        for i in range(len(rows)):
            both = []
            for sign in (1, -1):
                weight = [one.copy(), other.copy()]
                weight[side][i] += sign * step
                both.append(normal(a, b, *weight, divergence))
            moved.append((both[0] - both[1]) / (2 * step))
        variance += sum(x * x for x in moved)
    assert found.standard_error == pytest.approx(math.sqrt(variance), rel=1e-6)


@pytest.mark.parametrize("method", ["normal", "nearest_neighbors"])
@pytest.mark.parametrize("power", [-150, 0, 150])
def test_costs_grow_with_the_unit_and_divergences_do_not(method, power):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 12, 2))
    scale = 10.0**power
    cost = estimate_cross_entropy(a, b, method=method).value + 2 * math.log(scale)
    assert estimate_cross_entropy(a * scale, b * scale, method=method).value == pytest.approx(cost)
    far = estimate_kl_divergence(a * scale, b * scale, method=method)
    assert far.value == pytest.approx(estimate_kl_divergence(a, b, method=method).value)


@pytest.mark.parametrize("divergence", [True, False])
@pytest.mark.parametrize(("n", "k"), [(12, 1), (12, 3), (4, 3)])
def test_neighbours_by_a_slow_loop(n, k, divergence):
    """Value, and the error from how often each row of the model's sample is a neighbour."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(7, 2))
    terms, near = [], np.zeros(len(y))
    for i, point in enumerate(x):
        away = sorted((math.dist(point, other), j) for j, other in enumerate(y))
        own = sorted(math.dist(point, other) for j, other in enumerate(x) if j != i)
        for _, j in away[:k]:
            near[j] += len(y) / (n * k)
        if divergence:
            terms.append(2 * math.log(away[k - 1][0] / own[k - 1]) + math.log(len(y) / (n - 1)))
        else:
            psi = -0.5772156649015329 + sum(1 / j for j in range(1, k))
            volume = math.log(math.pi) + 2 * math.log(away[k - 1][0])
            terms.append(math.log(len(y)) - psi + volume)
    estimate = estimate_kl_divergence if divergence else estimate_cross_entropy
    found = estimate(x, y, method="nearest_neighbors", neighbors=k)
    assert found.value == pytest.approx(np.mean(terms))
    error = math.sqrt(np.var(terms) / n + np.var(near) / len(y))
    assert found.standard_error == pytest.approx(error)


@pytest.mark.parametrize("estimate", [estimate_kl_divergence, estimate_cross_entropy])
def test_the_fewest_rows_of_each_sample(estimate):
    """A neighbour among the others needs one row more than a neighbour in the other sample."""
    rows = np.array([0.0, 1.0, 2.5, 4.5])
    estimate(rows, rows[:3] + 0.1, method="nearest_neighbors")
    with pytest.raises(ValueError, match="`x` must have at least 4 rows, got 3"):
        estimate(rows[:3], rows, method="nearest_neighbors")
    with pytest.raises(ValueError, match="`y` must have at least 3 rows, got 2"):
        estimate(rows, rows[:2], method="nearest_neighbors")
    for d in (1, 2):
        points = np.random.default_rng(0).normal(size=(d + 1, d))
        estimate(points, points[::-1] + 1, method="normal")
        for name, pair in (("x", (points[:d], points)), ("y", (points, points[:d]))):
            with pytest.raises(ValueError, match=f"`{name}` must have at least {d + 1} rows, got"):
                estimate(*pair, method="normal")


def test_shuffles_that_change_nothing_are_as_far_off():
    found = estimate_mutual_information("aaaaaa", "aabbab", permutations=9, rng=0)
    assert (found.p_value, found.adjusted) == (1.0, 0.0)
    found = estimate_kl_divergence("aaaa", "aaa", permutations=9, rng=0)
    assert (found.p_value, found.adjusted) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("value", "said"), [(-0.29, False), (-0.31, True), (1.0, False), (1.1, True)]
)
@pytest.mark.parametrize("base", [math.e, 2])
def test_how_far_an_information_may_be_off(base, value, said, recwarn):
    """Three of its errors below 0, and nothing above the entropy, which is said in its unit."""
    doubt("It is", value, 0.1, {"x": 1.2, "y": 1.0}, math.log(base))
    assert len(recwarn) == said
    if said and value > 0:
        assert f"above {1 / math.log(base):.4g}, the entropy of `y`" in str(recwarn[0].message)
    elif said:
        assert "3.1 standard errors below 0" in str(recwarn[0].message)


def psi(n):
    return -0.5772156649015329 + sum(1 / j for j in range(1, n))


def of_symbols(rows):
    """ψ(n) - Σ n_i ψ(n_i) / n, which is what neighbours make of symbols."""
    counts = [rows.count(row) for row in set(rows)]
    return psi(len(rows)) - sum(n * psi(n) for n in counts) / len(rows)


def test_what_repeats_is_bounded_as_symbols_also_where_something_is_given():
    x, z = [1, 1, 2, 2, 2, 3, 3, 3, 3], [0, 0, 0, 1, 1, 1, 2, 2, 2]
    points, given = np.array([x, z], float)[:, :, None]
    assert entropy_of_repeats(points, []) == pytest.approx(of_symbols(x))
    both = of_symbols([*zip(x, z, strict=True)]) - of_symbols(z)
    assert entropy_of_repeats(points, [given]) == pytest.approx(max(of_symbols(x), both))
    # Told apart by what is given, it has more than alone.
    x, z = [1, 1, 1, 1, 1, 1, 1, 2], [1, 2, 3, 4, 5, 6, 7, 7]
    points, given = np.array([x, z], float)[:, :, None]
    both = of_symbols([*zip(x, z, strict=True)]) - of_symbols(z)
    assert entropy_of_repeats(points, [given]) == pytest.approx(max(of_symbols(x), both))
