"""Any torch.nn.Module: stepped as our own network is, measured, cloned, and put back to its best."""

import copy
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch import nn

from xent import _store
from xent.evaluation import evaluate
from xent.training import (
    MultilabelClassifier,
    SoftmaxClassifier,
    TrainedModel,
    convolutional_network,
    read_images,
)
from xent.training._checkpoint import Progress
from xent.training._fit.record import EpochRecord, HeldOut
from xent.training._objectives import objective_of

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = np.array(["a", "b", "c"])[RNG.integers(0, 3, 60)]


def as_module(model):
    layer = nn.Linear(*reversed(model.coefs_[0].shape))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(model.coefs_[0]))
        layer.bias.copy_(torch.from_numpy(model.intercepts_[0]))
    return nn.Sequential(layer)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse_sigmoid"])
def test_the_same_network_as_a_module_learns_the_same(loss):
    settings = {"loss": loss, "epochs": 3, "batch_size": 60, "random_state": 1}
    weight = RNG.random(60)
    own = SoftmaxClassifier(**settings).fit(X, Y, weight, validation=(X, Y))
    start = as_module(SoftmaxClassifier(**(settings | {"learning_rate": 1e-30})).fit(X, Y))
    before = copy.deepcopy(start.state_dict())
    model = SoftmaxClassifier(module=start, **settings).fit(X, Y, weight, validation=(X, Y))
    np.testing.assert_allclose(model.predict_proba(X), own.predict_proba(X), rtol=1e-4)
    for name in own.history_:
        np.testing.assert_allclose(model.history_[name], own.history_[name], rtol=1e-4)
    assert all(torch.equal(before[name], value) for name, value in start.state_dict().items())
    again = clone(model).fit(X, Y, weight)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_the_best_epoch_is_put_back_dropout_and_all():
    module = nn.Sequential(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3)
    )
    settings = {"epochs": 100, "learning_rate": 1.0, "batch_size": 10, "random_state": 0}
    held = X[:20], Y[:20]
    state = torch.random.get_rng_state()
    fits = [
        SoftmaxClassifier(module=module, patience=2, **settings).fit(
            X[20:], Y[20:], validation=held
        )
        for _ in range(2)
    ]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert fits[0].history_ == fits[1].history_
    curve = fits[0].history_["validation_cross_entropy"]
    assert len(curve) == fits[0].best_epoch_ + 2 < 100
    place = np.searchsorted(fits[0].classes_, held[1])
    nats = -fits[0].predict_log_proba(held[0])[np.arange(20), place].mean()
    assert nats == pytest.approx(min(curve), rel=1e-9)


def test_a_small_convolutional_network_reads_digits():
    pixels, y = load_digits(return_X_y=True)
    pixels = (pixels / 16).astype(np.float32)
    network = convolutional_network((1, 8, 8), 10)
    model = SoftmaxClassifier(
        module=network, optimizer="adam", learning_rate=0.005, epochs=8, random_state=0
    )
    assert model.fit(pixels[:1437], y[:1437]).score(pixels[1437:], y[1437:]) > 0.91


@pytest.mark.long
@pytest.mark.skipif(not MNIST.exists(), reason="the images are not beside this repository")
def test_a_small_convolutional_network_reads_mnist():
    """As docs/training.md trains it; LeCun et al. (1998) have such a network below 2 % of errors."""
    images = read_images(next(MNIST.glob("*-images-*")))
    pixels, y = images.X / np.float32(255), images.y
    model = SoftmaxClassifier(
        module=convolutional_network((1, 28, 28), 10),
        epochs=6,
        optimizer="adam",
        learning_rate=3e-3,
        schedule="CosineAnnealingLR",
        random_state=0,
    ).fit(pixels[:8000], y[:8000])
    report = evaluate(y[8000:], logits=model.predict_log_proba(pixels[8000:]))
    assert report.accuracy >= 0.975
    assert report.low < report.cross_entropy < report.high < 0.12
    assert report.calibration_error < 0.01


def test_another_kind_of_fit_forgets_the_module():
    model = SoftmaxClassifier(module=nn.Linear(3, 3), epochs=1, random_state=0).fit(X, Y)
    model.set_params(module=None).fit(X, Y)
    other = SoftmaxClassifier(epochs=1, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))


WORDING = [
    ({"module": 3}, "`module` must be a torch.nn.Module, got an int."),
    ({"module": nn.Linear(3, 2)}, "`module` must turn rows of 3 features into logits of 3 classes, got the shape (2, 2) from 2 rows."),
    ({"module": nn.Linear(4, 3)}, "`module` must turn rows of 3 features into logits of 3 classes, got mat1 and mat2 shapes cannot be multiplied (2x3 and 4x3). For images begin it with torch.nn.Unflatten(1, (1, 28, 28))."),
    ({"module": nn.Linear(3, 3), "hidden": (4,)}, "`hidden` must be left out with `module`, got [4]."),
    ({"module": nn.Linear(3, 3), "optimizer": "newton"}, "`optimizer` must take steps with `module`, got 'newton'."),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "sentence"), WORDING)
def test_wording(settings, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        SoftmaxClassifier(**settings).fit(X, Y)
    assert str(caught.value) == sentence


SAID = "`module` is trained as it is, and the audit finds: "
SOFTMAX = (
    SAID
    + "X101 double-softmax: cross-entropy takes logits, but softmax was applied to them: no loss below 0.551 is reachable with 3 classes. Give the loss the logits: remove the softmax, or keep it for prediction."
)


@pytest.mark.parametrize(
    ("last", "loss", "said"),
    [
        (nn.Softmax(1), "cross_entropy", SOFTMAX),
        (nn.Softmax(1), "focal:gamma=2", SOFTMAX),
        (nn.Sigmoid(), "binary_cross_entropy", SAID + "X102 double-sigmoid: "),
        (nn.ReLU(), "mse_softmax", SAID + "X104 activation-on-logits: "),
        (nn.Identity(), "cross_entropy", None),
        (nn.LogSoftmax(1), "cross_entropy", None),
    ],
)
def test_what_is_no_logit_is_said(last, loss, said):
    module = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3), last)
    state = torch.random.get_rng_state()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        SoftmaxClassifier(loss, module=module, epochs=1, random_state=0).fit(X, Y)
    assert torch.equal(torch.random.get_rng_state(), state)
    found = [str(w.message) for w in caught]
    assert len(found) == (said is not None)
    assert not found or found[0].startswith(said)


class Doubled(nn.Module):
    """Code that its parts do not tell."""

    def __init__(self, factor):
        super().__init__()
        self.inner, self.factor = nn.Linear(3, 3), factor

    def forward(self, x):
        return self.factor * self.inner(x)


@pytest.mark.parametrize("kind", [SoftmaxClassifier, MultilabelClassifier])
def test_a_model_of_a_module_is_kept_without_its_code(tmp_path, kind):
    y = Y if kind is SoftmaxClassifier else np.column_stack([c == Y for c in "abc"])
    model = kind(module=Doubled(2.0), epochs=2, random_state=0).fit(X, y)
    TrainedModel(model).save(tmp_path / "m")
    state, arrays = _store.load(tmp_path / "m", format="xent.training", version=4)
    assert "Doubled" not in str(state)
    assert set(arrays) >= {"module.inner.weight", "module.inner.bias", "fingerprint"}
    again = TrainedModel.load(tmp_path / "m", Doubled(2.0)).classifier
    assert type(again) is kind
    np.testing.assert_array_equal(again.predict_log_proba(X), model.predict_log_proba(X))
    assert again.history_ == model.history_
    with pytest.raises(ValueError, match="one that computes other logits with its weights"):
        TrainedModel.load(tmp_path / "m", Doubled(3.0))
    with pytest.raises(ValueError, match="`module` must be given: the network of the model is c"):
        TrainedModel.load(tmp_path / "m")
    TrainedModel(kind(epochs=1, random_state=0).fit(X, y)).save(tmp_path / "own")
    with pytest.raises(ValueError, match="`module` must be left out of a model that has none"):
        TrainedModel.load(tmp_path / "own", Doubled(2.0))


STRANGE = [None, -1, [], [2**40], [0], ["x"], "x", {}, [10**400], 2.5, [[3]], [True]]


@pytest.mark.grid
@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize("part", ["row", "outputs", "source", None])
def test_a_forged_model_of_a_module_is_refused(tmp_path, part, strange):
    TrainedModel(SoftmaxClassifier(module=Doubled(2.0), epochs=1).fit(X, Y)).save(tmp_path / "m")
    state, arrays = _store.load(tmp_path / "m", format="xent.training", version=4)
    if part is None:
        state["module"] = strange
    else:
        state["module"][part] = strange
    _store.save(tmp_path / "m", format="xent.training", version=4, state=state, arrays=arrays)
    if part == "source" or (part == "outputs" and strange in ([], {})):
        found = TrainedModel.load(tmp_path / "m", Doubled(2.0))
        assert found.classifier.predict(X).shape == (60,)
        return
    with pytest.raises((ValueError, TypeError)) as caught:
        TrainedModel.load(tmp_path / "m", Doubled(2.0))
    assert hasattr(caught.value, "sentence")


def test_a_checkpoint_of_a_module_is_of_that_module(tmp_path):
    settings = {"epochs": 1, "random_state": 0, "progress": False}
    SoftmaxClassifier(module=Doubled(2.0), **settings).fit(X, Y, checkpoint=tmp_path / "c")
    for module, said in [
        (nn.Linear(3, 3), "`checkpoint` must be of the same run, got one of another module. Name another file to start afresh."),
        (Doubled(3.0), "`checkpoint` must be of the same run, got one whose module computes other logits with the same weights. Name another file to start afresh."),
        (None, "`checkpoint` must be of the same run, got one of another module. Name another file to start afresh."),
    ]:  # fmt: skip
        with pytest.raises(ValueError) as caught:
            SoftmaxClassifier(module=module, **settings).fit(X, Y, checkpoint=tmp_path / "c")
        assert str(caught.value) == said


def test_a_module_with_dropout_goes_on_amid_an_epoch(tmp_path, monkeypatch):
    """By time: the file is written after every batch, and the last one before the stop counts."""
    module = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    settings = {"epochs": 3, "batch_size": 7, "random_state": 0, "module": module}
    whole = SoftmaxClassifier(**settings).fit(X, Y)
    monkeypatch.setattr("xent.training._fit.record.BATCHES_AT_ONCE", 1)
    stops = iter([*[None] * 12, KeyboardInterrupt])
    real = _store.save

    def save(*args, **kwargs):
        real(*args, **kwargs)
        if (stop := next(stops, None)) is not None:
            raise stop

    monkeypatch.setattr("xent._store.save", save)
    with pytest.raises(KeyboardInterrupt):
        SoftmaxClassifier(**settings).fit(X, Y, checkpoint=tmp_path / "c", checkpoint_every=0)
    parts = SoftmaxClassifier(**settings).fit(X, Y, checkpoint=tmp_path / "c")
    assert parts.history_ == whole.history_
    np.testing.assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))


class Root(nn.Module):
    """Has no logits of a negative feature."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x.sqrt())


def test_early_stopping_takes_no_nan_for_a_gain_and_says_where_there_is_nothing_else():
    rng = np.random.default_rng(0)
    X_square, y = rng.random((30, 4)), rng.integers(0, 3, 30)
    bad = X_square.copy()
    bad[7] = -1
    model = SoftmaxClassifier(module=Root(), patience=2, epochs=5, random_state=0)
    with pytest.raises(ValueError) as said:
        model.fit(X_square, y, validation=(bad, y))
    assert str(said.value) == (
        "Early stopping cannot choose an epoch: the held-out cross-entropy is NaN after every "
        "epoch. Look for rows of `validation` whose logits are NaN."
    )
    start = Progress([], {}, {"loss": [], "gradient_norm": []})
    held = HeldOut(X_square, y)
    record = EpochRecord(
        start, held, objective_of("cross_entropy"), 2, None, rng, lambda *told: None
    )
    scales = [np.nan, 1.0, np.nan, 2.0]
    for scale in scales:
        assert not record.stopped
        record.add([(np.eye(3, 4) * scale, np.zeros(3))], {}, 0.0, 0.0)
    assert np.isnan(record.watched).tolist() == [True, False, True, False]
    assert record.best_epoch == 1 + int(np.nanargmin(record.watched))
    assert record.best[0][0][0, 0] == scales[record.best_epoch - 1]
