"""What is handed from one function to the next in the training, and what a run leaves behind.

A flag that is not passed on, a row that counts from a piece's beginning, a file that forgets what
decides the result: each is asked of all the classifiers, of all arguments, of all the fields.
"""

import inspect
import math
import time
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from xent.training import (
    DenseClassifier,
    MultilabelClassifier,
    Scaling,
    SoftmaxClassifier,
    TrainedModel,
    compare_losses,
    read_images,
)
from xent.training._checkpoint import Checkpoint, Progress
from xent.training._compare import Comparison

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 3))
Y = np.where(X[:, 0] > 0, "b", "a")
LABELS = np.column_stack([X[:, 0] > 0, X[:, 1] > 0]).astype(int)
IMAGES, PLACES = RNG.random((12, 1, 3, 4)), RNG.integers(0, 2, (12, 3, 4))
CLASSIFIERS = [SoftmaxClassifier, MultilabelClassifier, DenseClassifier]


def quiet(kind=SoftmaxClassifier, **options):
    options = {"epochs": 2, "random_state": 0, "progress": False} | options
    if kind is DenseClassifier:
        torch.manual_seed(0)
        options.setdefault("module", torch.nn.Conv2d(1, 2, 1))
    return kind(**options)


def rows_of(kind):
    return {
        SoftmaxClassifier: (X, Y),
        MultilabelClassifier: (X, LABELS),
        DenseClassifier: (IMAGES, PLACES),
    }[kind]


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_every_setting_is_kept_as_it_was_given(kind):
    names = list(inspect.signature(kind).parameters)
    given = {name: object() for name in names}
    made = kind(**given)
    assert all(getattr(made, name) is value for name, value in given.items())
    assert made.get_params(deep=False) == given


@pytest.mark.parametrize("kind", [MultilabelClassifier, DenseClassifier])
def test_every_argument_of_fit_reaches_the_one_that_fits(kind, monkeypatch):
    seen = {}

    def fit(self, X, y, sample_weight=None, **how):
        seen.update(how, X=X, y=y, sample_weight=sample_weight)
        return self

    monkeypatch.setattr(SoftmaxClassifier, "fit", fit)
    given = {name: object() for name in list(inspect.signature(kind.fit).parameters)[1:]}
    quiet(kind).fit(**given)
    assert seen == given


@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.parametrize("what", ["features", "truth", "weights", "no weights", "held-out features",
                                  "held-out truth", "nothing held out"])  # fmt: skip
def test_a_checkpoint_is_of_all_data_that_decide_the_result(tmp_path, kind, what):
    rows, truth = rows_of(kind)
    weight = np.linspace(1, 2, len(rows))
    data = {"X": rows, "y": truth, "sample_weight": weight, "validation": (rows, truth)}
    quiet(kind).fit(**data, checkpoint=tmp_path / "c")
    other, swapped = rows.copy(), truth[::-1].copy()
    other[-1] += 0.5
    changed = {
        "features": {"X": other},
        "truth": {"y": swapped},
        "weights": {"sample_weight": weight[::-1].copy()},
        "no weights": {"sample_weight": None},
        "held-out features": {"validation": (other, truth)},
        "held-out truth": {"validation": (rows, swapped)},
        "nothing held out": {"validation": None},
    }[what]
    with pytest.raises(ValueError, match="`checkpoint` must be of the same run, got one on other data"):  # fmt: skip
        quiet(kind, epochs=3).fit(**data | changed, checkpoint=tmp_path / "c")
    quiet(kind, epochs=3).fit(**data, checkpoint=tmp_path / "c")


def test_what_is_just_written_is_not_due(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    held = Checkpoint(tmp_path / "c", {}, [], {}, allow_other_bits=False, every=5)
    now[0] += 6
    assert held.due
    held.write(Progress([], {}, {"loss": []}), np.random.RandomState(0).get_state())
    assert not held.due
    now[0] += 5
    assert held.due


@pytest.mark.parametrize("optimizer", ["sgd", "newton"])
def test_a_log_has_a_line_an_epoch_with_all_that_the_history_has(tmp_path, optimizer):
    options = {"optimizer": optimizer} | ({} if optimizer == "sgd" else {"epochs": 10})
    model = quiet(**options).fit(X, Y, validation=(X, Y), log=tmp_path / "l.csv")
    head, *lines = (tmp_path / "l.csv").read_text().splitlines()
    names = head.split(",")
    assert names == ["epoch", *sorted(model.history_)]
    assert len(lines) == len(model.history_["loss"]) >= 2
    for epoch, line in enumerate(lines):
        told = dict(zip(names, map(float, line.split(",")), strict=True))
        assert told.pop("epoch") == epoch + 1
        assert told == {name: values[epoch] for name, values in model.history_.items()}


@pytest.mark.parametrize("kind", ["number", "probability", "sum"])
@pytest.mark.parametrize("row", [2, 5, 11])
def test_a_bad_place_past_the_first_piece_is_where_it_is(monkeypatch, kind, row):
    monkeypatch.setattr("xent.training._fit.dense.PLACES_A_PIECE", 24)  # two rows
    if kind == "number":
        y = PLACES.copy()
        y[row, 2, 1] = 7
        said = rf"got 7 at \[{row}, 2, 1\]"
    else:
        y = np.full((12, 2, 3, 4), 0.5)
        y[row, 1, 2, 3] = -0.5 if kind == "probability" else 0.75
        said = rf"got -0\.5 at \[{row}, 1, 2, 3\]" if kind == "probability" else rf"got 1\.25 at \[{row}, 2, 3\]"  # fmt: skip
    with pytest.raises(ValueError, match=said):
        quiet(DenseClassifier).fit(IMAGES, y)


def test_a_bad_row_of_probabilities_is_where_it_is():
    soft = np.full((40, 2), 0.5)
    soft[7, 1] = 0.75
    with pytest.raises(ValueError, match=r"got 1\.25 at row 7\."):
        quiet().fit(X, soft)
    soft[7, 1] = -0.5
    with pytest.raises(ValueError, match=r"got -0\.5 at \[7, 1\]"):
        quiet().fit(X, soft)


def test_a_table_of_losses_has_the_units_of_its_headings():
    report = SimpleNamespace(cross_entropy=1.5, accuracy=0.25, brier=0.5, calibration_error=0.125)
    many = SimpleNamespace(**vars(report) | {"cross_entropy": 12345.6})
    found = Comparison({"nll": None, "focal": None}, {"nll": report, "focal": many}, {"nll": 2.0, "focal": 0.25})  # fmt: skip
    lines = str(found).splitlines()
    assert lines[0].split("  ")[0] == "loss"
    assert lines[1].split() == ["nll", "1.5000", "25.0", "%", "0.5000", "12.5", "%", "2.0", "<-", "fewest", "bits"]  # fmt: skip
    assert lines[2].split()[:2] == ["focal", "1.23e+04"]


def test_a_comparison_evaluates_in_bits_what_each_loss_was_trained_to():
    found = compare_losses(X, Y, ["nll"], validation=(X, Y), classifier=quiet())
    model = found.classifiers["nll"]
    logits = X.astype(np.float64) @ model.coefs_[0].T + model.intercepts_[0]
    costs = -log_softmax(logits, axis=1)[np.arange(40), (Y == "b").astype(int)]
    assert found.reports["nll"].cross_entropy == pytest.approx(costs.mean() / math.log(2), rel=1e-6)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_every_field_of_a_model_comes_back(tmp_path, kind):
    rows, truth = rows_of(kind)
    wide = 1 if kind is DenseClassifier else 3
    model = TrainedModel(
        quiet(kind).fit(rows, truth),
        Scaling(np.full(wide, -1.0), np.full(wide, 2.0)),
        ["x", "y", "z"] if wide == 3 else [],
        "the class",
        None,
        (3, 1) if wide == 3 else (),
    )
    if kind is MultilabelClassifier:
        model = replace(model, label_columns=["u", "v"], separator="|")
    if kind is DenseClassifier:
        model = replace(model, module_source="net.py:Net")
    model.save(tmp_path / "m")
    again = TrainedModel.load(tmp_path / "m", None if wide == 3 else torch.nn.Conv2d(1, 2, 1))
    for name in {field.name for field in fields(TrainedModel)} - {"classifier", "scaling"}:
        assert getattr(again, name) == getattr(model, name), name
    np.testing.assert_array_equal(again.scaling.low, model.scaling.low)
    np.testing.assert_array_equal(again.scaling.high, model.scaling.high)
    assert again.classifier.history_ == model.classifier.history_
    np.testing.assert_array_equal(again.classifier.predict(rows), model.classifier.predict(rows))


def test_labels_in_a_column_of_their_own_axis_are_labels(tmp_path):
    """As Keras has those of CIFAR: (N, 1)."""
    np.savez(tmp_path / "c.npz", x_train=np.zeros((3, 2, 2), np.uint8), y_train=[[2], [0], [1]])
    assert read_images(tmp_path / "c.npz").y.tolist() == [2, 0, 1]


def test_a_size_of_images_is_columns_by_rows(tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "a").mkdir()
    image.fromarray(np.zeros((6, 6), np.uint8)).save(tmp_path / "a" / "1.png")
    assert read_images(tmp_path, image_size=(2, 3)).shape == (3, 2)
    image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "a" / "1.png")
    assert read_images(tmp_path).shape == (4, 6)
