"""Where training's rules begin and end: shares, folds, buffers, logits of 0, numbers of rows."""

import math
import struct
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from xent import _store
from xent.training import (
    ArrayRows,
    MultilabelClassifier,
    SoftmaxClassifier,
    TableEncoder,
    compare_losses_fairly,
)
from xent.training._checkpoint import FORMAT, VERSION, Checkpoint
from xent.training._data.idx import read_idx
from xent.training._fit.dense import read_dense
from xent.training._fit.plan import Plan, read_device
from xent.training._fit.record import EpochRecord, label_scores, named_scores
from xent.training._loop import first_layers
from xent.training._objectives import objective_of
from xent.training._split import fold_of_rows, hold_out
from xent.training._steps import Batches, LinearSteps, NetworkSteps, network_of


def test_so_many_rows_are_held_out():
    for rows, share, held in ((10, 0.26, 3), (10, 0.24, 2), (7, 0.5, 4), (10, 0.05, None),
                              (10, 0.06, 1), (10, 0.8, 8), (10, 0.94, None)):  # fmt: skip
        labels = np.arange(rows) % 2
        if held is None:
            with pytest.raises(ValueError, match="`validation` must hold out from 1 to 8 rows"):
                hold_out(labels, share, 0)
            continue
        found = hold_out(labels, share, 0)
        assert found.sum() == held
        assert np.bincount(labels[~found], minlength=2).min() >= 1
    with pytest.raises(ValueError, match="must have two rows of a class to hold one out"):
        hold_out(np.arange(4), 0.5, 0)


def test_no_class_is_held_out_whole():
    """What more than one row is missing goes to those that have a second row, and no further."""
    for rows, share, held in (
        ([1, 1, 1, 1, 8], 0.5, [0, 0, 0, 0, 6]),
        ([1, 2, 9], 0.75, [0, 1, 8]),
    ):
        labels = np.repeat(np.arange(len(rows)), rows)
        out = hold_out(labels, share, 0)
        assert np.bincount(labels[out], minlength=len(rows)).tolist() == held


def test_the_rows_held_out_are_drawn():
    """By the seed, and not the first ones; the same by the same."""
    labels = np.repeat([0, 1], 40)
    drawn = [hold_out(labels, 0.25, seed) for seed in range(5)]
    assert all((hold_out(labels, 0.25, seed) == drawn[seed]).all() for seed in range(5))
    assert len({tuple(np.flatnonzero(d)) for d in drawn}) == 5
    assert all(not d[:10].all() for d in drawn)


def test_folds_may_be_as_many_as_rows():
    labels = np.array([0, 0, 0, 1, 1, 1, 1])
    folds = fold_of_rows(labels, 3, 0)
    assert all(np.bincount(folds[labels == c], minlength=3).min() >= 1 for c in (0, 1))
    with pytest.raises(ValueError, match=r"`folds` must be at most .*, got 4, and 3 rows of 0"):
        fold_of_rows(labels, 4, 0)
    several = np.array([[1, 0], [1, 1], [0, 1], [0, 0]])
    assert sorted(fold_of_rows(several, 4, 0)) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="`folds` must be at most the rows, got 5, and 4 rows"):
        fold_of_rows(several, 5, 0)


def test_a_label_that_is_as_probable_as_not_is_there():
    model = MultilabelClassifier(epochs=1, random_state=0, progress=False)
    model.fit([[0.0], [1.0]], [[1, 0], [0, 1]])
    model.coefs_[0][:] = [[1.0], [-1.0]]
    model.intercepts_[0][:] = 0.0
    assert model.predict_proba([[0.0]]).tolist() == [[0.5, 0.5]]
    assert model.predict([[0.0], [2.0], [-2.0]]).tolist() == [[1, 1], [1, 0], [0, 1]]
    logits = np.array([[0.0, 0.0, 1.0, -1.0]])
    for truth, right in ((1, 0.75), (0, 0.25)):
        scores = label_scores(logits, np.full((1, 4), truth))
        assert scores["validation_accuracy"] == right


# ------------------------------------------------------------------ checkpoints


def run(path, **options):
    options = {"epochs": 3, "batch_size": 2, "random_state": 0, "progress": False} | options
    X, y = np.arange(6.0)[:, None] / 6, [0, 0, 0, 1, 1, 1]
    return SoftmaxClassifier(**options).fit(X, y, checkpoint=path)


def test_a_run_that_is_over_says_the_same_again(tmp_path):
    first = run(tmp_path / "c")
    again = run(tmp_path / "c")
    assert again.history_ == first.history_
    assert again.coefs_[0].tolist() == first.coefs_[0].tolist()
    assert len(run(tmp_path / "c", epochs=4).history_["loss"]) == 4
    with pytest.raises(ValueError, match="`checkpoint` must be of at most epochs=3, got one of 4"):
        run(tmp_path / "c")


@pytest.mark.parametrize(
    "other",
    [
        {"learning_rate": 0.25},
        {"batch_size": 3},
        {"random_state": 1},
        {"optimizer": "adam"},
        {"schedule": "ConstantLR:total_iters=3"},
        {"schedule": "PolynomialLR:total_iters=2"},
        {"hidden": (2,)},
        {"loss": "mse_softmax"},
    ],
)
def test_a_run_with_other_options_is_another(tmp_path, other):
    """Also one whose schedule has the same options, and another name."""
    given = {"schedule": "ConstantLR:total_iters=2"} if "schedule" in other else {}
    run(tmp_path / "c", **given)
    with pytest.raises(ValueError, match="`checkpoint` must be of the same run, got one with"):
        run(tmp_path / "c", **given | other)


def test_when_it_is_time_to_write(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for every, later, due in ((5.0, 4.9, False), (5.0, 5.0, True), (5.0, 6.0, True),
                              (None, 1e9, False)):  # fmt: skip
        now[0] = 100.0
        held = Checkpoint(tmp_path / "c", {}, [], {}, allow_other_bits=False, every=every)
        now[0] += later
        assert held.due is due


def test_a_run_that_stops_early_is_written_to_its_end(tmp_path):
    """Though it was not yet time to write: the last epoch is there, and is not run again."""
    X, y = np.arange(6.0)[:, None] / 6, [0, 0, 0, 1, 1, 1]
    given = {"validation": (X, y[::-1]), "checkpoint": tmp_path / "c", "checkpoint_every": 1e9}
    model = SoftmaxClassifier(epochs=20, patience=2, random_state=0, progress=False)
    epochs = model.fit(X, y, **given).history_["loss"]
    assert len(epochs) < 20
    _, arrays = _store.load(tmp_path / "c", format=FORMAT, version=VERSION)
    assert arrays["history.loss"].tolist() == epochs
    assert model.fit(X, y, **given).history_["loss"] == epochs


@pytest.mark.parametrize("kind", [LinearSteps, NetworkSteps])
def test_a_batch_divides_by_its_rows_and_not_by_their_weights(kind):
    """Weights are 1 in the mean over all rows, so that a batch of heavy rows is a longer step."""
    luck = np.random.default_rng(5)
    x, y = luck.normal(size=(6, 2)).astype(np.float32), np.array([0, 2, 1, 1, 0, 2])
    w = np.array([0.5, 3.0, 0.0, 0.5, 1.5, 0.5])
    layers = first_layers([2, 3], np.random.RandomState(1))
    plan = Plan("cross_entropy", 1, 2, 0.3, "sgd", "cpu")
    how = Batches(x, y, w, "cpu"), objective_of("cross_entropy"), plan, {}
    order = [torch.tensor([1, 0]), torch.tensor([2, 3]), torch.tensor([5])]
    start = layers if kind is LinearSteps else network_of(layers)
    steps = kind(start, *how)
    total, _ = steps.epoch(order, 0.3)
    weight, bias, cost = layers[0][0].astype(float), layers[0][1].astype(float), 0.0
    for batch in order:
        rows = batch.numpy()
        z = x[rows] @ weight.T + bias
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        cost -= (w[rows] * np.log(p[np.arange(len(rows)), y[rows]])).sum()
        slope = (p - np.eye(3)[y[rows]]) * w[rows, None] / len(rows)
        weight, bias = weight - 0.3 * slope.T @ x[rows], bias - 0.3 * slope.sum(0)
    ((found, offset),) = steps.layers()
    np.testing.assert_allclose(found, weight, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(offset, bias, rtol=1e-5, atol=1e-7)
    assert total == pytest.approx(cost, rel=1e-5)


# ------------------------------------------------------------------ rows, and files of them


def test_rows_of_a_block_are_numbered_from_the_first_block():
    X = np.zeros((6, 2))
    X[4, 1] = np.inf
    rows = ArrayRows(X, block_rows=3)
    rows.read(0)
    with pytest.raises(ValueError, match=r"`X` must be finite in float32, .* in row 4"):
        rows.read(1)


def test_buffers_that_are_just_full():
    """As many blocks as fit, by counting: a buffer of 4 rows holds two blocks of 2."""
    for sizes, buffer, parts in (([2, 2, 2, 2], 4, 2), ([2, 2, 2, 2], 5, 2), ([2, 2, 2, 2], 3, 4),
                                 ([3, 3], 1, 2), ([2, 2], 100, 1)):  # fmt: skip
        rows = ArrayRows(np.zeros((sum(sizes), 1)), block_rows=sizes[0], buffer_rows=buffer)
        found = list(rows.orders(seed=0, epoch=0))
        assert len(found) == parts
        assert sorted(b for held, _ in found for b in held) == list(range(len(sizes)))
        for held, order in found:
            assert sorted(order) == list(range(sum(sizes[b] for b in held)))


@pytest.mark.parametrize("dimensions", [1, 8, 9])
def test_idx_has_up_to_eight_dimensions(tmp_path, dimensions):
    path = tmp_path / "a.idx"
    head = struct.pack(f">BBBB{dimensions}I", 0, 0, 0x0B, dimensions, 2, *[1] * (dimensions - 1))
    path.write_bytes(head + struct.pack(">hh", -1, 300))
    if dimensions > 8:
        with pytest.raises(ValueError, match="cannot be read as IDX: its first bytes are not"):
            read_idx(path)
        return
    found = read_idx(path)
    assert found.shape == (2, *[1] * (dimensions - 1))
    assert found.ravel().tolist() == [-1, 300]
    for cut in (head[:-1], head, head + b"\0\0\0", head + bytes(5)):
        path.write_bytes(cut)
        with pytest.raises(ValueError, match="cannot be read as IDX: it"):
            read_idx(path)


def test_every_seed_starts_elsewhere():
    X, y = np.arange(8.0)[:, None] / 8, np.array([0, 0, 1, 0, 1, 0, 1, 1])
    like = SoftmaxClassifier(hidden=(3,), epochs=2, random_state=0, progress=False)
    found = compare_losses_fairly(
        X, y, ["cross_entropy", "mse_softmax"], validation=(X, y), classifier=like, rates=[1.0],
        seeds=3,
    )  # fmt: skip
    for result in found.results:
        assert len({*result.bits}) == len({*result.shared_bits}) == 3
    assert found.columns[1] == "bits at 0.5"
    assert str(found).splitlines()[0].split("  ")[0] == "loss"
    alone = like.set_params(random_state=2, learning_rate=1.0).fit(X, y, validation=(X, y))
    assert found.results[0].bits[2] == alone.history_["validation_bits"][-1]


@pytest.mark.parametrize("kind", ["?", "i1", "u1", ">i2", "<i4", ">i8", "u8"])
def test_masks_of_every_kind_of_whole_numbers(kind):
    given = [[[1, 0], [0, 1]]] if kind in ("?", "u1", "u8") else [[[1, 0], [-100, 1]]]
    found = read_dense("y", np.array(given, kind), (1, 2, 2, 2), -100)
    assert np.asarray(found.values).tolist() == given
    wide = np.array([[300, 0]], ">i4")
    assert np.asarray(read_dense("y", wide, (1, 301, 2), None).values).tolist() == [[300, 0]]
    with pytest.raises(ValueError, match="got 300"):
        read_dense("y", wide, (1, 300, 2), None)


@pytest.mark.parametrize("kind", [RuntimeError, AssertionError])
def test_a_device_that_is_not_there_in_either_of_torchs_words(monkeypatch, kind):
    """A torch without CUDA asserts that it has it; one with it finds no driver."""

    def empty(*_args, **_options):
        raise kind("no")

    monkeypatch.setattr(torch, "empty", empty)
    with pytest.raises(ValueError, match="`device` must be at hand, got 'cuda'"):
        read_device("cuda")


def names_of(many, rows):
    """So many names in so many rows: each once, and what is left over to the first ones again."""
    return [f"name {i % many}" for i in range(rows)]


@pytest.mark.parametrize(
    ("many", "rows", "why"),
    [
        (9, 9, ""),
        (10, 10, "a name of its own in every row"),
        (10, 11, ""),
        (20, 21, ""),
        (20, 39, ""),
        (21, 42, ""),
        (21, 41, "too many names: 21 in 41 rows"),
        (2, 2, ""),
        (1, 2, "the same in every row"),
    ],
)
@pytest.mark.parametrize("gaps", [0, 50])
def test_so_many_names_tell_something(many, rows, why, gaps):
    """Rows without a name do not count."""
    column = names_of(many, rows) + [None] * gaps
    table = {"x": np.arange(len(column)), "c": column}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder = TableEncoder().fit(table)
    assert encoder.left_out_ == ({"c": why} if why else {})
    own = 0 if why else many
    assert len(encoder.get_feature_names_out()) == 1 + own + bool(gaps)


@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_so_many_levels_have_a_feature_of_their_own(most):
    """Of names as common those that come first; one too many makes room for all others."""
    column = ["b", "a", "c", "b", "c", "a", "c"]
    encoder = TableEncoder(max_levels=most).fit({"c": column})
    kept = {1: ["c"], 2: ["a", "c"]}.get(most, ["a", "b", "c"])
    names = [f"c={level}" for level in kept] + ["c=other"] * (most < 3)
    assert encoder.get_feature_names_out().tolist() == names
    found = encoder.transform({"c": ["b", "c", "new"]})
    assert found[1].tolist() == [float(level == "c") for level in kept] + [0.0] * (most < 3)
    if most < 3:
        assert found[0].tolist() == found[2].tolist() == [0.0] * len(kept) + [1.0]
    else:  # a new name gets the average of the training rows
        np.testing.assert_allclose(found[2], [2 / 7, 2 / 7, 3 / 7])


@pytest.mark.parametrize("patience", [1, 2, 3])
@pytest.mark.parametrize(
    "costs",
    [
        [3.0, 1.0, 2.0, 1.0, 0.5], [math.nan, 2.0, 1.0, math.nan, 3.0], [math.nan] * 4,
        [2.0, math.nan, math.nan, 1.0], [math.nan, math.nan, 1.0], [1.0, 1.0, 1.0, 1.0],
    ],
)  # fmt: skip
def test_an_epoch_that_is_no_number_is_never_the_best(costs, patience):
    """The first of the lowest is, and from it on so many epochs may pass."""
    measured = iter(costs)
    held = SimpleNamespace(measure=lambda layers, objective: named_scores(next(measured), 0.5))
    record = EpochRecord(
        SimpleNamespace(history={}, best=None), held, SimpleNamespace(smoothing=None), patience,
        None, np.random.RandomState(0), lambda *said: None,
    )  # fmt: skip
    best, lowest = 1, math.inf
    for epoch, cost in enumerate(costs, 1):
        record.add([f"network {epoch}"], {}, 1.0, 1.0)
        if cost < lowest:
            best, lowest = epoch, cost
        assert record.best_epoch == best
        assert record.best == [f"network {best}"]
        assert record.stopped == (epoch - best >= patience)
