"""What counts of scores say of calibration, against the rows themselves, however they are dealt."""

import numpy as np
import pytest
from scipy.special import expit, log_softmax

from xent.evaluation import Accumulator, evaluate
from xent.evaluation._accumulator.scores import column as counted

PARTS = ["mean", "miscalibration", "discrimination", "uncertainty"]


def two(rows=3000, digits=None, seed=0):
    rng = np.random.default_rng(seed)
    z = 2 * rng.normal(size=rows)
    p = expit(z) if digits is None else expit(z).round(digits)
    return p, (rng.random(rows) < expit(z / 2 + 0.3)).astype(int)


def dealt(target, parts, **scores):
    """Return the report of rows that several accumulators counted."""
    whole = Accumulator()
    (kind, values) = scores.popitem()
    for some in np.array_split(np.random.default_rng(parts).permutation(len(target)), parts):
        one = Accumulator()
        one.update(target[some], **{kind: values[some]})
        whole.merge(one)
    return whole.result()


def close(one, two, tolerance):
    for score in ("brier", "log"):
        for part in PARTS:
            assert one[score][part] == pytest.approx(two[score][part], rel=0, abs=tolerance), part


@pytest.mark.parametrize("digits", [None, 2])
def test_two_classes(digits):
    p, y = two(digits=digits)
    rows = evaluate(y, p)
    found = dealt(y, 3, probs=p)
    close(found.decomposition["corp"], rows.decomposition["corp"], 1e-12)
    mine, theirs = found.reliability["yes"], rows.reliability["yes"]
    for name in ("ece", "ece_debiased", "ece_if_calibrated", "squared_debiased", "smooth_ece"):
        assert mine[name] == pytest.approx(theirs[name], rel=1e-10), name
    for name in ("slope", "intercept"):
        for end in ("value", "low", "high"):
            assert mine[name][end] == pytest.approx(theirs[name][end], rel=1e-10)
    assert [b["rows"] for b in mine["bins"]] == [b["rows"] for b in theirs["bins"]]
    again = dealt(y, 7, probs=p)
    assert again.decomposition == found.decomposition
    assert again.reliability == found.reliability


@pytest.mark.parametrize("kind", ["probs", "logits", "log_probs"])
def test_many_classes(kind):
    rng = np.random.default_rng(0)
    z = np.round(2 * rng.normal(size=(500, 4)), 1)
    truth = rng.integers(0, 4, 500)
    scores = {"logits": z, "log_probs": log_softmax(z, axis=1), "probs": np.exp(log_softmax(z, 1))}
    rows = evaluate(truth, **{kind: scores[kind]})
    found = dealt(truth, 3, **{kind: scores[kind]})
    close(found.decomposition["corp"], rows.decomposition["corp"], 1e-9)
    for one, other in zip(
        found.decomposition["corp"]["classes"], rows.decomposition["corp"]["classes"], strict=True
    ):
        close(one, other, 1e-9)
    assert "top_label" not in found.reliability


@pytest.mark.parametrize("kind", ["probs", "logits"])
def test_cells_move_the_parts_by_little(kind, monkeypatch):
    p, y = two(40_000)
    values = p if kind == "probs" else np.log(p / (1 - p))
    rows = evaluate(y, **{kind: values})
    assert rows.score_counts == "exact"
    monkeypatch.setattr(counted, "MOST_SCORES", 1000)
    found = dealt(y, 2, **{kind: values})
    assert found.score_counts == "cells"
    # Within a cell the isotonic regression cannot bend, which it does between any two rows.
    close(found.decomposition["corp"], rows.decomposition["corp"], 3e-5)
    assert found.decomposition["corp"]["brier"]["miscalibration"] == pytest.approx(
        rows.decomposition["corp"]["brier"]["miscalibration"], rel=0, abs=5e-6
    )
    assert found.decomposition == dealt(y, 5, **{kind: values}).decomposition
    assert found.reliability["yes"]["slope"]["value"] == pytest.approx(
        rows.reliability["yes"]["slope"]["value"], rel=1e-6
    )


def test_certain_scores_and_weights():
    p = np.array([0.0, 0.0, 1.0, 1.0, 0.5, 0.5])
    y = np.array([0, 1, 1, 1, 0, 1])
    rows, found = evaluate(y, p), dealt(y, 2, probs=p)
    assert found.decomposition["corp"]["log"]["mean"] == np.inf
    close(found.decomposition["corp"], rows.decomposition["corp"], 1e-12)
    whole = Accumulator()
    w = np.arange(1.0, 7.0)
    whole.update(y[2:], p[2:], sample_weight=w[2:])
    weighted = evaluate(y[2:], p[2:], sample_weight=w[2:])
    close(whole.result().decomposition["corp"], weighted.decomposition["corp"], 1e-12)
    assert whole.result().reliability == {}
