"""A class at every place: against plain loops of PyTorch, its losses, and files."""

import copy
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from torch import nn
from torch.nn import functional as F

from xent.evaluation import evaluate_dense
from xent.training import (
    DenseClassifier,
    Scaling,
    SoftmaxClassifier,
    TrainedModel,
    export_model,
)

RNG = np.random.default_rng(4)
IMAGES = RNG.random((12, 2, 5, 6)).astype(np.float32)
MASKS = (IMAGES[:, 0] > 0.5).astype(np.int64) + (IMAGES[:, 1] > 0.7)
MASKS[RNG.random(MASKS.shape) < 0.1] = 255
MASKS[3] = 255  # an image of which nothing counts
TOKENS = RNG.integers(0, 9, (12, 7)).astype(np.float32)
TAGS = (TOKENS % 3).astype(np.int64)


class Tagger(nn.Module):
    """Tokens (N, L) to logits (N, 3, L)."""

    def __init__(self):
        super().__init__()
        self.vectors, self.last = nn.Embedding(9, 4), nn.Conv1d(4, 3, 3, padding=1)

    def forward(self, x):
        return self.last(self.vectors(x.long()).movedim(-1, 1))


def seeing():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 1))


def tagging():
    torch.manual_seed(0)
    return Tagger()


def quiet(module, **settings):
    own = {"random_state": 1, "progress": False, "epochs": 4, "batch_size": 12}
    return DenseClassifier(module=module, **(own | settings))


CLASS_WEIGHT = {0: 1.0, 1: 2.0, 2: 0.5}
WEIGHT = RNG.random(12)


def torch_loss(z, y, *, gamma=0.0, smoothing=0.0, by_class=None, weight=None):
    """The mean over places that count, of weights whose mean over those places is 1."""
    costs = F.cross_entropy(z, y, ignore_index=255, reduction="none", label_smoothing=smoothing)
    if gamma:
        p = F.softmax(z, 1).gather(1, torch.where(y == 255, 0, y)[:, None])[:, 0]
        costs = costs * (1 - p) ** gamma
    counts = y != 255
    scale = counts.float()
    if by_class is not None:
        scale = scale * torch.tensor(by_class)[torch.where(counts, y, 0)]
    if weight is not None:
        scale = scale * torch.from_numpy(weight).float().view(-1, *([1] * (y.dim() - 1)))
    return (costs * scale).sum() / scale.sum()


def torch_loop(module, x, y, epochs=4, **options):
    module = copy.deepcopy(module)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    losses = []
    for _ in range(epochs):
        loss = torch_loss(module(x), y, **options)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return module, losses


@pytest.mark.grid
@pytest.mark.parametrize("places", ["pixels", "tokens"])
@pytest.mark.parametrize(
    ("loss", "options", "fitted"),
    [
        ("cross_entropy", {}, {}),
        ("cross_entropy:label_smoothing=0.1", {"smoothing": 0.1}, {}),
        ("focal:gamma=2", {"gamma": 2}, {}),
        ("cross_entropy", {"by_class": [1.0, 2.0, 0.5]}, {"class_weight": CLASS_WEIGHT}),
        ("cross_entropy", {"weight": WEIGHT}, {}),
        ("focal:gamma=2", {"gamma": 2, "by_class": [1.0, 2.0, 0.5], "weight": WEIGHT},
         {"class_weight": CLASS_WEIGHT}),
    ],
)  # fmt: skip
def test_it_is_a_plain_loop_of_pytorch(places, loss, options, fitted):
    """Full batches, so that the order of the rows is nothing."""
    X, y, start = (IMAGES, MASKS, seeing()) if places == "pixels" else (TOKENS, TAGS, tagging())
    theirs, losses = torch_loop(start, torch.from_numpy(X), torch.from_numpy(y), **options)
    model = quiet(start, loss=loss, ignore_index=255, **fitted)
    model.fit(X, y, options.get("weight"))
    np.testing.assert_allclose(model.history_["loss"], losses, rtol=1e-5)
    with torch.no_grad():
        expected = F.log_softmax(theirs(torch.from_numpy(X)), 1)
    np.testing.assert_allclose(model.predict_log_proba(X), expected, rtol=1e-4, atol=1e-5)
    assert model.predict(X).shape == y.shape
    np.testing.assert_array_equal(model.predict(X), expected.argmax(1))


def test_all_classes_count_alike_when_balanced():
    by_class = [1 / (c == MASKS).sum() for c in range(3)]
    _, losses = torch_loop(
        seeing(), torch.from_numpy(IMAGES), torch.from_numpy(MASKS), by_class=by_class
    )
    model = quiet(seeing(), ignore_index=255, class_weight="balanced").fit(IMAGES, MASKS)
    np.testing.assert_allclose(model.history_["loss"], losses, rtol=1e-5)


def test_small_batches_are_means_of_the_places_that_count():
    """The epoch's loss is that of all places, however many each batch has; the rate is nothing."""
    model = quiet(seeing(), ignore_index=255, batch_size=1, learning_rate=1e-30, epochs=1)
    model.fit(IMAGES, MASKS)
    expected = torch_loss(seeing()(torch.from_numpy(IMAGES)), torch.from_numpy(MASKS)).item()
    assert model.history_["loss"] == [pytest.approx(expected, rel=1e-6)]


@pytest.mark.grid
@pytest.mark.parametrize("loss", ["cross_entropy", "kl_div", "mse_softmax"])
def test_probabilities_at_every_place(loss):
    teacher = RNG.dirichlet([1, 1, 1], (12, 5, 6)).transpose(0, 3, 1, 2)
    t = torch.from_numpy(teacher).float()
    z = seeing()(torch.from_numpy(IMAGES))
    own = {
        "cross_entropy": lambda: F.cross_entropy(z, t),
        "kl_div": lambda: F.kl_div(F.log_softmax(z, 1), t, reduction="none").sum(1).mean(),
        "mse_softmax": lambda: F.mse_loss(F.softmax(z, 1), t),
    }[loss]()
    model = quiet(seeing(), loss=loss, learning_rate=1e-30, epochs=1)
    model.fit(IMAGES, teacher, validation=(IMAGES, teacher))
    assert model.history_["loss"] == [pytest.approx(own.item(), rel=1e-5)]
    nats = F.cross_entropy(z.double(), t.double()).item()
    assert model.history_["validation_cross_entropy"] == [pytest.approx(nats, rel=1e-6)]
    sure = np.eye(3)[np.where(MASKS == 255, 0, MASKS)].transpose(0, 3, 1, 2)
    hard = quiet(seeing()).fit(IMAGES, np.where(MASKS == 255, 0, MASKS))
    soft = quiet(seeing()).fit(IMAGES, sure)
    np.testing.assert_allclose(hard.history_["loss"], soft.history_["loss"], rtol=1e-5)


def test_held_out_numbers_are_pytorchs_and_the_reports(monkeypatch):
    monkeypatch.setattr("xent.training._fit.module.NUMBERS_A_PASS", 3 * 60)  # several pieces
    model = quiet(seeing(), ignore_index=255)
    model.fit(IMAGES[:8], MASKS[:8], validation=(IMAGES[8:], MASKS[8:]))
    with torch.no_grad():
        z = model.module_(torch.from_numpy(IMAGES[8:])).double()
    nats = F.cross_entropy(z, torch.from_numpy(MASKS[8:]), ignore_index=255).item()
    assert model.history_["validation_cross_entropy"][-1] == pytest.approx(nats, rel=1e-9)
    counts = MASKS[8:] != 255
    right = accuracy_score(MASKS[8:][counts], model.predict(IMAGES[8:])[counts])
    assert model.history_["validation_accuracy"][-1] == pytest.approx(right)
    assert model.score(IMAGES[8:], MASKS[8:]) == pytest.approx(right)
    report = evaluate_dense(
        MASKS[8:], log_probs=model.predict_log_proba(IMAGES[8:]), class_axis=1, ignore_index=255
    )
    assert report.cross_entropy == pytest.approx(model.history_["validation_bits"][-1], rel=1e-9)
    np.testing.assert_allclose(model.predict_proba(IMAGES).sum(axis=1), 1, rtol=1e-9)


def test_arrays_of_every_kind_are_the_same(tmp_path):
    plain = quiet(seeing(), ignore_index=255).fit(IMAGES, MASKS).history_
    np.save(tmp_path / "x.npy", IMAGES)
    np.save(tmp_path / "y.npy", MASKS.astype(np.uint8))
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "xy"]
    for kind in (np.uint8, np.int16, ">i2", np.uint16, np.uint64):
        found = quiet(seeing(), ignore_index=255).fit(IMAGES, MASKS.astype(kind))
        assert found.history_ == plain
    assert quiet(seeing(), ignore_index=255).fit(*mapped).history_ == plain
    np.savez(tmp_path / "d.npz", x=IMAGES.astype(np.float64), y=MASKS)
    with np.load(tmp_path / "d.npz") as both:
        model = quiet(seeing(), ignore_index=255).fit(both["x"], both["y"])
    assert model.history_ == plain == clone(model).fit(IMAGES, MASKS).history_
    two = (IMAGES[:, 0] > 0.5, (IMAGES[:, 0] > 0.5).astype(int))
    assert quiet(seeing()).fit(IMAGES, two[0]).history_ == quiet(seeing()).fit(IMAGES, two[1]).history_  # fmt: skip


def test_a_second_softmax_is_said_of_masks_too():
    twice = nn.Sequential(seeing(), nn.Softmax(1))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        quiet(twice, ignore_index=255).fit(IMAGES, MASKS)
    assert len(said) == 1
    assert "X101 double-softmax" in str(said[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet(seeing(), ignore_index=255).fit(IMAGES, MASKS)
        quiet(seeing(), loss="binary_cross_entropy", ignore_index=255).fit(IMAGES, MASKS)


BAD_MASK = np.where(np.arange(12)[:, None, None] == 2, 7, np.where(MASKS == 255, 0, MASKS))
PROBS = np.full((12, 3, 5, 6), 1 / 3)
WORDING = [
    ({}, IMAGES, MASKS, "`y` must hold the numbers of the 3 classes of `module`, 0 to 2, got 255 at [0, "),
    ({"ignore_index": 255}, IMAGES, BAD_MASK, "`y` must hold the numbers of the 3 classes of `module`, 0 to 2, or 255, got 7 at [2, 0, 0]."),
    ({}, IMAGES, BAD_MASK[:, :4], "`y` must have a class of every place, (12, 5, 6), or probabilities, (12, 3, 5, 6), as `module` gives logits, got (12, 4, 6)."),
    ({}, IMAGES, BAD_MASK * 1.0, "`y` must hold whole numbers where it has a class of every place, got numbers of float64."),
    ({"ignore_index": 255}, IMAGES, np.full_like(MASKS, 255), "`y` must have a place that is not `ignore_index`, got 255 everywhere."),
    ({"ignore_index": 255}, IMAGES, PROBS, "`ignore_index` must be None where `y` holds probabilities, got 255."),
    ({}, IMAGES, PROBS * 1.1, "`y` must hold probabilities that sum to 1 over its classes, axis 1, got 1.1"),
    ({}, IMAGES, -PROBS, "`y` must hold probabilities where it has the shape of the logits, got -0.33"),
    ({"class_weight": "balanced"}, IMAGES, PROBS, "`class_weight` must be None where `y` holds probabilities, got 'balanced'."),
    ({"class_weight": {5: 1.0}}, IMAGES, BAD_MASK % 3, "`class_weight` must weigh classes that `y` holds, got 5."),
    ({"module": None}, IMAGES, MASKS, "`module` must be a torch.nn.Module, got None."),
    ({"module": nn.Flatten()}, IMAGES, MASKS, "`module` must turn inputs of the shape (N, 2, 5, 6) into logits (N, classes, ...), a class of every place, got the shape (2, 60). For a class of every row take SoftmaxClassifier."),
    ({"module": nn.Conv2d(2, 1, 1)}, IMAGES, MASKS, "`module` must turn inputs of the shape (N, 2, 5, 6) into logits (N, classes, ...), a class of every place, got the shape (2, 1, 5, 6). For yes and no give two."),
    ({"optimizer": "newton"}, IMAGES, BAD_MASK % 3, "`optimizer` must take steps with `module`, got 'newton'."),
    ({"ignore_index": 0.5}, IMAGES, MASKS, "`ignore_index` must be an integer of at least -2147483648, got 0.5."),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "X", "y", "sentence"), WORDING)
def test_wording(settings, X, y, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        quiet(**{"module": seeing(), **settings}).fit(X, y)
    assert str(caught.value).startswith(sentence)


def test_rows_of_another_shape_are_refused():
    model = quiet(seeing(), ignore_index=255).fit(IMAGES, MASKS)
    with pytest.raises(ValueError, match=r"`X` must hold rows of the shape \(2, 5, 6\), as those"):
        model.predict(IMAGES[:, :, :4])
    with pytest.raises(ValueError, match="take DenseClassifier"):
        SoftmaxClassifier(module=nn.Unflatten(1, (3, 20))).fit(
            IMAGES.reshape(12, -1), [0, 1, 2] * 4
        )


def test_it_lasts(tmp_path):
    model = quiet(seeing(), ignore_index=255, class_weight=CLASS_WEIGHT).fit(IMAGES, MASKS)
    scaling = Scaling.of([[0.0], [255.0]])
    TrainedModel(model, scaling, module_source="net.py:Net").save(tmp_path / "m")
    again = TrainedModel.load(tmp_path / "m", nn.Sequential(*copy.deepcopy(list(seeing()))))
    np.testing.assert_array_equal(
        again.predict_log_proba(IMAGES * 255), model.predict_log_proba(scaled(IMAGES))
    )
    assert again.classifier.score(IMAGES, MASKS) == model.score(IMAGES, MASKS)
    assert again.classifier.ignore_index == 255
    assert again.classifier.class_weight == CLASS_WEIGHT
    assert clone(again.classifier).fit(IMAGES, MASKS).history_.keys() == model.history_.keys()
    for wrong, said in [
        (None, "`module` must be given: the network of the model is code, which no file of ours holds, got none. It was net.py:Net."),
        (nn.Conv2d(2, 3, 1), "`module` must be the module that the model was trained with, got one whose '0.bias' is not there, and was float32 (6,)."),
        (nn.Sequential(seeing()[0], nn.Tanh(), seeing()[2]), "`module` must be the module that the model was trained with, got one that computes other logits with its weights."),
        (3, "`module` must be a torch.nn.Module, got an int."),
    ]:  # fmt: skip
        with pytest.raises((ValueError, TypeError)) as caught:
            TrainedModel.load(tmp_path / "m", wrong)
        assert str(caught.value) == said


def scaled(pixels):
    """What becomes of pixels that are multiplied by 255 and divided again."""
    return (pixels * 255).astype(np.float64) / 255


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_run_that_was_stopped_ends_with_the_same_bits(tmp_path, dropout):
    module = nn.Sequential(*seeing()[:2], nn.Dropout(dropout), nn.BatchNorm2d(6), seeing()[2])
    settings = {"ignore_index": 255, "batch_size": 5, "optimizer": "adam", "learning_rate": 0.01}
    held = {"validation": (IMAGES[:4], MASKS[:4])}
    whole = quiet(module, epochs=5, **settings).fit(IMAGES, MASKS, **held)
    quiet(module, epochs=2, **settings).fit(IMAGES, MASKS, checkpoint=tmp_path / "c", **held)
    other = copy.deepcopy(module)  # another start: what counts is what was learned
    other[0].reset_parameters()
    parts = quiet(other, epochs=5, **settings)
    parts.fit(IMAGES, MASKS, checkpoint=tmp_path / "c", **held)
    assert parts.history_ == whole.history_
    np.testing.assert_array_equal(parts.predict_proba(IMAGES), whole.predict_proba(IMAGES))
    again = quiet(module, epochs=5, **settings)
    again.fit(IMAGES, MASKS, checkpoint=tmp_path / "c", **held)
    np.testing.assert_array_equal(again.predict_proba(IMAGES), whole.predict_proba(IMAGES))


@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_it_is_exported(tmp_path, kind):
    model = quiet(seeing(), ignore_index=255).fit(IMAGES, MASKS)
    trained = TrainedModel(model, Scaling.of([[0.0], [255.0]]))
    expected = trained.predict_log_proba(IMAGES[:5] * 255)
    rows = (IMAGES[:5] * 255).astype(np.float64)
    if kind == "torch":
        export_model(trained, tmp_path / "m.pt2")
        found = torch.export.load(tmp_path / "m.pt2").module()(torch.from_numpy(rows)).numpy()
    else:
        pytest.importorskip("onnxscript")
        runtime = pytest.importorskip("onnxruntime")
        export_model(trained, tmp_path / "m.onnx", "onnx")
        session = runtime.InferenceSession(str(tmp_path / "m.onnx"))
        (found,) = session.run(None, {"columns": rows})
    assert found.shape == (5, 3, 5, 6)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


class Choosy(nn.Module):
    """Code that depends on what it reads, which no graph holds."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(2, 3, 1)

    def forward(self, x):
        return self.inner(x) if float(x.sum()) > -1e9 else self.inner(2 * x)


def test_code_that_no_graph_holds_is_said(tmp_path):
    model = quiet(Choosy(), ignore_index=255).fit(IMAGES, MASKS)
    with pytest.raises(ValueError, match="The model cannot be exported: of its module torch says"):
        export_model(TrainedModel(model), tmp_path / "m.pt2")
    assert list(tmp_path.iterdir()) == []
