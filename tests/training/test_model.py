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


@pytest.mark.parametrize("weights", [{3: 2, np.int64(7): 0.5}, "balanced"])
def test_class_weights_schedules_and_options_survive(tmp_path, weights):
    X, classifier = fitted(
        [3, 7], loss="focal:gamma=2", class_weight=weights, schedule="StepLR:step_size=1"
    )
    TrainedModel(classifier).save(tmp_path / "m")
    again = TrainedModel.load(tmp_path / "m").classifier
    assert {**again.get_params(), "hidden": ()} == classifier.get_params()
    np.testing.assert_array_equal(again.predict_log_proba(X), classifier.predict_log_proba(X))


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


def forged(path, change):
    """Write other parts of a model with true checksums."""
    from xent import _store

    state, parts = _store.load(path, format="xent.training", version=2)
    change(state, parts)
    _store.save(path, format="xent.training", version=2, state=state, arrays=parts)


@pytest.mark.parametrize(
    "change",
    [
        lambda s, a: a.pop("bias0"),
        lambda s, a: a.pop("scaling.high"),
        lambda s, a: a.update(bias1=a["bias1"][:1]),
        lambda s, a: a.update(weight1=a["weight1"].T.copy()),
        lambda s, a: a.update(weight0=a["weight0"].astype(np.float64)),
        lambda s, a: a.update(weight0=a["weight0"].reshape(-1)),
        lambda s, a: a.update({"scaling.low": a["scaling.low"][:2]}),
        lambda s, a: s.update(classes=["a"]),
        lambda s, a: s.update(classes=[["a"], ["b"]]),
        lambda s, a: s.update(classes_dtype="<U900000000"),
        lambda s, a: s.update(classes_dtype="V8"),
        lambda s, a: s.update(classes_dtype="no dtype"),
        lambda s, a: s.update(columns=["a", "b"]),
        lambda s, a: s.update(columns="abc"),
        lambda s, a: s.update(features=["a"]),
        lambda s, a: s.update(target=[]),
        lambda s, a: s.update(settings=[1]),
        lambda s, a: s["settings"].update(other=1),
        lambda s, a: s["settings"].update(loss="none"),
        lambda s, a: s["settings"].update(loss=[]),
        lambda s, a: s.pop("settings"),
    ],
)
def test_a_forged_model_is_refused(tmp_path, change):
    X, classifier = fitted(["a", "b"], hidden=(4,))
    TrainedModel(classifier, Scaling.of(X), ["a", "b", "c"], "y").save(tmp_path / "m.xent")
    forged(tmp_path / "m.xent", lambda s, a: None)
    TrainedModel.load(tmp_path / "m.xent")
    forged(tmp_path / "m.xent", change)
    with pytest.raises(ValueError, match="cannot be read: what it holds is no model"):
        TrainedModel.load(tmp_path / "m.xent")


ranges = arrays(float, (6, 3), elements=st.floats(-1e6, 1e6))


@given(ranges)
def test_scaling_brings_training_data_to_the_unit_interval(X):
    scaled = Scaling.of(X).apply(X)
    assert ((scaled >= 0) & (scaled <= 1)).all()
    varies = X.min(axis=0) < X.max(axis=0)
    np.testing.assert_array_equal(scaled.max(axis=0), varies.astype(float))


WRONG = [
    ([1.0, 2.0], "`X` must have the shape (rows, features), at least one of each, got (2,)."),
    (np.empty((0, 2)), "`X` must have the shape (rows, features), at least one of each, got (0, 2)."),
    ([[1.0, np.nan]], "`X` must be finite, got nan at [0, 1]."),
    ([[-1e308], [1e308]], "`X` must hold features whose range float64 can hold, got -1e+308 to 1e+308 in column 0."),
]  # fmt: skip


@pytest.mark.parametrize(("X", "sentence"), WRONG)
def test_scaling_refuses(X, sentence):
    with pytest.raises(ValueError) as caught:
        Scaling.of(X)
    assert str(caught.value) == sentence


def test_scaling_of_what_did_not_vary():
    """It tells nothing: 0 in new data too, whatever stands there. What varied is not cut."""
    scaling = Scaling.of([[1.0, 5.0, -2.0], [3.0, 5.0, 2.0]])
    found = scaling.apply([[2.0, 7.0, 6.0], [-1.0, 5.0, -2.0]])
    assert found.tolist() == [[0.5, 0.0, 2.0], [-1.0, 0.0, 0.0]]
    with pytest.raises(ValueError, match=r"got -1e\+308 to 1.5e\+308 in column 1\."):
        Scaling.of([[0.0, -1e308, -1e308], [1.0, 1.5e308, 1e308]])


def test_scaling_never_broadcasts():
    with pytest.raises(
        ValueError, match=r"must have the shape \(rows, 3\), as the training data had"
    ):
        Scaling.of(np.eye(3)).apply(np.ones((2, 1)))


def test_frames_are_taken_by_column_name():
    import pandas as pd
    import polars as pl

    X, classifier = fitted([0, 1])
    model = TrainedModel(classifier, Scaling.of(X), ["a", "b", "c"])
    expected = model.predict_log_proba(X)
    turned = pd.DataFrame(X, columns=["a", "b", "c"])[["c", "a", "b"]]
    for frame in (turned, pl.DataFrame(turned.to_dict("list"))):
        np.testing.assert_array_equal(model.predict_log_proba(frame), expected)
    with pytest.raises(ValueError, match="`X` must have a column 'b', got none of that name"):
        model.predict_log_proba(turned[["a", "c"]])


def test_unfitted_models_are_not_saved(tmp_path):
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        TrainedModel(SoftmaxClassifier()).save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_dtype_of_classes_and_names_of_features_survive(tmp_path):
    import pandas as pd

    frame = pd.DataFrame(np.random.default_rng(0).random((10, 2)), columns=["u", "v"])
    model = SoftmaxClassifier(epochs=1).fit(frame, np.array([0, 1] * 5, dtype=np.int8))
    TrainedModel(model).save(tmp_path / "m")
    again = TrainedModel.load(tmp_path / "m").classifier
    assert again.classes_.dtype == np.int8
    assert again.feature_names_in_.tolist() == ["u", "v"]


def test_new_data_may_lie_outside():
    scaling = Scaling.of([[0.0, 5.0], [2.0, 5.0]])
    np.testing.assert_array_equal(scaling.apply([[4.0, 6.0]]), [[2.0, 0.0]])
