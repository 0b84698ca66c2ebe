"""What other libraries call: a scorer, a Trainer's metrics, a notebook's cell."""

import math
import pickle
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn import metrics
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score

from xent.evaluation import compute_metrics, evaluate, scorer

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])


# ------------------------------------------------------------------ scikit-learn


@pytest.mark.parametrize("target", [y, NAMES[y], y == 2, (y - 5).astype(float)])
def test_the_scorer_is_log_loss_where_nothing_is_clipped(target):
    model = LogisticRegression(max_iter=1000)
    ours = cross_val_score(model, X, target, scoring=scorer(base=math.e), cv=3)
    theirs = cross_val_score(model, X, target, scoring="neg_log_loss", cv=3)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    bits = cross_val_score(model, X, target, scoring=scorer(), cv=3)
    np.testing.assert_allclose(bits, ours / math.log(2), rtol=1e-12)


def test_the_scorer_searches_and_travels():
    search = GridSearchCV(
        LogisticRegression(max_iter=1000),
        {"C": [0.01, 1]},
        scoring={"bits": scorer()},
        refit="bits",
    )
    assert search.fit(X, y).best_params_ == {"C": 1}
    assert pickle.loads(pickle.dumps(scorer())) == scorer()
    weight = np.arange(150) % 3
    model = LogisticRegression(max_iter=1000).fit(X, y)
    weighed = scorer(base=math.e)(model, X, y, sample_weight=weight)
    theirs = metrics.log_loss(y, model.predict_proba(X), sample_weight=weight)
    assert weighed == pytest.approx(-theirs, rel=1e-9)


def test_a_class_that_a_fold_lacks_costs_what_it_costs():
    """The estimator gives it probability 0, which no clipping hides."""
    model = LogisticRegression(max_iter=1000).fit(X[y != 1], NAMES[y[y != 1]])
    assert scorer()(model, X, NAMES[y]) == -math.inf
    assert scorer()(model, X[y != 1], NAMES[y[y != 1]]) > -0.1
    fold = y != 2
    mistaken = metrics.get_scorer("neg_log_loss")(model, X[fold], NAMES[y[fold]])
    assert mistaken == pytest.approx(-0.103, abs=1e-3), "docs/evaluation.md tells of it"
    assert scorer()(model, X[fold], NAMES[y[fold]]) == -math.inf
    with pytest.raises(ValueError, match="`y` must hold classes that the estimator was fitted on"):
        scorer(unseen="refuse")(model, X, NAMES[y])
    known = y != 1
    alone = scorer()(model, X[known], NAMES[y[known]])
    for unseen in ("infinite", "refuse"):  # rows of weight 0 are none, whatever their class
        weighed = scorer(unseen=unseen)(model, X, NAMES[y], sample_weight=known.astype(float))
        assert weighed == pytest.approx(alone, rel=1e-12)
    few = model.predict_proba(X[y == 2])
    assert scorer(base=math.e)(model, X[y == 2], NAMES[y[y == 2]]) == pytest.approx(
        np.log(few[:, 1]).mean()
    )
    sure = DummyClassifier(strategy="most_frequent").fit(X, y)
    assert scorer()(sure, X, y) == -math.inf
    with pytest.raises(TypeError, match="`estimator` must be a classifier that was fitted and has"):
        scorer()(LinearRegression().fit(X, y), X, y)
    with pytest.raises(ValueError, match="`unseen` must be 'infinite' or 'refuse', got 'drop'"):
        scorer(unseen="drop")


# ------------------------------------------------------------------ Hugging Face


def test_predictions_of_a_trainer():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(30, 4)).astype(np.float32), rng.integers(0, 4, 30)
    labels[3] = -100
    found = compute_metrics()(SimpleNamespace(predictions=logits, label_ids=labels))
    loss = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits).double(), torch.from_numpy(labels)
    ).item()
    assert found["cross_entropy_bits"] == pytest.approx(loss / math.log(2), rel=1e-9)
    assert found["rows"] == 29
    assert all(type(value) is float for value in found.values())
    assert found["cross_entropy_low"] < found["cross_entropy_bits"] < found["cross_entropy_high"]
    nats = compute_metrics(base=math.e)((logits, labels))
    assert nats["cross_entropy_nats"] == pytest.approx(loss, rel=1e-9)
    report = compute_metrics(labels="abcd").report((logits, labels))
    assert report.labels == list("abcd")
    assert {c.label for c in report.per_class} == set("abcd")
    assert report.hardest[0].target in "abcd"
    counted = Counter((labels[i], logits[i].argmax()) for i in range(30) if i != 3)
    named = {("abcd".index(p.target), "abcd".index(p.prediction)): p.rows for p in report.pairs}
    assert named == dict(counted)
    assert {h.prediction for h in report.hardest} <= set("abcd")


def test_tokens_of_a_trainer():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(6, 9, 5)), rng.integers(0, 5, (6, 9))
    labels[2, 4:] = -100
    loss = torch.nn.functional.cross_entropy
    tagged = compute_metrics(base=math.e)((logits, labels))
    flat = loss(torch.from_numpy(logits.reshape(-1, 5)), torch.from_numpy(labels.reshape(-1)))
    assert tagged["cross_entropy_nats"] == pytest.approx(flat.item(), rel=1e-12)
    causal = compute_metrics(base=math.e, shift=True)((logits, labels))
    after = (
        torch.from_numpy(logits[:, :-1].reshape(-1, 5)),
        torch.from_numpy(labels[:, 1:].reshape(-1)),
    )
    assert causal["cross_entropy_nats"] == pytest.approx(loss(*after).item(), rel=1e-12)


def test_what_is_no_prediction_of_classes_is_refused():
    logits, labels = np.zeros((3, 2)), np.zeros(3, int)
    for given, options, sentence in (
        (
            ((logits, logits), labels),
            {},
            "`predictions` must be one array, or say which are logits",
        ),
        ((logits, (labels, labels)), {}, "`label_ids` must be one array, got 2 of the shapes"),
        ((logits[:, 0], labels), {}, "`predictions` must be logits of the shape"),
        (logits, {}, "`predictions` must be an EvalPrediction, or the pair"),
        ((logits, labels), {"shift": True}, "`shift` must be left out where predictions are not"),
        ((logits, labels), {"labels": "abc"}, "`labels` must name the 2 classes, got 3"),
        ((logits[:, :1], labels), {}, "`logits` must have a column for each class"),
    ):
        with pytest.raises((ValueError, TypeError), match=sentence):
            compute_metrics(**options)(given)
    for last in (1, -1):
        assert compute_metrics(logits=last)(((np.zeros((9, 9)), logits), labels))["rows"] == 3
    for which in (2, -3):
        with pytest.raises(ValueError, match="be one array, or say which are logits, got 2 of the"):
            compute_metrics(logits=which)(((logits, logits), labels))
    second = compute_metrics(logits=1)(((np.zeros((9, 9)), logits), labels))
    assert second["cross_entropy_bits"] == 1


# ------------------------------------------------------------------ notebooks


def test_a_report_in_a_notebook():
    names = ["<script>alert(1)</script>", *"bcdefghijklmnop"]
    rng = np.random.default_rng(2)
    probs = rng.dirichlet(np.ones(16), 100)
    report = evaluate([names[i] for i in rng.integers(0, 16, 100)], probs, labels=names)
    cell = report._repr_html_()
    assert "&lt;script&gt;" in cell
    assert "<script>" not in cell
    assert f"{report.cross_entropy:.4f} bits a row" in cell
    assert "and 4 classes that cost less" in cell
    assert "://" not in cell
    assert "zeros on the truth" in evaluate([1], [[1.0, 0.0]])._repr_html_()
