"""What is refused, in which words; and what torch answers with NaN though the truth is finite."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn.functional import binary_cross_entropy_with_logits as yes_or_no

import xent.losses as L

X, Y = torch.zeros(2, 3), torch.tensor([0, 2])
SOFT = torch.full((2, 3), 1 / 3)
W, H = torch.zeros(3, 4), torch.zeros(2, 4)
TWICE = torch.tensor([[1, 1], [0, 1]])
inf, nan = math.inf, math.nan

WORDING = [
    (lambda: L.cross_entropy(X, torch.tensor([0, 3])),
     "`target` must be below 3, the number of classes, got 3 at [1]. "
     "To skip a class id use ignore_index."),
    (lambda: L.cross_entropy(X, torch.tensor([0, -1])),
     "`target` must be non-negative, got -1 at [1]. To skip a class id use ignore_index."),
    (lambda: L.cross_entropy(X.view(1, 3, 2), torch.tensor([[0, 5]])),
     "`target` must be below 3, the number of classes, got 5 at [0, 1]. "
     "To skip a class id use ignore_index."),
    (lambda: L.cross_entropy(Y, X),
     "`input` must be a floating-point tensor, got torch.int64. Are `input` and `target` swapped?"),
    (lambda: L.cross_entropy(X, Y, label_smoothing=-5.0),
     "`label_smoothing` must be between 0 and 1, got -5.0."),
    (lambda: L.cross_entropy(X, Y, label_smoothing=nan),
     "`label_smoothing` must be between 0 and 1, got nan."),
    (lambda: L.cross_entropy(X, SOFT * 2),
     "`target` must sum to 1 over the classes, got 2 at [0]."),
    (lambda: L.cross_entropy(X, torch.tensor([[0.5, 0.5, 0.0], [0.5, 1.0, -0.5]])),
     "`target` must be non-negative, got -0.5 at [1, 2] (class last)."),
    (lambda: L.cross_entropy(X, torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, nan]])),
     "`target` must sum to 1 over the classes, got nan at [1]."),
    (lambda: L.cross_entropy(X, Y, torch.tensor([1.0, -1.0, 1.0])),
     "`weight` must be finite and non-negative, got -1 at [1]."),
    (lambda: L.cross_entropy(X, Y, torch.ones(2)),
     "`weight` must have one entry a class, (3,), got (2,)."),
    (lambda: L.cross_entropy(X, Y, token_weight=torch.ones(3)),
     "`token_weight` must have one entry a row, (2,), got (3,)."),
    (lambda: L.cross_entropy(X, torch.tensor([[0], [2]])),
     "`target` must have the shape (2,): that of `input` without its class dimension, got (2, 1). "
     "Give target.squeeze(1)."),
    (lambda: L.cross_entropy(X, torch.ones(2, 3, dtype=torch.int64)),
     "`target` must have the shape (2,): that of `input` without its class dimension, got (2, 3). "
     "One-hot targets are probabilities: pass them as floats."),
    (lambda: L.cross_entropy(X, torch.tensor([0.0, 2.0])),
     "`target` must have the shape of `input`, (2, 3), to be probabilities, got (2,). "
     "Class indices are integers."),
    (lambda: L.cross_entropy(X, torch.tensor([True, False])),
     "`target` must hold class indices or probabilities, got torch.bool."),
    (lambda: L.cross_entropy(X, [0, 2]), "`target` must be a tensor, got a list."),
    (lambda: L.cross_entropy(X, SOFT, ignore_index=1),
     "`ignore_index` must be negative, got 1. "
     "To skip rows of probabilities give them a token_weight of 0."),
    (lambda: L.cross_entropy(X, Y, reduction="avg"),
     "`reduction` must be 'mean', 'sum' or 'none', got 'avg'."),
    (lambda: L.cross_entropy(X, Y, size_average=True),
     "`size_average` must be None, got True. "
     "torch deprecated it; use reduction='mean', 'sum' or 'none'."),
    (lambda: L.cross_entropy(X, Y, temperature=0),
     "`temperature` must be positive and finite, got 0."),
    (lambda: L.cross_entropy(X, Y, z_loss=-1),
     "`z_loss` must be non-negative and finite, got -1."),
    (lambda: L.cross_entropy(X, Y, axis=2),
     "`axis` must be a dimension of `input`, of shape (2, 3), got 2."),
    (lambda: L.cross_entropy(X, Y, axis="a"),
     "`axis` must be an integer or None, got 'a'."),
    (lambda: L.multilabel_soft_margin_loss(X, X, axis=True),
     "`axis` must be an integer or None, got True."),
    (lambda: L.cross_entropy(torch.zeros(()), Y),
     "`input` must have a class dimension, got a single number."),
    (lambda: L.cross_entropy(torch.zeros(2, 0), Y),
     "`input` must have at least one class, got (2, 0)."),
    (lambda: L.cross_entropy(X[:0], Y[:0], empty="raise"),
     "The mean loss is undefined: no row counts (the batch is empty, or every row is ignored or "
     "weighs 0). Use empty='zero' or 'nan'."),
    (lambda: L.binary_cross_entropy_with_logits(X, X + 5),
     "`target` must be between 0 and 1, got 5 at [0, 0]."),
    (lambda: L.binary_cross_entropy_with_logits(X, torch.zeros(2)),
     "`target` must have the shape of `input`, (2, 3), got (2,)."),
    (lambda: L.binary_cross_entropy_with_logits(X[:, :1], torch.zeros(2)),
     "`target` must have the shape of `input`, (2, 1), got (2,). Give input.squeeze(-1)."),
    (lambda: L.binary_cross_entropy_with_logits(X[:, 0], torch.zeros(2, 1)),
     "`target` must have the shape of `input`, (2,), got (2, 1). Give target.squeeze(-1)."),
    (lambda: L.binary_cross_entropy_with_logits(X, X, pos_weight=torch.tensor(-1.0)),
     "`pos_weight` must be finite and non-negative, got -1."),
    (lambda: L.binary_cross_entropy_with_logits(X, X, torch.ones(2, 2)),
     "`weight` must have a shape that broadcasts to that of `input`, (2, 3), got (2, 2)."),
    (lambda: L.binary_cross_entropy(X + 1.5, X),
     "`input` must be between 0 and 1 (for logits use binary_cross_entropy_with_logits), "
     "got 1.5 at [0, 0]."),
    (lambda: L.kl_div(X, X - 1),
     "`target` must be non-negative (are these logarithms? pass log_target=True), "
     "got -1 at [0, 0]."),
    (lambda: L.js_div(X, X, beta=2), "`beta` must be between 0 and 1, got 2."),
    (lambda: L.js_div(X, X, beta="half"), "`beta` must be a number, got 'half'."),
    (lambda: L.focal_loss(X, Y, gamma=None), "`gamma` must be a number, got a NoneType."),
    (lambda: L.focal_loss(X, Y, alpha=torch.ones(3, device="meta")),
     "`alpha` must be on the device of `input`, cpu, got meta."),
    (lambda: L.cross_entropy(X, Y, axis=torch.zeros(())),
     "`axis` must be an integer or None, got a Tensor."),
    (lambda: L.cross_entropy(X, Y, token_weight=torch.ones(2, dtype=torch.uint16)),
     "`token_weight` must be of a type torch compares, got torch.uint16. "
     "Convert it with .float() first."),
    (lambda: L.mse_loss(X, X + 1j), "`target` must hold real numbers, got torch.complex64."),
    (lambda: L.mse_loss(X, X, token_weight=X.to("meta")),
     "`token_weight` must be on the device of `input`, cpu, got meta."),
    (lambda: L.info_nce(X, X.to("meta"), temperature=1.0),
     "`b` must be on the device of `a`, cpu, got meta."),
    (lambda: L.info_nce(X, X.double(), temperature=1.0),
     "`b` must have the dtype of `a`, torch.float32, got torch.float64."),
    (lambda: L.info_nce([0.0], X, temperature=1.0), "`a` must be a tensor, got a list."),
    (lambda: L.siglip(X, X, scale=torch.ones(2), bias=0.0),
     "`scale` must be a number or a tensor of one, got (2,)."),
    (lambda: L.siglip(X, X, scale=1.0, bias="no"), "`bias` must be a number, got 'no'."),
    (lambda: L.focal_loss(X, Y, gamma=-1), "`gamma` must be non-negative and finite, got -1."),
    (lambda: L.info_nce(X, X[:1], temperature=1.0),
     "`b` must have the shape of `a`, (2, 3), got (1, 3)."),
    (lambda: L.linear_cross_entropy(H, W, Y, options=1),
     "`options` must be None, got 1. Chunks are always on and choose themselves."),
    (lambda: L.linear_cross_entropy(H, W, torch.tensor([0, 3])),
     "`target` must be below 3, the number of classes, got 3 at [1]. "
     "To skip a class id use ignore_index."),
    (lambda: L.linear_cross_entropy(H, W.t(), Y),
     "`linear_weight` must have the shape (V, 4), got (4, 3)."),
    (lambda: L.linear_cross_entropy(H, W.double(), Y),
     "`linear_weight` must have the dtype of `input`, torch.float32, got torch.float64."),
    (lambda: L.linear_binary_cross_entropy(H, W, torch.tensor([[0, 3]])),
     "`target` must hold rows below 2 and classes below 3, got 3 at [0, 1]."),
    (lambda: L.linear_kl_div(H, W, teacher=(TWICE, torch.full((2, 2), -1))),
     "`teacher` must be (indices, log_probs), got (torch.int64, torch.int64)."),
    (lambda: L.linear_kl_div(H, W, teacher=(TWICE, torch.full((2, 2), -1.0))),
     "`teacher` must list a class once a row, got one twice at [0]."),
]  # fmt: skip


@pytest.mark.parametrize(("call", "sentence"), WORDING, ids=[s[:60] for _, s in WORDING])
def test_wording(call, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value) == sentence


def one(row, target, dtype=torch.float32, **options):
    x = torch.tensor([row], dtype=dtype, requires_grad=True)
    loss = L.cross_entropy(x, target, **options)
    loss.backward()
    return loss.item(), x.grad[0].tolist()


def test_limits_of_class_logits():
    y = torch.tensor([0])
    assert one([inf, 0.0], y) == (0.0, [0.0, 0.0])
    assert one([0.0, inf], y)[0] == inf
    assert one([-inf, 0.0], y) == (inf, [-1.0, 1.0])
    loss, grad = one([0.0, 0.0, -inf], torch.tensor([[1.0, 0.0, 0.0]]))
    assert loss == pytest.approx(math.log(2))
    assert grad == [-0.5, 0.5, 0.0]
    assert one([0.0, 0.0, -inf], y, label_smoothing=0.1)[0] == inf
    for row in ([-inf, -inf], [nan, 0.0], [0.0, nan], [inf, inf], [-inf], [nan]):
        loss, grad = one(row, y)
        assert math.isnan(loss), row
        assert all(math.isnan(g) for g in grad), row
    loss, grad = one([nan, 0.0], torch.tensor([-100]))
    assert (loss, grad) == (0.0, [0.0, 0.0])


def test_confident_rows_keep_their_digits():
    for gap in (6.0, 17.0, 20.0, 40.0, 80.0):
        loss, grad = one([gap, 0.0], torch.tensor([0]))
        want = np.float32(math.log1p(math.exp(-gap)))
        assert loss == want
        assert grad[1] == pytest.approx(1 / (1 + math.exp(gap)), rel=1e-6)
        assert grad[0] == pytest.approx(-grad[1], rel=1e-6)
    loss, grad = one([6.0, 0.0], torch.tensor([0]), torch.bfloat16)
    assert loss == pytest.approx(math.log1p(math.exp(-6)), rel=1e-6)
    assert grad[1] == pytest.approx(math.exp(-6), rel=0.01)


def test_limits_of_yes_and_no():
    x = torch.tensor([-20.0, 20.0, inf, -inf, inf, nan], requires_grad=True)
    t = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    got = L.binary_cross_entropy_with_logits(x, t, reduction="none")
    got.sum().backward()
    tiny = math.log1p(math.exp(-20))
    assert got[:5].tolist() == pytest.approx([tiny, tiny, 0.0, 0.0, inf], rel=1e-6)
    assert got[5].isnan()
    slope = 1 / (1 + math.exp(20))
    assert x.grad[:5].tolist() == pytest.approx([slope, -slope, 0.0, 0.0, 1.0], rel=1e-6)
    p = torch.tensor([0.0, 1.0, 0.0], requires_grad=True)
    certain = L.binary_cross_entropy(p, torch.tensor([0.0, 1.0, 1.0]), reduction="none")
    assert certain.tolist() == [0.0, 0.0, inf]
    L.binary_cross_entropy(p[:2], torch.tensor([0.0, 1.0]), reduction="sum").backward()
    assert p.grad.tolist() == [1.0, -1.0, 0.0]


def test_limits_of_divergences():
    log_q = torch.tensor([-inf, 0.0], requires_grad=True)
    p = torch.tensor([0.0, 1.0], requires_grad=True)
    loss = L.kl_div(log_q, p, reduction="sum")
    loss.backward()
    assert loss == 0
    assert log_q.grad.tolist() == [0.0, -1.0]
    assert p.grad.tolist() == [0.0, 1.0]
    log_p = torch.tensor([-inf, 0.0], requires_grad=True)
    loss = L.kl_div(torch.tensor([-inf, 0.0]), log_p, reduction="sum", log_target=True)
    loss.backward()
    assert loss == 0
    assert not log_p.grad.isnan().any()
    masked = torch.tensor([[0.0, -inf, 1.0]], requires_grad=True)
    for beta in (0.0, 0.4, 1.0):
        masked.grad = None
        loss = L.js_div(masked, torch.tensor([[0.0, -inf, 2.0]]), beta=beta)
        loss.backward()
        assert math.isfinite(loss.item())
        assert masked.grad.isfinite().all()


def test_nothing_to_average():
    x = torch.zeros(2, 3, requires_grad=True)
    y = torch.tensor([-100, -100])
    loss = L.cross_entropy(x, y)
    loss.backward()
    assert loss == 0
    assert not x.grad.any()
    assert L.cross_entropy(x, y, empty="nan").isnan()
    assert L.cross_entropy(x, Y, torch.zeros(3)) == 0
    assert L.nll_loss(x, y) == 0
    assert L.nll_loss(torch.tensor([[-inf, 0.0]]), torch.tensor([0]), torch.tensor([0.0, 1.0])) == 0
    assert L.cross_entropy(x[:0], y[:0]) == 0
    assert L.binary_cross_entropy_with_logits(x[:0], x[:0]) == 0
    assert L.mse_loss(x[:0], x[:0]) == 0
    yes = torch.tensor([[1.0, -1.0, 0.0], [-1.0, -1.0, -1.0]])
    some = L.binary_cross_entropy_with_logits(x, yes, ignore_index=-1)
    assert some.item() == pytest.approx(math.log(2))


def test_sums_of_half_precision_do_not_overflow():
    x = torch.zeros(100_000, 4, dtype=torch.float16)
    y = torch.zeros(100_000, dtype=torch.int64)
    total = L.cross_entropy(x, y, reduction="sum").item()
    assert total == pytest.approx(1e5 * math.log(4), rel=1e-6)
    mean = L.cross_entropy(x.bfloat16(), y).item()
    assert mean == pytest.approx(math.log(4), rel=1e-7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_targets_of_half_precision(dtype):
    g = torch.Generator().manual_seed(8)
    x, head = torch.randn(5, 7, generator=g), torch.randn(9, 7, generator=g)
    soft, wide = (torch.randn(5, n, generator=g).softmax(1).to(dtype) for n in (7, 9))
    for got, want in (
        (L.cross_entropy(x, soft), F.cross_entropy(x, soft.float())),
        (L.linear_cross_entropy(x, head, wide), F.cross_entropy(x @ head.T, wide.float())),
        (L.binary_cross_entropy_with_logits(x, soft), yes_or_no(x, soft.float())),
        (L.linear_binary_cross_entropy(x, head, wide), yes_or_no(x @ head.T, wide.float())),
    ):
        torch.testing.assert_close(got, want)
