"""Bits recovered, cross-fitted, against a plain loop over folds and against laws."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax

from xent.evaluation import evaluate
from xent.evaluation._calibration.calibrators.isotonic import fitted_stairs
from xent.evaluation._calibration.calibrators.logistic import fitted_line
from xent.evaluation._calibration.calibrators.softmax import fitted_biases, fitted_slope
from xent.evaluation._calibration.folds import CROSS_FOLDS, dealt, hashed


def two(rows=600, slope=0.5, shift=0.4, seed=0):
    rng = np.random.default_rng(seed)
    z = 2 * rng.normal(size=rows)
    return z, rng.random(rows) < expit(slope * z + shift)


def loss(z, y):
    return np.logaddexp(0, z) - y * z


# ------------------------------------------------------------------ the solvers


@pytest.mark.parametrize("weighted", [False, True])
def test_lines_are_the_best_there_are(weighted):
    z, y = two()
    w = np.random.default_rng(1).random(600) if weighted else np.ones(600)
    best = minimize(lambda t: w @ loss(t[0] * z + t[1], y), [1, 0], tol=1e-14).x
    line = fitted_line(z, y, w)
    assert [line.slope, line.intercept] == pytest.approx(best, abs=1e-5)
    assert not line.separated
    p = expit(line.slope * z + line.intercept)
    assert abs(w @ (p - y)) < 1e-10  # to full accuracy: the gradient is nothing
    assert abs((w * (p - y)) @ z) < 1e-10
    slope = fitted_line(z, y, w, intercept=False).slope
    assert abs((w * (expit(slope * z) - y)) @ z) < 1e-10


def test_the_line_of_mpmath():
    import mpmath as mp

    z, y = two(rows=25, seed=4)
    line = fitted_line(z, y, np.ones(25))

    def gap(a, b):
        p = [1 / (1 + mp.exp(-a * mp.mpf(x) - b)) for x in z]
        each = [pi - int(yi) for pi, yi in zip(p, y, strict=True)]
        return [mp.fsum(e * mp.mpf(x) for e, x in zip(each, z, strict=True)), mp.fsum(each)]

    found = mp.findroot(gap, (line.slope, line.intercept))
    assert [line.slope, line.intercept] == pytest.approx([float(v) for v in found], rel=1e-12)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_separated_rows_have_a_finite_line(flip, intercept):
    z = np.array([-3.0, -1.0, -0.5, 0.25, 2.0, 900.0])
    y = z > 0
    line = fitted_line(-z if flip else z, y, np.ones(6), intercept=intercept)
    assert math.isfinite(line.slope)
    assert line.separated or (flip and not intercept)
    x = -z if flip else z
    assert loss(line.slope * x + line.intercept, y).sum() <= loss(x, y).sum() + 1e-12
    only = fitted_line(z, np.ones(6, bool), np.ones(6))
    assert only.separated
    assert math.isfinite(only.intercept)


def test_temperature_is_the_best_there_is():
    rng = np.random.default_rng(0)
    z = 3 * rng.normal(size=(300, 5))
    z[::7, 4] = -np.inf
    p = np.exp(0.4 * z)
    truth = np.array([rng.choice(5, p=row / row.sum()) for row in p])
    log_probs = log_softmax(z, axis=1)
    w = rng.random(300)

    def blocks():
        yield log_probs[:100], truth[:100], w[:100]
        yield log_probs[100:], truth[100:], w[100:]

    def cost(beta):
        scaled = np.where(np.isneginf(z), -np.inf, beta * np.maximum(z, -1e300))
        return -w @ log_softmax(scaled, axis=1)[np.arange(300), truth]

    found = fitted_slope(blocks)
    assert found.slope == pytest.approx(minimize_scalar(cost, (0.1, 1)).x, rel=1e-6)
    step = 1e-4
    assert abs(cost(found.slope + step) - cost(found.slope - step)) / (2 * step) < 1e-4
    assert fitted_slope(blocks, start=7.0).slope == pytest.approx(found.slope, rel=1e-13)
    biased = fitted_biases(blocks, 5)
    bias = biased.bias
    said = np.exp(biased.at(log_probs))
    assert said.sum(axis=1) == pytest.approx(np.ones(300))
    assert (said[::7, 4] == 0).all()
    # What the model says of a class in all is how often it occurs.
    assert w @ said == pytest.approx(np.bincount(truth, w), rel=1e-9)
    assert abs(bias.sum()) < 1e-12


def test_two_classes_with_biases_are_platts():
    z, y = two()
    log_probs = log_softmax(np.stack([np.zeros(600), z], axis=1), axis=1)
    found = fitted_biases(lambda: iter([(log_probs, y.astype(int), np.ones(600))]), 2)
    line = fitted_line(z, y, np.ones(600))
    assert found.slope == pytest.approx(line.slope, rel=1e-9)
    assert found.bias[1] - found.bias[0] == pytest.approx(line.intercept, rel=1e-9)


@pytest.mark.parametrize("virtual", [None, 0, 5.0])
def test_stairs_rise_and_are_no_worse_than_the_model(virtual):
    rng = np.random.default_rng(0)
    for rows in (3, 20, 400):
        z = np.round(3 * rng.normal(size=rows), 1)
        z[0] = 2000.0
        y, w = rng.random(rows) < expit(-z / 4), rng.random(rows) + 0.1
        stairs = fitted_stairs(z, y, w, virtual)
        grid = np.concatenate([np.linspace(-9, 9, 999), [-np.inf, -2000.0, 2000.0, np.inf]])
        log_yes, log_no = stairs.at(np.sort(grid))
        assert (np.diff(np.exp(log_yes)) >= -1e-15).all()
        assert np.exp(log_yes) + np.exp(log_no) == pytest.approx(np.ones(len(grid)))
        log_yes, log_no = stairs.at(z)
        assert not np.isnan(log_yes).any()
        mended = -(w @ np.where(y, log_yes, log_no))
        assert mended <= w @ loss(z, y) + 1e-12
        if virtual is None:
            assert np.isfinite(log_yes[1:]).all()


# ------------------------------------------------------------------ folds


def test_equal_rows_are_dealt_in_turn():
    hashes = hashed(np.array([[0.5, 1.0]] * 10 + [[0.25, 0.0]] * 7))
    fold, chosen = dealt(hashes, 100)
    assert sorted(np.bincount(fold[:10], minlength=5)) == [2] * 5
    assert sorted(np.bincount(fold[10:], minlength=5)) == [1, 1, 1, 2, 2]
    assert chosen.all()


def test_folds_are_of_one_size_and_so_is_what_is_fitted_on():
    values = np.random.default_rng(0).random((20_000, 3)).round(2)
    fold, chosen = dealt(hashed(values), 5000)
    assert np.bincount(fold) == pytest.approx(np.full(CROSS_FOLDS, 4000), rel=0.05)
    assert chosen.sum() == pytest.approx(5000, rel=0.05)
    order = np.random.default_rng(1).permutation(20_000)
    again, _ = dealt(hashed(values[order]), 5000)
    assert sorted(zip(map(tuple, values[order].tolist()), again.tolist(), strict=True)) == sorted(
        zip(map(tuple, values.tolist()), fold.tolist(), strict=True)
    )
    assert hashed(np.array([[-0.0]])) == hashed(np.array([[0.0]]))


# ------------------------------------------------------------------ what the report says


def test_what_a_known_temperature_recovers():
    """Logits twice too large: mending them brings back what was lost, within the interval."""
    rng = np.random.default_rng(0)
    z = 1.5 * rng.normal(size=(4000, 6))
    truth = (np.exp(log_softmax(z, axis=1)).cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    report = evaluate(truth, logits=2 * z)
    found = report.recovered["temperature"]
    here = np.arange(4000)
    lost = (log_softmax(z, axis=1) - log_softmax(2 * z, axis=1))[here, truth].mean() / math.log(2)
    assert found["temperature"] == pytest.approx(2, rel=0.1)
    assert found["low"] < lost < found["high"]
    assert found["mean"] == pytest.approx(lost, rel=0.05)
    assert found["left"] + found["mean"] == pytest.approx(report.cross_entropy, rel=1e-12)
    parts = report.decomposition["refinement"]
    assert parts["mean"] == pytest.approx(report.cross_entropy, rel=1e-12)
    assert (parts["refinement"], parts["calibration_error"]) == (found["left"], found["mean"])
    honest = evaluate(truth, logits=z).recovered["temperature"]
    assert abs(honest["mean"]) < 1e-3


def test_what_a_known_temperature_recovers_of_two_classes():
    rng = np.random.default_rng(0)
    z = 1.5 * rng.normal(size=20_000)
    found = evaluate(
        (1 / (1 + np.exp(-z)) > rng.random(20_000)).astype(int), logits=2 * z
    ).recovered
    assert found["temperature"]["temperature"] == pytest.approx(2, rel=0.1)
    assert found["platt"]["slope"] == pytest.approx(0.5, rel=0.1)
    assert found["platt"]["intercept"] == pytest.approx(0, abs=0.1)


def test_two_classes_against_a_loop_over_folds():
    z, y = two()
    report = evaluate(y, logits=z, base=math.e)
    found = report.recovered
    assert list(found) == ["temperature", "platt", "isotonic"]
    log_yes, log_no = -np.logaddexp(0, -z), -np.logaddexp(0, z)
    content = np.stack([log_yes, log_no, y, np.ones(600)], axis=1)
    # The report's numbers may differ from these in a last bit, and then its folds do too.
    fold, _ = dealt(hashed(content), 1 << 16)
    gained = np.empty(600)
    for k in range(CROSS_FOLDS):
        line = fitted_line(z[fold != k], y[fold != k], np.ones((fold != k).sum()))
        own = fold == k
        gained[own] = loss(z[own], y[own]) - loss(line.slope * z[own] + line.intercept, y[own])
    assert found["platt"]["mean"] == pytest.approx(gained.mean(), rel=0.05)
    reach = (found["platt"]["high"] - found["platt"]["low"]) / 2
    assert reach == pytest.approx(1.964 * gained.std() / math.sqrt(600), rel=0.05)


def test_what_cannot_be_mended_is_negative_and_shown_so():
    rng = np.random.default_rng(2)
    p = rng.random(60)
    report = evaluate(rng.random(60) < p, p)
    assert report.recovered["isotonic"]["mean"] < 0
    assert f"isotonic {report.recovered['isotonic']['mean']:+.4f}" in str(report)


def test_certain_mistakes_cost_infinitely_much_before_and_after():
    z, y = two(rows=50)
    p = expit(z)
    p[0], y[0] = 0.0, True
    p[1], y[1] = 1.0, True
    found = evaluate(y, p).recovered
    assert found["temperature"]["left"] == math.inf
    assert math.isfinite(found["temperature"]["mean"])
    logits = np.stack([np.zeros(50), z, z - 1], axis=1)
    logits[0] = [-np.inf, 0, 0]
    many = evaluate(np.r_[0, y[1:].astype(int)], logits=logits).recovered["temperature"]
    assert many["left"] == math.inf
    assert math.isfinite(many["mean"])


def test_infinities_of_both_signs_have_no_mean():
    """One certain mistake is mended by the other folds, another is made by them."""
    from xent.evaluation._calibration.estimators.interval import mean_and_interval

    w = np.ones(3)
    assert mean_and_interval(np.array([np.inf, 1.0, 2.0]), w) == (math.inf,) * 3
    assert mean_and_interval(np.array([-np.inf, 1.0, 2.0]), w) == (-math.inf,) * 3
    assert np.isnan(mean_and_interval(np.array([-np.inf, np.inf, 2.0]), w)).all()
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = rng.choice([0.0, 1.0, 0.5, 0.3], 20)
        report = evaluate(rng.integers(0, 2, 20), p)
        assert "recovered" in str(report)
        report.to_dict()


def test_a_constant_model_and_few_rows():
    """Equal rows are not all in one fold, or a constant would look mendable or hopeless."""
    y = np.tile([1, 0, 0, 0], 50)
    found = evaluate(y, [0.25] * 200).recovered
    for method in ("temperature", "platt", "isotonic"):
        assert abs(found[method]["mean"]) < 1e-3, method
    many = evaluate(np.tile([0, 1, 2, 3], 50), np.full((200, 4), 0.25)).recovered
    assert many["temperature"]["mean"] == pytest.approx(0, abs=1e-15)
    assert evaluate([0, 1], [0.25, 0.75]).recovered == {}


def test_rows_without_weight_or_ignored_take_no_part():
    z, y = two(rows=80)
    w = np.ones(80)
    w[60:] = 0
    half = evaluate(y, logits=z, sample_weight=w)
    target = np.where(np.arange(80) < 60, y, -100)
    few = evaluate(target, logits=z, ignore_index=-100)
    short = evaluate(y[:60], logits=z[:60])
    assert half.recovered["platt"]["mean"] == pytest.approx(short.recovered["platt"]["mean"])
    assert few.recovered == short.recovered
    assert few.decomposition == short.decomposition


def test_large_data_are_fitted_on_a_part(monkeypatch):
    from xent.evaluation._calibration import recovered

    z, y = two(rows=3000, seed=3)
    logits = np.stack([np.zeros(3000), z, z / 2], axis=1)
    whole = evaluate(y, logits=z).recovered["platt"], evaluate(y.astype(int), logits=logits)
    monkeypatch.setattr(recovered, "MOST_CELLS", 4500)
    part = evaluate(y, logits=z).recovered["platt"], evaluate(y.astype(int), logits=logits)
    assert part[0]["mean"] == pytest.approx(whole[0]["mean"], rel=0.1)
    assert part[1].recovered["temperature"]["mean"] == pytest.approx(
        whole[1].recovered["temperature"]["mean"], rel=0.1
    )
    assert part[0] != whole[0]
