"""What reports say in words: numbers of every size, every note, every heading, ends of lists."""

import math
from itertools import product

import numpy as np
import pytest

from xent.evaluation import Accumulator, compare, evaluate, evaluate_tokens
from xent.evaluation import _html as html
from xent.evaluation._numbers import digits, percent

RNG = np.random.default_rng(0)
Y, P, Q = RNG.integers(0, 3, 40), RNG.dirichlet(np.ones(3), 40), RNG.dirichlet(np.ones(3), 40)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0.0, "0.0000"), (1.0, "1.0000"), (0.1, "0.1000"), (0.05, "0.05000"), (-0.05, "-0.05000"),
        (1.25e-3, "0.001250"), (1.25e-5, "0.00001250"), (1.25e-6, "1.250e-06"),
        (-1.25e-6, "-1.250e-06"), (math.inf, "inf"), (-math.inf, "-inf"), (math.nan, "-"),
    ],
)  # fmt: skip
def test_numbers_of_every_size(value, wanted):
    assert digits(value) == wanted
    sign = "" if value != value or value < 0 else "+"
    assert digits(value, sign=True) == sign + wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0.0, "0.0 %"), (1.0, "100.0 %"), (0.5, "50.0 %"), (0.01, "1.0 %"), (0.009, "0.9 %"),
        (0.0094, "0.94 %"), (0.00123, "0.123 %"), (2e-6, "0.0002 %"), (-0.00123, "-0.123 %"),
        (-1.5, "-150.0 %"), (1e-9, "0.0 %"), (math.inf, "-"), (math.nan, "-"),
    ],
)  # fmt: skip
def test_shares_of_every_size(value, wanted):
    assert percent(value) == wanted


@pytest.mark.parametrize(
    ("interval", "test", "grouped", "several"),
    [
        *product(
            ["student", "bootstrap"], ["t", "sign_flip", "bootstrap"], [False, True], [False, True]
        )
    ],
)
def test_every_note_of_a_comparison(interval, test, grouped, several):
    groups = np.arange(40) // 2 if grouped else None
    models = (P, Q, P[:, ::-1]) if several else (P, Q)
    found = compare(*models, target=Y, interval=interval, test=test, groups=groups, resamples=100)
    said = {"student": "Student's", "bootstrap": "percentile bootstrap"}[interval]
    drawn = "rows are drawn one by one"
    if grouped:
        said += ", cluster-robust" if interval == "student" else " of groups"
        drawn = "20 groups of rows are drawn whole"
    how = {"t": "paired t", "sign_flip": "sign flips", "bootstrap": "inverted bootstrap interval"}
    line = f"interval: {said}; p: {how[test]}; {drawn}"
    if (interval, test) != ("student", "t"):
        line += "; 100 resamples, seed 0"
    more = ["Holm's correction for 2 comparisons; intervals have none"] if several else []
    assert found.notes() == [line, *more]
    assert ("Holm's" in str(found).replace(more[0] if more else "-", "")) == several


def test_slices_are_corrected_among_themselves():
    """Two slices and two pairs: four p-values, of which the least counts four times (Holm 1979)."""
    found = compare(P, Q, P[:, ::-1], target=Y, by={"half": np.arange(40) % 2})
    for each in (found.differences, found.slices):
        order, largest = sorted(each, key=lambda d: d.p_value), 0.0
        for rank, d in enumerate(order):
            largest = max(largest, min(1.0, (len(each) - rank) * d.p_value))
            assert d.adjusted == pytest.approx(largest)
    assert (len(found.differences), len(found.slices)) == (2, 4)


@pytest.mark.parametrize("base", [2, math.e, 10])
@pytest.mark.parametrize("classes", [2, 3, 9])
def test_what_is_known_without_a_model_in_every_unit(classes, base):
    y = np.arange(60) % classes
    y[:10] = 0
    p = np.random.default_rng(classes).dirichlet(np.ones(classes), 60)
    found = evaluate(y, p, base=base, prior=np.arange(1, classes + 1), label_smoothing=0.1)
    share = np.bincount(y) / 60
    unit, told = math.log(base), np.arange(1, classes + 1) / sum(range(1, classes + 1))
    assert found.uniform == pytest.approx(math.log(classes) / unit)
    assert found.prior == pytest.approx(-(share * np.log(share)).sum() / unit)
    assert found.training_prior == pytest.approx(-(share * np.log(told)).sum() / unit)
    assert found.smoothing_floor == pytest.approx(-math.log(0.9 + 0.1 / classes) / unit)
    each = [-np.log(p[y == c, c]).mean() for c in range(classes)]
    assert found.macro == pytest.approx(np.mean(each) / unit)


@pytest.mark.parametrize("weighed", [False, True])
def test_floors_for_a_truth_that_is_impossible(weighed):
    p, w = P.copy(), np.arange(40) % 3 + 1.0 if weighed else np.ones(40)
    for row, said in ((3, 0.0), (5, 1e-20), (8, 1e-10), (30, 0.0)):
        rest = np.delete(np.arange(3), Y[row])
        p[row, rest] = (1 - said) / 2
        p[row, Y[row]] = said
    found = evaluate(Y, p, sample_weight=w if weighed else None)
    assert found.impossible == 2
    for name, value in found.floored.items():
        least = 2.0**-52 if name == "2.2e-16" else float(name)
        kept = np.maximum(p[np.arange(40), Y], least)
        assert value == pytest.approx(-(w @ np.log2(kept)) / w.sum(), rel=1e-6), name


def test_what_is_missing_is_one_slice():
    place = [None, math.nan, float("nan"), "x"] * 10
    found = evaluate(Y, P, by={"place": place})
    assert {piece.value: piece.rows for piece in found.slices} == {None: 30, "x": 10}


def test_among_equals_the_first_rows_are_the_hardest_in_whatever_order_they_come():
    p = np.full((25, 2), 0.5)
    for order in ((0, 1), (1, 0)):
        one = Accumulator()
        for k in order:
            one.update(np.zeros(25, int), p, first_row=25 * k)
        assert [h.row for h in one.result().hardest] == [*range(20)]


def test_of_a_row_that_comes_twice_the_first_of_all_counts():
    """Not the first of its batch: the batches may come in any order."""
    early, late = [[0.5, 0.5]] * 3 + [[0.75, 0.25]], [[0.25, 0.75], [0.5, 0.5]]
    for turned in (False, True):
        one = Accumulator(once=True)
        parts = [([0] * 4, early, list("abcd"), 0), ([0] * 2, late, list("de"), 4)]
        for y, p, ids, first in parts[::-1] if turned else parts:
            one.update(y, p, ids=ids, first_row=first)
        assert one.result().cross_entropy == pytest.approx((4 - math.log2(0.75)) / 5)


@pytest.mark.parametrize("edge", [0.25, 0.5])
def test_a_probability_on_an_edge_lies_in_the_bin_above(edge):
    found = evaluate([1, 0, 1, 1], [0.1, edge, edge, 0.9], bins=[0, 0.25, 0.5, 1])
    bins = {(b["low"], b["high"]): b["rows"] for b in found.reliability["yes"]["bins"]}
    assert bins == (
        {(0, 0.25): 1, (0.25, 0.5): 2, (0.5, 1): 1} if edge == 0.25 else {(0, 0.25): 1, (0.5, 1): 3}
    )


@pytest.mark.parametrize(
    ("scores", "groups"), [(99, 99), (100, 100), (101, 51), (150, 75), (201, 67)]
)
def test_the_band_of_chance_has_a_hundred_places_at_most(scores, groups):
    p = np.linspace(0.1, 0.9, scores)
    found = evaluate((np.arange(scores) % 2), p)
    assert len(found.reliability["yes"]["corp"]["band"]) == groups


@pytest.mark.parametrize("most", [2, 3])
def test_a_page_says_how_many_classes_it_lists(most, monkeypatch, tmp_path):
    monkeypatch.setattr(html, "MOST_LISTED", most)
    evaluate(Y, P).to_html(tmp_path / "x.html")
    said = f"The first {most} are listed."
    assert (said in (tmp_path / "x.html").read_text()) == (most < 3)


@pytest.mark.parametrize("texts", [None, ["a b", "ccc"]])
def test_every_line_of_a_report_of_tokens(texts):
    logs = [[-math.log(2), -math.log(4)], [-math.log(8)]]
    lines = str(evaluate_tokens(logs, texts=texts, ids=["x", "y"])).splitlines()
    assert lines[0] == "2 documents, 3 tokens"
    assert lines[2].startswith("bits a token      2.0000   95 % interval over documents 0.0000 to ")
    assert lines[2].endswith("   (3 tokens)")
    assert "perplexity of tokens 4" in lines
    assert "first token of a document: given what was not said" in lines
    rate = {None: ("token", "y                          3.0000   (1 token)"),
            1: ("byte", "x                          1.0000   (2 tokens)")}[texts and 1]  # fmt: skip
    at = lines.index(f"documents that cost most for their length: bits a {rate[0]}")
    assert lines[at + 1] == f"  {rate[1]}"
    assert "1 to 1             2   2.0000" in "\n".join(lines)
