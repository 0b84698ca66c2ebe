"""Losses with options, weights, probabilities as targets, schedules and early stopping.

Truth is PyTorch's own arithmetic in float64, scikit-learn's weights, or the same rows repeated.
"""

import math
import tracemalloc

import mpmath
import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

from xent.training import SoftmaxClassifier
from xent.training._fit.record import class_costs_of
from xent.training._loop import logits_of
from xent.training._objectives import OBJECTIVES, objective_of
from xent.training._spec import parse

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = np.array(["b", "a", "c"])[np.r_[np.zeros(35, int), RNG.integers(0, 3, 25)]]
SOFT = RNG.dirichlet([0.5, 1, 2], 60)
WHOLE = {"epochs": 2, "batch_size": 60, "learning_rate": 0.3, "random_state": 3}


def written_out(name, z, t):
    """Each loss of each row in torch's own operations, for probabilities t as targets."""
    p, s = z.softmax(1), z.sigmoid()
    yes = -(t * F.logsigmoid(z) + (1 - t) * F.logsigmoid(-z))
    entropy = torch.special.entr(t).sum(1)
    mixed = 0.5 * (p + t)
    return {
        "cross_entropy": lambda: -(t * p.log()).sum(1),
        "cross_entropy:label_smoothing=0.1": lambda: -((0.9 * t + 0.1 / 3) * p.log()).sum(1),
        "cross_entropy:temperature=2,z_loss=0.01": lambda: (
            -(t * (z / 2).log_softmax(1)).sum(1) + 0.01 * (z / 2).logsumexp(1) ** 2
        ),
        "nll": lambda: -(t * p.log()).sum(1),
        "kl_div": lambda: -(t * p.log()).sum(1) - entropy,
        "js_div:beta=0.5": lambda: torch.special.entr(mixed).sum(1) - 0.5 * (
            entropy + torch.special.entr(p).sum(1)
        ),
        "focal:gamma=2": lambda: -(t * (1 - p) ** 2 * p.log()).sum(1),
        "binary_cross_entropy": lambda: yes.mean(1),
        "binary_cross_entropy:pos_weight=3": lambda: (
            -(3 * t * F.logsigmoid(z) + (1 - t) * F.logsigmoid(-z)).mean(1)
        ),
        "binary_focal:gamma=2,alpha=0.3": lambda: (
            (0.3 * t + 0.7 * (1 - t)) * (t * (1 - s) + (1 - t) * s) ** 2 * yes
        ).mean(1),
        "mse_softmax": lambda: ((p - t) ** 2).mean(1),
        "mse_sigmoid": lambda: ((s - t) ** 2).mean(1),
    }[name]()  # fmt: skip


NAMES = [
    "cross_entropy", "cross_entropy:label_smoothing=0.1", "cross_entropy:temperature=2,z_loss=0.01",
    "nll", "kl_div", "js_div:beta=0.5", "focal:gamma=2", "binary_cross_entropy",
    "binary_cross_entropy:pos_weight=3", "binary_focal:gamma=2,alpha=0.3", "mse_softmax",
    "mse_sigmoid",
]  # fmt: skip


def test_every_loss_is_looked_at():
    lacking = {name.partition(":")[0] for name in NAMES} ^ set(OBJECTIVES)
    assert not lacking, f"tests/training/test_options.py: NAMES and `written_out` need {lacking}"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("soft", [False, True])
def test_rows_are_the_formula_and_the_loss_their_mean(name, soft):
    z = torch.from_numpy(RNG.normal(size=(60, 3)) * 3)
    number = torch.from_numpy(np.searchsorted(["a", "b", "c"], Y))
    dense = torch.from_numpy(SOFT) if soft else F.one_hot(number).double()
    objective = objective_of(name)
    found = objective.rows(z, dense if soft else number)
    torch.testing.assert_close(found, written_out(name, z, dense), rtol=1e-9, atol=1e-12)
    mean = objective.loss(z, dense if soft else number)
    torch.testing.assert_close(mean, found.mean(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hidden", [(), (4,)])
def test_a_weighted_step_is_a_step_down_the_weighted_mean(name, hidden):
    """Of rows with weights and probabilities as targets, in closed form and by autograd."""
    weight = RNG.random(60)
    fits = [
        SoftmaxClassifier(name, hidden, **(WHOLE | {"epochs": e})).fit(X, SOFT, weight)
        for e in (1, 2)
    ]
    layers = [
        [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in pair]
        for pair in zip(fits[0].coefs_, fits[0].intercepts_, strict=True)
    ]
    z = torch.from_numpy(X)
    for i, (w, b) in enumerate(layers):
        z = torch.addmm(b, z.relu() if i else z, w.T)
    rows, share = written_out(name, z, torch.from_numpy(SOFT)), torch.from_numpy(weight)
    loss = (rows * share).sum() / share.sum()
    loss.backward()
    assert fits[1].history_["loss"][1] == pytest.approx(loss.item(), rel=1e-4, abs=1e-6)
    for (w, b), after, bias in zip(layers, fits[1].coefs_, fits[1].intercepts_, strict=True):
        np.testing.assert_allclose(after, (w - 0.3 * w.grad).detach(), rtol=1e-4, atol=2e-6)
        np.testing.assert_allclose(bias, (b - 0.3 * b.grad).detach(), rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("name", ["cross_entropy", "mse_sigmoid"])
def test_whole_weights_are_rows_repeated_and_zero_is_a_row_left_out(name):
    times = RNG.integers(0, 4, 60)
    weighted = SoftmaxClassifier(name, **WHOLE).fit(X, Y, times)
    where = np.repeat(np.arange(60), times)
    repeated = SoftmaxClassifier(name, **(WHOLE | {"batch_size": 1000})).fit(X[where], Y[where])
    np.testing.assert_allclose(weighted.coefs_[0], repeated.coefs_[0], rtol=1e-4, atol=1e-6)


def test_class_weights_are_scikit_learns():
    counts = compute_class_weight("balanced", classes=np.unique(Y), y=Y)
    by_hand = counts[np.searchsorted(np.unique(Y), Y)]
    one = SoftmaxClassifier(class_weight="balanced", **WHOLE).fit(X, Y)
    other = SoftmaxClassifier(**WHOLE).fit(X, Y, by_hand)
    np.testing.assert_allclose(one.coefs_[0], other.coefs_[0], rtol=1e-6)
    given = SoftmaxClassifier(class_weight={"a": 2, "c": 0.5}, **WHOLE).fit(X, Y)
    by_hand = np.select([Y == "a", Y == "c"], [2.0, 0.5], 1.0)
    other = SoftmaxClassifier(**WHOLE).fit(X, Y, by_hand)
    np.testing.assert_allclose(given.coefs_[0], other.coefs_[0], rtol=1e-6)


def test_one_hot_probabilities_are_classes_and_may_be_named():
    onehot = (Y[:, None] == ["c", "a", "b"]).astype(float)
    soft = SoftmaxClassifier(**WHOLE).fit(
        X, onehot, classes=["c", "a", "b"], validation=(X, Y)
    )  # fmt: skip
    again = SoftmaxClassifier(**WHOLE).fit(
        X, onehot, classes=["c", "a", "b"], validation=(X, onehot)
    )
    assert soft.history_["validation_bits"] == pytest.approx(again.history_["validation_bits"])
    assert soft.classes_.tolist() == ["c", "a", "b"]
    number = np.array([["c", "a", "b"].index(y) for y in Y])
    hard = SoftmaxClassifier(**WHOLE).fit(X, number, validation=(X, number))
    np.testing.assert_allclose(soft.coefs_[0], hard.coefs_[0], rtol=1e-5, atol=1e-7)
    assert soft.score(X, Y) == hard.score(X, number) == hard.history_["validation_accuracy"][-1]
    assert soft.history_["validation_bits"] == pytest.approx(hard.history_["validation_bits"])


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("StepLR:step_size=2,gamma=0.5", lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.5)),
        ("MultiStepLR:milestones=[1,3]", lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1, 3])),
        ("CosineAnnealingLR", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 4)),
        ("ReduceLROnPlateau:patience=0,factor=0.1", None),
    ],
)
@pytest.mark.parametrize(
    "optimizer", ["sgd:momentum=0.9,weight_decay=0.01", "adamw:weight_decay=0.1"]
)
def test_schedules_and_optimizers_are_pytorchs(tmp_path, text, schedule, optimizer):
    """With one batch an epoch: PyTorch's own loop. And a run that goes on plays the schedule again."""
    settings = WHOLE | {"epochs": 4, "optimizer": optimizer, "schedule": text}
    model = SoftmaxClassifier(**settings).fit(X, Y, validation=(X, Y))
    start = SoftmaxClassifier(**(WHOLE | {"epochs": 1, "learning_rate": 1e-30})).fit(X, Y)
    layer = torch.nn.Linear(3, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(start.coefs_[0]))
        layer.bias.copy_(torch.from_numpy(start.intercepts_[0]))
    if optimizer.startswith("sgd"):
        steps = torch.optim.SGD(layer.parameters(), 0.3, momentum=0.9, weight_decay=0.01)
    else:
        steps = torch.optim.AdamW(layer.parameters(), 0.3, weight_decay=0.1)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
    rates = plateau(steps, patience=0, factor=0.1) if schedule is None else schedule(steps)
    target = torch.from_numpy(np.searchsorted(["a", "b", "c"], Y))
    rows = torch.from_numpy(X.astype(np.float32))
    for _ in range(4):
        steps.zero_grad()
        F.cross_entropy(layer(rows), target).backward()
        steps.step()
        held = F.cross_entropy(layer(rows).detach(), target).item()
        rates.step(held) if schedule is None else rates.step()
    np.testing.assert_allclose(model.coefs_[0], layer.weight.detach(), rtol=1e-4, atol=1e-5)

    file = tmp_path / "run"
    if schedule is None or text != "CosineAnnealingLR":
        SoftmaxClassifier(**(settings | {"epochs": 2})).fit(
            X, Y, validation=(X, Y), checkpoint=file
        )
        on = SoftmaxClassifier(**settings).fit(X, Y, validation=(X, Y), checkpoint=file)
        np.testing.assert_array_equal(on.coefs_[0], model.coefs_[0])


def test_early_stopping_keeps_the_best_network(tmp_path):
    train, held = (X[40:], Y[40:]), (X[:40], Y[:40])
    settings = {"epochs": 200, "learning_rate": 2.0, "batch_size": 5, "random_state": 0}
    stopped = SoftmaxClassifier(patience=3, **settings).fit(*train, validation=held)
    curve = stopped.history_["validation_cross_entropy"]
    best = int(np.argmin(curve))
    assert len(curve) == best + 4 < 200
    assert stopped.best_epoch_ == best + 1
    place = np.searchsorted(stopped.classes_, held[1])
    nats = -stopped.predict_log_proba(held[0])[np.arange(40), place].mean()
    assert nats == pytest.approx(min(curve), rel=1e-12)
    file = tmp_path / "run"
    part = settings | {"epochs": best + 2}
    SoftmaxClassifier(patience=3, **part).fit(*train, validation=held, checkpoint=file)
    on = SoftmaxClassifier(patience=3, **settings).fit(*train, validation=held, checkpoint=file)
    again = SoftmaxClassifier(patience=3, **settings).fit(*train, validation=held, checkpoint=file)
    for model in (on, again):
        np.testing.assert_array_equal(model.coefs_[0], stopped.coefs_[0])
        assert model.history_ == stopped.history_


def test_bytes_and_float32_are_taken_as_they_are():
    pixels = RNG.integers(0, 3, (60, 3)).astype(np.uint8)
    fits = []
    for kind in (np.uint8, np.float32, np.float64, int):
        rows = pixels.astype(kind)
        rows.setflags(write=False)
        fits.append(SoftmaxClassifier(**WHOLE).fit(rows, Y, validation=(rows[::-1], Y[::-1])))
        assert fits[-1].history_ == fits[0].history_
        assert fits[-1].coefs_[0].tobytes() == fits[0].coefs_[0].tobytes()
        assert (fits[-1].predict_proba(rows) == fits[0].predict_proba(pixels)).all()


@pytest.mark.grid
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_features_are_not_copied_as_a_whole(kind):
    rows, y = RNG.integers(0, 2, (20_000, 200)).astype(kind), RNG.integers(0, 2, 20_000)
    fit = SoftmaxClassifier(epochs=1, random_state=0).fit
    fit(rows[:100], y[:100], validation=(rows[:100], y[:100]))
    tracemalloc.start()
    try:
        fit(rows, y, validation=(rows, y)).predict(rows)
        assert tracemalloc.get_traced_memory()[1] < rows.nbytes / 2 + 2e6
    finally:
        tracemalloc.stop()


def test_texts_are_taken_apart():
    known = {"a": ("x", "y", "z"), "b": ()}
    assert parse("it", "a", known) == ("a", {})
    text = "a:x=.5, y=[1,2],z=True"
    assert parse("it", text, known) == ("a", {"x": 0.5, "y": [1, 2], "z": True})
    assert parse("it", "a:x=inf,y=word", known) == ("a", {"x": math.inf, "y": "word"})


def fit(y=Y, weight=None, classes=None, held=None, rows=X, **settings):
    settings = {"epochs": 1, "random_state": 0} | settings
    return SoftmaxClassifier(**settings).fit(rows, y, weight, classes=classes, validation=held)


WORDING = [
    ({"loss": "focal:gama=2"}, "`loss` must name options of 'focal', which are 'gamma', 'alpha', 'label_smoothing', 'temperature' and 'link', got 'gama'."),
    ({"loss": "focal:gamma"}, "`loss` must give each option of 'focal' one value, like gamma=1, got 'focal:gamma'."),
    ({"loss": "focal:gamma=-1"}, "`gamma` must be non-negative and finite, got -1."),
    ({"loss": "cross_entropy:label_smoothing=2"}, "`label_smoothing` must be between 0 and 1, got 2."),
    ({"loss": "binary_cross_entropy:link=softmax"}, "`loss` must leave 'binary_cross_entropy' its own link, the sigmoid, got link=softmax. The loss takes logits and applies the sigmoid itself. A softmax in front of it would be a second one."),
    ({"loss": "double_softmax"}, "`loss` must be a loss of logits, got 'double_softmax', which applies a softmax to probabilities: with 10 classes it is never below ln(1 + 9/e) = 1.4612, however good the model. Use 'cross_entropy', which takes logits; compare_losses shows the difference."),
    ({"optimizer": "sgd:beta=1"}, "`optimizer` must name options of 'sgd', which are 'momentum', 'dampening', 'nesterov' and 'weight_decay', got 'beta'."),
    ({"optimizer": "adamw:weight_decay=-1"}, "`weight_decay` must be non-negative and finite, got -1."),
    ({"optimizer": "sgd:momentum=nan"}, "`momentum` must be non-negative and finite, got nan."),
    *[
        ({"optimizer": f"{name}:{option}=-0.5"}, f"`{option}` must be non-negative and finite, got -0.5.")
        for name, option in (("sgd", "weight_decay"), ("sgd", "momentum"), ("sgd", "dampening"),
                             ("adam", "weight_decay"), ("adamw", "eps"))
    ],
    ({"optimizer": "sgd:nesterov=true"}, "`optimizer` must have options that PyTorch takes, got 'sgd:nesterov=true'. Nesterov momentum requires a momentum and zero dampening."),
    ({"schedule": "Cosine"}, "`schedule` must be 'StepLR', 'MultiStepLR', 'ConstantLR', 'LinearLR', 'ExponentialLR', 'PolynomialLR', 'CosineAnnealingLR', 'CosineAnnealingWarmRestarts' or 'ReduceLROnPlateau', got 'Cosine'."),
    ({"schedule": "StepLR"}, "`schedule` must have options that PyTorch takes, got 'StepLR'."),
    ({"schedule": "ReduceLROnPlateau"}, "`schedule` must be another schedule without `validation`, got 'ReduceLROnPlateau'."),
    ({"patience": 3}, "`patience` must be None without `validation`, got 3."),
    ({"patience": 0, "held": (X, Y)}, "`patience` must be an integer of at least 1, got 0."),
    ({"class_weight": "even"}, "`class_weight` must be 'balanced', a dict from class to weight, or None, got 'even'."),
    ({"class_weight": {"z": 1}}, "`class_weight` must weigh classes that `y` holds, got 'z'."),
    ({"class_weight": {"a": -1}}, "`class_weight` must hold weights of at least 0, and finite, got -1.0 at [0]."),
    ({"class_weight": "balanced", "y": SOFT}, "`class_weight` must be None where `y` holds probabilities, got 'balanced'. Weigh the rows by `sample_weight`."),
    ({"weight": np.ones(3)}, "`sample_weight` must hold one weight a row, 60, got the shape (3,)."),
    ({"weight": np.r_[np.nan, np.ones(59)]}, "`sample_weight` must hold weights of at least 0, and finite, got nan at [0]."),
    ({"weight": np.zeros(60)}, "`sample_weight` must give some row a weight above 0, got zero for all."),
    ({"y": SOFT * 2}, "`y` must hold rows that sum to 1 where it is a matrix, got 2.0 at row 0. For several answers a row train one classifier for each."),
    ({"y": SOFT - 1}, f"`y` must hold probabilities where it is a matrix, got {SOFT[0, 0] - 1} at [0, 0]."),
    ({"y": SOFT, "classes": ["a", "b", "a"]}, "`classes` must name the 3 columns of `y`, each once, got ['a', 'b', 'a']."),
    ({"classes": ["a", "b", "c"]}, "`classes` must be left out where `y` holds classes, got a list. Classes by name are found in it."),
    ({"held": (X, SOFT[:, :2] / SOFT[:, :2].sum(1, keepdims=True))}, "`validation` must hold probabilities of 3 classes, got 2 columns."),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "sentence"), WORDING, ids=[w[1][:60] for w in WORDING])
def test_wording(settings, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        fit(**settings)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("classes", [1, 2, 10])
@pytest.mark.parametrize("size", [0.1, 3.0, 30.0])
def test_held_out_rows_cost_what_40_digits_say(classes, size):
    rng = np.random.default_rng(classes)
    logits = size * rng.normal(size=(19, classes))  # no multiple of the rows side by side
    logits[:3] = np.round(logits[:3])  # ties
    logits[0], logits[1, 1:] = 5.0, -np.inf
    target = rng.integers(0, classes, 19)
    target[1] = 0
    costs, guesses = class_costs_of(logits, target)
    assert guesses.tolist() == logits.argmax(axis=1).tolist()
    with mpmath.workdps(40):
        for row, t, cost in zip(logits.tolist(), target, costs, strict=True):
            total = mpmath.fsum(mpmath.exp(mpmath.mpf(z) - row[t]) for z in row)
            assert cost == pytest.approx(float(mpmath.log(total)), rel=1e-15, abs=1e-300)


def test_held_out_logits_that_are_not_finite_are_never_right():
    nan, inf = np.nan, np.inf
    logits = np.array([[0.0, nan, 1.0], [-inf, -inf, -inf], [inf, 0.0, 0.0], [0.0, -inf, 1.0]])
    costs, guesses = class_costs_of(logits, np.array([0, 0, 0, 1]))
    np.testing.assert_array_equal(costs, [nan, nan, nan, inf])
    assert guesses.tolist() == [-1, -1, -1, 2]


def test_a_row_has_the_same_logits_alone_and_among_others():
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(7, 50)), rng.normal(size=7)
    rows = rng.normal(size=(67, 50))  # two blocks, and an odd number in the last
    for X in (rows, rows.astype(np.float32), rng.integers(0, 256, (67, 50)).astype(np.uint8)):
        whole = logits_of([(weight, bias)], X)
        np.testing.assert_allclose(whole, X @ weight.T + bias, rtol=1e-12, atol=1e-12)
        for i in (0, 31, 32, 66):
            assert logits_of([(weight, bias)], X[i : i + 1]).tobytes() == whole[i].tobytes()
