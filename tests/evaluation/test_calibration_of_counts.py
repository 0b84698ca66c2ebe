"""What counts of scores say of calibration, against the rows themselves, however they are dealt."""

import numpy as np
import pytest
from scipy.optimize import isotonic_regression
from scipy.special import entr, expit, log_softmax, softmax

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


def best_scores(score, yes):
    """The Brier and the log score after the isotonic regression by SciPy, of all rows."""
    order = np.argsort(score, kind="stable")
    ordered, y = score[order], yes[order].astype(float)
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    weight = np.diff(np.append(starts, len(y)))
    found = isotonic_regression(np.add.reduceat(y, starts) / weight, weights=weight)
    share = np.repeat(found.x, weight)
    entropy = (entr(share) + entr(1 - share)) / np.log(2)
    return {"brier": (share * (1 - share)).mean(), "log": entropy.mean()}


# The logits of the model, and those by which classes are drawn.
MODELS = {
    "flat": lambda z: (0.3 * z, 0.3 * z),
    "usual": lambda z: (2 * z, 2 * z),
    "sharp": lambda z: (5 * z, 5 * z),
    "too sure": lambda z: (4 * z, z),
    "rare classes": lambda z: (2 * z - np.arange(10), 2 * z - np.arange(10)),
    "heavy ties": lambda z: (np.where(z > 0.3, z, 0.0), z),
}


MOST = {"brier": 4e-6, "log": 1.3e-5}  # by which cells of ten classes may move a part


@pytest.mark.parametrize("name", MODELS)
def test_cells_move_no_part_by_much(name):
    rng = np.random.default_rng(2)
    model, drawn = MODELS[name](rng.normal(size=(120_000, 10)))
    probs = softmax(model, axis=1).astype(np.float32)
    y = (drawn + rng.gumbel(size=drawn.shape)).argmax(axis=1)
    whole = Accumulator()
    whole.update(y, probs)
    report = whole.result()
    assert report.score_counts == "cells"
    for c, found in enumerate(report.decomposition["corp"]["classes"]):
        best = best_scores(probs[:, c], y == c)
        for score, flat in best_scores(np.zeros(len(y)), y == c).items():
            assert abs(found[score]["uncertainty"] - flat) < 1e-12
            assert abs(found[score]["discrimination"] - (flat - best[score])) < MOST[score]


@pytest.mark.parametrize("kind", ["probs", "logits"])
def test_cells_of_two_classes(kind, monkeypatch):
    p, y = two(40_000)
    values = p if kind == "probs" else np.log(p / (1 - p))
    rows = evaluate(y, **{kind: values})
    assert rows.score_counts == "exact"
    monkeypatch.setattr(counted, "MOST_SCORES", 1000)
    monkeypatch.setattr(counted, "FINEST_ALONE", 1 << 17)
    found = dealt(y, 2, **{kind: values})
    assert found.score_counts == "cells"
    close(found.decomposition["corp"], rows.decomposition["corp"], 2e-6)
    assert found.decomposition == dealt(y, 5, **{kind: values}).decomposition
    assert found.reliability["yes"]["slope"]["value"] == pytest.approx(
        rows.reliability["yes"]["slope"]["value"], rel=1e-6
    )
    assert found.ranking["roc_auc"] == pytest.approx(rows.ranking["roc_auc"], rel=0, abs=2e-7)


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


@pytest.mark.parametrize("bins", [7, [0, 0.2, 0.5, 1], "quantile", "corp"])
@pytest.mark.parametrize("classes", [2, 4])
def test_bins_that_are_chosen(bins, classes, tmp_path):
    """What an accumulator says in these bins is what `evaluate` says, through a file and a merge."""
    rng = np.random.default_rng(classes)
    logs = log_softmax(2 * rng.normal(size=(900, classes)), 1)
    probs, y = np.exp(logs), rng.integers(0, classes, 900)
    rows, whole = evaluate(y, probs, bins=bins), Accumulator(bins=bins)
    for some in np.array_split(np.arange(900), 3):
        one = Accumulator(bins=bins)
        one.update(y[some], probs[some], first_row=int(some[0]))
        one.save(tmp_path / "state")
        whole.merge(Accumulator.load(tmp_path / "state"))
    found = whole.result()
    assert found.binning == rows.binning
    assert found.calibration_error == pytest.approx(rows.calibration_error, rel=1e-10)
    assert len(found.calibration) == len(rows.calibration)
    views = ["top_label", "yes"] if classes == 2 else ["top_label"]
    for name in views:
        mine, theirs = found.reliability[name], rows.reliability[name]
        for part in ("ece", "ece_debiased", "smooth_ece"):
            assert mine[part] == pytest.approx(theirs[part], rel=1e-9), (name, part)
        for one, other in zip(mine["bins"], theirs["bins"], strict=True):
            assert one == pytest.approx(other, rel=1e-9)
    close(found.decomposition["corp"]["top_label"], rows.decomposition["corp"]["top_label"], 1e-9)


def test_of_many_classes_the_winning_one_is_counted():
    rng = np.random.default_rng(0)
    probs, y = rng.dirichlet(np.ones(70), 500), rng.integers(0, 70, 500)
    rows, whole = evaluate(y, probs), Accumulator()
    whole.update(y[:300], probs[:300])
    whole.update(y[300:], probs[300:])
    found = whole.result()
    assert (found.score_counts, rows.score_counts) == ("exact", "none")
    close(found.decomposition["corp"]["top_label"], rows.decomposition["corp"]["top_label"], 1e-9)
    mine, theirs = found.reliability["top_label"], rows.reliability["top_label"]
    assert mine["smooth_ece"] == pytest.approx(theirs["smooth_ece"], rel=1e-9)


def test_bins_that_do_not_go():
    with pytest.raises(ValueError, match="`bins` must be left out where ranking=False is given"):
        Accumulator(bins=3, ranking=False)
    one = Accumulator(bins=3)
    with pytest.raises(ValueError, match="`sample_weight` must be left out where bins are chosen"):
        one.update([0, 1], [[0.5, 0.5]] * 2, sample_weight=[1, 2])
    with pytest.raises(ValueError, match="`other` must have the `bins` of this one"):
        one.merge(Accumulator())
    with pytest.raises(ValueError, match="`bins` must be an integer of at least 1"):
        Accumulator(bins=0)
