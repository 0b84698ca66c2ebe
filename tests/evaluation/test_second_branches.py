"""Second branches of the evaluation room: what the screen says beside the numbers of the report."""

import math
from string import ascii_lowercase
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xent.evaluation import (
    Accumulator,
    compare,
    evaluate,
    evaluate_dense,
    evaluate_multilabel,
    evaluate_ordered,
    evaluate_soft,
    evaluate_tokens,
)
from xent.evaluation._calibration.estimators.interval import mean_and_interval
from xent.evaluation._compare._paired import Pieces, sign_flip
from xent.evaluation._kinds import _multilabel
from xent.evaluation._kinds._means import mean_of, reach
from xent.evaluation._ranking import THRESHOLDS, _ranking


def many(classes=15, rows=600):
    rng = np.random.default_rng(8)
    probs = rng.dirichlet(np.full(classes, 0.4), rows)
    return np.array([rng.choice(classes, p=row) for row in probs]), probs


def test_the_screen_shows_the_ten_that_cost_most_and_counts_the_others():
    target, probs = many()
    place = np.arange(len(target)) % 14
    report = evaluate(target, probs, by={"place": [f"at {p}" for p in place]})
    lines = str(report).splitlines()
    cost = -np.log2(probs[np.arange(len(target)), target])
    begin = next(i for i, line in enumerate(lines) if line.startswith("by place"))
    assert lines[begin + 11] == "  and 4 more"
    sums = [cost[place == p].sum() for p in range(14)]
    dearest = [f"at {p}" for p in np.argsort(sums)[::-1][:10]]
    assert [line[2:20].strip() for line in lines[begin + 1 : begin + 11]] == dearest
    begin = next(i for i, line in enumerate(lines) if line.startswith("where the bits go"))
    assert lines[begin + 11] == "  and 5 classes that cost less"
    sums = [cost[target == c].sum() for c in range(15)]
    shown = [int(line.split()[0]) for line in lines[begin + 1 : begin + 11]]
    assert shown == np.argsort(sums)[::-1][:10].tolist()


@pytest.mark.parametrize(("base", "unit"), [(2, "nats"), (math.e, "bits"), (10, "bits")])
def test_the_screen_says_the_mean_in_another_unit_too(base, unit):
    target, probs = many(rows=50)
    nats = -np.log(probs[np.arange(50), target]).mean()
    other = nats if unit == "nats" else nats / math.log(2)
    assert f"({other:.4f} {unit} a row)" in str(evaluate(target, probs, base=base))


def test_drawn_signs_count_the_one_that_was_seen():
    """Of 40 groups that all lean one way no draw comes as far: p is that of one in all of them."""
    total = np.linspace(1.0, 2.0, 40)
    keys = np.arange(40, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    pieces = Pieces(total, np.ones(40), keys)
    for resamples in (99, 999):
        assert sign_flip([pieces], resamples) == [1 / (resamples + 1)]
    even = Pieces(np.tile([1.0, -1.0], 20), np.ones(40), keys)
    assert sign_flip([even], 99) == [1.0]  # nothing is nearer to 0 than what was seen


@pytest.mark.parametrize("groups", [19, 20, 21])
def test_up_to_twenty_groups_every_flip_is_counted(groups):
    """Of all that lean one way two ways of 2^G come as far; of more groups only some are drawn."""
    keys = np.arange(groups, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    pieces = Pieces(np.linspace(1.0, 2.0, groups), np.ones(groups), keys)
    (p,) = sign_flip([pieces], 99)
    assert p == (2 / 2**groups if groups <= 20 else 1 / 100)


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_two_rows_are_enough_for_an_interval(rows, weighted):
    """Student's of one degree of freedom is wide, and one row has none."""
    values, weight = np.array([1.0, 4.0, 2.0])[:rows], np.ones(rows)
    if weighted:
        weight = np.array([2.0, 1.0, 3.0])[:rows]
    mean, low, high = mean_and_interval(values, weight)
    assert mean == pytest.approx((weight * values).sum() / weight.sum())
    if rows == 1:
        assert (math.isnan(low), math.isnan(high)) == (True, True)
        return
    off = weight * (values - mean) / weight.sum()
    reach = stats.t.ppf(0.975, rows - 1) * math.sqrt((off**2).sum() * rows / (rows - 1))
    assert (low, high) == pytest.approx((mean - reach, mean + reach))
    if not weighted:
        want = stats.t.interval(0.95, rows - 1, values.mean(), stats.sem(values))
        assert (low, high) == pytest.approx(want)


def test_what_floors_would_give_is_that_of_all_parts():
    probs = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.25, 0.75]])
    first, second = Accumulator(), Accumulator()
    first.update([1, 0], probs[:2])
    second.update([0, 1], probs[2:])
    first.merge(second)
    found, sure = first.result().floored, math.log2(2) + math.log2(4 / 3)
    for name, floor in (("2.2e-16", 2.0**-52), ("1e-15", 1e-15), ("1.2e-07", 2.0**-23)):
        assert found[name] == pytest.approx((sure - 2 * math.log2(floor)) / 4, rel=1e-6)


def test_a_model_against_itself_is_no_further_off_than_every_resample():
    """Of resampled means that are all 0 none is on one side of 0 alone: p is 1."""
    target, probs = many(classes=3, rows=40)
    for test in ("bootstrap", "sign_flip", "t"):
        found = compare(probs, probs, target=target, test=test, resamples=200)
        assert found.differences[0].p_value == 1.0


def test_diagrams_of_compared_models_count_weights_and_not_rows():
    target, probs = many(classes=2, rows=60)
    weight = 0.25 * (1 + np.arange(60) % 3)
    found = compare(probs, probs[:, ::-1], target=target, sample_weight=weight)
    for model in found.models:
        bins = model.reliability["yes"]["bins"]
        assert math.fsum(b["rows"] for b in bins) == pytest.approx(weight.sum(), rel=1e-12)
        assert any(b["rows"] % 1 for b in bins)
    whole = compare(probs, probs[:, ::-1], target=target)
    assert all(type(b["rows"]) is int for b in whole.models[0].reliability["yes"]["bins"])


def test_what_is_not_known_of_a_label_says_nothing_of_it():
    target = np.array([[1, 0], [0, -1], [1, -1], [1, 1]])
    probs = np.array([[0.5, 0.25], [0.125, 0.9], [0.75, 0.99], [0.25, 0.5]])
    found = evaluate_multilabel(target, probs, ignore_index=-1, sample_weight=[1, 2, 1, 3])
    for label, said, positives in zip(found.per_label, (2.25 / 7, 1.75 / 4), (5, 3), strict=True):
        assert (label.said, label.positives) == (pytest.approx(said, rel=1e-12), positives)


def test_thresholds_are_of_the_rows_that_count():
    rng = np.random.default_rng(3)
    probs, target = rng.dirichlet(np.ones(4), 50), rng.integers(0, 4, 50)
    weight = rng.integers(0, 3, 50).astype(float)
    target[::7] = -100
    found = evaluate_ordered(target, probs, ignore_index=-100, sample_weight=weight)
    some = target >= 0
    w = weight[some] / weight[some].sum()
    below = probs[some].cumsum(axis=1)[:, :3]
    happened = target[some, None] <= np.arange(3)
    for k, row in enumerate(found.thresholds):
        assert row.said == pytest.approx(w @ below[:, k], rel=1e-12)
        assert row.seen == pytest.approx(w @ happened[:, k], rel=1e-12)
        assert row.brier == pytest.approx(w @ (below[:, k] - happened[:, k]) ** 2, rel=1e-12)


def test_the_screen_counts_the_thresholds_that_it_does_not_show():
    target, probs = many()
    lines = str(evaluate_ordered(target, probs)).splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("at most"))
    assert [line.split()[0] for line in lines[begin + 1 : begin + 11]] == list(map(str, range(10)))
    assert lines[begin + 11] == "  and 4 more"
    target, probs = many(classes=11)
    shown = str(evaluate_ordered(target, probs))
    assert "more" not in shown.partition("at most")[2]


@pytest.mark.parametrize(("kind", "bad"), [("probs", 1.5), ("logits", math.nan)])
@pytest.mark.parametrize("row", [0, 2, 3, 7])
def test_a_number_that_is_none_is_named_by_its_row_past_the_first_block(
    kind, bad, row, monkeypatch
):
    monkeypatch.setattr(_multilabel, "BLOCK_ENTRIES", 6)  # three rows
    scores = np.full((8, 2), 0.5)
    scores[row, 1] = bad
    with pytest.raises(ValueError, match=rf"got {bad} at \[{row}, 1\]"):
        evaluate_multilabel(np.zeros((8, 2)), **{kind: scores})


@pytest.mark.parametrize("base", [2, math.e])
def test_the_screen_says_what_each_number_is(base):
    """Mean of the classes' means, what knowing nothing costs, and what their frequencies do."""
    target, probs = many(classes=3, rows=80)
    lines = str(evaluate(target, probs, base=base)).splitlines()
    cost = -np.log(probs[np.arange(80), target]) / math.log(base)
    often = np.bincount(target) / 80
    prior = -(often @ np.log(often)) / math.log(base)
    alike = np.mean([cost[target == c].mean() for c in range(3)])
    for begin, number in (("  uniform", math.log(3, base)), ("  class prior", prior)):
        (line,) = (line for line in lines if line.startswith(begin))
        assert float(line[len(begin) :].split()[0]) == pytest.approx(number, abs=6e-5)
    (line,) = (line for line in lines if line.startswith("  explained"))
    assert float(line.partition("classes alike: ")[2].split()[0]) == pytest.approx(alike, rel=1e-3)
    assert float(line.split()[1]) == pytest.approx(100 * (1 - cost.mean() / prior), abs=0.06)


@pytest.mark.parametrize("base", [2, math.e, 10])
def test_what_is_called_bits_is_in_bits(base):
    nats = [[-1.0, -0.5], [-2.0, -0.25, -3.0]]
    found = evaluate_tokens(nats, texts=["ab c", "d e"], base=base).to_dict()
    for name, number in (("token", 5), ("character", 7), ("byte", 7), ("word", 4)):
        assert found[f"bits_per_{name}"] == pytest.approx(6.75 / math.log(2) / number)


@pytest.mark.parametrize("interval", ["student", "bootstrap"])
@pytest.mark.parametrize("kind", ["costs", "probs"])
def test_rows_that_weigh_nothing_are_no_rows_of_a_comparison(kind, interval):
    rng = np.random.default_rng(9)
    a, b = rng.random((2, 30)) * 0.8 + 0.1
    weight, ids = rng.integers(0, 3, 30).astype(float), np.arange(30)
    some, o = weight > 0, {"kind": kind, "interval": interval, "resamples": 200}
    target = None if kind == "costs" else rng.integers(0, 2, 30)
    whole = compare(a, b, target=target, sample_weight=weight, ids=ids, **o)
    left = compare(a[some], b[some], target=None if target is None else target[some],
                   sample_weight=weight[some], ids=ids[some], **o)  # fmt: skip
    assert (whole.rows, whole.weight) == (some.sum(), weight.sum())
    assert whole.differences == left.differences
    assert whole.models == left.models


@pytest.mark.parametrize("grouped", [False, True])
def test_what_is_finite_is_tested_as_if_it_were_alone(grouped):
    rng = np.random.default_rng(10)
    a, b = rng.random((2, 40)) * 0.8 + 0.1
    group = np.arange(40) // 4 if grouped else np.arange(40)
    lost = np.isin(group, [1, 5, 6])
    o = {"groups" if grouped else "ids": group}
    a[lost] = 0.0  # impossible in every row of three groups
    (whole,) = compare(a, b, target=np.ones(40, int), **o).differences
    (left,) = compare(
        a[~lost], b[~lost], target=np.ones(40, int)[~lost], **{n: v[~lost] for n, v in o.items()}
    ).differences
    assert whole.impossible_first == lost.sum()
    got = whole.finite_difference, whole.finite_low, whole.finite_high, whole.finite_p_value
    assert got == pytest.approx((left.difference, left.low, left.high, left.p_value), rel=1e-12)


def test_a_name_that_comes_twice_is_named_by_its_row_beside_ignored_ones():
    p = np.full(6, 0.5)
    target, ids = np.array([-1, 1, -1, 0, 1, 0]), list("abacdc")
    with pytest.raises(ValueError, match="name every row once, got 'c' again at row 5"):
        compare(p, p, target=target, ids=ids, ignore_index=-1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_probability_that_is_a_threshold_says_yes(dtype):
    """As it was written down, whatever its type rounds it to."""
    for t in THRESHOLDS:
        p = np.array([t, t * (1 - 1e-5), t * (1 + 1e-5), 0.001], dtype)
        (found,) = [o for o in evaluate([1, 0, 1, 0], p).thresholds if o.threshold == t]
        assert (found.predicted, found.precision, found.recall) == (0.5, 1.0, 1.0)


@pytest.mark.parametrize("classes", [2, 3, 10, 11])
def test_slices_have_bins_of_each_class_up_to_ten(classes):
    target, probs = many(classes, 40)
    target[:classes] = range(classes)
    report = evaluate(target, probs, by={"side": ["left", "right"] * 20}, bins=5)
    for piece in report.reliability["slices"]:
        assert ("classes" in piece) == (2 < classes <= 10)
        for c, one in enumerate(piece.get("classes", [])):
            some = np.arange(40) % 2 == (piece["value"] == "right")
            assert one["label"] == c
            said = np.minimum((probs[some, c] * 5).astype(int), 4)
            rows = np.bincount(said, minlength=5)
            assert [b["rows"] for b in one["bins"]] == rows[rows > 0].tolist()


def test_a_row_of_a_cell_has_as_many_of_it_before_as_after():
    """So it has half of the others above it, of those that are yes and of all (by hand)."""
    rows, yes = np.array([5, 3, 4, 6]), np.array([1, 0, 3, 4])
    held = SimpleNamespace(
        rows=rows, yes=yes, weights=lambda: (rows.astype(float), yes.astype(float))
    )
    column = SimpleNamespace(held=lambda: held, exact=False)
    want = 0.0
    for k in range(4):
        above, beyond = yes[k + 1 :].sum(), rows[k + 1 :].sum()
        if yes[k]:
            precision = (above + 1 + (yes[k] - 1) / 2) / (beyond + 1 + (rows[k] - 1) / 2)
            want += yes[k] / yes.sum() * precision
    assert _ranking(column)[1] == pytest.approx(want, rel=1e-14)


@pytest.mark.parametrize("least", [0.0, 0.1, -0.1])
def test_only_costs_that_may_be_negative_have_an_interval_below_0(least):
    """Student's, which reaches below 0 here; costs of another kind may be there."""
    a = np.array([least, 0.1, 0.2, 6.0, 0.3])
    found = compare(a, a + 1, kind="costs").models[0]
    low, high = stats.t.interval(0.95, 4, a.mean(), a.std(ddof=1) / math.sqrt(5))
    assert low < 0
    assert found.high == pytest.approx(high)
    assert found.low == pytest.approx(low if least < 0 else 0.0)


def test_models_past_z_are_named_by_their_number():
    costs = np.random.default_rng(11).random((28, 4))
    found = compare(*costs, kind="costs")
    assert [model.name for model in found.models] == [*ascii_lowercase, "model 27", "model 28"]
    assert len(found.differences) == 27


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_ten_rows_are_enough_to_recover_from(classes, weighted):
    """Two a fold of five; rows that are ignored or weigh nothing are none of them."""
    target, probs = many(classes, 12)
    target[3] = -1
    weight = np.ones(12)
    for more, number in ((0, 11), (1, 10), (2, 9)):
        if weighted:
            weight[:more] = 0
            o = {"sample_weight": weight}
        else:
            target[:more] = -1
            o = {}
        report = evaluate(target, probs, ignore_index=-1, **o)
        assert report.rows == number
        assert bool(report.recovered) == (number >= 10)


@pytest.mark.parametrize("form", ["token", "array", "window"])
def test_a_document_that_comes_again_is_named_by_where_it_does(form):
    """Not by how many documents stand before it."""
    names = ["p", "p", "p", "q", "q", "p"]
    given = {"token": np.full(6, -1.0), "array": [[-1.0]] * 6, "window": [[-1.0] * 2] * 6}[form]
    o = {"stride": 1} if form == "window" else {}
    with pytest.raises(ValueError, match=f"got 'p' again at {form} 5"):
        evaluate_tokens(given, documents=names, **o)
    if form == "token":
        with pytest.raises(ValueError, match=r"got -?nan at token 2 of document 'q'"):
            evaluate_tokens([-1.0, -1, -1, -1, np.nan], documents=["p", "p", "q", "q", "q"])


@pytest.mark.parametrize("classes", [2, 3])
def test_weighed_rows_that_are_only_counted_have_no_diagram(classes):
    """Of equal scores it is not kept which weighs what: no share of rows could be told."""
    target, probs = many(classes=classes, rows=60)
    found = {}
    for weight in (None, np.linspace(0.5, 2, 60)):
        rows = Accumulator()
        rows.update(target, probs, sample_weight=weight)
        found[weight is None] = rows.result()
    plain, weighed = found[True], found[False]
    assert set(plain.reliability) == {"yes" if classes == 2 else "classwise"}
    assert (weighed.reliability, weighed.to_dict()["reliability"]) == ({}, {})
    assert set(weighed.decomposition["corp"]) == set(plain.decomposition["corp"])
    assert (
        weighed.decomposition["corp"]["log"]["mean"] != plain.decomposition["corp"]["log"]["mean"]
    )


LISTED = {  # how many a screen lists, what is counted, and the report of so many
    "labels": (12, "and {} more", lambda n: evaluate_multilabel(np.eye(n), some(n))),
    "soft classes": (10, "and {} more", lambda n: evaluate_soft(some(n), some(n)[::-1])),
    "thresholds": (10, "and {} more", lambda n: evaluate_ordered(range(n + 1), some(n + 1)).lines()),
    "classes": (10, "and {} class{} that cost less", lambda n: evaluate(range(n), some(n))),
    "slices": (10, "and {} more", lambda n: evaluate([0, 1] * n, twice(n), by={"v": sorted([*range(n)] * 2)})),
    "compared slices": (10, "and {} more", lambda n: compare(
        np.arange(4.0 * n), np.arange(4.0 * n) % 7, kind="costs", by={"v": [*range(n)] * 4}
    )),
}  # fmt: skip


def some(n):
    return np.random.default_rng(n).dirichlet(np.ones(n), n)


def twice(n):
    return np.stack([np.linspace(0.2, 0.8, 2 * n), np.linspace(0.8, 0.2, 2 * n)], axis=1)


@pytest.mark.parametrize("what", LISTED)
def test_a_screen_that_lists_all_does_not_count_the_rest(what):
    most, words, report = LISTED[what]
    for more in (-1, 0, 1, 2):
        lines = [line.strip() for line in str(report(most + more)).splitlines()]
        found = [line for line in lines if line.startswith("and ")]
        assert found == ([words.format(more, "es" * (more > 1))] if more > 0 else []), more


def test_an_interval_that_is_none_is_a_dash():
    assert reach(0.25, 0.5) == "0.2500 to 0.5000"
    assert {reach(low, math.inf) for low in (math.nan, math.inf, -math.inf)} == {"-"}
    # Costs that cannot be negative have no interval below 0, though one of them be 0.
    for least, cut in ((0.0, True), (1e-9, True), (-1e-9, False)):
        total = np.array([least, 0.0, 9.0] if least >= 0 else [least, 1.0, 9.0])
        mean, low, high = mean_of(total, np.ones(3))
        plain = stats.t.interval(0.95, 2, total.mean(), stats.sem(total))
        assert (mean, high) == pytest.approx((total.mean(), plain[1]))
        assert low == pytest.approx(0.0 if cut else plain[0])
        assert plain[0] < 0
    assert mean_of(np.array([1.0, math.inf]), np.ones(2)) == (math.inf,) * 3


@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_costs_are_numbers_or_infinite(bad):
    with pytest.raises(ValueError, match=r"must be numbers, or inf, got (nan|-inf) at row 2"):
        compare([1.0, 2, bad, bad], [1.0, 2, 3, 4], kind="costs")
    assert compare([1.0, 2, math.inf], [1.0, 2, 3], kind="costs").models[0].impossible == 1


def test_costs_of_rows_that_weigh_nothing_are_none():
    """As if they were not there, where nothing but costs is given."""
    a, b = np.array([1.0, 3, 2, 9, 4]), np.array([2.0, 2, 2, 1, 1])
    weight = np.array([1.0, 2, 1, 0, 3])
    found = compare(a, b, kind="costs", sample_weight=weight)
    left = compare(a[weight > 0], b[weight > 0], kind="costs", sample_weight=weight[weight > 0])
    assert found.rows == 4
    assert found.to_dict()["differences"] == left.to_dict()["differences"]
    off, w = (b - a)[weight > 0], weight[weight > 0]
    assert found.differences[0].difference == pytest.approx((w * off).sum() / w.sum())
    endless = compare(np.where(weight > 0, a, math.inf), b, kind="costs", sample_weight=weight)
    assert endless.models[0].impossible == 0


@pytest.mark.parametrize("ignore", ["z", -100, "yes "])
@pytest.mark.parametrize("form", ["one column", "frame", "frame turned"])
def test_what_is_ignored_is_no_class_of_its_own(ignore, form):
    """Where the classes are those of the truth, or of a frame's columns."""
    p = np.array([0.75, 0.5, 0.9, 0.25])
    target, own = ["yes", ignore, ignore, "no"], pd.DataFrame({"no": 1 - p, "yes": p})
    if form == "one column":
        report = evaluate(target, p, positive="yes", ignore_index=ignore)
    else:
        frame = own if form == "frame" else own[["yes", "no"]]
        report = evaluate(target, frame, ignore_index=ignore)
    assert set(report.labels) == {"yes", "no"}
    assert (report.rows, report.cross_entropy) == (2, pytest.approx(-math.log2(0.75)))
    assert report.accuracy == 1.0
    with pytest.raises(ValueError, match="have a row that is not ignored"):
        evaluate([ignore] * 4, p, positive="yes", ignore_index=ignore)
    if form == "one column":
        with pytest.raises(ValueError, match="must hold `positive`, 'yes', and one class more"):
            evaluate(["yes", ignore, "no", "maybe"], p, positive="yes", ignore_index=ignore)


@pytest.mark.parametrize("prior", [[0.0, 0.0], {0: 0.0, 1: 0}, [1.0, -1e-9], [math.inf, 1.0]])
def test_a_prior_that_is_none_is_refused(prior):
    with pytest.raises(ValueError, match="`prior` must be finite, 0 or more, not all 0, got"):
        evaluate([0, 1], [0.25, 0.5], prior=prior)
    found = evaluate([0, 1], [0.25, 0.5], prior=[0.0, 2.0])
    assert found.training_prior == math.inf  # of a class that was never there
    assert evaluate([1, 1], [0.25, 0.5], prior=[0.0, 2.0]).training_prior == 0.0


def test_slices_that_cost_as_much_stand_in_the_order_of_their_names():
    for order in ([2, 0, 1], [1, 2, 0], [0, 1, 2]):
        report = evaluate([1, 1, 1], [0.5, 0.5, 0.5], by={"v": [["a", "b", "c"][i] for i in order]})
        assert [piece.value for piece in report.slices] == ["a", "b", "c"]


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_last_class_is_among_all_of_them_and_is_not_said(classes):
    target, probs = many(classes=classes, rows=50)
    rank = (probs > probs[np.arange(50), target][:, None]).sum(axis=1)
    found = evaluate(target, probs).top_k
    assert found == {str(k): (rank < k).mean() for k in range(1, min(classes - 1, len(found)) + 1)}
    assert str(classes) not in found


def one_of_two(*rows):
    return np.array([[p, 1 - p] for p in rows])


P, Q = one_of_two(0.9, 0.5, 0.25, 0.125), one_of_two(0.9, 0.5, 0.25, 0.5)
T, W = [0, 1, 1, 0], [1, 2, 1, 3]
TOKENS = [[-1.0, -0.5], [-0.25]]
# A call, and what of it changes the data: each alone.
SIGNED = {
    "evaluate": (
        lambda **o: evaluate(**{"target": T, "probs": P, **o}),
        {"target": [0, 1, 1, 1], "probs": Q, "sample_weight": W, "labels": [1, 0]},
    ),
    "ordered": (
        lambda **o: evaluate_ordered(**{"target": T, "probs": P, **o}).report,
        {"target": [0, 1, 1, 1], "probs": Q, "sample_weight": W},
    ),
    "soft": (
        lambda **o: evaluate_soft(**{"target": P, "probs": P, **o}),
        {"target": Q, "probs": Q, "sample_weight": W, "labels": ["a", "b"]},
    ),
    "labels": (
        lambda **o: evaluate_multilabel(**{"target": P > 0.3, "probs": P, **o}),
        {"target": P > 0.6, "probs": Q, "sample_weight": W, "labels": ["a", "b"]},
    ),
    "dense": (
        lambda **o: evaluate_dense(
            **{"target": [T], "probs": P.T[None], "class_axis": 1, **o}
        ),
        {"target": [[0, 1, 1, 1]], "probs": Q.T[None], "ignore_index": 0},
    ),
    "tokens": (
        lambda **o: evaluate_tokens(**{"log_probs": TOKENS, **o}),
        {"log_probs": [[-1.0, -0.5], [-0.75]], "texts": ["ab", "c"], "mask": [[1, 1], [0]],
         "log_base": 2.0},
    ),
    "compare": (
        lambda **o: compare(*o.pop("models", (P, Q)), **{"target": T, **o}),
        {"models": (Q, P), "target": [0, 1, 1, 1], "sample_weight": W, "groups": [0, 0, 1, 1]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SIGNED)
def test_whoever_reads_a_signature_sees_that_other_data_are_other(kind):
    """The hash is of all that was measured: each input that changes a figure changes it alone."""
    call, changes = SIGNED[kind]

    def hashed(**options):
        return call(**options).signature.partition("data sha256:")[2][:16]

    found = {name: hashed(**{name: value}) for name, value in changes.items()}
    assert hashed() == hashed()
    assert len({hashed(), *found.values()}) == 1 + len(changes), found


@pytest.mark.parametrize("weighted", [False, True])
def test_values_that_are_no_number_are_one_slice_with_what_is_missing(weighted):
    """Each NaN is another object, and none is equal to another; in batches of any size."""
    values = [math.nan, 1.0, None, float("nan"), 2.0, np.float64("nan"), 1.0, None]
    target, probs = [0, 1] * 4, one_of_two(0.9, 0.5, 0.25, 0.125, 0.5, 0.75, 0.25, 0.5)
    weight = np.arange(1.0, 9.0) if weighted else None
    for size in (1, 3, 8):
        found = Accumulator()
        for at in range(0, 8, size):
            some = slice(at, at + size)
            found.update(
                target[some], probs[some], by={"v": values[some]},
                sample_weight=None if weight is None else weight[some],
            )  # fmt: skip
        report = found.result()
        rows = {piece.value: piece.rows for piece in report.slices}
        w = np.ones(8) if weight is None else weight
        assert rows == {None: w[[0, 2, 3, 5, 7]].sum(), 1.0: w[1] + w[6], 2.0: w[4]}
        (missing,) = [piece for piece in report.slices if piece.value is None]
        at = [i for i, v in enumerate(values) if v is None or v != v]
        cost = -np.log2(probs[at, np.array(target)[at]])
        mean = np.average(cost, weights=None if weight is None else weight[at])
        assert missing.cross_entropy == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("groups", [2, 3, 5])
def test_a_resample_without_any_group_is_none(groups):
    """Of few groups many draws take none: intervals and p-values are of the others."""
    luck = np.random.default_rng(groups)
    costs, group = luck.normal(0.5, 1, 40), np.arange(40) % groups
    found = compare(
        np.zeros(40), costs, kind="costs", groups=group, interval="bootstrap", test="bootstrap",
        resamples=2000, base=math.e,
    ).differences[0]  # fmt: skip
    sums = np.array([costs[group == g].sum() for g in range(groups)])
    sizes = np.bincount(group)
    drawn = luck.poisson(1.0, (200_000, groups))
    drawn = drawn[drawn.sum(axis=1) > 0]
    means = (drawn @ sums) / (drawn @ sizes)
    low, high = np.quantile(means, [0.025, 0.975])
    spread = np.ptp(sums / sizes)
    assert [found.low, found.high] == pytest.approx([low, high], abs=0.1 * spread)
    share = 2 * min((means <= 0).mean(), (means >= 0).mean())
    assert found.p_value == pytest.approx(min(1, share), abs=0.05)


@pytest.mark.parametrize("text", ["a\ud800", "\udcff\udcfe", "é \udfffz"])
def test_half_a_pair_in_a_text_has_the_bytes_that_it_takes(text):
    """As JSON may bring it: three bytes, by the rule of UTF-8 for other letters of 16 bits."""
    report = evaluate_tokens([[-1.0, -2.0]], texts=[text])
    bits = 3 / math.log(2)
    size = sum(1 if ord(c) < 0x80 else 2 if ord(c) < 0x800 else 3 for c in text)
    found = {unit.name: (unit.number, unit.cost) for unit in report.units}
    assert found["byte"] == (size, pytest.approx(bits / size))
    assert found["character"] == (len(text), pytest.approx(bits / len(text)))
