"""Where a loop begins, ends or turns to its second branch: sizes around each block, logits of ±inf.

The truth is the formula in float64, or what the limit is. Images of 140 pixels are a tile and a
part of one.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import xent.losses as L

inf, nan = math.inf, math.nan
BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
# Of accumulators, of their tree, of column blocks and of padding.
SIZES = (2049, 2048, 1025, 1024, 1023, 513, 512, 257, 256, 255, 129, 128, 127, 65, 64, 63, 33, 32, 31,
         17, 16, 15, 9, 8, 7, 3, 2, 1)  # fmt: skip


def normal(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


@BOTH
@pytest.mark.parametrize("soft", [False, True])
def test_rows_of_every_size_around_a_block(dtype, soft):
    """Wide ones first: what they leave in memory is no part of the next."""
    near = (
        {"rtol": 2e-6, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-13}
    )
    for n in SIZES:
        x = (normal(3, n, seed=n) * 3).to(dtype)
        y = torch.tensor([0, n // 2, n - 1])
        target = normal(3, n, seed=n + 1).softmax(1).to(dtype) if soft else y
        leaf, wide = x.clone().requires_grad_(), x.double().clone().requires_grad_()
        loss, stats = L.cross_entropy(
            leaf, target, label_smoothing=0.1, reduction="none", stats=True
        )
        given = target.double() if soft else target
        want = F.cross_entropy(wide, given, label_smoothing=0.1, reduction="none")
        log_p = wide.log_softmax(1)
        torch.testing.assert_close(loss.double(), want, **near)
        torch.testing.assert_close(stats.lse.double(), wide.logsumexp(1), **near)
        torch.testing.assert_close(stats.entropy.double(), -(log_p.exp() * log_p).sum(1), **near)
        assert stats.argmax.tolist() == np.argmax(x.numpy(), 1).tolist()
        loss.sum().backward()
        want.sum().backward()
        torch.testing.assert_close(leaf.grad.double(), wide.grad, **near)


@BOTH
def test_the_first_of_equal_logits_in_any_block(dtype):
    x = torch.zeros(4, 3000, dtype=dtype)
    x[:, [5, 700, 1500, 2047, 2900]] = 2.0
    x[1, 5] = x[2, [5, 700]] = x[3, [5, 700, 1500, 2047]] = 1.0
    _, stats = L.cross_entropy(x, torch.zeros(4, dtype=torch.int64), stats=True)
    assert stats.argmax.tolist() == [5, 700, 1500, 2900]


@BOTH
def test_a_row_of_plus_infinity_is_certain(dtype):
    x = torch.tensor([[1.0, inf, 2.0]] * 2, dtype=dtype)
    y = torch.tensor([1, 0])
    loss, stats = L.cross_entropy(x, y, reduction="none", stats=True)
    assert loss.tolist() == [0, inf]
    assert stats.entropy.tolist() == [0, 0]
    assert stats.log_prob.tolist() == [0, -inf]
    given = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0]], dtype=dtype)
    assert L.cross_entropy(x, given, reduction="none").tolist() == [0, inf]
    assert L.cross_entropy(x, y, reduction="none", label_smoothing=0.1).tolist() == [inf, inf]
    pixels = x.t().reshape(1, 3, 1, 2).repeat(1, 1, 70, 1)
    found = L.cross_entropy(pixels, y.expand(1, 70, 2), reduction="none", axis=1)
    assert found.unique(dim=1).tolist() == [[[0, inf]]]


@BOTH
def test_a_row_of_minus_infinity_alone_is_no_distribution(dtype):
    x = torch.tensor([[-inf] * 3, [-inf, 0.0, -inf]], dtype=dtype)
    y = torch.tensor([1, 1])
    found = L.cross_entropy(x, y, reduction="none")
    assert found[0].isnan()
    assert found[1] == 0
    assert L.cross_entropy(x[:1, :1], y[:1] - 1).isnan()  # of one class as well
    pixels = x.t().reshape(1, 3, 1, 2).repeat(1, 1, 70, 1)
    found = L.cross_entropy(pixels, y.expand(1, 70, 2), reduction="none", axis=1)
    assert found[..., 0].isnan().all()
    assert not found[..., 1].any()
    one, nothing = pixels[:, :1, :, :1].repeat(1, 1, 2, 1), torch.zeros(1, 140, 1, dtype=y.dtype)
    assert L.cross_entropy(one, nothing, reduction="none", axis=1).isnan().all()


@BOTH
def test_a_class_of_weight_0_silences_its_rows(dtype):
    x = normal(140, 3).to(dtype)
    y = torch.arange(140) % 3
    x[y == 0] = nan
    weight = torch.tensor([0.0, 1.0, 2.0], dtype=dtype)
    kept, wide = y != 0, x.double()
    for z_loss in (0.0, 0.1):
        leaf = x.clone().requires_grad_()
        loss = L.cross_entropy(leaf, y, weight, reduction="sum", z_loss=z_loss)
        loss.backward()
        want = F.cross_entropy(wide[kept], y[kept], weight.double(), reduction="sum")
        of_each = weight.double()[y[kept]]
        want += z_loss * (of_each * wide[kept].logsumexp(1).square()).sum()
        torch.testing.assert_close(loss.double(), want, rtol=1e-6, atol=0)
        assert not leaf.grad[~kept].any()
        image, at = x.t().reshape(1, 3, 14, 10).contiguous().requires_grad_(), y.reshape(1, 14, 10)
        again = L.cross_entropy(image, at, weight, reduction="sum", z_loss=z_loss, axis=1)
        again.backward()
        torch.testing.assert_close(again, loss, rtol=1e-6, atol=0)
        torch.testing.assert_close(image.grad.reshape(3, 140).t(), leaf.grad, rtol=1e-6, atol=1e-7)


def test_a_silent_pixel_beside_one_that_float32_cannot_split():
    image, token = torch.zeros(1, 3, 1, 140), torch.ones(1, 1, 140)
    image[..., 3], token[..., 3], token[..., 4] = nan, 0.0, 1e-37
    leaf = image.requires_grad_()
    L.cross_entropy(
        leaf, torch.zeros(1, 1, 140, dtype=torch.int64), axis=1, reduction="sum", token_weight=token
    ).backward()
    assert not leaf.grad[..., 3].any()
    torch.testing.assert_close(leaf.grad[0, 1, 0, 4].item(), 1e-37 / 3, rtol=1e-5, atol=0)


@BOTH
@pytest.mark.parametrize("place", [0, 255, 256, 511, 700, 1000, 1023, 1500, 2047])
def test_a_negative_probability_in_any_part_of_a_block(place, dtype):
    x = torch.zeros(2, 2048, dtype=dtype)
    x[:, 1600] = 1.0  # the largest logit: its block is gone through in another way
    given = torch.zeros(2, 2048, dtype=dtype)
    given[:, 3] = 1.0
    given[1, 1], given[1, place] = 0.25, -0.25
    with pytest.raises(ValueError, match=rf"non-negative, got -0.25 at \[1, {place}\]"):
        L.cross_entropy(x, given)


BINARY = {
    "each": {"weight": 1e-25 * (1 + torch.arange(1000.0, dtype=torch.float64))},
    "each, of its own class": {
        "pos_weight": 1e25 / (1 + torch.arange(1000.0, dtype=torch.float64))
    },
    "late": {"weight": torch.ones(1000, dtype=torch.float64).index_fill(0, torch.tensor([700]), 1e30)},
    "tiny and huge": {
        "weight": torch.ones(1000, dtype=torch.float64).index_fill(0, torch.tensor([999]), 1e30),
        "pos_weight": torch.ones(1000, dtype=torch.float64).index_fill(0, torch.tensor([300]), 1e-30),
    },
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("kind", BINARY)
@pytest.mark.parametrize("rows", [1, 3])
def test_weights_beyond_float32_past_the_first_piece(kind, rows, dtype):
    weights = {name: w.to(dtype) for name, w in BINARY[kind].items()}
    x, t = (
        (normal(rows, 1000, seed=4) * 3).to(dtype),
        normal(rows, 1000, seed=5).sigmoid().to(dtype),
    )
    t[:, ::3] = t[:, ::3].round()
    leaf, wide = x.clone().requires_grad_(), x.double().clone().requires_grad_()
    found = L.binary_cross_entropy_with_logits(leaf, t, **weights, reduction="none")
    want = F.binary_cross_entropy_with_logits(
        wide, t.double(), **{name: w.double() for name, w in weights.items()}, reduction="none"
    )
    torch.testing.assert_close(found.double(), want, rtol=1e-6, atol=0)
    found.sum().backward()
    want.sum().backward()
    # Of two terms alike the difference has fewer digits than either.
    size = want.detach().abs().max(0).values
    assert ((leaf.grad.double() - wide.grad).abs() <= 1e-6 * (size + wide.grad.abs())).all()


@BOTH
def test_sums_of_infinite_answers_and_numbers_that_are_none(dtype):
    f = L.binary_cross_entropy_with_logits
    x, t = torch.zeros(600, dtype=dtype), torch.zeros(600, dtype=dtype)
    x[[1, 300]] = inf
    own = torch.full((600,), 1.5, dtype=dtype)
    for weight in (None, own):
        assert f(x, t, weight, reduction="sum") == inf
        assert f(x, 1 - t, weight, reduction="sum").isfinite()
    x[300], t[300] = nan, 1.0
    never = torch.zeros(600, dtype=dtype)
    x[1] = 0.0
    assert f(x, t, reduction="sum").isnan()
    assert f(x, t, own, reduction="none").isnan().nonzero().flatten().tolist() == [300]
    # That no weighs nothing of a yes, and yes nothing at all, is no weight of the answer.
    assert f(x, t, pos_weight=never, reduction="none").isnan().nonzero().flatten().tolist() == [300]
    with pytest.raises(ValueError, match="`weight` must"):
        f(x, t, own.index_fill(0, torch.tensor([400]), inf))
    huge = torch.full((600,), 3e38, dtype=dtype)
    assert f(huge, never, reduction="mean").item() == pytest.approx(3e38, rel=1e-6)


def loss_of_halves(kind, x, reduction):
    """A loss of logits in half precision, whose gradient is rounded to them."""
    rows, classes = x.shape[:2]
    y, p = torch.zeros(rows, *x.shape[2:]).long(), torch.full(x.shape, 1 / classes)
    calls = {
        "classes": lambda: L.cross_entropy(x, y, reduction=reduction),
        "smoothed": lambda: L.cross_entropy(x, y, label_smoothing=0.1, reduction=reduction),
        "shares": lambda: L.cross_entropy(x, p, reduction=reduction),
        "answers": lambda: L.binary_cross_entropy_with_logits(x, p, reduction=reduction),
        "weighed": lambda: L.binary_cross_entropy_with_logits(x, p, 2 * p, reduction=reduction),
        "focal": lambda: L.focal_loss(x, y, reduction=reduction),
    }
    return calls[kind]()


@pytest.mark.parametrize("bits", [0x7FFFFFFF, -1, 0x7FC00001, 0x7F800001])
@pytest.mark.parametrize("kind", ["classes", "smoothed", "shares", "answers", "weighed", "focal"])
def test_a_nan_of_any_bits_stays_one_where_it_is_rounded_to_bfloat16(kind, bits):
    """Rounded as a number, one whose bits are all set would be -0, and one with a low bit infinite."""
    odd = torch.from_numpy(np.array([bits], np.int32)).view(torch.float32)
    for shape in ((2, 4), (3, 64), (5, 1024), (2, 4, 16, 16)):
        for reduction in ("none", "mean"):
            x = normal(*shape).bfloat16().requires_grad_()
            loss = loss_of_halves(kind, x, reduction)
            # Of the first row alone where each has a gradient of its own.
            upstream = torch.ones_like(loss)
            upstream.view(-1)[: max(1, loss.numel() // len(x))] = odd
            loss.backward(upstream)
            assert x.grad[0].isnan().all(), (shape, reduction)
            assert x.grad[1:].isnan().all() if reduction == "mean" else x.grad[1:].isfinite().all()
