"""The linear case solved to the end: against scikit-learn's objective, mpmath, and no optimum at all."""

import math
import warnings

import mpmath
import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_sample_weight_equivalence_on_dense_data

from xent.training import SoftmaxClassifier, TrainedModel
from xent.training._fit import solve

RNG = np.random.default_rng(0)


def objective(coefs, intercepts, X, y, C, weight=None):
    """scikit-learn's, with one vector a class; of two classes, with the one vector it keeps."""
    if len(coefs) == 1:
        coefs, intercepts = np.vstack([0 * coefs, coefs]), np.r_[0, intercepts]
    z = X @ coefs.T + intercepts
    costs = logsumexp(z, axis=1) - z[np.arange(len(y)), np.unique(y, return_inverse=True)[1]]
    penalty = (coefs[-1] ** 2).sum() if len(coefs) == 2 else (coefs**2).sum()
    return (costs * (1 if weight is None else weight)).sum() + penalty / (2 * C)


def as_theirs(model):
    """Return our weights as scikit-learn keeps them: one vector for two classes."""
    coefs, intercepts = model.coefs_[0], model.intercepts_[0]
    if len(coefs) == 2:
        return coefs[1:] - coefs[:1], intercepts[1:] - intercepts[:1]
    return coefs, intercepts


TABLES = {
    "iris": load_iris(return_X_y=True),
    "digits, columns of zeros": (load_digits().data[:600] / 16, load_digits().target[:600]),
    "digits, not scaled": (load_digits().data[:600], load_digits().target[:600]),
    "two classes": (load_iris().data[:, :2], load_iris().target > 1),
    "scales far apart": (load_iris().data * [1e-3, 1, 1e4, 1e2], load_iris().target),
    "a column twice": (load_iris().data[:, [0, 1, 1]], load_iris().target),
    "wide": (RNG.normal(size=(30, 200)), RNG.integers(0, 3, 30)),
}


PENALTIES = (0.01, 1, 100)
# Drawn here, so that they are the same whichever tests run, in whatever order.
WEIGHTS = {
    (table, C): RNG.random(len(y)) + 0.1 for table, (_, y) in TABLES.items() for C in PENALTIES
}


@pytest.mark.grid
@pytest.mark.parametrize("C", PENALTIES)
@pytest.mark.parametrize("table", TABLES)
def test_no_solver_of_scikit_learn_finds_less(table, C):
    X, y = TABLES[table]
    weight = WEIGHTS[table, C]
    ours = SoftmaxClassifier(optimizer=f"newton:C={C},tol=1e-10").fit(X, y, weight)
    found = objective(*as_theirs(ours), X, y, C, weight)
    theirs = LogisticRegression(C=C, tol=1e-10, max_iter=20000, solver="newton-cg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs does not always arrive
        theirs.fit(X, y, weight)
    least = objective(theirs.coef_, theirs.intercept_, X, y, C, weight)
    assert found <= least * (1 + 1e-9)
    assert ours.history_["loss"][-1] * weight.sum() == pytest.approx(found, rel=1e-10)


def test_the_lowest_point_is_mpmaths():
    """The gradient in 50 digits at our solution, and the root that mpmath's own search ends at."""
    X = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])
    y = np.array([0, 1, 0, 1, 1])
    ours = SoftmaxClassifier(optimizer="newton:C=2,tol=1e-14").fit(X, y)
    weight, intercept = as_theirs(ours)

    def slope(w, b):
        s = [
            1 / (1 + mpmath.exp(-(w * int(x) + b))) - int(t)
            for x, t in zip(X[:, 0], y, strict=True)
        ]
        return [sum(a * int(x) for a, x in zip(s, X[:, 0], strict=True)) + w / 2, sum(s)]

    with mpmath.workdps(40):
        w, b = mpmath.findroot(slope, (0.5, -1))
    assert weight[0, 0] == pytest.approx(float(w), rel=1e-9)
    assert intercept[0] == pytest.approx(float(b), rel=1e-9)


def test_without_a_penalty():
    X, y = load_iris().data[:, :2], load_iris().target
    y = np.where(RNG.random(150) < 0.2, RNG.integers(0, 3, 150), y)  # not separable
    ours = SoftmaxClassifier(optimizer="newton:C=inf").fit(X, y)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10000).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)


def test_probabilities_smoothing_and_class_weights():
    """One-hot rows are classes; smoothing is its own target; weights are rows repeated."""
    X, y = TABLES["iris"]
    hard = SoftmaxClassifier("cross_entropy:label_smoothing=0.1", optimizer="newton").fit(X, y)
    soft = SoftmaxClassifier(optimizer="newton").fit(X, 0.9 * np.eye(3)[y] + 0.1 / 3)
    np.testing.assert_allclose(hard.coefs_[0], soft.coefs_[0], atol=1e-6)
    weighted = SoftmaxClassifier(class_weight={0: 3}, optimizer="newton").fit(X, y)
    where = np.repeat(np.arange(150), np.where(y == 0, 3, 1))
    repeated = SoftmaxClassifier(optimizer="newton").fit(X[where], y[where])
    np.testing.assert_allclose(weighted.coefs_[0], repeated.coefs_[0], atol=1e-6)
    check_sample_weight_equivalence_on_dense_data("newton", SoftmaxClassifier(optimizer="newton"))


def test_it_is_kept_and_measured(tmp_path):
    X, y = TABLES["iris"]
    model = SoftmaxClassifier(optimizer="newton").fit(X[::2], y[::2], validation=(X[1::2], y[1::2]))
    nats = -model.predict_log_proba(X[1::2])[np.arange(75), y[1::2]].mean()
    assert model.history_["validation_cross_entropy"][-1] == pytest.approx(nats, rel=1e-12)
    assert model.history_["loss"] == sorted(model.history_["loss"], reverse=True)
    TrainedModel(model).save(tmp_path / "m")
    again = TrainedModel.load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict_log_proba(X), model.predict_log_proba(X))


SEPARABLE = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
# At x = 1 both classes occur: the loss falls to that of the two rows there, and never arrives.
TOUCHING = np.array([[0.0], [1.0], [1.0], [3.0]]), np.array([0, 0, 1, 1])
WORDING = [
    (SEPARABLE, {"optimizer": "newton:C=inf"}, "The loss has no lowest value without a penalty: the data hold classes that weights separate without a fault, and ever larger weights cost ever less. Give a penalty: optimizer=\"newton:C=1\"."),
    (TOUCHING, {"optimizer": "newton:C=inf"}, "The loss has no lowest value without a penalty: the data hold rows whose class weights separate from the others, and ever larger weights cost ever less. Give a penalty: optimizer=\"newton:C=1\"."),
    (SEPARABLE, {"optimizer": "newton", "loss": "focal"}, "`loss` must be 'cross_entropy', with label_smoothing or without, with optimizer=\"newton\", got 'focal'. Other losses are not convex."),
    (SEPARABLE, {"optimizer": "newton", "hidden": [4]}, "`hidden` must be left at () with optimizer=\"newton\", got [4]."),
    (SEPARABLE, {"optimizer": "newton", "epochs": 3}, "`epochs` must be left at 10 with optimizer=\"newton\", got 3."),
    (SEPARABLE, {"optimizer": "newton", "schedule": "StepLR:step_size=1"}, "`schedule` must be left at None with optimizer=\"newton\", got 'StepLR:step_size=1'."),
    (SEPARABLE, {"optimizer": "newton:C=0"}, "`C` must be positive, or inf for no penalty, got 0.0."),
    (SEPARABLE, {"optimizer": "newton:C=nan"}, "`C` must be positive, or inf for no penalty, got nan."),
    ((SEPARABLE[0], np.eye(3)[[0, 1, 1, 0]]), {"optimizer": "newton:C=inf"}, "The loss has no lowest value without a penalty: the data hold a class that no row has, and ever larger weights cost ever less. Give a penalty: optimizer=\"newton:C=1\"."),
    (SEPARABLE, {"optimizer": "newton", "patience": 2}, "`patience` must be None without `validation`, got 2."),
    (SEPARABLE, {"optimizer": "newton:max_iter=0"}, "`max_iter` must be an integer of at least 1, got 0."),
    (SEPARABLE, {"optimizer": "newton:tol=1"}, "`tol` must be between 0 and 1, both excluded, got 1."),
    (SEPARABLE, {"optimizer": "newton:penalty=1"}, "`optimizer` must name options of 'newton', which are 'C', 'tol' and 'max_iter', got 'penalty'."),
]  # fmt: skip


@pytest.mark.parametrize(("table", "settings", "sentence"), WORDING)
def test_wording(table, settings, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        SoftmaxClassifier(**settings).fit(*table)
    assert str(caught.value) == sentence


def test_a_solver_that_has_not_arrived_says_so():
    X, y = TABLES["iris"]
    with pytest.warns(UserWarning, match="The solver stopped after 2 steps, the last of which"):
        model = SoftmaxClassifier(optimizer="newton:max_iter=2").fit(X, y)
    assert len(model.history_["loss"]) == 2
    assert math.isfinite(model.score(X, y))


SPECTOR = """2.66 20 0 0  2.89 22 0 0  3.28 24 0 0  2.92 12 0 0  4.00 21 0 1  2.86 17 0 0  2.76 17 0 0
2.87 21 0 0  3.03 25 0 0  3.92 29 0 1  2.63 20 0 0  3.32 23 0 0  3.57 23 0 0  3.26 25 0 1
3.53 26 0 0  2.74 19 0 0  2.75 25 0 0  2.83 19 0 0  3.12 23 1 0  3.16 25 1 1  2.06 22 1 0
3.62 28 1 1  2.89 14 1 0  3.51 26 1 0  3.54 24 1 1  2.83 27 1 1  3.39 17 1 1  2.67 24 1 0
3.65 21 1 1  4.00 23 1 1  3.10 21 1 0  2.39 19 1 1"""


def test_the_logit_of_greenes_book():
    """W. H. Greene, Econometric Analysis: grades of Spector and Mazzeo (1980), the logit's row."""
    rows = np.array(SPECTOR.split(), float).reshape(32, 4)
    model = SoftmaxClassifier(optimizer="newton:C=inf").fit(rows[:, :3], rows[:, 3])
    coef = model.coefs_[0][1] - model.coefs_[0][0]
    constant = model.intercepts_[0][1] - model.intercepts_[0][0]
    assert [f"{value:.3f}" for value in (constant, *coef)] == ["-13.021", "2.826", "0.095", "2.379"]
    assert f"{32 * model.history_['loss'][-1]:.3f}" == "12.890"  # minus the log-likelihood


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6, 1.6e9])
@pytest.mark.parametrize("width", [1.0, 1e-4, 1e5])
def test_where_a_column_lies_changes_nothing(offset, width):
    """Years, or seconds since 1970: the intercept is free, so the lowest objective is the same."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    X = rng.normal(size=(200, 3)) + 0.5 * y[:, None]
    X[:, 0] *= width
    moved = X + offset
    X = moved - offset  # what is left of the digits
    theirs = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-10).fit(X, y)
    log_probs = theirs.predict_log_proba(X)
    lowest = -log_probs[np.arange(200), y].sum() + 0.5 * (theirs.coef_**2).sum()
    model = SoftmaxClassifier(optimizer="newton:C=1").fit(moved, y)
    assert model.history_["loss"][-1] == pytest.approx(lowest / 200, rel=1e-9)
    if width >= 1:
        assert model.coefs_[0] == pytest.approx(theirs.coef_, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("tol", ["1e-15", "1e-30"])
def test_the_end_of_the_digits_is_an_end(tol):
    """The loss cannot fall by less than its last bit: that is said, and no 100 steps are taken."""
    X, y = load_wine(return_X_y=True)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = SoftmaxClassifier(optimizer=f"newton:C=1,tol={tol}").fit(X, y)
    assert len(model.history_["loss"]) < 30
    assert all("no longer falls in floating point" in str(one.message) for one in said)
    assert tol == "1e-15" or said


def test_one_class_that_weighs_something_is_refused():
    """Its intercept would rise for ever; scikit-learn stops somewhere."""
    weight = np.array([0.0, 1.0] * 10)
    with pytest.raises(ValueError, match="`y` must hold rows of two classes at least that weigh"):
        SoftmaxClassifier(optimizer="newton:C=1").fit(
            np.arange(20.0)[:, None], ["a", "b"] * 10, sample_weight=weight
        )


@pytest.mark.parametrize("rounds", [1, 200])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_direction_that_has_not_arrived_is_taken_in_float64_alone(monkeypatch, kind, rounds):
    """In float32 rounding may have won: the search begins anew with more digits."""
    rng = np.random.default_rng(4)
    X, y, weight = rng.normal(size=(30, 2)), rng.integers(0, 3, 30), rng.uniform(0.5, 2, 30)
    problem = solve.Problem(X, y, weight, 3, 0.0, solve.Penalty(C=0.5))
    W = torch.from_numpy(rng.normal(size=(3, 3)) @ (np.eye(3) - 1 / 3))  # as from 0 on
    _, p = problem.score(W)
    gradient = problem.gradient(W, p)
    direction = solve.Direction(problem, kind)
    monkeypatch.setattr(solve, "MOST_ROUNDS", rounds)
    step = direction.find(gradient, p, 1e-5)
    if rounds == 1 and kind == torch.float32:
        assert step is None
        return
    assert step.dtype == torch.float64
    # The Hessian written out: blocks of classes, the penalty on all but the intercepts.
    centre, spread = X.mean(0), np.sqrt(X.var(0) + 2.0 / weight.sum())  # of columns and penalty
    Z = np.column_stack([(X - centre) / spread, np.ones(30)])
    H = np.kron(np.eye(3), np.diag([*(2.0 / spread**2), 0.0]))
    for z, q, w in zip(Z, p.numpy(), weight, strict=True):
        H += w * np.kron(np.diag(q) - np.outer(q, q), np.outer(z, z))
    g, s = gradient.numpy().T.ravel(), step.numpy().T.ravel()
    exact = -np.linalg.pinv(H) @ g
    if rounds == 1:  # goes down, as far as the model does along it
        assert g @ s < 0
        assert g @ s + s @ H @ s == pytest.approx(0, abs=1e-9 * abs(g @ s))
    else:
        np.testing.assert_allclose(s, exact, rtol=1e-3, atol=1e-4 * np.abs(exact).max())
