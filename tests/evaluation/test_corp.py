"""CORP decompositions against a slow oracle, a printed table, and another library."""

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xent.evaluation import evaluate

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "dimitriadis_2021.json").read_text())
PARTS = ["mean", "miscalibration", "discrimination", "uncertainty"]


def slow(p, y, w):
    """Decompose by the max-min formula of isotonic regression, in fractions."""
    scores = sorted(set(p))
    sums = [sum(w[i] for i in range(len(p)) if p[i] == s) for s in scores]
    ups = [sum(w[i] * y[i] for i in range(len(p)) if p[i] == s) for s in scores]
    n = len(scores)
    fit = {
        scores[k]: max(
            min(Fraction(sum(ups[a : b + 1]), sum(sums[a : b + 1])) for b in range(k, n))
            for a in range(k + 1)
        )
        for k in range(n)
    }
    total = sum(w)
    base = Fraction(sum(ups), total)

    def brier(f):
        return float(sum(w[i] * (f(i) - y[i]) ** 2 for i in range(len(p))) / total)

    def log(f):
        found = 0.0
        for i in range(len(p)):
            x = float(f(i) if y[i] else 1 - f(i))
            found += w[i] * (math.inf if x == 0 else -math.log2(x))
        return found / total

    out = {}
    for name, score in (("brier", brier), ("log", log)):
        given, best, flat = (
            score(f) for f in (lambda i: Fraction(p[i]), lambda i: fit[p[i]], lambda i: base)
        )
        out[name] = dict(zip(PARTS, (given, given - best, flat - best, flat), strict=True))
    return out


rows = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.625, 0.75, 1.0]),
        st.integers(0, 1),
        st.integers(1, 3),
    ),
    min_size=2,
    max_size=14,
)


@given(rows, st.booleans())
def test_against_fractions(rows, weighted):
    p, y, w = map(list, zip(*rows, strict=True))
    w = w if weighted else [1] * len(p)
    report = evaluate(y, p, sample_weight=w if weighted else None)
    found = report.decomposition["corp"]
    for score, parts in slow(p, y, w).items():
        for part in PARTS:
            expected = parts[part]
            assert found[score][part] == pytest.approx(expected, rel=1e-12, abs=1e-13), part
    assert found["brier"]["mean"] == pytest.approx(report.brier / 2, rel=1e-12, abs=1e-15)
    assert found["log"]["mean"] == pytest.approx(report.cross_entropy, rel=1e-12, abs=1e-15)
    assert math.isfinite(found["log"]["discrimination"])


@pytest.mark.parametrize("model", GOLDEN["published"])
def test_published(model):
    found = evaluate(GOLDEN["obs"], GOLDEN[model]).decomposition["corp"]["brier"]
    for part, printed in GOLDEN["published"][model].items():
        digits = len(printed.partition(".")[2])
        assert f"{found[part]:.{digits}f}" == printed, part


def test_a_certain_mistake_costs_infinitely_much_and_the_rest_is_finite():
    """The raw ensemble said 1 on a dry day."""
    report = evaluate(GOLDEN["obs"], GOLDEN["ENS"])
    log = report.decomposition["corp"]["log"]
    assert log["mean"] == log["miscalibration"] == report.cross_entropy == math.inf
    assert 0 < log["discrimination"] < log["uncertainty"] < 1
    assert report.to_dict()["decomposition"]["corp"]["log"]["mean"] == "inf"
    json.dumps(report.to_dict(), allow_nan=False)


def many(seed=0, rows=400, classes=4):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(rows, classes))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.array([rng.choice(classes, p=row) for row in probs]), probs, logits


@pytest.mark.parametrize("kind", ["probs", "logits"])
def test_many_classes_are_each_against_the_rest(kind):
    target, probs, logits = many()
    report = evaluate(target, **{kind: probs if kind == "probs" else logits})
    corp = report.decomposition["corp"]
    assert [entry["label"] for entry in corp["classes"]] == [0, 1, 2, 3]
    for c, entry in enumerate(corp["classes"]):
        alone = evaluate(target == c, probs[:, c]).decomposition["corp"]
        for score in ("brier", "log"):
            for part in PARTS:
                assert entry[score][part] == pytest.approx(alone[score][part], rel=1e-10)
    assert corp["brier"]["mean"] == pytest.approx(report.brier, rel=1e-12)
    right = probs.argmax(axis=1) == target
    winner = evaluate(right, probs.max(axis=1)).decomposition["corp"]
    for part in PARTS:
        assert corp["top_label"]["log"][part] == pytest.approx(winner["log"][part], rel=1e-10)


def test_the_parts_add_up():
    target, probs, _ = many(rows=2000)
    report = evaluate(target, probs)
    corp = report.decomposition["corp"]
    for entry in [corp, corp["top_label"], *corp["classes"]]:
        for score in ("brier", "log"):
            mean, bad, good, base = (entry[score][part] for part in PARTS)
            assert abs(mean - (bad - good + base)) <= 1e-12
            assert bad > 0
            assert good > 0


def test_more_than_64_classes_keep_the_winner_alone():
    rng = np.random.default_rng(0)
    report = evaluate(rng.integers(0, 65, 200), rng.dirichlet(np.ones(65), 200))
    assert list(report.decomposition["corp"]) == ["top_label"]


def test_the_order_of_the_rows_does_not_matter_to_the_last_bit():
    rng = np.random.default_rng(3)
    p, w = rng.random(500).round(2).clip(0.01, 0.99), rng.random(500) + 0.1
    y = (rng.random(500) < p).astype(int)
    order = rng.permutation(500)
    one = evaluate(y, p, sample_weight=w)
    two = evaluate(y[order], p[order], sample_weight=w[order])
    assert one.decomposition == two.decomposition
    assert one.recovered == two.recovered
    target, probs, _ = many()
    one = evaluate(target, probs)
    for _ in range(5):
        order = rng.permutation(400)
        two = evaluate(target[order], probs[order])
        assert one.decomposition == two.decomposition
        assert one.recovered == two.recovered


def test_one_class_one_row_and_a_constant():
    assert evaluate([0], [[1.0]]).decomposition == {}
    found = evaluate([1], [0.75]).decomposition["corp"]
    assert [found["brier"][part] for part in PARTS] == pytest.approx([0.0625, 0.0625, 0, 0])
    flat = evaluate([0, 1, 1, 1], [0.75] * 4).decomposition["corp"]["log"]
    assert flat["miscalibration"] == pytest.approx(0, abs=1e-15)
    assert flat["discrimination"] == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_against_model_diagnostics(weighted):
    """Printed by model-diagnostics 1.5.0, and asked anew where it is installed."""
    rng = np.random.default_rng(5)
    p = np.round(rng.random(60), 1).clip(0.05, 0.95)
    y = (rng.random(60) < p**1.5).astype(float)
    w = rng.integers(1, 4, 60).astype(float) if weighted else None
    printed = [0.193123, 0.242264, 0.606639, 0.557499] if weighted else [0.139763, 0.254285, 0.624331, 0.509809]  # fmt: skip
    found = evaluate(y, p, base=math.e, sample_weight=w).decomposition["corp"]
    names = [*PARTS[1:], "mean"]
    assert [found["log"][n] for n in names] == pytest.approx(printed, abs=6e-7)
    scoring = pytest.importorskip("model_diagnostics.scoring")
    for name, loss in (("brier", scoring.SquaredError()), ("log", scoring.LogLoss())):
        (theirs,) = scoring.decompose(y, p, w, scoring_function=loss).rows()
        assert [found[name][n] for n in names] == pytest.approx(theirs, rel=1e-9)
