"""Calibration errors, slopes and diagrams against slow oracles and other libraries."""

import json
import math
from itertools import product

import mpmath as mp
import numpy as np
import pytest
from scipy.special import expit, log_softmax
from scipy.stats import binom

from xent.evaluation import evaluate

NAMES = ["ece", "ece_debiased", "ece_if_calibrated", "squared", "squared_debiased"]


def two(rows=300, power=1.6, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.random(rows).clip(0.001, 0.999)
    return p, rng.random(rows) < p**power


def reliability(y, p, **options):
    return evaluate(np.asarray(y).astype(int), np.asarray(p), **options).reliability


# ------------------------------------------------------------------ errors in bins


@pytest.mark.parametrize("weighted", [False, True])
def test_plain_errors_by_hand(weighted):
    p, y = two()
    w = np.random.default_rng(1).random(300) + 0.2 if weighted else np.ones(300)
    found = reliability(y, p, **({"sample_weight": w} if weighted else {}))["yes"]
    ece = squared = 0.0
    for k in range(15):
        own = (p * 15).astype(int) == k
        gap = abs((w[own] * (y[own] - p[own])).sum()) / w[own].sum()
        ece += w[own].sum() / w.sum() * gap
        squared += w[own].sum() / w.sum() * gap**2
    assert found["ece"] == pytest.approx(ece, rel=1e-12)
    assert found["squared"] == pytest.approx(squared, rel=1e-12)
    assert sum(b["rows"] for b in found["bins"]) == pytest.approx(w.sum())
    assert (found["bins"][0]["low"], found["bins"][-1]["high"]) == (0, 1)
    top = evaluate(y, p, **({"sample_weight": w} if weighted else {}))
    assert top.reliability["top_label"]["ece"] == pytest.approx(top.calibration_error, rel=1e-9)


def test_the_squared_error_has_no_bias():
    """Over all outcomes of 5 rows that are said 0.2 and are yes with 0.6 the mean is 0.4²."""
    total = plain = 0.0
    for y in product([0, 1], repeat=5):
        chance = 0.6 ** sum(y) * 0.4 ** (5 - sum(y))
        found = reliability(y, [0.2] * 5)["yes"]
        total += chance * found["squared_debiased"]
        plain += chance * found["squared"]
    assert total == pytest.approx(0.16, rel=1e-12)
    assert plain == pytest.approx(0.16 + 0.6 * 0.4 / 5, rel=1e-12)
    one = sum(
        c * reliability([y], [0.2])["yes"]["squared_debiased"] for y, c in ((1, 0.2), (0, 0.8))
    )
    assert one == pytest.approx(0, abs=1e-15)


def test_what_chance_alone_makes_of_the_error():
    """Exact where a bin is said one number, near where it is not, and so in simulations."""
    rng = np.random.default_rng(0)
    sizes = {0.03: 40, 0.25: 7, 0.5: 1, 0.7: 60, 1.0: 3}
    p = np.repeat(list(sizes), list(sizes.values()))
    found = reliability(rng.random(len(p)) < p, p)["yes"]["ece_if_calibrated"]
    exact = sum(
        binom(n, q).expect(lambda k, n=n, q=q: abs(k - n * q)) for q, n in sizes.items()
    ) / len(p)  # fmt: skip
    assert found == pytest.approx(exact, rel=1e-9)
    p = rng.random(500) ** 2
    found = reliability(rng.random(500) < p, p)["yes"]["ece_if_calibrated"]
    drawn = []
    for _ in range(400):
        y = rng.random(500) < p
        drawn.append(np.abs(np.bincount((p * 15).astype(int), y - p)).sum() / 500)
    assert found == pytest.approx(np.mean(drawn), rel=0.04)


def test_the_plain_error_less_its_bias():
    """The mean size of a normal variable about what was seen, as a library draws it at random."""
    p, y = two(60, power=1.0)
    found = reliability(y, p)["yes"]
    expected = 0.0
    for b in found["bins"]:
        gap, error = b["seen"] - b["said"], math.sqrt(b["seen"] * (1 - b["seen"]) / b["rows"])
        mean = abs(gap)
        if error:
            mean = float(mp.quad(lambda x: abs(x) * mp.npdf(x, gap, error), [-mp.inf, 0, mp.inf]))  # noqa: B023
        expected += b["rows"] / 60 * (2 * abs(gap) - mean)
    assert found["ece_debiased"] == pytest.approx(expected, rel=1e-9)
    assert found["ece_debiased"] < found["ece"]


def test_bands_are_of_the_binomial_distribution():
    p, y = two(200, seed=2)
    for b in reliability(y, np.round(p, 1))["yes"]["bins"]:
        low, high = binom.ppf([0.025, 0.975], b["rows"], b["said"]) / b["rows"]
        assert (b["band_low"], b["band_high"]) == pytest.approx((max(low, 0), high))


def test_certain_rows_and_one_row():
    found = reliability([0, 1, 1], [0.0, 1.0, 1.0])["yes"]
    assert [found[name] for name in NAMES] == [0.0] * 5
    assert found["smooth_ece"] == 0
    assert (found["slope"], found["intercept"], found["left_out"]) == (None, None, 3)
    one = reliability([1], [0.25])["yes"]
    assert one["ece"] == pytest.approx(0.75)
    assert one["ece_if_calibrated"] == pytest.approx(2 * 0.25 * 0.75)
    json.dumps(evaluate([1], [0.25]).to_dict(), allow_nan=False)


def test_classes_are_each_against_the_rest():
    rng = np.random.default_rng(0)
    z = 2 * rng.normal(size=(300, 4))
    probs = np.exp(log_softmax(z, axis=1))
    truth = rng.integers(0, 3, 300)
    found = evaluate(truth, probs).reliability["classwise"]
    assert [entry["label"] for entry in found["classes"]] == [0, 1, 2, 3]
    alone = [reliability(truth == c, probs[:, c])["yes"] for c in range(4)]
    for entry, expected in zip(found["classes"], alone, strict=True):
        for name in NAMES:
            assert entry[name] == pytest.approx(expected[name], rel=1e-9)
    assert found["ece"] == pytest.approx(np.mean([a["ece"] for a in alone]))


# ------------------------------------------------------------------ without bins


def slow_smooth(p, y, width, cells=4000):
    """Integrate the residuals under reflected Gaussians, image by image."""
    t = (np.arange(cells) + 0.5) / cells
    total = np.zeros(cells)
    for f, gap in zip(p, y - p, strict=True):
        for image in range(-4, 5):
            for center in (2 * image + f, 2 * image - f):
                total += gap * np.exp(-((t - center) ** 2) / (2 * width**2))
    return np.abs(total).mean() / (len(p) * width * math.sqrt(2 * math.pi))


@pytest.mark.parametrize("rows", [5, 60])
def test_smooth_error_is_the_width_that_it_equals(rows):
    p, y = two(rows)
    found = reliability(y, p)["yes"]["smooth_ece"]
    assert slow_smooth(p, y, found) == pytest.approx(found, rel=1e-4)


def test_smooth_error_of_certain_mistakes_is_one():
    assert reliability([0, 0], [1.0, 1.0])["yes"]["smooth_ece"] == 1


def test_smooth_error_against_relplot():
    """Printed by relplot 1.0.3, whose search stops within 0.001, and asked anew where it is."""
    p, y = two(2000)
    found = reliability(y, p)["yes"]["smooth_ece"]
    assert found == pytest.approx(0.11757, abs=0.001)
    relplot = pytest.importorskip("relplot")
    assert found == pytest.approx(relplot.smECE(p, y.astype(float)), abs=0.001)


# ------------------------------------------------------------------ slope and intercept


def test_slope_and_intercept_against_mpmath():
    p, y = two(40, seed=3)
    found = reliability(y, p)["yes"]
    x = [mp.log(mp.mpf(q) / (1 - mp.mpf(q))) for q in p]

    def gap(a, b):
        each = [1 / (1 + mp.exp(-a * xi - b)) - int(yi) for xi, yi in zip(x, y, strict=True)]
        return [mp.fsum(e * xi for e, xi in zip(each, x, strict=True)), mp.fsum(each)]

    a, b = mp.findroot(gap, (found["slope"]["value"], 0.0))
    curve = [1 / (2 + mp.exp(a * xi + b) + mp.exp(-a * xi - b)) for xi in x]
    info = [mp.fsum(c * xi**k for c, xi in zip(curve, x, strict=True)) for k in range(3)]
    error = mp.sqrt(info[0] / (info[0] * info[2] - info[1] ** 2))
    z = mp.mpf("1.959963984540054")
    assert found["slope"]["value"] == pytest.approx(float(a), rel=1e-11)
    assert found["slope"]["low"] == pytest.approx(float(a - z * error), rel=1e-9)
    large = mp.findroot(lambda c: gap(1, c)[1], 0)
    error = 1 / mp.sqrt(mp.fsum(1 / (2 + mp.exp(xi + large) + mp.exp(-xi - large)) for xi in x))
    assert found["intercept"]["value"] == pytest.approx(float(large), rel=1e-11)
    assert found["intercept"]["high"] == pytest.approx(float(large + z * error), rel=1e-9)


def test_slope_and_intercept_against_statsmodels():
    sm = pytest.importorskip("statsmodels.api")
    p, y = two()
    x = np.log(p / (1 - p))
    found = reliability(y, p)["yes"]
    theirs = sm.GLM(y.astype(float), sm.add_constant(x), family=sm.families.Binomial()).fit()
    assert found["slope"]["value"] == pytest.approx(theirs.params[1], rel=1e-7)
    assert [found["slope"][k] for k in ("low", "high")] == pytest.approx(
        theirs.conf_int()[1], rel=1e-6
    )
    large = sm.GLM(y.astype(float), np.ones(300), family=sm.families.Binomial(), offset=x).fit()
    assert found["intercept"]["value"] == pytest.approx(large.params[0], rel=1e-7)
    assert [found["intercept"][k] for k in ("low", "high")] == pytest.approx(
        large.conf_int()[0], rel=1e-6
    )


def test_slope_of_known_miscalibration_and_of_separated_rows():
    rng = np.random.default_rng(0)
    x = 2 * rng.normal(size=20_000)
    found = reliability(rng.random(20_000) < expit(x / 2 - 1), expit(x))["yes"]
    assert found["slope"]["low"] < 0.5 < found["slope"]["high"]
    assert found["intercept"]["high"] < 0
    parted = reliability([0, 0, 1, 1], [0.1, 0.3, 0.6, 0.8])["yes"]
    assert parted["slope"] is None
    assert parted["intercept"] is not None
    flat = reliability([0, 1, 1], [0.5] * 3)["yes"]
    assert flat["slope"] is None
    assert flat["intercept"]["value"] == pytest.approx(math.log(2))


def test_weights_widen_by_what_they_say_and_not_by_their_unit():
    p, y = two()
    w = np.random.default_rng(0).random(300)
    one, ten = (reliability(y, p, sample_weight=u * w)["yes"] for u in (1, 10))
    for name in ("slope", "intercept"):
        for end in ("value", "low", "high"):
            assert one[name][end] == pytest.approx(ten[name][end], rel=1e-9)
    for name in [*NAMES, "smooth_ece"]:
        assert one[name] == pytest.approx(ten[name], rel=1e-9)


# ------------------------------------------------------------------ diagrams


def test_the_curve_rises_and_the_band_holds_the_diagonal():
    p, y = two(1000, power=2)
    corp = reliability(y, p)["yes"]["corp"]
    seen = [b["seen"] for b in corp["blocks"]]
    assert seen == sorted(seen)
    assert sum(b["rows"] for b in corp["blocks"]) == 1000
    assert all(b["low"] <= b["high"] for b in corp["blocks"])
    said = np.array([b["said"] for b in corp["band"]])
    low, high = (np.array([b[k] for b in corp["band"]]) for k in ("low", "high"))
    assert len(said) == 100
    assert (np.diff(said) > 0).all()
    inside = (low <= said) & (said <= high)
    assert inside.mean() > 0.9
    # What is seen is p², below the band in the middle.
    middle = abs(said - 0.5) < 0.1
    assert (high[middle] > 0.4).all()
    assert (said[middle] ** 2 < low[middle]).all()
    again = reliability(y[::-1], p[::-1])["yes"]["corp"]
    assert again == corp


def test_many_classes_have_the_curve_of_the_winner():
    rng = np.random.default_rng(0)
    report = evaluate(rng.integers(0, 70, 200), rng.dirichlet(np.ones(70), 200))
    assert list(report.reliability) == ["top_label"]
    assert report.reliability["top_label"]["corp"]["blocks"]
    json.dumps(report.to_dict(), allow_nan=False)
