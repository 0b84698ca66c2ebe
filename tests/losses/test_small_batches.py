"""Small batches go a short way: the same bits as the wide one, and everything else as there."""

import math

import numpy as np
import pytest
import torch

import xent.losses as L
from xent._kernels.rows.small_batch import DOUBLES, MAX_BATCH_ROWS, SINGLES, class_batch
from xent.losses._arguments import Options
from xent.losses._rows import _autograd
from xent.losses._rows._softmax import SoftmaxRows

SHAPES = [
    (1, 1), (3, 2), (64, 10), (70, 3), (128, 50), (7, 64), (5, 65), (256, 100), (9, 128),
    (40, 129), (4, 192), (5, 193), (60, 256),
]  # fmt: skip


@pytest.fixture
def short_way(monkeypatch):
    """Count the batches that went the short way."""
    taken = []
    scored = _autograd.score_batch

    def score(*args):
        found = scored(*args)
        taken.append(found is not None)
        return found

    monkeypatch.setattr(_autograd, "score_batch", score)
    return taken


def adversarial(rows, classes):
    """Rows of every spread, with ties, masks and sure classes."""
    g = torch.Generator().manual_seed(classes)
    x = torch.randn(rows, classes, generator=g)
    x *= 10.0 ** torch.randint(-3, 4, (rows, 1), generator=g)
    x[::3] = x[::3].round()
    x[1::5, : classes // 2] = -math.inf
    x[2::7, classes // 2] += 60
    return x, torch.randint(0, classes, (rows,), generator=g)


def scored(x, y, **options):
    z = x.clone().requires_grad_()
    loss = L.cross_entropy(z, y, **options)
    loss.backward()
    return torch.cat([loss.detach().reshape(1), z.grad.reshape(-1)]).view(torch.int32)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_bits_of_the_wide_way(shape, short_way):
    x, y = adversarial(*shape)
    ignoring = y.clone()
    ignoring[1::4] = -100
    for target in (y, ignoring):
        for reduction in ("mean", "sum"):
            short = scored(x, target, reduction=reduction)
            assert short_way == [True]
            short_way.clear()
            wide = scored(x, target, reduction=reduction, axis=1)
            assert not short_way  # an axis is asked for: not here
            assert torch.equal(short, wide)
    with torch.no_grad():
        assert torch.equal(L.cross_entropy(x, y), L.cross_entropy(x, y, axis=1))
    assert short_way == [True]
    # The order of a sum shows in float64 alone, where the loss is nothing but the sum.
    x = 10 * torch.randn(120, shape[1], generator=torch.Generator().manual_seed(0))
    y, values = x.argmax(1), np.empty(120)
    room = np.empty(SINGLES, np.float32), np.empty(DOUBLES), np.empty(MAX_BATCH_ROWS, np.int64)
    class_batch(x.numpy(), y.numpy(), -100, False, *room, values, x.numpy()[:0])
    assert np.array_equal(values, SoftmaxRows(y, None, None, Options()).fused(x))


@pytest.mark.parametrize(
    "row",
    [
        [math.nan, 0.0, 1.0],
        [-math.inf] * 3,
        [math.inf, 0.0, 1.0],
        [math.inf, math.inf, 1.0],
        [3e38, -3e38, 0.0],
        [0.0, 1e-45, -1e-45],
    ],
    ids=str,
)
@pytest.mark.parametrize("target", [0, 1, -100])
def test_odd_rows(row, target):
    x = torch.tensor([[0.5, 1.0, -1.0], row])
    y = torch.tensor([2, target])
    short, wide = scored(x, y), scored(x, y, axis=1)
    values = short.view(torch.float32), wide.view(torch.float32)
    torch.testing.assert_close(*values, rtol=0, atol=0, equal_nan=True)


def test_rows_that_take_float64_go_the_wide_way(short_way):
    x, y = torch.zeros(2, 3), torch.tensor([0, -100])
    x[1, 0] = math.nan  # not a sum to divide by, though the row counts for nothing
    assert torch.equal(scored(x, y), scored(x, y, axis=1))
    assert short_way == [False]


def test_derivatives(short_way):
    x, y = torch.randn(6, 5).requires_grad_(), torch.tensor([0, 1, 2, 3, 4, 0])
    loss = L.cross_entropy(x, y)
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    (again,) = torch.autograd.grad(loss, x, retain_graph=True)
    (scaled,) = torch.autograd.grad(4 * loss, x, retain_graph=True)
    assert torch.equal(first, again)
    assert torch.equal(4 * first, scaled)
    (slope,) = torch.autograd.grad(loss, x, create_graph=True)
    (second,) = torch.autograd.grad(slope.square().sum(), x)
    z = x.detach().double().requires_grad_()
    (slope,) = torch.autograd.grad(torch.nn.functional.cross_entropy(z, y), z, create_graph=True)
    (truth,) = torch.autograd.grad(slope.square().sum(), z)
    torch.testing.assert_close(second.double(), truth, rtol=1e-4, atol=1e-7)
    assert len(short_way) == 1


def test_overwritten_logits():
    x, y = torch.randn(6, 5).requires_grad_(), torch.tensor([0, 1, 2, 3, 4, 0])
    z = x * 1
    loss = L.cross_entropy(z, y)
    z.detach().mul_(2)  # unseen by autograd, and the gradient is known already
    z.data.zero_()
    loss.backward(retain_graph=True)
    assert x.grad.abs().max() > 0
    with torch.no_grad():
        z.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        ([0, 3], r"`target` must be below 3, the number of classes, got 3 at \[1\]"),
        ([-1, 0], r"`target` must be non-negative, got -1 at \[0\]"),
        ([0], r"`target` must have the shape \(2,\)"),
    ],
    ids=str,
)
def test_refused_in_the_same_words(y, sentence):
    for reduction in ("mean", "sum"):
        with pytest.raises(ValueError, match=sentence):
            L.cross_entropy(torch.zeros(2, 3), torch.tensor(y), reduction=reduction)
    with pytest.raises(ValueError, match="The mean loss is undefined"):
        L.cross_entropy(torch.zeros(2, 3), torch.tensor([-100, -100]), empty="raise")
    assert L.cross_entropy(torch.zeros(2, 3), torch.tensor([-100, -100])) == 0
