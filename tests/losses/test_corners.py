"""Rows that count for nothing, sure and masked rows, tensors overwritten, gradients in batches.

The reference is torch in float64 on what is left when such rows and classes are taken out.
"""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd.functional import hessian, jacobian

import xent.losses as L

inf, nan = math.inf, math.nan
X = torch.tensor([[0.5, -1.0, 2.0], [1.0, 0.0, -0.5], [nan, 1.0, inf], [0.3, 0.2, 0.1]])
KEPT = torch.tensor([True, True, False, True])
Y = torch.tensor([2, 0, 1, 1])
IGNORED = Y.where(KEPT, -100)
SHARES = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.1, 0.1, 0.8], [0.0, 0.5, 0.5]])
ON = KEPT.float()


def per_row(z, target, gamma=0.0):
    """Class losses by torch, and faded by their definition."""
    log_p = z.log_softmax(-1)
    if target.dtype == torch.int64:
        target = F.one_hot(target, z.shape[-1])
    cost = -log_p
    return (target.to(z.dtype) * (1 - log_p.exp()) ** gamma * cost).sum(-1)


def js(z, other, beta):
    p, q = z.softmax(-1), other.to(z.dtype).softmax(-1)
    m = beta * q + (1 - beta) * p
    return beta * (q * (q / m).log()).sum(-1) + (1 - beta) * (p * (p / m).log()).sum(-1)


def z_penalty(z):
    return 0.1 * z.logsumexp(-1) ** 2


SILENT = {
    "cross_entropy, ignored": (
        lambda x: L.cross_entropy(x, IGNORED, z_loss=0.1),
        lambda z: per_row(z, Y[KEPT]) + z_penalty(z),
    ),
    "cross_entropy, weight 0": (
        lambda x: L.cross_entropy(x, Y, token_weight=ON, softcap=9.0),
        lambda z: per_row(9 * (z / 9).tanh(), Y[KEPT]),
    ),
    "cross_entropy, probabilities": (
        lambda x: L.cross_entropy(x, SHARES, token_weight=ON),
        lambda z: per_row(z, SHARES[KEPT]),
    ),
    "nll_loss": (
        lambda x: L.nll_loss(x.log_softmax(1), IGNORED),
        lambda z: per_row(z, Y[KEPT]),
    ),
    "focal_loss, ignored": (
        lambda x: L.focal_loss(x, IGNORED, gamma=0.5, z_loss=0.1),
        lambda z: per_row(z, Y[KEPT], 0.5) + z_penalty(z),
    ),
    "focal_loss, weight 0": (
        lambda x: L.focal_loss(x, Y, token_weight=ON),
        lambda z: per_row(z, Y[KEPT], 2.0),
    ),
    "focal_loss, probabilities": (
        lambda x: L.focal_loss(x, SHARES, token_weight=ON),
        lambda z: per_row(z, SHARES[KEPT], 2.0),
    ),
    "js_div": (
        lambda x: L.js_div(x, 3 * SHARES, beta=0.3, token_weight=ON),
        lambda z: js(z, (3 * SHARES)[KEPT], 0.3),
    ),
    "binary_cross_entropy_with_logits, ignored": (
        lambda x: L.binary_cross_entropy_with_logits(
            x, SHARES.where(KEPT[:, None], 2.0), ignore_index=2
        ),
        lambda z: F.binary_cross_entropy_with_logits(z, SHARES[KEPT].double()),
    ),
    "binary_cross_entropy_with_logits, weight 0": (
        lambda x: L.binary_cross_entropy_with_logits(x, SHARES, token_weight=ON[:, None]),
        lambda z: F.binary_cross_entropy_with_logits(z, SHARES[KEPT].double()),
    ),
    "linear_binary_cross_entropy": (
        lambda x: L.linear_binary_cross_entropy(
            x.nan_to_num(nan=inf), torch.eye(3), SHARES.where(KEPT[:, None], 2.0), ignore_index=2
        ),
        lambda z: F.binary_cross_entropy_with_logits(z, SHARES[KEPT].double()),
    ),
    "mse_loss": (
        lambda x: L.mse_loss(x, SHARES, token_weight=ON[:, None]),
        lambda z: (z - SHARES[KEPT]).square().mean(-1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", ["eager", "torch.func", "create_graph"])
@pytest.mark.parametrize("name", SILENT)
def test_rows_that_count_for_nothing(name, way):
    loss, reference = SILENT[name]
    z = X[KEPT].double().requires_grad_()
    want = reference(z).mean()
    (slope,) = torch.autograd.grad(want, z)
    if way == "torch.func":
        got, value = torch.func.grad_and_value(loss)(X)
    else:
        x = X.clone().requires_grad_()
        value = loss(x)
        (got,) = torch.autograd.grad(value, x, create_graph=way == "create_graph")
    assert value.item() == pytest.approx(want.item(), rel=1e-5)
    torch.testing.assert_close(got[KEPT].double(), slope, rtol=1e-4, atol=1e-6)
    if name != "nll_loss":  # whose log-probabilities torch makes
        assert not got[~KEPT].any()


EMPTY = {
    "cross_entropy": lambda x, y, p, o: L.cross_entropy(x, y, **o),
    "smoothed": lambda x, y, p, o: L.cross_entropy(x, y, label_smoothing=0.1, **o),
    "soft": lambda x, y, p, o: L.cross_entropy(x, p, **o),
    "nll_loss": lambda x, y, p, o: L.nll_loss(x, y, **o),
    "focal_loss": lambda x, y, p, o: L.focal_loss(x, y, **o),
    "bce": lambda x, y, p, o: L.binary_cross_entropy_with_logits(x, p, **o),
    "binary_cross_entropy": lambda x, y, p, o: L.binary_cross_entropy(x, p, **o),
    "multilabel": lambda x, y, p, o: L.multilabel_soft_margin_loss(x, p, axis=1, **o),
    "kl_div": lambda x, y, p, o: L.kl_div(x, p, axis=1, **o),
    "js_div": lambda x, y, p, o: L.js_div(x, p, **o),
    "mse_loss": lambda x, y, p, o: L.mse_loss(x, p, **o),
    "head": lambda x, y, p, o: L.linear_cross_entropy(x.movedim(1, -1), HEAD5, y, **o),
    "head, binary": lambda x, y, p, o: L.linear_binary_cross_entropy(
        x.movedim(1, -1), HEAD5, p.movedim(1, -1), **o
    ),
    "head, kl": lambda x, y, p, o: L.linear_kl_div(
        x.movedim(1, -1), HEAD5, p.movedim(1, -1), HEAD5, **o
    ),
    "head, js": lambda x, y, p, o: L.linear_js_div(
        x.movedim(1, -1), HEAD5, p.movedim(1, -1), HEAD5, **o
    ),
}
HEAD5 = torch.eye(5)


@pytest.mark.parametrize("path", ["compiled", "torch", "traced"])
@pytest.mark.parametrize("name", EMPTY)
def test_nothing_at_all(name, path):
    """No image, images of no rows or no columns, and rows alone: 0, and a gradient of nothing."""
    for shape in [(0, 5), (0, 5, 8, 8), (2, 5, 0, 8), (2, 5, 8, 0), (0, 5, 0), (0, 5, 64, 64)]:
        rows = (shape[0], *shape[2:])
        y = torch.zeros(rows, dtype=torch.int64)
        for reduction, extra in itertools.product(
            ("mean", "sum", "none"), ({}, {"token_weight": torch.ones(rows)})
        ):
            if extra and name in ("bce", "binary_cross_entropy", "mse_loss"):
                extra = {"token_weight": torch.ones(shape)}
            x = torch.zeros(shape)

            def loss(z, y=y, shape=shape, reduction=reduction, extra=extra):
                return EMPTY[name](z, y, torch.zeros(shape), {"reduction": reduction, **extra})

            if path == "torch":
                grad, value = torch.func.grad_and_value(lambda z: loss(z).sum())(x)
            else:
                x.requires_grad_()
                run = torch.compile(loss, backend="eager") if path == "traced" else loss
                value = run(x)
                value.sum().backward()
                grad = x.grad
                assert value.numel() == 0 or value == 0
                assert value.dim() == 0 if reduction != "none" else value.shape[0] == shape[0]
            assert grad.shape == shape
        if path != "traced":
            nothing = EMPTY[name](torch.zeros(shape), y, torch.zeros(shape), {"empty": "nan"})
            assert nothing.isnan()
    with pytest.raises(ValueError, match="The mean loss is undefined"):
        EMPTY[name](torch.zeros(0, 5), torch.zeros(0).long(), torch.zeros(0, 5), {"empty": "raise"})


@pytest.mark.parametrize("loss", [L.cross_entropy, L.focal_loss, L.nll_loss])
def test_a_weight_that_learns(loss):
    """docs/losses.md: its gradient is the row's loss, and 0 where it is 0."""
    x, weight = X.nan_to_num(posinf=1.0).log_softmax(1), ON.clone().requires_grad_()
    loss(x, Y, token_weight=weight, reduction="sum").backward()
    want = per_row(x.double(), Y, 2.0 if loss is L.focal_loss else 0.0) * ON
    torch.testing.assert_close(weight.grad.double(), want, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.5])
@pytest.mark.parametrize("soft", [False, True])
def test_faded_rows_that_are_sure_or_masked(gamma, soft):
    rows = torch.tensor([[200.0, 0.0, 1.0], [1.0, 0.0, -inf], [inf, 0.0, 1.0], [1.0, 2.0, -inf]])
    target = torch.zeros(4, dtype=torch.int64)
    x = rows.clone().requires_grad_()
    got = L.focal_loss(
        x, F.one_hot(target, 3).float() if soft else target, gamma=gamma, reduction="none"
    )
    got.sum().backward()
    z = rows[[1, 3], :2].double().requires_grad_()  # without the masked class
    want = per_row(z, target[:2], gamma)
    want.sum().backward()
    torch.testing.assert_close(got[[1, 3]].detach().double(), want.detach(), rtol=1e-6, atol=0)
    torch.testing.assert_close(x.grad[[1, 3], :2].double(), z.grad, rtol=1e-6, atol=1e-9)
    assert got[[0, 2]].tolist() == [0.0, 0.0]
    assert not x.grad[[0, 2]].any()
    assert not x.grad[[1, 3], 2].any()


def test_an_impossible_answer_of_weight_0():
    p = torch.tensor([0.0, 0.5, 1.0], requires_grad=True)
    t, w = torch.tensor([1.0, 1.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])
    for options in ({"weight": w, "reduction": "sum"}, {"token_weight": w}):
        p.grad = None
        loss = L.binary_cross_entropy(p, t, **options)
        loss.backward()
        assert loss.item() == pytest.approx(math.log(2), rel=1e-6)
        assert p.grad.tolist() == [0.0, -2.0, 0.0]


OVERWRITTEN = {
    "input": {}, "target": {}, "weight": {"weight": torch.ones(3)},
    "token_weight": {"token_weight": torch.ones(2)},
}  # fmt: skip


@pytest.mark.parametrize("which", OVERWRITTEN)
def test_what_is_overwritten_before_backward_is_noticed(which):
    options = {n: t.clone() for n, t in OVERWRITTEN[which].items()}
    x, y = torch.zeros(2, 3, requires_grad=True), torch.tensor([0, 2])
    logits = x * 1
    loss = L.cross_entropy(logits, y, reduction="none", **options)
    {"input": logits.detach(), "target": y, **options}[which].zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.sum().backward()


HEADS = {
    "linear_cross_entropy, target": (
        lambda x, w, t: L.linear_cross_entropy(x, w, t, reduction="none"), torch.tensor([0, 2])
    ),
    "linear_cross_entropy, token_weight": (
        lambda x, w, t: L.linear_cross_entropy(
            x, w, torch.tensor([0, 2]), token_weight=t, reduction="none"
        ),
        torch.ones(2),
    ),
    "linear_log_prob": (lambda x, w, t: L.linear_log_prob(x, w, t), torch.tensor([0, 2])),
    "linear_binary_cross_entropy": (
        lambda x, w, t: L.linear_binary_cross_entropy(x, w, t, reduction="none"), torch.ones(2, 3)
    ),
    "linear_kl_div": (
        lambda x, w, t: L.linear_kl_div(x, w, t, w, reduction="none"), torch.ones(2, 3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_what_is_overwritten_before_a_heads_backward_is_noticed(name):
    loss, given = HEADS[name]
    given, x = given.clone(), torch.ones(2, 3, requires_grad=True)
    value = loss(x, torch.eye(3), given)
    given.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.sum().backward()


def test_gradients_of_heads_and_answers_in_batches():
    x, y = torch.randn(3, 4, dtype=torch.float64), torch.tensor([3, 0, 1])
    w, t = torch.randn(5, 4, dtype=torch.float64), torch.rand(3, 4, dtype=torch.float64)

    def both(loss):
        return jacobian(loss, x, vectorize=True)

    for got, want in (
        (lambda z: L.linear_cross_entropy(z, w, y), lambda z: F.cross_entropy(z @ w.T, y)),
        (
            lambda z: L.linear_log_prob(z, w, y),
            lambda z: -F.cross_entropy(z @ w.T, y, reduction="none"),
        ),
        (
            lambda z: L.binary_cross_entropy_with_logits(z, t),
            lambda z: F.binary_cross_entropy_with_logits(z, t),
        ),
    ):
        torch.testing.assert_close(both(got), both(want))


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("soft", [False, True])
def test_gradients_in_batches(reduction, soft):
    x = torch.randn(3, 4, dtype=torch.float64)
    target = torch.full((3, 4), 0.25, dtype=torch.float64) if soft else torch.tensor([3, 0, -100])

    def both(loss):
        return (
            jacobian(lambda z: loss(z, target, reduction=reduction), x, vectorize=True),
            hessian(lambda z: loss(z, target, reduction=reduction).sum(), x, vectorize=True),
        )

    for got, want in zip(both(L.cross_entropy), both(F.cross_entropy), strict=True):
        torch.testing.assert_close(got, want)


def test_weights_of_less_precision_lose_no_digit_of_the_loss():
    count = 1001  # bfloat16 knows 1000 and 1004
    x = torch.linspace(-2, 2, 3 * count).view(count, 3)
    y = torch.arange(count) % 3
    weights = torch.linspace(0.1, 1, count).bfloat16()
    shares = torch.tensor([0.25, 0.25, 0.5]).bfloat16().expand(count, 3)
    costs = F.cross_entropy(x.double(), y, reduction="none")
    want = (costs * weights.double()).sum() / weights.double().sum()
    want_soft = F.cross_entropy(x.double(), shares.double())
    for way in (lambda loss: loss(x), lambda loss: torch.func.vmap(loss)(x[None])[0]):
        got = way(lambda z: L.cross_entropy(z, y, token_weight=weights))
        assert got.item() == pytest.approx(want.item(), rel=1e-6)
        got = way(lambda z: L.cross_entropy(z, shares))
        assert got.item() == pytest.approx(want_soft.item(), rel=1e-6)
    answers = torch.full((count, 3), 0.25)
    each = F.binary_cross_entropy_with_logits(x.double(), answers.double(), reduction="none")
    want_yes = (each.mean(1) * weights.double()).sum() / weights.double().sum()
    got = L.linear_binary_cross_entropy(x, torch.eye(3), answers, token_weight=weights)
    assert got.item() == pytest.approx(want_yes.item(), rel=1e-6)
    far = x * torch.tensor([1.0, -1.0, 2.0])
    apart = F.kl_div(
        far.double().log_softmax(1), torch.full((count, 3), 1 / 3).double(), reduction="none"
    )
    want_apart = (apart.sum(1) * weights.double()).sum() / weights.double().sum()
    got = L.linear_kl_div(far, torch.eye(3), x * 0, torch.eye(3), token_weight=weights)
    assert got.item() == pytest.approx(want_apart.item(), rel=1e-5)
    first, second = weights.float(), weights.flip(0).float()
    both = first.double() * second.double()
    got = L.mse_loss(x.double()[:, 0], y.double(), weight=first, token_weight=second)
    gap = (x.double()[:, 0] - y) ** 2
    assert got.item() == pytest.approx(((gap * both).sum() / both.sum()).item(), rel=1e-14)
    alpha, classes = torch.tensor([0.3, 0.7, 0.1]), torch.tensor([0.9, 1.1, 0.2])
    got = L.focal_loss(x.double(), y, gamma=0.0, alpha=alpha, weight=classes, reduction="sum")
    each = alpha.double() * classes.double()
    assert got.item() == pytest.approx((costs * each[y]).sum().item(), rel=1e-14)
    exact = torch.func.grad_and_value(lambda z: L.cross_entropy(z, y, token_weight=weights.float()))
    assert exact(x.double())[1].item() == pytest.approx(want.item(), rel=1e-14)


def test_numbers_that_change_between_compiled_calls():
    """A schedule of a temperature makes it a symbol: the checks must be part of the graph."""
    loss = torch.compile(
        lambda x, y, t: L.cross_entropy(x, y, temperature=t, softcap=9 * t, z_loss=t),
        fullgraph=True, backend="eager",
    )  # fmt: skip
    for t, count in ((1.5, 3), (0.75, 3), (1.25, 5)):
        x, y = torch.linspace(-1, 1, 4 * count).view(count, 4), torch.arange(count) % 4
        z = 9 * t * (x.double() / (9 * t)).tanh() / t
        want = F.cross_entropy(z, y) + t * (z.logsumexp(1) ** 2).mean()
        assert loss(x, y, t).item() == pytest.approx(want.item(), rel=1e-5)
    torch._dynamo.reset()


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_teacher_of_inference_mode(reduction):
    with torch.inference_mode():
        wide, head = torch.randn(3, 6), torch.randn(5, 6)
        soft = torch.randn(3, 5).softmax(1)
    x, w = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4)
    loss = L.linear_kl_div(x, w, wide, head, reduction=reduction).sum()
    logits = x @ w.t()
    truth = (wide.clone() @ head.clone().t()).log_softmax(1)
    each = F.kl_div(logits.log_softmax(1), truth, reduction="none", log_target=True).sum(1)
    want = each.mean() if reduction == "mean" else each.sum()
    torch.testing.assert_close(*(torch.autograd.grad(value, x)[0] for value in (loss, want)))
    loss = L.cross_entropy(x @ w.t(), soft, reduction=reduction).sum()
    want = F.cross_entropy(x @ w.t(), soft.clone(), reduction=reduction).sum()
    torch.testing.assert_close(*(torch.autograd.grad(value, x)[0] for value in (loss, want)))
