"""Every combination of options against torch in float64, values and gradients."""

import itertools

import pytest
import torch
import torch.nn.functional as F

import xent.losses as L
from pairs import covering

SHAPES = [(5,), (1, 1), (4, 3), (6, 300), (2, 5, 3), (2, 3, 2, 2), (0, 4)]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
LOSS = {torch.float64: 1e-13, torch.float32: 2e-7, torch.bfloat16: 2e-7, torch.float16: 2e-7}
GRAD = {torch.float64: 1e-13, torch.float32: 3e-7, torch.bfloat16: 1.2e-2, torch.float16: 1.5e-3}
# Below this torch's own rounding shows (its error is absolute); test_accuracy looks there.
FLOOR = 1e-2


def draw(shape, dtype, soft, seed):
    g = torch.Generator().manual_seed(seed)
    axis = 0 if len(shape) == 1 else 1
    classes = shape[axis]
    logits = (torch.randn(shape, generator=g, dtype=torch.float64) * 4).to(dtype)
    rows = shape[:axis] + shape[axis + 1 :]
    if soft:
        target = torch.randn(shape, generator=g, dtype=torch.float64).softmax(axis)
    else:
        target = torch.randint(0, classes, rows, generator=g)
    weight = torch.rand(classes, generator=g, dtype=torch.float64) + 0.1
    token = torch.rand(rows, generator=g, dtype=torch.float64) + 0.1
    return logits, target, weight, token, axis


def formula(x, target, weight, token, axis, reduction, smoothing, temperature, cap, z, ignore):
    """The loss as a sentence of torch's own functions, in float64."""
    x = x if cap is None else cap * torch.tanh(x / cap)
    x = x / temperature
    hard = not target.is_floating_point()
    each = F.cross_entropy(
        x, target, weight, reduction="none", label_smoothing=smoothing, ignore_index=ignore
    )
    w = torch.ones(x.shape[axis], dtype=x.dtype) if weight is None else weight
    if hard:
        kept = (target != ignore).double()
        scale = w[target.where(target != ignore, 0)] * kept
        mass = (1 - smoothing) * scale + kept * smoothing * w.mean()
    else:
        share = (1 - smoothing) * target + smoothing / x.shape[axis]
        mass = (share.movedim(axis, -1) * w).sum(-1)
        scale = torch.ones_like(mass)
    each = each + z * mass * x.logsumexp(axis) ** 2
    if token is not None:
        each, scale = each * token, scale * token
    if reduction == "none":
        return each
    return each.sum() if reduction == "sum" else each.sum() / scale.sum()


# Probabilities have no index to ignore; of temperature, softcap and z-loss one, all or none.
TARGETS = [(False, -100), (False, 1), (True, -100)]
SHAPING = [(1.0, None, 0.0), (0.7, None, 0.0), (1.0, 5.0, 0.0), (1.0, None, 0.01), (0.7, 5.0, 0.01)]
OPTIONS = (
    TARGETS, SHAPING, ("mean", "sum", "none"), (0.0, 0.3), (False, True), (False, True),
)  # fmt: skip


@pytest.mark.grid
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cross_entropy_grid(shape, dtype):
    """Of the options any three in every way, and others for each shape and dtype.

    Targets and weights are as exact as the logits: for others whole loops would be compiled again.
    """
    exact = dtype if dtype == torch.float64 else torch.float32
    check(shape, dtype, covering(3, *OPTIONS, seed=f"{shape} {dtype}"), exact)


@pytest.mark.long
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_whole_cross_entropy_grid(shape, dtype):
    check(shape, dtype, list(itertools.product(*OPTIONS)), torch.float64)


def check(shape, dtype, options, exact):
    assert len(options) > 40
    for case, ((soft, ignore), (t, cap, z), *rest) in enumerate(options):
        reduction, smoothing, weighted, tokens = rest
        logits, target, weight, token, axis = draw(shape, dtype, soft, case)
        target = target.to(exact) if soft else target
        weight = weight.to(exact) if weighted else None
        token = token.to(exact) if tokens else None
        if 0 in shape and reduction == "mean":
            continue
        ours = logits.clone().requires_grad_()
        theirs = logits.double().requires_grad_()
        got = L.cross_entropy(
            ours, target, weight, reduction=reduction, label_smoothing=smoothing,
            ignore_index=ignore, token_weight=token, temperature=t, softcap=cap, z_loss=z,
        )  # fmt: skip
        wide = [None if v is None else v.double() for v in (weight, token)]
        target = target.double() if soft else target
        want = formula(theirs, target, *wide, axis, reduction, smoothing, t, cap, z, ignore)
        if bool(want.isnan().any()):  # every row ignored: torch divides 0 by 0
            assert float(got.detach()) == 0.0
            got.backward()
            assert not ours.grad.any()
            continue
        name = (soft, reduction, smoothing, weighted, tokens, t, cap, z, ignore)
        assert got.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        size = max(float(want.detach().abs().max()), FLOOR) if want.numel() else 0.0
        assert (got.detach().double() - want.detach()).abs().le(LOSS[dtype] * size).all(), name
        up = torch.randn(
            want.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
        )
        got.backward(up.to(got.dtype))
        want.backward(up.to(got.dtype).double())
        size = max(float(theirs.grad.abs().max()), FLOOR) if theirs.numel() else 0.0
        off = (ours.grad.double() - theirs.grad).abs()
        assert off.le(GRAD[dtype] * size).all(), name


@pytest.mark.grid
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_binary_grid(dtype):
    g = torch.Generator().manual_seed(3)
    for case in itertools.product(
        [(7,), (4, 3), (2, 3, 5), (1100,)], ("mean", "sum", "none"), (0, 1), (0, 1), (0, 1)
    ):
        shape, reduction, weighted, positive, edges = case
        x = (torch.randn(shape, generator=g, dtype=torch.float64) * 6).to(dtype)
        t = torch.rand(shape, generator=g, dtype=torch.float64)
        t = t.round() if edges else t
        w = torch.rand(shape[-1:], generator=g, dtype=torch.float64) if weighted else None
        p = torch.rand(shape[-1:], generator=g, dtype=torch.float64) * 3 if positive else None
        ours, theirs = x.clone().requires_grad_(), x.double().requires_grad_()
        got = L.binary_cross_entropy_with_logits(ours, t, w, reduction=reduction, pos_weight=p)
        want = F.binary_cross_entropy_with_logits(theirs, t, w, reduction=reduction, pos_weight=p)
        off = (got.detach().double() - want.detach()).abs()
        assert off.le(LOSS[dtype] * want.detach().abs().max()).all(), case
        got.sum().backward()
        want.sum().backward()
        off = (ours.grad.double() - theirs.grad).abs()
        assert off.le(GRAD[dtype] * theirs.grad.abs().max()).all(), case


@pytest.mark.parametrize("shape", SHAPES[:-1], ids=str)
def test_nll_grid(shape):
    for seed, (reduction, weighted, ignore) in enumerate(
        itertools.product(("mean", "sum", "none"), (False, True), (-100, 1))
    ):
        logits, target, weight, _, axis = draw(shape, torch.float64, False, seed)
        x = logits.log_softmax(axis).requires_grad_()
        y = x.detach().clone().requires_grad_()
        w = weight if weighted else None
        got = L.nll_loss(x, target, w, reduction=reduction, ignore_index=ignore)
        want = F.nll_loss(y, target, w, reduction=reduction, ignore_index=ignore)
        if bool(want.isnan().any()):
            assert not got.detach().any()
            continue
        torch.testing.assert_close(got, want, rtol=1e-14, atol=0)
        got.sum().backward()
        want.sum().backward()
        torch.testing.assert_close(x.grad, y.grad, rtol=1e-14, atol=0)


def test_elementwise_losses():
    g = torch.Generator().manual_seed(5)
    for reduction in ("mean", "sum", "none"):
        x = torch.rand(5, 4, generator=g, dtype=torch.float64, requires_grad=True)
        t = torch.rand(5, 4, generator=g, dtype=torch.float64)
        w = torch.rand(4, generator=g, dtype=torch.float64)
        pairs = [
            (L.binary_cross_entropy(x, t, w, reduction=reduction),
             F.binary_cross_entropy(x, t, w, reduction=reduction)),
            (L.multilabel_soft_margin_loss(x, t, w, reduction=reduction),
             F.multilabel_soft_margin_loss(x, t, w, reduction=reduction)),
            (L.mse_loss(x, t, reduction=reduction), F.mse_loss(x, t, reduction=reduction)),
            (L.mse_loss(x, t, reduction=reduction, weight=t),
             F.mse_loss(x, t, reduction=reduction, weight=t)),
        ]  # fmt: skip
        if reduction != "mean":  # torch warns of its own mean here
            for log in (False, True):
                pairs.append(
                    (L.kl_div(x, t, reduction=reduction, log_target=log),
                     F.kl_div(x, t, reduction=reduction, log_target=log))
                )  # fmt: skip
        for got, want in pairs:
            torch.testing.assert_close(got, want, rtol=1e-13, atol=1e-15)
            (mine,) = torch.autograd.grad(got.sum(), x, retain_graph=True)
            (its,) = torch.autograd.grad(want.sum(), x, retain_graph=True)
            torch.testing.assert_close(mine, its, rtol=1e-13, atol=1e-15)
    batch = L.kl_div(x, t, reduction="batchmean")
    torch.testing.assert_close(batch, F.kl_div(x, t, reduction="batchmean"))
