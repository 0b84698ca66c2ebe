"""The compiled loops of the losses: vectors and plain loops, column blocks and pieces give the same bits."""

import math

import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import xent.losses as L
from xent._compile.decorator import outer
from xent._kernels.images.class_major import score_tiles
from xent._kernels.rows.softmax import class_rows
from xent._math.exp import EXP_SCALE
from xent._math.log import fast_log_ratio
from xent._math.vector import (
    bits32,
    count_true,
    fma,
    from_bits32,
    load,
    load_float64,
    promote_lower,
    promote_upper,
    reduce_or,
    rint,
    select,
    splat,
    store,
)
from xent.losses._rows import _calls

FIVE = np.int32(5)


@outer()
def _arithmetic(x, y, out):
    a, b = load(x, 0), load(y, 0)
    store(out, 0, a + b)
    store(out, 16, a - b * np.float32(2.0))
    store(out, 32, -a / b)
    store(out, 48, fma(a, b, np.float32(0.5)))
    store(out, 64, select(a > b, a, np.float32(7.0)))
    store(out, 80, select((a <= b) & (a >= np.float32(0.0)), abs(a), splat(-1, a)))
    store(out, 96, rint(a))
    store(out, 112, from_bits32(((bits32(a) << FIVE) >> FIVE) ^ bits32(b)))
    store(out, 128, promote_lower(a))
    store(out, 136, promote_upper(a))
    store(out, 144, load_float64(x, 3))
    return count_true(a < b), reduce_or(bits32(a) | bits32(b))


def test_vectors_do_what_numpy_does():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 16)).astype(np.float32)
    x[3], y[5], x[5], x[7] = -np.inf, np.nan, np.nan, -0.0
    out = np.empty(152, np.float32)
    fewer, bits = _arithmetic(x, y, out)
    i, j = x.view(np.int32), y.view(np.int32)
    with np.errstate(invalid="ignore"):
        want = [
            x + y,
            x - y * np.float32(2),
            -x / y,
            (x.astype(float) * y + 0.5).astype(np.float32),
            np.where(x > y, x, np.float32(7)),
            np.where((x <= y) & (x >= 0), abs(x), np.float32(-1)),
            np.rint(x),
            (((i << 5) >> 5) ^ j).view(np.float32),
            x,
            x[3:11],
        ]
    np.testing.assert_array_equal(out, np.concatenate(want))
    assert fewer == (x < y).sum()
    assert bits == np.bitwise_or.reduce(i | j)


@outer()
def _halves(x, out):
    store(out, 0, load(x, 0))
    store(out, 16, load(x, 16) * np.float32(1.0))


def test_vectors_read_and_round_bfloat16_as_torch_does():
    x = torch.cat([torch.randn(27), torch.tensor([math.inf, -math.inf, math.nan, 3.4e38, 1e-40])])
    half = x.bfloat16().view(torch.uint16).numpy()
    single, back = np.empty(32, np.float32), np.empty(32, np.uint16)
    _halves(half, single)
    np.testing.assert_array_equal(single, x.bfloat16().float().numpy())
    _halves(x.numpy(), back)
    np.testing.assert_array_equal(
        torch.from_numpy(back).view(torch.bfloat16).float().numpy(), x.bfloat16().float().numpy()
    )


@outer()
def _log_shares(lift, others, out):
    for i in range(out.shape[0]):
        out[i] = fast_log_ratio(lift[i] + others[i], others[i], lift[i])


def test_log_share_keeps_33_bits_of_confident_rows_too():
    rng = np.random.default_rng(1)
    lift = EXP_SCALE * 2.0 ** rng.uniform(-0.5, 0.5, 4000)
    others = lift * 2.0 ** rng.uniform(-180, 40, 4000)
    others[:1000] = lift[:1000] * 2.0 ** rng.uniform(-2, 3, 1000)  # where the exponent changes
    out = np.empty(4000)
    _log_shares(lift, others, out)
    for a, o, got in zip(lift, others, out, strict=True):
        true = mpmath.log1p(mpmath.mpf(float(o)) / mpmath.mpf(float(a)))
        assert abs(got - true) <= 2.0**-33 * true
    _log_shares(lift, np.full(4000, np.nan), out)
    assert np.isnan(out).all()


IMAGES = {
    "huge logits": (19, 20, 30, {"scale": 1e5}),
    "a weight that float32 cannot split": (19, 20, 30, {"token": 1e-37}),
    "no vector is full": (3, 11, 13, {}),
    "eight classes": (8, 16, 16, {}),
    "many classes": (50, 16, 24, {}),
    "past the caches": (19, 16, 32, {"nontemporal": True}),
    "past the caches, lines broken": (19, 15, 31, {"nontemporal": True}),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", IMAGES)
def test_images_of_every_kind_give_the_bits_of_rows(case, dtype, monkeypatch):
    classes, high, wide, how = IMAGES[case]
    g = torch.Generator().manual_seed(7)
    x = (torch.randn(2, classes, high, wide, generator=g) * 4 * how.get("scale", 1)).to(dtype)
    y = torch.randint(0, classes, (2, high, wide), generator=g)
    y[0, 2:4] = -100
    token = torch.full(y.shape, how["token"]) if "token" in how else None

    def run(x, axis):
        x = x.detach().requires_grad_()
        loss = L.cross_entropy(x, y, axis=axis, token_weight=token, reduction="sum")
        loss.backward()
        return loss.detach(), x.grad

    rows, slopes = run(x.movedim(1, -1).contiguous(), -1)
    if how.get("nontemporal"):
        monkeypatch.setattr(_calls, "_CACHE", 0)
    images, grad = run(x, 1)
    assert torch.equal(grad, slopes.movedim(-1, 1))
    torch.testing.assert_close(images, rows, rtol=1e-6, atol=0)  # summed in other blocks


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("classes", [1024, 4096, 5003])
@pytest.mark.parametrize("kind", ["classes", "distributions", "a strided distribution"])
def test_column_blocks_of_a_row_give_the_bits_of_its_pieces(kind, classes, dtype, monkeypatch):
    # A vector at a time where a column block is whole and holds no largest logit, else piece by piece.
    g = torch.Generator().manual_seed(8)
    x = (torch.randn(9, classes, generator=g) * 3).to(dtype)
    x[torch.arange(9), torch.randint(0, classes, (9,), generator=g)] += 9
    x[3, 7], x[5, classes // 2] = -math.inf, math.nan
    y = torch.randint(0, classes, (9,), generator=g)
    if kind != "classes":
        y = torch.rand(9, classes, generator=g).softmax(1)
    if "strided" in kind:
        y = torch.stack([y, y], -1)[..., 0]

    def run():
        leaf = x.detach().requires_grad_()
        values = L.cross_entropy(leaf, y, reduction="none")
        L.cross_entropy(leaf, y, reduction="sum").backward()
        return values.detach(), leaf.grad

    def same(a, b):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)

    values, grad = run()
    monkeypatch.setattr(_calls, "_CACHE", 0)
    again, past = run()
    same(values, again)
    same(grad, past)
    truth = F.cross_entropy(x.double(), y.double() if kind != "classes" else y, reduction="none")
    torch.testing.assert_close(values.double(), truth, rtol=1e-6, atol=0, equal_nan=True)
    for r in range(9):  # alone, and from the end of its memory
        alone = torch.cat([x[:1], x[r : r + 1]])[1:]
        label = y[r : r + 1]
        same(L.cross_entropy(alone, label, reduction="none"), values[r : r + 1])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_both_zeros_are_one_maximum(dtype):
    """The first of two largest logits is the predicted one, as in torch, also of -0 and 0."""
    x = torch.full((3, 1500), -1.0, dtype=dtype)
    x[0, 3], x[0, 700] = -0.0, 0.0
    x[1, 1200], x[1, 1300] = 0.0, -0.0
    x[2, 2], x[2, 3] = -0.0, -0.0
    y = torch.zeros(3, dtype=torch.int64)
    assert torch.equal(L.cross_entropy(x, y, stats=True)[1].argmax, x.argmax(1))
    rows = x[:, :19].clone()
    rows[1, 5], rows[1, 4] = 0.0, -0.0
    image = rows.t().reshape(1, 19, 3, 1).repeat(1, 1, 1, 200).requires_grad_()
    leaf = rows.clone().requires_grad_()
    L.cross_entropy(image, torch.zeros(1, 3, 200, dtype=torch.int64), reduction="sum").backward()
    L.cross_entropy(leaf, y, reduction="sum").backward()
    assert torch.equal(image.grad[0, :, :, 0], leaf.grad.t())


@pytest.mark.parametrize(("kernel", "places"), [(class_rows, ()), (score_tiles, (32, 32))])
def test_an_expanded_gradient_has_no_machine_code_of_its_own(kernel, places):
    # `.sum()` of losses that were not reduced hands one number back for all of them, stride 0.
    z = torch.randn(2, 5, *places, dtype=torch.float64, requires_grad=True)
    target = torch.randint(5, (2, *places))
    L.cross_entropy(z, target, reduction="none").sum().backward()
    (want,) = torch.autograd.grad(F.cross_entropy(z, target, reduction="sum"), z)
    np.testing.assert_allclose(z.grad, want, rtol=1e-13, atol=1e-16)
    arrays = [each for found in kernel.overloads for each in found if hasattr(each, "layout")]
    assert {each.layout for each in arrays} == {"C"}
