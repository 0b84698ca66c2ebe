"""Second branches of the evaluation room: what the screen says beside the numbers of the report."""

import math

import numpy as np
import pytest

from xent.evaluation import Accumulator, evaluate
from xent.evaluation._compare._paired import Pieces, sign_flip


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


def test_what_floors_would_give_is_that_of_all_parts():
    probs = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.25, 0.75]])
    first, second = Accumulator(), Accumulator()
    first.update([1, 0], probs[:2])
    second.update([0, 1], probs[2:])
    first.merge(second)
    found, sure = first.result().floored, math.log2(2) + math.log2(4 / 3)
    for name, floor in (("2.2e-16", 2.0**-52), ("1e-15", 1e-15), ("1.2e-07", 2.0**-23)):
        assert found[name] == pytest.approx((sure - 2 * math.log2(floor)) / 4, rel=1e-6)
