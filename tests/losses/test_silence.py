"""A weight of 0 silences all that its row or answer holds: value and gradient do not see it.

The truth is the same loss of a batch without the silenced rows: a NaN, a 255, a row of padding may
stand there, in the target as in the logits, on the path of torch operations as on the compiled one.
"""

import itertools
import math
from functools import partial

import pytest
import torch

import xent.losses as L

nan, inf = math.nan, math.inf
ROWS, CLASSES = 6, 4
SILENT = [2, 4]
WEIGHT = torch.tensor([1.0, 0.5, 0.0, 2.0, 0.0, 1.0])
COUNTED = WEIGHT != 0
DTYPES = [torch.float32, torch.float64, torch.bfloat16]
TWICE = pytest.mark.parametrize("path", ["compiled", "torch", "traced"])


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


X = normal(ROWS, CLASSES)
HIDDEN, HEAD = normal(ROWS, 3, seed=1), normal(CLASSES, 3, seed=2)
THEIRS, THEIR_HEAD = normal(ROWS, 2, seed=3), normal(CLASSES, 2, seed=4)
Y = torch.tensor([0, 1, 2, 3, 1, 0])
P = normal(ROWS, CLASSES, seed=5).softmax(1)
T = torch.rand(ROWS, CLASSES, generator=torch.Generator().manual_seed(6))


def put(tensor, *values):
    """Return a tensor whose silent rows hold something else."""
    found = tensor.clone()
    for row, value in zip(SILENT, values, strict=True):
        found[row] = value
    return found


BAD_Y = put(Y, -1, 255)
BAD_P = put(P, nan, 0.0)
BAD_T = put(T, nan, 255.0)
BAD_X = put(X, nan, inf)
LOG_P = X.log_softmax(1)
BAD_LOG_P = put(LOG_P, nan, -inf)

# Of logits (or the like), a target and the rows' weights.
LOSSES = {
    "cross_entropy": (L.cross_entropy, X, BAD_X, Y, BAD_Y),
    "soft": (L.cross_entropy, X, BAD_X, P, BAD_P),
    "focal_loss": (L.focal_loss, X, BAD_X, Y, BAD_Y),
    "focal_loss, soft": (L.focal_loss, X, BAD_X, P, BAD_P),
    "nll_loss": (L.nll_loss, LOG_P, BAD_LOG_P, Y, BAD_Y),
    "nll_loss, soft": (L.nll_loss, LOG_P, BAD_LOG_P, P, BAD_P),
    "kl_div": (L.kl_div, LOG_P, BAD_LOG_P, P, BAD_P),
    "js_div": (L.js_div, X, BAD_X, P, BAD_P),
    "multilabel": (L.multilabel_soft_margin_loss, X, BAD_X, T, BAD_T),
}
ELEMENTWISE = {
    "bce": (L.binary_cross_entropy_with_logits, X, BAD_X, T, BAD_T),
    "sigmoid_focal_loss": (partial(L.sigmoid_focal_loss, reduction="mean"), X, BAD_X, T, BAD_T),
    "binary_cross_entropy": (L.binary_cross_entropy, X.sigmoid(), put(X.sigmoid(), nan, 7), T, BAD_T),
    "mse_loss": (L.mse_loss, X, BAD_X, T, BAD_T),
}  # fmt: skip


def scored(loss, x, target, path, **options):
    """Return value and gradient: by the compiled rows, or by the formula in torch operations."""
    if path == "torch":
        grad, value = torch.func.grad_and_value(lambda z: loss(z, target, **options))(x)
        return value, grad
    if path == "traced":
        loss = torch.compile(loss, backend="aot_eager")
    x = x.clone().requires_grad_()
    value = loss(x, target, **options)
    value.backward()
    return value.detach(), x.grad


@TWICE
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", LOSSES)
def test_rows_of_weight_zero(name, reduction, path):
    loss, x, bad_x, target, bad = LOSSES[name]
    value, grad = scored(loss, bad_x, bad, path, token_weight=WEIGHT, reduction=reduction)
    kept = WEIGHT[COUNTED]
    truth, slope = scored(
        loss, x[COUNTED], target[COUNTED], path, token_weight=kept, reduction=reduction
    )
    torch.testing.assert_close(value, truth)
    torch.testing.assert_close(grad[COUNTED], slope)
    assert (grad[SILENT] == 0).all()


@pytest.mark.parametrize("options", [
    {"label_smoothing": 0.1}, {"weight": torch.tensor([0.5, 1.0, 0.0, 2.0])}, {"z_loss": 0.1},
    {"softcap": 2.0}, {"temperature": 0.5}, {"ignore_index": 1},
], ids=lambda o: next(iter(o)))  # fmt: skip
@pytest.mark.parametrize("name", ["cross_entropy", "soft", "focal_loss", "focal_loss, soft"])
def test_rows_of_weight_zero_under_options(name, options):
    if "soft" in name and "ignore_index" in options:
        return
    loss, x, bad_x, target, bad = LOSSES[name]
    for path in ("compiled", "torch"):
        value, grad = scored(loss, bad_x, bad, path, token_weight=WEIGHT, **options)
        truth, slope = scored(loss, x, target, path, token_weight=WEIGHT, **options)
        assert torch.equal(value, truth)
        assert torch.equal(grad, slope)


@pytest.mark.grid
@TWICE
@pytest.mark.parametrize("option", ["weight", "token_weight"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_answers_of_weight_zero(name, option, path):
    loss, x, bad_x, target, bad = ELEMENTWISE[name]
    weight = WEIGHT[:, None].expand(x.shape).contiguous()
    truth = scored(loss, x, target, path, **{option: weight})
    for z in (bad_x, x):
        found = scored(loss, z, bad, path, **{option: weight})
        torch.testing.assert_close(found, truth, rtol=0, atol=0)
        assert (found[1][SILENT] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_answers_of_weight_zero_in_every_type(dtype, reduction):
    mask = torch.rand(ROWS, CLASSES, generator=torch.Generator().manual_seed(7)) < 0.5
    weight = mask.to(dtype)
    target = (T < 0.5).to(dtype)
    for hole, logit in itertools.product((nan, -1.0, 255.0, inf), (nan, 1.0)):
        x = X.to(dtype).where(mask, 1.0).requires_grad_()
        bad_x = X.to(dtype).where(mask, logit).requires_grad_()
        bad = target.where(mask, hole)
        found = L.binary_cross_entropy_with_logits(bad_x, bad, weight, reduction=reduction)
        truth = L.binary_cross_entropy_with_logits(x, target, weight, reduction=reduction)
        found.sum().backward()
        truth.sum().backward()
        assert torch.equal(found, truth)
        assert torch.equal(bad_x.grad, x.grad)


def test_missing_labels_are_those_of_weight_zero():
    """The recipe of multi-label data: NaN where nobody looked."""
    labels = torch.tensor([[1.0, nan], [nan, 0.0]])
    x = torch.tensor([[2.0, 5.0], [7.0, -1.0]])
    loss = L.binary_cross_entropy_with_logits(x, labels, token_weight=~labels.isnan())
    known = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.tensor([2.0, -1.0]), torch.tensor([1.0, 0.0])
    )
    torch.testing.assert_close(loss, known)


@pytest.mark.parametrize("stats", [False, True])
def test_statistics_leave_out_what_is_no_target(stats):
    for target, bad in ((Y, BAD_Y), (P, BAD_P)):
        found = L.cross_entropy(X, bad, token_weight=WEIGHT, stats=True)
        truth = L.cross_entropy(
            X[COUNTED], target[COUNTED], token_weight=WEIGHT[COUNTED], stats=True
        )
        torch.testing.assert_close(found[0], truth[0])
        assert (found[1].log_prob[SILENT] == 0).all()
        torch.testing.assert_close(found[1].log_prob[COUNTED], truth[1].log_prob)
        torch.testing.assert_close(found[1].accuracy, truth[1].accuracy)
        whole = L.cross_entropy(X, target, stats=True)[1]
        torch.testing.assert_close(found[1].lse, whole.lse)


def listed(silenced):
    indices = torch.tensor([[0, 1]]).expand(ROWS, 2)
    log_probs = torch.tensor([[0.5, 0.25]]).log().expand(ROWS, 2)
    return (put(indices, -1, 0), put(log_probs, nan, 0.0)) if silenced else (indices, log_probs)


def taught(loss):
    """A head's loss under a teacher whose silent hidden states are finite, or not."""

    def run(x, w, silenced, **options):
        theirs = put(THEIRS, nan, inf) if silenced else THEIRS
        return loss(x, w, theirs.to(x.dtype), THEIR_HEAD.to(x.dtype), **options)

    return run


def aimed(loss, target, bad):
    def run(x, w, silenced, **options):
        return loss(x, w, bad if silenced else target, **options)

    return run


HEADS = {
    "cross_entropy": aimed(L.linear_cross_entropy, Y, BAD_Y),
    "soft": aimed(L.linear_cross_entropy, P, BAD_P),
    "binary": aimed(L.linear_binary_cross_entropy, T, BAD_T),
    "kl": taught(L.linear_kl_div),
    "js": taught(L.linear_js_div),
    "top classes": lambda x, w, s, **o: L.linear_kl_div(x, w, teacher=listed(s), **o),
}


@pytest.mark.parametrize("path", ["loop", "torch"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("name", HEADS)
def test_heads(name, dtype, path):
    def run(silenced):
        x = (put(HIDDEN, nan, inf) if silenced else HIDDEN).to(dtype, copy=True)
        w = HEAD.to(dtype, copy=True)

        def f(x, w):
            return HEADS[name](x, w, silenced, token_weight=WEIGHT)

        if path == "torch":
            grads, value = torch.func.grad_and_value(f, (0, 1))(x, w)
            return value, *grads
        value = f(x.requires_grad_(), w.requires_grad_())
        value.backward()
        return value.detach(), x.grad, w.grad

    for found, truth in zip(run(True), run(False), strict=True):
        assert torch.equal(found, truth)


def test_ignored_hidden_states_may_be_nan():
    x = put(HIDDEN, nan, nan).requires_grad_()
    w = HEAD.clone().requires_grad_()
    L.linear_cross_entropy(x, w, put(Y, -100, -100)).backward()
    assert w.grad.isfinite().all()
    assert (x.grad[SILENT] == 0).all()


def test_pairs_of_rows_of_weight_zero():
    pairs = torch.tensor([[0, 1], [1, 2], [2, -1], [4, 99]])
    loss = L.linear_binary_cross_entropy(HIDDEN, HEAD, pairs, token_weight=WEIGHT)
    assert loss == L.linear_binary_cross_entropy(HIDDEN, HEAD, pairs[:2], token_weight=WEIGHT)
    with pytest.raises(ValueError, match="hold rows below 6 and classes below 4"):
        L.linear_binary_cross_entropy(HIDDEN, HEAD, pairs, token_weight=torch.ones(ROWS))


def test_several_heads():
    many = normal(CLASSES, 2, 3, seed=8)
    y = torch.stack([Y, Y.flip(0)], 1)
    weight = torch.stack([WEIGHT, torch.ones(ROWS)], 1)
    bad = y.clone()
    bad[SILENT, 0] = 77
    truth = L.linear_cross_entropy(HIDDEN, many, y, token_weight=weight)
    assert L.linear_cross_entropy(HIDDEN, many, bad, token_weight=weight) == truth


def test_rows_of_pairs_that_belong_together():
    a, b = X.clone(), X.flip(1)
    bad = put(a, nan, nan).requires_grad_()
    loss = L.siglip(bad, b, scale=1.0, bias=0.0, token_weight=WEIGHT)
    loss.backward()
    torch.testing.assert_close(
        loss.detach(), L.siglip(a, b, scale=1.0, bias=0.0, token_weight=WEIGHT)
    )
    assert (bad.grad[SILENT] == 0).all()


def test_images():
    x, y = normal(2, 3, 32, 32), torch.randint(0, 3, (2, 32, 32))
    weight = torch.ones(2, 32, 32)
    weight[:, 0] = 0
    bad_x, bad_y = x.clone(), y.clone()
    bad_x[:, :, 0], bad_y[:, 0] = nan, 255
    for reduction in ("mean", "none"):

        def loss(z, t, reduction=reduction):
            return L.cross_entropy(z, t, token_weight=weight, reduction=reduction).sum()

        for found, truth in zip(
            scored(loss, bad_x, bad_y, "compiled"), scored(loss, x, y, "compiled"), strict=True
        ):
            assert torch.equal(found, truth)


@pytest.mark.parametrize("target", [BAD_Y, BAD_P], ids=["index", "probabilities"])
def test_a_weight_that_learns_gets_nothing_there(target):
    weight = WEIGHT.clone().requires_grad_()
    L.cross_entropy(BAD_X, target, token_weight=weight, reduction="sum").backward()
    assert (weight.grad[SILENT] == 0).all()
    assert weight.grad.isfinite().all()


@pytest.mark.parametrize("name", [*LOSSES, *ELEMENTWISE])
def test_what_weighs_something_is_refused(name):
    loss, x, _, _, bad = (LOSSES | ELEMENTWISE)[name]
    if name in ("js_div", "mse_loss"):  # any number will do as a target
        return
    option = {"token_weight": torch.ones(ROWS) if name in LOSSES else torch.ones(ROWS, 1)}
    if name == "kl_div":
        option["axis"] = 1
    with pytest.raises(ValueError, match="`target` must"):
        loss(x, bad, **option)


def test_twice_differentiable():
    for target in (BAD_Y, BAD_P):
        x = BAD_X.clone().requires_grad_()
        loss = L.cross_entropy(x, target, token_weight=WEIGHT)
        (slope,) = torch.autograd.grad(loss, x, create_graph=True)
        (curve,) = torch.autograd.grad(slope.square().sum(), x)
        assert curve.isfinite().all()
        assert (curve[SILENT] == 0).all()


def test_the_product_of_two_weights():
    weight = torch.ones(ROWS, CLASSES)
    weight[0, 0] = 0
    bad_x, bad = BAD_X.clone(), BAD_T.clone()
    bad_x[0, 0] = bad[0, 0] = nan
    for smoothing, ignored in itertools.product((0.0, 0.1), (None, -7.0)):
        options = {"label_smoothing": smoothing, "ignore_index": ignored, "weight": weight}
        rows = WEIGHT[:, None]
        found = scored(
            L.binary_cross_entropy_with_logits, bad_x, bad, "compiled", token_weight=rows, **options
        )
        truth = scored(
            L.binary_cross_entropy_with_logits, X, T, "compiled", token_weight=rows, **options
        )
        torch.testing.assert_close(found, truth, rtol=0, atol=0)
