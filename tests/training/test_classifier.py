"""The classifier is scikit-learn's kind, minimises what it says, and refuses in one sentence."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from xent import _check
from xent.training import SoftmaxClassifier
from xent.training._loop import logits_of
from xent.training._objectives import OBJECTIVES

EVERY = _check.join_names(list(OBJECTIVES))
LOSSES = ["cross_entropy", "binary_cross_entropy", "mse_softmax", "mse_sigmoid"]


def three_clouds(rows=150, seed=0):
    rng = np.random.default_rng(seed)
    centres = np.array([[0.2, 0.2], [0.8, 0.3], [0.5, 0.9]])
    y = rng.integers(0, 3, rows)
    return centres[y] + 0.1 * rng.normal(size=(rows, 2)), np.array(["a", "b", "c"])[y]


def cannot_hold(estimator):
    """What steps by batches do not keep: a row that counts twice is not one row in two batches."""
    expected = {"check_sample_weight_equivalence_on_sparse_data": "batches differ"}
    if not estimator.hidden:
        expected["check_class_weight_classifiers"] = "rows unscaled, too far for ten epochs"
    return expected


@pytest.mark.grid
@parametrize_with_checks(
    [SoftmaxClassifier(), SoftmaxClassifier(hidden=(8,), loss="binary_cross_entropy")],
    expected_failed_checks=cannot_hold,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_accepts_it(estimator, check):
    if "equivalence_on_dense_data" in str(check):
        pytest.skip("batches differ, and on some processors by less than the check sees")
    check(estimator)


# ------------------------------------------------------------------ is it the formula?


def reference_loss(name, z, y):
    """Each loss written out in float64, with torch's own functions."""
    t = torch.nn.functional.one_hot(y, z.shape[1]).double()
    return {
        "cross_entropy": lambda: torch.nn.functional.cross_entropy(z, y),
        "binary_cross_entropy": lambda: torch.nn.functional.binary_cross_entropy(torch.sigmoid(z), t),
        "mse_softmax": lambda: ((torch.softmax(z, 1) - t) ** 2).mean(),
        "mse_sigmoid": lambda: ((torch.sigmoid(z) - t) ** 2).mean(),
    }[name]()  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
def test_one_step_is_one_step_of_gradient_descent(loss):
    """With one batch an epoch, `loss` and `gradient_norm` are those of the start, and the next
    weights are the start minus the learning rate times the gradient."""
    X, y = three_clouds(40)
    one = SoftmaxClassifier(loss, epochs=1, batch_size=40, learning_rate=0.3, random_state=3)
    two = SoftmaxClassifier(loss, epochs=2, batch_size=40, learning_rate=0.3, random_state=3)
    one.fit(X, y)
    two.fit(X, y)
    weight = torch.tensor(one.coefs_[0], dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(one.intercepts_[0], dtype=torch.float64, requires_grad=True)
    target = torch.from_numpy(np.searchsorted(one.classes_, y))
    value = reference_loss(loss, torch.from_numpy(X) @ weight.T + bias, target)
    value.backward()
    assert two.history_["loss"][1] == pytest.approx(value.item(), rel=1e-5)
    norm = math.sqrt(weight.grad.square().sum() + bias.grad.square().sum())
    assert two.history_["gradient_norm"][1] == pytest.approx(norm, rel=1e-4)
    np.testing.assert_allclose(
        two.coefs_[0], (weight - 0.3 * weight.grad).detach().numpy(), rtol=1e-5, atol=1e-6
    )


def test_the_optimum_is_logistic_regression():
    X, y = three_clouds(300)
    X = X + 0.3 * np.random.default_rng(1).normal(size=X.shape)  # not separable: the optimum exists
    ours = SoftmaxClassifier(epochs=400, batch_size=300, learning_rate=4.0, random_state=0).fit(
        X, y
    )
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000).fit(X, y)
    index = np.arange(len(y)), np.searchsorted(ours.classes_, y)
    our_cost = -ours.predict_log_proba(X)[index].mean()
    their_cost = -theirs.predict_log_proba(X)[index].mean()
    assert their_cost <= our_cost + 1e-9
    assert our_cost == pytest.approx(their_cost, rel=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_probabilities_are_what_the_loss_means(loss):
    X, y = three_clouds()
    model = SoftmaxClassifier(loss, random_state=0).fit(X, y)
    z = X @ model.coefs_[0].T.astype(float) + model.intercepts_[0]
    if loss in ("cross_entropy", "mse_softmax"):
        expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    else:
        sigmoid = 1 / (1 + np.exp(-z))
        expected = sigmoid / sigmoid.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-12)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), expected, rtol=1e-12)
    assert (model.predict(X) == model.classes_[expected.argmax(axis=1)]).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_log_probabilities_stay_finite_for_wild_logits(loss):
    X, y = three_clouds()
    model = SoftmaxClassifier(loss, epochs=1, random_state=0).fit(X, y)
    log_probs = model.predict_log_proba([[1e5, -1e5], [-1e5, -1e5]])
    assert np.isfinite(log_probs).all()
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1)


# ------------------------------------------------------------------ does it learn, and tell?


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:1437] / 16, y[:1437], X[1437:] / 16, y[1437:]


@pytest.mark.parametrize("hidden", [(), (32,)])
def test_real_digits(digits, hidden):
    X, y, X_test, y_test = digits
    model = SoftmaxClassifier(hidden=hidden, random_state=0, epochs=20)
    model.fit(X, y, validation=(X_test, y_test))
    assert model.score(X_test, y_test) > 0.87
    history = model.history_
    assert {len(values) for values in history.values()} == {20}
    nats = -model.predict_log_proba(X_test)[np.arange(360), y_test].mean()
    assert history["validation_cross_entropy"][-1] == pytest.approx(nats, rel=1e-12)
    assert history["validation_bits"][-1] == pytest.approx(nats / math.log(2), rel=1e-12)
    assert history["validation_accuracy"][-1] == model.score(X_test, y_test)
    assert history["loss"][-1] < history["loss"][0] / 2


def test_the_gradient_of_squared_error_vanishes_when_surely_wrong():
    """Nielsen's example: one input, a start that is confidently wrong, quadratic cost stuck."""
    from xent.training._objectives import objective_of

    z = torch.tensor([[8.0, -8.0]], requires_grad=True)
    norms = {}
    for name in LOSSES:
        (gradient,) = torch.autograd.grad(objective_of(name).loss(z, torch.tensor([1])), z)
        norms[name] = gradient.norm().item()
    assert norms["cross_entropy"] > 1
    assert norms["binary_cross_entropy"] > 0.5
    assert norms["mse_sigmoid"] < 1e-3
    assert norms["mse_softmax"] < 1e-5


def test_same_seed_same_bits_other_seed_other_bits():
    X, y = three_clouds()
    fits = [SoftmaxClassifier(random_state=s, epochs=2).fit(X, y).coefs_[0] for s in (1, 1, 2)]
    assert fits[0].tobytes() == fits[1].tobytes() != fits[2].tobytes()


def test_pipelines_searches_and_pickles():
    X, y = three_clouds()
    pipe = make_pipeline(MinMaxScaler(), SoftmaxClassifier(random_state=0, epochs=30))
    assert cross_val_score(pipe, X, y, cv=3).mean() > 0.9
    search = GridSearchCV(pipe, {"softmaxclassifier__loss": LOSSES[:2]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.9
    model = pipe.fit(X, y)
    again = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_a_failed_fit_leaves_the_old_one_whole():
    X, y = three_clouds()
    model = SoftmaxClassifier(epochs=2, random_state=0).fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="features"):
        model.fit(X[:, :1], y, validation=(X, y))
    with pytest.raises(ValueError, match="Training stopped"):
        model.fit(X * 1e300, y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_changing_the_loss_after_fit_changes_no_prediction():
    X, y = three_clouds()
    model = SoftmaxClassifier(epochs=2, random_state=0).fit(X, y)
    before = model.predict_proba(X)
    model.set_params(loss="mse_sigmoid")
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_a_batch_may_be_larger_than_the_data():
    X, y = three_clouds()
    fits = [
        SoftmaxClassifier(batch_size=b, epochs=2, random_state=0).fit(X, y) for b in (150, 10**30)
    ]
    np.testing.assert_array_equal(fits[0].coefs_[0], fits[1].coefs_[0])


def test_the_loss_of_an_epoch_is_the_mean_over_rows_not_batches():
    """A last batch of one row counts as one row: with steps too small to matter, 7 + 1 rows give
    the loss of all 8."""
    X, y = three_clouds(8)
    tiny = {"learning_rate": 1e-30, "epochs": 1, "random_state": 0}
    split = SoftmaxClassifier(batch_size=7, **tiny).fit(X, y).history_["loss"]
    whole = SoftmaxClassifier(batch_size=8, **tiny).fit(X, y).history_["loss"]
    assert split == pytest.approx(whole, rel=1e-6)


def test_fit_does_not_change_its_input():
    X, y = three_clouds()
    X.setflags(write=False)
    before = X.copy()
    SoftmaxClassifier(epochs=1).fit(X, y)
    np.testing.assert_array_equal(X, before)


# ------------------------------------------------------------------ how it refuses

X, Y = three_clouds(20)
WORDING = [
    ({"loss": "hinge"}, {}, f"`loss` must be {EVERY}, got 'hinge'."),
    ({"loss": "crossentropy"}, {}, f"`loss` must be {EVERY}, got 'crossentropy'. Did you mean 'cross_entropy'?"),
    ({"optimizer": "lbfgs"}, {}, "`optimizer` must be 'sgd', 'adam', 'adamw' or 'newton', got 'lbfgs'."),
    ({"epochs": 0}, {}, "`epochs` must be an integer of at least 1, got 0."),
    ({"batch_size": 2.5}, {}, "`batch_size` must be an integer of at least 1, got 2.5."),
    ({"hidden": (8, 0)}, {}, "`hidden[1]` must be an integer of at least 1, got 0."),
    ({"hidden": 8}, {}, "`hidden` must be a sequence of integers like (64, 32), got 8."),
    ({"learning_rate": -1}, {}, "`learning_rate` must be positive and finite, got -1."),
    ({"device": "abacus"}, {}, "`device` must be at hand, got 'abacus'. Use \"auto\" to take what is there."),
    ({}, {"y": ["a"] * 20}, "`y` must hold at least two classes, got 1 class, 'a'."),
    ({}, {"validation": (X, ["z"] * 20)}, "`validation` must hold only classes that `y` holds, got 'z' at row 0."),
    ({"learning_rate": 1e300}, {}, "`learning_rate` must be a number that float32 can hold, got 1e+300."),
    ({"device": None}, {}, "`device` must be at hand, got None. Use \"auto\" to take what is there."),
    ({"device": "meta"}, {}, "`device` must be at hand, got 'meta'. Use \"auto\" to take what is there."),
    ({"hidden": b"\x05"}, {}, "`hidden` must be a sequence of integers like (64, 32), got b'\\x05'."),
    ({}, {"validation": X}, "`validation` must be a pair (X, y), got an ndarray."),
    ({}, {"validation": (X, Y, Y)}, "`validation` must be a pair (X, y), got a tuple of 3."),
    ({"epochs": 1, "batch_size": 64, "learning_rate": 3e38, "hidden": (4,)}, {"X": X * 1e3}, "Training stopped in epoch 1: a weight is not finite. Lower `learning_rate` (it is 3e+38) or scale `X` to [0, 1]."),
    ({}, {"X": X * 1e300}, "Training stopped in epoch 1: the cross_entropy loss is nan. Lower `learning_rate` (it is 0.5) or scale `X` to [0, 1]."),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "data", "sentence"), WORDING, ids=[w[2] for w in WORDING])
def test_wording(settings, data, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        SoftmaxClassifier(**{"batch_size": 4, "random_state": 0, **settings}).fit(
            data.get("X", X), data.get("y", Y), validation=data.get("validation")
        )
    assert str(caught.value) == sentence


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.uint8])
@pytest.mark.parametrize(("rows", "classes"), [(0, 3), (1, 2), (9, 5), (300, 13), (7, 30), (7, 31)])
def test_logits_are_the_product_in_float64(kind, rows, classes):
    """NumPy's own; the last number of classes is the first that is left to a product."""
    rng = np.random.default_rng(rows)
    X = (9 * rng.random((rows, 37))).astype(kind)
    weight = rng.normal(size=(classes, 37)).astype(np.float32)
    bias = rng.normal(size=classes).astype(np.float32)
    found = logits_of([(weight, bias)], X)
    np.testing.assert_allclose(found, X.astype(float) @ weight.T.astype(float) + bias, rtol=1e-9)
    assert found.flags.c_contiguous


def test_logits_are_the_same_on_any_number_of_threads(monkeypatch):
    monkeypatch.setattr("xent.training._loop.ROWS_A_THREAD", 3)
    rng = np.random.default_rng(0)
    layer = rng.normal(size=(4, 50)).astype(np.float32), np.zeros(4, np.float32)
    X, threads = rng.normal(size=(101, 50)), torch.get_num_threads()
    try:
        found = []
        for number in (1, 3):
            torch.set_num_threads(number)
            found.append(logits_of([layer], X))
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(*found)
    np.testing.assert_array_equal(logits_of([layer], X[40:41]), found[0][40:41])
