"""The sketch of a column: within its bounds in any order, exact while there are few values."""

import numpy as np
import pytest

from xent._kernels.columns.sketch import count_joined, join, merge
from xent._table.sketch import Sketch

ORDERS = {
    "rising": np.arange(200_000.0),
    "falling": -np.arange(200_000.0),
    "mixed": np.random.default_rng(0).lognormal(0, 3, 200_000),
    "waves": np.sin(np.arange(200_000.0) ** 1.5),
    "few, then many": np.concatenate([np.zeros(90_000), np.ones(10_000), np.arange(100_000.0)]),
}


@pytest.mark.parametrize("order", ORDERS)
def test_sketch_is_within_its_bound(order):
    """Against sorting everything; ranks may be off by one share of the rows."""
    x = ORDERS[order]
    whole, half, other = Sketch(), Sketch(), Sketch()
    for i in range(0, len(x), 37_111):
        whole.add(x[i : i + 37_111])
    half.add(x[:120_000])
    other.add(x[120_000:])
    half.merge(other)
    ordered = np.sort(x)
    for sketch in (whole, half):
        sketch.flush()
        assert sketch.total == sketch.weight.sum() == len(x)
        rank = np.searchsorted(ordered, sketch.high, "right")
        hidden = rank - np.cumsum(sketch.weight)
        assert (hidden >= 0).all()
        assert (hidden <= sketch.doubt).all()
        assert sketch.doubt.max() <= len(x) / 4096
        assert len(sketch.high) < 32_768
        assert np.isin(sketch.high, x).all()
        ends = sketch.ends(256)
        assert 200 < len(ends) <= 256
        assert ends[-1] == x.max()
        sizes = np.bincount(np.searchsorted(ends, x))
        counts = np.unique(x, return_counts=True)[1]
        assert sizes.max() <= max(counts.max(), len(x) / 256 * 1.3)
    again = Sketch()
    for i in range(0, len(x), 9_973):
        again.add(x[i : i + 9_973])
    np.testing.assert_array_equal(again.ends(256), whole.ends(256))


def test_sketch_keeps_few_values_exactly():
    x = np.random.default_rng(0).integers(0, 256, 100_000).astype(float)
    sketch = Sketch()
    sketch.add(np.where(x == 0, -0.0, x))
    np.testing.assert_array_equal(sketch.ends(256), np.arange(256.0))
    sketch.add(np.array([np.nan]))
    assert len(sketch.ends(256)) == 255


def test_points_are_joined_up_to_the_most_rows():
    rng = np.random.default_rng(1)
    for most in (1, 2, 5, 9):
        weight, doubt = rng.integers(1, 5, 60), rng.integers(0, 3, 60)
        for unsure in (np.zeros(60, np.int64), doubt):
            want = [[0.0, 0.0, weight[0]]]
            for i in range(1, 60):
                if want[-1][2] + weight[i] + unsure[i] <= most:
                    want[-1] = [want[-1][0], float(i), want[-1][2] + weight[i]]
                else:
                    want.append([float(i), float(i), weight[i]])
            low, high, held = np.arange(60.0), np.arange(60.0), weight.copy()
            n = join(low, high, held, unsure.copy(), most)
            assert [list(row) for row in zip(low[:n], high[:n], held[:n], strict=True)] == want
            if not unsure.any():
                assert count_joined(weight, most) == n


def test_as_many_rows_are_in_doubt_as_may_lie_below():
    """Of an entry of three rows two may lie anywhere below its point, the third is the point."""
    a, b = np.array([5.0, 8.0]), np.array([1.0, 7.0, 8.0])
    rows, more = np.array([4, 2]), np.array([2, 3, 1])
    doubt, unsure = np.array([0, 1]), np.array([0, 2, 0])
    value, weight, found = np.empty(5), np.empty(5, np.int64), np.empty(5, np.int64)
    n = merge(a, rows, doubt, b, more, unsure, value, weight, found)
    assert value[:n].tolist() == [1, 5, 7, 8]
    assert weight[:n].tolist() == [2, 4, 3, 3]
    assert found[:n].tolist() == [0 + 3, 0 + 4, 2 + 2, 1]


def test_merging_leaves_the_other_sketch_as_it_was():
    other = Sketch()
    other.add(np.arange(16_000.0))
    other.flush()
    before = other.high.copy(), other.weight.copy(), other.doubt.copy()
    Sketch().merge(other)
    for one, two in zip(before, (other.high, other.weight, other.doubt), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_gap_of_either_sketch_is_one_of_both():
    """One bin of the 256 is kept for it."""
    gap, full = Sketch(), Sketch()
    gap.add(np.array([1.0, np.nan]))
    full.add(np.arange(256.0))
    for one, other in ((full, gap), (Sketch(), full), (gap, Sketch())):
        one.merge(other)
        assert one.missing
    assert len(full.ends(256)) < 256


def counted(sketch, values, weights):
    found, place = np.unique(values, return_inverse=True)
    sketch.take(found, np.bincount(place, weights))


@pytest.mark.parametrize("order", ORDERS)
def test_intervals_hold_exactly_their_rows(order):
    x, rng = ORDERS[order], np.random.default_rng(1)
    weights = rng.integers(1, 4, len(x)) / 4
    sketch = Sketch(1024, 256, points=False)
    for i in range(0, len(x), 7_001):
        counted(sketch, x[i : i + 7_001], weights[i : i + 7_001])
    low, high = sketch.low, sketch.high
    assert (low <= high).all()
    assert (high[:-1] < low[1:]).all()
    assert len(high) <= 1024
    place = np.searchsorted(high, x)
    assert (low[place] <= x).all()
    np.testing.assert_allclose(np.bincount(place, weights), sketch.weight, rtol=1e-12)
    assert sketch.total == weights.sum()


@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_intervals_of_whole_numbers_stay_whole(kind):
    sketch = Sketch(points=False)
    for start in (2**53, 2**53 + 1, 2**53):
        counted(sketch, np.array([start, start + 2], kind), np.ones(2))
    assert sketch.high.dtype == kind
    assert sketch.high.tolist() == [2**53, 2**53 + 1, 2**53 + 2, 2**53 + 3]
    assert sketch.weight.tolist() == [2, 1, 2, 1]
