"""Sums of rows are exact: the same bits in any order, block and shard, for numbers of any size."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xent.evaluation import _predictions, evaluate
from xent.evaluation._accumulator.moments import CostMoments
from xent.evaluation._accumulator.pairs import ConfusionSums
from xent.evaluation._accumulator.sums import SMALLEST, Sums, padded, with_spare


def exactly(values):
    return sum(map(Fraction, values), Fraction(0))


numbers = st.lists(
    st.one_of(
        st.floats(0, 2, allow_subnormal=True),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from([5e-324, 1e-300, 2.0**-108, 1023.9999999999999, 1024.0, 1e308, -0.0]),
    ),
    max_size=40,
)


@given(numbers, st.randoms())
def test_sums_are_exact_in_any_order(values, random):
    want = exactly(values)
    for limbs in (3, 5):
        shuffled = list(values)
        random.shuffle(shuffled)
        one, parts = Sums(1, limbs), [Sums(1, limbs) for _ in range(3)]
        for sums, some in ((one, values), *((p, shuffled[i::3]) for i, p in enumerate(parts))):
            array, left = with_spare(np.array(some, float)), padded(len(some))
            if limbs == 5:
                sums.add(0, array, len(some), left)
            else:
                sums.scatter(np.zeros(len(some), np.int64), array, len(some), left)
        for part in parts[1:]:
            parts[0].merge(part)
        one.carry()
        for sums in (one, parts[0]):
            assert Fraction(sums.whole(0), 1 << SMALLEST) == want
            assert sums.total() == sums.whole(0)
            if 0 <= want < 1e300:
                assert sums.values()[0] == pytest.approx(float(want), rel=1e-15, abs=5e-324)


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).random(1 << 15) * 1000,
        # What the first limb leaves is the most there is, and of one sign: it fills the second.
        np.full(1 << 15, 2.0**-21 - 2.0**-66),
        np.full(1 << 15, 2.0**-66 - 2.0**-21),
    ],
    ids=["any", "all above", "all below"],
)
def test_sums_of_many_are_carried(values):
    rows = len(values)
    values = with_spare(values)
    one, left = Sums(2, 5), padded(rows)
    want = exactly(values[:rows].tolist())
    for _ in range(40):
        one.add(1, values, rows, left)
    assert Fraction(one.whole(1), 1 << SMALLEST) == 40 * want
    assert one.whole(0) == 0


def test_rows_of_one_kind_fill_no_count():
    rows = 70_000  # more than a number of 16 bits counts
    probs = np.tile([0.75, 0.25], (rows, 1))
    report = evaluate(np.zeros(rows, np.int64), probs, base=2)
    assert report.confusion.sum() == report.confusion[0, 0] == rows
    assert report.cross_entropy == pytest.approx(-math.log2(0.75), rel=1e-15)
    assert report.accuracy == 1


def test_interval_is_exact_where_subtraction_would_lose_it():
    """A mean of 1e9 with a spread of 1e-6: float64 sums of squares have no digit of it."""
    costs = [1e9 + k * 1e-6 for k in range(10)]
    whole = [int(Fraction(c) * (1 << SMALLEST)) for c in costs]
    squares = sum(int(Fraction(c) ** 2 * (1 << SMALLEST)) for c in costs)
    _, low, high = CostMoments.plain(10, 0, sum(whole), squares).interval(1.0)
    mean = exactly(costs) / 10
    error = math.sqrt(sum((Fraction(c) - mean) ** 2 for c in costs) / 90)
    assert high - low == pytest.approx(2 * 2.2621571627409915 * error, rel=0.05)


def test_places_of_pairs():
    rng = np.random.default_rng(0)
    sums, known = ConfusionSums(3000, weighted=False), {}
    for _ in range(30):
        keys = rng.integers(0, 9_000_000, 997) if rng.random() < 0.5 else rng.integers(0, 9, 997)
        for key, place in zip(keys.tolist(), sums.places(keys).tolist(), strict=True):
            assert known.setdefault(key, place) == place
    assert len(set(known.values())) == len(known) == sums.used


# ------------------------------------------------------------------ reports


def same(report):
    """Everything that is made of exact sums; the numbers of rows change with their order."""
    found = report.to_dict()
    for name in ("hardest", "decomposition", "recovered", "reliability"):
        del found[name]
    return found


@pytest.mark.parametrize("classes", [2, 5, 64, 65, 300])
@pytest.mark.parametrize("weighted", [False, True])
def test_same_bits_in_any_order_and_block(classes, weighted, monkeypatch):
    rng = np.random.default_rng(classes)
    logits = rng.normal(size=(400, classes)) * rng.choice([0.1, 3, 40], 400)[:, None]
    target = rng.integers(0, classes, 400)
    weight = rng.choice([1e-9, 0.3, 1, 2000.5], 400) if weighted else None
    by = {"part": rng.integers(0, 3, 400)}

    def report(order):
        options = {"by": {"part": by["part"][order]}}
        if weighted:
            options["sample_weight"] = weight[order]
        return same(evaluate(target[order], logits=logits[order], **options))

    first = report(np.arange(400))
    monkeypatch.setattr(_predictions, "BLOCK_ROWS", 7)
    assert report(rng.permutation(400)) == first


@pytest.mark.parametrize("kind", ["probs", "logits"])
def test_weights_are_exact_too(kind):
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(50, 70))
    scores = logits if kind == "logits" else np.exp(logits) / np.exp(logits).sum(1)[:, None]
    target, times = rng.integers(0, 70, 50), rng.integers(1, 5, 50)
    many = evaluate(np.repeat(target, times), **{kind: np.repeat(scores, times, axis=0)})
    one = evaluate(target, **{kind: scores}, sample_weight=times)
    for name in ("cross_entropy", "accuracy", "brier", "calibration_error", "prior"):
        assert getattr(one, name) == pytest.approx(getattr(many, name), rel=1e-14), name
    assert [c.rows for c in one.per_class] == [c.rows for c in many.per_class]


def test_more_pairs_than_are_kept(monkeypatch):
    from xent.evaluation._accumulator import pairs

    rng = np.random.default_rng(2)
    target, logits = rng.integers(0, 100, 300), rng.normal(size=(300, 100))
    every = evaluate(target, logits=logits)
    monkeypatch.setattr(pairs, "PAIRS_KEPT", 100)
    few = evaluate(target, logits=logits)
    assert len(every.pairs) > 200
    assert len(few.pairs) == 0
    assert few.per_class == every.per_class
    assert few.cross_entropy == every.cross_entropy
    assert few.accuracy == every.accuracy
