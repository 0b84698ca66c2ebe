"""A saved model comes back with the same predictions to the last bit, and nothing in it is run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xent.training import Scaling, SoftmaxClassifier, TrainedModel


def fitted(classes, **settings):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = np.array(classes)[rng.integers(0, len(classes), 40)]
    return X, SoftmaxClassifier(epochs=2, random_state=0, **settings).fit(X, y, validation=(X, y))


@pytest.mark.parametrize("classes", [["b", "ä"], [3, -1, 7], [False, True], [1.0, 2.0]])
@pytest.mark.parametrize("hidden", [(), (5, 4)])
def test_round_trip(tmp_path, classes, hidden):
    X, classifier = fitted(classes, hidden=hidden, loss="mse_sigmoid")
    model = TrainedModel(classifier, Scaling.of(X), ["a", "b", "c"], "class")
    model.save(tmp_path / "m.xent")
    again = TrainedModel.load(tmp_path / "m.xent")
    assert again.predict_log_proba(X).tobytes() == model.predict_log_proba(X).tobytes()
    assert again.classifier.classes_.tolist() == classifier.classes_.tolist()
    assert again.classifier.history_ == classifier.history_
    assert again.classifier.get_params() == {**classifier.get_params(), "hidden": list(hidden)}
    assert (again.columns, again.target) == (["a", "b", "c"], "class")


def test_without_scaling_and_with_a_generator(tmp_path):
    X, classifier = fitted([0, 1])
    classifier.set_params(random_state=np.random.RandomState(1))
    TrainedModel(classifier).save(tmp_path / "m")
    again = TrainedModel.load(tmp_path / "m")
    assert again.scaling is None
    assert again.classifier.random_state is None
    np.testing.assert_array_equal(again.predict_log_proba(X), classifier.predict_log_proba(X))


def test_a_model_that_cannot_be_saved_leaves_the_old_one(tmp_path):
    _, classifier = fitted([0, 1])
    TrainedModel(classifier).save(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    with pytest.raises(TypeError):
        TrainedModel(classifier, columns=[object()]).save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == before


def test_other_files_are_refused(tmp_path):
    (tmp_path / "m").write_bytes(b"\x80\x04\x95 a pickle, say")
    with pytest.raises(ValueError, match=r"must be a xent\.training file"):
        TrainedModel.load(tmp_path / "m")


ranges = arrays(float, (6, 3), elements=st.floats(-1e6, 1e6))


@given(ranges)
def test_scaling_brings_training_data_to_the_unit_interval(X):
    scaled = Scaling.of(X).apply(X)
    assert ((scaled >= 0) & (scaled <= 1)).all()
    varies = X.min(axis=0) < X.max(axis=0)
    np.testing.assert_array_equal(scaled.max(axis=0), varies.astype(float))


def test_new_data_may_lie_outside():
    scaling = Scaling.of([[0.0, 5.0], [2.0, 5.0]])
    np.testing.assert_array_equal(scaling.apply([[4.0, 6.0]]), [[2.0, 0.0]])
