"""What is measured of each row, against slow oracles: every width, type, layout and tie."""

import math

import numpy as np
import pytest

import oracle
from xent.evaluation import evaluate
from xent.evaluation._evaluate import evaluated
from xent.evaluation._predictions import predictions
from xent.evaluation._rows import measured

mp = oracle.mp


def rows_of(target, **scores):
    given = dict.fromkeys(("probs", "logits", "log_probs")) | scores
    found = predictions(
        target, *given.values(), labels=None, positive=None, sample_weight=None, ignore=None,
        normalize=False, allow_probabilities=False,
    )  # fmt: skip
    return measured(found)


def slow(row, true):
    """Cost, Brier's score and confidence of weights of classes, in 50 digits."""
    total = sum(row)
    p = [w / total for w in row]
    rest = sum(w for j, w in enumerate(row) if j != true)
    brier = sum(x**2 for j, x in enumerate(p) if j != true) + (rest / total) ** 2
    cost = mp.inf if row[true] == 0 else mp.log1p(rest / row[true])
    before = [w for j, w in enumerate(row) if w > row[true] or (w == row[true] and j < true)]
    return cost, brier, max(p), row.index(max(row)), len(before)


def check(found, i, want, rel):
    cost, brier, confidence, guess, rank = want
    assert (found.guess[i], found.rank[i]) == (guess, rank)
    assert found.cost[i] == pytest.approx(float(cost), rel=rel, abs=0)
    assert found.brier[i] == pytest.approx(float(brier), rel=4 * rel, abs=1e-300)
    assert found.confidence[i] == pytest.approx(float(confidence), rel=rel)
    assert found.given[i] == pytest.approx(float(mp.exp(-cost)), rel=4 * rel, abs=1e-307)


WIDTHS = [2, 3, 9, 64, 65, 72, 101]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", WIDTHS)
def test_probabilities(classes, dtype):
    rng = np.random.default_rng(classes)
    weights = np.exp(rng.normal(size=(37, classes)) * rng.choice([0.1, 2, 12], 37)[:, None])
    weights[::5, 0] = 0
    weights[::7] = np.round(weights[::7])  # ties
    weights[:, -1] += weights.sum(1) == 0
    probs = (weights / weights.sum(axis=1)[:, None]).astype(dtype)
    target = rng.integers(0, classes, 37)
    found = rows_of(target, probs=probs)
    for i, row in enumerate(probs.tolist()):
        check(found, i, slow([mp.mpf(p) for p in row], target[i]), 2e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [3, 9, 70])
def test_a_negative_zero_is_a_zero(classes, dtype):
    target = np.arange(1, 40) % classes
    probs = np.zeros((39, classes), dtype)
    probs[np.arange(39), (target + 1) % classes] = 1
    probs[np.arange(39), target] = -0.0
    found = rows_of(target, probs=probs)
    # The certain class, and those that have as much and stand before the true one.
    assert found.rank.tolist() == [t + (t + 1 < classes) for t in target.tolist()]
    assert np.isinf(found.cost).all()


@pytest.mark.parametrize("kind", ["logits", "log_probs"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", WIDTHS)
def test_logits(classes, dtype, kind):
    rng = np.random.default_rng(classes)
    logits = (rng.normal(size=(37, classes)) * rng.choice([0.1, 2, 30, 600], 37)[:, None]).astype(
        dtype
    )
    logits[::7] = np.round(logits[::7])  # ties
    if kind == "log_probs":
        wide = logits.astype(np.float64)
        wide -= wide.max(axis=1)[:, None]
        logits = (wide - np.log(np.exp(wide).sum(axis=1))[:, None]).astype(dtype)
    logits[::5, 0] = -np.inf
    if kind == "log_probs":
        logits = logits[np.abs(np.exp(logits.astype(float)).sum(axis=1) - 1) < 1e-7]
    target = rng.integers(0, classes, len(logits))
    found = rows_of(target, **{kind: logits})
    for i, row in enumerate(logits.tolist()):
        check(found, i, slow([mp.exp(z) for z in row], target[i]), 4e-15)


def test_extreme_probabilities():
    """A subnormal costs what it costs; a nearly certain class keeps the digits of the rest."""
    tiny = 5e-324
    for p in (tiny, 1e-310, 1e-300, 2.0**-53, 0.0):
        for classes in (2, 70):
            row = [1.0, p] + [0.0] * (classes - 2)
            found = rows_of([1, 0], probs=[row, row])
            cost = math.inf if p == 0 else float(-mp.log(mp.mpf(p) / (1 + mp.mpf(p))))
            assert found.cost[0] == pytest.approx(cost, rel=1e-15)
            assert found.cost[1] == pytest.approx(p, rel=1e-15, abs=0)


def test_costs_of_any_size_keep_their_digits():
    for gap in (40.0, 100.0, 700.0):
        for classes in (2, 70):
            logits = [[gap] + [0.0] * (classes - 1)] * 3
            report = evaluate([0, 0, 0], logits=logits, base=math.e)
            want = float(mp.log1p((classes - 1) * mp.exp(-gap)))
            assert report.cross_entropy == pytest.approx(want, rel=1e-15, abs=0)
    report = evaluate([1, 1], logits=[[1e300, 0.0]] * 2, base=math.e)
    assert report.cross_entropy == 1e300
    assert report.floored["1e-15"] == pytest.approx(-math.log(1e-15))


@pytest.mark.parametrize("classes", [4, 80])
def test_types_and_layouts_give_the_same_rows(classes):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    # Values that bfloat16 holds, so that nothing is rounded on the way.
    logits = torch.tensor(rng.normal(size=(40, classes))).bfloat16().double().numpy()
    target = rng.integers(0, classes, 40)
    want = evaluate(target, logits=logits).to_dict()
    half = np.round(logits * 8) / 8
    want_half = evaluate(target, logits=half).to_dict()
    for other in (
        logits.astype(np.float32), np.asfortranarray(logits), logits.astype(">f8"),
        np.repeat(logits, 2, axis=1)[:, ::2], torch.tensor(logits).bfloat16(),
        torch.tensor(logits, requires_grad=True), logits.astype(np.longdouble), logits.tolist(),
    ):  # fmt: skip
        assert evaluate(target, logits=other).to_dict() == want
    for other in (half.astype(np.float16), torch.tensor(half).half()):
        assert evaluate(target, logits=other).to_dict() == want_half


@pytest.mark.parametrize("classes", [3, 90])
def test_bad_rows_are_named_wherever_they_stand(classes):
    rows = 70_000 if classes == 3 else 9000
    probs = np.full((rows, classes), 1 / classes)
    bad = rows - 3
    for value, sentence in (
        (-0.5, f"be non-negative, got -0.5 at \\[{bad}, 1\\]"),
        (math.nan, f"be finite, got nan at \\[{bad}, 1\\]"),
        (0.9, f"sum to 1 in every row, got 1\\.\\d+ at row {bad}"),
    ):
        wrong = probs.copy()
        wrong[bad, 1] = value
        with pytest.raises(ValueError, match=sentence):
            evaluate(np.zeros(rows, int), wrong)
    for value in (math.nan, math.inf):
        wrong = np.log(probs)
        wrong[bad, 1] = value
        for kind in ("logits", "log_probs"):
            with pytest.raises(ValueError, match=f"be finite or -inf, got {value} at"):
                evaluate(np.zeros(rows, int), **{kind: wrong})
    wrong = np.log(probs)
    wrong[bad] = -np.inf
    with pytest.raises(ValueError, match=f"only -inf at row {bad}"):
        evaluate(np.zeros(rows, int), logits=wrong)
    wrong[bad] = 0.5
    with pytest.raises(ValueError, match=f"sum to 1 in every row, got .* at row {bad}"):
        evaluate(np.zeros(rows, int), log_probs=wrong)


def test_rows_that_count_are_kept_by_their_numbers():
    _, each = evaluated(
        [0, -1, 1], [[0.5, 0.5]] * 3, None, None, labels=None, positive=None,
        sample_weight=[0, 1, 2.5], by=None, ids=None, ignore_index=-1, normalize=False,
        allow_probabilities=False, base=2,
    )  # fmt: skip
    assert (each.row.tolist(), each.weight.tolist(), each.rank.tolist()) == ([2], [2.5], [1])
