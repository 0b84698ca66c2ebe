"""Rows in blocks: each row once an epoch, the bits of memory in the same order, files by row groups."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from xent.training import (
    ArrayRows,
    MultilabelClassifier,
    ParquetRows,
    SoftmaxClassifier,
    TableEncoder,
)
from xent.training._fit.plan import Plan
from xent.training._objectives import objective_of
from xent.training._steps import Batches, LinearSteps

RNG = np.random.default_rng(0)
X = RNG.normal(size=(203, 5)).astype(np.float32)
Y = np.array(["a", "b", "c"])[(X[:, :3] + 0.3 * RNG.normal(size=(203, 3))).argmax(1)]
WEIGHT = RNG.random(203)


def quiet(kind=SoftmaxClassifier, **settings):
    return kind(
        **({"random_state": 2, "progress": False, "epochs": 3, "batch_size": 16} | settings)
    )


def whole_order(rows, seed, epoch):
    places = [
        np.concatenate([rows.starts[n] + np.arange(rows.sizes[n]) for n in numbers])[order]
        for numbers, order in rows.orders(seed, epoch)
    ]
    return np.concatenate(places)


@pytest.mark.parametrize(("block", "buffer"), [(7, 1), (7, 50), (16, 64), (203, 203), (1, 10**6)])
def test_each_row_once_an_epoch_in_an_order_that_seed_and_epoch_say(block, buffer):
    rows = ArrayRows(X, block_rows=block, buffer_rows=buffer)
    orders = [whole_order(rows, seed, epoch) for seed, epoch in ((5, 1), (5, 2), (6, 1), (5, 1))]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(203))
    np.testing.assert_array_equal(orders[0], orders[3])
    assert (orders[0] != orders[1]).mean() > 0.3
    assert (orders[0] != orders[2]).mean() > 0.3


def test_a_buffer_holds_as_many_blocks_as_fit():
    rows = ArrayRows(X, block_rows=10, buffer_rows=40)  # 20 blocks of 10, and one of 3
    for epoch in range(1, 9):
        held = [numbers for numbers, _ in rows.orders(0, epoch)]
        assert [len(numbers) for numbers in held] in ([4] * 5 + [1], [5] + [4] * 4)
        assert sorted(n for numbers in held for n in numbers) == list(range(21))


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize(("block", "buffer"), [(9, 40), (31, 5), (500, 500)])
def test_the_bits_are_those_of_memory_in_the_same_order(block, buffer, weight):
    """Batches of a row or two more than a buffer holds are filled from the next one."""
    rows = ArrayRows(X, block_rows=block, buffer_rows=buffer)
    model = quiet(epochs=2, optimizer="adam", learning_rate=0.05).fit(rows, Y, weight)
    start = quiet(epochs=1, optimizer="sgd", learning_rate=1e-38).fit(X, Y)
    plan = Plan("cross_entropy", 2, 16, 0.05, "adam", "cpu")
    scaled = None if weight is None else weight * (203 / weight.sum())
    batches = Batches(X, np.searchsorted(model.classes_, Y), scaled, "cpu")
    layers = [(start.coefs_[0], start.intercepts_[0])]
    steps = LinearSteps(layers, batches, objective_of("cross_entropy"), plan, {})
    seed = np.random.RandomState(2).randint(2**31 - 1)
    losses = []
    for epoch in (1, 2):
        order = torch.from_numpy(whole_order(rows, seed, epoch))
        losses.append(steps.epoch(list(torch.split(order, 16)), 0.05)[0] / 203)
    np.testing.assert_array_equal(model.coefs_[0], steps.layers()[0][0])
    np.testing.assert_allclose(model.history_["loss"], losses, rtol=1e-12)


def test_mapped_bytes_are_scaled_block_by_block(tmp_path):
    pixels = RNG.integers(0, 256, (203, 5), dtype=np.uint8)
    np.save(tmp_path / "x.npy", pixels)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    options = {"block_rows": 40, "buffer_rows": 90}
    from_file = quiet().fit(ArrayRows(mapped, lambda rows: rows / 255, **options), Y)
    from_memory = quiet().fit(ArrayRows(pixels / 255, **options), Y)
    np.testing.assert_array_equal(from_file.coefs_[0], from_memory.coefs_[0])


def test_parquet_by_row_groups_with_names_and_gaps(tmp_path):
    frame = pd.DataFrame(
        {"size": X[:, 0], "kind": np.array(["u", "v", None] * 68, dtype=object)[:203], "y": Y}
    )
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "d.parquet", row_group_size=30)
    encoder = TableEncoder().fit(frame[["size", "kind"]])
    rows = ParquetRows(
        tmp_path / "d.parquet", encoder.transform, columns=["size", "kind"], buffer_rows=70
    )
    assert rows.sizes == [30] * 6 + [23]
    whole = encoder.transform(frame[["size", "kind"]])
    model = quiet(hidden=(4,)).fit(rows, Y, validation=(whole, Y))
    same = quiet(hidden=(4,)).fit(
        ArrayRows(whole, block_rows=30, buffer_rows=70), Y, validation=(whole, Y)
    )
    np.testing.assert_array_equal(model.coefs_[0], same.coefs_[0])
    assert model.history_ == same.history_
    tags = np.column_stack([Y == "a", Y != "b"])
    several = quiet(MultilabelClassifier).fit(rows, tags)
    assert several.predict(whole).shape == (203, 2)
    seen = quiet(module=nn.Linear(whole.shape[1], 3), epochs=1).fit(rows, Y)
    assert np.isfinite(seen.predict_log_proba(whole)).all()


def test_it_goes_on_to_the_same_bits(tmp_path):
    rows = ArrayRows(X, block_rows=20, buffer_rows=50)
    whole = quiet(optimizer="adam", learning_rate=0.1).fit(rows, Y)
    quiet(optimizer="adam", learning_rate=0.1, epochs=1).fit(rows, Y, checkpoint=tmp_path / "c")
    parted = quiet(optimizer="adam", learning_rate=0.1).fit(rows, Y, checkpoint=tmp_path / "c")
    np.testing.assert_array_equal(parted.coefs_[0], whole.coefs_[0])
    other = ArrayRows(X, block_rows=20, buffer_rows=60)
    with pytest.raises(ValueError, match="`checkpoint` must be of the same run, got one on other"):
        quiet(optimizer="adam", learning_rate=0.1, epochs=4).fit(
            other, Y, checkpoint=tmp_path / "c"
        )


def with_a_gap():
    bad = X.copy()
    bad[100, 2] = np.nan
    return ArrayRows(bad, block_rows=30)


WORDING = [
    (lambda: quiet().fit(with_a_gap(), Y), "`X` must be finite in float32, got what is not in row 100."),
    (lambda: quiet().fit(ArrayRows(X), Y[:9]), "`y` must hold a target for each of the 203 rows of `X`, got 9."),
    (lambda: quiet(optimizer="newton", epochs=10, batch_size=64).fit(ArrayRows(X), Y), "`optimizer` must take steps where `X` is read in blocks, got 'newton'."),
    (lambda: quiet(random_state=None).fit(ArrayRows(X), Y, checkpoint="c"), "`random_state` must be given for a checkpoint where `X` is read in blocks, got None."),
    (lambda: ArrayRows(X, buffer_rows=0), "`buffer_rows` must be an integer of at least 1, got 0."),
    (lambda: ArrayRows(X, lambda rows: rows[:1]) .read(0), "`X` must give (203, 5) numbers in block 0, got (1, 5)."),
    (lambda: ParquetRows(__file__, None), f"`path` must name a Parquet file, which is read by row groups, got {__file__!r}."),
]  # fmt: skip


@pytest.mark.parametrize(("call", "sentence"), WORDING)
def test_wording(call, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == sentence
