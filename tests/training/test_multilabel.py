"""Several labels a row: against a plain loop of PyTorch, scikit-learn's log loss, and files."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from xent.evaluation import evaluate_multilabel
from xent.training import (
    MultilabelClassifier,
    Scaling,
    SoftmaxClassifier,
    TrainedModel,
    export_model,
)

RNG = np.random.default_rng(3)
X = RNG.normal(size=(80, 3))
Y = (X @ RNG.normal(size=(3, 4)) + RNG.normal(size=(80, 4)) > 0.5).astype(int)
NAMES = ["cat", "dog", "outdoors", "night"]


def quiet(**settings):
    return MultilabelClassifier(**({"random_state": 1, "progress": False, "epochs": 4} | settings))


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_a_plain_loop_of_pytorch(weighted):
    """Full batches, so that the order of the rows is nothing; the start is read from ours."""
    weight = RNG.random(80) if weighted else None
    start = quiet(epochs=1, learning_rate=1e-30).fit(X, Y)
    layer = nn.Linear(3, 4)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(start.coefs_[0]))
        layer.bias.copy_(torch.from_numpy(start.intercepts_[0]))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    x, y = torch.from_numpy(X).float(), torch.from_numpy(Y).float()
    scale = torch.ones(80, 1) if weight is None else torch.from_numpy(weight / weight.mean()).float()[:, None]  # fmt: skip
    losses = []
    for _ in range(4):
        loss = nn.functional.binary_cross_entropy_with_logits(layer(x), y, weight=scale)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model = quiet(batch_size=80).fit(X, Y, weight)
    np.testing.assert_allclose(model.history_["loss"], losses, rtol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(model.decision_function(X), layer(x), rtol=1e-4, atol=1e-5)


def test_held_out_numbers_are_scikit_learns_and_the_reports():
    model = quiet(hidden=(5,)).fit(X[:50], Y[:50], classes=NAMES, validation=(X[50:], Y[50:]))
    p = model.predict_proba(X[50:])
    nats = np.mean([log_loss(Y[50:, j], p[:, j], labels=[0, 1]) for j in range(4)])
    assert model.history_["validation_cross_entropy"][-1] == pytest.approx(nats, rel=1e-9)
    right = np.mean([accuracy_score(Y[50:, j], p[:, j] >= 0.5) for j in range(4)])
    assert model.history_["validation_accuracy"][-1] == pytest.approx(right)
    report = evaluate_multilabel(Y[50:], logits=model.decision_function(X[50:]), labels=NAMES)
    assert report.cross_entropy == pytest.approx(model.history_["validation_bits"][-1], rel=1e-9)
    assert model.score(X[50:], Y[50:]) == accuracy_score(Y[50:], model.predict(X[50:]))
    assert not np.allclose(p.sum(axis=1), 1)


def test_labels_of_every_kind_are_the_same():
    plain = quiet().fit(X, Y)
    frame = pd.DataFrame(Y, columns=NAMES)
    for y in (Y.astype(bool), Y.astype(float), sparse.csr_matrix(Y), frame, Y.astype(object)):
        np.testing.assert_array_equal(
            quiet().fit(X, y).decision_function(X), plain.decision_function(X)
        )
    named = quiet().fit(X, frame, validation=(X, frame[NAMES[::-1]]))
    assert named.classes_.tolist() == NAMES
    same = quiet().fit(X, Y, validation=(X, Y))
    assert named.history_ == same.history_
    one = quiet().fit(X, Y[:, :1])
    assert one.predict_proba(X).shape == (80, 1)
    np.testing.assert_array_equal(clone(plain).fit(X, Y).predict(X), plain.predict(X))


@pytest.mark.parametrize(
    "loss", ["binary_focal:gamma=1", "mse_sigmoid", "binary_cross_entropy:pos_weight=3"]
)
def test_other_losses_and_modules_learn(loss):
    model = quiet(loss=loss, epochs=60, learning_rate=3, module=nn.Linear(3, 4)).fit(X, Y)
    assert (model.predict(X) == Y).mean() > 0.75


def test_it_is_kept_exported_and_goes_on(tmp_path):
    model = quiet().fit(X, Y, classes=NAMES)
    kept = TrainedModel(
        model, Scaling.of(X), list("abc"), "y_*", None, (), [f"y_{n}" for n in NAMES], "|"
    )
    kept.save(tmp_path / "m.xent")
    again = TrainedModel.load(tmp_path / "m.xent")
    assert isinstance(again.classifier, MultilabelClassifier)
    assert (again.label_columns, again.separator) == (kept.label_columns, "|")
    np.testing.assert_array_equal(again.decision_function(X), kept.decision_function(X))
    export_model(again, tmp_path / "m.pt2")
    graph = torch.export.load(tmp_path / "m.pt2").module()
    found = graph(torch.from_numpy(X))
    np.testing.assert_allclose(found, kept.predict_log_proba(X), rtol=1e-12)
    whole = quiet(optimizer="adam").fit(X, Y)
    quiet(optimizer="adam", epochs=2).fit(X, Y, checkpoint=tmp_path / "c")
    parted = quiet(optimizer="adam").fit(X, Y, checkpoint=tmp_path / "c")
    np.testing.assert_array_equal(parted.decision_function(X), whole.decision_function(X))
    single = SoftmaxClassifier(epochs=1, random_state=0).fit(X, Y[:, 0])
    with pytest.raises(ValueError, match="Logits of labels cannot be told: its model is of one"):
        TrainedModel(single).decision_function(X)


WORDING = [
    ({}, Y[:, 0], "`y` must have the shape (rows, labels), 1 where a label is there and 0 where not, got (80,)."),
    ({}, Y * 2, "`y` must hold 1 where a label is there and 0 where not, got 2 at [0, 0]."),
    ({}, np.where(Y == 1, np.nan, Y), "`y` must hold 1 where a label is there and 0 where not, got nan at [0, 0]."),
    ({"loss": "cross_entropy"}, Y, "`loss` must be 'binary_cross_entropy', 'mse_sigmoid' or 'binary_focal', got 'cross_entropy'. Did you mean 'binary_cross_entropy'?"),
    ({"optimizer": "newton"}, Y, "`optimizer` must take steps for several labels a row, got 'newton'."),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "y", "sentence"), WORDING)
def test_wording(settings, y, sentence):
    with pytest.raises(ValueError) as caught:
        quiet(**settings).fit(X, y)
    assert str(caught.value) == sentence


def test_other_wording():
    with pytest.raises(ValueError) as caught:
        quiet().fit(X, Y, classes=["a", "a", "b", "c"])
    assert str(caught.value).startswith("`classes` must name the 4 columns of `y`, each once, got")
    with pytest.raises(ValueError) as caught:
        quiet().fit(X, Y, validation=(X, Y[:, :2]))
    assert str(caught.value) == "`validation` must have the 4 labels of `y`, got 2 columns."
