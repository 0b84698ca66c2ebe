"""What articles derive, in numbers: four names of one loss, slopes, the second softmax, fairness."""

import math

import mpmath
import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_digits

from xent.measures import cross_entropy, entropy, kl_divergence
from xent.training import (
    SoftmaxClassifier,
    compare_losses,
    compare_losses_fairly,
    double_softmax_floor,
    likelihood_table,
    slopes_at,
)
from xent.training._story.fair import paired_interval
from xent.training._story.saturated import saturated_starts

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600] / 16, y[:600], (X[600:800] / 16, y[600:800])


@pytest.mark.parametrize("hidden", [(), (4,)])
def test_four_names_of_one_loss(hidden):
    """Of rows that occur several times, so that labels have an entropy; against the measures."""
    X = np.repeat([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [5, 8, 3], axis=0)
    y = np.array(list("aabbcaaaaaabcabb"))
    model = SoftmaxClassifier(hidden=hidden, epochs=3, random_state=0).fit(X, y)
    table = likelihood_table(model, X, y)
    p = model.predict_proba(X)
    true = p[np.arange(16), np.searchsorted(model.classes_, y)]
    shares = np.array(
        [[(y[a:b] == c).mean() for c in "abc"] for a, b in ((0, 5), (5, 13), (13, 16))]
    )
    of_rows, weight = p[[0, 5, 13]], np.array([5, 8, 3]) / 16
    assert 10**table.likelihood_log10 == pytest.approx(np.prod(true), rel=1e-9)
    expected = [
        -math.log(np.prod(true)) / 16,
        -np.log(true).mean(),
        weight @ cross_entropy(shares, of_rows),
        weight @ (kl_divergence(shares, of_rows) + entropy(shares)),
    ]
    np.testing.assert_allclose(list(table.values.values()), expected, rtol=1e-9)
    assert table.entropy == pytest.approx(weight @ entropy(shares), rel=1e-12)
    assert table.entropy > 0.5
    norms = list(table.gradient_norms.values())
    np.testing.assert_allclose(norms, norms[0], rtol=1e-12)
    assert table.largest_difference < 1e-14 < norms[0]
    assert len(str(table).splitlines()) == 6


def test_slopes_are_derivatives():
    """By mpmath's differentiation of the losses as they are written."""
    C = 7

    def losses(z):
        e = mpmath.exp(z)
        p = [e / (e + C - 1)] + [1 / (e + C - 1)] * (C - 1)
        s = [1 / (1 + mpmath.exp(-z))] + [mpmath.mpf(1) / 2] * (C - 1)
        t = [1] + [0] * (C - 1)
        second = mpmath.exp(p[0]) / sum(mpmath.exp(x) for x in p)
        return {
            "cross_entropy": -mpmath.log(p[0]),
            "mse_sigmoid": sum((a - b) ** 2 for a, b in zip(s, t, strict=True)),
            "mse_softmax": sum((a - b) ** 2 for a, b in zip(p, t, strict=True)),
            "double_softmax": -mpmath.log(second),
        }

    for z in (-30, -8, -1.5, 0, 2, 9):
        found = slopes_at(z, classes=C)
        with mpmath.workdps(40):
            for name, slope in found.items():
                expected = abs(mpmath.diff(lambda x, name=name: losses(x)[name], z))
                assert float(slope) == pytest.approx(float(expected), rel=1e-9)


def test_the_floor_of_a_second_softmax():
    assert double_softmax_floor(10) == pytest.approx(1.4612, abs=5e-5)
    assert double_softmax_floor(2) == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-12)


def test_a_second_softmax_is_seen_in_bits_and_in_its_floor(digits):
    X, y, held = digits
    settings = SoftmaxClassifier(epochs=8, random_state=0)
    found = compare_losses(
        X, y, ["cross_entropy", "double_softmax"], validation=held, classifier=settings
    )
    bits = {name: report.cross_entropy for name, report in found.reports.items()}
    assert bits["double_softmax"] > bits["cross_entropy"] + 0.1
    assert found.classifiers["double_softmax"].history_["loss"][-1] > double_softmax_floor(10)
    assert "cannot fall below ln(1 + 9/e) = 1.4612." in str(found)
    model = SoftmaxClassifier(**found.classifiers["double_softmax"].get_params())
    with pytest.raises(ValueError, match="`loss` must be a loss of logits, got 'double_softmax'"):
        model.fit(X, y)


def test_saturated_starts(digits):
    """A shift of all outputs is nothing to a softmax, and nearly everything to sigmoids."""
    X, y, held = digits
    settings = SoftmaxClassifier(epochs=4, random_state=0)
    names = ("cross_entropy", "mse_sigmoid")
    runs = saturated_starts(X, y, names, validation=held, classifier=settings, biases=(0, 5))
    ends = {(run.loss, run.bias): run.accuracy[-1] for run in runs}
    assert ends["cross_entropy", 5] == pytest.approx(ends["cross_entropy", 0], abs=0.02)
    assert ends["mse_sigmoid", 5] < ends["mse_sigmoid", 0] - 0.1
    assert runs[0].steps == [10, 20, 30, 40]


def test_a_fair_comparison(digits):
    X, y, held = digits
    settings = SoftmaxClassifier(epochs=2, learning_rate=0.5, random_state=4, progress=False)
    names = ["cross_entropy", "mse_softmax"]
    found = compare_losses_fairly(
        X, y, names, validation=held, classifier=settings, rates=[0.5, 15], seeds=3
    )
    first, second = found.results
    assert second.rate == 15
    assert np.mean(second.bits) < np.mean(second.shared_bits) - 0.5
    for s, bits in enumerate(second.bits):
        alone = SoftmaxClassifier("mse_softmax", epochs=2, learning_rate=15, random_state=4 + s)
        assert alone.fit(X, y, validation=held).history_["validation_bits"][-1] == bits
    gaps = np.array(second.bits) - first.bits
    low, high = stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    assert second.difference == pytest.approx((gaps.mean(), low, high))
    assert first.difference == (0, 0, 0)
    assert len(str(found).splitlines()) == 3


def test_a_rate_that_diverges_is_not_chosen(digits):
    X, y, held = digits
    settings = SoftmaxClassifier(epochs=1, random_state=0, progress=False)
    found = compare_losses_fairly(
        X, y, ["cross_entropy"], validation=held, classifier=settings, rates=[1e38, 0.5], seeds=2
    )
    assert found.results[0].rate == 0.5
    assert paired_interval([1.0, 2.0], [1.0, 2.0]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"seeds": 1}, "`seeds` must be an integer of at least 2, got 1."),
        ({"rates": []}, "`rates` must name at least one learning rate, got none."),
        ({"rates": [0]}, "`rates` must be positive and finite, got 0."),
        ({"losses": ["nll", "nll"]}, "`losses` must name at least one loss, and each once, got ['nll', 'nll']."),
    ],
)  # fmt: skip
def test_wording(options, sentence):
    with pytest.raises(ValueError) as caught:
        compare_losses_fairly([[0.0], [1.0]], [0, 1], validation=([[0.0]], [0]), **options)
    assert str(caught.value) == sentence
