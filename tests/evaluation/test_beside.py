"""What stands beside the cross-entropy: baselines, top k, classes alike, coverage, repeated rows."""

import math

import numpy as np
import pytest
from sklearn import metrics

from xent.evaluation import evaluate


def data(classes=12, rows=400, seed=0):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(classes) * 0.3, rows)
    target = np.array([rng.choice(classes, p=row) for row in probs])
    return target, probs, rng.choice([0.5, 1, 3], rows)


@pytest.mark.parametrize("weighted", [False, True])
def test_top_k_is_scikit_learns(weighted):
    target, probs, weight = data()
    found = evaluate(target, probs, sample_weight=weight if weighted else None)
    for k in range(1, 11):
        want = metrics.top_k_accuracy_score(
            target, probs, k=k, labels=range(12), sample_weight=weight if weighted else None
        )
        assert found.top_k[str(k)] == pytest.approx(want, rel=1e-12)
    assert "11" not in found.top_k
    assert found.top_k["1"] == found.accuracy
    assert set(evaluate([0, 1, 2], np.eye(3)).top_k) == {"1", "2"}


def test_ties_are_broken_as_the_prediction_is():
    """Accuracy and the first of the top k are one number, also where all classes are alike."""
    found = evaluate([0, 1, 2, 3], np.full((4, 4), 0.25))
    assert found.accuracy == 0.25
    assert found.top_k == {"1": 0.25, "2": 0.5, "3": 0.75}


@pytest.mark.parametrize("weighted", [False, True])
def test_classes_alike(weighted):
    target, probs, weight = data()
    weight = weight if weighted else np.ones(400)
    cost = -np.log2(probs[np.arange(400), target])
    each = [np.average(cost[target == c], weights=weight[target == c]) for c in set(target)]
    found = evaluate(target, probs, sample_weight=weight if weighted else None)
    assert found.macro == pytest.approx(np.mean(each), rel=1e-12)
    assert evaluate([0, 1], [[0, 1.0], [0.5, 0.5]]).macro == math.inf


@pytest.mark.parametrize("weighted", [False, True])
def test_coverage(weighted):
    target, probs, weight = data()
    weight = weight if weighted else np.ones(400)
    cost, most = -np.log2(probs[np.arange(400), target]), probs.max(axis=1)
    found = evaluate(target, probs, sample_weight=weight if weighted else None).coverage
    assert [row.coverage for row in found] == sorted(row.coverage for row in found)
    assert 8 <= len(found) <= 10
    for k, row in enumerate(found):
        some = most >= row.confidence
        assert row.coverage == pytest.approx(weight[some].sum() / weight.sum(), rel=1e-12)
        assert row.coverage >= (k + 1) / 10
        assert row.cross_entropy == pytest.approx(np.average(cost[some], weights=weight[some]))
        right = probs.argmax(axis=1)[some] == target[some]
        assert row.accuracy == pytest.approx(np.average(right, weights=weight[some]))
    whole = evaluate(target, probs, sample_weight=weight if weighted else None)
    assert found[-1].coverage == 1
    assert found[-1].cross_entropy == pytest.approx(whole.cross_entropy, rel=1e-12)


@pytest.mark.parametrize("alike", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_tenth_that_is_reached_exactly_is_a_step(alike, weighted):
    sure = np.repeat(np.linspace(0.54, 0.99, 10), alike)
    target = np.arange(10 * alike) % 4 // 3  # 0, but for every fourth row
    weight = np.full(10 * alike, 2.0) if weighted else None
    found = evaluate(target, np.column_stack([sure, 1 - sure]), sample_weight=weight).coverage
    assert [row.coverage for row in found] == [k / 10 for k in range(1, 11)]
    right = (target == 0)[::-1].cumsum()[alike - 1 :: alike]
    rows = np.arange(alike, 10 * alike + 1, alike)
    assert [row.accuracy for row in found] == (right / rows).tolist()


def test_the_prior_of_the_training_set():
    target, probs = [0, 0, 1, 1], np.full((4, 2), 0.5)
    for prior in ({0: 30, 1: 10}, [0.75, 0.25], np.array([3, 1])):
        found = evaluate(target, probs, prior=prior)
        assert found.training_prior == pytest.approx(-np.log2([0.75, 0.25]).mean())
        assert "training prior" in str(found)
    assert evaluate(target, probs, prior={0: 1}).training_prior == math.inf
    assert evaluate(target, probs).to_dict()["training_prior"] is None
    for prior, sentence in (
        ({2: 1}, "`prior` must name the classes 0 or 1, got 2"),
        ([1.0], r"`prior` must have a number for each class, 2, got the shape \(1,\)"),
        ([-1, 2], "`prior` must be finite, 0 or more, not all 0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            evaluate(target, probs, prior=prior)


def test_the_floor_of_label_smoothing():
    """PyTorch's smoothed loss is least where the true class has 1 - ε + ε / C."""
    torch = pytest.importorskip("torch")
    best = np.array([[0.9 + 0.1 / 4, *[0.1 / 4] * 3]])
    found = evaluate([0], best, label_smoothing=0.1, base=math.e)
    assert found.smoothing_floor == pytest.approx(found.cross_entropy)
    logits = torch.tensor(np.log(best), requires_grad=True)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0]), label_smoothing=0.1)
    (grad,) = torch.autograd.grad(loss, logits)
    assert grad.abs().max() < 1e-15
    with pytest.raises(ValueError, match="`label_smoothing` must be from 0 to below 1, got 1"):
        evaluate([0], best, label_smoothing=1)


def test_repeated_rows_count_once():
    target, probs, _ = data(rows=10)
    ids = [f"r{i}" for i in range(10)]
    again = [*range(10), 0, 1]  # what a DistributedSampler of 4 processes makes of 10 rows
    want = evaluate(target, probs, ids=ids)
    found = evaluate(target[again], probs[again], ids=[ids[i] for i in again], once=True)
    assert found == want
    with pytest.raises(ValueError, match="`ids` must be given where `once` is True"):
        evaluate(target, probs, once=True)
    wrong = target[again]
    wrong[-1] = (wrong[-1] + 1) % 12
    with pytest.raises(ValueError, match="`ids` must name one row each, got 'r1' twice, with"):
        evaluate(wrong, probs[again], ids=[ids[i] for i in again], once=True)
