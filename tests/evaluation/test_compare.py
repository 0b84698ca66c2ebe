"""Paired differences against published tests, scipy and slow oracles, and what is refused."""

import json
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from xent.evaluation import compare, evaluate

# Darwin's plants, crossed less self-fertilised, in eighths of an inch (Fisher 1935, section 17).
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
# Hours of sleep gained, second drug less first (Student 1908).
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]


def costs(difference, **options):
    """Compare a model that costs nothing with one that costs the difference."""
    zero = np.zeros(len(difference))
    return compare(zero, np.array(difference, float), kind="costs", **options).differences[0]


def two_models(rows=300, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    z = 1.5 * rng.normal(size=(rows, classes))
    target = np.array([rng.choice(classes, p=p) for p in softmax(z)])
    return target, softmax(z), softmax(z + 0.7 * rng.normal(size=z.shape))


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


# ------------------------------------------------------------------ is it the number in the book?


def test_the_test_that_fisher_counted_out():
    """1,726 of 32,768 ways to flip signs are as far from 0; t is 2.148, p is 0.0497."""
    flipped = costs(DARWIN, test="sign_flip")
    assert flipped.p_value == 1726 / 32768
    student = costs(DARWIN)
    assert student.difference / student.error == pytest.approx(2.148, abs=5e-4)
    assert student.p_value == pytest.approx(0.0497, abs=5e-5)


def test_students_sleep():
    """What R's t.test(extra ~ group, data = sleep, paired = TRUE) prints in its manual."""
    found = costs(SLEEP)
    assert found.difference == pytest.approx(1.58)
    assert found.difference / found.error == pytest.approx(4.0621, abs=5e-5)
    assert found.p_value == pytest.approx(0.002833, abs=5e-7)
    assert (found.low, found.high) == pytest.approx((0.7001142, 2.4598858), abs=5e-8)


# ------------------------------------------------------------------ is it the formula?


def test_against_scipy_and_evaluate():
    target, p, q = two_models()
    found = compare(p, q, target=target)
    (d,) = found.differences
    here = np.arange(len(target))
    gap = -np.log2(q[here, target]), -np.log2(p[here, target])
    theirs = stats.ttest_rel(*gap)
    assert d.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (d.low, d.high) == pytest.approx(tuple(theirs.confidence_interval()), rel=1e-9)
    assert d.difference == pytest.approx(np.mean(gap[0] - gap[1]), rel=1e-12)
    for model, probs in zip(found.models, (p, q), strict=True):
        report = evaluate(target, probs)
        assert model.cross_entropy == pytest.approx(report.cross_entropy, rel=1e-15)
        assert (model.low, model.high) == pytest.approx((report.low, report.high), rel=1e-12)


def test_groups_against_a_slow_sandwich():
    rng = np.random.default_rng(1)
    groups, d, w = rng.integers(0, 12, 80), rng.normal(size=80) + 0.3, rng.uniform(0.5, 2, 80)
    found = costs(d, groups=groups, sample_weight=w)
    mean = (w * d).sum() / w.sum()
    scores = [(w * (d - mean))[groups == g].sum() for g in range(12)]
    error = math.sqrt(12 / 11 * sum(s * s for s in scores)) / w.sum()
    assert found.difference == pytest.approx(mean, rel=1e-12)
    assert found.error == pytest.approx(error, rel=1e-12)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(mean) / error, 11), rel=1e-9)
    assert found.groups == 12
    # Rows that are copies tell nothing new, and groups know it.
    thrice = costs(np.repeat(d, 3), groups=np.repeat(np.arange(80), 3))
    assert thrice.error == pytest.approx(costs(d).error, rel=1e-12)
    assert costs(np.repeat(d, 3)).error < 0.6 * thrice.error


def test_the_bootstrap_against_a_slow_one():
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 60, 400)
    d = rng.normal(size=400) + rng.normal(size=60)[groups] + 0.2
    found = costs(d, groups=groups, interval="bootstrap", test="bootstrap")
    sums = np.array([[d[groups == g].sum(), (groups == g).sum()] for g in range(60)])
    drawn = rng.multinomial(60, np.full(60, 1 / 60), size=20_000) @ sums
    slow = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    width = slow[1] - slow[0]
    assert (found.low, found.high) == pytest.approx(tuple(slow), abs=0.05 * width)
    below = 2 * (drawn[:, 0] <= 0).mean()
    assert found.p_value == pytest.approx(below, abs=0.02)
    alone = costs(d, interval="bootstrap")
    assert alone.high - alone.low < 0.7 * width, "rows of a group are not independent"


@pytest.mark.parametrize("sign", [1, -1])
def test_no_bootstrap_says_that_chance_is_impossible(sign):
    """(1 + as far or farther) / (1 + resamples), of two sides: Davison and Hinkley (1997), 4.2."""
    found = costs(sign * np.arange(1.0, 40), test="bootstrap", resamples=1000)
    assert found.p_value == pytest.approx(2 / 1001)


def test_sign_flips_against_all_of_them():
    rng = np.random.default_rng(3)
    for d in (rng.normal(size=9) + 0.4, np.array([0.1, 0.2, 0.3, -0.1, 0.0])):
        ways = [abs(sum(s * x for s, x in zip(signs, d, strict=True)))
                for signs in product((1, -1), repeat=len(d))]  # fmt: skip
        exact = np.mean([way >= abs(d.sum()) - 1e-12 for way in ways])
        assert costs(d, test="sign_flip").p_value == exact
    many = rng.normal(size=21) + 0.4
    sampled = costs(many, test="sign_flip", resamples=20_000)
    halves = [0.0]
    for x in many:
        halves = np.concatenate([np.add(halves, x), np.subtract(halves, x)])
    exact = (np.abs(halves) >= abs(many.sum()) - 1e-12).mean()
    assert sampled.p_value == pytest.approx(exact, abs=0.01)


@given(st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=9))
def test_holm_against_its_definition(p_values):
    """What was not tested stays so, and counts: it was one of the questions that were asked."""
    from xent.evaluation._compare._paired import holm

    order = np.argsort(p_values, kind="stable")  # NaN last
    for p, adjusted in zip(p_values, holm(p_values), strict=True):
        below = [(len(p_values) - k) * p_values[i] for k, i in enumerate(order) if p_values[i] <= p]
        assert adjusted == min(1.0, max(below)) if below else math.isnan(p) and math.isnan(adjusted)


def test_poisson_weights_are_poisson():
    from xent.evaluation._compare._hashes import keys_of, poisson_weights, signs

    keys = keys_of(range(500), 7)
    drawn = np.concatenate(list(poisson_weights(keys, 2001)))
    assert drawn.shape == (2001, 500)
    share = np.bincount(drawn.astype(int).ravel(), minlength=8)[:8] / drawn.size
    np.testing.assert_allclose(share, stats.poisson.pmf(np.arange(8), 1), atol=2e-3)
    assert abs(np.corrcoef(drawn[:, :40], rowvar=False) - np.eye(40)).max() < 0.1
    flipped = np.concatenate(list(signs(keys, 130)))
    assert flipped.shape == (130, 500)
    assert set(np.unique(flipped)) == {-1, 1}
    assert abs(flipped.mean()) < 0.02


# ------------------------------------------------------------------ does it keep the laws?


@pytest.mark.parametrize("how", ["student t", "bootstrap bootstrap", "student sign_flip"])
def test_the_order_of_named_rows_changes_no_bit(how):
    rng = np.random.default_rng(4)
    target, p, q = two_models(90)
    ids, groups = [f"row {i}" for i in range(90)], rng.integers(0, 30, 90)
    interval, test = how.split()
    turned = rng.permutation(90)
    for more in ({"ids": ids}, {"groups": [f"g{g}" for g in groups]}):
        options = {"interval": interval, "test": test, "resamples": 500}
        one = compare(p, q, target=target, **more, **options)
        again = {name: [values[i] for i in turned] for name, values in more.items()}
        two = compare(p[turned], q[turned], target=target[turned], **again, **options)
        assert one.to_dict() == two.to_dict()
        other = compare(p, q, target=target, **more, **options, seed=1)
        assert (other.differences == one.differences) == (interval == "student")


def test_models_swapped_and_bases_changed():
    target, p, q = two_models()
    d, back = (compare(*m, target=target).differences[0] for m in ((p, q), (q, p)))
    assert (back.difference, back.low, back.high) == (-d.difference, -d.high, -d.low)
    assert back.p_value == d.p_value
    nats = compare(p, q, target=target, base=math.e)
    assert nats.unit == "nats"
    assert nats.differences[0].difference == pytest.approx(d.difference * math.log(2), rel=1e-12)
    same = compare(p, p, target=target).differences[0]
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(5)
    held = {"student": 0, "bootstrap": 0}
    for _ in range(300):
        effect = rng.normal(size=40)
        groups = np.repeat(np.arange(40), 3)
        d = 0.5 + effect[groups] + rng.normal(size=120)
        for interval in held:
            found = costs(d, groups=groups, interval=interval, resamples=200)
            held[interval] += found.low <= 0.5 <= found.high
    assert 0.92 < held["student"] / 300 < 0.98
    assert 0.88 < held["bootstrap"] / 300 < 0.98


# ------------------------------------------------------------------ zeros on the truth


def test_infinite_costs_are_said_plainly():
    p, q = [0.5, 1.0, 0.0, 0.8], [0.25, 0.5, 1.0, 0.4]
    found = compare(p, q, target=[1, 1, 1, 1], names=["old", "new"])
    (d,) = found.differences
    assert (d.difference, d.low, d.high) == (-math.inf,) * 3
    assert (d.impossible_first, d.impossible_second, d.impossible_both) == (1, 0, 0)
    assert d.finite_difference == pytest.approx(1)
    assert math.isnan(d.p_value)
    text = str(found)
    assert "probability 0, at infinite cost: old alone in 1 row;" in text
    assert "on the other rows +1.0000 bits" in text
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["models"][0]["high"] == "inf"
    (d,) = compare(q, p, target=[1, 1, 1, 1]).differences
    assert d.difference == math.inf


def test_zeros_of_both_models_settle_nothing():
    for p, q, seen in (
        ([0.0, 0.5], [0.5, 0.0], (1, 1, 0)),
        ([0.0, 0.5], [0.0, 0.25], (0, 0, 1)),
        ([0.0, 0.0], [0.0, 0.25], (1, 0, 1)),
    ):
        found = compare(p, q, target=[1, 1])
        (d,) = found.differences
        assert math.isnan(d.difference)
        assert (d.impossible_first, d.impossible_second, d.impossible_both) == seen
        assert "undefined" in str(found)
    assert "no row is left on which both are finite" in str(found)
    several = compare([0.0, 0.5, 0.5], [0.5] * 3, [0.6, 0.4, 0.5], target=[1, 1, 1], pairs="all")
    assert [math.isnan(d.adjusted) for d in several.differences] == [True, True, False]


# ------------------------------------------------------------------ what people have


def test_kinds_weights_ignored_rows_and_slices():
    target, p, q = two_models(60)
    logits = np.log(p)
    same = compare(p, logits, np.log(q), target=target, kind=["probs", "logits", "log_probs"])
    assert same.differences[0].difference == pytest.approx(0, abs=1e-12)
    plain = compare(p, q, target=target)
    assert same.differences[1].difference == pytest.approx(plain.differences[0].difference)
    weight = np.arange(60) % 3
    by = {"third": weight}
    weighed = compare(p, q, target=target, sample_weight=weight, by=by)
    assert weighed.rows == 40
    assert weighed.weight == 60
    keep = weight == 1
    alone = compare(p[keep], q[keep], target=target[keep])
    found = {piece.value: piece for piece in weighed.slices}
    assert set(found) == {1, 2}
    assert found[1].difference == pytest.approx(alone.differences[0].difference)
    assert found[1].low == pytest.approx(alone.differences[0].low)
    skipped = np.where(keep, target, -100)
    left = compare(p, q, target=skipped, ignore_index=-100)
    assert left.differences[0].difference == alone.differences[0].difference


def test_costs_that_were_measured_before():
    target, p, q = two_models(50)
    here = np.arange(50)
    bits = -np.log2(p[here, target])
    mixed = compare(bits, q, target=target, kind=["costs", "probs"])
    assert mixed.differences[0].difference == pytest.approx(
        compare(p, q, target=target).differences[0].difference
    )


def test_frames_with_their_columns_in_another_order():
    import pandas as pd

    target, p, q = two_models(40, 3)
    names = ["a", "b", "c"]
    said = [names[t] for t in target]
    turned = pd.DataFrame(q, columns=names)[["c", "a", "b"]]
    found = compare(pd.DataFrame(p, columns=names), turned, target=said, labels=names)
    assert found.differences[0].difference == compare(p, q, target=target).differences[0].difference


def test_text_and_notebook():
    target, p, q = two_models()
    found = compare(p, q, p**2 / (p**2).sum(1, keepdims=True), target=target, names=["<b>", "q", "r"],
                    by={"g": target}, pairs="all")  # fmt: skip
    text = str(found)
    assert max(map(len, text.splitlines()[:-1])) <= 100
    assert len(found.differences) == 3
    assert "Holm's correction for 3 comparisons" in text
    assert "q less <b>" in text
    assert repr(found) == text
    shown = found._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    back = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert back["differences"][0]["difference"] == found.differences[0].difference
    assert {"rows", "unit", "test", "interval", "correction", "seed"} <= set(back)


def test_better_worse_and_open():
    rng = np.random.default_rng(6)
    noise = rng.normal(size=50)
    for shift, word in ((-3, "better"), (3, "worse"), (0, "open")):
        found = compare(np.zeros(50), noise + shift, kind="costs")
        assert f"   {word}\n" in str(found)


def test_one_row_has_no_interval():
    found = compare([0.5], [0.25], target=[1])
    assert math.isnan(found.differences[0].low)
    assert found.differences[0].difference == pytest.approx(1)
    assert "+1.0000" in str(found)


HALF = [[0.5, 0.5]]
WORDING = [
    ((HALF, [[0.5, 0.6]]), {"target": [0]}, "`b` must sum to 1 in every row, got 1.1 at row 0. If they were rounded when they were saved, pass normalize=True."),
    ((HALF, [[2.0, -1]]), {"target": [0]}, '`b` must be non-negative, got -1 at [0, 1]. For logits pass kind="logits".'),
    ((HALF, HALF * 2), {"target": [0]}, "`target` must have one class a row, 2, got the shape (1,)."),
    ((HALF, HALF), {}, "`target` must be given where a model comes as `probs`, got None."),
    ((HALF, HALF), {"target": [0], "kind": "prob"}, "`kind` must be 'probs', 'logits', 'log_probs' or 'costs', got 'prob'. Did you mean 'probs'?"),
    ((HALF, HALF), {"target": [0], "kind": ["probs"]}, "`kind` must be one, or one for each of 2 models, got 1."),
    ((HALF, HALF), {"target": [0], "names": ["x", "x"]}, "`names` must name the 2 models, each by a name of its own, got 'x' and 'x'."),
    ((HALF, HALF), {"target": [0], "groups": [None]}, "`groups` must have a name in every row, got none at row 0."),
    ((HALF, HALF), {"target": [0], "groups": [1, 2]}, "`groups` must have one value a row, 1, got 2."),
    ((HALF * 2, HALF * 2), {"target": [0, 0], "ids": ["x", "x"]}, "`ids` must name every row once, got 'x' again at row 1. Rows that belong together go under groups=."),
    ((HALF, HALF), {"target": [0], "confidence": 95}, "`confidence` must be between 0 and 1, both excluded, got 95."),
    ((HALF, HALF), {"target": [0], "resamples": 10}, "`resamples` must be an integer of at least 100, got 10."),
    (([1.0], [np.nan]), {"kind": "costs"}, "`b` must be numbers, or inf, got nan at row 0."),
    (([1.0], [1.0], [1.0, 2.0]), {"kind": "costs"}, "`more[0]` must have the rows of the first model, 1, got 2."),
    (([[1.0]], [1.0]), {"kind": "costs"}, "`a` must have one cost a row, a number, got the shape (1, 1) of float64."),
]  # fmt: skip


@pytest.mark.parametrize(("args", "options", "sentence"), WORDING, ids=[s for *_, s in WORDING])
def test_wording(args, options, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        compare(*args, **options)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "option",
    [{"ignore_index": -100}, {"labels": ["a", "b"]}, {"positive": "a"}, {"normalize": True},
     {"allow_probabilities": True}],
)  # fmt: skip
def test_options_of_scores_are_refused_beside_costs(option):
    """Rows of -100 counted: costs are measured already, whatever a target says of them."""
    (name,) = option
    said = f"`{name}` must be left out where all models come as costs"
    with pytest.raises(ValueError, match=said):
        compare([1.0, 2.0], [2.0, 3.0], target=[0, -100], kind="costs", **option)
