"""More classes, slices and lines than have room at first; the reference is NumPy over all rows."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from xent.evaluation import (
    Accumulator,
    compare,
    evaluate,
    evaluate_multilabel,
    evaluate_ordered,
    evaluate_soft,
    evaluate_tokens,
)
from xent.evaluation._calibration.calibrators.many_stairs import _kept

RNG = np.random.default_rng(7)


def rows(count, classes):
    probs = RNG.dirichlet(np.ones(classes), count)
    return probs, RNG.integers(0, classes, count), RNG.integers(1, 9, count) / 4


def cost_of(probs, target, weight):
    here = -np.log2(probs[np.arange(len(target)), target])
    return float((weight * here).sum() / weight.sum())


@pytest.mark.parametrize("weighted", [False, True])
def test_slices_that_come_later_are_counted_as_the_first(weighted):
    probs, target, weight = rows(900, 3)
    names = [f"s{i * i % 61}" for i in range(len(target))]  # 31 of them; 16 have room at first
    whole = Accumulator()
    for start in range(0, 900, 90):
        part = slice(start, start + 90)
        whole.update(target[part], probs[part], by={"s": names[part]}, **{"sample_weight": weight[part]} if weighted else {})  # fmt: skip
    weight = weight if weighted else np.ones(900)
    found = {row.value: row for row in whole.result().slices}
    assert set(found) == set(names)
    for name, row in found.items():
        some = np.array([n == name for n in names])
        expected = cost_of(probs[some], target[some], weight[some])
        assert row.cross_entropy == pytest.approx(expected, rel=1e-12)
        assert row.rows == weight[some].sum()  # quarters, so without rounding


@pytest.mark.parametrize("weighted", [False, True])
def test_pairs_of_many_classes_that_come_later_are_counted_as_the_first(weighted):
    probs, target, weight = rows(3000, 70)  # of more than 64 classes only pairs that occur
    whole = Accumulator()
    for start in range(0, 3000, 500):
        part = slice(start, start + 500)
        whole.update(target[part], probs[part], **{"sample_weight": weight[part]} if weighted else {})  # fmt: skip
    weight = weight if weighted else np.ones(3000)
    cost = -np.log2(probs[np.arange(3000), target]) * weight
    counted, spent = Counter(), Counter()
    for pair, w, bits in zip(
        zip(target.tolist(), probs.argmax(axis=1).tolist(), strict=True), weight, cost, strict=True
    ):
        counted[pair] += w
        spent[pair] += bits
    found = {(pair.target, pair.prediction): pair for pair in whole.result().pairs}
    assert len(found) > 1024  # so many have room at first
    assert {pair: row.rows for pair, row in found.items()} == counted
    assert {pair: row.cost for pair, row in found.items()} == pytest.approx(spent, rel=1e-12)


def test_names_may_be_ignored_by_name():
    probs, target, _ = rows(40, 3)
    names = np.array(["a", "b", "c"])[target]
    report = evaluate(list(names), probs, labels=["a", "b", "c"], ignore_index="b")
    some = names != "b"
    assert report.rows == some.sum()
    assert report.cross_entropy == pytest.approx(
        cost_of(probs[some], target[some], np.ones(some.sum())), rel=1e-12
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_share_of_the_model_in_a_mixture_is_the_best(seed):
    rng = np.random.default_rng(seed)
    mended, said, weight = rng.random(50), rng.random(50), rng.random(50) + 0.1

    def loss(share):
        return -(weight * np.log((1 - share) * mended + share * said)).sum()

    best = minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-12})
    found = _kept(mended, said, weight)
    assert 0.01 < found < 0.99
    assert found == pytest.approx(best.x, abs=1e-6)
    assert loss(found) == pytest.approx(best.fun, rel=1e-14)
    assert _kept(mended, mended / 2, weight) == 0
    assert _kept(mended / 2, mended, weight) == 1
    zero = np.append(mended, 0.0)  # what both call impossible says nothing
    assert _kept(zero, np.append(said, 0.0), np.append(weight, 9.0)) == found


def listed(text):
    """Return the lines of a table with its last line."""
    lines = text.splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith("  and "))
    start = max(i for i in range(end) if not lines[i].startswith("  "))
    return end - start - 1, lines[end]


def test_what_is_not_listed_is_counted():
    probs = RNG.random((30, 15))
    target = (RNG.random((30, 15)) < probs).astype(int)
    assert listed(str(evaluate_multilabel(target, probs))) == (12, "  and 3 more")
    assert "and " not in str(evaluate_multilabel(target[:, :12], probs[:, :12]))
    probs, target, _ = rows(60, 13)
    text = str(evaluate_ordered(target, probs))
    assert listed(text[text.index("at most ") :]) == (10, "  and 2 more")
    assert listed(str(evaluate_soft(np.eye(13)[target], probs))) == (10, "  and 3 more")
    assert "  and " not in str(evaluate_soft(np.eye(10)[target % 10], rows(60, 10)[0]))


def test_infinite_cost_is_said_in_every_kind():
    report = evaluate_multilabel([[1, 0], [0, 1], [1, 1]], [[0.0, 0.5], [0.5, 0.5], [0.5, 0.0]])
    assert report.impossible == 2
    assert "2 labels had what happened at probability 0: infinite cost" in str(report)
    assert "infinite cost" not in str(evaluate_multilabel([[1, 0]], [[0.5, 0.5]]))
    said = str(evaluate_tokens([[-1.0, -math.inf], [-2.0]]))
    assert "something had probability 0: infinite cost" in said
    assert "infinite cost" not in str(evaluate_tokens([[-1.0, -3.0], [-2.0]]))
    report = evaluate_soft([[0.5, 0.5], [1, 0]], [[0.0, 1.0], [0.5, 0.5]])
    assert "1 row had a class that is possible at probability 0: infinite cost" in str(report)


def test_one_row_has_no_interval():
    for report in (
        evaluate_soft([[0.5, 0.5]], [[0.25, 0.75]]),
        evaluate_multilabel([[1, 0]], [[0.25, 0.75]]),
        evaluate([0], [[0.25, 0.75]]),
    ):
        assert math.isfinite(report.cross_entropy)
        assert math.isnan(report.low)
        assert math.isnan(report.high)


def test_groups_that_are_drawn_whole_are_said():
    p, target, _ = rows(30, 3)
    q = rows(30, 3)[0]
    groups = [i // 3 for i in range(30)]
    student = str(compare(p, q, target=target, groups=groups))
    assert ", cluster-robust; p: " in student
    assert "10 groups of rows are drawn whole" in student
    drawn = str(compare(p, q, target=target, groups=groups, interval="bootstrap", resamples=200))
    assert " of groups; p: " in drawn
    assert "200 resamples, seed 0" in drawn
    alone = str(compare(p, q, target=target))
    assert "rows are drawn one by one" in alone
    assert "resamples" not in alone


LOGP = [[-1.0, -2.0], [-3.0]]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mask": [[1, 2], [1]]}, "`mask` must be of booleans, got other numbers."),
        ({"mask": [[1, 1], [1, 1]]}, "`mask` must have the shape of `log_probs`, got another."),
        ({"ids": ["a"]}, "`ids` must have one value a document, 2, got 1."),
        ({"texts": ["", ""]}, "`texts` must hold some text, got none."),
        ({"log_probs": np.empty((0, 3))}, "`log_probs` must have at least one document, got none."),
        ({"log_probs": [["a"]]}, "`log_probs` must hold numbers"),
        ({"log_probs": [[[-1.0]], [[-2.0]]]}, "`log_probs` must be one array a document, got the shape (2, 1)."),
        ({"log_probs": [-1.0, -2.0], "documents": [1]}, "`documents` must have one value a token, 2, got 1."),
    ],
)  # fmt: skip
def test_documents_that_cannot_be(options, sentence):
    given = {"log_probs": LOGP, **options}
    with pytest.raises((ValueError, TypeError)) as caught:
        evaluate_tokens(given.pop("log_probs"), **given)
    assert str(caught.value).startswith(sentence), str(caught.value)
