"""Calibrators of others: cross-fitted as ours are, against a slow loop over the same folds."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from xent.evaluation import evaluate
from xent.evaluation._calibration import others
from xent.evaluation._calibration.recovered import dealt


class OnLogs:
    """Vector scaling by scikit-learn."""

    def fit(self, probs, classes):
        self.model = LogisticRegression(C=1e6, max_iter=1000).fit(np.log(probs), classes)

    def predict_proba(self, probs):
        return self.model.predict_proba(np.log(probs)).astype(np.float32)


class Nothing:
    def fit(self, probs, classes):
        pass

    def predict_proba(self, probs):
        return probs


def drawn(classes=3, rows=400):
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(rows, classes))
    truth = (
        np.exp(logits / 3).cumsum(1) / np.exp(logits / 3).sum(1, keepdims=True)
        > rng.random((rows, 1))
    ).argmax(1)
    return truth, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3])
def test_other_calibrators_are_cross_fitted(classes, monkeypatch):
    y, p = drawn(classes)
    seen = []

    def dealing(*args):
        seen.append(dealt(*args))
        return seen[-1]

    monkeypatch.setattr(others, "dealt", dealing)
    report = evaluate(y, p, calibrators={"vector": OnLogs(), "nothing": Nothing()})
    (fold, chosen), cost = seen[-1], np.empty(len(y))
    assert chosen.all()
    for k in range(5):
        one = OnLogs()
        one.fit(p[fold != k], y[fold != k])
        here = fold == k
        cost[here] = -np.log2(one.predict_proba(p[here])[np.arange(here.sum()), y[here]])
    found = report.recovered["vector"]
    assert found["left"] == pytest.approx(cost.mean(), rel=1e-6)
    assert found["mean"] == pytest.approx(report.cross_entropy - cost.mean(), rel=1e-5)
    assert found["low"] < found["mean"] < found["high"]
    assert report.recovered["nothing"]["mean"] == pytest.approx(0, abs=1e-12)
    assert "vector" in str(report)
    assert {"temperature"} < set(report.recovered)


def test_rows_beyond_those_fitted_on_are_mended_too(monkeypatch):
    y, p = drawn()
    monkeypatch.setattr(others, "MOST_CELLS", 300)
    found = evaluate(y, p, calibrators={"vector": OnLogs()}).recovered["vector"]
    assert 0 < found["mean"] < evaluate(y, p).cross_entropy


def test_what_other_calibrators_may_not_do():
    y, p = drawn()

    class Bad(Nothing):
        def predict_proba(self, probs):
            return probs[:, :2]

    class Worse(Nothing):
        def predict_proba(self, probs):
            return 2 * probs

    for one, sentence in ((Bad(), "returned the shape"), (Worse(), "that are no probabilities")):
        with pytest.raises(
            ValueError, match=f"The calibrator 'it' cannot be used: it .*{sentence}|{sentence}"
        ):
            evaluate(y, p, calibrators={"it": one})
    with pytest.raises(TypeError, match="`calibrators` must hold objects that have `fit`"):
        evaluate(y, p, calibrators={"it": 3})
    with pytest.raises(TypeError, match="`calibrators` must be several names"):
        evaluate(y, p, calibrators="sms")
    with pytest.raises(ValueError, match="`calibrators` must be left out where `sample_weight`"):
        evaluate(y, p, calibrators={"it": Nothing()}, sample_weight=np.ones(len(y)))


def test_the_package_of_names_is_named(monkeypatch):
    monkeypatch.setattr("xent._optional.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"calibrators= by name needs probmetrics\. Install it"):
        evaluate([0, 1], [0.2, 0.7], calibrators=["sms"])


@pytest.mark.parametrize("name", ["sms", "svs", "temp-scaling"])
def test_calibrators_of_probmetrics(name):
    pytest.importorskip("probmetrics")
    y, p = drawn()
    report = evaluate(y, p, calibrators=[name])
    ours, theirs = report.recovered["temperature"]["mean"], report.recovered[name]["mean"]
    assert theirs == pytest.approx(ours, abs=0.02)  # all of them know a temperature
    with pytest.raises(ValueError, match="`calibrators` must be names that probmetrics knows"):
        evaluate(y, p, calibrators=["nosuch"])
