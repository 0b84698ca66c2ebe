"""Chosen bins: each against a slow loop, and what the report calls them."""

import json
from itertools import pairwise

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from xent.cli import _evaluate
from xent.evaluation import evaluate
from xent.evaluation._reliability_charts import views_of


def drawn(rows=300, digits=2):
    rng = np.random.default_rng(0)
    p = rng.random(rows).round(digits)
    return (rng.random(rows) < p**2).astype(int), p


def error_of(y, p, groups):
    """The mean gap between said and seen, rows by their group."""
    parts = [[i for i, g in enumerate(groups) if g == k] for k in sorted(set(groups))]
    return sum(abs(sum(y[i] - p[i] for i in part)) for part in parts) / len(y), len(parts)


def grouped(p, bins):
    if isinstance(bins, int):
        return [min(int(x * bins), bins - 1) for x in p]
    return [max(k for k, edge in enumerate(bins[:-1]) if edge <= x) for x in p]


@pytest.mark.parametrize("bins", [1, 5, 10, 40, [0, 0.5, 1], [0, 0.03, 0.1, 0.9, 1.0]])
def test_bins_of_width_and_by_edges(bins):
    y, p = drawn()
    report = evaluate(y, p, bins=bins)
    want, count = error_of(y, p, grouped(p, bins))
    found = report.reliability["yes"]
    assert found["ece"] == pytest.approx(want, rel=1e-12)
    assert len(found["bins"]) == count
    winner = np.maximum(p, 1 - p)
    right = (p > 0.5) == y
    want, _ = error_of(right, winner, grouped(winner, bins))
    assert report.calibration_error == pytest.approx(want, rel=1e-12)
    assert report.calibration_error == report.reliability["top_label"]["ece"]
    assert sum(each.rows for each in report.calibration) == len(y)
    name = f"bins from 0 to {bins[1]:g}" if isinstance(bins, list) else f"{bins} equal-width bin"
    name += "s" * (bins in (5, 10, 40))
    assert report.binning == name if isinstance(bins, int) else report.binning.startswith(name)
    assert name in report.signature
    assert name in str(report)


def test_bins_of_equal_weight_keep_equals_together():
    y, p = drawn(digits=1)
    w = np.random.default_rng(1).random(len(y))
    for weight in (None, w):
        found = evaluate(y, p, bins="quantile", sample_weight=weight).reliability["yes"]["bins"]
        assert len(found) <= 11  # distinct probabilities
        assert all(a["high"] < b["low"] for a, b in pairwise(found))
    y, p = drawn(rows=1500, digits=9)
    found = evaluate(y, p, bins="quantile").reliability["yes"]
    assert [each["rows"] for each in found["bins"]] == [100] * 15
    order = np.argsort(p)
    want = sum(abs((y - p)[order[100 * k :][:100]].sum()) for k in range(15)) / 1500
    assert found["ece"] == pytest.approx(want, rel=1e-12)
    assert "15 bins of equal weight" in str(evaluate(y, p, bins="quantile"))


def test_blocks_of_the_isotonic_regression():
    from sklearn.isotonic import IsotonicRegression

    y, p = drawn()
    report = evaluate(y, p, bins="corp")
    fitted = IsotonicRegression().fit(p, y).predict(p)
    found = report.reliability["yes"]
    assert found["ece"] == pytest.approx(error_of(y, p, fitted.tolist())[0], rel=1e-9)
    assert [b["seen"] for b in found["bins"]] == pytest.approx(sorted(set(fitted)), abs=1e-12)
    assert report.binning == "blocks of the isotonic regression (CORP)"
    many = evaluate([0, 1, 2, 1], np.full((4, 3), 1 / 3), bins="corp")
    assert len(many.reliability["classwise"]["classes"][0]["bins"]) == 1


def test_nothing_changes_where_nothing_is_said():
    y, p = drawn()
    plain = evaluate(y, p)
    assert plain.binning == "15 equal-width bins"
    assert evaluate(y, p, bins=15) == plain
    assert "15 equal-width bins" in plain.signature
    assert "bins)" not in str(plain)


def test_other_bins_are_refused():
    for bins, error in (
        (0, ValueError), (10**6, ValueError), ([0, 1.1], ValueError), ([0.1, 1], ValueError),
        ([0, 0.5, 0.5, 1], ValueError), ([0], ValueError), (2.5, TypeError), (True, TypeError),
        ("uniform", ValueError), ([[0, 1]], ValueError), (["a", "b"], TypeError),
        ([0, float("nan"), 1], ValueError),
    ):  # fmt: skip
        with pytest.raises(error, match="`bins` must be"):
            evaluate([0, 1], [0.2, 0.7], bins=bins)


def test_bins_from_the_shell(tmp_path):
    y, p = drawn()
    file = tmp_path / "p.csv"
    file.write_text("y,p\n" + "".join(f"{a},{b}\n" for a, b in zip(y, p, strict=True)))
    app = typer.Typer()
    _evaluate.register(app)
    args = [str(file), "--target", "y", "--probs", "p", "--positive", "1", "--json", "-"]
    for text, bins in (("7", 7), ("0,0.25,1", [0, 0.25, 1]), ("corp", "corp")):
        done = CliRunner().invoke(app, [*args, "--bins", text])
        found = json.loads(done.stdout)
        want = evaluate(y, p, bins=bins)
        assert found["binning"] == want.binning
        assert found["reliability"]["yes"]["ece"] == pytest.approx(want.reliability["yes"]["ece"])
    for text in ("zero", "0.5", "0"):
        done = CliRunner().invoke(app, [*args, "--bins", text])
        assert str(done.exception).startswith("`--bins` must be"), done.exception


def rows_of(report, name):
    return [p["value"] for p in report.reliability["slices"] if p["by"] == name]


@pytest.mark.parametrize("weighted", [False, True])
def test_slices_have_the_bins_of_their_own_rows(weighted):
    y, p = drawn()
    rng = np.random.default_rng(1)
    shop = rng.choice(np.array(["x", "1", 1, None], object), len(y))
    w = rng.random(len(y)) if weighted else None
    report = evaluate(y, p, by={"shop": shop.tolist()}, sample_weight=w, bins=8)
    assert sorted(map(repr, rows_of(report, "shop"))) == ["'1'", "'x'", "1", "None"]
    for piece in report.reliability["slices"]:
        some = np.array([repr(value) == repr(piece["value"]) for value in shop])
        alone = evaluate(y[some], p[some], sample_weight=None if w is None else w[some], bins=8)
        want = alone.reliability["yes"]
        for name in ("ece", "ece_debiased", "ece_if_calibrated"):
            assert piece["yes"][name] == pytest.approx(want[name], rel=1e-12)
        assert piece["yes"]["bins"] == want["bins"]
    json.dumps(report.to_dict())


def test_slices_of_many_classes_are_a_cube():
    rng = np.random.default_rng(0)
    p, y, half = rng.dirichlet(np.ones(3), 200), rng.integers(0, 3, 200), np.arange(200) % 2
    report = evaluate(y, p, by={"half": half.tolist()})
    for piece in report.reliability["slices"]:
        some = half == piece["value"]
        alone = evaluate(y[some], p[some]).reliability
        assert piece["top_label"]["bins"] == alone["top_label"]["bins"]
        assert piece["classes"] == alone["classwise"]["classes"]
    names = list(views_of(report))
    assert len(names) == len(set(names)) == 4 + 2 * 4
    assert "the winning class, half 1" in names
    assert "slices" not in evaluate(y, p).reliability
